//! The store on disk: one file per slice in 256 directories, records and notes in RocksDB.
//!
//! ```text
//! <path>/records/        RocksDB:  v -> format   s + root -> record   h + root -> group hashes   n + key -> note
//! <path>/slices/ab/<root>          a slice with a record
//! <path>/slices/ab/<root>.part     one that is being written
//! ```

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;
use primitives::encoding::{decode, encode};
use rocksdb::{BlockBasedOptions, Cache, DB, Direction, IteratorMode, LogLevel, Options, WriteBatch, WriteOptions};

use super::memory::finished;
use super::{
    LABEL_BYTES_MAX, Limits, Note, NoteChange, SliceError, SliceInfo, SliceReader, SliceStore, SliceWriter, Source, Space, Usage, check_begin, check_notes,
};
use crate::commit::{Tree, TreeBuilder};

/// Version of the layout above.
const FORMAT: u8 = 1;
const FORMAT_KEY: &[u8] = b"v";
const RECORD: u8 = b's';
const HASHES: u8 = b'h';
const NOTE: u8 = b'n';
/// The longest encoded record: length, label with its length.
const RECORD_BYTES_MAX: usize = 8 + 4 + LABEL_BYTES_MAX;

#[derive(BorshSerialize, BorshDeserialize)]
struct Record {
    bytes: u64,
    label: Vec<u8>,
}

/// What opening the store found and put in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// Files without a record that were removed: half-written or half-deleted slices.
    pub dropped: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Slices with a record whose file is gone, which needs an operator and a repair.
    pub lost: Vec<Hash>,
}

struct Shared {
    path: PathBuf,
    limits: Limits,
    db: DB,
    space: Mutex<Space>,
    recovery: Recovery,
    /// The last field, so that it is dropped after the database is closed.
    watchers: Mutex<Vec<mpsc::Sender<Infallible>>>,
}

/// Tells when the directory of a [`Disk`] can be opened again.
pub struct Closing(mpsc::Receiver<Infallible>);

impl Closing {
    /// Waits until all clones of the store and all its writers are gone and the database is closed; `false` if that takes longer than `limit`. Blocks.
    pub fn wait(&self, limit: Duration) -> bool {
        matches!(self.0.recv_timeout(limit), Err(mpsc::RecvTimeoutError::Disconnected))
    }
}

/// Slices and notes in a directory. Cheap to clone; a directory is open at most once.
#[derive(Clone)]
pub struct Disk(Arc<Shared>);

impl Disk {
    /// Opens the store in `path`, which is made if it is missing, and drops what a crash has left half done.
    ///
    /// Reads the records and the names of all files: about a second for a million slices.
    ///
    /// # Errors
    /// [`SliceError::Database`] if it is open already, damaged, or of another format; [`SliceError::ReadOnly`]; or what the disk said.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, SliceError> {
        let slices = path.join("slices");
        fs::create_dir_all(&slices).map_err(|error| SliceError::io("make the directory", &slices, error))?;
        sync_directory(path)?;
        let db = DB::open(&options(), path.join("records")).map_err(|error| database("open the records", path, &error))?;
        check_format(&db, path)?;
        let (space, recovery) = recover(&db, path, &slices, limits.capacity)?;
        Ok(Self(Arc::new(Shared { path: path.to_path_buf(), limits, db, space: Mutex::new(space), recovery, watchers: Mutex::default() })))
    }

    /// For whoever opens the directory again later.
    pub fn closing(&self) -> Closing {
        let (watcher, closing) = mpsc::channel();
        self.0.watchers.lock().expect("nothing panics while it adds one").push(watcher);
        Closing(closing)
    }

    /// What [`Disk::open`] found.
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }
}

/// A development network has six of these in one process: little memory and few files each.
fn options() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(2 << 20));
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(4 << 20);
    options.set_max_write_buffer_number(2);
    options.set_max_total_wal_size(8 << 20);
    options.set_max_open_files(64);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(1);
    options.set_max_log_file_size(1 << 20);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    // Most of what is stored are hashes.
    options.set_compression_type(rocksdb::DBCompressionType::None);
    options
}

