//! The curve of ristretto255, over any number of field elements side by side: decoding, encoding and adding its points.
//!
//! It is edwards25519, `-x^2 + y^2 = 1 + d x^2 y^2`; a point of ristretto255 is given by any of the points of the curve that stand for it, and only its
//! encoding is unique (RFC 9496, section 4). Points are added with the formulas of Hisil, Wong, Carter and Dawson (Twisted Edwards curves revisited, ASIACRYPT
//! 2008, section 3.1), which hold for any two points, equal or not and the identity too, as -1 is a square of the field and d is not.
//!
//! Formulas are written once, over [`Elements`], of which [`crate::portable`] and [`crate::vector`] have one each for what a processor can. All of them are
//! inlined into functions that are compiled for that processor: hence `inline(always)`. Only public values are computed with, and time may depend on them.

/// The limbs of a field element: `l0 + l1 2^51 + l2 2^102 + l3 2^153 + l4 2^204`, where `2^255 = 19`.
pub type Limbs = [u64; 5];

/// The lower 51 bits.
pub const MASK: u64 = (1 << 51) - 1;

/// Zero.
pub const ZERO: Limbs = [0; 5];
/// One.
pub const ONE: Limbs = [1, 0, 0, 0, 0];
/// `1/2`.
const HALF: Limbs = [MASK - 8, MASK, MASK, MASK, MASK >> 1];
/// The constant d of the curve, `-121665/121666`.
const D: Limbs = [929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575];
/// `-d`: no limb of p is below that of d.
const MINUS_D: Limbs = [MASK - 18 - D[0], MASK - D[1], MASK - D[2], MASK - D[3], MASK - D[4]];
/// `2 d`.
const D_TWICE: Limbs = [1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903];
/// `sqrt(-1)`, the even one.
const ROOT_OF_MINUS_ONE: Limbs = [1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133];
/// `1/sqrt(-1 - d)`, the even one.
const ROOT_OF_INVERSE: Limbs = [278908739862762, 821645201101625, 8113234426968, 1777959178193151, 2118520810568447];

/// One bit for each lane, the first lane lowest.
pub type Mask = u8;

/// Elements of the field of `p = 2^255 - 19` side by side, one in each lane.
///
/// **Bound.** An element is small or large, which only says how far its limbs are reduced. Large are the sum and the difference of two small ones; everything
/// else is small. What is added, subtracted, squared or tested must be small, and of two factors one at least, or the other one is reduced. A small one with
/// one added or taken away may still be squared and tested.
pub trait Elements: Copy {
    /// What proves that the processor can compute with them.
    type Proof: Copy;

    /// Lanes: eight at most.
    const LANES: usize;

    /// The same element in all lanes.
    fn splat(proof: Self::Proof, limbs: Limbs) -> Self;

    /// One element for each lane. Lanes that are left over are zero.
    fn load(proof: Self::Proof, elements: &[Limbs]) -> Self;

    /// The limbs below 2^51 of the value below p in a lane.
    fn canonical(&self, lane: usize) -> Limbs;

    /// The proof that they were made with.
    fn proof(&self) -> Self::Proof;

    /// The same elements, as factors beside large ones; for nothing else.
    fn reduced(&self) -> Self;

    fn add(&self, other: &Self) -> Self;

    fn subtract(&self, other: &Self) -> Self;

    fn multiply(&self, other: &Self) -> Self;

    fn square(&self) -> Self;

    /// Which lanes are zero.
    fn is_zero(&self) -> Mask;

    /// Which lanes are negative: canonical and odd.
    fn is_negative(&self) -> Mask;

    /// `other` in the lanes of the mask, `self` in the rest.
    fn select(&self, other: &Self, mask: Mask) -> Self;

    /// The one of `self` and `-self` that is not negative.
    fn absolute(&self) -> Self;
}

/// An encoding as limbs, if it is a canonical field element, below p, and not negative.
fn parsed(encoding: &[u8; 32]) -> Option<Limbs> {
    let words = encoding.as_chunks::<8>().0;
    let [a, b, c, d] = [words[0], words[1], words[2], words[3]].map(u64::from_le_bytes);
    // p is 2^255 - 19, in words: 2^64 - 19, twice 2^64 - 1, 2^63 - 1.
    let is_below = d >> 63 == 0 && (a < 19_u64.wrapping_neg() || [b, c, d] != [u64::MAX, u64::MAX, u64::MAX >> 1]);
    let limbs = [a & MASK, (a >> 51 | b << 13) & MASK, (b >> 38 | c << 26) & MASK, (c >> 25 | d << 39) & MASK, d >> 12];
    (is_below && a & 1 == 0).then_some(limbs)
}

