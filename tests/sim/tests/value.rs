//! The value ledger that ships, under the engine that ships: stakes that move, liars who pay, members who were away. I17 is checked after every final block.

use chain::staking::{self, Status};
use primitives::{Epoch, PublicKey};
use sim::adversary::Tactic;
use sim::ledger::Kind;
use sim::ledger::plain::EpochRule;
use sim::ledger::value::{WINDOW, operator};
use sim::links::Weather;
use sim::observer::stakes::{Events, Guilt, Stakes};
use sim::scenario::generate::with_money;
use sim::scenario::{Crash, Scenario};
use sim::world::{Summary, World, secret};

/// A network of validators with so many stos, whose epochs last so long.
fn calm(weights: &[u64], epoch_ms: u64) -> Scenario {
    let rule = EpochRule::Milliseconds(epoch_ms);
    // Votes come in another order each time, many of them after their block is final.
    let weather = Weather { delay_ms: 12, jitter_ms: 12, ..Weather::default() };
    Scenario { ledger: Kind::Value, rule, pace: [0, 1000, 0], storm: weather, calm: weather, ..Scenario::quiet(weights, 20) }
}

/// Runs twice; both runs must be the same.
fn run(scenario: &Scenario, at_end: impl FnOnce(&World)) -> Summary {
    let first = World::new(scenario).run_with(at_end).unwrap_or_else(|failure| panic!("{failure}"));
    let second = World::new(scenario).run().unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(first.digest, second.digest, "one scenario, two histories: make sim SCENARIO=\"{scenario}\"");
    first
}

fn stakes(world: &World) -> &Stakes {
    world.observer().chains.stakes.as_ref().expect("there is money")
}

fn voters(world: &World) -> Vec<PublicKey> {
    staking::validators(world.observer().chains.state().expect("there is a state")).iter().map(|voter| voter.key).collect()
}

/// Checks I17 and CHAIN-8: whoever contradicts itself is tombstoned on chain, is in no later set, and loses by how many did.
#[test]
fn who_equivocates_pays() {
    let coalitions: [&[(usize, Tactic)]; 6] = [
        &[(1, Tactic::Contradictor)],
        &[(1, Tactic::Contradictor), (4, Tactic::NullifyFinalize)],
        &[(4, Tactic::NullifyFinalize)],
        &[(1, Tactic::NullifyFinalize), (4, Tactic::Equivocator)],
        &[(1, Tactic::Equivocator), (4, Tactic::Contradictor)],
        &[(1, Tactic::Equivocator), (4, Tactic::NotarizeFinalize), (5, Tactic::NullifyFinalize)],
    ];
    let weights = [2_000, 600, 1_900, 1_700, 400, 300, 1_500, 0];
    let (mut all, mut equivocators) = (Events::default(), 0);
    for seed in 0..12 {
        let liars = coalitions[usize::try_from(seed).expect("small") % coalitions.len()].to_vec();
        let scenario = Scenario { seed, liars: liars.clone(), changes: 70 * (seed % 3), goal: 120, ..calm(&weights, 400) };
        let (mut pay, mut last) = (Vec::new(), Epoch(0));
        run(&scenario, |world| {
            let stakes = stakes(world);
            last = world.observer().chains.canonical.last().map_or(last, |stored| stored.block.header.epoch);
            let voting = voters(world);
            for (node, tactic) in &liars {
                let key = secret(*node).public();
                let guilt = stakes.guilty().get(&operator(*node).address()).copied();
                let chains = &world.observer().chains;
                let place = |key: &PublicKey, epoch| chains.opening(epoch).and_then(|opening| opening.members.index_of(key));
                let mut headers = chains.canonical.iter().map(|stored| &stored.block.header).filter(|header| place(&key, header.epoch).is_some());
                let equivocator = liars.iter().find(|(_, tactic)| *tactic == Tactic::Equivocator).map(|(node, _)| secret(*node).public());
                let has_led = equivocator.is_some_and(|key| headers.any(|header| place(&key, header.epoch) == Some(header.proposer)));
                // These take two blocks in a view in which they have a seat, and there are none if the equivocator never led.
                let takes_two = matches!(tactic, Tactic::Equivocator | Tactic::NotarizeFinalize);
                assert!(guilt.is_some() || takes_two && !has_led, "seed {seed}: {tactic:?} was not found out");
                equivocators += usize::from(guilt.is_some() && *tactic == Tactic::Equivocator);
                if let Some(guilt) = guilt {
                    assert!(!voting.contains(&key) && stakes.is_tombstoned(&key), "seed {seed}: {tactic:?} votes on");
                    for stored in world.observer().chains.canonical.iter().filter(|stored| stored.block.header.epoch > guilt.proven) {
                        let opening = world.observer().chains.opening(stored.block.header.epoch).expect("begun");
                        assert!(opening.members.index_of(&key).is_none(), "seed {seed}: gone with the next epoch");
                    }
                    pay.push(guilt);
                }
            }
            all += stakes.events;
        });
        for guilt in &pay {
            let is_due = guilt.proven.0 + WINDOW + 1 < last.0;
            assert!(guilt.lost.is_some() || !is_due, "seed {seed}: no slash of {guilt:?} up to epoch {last}");
            let Some((lost, total)) = guilt.lost else { continue };
            let together: u64 = pay.iter().filter(|other| other.proven.0.abs_diff(guilt.proven.0) <= WINDOW).map(|other: &Guilt| other.weight).sum();
            assert_eq!((lost, total), (u128::from(3 * together), u128::from(guilt.total)), "seed {seed}: {guilt:?}");
            assert!(100 * lost >= total && lost < total, "seed {seed}");
        }
    }
    assert!(equivocators >= 4, "{equivocators} of 6 led and were found out");
    assert!(all.slashes >= 18 && all.moved_slashes >= 4 && all.transactions > 100, "{all:?}");
}

