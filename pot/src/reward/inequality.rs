//! The subsidy inequality (POT-6): whoever pays itself gets back less than its traffic released wherever [`Parameters::check`] accepts, and does not where
//! it refuses.
//!
//! A coalition has payers, carriers, and up to a third of the meta nodes' liveness and of the stake. What it gains is what it earns with its own charges
//! beyond what it earns without them: honest payers may use its carriers, and its nodes earn from all traffic.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::tests::{World, address};
use super::*;

/// Addresses from here on are the coalition's.
const COALITION: u8 = 100;
/// Most wei in what the strategies draw: far above the 10^26 of all coins.
const WEI_BITS: u32 = 90;
/// No `beta` from here on is accepted: a third of the subsidy is the coalition's in any row.
const BETA_REFUSED: u32 = 3 * BASIS_POINTS;

fn is_member(address: &Address) -> bool {
    address.0[0] >= COALITION
}

/// What the coalition earns.
fn income(out: &Distribution) -> u128 {
    let carriers = out.carriers.iter().map(|(address, carrier)| (address, carrier.reward));
    let others = out.metas.iter().chain(&out.validators).map(|(address, reward)| (address, *reward));
    carriers.chain(others).filter(|(address, _)| is_member(address)).map(|(_, reward)| reward.total().0).sum()
}

/// What the coalition's charges released, and what they gained it: below 0 if others' traffic lost a share of the subsidy to traffic that it does not carry.
fn deal(world: &World) -> (u128, i128) {
    let mut honest = world.clone();
    honest.charges.retain(|(payer, _), _| !is_member(payer));
    let (with, without) = (world.settle().expect("settles"), honest.settle().expect("settles"));
    let released = with.payers.iter().filter(|(payer, _)| is_member(payer)).map(|(_, charged)| charged.released.0).sum();
    (released, i128::try_from(income(&with)).expect("few wei") - i128::try_from(income(&without)).expect("few wei"))
}

/// Most that rounding can take from the coalition's income without its own charges, and so add to its gain: one wei for each charge, four with the subsidy
/// on it, two for each node that is paid, and those of the parts.
fn dust(world: &World) -> u128 {
    (4 * world.charges.len() + 2 * (world.charges.len() + world.liveness.len() + world.stakes.len()) + 16) as u128
}

/// What [`Parameters::check`] says a coalition gets back, of what it released, in the row that holds.
fn promised(world: &World, released: u128) -> u128 {
    let row = world.parameters.schedule.row(world.mined).expect("a row");
    mul_div(released, row.returned(world.parameters.beta, world.parameters.tax), Parameters::PAID).expect("it fits")
}

/// The smallest number below `end` of which this holds, and then of all larger ones; `end` if there is none.
fn first(end: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let mut range = 0..end;
    while !range.is_empty() {
        let middle = range.start + (range.end - range.start) / 2;
        range = if holds(middle) { range.start..middle } else { middle + 1..range.end };
    }
    range.start
}

/// The smallest `beta` that is refused.
fn refused_from(parameters: &Parameters) -> u32 {
    first(BETA_REFUSED, |beta| Parameters { beta, ..parameters.clone() }.check().is_err())
}

/// Numbers of every size alike, up to so many bits.
fn wei(bits: std::ops::Range<u32>) -> impl Strategy<Value = u128> {
    (bits, any::<u128>()).prop_map(|(bits, low)| (1 << bits) + low % (1 << bits))
}

/// Any schedule and tax; `beta` is drawn after it. Rows mine for long, and much in an epoch, from so many bits of wei on.
fn schedule(bits_min: u32) -> impl Strategy<Value = Parameters> {
    let row = (0..=BASIS_POINTS, 0..=BASIS_POINTS, wei(bits_min..WEI_BITS), wei(bits_min..WEI_BITS)).prop_map(|(resource, rest, width, per_epoch)| {
        let meta = (BASIS_POINTS - resource) * rest / BASIS_POINTS;
        Row { mined_below: Amount(width), per_epoch: Amount(per_epoch), resource, meta, validators: BASIS_POINTS - resource - meta }
    });
    (vec(row, 1..=6), prop_oneof![0..=1_000u32, 0..=BASIS_POINTS]).prop_map(|(mut rows, tax)| {
        let mut bound = 0;
        for row in &mut rows {
            bound += row.mined_below.0;
            row.mined_below = Amount(bound);
        }
        Parameters { schedule: Schedule(rows), beta: 0, tax }
    })
}