fn check_format(db: &DB, path: &Path) -> Result<(), SliceError> {
    match db.get(FORMAT_KEY).map_err(|error| database("read the format", path, &error))? {
        None => db.put_opt(FORMAT_KEY, [FORMAT], &synced()).map_err(|error| database("write the format", path, &error)),
        Some(found) if found == [FORMAT] => Ok(()),
        Some(found) => {
            let cause = format!("format {found:?}, this program reads [{FORMAT}]");
            Err(SliceError::Database { action: "read the format", path: path.to_path_buf(), cause })
        }
    }
}

/// Counts what is stored and removes files without a record, directory by directory: both sides are sorted by the root's first byte.
fn recover(db: &DB, path: &Path, slices: &Path, capacity: u64) -> Result<(Space, Recovery), SliceError> {
    let (mut count, mut bytes, mut recovery) = (0, 0, Recovery::default());
    for shard in 0..=u8::MAX {
        let mut recorded = std::collections::BTreeMap::new();
        for row in db.iterator(IteratorMode::From(&[RECORD, shard], Direction::Forward)) {
            let (key, value) = row.map_err(|error| database("read the records", path, &error))?;
            if !key.starts_with(&[RECORD, shard]) {
                break;
            }
            recorded.insert(root_of(&key, path)?, record(&value, path)?.bytes);
        }
        count += recorded.len() as u64;
        bytes += recorded.values().sum::<u64>();
        let directory = slices.join(format!("{shard:02x}"));
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                recovery.lost.extend(recorded.into_keys());
                continue;
            }
            Err(error) => return Err(SliceError::io("list", &directory, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| SliceError::io("list", &directory, error))?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let (root, is_part) = name.strip_suffix(".part").map_or((name, false), |root| (root, true));
            // Whatever has not one of our names was put there by someone else, and stays.
            let Ok(root) = root.parse::<Hash>() else { continue };
            if is_part || recorded.remove(&root).is_none() {
                recovery.dropped += 1;
                recovery.dropped_bytes += entry.metadata().map_or(0, |metadata| metadata.len());
                fs::remove_file(entry.path()).map_err(|error| SliceError::io("remove the half-written", &entry.path(), error))?;
            }
        }
        recovery.lost.extend(recorded.into_keys());
    }
    Ok((Space::new(count, bytes, capacity), recovery))
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn key(table: u8, key: &[u8]) -> Vec<u8> {
    [&[table], key].concat()
}

fn root_of(key: &[u8], path: &Path) -> Result<Hash, SliceError> {
    let root = key.get(1..).and_then(|root| root.try_into().ok());
    root.map(Hash).ok_or_else(|| damaged("a key has not 32 bytes", path))
}

fn record(value: &[u8], path: &Path) -> Result<Record, SliceError> {
    decode(value, RECORD_BYTES_MAX).map_err(|error| damaged(&error.to_string(), path))
}

fn damaged(cause: &str, path: &Path) -> SliceError {
    SliceError::Database { action: "read a record", path: path.to_path_buf(), cause: cause.to_owned() }
}

fn database(action: &'static str, path: &Path, error: &rocksdb::Error) -> SliceError {
    let (cause, path) = (error.to_string(), path.to_path_buf());
    // RocksDB passes on the system's text only.
    if cause.contains("Read-only file system") || cause.contains("Permission denied") {
        return SliceError::ReadOnly { action, path };
    }
    SliceError::Database { action, path, cause }
}

fn sync_directory(path: &Path) -> Result<(), SliceError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| SliceError::io("sync the directory", path, error))
}

