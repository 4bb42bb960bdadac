//! Proposals: who pays, who votes with what, what is carried, and what nobody can do with it.

use super::*;
use crate::governance::{self, ACTIONS_MAX, Action, Choice, OPEN_MAX, Outcome, TEXT_BYTES_MAX, TITLE_BYTES_MAX};
use crate::staking;

/// The validators are persons 10 and 11; 2 and 3 delegate.
struct Stakes(World);

impl Stakes {
    /// Validator 10 has 1000 stos of its own; 11 has 500, of which 2 has 200.
    fn new() -> Self {
        let mut world = World::new();
        let mut fund = |to: u8, amount: u64| {
            world.run_by(2, Message::Send { to: person(to).address(), amount: Amount::stos(amount) }).expect("rich");
        };
        fund(11, 310);
        fund(10, 5);
        fund(3, 205);
        let key = node_key(11);
        let possession = world.possession(VALIDATOR_POSSESSION_ROLE, &key, &person(11).address());
        let (stake, commission) = (Amount::stos(300), staking::Commission::unlimited(0));
        world.run_by(11, Message::CreateValidator { key: key.public(), possession, stake, commission }).expect("made");
        world.run_by(2, Message::Delegate { validator: person(11).address(), amount: Amount::stos(200) }).expect("added");
        world.block(EPOCH_MS, Vec::new());
        Self(world)
    }

    fn by(&mut self, number: u8, message: Message) -> Result<Vec<Event>, String> {
        self.0.run_by(number, message)
    }

    fn propose(&mut self, actions: Vec<Action>) -> Result<u64, String> {
        let events = self.by(3, Message::Propose { title: "a change".into(), text: "because".into(), actions })?;
        let [Event::Proposed { proposal, .. }] = events[..] else { panic!("{events:?}") };
        Ok(proposal)
    }

    fn vote(&mut self, number: u8, proposal: u64, choice: Choice, with: &[u8]) -> Result<Vec<Event>, String> {
        let validators = with.iter().map(|number| person(*number).address()).collect();
        self.by(number, Message::VoteProposal { proposal, choice, validators })
    }

    fn end_epoch(&mut self) -> Vec<Event> {
        self.0.block(EPOCH_MS, Vec::new()).logs.iter().filter_map(Event::from_log).collect()
    }

    /// Ends the epochs of voting; what happened in the last.
    fn close(&mut self) -> Vec<Event> {
        let wait = self.parameters().governance_epochs;
        for _ in 0..wait {
            self.end_epoch();
        }
        self.end_epoch()
    }

    fn parameters(&self) -> Parameters {
        Parameters::read(self.0.state())
    }

    fn proposal(&self, number: u64) -> governance::Proposal {
        governance::proposal(self.0.state(), number).expect("made")
    }

    fn stos(&self, number: u64) -> [u128; 4] {
        self.proposal(number).votes.map(|votes| votes.0 / Amount::stos(1).0)
    }

    fn balance(&self, number: u8) -> Amount {
        accounts::read(self.0.state(), &person(number).address()).balance
    }
}

fn refused(result: Result<impl std::fmt::Debug, String>, why: &str) {
    assert!(matches!(&result, Err(text) if text.contains(why)), "{result:?} does not say: {why}");
}

fn set(name: &str, value: u128) -> Action {
    Action::SetParameter { name: name.into(), value }
}

#[test]
fn stake_changes_a_parameter() {
    let mut world = Stakes::new();
    let before = world.balance(3);
    let proposal = world.propose(vec![set("community_tax_bp", 300), set("claim_grace_ms", 1_234)]).expect("made");
    let deposit = world.parameters().governance_deposit;
    assert_eq!(Pools::read(world.0.state()).governance, deposit);
    world.vote(10, proposal, Choice::Yes, &[]).expect("it has a validator");
    assert_eq!(world.parameters().community_tax_bp, 200, "when its time is over, and not before");
    let events = world.close();
    let changed = |name: &str, before, after| Event::ParameterSet { name: name.into(), before, after };
    assert!(events.contains(&changed("community_tax_bp", 200, 300)) && events.contains(&changed("claim_grace_ms", 3_000, 1_234)), "{events:?}");
    assert_eq!((world.parameters().community_tax_bp, world.parameters().claim_grace_ms), (300, 1_234));
    let closed = world.proposal(proposal);
    assert_eq!((closed.outcome, closed.total), (Outcome::Carried, Amount::stos(1_500)));
    assert_eq!(world.stos(proposal), [1_000, 0, 0, 0]);
    assert!(before.0 - world.balance(3).0 < Amount::stos(1).0, "the deposit is returned");
    assert_eq!(Pools::read(world.0.state()).governance, Amount::ZERO);
    refused(world.vote(10, proposal, Choice::No, &[]), "is not open");
}

