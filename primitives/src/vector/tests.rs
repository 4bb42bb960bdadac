//! Each function held equal to its twin: the field to numbers of 512 bits, transcripts to merlin, points and sums to curve25519-dalek.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::MultiscalarMul;
use proptest::collection::vec;
use proptest::prelude::*;
use ruint::aliases::U512;

use super::lanes::{Lanes, Register};
use super::{Points, Signed, Vector, avx2, avx512};
use crate::curve::{Limbs, Mask, ONE, written};
use crate::samples::{BAD_ENCODINGS, decoded, encoding, near_p, point};
use crate::schnorr::challenge;
use crate::{Context, PublicKey};

/// All that there is, or a line that says what is not tested here.
fn vectors(test: &str) -> Vec<Vector> {
    let vectors = Vector::all();
    if vectors.len() < 2 {
        println!("{test} is skipped where this processor has not what it needs: {vectors:?} of AVX2 and AVX-512 IFMA");
    }
    vectors
}

/// Numbers with many carries, and small ones.
fn scalar() -> impl Strategy<Value = [u8; 32]> {
    let low = |mut bytes: [u8; 32]| {
        bytes[16..].fill(0);
        bytes
    };
    prop_oneof![any::<[u8; 32]>(), any::<[u8; 32]>().prop_map(low), Just([0; 32]), Just([0xff; 32]), Just([0x80; 32]), (0..3_i16).prop_map(near_p)]
}

/// Their sum by both, of points that are all valid.
fn check_sum(vector: Vector, encodings: &[[u8; 32]], scalars: &[[u8; 32]]) {
    let points = Points::decode(vector, encodings).expect("all are points");
    let model = RistrettoPoint::multiscalar_mul(
        scalars.iter().map(|bytes| Scalar::from_bytes_mod_order(*bytes)),
        encodings.iter().map(|encoding| decoded(encoding).expect("all are points")),
    );
    assert_eq!(points.sum(scalars), Some(model), "{vector:?}");
}

/// How limbs are written in lanes, and what they may be.
struct Limb {
    bits: fn(i64) -> u64,
    number: fn(u64) -> i64,
    small: (i64, i64),
    large: (i64, i64),
}

const OF_AVX512: Limb =
    Limb { bits: i64::cast_unsigned, number: u64::cast_signed, small: (0, (1 << 51) + (1 << 15) - 1), large: (0, (1 << 51) + (1 << 15) - 1) };
const OF_AVX2: Limb = Limb {
    bits: |number| (number as f64).to_bits(),
    number: |bits| format!("{:.0}", f64::from_bits(bits)).parse().expect("a whole number"),
    small: (-(1 << 50) - (1 << 14), (1 << 50) + (1 << 14)),
    large: (-(1 << 51) - (1 << 15), (1 << 51) + (1 << 15)),
};

/// Limbs between bounds, at them, around zero and powers of two; and all at a bound.
fn element((min, max): (i64, i64)) -> impl Strategy<Value = [i64; 5]> {
    let near = |number: i64| (number - 20).max(min)..=(number + 20).min(max);
    let limb = move || prop_oneof![min..=max, Just(min), Just(max), near(0), near(1 << 50), near((1 << 51).min(max)), near((-(1 << 50)).max(min))];
    prop_oneof![6 => [limb(), limb(), limb(), limb(), limb()], 1 => Just([max; 5]), 1 => Just([min; 5])]
}

fn modulus() -> U512 {
    (U512::from(1) << 255) - U512::from(19)
}

fn value(limbs: &[i64; 5]) -> U512 {
    let p = modulus();
    let of_limb = |limb: i64| if limb < 0 { p - U512::from(limb.unsigned_abs()) } else { U512::from(limb.unsigned_abs()) };
    limbs.iter().rev().fold(U512::ZERO, |sum, limb| ((sum << 51) + of_limb(*limb)) % p)
}

