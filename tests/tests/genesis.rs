//! A network goes on as another one: its state is exported while it runs and when it is over, and a network begins with the file.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{Network, number, run, text};

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

#[test]
fn a_network_goes_on_as_another() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [old, new] = ["old", "new"].map(|name| directory.path().join(name));
    let network = Network::start(["--validators", "2", "--epoch-ms", "2000", "--data", path(&old)]);
    network.json(&["send", "bob", "5", "--key", "alice"]);
    network.json(&["stake", "delegate", "validator-2", "500", "--key", "alice"]);
    network.json(&["stake", "undelegate", "validator-2", "20", "--key", "alice"]);
    network.json(&["ozone", "buy", "10", "--key", "carol"]);
    let height = network.json(&["block", "show", "latest"])["height"].as_u64().expect("a height").to_string();
    let exported = network.run(&["genesis", "export", "--height", &height, "--name", "next"]);
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let said = text(&exported.stderr);
    assert!(said.contains(&format!("after block {height}, state root ")) && said.contains("not settled"), "{said}");
    assert!(network.refused(1, &["genesis", "export", "--height", "99999999"]).contains("is not final here"));
    let metrics = || text(&tests::fetch(&format!("{}/metrics", network.url), None).body);
    network.eventually("the sums are compared", || metrics().contains("chain_audit_epoch{ledger=\"value\"} ").then_some(()));
    assert!(metrics().contains("chain_audit_seconds{ledger=\"value\"} "));
    let show = |network: &Network| {
        let of = |who: &str| {
            let account = network.json(&["account", "show", who]);
            (number(&account["balance_wei"]), account["noz"].clone())
        };
        ["alice", "bob", "carol"].map(of)
    };
    let before = show(&network);
    network.interrupt();

    // A stopped node of any kind that has the value ledger gives the same bytes.
    for node in ["validator-1", "validator-2", "gateway"] {
        let again = run(&["genesis", "export", "--data", path(&old.join(node)), "--height", &height, "--name", "next"], &[]);
        assert!(again.status.success(), "{}", text(&again.stderr));
        assert!(again.stdout == exported.stdout, "{node} gives another file");
    }
    let none = run(&["genesis", "export", "--data", path(&old.join("resource-1"))], &[]);
    assert_eq!(none.status.code(), Some(1), "{}", text(&none.stderr));

    fs::create_dir(&new).expect("made");
    let file = new.join("genesis.json");
    fs::write(&file, &exported.stdout).expect("written");
    let checked = run(&["genesis", "check", path(&file), "--json"], &[]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let checked: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert!(checked["chain_id"].as_str().is_some_and(|id| id.starts_with("next-")), "{checked}");
    let network = Network::start(["--data", path(&new)]);
    assert_eq!(checked["genesis"].as_str(), Some(network.genesis.as_str()));
    assert_eq!(show(&network), before);
    let status = network.get("/v1/status");
    assert_eq!(number(&status["supply"]["total_wei"]), 100_000_000 * 10_u128.pow(18));
    // It works: nonces begin anew, stake counts, and what was on its way out comes.
    network.json(&["send", "bob", "1", "--key", "alice"]);
    network.eventually("what was taken out comes", || network.run(&["reward", "withdraw", "20", "--key", "alice"]).status.success().then_some(()));
    network.refused(1, &["reward", "withdraw", "20", "--key", "alice"]);
    network.interrupt();

    // What is wrong in a file is found by its line, also by who starts with it.
    let wrong = text(&exported.stdout).replacen("\"epoch_ms\": 2000", "\"epoch_ms\": 0", 1);
    let line = wrong.lines().position(|line| line.contains("\"epoch_ms\": 0")).expect("there") + 1;
    fs::remove_dir_all(&new).expect("removed");
    fs::create_dir(&new).expect("made");
    fs::write(&file, wrong).expect("written");
    for arguments in [vec!["genesis", "check", path(&file)], vec!["--dev", "--port", "0", "--data", path(&new)]] {
        let refused = run(&arguments, &[]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("genesis.json:{line}:")) && said.contains("parameters.epoch_ms: "), "{said}");
    }
}
