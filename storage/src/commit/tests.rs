//! The tree against BLAKE3 and against bao-tree; wrong bytes anywhere.

use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::encode_ranges_validated;
use bao_tree::{BlockSize, ChunkNum, ChunkRanges};
use proptest::prelude::*;

use super::*;

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 131 + at / 257).to_le_bytes()[0]).collect()
}

/// Lengths around every boundary that the tree knows.
fn lengths() -> impl Strategy<Value = usize> {
    let edges =
        vec![0, 1, 64, 1023, 1024, 1025, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 2 * GROUP + 1, 3 * GROUP, 4 * GROUP, 5 * GROUP - 1, 8 * GROUP, 9 * GROUP + 77];
    prop_oneof![prop::sample::select(edges), 0..12 * GROUP]
}

/// What bao-tree sends for the same groups.
fn model(slice: &[u8], wanted: &Range<u64>) -> Vec<u8> {
    let outboard = PreOrderMemOutboard::create(slice, BlockSize::from_chunk_log(4));
    let ranges = ChunkRanges::from(ChunkNum(wanted.start * 16)..ChunkNum(wanted.end * 16));
    let mut encoded = Vec::new();
    encode_ranges_validated(slice, &outboard, &ranges, &mut encoded).unwrap();
    encoded
}

fn verify(root: Hash, length: u64, wanted: Range<u64>, response: &[u8], piece: usize) -> Result<Vec<u8>, RangeError> {
    let mut verifier = Verifier::new(root, length, wanted.clone());
    let mut out = Vec::new();
    let pieces = response.chunks(piece);
    for piece in pieces.chain(response.is_empty().then_some(&[][..])) {
        verifier.push(piece, |at, bytes| {
            assert_eq!(at, wanted.start * GROUP_BYTES + out.len() as u64);
            out.extend_from_slice(bytes);
        })?;
        assert!(verifier.pending.len() <= GROUP && verifier.stack.len() <= 12, "bounded");
    }
    assert!(verifier.is_complete());
    Ok(out)
}

#[test]
fn golden() {
    assert_eq!(root(b"").to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", "BLAKE3 of nothing");
    assert_eq!(Tree::of(b"").root(), root(b""));
    let slice = data(3 * GROUP + 1);
    assert_eq!(response_bytes(slice.len() as u64, 3..4), 2 * 64 + 1);
}

#[test]
fn ranges_of_groups() {
    assert_eq!(groups_of(100_000, 0..0), 0..0);
    assert_eq!(groups_of(100_000, 16_383..16_385), 0..2);
    assert_eq!(groups_of(100_000, 99_999..u64::MAX), 6..7);
    assert_eq!(groups_of(100_000, 100_000..100_001), 0..0);
    assert_eq!(bytes_of(100_000, 6..7), 98_304..100_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn root_is_blake3_however_it_arrives(length in lengths(), pieces in prop::collection::vec(1usize..40_000, 1..8)) {
        let slice = data(length);
        let mut builder = TreeBuilder::new();
        let (mut rest, mut turn) = (&slice[..], pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*turn.next().unwrap()));
            builder.update(piece);
            rest = more;
        }
        prop_assert_eq!(builder.length(), length as u64);
        let tree = builder.finish();
        prop_assert_eq!(tree.root(), root(&slice));
        prop_assert_eq!(Tree::from_hashes(length as u64, &tree.hashes()), Some(tree.clone()));
        prop_assert_eq!(Tree::from_hashes(length as u64 + GROUP_BYTES, &tree.hashes()).is_none(), length > 0);
        for group in 0..groups(length as u64) {
            let place = bytes_of(length as u64, group..group + 1);
            prop_assert!(tree.is_group(group, &slice[index(place.start)..index(place.end)]));
        }
        prop_assert!(!tree.is_group(groups(length as u64), &[]));
    }

    /// Checks STORE-2: the response is bao-tree's, and what the verifier hands out is the slice.
    #[test]
    fn responses_are_those_of_bao(length in lengths(), from in 0u64..13, count in 1u64..13, piece in 1usize..50_000) {
        let slice = data(length);
        let tree = Tree::of(&slice);
        let wanted = from.min(groups(length as u64) - 1)..(from + count).min(groups(length as u64));
        prop_assume!(wanted.start < wanted.end);
        let response = respond(&tree, &slice, wanted.clone());
        prop_assert_eq!(&response, &model(&slice, &wanted));
        prop_assert_eq!(response.len() as u64, response_bytes(length as u64, wanted.clone()));
        let place = bytes_of(length as u64, wanted.clone());
        let out = verify(tree.root(), length as u64, wanted, &response, piece).unwrap();
        prop_assert_eq!(&out[..], &slice[index(place.start)..index(place.end)]);
    }

    /// Checks STORE-2: one wrong bit anywhere is refused, before a byte of its group is handed out; what came before it is genuine.
    #[test]
    fn a_wrong_bit_is_refused(length in GROUP..9 * GROUP, from in 0u64..8, at in any::<prop::sample::Index>(), bit in 0u8..8, piece in 1usize..50_000) {
        let slice = data(length);
        let tree = Tree::of(&slice);
        let wanted = from.min(groups(length as u64) - 1)..groups(length as u64);
        let mut response = respond(&tree, &slice, wanted.clone());
        let at = at.index(response.len());
        response[at] ^= 1 << bit;
        let mut verifier = Verifier::new(tree.root(), length as u64, wanted);
        let mut result = Ok(());
        for piece in response.chunks(piece) {
            result = verifier.push(piece, |place, bytes| assert_eq!(bytes, &slice[index(place)..][..bytes.len()]));
            if result.is_err() {
                break;
            }
        }
        prop_assert!(result.is_err() && !verifier.is_complete());
        prop_assert_eq!(verifier.push(&[], |_, _| ()), result);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(length in lengths(), bytes in prop::collection::vec(any::<u8>(), 1..4000)) {
        let mut verifier = Verifier::new(root(&data(length)), length as u64, 0..u64::MAX);
        if verifier.push(&bytes, |_, _| ()).is_ok() {
            prop_assert!(!verifier.is_complete());
        }
    }
}

#[test]
fn surplus_and_missing_bytes() {
    let slice = data(40_000);
    let tree = Tree::of(&slice);
    let mut response = respond(&tree, &slice, 0..3);
    let mut verifier = Verifier::new(tree.root(), 40_000, 0..3);
    verifier.push(&response[..response.len() - 1], |_, _| ()).unwrap();
    assert!(!verifier.is_complete());
    response.push(0);
    let mut verifier = Verifier::new(tree.root(), 40_000, 0..3);
    assert_eq!(verifier.push(&response, |_, _| ()), Err(RangeError::TooLong { root: tree.root(), extra: 1 }));
    let mut wrong_length = Verifier::new(tree.root(), 40_001, 0..3);
    assert!(wrong_length.push(&response, |_, _| ()).is_err(), "the length is part of what the root says");
}
