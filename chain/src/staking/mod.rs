//! Validators: who may be asked to vote, and with what stake behind them.
//!
//! Keys: `2 n operator` a validator; `2 i` the candidates; `2 k key` whose a consensus key is or was. Transactions: `CreateValidator`, `SetCommission`,
//! `Unjail`, and those of [`delegation`], [`redelegation`] and [`distribution`].
//!
//! 1. An operator makes a validator with a stake of its own, which is a delegation like any other, and a consensus key that it proves to hold. A key is used
//!    once: whoever signed with it once must answer for it for ever.
//! 2. Anybody adds stake, takes it out ([`delegation`]) or moves it to another validator ([`redelegation`]), and is paid what it earns ([`distribution`]). The
//!    operator keeps a commission of that: never more than what it named when it made the validator, and raised by at most
//!    [`Parameters::commission_step_bp`] in an epoch, so that whoever minds can leave before much is lost. It can be lowered at any time.
//! 3. When an epoch ends, the candidates with the most stake become the voters of the next ([`voters`]); nothing else changes who votes (CHAIN-7).
//! 4. Who was away for most of an epoch is jailed ([`attendance`]) and comes back when it asks to.
//! 5. Who signed what contradicts itself is tombstoned ([`crate::slashing`]) and does not come back.
//!
//! The list of candidates is bounded, because the end of an epoch reads all of them. When it is full, the one with the least stake makes room for one with
//! more, so nobody can keep others out with many small stakes. A validator that fell off the list keeps its record and its stake; the next delegation that
//! gives it more than the least of the list brings it back.

pub mod attendance;
pub mod delegation;
pub mod distribution;
pub mod redelegation;
#[cfg(test)]
mod tests;
pub mod voters;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::decode;
use primitives::units::{BASIS_POINTS, WEI_PER_STOS};
use primitives::{Address, Amount, Context, Epoch, Hash, PublicKey, Signature};
use serde::{Deserialize, Serialize};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::parameters::Parameters;
use crate::pools::{self, MoveError, Pool};
use crate::transaction::VALIDATOR_POSSESSION_ROLE;
use delegation::Delegation;
use distribution::Earnings;

pub use voters::{Voter, electorate, members, of_epoch, validators};

/// Validators in a set at most.
pub const VALIDATORS_MAX: usize = 128;
/// Validators that can stand for a set at most.
pub const CANDIDATES_MAX: usize = 512;
/// Highest commission, in basis points: all.
pub const COMMISSION_BP_MAX: u32 = BASIS_POINTS;

/// Whether a validator may vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// It may be in the next set; it is active if it is in the current one.
    Candidate,
    /// It was away.
    Jailed {
        /// It can ask to come back once this epoch is over.
        until: Epoch,
    },
    /// It signed what contradicts itself, and never votes again.
    Tombstoned {
        /// The earliest epoch in which that is proven: what left its stake from then on answers for it too.
        offence: Epoch,
        /// What answers for it is locked until this epoch is over.
        until: Epoch,
    },
}

/// What an operator keeps of what its validator's stake earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commission {
    /// The part, in basis points.
    pub bp: u32,
    /// What it can be raised to at most, for ever.
    pub max_bp: u32,
}

impl Commission {
    /// A commission that can be raised to all.
    pub const fn unlimited(bp: u32) -> Self {
        Self { bp, max_bp: COMMISSION_BP_MAX }
    }
}

/// The last epoch in which a commission changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Raised {
    /// The epoch.
    pub epoch: Epoch,
    /// What the commission was when it began, in basis points.
    pub before: u32,
}

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Validator {
    /// Account of the operator; rewards and tips go there.
    pub operator: Address,
    /// Key of its votes.
    pub key: PublicKey,
    /// Stake in wei, the operator's own and all others'; a vote weighs the whole stos of it.
    pub stake: Amount,
    /// Shares of the stake that all delegations hold together, what moved there among them.
    pub shares: u128,
    /// Part of its delegators' rewards that it keeps.
    pub commission: Commission,
    /// When it was changed last.
    pub raised: Raised,
    /// What its shares earned.
    pub earnings: Earnings,
    /// Whether it may vote.
    pub status: Status,
}

/// The list of candidates has no place for so little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{CANDIDATES_MAX} validators stand already, and none of them has less than {stake} wei")]
pub struct FullError {
    /// What this validator would have.
    pub stake: Amount,
}

