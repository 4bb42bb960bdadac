//! The others, asked as their documentation says.

use blst::BLST_ERROR;
use blst::min_pk as bls;
use ed25519_dalek::{Signer as _, Verifier as _};
use primitives::Hash;
use schnorrkel::signing_context;

use crate::System;

/// sr25519 by its first implementation.
pub struct Schnorrkel {
    messages: Vec<Vec<u8>>,
    keys: Vec<schnorrkel::PublicKey>,
    signatures: Vec<schnorrkel::Signature>,
}

impl System for Schnorrkel {
    const NAME: &'static str = "schnorrkel";

    fn sign(messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32]) -> Self {
        let sign = |(number, message): (usize, &Vec<u8>)| {
            let pair = schnorrkel::MiniSecretKey::from_bytes(&signer(number)).expect("a seed").expand_to_keypair(schnorrkel::ExpansionMode::Ed25519);
            (pair.public, pair.sign(signing_context(b"bench").bytes(message)))
        };
        let (keys, signatures) = messages.iter().enumerate().map(sign).unzip();
        Self { messages: messages.to_vec(), keys, signatures }
    }

    fn single(&self) -> bool {
        self.keys[0].verify(signing_context(b"bench").bytes(&self.messages[0]), &self.signatures[0]).is_ok()
    }

    fn batch(&self, count: usize, is_merged: bool) -> bool {
        let context = signing_context(b"bench");
        let transcripts = self.messages[..count].iter().map(|message| context.bytes(message));
        schnorrkel::verify_batch(transcripts, &self.signatures[..count], &self.keys[..count], is_merged).is_ok()
    }
}

/// Ed25519.
pub struct Dalek {
    messages: Vec<Vec<u8>>,
    keys: Vec<ed25519_dalek::VerifyingKey>,
    signatures: Vec<ed25519_dalek::Signature>,
}

impl System for Dalek {
    const NAME: &'static str = "ed25519";

    fn sign(messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32]) -> Self {
        let sign = |(number, message): (usize, &Vec<u8>)| {
            let secret = ed25519_dalek::SigningKey::from_bytes(&signer(number));
            (secret.verifying_key(), secret.sign(message))
        };
        let (keys, signatures) = messages.iter().enumerate().map(sign).unzip();
        Self { messages: messages.to_vec(), keys, signatures }
    }

    fn single(&self) -> bool {
        self.keys[0].verify(&self.messages[0], &self.signatures[0]).is_ok()
    }

    fn batch(&self, count: usize, _: bool) -> bool {
        let messages: Vec<&[u8]> = self.messages[..count].iter().map(Vec::as_slice).collect();
        ed25519_dalek::verify_batch(&messages, &self.signatures[..count], &self.keys[..count]).is_ok()
    }
}

/// BLS over BLS12-381.
pub struct Blst {
    messages: Vec<Vec<u8>>,
    keys: Vec<bls::PublicKey>,
    signatures: Vec<bls::Signature>,
}

/// Its ciphersuite, as in RFC 9380 and the drafts of BLS signatures.
const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_";
/// Bits of its random coefficients.
const COEFFICIENT_BITS: usize = 64;

impl System for Blst {
    const NAME: &'static str = "blst";

    fn sign(messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32]) -> Self {
        let sign = |(number, message): (usize, &Vec<u8>)| {
            let secret = bls::SecretKey::key_gen(&signer(number), &[]).expect("a seed");
            (secret.sk_to_pk(), secret.sign(message, CIPHERSUITE, &[]))
        };
        let (keys, signatures) = messages.iter().enumerate().map(sign).unzip();
        Self { messages: messages.to_vec(), keys, signatures }
    }

    fn single(&self) -> bool {
        self.signatures[0].verify(false, &self.messages[0], CIPHERSUITE, &[], &self.keys[0], false) == BLST_ERROR::BLST_SUCCESS
    }

    fn batch(&self, count: usize, _: bool) -> bool {
        let messages: Vec<&[u8]> = self.messages[..count].iter().map(Vec::as_slice).collect();
        let (keys, signatures): (Vec<_>, Vec<_>) = (self.keys[..count].iter().collect(), self.signatures[..count].iter().collect());
        let coefficient = |number: usize| {
            let mut scalar = blst::blst_scalar::default();
            scalar.b[..8].copy_from_slice(&Hash::of("coefficient", &[&number.to_le_bytes()]).0[..8]);
            // Not zero.
            scalar.b[0] |= 1;
            scalar
        };
        let coefficients: Vec<_> = (0..count).map(coefficient).collect();
        bls::Signature::verify_multiple_aggregate_signatures(&messages, CIPHERSUITE, &keys, false, &signatures, false, &coefficients, COEFFICIENT_BITS)
            == BLST_ERROR::BLST_SUCCESS
    }
}
