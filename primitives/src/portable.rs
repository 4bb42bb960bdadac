//! The sum over commitments in plain Rust, for every processor, in less time than curve25519-dalek takes for the same.
//!
//! It decodes two commitments at a time, so that the processor need not wait for one square before it begins the next, and knows that coefficients have 128
//! bits, which halves the windows. Formulas are those of [`crate::vector`], and so is what makes it safe: no secrets, tests against curve25519-dalek, and
//! whatever is refused is asked again without it. The commitments' sum leaves as an encoding, the keys' is curve25519-dalek's, whose points cannot be made from
//! ours. The time of everything here depends on its input, which is public.
//!
//! # Representation
//! A field element is five limbs of radix 2^51, as in curve25519-dalek. **Bounds:** a product has limbs below `2^51 + 2^13`. What is added or subtracted has
//! limbs below `2^52 + 2^15`, thus is a product or the sum of two; what is multiplied has limbs below 2^54, thus may be any sum or difference. With these
//! bounds nothing overflows, as each function states; the checks of overflow are left out (`wrapping`).

/// The lower 51 bits.
const MASK: u64 = (1 << 51) - 1;

/// A field element.
#[derive(Clone, Copy)]
struct Field([u64; 5]);

const ZERO: Field = Field([0; 5]);
const ONE: Field = Field([1, 0, 0, 0, 0]);
/// The constant d of the curve, `-121665/121666`.
const D: Field = Field([929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575]);
/// `2 d`.
const D_TWICE: Field = Field([1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903]);
/// `sqrt(-1)`, the even one.
const ROOT_OF_MINUS_ONE: Field = Field([1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133]);
/// `1/sqrt(-1 - d)`, the even one.
const ROOT_OF_INVERSE: Field = Field([278908739862762, 821645201101625, 8113234426968, 1777959178193151, 2118520810568447]);

/// The sum of products of limbs below 2^54, one of each perhaps times 19: at most `5 * 2^54 * 19 * 2^54 < 2^115`.
#[inline(always)]
fn products<const N: usize>(factors: [(u64, u64); N]) -> u128 {
    factors.iter().fold(0, |sum: u128, (a, b)| sum.wrapping_add(u128::from(*a).wrapping_mul(u128::from(*b))))
}

/// The lower 64 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the upper half is another limb's")]
fn low(number: u128) -> u64 {
    number as u64
}

