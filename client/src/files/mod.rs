//! Files: put, get, stream, list and remove, from the user's side.
//!
//! # Protocol
//! Putting a file ([`put`]):
//! 1. A quote: how much ozone it takes, against what the payer holds, before anything moves.
//! 2. Segments are read, encrypted, coded and hashed; their slices go to the nodes that placement names, under tickets, several segments at a time.
//! 3. When of each segment at least `k + 1` slices are durable, the owner signs the record with all acknowledgements; the metadata ledger makes it final.
//!    Until then nothing is recorded: a put that fails half way leaves slices that their holders drop.
//!
//! Getting it ([`get`], [`range`]): the record with its proof; chunks of the data slices from their holders, every byte verified; a slice that is missing,
//! wrong or slow is replaced by others and the code; decrypted and handed out in order.
//!
//! # Invariants
//! - **FILE-1** Memory is bounded, whatever the size of the file: [`put::SEGMENTS_MAX`] and [`get::SEGMENTS_MAX`] segments at a time.
//! - **FILE-2** Plaintext and keys never leave this program: what is sent is ciphertext, and a [`Capability`] goes only where its holder puts it.
//! - **FILE-3** Bytes are handed out in order and only when they decrypted: what was written is a true beginning of the file, always.

mod task;
mod buffers;
pub mod capability;
pub mod index;
pub mod fetch;
pub mod put;
pub mod get;
pub mod range;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use primitives::{Address, Hash};
use storage::manifest::{FileId, ManifestError, OpenError};
use storage::segment::SegmentError;
use storage::{Code, OwnerSecret, ProfileId};

use crate::ledger::LedgerError;
use crate::session::{Session, SessionError};

pub use capability::{Capability, CapabilityError};
pub use index::{Listed, Opened};
pub use put::{Progress, PutFile, Quote, Stored, Weakest};

/// Why an operation on a file fails.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// No such file.
    #[error("there is no file {0}")]
    NotFound(FileId),
    /// It was there once.
    #[error("the file {0} was removed by its owner")]
    Removed(FileId),
    /// The key does not open it.
    #[error("the file {id} does not open: {cause}")]
    Key {
        /// The file.
        id: FileId,
        /// Why.
        cause: OpenError,
    },
    /// The file's bytes cannot be read from where they should come from.
    #[error("cannot read the file: {0}")]
    Read(std::io::Error),
    /// The file's bytes cannot be written to where they should go.
    #[error("cannot write the file: {0}")]
    Write(std::io::Error),
    /// The source changed while it was read.
    #[error("the source gave {found} bytes, {announced} were announced: it changed while it was stored; nothing was recorded")]
    Changed {
        /// Announced.
        announced: u64,
        /// Read.
        found: u64,
    },
    /// Too long for one manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Not enough nodes took a segment.
    #[error("segment {segment} is stored on {found} of {slices} nodes, {needed} are needed; nothing was recorded. {failures}")]
    NotStored {
        /// The segment.
        segment: u64,
        /// Slices that are durable.
        found: usize,
        /// Slices of the segment.
        slices: usize,
        /// How many must be.
        needed: usize,
        /// What each of the others did.
        failures: Failures,
    },
    /// Not enough nodes give a segment.
    #[error("segment {segment} cannot be read: {found} of the {needed} slices that are needed can be had. {failures}")]
    NotReadable {
        /// The segment.
        segment: u64,
        /// Slices that came.
        found: usize,
        /// How many are needed.
        needed: usize,
        /// What each of the others did.
        failures: Failures,
    },
    /// A range that the file does not have.
    #[error("bytes {start} to {end} of a file of {total}")]
    Range {
        /// First byte.
        start: u64,
        /// First byte after it.
        end: u64,
        /// Length of the file.
        total: u64,
    },
    /// A segment is not what was encrypted.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// No ozone, no tickets, no ledger.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A program that encrypts or decrypts was ended.
    #[error("the program is ending")]
    Ending,
    /// The system gives no random bytes for a key.
    #[error(transparent)]
    Randomness(#[from] storage::cipher::NoRandomness),
}

impl From<LedgerError> for FilesError {
    fn from(error: LedgerError) -> Self {
        Self::Session(error.into())
    }
}

/// What went wrong with which node. Nodes of which the same is said are named together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(pub BTreeMap<Address, String>);

impl std::fmt::Display for Failures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (node, what) in &self.0 {
            let node = node.to_string();
            // Many failures name their node themselves.
            let what = what.strip_prefix(&node).unwrap_or(what).trim_start_matches([':', ' ']);
            said.entry(what).or_default().push(node);
        }
        for (index, (what, nodes)) in said.iter().enumerate() {
            write!(f, "{}{}: {what}", if index == 0 { "" } else { "; " }, nodes.join(", "))?;
        }
        Ok(())
    }
}

struct Inner {
    session: Session,
    codes: BTreeMap<ProfileId, Code>,
}

/// The files of the network, as one session sees and pays for them. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

impl Files {
    /// Files paid for by `session`.
    pub fn new(session: Session) -> Self {
        let codes = ProfileId::ALL.iter().map(|id| (*id, Code::new(id.profile()))).collect();
        Self(Arc::new(Inner { session, codes }))
    }

    /// Who pays.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    fn code(&self, profile: ProfileId) -> &Code {
        self.0.codes.get(&profile).expect("there is a code for every profile")
    }
}

/// The secret with which the owner of `seed` opens its files: the seed of a wallet gives it to no one else.
pub fn owner_secret(seed: &[u8; 32]) -> OwnerSecret {
    OwnerSecret::from_bytes(Hash::of("owner secret", &[seed]).0)
}
