//! The engine among others: agreement, progress, catching up, restarts.

mod epochs;
mod lies;
mod world;

use std::sync::Arc;

use primitives::{Epoch, Height};
use proptest::prelude::*;
use world::World;

use super::*;
use crate::block::Proposal;
use crate::certificate::Certificate;
use crate::config::Times;
use crate::message::Chain;
use crate::slot::{Memory, Signer};
use crate::testing::Cast;
use crate::vote::{Kind, Vote};

#[test]
fn a_single_validator_needs_no_network() {
    let mut world = World::new(1, &[5], 0);
    world.run(2000);
    assert!(world.height_min() > 200, "{:?}", world.heights());
    assert_eq!(world.nodes[0].sent_bytes, 0, "nobody is there to hear");
}

/// An idle chain makes a block per idle time and burns no views.
#[test]
fn an_idle_chain_is_calm() {
    for members in [1, 4] {
        let mut world = World::new(2, &vec![1; members], 0);
        world.build_ms = 300;
        world.run(10_000);
        assert!(world.height_min() >= 26, "{:?}", world.heights());
        assert!(world.nodes[0].view() <= world.height_max() + 2, "no view was skipped");
    }
}

/// Checks SIMPLEX-8: with a constant delay δ and ledgers that cost 2 ms per block, blocks come every 2δ and are final 3δ after they are proposed.
#[test]
fn latency() {
    let mut world = World::new(3, &[1, 1, 1, 1], 0);
    world.delay_ms = (40, 40);
    world.run(4000);
    let intervals: Vec<u64> = world.final_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Two deliveries; the leader's own execution and the others' add 1 ms each.
    assert!(intervals[2..].iter().all(|&interval| interval <= 2 * 40 + 2), "{intervals:?}");
    assert!(world.height_min() >= 45, "{:?}", world.heights());
    // The header's time is when its payload was asked for.
    let finality: Vec<u64> = world.proposed_at().iter().zip(&world.final_at).map(|(proposed, at)| at - proposed).collect();
    assert!(finality[2..].iter().all(|&wait| wait <= 3 * 40 + 2), "{finality:?}");
}

#[test]
fn same_seed_same_history() {
    let run = || {
        let mut world = World::new(4, &[1, 2, 3, 4], 1);
        world.loss = 50;
        world.run(3000);
        (world.trace, world.chain)
    };
    assert_eq!(run(), run());
}

/// Checks SIMPLEX-2 and SIMPLEX-3: progress with one of four stopped.
#[test]
fn four_with_one_stopped() {
    let mut world = World::new(5, &[1, 1, 1, 1], 0);
    world.run(1000);
    world.stop(2);
    let before = world.height_max();
    world.run(20_000);
    assert!(world.height_min() >= before + 40, "{:?}", world.heights());
    world.start(2);
    world.run(3000);
    assert!(world.height_min() + 5 >= world.height_max(), "{:?}", world.heights());
}

/// Two of four stopped: nothing final, no fork, little said; on again soon after they return.
#[test]
fn four_with_two_stopped() {
    let mut world = World::new(6, &[1, 1, 1, 1], 1);
    world.run(1000);
    world.stop(1);
    world.stop(3);
    world.run(1000);
    let (before, sent) = (world.height_max(), world.nodes[0].sent_bytes);
    world.run(600_000);
    assert_eq!(world.height_max(), before);
    let per_second = (world.nodes[0].sent_bytes - sent) / 600;
    assert!(per_second < 2000, "{per_second} bytes per second while stuck");
    world.start(1);
    world.start(3);
    world.run(5000);
    assert!(world.height_min() >= before + 5, "{:?}", world.heights());
}

/// A follower finalizes everything, even if it hears only one member and joins late.
#[test]
fn a_follower_of_one_member() {
    let mut world = World::new(7, &[1, 1, 1, 1], 1);
    world.stop(4);
    world.build_ms = 100;
    world.run(20_000);
    let before = world.height_max();
    assert!(before > 100, "{before}");
    world.start(4);
    world.deaf_but_for(4, 2);
    world.run(5000);
    assert!(world.nodes[4].height() + 4 >= world.height_max(), "{:?}", world.heights());
    // Each certificate is sent on to it: it is never far behind.
    for _ in 0..500 {
        world.run(10);
        assert!(world.nodes[4].height() + 2 >= world.height_max(), "{:?}", world.heights());
    }
}

