//! The committed function: one hash of a set of pairs. This is consensus; the rest of the room only computes it faster, proves it and keeps it.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

/// Version of this rule and of the proofs that follow from it.
pub const VERSION: u8 = 1;

/// What a header says about a state: the root of its pairs and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StateRoot {
    /// [`root`] of all pairs.
    pub root: Hash,
    /// Number of pairs.
    pub leaves: u64,
}

impl StateRoot {
    /// The state without any pair.
    pub const EMPTY: Self = Self { root: Hash::ZERO, leaves: 0 };
}

impl fmt::Display for StateRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} leaves", self.root, self.leaves)
    }
}

/// The first byte of what a leaf hashes.
pub(crate) const LEAF_TAG: u8 = 0;
/// The first byte of what a node hashes.
pub(crate) const NODE_TAG: u8 = 1;
/// The first byte of what a path hashes.
pub(crate) const PATH_TAG: u8 = 2;

/// Where a key lives: `SHA-256(0x02 || key)`. It spreads namespaced keys evenly.
pub fn path(key: &[u8]) -> Hash {
    Hash::raw(&[&[PATH_TAG], key])
}

/// What a leaf says of a value: `SHA-256(value)`.
pub fn digest(value: &[u8]) -> Hash {
    Hash::raw(&[value])
}

/// `SHA-256(0x00 || path || digest)`.
pub fn leaf(path: &Hash, digest: &Hash) -> Hash {
    Hash::raw(&[&[LEAF_TAG], path.as_bytes(), digest.as_bytes()])
}

/// `SHA-256(0x01 || bit || left || right)`. The tags and the bit keep a node from being a leaf or a node of another place.
pub fn node(bit: u8, left: &Hash, right: &Hash) -> Hash {
    Hash::raw(&[&[NODE_TAG, bit], left.as_bytes(), right.as_bytes()])
}

/// Whether bit `bit` of `path` is one. Bit 0 is the highest of the first byte, so that the order of paths is the order of leaves.
pub fn is_set(path: &Hash, bit: u8) -> bool {
    path.0[usize::from(bit / 8)] & (0x80 >> (bit % 8)) != 0
}

/// The first bit in which two paths differ, or `None` if they are equal.
pub fn fork(one: &Hash, other: &Hash) -> Option<u8> {
    // Eight bytes at a time: this is asked at every step of every search.
    let (ones, others) = (one.0.as_chunks().0.iter(), other.0.as_chunks().0.iter());
    let differences = ones.zip(others).map(|(one, other)| u64::from_be_bytes(*one) ^ u64::from_be_bytes(*other));
    let (index, difference) = (0_u32..).zip(differences).find(|(_, difference)| *difference != 0)?;
    Some(u8::try_from(index * u64::BITS + difference.leading_zeros()).expect("a path has 256 bits"))
}

/// The first `bits` bits of `path`, then zeros: a function of the leaves below, not of the order in which they came.
pub fn prefix(path: &Hash, bits: u8) -> Hash {
    let mut prefix = Hash::ZERO;
    let whole = usize::from(bits / 8);
    prefix.0[..whole].copy_from_slice(&path.0[..whole]);
    prefix.0[whole] = path.0[whole] & !(0xff >> (bits % 8));
    prefix
}

/// All paths whose first byte lies between these two, both included.
#[cfg(feature = "disk")]
pub(crate) fn paths(first: u8, last: u8) -> std::ops::RangeInclusive<Hash> {
    let (mut from, mut to) = (Hash::ZERO, Hash([0xff; 32]));
    (from.0[0], to.0[0]) = (first, last);
    from..=to
}

/// The root of pairs given as (path, digest), sorted by path and without duplicates; 32 zero bytes for none.
pub fn root(leaves: &[(Hash, Hash)]) -> Hash {
    match leaves {
        [] => Hash::ZERO,
        [(path, digest)] => leaf(path, digest),
        [(first, _), .., (last, _)] => {
            let bit = fork(first, last).expect("paths are sorted and distinct");
            let (left, right) = leaves.split_at(leaves.partition_point(|(path, _)| !is_set(path, bit)));
            node(bit, &root(left), &root(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values come from a second implementation of the ten lines.
    #[test]
    fn golden() {
        let root_of = |pairs: &[(&[u8], &[u8])]| {
            let mut leaves: Vec<_> = pairs.iter().map(|(key, value)| (path(key), digest(value))).collect();
            leaves.sort();
            root(&leaves).to_string()
        };
        assert_eq!(path(b"alice").to_string(), "fba4c3be56d4071c375fb91cdd915a8cdd0d0a8e5d1eb14cc822f6ebe2d5948d");
        assert_eq!(root_of(&[]), "00".repeat(32));
        assert_eq!(root_of(&[(b"alice", b"10")]), "be1fc5b1fe60ba54f2eee07824005eae3e8db7b6daa0d53d6ff46f082bf2a5c6");
        let values: Vec<u8> = (0..40).collect();
        let five: [(&[u8], &[u8]); 5] = [(b"alice", b"10"), (b"bob", b""), (b"carol", b"7"), (b"", b"empty key"), (b"\0\x01x", &values)];
        assert_eq!(root_of(&five), "24a66b1ac6a513c94c6e49a5c32348faa6826825370cd15e09ad39317ac34558");
        let thousand: Vec<(String, String)> = (0..1000_u32).map(|number| (number.to_string(), (number * number).to_string())).collect();
        let thousand: Vec<(&[u8], &[u8])> = thousand.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect();
        assert_eq!(root_of(&thousand), "f6a002b66de1ec037e60b413466c5d5749b947d5a14f255f42a704769855fe0b");
    }

    #[test]
    fn forks() {
        let mut other = Hash::ZERO;
        assert_eq!(fork(&Hash::ZERO, &other), None);
        for bit in (0..=255).rev() {
            other.0[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
            assert_eq!(fork(&Hash::ZERO, &other), Some(bit));
            assert!(is_set(&other, bit) && !is_set(&Hash::ZERO, bit));
        }
    }
}
