//! The fee market: a base fee that follows the fullness of blocks and is burned, and a tip for the proposer.
//!
//! After each block `base' = base + base * (used - target) / target / 8`, rounded towards the old value, at least 1 wei of change upwards when blocks are
//! fuller than the target, never below the minimum. The target is half of the limit. Source: EIP-1559, in integers.

use primitives::units::mul_div;
use primitives::{Address, Amount};
use state::Overlay;

use crate::accounts::{self, Account};
use crate::keys::{self, Read};
use crate::ledger::{Refusal, Terms};
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

/// The end of a block that used `units_used`: their base fees are burned, all at once, and the next block has another one.
pub fn end_block(state: &mut Overlay, units_used: u64) {
    let parameters = Parameters::read(state);
    let (base, target) = (base_fee(state).0, u128::from(parameters.units_limit / 2).max(1));
    let used = u128::from(units_used);
    let paid = base.checked_mul(used).expect("accounts paid it, and all money is far below u128");
    pools::mint_into_pool(state, Pool::Burned, Amount(paid));
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

/// What a transaction pays at this price of a unit, if it offers as much.
///
/// # Errors
/// [`Refusal`] with the numbers.
pub fn offered(costs: &Costs, base_fee: Amount, transaction: &Verified) -> Result<Fee, Refusal> {
    let body = &transaction.body;
    let fee = of(&transaction.work, costs, base_fee, body.tip).ok_or_else(|| Refusal::Never("the fee is above the largest amount".into()))?;
    if fee.sum > body.fee_max {
        return Err(Refusal::NotNow(format!(
            "the fee is {} wei ({} units at {base_fee} + {} wei), the transaction offers at most {} wei",
            fee.sum, fee.units, body.tip, body.fee_max
        )));
    }
    Ok(fee)
}

/// What is left of an account that pays this fee.
///
/// # Errors
/// [`Refusal`] with the numbers.
pub fn payable(sender: &Address, account: &Account, fee: &Fee) -> Result<Amount, Refusal> {
    let refusal = || Refusal::NotNow(format!("{sender} has {} wei, the fee is {} wei", account.balance, fee.sum));
    account.balance.checked_sub(fee.sum).ok_or_else(refusal)
}

/// Takes the fee from the sender's account, which is written as it is given: the tip goes to the proposer, the base part is burned at the end of the block.
///
/// # Errors
/// [`Refusal`] as [`offered`] and [`payable`]; nothing is written then.
pub fn charge(state: &mut Overlay, terms: &Terms, transaction: &Verified, sender: Account) -> Result<Fee, Refusal> {
    let fee = offered(&terms.costs, terms.base_fee, transaction)?;
    let address = transaction.sender;
    let balance = payable(&address, &sender, &fee)?;
    accounts::write(state, &address, &Account { balance, ..sender });
    accounts::give(state, &terms.proposer.unwrap_or(address), fee.tip);
    Ok(fee)
}
