//! The states after the last epochs' last blocks, for replicas that begin: see [`chain::ledger::snapshot`].
//!
//! Where they are is remembered; a state itself is looked up in the store's history when somebody fetches it, and let go when nobody does any more: a state that is
//! held keeps in memory whatever was changed since.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chain::ledger::snapshot::{CHUNK_BYTES, KEPT, KEPT_MAX};
use chain::ledger::{Rules, Snapshot};
use consensus::Members;
use primitives::{Epoch, Hash, Height};
use state::{Chunk, Sealed, StateRoot, Store};

use super::{Shared, lock, records};

/// Who has not asked for so long fetches it no more.
const USE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// A state that can be had.
#[derive(Clone)]
struct Kept {
    height: Height,
    root: StateRoot,
    /// Who votes after it.
    next: Members,
    /// The state, while somebody fetches it, and when a chunk of it was asked for last.
    used: Option<(Sealed, Instant)>,
}

/// The states that can be had.
#[derive(Default)]
pub struct Snapshots {
    /// The newest first. Never held for long: the replica's thread waits for it.
    kept: Mutex<VecDeque<Kept>>,
    /// Held by who looks a state up, so that it is looked up once.
    looking: Mutex<()>,
}

impl Snapshots {
    /// Remembers the state after an epoch's last block, in the place of older ones that nobody fetches.
    pub fn keep(&self, height: Height, root: StateRoot, next: Members) {
        let mut kept = lock(&self.kept);
        if kept.iter().any(|kept| kept.height >= height) {
            return;
        }
        for kept in kept.iter_mut() {
            kept.used.take_if(|(_, asked)| asked.elapsed() > USE_PAUSE_MAX);
        }
        kept.push_front(Kept { height, root, next, used: None });
        let mut place = 0;
        kept.retain(|kept| {
            place += 1;
            place <= KEPT || kept.used.is_some() && place <= KEPT_MAX
        });
    }

    /// The snapshot of the state `wanted`, or else the newest.
    pub fn give<R: Rules>(&self, shared: &Shared<R>, wanted: Option<StateRoot>) -> Option<Snapshot> {
        if lock(&self.kept).is_empty() {
            self.look_back(shared);
        }
        let (height, next) = {
            let kept = lock(&self.kept);
            let of_wanted = kept.iter().find(|kept| Some(kept.root) == wanted);
            let kept = of_wanted.or(kept.front())?;
            (kept.height, kept.next.clone())
        };
        let stored = records::block(&shared.store, height)?;
        Some(Snapshot { block: stored.block, finality: stored.finality?, next })
    }

    /// After a restart: the end of the last epoch. Its successors vote now.
    fn look_back<R: Rules>(&self, shared: &Shared<R>) {
        let head = shared.head.borrow().clone();
        let last = head.present().0.checked_sub(1).and_then(|epoch| records::epoch_end(&shared.store, Epoch(epoch)));
        if let Some((last, body)) = last.and_then(|last| last.body().map(|body| (last, body))) {
            self.keep(last.block.header.height, body.summary.state, head.members.clone());
        }
    }

    /// The first pairs of a state in a range of paths, if it can be had and is in the store's history.
    pub fn chunk(&self, store: &Store, root: &StateRoot, range: &RangeInclusive<Hash>) -> Option<Chunk> {
        let state = self.held(root)?.or_else(|| {
            let _looking = lock(&self.looking);
            // Who waited may find that it is there.
            self.held(root)?.or_else(|| {
                let state = store.at(root).ok()?;
                let mut kept = lock(&self.kept);
                kept.iter_mut().find(|kept| kept.root == *root)?.used = Some((state.clone(), Instant::now()));
                Some(state)
            })
        })?;
        (!range.is_empty()).then(|| state.chunk(range, CHUNK_BYTES))
    }

    /// Whether a state can be had; and the state, if it is held: it was asked for now.
    fn held(&self, root: &StateRoot) -> Option<Option<Sealed>> {
        let mut kept = lock(&self.kept);
        let used = &mut kept.iter_mut().find(|kept| kept.root == *root)?.used;
        if let Some((_, asked)) = used {
            *asked = Instant::now();
        }
        Some(used.as_ref().map(|(state, _)| state.clone()))
    }
}
