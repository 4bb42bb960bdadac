//! Half-aggregation: many signatures as their commitments and one scalar, 32 n + 32 bytes instead of 64 n.
//!
//! # Protocol
//! 1. A signature is `(R_i, s_i)`, its challenge `c_i` a hash over context, message, `A_i` and `R_i` ([`crate::schnorr`]).
//! 2. `seed = SHA-512("stratos/half-aggregate/v1" || n || c_1 || ... || c_n)`, where n has 32 bytes, little-endian; `z_i` are 128 bits each of `SHA-512(seed
//!    || counter)`, four from each.
//! 3. Whoever has the signatures publishes all `R_i` and `s = sum z_i s_i`.
//! 4. It holds if `s` is canonical and `s B = sum z_i R_i + sum_A (sum z_i c_i) A`.
//!
//! # What it proves
//! Who can make an aggregate that holds knows a signature of each key over each message (Chalkias, Garillot, Kondi, Nikolaenko: Non-interactive
//! half-aggregation of EdDSA and variants of Schnorr signatures, CT-RSA 2021; a tighter proof by Chen and Zhao, ESORICS 2022). Every `z_i` changes with any
//! `c_j`, so nobody can choose one signature after another. `s` need not be hashed, as it must be in a [`crate::batch`]: there is only one that fits.
//!
//! Making one takes no more than the hashes: keys and commitments need not be points, and nothing is verified.
//!
//! No signature can be taken out of it again, and if it does not hold nobody can say whose is missing. So who makes one verifies the signatures first, and
//! who may have to show a single one as evidence keeps them whole: the certificates of consensus do.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::batch::{self, BATCH_MAX};
use crate::claims::{Claims, Products, Unhashed};
use crate::schnorr::{Context, PublicKey, Signature, VerifyingKey};
use crate::vector::Backend;

/// The scalar of an aggregate: 32 bytes that may or may not be canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Aggregate(pub [u8; 32]);

/// Makes an aggregate of signatures, one after the other.
#[derive(Default)]
pub struct Aggregator {
    unhashed: Unhashed,
    scalars: Vec<Scalar>,
}

impl Aggregator {
    /// Of no signature yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `key`'s signature over `message` in `context`; its commitment, or `None` if it is malformed.
    pub fn push(&mut self, key: &PublicKey, context: &Context, message: &[u8], signature: &Signature) -> Option<[u8; 32]> {
        let (commitment, s) = signature.parts()?;
        self.unhashed.push(context, message, *key, commitment);
        self.scalars.push(s);
        Some(commitment)
    }

    /// The scalar for all of them.
    pub fn finish(&self) -> Aggregate {
        self.finish_with(Backend::detect())
    }

    /// [`Aggregator::finish`] with this backend.
    pub fn finish_with(&self, backend: Backend) -> Aggregate {
        let mut sum = Products::default();
        coefficients(&self.unhashed.challenges(backend)).iter().zip(&self.scalars).for_each(|(z, s)| sum.add(*z, s));
        Aggregate(sum.sum().to_bytes())
    }
}

/// What an aggregate is about, in the order of its signatures.
#[derive(Default)]
pub struct Statement {
    claims: Claims,
}

impl Statement {
    /// That nobody signed anything; the aggregate of no signatures, zero, proves it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds that `key` signed `message` in `context` with this commitment.
    pub fn push(&mut self, key: &VerifyingKey, context: &Context, message: &[u8], commitment: &[u8; 32]) {
        self.claims.push(key, context, message, *commitment);
    }

    /// Whether the aggregate proves all of it.
    pub fn holds(&self, aggregate: &Aggregate) -> bool {
        self.holds_with(aggregate, Backend::detect())
    }

    /// [`Statement::holds`] with this backend. What it refuses is verified again serially.
    pub fn holds_with(&self, aggregate: &Aggregate, backend: Backend) -> bool {
        let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(aggregate.0)) else { return false };
        let base = RistrettoPoint::mul_base(&s);
        self.sum(backend) == Some(base) || (backend != Backend::Serial && self.sum(Backend::Serial) == Some(base))
    }

    /// What `s B` must be; `None` if a commitment is not the canonical encoding of a point.
    fn sum(&self, backend: Backend) -> Option<RistrettoPoint> {
        let challenges = self.claims.challenges(backend);
        let coefficients = coefficients(&challenges);
        let mut chunks = challenges.chunks(BATCH_MAX).zip(coefficients.chunks(BATCH_MAX));
        let starts = (0..self.claims.len()).step_by(BATCH_MAX);
        starts.zip(&mut chunks).try_fold(RistrettoPoint::identity(), |sum, (start, (challenges, coefficients))| {
            Some(sum + self.claims.sum(start..start + challenges.len(), challenges, coefficients, backend)?)
        })
    }
}

