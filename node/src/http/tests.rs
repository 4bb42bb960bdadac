//! The interface over real connections: one validator and one meta node that vote alone, in this process, and no resource nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chain::genesis::{GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY, meta_chain};
use chain::ledger::block::{EVIDENCE_BYTES_MAX, TRANSACTION_BYTES_MAX};
use chain::ledger::query::{META_PROTOCOL, VALUE_PROTOCOL};
use chain::parameters::Parameters;
use chain::pools::Fund;
use chain::profiles::Profile;
use chain::transaction::{TRANSACTION_VERSION, VALIDATOR_POSSESSION_ROLE};
use chain::{Genesis, Message, Transaction, ValueLedger};
use client::files::{Capability, Files, owner_secret};
use client::ledger::Ledger;
use client::session::{Network, Session};
use client::wallet::{Cost, Seed, Wallet};
use consensus::evidence::Evidence;
use consensus::{Kind, Signer, Times, Vote};
use futures::future::BoxFuture;
use ics23::{CommitmentProof, HostFunctionsManager, ProofSpec};
use meta::MetaLedger;
use p2p::{Config, Endpoint, Plane, Secret};
use primitives::encoding::encode;
use primitives::{AccountSecret, Address, Amount, Bytes, Context, Epoch, Hash, Height, SecretKey, Time, View};
use prost::Message as _;
use serde::de::DeserializeOwned;
use state::{OpenError, Store, Tuning};
use storage::FileKey;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::{KEY_BYTES_MAX, LISTENERS_MAX};
use super::{Condition, Control, Site, serve, views};
use crate::replica::{Archive, META, Options, Replica, Running, VALUE};

/// Longest wait for anything: far above what it takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn person(seed: u8) -> AccountSecret {
    AccountSecret::from_seed(&[seed; 32])
}

fn genesis(epoch_ms: u64) -> Genesis {
    let account = |seed, stos, ozone| GenesisAccount { address: person(seed).address(), balance: Amount::stos(stos), ozone_for: Amount::stos(ozone) };
    let node = |seed: u8, capacity| GenesisNode {
        operator: person(seed).address(),
        key: SecretKey::from_seed(&[seed; 32]).public(),
        peer: Secret::from_seed([seed; 32]).peer().to_bytes(),
        addresses: vec!["/ip4/127.0.0.1/tcp/1".into()],
        deposit: Amount::stos(100),
        capacity,
    };
    Genesis {
        name: "test".into(),
        time: Time(1_000_000),
        parameters: Parameters { epoch_ms, ..Parameters::dev() },
        reserve: Amount::stos(90_000_000),
        accounts: vec![account(1, 9_000_000, 100), account(9, 998_800, 10)],
        validators: vec![GenesisValidator {
            operator: person(10).address(),
            key: SecretKey::from_seed(&[10; 32]).public(),
            stake: Amount::stos(1_000),
            commission: chain::staking::Commission::unlimited(0),
        }],
        meta_nodes: vec![node(20, Bytes::ZERO)],
        resource_nodes: vec![node(30, Bytes(1 << 40))],
        continued: None,
    }
}

/// One node that can be stopped.
#[derive(Default)]
struct Switch(AtomicBool);

impl Control for Switch {
    fn conditions(&self) -> BoxFuture<'_, Vec<Condition>> {
        let is_up = !self.0.load(Ordering::Relaxed);
        Box::pin(async move {
            {
                let stopped = Condition {
                    name: "resource-1".into(),
                    operator: person(30).address(),
                    consensus_key: None,
                    is_up,
                    height: None,
                    used_bytes: Some(5),
                    slices: Some(2),
                };
                let standby = Condition {
                    name: "validator-2".into(),
                    operator: person(11).address(),
                    consensus_key: Some(SecretKey::from_seed(&[11; 32]).public()),
                    is_up: true,
                    height: Some(7),
                    used_bytes: None,
                    slices: None,
                };
                vec![stopped, standby]
            }
        })
    }

    fn stop<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.0.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn start<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Err("it does not start".to_owned()) })
    }
}

/// A node with its interface.
struct World {
    address: SocketAddr,
    genesis: Arc<Genesis>,
    value: Replica<ValueLedger>,
    meta: Replica<MetaLedger>,
    running: Vec<Running>,
    server: JoinHandle<()>,
    shutdown: CancellationToken,
    directory: TempDir,
}

impl World {
    async fn start() -> Self {
        Self::with(1, |_| None).await
    }

    /// With epochs of this length, and evidence that the node found before.
    async fn with(epoch_ms: u64, evidence: impl FnOnce(&Genesis) -> Option<Evidence>) -> Self {
        Self::at(tempfile::tempdir().expect("a directory"), epoch_ms, evidence).await
    }

