//! What stake earns: one number for each validator, however many delegators it has.
//!
//! Transactions: `CollectReward`. A validator keeps the sum of what one share ever earned, and each holding the sum up to which it was credited. What a
//! holding earned since is its shares times the difference, so a distribution writes one record and costs the same for one delegator as for a million.
//! Whoever changes the shares of a holding credits it first. A slash changes what a share is worth and not how many there are, so it needs no period of its
//! own. Source: Ojha, Goes: F1 Fee Distribution (2018), section 3.
//!
//! 1. When an epoch is settled, its validators' part is shared by stake ([`pot::reward`]). Of what a validator receives the operator keeps the commission.
//! 2. The rest is earned by all shares of the stake, the operator's own among them.
//! 3. What was earned is paid when its owner asks for it. It does not mature like the rewards of nodes: what answers for a validator is its stake, which
//!    stays for longer than evidence is taken.
//!
//! Rounding: everything down. What a distribution could not share evenly is added to the next one, so the pool of rewards always holds what validators owe
//! (CHAIN-12).

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::units::mul_div;
use primitives::{Address, Amount};
use state::Overlay;

use super::{Validator, delegation, read as read_validator, whole, write as write_validator};
use crate::event::Event;
use crate::pools::{self, MoveError, Pool};

/// Sums per share are counted in wei times this.
const SCALE: u128 = 1 << 96;

/// What the shares of a stake earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Earnings {
    /// What one share ever earned, in 2^-96 wei.
    pub per_share: u128,
    /// What lies in the pool of rewards for the operator and all delegators, in wei.
    pub owed: Amount,
    /// What of it belongs to nobody yet: left by rounding, and shared with the next distribution.
    pub left: Amount,
}

/// What one owner's shares of something earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Credit {
    /// The sum per share up to which it was credited.
    pub upto: u128,
    /// What it was credited and did not collect, in wei.
    pub earned: Amount,
}

/// Why nothing is collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// Nothing was earned.
    #[error("{delegator} has earned nothing with the validator of {validator} that it has not collected")]
    Nothing {
        /// Whose delegation.
        delegator: Address,
        /// Operator of the validator.
        validator: Address,
    },
    /// The pool does not hold what the records promise.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// Adds `amount` to what `shares` earn, with what was left before; gives the sum per share and what is left now.
pub(super) fn shared(per_share: u128, amount: Amount, shares: u128) -> (u128, Amount) {
    // Of so little that it cannot be shared, or so much that it cannot be counted, all is left.
    let step = mul_div(amount.0, SCALE, shares).filter(|step| per_share.checked_add(*step).is_some()).unwrap_or(0);
    let given = mul_div(step, shares, SCALE).unwrap_or(0);
    // Holdings are credited rounded down, each by less than one wei: together they never get more than this.
    (per_share.saturating_add(step), amount.saturating_sub(Amount(given.saturating_add(u128::from(step > 0)))))
}

impl Credit {
    /// What `shares` earned since they were credited.
    pub fn since(&self, shares: u128, per_share: u128) -> Amount {
        Amount(mul_div(shares, per_share.saturating_sub(self.upto), SCALE).unwrap_or(0))
    }

    /// Credits what `shares` earned up to now.
    pub(super) fn settle(&mut self, shares: u128, per_share: u128) {
        self.earned = self.earned.saturating_add(self.since(shares, per_share));
        self.upto = per_share;
    }
}

/// Shares what a validator received, which is in the pool of rewards: the commission to its operator, the rest to all shares.
pub(crate) fn distribute(state: &mut Overlay, operator: &Address, amount: Amount) {
    let Some(mut validator) = read_validator(state, operator) else { return };
    let rest = match validator.shares {
        // Its stake was taken out since the epoch began.
        0 => Amount::ZERO,
        _ => amount.saturating_sub(amount.basis_points(validator.commission.bp)),
    };
    let mut own = delegation::read(state, operator, operator);
    own.credit.earned = own.credit.earned.saturating_add(amount.saturating_sub(rest));
    delegation::write(state, operator, operator, &own);
    let Validator { earnings, shares, .. } = &mut validator;
    earnings.owed = earnings.owed.saturating_add(amount);
    if *shares > 0 {
        (earnings.per_share, earnings.left) = shared(earnings.per_share, rest.saturating_add(earnings.left), *shares);
    }
    write_validator(state, &validator);
}

/// Pays an account what it earned with a validator.
///
/// # Errors
/// [`CollectError`]; nothing changes then.
pub fn collect(state: &mut Overlay, delegator: &Address, operator: &Address) -> Result<Event, CollectError> {
    let nothing = || CollectError::Nothing { delegator: *delegator, validator: *operator };
    let mut validator = read_validator(state, operator).ok_or_else(nothing)?;
    whole(state, |state| pay(state, delegator, &mut validator).and_then(|event| event.ok_or_else(nothing)))
}

/// `None` if nothing was earned.
fn pay(state: &mut Overlay, delegator: &Address, validator: &mut Validator) -> Result<Option<Event>, CollectError> {
    let mut delegation = delegation::melted(state, validator, delegator);
    let amount = std::mem::take(&mut delegation.credit.earned);
    if amount == Amount::ZERO {
        return Ok(None);
    }
    validator.earnings.owed = validator.earnings.owed.saturating_sub(amount);
    pools::pay_out(state, Pool::Rewards, delegator, amount)?;
    delegation::write(state, &validator.operator, delegator, &delegation);
    write_validator(state, validator);
    Ok(Some(Event::RewardCollected { delegator: *delegator, validator: validator.operator, amount }))
}
