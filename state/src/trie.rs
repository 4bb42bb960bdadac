//! The trie in memory: the committed function kept up to date, as a persistent tree whose versions share what they have in common.
//!
//! A path-compressed binary trie: a fork stands only where two paths part, so n leaves have n - 1 forks whatever the history. Every subtree of at most
//! [`bucket::LEAVES_MAX`] leaves is one *bucket*, so the nodes too are a function of the set of pairs. Nothing is changed in place: [`Trie::apply`] gives a
//! new trie and the old one stays as it was.
//!
//! A bucket that nobody has touched for long can be a *stub*: its hash, its number of leaves and where it lies. What it holds was written elsewhere; a
//! [`Source`] brings it back when something in it changes or is proved, and it must have the stub's hash. So of most keys no more is in memory than some 22
//! bytes of stubs and forks.

use std::mem::size_of;
use std::ops::RangeInclusive;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

use crate::pair::{self, Pair};
use crate::proof::{End, Proof};
use crate::pruned::Piece;
use crate::rule::{self, StateRoot};
use crate::sealed::Written;
use bucket::{Bucket, Draft};
use show::{Spot, View};

mod bucket;
mod show;

/// Changes on either side of a fork from which on the sides are worked on at the same time.
const CHANGES_APART_MIN: usize = 1000;
/// How often work is divided: more threads than a machine has cores do no harm, and very many would.
const DIVISIONS_MAX: u32 = 4;
/// What an allocation takes beside what is in it: the counters of an `Arc`, and the allocator's own.
const COUNTERS_BYTES: usize = 24;

/// One version of the tree. Cloning copies a pointer.
#[derive(Clone, Default)]
pub(crate) struct Trie {
    top: Option<Node>,
}

#[derive(Clone)]
enum Node {
    Fork(Arc<Fork>),
    Bucket(Arc<Bucket>),
    Stub(Arc<Span>),
}

struct Fork {
    span: Span,
    /// Memory of everything below and of itself.
    bytes: u64,
    left: Node,
    right: Node,
}

/// What a node says of the leaves below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Span {
    hash: Hash,
    /// The bits before `bit`, which they share; zeros from there on. The whole path, if there is one leaf.
    prefix: Hash,
    leaves: u64,
    /// The first bit in which they differ; of one leaf, the last.
    bit: u8,
}

/// What happens to one path: a leaf takes its place, or it goes.
pub(crate) struct Change {
    path: Hash,
    /// Its hash, and the pair.
    leaf: Option<(Hash, Pair)>,
}

/// What brings stubs back: the pairs of one state.
pub(crate) trait Source: Sync {
    /// All pairs whose paths lie in `range`, in the order of their paths.
    fn pairs(&self, range: &RangeInclusive<Hash>) -> Vec<(Hash, Pair)>;

    /// The end: what the source gave is not what was there.
    fn is_broken(&self) -> !;
}

/// The source of a tree without stubs.
pub(crate) struct Whole;

impl Source for Whole {
    fn pairs(&self, _: &RangeInclusive<Hash>) -> Vec<(Hash, Pair)> {
        Vec::new()
    }

    fn is_broken(&self) -> ! {
        unreachable!("a tree in memory has no stubs")
    }
}

/// What the tree knows of a path.
pub(crate) enum Found<'a> {
    /// There is no such leaf.
    Nothing,
    /// The value of its pair.
    Value(&'a [u8]),
    /// The search ends at a stub: the source knows.
    Stub,
}

impl Change {
    /// What was written, in the same order.
    pub fn all(written: &[(&Hash, &Written)]) -> Vec<Self> {
        Self::part(written, DIVISIONS_MAX)
    }

    fn part(written: &[(&Hash, &Written)], divisions: u32) -> Vec<Self> {
        if written.len() < 2 * CHANGES_APART_MIN || divisions == 0 {
            let change = |(path, Written { key, value }): &(&Hash, &Written)| {
                value.as_ref().map_or_else(|| Self::delete(**path), |value| Self::put(**path, Pair::new(key, value)))
            };
            return written.iter().map(change).collect();
        }
        let (left, right) = written.split_at(written.len() / 2);
        let (mut changes, right) = both(|| Self::part(left, divisions - 1), || Self::part(right, divisions - 1));
        changes.extend(right);
        changes
    }

    /// The leaf of `pair`, whose key has this path.
    pub fn put(path: Hash, pair: Pair) -> Self {
        Self { path, leaf: Some((rule::leaf(&path, &rule::digest(pair.value())), pair)) }
    }

    /// No leaf at `path`.
    pub fn delete(path: Hash) -> Self {
        Self { path, leaf: None }
    }

    /// Where.
    pub fn path(&self) -> &Hash {
        &self.path
    }

