//! Closing an epoch: its claims become the report that the value ledger settles.
//!
//! Keys: `7 q` what waits; the report under [`pot::report::key`], its parts under [`pot::report::part_key`] until they are settled. End of each block: the
//! block counts as a sign of life of its proposer; if the value ledger's next epoch was anchored at least the time of grace ago, the epoch is closed: it
//! takes no claims any more. Its report is built one part in each block, so that no block does the work of a whole epoch. Epochs are closed one after the
//! other, also those that no anchor fell into: they are empty (META-3).
//!
//! Grace is time in which blocks come: of the time between two blocks at most a [`GAP_FRACTION`]th of the grace counts. While the whole network is down
//! nobody can claim, and the first block after it must not close what waited.
//!
//! Liveness in the report is 1 for a meta node that proposed one of the last [`LIVE_TURNS`] blocks for each meta node, 0 for others: all who are live share
//! equally. Who signed does not say more: a certificate holds no more signatures than make a quorum, so who is slow is never in one. Leaders are drawn by
//! lot, so the number of blocks in an epoch tells luck from life badly; a live node stays without a turn for so long with a chance below e^-16.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::{Read, read, write};
use chain::ledger::BlockInfo;
use chain::resource::RESOURCE_NODES_MAX;
use pot::SignedGrant;
use pot::allowance::claimants_key;
use pot::report::{self, ENTRIES_MAX, Known, PARTS_MAX, Report, Summary};
use primitives::{Address, Epoch, Hash, Height, PublicKey, Time};
use state::Overlay;

use crate::claims::{self, Taken};
use crate::{allowance, anchor, keys, voters};

/// Anchors that wait for their epochs to be closed.
pub const OVER_MAX: usize = 256;

/// The time between two blocks counts as grace up to this part of the grace.
pub const GAP_FRACTION: u64 = 4;
/// A meta node is live if it proposed one of the last so many blocks for each meta node.
pub const LIVE_TURNS: u64 = 16;

// Any claim fits a part, and a carrier has one: there are never more parts than a report holds.
const _: () = assert!(RESOURCE_NODES_MAX as usize <= PARTS_MAX);

/// Which epochs wait to be closed, and who is live.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Closing {
    /// The next epoch to be closed.
    pub next: Epoch,
    /// All epochs below this are over since then, by `clock`. Increasing.
    pub over: Vec<(Epoch, Time)>,
    /// Time in which blocks came, up to the newest block: the clock of the grace.
    pub clock: Time,
    /// Time of the newest block.
    pub last: Time,
    /// The report that is being built: of the epoch before `next`.
    pub building: Option<Building>,
    /// The newest block that each active meta node proposed; the first in which it was seen if it has not proposed.
    pub proposed: BTreeMap<Address, Height>,
}

/// A report that is being built.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Building {
    /// Its epoch.
    pub epoch: Epoch,
    /// What its parts come to so far.
    pub sum: Summary,
    /// Who was live when the epoch was closed.
    pub liveness: BTreeMap<Address, u32>,
}

impl Closing {
    /// The clock of the grace in a block of this time.
    pub(crate) fn clock_at(&self, time: Time, grace: Time) -> Time {
        let gap_max = Time((grace.0 / GAP_FRACTION).max(1));
        self.clock.saturating_add(time.saturating_sub(self.last).min(gap_max))
    }
}

/// What waits to be closed.
pub fn closing(state: &impl Read) -> Closing {
    read(state, &keys::closing()).unwrap_or_default()
}

/// The report of a closed epoch.
pub fn report(state: &impl Read, epoch: Epoch) -> Option<Report> {
    read(state, &report::key(epoch))
}

