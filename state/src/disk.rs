//! The store: one directory, one RocksDB, one committed state at any moment.
//!
//! # Layout
//! ```text
//! FORMAT           text: what this is, version of the layout, chain id. Written first, never changed.
//! MADE             empty: db was made, so if it is not there it is lost
//! db/              RocksDB with the column families
//!   leaves         path -> key and value; sorted as the trie is
//!   keys           key -> nothing: for scans in the order of keys
//!   journal        number of a commit -> what it changed: key, old value, new value
//!   tops           first byte of a path -> the small subtrees there: where, hash, number of leaves
//!   records        table byte || key -> value: blocks, certificates, indexes of the callers
//!   meta           "head", "tops" -> a commit (number, state, bytes of journal so far): the last one, that of the tops; "commit " || number -> that commit;
//!                  "import" -> how far a state is that comes from elsewhere
//! table.new        leaves on their way into db
//! ```
//! A commit is a journal entry, records and the head in one synced batch. Leaves, keys and tops follow behind without a log of their own: leaves as whole
//! tables, before keys and tops, which are flushed together. So after a crash all leaves and keys up to "tops" are there and perhaps some later ones, and the
//! journal has them all. At start the trie is built from the tops and what the journal has after them, and must have the recorded root.

pub(crate) mod crash_point;

pub(crate) mod directory;

pub(crate) mod database;

pub(crate) mod import;

pub(crate) mod journal;

pub(crate) mod layer;

pub(crate) mod records;

pub(crate) mod run;

pub(crate) mod store;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

// What these locks guard is whole after each step that is made with it, so a thread that panicked while holding one spoiled nothing.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
