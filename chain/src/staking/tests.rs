//! Stake, sets, jail and slashes against plain sums.

use std::collections::{BTreeMap, BTreeSet};

use consensus::evidence::Evidence;
use consensus::vote::{Kind, SignedVote, Vote};
use primitives::{AccountSecret, Address, Amount, Context, Epoch, Hash, Height, SecretKey, Time, View};
use proptest::prelude::*;
use state::{Memory, Overlay, Sealed};

use super::delegation::{DelegateError, LEAVING_MAX, UndelegateError, WithdrawError};
use super::redelegation::RedelegateError;
use super::*;
use crate::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY};
use crate::ledger::{BlockInfo, EvidencePool};
use crate::parameters::Parameters;
use crate::pools::Pools;
use crate::slashing::{self, EvidenceError, OFFENCES_MAX, Offence};
use crate::{accounts, epochs};

/// Evidence is taken for so many epochs here, and stake waits for one more.
const WINDOW: u64 = 2;
const WAIT: u64 = 3;
const EPOCH_MS: u64 = 1_000;
/// Validators from 1 on, as genesis makes them: so many stos each.
const STAKES: [u64; 4] = [40, 30, 20, 10];

fn address(number: u8) -> Address {
    AccountSecret::from_seed(&[number; 32]).address()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[100 + number; 32])
}

fn stos(number: u64) -> Amount {
    Amount::stos(number)
}

/// The end and the beginning of blocks alone, on one state: what staking is made of, without transactions around it.
struct World {
    chain: Hash,
    state: Overlay,
    time: Time,
}

fn genesis(stakes: &[u64]) -> Genesis {
    let validator = |(number, stake): (u8, &u64)| GenesisValidator {
        operator: address(number),
        key: key(number).public(),
        stake: stos(*stake),
        commission: Commission::unlimited(100),
    };
    let mut genesis = Genesis {
        name: "stake".into(),
        time: Time(1_000),
        parameters: Parameters { epoch_ms: EPOCH_MS, evidence_epochs: WINDOW, unbonding_epochs: WAIT, slash_reward_bp: 100, ..Parameters::dev() },
        reserve: Amount::ZERO,
        accounts: (1..=20).map(|number| GenesisAccount { address: address(number), balance: stos(1_000), ozone_for: Amount::ZERO }).collect(),
        validators: (1..).zip(stakes).map(validator).collect(),
        meta_nodes: vec![GenesisNode {
            operator: address(90),
            key: key(90).public(),
            peer: vec![1],
            addresses: vec!["/memory/1".into()],
            deposit: stos(100),
            capacity: primitives::Bytes(0),
        }],
        resource_nodes: Vec::new(),
        continued: None,
    };
    genesis.reserve = Amount(TOTAL_SUPPLY.0 - stos(20 * 1_000 + 100 + stakes.iter().sum::<u64>()).0);
    genesis
}

impl World {
    fn new(stakes: &[u64]) -> Self {
        let genesis = genesis(stakes);
        let (_, executed) = genesis.execute(&Memory::new()).expect("the genesis is valid");
        Self { chain: genesis.hash(), state: executed.state.child(), time: genesis.time }
    }

    fn block(&self, proposer: u16, voters: &[u16], absent: &[u16]) -> BlockInfo {
        BlockInfo { chain: self.chain, height: Height(1), time: self.time, parent: Hash::ZERO, proposer, voters: voters.to_vec(), absent: absent.to_vec() }
    }

    fn epoch(&self) -> Epoch {
        epochs::current(&self.state).number
    }

    fn end_epoch(&mut self) -> Vec<Event> {
        let events = self.end_epoch_unaudited();
        self.audit();
        events
    }

    /// For worlds with more people than the audit knows.
    fn end_epoch_unaudited(&mut self) -> Vec<Event> {
        self.time = Time(self.time.0 + EPOCH_MS);
        let block = self.block(0, &[], &[]);
        let (_, over, events) = epochs::end_block(&mut self.state, &block);
        assert!(over);
        events
    }

    fn create(&mut self, number: u8, with: u8, stake: Amount) -> Result<Event, CreateError> {
        let key = key(with);
        let possession = key.sign(&Context::new(VALIDATOR_POSSESSION_ROLE, self.chain), &address(number).0);
        create(&mut self.state, self.chain, &address(number), &key.public(), &possession, stake, Commission::unlimited(0))
    }

    fn delegate(&mut self, who: u8, to: u8, amount: Amount) -> Result<Event, DelegateError> {
        delegation::delegate(&mut self.state, &address(who), &address(to), amount)
    }

    fn undelegate(&mut self, who: u8, from: u8, amount: Amount) -> Result<Event, UndelegateError> {
        delegation::undelegate(&mut self.state, &address(who), &address(from), amount)
    }

    fn withdraw(&mut self, who: u8, from: u8) -> Result<Amount, WithdrawError> {
        let Event::UnbondedWithdrawn { amount, .. } = delegation::withdraw(&mut self.state, &address(who), &address(from))? else { panic!("another event") };
        Ok(amount)
    }

    fn validator(&self, number: u8) -> Validator {
        read(&self.state, &address(number)).expect("made")
    }

    /// Two votes that validator `number` may not both sign, about `epoch`.
    fn evidence_of(&self, epoch: Epoch, number: u8) -> Evidence {
        let voters = of_epoch(&self.state, epoch);
        let members = members(&voters).expect("they can vote");
        let signer = voters.iter().position(|voter| voter.operator == address(number)).expect("a voter of the epoch");
        let secret = (0..30).map(key).find(|secret| secret.public() == voters[signer].key).expect("one of ours");
        let signer = u16::try_from(signer).expect("small");
        let sign = |kind| {
            let vote = Vote { epoch, view: View(3), kind };
            let signature = secret.sign_deterministic(&Vote::context(self.chain), &vote.sign_bytes(members.hash()));
            SignedVote { vote, signer, signature }
        };
        Evidence::new(sign(Kind::Nullify), sign(Kind::Finalize(Hash([1; 32])))).expect("they conflict")
    }

    fn charge(&mut self, evidence: &Evidence, proposer: u16) -> Result<Vec<Event>, EvidenceError> {
        let block = self.block(proposer, &[], &[]);
        slashing::apply(&mut self.state, self.chain, &block, evidence)
    }

    fn balance(&self, number: u8) -> Amount {
        accounts::read(&self.state, &address(number)).balance
    }

    fn voting(&self) -> Vec<u8> {
        let number = |voter: &Voter| (0..=255).find(|number| address(*number) == voter.operator).expect("one of ours");
        validators(&self.state).iter().map(number).collect()
    }