    /// In a directory in which it may have been before.
    async fn at(directory: TempDir, epoch_ms: u64, evidence: impl FnOnce(&Genesis) -> Option<Evidence>) -> Self {
        let genesis = Arc::new(genesis(epoch_ms));
        if let Some(evidence) = evidence(&genesis) {
            std::fs::create_dir(directory.path().join("value")).expect("made");
            Archive::open(&directory.path().join("value"), genesis.hash()).expect("a store").keep(&evidence);
        }
        let (endpoint, _) = Endpoint::start(Config::client(Secret::random(), genesis.network(), Plane::Control)).await.expect("an endpoint");
        let times = Times { idle_ms: 20, ..Times::DEV };
        let (file, path) = (genesis.clone(), directory.path().to_owned());
        let options = Options {
            name: "value".into(),
            rules: Arc::new(ValueLedger::new(genesis.hash())),
            chain: genesis.hash(),
            secret: Some(SecretKey::from_seed(&[10; 32])),
            directory: path.join("value"),
            times,
            tuning: state::Tuning::shared_by(16),
            channels: VALUE,
            endpoint: endpoint.clone(),
        };
        let (value, value_running) = Replica::start(options, move |empty| file.execute(empty).expect("a genesis")).expect("a replica");
        let file = genesis.clone();
        let options = Options {
            name: "meta".into(),
            rules: Arc::new(meta::genesis::ledger(&genesis)),
            chain: meta_chain(genesis.hash()),
            secret: Some(SecretKey::from_seed(&[20; 32])),
            directory: path.join("meta"),
            times,
            tuning: state::Tuning::shared_by(16),
            channels: META,
            endpoint: endpoint.clone(),
        };
        let block = move |empty: &state::Sealed| {
            let (_, value) = file.execute(&state::Memory::new()).expect("a genesis");
            meta::genesis::execute(&file, &value.state, empty).expect("a genesis")
        };
        let (meta, meta_running) = Replica::start(options, block).expect("a replica");
        let ledger = |protocol, chain, members| Ledger::new(endpoint.clone(), protocol, chain, members, Vec::new());
        let network = Network {
            value: ledger(VALUE_PROTOCOL, genesis.hash(), genesis.validator_members().expect("validators")),
            meta: ledger(META_PROTOCOL, meta_chain(genesis.hash()), genesis.meta_members().expect("meta nodes")),
            data: endpoint.clone(),
        };
        let site = Site {
            genesis: genesis.clone(),
            value: value.clone(),
            meta: meta.clone(),
            files: Files::new(Session::new(network, person(9))),
            secret: owner_secret(&[9; 32]),
            data: endpoint.contact(),
            control: Some(Arc::new(Switch::default())),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, Arc::new(site), shutdown.clone()));
        Self { address, genesis, value, meta, running: vec![value_running, meta_running], server, shutdown, directory }
    }

    async fn until_height(&self, height: u64) {
        let mut heads = self.value.watch();
        let reached = heads.wait_for(|head| head.header.height >= Height(height));
        timeout(PATIENCE, reached).await.expect("blocks come").expect("the replica runs");
    }

    /// Sends these bytes and reads until the server closes.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer");
        answer
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{length}{headers}\r\n", self.address);
        Answer::read(&self.raw(&[head.as_bytes(), body].concat()).await)
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"").await
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body))
    }

    /// The proof at this address, as it is and as it is checked by whoever has the genesis file only.
    async fn proof(&self, path: &str) -> (views::Proof, serde_json::Value) {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let report = crate::cli::proof::check(answer.body.as_bytes(), &self.genesis).unwrap_or_else(|failure| panic!("{path}: {}", failure.message()));
        (serde_json::from_str(&answer.body).expect("a proof"), serde_json::to_value(report).expect("a report"))
    }

    /// Waits until a transaction is final.
    async fn until_final(&self, hash: &Hash) -> views::Transaction {
        let mut heads = self.value.watch();
        loop {
            let transaction: views::Transaction = self.json(&format!("/v1/txs/{hash}")).await;
            if transaction.state == views::TransactionState::Final {
                return transaction;
            }
            timeout(PATIENCE, heads.changed()).await.expect("blocks come").expect("the replica runs");
        }
    }

    async fn refused(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let answer = self.ask(method, path, headers, body).await;
        let error: views::ErrorBody = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body));
        (answer.status, error.error)
    }

    async fn stop(self) {
        let genesis = self.genesis.clone();
        remove(self.end().await, &genesis).await;
    }

    /// Stops, and leaves the directory.
    async fn end(self) -> TempDir {
        self.shutdown.cancel();
        timeout(PATIENCE, self.server).await.expect("the server stops").expect("it did not panic");
        tokio::task::spawn_blocking(move || {
            self.running.into_iter().for_each(Running::stop);
            drop((self.value, self.meta));
            self.directory
        })
        .await
        .expect("the replicas stop")
    }

    fn transfer(&self, nonce: u64) -> Vec<u8> {
        self.transaction(nonce, vec![Message::Send { to: person(5).address(), amount: Amount::stos(3) }])
    }

    fn transaction(&self, nonce: u64, messages: Vec<Message>) -> Vec<u8> {
        self.unsigned(nonce, messages).sign(&person(1))
    }

    fn unsigned(&self, nonce: u64, messages: Vec<Message>) -> Transaction {
        Transaction {
            version: TRANSACTION_VERSION,
            chain: self.genesis.hash(),
            authority: person(1).key().into(),
            nonce,
            fee_max: Amount::stos(1),
            tip: Amount(0),
            messages,
            memo: b"hello".to_vec(),
        }
    }
}

/// The store of a ledger that was stopped, once the last answer under way has let go of it.
async fn free(directory: &TempDir, ledger: &str, chain: Hash, tuning: Tuning) -> Store {
    let path = directory.path().join(ledger).join(crate::replica::STATE);
    let opened = timeout(PATIENCE, async {
        loop {
            match Store::open_with(&path, chain, tuning) {
                Err(OpenError::Locked { .. }) => sleep(Duration::from_millis(20)).await,
                opened => return opened,
            }
        }
    });
    opened.await.expect("it is free in time").expect("a store")
}

