//! What a ledger says can be checked later, elsewhere and by anybody who has the genesis file; and what a node has on disk, by whoever runs it.

use std::fs;
use std::path::Path;

use rocksdb::{DB, IteratorMode, Options};
use tests::{Network, run, text};

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// Changes a bit of a value on a stopped node's disk, or changes it back.
fn flip(database: &Path) {
    let families = DB::list_cf(&Options::default(), database).expect("families");
    let database = DB::open_cf(&Options::default(), database, families).expect("a database");
    let leaves = database.cf_handle("leaves").expect("leaves");
    let (key, mut row) = database.iterator_cf(leaves, IteratorMode::Start).next().expect("a leaf").expect("read");
    *row.last_mut().expect("a value") ^= 1;
    database.put_cf(leaves, key, row).expect("written");
}

#[test]
fn a_value_is_proven_to_who_has_the_genesis_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let [data, then, now, damaged] = ["data", "then", "now", "damaged"].map(at);
    let network = Network::start(["--validators", "4", "--epoch-ms", "2000", "--data", path(&data)]);
    network.json(&["proof", "get", "account:alice", "--out", path(&then)]);
    network.json(&["send", "bob", "5", "--key", "alice"]);
    // Others vote from the next epoch on.
    network.json(&["stake", "delegate", "validator-2", "50000", "--key", "alice"]);
    let voters = || network.get("/v1/epochs/latest/voters");
    let epoch = network.eventually("the voters are others", || Some(voters()).filter(|voters| voters["total"] == 450_000))["epoch"].as_u64();
    network.eventually("a block of theirs", || Some(()).filter(|()| network.json(&["block", "show", "latest"])["epoch"].as_u64() >= epoch));
    let printed = network.run(&["proof", "get", "account:alice"]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    fs::write(&now, &printed.stdout).expect("written");
    let online = network.json(&["proof", "verify", path(&now)]);
    let past = network.json(&["proof", "get", "account:alice", "--height", "1"]);
    let others = network.json(&["proof", "get", "account:alice", "--height", "1", "--ics23"]);
    assert_eq!((&others["height"], &others["key"], &others["value"]), (&past["height"], &past["key"], &past["value"]));
    assert!(["root", "proof_key", "proof", "spec"].iter().all(|field| others[field].as_str().is_some_and(|text| !text.is_empty())), "{others}");
    assert_eq!(past["height"], 1);
    assert!(network.refused(1, &["proof", "get", "account:alice", "--height", "99999999"]).contains("is not final here"));
    assert!(network.refused(1, &["proof", "get", "account:alice", "--out", path(&now)]).contains("exists already"));
    network.interrupt();

    // Nobody is there any more.
    let genesis = data.join("genesis.json");
    let verify = |file: &Path| {
        let output = run(&["proof", "verify", path(file), "--genesis", path(&genesis), "--json"], &[]);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, error) = verify(&now);
    assert_eq!(code, Some(0), "{error}");
    let offline: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(offline, online);
    assert!(offline["changes"].as_u64().is_some_and(|changes| changes > 0), "{offline}");
    let before: serde_json::Value = serde_json::from_str(&verify(&then).1).expect("JSON");
    assert!(before["value"] != offline["value"] && before["height"].as_u64() < offline["height"].as_u64(), "{before}");
    let mut bytes = printed.stdout;
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'0' { b'1' } else { b'0' };
    fs::write(&damaged, bytes).expect("written");
    let (code, said, error) = verify(&damaged);
    assert_eq!((code, said.as_str()), (Some(1), ""), "{error}");

    // What is on the disk is what was agreed on.
    for (name, ledgers) in [("validator-3", 1), ("meta-1", 1), ("gateway", 2)] {
        let output = run(&["node", "verify-state", path(&data.join(name)), "--json"], &[]);
        let checked: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        assert_eq!(checked.as_array().map(Vec::len), Some(ledgers), "{checked}");
        assert!(checked[0]["pairs"].as_u64().is_some_and(|pairs| pairs > 0), "{checked}");
    }
    let nothing = run(&["node", "verify-state", path(&data.join("resource-1"))], &[]);
    assert_eq!(nothing.status.code(), Some(1), "{}", text(&nothing.stdout));
    let damaged = data.join("validator-3");
    flip(&damaged.join("state/db"));
    let start = ["--dev", "--port", "0", "--data", path(&data), "--verify-state"];
    for arguments in [&["node", "verify-state", path(&damaged)][..], &start] {
        let refused = run(arguments, &[]);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(1) && said.contains(path(&damaged)), "{arguments:?}: {said}");
        assert!(said.contains("the values on disk have root ") && said.contains("the last commit recorded "), "{arguments:?}: {said}");
    }
    flip(&damaged.join("state/db"));
    let network = Network::start(&start[3..]);
    network.json(&["proof", "get", "account:alice"]);
}
