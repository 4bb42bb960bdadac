//! The trie against a sorted map and the fold of the rule, on paths chosen to be far apart and to share all but their last bits.

use std::collections::BTreeMap;

use primitives::{Hash, encoding};
use proptest::prelude::*;

use super::{Change, Node, Trie, Whole};
use crate::pair::Pair;
use crate::proof::{End, Proof, Step};
use crate::pruned::{MultiProof, Piece, RangeProof};
use crate::rule::{self, StateRoot};

/// Paths that differ early, late, or in both places.
fn path() -> impl Strategy<Value = Hash> {
    (0..4_u8, 0..3_u8, 0..8_u8).prop_map(|(early, middle, late)| {
        let mut path = Hash([0x55; 32]);
        path.0[0] = early << 6;
        path.0[16] = middle;
        path.0[31] = late;
        path
    })
}

/// Blocks of changes: a digest, or a deletion.
fn blocks() -> impl Strategy<Value = Vec<BTreeMap<Hash, Option<u8>>>> {
    proptest::collection::vec(proptest::collection::btree_map(path(), proptest::option::weighted(0.6, 0..4_u8), 0..24), 1..8)
}

/// A leaf at any path, whatever its key.
fn put(path: Hash, value: u8) -> Change {
    Change::put(path, Pair::new(b"", &[value]))
}

fn digest(value: u8) -> Hash {
    rule::digest(&[value])
}

fn changes(block: &BTreeMap<Hash, Option<u8>>) -> Vec<Change> {
    block.iter().map(|(path, value)| value.map_or_else(|| Change::delete(*path), |value| put(*path, value))).collect()
}

fn model_root(model: &BTreeMap<Hash, u8>) -> StateRoot {
    let leaves: Vec<_> = model.iter().map(|(path, value)| (*path, digest(*value))).collect();
    StateRoot { root: rule::root(&leaves), leaves: leaves.len() as u64 }
}

/// The opposite of what is true.
fn denial(digest: Option<Hash>) -> Option<Hash> {
    if digest.is_some() { None } else { Some(Hash([1; 32])) }
}

/// Everything that can be changed in a proof by one step.
fn mutations(proof: &Proof) -> Vec<Proof> {
    let mut wrong = vec![Proof { version: proof.version + 1, ..proof.clone() }];
    for end in [End::Nothing, End::Key, End::Other { path: Hash([9; 32]), digest: Hash([1; 32]) }] {
        wrong.push(Proof { end, ..proof.clone() });
    }
    if let End::Other { path, digest } = proof.end {
        wrong.push(Proof { end: End::Other { path: digest, digest: path }, ..proof.clone() });
        wrong.push(Proof { end: End::Other { path, digest: Hash([77; 32]) }, ..proof.clone() });
    }
    let mut with = |steps: Vec<Step>| wrong.push(Proof { steps, ..proof.clone() });
    with([proof.steps.clone(), vec![Step { bit: 0, sibling: Hash::ZERO }]].concat());
    with([vec![Step { bit: 255, sibling: Hash::ZERO }], proof.steps.clone()].concat());
    for at in 0..proof.steps.len() {
        let edit = |change: &dyn Fn(&mut Vec<Step>)| {
            let mut steps = proof.steps.clone();
            change(&mut steps);
            steps
        };
        with(edit(&|steps| steps.retain(|step| *step != proof.steps[at])));
        with(edit(&|steps| steps.insert(at, steps[at].clone())));
        with(edit(&|steps| steps[at].bit ^= 1));
        with(edit(&|steps| steps[at].sibling.0[31] ^= 1));
        with(edit(&|steps| steps.swap(0, at)));
    }
    wrong.retain(|wrong| wrong != proof);
    wrong
}