impl Shared {
    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().expect("nothing panics while it counts")
    }

    fn directory(&self, root: Hash) -> PathBuf {
        self.path.join("slices").join(format!("{:02x}", root.0[0]))
    }

    fn file(&self, root: Hash) -> PathBuf {
        self.directory(root).join(root.to_string())
    }

    fn get(&self, action: &'static str, table: u8, suffix: &[u8]) -> Result<Option<Vec<u8>>, SliceError> {
        self.db.get(key(table, suffix)).map_err(|error| database(action, &self.path, &error))
    }

    fn record(&self, root: Hash) -> Result<Option<Record>, SliceError> {
        self.get("read a record", RECORD, &root.0)?.map(|value| record(&value, &self.path)).transpose()
    }

    fn write(&self, action: &'static str, batch: WriteBatch, needed: u64) -> Result<(), SliceError> {
        self.db
            .write_opt(batch, &synced())
            .map_err(|error| if error.to_string().contains("No space left") { self.disk_full(needed) } else { database(action, &self.path, &error) })
    }

    /// Bytes that the file system has for us.
    fn available(&self) -> Result<u64, SliceError> {
        let found = rustix::fs::statvfs(&self.path).map_err(|error| SliceError::io("measure the free space of", &self.path, error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn disk_full(&self, needed: u64) -> SliceError {
        SliceError::DiskFull { path: self.path.clone(), needed, available: self.available().unwrap_or(0), reserve: self.limits.reserve }
    }

    /// An error of the file system while `needed` bytes were being written.
    fn write_error(&self, action: &'static str, path: &Path, needed: u64, error: io::Error) -> SliceError {
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if is_full { self.disk_full(needed) } else { SliceError::io(action, path, error) }
    }

    /// With `root` held and nothing promised: promises the room and opens the part file.
    fn open_part(&self, root: Hash, bytes: u64) -> Result<(File, PathBuf), SliceError> {
        if self.record(root)?.is_some() {
            return Err(SliceError::Stored { root });
        }
        // What is promised to other writers is not yet missing from the file system.
        let needed = self.space().usage.reserved.saturating_add(bytes);
        if needed.saturating_add(self.limits.reserve) > self.available()? {
            return Err(self.disk_full(needed));
        }
        let directory = self.directory(root);
        match fs::create_dir(&directory) {
            Ok(()) => sync_directory(&self.path.join("slices"))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.write_error("make the directory", &directory, bytes, error)),
        }
        let part = directory.join(format!("{root}.part"));
        let file = File::create(&part).map_err(|error| self.write_error("make", &part, bytes, error))?;
        Ok((file, part))
    }
}

impl SliceStore for Disk {
    fn begin(&self, root: Hash, bytes: u64, label: &[u8]) -> Result<Box<dyn SliceWriter>, SliceError> {
        check_begin(root, bytes, label)?;
        let shared = &self.0;
        shared.space().hold(root)?;
        let opened = shared.open_part(root, bytes).and_then(|opened| {
            let reserved = shared.space().reserve(bytes);
            if reserved.is_err() {
                // Nothing is in the file yet; if it stays, the next opening drops it.
                let _ = fs::remove_file(&opened.1);
            }
            reserved.map(|()| opened)
        });
        match opened {
            Ok((file, part)) => {
                let record = Record { bytes, label: label.to_vec() };
                Ok(Box::new(Writer { shared: Arc::clone(shared), root, record, file, part, builder: TreeBuilder::new(), reserved: bytes, failed: false }))
            }
            Err(error) => {
                shared.space().release(root);
                Err(error)
            }
        }
    }

    fn info(&self, root: Hash) -> Result<Option<SliceInfo>, SliceError> {
        Ok(self.0.record(root)?.map(|Record { bytes, label }| SliceInfo { bytes, label }))
    }

    fn reader(&self, root: Hash) -> Result<SliceReader, SliceError> {
        let record = self.0.record(root)?.ok_or(SliceError::NotFound { root })?;
        let hashes = self.0.get("read the hashes of a slice", HASHES, &root.0)?.unwrap_or_default();
        let tree = Tree::from_hashes(record.bytes, &hashes).filter(|tree| tree.root() == root);
        let path = self.0.file(root);
        match File::open(&path) {
            Ok(file) => {
                let tree = tree.ok_or(SliceError::CorruptHashes { root })?;
                Ok(SliceReader { tree: Arc::new(tree), source: Arc::new(Source::File { file, path }) })
            }
            // Deleted between the two looks, or behind our back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(if self.0.record(root)?.is_none() { SliceError::NotFound { root } } else { SliceError::Lost { root, path } })
            }
            Err(error) => Err(SliceError::io("open", &path, error)),
        }
    }

    fn delete(&self, root: Hash) -> Result<bool, SliceError> {
        self.0.space().hold(root)?;
        let result = self.delete_held(root);
        self.0.space().release(root);
        result
    }

    fn list(&self, after: Option<Hash>, limit: usize) -> Result<Vec<(Hash, SliceInfo)>, SliceError> {
        let rows = self.rows(RECORD, &[], after.as_ref().map(|after| after.0.as_slice()), limit)?;
        let entry = |(root, value): Note| {
            let Record { bytes, label } = record(&value, &self.0.path)?;
            Ok((root_of(&key(RECORD, &root), &self.0.path)?, SliceInfo { bytes, label }))
        };
        rows.into_iter().map(entry).collect()
    }

    fn usage(&self) -> Usage {
        self.0.space().usage
    }

    fn write_notes(&self, changes: &[NoteChange]) -> Result<(), SliceError> {
        check_notes(changes)?;
        let (mut batch, mut bytes) = (WriteBatch::default(), 0);
        for (suffix, value) in changes {
            match value {
                Some(value) => batch.put(key(NOTE, suffix), value),
                None => batch.delete(key(NOTE, suffix)),
            }
            bytes += suffix.len() + value.as_ref().map_or(0, Vec::len);
        }
        self.0.write("write notes", batch, bytes as u64)
    }

    fn notes(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Note>, SliceError> {
        self.rows(NOTE, prefix, after, limit)
    }
}

impl Disk {
    fn delete_held(&self, root: Hash) -> Result<bool, SliceError> {
        let Some(record) = self.0.record(root)? else { return Ok(false) };
        let mut batch = WriteBatch::default();
        batch.delete(key(RECORD, &root.0));
        batch.delete(key(HASHES, &root.0));
        self.0.write("delete a record", batch, 0)?;
        self.0.space().deleted(record.bytes);
        let path = self.0.file(root);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SliceError::io("remove", &path, error)),
            Ok(()) | Err(_) => Ok(true),
        }
    }

    /// Rows of a table whose keys begin with `prefix` and come after `after`, without the table's byte.
    fn rows(&self, table: u8, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Note>, SliceError> {
        let prefix = key(table, prefix);
        // The first key after `after` is `after` with a zero byte.
        let start = after.map_or_else(|| prefix.clone(), |after| [&[table], after, &[0]].concat().max(prefix.clone()));
        let mut rows = Vec::new();
        for row in self.0.db.iterator(IteratorMode::From(&start, Direction::Forward)).take(limit) {
            let (key, value) = row.map_err(|error| database("list", &self.0.path, &error))?;
            if !key.starts_with(&prefix) {
                break;
            }
            rows.push((key[1..].to_vec(), value.into_vec()));
        }
        Ok(rows)
    }
}

