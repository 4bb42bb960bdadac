//! What happened is found by account, kind and height; and what was can be asked for and proven, as long as it is kept.

use std::path::Path;

use serde_json::Value;
use tests::{Answer, Network, fetch, run, text};

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// The blocks and kinds of a list of events.
fn listed(events: &Value) -> Vec<(u64, &str)> {
    let events = events["events"].as_array().expect("a list");
    events.iter().map(|event| (event["height"].as_u64().expect("a height"), event["event"]["event"].as_str().expect("a kind"))).collect()
}

#[test]
fn what_happened_is_found_and_what_was_is_proven() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (data, file) = (directory.path().join("data"), directory.path().join("then"));
    let start = ["--data", path(&data), "--epoch-ms", "1000"];
    let network = Network::start(start);
    let before = network.eventually("a block is final", || Some(network.json(&["account", "show", "bob"])).filter(|account| account["height"] != 0));
    let bob = before["address"].as_str().expect("an address");
    let earlier = before["height"].as_u64().expect("a height");
    let sent: Vec<u64> = (1..=3).map(|stos| network.json(&["send", "bob", &stos.to_string(), "--key", "alice"])["height"].as_u64().expect("final")).collect();

    // By account, by kind, by height, and by all of them.
    let of_bob = network.get(&format!("/v1/events?address={bob}&order=oldest"));
    assert_eq!(listed(&of_bob), sent.iter().map(|height| (*height, "sent")).collect::<Vec<_>>());
    assert!(of_bob["events"].as_array().is_some_and(|events| events.iter().all(|event| event["transaction"].is_string() && event["event"]["to"] == bob)));
    let of_block = network.get(&format!("/v1/events?height={}&address={bob}&kind=sent", sent[1]));
    assert_eq!((listed(&of_block), &of_block["next"]), (vec![(sent[1], "sent")], &Value::Null));
    // Nothing was sent since, in the blocks that are final and in those that are not yet.
    for from in [sent[2] + 1, sent[2] + 1000] {
        assert_eq!(network.get(&format!("/v1/events?from={from}&kind=sent"))["events"], serde_json::json!([]));
    }
    let ended = network.eventually("an epoch ends", || Some(network.get("/v1/events?kind=epoch_began&limit=1")).filter(|events| !listed(events).is_empty()));
    assert_eq!(ended["events"][0]["transaction"], Value::Null);

    // Page by page, newest first, on the command line: nothing is missed or told twice.
    let (mut pages, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut arguments = vec!["event", "list", "--account", "bob", "--kind", "sent", "--limit", "1"];
        arguments.extend(after.iter().flat_map(|after| ["--after", after]));
        let page = network.json(&arguments);
        pages.extend(listed(&page).into_iter().map(|(height, _)| height));
        let Some(next) = page["next"].as_str() else { break };
        after = Some(next.to_owned());
    }
    assert_eq!(pages, sent.iter().rev().copied().collect::<Vec<_>>());
    for (question, status, cause) in [
        ("kind=nothing", 400, "the kinds are sent, ozone_bought"),
        ("address=bob", 400, "is not an address"),
        ("from=9&to=8", 400, "`from` 9 is above `to` 8"),
        ("height=1&to=8", 400, "give either"),
        ("order=up", 400, "`newest` or `oldest`"),
        ("after=7", 400, "HEIGHT-NUMBER"),
        ("height=99999999", 404, "is not final here"),
    ] {
        let answer = fetch(&format!("{}/v1/events?{question}", network.url), None);
        assert!(answer.status == status && text(&answer.body).contains(cause), "{question}: {} {}", answer.status, text(&answer.body));
    }

    // As it was before and after each payment.
    let balance = |height: u64| network.json(&["account", "show", "bob", "--height", &height.to_string()]);
    let at = |height: u64| balance(height)["balance_wei"].as_str().and_then(|wei| wei.parse::<u128>().ok()).expect("an amount");
    let stos = 10_u128.pow(18);
    let first: u128 = before["balance_wei"].as_str().and_then(|wei| wei.parse().ok()).expect("an amount");
    assert_eq!([earlier, sent[0], sent[1], sent[2]].map(|height| at(height) - first), [0, stos, 3 * stos, 6 * stos]);
    assert_eq!(balance(sent[0])["height"], sent[0]);
    for arguments in [
        &["validator", "list"][..],
        &["validator", "show", "validator-1"],
        &["stake", "show", "bob"],
        &["gov", "parameters"],
        &["registry", "ballots"],
        &["reward", "show", "bob"],
        &["ozone", "balance", "bob"],
    ] {
        network.json(&[arguments, &["--height", &sent[0].to_string()]].concat());
    }
    assert!(network.refused(1, &["account", "show", "bob", "--height", "99999999"]).contains("is not final here"));

    // Proven as of then: by name and by its bytes, there or not, to whoever has the genesis file.
    let height = sent[0].to_string();
    let named = network.json(&["proof", "get", "account:bob", "--height", &height]);
    assert_eq!(network.json(&["proof", "get", named["key"].as_str().expect("a key"), "--height", &height])["value"], named["value"]);
    assert_ne!(network.json(&["proof", "get", "account:bob"])["value"], named["value"]);
    network.json(&["proof", "get", "account:bob", "--height", &height, "--out", path(&file)]);
    let absent = directory.path().join("absent");
    network.json(&["proof", "get", "ballot:suspend,bob", "--height", &height, "--out", path(&absent)]);
    network.interrupt();
    let genesis = data.join("genesis.json");
    for (file, value) in [(&file, &named["value"]), (&absent, &Value::Null)] {
        let output = run(&["proof", "verify", path(file), "--genesis", path(&genesis), "--json"], &[]);
        let proven: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        assert_eq!((&proven["value"], proven["height"].as_u64()), (value, Some(sent[0])));
    }

    // What is not kept any more is refused with what is; the index and the blocks stay. A store that has new blocks drops old states when it is closed.
    let few = [&start[..2], &["--keep-states", "3"]].concat();
    let network = Network::start(&few);
    let height = || network.json(&["account", "show", "bob"])["height"].as_u64().expect("a height");
    let from = height();
    network.eventually("a new block is final", || Some(()).filter(|()| height() > from));
    network.interrupt();
    let network = Network::start(&few);
    let asked = |height: u64| fetch(&format!("{}/v1/accounts/{bob}?height={height}", network.url), None);
    let gone = asked(1);
    assert_eq!(gone.status, 410, "{}", text(&gone.body));
    for arguments in [&["account", "show", "bob"][..], &["proof", "get", "account:bob"], &["validator", "list"]] {
        let said = network.refused(1, &[arguments, &["--height", "1"]].concat());
        assert!(said.contains("the state after block 1 is not kept: those after blocks "), "{said}");
    }
    let kept =
        |answer: &Answer| -> Vec<u64> { text(&answer.body).split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect() };
    let numbers = kept(&gone);
    assert!(numbers.len() == 3 && 1 < numbers[1] && numbers[1] <= numbers[2], "{}", text(&gone.body));
    // The newest of a moment ago may be gone when it is asked for.
    network.eventually("what is kept is shown", || Some(()).filter(|()| asked(kept(&asked(1))[2]).status == 200));
    assert_eq!(listed(&network.get(&format!("/v1/events?address={bob}&order=oldest"))), sent.iter().map(|height| (*height, "sent")).collect::<Vec<_>>());
}
