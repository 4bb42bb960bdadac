//! Eight lanes: AVX-512 with IFMA.
//!
//! # Representation
//! An element is five limbs of radix 2^51: `l0 + l1 2^51 + l2 2^102 + l3 2^153 + l4 2^204`, not reduced below `p = 2^255 - 19`.
//!
//! **Bound.** Every limb of every [`Field`], small or large, is below `2^51 + 2^15`, thus below 2^52, which is what the multiply-add of AVX-512 IFMA reads of
//! its factors. Each function states why its result keeps the bound, and why no lane overflows on the way.

use std::arch::x86_64::{
    __m512i, _mm256_extract_epi64, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_extracti64x4_epi64, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_or_si512, _mm512_rolv_epi64, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_sub_epi64, _mm512_ternarylogic_epi64, _mm512_test_epi64_mask, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::lanes::{self, BLOCK_BYTES, Lanes, Register as _};
use super::sum::Points;
use super::transcript;
use super::x86_64::Avx512;
use crate::curve::{Elements, Limbs, MASK, Mask, ZERO};

/// Eight words; whoever has them has the proof.
#[derive(Clone, Copy)]
pub struct Register(Avx512, __m512i);

/// Eight elements; whoever has them has the proof.
#[derive(Clone, Copy)]
pub struct Field(Avx512, [__m512i; 5]);

/// [`Points::decode`], compiled for this processor.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn decode(proof: Avx512, encodings: &[[u8; 32]]) -> Option<Points<Field, 8>> {
    Points::decode(proof, encodings)
}

/// [`Points::sum`], compiled for this processor.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn sum(points: &Points<Field, 8>, scalars: &[[u8; 32]]) -> (Vec<[u8; 32]>, usize) {
    points.sum(scalars)
}

// SAFETY, of all calls below: the first argument is the proof that the processor has the features that the function was compiled for, or `self` has it.

impl lanes::Register<8> for Register {
    type Proof = Avx512;

    #[inline(always)]
    fn splat(proof: Avx512, word: u64) -> Self {
        Self(proof, unsafe { splat(word) })
    }

    #[inline(always)]
    fn from_words(proof: Avx512, words: [u64; 8]) -> Self {
        Self(proof, unsafe { from_words(words) })
    }

    #[inline(always)]
    fn to_words(self) -> [u64; 8] {
        unsafe { to_words(self.1) }
    }

    #[inline(always)]
    fn transposed(rows: [Self; 8]) -> [Self; 8] {
        let [Self(proof, a), Self(_, b), Self(_, c), Self(_, d), Self(_, e), Self(_, f), Self(_, g), Self(_, h)] = rows;
        let [a, b, c, d, e, f, g, h] = unsafe { transposed(&[a, b, c, d, e, f, g, h]) };
        [Self(proof, a), Self(proof, b), Self(proof, c), Self(proof, d), Self(proof, e), Self(proof, f), Self(proof, g), Self(proof, h)]
    }

    #[inline(always)]
    fn xor(self, b: Self) -> Self {
        Self(self.0, unsafe { _mm512_xor_si512(self.1, b.1) })
    }

    #[inline(always)]
    fn xor_both(self, b: Self, c: Self) -> Self {
        Self(self.0, unsafe { _mm512_ternarylogic_epi64::<0x96>(self.1, b.1, c.1) })
    }

    #[inline(always)]
    fn xor_and_not(self, b: Self, c: Self) -> Self {
        Self(self.0, unsafe { _mm512_ternarylogic_epi64::<0xd2>(self.1, b.1, c.1) })
    }

    #[inline(always)]
    fn turned(self, by: u32) -> Self {
        Self(self.0, unsafe { _mm512_rolv_epi64(self.1, splat(by.into())) })
    }

    fn absorb(state: &mut [Self; 25], blocks: &[[u8; BLOCK_BYTES]; 8]) {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn absorb(state: &mut [Register; 25], blocks: &[[u8; BLOCK_BYTES]; 8]) {
            transcript::absorb(state[0].0, state, blocks);
        }
        unsafe { absorb(state, blocks) }
    }
}

