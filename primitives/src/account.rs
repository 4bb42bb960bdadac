//! Who owns money: a 20-byte address, derived from a key with the key's type inside, so that a new type of key never collides with an old one.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bech32::{Bech32m, Hrp};
use borsh::{BorshDeserialize, BorshSerialize};
use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Context, Hash, PublicKey, SecretKey, Signature};

/// First letters of every address.
pub const ADDRESS_PREFIX: &str = "st";

/// An account: 20 bytes, printed as bech32m with prefix `st`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, BorshSerialize, BorshDeserialize)]
pub struct Address(pub [u8; 20]);

/// The order of the bytes, word by word, as hashes have it.
impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.words().cmp(&other.words())
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Address {
    /// An account that no key controls: pools and reserves of the ledger itself.
    pub fn of_module(name: &str) -> Self {
        Self::from_hash(Hash::of("module account", &[name.as_bytes()]))
    }

    /// The bytes as big-endian numbers.
    fn words(&self) -> [u32; 5] {
        let words = self.0.as_chunks::<4>().0;
        [words[0], words[1], words[2], words[3], words[4]].map(u32::from_be_bytes)
    }

    /// The account that a hash names, by its first 20 bytes; whoever calls this brings a domain of its own.
    pub fn from_hash(hash: Hash) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&hash.0[..20]);
        Self(bytes)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Hrp::parse_unchecked(ADDRESS_PREFIX);
        bech32::encode_to_fmt::<Bech32m, _>(f, prefix, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseAddressError {
    /// A letter is wrong, missing or too many.
    #[error("`{text}` is not an address: {cause}")]
    Checksum {
        /// What was read.
        text: String,
        /// What bech32 found.
        cause: String,
    },
    /// Right form, other network.
    #[error("`{0}` is an address of another network: ours begin with `{ADDRESS_PREFIX}1`")]
    Prefix(String),
    /// Right form, wrong number of bytes.
    #[error("`{text}` holds {length} bytes, an address holds 20")]
    Length {
        /// What was read.
        text: String,
        /// Bytes inside.
        length: usize,
    },
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let shown: String = text.chars().take(100).collect();
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|error| ParseAddressError::Checksum { text: shown.clone(), cause: error.to_string() })?;
        if checked.hrp().to_lowercase() != ADDRESS_PREFIX {
            return Err(ParseAddressError::Prefix(shown));
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let length = bytes.len();
        bytes.try_into().map(Self).map_err(|_| ParseAddressError::Length { text: shown, length })
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The key behind an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub enum AccountKey {
    /// Schnorr over ristretto255 (sr25519).
    Ristretto(PublicKey),
    /// Ed25519 (RFC 8032), verified strictly: canonical encodings, no small-order keys.
    Ed25519([u8; 32]),
}

impl AccountKey {
    /// The account of this key.
    pub fn address(&self) -> Address {
        Address::from_hash(Hash::of_value("account", self))
    }

    /// Whether `signature` is this key's over `message` in the context `role` of the chain `genesis`.
    pub fn verify(&self, role: &str, genesis: Hash, message: &[u8], signature: &Signature) -> bool {
        match self {
            Self::Ristretto(key) => key.decode().is_ok_and(|key| key.verify(&Context::new(role, genesis), message, signature)),
            Self::Ed25519(key) => ed25519_dalek::VerifyingKey::from_bytes(key)
                .is_ok_and(|key| key.verify_strict(&ed25519_message(role, genesis, message), &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()),
        }
    }
}

/// Type of a Schnorr key in text.
const RISTRETTO: &str = "ristretto";
/// Type of an Ed25519 key in text.
const ED25519: &str = "ed25519";

/// `ristretto:` or `ed25519:`, then 64 hexadecimal digits.
impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ristretto(key) => write!(f, "{RISTRETTO}:{key}"),
            Self::Ed25519(key) => write!(f, "{ED25519}:{}", Hash(*key)),
        }
    }
}

/// Text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseAccountKeyError {
    /// No type that is known, or not 64 digits.
    #[error("`{0}` is not a public key: write 64 hexadecimal digits, with `{ED25519}:` before them if it is of that type")]
    Form(String),
    /// Right form, but nobody can sign for it.
    #[error("`{0}` is not a public key: no secret belongs to these digits")]
    Unusable(String),
}

/// As it is printed; without a type it is a Schnorr key.
impl FromStr for AccountKey {
    type Err = ParseAccountKeyError;

    fn from_str(text: &str) -> Result<Self, ParseAccountKeyError> {
        let shown = || text.chars().take(100).collect();
        let (kind, digits) = text.split_once(':').unwrap_or((RISTRETTO, text));
        let Hash(bytes) = digits.parse().map_err(|_| ParseAccountKeyError::Form(shown()))?;
        let (key, is_usable) = match kind {
            RISTRETTO => (Self::Ristretto(PublicKey(bytes)), PublicKey(bytes).decode().is_ok()),
            ED25519 => (Self::Ed25519(bytes), ed25519_dalek::VerifyingKey::from_bytes(&bytes).is_ok_and(|key| !key.is_weak())),
            _ => return Err(ParseAccountKeyError::Form(shown())),
        };
        if is_usable { Ok(key) } else { Err(ParseAccountKeyError::Unusable(shown())) }
    }
}

