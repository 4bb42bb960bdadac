//! Proofs of one key in the form of [ICS 23](https://github.com/cosmos/ibc/tree/main/spec/core/ics-023-vector-commitments), which verifiers of other chains
//! read.
//!
//! # Rendering
//! - Their key is ours after the tag of paths ([`key`]). They hash it first, and then it is our path ([`rule::path`]); paths are in the order of the tree, so
//!   an absent one is proven, as ICS 23 wants it, by the leaves on both sides of its place.
//! - A leaf hashes its tag, the path, the digest of the value. A fork hashes its tag, its bit, left, right: a prefix of two bytes, and 32 more if the proof
//!   goes right.
//! - An empty tree has no leaves, and ICS 23 takes no empty value: where either would be needed there is no proof in this form.
//!
//! # Security
//! ICS 23 lets a leaf have a longer prefix than the rule says, and the neighbours of an absent key may say what keys they have. If the path itself were their
//! key, a part of it could be moved into the prefix, and what is there be proven absent. Because the verifier hashes key and value, all that a leaf hashes
//! has one length, and one reading. That the bits of a path fall from the root down ICS 23 does not check, and need not: what is not in the tree hashes to
//! another root.

use ics23::commitment_proof::Proof as Kind;
use ics23::{CommitmentProof, ExistenceProof, HashOp, InnerOp, InnerSpec, LeafOp, LengthOp, NonExistenceProof, ProofSpec};
use prost::Message;

use crate::rule;
use crate::sealed::Sealed;

/// Bytes of a hash.
const HASH_BYTES: i32 = 32;
/// Bytes of a fork's tag and bit.
const FORK_PREFIX_BYTES: i32 = 2;
/// Most forks above a leaf: one for each bit of its path.
const DEPTH_MAX: i32 = 256;

fn leaf() -> LeafOp {
    LeafOp {
        hash: HashOp::Sha256.into(),
        prehash_key: HashOp::Sha256.into(),
        prehash_value: HashOp::Sha256.into(),
        length: LengthOp::NoPrefix.into(),
        prefix: vec![rule::LEAF_TAG],
    }
}

/// What a verifier has to be told about our proofs: an encoded `ProofSpec`.
pub fn spec() -> Vec<u8> {
    let inner = InnerSpec {
        child_order: vec![0, 1],
        child_size: HASH_BYTES,
        min_prefix_length: FORK_PREFIX_BYTES,
        max_prefix_length: FORK_PREFIX_BYTES,
        empty_child: Vec::new(),
        hash: HashOp::Sha256.into(),
    };
    let spec = ProofSpec { leaf_spec: Some(leaf()), inner_spec: Some(inner), max_depth: DEPTH_MAX, min_depth: 0, prehash_key_before_comparison: true };
    spec.encode_to_vec()
}

/// The key of `key` in these proofs, which a verifier is asked for.
pub fn key(key: &[u8]) -> Vec<u8> {
    [&[rule::PATH_TAG], key].concat()
}

/// The proof of what `state` has under `key`: an encoded `CommitmentProof` about [`key`]. `None` of an empty state, and where an empty value is or stands
/// beside.
pub fn prove(state: &Sealed, key: &[u8]) -> Option<Vec<u8>> {
    let kind = match state.get(key) {
        Some(value) => Kind::Exist(existence(state, key, value)?),
        None => {
            let path = rule::path(key);
            let beside = |is_after| state.beside(&path, is_after).map(|(key, value)| existence(state, &key, value).ok_or(())).transpose().ok();
            let (left, right) = (beside(false)?, beside(true)?);
            if left.is_none() && right.is_none() {
                return None;
            }
            Kind::Nonexist(NonExistenceProof { key: self::key(key), left, right })
        }
    };
    Some(CommitmentProof { proof: Some(kind) }.encode_to_vec())
}

