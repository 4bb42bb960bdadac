//! Planted violations: the observer finds each.

use std::collections::BTreeSet;
use std::sync::Arc;

use consensus::engine::Offence;
use consensus::slot::{Closed, Slot};
use consensus::vote::Kind;
use consensus::{Block, Certificate, Finality, Header, Justification, Members, Peer, Times, Vote};
use primitives::{SecretKey, Signature, Time};

use super::*;
use crate::disk::SlotRecord;
use crate::ledger::Ledger;
use crate::ledger::plain::{EpochRule, Genesis, Plain, seed};
use crate::model::Forbidden;
use crate::world::secret;

const CHAIN: Hash = Hash([5; 32]);

/// Four nodes of equal weight, and what can be forged among them.
struct Stage {
    secrets: Vec<SecretKey>,
    members: Members,
    genesis: Header,
    observer: Observer,
}

impl Stage {
    /// The nodes whose keys have these places among the members lie; `is_safe` is what the observer is told.
    fn new(liars: &[usize], is_safe: bool) -> Self {
        let mut secrets: Vec<SecretKey> = (0..4).map(secret).collect();
        secrets.sort_by_key(SecretKey::public);
        let weights = secrets.iter().map(|secret| (secret.public(), 1)).collect();
        let genesis = Arc::new(Genesis { chain: CHAIN, weights, capped: BTreeSet::new(), rule: EpochRule::Never, time: Time(1000) });
        let ledger = Plain::new(genesis.clone(), 0);
        let opening = ledger.opening();
        let calm = Calm { from: 0, delay: 10 * MILLI, work: 0, times: Times::DEV };
        let liars = liars.iter().map(|place| secrets[*place].public()).collect();
        let terms = Terms { chain: CHAIN, honest: vec![true; 4], liars, is_safe, is_corrupting: false, is_wiping: false, calm };
        let mut observer = Observer::new(terms, genesis.header(), Box::new(ledger));
        (0..4).for_each(|node| observer.effect(0, node, &Effect::Opened(opening.clone()), |_| true).expect("the first epoch"));
        Self { secrets, members: opening.members, genesis: genesis.header(), observer }
    }

    fn effect(&mut self, node: usize, effect: Effect) -> Result<(), Violation> {
        self.observer.effect(MILLI, node, &effect, |_| true)
    }

    fn signed(&self, signer: u16, view: u64, kind: Kind) -> SignedVote {
        let vote = Vote { epoch: Epoch(0), view: View(view), kind };
        let signature = self.secrets[usize::from(signer)].sign_deterministic(&Vote::context(CHAIN), &vote.sign_bytes(self.members.hash()));
        SignedVote { vote, signer, signature }
    }

    /// The node of this place releases a vote, and its disk holds it.
    fn release(&mut self, signer: u16, view: u64, kind: Kind) -> Result<(), Violation> {
        let signed = self.signed(signer, view, kind);
        let (notarized, closed) = match kind {
            Kind::Notarize(hash) => (Some(hash), None),
            Kind::Nullify => (None, Some(Closed::Nullify)),
            Kind::Finalize(hash) => (None, Some(Closed::Finalize(hash))),
        };
        let slot = Slot { epoch: Epoch(0), view: View(view), notarized, closed };
        let record = Some(SlotRecord { version: 1, sequence: view, chain: CHAIN, key: self.secrets[usize::from(signer)].public(), slot });
        self.effect(usize::from(signer), Effect::Released { signed, members: self.members.hash(), record })
    }

    /// Somebody says this in the name of the node of this place.
    fn overhear(&mut self, signer: u16, view: u64, kind: Kind) {
        let signed = self.signed(signer, view, kind);
        self.observer.overheard(&Message::Vote(signed));
    }

    fn certificate(&self, view: u64, kind: Kind) -> Certificate {
        let vote = Vote { epoch: Epoch(0), view: View(view), kind };
        Certificate::new(vote, &self.members, (0..3).map(|signer| (signer, Signature([0; 64]))))
    }

    /// A block of `view` on `parent`, with all nullifications between them.
    fn block(&self, parent: &Header, view: u64, time: u64) -> Arc<Block> {
        let base = if parent.view.0 == 0 { Base::Start } else { Base::Certified(self.certificate(parent.view.0, Kind::Notarize(parent.hash()))) };
        let skips = (parent.view.0 + 1..view).map(|view| self.certificate(view, Kind::Nullify)).collect();
        let justification = Justification { epoch: Epoch(0), base, skips };
        let electorate = self.observer.votes.electorate(self.members.hash()).expect("known");
        let proposer = u16::try_from(chains::leader(seed(CHAIN, Epoch(0)), Epoch(0), View(view), electorate)).expect("four");
        let header = Header {
            view: View(view),
            height: parent.height.next(),
            parent: parent.hash(),
            parent_view: parent.view,
            justification: justification.digest(),
            time: Time(parent.time.0 + time),
            proposer,
            payload: Hash([1; 32]),
            ..self.genesis.clone()
        };
        Arc::new(Block { header, justification, payload: Vec::new() })
    }

