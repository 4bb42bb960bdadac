//! The mountain range over past headers: any old block is log n hashes from the tip.
//!
//! A Merkle mountain range keeps one perfect binary tree per bit set in the number of leaves. Appending merges equal trees from the right, like a binary
//! counter. The state keeps the peaks (at most 64 hashes); the summary carries the root over them.
//! Source: P. Todd, "Merkle Mountain Ranges" (2012).

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

/// The peaks of a mountain range.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Range {
    /// Leaves so far.
    pub count: u64,
    /// One root per set bit of `count`, largest tree first.
    pub peaks: Vec<Hash>,
}

impl Range {
    /// Adds the next leaf.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = Hash::raw(&[&[0], leaf.as_bytes()]);
        for _ in 0..self.count.trailing_ones() {
            let left = self.peaks.pop().expect("one peak for each set bit of the count");
            node = Hash::raw(&[&[1], left.as_bytes(), node.as_bytes()]);
        }
        self.peaks.push(node);
        self.count = self.count.saturating_add(1);
    }

    /// The root: count and peaks under one hash.
    pub fn root(&self) -> Hash {
        Hash::of_value("history", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(leaves: &[Hash]) -> Hash {
        match leaves {
            [leaf] => Hash::raw(&[&[0], leaf.as_bytes()]),
            _ => {
                let (left, right) = leaves.split_at(leaves.len() / 2);
                Hash::raw(&[&[1], tree(left).as_bytes(), tree(right).as_bytes()])
            }
        }
    }

    #[test]
    fn peaks_are_the_perfect_trees_of_the_binary_count() {
        let leaves: Vec<Hash> = (0..100u8).map(|n| Hash([n; 32])).collect();
        let mut range = Range::default();
        for count in 1..=leaves.len() {
            range.append(leaves[count - 1]);
            let (mut start, mut expected) = (0, Vec::new());
            for bit in (0..8).rev().filter(|bit| count & (1 << bit) != 0) {
                expected.push(tree(&leaves[start..start + (1 << bit)]));
                start += 1 << bit;
            }
            assert_eq!(range, Range { count: count as u64, peaks: expected });
        }
    }
}
