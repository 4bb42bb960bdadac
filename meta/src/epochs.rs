//! Closing an epoch: its claims become the report that the value ledger settles.
//!
//! Keys: `7 q` what waits; the report under [`pot::report::key`], its parts under [`pot::report::part_key`] until they are settled. End of each block: the
//! block counts as work of its proposer; if the value ledger's next epoch was anchored at least the time of grace ago, the epoch is closed. One block closes
//! at most one epoch, and epochs are closed in order, also those that no anchor fell into: they are empty (META-3).
//!
//! Liveness in the report is the number of blocks that a meta node proposed since the epoch before was closed: leaders take turns, so who is alive proposes.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::{Read, read, write};
use chain::ledger::BlockInfo;
use pot::report::{self, Report};
use pot::{ClaimedReceipts, SignedGrant};
use primitives::{Address, Epoch, Noz, PublicKey, Time};
use state::Overlay;

use crate::{allowance, anchor, claims, keys};

/// Anchors that wait for their epochs to be closed.
pub const OVER_MAX: usize = 256;

/// Which epochs wait to be closed, and who worked in the one that is next.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Closing {
    /// The next epoch to be closed.
    pub next: Epoch,
    /// All epochs below this are over since then, by this ledger's time. Increasing.
    pub over: Vec<(Epoch, Time)>,
    /// Blocks that each meta node proposed since the last closing.
    pub blocks: BTreeMap<Address, u32>,
}

/// What waits to be closed.
pub fn closing(state: &impl Read) -> Closing {
    read(state, &keys::closing()).unwrap_or_default()
}

/// The report of a closed epoch.
pub fn report(state: &impl Read, epoch: Epoch) -> Option<Report> {
    read(state, &report::key(epoch))
}

/// The end of a block: the proposer's work is counted, and the next epoch closed if it is due. The epoch that was closed.
pub(crate) fn end_block(state: &mut Overlay, block: &BlockInfo) -> Option<Epoch> {
    let mut closing = closing(state);
    if let Some(meta) = anchor::metas(state).get(usize::from(block.proposer)) {
        let blocks = closing.blocks.entry(meta.operator).or_default();
        *blocks = blocks.saturating_add(1);
    }
    closing.over.retain(|(below, _)| *below > closing.next);
    let grace = Time(anchor::current(state).grace_ms);
    let is_due = closing.over.first().is_some_and(|(_, since)| block.time.saturating_sub(*since) >= grace);
    let closed = is_due.then_some(closing.next);
    if let Some(epoch) = closed {
        close(state, epoch, &closing.blocks);
        closing.next = epoch.next();
        closing.blocks.clear();
    }
    write(state, &keys::closing(), &closing);
    closed
}

/// Builds the report of `epoch` and removes what it was built from.
fn close(state: &mut Overlay, epoch: Epoch, blocks: &BTreeMap<Address, u32>) {
    let carriers = claims::claimants(state, epoch);
    let claims: Vec<ClaimedReceipts> = carriers.iter().filter_map(|carrier| claims::claim(state, epoch, carrier)).collect();
    let mut grants: BTreeMap<(Address, PublicKey), SignedGrant> = BTreeMap::new();
    let mut spent: BTreeMap<PublicKey, Noz> = BTreeMap::new();
    for receipt in claims.iter().flat_map(|claim| &claim.receipts) {
        let sum = spent.entry(receipt.session).or_default();
        *sum = sum.saturating_add(Noz(receipt.bytes.into()));
    }
    for (session, noz) in spent {
        let Some(mut record) = allowance::session(state, &session) else { continue };
        record.spent = record.spent.saturating_add(noz);
        write(state, &keys::session(&session), &record);
        grants.insert((record.grant.grant.payer, session), record.grant);
    }
    let liveness: BTreeMap<Address, u32> = anchor::metas(state).iter().map(|meta| (meta.operator, blocks.get(&meta.operator).copied().unwrap_or(0))).collect();
    let (report, parts) =
        report::build(epoch, &claims, &grants, &liveness).expect("claims were verified against grants when they came, and there are fewer than a report holds");
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
