//! The store of one chain: its committed state, the records beside it, and the one way to move on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use primitives::Hash;
use rocksdb::WriteBatch;

use super::database::{Database, Family};
use super::directory::OpenError;
use super::layer::{Place, Version};
use super::records::{self, Direction, Record};
use super::{lock, read, write};
use crate::rule::{self, StateRoot};
use crate::sealed::{Sealed, Values};
use crate::trie::{Change, Trie};

/// The open store of one chain. Share it by `Arc`; the directory is free again when the store and every state of it are dropped.
pub struct Store {
    database: Arc<Database>,
    head: RwLock<Head>,
    /// One commit at a time.
    writer: Mutex<()>,
}

#[derive(Clone)]
struct Head {
    version: Arc<Version>,
    sealed: Sealed,
}

impl Head {
    fn new(version: Arc<Version>, trie: Trie) -> Self {
        let sealed = Sealed::on_disk(trie, Place::Version(Arc::clone(&version)));
        Self { version, sealed }
    }
}

/// Why a state was not committed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The state did not grow from the committed one: it is of another branch, of the past, or of another store.
    #[error("the state {state} does not grow from the committed state {head}")]
    NotOnHead {
        /// Root of the state.
        state: StateRoot,
        /// Root of the committed state.
        head: StateRoot,
    },
}

/// What is wrong with the state on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The pairs do not have the recorded root.
    #[error("the values on disk have root {computed}, the last commit recorded {recorded}")]
    Root {
        /// What the last commit wrote.
        recorded: StateRoot,
        /// What the pairs have.
        computed: StateRoot,
    },
    /// The leaves are not those of the pairs.
    #[error("{wrong} of {leaves} leaves on disk are not those of the values")]
    Leaves {
        /// Number of leaves that are missing, superfluous or different.
        wrong: u64,
        /// Number of leaves recorded.
        leaves: u64,
    },
}

