//! A small network in one process: two meta nodes, which are also the replicas of both ledgers, and six carriers, over real connections. Each ledger makes a
//! block at once for every transaction, signed by all its members.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chain::ValueLedger;
use chain::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY, meta_chain};
use chain::ledger::execute;
use chain::ledger::proven::{Certified, Entry};
use chain::ledger::query::{Answer, META_PROTOCOL, Request, TransactionState, VALUE_PROTOCOL};
use chain::ledger::{Attested, BlockInfo, Executed, Parent, Proven, Receipt, Refusal, Rules};
use chain::meta_registry::{self, MetaNode, Status};
use chain::parameters::Parameters;
use consensus::{Finality, Header, Kind, Members, Vote};
use meta::tickets::Desk;
use meta::{MetaLedger, Transaction, anchor};
use p2p::{Config, Contact, Endpoint, Event, Plane, Secret};
use primitives::encoding::{decode, encode};
use primitives::{AccountSecret, Address, Amount, Bytes, Epoch, Hash, Height, SecretKey, Time, View};
use storage::store::Memory;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::files::Files;
use crate::ledger::Ledger;
use crate::session::desk::{self, TicketAnswer, TicketReason};
use crate::session::{Network, Session};
use crate::transfer::{Carrier, Identity, Terms, wire};

const METAS: u8 = 2;
const CARRIERS: u8 = 6;
const EPOCH_MS: u64 = 10_000;
/// Name of the test network in protocols: it must be known before the genesis is, which names addresses.
const NETWORK: &str = "test";

fn secret(kind: &str, number: u8) -> SecretKey {
    SecretKey::from_seed(&Hash::of("sample", &[kind.as_bytes(), &[number]]).0)
}

/// Accounts 1 and 2 have ozone, 3 has little.
pub fn wallet(number: u8) -> AccountSecret {
    AccountSecret::from_seed(&Hash::of("sample", &[b"wallet", &[number]]).0)
}

/// One ledger: its rules, its newest block, and who signs for it.
struct Chain<R: Rules> {
    rules: R,
    chain: Hash,
    header: Header,
    parent: Parent,
    members: Members,
    signers: Vec<SecretKey>,
    done: BTreeMap<Hash, (Height, Receipt)>,
    /// Transactions that were called final before they were executed, while that is done.
    hasty: Option<Vec<Vec<u8>>>,
}

impl<R: Rules> Chain<R> {
    fn new(rules: R, chain: Hash, (header, executed): (Header, Executed), members: Members, signers: Vec<SecretKey>) -> Self {
        let mut new = Self { rules, chain, header, parent: executed.as_parent(), members, signers, done: BTreeMap::new(), hasty: None };
        new.block(100, None).expect("an empty block");
        new
    }

    /// A block `ms` later.
    fn block(&mut self, ms: u64, transaction: Option<Vec<u8>>) -> Result<(), Refusal> {
        let height = self.header.height.next();
        let proposer = u16::try_from(height.0 % self.signers.len() as u64).expect("small");
        let (time, parent) = (Time(self.header.time.0 + ms), self.header.hash());
        let block = BlockInfo { chain: self.chain, height, time, parent, proposer, voters: vec![], absent: vec![] };
        let transactions: Vec<Vec<u8>> = transaction.into_iter().collect();
        let verified = self.rules.verify(&transactions).into_iter().collect::<Result<Vec<_>, _>>()?;
        for transaction in &verified {
            self.rules.place(&self.parent.state, transaction)?;
        }
        let count = verified.len();
        let executed = execute::build(&self.rules, &self.parent, &block, &[], transactions.into_iter().zip(verified));
        if executed.receipts.len() != count {
            return Err(Refusal::NotNow("it has no place in the block".into()));
        }
        self.header = Header {
            version: consensus::block::HEADER_VERSION,
            chain: self.chain,
            epoch: Epoch(0),
            view: View(height.0),
            height,
            parent: self.header.hash(),
            parent_view: self.header.view,
            justification: Hash::ZERO,
            time: block.time,
            proposer,
            members: self.members.hash(),
            next_members: Hash::ZERO,
            payload: executed.body.summary.digest(),
        };
        self.done.extend(executed.receipts.iter().map(|receipt| (receipt.transaction, (height, receipt.clone()))));
        self.parent = executed.as_parent();
        Ok(())
    }

    fn certified(&self) -> Certified {
        let vote = Vote { epoch: self.header.epoch, view: self.header.view, kind: Kind::Finalize(self.header.hash()) };
        let message = vote.sign_bytes(self.members.hash());
        let signatures = (0u16..).zip(&self.signers).map(|(index, secret)| (index, secret.sign(&Vote::context(self.chain), &message)));
        let finality = Finality::direct(consensus::Certificate::new(vote, &self.members, signatures.collect::<Vec<_>>()));
        Certified { header: self.header.clone(), summary: self.parent.summary.clone(), finality }
    }

