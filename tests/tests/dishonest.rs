//! A meta node that breaks the rules in a running network: it promises carriers more than is reserved with it. Carriers move real bytes for that, and find
//! out when the epoch is over; the meta node pays and votes no more, and the network goes on.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use chain::Genesis;
use chain::genesis::meta_chain;
use chain::ledger::query::{META_PROTOCOL, VALUE_PROTOCOL};
use client::ledger::Ledger;
use client::transfer::payer::{Counterpart, Credentials};
use client::transfer::{Reason, TransferError, Upload, wire};
use client::wallet::Seed;
use meta::Transaction;
use meta::transaction::funds_keys;
use p2p::{Config, Contact, Endpoint, Plane, Secret};
use pot::{Allowance, Channel, Class, Signed, SignedGrant, Ticket};
use primitives::{Address, Epoch, Hash, Noz, SecretKey};
use serde_json::Value;
use tests::{Network, noise, number};
use tokio::runtime::Runtime;

const BYTES: u64 = 4_000_000;

/// The key of a node of the dev network: as public as its name.
fn node_key(name: &str) -> SecretKey {
    SecretKey::from_seed(&Hash::of("dev node key", &[name.as_bytes(), b"sign"]).0)
}

fn string<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

fn address(value: &Value) -> Address {
    string(value, "address").parse().expect("an address")
}

fn contact(value: &Value) -> Contact {
    let address = |address: &Value| address.as_str().and_then(|text| text.parse().ok()).expect("a multiaddr");
    let addresses = value["addresses"].as_array().expect("a list").iter().map(address).collect();
    Contact { peer: string(value, "peer").parse().expect("a peer id"), addresses }
}

fn node(network: &Network, kind: &str, name: &str) -> Value {
    let nodes = network.get("/v1/nodes");
    let node = nodes[kind].as_array().and_then(|nodes| nodes.iter().find(|node| node["name"] == name).cloned());
    node.unwrap_or_else(|| panic!("no {name} in {nodes}"))
}

fn epoch(network: &Network) -> u64 {
    network.get("/v1/status")["epoch"]["number"].as_u64().expect("a number")
}

/// Waits until the next epoch begins.
fn next_epoch(network: &Network) -> Epoch {
    let before = epoch(network);
    Epoch(network.eventually("an epoch begins", || Some(epoch(network)).filter(|now| *now > before)))
}

fn is_convicted(network: &Network, name: &str) -> bool {
    node(network, "meta", name)["status"] == "tombstoned"
}

/// A session of bob, and a meta node that signs whatever tickets it wants.
struct Conspiracy<'a> {
    network: &'a Network,
    issuer: &'static str,
    genesis: Genesis,
    credentials: Credentials,
    uploads: BTreeMap<Channel, Upload>,
    runtime: Runtime,
    endpoint: Endpoint,
}

impl<'a> Conspiracy<'a> {
    fn new(network: &'a Network, issuer: &'static str) -> Self {
        let genesis: Genesis = serde_json::from_value(network.get("/v1/genesis")).expect("a genesis file");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let config = Config::client(Secret::from_seed([9; 32]), genesis.network(), Plane::Data);
        let (endpoint, _events) = runtime.block_on(Endpoint::start(config)).expect("it starts");
        // Bob has granted the session, and knows nothing of what it is used for.
        let secret = SecretKey::from_seed(&[77; 32]);
        let grant = SignedGrant::sign(genesis.hash(), &Seed::dev("bob").secret(), &secret, Epoch(1_000), Noz(u64::MAX.into()));
        Self { network, issuer, genesis, credentials: Credentials { secret, grant }, uploads: BTreeMap::new(), runtime, endpoint }
    }

    fn payer(&self) -> Address {
        Seed::dev("bob").secret().address()
    }

    /// Reserves ozone of bob in this epoch with the dishonest meta node as home.
    fn reserve(&self, epoch: Epoch, noz: Noz) {
        let (chain, info) = (self.genesis.hash(), self.network.get("/v1/network"));
        let gateway = vec![contact(&info["data"])];
        let ledger = |protocol, chain, members| Ledger::new(self.endpoint.clone(), protocol, chain, members, gateway.clone());
        let value = ledger(VALUE_PROTOCOL, chain, self.genesis.validator_members().expect("members"));
        let meta = ledger(META_PROTOCOL, meta_chain(chain), self.genesis.meta_members().expect("members"));
        let home = address(&node(self.network, "meta", self.issuer));
        let Credentials { grant, secret } = &self.credentials;
        let allowance = Box::new(Signed::sign(Allowance { chain, grant: *grant, epoch, noz, home }, secret));
        self.runtime.block_on(async {
            let (ozone, _) = value.proven(funds_keys(&grant.grant)).await.expect("bob's ozone");
            let hash = meta.submit(Transaction::Reserve { allowance, ozone: Box::new(ozone) }.encode()).await.expect("it is taken");
            meta.wait(hash, Duration::from_secs(10)).await.expect("it is reserved");
        });
    }

