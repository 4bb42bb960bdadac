//! The trie in memory: the committed function kept up to date, as a persistent tree whose versions share what they have in common.
//!
//! A path-compressed binary trie: a fork stands only where two paths part, so n leaves have n - 1 forks whatever the history. Nothing is changed in place:
//! [`Trie::apply`] gives a new trie and the old one stays as it was.
//!
//! A small subtree that nobody has touched for long can be a *stub*: its hash, its number of leaves and where it lies. What it holds is on disk; a [`Source`]
//! brings it back when something in it changes or is proved, and it must have the stub's hash. So memory is bounded by a budget and not by the number of keys.

use std::ops::RangeInclusive;
use std::sync::Arc;

use primitives::Hash;

use crate::proof::{End, Proof, Step};
use crate::pruned::{self, Piece};
use crate::rule::{self, StateRoot};

/// Most leaves of a stub: what one read of neighbouring rows brings back.
pub(crate) const STUB_LEAVES_MAX: u64 = 16;

/// Bytes that a fork takes: its node and its counters.
const FORK_BYTES: u64 = 160;
/// Bytes that a stub takes.
const STUB_BYTES: u64 = 104;
/// Bytes that a leaf takes beside its key and value: three hashes, two counters for each of two allocations, two lengths.
const LEAF_BYTES: u64 = 200;

/// One version of the tree. Cloning copies a pointer.
#[derive(Clone, Default)]
pub(crate) struct Trie {
    top: Option<Arc<Node>>,
}

enum Node {
    Leaf(Leaf),
    Fork(Fork),
    Stub(Span),
}

/// The end of one path.
pub(crate) struct Leaf {
    path: Hash,
    digest: Hash,
    hash: Hash,
    /// The pair itself; where it is not, it is on disk.
    pair: Option<Arc<Pair>>,
}

/// A key and its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub key: Box<[u8]>,
    pub value: Box<[u8]>,
}

/// What a fork or a stub says of the leaves below.
#[derive(Clone, Copy)]
struct Span {
    /// The first bit in which they differ.
    bit: u8,
    /// The bits before `bit`, which they share; zeros from there on.
    prefix: Hash,
    hash: Hash,
    leaves: u64,
}

struct Fork {
    span: Span,
    /// When it was made.
    birth: u64,
    /// Memory of everything below and of itself.
    bytes: u64,
    left: Arc<Node>,
    right: Arc<Node>,
}

/// What happens to one path: a leaf takes its place, or it goes.
pub(crate) struct Change {
    path: Hash,
    leaf: Option<Arc<Node>>,
}

/// What brings stubs back: the pairs of one state, on disk.
pub(crate) trait Source {
    /// All pairs whose paths lie in `range`, in the order of their paths.
    fn pairs(&self, range: &RangeInclusive<Hash>) -> Vec<(Hash, Arc<Pair>)>;

    /// The pair at `path`.
    fn pair(&self, path: &Hash) -> Option<Arc<Pair>>;

    /// The end: what the source gave is not what was there.
    fn is_broken(&self) -> !;
}

/// The source of a tree without stubs.
pub(crate) struct Whole;

impl Source for Whole {
    fn pairs(&self, _: &RangeInclusive<Hash>) -> Vec<(Hash, Arc<Pair>)> {
        Vec::new()
    }

    fn pair(&self, _: &Hash) -> Option<Arc<Pair>> {
        None
    }

    fn is_broken(&self) -> ! {
        unreachable!("a tree in memory has no stubs")
    }
}

/// Where a search ends.
pub(crate) enum Found<'a> {
    /// The tree is empty.
    Nothing,
    /// At this leaf, which may be another one's.
    Leaf(&'a Leaf),
    /// At a stub: whether the path is there, the source knows.
    Stub,
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

    /// The leaf of a pair.
    pub fn of(path: Hash, pair: Arc<Pair>) -> Self {
        Self::put(path, rule::digest(&pair.value), Some(pair))
    }
}

impl Leaf {
    /// Where it is.
    pub fn path(&self) -> &Hash {
        &self.path
    }

    /// The pair, if it lives in the trie.
    pub fn pair(&self) -> Option<&Arc<Pair>> {
        self.pair.as_ref()
    }
}

impl Span {
    fn range(&self) -> RangeInclusive<Hash> {
        let (mut last, byte) = (self.prefix, usize::from(self.bit / 8));
        last.0[byte] |= 0xff >> (self.bit % 8);
        last.0[byte + 1..].fill(0xff);
        self.prefix..=last
    }
}

impl Node {
    fn path(&self) -> &Hash {
        match self {
            Self::Leaf(leaf) => &leaf.path,
            Self::Fork(fork) => &fork.span.prefix,
            Self::Stub(span) => &span.prefix,
        }
    }

