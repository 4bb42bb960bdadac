//! The fee market: a base fee that follows the fullness of blocks and is burned, and a tip for the proposer.
//!
//! After each block `base' = base + base * (used - target) / target / 8`, rounded towards the old value, at least 1 wei of change upwards when blocks are
//! fuller than the target, never below the minimum. The target is half of the limit. Source: EIP-1559, in integers.

use primitives::units::mul_div;
use primitives::{Address, Amount};
use state::Overlay;

use crate::accounts;
use crate::keys::{self, Read};
use crate::ledger::Refusal;
use crate::metering::{Costs, Work};
use crate::parameters::Parameters;
use crate::pools::{self, Pool};
use crate::transaction::Verified;

/// The base fee changes by at most this fraction per block.
const CHANGE_DENOMINATOR: u128 = 8;

/// The price of a unit now.
pub fn base_fee(state: &impl Read) -> Amount {
    keys::read(state, &keys::base_fee()).unwrap_or_else(|| Parameters::read(state).base_fee_min)
}

/// The base fee after a block that used `units_used`.
pub fn update(state: &mut Overlay, units_used: u64) {
    let parameters = Parameters::read(state);
    let (base, target) = (base_fee(state).0, u128::from(parameters.units_limit / 2).max(1));
    let used = u128::from(units_used);
    let step = |difference: u128| mul_div(base, difference, target).unwrap_or(u128::MAX) / CHANGE_DENOMINATOR;
    let next = match used.checked_sub(target) {
        Some(above) if above > 0 => base.saturating_add(step(above).max(1)),
        Some(_) | None => base.saturating_sub(step(target.saturating_sub(used))),
    };
    keys::write(state, &keys::base_fee(), &Amount(next.max(parameters.base_fee_min.0)));
}

/// What a transaction pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// Units it uses.
    pub units: u64,
    /// Burned, in wei.
    pub burned: Amount,
    /// For the proposer, in wei.
    pub tip: Amount,
    /// Both, in wei.
    pub sum: Amount,
}

/// What is paid for `work` at this price of a unit, with a tip for each; `None` above the largest amount.
pub fn of(work: &Work, costs: &Costs, base_fee: Amount, tip: Amount) -> Option<Fee> {
    let units = costs.units(work);
    let times = |price: Amount| price.0.checked_mul(units.into()).map(Amount);
    let (burned, tip) = (times(base_fee)?, times(tip)?);
    Some(Fee { units, burned, tip, sum: burned.checked_add(tip)? })
}

/// What a transaction pays now; `None` above the largest amount.
pub fn price(state: &impl Read, transaction: &Verified) -> Option<Fee> {
    of(&transaction.work, &Parameters::read(state).costs(), base_fee(state), transaction.body.tip)
}

/// Whether a transaction could pay, without taking anything.
///
/// # Errors
/// [`Refusal`] with the numbers.
pub fn check(state: &impl Read, transaction: &Verified) -> Result<Fee, Refusal> {
    let fee = price(state, transaction).ok_or_else(|| Refusal::Never("the fee is above the largest amount".into()))?;
    let Fee { units, sum, .. } = fee;
    let body = &transaction.body;
    if sum > body.fee_max {
        return Err(Refusal::NotNow(format!(
            "the fee is {sum} wei ({units} units at {} + {} wei), the transaction offers at most {} wei",
            base_fee(state),
            body.tip,
            body.fee_max
        )));
    }
    let sender = body.sender();
    let account = accounts::read(state, &sender);
    if account.balance < sum {
        return Err(Refusal::NotNow(format!("{sender} has {} wei, the fee is {sum} wei", account.balance)));
    }
    Ok(fee)
}

/// Takes the fee: the base part is burned, the tip goes to the proposer's account.
///
/// # Errors
/// [`Refusal`] as [`check`]; nothing is taken then.
pub fn charge(state: &mut Overlay, transaction: &Verified, proposer: &Address) -> Result<Fee, Refusal> {
    let fee = check(state, transaction)?;
    let sender = transaction.body.sender();
    let refuse = |error: pools::MoveError| Refusal::NotNow(error.to_string());
    pools::pay_in(state, &sender, Pool::Burned, fee.burned).map_err(refuse)?;
    accounts::send(state, &sender, proposer, fee.tip).map_err(refuse)?;
    Ok(fee)
}
