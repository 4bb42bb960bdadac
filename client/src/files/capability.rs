//! A capability: what a program must be given to open one file, as text that fits a URL.
//!
//! ```text
//! base64url( version 1 | file key, 32 bytes | check, 4 bytes )
//! ```
//! The check is a hash over the file's id and the key: a text that was cut short or belongs to another file is told from a wrong one before anything is
//! fetched. It gives nothing away, since whoever has it has the key.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use primitives::Hash;
use storage::FileKey;
use storage::manifest::FileId;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const BYTES: usize = 1 + 32 + 4;

/// The right to read one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capability {
    /// The file.
    pub id: FileId,
    /// Its key.
    pub key: FileKey,
}

/// Text that is no capability. It never repeats what was read: that may be most of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// Not the form.
    #[error("not a capability: expected {expected} letters of base64url, got {found} letters", expected = BYTES * 4 / 3 + 1)]
    Form {
        /// Letters.
        found: usize,
    },
    /// Of a later program.
    #[error("a capability of version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// Damaged, or of another file.
    #[error("the capability does not belong to this file, or a letter of it is wrong")]
    Check,
}

impl Capability {
    /// The text for a URL: 50 letters.
    pub fn to_text(&self) -> String {
        let mut bytes = Zeroizing::new([0; BYTES]);
        bytes[0] = VERSION;
        bytes[1..33].copy_from_slice(self.key.as_bytes());
        bytes[33..].copy_from_slice(&check(&self.id, self.key.as_bytes()));
        BASE64_URL_SAFE_NO_PAD.encode(*bytes)
    }

    /// Reads the text that was made for the file `id`.
    ///
    /// # Errors
    /// [`CapabilityError`].
    pub fn parse(id: FileId, text: &str) -> Result<Self, CapabilityError> {
        let form = CapabilityError::Form { found: text.chars().count() };
        let mut bytes = Zeroizing::new([0; BYTES]);
        // Decoding into a slice needs room for whole groups of three.
        let mut room = Zeroizing::new([0; BYTES + 3]);
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut *room) {
            Ok(BYTES) => bytes.copy_from_slice(&room[..BYTES]),
            Ok(_) | Err(_) => return Err(form),
        }
        if bytes[0] != VERSION {
            return Err(CapabilityError::Version(bytes[0]));
        }
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&bytes[1..33]);
        if check(&id, &key) != bytes[33..] {
            return Err(CapabilityError::Check);
        }
        Ok(Self { id, key: FileKey::from_bytes(*key) })
    }
}

fn check(id: &FileId, key: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..] = Hash::of("capability", &[id.as_bytes(), key]).0;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capability() -> Capability {
        Capability { id: Hash([1; 32]), key: FileKey::from_bytes([2; 32]) }
    }

    /// Golden vector: links must open for ever.
    #[test]
    fn text_of_a_capability() {
        let text = capability().to_text();
        assert_eq!(text.len(), 50);
        assert!(text.starts_with("AQICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"), "{text}");
        assert_eq!(Capability::parse(Hash([1; 32]), &text), Ok(capability()));
        assert_eq!(Capability::parse(Hash([3; 32]), &text), Err(CapabilityError::Check));
        assert_eq!(Capability::parse(Hash([1; 32]), &text[..49]), Err(CapabilityError::Form { found: 49 }));
        assert!(!format!("{:?}", capability()).contains("0202"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            prop_assert!(Capability::parse(Hash([1; 32]), &text).is_err());
        }

        #[test]
        fn any_key_round_trips(id in any::<[u8; 32]>(), key in any::<[u8; 32]>()) {
            let capability = Capability { id: Hash(id), key: FileKey::from_bytes(key) };
            prop_assert_eq!(Capability::parse(Hash(id), &capability.to_text()), Ok(capability));
        }

        #[test]
        fn one_wrong_letter_is_noticed(at in 0usize..49, letter in "[A-Za-z0-9_-]") {
            let mut text = capability().to_text();
            if text[at..=at] != letter {
                text.replace_range(at..=at, &letter);
                prop_assert!(Capability::parse(Hash([1; 32]), &text).is_err());
            }
        }
    }
}
