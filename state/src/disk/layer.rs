//! How a state on disk reads what its trie does not hold, while the disk moves on.
//!
//! A [`Version`] is one committed state. What was *brought*, to the [`Run`] and from there to disk, is some committed state: not yet the newest, for rows
//! follow behind the commit, and newer than an old version that somebody still holds. Four things make every read exact:
//! 1. A trie holds all pairs that were changed after the state that was brought, so nobody asks for one that is not there yet.
//! 2. Every reader asks the run *before* the disk: what leaves the run meanwhile is on disk.
//! 3. Every commit attaches what it replaces to the version before it, *before* anything is brought. So the pair at a path in a version is what the first later
//!    commit that changed it replaced, and what was brought if none did.
//! 4. Every reader looks for later commits *after* that: whoever sees a new pair also finds the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

use primitives::Hash;

use super::database::Database;
use super::run::Run;
use super::{read, write};
use crate::pair::Pair;
use crate::rule::StateRoot;
use crate::sealed::Changed;
use crate::trie::Source;

/// Undecided states below a new one that are looked through for a committed one.
const LOOK_DOWN_MAX: usize = 64;

/// What all states of one store have in common.
pub(crate) struct Shared {
    pub database: Database,
    /// Rows that are not in the database yet.
    pub run: RwLock<Run>,
    /// Counts the states that were sealed: the trie's nodes are as old as the state that made them.
    clock: AtomicU64,
    /// The age of the state whose rows were brought.
    applied: AtomicU64,
}

impl Shared {
    pub fn new(database: Database) -> Arc<Self> {
        Arc::new(Self { database, run: RwLock::default(), clock: AtomicU64::new(1), applied: AtomicU64::new(0) })
    }

    /// A moment later than all before.
    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Nodes of committed states that are not younger can be read again.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }
}

/// One committed state.
pub(crate) struct Version {
    shared: Arc<Shared>,
    next: OnceLock<Next>,
}

/// The commit after a version: what it changed, and the version it made.
struct Next {
    changed: Arc<Vec<Changed>>,
    version: Arc<Version>,
}

impl Version {
    /// A version that nothing follows yet.
    pub fn newest(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared, next: OnceLock::new() })
    }

    fn pair(&self, path: &Hash) -> Option<Pair> {
        let ahead = read(&self.shared.run).find(path).cloned();
        let brought = ahead.unwrap_or_else(|| self.shared.database.leaf(path));
        let mut version = self;
        while let Some(next) = version.next.get() {
            if let Ok(place) = next.changed.binary_search_by_key(path, |changed| changed.path) {
                return next.changed[place].old.clone();
            }
            version = &next.version;
        }
        brought
    }

    fn pairs(&self, range: &RangeInclusive<Hash>) -> Vec<(Hash, Pair)> {
        let ahead = read(&self.shared.run).within(range);
        let on_disk = self.shared.database.leaves(range);
        let mut replaced: BTreeMap<Hash, Option<Pair>> = BTreeMap::new();
        let mut version = self;
        while let Some(next) = version.next.get() {
            let from = next.changed.partition_point(|changed| changed.path < *range.start());
            for changed in next.changed[from..].iter().take_while(|changed| changed.path <= *range.end()) {
                replaced.entry(changed.path).or_insert_with(|| changed.old.clone());
            }
            version = &next.version;
        }
        ahead.into_iter().for_each(|(path, pair)| {
            replaced.entry(path).or_insert(pair);
        });
        if replaced.is_empty() {
            return on_disk;
        }
        let mut pairs: BTreeMap<Hash, Pair> = on_disk.into_iter().collect();
        for (path, pair) in replaced {
            match pair {
                Some(pair) => pairs.insert(path, pair),
                None => pairs.remove(&path),
            };
        }
        pairs.into_iter().collect()
    }

    /// Keys with this prefix that later commits changed.
    fn later_keys(&self, prefix: &[u8], keys: &mut BTreeSet<Vec<u8>>) {
        let mut version = self;
        while let Some(next) = version.next.get() {
            collect(&next.changed, prefix, keys);
            version = &next.version;
        }
    }

    /// The version after this one.
    pub fn following(&self) -> Option<Arc<Self>> {
        self.next.get().map(|next| Arc::clone(&next.version))
    }

    /// Prepares for what makes these changes permanent: from here on this version answers by what they replace. Returns the version they make.
    pub fn succeed(&self, changed: Arc<Vec<Changed>>) -> Arc<Self> {
        let version = Self::newest(Arc::clone(&self.shared));
        let next = Next { changed, version: Arc::clone(&version) };
        assert!(self.next.set(next).is_ok(), "only the head is succeeded, by one commit at a time");
        version
    }
}

fn collect(changed: &[Changed], prefix: &[u8], keys: &mut BTreeSet<Vec<u8>>) {
    keys.extend(changed.iter().map(Changed::key).filter(|key| key.starts_with(prefix)).map(<[u8]>::to_vec));
}

/// A long line of versions that ends at once is taken apart in a loop: dropping one inside the other would exhaust the stack.
impl Drop for Version {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(Next { version, .. }) = next {
            next = Arc::into_inner(version).and_then(|mut version| version.next.take());
        }
    }
}

