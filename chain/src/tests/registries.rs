//! Who joins, leaves and is suspended: the life of meta and resource nodes, and what nobody may do with it.

use super::*;
use crate::ballots::{self, BALLOTS_MAX, BALLOTS_OF_ONE_MAX, Ballot, Motion};
use crate::meta_registry::{META_SETS_EPOCHS, Status as MetaStatus};
use crate::resource::{PAGE, Status as ResourceStatus};

impl World {
    fn by(&mut self, number: u8, message: Message) -> Result<Vec<Event>, String> {
        self.run_by(number, message)
    }

    fn vote(&mut self, number: u8, motion: Motion) -> Result<Vec<Event>, String> {
        self.by(number, Message::VoteMeta { motion })
    }

    fn fund(&mut self, numbers: &[u8], stos: u64) {
        for number in numbers {
            let transfer = Message::Send { to: person(*number).address(), amount: Amount::stos(stos) };
            self.by(2, transfer).expect("rich");
        }
    }

    /// Ends the epoch; what happened.
    fn end_epoch(&mut self) -> Vec<Event> {
        self.block(EPOCH_MS, Vec::new()).logs.iter().filter_map(Event::from_log).collect()
    }

    fn meta(&self, number: u8) -> Option<MetaNode> {
        meta_registry::read(self.state(), &person(number).address())
    }

    fn carrier(&self, number: u8) -> Option<resource::ResourceNode> {
        resource::read(self.state(), &person(number).address())
    }

    fn apply(&mut self, number: u8, deposit: Amount) -> Result<Vec<Event>, String> {
        let key = node_key(number);
        let possession = self.possession(POSSESSION_ROLE, &key, &person(number).address());
        self.by(number, Message::RegisterMeta { node: identity(&key), possession, deposit })
    }

    /// Four active meta nodes with coins for fees.
    fn with_four_metas() -> Self {
        let mut world = Self::new();
        activate(&mut world, &[20, 21, 22, 23]);
        world.fund(&[20, 21, 22, 23, 24, 30, 31], 5);
        world.fund(&[25], 200);
        world.end_epoch();
        world
    }

    /// Reports without traffic, until everything before `epoch` is reported, and settled as far as its challenge is over.
    fn settle_up_to(&mut self, epoch: Epoch) {
        while settlement::progress(self.state()).epoch < epoch {
            let next = settlement::progress(self.state()).epoch;
            if next == epochs::current(self.state()).number {
                self.end_epoch();
            }
            let (report, mut parts) = self.report(next, &[]);
            self.run_by(2, Message::Settle { report, part: parts.pop().map(Box::new) }).expect("it holds");
        }
        let wait = Parameters::read(self.state()).challenge_epochs;
        for _ in 0..=wait {
            self.end_epoch();
        }
        while settlement::progress(self.state()).unsettled < epoch {
            self.block(1, Vec::new());
        }
    }

    fn market_is_true(&self) {
        let metas = meta_registry::nodes(self.state()).into_iter().filter(|node| node.status == MetaStatus::Active).map(|node| node.deposit.0);
        let carriers = resource::operators(self.state()).into_iter().filter_map(|operator| resource::read(self.state(), &operator));
        let carriers = carriers.filter(|node| node.status == ResourceStatus::Active).map(|node| node.deposit.0);
        assert_eq!(market::read(self.state()).deposits.0, metas.chain(carriers).sum::<u128>(), "S is the sum of the active deposits");
    }
}

fn refused(result: Result<Vec<Event>, String>, why: &str) {
    assert!(matches!(&result, Err(text) if text.contains(why)), "{result:?} does not say: {why}");
}

