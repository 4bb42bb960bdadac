//! Scenarios by chance, in the shapes that matter.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Crash, Scenario};
use crate::adversary::Tactic;
use crate::ledger::{Kind, plain::EpochRule};
use crate::links::{Cut, Weather};

/// Those who can fork a chain that is theirs by a third.
const FORKERS: [Tactic; 6] = [Tactic::Twins, Tactic::Triplets, Tactic::Contradictor, Tactic::NullifyFinalize, Tactic::NotarizeFinalize, Tactic::Equivocator];

/// Who may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Less than a third of the weight: everything must go well.
    Safe,
    /// A third and more: forks may happen, and must be accounted for.
    Reckless,
    /// Mostly the first.
    Any,
}

/// The scenario of a seed.
pub fn from_seed(seed: u64) -> Scenario {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let scenario = scenarios(Scope::Any).new_tree(&mut runner).expect("no scenario is filtered out").current();
    Scenario { seed, ..scenario }
}

/// Those whose lies end in evidence, sooner or later.
const CONVICTS: [Tactic; 4] = [Tactic::Equivocator, Tactic::Contradictor, Tactic::NotarizeFinalize, Tactic::NullifyFinalize];

/// The scenario of a seed on the value ledger, with epochs that are short and users who ask for much; in every second one somebody will be found out. None
/// where so many lie that a quorum of the rest could be lost, since jail may take a third of the others, or where there are more coins or members than users
/// move.
pub fn with_money(seed: u64) -> Option<Scenario> {
    let mut scenario = Scenario { ledger: Kind::Value, rule: EpochRule::Milliseconds(300 + 37 * (seed % 20)), ..from_seed(seed) };
    let total: u128 = scenario.weights.iter().map(|weight| u128::from(*weight)).sum();
    if total >= 100_000 || scenario.weights.len() >= 9 {
        return None;
    }
    // Stake moves in whole stos.
    let scale = if total < 1000 { 100 } else { 1 };
    scenario.weights.iter_mut().for_each(|weight| *weight *= scale);
    let total = total * u128::from(scale);
    scenario.changes *= 12;
    if seed.is_multiple_of(2) {
        let few = |node: &usize| 5 * u128::from(scenario.weights[*node]) < total && scenario.weights[*node] > 0;
        let nobody = scenario.liars.is_empty();
        scenario.liars.extend((0..scenario.weights.len()).find(few).filter(|_| nobody).map(|node| (node, Tactic::Equivocator)));
        for ((_, tactic), convict) in scenario.liars.iter_mut().zip(CONVICTS.into_iter().cycle().skip(usize::try_from(seed / 2 % 4).unwrap_or(0))) {
            *tactic = convict;
        }
        (scenario.goal, scenario.changes) = (30, scenario.changes + 60);
        scenario.restrict();
    }
    let lying: u128 = scenario.liars.iter().map(|(node, _)| u128::from(scenario.weights[*node])).sum();
    (5 * lying < total).then_some(scenario)
}

/// Nodes' weights: equal, uneven, one liar's exactly a third less one, one that rules alone, close to what 64 bits hold.
fn weights() -> impl Strategy<Value = Vec<u64>> {
    let count = prop_oneof![6 => 4..=7_usize, 2 => 1..=3_usize, 1 => 8..=13_usize];
    prop_oneof![
        3 => (count.clone(), 1..=2_u64).prop_map(|(count, weight)| vec![weight; count]),
        3 => count.clone().prop_flat_map(|count| vec(1..=10_u64, count)),
        2 => vec(1..=1000_u64, 3..=8).prop_map(|mut weights| {
            // The largest weight that is less than a third of all.
            let others: u64 = weights[1..].iter().sum();
            weights[0] = others.saturating_sub(1) / 2;
            weights[0] = weights[0].max(1);
            weights
        }),
        1 => vec(1..=3_u64, 2..=5).prop_map(|mut weights| {
            weights[0] = 100;
            weights
        }),
        1 => (4..=7_u64).prop_map(|count| (0..count).map(|node| u64::MAX / count - node).collect()),
    ]
}

