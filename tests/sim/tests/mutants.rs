//! Rules of the protocol broken one at a time, in the engine and the signer themselves: for each there is a scenario in which an invariant breaks, by name.
//! One is harmless, and nothing breaks. Then rules of the value ledger in the same way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chain::mutants as ledger;
use consensus::mutants::{self, Mutant};
use sim::adversary::Tactic;
use sim::ledger::Kind;
use sim::ledger::plain::EpochRule;
use sim::links::Weather;
use sim::model::Mutation;
use sim::scenario::generate::from_seed;
use sim::scenario::{Crash, Scenario};
use sim::world::{Summary, World};

/// Random scenarios tried for each rule.
const SEEDS: u64 = 60;
/// Dice with which a scenario made for a rule is tried.
const DICE: u64 = 4;
/// Dice with which users try each rule of the ledger.
const MONEY_DICE: u64 = 8;
/// Scenarios that a harmless mutant survives.
const HARMLESS_SEEDS: u64 = 40;

/// One of four lies.
fn liar(tactic: Tactic) -> Scenario {
    Scenario { liars: vec![(0, tactic)], goal: 30, ..Scenario::quiet(&[1; 4], 20) }
}

/// A leader's block comes when patience ends.
fn late() -> Scenario {
    let calm = Weather { delay_ms: 2, jitter_ms: 6, ..Weather::default() };
    Scenario { calm, storm: calm, goal: 60, ..liar(Tactic::LateLeader) }
}

/// The honest crash again and again, each after another output.
fn crashing(scenario: Scenario) -> Scenario {
    let crash = |number: u64| {
        let node = 1 + usize::try_from(number % 3).expect("small");
        Crash { node, at_ms: 50 * number, outputs: number % 5, torn: false, down_ms: 5, wipe: false }
    };
    Scenario { gst_ms: 3000, crashes: (0..60).map(crash).collect(), ..scenario }
}

/// The scenario made for a rule, if random ones need too much luck.
fn directed(mutant: Mutant) -> Option<Scenario> {
    match mutant {
        Mutant::PaddingBits => Some(liar(Tactic::BitmapPadder)),
        Mutant::SkipsUnchecked => Some(liar(Tactic::Skipper)),
        Mutant::ParentUnchecked => Some(liar(Tactic::Grafter)),
        Mutant::OpenEnd => Some(Scenario { rule: EpochRule::Blocks(4), ..liar(Tactic::Intruder) }),
        // Messages take two and a half Δ₀ for ever: only longer waits help.
        Mutant::TimersReset => Some(Scenario { goal: 6, ..Scenario::quiet(&[1; 4], 250) }),
        // Some give a leader up just before its block comes, others do not.
        Mutant::FinalizeAfterNullify => Some(late()),
        Mutant::FinalizeOther => Some(liar(Tactic::Equivocator)),
        Mutant::Amnesia => Some(crashing(late())),
        Mutant::WeightWraps => Some(Scenario::quiet(&[1 << 32; 4], 20)),
        Mutant::NotarizeAfterNullify | Mutant::SendBeforeSync | Mutant::MajorityQuorum | Mutant::EpochUnsigned | Mutant::StaleMembers => None,
    }
}

/// Users who want much, and liars who are found out.
fn busy(seed: u64) -> Scenario {
    let calm = Weather { delay_ms: 12, jitter_ms: 12, ..Weather::default() };
    let (rule, liars) = (EpochRule::Milliseconds(400), vec![(1, Tactic::Equivocator), (4, Tactic::Equivocator)]);
    let quiet = Scenario::quiet(&[2_000, 600, 1_900, 1_700, 400, 300, 1_500, 0], 12);
    Scenario { seed, ledger: Kind::Value, rule, liars, pace: [0, 1000, 0], storm: calm, calm, changes: 300, goal: 200, ..quiet }
}

/// Runs with a rule broken. What breaks then; a node that cannot go on breaks something, but not by name.
fn run<M>(set: fn(Option<M>), mutant: Option<M>, world: World) -> Result<Summary, String> {
    set(mutant);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    set(None);
    match result {
        Ok(result) => result.map_err(|failure| failure.violation.to_string()),
        Err(_) => Err("panic".to_owned()),
    }
}

