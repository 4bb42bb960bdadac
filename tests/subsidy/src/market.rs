//! A market under one of the two rules: the pool, what everybody holds, and the settlement of its epochs.

use std::collections::BTreeMap;

use pot::curve::{Balance, CurveError, Overcharge, Pool};
use pot::reward::{self, Parameters, Reward, SettleError, Settlement};
use primitives::units::WEI_PER_STOS;
use primitives::{Address, Amount, Noz};

use crate::original::{self, OriginalError, Traffic};

/// How an epoch is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At the curve, with the whole mining reward: [`original::settle`].
    Original,
    /// At cost, with a mining reward of at most `beta * R`: [`reward::settle`].
    Ours,
}

/// `S`, in every game: 1 % of all coins.
pub const DEPOSIT: Amount = Amount::stos(1_000_000);
/// `r`: deposit in wei for each noz, so 1 stos buys about a terabyte while little is sold.
pub const DEPOSIT_PER_NOZ: u128 = WEI_PER_STOS / 1_000_000_000_000;

/// Why a market stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarketError {
    /// A purchase failed.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// More was spent than there was.
    #[error(transparent)]
    Overcharge(#[from] Overcharge),
    /// Our settlement failed.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// The original's failed.
    #[error(transparent)]
    Original(#[from] OriginalError),
    /// Money or ozone above what can be counted, or below 0.
    #[error("{0} cannot be counted")]
    Count(&'static str),
}

/// The market's whole state.
#[derive(Clone, Debug)]
pub struct Market {
    rule: Rule,
    parameters: Parameters,
    /// `S`, `P` and `L`.
    pub pool: Pool,
    /// What payers hold.
    pub balances: BTreeMap<Address, Balance>,
    /// `m`.
    pub mined: Amount,
    liveness: BTreeMap<Address, u32>,
    stakes: BTreeMap<Address, Amount>,
}

impl Market {
    /// Nothing is sold yet and `mined` is mined. All of these meta nodes are equally alive, and all validators have the same stake.
    pub fn new(rule: Rule, deposit: Amount, mined: Amount, metas: &[Address], validators: &[Address]) -> Self {
        Self {
            rule,
            parameters: Parameters::standard(),
            pool: Pool { deposit, prepaid: Amount::ZERO, ozone: Noz(deposit.0 / DEPOSIT_PER_NOZ) },
            balances: BTreeMap::new(),
            mined,
            liveness: metas.iter().map(|meta| (*meta, 1)).collect(),
            stakes: validators.iter().map(|validator| (*validator, Amount::stos(1))).collect(),
        }
    }

    /// Buys ozone.
    ///
    /// # Errors
    /// [`MarketError`] if the payment buys nothing.
    pub fn buy(&mut self, payer: Address, paid: Amount) -> Result<Noz, MarketError> {
        let noz = self.pool.buy(paid, Noz(1))?;
        let balance = self.balances.entry(payer).or_default();
        *balance = balance.bought(noz, paid).ok_or(MarketError::Count("a balance"))?;
        Ok(noz)
    }

    /// Settles an epoch; what everybody earned.
    ///
    /// # Errors
    /// [`MarketError`] if somebody spends more than it has, or the pool cannot pay.
    pub fn settle(&mut self, charges: &BTreeMap<(Address, Address), Noz>) -> Result<BTreeMap<Address, Reward>, MarketError> {
        let (noz, released, rewards, mined) = match self.rule {
            Rule::Original => self.settle_original(charges)?,
            Rule::Ours => self.settle_ours(charges)?,
        };
        self.pool.prepaid = self.pool.prepaid.checked_sub(released).ok_or(MarketError::Count("the prepaid pool"))?;
        self.pool.ozone = self.pool.ozone.checked_add(noz).ok_or(MarketError::Count("the ozone for sale"))?;
        self.mined = self.mined.checked_add(mined).ok_or(MarketError::Count("what is mined"))?;
        Ok(rewards)
    }

    fn settle_original(&mut self, charges: &BTreeMap<(Address, Address), Noz>) -> Result<Settled, MarketError> {
        let row = self.parameters.schedule.row(self.mined).ok_or(SettleError::Schedule)?;
        let traffic = Traffic { charges, liveness: &self.liveness, stakes: &self.stakes };
        let (released, rewards) = original::settle(&self.pool, &row, self.parameters.tax, &traffic)?;
        for ((payer, _), noz) in charges {
            // What the ozone cost does not matter to this rule.
            self.balances.entry(*payer).or_default().charge(*noz)?;
        }
        let mined = rewards.values().map(|reward| reward.mining.0).sum();
        Ok((Noz(charges.values().map(|noz| noz.0).sum()), released, rewards, Amount(mined)))
    }

    fn settle_ours(&mut self, charges: &BTreeMap<(Address, Address), Noz>) -> Result<Settled, MarketError> {
        let (parameters, balances, liveness, stakes) = (&self.parameters, &self.balances, &self.liveness, &self.stakes);
        let reserve = parameters.schedule.total().saturating_sub(self.mined);
        let charges = &charges.iter().map(|(pair, noz)| (*pair, *noz)).collect();
        let out = reward::settle(&Settlement { parameters, mined: self.mined, reserve, charges, balances, liveness, stakes })?;
        if out.unpaid > Noz::ZERO {
            return Err(Overcharge { charged: Noz(out.noz.0 + out.unpaid.0), balance: out.noz }.into());
        }
        self.balances.extend(out.payers.iter().map(|(payer, charged)| (*payer, charged.left)));
        let carriers = out.carriers.into_iter().map(|(carrier, of)| (carrier, of.reward));
        Ok((out.noz, out.released, carriers.chain(out.metas).chain(out.validators).collect(), out.mined))
    }
}

/// Ozone charged, value released, who earned what, and what was mined.
type Settled = (Noz, Amount, BTreeMap<Address, Reward>, Amount);

#[cfg(test)]
mod tests {
    use super::*;

    const PAYER: Address = Address([1; 20]);
    const CARRIER: Address = Address([2; 20]);

    /// One deposit of 3 stos in 3300 leaves after a sale, with its ozone; the buyer then spends all that it bought.
    fn after_a_deposit_left(rule: Rule) -> Result<BTreeMap<Address, Reward>, MarketError> {
        let mut market = Market::new(rule, Amount::stos(3_300), Amount::ZERO, &[Address([3; 20])], &[Address([4; 20])]);
        let noz = market.buy(PAYER, Amount::stos(10_000))?;
        market.pool.deposit.0 -= Amount::stos(3).0;
        market.pool.ozone.0 -= Amount::stos(3).0 / DEPOSIT_PER_NOZ;
        market.settle(&[((PAYER, CARRIER), noz)].into())
    }

    #[test]
    fn the_originals_pool_can_owe_more_than_it_holds_and_ours_cannot() {
        assert!(matches!(after_a_deposit_left(Rule::Original), Err(MarketError::Original(OriginalError::Owes { .. }))));
        let rewards = after_a_deposit_left(Rule::Ours).expect("settles");
        assert_eq!(rewards[&CARRIER].traffic, Amount::stos(10_000).basis_points(6_000).basis_points(9_800));
    }

    #[test]
    fn what_is_not_held_is_not_spent() {
        for rule in [Rule::Original, Rule::Ours] {
            let mut market = Market::new(rule, DEPOSIT, Amount::ZERO, &[], &[]);
            let noz = market.buy(PAYER, Amount::stos(1)).expect("ozone is for sale");
            market.buy(CARRIER, Amount::stos(1)).expect("ozone is for sale");
            let charges = [((PAYER, CARRIER), Noz(noz.0 + 1))].into();
            assert!(matches!(market.settle(&charges), Err(MarketError::Overcharge(_))), "{rule:?}");
        }
    }
}
