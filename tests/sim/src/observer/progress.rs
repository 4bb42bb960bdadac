//! I11 and I12: what must happen once the network is calm.
//!
//! Between two blocks that a node gives out as final lie views. Each takes at most a bounded time: one led by an honest node three delays and what its
//! processors take, one led by a liar until everybody's T_adv and two delays more. The bound of a wait is the sum over its views.

use std::collections::{BTreeMap, BTreeSet};

use consensus::Times;
use primitives::{Epoch, View};

use super::violation::Violation;
use crate::queue::{MILLI, Micros};

/// Bounds after GST.
#[derive(Clone, Copy, Debug)]
pub struct Calm {
    /// From then on the bounds hold.
    pub from: Micros,
    /// The longest a message takes, handling included.
    pub delay: Micros,
    /// The longest a ledger takes to build and execute a block.
    pub work: Micros,
    /// The nodes' times.
    pub times: Times,
}

/// Views after a finalization before the back-off begins: those in flight, and those that others were ahead.
const SLOW_VIEWS: u64 = 4;

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Micros,
    epoch: Epoch,
    view: View,
    is_settled: bool,
    /// Views that passed before it without a finalization: the timers of a view entered meanwhile are still long.
    passed: u64,
}

/// When each node last finalized something.
#[derive(Debug)]
pub struct Progress {
    calm: Calm,
    last: BTreeMap<usize, Last>,
    /// Who has begun an epoch, and when honest members with a quorum had: nobody can go on in it earlier.
    begun: BTreeMap<Epoch, (BTreeSet<usize>, Option<Micros>)>,
    /// The longest wait beyond which the bound would have been broken, in thousandths of the bound.
    pub tightest: u64,
}

impl Progress {
    /// Nothing is final yet.
    pub fn new(calm: Calm) -> Self {
        Self { calm, last: BTreeMap::new(), begun: BTreeMap::new(), tightest: 0 }
    }

    /// Whether the bounds hold at `now`.
    pub fn is_calm(&self, now: Micros) -> bool {
        now >= self.calm.from
    }

    /// From when on the bounds hold.
    pub fn calm_from(&self) -> Micros {
        self.calm.from
    }

    /// The node restarted or is no longer looked at: it has to settle again.
    pub fn forget(&mut self, node: usize) {
        self.last.remove(&node);
    }

    /// A node begins an epoch; `is_quorum` says whether these nodes' members are one there.
    pub fn begins(&mut self, node: usize, now: Micros, epoch: Epoch, is_quorum: impl Fn(&BTreeSet<usize>) -> bool) {
        let (nodes, since) = self.begun.entry(epoch).or_default();
        nodes.insert(node);
        if since.is_none() && is_quorum(nodes) {
            *since = Some(now);
        }
    }

    /// I12 when a node finalizes a block of this view, or is seen not to have: `is_faulty` says whether a liar leads a view of the epoch.
    ///
    /// # Errors
    /// [`Violation::Stalled`].
    pub fn check(&mut self, node: usize, now: Micros, epoch: Epoch, view: View, is_final: bool, is_faulty: impl Fn(u64) -> bool) -> Result<(), Violation> {
        let is_settled = now >= self.calm.from;
        let before = self.last.get(&node).copied();
        if is_final {
            let passed = before.filter(|before| before.epoch == epoch).map_or(view.0, |before| view.0.saturating_sub(before.view.0));
            self.last.insert(node, Last { at: now, epoch, view, is_settled, passed });
        }
        let Some(before) = before.filter(|before| before.is_settled) else { return Ok(()) };
        // In a new epoch the views begin again.
        let first = if before.epoch == epoch { before.view.0 + 1 } else { 1 };
        let (mut bound, mut skipped, mut since) = (0, 0, 0_u64);
        for view in first..=view.0.max(first) {
            since += 1;
            let earlier = if since <= 2 && before.epoch == epoch { before.passed } else { 0 };
            let delta = self.calm.times.delta(earlier + since.saturating_sub(1)) * MILLI;
            // As long as the back-off has not reached what a message takes, the time of an honest leader may run out as well.
            let is_slow = self.calm.times.delta((earlier + since).saturating_sub(SLOW_VIEWS)) * MILLI < self.calm.delay;
            if is_faulty(view) || is_slow {
                skipped += 1;
                bound +=
                    self.calm.times.idle_ms * MILLI + self.calm.times.execution_ms * MILLI + 3 * delta + 2 * self.calm.delay + self.calm.times.delta_ms * MILLI;
            } else {
                bound += 3 * self.calm.delay + self.calm.work;
            }
        }
        // The finalization itself, the way into the next epoch, and one block that has to be fetched.
        bound += 3 * self.calm.delay + self.calm.work + 2 * self.calm.delay + self.calm.times.fetch_ms * MILLI;
        if before.epoch != epoch {
            bound += self.calm.times.idle_ms * MILLI
                + 6 * self.calm.delay
                + 3 * self.calm.work
                + (self.calm.times.execution_ms + 3 * self.calm.times.delta(3)) * MILLI;
        }
        // What leads to an epoch has a bound of its own.
        let began = if before.epoch == epoch { None } else { Some(self.begun.get(&epoch).and_then(|(_, since)| *since).unwrap_or(now)) };
        let waited = now - before.at.max(began.unwrap_or(0)).min(now);
        self.tightest = self.tightest.max(waited * 1000 / bound.max(1));
        if waited > bound {
            return Err(Violation::Stalled { node, waited_ms: waited / MILLI, bound_ms: bound / MILLI, skipped });
        }
        Ok(())
    }
}