impl Field {
    /// The sum: limbs below 2^54.
    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|limb| self.0[limb].wrapping_add(other.0[limb])))
    }

    /// The difference, as `self + 4p - other`: the limbs of 4p are at least `2^53 - 76`, above any limb of `other`, and the sums are below 2^54.
    #[inline(always)]
    fn subtract(&self, other: &Self) -> Self {
        let four_p = |limb| if limb == 0 { (1_u64 << 53) - 76 } else { (1 << 53) - 4 };
        Self(std::array::from_fn(|limb| self.0[limb].wrapping_add(four_p(limb)).wrapping_sub(other.0[limb])))
    }

    #[inline(always)]
    fn multiply(&self, other: &Self) -> Self {
        let ([a, b, c, d, e], [f, g, h, i, j]) = (self.0, other.0);
        let [g_19, h_19, i_19, j_19] = [g, h, i, j].map(|limb| limb.wrapping_mul(19));
        Self::folded([
            products([(a, f), (e, g_19), (d, h_19), (c, i_19), (b, j_19)]),
            products([(b, f), (a, g), (e, h_19), (d, i_19), (c, j_19)]),
            products([(c, f), (b, g), (a, h), (e, i_19), (d, j_19)]),
            products([(d, f), (c, g), (b, h), (a, i), (e, j_19)]),
            products([(e, f), (d, g), (c, h), (b, i), (a, j)]),
        ])
    }

    #[inline(always)]
    fn square(&self) -> Self {
        let [a, b, c, d, e] = self.0;
        let (a_2, b_2, c_2, d_19, e_19) = (a << 1, b << 1, c << 1, d.wrapping_mul(19), e.wrapping_mul(19));
        Self::folded([
            products([(a, a), (b_2, e_19), (c_2, d_19)]),
            products([(d, d_19), (a_2, b), (c_2, e_19)]),
            products([(b, b), (a_2, c), (d << 1, e_19)]),
            products([(e, e_19), (a_2, d), (b_2, c)]),
            products([(c, c), (a_2, e), (b_2, d)]),
        ])
    }

    /// Columns below 2^115 to limbs. What is carried is below 2^64; the last column has no factor of 19, so that its carry is below 2^60, and 19 times that below
    /// `2^64 - 2^51`.
    #[inline(always)]
    fn folded(columns: [u128; 5]) -> Self {
        let (mut limbs, mut carry) = ([0; 5], 0);
        for (limb, column) in limbs.iter_mut().zip(columns) {
            let sum = column.wrapping_add(u128::from(carry));
            (*limb, carry) = (low(sum) & MASK, low(sum >> 51));
        }
        limbs[0] = limbs[0].wrapping_add(carry.wrapping_mul(19));
        limbs[1] = limbs[1].wrapping_add(limbs[0] >> 51);
        limbs[0] &= MASK;
        Self(limbs)
    }

    /// The value below p, of limbs below 2^54.
    fn canonical(&self) -> Self {
        let Self(mut limbs) = Self::folded(self.0.map(u128::from));
        // Now the value is below 2p; it is above p exactly if adding 19 reaches 2^255.
        let above = limbs.iter().fold(19, |carry, limb| (limb + carry) >> 51);
        let mut carry = 19 * above;
        for limb in &mut limbs {
            let sum = *limb + carry;
            (*limb, carry) = (sum & MASK, sum >> 51);
        }
        Self(limbs)
    }

    fn is_zero(&self) -> bool {
        self.canonical().0 == ZERO.0
    }

    fn is_negative(&self) -> bool {
        self.canonical().0[0] & 1 == 1
    }

    /// The one of `self` and `-self` that is not negative, canonical.
    fn absolute(&self) -> Self {
        let canonical = self.canonical();
        if canonical.0[0] & 1 == 1 { ZERO.subtract(&canonical).canonical() } else { canonical }
    }

    /// A canonical field element that is not negative.
    fn decode(encoding: &[u8; 32]) -> Option<Self> {
        let words = encoding.as_chunks::<8>().0;
        let [a, b, c, d] = [words[0], words[1], words[2], words[3]].map(u64::from_le_bytes);
        let limbs = [a & MASK, (a >> 51 | b << 13) & MASK, (b >> 38 | c << 26) & MASK, (c >> 25 | d << 39) & MASK, d >> 12];
        let is_canonical = d >> 63 == 0 && Self(limbs).canonical().0 == limbs;
        (is_canonical && a & 1 == 0).then_some(Self(limbs))
    }

    fn encode(&self) -> [u8; 32] {
        let [a, b, c, d, e] = self.canonical().0;
        let words = [a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12];
        let mut bytes = [0; 32];
        bytes.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        bytes
    }
}

/// Two elements whose chains of multiplications do not wait for each other.
type Pair = [Field; 2];

#[inline(always)]
fn product(a: &Pair, b: &Pair) -> Pair {
    [a[0].multiply(&b[0]), a[1].multiply(&b[1])]
}

/// Squares so often.
fn squared(a: &Pair, times: u32) -> Pair {
    let [mut one, mut two] = *a;
    for _ in 0..times {
        (one, two) = (one.square(), two.square());
    }
    [one, two]
}

/// `1/sqrt(v)` up to its sign, and which have one; zero has none. RFC 9496, section 4.2, with u = 1.
fn root_of_inverse(v: &Pair) -> (Pair, [bool; 2]) {
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
    let roots = product(&product(&squared(&ones_250, 2), &x), &v_3);
    let checks = product(&squared(&roots, 1), v);
    let checked = |half: usize| {
        let is_flipped = checks[half].add(&ONE).is_zero();
        let root = if is_flipped { roots[half].multiply(&ROOT_OF_MINUS_ONE) } else { roots[half] };
        (root, is_flipped || checks[half].subtract(&ONE).is_zero())
    };
    let [one, two] = [0, 1].map(checked);
    ([one.0, two.0], [one.1, two.1])
}

