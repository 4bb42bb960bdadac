//! Twins (Bano and others, "Twins: BFT Systems Made Robust", OPODIS 2021): liars who are several honest copies under one key, under every schedule of
//! partitions of a small network. Who leads which view is drawn once; where everybody is while they lead is what is enumerated.

use sim::adversary::Tactic;
use sim::links::Cut;
use sim::scenario::Scenario;
use sim::world::World;

/// How long a partition lasts: a view that fails takes 300 ms.
const ROUND_MS: u64 = 350;
const ROUNDS: u64 = 3;

/// What all schedules together came to.
#[derive(Debug, Default)]
struct Count {
    schedules: u64,
    forks: usize,
    /// How often somebody held the proof that a twin contradicted itself.
    evidence: u64,
}

/// Runs four members, of which the first `twins` have two copies each, under every schedule.
fn enumerate(twins: usize) -> Count {
    let honest = 4 - twins;
    let mut count = Count::default();
    for schedule in 0..1_u64 << (honest as u64 * ROUNDS) {
        let side = |round: u64| u32::try_from(schedule >> (honest as u64 * round) & ((1 << honest) - 1)).expect("small") << twins;
        // The copies may be exchanged.
        if side(0) >> twins & 1 == 1 {
            continue;
        }
        let cuts = (0..ROUNDS).map(|round| Cut { start_ms: ROUND_MS * round, length_ms: ROUND_MS, side: side(round), one_way: false }).collect();
        let liars = (0..twins).map(|node| (node, Tactic::Twins)).collect();
        let scenario = Scenario { seed: schedule, liars, cuts, gst_ms: ROUND_MS * ROUNDS, goal: 5, pace: [0, 1000, 0], ..Scenario::quiet(&[1; 4], 40) };
        let summary = World::new(&scenario).run().unwrap_or_else(|failure| panic!("{failure}"));
        count.schedules += 1;
        count.forks += summary.forks;
        count.evidence += summary.tally.evidence;
    }
    count
}

/// One twin of four changes nothing, and is found out.
#[test]
fn one_of_four() {
    let count = enumerate(1);
    assert!(count.schedules == 256 && count.forks == 0 && count.evidence > 0, "{count:?}");
}

/// Two of four fork, and every fork names them.
#[test]
fn two_of_four() {
    let count = enumerate(2);
    assert!(count.schedules == 32 && count.forks > 0 && count.evidence > 0, "{count:?}");
}