    /// Checks CHAIN-1 and CHAIN-6 by plain sums over everybody.
    fn audit(&self) {
        let people: Vec<Address> = (0..=30).map(address).collect();
        let pools = Pools::read(&self.state);
        let held: u128 = people.iter().map(|who| accounts::read(&self.state, who).balance.0).sum();
        assert_eq!(held + pools.total().0, TOTAL_SUPPLY.0, "CHAIN-1");
        let (mut stake, mut leaving, mut owed) = (0, 0, 0);
        for operator in &people {
            let delegations: Vec<_> = people.iter().map(|who| delegation::read(&self.state, operator, who)).collect();
            if let Some(validator) = read(&self.state, operator) {
                stake += validator.stake.0;
                let parts: Vec<_> = delegations.iter().flat_map(|delegation| &delegation.moved).collect();
                let mut moved = BTreeMap::new();
                for part in &parts {
                    *moved.entry((part.from, part.epoch)).or_insert(0) += part.units;
                }
                let mut moved_shares = 0;
                for ((from, epoch), units) in moved {
                    let record = redelegation::read(&self.state, operator, &from, epoch);
                    assert_eq!(record.units, units, "CHAIN-6");
                    assert!(redelegation::targets(&self.state, &from, epoch).contains(operator));
                    moved_shares += record.shares;
                }
                assert_eq!(delegations.iter().map(|delegation| delegation.shares).sum::<u128>() + moved_shares, validator.shares, "CHAIN-6");
                let earned: u128 = delegations.iter().map(|delegation| delegation::earned(&self.state, &validator, delegation).0).sum();
                assert!(earned + validator.earnings.left.0 <= validator.earnings.owed.0, "CHAIN-12");
                assert!(validator.earnings.owed.0 - earned - validator.earnings.left.0 <= 200, "hardly anything is lost");
                owed += validator.earnings.owed.0;
            }
            for epoch in (0..=self.epoch().0).map(Epoch) {
                let pot = delegation::leaving(&self.state, operator, epoch);
                let entries = delegations.iter().flat_map(|delegation| &delegation.leaving).filter(|(left, _)| *left == epoch);
                assert_eq!(entries.map(|(_, shares)| shares).sum::<u128>(), pot.shares, "CHAIN-6");
                leaving += pot.amount.0;
            }
        }
        assert_eq!((stake, leaving), (pools.stake.0, pools.unbonding.0), "CHAIN-6");
        let rewards: u128 =
            people.iter().map(|who| crate::rewards::read(&self.state, who).at(self.epoch())).map(|(mature, maturing)| mature.0 + maturing.0).sum();
        assert_eq!(owed + rewards, pools.rewards.0, "CHAIN-12");
        assert_eq!(crate::invariants::check(&sealed(&self.state)), Ok(()));
    }
}

fn sealed(state: &Overlay) -> Sealed {
    state.clone().seal()
}

/// Checks CHAIN-7: nothing but the end of an epoch changes who votes.
#[test]
fn sets_follow_the_stake_when_an_epoch_ends() {
    let mut world = World::new(&STAKES);
    assert_eq!(world.voting(), [1, 2, 3, 4]);
    world.create(5, 5, stos(35)).expect("made");
    world.delegate(6, 4, stos(15)).expect("added");
    world.undelegate(1, 1, stos(39)).expect("taken out");
    assert_eq!(world.voting(), [1, 2, 3, 4]);
    let before = electorate(&world.state);
    assert_eq!((before.epoch, before.members.total()), (Epoch(0), 100));
    world.end_epoch();
    assert_eq!(world.voting(), [1, 2, 3, 4, 5], "who voted before keeps its place");
    let after = electorate(&world.state);
    assert_eq!((after.epoch, after.members.total()), (Epoch(1), 35 + 30 + 25 + 20 + 1));
    assert_eq!(after.seed, epochs::current(&world.state).seed);
    assert_eq!(members(&of_epoch(&world.state, Epoch(0))).expect("kept"), before.members);
    // Less than a whole stos weighs nothing.
    world.undelegate(1, 1, Amount(1)).expect("taken out");
    world.end_epoch();
    assert_eq!(world.voting(), [2, 3, 4, 5]);
    world.end_epoch();
    assert_eq!(world.epoch(), Epoch(WINDOW + 1));
    assert!(of_epoch(&world.state, Epoch(0)).is_empty() && !of_epoch(&world.state, Epoch(1)).is_empty(), "kept for the window");
}

#[test]
fn equal_stakes_are_ordered_by_address_and_bounded() {
    let mut world = World::new(&STAKES);
    let numbers: Vec<u8> = (5..15).collect();
    for number in &numbers {
        world.create(*number, *number, stos(7)).expect("made");
    }
    world.end_epoch();
    let tail = world.voting()[4..].iter().map(|number| address(*number)).collect::<Vec<_>>();
    let mut sorted = tail.clone();
    sorted.sort();
    assert_eq!((tail.len(), tail), (10, sorted));
    // More candidates than seats: records are enough to be chosen from.
    let list: Vec<Address> = (0..u16::try_from(VALIDATORS_MAX).expect("small") + 9)
        .map(|number| Address([number.to_be_bytes().as_slice(), &[9; 18]].concat().try_into().expect("20")))
        .collect();
    for operator in &list {
        let secret = SecretKey::from_seed(&Hash::of("many", &[&operator.0]).0);
        write(&mut world.state, &own(*operator, secret.public(), stos(100), Commission::unlimited(0)));
    }
    keys::write(&mut world.state, &keys::candidates(), &list);
    voters::end_epoch(&mut world.state, Epoch(1));
    assert_eq!(validators(&world.state).iter().map(|voter| voter.operator).collect::<Vec<_>>(), list[..VALIDATORS_MAX]);
}

/// Checks CHAIN-7: a set that would be empty changes nothing.
#[test]
fn somebody_always_votes() {
    let mut world = World::new(&[5]);
    world.undelegate(1, 1, stos(5)).expect("all of it");
    world.end_epoch();
    assert_eq!((world.voting(), world.epoch()), (vec![1], Epoch(1)));
    world.create(2, 2, stos(1)).expect("made");
    world.end_epoch();
    assert_eq!(world.voting(), [2]);
}

#[test]
fn a_full_list_gives_up_who_has_least() {
    let mut world = World::new(&[5, 3]);
    let mut list = candidates(&world.state);
    for number in 0..u16::try_from(CANDIDATES_MAX - 2).expect("small") {
        let operator = Address([number.to_be_bytes().as_slice(), &[7; 18]].concat().try_into().expect("20"));
        write(&mut world.state, &own(operator, key(77).public(), stos(4), Commission::unlimited(0)));
        list.push(operator);
    }
    keys::write(&mut world.state, &keys::candidates(), &list);
    let before = sealed(&world.state).root();
    assert_eq!(world.create(3, 3, stos(3)), Err(CreateError::Full(FullError { stake: stos(3) })));
    assert_eq!(sealed(&world.state).root(), before);
    world.create(3, 3, stos(4)).expect("more than the least");
    let list = candidates(&world.state);
    assert!(list.len() == CANDIDATES_MAX && !list.contains(&address(2)) && list.contains(&address(3)));
    assert!(matches!(world.delegate(9, 2, stos(1)), Err(DelegateError::Full(_))), "4 is not more than the least, which is 4");
    world.delegate(9, 2, stos(2)).expect("5 is");
    assert!(candidates(&world.state).contains(&address(2)));
}