/// In the original network an invalid voter is noticed and the vote goes on, so anybody admits a meta node.
#[test]
fn nobody_but_the_active_admits_a_meta_node() {
    let mut world = World::with_four_metas();
    let admit = Motion::Admit(person(25).address());
    refused(world.vote(20, admit), "that node is no meta node");
    world.apply(25, Amount::stos(100)).expect("it applies");
    for stranger in [2, 24, 25, 30] {
        refused(world.vote(stranger, admit), "operates no active meta node");
    }
    for voter in [20, 21] {
        world.vote(voter, admit).expect("active");
    }
    refused(world.vote(20, admit), "has voted to admit");
    world.end_epoch();
    assert_eq!(world.meta(25).expect("there").status, MetaStatus::Applicant, "two of four are not more than two thirds");
    world.vote(22, admit).expect("active");
    assert_eq!(world.meta(25).expect("there").status, MetaStatus::Applicant, "it is counted when the epoch ends");
    let members = |world: &World| meta_registry::sets(world.state()).last().expect("a set").members;
    let before = members(&world);
    assert!(world.end_epoch().contains(&Event::MetaAdmitted { operator: person(25).address() }));
    assert_eq!(world.meta(25).expect("there").status, MetaStatus::Active);
    assert_ne!(members(&world), before, "the set with it is remembered at once");
    assert!(ballots::open(world.state()).is_empty() && ballots::read(world.state(), &admit).is_none());
    world.market_is_true();
    refused(world.vote(20, admit), "that node is active");
}

/// A vote of somebody that is active no more when it is counted counts for nothing.
#[test]
fn who_left_has_no_vote_any_more() {
    let mut world = World::with_four_metas();
    world.apply(25, Amount::stos(100)).expect("it applies");
    let admit = Motion::Admit(person(25).address());
    for voter in [20, 21, 22] {
        world.vote(voter, admit).expect("active");
    }
    world.by(22, Message::LeaveRegistry).expect("it leaves");
    world.end_epoch();
    assert_eq!(world.meta(25).expect("there").status, MetaStatus::Applicant, "two of three are not more than two thirds");
    world.vote(23, admit).expect("active");
    world.end_epoch();
    assert_eq!(world.meta(25).expect("there").status, MetaStatus::Active);
}

/// Applications and ballots end by themselves, and what was taken for them is returned.
#[test]
fn applications_and_ballots_end() {
    let mut world = World::with_four_metas();
    refused(world.apply(25, Amount(Amount::stos(100).0 - 1)), "needs at least");
    let before = accounts::read(world.state(), &person(25).address()).balance;
    world.apply(25, Amount::stos(100)).expect("it applies");
    let opened = epochs::current(world.state()).number;
    let (admit, expel) = (Motion::Admit(person(25).address()), Motion::Expel(person(23).address()));
    world.vote(20, admit).expect("active");
    world.vote(20, expel).expect("active");
    let wait = Parameters::read(world.state()).ballot_epochs;
    for _ in 0..wait {
        assert!(world.end_epoch().iter().all(|event| !matches!(event, Event::DepositReturned { operator, .. } if *operator == person(25).address())));
        assert_eq!(ballots::open(world.state()), [admit, expel]);
    }
    let ended = world.end_epoch();
    for event in [
        Event::DepositReturned { operator: person(25).address(), amount: Amount::stos(100) },
        Event::MotionDropped { motion: admit },
        Event::MotionDropped { motion: expel },
    ] {
        assert!(ended.contains(&event), "{ended:?}");
    }
    assert_eq!(epochs::current(world.state()).number.0, opened.0 + wait + 1);
    assert!(ballots::open(world.state()).is_empty() && world.meta(25).is_none());
    let after = accounts::read(world.state(), &person(25).address()).balance;
    assert!(before.0 - after.0 < Amount::stos(1).0, "less a fee");
    // It may apply again, and take it back.
    world.apply(25, Amount::stos(100)).expect("it applies");
    let returned = world.by(25, Message::LeaveRegistry).expect("taken back");
    assert_eq!(returned, [Event::DepositReturned { operator: person(25).address(), amount: Amount::stos(100) }]);
    assert!(meta_registry::operators(world.state()).iter().all(|operator| *operator != person(25).address()));
}

