//! Chunks: a state in pieces that anybody can check against its root, in any order and from anywhere.

use std::ops::RangeInclusive;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

use crate::pair;
use crate::pruned::RangeProof;
use crate::rule::StateRoot;
use crate::sealed::Sealed;

/// Neighbouring pairs of a state, and the proof that there are no others between them.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Chunk {
    /// Keys and values, in the order of their paths.
    pub pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// It holds everything up to this path.
    pub last: Hash,
    /// The proof, for the range from where it was asked for up to `last`.
    pub proof: RangeProof,
}

impl Chunk {
    /// Whether these are all pairs of the state of `root` whose paths lie between `from` and [`Chunk::last`].
    pub fn verify(&self, root: &StateRoot, from: &Hash) -> bool {
        let pairs: Vec<(&[u8], &[u8])> = self.pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
        self.proof.verify(root, &(*from..=self.last), &pairs)
    }
}

/// The path after this one; `None` after the last.
pub fn successor(path: &Hash) -> Option<Hash> {
    let mut next = *path;
    for byte in next.0.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(next);
        }
    }
    None
}

impl Sealed {
    /// The first pairs whose paths lie in `range`, which is not empty: about as many as have `bytes_max` bytes, but one at least if there is any.
    pub fn chunk(&self, range: &RangeInclusive<Hash>, bytes_max: usize) -> Chunk {
        let (mut pairs, mut bytes, mut last) = (Vec::new(), 0, *range.start());
        let mut is_full = false;
        self.each_from(range.start(), |path, row| {
            let is_enough = !pairs.is_empty() && bytes + row.len() > bytes_max;
            if path > range.end() || is_enough {
                is_full = is_enough && path <= range.end();
                return false;
            }
            bytes += row.len();
            last = *path;
            pairs.push((pair::key(row).to_vec(), pair::value(row).to_vec()));
            true
        });
        if !is_full {
            last = *range.end();
        }
        Chunk { pairs, last, proof: self.prove_range(&(*range.start()..=last)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    /// Chunk after chunk they hold every pair once; each is refused if anything in it is changed, left out or added, or if it is said to begin elsewhere.
    #[test]
    fn chunks_are_the_state() {
        for count in [0_u32, 1, 2, 17, 400] {
            let mut overlay = Memory::new().child();
            (0..count).for_each(|number| overlay.put(number.to_be_bytes().to_vec(), vec![7; usize::try_from(number % 50).expect("small")]).expect("short"));
            let state = overlay.seal();
            let (mut from, mut found, mut chunks) = (Some(Hash::ZERO), Vec::new(), 0);
            while let Some(start) = from {
                let chunk = state.chunk(&(start..=Hash([0xff; 32])), 1000);
                assert!(chunk.verify(&state.root(), &start));
                for at in 0..chunk.pairs.len() {
                    let mut wrong = [chunk.clone(), chunk.clone(), chunk.clone()];
                    wrong[0].pairs[at].1.push(0);
                    wrong[1].pairs.remove(at);
                    wrong[2].pairs.insert(at, chunk.pairs[at].clone());
                    assert!(wrong.iter().all(|wrong| !wrong.verify(&state.root(), &start)));
                }
                let further = Chunk { last: Hash([0xff; 32]), ..chunk.clone() };
                assert!(chunk.last == further.last || !further.verify(&state.root(), &start));
                let elsewhere = Hash([0x33; 32]);
                let is_there = chunk.pairs.iter().any(|(key, _)| crate::rule::path(key) < elsewhere) && elsewhere < chunk.last;
                assert!(!is_there || !chunk.verify(&state.root(), &elsewhere));
                (from, chunks) = (successor(&chunk.last), chunks + 1);
                found.extend(chunk.pairs);
            }
            assert!(count < 400 || chunks > 10);
            found.sort_unstable();
            let expected: Vec<_> = (0..count).map(|number| (number.to_be_bytes().to_vec(), state.get(&number.to_be_bytes()).expect("put"))).collect();
            assert_eq!(found, expected);
        }
    }

    /// A pair that is larger than a chunk may be comes alone.
    #[test]
    fn large_pairs_come_alone() {
        let mut overlay = Memory::new().child();
        (0..3_u8).for_each(|number| overlay.put(vec![number], vec![0; 5000]).expect("short"));
        let state = overlay.seal();
        let chunk = state.chunk(&(Hash::ZERO..=Hash([0xff; 32])), 100);
        assert_eq!(chunk.pairs.len(), 1);
        assert!(chunk.verify(&state.root(), &Hash::ZERO));
    }
}
