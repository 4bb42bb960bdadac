//! Eight points of the curve side by side: decoding, encoding and adding them.
//!
//! The curve is edwards25519, `-x^2 + y^2 = 1 + d x^2 y^2`; a point of ristretto255 is given by any of the points of the curve that stand for it, and only its
//! encoding is unique (RFC 9496, section 4). Points are added with the formulas of Hisil, Wong, Carter and Dawson (Twisted Edwards curves revisited, ASIACRYPT
//! 2008, section 3.1), which hold for any two points, equal or not and the identity too, as -1 is a square of the field and d is not.

use std::arch::x86_64::{__m512i, _mm512_setzero_si512};

use super::field::{D, D_TWICE, Field, ONE, Pair, ROOT_OF_INVERSE, ROOT_OF_MINUS_ONE, ZERO, lanes, root_of_inverse, transposed, words};

/// Eight points `(X : Y : Z : T)`, where `x = X/Z`, `y = Y/Z`, `x y = T/Z`.
#[derive(Clone, Copy)]
pub struct Point {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

/// Eight points as they are added fastest: `y + x`, `y - x`, `2 d x y`.
pub struct Affine {
    sum: Field,
    difference: Field,
    product: Field,
}

/// One point out of an [`Affine`]: its fifteen limbs and a zero.
pub type AffineRow = [__m512i; 2];
/// One point out of a [`Point`]: its twenty limbs and four zeros.
pub type Row = [__m512i; 3];

/// The identity as a row.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn affine_identity() -> AffineRow {
    [lanes([1, 0, 0, 0, 0, 1, 0, 0]), _mm512_setzero_si512()]
}

impl Affine {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn to_rows(&self) -> [AffineRow; 8] {
        let ([a, b, c, d, e], [f, g, h, i, j], [k, l, m, n, o]) = (self.sum.limbs(), self.difference.limbs(), self.product.limbs());
        let (first, second) = (transposed(&[a, b, c, d, e, f, g, h]), transposed(&[i, j, k, l, m, n, o, _mm512_setzero_si512()]));
        let mut rows = [[_mm512_setzero_si512(); 2]; 8];
        for (lane, row) in rows.iter_mut().enumerate() {
            *row = [first[lane], second[lane]];
        }
        rows
    }

    /// One row for each lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn from_rows(rows: [&AffineRow; 8]) -> Self {
        let (mut first, mut second) = ([_mm512_setzero_si512(); 8], [_mm512_setzero_si512(); 8]);
        for (lane, row) in rows.into_iter().enumerate() {
            [first[lane], second[lane]] = *row;
        }
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, _]) = (transposed(&first), transposed(&second));
        Self { sum: Field::from_limbs([a, b, c, d, e]), difference: Field::from_limbs([f, g, h, i, j]), product: Field::from_limbs([k, l, m, n, o]) }
    }
}

impl Point {
    /// Eight times the identity.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn identity() -> Self {
        Self { x: Field::splat(ZERO), y: Field::splat(ONE), z: Field::splat(ONE), t: Field::splat(ZERO) }
    }

    /// The same points: `(4x : 4y : 4 : 4xy)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn from_affine(affine: &Affine) -> Self {
        let (x, y) = (affine.sum.subtract(&affine.difference), affine.sum.add(&affine.difference));
        Self { x: x.add(&x), y: y.add(&y), z: Field::splat([4, 0, 0, 0, 0]), t: x.multiply(&y) }
    }

    /// The sums, lane by lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn add_affine(&self, other: &Affine) -> Self {
        let a = self.y.subtract(&self.x).multiply(&other.difference);
        let b = self.y.add(&self.x).multiply(&other.sum);
        self.sum_of(&a, &b, &self.t.multiply(&other.product), &self.z.add(&self.z))
    }

    /// The sums, lane by lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn add(&self, other: &Self) -> Self {
        let a = self.y.subtract(&self.x).multiply(&other.y.subtract(&other.x));
        let b = self.y.add(&self.x).multiply(&other.y.add(&other.x));
        let c = self.t.multiply(&other.t).multiply(&Field::splat(D_TWICE));
        self.sum_of(&a, &b, &c, &self.z.add(&self.z).multiply(&other.z))
    }

    /// The second half of both: A, B, C and D are named as in the paper.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sum_of(&self, a: &Field, b: &Field, c: &Field, d: &Field) -> Self {
        let (e, f, g, h) = (b.subtract(a), d.subtract(c), d.add(c), b.add(a));
        Self { x: e.multiply(&f), y: g.multiply(&h), t: e.multiply(&h), z: f.multiply(&g) }
    }

    /// One row for each lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn to_rows(self) -> [Row; 8] {
        let ([a, b, c, d, e], [f, g, h, i, j]) = (self.x.limbs(), self.y.limbs());
        let ([k, l, m, n, o], [p, q, r, s, t]) = (self.z.limbs(), self.t.limbs());
        let zero = _mm512_setzero_si512();
        let parts = [transposed(&[a, b, c, d, e, f, g, h]), transposed(&[i, j, k, l, m, n, o, p]), transposed(&[q, r, s, t, zero, zero, zero, zero])];
        let mut rows = [[zero; 3]; 8];
        for (lane, row) in rows.iter_mut().enumerate() {
            *row = [parts[0][lane], parts[1][lane], parts[2][lane]];
        }
        rows
    }

    /// One row for each lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn from_rows(rows: [&Row; 8]) -> Self {
        let mut parts = [[_mm512_setzero_si512(); 8]; 3];
        for (lane, row) in rows.into_iter().enumerate() {
            [parts[0][lane], parts[1][lane], parts[2][lane]] = *row;
        }
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p], [q, r, s, t, ..]) = (transposed(&parts[0]), transposed(&parts[1]), transposed(&parts[2]));
        Self {
            x: Field::from_limbs([a, b, c, d, e]),
            y: Field::from_limbs([f, g, h, i, j]),
            z: Field::from_limbs([k, l, m, n, o]),
            t: Field::from_limbs([p, q, r, s, t]),
        }
    }

    /// The encoding of each lane (RFC 9496, section 4.3.2). The sign of the root does not matter: it enters the result once, and that is made non-negative.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn encode(&self) -> [[u8; 32]; 8] {
        let u_1 = self.z.add(&self.y).multiply(&self.z.subtract(&self.y));
        let u_2 = self.x.multiply(&self.y);
        let radicand = u_1.multiply(&u_2.square());
        let ([root, _], _) = root_of_inverse(&[radicand, radicand]);
        let (den_1, den_2) = (root.multiply(&u_1), root.multiply(&u_2));
        let z_inverse = den_1.multiply(&den_2).multiply(&self.t);
        let i = Field::splat(ROOT_OF_MINUS_ONE);
        let is_rotated = self.t.multiply(&z_inverse).is_negative();
        let x = self.x.select(&self.y.multiply(&i), is_rotated);
        let y = self.y.select(&self.x.multiply(&i), is_rotated);
        let den_inverse = den_2.select(&den_1.multiply(&Field::splat(ROOT_OF_INVERSE)), is_rotated);
        let y = y.select(&y.negate(), x.multiply(&z_inverse).is_negative());
        let s = den_inverse.multiply(&self.z.subtract(&y)).absolute().to_words();
        let mut encodings = [[0; 32]; 8];
        for (number, lanes) in s.into_iter().enumerate() {
            for (encoding, word) in encodings.iter_mut().zip(words(lanes)) {
                encoding[8 * number..][..8].copy_from_slice(&word.to_le_bytes());
            }
        }
        encodings
    }
}