/// Accepted parameters; in a third of the cases the largest `beta` of all.
fn accepted() -> impl Strategy<Value = Parameters> {
    (schedule(1), prop_oneof![1 => Just(BETA_REFUSED), 2 => 0..BETA_REFUSED]).prop_filter_map("refused with any beta", |(parameters, part)| {
        let beta = refused_from(&parameters).checked_sub(1)? * part / BETA_REFUSED;
        Some(Parameters { beta, ..parameters })
    })
}

/// Weights of honest nodes and of the coalition's, whose are a third at most.
fn weights<T: Copy + Into<u128> + TryFrom<u128>>(honest: Vec<T>, own: Vec<T>, first: u8) -> BTreeMap<Address, T> {
    let sum = |weights: &[T]| weights.iter().copied().map(Into::into).sum::<u128>();
    let missing = (2 * sum(&own)).saturating_sub(sum(&honest));
    let honest = (first..).zip(honest).map(|(number, weight)| (address(number), weight));
    let own = (COALITION + first..).zip(own).map(|(number, weight)| (address(number), weight));
    let missing = T::try_from(missing).unwrap_or_else(|_| panic!("weights are drawn small"));
    honest.chain(own).chain([(address(first - 1), missing)]).collect()
}

/// Any epoch: every payer, honest or not, may use every carrier, have paid any price, and owe more than it has.
fn epoch(parameters: impl Strategy<Value = Parameters>) -> impl Strategy<Value = World> {
    let side = || prop_oneof![Just(0), Just(COALITION)];
    let charges = btree_map(((side(), 1..4u8), (side(), 11..14u8)), wei(0..62), 0..16);
    let balances = vec((wei(0..64), wei(0..WEI_BITS)), 6);
    let liveness = (vec(0..1_000u32, 0..4), vec(0..1_000u32, 0..4)).prop_map(|(honest, own)| weights(honest, own, 21));
    let stakes = (vec(0..1u128 << WEI_BITS, 0..4), vec(0..1u128 << WEI_BITS, 0..4)).prop_map(|(honest, own)| weights(honest, own, 31));
    (parameters, charges, balances, liveness, stakes, wei(0..WEI_BITS), wei(0..WEI_BITS)).prop_map(
        |(parameters, charges, balances, liveness, stakes, mined, reserve)| World {
            mined: Amount(mined % (parameters.schedule.total().0 + 2)),
            reserve: Amount(reserve),
            charges: charges
                .into_iter()
                .map(|(((payers, payer), (carriers, carrier)), noz)| ((address(payers + payer), address(carriers + carrier)), Noz(noz)))
                .collect(),
            balances: (0u8..)
                .zip(balances)
                .map(|(at, (noz, cost))| (address(at % 2 * COALITION + at / 2 + 1), Balance { noz: Noz(noz), cost: Amount(cost) }))
                .collect(),
            parameters,
            liveness,
            stakes: stakes.into_iter().map(|(address, stake)| (address, Amount(stake))).collect(),
        },
    )
}

/// The strongest coalition in a row of these parameters: alone, with exactly a third, and so little traffic that only `beta` bounds the subsidy.
fn strongest(parameters: &Parameters, row: usize) -> World {
    let rows = &parameters.schedule.0;
    let begin = row.checked_sub(1).map_or(Amount::ZERO, |before| rows[before].mined_below);
    let released = rows[row].per_epoch.min(rows[row].mined_below.saturating_sub(begin)).0 / 4;
    World {
        parameters: parameters.clone(),
        mined: begin,
        reserve: Amount::MAX,
        charges: [((address(101), address(111)), Noz(1_000_000))].into(),
        balances: [(address(101), Balance { noz: Noz(1_000_000), cost: Amount(released) })].into(),
        liveness: [(address(21), 2), (address(121), 1)].into(),
        stakes: [(address(31), Amount(2)), (address(131), Amount(1))].into(),
    }
}

