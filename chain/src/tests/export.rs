//! A chain that another continues: nobody has more, less, or later than before.

use pot::curve::Balance;
use primitives::encoding::decode;

use super::*;
use crate::export::{Export, ExportError, Point, export};
use crate::genesis::continued::{Continued, ContinuedDelegation, ContinuedOzone, ContinuedValidator, Maturing, MetaStanding, Standing};
use crate::governance::{self, Action};
use crate::invariants;
use crate::keys::VALUE_BYTES_MAX;
use crate::meta_registry::Status as MetaStatus;
use crate::profiles::Profile;
use crate::resource::Status as ResourceStatus;
use crate::rewards::Reward;
use crate::staking::delegation::{self, Delegation, worth};
use crate::staking::{self, Validator, redelegation};
use crate::{ballots, slashing};

const AT: Point = Point { chain: Hash([7; 32]), height: Height(77), time: Time(5_000_000) };

/// All values of a table, by the fields of their keys.
fn table<T: borsh::BorshDeserialize>(state: &Sealed, room: u8, table: u8) -> BTreeMap<Vec<u8>, T> {
    let mut found = BTreeMap::new();
    state.scan(&[room, table], |key, bytes| drop(found.insert(key[2..].to_vec(), decode(bytes, VALUE_BYTES_MAX).expect("ours"))));
    found
}

fn address(bytes: &[u8]) -> Address {
    Address(*bytes.first_chunk().expect("20 bytes"))
}

/// What delegations are worth, by (validator, delegator).
fn holdings(state: &Sealed) -> BTreeMap<(Address, Address), u128> {
    let held = table::<Delegation>(state, 2, b'd').into_iter().filter_map(|(key, held)| {
        let validator = staking::read(state, &address(&key)).expect("there");
        let moved: u128 = held.moved.iter().map(|part| redelegation::held(state, &validator, part).0.0).sum();
        let sum = worth(held.shares, validator.stake, validator.shares).0 + moved;
        (sum > 0).then_some(((address(&key), address(&key[20..])), sum))
    });
    held.collect()
}

/// What everybody withdraws sooner or later, by the number of epochs until then: rewards, what stake earned, stake on its way out, deposits of who leaves.
fn debts(state: &Sealed) -> BTreeMap<(Address, u64), u128> {
    let (mut debts, now) = (BTreeMap::new(), epochs::current(state).number.0);
    let mut owe = |owner: Address, from: Epoch, amount: Amount| *debts.entry((owner, from.0.saturating_sub(now))).or_default() += amount.0;
    for (key, reward) in table::<Reward>(state, 5, b'r') {
        owe(address(&key), Epoch::ZERO, reward.mature);
        reward.maturing.iter().for_each(|(from, amount)| owe(address(&key), *from, *amount));
    }
    for (key, held) in table::<Delegation>(state, 2, b'd') {
        let (operator, delegator) = (address(&key), address(&key[20..]));
        owe(delegator, Epoch::ZERO, delegation::earned(state, &staking::read(state, &operator).expect("there"), &held));
        for (left, shares) in held.leaving {
            let pot = delegation::leaving(state, &operator, left);
            owe(delegator, delegation::due_from(state, &operator, left), worth(shares, pot.amount, pot.shares));
        }
    }
    for node in table::<MetaNode>(state, 3, b'n').into_values().filter(|node| matches!(node.status, MetaStatus::Leaving | MetaStatus::Tombstoned)) {
        owe(node.operator, meta_registry::free_from(state, node.left.expect("it left")), node.deposit);
    }
    for node in table::<resource::ResourceNode>(state, 4, b'n').into_values().filter(|node| node.status == ResourceStatus::Leaving) {
        owe(node.operator, resource::free_from(state, node.left.expect("it left")), node.deposit);
    }
    debts.retain(|_, amount| *amount > 0);
    debts
}

