//! Rows of leaves on their way to disk: committed, and not in a table of RocksDB yet.
//!
//! RocksDB would keep them in order from the first on, in a skip list: some eighteen comparisons for each row, each with memory that is in no cache. But of
//! most nobody asks before they are written, for the trie has what was changed lately. So a row goes to the end of one of many small parts, by the first bits of its path; paths are
//! hashes, so the parts grow alike. Who asks looks through one part. When the run is written each part is sorted, and the whole is one table.

use std::mem::size_of;
use std::ops::RangeInclusive;

use primitives::Hash;

use crate::pair::Pair;

/// Parts: of sixteen megabytes of rows each has some twenty.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 12;

/// What became of one path.
type Row = (Hash, Option<Pair>);

/// Rows, the later ones in the place of earlier ones.
pub(crate) struct Run {
    parts: Vec<Vec<Row>>,
    bytes: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self { parts: vec![Vec::new(); PARTS], bytes: 0 }
    }
}

fn part(path: &Hash) -> usize {
    usize::from(u16::from_be_bytes([path.0[0], path.0[1]]) >> (u16::BITS - PART_BITS))
}

impl Run {
    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The pair that is at `path` from here on, or that there is none.
    pub fn put(&mut self, path: Hash, pair: Option<Pair>) {
        self.bytes += size_of::<Row>() + pair.as_ref().map_or(0, |pair| pair.row().len());
        self.parts[part(&path)].push((path, pair));
    }

    /// What became of `path`, if the run says anything of it.
    pub fn find(&self, path: &Hash) -> Option<&Option<Pair>> {
        self.parts[part(path)].iter().rev().find(|(own, _)| own == path).map(|(_, pair)| pair)
    }

    /// All that it says of paths in `range`, the newest first.
    pub fn within(&self, range: &RangeInclusive<Hash>) -> Vec<Row> {
        let parts = &self.parts[part(range.start())..=part(range.end())];
        parts.iter().flat_map(|part| part.iter().rev()).filter(|(path, _)| range.contains(path)).cloned().collect()
    }

    /// What became of each path, by path.
    pub fn sorted(&self) -> impl Iterator<Item = (&Hash, Option<&Pair>)> {
        self.parts.iter().flat_map(|part| {
            let mut rows: Vec<&Row> = part.iter().rev().collect();
            // Stable, so of one path the newest stays the first.
            rows.sort_by_key(|(path, _)| path);
            rows.dedup_by_key(|(path, _)| path);
            rows.into_iter().map(|(path, pair)| (path, pair.as_ref()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn path(first: u8, second: u8) -> Hash {
        let mut path = Hash([7; 32]);
        (path.0[0], path.0[1]) = (first, second);
        path
    }

    proptest! {
        /// A run answers as a map does.
        #[test]
        fn as_a_map(rows in proptest::collection::vec((0..4_u8, any::<u8>(), proptest::option::of(any::<u8>())), 0..60), from in any::<(u8, u8)>(), to in any::<(u8, u8)>()) {
            let (mut run, mut map) = (Run::default(), BTreeMap::new());
            for (first, second, value) in rows {
                let (path, pair) = (path(first, second & 0xf1), value.map(|value| Pair::new(&[first], &[value])));
                run.put(path, pair.clone());
                map.insert(path, pair);
            }
            let sorted: Vec<_> = run.sorted().map(|(path, pair)| (*path, pair.cloned())).collect();
            prop_assert_eq!(sorted, map.clone().into_iter().collect::<Vec<_>>());
            for (path, pair) in &map {
                prop_assert_eq!(run.find(path), Some(pair));
            }
            prop_assert_eq!(run.find(&path(9, 9)), None);
            let range = path(from.0 % 4, from.1).min(path(to.0 % 4, to.1))..=path(from.0 % 4, from.1).max(path(to.0 % 4, to.1));
            let mut within = BTreeMap::new();
            run.within(&range).into_iter().for_each(|(path, pair)| {
                within.entry(path).or_insert(pair);
            });
            prop_assert_eq!(within, map.range(range).map(|(path, pair)| (*path, pair.clone())).collect());
        }
    }
}
