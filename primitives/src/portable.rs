//! The sum over commitments in plain Rust, for every processor, in less time than curve25519-dalek takes for the same.
//!
//! It decodes two commitments at a time, so that the processor need not wait for one square before it begins the next, and knows that coefficients have 128
//! bits, which halves the windows. Formulas are those of `crate::curve`; what makes it safe is what makes [`crate::vector`] so: no secrets, tests against
//! curve25519-dalek, and whatever is refused is asked again without it. The commitments' sum leaves as an encoding, the keys' is curve25519-dalek's, whose
//! points cannot be made from ours. The time of everything here depends on its input, which is public.
//!
//! # Representation
//! A field element is five limbs of radix 2^51, as in curve25519-dalek. **Bounds:** a product has limbs below `2^51 + 2^13`. What is added or subtracted has
//! limbs below `2^52 + 2^15`, thus is a product or the sum of two; what is multiplied has limbs below 2^54, thus may be any sum or difference. With these
//! bounds nothing overflows, as each function states; the checks of overflow are left out (`wrapping`).

use crate::curve::{self, Affine, Elements, Limbs, MASK, Mask, Point, ZERO};

/// A field element.
#[derive(Clone, Copy)]
struct Field(Limbs);

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
    /// Columns below 2^115 to limbs. What is carried is below 2^64; the last column has no factor of 19, so that its carry is below 2^60, and 19 times that
    /// below `2^64 - 2^51`.
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
    fn value(&self) -> Self {
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
}

impl Elements for Field {
    type Proof = ();

    const LANES: usize = 1;

    #[inline(always)]
    fn splat((): (), limbs: Limbs) -> Self {
        Self(limbs)
    }

    #[inline(always)]
    fn load((): (), elements: &[Limbs]) -> Self {
        Self(elements[0])
    }

    #[inline(always)]
    fn canonical(&self, _: usize) -> Limbs {
        self.value().0
    }

    #[inline(always)]
    fn proof(&self) {}

    #[inline(always)]
    fn reduced(&self) -> Self {
        *self
    }

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

    fn is_zero(&self) -> Mask {
        Mask::from(self.value().0 == ZERO)
    }

    fn is_negative(&self) -> Mask {
        Mask::from(self.value().0[0] & 1 == 1)
    }

    #[inline(always)]
    fn select(&self, other: &Self, mask: Mask) -> Self {
        if mask == 0 { *self } else { *other }
    }

    fn absolute(&self) -> Self {
        let value = self.value();
        if value.is_negative() == 0 { value } else { Self(ZERO).subtract(&value).value() }
    }
}

/// Many decoded points.
pub struct Points(Vec<Affine<Field>>);

impl Points {
    /// Decodes all, or nothing if one of them is not the canonical encoding of a point.
    pub fn decode(encodings: &[[u8; 32]]) -> Option<Self> {
        let mut points = Vec::with_capacity(encodings.len() + 1);
        for two in encodings.chunks(2) {
            points.extend(curve::decode((), two)?);
        }
        points.truncate(encodings.len());
        Some(Self(points))
    }

    /// The encoding of the sum of all points, each times its coefficient: Pippenger's method, with digits of eight bits, or of four if there are few points.
    pub fn sum(&self, coefficients: &[u128]) -> [u8; 32] {
        let width: usize = if self.0.len() < 512 { 4 } else { 8 };
        let mask = u8::MAX >> (8 - width);
        let mut sum = Point::<Field>::identity(());
        let mut buckets = vec![Point::identity(()); 1 << width];
        for window in (0..128 / width).rev() {
            for _ in 0..width {
                sum = sum.add(&sum);
            }
            buckets.fill(Point::identity(()));
            for (point, coefficient) in self.0.iter().zip(coefficients) {
                let bucket = &mut buckets[usize::from((coefficient >> (window * width)).to_le_bytes()[0] & mask)];
                *bucket = bucket.add_affine(point);
            }
            // Digit times bucket, from the highest digit down.
            let mut running = Point::identity(());
            for bucket in buckets[1..].iter().rev() {
                running = running.add(bucket);
                sum = sum.add(&running);
            }
        }
        sum.encode()[0]
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
    use crate::curve::written;
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
            let canonical = x.canonical(0);
            prop_assert!(canonical.iter().all(|limb| *limb <= MASK));
            prop_assert_eq!(U512::from_le_slice(&written(canonical)), u);
            prop_assert_eq!((x.is_zero(), x.is_negative()), (Mask::from(u == U512::ZERO), Mask::from(u.bit(0))));
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
