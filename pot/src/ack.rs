//! Storage acknowledgement: a carrier's word that a slice is on its disk, synced and checked against its root.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Epoch, Hash};

use crate::object::Object;

/// "I hold this slice, durably." Signed by the carrier; the file record needs enough of them, and the payer pays for an upload against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StorageAck {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The value epoch in which it was stored.
    pub epoch: Epoch,
    /// Who holds it.
    pub carrier: Address,
    /// Root of the slice.
    pub slice: Hash,
    /// Length of the slice.
    pub bytes: u64,
}

impl Object for StorageAck {
    const ROLE: &'static str = "put-ack";

    fn chain(&self) -> Hash {
        self.chain
    }
}
