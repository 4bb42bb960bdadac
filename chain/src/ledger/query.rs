//! What is asked of a replica over the network, and what it answers. Both ledgers speak this.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Hash, Height};

use super::block::Receipt;
use super::proven::{Certified, Proven};

/// Name of the request protocol of the value ledger.
pub const VALUE_PROTOCOL: &str = "ledger/value";
/// Name of the request protocol of the metadata ledger.
pub const META_PROTOCOL: &str = "ledger/meta";

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
}
