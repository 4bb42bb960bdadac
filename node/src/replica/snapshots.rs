//! The states after the last epochs' last blocks, for replicas that begin: see [`chain::ledger::snapshot`].

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chain::ledger::snapshot::{CHUNK_BYTES, KEPT, KEPT_MAX};
use chain::ledger::{Rules, Snapshot};
use primitives::{Epoch, Hash, Height};
use state::{Chunk, Sealed, StateRoot};

use super::{Shared, lock, records};

/// Who has not asked for so long fetches it no more.
const USE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// A state that can be had.
#[derive(Clone)]
struct Kept {
    height: Height,
    state: Sealed,
    /// When somebody asked for a chunk of it.
    used: Option<Instant>,
}

/// The states that are kept, the newest first.
#[derive(Default)]
pub struct Snapshots(Mutex<VecDeque<Kept>>);

impl Snapshots {
    /// Keeps the state after an epoch's last block, in the place of older ones that nobody fetches.
    pub fn keep(&self, height: Height, state: &Sealed) {
        let mut kept = lock(&self.0);
        if kept.iter().any(|kept| kept.height >= height) {
            return;
        }
        kept.push_front(Kept { height, state: state.clone(), used: None });
        kept.truncate(KEPT_MAX);
        let mut place = 0;
        kept.retain(|kept| {
            place += 1;
            place <= KEPT || kept.used.is_some_and(|used| used.elapsed() < USE_PAUSE_MAX)
        });
    }

    /// The snapshot of the state `wanted`, or else the newest.
    pub fn give<R: Rules>(&self, shared: &Shared<R>, wanted: Option<StateRoot>) -> Option<Snapshot> {
        if lock(&self.0).is_empty() {
            self.look_back(shared);
        }
        let kept = lock(&self.0).clone();
        let of_wanted = kept.iter().find(|kept| Some(kept.state.root()) == wanted);
        let Kept { height, state, .. } = of_wanted.or(kept.front())?;
        let stored = records::block(&shared.store, *height)?;
        Some(Snapshot { block: stored.block, finality: stored.finality?, next: shared.rules.electorate(state).members })
    }

    /// After a restart: the end of the last epoch, if its state can still be looked at.
    fn look_back<R: Rules>(&self, shared: &Shared<R>) {
        let head = shared.head.borrow().clone();
        let present = shared.rules.electorate(&head.state).epoch;
        let last = present.0.checked_sub(1).and_then(|epoch| records::epoch_end(&shared.store, Epoch(epoch)));
        let state = last.as_ref().and_then(|last| shared.store.at(&last.body()?.summary.state).ok());
        if let Some((last, state)) = last.zip(state) {
            self.keep(last.block.header.height, &state);
        }
    }

    /// The first pairs of a kept state in a range of paths.
    pub fn chunk(&self, state: &StateRoot, range: &RangeInclusive<Hash>) -> Option<Chunk> {
        let found = {
            let mut kept = lock(&self.0);
            let kept = kept.iter_mut().find(|kept| kept.state.root() == *state)?;
            kept.used = Some(Instant::now());
            kept.state.clone()
        };
        (!range.is_empty()).then(|| found.chunk(range, CHUNK_BYTES))
    }
}
