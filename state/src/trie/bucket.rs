//! Up to [`LEAVES_MAX`] neighbouring leaves in one node: their paths, hashes and pairs side by side, and the forks between them.
//!
//! Most updates of a large tree change one leaf of one bucket. It is copied whole, which is two runs of memory and not a walk from fork to fork, and only the
//! forks above what changed are hashed again.

use std::mem::size_of;

use primitives::Hash;

use super::{Change, Node, Span};
use crate::pair::Pair;
use crate::rule;

/// Most leaves of a bucket: also what one read of neighbouring rows brings back from disk.
pub(crate) const LEAVES_MAX: usize = 16;
/// Pairs whose rows are longer are kept apart, not copied with their bucket.
const INLINE_BYTES_MAX: usize = 256;
/// What a bucket takes beside its rows and their data: itself, and the counters of three allocations.
const BUCKET_BYTES: usize = size_of::<Bucket>() + 64;

/// Neighbouring leaves. Never changed.
pub(super) struct Bucket {
    span: Span,
    /// When it was made.
    birth: u64,
    /// Memory that it takes.
    bytes: u64,
    rows: Box<[Row]>,
    /// The rows of short pairs, one after the other.
    data: Box<[u8]>,
}

/// One leaf.
pub(super) struct Row {
    path: Hash,
    hash: Hash,
    /// Of the fork that parts this leaf from the next one. The last leaf has none.
    fork: Hash,
    pair: Kept,
}

/// Where the pair of a leaf is.
#[derive(Clone)]
enum Kept {
    /// In the bucket's data, from here to there.
    Within(u32, u32),
    Apart(Pair),
}

/// A leaf on its way into a bucket.
pub(super) struct Draft<'a> {
    path: &'a Hash,
    hash: &'a Hash,
    pair: Source<'a>,
    /// The fork between it and the next one, if it is known and nothing below it is new.
    fork: Option<&'a Hash>,
    is_new: bool,
}

