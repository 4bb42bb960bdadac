//! A file's whole journey through a network in one process: stored, streamed, paid for, kept when nodes vanish, continued after a power cut.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Network, fetch, noise, number, text};

/// A file of a size that takes several segments, the last of them short.
const FILE_BYTES: usize = 100_000_000;

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

fn put(network: &Network, file: &Path, key: &str) -> Value {
    network.json(&["file", "put", path(file), "--key", key])
}

/// Gets a file into a fresh place and compares; the ozone charged for it.
fn assert_gets(network: &Network, id: &str, key: &str, expected: &[u8], directory: &Path, name: &str) -> u128 {
    let out = directory.join(name);
    let fetched = network.json(&["file", "get", id, "--out", path(&out), "--key", key]);
    assert!(fs::read(&out).expect("it was written") == expected, "{name}: other bytes came back");
    number(&fetched["charged_noz"])
}

fn string<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.flatten().flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}

#[test]
fn a_file_is_stored_paid_for_and_survives() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("network");
    let network = Network::start(["--data", path(&data), "--epoch", "6"]);
    let supply = |network: &Network| network.get("/v1/status")["supply"].clone();
    let total = number(&supply(&network)["total_wei"]);
    assert_eq!(total, 100_000_000 * 10u128.pow(18));
    let before = network.json(&["ozone", "balance", "alice"]);

    let bytes = noise(FILE_BYTES, 1);
    let file = directory.path().join("film.bin");
    fs::write(&file, &bytes).expect("written");
    let stored = put(&network, &file, "alice");
    let id = string(&stored, "file_id").to_owned();
    let url = string(&stored, "url").to_owned();
    assert_eq!(stored["bytes"], FILE_BYTES);
    let stored_bytes = u128::from(stored["stored_bytes"].as_u64().expect("a number"));
    assert!(stored_bytes * 2 >= FILE_BYTES as u128 * 3 && stored_bytes * 100 < FILE_BYTES as u128 * 151, "4+2 stores half as much again: {stored_bytes}");
    assert_eq!(number(&stored["charged_noz"]), stored_bytes, "every stored byte is paid once");
    let fetched = assert_gets(&network, &id, "alice", &bytes, directory.path(), "first");
    assert!(fetched >= FILE_BYTES as u128, "every fetched byte is paid: {fetched}");

    // The ozone falls by exactly what was moved: the slices stored, and what was fetched once.
    let settled = network.eventually("the traffic is settled", || {
        let now = network.json(&["ozone", "balance", "alice"]);
        let charged = number(&before["noz"]) - number(&now["noz"]);
        (charged >= stored_bytes + fetched).then_some((charged, now))
    });
    assert_eq!(settled.0, stored_bytes + fetched, "to the byte what the commands said");
    let epochs = network.get("/v1/epochs?limit=50");
    let epochs = epochs.as_array().expect("a list");
    let sum = |field: &str| epochs.iter().map(|epoch| number(&epoch[field])).sum::<u128>();
    let shares = |list: &str, field: &str| -> u128 {
        epochs
            .iter()
            .flat_map(|epoch| network.get(&format!("/v1/epochs/{}", epoch["epoch"]))[list].as_array().expect("a list").clone())
            .map(|share| number(&share[field]))
            .sum()
    };
    assert_eq!(sum("charged_noz"), settled.0, "the epochs charged what alice paid, and nobody else");
    assert_eq!(shares("carriers", "noz"), settled.0);
    assert_eq!(shares("payers", "noz"), settled.0);
    assert_eq!(shares("payers", "released_wei"), number(&before["cost_wei"]) - number(&settled.1["cost_wei"]));
    let rewards = shares("carriers", "reward_wei") + shares("metas", "reward_wei") + shares("validators", "reward_wei");
    assert!(shares("carriers", "reward_wei") > 0 && shares("metas", "reward_wei") > 0 && shares("validators", "reward_wei") > 0);
    let paid = sum("traffic_reward_wei") + sum("mining_reward_wei");
    let kept = sum("tax_wei");
    assert!(
        rewards + kept <= paid && paid - rewards - kept < 1_000_000,
        "rewards {rewards} and tax {kept} are what was released and mined, {paid}, but for rounding"
    );
    assert!(sum("mining_reward_wei") * 4 <= sum("traffic_reward_wei"), "the subsidy is capped");
    let latest = network.json(&["epoch", "show", "latest"]);
    for field in ["epoch", "charged_noz", "traffic_reward_wei", "mining_reward_wei", "receipts", "carriers"] {
        assert!(!latest[field].is_null(), "{field} in {latest}");
    }
    assert_eq!(number(&supply(&network)["total_wei"]), total, "no coin is made or lost");

    // What a carrier earned matures and is withdrawn, all of it.
    let reward = |network: &Network| network.json(&["reward", "show", "resource-1"]);
    network.eventually("a reward is mature", || Some(()).filter(|()| number(&reward(&network)["mature_wei"]) > 0));
    let balance = |who: &str| number(&network.json(&["account", "show", who])["balance_wei"]);
    let carol = balance("carol");
    let mature = number(&reward(&network)["mature_wei"]);
    network.json(&["reward", "withdraw", &format!("{mature}wei"), "--to", "carol", "--key", "resource-1"]);
    assert_eq!(balance("carol"), carol + mature);

    // The gateway decrypts for whoever has the capability, any range, and for nobody else.
    let whole = fetch(&url, None);
    assert_eq!(whole.status, 200);
    assert!(whole.body == bytes);
    let range = fetch(&url, Some("bytes=16777210-16777225"));
    assert_eq!((range.status, range.body.as_slice()), (206, &bytes[16_777_210..=16_777_225]), "across two segments");
    assert_eq!(range.header("content-range"), Some("bytes 16777210-16777225/100000000"));
    assert_eq!(fetch(&url, Some("bytes=-5")).body, &bytes[FILE_BYTES - 5..]);
    assert_eq!(fetch(&url, Some("bytes=100000000-")).status, 416);
    let bare = fetch(&format!("{}/files/{id}", network.url), None);
    assert!(bare.status == 403 || bare.status == 404, "{}", bare.status);
    assert!(!text(&bare.body).is_empty());

    // Others see ciphertext only.
    assert!(network.refused(1, &["file", "get", &id, "--out", path(&directory.path().join("bob")), "--key", "bob"]).contains("does not open"));
    assert!(!directory.path().join("bob").exists());

    // A power cut, and two nodes never come back; a third has a rotten disk.
    network.kill();
    let rotten = files(&data.join("resource-3").join("slices"));
    assert!(!rotten.is_empty());
    for slice in rotten {
        let mut content = fs::read(&slice).expect("a slice");
        let middle = content.len() / 2;
        content[middle] ^= 1;
        fs::write(&slice, content).expect("written");
    }
    let network = Network::start(["--data", path(&data)]);
    network.json(&["node", "stop", "resource-1"]);
    assert_gets(&network, &id, "alice", &bytes, directory.path(), "one stopped, one rotten");
    network.json(&["node", "start", "resource-1"]);
    network.json(&["node", "stop", "resource-5"]);
    network.json(&["node", "stop", "resource-6"]);
    let out = directory.path().join("too-many");
    network.refused(1, &["file", "get", &id, "--out", path(&out), "--key", "alice"]);
    assert!(!out.exists(), "three of six are too many, and nothing half done is left");
    network.json(&["node", "start", "resource-5"]);
    assert_gets(&network, &id, "alice", &bytes, directory.path(), "back again");

    // Removed by its owner only, and then gone.
    network.refused(1, &["file", "rm", &id, "--key", "bob"]);
    network.json(&["file", "rm", &id, "--key", "alice"]);
    network.refused(1, &["file", "get", &id, "--out", path(&out), "--key", "alice"]);
    assert_eq!(number(&supply(&network)["total_wei"]), total);
    network.interrupt();
}