/// Canonical limbs as an encoding.
pub fn written([a, b, c, d, e]: Limbs) -> [u8; 32] {
    let words = [a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12];
    let mut bytes = [0; 32];
    bytes.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
    bytes
}

/// Two times as many elements as there are lanes: their chains of multiplications do not wait for each other.
type Pair<F> = [F; 2];

/// From `x = v^7` to `v^3 x^((p - 5)/8)`, and `(p - 5)/8 = 2^252 - 3`: each step squares an earlier power so often and multiplies it by another.
///
/// Powers are counted from `v`, `v^3`, `x`; then they are `x^(2^n - 1)` for the n that is written here.
const CHAIN: [(usize, usize, usize); 14] = [
    (0, 1, 0),
    (1, 1, 0),
    // 2, 4, 5, 10, 20, 40, 50, 100, 200, 250.
    (2, 1, 2),
    (3, 2, 3),
    (4, 1, 2),
    (5, 5, 5),
    (6, 10, 6),
    (7, 20, 7),
    (8, 10, 6),
    (9, 50, 9),
    (10, 100, 10),
    (11, 50, 9),
    // x^(2^252 - 3), and times v^3.
    (12, 2, 2),
    (13, 0, 1),
];

/// `1/sqrt(v)` up to its sign, and which lanes have one; zero has none. RFC 9496, section 4.2, with u = 1.
#[inline(always)]
fn root_of_inverse<F: Elements>(v: &Pair<F>) -> (Pair<F>, [Mask; 2]) {
    let mut powers = [*v; CHAIN.len() + 1];
    for (step, (base, squares, factor)) in CHAIN.into_iter().enumerate() {
        let [mut one, mut two] = powers[base];
        for _ in 0..squares {
            (one, two) = (one.square(), two.square());
        }
        powers[step + 1] = [one.multiply(&powers[factor][0]), two.multiply(&powers[factor][1])];
    }
    let mut roots = powers[CHAIN.len()];
    let one = F::splat(v[0].proof(), ONE);
    let i = F::splat(v[0].proof(), ROOT_OF_MINUS_ONE);
    let mut exist = [0; 2];
    for half in 0..2 {
        let check = roots[half].square().multiply(&v[half]);
        let is_flipped = check.add(&one).is_zero();
        roots[half] = roots[half].select(&roots[half].multiply(&i), is_flipped);
        exist[half] = check.subtract(&one).is_zero() | is_flipped;
    }
    (roots, exist)
}

/// A point as it is added fastest: `(y + x)/2`, `(y - x)/2`, `d x y`, all small.
#[derive(Clone, Copy)]
pub struct Affine<F> {
    pub sum: F,
    pub difference: F,
    pub product: F,
}

impl<F: Elements> Affine<F> {
    /// The identity in all lanes.
    #[inline(always)]
    pub fn identity(proof: F::Proof) -> Self {
        let half = F::splat(proof, HALF);
        Self { sum: half, difference: half, product: F::splat(proof, ZERO) }
    }
}

/// `(X : Y : Z : T)`, where `x = X/Z`, `y = Y/Z`, `x y = T/Z`, all small.
#[derive(Clone, Copy)]
pub struct Point<F> {
    pub x: F,
    pub y: F,
    pub z: F,
    pub t: F,
}

impl<F: Elements> Point<F> {
    /// The identity in all lanes.
    #[inline(always)]
    pub fn identity(proof: F::Proof) -> Self {
        let (zero, one) = (F::splat(proof, ZERO), F::splat(proof, ONE));
        Self { x: zero, y: one, z: one, t: zero }
    }

    /// The sums, lane by lane.
    #[inline(always)]
    pub fn add_affine(&self, other: &Affine<F>) -> Self {
        let a = self.y.subtract(&self.x).multiply(&other.difference);
        let b = self.y.add(&self.x).multiply(&other.sum);
        Self::sum_of(&a, &b, &self.t.multiply(&other.product), &self.z)
    }

