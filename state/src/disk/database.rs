//! RocksDB as we use it: six column families, small memory, one synced write for each commit, and an end to the process when the disk fails.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Hash, encoding};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Direction, FlushOptions, IngestExternalFileOptions,
    IteratorMode, LogLevel, Options, ReadOptions, Snapshot, SstFileWriter, WriteBatch, WriteOptions,
};

use super::directory::{self, OpenError};
use super::records::{self, Record, after_prefix};
use crate::overlay::KEY_BYTES_MAX;
use crate::pair::Pair;
use crate::rule::StateRoot;
use crate::trie::{Span, Trie};

/// Exit code of a process that its disk failed: `EX_IOERR` of sysexits.h.
pub const EXIT_DISK: i32 = 74;

/// Ends the process with [`EXIT_DISK`] because the disk did not do what a committed block needs. `action` says what was tried.
///
/// Going on would mean to vote, answer or build upon a state that may not be there after the next start. What is on disk is a committed state, so the next
/// start continues from it.
pub fn disk_failed(action: &str, cause: &dyn fmt::Display) -> ! {
    // If even standard error is gone there is nobody left to tell.
    let _ = writeln!(
        io::stderr(),
        "error: {action} failed: {cause}\nThe disk must be looked at (space, health, rights). The last committed block is safe; start again after that."
    );
    std::process::exit(EXIT_DISK)
}

/// What the column families are for: see the layout in the parent module.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    Leaves,
    Keys,
    Journal,
    Tops,
    Records,
    Meta,
}

impl Family {
    const ALL: [Self; 6] = [Self::Leaves, Self::Keys, Self::Journal, Self::Tops, Self::Records, Self::Meta];

    fn name(self) -> &'static str {
        match self {
            Self::Leaves => "leaves",
            Self::Keys => "keys",
            Self::Journal => "journal",
            Self::Tops => "tops",
            Self::Records => "records",
            Self::Meta => "meta",
        }
    }
}

/// One commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Commit {
    /// Its number, from 1.
    pub sequence: u64,
    /// The state it made.
    pub root: StateRoot,
    /// Bytes of all entries of the journal so far.
    pub journal_bytes: u64,
}

impl Commit {
    /// Before the first.
    pub const NONE: Self = Self { sequence: 0, root: StateRoot::EMPTY, journal_bytes: 0 };
}

/// What a recorded commit means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// It is the last one.
    Head,
    /// The tops are its trie's, and all rows up to it are here.
    Tops,
}

impl Mark {
    fn key(self) -> &'static [u8] {
        match self {
            Self::Head => HEAD,
            Self::Tops => TOPS,
        }
    }
}

/// A key and its value.
pub(crate) type Row = (Box<[u8]>, Box<[u8]>);

/// An empty file that says that the database was made.
const MADE: &str = "MADE";
/// A table on its way into the database.
const TABLE: &str = "table.new";
/// The last commit.
const HEAD: &[u8] = b"head";
/// The commit whose tops are here.
const TOPS: &[u8] = b"tops";
/// Every commit whose state can be looked at, by number.
const COMMITS: &[u8] = b"commit ";
const COMMIT_BYTES: usize = 56;
/// Tops are in one row for each first byte of their paths.
pub(crate) const BUCKETS: usize = 256;

