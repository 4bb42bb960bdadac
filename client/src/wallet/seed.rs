//! The 32 secret bytes behind an account, as 24 words (BIP-39, English) or 64 digits.
//!
//! The words are the seed itself with a checksum, not a password that is stretched into one (BIP-39's PBKDF2 step is not used): words and digits carry the
//! same secret, and either can be written down as the backup of the other.

use bip39::{Language, Mnemonic};
use primitives::{AccountSecret, Hash};
use zeroize::{Zeroize, Zeroizing};

/// Words of a seed.
pub const WORDS: usize = 24;
/// Accounts that a development network funds for people.
pub const DEV_NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Whether a development network has an account of this name: a person's ([`DEV_NAMES`]), `gateway`, or the operator of `validator-N`, `meta-N`,
/// `resource-N`. Any name would give a key; these have money.
pub fn is_dev_name(name: &str) -> bool {
    let numbered =
        |role: &str| name.strip_prefix(role).is_some_and(|number| number.parse::<u8>().is_ok_and(|parsed| parsed > 0 && parsed.to_string() == number));
    DEV_NAMES.contains(&name) || name == "gateway" || ["validator-", "meta-", "resource-"].into_iter().any(numbered)
}

/// A secret seed; wiped when dropped, never printed by accident.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Text that is no seed. It never repeats what was read: that may be most of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Neither 24 words nor 64 digits.
    #[error("expected {WORDS} words or 64 hexadecimal digits, got {words} words with {letters} letters")]
    Form {
        /// Words read.
        words: usize,
        /// Letters read.
        letters: usize,
    },
    /// A word that is not on the list.
    #[error("word {0} of {WORDS} is not on the word list (BIP-39, English)")]
    Word(usize),
    /// All words are on the list, but one is not the right one.
    #[error("the words do not fit their checksum: one of them is wrong, or two changed places")]
    Checksum,
    /// The operating system gives no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
}

impl Seed {
    /// The seed of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The development account called `name`: `Hash::of("dev key", [name])`, so known to everybody. Genesis of a development network and the command line
    /// derive the same key; nothing that holds real money may use it.
    pub fn dev(name: &str) -> Self {
        Self::new(Hash::of("dev key", &[name.as_bytes()]).0)
    }

    /// A fresh seed from the operating system's random source.
    ///
    /// # Errors
    /// [`SeedError::Random`].
    pub fn generate() -> Result<Self, SeedError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| SeedError::Random(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Reads 24 words or 64 hexadecimal digits, with any white space around and between the words.
    ///
    /// # Errors
    /// [`SeedError`].
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [digits] if digits.len() == 64 => {
                let mut bytes = Zeroizing::new([0; 32]);
                hex::decode_to_slice(digits, &mut *bytes).map_err(|_| form(&words))?;
                Ok(Self(bytes))
            }
            words if words.len() == WORDS => {
                let text = Zeroizing::new(words.join(" ").to_lowercase());
                let mnemonic = Mnemonic::parse_in_normalized(Language::English, &text).map_err(|error| match error {
                    bip39::Error::UnknownWord(at) => SeedError::Word(at.saturating_add(1)),
                    bip39::Error::InvalidChecksum => SeedError::Checksum,
                    bip39::Error::BadWordCount(_) | bip39::Error::BadEntropyBitCount(_) | bip39::Error::AmbiguousLanguages(_) => form(words),
                })?;
                let (mut entropy, length) = mnemonic.to_entropy_array();
                let seed = entropy[..length].try_into().map(Self::new).map_err(|_| form(words));
                entropy.zeroize();
                seed
            }
            words => Err(form(words)),
        }
    }

    /// The 24 words.
    pub fn words(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, &*self.0).expect("32 bytes are a length that BIP-39 allows");
        let words: Vec<&str> = mnemonic.words().collect();
        Zeroizing::new(words.join(" "))
    }

    /// The account's secret.
    pub fn secret(&self) -> AccountSecret {
        AccountSecret::from_seed(&self.0)
    }

    /// The bytes; what is derived from them is as secret as they are.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn form(words: &[&str]) -> SeedError {
    SeedError::Form { words: words.len(), letters: words.iter().map(|word| word.chars().count()).sum() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Published test vectors of BIP-39 (entropy to words).
    #[test]
    fn golden_words() {
        let zero = format!("{}art", "abandon ".repeat(23));
        assert_eq!(*Seed::new([0; 32]).words(), zero);
        let ones = format!("{}vote", "zoo ".repeat(23));
        assert_eq!(*Seed::new([0xff; 32]).words(), ones);
        assert_eq!(Seed::parse(&ones.to_uppercase().replace(' ', "\n ")).unwrap().as_bytes(), &[0xff; 32]);
    }

    #[test]
    fn mistakes_are_named() {
        let right = Seed::new([5; 32]).words();
        let mut words: Vec<&str> = right.split(' ').collect();
        words[4] = "stratos";
        assert_eq!(Seed::parse(&words.join(" ")).unwrap_err(), SeedError::Word(5));
        let wrong = format!("{}zoo", "abandon ".repeat(23));
        assert_eq!(Seed::parse(&wrong).unwrap_err(), SeedError::Checksum);
        assert_eq!(Seed::parse("abandon ability").unwrap_err(), SeedError::Form { words: 2, letters: 14 });
        assert_eq!(Seed::parse(&"g".repeat(64)).unwrap_err(), SeedError::Form { words: 1, letters: 64 });
        assert!(!format!("{:?}", Seed::new([0xab; 32])).contains("ab"));
    }

    /// Tests and tutorials name these addresses.
    #[test]
    fn dev_keys_are_fixed() {
        assert_eq!(hex::encode(Seed::dev("alice").as_bytes()), "01225769b8b3a2f57c90d8a9c4bcf34394c3eb46863bfeb4327545befd05b001");
        let addresses: std::collections::BTreeSet<_> = DEV_NAMES.into_iter().chain(["gateway"]).map(|name| Seed::dev(name).secret().address()).collect();
        assert_eq!(addresses.len(), 4);
        for good in ["alice", "gateway", "validator-1", "meta-4", "resource-6"] {
            assert!(is_dev_name(good), "{good}");
        }
        for bad in ["alcie", "validator-", "validator-0", "resource-01", "meta-x", "meta--1", ""] {
            assert!(!is_dev_name(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn words_and_digits_carry_the_seed(bytes in any::<[u8; 32]>()) {
            let seed = Seed::new(bytes);
            for text in [seed.words().to_string(), format!(" {}\n", hex::encode(bytes))] {
                let parsed = Seed::parse(&text).unwrap();
                prop_assert_eq!(parsed.as_bytes(), &bytes);
            }
        }

        #[test]
        fn any_text_is_survived(text in ".{0,200}") {
            let _ = Seed::parse(&text);
        }
    }
}
