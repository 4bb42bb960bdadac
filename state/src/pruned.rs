//! Proofs of many keys at once, and of all keys in a range of paths.
//!
//! Such a proof is the tree with everything that was not asked about folded into hashes, as a list of its nodes, each fork before its two sides. What single
//! proofs repeat is in it once: many keys share the forks above them, so a block's reads or a chunk of a snapshot cost little more than their leaves.
//!
//! Why it convinces: hashing the list gives the certified root, so by collision resistance the list *is* the tree of that root. A search for a path takes at
//! each fork the side of the path's own bit; where it ends at a leaf, that leaf is all there is about the path. A folded side of a fork at bit `b` holds only
//! paths that share their first `b` bits with every leaf below that fork, so one leaf shown on the other side tells which paths it can hold.

use std::ops::RangeInclusive;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

use crate::rule::{self, StateRoot};

/// A node of a tree of which parts are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Piece {
    /// A fork at this bit; its left side follows, then its right side.
    Fork(u8),
    /// A side that nobody asked about.
    Folded(Hash),
    /// The leaf of the next pair, which the verifier knows.
    Pair,
    /// Another leaf: here the search for something that is not there ends.
    Other {
        /// Its path.
        path: Hash,
        /// Digest of its value.
        digest: Hash,
    },
}

/// What a state says about many keys, of which some may have no value.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MultiProof {
    /// [`rule::VERSION`].
    pub version: u8,
    /// The tree, folded where no key was asked about. Nothing for the empty state.
    pub pieces: Vec<Piece>,
}

/// All pairs of a state whose paths lie in a range: none is left out, none is added.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RangeProof {
    /// [`rule::VERSION`].
    pub version: u8,
    /// The tree, folded outside of the range. Nothing for the empty state.
    pub pieces: Vec<Piece>,
}

/// Reads pieces in order. Bits rise on the way down, so nothing is more than 256 forks deep.
struct Reader<'a>(std::slice::Iter<'a, Piece>);

