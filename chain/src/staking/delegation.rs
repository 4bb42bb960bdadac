//! Stake that moves: bought into a validator by shares, taken out through a time in which it still answers.
//!
//! Keys: `2 d validator delegator` a delegation; `2 u validator epoch` what left a validator's stake in an epoch. Transactions: `Delegate`, `Undelegate`,
//! `WithdrawUnbonded`.
//!
//! A delegation is a number of shares of the validator's stake, and what was taken out is a number of shares of all that left that validator in that epoch.
//! So a slash touches one record of the validator and one for each epoch, however many delegators there are, and takes the same part from all of them. Shares
//! do not remember since when they are bonded: who joins between an offence and its proof answers for it as well.
//!
//! What is taken out in epoch `u` was counted in the votes of `u`, so it answers for `u` and whatever was before. It can be withdrawn once
//! [`Parameters::unbonding_epochs`] whole epochs have passed after `u`; that is no sooner than evidence about `u` has become too old. It does not come by
//! itself: whoever reads an account reads one record, so there is nobody who would notice that a time has come, and a list of what comes when would have to be
//! walked for everybody. The message names the validator, so that no list of an account's delegations is needed either.
//!
//! Rounding: shares are given rounded down and taken rounded up, coins are paid rounded down; what is left over belongs to the others, so the pools always hold
//! what the records promise (CHAIN-6). The last to leave gets the rest, so nothing is left behind.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::units::mul_div;
use primitives::{Address, Amount, Epoch};
use state::Overlay;

use super::distribution::Credit;
use super::redelegation::{self, Part};
use super::{FullError, Status, Validator, read as read_validator, weight, whole, with_candidate};
use crate::event::Event;
use crate::governance;
use crate::keys::{self, Read};
use crate::parameters::Parameters;
use crate::pools::{self, MoveError, Pool};

/// Epochs from which a delegation can have something on its way out at the same time, and pairs of validator and epoch of what moved to it.
pub const LEAVING_MAX: usize = 16;

/// What one account has with one validator.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Delegation {
    /// Shares of the validator's stake.
    pub shares: u128,
    /// Shares of what left the validator, by the epoch in which they left; ascending, at most [`LEAVING_MAX`].
    pub leaving: Vec<(Epoch, u128)>,
    /// What moved to the validator and still answers for the one that it left; at most [`LEAVING_MAX`].
    pub moved: Vec<Part>,
    /// What all of it earned.
    pub credit: Credit,
}

impl Delegation {
    /// A delegation of so many shares of a new validator.
    pub(super) fn of(shares: u128) -> Self {
        Self { shares, ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.shares == 0 && self.leaving.is_empty() && self.moved.is_empty() && self.credit.earned == Amount::ZERO
    }
}

/// What left a validator's stake in one epoch and is not withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Leaving {
    /// Wei, after slashes.
    pub amount: Amount,
    /// Shares of it that delegations hold together.
    pub shares: u128,
}

