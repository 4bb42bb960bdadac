//! The hash of a slice: a BLAKE3 tree whose leaves, for us, are 16 KiB groups; ranges with proofs, verified as they arrive.
//!
//! The root is plain BLAKE3 of the slice, 32 bytes, carried in [`struct@Hash`] as a container: ledgers treat it as an opaque name. A range response is the
//! tree in pre-order over the groups asked for: at each inner node the hashes of both children (64 bytes), then the left part if it is asked for, then the
//! right; at a leaf the group's bytes. That is the format of the bao-tree crate with block size 4, which is the model in the tests. We do not call it: its
//! decoder pulls from a blocking reader, ours takes the bytes that the network has just brought, in pieces of any size.

use std::ops::Range;

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use primitives::Hash;

use crate::profile::index;

/// Bytes of a group: the unit of verification and of audits. The last of a slice may be shorter.
pub const GROUP_BYTES: u64 = 16 * 1024;

const GROUP: usize = 16 * 1024;
const _: () = assert!(GROUP as u64 == GROUP_BYTES);
const PAIR: usize = 64;

/// Number of groups of a slice: at least 1, as the empty slice too has a leaf.
pub const fn groups(length: u64) -> u64 {
    let groups = length.div_ceil(GROUP_BYTES);
    if groups == 0 { 1 } else { groups }
}

/// The groups that cover a byte range (cut at `length`); empty for an empty range.
pub fn groups_of(length: u64, bytes: Range<u64>) -> Range<u64> {
    let end = bytes.end.min(length);
    if bytes.start >= end { 0..0 } else { bytes.start / GROUP_BYTES..end.div_ceil(GROUP_BYTES) }
}

/// The bytes of a run of groups, cut at `length`.
pub fn bytes_of(length: u64, groups: Range<u64>) -> Range<u64> {
    (groups.start * GROUP_BYTES).min(length)..(groups.end * GROUP_BYTES).min(length)
}

/// The root of a slice that is in memory.
pub fn root(slice: &[u8]) -> Hash {
    Hash(*blake3::hash(slice).as_bytes())
}

/// The hash of group `group` as the tree has it: of a slice of one group, the root itself.
fn group_hash(group: u64, bytes: &[u8], is_only: bool) -> ChainingValue {
    if is_only {
        return *blake3::hash(bytes).as_bytes();
    }
    let mut hasher = Hasher::new();
    hasher.set_input_offset(group * GROUP_BYTES).update(bytes);
    hasher.finalize_non_root()
}

/// Groups under the left child of a node over `count` groups: the largest power of two below it.
const fn left_groups(count: u64) -> u64 {
    count.div_ceil(2).next_power_of_two()
}

/// The hashes of a slice's groups and all above them: what a holder keeps beside the slice to serve ranges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    length: u64,
    /// Level 0 is the groups; each next one the pairs of the level below, an odd last one carried up as it is. The last has one entry, the root.
    levels: Vec<Vec<ChainingValue>>,
}

impl Tree {
    /// The tree of a slice that is in memory.
    pub fn of(slice: &[u8]) -> Self {
        let mut builder = TreeBuilder::new();
        builder.update(slice);
        builder.finish()
    }

    /// The tree over stored group hashes. `None` if `hashes` has not 32 bytes per group of `length`. Compare [`Tree::root`]: nothing else is checked.
    pub fn from_hashes(length: u64, hashes: &[u8]) -> Option<Self> {
        let (leaves, rest) = hashes.as_chunks::<32>();
        (rest.is_empty() && leaves.len() as u64 == groups(length)).then(|| Self::from_groups(length, leaves.to_vec()))
    }

    fn from_groups(length: u64, leaves: Vec<ChainingValue>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let is_top = below.len() == 2;
            let merge = |pair: &[ChainingValue]| match pair {
                [left, right] => parent(left, right, is_top),
                _ => pair[0],
            };
            levels.push(below.chunks(2).map(merge).collect());
        }
        Self { length, levels }
    }

    /// The 32 bytes per group from which [`Tree::from_hashes`] makes it again.
    pub fn hashes(&self) -> Vec<u8> {
        self.levels[0].concat()
    }

    /// The slice's root.
    pub fn root(&self) -> Hash {
        Hash(self.levels[self.levels.len() - 1][0])
    }

    /// The slice's length in bytes.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Whether `bytes` are those of group `group`.
    pub fn is_group(&self, group: u64, bytes: &[u8]) -> bool {
        let range = bytes_of(self.length, group..group.saturating_add(1));
        range.end - range.start == bytes.len() as u64
            && self.levels[0].get(index(group)).is_some_and(|hash| *hash == group_hash(group, bytes, self.levels.len() == 1))
    }

    /// The hash of the node over the groups `range`: a subtree of a left-balanced tree, so its level is that of its width.
    fn node(&self, range: &Range<u64>) -> &ChainingValue {
        let level = (range.end - range.start).next_power_of_two().trailing_zeros();
        &self.levels[index(u64::from(level))][index(range.start >> level)]
    }
}

