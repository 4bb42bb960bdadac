//! Many signatures at once: one multiscalar multiplication, the same verdict as one by one.
//!
//! Accepts if `(sum z_i s_i) B = sum z_i R_i + sum_A (sum z_i c_i) A`. The 128-bit coefficients `z_i` come from a hash over every
//! `(A, R, s, message)`: all of `c_i`, which binds `A`, `R` and the message, and `s_i`. Leaving `s` out would let two valid signatures be turned into two
//! invalid ones that the batch accepts. Everybody derives the same coefficients, and the group has prime order, so no two verifiers can disagree.
//!
//! Terms of equal keys are merged: one 256-bit term per distinct key.
//!
//! The sum has an implementation for each backend, of which the fastest that the processor can is used ([`crate::vector`]). What it refuses is verified again
//! with curve25519-dalek and merlin before the batch is refused.
//!
//! Source: Bellare, Garay, Rabin (EUROCRYPT 1998), small exponents test.

use std::ops::Range;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};

use crate::claims::{Claims, Products};
use crate::schnorr::{Context, PublicKey, Signature, VerifyingKey};
use crate::vector::Backend;

/// Signatures verified in one multiplication; above this the working set leaves the second-level cache.
pub const BATCH_MAX: usize = 4096;

/// Signatures waiting to be verified together.
#[derive(Default)]
pub struct Batch {
    claims: Claims,
    /// The `s` of each; none if the signature is malformed.
    scalars: Vec<Option<Scalar>>,
}

impl Batch {
    /// An empty batch; it verifies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a claim that `signature` is `key`'s over `message` in `context`. Its position is its index among the culprits.
    pub fn push(&mut self, key: &VerifyingKey, context: &Context, message: &[u8], signature: &Signature) {
        let (commitment, s) = parts(signature);
        self.claims.push(key, context, message, commitment);
        self.scalars.push(s);
    }

    /// [`Batch::push`] of a key that nobody has decoded yet: many are decoded faster together. If it is no key, the signature is not valid.
    pub fn push_undecoded(&mut self, key: &PublicKey, context: &Context, message: &[u8], signature: &Signature) {
        let (commitment, s) = parts(signature);
        self.claims.push_undecoded(*key, context, message, commitment);
        self.scalars.push(s);
    }

    /// Number of signatures in the batch.
    pub fn len(&self) -> usize {
        self.scalars.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.scalars.is_empty()
    }

    /// Whether every signature is valid. Checks PRIM-2.
    pub fn verify(&self) -> bool {
        self.verify_with(Backend::detect())
    }

    /// [`Batch::verify`] with this backend. What it refuses is verified again serially.
    pub fn verify_with(&self, backend: Backend) -> bool {
        self.holds(backend) || (backend != Backend::Serial && self.holds(Backend::Serial))
    }

    fn holds(&self, backend: Backend) -> bool {
        let challenges = self.claims.challenges(backend);
        self.chunks().all(|chunk| self.is_valid(chunk, &challenges, backend))
    }

    /// The positions of the invalid signatures; empty if all are valid. Who is to blame is found by halving, serially.
    pub fn culprits(&self) -> Vec<usize> {
        if self.holds(Backend::detect()) {
            return Vec::new();
        }
        let challenges = self.claims.challenges(Backend::Serial);
        let mut found = Vec::new();
        self.chunks().for_each(|chunk| self.search(chunk, &challenges, &mut found));
        found
    }

    /// The challenges of all, for those who want to know how long they take.
    pub fn challenges(&self, backend: Backend) -> Vec<Scalar> {
        self.claims.challenges(backend)
    }

