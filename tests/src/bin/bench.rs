//! What this machine does, each number beside a limit measured in the same run. Build with `--release`; `make bench` does.
//!
//! Every role of the network, the client and the limits share the machine's cores, so ratios mean more than numbers.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chain::transaction::{Message, TRANSACTION_VERSION, Transaction};
use client::wallet::Seed;
use primitives::batch::Batch;
use primitives::{Amount, Context, Hash, SecretKey};
use tests::{Network, noise, program};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The file that is stored and brought back.
const FILE_BYTES: usize = 500_000_000;
/// Transfers submitted for each number of validators.
const TRANSFERS: usize = 4_000;
/// Signatures verified.
const SIGNATURES: usize = 8_192;

fn main() -> Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("note: this is not a release build; the numbers are lower than they could be");
    }
    let directory = tempfile::tempdir()?;
    signatures();
    let (tcp, disk) = (raw_tcp()?, raw_disk(directory.path())?);
    println!("limit: raw TCP on loopback, one stream     {tcp:>9.0} MB/s");
    println!("limit: disk write with sync                {disk:>9.0} MB/s");
    files(directory.path(), tcp, disk)?;
    for validators in [1, 4] {
        transfers(validators)?;
    }
    Ok(())
}

fn per_second(count: f64, time: Duration) -> f64 {
    count / time.as_secs_f64()
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Single and batch verification.
fn signatures() {
    let context = Context::new("bench", Hash::ZERO);
    let signed: Vec<_> = (0..SIGNATURES)
        .map(|number| {
            let secret = SecretKey::from_seed(&Hash::of("bench", &[&(number % 256).to_le_bytes()]).0);
            let message = noise(144, number as u64);
            let signature = secret.sign(&context, &message);
            (secret.public().decode().expect("a key"), message, signature)
        })
        .collect();
    let began = Instant::now();
    assert!(signed.iter().take(1_024).all(|(key, message, signature)| key.verify(&context, message, signature)));
    let single = per_second(1_024.0, began.elapsed());
    let began = Instant::now();
    let mut batch = Batch::new();
    signed.iter().for_each(|(key, message, signature)| batch.push(key, &context, message, signature));
    assert!(batch.verify());
    let batched = per_second(SIGNATURES as f64, began.elapsed());
    println!("signatures verified one by one             {single:>9.0} /s");
    println!("signatures verified in batches             {batched:>9.0} /s    {:.1} times one by one", batched / single);
}

/// One megabyte pieces through a socket of this machine.
fn raw_tcp() -> Result<f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let reader = std::thread::spawn(move || -> std::io::Result<usize> {
        let (mut stream, _) = listener.accept()?;
        let (mut buffer, mut total) = (vec![0; 1 << 20], 0);
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(total),
                read => total += read,
            }
        }
    });
    let piece = noise(1 << 20, 1);
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    for _ in 0..1_000 {
        stream.write_all(&piece)?;
    }
    drop(stream);
    let total = reader.join().map_err(|_| "the reader panicked")??;
    Ok(megabytes(total) / began.elapsed().as_secs_f64())
}

