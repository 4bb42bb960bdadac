//! A finished state that never changes: its root, its values, its proofs. Every undecided block has one, over its parent's.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use primitives::Hash;

use crate::overlay::Overlay;
use crate::pair;
#[cfg(feature = "disk")]
use crate::pair::Pair;
use crate::proof::Proof;
use crate::pruned::{MultiProof, RangeProof};
use crate::rule::{self, StateRoot};
use crate::trie::{Change, Found, Source, Trie, Whole};

/// What an overlay did, by path: in the order in which the tree takes it, and quicker to look up than by keys, each of which lies elsewhere in memory.
pub(crate) type Changes = BTreeMap<Hash, Written>;

/// What was done to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub key: Vec<u8>,
    /// Its new value; `None` if it was deleted.
    pub value: Option<Vec<u8>>,
}

/// What happened to one path: the pair that was there and the one that is, of which there is at least one.
#[cfg(feature = "disk")]
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub path: Hash,
    pub old: Option<Pair>,
    pub new: Option<Pair>,
}

#[cfg(feature = "disk")]
impl Changed {
    /// The key.
    pub fn key(&self) -> &[u8] {
        self.old.as_ref().or(self.new.as_ref()).map_or(&[], Pair::key)
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
        self.at(&rule::path(key))
    }

    /// The value of the key with this path.
    pub(crate) fn at(&self, path: &Hash) -> Option<Vec<u8>> {
        match self.trie.find(path) {
            Found::Nothing => None,
            Found::Value(value) => Some(value.to_vec()),
            Found::Stub => match &self.place {
                Place::Memory => None,
                #[cfg(feature = "disk")]
                Place::Disk(place) => place.pair(path).map(|pair| pair.value().to_vec()),
            },
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
        self.scan_while(prefix, |key, value| {
            show(key, value);
            true
        });
    }

    /// The same, until `show` has enough.
    pub fn scan_while(&self, prefix: &[u8], show: impl FnMut(&[u8], &[u8]) -> bool) {
        self.scan_from(prefix, prefix, show);
    }

    /// The same from the first such key on that is not below `from`: a page of a long list.
    pub fn scan_from(&self, prefix: &[u8], from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) {
        match &self.place {
            Place::Memory => {
                let mut rows: Vec<&[u8]> = Vec::new();
                let is_wanted = |key: &[u8]| key.starts_with(prefix) && key >= from;
                self.trie.each_row(|row| rows.extend(is_wanted(pair::key(row)).then_some(row)));
                rows.sort_unstable_by(|one, other| pair::key(one).cmp(pair::key(other)));
                let _ = rows.into_iter().all(|row| show(pair::key(row), pair::value(row)));
            }
            // The disk knows which keys there may be, the trie which there are.
            #[cfg(feature = "disk")]
            Place::Disk(place) => place.each_key(prefix, from, |key| self.get(key).is_none_or(|value| show(key, &value))),
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

    /// Shows path and row of every pair from `path` on, in the order of paths, until `show` has enough.
    pub(crate) fn each_from(&self, path: &Hash, show: impl FnMut(&Hash, &[u8]) -> bool) {
        self.trie.each_in(&(*path..=Hash([0xff; 32])), false, self.source(), show);
    }

    /// Key and value of the first pair after a path, or of the last one before it, under which there is none.
    #[cfg(feature = "ics23")]
    pub(crate) fn beside(&self, path: &Hash, is_after: bool) -> Option<(Vec<u8>, Vec<u8>)> {
        let range = if is_after { *path..=Hash([0xff; 32]) } else { Hash::ZERO..=*path };
        let mut beside = None;
        self.trie.each_in(&range, !is_after, self.source(), |_, row| {
            beside = Some((pair::key(row).to_vec(), pair::value(row).to_vec()));
            false
        });
        beside
    }

    /// A write set over this state. Any number may grow from one state.
    pub fn child(&self) -> Overlay {
        Overlay::new(self.clone())
    }

    /// This state after `changes`.
    pub(crate) fn after(&self, changes: &Changes) -> Self {
        let changes = Change::all(&changes.iter().collect::<Vec<_>>());
        match &self.place {
            Place::Memory => Self { trie: self.trie.apply(&changes, &Whole, 0).0, place: Place::Memory },
            #[cfg(feature = "disk")]
            Place::Disk(place) => {
                let age = place.now();
                let (trie, replaced) = self.trie.apply(&changes, place, age);
                let changed = changes.into_iter().zip(replaced).map(|(change, old)| Changed { path: *change.path(), old, new: change.into_pair() });
                let changed = changed.filter(|changed| changed.old != changed.new).collect();
                Self { place: Place::Disk(place.above(changed, trie.root(), age)), trie }
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
