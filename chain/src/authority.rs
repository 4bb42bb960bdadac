//! Who may spend from an account: the holder of one key, or k of the holders of n keys.
//!
//! An address names its authority by a hash, so an account of several keys looks like any other until it spends: its first transaction shows the keys. The
//! address of one key is that of the key ([`AccountKey::address`]); that of several is the hash of the threshold and the keys under a domain of its own. Keys
//! of every type can stand side by side.
//!
//! A set of keys has one encoding, and a transaction carries exactly as many signatures as the threshold, in the order of the keys: nobody can add one, leave
//! one out, or order them anew, and have another transaction.
//!
//! Several keys sign transactions of this ledger only. What an account signs elsewhere, grants of traffic ([`pot::grant`]) and what becomes of its files,
//! takes one key: who pays from an account of several buys ozone for another account.
//!
//! # Assumptions
//! An address has 20 bytes. Whoever chooses a key last, knowing the others, can look for two sets of keys with one address, which takes about 2^80 hashes.

use std::io::{Error, ErrorKind, Read};

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{AccountKey, Address, Hash, Signature};

/// Fewest keys of an account of several.
pub const KEYS_MIN: usize = 2;
/// Most keys of an account of several.
pub const KEYS_MAX: usize = 16;

/// Who may spend from an account.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Authority {
    /// Whoever has this key.
    One(AccountKey),
    /// So many of these together.
    Several(Several),
}

/// `threshold` of 2 to 16 keys. What was made or decoded was checked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct Several {
    threshold: u8,
    keys: Vec<AccountKey>,
}

/// Keys and a threshold that make no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Too few or too many keys.
    #[error("{found} keys; an account of several keys has {KEYS_MIN} to {KEYS_MAX}")]
    Keys {
        /// How many there are.
        found: usize,
    },
    /// Nobody could sign, or everybody could.
    #[error("a threshold of {threshold} with {keys} keys; it is 1 to {keys}")]
    Threshold {
        /// What was asked for.
        threshold: u8,
        /// How many keys there are.
        keys: usize,
    },
    /// Two keys are the same, or not in their order.
    #[error("key {index} is not greater than the one before it; keys are in ascending order, each once")]
    Order {
        /// Position of the second of them.
        index: usize,
    },
}

/// Signatures that are not those an authority asks for, whatever they sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignaturesError {
    /// Too few or too many.
    #[error("{found} signatures; exactly {threshold} of {keys} keys sign")]
    Count {
        /// How many there are.
        found: usize,
        /// How many there must be.
        threshold: u8,
        /// How many keys there are.
        keys: usize,
    },
    /// There is no such key.
    #[error("a signature of key {index}; the keys are 0 to {last}")]
    Stranger {
        /// The key that is named.
        index: u8,
        /// The last key there is.
        last: usize,
    },
    /// A key signed twice, or the signatures are not in the order of the keys.
    #[error("a signature of key {index} after one of key {before}; signatures are in the order of the keys, each key once")]
    Order {
        /// The key that is named.
        index: u8,
        /// The one before.
        before: u8,
    },
}

impl Several {
    /// `threshold` of `keys`.
    ///
    /// # Errors
    /// [`AuthorityError`]; the keys must be in their order already, so that there is one way to write them.
    pub fn new(threshold: u8, keys: Vec<AccountKey>) -> Result<Self, AuthorityError> {
        if !(KEYS_MIN..=KEYS_MAX).contains(&keys.len()) {
            return Err(AuthorityError::Keys { found: keys.len() });
        }
        if threshold == 0 || usize::from(threshold) > keys.len() {
            return Err(AuthorityError::Threshold { threshold, keys: keys.len() });
        }
        match keys.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(before) => Err(AuthorityError::Order { index: before.saturating_add(1) }),
            None => Ok(Self { threshold, keys }),
        }
    }

    /// Signatures that it takes.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// All keys, in ascending order.
    pub fn keys(&self) -> &[AccountKey] {
        &self.keys
    }
}

impl BorshDeserialize for Several {
    fn deserialize_reader<R: Read>(reader: &mut R) -> std::io::Result<Self> {
        let (threshold, keys) = BorshDeserialize::deserialize_reader(reader)?;
        Self::new(threshold, keys).map_err(|error| Error::new(ErrorKind::InvalidData, error))
    }
}

impl From<AccountKey> for Authority {
    fn from(key: AccountKey) -> Self {
        Self::One(key)
    }
}

impl Authority {
    /// The account.
    pub fn address(&self) -> Address {
        match self {
            Self::One(key) => key.address(),
            Self::Several(several) => Address::from_hash(Hash::of_value("account of several keys", several)),
        }
    }

    /// Signatures that it takes.
    pub fn threshold(&self) -> u8 {
        match self {
            Self::One(_) => 1,
            Self::Several(several) => several.threshold,
        }
    }