proptest! {
    /// Checks STATE-1 and STATE-2: every version has the root of its set, whatever came before, and earlier versions stay as they were.
    #[test]
    fn root_is_a_function_of_the_set(blocks in blocks()) {
        let mut versions = vec![(Trie::default(), BTreeMap::new())];
        for block in &blocks {
            let (trie, model) = versions.last().expect("the first is there");
            let (trie, mut model) = (trie.apply(&changes(block), &Whole, 0).0, model.clone());
            for (path, value) in block {
                match value {
                    Some(value) => drop(model.insert(*path, *value)),
                    None => drop(model.remove(path)),
                }
            }
            versions.push((trie, model));
        }
        for (trie, model) in &versions {
            prop_assert_eq!(trie.root(), model_root(model));
            let leaves: Vec<_> = model.iter().map(|(path, value)| put(*path, *value)).collect();
            prop_assert_eq!(Trie::default().apply(&leaves, &Whole, 0).0.root(), trie.root());
        }
    }

    /// Checks STATE-3: each path has exactly one true proof, and it proves nothing else.
    #[test]
    fn proofs(block in proptest::collection::btree_map(path(), (0..4_u8).prop_map(Some), 0..24), absent in proptest::collection::vec(path(), 4), other in path()) {
        let trie = Trie::default().apply(&changes(&block), &Whole, 0).0;
        let root = trie.root();
        for path in block.keys().chain(&absent) {
            let digested = block.get(path).map(|value| digest(value.expect("only puts")));
            let proof = trie.prove(path, &Whole);
            prop_assert!(proof.verify_path(&root, path, digested));
            prop_assert!(!proof.verify_path(&root, path, Some(Hash([200; 32]))));
            prop_assert!(!proof.verify_path(&root, path, denial(digested)));
            let stranger = StateRoot { root: Hash([3; 32]), ..root };
            prop_assert!(!proof.verify_path(&stranger, path, digested));
            let others = block.get(&other).map(|value| digest(value.expect("only puts")));
            prop_assert!(!proof.verify_path(&root, &other, denial(others)));
            let bytes = encoding::encode(&proof);
            prop_assert!(bytes.len() <= Proof::BYTES_MAX);
            prop_assert_eq!(&encoding::decode::<Proof>(&bytes, Proof::BYTES_MAX).expect("just encoded"), &proof);
            for wrong in mutations(&proof) {
                prop_assert!(!wrong.verify_path(&root, path, digested), "{:?} passed for {:?}", wrong, proof);
                // A changed proof must not turn the statement round either.
                prop_assert!(!wrong.verify_path(&root, path, denial(digested)));
            }
        }
    }
}

/// Everything that can be changed in a folded tree by one step.
fn mutated(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let mut wrong = vec![[pieces, &[Piece::Folded(Hash::ZERO)]].concat(), [&[Piece::Fork(0)], pieces].concat()];
    for at in 0..pieces.len() {
        let mut with = |piece: Option<Piece>| {
            let mut pieces = pieces.to_vec();
            pieces.splice(at..=at, piece);
            wrong.push(pieces);
        };
        with(None);
        for piece in [Piece::Pair, Piece::Folded(Hash([1; 32])), Piece::Fork(9), Piece::Other { path: Hash([1; 32]), digest: Hash([2; 32]) }] {
            with(Some(piece));
        }
        match pieces[at] {
            Piece::Fork(bit) => with(Some(Piece::Fork(bit ^ 1))),
            Piece::Folded(mut hash) => {
                hash.0[31] ^= 1;
                with(Some(Piece::Folded(hash)));
            }
            Piece::Other { path, digest } => with(Some(Piece::Other { path: digest, digest: path })),
            Piece::Pair => {}
        }
        let mut swapped = pieces.to_vec();
        swapped.swap(0, at);
        wrong.push(swapped);
    }
    wrong.retain(|wrong| wrong != pieces);
    wrong
}