/// Away long, with and without its database: several batches, every block executed.
#[test]
fn a_node_that_was_away() {
    for wiped in [false, true] {
        let mut world = World::new(8, &[1, 1, 1, 1], 0);
        world.build_ms = 50;
        world.run(500);
        world.stop(3);
        world.run(60_000);
        if wiped {
            world.wipe(3);
        }
        let (before, missed) = (world.height_max(), world.height_max() - world.nodes[3].height());
        assert!(missed > 130, "{missed}");
        world.start(3);
        world.run(10_000);
        assert!(world.height_min() >= before, "{:?}", world.heights());
        assert!(world.height_min() + 5 >= world.height_max(), "{:?}", world.heights());
    }
}

/// A thousand blocks come in batches that follow one another without a pause beyond Δ: none is refused, for the next would be asked for four seconds later.
#[test]
fn catching_up_is_fast() {
    let mut world = World::new(17, &[1], 1);
    world.build_ms = 20;
    world.stop(1);
    world.run(25_000);
    let missed = world.height_max();
    assert!(missed > 1000, "{missed}");
    world.start(1);
    world.run(2500);
    assert!(world.height_min() + 3 >= world.height_max(), "{:?}", world.heights());
}

/// Who executes as fast as blocks are made and no faster commits them all the same, though it never gets to the last one.
#[test]
fn who_is_always_a_little_behind_commits() {
    let mut world = World::new(25, &[1], 1);
    world.execute_ms = 10;
    world.stop(1);
    world.run(1000);
    world.start(1);
    world.run(9000);
    assert!(world.height_max() > 950 && world.height_min() + 200 > world.height_max(), "{:?}", world.heights());
    assert!(world.undecided(1) < 200, "{}", world.undecided(1));
}

/// Many blocks are notarized and none is final when one of the three that made them stops. The fourth, which was away, fetches them by hash, and all become
/// final.
#[test]
fn notarized_blocks_alone_are_caught_up_with() {
    let mut world = World::new(18, &[1, 1, 1, 1], 0);
    world.run(500);
    world.stop(3);
    world.nothing_final = true;
    world.run(100);
    let (before, view) = (world.height_max(), world.nodes[0].view());
    world.run(60_000);
    let undecided = world.undecided(0);
    assert!(undecided >= 20 && world.height_max() == before, "{undecided} undecided in views {view} to {}", world.nodes[0].view());
    world.stop(2);
    world.nothing_final = false;
    world.start(3);
    world.run(30_000);
    assert!(world.height_min() >= before + undecided as u64 + 5, "{:?} after {before} and {undecided}", world.heights());
}

