//! Closing an epoch: its claims become the report that the value ledger settles.
//!
//! Keys: `7 q` what waits; the report under [`pot::report::key`], its parts under [`pot::report::part_key`] until they are settled. End of each block: the
//! block counts as a sign of life of its proposer; if the value ledger's next epoch was anchored at least the time of grace ago, the epoch is closed. One block
//! closes at most one epoch, and epochs are closed in order, also those that no anchor fell into: they are empty (META-3).
//!
//! Grace is time in which blocks come: of the time between two blocks at most a [`GAP_FRACTION`]th of the grace counts. While the whole network is down
//! nobody can claim, and the first block after it must not close what waited.
//!
//! Liveness in the report is 1 for a meta node that proposed one of the last [`LIVE_TURNS`] blocks for each meta node, 0 for others: all who are live share
//! equally. Who signed does not say more: a certificate holds no more signatures than make a quorum, so who is slow is never in one. Leaders are drawn by lot, so the number of blocks in an epoch tells luck from life badly; a live node stays without a turn for so long with a chance below e^-16.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::{Read, read, write};
use chain::ledger::BlockInfo;
use pot::allowance::session_key;
use pot::report::{self, Known, Report};
use pot::{ClaimedReceipts, SignedGrant};
use primitives::{Address, Epoch, Hash, Height, Noz, PublicKey, Time};
use state::Overlay;

use crate::claims::{self, Taken};
use crate::{allowance, anchor, keys, voters};

/// Anchors that wait for their epochs to be closed.
pub const OVER_MAX: usize = 256;

/// The time between two blocks counts as grace up to this part of the grace.
pub const GAP_FRACTION: u64 = 4;
/// A meta node is live if it proposed one of the last so many blocks for each meta node.
pub const LIVE_TURNS: u64 = 16;

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
    /// The newest block that each active meta node proposed; the first in which it was seen if it has not proposed.
    pub proposed: BTreeMap<Address, Height>,
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

/// The end of a block: the proposer is live, and the next epoch of the value chain is closed if it is due. The epoch that was closed.
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
    let closed = is_due.then_some(closing.next);
    if let Some(epoch) = closed {
        close(state, value_chain, epoch, &liveness(&closing.proposed, block.height));
        closing.next = epoch.next();
    }
    write(state, &keys::closing(), &closing);
    closed
}

/// Who is live at `height`: 1, or 0.
fn liveness(proposed: &BTreeMap<Address, Height>, height: Height) -> BTreeMap<Address, u32> {
    let turns = LIVE_TURNS.saturating_mul(u64::try_from(proposed.len()).unwrap_or(u64::MAX));
    proposed.iter().map(|(operator, last)| (*operator, u32::from(height.0.saturating_sub(last.0) < turns))).collect()
}

/// Builds the report of `epoch` and removes what it was built from.
fn close(state: &mut Overlay, chain: Hash, epoch: Epoch, liveness: &BTreeMap<Address, u32>) {
    let carriers = claims::claimants(state, epoch);
    let taken = carriers.iter().filter_map(|carrier| claims::taken(state, epoch, carrier));
    let (carrier_keys, claims): (BTreeMap<Address, PublicKey>, Vec<ClaimedReceipts>) = taken.map(|Taken { claim, key }| ((claim.carrier, key), claim)).unzip();
    let mut grants: BTreeMap<(Address, PublicKey), SignedGrant> = BTreeMap::new();
    let mut spent: BTreeMap<PublicKey, Noz> = BTreeMap::new();
    for receipt in claims.iter().flat_map(|claim| &claim.receipts) {
        let sum = spent.entry(receipt.session).or_default();
        *sum = sum.saturating_add(Noz(receipt.bytes.into()));
    }
    for (session, noz) in spent {
        let Some(mut record) = allowance::session(state, &session) else { continue };
        record.spent = record.spent.saturating_add(noz);
        write(state, &session_key(&session), &record);
        grants.insert((record.grant.grant.payer, session), record.grant);
    }
    let known = Known { chain, grants: &grants, keys: &carrier_keys, liveness };
    let (report, parts) =
        report::build(epoch, &claims, &known).expect("claims were verified against grants and keys when they came, and there are fewer than a report holds");
    for part in &parts {
        write(state, &report::part_key(epoch, part.number), part);
    }
    write(state, &report::key(epoch), &report);
    for carrier in &carriers {
        state.delete(&keys::claim(epoch, carrier));
    }
    state.delete(&keys::claimants(epoch));
}

/// A settled epoch's parts are on the value ledger: only the report stays.
pub(crate) fn drop_parts(state: &mut Overlay, epoch: Epoch) {
    let parts = report(state, epoch).map_or(0, |report| report.parts.len());
    for number in 0..u32::try_from(parts).unwrap_or(u32::MAX) {
        state.delete(&report::part_key(epoch, number));
    }
}