// Taken as they are needed: a store that is written little takes little. Twelve stores of a development network live in one process.
const WRITE_BUFFER_BYTES: usize = 32 << 20;
const WRITE_BUFFERS_BYTES: usize = 96 << 20;
const ARENA_BYTES: usize = 64 << 10;
const CACHE_BYTES: usize = 8 << 20;
const FILES_OPEN_MAX: i32 = 128;
/// Bounds what a start after a crash has to read again.
const WAL_BYTES_MAX: u64 = 192 << 20;
const LOG_BYTES_MAX: usize = 1 << 20;
const LOG_FILES_MAX: usize = 2;
const MANIFEST_PREALLOCATED_BYTES: usize = 64 << 10;
const BLOCK_BYTES: usize = 8 << 10;
/// No key is larger than so many bytes of ones.
const LARGEST_KEY_BYTES: usize = 4096;
const _: () = assert!(KEY_BYTES_MAX < LARGEST_KEY_BYTES);
/// Tables of leaves, each of which may have leaves from everywhere, from which on they are merged into the sorted rest. The more, the less often that is
/// rewritten, and the more tables a bucket is read from; but few are, for the trie has what is used.
const LEAF_TABLES: i32 = 8;
const JOURNAL_FILE_BYTES: u64 = 64 << 20;
const BLOOM_BITS_PER_KEY: f64 = 10.0;

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // A record torn by a crash ends the log: what follows was never acknowledged.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    // Rows that are not in the log are flushed together, so what says how far they go is as old as they are.
    options.set_atomic_flush(true);
    options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
    options.set_max_open_files(FILES_OPEN_MAX);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(LOG_FILES_MAX);
    options.set_max_log_file_size(LOG_BYTES_MAX);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_skip_stats_update_on_db_open(true);
    options.set_manifest_preallocation_size(MANIFEST_PREALLOCATED_BYTES);
    options
}