    /// Node `node` gives the block out as final.
    fn finalize(&mut self, node: usize, block: &Arc<Block>) -> Result<(), Violation> {
        let certificate = self.certificate(block.header.view.0, Kind::Finalize(block.header.hash()));
        self.effect(node, Effect::Final { blocks: vec![block.clone()], finality: Finality::direct(certificate), closing: vec![], executed: true })
    }
}

const EVERYBODY: [usize; 4] = [0, 1, 2, 3];
const A: Hash = Hash([0xaa; 32]);

/// Two blocks at one height. The blocks execute nothing here, so the forged ones are judged before their payload is.
#[test]
fn agreement() {
    let mut stage = Stage::new(&EVERYBODY, true);
    let (one, other) = (stage.block(&stage.genesis, 1, 1), stage.block(&stage.genesis, 1, 2));
    let _ = stage.finalize(0, &one);
    stage.observer.chains.canonical = vec![consensus::message::Stored { block: one, finality: None, closing: vec![] }];
    assert!(matches!(stage.finalize(1, &other), Err(Violation::Agreement { node: 1, height: Height(1), .. })));
}

#[test]
fn validity() {
    let mut stage = Stage::new(&EVERYBODY, true);
    let genesis = stage.genesis.clone();
    let cause = |result: Result<(), Violation>| match result {
        Err(Violation::Validity { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    let first = stage.block(&genesis, 1, 1);
    let second = stage.block(&first.header, 2, 1);
    assert_eq!(cause(stage.finalize(0, &second)), "it does not follow the block before it");
    let still = stage.block(&genesis, 1, 0);
    assert_eq!(cause(stage.finalize(0, &still)), "it does not follow the block before it");
    let mut usurped = (*first).clone();
    usurped.header.proposer = (usurped.header.proposer + 1) % 4;
    assert_eq!(cause(stage.finalize(0, &Arc::new(usurped))), "another member leads its view");
    let mut skipping = (*stage.block(&genesis, 3, 1)).clone();
    skipping.justification.skips.pop();
    assert_eq!(cause(stage.finalize(0, &Arc::new(skipping))), "views are missing between the block and its parent");
    let finality = Finality::direct(stage.certificate(1, Kind::Finalize(A)));
    let other = Effect::Final { blocks: vec![first.clone()], finality: finality.clone(), closing: vec![], executed: true };
    assert_eq!(cause(stage.effect(0, other)), "its proof finalizes another block");
    let unexecuted = Effect::Final { blocks: vec![first.clone()], finality, closing: vec![], executed: false };
    assert_eq!(cause(stage.effect(0, unexecuted)), "the node did not execute it");
    assert_eq!(cause(stage.finalize(0, &first)), "it does not execute");
    // Nobody nullified view 1, and no liar can.
    let mut honest = Stage::new(&[], true);
    let skipping = honest.block(&genesis, 2, 1);
    assert_eq!(cause(honest.finalize(0, &skipping)), "a view between the block and its parent was not nullified");
}

#[test]
fn quorums_of_one_view() {
    let mut stage = Stage::new(&[2, 3], true);
    let (one, other) = (stage.block(&stage.genesis, 1, 1), stage.block(&stage.genesis, 1, 2));
    stage.effect(0, Effect::Kept(one.clone())).expect("seen");
    stage.effect(0, Effect::Kept(other.clone())).expect("seen");
    stage.release(0, 1, Kind::Notarize(one.header.hash())).expect("one block");
    assert!(matches!(stage.release(1, 1, Kind::Notarize(other.header.hash())), Err(Violation::Notarizations { view: View(1), .. })));

    let mut stage = Stage::new(&[2, 3], true);
    stage.effect(0, Effect::Kept(one.clone())).expect("seen");
    stage.release(0, 1, Kind::Notarize(one.header.hash())).expect("one block");
    (2..4).for_each(|liar| stage.overhear(liar, 1, Kind::Notarize(one.header.hash())));
    stage.release(0, 1, Kind::Finalize(one.header.hash())).expect("notarized with the liars");
    assert!(matches!(stage.release(1, 1, Kind::Nullify), Err(Violation::Nullified { view: View(1), .. })));
}

#[test]
fn certificates() {
    let mut stage = Stage::new(&[3], true);
    let first = stage.block(&stage.genesis, 1, 1);
    let hash = first.header.hash();
    assert!(matches!(stage.finalize(0, &first), Err(Violation::Forged { cause: "an honest signer never released", .. })));
    for signer in 0..3 {
        assert!(matches!(stage.release(signer, 1, Kind::Finalize(hash)), Err(Violation::Refinement { cause: Forbidden::Unnotarized, .. })));
    }
    assert!(matches!(stage.finalize(0, &first), Err(Violation::Unnotarized { weight: 1, total: 4, .. })));
    let mut padded = stage.certificate(1, Kind::Finalize(hash));
    padded.signers[0] |= 0x80;
    let say = |certificate| Effect::Say { to: None, message: Message::Certificate(certificate), after: 0 };
    assert!(matches!(stage.effect(0, say(padded)), Err(Violation::Forged { cause: "names a signer who does not exist", .. })));
    let mut weak = stage.certificate(1, Kind::Finalize(hash));
    weak.signers[0] = 0b011;
    weak.signatures.pop();
    assert!(matches!(stage.effect(0, say(weak)), Err(Violation::Forged { cause: "is no quorum's", .. })));
}

#[test]
fn equivocation_durability_and_order() {
    let mut stage = Stage::new(&[], true);
    stage.release(0, 1, Kind::Nullify).expect("allowed");
    assert!(matches!(stage.release(0, 1, Kind::Finalize(A)), Err(Violation::Equivocation { .. })));
    let signed = stage.signed(1, 1, Kind::Nullify);
    let released = Effect::Released { signed, members: stage.members.hash(), record: None };
    assert!(matches!(stage.effect(1, released), Err(Violation::NotDurable { node: 1, .. })));
    let said = Effect::Say { to: None, message: Message::Vote(stage.signed(2, 1, Kind::Nullify)), after: 0 };
    assert!(matches!(stage.effect(2, said), Err(Violation::NotDurable { node: 2, .. })));
    assert!(matches!(stage.release(1, 5, Kind::Nullify), Err(Violation::Refinement { cause: Forbidden::Unjustified, .. })));
    assert!(matches!(stage.release(1, 3, Kind::Nullify), Err(Violation::Backwards { node: 1, .. })));
    assert!(matches!(stage.release(2, 1, Kind::Notarize(A)), Err(Violation::Refinement { cause: Forbidden::Unproposed, .. })));
}

/// (f): votes that nothing but the model's rules is against, of blocks with whole justifications that only liars could have signed and did not.
#[test]
fn the_model_forbids() {
    let forbidden = |result: Result<(), Violation>| match result {
        Err(Violation::Refinement { cause, asked, .. }) => (cause, asked),
        other => panic!("{other:?}"),
    };
    let mut stage = Stage::new(&[2, 3], true);
    let first = stage.block(&stage.genesis, 1, 1);
    let (second, third) = (stage.block(&first.header, 2, 1), stage.block(&first.header, 3, 1));
    let hash = |block: &Arc<Block>| block.header.hash();
    for block in [&first, &second, &third] {
        stage.effect(0, Effect::Kept(block.clone())).expect("seen");
    }
    stage.release(0, 1, Kind::Notarize(hash(&first))).expect("on the start");
    assert_eq!(forbidden(stage.release(1, 2, Kind::Notarize(hash(&second)))), (Forbidden::Base(1), 2));
    // The liars' signatures count wherever they are seen, and only theirs.
    stage.overhear(2, 1, Kind::Notarize(hash(&first)));
    stage.overhear(1, 1, Kind::Notarize(hash(&first)));
    let vote = Vote { epoch: Epoch(0), view: View(1), kind: Kind::Notarize(hash(&first)) };
    let forged = Certificate::new(vote, &stage.members, [(3, Signature([0; 64]))]);
    stage.observer.overheard(&Message::Certificate(forged));
    assert_eq!(forbidden(stage.release(0, 1, Kind::Finalize(hash(&first)))), (Forbidden::Unnotarized, 3));
    let alone = Certificate::new(vote, &stage.members, [(3, stage.signed(3, 1, vote.kind).signature)]);
    stage.observer.overheard(&Message::Certificate(alone));
    stage.release(0, 2, Kind::Notarize(hash(&second))).expect("its parent is notarized");
    assert_eq!(forbidden(stage.release(1, 3, Kind::Notarize(hash(&third)))), (Forbidden::Skip(2), 5));
    // Where all tips are proved nobody votes any more.
    let mut stage = Stage::new(&[], true);
    (0..4).for_each(|node| stage.observer.guards.finalized(node, Epoch(0), View(2)));
    assert_eq!(forbidden(stage.release(0, 1, Kind::Nullify)), (Forbidden::Earlier { found: 1, least: 2 }, 1));
}

/// An ordinary block after an epoch's last one.
#[test]
fn open_ends() {
    let mut stage = Stage::new(&[], true);
    let mut last = (*stage.block(&stage.genesis, 1, 1)).clone();
    last.header.next_members = stage.members.hash();
    let after = stage.block(&last.header, 2, 1);
    let closing = Header { next_members: last.header.next_members, payload: Hash::ZERO, ..after.header.clone() };
    let closing = Arc::new(Block { header: closing, ..(*after).clone() });
    stage.effect(0, Effect::Asked(Arc::new(last))).expect("on the start");
    assert!(matches!(stage.effect(0, Effect::Asked(after)), Err(Violation::OpenEnd { node: 0, .. })));
    assert_eq!(stage.effect(0, Effect::Asked(closing)), Ok(()));
}

#[test]
fn forks_need_culprits() {
    let mut stage = Stage::new(&EVERYBODY, false);
    let (one, other) = (stage.block(&stage.genesis, 1, 1), stage.block(&stage.genesis, 1, 2));
    stage.finalize(0, &one).expect("the first");
    assert!(matches!(stage.finalize(1, &other), Err(Violation::Unaccountable { first: 0, second: 1, height: Height(1), .. })), "no signature is real");
}

#[test]
fn framing() {
    let mut stage = Stage::new(&[3], true);
    let (nullify, finalize) = (stage.signed(0, 1, Kind::Nullify), stage.signed(0, 1, Kind::Finalize(A)));
    let evidence = Evidence::new(nullify, finalize).expect("a conflict");
    assert!(matches!(stage.effect(1, Effect::Conflict(evidence)), Err(Violation::Framed { .. })));
    let accusation = Effect::Say { to: None, message: Message::Evidence(Box::new(evidence)), after: 0 };
    assert!(matches!(stage.effect(1, accusation), Err(Violation::Framed { .. })));
    stage.observer.overheard(&Message::Vote(nullify));
    assert_eq!(stage.observer.finish(), Ok(()));
    stage.observer.overheard(&Message::Vote(finalize));
    assert!(matches!(stage.observer.finish(), Err(Violation::Framed { .. })));
    let of_liar = Evidence::new(stage.signed(3, 1, Kind::Nullify), stage.signed(3, 1, Kind::Finalize(A))).expect("a conflict");
    assert_eq!(stage.effect(1, Effect::Conflict(of_liar)), Ok(()));
    assert!(matches!(stage.effect(1, Effect::Punished(Peer(1002), Offence::Block)), Err(Violation::Slandered { node: 1, peer: 2, .. })));
}

#[test]
fn memory_and_monotony() {
    let mut stage = Stage::new(&[], true);
    let load = Load {
        epoch: Epoch(0),
        view: View(5),
        height: Height(4),
        views: 1,
        votes_per_member: 1,
        blocks: 1,
        recent: 1,
        certificates: 1,
        peers: 3,
        followers: 0,
        fetches: 0,
    };
    let observer = &mut stage.observer;
    assert_eq!(observer.look(0, 1, load), Ok(()));
    for (what, more) in [
        ("views", Load { views: 130, ..load }),
        ("votes of a member in a view", Load { votes_per_member: 6, ..load }),
        ("undecided blocks", Load { blocks: 577, ..load }),
        ("recent blocks", Load { recent: 9, ..load }),
        ("verified certificates", Load { certificates: 4097, ..load }),
        ("peers", Load { peers: 1025, ..load }),
        ("followers", Load { followers: 65, ..load }),
        ("requests", Load { fetches: 17, ..load }),
    ] {
        assert!(matches!(observer.look(0, 1, more), Err(Violation::Memory { what: found, .. }) if found == what));
    }
    assert!(matches!(observer.look(0, 1, Load { view: View(4), ..load }), Err(Violation::Backwards { what: "view", .. })));
    assert!(matches!(observer.look(0, 1, Load { view: View(6), height: Height(3), ..load }), Err(Violation::Backwards { what: "height", .. })));
    assert_eq!(observer.look(0, 3, Load { view: View(1), height: Height(3), ..load }), Ok(()), "another life");
}

#[test]
fn handover_halt_and_order() {
    let mut stage = Stage::new(&[], true);
    let start = Header { height: Height(1), ..stage.genesis.clone() };
    let opening = Opening { epoch: Epoch(1), members: stage.members.clone(), seed: seed(CHAIN, Epoch(1)), start: start.clone() };
    assert!(matches!(stage.effect(0, Effect::Opened(opening.clone())), Err(Violation::Handover { epoch: Epoch(1), .. })), "the block names nobody");
    let mut stage = Stage::new(&[], true);
    let start = Header { next_members: stage.members.hash(), ..start };
    stage.effect(0, Effect::Opened(Opening { start: start.clone(), ..opening.clone() })).expect("named");
    let other = Header { time: Time(7), ..start };
    assert!(matches!(stage.effect(1, Effect::Opened(Opening { start: other, ..opening })), Err(Violation::Handover { node: 1, .. })), "another start");
    let halt = Halt::Invalid { height: Height(1), hash: A };
    assert!(matches!(stage.effect(1, Effect::Halted(halt)), Err(Violation::Halted { node: 1, .. })));
    assert!(matches!(stage.effect(1, Effect::OutOfOrder(A)), Err(Violation::OutOfOrder { node: 1, .. })));
}

#[test]
fn liveness() {
    let mut stage = Stage::new(&[], true);
    let progress = &mut stage.observer.progress;
    let honest = |_| false;
    assert_eq!(progress.check(0, 1000 * MILLI, Epoch(0), View(1), true, honest), Ok(()));
    assert_eq!(progress.check(0, 1030 * MILLI, Epoch(0), View(2), true, honest), Ok(()));
    assert_eq!(progress.check(0, 1060 * MILLI, Epoch(0), View(3), false, honest), Ok(()));
    assert!(matches!(progress.check(0, 2000 * MILLI, Epoch(0), View(3), false, honest), Err(Violation::Stalled { node: 0, skipped: 0, .. })));
    assert_eq!(progress.check(0, 2000 * MILLI, Epoch(0), View(3), true, |view| view == 3), Ok(()), "a liar led the view");
    // In the next epoch nothing can be final before a quorum has begun it, and soon after that something must be.
    assert_eq!(progress.check(0, 9000 * MILLI, Epoch(1), View(1), false, honest), Ok(()));
    progress.begins(0, 2100 * MILLI, Epoch(1), |nodes| nodes.len() > 1);
    assert_eq!(progress.check(0, 9000 * MILLI, Epoch(1), View(1), false, honest), Ok(()));
    progress.begins(1, 8900 * MILLI, Epoch(1), |nodes| nodes.len() > 1);
    assert_eq!(progress.check(0, 9000 * MILLI, Epoch(1), View(1), false, honest), Ok(()));
    assert!(matches!(progress.check(0, 19_000 * MILLI, Epoch(1), View(1), false, honest), Err(Violation::Stalled { node: 0, .. })));
}

/// A block that an honest leader proposed and somebody finalized by vote, in calm times, is missing from the chain.
#[test]
fn dropped_blocks() {
    let stage = Stage::new(&[], true);
    let electorate = stage.observer.votes.electorate(stage.members.hash()).expect("known");
    let honest = chains::leader(seed(CHAIN, Epoch(0)), Epoch(0), View(2), electorate);
    let liars: Vec<usize> = EVERYBODY.into_iter().filter(|place| *place != honest).collect();
    let mut stage = Stage::new(&liars, true);
    let first = stage.block(&stage.genesis, 1, 1);
    let (dropped, third) = (stage.block(&first.header, 2, 1), stage.block(&first.header, 3, 1));
    // The planted blocks execute nothing, which is noticed too; what was noted before is enough.
    for block in [&first, &third] {
        let _ = stage.finalize(0, block);
        let height = usize::try_from(block.header.height.0).expect("small");
        stage.observer.chains.canonical.resize(height, consensus::message::Stored { block: block.clone(), finality: None, closing: vec![] });
    }
    stage.observer.calm_since.insert(Epoch(0), View(1));
    stage.effect(0, Effect::Kept(dropped.clone())).expect("seen");
    assert_eq!(stage.observer.finish(), Ok(()));
    // That the liars could nullify the view as well is noticed first.
    let _ = stage.release(u16::try_from(honest).expect("four"), 2, Kind::Finalize(dropped.header.hash()));
    assert!(matches!(stage.observer.finish(), Err(Violation::Dropped { view: View(2), .. })));
}