#[test]
fn validators_are_made_once_and_keys_used_once() {
    let mut world = World::new(&STAKES);
    let before = sealed(&world.state).root();
    assert_eq!(world.create(1, 5, stos(2)), Err(CreateError::Exists(address(1))));
    assert_eq!(world.create(5, 1, stos(2)), Err(CreateError::KeyUsed(address(1))));
    assert_eq!(world.create(5, 5, Amount(stos(1).0 - 1)), Err(CreateError::Stake(Amount(stos(1).0 - 1))));
    assert!(matches!(world.create(5, 5, stos(1_001)), Err(CreateError::Money(_))));
    let stolen = key(5).sign(&Context::new(VALIDATOR_POSSESSION_ROLE, world.chain), &address(6).0);
    let of_node = key(5).sign(&Context::new(crate::transaction::POSSESSION_ROLE, world.chain), &address(5).0);
    for possession in [stolen, of_node] {
        let refused = create(&mut world.state, world.chain, &address(5), &key(5).public(), &possession, stos(2), Commission::unlimited(0));
        assert_eq!(refused, Err(CreateError::Possession));
    }
    let possession = key(5).sign(&Context::new(VALIDATOR_POSSESSION_ROLE, world.chain), &address(5).0);
    let refused = create(&mut world.state, world.chain, &address(5), &key(5).public(), &possession, stos(2), Commission { bp: 1, max_bp: 10_001 });
    assert_eq!(refused, Err(CreateError::Commission(Commission { bp: 1, max_bp: 10_001 })));
    assert_eq!(sealed(&world.state).root(), before, "CHAIN-3: a refusal changes nothing");
    // Neither an empty stake nor a tombstone frees a key.
    world.undelegate(4, 4, stos(10)).expect("all of it");
    assert_eq!(world.create(5, 4, stos(2)), Err(CreateError::KeyUsed(address(4))));
    assert_eq!(operator_of(&world.state, &key(4).public()), Some(address(4)));
}

#[test]
fn what_leaves_waits_whole_epochs() {
    let mut world = World::new(&STAKES);
    world.delegate(7, 1, stos(6)).expect("added");
    assert_eq!(world.undelegate(7, 1, Amount(stos(6).0 + 1)), Err(UndelegateError::Short { worth: stos(6), asked: Amount(stos(6).0 + 1) }));
    assert_eq!(world.undelegate(8, 1, Amount(1)), Err(UndelegateError::Missing(address(1))));
    assert_eq!(world.undelegate(7, 1, Amount::ZERO), Err(UndelegateError::Nothing));
    assert_eq!(world.delegate(7, 1, Amount::ZERO), Err(DelegateError::Nothing(Amount::ZERO)));
    assert_eq!(world.delegate(7, 20, stos(1)), Err(DelegateError::Missing(address(20))));
    world.undelegate(7, 1, stos(2)).expect("taken out");
    world.undelegate(7, 1, stos(1)).expect("joins what left in this epoch");
    assert_eq!(delegation::read(&world.state, &address(1), &address(7)).leaving, [(Epoch(0), stos(3).0)]);
    for _ in 0..=WAIT {
        assert_eq!(world.withdraw(7, 1), Err(WithdrawError::NotDue { validator: address(1), next: Some(Epoch(WAIT + 1)), current: world.epoch() }));
        world.end_epoch();
    }
    assert_eq!(world.withdraw(7, 1), Ok(stos(3)));
    assert_eq!(world.balance(7), stos(1_000 - 3));
    assert_eq!(world.withdraw(7, 1), Err(WithdrawError::NotDue { validator: address(1), next: None, current: world.epoch() }));
    for _ in 0..LEAVING_MAX {
        world.undelegate(7, 1, Amount(1)).expect("taken out");
        world.end_epoch();
    }
    assert_eq!(world.undelegate(7, 1, Amount(1)), Err(UndelegateError::Busy));
    world.withdraw(7, 1).expect("most of it is due");
    world.undelegate(7, 1, Amount(1)).expect("there is room again");
    world.audit();
}

/// Checks CHAIN-8: each forgery, the window at its edges, and once for each key.
#[test]
fn only_true_evidence_in_its_time_counts() {
    let mut world = World::new(&STAKES);
    let good = world.evidence_of(Epoch(0), 4);
    let [first, second] = good.votes();
    let refused = |world: &mut World, evidence: Option<Evidence>, expected: EvidenceError| {
        let before = sealed(&world.state).root();
        assert_eq!(world.charge(&evidence.expect("a conflict"), 0), Err(expected));
        assert_eq!(sealed(&world.state).root(), before, "CHAIN-3: a refusal changes nothing");
    };
    for flip in 0..2 {
        let mut votes = [first, second];
        votes[flip].signature.0[9] ^= 1;
        refused(&mut world, Evidence::new(votes[0], votes[1]), EvidenceError::Invalid { signer: 3, epoch: Epoch(0) });
    }
    let other = |signer| Evidence::new(SignedVote { signer, ..first }, SignedVote { signer, ..second });
    refused(&mut world, other(2), EvidenceError::Invalid { signer: 2, epoch: Epoch(0) });
    refused(&mut world, other(4), EvidenceError::Stranger { signer: 4, epoch: Epoch(0), members: 4 });
    let at = |epoch, vote: SignedVote| SignedVote { vote: Vote { epoch, ..vote.vote }, ..vote };
    refused(&mut world, Evidence::new(at(Epoch(1), first), at(Epoch(1), second)), EvidenceError::Future { epoch: Epoch(1), current: Epoch(0) });
    let block = world.block(0, &[], &[]);
    assert!(matches!(slashing::apply(&mut world.state, Hash::ZERO, &block, &good), Err(EvidenceError::Invalid { .. })), "of another chain");
    // The same index and votes under the next set.
    world.delegate(7, 4, stos(1)).expect("added");
    world.end_epoch();
    refused(&mut world, Evidence::new(at(Epoch(1), first), at(Epoch(1), second)), EvidenceError::Invalid { signer: 3, epoch: Epoch(1) });
    let (old, late) = (good, world.evidence_of(Epoch(1), 3));
    while world.epoch() < Epoch(WINDOW) {
        world.end_epoch();
    }
    let mut edge = World { state: world.state.clone(), ..World::new(&STAKES) };
    edge.chain = world.chain;
    edge.charge(&old, 0).expect("the last epoch in which it is taken");
    refused(&mut edge, Some(old), EvidenceError::Known(address(4)));
    world.end_epoch();
    refused(&mut world, Some(old), EvidenceError::Old { epoch: Epoch(0), current: Epoch(WINDOW + 1), window: WINDOW });
    world.charge(&late, 0).expect("one later");
}

