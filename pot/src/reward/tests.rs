//! Tests of the rewards: worked examples, conservation, and that early ozone cannot redeem late money.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::curve::Pool;

/// An address of its own for each number.
pub fn address(number: u8) -> Address {
    Address([number; 20])
}

/// An epoch that owns what [`Settlement`] borrows.
#[derive(Debug, Clone)]
pub struct World {
    pub parameters: Parameters,
    pub mined: Amount,
    pub reserve: Amount,
    pub charges: BTreeMap<(Address, Address), Noz>,
    pub balances: BTreeMap<Address, Balance>,
    pub liveness: BTreeMap<Address, u32>,
    pub stakes: BTreeMap<Address, Amount>,
}

impl World {
    pub fn settle(&self) -> Result<Distribution, SettleError> {
        settle(&Settlement {
            parameters: &self.parameters,
            mined: self.mined,
            reserve: self.reserve,
            charges: &self.charges.iter().map(|(pair, noz)| (*pair, *noz)).collect(),
            balances: &self.balances,
            liveness: &self.liveness,
            stakes: &self.stakes,
        })
    }
}

/// An epoch with one payer and three carriers.
fn small() -> World {
    World {
        parameters: Parameters::standard(),
        mined: Amount::ZERO,
        reserve: Amount::stos(40_000_000),
        charges: BTreeMap::from([((address(1), address(11)), Noz(50_000)), ((address(1), address(12)), Noz(30_000)), ((address(1), address(13)), Noz(20_000))]),
        balances: BTreeMap::from([(address(1), Balance { noz: Noz(5_714_285_714_285), cost: Amount::stos(20) })]),
        liveness: (21..24).map(|number| (address(number), 7)).collect(),
        stakes: BTreeMap::from([(address(31), Amount::stos(1)), (address(32), Amount::stos(3))]),
    }
}

/// The original's settlement with its own `R`: our split of it agrees, but for the last wei where we round twice and the original once.
#[test]
fn worked_split() {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/economics.json")).expect("valid JSON");
    let epoch = &vectors["settlement"]["epoch_1"];
    let number = |value: &Value| value.as_str().expect("decimal").parse::<u128>().expect("number");
    let mut world = small();
    // A balance of 100,000 noz that cost the original's R is charged whole, and releases exactly that.
    world.balances.insert(address(1), Balance { noz: Noz(100_000), cost: Amount(1_224_999_946_405) });
    let out = world.settle().expect("settles");
    for (index, name) in (11..).zip(["res_owner1", "res_owner2", "res_owner3"]) {
        let original = number(&epoch["rewards"][name]["traffic"]);
        assert!(original - out.carriers[&address(index)].reward.traffic.0 <= 1, "the value of a carrier's bytes is rounded down before its share is");
    }
    for (index, name) in (21..).zip(["meta_beneficiary1", "meta_beneficiary2", "meta_beneficiary3"]) {
        assert_eq!(out.metas[&address(index)].traffic.0, number(&epoch["rewards"][name]["traffic"]));
    }
    assert_eq!(out.tax.0, number(&epoch["community_tax"]) + 1);
    let validators: u128 = out.validators.values().map(|reward| reward.traffic.0).sum();
    assert!(number(&epoch["goal"]["chain_traffic"]) - validators < 2);
    assert_eq!(out.released, Amount(1_224_999_946_405));
    assert!(out.mined <= out.released.basis_points(2500));
}

/// The original's mining split, where the subsidy cap does not bind: 80 stos in the first phase.
#[test]
fn worked_mining() {
    let mut world = small();
    world.balances.insert(address(1), Balance { noz: Noz(100_000), cost: Amount::stos(1_000) });
    let out = world.settle().expect("settles");
    let mining = |reward: &Reward| reward.mining;
    assert_eq!(
        out.carriers.values().map(|carrier| mining(&carrier.reward)).collect::<Vec<_>>(),
        [Amount(24_000_000_000_000_000_000), Amount(14_400_000_000_000_000_000), Amount(9_600_000_000_000_000_000)]
    );
    assert_eq!(out.metas.values().map(mining).collect::<Vec<_>>(), [Amount(5_333_333_333_333_333_333); 3]);
    assert_eq!(out.validators.values().map(mining).collect::<Vec<_>>(), [Amount::stos(4), Amount::stos(12)]);
    assert_eq!(out.mined, Amount(79_999_999_999_999_999_999), "one wei stays in the reserve");
    assert_eq!(out.payers[&address(1)].left, Balance::default());
}

