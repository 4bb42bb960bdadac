//! What is proved of an epoch's traffic: by the report, by carriers that it left out, and to whoever has the genesis file.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{Network, noise, number, run, text};

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

fn string<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

fn list<'a>(value: &'a Value, field: &str) -> &'a Vec<Value> {
    value[field].as_array().unwrap_or_else(|| panic!("no list {field} in {value}"))
}

/// Waits until an epoch has just begun; its number.
fn next_epoch(network: &Network) -> u64 {
    let epoch = |network: &Network| network.get("/v1/status")["epoch"]["number"].as_u64().expect("a number");
    let now = epoch(network);
    network.eventually("the next epoch", || Some(epoch(network)).filter(|epoch| *epoch > now))
}

#[test]
fn a_carrier_that_was_away_claims_directly_and_receipts_are_proven_offline() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("network");
    let network = Network::start(["--data", path(&data), "--epoch", "8", "--meta-nodes", "4"]);
    let supply = number(&network.get("/v1/status")["supply"]["total_wei"]);
    let before = number(&network.json(&["ozone", "balance", "alice"])["noz"]);
    let file = directory.path().join("file.bin");
    fs::write(&file, noise(3_000_000, 5)).expect("written");

    // It stores slices, is paid for them, and is gone before it can claim.
    let epoch = next_epoch(&network).to_string();
    let stored = network.json(&["file", "put", path(&file), "--key", "alice"]);
    network.json(&["node", "stop", "resource-1"]);
    let charged = number(&stored["charged_noz"]);
    let report = |network: &Network| network.get(&format!("/v1/epochs/{epoch}/report"));
    let reported = network.eventually("the epoch is reported", || Some(report(&network)).filter(|report| report["stage"] == "challenged"));
    let left_out = charged - number(&reported["noz"]);
    assert!(left_out > 0, "the report cannot hold what was not claimed");
    assert_eq!(before, number(&network.json(&["ozone", "balance", "alice"])["noz"]), "nobody is charged while the report can be challenged");

    // It comes back, and brings the receipts that it had on its disk.
    network.json(&["node", "start", "resource-1"]);
    let own = network.json(&["account", "show", "resource-1"])["address"].as_str().expect("an address").to_owned();
    network.eventually("it claims directly", || Some(()).filter(|()| list(&report(&network), "direct") == &[Value::from(own.clone())]));
    network.eventually("the epoch is settled", || Some(()).filter(|()| report(&network)["stage"] == "settled"));
    let settled = network.json(&["epoch", "show", &epoch]);
    assert_eq!(number(&settled["charged_noz"]), charged, "to the byte what the command said");
    assert_eq!(number(&settled["unpaid_noz"]), 0);
    let carried = |address: &str| list(&settled, "carriers").iter().find(|carrier| carrier["address"] == address).map_or(0, |carrier| number(&carrier["noz"]));
    assert_eq!(carried(&own), left_out);
    assert_eq!(before - number(&network.json(&["ozone", "balance", "alice"])["noz"]), charged);
    assert_eq!(number(&network.get("/v1/status")["supply"]["total_wei"]), supply, "no coin is made or lost");

    // Every check is made, and holds.
    let checks = list(&settled["report"], "checks");
    assert_eq!(
        checks.iter().map(|check| string(check, "what")).collect::<Vec<_>>(),
        ["certificate", "form", "hash", "sums", "part 0: hash", "part 0: signatures"]
    );
    assert!(checks.iter().all(|check| check["holds"] == true), "{checks:?}");
    assert!(list(&settled["report"]["certificate"], "signers").len() >= 3);

    // The receipts, for people and programs; a file of them convinces whoever has the genesis, without a node.
    let receipts = network.json(&["receipt", "list", &epoch, "--payer", "alice"]);
    let receipts = receipts.as_array().expect("a list");
    let sum = |receipts: &[Value]| receipts.iter().map(|receipt| u128::from(receipt["bytes"].as_u64().expect("a number"))).sum::<u128>();
    assert_eq!(sum(receipts), charged - left_out);
    assert_eq!(network.json(&["receipt", "list", &epoch, "--payer", "bob"]), Value::Array(Vec::new()));
    assert_eq!(network.json(&["receipt", "list", &epoch, "--carrier", "resource-1"]), Value::Array(Vec::new()), "its receipts are in no report");
    let out = directory.path().join("receipts.json");
    network.json(&["receipt", "get", &epoch, "--out", path(&out)]);
    assert!(network.refused(1, &["receipt", "get", &epoch, "--out", path(&out)]).contains("exists already"));
    assert!(network.refused(1, &["receipt", "get", &epoch, "1", "--out", "x"]).contains("has 1 parts; there is no part 1"));

    let genesis = data.join("genesis.json");
    let verify =
        |file: &Path, genesis: &Path| run(&["receipt", "verify", path(file), "--genesis", path(genesis), "--json"], &[("STRATOS_NODE", "http://127.0.0.1:1")]);
    let proven = verify(&out, &genesis);
    assert!(proven.status.success(), "{}", text(&proven.stderr));
    let proven: Value = serde_json::from_slice(&proven.stdout).expect("JSON");
    assert_eq!(list(&proven, "receipts"), receipts);
    assert_eq!(string(&proven, "report"), string(&settled["report"], "hash"));

    // Any change is found, and another network's genesis proves nothing.
    let original = fs::read_to_string(&out).expect("there");
    let changed: Value = serde_json::from_str(&original).expect("JSON");
    for (number, field) in ["part", "report", "carriers"].into_iter().enumerate() {
        for at in [40, 200, changed[field].as_str().expect("digits").len() - 3] {
            let mut changed = changed.clone();
            let digits = changed[field].as_str().expect("digits");
            let other = if &digits[at..=at] == "0" { "1" } else { "0" };
            changed[field] = format!("{}{other}{}", &digits[..at], &digits[at + 1..]).into();
            let file = directory.path().join(format!("changed-{number}-{at}.json"));
            fs::write(&file, changed.to_string()).expect("written");
            let refused = verify(&file, &genesis);
            assert_eq!(refused.status.code(), Some(1), "{field} {at}: {}", text(&refused.stdout));
            assert!(!text(&refused.stderr).contains("panicked"));
        }
    }
    let mut other: Value = serde_json::from_slice(&fs::read(&genesis).expect("there")).expect("JSON");
    other["name"] = "another".into();
    let other_genesis = directory.path().join("other.json");
    fs::write(&other_genesis, other.to_string()).expect("written");
    assert_eq!(verify(&out, &other_genesis).status.code(), Some(1));
}