enum Source<'a> {
    Row(&'a [u8]),
    Pair(&'a Pair),
}

impl<'a> Draft<'a> {
    /// A leaf that a change puts; `None` if the change deletes.
    pub fn of(change: &'a Change) -> Option<Self> {
        let (hash, pair) = change.leaf.as_ref()?;
        Some(Self { path: &change.path, hash, pair: Source::Pair(pair), fork: None, is_new: true })
    }
}

impl Bucket {
    /// The bucket of these leaves, of which there are at least one and at most [`LEAVES_MAX`], by path.
    fn new(drafts: &[Draft<'_>], birth: u64) -> Self {
        let short = |draft: &Draft<'_>| match draft.pair {
            Source::Row(row) => row.len(),
            Source::Pair(pair) if pair.row().len() <= INLINE_BYTES_MAX => pair.row().len(),
            Source::Pair(_) => 0,
        };
        let mut data = Vec::with_capacity(drafts.iter().map(short).sum());
        let keep = |draft: &Draft<'_>| {
            let mut within = |row: &[u8]| {
                let place = |data: &Vec<u8>| u32::try_from(data.len()).expect("sixteen short rows");
                let from = place(&data);
                data.extend_from_slice(row);
                Kept::Within(from, place(&data))
            };
            let pair = match draft.pair {
                Source::Row(row) => within(row),
                Source::Pair(pair) if pair.row().len() <= INLINE_BYTES_MAX => within(pair.row()),
                Source::Pair(pair) => Kept::Apart(pair.clone()),
            };
            Row { path: *draft.path, hash: *draft.hash, fork: Hash::ZERO, pair }
        };
        let mut rows: Box<[Row]> = drafts.iter().map(keep).collect();
        let (hash, _) = fold(&mut rows, drafts);
        let span = Span::of(rows[0].path, rows[rows.len() - 1].path, hash, rows.len() as u64);
        let apart = |row: &Row| if let Kept::Apart(pair) = &row.pair { pair.row().len() } else { 0 };
        let bytes = BUCKET_BYTES + rows.len() * size_of::<Row>() + data.len() + rows.iter().map(apart).sum::<usize>();
        Self { span, birth, bytes: bytes as u64, rows, data: data.into() }
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn birth(&self) -> u64 {
        self.birth
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its leaves, by path.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The leaf at `path`.
    pub fn find(&self, path: &Hash) -> Option<&Row> {
        let place = self.rows.binary_search_by(|row| row.path.cmp(path)).ok()?;
        self.rows.get(place)
    }

    /// The pair of a leaf, as a row.
    pub fn row<'a>(&'a self, row: &'a Row) -> &'a [u8] {
        match &row.pair {
            Kept::Within(from, to) => &self.data[*from as usize..*to as usize],
            Kept::Apart(pair) => pair.row(),
        }
    }

    /// The pair of a leaf.
    pub fn pair(&self, row: &Row) -> Pair {
        match &row.pair {
            Kept::Within(..) => Pair::from_row(self.row(row)).expect("it was a pair"),
            Kept::Apart(pair) => pair.clone(),
        }
    }

    /// The leaves that `row`s stand for.
    pub fn drafts(&self) -> impl Iterator<Item = Draft<'_>> {
        self.rows.iter().map(|row| self.draft(row))
    }

    fn draft<'a>(&'a self, row: &'a Row) -> Draft<'a> {
        let pair = match &row.pair {
            Kept::Within(..) => Source::Row(self.row(row)),
            Kept::Apart(pair) => Source::Pair(pair),
        };
        let is_last = std::ptr::eq(row, &raw const self.rows[self.rows.len() - 1]);
        Draft { path: &row.path, hash: &row.hash, pair, fork: (!is_last).then_some(&row.fork), is_new: false }
    }

    /// Its leaves after `changes`, and, in their order, the pair that was at each change's path; `None` if nothing is different.
    pub fn after<'a>(&'a self, changes: &'a [Change], replaced: &mut Vec<Option<Pair>>) -> Option<Vec<Draft<'a>>> {
        let mut drafts = Vec::with_capacity(self.rows.len() + changes.len());
        let (mut ahead, mut is_same, mut is_smaller) = (self.rows.iter().peekable(), true, false);
        for change in changes {
            while let Some(row) = ahead.next_if(|row| row.path < change.path) {
                drafts.push(self.draft(row));
            }
            let old = ahead.next_if(|row| row.path == change.path);
            replaced.push(old.map(|row| self.pair(row)));
            match (Draft::of(change), old) {
                (Some(new), Some(old)) if *new.hash == old.hash => drafts.push(self.draft(old)),
                (Some(new), _) => {
                    is_same = false;
                    drafts.push(new);
                }
                (None, Some(_)) => is_smaller = true,
                (None, None) => {}
            }
        }
        drafts.extend(ahead.map(|row| self.draft(row)));
        if is_smaller {
            // A fork may have lost a leaf at its edge and look the same.
            drafts.iter_mut().for_each(|draft| draft.fork = None);
        }
        (!is_same || is_smaller).then_some(drafts)
    }
}

impl Row {
    pub fn path(&self) -> &Hash {
        &self.path
    }
}

/// The first bit in which the leaves of some rows differ, and the rows on both sides; `None` if there is one row only.
pub(super) fn part(rows: &[Row]) -> Option<(u8, &[Row], &[Row])> {
    let (bit, middle) = parting(rows.len(), |place| &rows[place].path)?;
    let (left, right) = rows.split_at(middle);
    Some((bit, left, right))
}

/// The hash of the subtree of some rows.
pub(super) fn hash(rows: &[Row]) -> Hash {
    match part(rows) {
        Some((_, left, _)) => left[left.len() - 1].fork,
        None => rows[0].hash,
    }
}

/// The first bit in which `count` sorted paths differ, and how many of them do not have it.
fn parting<'a>(count: usize, path: impl Fn(usize) -> &'a Hash) -> Option<(u8, usize)> {
    let bit = rule::fork(path(0), path(count - 1))?;
    let middle = (1..count).find(|place| rule::is_set(path(*place), bit))?;
    Some((bit, middle))
}

/// Hashes the forks of some leaves, those that are known excepted; the hash of all, and whether anything is new.
fn fold(rows: &mut [Row], drafts: &[Draft<'_>]) -> (Hash, bool) {
    let Some((bit, middle)) = parting(rows.len(), |place| drafts[place].path) else { return (rows[0].hash, drafts[0].is_new) };
    let (left, is_left_new) = fold(&mut rows[..middle], &drafts[..middle]);
    let (right, is_right_new) = fold(&mut rows[middle..], &drafts[middle..]);
    let is_new = is_left_new || is_right_new;
    let hash = drafts[middle - 1].fork.filter(|_| !is_new).map_or_else(|| rule::node(bit, &left, &right), |known| *known);
    rows[middle - 1].fork = hash;
    (hash, is_new)
}

/// The subtree of these leaves, by path: a bucket, or forks down to buckets. Nothing for none.
pub(super) fn raise(drafts: &[Draft<'_>], birth: u64) -> Option<Node> {
    if drafts.len() <= LEAVES_MAX {
        return (!drafts.is_empty()).then(|| Node::bucket(Bucket::new(drafts, birth)));
    }
    let bit = rule::fork(drafts[0].path, drafts[drafts.len() - 1].path)?;
    let (left, right) = drafts.split_at(drafts.partition_point(|draft| !rule::is_set(draft.path, bit)));
    Some(Node::fork(bit, raise(left, birth)?, raise(right, birth)?))
}
