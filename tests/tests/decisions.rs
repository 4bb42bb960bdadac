//! Who decides, in a running network: stake on a parameter, the meta nodes on who is one of them, and several keys on what their account spends.

use serde_json::{Value, json};
use tests::{Network, number};

fn balance(network: &Network, who: &str) -> u128 {
    number(&network.json(&["account", "show", who])["balance_wei"])
}

fn parameter(network: &Network, name: &str) -> Value {
    let all = network.get("/v1/parameters");
    let one = all.as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
    one.expect("it is listed")["value"].clone()
}

#[test]
fn stake_and_meta_nodes_decide() {
    let network = Network::start(["--validators", "2", "--meta-nodes", "4", "--epoch", "4"]);
    assert_eq!(parameter(&network, "community_tax_bp"), "200");
    let refused = network.refused(1, &["gov", "propose", "All of it", "--set", "community_tax_bp=10001", "--key", "alice"]);
    assert!(refused.contains("0 to 10000"), "{refused}");
    let trial = network.json(&["gov", "propose", "A higher tax", "--set", "community_tax_bp=300", "--key", "alice", "--dry-run"]);
    assert_eq!(trial["outcome"], "done", "{trial}");
    assert_eq!(network.get("/v1/proposals"), json!([]), "a trial changes nothing");

    let before = balance(&network, "alice");
    let made = network.json(&["gov", "propose", "A higher tax", "--set", "community_tax_bp=300", "--key", "alice"]);
    let deposit = number(&network.get("/v1/proposals")[0]["deposit_wei"]);
    assert_eq!(balance(&network, "alice"), before - deposit - number(&made["fee_wei"]));
    for validator in ["validator-1", "validator-2"] {
        network.json(&["gov", "vote", "0", "yes", "--key", validator]);
    }
    let refused = network.refused(1, &["gov", "vote", "0", "yes", "--key", "bob"]);
    assert!(refused.contains("operates no validator"), "{refused}");

    // Two of four are no two thirds; the third vote is.
    let active = |network: &Network| {
        let metas = network.get("/v1/nodes")["meta"].as_array().expect("a list").clone();
        metas.iter().filter(|node| node["status"] == "active").count()
    };
    for voter in ["meta-1", "meta-2"] {
        network.json(&["registry", "vote", "expel", "meta-4", "--key", voter]);
    }
    let ballot = network.get("/v1/ballots")[0].clone();
    assert_eq!((ballot["votes"].as_array().map(Vec::len), ballot["active"].as_u64()), (Some(2), Some(4)), "{ballot}");
    let opened = ballot["opened"].as_u64().expect("an epoch");
    network.eventually("the next epoch", || (network.get("/v1/status")["epoch"]["number"].as_u64()? > opened).then_some(()));
    assert_eq!(active(&network), 4);
    network.json(&["meta", "kick", "meta-4", "--key", "meta-3"]);
    for kind in ["meta", "resource"] {
        assert!(network.refused(1, &[kind, "exit", "--key", "alice"]).contains(&format!("operates no {kind} node")));
    }
    network.eventually("three are left", || (active(&network) == 3).then_some(()));
    assert_eq!(network.get("/v1/ballots"), json!([]));

    let closed = network.eventually("the proposal is counted", || {
        let proposal = network.get("/v1/proposals/0");
        (proposal["outcome"]["outcome"] != "open").then_some(proposal)
    });
    assert_eq!(closed["outcome"]["outcome"], "carried", "{closed}");
    assert_eq!(parameter(&network, "community_tax_bp"), "300");
    assert_eq!(balance(&network, "alice"), before - number(&made["fee_wei"]), "the deposit is back");
}

#[test]
fn several_keys_spend_together() {
    let network = Network::start(["--epoch", "60"]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("plain").to_owned();
    let (shared, first, second) = (path("shared.json"), path("first.tx"), path("second.tx"));
    let account = network.json(&["multisig", "address", "--threshold", "2", "alice", "bob", "carol", "--out", &shared]);
    let address = account["address"].as_str().expect("an address").to_owned();
    network.json(&["send", &address, "10", "--key", "alice"]);
    let before = balance(&network, "bob");
    let made = network.run(&["send", "bob", "4", "--from", &shared, "--unsigned", &first]);
    assert!(made.status.success(), "{}", tests::text(&made.stderr));
    std::fs::copy(&first, &second).expect("copied");

    network.refused(1, &["tx", "send", &first]);
    let sign = |file: &str, key: &str| {
        let signed = network.run(&["tx", "sign", file, "--key", key]);
        assert!(signed.status.success(), "{}", tests::text(&signed.stderr));
    };
    // Each signs a copy of its own; bob's own signature counts like any other.
    sign(&first, "alice");
    let refused = network.refused(1, &["tx", "send", &first]);
    assert!(refused.contains("1 of 2"), "{refused}");
    sign(&second, "bob");
    let sent = network.json(&["tx", "send", &first, &second]);
    assert_eq!(sent["status"], "done", "{sent}");
    assert_eq!(balance(&network, "bob"), before + 4_000_000_000_000_000_000);
    assert_eq!(balance(&network, &address), 6_000_000_000_000_000_000 - number(&sent["fee_wei"]), "the account pays, not who signs");
    let again = network.refused(1, &["tx", "send", &first, &second]);
    assert!(again.contains("is in a final block already"), "{again}");
}