/// Removes a directory that nobody writes to any more: a store that ends without it would end the process.
async fn remove(directory: TempDir, genesis: &Genesis) {
    drop(free(&directory, "value", genesis.hash(), Tuning::default()).await);
    drop(free(&directory, "meta", meta_chain(genesis.hash()), Tuning::default()).await);
    drop(directory);
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

const MARK: &str = "x-stratos: 1\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledgers_say() {
    let world = World::start().await;
    world.until_height(3).await;

    let status: views::Status = world.json("/v1/status").await;
    assert_eq!((status.genesis, status.dev, status.value.members), (world.genesis.hash(), true, 1));
    assert_eq!(status.supply.total_wei, TOTAL_SUPPLY, "no coin is missing or invented");
    assert!(status.supply.accounts_wei > Amount::stos(9_000_000) && status.gateway.noz.0 > 0);
    let info: views::NetworkInfo = world.json("/v1/network").await;
    let file: Genesis = world.json("/v1/genesis").await;
    assert_eq!((file.hash(), info.network, info.meta.len()), (world.genesis.hash(), world.genesis.network(), 1));

    let blocks: Vec<views::Block> = world.json("/v1/blocks?before=3&limit=10").await;
    assert_eq!(blocks.iter().map(|block| block.height.0).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!((blocks[0].parent, blocks[1].parent), (blocks[1].hash, blocks[2].hash));
    // Each block comes more than an epoch's 1 ms after the one before, so each closes one.
    assert_eq!(blocks.iter().map(|block| (block.epoch.0, block.signers, block.closes_epoch)).collect::<Vec<_>>(), [(1, 1, true), (0, 1, true), (0, 0, false)]);
    assert_eq!(blocks[0].proposer.as_ref().map(|proposer| proposer.address), Some(person(10).address()));
    assert!(blocks.iter().all(|block| block.signed_by.is_none()), "a list does not say who signed");
    let signed = |block: &views::Block, by: Vec<Address>| views::Block { signed_by: Some(by), ..block.clone() };
    for id in ["2".to_owned(), blocks[0].hash.to_string()] {
        assert_eq!(world.json::<views::Block>(&format!("/v1/blocks/{id}")).await, signed(&blocks[0], vec![person(10).address()]));
    }
    assert_eq!(world.json::<views::Block>(&format!("/v1/blocks/{}", blocks[2].hash)).await, signed(&blocks[2], Vec::new()));
    assert!(world.json::<views::Block>("/v1/blocks/latest").await.height >= Height(3));

    let nodes: views::Nodes = world.json("/v1/nodes").await;
    assert_eq!((nodes.validators[0].name.as_str(), nodes.validators[0].state), ("validator-1", views::NodeState::Unknown));
    assert_eq!((nodes.resource[0].state, nodes.resource[0].used_bytes, nodes.resource[0].slices), (views::NodeState::Up, Bytes(5), 2));
    let standby = &nodes.validators[1];
    assert_eq!((standby.name.as_str(), standby.status, standby.state), ("validator-2", views::ValidatorStatus::Standby, views::NodeState::Up));
    assert_eq!((standby.address, standby.height, standby.weight), (person(11).address(), Some(Height(7)), 0));
    let validators: Vec<views::Validator> = world.json("/v1/validators").await;
    assert_eq!(validators.iter().map(|validator| validator.name.as_str()).collect::<Vec<_>>(), ["validator-1", "validator-2"]);
    let validator: views::Validator = world.json(&format!("/v1/validators/{}", person(10).address())).await;
    assert_eq!((validator.status, validator.weight, validator.power_bp), (views::ValidatorStatus::Active, 1_000, 10_000));
    assert_eq!((validator.stake_wei, validator.commission_bp, validator.until), (Amount::stos(1_000), 0, None));
    let stake: views::Stake = world.json(&format!("/v1/accounts/{}/stake", person(10).address())).await;
    assert_eq!((stake.asked, stake.is_complete, stake.delegations.len()), (1, true, 1));
    assert_eq!((stake.delegations[0].stake_wei, stake.delegations[0].name.as_str()), (Amount::stos(1_000), "validator-1"));
    assert!(world.json::<views::Stake>(&format!("/v1/accounts/{}/stake", person(1).address())).await.delegations.is_empty());
    let first: views::EpochVoters = world.json("/v1/epochs/0/voters").await;
    assert_eq!((first.total, first.changes, first.members), (Some(1_000), Some(vec![]), world.genesis.validator_members().expect("validators").hash()));
    let now: views::EpochVoters = world.json("/v1/epochs/latest/voters").await;
    assert_eq!((now.voters, now.members, now.changes), (first.voters, first.members, Some(vec![])), "nothing changed since");
    let evidence: views::EvidenceReport = world.json("/v1/evidence").await;
    assert!(evidence.kept.is_empty() && evidence.offences.is_empty());
    assert_eq!(nodes.meta[0].peer, Secret::from_seed([20; 32]).peer().to_string());

    assert_eq!(world.json::<views::Health>("/health").await.status, views::HealthStatus::Ok);
    assert!(world.get("/metrics").await.body.contains("chain_height{ledger=\"value\"}"));
    assert!(world.json::<Vec<views::File>>("/v1/files").await.is_empty());
    assert!(world.json::<Vec<views::File>>(&format!("/v1/files?owner={}", person(9).address())).await.is_empty());
    assert!(world.json::<Vec<views::GatewayFile>>("/v1/gateway/files").await.is_empty());
    assert!(world.json::<Vec<views::EpochReport>>("/v1/epochs").await.is_empty());
    let zero = Hash::ZERO;
    let missing = [
        "/v1/blocks/99999999",
        &format!("/v1/blocks/{zero}"),
        &format!("/v1/files/{zero}"),
        "/v1/epochs/latest",
        "/v1/epochs/99999999/voters",
        &format!("/v1/validators/{}", person(1).address()),
        "/nothing",
        "/v1",
        "/assets/no.js",
    ]
    .map(str::to_owned);
    for path in missing {
        assert_eq!(world.refused("GET", &path, "", b"").await.0, 404, "{path}");
    }
    for path in [
        "/v1/blocks/x",
        "/v1/blocks?limit=0",
        "/v1/blocks?before=x",
        "/v1/accounts/st1x",
        "/v1/accounts/st1x/stake",
        "/v1/validators/x",
        "/v1/evidence?limit=0",
        "/v1/txs/00",
        "/v1/files/xyz",
        "/v1/files?owner=x",
        "/v1/blocks/%ff",
        "/assets/%ff",
        "/v1/blocks?limit=1&limit=2",
        "/v1/blocks?limt=1",
        "/v1/proposals/x",
        "/v1/epochs/x/report/0",
        "/v1/epochs/%ff/report/0",
        "/v1/epochs/0/report/x/file",
    ] {
        assert_eq!(world.refused("GET", path, "", b"").await.0, 400, "{path}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_and_its_block() {
    let world = World::start().await;
    // The listener is there before the block.
    let mut events = TcpStream::connect(world.address).await.expect("a connection");
    events.write_all(format!("GET /v1/blocks/stream HTTP/1.1\r\nhost: {}\r\n\r\n", world.address).as_bytes()).await.expect("sent");

    let bytes = world.transfer(0);
    let answer = world.ask("POST", "/v1/txs", MARK, &bytes).await;
    let views::Submitted { hash } = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body));
    let transaction = world.until_final(&hash).await;
    assert_eq!((transaction.status, transaction.sender), (Some(views::TransactionStatus::Done), Some(person(1).address())));
    assert_eq!((transaction.memo.as_deref(), transaction.messages.len(), transaction.events[0]["event"].as_str()), (Some("hello"), 1, Some("sent")));
    let listed: Vec<views::Transaction> = world.json("/v1/txs?limit=5").await;
    assert_eq!(listed, std::slice::from_ref(&transaction));
    let block: views::Block = world.json(&format!("/v1/blocks/{}", transaction.height.expect("it is final"))).await;
    assert_eq!(block.txs, [hash]);
    let account: views::Account = world.json(&format!("/v1/accounts/{}", person(5).address())).await;
    assert_eq!((account.balance_wei, account.nonce), (Amount::stos(3), 0));
    assert_eq!(world.json::<views::Account>(&format!("/v1/accounts/{}", person(1).address())).await.nonce, 1);
    assert_eq!(world.json::<views::Status>("/v1/status").await.supply.total_wei, TOTAL_SUPPLY);
    let unknown: views::Transaction = world.json(&format!("/v1/txs/{}", Hash::ZERO)).await;
    assert_eq!(unknown.state, views::TransactionState::Unknown);

    let mut heard = Vec::new();
    let one_block = async {
        while !String::from_utf8_lossy(&heard).contains("\n\n") {
            assert!(events.read_buf(&mut heard).await.expect("bytes") > 0, "the stream stays open");
        }
    };
    timeout(PATIENCE, one_block).await.expect("an event");
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(heard.to_lowercase().contains("content-type: text/event-stream") && heard.to_lowercase().contains("cache-control: no-store"), "{heard}");
    let data = heard.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    assert!(heard.contains("event: block") && serde_json::from_str::<views::Block>(data).expect("a block").height > Height::ZERO);

    let (status, error) = world.refused("POST", "/v1/txs", MARK, &bytes).await;
    assert_eq!(status, 400, "{error}");
    assert_eq!(world.refused("POST", "/v1/txs", MARK, b"garbage").await.0, 400);
    assert_eq!(world.refused("POST", "/v1/txs", MARK, b"").await.0, 400);
    assert_eq!(world.refused("POST", "/v1/txs", MARK, &world.transfer(1 << 40)).await.0, 409);
    let (status, error) = world.refused("POST", "/v1/txs", MARK, &vec![0; TRANSACTION_BYTES_MAX + 1]).await;
    assert_eq!((status, error.contains(&TRANSACTION_BYTES_MAX.to_string())), (413, true));
    world.stop().await;
}

/// What an operator says of itself is given as it was written, to be escaped by who shows it; and all money is somewhere while a proposal is open.
#[tokio::test(flavor = "multi_thread")]
async fn operators_say_who_they_are() {
    let world = World::start().await;
    let operator = person(1).address();
    let account: views::Account = world.json(&format!("/v1/accounts/{operator}")).await;
    assert_eq!(account.profile, None);
    let secret = SecretKey::from_seed(&[77; 32]);
    let possession = secret.sign(&Context::new(VALIDATOR_POSSESSION_ROLE, world.genesis.hash()), &operator.0);
    let (key, commission) = (secret.public(), chain::staking::Commission::unlimited(0));
    let profile = Profile { name: "<b>Cellar</b> \"&'".into(), website: "javascript:alert(1)".into(), ..Profile::default() };
    let messages = vec![
        Message::CreateValidator { key, possession, stake: Amount::stos(1), commission },
        Message::Describe { profile: profile.clone() },
        Message::Propose { title: "t".into(), text: String::new(), actions: Vec::new() },
        Message::Donate { fund: Fund::Community, amount: Amount::stos(7) },
    ];
    let before: views::Status = world.json("/v1/status").await;
    let answer = world.ask("POST", "/v1/txs", MARK, &world.transaction(0, messages)).await;
    let views::Submitted { hash } = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body));
    let transaction = world.until_final(&hash).await;
    assert_eq!((transaction.status, transaction.error), (Some(views::TransactionStatus::Done), None));
    let account: views::Account = world.json(&format!("/v1/accounts/{operator}")).await;
    let validators: Vec<views::Validator> = world.json("/v1/validators").await;
    let validator: views::Validator = world.json(&format!("/v1/validators/{operator}")).await;
    assert_eq!((account.profile.as_ref(), validator.profile.as_ref()), (Some(&profile), Some(&profile)));
    assert_eq!(validators.iter().filter(|validator| validator.profile.is_some()).collect::<Vec<_>>(), [&validator]);
    let nodes: views::Nodes = world.json("/v1/nodes").await;
    assert!(nodes.meta.iter().all(|node| node.profile.is_none()) && nodes.resource.iter().all(|node| node.profile.is_none()));
    let views::Status { supply, .. } = world.json("/v1/status").await;
    let parts = [supply.accounts_wei, supply.prepaid_wei, supply.deposits_wei, supply.stake_wei, supply.unbonding_wei, supply.rewards_wei, supply.reserve_wei];
    let parts = parts.into_iter().chain([supply.community_wei, supply.governance_wei, supply.burned_wei]).map(|part| part.0).sum::<u128>();
    assert_eq!((parts, supply.total_wei), (TOTAL_SUPPLY.0, TOTAL_SUPPLY));
    assert_eq!((supply.governance_wei, supply.community_wei.0 - before.supply.community_wei.0), (Amount::stos(100), Amount::stos(7).0));
    world.stop().await;
}

