//! Proof of Traffic: who carried how many bytes for whom, proved, and what that earns.
//!
//! What is proved: *this payer acknowledges that this carrier moved this many bytes for it in this epoch.* Who asked for which file is neither proved nor
//! claimed. What makes the proof worth something is that fake traffic costs more than it earns ([`reward::Parameters::check`]).
//!
//! Everything here is pure: no clock, no disk, no wire.
//!
//! # Protocol
//! 1. A wallet signs a [`grant`]: this session key may spend up to a cap until an epoch. The session key proves that it exists.
//! 2. A meta node signs a [`ticket`] per transfer, within what the session reserved in the metadata ledger.
//! 3. Bytes move at most one [`window`] ahead of the payer's last [`receipt`], a number that grows per [`Channel`]. Who stores a slice signs an
//!    [`ack`] first and is paid for it then.
//! 4. When the epoch is over a carrier signs its [`claim`] over the last receipts of all its channels.
//! 5. The metadata ledger cuts the claims into the parts of a [`report`] and certifies them; the value ledger checks every signature again, by one aggregate for each part.
//! 6. Payers are charged at what their ozone cost them ([`curve`]); carriers, meta nodes and validators are paid ([`reward`]).
//!
//! # Invariants
//! - **POT-1** An epoch never pays out more than its traffic released and its subsidy allows; what goes in equals what comes out, to the wei.
//! - **POT-2** A payer never signs for bytes it has not verified, nor beyond its tickets; a channel's receipts never decrease.
//! - **POT-3** A carrier is never ahead of a payer by more than one window (or, for uploads, by a fixed number of slices), and what it lost to the payer's
//!   sessions before counts against it.
//! - **POT-4** A channel is charged at most once per epoch: entries are strictly increasing within and across parts.
//! - **POT-5** Every signature of a part was made, whoever certified it; a part that fails is refused whole.
//! - **POT-6** Every coalition of payers, carriers, a third of the meta nodes and a third of the stake gets back less than it paid.
//! - **POT-7** Buying never lowers `(S + P) * L`; releasing at cost never takes more than was paid.
//!
//! # Attacks, and what stops each
//! | attack | stopped by |
//! |---|---|
//! | a carrier inflates bytes | the receipt needs the payer's signature |
//! | replay, double claim, an old receipt | chain, epoch and channel are signed; the number only grows (POT-2, POT-4) |
//! | receipts for wrong or old bytes | a payer signs for verified bytes only (POT-2) |
//! | a payer walks away | the carrier loses one window at most and remembers it (POT-3, [`window::Credit`]) |
//! | payer and carrier are one | release at cost and the subsidy rule (POT-6) |
//! | meta nodes certify a false receipt | the value ledger verifies all of them (POT-5) |
//! | somebody else's session key in a grant | the proof of possession |
//! | huge lengths, padding, unused payers | limits before allocation, and every index of a part must be used |
//!
//! # Assumptions
//! What `primitives` assumes. The ledgers keep a payer's reservations within its ozone balance; nothing here reads a balance that was not passed in.
//!
//! # Source
//! The curve and the mining schedule are the original network's (stratos-chain `x/pot/keeper/formula.go`, `distribute.go`) in exact integers. Different on
//! purpose: a byte releases what its own payer paid instead of the top of the curve, and the mining reward is at most a fraction of what traffic released.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::float_arithmetic))]

pub mod ack;
pub mod allowance;
pub mod claim;
pub mod curve;
pub mod direct;
pub mod evidence;
pub mod grant;
pub mod object;
pub mod receipt;
pub mod report;
pub mod reward;
#[cfg(test)]
mod samples;
pub mod ticket;
pub mod window;

pub use ack::StorageAck;
pub use allowance::Allowance;
pub use claim::{Claim, ClaimedReceipts, LastReceipt};
pub use grant::{Grant, SignedGrant, VerifiedGrant};
pub use object::{Object, Signed, SignedError, Verified};
pub use receipt::{Channel, Class, Receipt};
pub use report::{Part, Report, VerifiedPart};
pub use ticket::Ticket;

/// Room of traffic in both ledgers' trees.
const ROOM: u8 = 5;
