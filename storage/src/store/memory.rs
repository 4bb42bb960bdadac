//! The store in memory: for simulations, and the model that the disk store is tested against.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use primitives::Hash;

use super::{Note, NoteChange, SliceError, SliceInfo, SliceReader, SliceStore, SliceWriter, Source, Space, Usage, check_begin, check_notes};
use crate::commit::{Tree, TreeBuilder};
use crate::profile::index;

struct Kept {
    info: SliceInfo,
    tree: Arc<Tree>,
    source: Arc<Source>,
}

struct State {
    space: Space,
    slices: BTreeMap<Hash, Kept>,
    notes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Slices and notes in memory; gone when dropped. Cheap to clone.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<State>>);

impl Memory {
    /// An empty store for `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        Self(Arc::new(Mutex::new(State { space: Space::new(0, 0, capacity), slices: BTreeMap::new(), notes: BTreeMap::new() })))
    }

    /// Bit rot, for simulations: flips the lowest bit of byte `at` of a slice. `false` if there is no such byte.
    pub fn rot(&self, root: Hash, at: u64) -> bool {
        let mut state = self.lock();
        let Some(kept) = state.slices.get_mut(&root).filter(|kept| at < kept.info.bytes) else {
            return false;
        };
        let Source::Memory(bytes) = &*kept.source else { return false };
        let mut bytes = bytes.clone();
        bytes[index(at)] ^= 1;
        kept.source = Arc::new(Source::Memory(bytes));
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds the store")
    }
}

impl SliceStore for Memory {
    fn begin(&self, root: Hash, bytes: u64, label: &[u8]) -> Result<Box<dyn SliceWriter>, SliceError> {
        check_begin(root, bytes, label)?;
        let mut state = self.lock();
        if state.slices.contains_key(&root) {
            return Err(SliceError::Stored { root });
        }
        state.space.hold(root)?;
        if let Err(error) = state.space.reserve(bytes) {
            state.space.release(root);
            return Err(error);
        }
        let info = SliceInfo { bytes, label: label.to_vec() };
        Ok(Box::new(Writer { store: self.clone(), root, info, data: Vec::new(), builder: TreeBuilder::new(), reserved: bytes, failed: false }))
    }

    fn info(&self, root: Hash) -> Result<Option<SliceInfo>, SliceError> {
        Ok(self.lock().slices.get(&root).map(|kept| kept.info.clone()))
    }

    fn reader(&self, root: Hash) -> Result<SliceReader, SliceError> {
        let state = self.lock();
        let kept = state.slices.get(&root).ok_or(SliceError::NotFound { root })?;
        Ok(SliceReader { tree: Arc::clone(&kept.tree), source: Arc::clone(&kept.source) })
    }

    fn delete(&self, root: Hash) -> Result<bool, SliceError> {
        let mut state = self.lock();
        state.space.hold(root)?;
        state.space.release(root);
        let Some(kept) = state.slices.remove(&root) else { return Ok(false) };
        state.space.deleted(kept.info.bytes);
        Ok(true)
    }

    fn list(&self, after: Option<Hash>, limit: usize) -> Result<Vec<(Hash, SliceInfo)>, SliceError> {
        let state = self.lock();
        let rest = state.slices.iter().filter(|(root, _)| after.is_none_or(|after| **root > after));
        Ok(rest.take(limit).map(|(root, kept)| (*root, kept.info.clone())).collect())
    }

    fn usage(&self) -> Usage {
        self.lock().space.usage
    }

    fn write_notes(&self, changes: &[NoteChange]) -> Result<(), SliceError> {
        check_notes(changes)?;
        let mut state = self.lock();
        for (key, value) in changes {
            match value {
                Some(value) => state.notes.insert(key.clone(), value.clone()),
                None => state.notes.remove(key),
            };
        }
        Ok(())
    }

    fn notes(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Note>, SliceError> {
        let state = self.lock();
        let matching = state.notes.iter().filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after));
        Ok(matching.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

struct Writer {
    store: Memory,
    root: Hash,
    info: SliceInfo,
    data: Vec<u8>,
    builder: TreeBuilder,
    /// Bytes promised to it.
    reserved: u64,
    failed: bool,
}

impl SliceWriter for Writer {
    fn write(&mut self, piece: &[u8]) -> Result<(), SliceError> {
        if self.failed {
            return Err(SliceError::Failed { root: self.root });
        }
        let found = self.builder.length() + piece.len() as u64;
        if found > self.info.bytes {
            self.failed = true;
            return Err(SliceError::WrongLength { root: self.root, expected: self.info.bytes, found });
        }
        self.data.extend_from_slice(piece);
        self.builder.update(piece);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), SliceError> {
        if self.failed {
            return Err(SliceError::Failed { root: self.root });
        }
        let tree = finished(self.root, self.info.bytes, std::mem::take(&mut self.builder))?;
        let source = Arc::new(Source::Memory(std::mem::take(&mut self.data)));
        let kept = Kept { info: self.info.clone(), tree: Arc::new(tree), source };
        let reserved = std::mem::take(&mut self.reserved);
        let mut state = self.store.lock();
        state.slices.insert(self.root, kept);
        state.space.stored(reserved);
        Ok(())
    }
}

/// The tree of what was written, if it is what was announced.
pub(super) fn finished(root: Hash, expected: u64, builder: TreeBuilder) -> Result<Tree, SliceError> {
    let found = builder.length();
    if found != expected {
        return Err(SliceError::WrongLength { root, expected, found });
    }
    let tree = builder.finish();
    if tree.root() == root { Ok(tree) } else { Err(SliceError::WrongRoot { expected: root, found: tree.root() }) }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.store.lock();
        state.space.unreserve(self.reserved);
        state.space.release(self.root);
    }
}
