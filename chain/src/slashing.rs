//! Evidence and what it costs: a tombstone at once, and a slash when it is known how many took part.
//!
//! Keys: `2 o` the offences whose time has not passed. In a block: its evidence, ahead of the transactions, free. End of epoch: the slashes that are due.
//!
//! 1. Evidence is two votes of one member of an epoch that contradict each other, both signatures verified here ([`consensus::evidence::Evidence`]). It is
//!    taken while at most [`Parameters::evidence_epochs`] epochs have begun after that epoch: what was bonded then is still bonded or on its way out, because
//!    it stays there for [`Parameters::unbonding_epochs`], which are not fewer.
//! 2. The validator is tombstoned: never in a set again, its key barred for ever, nobody can join it. Its stake, and what left it in the epoch of the offence
//!    or later, is locked until [`Parameters::evidence_epochs`] more epochs are over.
//! 3. With the end of the last of them it is slashed, once: by `min(1, 3 * W / T)`, at least 1 %. `W` is the weight of all validators that were proven guilty
//!    within as many epochs before or after it, its own included; `T` the weight of the set that it betrayed. A mishap costs one validator little; a third of
//!    the stake, which is what an attack on safety takes, loses everything.
//! 4. A small part goes to the proposer of the block that brought the evidence; the rest is burned. Evidence is no secret and bears no sender: whoever saw it
//!    could claim to have found it, but only one can put it into a block, and that is the one who must be given a reason to. The guilty get no reward for
//!    themselves.
//!
//! # Why the slash waits
//! Proofs of one attack come one after the other. Slashing with each, and topping up all earlier ones, gives the same sum with more arithmetic, and a proof
//! would cost as much as there were proofs before it. Nothing is lost by waiting: what is to be slashed cannot leave. So it does not matter in which order the
//! proofs come (CHAIN-8).
//!
//! # Why offences are counted together by the time of their proof
//! A key can sign a contradiction about an old epoch at any time, so the epoch of an offence is for the offender to choose; if it counted, a coalition could
//! spread itself over epochs. The time of the proof is not: who signed in epoch `e` was not tombstoned before it, and is proven guilty by `e +
//! evidence_epochs` or never, so whoever attacked together is counted together.
//!
//! # Why a second proof can count
//! A validator is tombstoned and slashed once for each key. But if only the first proof counted, an attacker would bring one against itself, from an epoch in
//! which it weighed little, or after which most of its stake had left. So a later proof is taken if it makes the case worse: an earlier epoch, more weight,
//! or a smaller set. Of each the worst counts, whichever proof it came with.
//!
//! Rounding: slashes up, so that no splitting of a stake escapes; rewards down.

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::evidence::Evidence;
use primitives::{Address, Amount, Epoch, Hash};
use state::Overlay;

use crate::epochs;
use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::{BlockInfo, Refusal};
use crate::parameters::Parameters;
use crate::pools::{self, Pool};
use crate::staking::delegation::{self, Leaving, left_after};
use crate::staking::redelegation;
use crate::staking::{self, Status, weight};

/// Offences that are counted together at most: four full sets. Of more, the one with the least weight is slashed at once and no longer counted, so nobody can
/// crowd out an attack with many mishaps that weigh less.
pub const OFFENCES_MAX: usize = 512;
/// A slash takes at least one part in so many.
const SLASH_MIN_DIVISOR: u128 = 100;
const POOL: &str = "the pool holds the sum of what the records say (CHAIN-6)";

/// A validator that was proven guilty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Offence {
    /// Whose validator.
    pub operator: Address,
    /// The earliest epoch in which it is proven to have contradicted itself.
    pub epoch: Epoch,
    /// The greatest weight that it had in an epoch in which it did.
    pub weight: u64,
    /// The least weight that the set had in an epoch in which it did.
    pub total: u64,
    /// Epoch of the first proof.
    pub proven: Epoch,
    /// It is slashed when this epoch ends.
    pub until: Epoch,
    /// Who proposed the block with the first proof; the offender's own address if nobody is to be rewarded.
    pub reporter: Address,
}