/// Checks CHAIN-8: a tombstone is for ever, and what answers for it is locked, slashed once, and free.
#[test]
fn a_lone_offender_loses_three_times_its_part() {
    let mut world = World::new(&STAKES);
    world.delegate(7, 4, stos(10)).expect("added");
    world.undelegate(7, 4, stos(2)).expect("left before the offence");
    world.end_epoch();
    world.undelegate(7, 4, stos(4)).expect("left in its epoch");
    let evidence = world.evidence_of(Epoch(1), 4);
    let (events, rewarded) = (world.charge(&evidence, 0).expect("proven"), world.balance(1));
    assert_eq!(events, [Event::ValidatorTombstoned { operator: address(4), epoch: Epoch(1), proposer: address(1) }]);
    let until = Epoch(1 + WINDOW);
    assert_eq!(world.validator(4).status, Status::Tombstoned { offence: Epoch(1), until });
    assert_eq!(world.voting(), [1, 2, 3, 4], "until the epoch ends");
    assert_eq!(world.undelegate(4, 4, stos(1)), Err(UndelegateError::Locked { until, current: Epoch(1) }));
    assert_eq!(world.delegate(7, 4, stos(1)), Err(DelegateError::Tombstoned(address(4))));
    assert_eq!(unjail(&mut world.state, &address(4)), Err(UnjailError::Tombstoned(address(4))));
    while world.epoch() < until {
        assert!(world.end_epoch().iter().all(|event| !matches!(event, Event::ValidatorSlashed { .. })));
        assert_eq!(world.voting(), [1, 2, 3]);
    }
    assert_eq!(world.validator(4).stake, stos(14));
    let slash = world.end_epoch().into_iter().find(|event| matches!(event, Event::ValidatorSlashed { .. }));
    // It weighed 18 of 108 in epoch 1: half of the 14 that are left and of the 4 that left then.
    let (slashed, reward) = (stos(9), Amount(stos(9).0 / 100));
    assert_eq!(slash, Some(Event::ValidatorSlashed { operator: address(4), slashed, proposer: address(1), reward }));
    assert_eq!(world.balance(1).0 - rewarded.0, reward.0);
    assert_eq!(Pools::read(&world.state).burned.0, slashed.0 - reward.0);
    world.undelegate(4, 4, stos(5)).expect("half of its own, at once");
    assert_eq!(world.balance(4), stos(1_000 + 5));
    world.undelegate(7, 4, stos(2)).expect("half of what it had left");
    assert_eq!(world.validator(4).shares, 0);
    assert_eq!(world.withdraw(7, 4), Ok(stos(2)), "of epoch 0, whole");
    world.end_epoch();
    assert_eq!(world.withdraw(7, 4), Ok(stos(2)), "of epoch 1, half of 4");
    world.audit();
    assert_eq!(world.create(5, 4, stos(9)), Err(CreateError::KeyUsed(address(4))));
}

/// Nobody is rewarded for itself, and a mishap of a speck costs a hundredth.
#[test]
fn the_least_slash_and_no_reward_for_oneself() {
    let mut world = World::new(&[1_000, 2]);
    let evidence = world.evidence_of(Epoch(0), 2);
    world.charge(&evidence, 1).expect("proven");
    (0..=WINDOW).for_each(|_| drop(world.end_epoch()));
    let lost = Amount(stos(2).0 / 100);
    assert_eq!(world.validator(2).stake.0, stos(2).0 - lost.0);
    assert_eq!(Pools::read(&world.state).burned, lost);
}

/// Checks CHAIN-8: who attacked together loses everything, though the proofs come one by one and epochs apart, in any order.
#[test]
fn a_coalition_loses_everything_in_any_order() {
    let orders = [[4, 3, 2], [2, 3, 4], [3, 4, 2]];
    let ends: Vec<_> = orders
        .map(|order| {
            let mut world = World::new(&[40, 15, 11, 9]);
            world.undelegate(3, 3, stos(4)).expect("it tries to leave");
            let proofs = order.map(|number| world.evidence_of(Epoch(0), number));
            for (step, proof) in proofs.iter().enumerate() {
                world.charge(proof, 0).expect("proven");
                if step < usize::try_from(WINDOW).expect("small") {
                    world.end_epoch();
                }
            }
            (0..=WINDOW).for_each(|_| drop(world.end_epoch()));
            (2..=4).map(|number| world.validator(number).stake).chain([delegation::leaving(&world.state, &address(3), Epoch(0)).amount]).collect::<Vec<_>>()
        })
        .to_vec();
    assert!(ends.iter().all(|end| end.iter().all(|amount| *amount == Amount::ZERO)), "35 of 75 is above a third: {ends:?}");
}

/// Checks CHAIN-8: bringing a mild proof against oneself first hides nothing.
#[test]
fn a_later_proof_can_make_it_worse() {
    let mut world = World::new(&[60, 30, 10]);
    world.undelegate(2, 2, stos(28)).expect("most of it");
    world.end_epoch();
    let (heavy, mild) = (world.evidence_of(Epoch(0), 2), world.evidence_of(Epoch(1), 2));
    let mut direct = World { state: world.state.clone(), chain: world.chain, time: world.time };
    world.charge(&mild, 0).expect("it brings this itself");
    let worse = Event::OffenceWorsened { operator: address(2), epoch: Epoch(0), weight: 30, total: 72 };
    assert_eq!(world.charge(&heavy, 0), Ok(vec![worse]), "no second tombstone");
    assert_eq!(world.charge(&mild, 0), Err(EvidenceError::Known(address(2))));
    direct.charge(&heavy, 0).expect("proven");
    direct.charge(&mild, 0).expect("a smaller set makes it worse too");
    for world in [&mut world, &mut direct] {
        (0..=WINDOW).for_each(|_| drop(world.end_epoch()));
        assert_eq!(world.validator(2).stake, Amount::ZERO, "3 * 30 of 72");
        assert_eq!(delegation::leaving(&world.state, &address(2), Epoch(0)).amount, Amount::ZERO);
        world.audit();
    }
    assert_eq!(sealed(&world.state).root(), sealed(&direct.state).root());
}

#[test]
fn many_mishaps_do_not_crowd_out_an_attack() {
    let mut world = World::new(&STAKES);
    let speck = |number: usize| Offence {
        operator: Address([9; 20]),
        epoch: Epoch(0),
        weight: 1 + u64::from(number > 0),
        total: 100,
        proven: Epoch(0),
        until: Epoch(WINDOW),
        reporter: Address([9; 20]),
    };
    let list: Vec<Offence> = (0..OFFENCES_MAX).map(speck).collect();
    keys::write(&mut world.state, &keys::offences(), &list);
    let evidence = world.evidence_of(Epoch(0), 1);
    world.charge(&evidence, 1).expect("proven");
    let kept = slashing::offences(&world.state);
    assert_eq!((kept.len(), kept.iter().filter(|offence| offence.weight == 1).count()), (OFFENCES_MAX, 0));
    assert_eq!(kept.last().map(|offence| offence.weight), Some(40));
}

