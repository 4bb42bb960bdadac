//! Metering: what a transaction takes of a block, in units. Counted from its form alone, so that it is known before it is executed; priced by parameters.
//!
//! `units = base + bytes * per byte + messages * per message + signatures * per signature`. What a message makes the ledger read and write is bounded by its
//! size, so its bytes pay for it; what is not is the verification of signatures, so each is counted. Contracts will add a count of their own.

use serde::{Deserialize, Serialize};

use crate::ledger::block::TRANSACTION_BYTES_MAX;
use crate::transaction::MESSAGES_MAX;

/// What is counted of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Its bytes, with its signatures.
    pub bytes: usize,
    /// Its messages.
    pub messages: usize,
    /// Signatures that are verified for it: its sender's beyond the first, and those that its messages bring, a certificate's among them.
    pub signatures: usize,
}

/// Fewer bytes than come with any signature that is to be verified: an entry of a report's part has 45, a receipt with its ticket and grant 64 for each.
const BYTES_PER_SIGNATURE: usize = 36;

impl Work {
    /// More than any transaction takes.
    pub const LARGEST: Self = Self { bytes: TRANSACTION_BYTES_MAX, messages: MESSAGES_MAX, signatures: TRANSACTION_BYTES_MAX / BYTES_PER_SIGNATURE };
}

/// What each of it costs, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// Any transaction: its first signature, one account's update.
    pub base: u64,
    /// A byte.
    pub byte: u64,
    /// A message.
    pub message: u64,
    /// A signature.
    pub signature: u64,
}

impl Costs {
    /// Units of a transaction; the largest number above it.
    pub fn units(&self, work: &Work) -> u64 {
        let count = |number: usize, cost: u64| u64::try_from(number).unwrap_or(u64::MAX).saturating_mul(cost);
        self.base
            .saturating_add(count(work.bytes, self.byte))
            .saturating_add(count(work.messages, self.message))
            .saturating_add(count(work.signatures, self.signature))
    }
}