/// The nodes that do not leave, by operator: where they are, with what deposit, and whether they are active, or wait, or are suspended.
fn nodes(state: &Sealed) -> BTreeMap<Address, (NodeIdentity, Bytes, Amount, String)> {
    let metas = table::<MetaNode>(state, 3, b'n').into_values().filter(|node| node.status != MetaStatus::Leaving);
    let metas = metas.map(|node| {
        let deposit = if node.status == MetaStatus::Tombstoned { Amount::ZERO } else { node.deposit };
        (node.operator, (node.node, Bytes::ZERO, deposit, format!("meta {:?}", node.status)))
    });
    let carriers = table::<resource::ResourceNode>(state, 4, b'n').into_values();
    let carriers = carriers.filter(|node| !matches!(node.status, ResourceStatus::Leaving | ResourceStatus::Gone));
    metas.chain(carriers.map(|node| (node.operator, (node.node, node.capacity, node.deposit, format!("carrier {:?}", node.status))))).collect()
}

/// Exports a state, reads the text again, begins a chain with it, and compares everything; gives the block 0 of that chain.
pub fn continue_from(state: &Sealed) -> (Genesis, Header, Executed) {
    let Export { genesis, notes } = export(state, &AT, "next").expect("its sums hold");
    assert_eq!(export(state, &AT, "next").expect("again").genesis, genesis, "everybody makes the same");
    let text = serde_json::to_string_pretty(&genesis).expect("plain");
    assert_eq!(serde_json::from_str::<Genesis>(&text).expect("it was just written"), genesis);
    let (header, executed) = genesis.execute(&Memory::new()).expect("it was tried");
    let new = &executed.state;
    assert_eq!(invariants::check(new), Ok(()));

    // What ends with the chain ends first.
    let mut ended = state.child();
    assert_eq!(governance::dissolve(&mut ended), notes.proposals);
    slashing::slash_now(&mut ended);
    let old = ended.seal();
    assert_eq!(invariants::check(&old), Ok(()));
    let balances = |state: &Sealed| -> BTreeMap<Vec<u8>, Amount> {
        let all = table::<accounts::Account>(state, 1, b'a').into_iter().map(|(who, account)| (who, account.balance));
        all.filter(|(_, balance)| *balance > Amount::ZERO).collect()
    };
    assert_eq!(balances(new), balances(&old));
    assert!(table::<accounts::Account>(new, 1, b'a').values().all(|account| account.nonce == 0));

    let (mut before, mut after) = (holdings(&old), holdings(new));
    let validators = |state: &Sealed| table::<Validator>(state, 2, b'n');
    for (key, validator) in validators(&old) {
        let own = (address(&key), address(&key));
        let (had, has) = (before.remove(&own).unwrap_or_default(), after.remove(&own).unwrap_or_default());
        assert!((had..had + 100).contains(&has), "what rounding leaves over, {had} and {has} wei");
        let next = staking::read(new, &validator.operator).expect("every validator is there");
        assert_eq!((next.stake, next.key, next.commission), (validator.stake, validator.key, validator.commission));
        assert_eq!(std::mem::discriminant(&next.status), std::mem::discriminant(&validator.status));
    }
    assert_eq!((after, validators(new).len()), (before, validators(&old).len()));
    assert_eq!(staking::validators(new), staking::voters::next(&old));
    assert_eq!(debts(new), debts(&old));
    assert_eq!(nodes(new), nodes(&old));

    let profiles = |state: &Sealed| table::<Profile>(state, 1, b'd');
    let mut kept = profiles(&old);
    kept.retain(|who, _| crate::profiles::operates(new, &address(who)));
    assert_eq!(profiles(new), kept);

    assert_eq!(market::read(new), market::read(&old));
    assert_eq!(market::curve(new), market::curve(&old));
    let ozone =
        |state: &Sealed| -> BTreeMap<Vec<u8>, Balance> { table(state, 5, b'o').into_iter().filter(|(_, balance)| *balance != Balance::default()).collect() };
    assert_eq!(ozone(new), ozone(&old));
    assert_eq!(Parameters::read(new), Parameters::read(&old));
    assert_eq!(settlement::progress(new).mined, settlement::progress(&old).mined);
    let (had, has) = (Pools::read(&old), Pools::read(new));
    assert_eq!((has.prepaid, has.stake, has.reserve, has.burned), (had.prepaid, had.stake, had.reserve, had.burned));
    assert_eq!((has.governance, has.unbonding, has.total()), (Amount::ZERO, Amount::ZERO, had.total()));
    assert!((had.community.0..had.community.0 + 1_000).contains(&has.community.0), "what rounding left over");
    (genesis, header, executed)
}