fn family_options(family: Family, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    blocks.set_cache_index_and_filter_blocks(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_arena_block_size(ARENA_BYTES);
    options.set_compression_type(match family {
        Family::Keys | Family::Records => DBCompressionType::Lz4,
        // Hashes do not get smaller, and keys and values of leaves are mostly such; the journal is hardly ever read.
        Family::Leaves | Family::Journal | Family::Tops | Family::Meta => DBCompressionType::None,
    });
    if matches!(family, Family::Leaves) {
        options.set_level_zero_file_num_compaction_trigger(LEAF_TABLES);
    }
    if matches!(family, Family::Journal) {
        // Its entries are written once and forgotten in order: they stay where they are while their keys are compacted.
        options.set_enable_blob_files(true);
        options.set_blob_file_size(JOURNAL_FILE_BYTES);
        options.set_enable_blob_gc(true);
    }
    options
}

/// An open database. Every read or write that fails ends the process.
pub(crate) struct Database {
    // Before the directory: RocksDB closes while the directory is still ours.
    db: DB,
    /// How tables of leaves are made.
    tables: Options,
    path: PathBuf,
    _directory: File,
}

impl Database {
    /// Opens the database of `chain` in `path`, making it if the directory is empty or missing.
    pub fn open(path: &Path, chain: Hash) -> Result<Self, OpenError> {
        let directory = directory::claim(path, chain)?;
        let (made, current) = (path.join(MADE), path.join("db/CURRENT"));
        if made.exists() && !current.exists() {
            let cause = "its database is not there, though it was made: a part of the directory was deleted".to_owned();
            return Err(OpenError::Damaged { path: path.to_owned(), cause });
        }
        // One that a crash left. It may be a second name of a table that the database has, so it must not be written over.
        let left = path.join(TABLE);
        match fs::remove_file(&left) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(OpenError::Unreadable { path: left, cause }),
            Ok(()) | Err(_) => {}
        }
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let families = Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache)));
        let db = DB::open_cf_descriptors(&options(), path.join("db"), families)
            .map_err(|error| OpenError::Database { path: path.to_owned(), cause: error.into_string() })?;
        // RocksDB has made `db`; its name is durable from here on, and that it was made.
        if !made.exists() {
            File::create(&made).and_then(|made| made.sync_all()).map_err(|cause| OpenError::Unreadable { path: made, cause })?;
        }
        directory.sync_all().map_err(|cause| OpenError::Unreadable { path: path.to_owned(), cause })?;
        Ok(Self { db, tables: family_options(Family::Leaves, &cache), path: path.to_owned(), _directory: directory })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("every family was opened")
    }

    /// The end of the process, naming the directory.
    pub fn failed(&self, action: &str, cause: &dyn fmt::Display) -> ! {
        disk_failed(&format!("{action} {}", self.path.display()), cause)
    }

    /// One value.
    pub fn get(&self, family: Family, key: &[u8]) -> Option<Vec<u8>> {
        self.db.get_cf(self.family(family), key).unwrap_or_else(|error| self.failed("reading from", &error))
    }

    /// Puts `value`, or a deletion, into a batch.
    pub fn stage(&self, batch: &mut WriteBatch, family: Family, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => batch.put_cf(self.family(family), key, value),
            None => batch.delete_cf(self.family(family), key),
        }
    }

    /// Puts a commit, whose rows or tops this batch brings, or which it is, into a batch.
    pub fn stage_commit(&self, batch: &mut WriteBatch, what: Mark, commit: &Commit) {
        self.stage(batch, Family::Meta, what.key(), Some(&encoding::encode(commit)));
    }

    /// Puts the journal's entry of a commit into a batch.
    pub fn stage_entry(&self, batch: &mut WriteBatch, commit: &Commit, entry: &[u8]) {
        self.stage(batch, Family::Journal, &commit.sequence.to_be_bytes(), Some(entry));
        self.stage_root(batch, commit);
    }

    /// Puts the record of a commit whose state can be looked at into a batch.
    pub fn stage_root(&self, batch: &mut WriteBatch, commit: &Commit) {
        self.stage(batch, Family::Meta, &commit_key(commit.sequence), Some(&encoding::encode(commit)));
    }

    /// Puts records into a batch.
    pub fn stage_records(&self, batch: &mut WriteBatch, records: &[Record]) {
        for Record { table, key, value } in records {
            self.stage(batch, Family::Records, &records::row(*table, key), value.as_deref());
        }
    }

    /// Puts the tops of a trie into a batch.
    pub fn stage_tops(&self, batch: &mut WriteBatch, trie: &Trie) {
        let mut buckets: Vec<Vec<Span>> = vec![Vec::new(); BUCKETS];
        trie.each_top(|top| buckets[usize::from(top.prefix().0[0])].push(*top));
        for (bucket, tops) in (0..=u8::MAX).zip(&buckets) {
            self.stage(batch, Family::Tops, &[bucket], Some(&encoding::encode(tops)));
        }
    }

    /// Deletes everything.
    pub fn clear(&self) {
        let mut batch = WriteBatch::default();
        Family::ALL.into_iter().for_each(|family| batch.delete_range_cf(self.family(family), &b""[..], &[0xff; LARGEST_KEY_BYTES][..]));
        self.write(batch);
    }

    /// Writes a batch, all or nothing; on return it is on disk.
    pub fn write(&self, batch: WriteBatch) {
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        self.db.write_opt(batch, &synced).unwrap_or_else(|error| self.failed("writing to", &error));
    }

    /// Writes a batch that the journal can bring again: until it is flushed it is in memory only.
    pub fn write_behind(&self, batch: WriteBatch) {
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        self.db.write_opt(batch, &unlogged).unwrap_or_else(|error| self.failed("writing to", &error));
    }

    /// Brings everything that was written behind to disk.
    pub fn flush(&self) {
        self.flush_all(true);
    }

    fn flush_all(&self, is_waited_for: bool) {
        let families: Vec<&ColumnFamily> = Family::ALL.iter().map(|family| self.family(*family)).collect();
        let mut options = FlushOptions::default();
        options.set_wait(is_waited_for);
        self.db.flush_cfs_opt(&families, &options).unwrap_or_else(|error| self.failed("writing to", &error));
    }

    /// Brings rows of leaves to disk, in a table of their own; they are given by path, each path once. What was written before comes first, so that no leaf
    /// on disk is newer than the head there, whatever becomes of the log.
    pub fn bring_leaves<'a>(&self, rows: impl Iterator<Item = (&'a Hash, Option<&'a Pair>)>) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return;
        }
        // While the table is made.
        self.flush_all(false);
        self.ingest(&self.path.join(TABLE), rows).unwrap_or_else(|error| self.failed("writing to", &error));
    }

    fn ingest<'a>(&self, file: &Path, rows: impl Iterator<Item = (&'a Hash, Option<&'a Pair>)>) -> Result<(), rocksdb::Error> {
        let mut table = SstFileWriter::create(&self.tables);
        table.open(file)?;
        for (path, pair) in rows {
            match pair {
                Some(pair) => table.put(path.as_bytes(), pair.row())?,
                None => table.delete(path.as_bytes())?,
            }
        }
        table.finish()?;
        self.flush();
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        self.db.ingest_external_file_cf_opts(self.family(Family::Leaves), &options, vec![file])
    }

    /// Deletes the journal's entries before this one. The state before the first that stays can still be reached.
    pub fn forget_before(&self, sequence: u64) {
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.family(Family::Journal), 0_u64.to_be_bytes(), sequence.to_be_bytes());
        batch.delete_range_cf(self.family(Family::Meta), commit_key(0), commit_key(sequence.saturating_sub(1)));
        self.write_behind(batch);
    }

    /// The pair at a path.
    pub fn leaf(&self, path: &Hash) -> Option<Pair> {
        let row = self.db.get_pinned_cf(self.family(Family::Leaves), path.as_bytes()).unwrap_or_else(|error| self.failed("reading from", &error))?;
        Some(pair_of(&row).unwrap_or_else(|cause| self.failed("reading from", &cause)))
    }

    /// The pairs whose paths lie in a range, by path.
    pub fn leaves(&self, range: &RangeInclusive<Hash>) -> Vec<(Hash, Pair)> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(range.start().as_bytes());
        options.set_iterate_upper_bound([range.end().as_bytes(), &[0][..]].concat());
        let rows = self.db.iterator_cf_opt(self.family(Family::Leaves), options, IteratorMode::Start);
        let pair = |row: Result<Row, rocksdb::Error>| {
            let (path, row) = row.map_err(rocksdb::Error::into_string)?;
            let path = Hash((*path).try_into().map_err(|_| format!("a path of {} bytes", path.len()))?);
            Ok((path, pair_of(&row)?))
        };
        rows.map(pair).collect::<Result<_, String>>().unwrap_or_else(|cause| self.failed("reading from", &cause))
    }

    /// The keys that start with `prefix`, from `from` on, in order, as they are on disk at this moment.
    pub fn keys_under(&self, prefix: &[u8], from: &[u8]) -> impl Iterator<Item = Box<[u8]>> + '_ {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(prefix.max(from));
        if let Some(upper) = after_prefix(prefix.to_vec()) {
            options.set_iterate_upper_bound(upper);
        }
        let rows = self.db.iterator_cf_opt(self.family(Family::Keys), options, IteratorMode::Start);
        rows.map(|row| row.unwrap_or_else(|error| self.failed("reading from", &error)).0)
    }

    /// Up to `limit` rows of a family with `lower <= key < upper`, from the lower or from the upper end.
    pub fn scan(&self, family: Family, lower: Vec<u8>, upper: Option<Vec<u8>>, is_forward: bool, limit: usize) -> Vec<Row> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(lower);
        if let Some(upper) = upper {
            options.set_iterate_upper_bound(upper);
        }
        let mode = if is_forward { IteratorMode::Start } else { IteratorMode::End };
        let rows = self.db.iterator_cf_opt(self.family(family), options, mode).take(limit);
        rows.map(|row| row.unwrap_or_else(|error| self.failed("reading from", &error))).collect()
    }

    /// All commits whose states can be looked at, by number.
    pub fn commits(&self) -> Vec<Commit> {
        self.frozen().commits().unwrap_or_else(|cause| self.failed("reading from", &cause))
    }

    /// The database as it is at this moment.
    pub fn frozen(&self) -> Frozen<'_> {
        Frozen { database: self, snapshot: self.db.snapshot() }
    }
}

