//! Many signatures at once: one multiscalar multiplication, the same verdict as one by one.
//!
//! Accepts if `(sum z_i s_i) B = sum z_i R_i + sum_A (sum z_i c_i) A`. The 128-bit coefficients `z_i` come from a hash over every
//! `(A, R, s, message)`: all of `c_i`, which binds `A`, `R` and the message, and `s_i`. Leaving `s` out would let two valid signatures be turned into two
//! invalid ones that the batch accepts. Everybody derives the same coefficients, and the group has prime order, so no two verifiers can disagree.
//!
//! Terms of equal keys are merged: one 256-bit term per distinct key.
//! Source: Bellare, Garay, Rabin (EUROCRYPT 1998), small exponents test.

use std::collections::BTreeMap;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};

use crate::schnorr::{Context, Signature, VerifyingKey, challenge};

/// Signatures verified in one multiplication; above this the working set leaves the second-level cache.
pub const BATCH_MAX: usize = 4096;

/// One signature with its challenge already computed.
struct Item {
    key: VerifyingKey,
    commitment: [u8; 32],
    challenge: Scalar,
    s: Scalar,
}

/// Signatures waiting to be verified together.
#[derive(Default)]
pub struct Batch {
    items: Vec<Option<Item>>,
}

impl Batch {
    /// An empty batch; it verifies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a claim that `signature` is `key`'s over `message` in `context`. Its position is its index among the culprits.
    pub fn push(&mut self, key: &VerifyingKey, context: &Context, message: &[u8], signature: &Signature) {
        self.items.push(signature.parts().map(|(commitment, s)| Item {
            key: *key,
            commitment,
            challenge: challenge(context, message, &key.public(), &commitment),
            s,
        }));
    }

    /// Number of signatures in the batch.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether every signature is valid. Checks PRIM-2.
    pub fn verify(&self) -> bool {
        self.items.chunks(BATCH_MAX).all(chunk_is_valid)
    }

    /// The positions of the invalid signatures, by halving. Empty if all are valid.
    pub fn culprits(&self) -> Vec<usize> {
        let mut found = Vec::new();
        for (number, chunk) in self.items.chunks(BATCH_MAX).enumerate() {
            search(chunk, number * BATCH_MAX, &mut found);
        }
        found
    }
}

fn search(items: &[Option<Item>], start: usize, found: &mut Vec<usize>) {
    if chunk_is_valid(items) {
        return;
    }
    if items.len() == 1 {
        found.push(start);
        return;
    }
    let (left, right) = items.split_at(items.len() / 2);
    search(left, start, found);
    search(right, start + left.len(), found);
}

fn chunk_is_valid(items: &[Option<Item>]) -> bool {
    let Some(items) = items.iter().map(Option::as_ref).collect::<Option<Vec<&Item>>>() else { return false };
    if items.is_empty() {
        return true;
    }
    let coefficients = coefficients(&items);
    let mut base = Scalar::ZERO;
    let mut keys: BTreeMap<[u8; 32], (Scalar, RistrettoPoint)> = BTreeMap::new();
    let (mut scalars, mut points) = (Vec::with_capacity(items.len() + 8), Vec::with_capacity(items.len() + 8));
    for (item, z) in items.iter().zip(coefficients) {
        base += z * item.s;
        keys.entry(item.key.public().0).or_insert((Scalar::ZERO, item.key.point)).0 += z * item.challenge;
        let Some(commitment) = CompressedRistretto(item.commitment).decompress() else { return false };
        scalars.push(z);
        points.push(commitment);
    }
    for (scalar, point) in keys.into_values() {
        scalars.push(scalar);
        points.push(point);
    }
    (RistrettoPoint::vartime_multiscalar_mul(&scalars, &points) - RistrettoPoint::mul_base(&base)).is_identity()
}