/// As many bytes as the file's slices, written and synced.
fn raw_disk(directory: &Path) -> Result<f64> {
    let piece = noise(1 << 20, 2);
    let path = directory.join("limit");
    let began = Instant::now();
    let mut file = File::create(&path)?;
    for _ in 0..750 {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let speed = 750.0 * 1.048_576 / began.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(speed)
}

/// Runs the client; its time and the most memory it had, in MiB.
fn timed(network: &Network, arguments: &[&str]) -> Result<(Duration, u64, serde_json::Value)> {
    let began = Instant::now();
    let mut child = Command::new(program()).args(arguments).args(["--json", "--node", &network.url, "--key", "alice"]).stdout(Stdio::piped()).spawn()?;
    let mut memory = 0;
    while child.try_wait()?.is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        memory = memory.max(peak.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    let time = began.elapsed();
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{arguments:?} failed\n{}", network.output()).into());
    }
    Ok((time, memory >> 10, serde_json::from_slice(&output.stdout)?))
}

fn files(directory: &Path, tcp: f64, disk: f64) -> Result<()> {
    let network = Network::start(["--epoch", "60"]);
    println!("start of a network until it is ready       {:>9.2} s     3 s is the limit", network.ready_after.as_secs_f64());
    let (source, target) = (directory.join("source"), directory.join("target"));
    let bytes = noise(FILE_BYTES, 3);
    fs::write(&source, &bytes)?;
    let name = |path: &Path| path.to_str().map(str::to_owned).ok_or("a path that is no text");
    for round in 1..=2 {
        let (time, memory, stored) = timed(&network, &["file", "put", &name(&source)?])?;
        let speed = megabytes(FILE_BYTES) / time.as_secs_f64();
        println!(
            "put of 500 MB, round {round}                      {speed:>9.0} MB/s  {:.2} s, client {memory} MiB, {:.2} of TCP, {:.2} of disk (1.5 bytes are written for each)",
            time.as_secs_f64(),
            1.5 * speed / tcp,
            1.5 * speed / disk
        );
        let id = stored["file_id"].as_str().ok_or("no file id")?;
        let (time, memory, _) = timed(&network, &["file", "get", id, "--out", &name(&target)?])?;
        let speed = megabytes(FILE_BYTES) / time.as_secs_f64();
        println!(
            "get of 500 MB, round {round}                      {speed:>9.0} MB/s  {:.2} s, client {memory} MiB, {:.2} of TCP",
            time.as_secs_f64(),
            speed / tcp
        );
        if fs::read(&target)? != bytes {
            return Err("other bytes came back".into());
        }
        fs::remove_file(&target)?;
        let url = stored["url"].as_str().ok_or("no url")?;
        let first = first_byte(url, 300_000_000)?;
        let baseline = first_byte(&format!("{}/health", network.url), 0)?;
        println!(
            "time to the first byte of a range          {:>9.1} ms   {:.1} ms for an answer without a file",
            first.as_secs_f64() * 1e3,
            baseline.as_secs_f64() * 1e3
        );
    }
    println!("Ctrl-C until the program has ended          {:>9.2} s     2 s is the limit", network.interrupt().as_secs_f64());
    Ok(())
}

/// How long the first byte of an answer takes.
fn first_byte(url: &str, from: u64) -> Result<Duration> {
    let rest = url.strip_prefix("http://").ok_or("not http")?;
    let (host, path) = rest.split_once('/').ok_or("no path")?;
    let began = Instant::now();
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={from}-{}\r\nConnection: close\r\n\r\n", from + 65_535)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    stream.read_exact(&mut byte)?;
    Ok(began.elapsed())
}

/// Transfers that become final per second.
fn transfers(validators: u16) -> Result<()> {
    let network = Network::start(["--validators", &validators.to_string(), "--epoch", "60"]);
    let chain: Hash = network.genesis.parse()?;
    let senders: Vec<_> = ["alice", "bob", "carol"].map(|name| Seed::dev(name).secret()).into();
    let to = Seed::dev("gateway").secret().address();
    let signed: Vec<Vec<u8>> = (0..TRANSFERS)
        .map(|number| {
            let secret = &senders[number % senders.len()];
            let body = Transaction {
                version: TRANSACTION_VERSION,
                chain,
                authority: secret.key().into(),
                nonce: (number / senders.len()) as u64,
                fee_max: Amount::stos(1),
                tip: Amount(0),
                messages: vec![Message::Send { to, amount: Amount(1) }],
                memo: Vec::new(),
            };
            body.sign(secret)
        })
        .collect();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..senders.len())
            .map(|sender| {
                let (agent, url, signed, senders) = (&agent, &network.url, &signed, &senders);
                scope.spawn(move || -> std::result::Result<(), String> {
                    for transaction in signed.iter().skip(sender).step_by(senders.len()) {
                        let mut answer = agent
                            .post(format!("{url}/v1/txs"))
                            .header("x-stratos", "1")
                            .content_type("application/octet-stream")
                            .send(transaction.as_slice())
                            .map_err(|error| error.to_string())?;
                        if answer.status() != 200 {
                            return Err(answer.body_mut().read_to_string().unwrap_or_default());
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a sender panicked".to_owned())?)
    })?;
    let submitted = began.elapsed();
    // Of each sender the last transaction: the ones before it have lower nonces.
    for last in &signed[signed.len() - senders.len()..] {
        let hash = chain::ledger::block::transaction_hash(last);
        while network.get(&format!("/v1/txs/{hash}"))["state"] != "final" {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let time = began.elapsed();
    let alone = {
        let began = Instant::now();
        let verdicts = chain::transaction::verify(chain, &signed);
        assert!(verdicts.iter().all(std::result::Result::is_ok));
        per_second(TRANSFERS as f64, began.elapsed())
    };
    let rate = per_second(TRANSFERS as f64, time);
    println!(
        "transfers made final, {validators} validator{}          {rate:>9.0} /s    {:.3} of verifying them in batches; submitting them one by one over HTTP took {:.2} of the time",
        if validators == 1 { " " } else { "s" },
        rate / alone,
        submitted.as_secs_f64() / time.as_secs_f64()
    );
    Ok(())
}
