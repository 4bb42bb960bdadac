//! A key file: a seed under a passphrase. Argon2id makes each guess dear, XChaCha20-Poly1305 finds every changed byte.
//!
//! JSON, so that people can see what it is; the public key is in the clear, so that a list of accounts needs no passphrase, and is bound to the secret: it
//! is the associated data of the encryption together with version and cost, and is compared with the opened seed's own.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use primitives::{AccountKey, Hash, PublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::seed::Seed;

/// Version of the format.
pub const KEY_FILE_VERSION: u8 = 1;
/// Bytes of a key file at most.
pub const KEY_FILE_BYTES_MAX: u64 = 4_096;
/// A file may ask for this much memory at most, in KiB: a foreign file must not take the machine.
const MEMORY_KIB_MAX: u32 = 1 << 20;
/// A file may ask for this many passes at most.
const PASSES_MAX: u32 = 64;
/// A file may ask for this many lanes at most.
const LANES_MAX: u32 = 64;
/// Bytes of a passphrase at most.
const PASSPHRASE_BYTES_MAX: usize = 1_024;

/// What one guess of the passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes that can be filled side by side.
    pub lanes: u32,
}

impl Cost {
    /// What key files are written with: the second recommendation of RFC 9106 (64 MiB, 3 passes, 4 lanes), a tenth of a second on a desktop.
    pub const STANDARD: Self = Self { memory_kib: 64 * 1_024, passes: 3, lanes: 4 };
    /// As cheap as Argon2 allows, for tests.
    #[cfg(test)]
    pub const TEST: Self = Self { memory_kib: 32, passes: 1, lanes: 4 };
}

/// An encrypted seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    version: u8,
    /// `ristretto`: Schnorr over ristretto255.
    kind: Kind,
    public: PublicKey,
    argon2id: Cost,
    #[serde(with = "hex_array")]
    salt: [u8; 16],
    #[serde(with = "hex_array")]
    nonce: [u8; 24],
    /// XChaCha20-Poly1305 of the seed: 32 bytes and a tag of 16.
    #[serde(with = "hex_array")]
    sealed: [u8; 48],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Ristretto,
}

/// Why a key file cannot be made or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not what a key file looks like.
    #[error("not a key file: {0}")]
    Malformed(String),
    /// Written by a newer program, or by another one.
    #[error("key file version {0} is unknown, this program reads version {KEY_FILE_VERSION}")]
    Version(u8),
    /// More work than an honest file asks for.
    #[error("the file asks for {} KiB, {} passes and {} lanes of Argon2id; allowed are 32 to {MEMORY_KIB_MAX}, 1 to {PASSES_MAX} and 1 to {LANES_MAX}", .0.memory_kib, .0.passes, .0.lanes)]
    Cost(Cost),
    /// The passphrase is wrong, or the file was changed: encryption cannot tell these apart.
    #[error("the passphrase is wrong, or the file is damaged")]
    Locked,
    /// The passphrase cannot be used.
    #[error("the passphrase has {0} bytes, it needs 1 to {PASSPHRASE_BYTES_MAX}")]
    Passphrase(usize),
    /// The operating system gives no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
}

impl KeyFile {
    /// Encrypts `seed`.
    ///
    /// # Errors
    /// [`KeyFileError::Passphrase`] if it is empty or too long, [`KeyFileError::Cost`], [`KeyFileError::Random`].
    pub fn seal(seed: &Seed, passphrase: &str, cost: Cost) -> Result<Self, KeyFileError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        for bytes in [&mut salt[..], &mut nonce[..]] {
            getrandom::fill(bytes).map_err(|error| KeyFileError::Random(error.to_string()))?;
        }
        let AccountKey::Ristretto(public) = seed.secret().key() else {
            return Err(KeyFileError::Malformed("a seed is the secret of a ristretto255 key".into()));
        };
        let mut file = Self { version: KEY_FILE_VERSION, kind: Kind::Ristretto, public, argon2id: cost, salt, nonce, sealed: [0; 48] };
        let sealed = file
            .cipher(passphrase)?
            .encrypt(&XNonce::from(nonce), Payload { msg: seed.as_bytes(), aad: file.bound().as_bytes() })
            .expect("encrypting 32 bytes cannot exceed the limits of the cipher");
        file.sealed = sealed.try_into().expect("the cipher adds a tag of 16 bytes to 32");
        Ok(file)
    }

    /// Decrypts the seed.
    ///
    /// # Errors
    /// [`KeyFileError::Locked`] for a wrong passphrase or a changed file, [`KeyFileError::Passphrase`], [`KeyFileError::Cost`].
    pub fn open(&self, passphrase: &str) -> Result<Seed, KeyFileError> {
        let opened = self
            .cipher(passphrase)?
            .decrypt(&XNonce::from(self.nonce), Payload { msg: &self.sealed, aad: self.bound().as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| KeyFileError::Locked)?;
        let seed = Seed::new(opened.as_slice().try_into().map_err(|_| KeyFileError::Locked)?);
        if seed.secret().key() != self.key() {
            return Err(KeyFileError::Locked);
        }
        Ok(seed)
    }

    /// The public key; true only once [`KeyFile::open`] has succeeded, since anybody can write a file.
    pub fn key(&self) -> AccountKey {
        match self.kind {
            Kind::Ristretto => AccountKey::Ristretto(self.public),
        }
    }

    /// The file's bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a key file has only string keys and numbers");
        bytes.push(b'\n');
        Zeroizing::new(bytes)
    }

    /// The key file of these bytes, within its limits; still locked.
    ///
    /// # Errors
    /// [`KeyFileError::Malformed`], [`KeyFileError::Version`], [`KeyFileError::Cost`].
    pub fn decode(bytes: &[u8]) -> Result<Self, KeyFileError> {
        /// Read first, so that a newer file is called newer and not damaged.
        #[derive(Deserialize)]
        struct Versioned {
            version: u8,
        }
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > KEY_FILE_BYTES_MAX {
            return Err(KeyFileError::Malformed(format!("longer than {KEY_FILE_BYTES_MAX} bytes")));
        }
        let malformed = |error: serde_json::Error| KeyFileError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != KEY_FILE_VERSION {
            return Err(KeyFileError::Version(version));
        }
        let file: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        file.params().map(|_| file)
    }

    fn params(&self) -> Result<Params, KeyFileError> {
        let Cost { memory_kib, passes, lanes } = self.argon2id;
        if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(KeyFileError::Cost(self.argon2id));
        }
        Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| KeyFileError::Cost(self.argon2id))
    }

    fn cipher(&self, passphrase: &str) -> Result<XChaCha20Poly1305, KeyFileError> {
        if passphrase.is_empty() || passphrase.len() > PASSPHRASE_BYTES_MAX {
            return Err(KeyFileError::Passphrase(passphrase.len()));
        }
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params()?)
            .hash_password_into(passphrase.as_bytes(), &self.salt, &mut *key)
            .map_err(|error| KeyFileError::Malformed(error.to_string()))?;
        Ok(XChaCha20Poly1305::new((&*key).into()))
    }

    /// Everything in the clear, bound to the secret.
    fn bound(&self) -> Hash {
        let Cost { memory_kib, passes, lanes } = self.argon2id;
        Hash::of_value("key file", &(self.version, self.key(), (memory_kib, passes, lanes), self.salt, self.nonce))
    }
}

