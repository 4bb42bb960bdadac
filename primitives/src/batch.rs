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
use curve25519_dalek::traits::VartimeMultiscalarMul;
use sha2::{Digest, Sha512};

use crate::schnorr::{Context, Signature, VerifyingKey, challenge};

/// Signatures verified in one multiplication; above this the working set leaves the second-level cache.
pub const BATCH_MAX: usize = 4096;

/// One signature with its challenge already computed.
struct Item {
    term: Term,
    s: Scalar,
}

/// What a signature says, without its proof.
pub(crate) struct Term {
    pub key: VerifyingKey,
    pub commitment: [u8; 32],
    pub challenge: Scalar,
}

impl Term {
    /// The claim that `key` signed `message` in `context` with this commitment.
    pub fn new(key: &VerifyingKey, context: &Context, message: &[u8], commitment: [u8; 32]) -> Self {
        Self { key: *key, commitment, challenge: challenge(context, message, &key.public(), &commitment) }
    }
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
        self.items.push(signature.parts().map(|(commitment, s)| Item { term: Term::new(key, context, message, commitment), s }));
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
    let coefficients = seeded(&items);
    let base: Scalar = coefficients.iter().zip(&items).map(|(z, item)| z * item.s).sum();
    let terms: Vec<&Term> = items.iter().map(|item| &item.term).collect();
    sum(&terms, &coefficients).is_some_and(|sum| sum == RistrettoPoint::mul_base(&base))
}

/// The coefficients of a batch: they depend on everything, `s` too.
fn seeded(items: &[&Item]) -> Vec<Scalar> {
    coefficients(b"stratos/batch/v1", items.iter().flat_map(|item| [item.term.challenge.as_bytes(), item.s.as_bytes()]), items.len())
}

/// `sum z_i (R_i + c_i A_i)`; `None` if a commitment is no point.
pub(crate) fn sum(terms: &[&Term], coefficients: &[Scalar]) -> Option<RistrettoPoint> {
    let mut keys: BTreeMap<[u8; 32], (Scalar, RistrettoPoint)> = BTreeMap::new();
    let (mut scalars, mut points) = (Vec::with_capacity(terms.len() + 8), Vec::with_capacity(terms.len() + 8));
    for (term, z) in terms.iter().zip(coefficients) {
        keys.entry(term.key.public().0).or_insert((Scalar::ZERO, term.key.point)).0 += z * term.challenge;
        scalars.push(*z);
        points.push(CompressedRistretto(term.commitment).decompress()?);
    }
    for (scalar, point) in keys.into_values() {
        scalars.push(scalar);
        points.push(point);
    }
    Some(RistrettoPoint::vartime_multiscalar_mul(&scalars, &points))
}

/// `z_i`: 128 bits each, four per hash of `seed || counter`, where the seed is the hash of `domain` and everything absorbed.
pub(crate) fn coefficients<'a>(domain: &[u8], absorbed: impl Iterator<Item = &'a [u8; 32]>, count: usize) -> Vec<Scalar> {
    let mut seed = Sha512::new();
    seed.update(domain);
    absorbed.for_each(|bytes| seed.update(bytes));
    let seed = seed.finalize();
    let mut coefficients = Vec::with_capacity(count);
    for counter in 0..count.div_ceil(4) as u64 {
        let block = Sha512::new().chain_update(seed).chain_update(counter.to_le_bytes()).finalize();
        for piece in block.chunks_exact(16).take(count - coefficients.len()) {
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
                Item { term: Term::new(key, &context, message, commitment), s }
            })
            .collect();
        // If they did not depend on `s`, they would stay the same.
        let z = seeded(&parsed.iter().collect::<Vec<_>>());
        let delta = Scalar::from(5u8);
        let shifted = [parsed[0].s + delta, parsed[1].s - delta * z[0] * z[1].invert()];
        let terms: Vec<&Term> = parsed.iter().map(|item| &item.term).collect();
        let base = RistrettoPoint::mul_base(&(z[0] * shifted[0] + z[1] * shifted[1]));
        assert_eq!(sum(&terms, &z), Some(base), "a batch with these coefficients would accept");
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