/// What is asked before signing is what happens, and asking changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_tried_before_it_is_signed() {
    let world = World::with(600_000, |_| None).await;
    let path = "/v1/txs/simulate";
    let send = |amount| Message::Send { to: person(5).address(), amount };
    let trial = async |body: &Transaction| {
        let answer = world.ask("POST", path, MARK, hex::encode(encode(body)).as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str::<views::Simulation>(&answer.body).expect("a simulation")
    };
    let good = world.unsigned(0, vec![send(Amount::stos(3))]);
    let done = trial(&good).await;
    assert_eq!((done.outcome, done.error, done.sender), (views::SimulationOutcome::Done, None, person(1).address()));
    assert_eq!((done.events.len(), done.events[0]["event"].as_str()), (1, Some("sent")));
    let failed = trial(&world.unsigned(0, vec![send(Amount::stos(1)), send(Amount::MAX)])).await;
    assert_eq!((failed.outcome, failed.events.len()), (views::SimulationOutcome::Failed, 0));
    assert!(failed.error.is_some_and(|error| error.contains("are missing")) && failed.fee_wei > done.fee_wei);
    let refused = trial(&Transaction { fee_max: Amount(1), ..good.clone() }).await;
    assert_eq!((refused.outcome, refused.fee_wei), (views::SimulationOutcome::Refused, done.fee_wei));
    assert!(refused.error.is_some_and(|error| error.contains("offers at most 1 wei")));
    assert_eq!(trial(&Transaction { tip: Amount::MAX, ..good.clone() }).await.fee_wei, None);
    let account: views::Account = world.json(&format!("/v1/accounts/{}", person(1).address())).await;
    assert_eq!((account.nonce, world.value.waiting()), (0, 0), "nothing was kept");

    let answer = world.ask("POST", "/v1/txs", MARK, &good.sign(&person(1))).await;
    let views::Submitted { hash } = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body));
    let transaction = world.until_final(&hash).await;
    assert_eq!((transaction.units, transaction.fee_wei, transaction.events), (Some(done.units), done.fee_wei, done.events));

    for (body, cause) in [(&b"xyz"[..], "not in hexadecimal digits"), (b"00", "cannot be decoded"), (b"", "one unsigned transaction")] {
        let (status, error) = world.refused("POST", path, MARK, body).await;
        assert!(status == 400 && error.contains(cause), "{status} {error}");
    }
    assert_eq!(world.refused("POST", path, MARK, &vec![b'0'; 2 * TRANSACTION_BYTES_MAX + 1]).await.0, 413);
    assert_eq!(world.refused("POST", path, "", b"00").await.0, 403);
    assert_eq!(world.refused("GET", path, "", b"").await.0, 405);
    world.stop().await;
}

