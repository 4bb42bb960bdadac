//! The ozone market: what a payment buys, what ozone is worth, and what a spent byte releases.
//!
//! With `S` the effective deposit, `P` the prepaid pool and `L` the ozone still for sale, the price is `(S + P) / L` wei per noz. A payment `X` buys
//! `floor(L * X / (S + P + X))`: the price rises with each purchase, and `(S + P) * L` never falls (POT-7).
//!
//! Every division rounds down, in favour of the pool. Source: stratos-chain `x/pot/keeper/formula.go`. Different on purpose: spent ozone releases its own
//! cost ([`Balance::charge`]), not its redemption value, so the pool can always pay and nobody can redeem what a later buyer paid.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::units::mul_div;
use primitives::{Amount, Noz};

/// Decimals of [`Pool::price`].
pub const PRICE_SCALE: u128 = 1_000_000_000_000_000_000;

/// The market's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pool {
    /// `S`: effective deposit of active resource and meta nodes.
    pub deposit: Amount,
    /// `P`: paid for ozone and not yet released.
    pub prepaid: Amount,
    /// `L`: still for sale.
    pub ozone: Noz,
}

/// Why ozone cannot be bought or priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CurveError {
    /// The payment buys less than 1 noz.
    #[error("{paid} wei buy no ozone: {left} noz are for sale at {value} wei in all")]
    Nothing {
        /// The payment.
        paid: Amount,
        /// `L`.
        left: Noz,
        /// `S + P`.
        value: Amount,
    },
    /// The price moved above what the buyer accepts.
    #[error("{paid} wei buy {noz} noz now, below the {noz_min} noz asked for")]
    BelowMin {
        /// The payment.
        paid: Amount,
        /// What it buys.
        noz: Noz,
        /// What the buyer asked for.
        noz_min: Noz,
    },
    /// Money or ozone above what can be counted.
    #[error("{0} is above what can be counted")]
    Overflow(&'static str),
}

impl Pool {
    fn value(&self) -> Result<Amount, CurveError> {
        self.deposit.checked_add(self.prepaid).ok_or(CurveError::Overflow("the deposit and the prepaid pool"))
    }

    /// `(S + P) / L` in 10^-18 wei per noz, rounded down; `None` if nothing is for sale.
    pub fn price(&self) -> Option<u128> {
        mul_div(self.value().ok()?.0, PRICE_SCALE, self.ozone.0)
    }

    /// What `paid` buys now: `floor(L * X / (S + P + X))`.
    ///
    /// # Errors
    /// [`CurveError::Nothing`] if that is 0, [`CurveError::Overflow`].
    pub fn purchase(&self, paid: Amount) -> Result<Noz, CurveError> {
        let value = self.value()?;
        let after = value.checked_add(paid).ok_or(CurveError::Overflow("the pool after the payment"))?;
        match mul_div(self.ozone.0, paid.0, after.0) {
            Some(noz) if noz > 0 => Ok(Noz(noz)),
            Some(_) | None => Err(CurveError::Nothing { paid, left: self.ozone, value }),
        }
    }

    /// Buys: `P += X`, `L -= noz`.
    ///
    /// # Errors
    /// [`CurveError`]; the pool is unchanged then.
    pub fn buy(&mut self, paid: Amount, noz_min: Noz) -> Result<Noz, CurveError> {
        let noz = self.purchase(paid)?;
        if noz < noz_min {
            return Err(CurveError::BelowMin { paid, noz, noz_min });
        }
        let prepaid = self.prepaid.checked_add(paid).ok_or(CurveError::Overflow("the prepaid pool"))?;
        let ozone = self.ozone.checked_sub(noz).ok_or(CurveError::Overflow("the ozone sold"))?;
        (self.prepaid, self.ozone) = (prepaid, ozone);
        Ok(noz)
    }

    /// What `noz` would be worth at the curve: `floor((S + P) * n / (L + n))`. Prices slashes that are stated in noz; never paid for traffic.
    ///
    /// # Errors
    /// [`CurveError::Overflow`].
    pub fn redemption(&self, noz: Noz) -> Result<Amount, CurveError> {
        let all = self.ozone.checked_add(noz).ok_or(CurveError::Overflow("the ozone for sale with what is redeemed"))?;
        if all == Noz::ZERO {
            return Ok(Amount::ZERO);
        }
        mul_div(self.value()?.0, noz.0, all.0).map(Amount).ok_or(CurveError::Overflow("the redemption value"))
    }
}