impl World {
    /// A chain that goes on where this one stands.
    fn continued(&self) -> Self {
        let (genesis, header, executed) = continue_from(self.state());
        Self { rules: ValueLedger::new(genesis.hash()), time: genesis.time, genesis, parent: executed.as_parent(), hash: header.hash(), height: Height(0) }
    }

    fn balance(&self, number: u8) -> u128 {
        accounts::read(self.state(), &person(number).address()).balance.0
    }
}

/// Two validators with delegators, of which one moved and one is on its way out; traffic settled and not; nodes everywhere in their lives; proposals and ballots.
fn busy() -> World {
    let mut world = World::new();
    activate(&mut world, &[20, 21, 22]);
    for number in [10, 11, 20, 21, 22, 23, 24, 30, 31, 32, 40] {
        world.run_by(9, send(number, Amount::stos(400))).expect("rich");
    }
    for number in [10, 21, 30, 31, 32] {
        let profile = Profile { name: format!("operator {number}"), website: "https://example.org".into(), ..Profile::default() };
        world.run_by(number, Message::Describe { profile }).expect("it operates something");
    }
    world.block(EPOCH_MS, Vec::new());
    let chain = world.genesis.hash();
    let possession = |role: &str, number: u8| node_key(number).sign(&Context::new(role, chain), &person(number).address().0);
    let validator = |number: u8| person(number).address();
    let make = Message::CreateValidator {
        key: node_key(11).public(),
        possession: possession(VALIDATOR_POSSESSION_ROLE, 11),
        stake: Amount::stos(50),
        commission: staking::Commission::unlimited(700),
    };
    world.run_by(11, make).expect("made");
    for (who, to, stos) in [(2, 10, 100), (2, 11, 30), (9, 11, 3), (40, 10, 7)] {
        world.run_by(who, Message::Delegate { validator: validator(to), amount: Amount(Amount::stos(stos).0 / 3) }).expect("added");
    }
    world.run_by(2, Message::BuyOzone { amount: Amount::stos(3), noz_min: Noz(1), height_max: Height(99), beneficiary: person(3).address() }).expect("sold");
    let settle = |world: &mut World, epoch, traffic: &[(u8, u8, u64)]| {
        let (report, parts) = world.report_of(epoch, traffic, &[20, 21, 22]);
        for part in parts {
            world.run_by(9, Message::Settle { report: report.clone(), part: Some(Box::new(part)) }).expect("it holds");
        }
    };
    world.block(EPOCH_MS, Vec::new());
    let (report, parts) = world.report(Epoch(0), &[(1, 30, 3_000_001), (1, 31, 70_000), (3, 30, 1_234_567)]);
    world.run_by(9, Message::Settle { report, part: Some(Box::new(parts[0].clone())) }).expect("it holds");
    settle(&mut world, Epoch(1), &[(1, 32, 900_000)]);
    world.challenge();
    world.block(1, Vec::new());
    assert!(settlement::settled(world.state(), Epoch(1)).is_some());

    world.run_by(9, Message::Redelegate { from: validator(11), to: validator(10), amount: Amount(Amount::stos(1).0) }).expect("moved");
    world.run_by(2, Message::Redelegate { from: validator(11), to: validator(10), amount: Amount(Amount::stos(10).0 / 3 * 2 + 1) }).expect("moved");
    world.run_by(40, Message::Undelegate { validator: validator(10), amount: Amount(1_234_567) }).expect("on its way");
    for motion in [ballots::Motion::Suspend(validator(33)), ballots::Motion::Suspend(validator(34))] {
        for voter in [20, 21, 22].into_iter().filter(|voter| *voter < 22 || motion.subject() == validator(33)) {
            world.run_by(voter, Message::VoteMeta { motion }).expect("a vote");
        }
    }
    world.run_by(31, Message::LeaveRegistry).expect("it leaves");
    world.block(EPOCH_MS, Vec::new());
    world.run_by(22, Message::LeaveRegistry).expect("it leaves");
    world.run_by(2, Message::Undelegate { validator: validator(10), amount: Amount::stos(5) }).expect("on its way");
    let actions = vec![Action::Spend { to: person(3).address(), amount: Amount(1) }];
    world.run_by(2, Message::Propose { title: "a gift".into(), text: "because".into(), actions }).expect("proposed");
    let (node, possession) = (identity(&node_key(40)), possession(POSSESSION_ROLE, 40));
    world.run_by(40, Message::RegisterResource { node, possession, capacity: Bytes(1), deposit: Amount::stos(2) }).expect("a candidate");
    // Reported, and not settled.
    settle(&mut world, Epoch(2), &[(1, 30, 5_000)]);
    world
}