    fn prove(&self, keys: &[Vec<u8>]) -> Proven {
        let state = &self.parent.state;
        let entries = keys.iter().map(|key| Entry { key: key.clone(), value: state.get(key), proof: state.prove(key) });
        Proven { certified: self.certified(), entries: entries.collect() }
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Head => Answer::Head(Some(self.certified())),
            Request::Read(keys) => Answer::Read(Some(self.prove(&keys))),
            Request::Submit(bytes) if self.hasty.is_some() => {
                let hash = chain::ledger::block::transaction_hash(&bytes);
                self.hasty.get_or_insert_default().push(bytes);
                Answer::Submitted(hash)
            }
            Request::Submit(bytes) => match self.block(10, Some(bytes.clone())) {
                Ok(()) => Answer::Submitted(chain::ledger::block::transaction_hash(&bytes)),
                Err(refusal) => Answer::Refused(refusal.to_string()),
            },
            Request::Transaction(hash) if self.hasty.is_some() => {
                let receipt = self.done.values().next().expect("a transaction that is done").1.clone();
                Answer::Transaction(TransactionState::Final { height: self.header.height, index: 0, receipt: Receipt { transaction: hash, ..receipt } })
            }
            Request::Transaction(hash) => Answer::Transaction(match self.done.get(&hash) {
                Some((height, receipt)) => TransactionState::Final { height: *height, index: 0, receipt: receipt.clone() },
                None => TransactionState::Unknown,
            }),
            Request::EpochProofs { .. } => Answer::EpochProofs { present: Epoch(0), proofs: vec![] },
            Request::Snapshot { .. } => Answer::Snapshot(None),
            Request::Chunk { .. } => Answer::Chunk(None),
        }
    }
}

struct Ledgers {
    value: Chain<ValueLedger>,
    meta: Chain<MetaLedger>,
    desks: BTreeMap<Address, Desk>,
    /// A meta node whose desk says that nothing is left, whatever it issued.
    liar: Option<Address>,
    /// Requests for tickets that reached each desk.
    asked: BTreeMap<Address, u64>,
    /// Called for each request for tickets that is granted, before the answer leaves.
    on_tickets: Box<dyn FnMut() + Send>,
}

/// A carrier that can be stopped.
pub struct Holder {
    pub address: Address,
    pub endpoint: Endpoint,
    pub carrier: Carrier,
    pub store: Memory,
    /// While it is true, streams are accepted and nothing is done with them.
    pub is_paused: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Holder {
    pub async fn stop(&self) {
        self.endpoint.close().await;
        self.task.abort();
    }
}

/// The network.
pub struct World {
    ledgers: Arc<Mutex<Ledgers>>,
    pub metas: Vec<(Address, Endpoint)>,
    pub holders: Vec<Holder>,
    clients: Mutex<Vec<Endpoint>>,
}

fn lock(ledgers: &Mutex<Ledgers>) -> MutexGuard<'_, Ledgers> {
    ledgers.lock().expect("no test panics while it holds the ledgers")
}

async fn start(serve: Vec<&'static str>, streams: Vec<&'static str>) -> (Endpoint, tokio::sync::mpsc::Receiver<Event>) {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    let config = Config { listen, serve, streams, ..Config::client(Secret::random(), NETWORK, Plane::Data) };
    Endpoint::start(config).await.expect("a free port")
}