fn parent(left: &ChainingValue, right: &ChainingValue, is_root: bool) -> ChainingValue {
    if is_root { *merge_subtrees_root(left, right, Mode::Hash).as_bytes() } else { merge_subtrees_non_root(left, right, Mode::Hash) }
}

/// Makes a [`Tree`] from bytes as they arrive, in pieces of any size. Keeps the group hashes and the state of one group.
pub struct TreeBuilder {
    leaves: Vec<ChainingValue>,
    current: Hasher,
    current_bytes: usize,
    length: u64,
}

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TreeBuilder {
    /// Of an empty slice, so far.
    pub fn new() -> Self {
        Self { leaves: Vec::new(), current: Hasher::new(), current_bytes: 0, length: 0 }
    }

    /// Bytes taken so far.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // A full group is closed only when more follows: were it the only one, its hash would be the root's.
            if self.current_bytes == GROUP {
                self.leaves.push(self.current.finalize_non_root());
                self.current = Hasher::new();
                self.current.set_input_offset(self.length);
                self.current_bytes = 0;
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(GROUP - self.current_bytes));
            self.current.update(piece);
            self.current_bytes += piece.len();
            self.length += piece.len() as u64;
            bytes = rest;
        }
    }

    /// The tree of all that came.
    pub fn finish(mut self) -> Tree {
        let last = if self.leaves.is_empty() { *self.current.finalize().as_bytes() } else { self.current.finalize_non_root() };
        self.leaves.push(last);
        Tree::from_groups(self.length, self.leaves)
    }
}

/// One step of a range response, in the order in which it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The hashes of an inner node's children.
    Pair([u8; PAIR]),
    /// The bytes of this group.
    Group(u64),
}

/// Where a range response stands: a holder reads and sends it step by step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Steps {
    wanted: Range<u64>,
    stack: Vec<Range<u64>>,
}

impl Steps {
    /// For a run of groups (cut at the end) of a slice of `length` bytes. Nothing for an empty run.
    pub fn new(length: u64, wanted: Range<u64>) -> Self {
        let count = groups(length);
        let wanted = wanted.start..wanted.end.min(count);
        let stack = (wanted.start < wanted.end).then_some(0..count).into_iter().collect();
        Self { wanted, stack }
    }

    /// The next step, from the tree of the slice that it was made for; `None` after the last.
    pub fn next(&mut self, tree: &Tree) -> Option<Step> {
        let node = self.stack.pop()?;
        if node.end - node.start == 1 {
            return Some(Step::Group(node.start));
        }
        let (left, right) = halves(&node);
        let mut pair = [0; PAIR];
        pair[..32].copy_from_slice(tree.node(&left));
        pair[32..].copy_from_slice(tree.node(&right));
        self.stack.extend([right, left].into_iter().filter(|half| overlap(half, &self.wanted)));
        Some(Step::Pair(pair))
    }
}

/// Both halves of a node's groups.
fn halves(node: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let middle = node.start + left_groups(node.end - node.start);
    (node.start..middle, middle..node.end)
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The number of bytes of the response for a run of groups of a slice of `length` bytes: known to both sides before it begins.
pub fn response_bytes(length: u64, wanted: Range<u64>) -> u64 {
    fn pairs(node: Range<u64>, wanted: &Range<u64>) -> u64 {
        if node.end - node.start <= 1 || !overlap(&node, wanted) {
            return 0;
        }
        if wanted.start <= node.start && node.end <= wanted.end {
            return node.end - node.start - 1;
        }
        let (left, right) = halves(&node);
        1 + pairs(left, wanted) + pairs(right, wanted)
    }
    let count = groups(length);
    let wanted = wanted.start..wanted.end.min(count);
    if wanted.start >= wanted.end {
        return 0;
    }
    let bytes = bytes_of(length, wanted.clone());
    bytes.end - bytes.start + PAIR as u64 * pairs(0..count, &wanted)
}

/// Why a range response is not what its root says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The bytes of a group do not have the hash that the tree gives it.
    #[error("group {group} of slice {root} is not genuine")]
    Group {
        /// The slice.
        root: Hash,
        /// Which group.
        group: u64,
    },
    /// The hashes at a node over these groups do not have the hash above them.
    #[error("the hashes over groups {first} to {last} of slice {root} are not genuine")]
    Pair {
        /// The slice.
        root: Hash,
        /// First group under the node.
        first: u64,
        /// Last group under the node.
        last: u64,
    },
    /// Bytes after the end of the response.
    #[error("{extra} bytes after the end of the response for slice {root}")]
    TooLong {
        /// The slice.
        root: Hash,
        /// Bytes beyond the last group.
        extra: usize,
    },
}