    /// All keys, in ascending order.
    pub fn keys(&self) -> &[AccountKey] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Several(several) => &several.keys,
        }
    }

    /// The number of a key among them.
    pub fn index_of(&self, key: &AccountKey) -> Option<u8> {
        self.keys().iter().position(|own| own == key).and_then(|index| u8::try_from(index).ok())
    }

    /// Whether signatures are as many as it takes, in the order of the keys and each of another. What they sign is not looked at.
    ///
    /// # Errors
    /// [`SignaturesError`] with the numbers.
    pub fn check(&self, signatures: &[(u8, Signature)]) -> Result<(), SignaturesError> {
        let (keys, threshold) = (self.keys().len(), self.threshold());
        if signatures.len() != usize::from(threshold) {
            return Err(SignaturesError::Count { found: signatures.len(), threshold, keys });
        }
        if let Some((index, _)) = signatures.iter().find(|(index, _)| usize::from(*index) >= keys) {
            return Err(SignaturesError::Stranger { index: *index, last: keys.saturating_sub(1) });
        }
        match signatures.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            Some(pair) => Err(SignaturesError::Order { index: pair[1].0, before: pair[0].0 }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use primitives::encoding::{decode, encode};
    use primitives::{AccountSecret, PublicKey};
    use proptest::prelude::*;

    use super::*;

    /// `count` keys in ascending order, of both types.
    fn keys(count: u8) -> Vec<AccountKey> {
        let key = |number: u8| if number.is_multiple_of(2) { AccountKey::Ristretto(PublicKey([number; 32])) } else { AccountKey::Ed25519([number; 32]) };
        let mut keys: Vec<AccountKey> = (0..count).map(key).collect();
        keys.sort();
        keys
    }

    #[test]
    fn how_many_keys_and_signatures() {
        for (threshold, count) in [(1, 2), (2, 2), (2, 3), (16, 16), (1, 16)] {
            let several = Several::new(threshold, keys(count)).unwrap();
            assert_eq!((several.threshold(), several.keys().len()), (threshold, usize::from(count)));
        }
        for count in [0, 1, 17] {
            assert_eq!(Several::new(1, keys(count)), Err(AuthorityError::Keys { found: usize::from(count) }));
        }
        for threshold in [0, 4, 255] {
            assert_eq!(Several::new(threshold, keys(3)), Err(AuthorityError::Threshold { threshold, keys: 3 }));
        }
    }

    #[test]
    fn keys_are_in_order_and_each_once() {
        let [first, second, third] = keys(3).try_into().unwrap();
        assert_eq!(Several::new(2, vec![first, third, second]), Err(AuthorityError::Order { index: 2 }));
        assert_eq!(Several::new(2, vec![first, first, second]), Err(AuthorityError::Order { index: 1 }));
    }

    /// What is decoded is checked like what is made.
    #[test]
    fn bytes_are_checked() {
        for (threshold, keys) in [(0u8, keys(3)), (4, keys(3)), (1, keys(1)), (1, keys(17)), (2, vec![keys(2)[1], keys(2)[0]]), (2, vec![keys(1)[0]; 2])] {
            let cause = Several::new(threshold, keys.clone()).unwrap_err().to_string();
            let error = decode::<Authority>(&encode(&(1u8, threshold, keys)), 1 << 10).unwrap_err().to_string();
            assert!(error.contains(&cause), "{error} is not about: {cause}");
        }
        let several = Authority::Several(Several::new(2, keys(3)).unwrap());
        assert_eq!(decode(&encode(&several), 1 << 10), Ok(several));
    }

    #[test]
    fn addresses() {
        let secret = AccountSecret::from_seed(&[1; 32]);
        assert_eq!(Authority::from(secret.key()).address(), secret.address());
        let address = |threshold, keys| Authority::Several(Several::new(threshold, keys).unwrap()).address();
        let all = [address(1, keys(2)), address(2, keys(2)), address(2, keys(3)), keys(2)[0].address(), keys(2)[1].address()];
        assert!(all.iter().enumerate().all(|(at, one)| !all[..at].contains(one)), "{all:?}");
        assert_eq!(address(2, keys(3)).to_string(), "st1lasm4nt7amtrwv9chnmuhsrhldjz9lhjdlfjjf", "addresses are part of the protocol");
    }

    #[test]
    fn signatures_have_their_places() {
        let authority = Authority::Several(Several::new(2, keys(3)).unwrap());
        let signed = |indices: &[u8]| {
            let signatures: Vec<_> = indices.iter().map(|index| (*index, Signature([0; 64]))).collect();
            authority.check(&signatures)
        };
        assert_eq!(signed(&[0, 2]), Ok(()));
        for found in [0, 1, 3] {
            assert_eq!(signed(&[0, 1, 2][..found]), Err(SignaturesError::Count { found, threshold: 2, keys: 3 }));
        }
        assert_eq!(signed(&[1, 3]), Err(SignaturesError::Stranger { index: 3, last: 2 }));
        assert_eq!(signed(&[1, 0]), Err(SignaturesError::Order { index: 0, before: 1 }));
        assert_eq!(signed(&[1, 1]), Err(SignaturesError::Order { index: 1, before: 1 }));
    }

    proptest! {
        /// Whatever decodes is in order and re-encodes to the same bytes.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), threshold in any::<u8>(), picked in proptest::collection::vec(0..20u8, 0..20)) {
            let made = encode(&(1u8, threshold, picked.iter().map(|number| AccountKey::Ed25519([*number; 32])).collect::<Vec<_>>()));
            for bytes in [bytes, made] {
                if let Ok(authority) = decode::<Authority>(&bytes, 1 << 10) {
                    prop_assert_eq!(encode(&authority), bytes);
                    prop_assert!(authority.keys().windows(2).all(|pair| pair[0] < pair[1]));
                    prop_assert!((1..=authority.keys().len()).contains(&usize::from(authority.threshold())));
                }
            }
        }
    }
}