fn storm() -> impl Strategy<Value = Weather> {
    let rates = (prop_oneof![3 => Just(0), 3 => 0..100_u64, 1 => 100..400_u64], 0..200_u64, 0..100_u64, prop_oneof![3 => Just(0), 1 => 0..50_u64]);
    (0..60_u64, 0..60_u64, 0..200_u64, rates, prop_oneof![3 => Just(0), 1 => 20..2000_u64]).prop_map(
        |(delay_ms, spread_ms, jitter_ms, (loss, duplication, reordering, corruption), bandwidth)| Weather {
            delay_ms,
            spread_ms,
            jitter_ms,
            loss,
            duplication,
            reordering,
            corruption,
            bandwidth,
        },
    )
}

fn cuts(gst_ms: u64) -> impl Strategy<Value = Vec<Cut>> {
    let cut = (0..gst_ms.max(1), 1..=gst_ms.max(1), any::<u16>(), proptest::bool::weighted(0.3));
    vec(cut.prop_map(|(start_ms, length_ms, side, one_way)| Cut { start_ms, length_ms, side: side.into(), one_way }), 0..4)
}

/// Who lies: from the chosen places on, as long as less than a third does; or until a third is reached, or until no more than two are left who could disagree.
fn liars(weights: Vec<u64>, scope: Scope) -> impl Strategy<Value = (Vec<u64>, Vec<(usize, Tactic)>)> {
    let count = weights.len();
    let order = Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
    let few = proptest::sample::select(Tactic::ALL);
    let forker = proptest::sample::select(&FORKERS[..]);
    let is_coalition = any::<bool>();
    let reckless = match scope {
        Scope::Safe => 0.0,
        Scope::Reckless => 1.0,
        Scope::Any => 0.25,
    };
    (order, vec(few, count), forker, is_coalition, 0..=count, (proptest::bool::weighted(reckless), proptest::bool::weighted(0.2))).prop_map(
        move |(order, tactics, forker, same, most, (reckless, nearly_all))| {
            let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            let (mut lying, mut liars) = (0, Vec::new());
            for node in order {
                let weight = u128::from(weights[node]);
                let fits =
                    if reckless { (nearly_all || 3 * lying < total) && liars.len() + 2 < count } else { 3 * (lying + weight) < total && liars.len() < most };
                if fits {
                    lying += weight;
                    let tactic = match (reckless, same) {
                        (true, true) => forker,
                        (false, true) => tactics[0],
                        (_, false) => tactics[node],
                    };
                    liars.push((node, tactic));
                }
            }
            liars.sort_unstable();
            (weights.clone(), liars)
        },
    )
}

fn rule() -> impl Strategy<Value = EpochRule> {
    prop_oneof![1 => Just(EpochRule::Never), 3 => (1..=12_u64).prop_map(EpochRule::Blocks), 1 => (200..3000_u64).prop_map(EpochRule::Milliseconds)]
}

fn crashes(count: usize, gst_ms: u64) -> impl Strategy<Value = Vec<Crash>> {
    let crash = (0..count, 0..gst_ms.max(1), 0..60_u64, any::<bool>(), 0..1500_u64, proptest::bool::weighted(0.1));
    let one = vec(crash.prop_map(|(node, at_ms, outputs, torn, down_ms, wipe)| Crash { node, at_ms, outputs, torn, down_ms, wipe }), 0..5);
    let all = (0..gst_ms.max(1), 0..40_u64, any::<bool>())
        .prop_map(move |(at_ms, outputs, torn)| (0..count).map(|node| Crash { node, at_ms, outputs, torn, down_ms: 300, wipe: false }).collect());
    prop_oneof![4 => one, 1 => all]
}

