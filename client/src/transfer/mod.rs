//! Transfers: one slice between a payer and a carrier, paid as it flows.
//!
//! # Protocol
//! One byte stream of the data plane ([`wire::PROTOCOL`]) per transfer, or several transfers one after the other.
//!
//! Storing a slice:
//! 1. The payer sends its ticket and the slice's length. The carrier checks the ticket ([`desk`]) and that it has room, and keeps the ticket durably.
//! 2. The bytes follow. The carrier verifies them against the slice's root and syncs them, then signs a storage acknowledgement.
//! 3. The payer checks the acknowledgement and signs the channel's next receipt; the carrier says so when that is durable.
//!
//! Fetching a run of a slice's 16 KiB groups:
//! 1. The payer sends its ticket and the run. The carrier names the pace at which it trusts this session.
//! 2. Pieces of at most [`wire::PIECE_GROUPS_MAX`] groups follow, each with its own proof against the slice's root, never further ahead than the window
//!    ([`pot::window`]). The payer verifies each on arrival and returns receipts while more pieces flow.
//! 3. The payer signs for the rest and says that it is done; the carrier says so when the receipts are durable.
//!
//! # Invariants
//! - **MOVE-1** The payer signs for bytes only that it verified or that the carrier acknowledged, and for each once.
//! - **MOVE-2** A carrier's acknowledgement leaves after the slice is durable; a ticket is used after it is durable.
//! - **MOVE-3** When an epoch ends in the middle, what was verified is paid in the old epoch, and the rest is moved and paid in the new one.
//!
//! # Why a piece has its own proof
//! A proof for the whole run would be shorter by 0.3 %, but then the bytes to be paid would have to be told from the hashes between them, and a transfer could
//! be resumed only by keeping the proof's state. So each piece can be checked, paid and repeated alone.

pub mod wire;
pub mod payer;
pub mod books;
pub mod desk;
pub mod carrier;
#[cfg(test)]
mod tests;

pub use carrier::{Carrier, Identity};
pub use desk::Terms;
pub use payer::{Broken, Download, TransferError, Upload};
pub use wire::{Reason, Refusal};
