//! Tests: the whole system from outside: the real program, real processes, real sockets and disks.
//!
//! [`Network`] is a development network in a process of its own, on ports of its own, in a directory of its own, ended with the test. [`Network::run`] is the
//! command line as a user types it. Nothing here knows the inside of a room; what is checked is what a user sees.

pub mod description;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Request;

/// How long a network may take to say that it is ready, on a machine that is busy with other tests.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);
/// How long the end of a network may take before it counts as hanging; what it takes is measured in the bench.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// How long something that must become true may take.
const EVENTUALLY: Duration = Duration::from_secs(90);
/// Lines of a network's output that a failure shows.
const LINES_SHOWN: usize = 60;

/// The program, built once for all tests of a process.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows where it is");
        let directory = test.ancestors().find(|path| path.join(".fingerprint").exists()).expect("tests are run from cargo's target directory");
        let profile: &[&str] = if directory.ends_with("release") { &["--release"] } else { &[] };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "-p", "node"])
            .args(profile)
            .arg("--target-dir")
            .arg(directory.parent().expect("a profile's directory is in the target directory"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the program does not build");
        directory.join("stratos")
    })
}

/// A development network in a process of its own.
pub struct Network {
    child: Child,
    /// Where it puts what it does not keep; removed with it, also if it was killed.
    _temporary: tempfile::TempDir,
    lines: Receiver<String>,
    shown: Arc<Mutex<VecDeque<String>>>,
    /// Its HTTP interface: `http://127.0.0.1:PORT`.
    pub url: String,
    /// Its genesis hash.
    pub genesis: String,
    /// Where its nodes listen: `127.0.0.1:PORT` of every port that it prints, the HTTP interface's among them.
    pub ports: Vec<String>,
    /// How long it took from the start of the program until it was ready.
    pub ready_after: Duration,
}