/// Why evidence proves nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// About an epoch that has not begun.
    #[error("evidence about epoch {epoch}, but this is epoch {current}")]
    Future {
        /// The epoch of the votes.
        epoch: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// Too old: what was bonded then may be gone.
    #[error("evidence about epoch {epoch} is taken for {window} epochs after it; this is epoch {current}")]
    Old {
        /// The epoch of the votes.
        epoch: Epoch,
        /// The current epoch.
        current: Epoch,
        /// Epochs for which it is taken.
        window: u64,
    },
    /// No such member.
    #[error("member {signer} of epoch {epoch}, which had {members}")]
    Stranger {
        /// The signer's index.
        signer: u16,
        /// The epoch of the votes.
        epoch: Epoch,
        /// Members of that epoch.
        members: usize,
    },
    /// The validator answers for no less already.
    #[error("the validator of {0} is tombstoned, and this makes it no worse")]
    Known(Address),
    /// A wrong signature, no contradiction, or not in canonical order.
    #[error("the votes of member {signer} in epoch {epoch} prove nothing: a signature is wrong, or they do not contradict each other")]
    Invalid {
        /// The signer's index.
        signer: u16,
        /// The epoch of the votes.
        epoch: Epoch,
    },
}

/// Nobody makes false evidence by mistake; true evidence can come too late, or twice.
impl From<EvidenceError> for Refusal {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Future { .. } | EvidenceError::Old { .. } | EvidenceError::Known(_) => Self::NotNow(error.to_string()),
            EvidenceError::Stranger { .. } | EvidenceError::Invalid { .. } => Self::Never(error.to_string()),
        }
    }
}

/// The offences that are still counted.
pub fn offences(state: &impl Read) -> Vec<Offence> {
    keys::read(state, &keys::offences()).unwrap_or_default()
}

/// What the votes were said in.
pub fn epoch_of(evidence: &Evidence) -> Epoch {
    evidence.votes()[0].vote.epoch
}

/// Whether evidence would be taken now; gives the offence as it would be recorded, with nobody to be rewarded. Signatures are verified last.
///
/// # Errors
/// [`EvidenceError`].
pub fn check(state: &impl Read, chain: Hash, evidence: &Evidence) -> Result<Offence, EvidenceError> {
    let (epoch, signer, current) = (epoch_of(evidence), evidence.signer(), epochs::current(state).number);
    let window = Parameters::read(state).evidence_epochs;
    let age = current.checked_sub(epoch).ok_or(EvidenceError::Future { epoch, current })?;
    if age.0 > window {
        return Err(EvidenceError::Old { epoch, current, window });
    }
    let voters = staking::of_epoch(state, epoch);
    if voters.is_empty() {
        // They were forgotten before governance made the window longer.
        return Err(EvidenceError::Old { epoch, current, window });
    }
    let voter = voters.get(usize::from(signer)).ok_or(EvidenceError::Stranger { signer, epoch, members: voters.len() })?;
    let (operator, until) = (voter.operator, current.saturating_add(Epoch(window)));
    // Each is at most all coins, so no sum of theirs is near the largest number.
    let total = voters.iter().map(|voter| weight(voter.stake)).fold(0, u64::saturating_add);
    let fresh = Offence { operator, epoch, weight: weight(voter.stake), total, proven: current, until, reporter: operator };
    let is_tombstoned = staking::read(state, &operator).is_none_or(|validator| matches!(validator.status, Status::Tombstoned { .. }));
    let offence = match offences(state).into_iter().find(|known| known.operator == operator) {
        Some(known) => {
            let worse = Offence { epoch: known.epoch.min(epoch), weight: known.weight.max(fresh.weight), total: known.total.min(fresh.total), ..known };
            if worse == known || current > known.until {
                return Err(EvidenceError::Known(operator));
            }
            worse
        }
        None if is_tombstoned => return Err(EvidenceError::Known(operator)),
        None => fresh,
    };
    // Last, for keys are dear to decode and signatures to verify: what is not taken anyhow costs next to nothing.
    let members = staking::members(&voters).expect("they voted in that epoch");
    if evidence.is_valid(chain, &members) { Ok(offence) } else { Err(EvidenceError::Invalid { signer, epoch }) }
}

/// Takes the evidence of a block.
///
/// # Errors
/// [`EvidenceError`]; nothing changes then.
pub(crate) fn apply(state: &mut Overlay, chain: Hash, block: &BlockInfo, evidence: &Evidence) -> Result<Vec<Event>, EvidenceError> {
    let mut offence = check(state, chain, evidence)?;
    let (operator, mut offences, mut events) = (offence.operator, offences(state), Vec::new());
    if let Some(known) = offences.iter_mut().find(|known| known.operator == operator) {
        *known = offence;
        events.push(Event::OffenceWorsened { operator, epoch: offence.epoch, weight: offence.weight, total: offence.total });
    } else {
        offence.reporter = staking::validators(state).get(usize::from(block.proposer)).map_or(operator, |proposer| proposer.operator);
        offences.push(offence);
        staking::drop_candidate(state, &operator);
        events.push(Event::ValidatorTombstoned { operator, epoch: offence.epoch, proposer: offence.reporter });
    }
    if let Some(mut validator) = staking::read(state, &operator) {
        validator.status = Status::Tombstoned { offence: offence.epoch, until: offence.until };
        staking::write(state, &validator);
    }
    if offences.len() > OFFENCES_MAX
        && let Some(at) = offences.iter().enumerate().min_by_key(|(_, offence)| (offence.weight, offence.operator)).map(|(at, _)| at)
    {
        if offences[at].until >= offence.proven {
            events.extend(slash(state, &offences[at], &offences));
        }
        offences.remove(at);
    }
    keys::write(state, &keys::offences(), &offences);
    Ok(events)
}