/// Accepted are exactly those parameters with which the strongest coalition loses in every row.
fn check_agrees(parameters: &Parameters) -> Result<(), TestCaseError> {
    let mut loses = true;
    for row in 0..parameters.schedule.0.len() {
        let world = strongest(parameters, row);
        let (released, gained) = deal(&world);
        let (released, dust) = (i128::try_from(released).expect("few wei"), i128::try_from(dust(&world)).expect("few"));
        match parameters.schedule.0[row].returned(parameters.beta, parameters.tax).cmp(&Parameters::PAID) {
            std::cmp::Ordering::Less => prop_assert!(gained < released, "row {}: {} of {}", row, gained, released),
            std::cmp::Ordering::Equal => prop_assert!((released - dust..=released).contains(&gained), "row {}: {} of {}", row, gained, released),
            std::cmp::Ordering::Greater => prop_assert!(gained > released, "row {}: {} of {}", row, gained, released),
        }
        loses &= parameters.schedule.0[row].returned(parameters.beta, parameters.tax) < Parameters::PAID;
    }
    prop_assert_eq!(parameters.check().is_ok(), loses);
    Ok(())
}

/// Checks POT-6 at the edge of the standard schedule: its last row loses with the default, gives everything back without a tax, and pays with a `beta` of
/// 26.84 %.
#[test]
fn the_standard_schedule_breaks_where_the_check_does() {
    let standard = Parameters::standard();
    assert_eq!(refused_from(&standard), 2684);
    assert_eq!(deal(&strongest(&standard, 5)), (625_000_000_000_000_000, 615_833_333_333_333_331));
    let untaxed = Parameters { tax: 0, ..standard.clone() };
    assert!(matches!(untaxed.check(), Err(ParametersError::SelfDealing { row: 5, returned: Parameters::PAID, .. })));
    let (released, gained) = deal(&strongest(&untaxed, 5));
    assert!((released.cast_signed() - 2..=released.cast_signed()).contains(&gained), "{gained} of {released}");
    let generous = Parameters { beta: 2684, ..standard };
    let (released, gained) = deal(&strongest(&generous, 5));
    assert!(generous.check().is_err() && gained > released.cast_signed(), "{gained} of {released}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Checks POT-6: whatever others pay and carry, a coalition gains no more than the check promises, which is less than its traffic released; rounding may
    /// add single wei.
    #[test]
    fn self_dealing_loses(world in epoch(accepted())) {
        prop_assert_eq!(world.parameters.check(), Ok(()));
        let (released, gained) = deal(&world);
        let (most, dust) = (promised(&world, released), dust(&world));
        prop_assert!(most < released || released == 0);
        prop_assert!(gained <= (most + dust).cast_signed(), "gained {} of {}, {} promised", gained, released, most);
    }

    /// Checks POT-6: without honest traffic there is no rounding to gain from, and the inequality holds to the wei.
    #[test]
    fn self_dealing_alone_loses_to_the_wei(world in epoch(accepted())) {
        let mut world = world;
        world.charges.retain(|(payer, _), _| is_member(payer));
        let (released, gained) = deal(&world);
        prop_assert!(gained < released.cast_signed() || (released, gained) == (0, 0), "gained {} of {}", gained, released);
    }

    /// The check is tight: one basis point of `beta`, tax or split beyond what it accepts, there is a coalition that does not lose.
    #[test]
    fn the_check_is_tight(parameters in schedule(64), row in any::<prop::sample::Index>(), beta in 0..BETA_REFUSED) {
        let edge = refused_from(&parameters);
        for beta in [edge.saturating_sub(1), edge, edge + 1] {
            let parameters = Parameters { beta, ..parameters.clone() };
            prop_assert_eq!(parameters.check().is_ok(), beta < edge);
            check_agrees(&parameters)?;
        }
        // By the tax: the smallest that is accepted, and those beside it.
        let with = |tax: u32| Parameters { beta, tax, ..parameters.clone() };
        let tax = first(BASIS_POINTS, |tax| with(tax).check().is_ok());
        for tax in tax.saturating_sub(1)..=tax.saturating_add(1).min(BASIS_POINTS) {
            check_agrees(&with(tax))?;
        }
        // By the split: the resource nodes' share at the edge of `beta`, one basis point more and one less.
        let row = row.index(parameters.schedule.0.len());
        for step in [-1, 1] {
            let mut parameters = Parameters { beta: edge, ..parameters.clone() };
            let shares = &mut parameters.schedule.0[row];
            if let (Some(resource), Some(meta)) = (shares.resource.checked_add_signed(step), shares.meta.checked_add_signed(-step)) {
                (shares.resource, shares.meta) = (resource, meta);
                check_agrees(&parameters)?;
            }
        }
    }
}
