//! The trie in memory: the committed function kept up to date, as a persistent tree whose versions share what they have in common.
//!
//! A path-compressed binary trie: a fork stands only where two paths part, so n leaves have n - 1 forks whatever the history. Nothing is changed in place:
//! [`Trie::apply`] gives a new trie and the old one stays as it was.

use std::ops::RangeInclusive;
use std::sync::Arc;

use primitives::Hash;

use crate::proof::{End, Proof, Step};
use crate::pruned::{self, Piece};
use crate::rule::{self, StateRoot};

/// One version of the tree. Cloning copies a pointer.
#[derive(Clone, Default)]
pub(crate) struct Trie {
    top: Option<Arc<Node>>,
}

enum Node {
    Leaf(Leaf),
    Fork(Fork),
}

/// The end of one path.
pub(crate) struct Leaf {
    path: Hash,
    digest: Hash,
    hash: Hash,
    /// The pair itself, in a state without a disk.
    pair: Option<Arc<Pair>>,
}

/// A key and its value.
pub(crate) struct Pair {
    pub key: Box<[u8]>,
    pub value: Box<[u8]>,
}

struct Fork {
    /// The first bit in which the leaves below differ.
    bit: u8,
    /// The bits before `bit`, which all leaves below share; zeros from there on.
    prefix: Hash,
    hash: Hash,
    leaves: u64,
    left: Arc<Node>,
    right: Arc<Node>,
}

/// What happens to one path: a leaf takes its place, or it goes.
pub(crate) struct Change {
    path: Hash,
    leaf: Option<Arc<Node>>,
}

impl Change {
    /// The leaf of `digest` at `path`, with the pair itself if it shall live in the trie.
    pub fn put(path: Hash, digest: Hash, pair: Option<Arc<Pair>>) -> Self {
        Self { path, leaf: Some(Arc::new(Node::Leaf(Leaf { path, digest, hash: rule::leaf(&path, &digest), pair }))) }
    }

    /// No leaf at `path`.
    pub fn delete(path: Hash) -> Self {
        Self { path, leaf: None }
    }
}

impl Leaf {
    /// The pair, if it lives in the trie.
    pub fn pair(&self) -> Option<&Pair> {
        self.pair.as_deref()
    }
}

impl Node {
    fn path(&self) -> &Hash {
        match self {
            Self::Leaf(leaf) => &leaf.path,
            Self::Fork(fork) => &fork.prefix,
        }
    }

    fn hash(&self) -> Hash {
        match self {
            Self::Leaf(leaf) => leaf.hash,
            Self::Fork(fork) => fork.hash,
        }
    }

    fn leaves(&self) -> u64 {
        match self {
            Self::Leaf(_) => 1,
            Self::Fork(fork) => fork.leaves,
        }
    }
}

impl Fork {
    /// The child on the side of `path`, and the other one.
    fn sides(&self, path: &Hash) -> (&Node, &Node) {
        if rule::is_set(path, self.bit) { (&self.right, &self.left) } else { (&self.left, &self.right) }
    }
}

impl Trie {
    /// The committed root and the number of leaves.
    pub fn root(&self) -> StateRoot {
        self.top.as_ref().map_or(StateRoot::EMPTY, |top| StateRoot { root: top.hash(), leaves: top.leaves() })
    }

    /// The leaf at exactly this path.
    pub fn find(&self, path: &Hash) -> Option<&Leaf> {
        self.search(path, |_, _| ()).filter(|leaf| leaf.path == *path)
    }

    /// The proof of what is at `path`: its leaf, or the one leaf that shows there is none.
    pub fn prove(&self, path: &Hash) -> Proof {
        let mut steps = Vec::new();
        let end = match self.search(path, |bit, sibling| steps.push(Step { bit, sibling })) {
            None => End::Nothing,
            Some(leaf) if leaf.path == *path => End::Key,
            Some(leaf) => End::Other { path: leaf.path, digest: leaf.digest },
        };
        steps.reverse();
        Proof { version: rule::VERSION, end, steps }
    }

    /// The tree folded but for the searches for `paths`, which are distinct.
    pub fn prove_many(&self, paths: &[Hash]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if let Some(top) = &self.top {
            unfold(top, &paths.iter().collect::<Vec<_>>(), &mut pieces);
        }
        pieces
    }

    /// The tree folded outside of `range`, but for what shows where the folded sides lie.
    pub fn prove_range(&self, range: &RangeInclusive<Hash>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if let Some(top) = &self.top {
            unfold_range(top, range, &mut pieces);
        }
        pieces
    }

    /// All leaves, by path.
    pub fn leaves(&self) -> Vec<&Leaf> {
        let mut leaves = Vec::new();
        let mut ahead: Vec<&Node> = self.top.as_deref().into_iter().collect();
        while let Some(node) = ahead.pop() {
            match node {
                Node::Leaf(leaf) => leaves.push(leaf),
                Node::Fork(fork) => ahead.extend([&*fork.right, &*fork.left]),
            }
        }
        leaves
    }

    /// The tree after `changes`, which are sorted by path and name each path once.
    pub fn apply(&self, changes: &[Change]) -> Self {
        Self { top: self.top.as_ref().map_or_else(|| build(changes), |top| merge(top, changes)) }
    }

