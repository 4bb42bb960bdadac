//! The store of one chain: its committed state, the records beside it, and the one way to move on.
//!
//! A commit writes one batch, synced: what it changed as an entry of the [`journal`], the records, the head. That is all a block waits for. A thread of the
//! store brings the rows to where they are read from, without a log of its own: if they are lost, the journal has them. From time to time they are flushed
//! together with the *tops* of the trie, so that the next start reads these, and of the journal only what came after.

use std::ops::{Bound, RangeInclusive};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use primitives::Hash;
use rocksdb::WriteBatch;

use super::crash_point::{Point, pass};
use super::database::{Commit, Database, Family, Mark};
use super::directory::OpenError;
use super::layer::{Layer, Place, Shared, Version};
use super::records::{self, Direction, Record};
use super::{import, journal, lock, read, write};
use crate::rule::{self, StateRoot};
use crate::sealed::{self, Changed, Sealed};
use crate::trie::{Change, Trie};

/// Commits that may wait for their rows; the next one waits with them.
const COMMITS_BEHIND_MAX: usize = 8;
/// Bytes of journal between two flushes, if the tops are small. Tests have many.
const FLUSH_BYTES: u64 = if cfg!(test) { 4 << 10 } else { 64 << 20 };
/// Bytes of journal for each leaf, if there are many: a leaf has a share of about seven bytes in the tops, which should be the smaller part of what is written.
const FLUSH_BYTES_PER_LEAF: u64 = 64;
/// And never more: a start after a crash reads it all.
const FLUSH_BYTES_MAX: u64 = 256 << 20;
/// The part of its cache that a store takes besides for rows on their way to disk: then they are brought there, if that is not done before.
const RUN_SHARE: u64 = 8;
/// But not less: each time a table is made.
const RUN_BYTES_MIN: u64 = if cfg!(test) { 2 << 10 } else { 16 << 20 };
/// And not more: a start after a crash has them all in memory.
const RUN_BYTES_MAX: u64 = if cfg!(test) { 4 << 10 } else { 256 << 20 };
/// Room in a commit's batch beside the journal; records may take more.
const BATCH_BYTES: usize = 4 << 10;
/// Rows that join the run while readers wait.
const ROWS_AT_ONCE: usize = 1000;
/// The part of a machine's memory that its stores may use together.
const MEMORY_SHARE: u64 = 8;
/// What a container's memory is limited to, in the second and in the first version of control groups; they hold `max`, or more than there is, without a limit.
const MEMORY_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
/// A store with less would do little but read again what it forgot.
const CACHE_BYTES_MIN: u64 = 16 << 20;
/// States of the past that can be looked at, if nobody says how many.
const HISTORY: u64 = 10_000;
/// And what they may take on disk.
const HISTORY_BYTES: u64 = 1 << 30;
/// Parts in which the trie is looked through for what can be let go.
const SWEEP_PARTS: u8 = 64;
/// The part of its budget by which the trie may be larger while it is looked through.
const EXCESS_SHARE: u64 = 8;

/// How much a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Memory for the trie's buckets and the pairs in them; what was used last stays. Where they lie takes some 22 bytes a pair more, rows on their way to disk
    /// up to an eighth of it (at least 16 MiB when so much was changed), RocksDB up to some 100 MiB.
    pub cache_bytes: u64,
    /// States of the past that can be looked at.
    pub history: u64,
    /// What may be kept on disk for that: then there are fewer.
    pub history_bytes: u64,
}

impl Default for Tuning {
    /// For the only store of a machine: it may use an eighth of the memory.
    fn default() -> Self {
        Self::shared_by(1)
    }
}

impl Tuning {
    /// For one of so many stores on one machine, which together may use an eighth of the memory.
    pub fn shared_by(stores: u64) -> Self {
        let cache_bytes = (memory() / MEMORY_SHARE / stores.max(1)).max(CACHE_BYTES_MIN);
        Self { cache_bytes, history: HISTORY, history_bytes: HISTORY_BYTES }
    }
}

/// Bytes of memory of the machine, or of the container that this process is in.
fn memory() -> u64 {
    let system = rustix::system::sysinfo();
    let machine = u64::from(system.mem_unit).saturating_mul(system.totalram);
    MEMORY_LIMITS.iter().filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok()).fold(machine, u64::min)
}

