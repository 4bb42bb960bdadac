//! Schnorr signatures over ristretto255, byte-compatible with sr25519.
//!
//! # Signature
//! With secret scalar `x`, public key `A = xB`, a context and a message:
//! ```text
//! T = Transcript("SigningContext"); T("", context); T("sign-bytes", message)
//! T("proto-name", "Schnorr-sig"); T("sign:pk", A); choose r from a clone of T; R = rB; T("sign:R", R)
//! c = T.challenge("sign:c", 64 bytes) mod l;  s = r + c x;  signature = R || s, with bit 7 of the last byte set
//! ```
//! Valid if the mark is set, `s` is canonical, and `sB - cA` encodes to `R`. Ristretto encodings are unique, so `R` needs no decoding.
//!
//! # Nonces
//! [`SecretKey::sign`] is hedged: secret nonce seed, transcript and fresh randomness; a dead random source degrades it to deterministic, never to a
//! repeated nonce. [`SecretKey::sign_deterministic`] gives the same bytes for the same message, which the consensus signer needs.
//!
//! Source: schnorrkel 0.11 (`sign.rs`, `context.rs`), which is the oracle of our tests; key expansion is its `ExpansionMode::Ed25519`.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use merlin::Transcript;
use rand_core::{CryptoRng, OsRng, RngCore};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Hash;

/// What kind of object is signed, on which chain. Equal bytes signed under two contexts have unrelated signatures.
#[derive(Clone)]
pub struct Context {
    bytes: Vec<u8>,
    /// The transcript up to the message.
    transcript: Transcript,
}

impl Context {
    /// The context `stratos/<role>/v1/<genesis hash>`; `role` is one word per kind of object.
    pub fn new(role: &str, genesis: Hash) -> Self {
        let mut bytes = format!("stratos/{role}/v1/").into_bytes();
        bytes.extend_from_slice(genesis.as_bytes());
        Self::from_bytes(&bytes)
    }

    /// A context of raw bytes, as other sr25519 software uses (`substrate`).
    pub fn from_bytes(context: &[u8]) -> Self {
        let mut transcript = Transcript::new(b"SigningContext");
        transcript.append_message(b"", context);
        Self { bytes: context.to_vec(), transcript }
    }

    /// Its bytes, which make it what it is.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The transcript up to the public key.
    fn bind(&self, message: &[u8], key: &PublicKey) -> Transcript {
        let mut transcript = self.transcript.clone();
        transcript.append_message(b"sign-bytes", message);
        transcript.append_message(b"proto-name", b"Schnorr-sig");
        transcript.append_message(b"sign:pk", &key.0);
        transcript
    }
}

/// The challenge `c`: binds context, message, key and `R`.
pub(crate) fn challenge(context: &Context, message: &[u8], key: &PublicKey, commitment: &[u8; 32]) -> Scalar {
    challenge_of(context.bind(message, key), commitment)
}

fn challenge_of(mut transcript: Transcript, commitment: &[u8; 32]) -> Scalar {
    transcript.append_message(b"sign:R", commitment);
    let mut wide = [0; 64];
    transcript.challenge_bytes(b"sign:c", &mut wide);
    Scalar::from_bytes_mod_order_wide(&wide)
}

/// A public key as it travels: 32 bytes that may or may not be a point. [`PublicKey::decode`] finds out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct PublicKey(pub [u8; 32]);

/// Bytes that are no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the canonical encoding of a point.
    #[error("public key {0:?} is not a canonical ristretto255 point")]
    NotAPoint(PublicKey),
    /// The identity: anybody could sign for it.
    #[error("the identity is not a public key")]
    Identity,
}

impl PublicKey {
    /// The key as a point, ready to verify.
    ///
    /// # Errors
    /// [`KeyError`] for a non-canonical encoding and for the identity.
    pub fn decode(&self) -> Result<VerifyingKey, KeyError> {
        let point = CompressedRistretto(self.0).decompress().ok_or(KeyError::NotAPoint(*self))?;
        if point.is_identity() {
            return Err(KeyError::Identity);
        }
        Ok(VerifyingKey { bytes: *self, point })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", hex::encode(&self.0[..4]))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Hash as Deserialize>::deserialize(deserializer).map(|bytes| Self(bytes.0))
    }
}