#[test]
fn a_busy_chain_goes_on() {
    let mut old = busy();
    let (before, export) = (epochs::current(old.state()).number, export(old.state(), &AT, "next").expect("its sums hold"));
    assert_eq!(export.notes.proposals, [0]);
    assert_eq!((export.notes.unsettled, export.notes.uncharged, export.notes.ballots), ((Epoch(2), before), Noz(5_000), 1));
    let mut new = old.continued();
    let statuses: Vec<String> = nodes(new.state()).into_values().map(|(_, _, _, status)| status).collect();
    for status in ["meta Active", "meta Applicant", "carrier Active", "carrier Candidate", "carrier Suspended"] {
        assert!(statuses.iter().any(|found| found == status), "{status} in {statuses:?}");
    }

    // No transaction of the old chain is one of the new.
    let foreign = old.transaction(&person(2), 0, vec![send(3, Amount(1))]);
    assert!(new.rules.verify(&[foreign])[0].is_err());
    let ours = new.transaction(&person(2), 0, vec![send(3, Amount(1))]);
    assert_eq!(new.block(100, vec![ours]).receipts[0].status, Status::Done);

    // What waits comes in the same epoch, on both chains alike, and not before.
    let waits: Vec<((Address, u64), u128)> = debts(new.state()).into_iter().filter(|((_, wait), _)| *wait > 0).collect();
    assert!(waits.len() >= 5, "{waits:?}");
    let mut pending = waits.clone();
    for epoch in 0..=waits.iter().map(|((_, wait), _)| *wait).max().expect("some") {
        assert_eq!(epochs::current(new.state()).number, Epoch(epoch));
        let mature = |owner: &Address| rewards::read(new.state(), owner).at(Epoch(epoch)).0.0;
        for ((owner, _), amount) in pending.extract_if(.., |((_, wait), _)| *wait == epoch) {
            assert!(mature(&owner) >= amount);
        }
        for ((owner, _), amount) in &pending {
            let (mature, maturing) = rewards::read(new.state(), owner).at(Epoch(epoch));
            assert!(maturing.0 >= *amount && mature.0 + maturing.0 >= *amount);
        }
        new.block(EPOCH_MS, Vec::new());
    }
    assert!(pending.is_empty());
    let (had, all) = (new.balance(40), rewards::read(new.state(), &person(40).address()).at(Epoch(u64::MAX)).0);
    new.run_by(40, Message::Withdraw { to: person(40).address(), amount: all }).expect("mature");
    assert!(new.balance(40) > had && all >= Amount(1_234_566));

    // Traffic is paid, and mining goes on where it was.
    let mined = settlement::progress(new.state()).mined;
    assert!(mined > Amount::ZERO && mined == settlement::progress(old.state()).mined);
    let (report, parts) = new.report_of(Epoch(0), &[(1, 30, 9_000_000)], &[20, 21]);
    new.run_by(9, Message::Settle { report, part: Some(Box::new(parts[0].clone())) }).expect("it holds");
    new.challenge();
    new.block(1, Vec::new());
    let settled = settlement::settled(new.state(), Epoch(0)).expect("settled");
    assert_eq!((settled.noz, settlement::progress(new.state()).mined.0), (Noz(9_000_000), mined.0 + settled.mined.0));
    assert!(settled.validators.iter().all(|share| share.reward > Amount::ZERO) && settled.validators.len() == 2);

    // And it can be continued itself; the old one too, later.
    new.continued();
    old.challenge();
    old.continued();
}