/// Why a validator is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The key did not sign the operator's address.
    #[error("the consensus key did not sign for this operator")]
    Possession,
    /// The key is or was a validator's.
    #[error("the consensus key is or was that of {0}'s validator, and is used once")]
    KeyUsed(Address),
    /// The operator has a validator.
    #[error("{0} operates a validator already")]
    Exists(Address),
    /// The stake weighs nothing.
    #[error("the stake is {0} wei; a vote weighs whole stos, so it takes at least {WEI_PER_STOS} wei")]
    Stake(Amount),
    /// The commission is above its limit, or that above all.
    #[error("a commission of {} basis points that can be raised to {}; it is at most that, and that at most {COMMISSION_BP_MAX}, which are all of a reward", .0.bp, .0.max_bp)]
    Commission(Commission),
    /// Others have more.
    #[error(transparent)]
    Full(#[from] FullError),
    /// The operator cannot pay.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// Why a commission stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommissionError {
    /// The sender operates none.
    #[error("{0} operates no validator")]
    Missing(Address),
    /// Above the validator's limit.
    #[error("the commission is {asked} basis points, this validator's limit is {limit}")]
    Limit {
        /// What was asked.
        asked: u32,
        /// What the operator named when it made the validator.
        limit: u32,
    },
    /// Too much at once.
    #[error("the commission was {before} basis points when the epoch began and is raised by at most {step} in one; {asked} were asked for")]
    Step {
        /// What it was when the epoch began.
        before: u32,
        /// By how much it can be raised.
        step: u32,
        /// What was asked.
        asked: u32,
    },
}