/// What the holders of three keys type: the account is made, paid, and spent from when two have signed.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_several_keys() {
    let world = World::with(600_000, |_| None).await;
    let home = tempfile::tempdir().expect("a directory");
    let wallet = Wallet::new(home.path().join("keys"));
    for (name, seed) in [("rich", 1), ("one", 41), ("two", 42), ("three", 43)] {
        wallet.create(&name.parse().expect("a name"), &Seed::new([seed; 32]), "secret", Cost { memory_kib: 32, passes: 1, lanes: 4 }).expect("a key");
    }
    let path = |name: &str| home.path().join(name).to_str().expect("plain").to_owned();
    let run_at = async |node: &str, line: &str| {
        let line = format!("stratos --node {node} --home {} --passphrase-file {} {line}", home.path().display(), path("passphrase"));
        tokio::task::spawn_blocking(move || crate::cli::run_line(&line)).await.expect("it ends").map_err(|failure| failure.line())
    };
    let node = format!("http://{}", world.address);
    let run = async |line: &str| run_at(&node, line).await;
    let (shared, paper, copy) = (path("shared.json"), path("paper.json"), path("copy.json"));

    run(&format!("multisig address --threshold 2 three one two --out {shared}")).await.expect("an account");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&shared).expect("a file")).expect("JSON");
    let address = file["address"].as_str().expect("an address").to_owned();
    let account = async || world.json::<views::Account>(&format!("/v1/accounts/{address}")).await;
    // What would happen needs no passphrase, and changes nothing.
    run(&format!("send {address} 10 --key rich --dry-run --json")).await.expect("an answer");
    assert_eq!(account().await.balance_wei, Amount::ZERO);
    std::fs::write(path("passphrase"), "secret").expect("written");
    run(&format!("send {address} 10 --key rich")).await.expect("paid");

    let spend = format!("send rich 4 --memo rent --from {shared}");
    let refused = run(&spend).await.expect_err("nobody has signed");
    assert!(refused.contains("several keys cannot sign at once") && refused.contains("--unsigned FILE"), "{refused}");
    run(&format!("{spend} --dry-run")).await.expect("an answer");
    run(&format!("{spend} --unsigned {paper}")).await.expect("written");
    assert!(run(&format!("{spend} --unsigned {paper}")).await.expect_err("it is there").contains("exists already"));
    std::fs::copy(&paper, &copy).expect("copied");
    assert!(run(&format!("tx send {paper}")).await.expect_err("nobody has signed").contains("0 of 2 signatures are there"));
    assert!(run(&format!("tx sign {paper} --key rich")).await.expect_err("a stranger").contains("is none of the 3 that can sign"));
    run(&format!("tx sign {paper} --key three")).await.expect("signed");
    run(&format!("tx sign {paper} --key three")).await.expect("signed again, which changes nothing");
    assert!(run(&format!("tx send {paper}")).await.expect_err("one is not enough").contains("1 of 2 signatures are there"));
    // A copy is signed where no node can be asked.
    run_at("http://127.0.0.1:1", &format!("tx sign {copy} --key one")).await.expect("signed");
    run(&format!("tx show {paper}")).await.expect("shown");
    run(&format!("tx send {paper} {copy} --dry-run")).await.expect("an answer");
    assert_eq!(account().await.nonce, 0);
    run(&format!("tx send {paper} {copy}")).await.expect("sent");
    let after = account().await;
    assert!(after.nonce == 1 && after.balance_wei < Amount::stos(6) && after.balance_wei > Amount::stos(5), "{after:?}");
    let newest: Vec<views::Transaction> = world.json("/v1/txs?limit=1").await;
    assert_eq!((newest[0].memo.as_deref(), newest[0].sender.map(|sender| sender.to_string())), (Some("rent"), Some(address.clone())));
    let again = run(&format!("tx send {paper} {copy}")).await.expect_err("its nonce is used");
    assert!(again.contains("is in a final block already"), "{again}");

    let refused = run(&format!("ozone buy 1 --from {shared} --dry-run")).await.expect_err("it would be lost");
    assert!(refused.contains("traffic is granted by one key") && refused.contains("--for"), "{refused}");
    let dear = run(&format!("send {address} 1 --key rich --tip 3")).await.expect_err("3 stos for each unit");
    assert!(dear.contains("at most 1 stos may be paid") && dear.contains("--fee-max"), "{dear}");
    let late = run("ozone buy 1 --key one --until 1 --dry-run").await.expect_err("it is over");
    assert!(late.contains("until block 1, and the newest is") && late.contains("--until"), "{late}");

    // Every command that sends can leave the signing to others.
    for (number, command) in [format!("stake delegate {} 1", person(10).address()), "ozone buy 1 --for one --until 123456".to_owned()].iter().enumerate() {
        run(&format!("{command} --from {shared} --dry-run --json")).await.expect("an answer");
        let paper = path(&format!("paper-{number}.json"));
        run(&format!("{command} --from {shared} --nonce {} --unsigned {paper}", number + 1)).await.expect("written");
        for key in ["one", "two", "three"] {
            run(&format!("tx sign {paper} --key {key}")).await.expect("signed");
        }
        run(&format!("tx send {paper}")).await.expect("three are more than enough");
    }
    let newest: Vec<views::Transaction> = world.json("/v1/txs?limit=1").await;
    assert!(matches!(newest[0].messages[..], [views::MessageView::BuyOzone { height_max: Height(123_456), .. }]), "{newest:?}");
    let stake: views::Stake = world.json(&format!("/v1/accounts/{address}/stake")).await;
    assert_eq!((stake.delegations.len(), account().await.nonce), (1, 3));
    // Page by page, both who have stake with the validator, and once each.
    let (operator, mut listed, mut after) = (person(10).address(), Vec::new(), String::new());
    loop {
        let page: views::Delegations = world.json(&format!("/v1/validators/{operator}/delegations?limit=1{after}")).await;
        listed.extend(page.delegators.into_iter().map(|delegator| (delegator.address, delegator.delegation.stake_wei)));
        let Some(next) = page.next else { break };
        after = format!("&after={next}");
    }
    let own: Address = address.parse().expect("an address");
    let expected = BTreeMap::from([(operator, Amount::stos(1_000)), (own, Amount::stos(1))]);
    assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
    run(&format!("validator delegators {operator} --limit 1 --height 3")).await.expect("an answer");
    let (status, error) = world.refused("GET", &format!("/v1/validators/{own}/delegations"), "", b"").await;
    assert!(status == 404 && error.contains("operates no validator"), "{status} {error}");
    // One key can sign later too.
    let paper = path("alone.json");
    run(&format!("send {address} 1 --key rich --unsigned {paper}")).await.expect("written");
    run(&format!("tx sign {paper} --key rich")).await.expect("signed");
    run(&format!("tx send {paper} --no-wait")).await.expect("sent");
    world.stop().await;
}