    /// The sums, lane by lane.
    #[inline(always)]
    pub fn add(&self, other: &Self) -> Self {
        let a = self.y.subtract(&self.x).reduced().multiply(&other.y.subtract(&other.x));
        let b = self.y.add(&self.x).reduced().multiply(&other.y.add(&other.x));
        let c = self.t.multiply(&other.t).multiply(&F::splat(self.t.proof(), D_TWICE));
        Self::sum_of(&a, &b, &c, &self.z.add(&self.z).multiply(&other.z))
    }

    /// The second half of both: A, B, C and D are named as in the paper; [`Affine`] has half of A, B, C and D, which is the same point.
    #[inline(always)]
    fn sum_of(a: &F, b: &F, c: &F, d: &F) -> Self {
        let (e, f, g, h) = (b.subtract(a).reduced(), d.subtract(c), d.add(c).reduced(), b.add(a));
        Self { x: e.multiply(&f), y: g.multiply(&h), t: e.multiply(&h), z: f.multiply(&g) }
    }

    /// The encoding of each lane (RFC 9496, section 4.3.2). The sign of the root does not matter: it enters the result once, and that is made non-negative.
    #[inline(always)]
    pub fn encode(&self) -> Vec<[u8; 32]> {
        let proof = self.x.proof();
        let u_1 = self.z.add(&self.y).reduced().multiply(&self.z.subtract(&self.y));
        let u_2 = self.x.multiply(&self.y);
        let radicand = u_1.multiply(&u_2.square());
        let ([root, _], _) = root_of_inverse(&[radicand, radicand]);
        let (den_1, den_2) = (root.multiply(&u_1), root.multiply(&u_2));
        let z_inverse = den_1.multiply(&den_2).multiply(&self.t);
        let i = F::splat(proof, ROOT_OF_MINUS_ONE);
        let is_rotated = self.t.multiply(&z_inverse).is_negative();
        let x = self.x.select(&self.y.multiply(&i), is_rotated);
        let y = self.y.select(&self.x.multiply(&i), is_rotated);
        let den_inverse = den_2.select(&den_1.multiply(&F::splat(proof, ROOT_OF_INVERSE)), is_rotated);
        let difference = self.z.subtract(&y).select(&self.z.add(&y), x.multiply(&z_inverse).is_negative());
        let s = den_inverse.multiply(&difference).absolute();
        (0..F::LANES).map(|lane| written(s.canonical(lane))).collect()
    }
}

/// The points of as many encodings as two times the lanes, or fewer, or nothing if one of them is not canonical (RFC 9496, section 4.3.1). Lanes that are left
/// over are the identity.
#[inline(always)]
pub fn decode<F: Elements>(proof: F::Proof, encodings: &[[u8; 32]]) -> Option<[Affine<F>; 2]> {
    let mut limbs = [ZERO; 16];
    for (limbs, encoding) in limbs.iter_mut().zip(encodings) {
        *limbs = parsed(encoding)?;
    }
    let (zero, one) = (F::splat(proof, ZERO), F::splat(proof, ONE));
    let (mut s, mut u_1, mut u_2, mut v, mut radicand) = ([zero; 2], [zero; 2], [zero; 2], [zero; 2], [zero; 2]);
    for half in 0..2 {
        s[half] = F::load(proof, &limbs[half * F::LANES..][..F::LANES]);
        let square = s[half].square();
        (u_1[half], u_2[half]) = (one.subtract(&square), one.add(&square));
        let u_2_square = u_2[half].square();
        v[half] = F::splat(proof, MINUS_D).multiply(&u_1[half].square()).subtract(&u_2_square);
        radicand[half] = v[half].multiply(&u_2_square);
    }
    let (root, exist) = root_of_inverse(&radicand);
    let mut points = [Affine::identity(proof); 2];
    for half in 0..2 {
        let den_x = root[half].multiply(&u_2[half]);
        // The sign of the root enters twice here and once in x, which is made non-negative.
        let den_y = root[half].multiply(&den_x).multiply(&v[half]);
        let x = s[half].add(&s[half]).multiply(&den_x).absolute();
        let y = u_1[half].multiply(&den_y);
        let t = x.multiply(&y);
        if exist[half] != Mask::MAX >> (8 - F::LANES) || t.is_negative() != 0 || y.is_zero() != 0 {
            return None;
        }
        let half_of_one = F::splat(proof, HALF);
        points[half] =
            Affine { sum: y.add(&x).multiply(&half_of_one), difference: y.subtract(&x).multiply(&half_of_one), product: t.multiply(&F::splat(proof, D)) };
    }
    Some(points)
}
