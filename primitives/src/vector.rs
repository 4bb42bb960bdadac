//! The same verdicts in less time, on processors with vectors: several transcripts, decodings and sums side by side.
//!
//! # What is here
//! 1. [`Backend`] which way a verification goes: with merlin and curve25519-dalek alone, with [`crate::portable`], or side by side.
//! 2. `lanes`: what is needed of a processor. `avx512`: eight lanes with AVX-512 IFMA; `avx2`: four with AVX2 and FMA; `x86_64`: the proof that there are any.
//! 3. `transcript`: a challenge in each lane at once, instead of merlin's one.
//! 4. `sum`: decoding two times as many commitments as there are lanes at once, instead of curve25519-dalek's one, and their multiscalar multiplication.
//!    curve25519-dalek makes no points from coordinates, and ours never leave this module: what goes in and out are canonical encodings, which both understand.
//!
//! Formulas of points are those of `crate::curve`, the same for any lanes.
//!
//! # Why it is safe
//! - Nothing here sees a secret: signatures, keys and messages are public. So its time may depend on them.
//! - Tests hold every function equal to its twin in merlin or curve25519-dalek, encodings of no point included, with each of these processors that is there.
//! - Whatever is refused with these functions is asked again without them ([`crate::batch`], [`crate::aggregate`]): a fault that refuses can only cost time. A
//!   fault that accepts is not seen: a sum does not come out right by mistake, but an encoding that is not canonical might be taken for one. Tests decode every
//!   kind of them.
//! - `unsafe` says one thing only: that the processor has what these functions were compiled for. [`Avx2`] and [`Avx512`] are the proofs; nothing but the check
//!   makes one, and every register and every element has one. The functions themselves are safe Rust, without pointers: the intrinsics of arithmetic are safe
//!   where their features are.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls of functions compiled for AVX2 or AVX-512, behind the proof that the processor has it")
)]

#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod transcript;
#[cfg(target_arch = "x86_64")]
mod sum;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::traits::Identity;

#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::Vector;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Avx2, Avx512, Vector};

#[cfg(not(target_arch = "x86_64"))]
use elsewhere as processor;
#[cfg(target_arch = "x86_64")]
use x86_64 as processor;

/// How signatures are verified. The verdict is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One after the other, with merlin and curve25519-dalek.
    Serial,
    /// The same, with our own sum over commitments ([`crate::portable`]).
    Portable,
    /// Several side by side.
    Vector(Vector),
}

impl Backend {
    /// All that this processor has, the slowest first.
    pub fn all() -> Vec<Self> {
        [Self::Serial, Self::Portable].into_iter().chain(Vector::all().into_iter().map(Self::Vector)).collect()
    }

    /// The fastest that this processor has.
    pub fn detect() -> Self {
        Vector::all().last().map_or(Self::Portable, |vector| Self::Vector(*vector))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serial => "serial",
            Self::Portable => "portable",
            Self::Vector(vector) => vector.name(),
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

/// Many decoded points.
pub struct Points(processor::Points);

impl Points {
    /// Decodes all, or nothing if one of them is not the canonical encoding of a point.
    pub fn decode(vector: Vector, encodings: &[[u8; 32]]) -> Option<Self> {
        vector.decode(encodings).map(Self)
    }

    /// The sum of all points, each times its number of 256 bits, little-endian. `None` only by a fault.
    pub fn sum(&self, scalars: &[[u8; 32]]) -> Option<RistrettoPoint> {
        let (encodings, width) = self.0.sum(scalars);
        encodings
            .iter()
            .rev()
            .try_fold(RistrettoPoint::identity(), |sum, encoding| Some((0..width).fold(sum, |sum, _| sum + sum) + CompressedRistretto(*encoding).decompress()?))
    }
}
