//! `nomt`, the Nearly Optimal Merkle Trie: pages of six levels in a hash table, values in a B-tree, both in files of its own, read and written by io_uring
//! past the system's cache.

use std::path::Path;

use ::nomt::hasher::{Sha2Hasher, ValueHasher};
use ::nomt::proof::PathProof;
use ::nomt::trie::LeafData;
use ::nomt::{IoUringPermission, KeyReadWrite, Options, Session, SessionParams, check_iou_permissions};
use bitvec::prelude::Msb0;
use bitvec::view::BitView;

use crate::system::{Settings, System};
use crate::workload::{Key, Update};

/// Its default, enough for two million keys.
const BUCKETS_MIN: u64 = 64_000;
/// Children of a page.
const FANOUT: u64 = 64;
/// A subtree with fewer leaves has no pages: they are computed again from the values.
const LEAVES_MIN: u64 = 20;

/// The open database. A session sees one state and lives until the next block, as one of a node would.
pub struct Nomt {
    session: Option<Session<Sha2Hasher>>,
    nomt: ::nomt::Nomt<Sha2Hasher>,
}

/// Twice as many buckets as there will be pages. Levels count if leaves are near the number at which pages begin, for they are not spread evenly.
fn buckets(keys: u64) -> u32 {
    let levels = std::iter::successors(Some(1_u64), |pages| pages.checked_mul(FANOUT)).take_while(|pages| keys / pages >= LEAVES_MIN / 2);
    u32::try_from((2 * levels.sum::<u64>()).max(BUCKETS_MIN)).unwrap_or(u32::MAX)
}

impl Nomt {
    fn session(&mut self) -> &Session<Sha2Hasher> {
        self.session.get_or_insert_with(|| self.nomt.begin_session(SessionParams::default()))
    }
}

impl System for Nomt {
    type Proof = PathProof;

    fn open(path: &Path, settings: &Settings) -> Self {
        assert!(matches!(check_iou_permissions(), IoUringPermission::Allowed), "on Linux it has no way to read or write but io_uring");
        let cache_mib = usize::try_from(settings.cache_bytes >> 20).expect("it fits into memory");
        let mut options = Options::new();
        options.path(path);
        options.bitbox_seed([1; 16]);
        options.hashtable_buckets(buckets(settings.keys));
        options.commit_concurrency(settings.threads);
        // Halves, as in its defaults.
        options.page_cache_size(cache_mib / 2);
        options.leaf_cache_size(cache_mib / 2);
        Self { session: None, nomt: ::nomt::Nomt::open(options).expect("our directory") }
    }

    fn commit(&mut self, block: &[Update<'_>]) {
        // While it lives nothing is committed.
        self.session = None;
        let mut writes: Vec<_> = block.iter().map(|(key, value)| (*key, KeyReadWrite::Write(Some(value.to_vec())))).collect();
        writes.sort_unstable_by_key(|(key, _)| *key);
        let session = self.nomt.begin_session(SessionParams::default());
        session.finish(writes).expect("the disk reads").commit(&self.nomt).expect("the disk takes it");
    }

    fn root(&self) -> Option<[u8; 32]> {
        Some(self.nomt.root().into_inner())
    }

    fn get(&mut self, key: &Key) -> Option<Vec<u8>> {
        self.session().read(*key).expect("the disk reads")
    }

    fn prove(&mut self, key: &Key) -> Option<PathProof> {
        Some(self.session().prove(*key).expect("the disk reads"))
    }

    fn verify(&self, proof: &PathProof, key: &Key, value: Option<&[u8]>) -> bool {
        let Ok(verified) = proof.verify::<Sha2Hasher>(key.view_bits::<Msb0>(), self.nomt.root().into_inner()) else {
            return false;
        };
        let confirmed = match value {
            Some(value) => verified.confirm_value(&LeafData { key_path: *key, value_hash: Sha2Hasher::hash_value(value) }),
            None => verified.confirm_nonexistence(key),
        };
        confirmed.unwrap_or(false)
    }

    fn bytes(proof: &PathProof) -> usize {
        borsh::to_vec(proof).expect("memory takes it").len()
    }

    fn close(self) {}
}