/// Checks CHAIN-9.
#[test]
fn the_absent_are_jailed_and_come_back() {
    let mut world = World::new(&STAKES);
    let blocks = |world: &mut World, count: u64, proposer: u16, voters: &[u16], absent: &[u16]| {
        let block = world.block(proposer, voters, absent);
        (0..count).for_each(|_| attendance::begin_block(&mut world.state, &block));
    };
    // The fourth neither signs nor proposes. The third never signs in time, but proposes.
    blocks(&mut world, 1, 0, &[], &[]);
    blocks(&mut world, 5, 2, &[0, 1], &[]);
    blocks(&mut world, 5, 0, &[0, 1], &[3]);
    assert_eq!(attendance::read(&world.state).certificates, 10, "the first block of an epoch has no certificate of its own epoch");
    let money = Pools::read(&world.state);
    assert!(world.end_epoch().contains(&Event::ValidatorJailed { operator: address(4) }));
    assert_eq!((world.voting(), Pools::read(&world.state)), (vec![1, 2, 3], money));
    assert_eq!(attendance::read(&world.state), attendance::Attendance::default(), "counted anew");
    assert_eq!(unjail(&mut world.state, &address(4)), Err(UnjailError::NotYet { until: Epoch(1), current: Epoch(1) }));
    assert_eq!(unjail(&mut world.state, &address(1)), Err(UnjailError::Free(address(1))));
    assert_eq!(unjail(&mut world.state, &address(20)), Err(UnjailError::Missing(address(20))));
    world.end_epoch();
    assert_eq!(world.voting(), [1, 2, 3], "not by itself");
    unjail(&mut world.state, &address(4)).expect("it was away for an epoch");
    world.end_epoch();
    assert_eq!(world.voting(), [1, 2, 3, 4]);
    // All but the first seem to be away, with 60 of 100.
    blocks(&mut world, 9, 0, &[0], &[1, 2, 3]);
    blocks(&mut world, 1, 0, &[0, 1, 2], &[]);
    world.end_epoch();
    assert_eq!(world.voting(), [1, 2, 3], "the fourth weighs 10, and with the 30 of the second it would be a third");
    // Exactly half of the certificates, or as many turns as were missed, are enough.
    blocks(&mut world, 5, 0, &[0, 2], &[2]);
    blocks(&mut world, 5, 1, &[0], &[1]);
    world.end_epoch();
    assert_eq!(world.voting(), [1, 2, 3]);
}

