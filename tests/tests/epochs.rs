//! Validators come and go: stake moves, votes follow with the next epoch, and the chain never stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Network, fetch, number};

/// Longest time without a block: an epoch's end and some skipped views take a few seconds on a machine that is busy with other tests.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Whole stos that a validator of genesis has.
const STAKE: u64 = 100_000;

/// Looks at the chain until it is told to stop.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Watch {
    /// The longest pause between two blocks counts, and the supply at each look.
    fn start(network: &Network, supply: u128) -> Self {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), format!("{}/v1/status", network.url));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut height, mut since, mut longest) = (0, Instant::now(), Duration::ZERO);
            while !told.load(Ordering::Relaxed) {
                let status: Value = serde_json::from_slice(&fetch(&url, None).body).expect("a status");
                assert_eq!(number(&status["supply"]["total_wei"]), supply, "no coin is made or lost");
                let now = status["value"]["height"].as_u64().expect("a height");
                longest = longest.max(since.elapsed());
                assert!(since.elapsed() < PAUSE_MAX, "no block after {height}");
                if now > height {
                    (height, since) = (now, Instant::now());
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            longest
        });
        Self { stop, thread }
    }

    fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the chain went on, and no coin was made or lost")
    }
}

fn validator(network: &Network, name: &str) -> Value {
    network.json(&["validator", "show", name])
}

/// The epoch of the block of a transaction that a command made.
fn epoch_of(network: &Network, transaction: &Value) -> u64 {
    network.json(&["block", "show", &transaction["height"].to_string()])["epoch"].as_u64().expect("an epoch")
}

fn voters(network: &Network, epoch: u64) -> Value {
    network.eventually("the epoch begins", || {
        let answer = fetch(&format!("{}/v1/epochs/{epoch}/voters", network.url), None);
        (answer.status == 200).then(|| serde_json::from_slice(&answer.body).expect("voters"))
    })
}

/// What the votes of an epoch weigh, by the names of the voters.
fn weights(voters: &Value) -> Vec<(String, u64)> {
    let list = voters["voters"].as_array().expect("voters of a recent epoch are known").iter();
    list.map(|voter| (voter["name"].as_str().expect("a name").to_owned(), voter["weight"].as_u64().expect("a weight"))).collect()
}

fn named(weights: &[(&str, u64)]) -> Vec<(String, u64)> {
    weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
}

fn height(network: &Network) -> u64 {
    network.json(&["block", "show", "latest"])["height"].as_u64().expect("a height")
}

