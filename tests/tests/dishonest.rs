//! A meta node that breaks the rules in a running network: it promises a carrier what nobody has reserved with it. The carrier moves real bytes for that, and finds out when the
//! epoch is over; the meta node pays and votes no more, and the network goes on.

use std::fs;

use client::transfer::payer::Counterpart;
use client::transfer::{Upload, wire};
use p2p::{Config, Contact, Endpoint, Plane, Secret};
use pot::{Channel, Class, Signed, Ticket};
use primitives::{Address, Epoch, Hash, Noz, SecretKey};
use serde_json::Value;
use tests::{Network, noise, number};

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

fn node(network: &Network, kind: &str, name: &str) -> Value {
    let nodes = network.get("/v1/nodes");
    let node = nodes[kind].as_array().and_then(|nodes| nodes.iter().find(|node| node["name"] == name).cloned());
    node.unwrap_or_else(|| panic!("no {name} in {nodes}"))
}

/// Stores a slice with `carrier` under a ticket that `issuer` signed for a session of `payer` that has reserved nothing, and signs the receipt; what was paid.
fn store_without_reservation(network: &Network, issuer: &str, carrier: &str, payer: Address) -> u64 {
    let info = network.get("/v1/network");
    let chain: Hash = string(&info, "genesis").parse().expect("a hash");
    let epoch = Epoch(network.get("/v1/status")["epoch"]["number"].as_u64().expect("a number"));
    let (resource, meta) = (node(network, "resource", carrier), node(network, "meta", issuer));
    let (session, data) = (SecretKey::from_seed(&[77; 32]), noise(usize::try_from(BYTES).expect("small"), 9));
    let channel = Channel { epoch, carrier: address(&resource), payer, session: session.public(), class: Class::Upload };
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
        issuer: address(&meta),
    };
    let key = node_key(issuer);
    let ticket = Signed::sign(ticket, &key).verify(chain, &key.public()).expect("just signed");
    let with = Counterpart { chain, carrier: channel.carrier, key: node_key(carrier).public() };
    let peer = string(&resource, "peer").parse().expect("a peer id");
    let addresses =
        resource["addresses"].as_array().expect("a list").iter().map(|address| address.as_str().and_then(|text| text.parse().ok()).expect("a multiaddr"));
    let contact = Contact { peer, addresses: addresses.collect() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = Config::client(Secret::from_seed([9; 32]), string(&info, "network").to_owned(), Plane::Data);
        let (endpoint, _events) = Endpoint::start(config).await.expect("it starts");
        let stream = endpoint.open(contact, wire::PROTOCOL).await.expect("the carrier answers");
        let kept = Upload::new(with, channel, session).put(stream, &ticket, data.into()).await.expect("the ticket looks like any other");
        endpoint.close().await;
        kept.charged
    })
}

#[test]
fn a_meta_node_that_promises_what_nobody_reserved_pays_for_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("network");
    let network = Network::start(["--data", data.to_str().expect("plain"), "--epoch", "6", "--meta-nodes", "4"]);
    let ozone = |of: &str| number(&network.json(&["ozone", "balance", of])["noz"]);
    let balance = |of: &str| number(&network.json(&["account", "show", of])["balance_wei"]);
    let (victim, other) = (ozone("bob"), ozone("alice"));
    let (deposit, carrier_before) = (number(&node(&network, "meta", "meta-2")["deposit_wei"]), balance("resource-1"));
    let bob = address(&network.json(&["account", "show", "bob"]));

    assert_eq!(store_without_reservation(&network, "meta-2", "resource-1", bob), BYTES);

    // The carrier looks before it claims, and shows what it was promised.
    network.eventually("the meta node is convicted", || Some(()).filter(|()| node(&network, "meta", "meta-2")["status"] == "tombstoned"));
    assert_eq!(number(&node(&network, "meta", "meta-2")["deposit_wei"]), deposit / 2, "half of it is slashed");
    assert!(balance("resource-1") > carrier_before, "it is rewarded and compensated by more than the fee");
    for name in ["meta-1", "meta-3", "meta-4"] {
        assert_eq!(node(&network, "meta", name)["status"], "active");
    }

    // The others go on without it, and nobody is charged for what it promised.
    let epoch = network.get("/v1/status")["epoch"]["number"].as_u64().expect("a number");
    network.eventually("an epoch without it", || Some(()).filter(|()| network.get("/v1/status")["epoch"]["number"].as_u64() > Some(epoch + 1)));
    let file = directory.path().join("file.bin");
    fs::write(&file, noise(1_000_000, 3)).expect("written");
    let stored = network.json(&["file", "put", file.to_str().expect("plain"), "--key", "alice"]);
    let charged = number(&stored["charged_noz"]);
    network.eventually("what alice stored is settled", || Some(()).filter(|()| other - ozone("alice") == charged));
    assert_eq!(ozone("bob"), victim);
}