proptest! {
    /// Checks STATE-3 for many paths at once, there or not, and for ranges: the truth is proved, and nothing else.
    #[test]
    fn folded_trees(
        block in proptest::collection::btree_map(path(), (0..4_u8).prop_map(Some), 0..24),
        asked in proptest::collection::btree_set(path(), 0..12),
        ends in (path(), path()),
    ) {
        let trie = Trie::default().apply(&changes(&block), &Whole, 0).0;
        let root = trie.root();
        let digest_of = |path: &Hash| block.get(path).map(|value| digest(value.expect("only puts")));

        let expected: Vec<(Hash, Option<Hash>)> = asked.iter().map(|path| (*path, digest_of(path))).collect();
        let proof = MultiProof { version: rule::VERSION, pieces: trie.prove_many(&asked.iter().copied().collect::<Vec<_>>(), &Whole) };
        prop_assert!(proof.verify_paths(&root, &expected));
        for at in 0..expected.len() {
            for lie in [denial(expected[at].1), Some(Hash([200; 32]))] {
                let mut lies = expected.clone();
                lies[at].1 = lie;
                prop_assert!(!proof.verify_paths(&root, &lies));
            }
            let fewer = [&expected[..at], &expected[at + 1..]].concat();
            prop_assert!(expected[at].1.is_none() || !proof.verify_paths(&root, &fewer));
        }
        for pieces in mutated(&proof.pieces) {
            let wrong = MultiProof { pieces, ..proof.clone() };
            prop_assert!(!wrong.verify_paths(&root, &expected));
        }

        let range = ends.0.min(ends.1)..=ends.0.max(ends.1);
        let leaves: Vec<(Hash, Hash)> = block.range(range.clone()).map(|(path, _)| (*path, digest_of(path).expect("it is there"))).collect();
        let proof = RangeProof { version: rule::VERSION, pieces: trie.prove_range(&range, &Whole) };
        prop_assert!(proof.verify_leaves(&root, &range, &leaves));
        for at in 0..leaves.len() {
            let mut other = leaves.clone();
            other[at].1 = Hash([200; 32]);
            let fewer = [&leaves[..at], &leaves[at + 1..]].concat();
            prop_assert!(!proof.verify_leaves(&root, &range, &other) && !proof.verify_leaves(&root, &range, &fewer));
            // Nor does it hold where a leaf was folded away.
            let narrow = leaves[at].0..=leaves[at].0;
            let proof = RangeProof { pieces: trie.prove_range(&narrow, &Whole), ..proof.clone() };
            prop_assert!(proof.verify_leaves(&root, &narrow, &leaves[at..=at]));
            prop_assert!(leaves.len() == 1 || !proof.verify_leaves(&root, &range, &leaves[at..=at]));
        }
        let stranger = (*range.start(), Hash([200; 32]));
        prop_assert!(digest_of(range.start()).is_some() || !proof.verify_leaves(&root, &range, &[&[stranger], &leaves[..]].concat()));
        for pieces in mutated(&proof.pieces) {
            let wrong = RangeProof { pieces, ..proof.clone() };
            prop_assert!(!wrong.verify_leaves(&root, &range, &leaves));
        }
        let all = Hash::ZERO..=Hash([0xff; 32]);
        let leaves: Vec<(Hash, Hash)> = block.keys().map(|path| (*path, digest_of(path).expect("it is there"))).collect();
        let proof = RangeProof { pieces: trie.prove_range(&all, &Whole), ..proof };
        prop_assert!(proof.verify_leaves(&root, &all, &leaves));
    }
}

#[test]
fn unchanged_is_shared() {
    let at = |last: u8, value| {
        let mut path = Hash([7; 32]);
        path.0[31] = last;
        put(path, value)
    };
    let trie = Trie::default().apply(&[at(0, 1), at(1, 1), at(255, 1)], &Whole, 0).0;
    let same = trie.apply(&[at(1, 1)], &Whole, 0).0.apply(&[], &Whole, 0).0;
    assert!(trie.top.as_ref().zip(same.top.as_ref()).is_some_and(|(one, other)| Node::is(one, other)), "nothing changed, nothing built");
}

/// The deepest tree there can be: each leaf parts from the rest in another bit.
#[test]
fn deepest() {
    let mut model = BTreeMap::from([(Hash::ZERO, Some(1))]);
    for bit in 0..=255_u8 {
        let mut path = Hash::ZERO;
        path.0[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
        model.insert(path, Some(1));
    }
    let trie = Trie::default().apply(&changes(&model), &Whole, 0).0;
    let proof = trie.prove(&Hash::ZERO, &Whole);
    assert_eq!(proof.steps.len(), 256);
    assert!(proof.verify_path(&trie.root(), &Hash::ZERO, Some(digest(1))));
    assert_eq!(encoding::encode(&proof).len(), Proof::BYTES_MAX - 64, "an exclusion proof also carries a leaf");
    let gone: BTreeMap<_, _> = model.keys().map(|path| (*path, None)).collect();
    assert_eq!(trie.apply(&changes(&gone), &Whole, 0).0.root(), StateRoot::EMPTY);
}