/// The open store of one chain. Share it by `Arc`; the directory is free again when the store and every state of it are dropped.
pub struct Store {
    pub(super) shared: Arc<Shared>,
    tuning: Tuning,
    pub(super) head: RwLock<Head>,
    /// One commit at a time.
    writer: Mutex<Writer>,
    applier: Option<JoinHandle<()>>,
}

#[derive(Clone)]
pub(super) struct Head {
    pub sequence: u64,
    version: Arc<Version>,
    pub sealed: Sealed,
}

impl Head {
    fn new(sequence: u64, version: Arc<Version>, layer: Option<Arc<Layer>>, trie: Trie) -> Self {
        let sealed = Sealed::on_disk(trie, Place::new(Arc::clone(&version), layer));
        Self { sequence, version, sealed }
    }
}

struct Writer {
    last: Commit,
    /// The one whose tops were flushed last, or will be by a job that was given.
    flushed: Commit,
    /// To the thread that brings rows; none once the store ends.
    jobs: Option<SyncSender<Job>>,
    sweep: Sweep,
}

/// What the thread of a store does.
enum Job {
    /// Brings the rows of a commit, which made this layer, and lets go of the head before: that takes time too.
    Apply(Arc<Layer>, Arc<Vec<Changed>>, Head),
    /// Flushes rows and these tops, and forgets what the journal need not keep any more.
    Flush(Commit, Trie),
    /// Brings all rows to disk, and says when it has.
    Empty(SyncSender<()>),
}

/// A hand that goes round the trie and lets go of what was not touched since it was here last.
struct Sweep {
    part: u8,
    /// When the present round began, and the one before it.
    began: u64,
    before: u64,
}

fn change(changed: &Changed) -> Change {
    changed.new.as_ref().map_or_else(|| Change::delete(changed.path), |pair| Change::put(changed.path, pair.clone()))
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
    /// The keys are not those of the pairs, or pairs are not where their keys' paths are.
    #[error("{wrong} of {leaves} keys on disk are not those of the values")]
    Keys {
        /// Number of keys that are missing, superfluous or different.
        wrong: u64,
        /// Number of pairs recorded.
        leaves: u64,
    },
}

impl Store {
    /// Opens the store of `chain` (its genesis hash) in the directory `path`, which is made if missing.
    ///
    /// # Errors
    /// [`OpenError`] if the directory cannot be used, is in use, or holds something else: another chain, other files, a newer format, damage.
    pub fn open(path: &Path, chain: Hash) -> Result<Self, OpenError> {
        Self::open_with(path, chain, Tuning::default())
    }

