//! Engines among liars: what is wrong is punished and leaves nothing behind, what contradicts itself is reported, a fork stops the node.

use super::*;
use crate::vote::SignedVote;

/// A leader that proposes twice is seen, reported once, and stops nobody.
#[test]
fn an_equivocating_leader_is_reported() {
    let mut world = World::new(12, &[1, 1, 1, 1], 0);
    world.run(500);
    world.stop(0);
    for _ in 0..400 {
        world.propose_as(0, b"left", &[1, 2], &|_| {});
        world.propose_as(0, b"rite", &[2, 3], &|_| {});
        world.run(25);
    }
    assert!(world.nodes[1..].iter().all(|node| node.conflicts == 1));
    let before = world.height_max();
    world.run(5000);
    assert!(world.height_max() > before + 5);
}

/// How a liar alters a header.
type Change<'a> = &'a dyn Fn(&mut Header);

/// A block that does not execute, one that does not follow its parent, one from the future: everybody gives the view up at once, not at T_lead.
#[test]
fn invalid_and_untimely_blocks_are_nullified_at_once() {
    let cases: [(&[u8], Change); 4] = [
        (b"bad block", &|_| {}),
        (b"too high", &|header| header.height = header.height.next()),
        (b"before its parent", &|header| header.time = Time(header.time.0 - 500)),
        (b"too early", &|header| header.time = Time(header.time.0 + 60_000)),
    ];
    for (payload, change) in cases {
        let mut world = World::new(15, &[1, 1, 1, 1], 0);
        world.build_ms = 100;
        world.run(500);
        world.stop(0);
        let mut proposed = 0;
        for _ in 0..200 {
            let view = world.nodes[1].view();
            if world.propose_as(0, payload, &[1, 2, 3], change) {
                proposed += 1;
                // Delivered within 15 ms, voted on in 1, the votes delivered within 15.
                world.run(60);
                assert!(world.nodes[1].view() > view, "{} in view {view}", String::from_utf8_lossy(payload));
            }
            world.run(25);
        }
        assert!(proposed > 3, "member 0 led {proposed} views");
        assert!(!world.is_final(payload));
        assert!(world.nodes.iter().all(|node| node.punished.is_empty()), "an invalid execution is no peer's fault");
    }
}

/// Somebody who is no leader sends the leader's header and vote with another payload: it is punished, nobody gives the view up, and the block is still taken.
#[test]
fn a_proposal_with_another_payload_does_not_end_the_view() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let block = cast.block(&cast.genesis, Justification::first(Epoch(0)), b"one");
    let (hash, leader) = (block.header.hash(), block.header.proposer);
    let vote = cast.vote(leader, 1, Kind::Notarize(hash));
    let me = (leader + 1) % 4;
    let propose = |engine: &mut Engine, from, block: Block| say(engine, from, Message::Proposal(Proposal { block: Arc::new(block), vote }));
    let skipped = Justification { skips: vec![cast.certificate(1, Kind::Nullify)], ..block.justification.clone() };
    for forged in [
        Block { payload: Vec::new(), ..block.clone() },
        Block { payload: vec![0; crate::block::PAYLOAD_BYTES_MAX + 1], ..block.clone() },
        Block { justification: skipped, ..block.clone() },
    ] {
        let mut engine = fresh(&cast, me);
        engine.handle(Time(1_000_000), Input::Start, &mut Vec::new());
        let out = propose(&mut engine, 9, forged);
        assert!(out.iter().any(|output| matches!(output, Output::Punish { peer: Peer(9), offence: Offence::Block })), "{out:?}");
        assert!(!out.iter().any(|output| matches!(output, Output::Sign(_))), "{out:?}");
        let out = propose(&mut engine, 1, block.clone());
        assert!(out.iter().any(|output| matches!(output, Output::Verify { block: asked, .. } if asked.header.hash() == hash)), "{out:?}");
        let mut out = Vec::new();
        engine.handle(Time(1_000_001), Input::Verified { block: hash, valid: true }, &mut out);
        assert!(out.iter().any(|output| matches!(output, Output::Sign(asked) if *asked == vote.vote)), "{out:?}");
    }
}

