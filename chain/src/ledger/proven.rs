//! Reads that anyone can verify: values, their proofs, and the certificate that makes the root final.
//!
//! A verifier needs the genesis hash and knows who votes, nothing else: no database, no runtime. Whoever answers cannot lie about a value; it can only be old,
//! and the header says how old. Who votes, it knows from a [`LightClient`]; or, if it keeps only the hash of the voters, [`Attested`] brings the voters with
//! it; or, if it knows the genesis and nothing since, [`Traced`] brings every change of voters too.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::block::{Finality, FinalityError, Header};
use consensus::light::{EPOCH_PROOF_BYTES_MAX, EpochProof, LightClient, LightError};
use consensus::members::Members;
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Epoch, Hash, Height};
use state::Proof;

use super::block::Summary;

/// Keys in one proven read.
pub const KEYS_MAX: usize = 1024;
/// Largest encoded proven read in bytes.
pub const PROVEN_BYTES_MAX: usize = 8 << 20;
/// Bytes of the changes of voters in a [`Traced`] at most: some 1,500 changes with 100 voters.
pub const CHANGES_BYTES_MAX: usize = 15 << 20;
/// Largest encoded [`Traced`] in bytes.
pub const TRACED_BYTES_MAX: usize = 24 << 20;
const _: () = assert!(CHANGES_BYTES_MAX + EPOCH_PROOF_BYTES_MAX + PROVEN_BYTES_MAX <= TRACED_BYTES_MAX);

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
    /// The block's justification is another.
    #[error("the block's justification is not the one that its header names")]
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

/// A reading with everything its verifier needs beside the genesis: for who knows nothing of what came since.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Traced {
    /// How the voters changed from those of genesis to those of the header's epoch, in order.
    pub changes: Vec<EpochProof>,
    /// The reading, and who signed its header.
    pub attested: Attested,
}

/// Why a traced reading proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TracedError {
    /// A change of voters does not hold.
    #[error("change {number} of {count} of the voters, at the end of epoch {epoch}, is not proven: {cause}")]
    Change {
        /// Which change, from 1.
        number: usize,
        /// How many there are.
        count: usize,
        /// The epoch that it says it ends.
        epoch: Epoch,
        /// Why.
        cause: Box<LightError>,
    },
    /// The members brought are not those that the changes lead to.
    #[error("the voters brought with the header are {brought}, but from genesis on the changes lead to {proven}")]
    Voters {
        /// Hash of who was brought.
        brought: Hash,
        /// Hash of who votes.
        proven: Hash,
    },
    /// The reading does not hold.
    #[error(transparent)]
    Reading(#[from] ProvenError),
}

impl Traced {
    /// The bytes of a traced reading.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The traced reading of these bytes, of which nothing is checked yet.
    ///
    /// # Errors
    /// [`DecodeError`] for bytes that are none, or more than [`TRACED_BYTES_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, TRACED_BYTES_MAX)
    }

    /// Checks everything, from the `first` voters of `chain` to each value; the keys must be exactly those that were `asked` for.
    ///
    /// # Errors
    /// [`TracedError`] names the first thing that does not hold.
    pub fn verify_answer(self, chain: Hash, first: Members, asked: &[Vec<u8>]) -> Result<Reading, TracedError> {
        let Self { changes, attested: Attested { members, proven } } = self;
        let mut light = LightClient::new(chain, Epoch::ZERO, first, None);
        let count = changes.len();
        for (number, change) in (1..).zip(changes) {
            let epoch = change.last.epoch;
            light.advance(change).map_err(|cause| TracedError::Change { number, count, epoch, cause: Box::new(cause) })?;
        }
        if members.hash() != light.members().hash() {
            return Err(TracedError::Voters { brought: members.hash(), proven: light.members().hash() });
        }
        Ok(proven.verify_answer(&mut light, asked)?)
    }
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
