//! Who votes: an ordered list of keys and weights, checked once, cheap to clone.

use std::io::{self, Read, Write};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::schnorr::KeyError;
use primitives::{Hash, PublicKey, VerifyingKey};

use crate::mutants::{self, Mutant};
use crate::quorum::is_quorum;

/// Most members of one epoch: a certificate of all of them is 32 KiB of signatures.
pub const MEMBERS_MAX: usize = 512;

/// One voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Member {
    /// The consensus key.
    pub key: PublicKey,
    /// Its share of the vote: stake on the value layer, 1 on the metadata layer. Never 0.
    pub weight: u64,
}

/// The voters of one epoch in their agreed order. A member is named by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members(Arc<Checked>);

#[derive(Debug, PartialEq, Eq)]
struct Checked {
    list: Vec<Member>,
    keys: Vec<VerifyingKey>,
    total: u64,
    hash: Hash,
}

/// Why a list cannot vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// No member, or more than [`MEMBERS_MAX`].
    #[error("{0} members: at least 1 and at most {MEMBERS_MAX} can vote")]
    Count(usize),
    /// A member that could never matter.
    #[error("member {0} has no weight")]
    NoWeight(usize),
    /// One key twice would let one signature count twice.
    #[error("member {0} has the key of an earlier member")]
    Duplicate(usize),
    /// Bytes that are no key.
    #[error("member {index}: {cause}")]
    Key {
        /// Which member.
        index: usize,
        /// What is wrong with its key.
        cause: KeyError,
    },
    /// The weights do not fit 64 bits together.
    #[error("the weights add up to more than 2^64 - 1")]
    Overflow,
}

impl Members {
    /// Checks and decodes a list.
    ///
    /// # Errors
    /// [`MembersError`] names the first member that cannot be one.
    pub fn new(list: Vec<Member>) -> Result<Self, MembersError> {
        if list.is_empty() || list.len() > MEMBERS_MAX {
            return Err(MembersError::Count(list.len()));
        }
        let mut keys = Vec::with_capacity(list.len());
        let mut total = 0_u64;
        let mut seen = std::collections::BTreeSet::new();
        for (index, member) in list.iter().enumerate() {
            if member.weight == 0 {
                return Err(MembersError::NoWeight(index));
            }
            if !seen.insert(member.key) {
                return Err(MembersError::Duplicate(index));
            }
            keys.push(member.key.decode().map_err(|cause| MembersError::Key { index, cause })?);
            total = total.checked_add(member.weight).ok_or(MembersError::Overflow)?;
        }
        let hash = Hash::of_value("members", &list);
        Ok(Self(Arc::new(Checked { list, keys, total, hash })))
    }

    /// The list, in order.
    pub fn list(&self) -> &[Member] {
        &self.0.list
    }

    /// How many members there are, 1 to [`MEMBERS_MAX`].
    pub fn count(&self) -> usize {
        self.0.list.len()
    }

    /// The key of member `index`, or `None` if there is no such member.
    pub fn key(&self, index: u16) -> Option<&VerifyingKey> {
        self.0.keys.get(usize::from(index))
    }

    /// The weight of member `index`; 0 if there is no such member.
    pub fn weight(&self, index: u16) -> u64 {
        self.0.list.get(usize::from(index)).map_or(0, |member| member.weight)
    }

    /// The sum of all weights.
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// The sum of the weights of distinct members: at most the total, which fits.
    pub fn sum(&self, members: impl Iterator<Item = u16>) -> u64 {
        let weights = members.map(|index| self.weight(index));
        if mutants::is(Mutant::WeightWraps) {
            return weights.fold(0, |sum, weight| (sum + weight) & u64::from(u32::MAX));
        }
        weights.sum()
    }

    /// Whether `weight` is a quorum of these members.
    pub fn is_quorum(&self, weight: u64) -> bool {
        is_quorum(weight, self.0.total)
    }

    /// The index of `key`, if it is a member's.
    pub fn index_of(&self, key: &PublicKey) -> Option<u16> {
        self.0.list.iter().position(|member| member.key == *key).and_then(|index| u16::try_from(index).ok())
    }

    /// What headers and votes name the set by.
    pub fn hash(&self) -> Hash {
        self.0.hash
    }
}

impl BorshSerialize for Members {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.list.serialize(writer)
    }
}

impl BorshDeserialize for Members {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        Self::new(Vec::deserialize_reader(reader)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primitives::SecretKey;
    use primitives::encoding::{decode, encode};

    fn member(seed: u8, weight: u64) -> Member {
        Member { key: SecretKey::from_seed(&[seed; 32]).public(), weight }
    }

    #[test]
    fn refuses_what_cannot_vote() {
        assert_eq!(Members::new(vec![]), Err(MembersError::Count(0)));
        assert_eq!(Members::new(vec![member(1, 1), member(2, 0)]), Err(MembersError::NoWeight(1)));
        assert_eq!(Members::new(vec![member(1, 1), member(1, 2)]), Err(MembersError::Duplicate(1)));
        assert_eq!(Members::new(vec![member(1, u64::MAX), member(2, 1)]), Err(MembersError::Overflow));
        let no_key = Member { key: PublicKey([0; 32]), weight: 1 };
        assert_eq!(Members::new(vec![no_key]), Err(MembersError::Key { index: 0, cause: KeyError::Identity }));
        let many = (0..=MEMBERS_MAX).map(|index| Member { key: PublicKey([u8::try_from(index % 256).expect("below 256"); 32]), weight: 1 }).collect();
        assert_eq!(Members::new(many), Err(MembersError::Count(MEMBERS_MAX + 1)));
    }

    #[test]
    fn encodes_as_its_list() {
        let members = Members::new(vec![member(1, 3), member(2, 5)]).expect("valid");
        let bytes = encode(&members);
        assert_eq!(bytes, encode(&members.list().to_vec()));
        assert_eq!(decode::<Members>(&bytes, 1000), Ok(members.clone()));
        assert_eq!((members.total(), members.weight(1), members.weight(2)), (8, 5, 0));
        assert_eq!(members.index_of(&member(2, 1).key), Some(1));
        assert!(decode::<Members>(&encode(&Vec::<Member>::new()), 1000).is_err());
    }
}