impl Reader<'_> {
    /// The next piece, below a fork at `above`.
    fn next(&mut self, above: Option<u8>) -> Option<Piece> {
        let piece = *self.0.next()?;
        let is_below = !matches!((piece, above), (Piece::Fork(bit), Some(above)) if bit <= above);
        is_below.then_some(piece)
    }

    fn is_at_end(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

/// A path and the digest that its key has, or should not have.
type Asked = (Hash, Option<Hash>);

impl MultiProof {
    /// Whether the state of `root` holds just these values under these keys; `None` is no value. The order does not matter.
    pub fn verify(&self, root: &StateRoot, entries: &[(&[u8], Option<&[u8]>)]) -> bool {
        let mut asked: Vec<Asked> = entries.iter().map(|(key, value)| (rule::path(key), value.map(rule::digest))).collect();
        asked.sort_unstable();
        asked.dedup();
        self.verify_paths(root, &asked)
    }

    /// [`MultiProof::verify`] for what is hashed and sorted already.
    pub(crate) fn verify_paths(&self, root: &StateRoot, asked: &[Asked]) -> bool {
        let are_distinct = asked.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if self.version != rule::VERSION || !are_distinct {
            return false;
        }
        if *root == StateRoot::EMPTY {
            return self.pieces.is_empty() && asked.iter().all(|(_, digest)| digest.is_none());
        }
        let mut reader = Reader(self.pieces.iter());
        let top = fold_asked(&mut reader, None, &asked.iter().collect::<Vec<_>>());
        top == Some(root.root) && reader.is_at_end()
    }
}

/// The hash of the next subtree, if what is asked ends there at what is expected, and nothing else is unfolded.
fn fold_asked(reader: &mut Reader<'_>, above: Option<u8>, asked: &[&Asked]) -> Option<Hash> {
    match reader.next(above)? {
        Piece::Fork(bit) => {
            let (right, left): (Vec<&Asked>, Vec<&Asked>) = asked.iter().copied().partition(|(path, _)| rule::is_set(path, bit));
            let left = fold_asked(reader, Some(bit), &left)?;
            Some(rule::node(bit, &left, &fold_asked(reader, Some(bit), &right)?))
        }
        Piece::Folded(hash) => asked.is_empty().then_some(hash),
        // Others may end at the leaf of one that is there.
        Piece::Pair => {
            let mut there = asked.iter().filter_map(|(path, digest)| digest.map(|digest| (path, digest)));
            let (path, digest) = there.next()?;
            there.next().is_none().then(|| rule::leaf(path, &digest))
        }
        Piece::Other { path, digest } => {
            let are_absent = asked.iter().all(|(asked, digest)| digest.is_none() && *asked != path);
            (are_absent && !asked.is_empty()).then(|| rule::leaf(&path, &digest))
        }
    }
}

impl RangeProof {
    /// Whether `pairs` are all pairs of the state of `root` whose paths lie in `range`, in the order of their paths.
    pub fn verify(&self, root: &StateRoot, range: &RangeInclusive<Hash>, pairs: &[(&[u8], &[u8])]) -> bool {
        let leaves: Vec<(Hash, Hash)> = pairs.iter().map(|(key, value)| (rule::path(key), rule::digest(value))).collect();
        self.verify_leaves(root, range, &leaves)
    }

    /// [`RangeProof::verify`] for what is hashed already: paths and digests.
    pub(crate) fn verify_leaves(&self, root: &StateRoot, range: &RangeInclusive<Hash>, leaves: &[(Hash, Hash)]) -> bool {
        let are_in_order = leaves.windows(2).all(|pair| pair[0].0 < pair[1].0) && leaves.iter().all(|(path, _)| range.contains(path));
        if self.version != rule::VERSION || !are_in_order || range.is_empty() {
            return false;
        }
        if *root == StateRoot::EMPTY {
            return self.pieces.is_empty() && leaves.is_empty();
        }
        let (mut reader, mut rest) = (Reader(self.pieces.iter()), leaves.iter());
        let top = fold_range(&mut reader, None, range, &mut rest);
        top.is_some_and(|top| top.hash == root.root && top.shown.is_some()) && reader.is_at_end() && rest.next().is_none()
    }
}

/// A subtree of a range proof.
struct Folded {
    hash: Hash,
    /// The path of a leaf in it; `None` if it is one folded side.
    shown: Option<Hash>,
}

/// The next subtree, if its leaves in the range are the next of `rest` and every folded side lies outside.
fn fold_range(reader: &mut Reader<'_>, above: Option<u8>, range: &RangeInclusive<Hash>, rest: &mut std::slice::Iter<'_, (Hash, Hash)>) -> Option<Folded> {
    match reader.next(above)? {
        Piece::Fork(bit) => {
            let (left, right) = (fold_range(reader, Some(bit), range, rest)?, fold_range(reader, Some(bit), range, rest)?);
            let shown = left.shown.or(right.shown)?;
            let are_outside =
                [(&left, false), (&right, true)].into_iter().all(|(side, is_right)| side.shown.is_some() || is_outside(&shown, bit, is_right, range));
            are_outside.then(|| Folded { hash: rule::node(bit, &left.hash, &right.hash), shown: Some(shown) })
        }
        Piece::Folded(hash) => Some(Folded { hash, shown: None }),
        Piece::Pair => rest.next().map(|(path, digest)| Folded { hash: rule::leaf(path, digest), shown: Some(*path) }),
        Piece::Other { path, digest } => (!range.contains(&path)).then(|| Folded { hash: rule::leaf(&path, &digest), shown: Some(path) }),
    }
}

/// Whether no path on one side of a fork at `bit`, below which the leaf `shown` is, can lie in the range.
pub(crate) fn is_outside(shown: &Hash, bit: u8, is_right: bool, range: &RangeInclusive<Hash>) -> bool {
    let (mut first, mut last) = (rule::prefix(shown, bit), rule::prefix(shown, bit));
    let (byte, mask) = (usize::from(bit / 8), 0x80 >> (bit % 8));
    last.0[byte] |= mask - 1;
    last.0[byte + 1..].fill(0xff);
    if is_right {
        first.0[byte] |= mask;
        last.0[byte] |= mask;
    }
    last < *range.start() || *range.end() < first
}

#[cfg(test)]
mod tests {
    use primitives::encoding::{decode, encode};
    use proptest::prelude::*;

    use super::*;
    use crate::{Chunk, Memory, Sealed};

    fn state() -> Sealed {
        let mut overlay = Memory::new().child();
        (0..40_u8).for_each(|number| overlay.put(vec![number], vec![number; usize::from(number)]).expect("short"));
        overlay.seal()
    }

    /// The bytes of proofs and chunks are part of what nodes and files of different versions say to one another.
    #[test]
    fn golden() {
        let state = state();
        let hash = |bytes: Vec<u8>| Hash::raw(&[&bytes]).to_string();
        let many = state.prove_many(&[&[3], &[99], &[17]]);
        assert!(many.verify(&state.root(), &[(&[3], Some(&[3; 3])), (&[17], Some(&[17; 17])), (&[99], None)]));
        let chunk = state.chunk(&(Hash([0x40; 32])..=Hash([0x7f; 32])), 100);
        assert!(chunk.verify(&state.root(), &Hash([0x40; 32])));
        assert_eq!(encode(&many)[..6], [rule::VERSION, u8::try_from(many.pieces.len()).expect("few"), 0, 0, 0, 0]);
        assert_eq!(
            [hash(encode(&many)), hash(encode(&chunk.proof)), hash(encode(&chunk))],
            [
                "404575bbafa3ce2bd252542f3df0e779a5d4216b5873ba34401dac6f003d09ac",
                "035c0fda500af5e6f3f1954e5edd5d024ec31f5ca7eb574d1b824dde626425ae",
                "617c578bd92736e74bf3ef3165a0b09c711e8457450507740e8333185bc2d073"
            ]
        );
    }

    proptest! {
        /// Checks STATE-3 for what others send: any bytes, and true ones with a byte changed, neither panic nor prove anything.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let state = state();
            let near = |mut bytes: Vec<u8>| {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
                bytes
            };
            let (root, first) = (state.root(), Hash([0x40; 32]));
            let many = near(encode(&state.prove_many(&[&[3], &[99]])));
            let chunk = near(encode(&state.chunk(&(first..=Hash([0x7f; 32])), 100)));
            for bytes in [&bytes, &many] {
                if let Ok(proof) = decode::<MultiProof>(bytes, bytes.len()) {
                    prop_assert!(!proof.verify(&root, &[(&[3], Some(&[3; 3])), (&[99], None)]));
                }
            }
            for bytes in [&bytes, &chunk] {
                if let Ok(chunk) = decode::<Chunk>(bytes, bytes.len()) {
                    // Another end with no pair between is true as well.
                    let is_in = |key: &[u8]| (first..=chunk.last).contains(&rule::path(key));
                    let mut truth = Vec::new();
                    state.scan(b"", |key, value| truth.extend(is_in(key).then(|| (key.to_vec(), value.to_vec()))));
                    truth.sort_unstable_by_key(|(key, _)| rule::path(key));
                    prop_assert!(!chunk.verify(&root, &first) || chunk.pairs == truth);
                }
            }
        }
    }
}