/// Ozone of one account and what it cost: average cost when purchases merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Balance {
    /// Ozone left.
    pub noz: Noz,
    /// Wei paid for it.
    pub cost: Amount,
}

/// A charge above the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{charged} noz charged, but the balance is {balance} noz")]
pub struct Overcharge {
    /// What should be charged.
    pub charged: Noz,
    /// What is there.
    pub balance: Noz,
}

impl Balance {
    /// The balance after a purchase; `None` above what can be counted.
    #[must_use]
    pub fn bought(self, noz: Noz, paid: Amount) -> Option<Self> {
        Some(Self { noz: self.noz.checked_add(noz)?, cost: self.cost.checked_add(paid)? })
    }

    /// What spending `noz` releases: `floor(c * y / n)`, all of the cost for all of the ozone.
    ///
    /// # Errors
    /// [`Overcharge`] above the balance.
    pub fn release(&self, noz: Noz) -> Result<Amount, Overcharge> {
        if noz > self.noz {
            return Err(Overcharge { charged: noz, balance: self.noz });
        }
        // Rounded down, at most the cost because y <= n; a balance of 0 noz releases nothing.
        Ok(Amount(mul_div(self.cost.0, noz.0, self.noz.0).unwrap_or(0)))
    }

    /// Spends `noz`; what it released.
    ///
    /// # Errors
    /// [`Overcharge`]; the balance is unchanged then.
    pub fn charge(&mut self, noz: Noz) -> Result<Amount, Overcharge> {
        let released = self.release(noz)?;
        *self = Self { noz: self.noz.saturating_sub(noz), cost: self.cost.saturating_sub(released) };
        Ok(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../tests/economics.json")).expect("valid JSON")
    }

    fn number(value: &Value) -> u128 {
        value.as_str().expect("a decimal string").parse().expect("a number")
    }

    fn pool(value: &Value) -> Pool {
        Pool { deposit: Amount(number(&value["S"])), prepaid: Amount(number(&value["P"])), ozone: Noz(number(&value["L"])) }
    }

    #[test]
    fn worked_purchases() {
        for example in vectors()["prepay"].as_array().expect("a list") {
            let mut pool = pool(example);
            assert_eq!(pool.buy(Amount(number(&example["X"])), Noz(1)), Ok(Noz(number(&example["exact_floor"]))));
            assert_eq!(pool.ozone, Noz(number(&example["L_after"])));
        }
    }

    #[test]
    fn worked_prices() {
        let vectors = vectors();
        let mut state = Pool::default();
        for step in vectors["price_sequence"].as_array().expect("a list") {
            let after = &step["after"];
            match step["op"].as_str().expect("a name") {
                "prepay" => assert_eq!(state.buy(Amount(number(&step["amount_wei"])), Noz(1)), Ok(Noz(number(&step["purchased_noz"])))),
                "genesis" => state = pool(after),
                "update_effective_deposit" => {
                    state.deposit.0 += number(&step["effective_wei"]);
                    state.ozone.0 += number(&step["ozone_limit_change"]);
                }
                "create_resource_node" => {}
                other => panic!("unknown step {other}"),
            }
            assert_eq!(state, pool(after));
            let price: u128 = after["price_wei_per_noz"].as_str().expect("text").replace('.', "").parse().expect("digits");
            assert!(price.abs_diff(state.price().expect("ozone is for sale")) <= 1, "the vector rounds half to even, we down");
        }
    }

    #[test]
    fn worked_settlement_values() {
        let settlement = &vectors()["settlement"];
        let mut state = pool(
            &settlement["given"]["genesis"]
                .as_object()
                .map(|_| {
                    let mut genesis = settlement["given"]["genesis"].clone();
                    genesis["P"] = Value::from("0");
                    genesis
                })
                .expect("an object"),
        );
        let paid = Amount(number(&settlement["prepay"]["amount_wei"]));
        let noz = state.buy(paid, Noz(1)).expect("buys");
        assert_eq!(noz, Noz(number(&settlement["prepay"]["purchased_noz"])));
        assert_eq!(state, pool(&settlement["prepay"]["after"]));
        let spent = Noz(100_000);
        assert_eq!(state.redemption(spent), Ok(Amount(1_224_999_946_405)), "the original's traffic reward");
        let mut balance = Balance::default().bought(noz, paid).expect("counts");
        assert_eq!(balance.charge(spent), Ok(Amount(350_000_000_000)), "ours: what the payer paid");
        assert_eq!(balance, Balance { noz: Noz(5_714_285_614_285), cost: Amount(20_000_000_000_000_000_000 - 350_000_000_000) });
    }

    #[test]
    fn refusals_change_nothing() {
        let state = Pool { deposit: Amount::stos(8), prepaid: Amount::ZERO, ozone: Noz(8_000_000_000_000) };
        let mut same = state;
        assert_eq!(same.buy(Amount(1), Noz(1)), Err(CurveError::Nothing { paid: Amount(1), left: state.ozone, value: Amount::stos(8) }));
        assert!(matches!(same.buy(Amount::stos(1), Noz(888_888_888_889)), Err(CurveError::BelowMin { noz: Noz(888_888_888_888), .. })));
        assert!(matches!(same.buy(Amount::MAX, Noz(1)), Err(CurveError::Overflow(_))));
        assert_eq!(same, state);
        assert!(Pool::default().buy(Amount(5), Noz(0)).is_err(), "an empty pool sells nothing");
        assert_eq!(Pool::default().redemption(Noz(0)), Ok(Amount::ZERO));
        let mut balance = Balance { noz: Noz(5), cost: Amount(50) };
        assert_eq!(balance.charge(Noz(6)), Err(Overcharge { charged: Noz(6), balance: Noz(5) }));
        assert_eq!(balance.charge(Noz(5)), Ok(Amount(50)));
        assert_eq!(balance.charge(Noz(0)), Ok(Amount(0)));
    }

    proptest! {
        /// Checks POT-7.
        #[test]
        fn buying_never_lowers_the_product(deposit in 0..1u128 << 90, prepaid in 0..1u128 << 90, ozone in 1..1u128 << 80, paid in 0..1u128 << 90) {
            let before = Pool { deposit: Amount(deposit), prepaid: Amount(prepaid), ozone: Noz(ozone) };
            let mut after = before;
            if let Ok(noz) = after.buy(Amount(paid), Noz(1)) {
                prop_assert!(noz < before.ozone || deposit + prepaid == 0);
                // (S+P) L <= (S+P+X) (L-noz), compared without 256 bits: floor of the left over the new value is at most L - noz.
                let rest = mul_div(deposit + prepaid, ozone, deposit + prepaid + paid).expect("fits");
                prop_assert!(rest <= after.ozone.0);
            } else {
                prop_assert_eq!(before, after);
            }
        }

        /// Checks POT-7: however spending is cut, it never releases more than was paid, and the last byte releases the rest.
        #[test]
        fn releasing_in_pieces(noz in 1..u64::MAX, cost in any::<u64>(), cuts in proptest::collection::vec(any::<u64>(), 0..10)) {
            let mut balance = Balance { noz: Noz(noz.into()), cost: Amount(u128::from(cost) << 40) };
            let mut released = 0;
            for cut in cuts {
                let cut = Noz(u128::from(cut) % (balance.noz.0 + 1));
                released += balance.charge(cut).expect("within").0;
                prop_assert_eq!(released + balance.cost.0, u128::from(cost) << 40);
            }
            released += balance.charge(balance.noz).expect("all").0;
            prop_assert_eq!((released, balance), (u128::from(cost) << 40, Balance::default()));
        }

        #[test]
        fn extremes_are_answered(a in any::<u128>(), b in any::<u128>(), c in any::<u128>(), d in any::<u128>()) {
            let mut pool = Pool { deposit: Amount(a), prepaid: Amount(b), ozone: Noz(c) };
            let _ = (pool.price(), pool.redemption(Noz(d)), pool.buy(Amount(d), Noz(0)));
        }
    }
}
