//! The value ledger as a whole: blocks of transactions against plain sums.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use consensus::block::{Finality, Header};
use consensus::certificate::Certificate;
use consensus::evidence::Evidence;
use consensus::members::{Member, Members};
use consensus::vote::{Kind, SignedVote, Vote};
use pot::report::{self, Known};
use pot::{Channel, ClaimedReceipts, Class, Receipt, Signed, SignedGrant};
use primitives::encoding::encode;
use primitives::{AccountSecret, Address, Amount, Bytes, Context, Epoch, Hash, Height, Noz, PublicKey, SecretKey, Signature, Time, View};
use proptest::prelude::*;
use state::{Memory, Sealed};

use crate::event::{self, Event};
use crate::genesis::{Genesis, GenesisAccount, GenesisError, GenesisNode, GenesisValidator, TOTAL_SUPPLY, meta_chain};
use crate::ledger::block::EVIDENCE_BYTES_MAX;
use crate::ledger::evidence_pool::EVIDENCE_MAX;
use crate::ledger::execute::{Parent, build, check};
use crate::ledger::proven::Entry;
use crate::ledger::{BlockError, BlockInfo, Body, Certified, EvidencePool, Executed, Heard, Mempool, Proven, Refusal, Rules, Status, Summary};
use crate::meta_registry::MetaNode;
use crate::parameters::{ParameterError, Parameters};
use crate::pools::{self, Pool, Pools};
use crate::transaction::{Message, NodeIdentity, POSSESSION_ROLE, TRANSACTION_VERSION, Transaction, VALIDATOR_POSSESSION_ROLE};
use crate::{ValueLedger, accounts, epochs, market, meta_registry, resource, rewards, settlement};

const EPOCH_MS: u64 = 10_000;
/// Fewest bytes of a channel that can be claimed: tests move few.
const CHANNEL_NOZ_MIN: u64 = 5;

mod books;
mod bytes;
mod fields;
mod economics;
pub(crate) mod export;
mod governance;
mod profiles;
mod registries;
mod signing;
mod traffic;

/// A chain in memory with one proposer, driven block by block.
struct World {
    genesis: Genesis,
    rules: ValueLedger,
    parent: Parent,
    hash: Hash,
    height: Height,
    time: Time,
}

fn person(number: u8) -> AccountSecret {
    AccountSecret::from_seed(&[number; 32])
}

/// Cases of a search: these, or as many as `PROPTEST_CASES` says.
fn searched(cases: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases)
}

/// Everybody who may have something.
fn everybody() -> &'static [Address] {
    static EVERYBODY: LazyLock<Vec<Address>> =
        LazyLock::new(|| (0..=255).map(|number| person(number).address()).chain([signing::two_of_three().0.address()]).collect());
    &EVERYBODY
}

fn node_key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[100 + number; 32])
}

fn identity(key: &SecretKey) -> NodeIdentity {
    NodeIdentity { key: key.public(), peer: vec![1; 38], addresses: vec!["/ip4/127.0.0.1/tcp/1".into()] }
}

fn genesis() -> Genesis {
    let node = |number: u8, deposit, capacity| GenesisNode {
        operator: person(number).address(),
        key: node_key(number).public(),
        peer: vec![1; 38],
        addresses: vec!["/ip4/127.0.0.1/tcp/1".into()],
        deposit,
        capacity,
    };
    let account =
        |number: u8, stos: u64, ozone: u64| GenesisAccount { address: person(number).address(), balance: Amount::stos(stos), ozone_for: Amount::stos(ozone) };
    let mut genesis = Genesis {
        name: "test".into(),
        time: Time(1_000_000),
        parameters: Parameters { epoch_ms: EPOCH_MS, channel_noz_min: CHANNEL_NOZ_MIN, ..Parameters::dev() },
        reserve: Amount::stos(40_000_000),
        accounts: vec![account(1, 1_000, 100), account(2, 1_000, 0), account(3, 10, 0)],
        validators: vec![GenesisValidator {
            operator: person(10).address(),
            key: node_key(10).public(),
            stake: Amount::stos(1_000),
            commission: crate::staking::Commission::unlimited(500),
        }],
        meta_nodes: vec![node(20, Amount::stos(100), Bytes(0))],
        resource_nodes: (30..36).map(|number| node(number, Amount::stos(10), Bytes(1 << 40))).collect(),
        continued: None,
    };
    let used = 40_000_000 + 2_010 + 1_000 + 100 + 60;
    genesis.accounts.push(account(9, 100_000_000 - used, 0));
    genesis
}

impl World {
    fn new() -> Self {
        Self::of(genesis())
    }

    fn of(genesis: Genesis) -> Self {
        let (header, executed) = genesis.execute(&Memory::new()).expect("the genesis is valid");
        Self { rules: ValueLedger::new(genesis.hash()), time: genesis.time, genesis, parent: executed.as_parent(), hash: header.hash(), height: Height(0) }
    }

    fn state(&self) -> &Sealed {
        &self.parent.state
    }

    fn transaction(&self, from: &AccountSecret, nonce: u64, messages: Vec<Message>) -> Vec<u8> {
        self.tipping(from, nonce, Amount(3), messages)
    }

    fn tipping(&self, from: &AccountSecret, nonce: u64, tip: Amount, messages: Vec<Message>) -> Vec<u8> {
        let body = Transaction {
            version: TRANSACTION_VERSION,
            chain: self.genesis.hash(),
            authority: from.key().into(),
            nonce,
            fee_max: Amount::stos(1),
            tip,
            messages,
            memo: Vec::new(),
        };
        body.sign(from)
    }

    /// What makes a key somebody's: its signature over the address.
    fn possession(&self, role: &str, key: &SecretKey, operator: &Address) -> Signature {
        key.sign(&Context::new(role, self.genesis.hash()), &operator.0)
    }

