//! What tests of several modules are made of.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use ruint::aliases::U512;

use crate::{Context, Hash, SecretKey, Signature, VerifyingKey};

/// Key, message, signature.
pub type Signed = (VerifyingKey, Vec<u8>, Signature);

pub fn context() -> Context {
    Context::new("test", Hash::ZERO)
}

/// Deterministic signatures over 0, 1, 2 and so on as eight bytes, little-endian, by keys of seeds of zeros, ones, twos and so on, in turn.
pub fn signed(count: usize, keys: usize) -> Vec<Signed> {
    let secrets: Vec<SecretKey> = (0..keys).map(|key| SecretKey::from_seed(&[u8::try_from(key).expect("few keys"); 32])).collect();
    let sign = |index: usize| {
        let (secret, message) = (&secrets[index % keys], index.to_le_bytes().to_vec());
        (secret.public().decode().expect("key"), message.clone(), secret.sign_deterministic(&context(), &message))
    };
    (0..count).map(sign).collect()
}

/// A number of 256 bits plus the order of the group, `l = 2^252 + 27742317777372353535851937790883648493`, little-endian. There must be room for it.
pub fn plus_order(number: [u8; 32]) -> [u8; 32] {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").expect("digits");
    let (mut sum, mut carry) = (number, 0);
    for (byte, order) in sum.iter_mut().zip(order) {
        let digit = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (digit.to_le_bytes()[0], digit >> 8);
    }
    assert_eq!(carry, 0, "there is room");
    sum
}

/// A valid signature with the commitment of a nonce of zero, the identity, in its only encoding and in one that is not canonical: p instead of 0.
///
/// With `R = 0` the relation is `s = c x`, where `c` is the challenge of the encoding that is written.
pub fn identity_commitments(secret: &SecretKey, message: &[u8]) -> [Signature; 2] {
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    [[0; 32], p].map(|commitment| secret.sign_with_commitment(&context(), message, commitment))
}

/// RFC 9496, appendix A.2: encodings of no point, or other encodings of one.
pub const BAD_ENCODINGS: [&str; 29] = [
    // Non-canonical field elements.
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    // Negative field elements.
    "0100000000000000000000000000000000000000000000000000000000000000",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
    "c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
    "c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
    "47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
    "f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
    "87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
    // Non-square x^2.
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
    "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
    "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
    "2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
    "f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
    "8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
    "2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
    // Negative xy.
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
    "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
    "d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
    "8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
    "32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
    "227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
    "5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
    "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
    // s = -1, for which y = 0.
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// p, or `p + offset`, as 32 bytes.
pub fn near_p(offset: i16) -> [u8; 32] {
    let p = (U512::from(1) << 255) - U512::from(19);
    let number: U512 = if offset < 0 { p - U512::from(offset.unsigned_abs()) } else { p + U512::from(offset.unsigned_abs()) };
    number.to_le_bytes::<64>()[..32].try_into().expect("32 bytes")
}

/// A point for each number; that of zero is the identity.
pub fn point(number: u64) -> [u8; 32] {
    RistrettoPoint::mul_base(&(Scalar::from(number) * Scalar::from(number))).compress().0
}

/// Encodings of points and of none: any bytes, even numbers below 2^255 (of which a quarter are points), points, points with one bit turned, numbers near p and
/// near zero, and those of the RFC.
pub fn encoding() -> impl Strategy<Value = [u8; 32]> {
    let even = |mut bytes: [u8; 32]| {
        bytes[0] &= 0xfe;
        bytes[31] &= 0x7f;
        bytes
    };
    let turned = |(number, bit): (u64, usize)| {
        let mut bytes = point(number);
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let small = |number: u8| {
        let mut bytes = [0; 32];
        bytes[0] = number;
        bytes
    };
    let bad = |index: prop::sample::Index| <[u8; 32]>::try_from(hex::decode(index.get(&BAD_ENCODINGS)).expect("digits")).expect("32 bytes");
    prop_oneof![
        1 => any::<[u8; 32]>(),
        4 => any::<[u8; 32]>().prop_map(even),
        4 => any::<u64>().prop_map(point),
        2 => (any::<u64>(), 0..256_usize).prop_map(turned),
        1 => (-40..40_i16).prop_map(near_p),
        1 => any::<u8>().prop_map(small),
        1 => any::<prop::sample::Index>().prop_map(bad),
    ]
}

/// The point by curve25519-dalek.
pub fn decoded(encoding: &[u8; 32]) -> Option<RistrettoPoint> {
    CompressedRistretto(*encoding).decompress()
}