/// What a ledger says can be checked with the genesis file alone: now, in the past, and after the voters changed.
#[tokio::test(flavor = "multi_thread")]
async fn proofs() {
    let world = World::start().await;
    world.until_height(2).await;
    let key = hex::encode(chain::keys::account(&person(5).address()));
    let (before, checked) = world.proof(&format!("/v1/proof?key={key}")).await;
    assert_eq!((before.value, &before.key, before.ledger), (None, &key, views::LedgerName::Value), "nobody has paid it yet");
    assert_eq!((&checked["value"], &checked["changes"]), (&serde_json::Value::Null, &0.into()));

    let stake = Message::Delegate { validator: person(10).address(), amount: Amount::stos(5) };
    let send = Message::Send { to: person(5).address(), amount: Amount::stos(3) };
    let answer = world.ask("POST", "/v1/txs", MARK, &world.transaction(0, vec![send, stake])).await;
    let views::Submitted { hash } = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body));
    let paid = world.until_final(&hash).await.height.expect("it is final");
    world.until_height(paid.0 + 2).await;
    let (now, checked) = world.proof(&format!("/v1/proof?ledger=value&key=0x{key}")).await;
    assert!(now.value.is_some() && now.height > paid);
    // Each block ends an epoch, so the stake counts after the block of the payment.
    assert_eq!((&checked["value"], &checked["changes"]), (&serde_json::to_value(&now.value).expect("a text"), &1.into()));
    for (height, is_paid, changes) in [(1, false, 0), (paid.0 - 1, false, 0), (paid.0, true, 0), (paid.0 + 1, true, 1)] {
        let (then, checked) = world.proof(&format!("/v1/proof?key={key}&height={height}")).await;
        assert_eq!((then.height.0, then.value.is_some(), &checked["changes"]), (height, is_paid, &changes.into()));
    }
    timeout(PATIENCE, world.meta.watch().wait_for(|head| head.certified.is_some())).await.expect("blocks come").expect("the replica runs");
    let (of_meta, _) = world.proof("/v1/proof?ledger=meta&key=ff").await;
    assert_eq!((of_meta.ledger, of_meta.chain, of_meta.value), (views::LedgerName::Meta, meta_chain(world.genesis.hash()), None));
    assert!(world.proof(&format!("/v1/proof?ledger=meta&key={}&height=1", hex::encode(meta::keys::voters()))).await.0.value.is_some());

    // The same in the form that verifiers of other chains read, of what is there and of what is not.
    let other = hex::encode(chain::keys::account(&person(77).address()));
    for (key, height) in [(&key, paid.0), (&key, 1), (&other, paid.0)] {
        let (then, checked) = world.proof(&format!("/v1/proof?key={key}&height={height}")).await;
        let answer: views::Ics23 = world.json(&format!("/v1/proof/ics23?key={key}&height={height}")).await;
        assert_eq!((answer.height.0, &answer.key, &answer.value), (height, key, &then.value));
        assert_eq!(serde_json::to_value(answer.root).expect("a text"), checked["state_root"]);
        assert!(answer.is_sound());
        let other = views::Ics23 { proof_key: format!("{}00", answer.proof_key), ..answer.clone() };
        assert!(!other.is_sound() && !views::Ics23 { spec: String::new(), ..answer.clone() }.is_sound());
        let bytes = |digits: &str| hex::decode(digits).expect("digits");
        let proof = CommitmentProof::decode(&bytes(&answer.proof)[..]).expect("a proof");
        let (spec, root) = (ProofSpec::decode(&bytes(&answer.spec)[..]).expect("a specification"), answer.root.0.to_vec());
        assert!(match &answer.value {
            Some(value) => ics23::verify_membership::<HostFunctionsManager>(&proof, &spec, &root, &bytes(&answer.proof_key), &bytes(value)),
            None => ics23::verify_non_membership::<HostFunctionsManager>(&proof, &spec, &root, &bytes(&answer.proof_key)),
        });
    }

    let (status, error) = world.refused("GET", &format!("/v1/proof?key={key}&height=99999999"), "", b"").await;
    assert!(status == 404 && error.contains("block 99999999 is not final here; the newest is "), "{status} {error}");
    let long = "00".repeat(KEY_BYTES_MAX + 1);
    for (query, cause) in [
        ("", "there is no `key`"),
        ("key=", "a key of 0 hexadecimal digits"),
        ("key=0", "not in hexadecimal digits"),
        ("key=xyz0", "not in hexadecimal digits"),
        (&format!("key={long}"), "a key of 2050 hexadecimal digits; it has 2 to 2048"),
        ("key=00&ledger=other", "`other` is not a ledger"),
        ("key=00&height=x", "`x` is not a height"),
        ("key=00&height=-1", "`-1` is not a height"),
        ("key=00&height=0", "block 0 follows from the genesis file"),
    ] {
        for route in ["/v1/proof", "/v1/proof/ics23"] {
            let (status, error) = world.refused("GET", &format!("{route}?{query}"), "", b"").await;
            assert!(status == 400 && error.contains(cause), "{route} {query}: {status} {error}");
        }
    }

    // A store that keeps one state of the past, and forgets the others when it is flushed at its end.
    let genesis = world.genesis.clone();
    let directory = world.end().await;
    let store = free(&directory, "value", genesis.hash(), Tuning { history: 1, ..Tuning::default() }).await;
    for value in [Some(vec![1]), None] {
        let mut child = store.head().child();
        match value {
            Some(value) => child.put(b"passing".to_vec(), value).expect("short"),
            None => child.delete(b"passing"),
        }
        store.commit(&child.seal(), vec![]).expect("it follows");
    }
    drop(store);
    let world = World::at(directory, 1, |_| None).await;
    let (status, error) = world.refused("GET", &format!("/v1/proof?key={key}&height=1"), "", b"").await;
    assert!(status == 410 && error.contains("the state after block 1 is not kept: those after blocks "), "{status} {error}");
    let newest = world.value.head().header.height;
    assert_eq!(world.proof(&format!("/v1/proof?key={key}&height={newest}")).await.0.height, newest);
    world.stop().await;
}

