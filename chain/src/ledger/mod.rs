//! What both ledgers share: a block's body, its execution by [`Rules`], its commitments, and reads that anyone can verify.
//!
//! A ledger is a deterministic function from a chain of blocks to an authenticated tree. Consensus orders opaque payloads; a payload is a [`Body`]: the
//! [`Summary`] that commits to everything the block does, evidence against members, and the transactions. The consensus header covers the summary's hash, so
//! one certificate proves the state root, and with it every key.
//!
//! # In reading order
//! 1. [`block`] summary, body, receipts, logs.
//! 2. [`rules`] what a ledger must bring: who votes, begin, evidence, apply, end.
//! 3. [`execute`] building and checking a block with the same code.
//! 4. [`history`] the mountain range over past headers.
//! 5. [`proven`] reads with proofs against a certified header.
//! 6. [`query`] what is asked of a replica over the network.
//! 7. [`mempool`] transactions that wait for a block.
//! 8. [`evidence_pool`] evidence that waits for a block.

pub mod block;
pub mod evidence_pool;
pub mod execute;
pub mod history;
pub mod mempool;
pub mod proven;
pub mod query;
pub mod rules;
pub mod snapshot;

pub use block::{Body, Log, Receipt, Status, Summary, digest};
pub use evidence_pool::{EvidencePool, Heard};
pub use execute::{BlockError, Executed, Parent};
pub use mempool::Mempool;
pub use proven::{Attested, Certified, Proven, Traced};
pub use rules::{BlockInfo, Electorate, End, Refusal, Rules, Terms, Usage};
pub use snapshot::Snapshot;