    fn chunks(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.len()).step_by(BATCH_MAX).map(|start| start..self.len().min(start + BATCH_MAX))
    }

    fn search(&self, positions: Range<usize>, challenges: &[Scalar], found: &mut Vec<usize>) {
        if self.is_valid(positions.clone(), challenges, Backend::Serial) {
            return;
        }
        if positions.len() == 1 {
            found.push(positions.start);
            return;
        }
        let middle = positions.start + positions.len() / 2;
        self.search(positions.start..middle, challenges, found);
        self.search(middle..positions.end, challenges, found);
    }

    fn is_valid(&self, positions: Range<usize>, challenges: &[Scalar], backend: Backend) -> bool {
        let Some(scalars) = self.scalars[positions.clone()].iter().copied().collect::<Option<Vec<Scalar>>>() else { return false };
        let challenges = &challenges[positions.clone()];
        let coefficients = seeded(challenges, &scalars);
        let mut base = Products::default();
        coefficients.iter().zip(&scalars).for_each(|(z, s)| base.add(*z, s));
        self.claims.sum(positions, challenges, &coefficients, backend) == Some(RistrettoPoint::mul_base(&base.sum()))
    }
}

/// The commitment and the `s` of a signature; no `s` if it is malformed.
fn parts(signature: &Signature) -> ([u8; 32], Option<Scalar>) {
    signature.parts().map_or(([0; 32], None), |(commitment, s)| (commitment, Some(s)))
}

/// The coefficients of a batch: they depend on everything, `s` too.
fn seeded(challenges: &[Scalar], scalars: &[Scalar]) -> Vec<u128> {
    coefficients(b"stratos/batch/v1", challenges.iter().zip(scalars).flat_map(|(challenge, s)| [challenge.as_bytes(), s.as_bytes()]), scalars.len())
}

