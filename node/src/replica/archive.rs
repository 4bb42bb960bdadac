//! The final blocks in the directory of a node that is stopped, for whoever only reads them.

use std::path::Path;

use consensus::Members;
use consensus::message::Stored;
use primitives::{Epoch, Hash, Height};
use state::{OpenError, Sealed, Store};

use super::records::{self, StoredBlock};

/// A node's blocks.
pub struct Archive(Store);

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