impl Store {
    /// Opens the store of `chain` (its genesis hash) in the directory `path`, which is made if missing.
    ///
    /// # Errors
    /// [`OpenError`] if the directory cannot be used, is in use, or holds something else: another chain, other files, a newer format, damage.
    pub fn open(path: &Path, chain: Hash) -> Result<Self, OpenError> {
        let database = Arc::new(Database::open(path, chain)?);
        let damaged = |cause| OpenError::Damaged { path: path.to_owned(), cause };
        let mut leaves = Vec::new();
        let recorded = {
            let frozen = database.frozen();
            frozen.each_leaf(|path, digest, _| leaves.push(Change::put(path, digest, None))).map_err(damaged)?;
            frozen.head().map_err(damaged)?
        };
        let trie = Trie::default().apply(&leaves);
        if trie.root() != recorded {
            return Err(OpenError::Inconsistent { path: path.to_owned(), recorded, computed: trie.root() });
        }
        let head = Head::new(Version::newest(Arc::clone(&database)), trie);
        Ok(Self { database, head: RwLock::new(head), writer: Mutex::new(()) })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// The committed state: empty before the first commit.
    pub fn head(&self) -> Sealed {
        read(&self.head).sealed.clone()
    }

    /// Makes `sealed` the head, together with `records` in one synced batch: on return both are on disk, and after a crash both are or neither is.
    ///
    /// States between the head and `sealed` need not have been committed. The head itself may be given: then only the records are written. Other states stay
    /// readable; those that did not grow from `sealed` can no longer be committed. A write that fails ends the process ([`crate::EXIT_DISK`]).
    ///
    /// # Errors
    /// [`CommitError::NotOnHead`] if `sealed` did not grow from the head.
    pub fn commit(&self, sealed: &Sealed, records: Vec<Record>) -> Result<(), CommitError> {
        let _writer = lock(&self.writer);
        let head = read(&self.head).clone();
        let refusal = CommitError::NotOnHead { state: sealed.root(), head: head.sealed.root() };
        let Values::Disk(place) = sealed.values() else { return Err(refusal) };
        let (layers, version) = place.pending();
        if !Arc::ptr_eq(&version, &head.version) {
            return Err(refusal);
        }
        let mut batch = self.stage(records);
        let Some(newest) = layers.first() else {
            self.database.write(batch);
            return Ok(());
        };
        let mut changes: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for layer in layers.iter().rev() {
            changes.extend(layer.changes().iter().map(|(key, value)| (key.as_slice(), value.as_deref())));
        }
        for (key, value) in &changes {
            let leaf = value.map(|value| [rule::digest(value).as_bytes(), *key].concat());
            self.database.stage(&mut batch, Family::Values, key, *value);
            self.database.stage(&mut batch, Family::Leaves, rule::path(key).as_bytes(), leaf.as_deref());
        }
        self.database.stage_head(&mut batch, &sealed.root());
        let next = version.succeed(&changes);
        self.database.write(batch);
        newest.became(Arc::clone(&next));
        *write(&self.head) = Head::new(next, sealed.trie().clone());
        Ok(())
    }

    /// Writes records without touching the state, all or nothing; on return they are on disk.
    pub fn write(&self, records: Vec<Record>) {
        self.database.write(self.stage(records));
    }

    fn stage(&self, records: Vec<Record>) -> WriteBatch {
        let mut batch = WriteBatch::default();
        for record in records {
            self.database.stage(&mut batch, Family::Records, &records::row(record.table, &record.key), record.value.as_deref());
        }
        batch
    }

    /// The record of `key` in `table`.
    pub fn record(&self, table: u8, key: &[u8]) -> Option<Vec<u8>> {
        self.database.get(Family::Records, &records::row(table, key))
    }

    /// Up to `limit` (key, value) of `table` whose keys start with `prefix`, in order of `direction`, beginning at `from`.
    ///
    /// To continue, give the last key as `Bound::Excluded`.
    pub fn records(&self, table: u8, prefix: &[u8], from: Bound<&[u8]>, direction: Direction, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (lower, upper) = records::range(table, prefix, from, direction);
        if upper.as_ref().is_some_and(|upper| *upper <= lower) {
            return Vec::new();
        }
        let rows = self.database.scan(Family::Records, lower, upper, direction == Direction::Forward, limit);
        rows.into_iter().map(|(row, value)| (row[1..].to_vec(), value.into_vec())).collect()
    }

    /// Recomputes the root from the values on disk by the fold of [`rule::root`] and compares it, and every leaf, with what the last commit recorded.
    ///
    /// Reads everything once (about a second per million pairs) at one moment of the store; commits may go on meanwhile.
    ///
    /// # Errors
    /// [`VerifyError`] if the disk does not hold the recorded state.
    pub fn verify(&self) -> Result<StateRoot, VerifyError> {
        let unreadable = |cause: String| -> ! { self.database.failed("verifying", &cause) };
        let frozen = self.database.frozen();
        let recorded = frozen.head().unwrap_or_else(|cause| unreadable(cause));
        let mut pairs = Vec::new();
        frozen.each_value(|key, value| pairs.push((rule::path(key), rule::digest(value)))).unwrap_or_else(|cause| unreadable(cause));
        pairs.sort_unstable();
        let computed = StateRoot { root: rule::root(&pairs), leaves: pairs.len() as u64 };
        if computed != recorded {
            return Err(VerifyError::Root { recorded, computed });
        }
        let (mut wrong, mut expected) = (0, pairs.iter());
        frozen
            .each_leaf(|path, digest, key| wrong += u64::from(expected.next() != Some(&(path, digest)) || rule::path(key) != path))
            .unwrap_or_else(|cause| unreadable(cause));
        wrong += expected.len() as u64;
        if wrong > 0 { Err(VerifyError::Leaves { wrong, leaves: recorded.leaves }) } else { Ok(recorded) }
    }
}
