//! Ticket: a meta node's leave for one transfer of one slice, within what the session reserved.
//!
//! Each says what all tickets so far come to, in its channel and in its session. So the last ticket of a channel stands for all of them: it goes with the channel's
//! last receipt when that is claimed ([`crate::claim::CoveredClaim`]), and is the evidence if its issuer promised more than was reserved ([`crate::evidence`]).

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Epoch, Hash, Noz, PublicKey};

use crate::object::Object;
use crate::receipt::{Channel, Class};

/// "This session may move up to `bytes_max` of this slice with this carrier in this epoch." Signed by the payer's home meta node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ticket {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The value epoch in which it can be used.
    pub epoch: Epoch,
    /// Who pays.
    pub payer: Address,
    /// The payer's session that may use it.
    pub session: PublicKey,
    /// Who moves the bytes.
    pub carrier: Address,
    /// Which way, and for what.
    pub class: Class,
    /// Root of the slice.
    pub slice: Hash,
    /// Most bytes that it pays for.
    pub bytes_max: u64,
    /// Sum of `bytes_max` over the channel's tickets up to and with this one.
    pub channel_total: u64,
    /// Sum of `bytes_max` over the session's tickets of the epoch up to and with this one, in all channels.
    pub session_total: Noz,
    /// The meta node that signed.
    pub issuer: Address,
}

impl Object for Ticket {
    const ROLE: &'static str = "ticket";

    fn chain(&self) -> Hash {
        self.chain
    }
}

impl Ticket {
    /// The counter that it adds room to.
    pub fn channel(&self) -> Channel {
        Channel { epoch: self.epoch, carrier: self.carrier, payer: self.payer, session: self.session, class: self.class }
    }
}
