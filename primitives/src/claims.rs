//! What many signatures say: who signed what, with which commitment. The common part of [`crate::batch`] and [`crate::aggregate`].
//!
//! Nothing is computed while claims are collected; messages are copied instead, so that challenges of messages of equal length can be hashed side by side
//! ([`crate::vector`]).

use std::collections::BTreeMap;
use std::ops::Range;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;

use crate::portable;
use crate::schnorr::{Context, PublicKey, VerifyingKey, challenge};
use crate::vector::{self, Backend, Signed, Vector};

/// Below so many signatures the sum is faster one by one: lanes have a fixed price, the encoding and decoding between them and curve25519-dalek.
const VECTOR_MIN: usize = 24;

/// Below so many, one multiplication for commitments and keys together is faster than two.
const PORTABLE_MIN: usize = 64;

/// Signed messages whose challenges are still to be computed.
#[derive(Default)]
pub(crate) struct Unhashed {
    contexts: Vec<Context>,
    /// All messages, one after the other.
    messages: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    context: usize,
    message: Range<usize>,
    key: PublicKey,
    commitment: [u8; 32],
}

impl Unhashed {
    pub fn push(&mut self, context: &Context, message: &[u8], key: PublicKey, commitment: [u8; 32]) {
        let start = self.messages.len();
        self.messages.extend_from_slice(message);
        // Most often there is one context.
        let known = self.contexts.iter().rposition(|known| known.bytes() == context.bytes());
        let context = known.unwrap_or_else(|| {
            self.contexts.push(context.clone());
            self.contexts.len() - 1
        });
        self.entries.push(Entry { context, message: start..self.messages.len(), key, commitment });
    }

    /// All challenges, in order.
    pub fn challenges(&self, backend: Backend) -> Vec<Scalar> {
        match backend {
            Backend::Serial | Backend::Portable => self.entries.iter().map(|entry| self.challenge(entry)).collect(),
            Backend::Vector(vector) => self.challenges_side_by_side(vector),
        }
    }

    fn challenge(&self, entry: &Entry) -> Scalar {
        challenge(&self.contexts[entry.context], &self.messages[entry.message.clone()], &entry.key, &entry.commitment)
    }

    /// As [`Unhashed::challenges`], those of one context and length together.
    fn challenges_side_by_side(&self, vector: Vector) -> Vec<Scalar> {
        let mut alike: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (position, entry) in self.entries.iter().enumerate() {
            alike.entry((entry.context, entry.message.len())).or_default().push(position);
        }
        let mut challenges = vec![Scalar::ZERO; self.entries.len()];
        for ((context, _), positions) in alike {
            let signed = |position: &usize| {
                let entry = &self.entries[*position];
                Signed { message: &self.messages[entry.message.clone()], key: &entry.key.0, commitment: &entry.commitment }
            };
            let signed: Vec<Signed> = positions.iter().map(signed).collect();
            for (position, wide) in positions.iter().zip(vector.challenges(self.contexts[context].bytes(), &signed)) {
                challenges[*position] = Scalar::from_bytes_mod_order_wide(&wide);
            }
        }
        challenges
    }
}

/// Claims that a key signed a message in a context with a commitment.
#[derive(Default)]
pub(crate) struct Claims {
    unhashed: Unhashed,
    /// Each key once, with its point if it was decoded.
    keys: Vec<(PublicKey, Option<VerifyingKey>)>,
    numbers: BTreeMap<PublicKey, usize>,
    /// The number of the key of each claim.
    signers: Vec<usize>,
}

impl Claims {
    pub fn push(&mut self, key: &VerifyingKey, context: &Context, message: &[u8], commitment: [u8; 32]) {
        self.push_key((key.public(), Some(*key)), context, message, commitment);
    }

    /// Adds a claim of a key that may be none: then it does not hold.
    pub fn push_undecoded(&mut self, key: PublicKey, context: &Context, message: &[u8], commitment: [u8; 32]) {
        self.push_key((key, None), context, message, commitment);
    }

    fn push_key(&mut self, key: (PublicKey, Option<VerifyingKey>), context: &Context, message: &[u8], commitment: [u8; 32]) {
        self.unhashed.push(context, message, key.0, commitment);
        let number = match self.signers.last() {
            Some(last) if self.keys[*last].0 == key.0 => *last,
            _ => *self.numbers.entry(key.0).or_insert_with(|| {
                self.keys.push(key);
                self.keys.len() - 1
            }),
        };
        self.signers.push(number);
    }