/// Checks CHAIN-9 in a network: who is away for an epoch is jailed, and votes again after it asked.
#[test]
fn who_was_away_comes_back() {
    for seed in 0..2 {
        let crash = Crash { node: 2, at_ms: 1400, outputs: 0, torn: false, down_ms: 2600, wipe: false };
        let scenario = Scenario { seed, crashes: vec![crash], gst_ms: 4500, goal: 80, changes: 260, ..calm(&[10, 10, 10, 10, 10], 1000) };
        let mut events = Events::default();
        run(&scenario, |world| {
            events = stakes(world).events;
            let state = world.observer().chains.state().expect("there is a state");
            let validator = staking::read(state, &operator(2).address()).expect("it is there");
            assert_eq!(validator.status, Status::Candidate, "seed {seed}");
            assert!(voters(world).contains(&secret(2).public()), "seed {seed}: it votes again");
        });
        assert!(events.jailed > 0 && events.unjailed > 0 && events.slashes == 0, "seed {seed}: {events:?}");
    }
}

/// A leader whose block was signed, and who crashed before it said so and learned of a contradiction, proposes that block when it is back.
#[test]
fn a_block_of_an_earlier_life() {
    let line = "seed=3074 weights=10000,100,100,200,200 liars=2:Contradictor,4:NotarizeFinalize storm=29:20:102:0:122:45:0:0 calm=17:3:0:0:0:0:0:0 gst=1940 \
        goal=30 cuts=1333:716:32326:0 crashes=1:1418:22:1:1154:0,3:1214:14:0:62:0,0:53:50:0:583:0 epoch=time:818 ledger=value changes=192 filler=0 build=0 \
        idle=0 pace=0:20000:0 skew=60 drift=375 greedy=0";
    run(&line.parse().expect("a scenario"), |_| {});
}

/// Fifty epochs in which stake comes and goes and moves, spare keys become validators, and stake decides.
#[test]
fn fifty_epochs_of_moving_stakes() {
    let scenario = Scenario { seed: 5, changes: 400, goal: 375, ..calm(&[100, 90, 110, 70, 60, 0, 0], 280) };
    let mut events = Events::default();
    let summary = run(&scenario, |world| events = stakes(world).events);
    assert!(summary.epoch >= Epoch(50), "{summary:?}");
    assert!(events.changes >= 40 && events.created == 2 && events.withdrawn > 3 && events.transactions > 200, "{events:?}");
    let Events { failed, redelegated, commissions, described, donated, proposed, voted, carried, vetoed, rejected, spent, parameters, .. } = events;
    let all = [failed, redelegated, commissions, described, donated, proposed, voted, carried, vetoed, rejected, spent, parameters];
    assert!(!all.contains(&0), "{events:?}");
}

/// Storms, crashes, lost disks and all kinds of liars, as the generator makes them, on the value ledger.
#[test]
fn storms_with_money() {
    let (mut runs, mut all) = (0, Events::default());
    for scenario in (0..60).filter_map(with_money) {
        runs += 1;
        World::new(&scenario).run_with(|world| all += stakes(world).events).unwrap_or_else(|failure| panic!("{failure}"));
    }
    assert!(runs > 12, "{runs}");
    let Events { jailed, unjailed, failed, redelegated, donated, carried, impossible, rejected, spent, parameters, .. } = all;
    let all_of = [jailed, unjailed, failed, redelegated, donated, carried, impossible, rejected, spent, parameters];
    assert!(!all_of.contains(&0), "{all:?}");
}