struct Writer {
    shared: Arc<Shared>,
    root: Hash,
    record: Record,
    file: File,
    part: PathBuf,
    builder: TreeBuilder,
    /// Bytes promised to it.
    reserved: u64,
    failed: bool,
}

impl Writer {
    /// The steps of the module's order, after all bytes came.
    fn commit(&self, tree: &Tree) -> Result<(), SliceError> {
        let (shared, bytes) = (&self.shared, self.record.bytes);
        self.file.sync_all().map_err(|error| shared.write_error("sync", &self.part, bytes, error))?;
        let path = shared.file(self.root);
        fs::rename(&self.part, &path).map_err(|error| shared.write_error("name", &path, bytes, error))?;
        let mut batch = WriteBatch::default();
        batch.put(key(RECORD, &self.root.0), encode(&self.record));
        batch.put(key(HASHES, &self.root.0), tree.hashes());
        sync_directory(&shared.directory(self.root)).and_then(|()| shared.write("write a record", batch, bytes)).inspect_err(|_| {
            // Named and not recorded: remove it now or, if that fails too, at the next opening.
            let _ = fs::remove_file(&path);
        })
    }
}

impl SliceWriter for Writer {
    fn write(&mut self, piece: &[u8]) -> Result<(), SliceError> {
        // After a failed write the file may hold part of a piece: going on would store something other than was hashed.
        if std::mem::replace(&mut self.failed, true) {
            return Err(SliceError::Failed { root: self.root });
        }
        let found = self.builder.length() + piece.len() as u64;
        if found > self.record.bytes {
            return Err(SliceError::WrongLength { root: self.root, expected: self.record.bytes, found });
        }
        self.file.write_all(piece).map_err(|error| self.shared.write_error("write", &self.part, self.record.bytes, error))?;
        self.builder.update(piece);
        self.failed = false;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), SliceError> {
        if self.failed {
            return Err(SliceError::Failed { root: self.root });
        }
        let tree = finished(self.root, self.record.bytes, std::mem::take(&mut self.builder))?;
        self.commit(&tree)?;
        self.shared.space().stored(std::mem::take(&mut self.reserved));
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a finished write the part has another name. A part that cannot be removed is dropped at the next opening.
        let _ = fs::remove_file(&self.part);
        let mut space = self.shared.space();
        space.unreserve(self.reserved);
        space.release(self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { capacity: 1 << 30, reserve: 0 };

    #[test]
    fn damaged_hashes_are_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), LIMITS).unwrap();
        let slice = vec![7; 40_000];
        let root = crate::commit::root(&slice);
        let mut writer = disk.begin(root, 40_000, &[]).unwrap();
        writer.write(&slice).unwrap();
        writer.finish().unwrap();
        let mut hashes = disk.0.get("read", HASHES, &root.0).unwrap().unwrap();
        hashes[33] ^= 1;
        disk.0.db.put(key(HASHES, &root.0), hashes).unwrap();
        assert!(matches!(disk.reader(root), Err(SliceError::CorruptHashes { .. })));
        disk.0.db.delete(key(HASHES, &root.0)).unwrap();
        assert!(matches!(disk.reader(root), Err(SliceError::CorruptHashes { .. })));
    }

    #[test]
    fn causes_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), Limits { reserve: 5, ..LIMITS }).unwrap();
        let error = |kind: io::ErrorKind| disk.0.write_error("write", directory.path(), 100, kind.into());
        let SliceError::DiskFull { needed: 100, available, reserve: 5, .. } = error(io::ErrorKind::StorageFull) else { panic!("full") };
        assert!(available > 0);
        assert!(matches!(error(io::ErrorKind::QuotaExceeded), SliceError::DiskFull { .. }));
        assert!(matches!(error(io::ErrorKind::ReadOnlyFilesystem), SliceError::ReadOnly { action: "write", .. }));
        assert!(matches!(error(io::ErrorKind::PermissionDenied), SliceError::ReadOnly { .. }));
        assert!(matches!(error(io::ErrorKind::BrokenPipe), SliceError::Io { .. }));
    }

    #[test]
    fn another_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), LIMITS).unwrap();
        disk.0.db.put(FORMAT_KEY, [2]).unwrap();
        drop(disk);
        let Err(SliceError::Database { cause, .. }) = Disk::open(directory.path(), LIMITS) else { panic!("opened") };
        assert!(cause.contains("[2]"), "{cause}");
    }
}
