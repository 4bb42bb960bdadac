//! The journal: what each sealed state changed, so that it can be done again after a crash, and undone to look at the past.
//!
//! States are numbered from 1 in the order of their commits; several that are committed at once have an entry each. An entry is kept until the state before
//! it is older than the store's history, or until later entries are larger than what history may take.

use std::collections::BTreeMap;

use borsh::BorshDeserialize;
use primitives::encoding::decode;

use super::read;
use super::store::Store;
use crate::pair::Pair;
use crate::rule::{self, StateRoot};
use crate::sealed::{Changed, Changes, Sealed, Written};

/// What a state changed: key, old value, new value.
#[derive(BorshDeserialize)]
struct Row(Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Why the past cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// It was never committed here, or it is older than what is kept.
    #[error("the state {root} is none of the last {kept} committed states, which are all that is kept: ask for a newer one, or keep a longer history")]
    Unknown {
        /// What was asked for.
        root: StateRoot,
        /// How many states can be looked at.
        kept: u64,
    },
}

/// The entry of what was changed, by path: the encoding of a list of [`Row`]s.
pub(crate) fn entry(changed: &[Changed]) -> Vec<u8> {
    let rows = changed.iter().map(|changed| (changed.key(), changed.old.as_ref().map(Pair::value), changed.new.as_ref().map(Pair::value)));
    let rows: Vec<_> = rows.collect();
    // Large enough from the first on: it would be copied each time that it grows.
    let mut entry = Vec::with_capacity(borsh::object_length(&rows).unwrap_or(0));
    borsh::to_writer(&mut entry, &rows).expect("memory takes what is written");
    entry
}

fn rows(entry: &[u8], sequence: u64) -> Result<Vec<Row>, String> {
    decode(entry, entry.len()).map_err(|error| format!("commit {sequence} in its journal is {error}"))
}

/// What an entry changed, by path.
pub(crate) fn changed(entry: &[u8], sequence: u64) -> Result<Vec<Changed>, String> {
    let each = |Row(key, old, new): Row| {
        let pair = |value: Vec<u8>| Pair::new(&key, &value);
        Changed { path: rule::path(&key), old: old.map(pair), new: new.map(pair) }
    };
    let changed: Vec<Changed> = rows(entry, sequence)?.into_iter().map(each).collect();
    let is_in_order = changed.windows(2).all(|pair| pair[0].path < pair[1].path);
    is_in_order.then_some(changed).ok_or_else(|| format!("commit {sequence} in its journal is not in order"))
}

impl Store {
    /// The committed state of `root`, which may be one of the past: as many as [`Tuning`](crate::Tuning) says can be looked at, while commits go on.
    ///
    /// Takes time and memory for what was changed since then. Two blocks with one root have one state.
    ///
    /// # Errors
    /// [`HistoryError`] if it is not kept.
    pub fn at(&self, root: &StateRoot) -> Result<Sealed, HistoryError> {
        let head = read(&self.head).clone();
        if head.sealed.root() == *root {
            return Ok(head.sealed);
        }
        let database = &self.shared.database;
        let unreadable = |cause: String| -> ! { database.failed("reading from", &cause) };
        let frozen = database.frozen();
        let commits = frozen.commits().unwrap_or_else(|cause| unreadable(cause));
        let target = commits.iter().rev().find(|commit| commit.root == *root && commit.sequence <= head.sequence);
        let target = target.ok_or(HistoryError::Unknown { root: *root, kept: commits.len() as u64 })?;
        let mut undone = Changes::new();
        for sequence in (target.sequence + 1..=head.sequence).rev() {
            let entry = frozen.entry(sequence).and_then(|entry| entry.ok_or_else(|| format!("commit {sequence} is not in its journal")));
            for Row(key, old, _) in entry.and_then(|entry| rows(&entry, sequence)).unwrap_or_else(|cause| unreadable(cause)) {
                undone.insert(rule::path(&key), Written { key, value: old });
            }
        }
        Ok(head.sealed.after(&undone))
    }

    /// Whether the state of `root` can be looked at. Costs little.
    pub fn reaches(&self, root: &StateRoot) -> bool {
        self.shared.database.commits().iter().any(|commit| commit.root == *root) || self.head().root() == *root
    }
}

/// The first entry to keep, if `history` entries up to the `last` may be kept and together have `bytes_max` bytes; `ends` are the journal's bytes up to and
/// with each entry, from the one before the first that is there.
pub(crate) fn first_kept(last: u64, history: u64, bytes_max: u64, ends: &BTreeMap<u64, u64>) -> u64 {
    let by_number = (last + 1).saturating_sub(history);
    let total = ends.get(&last).copied().unwrap_or(0);
    let by_bytes = ends.iter().find(|(_, end)| total.saturating_sub(**end) <= bytes_max).map_or(0, |(sequence, _)| sequence + 1);
    by_number.max(by_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept() {
        let ends = BTreeMap::from([(3, 100), (4, 110), (5, 130), (6, 131)]);
        assert_eq!([0, 1, 2, 3, 100].map(|history| first_kept(6, history, 1000, &ends)), [7, 6, 5, 4, 4]);
        assert_eq!([0, 1, 20, 21, 30, 31].map(|bytes| first_kept(6, 100, bytes, &ends)), [7, 6, 6, 5, 5, 4]);
        assert_eq!(first_kept(0, 10, 10, &BTreeMap::new()), 0);
    }
}
