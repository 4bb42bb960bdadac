//! What operators say about themselves: who may, and how long it stays. And what anybody gives to all.

use super::*;
use crate::ballots::Motion;
use crate::pools::Fund;
use crate::profiles::{self, NAME_BYTES_MAX, Profile, ProfileError};
use crate::staking::Commission;

fn named(name: &str) -> Profile {
    Profile { name: name.into(), website: "https://stratos.example".into(), contact: "mail@stratos.example".into(), details: "a <b>cellar</b>".into() }
}

impl World {
    fn describe(&mut self, number: u8, profile: Profile) -> Result<Vec<Event>, String> {
        self.run_by(number, Message::Describe { profile })
    }

    fn profile(&self, number: u8) -> Option<Profile> {
        profiles::read(self.state(), &person(number).address())
    }

    /// The epoch ends, so many times.
    fn epochs(&mut self, count: u64) {
        for _ in 0..count {
            self.block(EPOCH_MS, Vec::new());
        }
    }

    /// Reports and settles without traffic, until this is the first epoch that is not settled.
    fn settle(&mut self, epoch: Epoch) {
        while settlement::progress(self.state()).unsettled < epoch {
            let next = settlement::progress(self.state()).epoch;
            if next < epochs::current(self.state()).number {
                let (report, mut parts) = self.report(next, &[]);
                self.run_by(2, Message::Settle { report, part: parts.pop().map(Box::new) }).expect("it holds");
            } else {
                self.epochs(1);
            }
        }
    }
}

/// A world in which operators can pay fees: of a validator (10), meta nodes (20, 21) and carriers (30, 31).
fn world() -> World {
    let mut world = World::new();
    activate(&mut world, &[20, 21]);
    for number in [10, 20, 21, 30, 31] {
        world.run_by(2, send(number, Amount::stos(5))).expect("rich");
    }
    world
}

#[test]
fn only_who_operates_something_has_a_profile() {
    let mut world = world();
    for stranger in [1, 2, 3, 31 + 10] {
        if accounts::read(world.state(), &person(stranger).address()).balance == Amount::ZERO {
            continue;
        }
        assert_eq!(world.describe(stranger, named("nobody")), Err(ProfileError::Nobody(person(stranger).address()).to_string()));
        assert_eq!(world.profile(stranger), None);
    }
    for operator in [10, 20, 30] {
        let events = world.describe(operator, named("Cellar")).expect("an operator");
        assert_eq!(events, [Event::Described { operator: person(operator).address(), name: "Cellar".into() }]);
        assert_eq!(world.profile(operator), Some(named("Cellar")), "names are not unique");
    }
    world.describe(30, named("Attic")).expect("anew");
    assert_eq!((world.profile(30), world.profile(20)), (Some(named("Attic")), Some(named("Cellar"))), "each writes its own");
    world.describe(30, Profile::default()).expect("without a word");
    assert_eq!(world.profile(30), None);
}

/// A profile that is refused leaves the one before.
#[test]
fn a_profile_is_checked_by_the_ledger() {
    let mut world = world();
    world.describe(30, named("Cellar")).expect("an operator");
    let long = ProfileError::Length { field: "name", found: NAME_BYTES_MAX + 1, limit: NAME_BYTES_MAX };
    assert_eq!(world.describe(30, named(&"x".repeat(NAME_BYTES_MAX + 1))), Err(long.to_string()));
    world.describe(30, named(&"x".repeat(NAME_BYTES_MAX))).expect("the longest");
    let hidden = ProfileError::Character { field: "name", found: 0x202e };
    assert_eq!(world.describe(30, named("\u{202e}rallec")), Err(hidden.to_string()));
    assert_eq!(world.profile(30), Some(named(&"x".repeat(NAME_BYTES_MAX))));
}

/// Each byte is paid for, whoever says nothing pays least.
#[test]
fn each_byte_of_a_profile_costs() {
    let world = World::new();
    let metered = |profile: &Profile| {
        let bytes = world.transaction(&person(30), 0, vec![Message::Describe { profile: profile.clone() }]);
        crate::transaction::verify(world.genesis.hash(), &[bytes]).remove(0).expect("signed").work.bytes
    };
    let least = metered(&Profile::default());
    assert_eq!(metered(&named("abc")) - metered(&named("")), 3);
    let Profile { name, website, contact, details } = named("abc");
    let bytes = name.len() + website.len() + contact.len() + details.len();
    assert_eq!(metered(&named("abc")) - least, bytes);
}