impl Elements for Field {
    type Proof = Avx512;

    const LANES: usize = 8;

    #[inline(always)]
    fn splat(proof: Avx512, limbs: Limbs) -> Self {
        let [a, b, c, d, e] = limbs;
        Self(proof, unsafe { [splat(a), splat(b), splat(c), splat(d), splat(e)] })
    }

    #[inline(always)]
    fn load(proof: Avx512, elements: &[Limbs]) -> Self {
        let [a, b, c, d, e] = lanes::columns(elements);
        Self(proof, unsafe { [from_words(a), from_words(b), from_words(c), from_words(d), from_words(e)] })
    }

    fn canonical(&self, lane: usize) -> Limbs {
        unsafe { canonical(&self.1) }.map(|limb| Register(self.0, limb).to_words()[lane])
    }

    #[inline(always)]
    fn proof(&self) -> Avx512 {
        self.0
    }

    #[inline(always)]
    fn reduced(&self) -> Self {
        *self
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Self(self.0, unsafe { add(&self.1, &other.1) })
    }

    #[inline(always)]
    fn subtract(&self, other: &Self) -> Self {
        Self(self.0, unsafe { subtract(&self.1, &other.1) })
    }

    #[inline(always)]
    fn multiply(&self, other: &Self) -> Self {
        Self(self.0, unsafe { multiply(&self.1, &other.1) })
    }

    #[inline(always)]
    fn square(&self) -> Self {
        Self(self.0, unsafe { square(&self.1) })
    }

    #[inline(always)]
    fn is_zero(&self) -> Mask {
        unsafe { is_zero(&self.1) }
    }

    #[inline(always)]
    fn is_negative(&self) -> Mask {
        unsafe { is_negative(&self.1) }
    }

    #[inline(always)]
    fn select(&self, other: &Self, mask: Mask) -> Self {
        Self(self.0, unsafe { select(&self.1, &other.1, mask) })
    }

    #[inline(always)]
    fn absolute(&self) -> Self {
        self.select(&Self::splat(self.0, ZERO).subtract(self), self.is_negative())
    }
}

impl Lanes<8> for Field {
    type Register = Register;
    type AffineRow = [Register; 2];
    type PointRow = [Register; 3];

    #[inline(always)]
    fn to_limbs(self) -> [Register; 5] {
        let Self(proof, [a, b, c, d, e]) = self;
        [Register(proof, a), Register(proof, b), Register(proof, c), Register(proof, d), Register(proof, e)]
    }