impl Serialize for AccountKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Ed25519 has no contexts of its own: what is signed is the hash of context and message.
fn ed25519_message(role: &str, genesis: Hash, message: &[u8]) -> [u8; 32] {
    Hash::of("account signature", &[role.as_bytes(), genesis.as_bytes(), message]).0
}

/// The secret of an account.
#[derive(Clone)]
pub enum AccountSecret {
    /// Schnorr over ristretto255.
    Ristretto(SecretKey),
    /// Ed25519; boxed, because its expanded key is large.
    Ed25519(Box<SigningKey>),
}

impl AccountSecret {
    /// The Schnorr account of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::Ristretto(SecretKey::from_seed(seed))
    }

    /// The public side.
    pub fn key(&self) -> AccountKey {
        match self {
            Self::Ristretto(secret) => AccountKey::Ristretto(secret.public()),
            Self::Ed25519(secret) => AccountKey::Ed25519(secret.verifying_key().to_bytes()),
        }
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.key().address()
    }

    /// Signs `message` in the context `role` of the chain `genesis`.
    pub fn sign(&self, role: &str, genesis: Hash, message: &[u8]) -> Signature {
        match self {
            Self::Ristretto(secret) => secret.sign(&Context::new(role, genesis), message),
            Self::Ed25519(secret) => Signature(secret.sign(&ed25519_message(role, genesis, message)).to_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_that_of_the_bytes(one: [u8; 20], mut other: [u8; 20], same in 0..=20_usize) {
            other[..same].copy_from_slice(&one[..same]);
            prop_assert_eq!(Address(one).cmp(&Address(other)), one.cmp(&other));
        }
    }

    #[test]
    fn both_key_types_sign() {
        let secrets = [AccountSecret::from_seed(&[1; 32]), AccountSecret::Ed25519(Box::new(SigningKey::from_bytes(&[1; 32])))];
        for secret in secrets {
            let signature = secret.sign("tx", Hash::ZERO, b"pay");
            assert!(secret.key().verify("tx", Hash::ZERO, b"pay", &signature));
            assert!(!secret.key().verify("tx", Hash::ZERO, b"pax", &signature));
            assert!(!secret.key().verify("vote", Hash::ZERO, b"pay", &signature));
            assert!(!secret.key().verify("tx", Hash([1; 32]), b"pay", &signature));
        }
        assert_ne!(AccountKey::Ristretto(PublicKey([7; 32])).address(), AccountKey::Ed25519([7; 32]).address(), "the type is part of the address");
    }

    #[test]
    fn addresses_name_what_is_wrong_with_them() {
        let address = AccountSecret::from_seed(&[1; 32]).address();
        let text = address.to_string();
        assert!(text.starts_with("st1"));
        let mut wrong = text.clone();
        wrong.replace_range(10..11, if &text[10..11] == "q" { "p" } else { "q" });
        assert!(matches!(wrong.parse::<Address>(), Err(ParseAddressError::Checksum { .. })));
        let other = bech32::encode::<Bech32m>(Hrp::parse_unchecked("bc"), &address.0).expect("encodes");
        assert!(matches!(other.parse::<Address>(), Err(ParseAddressError::Prefix(_))));
        let short = bech32::encode::<Bech32m>(Hrp::parse_unchecked("st"), &address.0[1..]).expect("encodes");
        assert!(matches!(short.parse::<Address>(), Err(ParseAddressError::Length { length: 19, .. })));
    }

    #[test]
    fn keys_as_text() {
        let secrets = [AccountSecret::from_seed(&[1; 32]), AccountSecret::Ed25519(Box::new(SigningKey::from_bytes(&[1; 32])))];
        for key in secrets.map(|secret| secret.key()) {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let ristretto = AccountSecret::from_seed(&[1; 32]).key();
        assert_eq!(ristretto.to_string().trim_start_matches("ristretto:").parse(), Ok(ristretto));
        let zero = "00".repeat(32);
        // The identity, and a point of small order: anybody could sign.
        for unusable in [zero.clone(), format!("ed25519:{zero}"), "ff".repeat(32)] {
            assert_eq!(unusable.parse::<AccountKey>(), Err(ParseAccountKeyError::Unusable(unusable)));
        }
        for wrong in ["", "12", "rsa:00", &format!("rsa:{zero}"), &format!("{ristretto}0"), "ed25519:"] {
            assert_eq!(wrong.parse::<AccountKey>(), Err(ParseAccountKeyError::Form(wrong.into())));
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes in any::<[u8; 20]>()) {
            let address = Address(bytes);
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }

        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            prop_assert!(text.parse::<Address>().is_err());
        }
    }
}
