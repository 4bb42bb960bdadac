//! The states after the last epochs' last blocks, for replicas that begin: see [`chain::ledger::snapshot`].
//!
//! Where they are is remembered; a state itself is looked up in the store's history when somebody fetches it. A state that is held keeps in memory whatever
//! is changed after it, so it is held for a short time only, and looked up again if somebody still fetches it.

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
/// How long a state is held at once.
const HELD_MAX: Duration = Duration::from_secs(60);

/// A state that can be had.
struct Kept {
    height: Height,
    root: StateRoot,
    /// Who votes after it.
    next: Members,
    /// When a chunk of it was asked for last.
    asked: Option<Instant>,
    /// The state, and since when it is held.
    held: Option<(Sealed, Instant)>,
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
        kept.push_front(Kept { height, root, next, asked: None, held: None });
        let mut place = 0;
        kept.retain(|kept| {
            place += 1;
            place <= KEPT || place <= KEPT_MAX && kept.asked.is_some_and(|asked| asked.elapsed() < USE_PAUSE_MAX)
        });
    }

    /// Lets go of states that were held for long enough; called often.
    pub fn tidy(&self) {
        let old: Vec<Sealed> = {
            let mut kept = lock(&self.kept);
            let old = kept.iter_mut().filter_map(|kept| kept.held.take_if(|(_, since)| since.elapsed() > HELD_MAX));
            old.map(|(state, _)| state).collect()
        };
        if !old.is_empty() {
            // It may be large, and the replica's thread has other things to do. Where no thread can be had it is done here.
            let _ = std::thread::Builder::new().spawn(move || drop(old));
        }
    }

    /// The newest snapshot, or that of the state `wanted`, if it is in the store's history.
    pub fn give<R: Rules>(&self, shared: &Shared<R>, wanted: Option<StateRoot>) -> Option<Snapshot> {
        if lock(&self.kept).is_empty() {
            self.look_back(shared);
        }
        let (height, root, next) = {
            let kept = lock(&self.kept);
            let kept = kept.iter().find(|kept| wanted.is_none_or(|wanted| kept.root == wanted))?;
            (kept.height, kept.root, kept.next.clone())
        };
        let stored = records::block(&shared.store, height).filter(|_| shared.store.reaches(&root))?;
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
                kept.iter_mut().find(|kept| kept.root == *root)?.held = Some((state.clone(), Instant::now()));
                Some(state)
            })
        })?;
        (!range.is_empty()).then(|| state.chunk(range, CHUNK_BYTES))
    }

    /// Whether a state can be had; and the state, if it is held: it was asked for now.
    fn held(&self, root: &StateRoot) -> Option<Option<Sealed>> {
        let mut kept = lock(&self.kept);
        let kept = kept.iter_mut().find(|kept| kept.root == *root)?;
        kept.asked = Some(Instant::now());
        Some(kept.held.as_ref().map(|(state, _)| state.clone()))
    }
}
