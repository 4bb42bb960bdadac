//! The virtual world: a deterministic simulator of the consensus network, around the engine and the signer that ship.
//!
//! # Protocol
//! 1. A scenario, from a seed or a line of text, says who votes, who lies and how, and what wires, clocks, disks and processors suffer (`scenario`).
//! 2. Events happen in the order of a virtual time; all chance comes from the seed (`queue`, `dice`, `links`).
//! 3. Every node is the shipped engine and signer in a shell that keeps what a disk keeps, and crashes between any two outputs or inside a write
//!    (`disk`, `ledger`, `node`).
//! 4. Liars run puppets whose words a strategy changes; they share keys and hear everything (`adversary`).
//! 5. An observer with its own arithmetic checks every invariant after every event (`observer`).
//! 6. A run ends with a digest of its whole trace: equal scenarios, equal digests (`world`).
//!
//! # Invariants
//! The numbered list of the design, as [`observer::Violation`] names it.
//!
//! # Assumptions
//! The signature scheme holds: what no honest key released is taken not to exist. Batches written to a database are atomic; the signer's slot is torn in every way.
//!
//! # Source
//! The generator of worlds follows FoundationDB and TigerBeetle's VOPR, the digest Commonware's auditor, twins the paper of that name; the observer's own arithmetic,
//! accountability and framing checks are ours.

pub mod dice;
pub mod queue;
pub mod links;
pub mod disk;
pub mod ledger;
pub mod node;
pub mod adversary;
pub mod observer;
pub mod scenario;
pub mod trace;
pub mod world;