impl World {
    pub async fn new() -> Self {
        let mut metas = Vec::new();
        let mut events = Vec::new();
        for number in 0..METAS {
            let (endpoint, receiver) = start(vec![VALUE_PROTOCOL, META_PROTOCOL, desk::PROTOCOL], vec![]).await;
            metas.push((Address([200 + number; 20]), endpoint));
            events.push(receiver);
        }
        let mut carriers = Vec::new();
        for number in 0..CARRIERS {
            carriers.push((Address([100 + number; 20]), start(vec![], vec![wire::PROTOCOL]).await.0));
        }
        let node = |kind: &str, operator: Address, endpoint: &Endpoint, base: u8, capacity| GenesisNode {
            operator,
            key: secret(kind, operator.0[0] - base).public(),
            peer: endpoint.peer().to_bytes(),
            addresses: endpoint.addresses().iter().map(ToString::to_string).collect(),
            deposit: Amount::stos(1000),
            capacity,
        };
        let accounts = [(1, 10), (2, 10), (3, 0)];
        let spent = 3 * 1000 + 1000 + (u64::from(METAS) + u64::from(CARRIERS)) * 1000;
        let genesis = Genesis {
            name: "sample".into(),
            time: Time(1_000_000),
            parameters: Parameters { epoch_ms: EPOCH_MS, ..Parameters::dev() },
            reserve: TOTAL_SUPPLY.checked_sub(Amount::stos(spent)).expect("below the supply"),
            accounts: accounts
                .map(|(number, ozone)| GenesisAccount { address: wallet(number).address(), balance: Amount::stos(1000), ozone_for: Amount::stos(ozone) })
                .to_vec(),
            validators: vec![GenesisValidator {
                operator: Address([1; 20]),
                key: secret("validator", 0).public(),
                stake: Amount::stos(1000),
                commission: chain::staking::Commission::unlimited(0),
            }],
            meta_nodes: metas.iter().map(|(operator, endpoint)| node("meta", *operator, endpoint, 200, Bytes::ZERO)).collect(),
            resource_nodes: carriers.iter().map(|(operator, endpoint)| node("carrier", *operator, endpoint, 100, Bytes(1 << 40))).collect(),
            continued: None,
        };
        let value_zero = genesis.execute(&state::Memory::new()).expect("a valid genesis");
        let meta_zero = meta::genesis::execute(&genesis, &value_zero.1.state, &state::Memory::new()).expect("a valid genesis");
        let chain = genesis.hash();
        let desk = |(operator, _): &(Address, Endpoint)| {
            let desk = Desk::new(chain, *operator, secret("meta", operator.0[0] - 200), Epoch(0), []);
            (*operator, desk.expect("no record is damaged"))
        };
        let (value_members, meta_members) = (genesis.validator_members().expect("members"), genesis.meta_members().expect("members"));
        let value = Chain::new(ValueLedger::new(chain), chain, value_zero, value_members, vec![secret("validator", 0)]);
        let rules = meta::genesis::ledger(&genesis);
        let signers = (0..METAS).map(|number| secret("meta", number)).collect();
        let meta = Chain::new(rules, meta_chain(chain), meta_zero, meta_members, signers);
        let ledgers = Arc::new(Mutex::new(Ledgers {
            value,
            meta,
            desks: metas.iter().map(desk).collect(),
            liar: None,
            asked: BTreeMap::new(),
            on_tickets: Box::new(|| {}),
        }));
        for ((operator, _), events) in metas.iter().zip(events) {
            tokio::spawn(answer(Arc::clone(&ledgers), *operator, events));
        }
        let holders = carriers.into_iter().map(|(address, endpoint)| holder(chain, address, endpoint)).collect();
        let world = Self { ledgers, metas, holders, clients: Mutex::default() };
        world.tell_terms();
        world
    }

    /// What the ledgers say to carriers.
    pub fn terms(&self) -> Terms {
        let ledgers = lock(&self.ledgers);
        let (state, value) = (&ledgers.meta.parent.state, &ledgers.value.parent.state);
        let is_free = |operator: &Address| meta_registry::read(value, operator).is_some_and(|node| node.status == Status::Active);
        let issuers = anchor::metas(state).into_iter().filter(|meta| is_free(&meta.operator)).map(|meta| (meta.operator, meta.key)).collect();
        Terms { epoch: anchor::current(state).epoch, issuers }
    }

    /// From now on this is called for each request for tickets that is granted, before the answer leaves.
    pub fn on_tickets(&self, call: impl FnMut() + Send + 'static) {
        lock(&self.ledgers).on_tickets = Box::new(call);
    }

    /// From now on this meta node's desk says that nothing is left.
    pub fn let_lie(&self, operator: Address) {
        lock(&self.ledgers).liar = Some(operator);
    }

    /// Requests for tickets that reached a meta node.
    pub fn asked(&self, operator: &Address) -> u64 {
        lock(&self.ledgers).asked.get(operator).copied().unwrap_or_default()
    }

    /// The value ledger convicts a meta node, and the carriers learn of it.
    pub fn convict(&self, operator: &Address) {
        {
            let value = &mut lock(&self.ledgers).value;
            let mut state = value.parent.state.child();
            let record = meta_registry::read(&state, operator).expect("one of ours");
            chain::keys::write(&mut state, &chain::keys::meta_node(operator), &MetaNode { status: Status::Tombstoned, ..record });
            value.parent.state = state.seal();
            value.block(10, None).expect("an empty block");
        }
        self.tell_terms();
    }

    /// Tells all carriers.
    fn tell_terms(&self) {
        let terms = self.terms();
        for holder in &self.holders {
            holder.carrier.set_terms(terms.clone());
        }
    }

    /// The value ledger goes to its next epoch, the metadata ledger learns of it, and then the carriers.
    pub fn next_epoch(&self) {
        {
            let mut ledgers = lock(&self.ledgers);
            ledgers.value.block(EPOCH_MS, None).expect("an empty block");
            let state = ledgers.value.parent.state.clone();
            let keys = anchor::keys_of(&chain::meta_registry::operators(&state), &chain::resource::operators(&state));
            let reading = Attested { members: ledgers.value.members.clone(), proven: ledgers.value.prove(&keys) };
            let transaction = Transaction::Anchor(Box::new(reading)).encode();
            ledgers.meta.block(100, Some(transaction)).expect("a new epoch");
        }
        self.tell_terms();
    }