/// Whatever does not verify is its sender's fault and changes nothing.
#[test]
fn garbage_is_punished_and_changes_nothing() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let mut world = World::new(13, &[1, 1, 1, 1], 0);
    world.run(300);
    let view = world.nodes[0].view();
    let mut forged = cast.vote(2, view, Kind::Nullify);
    forged.signature.0[9] ^= 1;
    let weak = cast.certificate_of(view, Kind::Nullify, &[1, 2]);
    let mut skipped = Justification::first(Epoch(0));
    skipped.skips = (1..=view + 3).map(|view| cast.certificate_of(view, Kind::Nullify, &[0, 1])).collect();
    for message in [
        Message::Vote(forged),
        // Looked at when the member speaks for itself.
        Message::Vote(cast.vote(2, view, Kind::Nullify)),
        Message::Vote(crate::vote::SignedVote { signer: 77, ..forged }),
        Message::Certificate(weak),
        Message::Justification(skipped),
        Message::Vote(cast.vote(2, u64::MAX, Kind::Nullify)),
        Message::BlockRequest(Hash([1; 32])),
        Message::ChainRequest(Height(u64::MAX)),
        Message::ChainRequest(Height(0)),
    ] {
        world.input(0, Input::Message { from: Peer(3), message: Box::new(message) });
    }
    let offences: Vec<Offence> = world.nodes[0].punished.iter().map(|(_, offence)| *offence).collect();
    assert_eq!(offences, [Offence::Signature, Offence::Signature, Offence::Certificate, Offence::Justification]);
    let before = world.height_max();
    world.run(2000);
    assert!(world.height_min() > before + 10);
}

/// A third and more that lie can fork; the node that sees it stops and does not follow.
#[test]
fn a_fork_halts() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let mut world = World::new(14, &[1, 1, 1, 1], 0);
    world.run(300);
    let other = cast.block(&cast.genesis, Justification::first(Epoch(0)), b"other").header;
    let view = world.nodes[0].view() + 5;
    let base = Base::Certified(cast.certificate(1, Kind::Notarize(other.hash())));
    let skips = (2..view).map(|view| cast.certificate(view, Kind::Nullify)).collect();
    let block = cast.block(&other, Justification { epoch: Epoch(0), base, skips }, b"other 2");
    let finalization = cast.certificate(view, Kind::Finalize(block.header.hash()));
    world.input(0, Input::Message { from: Peer(1), message: Box::new(Message::Certificate(finalization.clone())) });
    assert_eq!(world.nodes[0].halted, None);
    assert!(world.nodes[0].height() >= 2);
    let (hash, block) = (block.header.hash(), Arc::new(block));
    world.input(0, Input::Message { from: Peer(1), message: Box::new(Message::Block(block.clone())) });
    let expected = Halt::Fork { view: View(view), hash, certificate: Box::new(finalization), blocks: vec![block] };
    assert_eq!(world.nodes[0].halted, Some(expected));
    let height = world.nodes[0].height();
    world.run(1000);
    assert_eq!(world.nodes[0].height(), height);
}