/// A delegator votes for itself, its validator with the rest; and with the same stake only once, wherever it goes.
#[test]
fn delegators_override_their_validator_and_vote_once() {
    let mut world = Stakes::new();
    let proposal = world.propose(Vec::new()).expect("a question without actions");
    world.vote(11, proposal, Choice::No, &[]).expect("it has a validator");
    refused(world.vote(2, proposal, Choice::Yes, &[]), "name the validators");
    refused(world.vote(2, proposal, Choice::Yes, &[10]), "has no stake of its own with the validator of");
    refused(world.vote(2, proposal, Choice::Yes, &[11, 11]), "is named twice");
    refused(world.vote(11, proposal, Choice::Yes, &[11]), "or is the voter's own");
    refused(world.vote(2, proposal, Choice::Yes, &[11; 17]), "at most 16");
    refused(world.vote(2, 7, Choice::Yes, &[11]), "proposal 7 is not open");
    world.vote(2, proposal, Choice::Abstain, &[11]).expect("its own");
    world.vote(2, proposal, Choice::Yes, &[11]).expect("another mind");
    // What it takes out, and moves to another validator, votes here no more.
    world.by(2, Message::Undelegate { validator: person(11).address(), amount: Amount::stos(50) }).expect("taken out");
    let (from, to) = (person(11).address(), person(10).address());
    world.by(2, Message::Redelegate { from, to, amount: Amount::stos(30) }).expect("moved");
    world.by(2, Message::Delegate { validator: person(11).address(), amount: Amount::stos(7) }).expect("added later: it votes with its validator");
    world.close();
    assert_eq!(world.stos(proposal), [120, 307, 0, 0]);
    assert_eq!(world.proposal(proposal).total, Amount::stos(1_457));
    assert_eq!(world.proposal(proposal).outcome, Outcome::Quorum, "less than a third");
}

#[test]
fn quorum_threshold_and_veto() {
    use Choice::{Abstain, No, Veto, Yes};
    // Of 1500 stos 10 has 1000, 11 has 300 and 2 has 200 with it.
    let cases: [(&[(u8, Choice)], Outcome); 9] = [
        (&[], Outcome::Quorum),
        (&[(11, Yes), (2, Yes)], Outcome::Quorum),
        (&[(11, Veto)], Outcome::Vetoed),
        (&[(10, Yes)], Outcome::Carried),
        (&[(10, No)], Outcome::Rejected),
        (&[(10, Abstain)], Outcome::Rejected),
        (&[(10, Abstain), (2, Yes)], Outcome::Carried),
        (&[(10, Yes), (11, Veto), (2, Veto)], Outcome::Carried),
        (&[(10, Veto), (11, Yes), (2, Yes)], Outcome::Vetoed),
    ];
    for (votes, expected) in cases {
        let mut world = Stakes::new();
        let before = (world.balance(3), Pools::read(world.0.state()).burned);
        let proposal = world.propose(vec![set("community_tax_bp", 300)]).expect("made");
        for (number, choice) in votes {
            let with: &[u8] = if *number == 2 { &[11] } else { &[] };
            world.vote(*number, proposal, *choice, with).expect("it may");
        }
        world.close();
        assert_eq!(world.proposal(proposal).outcome, expected, "{votes:?}");
        assert_eq!(world.parameters().community_tax_bp == 300, expected == Outcome::Carried);
        let lost = before.0.0 - world.balance(3).0;
        assert_eq!(lost >= Amount::stos(100).0, expected == Outcome::Vetoed, "{lost}");
        assert_eq!(Pools::read(world.0.state()).burned.0 - before.1.0 >= Amount::stos(100).0, expected == Outcome::Vetoed);
    }
}

/// All actions or none; the community pool never pays more than it holds.
#[test]
fn actions_take_effect_together() {
    let mut world = Stakes::new();
    let mut state = world.0.state().child();
    pools::transfer(&mut state, Pool::Reserve, Pool::Community, Amount::stos(10)).expect("there");
    world.0.parent.state = state.seal();
    world.0.block(1, Vec::new());
    let spend = |stos: u64| Action::Spend { to: person(77).address(), amount: Amount::stos(stos) };
    let proposals = [vec![spend(6)], vec![set("community_tax_bp", 300), spend(5)]].map(|actions| {
        let proposal = world.propose(actions).expect("made");
        world.vote(10, proposal, Choice::Yes, &[]).expect("it may");
        proposal
    });
    let events = world.close();
    assert!(events.contains(&Event::CommunitySpent { to: person(77).address(), amount: Amount::stos(6) }));
    assert_eq!((world.balance(77), world.proposal(proposals[0]).outcome), (Amount::stos(6), Outcome::Carried));
    assert!(matches!(world.proposal(proposals[1]).outcome, Outcome::Failed(cause) if cause.contains("Community holds")));
    assert_eq!(world.parameters().community_tax_bp, 200);
    // In whatever order.
    let together = world.propose(vec![set("evidence_epochs", 5), set("unbonding_epochs", 6)]).expect("made");
    world.vote(10, together, Choice::Yes, &[]).expect("it may");
    world.close();
    assert_eq!(world.proposal(together).outcome, Outcome::Carried);
    assert_eq!((world.parameters().evidence_epochs, world.parameters().unbonding_epochs), (5, 6));
    // What was possible when it was proposed, and is not any more when it is carried.
    let proposals = [vec![set("unbonding_epochs", 5)], vec![set("evidence_epochs", 6)]].map(|actions| {
        let proposal = world.propose(actions).expect("made");
        world.vote(10, proposal, Choice::Yes, &[]).expect("it may");
        proposal
    });
    world.close();
    assert_eq!(world.proposal(proposals[0]).outcome, Outcome::Carried);
    assert!(matches!(world.proposal(proposals[1]).outcome, Outcome::Failed(cause) if cause.contains("who is guilty would be gone")));
    world.parameters().check().expect("possible");
}

