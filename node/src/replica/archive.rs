//! The final blocks in the directory of a node that is stopped, for whoever only reads them.

use std::path::Path;

use consensus::message::Stored;
use consensus::{Header, Members};
use primitives::{Epoch, Hash, Height};
use state::{OpenError, Sealed, StateRoot, Store, VerifyError};

use super::past::{self, PastError};
use super::records::{self, StoredBlock};

/// A node's blocks.
pub struct Archive(Store);

/// A state whose every pair was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The newest final block.
    pub height: Height,
    /// What its header says of the state after it, and what the pairs have.
    pub state: StateRoot,
}

/// Why a state on disk is not the one that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The pairs are not what the last commit recorded.
    #[error(transparent)]
    Pairs(#[from] VerifyError),
    /// The pairs are what was recorded, and the newest block says something else.
    #[error("the values on disk have root {disk}, the newest block, at height {height}, says {block}")]
    Block {
        /// The newest final block.
        height: Height,
        /// What its summary says.
        block: StateRoot,
        /// What the pairs have.
        disk: StateRoot,
    },
    /// No replica has ever started there.
    #[error("it holds no block, not even that of genesis")]
    Empty,
}

impl Archive {
    /// Opens the directory of a replica of `chain`. It stays locked until the archive is dropped.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, a node uses it, or it is damaged.
    pub fn open(directory: &Path, chain: Hash) -> Result<Self, OpenError> {
        Store::open(&directory.join(super::STATE), chain).map(Self)
    }

    /// A final block, as forensics wants it.
    pub fn stored(&self, height: Height) -> Option<Stored> {
        records::block(&self.0, height).map(StoredBlock::into_consensus)
    }

    /// The state after the newest final block.
    pub fn state(&self) -> Sealed {
        self.0.head()
    }

    /// The header of the block of this height, or of the newest one, and the state after it.
    ///
    /// # Errors
    /// [`PastError`] if it is not kept.
    pub fn after(&self, height: Option<Height>) -> Result<(Header, Sealed), PastError> {
        let newest = records::tip(&self.0).ok_or(PastError::Empty)?.tip.header;
        match height.filter(|height| *height != newest.height) {
            None => Ok((newest, self.0.head())),
            Some(height) => past::at(&self.0, newest.height, height).map(|(certified, state)| (certified.header, state)),
        }
    }

    /// Recomputes the root from all pairs on disk, and compares it with what was recorded and with what the newest block says.
    ///
    /// Reads everything once: two or three seconds per million pairs on two cores. A read that the disk refuses ends the process ([`state::EXIT_DISK`]).
    ///
    /// # Errors
    /// [`ArchiveError`] names both roots.
    pub fn verify(&self) -> Result<Verified, ArchiveError> {
        let stored = records::tip(&self.0).ok_or(ArchiveError::Empty)?;
        let (disk, block, height) = (self.0.verify()?, stored.summary.state, stored.tip.header.height);
        if disk == block { Ok(Verified { height, state: disk }) } else { Err(ArchiveError::Block { height, block, disk }) }
    }

    /// What the headers of an epoch name its voters by; `None` if no block of it is final here.
    pub fn members(&self, epoch: Epoch) -> Option<Hash> {
        let tip = records::tip(&self.0).map(|stored| stored.tip.header).filter(|header| header.epoch == epoch && header.height > Height::ZERO);
        tip.or_else(|| records::epoch_end(&self.0, epoch).map(|stored| stored.block.header)).map(|header| header.members)
    }

    /// The first of these sets that the headers of an epoch name.
    pub fn find(&self, epoch: Epoch, sets: impl IntoIterator<Item = Members>) -> Option<Members> {
        let named = self.members(epoch)?;
        sets.into_iter().find(|members| members.hash() == named)
    }
}

#[cfg(test)]
impl Archive {
    /// Keeps evidence as a node does that finds it.
    pub fn keep(&self, evidence: &consensus::evidence::Evidence) {
        self.0.write(vec![records::keep_evidence(evidence)]);
    }
}

#[cfg(test)]
mod tests {
    use chain::ledger::Summary;
    use consensus::{Header, Member};
    use primitives::{Amount, SecretKey, Time};
    use rocksdb::{DB, IteratorMode, Options};
    use tempfile::TempDir;

    use super::*;

    const CHAIN: Hash = Hash([1; 32]);

    /// A replica that has block 0 only, with three pairs.
    fn directory() -> TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join(super::super::STATE), CHAIN).expect("a store");
        let mut child = store.head().child();
        for number in 1..=3 {
            child.put(vec![number], vec![number; 5]).expect("short");
        }
        let state = child.seal();
        let summary = Summary::genesis(state.root(), Amount(1), 1, Hash::ZERO);
        let members = Members::new(vec![Member { key: SecretKey::from_seed(&[1; 32]).public(), weight: 1 }]).expect("members");
        let header = Header::genesis(CHAIN, &members, Time(1), summary.digest());
        store.commit(&state, records::genesis(&header, &summary)).expect("it follows");
        directory
    }

    fn verify(directory: &TempDir) -> Result<Verified, ArchiveError> {
        Archive::open(directory.path(), CHAIN).expect("an archive").verify()
    }

    #[test]
    fn values_that_are_not_those_of_the_block() {
        let directory = directory();
        let whole = verify(&directory).expect("nothing happened yet");
        assert_eq!((whole.height, whole.state.leaves), (Height::ZERO, 3));

        // A value changes on the disk.
        let path = directory.path().join(super::super::STATE).join("db");
        let flip = || {
            let families = DB::list_cf(&Options::default(), &path).expect("families");
            let database = DB::open_cf(&Options::default(), &path, families).expect("a database");
            let leaves = database.cf_handle("leaves").expect("leaves");
            let (key, mut row) = database.iterator_cf(leaves, IteratorMode::Start).next().expect("a leaf").expect("read");
            *row.last_mut().expect("a value") ^= 1;
            database.put_cf(leaves, key, row).expect("written");
        };
        flip();
        let Err(ArchiveError::Pairs(error @ VerifyError::Root { recorded, computed })) = verify(&directory) else { panic!("it is noticed") };
        assert!(recorded == whole.state && computed.leaves == 3 && computed.root != recorded.root);
        assert!(error.to_string().contains(&recorded.to_string()) && error.to_string().contains(&computed.to_string()));
        flip();
        assert_eq!(verify(&directory), Ok(whole));

        // A commit that is no block's.
        let store = Store::open(&directory.path().join(super::super::STATE), CHAIN).expect("a store");
        let mut child = store.head().child();
        child.put(vec![4], vec![4]).expect("short");
        store.commit(&child.seal(), vec![]).expect("it follows");
        let disk = store.head().root();
        drop(store);
        assert_eq!(verify(&directory), Err(ArchiveError::Block { height: Height::ZERO, block: whole.state, disk }));
    }
}