/// The coefficient of each signature.
fn coefficients(challenges: &[Scalar]) -> Vec<u128> {
    let length = Scalar::from(challenges.len() as u64).to_bytes();
    batch::coefficients(b"stratos/half-aggregate/v1", std::iter::once(&length).chain(challenges.iter().map(Scalar::as_bytes)), challenges.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SecretKey;
    use crate::samples::{self, Signed, context, signed};

    fn aggregate(signed: &[Signed]) -> Option<Aggregate> {
        let mut aggregator = Aggregator::new();
        for (key, message, signature) in signed {
            aggregator.push(&key.public(), &context(), message, signature)?;
        }
        Some(aggregator.finish())
    }

    fn statement(signed: &[Signed]) -> Statement {
        let mut statement = Statement::new();
        for (key, message, signature) in signed {
            statement.push(key, &context(), message, signature.0.first_chunk().expect("64 bytes"));
        }
        statement
    }

    #[test]
    fn none_one_and_many() {
        assert_eq!(aggregate(&[]), Some(Aggregate([0; 32])));
        for count in [0, 1, 2, BATCH_MAX - 1, BATCH_MAX, BATCH_MAX + 1] {
            let signed = signed(count, 7);
            let aggregate = aggregate(&signed).expect("well formed");
            assert!(statement(&signed).holds(&aggregate), "{count}");
            assert!(!statement(&signed).holds(&Aggregate((Scalar::from_canonical_bytes(aggregate.0).unwrap() + Scalar::ONE).to_bytes())), "{count}");
        }
    }

    /// The same aggregate for ever: keys of seeds of zeros, ones, twos, deterministic signatures over 0, 1, 2 as eight bytes, little-endian.
    #[test]
    fn golden() {
        let signed = signed(3, 3);
        let commitments: Vec<String> = signed.iter().map(|(_, _, signature)| hex::encode(&signature.0[..32])).collect();
        assert_eq!(
            commitments,
            [
                "ea66d020897ec96c0028fcff197bcf0e2a315c62548329c9ba5225c05feb3570",
                "96ba0b2e2ef36b72d42fba365b4c8b3036728ee62131b6b13541e4f62d95b944",
                "e0d0e0375e1aedaa408b57d9374db0449d5ccf7cd3e9bc5d89eecba33af48d5f",
            ]
        );
        assert_eq!(hex::encode(aggregate(&signed).expect("well formed").0), "8ced71ffbb1002a1c1c67477c879a368e41001e23607fefccae483ca2698700f");
    }

    /// A scalar has one encoding: adding the order of the group gives no second one.
    #[test]
    fn one_encoding() {
        let signed = signed(2, 2);
        let aggregate = aggregate(&signed).expect("well formed");
        let other = Aggregate(samples::plus_order(aggregate.0));
        assert_eq!((statement(&signed).holds(&aggregate), statement(&signed).holds(&other)), (true, false));
    }

    proptest! {
        /// Checks PRIM-4: an aggregate of valid signatures holds for exactly these; one with an invalid signature in it holds for nothing.
        #[test]
        fn for_exactly_these(count in 2..20_usize, keys in 1..6_usize, (one, other) in any::<(prop::sample::Index, prop::sample::Index)>(), flip in 0..512_usize) {
            let mut signed = signed(count, keys);
            let made = aggregate(&signed).expect("well formed");
            prop_assert!(statement(&signed).holds(&made));
            let (one, other) = (one.index(count), other.index(count));

            let mut fewer = signed.clone();
            fewer.remove(one);
            prop_assert!(!statement(&fewer).holds(&made), "one left out");
            let mut twice = statement(&signed);
            twice.push(&signed[one].0, &context(), &signed[one].1, signed[one].2.0.first_chunk().expect("64 bytes"));
            prop_assert!(!twice.holds(&made), "one twice");
            let mut swapped = signed.clone();
            swapped.swap(one, other);
            prop_assert_eq!(statement(&swapped).holds(&made), one == other, "another order");
            let mut rekeyed = signed.clone();
            rekeyed[one].0 = SecretKey::from_seed(&[99; 32]).public().decode().expect("key");
            prop_assert!(!statement(&rekeyed).holds(&made), "another key");
            let mut reworded = signed.clone();
            reworded[one].1.push(0);
            prop_assert!(!statement(&reworded).holds(&made), "another message");

            signed[one].2.0[flip / 8] ^= 1 << (flip % 8);
            let is_held = aggregate(&signed).is_some_and(|made| statement(&signed).holds(&made));
            prop_assert!(!is_held, "an invalid signature");
            prop_assert!(!statement(&signed).holds(&made) || flip >= 256, "another commitment");
        }

        /// Any bytes are survived.
        #[test]
        fn any_bytes(aggregate in any::<[u8; 32]>(), commitment in any::<[u8; 32]>()) {
            let mut statement = Statement::new();
            statement.push(&SecretKey::from_seed(&[1; 32]).public().decode().expect("key"), &context(), b"message", &commitment);
            prop_assert!(!statement.holds(&Aggregate(aggregate)));
        }
    }
}
