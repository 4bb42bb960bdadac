//! Who voted in past epochs: sets of voters by the hash that headers name them by.
//!
//! Headers prove the hash of a set for ever; the ledger keeps the sets themselves only as long as evidence about them is taken. What is remembered here is
//! the set of genesis, those that the ledger still has, and every set since this process began.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chain::ValueLedger;
use chain::epochs;
use chain::parameters::Parameters;
use chain::staking::{self, Voter};
use primitives::units::BASIS_POINTS;
use primitives::{Address, Epoch, Hash};
use state::Sealed;

use super::limits::VOTER_SETS_MAX;
use crate::replica::Replica;

/// The voters of an epoch.
pub struct Set {
    /// In the order of their votes.
    pub voters: Vec<Voter>,
    /// Their weights together, in whole stos.
    pub total: u64,
}

impl Set {
    /// The operator of a member.
    pub fn operator(&self, member: u16) -> Option<Address> {
        self.voters.get(usize::from(member)).map(|voter| voter.operator)
    }

    /// Part of all votes in basis points, rounded down.
    pub fn power_bp(&self, weight: u64) -> u32 {
        let power = u128::from(weight).saturating_mul(BASIS_POINTS.into()).checked_div(self.total.into()).unwrap_or(0);
        u32::try_from(power).unwrap_or(u32::MAX)
    }
}

/// The sets that are known.
#[derive(Default)]
pub struct Sets(Mutex<BTreeMap<Hash, (Epoch, Arc<Set>)>>);

impl Sets {
    /// The set that has this hash; `None` if it is not known here any more.
    pub fn of(&self, value: &Replica<ValueLedger>, members: &Hash) -> Option<Arc<Set>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner).get(members).map(|(_, set)| set.clone());
        known().or_else(|| {
            self.learn(&value.head().state);
            known()
        })
    }

    /// Remembers the sets in the state of a block: of genesis, of the epoch that begins with it.
    pub fn learn(&self, state: &Sealed) {
        let current = epochs::current(state).number;
        let oldest = current.saturating_sub(Epoch(Parameters::read(state).evidence_epochs));
        for epoch in (oldest.0..=current.0).map(Epoch) {
            let voters = staking::of_epoch(state, epoch);
            if let Ok(members) = staking::members(&voters) {
                self.remember(epoch, members.hash(), Set { total: members.total(), voters });
            }
        }
    }

    /// Of too many the one that voted last longest ago is forgotten.
    fn remember(&self, epoch: Epoch, hash: Hash, set: Set) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, _) = known.entry(hash).or_insert((epoch, Arc::new(set)));
        *last = epoch.max(*last);
        if known.len() > VOTER_SETS_MAX
            && let Some(oldest) = known.iter().min_by_key(|(_, (last, _))| *last).map(|(hash, _)| *hash)
        {
            known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use primitives::{Amount, PublicKey};

    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let voter = Voter { operator: Address([1; 20]), key: PublicKey([2; 32]), stake: Amount::stos(3) };
        let (sets, hash) = (Sets::default(), |number: u64| Hash::of("set", &[&number.to_be_bytes()]));
        let set = || Set { voters: vec![voter], total: 3 };
        for number in 0..=VOTER_SETS_MAX as u64 {
            sets.remember(Epoch(number), hash(number), set());
            // The first votes again and again.
            sets.remember(Epoch(number), hash(0), set());
        }
        let known = sets.0.lock().unwrap();
        assert_eq!((known.len(), known.contains_key(&hash(0)), known.contains_key(&hash(1))), (VOTER_SETS_MAX, true, false));
        assert_eq!((set().power_bp(1), set().power_bp(3), set().operator(1)), (3_333, 10_000, None));
    }
}
