//! What is asked of a replica over the network, and what it answers. Both ledgers speak this.

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::Header;
use consensus::light::{EPOCH_PROOF_BYTES_MAX, EpochProof};
use primitives::{Epoch, Hash, Height};
use state::{Chunk, StateRoot};

use super::block::Receipt;
use super::proven::{Certified, PROVEN_BYTES_MAX, Proven};
use super::snapshot::Snapshot;

/// Name of the request protocol of the value ledger.
pub const VALUE_PROTOCOL: &str = "ledger/value";
/// Name of the request protocol of the metadata ledger.
pub const META_PROTOCOL: &str = "ledger/meta";

/// Epoch proofs in one answer at most; who needs more asks again from where these end.
pub const EPOCH_PROOFS_MAX: usize = 64;
/// Bytes of epoch proofs after which no further one is put into an answer. One takes some 10 KiB with 100 voters.
pub const EPOCH_PROOFS_BYTES_MAX: usize = 1 << 20;
const _: () = assert!(EPOCH_PROOFS_BYTES_MAX + EPOCH_PROOF_BYTES_MAX < PROVEN_BYTES_MAX);

/// A question to a replica.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Request {
    /// The newest certified header.
    Head,
    /// Values with proofs at the newest certified header; at most [`super::proven::KEYS_MAX`] keys.
    Read(Vec<Vec<u8>>),
    /// Queue a transaction.
    Submit(Vec<u8>),
    /// Where a transaction is.
    Transaction(Hash),
    /// How the voters changed at the ends of the epochs from this one on.
    EpochProofs {
        /// The first epoch whose end is of interest.
        from: Epoch,
    },
    /// The newest snapshot, or that of this state.
    Snapshot {
        /// What was begun with.
        wanted: Option<StateRoot>,
    },
    /// The first pairs of a snapshot whose paths lie between these two, both included.
    Chunk {
        /// Its state.
        state: StateRoot,
        /// The first path.
        from: Hash,
        /// The last path.
        to: Hash,
    },
}

/// Where a transaction is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TransactionState {
    /// Never seen here.
    Unknown,
    /// Waiting for a block.
    Waiting,
    /// In a final block.
    Final {
        /// Height of the block.
        height: Height,
        /// Its position there.
        index: u32,
        /// How it ended.
        receipt: Receipt,
    },
}

/// An answer of a replica.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// The newest certified header; `None` before the first block.
    Head(Option<Certified>),
    /// The values asked for; `None` before the first block.
    Read(Option<Proven>),
    /// The transaction waits for a block under this hash.
    Submitted(Hash),
    /// The transaction was refused, with the reason.
    Refused(String),
    /// Where the transaction is.
    Transaction(TransactionState),
    /// How the voters changed.
    EpochProofs {
        /// The epoch of the next block here.
        present: Epoch,
        /// The ends of the epochs that changed the voters, in order and without a gap: at most [`EPOCH_PROOFS_MAX`], the first ones.
        proofs: Vec<EpochProof>,
    },
    /// A snapshot; `None` if none is kept yet, or not the one that was asked for.
    Snapshot(Option<Snapshot>),
    /// A chunk; `None` if that state is not kept, or there is no path between those.
    Chunk(Option<Chunk>),
}

impl Answer {
    /// The header that what it says is proven by, if it says something that is.
    pub fn header(&self) -> Option<&Header> {
        if let Self::Read(Some(proven)) = self {
            return Some(&proven.certified.header);
        }
        if let Self::Snapshot(Some(snapshot)) = self { Some(&snapshot.block.header) } else { None }
    }
}