/// A point as it is added fastest: `y + x`, `y - x`, `2 d x y`.
#[derive(Clone, Copy)]
struct Affine {
    sum: Field,
    difference: Field,
    product: Field,
}

/// `(X : Y : Z : T)`, where `x = X/Z`, `y = Y/Z`, `x y = T/Z`.
#[derive(Clone, Copy)]
struct Point {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

const IDENTITY: Point = Point { x: ZERO, y: ONE, z: ONE, t: ZERO };

impl Point {
    #[inline(always)]
    fn add_affine(&self, other: &Affine) -> Self {
        let a = self.y.subtract(&self.x).multiply(&other.difference);
        let b = self.y.add(&self.x).multiply(&other.sum);
        Self::sum_of(&a, &b, &self.t.multiply(&other.product), &self.z.add(&self.z))
    }

    fn add(&self, other: &Self) -> Self {
        let a = self.y.subtract(&self.x).multiply(&other.y.subtract(&other.x));
        let b = self.y.add(&self.x).multiply(&other.y.add(&other.x));
        let c = self.t.multiply(&other.t).multiply(&D_TWICE);
        Self::sum_of(&a, &b, &c, &self.z.add(&self.z).multiply(&other.z))
    }

    /// The second half of both: A, B, C and D are named as in the paper.
    #[inline(always)]
    fn sum_of(a: &Field, b: &Field, c: &Field, d: &Field) -> Self {
        let (e, f, g, h) = (b.subtract(a), d.subtract(c), d.add(c), b.add(a));
        Self { x: e.multiply(&f), y: g.multiply(&h), t: e.multiply(&h), z: f.multiply(&g) }
    }

    /// RFC 9496, section 4.3.2. The sign of the root does not matter: it enters the result once, and that is made non-negative.
    fn encode(&self) -> [u8; 32] {
        let u_1 = self.z.add(&self.y).multiply(&self.z.subtract(&self.y));
        let u_2 = self.x.multiply(&self.y);
        let radicand = u_1.multiply(&u_2.square());
        let ([root, _], _) = root_of_inverse(&[radicand, ONE]);
        let (den_1, den_2) = (root.multiply(&u_1), root.multiply(&u_2));
        let z_inverse = den_1.multiply(&den_2).multiply(&self.t);
        let (x, y, den_inverse) = if self.t.multiply(&z_inverse).is_negative() {
            (self.y.multiply(&ROOT_OF_MINUS_ONE), self.x.multiply(&ROOT_OF_MINUS_ONE), den_1.multiply(&ROOT_OF_INVERSE))
        } else {
            (self.x, self.y, den_2)
        };
        let difference = if x.multiply(&z_inverse).is_negative() { self.z.add(&y) } else { self.z.subtract(&y) };
        den_inverse.multiply(&difference).absolute().encode()
    }
}

/// Two points, or nothing if one of the encodings is not canonical. RFC 9496, section 4.3.1.
fn decode(encodings: [&[u8; 32]; 2]) -> Option<[Affine; 2]> {
    let s = [Field::decode(encodings[0])?, Field::decode(encodings[1])?];
    let prepared = s.map(|s| {
        let square = s.square();
        let (u_1, u_2) = (ONE.subtract(&square), ONE.add(&square));
        let u_2_square = u_2.square();
        let v = ZERO.subtract(&D.multiply(&u_1.square()).add(&u_2_square));
        (u_1, u_2, v, v.multiply(&u_2_square))
    });
    let (roots, exist) = root_of_inverse(&prepared.map(|(.., radicand)| radicand));
    let finished = |half: usize| {
        let ((u_1, u_2, v, _), root, s) = (&prepared[half], &roots[half], &s[half]);
        let den_x = root.multiply(u_2);
        // The sign of the root enters twice here and once in x, which is made non-negative.
        let den_y = root.multiply(&den_x).multiply(v);
        let x = s.add(s).multiply(&den_x).absolute();
        let y = u_1.multiply(&den_y);
        let t = x.multiply(&y);
        let is_point = exist[half] && !t.is_negative() && !y.is_zero();
        is_point.then(|| Affine { sum: y.add(&x), difference: y.subtract(&x), product: t.multiply(&D_TWICE) })
    };
    Some([finished(0)?, finished(1)?])
}

/// Many decoded points.
pub struct Points(Vec<Affine>);

impl Points {
    /// Decodes all, or nothing if one of them is not the canonical encoding of a point.
    pub fn decode(encodings: &[[u8; 32]]) -> Option<Self> {
        let mut points = Vec::with_capacity(encodings.len() + 1);
        for two in encodings.chunks(2) {
            points.extend(decode([&two[0], &two[two.len() - 1]])?);
        }
        points.truncate(encodings.len());
        Some(Self(points))
    }