#[test]
fn few_ballots_are_open() {
    let mut world = World::with_four_metas();
    let mut state = world.state().child();
    let motions: Vec<Motion> = (0..BALLOTS_MAX).map(|number| Motion::Admit(Address([u8::try_from(number).expect("small"); 20]))).collect();
    crate::keys::write(&mut state, &crate::keys::ballots(), &motions);
    for motion in &motions {
        crate::keys::write(&mut state, &crate::keys::ballot(motion), &Ballot { opened: Epoch::ZERO, votes: Vec::new() });
    }
    world.parent.state = state.seal();
    world.block(1, Vec::new());
    let suspend = Motion::Suspend(person(30).address());
    refused(world.vote(20, suspend), "64 ballots are open");
    world.vote(20, Motion::Expel(person(21).address())).expect("always");
    // What they are about is not there: they are gone when the epoch ends.
    world.end_epoch();
    world.vote(20, suspend).expect("room");
}

/// Expelled or gone by itself: no member from the next epoch on; the deposit stays as long as what it signed counts.
#[test]
fn deposits_of_meta_nodes_stay_as_long_as_their_signatures_count() {
    let mut world = World::with_four_metas();
    let expel = Motion::Expel(person(23).address());
    for voter in [20, 21, 22] {
        world.vote(voter, expel).expect("active");
    }
    refused(world.by(23, Message::WithdrawDeposit), "is active");
    let left = epochs::current(world.state()).number.next();
    assert!(world.end_epoch().contains(&Event::MetaLeft { operator: person(23).address() }));
    world.market_is_true();
    assert_eq!((world.meta(23).expect("there").status, world.meta(23).expect("there").left), (MetaStatus::Leaving, Some(left)));
    refused(world.by(23, Message::LeaveRegistry), "is leaving");
    refused(world.by(23, Message::TopUpDeposit { amount: Amount(1) }), "is leaving");
    refused(world.vote(23, expel), "operates no active meta node");
    for _ in 0..=META_SETS_EPOCHS {
        refused(world.by(23, Message::WithdrawDeposit), "can be withdrawn from epoch");
        world.end_epoch();
    }
    refused(world.by(23, Message::WithdrawDeposit), "can be withdrawn from epoch");
    let mut state = world.state().child();
    let settled = settlement::Progress { unsettled: left.next(), ..settlement::progress(&state) };
    crate::keys::write(&mut state, &crate::keys::settlement(), &settled);
    world.parent.state = state.seal();
    let returned = world.by(23, Message::WithdrawDeposit).expect("free");
    assert_eq!(returned, [Event::DepositReturned { operator: person(23).address(), amount: Amount::stos(100) }]);
    assert!(world.meta(23).is_none());
    refused(world.by(23, Message::WithdrawDeposit), "operates no node");
    // The last does not leave, by itself or otherwise.
    for number in [22, 21] {
        world.by(number, Message::LeaveRegistry).expect("others are there");
    }
    refused(world.by(20, Message::LeaveRegistry), "is the last active meta node");
    world.vote(20, Motion::Expel(person(20).address())).expect("it may");
    world.end_epoch();
    assert_eq!(world.meta(20).expect("there").status, MetaStatus::Active);
    world.market_is_true();
}