/// The first scenario in which an invariant breaks, and how.
fn killed(mutant: Mutant) -> Option<(Scenario, String)> {
    let scenarios = directed(mutant)
        .map_or_else(|| (0..SEEDS).map(from_seed).collect(), |scenario| (0..DICE).map(|seed| Scenario { seed, ..scenario.clone() }).collect::<Vec<_>>());
    let named = |violation: &String| violation.starts_with('I') || violation.starts_with("(f)");
    scenarios.into_iter().find_map(|scenario| run(mutants::set, Some(mutant), World::new(&scenario)).err().filter(named).map(|violation| (scenario, violation)))
}

const HARMFUL: [(Mutant, &str); 13] = [
    (Mutant::FinalizeAfterNullify, "I6"),
    (Mutant::FinalizeOther, "I6"),
    (Mutant::Amnesia, "(f)"),
    (Mutant::SendBeforeSync, "I9"),
    (Mutant::MajorityQuorum, "I5"),
    (Mutant::WeightWraps, "I12"),
    (Mutant::PaddingBits, "(f)"),
    (Mutant::EpochUnsigned, "I8"),
    (Mutant::SkipsUnchecked, "(f)"),
    (Mutant::ParentUnchecked, "(f)"),
    (Mutant::OpenEnd, "I15"),
    (Mutant::StaleMembers, "I8"),
    (Mutant::TimersReset, "I12"),
];

#[test]
fn broken_rules_break_invariants() {
    let mut wrong = Vec::new();
    for (mutant, expected) in HARMFUL {
        let began = std::time::Instant::now();
        let found = killed(mutant);
        println!(
            "{mutant:?}: {} ({:.1} s)",
            found.as_ref().map_or_else(|| "survives".to_owned(), |(scenario, by)| format!("{by}; seed {}", scenario.seed)),
            began.elapsed().as_secs_f32()
        );
        if found.is_none_or(|(_, by)| by.split([' ', ':']).next() != Some(expected)) {
            wrong.push((mutant, expected));
        }
    }
    assert!(wrong.is_empty(), "not noticed as expected: {wrong:?}");
}

/// Checks I17: whoever follows the money notices.
#[test]
fn broken_rules_of_the_ledger_are_noticed() {
    for &mutant in ledger::Mutant::ALL {
        let found = (0..MONEY_DICE).find_map(|seed| run(ledger::set, Some(mutant), World::new(&busy(seed))).err().map(|violation| (seed, violation)));
        println!("{mutant:?}: {found:?}");
        assert!(found.is_some_and(|(_, violation)| violation.starts_with("I17")), "{mutant:?} was not noticed");
    }
    for seed in 0..MONEY_DICE {
        let result = run(ledger::set, None, World::new(&busy(seed)));
        assert!(result.is_ok(), "{result:?}");
    }
}

/// The directed scenarios do no harm by themselves.
#[test]
fn whole_rules_hold() {
    for (mutant, _) in HARMFUL {
        if let Some(scenario) = directed(mutant) {
            let result = run(mutants::set, None, World::new(&scenario));
            assert!(result.is_ok(), "{mutant:?}: {result:?}");
        }
    }
}

/// A vote to notarize after one to nullify conflicts with nothing (MODEL-4): with it nothing breaks, unless the model is asked to forbid it.
#[test]
fn a_harmless_rule_may_be_left_out() {
    let mutant = Some(Mutant::NotarizeAfterNullify);
    let mut happened = 0;
    for seed in 0..HARMLESS_SEEDS {
        // A fifth of them are any.
        let scenario = if seed < HARMLESS_SEEDS / 5 { from_seed(seed) } else { Scenario { seed, goal: 30, ..late() } };
        let result = run(mutants::set, mutant, World::new(&scenario).without(Mutation::NotarizeAfterNullify));
        assert!(result.is_ok(), "seed {seed}: {result:?}");
        let strict = || run(mutants::set, mutant, World::new(&scenario));
        happened += u64::from(happened == 0 && strict().is_err_and(|violation| violation.starts_with("(f)")));
    }
    assert!(happened > 0, "no vote was given that the rule forbids");
}
