//! Meta: the metadata layer's ledger: which files exist, who holds their slices, who may spend how much ozone, and what each epoch's traffic was.
//!
//! It runs on the machinery of [`chain::ledger`] and on the same consensus as the value ledger, with one vote for each active meta node. It knows of the value
//! ledger only what somebody proves to it.
//!
//! # Protocol
//! 1. Readings count if those signed them whom the value ledger's own voters have named, change by change ([`trust`]). An [`anchor`] brings a proven reading
//!    of the value ledger: epoch and its seed, what is settled, the active meta and resource nodes. Anybody may bring it.
//! 2. A session reserves ozone for an epoch ([`allowance`]): its wallet's grant, and a proven reading of the payer's balance.
//! 3. The session's home meta node issues [`tickets`] within the reservation: for uploads to the nodes that placement names, for downloads to the holders.
//! 4. A file enters the index ([`files`]) when enough of the nodes that placement names have acknowledged its slices. Its owner can remove it.
//! 5. When the value ledger's epoch is over, carriers send their [`claims`]; every receipt is verified and counted against its session's reservation.
//! 6. After a time of grace the epoch is closed ([`epochs`]): its report and the report's parts enter the tree, where the value ledger reads them with proof.
//!
//! Who votes follows the anchored meta nodes ([`voters`]); consensus asks for them by [`chain::ledger::Rules::electorate`].
//!
//! # Invariants
//! - **META-1** What a payer has reserved in unsettled epochs is never more than a proven balance.
//! - **META-2** What is claimed from a session in an epoch is within tickets of its home and never more than it reserved, and in its life never more than its
//!   grant's cap.
//! - **META-3** One claim for each carrier and epoch; one report for each epoch, in order, never changed.
//! - **META-4** A file's holders are those that placement names, and at least `k + 1` of each segment's have signed that they hold their slice.
//! - **META-5** Only the owner adds and removes a file; a removed version does not come back.
//! - **META-6** The desk never issues tickets for more than the reservation, and each says what all before it came to, whenever it stops and starts again.
//! - **META-7** Who votes changes only with a block that closes the consensus epoch, and only to a set that can vote.
//! - **META-8** Nothing is taken of the value ledger but what its voters made final: those of genesis, and after each change those whom the voters before
//!   named. What was signed in an epoch before the newest change counts no more, but for the block that made the change.
//!
//! # Assumptions
//! Less than a third of the meta nodes is faulty, and less than a third of the value ledger's stake, also of the voters of an epoch that is over until the
//! change that ended it was brought: before their stake is free.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::float_arithmetic))]

pub mod keys;
pub mod trust;
pub mod anchor;
pub mod voters;
pub mod allowance;
pub mod files;
pub mod claims;
pub mod epochs;
pub mod transaction;
pub mod genesis;
pub mod ledger;
pub mod tickets;
#[cfg(test)]
mod samples;

pub use ledger::MetaLedger;
pub use transaction::{Transaction, Verified};