    /// Walks down along the bits of `path` to a leaf, and shows each fork's bit and the hash of the side not taken.
    fn search(&self, path: &Hash, mut passed: impl FnMut(u8, Hash)) -> Option<&Leaf> {
        let mut node: &Node = self.top.as_deref()?;
        loop {
            match node {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Fork(fork) => {
                    let (taken, other) = fork.sides(path);
                    passed(fork.bit, other.hash());
                    node = taken;
                }
            }
        }
    }
}

/// Lists a subtree for [`MultiProof`](crate::MultiProof).
fn unfold(node: &Node, paths: &[&Hash], pieces: &mut Vec<Piece>) {
    match node {
        _ if paths.is_empty() => pieces.push(Piece::Folded(node.hash())),
        Node::Leaf(leaf) if paths.contains(&&leaf.path) => pieces.push(Piece::Pair),
        Node::Leaf(leaf) => pieces.push(Piece::Other { path: leaf.path, digest: leaf.digest }),
        Node::Fork(fork) => {
            pieces.push(Piece::Fork(fork.bit));
            let (right, left): (Vec<&Hash>, Vec<&Hash>) = paths.iter().partition(|path| rule::is_set(path, fork.bit));
            unfold(&fork.left, &left, pieces);
            unfold(&fork.right, &right, pieces);
        }
    }
}

/// Lists a subtree for [`RangeProof`](crate::RangeProof). Sides that can hold nothing in the range are folded; if both are, the leaf is shown at which the search for
/// the range's start ends.
fn unfold_range(node: &Node, range: &RangeInclusive<Hash>, pieces: &mut Vec<Piece>) {
    match node {
        Node::Leaf(leaf) if range.contains(&leaf.path) => pieces.push(Piece::Pair),
        Node::Leaf(leaf) => pieces.push(Piece::Other { path: leaf.path, digest: leaf.digest }),
        Node::Fork(fork) => {
            pieces.push(Piece::Fork(fork.bit));
            let outside = [false, true].map(|is_right| pruned::is_outside(&fork.prefix, fork.bit, is_right, range));
            let shown = outside.iter().all(|is_outside| *is_outside).then(|| rule::is_set(range.start(), fork.bit));
            for (side, is_right) in [(&fork.left, false), (&fork.right, true)] {
                if outside[usize::from(is_right)] && shown != Some(is_right) {
                    pieces.push(Piece::Folded(side.hash()));
                } else {
                    unfold_range(side, range, pieces);
                }
            }
        }
    }
}

/// The subtree of the leaves that `changes` put.
fn build(changes: &[Change]) -> Option<Arc<Node>> {
    match changes {
        [] => None,
        [only] => only.leaf.clone(),
        [first, .., last] => {
            let bit = rule::fork(&first.path, &last.path).expect("paths are sorted and distinct");
            let (left, right) = split(changes, bit);
            join(bit, build(left), build(right))
        }
    }
}

/// The subtree `node` after `changes`. Every change shares with the node the bits above it, or parts from it at a place where a new fork belongs.
fn merge(node: &Arc<Node>, changes: &[Change]) -> Option<Arc<Node>> {
    let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
        return Some(Arc::clone(node));
    };
    // The changes are sorted, so the first or the last of them parts earliest from the node.
    let parting = [first, last].into_iter().filter_map(|change| rule::fork(node.path(), &change.path)).min();
    match &**node {
        Node::Fork(fork) if parting.is_none_or(|bit| bit >= fork.bit) => {
            let (left, right) = split(changes, fork.bit);
            let (left, right) = (merge(&fork.left, left), merge(&fork.right, right));
            let is_same = |new: &Option<Arc<Node>>, old| new.as_ref().is_some_and(|new| Arc::ptr_eq(new, old));
            if is_same(&left, &fork.left) && is_same(&right, &fork.right) { Some(Arc::clone(node)) } else { join(fork.bit, left, right) }
        }
        Node::Leaf(_) | Node::Fork(_) => match parting {
            Some(bit) => {
                let (left, right) = split(changes, bit);
                let is_right = rule::is_set(node.path(), bit);
                let (near, far) = if is_right { (merge(node, right), build(left)) } else { (merge(node, left), build(right)) };
                if is_right { join(bit, far, near) } else { join(bit, near, far) }
            }
            // Only a leaf comes here, and its path is the path of the one change.
            None if first.leaf.as_ref().is_some_and(|leaf| leaf.hash() == node.hash()) => Some(Arc::clone(node)),
            None => first.leaf.clone(),
        },
    }
}

fn split(changes: &[Change], bit: u8) -> (&[Change], &[Change]) {
    changes.split_at(changes.partition_point(|change| !rule::is_set(&change.path, bit)))
}

/// Two subtrees whose paths first differ in `bit`, or the one there is.
fn join(bit: u8, left: Option<Arc<Node>>, right: Option<Arc<Node>>) -> Option<Arc<Node>> {
    match (left, right) {
        (Some(left), Some(right)) => {
            let hash = rule::node(bit, &left.hash(), &right.hash());
            let leaves = left.leaves() + right.leaves();
            Some(Arc::new(Node::Fork(Fork { bit, prefix: rule::prefix(left.path(), bit), hash, leaves, left, right })))
        }
        (one, None) => one,
        (None, other) => other,
    }
}

#[cfg(test)]
mod tests;
