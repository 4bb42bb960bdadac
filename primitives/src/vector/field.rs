//! Eight elements of the field of 2^255 - 19 side by side, one in each 64-bit lane.
//!
//! # Representation
//! An element is five limbs of radix 2^51: `l0 + l1 2^51 + l2 2^102 + l3 2^153 + l4 2^204`, not reduced below `p = 2^255 - 19`.
//!
//! **Bound.** Every limb of every [`Field`] is below `2^51 + 2^15`, thus below 2^52, which is what the multiply-add of AVX-512 IFMA reads of its factors.
//! Each function states why its result keeps the bound, and why no lane overflows on the way.
//!
//! The time of everything here is the same for all values, but nothing relies on it: signatures are public.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64,
    _mm512_or_si512, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_sub_epi64,
    _mm512_test_epi64_mask,
};

/// The lower 51 bits.
const MASK: i64 = (1 << 51) - 1;

/// Eight elements.
#[derive(Clone, Copy)]
pub struct Field([__m512i; 5]);

/// The constant d of the curve, `-121665/121666`.
pub const D: [i64; 5] = [929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575];
/// `2 d`.
pub const D_TWICE: [i64; 5] = [1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903];
/// `sqrt(-1)`, the even one.
pub const ROOT_OF_MINUS_ONE: [i64; 5] = [1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133];
/// `1/sqrt(-1 - d)`, the even one.
pub const ROOT_OF_INVERSE: [i64; 5] = [278908739862762, 821645201101625, 8113234426968, 1777959178193151, 2118520810568447];
/// One.
pub const ONE: [i64; 5] = [1, 0, 0, 0, 0];
/// Zero.
pub const ZERO: [i64; 5] = [0; 5];