/// A public key that was checked to be one, kept as a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyingKey {
    bytes: PublicKey,
    pub(crate) point: RistrettoPoint,
}

impl VerifyingKey {
    /// The encoding.
    pub fn public(&self) -> PublicKey {
        self.bytes
    }

    /// Whether `signature` is this key's over `message` in `context`.
    pub fn verify(&self, context: &Context, message: &[u8], signature: &Signature) -> bool {
        let Some((commitment, s)) = signature.parts() else { return false };
        let c = challenge(context, message, &self.bytes, &commitment);
        RistrettoPoint::vartime_double_scalar_mul_basepoint(&-c, &self.point, &s).compress().0 == commitment
    }
}

/// `R || s`, 64 bytes, marked as Schnorr in the highest bit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// `R` and a canonical `s`, or `None` if the mark is missing or `s >= l`.
    pub(crate) fn parts(&self) -> Option<([u8; 32], Scalar)> {
        let (mut commitment, mut s) = ([0; 32], [0; 32]);
        commitment.copy_from_slice(&self.0[..32]);
        s.copy_from_slice(&self.0[32..]);
        if s[31] & 0x80 == 0 {
            return None;
        }
        s[31] &= 0x7f;
        Some((commitment, Option::<Scalar>::from(Scalar::from_canonical_bytes(s))?))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", hex::encode(&self.0[..4]))
    }
}

/// A secret key; wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey {
    scalar: Scalar,
    nonce_seed: [u8; 32],
    #[zeroize(skip)]
    public: PublicKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?})", self.public)
    }
}

/// Randomness for deterministic signatures: none. The nonce then depends on the nonce seed and the transcript alone.
struct NoRandomness;

impl RngCore for NoRandomness {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.fill(0);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        out.fill(0);
        Ok(())
    }
}

impl CryptoRng for NoRandomness {}

impl SecretKey {
    /// The key of a 32-byte seed, expanded as sr25519 wallets do (ed25519 style).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let expanded = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&expanded[..32]);
        key[0] &= 248;
        key[31] &= 63;
        key[31] |= 64;
        // Dividing the clamped number by the cofactor 8 gives a canonical scalar below 2^252.
        let mut low = 0;
        for byte in key.iter_mut().rev() {
            let carry = *byte & 0b111;
            *byte = (*byte >> 3) | low;
            low = carry << 5;
        }
        let scalar = Scalar::from_bytes_mod_order(*key);
        let mut nonce_seed = [0; 32];
        nonce_seed.copy_from_slice(&expanded[32..]);
        Self { scalar, nonce_seed, public: PublicKey(RistrettoPoint::mul_base(&scalar).compress().0) }
    }

    /// A fresh key from the operating system's random source.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs with a hedged nonce: two signatures of one message differ, both are valid.
    pub fn sign(&self, context: &Context, message: &[u8]) -> Signature {
        self.sign_with(context, message, &mut OsRng)
    }

    /// Signs with a nonce that depends on key and message alone: the same bytes each time.
    pub fn sign_deterministic(&self, context: &Context, message: &[u8]) -> Signature {
        self.sign_with(context, message, &mut NoRandomness)
    }

    fn sign_with<R: RngCore + CryptoRng>(&self, context: &Context, message: &[u8], random: &mut R) -> Signature {
        let transcript = context.bind(message, &self.public);
        let mut wide = Zeroizing::new([0; 64]);
        transcript.build_rng().rekey_with_witness_bytes(b"signing", &self.nonce_seed).finalize(random).fill_bytes(&mut *wide);
        let mut nonce = Scalar::from_bytes_mod_order_wide(&wide);
        let commitment = RistrettoPoint::mul_base(&nonce).compress().0;
        let s = nonce + challenge_of(transcript, &commitment) * self.scalar;
        nonce.zeroize();
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&commitment);
        bytes[32..].copy_from_slice(&s.to_bytes());
        bytes[63] |= 0x80;
        Signature(bytes)
    }
}