/// A slash that waits is carried out, and the tombstone stays.
#[test]
fn the_guilty_do_not_escape() {
    let mut world = busy();
    world.block(EPOCH_MS, Vec::new());
    let evidence = contradiction(&world, 1, &node_key(11));
    world.block_with(100, &[evidence], Vec::new());
    let stake = staking::read(world.state(), &person(11).address()).expect("there").stake;
    let Export { genesis, notes } = export(world.state(), &AT, "next").expect("its sums hold");
    assert_eq!(notes.slashes, 1);
    let mut new = world.continued();
    let next = staking::read(new.state(), &person(11).address()).expect("there");
    assert!(next.stake < stake && matches!(next.status, staking::Status::Tombstoned { .. }), "{next:?} of {stake}");
    let guilty = &genesis.continued.as_ref().expect("it continues").validators[0];
    assert_eq!((guilty.validator.operator, guilty.status), (person(11).address(), Standing::Tombstoned));
    assert_eq!(staking::validators(new.state()).len(), 1);
    // What is left can be taken out, and the key is barred.
    new.block(EPOCH_MS, Vec::new());
    let amount = Amount(holdings(new.state())[&(person(11).address(), person(11).address())]);
    new.run_by(11, Message::Undelegate { validator: person(11).address(), amount }).expect("it has paid");
    let possession = new.possession(VALIDATOR_POSSESSION_ROLE, &node_key(11), &person(9).address());
    let make = Message::CreateValidator { key: node_key(11).public(), possession, stake: Amount::stos(5), commission: staking::Commission::unlimited(0) };
    assert!(new.run_by(9, make).expect_err("barred").contains("is used once"));
}

/// A convicted meta node never comes back, and what is left of its deposit waits for its time.
#[test]
fn convicted_meta_nodes_stay_out() {
    let mut world = busy();
    let mut state = world.state().child();
    let mut node = meta_registry::read(world.state(), &person(21).address()).expect("there");
    (node.status, node.left) = (MetaStatus::Tombstoned, Some(epochs::current(&state).number));
    market::deposit_deactivated(&mut state, node.deposit);
    crate::keys::write(&mut state, &crate::keys::meta_node(&node.operator), &node);
    world.parent.state = state.seal();
    let mut new = world.continued();
    let entry = new.genesis.continued.as_ref().expect("it continues").meta_nodes.iter().find(|entry| entry.node.operator == node.operator).expect("there");
    assert_eq!((entry.status, entry.node.deposit), (MetaStanding::Tombstoned, Amount::ZERO));
    let possession = new.possession(POSSESSION_ROLE, &node_key(21), &node.operator);
    let apply = Message::RegisterMeta { node: identity(&node_key(21)), possession, deposit: Amount::stos(100) };
    assert!(new.run_by(21, apply).expect_err("never again").contains("already operates a node"));
}

#[test]
fn what_cannot_go_on() {
    let world = World::new();
    let mut state = world.state().child();
    pools::mint_into_pool(&mut state, Pool::Community, Amount(1));
    let error = export(&state.seal(), &AT, "next").expect_err("a wei too much");
    assert!(matches!(&error, ExportError::Violation { height: Height(77), .. }) && error.to_string().contains("CHAIN-1"), "{error}");
    let error = export(world.state(), &AT, "Next").expect_err("a name");
    assert!(matches!(error, ExportError::Genesis { cause: GenesisError::Name(_), .. }));
}

