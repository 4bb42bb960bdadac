//! A state that comes from elsewhere, chunk by chunk, into an empty directory.
//!
//! The paths are divided into [`REGIONS`] by their first byte. Each is filled from its beginning to its end; chunks of different regions may come in any
//! order and from anybody. Each chunk is checked against the root before anything of it is written. Rows and how far they go are flushed together, so after a
//! crash the import continues from there. Nothing is a store before all of it is there and has the root.

use std::ops::RangeInclusive;
use std::path::Path;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;
use primitives::encoding::{decode, encode};
use rocksdb::WriteBatch;

use super::crash_point::{Point, pass};
use super::database::{BUCKETS, Commit, Database, Family, Mark};
use super::directory::OpenError;
use super::records::Record;
use crate::chunk::{Chunk, successor};
use crate::pair::Pair;
use crate::rule::{self, StateRoot};
use crate::trie::{Span, Trie};

/// Parts that are filled independently.
pub const REGIONS: usize = BUCKETS;
/// Bytes of pairs between two flushes: what a crash costs at most. Tests have many.
const FLUSH_BYTES: usize = if cfg!(test) { 4 << 10 } else { 32 << 20 };

/// How far an import is.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub(crate) struct Progress {
    /// The state that comes.
    pub target: StateRoot,
    /// For each region the first path that is not here yet; `None` if all are.
    next: Vec<Option<Hash>>,
}

const PROGRESS_BYTES: usize = 48 + REGIONS * 33;

/// A state on its way into a directory.
pub struct Import {
    database: Database,
    progress: Progress,
    /// Bytes since the last flush.
    behind: usize,
}

/// Why a chunk was not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It does not begin where its region goes on, or goes beyond it: it came twice, or was not asked for.
    #[error("the chunk does not begin where its region goes on")]
    Misplaced,
    /// It is not what the state holds there: who sent it lies.
    #[error("the chunk is not what the state of root {root} holds there")]
    False {
        /// What it was checked against.
        root: StateRoot,
    },
    /// Chunks are missing.
    #[error("{missing} of {REGIONS} regions are not complete")]
    Incomplete {
        /// How many.
        missing: usize,
    },
    /// What was written is not what is there now.
    #[error("the pairs on disk have root {computed}, not {target}, though each was checked: look at the disk, empty the directory, and begin again")]
    Damaged {
        /// What was to come.
        target: StateRoot,
        /// What is there.
        computed: StateRoot,
    },
}

/// The paths of each region.
fn regions() -> impl Iterator<Item = RangeInclusive<Hash>> {
    (0..=u8::MAX).map(|byte| rule::paths(byte, byte))
}

impl Import {
    /// Begins or continues the import of the state of `target`, of `chain`, into the directory `path`. What was there of another state goes.
    ///
    /// # Errors
    /// [`OpenError`] if the directory cannot be used, or holds a state already.
    pub fn open(path: &Path, chain: Hash, target: StateRoot) -> Result<Self, OpenError> {
        let database = Database::open(path, chain)?;
        let damaged = |cause: String| OpenError::Damaged { path: path.to_owned(), cause };
        if database.frozen().commit(Mark::Head).map_err(damaged)?.is_some() {
            return Err(OpenError::Occupied { path: path.to_owned() });
        }
        let kept = progress(&database).map_err(damaged)?;
        let is_of_another = kept.as_ref().is_some_and(|kept| kept.target != target);
        if is_of_another {
            database.clear();
        }
        let begin = || Progress { target, next: regions().map(|region| Some(*region.start())).collect() };
        let progress = kept.filter(|kept| !is_of_another && kept.next.len() == REGIONS).unwrap_or_else(begin);
        let import = Self { database, progress, behind: 0 };
        let mut batch = WriteBatch::default();
        import.stage_progress(&mut batch);
        import.database.write(batch);
        Ok(import)
    }

    /// The state that comes.
    pub fn target(&self) -> StateRoot {
        self.progress.target
    }

