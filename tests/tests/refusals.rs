//! Bad input, by hand: each gets a clear error, and nothing is lost or half done.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use tests::{Network, change, fetch, noise, number, run, text};

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

#[test]
fn commands_say_what_is_wrong() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = Network::start(["--epoch", "30"]);
    let file = directory.path().join("file");
    fs::write(&file, noise(1_000_000, 1)).expect("written");
    let unknown = "0".repeat(64);
    let missing = directory.path().join("nowhere");
    let out = directory.path().join("out");

    for misuse in
        [&["fly"][..], &["file", "put"], &["send", "bob", "x", "--key", "alice"], &["account", "show", "st1nonsense"], &["--unknown"], &["file", "stat", "12"]]
    {
        let said = network.refused(2, misuse);
        assert!(!said.is_empty(), "{misuse:?}");
    }
    let cases: [(&[&str], &str); 9] = [
        (&["file", "put", path(&missing), "--key", "alice"], "check the path"),
        (&["file", "put", path(directory.path()), "--key", "alice"], "directory"),
        (&["file", "get", &unknown, "--out", path(&out), "--key", "alice"], "there is no file"),
        (&["file", "put", path(&file), "--key", "nobody"], "key new nobody"),
        (&["send", "bob", "1000000000", "--key", "alice"], "missing"),
        (&["send", "bob", "1", "--key", "alice", "--nonce", "999999999"], "nonce"),
        (&["file", "put", path(&file), "--key", "carol"], "ozone"),
        (&["reward", "withdraw", "1", "--key", "alice"], "mature"),
        (&["block", "show", "99999999"], "no block"),
    ];
    for (arguments, expected) in cases {
        let said = network.refused(1, arguments);
        assert!(said.contains(expected), "{arguments:?} said: {said}");
    }
    assert!(!out.exists());
    let alice = network.json(&["account", "show", "alice"]);
    assert_eq!(alice["nonce"], 0, "nothing that was refused cost anything");
    // A used nonce.
    network.json(&["send", "bob", "1", "--key", "alice"]);
    assert!(network.refused(1, &["send", "bob", "1", "--key", "alice", "--nonce", "0"]).contains("nonce"));
    // Ozone, then the same file works.
    let bought = network.json(&["ozone", "buy", "1", "--key", "carol"]);
    assert!(number(&bought["noz"]) > 0);
    network.json(&["file", "put", path(&file), "--key", "carol"]);
    // An existing file is not overwritten.
    fs::write(&out, b"mine").expect("written");
    let id = network.json(&["file", "put", path(&file), "--key", "carol"])["file_id"].as_str().expect("an id").to_owned();
    network.refused(1, &["file", "get", &id, "--out", path(&out), "--key", "carol"]);
    assert_eq!(fs::read(&out).expect("still there"), b"mine");
}

#[test]
fn garbage_disturbs_nobody() {
    let network = Network::start(["--epoch", "30"]);
    assert_eq!(network.ports.len(), 1 + 2 + 6 + 2 + 1, "validator, meta node's two planes, resource nodes, gateway's two planes, HTTP: {:?}", network.ports);
    for port in &network.ports {
        let mut stream = TcpStream::connect(port).unwrap_or_else(|error| panic!("{port}: {error}"));
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        // The other end may hang up before it has read all of it.
        let _ = stream.write_all(&noise(100_000, 9));
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.take(1 << 20).read_to_end(&mut Vec::new());
    }
    for (body, what) in [(vec![], "empty"), (noise(300, 2), "garbage"), (vec![0; 5 << 20], "oversized")] {
        match change("POST", &format!("{}/v1/txs", network.url), body) {
            Ok(answer) => {
                assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
                assert!(text(&answer.body).contains("error"), "{what}: {}", text(&answer.body));
            }
            Err(error) => assert_eq!(what, "oversized", "only too much may be cut off: {error}"),
        }
    }
    for missing in ["/v1/blocks/999999", "/v1/blocks/x", "/v1/files/00", "/v1/epochs/99999", "/v1/accounts/x", "/nothing"] {
        let answer = fetch(&format!("{}{missing}", network.url), None);
        assert!((400..500).contains(&answer.status), "{missing}: {}", answer.status);
    }
    // All still there.
    network.json(&["send", "bob", "1", "--key", "alice"]);
    assert_eq!(network.get("/health")["status"], "ok");
    assert!(text(&fetch(&format!("{}/metrics", network.url), None).body).contains("chain_height"));
    assert!(text(&fetch(&network.url, None).body).contains("<html"));
}

#[test]
fn a_network_that_cannot_start_says_why() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = Network::start(["--epoch", "30"]);
    let port = network.url.rsplit(':').next().expect("a port").to_owned();
    let taken = run(&["--dev", "--port", &port], &[]);
    assert_eq!(taken.status.code(), Some(1));
    assert!(text(&taken.stderr).contains(&port), "{}", text(&taken.stderr));

    let foreign = directory.path().join("foreign");
    fs::create_dir(&foreign).expect("made");
    fs::write(foreign.join("thesis.txt"), b"do not touch").expect("written");
    let refused = run(&["--dev", "--port", "0", "--data", path(&foreign)], &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("thesis.txt"), "{}", text(&refused.stderr));
    assert_eq!(fs::read_dir(&foreign).expect("readable").count(), 1, "nothing was written");

    let file = directory.path().join("file");
    fs::write(&file, b"x").expect("written");
    let refused = run(&["--dev", "--port", "0", "--data", path(&file)], &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));

    // Nobody there.
    let alone = run(&["account", "show", "alice"], &[("STRATOS_NODE", "http://127.0.0.1:9")]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(text(&alone.stderr).contains("127.0.0.1:9"), "{}", text(&alone.stderr));
}

/// A directory in which something is broken or missing is refused by name, and nothing in it is changed.
#[test]
fn a_damaged_data_directory_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let start = || run(&["--dev", "--port", "0", "--data", path(&data)], &[]);
    let network = Network::start(["--data", path(&data)]);
    // Two programs never share a directory.
    let second = start();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("in use"), "{}", text(&second.stderr));
    network.json(&["send", "bob", "1", "--key", "alice"]);
    network.kill();

    // A key without its slot may have signed anything: it never signs again.
    let (slot, kept) = (data.join("validator-1/signer.slot"), directory.path().join("kept"));
    fs::rename(&slot, &kept).expect("moved");
    let refused = start();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("signer.slot"), "{}", text(&refused.stderr));
    assert!(!slot.exists());
    fs::write(&slot, noise(8192, 3)).expect("written");
    let refused = start();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("must not sign again"), "{}", text(&refused.stderr));
    fs::rename(&kept, &slot).expect("moved back");

    let genesis = data.join("genesis.json");
    let content = fs::read(&genesis).expect("there");
    fs::write(&genesis, &content[..content.len() / 2]).expect("written");
    let refused = start();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("genesis.json"), "{}", text(&refused.stderr));
    fs::write(&genesis, &content).expect("written");
    // Another network's genesis over this network's chain.
    let other = String::from_utf8(content.clone()).expect("text").replacen("stratos-dev", "stratos-xyz", 1);
    fs::write(&genesis, other).expect("written");
    let refused = start();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
    assert!(text(&refused.stderr).contains("chain"), "{}", text(&refused.stderr));
    fs::write(&genesis, &content).expect("written");

    let network = Network::start(["--data", path(&data)]);
    assert_eq!(network.json(&["account", "show", "alice"])["nonce"], 1, "what was there before is there again");
}
