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
use crate::trie::{Change, Leaf, Pair, Trie};

/// What an overlay did: the new value of a key, or `None` where it was deleted.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An immutable state. Cloning copies pointers; clones may be read from any thread at the same time.
///
/// It stays readable, exactly as it was sealed, until its last clone is dropped: also when another branch has been committed meanwhile.
#[derive(Clone)]
pub struct Sealed {
    trie: Trie,
    values: Values,
}

/// Where the values of a state are.
#[derive(Clone)]
pub(crate) enum Values {
    /// In the leaves of the trie: a state without a disk.
    Leaves,
    /// On the disk, under the changes that are not committed yet.
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
        Sealed { trie: Trie::default(), values: Values::Leaves }
    }
}

impl Sealed {
    #[cfg(feature = "disk")]
    pub(crate) fn on_disk(trie: Trie, place: crate::disk::layer::Place) -> Self {
        Self { trie, values: Values::Disk(place) }
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
        match &self.values {
            Values::Leaves => self.trie.find(&rule::path(key)).map(|leaf| pair_of(leaf).value.to_vec()),
            #[cfg(feature = "disk")]
            Values::Disk(place) => place.get(key),
        }
    }

    /// Shows every pair whose key starts with `prefix`, by key. As [`Sealed::get`] it sees this state and nothing later, however long it takes.
    pub fn scan(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) {
        match &self.values {
            Values::Leaves => {
                let mut pairs: Vec<_> = self.trie.leaves().into_iter().map(pair_of).filter(|pair| pair.key.starts_with(prefix)).collect();
                pairs.sort_unstable_by(|one, other| one.key.cmp(&other.key));
                pairs.into_iter().for_each(|pair| show(&pair.key, &pair.value));
            }
            #[cfg(feature = "disk")]
            Values::Disk(place) => place.scan(prefix, show),
        }
    }

    /// The proof of what [`Sealed::get`] answers, for holders of [`Sealed::root`].
    pub fn prove(&self, key: &[u8]) -> Proof {
        self.trie.prove(&rule::path(key))
    }

    /// One proof of what [`Sealed::get`] answers for each of `keys`; fewer bytes than a proof for each.
    pub fn prove_many(&self, keys: &[&[u8]]) -> MultiProof {
        let mut paths: Vec<_> = keys.iter().map(|key| rule::path(key)).collect();
        paths.sort_unstable();
        paths.dedup();
        MultiProof { version: rule::VERSION, pieces: self.trie.prove_many(&paths) }
    }

    /// The proof that certain pairs are all whose paths lie in `range`, which is not empty.
    pub fn prove_range(&self, range: &RangeInclusive<Hash>) -> RangeProof {
        RangeProof { version: rule::VERSION, pieces: self.trie.prove_range(range) }
    }

    /// A write set over this state. Any number may grow from one state.
    pub fn child(&self) -> Overlay {
        Overlay::new(self.clone())
    }

    /// This state after `changes`.
    pub(crate) fn after(&self, changes: Changes) -> Self {
        let is_in_leaves = matches!(self.values, Values::Leaves);
        let mut sorted: Vec<_> = changes.iter().map(|(key, value)| (rule::path(key), key, value)).collect();
        sorted.sort_unstable_by_key(|(path, _, _)| *path);
        let pair = |key: &[u8], value: &[u8]| Arc::new(Pair { key: key.into(), value: value.into() });
        let change = |(path, key, value): (_, &Vec<u8>, &Option<Vec<u8>>)| match value {
            Some(value) => Change::put(path, rule::digest(value), is_in_leaves.then(|| pair(key, value))),
            None => Change::delete(path),
        };
        let trie = self.trie.apply(&sorted.into_iter().map(change).collect::<Vec<_>>());
        let values = match &self.values {
            Values::Leaves => Values::Leaves,
            #[cfg(feature = "disk")]
            Values::Disk(place) => Values::Disk(place.above(changes)),
        };
        Self { trie, values }
    }

    #[cfg(feature = "disk")]
    pub(crate) fn trie(&self) -> &Trie {
        &self.trie
    }

    #[cfg(feature = "disk")]
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }
}

fn pair_of(leaf: &Leaf) -> &Pair {
    leaf.pair().expect("leaves of a memory state hold their pairs")
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.root())
    }
}