/// Of the other chain, the blocks down to the one that proves who forked are fetched by hash, from below the tip too; nothing is voted for meanwhile; if nobody
/// sends them, what there is has to do.
#[test]
fn a_fork_is_searched() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let ours = Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"ours"));
    let skips = vec![cast.certificate(1, Kind::Nullify)];
    let mut others = vec![Arc::new(cast.block(&cast.genesis, Justification { skips, ..Justification::first(Epoch(0)) }, b"1"))];
    for view in 2..4 {
        let parent = others[others.len() - 1].header.clone();
        others.push(Arc::new(cast.block(&parent, Justification::after(cast.certificate(view, Kind::Notarize(parent.hash()))), b"next")));
    }
    let hash = others[2].header.hash();
    let certificate = cast.certificate(4, Kind::Finalize(hash));
    for answered in [3, 2] {
        let (mut engine, mut out) = (fresh(&cast, 0), Vec::new());
        let vote = cast.vote(ours.header.proposer, 1, Kind::Notarize(ours.header.hash()));
        out.extend(say(&mut engine, 1, Message::Proposal(Proposal { block: ours.clone(), vote })));
        engine.handle(Time(0), Input::Verified { block: ours.header.hash(), valid: true }, &mut out);
        out.extend(say(&mut engine, 1, Message::Certificate(cast.certificate(1, Kind::Finalize(ours.header.hash())))));
        assert!(out.iter().any(|output| matches!(output, Output::Finalized { .. })));
        out.extend(say(&mut engine, 1, Message::Certificate(certificate.clone())));
        for block in others.iter().rev().take(answered) {
            let asked = |output: &Output| matches!(output, Output::Send { message: Message::BlockRequest(hash), .. } if *hash == block.header.hash());
            assert!(out.iter().any(asked), "height {}", block.header.height);
            out.clear();
            out.extend(say(&mut engine, 1, Message::Block(block.clone())));
        }
        if answered < others.len() {
            assert!(!out.iter().any(|output| matches!(output, Output::Halt(_))));
            out.clear();
            engine.handle(Time(1_000_000), Input::Wake, &mut out);
        }
        let blocks = others[others.len() - answered..].to_vec();
        let halt = Halt::Fork { view: View(4), hash, certificate: Box::new(certificate.clone()), blocks };
        assert!(matches!(out.as_slice(), [Output::Halt(found)] if *found == halt), "{out:?}");
    }
    // A finalization that comes late, of a view that this chain has passed.
    let (mut engine, mut out) = (fresh(&cast, 0), Vec::new());
    let mut parent = cast.genesis.clone();
    for view in 1..4 {
        let justification =
            if view == 1 { Justification::first(Epoch(0)) } else { Justification::after(cast.certificate(view - 1, Kind::Notarize(parent.hash()))) };
        let block = Arc::new(cast.block(&parent, justification, b"ours"));
        parent = block.header.clone();
        let proposal = Proposal { vote: cast.vote(parent.proposer, view, Kind::Notarize(parent.hash())), block };
        out.extend(say(&mut engine, 1, Message::Proposal(proposal)));
        engine.handle(Time(0), Input::Verified { block: parent.hash(), valid: true }, &mut out);
    }
    for (view, finalized) in [(3, parent.hash()), (2, Hash([7; 32]))] {
        out.clear();
        let certificate = Message::Certificate(cast.certificate(view, Kind::Finalize(finalized)));
        out.extend(say(&mut engine, 1, certificate));
    }
    assert!(matches!(out.as_slice(), [.., Output::Send { message: Message::BlockRequest(_), .. }, Output::WakeAt(_)]), "{out:?}");
    assert_eq!(out.iter().filter(|output| matches!(output, Output::Conflict(_))).count(), 3, "its signers notarized what it contradicts: {out:?}");
}

/// Who has just started knows of its chain no more than the last block; that is enough to see what contradicts it.
#[test]
fn a_fork_is_seen_after_a_restart() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let block = cast.block(&cast.genesis, Justification { skips: vec![cast.certificate(1, Kind::Nullify)], ..Justification::first(Epoch(0)) }, b"ours");
    let finality = crate::block::Finality::direct(cast.certificate(2, Kind::Finalize(block.header.hash())));
    for view in [1, 2] {
        let tip = Tip { header: block.header.clone(), finality: Some(finality.clone()) };
        let restored = Restored { tip, slot: Some(Slot::empty(Epoch(0))), justification: None, blocks: vec![] };
        let mut engine = Engine::new(cast.config(Some(0)), restored).expect("what is on disk verifies");
        let mut out = Vec::new();
        let other = Message::Certificate(cast.certificate(view, Kind::Finalize(Hash([7; 32]))));
        out.extend(say(&mut engine, 1, other));
        engine.handle(Time(1_000_000), Input::Wake, &mut out);
        assert!(out.iter().any(|output| matches!(output, Output::Halt(Halt::Fork { .. }))), "view {view}: {out:?}");
        assert!(!out.iter().any(|output| matches!(output, Output::Sign(_))), "view {view}: {out:?}");
    }
}

/// A finalization in a view that its block is not of, be it the tip or a block above it.
#[test]
fn a_finalization_in_another_view_halts() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let first = Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"one"));
    let hash = first.header.hash();
    let is_halt = |output: &Output| matches!(output, Output::Halt(Halt::Invalid { height: Height(1), .. }));
    let finalization = |view| Message::Certificate(cast.certificate(view, Kind::Finalize(hash)));
    let proposal = Message::Proposal(Proposal { block: first.clone(), vote: cast.vote(first.header.proposer, 1, Kind::Notarize(hash)) });

    let mut engine = fresh(&cast, 0);
    say(&mut engine, 1, proposal.clone());
    engine.handle(Time(0), Input::Verified { block: hash, valid: true }, &mut Vec::new());
    let committed = say(&mut engine, 1, finalization(1));
    assert!(committed.iter().any(|output| matches!(output, Output::Finalized { .. })), "{committed:?}");
    assert!(say(&mut engine, 1, finalization(3)).iter().any(is_halt));

    let mut engine = fresh(&cast, 0);
    say(&mut engine, 1, proposal);
    assert!(say(&mut engine, 1, finalization(3)).iter().any(is_halt));
}

