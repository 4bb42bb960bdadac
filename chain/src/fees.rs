//! The fee market: a base fee that follows the fullness of blocks and is burned, and a tip for the proposer. Senders pay with their transactions; where it all goes
//! is one step at the end of the block.
//!
//! After each block `base' = base + base * (used - target) / target / 8`, rounded towards the old value, at least 1 wei of change upwards when blocks are
//! fuller than the target, never below the minimum. The target is half of the limit. Source: EIP-1559, in integers.

use primitives::units::mul_div;
use primitives::{Address, Amount};
use state::Overlay;

use crate::accounts::{self, Account};
use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::{Refusal, Terms, Usage};
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

/// The end of a block: of what its transactions paid the base fees are burned and the tips go to the proposer, all at once, and the base fee follows what they
/// used. Nothing happened to money if none paid.
pub fn end_block(state: &mut Overlay, terms: &Terms, usage: &Usage) -> Option<Event> {
    let parameters = Parameters::read(state);
    let (base, target) = (terms.base_fee.0, u128::from(parameters.units_limit / 2).max(1));
    let used = u128::from(usage.units);
    let base_fees = Amount(base.checked_mul(used).expect("accounts paid it, and all money is far below u128"));
    // Nobody proposed: nobody is tipped.
    let tips = terms.proposer.map_or(Amount::ZERO, |_| usage.fees.saturating_sub(base_fees));
    let burned = usage.fees.saturating_sub(tips);
    let proposer = terms.proposer.filter(|_| tips > Amount::ZERO);
    pools::mint_into_pool(state, Pool::Burned, burned);
    proposer.iter().for_each(|proposer| accounts::give(state, proposer, tips));
    let step = |difference: u128| mul_div(base, difference, target).unwrap_or(u128::MAX) / CHANGE_DENOMINATOR;
    let next = match used.checked_sub(target) {
        Some(above) if above > 0 => base.saturating_add(step(above).max(1)),
        Some(_) | None => base.saturating_sub(step(target.saturating_sub(used))),
    };
    keys::write(state, &keys::base_fee(), &Amount(next.max(parameters.base_fee_min.0)));
    (usage.fees > Amount::ZERO).then_some(Event::FeesPaid { proposer, burned, tips })
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

/// Takes the fee from the sender's account, which is written as it is given. Where it goes is said at the end of the block.
///
/// # Errors
/// [`Refusal`] as [`offered`] and [`payable`]; nothing is written then.
pub fn charge(state: &mut Overlay, terms: &Terms, transaction: &Verified, sender: Account) -> Result<Fee, Refusal> {
    let fee = offered(&terms.costs, terms.base_fee, transaction)?;
    let balance = payable(&transaction.sender, &sender, &fee)?;
    accounts::write(state, &transaction.sender, &Account { balance, ..sender });
    Ok(fee)
}

#[cfg(test)]
mod tests {
    use state::Memory;

    use super::*;
    use crate::pools::Pools;

    const TARGET: u64 = 1_000;
    const LEAST: u128 = 10;

    /// The base fee after a block that used so many units at this price.
    fn next(base_fee: u128, units: u64) -> u128 {
        let mut state = Memory::new().child();
        keys::write(&mut state, &keys::parameters(), &Parameters { units_limit: 2 * TARGET, base_fee_min: Amount(LEAST), ..Parameters::dev() });
        let proposer = Some(Address([7; 20]));
        let terms = Terms { base_fee: Amount(base_fee), units_limit: 2 * TARGET, costs: Parameters::dev().costs(), proposer };
        let burned = Amount(base_fee * u128::from(units));
        for (terms, tips) in [(terms, Amount(5)), (Terms { proposer: None, ..terms }, Amount::ZERO)] {
            let mut state = state.clone();
            let fees = burned.saturating_add(Amount(5));
            let burned = fees.saturating_sub(tips);
            let event = end_block(&mut state, &terms, &Usage { units, fees });
            assert_eq!(event, Some(Event::FeesPaid { proposer: terms.proposer, burned, tips }));
            assert_eq!((Pools::read(&state).burned, accounts::read(&state, &Address([7; 20])).balance), (burned, tips));
        }
        let without = end_block(&mut state, &terms, &Usage { units, fees: burned });
        assert_eq!(without, (units > 0).then_some(Event::FeesPaid { proposer: None, burned, tips: Amount::ZERO }), "no fees, no event");
        super::base_fee(&state).0
    }

    #[test]
    fn the_base_fee_follows_the_fullness() {
        for (base, units, expected) in [
            (800, TARGET, 800),
            (800, 2 * TARGET, 900),
            (800, 0, 700),
            (800, TARGET * 3 / 2, 850),
            // Up by 1 wei at least, down only by whole ones.
            (800, TARGET + 1, 801),
            (LEAST, TARGET + 1, LEAST + 1),
            (800, TARGET - 1, 800),
            (800, TARGET - 10, 799),
            // Never below the least.
            (LEAST, 0, LEAST),
            (LEAST + 1, 0, LEAST),
        ] {
            assert_eq!(next(base, units), expected, "{base} wei, {units} units");
        }
    }
}
