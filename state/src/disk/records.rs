//! Records: what callers keep beside the state, in tables of their own: blocks, certificates, receipts, indexes.

use std::ops::Bound;

/// One write to one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The table. Each room that keeps records has a list of its tables.
    pub table: u8,
    /// The key in the table.
    pub key: Vec<u8>,
    /// The new value, or `None` to delete.
    pub value: Option<Vec<u8>>,
}

/// Which way an iteration goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Keys rise.
    Forward,
    /// Keys fall.
    Backward,
}

/// Where a record is in the column family.
pub(crate) fn row(table: u8, key: &[u8]) -> Vec<u8> {
    [&[table], key].concat()
}

/// The rows `lower <= row < upper` of the keys of `table` that start with `prefix` and lie on the far side of `from`; no upper end if `None`.
pub(crate) fn range(table: u8, prefix: &[u8], from: Bound<&[u8]>, direction: Direction) -> (Vec<u8>, Option<Vec<u8>>) {
    let lower = row(table, prefix);
    let upper = after_prefix(lower.clone());
    // The first row that is at or after `key`, and the first that is after it.
    let at = |key: &[u8]| row(table, key);
    let after = |key: &[u8]| [&[table], key, &[0]].concat();
    let end = match (direction, from) {
        (_, Bound::Unbounded) => return (lower, upper),
        (Direction::Forward, Bound::Included(key)) | (Direction::Backward, Bound::Excluded(key)) => at(key),
        (Direction::Forward, Bound::Excluded(key)) | (Direction::Backward, Bound::Included(key)) => after(key),
    };
    match direction {
        Direction::Forward => (lower.max(end), upper),
        Direction::Backward => (lower, Some(upper.map_or_else(|| end.clone(), |upper| upper.min(end.clone())))),
    }
}

/// The least byte string above all that start with `prefix`.
pub(crate) fn after_prefix(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}