    /// The pair that is there afterwards.
    pub fn into_pair(self) -> Option<Pair> {
        self.leaf.map(|(_, pair)| pair)
    }
}

impl Span {
    /// Of the leaves from `first` to `last`.
    fn of(first: Hash, last: Hash, hash: Hash, leaves: u64) -> Self {
        match rule::fork(&first, &last) {
            Some(bit) => Self { hash, prefix: rule::prefix(&first, bit), leaves, bit },
            None => Self { hash, prefix: first, leaves, bit: u8::MAX },
        }
    }

    fn range(&self) -> RangeInclusive<Hash> {
        let mut last = self.prefix;
        if self.leaves > 1 {
            let byte = usize::from(self.bit / 8);
            last.0[byte] |= 0xff >> (self.bit % 8);
            last.0[byte + 1..].fill(0xff);
        }
        self.prefix..=last
    }

    /// Of one pair.
    #[cfg(feature = "disk")]
    pub fn of_leaf(path: &Hash, pair: &Pair) -> Self {
        Self::of(*path, *path, rule::leaf(path, &rule::digest(pair.value())), 1)
    }

    /// Where it begins.
    #[cfg(feature = "disk")]
    pub fn prefix(&self) -> &Hash {
        &self.prefix
    }
}

impl Node {
    fn bucket(bucket: Bucket) -> Self {
        Self::Bucket(Arc::new(bucket))
    }

    /// The fork of two subtrees whose paths first differ in `bit`.
    fn fork(bit: u8, left: Self, right: Self) -> Self {
        let (one, other) = (left.span(), right.span());
        let hash = rule::node(bit, &one.hash, &other.hash);
        let span = Span { hash, prefix: rule::prefix(&one.prefix, bit), leaves: one.leaves + other.leaves, bit };
        let bytes = (size_of::<Fork>() + COUNTERS_BYTES) as u64 + left.bytes() + right.bytes();
        Self::Fork(Arc::new(Fork { span, bytes, left, right }))
    }

    fn span(&self) -> &Span {
        match self {
            Self::Fork(fork) => &fork.span,
            Self::Bucket(bucket) => bucket.span(),
            Self::Stub(span) => span,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Fork(fork) => fork.bytes,
            Self::Bucket(bucket) => bucket.bytes(),
            Self::Stub(_) => (size_of::<Span>() + COUNTERS_BYTES) as u64,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fork(one), Self::Fork(other)) => Arc::ptr_eq(one, other),
            (Self::Bucket(one), Self::Bucket(other)) => Arc::ptr_eq(one, other),
            (Self::Stub(one), Self::Stub(other)) => Arc::ptr_eq(one, other),
            (Self::Fork(_) | Self::Bucket(_) | Self::Stub(_), _) => false,
        }
    }

    /// The leaves of a subtree that is no fork.
    fn leaves(&self, source: &dyn Source) -> Option<Arc<Bucket>> {
        match self {
            Self::Fork(_) => None,
            Self::Bucket(bucket) => Some(Arc::clone(bucket)),
            Self::Stub(span) => Some(bring(span, source, 0)),
        }
    }
}

impl Trie {
    /// The committed root and the number of leaves.
    pub fn root(&self) -> StateRoot {
        self.top.as_ref().map_or(StateRoot::EMPTY, |top| StateRoot { root: top.span().hash, leaves: top.span().leaves })
    }

    /// About how much memory it takes.
    #[cfg(feature = "disk")]
    pub fn bytes(&self) -> u64 {
        self.top.as_ref().map_or(0, Node::bytes)
    }

