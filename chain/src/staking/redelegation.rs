//! Stake that moves from one validator to another without a time in which it earns nothing.
//!
//! Keys: `2 m to from epoch` what moved from one validator to another in an epoch; `2 t from epoch` where stake moved to from a validator in an epoch.
//! Transactions: `Redelegate`.
//!
//! What moves in epoch `u` was counted in the votes of `u` for the validator that it left, so it answers for that one as long as what is taken out in `u`
//! does, and with its new validator from then on. Until that time has passed it is *moved* stake: it counts and earns like any other, and can neither be taken
//! out nor moved on, so nobody runs from one slash through several validators.
//!
//! All that moved between two validators in one epoch is one record: shares of the new stake, and units that delegations hold of them. A slash of the validator
//! that it left takes a part of those shares, whatever the number of delegators. When the time has passed, the next touch of a delegation turns its units into
//! shares. A validator's stake of one epoch moves to at most [`TARGETS_MAX`] others, since a slash looks at each; it takes a whole stos to open one.
//!
//! Rounding: as in [`super::delegation`]; a slash takes shares rounded up.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::units::{WEI_PER_STOS, mul_div};
use primitives::{Address, Amount, Epoch};
use state::Overlay;

use super::delegation::{self, LEAVING_MAX, UndelegateError, left_after, shares_bought, shares_sold, worth};
use super::distribution::{Credit, shared};
use super::{FullError, Status, Validator, read as read_validator, weight, whole, with_candidate, write as write_validator};
use crate::event::Event;
use crate::keys::{self, Read};
use crate::mutants::{self, Mutant};

/// Validators to which the stake of one validator can move in one epoch.
pub const TARGETS_MAX: usize = 32;

/// What moved from one validator to another in one epoch and still answers for the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Moved {
    /// Shares of the new validator's stake, after slashes.
    pub shares: u128,
    /// Units of them that delegations hold together.
    pub units: u128,
    /// What one unit ever earned, in 2^-96 wei.
    pub per_unit: u128,
    /// The new validator's sum per share up to which the record was credited, and what of that was not shared among its units.
    pub credit: Credit,
}

/// What one delegation has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Part {
    /// Operator of the validator that it left.
    pub from: Address,
    /// In which epoch.
    pub epoch: Epoch,
    /// Units of [`Moved`].
    pub units: u128,
    /// What they earned.
    pub credit: Credit,
}