/// Governance removes a meta node whatever the others say, in time for the next set; the last it does not.
#[test]
fn a_veto_against_a_meta_node() {
    for (metas, is_removed) in [(&[20, 21][..], true), (&[20], false)] {
        let mut world = Stakes::new();
        activate(&mut world.0, metas);
        world.0.block(1, Vec::new());
        let proposal = world.propose(vec![Action::RemoveMeta { operator: person(20).address() }]).expect("made");
        world.vote(10, proposal, Choice::Yes, &[]).expect("it may");
        let events = world.close();
        assert_eq!(events.contains(&Event::MetaLeft { operator: person(20).address() }), is_removed);
        let left = meta_registry::electorate(world.0.state(), &meta_registry::sets(world.0.state()).last().expect("a set").members).expect("members");
        assert_eq!(left.list().iter().any(|member| member.key == node_key(20).public()), !is_removed);
        assert_eq!(matches!(world.proposal(proposal).outcome, Outcome::Failed(_)), !is_removed);
    }
}

/// When nobody is left that could vote for an applicant, stake can.
#[test]
fn stake_admits_a_meta_node() {
    let mut world = Stakes::new();
    activate(&mut world.0, &[20]);
    world.0.block(1, Vec::new());
    let propose = |world: &mut Stakes, number| {
        let proposal = world.propose(vec![Action::AdmitMeta { operator: person(number).address() }]).expect("made");
        world.vote(10, proposal, Choice::Yes, &[]).expect("it may");
        proposal
    };
    let too_early = propose(&mut world, 21);
    let admitted = Event::MetaAdmitted { operator: person(21).address() };
    assert!(!world.close().contains(&admitted), "one is left that votes");
    assert!(matches!(world.proposal(too_early).outcome, Outcome::Failed(cause) if cause.contains("active meta nodes: 1; they vote")));
    activate(&mut world.0, &[]);
    world.0.block(1, Vec::new());
    let stranger = [99, 21].map(|number| propose(&mut world, number))[0];
    assert!(world.close().contains(&admitted));
    assert!(matches!(world.proposal(stranger).outcome, Outcome::Failed(cause) if cause.contains("has not applied")));
}

#[test]
fn proposals_are_refused_by_name() {
    let mut world = Stakes::new();
    let root = |world: &Stakes| world.0.state().get(&crate::keys::agenda());
    let before = root(&world);
    let long = |world: &mut Stakes, title: usize, text: usize, actions: Vec<Action>| {
        world.by(3, Message::Propose { title: "x".repeat(title), text: "y".repeat(text), actions })
    };
    refused(long(&mut world, TITLE_BYTES_MAX + 1, 0, Vec::new()), "bytes of a title: 129; at most 128");
    refused(long(&mut world, 0, TEXT_BYTES_MAX + 1, Vec::new()), "bytes of a text: 2049; at most 2048");
    refused(long(&mut world, 0, 0, vec![set("community_tax_bp", 300); ACTIONS_MAX + 1]), "actions: 9; at most 8");
    refused(world.propose(vec![set("speed", 3)]), "there is no parameter `speed`");
    refused(world.propose(vec![set(&"z".repeat(65), 3)]), "bytes of a parameter's name: 65; at most 64");
    refused(world.propose(vec![set("community_tax_bp", 10_001)]), "parameter community_tax_bp: 10001 basis points; 0 to 10000 are possible");
    refused(world.propose(vec![set("community_tax_bp", 0)]), "parameter subsidy_bp");
    refused(world.propose(vec![Action::Spend { to: person(1).address(), amount: Amount::ZERO }]), "spends 0 wei");
    refused(world.by(10, Message::Propose { title: String::new(), text: String::new(), actions: Vec::new() }), "are missing");
    assert_eq!(root(&world), before);
    for _ in 0..2 {
        world.propose(Vec::new()).expect("it can pay two deposits");
    }
    let mut state = world.0.state().child();
    let agenda = governance::Agenda { next: 99, open: (0..).take(OPEN_MAX).collect() };
    crate::keys::write(&mut state, &crate::keys::agenda(), &agenda);
    let refusal = governance::propose(&mut state, &person(2).address(), "", "", &[]).expect_err("full");
    assert!(refusal.to_string().contains("open proposals: 17; at most 16"), "{refusal}");
}