/// Who shows a tip and sends no batch, or a wrong one, is asked again only when everybody else has failed as often.
#[test]
fn a_peer_that_owes_a_batch_comes_last() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let mut blocks: Vec<Arc<Block>> = vec![Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"1"))];
    for view in 1..3 {
        let parent = blocks[blocks.len() - 1].header.clone();
        let justification = Justification::after(cast.certificate(view, Kind::Notarize(parent.hash())));
        blocks.push(Arc::new(cast.block(&parent, justification, b"next")));
    }
    let last = blocks[2].header.clone();
    let finality = Finality::direct(cast.certificate(3, Kind::Finalize(last.hash())));
    let tip = Message::Tip(Box::new(Tip { header: last, finality: Some(finality.clone()) }));
    let wrong = Message::Chain(Chain { blocks: blocks[..2].to_vec(), finality: finality.clone() });
    let good = Message::Chain(Chain { blocks: blocks.clone(), finality });

    let (mut engine, mut out) = (fresh(&cast, 0), Vec::new());
    let asked = |out: &mut Vec<Output>| -> Vec<u64> {
        let to = |output| if let Output::Send { to, message: Message::ChainRequest(Height(1)) } = output { Some(to.0) } else { None };
        out.drain(..).filter_map(to).collect()
    };
    let say = |engine: &mut Engine, now, from, message: &Message, out: &mut Vec<Output>| {
        engine.handle(Time(now), Input::Message { from: Peer(from), message: Box::new(message.clone()) }, out);
    };
    for peer in 1..=3 {
        say(&mut engine, 0, peer, &tip, &mut out);
    }
    assert_eq!(asked(&mut out), [1]);
    engine.handle(Time(5000), Input::Wake, &mut out);
    say(&mut engine, 5000, 1, &tip, &mut out);
    assert_eq!(asked(&mut out), [2], "the first is late and shows its tip again");
    say(&mut engine, 5010, 2, &wrong, &mut out);
    assert_eq!(asked(&mut out), [], "not within Δ");
    engine.handle(Time(5100), Input::Wake, &mut out);
    assert_eq!(asked(&mut out), [3]);
    engine.handle(Time(10_000), Input::Wake, &mut out);
    assert_eq!(asked(&mut out), [1], "all have failed once");
    say(&mut engine, 10_010, 1, &good, &mut out);
    assert!(out.iter().any(|output| matches!(output, Output::Verify { block, .. } if *block == blocks[0])), "{out:?}");
}

/// Batches of large blocks are cut by bytes.
#[test]
fn catching_up_with_large_blocks() {
    let mut world = World::new(9, &[1], 1);
    world.payload_bytes = 1 << 20;
    world.build_ms = 100;
    world.stop(1);
    world.run(2000);
    world.start(1);
    world.run(1500);
    assert!(world.height_min() >= 20 && world.height_min() + 3 >= world.height_max(), "{:?}", world.heights());
}

/// Checks SIMPLEX-9: everybody stops at once at an arbitrary moment, also between two outputs, with only disks left, again and again.
#[test]
fn everything_restarts_at_once() {
    for seed in 0..8 {
        // One alone has nobody to fetch from what it did not keep.
        let (members, crashes) = if seed % 2 == 0 { (4, 10) } else { (1, 40) };
        let mut world = World::new(100 + seed, &vec![1; members], 0);
        world.build_ms = 20;
        world.loss = 100 * (seed / 2);
        for _ in 0..crashes {
            let pause = 200 + world.dice.below(500);
            world.run(pause);
            let outputs = world.dice.below(40);
            world.fuse = Some((outputs, (0..members).collect()));
            world.run(20_000);
            assert!((0..members).all(|node| world.is_stopped(node)), "seed {seed}: {outputs} outputs take longer");
            (0..members).for_each(|node| world.start(node));
        }
        world.loss = 0;
        let before = world.height_max();
        world.run(15_000);
        assert!(world.height_min() >= before + 20, "seed {seed}: {:?} after {before}", world.heights());
    }
}

/// A view that can end only with the vote of a member that was behind: it is shown the justification.
#[test]
fn who_was_behind_is_shown_the_way() {
    let mut world = World::new(16, &[1, 1, 1, 1, 1], 0);
    // No ledger is ever ready in time, so every view is nullified.
    world.build_ms = 1_000_000;
    world.groups[4] = 1;
    world.run(20_000);
    let (behind, ahead) = (world.nodes[4].view(), world.nodes[0].view());
    assert!(ahead > behind + 3, "{behind} {ahead}");
    world.stop(3);
    world.groups = vec![0; 5];
    world.run(20_000);
    let views: Vec<u64> = [0, 1, 2, 4].map(|node| world.nodes[node].view()).to_vec();
    assert!(views.iter().all(|&view| view > ahead + 2), "{views:?} after {ahead}");
}