#[cfg(test)]
impl SecretKey {
    /// What a signature is if the nonce is zero and its commitment is written like this.
    pub(crate) fn sign_with_commitment(&self, context: &Context, message: &[u8], commitment: [u8; 32]) -> Signature {
        let s = challenge(context, message, &self.public, &commitment) * self.scalar;
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&commitment);
        bytes[32..].copy_from_slice(&s.to_bytes());
        bytes[63] |= 0x80;
        Signature(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use proptest::prelude::*;

    const ALICE_SEED: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
    const ALICE: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("length")
    }

    #[test]
    fn seeds_expand_as_in_sr25519() {
        assert_eq!(SecretKey::from_seed(&bytes(ALICE_SEED)).public().to_string(), ALICE);
        let seed = *b"12345678901234567890123456789012";
        assert_eq!(SecretKey::from_seed(&seed).public().to_string(), "741c08a06f41c596608f6774259bd9043304adfa5d3eea62760bd9be97634d63");
    }

    /// Signatures published by other sr25519 implementations (sr25519-crust, wasm-crypto), context `substrate`.
    #[test]
    fn foreign_signatures_verify() {
        let substrate = Context::from_bytes(b"substrate");
        let cases: [(&str, &[u8], &str); 2] = [
            (
                "46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a",
                b"this is a message",
                "4e172314444b8f820bb54c22e95076f220ed25373e5c178234aa6c211d29271244b947e3ff3418ff6b45fd1df1140c8cbff69fc58ee6dc96df70936a2bb74b82",
            ),
            (
                ALICE,
                b"I hereby verify that I control 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
                "1037eb7e51613d0dcf5930ae518819c87d655056605764840d9280984e1b7063c4566b55bf292fcab07b369d01095879b50517beca4d26e6a65866e25fec0d83",
            ),
        ];
        for (key, message, signature) in cases {
            let key = PublicKey(bytes(key)).decode().expect("key");
            assert!(key.verify(&substrate, message, &Signature(bytes(signature))));
            assert!(!key.verify(&substrate, &message[1..], &Signature(bytes(signature))));
        }
    }