/// End of an epoch, with which `next` begins: slashes whose time has come, and forgets offences that can be counted with no other any more.
pub(crate) fn end_epoch(state: &mut Overlay, next: Epoch) -> Vec<Event> {
    let mut offences = offences(state);
    let events = offences.iter().filter(|offence| offence.until.next() == next).flat_map(|offence| slash(state, offence, &offences)).collect();
    let kept = Epoch(Parameters::read(state).evidence_epochs.saturating_mul(2));
    // Whatever the window is now, nothing is forgotten before its slash.
    offences.retain(|offence| offence.until >= next || offence.proven.saturating_add(kept) >= next);
    keys::write(state, &keys::offences(), &offences);
    events
}

/// Carries out at once every slash that waits, as a chain that another continues does: there nobody can be proven guilty of what was signed here.
pub(crate) fn slash_now(state: &mut Overlay) -> Vec<Event> {
    let (offences, current) = (offences(state), epochs::current(state).number);
    let events = offences.iter().filter(|offence| offence.until >= current).flat_map(|offence| slash(state, offence, &offences)).collect();
    keys::write(state, &keys::offences(), &Vec::<Offence>::new());
    events
}

/// The part of what is liable that an offender loses: (numerator, denominator), never above one.
fn part(offence: &Offence, offences: &[Offence], window: u64) -> (u128, u128) {
    let is_together = |other: &&Offence| other.proven.0.abs_diff(offence.proven.0) <= window;
    let together = offences.iter().filter(is_together).fold(0u128, |sum, other| sum.saturating_add(other.weight.into()));
    let (lost, total) = (together.saturating_mul(3), u128::from(offence.total).max(1));
    if lost.saturating_mul(SLASH_MIN_DIVISOR) < total { (1, SLASH_MIN_DIVISOR) } else { (lost.min(total), total) }
}

/// What is left of an amount after a part of it is lost, rounded down.
fn left(amount: Amount, part: (u128, u128)) -> Amount {
    Amount(left_after(amount.0, part))
}

/// Slashes an offender's stake, and what left it in the epoch of the offence or later, for an account or for another validator.
fn slash(state: &mut Overlay, offence: &Offence, offences: &[Offence]) -> Vec<Event> {
    let Some(mut validator) = staking::read(state, &offence.operator) else { return Vec::new() };
    let mut events = Vec::new();
    let parameters = Parameters::read(state);
    let part = part(offence, offences, parameters.evidence_epochs);
    let stake = left(validator.stake, part);
    let mut of_stake = validator.stake.saturating_sub(stake);
    validator.stake = stake;
    staking::write(state, &validator);
    let mut of_leaving = Amount::ZERO;
    // Nothing left it after it was tombstoned.
    for epoch in (offence.epoch.0..=offence.proven.0).map(Epoch) {
        let before = delegation::leaving(state, &offence.operator, epoch);
        let after = Leaving { amount: left(before.amount, part), ..before };
        let (of_moved, moved) = redelegation::slash(state, &offence.operator, epoch, part);
        of_stake = of_stake.saturating_add(of_moved);
        events.extend(moved);
        of_leaving = of_leaving.saturating_add(before.amount.saturating_sub(after.amount));
        delegation::write_leaving(state, &offence.operator, epoch, &after);
    }
    pools::transfer(state, Pool::Stake, Pool::Burned, of_stake).expect(POOL);
    pools::transfer(state, Pool::Unbonding, Pool::Burned, of_leaving).expect(POOL);
    let slashed = of_stake.saturating_add(of_leaving);
    let reward = match offence.reporter == offence.operator {
        true => Amount::ZERO,
        false => slashed.basis_points(parameters.slash_reward_bp),
    };
    pools::pay_out(state, Pool::Burned, &offence.reporter, reward).expect("it was just put there");
    events.push(Event::ValidatorSlashed { operator: offence.operator, slashed, proposer: offence.reporter, reward });
    events
}