#[test]
fn validators_come_and_go() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let data = data.to_str().expect("a plain name");
    let network = Network::start(["--validators", "4", "--standby", "1", "--epoch-ms", "4000", "--data", data]);
    let supply = number(&network.get("/v1/status")["supply"]["total_wei"]);
    let watch = Watch::start(&network, supply);
    let all = network.json(&["validator", "list"]);
    let seen: Vec<(&str, &str, u64)> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|validator| {
            (validator["name"].as_str().expect("a name"), validator["status"].as_str().expect("a status"), validator["power_bp"].as_u64().expect("a part"))
        })
        .collect();
    let active = |name| (name, "active", 2_500);
    assert_eq!(seen, [active("validator-1"), active("validator-2"), active("validator-3"), active("validator-4"), ("validator-5", "standby", 0)]);

    // Stake moves at once, votes with the next epoch.
    let alice = number(&network.json(&["account", "show", "alice"])["balance_wei"]);
    let [first, last] = [["60000", "alice"], ["40000", "bob"]].map(|[stake, who]| {
        let delegated = network.json(&["stake", "delegate", "validator-1", stake, "--key", who]);
        epoch_of(&network, &delegated)
    });
    let next = voters(&network, last + 1);
    let heavier = [("validator-1", 2 * STAKE), ("validator-2", STAKE), ("validator-3", STAKE), ("validator-4", STAKE)];
    assert_eq!(weights(&next), named(&heavier));
    assert_eq!(weights(&voters(&network, first))[0].1, STAKE, "not in the epoch in which it was paid");
    assert_eq!(next["voters"][0]["power_bp"], 4_000);
    assert_eq!((&next["changes"][0]["name"], &next["changes"][0]["weight"]), (&"validator-1".into(), &(2 * STAKE).into()));
    let total = next["total"].as_u64().expect("a weight");
    assert!(3 * (total - 2 * STAKE) <= 2 * total, "the others are no quorum without it");

    // A node that stood by becomes a validator, once.
    let create = ["validator", "create", "--stake", "150000", "--commission", "2.5", "--consensus", "validator-5", "--key", "validator-5"];
    let created = network.json(&create);
    let next = epoch_of(&network, &created) + 1;
    let five = voters(&network, next);
    assert_eq!(weights(&five), named(&[&heavier[..], &[("validator-5", 150_000)]].concat()));
    assert!(network.refused(1, &create).contains("used once"));
    assert!(
        network
            .refused(1, &["validator", "create", "--stake", "1", "--commission", "0", "--consensus", "validator-6", "--key", "carol"])
            .contains("validator-6")
    );
    assert_eq!(validator(&network, "validator-5")["commission_bp"], 250);

    // Its votes count: without the heaviest the chain goes on, for which all others are needed. Nobody is jailed who let no turn pass, and what came instead of
    // the turn it did not sign, however few blocks the epoch has.
    let present = validator(&network, "validator-1");
    assert_eq!(present["status"], "active", "{present}");
    let first = &present["address"];
    network.json(&["node", "stop", "validator-1"]);
    let jailed = network.eventually("who is away is jailed", || Some(validator(&network, "validator-1")).filter(|it| it["status"] == "jailed"));
    let until = jailed["until"].as_u64().expect("an epoch");
    let blocks: Vec<Value> = (1..=height(&network)).map(|height| network.get(&format!("/v1/blocks/{height}"))).collect();
    let signers = |block: &Value| block["signed_by"].as_array().expect("the voters are known").clone();
    let of_five = |block: &&Value| block["epoch"] == until - 1 && block["members"] == 5;
    let alone: Vec<&Value> = blocks.iter().filter(of_five).filter(|block| !signers(block).contains(first)).collect();
    assert!(!alone.is_empty(), "there are blocks without validator-1 while it had a vote: {blocks:?}");
    for block in alone {
        assert_eq!((signers(block).len(), &block["signers"]), (4, &4.into()), "450,000 of 650,000 are a quorum, and 433,333 are none: {block}");
    }
    let without = voters(&network, until);
    assert_eq!(weights(&without), named(&[("validator-2", STAKE), ("validator-3", STAKE), ("validator-4", STAKE), ("validator-5", 150_000)]));
    assert_eq!(without["events"][0]["event"], "validator_jailed");
    assert_eq!(without["events"][0]["operator"], jailed["address"]);

    // It returns when it asks to, and votes again.
    network.json(&["node", "start", "validator-1"]);
    let unjailed = network.eventually("it may stand again", || {
        let output = network.run(&["validator", "unjail", "--key", "validator-1", "--json"]);
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).expect("JSON"))
    });
    let back = voters(&network, epoch_of(&network, &unjailed) + 1);
    // Who was not in the set comes last.
    assert_eq!(weights(&back)[4], ("validator-1".to_owned(), 2 * STAKE));
    network.eventually("it signs", || {
        let seen = validator(&network, "validator-1");
        (seen["attendance"]["signed"].as_u64()? > 0).then_some(())
    });
    assert!(network.refused(1, &["validator", "unjail", "--key", "validator-1"]).contains("not jailed"));

    // Who takes out all that it has leaves; what was taken out is paid some epochs later, all of it.
    let left = network.json(&["stake", "undelegate", "validator-4", "--key", "validator-4"]);
    let taken = network.json(&["stake", "undelegate", "validator-1", "--key", "alice"]);
    assert!(network.refused(1, &["stake", "withdraw", "--key", "alice"]).contains("due"));
    let shown = network.json(&["stake", "show", "alice"]);
    assert_eq!((number(&shown["delegations"][0]["stake_wei"]), number(&shown["delegations"][0]["leaving"][0]["amount_wei"])), (0, 60_000 * 10u128.pow(18)));
    let due = shown["delegations"][0]["leaving"][0]["due_epoch"].as_u64().expect("an epoch");
    assert_eq!(due, epoch_of(&network, &taken) + 5);
    let after = voters(&network, epoch_of(&network, &left).max(epoch_of(&network, &taken)) + 1);
    assert_eq!(
        weights(&after),
        named(&[("validator-2", STAKE), ("validator-3", STAKE), ("validator-5", 150_000), ("validator-1", 140_000)]),
        "validator-4 has gone, and alice's stake"
    );

    // A node that stood by is stopped and started like any other.
    network.json(&["node", "stop", "validator-5"]);
    network.json(&["node", "start", "validator-5"]);
    let at = height(&network);
    network.eventually("it follows", || Some(()).filter(|()| validator(&network, "validator-5")["height"].as_u64().is_some_and(|height| height >= at)));
    let paid = network.eventually("what was taken out is due", || {
        let output = network.run(&["stake", "withdraw", "--key", "alice", "--json"]);
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).expect("JSON"))
    });
    assert!(epoch_of(&network, &paid) >= due);
    let fees = alice - number(&network.json(&["account", "show", "alice"])["balance_wei"]);
    assert!(fees < 10u128.pow(15), "all came back but the fees: {fees} wei are missing");
    assert!(network.json(&["stake", "show", "alice"])["delegations"].as_array().is_some_and(Vec::is_empty));
    assert!(network.json(&["evidence", "list"])["kept"].as_array().is_some_and(Vec::is_empty), "nobody contradicted itself");
    let longest = watch.end();
    println!("the longest time without a block was {longest:?}");

    // A power cut; who votes is in the ledger, not in the genesis file.
    let (seen, sets) = (height(&network), weights(&network.get("/v1/epochs/latest/voters")));
    network.kill();
    let network = Network::start(["--data", data]);
    network.eventually("blocks come again", || Some(()).filter(|()| height(&network) > seen + 3));
    assert_eq!(weights(&network.get("/v1/epochs/latest/voters")), sets);
    assert_eq!(number(&network.get("/v1/status")["supply"]["total_wei"]), supply);
    network.interrupt();
}

