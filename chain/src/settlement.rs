//! Settlement: an epoch's traffic becomes charges and rewards.
//!
//! Keys: `5 s` where settlement stands; `5 w part` the charges of the parts so far; `5 e epoch` the result. Transactions: `Settle`.
//!
//! 1. The metadata ledger's report of the next unsettled epoch comes with proof and certificate; anybody may bring it. The certificate is that of a set of meta
//!    nodes whose signatures count ([`meta_registry`] says which and why): the set may have changed since the report was closed or its header was signed.
//! 2. Each part must be the next of that report; every signature in it is checked ([`pot::report::verify_part`]).
//! 3. With the last part, payers are charged, each byte releasing what its payer paid for it; rewards are computed ([`pot::reward::settle`]) and credited to
//!    carriers, meta nodes and validators; tax and dust go to the community pool, so that the prepaid pool stays the sum of the cost bases (CHAIN-2).
//!
//! A part that fails is refused whole. Epochs are settled in order, each once (CHAIN-5); an epoch without traffic settles with a report without parts.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use pot::curve::Balance;
use pot::report::{self, Cursor, Part, PartError, Report, ReportError};
use pot::reward::{self, Distribution, Settlement};
use primitives::{Address, Amount, Epoch, Hash, Height, Noz};
use state::Overlay;

use crate::event::Event;
use crate::genesis::meta_chain;
use crate::keys::{self, Read};
use crate::ledger::Proven;
use crate::ledger::proven::ProvenError;
use crate::meta_registry::META_SETS_EPOCHS;
use crate::parameters::Parameters;
use crate::pools::{self, MoveError, Pool, Pools};
use crate::{epochs, market, meta_registry, resource, rewards, staking};

/// Where settlement stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Progress {
    /// The next epoch to settle.
    pub epoch: Epoch,
    /// How far its report has come.
    pub cursor: Cursor,
    /// Hash of the report that the parts so far belong to.
    pub report: Hash,
    /// Mined so far, in wei.
    pub mined: Amount,
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
    /// Ozone charged.
    pub noz: Noz,
    /// Wei released from the prepaid pool (R).
    pub released: Amount,
    /// Mining reward in wei (M).
    pub mined: Amount,
    /// Community tax in wei.
    pub tax: Amount,
    /// Wei that rounding left; to the community pool.
    pub dust: Amount,
    /// Receipts.
    pub receipts: u64,
    /// Parts.
    pub parts: u32,
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