    /// What is at `path`.
    pub fn find(&self, path: &Hash) -> Found<'_> {
        let Some(mut node) = self.top.as_ref() else { return Found::Nothing };
        loop {
            match node {
                Node::Fork(fork) => node = if rule::is_set(path, fork.span.bit) { &fork.right } else { &fork.left },
                Node::Bucket(bucket) => return bucket.find(path).map_or(Found::Nothing, |row| Found::Value(pair::value(bucket.row(row)))),
                Node::Stub(_) => return Found::Stub,
            }
        }
    }

    /// The proof of what is at `path`: its leaf, or the one leaf that shows there is none.
    pub fn prove(&self, path: &Hash, source: &dyn Source) -> Proof {
        let mut steps = Vec::new();
        let end = self.top.as_ref().map_or(End::Nothing, |top| show::search(Spot::Node(top), path, source, &mut steps));
        Proof { version: rule::VERSION, end, steps }
    }

    /// The tree folded but for the searches for `paths`, which are distinct.
    pub fn prove_many(&self, paths: &[Hash], source: &dyn Source) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if let Some(top) = &self.top {
            show::unfold(Spot::Node(top), &paths.iter().collect::<Vec<_>>(), source, &mut pieces);
        }
        pieces
    }

    /// The tree folded outside of `range`, but for what shows where the folded sides lie.
    pub fn prove_range(&self, range: &RangeInclusive<Hash>, source: &dyn Source) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if let Some(top) = &self.top {
            show::unfold_range(Spot::Node(top), range, source, &mut pieces);
        }
        pieces
    }

    /// Shows the row of every pair, by path, of a tree without stubs.
    pub fn each_row<'a>(&'a self, mut show: impl FnMut(&'a [u8])) {
        let mut ahead: Vec<Spot<'a>> = self.top.iter().map(Spot::Node).collect();
        while let Some(spot) = ahead.pop() {
            match spot.open() {
                View::Leaf { row, .. } => show(row),
                View::Fork { sides: [left, right], .. } => ahead.extend([right, left]),
                View::Stub(_) => {}
            }
        }
    }

    /// Shows every pair whose path lies in `range`, by path and the last first if `is_back`, until `show` has enough.
    pub fn each_in(&self, range: &RangeInclusive<Hash>, is_back: bool, source: &dyn Source, mut show: impl FnMut(&Hash, &[u8]) -> bool) {
        if let Some(top) = &self.top {
            show::walk(Spot::Node(top), range, is_back, source, &mut show);
        }
    }

    /// The tree after `changes`, which are sorted by path and name each path once; and for each of them the pair that was there. `birth` is now.
    pub fn apply(&self, changes: &[Change], source: &dyn Source, birth: u64) -> (Self, Vec<Option<Pair>>) {
        let mut work = Work { source, birth, divisions: DIVISIONS_MAX, replaced: Vec::with_capacity(changes.len()) };
        let top = match &self.top {
            Some(top) => work.merge(top, changes),
            None => work.build(changes),
        };
        (Self { top }, work.replaced)
    }

    /// The tree with stubs in the place of buckets that lie in `range` and were made before `before`.
    #[cfg(feature = "disk")]
    pub fn evict(&self, range: &RangeInclusive<Hash>, before: u64) -> Self {
        Self { top: self.top.as_ref().map(|top| evict(top, range, before)) }
    }

    /// Lists the tree for [`Trie::from_tops`]: its buckets, by path.
    #[cfg(feature = "disk")]
    pub fn each_top(&self, mut show: impl FnMut(&Span)) {
        let mut ahead: Vec<&Node> = self.top.iter().collect();
        while let Some(node) = ahead.pop() {
            match node {
                Node::Fork(fork) => ahead.extend([&fork.right, &fork.left]),
                Node::Bucket(_) | Node::Stub(_) => show(node.span()),
            }
        }
    }

    /// The tree of a list made by [`Trie::each_top`], or of larger or smaller pieces; `None` if it is not in order.
    #[cfg(feature = "disk")]
    pub fn from_tops(tops: &[Span]) -> Option<Self> {
        let are_in_order = tops.windows(2).all(|pair| pair[0].prefix < pair[1].prefix);
        are_in_order.then(|| Self { top: raise(tops) })
    }
}

/// The tree of neighbouring subtrees; small ones become one stub, as they would be one bucket.
#[cfg(feature = "disk")]
fn raise(tops: &[Span]) -> Option<Node> {
    match tops {
        [] => None,
        [only] => Some(Node::Stub(Arc::new(*only))),
        [first, .., last] => {
            let bit = rule::fork(&first.prefix, &last.prefix)?;
            let (left, right) = tops.split_at(tops.partition_point(|top| !rule::is_set(&top.prefix, bit)));
            let node = Node::fork(bit, raise(left)?, raise(right)?);
            let is_small = node.span().leaves <= bucket::LEAVES_MAX as u64;
            Some(if is_small { Node::Stub(Arc::new(*node.span())) } else { node })
        }
    }
}

#[cfg(feature = "disk")]
fn evict(node: &Node, range: &RangeInclusive<Hash>, before: u64) -> Node {
    match node {
        Node::Stub(_) => node.clone(),
        Node::Bucket(bucket) if bucket.birth() < before && range.contains(&bucket.span().prefix) => Node::Stub(Arc::new(*bucket.span())),
        Node::Bucket(_) => node.clone(),
        Node::Fork(fork) => {
            let own = fork.span.range();
            if own.end() < range.start() || range.end() < own.start() {
                return node.clone();
            }
            let (left, right) = (evict(&fork.left, range, before), evict(&fork.right, range, before));
            if left.is(&fork.left) && right.is(&fork.right) { node.clone() } else { Node::fork(fork.span.bit, left, right) }
        }
    }
}

