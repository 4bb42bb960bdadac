//! Each function held equal to its twin: the field to numbers of 512 bits, transcripts to merlin, points and sums to curve25519-dalek.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::MultiscalarMul;
use proptest::collection::vec;
use proptest::prelude::*;
use ruint::aliases::U512;

use super::field::{Field, lanes, transposed, words};
use super::{Avx512, Signed};
use crate::samples::{BAD_ENCODINGS, decoded, encoding, near_p, point};
use crate::schnorr::challenge;
use crate::{Context, PublicKey};

/// The proof, or a line that says what is not tested here.
fn proof(test: &str) -> Option<Avx512> {
    let proof = Avx512::detect();
    if proof.is_none() {
        println!("skipped: {test} needs AVX-512 IFMA, which this processor has not");
    }
    proof
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
fn check_sum(proof: Avx512, encodings: &[[u8; 32]], scalars: &[[u8; 32]]) {
    let points = proof.decode(encodings).expect("all are points");
    let model = RistrettoPoint::multiscalar_mul(
        scalars.iter().map(|bytes| Scalar::from_bytes_mod_order(*bytes)),
        encodings.iter().map(|encoding| decoded(encoding).expect("all are points")),
    );
    assert_eq!(points.sum(scalars), Some(model));
}

/// Limbs at the bound, at zero and between.
fn limb() -> impl Strategy<Value = u64> {
    prop_oneof![0..1_u64 << 51, Just(0), Just((1 << 51) - 1), Just((1 << 51) - 19), (1_u64 << 51) - 20..(1 << 51) + (1 << 15), Just((1 << 51) + (1 << 15) - 1)]
}

fn element() -> impl Strategy<Value = [u64; 5]> {
    [limb(), limb(), limb(), limb(), limb()]
}

fn modulus() -> U512 {
    (U512::from(1) << 255) - U512::from(19)
}

fn value(limbs: &[u64; 5]) -> U512 {
    limbs.iter().rev().fold(U512::ZERO, |sum, limb| (sum << 51) + U512::from(*limb)) % modulus()
}

/// Everything the field can do with eight pairs.
#[target_feature(enable = "avx512f,avx512ifma")]
fn check_field(a: &[[u64; 5]; 8], b: &[[u64; 5]; 8]) {
    let field = |all: &[[u64; 5]; 8]| Field::from_limbs([0, 1, 2, 3, 4].map(|limb| lanes([0, 1, 2, 3, 4, 5, 6, 7].map(|lane: usize| all[lane][limb]))));
    let values = |field: Field| {
        let words = field.to_words().map(|lanes| words(lanes));
        [0, 1, 2, 3, 4, 5, 6, 7].map(|lane: usize| words.iter().rev().fold(U512::ZERO, |sum, words| (sum << 64) + U512::from(words[lane])))
    };
    let bounded = |field: Field| {
        assert!(field.limbs().into_iter().flat_map(|lanes| words(lanes)).all(|limb| limb < (1 << 51) + (1 << 15)), "the bound of limbs");
        values(field)
    };
    let (x, y, p) = (field(a), field(b), modulus());
    let (is_zero, is_negative) = (x.subtract(&y).is_zero(), x.is_negative());
    let results = [x.add(&y), x.subtract(&y), x.negate(), x.multiply(&y), x.square(), x.absolute(), x, x.select(&y, 0b1010_0101)].map(bounded);
    for lane in 0..8 {
        let (u, v) = (value(&a[lane]), value(&b[lane]));
        let negative = (p - u) % p;
        let absolute = if u.bit(0) { negative } else { u };
        let selected = if 0b1010_0101 >> lane & 1 == 1 { v } else { u };
        let model = [(u + v) % p, (u + p - v) % p, negative, u * v % p, u * u % p, absolute, u, selected];
        assert_eq!(results.map(|values| values[lane]), model, "lane {lane}");
        assert_eq!((is_zero >> lane & 1 == 1, is_negative >> lane & 1 == 1), (u == v, u.bit(0)), "lane {lane}");
    }
    let again = Field::from_words(x.to_words());
    assert_eq!(values(again), values(x));
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn transposed_words(rows: [[u64; 8]; 8]) -> [[u64; 8]; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    transposed(&[lanes(a), lanes(b), lanes(c), lanes(d), lanes(e), lanes(f), lanes(g), lanes(h)]).map(|lanes| words(lanes))
}

#[test]
fn turning() {
    if proof("turning").is_none() {
        return;
    }
    let rows = std::array::from_fn(|row| std::array::from_fn(|column| (10 * row + column) as u64));
    let columns = std::array::from_fn(|row| std::array::from_fn(|column| (10 * column + row) as u64));
    // SAFETY: the processor has the features.
    assert_eq!(unsafe { transposed_words(rows) }, columns);
}

/// Every length of a message up to 400 bytes, and contexts of several lengths: positions in a block, blocks that end exactly, empty messages.
#[test]
fn transcripts_are_merlins() {
    let Some(proof) = proof("transcripts_are_merlins") else { return };
    for length in 0..=400_usize {
        let bytes = vec![b'c'; length * 7 % 180];
        let context = Context::from_bytes(&bytes);
        let lanes: [(Vec<u8>, [u8; 32], [u8; 32]); 8] = std::array::from_fn(|lane| {
            let byte = u8::try_from(lane).expect("eight");
            let message = (0..length).map(|place| (place % 251).to_le_bytes()[0] ^ byte).collect();
            (message, [byte; 32], [byte + 100; 32])
        });
        let signed = lanes.each_ref().map(|(message, key, commitment)| Signed { message, key, commitment });
        let hashes = proof.challenges(&bytes, &[signed, signed]);
        let model = lanes.each_ref().map(|(message, key, commitment)| challenge(&context, message, &PublicKey(*key), commitment));
        for eight in hashes {
            assert_eq!(eight.map(|wide| Scalar::from_bytes_mod_order_wide(&wide)), model, "{length}");
        }
    }
}

/// Counts around those where something changes: lanes, decodings, the width of windows, a full batch.
#[test]
fn sums_of_many() {
    let Some(proof) = proof("sums_of_many") else { return };
    let count_max = 4_104_u64;
    let points: Vec<[u8; 32]> = (0..count_max).map(point).collect();
    let scalars: Vec<[u8; 32]> = (0..count_max).map(|number| (Scalar::from(number + 1).invert() + Scalar::from(number)).to_bytes()).collect();
    for count in (0..=20).chain([31, 32, 33, 63, 64, 65, 510, 511, 512, 513, 520, 4_095, 4_096, 4_097, 4_104]) {
        check_sum(proof, &points[..count], &scalars[..count]);
    }
}

/// All equal, the identity among them, and pairs that cancel.
#[test]
fn sums_of_few_kinds() {
    let Some(proof) = proof("sums_of_few_kinds") else { return };
    let (one, minus_one) = (RistrettoPoint::mul_base(&Scalar::ONE), RistrettoPoint::mul_base(&-Scalar::ONE));
    let kinds = [one.compress().0, minus_one.compress().0, [0; 32]];
    for count in [1, 2, 3, 8, 17, 100, 600] {
        for scalar in [[0; 32], [1; 32], [0xff; 32], near_p(0)] {
            for kinds in [&kinds[..1], &kinds[..2], &kinds[2..], &kinds[..]] {
                let points: Vec<[u8; 32]> = kinds.iter().copied().cycle().take(count).collect();
                check_sum(proof, &points, &vec![scalar; count]);
            }
        }
    }
}

/// One encoding of no point among 4,096, at any place.
#[test]
fn one_bad_among_many() {
    let Some(proof) = proof("one_bad_among_many") else { return };
    let points: Vec<[u8; 32]> = (0..40).map(point).collect();
    for bad in BAD_ENCODINGS.map(|digits| <[u8; 32]>::try_from(hex::decode(digits).expect("digits")).expect("32 bytes")) {
        for place in 0..points.len() {
            let mut points = points.clone();
            points[place] = bad;
            assert!(proof.decode(&points).is_none(), "{place}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn field_is_numbers(a in vec(element(), 8), b in vec(element(), 8)) {
        if proof("field_is_numbers").is_some() {
            let (a, b) = (a.try_into().expect("eight"), b.try_into().expect("eight"));
            // SAFETY: the processor has the features.
            unsafe { check_field(&a, &b) };
        }
    }

    /// The same are points, and they are the same points.
    #[test]
    fn decoding_is_daleks(encodings in vec(encoding(), 0..40)) {
        let Some(proof) = proof("decoding_is_daleks") else { return Ok(()) };
        let mut one = [0; 32];
        one[0] = 1;
        for encoding in &encodings {
            let points = proof.decode(&[*encoding]);
            prop_assert_eq!(points.map(|points| points.sum(&[one])), decoded(encoding).map(Some));
        }
        prop_assert_eq!(proof.decode(&encodings).is_some(), encodings.iter().all(|encoding| decoded(encoding).is_some()));
        let valid: Vec<[u8; 32]> = encodings.into_iter().filter(|encoding| decoded(encoding).is_some()).collect();
        check_sum(proof, &valid, &vec![one; valid.len()]);
    }

    #[test]
    fn sums_are_daleks(terms in vec((any::<u8>(), scalar()), 0..40)) {
        let Some(proof) = proof("sums_are_daleks") else { return Ok(()) };
        let (points, scalars): (Vec<_>, Vec<_>) = terms.into_iter().map(|(number, scalar)| (point(number.into()), scalar)).unzip();
        check_sum(proof, &points, &scalars);
    }
}