/// Alone and stuck: hello, certificate and vote again and again, with pauses that grow to Δ_max and not beyond.
#[test]
fn a_stuck_member_says_little_but_goes_on() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let base = cast.block(&cast.genesis, Justification::first(Epoch(0)), b"one").header.hash();
    let (mut engine, mut out) = (fresh(&cast, 0), Vec::new());
    engine.handle(Time(0), Input::Start, &mut out);
    let certificate = Message::Certificate(cast.certificate(1, Kind::Notarize(base)));
    engine.handle(Time(0), Input::Message { from: Peer(1), message: Box::new(certificate.clone()) }, &mut out);
    let mut signer = Signer::on(Memory::default(), cast.secrets[0].clone(), cast.chain).expect("fresh");
    signer.seat(Epoch(0), &cast.members);
    let (mut now, mut said) = (0, Vec::new());
    while now < 60_000 {
        let mut next = now;
        for output in std::mem::take(&mut out) {
            match output {
                Output::Sign(vote) => engine.handle(Time(now), Input::Signed(signer.sign(vote).expect("legal")), &mut out),
                Output::Broadcast(message) => said.push((now, message)),
                Output::WakeAt(at) => next = at.0,
                Output::Keep(_) | Output::Send { .. } | Output::Build { .. } | Output::Verify { .. } | Output::Finalized { .. } => {}
                other @ (Output::Serve { .. } | Output::ServeBlock { .. } | Output::Punish { .. } | Output::Conflict(_) | Output::Halt(_)) => {
                    panic!("{other:?}")
                }
            }
        }
        if out.is_empty() {
            now = next.max(now + 1);
            engine.handle(Time(now), Input::Wake, &mut out);
        }
    }
    let votes: Vec<u64> =
        said.iter().filter(|(_, message)| matches!(message, Message::Vote(signed) if signed.vote.kind == Kind::Nullify)).map(|(at, _)| *at).collect();
    let pauses: Vec<u64> = votes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.is_sorted() && pauses.first() >= Some(&100) && pauses.last() == Some(&2000), "{pauses:?}");
    assert!(votes.len() > 25, "{votes:?}");
    let pushed: Vec<u64> = said.iter().filter(|(_, message)| *message == certificate).map(|(at, _)| *at).collect();
    assert!(pushed.len() > 25 && pushed[0] == 50, "pushed after half a Δ, for nobody else has been seen here: {pushed:?}");
    assert!(said.len() <= 5 * votes.len(), "{} messages", said.len());
}

/// Votes that came before their view was entered count as soon as it is.
#[test]
fn early_votes_count() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (mut engine, mut out) = (fresh(&cast, 0), Vec::new());
    let mut say = |message| {
        engine.handle(Time(0), Input::Message { from: Peer(1), message: Box::new(message) }, &mut out);
        engine.view
    };
    for view in [3, 2] {
        for signer in 1..4 {
            assert_eq!(say(Message::Vote(cast.vote(signer, view, Kind::Nullify))), View(1));
        }
    }
    assert_eq!(say(Message::Certificate(cast.certificate(1, Kind::Nullify))), View(4));
}

fn fresh(cast: &Cast, me: u16) -> Engine {
    let tip = Tip { header: cast.genesis.clone(), finality: None };
    let restored = Restored { tip, slot: Some(Slot::empty(Epoch(0))), justification: None, blocks: vec![] };
    Engine::new(cast.config(Some(me)), restored).expect("genesis")
}

/// What it does when it hears this.
fn say(engine: &mut Engine, from: u64, message: Message) -> Vec<Output> {
    let mut out = Vec::new();
    engine.handle(Time(0), Input::Message { from: Peer(from), message: Box::new(message) }, &mut out);
    out
}

/// Who hears of a finalization after it has entered the next view waits in it no longer than those who knew.
#[test]
fn a_late_finalization_shortens_the_wait() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let hash = Hash([1; 32]);
    let times = Times::DEV;
    let wait = times.idle_ms + 3 * times.delta(0) + times.execution_ms;
    for is_told in [false, true] {
        let mut engine = fresh(&cast, 0);
        let mut out = Vec::new();
        let mut say = |at: u64, input: Input| engine.handle(Time(at), input, &mut out);
        say(0, Input::Start);
        for message in [Message::Certificate(cast.certificate(9, Kind::Notarize(hash))), Message::Certificate(cast.certificate(9, Kind::Finalize(hash)))] {
            if is_told || !matches!(&message, Message::Certificate(certificate) if certificate.finalized().is_some()) {
                say(1, Input::Message { from: Peer(1), message: Box::new(message) });
            }
        }
        say(1 + wait, Input::Wake);
        let gave_up = out.iter().any(|output| matches!(output, Output::Sign(Vote { view: View(10), kind: Kind::Nullify, .. })));
        assert_eq!(gave_up, is_told, "{out:?}");
    }
}