/// Verifies a range response as it arrives. Hands out a group only when its hash agrees with the root; holds at most one group and one path.
///
/// After an error it takes nothing more and repeats the error.
pub struct Verifier {
    root: Hash,
    length: u64,
    wanted: Range<u64>,
    stack: Vec<(Range<u64>, ChainingValue)>,
    pending: Vec<u8>,
    failed: Option<RangeError>,
}

impl Verifier {
    /// For a run of groups (cut at the end) of a slice of `length` bytes, both known from its manifest.
    pub fn new(root: Hash, length: u64, wanted: Range<u64>) -> Self {
        let count = groups(length);
        let wanted = wanted.start..wanted.end.min(count);
        let stack = (wanted.start < wanted.end).then_some((0..count, root.0)).into_iter().collect();
        Self { root, length, wanted, stack, pending: Vec::new(), failed: None }
    }

    /// Whether every group has been handed out.
    pub fn is_complete(&self) -> bool {
        self.stack.is_empty() && self.failed.is_none()
    }

    /// Takes the next bytes of the response and gives each group that they complete to `sink`, in order, with the place of its first byte in the slice.
    /// An empty slice, whose response is empty too, is complete after the first push.
    ///
    /// # Errors
    /// [`RangeError`] at the first wrong hash or surplus byte. Groups given before it are genuine.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(u64, &[u8])) -> Result<(), RangeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance(bytes, &mut sink);
        self.failed = result.err();
        result
    }

    fn advance(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(u64, &[u8])) -> Result<(), RangeError> {
        loop {
            let Some((node, _)) = self.stack.last() else {
                return if bytes.is_empty() { Ok(()) } else { Err(RangeError::TooLong { root: self.root, extra: bytes.len() }) };
            };
            let is_group = node.end - node.start == 1;
            let place = bytes_of(self.length, node.clone());
            let need = if is_group { index(place.end - place.start) } else { PAIR };
            // Whole items are read where they lie; only one that is split between two pieces is gathered.
            if self.pending.is_empty() && bytes.len() >= need {
                let (item, rest) = bytes.split_at(need);
                self.take(item, sink)?;
                bytes = rest;
                continue;
            }
            let (more, rest) = bytes.split_at(bytes.len().min(need - self.pending.len()));
            self.pending.extend_from_slice(more);
            bytes = rest;
            if self.pending.len() < need {
                return Ok(());
            }
            let mut item = std::mem::take(&mut self.pending);
            self.take(&item, sink)?;
            item.clear();
            self.pending = item;
        }
    }

    /// Checks one whole item against the node on top of the stack.
    fn take(&mut self, item: &[u8], sink: &mut impl FnMut(u64, &[u8])) -> Result<(), RangeError> {
        let (node, hash) = self.stack.pop().expect("the caller looked at the top");
        let is_root = node.end - node.start == groups(self.length);
        if node.end - node.start == 1 {
            if group_hash(node.start, item, is_root) != hash {
                return Err(RangeError::Group { root: self.root, group: node.start });
            }
            sink(node.start * GROUP_BYTES, item);
            return Ok(());
        }
        let (mut left_hash, mut right_hash) = ([0; 32], [0; 32]);
        left_hash.copy_from_slice(&item[..32]);
        right_hash.copy_from_slice(&item[32..]);
        if parent(&left_hash, &right_hash, is_root) != hash {
            return Err(RangeError::Pair { root: self.root, first: node.start, last: node.end - 1 });
        }
        let (left, right) = halves(&node);
        self.stack.extend([(right, right_hash), (left, left_hash)].into_iter().filter(|(half, _)| overlap(half, &self.wanted)));
        Ok(())
    }
}

/// The whole response for a run of groups of a slice that is in memory.
pub fn respond(tree: &Tree, slice: &[u8], wanted: Range<u64>) -> Vec<u8> {
    let mut response = Vec::with_capacity(index(response_bytes(tree.length, wanted.clone())));
    let mut steps = Steps::new(tree.length, wanted);
    while let Some(step) = steps.next(tree) {
        match step {
            Step::Pair(pair) => response.extend_from_slice(&pair),
            Step::Group(group) => {
                let place = bytes_of(tree.length, group..group + 1);
                response.extend_from_slice(&slice[index(place.start)..index(place.end)]);
            }
        }
    }
    response
}

#[cfg(test)]
mod tests;
