//! The same verdicts in less time, on processors with AVX-512 IFMA: eight transcripts, decodings and sums side by side.
//!
//! # What is here
//! 1. [`Backend`] which way a verification goes: with merlin and curve25519-dalek alone, with [`crate::portable`], or side by side.
//! 2. `transcript`: eight challenges at once, instead of merlin's one.
//! 3. `field`, `point`: decoding sixteen commitments at once, instead of curve25519-dalek's one.
//! 4. `sum`: their multiscalar multiplication. curve25519-dalek makes no points from coordinates, and ours never leave this module: what goes in and out are
//!    canonical encodings, which both understand.
//!
//! # Why it is safe
//! - Nothing here sees a secret: signatures, keys and messages are public. So its time may depend on them.
//! - Tests hold every function equal to its twin in merlin or curve25519-dalek, encodings of no point included.
//! - Whatever is refused with these functions is asked again without them ([`crate::batch`], [`crate::aggregate`]): a fault that refuses can only cost time. A
//!   fault that accepts is not seen: a sum does not come out right by mistake, but an encoding that is not canonical might be taken for one. Tests decode every
//!   kind of them.
//! - `unsafe` says one thing only: that the processor has what these functions were compiled for. [`Avx512`] is the proof; nothing but the check makes one. The
//!   functions themselves are safe Rust, without pointers: the intrinsics of arithmetic are safe where their features are.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls of functions compiled for AVX-512, behind the proof that the processor has it"))]

#[cfg(target_arch = "x86_64")]
mod field;
#[cfg(target_arch = "x86_64")]
mod transcript;
#[cfg(target_arch = "x86_64")]
mod point;
#[cfg(target_arch = "x86_64")]
mod sum;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use std::fmt;

#[cfg(target_arch = "x86_64")]
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
#[cfg(target_arch = "x86_64")]
use curve25519_dalek::traits::Identity;

/// How signatures are verified. The verdict is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One after the other, with merlin and curve25519-dalek.
    Serial,
    /// The same, with our own sum over commitments ([`crate::portable`]).
    Portable,
    /// Eight side by side.
    Vector(Avx512),
}

impl Backend {
    /// All that this processor has, the slowest first.
    pub fn all() -> Vec<Self> {
        [Self::Serial, Self::Portable].into_iter().chain(Avx512::detect().map(Self::Vector)).collect()
    }

    /// The fastest that this processor has.
    pub fn detect() -> Self {
        Avx512::detect().map_or(Self::Portable, Self::Vector)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serial => "serial",
            Self::Portable => "portable",
            Self::Vector(_) => "AVX-512 IFMA",
        })
    }
}

/// What a challenge is about, besides its context.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "made for vectors only"))]
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub message: &'a [u8],
    pub key: &'a [u8; 32],
    pub commitment: &'a [u8; 32],
}

/// Proof that this processor has AVX-512 F and IFMA, and that the operating system keeps their registers.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// The proof, if it is so.
    pub fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512ifma")).then_some(Self(()))
    }

    /// The 64 bytes of the challenge of each, all in one context; the messages of eight must be equally long.
    pub(crate) fn challenges(self, context: &[u8], eights: &[[Signed<'_>; 8]]) -> Vec<[[u8; 64]; 8]> {
        // SAFETY: `self` is the proof that the processor has the features that the function was compiled for.
        unsafe { transcript::challenges(context, eights) }
    }

    /// Decodes all, or nothing if one of them is not the canonical encoding of a point.
    pub fn decode(self, encodings: &[[u8; 32]]) -> Option<Points> {
        // SAFETY: as above.
        unsafe { sum::Points::decode(encodings) }.map(|points| Points(self, points))
    }
}

/// Many decoded points.
#[cfg(target_arch = "x86_64")]
pub struct Points(Avx512, sum::Points);

#[cfg(target_arch = "x86_64")]
impl Points {
    /// The sum of all points, each times its number of 256 bits, little-endian. `None` only by a fault.
    pub fn sum(&self, scalars: &[[u8; 32]]) -> Option<RistrettoPoint> {
        let Self(Avx512(()), points) = self;
        // SAFETY: `self` has the proof that the processor has the features that the function was compiled for.
        let (encodings, width) = unsafe { points.sum(scalars) };
        encodings
            .iter()
            .rev()
            .try_fold(RistrettoPoint::identity(), |sum, encoding| Some((0..width).fold(sum, |sum, _| sum + sum) + CompressedRistretto(*encoding).decompress()?))
    }
}

/// Other processors never have it: no value of this type exists.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Avx512 {}

#[cfg(not(target_arch = "x86_64"))]
impl Avx512 {
    /// Nothing.
    pub fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn challenges(self, _: &[u8], _: &[[Signed<'_>; 8]]) -> Vec<[[u8; 64]; 8]> {
        match self {}
    }

    /// Never called.
    pub fn decode(self, _: &[[u8; 32]]) -> Option<Points> {
        match self {}
    }
}

/// Points of no processor.
#[cfg(not(target_arch = "x86_64"))]
pub struct Points(Avx512);

#[cfg(not(target_arch = "x86_64"))]
impl Points {
    /// Never called.
    pub fn sum(&self, _: &[[u8; 32]]) -> Option<curve25519_dalek::ristretto::RistrettoPoint> {
        match self.0 {}
    }
}