/// A partition without a quorum on either side, and one with.
#[test]
fn partitions_heal() {
    let mut world = World::new(11, &[1, 1, 1, 1, 1], 1);
    world.build_ms = 100;
    world.run(1000);
    world.groups = vec![0, 0, 0, 1, 1, 1];
    world.run(20_000);
    let before = world.height_max();
    world.groups = vec![0; 6];
    world.run(6000);
    assert!(world.height_min() >= before + 5, "{:?}", world.heights());
    world.groups = vec![0, 0, 0, 0, 1, 1];
    world.run(20_000);
    let before = world.height_max();
    world.groups = vec![0; 6];
    world.run(6000);
    assert!(world.height_min() >= before, "{:?}", world.heights());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Checks SIMPLEX-3, SIMPLEX-4, SIMPLEX-7: chaos, then calm. Loss, delays, cuts and crashes of any number of nodes; afterwards everybody agrees and goes
    /// on.
    #[test]
    fn chaos_then_calm(seed in any::<u64>(), weights in proptest::collection::vec(1..5_u64, 1..6), followers in 0..2_usize) {
        let mut world = World::new(seed, &weights, followers);
        let count = weights.len() + followers;
        for _ in 0..12 {
            world.loss = world.dice.below(400);
            let delay = world.dice.below(300);
            world.delay_ms = (1, 1 + delay);
            world.build_ms = 20 + world.dice.below(280);
            for node in 0..count {
                world.groups[node] = u32::from(world.dice.below(4) == 0);
                match world.dice.below(8) {
                    0 => world.stop(node),
                    1 => {
                        world.stop(node);
                        world.start(node);
                    }
                    2 => world.fuse = Some((world.dice.below(50), vec![node])),
                    _ => {}
                }
            }
            let pause = world.dice.below(2500);
            world.run(pause);
            for node in 0..count {
                if world.is_stopped(node) && world.dice.below(2) == 0 {
                    world.start(node);
                }
            }
        }
        (world.loss, world.delay_ms, world.build_ms) = (0, (5, 15), 100);
        world.groups = vec![0; count];
        world.fuse = None;
        for node in 0..count {
            if world.is_stopped(node) {
                world.start(node);
            }
        }
        let before = world.height_max();
        world.run(20_000);
        prop_assert!(world.height_min() >= before + 10, "seed {} of {:?}: {:?} after {}", seed, weights, world.heights(), before);
        prop_assert!(world.nodes.iter().all(|node| node.halted.is_none() && node.punished.is_empty() && node.conflicts == 0));
    }
}