/// What the file says is checked like the rest of it.
#[test]
fn continued_entries_that_are_wrong_are_named() {
    let good = export(busy().state(), &AT, "next").expect("its sums hold").genesis;
    type Change = fn(&mut Continued);
    let cases: [(Change, &str); 9] = [
        (
            |all| {
                all.validators.push(ContinuedValidator {
                    validator: GenesisValidator {
                        operator: person(10).address(),
                        key: node_key(99).public(),
                        stake: Amount::ZERO,
                        commission: staking::Commission::unlimited(0),
                    },
                    status: Standing::Candidate,
                })
            },
            "continued.validators entry 0: ",
        ),
        (|all| all.delegations[1].validator = person(77).address(), "continued.delegations entry 1: "),
        (|all| all.delegations[0].delegator = all.delegations[0].validator, "own stake is the validator's `stake`"),
        (
            |all| {
                let first = all.delegations[0].clone();
                all.delegations[0].amount = Amount(first.amount.0 - 1);
                all.delegations.push(ContinuedDelegation { amount: Amount(1), ..first })
            },
            "is there twice",
        ),
        (
            |all| {
                let node = all.meta_nodes[0].clone();
                all.meta_nodes[0].node.deposit = Amount::ZERO;
                all.meta_nodes.push(node)
            },
            "continued.meta_nodes entry ",
        ),
        (|all| all.meta_nodes[0].status = MetaStanding::Tombstoned, "belongs to `rewards`"),
        (
            |all| {
                let ozone = all.ozone[0].clone();
                all.ozone[0].cost = Amount(1);
                all.ozone.push(ContinuedOzone { cost: Amount(ozone.cost.0 - 1), ..ozone })
            },
            "continued.ozone entry ",
        ),
        (
            |all| {
                let part = all.rewards.iter_mut().find(|reward| !reward.maturing.is_empty()).expect("one");
                let first = part.maturing[0];
                part.maturing.insert(0, Maturing { amount: Amount::ZERO, ..first })
            },
            "they are ascending",
        ),
        (|all| all.burned = Amount(all.burned.0 + 5), "5 wei too many"),
    ];
    for (change, cause) in cases {
        let mut wrong = good.clone();
        change(wrong.continued.as_mut().expect("it continues"));
        let error = wrong.execute(&Memory::new()).map(drop).expect_err(cause).to_string();
        assert!(error.contains(cause), "{error} is not about: {cause}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever happens on a chain over several epochs, it can be continued after every one of its blocks.
    #[test]
    fn whatever_happens_goes_on(steps in proptest::collection::vec((0..4u8, 0..9u8, 0..4u8, any::<u64>(), 1..EPOCH_MS * 2), 1..20)) {
        let mut world = busy();
        for (who, what, other, number, after) in steps {
            let amount = Amount(u128::from(number) << (number % 8));
            let (validator, to) = (person(10 + other % 2).address(), person(10 + who % 2).address());
            let message = match what {
                0 => send(other, amount),
                1 => Message::BuyOzone { amount, noz_min: Noz(0), height_max: Height(1_000), beneficiary: person(other).address() },
                2 => Message::Withdraw { to: person(other).address(), amount },
                3 => Message::Delegate { validator, amount },
                4 => Message::Undelegate { validator, amount },
                5 => Message::Redelegate { from: validator, to, amount },
                6 => Message::CollectReward { validator },
                7 => Message::LeaveRegistry,
                _ => {
                    let epoch = settlement::progress(world.state()).epoch;
                    let (report, mut parts) = world.report_of(epoch, &[(who, 30 + other, number % 1_000_000 + 5)], &[20, 21, 22]);
                    Message::Settle { report, part: parts.pop().map(Box::new) }
                }
            };
            let from = if what == 7 { 30 + who } else { [1, 2, 9, 40][usize::from(who)] };
            let nonce = accounts::read(world.state(), &person(from).address()).nonce;
            let transaction = world.transaction(&person(from), nonce, vec![message]);
            world.block(after, vec![transaction]);
        }
        let mut new = world.continued();
        for _ in 0..3 {
            new.block(EPOCH_MS, Vec::new());
        }
        new.continued();
    }
}

/// What would stop every node later is refused at once: keys with which nobody can vote, and records that grow beyond what can be kept.
#[test]
fn a_file_that_would_break_later_is_refused() {
    let refused = |change: &dyn Fn(&mut Genesis), list: &str, words: &str| {
        let mut genesis = everything();
        genesis.continued.as_mut().expect("it continues").validators.pop();
        change(&mut genesis);
        let error = genesis.execute(&Memory::new()).map(|_| ()).expect_err(words).to_string();
        assert!(error.starts_with(list) && error.contains(words), "{error}");
    };
    let of = |genesis: &mut Genesis| genesis.continued.take().expect("it continues");
    for bad in [PublicKey([0; 32]), PublicKey([0xff; 32])] {
        refused(&|genesis| genesis.resource_nodes[0].key = bad, "resource_nodes entry 0", "public key");
        let meta = |genesis: &mut Genesis| {
            let mut continued = of(genesis);
            continued.meta_nodes[0].node.key = bad;
            genesis.continued = Some(continued);
        };
        refused(&meta, "continued.meta_nodes entry 0", "public key");
    }
    let far = |genesis: &mut Genesis| {
        let mut continued = of(genesis);
        let parts = (0..=crate::genesis::continued::FAR_MAX).map(|number| Maturing { epoch: Epoch(50_000 + number as u64), amount: Amount::ZERO });
        continued.rewards[0].maturing.extend(parts);
        genesis.continued = Some(continued);
    };
    refused(&far, "continued.rewards entry 0", "4097 times after epoch 32768, at most 4096");
}

/// Tombstones take no place on the list of meta nodes, however full it is.
#[test]
fn a_full_list_and_a_tombstone_continue() {
    let mut genesis = everything();
    let continued = genesis.continued.as_mut().expect("it continues");
    continued.validators.pop();
    let model = continued.meta_nodes[0].node.clone();
    let mut free = genesis.accounts.iter_mut().max_by_key(|account| account.balance).expect("somebody is rich").balance;
    let count = genesis.meta_nodes.len() + continued.meta_nodes.iter().filter(|entry| entry.status == MetaStanding::Applicant).count();
    for number in count..meta_registry::META_NODES_MAX {
        let secret = SecretKey::from_seed(&Hash::of("applicant", &[&number.to_le_bytes()]).0);
        let operator = Address(*secret.public().0.first_chunk().expect("32 bytes"));
        let node = GenesisNode { operator, key: secret.public(), deposit: Amount(1), ..model.clone() };
        continued.meta_nodes.insert(0, crate::genesis::continued::ContinuedMeta { node, status: MetaStanding::Applicant });
        free = free.saturating_sub(Amount(1));
    }
    genesis.accounts.iter_mut().max_by_key(|account| account.balance).expect("somebody is rich").balance = free;
    let secret = SecretKey::from_seed(&[77; 32]);
    let node = GenesisNode { operator: Address([77; 20]), key: secret.public(), deposit: Amount::ZERO, ..model };
    continued.meta_nodes.push(crate::genesis::continued::ContinuedMeta { node, status: MetaStanding::Tombstoned });
    let (_, executed) = genesis.execute(&Memory::new()).expect("there is a place for each");
    assert_eq!(meta_registry::operators(&executed.state).len(), meta_registry::META_NODES_MAX);
    assert_eq!(meta_registry::read(&executed.state, &Address([77; 20])).expect("kept").status, MetaStatus::Tombstoned);
    assert_eq!(invariants::check(&executed.state), Ok(()));
}

/// A file that has every field.
pub fn everything() -> Genesis {
    let mut genesis = export(busy().state(), &AT, "next").expect("its sums hold").genesis;
    let continued = genesis.continued.as_mut().expect("it continues");
    let validator = genesis.validators[1].clone();
    continued.validators.push(ContinuedValidator { validator, status: Standing::Candidate });
    genesis
}