    /// [`Store::open`] with another tuning than the default.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(path: &Path, chain: Hash, tuning: Tuning) -> Result<Self, OpenError> {
        let database = Database::open(path, chain)?;
        if let Some(progress) = import::progress(&database).map_err(|cause| OpenError::Damaged { path: path.to_owned(), cause })? {
            return Err(OpenError::Unfinished { path: path.to_owned(), target: progress.target });
        }
        let shared = Shared::new(database);
        let (recorded, flushed, trie, version) = restore(&shared, tuning.cache_bytes).map_err(|cause| OpenError::Damaged { path: path.to_owned(), cause })?;
        if trie.root() != recorded.root {
            return Err(OpenError::Inconsistent { path: path.to_owned(), recorded: recorded.root, computed: trie.root() });
        }
        let (give, jobs) = sync_channel(COMMITS_BEHIND_MAX);
        let applier = std::thread::Builder::new().name("state".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || work(&shared, &tuning, &jobs)
        });
        let applier = applier.map_err(|cause| OpenError::Unreadable { path: path.to_owned(), cause })?;
        let writer = Writer { last: recorded, flushed, jobs: Some(give), sweep: Sweep { part: 0, began: 0, before: 0 } };
        Ok(Self { shared, tuning, head: RwLock::new(Head::new(recorded.sequence, version, None, trie)), writer: Mutex::new(writer), applier: Some(applier) })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.shared.database.path()
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
        let mut writer = lock(&self.writer);
        let head = read(&self.head).clone();
        let refusal = CommitError::NotOnHead { state: sealed.root(), head: head.sealed.root() };
        let sealed::Place::Disk(place) = sealed.place() else { return Err(refusal) };
        let (layers, version) = place.pending();
        if !Arc::ptr_eq(&version, &head.version) {
            return Err(refusal);
        }
        let Some(newest) = layers.first() else {
            self.write(records);
            return Ok(());
        };
        let before = writer.last;
        let mut commit = before;
        let entries: Vec<(Commit, Vec<u8>)> = layers
            .iter()
            .rev()
            .map(|layer| {
                let entry = journal::entry(layer.changed());
                commit = Commit { sequence: commit.sequence + 1, root: layer.root(), journal_bytes: commit.journal_bytes + entry.len() as u64 };
                (commit, entry)
            })
            .collect();
        // Large enough for the journal from the first on: it would be copied each time that it grows.
        let mut batch = WriteBatch::with_capacity_bytes(entries.iter().map(|(_, entry)| entry.len()).sum::<usize>() + BATCH_BYTES);
        self.shared.database.stage_records(&mut batch, &records);
        // The first of all has one before it to go back to.
        if before == Commit::NONE {
            self.shared.database.stage_root(&mut batch, &before);
        }
        for (commit, entry) in &entries {
            self.shared.database.stage_entry(&mut batch, commit, entry);
        }
        self.shared.database.stage_commit(&mut batch, Mark::Head, &commit);
        let changed = merged(&layers);
        let next = version.succeed(Arc::clone(&changed));
        pass(Point::Commit);
        self.shared.database.write(batch);
        pass(Point::Committed);
        writer.last = commit;
        newest.became(Arc::clone(&next));
        let trie = writer.sweep.keep(sealed.trie(), self.tuning.cache_bytes, &self.shared);
        *write(&self.head) = Head::new(commit.sequence, next, Some(Arc::clone(newest)), trie.clone());
        self.give(&writer, Job::Apply(Arc::clone(newest), changed, head));
        let is_due = FLUSH_BYTES.max(commit.root.leaves.saturating_mul(FLUSH_BYTES_PER_LEAF)).min(FLUSH_BYTES_MAX);
        if commit.journal_bytes - writer.flushed.journal_bytes >= is_due {
            writer.flushed = commit;
            self.give(&writer, Job::Flush(commit, trie));
        }
        Ok(())
    }

    /// Gives the thread work, and waits if it has too much already.
    fn give(&self, writer: &Writer, job: Job) {
        let is_taken = writer.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !is_taken {
            self.shared.database.failed("writing to", &"the thread that brings rows has ended");
        }
    }

    /// Writes records without touching the state, all or nothing; on return they are on disk.
    pub fn write(&self, records: Vec<Record>) {
        let mut batch = WriteBatch::default();
        self.shared.database.stage_records(&mut batch, &records);
        self.shared.database.write(batch);
    }

    /// The record of `key` in `table`.
    pub fn record(&self, table: u8, key: &[u8]) -> Option<Vec<u8>> {
        self.shared.database.get(Family::Records, &records::row(table, key))
    }

    /// Up to `limit` (key, value) of `table` whose keys start with `prefix`, in order of `direction`, beginning at `from`.
    ///
    /// To continue, give the last key as `Bound::Excluded`.
    pub fn records(&self, table: u8, prefix: &[u8], from: Bound<&[u8]>, direction: Direction, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (lower, upper) = records::range(table, prefix, from, direction);
        if upper.as_ref().is_some_and(|upper| *upper <= lower) {
            return Vec::new();
        }
        let rows = self.shared.database.scan(Family::Records, lower, upper, direction == Direction::Forward, limit);
        rows.into_iter().map(|(row, value)| (row[1..].to_vec(), value.into_vec())).collect()
    }

    /// Recomputes the root from the pairs on disk by the fold of [`rule::root`], compares it with what the last commit recorded, and the keys with the pairs.
    ///
    /// Reads everything once (two or three seconds per million pairs on two cores) at one moment of the store; commits may go on meanwhile.
    ///
    /// # Errors
    /// [`VerifyError`] if the disk does not hold the recorded state.
    pub fn verify(&self) -> Result<StateRoot, VerifyError> {
        let database = &self.shared.database;
        let unreadable = |cause: String| -> ! { database.failed("verifying", &cause) };
        let frozen = {
            let writer = lock(&self.writer);
            let (done, wait) = sync_channel(1);
            self.give(&writer, Job::Empty(done));
            wait.recv().unwrap_or_else(|error| database.failed("verifying", &error));
            database.frozen()
        };
        let recorded = frozen.commit(Mark::Head).unwrap_or_else(|cause| unreadable(cause)).unwrap_or(Commit::NONE).root;
        let (mut leaves, mut keys, mut wrong) = (Vec::new(), Vec::new(), 0);
        frozen
            .each_leaf(|path, pair| {
                leaves.push((path, rule::digest(pair.value())));
                wrong += u64::from(rule::path(pair.key()) != path);
                keys.push(pair);
            })
            .unwrap_or_else(|cause| unreadable(cause));
        let computed = StateRoot { root: rule::root(&leaves), leaves: leaves.len() as u64 };
        if computed != recorded {
            return Err(VerifyError::Root { recorded, computed });
        }
        keys.sort_unstable_by(|one, other| one.key().cmp(other.key()));
        let mut expected = keys.iter();
        frozen.each_key(|key| wrong += u64::from(expected.next().is_none_or(|expected| expected.key() != key))).unwrap_or_else(|cause| unreadable(cause));
        wrong += expected.len() as u64;
        if wrong > 0 { Err(VerifyError::Keys { wrong, leaves: recorded.leaves }) } else { Ok(recorded) }
    }
}