    #[inline(always)]
    fn from_limbs(limbs: [Register; 5]) -> Self {
        let [Register(proof, a), Register(_, b), Register(_, c), Register(_, d), Register(_, e)] = limbs;
        Self(proof, [a, b, c, d, e])
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn splat(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn from_words(words: [u64; 8]) -> __m512i {
    let [a, b, c, d, e, f, g, h] = words.map(u64::cast_signed);
    _mm512_setr_epi64(a, b, c, d, e, f, g, h)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn to_words(register: __m512i) -> [u64; 8] {
    let (low, high) = (_mm512_extracti64x4_epi64::<0>(register), _mm512_extracti64x4_epi64::<1>(register));
    let (a, b, c, d) = (_mm256_extract_epi64::<0>(low), _mm256_extract_epi64::<1>(low), _mm256_extract_epi64::<2>(low), _mm256_extract_epi64::<3>(low));
    let (e, f, g, h) = (_mm256_extract_epi64::<0>(high), _mm256_extract_epi64::<1>(high), _mm256_extract_epi64::<2>(high), _mm256_extract_epi64::<3>(high));
    [a, b, c, d, e, f, g, h].map(i64::cast_unsigned)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn transposed(rows: &[__m512i; 8]) -> [__m512i; 8] {
    // Words of neighbours, then pairs of words, then quarters.
    let [a, b, c, d, e, f, g, h] = *rows;
    let (ab, cd) = (_mm512_unpacklo_epi64(a, b), _mm512_unpacklo_epi64(c, d));
    let (ef, gh) = (_mm512_unpacklo_epi64(e, f), _mm512_unpacklo_epi64(g, h));
    let (ab_odd, cd_odd) = (_mm512_unpackhi_epi64(a, b), _mm512_unpackhi_epi64(c, d));
    let (ef_odd, gh_odd) = (_mm512_unpackhi_epi64(e, f), _mm512_unpackhi_epi64(g, h));
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    // Quarters 0 and 2, or 1 and 3, of each.
    let (abcd_0, efgh_0) = (_mm512_shuffle_i64x2::<EVEN>(ab, cd), _mm512_shuffle_i64x2::<EVEN>(ef, gh));
    let (abcd_2, efgh_2) = (_mm512_shuffle_i64x2::<ODD>(ab, cd), _mm512_shuffle_i64x2::<ODD>(ef, gh));
    let (abcd_1, efgh_1) = (_mm512_shuffle_i64x2::<EVEN>(ab_odd, cd_odd), _mm512_shuffle_i64x2::<EVEN>(ef_odd, gh_odd));
    let (abcd_3, efgh_3) = (_mm512_shuffle_i64x2::<ODD>(ab_odd, cd_odd), _mm512_shuffle_i64x2::<ODD>(ef_odd, gh_odd));
    [
        _mm512_shuffle_i64x2::<EVEN>(abcd_0, efgh_0),
        _mm512_shuffle_i64x2::<EVEN>(abcd_1, efgh_1),
        _mm512_shuffle_i64x2::<EVEN>(abcd_2, efgh_2),
        _mm512_shuffle_i64x2::<EVEN>(abcd_3, efgh_3),
        _mm512_shuffle_i64x2::<ODD>(abcd_0, efgh_0),
        _mm512_shuffle_i64x2::<ODD>(abcd_1, efgh_1),
        _mm512_shuffle_i64x2::<ODD>(abcd_2, efgh_2),
        _mm512_shuffle_i64x2::<ODD>(abcd_3, efgh_3),
    ]
}

/// Moves what is above 51 bits of each limb to the next, and from the last, nineteenfold, to the first, since `2^255 = 19`.
///
/// For limbs below 2^61 that is less than 2^10 each: a sum below `2^51 + 19 * 2^10 < 2^51 + 2^15`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn carried(limbs: [__m512i; 5]) -> [__m512i; 5] {
    let (mask, mut out) = (splat(MASK), limbs);
    for limb in 0..4 {
        out[limb + 1] = _mm512_add_epi64(_mm512_and_si512(limbs[limb + 1], mask), _mm512_srli_epi64::<51>(limbs[limb]));
    }
    out[0] = _mm512_madd52lo_epu64(_mm512_and_si512(limbs[0], mask), _mm512_srli_epi64::<51>(limbs[4]), _mm512_set1_epi64(19));
    out
}

/// The sum: limbs below `2^52 + 2^16` before they are carried.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add(a: &[__m512i; 5], b: &[__m512i; 5]) -> [__m512i; 5] {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = _mm512_add_epi64(*out, *b);
    }
    carried(out)
}

/// The difference, as `a + 2p - b`: the limbs of 2p are at least `2^52 - 38`, above any limb of `b`, and the sums are below 2^53.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn subtract(a: &[__m512i; 5], b: &[__m512i; 5]) -> [__m512i; 5] {
    let mut out = *a;
    for (limb, (out, b)) in out.iter_mut().zip(b).enumerate() {
        let twice_p = _mm512_set1_epi64(if limb == 0 { (1 << 52) - 38 } else { (1 << 52) - 2 });
        *out = _mm512_sub_epi64(_mm512_add_epi64(*out, twice_p), *b);
    }
    carried(out)
}

/// The product.
///
/// The product of two limbs is below 2^104; its lower 52 bits count in column i + j, the upper ones twice in the next, as that is 51 bits further.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply(a: &[__m512i; 5], b: &[__m512i; 5]) -> [__m512i; 5] {
    let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
    for i in 0..5 {
        for j in 0..5 {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], b[j]);
            high[i + j] = _mm512_madd52hi_epu64(high[i + j], a[i], b[j]);
        }
    }
    folded(&low, &high)
}