impl Network {
    /// Starts a network with these flags and waits until it is ready.
    ///
    /// # Panics
    /// If it is not ready in time; with its output.
    pub fn start<S: AsRef<OsStr>>(flags: impl IntoIterator<Item = S>) -> Self {
        let program = program();
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(["--dev", "--port", "0"])
            .args(flags)
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let shown = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for stream in streams {
            let (sender, shown) = (sender.clone(), shown.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    shown.push_back(line.clone());
                    if shown.len() > LINES_SHOWN {
                        shown.pop_front();
                    }
                    // Nobody may be reading any more.
                    let _ = sender.send(line);
                }
            });
        }
        let (url, genesis, ports, ready_after) = (String::new(), String::new(), Vec::new(), Duration::ZERO);
        let mut network = Self { child, _temporary: temporary, lines, shown, url, genesis, ports, ready_after };
        loop {
            let line = network.line(READY_TIMEOUT);
            let words: Vec<&str> = line.split_whitespace().collect();
            network.ports.extend(words.iter().filter_map(|word| word.strip_prefix("/ip4/127.0.0.1/tcp/")).map(|port| format!("127.0.0.1:{port}")));
            match words.as_slice() {
                ["http", url] => {
                    network.url = (*url).to_owned();
                    network.ports.push(url.trim_start_matches("http://").to_owned());
                }
                ["genesis", hash] => network.genesis = (*hash).to_owned(),
                ["ready"] => {
                    network.ready_after = began.elapsed();
                    return network;
                }
                _ => {}
            }
        }
    }

    /// Writes the genesis file of a network with these flags, and with these parameters as they are not by default, into the new directory `data`: a network
    /// that is started there begins with it.
    ///
    /// # Panics
    /// If there is such a directory, or it cannot be written.
    pub fn draft(flags: &[&str], parameters: &[(&str, u64)], data: &Path) {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let draft = temporary.path().join("draft");
        Self::start(flags.iter().copied().chain(["--data", draft.to_str().expect("a plain name")])).interrupt();
        let mut file: Value = serde_json::from_slice(&std::fs::read(draft.join("genesis.json")).expect("readable")).expect("JSON");
        for (name, value) in parameters {
            file["parameters"][name] = (*value).into();
        }
        std::fs::create_dir(data).expect("made");
        std::fs::write(data.join("genesis.json"), file.to_string()).expect("written");
    }

    /// The next line it prints.
    ///
    /// # Panics
    /// If it prints nothing for so long, or has ended.
    pub fn line(&mut self, timeout: Duration) -> String {
        match self.lines.recv_timeout(timeout) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was printed for {timeout:?}\n{}", self.output()),
            Err(RecvTimeoutError::Disconnected) => panic!("the network ended: {:?}\n{}", self.child.wait(), self.output()),
        }
    }

    /// The last lines it printed.
    pub fn output(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Runs a command against this network.
    ///
    /// # Panics
    /// If it takes too long.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(arguments, &[("STRATOS_NODE", &self.url)])
    }

    /// Runs a command that must succeed; its JSON value.
    ///
    /// # Panics
    /// If it fails, or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?} failed: {}\n{}", text(&output.stderr), self.output());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?} printed no JSON ({error}): {}", text(&output.stdout)))
    }

    /// Runs a command that must be refused with this exit code; what it said.
    ///
    /// # Panics
    /// If it ends otherwise, prints anything else, or panics.
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}{}", text(&output.stdout));
        assert!(output.stdout.is_empty(), "{arguments:?} printed {}", text(&output.stdout));
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        said
    }

    /// Asks the HTTP interface.
    ///
    /// # Panics
    /// If it does not answer, or with no JSON.
    pub fn get(&self, path: &str) -> Value {
        let answer = fetch(&format!("{}{path}", self.url), None);
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer.body));
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{path} is no JSON ({error}): {}", text(&answer.body)))
    }

    /// Waits until `condition` gives something.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn eventually<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + EVENTUALLY;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(Instant::now() < end, "{what}: not within {EVENTUALLY:?}\n{}", self.output());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it as if the power had gone.
    pub fn kill(mut self) {
        // It may have ended by itself; `wait` says how.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it as Ctrl-C does; how long that took.
    ///
    /// # Panics
    /// If it hangs, or does not end with success.
    pub fn interrupt(mut self) -> Duration {
        let began = Instant::now();
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        let ended = loop {
            if let Some(ended) = self.child.try_wait().expect("it can be waited for") {
                break ended;
            }
            assert!(began.elapsed() < END_TIMEOUT, "still there {END_TIMEOUT:?} after Ctrl-C\n{}", self.output());
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(ended.success(), "ended with {ended}\n{}", self.output());
        began.elapsed()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Already ended in most tests; a failing one must leave nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program with these arguments and variables, in a home of its own.
///
/// # Panics
/// If it takes too long.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    static HOME: OnceLock<tempfile::TempDir> = OnceLock::new();
    let home = HOME.get_or_init(|| tempfile::tempdir().expect("a temporary directory"));
    let mut child = Command::new(program())
        .args(arguments)
        .env("STRATOS_HOME", home.path())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let readers = [Box::new(child.stdout.take().expect("piped")) as Box<dyn Read + Send>, Box::new(child.stderr.take().expect("piped"))].map(|mut stream| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).map(|_| bytes)
        })
    });
    let end = Instant::now() + COMMAND_TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        if Instant::now() > end {
            // It is about to be reported; whether killing works changes nothing.
            let _ = child.kill();
            panic!("{arguments:?} did not end within {COMMAND_TIMEOUT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let [stdout, stderr] = readers.map(|reader| reader.join().expect("readers do not panic").expect("pipes can be read"));
    Output { status, stdout, stderr }
}

/// An answer over HTTP.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// Fetches a URL, perhaps a range of it.
///
/// # Panics
/// If there is no answer.
pub fn fetch(url: &str, range: Option<&str>) -> Answer {
    let headers: Vec<_> = range.into_iter().map(|range| ("range", range)).collect();
    ask("GET", url, &headers, Vec::new()).unwrap_or_else(|error| panic!("{error}"))
}

/// Asks a URL for a change.
///
/// # Errors
/// Why there is no answer: a server that is sent too much may hang up before all of it is there.
pub fn change(method: &str, url: &str, body: Vec<u8>) -> Result<Answer, String> {
    ask(method, url, &[("x-stratos", "1"), ("content-type", "application/octet-stream")], body)
}

/// Asks a URL anything.
///
/// # Errors
/// Why there is no answer.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let request = headers.iter().fold(Request::builder().method(method).uri(url), |request, (name, value)| request.header(*name, *value));
    let request = request.body(body).map_err(|error| failed(&error))?;
    // Refusals are answers, and `DELETE` comes with a body here, if an empty one.
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(COMMAND_TIMEOUT)).allow_non_standard_methods(true);
    let mut answer = ureq::Agent::from(config.build()).run(request).map_err(|error| failed(&error))?;
    let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned())).collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().map_err(|error| failed(&error))?;
    Ok(Answer { status, headers, body })
}

/// Bytes as text, for messages.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A decimal string of a JSON value.
///
/// # Panics
/// If it is none.
pub fn number(value: &Value) -> u128 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no decimal string"))
}

/// Bytes that look random and are the same each time: xorshift.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
