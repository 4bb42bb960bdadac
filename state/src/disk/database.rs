//! RocksDB as we use it: four column families, small memory, synced writes, and an end to the process when the disk fails.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use primitives::{Hash, encoding};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, IteratorMode, LogLevel, Options, ReadOptions,
    Snapshot, WriteBatch, WriteOptions,
};

use super::directory::{self, OpenError};
use super::records::after_prefix;
use crate::rule::StateRoot;

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
    Values,
    Leaves,
    Records,
    Meta,
}

impl Family {
    const ALL: [Self; 4] = [Self::Values, Self::Leaves, Self::Records, Self::Meta];

    fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Leaves => "leaves",
            Self::Records => "records",
            Self::Meta => "meta",
        }
    }
}

/// A key and its value.
pub(crate) type Row = (Box<[u8]>, Box<[u8]>);

const HEAD: &[u8] = b"head";
const HEAD_BYTES: usize = 40;

// Twelve stores of a development network live in one process, so each is small; a production node loses little, since the page cache does the rest.
const WRITE_BUFFER_BYTES: usize = 4 << 20;
const WRITE_BUFFERS_BYTES: usize = 12 << 20;
const CACHE_BYTES: usize = 8 << 20;
const FILES_OPEN_MAX: i32 = 128;
/// Bounds what a start after a crash has to read again.
const WAL_BYTES_MAX: u64 = 32 << 20;
const LOG_BYTES_MAX: usize = 1 << 20;
const LOG_FILES_MAX: usize = 2;
const MANIFEST_PREALLOCATED_BYTES: usize = 64 << 10;
const BLOCK_BYTES: usize = 8 << 10;
const BLOOM_BITS_PER_KEY: f64 = 10.0;

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // A record torn by a crash ends the log: what follows was never acknowledged.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
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
    options.set_compression_type(match family {
        Family::Values | Family::Records => DBCompressionType::Lz4,
        // Hashes do not get smaller.
        Family::Leaves | Family::Meta => DBCompressionType::None,
    });
    options
}

/// An open database. Every read or write that fails ends the process.
pub(crate) struct Database {
    // Before the directory: RocksDB closes while the directory is still ours.
    db: DB,
    path: PathBuf,
    _directory: File,
}

impl Database {
    /// Opens the database of `chain` in `path`, making it if the directory is empty or missing.
    pub fn open(path: &Path, chain: Hash) -> Result<Self, OpenError> {
        let directory = directory::claim(path, chain)?;
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let families = Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache)));
        let db = DB::open_cf_descriptors(&options(), path.join("db"), families)
            .map_err(|error| OpenError::Database { path: path.to_owned(), cause: error.into_string() })?;
        // RocksDB has made `db`; its name is durable from here on.
        directory.sync_all().map_err(|cause| OpenError::Unreadable { path: path.to_owned(), cause })?;
        Ok(Self { db, path: path.to_owned(), _directory: directory })
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

    /// The values of many keys, which are sorted.
    pub fn get_many<'a>(&self, family: Family, keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
        let results = self.db.batched_multi_get_cf(self.family(family), keys, true);
        results.into_iter().map(|result| result.unwrap_or_else(|error| self.failed("reading from", &error)).map(|value| value.to_vec())).collect()
    }

    /// Puts `value`, or a deletion, into a batch.
    pub fn stage(&self, batch: &mut WriteBatch, family: Family, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => batch.put_cf(self.family(family), key, value),
            None => batch.delete_cf(self.family(family), key),
        }
    }

    /// Puts the head into a batch.
    pub fn stage_head(&self, batch: &mut WriteBatch, head: &StateRoot) {
        self.stage(batch, Family::Meta, HEAD, Some(&encoding::encode(head)));
    }

    /// Writes a batch, all or nothing; on return it is on disk.
    pub fn write(&self, batch: WriteBatch) {
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        self.db.write_opt(batch, &synced).unwrap_or_else(|error| self.failed("writing to", &error));
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

    /// The rows of a family whose keys start with `prefix`, by key, as they are at this moment.
    pub fn rows_under(&self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Row> + '_ {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(prefix);
        if let Some(upper) = after_prefix(prefix.to_vec()) {
            options.set_iterate_upper_bound(upper);
        }
        let rows = self.db.iterator_cf_opt(self.family(family), options, IteratorMode::Start);
        rows.map(|row| row.unwrap_or_else(|error| self.failed("reading from", &error)))
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
    /// The committed root; the empty one before the first commit.
    pub fn head(&self) -> Result<StateRoot, String> {
        let bytes = self.snapshot.get_cf(self.database.family(Family::Meta), HEAD).map_err(rocksdb::Error::into_string)?;
        bytes.map_or(Ok(StateRoot::EMPTY), |bytes| encoding::decode(&bytes, HEAD_BYTES).map_err(|error| format!("the record of its head is {error}")))
    }

    /// Shows every (path, digest, key) of `leaves`, by path.
    pub fn each_leaf(&self, mut show: impl FnMut(Hash, Hash, &[u8])) -> Result<(), String> {
        self.each(Family::Leaves, |path, row| {
            let path = path.try_into().ok();
            let (Some(path), Some((digest, key))) = (path, row.split_first_chunk()) else {
                return Err(format!("a row of {} bytes is not a leaf", row.len()));
            };
            show(Hash(path), Hash(*digest), key);
            Ok(())
        })
    }

    /// Shows every (key, value) of `values`, by key.
    pub fn each_value(&self, mut show: impl FnMut(&[u8], &[u8])) -> Result<(), String> {
        self.each(Family::Values, |key, value| {
            show(key, value);
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