/// What one sealed state changed, for as long as it was not brought.
pub(crate) struct Layer {
    changed: Arc<Vec<Changed>>,
    /// Of the state.
    root: StateRoot,
    /// When the state was sealed.
    age: u64,
    /// What is below; nothing once the rows of this layer were brought.
    below: RwLock<Option<Arc<Layer>>>,
    /// The version that this layer became.
    committed: OnceLock<Arc<Version>>,
    is_applied: AtomicBool,
}

impl Layer {
    /// What the state of this layer changed in the one below, by path.
    pub fn changed(&self) -> &Arc<Vec<Changed>> {
        &self.changed
    }

    /// The root of the state of this layer.
    pub fn root(&self) -> StateRoot {
        self.root
    }

    /// The layer is committed as `version`; its rows follow.
    pub fn became(&self, version: Arc<Version>) {
        assert!(self.committed.set(version).is_ok(), "a layer is committed once");
    }

    /// The rows of this layer and of all below were brought. It lets go of those.
    pub fn was_applied(&self, shared: &Shared) {
        shared.applied.store(self.age, Ordering::Release);
        self.is_applied.store(true, Ordering::Release);
        *write(&self.below) = None;
    }
}

/// As with versions: a long line of undecided states ends in a loop.
impl Drop for Layer {
    fn drop(&mut self) {
        let mut below = write(&self.below).take();
        while let Some(layer) = below {
            below = Arc::into_inner(layer).and_then(|layer| write(&layer.below).take());
        }
    }
}

/// Where a state reads what its trie does not hold.
#[derive(Clone)]
pub(crate) struct Place {
    layer: Option<Arc<Layer>>,
    /// What is below the layers.
    base: Arc<Version>,
}

impl Place {
    /// The place of a committed state. `layer` made it, if its rows were not brought yet.
    pub fn new(base: Arc<Version>, layer: Option<Arc<Layer>>) -> Self {
        Self { layer, base }
    }

    /// When a state that is sealed now is sealed.
    pub fn now(&self) -> u64 {
        self.base.shared.now()
    }

    /// The place of a state that changes this in the one here.
    pub fn above(&self, changed: Vec<Changed>, root: StateRoot, age: u64) -> Self {
        let below = RwLock::new(self.layer.clone());
        let layer = Layer { changed: Arc::new(changed), root, age, below, committed: OnceLock::new(), is_applied: AtomicBool::new(false) };
        Self { layer: Some(Arc::new(layer)), base: self.near_version() }
    }

    /// The newest version known near: so that who follows a chain as it grows does not hold its beginning.
    fn near_version(&self) -> Arc<Version> {
        let mut next = self.layer.clone();
        for _ in 0..LOOK_DOWN_MAX {
            let Some(layer) = next else { break };
            if let Some(version) = layer.committed.get() {
                return Arc::clone(version);
            }
            next = read(&layer.below).clone();
        }
        Arc::clone(&self.base)
    }

    /// The pair at a path that the trie does not hold.
    pub fn pair(&self, path: &Hash) -> Option<Pair> {
        self.pending().1.pair(path)
    }

    /// The layers that are not committed, newest first, and the version they stand on.
    pub fn pending(&self) -> (Vec<Arc<Layer>>, Arc<Version>) {
        let mut layers = Vec::new();
        let mut next = self.layer.clone();
        while let Some(layer) = next {
            if let Some(version) = layer.committed.get() {
                return (layers, Arc::clone(version));
            }
            next = read(&layer.below).clone();
            layers.push(layer);
        }
        (layers, Arc::clone(&self.base))
    }

    /// Shows, in order, every key with this prefix from `from` on that the state may have, until `show` has enough; it has no others.
    pub fn each_key(&self, prefix: &[u8], from: &[u8], mut show: impl FnMut(&[u8]) -> bool) {
        // What was not brought yet, what was, what is there no more: in this order, so that no key slips through while it is written.
        let mut keys = BTreeSet::new();
        let mut next = self.layer.clone();
        while let Some(layer) = next.filter(|layer| !layer.is_applied.load(Ordering::Acquire)) {
            collect(&layer.changed, prefix, &mut keys);
            next = read(&layer.below).clone();
        }
        let rows = self.base.shared.database.keys_under(prefix, from);
        self.base.later_keys(prefix, &mut keys);
        let mut keys = keys.split_off(from).into_iter().peekable();
        for row in rows {
            while let Some(key) = keys.next_if(|key| key.as_slice() < &*row) {
                if !show(&key) {
                    return;
                }
            }
            keys.next_if(|key| key.as_slice() == &*row);
            if !show(&row) {
                return;
            }
        }
        let _ = keys.all(|key| show(&key));
    }
}

impl Source for Place {
    fn pairs(&self, range: &RangeInclusive<Hash>) -> Vec<(Hash, Pair)> {
        self.pending().1.pairs(range)
    }

    fn is_broken(&self) -> ! {
        self.base.shared.database.failed("reading from", &"what it holds does not have the root that was committed")
    }
}
