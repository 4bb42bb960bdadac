//! Four lanes: AVX2 with the fused multiply-add of doubles.
//!
//! # Representation
//! An element is five limbs of radix 2^51, `l0 + l1 2^51 + l2 2^102 + l3 2^153 + l4 2^204`, each a double that is a whole number, of either sign.
//!
//! # Products
//! AVX2 multiplies 32 bits only; a fused multiply-add rounds once, so that two of them make a whole product of 102 bits. Let `M` be `1.5 * 2^103`; doubles
//! around it are 2^51 apart. `a b + M` rounds to `M + 2^51 h`, of which the bits, read as a number, are those of `M` plus h. What is left, `l = a b - 2^51
//! h`, is at most 2^50 away from zero, and `a b + (M + L - (M + 2^51 h)) = L + l` is exact, where `L = 1.5 * 2^52`: again its bits, read as a number, are
//! those of `L` plus l. So the product is l in its column and h in the next; both are added up as words of 64 bits, and the bits of all `M` and `L` are taken
//! away at the end, in one constant for each column. It needs `|a b| < 2^102`.
//!
//! # Bound
//! Small limbs are at most `2^50 + 2^14` away from zero, large ones twice as far. The product of a small and a large one is thus below `2^101 + 2^67`.

use std::arch::x86_64::{
    __m256d, __m256i, _mm256_add_epi64, _mm256_add_pd, _mm256_and_si256, _mm256_andnot_si256, _mm256_blendv_pd, _mm256_castpd_si256, _mm256_castsi256_pd,
    _mm256_cmpeq_epi64, _mm256_extract_epi64, _mm256_fmadd_pd, _mm256_movemask_pd, _mm256_mul_epu32, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setr_epi64x, _mm256_setzero_pd, _mm256_setzero_si256, _mm256_slli_epi64, _mm256_sllv_epi64, _mm256_srli_epi64,
    _mm256_srlv_epi64, _mm256_sub_pd, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::lanes::{self, BLOCK_BYTES, Lanes, Register as _};
use super::sum::Points;
use super::transcript;
use super::x86_64::Avx2;
use crate::curve::{Elements, Limbs, MASK, Mask};

/// Four words; whoever has them has the proof.
#[derive(Clone, Copy)]
pub struct Register(Avx2, __m256i);

/// Four elements; whoever has them has the proof.
#[derive(Clone, Copy)]
pub struct Field(Avx2, [__m256d; 5]);

/// [`Points::decode`], compiled for this processor.
#[target_feature(enable = "avx2,fma")]
pub fn decode(proof: Avx2, encodings: &[[u8; 32]]) -> Option<Points<Field, 4>> {
    Points::decode(proof, encodings)
}

/// [`Points::sum`], compiled for this processor.
#[target_feature(enable = "avx2,fma")]
pub fn sum(points: &Points<Field, 4>, scalars: &[[u8; 32]]) -> (Vec<[u8; 32]>, usize) {
    points.sum(scalars)
}

// SAFETY, of all calls below: the first argument is the proof that the processor has the features that the function was compiled for, or `self` has it.

impl lanes::Register<4> for Register {
    type Proof = Avx2;

    #[inline(always)]
    fn splat(proof: Avx2, word: u64) -> Self {
        Self(proof, unsafe { splat(word) })
    }

    #[inline(always)]
    fn from_words(proof: Avx2, words: [u64; 4]) -> Self {
        Self(proof, unsafe { from_words(words) })
    }

    #[inline(always)]
    fn to_words(self) -> [u64; 4] {
        unsafe { to_words(self.1) }
    }

    #[inline(always)]
    fn transposed(rows: [Self; 4]) -> [Self; 4] {
        let [Self(proof, a), Self(_, b), Self(_, c), Self(_, d)] = rows;
        let [a, b, c, d] = unsafe { transposed(&[a, b, c, d]) };
        [Self(proof, a), Self(proof, b), Self(proof, c), Self(proof, d)]
    }

    #[inline(always)]
    fn xor(self, b: Self) -> Self {
        Self(self.0, unsafe { _mm256_xor_si256(self.1, b.1) })
    }

    #[inline(always)]
    fn xor_both(self, b: Self, c: Self) -> Self {
        // What is the same for many is made once: b and c.
        self.xor(b.xor(c))
    }

    #[inline(always)]
    fn xor_and_not(self, b: Self, c: Self) -> Self {
        self.xor(Self(self.0, unsafe { _mm256_andnot_si256(b.1, c.1) }))
    }

    #[inline(always)]
    fn turned(self, by: u32) -> Self {
        Self(self.0, unsafe { turned(self.1, by.into()) })
    }

    fn absorb(state: &mut [Self; 25], blocks: &[[u8; BLOCK_BYTES]; 4]) {
        #[target_feature(enable = "avx2,fma")]
        fn absorb(state: &mut [Register; 25], blocks: &[[u8; BLOCK_BYTES]; 4]) {
            transcript::absorb(state[0].0, state, blocks);
        }
        unsafe { absorb(state, blocks) }
    }
}

impl Elements for Field {
    type Proof = Avx2;

    const LANES: usize = 4;

    #[inline(always)]
    fn splat(proof: Avx2, limbs: Limbs) -> Self {
        let [a, b, c, d, e] = balanced(limbs);
        Self(proof, unsafe { [_mm256_set1_pd(a), _mm256_set1_pd(b), _mm256_set1_pd(c), _mm256_set1_pd(d), _mm256_set1_pd(e)] })
    }

    #[inline(always)]
    fn load(proof: Avx2, elements: &[Limbs]) -> Self {
        let [a, b, c, d, e] = lanes::columns(elements);
        Self(proof, unsafe { doubles(&[from_words(a), from_words(b), from_words(c), from_words(d), from_words(e)]) })
    }

    fn canonical(&self, lane: usize) -> Limbs {
        unsafe { canonical(&self.1) }.map(|limb| Register(self.0, limb).to_words()[lane])
    }

    #[inline(always)]
    fn proof(&self) -> Avx2 {
        self.0
    }

    #[inline(always)]
    fn reduced(&self) -> Self {
        Self(self.0, unsafe { reduced(&self.1) })
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
        // Without p: each limb changes its sign.
        Self(self.0, unsafe { select(&self.1, &subtract(&[_mm256_setzero_pd(); 5], &self.1), is_negative(&self.1)) })
    }
}

impl Lanes<4> for Field {
    type Register = Register;
    type AffineRow = [Register; 4];
    type PointRow = [Register; 5];

    #[inline(always)]
    fn to_limbs(self) -> [Register; 5] {
        let Self(proof, limbs) = self;
        let [a, b, c, d, e] = unsafe { to_bits(&limbs) };
        [Register(proof, a), Register(proof, b), Register(proof, c), Register(proof, d), Register(proof, e)]
    }

    #[inline(always)]
    fn from_limbs(limbs: [Register; 5]) -> Self {
        let [Register(proof, a), Register(_, b), Register(_, c), Register(_, d), Register(_, e)] = limbs;
        Self(proof, unsafe { from_bits(&[a, b, c, d, e]) })
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn splat(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn from_words(words: [u64; 4]) -> __m256i {
    let [a, b, c, d] = words.map(u64::cast_signed);
    _mm256_setr_epi64x(a, b, c, d)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn to_words(register: __m256i) -> [u64; 4] {
    let (a, b) = (_mm256_extract_epi64::<0>(register), _mm256_extract_epi64::<1>(register));
    let (c, d) = (_mm256_extract_epi64::<2>(register), _mm256_extract_epi64::<3>(register));
    [a, b, c, d].map(i64::cast_unsigned)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn transposed(rows: &[__m256i; 4]) -> [__m256i; 4] {
    let [a, b, c, d] = *rows;
    let (ab, cd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpacklo_epi64(c, d));
    let (ab_odd, cd_odd) = (_mm256_unpackhi_epi64(a, b), _mm256_unpackhi_epi64(c, d));
    const LOW: i32 = 0x20;
    const HIGH: i32 = 0x31;
    [
        _mm256_permute2x128_si256::<LOW>(ab, cd),
        _mm256_permute2x128_si256::<LOW>(ab_odd, cd_odd),
        _mm256_permute2x128_si256::<HIGH>(ab, cd),
        _mm256_permute2x128_si256::<HIGH>(ab_odd, cd_odd),
    ]
}

/// A shift by 64 bits leaves nothing, so that zero is no exception.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn turned(register: __m256i, by: u64) -> __m256i {
    _mm256_or_si256(_mm256_sllv_epi64(register, splat(by)), _mm256_srlv_epi64(register, splat(64 - by)))
}

/// What makes words of any sign positive, and rounds to the nearest when the lower 51 bits are cut off.
const OFFSET: u64 = (1 << 60) + (1 << 50);
/// How many times 2^51 that is, half of one left out.
const OFFSET_CARRY: f64 = (1 << 9) as f64;
/// 2^52. Its bits, with lower ones set to a number below 2^52, are `2^52` plus that number.
const WHOLE: f64 = (1_u64 << 52) as f64;

#[inline]
#[target_feature(enable = "avx2,fma")]
fn to_bits(a: &[__m256d; 5]) -> [__m256i; 5] {
    let [a, b, c, d, e] = *a;
    [_mm256_castpd_si256(a), _mm256_castpd_si256(b), _mm256_castpd_si256(c), _mm256_castpd_si256(d), _mm256_castpd_si256(e)]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn from_bits(a: &[__m256i; 5]) -> [__m256d; 5] {
    let [a, b, c, d, e] = *a;
    [_mm256_castsi256_pd(a), _mm256_castsi256_pd(b), _mm256_castsi256_pd(c), _mm256_castsi256_pd(d), _mm256_castsi256_pd(e)]
}

/// Small limbs of limbs below 2^51.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn doubles(limbs: &[__m256i; 5]) -> [__m256d; 5] {
    let mut words = *limbs;
    for word in &mut words {
        *word = _mm256_add_epi64(*word, splat(OFFSET));
    }
    carried(&words)
}

/// As [`doubles`], for constants.
#[inline(always)]
fn balanced(limbs: Limbs) -> [f64; 5] {
    let (mut out, mut carry) = ([0.0; 5], 0);
    for (out, limb) in out.iter_mut().zip(limbs) {
        let sum = limb.cast_signed() + carry;
        carry = (sum + (1 << 50)) >> 51;
        *out = (sum - (carry << 51)) as f64;
    }
    out[0] += 19.0 * carry as f64;
    out
}

/// Small limbs of words to which [`OFFSET`] was added, at most 2^60 before: moves what is above 51 bits, rounded, to the next, and from the last, nineteenfold,
/// to the first.
///
/// What is left of a word is at most 2^50 away from zero; carries are at most 2^9, nineteen of them below 2^14. The sums with them are at most `2^51 + 2^15`,
/// before what was added is taken away again: below 2^52, so that nothing is lost when they are read as doubles.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn carried(words: &[__m256i; 5]) -> [__m256d; 5] {
    let mut out = [_mm256_setzero_pd(); 5];
    for limb in 0..5 {
        let rest = _mm256_or_si256(_mm256_and_si256(words[limb], splat(MASK)), splat(WHOLE.to_bits()));
        let carry = _mm256_srli_epi64::<51>(words[(limb + 4) % 5]);
        let (carry, offset_carry) = if limb == 0 { (_mm256_mul_epu32(carry, splat(19)), 19.0 * OFFSET_CARRY) } else { (carry, OFFSET_CARRY) };
        let sum = _mm256_castsi256_pd(_mm256_add_epi64(rest, carry));
        out[limb] = _mm256_sub_pd(sum, _mm256_set1_pd(WHOLE + WHOLE / 4.0 + offset_carry));
    }
    out
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add(a: &[__m256d; 5], b: &[__m256d; 5]) -> [__m256d; 5] {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = _mm256_add_pd(*out, *b);
    }
    out
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn subtract(a: &[__m256d; 5], b: &[__m256d; 5]) -> [__m256d; 5] {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = _mm256_sub_pd(*out, *b);
    }
    out
}

/// `M` of the module's documentation.
const M: f64 = 1.5 * (1_u128 << 103) as f64;
/// `L`.
const L: f64 = 1.5 * WHOLE;

/// Limbs of large ones, small again: what is above 51 bits, rounded, moves to the next, and from the last, nineteenfold, to the first. It is at most two each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduced(a: &[__m256d; 5]) -> [__m256d; 5] {
    let mut carries = *a;
    for carry in &mut carries {
        // Doubles around M are 2^51 apart.
        *carry = _mm256_sub_pd(_mm256_add_pd(*carry, _mm256_set1_pd(M)), _mm256_set1_pd(M));
    }
    let mut out = *a;
    for limb in 0..5 {
        let scale = if limb == 0 { 19.0 } else { 1.0 } / (1_u64 << 51) as f64;
        out[limb] = _mm256_fmadd_pd(carries[(limb + 4) % 5], _mm256_set1_pd(scale), _mm256_sub_pd(a[limb], carries[limb]));
    }
    out
}

/// Adds products to two columns, each with the bits of `L` or `M`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_products<const N: usize>(columns: &mut [__m256i; 10], column: usize, factors: [(__m256d, __m256d); N]) {
    for (a, b) in factors {
        let high = _mm256_fmadd_pd(a, b, _mm256_set1_pd(M));
        let low = _mm256_fmadd_pd(a, b, _mm256_sub_pd(_mm256_set1_pd(M + L), high));
        columns[column] = _mm256_add_epi64(columns[column], _mm256_castpd_si256(low));
        columns[column + 1] = _mm256_add_epi64(columns[column + 1], _mm256_castpd_si256(high));
    }
}

/// What five limbs have too much after so many products in each column: the bits of `L` for each in the column, of `M` in the next.
const fn surplus(products: [u64; 9]) -> [u64; 5] {
    let mut limbs = [0_u64; 5];
    let mut column = 0;
    while column < 9 {
        let weights = [if column < 5 { 1 } else { 19 }, if column < 4 { 1 } else { 19 }];
        limbs[column % 5] = limbs[column % 5].wrapping_add(L.to_bits().wrapping_mul(products[column] * weights[0]));
        limbs[(column + 1) % 5] = limbs[(column + 1) % 5].wrapping_add(M.to_bits().wrapping_mul(products[column] * weights[1]));
        column += 1;
    }
    limbs
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply(a: &[__m256d; 5], b: &[__m256d; 5]) -> [__m256d; 5] {
    let ([a, b, c, d, e], [f, g, h, i, j]) = (*a, *b);
    let mut columns = [_mm256_setzero_si256(); 10];
    add_products(&mut columns, 0, [(a, f)]);
    add_products(&mut columns, 1, [(a, g), (b, f)]);
    add_products(&mut columns, 2, [(a, h), (b, g), (c, f)]);
    add_products(&mut columns, 3, [(a, i), (b, h), (c, g), (d, f)]);
    add_products(&mut columns, 4, [(a, j), (b, i), (c, h), (d, g), (e, f)]);
    add_products(&mut columns, 5, [(b, j), (c, i), (d, h), (e, g)]);
    add_products(&mut columns, 6, [(c, j), (d, i), (e, h)]);
    add_products(&mut columns, 7, [(d, j), (e, i)]);
    add_products(&mut columns, 8, [(e, j)]);
    folded(&columns, &const { surplus([1, 2, 3, 4, 5, 4, 3, 2, 1]) })
}

/// As [`multiply`], with the products of different limbs made once, of one of them doubled.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn square(a: &[__m256d; 5]) -> [__m256d; 5] {
    let ([a, b, c, d, e], [a_2, b_2, c_2, d_2, _]) = (*a, add(a, a));
    let mut columns = [_mm256_setzero_si256(); 10];
    add_products(&mut columns, 0, [(a, a)]);
    add_products(&mut columns, 1, [(a_2, b)]);
    add_products(&mut columns, 2, [(a_2, c), (b, b)]);
    add_products(&mut columns, 3, [(a_2, d), (b_2, c)]);
    add_products(&mut columns, 4, [(a_2, e), (b_2, d), (c, c)]);
    add_products(&mut columns, 5, [(b_2, e), (c_2, d)]);
    add_products(&mut columns, 6, [(c_2, e), (d, d)]);
    add_products(&mut columns, 7, [(d_2, e)]);
    add_products(&mut columns, 8, [(e, e)]);
    folded(&columns, &const { surplus([1, 1, 2, 2, 3, 2, 2, 1, 1]) })
}

/// Ten columns to five limbs. A column has at most five l and five h, thus is below `5 * (2^50 + 2^51) < 2^54`, but for the surplus. Columns five and above
/// count nineteenfold: a word is below `20 * 2^54 < 2^60`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn folded(columns: &[__m256i; 10], surplus: &[u64; 5]) -> [__m256d; 5] {
    let mut words = [_mm256_setzero_si256(); 5];
    for (limb, word) in words.iter_mut().enumerate() {
        let (near, far) = (columns[limb], columns[limb + 5]);
        let times_9 = _mm256_add_epi64(far, _mm256_slli_epi64::<3>(far));
        let sum = _mm256_add_epi64(_mm256_add_epi64(near, splat(OFFSET.wrapping_sub(surplus[limb]))), far);
        *word = _mm256_add_epi64(sum, _mm256_add_epi64(times_9, times_9));
    }
    carried(&words)
}

/// Limbs below 2^51 of the value below p, of small limbs or constants, one more or less.
///
/// With `2p` added they are between 0 and 2^53. Carried once they are below `2^51 + 2^7`, which keeps the value below `2^255 + 2^212`, so that at most one p
/// must be taken away: exactly if `value + 19` reaches 2^255.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn canonical(a: &[__m256d; 5]) -> [__m256i; 5] {
    let mask = splat(MASK);
    let mut words = [_mm256_setzero_si256(); 5];
    for (limb, word) in words.iter_mut().enumerate() {
        let twice_p = (1 << 52) - if limb == 0 { 38 } else { 2 };
        // The bits of L plus the limb.
        let bits = _mm256_castpd_si256(_mm256_add_pd(a[limb], _mm256_set1_pd(L)));
        *word = _mm256_add_epi64(bits, splat(u64::wrapping_sub(twice_p, L.to_bits())));
    }
    let mut out = words;
    for (limb, out) in out.iter_mut().enumerate() {
        let carry = _mm256_srli_epi64::<51>(words[(limb + 4) % 5]);
        *out = _mm256_add_epi64(_mm256_and_si256(words[limb], mask), if limb == 0 { _mm256_mul_epu32(carry, splat(19)) } else { carry });
    }
    let mut carry = splat(19);
    for limb in out {
        carry = _mm256_srli_epi64::<51>(_mm256_add_epi64(limb, carry));
    }
    carry = _mm256_mul_epu32(carry, splat(19));
    for out in &mut out {
        let sum = _mm256_add_epi64(*out, carry);
        *out = _mm256_and_si256(sum, mask);
        carry = _mm256_srli_epi64::<51>(sum);
    }
    out
}

/// The highest bit of each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn mask_of(register: __m256i) -> Mask {
    _mm256_movemask_pd(_mm256_castsi256_pd(register)).to_le_bytes()[0]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn is_zero(a: &[__m256d; 5]) -> Mask {
    let [a, b, c, d, e] = canonical(a);
    let any = _mm256_or_si256(_mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)), e);
    mask_of(_mm256_cmpeq_epi64(any, _mm256_setzero_si256()))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn is_negative(a: &[__m256d; 5]) -> Mask {
    mask_of(_mm256_slli_epi64::<63>(canonical(a)[0]))
}

/// `b` in the lanes of the mask, `a` in the rest.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn select(a: &[__m256d; 5], b: &[__m256d; 5], mask: Mask) -> [__m256d; 5] {
    // The bit of each lane becomes the highest.
    let chosen = _mm256_castsi256_pd(_mm256_sllv_epi64(splat(mask.into()), from_words([63, 62, 61, 60])));
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = _mm256_blendv_pd(*out, *b, chosen);
    }
    out
}