/// Everything the field can do with small elements a and b, large c.
fn check_field<F: Lanes<N>, const N: usize>(proof: F::Proof, limb: &Limb, [a, b, c]: [&[[i64; 5]; N]; 3]) {
    let field = |all: &[[i64; 5]; N]| {
        F::from_limbs(std::array::from_fn(|place| F::Register::from_words(proof, std::array::from_fn(|lane| (limb.bits)(all[lane][place])))))
    };
    let limbs = |field: F, (min, max): (i64, i64)| -> [[i64; 5]; N] {
        let words = field.to_limbs().map(|register| register.to_words());
        let limbs = std::array::from_fn(|lane| words.map(|words| (limb.number)(words[lane])));
        assert!(limbs.as_flattened().iter().all(|limb| (min..=max).contains(limb)), "the bound of limbs: {limbs:?}");
        limbs
    };
    let (small, large) = (|field| limbs(field, limb.small), |field| limbs(field, limb.large));
    let canonical = |field: F, lane| U512::from_le_slice(&written(field.canonical(lane)));
    let (x, y, z, one, p) = (field(a), field(b), field(c), F::splat(proof, ONE), modulus());
    let mask = Mask::MAX / 3;
    let results = [x.multiply(&y), x.square(), x.multiply(&z), z.multiply(&x), z.reduced(), x.absolute(), x, x.select(&y, mask)];
    let (of_small, of_large) = (results.map(small), [x.add(&y), x.subtract(&y), x.select(&z, mask)].map(large));
    let is_equal = x.subtract(&y).multiply(&one).is_zero();
    let tested = [x, x.add(&one), x.subtract(&one)].map(|field| (field, field.is_zero(), field.is_negative()));
    for lane in 0..N {
        let (u, v, w) = (value(&a[lane]), value(&b[lane]), value(&c[lane]));
        let has = |mask: Mask| mask >> lane & 1 == 1;
        let choice = |other| if has(mask) { other } else { u };
        let absolute = if u.bit(0) { p - u } else { u };
        assert_eq!(of_small.map(|limbs| value(&limbs[lane])), [u * v % p, u * u % p, u * w % p, w * u % p, w, absolute, u, choice(v)], "lane {lane}");
        assert_eq!(of_large.map(|limbs| value(&limbs[lane])), [(u + v) % p, (u + p - v) % p, choice(w)], "lane {lane}");
        assert_eq!(has(is_equal), u == v, "lane {lane}");
        for ((field, is_zero, is_negative), number) in tested.into_iter().zip([u, (u + U512::from(1)) % p, (u + p - U512::from(1)) % p]) {
            assert_eq!((canonical(field, lane), has(is_zero), has(is_negative)), (number, number == U512::ZERO, number.bit(0)), "lane {lane}");
        }
        // What is loaded is small too.
        let limbs: Vec<Limbs> = (0..=lane).map(|lane| x.canonical(lane)).collect();
        let loaded = F::load(proof, &limbs);
        small(loaded);
        assert_eq!((canonical(loaded, lane), canonical(loaded, N - 1)), (u, if lane == N - 1 { u } else { U512::ZERO }), "lane {lane}");
        let splat = F::splat(proof, limbs[lane]);
        small(splat);
        assert_eq!((0..N).map(|lane| canonical(splat, lane)).collect::<Vec<_>>(), [u; N], "lane {lane}");
    }
}

fn check_turning<R: Register<N>, const N: usize>(proof: R::Proof) {
    let rows = std::array::from_fn(|row| R::from_words(proof, std::array::from_fn(|column| (10 * row + column) as u64)));
    let columns = std::array::from_fn(|row| std::array::from_fn(|column| (10 * column + row) as u64));
    assert_eq!(R::transposed(rows).map(R::to_words), columns);
}

#[test]
fn turning() {
    for vector in vectors("turning") {
        match vector {
            Vector::Avx2(proof) => check_turning::<avx2::Register, 4>(proof),
            Vector::Avx512(proof) => check_turning::<avx512::Register, 8>(proof),
        }
    }
}

/// Every length of a message up to 400 bytes, and contexts of several lengths: positions in a block, blocks that end exactly, empty messages; and any rest.
#[test]
fn transcripts_are_merlins() {
    for vector in vectors("transcripts_are_merlins") {
        for length in 0..=400_usize {
            let bytes = vec![b'c'; length * 7 % 180];
            let context = Context::from_bytes(&bytes);
            let claims: Vec<(Vec<u8>, [u8; 32], [u8; 32])> = (0..u8::try_from(length % 19).expect("few"))
                .map(|byte| ((0..length).map(|place| (place % 251).to_le_bytes()[0] ^ byte).collect(), [byte; 32], [byte + 100; 32]))
                .collect();
            let signed: Vec<Signed> = claims.iter().map(|(message, key, commitment)| Signed { message, key, commitment }).collect();
            let hashes: Vec<Scalar> = vector.challenges(&bytes, &signed).iter().map(Scalar::from_bytes_mod_order_wide).collect();
            let model: Vec<Scalar> = claims.iter().map(|(message, key, commitment)| challenge(&context, message, &PublicKey(*key), commitment)).collect();
            assert_eq!(hashes, model, "{vector:?}, {length}");
        }
    }
}

