//! Settlement: an epoch's traffic becomes charges and rewards.
//!
//! Keys: `5 s` where settlement stands; `5 p epoch` a reported epoch; `5 w epoch part` the charges of a part; `5 c epoch` the carriers that the report pays;
//! `5 y epoch payer` what a payer is charged so far; `5 d epoch carrier` what a carrier claimed directly; `5 x session` what was claimed directly from a
//! session; `5 e epoch` the result. Transactions: `Settle`, `ClaimDirectly`, `AccuseReport` ([`crate::accusation`]). End of each block: at most one epoch is
//! settled.
//!
//! 1. `parts`: the metadata ledger's report of the next epoch comes with proof and certificate, part by part; anybody may bring it. The certificate is that
//!    of a set of meta nodes whose signatures count ([`crate::meta_registry`] says which and why): the set may have changed since the report was closed or
//!    its header was signed. Each part must be the next of that report; every signature in it is checked ([`pot::report::verify_part`]).
//! 2. `direct`: with the last part the time of challenge begins. For [`Parameters::challenge_epochs`] whole epochs a carrier that the report left out may
//!    bring its claim itself. So it may if the report was proven false: then there are only direct claims.
//! 3. `finish`: when that time is over, payers are charged, each byte releasing what its payer paid for it; rewards are computed ([`pot::reward::settle`])
//!    and credited to carriers, meta nodes and validators; tax and dust go to the community pool, so that the prepaid pool stays the sum of the cost bases
//!    (CHAIN-2).
//!
//! A part that fails is refused whole. Epochs are reported and settled in order, each once (CHAIN-5); an epoch without traffic settles with a report without
//! parts. The next epoch's report does not wait for the challenge of the one before.
//!
//! # Why nobody is charged beyond what it has
//! The metadata ledger lets a payer reserve no more for all unsettled epochs than it holds (META-1), and both ways to claim stay within what was reserved.
//! Should its certificates say otherwise all the same, a payer is charged what it has, and its carriers share that; nothing stops.

mod direct;
mod finish;
mod parts;

pub use direct::{Claimed, DirectError, Spent, charged_keys, claim_directly, claimed, left, left_of_payer, spent, standing_keys};
pub(crate) use finish::end_block;
pub use parts::{CertificateError, SettleError, settle};
pub(crate) use parts::{certified, condemn};

use borsh::{BorshDeserialize, BorshSerialize};
use pot::report::Cursor;
use pot::reward;
use primitives::{Address, Amount, Epoch, Hash, Height, Noz};
use state::Overlay;

use crate::keys::{self, Read};
use crate::parameters::Parameters;

/// Where settlement stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Progress {
    /// The next epoch to be reported.
    pub epoch: Epoch,
    /// How far its report has come.
    pub cursor: Cursor,
    /// Hash of the report that the parts so far belong to.
    pub report: Hash,
    /// The next epoch to be settled: those from here on that are reported are in their time of challenge.
    pub unsettled: Epoch,
    /// Mined so far, in wei.
    pub mined: Amount,
}

/// A reported epoch in its time of challenge.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reported {
    /// Hash of the report; `None` if it was proven false.
    pub report: Option<Hash>,
    /// Receipts in it.
    pub receipts: u64,
    /// The block with which it was complete, or condemned.
    pub height: Height,
    /// The blocks that brought its parts, in their order.
    pub parts: Vec<Height>,
    /// How alive each meta node was, as it says.
    pub liveness: Vec<(Address, u32)>,
    /// It is settled once this epoch has begun.
    pub until: Epoch,
    /// Who has claimed directly, in the order of their first claims.
    pub direct: Vec<Address>,
}

/// Somebody's share in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Share {
    /// Who.
    pub address: Address,
    /// Bytes carried, as noz; 0 for meta nodes and validators.
    pub noz: Noz,
    /// Reward in wei.
    pub reward: Amount,
}