/// Does two things at the same time.
fn both<A, B: Send>(one: impl FnOnce() -> A, other: impl Fn() -> B + Sync) -> (A, B) {
    std::thread::scope(|scope| {
        let aside = std::thread::Builder::new().spawn_scoped(scope, &other);
        let one = one();
        // Without a thread it takes longer, no more.
        let other = aside.map_or_else(|_| other(), |aside| aside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        (one, other)
    })
}

/// Brings a stub back.
fn bring(span: &Span, source: &dyn Source, birth: u64) -> Arc<Bucket> {
    let changes: Vec<Change> = source.pairs(&span.range()).into_iter().map(|(path, pair)| Change::put(path, pair)).collect();
    let drafts: Vec<Draft<'_>> = changes.iter().filter_map(Draft::of).collect();
    match bucket::raise(&drafts, birth) {
        Some(Node::Bucket(bucket)) if *bucket.span() == *span => bucket,
        Some(_) | None => source.is_broken(),
    }
}

/// One application of changes.
struct Work<'a> {
    source: &'a dyn Source,
    birth: u64,
    /// How often it may still be divided.
    divisions: u32,
    /// What was at the paths of the changes so far.
    replaced: Vec<Option<Pair>>,
}

impl Work<'_> {
    /// The subtree of the leaves that `changes` put.
    fn build(&mut self, changes: &[Change]) -> Option<Node> {
        self.replaced.extend(changes.iter().map(|_| None));
        bucket::raise(&changes.iter().filter_map(Draft::of).collect::<Vec<_>>(), self.birth)
    }

    /// The subtree `node` after `changes`.
    fn merge(&mut self, node: &Node, changes: &[Change]) -> Option<Node> {
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            return Some(node.clone());
        };
        match node {
            Node::Bucket(bucket) => self.rewrite(bucket, changes),
            Node::Stub(span) => self.rewrite(&bring(span, self.source, self.birth), changes),
            Node::Fork(fork) => {
                // The changes are sorted, so the first or the last of them parts earliest from the node.
                let parting = [first, last].into_iter().filter_map(|change| rule::fork(&fork.span.prefix, &change.path)).min();
                match parting.filter(|bit| *bit < fork.span.bit) {
                    Some(bit) => {
                        let (left, right) = split(changes, bit);
                        let (left, right) = if rule::is_set(&fork.span.prefix, bit) {
                            (self.build(left), self.merge(node, right))
                        } else {
                            (self.merge(node, left), self.build(right))
                        };
                        self.join(bit, left, right)
                    }
                    None => {
                        let (left, right) = self.merge_sides(fork, changes);
                        let is_same = |new: &Option<Node>, old| new.as_ref().is_some_and(|new| new.is(old));
                        if is_same(&left, &fork.left) && is_same(&right, &fork.right) { Some(node.clone()) } else { self.join(fork.span.bit, left, right) }
                    }
                }
            }
        }
    }

    fn merge_sides(&mut self, fork: &Fork, changes: &[Change]) -> (Option<Node>, Option<Node>) {
        let (left, right) = split(changes, fork.span.bit);
        if left.len().min(right.len()) < CHANGES_APART_MIN || self.divisions == 0 {
            return (self.merge(&fork.left, left), self.merge(&fork.right, right));
        }
        self.divisions -= 1;
        let (source, birth, divisions) = (self.source, self.birth, self.divisions);
        let aside = || {
            let mut aside = Work { source, birth, divisions, replaced: Vec::with_capacity(right.len()) };
            (aside.merge(&fork.right, right), aside.replaced)
        };
        let (left, (right, replaced)) = both(|| self.merge(&fork.left, left), aside);
        self.replaced.extend(replaced);
        let sides = (left, right);
        self.divisions += 1;
        sides
    }

    fn rewrite(&mut self, bucket: &Arc<Bucket>, changes: &[Change]) -> Option<Node> {
        match bucket.after(changes, &mut self.replaced) {
            Some(drafts) => bucket::raise(&drafts, self.birth),
            None => Some(Node::Bucket(Arc::clone(bucket))),
        }
    }

    /// Two subtrees whose paths first differ in `bit`, or the one there is.
    fn join(&self, bit: u8, left: Option<Node>, right: Option<Node>) -> Option<Node> {
        match (left, right) {
            (Some(left), Some(right)) => {
                let is_small = left.span().leaves + right.span().leaves <= bucket::LEAVES_MAX as u64;
                let buckets = if is_small { left.leaves(self.source).zip(right.leaves(self.source)) } else { None };
                match buckets {
                    Some((left, right)) => bucket::raise(&left.drafts().chain(right.drafts()).collect::<Vec<_>>(), self.birth),
                    None => Some(Node::fork(bit, left, right)),
                }
            }
            (one, None) => one,
            (None, other) => other,
        }
    }
}

fn split(changes: &[Change], bit: u8) -> (&[Change], &[Change]) {
    changes.split_at(changes.partition_point(|change| !rule::is_set(&change.path, bit)))
}

#[cfg(test)]
mod tests;