/// The end of a block: the proposer is live, the next epoch of the value chain is closed if it is due, and the next part of its report is built. The epoch
/// whose report is complete with this block.
pub(crate) fn end_block(state: &mut Overlay, block: &BlockInfo, value_chain: Hash) -> Option<Epoch> {
    let mut closing = closing(state);
    let metas = anchor::metas(state);
    // The index is one of the voters', who may be others than those anchored in this block.
    let proposer = voters::voters(state).metas.get(usize::from(block.proposer)).map(|meta| meta.operator);
    closing.proposed.retain(|operator, _| metas.iter().any(|meta| meta.operator == *operator));
    for meta in &metas {
        let last = closing.proposed.entry(meta.operator).or_insert(block.height);
        if proposer == Some(meta.operator) {
            *last = block.height;
        }
    }
    closing.over.retain(|(below, _)| *below > closing.next);
    let grace = Time(anchor::current(state).grace_ms);
    closing.clock = closing.clock_at(block.time, grace);
    closing.last = block.time;
    let is_due = closing.over.first().is_some_and(|(_, since)| closing.clock.saturating_sub(*since) >= grace);
    if is_due && closing.building.is_none() {
        let liveness = liveness(&closing.proposed, block.height);
        closing.building = Some(Building { epoch: closing.next, sum: Summary::default(), liveness });
        closing.next = closing.next.next();
    }
    let mut closed = None;
    if let Some(building) = closing.building.take() {
        match build(state, value_chain, building) {
            Built::More(building) => closing.building = Some(building),
            Built::Whole(epoch) => closed = Some(epoch),
        }
    }
    write(state, &keys::closing(), &closing);
    closed
}

/// Who is live at `height`: 1, or 0.
fn liveness(proposed: &BTreeMap<Address, Height>, height: Height) -> BTreeMap<Address, u32> {
    let turns = LIVE_TURNS.saturating_mul(u64::try_from(proposed.len()).unwrap_or(u64::MAX));
    proposed.iter().map(|(operator, last)| (*operator, u32::from(height.0.saturating_sub(last.0) < turns))).collect()
}

/// What a block's work at a report came to.
enum Built {
    /// Claims are left.
    More(Building),
    /// The report of this epoch is written.
    Whole(Epoch),
}

/// Builds the next part of a report and removes the claims that it holds; after the last one the report.
fn build(state: &mut Overlay, chain: Hash, mut building: Building) -> Built {
    let epoch = building.epoch;
    let claimants = claims::claimants(state, epoch);
    let next = building.sum.after.map_or(0, |after| claimants.partition_point(|carrier| *carrier <= after));
    let (mut carrier_keys, mut claims, mut receipts) = (BTreeMap::new(), Vec::new(), 0usize);
    for Taken { claim, key } in claimants.iter().skip(next).map_while(|carrier| claims::taken(state, epoch, carrier)) {
        receipts = receipts.saturating_add(claim.receipts.len());
        carrier_keys.insert(claim.carrier, key);
        claims.push(claim);
        if receipts > ENTRIES_MAX {
            break;
        }
    }
    if !claims.is_empty() {
        let sessions = claims.iter().flat_map(|claim| &claim.receipts).map(|receipt| (receipt.payer, receipt.session));
        let sessions: BTreeSet<(Address, PublicKey)> = sessions.collect();
        let grants: BTreeMap<(Address, PublicKey), SignedGrant> =
            sessions.into_iter().filter_map(|(payer, session)| Some(((payer, session), allowance::session(state, &session)?.grant))).collect();
        let known = Known { chain, grants: &grants, keys: &carrier_keys, liveness: &building.liveness };
        let (part, taken) = report::next_part(epoch, &building.sum, &claims, &known)
            .expect("claims were verified against grants and keys when they came, and there are fewer than a report holds");
        write(state, &report::part_key(epoch, part.number), &part);
        building.sum.add(&part);
        for claim in claims.iter().take(taken) {
            state.delete(&keys::claim(epoch, &claim.carrier));
        }
    }
    if building.sum.after < claimants.last().copied() {
        return Built::More(building);
    }
    let Building { sum, liveness, .. } = building;
    write(state, &report::key(epoch), &sum.report(epoch, &liveness));
    state.delete(&claimants_key(epoch));
    Built::Whole(epoch)
}

/// A settled epoch's parts are on the value ledger: only the report stays.
pub(crate) fn drop_parts(state: &mut Overlay, epoch: Epoch) {
    let parts = report(state, epoch).map_or(0, |report| report.parts.len());
    for number in 0..u32::try_from(parts).unwrap_or(u32::MAX) {
        state.delete(&report::part_key(epoch, number));
    }
}
