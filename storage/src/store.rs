//! The slice store of a holder: what it has acknowledged survives a crash, and what it hands out is what was stored.
//!
//! # Order of writing
//! 1. `begin` reserves the space and opens a part file; nothing is promised.
//! 2. `write` appends and hashes. Dropping the writer undoes everything.
//! 3. `finish` compares the root, syncs the file, gives it its name, syncs the directory, and then writes record and group hashes in one synced batch. Only
//!    when it returns may the holder acknowledge.
//! 4. `delete` removes the record first (synced), then the file.
//!
//! So at any crash a file without a record may be left, never an acknowledged record without its file. Opening the store drops such files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primitives::Hash;

use crate::commit::{Step, Steps, Tree, bytes_of, groups_of};
use crate::profile::{SLICE_BYTES_MAX, index};

mod disk;
mod memory;
#[cfg(test)]
mod tests;

pub use disk::{Closing, Disk, Recovery};
pub use memory::Memory;

/// Longest label of a slice.
pub const LABEL_BYTES_MAX: usize = 256;
/// Longest key of a note.
pub const NOTE_KEY_BYTES_MAX: usize = 1024;
/// Longest note.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// What the operator gives to the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of slices it may hold.
    pub capacity: u64,
    /// Bytes of the file system that it always leaves free.
    pub reserve: u64,
}

/// What is stored. O(1): counted as slices come and go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Slices with a record.
    pub slices: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes promised to writers that have not finished.
    pub reserved: u64,
    /// The limit of both together.
    pub capacity: u64,
}

impl Usage {
    /// Bytes that can still be promised.
    pub const fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.bytes).saturating_sub(self.reserved)
    }
}

/// The record of a slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceInfo {
    /// Its length.
    pub bytes: u64,
    /// What the caller said of it at `begin`, at most [`LABEL_BYTES_MAX`].
    pub label: Vec<u8>,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// No such slice here.
    #[error("slice {root} is not stored here")]
    NotFound {
        /// The slice.
        root: Hash,
    },
    /// It is here already: acknowledge it without moving a byte.
    #[error("slice {root} is stored here already")]
    Stored {
        /// The slice.
        root: Hash,
    },
    /// Another transfer is writing it, or it is being deleted: try again later.
    #[error("slice {root} is being written or deleted")]
    Busy {
        /// The slice.
        root: Hash,
    },
    /// The stored bytes are no longer those of the root: bit rot. They were not handed out; the slice needs repair.
    #[error("group {group} of slice {root} is corrupt on this disk")]
    Corrupt {
        /// The slice.
        root: Hash,
        /// The first wrong 16 KiB group.
        group: u64,
    },
    /// The group hashes kept beside the slice are no longer those of the root: the slice needs repair.
    #[error("the hashes of slice {root} are corrupt on this disk")]
    CorruptHashes {
        /// The slice.
        root: Hash,
    },
    /// It has a record and its file is gone: someone removed it behind the store's back. The slice needs repair.
    #[error("the file of slice {root} is gone: {path}")]
    Lost {
        /// The slice.
        root: Hash,
        /// Where it should be.
        path: PathBuf,
    },
    /// A range that the slice does not have.
    #[error("bytes {start} to {end} of slice {root}, which has {bytes}")]
    Range {
        /// The slice.
        root: Hash,
        /// First byte that was asked for.
        start: u64,
        /// First byte that was not.
        end: u64,
        /// Its length.
        bytes: u64,
    },
    /// What was written is another slice.
    #[error("slice {expected} was announced and {found} was written")]
    WrongRoot {
        /// The announced root.
        expected: Hash,
        /// The root of what came.
        found: Hash,
    },
    /// More or fewer bytes than announced.
    #[error("slice {root}: {expected} bytes were announced and {found} written")]
    WrongLength {
        /// The slice.
        root: Hash,
        /// Announced.
        expected: u64,
        /// Written (with those that were refused).
        found: u64,
    },
    /// No slice of a valid manifest is empty.
    #[error("slice {root} has no bytes: there is nothing to store")]
    Empty {
        /// The slice.
        root: Hash,
    },
    /// A part is longer than allowed.
    #[error("a {part} of {found} bytes: at most {limit} are allowed")]
    Limit {
        /// Which part.
        part: &'static str,
        /// Its length.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The operator's capacity is used up: take no more tickets.
    #[error("the store is full: {needed} bytes are needed, {free} of {capacity} are free")]
    Full {
        /// Bytes that were asked for.
        needed: u64,
        /// Bytes not used and not reserved.
        free: u64,
        /// The operator's limit.
        capacity: u64,
    },
    /// The file system is full, or would be without the reserve: take no more tickets.
    #[error("the disk is full: {needed} bytes are needed at {path}, {available} are available and {reserve} of them stay free")]
    DiskFull {
        /// The store's directory.
        path: PathBuf,
        /// Bytes that were asked for, with those promised to other writers.
        needed: u64,
        /// What the file system has for us.
        available: u64,
        /// The operator's reserve.
        reserve: u64,
    },
    /// The file system refuses writing altogether: an operator must act.
    #[error("cannot {action}: {path} is read-only for this program")]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A failure of the database of records.
    #[error("cannot {action} in the database of {path}: {cause}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// The store's directory.
        path: PathBuf,
        /// What the database said.
        cause: String,
    },
    /// The writer has failed before: what it wrote is dropped.
    #[error("writing slice {root} has failed before")]
    Failed {
        /// The slice.
        root: Hash,
    },
}