/// The thread ends when it has brought what was committed, and flushed it: the next start has nothing to do again.
impl Drop for Store {
    fn drop(&mut self) {
        let mut writer = lock(&self.writer);
        let jobs = writer.jobs.take().filter(|_| writer.last.sequence > writer.flushed.sequence);
        // If the thread panicked, the journal has what it left undone.
        let _ = jobs.map(|jobs| jobs.send(Job::Flush(writer.last, read(&self.head).sealed.trie().clone())));
        drop(writer);
        let _ = self.applier.take().map(JoinHandle::join);
    }
}

/// What several layers changed together, by path; the newest is first.
fn merged(layers: &[Arc<Layer>]) -> Arc<Vec<Changed>> {
    if let [only] = layers {
        return Arc::clone(only.changed());
    }
    let mut all = std::collections::BTreeMap::new();
    for changed in layers.iter().rev().flat_map(|layer| layer.changed().iter()) {
        all.entry(changed.path).and_modify(|earlier: &mut Changed| earlier.new.clone_from(&changed.new)).or_insert_with(|| changed.clone());
    }
    Arc::new(all.into_values().filter(|changed| changed.old != changed.new).collect())
}

impl Sweep {
    /// The trie, without buckets that were not touched lately if it is larger than it may be. One part of it is looked through at a time; if it is far too
    /// large, as many as it takes, and then it does not matter when they were touched.
    fn keep(&mut self, trie: &Trie, bytes_max: u64, shared: &Shared) -> Trie {
        let mut trie = trie.clone();
        // What was not brought yet cannot be read again.
        let brought = shared.applied().saturating_add(1);
        if trie.bytes() > bytes_max {
            let part = self.advance(shared);
            trie = trie.evict(&part, self.before.max(1).min(brought));
        }
        for _ in 1..SWEEP_PARTS {
            if trie.bytes() <= bytes_max.saturating_add(bytes_max / EXCESS_SHARE) {
                break;
            }
            let part = self.advance(shared);
            trie = trie.evict(&part, brought);
        }
        trie
    }

    /// The paths of the next part.
    fn advance(&mut self, shared: &Shared) -> RangeInclusive<Hash> {
        if self.part == 0 {
            (self.before, self.began) = (self.began, shared.now());
        }
        let width = u8::MAX / SWEEP_PARTS + 1;
        let first = self.part * width;
        self.part = (self.part + 1) % SWEEP_PARTS;
        rule::paths(first, first + (width - 1))
    }
}

/// The thread of a store.
fn work(shared: &Shared, tuning: &Tuning, jobs: &Receiver<Job>) {
    for job in jobs {
        match job {
            Job::Apply(layer, changed, before) => {
                pass(Point::Rows);
                bring(shared, &changed, tuning.cache_bytes);
                pass(Point::Brought);
                layer.was_applied(shared);
                drop(before);
            }
            Job::Flush(commit, trie) => flush(shared, tuning, &commit, &trie),
            Job::Empty(done) => {
                empty_run(shared);
                let _ = done.send(());
            }
        }
    }
}

