//! What a key may be called: short, plain, safe as a file name on any system, and never mistaken for an address.

use std::fmt;
use std::str::FromStr;

use primitives::account::ADDRESS_PREFIX;

/// Letters of a name at most.
pub const NAME_LENGTH_MAX: usize = 32;

/// The name of a key: 1 to 32 of `a-z`, `0-9`, `-`, `_`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

/// Text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or too much.
    #[error("`{text}` has {length} letters, a key name has 1 to {NAME_LENGTH_MAX}")]
    Length {
        /// The beginning of what was read.
        text: String,
        /// Its length.
        length: usize,
    },
    /// A letter that file systems or people confuse.
    #[error("`{text}` is not a key name: `{letter}` is not allowed there; use a-z, 0-9, - and _, beginning with a letter or digit")]
    Letter {
        /// What was read.
        text: String,
        /// The first wrong letter.
        letter: char,
    },
    /// Reads like an address.
    #[error("`{0}` is not a key name: it begins like an address")]
    Address(String),
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let length = text.chars().count();
        if length == 0 || length > NAME_LENGTH_MAX {
            return Err(NameError::Length { text: text.chars().take(NAME_LENGTH_MAX).collect(), length });
        }
        let allowed = |(at, letter): (usize, char)| letter.is_ascii_lowercase() || letter.is_ascii_digit() || (at > 0 && matches!(letter, '-' | '_'));
        if let Some((_, letter)) = text.char_indices().find(|letter| !allowed(*letter)) {
            return Err(NameError::Letter { text: text.into(), letter });
        }
        if text.starts_with(&format!("{ADDRESS_PREFIX}1")) {
            return Err(NameError::Address(text.into()));
        }
        Ok(Self(text.into()))
    }
}

impl KeyName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_and_bad() {
        for good in ["a", "alice", "validator-1", "0_x", "st", "abcdefghijklmnopqrstuvwxyz012345"] {
            assert!(good.parse::<KeyName>().is_ok(), "{good}");
        }
        for bad in ["", "../x", "a/b", ".hidden", "-x", "Alice", "a b", "ä", "st1qqqq", "abcdefghijklmnopqrstuvwxyz0123456", "a\0"] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_component_of_a_path(text in ".{0,40}") {
            if let Ok(name) = text.parse::<KeyName>() {
                prop_assert_eq!(std::path::Path::new(name.as_str()).components().count(), 1);
                prop_assert!(!name.as_str().starts_with('.'));
            }
        }
    }
}