/// In the original network reporters are never checked, so anybody activates a node.
#[test]
fn only_the_meta_nodes_suspend_and_resume_a_resource_node() {
    let mut world = World::with_four_metas();
    let (suspend, resume) = (Motion::Suspend(person(30).address()), Motion::Resume(person(30).address()));
    refused(world.vote(20, resume), "that node is active");
    refused(world.vote(20, Motion::Suspend(person(20).address())), "that node is no resource node");
    for stranger in [2, 24, 30, 31] {
        refused(world.vote(stranger, suspend), "operates no active meta node");
    }
    for voter in [20, 21, 22] {
        world.vote(voter, suspend).expect("active");
    }
    let before = market::read(world.state());
    assert!(world.end_epoch().contains(&Event::ResourceSuspended { operator: person(30).address() }));
    let record = world.carrier(30).expect("there");
    assert_eq!(record.status, ResourceStatus::Suspended);
    assert_eq!(before.deposits.0 - market::read(world.state()).deposits.0, record.deposit.0);
    assert!(record.took_part(epochs::current(world.state()).number), "it still serves");
    world.by(30, Message::TopUpDeposit { amount: Amount::stos(3) }).expect("added");
    world.market_is_true();
    for voter in [21, 22, 23] {
        world.vote(voter, resume).expect("active");
    }
    assert!(world.end_epoch().contains(&Event::ResourceActivated { operator: person(30).address() }));
    assert_eq!(market::read(world.state()).deposits.0 - before.deposits.0, Amount::stos(3).0);
    world.by(30, Message::TopUpDeposit { amount: Amount::stos(1) }).expect("added");
    refused(world.by(30, Message::TopUpDeposit { amount: Amount::ZERO }), "0 wei add nothing");
    refused(world.by(2, Message::TopUpDeposit { amount: Amount(1) }), "operates no node");
    world.market_is_true();
}

/// A resource node that leaves serves on, and is gone with its deposit when its time is over.
#[test]
fn a_resource_node_leaves_in_time() {
    let mut world = World::with_four_metas();
    refused(world.by(30, Message::WithdrawDeposit), "is active");
    world.by(30, Message::LeaveRegistry).expect("it leaves");
    world.market_is_true();
    refused(world.by(30, Message::LeaveRegistry), "is leaving");
    refused(world.by(30, Message::TopUpDeposit { amount: Amount(1) }), "is leaving");
    let deposit = world.carrier(30).expect("there").deposit;
    let wait = Parameters::read(world.state()).exit_epochs;
    for _ in 0..=wait {
        refused(world.by(30, Message::WithdrawDeposit), "can be withdrawn from epoch");
        assert!(world.carrier(30).expect("there").took_part(epochs::current(world.state()).number));
        world.end_epoch();
    }
    let before = resource::operators(world.state());
    let returned = world.by(30, Message::WithdrawDeposit).expect("free");
    assert_eq!(returned, [Event::DepositReturned { operator: person(30).address(), amount: deposit }]);
    let mut expected: Vec<Address> = before.into_iter().filter(|operator| *operator != person(30).address()).collect();
    let mut after = resource::operators(world.state());
    expected.sort();
    after.sort();
    assert_eq!(after, expected);
    // Its key is there as long as somebody may have to verify what it carried in this epoch, and no new node before.
    let gone = epochs::current(world.state()).number;
    let record = world.carrier(30).expect("its key is kept");
    assert_eq!((record.status, record.left, record.deposit), (ResourceStatus::Gone, Some(gone), Amount::ZERO));
    assert!(record.took_part(gone) && !record.took_part(gone.next()));
    let register = |world: &World| {
        let key = node_key(77);
        let possession = world.possession(POSSESSION_ROLE, &key, &person(30).address());
        Message::RegisterResource { node: identity(&key), possession, capacity: Bytes(1), deposit: Amount::stos(1) }
    };
    let message = register(&world);
    refused(world.by(30, message), "already operates a node");
    refused(world.by(30, Message::MoveNode { addresses: vec!["/memory/1".into()] }), "operates no node");
    refused(world.by(30, Message::LeaveRegistry), "operates no node");
    // An epoch after another is reported, and settled.
    world.settle_up_to(gone.next());
    let message = register(&world);
    world.by(30, message).expect("all is settled");
    assert_eq!(world.carrier(30).expect("there").status, ResourceStatus::Candidate);
}

/// Attack: a carrier withdraws while a report that names it is on its way. The report holds, and nobody who certified it is convicted.
#[test]
fn a_carrier_that_is_gone_makes_no_report_false() {
    let mut world = World::with_four_metas();
    world.by(30, Message::LeaveRegistry).expect("it leaves");
    for _ in 0..=Parameters::read(world.state()).exit_epochs {
        world.end_epoch();
    }
    let carried = epochs::current(world.state()).number;
    world.by(30, Message::WithdrawDeposit).expect("free");
    world.end_epoch();
    world.settle_up_to(carried);
    let (report, mut parts) = world.report(carried, &[(1, 30, 50_000)]);
    let part = parts.pop().map(Box::new);
    refused(world.by(2, Message::AccuseReport { epoch: carried, report: report.clone(), part: part.clone() }), "holds, as far as it was brought");
    world.by(2, Message::Settle { report, part }).expect("it holds");
}