/// Checks HTTP-1, HTTP-2 and HTTP-4.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_ask_and_how() {
    let world = World::start().await;
    let page = world.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'self'")));
    assert_eq!(world.get("/assets/app.js").await.header("content-type"), Some("text/javascript; charset=utf-8"));
    for answer in [page, world.get("/v1/status").await, world.get("/nothing").await, world.get("/assets/../mod.rs").await] {
        assert_eq!((answer.header("x-content-type-options"), answer.header("referrer-policy")), (Some("nosniff"), Some("no-referrer")));
        assert!(answer.header("content-security-policy").is_some() && answer.header("access-control-allow-origin").is_none());
    }
    let wrong = world.ask("DELETE", "/v1/status", MARK, b"").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("get,head")));
    assert!(wrong.body.contains("\"error\""));

    // Other sites, and names that point here.
    assert_eq!(world.refused("POST", "/v1/txs", "", b"x").await.0, 403);
    assert_eq!(world.refused("POST", "/v1/txs", "x-stratos: 1\r\norigin: http://evil.example\r\n", b"x").await.0, 403);
    assert_eq!(world.refused("OPTIONS", "/v1/txs", "origin: http://evil.example\r\n", b"").await.0, 403);
    let rebound = world.raw(b"GET /v1/gateway/files HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await;
    assert_eq!(Answer::read(&rebound).status, 421);

    // Files, of which there are none here.
    let id = Hash([5; 32]);
    let capability = Capability { id, key: FileKey::from_bytes([6; 32]) }.to_text();
    for (path, expected) in [
        (format!("/files/{id}"), 403),
        (format!("/files/{id}?cap=x"), 403),
        (format!("/files/{}?cap={capability}", Hash([4; 32])), 403),
        (format!("/files/{id}?cap={capability}"), 404),
        ("/files/x".to_owned(), 400),
    ] {
        assert_eq!(world.refused("GET", &path, "", b"").await.0, expected, "{path}");
    }
    assert_eq!(world.refused("DELETE", &format!("/v1/files/{id}"), MARK, b"").await.0, 404);
    assert_eq!(world.refused("POST", "/v1/files?name=a", "x-stratos: 1\r\ncontent-length: 99999999999999\r\n", b"").await.0, 413);
    // No ledger answers this client, so nothing can be stored; the whole body is taken all the same.
    let (status, error) = world.refused("POST", "/v1/files?name=a&type=text/plain", MARK, &vec![7; 3 << 20]).await;
    assert_eq!(status, 503, "{error}");

    // Nodes.
    let stopped: views::NodeControl = serde_json::from_str(&world.ask("POST", "/v1/dev/nodes/resource-1/stop", MARK, b"").await.body).expect("a node");
    assert_eq!(stopped.state, views::NodeState::Stopped);
    assert_eq!(world.json::<views::Nodes>("/v1/nodes").await.resource[0].state, views::NodeState::Stopped);
    assert_eq!(world.refused("POST", "/v1/dev/nodes/resource-1/start", MARK, b"").await, (409, "it does not start".to_owned()));
    assert_eq!(world.refused("POST", "/v1/dev/nodes/resource-7/stop", MARK, b"").await.0, 404);
    assert_eq!(world.refused("POST", "/v1/dev/nodes/resource-1/stop", "", b"").await.0, 403);
    world.stop().await;
}

