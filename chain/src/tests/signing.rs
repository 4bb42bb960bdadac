//! Accounts of several keys in blocks, and what a transaction would do beside what it does.

use super::*;
use crate::authority::{Authority, Several};
use crate::event::Event;
use crate::fees;
use crate::simulation::{Outcome, Simulation};

/// The account of two of three people, and the people in the order of their keys.
pub(super) fn two_of_three() -> (Authority, Vec<AccountSecret>) {
    let ed25519 = AccountSecret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[52; 32])));
    let mut people = vec![person(50), person(51), ed25519];
    people.sort_by_key(AccountSecret::key);
    (Authority::Several(Several::new(2, people.iter().map(AccountSecret::key).collect()).expect("in order")), people)
}

fn body(world: &World, authority: Authority, nonce: u64, messages: Vec<Message>) -> Transaction {
    Transaction {
        version: TRANSACTION_VERSION,
        chain: world.genesis.hash(),
        authority,
        nonce,
        fee_max: Amount::stos(1),
        tip: Amount(3),
        messages,
        memo: Vec::new(),
    }
}

impl World {
    fn simulate(&self, body: Transaction) -> Simulation {
        let (header, _) = self.genesis.execute(&Memory::new()).expect("the genesis is valid");
        self.rules.simulate(self.state(), &Header { height: self.height, time: self.time, ..header }, body)
    }
}

/// Checks CHAIN-14: the coins of an account of several keys move when enough of them have signed.
#[test]
fn an_account_of_several_keys_spends() {
    let mut world = World::new();
    let (authority, people) = two_of_three();
    let fund = Message::Send { to: authority.address(), amount: Amount::stos(10) };
    world.block(100, vec![world.transaction(&person(1), 0, vec![fund])]);
    let spend = body(&world, authority.clone(), 0, vec![send(2, Amount::stos(4))]);
    let signed = |who: &[usize]| spend.clone().combine(&who.iter().map(|at| spend.endorse(&people[*at]).expect("one of them")).collect::<Vec<_>>());
    signed(&[2]).expect_err("one is not enough");
    let executed = world.block(100, vec![signed(&[2, 0]).expect("two are")]);
    assert_eq!(executed.receipts[0].status, Status::Done);
    let account = accounts::read(world.state(), &authority.address());
    assert_eq!((account.nonce, account.balance.0), (1, Amount::stos(6).0 - executed.receipts[0].fee.0));
    // Whoever signs, it is the same transaction: it uses one nonce.
    assert!(world.block(100, vec![signed(&[1, 2]).expect("two are")]).receipts.is_empty());
    // A key of it is an account of its own, without these coins.
    let alone = body(&world, people[0].key().into(), 0, vec![send(2, Amount(1))]);
    assert!(world.block(100, vec![alone.sign(&people[0])]).receipts.is_empty());
}

#[test]
fn what_is_simulated_is_what_happens() {
    let mut world = World::new();
    let (authority, people) = two_of_three();
    world.block(100, vec![world.transaction(&person(1), 0, vec![Message::Send { to: authority.address(), amount: Amount::stos(10) }])]);
    let one = Authority::from(person(1).key());
    let dear = Message::BuyOzone { amount: Amount::stos(1), noz_min: Noz(u128::MAX), height_max: Height(100), beneficiary: authority.address() };
    let buy = Message::BuyOzone { amount: Amount::stos(1), noz_min: Noz(1), height_max: Height(100), beneficiary: authority.address() };
    for (authority, messages) in [
        (one.clone(), vec![send(2, Amount::stos(1)), buy]),
        (one, vec![send(2, Amount::stos(1)), dear]),
        (authority.clone(), vec![send(2, Amount::stos(1)), send(3, Amount(1))]),
        (authority, vec![send(2, Amount::stos(1_000))]),
    ] {
        let nonce = accounts::read(world.state(), &authority.address()).nonce;
        let body = body(&world, authority, nonce, messages);
        let before = world.state().root();
        let simulation = world.simulate(body.clone());
        assert_eq!(world.state().root(), before, "nothing is kept");
        assert_eq!(simulation.base_fee, fees::base_fee(world.state()));
        let signatures: Vec<_> = people.iter().chain([&person(1)]).filter_map(|secret| body.endorse(secret)).collect();
        let receipt = world.block(100, vec![body.combine(&signatures).expect("enough")]).receipts.remove(0);
        assert_eq!((simulation.units, simulation.fee), (receipt.units, Some(receipt.fee)));
        assert_eq!(
            simulation.outcome,
            match receipt.status {
                Status::Done => Outcome::Done(receipt.logs.iter().map(|log| Event::from_log(log).expect("an event")).collect()),
                Status::Failed(text) => Outcome::Failed(text),
            }
        );
    }
}

#[test]
fn what_no_block_takes_is_refused_before_it_is_signed() {
    let mut world = World::new();
    let one = Authority::from(person(1).key());
    world.block(100, vec![world.transaction(&person(1), 0, vec![send(2, Amount(1))])]);
    let good = body(&world, one, 1, vec![send(2, Amount(1))]);
    let refusal = |body: Transaction| match world.simulate(body).outcome {
        Outcome::Refused(refusal) => refusal.to_string(),
        outcome @ (Outcome::Done(_) | Outcome::Failed(_)) => panic!("{outcome:?}"),
    };
    assert!(refusal(Transaction { chain: Hash::ZERO, ..good.clone() }).contains("is for chain 0000"));
    assert!(refusal(Transaction { version: 3, ..good.clone() }).contains("version 3 is unknown"));
    assert!(refusal(Transaction { messages: Vec::new(), ..good.clone() }).contains("0 messages"));
    assert!(refusal(Transaction { nonce: 0, ..good.clone() }).contains("is used; the next is 1"));
    assert!(refusal(Transaction { fee_max: Amount(1), ..good.clone() }).contains("the transaction offers at most 1 wei"));
    assert!(refusal(Transaction { authority: person(77).key().into(), nonce: 0, ..good.clone() }).contains("has 0 wei"));
    assert!(refusal(Transaction { messages: vec![Message::MoveNode { addresses: vec!["a".repeat(1 << 20)] }], ..good.clone() }).contains("at most 1048576"));
    assert_eq!(world.simulate(Transaction { tip: Amount::MAX, ..good.clone() }).fee, None);
    // Its turn has not come, but it will.
    assert!(matches!(world.simulate(Transaction { nonce: 3, ..good }).outcome, Outcome::Done(events) if events.len() == 1));
}
