//! The original network's settlement, in exact integers: what ours is compared with. Source: stratos-chain `x/pot/keeper/formula.go`, `distribute.go`.
//!
//! Traffic of `Y` noz releases the curve's redemption value `R = (S + P) * Y / (L + Y)`, whatever its payers paid, and the whole `M` of the mining schedule
//! is paid beside it. Resource nodes share both by volume, meta nodes by liveness, validators by stake; the traffic part of the first two pays the tax.

use std::collections::BTreeMap;

use pot::curve::{CurveError, Pool};
use pot::reward::{Reward, Row};
use primitives::units::{BASIS_POINTS, mul_div};
use primitives::{Address, Amount, Noz};

/// Why an epoch of the original cannot be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginalError {
    /// The curve owes more than the pool holds. The original's report fails then, now and whenever it is tried again.
    #[error("the traffic is worth {released} wei, but the prepaid pool holds {prepaid} wei")]
    Owes {
        /// `R`.
        released: Amount,
        /// `P`.
        prepaid: Amount,
    },
    /// Money or ozone above what can be counted.
    #[error(transparent)]
    Curve(#[from] CurveError),
}

/// An epoch to settle.
#[derive(Clone, Copy, Debug)]
pub struct Traffic<'a> {
    /// Bytes by (payer, carrier).
    pub charges: &'a BTreeMap<(Address, Address), Noz>,
    /// How alive each meta node was.
    pub liveness: &'a BTreeMap<Address, u32>,
    /// Each validator's stake.
    pub stakes: &'a BTreeMap<Address, Amount>,
}

/// `R`, and what everybody earns of it and of the row's `M`.
///
/// # Errors
/// [`OriginalError`].
pub fn settle(pool: &Pool, row: &Row, tax: u32, traffic: &Traffic<'_>) -> Result<(Amount, BTreeMap<Address, Reward>), OriginalError> {
    let mut volumes: BTreeMap<Address, u128> = BTreeMap::new();
    for ((_, carrier), noz) in traffic.charges {
        *volumes.entry(*carrier).or_default() += noz.0;
    }
    let released = pool.redemption(Noz(volumes.values().sum()))?;
    if released > pool.prepaid {
        return Err(OriginalError::Owes { released, prepaid: pool.prepaid });
    }
    let mut rewards = BTreeMap::new();
    let mut share = |weights: BTreeMap<Address, u128>, bp: u32, tax: u32| {
        let total = weights.values().sum();
        let (of_traffic, of_mining) = (released.basis_points(bp).basis_points(BASIS_POINTS - tax), row.per_epoch.basis_points(bp));
        let part = |of: Amount, weight| Amount(mul_div(of.0, weight, total).unwrap_or(0));
        rewards.extend(weights.into_iter().map(|(address, weight)| (address, Reward { traffic: part(of_traffic, weight), mining: part(of_mining, weight) })));
    };
    share(volumes, row.resource, tax);
    share(traffic.liveness.iter().map(|(address, weight)| (*address, (*weight).into())).collect(), row.meta, tax);
    share(traffic.stakes.iter().map(|(address, stake)| (*address, stake.0)).collect(), row.validators, 0);
    Ok((released, rewards))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pot::reward::Schedule;
    use serde_json::Value;

    /// The original's own epoch, node by node, but for the wei where we round twice.
    #[test]
    fn worked_epoch() {
        let vectors: Value = serde_json::from_str(include_str!("../../../pot/tests/economics.json")).expect("valid JSON");
        let number = |value: &Value| value.as_str().expect("decimal").parse::<u128>().expect("number");
        let after = &vectors["settlement"]["prepay"]["after"];
        let pool = Pool { deposit: Amount(number(&after["S"])), prepaid: Amount(number(&after["P"])), ozone: Noz(number(&after["L"])) };
        let names: [(u8, &str); 6] =
            [(1, "res_owner1"), (2, "res_owner2"), (3, "res_owner3"), (11, "meta_beneficiary1"), (12, "meta_beneficiary2"), (13, "meta_beneficiary3")];
        let address = |number| Address([number; 20]);
        let charges = (1..4).zip([50_000, 30_000, 20_000]).map(|(carrier, noz)| ((address(9), address(carrier)), Noz(noz))).collect();
        let liveness = (11..14).map(|meta| (address(meta), 1)).collect();
        let stakes = [(address(21), Amount(1))].into();
        let row = Schedule::standard().row(Amount::ZERO).expect("a row");
        let traffic = Traffic { charges: &charges, liveness: &liveness, stakes: &stakes };
        let (released, rewards) = settle(&pool, &row, 200, &traffic).expect("settles");
        let epoch = &vectors["settlement"]["epoch_1"];
        assert_eq!(Some(released.0.to_string().as_str()), epoch["R"].as_str().and_then(|text| text.split('.').next()));
        for (number_of, name) in names {
            assert!(number(&epoch["rewards"][name]["total"]).abs_diff(rewards[&address(number_of)].total().0) <= 1, "{name}");
        }
        assert!(number(&epoch["fee_collector_delta"]).abs_diff(rewards[&address(21)].total().0) <= 1);
    }
}