/// One moment of a database, for reading all of it. Its errors are returned: at start nothing is lost yet.
pub(crate) struct Frozen<'a> {
    database: &'a Database,
    snapshot: Snapshot<'a>,
}

impl Frozen<'_> {
    /// A recorded commit; `None` before the first.
    pub fn commit(&self, what: Mark) -> Result<Option<Commit>, String> {
        self.commit_in(what.key())
    }

    /// A commit by its number, if it is kept.
    pub fn committed(&self, sequence: u64) -> Result<Option<Commit>, String> {
        self.commit_in(&commit_key(sequence))
    }

    fn commit_in(&self, key: &[u8]) -> Result<Option<Commit>, String> {
        let bytes = self.snapshot.get_cf(self.database.family(Family::Meta), key).map_err(rocksdb::Error::into_string)?;
        bytes.map(|bytes| commit_of(key, &bytes)).transpose()
    }

    /// All commits that are kept, by number.
    pub fn commits(&self) -> Result<Vec<Commit>, String> {
        let from = IteratorMode::From(COMMITS, Direction::Forward);
        let rows = self.snapshot.iterator_cf(self.database.family(Family::Meta), from).map(|row| row.map_err(rocksdb::Error::into_string));
        let of_commits = rows.take_while(|row| row.as_ref().is_ok_and(|(key, _)| key.starts_with(COMMITS)) || row.is_err());
        of_commits.map(|row| row.and_then(|(key, bytes)| commit_of(&key, &bytes))).collect()
    }

    /// The tops, by path.
    pub fn tops(&self) -> Result<Vec<Span>, String> {
        let mut tops = Vec::new();
        self.each(Family::Tops, |_, row| {
            tops.extend(encoding::decode::<Vec<Span>>(row, row.len()).map_err(|error| format!("a row of its tops is {error}"))?);
            Ok(())
        })?;
        Ok(tops)
    }

    /// One entry of the journal.
    pub fn entry(&self, sequence: u64) -> Result<Option<Vec<u8>>, String> {
        self.snapshot.get_cf(self.database.family(Family::Journal), sequence.to_be_bytes()).map_err(rocksdb::Error::into_string)
    }

    /// Shows every (path, pair) of the leaves, by path.
    pub fn each_leaf(&self, mut show: impl FnMut(Hash, Pair)) -> Result<(), String> {
        self.each(Family::Leaves, |path, row| {
            let path = path.try_into().map_err(|_| format!("a path of {} bytes", path.len()))?;
            show(Hash(path), pair_of(row)?);
            Ok(())
        })
    }

    /// Shows every key, in order.
    pub fn each_key(&self, mut show: impl FnMut(&[u8])) -> Result<(), String> {
        self.each(Family::Keys, |key, _| {
            show(key);
            Ok(())
        })
    }

    fn each(&self, family: Family, mut show: impl FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<(), String> {
        for row in self.snapshot.iterator_cf(self.database.family(family), IteratorMode::Start) {
            let (key, value) = row.map_err(rocksdb::Error::into_string)?;
            show(&key, &value)?;
        }
        Ok(())
    }
}

fn commit_key(sequence: u64) -> Vec<u8> {
    [COMMITS, &sequence.to_be_bytes()].concat()
}

fn commit_of(key: &[u8], bytes: &[u8]) -> Result<Commit, String> {
    encoding::decode(bytes, COMMIT_BYTES).map_err(|error| format!("the record of its {:?} is {error}", String::from_utf8_lossy(key)))
}

fn pair_of(row: &[u8]) -> Result<Pair, String> {
    Pair::from_row(row).ok_or_else(|| format!("a row of {} bytes is no pair", row.len()))
}
