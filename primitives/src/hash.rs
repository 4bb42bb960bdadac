//! SHA-256 with a domain, so that the hash of one kind of object is never the hash of another.

use std::cmp::Ordering;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// 32 bytes of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, BorshSerialize, BorshDeserialize)]
pub struct Hash(pub [u8; 32]);

/// The order of the bytes, word by word: where hashes are keys they are compared more often than anything else is done with them.
impl Ord for Hash {
    fn cmp(&self, other: &Self) -> Ordering {
        self.words().cmp(&other.words())
    }
}

impl PartialOrd for Hash {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash {
    /// No object hashes to this: parent of the first block, root of the empty tree.
    pub const ZERO: Self = Self([0; 32]);

    /// `SHA-256(len(domain) || domain || (len(part) || part)*)`, lengths as 8 little-endian bytes: parts cannot slide into one another.
    pub fn of(domain: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for bytes in std::iter::once(&domain.as_bytes()).chain(parts) {
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        Self(hasher.finalize().into())
    }

    /// The hash of a value's canonical encoding under `domain`.
    pub fn of_value<T: BorshSerialize>(domain: &str, value: &T) -> Self {
        Self::of(domain, &[&crate::encoding::encode(value)])
    }

    /// Plain SHA-256 of the concatenated parts, for functions that bring their own tags (trees).
    pub fn raw(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 bytes as a big-endian number: a uniform `u64` for sampling.
    pub fn to_u64(self) -> u64 {
        self.words()[0]
    }

    /// The bytes as big-endian numbers.
    fn words(&self) -> [u64; 4] {
        let words = self.0.as_chunks::<8>().0;
        [words[0], words[1], words[2], words[3]].map(u64::from_be_bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", hex::encode(&self.0[..4]))
    }
}

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a hash: expected 64 hexadecimal digits")]
pub struct ParseHashError(pub String);

impl std::str::FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseHashError(text.chars().take(80).collect()))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_that_of_the_bytes(one: [u8; 32], mut other: [u8; 32], same in 0..=32_usize) {
            other[..same].copy_from_slice(&one[..same]);
            prop_assert_eq!(Hash(one).cmp(&Hash(other)), one.cmp(&other));
        }
    }

    #[test]
    fn golden() {
        assert_eq!(Hash::raw(&[b"a", b"bc"]).to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Hash::of("block", &[b"a", b"bc"]).to_string(), "6d2145d3b8f70b93c193db08efa8fa4606a5363e39b753e23216120a374e6a87");
    }

    #[test]
    fn parts_and_domains_do_not_slide() {
        assert_ne!(Hash::of("block", &[b"ab", b"c"]), Hash::of("block", &[b"a", b"bc"]));
        assert_ne!(Hash::of("block", &[b"a"]), Hash::of("blocka", &[]));
    }

    #[test]
    fn text() {
        let hash = Hash::of("x", &[]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("12".parse::<Hash>().is_err());
    }
}