/// Fixed-size byte strings as hexadecimal digits.
mod hex_array {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let mut bytes = [0; N];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes)
            .map_err(|_| serde::de::Error::custom(format!("expected {} hexadecimal digits", N.saturating_mul(2))))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed() -> KeyFile {
        KeyFile::seal(&Seed::new([7; 32]), "correct horse", Cost::TEST).unwrap()
    }

    /// Written once by this program: files of version 1 must open for ever.
    #[test]
    fn golden() {
        let file = KeyFile::decode(include_bytes!("golden.json")).unwrap();
        assert_eq!(file.open("correct horse").unwrap().as_bytes(), &[7; 32]);
    }

    #[test]
    fn passphrases() {
        let file = sealed();
        assert_eq!(file.open("correct horse").unwrap().as_bytes(), &[7; 32]);
        assert_eq!(file.open("Correct horse").unwrap_err(), KeyFileError::Locked);
        assert_eq!(file.open("").unwrap_err(), KeyFileError::Passphrase(0));
        assert_eq!(KeyFile::seal(&Seed::new([7; 32]), "", Cost::TEST).unwrap_err(), KeyFileError::Passphrase(0));
        assert_ne!(sealed(), sealed(), "salt and nonce are fresh each time");
    }

    #[test]
    fn every_field_is_bound() {
        let file = sealed();
        let other = Seed::new([8; 32]).secret().key();
        let AccountKey::Ristretto(public) = other else { panic!("a seed is a ristretto key") };
        let mut changed = vec![
            KeyFile { public, ..file.clone() },
            KeyFile { argon2id: Cost { memory_kib: 64, ..Cost::TEST }, ..file.clone() },
            KeyFile { argon2id: Cost { passes: 2, ..Cost::TEST }, ..file.clone() },
        ];
        for at in [0, 15] {
            let mut copy = file.clone();
            copy.salt[at] ^= 1;
            changed.push(copy);
        }
        for at in [0, 23] {
            let mut copy = file.clone();
            copy.nonce[at] ^= 1;
            changed.push(copy);
        }
        for at in [0, 31, 32, 47] {
            let mut copy = file.clone();
            copy.sealed[at] ^= 1;
            changed.push(copy);
        }
        for copy in changed {
            assert_eq!(copy.open("correct horse").unwrap_err(), KeyFileError::Locked, "{copy:?}");
        }
    }

    #[test]
    fn foreign_files() {
        let text = String::from_utf8(sealed().encode().to_vec()).unwrap();
        assert_eq!(KeyFile::decode(text.replace("\"version\": 1", "\"version\": 2").as_bytes()), Err(KeyFileError::Version(2)));
        let greedy = text.replace("\"memory_kib\": 32", "\"memory_kib\": 4000000000");
        assert!(matches!(KeyFile::decode(greedy.as_bytes()), Err(KeyFileError::Cost(_))));
        assert!(matches!(KeyFile::decode(text.replace("\"version\": 1,", "\"version\": 1, \"more\": 2,").as_bytes()), Err(KeyFileError::Malformed(_))));
        assert!(matches!(KeyFile::decode(&[b' '; 5_000]), Err(KeyFileError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(KeyFile::decode(&bytes).is_err());
        }

        #[test]
        fn any_change_of_a_byte_is_found(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = sealed().encode().to_vec();
            let at = at.index(bytes.len());
            let seed = Seed::new([7; 32]);
            bytes[at] = to;
            // What still opens can only be the same file written differently (white space, upper case digits).
            if let Ok(opened) = KeyFile::decode(&bytes).and_then(|file| if file.argon2id.memory_kib > 1_000 { Err(KeyFileError::Locked) } else { file.open("correct horse") }) {
                prop_assert_eq!(opened.as_bytes(), seed.as_bytes());
            }
        }
    }
}