fn flush(shared: &Shared, tuning: &Tuning, commit: &Commit, trie: &Trie) {
    let database = &shared.database;
    empty_run(shared);
    let mut batch = WriteBatch::default();
    database.stage_tops(&mut batch, trie);
    database.stage_commit(&mut batch, Mark::Tops, commit);
    database.write_behind(batch);
    pass(Point::Tops);
    database.flush();
    pass(Point::Flushed);
    let ends = database.commits().into_iter().map(|commit| (commit.sequence, commit.journal_bytes)).collect();
    database.forget_before(journal::first_kept(commit.sequence, tuning.history, tuning.history_bytes, &ends));
    pass(Point::Forgotten);
}

/// Brings the rows of a commit: leaves to the run, keys that are new or gone to the database.
fn bring(shared: &Shared, changed: &[Changed], cache_bytes: u64) {
    let mut keys = WriteBatch::default();
    for Changed { old, new, .. } in changed {
        match (old, new) {
            (None, Some(pair)) => shared.database.stage(&mut keys, Family::Keys, pair.key(), Some(&[])),
            (Some(pair), None) => shared.database.stage(&mut keys, Family::Keys, pair.key(), None),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    if !keys.is_empty() {
        shared.database.write_behind(keys);
    }
    for changed in changed.chunks(ROWS_AT_ONCE) {
        let mut run = write(&shared.run);
        changed.iter().for_each(|changed| run.put(changed.path, changed.new.clone()));
    }
    if read(&shared.run).bytes() >= (cache_bytes / RUN_SHARE).clamp(RUN_BYTES_MIN, RUN_BYTES_MAX) {
        empty_run(shared);
    }
}

/// Brings the rows of the run to disk.
fn empty_run(shared: &Shared) {
    shared.database.bring_leaves(read(&shared.run).rows());
    pass(Point::Table);
    // They can be read from disk before they leave the run; readers do not wait until all are dropped.
    let emptied = std::mem::take(&mut *write(&shared.run));
    drop(emptied);
}

/// The last commit, the one whose tops were flushed, the trie and the version of the last: from the tops, and what the journal has after them. Brings the
/// rows of these again, whether they were lost or not.
fn restore(shared: &Arc<Shared>, cache_bytes: u64) -> Result<(Commit, Commit, Trie, Arc<Version>), String> {
    let frozen = shared.database.frozen();
    let recorded = |what| Ok::<_, String>(frozen.commit(what)?.unwrap_or(Commit::NONE));
    let (head, tops) = (recorded(Mark::Head)?, recorded(Mark::Tops)?);
    if tops.sequence > head.sequence {
        return Err(format!("its head is commit {}, its tops are of {}", head.sequence, tops.sequence));
    }
    let mut trie = if tops.sequence == 0 { Trie::default() } else { Trie::from_tops(&frozen.tops()?).ok_or("its tops are not in order")? };
    if trie.root() != tops.root {
        return Err(format!("its tops have root {}, their record says {}", trie.root(), tops.root));
    }
    let mut version = Version::newest(Arc::clone(shared));
    let oldest = Arc::clone(&version);
    let mut entries = Vec::new();
    for sequence in tops.sequence + 1..=head.sequence {
        let bytes = frozen.entry(sequence)?.ok_or_else(|| format!("commit {sequence} is not in its journal"))?;
        let commit = frozen.committed(sequence)?.ok_or_else(|| format!("commit {sequence} is not recorded"))?;
        let changed = Arc::new(journal::changed(&bytes, sequence)?);
        version = version.succeed(Arc::clone(&changed));
        entries.push((commit, changed));
    }
    // Each step reads from a version, for the rows may be newer than the tops.
    let mut at = oldest;
    for (commit, changed) in &entries {
        let changes: Vec<Change> = changed.iter().map(change).collect();
        (trie, _) = trie.apply(&changes, &Place::new(Arc::clone(&at), None), 0);
        if trie.root() != commit.root {
            return Err(format!("commit {} makes {}, its record says {}", commit.sequence, trie.root(), commit.root));
        }
        at = at.following().unwrap_or(at);
        bring(shared, changed, cache_bytes);
        if trie.bytes() > cache_bytes {
            trie = trie.evict(&rule::paths(0, u8::MAX), 1);
        }
    }
    Ok((head, tops, trie, version))
}