    /// The encoding of the sum of all points, each times its coefficient: Pippenger's method, with digits of eight bits, or of four if there are few points.
    pub fn sum(&self, coefficients: &[u128]) -> [u8; 32] {
        let width: usize = if self.0.len() < 512 { 4 } else { 8 };
        let mask = u8::MAX >> (8 - width);
        let mut sum = IDENTITY;
        let mut buckets = vec![IDENTITY; 1 << width];
        for window in (0..128 / width).rev() {
            for _ in 0..width {
                sum = sum.add(&sum);
            }
            buckets.fill(IDENTITY);
            for (point, coefficient) in self.0.iter().zip(coefficients) {
                let bucket = &mut buckets[usize::from((coefficient >> (window * width)).to_le_bytes()[0] & mask)];
                *bucket = bucket.add_affine(point);
            }
            // Digit times bucket, from the highest digit down.
            let mut running = IDENTITY;
            for bucket in buckets[1..].iter().rev() {
                running = running.add(bucket);
                sum = sum.add(&running);
            }
        }
        sum.encode()
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::ristretto::CompressedRistretto;
    use curve25519_dalek::ristretto::RistrettoPoint;
    use curve25519_dalek::scalar::Scalar;
    use curve25519_dalek::traits::MultiscalarMul;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use ruint::aliases::U512;

    use super::*;
    use crate::samples::{BAD_ENCODINGS, decoded, encoding, point};

    /// Their sum by both, of points that are all valid.
    fn check_sum(encodings: &[[u8; 32]], coefficients: &[u128]) {
        let sum = Points::decode(encodings).expect("all are points").sum(coefficients);
        let points = encodings.iter().map(|encoding| decoded(encoding).expect("all are points"));
        let model = RistrettoPoint::multiscalar_mul(coefficients.iter().map(|z| Scalar::from(*z)), points);
        assert_eq!(CompressedRistretto(sum), model.compress());
    }

    fn value(limbs: &[u64; 5]) -> U512 {
        let p = (U512::from(1) << 255) - U512::from(19);
        limbs.iter().rev().fold(U512::ZERO, |sum, limb| (sum << 51) + U512::from(*limb)) % p
    }

    /// Limbs below a bound: any, zero, around 2^51 and the greatest.
    fn element(bound: u64) -> impl Strategy<Value = [u64; 5]> {
        let limb = move || prop_oneof![0..bound, Just(0), (1_u64 << 51) - 20..1 << 51, Just(bound - 1)];
        [limb(), limb(), limb(), limb(), limb()]
    }

    fn coefficient() -> impl Strategy<Value = u128> {
        prop_oneof![any::<u128>(), Just(0), Just(1), Just(u128::MAX), Just(u128::MAX << 64)]
    }

    /// Counts around those where something changes: pairs, the width of windows, a full batch.
    #[test]
    fn sums_of_many() {
        let points: Vec<[u8; 32]> = (0..4_097).map(point).collect();
        let coefficients: Vec<u128> = (1..=4_097_u128).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).collect();
        for count in (0..=20).chain([63, 64, 65, 511, 512, 513, 4_095, 4_096, 4_097]) {
            check_sum(&points[..count], &coefficients[..count]);
        }
    }