impl Field {
    /// The same element, given as limbs below 2^51, in all lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn splat(limbs: [i64; 5]) -> Self {
        let mut out = [_mm512_setzero_si512(); 5];
        for (out, limb) in out.iter_mut().zip(limbs) {
            *out = _mm512_set1_epi64(limb);
        }
        Self(out)
    }

    /// From limbs that hold the bound: those of [`Field::limbs`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn from_limbs(limbs: [__m512i; 5]) -> Self {
        Self(limbs)
    }

    /// The limbs, lane by lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn limbs(&self) -> [__m512i; 5] {
        self.0
    }

    /// From four 64-bit words, least significant first; bit 255 must not be set. Limbs are below 2^51.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn from_words(words: [__m512i; 4]) -> Self {
        let mask = _mm512_set1_epi64(MASK);
        let [a, b, c, d] = words;
        Self([
            _mm512_and_si512(a, mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<51>(a), _mm512_slli_epi64::<13>(b)), mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<38>(b), _mm512_slli_epi64::<26>(c)), mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<25>(c), _mm512_slli_epi64::<39>(d)), mask),
            _mm512_srli_epi64::<12>(d),
        ])
    }

    /// The canonical value as four 64-bit words, least significant first.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn to_words(self) -> [__m512i; 4] {
        let [a, b, c, d, e] = self.canonical();
        [
            _mm512_or_si512(a, _mm512_slli_epi64::<51>(b)),
            _mm512_or_si512(_mm512_srli_epi64::<13>(b), _mm512_slli_epi64::<38>(c)),
            _mm512_or_si512(_mm512_srli_epi64::<26>(c), _mm512_slli_epi64::<25>(d)),
            _mm512_or_si512(_mm512_srli_epi64::<39>(d), _mm512_slli_epi64::<12>(e)),
        ]
    }

    /// Moves what is above 51 bits of each limb to the next, and from the last, nineteenfold, to the first, since `2^255 = 19`.
    ///
    /// For limbs below 2^61 that is less than 2^10 each: a sum below `2^51 + 19 * 2^10 < 2^51 + 2^15`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn carried(limbs: [__m512i; 5]) -> Self {
        let (mask, mut out) = (_mm512_set1_epi64(MASK), limbs);
        for limb in 0..4 {
            out[limb + 1] = _mm512_add_epi64(_mm512_and_si512(limbs[limb + 1], mask), _mm512_srli_epi64::<51>(limbs[limb]));
        }
        out[0] = _mm512_madd52lo_epu64(_mm512_and_si512(limbs[0], mask), _mm512_srli_epi64::<51>(limbs[4]), _mm512_set1_epi64(19));
        Self(out)
    }

    /// The sum: limbs below `2^52 + 2^16` before they are carried.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn add(&self, other: &Self) -> Self {
        let mut out = self.0;
        for (out, other) in out.iter_mut().zip(other.0) {
            *out = _mm512_add_epi64(*out, other);
        }
        Self::carried(out)
    }

    /// The difference, as `self + 2p - other`: the limbs of 2p are at least `2^52 - 38`, above any limb of `other`, and the sums are below 2^53.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut out = self.0;
        for (limb, (out, other)) in out.iter_mut().zip(other.0).enumerate() {
            let twice_p = _mm512_set1_epi64(if limb == 0 { (1 << 52) - 38 } else { (1 << 52) - 2 });
            *out = _mm512_sub_epi64(_mm512_add_epi64(*out, twice_p), other);
        }
        Self::carried(out)
    }

    /// The negative.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn negate(&self) -> Self {
        Self::splat(ZERO).subtract(self)
    }

    /// The product.
    ///
    /// The product of two limbs is below 2^104; its lower 52 bits count in column i + j, the upper ones twice in the next, as that is 51 bits further.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn multiply(&self, other: &Self) -> Self {
        let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
        for i in 0..5 {
            for j in 0..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], self.0[i], other.0[j]);
                high[i + j] = _mm512_madd52hi_epu64(high[i + j], self.0[i], other.0[j]);
            }
        }
        Self::folded(&low, &high)
    }

    /// The square: as [`Field::multiply`], with the products of different limbs made once and doubled.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn square(&self) -> Self {
        let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
        for i in 0..5 {
            for j in i + 1..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], self.0[i], self.0[j]);
                high[i + j] = _mm512_madd52hi_epu64(high[i + j], self.0[i], self.0[j]);
            }
        }
        for column in 1..8 {
            low[column] = _mm512_add_epi64(low[column], low[column]);
            high[column] = _mm512_add_epi64(high[column], high[column]);
        }
        for i in 0..5 {
            low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], self.0[i], self.0[i]);
            high[2 * i] = _mm512_madd52hi_epu64(high[2 * i], self.0[i], self.0[i]);
        }
        Self::folded(&low, &high)
    }

    /// Ten columns to five limbs. A column has at most five lower halves and twice five upper ones, all below 2^52: it is below 2^56. Columns five and above
    /// count nineteenfold: a limb is below `20 * 2^56 < 2^61`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn folded(low: &[__m512i; 9], high: &[__m512i; 9]) -> Self {
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
        Self::carried(out)
    }

    /// Limbs below 2^51 of the value below p.
    ///
    /// The bound keeps the value below `2^255 + 2^220`, so that at most one p must be taken away: exactly if `value + 19` reaches 2^255.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn canonical(&self) -> [__m512i; 5] {
        let mask = _mm512_set1_epi64(MASK);
        let mut carry = _mm512_srli_epi64::<51>(_mm512_add_epi64(self.0[0], _mm512_set1_epi64(19)));
        for limb in 1..5 {
            carry = _mm512_srli_epi64::<51>(_mm512_add_epi64(self.0[limb], carry));
        }
        let mut out = self.0;
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
    pub fn is_zero(&self) -> __mmask8 {
        let [a, b, c, d, e] = self.canonical();
        let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
        _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512())
    }

    /// Which lanes are negative: canonical and odd.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn is_negative(&self) -> __mmask8 {
        _mm512_test_epi64_mask(self.canonical()[0], _mm512_set1_epi64(1))
    }

    /// `other` in the lanes of the mask, `self` in the rest.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn select(&self, other: &Self, mask: __mmask8) -> Self {
        let mut out = self.0;
        for (out, other) in out.iter_mut().zip(other.0) {
            *out = _mm512_mask_blend_epi64(mask, *out, other);
        }
        Self(out)
    }

    /// The one of `self` and `-self` that is not negative.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn absolute(&self) -> Self {
        self.select(&self.negate(), self.is_negative())
    }
}