/// Why a part is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The epoch is not over.
    #[error("epoch {next} is the next to settle, but it is not over: this is epoch {current}")]
    NotOver {
        /// The next to settle.
        next: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// Signed by others than the registry has named.
    #[error("the report's header names the voters {0}, which the registry did not name, or not in the last {META_SETS_EPOCHS} epochs")]
    Electorate(Hash),
    /// The proof does not hold.
    #[error("the report is not proven: {0}")]
    Proof(#[from] ProvenError),
    /// The proof is of something else.
    #[error("the proof does not contain the report of epoch {0}, which is the next to settle")]
    OtherReport(Epoch),
    /// The parts so far belong to another report of this epoch.
    #[error("{parts} parts of another report of epoch {epoch} were settled already")]
    ChangedReport {
        /// The epoch.
        epoch: Epoch,
        /// Parts settled so far.
        parts: u32,
    },
    /// A report with parts was brought without one.
    #[error("part {next} of epoch {epoch} is the next, none was brought")]
    NoPart {
        /// The epoch.
        epoch: Epoch,
        /// The next part.
        next: u32,
    },
    /// The report contradicts itself.
    #[error("the report is invalid: {0}")]
    Report(#[from] ReportError),
    /// The part itself is wrong, or not the next.
    #[error("the part is invalid: {0}")]
    Part(#[from] PartError),
    /// The charges cannot be made.
    #[error("the epoch cannot be settled: {0}")]
    Rewards(#[from] reward::SettleError),
    /// A pool does not hold what it should.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// Bytes by (payer, carrier), as a part leaves them for the settlement.
type Charges = Vec<((Address, Address), Noz)>;

/// Where settlement stands.
pub fn progress(state: &impl Read) -> Progress {
    keys::read(state, &keys::settlement()).unwrap_or_default()
}

/// The result of an epoch, once it is settled.
pub fn settled(state: &impl Read, epoch: Epoch) -> Option<Settled> {
    keys::read(state, &keys::settled(epoch))
}

pub(crate) fn genesis(state: &mut Overlay) {
    keys::write(state, &keys::settlement(), &Progress::default());
}

/// The part of the parameters that governs rewards.
pub fn reward_parameters(parameters: &Parameters) -> reward::Parameters {
    reward::Parameters { schedule: reward::Schedule::standard(), beta: parameters.subsidy_bp, tax: parameters.community_tax_bp }
}

/// Accepts the next part of the next epoch; with the last one the epoch is settled.
///
/// # Errors
/// [`SettleError`]; the caller undoes everything then.
pub fn settle(state: &mut Overlay, chain: Hash, height: Height, proven: &Proven, part: Option<&Part>) -> Result<Vec<Event>, SettleError> {
    let (mut progress, current) = (progress(state), epochs::current(state).number);
    let epoch = progress.epoch;
    if epoch >= current {
        return Err(SettleError::NotOver { next: epoch, current });
    }
    let named = proven.certified.header.members;
    let members = meta_registry::electorate(state, &named).ok_or(SettleError::Electorate(named))?;
    let reading = proven.clone().verify(meta_chain(chain), &members)?;
    let report: Report = reading.value(&report::key(epoch)).ok_or(SettleError::OtherReport(epoch))?;
    report.check(epoch)?;
    let digest = Hash::of_value("report", &report);
    let number = progress.cursor.next;
    if number > 0 && progress.report != digest {
        return Err(SettleError::ChangedReport { epoch, parts: number });
    }
    progress.report = digest;
    let mut events = Vec::new();
    if let Some(part) = part {
        let (cursor, verified) = progress.cursor.take(chain, &report, part, |carrier| resource::read(state, carrier).map(|node| node.node.key))?;
        let mut charges: BTreeMap<(Address, Address), Noz> = BTreeMap::new();
        for charge in verified.charges() {
            let sum = charges.entry((charge.payer, charge.carrier)).or_default();
            *sum = sum.saturating_add(charge.noz);
        }
        keys::write(state, &keys::settlement_part(number), &charges.into_iter().collect::<Charges>());
        events.push(Event::PartSettled { epoch, part: number, noz: verified.noz() });
        progress.cursor = cursor;
    } else if !report.parts.is_empty() {
        return Err(SettleError::NoPart { epoch, next: number });
    }
    if progress.cursor.is_complete(&report)? {
        let result = finish(state, height, epoch, &progress, &report)?;
        events.push(Event::EpochSettled { epoch, noz: result.noz, released: result.released, mined: result.mined });
        progress = Progress { epoch: epoch.next(), mined: progress.mined.saturating_add(result.mined), ..Progress::default() };
    }
    keys::write(state, &keys::settlement(), &progress);
    Ok(events)
}

/// Charges, pays and records an epoch whose parts are all here.
fn finish(state: &mut Overlay, height: Height, epoch: Epoch, progress: &Progress, report: &Report) -> Result<Settled, SettleError> {
    let mut charges: BTreeMap<(Address, Address), Noz> = BTreeMap::new();
    for part in 0..progress.cursor.next {
        let key = keys::settlement_part(part);
        for (pair, noz) in keys::read::<Charges>(state, &key).unwrap_or_default() {
            let sum = charges.entry(pair).or_default();
            *sum = sum.saturating_add(noz);
        }
        state.delete(&key);
    }
    let balances: BTreeMap<Address, Balance> = charges.keys().map(|(payer, _)| (*payer, market::ozone(state, payer))).collect();
    let liveness: BTreeMap<Address, u32> = report.liveness.iter().copied().collect();
    let stakes: BTreeMap<Address, Amount> = staking::validators(state).iter().map(|validator| (validator.operator, validator.stake)).collect();
    let parameters = Parameters::read(state);
    let distribution = reward::settle(&Settlement {
        parameters: &reward_parameters(&parameters),
        mined: progress.mined,
        reserve: Pools::read(state).reserve,
        charges: &charges,
        balances: &balances,
        liveness: &liveness,
        stakes: &stakes,
    })?;
    pay(state, &distribution, &parameters)?;
    let share = |(address, reward): (&Address, &reward::Reward)| Share { address: *address, noz: Noz::ZERO, reward: reward.total() };
    let paid = distribution.payers.iter().map(|(address, paid)| Paid { address: *address, noz: paid.noz, released: paid.released }).collect();
    let (payers, rest) = listed(paid, PAYERS_MAX);
    let result = Settled {
        epoch,
        height,
        noz: distribution.noz,
        released: distribution.released,
        mined: distribution.mined,
        tax: distribution.tax,
        dust: distribution.dust,
        receipts: report.receipts,
        parts: progress.cursor.next,
        carriers: distribution
            .carriers
            .iter()
            .map(|(address, carrier)| Share { address: *address, noz: carrier.noz, reward: carrier.reward.total() })
            .collect(),
        metas: distribution.metas.iter().map(share).collect(),
        validators: distribution.validators.iter().map(share).collect(),
        payers,
        rest,
    };
    keys::write(state, &keys::settled(epoch), &result);
    Ok(result)
}

/// The `max` payers that were charged most, by address, and the sum of the others; of equal ones the lower address is listed.
fn listed(mut payers: Vec<Paid>, max: usize) -> (Vec<Paid>, Rest) {
    payers.sort_unstable_by_key(|paid| (Reverse(paid.noz), paid.address));
    let others = payers.split_off(payers.len().min(max));
    payers.sort_unstable_by_key(|paid| paid.address);
    let rest = others.iter().fold(Rest::default(), |sum, paid| Rest {
        payers: sum.payers.saturating_add(1),
        noz: sum.noz.saturating_add(paid.noz),
        released: sum.released.saturating_add(paid.released),
    });
    (payers, rest)
}

/// Moves the coins of a distribution.
fn pay(state: &mut Overlay, distribution: &Distribution, parameters: &Parameters) -> Result<(), SettleError> {
    for (payer, charged) in &distribution.payers {
        market::charged(state, payer, charged.noz, &charged.left);
    }
    let kept = distribution.tax.saturating_add(distribution.dust);
    pools::transfer(state, Pool::Prepaid, Pool::Community, kept)?;
    pools::transfer(state, Pool::Prepaid, Pool::Rewards, distribution.released.saturating_sub(kept))?;
    pools::transfer(state, Pool::Reserve, Pool::Rewards, distribution.mined)?;
    let now = epochs::current(state).number;
    let carriers = distribution.carriers.iter().map(|(address, carrier)| (address, &carrier.reward));
    for (address, reward) in carriers.chain(&distribution.metas).chain(&distribution.validators) {
        rewards::credit(state, address, reward.total(), now, parameters.mature_epochs);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use primitives::encoding::encode;

    fn paid(number: u16, noz: u128) -> Paid {
        let mut address = Address([0; 20]);
        address.0[..2].copy_from_slice(&number.to_be_bytes());
        Paid { address, noz: Noz(noz), released: Amount(noz * 2) }
    }

    #[test]
    fn the_largest_payers_are_listed_and_the_others_summed() {
        let (listed, rest) = super::listed(vec![paid(1, 5), paid(2, 9), paid(3, 5), paid(4, 1)], 2);
        assert_eq!(listed, [paid(1, 5), paid(2, 9)]);
        assert_eq!(rest, Rest { payers: 2, noz: Noz(6), released: Amount(12) });
        assert_eq!(super::listed(vec![paid(1, 5)], 2), (vec![paid(1, 5)], Rest::default()));
    }

    /// The largest result that can be: reading it must not panic.
    #[test]
    fn the_largest_record_can_be_read() {
        let share = |number| Share { address: paid(number, 0).address, noz: Noz(u128::MAX), reward: Amount(u128::MAX) };
        let shares = |count: usize| (0..).take(count).map(share).collect::<Vec<_>>();
        let (payers, rest) = listed((0..=u16::MAX).map(|number| paid(number, 7)).collect(), PAYERS_MAX);
        assert_eq!((payers.len(), rest.payers), (PAYERS_MAX, 65_536 - 4_096));
        let settled = Settled {
            epoch: Epoch(1),
            height: Height(1),
            noz: Noz(1),
            released: Amount(1),
            mined: Amount(1),
            tax: Amount(1),
            dust: Amount(1),
            receipts: 1,
            parts: 1,
            carriers: shares(usize::try_from(resource::RESOURCE_NODES_MAX).expect("small")),
            metas: shares(meta_registry::META_NODES_MAX),
            validators: shares(staking::VALIDATORS_MAX),
            payers,
            rest,
        };
        assert!(encode(&settled).len() < keys::VALUE_BYTES_MAX / 2);
    }
}