    fn hash(&self) -> Hash {
        match self {
            Self::Leaf(leaf) => leaf.hash,
            Self::Fork(fork) => fork.span.hash,
            Self::Stub(span) => span.hash,
        }
    }

    fn leaves(&self) -> u64 {
        match self {
            Self::Leaf(_) => 1,
            Self::Fork(fork) => fork.span.leaves,
            Self::Stub(span) => span.leaves,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Leaf(leaf) => LEAF_BYTES + leaf.pair.as_ref().map_or(0, |pair| (pair.key.len() + pair.value.len()) as u64),
            Self::Fork(fork) => fork.bytes,
            Self::Stub(_) => STUB_BYTES,
        }
    }
}

impl Fork {
    /// The child on the side of `path`, and the other one.
    fn sides(&self, path: &Hash) -> (&Arc<Node>, &Arc<Node>) {
        if rule::is_set(path, self.span.bit) { (&self.right, &self.left) } else { (&self.left, &self.right) }
    }
}

impl Trie {
    /// The committed root and the number of leaves.
    pub fn root(&self) -> StateRoot {
        self.top.as_ref().map_or(StateRoot::EMPTY, |top| StateRoot { root: top.hash(), leaves: top.leaves() })
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> u64 {
        self.top.as_ref().map_or(0, |top| top.bytes())
    }

    /// Where the search for `path` ends.
    pub fn find(&self, path: &Hash) -> Found<'_> {
        let Some(mut node) = self.top.as_ref() else { return Found::Nothing };
        loop {
            match &**node {
                Node::Leaf(leaf) => return Found::Leaf(leaf),
                Node::Fork(fork) => node = fork.sides(path).0,
                Node::Stub(_) => return Found::Stub,
            }
        }
    }

    /// The proof of what is at `path`: its leaf, or the one leaf that shows there is none.
    pub fn prove(&self, path: &Hash, source: &dyn Source) -> Proof {
        let mut steps = Vec::new();
        let mut next = self.top.clone();
        let end = loop {
            let Some(node) = next else { break End::Nothing };
            next = match &*node {
                Node::Leaf(leaf) if leaf.path == *path => break End::Key,
                Node::Leaf(leaf) => break End::Other { path: leaf.path, digest: leaf.digest },
                Node::Fork(fork) => {
                    let (taken, other) = fork.sides(path);
                    steps.push(Step { bit: fork.span.bit, sibling: other.hash() });
                    Some(Arc::clone(taken))
                }
                Node::Stub(span) => Some(bring(span, source, 0)),
            };
        };
        steps.reverse();
        Proof { version: rule::VERSION, end, steps }
    }

    /// The tree folded but for the searches for `paths`, which are distinct.
    pub fn prove_many(&self, paths: &[Hash], source: &dyn Source) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if let Some(top) = &self.top {
            unfold(top, &paths.iter().collect::<Vec<_>>(), source, &mut pieces);
        }
        pieces
    }

    /// The tree folded outside of `range`, but for what shows where the folded sides lie.
    pub fn prove_range(&self, range: &RangeInclusive<Hash>, source: &dyn Source) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if let Some(top) = &self.top {
            unfold_range(top, range, source, &mut pieces);
        }
        pieces
    }

    /// All leaves, by path, of a tree without stubs.
    pub fn leaves(&self) -> Vec<&Leaf> {
        let mut leaves = Vec::new();
        let mut ahead: Vec<&Node> = self.top.as_deref().into_iter().collect();
        while let Some(node) = ahead.pop() {
            match node {
                Node::Leaf(leaf) => leaves.push(leaf),
                Node::Fork(fork) => ahead.extend([&*fork.right, &*fork.left]),
                Node::Stub(_) => {}
            }
        }
        leaves
    }

    /// The tree after `changes`, which are sorted by path and name each path once; and for each of them the pair that was there. `birth` is now.
    pub fn apply(&self, changes: &[Change], source: &dyn Source, birth: u64) -> (Self, Vec<Option<Arc<Pair>>>) {
        let mut work = Work { source, birth, replaced: Vec::with_capacity(changes.len()) };
        let top = match &self.top {
            Some(top) => work.merge(top, changes),
            None => work.build(changes),
        };
        (Self { top }, work.replaced)
    }

    /// The tree with stubs in the place of small subtrees that lie in `range` and were made before `before`.
    pub fn evict(&self, range: &RangeInclusive<Hash>, before: u64) -> Self {
        Self { top: self.top.as_ref().map(|top| evict(top, range, before)) }
    }

    /// Lists the tree for [`Trie::from_tops`], small subtrees as stubs.
    pub fn each_top(&self, mut show: impl FnMut(Top)) {
        let mut ahead: Vec<&Node> = self.top.as_deref().into_iter().collect();
        while let Some(node) = ahead.pop() {
            match node {
                Node::Leaf(leaf) => show(Top::Leaf { path: leaf.path, digest: leaf.digest }),
                Node::Fork(fork) if fork.span.leaves > STUB_LEAVES_MAX => ahead.extend([&*fork.right, &*fork.left]),
                Node::Fork(Fork { span, .. }) | Node::Stub(span) => {
                    show(Top::Stub { bit: span.bit, prefix: span.prefix, hash: span.hash, leaves: span.leaves });
                }
            }
        }
    }

    /// The tree of a list made by [`Trie::each_top`]; `None` if it is not in order.
    pub fn from_tops(tops: &[Top]) -> Option<Self> {
        let paths: Vec<Hash> = tops.iter().map(Top::path).collect();
        let are_in_order = paths.windows(2).all(|pair| pair[0] < pair[1]);
        are_in_order.then(|| Self { top: raise(tops, &paths) })
    }
}

