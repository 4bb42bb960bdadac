//! Engines from epoch to epoch.

use super::world::{Node, World};
use super::*;
use crate::evidence::Evidence;

/// Checks SIMPLEX-11: epochs follow one another, also if the members change with each; nobody needs more than a few messages to go over.
#[test]
fn epochs_follow_one_another() {
    for rotates in [false, true] {
        let mut world = World::with_epochs(21, &[1, 2, 3, 2, 1], 1, 10, rotates);
        world.run(20_000);
        let epochs: Vec<u64> = world.nodes.iter().map(|node| node.epoch()).collect();
        assert!(world.height_min() > 300, "{:?}", world.heights());
        assert!(epochs.iter().all(|&epoch| epoch.abs_diff(world.height_max() / 10) <= 1), "{epochs:?} at {:?}", world.heights());
        assert!(world.nodes.iter().all(|node| node.halted.is_none() && node.punished.is_empty()));
    }
}

/// Views begin again with each epoch: its first block is final as soon as its first finalization is there, however many views the epoch before had.
#[test]
fn the_first_block_of_an_epoch_is_final_at_once() {
    let mut world = World::with_epochs(24, &[1, 1, 1, 1], 0, 40, false);
    world.run(6000);
    assert!(world.height_min() > 120, "{:?}", world.heights());
    let longest = world.final_at.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest <= Some(200), "{longest:?} ms between two final blocks");
}

/// Who missed many short epochs asks for the next as soon as it has one, not when it happens to be told that there are more.
#[test]
fn many_epochs_are_caught_up_with_without_pauses() {
    let mut world = World::with_epochs(26, &[1], 1, 2, false);
    world.build_ms = 200;
    world.stop(1);
    world.run(10_000);
    let missed = world.height_max();
    assert!(missed >= 40, "{missed}");
    world.start(1);
    world.run(5000);
    assert!(world.height_min() + 4 >= world.height_max(), "{:?}", world.heights());
}

/// Checks SIMPLEX-2 and SIMPLEX-3 across epochs: loss, a node that is away for many epochs, one that lost all but its slot, all of them stopped at once.
#[test]
fn epochs_in_bad_times() {
    for seed in 0..6 {
        let mut world = World::with_epochs(200 + seed, &[1, 1, 1, 1, 1], 1, 7, true);
        world.loss = 50 * (seed % 3);
        world.delay_ms = (1, 40);
        world.run(2000);
        world.stop(3);
        world.run(10_000);
        if seed % 2 == 0 {
            world.wipe(3);
        }
        world.start(3);
        world.run(10_000);
        let outputs = world.dice.below(40);
        world.fuse = Some((outputs, (0..6).collect()));
        world.run(20_000);
        (0..6).for_each(|node| world.start(node));
        world.loss = 0;
        let before = world.height_max();
        world.run(15_000);
        assert!(world.height_min() >= before + 20, "seed {seed}: {:?} after {before}", world.heights());
        assert!(world.nodes.iter().all(|node| node.halted.is_none()));
    }
}

/// Many views end without a finalization where an epoch ends: closing blocks are notarized, and one finalization of any of them ends it.
#[test]
fn an_epoch_that_is_closed_late() {
    let mut world = World::with_epochs(23, &[1, 1, 1, 1], 1, 10, true);
    world.nothing_final = true;
    world.run(1000);
    assert_eq!(world.height_max(), 0);
    world.nothing_final = false;
    world.run(5000);
    assert!(world.height_min() > 30, "{:?}", world.heights());
    // A node that was not there fetches the closing blocks with the proof.
    world.stop(4);
    world.wipe(4);
    world.start(4);
    world.run(5000);
    assert!(world.height_min() > 50, "{:?}", world.heights());
    assert!(world.nodes[4].closing() > 3, "{}", world.nodes[4].closing());
}

/// A follower that hears one member only is never far behind, in later epochs either.
#[test]
fn a_follower_of_one_member_through_epochs() {
    let mut world = World::with_epochs(24, &[1, 1, 1, 1], 1, 12, false);
    world.build_ms = 100;
    world.deaf_but_for(4, 2);
    world.run(1000);
    for _ in 0..2000 {
        world.run(10);
        assert!(
            world.nodes[4].height() + 3 >= world.height_max(),
            "{:?} in epochs {:?}",
            world.heights(),
            world.nodes.iter().map(Node::epoch).collect::<Vec<_>>()
        );
    }
    assert!(world.height_min() > 100, "{:?}", world.heights());
}

/// Who contradicted itself in the epoch before is told of in this one, once, to everybody; what is older is the ledger's alone.
#[test]
fn evidence_of_the_epoch_before() {
    let weights = [1, 1, 1, 1];
    let mut world = World::with_epochs(27, &weights, 0, 10, false);
    world.build_ms = 100;
    world.run(4000);
    let now = world.nodes[0].epoch();
    assert!(now >= 2 && world.nodes.iter().all(|node| node.epoch() == now), "{now}");
    let mut told = Vec::new();
    for (epoch, signer) in [(now - 2, 1), (now - 1, 2), (now, 3)] {
        let cast = Cast { epoch: Epoch(epoch), ..Cast::new(&weights) };
        let evidence = Evidence::new(cast.vote(signer, 5, Kind::Nullify), cast.vote(signer, 5, Kind::Finalize(Hash::ZERO))).expect("a conflict");
        for _ in 0..2 {
            world.input(0, Input::Message { from: Peer(1), message: Box::new(Message::Evidence(Box::new(evidence))) });
        }
        world.run(50);
        told.push(world.nodes.iter().map(|node| node.conflicts).collect::<Vec<_>>());
    }
    assert_eq!(told, [vec![0; 4], vec![1; 4], vec![2; 4]]);
    assert!(world.nodes.iter().all(|node| node.punished.is_empty() && node.epoch() == now));
}
