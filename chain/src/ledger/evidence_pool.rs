//! Evidence that waits for a block: what a node keeps between finding it, or hearing of it, and its inclusion.
//!
//! Whoever inserts has checked the evidence against the newest final state ([`crate::slashing::check`]): the pool cannot be filled with forgeries, only with
//! true offences, of which there is no more than one for each member and epoch here. Nothing is durable: what a crash lost is still in other nodes' pools, or
//! was not worth more than their silence.

use std::collections::BTreeMap;

use consensus::evidence::Evidence;
use primitives::Epoch;
use primitives::encoding::encode;

use super::block::EVIDENCE_BYTES_MAX;
use crate::slashing::epoch_of;

/// Pieces of evidence that wait at most: twice a full set.
pub const EVIDENCE_MAX: usize = 256;

/// The evidence that waits, one for each epoch and signer, oldest epoch first.
#[derive(Clone, Debug, Default)]
pub struct EvidencePool {
    waiting: BTreeMap<(Epoch, u16), Evidence>,
}

impl EvidencePool {
    /// Keeps evidence; whether it is new. Of a full pool the one of the latest epoch gives way to an earlier one, for the earlier is too old first.
    pub fn insert(&mut self, evidence: Evidence) -> bool {
        let key = key(&evidence);
        if self.waiting.contains_key(&key) {
            return false;
        }
        if self.waiting.len() >= EVIDENCE_MAX {
            match self.waiting.last_key_value() {
                Some((last, _)) if *last > key => self.waiting.pop_last(),
                Some(_) | None => return false,
            };
        }
        self.waiting.insert(key, evidence);
        true
    }

    /// Whether evidence of the same member and epoch waits.
    pub fn contains(&self, evidence: &Evidence) -> bool {
        self.waiting.contains_key(&key(evidence))
    }

    /// What a block has room for, in the order in which it becomes too old.
    pub fn candidates(&self) -> Vec<Evidence> {
        let mut bytes = 0usize;
        let fits = |evidence: &&Evidence| {
            bytes = bytes.saturating_add(encode(*evidence).len());
            bytes <= EVIDENCE_BYTES_MAX
        };
        self.waiting.values().take_while(fits).copied().collect()
    }

    /// After a block became final: forgets what the ledger would no longer take.
    pub fn retain(&mut self, is_admissible: impl Fn(&Evidence) -> bool) {
        self.waiting.retain(|_, evidence| is_admissible(evidence));
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn key(evidence: &Evidence) -> (Epoch, u16) {
    (epoch_of(evidence), evidence.signer())
}
