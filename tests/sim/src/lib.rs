//! Simulation: what is true of the consensus protocol whatever the network and the adversary do. A model of its rules, checked in every state of small scopes
//! ([`model`]), and a virtual world around the engine and the signer that ship.
//!
//! # Protocol of the world
//! 1. A scenario, from a seed or a line of text, says who votes, who lies and how, and what wires, clocks, disks and processors suffer (`scenario`).
//! 2. Events happen in the order of a virtual time; all chance comes from the seed (`queue`, `dice`, `links`). A greedy scheduler may choose among the
//!    moments at which the links allow a message to arrive.
//! 3. Every node is the shipped engine and signer in a shell that keeps what a disk keeps, and crashes between any two outputs or inside a write
//!    (`disk`, `ledger`, `node`). Its ledger is one of weights alone, or the value ledger that ships, with users who move stake, give and vote (`users`).
//! 4. Liars run puppets whose words a strategy changes; they share keys and hear everything (`adversary`).
//! 5. An observer with its own arithmetic checks every invariant after every event, and asks the model about every honest vote (`observer`).
//! 6. A run ends with a digest of its whole trace: equal scenarios, equal digests (`world`).
//!
//! # Invariants
//! Of the world: the numbered list of the design, as [`observer::Violation`] names it. Of the model, whose rules share no code with `consensus`:
//! - **MODEL-1** With faulty weight below a third: finalized blocks are on one chain, a view has one notarized block at most, and no finalization stands
//!   beside a nullification.
//! - **MODEL-2** With any faulty weight: no honest member ever releases two conflicting votes.
//! - **MODEL-3** With any faulty weight: the certificates kept with two finalized blocks on different chains convict more than a third of the weight, all
//!   faulty.
//! - **MODEL-4** Each rule is needed: without it one of these is false. One is not, and is said to be harmless where it stands.
//! - **MODEL-5** The guard permits exactly what the model permits.
//!
//! # Assumptions
//! What the model checks is exhaustive for a few members and views, not a proof for all; `consensus` has the proof in its page. The signature scheme holds:
//! what no honest key released is taken not to exist. Batches written to a database are atomic; the signer's slot is torn in every way.
//!
//! # Source
//! The generator of worlds follows FoundationDB and TigerBeetle's VOPR, the digest Commonware's auditor, twins the paper of that name; the observer's own
//! arithmetic, accountability and framing checks are ours.

pub mod model;
pub mod dice;
pub mod queue;
pub mod links;
pub mod disk;
pub mod ledger;
pub mod node;
pub mod users;
pub mod adversary;
pub mod observer;
pub mod scenario;
pub mod trace;
pub mod world;