    pub fn len(&self) -> usize {
        self.signers.len()
    }

    /// The challenge of each claim.
    pub fn challenges(&self, backend: Backend) -> Vec<Scalar> {
        self.unhashed.challenges(backend)
    }

    /// `sum z_i R_i + sum_A (sum z_i c_i) A` over the claims at these positions, of which challenges and coefficients are given; `None` if an `R_i` is not the
    /// canonical encoding of a point, or an `A` not that of a key.
    pub fn sum(&self, positions: Range<usize>, challenges: &[Scalar], coefficients: &[u128], backend: Backend) -> Option<RistrettoPoint> {
        let mut of_keys: BTreeMap<usize, Products> = BTreeMap::new();
        for ((signer, challenge), z) in self.signers[positions.clone()].iter().zip(challenges).zip(coefficients) {
            of_keys.entry(*signer).or_default().add(*z, challenge);
        }
        let of_keys = of_keys.into_iter().map(|(signer, products)| (&self.keys[signer], products.sum()));
        let commitments = self.unhashed.entries[positions.clone()].iter().map(|entry| entry.commitment);
        match backend {
            Backend::Vector(vector) if positions.len() >= VECTOR_MIN => {
                let (keys, scalars): (Vec<_>, Vec<_>) = of_keys.map(|((key, _), scalar)| (key.0, scalar.to_bytes())).unzip();
                if keys.contains(&IDENTITY) {
                    return None;
                }
                let wide = |z: &u128| {
                    let mut bytes = [0; 32];
                    bytes[..16].copy_from_slice(&z.to_le_bytes());
                    bytes
                };
                let points = vector::Points::decode(vector, &commitments.chain(keys).collect::<Vec<_>>())?;
                points.sum(&coefficients.iter().map(wide).chain(scalars).collect::<Vec<_>>())
            }
            Backend::Vector(_) | Backend::Portable if positions.len() >= PORTABLE_MIN => {
                let points = portable::Points::decode(&commitments.collect::<Vec<_>>())?;
                let (keys, scalars): (Vec<_>, Vec<_>) =
                    of_keys.map(|(key, scalar)| Some((point(key)?, scalar))).collect::<Option<Vec<_>>>()?.into_iter().unzip();
                let of_commitments = CompressedRistretto(points.sum(coefficients)).decompress()?;
                Some(of_commitments + RistrettoPoint::vartime_multiscalar_mul(scalars, keys))
            }
            Backend::Vector(_) | Backend::Portable | Backend::Serial => {
                let (keys, scalars): (Vec<_>, Vec<_>) = of_keys.map(|(key, scalar)| (point(key), scalar)).unzip();
                let scalars: Vec<Scalar> = coefficients.iter().map(|z| Scalar::from(*z)).chain(scalars).collect();
                let commitments = commitments.map(|bytes| CompressedRistretto(bytes).decompress());
                RistrettoPoint::optional_multiscalar_mul(&scalars, commitments.chain(keys))
            }
        }
    }
}

/// The encoding of the identity, which is no key.
const IDENTITY: [u8; 32] = [0; 32];

/// The point of a key, if it is one.
fn point((key, decoded): &(PublicKey, Option<VerifyingKey>)) -> Option<RistrettoPoint> {
    decoded.or_else(|| key.decode().ok()).map(|key| key.point)
}

/// A sum of products of 128-bit numbers and scalars, reduced once at the end instead of once for each: eight words have room for `2^131` products.
#[derive(Clone, Copy, Default)]
pub(crate) struct Products([u64; 8]);

impl Products {
    pub fn add(&mut self, number: u128, scalar: &Scalar) {
        let (words, _) = scalar.as_bytes().as_chunks::<8>();
        let (low, high) = (number & u128::from(u64::MAX), number >> 64);
        for (shift, factor) in [(0, low), (1, high)] {
            let mut carry = 0;
            for (place, word) in self.0[shift..].iter_mut().enumerate() {
                let product = words.get(place).map_or(0, |word| factor * u128::from(u64::from_le_bytes(*word)));
                // At most (2^64 - 1)^2 + 2 (2^64 - 1) = 2^128 - 1.
                let sum = product + u128::from(*word) + carry;
                (*word, carry) = (low_word(sum), sum >> 64);
            }
        }
    }

    /// The sum modulo the order of the group.
    pub fn sum(&self) -> Scalar {
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        Scalar::from_bytes_mod_order_wide(&bytes)
    }
}

fn low_word(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).expect("64 bits")
}