/// Scenarios of a scope.
pub fn scenarios(scope: Scope) -> impl Strategy<Value = Scenario> {
    let setting = (weights().prop_flat_map(move |weights| liars(weights, scope)), 0..3000_u64, 0..2_usize);
    setting.prop_flat_map(|((weights, liars), gst_ms, followers)| {
        let count = weights.len() + followers;
        let members = weights.len();
        let weights: Vec<u64> = weights.into_iter().chain(std::iter::repeat_n(0, followers)).collect();
        let liars = Just(liars);
        let load = (
            0..12_u64,
            prop_oneof![3 => Just(0), 1 => 0..20_000_usize],
            prop_oneof![3 => Just(0), 1 => 0..60_u64],
            prop_oneof![2 => Just(0), 1 => 50..200_u64],
        );
        // Execution takes time, or one who rules alone makes all its blocks in one moment.
        let pace = (0..300_u64, 1000..10_000_u64, 0..3000_u64).prop_map(|(message, execute, sync)| [message, execute, sync]);
        let pace = prop_oneof![2 => Just([0, 1000, 0]), 1 => pace];
        let calm = (5..25_u64, 0..10_u64, 0..10_u64).prop_map(move |(delay_ms, spread_ms, jitter_ms)| Weather {
            delay_ms: delay_ms + 2 * members as u64,
            spread_ms,
            jitter_ms,
            ..Weather::default()
        });
        let clocks = (prop_oneof![1 => Just(0), 1 => 0..100_u64], prop_oneof![1 => Just(0), 1 => 0..500_u64], proptest::bool::weighted(0.2));
        (any::<u64>(), liars, (storm(), calm), (cuts(gst_ms), crashes(count, gst_ms)), rule(), load, pace, clocks).prop_map(
            move |(seed, liars, (storm, calm), (cuts, crashes), rule, (changes, filler, build_ms, idle_ms), pace, (skew_ms, drift_ppm, greedy))| {
                let mut scenario = Scenario {
                    seed,
                    weights: weights.clone(),
                    liars,
                    storm,
                    calm,
                    gst_ms,
                    goal: 8,
                    cuts,
                    crashes,
                    ledger: Kind::Plain,
                    rule,
                    changes,
                    filler,
                    build_ms: build_ms.min(idle_ms),
                    idle_ms,
                    pace,
                    skew_ms,
                    drift_ppm,
                    greedy,
                };
                scenario.restrict();
                scenario
            },
        )
    })
}

impl Scenario {
    /// Liars do not crash. One node at most loses its chain, with less than a third, and only if nobody lies: what only lost disks and liars held would be
    /// gone.
    fn restrict(&mut self) {
        let total: u128 = self.weights.iter().map(|weight| u128::from(*weight)).sum();
        let (weights, liars) = (&self.weights, &self.liars);
        self.crashes.retain(|crash| !liars.iter().any(|(node, _)| *node == crash.node));
        // A third can fork only those who do not hear one another.
        if 3 * self.liars.iter().map(|(node, _)| u128::from(self.weights[*node])).sum::<u128>() >= total && self.seed % 10 < 8 {
            self.gst_ms = self.gst_ms.max(1500);
            self.storm.loss = self.storm.loss.min(20);
            // Every second node, or every third and every third after it.
            let sides: &[u32] = if self.parts() == 2 { &[0x5555_5555] } else { &[0x4924_9249, 0x9249_2492] };
            let cut = |side: &u32| Cut { start_ms: 0, length_ms: self.gst_ms, side: *side, one_way: false };
            self.cuts = sides.iter().map(cut).collect();
        }
        // Who rules alone needs no wires, and would make a block in every moment.
        if self.weights.iter().any(|weight| 2 * u128::from(*weight) >= total) || self.weights.len() < 4 {
            self.pace[1] = self.pace[1].max(20_000);
            // And others would never see the end of its epochs.
            if let EpochRule::Blocks(blocks) = &mut self.rule {
                *blocks = 10.max(*blocks);
            }
        }
        let mut wiped = None;
        for crash in &mut self.crashes {
            let may = liars.is_empty() && 3 * u128::from(weights[crash.node]) < total && wiped.is_none_or(|node| node == crash.node);
            crash.wipe &= may && self.changes == 0;
            if crash.wipe {
                wiped = Some(crash.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_repeat_scenarios() {
        for seed in 0..200 {
            let scenario = from_seed(seed);
            let line = scenario.to_string();
            assert_eq!(line.parse::<Scenario>(), Ok(scenario), "{line}");
            assert_eq!(from_seed(seed).to_string(), line);
        }
    }

    #[test]
    fn both_scopes_come_up() {
        let scenarios: Vec<Scenario> = (0..300).map(from_seed).collect();
        let reckless = scenarios.iter().filter(|scenario| !scenario.is_safe()).count();
        assert!((20..150).contains(&reckless), "{reckless}");
        assert!(Tactic::ALL.iter().all(|tactic| scenarios.iter().any(|scenario| scenario.liars.iter().any(|(_, of)| of == tactic))));
    }
}
