//! A fork leaves proof: whoever runs one key in two places breaks the chain, and two of its data directories say who it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::{Network, run, text};

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for entry in fs::read_dir(from).expect("readable").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[test]
fn who_runs_one_key_in_two_places_is_found() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let [first, second, proof, other] = ["first", "second", "proof", "other"].map(at);
    let blocks = |network: &Network, more: u64| {
        let height = || network.json(&["block", "show", "latest"])["height"].as_u64().expect("a height");
        let from = height();
        network.eventually("blocks", || Some(()).filter(|()| height() > from + more));
    };
    // Evidence is taken for longer than this test can take.
    Network::draft(&["--validators", "4", "--epoch-ms", "2000"], &[("evidence_epochs", 1_000), ("unbonding_epochs", 1_000)], &first);
    let network = Network::start(["--data", path(&first)]);
    // Not the voters of genesis: forensics finds those of the epoch in which the chains part.
    network.json(&["stake", "delegate", "validator-2", "50000", "--key", "alice"]);
    network.eventually("the voters are others", || Some(()).filter(|()| network.get("/v1/epochs/latest/voters")["total"] == 450_000));
    network.interrupt();
    copy(&first, &second);
    let [a, b] = [first.join("validator-1"), second.join("validator-3")];
    let blame =
        |out: &Path, genesis: &Path| run(&["node", "forensics", "blame", path(&a), path(&b), "--out", path(out), "--genesis", path(genesis), "--json"], &[]);
    let genesis = first.join("genesis.json");
    let same = blame(&proof, &genesis);
    assert_eq!(same.status.code(), Some(1), "{}", text(&same.stdout));
    assert!(text(&same.stderr).contains("no conflict"), "{}", text(&same.stderr));

    // The same keys sign on, each copy for itself.
    for data in [&first, &second] {
        let network = Network::start(["--data", path(data)]);
        blocks(&network, 3);
        network.interrupt();
    }
    let found = blame(&proof, &genesis);
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    let verdict: serde_json::Value = serde_json::from_slice(&found.stdout).expect("JSON");
    let (weight, total) = (verdict["weight"].as_u64().expect("a weight"), verdict["total"].as_u64().expect("a weight"));
    assert!(weight * 3 > total && total == 450_000, "{verdict}");
    assert!(verdict["epoch"].as_u64().is_some_and(|epoch| epoch > 0), "{verdict}");
    assert!(!verdict["culprits"].as_array().expect("a list").is_empty());
    assert!(text(&blame(&proof, &genesis).stderr).contains("exists already"), "a proof is never replaced");

    // A node of the network knows the voters of that epoch; a genesis file does not.
    let network = Network::start(["--data", path(&first)]);
    let verified = network.json(&["node", "forensics", "verify", path(&proof)]);
    assert_eq!(verified["culprits"], verdict["culprits"]);
    let unknown = network.refused(1, &["node", "forensics", "verify", path(&proof), "--genesis", path(&genesis)]);
    assert!(unknown.contains("the voters"), "{unknown}");

    // The node that is asked has no vote, and no engine knows any more who voted in that epoch: those who build blocks hear of it all the same.
    let epoch = verdict["epoch"].as_u64().expect("an epoch");
    network.eventually("the epoch is long over", || Some(()).filter(|()| network.get("/v1/status")["epoch"]["number"].as_u64() > Some(epoch + 1)));
    let brought = network.json(&["evidence", "submit", path(&proof)]);
    let brought = brought.as_array().expect("a list");
    assert!(brought.iter().all(|outcome| outcome["offence"]["epoch"] == verdict["epoch"] && outcome["refused"].is_null()), "{brought:?}");
    let culprits = verdict["culprits"].as_array().expect("a list").len();
    let names = |list: &[serde_json::Value]| list.iter().map(|offence| offence["name"].to_string()).collect::<BTreeSet<_>>();
    let offences: Vec<_> = brought.iter().map(|outcome| outcome["offence"].clone()).collect();
    let counted = network.eventually("the ledger counts them", || {
        let counted = network.json(&["evidence", "list"])["offences"].as_array().expect("a list").clone();
        (counted.len() == culprits).then_some(counted)
    });
    assert_eq!(names(&counted), names(&offences));
    assert!(network.refused(1, &["evidence", "submit", path(&proof)]).contains("this makes it no worse"));
    network.interrupt();
    let stranger = Network::start(["--epoch", "30"]);
    assert!(stranger.refused(1, &["node", "forensics", "verify", path(&proof)]).contains("chain"));

    // Any bit of it matters.
    let bytes = fs::read(&proof).expect("there");
    for at in [0, 8, 20, bytes.len() / 2, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        fs::write(&other, bytes).expect("written");
        let refused = run(&["node", "forensics", "verify", path(&other), "--genesis", path(&genesis)], &[]);
        assert_eq!(refused.status.code(), Some(1), "byte {at}");
    }
}
