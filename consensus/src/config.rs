//! What is fixed for one epoch, and this node's times.

use primitives::{Epoch, Hash, View};

use crate::block::Header;
use crate::justification::{Base, Justification};
use crate::leader::leader;
use crate::members::Members;

/// Everything about an epoch that does not change while it lasts. All nodes of an epoch agree on all of it but `me` and `times`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the chain: the hash of its genesis file.
    pub chain: Hash,
    /// The epoch.
    pub epoch: Epoch,
    /// Who votes in it.
    pub members: Members,
    /// This node's index among them; `None` follows without voting.
    pub me: Option<u16>,
    /// This node's times.
    pub times: Times,
    /// What samples the leaders, fixed before the epoch began.
    pub seed: Hash,
    /// The digest a header holds of its payload, or `None` for bytes that are no payload. It must bind every byte: two payloads, two digests.
    pub payload_digest: fn(&[u8]) -> Option<Hash>,
    /// The block the epoch's first block extends: the last of the epoch before, the genesis block in epoch 0.
    pub start: Header,
}

impl Config {
    /// Who may propose in `view`.
    pub fn leader(&self, view: View) -> u16 {
        leader(self.seed, self.epoch, view, &self.members)
    }

    /// Who showed itself and who did not in the certificates that a block's justification carries.
    pub fn attendance(&self, justification: &Justification) -> Attendance {
        let voters = match &justification.base {
            Base::Start => Vec::new(),
            Base::Certified(certificate) => certificate.signers().collect(),
        };
        Attendance { voters, absent: justification.skips.iter().map(|skip| self.leader(skip.view())).collect() }
    }
}

/// What a block's justification says of its epoch's members, so that the ledger can see who is away. A certificate holds the first votes that made a quorum:
/// who is in none may be slow only; who leads and lets its views pass is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attendance {
    /// Signers of the parent's certificate, ascending. None for the first block of an epoch.
    pub voters: Vec<u16>,
    /// Leaders of the views skipped since the parent, in their order.
    pub absent: Vec<u16>,
}

/// How long this node waits for what, in milliseconds. Safety needs none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Δ₀: a bound on one message between honest nodes when all is well.
    pub delta_ms: u64,
    /// The most Δ grows to while nothing is finalized.
    pub delta_max_ms: u64,
    /// How long a leader without transactions may hold its proposal. Equal on all nodes, for the others wait as long.
    pub idle_ms: u64,
    /// What execution of a full block may take, on the slowest honest node.
    pub execution_ms: u64,
    /// How far honest clocks may differ.
    pub drift_ms: u64,
    /// After how long without an answer the next peer is asked for a block.
    pub fetch_ms: u64,
}

impl Times {
    /// For nodes on one machine or in one room.
    pub const DEV: Self = Self { delta_ms: 100, delta_max_ms: 2000, idle_ms: 1000, execution_ms: 500, drift_ms: 1000, fetch_ms: 500 };

    /// Δ after `failures` views without a finalization: `min(Δ_max, Δ₀ * 1.5^failures)`, rounded down at each step.
    pub fn delta(&self, failures: u64) -> u64 {
        let mut delta = self.delta_ms.max(1);
        for _ in 0..failures {
            if delta >= self.delta_max_ms {
                break;
            }
            delta += delta.div_ceil(2);
        }
        delta.min(self.delta_max_ms.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_and_stops() {
        let deltas: Vec<u64> = [0, 1, 2, 3, 20, u64::MAX].into_iter().map(|failures| Times::DEV.delta(failures)).collect();
        assert_eq!(deltas, [100, 150, 225, 338, 2000, 2000]);
    }
}