/// Attack: an application that was voted for is exchanged for another with the key of an active node.
#[test]
fn votes_are_for_one_application_and_keys_for_one_node() {
    let mut world = World::with_four_metas();
    world.apply(25, Amount::stos(100)).expect("it applies");
    let admit = Motion::Admit(person(25).address());
    for voter in [20, 21, 22] {
        world.vote(voter, admit).expect("active");
    }
    world.by(25, Message::LeaveRegistry).expect("taken back");
    assert!(ballots::open(world.state()).is_empty() && ballots::read(world.state(), &admit).is_none());
    let stolen = node_key(20);
    let possession = world.possession(POSSESSION_ROLE, &stolen, &person(25).address());
    refused(world.by(25, Message::RegisterMeta { node: identity(&stolen), possession, deposit: Amount::stos(100) }), "is or was that of the meta node of");
    world.apply(25, Amount::stos(100)).expect("with the key of before");
    world.end_epoch();
    assert_eq!(world.meta(25).expect("there").status, MetaStatus::Applicant);
}

/// Attack: one meta node opens ballots until nobody else can, so that nobody expels it.
#[test]
fn one_meta_node_cannot_fill_the_ballots() {
    let mut world = World::with_four_metas();
    let carriers: Vec<Address> = resource::operators(world.state());
    assert!(carriers.len() > BALLOTS_OF_ONE_MAX, "{}", carriers.len());
    for carrier in &carriers[..BALLOTS_OF_ONE_MAX] {
        world.vote(23, Motion::Suspend(*carrier)).expect("a few");
    }
    let next = Motion::Suspend(carriers[BALLOTS_OF_ONE_MAX]);
    refused(world.vote(23, next), "opened 4; at most 64 and 4 are possible");
    world.vote(23, Motion::Expel(person(20).address())).expect("always");
    let expel = Motion::Expel(person(23).address());
    for voter in [20, 21, 22] {
        world.vote(voter, expel).expect("always");
    }
    world.end_epoch();
    assert_eq!(world.meta(23).expect("there").status, MetaStatus::Leaving);
    world.end_epoch();
    assert!(ballots::open(world.state()).is_empty(), "nobody who is active is for any of its motions");
}

/// The list shrinks by pages.
#[test]
fn the_last_takes_the_place_of_who_leaves() {
    let world = World::new();
    let mut state = world.state().child();
    let operator = |number: u8| Address([number, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
    let before = resource::operators(&state).len();
    let count = u8::try_from(PAGE).expect("small") + 1 - u8::try_from(before).expect("small");
    for number in 0..count {
        let record = resource::ResourceNode {
            operator: operator(number),
            node: identity(&node_key(90)),
            capacity: Bytes(1),
            deposit: Amount::ZERO,
            status: ResourceStatus::Leaving,
            since: Epoch::ZERO,
            left: Some(Epoch::ZERO),
        };
        resource::insert(&mut state, &record).expect("a new node");
    }
    let later = epochs::Current { number: Epoch(99), ..epochs::current(&state) };
    crate::keys::write(&mut state, &crate::keys::epoch(), &later);
    assert!(state.get(&crate::keys::resource_page(1)).is_some());
    for number in (0..count).rev() {
        resource::withdraw(&mut state, &operator(number)).expect("free");
        assert_eq!(resource::operators(&state).len(), before + usize::from(number));
        assert_eq!(state.get(&crate::keys::resource_page(1)).is_some(), resource::operators(&state).len() > usize::try_from(PAGE).expect("small"));
    }
    assert_eq!(resource::operators(&state), resource::operators(world.state()));
}
