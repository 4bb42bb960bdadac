//! Evidence that waits for a block: what a node keeps between finding it, or hearing of it, and its inclusion.
//!
//! What is in it was checked: by the engine, which knows who votes, or against the newest final state ([`Rules::admits`]). So the pool cannot be filled with
//! forgeries, only with true offences, of which there is no more than one for each member and epoch here. It is in memory; a node writes what it keeps and
//! fills the pool with it when it starts.

use std::collections::BTreeMap;

use consensus::evidence::Evidence;
use primitives::Epoch;
use primitives::encoding::encode;
use state::Sealed;

use super::block::EVIDENCE_BYTES_MAX;
use super::rules::{Refusal, Rules};
use crate::slashing::epoch_of;

/// Pieces of evidence that wait at most: twice a full set.
pub const EVIDENCE_MAX: usize = 256;

/// What became of evidence that somebody brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Evidence of that member and epoch waits already.
    Waits,
    /// It is new and waits now: others should hear of it.
    Kept,
    /// It is true, and the pool is full of evidence that becomes too old before it.
    NoRoom,
    /// The ledger does not take it: [`Refusal::Never`] if it is false, which is the fault of whoever sent it.
    Refused(Refusal),
}

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

    /// Evidence that somebody brings, with the newest final state. What waits already costs nothing.
    pub fn hear<R: Rules>(&mut self, rules: &R, state: &Sealed, evidence: Evidence) -> Heard {
        if self.waiting.contains_key(&key(&evidence)) {
            return Heard::Waits;
        }
        match rules.admits(state, &evidence) {
            Ok(()) if self.insert(evidence) => Heard::Kept,
            Ok(()) => Heard::NoRoom,
            Err(refusal) => Heard::Refused(refusal),
        }
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
