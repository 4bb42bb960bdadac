//! A list under one hash: Merkle trees of rs_merkle with tagged leaves and nodes, and the number of leaves inside the root.
//!
//! ```text
//! leaf(x) = SHA-256(0x00 || x)    node(l, r) = SHA-256(0x01 || l || r)    a node without a right sibling moves up as it is
//! root(list) = SHA-256(0x02 || count as 8 little-endian bytes || top),  top of the empty list = 32 zero bytes
//! ```
//! rs_merkle alone accepts proofs with indices out of range, other leaf counts and trailing hashes; here the count is signed for by the root and the number
//! of hashes is checked, so a proof fits one index of one list (PRIM-3).

use borsh::{BorshDeserialize, BorshSerialize};
use rs_merkle::{Hasher, MerkleProof, MerkleTree};

use crate::Hash;

/// The tagged hash functions of the tree.
#[derive(Clone)]
struct Tagged;

impl Hasher for Tagged {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        Hash::raw(&[&[0], data]).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| Hash::raw(&[&[1], left, right]).0)
    }
}

fn finish(count: usize, top: [u8; 32]) -> Hash {
    Hash::raw(&[&[2], &(count as u64).to_le_bytes(), &top])
}

fn tree<T: AsRef<[u8]>>(items: &[T]) -> MerkleTree<Tagged> {
    MerkleTree::from_leaves(&items.iter().map(|item| Tagged::hash(item.as_ref())).collect::<Vec<_>>())
}

/// The root of a list of byte strings.
pub fn root<T: AsRef<[u8]>>(items: &[T]) -> Hash {
    finish(items.len(), tree(items).root().unwrap_or_default())
}

/// Proof that one item is at one index of a list.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// Position of the item.
    pub index: u32,
    /// Length of the list.
    pub count: u32,
    /// Siblings from the leaf up.
    pub siblings: Vec<Hash>,
}

/// The proof for `items[index]`, or `None` if there is no such item.
pub fn prove<T: AsRef<[u8]>>(items: &[T], index: usize) -> Option<Proof> {
    if index >= items.len() {
        return None;
    }
    let siblings = tree(items).proof(&[index]).proof_hashes().iter().map(|hash| Hash(*hash)).collect();
    Some(Proof { index: u32::try_from(index).ok()?, count: u32::try_from(items.len()).ok()?, siblings })
}

impl Proof {
    /// Whether `item` is at this index of the list with this `root`.
    pub fn verify(&self, root: Hash, item: &[u8]) -> bool {
        let (index, count) = (self.index as usize, self.count as usize);
        if index >= count || self.siblings.len() != siblings_of(index, count) {
            return false;
        }
        let proof = MerkleProof::<Tagged>::new(self.siblings.iter().map(|hash| hash.0).collect());
        proof.root(&[index], &[Tagged::hash(item)], count).is_ok_and(|top| finish(count, top) == root)
    }
}

/// How many siblings the leaf `index` of `count` has: levels at which its node has one.
fn siblings_of(mut index: usize, mut count: usize) -> usize {
    let mut siblings = 0;
    while count > 1 {
        siblings += usize::from(index ^ 1 < count);
        index /= 2;
        count = count.div_ceil(2);
    }
    siblings
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The function of the module doc, written down a second time.
    fn naive(items: &[Vec<u8>]) -> Hash {
        let mut level: Vec<[u8; 32]> = items.iter().map(|item| Hash::raw(&[&[0], item]).0).collect();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| if pair.len() == 2 { Hash::raw(&[&[1], &pair[0], &pair[1]]).0 } else { pair[0] }).collect();
        }
        Hash::raw(&[&[2], &(items.len() as u64).to_le_bytes(), &level.first().copied().unwrap_or_default()])
    }

    proptest! {
        /// Checks PRIM-3.
        #[test]
        fn proofs(items in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 1..40), at in any::<prop::sample::Index>(), delta in 1..9u32) {
            let (root, index) = (root(&items), at.index(items.len()));
            prop_assert_eq!(root, naive(&items));
            let proof = prove(&items, index).expect("in range");
            prop_assert!(proof.verify(root, &items[index]));
            let mut other = items[index].clone();
            other.push(1);
            prop_assert!(!proof.verify(root, &other));
            for wrong in [
                Proof { index: proof.index + delta, ..proof.clone() },
                Proof { index: proof.index + proof.count, ..proof.clone() },
                Proof { count: proof.count + delta, ..proof.clone() },
                Proof { siblings: [proof.siblings.clone(), vec![Hash::ZERO]].concat(), ..proof.clone() },
            ] {
                let same_item = items.get(wrong.index as usize) == Some(&items[index]) && wrong.count == proof.count && wrong.siblings == proof.siblings;
                prop_assert!(!wrong.verify(root, &items[index]) || same_item);
            }
        }
    }

    #[test]
    fn empty_list() {
        assert_eq!(root::<Vec<u8>>(&[]), naive(&[]));
        assert_eq!(prove::<Vec<u8>>(&[], 0), None);
    }
}