/// `z_i`: 128 bits each, four per hash of `seed || counter`, where the seed is the hash of `domain` and everything absorbed.
pub(crate) fn coefficients<'a>(domain: &[u8], absorbed: impl Iterator<Item = &'a [u8; 32]>, count: usize) -> Vec<u128> {
    let mut seed = Sha512::new();
    seed.update(domain);
    absorbed.for_each(|bytes| seed.update(bytes));
    let seed = seed.finalize();
    let mut coefficients = Vec::with_capacity(count);
    for counter in 0..count.div_ceil(4) as u64 {
        let block = <[u8; 64]>::from(Sha512::new().chain_update(seed).chain_update(counter.to_le_bytes()).finalize());
        coefficients.extend(block.as_chunks::<16>().0.iter().take(count - coefficients.len()).map(|piece| u128::from_le_bytes(*piece)));
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;
    use crate::aggregate::{Aggregator, Statement};
    use crate::samples::{self, Signed, context, signed};
    use proptest::prelude::*;

    fn batch(items: &[Signed]) -> Batch {
        let mut batch = Batch::new();
        for (key, message, signature) in items {
            batch.push(key, &context(), message, signature);
        }
        batch
    }

    /// The same without decoding the keys.
    fn undecoded(items: &[Signed]) -> Batch {
        let mut batch = Batch::new();
        for (key, message, signature) in items {
            batch.push_undecoded(&key.public(), &context(), message, signature);
        }
        batch
    }

    /// Attack: signatures that would hold for the identity, for which anybody can make them, and keys that are no points.
    #[test]
    fn what_is_no_key_has_signed_nothing() {
        let r = Scalar::from(7u8);
        let mut forged = [0; 64];
        forged[..32].copy_from_slice(RistrettoPoint::mul_base(&r).compress().as_bytes());
        forged[32..].copy_from_slice(&r.to_bytes());
        forged[63] |= 0x80;
        for bad in [[0; 32], [1; 32], [0xff; 32]] {
            assert!(PublicKey(bad).decode().is_err());
            for others in [0, 10, 100, 1_000] {
                let items = signed(others, 3);
                let mut batch = undecoded(&items);
                batch.push_undecoded(&PublicKey(bad), &context(), b"message", &Signature(forged));
                for backend in Backend::all() {
                    assert!(!batch.verify_with(backend), "{others} {backend}");
                    assert!(!batch.is_valid(0..batch.len().min(BATCH_MAX), &batch.challenges(backend), backend), "{others} {backend}");
                }
                assert_eq!(batch.culprits(), [others]);
            }
        }
    }

    /// Each encoding that is not canonical is refused, even if it stands for the point that would be right. The commitment zero is nothing special.
    #[test]
    fn commitment_of_identity() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let key = secret.public().decode().expect("key");
        let theirs = schnorrkel::PublicKey::from_bytes(&key.public().0).expect("key");
        for (signature, is_valid) in samples::identity_commitments(&secret, b"message").into_iter().zip([true, false]) {
            assert_eq!(key.verify(&context(), b"message", &signature), is_valid);
            let their_context = [b"stratos/test/v1/", &crate::Hash::ZERO.0[..]].concat();
            let parsed = schnorrkel::Signature::from_bytes(&signature.0).expect("well formed");
            assert_eq!(theirs.verify_simple(&their_context, b"message", &parsed).is_ok(), is_valid);
            // Alone, and among so many that they are verified side by side.
            for others in [0, 100] {
                let mut items = signed(others, 3);
                items.push((key, b"message".to_vec(), signature));
                let (mut aggregator, mut statement) = (Aggregator::new(), Statement::new());
                for (key, message, signature) in &items {
                    let commitment = aggregator.push(&key.public(), &context(), message, signature).expect("well formed");
                    statement.push(key, &context(), message, &commitment);
                }
                for backend in Backend::all() {
                    assert_eq!(batch(&items).verify_with(backend), is_valid, "{others} {backend}");
                    assert_eq!(statement.holds_with(&aggregator.finish_with(backend), backend), is_valid, "{others} {backend}");
                }
                assert_eq!(batch(&items).culprits(), if is_valid { vec![] } else { vec![others] });
            }
        }
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
        let parsed = batch(&items);
        let challenges = parsed.claims.challenges(Backend::Serial);
        let scalars: Vec<Scalar> = parsed.scalars.iter().map(|s| s.expect("well formed")).collect();
        // If they did not depend on `s`, they would stay the same.
        let z = seeded(&challenges, &scalars);
        let [first, second] = [z[0], z[1]].map(Scalar::from);
        let delta = Scalar::from(5u8);
        let shifted = [scalars[0] + delta, scalars[1] - delta * first * second.invert()];
        let base = RistrettoPoint::mul_base(&(first * shifted[0] + second * shifted[1]));
        assert_eq!(parsed.claims.sum(0..2, &challenges, &z, Backend::Serial), Some(base), "a batch with these coefficients would accept");
        for (item, s) in items.iter_mut().zip(shifted) {
            item.2.0[32..].copy_from_slice(&s.to_bytes());
            item.2.0[63] |= 0x80;
        }
        assert_eq!(batch(&items).culprits(), [0, 1]);
    }

    proptest! {
        /// Checks PRIM-2 over mutated signatures, repeated keys, any order and all backends.
        #[test]
        fn same_verdict_as_single(count in 1..120_usize, keys in 1..6_usize, flips in proptest::collection::vec((0..120_usize, 0..512_usize), 0..4)) {
            let mut items = signed(count, keys);
            for (index, bit) in flips {
                items[index % count].2.0[bit / 8] ^= 1 << (bit % 8);
            }
            let bad: Vec<usize> = (0..count).filter(|&index| !items[index].0.verify(&context(), &items[index].1, &items[index].2)).collect();
            for batch in [batch(&items), undecoded(&items)] {
                for backend in Backend::all() {
                    prop_assert_eq!(batch.verify_with(backend), bad.is_empty());
                    // Also without asking again.
                    prop_assert_eq!(batch.is_valid(0..count, &batch.challenges(backend), backend), bad.is_empty());
                }
                prop_assert_eq!(batch.culprits(), bad.clone());
            }
        }
    }
}