    /// What is missing of each region that is not complete.
    pub fn missing(&self) -> Vec<RangeInclusive<Hash>> {
        self.progress.next.iter().zip(regions()).filter_map(|(next, region)| next.map(|next| next..=*region.end())).collect()
    }

    /// Takes a chunk that begins at `from`.
    ///
    /// # Errors
    /// [`ImportError::Misplaced`] and [`ImportError::False`].
    pub fn take(&mut self, from: &Hash, chunk: &Chunk) -> Result<(), ImportError> {
        let (number, region) = (usize::from(from.0[0]), rule::paths(from.0[0], from.0[0]));
        let is_next = self.progress.next.get(number) == Some(&Some(*from));
        if !is_next || chunk.last < *from || !region.contains(&chunk.last) {
            return Err(ImportError::Misplaced);
        }
        if !chunk.verify(&self.progress.target, from) {
            return Err(ImportError::False { root: self.progress.target });
        }
        self.progress.next[number] = successor(&chunk.last).filter(|next| region.contains(next));
        let mut batch = WriteBatch::default();
        for (key, value) in &chunk.pairs {
            self.database.stage(&mut batch, Family::Leaves, rule::path(key).as_bytes(), Some(Pair::new(key, value).row()));
            self.database.stage(&mut batch, Family::Keys, key, Some(&[]));
            self.behind += key.len() + value.len();
        }
        self.stage_progress(&mut batch);
        self.database.write_behind(batch);
        pass(Point::Taken);
        if self.behind >= FLUSH_BYTES {
            self.database.flush();
            pass(Point::Imported);
            self.behind = 0;
        }
        Ok(())
    }

    /// Makes a store of what is here, with `records` beside it: when the import is dropped the directory can be opened as one.
    ///
    /// # Errors
    /// [`ImportError::Incomplete`] and [`ImportError::Damaged`].
    pub fn finish(&mut self, records: Vec<Record>) -> Result<(), ImportError> {
        let missing = self.progress.next.iter().flatten().count();
        if missing > 0 {
            return Err(ImportError::Incomplete { missing });
        }
        // What a log does not have must be on disk before the commit says that it is.
        self.database.flush();
        let mut tops: Vec<Span> = Vec::new();
        for region in regions() {
            let leaves: Vec<Span> = self.database.leaves(&region).iter().map(|(path, pair)| Span::of_leaf(path, pair)).collect();
            Trie::from_tops(&leaves).unwrap_or_default().each_top(|top| tops.push(*top));
        }
        let trie = Trie::from_tops(&tops).unwrap_or_default();
        let target = self.progress.target;
        if trie.root() != target {
            return Err(ImportError::Damaged { target, computed: trie.root() });
        }
        let commit = Commit { sequence: 1, root: target, journal_bytes: 0 };
        let mut batch = WriteBatch::default();
        self.database.stage_tops(&mut batch, &trie);
        for mark in [Mark::Head, Mark::Tops] {
            self.database.stage_commit(&mut batch, mark, &commit);
        }
        self.database.stage_root(&mut batch, &commit);
        self.database.stage_records(&mut batch, &records);
        self.database.stage(&mut batch, Family::Meta, PROGRESS, None);
        pass(Point::Finish);
        self.database.write(batch);
        pass(Point::Finished);
        Ok(())
    }

    fn stage_progress(&self, batch: &mut WriteBatch) {
        self.database.stage(batch, Family::Meta, PROGRESS, Some(&encode(&self.progress)));
    }
}

/// Where the progress is.
const PROGRESS: &[u8] = b"import";

/// How far the import into this database is; `None` if there is none.
pub(crate) fn progress(database: &Database) -> Result<Option<Progress>, String> {
    let bytes = database.get(Family::Meta, PROGRESS);
    bytes.map(|bytes| decode(&bytes, PROGRESS_BYTES).map_err(|error| format!("the progress of its import is {error}"))).transpose()
}