/// `z_i`: 128 bits each, four per hash of `seed || counter`.
fn coefficients(items: &[&Item]) -> Vec<Scalar> {
    let mut seed = Sha512::new();
    seed.update(b"stratos/batch/v1");
    for item in items {
        seed.update(item.challenge.as_bytes());
        seed.update(item.s.as_bytes());
    }
    let seed = seed.finalize();
    let mut coefficients = Vec::with_capacity(items.len());
    for counter in 0..items.len().div_ceil(4) as u64 {
        let block = Sha512::new().chain_update(seed).chain_update(counter.to_le_bytes()).finalize();
        for piece in block.chunks_exact(16).take(items.len() - coefficients.len()) {
            let mut low = [0; 16];
            low.copy_from_slice(piece);
            coefficients.push(Scalar::from(u128::from_le_bytes(low)));
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hash, SecretKey};
    use proptest::prelude::*;

    fn signed(count: usize, keys: usize) -> Vec<(VerifyingKey, Vec<u8>, Signature)> {
        let context = Context::new("test", Hash::ZERO);
        (0..count)
            .map(|index| {
                let secret = SecretKey::from_seed(&[u8::try_from(index % keys).expect("few keys"); 32]);
                let message = index.to_le_bytes().to_vec();
                (secret.public().decode().expect("key"), message.clone(), secret.sign(&context, &message))
            })
            .collect()
    }

    fn batch(items: &[(VerifyingKey, Vec<u8>, Signature)]) -> Batch {
        let context = Context::new("test", Hash::ZERO);
        let mut batch = Batch::new();
        for (key, message, signature) in items {
            batch.push(key, &context, message, signature);
        }
        batch
    }

    #[test]
    fn empty_and_large() {
        assert!(Batch::new().verify());
        let mut items = signed(BATCH_MAX + 5, 7);
        assert!(batch(&items).verify());
        items[BATCH_MAX + 2].2.0[40] ^= 1;
        items[17].2.0[3] ^= 1;
        assert_eq!(batch(&items).culprits(), [17, BATCH_MAX + 2]);
    }

    /// The attack on coefficients that do not cover `s`: shift two signatures so that the errors cancel under known coefficients.
    #[test]
    fn shifted_pairs_are_refused() {
        let mut items = signed(2, 2);
        let context = Context::new("test", Hash::ZERO);
        let parsed: Vec<Item> = items
            .iter()
            .map(|(key, message, signature)| {
                let (commitment, s) = signature.parts().expect("valid");
                Item { key: *key, commitment, challenge: challenge(&context, message, &key.public(), &commitment), s }
            })
            .collect();
        let z = coefficients(&parsed.iter().collect::<Vec<_>>());
        let delta = Scalar::from(5u8);
        let shifted = [parsed[0].s + delta, parsed[1].s - delta * z[0] * z[1].invert()];
        assert_eq!(z[0] * parsed[0].s + z[1] * parsed[1].s, z[0] * shifted[0] + z[1] * shifted[1], "the attack holds for the old coefficients");
        for (item, s) in items.iter_mut().zip(shifted) {
            item.2.0[32..].copy_from_slice(&s.to_bytes());
            item.2.0[63] |= 0x80;
        }
        assert_eq!(batch(&items).culprits(), [0, 1]);
    }

    proptest! {
        /// Checks PRIM-2 over mutated signatures, repeated keys and any order.
        #[test]
        fn same_verdict_as_single(count in 1..24usize, keys in 1..6usize, flips in proptest::collection::vec((0..24usize, 0..512usize), 0..4)) {
            let context = Context::new("test", Hash::ZERO);
            let mut items = signed(count, keys);
            for (index, bit) in flips {
                items[index % count].2.0[bit / 8] ^= 1 << (bit % 8);
            }
            let bad: Vec<usize> = (0..count).filter(|&index| !items[index].0.verify(&context, &items[index].1, &items[index].2)).collect();
            prop_assert_eq!(batch(&items).verify(), bad.is_empty());
            prop_assert_eq!(batch(&items).culprits(), bad);
        }
    }
}