#[test]
fn any_two_of_six_nodes_can_be_away() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = Network::start(["--epoch", "30"]);
    let bytes = noise(20_000_000, 7);
    let file = directory.path().join("file");
    fs::write(&file, &bytes).expect("written");
    let stored = put(&network, &file, "bob");
    let id = string(&stored, "file_id");
    for (one, other) in [(1, 2), (3, 5), (4, 6)] {
        let away = [format!("resource-{one}"), format!("resource-{other}")];
        away.iter().for_each(|node| drop(network.json(&["node", "stop", node])));
        assert_gets(&network, id, "bob", &bytes, directory.path(), &format!("without-{one}-{other}"));
        away.iter().for_each(|node| drop(network.json(&["node", "start", node])));
    }
}

#[test]
fn sizes_at_the_edges() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = Network::start(["--epoch", "30"]);
    const SEGMENT: usize = 16 << 20;
    for size in [0, 1, 65_536, SEGMENT, SEGMENT + 1] {
        let bytes = noise(size, 3);
        let file = directory.path().join(format!("file-{size}"));
        fs::write(&file, &bytes).expect("written");
        let stored = put(&network, &file, "alice");
        assert_eq!(stored["bytes"], size);
        assert_gets(&network, string(&stored, "file_id"), "alice", &bytes, directory.path(), &format!("got-{size}"));
        let answer = fetch(string(&stored, "url"), None);
        assert!(answer.status == 200 && answer.body == bytes, "{size}: {}", answer.status);
    }
    let listed = network.json(&["file", "ls", "--key", "alice"]);
    assert!(listed.to_string().contains("file-65536"), "names are readable by their owner: {listed}");
}

#[test]
fn a_video_plays_through_the_gateway() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let video = directory.path().join("clip.mp4");
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", "testsrc=duration=20:size=1280x720:rate=30", "-pix_fmt", "yuv420p", "-movflags", "+faststart"])
        .arg(&video)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/clip.mp4"), &video).expect("the clip that is part of the tests");
    }
    let bytes = fs::read(&video).expect("a video");
    let network = Network::start(["--epoch", "30"]);
    let stored = put(&network, &video, "alice");
    let url = string(&stored, "url");
    // What players do: the beginning, the end, a place in the middle.
    let first = fetch(url, Some("bytes=0-"));
    assert_eq!(first.status, 206);
    assert_eq!(first.header("content-type"), Some("video/mp4"));
    assert_eq!(first.header("accept-ranges"), Some("bytes"));
    assert!(first.body == bytes);
    let middle = bytes.len() / 2;
    let end = bytes.len().min(middle + 10_000);
    let piece = fetch(url, Some(&format!("bytes={middle}-{}", end - 1)));
    assert!(piece.body == bytes[middle..end]);
}
