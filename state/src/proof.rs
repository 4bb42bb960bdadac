//! Proofs of one key: its value is this, or it has none. A verifier needs a certified [`StateRoot`] and no database.
//!
//! An inclusion proof lists (bit, sibling) from the leaf up. An exclusion proof does the same for the leaf at which the search for the missing path ends:
//! at every fork on the way the two paths agree, so if the missing leaf existed the search would have found it instead. Each key has exactly one proof
//! under a root; anything added, left out or reordered is refused.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

use crate::rule::{self, StateRoot};

/// What a state says about one key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// [`rule::VERSION`].
    pub version: u8,
    /// What the search for the key found.
    pub end: End,
    /// The forks passed, from the leaf up: bits strictly fall.
    pub steps: Vec<Step>,
}

/// Where the search for a key ends.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum End {
    /// The state is empty.
    Nothing,
    /// At the leaf of the key itself; the verifier knows its path and value.
    Key,
    /// At another leaf, so the key has no value.
    Other {
        /// Path of that leaf.
        path: Hash,
        /// Digest of its value.
        digest: Hash,
    },
}

/// One fork on the way from a leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Step {
    /// The first bit in which the leaves below this fork differ.
    pub bit: u8,
    /// Hash of the side not taken.
    pub sibling: Hash,
}

impl Proof {
    /// No proof is longer: version, another leaf, and a fork for each of the 256 bits of a path.
    pub const BYTES_MAX: usize = 1 + 65 + 4 + 256 * 33;

    /// Whether the state of `root` holds `value` under `key` (inclusion), or nothing at all if `value` is `None` (exclusion).
    pub fn verify(&self, root: &StateRoot, key: &[u8], value: Option<&[u8]>) -> bool {
        self.verify_path(root, &rule::path(key), value.map(rule::digest))
    }

    /// [`Proof::verify`] for a key and value that are hashed already.
    pub(crate) fn verify_path(&self, root: &StateRoot, path: &Hash, digest: Option<Hash>) -> bool {
        let is_order_right = self.steps.windows(2).all(|pair| pair[0].bit > pair[1].bit);
        if self.version != rule::VERSION || !is_order_right {
            return false;
        }
        let (path, digest) = match (&self.end, digest) {
            (End::Key, Some(digest)) => (path, digest),
            (End::Other { path: other, digest }, None) => {
                let is_search_right = self.steps.iter().all(|step| rule::is_set(path, step.bit) == rule::is_set(other, step.bit));
                if other == path || !is_search_right {
                    return false;
                }
                (other, *digest)
            }
            (End::Nothing, None) => return self.steps.is_empty() && *root == StateRoot::EMPTY,
            (End::Nothing | End::Other { .. }, Some(_)) | (End::Key, None) => return false,
        };
        let top = self.steps.iter().fold(rule::leaf(path, &digest), |below, step| {
            if rule::is_set(path, step.bit) { rule::node(step.bit, &step.sibling, &below) } else { rule::node(step.bit, &below, &step.sibling) }
        });
        // Every fork has at least one more leaf on its other side.
        top == root.root && (self.steps.len() as u64) < root.leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Sealed};
    use primitives::encoding;
    use proptest::prelude::*;

    fn five() -> Sealed {
        let mut overlay = Memory::new().child();
        for (key, value) in
            [(&b"alice"[..], b"10".to_vec()), (b"bob", vec![]), (b"carol", b"7".to_vec()), (b"", b"empty key".to_vec()), (b"\0\x01x", (0..40).collect())]
        {
            overlay.put(key.to_vec(), value).expect("short");
        }
        overlay.seal()
    }

    /// The bytes come from a second implementation.
    #[test]
    fn golden() {
        let steps = "0300000002885934fbf3b2276bf830090037d38602ec835fcd8ef8e562447fdcbd054d9186010db18d46d28fe8c413606d6f706ed127e77c8746538a05449a67cadd5598\
                     597600178230335553466fceba1fdd410160e54b11e132ef65f9e39491fd9646979869";
        let leaf = "fba4c3be56d4071c375fb91cdd915a8cdd0d0a8e5d1eb14cc822f6ebe2d5948d4a44dc15364204a80fe80e9039455cc1608281820fe2b24f1e5233ade6af1dd5";
        let hex = |proof: &Proof| encoding::encode(proof).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let state = five();
        let (alice, dave) = (state.prove(b"alice"), state.prove(b"dave"));
        assert_eq!(hex(&alice), format!("0101{steps}"));
        assert_eq!(hex(&dave), format!("0102{leaf}{steps}"));
        assert!(alice.verify(&state.root(), b"alice", Some(b"10")) && dave.verify(&state.root(), b"dave", None));
        let nothing = Memory::new().prove(b"dave");
        assert_eq!(hex(&nothing), "010000000000");
        assert!(nothing.verify(&StateRoot::EMPTY, b"dave", None) && !nothing.verify(&state.root(), b"dave", None));
        assert!(!nothing.verify(&StateRoot { root: Hash::ZERO, leaves: 1 }, b"dave", None));
    }

    proptest! {
        /// Checks STATE-3: bytes from anywhere neither panic nor prove anything.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let state = five();
            let mut near = encoding::encode(&state.prove(b"dave"));
            let at = at.index(near.len());
            near[at] ^= flip;
            for bytes in [bytes, near] {
                if let Ok(proof) = encoding::decode::<Proof>(&bytes, Proof::BYTES_MAX) {
                    prop_assert_eq!(encoding::encode(&proof), bytes);
                    prop_assert!(!proof.verify(&state.root(), b"dave", None));
                    prop_assert!(!proof.verify(&state.root(), b"alice", None));
                    prop_assert!(!proof.verify(&state.root(), b"alice", Some(b"11")));
                }
            }
        }
    }
}