    /// From now on replicas of the metadata ledger say at once that a transaction is final; it is executed 300 ms after that at the earliest.
    pub fn hasten(&self) {
        lock(&self.ledgers).meta.hasty = Some(Vec::new());
        let ledgers = Arc::clone(&self.ledgers);
        tokio::spawn(async move {
            loop {
                let taken = std::mem::take(lock(&ledgers).meta.hasty.get_or_insert_default());
                tokio::time::sleep(Duration::from_millis(300)).await;
                for transaction in taken {
                    lock(&ledgers).meta.block(10, Some(transaction)).expect("a good transaction");
                }
            }
        });
    }

    /// A session of account `number` on an endpoint of its own.
    pub async fn files(&self, number: u8) -> Files {
        let (data, _) = Endpoint::start(Config::client(Secret::random(), NETWORK, Plane::Data)).await.expect("a client");
        self.clients.lock().expect("whole").push(data.clone());
        let replicas: Vec<Contact> = self.metas.iter().map(|(_, endpoint)| endpoint.contact()).collect();
        let ledgers = lock(&self.ledgers);
        let value = Ledger::new(data.clone(), VALUE_PROTOCOL, ledgers.value.chain, ledgers.value.members.clone(), replicas.clone());
        let meta = Ledger::new(data.clone(), META_PROTOCOL, ledgers.meta.chain, ledgers.meta.members.clone(), replicas);
        Files::new(Session::new(Network { value, meta, data }, wallet(number)))
    }

    pub fn holder(&self, address: &Address) -> &Holder {
        self.holders.iter().find(|holder| holder.address == *address).expect("one of ours")
    }

    /// Bytes that all receipts of all carriers come to, when `expected` or after a while.
    pub async fn paid(&self, expected: u64) -> u64 {
        let paid = || self.holders.iter().map(|holder| holder.carrier.books().traffic().paid_bytes).sum();
        for _ in 0..1000 {
            if paid() == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        paid()
    }

    /// Bytes of slices that all carriers hold.
    pub fn stored(&self) -> u64 {
        self.holders.iter().map(|holder| holder.carrier.store().usage().bytes).sum()
    }

    pub fn state<T>(&self, read: impl FnOnce(&state::Sealed) -> T) -> T {
        read(&lock(&self.ledgers).meta.parent.state)
    }
}

fn holder(chain: Hash, address: Address, endpoint: Endpoint) -> Holder {
    let store = Memory::new(1 << 32);
    let identity = Identity { chain, carrier: address, secret: secret("carrier", address.0[0] - 100) };
    let carrier = Carrier::open(identity, Arc::new(store.clone())).expect("empty books");
    let mut streams = endpoint.accept(wire::PROTOCOL).expect("configured");
    let served = carrier.clone();
    let (is_paused, paused) = watch::channel(false);
    let task = tokio::spawn(async move {
        let mut transfers = tokio::task::JoinSet::new();
        while let Some(stream) = streams.recv().await {
            let (carrier, mut paused) = (served.clone(), paused.clone());
            transfers.spawn(async move {
                paused.wait_for(|is_paused| !is_paused).await.expect("the holder lives as long as the test");
                carrier.serve(stream).await
            });
        }
    });
    Holder { address, endpoint, carrier, store, is_paused, task }
}

/// Replica of both ledgers, and desk.
async fn answer(ledgers: Arc<Mutex<Ledgers>>, operator: Address, mut events: tokio::sync::mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        let Event::Request { protocol, body, responder, .. } = event else { continue };
        let answer = {
            let mut ledgers = lock(&ledgers);
            let ledgers = &mut *ledgers;
            if protocol == desk::PROTOCOL {
                *ledgers.asked.entry(operator).or_default() += 1;
                if ledgers.liar == Some(operator) {
                    responder.answer(TicketAnswer::refused(TicketReason::Exceeded, "nothing is left").encode());
                    continue;
                }
                let desk = ledgers.desks.get_mut(&operator).expect("one for each");
                desk::decode_question(&body).ok().map(|request| {
                    let issue = desk.issue(&ledgers.meta.parent.state, request);
                    if issue.is_ok() {
                        (ledgers.on_tickets)();
                    }
                    TicketAnswer::of(&issue).encode()
                })
            } else {
                let request = decode::<Request>(&body, 5 << 20).ok();
                request.map(|request| encode(&if protocol == VALUE_PROTOCOL { ledgers.value.answer(request) } else { ledgers.meta.answer(request) }))
            }
        };
        if let Some(answer) = answer {
            responder.answer(answer);
        }
    }
}
