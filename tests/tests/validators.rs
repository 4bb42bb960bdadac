//! Several validators and meta nodes: progress without one, a safe stop without two, and on when they return.

use serde_json::Value;
use std::time::Duration;
use tests::Network;

fn height(network: &Network) -> u64 {
    network.json(&["block", "show", "latest"])["height"].as_u64().expect("a height")
}

fn after(network: &Network, than: u64) -> u64 {
    network.eventually("a higher block", || Some(height(network)).filter(|height| *height > than))
}

/// The hashes of the blocks up to a height.
fn hashes(network: &Network, height: u64) -> Vec<Value> {
    (1..=height).map(|height| network.json(&["block", "show", &height.to_string()])["hash"].clone()).collect()
}

#[test]
fn four_validators_stop_safely_and_go_on() {
    let network = Network::start(["--validators", "4", "--meta-nodes", "4", "--epoch", "5"]);
    let began = height(&network);
    after(&network, began + 2);
    network.json(&["node", "stop", "validator-2"]);
    let without_one = after(&network, height(&network) + 3);
    network.json(&["send", "bob", "1", "--key", "alice"]);
    let kept = hashes(&network, without_one);

    network.json(&["node", "stop", "validator-3"]);
    // What was under way when the second one went may still end; then nothing more can, however long one looks.
    let before = height(&network);
    std::thread::sleep(Duration::from_secs(6));
    let stopped = height(&network);
    assert!(stopped <= before + 2, "two of four are no quorum, and there are blocks {before} to {stopped}");

    network.json(&["node", "start", "validator-2"]);
    network.json(&["node", "start", "validator-3"]);
    let on = after(&network, stopped + 3);
    assert_eq!(hashes(&network, on)[..kept.len()], kept, "what was final stays");
    // Everybody arrives at the same chain.
    network.eventually("all validators are there", || {
        let nodes = network.get("/v1/nodes");
        let heights: Vec<u64> = nodes["validators"].as_array()?.iter().filter_map(|node| node["height"].as_u64()).collect();
        (heights.len() == 4 && heights.iter().all(|height| *height >= on)).then_some(())
    });

    // The metadata layer too: one of four away.
    network.json(&["node", "stop", "meta-4"]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, tests::noise(3_000_000, 5)).expect("written");
    let stored = network.json(&["file", "put", file.to_str().expect("a plain name"), "--key", "alice"]);
    assert_eq!(stored["bytes"], 3_000_000);
}

#[test]
fn a_kept_network_continues() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let flags = ["--data", data.to_str().expect("a plain name")];
    let network = Network::start(flags);
    let genesis = network.genesis.clone();
    let sent = network.json(&["send", "bob", "12.5", "--key", "alice"]);
    let seen = after(&network, height(&network));
    let hash = network.json(&["block", "show", &seen.to_string()])["hash"].clone();
    network.kill();
    for end in 0..3 {
        let network = Network::start(flags);
        assert_eq!(network.genesis, genesis);
        assert_eq!(network.json(&["block", "show", &seen.to_string()])["hash"], hash);
        after(&network, seen);
        let transaction = network.json(&["tx", "show", sent["hash"].as_str().expect("a hash")]);
        assert_eq!(transaction["state"], "final");
        if end == 0 {
            network.interrupt();
        } else {
            network.kill();
        }
    }
}