    /// RFC 9496, appendix A.1: encodings of 0 B to 15 B, which are all keys but the first.
    #[test]
    fn multiples_of_the_generator() {
        let multiples = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
            "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
            "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
            "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
            "e882b131016b52c1d3337080187cf768423efccbb517bb495ab812c4160ff44e",
            "f64746d3c92b13050ed8d80236a7f0007c3b3f962f5ba793d19a601ebb1df403",
            "44f53520926ec81fbd5a387845beb7df85a96a24ece18738bdcfa6a7822a176d",
            "903293d8f2287ebe10e2374dc1a53e0bc887e592699f02d077d5263cdd55601c",
            "02622ace8f7303a31cafc63f8fc48fdc16e1c8c8d234b2f0d6685282a9076031",
            "20706fd788b2720a1ed2a5dad4952b01f413bcf0e7564de8cdc816689e2db95f",
            "bce83f8ba5dd2fa572864c24ba1810f9522bc6004afe95877ac73241cafdab42",
            "e4549ee16b9aa03099ca208c67adafcafa4c3f3e4e5303de6026e3ca8ff84460",
            "aa52e000df2e16f55fb1032fc33bc42742dad6bd5a8fc0be0167436c5948501f",
            "46376b80f409b29dc2b5f6f0c52591990896e5716f41477cd30085ab7f10301e",
            "e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e",
        ];
        for (factor, encoding) in (0_u64..).zip(multiples) {
            let key = PublicKey(bytes(encoding));
            assert_eq!(RistrettoPoint::mul_base(&Scalar::from(factor)).compress().0, key.0, "{factor}");
            assert_eq!(key.decode().err(), (factor == 0).then_some(KeyError::Identity), "{factor}");
        }
    }

    /// RFC 9496, appendix A.2: encodings of no point, or other encodings of one. None is a key, and none is the commitment of a signature.
    #[test]
    fn bad_encodings() {
        let (secret, context) = (SecretKey::from_seed(&[1; 32]), Context::new("test", Hash::ZERO));
        let key = secret.public().decode().expect("key");
        for encoding in samples::BAD_ENCODINGS.map(bytes::<32>) {
            assert_eq!(PublicKey(encoding).decode(), Err(KeyError::NotAPoint(PublicKey(encoding))));
            let mut signature = secret.sign(&context, b"message");
            signature.0[..32].copy_from_slice(&encoding);
            assert!(!key.verify(&context, b"message", &signature));
        }
    }

    /// A scalar has one encoding, and a signature its mark.
    #[test]
    fn one_encoding_of_a_signature() {
        let (secret, context) = (SecretKey::from_seed(&[1; 32]), Context::new("test", Hash::ZERO));
        let (key, good) = (secret.public().decode().expect("key"), secret.sign(&context, b"message"));
        let mut unmarked = good;
        unmarked.0[63] &= 0x7f;
        let mut shifted = good;
        shifted.0[32..].copy_from_slice(&samples::plus_order(good.0[32..].try_into().expect("32 bytes")));
        assert!(key.verify(&context, b"message", &good) && shifted.0[63] & 0x80 != 0);
        for other in [unmarked, shifted] {
            assert!(!key.verify(&context, b"message", &other));
            let theirs = schnorrkel::PublicKey::from_bytes(&key.public().0).expect("key");
            let context = [b"stratos/test/v1/", &Hash::ZERO.0[..]].concat();
            assert!(schnorrkel::Signature::from_bytes(&other.0).map_or(true, |other| theirs.verify_simple(&context, b"message", &other).is_err()));
        }
    }

    /// Merlin's own vector: the transcript that everything here is hashed with.
    #[test]
    fn transcripts() {
        let mut transcript = Transcript::new(b"test protocol");
        transcript.append_message(b"some label", b"some data");
        let mut challenge = [0; 32];
        transcript.challenge_bytes(b"challenge", &mut challenge);
        assert_eq!(challenge, bytes("d5a21972d0d5fe320c0d263fac7fffb8145aa640af6e9bca177c03c7efcf0615"));
    }

    proptest! {
        #[test]
        fn schnorrkel_agrees(seed in any::<[u8; 32]>(), message in proptest::collection::vec(any::<u8>(), 0..200), flip in 0..512usize) {
            let ours = SecretKey::from_seed(&seed);
            let theirs = schnorrkel::MiniSecretKey::from_bytes(&seed).expect("seed").expand_to_keypair(schnorrkel::ExpansionMode::Ed25519);
            prop_assert_eq!(ours.public().0, theirs.public.to_bytes());
            let context = Context::from_bytes(b"test");
            let key = ours.public().decode().expect("key");

            let signature = ours.sign(&context, &message);
            let parsed = schnorrkel::Signature::from_bytes(&signature.0).expect("signature");
            prop_assert!(theirs.public.verify_simple(b"test", &message, &parsed).is_ok());
            prop_assert!(key.verify(&context, &message, &Signature(theirs.sign_simple(b"test", &message).to_bytes())));

            let mut mutated = signature;
            mutated.0[flip / 8] ^= 1 << (flip % 8);
            let oracle = schnorrkel::Signature::from_bytes(&mutated.0).is_ok_and(|parsed| theirs.public.verify_simple(b"test", &message, &parsed).is_ok());
            prop_assert_eq!(key.verify(&context, &message, &mutated), oracle);
            prop_assert!(!oracle);
        }

        #[test]
        fn nonces(seed in any::<[u8; 32]>(), message in any::<[u8; 16]>()) {
            let key = SecretKey::from_seed(&seed);
            let context = Context::new("test", Hash::ZERO);
            prop_assert_eq!(key.sign_deterministic(&context, &message), key.sign_deterministic(&context, &message));
            prop_assert_ne!(key.sign(&context, &message), key.sign(&context, &message));
            let mut other = message;
            other[0] ^= 1;
            prop_assert_ne!(&key.sign_deterministic(&context, &message).0[..32], &key.sign_deterministic(&context, &other).0[..32]);
            let elsewhere = Context::new("test", Hash([1; 32]));
            prop_assert!(!key.public().decode().expect("key").verify(&elsewhere, &message, &key.sign(&context, &message)));
        }
    }
}