#[test]
fn a_profile_goes_with_the_last_thing_that_is_operated() {
    let mut world = world();
    for operator in [30, 31] {
        world.describe(operator, named("Carrier")).expect("an operator");
        world.run_by(operator, Message::LeaveRegistry).expect("active");
    }
    // One of the two is somebody still when its node is gone.
    let key = node_key(31);
    let possession = world.possession(VALIDATOR_POSSESSION_ROLE, &key, &person(31).address());
    let create = Message::CreateValidator { key: key.public(), possession, stake: Amount::stos(1), commission: Commission::unlimited(0) };
    world.run_by(31, create).expect("a validator");
    assert_eq!(world.profile(30), Some(named("Carrier")), "it serves on, under its name");
    world.epochs(Parameters::read(world.state()).exit_epochs + 1);
    for operator in [30, 31] {
        world.run_by(operator, Message::WithdrawDeposit).expect("its time is over");
    }
    assert_eq!((world.profile(30), world.profile(31)), (None, Some(named("Carrier"))));
    assert_eq!(world.describe(30, named("Carrier")), Err(ProfileError::Nobody(person(30).address()).to_string()));
}

#[test]
fn a_meta_node_keeps_its_profile_until_its_deposit_is_paid_out() {
    let mut world = world();
    world.describe(21, named("Index")).expect("active");
    world.run_by(21, Message::LeaveRegistry).expect("not the last");
    let left = epochs::current(world.state()).number;
    let free = meta_registry::free_from(world.state(), left);
    world.settle(left.next());
    while epochs::current(world.state()).number < free {
        world.epochs(1);
    }
    assert_eq!(world.profile(21), Some(named("Index")));
    world.run_by(21, Message::WithdrawDeposit).expect("its time is over");
    assert_eq!(world.profile(21), None);
}

/// An application has a name, by which the others know for whom they vote; when it ends, so does the name.
#[test]
fn an_applicant_is_known_by_its_profile() {
    let mut world = world();
    world.run_by(2, send(25, Amount::stos(200))).expect("rich");
    let apply = |world: &mut World| {
        let key = node_key(25);
        let possession = world.possession(POSSESSION_ROLE, &key, &person(25).address());
        world.run_by(25, Message::RegisterMeta { node: identity(&key), possession, deposit: Amount::stos(100) }).expect("it applies");
        world.describe(25, named("Newcomer")).expect("an applicant");
    };
    apply(&mut world);
    world.run_by(25, Message::LeaveRegistry).expect("taken back");
    assert_eq!(world.profile(25), None);
    apply(&mut world);
    world.epochs(Parameters::read(world.state()).ballot_epochs + 1);
    assert_eq!((meta_registry::read(world.state(), &person(25).address()), world.profile(25)), (None, None), "the time of the application is over");
    apply(&mut world);
    for voter in [20, 21] {
        world.run_by(voter, Message::VoteMeta { motion: Motion::Admit(person(25).address()) }).expect("active");
    }
    world.epochs(1);
    assert_eq!(world.profile(25), Some(named("Newcomer")));
}

/// What is given to all is where it was given, and does not come back.
#[test]
fn anybody_gives_to_what_belongs_to_all() {
    let mut world = World::new();
    let (giver, before) = (person(2).address(), Pools::read(world.state()));
    let events = world.run_by(2, Message::Donate { fund: Fund::Community, amount: Amount::stos(3) }).expect("rich");
    assert_eq!(events, [Event::Donated { from: giver, fund: Fund::Community, amount: Amount::stos(3) }]);
    world.run_by(2, Message::Donate { fund: Fund::Reserve, amount: Amount(1) }).expect("rich");
    let after = Pools::read(world.state());
    assert_eq!((after.community.0 - before.community.0, after.reserve.0 - before.reserve.0), (Amount::stos(3).0, 1));
    assert_eq!(world.run_by(2, Message::Donate { fund: Fund::Reserve, amount: Amount::ZERO }), Err(pools::DonateError::Nothing.to_string()));
    let too_much = world.run_by(2, Message::Donate { fund: Fund::Community, amount: Amount::stos(1_000) });
    assert!(too_much.is_err_and(|why| why.contains("are missing")));
    assert_eq!(Pools::read(world.state()).community, after.community);
}