fn existence(state: &Sealed, key: &[u8], value: Vec<u8>) -> Option<ExistenceProof> {
    if value.is_empty() {
        return None;
    }
    let path = rule::path(key);
    let steps = state.prove(key).steps.into_iter().map(|step| {
        let (fork, sibling) = ([rule::NODE_TAG, step.bit], step.sibling.0);
        let (prefix, suffix) = if rule::is_set(&path, step.bit) { ([&fork[..], &sibling].concat(), Vec::new()) } else { (fork.to_vec(), sibling.to_vec()) };
        InnerOp { hash: HashOp::Sha256.into(), prefix, suffix }
    });
    Some(ExistenceProof { key: self::key(key), value, leaf: Some(leaf()), path: steps.collect() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ics23::HostFunctionsManager;
    use primitives::Hash;
    use proptest::prelude::*;

    use super::*;
    use crate::{Memory, model};

    /// What the verifier of the `ics23` crate says of the value under a key, or of its absence.
    fn holds(proof: &[u8], root: &Hash, key: &[u8], value: Option<&[u8]>) -> bool {
        let (Ok(proof), spec) = (CommitmentProof::decode(proof), ProofSpec::decode(&spec()[..]).unwrap()) else { return false };
        let (root, key) = (root.0.to_vec(), super::key(key));
        match value {
            Some(value) => ics23::verify_membership::<HostFunctionsManager>(&proof, &spec, &root, &key, value),
            None => ics23::verify_non_membership::<HostFunctionsManager>(&proof, &spec, &root, &key),
        }
    }

    proptest! {
        /// The verifier of others accepts what is there and what is not, and nothing else.
        #[test]
        fn others_verify(changes in model::changes(), asked in any::<u8>(), (place, bit) in (any::<prop::sample::Index>(), 0..8_u8)) {
            let mut pairs = BTreeMap::new();
            let state = model::apply(&Memory::new(), &mut pairs, &changes);
            let root = state.root().root;
            for key in pairs.keys().cloned().chain([vec![asked], vec![asked, asked]]) {
                let value = pairs.get(&key).map(Vec::as_slice);
                let untrue = value.is_none().then_some(&b"value"[..]);
                let Some(proof) = prove(&state, &key) else {
                    let mut paths: Vec<_> = pairs.iter().map(|(key, value)| (rule::path(key), value)).collect();
                    paths.sort_unstable();
                    let at = paths.partition_point(|(path, _)| *path < rule::path(&key));
                    let beside = [at.checked_sub(1).and_then(|at| paths.get(at)), paths.get(at)];
                    let is_empty_beside = beside.into_iter().flatten().any(|(_, value)| value.is_empty());
                    prop_assert!(value == Some(&[]) || value.is_none() && (is_empty_beside || pairs.is_empty()));
                    continue;
                };
                prop_assert!(holds(&proof, &root, &key, value));
                prop_assert!(!holds(&proof, &Hash([9; 32]), &key, value));
                prop_assert!(!holds(&proof, &root, &key, untrue));
                // A proof of absence is one for the whole gap.
                prop_assert!(value.is_none() || !holds(&proof, &root, &[&key[..], b"other"].concat(), value));
                let mut changed = proof.clone();
                let place = place.index(changed.len());
                changed[place] ^= 1 << bit;
                // Protobuf has fields that nobody reads, so a changed proof may hold; but not another truth.
                prop_assert!(!holds(&changed, &root, &key, untrue));
            }
        }
    }

    /// What is there cannot be proven absent by neighbours whose keys begin later, and whose prefixes have what is missing of them.
    #[test]
    fn no_part_of_a_key_moves_into_the_prefix() {
        let mut overlay = Memory::new().child();
        (0..64_u8).for_each(|key| overlay.put(vec![key; 40], vec![7]).unwrap());
        let state = overlay.seal();
        let mut paths: Vec<_> = (0..64_u8).map(|key| (rule::path(&[key; 40]), vec![key; 40])).collect();
        paths.sort_unstable();
        let forge = |key: &[u8], cut: usize, is_hashed: bool| {
            let mut forged = existence(&state, key, vec![7]).unwrap();
            let hashed = if is_hashed { rule::path(key).0.to_vec() } else { forged.key };
            forged.leaf.as_mut().unwrap().prefix.extend(&hashed[..cut]);
            forged.key = hashed[cut..].to_vec();
            forged
        };
        for (left, present, right) in paths.windows(3).map(|three| (&three[0].1, &three[1].1, &three[2].1)) {
            for (cut, is_hashed) in (0..32).flat_map(|cut| [(cut, false), (cut, true)]) {
                for (left, right) in [(left, present), (present, right), (left, right)] {
                    let [left, right] = [left, right].map(|key| Some(forge(key, cut, is_hashed)));
                    let proof = NonExistenceProof { key: super::key(present), left, right };
                    let bytes = CommitmentProof { proof: Some(Kind::Nonexist(proof)) }.encode_to_vec();
                    assert!(!holds(&bytes, &state.root().root, present, None), "cut at {cut}");
                }
            }
        }
    }

    /// Bytes of both kinds with a million leaves would be some 950 and 1,900.
    #[test]
    fn sizes() {
        let mut overlay = Memory::new().child();
        (0..4096_u32).for_each(|key| overlay.put(key.to_le_bytes().to_vec(), vec![7; 32]).unwrap());
        let state = overlay.seal();
        let [there, absent] = [prove(&state, &5_u32.to_le_bytes()), prove(&state, b"none")].map(Option::unwrap);
        assert!((400..800).contains(&there.len()) && (800..1600).contains(&absent.len()), "{} and {}", there.len(), absent.len());
    }
}