/// A key and what is stored there.
pub type Note = (Vec<u8>, Vec<u8>);

/// A key and its new value, or `None` to remove it.
pub type NoteChange = (Vec<u8>, Option<Vec<u8>>);

/// Slices and notes of one holder. All calls block on the disk.
pub trait SliceStore: Send + Sync {
    /// Reserves room for a slice of 1 to [`SLICE_BYTES_MAX`] bytes and begins to write it, with a label of the caller's.
    ///
    /// # Errors
    /// [`SliceError::Stored`], [`SliceError::Busy`], [`SliceError::Full`], [`SliceError::DiskFull`], [`SliceError::Empty`], [`SliceError::Limit`], or what the
    /// disk said.
    fn begin(&self, root: Hash, bytes: u64, label: &[u8]) -> Result<Box<dyn SliceWriter>, SliceError>;

    /// The record of a slice, if it is stored.
    ///
    /// # Errors
    /// What the disk said.
    fn info(&self, root: Hash) -> Result<Option<SliceInfo>, SliceError>;

    /// Opens a slice for reading. Its bytes are verified as they are read; a slice that is deleted meanwhile can still be read to the end.
    ///
    /// # Errors
    /// [`SliceError::NotFound`], [`SliceError::Lost`], [`SliceError::CorruptHashes`], or what the disk said.
    fn reader(&self, root: Hash) -> Result<SliceReader, SliceError>;

    /// Removes a slice; `false` if it was not stored.
    ///
    /// # Errors
    /// [`SliceError::Busy`], or what the disk said.
    fn delete(&self, root: Hash) -> Result<bool, SliceError>;

    /// At most `limit` slices in order of their roots, after `after`. Fewer than `limit` means the end.
    ///
    /// # Errors
    /// What the disk said.
    fn list(&self, after: Option<Hash>, limit: usize) -> Result<Vec<(Hash, SliceInfo)>, SliceError>;

    /// What is stored.
    fn usage(&self) -> Usage;

    /// Applies all changes or none; they are on the disk when it returns.
    ///
    /// # Errors
    /// [`SliceError::Limit`], or what the disk said.
    fn write_notes(&self, changes: &[NoteChange]) -> Result<(), SliceError>;

    /// At most `limit` notes whose keys begin with `prefix`, in order of their keys, after the key `after`. Fewer than `limit` means the end.
    ///
    /// # Errors
    /// What the disk said.
    fn notes(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Note>, SliceError>;
}

/// A slice that is being written. Dropped before `finish`, it leaves nothing.
pub trait SliceWriter: Send {
    /// Appends the next bytes. After an error nothing more is taken.
    ///
    /// # Errors
    /// [`SliceError::WrongLength`] for more than announced, or what the disk said.
    fn write(&mut self, piece: &[u8]) -> Result<(), SliceError>;

    /// Verifies the root and makes the slice durable. Only after `Ok` may it be acknowledged.
    ///
    /// # Errors
    /// [`SliceError::WrongLength`], [`SliceError::WrongRoot`], or what the disk said; the slice is then not stored.
    fn finish(self: Box<Self>) -> Result<(), SliceError>;
}

/// Where a reader finds the bytes.
#[derive(Debug)]
enum Source {
    File { file: File, path: PathBuf },
    Memory(Vec<u8>),
}

/// An open slice. Cheap to clone; independent of the store it came from.
#[derive(Clone, Debug)]
pub struct SliceReader {
    tree: Arc<Tree>,
    source: Arc<Source>,
}

impl SliceReader {
    /// Its root.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.tree.length()
    }

    /// A verified range response for a run of groups (see [`crate::commit`]), to be sent piece by piece.
    pub fn respond(&self, wanted: Range<u64>) -> Response {
        Response { steps: Steps::new(self.bytes(), wanted), reader: self.clone() }
    }