/// Why stake does not move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedelegateError {
    /// It would stay where it is.
    #[error("the stake is with {0} already")]
    Same(Address),
    /// It cannot leave.
    #[error(transparent)]
    Leave(#[from] UndelegateError),
    /// No such validator.
    #[error("{0} operates no validator")]
    Missing(Address),
    /// One of the validators never votes again.
    #[error("the validator of {0} is tombstoned: no stake moves there, and what is with it can only be taken out")]
    Tombstoned(Address),
    /// The amount buys no share.
    #[error("{0} wei buy no share of the stake")]
    Nothing(Amount),
    /// Stake of this epoch moved to too many validators.
    #[error("stake of {from} moved to {TARGETS_MAX} validators in this epoch already; to move to another, wait for the next epoch")]
    Targets {
        /// Operator of the validator that it would leave.
        from: Address,
    },
    /// Too little to be the first that moves between these validators in this epoch.
    #[error("{amount} wei; the first that moves between two validators in an epoch is at least {WEI_PER_STOS} wei")]
    Small {
        /// How much.
        amount: Amount,
    },
    /// Others have more.
    #[error(transparent)]
    Full(#[from] FullError),
}

/// What moved between two validators in an epoch.
pub fn read(state: &impl Read, to: &Address, from: &Address, epoch: Epoch) -> Moved {
    keys::read(state, &keys::moved(to, from, epoch)).unwrap_or_default()
}

/// The validators to which stake moved from another in an epoch.
pub fn targets(state: &impl Read, from: &Address, epoch: Epoch) -> Vec<Address> {
    keys::read(state, &keys::move_targets(from, epoch)).unwrap_or_default()
}

fn write(state: &mut Overlay, to: &Address, from: &Address, epoch: Epoch, moved: &Moved) {
    let key = keys::moved(to, from, epoch);
    if moved.units > 0 {
        keys::write(state, &key, moved);
        return;
    }
    state.delete(&key);
    let mut targets = targets(state, from, epoch);
    targets.retain(|target| target != to);
    let key = keys::move_targets(from, epoch);
    if targets.is_empty() { state.delete(&key) } else { keys::write(state, &key, &targets) }
}

impl Moved {
    /// Shares what its shares earned since among its units.
    pub fn settle(&mut self, per_share: u128) {
        self.credit.settle(self.shares, per_share);
        if self.units > 0 {
            (self.per_unit, self.credit.earned) = shared(self.per_unit, self.credit.earned, self.units);
        }
    }
}

/// What a part of a delegation is worth, and what it earned and was not credited to the delegation yet.
pub fn held(state: &impl Read, validator: &Validator, part: &Part) -> (Amount, Amount) {
    let mut moved = read(state, &validator.operator, &part.from, part.epoch);
    moved.settle(validator.earnings.per_share);
    let shares = mul_div(part.units, moved.shares, moved.units).unwrap_or(0);
    (worth(shares, validator.stake, validator.shares), part.credit.earned.saturating_add(part.credit.since(part.units, moved.per_unit)))
}

/// Moves stake from one validator to another.
///
/// # Errors
/// [`RedelegateError`]; nothing changes then.
pub fn redelegate(state: &mut Overlay, delegator: &Address, from: &Address, to: &Address, amount: Amount) -> Result<Event, RedelegateError> {
    if from == to {
        return Err(RedelegateError::Same(*from));
    }
    let mut old = read_validator(state, from).ok_or(UndelegateError::Missing(*from))?;
    let mut new = read_validator(state, to).ok_or(RedelegateError::Missing(*to))?;
    for validator in [&old, &new] {
        if matches!(validator.status, Status::Tombstoned { .. }) {
            return Err(RedelegateError::Tombstoned(validator.operator));
        }
    }
    whole(state, |state| move_stake(state, delegator, &mut old, &mut new, amount))
}

fn move_stake(state: &mut Overlay, delegator: &Address, old: &mut Validator, new: &mut Validator, amount: Amount) -> Result<Event, RedelegateError> {
    let (from, to, current) = (old.operator, new.operator, crate::epochs::current(state).number);
    let mut left = delegation::melted(state, old, delegator);
    let worth = worth(left.shares, old.stake, old.shares);
    if amount == Amount::ZERO {
        return Err(UndelegateError::Nothing.into());
    }
    if amount > worth {
        return Err(UndelegateError::Short { worth, asked: amount }.into());
    }
    let (sold, bought) = (shares_sold(amount, left.shares, old), shares_bought(amount, new));
    if bought == 0 {
        return Err(RedelegateError::Nothing(amount));
    }
    let mut moved = read(state, &to, &from, current);
    if moved.units == 0 {
        let mut targets = targets(state, &from, current);
        if amount.0 < WEI_PER_STOS {
            return Err(RedelegateError::Small { amount });
        }
        if targets.len() >= TARGETS_MAX {
            return Err(RedelegateError::Targets { from });
        }
        targets.push(to);
        keys::write(state, &keys::move_targets(&from, current), &targets);
        moved.credit.upto = new.earnings.per_share;
    }
    moved.settle(new.earnings.per_share);
    let mut joined = delegation::melted(state, new, delegator);
    // One unit for each share: what moves in this epoch is slashed only when nothing more can move in it.
    let count = joined.moved.len();
    match joined.moved.iter_mut().find(|part| (part.from, part.epoch) == (from, current)) {
        Some(part) => {
            part.credit.settle(part.units, moved.per_unit);
            part.units = part.units.saturating_add(bought);
        }
        None if count >= LEAVING_MAX => return Err(UndelegateError::Busy.into()),
        None => {
            let credit = Credit { upto: moved.per_unit, earned: Amount::ZERO };
            joined.moved.push(Part { from, epoch: current, units: bought, credit });
        }
    }
    moved = Moved { shares: moved.shares.saturating_add(bought), units: moved.units.saturating_add(bought), ..moved };
    left.shares = left.shares.saturating_sub(sold);
    old.shares = old.shares.saturating_sub(sold);
    old.stake = old.stake.saturating_sub(amount);
    new.shares = new.shares.saturating_add(bought);
    new.stake = new.stake.saturating_add(amount);
    let list = with_candidate(state, new)?;
    super::write_candidates(state, list);
    if weight(old.stake) == 0 {
        super::drop_candidate(state, &from);
    }
    write(state, &to, &from, current, &moved);
    delegation::write(state, &from, delegator, &left);
    delegation::write(state, &to, delegator, &joined);
    write_validator(state, old);
    write_validator(state, new);
    Ok(Event::Redelegated { delegator: *delegator, from, to, amount })
}

/// Credits what moved stake earned, and turns what answers for no other validator any more into shares like any other.
pub(super) fn melt(state: &mut Overlay, validator: &mut Validator, delegation: &mut delegation::Delegation) {
    let current = crate::epochs::current(state).number;
    for mut part in std::mem::take(&mut delegation.moved) {
        let mut moved = read(state, &validator.operator, &part.from, part.epoch);
        moved.settle(validator.earnings.per_share);
        part.credit.settle(part.units, moved.per_unit);
        delegation.credit.earned = delegation.credit.earned.saturating_add(std::mem::take(&mut part.credit.earned));
        if delegation::due_from(state, &part.from, part.epoch) <= current || mutants::is(Mutant::MovedUnbound) {
            let shares = mul_div(part.units, moved.shares, moved.units).unwrap_or(0);
            delegation.shares = delegation.shares.saturating_add(shares);
            moved = Moved { shares: moved.shares.saturating_sub(shares), units: moved.units.saturating_sub(part.units), ..moved };
            if moved.units == 0 {
                let left = &mut validator.earnings.left;
                *left = left.saturating_add(moved.credit.earned);
            }
        } else {
            delegation.moved.push(part);
        }
        write(state, &validator.operator, &part.from, part.epoch, &moved);
    }
}

/// Takes a part of what moved away from a validator in an epoch out of the stakes that it joined; what was lost, in wei, is for the caller to burn.
pub(crate) fn slash(state: &mut Overlay, from: &Address, epoch: Epoch, part: (u128, u128)) -> (Amount, Vec<Event>) {
    let (mut lost, mut events) = (Amount::ZERO, Vec::new());
    for to in targets(state, from, epoch).into_iter().filter(|_| !mutants::is(Mutant::MovedUnslashed)) {
        let Some(mut validator) = read_validator(state, &to) else { continue };
        let mut moved = read(state, &to, from, epoch);
        moved.settle(validator.earnings.per_share);
        let shares = moved.shares.saturating_sub(left_after(moved.shares, part));
        let amount = worth(shares, validator.stake, validator.shares);
        moved.shares = moved.shares.saturating_sub(shares);
        validator.shares = validator.shares.saturating_sub(shares);
        validator.stake = validator.stake.saturating_sub(amount);
        write(state, &to, from, epoch, &moved);
        write_validator(state, &validator);
        if amount > Amount::ZERO {
            events.push(Event::MovedStakeSlashed { validator: to, from: *from, amount });
        }
        if weight(validator.stake) == 0 && super::drop_candidate(state, &to) {
            events.push(Event::CandidateLeft { operator: to });
        }
        lost = lost.saturating_add(amount);
    }
    (lost, events)
}