/// Counts around those where something changes: lanes, decodings, the width of windows, a full batch.
#[test]
fn sums_of_many() {
    let count_max = 4_104_u64;
    let points: Vec<[u8; 32]> = (0..count_max).map(point).collect();
    let scalars: Vec<[u8; 32]> = (0..count_max).map(|number| (Scalar::from(number + 1).invert() + Scalar::from(number)).to_bytes()).collect();
    for vector in vectors("sums_of_many") {
        for count in (0..=20).chain([31, 32, 33, 63, 64, 65, 510, 511, 512, 513, 520, 4_095, 4_096, 4_097, 4_104]) {
            check_sum(vector, &points[..count], &scalars[..count]);
        }
    }
}

/// All equal, the identity among them, and pairs that cancel.
#[test]
fn sums_of_few_kinds() {
    let (one, minus_one) = (RistrettoPoint::mul_base(&Scalar::ONE), RistrettoPoint::mul_base(&-Scalar::ONE));
    let kinds = [one.compress().0, minus_one.compress().0, [0; 32]];
    for vector in vectors("sums_of_few_kinds") {
        for count in [1, 2, 3, 8, 17, 100, 600] {
            for scalar in [[0; 32], [1; 32], [0xff; 32], near_p(0)] {
                for kinds in [&kinds[..1], &kinds[..2], &kinds[2..], &kinds[..]] {
                    let points: Vec<[u8; 32]> = kinds.iter().copied().cycle().take(count).collect();
                    check_sum(vector, &points, &vec![scalar; count]);
                }
            }
        }
    }
}

/// One encoding of no point among 40, at any place.
#[test]
fn one_bad_among_many() {
    let points: Vec<[u8; 32]> = (0..40).map(point).collect();
    for vector in vectors("one_bad_among_many") {
        for bad in BAD_ENCODINGS.map(|digits| <[u8; 32]>::try_from(hex::decode(digits).expect("digits")).expect("32 bytes")) {
            for place in 0..points.len() {
                let mut points = points.clone();
                points[place] = bad;
                assert!(Points::decode(vector, &points).is_none(), "{vector:?}, {place}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn field_of_eight_is_numbers([a, mut b] in [vec(element(OF_AVX512.small), 8), vec(element(OF_AVX512.small), 8)], c in vec(element(OF_AVX512.large), 8)) {
        // One pair is equal.
        b[3] = a[3];
        let [a, b, c] = [a, b, c].map(|elements| <[[i64; 5]; 8]>::try_from(elements).expect("eight"));
        if let Some(proof) = super::Avx512::detect() {
            check_field::<avx512::Field, 8>(proof, &OF_AVX512, [&a, &b, &c]);
        }
    }

    #[test]
    fn field_of_four_is_numbers([a, mut b] in [vec(element(OF_AVX2.small), 4), vec(element(OF_AVX2.small), 4)], c in vec(element(OF_AVX2.large), 4)) {
        b[3] = a[3];
        let [a, b, c] = [a, b, c].map(|elements| <[[i64; 5]; 4]>::try_from(elements).expect("four"));
        if let Some(proof) = super::Avx2::detect() {
            check_field::<avx2::Field, 4>(proof, &OF_AVX2, [&a, &b, &c]);
        }
    }

    /// The same are points, and they are the same points.
    #[test]
    fn decoding_is_daleks(encodings in vec(encoding(), 0..40)) {
        let mut one = [0; 32];
        one[0] = 1;
        for vector in vectors("decoding_is_daleks") {
            for encoding in &encodings {
                let points = Points::decode(vector, &[*encoding]);
                prop_assert_eq!(points.map(|points| points.sum(&[one])), decoded(encoding).map(Some));
            }
            prop_assert_eq!(Points::decode(vector, &encodings).is_some(), encodings.iter().all(|encoding| decoded(encoding).is_some()));
            let valid: Vec<[u8; 32]> = encodings.iter().copied().filter(|encoding| decoded(encoding).is_some()).collect();
            check_sum(vector, &valid, &vec![one; valid.len()]);
        }
    }

    #[test]
    fn sums_are_daleks(terms in vec((any::<u8>(), scalar()), 0..40)) {
        let (points, scalars): (Vec<_>, Vec<_>) = terms.into_iter().map(|(number, scalar)| (point(number.into()), scalar)).unzip();
        for vector in vectors("sums_are_daleks") {
            check_sum(vector, &points, &scalars);
        }
    }
}
