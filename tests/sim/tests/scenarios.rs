//! Random scenarios: every invariant after every event, every run twice with one digest.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sim::scenario::generate::{Scope, scenarios};
use sim::world::World;

/// Runs scenarios of a scope; the smallest that breaks an invariant is printed with its replay command. The number of forks that were made.
fn hunt(scope: Scope, cases: u32, seed: u8) -> usize {
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let forks = std::cell::Cell::new(0);
    let result = runner.run(&scenarios(scope), |scenario| {
        let run = || World::new(&scenario).run();
        let (first, second) = match (run(), run()) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(failure), _) | (Ok(_), Err(failure)) => return Err(TestCaseError::fail(failure.to_string())),
        };
        if first.digest != second.digest {
            return Err(TestCaseError::fail(format!("one scenario, two histories: make sim SCENARIO=\"{scenario}\"")));
        }
        forks.set(forks.get() + first.forks);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    forks.get()
}

/// Checks I1 to I12, I14, I15 and I19 where less than a third lies.
#[test]
fn less_than_a_third_lies() {
    assert_eq!(hunt(Scope::Safe, 200, 1), 0);
}

/// The same, with other dice and on another core.
#[test]
fn less_than_a_third_lies_again() {
    assert_eq!(hunt(Scope::Safe, 200, 2), 0);
}

/// Checks I6 to I10 and I14 where a third or more lies: forks happen, and each names its culprits. Where nobody could be made to lie, everything.
#[test]
fn a_third_lies() {
    assert!(hunt(Scope::Reckless, 120, 3) > 0, "no fork was made, so nothing was accounted for");
}