/// What a payer paid in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Paid {
    /// Who.
    pub address: Address,
    /// Bytes charged, as noz.
    pub noz: Noz,
    /// What they released from the prepaid pool, in wei.
    pub released: Amount,
}

/// Payers that the result of an epoch lists; those that it does not list are summed up, so that a record stays far below
/// [`keys::VALUE_BYTES_MAX`] however many pay.
pub const PAYERS_MAX: usize = 4_096;

/// What the payers paid that the result of an epoch does not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Rest {
    /// How many they are.
    pub payers: u64,
    /// Bytes charged, as noz.
    pub noz: Noz,
    /// What they released from the prepaid pool, in wei.
    pub released: Amount,
}

/// The result of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Settled {
    /// The epoch of the traffic.
    pub epoch: Epoch,
    /// Height of the block that settled it.
    pub height: Height,
    /// Hash of the report; `None` if it was proven false.
    pub report: Option<Hash>,
    /// Ozone charged.
    pub noz: Noz,
    /// Ozone that payers owed and did not have.
    pub unpaid: Noz,
    /// Wei released from the prepaid pool (R).
    pub released: Amount,
    /// Mining reward in wei (M).
    pub mined: Amount,
    /// Community tax in wei.
    pub tax: Amount,
    /// Wei that rounding left; to the community pool.
    pub dust: Amount,
    /// Receipts in the report.
    pub receipts: u64,
    /// The block with which the report was complete, or condemned.
    pub reported: Height,
    /// The blocks that brought its parts, in their order.
    pub parts: Vec<Height>,
    /// Carriers that claimed directly.
    pub direct: Vec<Address>,
    /// Carriers, by address.
    pub carriers: Vec<Share>,
    /// Meta nodes, by address.
    pub metas: Vec<Share>,
    /// Validators, by address.
    pub validators: Vec<Share>,
    /// Payers, by address: at most [`PAYERS_MAX`], those that were charged most.
    pub payers: Vec<Paid>,
    /// All other payers.
    pub rest: Rest,
}

impl Settled {
    /// The accounts that it lists: whoever paid or received, some more than once.
    pub fn involved(&self) -> impl Iterator<Item = &Address> {
        let shares = [&self.carriers, &self.metas, &self.validators].into_iter().flatten().map(|share| &share.address);
        shares.chain(self.payers.iter().map(|paid| &paid.address))
    }
}

/// What a part leaves for the settlement.
#[derive(Default, BorshSerialize, BorshDeserialize)]
pub(crate) struct Taken {
    /// The block that brought it.
    pub height: Height,
    /// Bytes by (payer, carrier).
    pub charges: Vec<((Address, Address), Noz)>,
}

/// The carriers that an epoch's report pays, increasing; until the epoch is settled.
pub fn carriers(state: &impl Read, epoch: Epoch) -> Vec<Address> {
    keys::read(state, &keys::settlement_carriers(epoch)).unwrap_or_default()
}

/// Where settlement stands.
pub fn progress(state: &impl Read) -> Progress {
    keys::read(state, &keys::settlement()).unwrap_or_default()
}

/// A reported epoch, until it is settled.
pub fn reported(state: &impl Read, epoch: Epoch) -> Option<Reported> {
    keys::read(state, &keys::reported(epoch))
}

/// The result of an epoch, once it is settled.
pub fn settled(state: &impl Read, epoch: Epoch) -> Option<Settled> {
    keys::read(state, &keys::settled(epoch))
}

pub(crate) fn genesis(state: &mut Overlay, mined: Amount) {
    keys::write(state, &keys::settlement(), &Progress { mined, ..Progress::default() });
}

/// The part of the parameters that governs rewards.
pub fn reward_parameters(parameters: &Parameters) -> reward::Parameters {
    reward::Parameters { schedule: reward::Schedule::standard(), beta: parameters.subsidy_bp, tax: parameters.community_tax_bp }
}

#[cfg(test)]
mod tests;