/// Whoever reads a ledger follows its voters: the metadata ledger, to which reservations and anchors are readings of the value ledger, and commands, each of
/// which begins with the voters of genesis.
#[test]
fn readers_follow_the_voters() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let data = data.to_str().expect("a plain name");
    let network = Network::start(["--validators", "4", "--standby", "1", "--epoch-ms", "4000", "--data", data]);
    let path = |name: &str| directory.path().join(name).to_str().expect("a plain name").to_owned();
    let store_and_fetch = |network: &Network, number: u64| {
        let (file, copy, bytes) = (path(&format!("file-{number}")), path(&format!("copy-{number}")), tests::noise(3_000_000, number));
        std::fs::write(&file, &bytes).expect("written");
        let id = network.json(&["file", "put", &file, "--key", "alice"])["file_id"].as_str().expect("an id").to_owned();
        network.json(&["file", "get", &id, "--out", &copy, "--key", "alice"]);
        assert!(std::fs::read(&copy).expect("fetched") == bytes, "the same bytes");
    };
    store_and_fetch(&network, 0);
    let changes: [&[&str]; 3] = [
        &["stake", "delegate", "validator-1", "60000", "--key", "bob"],
        &["validator", "create", "--stake", "150000", "--commission", "2.5", "--consensus", "validator-5", "--key", "validator-5"],
        &["stake", "undelegate", "validator-4", "--key", "validator-4"],
    ];
    let mut changed = 0;
    for (number, change) in (1..).zip(changes) {
        let made = network.json(change);
        changed = epoch_of(&network, &made) + 1;
        assert!(!voters(&network, changed)["changes"].as_array().is_some_and(Vec::is_empty), "others vote");
        store_and_fetch(&network, number);
    }
    let settled = |network: &Network| network.get("/v1/status")["epoch"]["settled"].as_u64();
    network.eventually("epochs of the new voters are anchored and settled", || settled(&network).filter(|epoch| *epoch > changed));
    // A power cut: everybody begins with genesis and catches up.
    network.kill();
    let network = Network::start(["--data", data]);
    let now = network.get("/v1/status")["epoch"]["number"].as_u64().expect("an epoch");
    store_and_fetch(&network, 9);
    network.eventually("epochs after the start are settled", || settled(&network).filter(|epoch| *epoch > now));
    network.interrupt();
}
