//! The theorems that have numbers: latency, shares of leaders, epochs, restarts, the end of a long storm.

use consensus::{Member, Members};
use primitives::{Epoch, Hash, View};
use sim::ledger::plain::{EpochRule, seed};
use sim::links::{Cut, Weather};
use sim::observer::chains::leader;
use sim::observer::votes::Electorate;
use sim::queue::MILLI;
use sim::scenario::{Crash, Scenario};
use sim::world::{World, secret};

/// Checks I13: with a constant delay δ and no time for anything else, a block comes every 2δ and is final 3δ after it was proposed, exactly.
#[test]
fn blocks_take_two_delays_and_are_final_after_three() {
    for (weights, delay) in [(vec![1; 4], 40), (vec![1; 7], 25), (vec![3, 3, 2, 2], 10)] {
        let mut world = World::new(&Scenario { goal: 30, ..Scenario::quiet(&weights, delay) });
        world
            .run_with(|world| {
                let (periods, finalities) = world.latencies();
                assert!(finalities.len() >= 30);
                assert!(periods.iter().all(|period| *period == 2 * delay * MILLI), "{periods:?}");
                assert!(finalities.iter().all(|finality| *finality == 3 * delay * MILLI), "{finalities:?}");
            })
            .expect("nothing is broken");
    }
}

/// Checks I18: over many views and epochs each member leads as often as its weight says, within four standard deviations; and the engine's rule is the one that
/// the observer computes for itself.
#[test]
fn leaders_share_by_weight() {
    let (chain, weights) = (Hash::of("chain", &[b"sim"]), [1_u64, 2, 7, 10]);
    let list: Vec<Member> = (0..4).map(|node| Member { key: secret(node).public(), weight: weights[node] }).collect();
    let members = Members::new(list.clone()).expect("valid");
    let electorate = Electorate { keys: list.iter().map(|member| member.key).collect(), weights: weights.map(u128::from).to_vec(), lies: vec![false; 4] };
    let mut led = [0_u64; 4];
    let views = 20_000;
    for number in 0..views {
        let (epoch, view) = (Epoch(number / 1000), View(1 + number % 1000));
        let of_view = leader(seed(chain, epoch), epoch, view, &electorate);
        assert_eq!(of_view, usize::from(consensus::leader::leader(seed(chain, epoch), epoch, view, &members)));
        led[of_view] += 1;
    }
    for (count, weight) in led.iter().zip(weights) {
        // sigma² = n p (1 - p), with p = weight / 20.
        let deviation = count.abs_diff(views * weight / 20);
        assert!(deviation * deviation <= 16 * views * weight * (20 - weight) / 400, "{led:?}");
    }
}

/// More than fifty epochs in which members join, leave and change their weights, the second half of them after a storm.
#[test]
fn fifty_epochs_of_changing_members() {
    let scenario = Scenario { rule: EpochRule::Blocks(3), changes: 60, goal: 170, pace: [0, 1000, 0], ..Scenario::quiet(&[5, 4, 3, 6, 0, 0, 2], 15) };
    let mut world = World::new(&scenario);
    let summary = world.run_with(|world| {
        let members: std::collections::BTreeSet<Hash> = world.observer().chains.canonical.iter().map(|stored| stored.block.header.members).collect();
        assert!(members.len() > 15, "{} different sets of members", members.len());
    });
    let summary = summary.expect("nothing is broken");
    assert!(summary.epoch >= Epoch(50), "{summary:?}");
}

/// Checks I12 after a long time without a quorum: the backed-off timers let the chain go on soon.
#[test]
fn a_long_storm_ends() {
    let cuts = vec![Cut { start_ms: 500, length_ms: 60_000, side: 0b0011, one_way: false }];
    let scenario = Scenario { gst_ms: 60_000, cuts, goal: 20, ..Scenario::quiet(&[1, 1, 1, 1], 20) };
    let summary = World::new(&scenario).run().expect("nothing is broken");
    assert!(summary.ended_ms < 66_000, "{summary:?}");
}

/// Checks I12 where there was no storm but two of four crash as they begin: without them there is no quorum, and nobody is late until they are back.
#[test]
fn who_is_away_holds_up_nobody_else() {
    let crash = |node| Crash { node, at_ms: 0, outputs: 20, torn: false, down_ms: 1400, wipe: false };
    let summary = World::new(&Scenario { crashes: vec![crash(1), crash(3)], ..Scenario::quiet(&[1, 1, 1, 1], 20) }).run().expect("nothing is broken");
    assert!(summary.ended_ms < 5000, "{summary:?}");
}

/// Checks I12 where messages take longer than the first wait, for ever: the back-off finds a wait that is long enough.
#[test]
fn back_off_finds_the_delay() {
    let summary = World::new(&Scenario { goal: 6, ..Scenario::quiet(&[1; 4], 250) }).run().expect("nothing is broken");
    assert!(summary.heights.iter().all(|height| *height >= 6), "{summary:?}");
}

/// Checks I12 under a scheduler that keeps the honest apart as far as the links' bounds let it: it costs time, within the bound.
#[test]
fn a_greedy_scheduler_only_delays() {
    let calm = Weather { delay_ms: 5, jitter_ms: 60, ..Weather::default() };
    let fair = Scenario { calm, storm: calm, goal: 40, ..Scenario::quiet(&[1; 7], 0) };
    let ended = |scenario: &Scenario| World::new(scenario).run().expect("nothing is broken").ended_ms;
    let (fair_ms, greedy_ms) = (ended(&fair), ended(&Scenario { greedy: true, ..fair.clone() }));
    assert!(greedy_ms > fair_ms, "{greedy_ms} ms with it, {fair_ms} ms without");
}

/// Checks I19: a node that crashes and keeps only what its disk has, and a node that heard and said nothing for as long, are the same to the others: these
/// finalize the same blocks at the same times while it is away, and go on as fast when it is back.
#[test]
fn a_restart_is_a_pause() {
    let (from, away) = (700, 900);
    let quiet = Scenario { gst_ms: 3000, goal: 20, rule: EpochRule::Blocks(20), ..Scenario::quiet(&[1, 1, 1, 1, 1], 20) };
    let crash = Crash { node: 2, at_ms: from, outputs: 0, torn: false, down_ms: away, wipe: false };
    let crashed = Scenario { crashes: vec![crash], ..quiet.clone() };
    // The crash falls before the first output after the time: what it would have said then is not heard either.
    let paused = Scenario { cuts: vec![Cut { start_ms: from, length_ms: away, side: 0b100, one_way: false }], ..quiet };
    let history = |scenario: &Scenario| {
        let mut seen = Vec::new();
        let summary = World::new(scenario).run_with(|world| {
            let chains = &world.observer().chains;
            seen = chains.canonical.iter().map(|stored| stored.block.header.hash()).zip(chains.final_at.iter().copied()).collect();
        });
        (seen, summary.expect("nothing is broken"))
    };
    let ((with_crash, crashed), (with_pause, paused)) = (history(&crashed), history(&paused));
    let before = |history: &[(Hash, u64)]| history.iter().copied().take_while(|(_, at)| *at < (from + away) * MILLI).collect::<Vec<_>>();
    assert_eq!(before(&with_crash), before(&with_pause));
    assert!(before(&with_crash).len() > 15, "{}", before(&with_crash).len());
    assert!(crashed.ended_ms.abs_diff(paused.ended_ms) < 500, "{crashed:?} {paused:?}");
}
