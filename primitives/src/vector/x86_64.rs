//! What x86-64 has for it: proofs that a processor can, and which functions were compiled for it.

use super::{Signed, avx2, avx512, sum};

/// Proof that this processor has AVX2 and FMA, and that the operating system keeps their registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, if it is so.
    pub fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

/// Proof that this processor has AVX-512 F and IFMA, and that the operating system keeps their registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx512 {
    /// The proof, if it is so.
    pub fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512ifma")).then_some(Self(()))
    }
}

/// Registers that a processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vector {
    /// Four lanes.
    Avx2(Avx2),
    /// Eight lanes.
    Avx512(Avx512),
}

impl Vector {
    /// All that this processor has, the slowest first.
    pub fn all() -> Vec<Self> {
        Avx2::detect().map(Self::Avx2).into_iter().chain(Avx512::detect().map(Self::Avx512)).collect()
    }

    /// What they are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx2(_) => "AVX2",
            Self::Avx512(_) => "AVX-512 IFMA",
        }
    }

    /// The 64 bytes of the challenge of each, all in one context; messages must be equally long.
    pub(crate) fn challenges(self, context: &[u8], signed: &[Signed<'_>]) -> Vec<[u8; 64]> {
        match self {
            Self::Avx2(proof) => super::transcript::challenges::<avx2::Register, 4>(proof, context, signed),
            Self::Avx512(proof) => super::transcript::challenges::<avx512::Register, 8>(proof, context, signed),
        }
    }

    /// [`sum::Points::decode`].
    pub(super) fn decode(self, encodings: &[[u8; 32]]) -> Option<Points> {
        // SAFETY: the proof says that the processor has the features that the function was compiled for.
        match self {
            Self::Avx2(proof) => unsafe { avx2::decode(proof, encodings) }.map(Points::Avx2),
            Self::Avx512(proof) => unsafe { avx512::decode(proof, encodings) }.map(Points::Avx512),
        }
    }
}

/// Decoded points, in such registers.
pub(super) enum Points {
    Avx2(sum::Points<avx2::Field, 4>),
    Avx512(sum::Points<avx512::Field, 8>),
}

impl Points {
    /// [`sum::Points::sum`].
    pub fn sum(&self, scalars: &[[u8; 32]]) -> (Vec<[u8; 32]>, usize) {
        // SAFETY: points have the proof that the processor has the features that the function was compiled for.
        match self {
            Self::Avx2(points) => unsafe { avx2::sum(points, scalars) },
            Self::Avx512(points) => unsafe { avx512::sum(points, scalars) },
        }
    }
}