#[test]
fn the_pool_keeps_one_for_each_offence() {
    let world = World::new(&STAKES);
    let mut pool = EvidencePool::default();
    let evidence = world.evidence_of(Epoch(0), 2);
    assert!(pool.insert(evidence) && !pool.insert(evidence));
    let [first, second] = evidence.votes();
    let of = |epoch, signer| {
        let vote = |vote: SignedVote| SignedVote { vote: Vote { epoch: Epoch(epoch), ..vote.vote }, signer, ..vote };
        Evidence::new(vote(first), vote(second)).expect("a conflict")
    };
    assert_eq!((0..300).filter(|signer| pool.insert(of(5, *signer))).count(), crate::ledger::evidence_pool::EVIDENCE_MAX - 1);
    assert_eq!(pool.len(), crate::ledger::evidence_pool::EVIDENCE_MAX);
    assert!(pool.insert(of(4, 7)) && !pool.insert(of(6, 7)), "the earlier is too old first");
    let candidates = pool.candidates();
    assert_eq!(candidates[..2], [evidence, of(4, 7)]);
    let bytes: usize = candidates.iter().map(|evidence| primitives::encoding::encode(evidence).len()).sum();
    assert!(bytes <= crate::ledger::block::EVIDENCE_BYTES_MAX && candidates.len() > 60, "{}", candidates.len());
    pool.retain(|evidence| slashing::check(&world.state, world.chain, evidence).is_ok());
    assert_eq!((pool.candidates(), pool.is_empty()), (vec![evidence], false));
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8, u8, u64),
    Delegate(u8, u8, u64),
    Undelegate(u8, u8, u64),
    Withdraw(u8, u8),
    Move(u8, u8, u8, u64),
    Earn(u8, u64),
    Collect(u8, u8),
    Unjail(u8),
    Evidence(u64, u16, u16),
    Block(u16, u8, u8),
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1..6u8;
    prop_oneof![
        (who.clone(), 1..12u8, 0..30_000u64).prop_map(|(who, key, amount)| Step::Create(who, key, amount)),
        (who.clone(), who.clone(), 0..30_000u64).prop_map(|(who, to, amount)| Step::Delegate(who, to, amount)),
        (who.clone(), who.clone(), 0..30_000u64).prop_map(|(who, from, amount)| Step::Undelegate(who, from, amount)),
        (who.clone(), who.clone(), 0..30_000u64).prop_map(|(who, from, amount)| Step::Undelegate(who, from, amount)),
        (who.clone(), who.clone()).prop_map(|(who, from)| Step::Withdraw(who, from)),
        (who.clone(), who.clone()).prop_map(|(who, from)| Step::Withdraw(who, from)),
        (who.clone(), who.clone()).prop_map(|(who, from)| Step::Withdraw(who, from)),
        (who.clone(), who.clone(), who.clone(), 0..30_000u64).prop_map(|(who, from, to, amount)| Step::Move(who, from, to, amount)),
        (who.clone(), who.clone(), who.clone(), 0..30_000u64).prop_map(|(who, from, to, amount)| Step::Move(who, from, to, amount)),
        (who.clone(), 0..30_000u64).prop_map(|(number, amount)| Step::Earn(number, amount)),
        (who.clone(), who.clone()).prop_map(|(who, with)| Step::Collect(who, with)),
        who.prop_map(Step::Unjail),
        (0..4u64, 0..5u16, 0..5u16).prop_map(|(ago, signer, proposer)| Step::Evidence(ago, signer, proposer)),
        (0..5u16, any::<u8>(), any::<u8>()).prop_map(|(proposer, voters, absent)| Step::Block(proposer, voters, absent)),
        Just(Step::End),
        Just(Step::End),
        Just(Step::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Checks CHAIN-1, CHAIN-3, CHAIN-6 to CHAIN-9 and CHAIN-12 under random lives of five people, against a model of plain sums: what each has in each validator, as
    /// long as the validator is innocent, is what it put in less what it took out.
    #[test]
    fn sums_hold_whatever_they_do(steps in proptest::collection::vec(step(), 20..140)) {
        let mut world = World::new(&STAKES);
        let mut model: BTreeMap<(u8, u8), u128> = (1..).zip(STAKES).map(|(number, stake)| ((number, number), stos(stake).0)).collect();
        let mut tombstoned: BTreeMap<Address, Epoch> = BTreeMap::new();
        let mut slashed: BTreeSet<Address> = BTreeSet::new();
        let mut moves: BTreeSet<(u8, u8)> = BTreeSet::new();
        let (mut paid, mut collected) = (0, 0);
        // Thousandths of a stos, so that some stakes weigh nothing.
        let wei = |thousandths: u64| Amount(u128::from(thousandths) * stos(1).0 / 1_000);
        for step in steps {
            let (before, voting) = (sealed(&world.state).root(), validators(&world.state));
            let is_end = matches!(step, Step::End);
            let done = match step {
                Step::Create(who, key, amount) => world.create(who, key, wei(amount)).is_ok().then(|| {
 model.insert((who, who), wei(amount).0);
}),
                Step::Delegate(who, to, amount) => world.delegate(who, to, wei(amount)).ok().map(|_| *model.entry((to, who)).or_default() += wei(amount).0),
                Step::Undelegate(who, from, amount) => {
                    let had = world.total(who, from);
                    world.undelegate(who, from, wei(amount)).ok().map(|_| {
                        if !tombstoned.contains_key(&address(from)) {
                            *model.get_mut(&(from, who)).expect("it had some") -= wei(amount).0;
                        }
                        assert!(world.total(who, from) < had);
                    })
                }
                Step::Withdraw(who, from) => {
                    let balance = world.balance(who).0;
                    world.withdraw(who, from).ok().map(|amount| assert_eq!(world.balance(who).0, balance + amount.0))
                }
                Step::Move(who, from, to, amount) => world.redelegate(who, from, to, wei(amount)).ok().map(|_| {
                    *model.get_mut(&(from, who)).expect("it had some") -= wei(amount).0;
                    *model.entry((to, who)).or_default() += wei(amount).0;
                    moves.insert((from, to));
                }),
                Step::Earn(number, amount) => read(&world.state, &address(number)).map(|_| {
                    world.earn(number, Amount(wei(amount).0 / 30));
                    paid += wei(amount).0 / 30;
                }),
                Step::Collect(who, with) => world.collect(who, with).ok().map(|amount| collected += amount),
                Step::Unjail(who) => unjail(&mut world.state, &address(who)).ok().map(|_| ()),
                Step::Evidence(ago, signer, proposer) => {
                    let epoch = Epoch(world.epoch().0.saturating_sub(ago));
                    let voter = of_epoch(&world.state, epoch).get(usize::from(signer)).copied();
                    let evidence = voter.map(|voter| world.evidence_of(epoch, (1..12).find(|number| address(*number) == voter.operator).expect("one of ours")));
                    evidence.and_then(|evidence| world.charge(&evidence, proposer).ok()).map(|events| {
                        for event in events {
                            if let Event::OffenceWorsened { operator, .. } = event {
                                assert!(tombstoned.contains_key(&operator));
                                continue;
                            }
                            let Event::ValidatorTombstoned { operator, .. } = event else { panic!("{event:?}") };
                            assert_eq!(tombstoned.insert(operator, world.epoch()), None, "CHAIN-8: once");
                        }
                    })
                }
                Step::Block(proposer, voters, absent) => {
                    let bits = |bits: u8| (0..8).filter(move |bit| bits >> bit & 1 == 1).collect::<Vec<u16>>();
                    let block = world.block(proposer, &bits(voters), &bits(absent));
                    attendance::begin_block(&mut world.state, &block);
                    Some(())
                }
                Step::End => {
                    let total: u64 = voting.iter().map(|voter| weight(voter.stake)).sum();
                    let liable: BTreeMap<Address, u128> = tombstoned.keys().map(|operator| {
                        let leaving = (0..=world.epoch().0).map(|epoch| delegation::leaving(&world.state, operator, Epoch(epoch)).amount.0);
                        let moved = (0..=world.epoch().0).map(Epoch).flat_map(|epoch| {
                            let targets = redelegation::targets(&world.state, operator, epoch);
                            targets.into_iter().map(move |to| (to, epoch)).collect::<Vec<_>>()
                        });
                        let moved = moved.map(|(to, epoch)| {
                            let (to, record) = (read(&world.state, &to).expect("made"), redelegation::read(&world.state, &to, operator, epoch));
                            delegation::worth(record.shares, to.stake, to.shares).0
                        });
                        (*operator, read(&world.state, operator).expect("made").stake.0 + leaving.sum::<u128>() + moved.sum::<u128>())
                    }).collect();
                    let mut jailed = 0;
                    for event in world.end_epoch() {
                        if let Event::ValidatorJailed { operator } = event {
                            jailed += voting.iter().filter(|voter| voter.operator == operator).map(|voter| weight(voter.stake)).sum::<u64>();
                        }
                        if let Event::ValidatorSlashed { operator, slashed: amount, .. } = event {
                            prop_assert!(slashed.insert(operator), "CHAIN-8: once");
                            prop_assert!(amount.0 <= liable[&operator], "CHAIN-8: not more than there is");
                            prop_assert_eq!(world.epoch().0, tombstoned[&operator].0 + WINDOW + 1);
                        }
                    }
                    prop_assert!(jailed == 0 || jailed * 3 < total, "CHAIN-9");
                    Some(())
                }
            };
            if done.is_none() {
                prop_assert_eq!(sealed(&world.state).root(), before, "CHAIN-3: a refusal changes nothing");
            }
            if !is_end {
                prop_assert_eq!(validators(&world.state), voting.clone(), "CHAIN-7");
            }
            world.audit();
            let next = validators(&world.state);
            prop_assert!(members(&next).is_ok(), "CHAIN-7: they can vote");
            if next != voting {
                prop_assert!(next.iter().all(|voter| !tombstoned.contains_key(&voter.operator)), "CHAIN-8: never again");
            }
            prop_assert!(collected <= paid, "CHAIN-12");
            // What moved from a validator that is slashed costs its owners, and leaves fractions of a wei to the others.
            let is_touched = |to: u8| moves.iter().any(|(from, target)| *target == to && tombstoned.contains_key(&address(*from)));
            for ((to, who), sum) in model.iter().filter(|((to, _), _)| !tombstoned.contains_key(&address(*to)) && !is_touched(*to)) {
                prop_assert_eq!(world.total(*who, *to), *sum);
            }
        }
        // Whatever they did, another chain can go on with what they have.
        let mut ended = world.state.clone();
        slashing::slash_now(&mut ended);
        if !voters::next(&ended).is_empty() {
            crate::tests::export::continue_from(&sealed(&world.state));
        }
    }

    /// Shares against exact fractions, at prices that slashes could make: nobody gets more than its part, and the last gets the rest.
    #[test]
    fn rounding_favours_the_others(held in 1..1u128 << 90, others in 0..1u128 << 90, stake in 1..1u128 << 90, part in 0..=1_000u128) {
        let validator = Validator { shares: held + others, ..own(address(1), key(1).public(), Amount(stake), Commission::unlimited(0)) };
        let worth = delegation::worth(held, validator.stake, validator.shares);
        prop_assert!(others > 0 || worth == validator.stake);
        let amount = Amount(primitives::units::mul_div(worth.0, part, 1_000).expect("small"));
        prop_assume!(amount > Amount::ZERO);
        let sold = delegation::shares_sold(amount, held, &validator);
        prop_assert!(sold <= held);
        let left = delegation::worth(others, Amount(stake - amount.0), validator.shares - sold);
        prop_assert!(left >= delegation::worth(others, validator.stake, validator.shares) || others == 0);
        let bought = delegation::shares_bought(amount, &validator);
        prop_assert!(delegation::worth(bought, Amount(stake + amount.0), validator.shares + bought) <= amount);
    }
}

impl World {
    /// A validator receives so much of an epoch's settlement.
    fn earn(&mut self, number: u8, amount: Amount) {
        let payer = address(20);
        pools::pay_in(&mut self.state, &payer, Pool::Rewards, amount).expect("rich");
        distribution::distribute(&mut self.state, &address(number), amount);
        self.audit();
    }

    fn earned(&self, who: u8, with: u8) -> u128 {
        delegation::earned(&self.state, &self.validator(with), &delegation::read(&self.state, &address(with), &address(who))).0
    }

    fn collect(&mut self, who: u8, with: u8) -> Result<u128, distribution::CollectError> {
        let Event::RewardCollected { amount, .. } = distribution::collect(&mut self.state, &address(who), &address(with))? else { panic!("another event") };
        self.audit();
        Ok(amount.0)
    }

    fn redelegate(&mut self, who: u8, from: u8, to: u8, amount: Amount) -> Result<Event, RedelegateError> {
        let before = sealed(&self.state).root();
        let moved = redelegation::redelegate(&mut self.state, &address(who), &address(from), &address(to), amount);
        if moved.is_err() {
            assert_eq!(sealed(&self.state).root(), before, "CHAIN-3: a refusal changes nothing");
        }
        self.audit();
        moved
    }

    /// All of it.
    fn total(&self, who: u8, with: u8) -> u128 {
        let (free, bound) = self.worth(who, with);
        free.0 + bound.0
    }

    /// What somebody's stake with a validator is worth: what can be taken out, and what moved there and is bound.
    fn worth(&self, who: u8, with: u8) -> (Amount, Amount) {
        let held = delegation::read(&self.state, &address(with), &address(who));
        let Some(validator) = read(&self.state, &address(with)) else { return (Amount::ZERO, Amount::ZERO) };
        let moved = held.moved.iter().map(|part| redelegation::held(&self.state, &validator, part).0).fold(Amount::ZERO, Amount::saturating_add);
        (delegation::worth(held.shares, validator.stake, validator.shares), moved)
    }
}

/// Whether it is that, less what rounding takes.
fn close(found: u128, expected: u128) -> bool {
    found <= expected && expected - found <= 3
}

/// Checks CHAIN-12 by hand: commission first, then by the stake, from when it was there until it left.
#[test]
fn stake_earns_by_what_it_is_and_how_long_it_is_there() {
    const ONE: u128 = 1_000_000_000_000_000;
    let mut world = World::new(&[40, 30]);
    world.delegate(7, 1, stos(60)).expect("added");
    assert_eq!(world.earned(7, 1), 0);
    world.earn(1, Amount(10_000 * ONE));
    // The commission is 1 %; of the other 9,900 the operator's 40 stos earn two fifths.
    assert!(close(world.earned(1, 1), 4_060 * ONE) && close(world.earned(7, 1), 5_940 * ONE));
    world.delegate(8, 1, stos(100)).expect("added");
    world.earn(1, Amount(20_000 * ONE));
    assert!(close(world.earned(1, 1), (4_060 + 200 + 3_960) * ONE) && close(world.earned(7, 1), 11_880 * ONE) && close(world.earned(8, 1), 9_900 * ONE));
    let earned = world.earned(7, 1);
    assert_eq!(world.collect(7, 1), Ok(earned));
    assert_eq!(world.balance(7), Amount(stos(940).0 + earned));
    let nothing = |who| Err(distribution::CollectError::Nothing { delegator: address(who), validator: address(1) });
    assert_eq!((world.collect(7, 1), world.collect(9, 1)), (nothing(7), nothing(9)));
    // What is on its way out earns nothing more, and what it earned before stays its owner's.
    world.undelegate(8, 1, stos(100)).expect("all of it");
    world.earn(1, Amount(10_000 * ONE));
    assert!(close(world.collect(8, 1).expect("earned before"), 9_900 * ONE));
    assert_eq!(delegation::read(&world.state, &address(1), &address(8)).leaving.len(), 1);
    // Without any stake the operator receives all.
    world.undelegate(2, 2, stos(30)).expect("all of it");
    world.earn(2, Amount(77));
    assert_eq!(world.collect(2, 2), Ok(77));
}

/// A slash changes what shares are worth and not what they earned, nor what they earn beside others.
#[test]
fn a_slash_takes_nothing_of_what_was_earned() {
    let mut world = World::new(&STAKES);
    world.delegate(7, 4, stos(10)).expect("added");
    world.earn(4, stos(2));
    let before = world.earned(7, 4);
    let evidence = world.evidence_of(Epoch(0), 4);
    world.charge(&evidence, 0).expect("true");
    for _ in 0..=WINDOW {
        world.end_epoch();
    }
    assert!(world.validator(4).stake < stos(20));
    assert_eq!(world.earned(7, 4), before);
    world.earn(4, stos(2));
    let after = world.earned(7, 4);
    assert!(close(before, stos(99).0 / 100) && close(after, stos(198).0 / 100));
    assert_eq!(world.collect(7, 4), Ok(after));
}

#[test]
fn commissions_have_limits() {
    let mut world = World::new(&STAKES);
    let step = Parameters::read(&world.state).commission_step_bp;
    let set = |world: &mut World, number: u8, bp: u32| {
        let before = sealed(&world.state).root();
        let result = set_commission(&mut world.state, &address(number), bp);
        assert!(result.is_ok() || sealed(&world.state).root() == before, "CHAIN-3: a refusal changes nothing");
        result.map(|_| world.validator(number).commission.bp)
    };
    assert_eq!(set(&mut world, 9, 1), Err(CommissionError::Missing(address(9))));
    assert_eq!(set(&mut world, 1, COMMISSION_BP_MAX + 1), Err(CommissionError::Limit { asked: COMMISSION_BP_MAX + 1, limit: COMMISSION_BP_MAX }));
    assert_eq!(set(&mut world, 1, 101 + step), Err(CommissionError::Step { before: 100, step, asked: 101 + step }));
    // In the epoch of genesis too, and down and up again does not help.
    assert_eq!(set(&mut world, 1, 100 + step), Ok(100 + step));
    world.end_epoch();
    assert_eq!(set(&mut world, 1, 0), Ok(0));
    assert_eq!(set(&mut world, 1, 100 + 2 * step), Ok(100 + 2 * step));
    assert!(matches!(set(&mut world, 1, 101 + 2 * step), Err(CommissionError::Step { before, .. }) if before == 100 + step));
    world.end_epoch();
    assert_eq!(set(&mut world, 1, 0), Ok(0));
    world.end_epoch();
    assert!(matches!(set(&mut world, 1, step + 1), Err(CommissionError::Step { before: 0, .. })));

    let possession = key(5).sign(&Context::new(VALIDATOR_POSSESSION_ROLE, world.chain), &address(5).0);
    let mut make = |commission| create(&mut world.state, world.chain, &address(5), &key(5).public(), &possession, stos(2), commission);
    let above = Commission { bp: 11, max_bp: 10 };
    assert_eq!(make(above), Err(CreateError::Commission(above)));
    make(Commission { bp: 10, max_bp: 10 }).expect("made");
    world.end_epoch();
    assert_eq!(set(&mut world, 5, 11), Err(CommissionError::Limit { asked: 11, limit: 10 }));
}

/// Stake moves at once, earns on, and is bound until what was taken out in the same epoch would be due.
#[test]
fn stake_moves_and_waits() {
    let mut world = World::new(&STAKES);
    world.delegate(7, 1, stos(60)).expect("added");
    world.earn(1, Amount(10_000));
    assert_eq!(world.redelegate(7, 1, 1, stos(1)), Err(RedelegateError::Same(address(1))));
    assert_eq!(world.redelegate(7, 1, 20, stos(1)), Err(RedelegateError::Missing(address(20))));
    assert_eq!(world.redelegate(7, 20, 1, stos(1)), Err(UndelegateError::Missing(address(20)).into()));
    assert_eq!(world.redelegate(7, 1, 2, Amount::ZERO), Err(UndelegateError::Nothing.into()));
    assert_eq!(world.redelegate(7, 1, 2, Amount(1)), Err(RedelegateError::Small { amount: Amount(1) }));
    assert_eq!(world.redelegate(7, 1, 2, stos(61)), Err(UndelegateError::Short { worth: stos(60), asked: stos(61) }.into()));
    world.redelegate(7, 1, 2, stos(20)).expect("moved");
    world.redelegate(7, 1, 2, Amount(5)).expect("the second may be small");
    world.redelegate(7, 1, 3, stos(10)).expect("to another");
    assert_eq!((world.validator(1).stake.0, world.validator(2).stake.0), (stos(70).0 - 5, stos(50).0 + 5));
    assert_eq!(world.earned(7, 1), 5_939, "what it earned there stays there");
    world.earn(2, Amount(1_000_000));
    let expected = 990_000 * (stos(20).0 + 5) / (stos(50).0 + 5);
    assert!(expected - world.earned(7, 2) <= 2, "{} of {expected}", world.earned(7, 2));
    // Neither out nor on, but what joins it is free.
    assert_eq!(world.undelegate(7, 2, stos(1)), Err(UndelegateError::Short { worth: Amount::ZERO, asked: stos(1) }));
    assert_eq!(world.redelegate(7, 2, 3, stos(1)), Err(UndelegateError::Short { worth: Amount::ZERO, asked: stos(1) }.into()));
    world.delegate(7, 2, stos(3)).expect("added");
    world.undelegate(7, 2, stos(2)).expect("taken out");
    for _ in 0..WAIT {
        world.end_epoch();
        assert!(matches!(world.undelegate(7, 2, stos(2)), Err(UndelegateError::Short { .. })));
    }
    world.end_epoch();
    assert_eq!(world.worth(7, 2), (stos(1), Amount(stos(20).0 + 5)), "bound until it is touched");
    let earned = world.earned(7, 2);
    world.undelegate(7, 2, stos(21)).expect("free");
    assert_eq!((world.worth(7, 2), world.earned(7, 2)), ((Amount(5), Amount::ZERO), earned));
    assert!(redelegation::targets(&world.state, &address(1), Epoch(0)) == [address(3)]);
    world.redelegate(7, 3, 1, stos(10)).expect("back");
    assert!(redelegation::targets(&world.state, &address(1), Epoch(0)).is_empty());
    assert_eq!(redelegation::read(&world.state, &address(3), &address(1), Epoch(0)), redelegation::Moved::default());
}

/// Checks CHAIN-8: whoever moves its stake away from an offender answers as if it had stayed; others that are with the new validator do not.
#[test]
fn moved_stake_is_slashed_for_the_validator_that_it_left() {
    let mut world = World::new(&[40, 30, 20, 10]);
    world.delegate(7, 4, stos(10)).expect("added");
    world.delegate(8, 3, stos(20)).expect("added");
    world.end_epoch();
    let evidence = world.evidence_of(Epoch(1), 4);
    world.redelegate(7, 4, 3, stos(4)).expect("moved");
    world.undelegate(7, 4, stos(4)).expect("taken out");
    let (burned, before) = (Pools::read(&world.state).burned, world.worth(8, 3));
    world.charge(&evidence, 0).expect("true");
    assert_eq!(world.redelegate(7, 4, 3, stos(1)), Err(RedelegateError::Tombstoned(address(4))));
    assert_eq!(world.redelegate(8, 3, 4, stos(1)), Err(RedelegateError::Tombstoned(address(4))));
    let ended: Vec<Event> = (0..=WINDOW).flat_map(|_| world.end_epoch()).collect();
    // 20 of the 130 that voted in epoch 1: three times that is lost.
    let kept = |amount: u64| Amount(stos(amount).0 - (stos(amount).0 * 60).div_ceil(130));
    let amount = Amount(stos(4).0 - kept(4).0);
    let of_moved: Vec<&Event> = ended.iter().filter(|event| matches!(event, Event::MovedStakeSlashed { .. })).collect();
    assert_eq!(of_moved, [&Event::MovedStakeSlashed { validator: address(3), from: address(4), amount }]);
    assert!(ended.contains(&Event::VoterLeft { operator: address(4) }), "{ended:?}");
    assert_eq!(world.worth(7, 3), (Amount::ZERO, kept(4)));
    assert_eq!(world.worth(7, 4).0.0.abs_diff(kept(2).0), 0);
    assert_eq!(delegation::leaving(&world.state, &address(4), Epoch(1)).amount, kept(4));
    let after = world.worth(8, 3);
    assert!(after.0 >= before.0 && after.0.0 - before.0.0 <= 1, "{after:?}");
    assert!(Pools::read(&world.state).burned > burned);
    // It is free when what was taken out is, and not before the slash.
    for _ in 0..WAIT {
        world.end_epoch();
    }
    world.undelegate(7, 3, kept(4)).expect("free");
    world.withdraw(7, 4).expect("due");
}

#[test]
fn stake_moves_to_few_validators_in_an_epoch() {
    let mut world = World::new(&[400]);
    let targets = u8::try_from(redelegation::TARGETS_MAX).expect("small") + 1;
    let operator = |number: u8| Address([number, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5]);
    for number in 1..=targets {
        let secret = SecretKey::from_seed(&[number, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
        insert(&mut world.state, &own(operator(number), secret.public(), stos(1), Commission::unlimited(0)), stos(1)).expect("made");
    }
    let to =
        |world: &mut World, who: u8, number: u8| redelegation::redelegate(&mut world.state, &address(who), &address(1), &operator(number), stos(1)).map(|_| ());
    for number in 1..targets {
        assert_eq!(to(&mut world, 1, number), Ok(()));
    }
    assert_eq!(to(&mut world, 1, targets), Err(RedelegateError::Targets { from: address(1) }));
    world.delegate(2, 1, stos(5)).expect("added");
    assert_eq!(to(&mut world, 2, 1), Ok(()), "one that is there already");
    world.end_epoch_unaudited();
    assert_eq!(to(&mut world, 1, targets), Ok(()));
    // As many pairs as a delegation holds.
    for round in 2..=LEAVING_MAX {
        assert_eq!(to(&mut world, 1, 1), Ok(()), "{round}");
        world.end_epoch_unaudited();
    }
}
