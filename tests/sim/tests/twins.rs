//! Twins (Bano and others, "Twins: BFT Systems Made Robust", OPODIS 2021): liars who are several honest copies under one key, under every schedule of partitions of
//! a small network, up to symmetry.

use sim::adversary::Tactic;
use sim::links::Cut;
use sim::scenario::Scenario;
use sim::world::World;

/// How long a partition lasts: a view that fails takes 300 ms.
const ROUND_MS: u64 = 350;
const ROUNDS: u64 = 3;

/// Runs four members, of which the first `twins` have two copies each, under every schedule. How many schedules there are, and forks they made.
fn enumerate(twins: usize) -> (u64, usize) {
    let honest = 4 - twins;
    let (mut schedules, mut forks) = (0, 0);
    for schedule in 0..1_u64 << (honest as u64 * ROUNDS) {
        let side = |round: u64| u32::try_from(schedule >> (honest as u64 * round) & ((1 << honest) - 1)).expect("small") << twins;
        // At first the copies are alike, and so are the honest: how many are in the smaller part is all that counts, and which does not.
        let first = side(0) >> twins;
        if first.count_ones() as usize > honest / 2 || first & (first + 1) != 0 {
            continue;
        }
        let cuts = (0..ROUNDS).map(|round| Cut { start_ms: ROUND_MS * round, length_ms: ROUND_MS, side: side(round), one_way: false }).collect();
        let liars = (0..twins).map(|node| (node, Tactic::Twins)).collect();
        let scenario = Scenario { seed: schedule, liars, cuts, gst_ms: ROUND_MS * ROUNDS, goal: 5, pace: [0, 1000, 0], ..Scenario::quiet(&[1; 4], 40) };
        forks += World::new(&scenario).run().unwrap_or_else(|failure| panic!("{failure}")).forks;
        schedules += 1;
    }
    (schedules, forks)
}

/// One twin of four changes nothing.
#[test]
fn one_of_four() {
    assert_eq!(enumerate(1), (128, 0));
}

/// Two of four fork, and every fork names them.
#[test]
fn two_of_four() {
    let (schedules, forks) = enumerate(2);
    assert!(schedules == 32 && forks > 0, "{schedules} schedules, {forks} forks");
}