/// Checks SIMPLEX-10: floods of what looks valid leave nothing behind but a bounded number of votes, and what is provably wrong is punished each time.
#[test]
fn floods_change_nothing() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let mut engine = fresh(&cast, 0);
    let held = |engine: &Engine| engine.tallies.values().map(Tally::votes).sum::<usize>();
    let kinds = |number: u8| [Kind::Notarize(Hash([number; 32])), Kind::Nullify, Kind::Finalize(Hash([number; 32]))];

    // A member's own signatures of views beyond those that are counted: the first makes us ask where it is, once in Δ.
    let mut said = Vec::new();
    for view in 66..1066 {
        said.extend(say(&mut engine, 1, Message::Vote(cast.vote(1, view, Kind::Nullify))));
    }
    assert!(said.iter().filter(|output| matches!(output, Output::Send { message: Message::Hello(_), .. })).count() == 1, "{said:?}");
    assert_eq!((held(&engine), engine.tallies.len(), engine.view), (0, 0, View(1)));

    // Of the views that are counted: five votes at most, whatever it signs.
    for view in 1..=65 {
        for kind in (0..4).flat_map(kinds) {
            say(&mut engine, 1, Message::Vote(cast.vote(1, view, kind)));
        }
    }
    assert_eq!(held(&engine), 65 * tally::VOTES_PER_MEMBER_MAX);
    assert_eq!(engine.view, View(1));

    // A justification of megabytes of forged nullifications, again and again.
    let forged = |view| cast.certificate_of(view, Kind::Nullify, &[1, 1, 1]);
    let mut skips: Vec<Certificate> = (1..2000).map(forged).collect();
    for skip in &mut skips {
        skip.signers = vec![0b0111];
        skip.signatures = vec![skip.signatures[0]; 3];
    }
    let huge = Justification { skips, ..Justification::first(Epoch(0)) };
    let punished = |out: &[Output], offence| out.iter().filter(|output| matches!(output, Output::Punish { offence: found, .. } if *found == offence)).count();
    for _ in 0..3 {
        let out = say(&mut engine, 1, Message::Justification(huge.clone()));
        assert_eq!(punished(&out, Offence::Justification), 1, "{out:?}");
    }
    // Signatures that are none, by members and by nobody; evidence that is none; blocks that nobody asked for.
    for signer in [1, 2, 3, 4, 600, u16::MAX] {
        let vote = SignedVote { signer, ..cast.vote(0, 2, Kind::Notarize(Hash([9; 32]))) };
        // Of a member it may be true until it matters; member 1 has said all it can.
        assert_eq!(punished(&say(&mut engine, 1, Message::Vote(vote)), Offence::Signature), usize::from(signer > 3));
        let other = SignedVote { signer, ..cast.vote(0, 2, Kind::Notarize(Hash([8; 32]))) };
        let evidence = crate::evidence::Evidence::new(vote, other).expect("it looks like one");
        let out = say(&mut engine, 1, Message::Evidence(Box::new(evidence)));
        assert_eq!(punished(&out, Offence::Evidence), usize::from(signer != 1), "member 1 is known to be faulty");
        assert!(!out.iter().any(|output| matches!(output, Output::Conflict(_) | Output::Broadcast(_))));
    }
    let stray = Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"stray"));
    for _ in 0..100 {
        say(&mut engine, 1, Message::Block(stray.clone()));
    }
    assert_eq!((engine.view, held(&engine), engine.blocks.len()), (View(1), 65 * tally::VOTES_PER_MEMBER_MAX + 2, 0));
    assert_eq!(engine.reported.len(), 1);
}