/// The lowest nodes that are kept of a tree: see [`Trie::each_top`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(crate) enum Top {
    Leaf { path: Hash, digest: Hash },
    Stub { bit: u8, prefix: Hash, hash: Hash, leaves: u64 },
}

impl Top {
    /// Where it is.
    pub fn path(&self) -> Hash {
        match self {
            Self::Leaf { path, .. } => *path,
            Self::Stub { prefix, .. } => *prefix,
        }
    }
}

fn raise(tops: &[Top], paths: &[Hash]) -> Option<Arc<Node>> {
    match (tops, paths) {
        ([Top::Leaf { path, digest }], _) => Change::put(*path, *digest, None).leaf,
        ([Top::Stub { bit, prefix, hash, leaves }], _) => Some(Arc::new(Node::Stub(Span { bit: *bit, prefix: *prefix, hash: *hash, leaves: *leaves }))),
        ([_, ..], [first, .., last]) => {
            let bit = rule::fork(first, last)?;
            let middle = paths.partition_point(|path| !rule::is_set(path, bit));
            join(bit, raise(&tops[..middle], &paths[..middle]), raise(&tops[middle..], &paths[middle..]), 0)
        }
        _ => None,
    }
}

/// Brings a stub back.
fn bring(span: &Span, source: &dyn Source, birth: u64) -> Arc<Node> {
    let changes: Vec<Change> = source.pairs(&span.range()).into_iter().map(|(path, pair)| Change::of(path, pair)).collect();
    let mut work = Work { source, birth, replaced: Vec::new() };
    match work.build(&changes) {
        Some(node) if node.hash() == span.hash => node,
        Some(_) | None => source.is_broken(),
    }
}

/// Lists a subtree for [`MultiProof`](crate::MultiProof).
fn unfold(node: &Arc<Node>, paths: &[&Hash], source: &dyn Source, pieces: &mut Vec<Piece>) {
    match &**node {
        _ if paths.is_empty() => pieces.push(Piece::Folded(node.hash())),
        Node::Leaf(leaf) if paths.contains(&&leaf.path) => pieces.push(Piece::Pair),
        Node::Leaf(leaf) => pieces.push(Piece::Other { path: leaf.path, digest: leaf.digest }),
        Node::Fork(fork) => {
            pieces.push(Piece::Fork(fork.span.bit));
            let (right, left): (Vec<&Hash>, Vec<&Hash>) = paths.iter().partition(|path| rule::is_set(path, fork.span.bit));
            unfold(&fork.left, &left, source, pieces);
            unfold(&fork.right, &right, source, pieces);
        }
        Node::Stub(span) => unfold(&bring(span, source, 0), paths, source, pieces),
    }
}

/// Lists a subtree for [`RangeProof`](crate::RangeProof). Sides that can hold nothing in the range are folded; if both are, the leaf is shown at which the search for
/// the range's start ends.
fn unfold_range(node: &Arc<Node>, range: &RangeInclusive<Hash>, source: &dyn Source, pieces: &mut Vec<Piece>) {
    match &**node {
        Node::Leaf(leaf) if range.contains(&leaf.path) => pieces.push(Piece::Pair),
        Node::Leaf(leaf) => pieces.push(Piece::Other { path: leaf.path, digest: leaf.digest }),
        Node::Fork(fork) => {
            let Span { bit, prefix, .. } = fork.span;
            pieces.push(Piece::Fork(bit));
            let outside = [false, true].map(|is_right| pruned::is_outside(&prefix, bit, is_right, range));
            let shown = outside.iter().all(|is_outside| *is_outside).then(|| rule::is_set(range.start(), bit));
            for (side, is_right) in [(&fork.left, false), (&fork.right, true)] {
                if outside[usize::from(is_right)] && shown != Some(is_right) {
                    pieces.push(Piece::Folded(side.hash()));
                } else {
                    unfold_range(side, range, source, pieces);
                }
            }
        }
        Node::Stub(span) => unfold_range(&bring(span, source, 0), range, source, pieces),
    }
}

