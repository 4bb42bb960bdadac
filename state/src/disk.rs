//! The store: one directory, one RocksDB, one committed state at any moment.
//!
//! # Layout
//! ```text
//! FORMAT           text: what this is, version of the layout, chain id. Written first, never changed.
//! db/              RocksDB with the column families
//!   values         raw key -> value
//!   leaves         path -> digest of the value (32 bytes) || raw key; sorted as the trie is
//!   records        table byte || key -> value: blocks, certificates, indexes of the callers
//!   meta           "head" -> the committed StateRoot
//! ```
//! At start the trie is built from `leaves` and must have the recorded root.

pub(crate) mod directory;

pub(crate) mod database;

pub(crate) mod layer;

pub(crate) mod records;

pub(crate) mod store;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

// What these locks guard is replaced whole and never left half changed, so a thread that panicked while holding one spoiled nothing.

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
