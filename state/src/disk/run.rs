//! Rows of leaves on their way to disk: committed, and not in a table of RocksDB yet.
//!
//! RocksDB would keep them in order in one skip list: some eighteen comparisons for each row, each with memory that is in no cache. Of most of them nobody
//! asks before they are written, for the trie has what was changed lately. So they lie in many small maps, by the first bits of their paths: a row takes a
//! look at one of them, and all together, one after the other, are the table that is written.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::ops::RangeInclusive;

use primitives::Hash;

use crate::pair::Pair;

/// Maps: of sixty megabytes of rows, if the paths are as even as hashes are, each has a hundred.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 12;

/// What became of paths: a pair is there, or none.
type Part = BTreeMap<Hash, Option<Pair>>;

/// Rows, the later ones in the place of earlier ones.
pub(crate) struct Run {
    parts: Vec<Part>,
    bytes: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self { parts: vec![Part::new(); PARTS], bytes: 0 }
    }
}

fn part(path: &Hash) -> usize {
    usize::from(u16::from_be_bytes([path.0[0], path.0[1]]) >> (u16::BITS - PART_BITS))
}

fn bytes(pair: Option<&Pair>) -> u64 {
    (size_of::<(Hash, Option<Pair>)>() + pair.map_or(0, |pair| pair.row().len())) as u64
}

impl Run {
    /// About how much memory it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pair that is at `path` from here on, or that there is none.
    pub fn put(&mut self, path: Hash, pair: Option<Pair>) {
        self.bytes += bytes(pair.as_ref());
        if let Some(earlier) = self.parts[part(&path)].insert(path, pair) {
            self.bytes -= bytes(earlier.as_ref());
        }
    }

    /// What became of `path`, if the run says anything of it.
    pub fn find(&self, path: &Hash) -> Option<&Option<Pair>> {
        self.parts[part(path)].get(path)
    }

    /// All that it says of paths in `range`.
    pub fn within(&self, range: &RangeInclusive<Hash>) -> Vec<(Hash, Option<Pair>)> {
        let parts = &self.parts[part(range.start())..=part(range.end())];
        parts.iter().flat_map(|part| part.range(range.clone())).map(|(path, pair)| (*path, pair.clone())).collect()
    }

    /// All that it says, by path.
    pub fn rows(&self) -> impl Iterator<Item = (&Hash, Option<&Pair>)> {
        self.parts.iter().flatten().map(|(path, pair)| (path, pair.as_ref()))
    }
}

#[cfg(test)]
mod tests {
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
                let (path, pair) = (path(first, second & 0xf1), value.map(|value| Pair::new(&[first], &vec![value; usize::from(value)])));
                run.put(path, pair.clone());
                map.insert(path, pair);
            }
            let rows: Vec<_> = run.rows().map(|(path, pair)| (*path, pair.cloned())).collect();
            prop_assert_eq!(rows, map.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(run.bytes(), map.values().map(|pair| bytes(pair.as_ref())).sum::<u64>());
            for (path, pair) in &map {
                prop_assert_eq!(run.find(path), Some(pair));
            }
            prop_assert_eq!(run.find(&path(9, 9)), None);
            let range = path(from.0 % 4, from.1).min(path(to.0 % 4, to.1))..=path(from.0 % 4, from.1).max(path(to.0 % 4, to.1));
            prop_assert_eq!(run.within(&range), map.range(range).map(|(path, pair)| (*path, pair.clone())).collect::<Vec<_>>());
        }
    }
}
