//! Rules of the protocol broken one at a time, in the engine and the signer themselves: among the first scenarios there is one in which an invariant breaks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use consensus::mutants::{self, Mutant};
use sim::scenario::generate::from_seed;
use sim::world::World;

/// Scenarios tried for each.
const SEEDS: u64 = 400;

/// How the first scenario that notices the mutant notices it, and its seed. A node that cannot go on is noticed too.
fn killed(mutant: Mutant) -> Option<(u64, String)> {
    mutants::set(Some(mutant));
    let noticed = |seed| match catch_unwind(AssertUnwindSafe(|| World::new(&from_seed(seed)).run())) {
        Ok(Ok(_)) => None,
        Ok(Err(failure)) => Some((seed, failure.violation.to_string())),
        Err(_) => Some((seed, "a node cannot go on".to_owned())),
    };
    let found = (0..SEEDS).find_map(noticed);
    mutants::set(None);
    found
}

#[test]
fn every_broken_rule_is_noticed() {
    let mut alive = Vec::new();
    for mutant in Mutant::ALL {
        match killed(mutant) {
            Some((seed, how)) => println!("{mutant:?}: seed {seed}: {how}"),
            None => {
                println!("{mutant:?}: survives");
                alive.push(mutant);
            }
        }
    }
    assert_eq!(alive, [Mutant::NotarizeAfterNullify], "only this one is harmless");
}
