//! Reads that anyone can verify: values, their proofs, and the certificate that makes the root final.
//!
//! A verifier needs the genesis hash and the member set, nothing else: no database, no runtime. Whoever answers cannot lie about a value; it can only be old,
//! and the header says how old.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::block::{Finality, FinalityError, Header};
use consensus::members::Members;
use primitives::Hash;
use primitives::encoding::decode;
use state::Proof;

use super::block::Summary;

/// Keys in one proven read.
pub const KEYS_MAX: usize = 1024;
/// Largest encoded proven read in bytes.
pub const PROVEN_BYTES_MAX: usize = 8 << 20;

/// A header that a quorum made final, and what it commits to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certified {
    /// The block's place in the chain.
    pub header: Header,
    /// What the block commits to.
    pub summary: Summary,
    /// A quorum's signatures under it or under a descendant.
    pub finality: Finality,
}

/// Why an answer proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenError {
    /// Of another chain.
    #[error("the header is of chain {found}, not of {expected}")]
    Chain {
        /// Chain of the header.
        found: Hash,
        /// Our chain.
        expected: Hash,
    },
    /// The certificate does not make this header final.
    #[error("the header is not proven final: {0}")]
    Finality(#[from] FinalityError),
    /// The summary is not the one the header commits to.
    #[error("the summary does not belong to the header")]
    Summary,
    /// A proof does not fit its key and value.
    #[error("the proof of key {0} is invalid")]
    Proof(String),
    /// Not the keys that were asked for.
    #[error("the answer has {found} keys, {asked} were asked for, or in another order")]
    Keys {
        /// Keys in the answer.
        found: usize,
        /// Keys in the question.
        asked: usize,
    },
}

impl Certified {
    /// Checks chain, certificate and summary.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify(&self, chain: Hash, members: &Members) -> Result<(), ProvenError> {
        if self.header.chain != chain {
            return Err(ProvenError::Chain { found: self.header.chain, expected: chain });
        }
        if self.header.payload != self.summary.digest() {
            return Err(ProvenError::Summary);
        }
        Ok(self.finality.verify(&self.header, chain, members)?)
    }
}

/// One key with what the tree holds under it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value, or that there is none.
    pub value: Option<Vec<u8>>,
    /// Why that is so.
    pub proof: Proof,
}

/// Values with proofs against one certified header.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proven {
    /// The header that the proofs end in.
    pub certified: Certified,
    /// The values, in the order they were asked for.
    pub entries: Vec<Entry>,
}

/// Values that were proven, and when they held.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The header they were proven against.
    pub certified: Certified,
    values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Proven {
    /// Checks the certificate and every proof.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify(self, chain: Hash, members: &Members) -> Result<Reading, ProvenError> {
        self.certified.verify(chain, members)?;
        let mut values = BTreeMap::new();
        for Entry { key, value, proof } in self.entries {
            if !proof.verify(&self.certified.summary.state, &key, value.as_deref()) {
                return Err(ProvenError::Proof(key.iter().map(|byte| format!("{byte:02x}")).collect()));
            }
            values.insert(key, value);
        }
        Ok(Reading { certified: self.certified, values })
    }

    /// Like [`Proven::verify`], and the keys must be exactly those that were asked for.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify_answer(self, chain: Hash, members: &Members, asked: &[Vec<u8>]) -> Result<Reading, ProvenError> {
        if self.entries.len() != asked.len() || self.entries.iter().zip(asked).any(|(entry, key)| entry.key != *key) {
            return Err(ProvenError::Keys { found: self.entries.len(), asked: asked.len() });
        }
        self.verify(chain, members)
    }
}

impl Reading {
    /// The keys that were read, in order, each once.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.values.keys().map(Vec::as_slice)
    }

    /// The proven bytes under `key`: `None` if the key was not part of the reading, `Some(None)` if the tree holds nothing there.
    pub fn bytes(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.values.get(key).map(Option::as_deref)
    }

    /// The proven value under `key`, decoded; `None` if it is absent or was not read.
    pub fn value<T: BorshDeserialize>(&self, key: &[u8]) -> Option<T> {
        decode(self.bytes(key)??, crate::keys::VALUE_BYTES_MAX).ok()
    }
}