    /// The block that comes `after_ms` after the last one, proposed by the first of the voters.
    fn next(&self, after_ms: u64) -> BlockInfo {
        BlockInfo {
            chain: self.genesis.hash(),
            height: self.height.next(),
            time: self.time.saturating_add(Time(after_ms)),
            parent: self.hash,
            proposer: 0,
            voters: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// A block `after_ms` after the last one; checked against a second execution.
    fn block(&mut self, after_ms: u64, transactions: Vec<Vec<u8>>) -> Executed {
        self.block_with(after_ms, &[], transactions)
    }

    fn block_with(&mut self, after_ms: u64, evidence: &[Evidence], transactions: Vec<Vec<u8>>) -> Executed {
        self.block_of(after_ms, evidence, &[], transactions)
    }

    /// The same, with the votes of all members but `silent` for the parent.
    fn block_of(&mut self, after_ms: u64, evidence: &[Evidence], silent: &[u16], transactions: Vec<Vec<u8>>) -> Executed {
        let members = self.rules.electorate(self.state()).members.list().len();
        let voters = (0..u16::try_from(members).expect("few")).filter(|index| !silent.is_empty() && !silent.contains(index)).collect();
        let info = BlockInfo { voters, absent: silent.to_vec(), ..self.next(after_ms) };
        let verified: Vec<_> =
            self.rules.verify(&transactions).into_iter().zip(transactions).filter_map(|(verdict, bytes)| Some((bytes, verdict.ok()?))).collect();
        let executed = build(&self.rules, &self.parent, &info, evidence, verified);
        let again: Vec<_> = self.rules.verify(&executed.body.transactions).into_iter().map(|verdict| verdict.expect("was valid before")).collect();
        let checked = check(&self.rules, &self.parent, &info, &executed.body, &again).expect("a built block is valid");
        assert_eq!(checked.receipts, executed.receipts);
        self.parent = executed.as_parent();
        self.hash = Hash::of("test header", &[&encode(&executed.body.summary)]);
        self.height = info.height;
        self.time = info.time;
        self.audit();
        assert_eq!(crate::invariants::check(self.state()), Ok(()));
        executed
    }

    /// The time of challenge of what was just reported passes.
    fn challenge(&mut self) {
        for _ in 0..=self.genesis.parameters.challenge_epochs {
            self.block(EPOCH_MS, Vec::new());
        }
    }

    /// Checks CHAIN-1, CHAIN-2 and CHAIN-4 by plain sums over everybody.
    fn audit(&self) {
        let pools = Pools::read(self.state());
        let accounts: u128 = everybody().iter().map(|address| accounts::read(self.state(), address).balance.0).sum();
        assert_eq!(accounts + pools.total().0, TOTAL_SUPPLY.0, "CHAIN-1: no coin is made or lost");
        let ozone: Vec<_> = everybody().iter().map(|address| market::ozone(self.state(), address)).collect();
        assert_eq!(ozone.iter().map(|balance| balance.cost.0).sum::<u128>(), pools.prepaid.0, "CHAIN-2: the pool is what the balances cost");
        let market = market::read(self.state());
        assert_eq!(ozone.iter().map(|balance| balance.noz.0).sum::<u128>(), market.sold.0);
        assert_eq!(market.for_sale.0, (market.deposits.0 / 1_000_000).saturating_sub(market.sold.0), "CHAIN-4");
        let deposits = meta_registry::nodes(self.state()).iter().map(|node| node.deposit.0).sum::<u128>();
        let deposits = deposits
            + resource::operators(self.state()).iter().filter_map(|operator| resource::read(self.state(), operator)).map(|node| node.deposit.0).sum::<u128>();
        assert_eq!(deposits, pools.deposits.0, "the pool of deposits is what the registries say");
    }

    /// A report of the metadata ledger over `traffic` (payer, carrier, bytes), certified, with its parts.
    fn report(&self, epoch: Epoch, traffic: &[(u8, u8, u64)]) -> (Box<Proven>, Vec<report::Part>) {
        self.report_of(epoch, traffic, &[20])
    }

    /// The same, certified by these meta nodes.
    fn report_of(&self, epoch: Epoch, traffic: &[(u8, u8, u64)], metas: &[u8]) -> (Box<Proven>, Vec<report::Part>) {
        self.report_with(epoch, traffic, &[20], metas)
    }

    /// The same, with these meta nodes alive.
    fn report_with(&self, epoch: Epoch, traffic: &[(u8, u8, u64)], alive: &[u8], metas: &[u8]) -> (Box<Proven>, Vec<report::Part>) {
        let (claims, grants) = claims(self.genesis.hash(), epoch, traffic);
        let liveness = alive.iter().map(|meta| (person(*meta).address(), 1)).collect();
        let keys = traffic.iter().map(|(_, carrier, _)| (person(*carrier).address(), node_key(*carrier).public())).collect();
        let known = Known { chain: self.genesis.hash(), grants: &grants, keys: &keys, liveness: &liveness };
        let (report, parts) = report::build(epoch, &claims, &known).expect("the claims make a report");
        let mut overlay = Memory::new().child();
        overlay.put(report::key(epoch), encode(&report)).expect("short");
        (Box::new(self.certify(&overlay.seal(), vec![report::key(epoch)], metas)), parts)
    }

    /// A reading of the metadata ledger, certified by these meta nodes.
    fn certify(&self, state: &Sealed, keys: Vec<Vec<u8>>, metas: &[u8]) -> Proven {
        let chain = meta_chain(self.genesis.hash());
        let members = Members::new(metas.iter().map(|meta| Member { key: node_key(*meta).public(), weight: 1 }).collect()).expect("members");
        let summary = Summary::genesis(state.root(), Amount(1), 1, Hash::ZERO);
        let header = Header { height: Height(7), view: View(7), ..Header::genesis(chain, &members, Time(5), summary.digest()) };
        let vote = Vote { epoch: header.epoch, view: header.view, kind: Kind::Finalize(header.hash()) };
        let sign = |meta: &u8| node_key(*meta).sign_deterministic(&Vote::context(chain), &vote.sign_bytes(members.hash()));
        let finality = Finality::direct(Certificate::new(vote, &members, (0..).zip(metas.iter().map(sign)).collect::<Vec<_>>()));
        let entry = |key: Vec<u8>| Entry { value: state.get(&key), proof: state.prove(&key), key };
        Proven { certified: Certified { header, summary, finality }, entries: keys.into_iter().map(entry).collect() }
    }
}

impl World {
    /// Runs one message of somebody in a block of its own.
    fn run_by(&mut self, number: u8, message: Message) -> Result<Vec<Event>, String> {
        let nonce = accounts::read(self.state(), &person(number).address()).nonce;
        let transaction = self.transaction(&person(number), nonce, vec![message]);
        let executed = self.block(100, vec![transaction]);
        let receipt = executed.receipts.first().unwrap_or_else(|| panic!("{number} cannot pay the fee"));
        match &receipt.status {
            Status::Done => Ok(receipt.logs.iter().filter_map(Event::from_log).collect()),
            Status::Failed(text) => Err(text.clone()),
        }
    }
}

/// Lets exactly these meta nodes be active, as votes would.
fn activate(world: &mut World, metas: &[u8]) {
    let mut state = world.state().child();
    for number in 20..25 {
        let (operator, key) = (person(number).address(), node_key(number));
        let status = if metas.contains(&number) { meta_registry::Status::Active } else { meta_registry::Status::Applicant };
        let record = MetaNode { operator, node: identity(&key), deposit: Amount::stos(100), status, since: Epoch::ZERO, left: None };
        let before = meta_registry::read(&state, &operator).map(|node| node.status);
        if before.is_some() {
            crate::keys::write(&mut state, &crate::keys::meta_node(&operator), &record);
        } else {
            pools::pay_in(&mut state, &person(9).address(), Pool::Deposits, record.deposit).expect("rich");
            meta_registry::insert(&mut state, &record).expect("a new node");
        }
        let active = meta_registry::Status::Active;
        match (before == Some(active), status == active) {
            (false, true) => market::deposit_activated(&mut state, record.deposit),
            (true, false) => market::deposit_deactivated(&mut state, record.deposit),
            (true, true) | (false, false) => {}
        }
    }
    world.parent.state = state.seal();
}

/// Claims as carriers make them, ordered by carrier, and the payers' grants: one channel per payer and carrier.
fn claims(chain: Hash, epoch: Epoch, traffic: &[(u8, u8, u64)]) -> (Vec<ClaimedReceipts>, BTreeMap<(Address, PublicKey), SignedGrant>) {
    let (mut carriers, mut grants) = (BTreeMap::new(), BTreeMap::new());
    for (payer, carrier, bytes) in traffic {
        let (wallet, session) = (person(*payer), SecretKey::from_seed(&[200 + payer; 32]));
        let channel = Channel { epoch, carrier: person(*carrier).address(), payer: wallet.address(), session: session.public(), class: Class::Upload };
        let receipt = Signed::sign(Receipt::new(chain, channel, *bytes), &session).verify_by_session(chain).expect("just signed");
        let (_, receipts) = carriers.entry(channel.carrier).or_insert((*carrier, Vec::new()));
        receipts.push(receipt);
        grants.insert((wallet.address(), session.public()), SignedGrant::sign(chain, &wallet, &session, epoch.next(), Noz(u128::MAX)));
    }
    let claims = carriers
        .into_iter()
        .map(|(address, (carrier, receipts))| ClaimedReceipts::sign(chain, epoch, address, receipts, &node_key(carrier)).expect("a claim"))
        .collect();
    (claims, grants)
}

fn send(to: u8, amount: Amount) -> Message {
    Message::Send { to: person(to).address(), amount }
}

#[test]
fn genesis_names_what_is_wrong() {
    assert!(genesis().execute(&Memory::new()).is_ok());
    let mut wrong = genesis();
    wrong.reserve = Amount::ZERO;
    assert!(matches!(wrong.execute(&Memory::new()), Err(GenesisError::Supply { .. })));
    let mut wrong = genesis();
    wrong.name = "Test net".into();
    assert!(matches!(wrong.execute(&Memory::new()), Err(GenesisError::Name(_))));
    let mut wrong = genesis();
    wrong.parameters.subsidy_bp = 10_000;
    assert!(
        matches!(wrong.execute(&Memory::new()), Err(GenesisError::Parameter(ParameterError::Together { name: "subsidy_bp", .. }))),
        "self-dealing would pay"
    );
    let mut wrong = genesis();
    wrong.resource_nodes[1].operator = wrong.resource_nodes[0].operator;
    assert!(matches!(wrong.execute(&Memory::new()), Err(GenesisError::Entry { list: "resource_nodes", index: 1, .. })));
    let error = |change: &dyn Fn(&mut Genesis)| {
        let mut wrong = genesis();
        change(&mut wrong);
        wrong.execute(&Memory::new()).map(|_| ()).expect_err("wrong").to_string()
    };
    assert_eq!(error(&|wrong| wrong.parameters.claim_grace_ms = 0), "parameter claim_grace_ms: 0 ms; 1 to 604800000 are possible");
    let text = error(&|wrong| wrong.parameters.mature_epochs = 32_769);
    assert_eq!(text, "parameter mature_epochs: 32769 epochs; 0 to 32768 are possible");
    let validator = |number: u8| GenesisValidator {
        operator: person(number).address(),
        key: node_key(number).public(),
        stake: Amount::stos(1),
        commission: crate::staking::Commission::unlimited(0),
    };
    let text = error(&|wrong| wrong.validators = (0..129).map(validator).collect());
    assert!(text.contains("129 of them, at most 128"), "{text}");
    let text = error(&|wrong| wrong.validators.push(GenesisValidator { operator: person(10).address(), ..validator(11) }));
    assert!(text.starts_with("validators entry 1:") && text.contains("operates validator 0 already"), "{text}");
    let text = error(&|wrong| wrong.validators[0].commission.max_bp = 10_001);
    assert!(text.starts_with("validators entry 0:") && text.contains("raised to 10001"), "{text}");
    let text = error(&|wrong| (wrong.parameters.evidence_epochs, wrong.parameters.unbonding_epochs) = (5, 4));
    assert!(text.starts_with("parameter unbonding_epochs: 4 epochs, but evidence is taken for 5"), "{text}");
    assert!(error(&|wrong| wrong.parameters.evidence_epochs = 0).starts_with("parameter evidence_epochs"));
    assert!(error(&|wrong| wrong.parameters.slash_reward_bp = 10_001).starts_with("parameter slash_reward_bp"));
    let text = error(&|wrong| wrong.resource_nodes[2].key = wrong.meta_nodes[0].key);
    assert!(text.starts_with("resource_nodes entry 2:") && text.contains("the key of node 0 already"), "{text}");
}

/// Two votes of the member with this key that it may not both sign, number `salt` of them.
fn contradiction(world: &World, salt: u8, key: &SecretKey) -> Evidence {
    let electorate = world.rules.electorate(world.state());
    let signer = electorate.members.index_of(&key.public()).expect("a member");
    let vote = |kind| {
        let vote = Vote { epoch: electorate.epoch, view: View(u64::from(salt) + 1), kind };
        let signature = key.sign_deterministic(&Vote::context(world.genesis.hash()), &vote.sign_bytes(electorate.members.hash()));
        SignedVote { vote, signer, signature }
    };
    Evidence::new(vote(Kind::Nullify), vote(Kind::Finalize(Hash([salt; 32])))).expect("they conflict")
}

/// Who has less than 1 stos left stands for no set any more, and an event says so.
#[test]
fn who_stands_no_more_is_told() {
    let mut world = World::new();
    let (key, to) = (node_key(60), person(2).address());
    let possession = world.possession(VALIDATOR_POSSESSION_ROLE, &key, &to);
    let create = Message::CreateValidator { key: key.public(), possession, stake: Amount::stos(20), commission: crate::staking::Commission::unlimited(0) };
    assert_eq!(world.run_by(2, create), Ok(vec![Event::ValidatorCreated { operator: to, stake: Amount::stos(20) }]));
    let out = |stos| Message::Undelegate { validator: to, amount: Amount::stos(stos) };
    let undelegated = |stos| Event::Undelegated { delegator: to, validator: to, amount: Amount::stos(stos) };
    assert_eq!(world.run_by(2, out(19)), Ok(vec![undelegated(19)]));
    assert_eq!(world.run_by(2, out(1)), Ok(vec![undelegated(1), Event::CandidateLeft { operator: to }]));
}

/// A validator's life in blocks: made by a transaction, chosen when the epoch closes, tombstoned by a block's evidence, gone with the next set.
#[test]
fn sets_and_evidence_in_blocks() {
    let mut world = World::new();
    let (operator, key) = (person(2), node_key(60));
    let possession = world.possession(VALIDATOR_POSSESSION_ROLE, &key, &operator.address());
    let create = Message::CreateValidator { key: key.public(), possession, stake: Amount::stos(20), commission: crate::staking::Commission::unlimited(0) };
    let to = operator.address();
    let messages = vec![create, Message::Delegate { validator: to, amount: Amount::stos(3) }, Message::Undelegate { validator: to, amount: Amount::stos(1) }];
    let transactions = vec![
        world.transaction(&operator, 0, messages),
        world.transaction(&operator, 1, vec![Message::WithdrawUnbonded { validator: to }]),
        world.transaction(&operator, 2, vec![Message::Unjail]),
    ];
    let bytes = transactions[0].len();
    let executed = world.block(100, transactions);
    let done: Vec<bool> = executed.receipts.iter().map(|receipt| receipt.status == Status::Done).collect();
    assert_eq!(done, [true, false, false], "not due; not jailed");
    assert_eq!(executed.receipts[0].units, 1_000 + 10 * u64::try_from(bytes).expect("small") + 3 * 500 + 500, "one signature");
    assert_eq!(executed.next_members(), Hash::ZERO, "the epoch goes on");
    let first = world.rules.electorate(world.state());
    let executed = world.block(EPOCH_MS, Vec::new());
    let second = world.rules.electorate(world.state());
    assert_eq!((second.epoch, second.members.total()), (Epoch(1), 1_022));
    assert_ne!((first.seed, first.members.hash()), (second.seed, second.members.hash()));
    assert_eq!(executed.next_members(), second.members.hash());
    let events: Vec<Event> = executed.logs.iter().filter_map(Event::from_log).collect();
    assert_eq!(events, [Event::VoterJoined { operator: to, stake: Amount::stos(22) }, Event::EpochBegan { epoch: Epoch(1) }]);

    let (one, other) = (contradiction(&world, 1, &key), contradiction(&world, 2, &key));
    let executed = world.block_with(100, &[one, one, other], Vec::new());
    assert_eq!((executed.body.evidence.as_slice(), executed.logs.len()), ([one].as_slice(), 1), "CHAIN-8: once");
    let payload = executed.body.to_payload();
    assert_eq!(Body::from_payload(&payload).as_ref(), Some(&executed.body));
    let without = Body { evidence: Vec::new(), ..executed.body.clone() };
    assert_eq!(Body::from_payload(&without.to_payload()), None, "the summary says what evidence there is");
    let info = world.next(1);
    let again = check(&world.rules, &world.parent, &info, &executed.body, &[]);
    assert!(matches!(again, Err(BlockError::Evidence { index: 0, cause: Refusal::NotNow(_) })), "it was taken already");
    assert_eq!(world.block(EPOCH_MS, Vec::new()).next_members(), first.members.hash(), "gone");
}

/// Evidence is free, so what a block carries of it is bounded, for who builds and for who reads.
#[test]
fn evidence_in_a_block_is_bounded() {
    let world = World::new();
    let many: Vec<Evidence> = (0..100).map(|salt| contradiction(&world, salt, &node_key(10))).collect();
    let body = |evidence: &[Evidence]| {
        let bytes: Vec<Vec<u8>> = evidence.iter().map(encode).collect();
        let summary = Summary { evidence: primitives::merkle::root(&bytes), ..world.parent.summary.clone() };
        (Body { summary, evidence: evidence.to_vec(), transactions: Vec::new() }, bytes.concat().len())
    };
    let fit = (0..100).take_while(|count| body(&many[..*count]).1 <= EVIDENCE_BYTES_MAX).count() - 1;
    assert!(Body::from_payload(&body(&many[..fit]).0.to_payload()).is_some());
    assert!(Body::from_payload(&body(&many[..=fit]).0.to_payload()).is_none());
}

/// Only what is false is held against who brings it; what is true is told on once.
#[test]
fn evidence_is_heard() {
    let mut world = World::new();
    let key = node_key(10);
    let early = contradiction(&world, 1, &key);
    world.block(EPOCH_MS, Vec::new());
    let (one, other) = (contradiction(&world, 2, &key), contradiction(&world, 3, &key));
    let hear = |world: &World, pool: &mut EvidencePool, evidence| pool.hear(&world.rules, world.state(), evidence);
    let mut pool = EvidencePool::default();
    assert_eq!([one, one, other, early].map(|evidence| hear(&world, &mut pool, evidence)), [Heard::Kept, Heard::Waits, Heard::Waits, Heard::Kept]);
    assert_eq!(pool.len(), 2);

    let votes = |signer: u16, epoch: u64| {
        let [first, second] = one.votes().map(|vote| SignedVote { vote: Vote { epoch: Epoch(epoch), ..vote.vote }, signer, ..vote });
        Evidence::new(first, second).expect("they conflict")
    };
    let mut full = EvidencePool::default();
    (0_u16..).take(EVIDENCE_MAX).for_each(|signer| assert!(full.insert(votes(signer, 0))));
    assert_eq!((hear(&world, &mut full, one), full.len()), (Heard::NoRoom, EVIDENCE_MAX));

    let refused = |world: &World, evidence| match hear(world, &mut EvidencePool::default(), evidence) {
        Heard::Refused(refusal) => refusal,
        heard @ (Heard::Waits | Heard::Kept | Heard::NoRoom) => panic!("{heard:?}"),
    };
    for (false_one, cause) in [(votes(0, 0), "prove nothing"), (votes(9, 1), "member 9 of epoch 1")] {
        let refusal = refused(&world, false_one);
        assert!(matches!(&refusal, Refusal::Never(text) if text.contains(cause)), "{refusal:?}");
    }
    let not_now = |world: &World, evidence, cause: &str| {
        let refusal = refused(world, evidence);
        assert!(matches!(&refusal, Refusal::NotNow(text) if text.contains(cause)), "{refusal:?}");
    };
    not_now(&world, votes(0, 2), "this is epoch 1");
    // A set that was forgotten before the window became longer is no proof against who remembers it.
    let mut state = world.state().child();
    state.delete(&crate::keys::past_voters(Epoch(0)));
    let forgotten = EvidencePool::default().hear(&world.rules, &state.seal(), early);
    assert!(matches!(&forgotten, Heard::Refused(Refusal::NotNow(text)) if text.contains("is taken for")), "{forgotten:?}");
    world.block_with(100, &[one], Vec::new());
    not_now(&world, other, "makes it no worse");
    // No signature is looked at of what is not taken anyhow.
    not_now(&world, votes(0, 1), "makes it no worse");
    while epochs::current(world.state()).number <= Epoch(Parameters::read(world.state()).evidence_epochs) {
        world.block(EPOCH_MS, Vec::new());
    }
    not_now(&world, early, "is taken for");
}

/// A refusal changes nothing, even where nobody undoes it.
#[test]
fn who_cannot_pay_is_not_registered() {
    let world = World::new();
    let (operator, key, chain) = (person(77).address(), node_key(50), world.genesis.hash());
    let possession = key.sign(&Context::new(POSSESSION_ROLE, chain), &operator.0);
    let mut state = world.state().child();
    let refused = resource::register(&mut state, chain, &operator, &identity(&key), &possession, Bytes(1), Amount::stos(1));
    assert!(matches!(refused, Err(resource::RegisterError::Money(_))), "{refused:?}");
    let refused = crate::meta_registry::register(&mut state, chain, &operator, &identity(&key), &possession, Amount::stos(100));
    assert!(matches!(refused, Err(resource::RegisterError::Money(_))), "{refused:?}");
    assert_eq!(state.seal().root(), world.state().root());
}

#[test]
fn nothing_makes_no_account() {
    let mut world = World::new();
    let transaction = world.transaction(&person(1), 0, vec![send(77, Amount::ZERO)]);
    assert_eq!(world.block(100, vec![transaction]).receipts[0].status, Status::Done);
    assert!(crate::keys::Read::bytes(world.state(), &crate::keys::account(&person(77).address())).is_none());
}

/// The longest record of rewards that parameters allow can be read.
#[test]
fn the_longest_reward_can_be_read() {
    let entries = u128::from(rewards::MATURE_EPOCHS_MAX) + 1;
    let maturing = (0..entries).map(|number| (Epoch(u64::try_from(number).expect("small")), Amount(number))).collect();
    assert!(encode(&rewards::Reward { mature: Amount(1), maturing }).len() < crate::keys::VALUE_BYTES_MAX);
}

#[test]
fn transfers_pay_fees_and_use_nonces() {
    let mut world = World::new();
    let alice = person(1);
    let before = accounts::read(world.state(), &alice.address()).balance;
    let transactions = vec![
        world.transaction(&alice, 0, vec![send(2, Amount::stos(5))]),
        world.transaction(&alice, 1, vec![send(2, Amount::stos(1)), send(3, Amount::stos(1_000_000))]),
        world.transaction(&alice, 5, vec![send(2, Amount::stos(5))]),
    ];
    let executed = world.block(100, transactions);
    assert_eq!(executed.receipts.len(), 2, "the nonce gap is left out");
    assert_eq!(executed.receipts[0].status, Status::Done);
    assert!(matches!(&executed.receipts[1].status, Status::Failed(text) if text.contains("are missing")), "{:?}", executed.receipts[1].status);
    let fees = executed.receipts.iter().map(|receipt| receipt.fee.0).sum::<u128>();
    let account = accounts::read(world.state(), &alice.address());
    assert_eq!(account.nonce, 2);
    assert_eq!(account.balance.0, before.0 - Amount::stos(5).0 - fees, "all messages of the second transaction were undone, its fee was not");
    let tips: u128 = executed.receipts.iter().map(|receipt| u128::from(receipt.units) * 3).sum();
    assert_eq!(accounts::read(world.state(), &person(10).address()).balance.0, tips, "tips go to the proposer");
    assert_eq!(Pools::read(world.state()).burned.0, fees - tips);
}

/// In the block of its own that earns it the proposer cannot spend a tip.
#[test]
fn tips_are_the_proposers_from_the_next_block_on() {
    let mut world = World::new();
    let (proposer, tip) = (person(10), 10_000_000);
    let generous = world.tipping(&person(1), 0, Amount(tip), vec![send(2, Amount(1))]);
    let own = world.transaction(&proposer, 0, vec![send(2, Amount(1))]);
    let executed = world.block(100, vec![generous, own.clone()]);
    let [receipt] = &executed.receipts[..] else { panic!("{:?}: the proposer had nothing", executed.receipts) };
    let [burned, tips] = [executed.body.summary.base_fee.0, tip].map(|price| Amount(price * u128::from(receipt.units)));
    assert_eq!(executed.logs, [Event::FeesPaid { proposer: Some(proposer.address()), burned, tips }.to_log()]);
    assert_eq!(world.block(100, Vec::new()).logs, []);
    assert_eq!(world.block(100, vec![own]).receipts.len(), 1);
}

#[test]
fn refusals_say_the_numbers() {
    let world = World::new();
    let place = |bytes: Vec<u8>| {
        let verified = world.rules.verify(&[bytes]).remove(0)?;
        world.rules.place(world.state(), &verified)
    };
    let stranger = world.transaction(&person(77), 0, vec![send(1, Amount(1))]);
    assert!(matches!(place(stranger), Err(Refusal::NotNow(text)) if text.contains("has 0 wei")));
    let ahead = world.transaction(&person(1), 1_000_000, vec![send(1, Amount(1))]);
    assert!(matches!(place(ahead), Err(Refusal::NotNow(text)) if text.contains("the next is 0")));
}

#[test]
fn a_whole_epoch_of_traffic() {
    let mut world = World::new();
    let (payer, carriers) = (person(1), [30u8, 31, 32]);
    let held = market::ozone(world.state(), &payer.address());
    assert!(held.noz > Noz(0), "bought at genesis");
    let (early, _) = world.report(Epoch(0), &[]);
    let submit = world.transaction(&person(2), 0, vec![Message::Settle { report: early, part: None }]);
    let executed = world.block(100, vec![submit]);
    assert!(matches!(&executed.receipts[0].status, Status::Failed(text) if text.contains("not over")));

    assert!(world.block(EPOCH_MS, Vec::new()).body.summary.closes_epoch);
    assert_eq!(epochs::current(world.state()).number, Epoch(1));

    let traffic: Vec<(u8, u8, u64)> = carriers.iter().zip([50_000, 30_000, 20_000]).map(|(carrier, bytes)| (1, *carrier, bytes)).collect();
    let (report, parts) = world.report(Epoch(0), &traffic);
    assert_eq!(parts.len(), 1);
    let settle = |part: &report::Part| vec![Message::Settle { report: report.clone(), part: Some(Box::new(part.clone())) }];
    let mut forged = parts[0].clone();
    forged.entries[0].bytes += 1;
    let forged = world.transaction(&person(2), 1, settle(&forged));
    let none = world.transaction(&person(2), 2, vec![Message::Settle { report: report.clone(), part: None }]);
    let good = world.transaction(&person(2), 3, settle(&parts[0]));
    let again = world.transaction(&person(2), 4, settle(&parts[0]));
    let executed = world.block(100, vec![forged, none, good, again]);
    let done: Vec<bool> = executed.receipts.iter().map(|receipt| receipt.status == Status::Done).collect();
    assert_eq!(done, [false, false, true, false], "CHAIN-5: {:?}", executed.receipts.iter().map(|receipt| &receipt.status).collect::<Vec<_>>());

    assert_eq!(settlement::settled(world.state(), Epoch(0)), None, "the time of challenge has begun");
    assert_eq!(market::ozone(world.state(), &payer.address()), held, "nobody is charged before it is over");
    world.challenge();
    let settled = settlement::settled(world.state(), Epoch(0)).expect("settled");
    assert!(settlement::reported(world.state(), Epoch(0)).is_none());
    let after = market::ozone(world.state(), &payer.address());
    assert_eq!(held.noz.0 - after.noz.0, 100_000, "charged exactly the bytes");
    assert_eq!(settled.released.0, held.cost.0 * 100_000 / held.noz.0, "released at cost");
    assert_eq!(settled.carriers.iter().map(|share| share.noz.0).collect::<std::collections::BTreeSet<_>>(), [50_000, 30_000, 20_000].into());
    assert!(settled.mined.0 <= settled.released.0 / 4, "the subsidy is at most beta of the release");
    assert_eq!((settled.receipts, settled.metas.len(), settled.validators.len(), settled.unpaid), (3, 1, 1, Noz::ZERO));
    assert!(keys_of_settlement(&world, Epoch(0)).is_empty(), "what settlement kept is dropped");
    let event = Event::EpochSettled { epoch: Epoch(0), noz: settled.noz, released: settled.released, mined: settled.mined, kept: Amount::ZERO };
    let topics = world.rules.topics(world.state(), &event.to_log());
    assert_eq!(topics[0], event::kind_topic("epoch_settled"));
    let about = |number: u8| topics.contains(&event::subject_topic(&person(number).address()));
    assert!([30, 31, 32, 20, 10].into_iter().all(about) && topics.contains(&event::subject_topic(&payer.address())) && !about(77), "who paid and earned");

    let earned = rewards::read(world.state(), &person(30).address()).at(Epoch(3));
    assert_eq!(earned.0, Amount::ZERO, "nothing is mature yet");
    assert!(earned.1 > Amount::ZERO);
    let too_early = world.transaction(&person(2), 5, vec![Message::Withdraw { to: person(2).address(), amount: Amount(1) }]);
    assert!(matches!(&world.block(100, vec![too_early]).receipts[0].status, Status::Failed(text) if text.contains("0 wei are mature")));
    world.block(EPOCH_MS, Vec::new());
    world.block(EPOCH_MS, Vec::new());
    let mature = rewards::read(world.state(), &person(30).address()).at(epochs::current(world.state()).number).0;
    let before = accounts::read(world.state(), &person(3).address()).balance;
    // Neither operator has coins of its own for the fee: somebody sends it some first.
    let fund = world.transaction(&person(2), 6, vec![send(30, Amount::stos(1)), send(10, Amount::stos(1))]);
    let withdraw = world.transaction(&person(30), 0, vec![Message::Withdraw { to: person(3).address(), amount: mature }]);
    let collect = world.transaction(&person(10), 0, vec![Message::CollectReward { validator: person(10).address() }]);
    let executed = world.block(100, vec![fund, withdraw, collect]);
    assert!(executed.receipts.iter().all(|receipt| receipt.status == Status::Done), "{:?}", executed.receipts);
    assert_eq!(accounts::read(world.state(), &person(3).address()).balance.0 - before.0, mature.0);
    let paid: Vec<Event> = executed.receipts[2].logs.iter().filter_map(Event::from_log).collect();
    let of_validator = settled.validators[0].reward;
    assert!(matches!(paid[..], [Event::RewardCollected { amount, .. }] if of_validator.0 - amount.0 <= 2), "{paid:?} of {of_validator}");
}

/// A settlement pays for every signature that is verified for it, those of the report's certificate too.
#[test]
fn a_settlement_pays_for_its_certificate() {
    let world = World::new();
    let (report, parts) = world.report(Epoch(0), &[(1, 30, 5_000)]);
    let units = |part| {
        let bytes = world.transaction(&person(1), 0, vec![Message::Settle { report: report.clone(), part }]);
        let verified = world.rules.verify(std::slice::from_ref(&bytes)).remove(0).expect("valid");
        verified.work.signatures
    };
    assert_eq!(units(None), 1, "one meta node certified");
    assert_eq!(units(Some(Box::new(parts[0].clone()))), 1 + 4, "a receipt, a claim, a grant with its possession");
}

/// What is kept of an epoch between its report and its settlement.
fn keys_of_settlement(world: &World, epoch: Epoch) -> Vec<Vec<u8>> {
    let mut keys = vec![crate::keys::reported(epoch), crate::keys::settlement_carriers(epoch)];
    keys.extend((0..4).map(|part| crate::keys::settlement_part(epoch, part)));
    keys.extend((0..=255).map(|payer| crate::keys::charged(epoch, &person(payer).address())));
    keys.extend((30..36).map(|carrier| crate::keys::direct(epoch, &person(carrier).address())));
    keys.retain(|key| world.state().get(key).is_some());
    keys
}

#[test]
fn reports_of_liars_are_refused() {
    let mut world = World::new();
    world.block(EPOCH_MS, Vec::new());
    let (report, parts) = world.report(Epoch(0), &[(1, 30, 5_000)]);
    let (mut uncertified, mut changed) = (report.clone(), report.clone());
    uncertified.certified.header.time = Time(6);
    if let Some(value) = &mut changed.entries[0].value {
        value[20] ^= 1;
    }
    let (elsewhere, _) = world.report(Epoch(1), &[]);
    let attempts = [
        vec![Message::Settle { report: uncertified, part: Some(Box::new(parts[0].clone())) }],
        vec![Message::Settle { report: changed, part: Some(Box::new(parts[0].clone())) }],
        vec![Message::Settle { report: elsewhere, part: None }],
    ];
    let transactions = attempts.into_iter().zip(0..).map(|(messages, nonce)| world.transaction(&person(1), nonce, messages)).collect();
    let before = market::read(world.state());
    let executed = world.block(100, transactions);
    let texts: Vec<String> = executed.receipts.iter().map(|receipt| format!("{:?}", receipt.status)).collect();
    assert!(texts[0].contains("not proven"), "{texts:?}");
    assert!(texts[1].contains("not proven"), "{texts:?}");
    assert!(texts[2].contains("does not contain the report"), "{texts:?}");
    assert_eq!(market::read(world.state()), before);
}

/// Checks CHAIN-10: a report is settled whoever of the named sets signed it, and nobody else's.
#[test]
fn reports_count_whoever_of_the_named_sets_signed_them() {
    let mut world = World::new();
    let mut nonce = 0;
    let mut settle = |world: &mut World, epoch: u64, metas: &[u8]| {
        let (report, parts) = world.report_of(Epoch(epoch), &[(1, 30, 5_000)], metas);
        let message = Message::Settle { report, part: Some(Box::new(parts[0].clone())) };
        let transaction = world.transaction(&person(2), nonce, vec![message]);
        nonce += 1;
        let status = world.block(100, vec![transaction]).receipts.remove(0).status;
        assert_eq!(status == Status::Done, settlement::reported(world.state(), Epoch(epoch)).is_some());
        status
    };
    let unnamed = |status: Status| matches!(status, Status::Failed(text) if text.contains("which the registry did not name"));
    // The set changes between the end of the epoch and its settlement: whoever signs, it settles.
    world.block(EPOCH_MS, Vec::new());
    activate(&mut world, &[20, 21, 22]);
    assert!(unnamed(settle(&mut world, 0, &[20, 21, 22])), "no epoch has begun with them");
    world.block(EPOCH_MS, Vec::new());
    let named: Vec<_> = meta_registry::sets(world.state()).iter().map(|set| set.until).collect();
    assert_eq!(named, [Some(Epoch(1)), None]);
    for liars in [&[21u8, 22, 23] as &[u8], &[21], &[21, 22], &[20, 22, 21], &[23]] {
        assert!(unnamed(settle(&mut world, 0, liars)), "{liars:?} were never a set");
    }
    assert_eq!(settle(&mut world, 0, &[20]), Status::Done);
    assert_eq!(settle(&mut world, 1, &[20, 21, 22]), Status::Done);
    // No quorum of a named set.
    let (mut weak, parts) = world.report_of(Epoch(2), &[(1, 30, 5_000)], &[20, 21, 22]);
    world.block(EPOCH_MS, Vec::new());
    let certificate = &mut weak.certified.finality.certificate;
    certificate.signatures.truncate(2);
    certificate.signers[0] &= 0b011;
    let weak = world.transaction(&person(1), 0, vec![Message::Settle { report: weak, part: Some(Box::new(parts[0].clone())) }]);
    assert!(matches!(&world.block(100, vec![weak]).receipts[0].status, Status::Failed(text) if text.contains("not proven")));
    // Up to the edge of the window, and not beyond; a set that comes back counts again.
    let edge = 1 + meta_registry::META_SETS_EPOCHS;
    while epochs::current(world.state()).number < Epoch(edge) {
        world.block(EPOCH_MS, Vec::new());
    }
    assert_eq!(settle(&mut world, 2, &[20]), Status::Done);
    world.block(EPOCH_MS, Vec::new());
    assert!(unnamed(settle(&mut world, 3, &[20])));
    assert_eq!(settle(&mut world, 3, &[20, 21, 22]), Status::Done, "reports of long ago are proved by whoever votes now");
    activate(&mut world, &[20]);
    world.block(EPOCH_MS, Vec::new());
    assert_eq!(settle(&mut world, 4, &[20]), Status::Done);
    activate(&mut world, &[]);
    world.block(EPOCH_MS, Vec::new());
    assert_eq!(settle(&mut world, 5, &[20]), Status::Done, "nobody cannot vote, so nothing changes");
    assert_eq!(meta_registry::sets(world.state()).len(), 2);
}

#[test]
fn nodes_register_and_become_active() {
    let mut world = World::new();
    let (operator, key) = (person(2), node_key(50));
    let possession = world.possession(POSSESSION_ROLE, &key, &operator.address());
    let register = |deposit| Message::RegisterResource { node: identity(&key), possession, capacity: Bytes(3 << 40), deposit };
    let transactions = vec![
        world.transaction(&operator, 0, vec![register(Amount::stos(2))]),
        world.transaction(&operator, 1, vec![register(Amount::stos(3))]),
        world.transaction(&operator, 2, vec![register(Amount::stos(3))]),
        world.transaction(&person(1), 0, vec![register(Amount::stos(3))]),
    ];
    let executed = world.block(100, transactions);
    let done: Vec<bool> = executed.receipts.iter().map(|receipt| receipt.status == Status::Done).collect();
    assert_eq!(done, [false, true, false, false], "too little; right; twice; somebody else's key");
    let before = market::read(world.state());
    assert_eq!(resource::read(world.state(), &operator.address()).expect("registered").status, resource::Status::Candidate);
    world.block(EPOCH_MS, Vec::new());
    assert_eq!(resource::read(world.state(), &operator.address()).expect("registered").status, resource::Status::Active);
    let after = market::read(world.state());
    assert_eq!(after.deposits.0 - before.deposits.0, Amount::stos(3).0);
    assert_eq!(resource::operators(world.state()).len(), 7);
}

#[test]
fn buying_keeps_the_limits_of_the_offer() {
    let mut world = World::new();
    let buyer = person(2);
    let buy = |amount, noz_min, height_max| Message::BuyOzone { amount, noz_min, height_max, beneficiary: buyer.address() };
    let offered = market::curve(world.state()).buy(Amount::stos(1), Noz(1)).expect("for sale");
    let transactions = vec![
        world.transaction(&buyer, 0, vec![buy(Amount::stos(1), offered.saturating_add(Noz(1)), Height(9))]),
        world.transaction(&buyer, 1, vec![buy(Amount::stos(1), Noz(1), Height(0))]),
        world.transaction(&buyer, 2, vec![buy(Amount(1), Noz(0), Height(9))]),
        // Somebody else is first, and the price that was offered holds no more.
        world.transaction(&person(3), 0, vec![buy(Amount::stos(1), offered, Height(9))]),
        world.transaction(&buyer, 3, vec![buy(Amount::stos(1), offered, Height(9))]),
        world.transaction(&buyer, 4, vec![buy(Amount::stos(1), Noz(1), Height(9))]),
    ];
    let executed = world.block(100, transactions);
    let says = |receipt: &crate::ledger::Receipt, text: &str| match &receipt.status {
        Status::Done => assert_eq!(text, ""),
        Status::Failed(why) => assert!(!text.is_empty() && why.contains(text), "{why}"),
    };
    let said = ["below the", "stood until height 0", "buy no ozone", "", "below the", ""];
    assert_eq!(executed.receipts.len(), said.len());
    executed.receipts.iter().zip(said).for_each(|(receipt, text)| says(receipt, text));
    assert_eq!(market::ozone(world.state(), &buyer.address()).cost, Amount::stos(2));
}

#[test]
fn the_queue_orders_and_forgets() {
    let mut world = World::new();
    let mut mempool: Mempool<ValueLedger> = Mempool::default();
    let rules = ValueLedger::new(world.genesis.hash());
    for nonce in [2, 0, 1] {
        let bytes = world.transaction(&person(1), nonce, vec![send(2, Amount(1))]);
        let verified = rules.verify(std::slice::from_ref(&bytes)).remove(0).expect("valid");
        mempool.insert(&rules, world.state(), bytes, verified).expect("queued");
    }
    let candidates = mempool.candidates(&Default::default());
    assert_eq!(candidates.iter().map(|(_, transaction)| transaction.body.nonce).collect::<Vec<_>>(), [0, 1, 2]);
    let included: Vec<Hash> = candidates.iter().take(2).map(|(_, transaction)| transaction.hash).collect();
    world.block(100, candidates.into_iter().take(2).map(|(bytes, _)| bytes).collect());
    mempool.finalized(&rules, world.state(), &included);
    assert_eq!(mempool.len(), 1);
}

/// Queues a transfer with `padding` bytes behind it: the queue counts whatever bytes it is given.
fn queue(mempool: &mut Mempool<ValueLedger>, world: &World, state: &Sealed, (from, nonce): (u8, u64), tip: u128, padding: usize) -> Result<Hash, Refusal> {
    let body = Transaction {
        version: TRANSACTION_VERSION,
        chain: world.genesis.hash(),
        authority: person(from).key().into(),
        nonce,
        fee_max: Amount::stos(1),
        tip: Amount(tip),
        messages: vec![send(2, Amount(1))],
        memo: Vec::new(),
    };
    let bytes = [encode(&body), vec![0; padding]].concat();
    let work = crate::metering::Work { bytes: bytes.len(), ..body.work() };
    let verified = crate::transaction::Verified { sender: body.sender(), work, hash: Hash::of("test", &[&bytes]), body };
    mempool.insert(&world.rules, state, bytes, verified)
}

fn order(mempool: &Mempool<ValueLedger>) -> Vec<(Address, u64)> {
    mempool.candidates(&Default::default()).iter().map(|(_, transaction)| (transaction.sender, transaction.body.nonce)).collect()
}

#[test]
fn equal_tips_take_turns_and_gaps_come_last() {
    let world = World::new();
    let mut mempool = Mempool::default();
    let add = |mempool: &mut Mempool<ValueLedger>, from, nonce, tip| queue(mempool, &world, world.state(), (from, nonce), tip, 0).expect("queued");
    for nonce in [0, 1, 2] {
        add(&mut mempool, 1, nonce, 5);
        add(&mut mempool, 2, nonce, 5);
    }
    add(&mut mempool, 9, 1, 1_000);
    let found = order(&mempool);
    assert_eq!(found.iter().map(|(_, nonce)| *nonce).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2, 1]);
    assert!(found.chunks(2).take(3).all(|pair| pair[0].0 != pair[1].0), "one of each in turn");
    assert_eq!(found[6].0, person(9).address(), "behind a gap, whatever it tips");
    let free = |mempool: &Mempool<ValueLedger>, from, next| mempool.free_nonce(&ValueLedger::sender(&person(from).address()), next);
    assert_eq!([(1, 0), (1, 2), (1, 9), (3, 4), (9, 0)].map(|(from, next)| free(&mempool, from, next)), [3, 3, 9, 4, 0], "a gap comes first");
    add(&mut mempool, 9, 0, 6);
    assert_eq!(free(&mempool, 9, 0), 2);
    assert_eq!(order(&mempool)[..2], [(person(9).address(), 0), (person(9).address(), 1)]);
}

#[test]
fn a_full_queue_gives_up_what_cannot_run_and_the_lowest_tips() {
    let world = World::new();
    let mut funded = world.state().child();
    (0..100).for_each(|number| accounts::give(&mut funded, &person(number).address(), Amount::stos(10)));
    let state = funded.seal();
    let mut mempool = Mempool::default();
    let add = |mempool: &mut Mempool<ValueLedger>, from, nonce, tip| queue(mempool, &world, &state, (from, nonce), tip, 1 << 20);
    let waits = |mempool: &Mempool<ValueLedger>, from, nonce| order(mempool).contains(&(person(from).address(), nonce));
    // 63 MiB of 64: two of each sender can run, the third waits behind a gap.
    for (from, nonce) in (0..21).flat_map(|from| [(from, 0), (from, 1), (from, 7)]) {
        add(&mut mempool, from, nonce, 5).expect("room");
    }
    let refused = |result: Result<Hash, Refusal>, why: &str| assert!(matches!(&result, Err(Refusal::NotNow(text)) if text.contains(why)), "{result:?}");
    refused(add(&mut mempool, 0, 8, 99), "of this sender already wait");
    let before = order(&mempool);
    refused(add(&mut mempool, 30, 9, 5), "the queue is full");
    assert_eq!(order(&mempool), before, "a refusal changes nothing");
    add(&mut mempool, 30, 9, 6).expect("worth more than the others behind gaps");
    add(&mut mempool, 31, 0, 0).expect("it can run");
    assert!(!waits(&mempool, 20, 7) && !waits(&mempool, 19, 7) && waits(&mempool, 18, 7) && waits(&mempool, 30, 9), "the latest go first");
    for (from, nonce) in (40..47).flat_map(|from| [(from, 0), (from, 1), (from, 2)]).take(20) {
        add(&mut mempool, from, nonce, 0).expect("it can run");
    }
    assert!((0..21).all(|from| waits(&mempool, from, 1) && !waits(&mempool, from, 7)) && !waits(&mempool, 30, 9));
    refused(add(&mut mempool, 50, 0, 0), "the queue is full");
    refused(add(&mut mempool, 50, 1, 99), "the queue is full");
    add(&mut mempool, 50, 0, 1).expect("it tips more than the lowest");
    assert!(!waits(&mempool, 46, 1) && waits(&mempool, 46, 0), "the last of a sender goes, not the first");
    assert_eq!(mempool.len(), 63);
}

/// Transfers alone can fill a block above the target of the fee market.
#[test]
fn transfers_can_raise_the_base_fee() {
    let world = World::new();
    let bytes = world.transaction(&person(1), 0, vec![send(2, Amount::stos(5))]);
    let units = Parameters::dev().costs().units(&world.rules.verify(std::slice::from_ref(&bytes))[0].as_ref().expect("valid").work);
    let limit = Parameters::dev().units_limit;
    let offered = u64::try_from(crate::ledger::mempool::CANDIDATES_MAX).expect("small");
    let fit = u64::try_from(crate::ledger::block::PAYLOAD_BYTES_MAX / (bytes.len() + 4)).expect("small");
    assert!(offered * units > limit && fit * units > limit, "{units} units and {} bytes each, {fit} fit", bytes.len());
}

#[test]
fn a_builder_leaves_out_what_is_above_the_units() {
    let mut world = World::new();
    let two = [world.transaction(&person(1), 0, vec![send(2, Amount(1))]), world.transaction(&person(2), 0, vec![send(1, Amount(1))])];
    let units = Parameters::dev().costs().units(&world.rules.verify(&two[..1])[0].as_ref().expect("valid").work);
    let mut parameters = Parameters::read(world.state());
    parameters.units_limit = units + units / 2;
    let mut state = world.state().child();
    crate::keys::write(&mut state, &crate::keys::parameters(), &parameters);
    world.parent.state = state.seal();
    let executed = world.block(100, two.to_vec());
    assert_eq!((executed.receipts.len(), executed.body.summary.units_used), (1, units));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Checks CHAIN-1, CHAIN-2, CHAIN-4 after every block of random transactions, valid and invalid, over several epochs.
    #[test]
    fn sums_hold(steps in proptest::collection::vec((0..3u8, 0..6u8, 0..4u8, any::<u64>(), 1..EPOCH_MS), 1..24)) {
        let mut world = World::new();
        for (who, what, other, number, after) in steps {
            let from = person(who + 1);
            let nonce = accounts::read(world.state(), &from.address()).nonce;
            let amount = Amount(u128::from(number) << (number % 12));
            let message = match what {
                0 => send(other, amount),
                1 => Message::BuyOzone { amount, noz_min: Noz(0), height_max: Height(100), beneficiary: person(other).address() },
                2 => Message::Withdraw { to: person(other).address(), amount },
                3 => Message::MoveNode { addresses: vec!["/ip4/1.2.3.4/tcp/5".into()] },
                _ => {
                    let epoch = settlement::progress(world.state()).epoch;
                    let (report, mut parts) = world.report(epoch, &[(who + 1, 30 + other, number % 1_000_000 + 1)]);
                    Message::Settle { report, part: parts.pop().map(Box::new) }
                }
            };
            let transaction = world.transaction(&from, nonce, vec![message]);
            world.block(after, vec![transaction]);
        }
    }
}