/// Two times eight elements: their chains of multiplications do not wait for each other.
pub type Pair = [Field; 2];

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn product(a: &Pair, b: &Pair) -> Pair {
    [a[0].multiply(&b[0]), a[1].multiply(&b[1])]
}

/// Squares so often.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn squared(a: &Pair, times: u32) -> Pair {
    let [mut one, mut two] = *a;
    for _ in 0..times {
        (one, two) = (one.square(), two.square());
    }
    [one, two]
}

/// `1/sqrt(v)` up to its sign, and which lanes have one; zero has none. RFC 9496, section 4.2, with u = 1.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn root_of_inverse(v: &Pair) -> (Pair, [__mmask8; 2]) {
    // r = v^3 (v^7)^((p - 5)/8), and (p - 5)/8 = 2^252 - 3; `ones_n` is x^(2^n - 1).
    let v_3 = product(&squared(v, 1), v);
    let x = product(&squared(&v_3, 1), v);
    let ones_2 = product(&squared(&x, 1), &x);
    let ones_4 = product(&squared(&ones_2, 2), &ones_2);
    let ones_5 = product(&squared(&ones_4, 1), &x);
    let ones_10 = product(&squared(&ones_5, 5), &ones_5);
    let ones_20 = product(&squared(&ones_10, 10), &ones_10);
    let ones_40 = product(&squared(&ones_20, 20), &ones_20);
    let ones_50 = product(&squared(&ones_40, 10), &ones_10);
    let ones_100 = product(&squared(&ones_50, 50), &ones_50);
    let ones_200 = product(&squared(&ones_100, 100), &ones_100);
    let ones_250 = product(&squared(&ones_200, 50), &ones_50);
    let root = product(&product(&squared(&ones_250, 2), &x), &v_3);
    let check = product(&squared(&root, 1), v);

    let (one, i) = (Field::splat(ONE), Field::splat(ROOT_OF_MINUS_ONE));
    let (mut roots, mut exists) = (root, [0; 2]);
    for half in 0..2 {
        let is_right = check[half].subtract(&one).is_zero();
        let is_flipped = check[half].add(&one).is_zero();
        roots[half] = root[half].select(&root[half].multiply(&i), is_flipped);
        exists[half] = is_right | is_flipped;
    }
    (roots, exists)
}

/// Eight rows of eight words as eight columns, and back.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn transposed(rows: &[__m512i; 8]) -> [__m512i; 8] {
    use std::arch::x86_64::{_mm512_shuffle_i64x2, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64};
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

/// Words, one for each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn lanes(words: [u64; 8]) -> __m512i {
    let [a, b, c, d, e, f, g, h] = words.map(u64::cast_signed);
    _mm512_setr_epi64(a, b, c, d, e, f, g, h)
}

/// The word of each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn words(lanes: __m512i) -> [u64; 8] {
    use std::arch::x86_64::{_mm256_extract_epi64, _mm512_extracti64x4_epi64};
    let (low, high) = (_mm512_extracti64x4_epi64::<0>(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
    let (a, b, c, d) = (_mm256_extract_epi64::<0>(low), _mm256_extract_epi64::<1>(low), _mm256_extract_epi64::<2>(low), _mm256_extract_epi64::<3>(low));
    let (e, f, g, h) = (_mm256_extract_epi64::<0>(high), _mm256_extract_epi64::<1>(high), _mm256_extract_epi64::<2>(high), _mm256_extract_epi64::<3>(high));
    [a, b, c, d, e, f, g, h].map(i64::cast_unsigned)
}
