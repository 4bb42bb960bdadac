//! The tree as it is seen from outside, fork by fork down to single leaves, wherever they are kept: searches and proofs.

use std::ops::RangeInclusive;

use primitives::Hash;

use super::bucket::{self, Bucket, Row};
use super::{Node, Source, Span, bring};
use crate::pair;
use crate::proof::{End, Step};
use crate::pruned::{self, Piece};
use crate::rule;

/// A subtree.
#[derive(Clone, Copy)]
pub(super) enum Spot<'a> {
    Node(&'a Node),
    /// Some leaves of a bucket that are all below one fork, or one leaf.
    Rows(&'a Bucket, &'a [Row]),
}

/// What is there.
pub(super) enum View<'a> {
    Leaf { path: &'a Hash, row: &'a [u8] },
    Fork { bit: u8, prefix: Hash, sides: [Spot<'a>; 2] },
    Stub(&'a Span),
}

impl<'a> Spot<'a> {
    pub fn hash(self) -> Hash {
        match self {
            Self::Node(node) => node.span().hash,
            Self::Rows(_, rows) => bucket::hash(rows),
        }
    }

    pub fn open(self) -> View<'a> {
        match self {
            Self::Node(Node::Stub(span)) => View::Stub(span),
            Self::Node(Node::Fork(fork)) => View::Fork { bit: fork.span.bit, prefix: fork.span.prefix, sides: [&fork.left, &fork.right].map(Spot::Node) },
            Self::Node(Node::Bucket(bucket)) => Self::Rows(bucket, bucket.rows()).open(),
            Self::Rows(bucket, rows) => match bucket::part(rows) {
                Some((bit, left, right)) => {
                    View::Fork { bit, prefix: rule::prefix(rows[0].path(), bit), sides: [left, right].map(|rows| Spot::Rows(bucket, rows)) }
                }
                None => View::Leaf { path: rows[0].path(), row: bucket.row(&rows[0]) },
            },
        }
    }
}

fn other(path: &Hash, row: &[u8]) -> (Hash, Hash) {
    (*path, rule::digest(pair::value(row)))
}

/// The search for `path`: where it ends, and the siblings on the way there, from the lowest up.
pub(super) fn search(spot: Spot<'_>, path: &Hash, source: &dyn Source, steps: &mut Vec<Step>) -> End {
    match spot.open() {
        View::Leaf { path: found, .. } if found == path => End::Key,
        View::Leaf { path: found, row } => {
            let (path, digest) = other(found, row);
            End::Other { path, digest }
        }
        View::Fork { bit, sides, .. } => {
            let side = usize::from(rule::is_set(path, bit));
            let end = search(sides[side], path, source, steps);
            steps.push(Step { bit, sibling: sides[1 - side].hash() });
            end
        }
        View::Stub(span) => {
            let bucket = bring(span, source, 0);
            search(Spot::Rows(&bucket, bucket.rows()), path, source, steps)
        }
    }
}

/// Shows the leaves of a subtree that lie in `range`, the last first if `is_back`, until `show` has enough; whether it has not.
pub(super) fn walk(spot: Spot<'_>, range: &RangeInclusive<Hash>, is_back: bool, source: &dyn Source, show: &mut impl FnMut(&Hash, &[u8]) -> bool) -> bool {
    match spot.open() {
        View::Leaf { path, row } => !range.contains(path) || show(path, row),
        View::Fork { bit, prefix, sides } => {
            let mut walk = |is_right| pruned::is_outside(&prefix, bit, is_right, range) || walk(sides[usize::from(is_right)], range, is_back, source, show);
            walk(is_back) && walk(!is_back)
        }
        View::Stub(span) => {
            let bucket = bring(span, source, 0);
            walk(Spot::Rows(&bucket, bucket.rows()), range, is_back, source, show)
        }
    }
}

/// Lists a subtree for [`MultiProof`](crate::MultiProof).
pub(super) fn unfold(spot: Spot<'_>, paths: &[&Hash], source: &dyn Source, pieces: &mut Vec<Piece>) {
    if paths.is_empty() {
        return pieces.push(Piece::Folded(spot.hash()));
    }
    match spot.open() {
        View::Leaf { path, .. } if paths.contains(&path) => pieces.push(Piece::Pair),
        View::Leaf { path, row } => {
            let (path, digest) = other(path, row);
            pieces.push(Piece::Other { path, digest });
        }
        View::Fork { bit, sides, .. } => {
            pieces.push(Piece::Fork(bit));
            let (right, left): (Vec<&Hash>, Vec<&Hash>) = paths.iter().partition(|path| rule::is_set(path, bit));
            for (side, paths) in sides.into_iter().zip([left, right]) {
                unfold(side, &paths, source, pieces);
            }
        }
        View::Stub(span) => {
            let bucket = bring(span, source, 0);
            unfold(Spot::Rows(&bucket, bucket.rows()), paths, source, pieces);
        }
    }
}

/// Lists a subtree for [`RangeProof`](crate::RangeProof). Sides that can hold nothing in the range are folded; if both are, the leaf is shown at which the
/// search for the range's start ends.
pub(super) fn unfold_range(spot: Spot<'_>, range: &RangeInclusive<Hash>, source: &dyn Source, pieces: &mut Vec<Piece>) {
    match spot.open() {
        View::Leaf { path, .. } if range.contains(path) => pieces.push(Piece::Pair),
        View::Leaf { path, row } => {
            let (path, digest) = other(path, row);
            pieces.push(Piece::Other { path, digest });
        }
        View::Fork { bit, prefix, sides } => {
            pieces.push(Piece::Fork(bit));
            let outside = [false, true].map(|is_right| pruned::is_outside(&prefix, bit, is_right, range));
            let shown = outside.iter().all(|is_outside| *is_outside).then(|| rule::is_set(range.start(), bit));
            for ((side, is_outside), is_right) in sides.into_iter().zip(outside).zip([false, true]) {
                if is_outside && shown != Some(is_right) {
                    pieces.push(Piece::Folded(side.hash()));
                } else {
                    unfold_range(side, range, source, pieces);
                }
            }
        }
        View::Stub(span) => {
            let bucket = bring(span, source, 0);
            unfold_range(Spot::Rows(&bucket, bucket.rows()), range, source, pieces);
        }
    }
}