    /// Stores a slice of [`BYTES`] with `carrier` under a ticket that says that it is the only one, and signs the receipt; what was paid.
    fn store(&mut self, epoch: Epoch, carrier: &str) -> Result<u64, TransferError> {
        let (chain, resource) = (self.genesis.hash(), node(self.network, "resource", carrier));
        let data = noise(usize::try_from(BYTES).expect("small"), 9);
        let (payer, carrier_key) = (self.payer(), node_key(carrier).public());
        let channel = Channel { epoch, carrier: address(&resource), payer, session: self.credentials.secret.public(), class: Class::Upload };
        let ticket = Ticket {
            chain,
            epoch,
            payer,
            session: channel.session,
            carrier: channel.carrier,
            class: channel.class,
            slice: storage::commit::root(&data),
            bytes_max: BYTES,
            channel_total: BYTES,
            session_total: Noz(BYTES.into()),
            issuer: address(&node(self.network, "meta", self.issuer)),
        };
        let key = node_key(self.issuer);
        let ticket = Signed::sign(ticket, &key).verify(chain, &key.public()).expect("just signed");
        let with = Counterpart { chain, carrier: channel.carrier, key: carrier_key };
        let upload = self.uploads.entry(channel).or_insert_with(|| Upload::new(with, channel, self.credentials.clone()));
        self.runtime.block_on(async {
            let stream = self.endpoint.open(contact(&resource), wire::PROTOCOL).await.expect("the carrier answers");
            Ok(upload.put(stream, &ticket, data.into()).await?.charged)
        })
    }
}

fn start(data: &std::path::Path) -> Network {
    Network::start(["--data", data.to_str().expect("plain"), "--epoch", "20", "--meta-nodes", "4"])
}

#[test]
fn a_meta_node_that_promises_what_nobody_reserved_pays_for_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = start(&directory.path().join("network"));
    let ozone = |of: &str| number(&network.json(&["ozone", "balance", of])["noz"]);
    let balance = |of: &str| number(&network.json(&["account", "show", of])["balance_wei"]);
    let (victim, other) = (ozone("bob"), ozone("alice"));
    let (deposit, carrier_before) = (number(&node(&network, "meta", "meta-2")["deposit_wei"]), balance("resource-1"));
    let mut conspiracy = Conspiracy::new(&network, "meta-2");
    let now = next_epoch(&network);
    assert_eq!(conspiracy.store(now, "resource-1").expect("the ticket looks like any other"), BYTES);

    // The carrier looks before it claims, and shows what it was promised.
    network.eventually("the meta node is convicted", || Some(()).filter(|()| is_convicted(&network, "meta-2")));
    let convicted_in = epoch(&network);
    assert_eq!(number(&node(&network, "meta", "meta-2")["deposit_wei"]), deposit / 2, "half of it is slashed");
    assert!(balance("resource-1") > carrier_before, "it is rewarded and compensated by more than the fee");
    for name in ["meta-1", "meta-3", "meta-4"] {
        assert_eq!(node(&network, "meta", name)["status"], "active");
    }

    // It is a member of the metadata ledger until the epoch ends, and no carrier takes its tickets any more.
    let refused = network.eventually("its tickets are refused", || conspiracy.store(Epoch(convicted_in), "resource-2").err());
    assert_eq!((refused.reason(), epoch(&network)), (Some(Reason::Issuer), convicted_in), "{refused}");

    // The others go on without it, and nobody is charged for what it promised.
    network.eventually("an epoch without it", || Some(()).filter(|()| epoch(&network) > convicted_in + 1));
    let file = directory.path().join("file.bin");
    fs::write(&file, noise(1_000_000, 3)).expect("written");
    let stored = network.json(&["file", "put", file.to_str().expect("plain"), "--key", "alice"]);
    let charged = number(&stored["charged_noz"]);
    network.eventually("what alice stored is settled", || Some(()).filter(|()| other - ozone("alice") == charged));
    assert_eq!(ozone("bob"), victim);
}

/// Neither of its tickets says too much; what one carrier has claimed shows it to the other.
#[test]
fn a_meta_node_that_promises_the_same_twice_pays_for_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = start(&directory.path().join("network"));
    let ozone = |of: &str| number(&network.json(&["ozone", "balance", of])["noz"]);
    let deposit = number(&node(&network, "meta", "meta-3")["deposit_wei"]);
    let before = ozone("bob");
    let mut conspiracy = Conspiracy::new(&network, "meta-3");
    // All of it in one epoch.
    let now = next_epoch(&network);
    conspiracy.reserve(now, Noz(u128::from(BYTES) + 1_000_000));
    for carrier in ["resource-1", "resource-2"] {
        assert_eq!(conspiracy.store(now, carrier).expect("a good ticket, as far as it knows"), BYTES);
    }
    network.eventually("the meta node is convicted", || Some(()).filter(|()| is_convicted(&network, "meta-3")));
    assert_eq!(number(&node(&network, "meta", "meta-3")["deposit_wei"]), deposit / 2, "half of it is slashed");
    // One of the carriers was paid by bob, who was charged once; the other by the meta node.
    network.eventually("the epoch is settled", || Some(()).filter(|()| ozone("bob") < before));
    assert_eq!(before - ozone("bob"), u128::from(BYTES));
}
