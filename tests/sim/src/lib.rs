//! Simulation: what is true of the consensus protocol whatever the network and the adversary do.
//!
//! # Contents
//! 1. The rules of voting, written a second time from the specification; they share no code with `consensus` ([`model::rules`]).
//! 2. Their exhaustive check in small scopes, and broken variants that the check must catch ([`model`]).
//! 3. The guard: the same rules, asked about each vote that a running system releases ([`model::guard`]).
//!
//! # Invariants
//! - **MODEL-1** With faulty weight below a third: finalized blocks are on one chain, a view has one notarized block at most, and no finalization stands beside a
//!   nullification.
//! - **MODEL-2** With any faulty weight: no honest member ever releases two conflicting votes.
//! - **MODEL-3** With any faulty weight: the certificates kept with two finalized blocks on different chains convict more than a third of the weight, all faulty.
//! - **MODEL-4** Each rule is needed: without it one of these is false. One is not, and is said to be harmless where it stands.
//! - **MODEL-5** The guard permits exactly what the model permits.
//!
//! # Assumptions
//! What is checked is exhaustive for a few members and views, not a proof for all; `consensus` has the proof in its page.

pub mod model;