/// The square: as [`multiply`], with the products of different limbs made once and doubled.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn square(a: &[__m512i; 5]) -> [__m512i; 5] {
    let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
    for i in 0..5 {
        for j in i + 1..5 {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], a[j]);
            high[i + j] = _mm512_madd52hi_epu64(high[i + j], a[i], a[j]);
        }
    }
    for column in 1..8 {
        low[column] = _mm512_add_epi64(low[column], low[column]);
        high[column] = _mm512_add_epi64(high[column], high[column]);
    }
    for i in 0..5 {
        low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], a[i], a[i]);
        high[2 * i] = _mm512_madd52hi_epu64(high[2 * i], a[i], a[i]);
    }
    folded(&low, &high)
}

/// Ten columns to five limbs. A column has at most five lower halves and twice five upper ones, all below 2^52: it is below 2^56. Columns five and above
/// count nineteenfold: a limb is below `20 * 2^56 < 2^61`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn folded(low: &[__m512i; 9], high: &[__m512i; 9]) -> [__m512i; 5] {
    let mut out = [_mm512_setzero_si512(); 5];
    for (limb, out) in out.iter_mut().enumerate() {
        let mut near = low[limb];
        if limb > 0 {
            near = _mm512_add_epi64(near, _mm512_add_epi64(high[limb - 1], high[limb - 1]));
        }
        let mut far = _mm512_add_epi64(high[limb + 4], high[limb + 4]);
        if limb < 4 {
            far = _mm512_add_epi64(far, low[limb + 5]);
        }
        let times_18 = _mm512_add_epi64(_mm512_slli_epi64::<4>(far), _mm512_slli_epi64::<1>(far));
        *out = _mm512_add_epi64(_mm512_add_epi64(near, far), times_18);
    }
    carried(out)
}

/// Limbs below 2^51 of the value below p.
///
/// The bound keeps the value below `2^255 + 2^220`, so that at most one p must be taken away: exactly if `value + 19` reaches 2^255.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn canonical(a: &[__m512i; 5]) -> [__m512i; 5] {
    let mask = splat(MASK);
    let mut carry = _mm512_srli_epi64::<51>(_mm512_add_epi64(a[0], _mm512_set1_epi64(19)));
    for limb in &a[1..] {
        carry = _mm512_srli_epi64::<51>(_mm512_add_epi64(*limb, carry));
    }
    let mut out = *a;
    carry = _mm512_madd52lo_epu64(_mm512_setzero_si512(), carry, _mm512_set1_epi64(19));
    for out in &mut out {
        let sum = _mm512_add_epi64(*out, carry);
        *out = _mm512_and_si512(sum, mask);
        carry = _mm512_srli_epi64::<51>(sum);
    }
    out
}

/// Which lanes are zero.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn is_zero(a: &[__m512i; 5]) -> Mask {
    let [a, b, c, d, e] = canonical(a);
    let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
    _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512())
}

/// Which lanes are negative: canonical and odd.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn is_negative(a: &[__m512i; 5]) -> Mask {
    _mm512_test_epi64_mask(canonical(a)[0], _mm512_set1_epi64(1))
}

/// `b` in the lanes of the mask, `a` in the rest.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn select(a: &[__m512i; 5], b: &[__m512i; 5], mask: Mask) -> [__m512i; 5] {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = _mm512_mask_blend_epi64(mask, *out, *b);
    }
    out
}