fn evict(node: &Arc<Node>, range: &RangeInclusive<Hash>, before: u64) -> Arc<Node> {
    let Node::Fork(fork) = &**node else { return Arc::clone(node) };
    let own = fork.span.range();
    if own.end() < range.start() || range.end() < own.start() {
        return Arc::clone(node);
    }
    if fork.span.leaves <= STUB_LEAVES_MAX {
        return if fork.birth < before { Arc::new(Node::Stub(fork.span)) } else { Arc::clone(node) };
    }
    let (left, right) = (evict(&fork.left, range, before), evict(&fork.right, range, before));
    if Arc::ptr_eq(&left, &fork.left) && Arc::ptr_eq(&right, &fork.right) {
        return Arc::clone(node);
    }
    Arc::new(Node::Fork(Fork { span: fork.span, birth: fork.birth, bytes: FORK_BYTES + left.bytes() + right.bytes(), left, right }))
}

/// One application of changes.
struct Work<'a> {
    source: &'a dyn Source,
    birth: u64,
    /// What was at the paths of the changes so far.
    replaced: Vec<Option<Arc<Pair>>>,
}

impl Work<'_> {
    /// The subtree of the leaves that `changes` put.
    fn build(&mut self, changes: &[Change]) -> Option<Arc<Node>> {
        match changes {
            [] => None,
            [only] => {
                self.replaced.push(None);
                only.leaf.clone()
            }
            [first, .., last] => {
                let bit = rule::fork(&first.path, &last.path).expect("paths are sorted and distinct");
                let (left, right) = split(changes, bit);
                let left = self.build(left);
                join(bit, left, self.build(right), self.birth)
            }
        }
    }

    /// The subtree `node` after `changes`. Every change shares with the node the bits above it, or parts from it at a place where a new fork belongs.
    fn merge(&mut self, node: &Arc<Node>, changes: &[Change]) -> Option<Arc<Node>> {
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            return Some(Arc::clone(node));
        };
        // The changes are sorted, so the first or the last of them parts earliest from the node.
        let parting = [first, last].into_iter().filter_map(|change| rule::fork(node.path(), &change.path)).min();
        match &**node {
            Node::Fork(fork) if parting.is_none_or(|bit| bit >= fork.span.bit) => {
                let (left, right) = split(changes, fork.span.bit);
                let (left, right) = (self.merge(&fork.left, left), self.merge(&fork.right, right));
                let is_same = |new: &Option<Arc<Node>>, old| new.as_ref().is_some_and(|new| Arc::ptr_eq(new, old));
                if is_same(&left, &fork.left) && is_same(&right, &fork.right) { Some(Arc::clone(node)) } else { join(fork.span.bit, left, right, self.birth) }
            }
            Node::Stub(span) if parting.is_none_or(|bit| bit >= span.bit) => {
                let node = bring(span, self.source, self.birth);
                self.merge(&node, changes)
            }
            Node::Leaf(_) | Node::Fork(_) | Node::Stub(_) => match parting {
                Some(bit) => {
                    let (left, right) = split(changes, bit);
                    if rule::is_set(node.path(), bit) {
                        let left = self.build(left);
                        join(bit, left, self.merge(node, right), self.birth)
                    } else {
                        let left = self.merge(node, left);
                        join(bit, left, self.build(right), self.birth)
                    }
                }
                // Only a leaf comes here, and its path is the path of the one change.
                None => {
                    let Node::Leaf(leaf) = &**node else { unreachable!("a fork or a stub has more than one path") };
                    self.replaced.push(leaf.pair.clone().or_else(|| self.source.pair(&leaf.path)));
                    if first.leaf.as_ref().is_some_and(|new| new.hash() == leaf.hash) { Some(Arc::clone(node)) } else { first.leaf.clone() }
                }
            },
        }
    }
}

fn split(changes: &[Change], bit: u8) -> (&[Change], &[Change]) {
    changes.split_at(changes.partition_point(|change| !rule::is_set(&change.path, bit)))
}

/// Two subtrees whose paths first differ in `bit`, or the one there is.
fn join(bit: u8, left: Option<Arc<Node>>, right: Option<Arc<Node>>, birth: u64) -> Option<Arc<Node>> {
    match (left, right) {
        (Some(left), Some(right)) => {
            let hash = rule::node(bit, &left.hash(), &right.hash());
            let span = Span { bit, prefix: rule::prefix(left.path(), bit), hash, leaves: left.leaves() + right.leaves() };
            Some(Arc::new(Node::Fork(Fork { span, birth, bytes: FORK_BYTES + left.bytes() + right.bytes(), left, right })))
        }
        (one, None) => one,
        (None, other) => other,
    }
}

#[cfg(test)]
mod tests;
