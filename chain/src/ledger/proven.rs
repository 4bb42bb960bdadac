//! Reads that anyone can verify: values, their proofs, and the certificate that makes the root final.
//!
//! A verifier needs the genesis hash and knows who votes, nothing else: no database, no runtime. Whoever answers cannot lie about a value; it can only be old,
//! and the header says how old. Who votes, it knows from a [`LightClient`]; or, if it keeps only the hash of the voters, [`Attested`] brings the voters with it.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::block::{Finality, FinalityError, Header};
use consensus::light::{LightClient, LightError};
use consensus::members::Members;
use primitives::encoding::decode;
use primitives::{Hash, Height};
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
    /// The light client does not believe the header.
    #[error("the header is not believed: {0}")]
    Light(#[from] LightError),
    /// The header names others than those who are said to have signed it.
    #[error("the header names members {named}, those brought with it are {brought}")]
    Members {
        /// Whom the header names.
        named: Hash,
        /// Who was brought.
        brought: Hash,
    },
    /// Not the last block of an epoch.
    #[error("block {height} does not end an epoch, and a snapshot does")]
    NoEnd {
        /// Its height.
        height: Height,
    },
    /// The block's justification is none.
    #[error("the block's justification does not hold")]
    Justification,
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
    /// Checks chain, voters, certificate and summary.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify(&self, chain: Hash, members: &Members) -> Result<(), ProvenError> {
        if self.header.chain != chain {
            return Err(ProvenError::Chain { found: self.header.chain, expected: chain });
        }
        if self.header.members != members.hash() {
            return Err(ProvenError::Members { named: self.header.members, brought: members.hash() });
        }
        self.check_summary()?;
        Ok(self.finality.verify(&self.header, chain, members)?)
    }

    /// Checks the summary, and that the light client accepts the header; it then has accepted it.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify_by(&self, light: &mut LightClient) -> Result<(), ProvenError> {
        self.check_summary()?;
        light.accept(self.header.clone(), self.finality.clone())?;
        Ok(())
    }

    fn check_summary(&self) -> Result<(), ProvenError> {
        if self.header.payload == self.summary.digest() { Ok(()) } else { Err(ProvenError::Summary) }
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

/// A reading and who signed its header: for who knows the voters by their hash only, which is what it must be compared with.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Attested {
    /// Who votes in the header's epoch.
    pub members: Members,
    /// What they made final.
    pub proven: Proven,
}

impl Attested {
    /// Checks everything but whether these members may be trusted.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify(self, chain: Hash) -> Result<Reading, ProvenError> {
        self.proven.verify(chain, &self.members)
    }

    /// Like [`Attested::verify`], and the keys must be exactly those that were asked for.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify_answer(self, chain: Hash, asked: &[Vec<u8>]) -> Result<Reading, ProvenError> {
        self.proven.check_keys(asked)?;
        self.verify(chain)
    }
}

impl Proven {
    /// Checks the certificate and every proof.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify(self, chain: Hash, members: &Members) -> Result<Reading, ProvenError> {
        self.certified.verify(chain, members)?;
        self.read()
    }

    /// Checks that the light client accepts the header, every proof, and that the keys are exactly those that were asked for.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify_answer(self, light: &mut LightClient, asked: &[Vec<u8>]) -> Result<Reading, ProvenError> {
        self.check_keys(asked)?;
        self.certified.verify_by(light)?;
        self.read()
    }

    fn check_keys(&self, asked: &[Vec<u8>]) -> Result<(), ProvenError> {
        let is_answer = self.entries.len() == asked.len() && self.entries.iter().zip(asked).all(|(entry, key)| entry.key == *key);
        if is_answer { Ok(()) } else { Err(ProvenError::Keys { found: self.entries.len(), asked: asked.len() }) }
    }

    /// The values, each with its proof against the summary's tree.
    fn read(self) -> Result<Reading, ProvenError> {
        let mut values = BTreeMap::new();
        for Entry { key, value, proof } in self.entries {
            if !proof.verify(&self.certified.summary.state, &key, value.as_deref()) {
                return Err(ProvenError::Proof(key.iter().map(|byte| format!("{byte:02x}")).collect()));
            }
            values.insert(key, value);
        }
        Ok(Reading { certified: self.certified, values })
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