    /// All equal, the identity among them, and pairs that cancel.
    #[test]
    fn sums_of_few_kinds() {
        let kinds = [Scalar::ONE, -Scalar::ONE, Scalar::ZERO].map(|number| RistrettoPoint::mul_base(&number).compress().0);
        for count in [1, 2, 3, 8, 17, 100, 600] {
            for (kinds, coefficient) in [&kinds[..1], &kinds[..2], &kinds[2..], &kinds[..]].into_iter().flat_map(|kinds| [0, 1, u128::MAX].map(|z| (kinds, z)))
            {
                let points: Vec<[u8; 32]> = kinds.iter().copied().cycle().take(count).collect();
                check_sum(&points, &vec![coefficient; count]);
            }
        }
    }

    #[test]
    fn one_bad_among_many() {
        let points: Vec<[u8; 32]> = (0..9).map(point).collect();
        for bad in BAD_ENCODINGS.map(|digits| <[u8; 32]>::try_from(hex::decode(digits).expect("digits")).expect("32 bytes")) {
            for place in 0..points.len() {
                let mut points = points.clone();
                points[place] = bad;
                assert!(Points::decode(&points).is_none(), "{place}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_024))]

        /// Multiplication at its bound.
        #[test]
        fn products_are_numbers(a in element(1 << 54), b in element(1 << 54)) {
            let p = (U512::from(1) << 255) - U512::from(19);
            let (x, y, u, v) = (Field(a), Field(b), value(&a), value(&b));
            for (product, model) in [(x.multiply(&y), u * v % p), (x.square(), u * u % p)] {
                prop_assert!(product.0.iter().all(|limb| *limb < (1 << 51) + (1 << 13)));
                prop_assert_eq!(value(&product.0), model);
            }
            let canonical = x.canonical();
            prop_assert!(canonical.0.iter().all(|limb| *limb <= MASK));
            prop_assert_eq!(U512::from_le_slice(&x.encode()), u);
            prop_assert_eq!((x.is_zero(), x.is_negative()), (u == U512::ZERO, u.bit(0)));
            prop_assert_eq!(value(&x.absolute().0), if u.bit(0) { p - u } else { u });
        }

        /// Sums at their bound.
        #[test]
        fn sums_are_numbers(a in element((1 << 52) + (1 << 15)), b in element((1 << 52) + (1 << 15))) {
            let p = (U512::from(1) << 255) - U512::from(19);
            for (sum, model) in [(Field(a).add(&Field(b)), value(&a) + value(&b)), (Field(a).subtract(&Field(b)), value(&a) + p - value(&b))] {
                prop_assert!(sum.0.iter().all(|limb| *limb < 1 << 54));
                prop_assert_eq!(value(&sum.0), model % p);
            }
        }

        /// The same are points, and they are the same points.
        #[test]
        fn decoding_is_daleks(encodings in vec(encoding(), 0..20)) {
            for encoding in &encodings {
                let sum = Points::decode(&[*encoding]).map(|points| points.sum(&[1]));
                prop_assert_eq!(sum, decoded(encoding).map(|point| point.compress().0));
            }
            prop_assert_eq!(Points::decode(&encodings).is_some(), encodings.iter().all(|encoding| decoded(encoding).is_some()));
        }

        #[test]
        fn sums_are_daleks(terms in vec((any::<u8>(), coefficient()), 0..20)) {
            let (points, coefficients): (Vec<_>, Vec<_>) = terms.into_iter().map(|(number, z)| (point(number.into()), z)).unzip();
            check_sum(&points, &coefficients);
        }
    }
}
