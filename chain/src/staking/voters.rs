//! Who votes: the snapshot of the stakes with which an epoch begins.
//!
//! Keys: `2 v` the voters of the current epoch; `2 h epoch` those of a past one, kept as long as evidence about it is taken. End of epoch: the next set.
//!
//! A set is the at most [`VALIDATORS_MAX`] candidates with the most stake that are neither jailed nor tombstoned and weigh at least 1. Its order, which is
//! the order of the indices by which votes and headers name a member: who voted in the set before keeps its order, newcomers follow, more stake first, of
//! equals the lower address. So a set that changes little looks alike, and one that does not change is the same to consensus. The first set is in the order
//! of the genesis file. If nobody is left to vote, the old set stays: a chain without voters would be over, and who should not vote can be outvoted.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::members::{Member, Members, MembersError};
use primitives::{Address, Amount, Epoch, PublicKey};
use state::Overlay;

use super::{Status, VALIDATORS_MAX, candidates, rank, read, weight};
use crate::epochs;
use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::rules::Electorate;
use crate::parameters::Parameters;

/// One member of an epoch's set, as it was when the epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Voter {
    /// Account of the operator; rewards and tips go there.
    pub operator: Address,
    /// Key of its votes.
    pub key: PublicKey,
    /// Stake in wei; a vote weighs the whole stos of it.
    pub stake: Amount,
}

/// Who votes in the current epoch, in the order of their votes.
pub fn validators(state: &impl Read) -> Vec<Voter> {
    keys::read(state, &keys::voters()).unwrap_or_default()
}

/// Who voted in an epoch, in the order of their votes; nobody in an epoch to come, or one about which evidence is no longer taken.
pub fn of_epoch(state: &impl Read, epoch: Epoch) -> Vec<Voter> {
    if epoch == epochs::current(state).number { validators(state) } else { keys::read(state, &keys::past_voters(epoch)).unwrap_or_default() }
}

/// The member set that these voters form.
///
/// # Errors
/// Whatever [`Members::new`] refuses: nobody, a key that is no key or is there twice, no weight.
pub fn members(voters: &[Voter]) -> Result<Members, MembersError> {
    Members::new(voters.iter().map(|voter| Member { key: voter.key, weight: weight(voter.stake) }).collect())
}

/// Who votes on the blocks that are built on this state.
pub fn electorate(state: &impl Read) -> Electorate {
    let current = epochs::current(state);
    let members = members(&validators(state)).expect("genesis was checked, and later sets hold distinct keys that signed for themselves, with weight");
    Electorate { epoch: current.number, members, seed: current.seed }
}

/// End of epoch `over`: its set is put aside for evidence, and the stakes as they are now make the next one.
pub(crate) fn end_epoch(state: &mut Overlay, over: Epoch) -> Vec<Event> {
    let old = validators(state);
    keys::write(state, &keys::past_voters(over), &old);
    // Evidence about an epoch is taken while at most so many have begun after it; the next is about to begin.
    let mut too_old = over.checked_sub(Epoch(Parameters::read(state).evidence_epochs));
    // More than one if the window became shorter.
    while let Some(epoch) = too_old.filter(|epoch| state.get(&keys::past_voters(*epoch)).is_some()) {
        state.delete(&keys::past_voters(epoch));
        too_old = epoch.checked_sub(Epoch(1));
    }
    let next = next(state);
    if next.is_empty() {
        return Vec::new();
    }
    keys::write(state, &keys::voters(), &next);
    let is_in = |set: &[Voter], voter: &Voter| set.iter().any(|other| other.operator == voter.operator);
    let left = old.iter().filter(|voter| !is_in(&next, voter)).map(|voter| Event::VoterLeft { operator: voter.operator });
    let joined = next.iter().filter(|voter| !is_in(&old, voter)).map(|voter| Event::VoterJoined { operator: voter.operator, stake: voter.stake });
    left.chain(joined).collect()
}

/// Those who would vote next, by the stakes as they are now, in the order of votes; none if nobody may.
pub(crate) fn next(state: &impl Read) -> Vec<Voter> {
    let old = validators(state);
    let mut next: Vec<Voter> = candidates(state)
        .iter()
        .filter_map(|operator| read(state, operator))
        .filter(|validator| validator.status == Status::Candidate && weight(validator.stake) > 0)
        .map(|validator| Voter { operator: validator.operator, key: validator.key, stake: validator.stake })
        .collect();
    next.sort_unstable_by_key(|voter| rank(voter.stake, voter.operator));
    next.truncate(VALIDATORS_MAX);
    let places: BTreeMap<PublicKey, usize> = old.iter().enumerate().map(|(place, voter)| (voter.key, place)).collect();
    next.sort_by_key(|voter| places.get(&voter.key).copied().unwrap_or(usize::MAX));
    next
}