/// A batch of finalized blocks is taken only whole: linked, valid, proved, and from whom it was asked.
#[test]
fn a_batch_must_be_proved() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let mut blocks: Vec<Arc<Block>> = Vec::new();
    for payload in [b"1", b"2", b"3"] {
        let (parent, justification) = match blocks.last() {
            Some(last) => (last.header.clone(), Justification::after(cast.certificate(last.header.view.0, Kind::Notarize(last.header.hash())))),
            None => (cast.genesis.clone(), Justification::first(Epoch(0))),
        };
        blocks.push(Arc::new(cast.block(&parent, justification, payload)));
    }
    let last = blocks[2].header.clone();
    let proof = |signers: &[u16]| Finality::direct(cast.certificate_of(3, Kind::Finalize(last.hash()), signers));
    let good = Chain { blocks: blocks.clone(), finality: proof(&[0, 1, 2]) };
    let foreign = Block { payload: b"x".to_vec(), ..(*blocks[1]).clone() };
    let answer = |from: u64, chain: Chain| {
        let (mut engine, mut out) = (fresh(&cast, 0), Vec::new());
        let tip = Message::Tip(Box::new(Tip { header: last.clone(), finality: Some(proof(&[0, 1, 2])) }));
        engine.handle(Time(0), Input::Message { from: Peer(1), message: Box::new(tip) }, &mut out);
        let asked = |output: &Output| matches!(output, Output::Send { to: Peer(1), message: Message::ChainRequest(Height(1)) });
        assert!(out.iter().any(asked), "{out:?}");
        out.clear();
        engine.handle(Time(0), Input::Message { from: Peer(from), message: Box::new(Message::Chain(chain)) }, &mut out);
        let punished = out.iter().any(|output| matches!(output, Output::Punish { offence: Offence::Chain, .. }));
        (punished, out.iter().any(|output| matches!(output, Output::Verify { block, .. } if **block == *blocks[0])))
    };
    assert_eq!(answer(1, good.clone()), (false, true));
    // Proved by a later block: the rest is asked for before anything is given out.
    let early = Chain { blocks: blocks[..2].to_vec(), finality: Finality { headers: vec![last.clone()], ..proof(&[0, 1, 2]) } };
    assert_eq!(answer(1, early), (false, false), "a header has no justification");
    assert_eq!(answer(2, good.clone()), (false, false), "not asked");
    assert_eq!(answer(1, Chain { finality: proof(&[0, 1]), ..good.clone() }), (true, false), "no quorum");
    assert_eq!(answer(1, Chain { blocks: blocks[..2].to_vec(), ..good.clone() }), (true, false), "proof of another block");
    assert_eq!(answer(1, Chain { blocks: vec![blocks[0].clone(), blocks[2].clone()], ..good.clone() }), (true, false), "a gap");
    let swapped = vec![blocks[0].clone(), Arc::new(foreign), blocks[2].clone()];
    assert_eq!(answer(1, Chain { blocks: swapped, ..good }), (true, false), "another payload");
}

/// What is on disk must be this chain.
#[test]
fn restores_only_what_verifies() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let first = cast.block(&cast.genesis, Justification::first(Epoch(0)), b"one");
    let hash = first.header.hash();
    let restore = |tip: Tip, justification, blocks: Vec<Block>| {
        let blocks = blocks.into_iter().map(Arc::new).collect();
        Engine::new(cast.config(None), Restored { tip, slot: None, justification, blocks }).map(|engine| engine.view)
    };
    let genesis = || Tip { header: cast.genesis.clone(), finality: None };
    assert_eq!(restore(genesis(), None, vec![]), Ok(View(1)));
    let finality = |signers: &[u16]| Some(Finality::direct(cast.certificate_of(1, Kind::Finalize(hash), signers)));
    let tip = |finality| Tip { header: first.header.clone(), finality };
    assert_eq!(restore(tip(finality(&[0, 1, 2])), None, vec![]), Ok(View(2)));
    assert!(matches!(restore(tip(finality(&[0, 1])), None, vec![]), Err(RestoreError::Tip(_))));
    assert_eq!(restore(tip(None), None, vec![]), Err(RestoreError::Unproved(Height(1))));
    let other = Tip { header: Header { time: Time(7), ..cast.genesis.clone() }, finality: None };
    assert!(matches!(restore(other, None, vec![]), Err(RestoreError::Start { .. })));
    let kept = Justification::after(cast.certificate(1, Kind::Notarize(hash)));
    assert_eq!(restore(genesis(), Some(kept), vec![first.clone()]), Ok(View(2)));
    let weak = Justification::after(cast.certificate_of(1, Kind::Notarize(hash), &[0]));
    assert!(matches!(restore(genesis(), Some(weak), vec![]), Err(RestoreError::Justification(_))));
    let broken = Block { payload: b"two".to_vec(), ..first };
    assert!(matches!(restore(genesis(), None, vec![broken]), Err(RestoreError::Block { .. })));
}