/// Of a validator whose key is in two places, of which neither knows what the other signed.
fn contradiction(genesis: &Genesis) -> Option<Evidence> {
    let members = genesis.validator_members().expect("validators");
    let sign = |block: u8| {
        let directory = tempfile::tempdir().expect("a directory");
        let mut signer = Signer::create(&directory.path().join("slot"), SecretKey::from_seed(&[10; 32]), genesis.hash()).expect("a signer");
        signer.seat(Epoch(0), &members).expect("a seat");
        let vote = |kind| Vote { epoch: Epoch(0), view: View(9), kind };
        signer.sign(vote(Kind::Notarize(Hash([block; 32])))).expect("the first vote of the view");
        signer.sign(vote(Kind::Finalize(Hash([block; 32])))).expect("the vote that follows").into_inner()
    };
    Evidence::new(sign(1), sign(2))
}

/// What a node found goes into its next block, and everybody can see what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn contradictions_are_shown() {
    let world = World::with(600_000, contradiction).await;
    world.until_height(2).await;
    let report: views::EvidenceReport = world.json("/v1/evidence").await;
    let [kept] = report.kept.as_slice() else { panic!("{report:?}") };
    assert_eq!((kept.epoch, kept.member, kept.address, kept.name.as_deref()), (Epoch(0), 0, Some(person(10).address()), Some("validator-1")));
    let vote = |block: u8| views::Vote { view: View(9), kind: views::VoteKind::Finalize, block: Some(Hash([block; 32])) };
    assert_eq!(kept.votes, [vote(1), vote(2)]);
    let [offence] = report.offences.as_slice() else { panic!("{report:?}") };
    assert_eq!((offence.address, offence.weight, offence.total), (person(10).address(), 1_000, 1_000));
    // It proposed the block with the proof itself, for which nobody is rewarded.
    assert_eq!((offence.proven_epoch, offence.until, offence.reporter), (Epoch(0), Epoch(3), None));
    let validators: Vec<views::Validator> = world.json("/v1/validators").await;
    // It votes until the epoch ends.
    assert_eq!((validators[0].status, validators[0].until, validators[0].weight), (views::ValidatorStatus::Tombstoned, Some(Epoch(3)), 1_000));
    world.stop().await;
}

/// What somebody brings is as good as what the node found, once.
#[tokio::test(flavor = "multi_thread")]
async fn contradictions_are_brought() {
    let world = World::with(600_000, |_| None).await;
    world.until_height(2).await;
    let evidence = encode(&contradiction(&genesis(600_000)).expect("a contradiction"));
    let forged = {
        let mut bytes = evidence.clone();
        *bytes.last_mut().expect("bytes") ^= 1;
        bytes
    };
    for (body, status, cause) in [
        (forged, 400, "prove nothing"),
        (evidence[1..].to_vec(), 400, "cannot be decoded"),
        (Vec::new(), 400, "send the bytes of two votes"),
        (vec![0; EVIDENCE_BYTES_MAX + 1], 413, "longer than 16384 bytes"),
    ] {
        let (found, error) = world.refused("POST", "/v1/evidence", MARK, &body).await;
        assert!(found == status && error.contains(cause), "{found} {error}");
    }
    assert_eq!(world.ask("POST", "/v1/evidence", "", &evidence).await.status, 403, "no page of another site brings anything");
    let answer = world.ask("POST", "/v1/evidence", MARK, &evidence).await;
    let offence: views::Offence = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body));
    assert_eq!((offence.address, offence.name.as_str(), offence.weight, offence.epoch), (person(10).address(), "validator-1", 1_000, Epoch(0)));
    let mut heads = world.value.watch();
    let counted = heads.wait_for(|head| !chain::slashing::offences(&head.state).is_empty());
    drop(timeout(PATIENCE, counted).await.expect("blocks come").expect("the replica runs"));
    drop(heads);
    let report: views::EvidenceReport = world.json("/v1/evidence").await;
    assert_eq!(report.offences, [offence]);
    assert_eq!(report.kept.iter().map(|kept| kept.proof.clone()).collect::<Vec<_>>(), [hex::encode(&evidence)]);
    let (status, error) = world.refused("POST", "/v1/evidence", MARK, &evidence).await;
    assert!(status == 409 && error.contains("makes it no worse"), "{status} {error}");
    world.stop().await;
}

/// Checks HTTP-4: garbage, silence and too many listeners disturb nobody, and nothing holds up the end.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_greed() {
    let world = World::start().await;
    let silent = TcpStream::connect(world.address).await.expect("a connection");
    let mut half = TcpStream::connect(world.address).await.expect("a connection");
    half.write_all(b"GET / HTTP/1.1\r\nhost: 127").await.expect("sent");
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0",
        b"SSH-2.0-x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let status = Answer::read(&world.raw(&[garbage, b"\r\n\r\n"].concat()).await).status;
        assert!(status == 0 || (400..600).contains(&status), "{status}");
    }
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    assert_eq!(world.ask("GET", "/health", &many, b"").await.status, 431);
    assert!([0, 431].contains(&world.ask("GET", "/health", &format!("x: {}\r\n", "y".repeat(100_000)), b"").await.status));

    let mut listeners = Vec::new();
    for _ in 0..LISTENERS_MAX {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        stream.write_all(format!("GET /v1/blocks/stream HTTP/1.1\r\nhost: {}\r\n\r\n", world.address).as_bytes()).await.expect("sent");
        let mut head = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("in time").expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200");
        listeners.push(stream);
    }
    assert_eq!(world.refused("GET", "/v1/blocks/stream", "", b"").await.0, 503);
    assert_eq!(world.get("/").await.status, 200);
    let genesis = world.genesis.clone();
    let directory = world.end().await;
    drop((silent, half, listeners));
    remove(directory, &genesis).await;
}