#[test]
fn the_schedule_halves_and_ends() {
    let schedule = Schedule::standard();
    let at = |mined: Amount| schedule.row(mined).map(|row| (row.per_epoch, row.resource, row.meta, row.validators));
    assert_eq!(at(Amount::ZERO), Some((Amount::stos(80), 6000, 2000, 2000)));
    assert_eq!(at(Amount(Amount::stos(16_819_200).0 - 1)), Some((Amount::stos(80), 6000, 2000, 2000)));
    assert_eq!(at(Amount::stos(16_819_200)), Some((Amount::stos(40), 6200, 1800, 2000)));
    assert_eq!(at(Amount::stos(32_587_200)), Some((Amount(2_500_000_000_000_000_000), 7000, 1000, 2000)));
    assert_eq!(at(Amount::stos(40_000_000)), Some((Amount::ZERO, 7000, 1000, 2000)));
    let mut world = small();
    world.mined = Amount(Amount::stos(40_000_000).0 - 5);
    world.balances.insert(address(1), Balance { noz: Noz(100_000), cost: Amount::stos(1_000) });
    assert!(world.settle().expect("settles").mined <= Amount(5), "never more than the schedule in all");
    world.mined = Amount::ZERO;
    world.reserve = Amount(7);
    assert!(world.settle().expect("settles").mined <= Amount(7), "never more than the reserve holds");
}

#[test]
fn an_epoch_without_traffic_settles() {
    let mut world = small();
    world.charges.clear();
    let out = world.settle().expect("settles");
    assert_eq!((out.released, out.mined, out.tax, out.dust, out.noz), Default::default());
    assert!(out.payers.is_empty() && out.carriers.is_empty());
}

/// Who owes more than it has pays all it has, to each carrier its part; the others are not touched.
#[test]
fn who_owes_more_than_it_has_pays_what_it_has() {
    let mut world = small();
    world.balances.insert(address(2), Balance { noz: Noz(1_000), cost: Amount(5_000_000) });
    world.charges.extend([((address(2), address(11)), Noz(3_000)), ((address(2), address(14)), Noz(1_000))]);
    world.charges.insert((address(3), address(14)), Noz(7));
    let out = world.settle().expect("settles");
    assert_eq!(out.payers[&address(2)], Charged { noz: Noz(1_000), released: Amount(5_000_000), left: Balance::default() });
    assert_eq!(out.payers[&address(3)].noz, Noz(0), "it has nothing");
    assert_eq!((out.carriers[&address(11)].noz, out.carriers[&address(14)].noz), (Noz(50_000 + 750), Noz(250)));
    assert_eq!((out.noz, out.unpaid), (Noz(101_000), Noz(3_007)));
    assert_eq!(out.carriers.values().map(|carrier| carrier.noz.0).sum::<u128>(), out.noz.0);
    world.charges.insert((address(2), address(15)), Noz(u128::MAX));
    assert_eq!(world.settle(), Err(SettleError::Overflow("the ozone charged")));
}

/// Checks POT-6 for the standard parameters, and that the check finds where it breaks.
#[test]
fn parameters_are_checked() {
    let standard = Parameters::standard();
    assert_eq!(standard.check(), Ok(()));
    // The last row returns 0.78533 + 0.25 * 0.8; the tightest beta is just below 0.26833.
    assert_eq!(Parameters { beta: 2683, ..standard.clone() }.check(), Ok(()));
    let error = Parameters { beta: 2684, ..standard.clone() }.check().expect_err("too much");
    assert!(matches!(error, ParametersError::SelfDealing { row: 5, beta: 2684, .. }), "{error}");
    assert!(matches!(Parameters { tax: 10_001, ..standard.clone() }.check(), Err(ParametersError::Tax { tax: 10_001 })));
    assert!(matches!(Parameters { schedule: Schedule(vec![]), ..standard.clone() }.check(), Err(ParametersError::Rows { rows: 0 })));
    let mut other = standard.clone();
    other.schedule.0[2].mined_below = other.schedule.0[1].mined_below;
    assert!(matches!(other.check(), Err(ParametersError::Bounds { row: 2, .. })));
    let mut other = standard.clone();
    other.schedule.0[3].meta += 1;
    assert!(matches!(other.check(), Err(ParametersError::Split { row: 3, sum: 10_001 })));
    let mut other = standard;
    other.schedule.0[0].resource = u32::MAX;
    assert!(other.check().is_err());
}

fn parameters() -> impl Strategy<Value = Parameters> {
    (0..=10_000u32, 0..=10_000u32, 0..=6000u32, 0..=1000u32, 1..100u64).prop_map(|(resource, rest, beta, tax, per_epoch)| {
        let meta = (10_000 - resource) * rest / 10_000;
        let row = Row { mined_below: Amount::stos(1_000_000), per_epoch: Amount::stos(per_epoch), resource, meta, validators: 10_000 - resource - meta };
        Parameters { schedule: Schedule(vec![row]), beta, tax }
    })
}

/// Costs of every size alike: those near the mining reward of an epoch are the interesting ones.
fn cost() -> impl Strategy<Value = u128> {
    (10..80u32, any::<u64>()).prop_map(|(bits, low)| (1 << bits) + u128::from(low) % (1 << bits))
}