/// Why stake is not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelegateError {
    /// No such validator.
    #[error("{0} operates no validator")]
    Missing(Address),
    /// It never votes again.
    #[error("the validator of {0} is tombstoned and never votes again")]
    Tombstoned(Address),
    /// The amount buys no share.
    #[error("{0} wei buy no share of the stake")]
    Nothing(Amount),
    /// Others have more.
    #[error(transparent)]
    Full(#[from] FullError),
    /// The sender cannot pay.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// Why stake is not taken out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndelegateError {
    /// No such delegation.
    #[error("there is no such delegation to {0}")]
    Missing(Address),
    /// Nothing was asked for.
    #[error("a withdrawal of 0 wei from a stake")]
    Nothing,
    /// The delegation is worth less.
    #[error("{worth} wei of the delegation can be taken out or moved, {asked} wei were asked for; what moved here itself waits for its time")]
    Short {
        /// What it is worth.
        worth: Amount,
        /// What was asked.
        asked: Amount,
    },
    /// The stake waits for its slash.
    #[error("the validator is tombstoned and its stake locked until epoch {until} is over; this is epoch {current}")]
    Locked {
        /// Last epoch of the lock.
        until: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// Too much is on its way out.
    #[error("stake of {LEAVING_MAX} epochs is on its way already; withdraw what is due, or wait for it")]
    Busy,
    /// The pool does not hold what the records promise.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// Why nothing is paid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WithdrawError {
    /// Nothing is due.
    #[error("nothing that was taken out from {validator} is due: {}; this is epoch {current}", .next.map_or_else(|| "nothing is on its way".to_owned(), |next| format!("the next is in epoch {next}")))]
    NotDue {
        /// The validator.
        validator: Address,
        /// The first epoch in which something is due; none if nothing is on its way.
        next: Option<Epoch>,
        /// The current epoch.
        current: Epoch,
    },
    /// The pool does not hold what the records promise.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// What an account has with a validator.
pub fn read(state: &impl Read, validator: &Address, delegator: &Address) -> Delegation {
    keys::read(state, &keys::delegation(validator, delegator)).unwrap_or_default()
}

/// What a delegation earned and was not paid.
pub fn earned(state: &impl Read, validator: &Validator, delegation: &Delegation) -> Amount {
    let own = delegation.credit.earned.saturating_add(delegation.credit.since(delegation.shares, validator.earnings.per_share));
    delegation.moved.iter().map(|part| redelegation::held(state, validator, part).1).fold(own, Amount::saturating_add)
}

/// What left a validator in an epoch and is not withdrawn.
pub fn leaving(state: &impl Read, validator: &Address, epoch: Epoch) -> Leaving {
    keys::read(state, &keys::leaving(validator, epoch)).unwrap_or_default()
}

pub(super) fn write(state: &mut Overlay, validator: &Address, delegator: &Address, delegation: &Delegation) {
    let key = keys::delegation(validator, delegator);
    if delegation.is_empty() {
        state.delete(&key)
    } else {
        keys::write(state, &key, delegation)
    }
    governance::shares_changed(state, validator, delegator, delegation.shares);
}

/// Writes what an account had with a validator on the chain before, one share for each wei; `false` if it has something there already.
pub(crate) fn take_over(state: &mut Overlay, validator: &Address, delegator: &Address, amount: Amount) -> bool {
    let is_new = read(state, validator, delegator).is_empty();
    if is_new {
        write(state, validator, delegator, &Delegation::of(amount.0));
    }
    is_new
}

/// What an account has with a validator, with everything credited that it earned, and what moved there long enough ago turned into shares. The caller writes
/// both records.
pub(super) fn melted(state: &mut Overlay, validator: &mut Validator, delegator: &Address) -> Delegation {
    let mut delegation = read(state, &validator.operator, delegator);
    delegation.credit.settle(delegation.shares, validator.earnings.per_share);
    redelegation::melt(state, validator, &mut delegation);
    delegation
}

/// The epoch from which on what left a validator's stake in another answers for nothing: its time has passed, and it does not wait for a slash.
pub fn due_from(state: &impl Read, operator: &Address, left: Epoch) -> Epoch {
    let due = left.saturating_add(Epoch(Parameters::read(state).unbonding_epochs).next());
    match read_validator(state, operator).map(|validator| validator.status) {
        Some(Status::Tombstoned { offence, until }) if left >= offence => due.max(until.next()),
        Some(Status::Tombstoned { .. } | Status::Candidate | Status::Jailed { .. }) | None => due,
    }
}

pub(crate) fn write_leaving(state: &mut Overlay, validator: &Address, epoch: Epoch, leaving: &Leaving) {
    let key = keys::leaving(validator, epoch);
    if leaving.shares == 0 { state.delete(&key) } else { keys::write(state, &key, leaving) }
}

/// What `shares` of `total` shares of `amount` are worth, rounded down.
pub fn worth(shares: u128, amount: Amount, total: u128) -> Amount {
    Amount(mul_div(shares, amount.0, total).unwrap_or(0))
}

/// What is left of a number after a part of it is lost, rounded down.
pub(crate) fn left_after(number: u128, (lost, total): (u128, u128)) -> u128 {
    mul_div(number, total.saturating_sub(lost), total).unwrap_or(0)
}

/// The shares that `amount` buys into a stake, rounded down; 0 if it buys none.
pub(super) fn shares_bought(amount: Amount, validator: &Validator) -> u128 {
    if validator.shares == 0 { amount.0 } else { mul_div(amount.0, validator.shares, validator.stake.0).unwrap_or(0) }
}

/// The shares that `amount` costs, rounded up: `amount` is at most what `held` is worth, so they are at most `held`.
pub(super) fn shares_sold(amount: Amount, held: u128, validator: &Validator) -> u128 {
    if amount == worth(held, validator.stake, validator.shares) {
        return held;
    }
    let down = mul_div(amount.0, validator.shares, validator.stake.0).unwrap_or(held);
    let is_exact = worth(down, validator.stake, validator.shares) >= amount;
    if is_exact { down } else { down.saturating_add(1).min(held) }
}

/// Adds stake to a validator.
///
/// # Errors
/// [`DelegateError`]; nothing changes then.
pub fn delegate(state: &mut Overlay, delegator: &Address, operator: &Address, amount: Amount) -> Result<Event, DelegateError> {
    let mut validator = read_validator(state, operator).ok_or(DelegateError::Missing(*operator))?;
    if matches!(validator.status, Status::Tombstoned { .. }) {
        return Err(DelegateError::Tombstoned(*operator));
    }
    let bought = shares_bought(amount, &validator);
    if bought == 0 {
        return Err(DelegateError::Nothing(amount));
    }
    whole(state, |state| add(state, delegator, &mut validator, amount, bought))
}

fn add(state: &mut Overlay, delegator: &Address, validator: &mut Validator, amount: Amount, bought: u128) -> Result<Event, DelegateError> {
    let operator = validator.operator;
    let mut delegation = melted(state, validator, delegator);
    // No money is above the supply, so neither sum reaches the end of its numbers where the payment below succeeds.
    validator.stake = validator.stake.saturating_add(amount);
    validator.shares = validator.shares.saturating_add(bought);
    let list = with_candidate(state, validator)?;
    pools::pay_in(state, delegator, Pool::Stake, amount)?;
    delegation.shares = delegation.shares.saturating_add(bought);
    super::write_candidates(state, list);
    write(state, &operator, delegator, &delegation);
    super::write(state, validator);
    Ok(Event::Delegated { delegator: *delegator, validator: operator, amount })
}

/// Takes stake out of a validator: onto its way out, or, if the validator was tombstoned and has paid for it, to the delegator at once, for there is nothing
/// left that it could answer for.
///
/// # Errors
/// [`UndelegateError`]; nothing changes then.
pub fn undelegate(state: &mut Overlay, delegator: &Address, operator: &Address, amount: Amount) -> Result<Event, UndelegateError> {
    let mut validator = read_validator(state, operator).ok_or(UndelegateError::Missing(*operator))?;
    whole(state, |state| take_out(state, delegator, &mut validator, amount))
}

fn take_out(state: &mut Overlay, delegator: &Address, validator: &mut Validator, amount: Amount) -> Result<Event, UndelegateError> {
    let operator = validator.operator;
    let mut delegation = melted(state, validator, delegator);
    if delegation.shares == 0 && delegation.moved.is_empty() {
        return Err(UndelegateError::Missing(operator));
    }
    let current = crate::epochs::current(state).number;
    let is_tombstoned = match validator.status {
        Status::Tombstoned { until, .. } if current <= until => return Err(UndelegateError::Locked { until, current }),
        Status::Tombstoned { .. } => true,
        Status::Candidate | Status::Jailed { .. } => false,
    };
    if amount == Amount::ZERO {
        return Err(UndelegateError::Nothing);
    }
    let worth = worth(delegation.shares, validator.stake, validator.shares);
    if amount > worth {
        return Err(UndelegateError::Short { worth, asked: amount });
    }
    let sold = shares_sold(amount, delegation.shares, validator);
    delegation.shares = delegation.shares.saturating_sub(sold);
    validator.shares = validator.shares.saturating_sub(sold);
    validator.stake = validator.stake.saturating_sub(amount);
    if is_tombstoned {
        pools::pay_out(state, Pool::Stake, delegator, amount)?;
    } else {
        let count = delegation.leaving.len();
        match delegation.leaving.last_mut() {
            Some((epoch, shares)) if *epoch == current => *shares = shares.saturating_add(amount.0),
            Some(_) | None if count >= LEAVING_MAX => return Err(UndelegateError::Busy),
            Some(_) | None => delegation.leaving.push((current, amount.0)),
        }
        pools::transfer(state, Pool::Stake, Pool::Unbonding, amount)?;
        // One share for each wei: what leaves in this epoch is slashed only when nothing more can leave in it.
        let mut pot = leaving(state, &operator, current);
        pot = Leaving { amount: pot.amount.saturating_add(amount), shares: pot.shares.saturating_add(amount.0) };
        write_leaving(state, &operator, current, &pot);
    }
    if weight(validator.stake) == 0 {
        super::drop_candidate(state, &operator);
    }
    write(state, &operator, delegator, &delegation);
    super::write(state, validator);
    let (delegator, validator) = (*delegator, operator);
    Ok(if is_tombstoned { Event::UnbondedWithdrawn { delegator, validator, amount } } else { Event::Undelegated { delegator, validator, amount } })
}

/// Pays out what was taken out of a validator and is due: its time has passed, and it does not wait for a slash.
///
/// # Errors
/// [`WithdrawError`]; nothing changes then.
pub fn withdraw(state: &mut Overlay, delegator: &Address, operator: &Address) -> Result<Event, WithdrawError> {
    let current = crate::epochs::current(state).number;
    let mut delegation = read(state, operator, delegator);
    let next = delegation.leaving.iter().map(|(left, _)| due_from(state, operator, *left)).min();
    let (due, waiting): (Vec<_>, Vec<_>) = delegation.leaving.iter().copied().partition(|(left, _)| due_from(state, operator, *left) <= current);
    if due.is_empty() {
        return Err(WithdrawError::NotDue { validator: *operator, next, current });
    }
    let pots: Vec<(Epoch, Leaving, Amount)> = due
        .into_iter()
        .map(|(left, shares)| {
            let pot = leaving(state, operator, left);
            let amount = worth(shares, pot.amount, pot.shares);
            (left, Leaving { amount: pot.amount.saturating_sub(amount), shares: pot.shares.saturating_sub(shares) }, amount)
        })
        .collect();
    let amount = pots.iter().fold(Amount::ZERO, |sum, (_, _, amount)| sum.saturating_add(*amount));
    pools::pay_out(state, Pool::Unbonding, delegator, amount)?;
    for (left, pot, _) in pots {
        write_leaving(state, operator, left, &pot);
    }
    delegation.leaving = waiting;
    write(state, operator, delegator, &delegation);
    Ok(Event::UnbondedWithdrawn { delegator: *delegator, validator: *operator, amount })
}