/// Encodings decoded in one go.
pub const DECODED_AT_ONCE: usize = 16;

/// An encoding as four words, if it is a canonical field element, below p, and not negative.
fn field_words(encoding: &[u8; 32]) -> Option<[u64; 4]> {
    let (words, _) = encoding.as_chunks::<8>();
    let words = [words[0], words[1], words[2], words[3]].map(u64::from_le_bytes);
    // p is 2^255 - 19, in words: 2^64 - 19, twice 2^64 - 1, 2^63 - 1.
    let is_below = words[3] >> 63 == 0 && (words[0] < 19_u64.wrapping_neg() || words[1..] != [u64::MAX, u64::MAX, u64::MAX >> 1]);
    (is_below && words[0] & 1 == 0).then_some(words)
}

/// The points of sixteen encodings or fewer, or nothing if one of them is not canonical (RFC 9496, section 4.3.1). Lanes that are left over are the identity.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn decode(encodings: &[[u8; 32]]) -> Option<[[AffineRow; 8]; 2]> {
    let mut s_words = [[[0_u64; 8]; 4]; 2];
    for (lane, encoding) in encodings.iter().enumerate() {
        for (number, word) in field_words(encoding)?.into_iter().enumerate() {
            s_words[lane / 8][number][lane % 8] = word;
        }
    }
    let (one, d) = (Field::splat(ONE), Field::splat(D));
    let zero = [Field::splat(ZERO); 2];
    let (mut s, mut u_1, mut u_2, mut v, mut radicand): (Pair, Pair, Pair, Pair, Pair) = (zero, zero, zero, zero, zero);
    for half in 0..2 {
        let [a, b, c, e] = s_words[half];
        s[half] = Field::from_words([lanes(a), lanes(b), lanes(c), lanes(e)]);
        let square = s[half].square();
        u_1[half] = one.subtract(&square);
        u_2[half] = one.add(&square);
        let u_2_square = u_2[half].square();
        v[half] = d.multiply(&u_1[half].square()).add(&u_2_square).negate();
        radicand[half] = v[half].multiply(&u_2_square);
    }
    let (root, exists) = root_of_inverse(&radicand);
    let mut rows = [[affine_identity(); 8]; 2];
    for half in 0..2 {
        let den_x = root[half].multiply(&u_2[half]);
        // The sign of the root enters twice here and once in x, which is made non-negative.
        let den_y = root[half].multiply(&den_x).multiply(&v[half]);
        let x = s[half].add(&s[half]).multiply(&den_x).absolute();
        let y = u_1[half].multiply(&den_y);
        let t = x.multiply(&y);
        if exists[half] != 0xff || t.is_negative() != 0 || y.is_zero() != 0 {
            return None;
        }
        let affine = Affine { sum: y.add(&x), difference: y.subtract(&x), product: t.multiply(&Field::splat(D_TWICE)) };
        rows[half] = affine.to_rows();
    }
    Some(rows)
}
