//! Receipt: the payer's signed number of bytes that one carrier moved for it, growing per channel.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Epoch, Hash, PublicKey};

use crate::object::{Object, Signed, SignedError, Verified};

/// What the bytes were. The tag is on the wire; later kinds of service take the next numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Class {
    /// Slices stored: paid once the carrier acknowledged them durable.
    Upload = 0,
    /// Slices fetched whole.
    Download = 1,
    /// Ranges fetched for a player.
    Stream = 2,
}

/// Where a number grows: one carrier, one session of one payer, one class, one epoch. The order of its fields is the order of a report's entries.
///
/// The session is part of it, so that two programs of one payer never race on one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Channel {
    /// The value epoch.
    pub epoch: Epoch,
    /// Who moves the bytes.
    pub carrier: Address,
    /// Who pays.
    pub payer: Address,
    /// The payer's key that signs.
    pub session: PublicKey,
    /// What the bytes are.
    pub class: Class,
}

/// "In this epoch this carrier has moved this many bytes of this class for me." Signed by the session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The value epoch.
    pub epoch: Epoch,
    /// What the bytes are.
    pub class: Class,
    /// Who pays.
    pub payer: Address,
    /// The payer's key that signs this.
    pub session: PublicKey,
    /// Who moved the bytes.
    pub carrier: Address,
    /// All bytes of the channel so far, not those of one transfer.
    pub bytes: u64,
}

impl Object for Receipt {
    const ROLE: &'static str = "receipt";

    fn chain(&self) -> Hash {
        self.chain
    }
}

impl Receipt {
    /// The receipt for the first `bytes` of `channel`.
    pub fn new(chain: Hash, channel: Channel, bytes: u64) -> Self {
        let Channel { epoch, carrier, payer, session, class } = channel;
        Self { chain, epoch, class, payer, session, carrier, bytes }
    }

    /// The counter that this receipt is of.
    pub fn channel(&self) -> Channel {
        Channel { epoch: self.epoch, carrier: self.carrier, payer: self.payer, session: self.session, class: self.class }
    }
}

impl Signed<Receipt> {
    /// Checks the signature by the session key that the receipt names. Whether that session may spend is the grant's business.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn verify_by_session(self, chain: Hash) -> Result<Verified<Receipt>, SignedError> {
        let session = self.body.session;
        self.verify(chain, &session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_ordered_as_entries_are() {
        let low = Channel { epoch: Epoch(1), carrier: Address([1; 20]), payer: Address([9; 20]), session: PublicKey([9; 32]), class: Class::Stream };
        for high in [
            Channel { epoch: Epoch(2), carrier: Address([0; 20]), ..low },
            Channel { carrier: Address([2; 20]), payer: Address([0; 20]), ..low },
            Channel { payer: Address([10; 20]), session: PublicKey([0; 32]), ..low },
            Channel { session: PublicKey([10; 32]), class: Class::Upload, ..low },
        ] {
            assert!(low < high);
        }
        assert!(Class::Upload < Class::Download && Class::Download < Class::Stream);
    }
}
