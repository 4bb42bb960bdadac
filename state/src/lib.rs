//! State: the authenticated key-value tree. One hash commits to all pairs; any single one is proved against it; undecided blocks are overlays.
//!
//! # Protocol
//! 1. The pairs of a state have one root, a function of their set and nothing else ([`rule`]).
//! 2. A block runs in an [`Overlay`] over its parent's state; a failing transaction goes back to its checkpoint.
//! 3. [`Overlay::seal`] computes the root for the header. Several children of several undecided blocks live side by side and share what they have in common.
//! 4. A finalized block's state is committed: `Store::commit` writes what it changed, the block, its certificate and its indexes in one synced batch. Its
//!    rivals are dropped.
//! 5. Whoever holds a certified root checks a value, or its absence, by a [`Proof`]; many at once by a [`MultiProof`]; all in a range by a [`RangeProof`].
//! 6. The states of the last commits can be looked at: `Store::at` undoes what was changed since.
//! 7. A state travels in [`Chunk`]s, which are ranges with their proofs: `Import` takes them from anybody in any order, and makes a store of them.
//!
//! # Invariants
//! - **STATE-1** The root is a function of the set of pairs: equal content, equal root, whatever the history.
//! - **STATE-2** A sealed state never changes. It reads the same before, during and after the commit of itself or of any rival.
//! - **STATE-3** Under one root each key has exactly one proof that verifies, and it tells the truth.
//! - **STATE-4** After a rollback an overlay is what it was at the checkpoint.
//! - **STATE-5** What is on disk is always one committed state with its records, after a crash at any moment: the last commit that returned, or the one that
//!   was under way.
//! - **STATE-6** Nothing is the head before it is on disk.
//! - **STATE-7** A state of the past has the values, the root and the proofs that it had.
//! - **STATE-8** A state that came in chunks is a store only when all of it is there and has the root; nothing of a false chunk is kept.
//!
//! # Assumptions
//! SHA-256 is collision resistant. A synced write of RocksDB survives loss of power. One process owns a directory at a time. A state without a disk fits in
//! memory, about 150 bytes and its key and value for a pair; of one with a disk a part does, as large as its `Tuning` says.
//!
//! # Limits
//! Keys have [`KEY_BYTES_MAX`] bytes, values [`VALUE_BYTES_MAX`]. An overlay takes the memory of what is written in it, which the size of a block bounds; how
//! many undecided states there are, consensus bounds. A `Store` bounds the buckets of its trie, its history, and the rows that are not on disk yet.
//!
//! # In reading order
//! [`rule`] the committed function; `trie` keeps it up to date in memory; `proof`, `pruned`, `chunk` what others check; `overlay` and `sealed` states as a
//! block sees them; `disk` where they are kept; `ics23` proofs for the verifiers of other chains.
//!
//! # Source
//! The tree is a Patricia trie over hashed keys (Morrison 1968) with tagged hashes as in RFC 6962. Against sparse Merkle trees (jmt, nomt) it has no
//! placeholder hashes and no nibbles: a proof is about log2 n siblings, and the whole rule is ten lines. Leaves are stored in the order of their paths, so
//! that a small subtree and a chunk are each one read of neighbouring rows.

pub mod rule;

mod pair;

#[cfg_attr(not(feature = "disk"), expect(dead_code, reason = "only trees on disk have stubs, and tell what was replaced"))]
mod trie;

mod proof;

mod pruned;

mod chunk;

mod sealed;

mod overlay;

#[cfg(feature = "ics23")]
pub mod ics23;

#[cfg(feature = "disk")]
mod disk;

#[cfg(test)]
mod model;

pub use chunk::{Chunk, successor};
pub use overlay::{Checkpoint, KEY_BYTES_MAX, Overlay, TooLong, VALUE_BYTES_MAX};
pub use proof::{End, Proof, Step};
pub use pruned::{MultiProof, Piece, RangeProof};
pub use rule::StateRoot;
pub use sealed::{Memory, Sealed};

#[cfg(feature = "disk")]
pub use disk::database::{EXIT_DISK, disk_failed};
#[cfg(feature = "disk")]
pub use disk::directory::OpenError;
#[cfg(feature = "disk")]
pub use disk::import::{Import, ImportError, REGIONS};
#[cfg(feature = "disk")]
pub use disk::journal::HistoryError;
#[cfg(feature = "disk")]
pub use disk::records::{Direction, Record};
#[cfg(feature = "disk")]
pub use disk::store::{CommitError, Store, Tuning, VerifyError};