/// Who contradicts itself in a view that is final already, in a vote or in a certificate of old, is reported all the same.
#[test]
fn a_late_contradiction_is_reported() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let block = Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"one"));
    let hash = block.header.hash();
    let charged = |out: &[Output]| {
        out.iter().filter_map(|output| if let Output::Conflict(evidence) = output { Some(evidence.signer()) } else { None }).collect::<Vec<u16>>()
    };
    // Final by a certificate alone: what its signers said is known from nothing else.
    let mut engine = fresh(&cast, 3);
    say(&mut engine, 7, Message::Proposal(Proposal { vote: cast.vote(block.header.proposer, 1, Kind::Notarize(hash)), block }));
    engine.handle(Time(0), Input::Verified { block: hash, valid: true }, &mut Vec::new());
    let out = say(&mut engine, 7, Message::Certificate(cast.certificate_of(1, Kind::Finalize(hash), &[0, 1, 2])));
    assert!(out.iter().any(|output| matches!(output, Output::Finalized { .. })), "{out:?}");

    let forged = SignedVote { signer: 1, ..cast.vote(0, 1, Kind::Nullify) };
    let out = say(&mut engine, 7, Message::Vote(forged));
    assert!(matches!(out.as_slice(), [Output::Punish { peer: Peer(7), offence: Offence::Signature }]), "{out:?}");
    let out = say(&mut engine, 7, Message::Vote(cast.vote(1, 1, Kind::Nullify)));
    assert_eq!(charged(&out), [1]);
    assert!(out.iter().any(|output| matches!(output, Output::Broadcast(Message::Evidence(_)))), "{out:?}");
    assert!(charged(&say(&mut engine, 7, Message::Vote(cast.vote(1, 1, Kind::Nullify)))).is_empty(), "once");

    // An old certificate matters if, and only if, a signer of it is known to have said otherwise.
    assert!(charged(&say(&mut engine, 7, Message::Certificate(cast.certificate_of(1, Kind::Notarize(hash), &[0, 1, 2])))).is_empty());
    let mut forged = cast.certificate_of(1, Kind::Nullify, &[0, 2, 3]);
    forged.signatures[0].0[3] ^= 1;
    let out = say(&mut engine, 7, Message::Certificate(forged));
    assert!(matches!(out.as_slice(), [Output::Punish { offence: Offence::Certificate, .. }]), "{out:?}");
    assert_eq!(charged(&say(&mut engine, 7, Message::Certificate(cast.certificate_of(1, Kind::Nullify, &[0, 2, 3])))), [0, 2]);
}

/// The one node that a leader showed another block tells everybody of it, however soon the first is final and whichever it hears of first.
#[test]
fn a_second_block_is_exposed() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (first, second) = (Hash([1; 32]), Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"second")));
    let leader = second.header.proposer;
    let me = (leader + 1) % 4;
    let others: Vec<u16> = (0..4).filter(|member| *member != leader).collect();
    let vote = cast.vote(leader, 1, Kind::Notarize(second.header.hash()));
    let proposal = Message::Proposal(Proposal { block: second, vote });
    let votes = others.iter().map(|&other| Message::Vote(cast.vote(other, 1, Kind::Notarize(first)))).collect::<Vec<_>>();
    let certificate = Message::Certificate(cast.certificate_of(1, Kind::Finalize(first), &others));
    let is_told = |output: &Output| matches!(output, Output::Broadcast(Message::Vote(told)) if *told == vote);
    let orders: [Vec<Message>; 3] = [
        [proposal.clone(), certificate.clone()].into(),
        [certificate.clone(), proposal.clone(), certificate].into(),
        [proposal].into_iter().chain(votes).collect(),
    ];
    // Neither what is forged in others' names nor a finalization that its signer is never held to takes the leader's place.
    let decoys: Vec<SignedVote> = others.iter().map(|&other| SignedVote { signer: other, ..cast.vote(leader, 1, Kind::Finalize(Hash([9; 32]))) }).collect();
    let lone = cast.vote(me, 1, Kind::Finalize(Hash([8; 32])));
    for order in orders {
        for decoys in [&[][..], &decoys, &[lone]] {
            let (mut engine, mut out) = (fresh(&cast, me), Vec::new());
            for decoy in decoys {
                out.extend(say(&mut engine, 8, Message::Vote(*decoy)));
            }
            for message in order.clone() {
                out.extend(say(&mut engine, 7, message));
            }
            assert_eq!(out.iter().filter(|output| is_told(output)).count(), 1, "{decoys:?} {out:?}");
            let punished = out.iter().filter(|output| matches!(output, Output::Punish { peer: Peer(8), offence: Offence::Signature })).count();
            assert_eq!(punished, if decoys.len() == 3 { 3 } else { 0 }, "{decoys:?} {out:?}");
        }
    }
}