fn world() -> impl Strategy<Value = World> {
    let charges = proptest::collection::btree_map((1..5u8, 11..16u8), 0..1u64 << 40, 0..12);
    let balances = proptest::collection::vec((0..1u64 << 44, cost()), 4);
    let liveness = proptest::collection::btree_map(21..25u8, 0..100u32, 0..4);
    let stakes = proptest::collection::btree_map(31..35u8, 0..1u128 << 90, 0..4);
    (parameters(), charges, balances, liveness, stakes, 0..2_000_000u64, any::<u64>()).prop_map(
        |(parameters, charges, balances, liveness, stakes, mined, reserve)| World {
            parameters,
            mined: Amount::stos(mined),
            reserve: Amount(u128::from(reserve) << 10),
            charges: charges.into_iter().map(|((payer, carrier), noz)| ((address(payer), address(carrier)), Noz(noz.into()))).collect(),
            balances: (1..).zip(balances).map(|(payer, (noz, cost))| (address(payer), Balance { noz: Noz(noz.into()), cost: Amount(cost) })).collect(),
            liveness: liveness.into_iter().map(|(meta, weight)| (address(meta), weight)).collect(),
            stakes: stakes.into_iter().map(|(validator, stake)| (address(validator), Amount(stake))).collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Rows in any order come to what a tree of sums holds.
    #[test]
    fn charges_are_summed_by_pair(rows in proptest::collection::vec(((0..4u8, 0..4u8), 0..9u128), 0..40)) {
        let rows: Vec<_> = rows.into_iter().map(|((payer, carrier), noz)| ((address(payer), address(carrier)), Noz(noz))).collect();
        let mut sums: BTreeMap<(Address, Address), Noz> = BTreeMap::new();
        for (pair, noz) in &rows {
            let sum = sums.entry(*pair).or_default();
            *sum = sum.saturating_add(*noz);
        }
        let charges: Charges = rows.into_iter().collect();
        prop_assert!(charges.payers().eq(sums.keys().map(|(payer, _)| *payer).collect::<std::collections::BTreeSet<_>>()));
        prop_assert_eq!(charges.0, sums.into_iter().collect::<Vec<_>>());
    }

    /// Checks POT-1: what is released and mined is what is paid, taxed and kept; balances lose exactly what was released.
    #[test]
    fn conservation(world in world()) {
        let out = world.settle().expect("nothing stops a settlement");
        let rewards = || out.carriers.values().map(|carrier| &carrier.reward).chain(out.metas.values()).chain(out.validators.values());
        prop_assert_eq!(out.released.0, rewards().map(|reward| reward.traffic.0).sum::<u128>() + out.tax.0 + out.dust.0);
        prop_assert_eq!(out.mined.0, rewards().map(|reward| reward.mining.0).sum::<u128>());
        prop_assert!(out.mined.0 * 10_000 <= out.released.0 * u128::from(world.parameters.beta));
        prop_assert!(out.mined <= world.reserve && out.mined.0 + world.mined.0 <= world.parameters.schedule.total().0.max(world.mined.0));
        prop_assert_eq!(out.noz.0 + out.unpaid.0, world.charges.values().map(|noz| noz.0).sum::<u128>());
        prop_assert_eq!(out.noz.0, out.payers.values().map(|charged| charged.noz.0).sum::<u128>());
        prop_assert_eq!(out.noz.0, out.carriers.values().map(|carrier| carrier.noz.0).sum::<u128>());
        for (payer, charged) in &out.payers {
            let before = world.balances.get(payer).copied().unwrap_or_default();
            prop_assert_eq!((before.noz.0, before.cost.0), (charged.left.noz.0 + charged.noz.0, charged.left.cost.0 + charged.released.0));
        }
        let row = world.parameters.schedule.row(world.mined).expect("a row");
        let unpaid_share = u128::from(if out.metas.is_empty() { row.meta } else { 0 } + if out.validators.is_empty() { row.validators } else { 0 });
        prop_assert!(out.dust.0 <= out.released.0 * unpaid_share / 10_000 + 40, "dust is rounding only: {}", out.dust);
    }

    /// Checks POT-6 on the curve: who bought early gets back what it paid and no more, however much others pay after it, and by carrying for itself less.
    #[test]
    fn early_ozone_cannot_redeem_late_money(first in 1..1u64 << 60, second in 1..1u64 << 60, part in 0..=100u128) {
        let mut pool = Pool { deposit: Amount::stos(8), prepaid: Amount::ZERO, ozone: Noz(8_000_000_000_000) };
        let (early, late) = (Amount(u128::from(first)), Amount(u128::from(second)));
        let (Ok(bought), Ok(later)) = (pool.buy(early, Noz(1)), pool.buy(late, Noz(1))) else { return Ok(()) };
        let mut world = small();
        world.balances = [(address(1), Balance { noz: bought, cost: early }), (address(2), Balance { noz: later, cost: late })].into();
        world.charges = [((address(1), address(11)), bought), ((address(2), address(12)), Noz(later.0 * part / 100))].into();
        let out = world.settle().expect("settles");
        prop_assert_eq!(out.payers[&address(1)].released, early);
        prop_assert!(out.carriers[&address(11)].reward.total() < early, "its own carrier earned {} of {}", out.carriers[&address(11)].reward.total(), early);
        let left = out.payers[&address(2)].left;
        prop_assert_eq!(out.released.0 + left.cost.0, pool.prepaid.0, "what is not released still stands behind the ozone that is left");
    }
}