/// Why a validator does not come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnjailError {
    /// The sender operates none.
    #[error("{0} operates no validator")]
    Missing(Address),
    /// It is not in jail.
    #[error("the validator of {0} is not jailed")]
    Free(Address),
    /// It is gone for ever.
    #[error("the validator of {0} is tombstoned and never votes again")]
    Tombstoned(Address),
    /// Not yet.
    #[error("the validator is jailed until epoch {until} is over; this is epoch {current}")]
    NotYet {
        /// Last epoch in jail.
        until: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// Others have more.
    #[error(transparent)]
    Full(#[from] FullError),
}

/// The weight of a stake: whole stos, rounded down, so that three times any sum of weights fits `u128`.
pub fn weight(stake: Amount) -> u64 {
    u64::try_from(stake.0 / WEI_PER_STOS).unwrap_or(u64::MAX)
}

/// The validator of an operator.
pub fn read(state: &impl Read, operator: &Address) -> Option<Validator> {
    keys::read(state, &keys::validator(operator))
}

pub(crate) fn write(state: &mut Overlay, validator: &Validator) {
    keys::write(state, &keys::validator(&validator.operator), validator);
}

/// The operators of all validators that stand for the next sets, jailed ones included, in no order that means anything.
pub fn candidates(state: &impl Read) -> Vec<Address> {
    keys::read(state, &keys::candidates()).unwrap_or_default()
}

/// Whose validator uses or used this consensus key.
pub fn operator_of(state: &impl Read, key: &PublicKey) -> Option<Address> {
    keys::read(state, &keys::consensus_key(key))
}

/// Who comes first: more stake, then the lower address.
fn rank(stake: Amount, operator: Address) -> (Reverse<Amount>, Address) {
    (Reverse(stake), operator)
}

/// Those of an earlier list of candidates, as it was kept, who are on it no more.
pub(crate) fn no_candidates(state: &impl Read, before: Option<&[u8]>) -> Vec<Address> {
    let before: Vec<Address> = before.and_then(|bytes| decode(bytes, keys::VALUE_BYTES_MAX).ok()).unwrap_or_default();
    let now: BTreeSet<Address> = candidates(state).into_iter().collect();
    before.into_iter().filter(|operator| !now.contains(operator)).collect()
}

/// The list of candidates with this validator in it, if it weighs anything; `None` if that is as it was.
fn with_candidate(state: &impl Read, validator: &Validator) -> Result<Option<Vec<Address>>, FullError> {
    if weight(validator.stake) == 0 {
        return Ok(None);
    }
    let mut list = candidates(state);
    if list.contains(&validator.operator) {
        return Ok(None);
    }
    if list.len() >= CANDIDATES_MAX {
        let ranks = list.iter().enumerate().map(|(at, operator)| (rank(read(state, operator).map_or(Amount::ZERO, |other| other.stake), *operator), at));
        match ranks.max() {
            Some(((Reverse(least), _), at)) if least < validator.stake => list.swap_remove(at),
            Some(_) | None => return Err(FullError { stake: validator.stake }),
        };
    }
    list.push(validator.operator);
    Ok(Some(list))
}

/// Writes the list of candidates if it changed.
fn write_candidates(state: &mut Overlay, list: Option<Vec<Address>>) {
    if let Some(list) = list {
        keys::write(state, &keys::candidates(), &list);
    }
}

/// Takes a validator off the list of candidates; whether it was there.
pub(crate) fn drop_candidate(state: &mut Overlay, operator: &Address) -> bool {
    let mut list = candidates(state);
    let Some(at) = list.iter().position(|other| other == operator) else { return false };
    list.remove(at);
    keys::write(state, &keys::candidates(), &list);
    true
}

/// Makes a validator with the operator's own stake, which is taken from its account.
///
/// # Errors
/// [`CreateError`]; nothing changes then.
pub fn create(
    state: &mut Overlay,
    chain: Hash,
    operator: &Address,
    key: &PublicKey,
    possession: &Signature,
    stake: Amount,
    commission: Commission,
) -> Result<Event, CreateError> {
    let signed = key.decode().is_ok_and(|key| key.verify(&Context::new(VALIDATOR_POSSESSION_ROLE, chain), &operator.0, possession));
    if !signed {
        return Err(CreateError::Possession);
    }
    let validator = own(*operator, *key, stake, commission);
    check_new(state, &validator)?;
    pools::pay_in(state, operator, Pool::Stake, stake)?;
    insert(state, &validator, stake)?;
    Ok(Event::ValidatorCreated { operator: *operator, stake })
}

/// A new validator: one share for each wei of its stake.
pub(crate) fn own(operator: Address, key: PublicKey, stake: Amount, commission: Commission) -> Validator {
    let (raised, earnings) = (Raised { epoch: Epoch::ZERO, before: commission.bp }, Earnings::default());
    Validator { operator, key, stake, shares: stake.0, commission, raised, earnings, status: Status::Candidate }
}

/// Runs what changes several records; undoes all of it if it fails.
fn whole<T, E>(state: &mut Overlay, run: impl FnOnce(&mut Overlay) -> Result<T, E>) -> Result<T, E> {
    let before = state.checkpoint();
    let result = run(state);
    if result.is_err() {
        state.rollback(before);
    }
    result
}

/// Whether a record can be inserted as one that stands for the next sets; gives the list of candidates with it.
fn check_new(state: &impl Read, validator: &Validator) -> Result<Option<Vec<Address>>, CreateError> {
    if weight(validator.stake) == 0 {
        return Err(CreateError::Stake(validator.stake));
    }
    check_record(state, validator)?;
    Ok(with_candidate(state, validator)?)
}

/// Whether a record can be inserted, whatever its stake.
fn check_record(state: &impl Read, validator: &Validator) -> Result<(), CreateError> {
    let Commission { bp, max_bp } = validator.commission;
    if bp > max_bp || max_bp > COMMISSION_BP_MAX {
        return Err(CreateError::Commission(validator.commission));
    }
    if read(state, &validator.operator).is_some() {
        return Err(CreateError::Exists(validator.operator));
    }
    operator_of(state, &validator.key).map_or(Ok(()), |operator| Err(CreateError::KeyUsed(operator)))
}

/// Writes a new validator, whose stake is in the pool or about to be put there, and the operator's delegation of `own` wei, which is the whole stake unless others'
/// delegations are written with it.
pub(crate) fn insert(state: &mut Overlay, validator: &Validator, own: Amount) -> Result<(), CreateError> {
    let list = check_new(state, validator)?;
    write_candidates(state, list);
    put(state, validator, own);
    Ok(())
}

/// Writes a validator of the chain before, whatever its status and its stake. It stands for the next sets if it may and has a place there.
pub(crate) fn take_over(state: &mut Overlay, validator: &Validator, own: Amount) -> Result<(), CreateError> {
    check_record(state, validator)?;
    if !matches!(validator.status, Status::Tombstoned { .. })
        && let Ok(list) = with_candidate(state, validator)
    {
        write_candidates(state, list);
    }
    put(state, validator, own);
    Ok(())
}

fn put(state: &mut Overlay, validator: &Validator, own: Amount) {
    keys::write(state, &keys::consensus_key(&validator.key), &validator.operator);
    delegation::write(state, &validator.operator, &validator.operator, &Delegation::of(own.0));
    write(state, validator);
}

/// Changes what the sender keeps of what its validator's stake earns, from the next distribution on.
///
/// # Errors
/// [`CommissionError`]; nothing changes then.
pub fn set_commission(state: &mut Overlay, operator: &Address, bp: u32) -> Result<Event, CommissionError> {
    let mut validator = read(state, operator).ok_or(CommissionError::Missing(*operator))?;
    let (current, step) = (crate::epochs::current(state).number, Parameters::read(state).commission_step_bp);
    let limit = validator.commission.max_bp;
    if bp > limit {
        return Err(CommissionError::Limit { asked: bp, limit });
    }
    if validator.raised.epoch < current {
        validator.raised = Raised { epoch: current, before: validator.commission.bp };
    }
    let before = validator.raised.before;
    if bp > before.saturating_add(step) {
        return Err(CommissionError::Step { before, step, asked: bp });
    }
    validator.commission.bp = bp;
    write(state, &validator);
    Ok(Event::CommissionSet { operator: *operator, bp })
}

/// Lets a jailed validator stand again, from the next set on.
///
/// # Errors
/// [`UnjailError`]; nothing changes then.
pub fn unjail(state: &mut Overlay, operator: &Address) -> Result<Event, UnjailError> {
    let mut validator = read(state, operator).ok_or(UnjailError::Missing(*operator))?;
    let current = crate::epochs::current(state).number;
    match validator.status {
        Status::Candidate => return Err(UnjailError::Free(*operator)),
        Status::Tombstoned { .. } => return Err(UnjailError::Tombstoned(*operator)),
        Status::Jailed { until } if current <= until => return Err(UnjailError::NotYet { until, current }),
        Status::Jailed { .. } => validator.status = Status::Candidate,
    }
    let list = with_candidate(state, &validator)?;
    write_candidates(state, list);
    write(state, &validator);
    Ok(Event::ValidatorUnjailed { operator: *operator })
}
