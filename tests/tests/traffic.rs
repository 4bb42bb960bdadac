//! What is proved of an epoch's traffic: by the report, by carriers that it left out, and to whoever has the genesis file.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::{Network, fetch, noise, number, program, run, text};

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
    // Long enough to come back in the epoch of the challenge, however busy the machine is.
    let network = Network::start(["--data", path(&data), "--epoch", "15", "--meta-nodes", "4"]);
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

    // It comes back, and brings the receipts that it had on its disk.
    network.json(&["node", "start", "resource-1"]);
    assert_eq!(before, number(&network.json(&["ozone", "balance", "alice"])["noz"]), "nobody is charged while the report can be challenged");
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

/// A command that runs until it is killed in the middle.
fn begin(network: &Network, arguments: &[&str]) -> Child {
    Command::new(program())
        .args(arguments)
        .env("STRATOS_NODE", &network.url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

fn kill(mut child: Child) {
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().expect("it was a child");
}

/// What everybody paid and earned in all settled epochs: (charged to payers, by payer; carried).
fn sums(network: &Network, payers: &[&str]) -> (Vec<u128>, u128) {
    let epochs = network.get("/v1/epochs?limit=60");
    let mut charged = vec![0; payers.len()];
    let mut carried = 0;
    for epoch in epochs.as_array().expect("a list") {
        let settled = network.json(&["epoch", "show", &epoch["epoch"].to_string()]);
        assert_eq!(number(&settled["unpaid_noz"]), 0, "what was reserved is there");
        let checks = list(&settled["report"], "checks");
        assert!(checks.iter().all(|check| check["holds"] == true), "{checks:?}");
        carried += list(&settled, "carriers").iter().map(|carrier| number(&carrier["noz"])).sum::<u128>();
        let all: u128 = list(&settled, "payers").iter().map(|payer| number(&payer["noz"])).sum();
        assert_eq!(all, number(&settled["charged_noz"]));
        for payer in list(&settled, "payers") {
            let at = payers.iter().position(|known| payer["address"] == *known).expect("only those who moved bytes");
            charged[at] += number(&payer["noz"]);
        }
    }
    (charged, carried)
}

/// Payers that vanish, carriers that vanish, streams that break off, a power cut in the middle of all of it: whatever was signed is charged once and paid, to
/// the noz, and nothing else.
#[test]
fn sums_agree_whoever_vanishes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("network");
    let flags = ["--data", path(&data), "--epoch", "6", "--meta-nodes", "4"];
    let network = Network::start(flags);
    let supply = number(&network.get("/v1/status")["supply"]["total_wei"]);
    let address = |network: &Network, name: &str| network.json(&["account", "show", name])["address"].as_str().expect("an address").to_owned();
    let gateway = network.get("/v1/status")["gateway"]["address"].as_str().expect("an address").to_owned();
    let payers = [address(&network, "alice"), address(&network, "bob"), gateway];
    let payers: Vec<&str> = payers.iter().map(String::as_str).collect();
    let held = |network: &Network| -> Vec<u128> { payers.iter().map(|payer| number(&network.json(&["ozone", "balance", payer])["noz"])).collect() };
    let before = held(&network);
    let (bytes, large) = (noise(8_000_000, 1), noise(60_000_000, 2));
    let (file, large_file) = (directory.path().join("file.bin"), directory.path().join("large.bin"));
    fs::write(&file, &bytes).expect("written");
    fs::write(&large_file, &large).expect("written");

    let stored = network.json(&["file", "put", path(&file), "--key", "alice"]);
    let kept = network.json(&["file", "put", path(&large_file), "--key", "alice"]);
    let least = number(&stored["charged_noz"]) + number(&kept["charged_noz"]);
    let (id, large_id, url) = (string(&stored, "file_id"), string(&kept, "file_id"), string(&kept, "url"));
    // Payers that vanish: in the middle of an upload, and of a download that a carrier leaves, too.
    let upload = begin(&network, &["file", "put", path(&large_file), "--key", "alice"]);
    let out = directory.path().join("vanished");
    let download = begin(&network, &["file", "get", large_id, "--out", path(&out), "--key", "alice"]);
    std::thread::sleep(Duration::from_millis(700));
    network.json(&["node", "stop", "resource-4"]);
    kill(upload);
    kill(download);
    // Streams: a range, and one whose reader leaves.
    assert_eq!(fetch(url, Some("bytes=30000000-30999999")).body, large[30_000_000..=30_999_999]);
    let reader = begin_stream(url);
    std::thread::sleep(Duration::from_millis(300));
    drop(reader);
    network.json(&["node", "start", "resource-4"]);
    // A power cut in the middle of an upload.
    let upload = begin(&network, &["file", "put", path(&large_file), "--key", "alice"]);
    std::thread::sleep(Duration::from_millis(700));
    network.kill();
    kill(upload);

    let network = Network::start(flags);
    let again = directory.path().join("again");
    let fetched = network.json(&["file", "get", id, "--out", path(&again), "--key", "alice"]);
    assert!(fs::read(&again).expect("written") == bytes);
    let least = least + number(&fetched["charged_noz"]);
    // All that moved until now is settled a few epochs later.
    let status = |network: &Network| network.get("/v1/status")["epoch"].clone();
    let last = status(&network)["number"].as_u64().expect("a number");
    network.eventually("all epochs with traffic are settled", || status(&network)["settled"].as_u64().filter(|settled| *settled >= last));

    let (charged, carried) = sums(&network, &payers);
    let spent: Vec<u128> = before.iter().zip(held(&network)).map(|(before, after)| before - after).collect();
    assert_eq!(spent, charged, "what is gone from each payer's ozone is what the epochs charged it");
    assert_eq!(charged.iter().sum::<u128>(), carried, "and what carriers were paid for");
    assert!(charged[0] >= least, "what commands said was charged was charged: {least} of {}", charged[0]);
    // Two whole uploads and a download that broke off: their bytes are all that can have been signed for beside it.
    assert!(charged[0] <= least + 3 * 95_000_000, "{} charged, {least} said", charged[0]);
    assert_eq!(charged[1], 0, "bob moved nothing");
    assert!(charged[2] >= 1_000_000, "the gateway paid for the range it streamed");
    assert_eq!(number(&network.get("/v1/status")["supply"]["total_wei"]), supply, "no coin is made or lost");
}

/// A reader that begins to stream a file and reads little of it.
fn begin_stream(url: &str) -> std::net::TcpStream {
    use std::io::{Read as _, Write as _};
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = std::net::TcpStream::connect(host).expect("it listens");
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).expect("sent");
    let mut first = [0; 4096];
    assert!(stream.read(&mut first).expect("an answer") > 0);
    stream
}
