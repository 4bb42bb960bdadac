//! A finished state that never changes: its root, its values, its proofs. Every undecided block has one, over its parent's.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use primitives::Hash;

use crate::overlay::Overlay;
use crate::proof::Proof;
use crate::pruned::{MultiProof, RangeProof};
use crate::rule::{self, StateRoot};
use crate::trie::{Change, Found, Pair, Source, Trie, Whole};

/// What an overlay did: the new value of a key, or `None` where it was deleted.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What happened to one path: the pair that was there and the one that is, of which there is at least one.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub path: Hash,
    pub old: Option<Arc<Pair>>,
    pub new: Option<Arc<Pair>>,
}

impl Changed {
    /// The key.
    pub fn key(&self) -> &[u8] {
        self.old.as_ref().or(self.new.as_ref()).map_or(&[], |pair| &pair.key)
    }
}

/// An immutable state. Cloning copies pointers; clones may be read from any thread at the same time.
///
/// It stays readable, exactly as it was sealed, until its last clone is dropped: also when another branch has been committed meanwhile.
#[derive(Clone)]
pub struct Sealed {
    trie: Trie,
    place: Place,
}

/// Where the pairs of a state are that its trie does not hold.
#[derive(Clone)]
pub(crate) enum Place {
    /// Nowhere: a state without a disk.
    Memory,
    /// On the disk, under the changes that are not there yet.
    #[cfg(feature = "disk")]
    Disk(crate::disk::layer::Place),
}

/// Where a state without a disk begins.
#[derive(Debug)]
pub struct Memory;

impl Memory {
    /// The empty state in memory, for tests, simulations and whoever checks a computation without keeping its result.
    #[expect(clippy::new_ret_no_self, reason = "a memory base has no handle of its own: everything grows from its empty state")]
    pub fn new() -> Sealed {
        Sealed { trie: Trie::default(), place: Place::Memory }
    }
}

impl Sealed {
    #[cfg(feature = "disk")]
    pub(crate) fn on_disk(trie: Trie, place: crate::disk::layer::Place) -> Self {
        Self { trie, place: Place::Disk(place) }
    }

    /// What the header of a block with this state says.
    pub fn root(&self) -> StateRoot {
        self.trie.root()
    }

    /// Number of pairs.
    pub fn len(&self) -> u64 {
        self.trie.root().leaves
    }

    /// Whether there is no pair at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of `key`. A read that the disk refuses ends the process ([`crate::EXIT_DISK`]).
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.find(&rule::path(key)).map(|pair| pair.value.to_vec())
    }

    fn find(&self, path: &Hash) -> Option<Arc<Pair>> {
        match self.trie.find(path) {
            Found::Nothing => None,
            Found::Leaf(leaf) if leaf.path() != path => None,
            Found::Leaf(leaf) => leaf.pair().cloned().or_else(|| self.source().pair(path)),
            Found::Stub => self.source().pair(path),
        }
    }

    /// What the trie does not hold.
    fn source(&self) -> &dyn Source {
        match &self.place {
            Place::Memory => &Whole,
            #[cfg(feature = "disk")]
            Place::Disk(place) => place,
        }
    }

    /// Shows every pair whose key starts with `prefix`, by key. As [`Sealed::get`] it sees this state and nothing later, however long it takes.
    pub fn scan(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) {
        match &self.place {
            Place::Memory => {
                let mut pairs: Vec<&Arc<Pair>> = self.trie.leaves().into_iter().filter_map(|leaf| leaf.pair()).collect();
                pairs.retain(|pair| pair.key.starts_with(prefix));
                pairs.sort_unstable_by(|one, other| one.key.cmp(&other.key));
                pairs.into_iter().for_each(|pair| show(&pair.key, &pair.value));
            }
            // The disk knows which keys there may be, the trie which there are.
            #[cfg(feature = "disk")]
            Place::Disk(place) => place.each_key(prefix, |key| {
                if let Some(pair) = self.find(&rule::path(key)) {
                    show(&pair.key, &pair.value);
                }
            }),
        }
    }

    /// The proof of what [`Sealed::get`] answers, for holders of [`Sealed::root`].
    pub fn prove(&self, key: &[u8]) -> Proof {
        self.trie.prove(&rule::path(key), self.source())
    }

    /// One proof of what [`Sealed::get`] answers for each of `keys`; fewer bytes than a proof for each.
    pub fn prove_many(&self, keys: &[&[u8]]) -> MultiProof {
        let mut paths: Vec<_> = keys.iter().map(|key| rule::path(key)).collect();
        paths.sort_unstable();
        paths.dedup();
        MultiProof { version: rule::VERSION, pieces: self.trie.prove_many(&paths, self.source()) }
    }

    /// The proof that certain pairs are all whose paths lie in `range`, which is not empty.
    pub fn prove_range(&self, range: &RangeInclusive<Hash>) -> RangeProof {
        RangeProof { version: rule::VERSION, pieces: self.trie.prove_range(range, self.source()) }
    }

    /// A write set over this state. Any number may grow from one state.
    pub fn child(&self) -> Overlay {
        Overlay::new(self.clone())
    }

    /// This state after `changes`.
    pub(crate) fn after(&self, changes: Changes) -> Self {
        let pair = |(key, value): (Vec<u8>, Option<Vec<u8>>)| {
            let path = rule::path(&key);
            (path, value.map(|value| Arc::new(Pair { key: key.into(), value: value.into() })))
        };
        let mut sorted: Vec<(Hash, Option<Arc<Pair>>)> = changes.into_iter().map(pair).collect();
        sorted.sort_unstable_by_key(|(path, _)| *path);
        let change = |(path, pair): &(Hash, Option<Arc<Pair>>)| pair.as_ref().map_or_else(|| Change::delete(*path), |pair| Change::of(*path, Arc::clone(pair)));
        let changes: Vec<Change> = sorted.iter().map(change).collect();
        match &self.place {
            Place::Memory => Self { trie: self.trie.apply(&changes, &Whole, 0).0, place: Place::Memory },
            #[cfg(feature = "disk")]
            Place::Disk(place) => {
                let age = place.now();
                let (trie, replaced) = self.trie.apply(&changes, place, age);
                let changed = sorted.into_iter().zip(replaced).map(|((path, new), old)| Changed { path, old, new });
                let changed = changed.filter(|changed| changed.old != changed.new).collect();
                Self { place: Place::Disk(place.above(changed, age)), trie }
            }
        }
    }

    #[cfg(feature = "disk")]
    pub(crate) fn trie(&self) -> &Trie {
        &self.trie
    }

    #[cfg(feature = "disk")]
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.root())
    }
}