    /// The bytes of a range, verified.
    ///
    /// # Errors
    /// [`SliceError::Range`] beyond the end, [`SliceError::Corrupt`] with the group's number, or what the disk said.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, SliceError> {
        if range.start > range.end || range.end > self.bytes() {
            return Err(SliceError::Range { root: self.root(), start: range.start, end: range.end, bytes: self.bytes() });
        }
        let mut out = Vec::new();
        let wanted = groups_of(self.bytes(), range.clone());
        let covered = bytes_of(self.bytes(), wanted.clone());
        for group in wanted {
            self.group(group, &mut out)?;
        }
        out.truncate(index(range.end.saturating_sub(covered.start)));
        out.drain(..index(range.start.saturating_sub(covered.start)).min(out.len()));
        Ok(out)
    }

    /// Appends a group to `out`, if it is genuine.
    fn group(&self, group: u64, out: &mut Vec<u8>) -> Result<(), SliceError> {
        let place = bytes_of(self.bytes(), group..group + 1);
        let start = out.len();
        let corrupt = SliceError::Corrupt { root: self.root(), group };
        match &*self.source {
            Source::File { file, path } => {
                out.resize(start + index(place.end - place.start), 0);
                if let Err(error) = file.read_exact_at(&mut out[start..], place.start) {
                    out.truncate(start);
                    // A file that was cut short is corrupt; anything else is the system's own trouble.
                    let is_short = error.kind() == io::ErrorKind::UnexpectedEof;
                    return Err(if is_short { corrupt } else { SliceError::io("read", path, error) });
                }
            }
            Source::Memory(bytes) => out.extend_from_slice(&bytes[index(place.start)..index(place.end)]),
        }
        if self.tree.is_group(group, &out[start..]) {
            return Ok(());
        }
        out.truncate(start);
        Err(corrupt)
    }
}

/// A range response in the making.
#[derive(Clone, Debug)]
pub struct Response {
    reader: SliceReader,
    steps: Steps,
}

impl Response {
    /// Appends to `out` until it has grown by at least `bytes` or the response ends; `false` at the end. A group is verified before it is appended.
    ///
    /// # Errors
    /// [`SliceError::Corrupt`] with the group's number, or what the disk said: the response must be broken off.
    pub fn fill(&mut self, bytes: usize, out: &mut Vec<u8>) -> Result<bool, SliceError> {
        let enough = out.len().saturating_add(bytes);
        while out.len() < enough {
            match self.steps.next(&self.reader.tree) {
                Some(Step::Pair(pair)) => out.extend_from_slice(&pair),
                Some(Step::Group(group)) => self.reader.group(group, out)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl SliceError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        let is_refused = matches!(source.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied);
        if is_refused { Self::ReadOnly { action, path } } else { Self::Io { action, path, source } }
    }
}

/// Which slices are being changed and how much room is left: the arithmetic of both stores.
#[derive(Debug)]
struct Space {
    usage: Usage,
    busy: BTreeSet<Hash>,
}

impl Space {
    fn new(slices: u64, bytes: u64, capacity: u64) -> Self {
        Self { usage: Usage { slices, bytes, reserved: 0, capacity }, busy: BTreeSet::new() }
    }

    /// Nobody else may write or delete `root` until it is released.
    fn hold(&mut self, root: Hash) -> Result<(), SliceError> {
        if self.busy.insert(root) { Ok(()) } else { Err(SliceError::Busy { root }) }
    }

    fn release(&mut self, root: Hash) {
        self.busy.remove(&root);
    }

    fn reserve(&mut self, needed: u64) -> Result<(), SliceError> {
        let Usage { capacity, .. } = self.usage;
        let free = self.usage.free();
        if needed > free {
            return Err(SliceError::Full { needed, free, capacity });
        }
        self.usage.reserved += needed;
        Ok(())
    }

    fn unreserve(&mut self, bytes: u64) {
        self.usage.reserved -= bytes;
    }

    /// What was promised is used now.
    fn stored(&mut self, bytes: u64) {
        self.usage.reserved -= bytes;
        self.usage.slices += 1;
        self.usage.bytes += bytes;
    }

    fn deleted(&mut self, bytes: u64) {
        self.usage.slices -= 1;
        self.usage.bytes -= bytes;
    }
}

fn check_begin(root: Hash, bytes: u64, label: &[u8]) -> Result<(), SliceError> {
    if bytes == 0 {
        return Err(SliceError::Empty { root });
    }
    if bytes > SLICE_BYTES_MAX {
        return Err(SliceError::Limit { part: "slice", found: bytes, limit: SLICE_BYTES_MAX });
    }
    check_limit("label", label.len(), LABEL_BYTES_MAX)
}

fn check_notes(changes: &[NoteChange]) -> Result<(), SliceError> {
    for (key, value) in changes {
        check_limit("key of a note", key.len(), NOTE_KEY_BYTES_MAX)?;
        check_limit("note", value.as_ref().map_or(0, Vec::len), NOTE_BYTES_MAX)?;
    }
    Ok(())
}

fn check_limit(part: &'static str, found: usize, limit: usize) -> Result<(), SliceError> {
    if found <= limit { Ok(()) } else { Err(SliceError::Limit { part, found: found as u64, limit: limit as u64 }) }
}
