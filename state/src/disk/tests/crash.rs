//! Checks STATE-5: killed processes, torn logs and full disks leave one committed state, with its records.
//!
//! Processes that shall die are this test program again, running only [`child`].

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{CHAIN, Record, Sealed, import, open};
use crate::disk::crash_point::{Point, told};
use crate::disk::store::Store;
use crate::model::{self, Pairs};
use crate::{EXIT_DISK, Import, OpenError};

const DIRECTORY: &str = "STATE_TEST_DIRECTORY";
const VALUE_BYTES: &str = "STATE_TEST_VALUE_BYTES";
const HEIGHT: &[u8] = b"height";

/// Block `height` of a fixed chain: it puts, replaces and deletes.
fn apply(state: &Sealed, pairs: &mut Pairs, height: u64, value_bytes: usize) -> Sealed {
    let key = |number: u64| vec![u8::try_from(number % 23).unwrap()];
    // Bytes that do not compress.
    let value = |salt: u64| (0..value_bytes as u64).map(|at| ((at + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).to_le_bytes()[0]).collect::<Vec<_>>();
    let changes = [(key(height * 5), Some(value(height))), (key(height * 7 + 1), Some(height.to_be_bytes().to_vec())), (key(height * 3 + 2), None)];
    model::apply(state, pairs, &changes.into_iter().collect())
}

fn pairs_at(height: u64, value_bytes: usize) -> Pairs {
    let mut pairs = Pairs::new();
    let mut state = crate::Memory::new();
    for height in 1..=height {
        state = apply(&state, &mut pairs, height, value_bytes);
    }
    pairs
}

fn height_of(store: &Store) -> u64 {
    store.record(1, HEIGHT).map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

fn extend(store: &Store, height: u64, value_bytes: usize) {
    let state = apply(&store.head(), &mut Pairs::new(), height, value_bytes);
    store.commit(&state, vec![Record { table: 1, key: HEIGHT.to_vec(), value: Some(height.to_be_bytes().to_vec()) }]).unwrap();
}

/// The height of the store in `path`, after checking that it is a committed state, whole.
fn check(path: &Path, value_bytes: usize) -> u64 {
    let store = open(path);
    let height = height_of(&store);
    let pairs = pairs_at(height, value_bytes);
    model::check(&store.head(), &pairs);
    assert_eq!(store.verify(), Ok(model::root(&pairs)));
    height
}

/// Does nothing in a test run. In a process of its own it commits block after block and says so, until something ends it.
#[test]
fn child() {
    let Some(path) = std::env::var_os(DIRECTORY) else { return };
    let value_bytes = std::env::var(VALUE_BYTES).unwrap().parse().unwrap();
    eprintln!("opening");
    let store = open(&PathBuf::from(path));
    for height in height_of(&store) + 1.. {
        extend(&store, height, value_bytes);
        eprintln!("committed {height}");
    }
}

fn command(program: &str, before: &[&str], path: &Path, value_bytes: usize) -> Child {
    let mut command = Command::new(program);
    command.args(before).args(["--exact", "disk::tests::crash::child", "--nocapture"]);
    command.env(DIRECTORY, path).env(VALUE_BYTES, value_bytes.to_string()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn program() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

/// Killed at every named point, the first time it comes there and later: what was said to be committed is there, whole, and the store goes on.
#[test]
fn killed_at_every_point() {
    for point in [Point::Commit, Point::Committed, Point::Rows, Point::Brought, Point::Table, Point::Tops, Point::Flushed, Point::Forgotten] {
        for times in [0, 1, 4] {
            let directory = tempfile::tempdir().unwrap();
            let process = at(point, times, "disk::tests::crash::child", directory.path(), 300);
            let said = String::from_utf8_lossy(&process.stderr).into_owned();
            assert_eq!(process.status.code(), Some(told::EXIT), "{point:?} {times} {said}");
            let height = check(directory.path(), 300);
            assert!(height >= heights(&said).unwrap_or(0), "{point:?} {times}: holds {height}, {said}");
            let store = open(directory.path());
            (height + 1..height + 40).for_each(|height| extend(&store, height, 300));
            drop(store);
            assert_eq!(check(directory.path(), 300), height + 39);
        }
    }
}

/// Who is killed while a table joins the database may leave a second name of it: what stands there is not written over, and what is left of one does no harm.
#[test]
fn left_tables() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    (1..40).for_each(|height| extend(&store, height, 300));
    drop(store);
    let left = directory.path().join("table.new");
    std::fs::write(&left, b"half a table").unwrap();
    for (round, height) in (40..120).step_by(10).enumerate() {
        if round > 0 {
            let files = std::fs::read_dir(directory.path().join("db")).unwrap().map(|file| file.unwrap().path());
            let tables: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).collect();
            std::fs::hard_link(&tables[round % tables.len()], &left).unwrap();
        }
        let store = open(directory.path());
        (height..height + 10).for_each(|height| extend(&store, height, 300));
        drop(store);
        assert_eq!((check(directory.path(), 300), left.exists()), (height + 9, false));
    }
}

/// Does nothing in a test run. In a process of its own it imports a state.
#[test]
fn importing_child() {
    let Some(path) = std::env::var_os(DIRECTORY) else { return };
    let (source, _) = import::state(3000);
    let mut import = Import::open(&PathBuf::from(path), CHAIN, source.root()).unwrap();
    import::fill(&mut import, &source, 1000);
    import.finish(vec![]).unwrap();
}

/// Killed at every named point of an import: it goes on from what was flushed, or is done.
#[test]
fn killed_while_importing() {
    let (source, pairs) = import::state(3000);
    for (point, times) in [(Point::Taken, 0), (Point::Taken, 100), (Point::Imported, 0), (Point::Imported, 5), (Point::Finish, 0), (Point::Finished, 0)] {
        let directory = tempfile::tempdir().unwrap();
        let process = at(point, times, "disk::tests::crash::importing_child", directory.path(), 0);
        assert_eq!(process.status.code(), Some(told::EXIT), "{point:?} {times} {}", String::from_utf8_lossy(&process.stderr));
        if point != Point::Finished {
            assert!(matches!(Store::open(directory.path(), CHAIN), Err(OpenError::Unfinished { target, .. }) if target == source.root()));
            let mut import = Import::open(directory.path(), CHAIN, source.root()).unwrap();
            let is_begun = import.missing().len() < 256;
            assert_eq!(is_begun, (point, times) != (Point::Taken, 0), "{point:?} {times}: flushed chunks stay");
            import::fill(&mut import, &source, 1000);
            import.finish(vec![]).unwrap();
        }
        let store = open(directory.path());
        model::check(&store.head(), &pairs);
        assert_eq!(store.verify(), Ok(source.root()));
    }
}

/// What a child that is told to end at a point leaves.
fn at(point: Point, times: u32, test: &str, path: &Path, value_bytes: usize) -> Output {
    let mut command = Command::new(program());
    command.args(["--exact", test, "--nocapture"]).env(told::POINT, format!("{point:?} {times}"));
    command.env(DIRECTORY, path).env(VALUE_BYTES, value_bytes.to_string()).output().unwrap()
}

/// The heights that a child said it committed.
fn heights(lines: &str) -> Option<u64> {
    lines.lines().filter_map(|line| line.strip_prefix("committed ")?.parse().ok()).max()
}

#[test]
fn killed_while_committing() {
    let directory = tempfile::tempdir().unwrap();
    for lines in [1, 2, 7, 30, 1, 64] {
        let mut process = command(&program(), &[], directory.path(), 2000);
        let mut output = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        for _ in 0..lines {
            assert!(output.read_line(&mut said).unwrap() > 0, "the child ended by itself: {said}");
        }
        process.kill().unwrap();
        process.wait().unwrap();
        output.read_to_string(&mut said).unwrap();
        let said = heights(&said).unwrap_or(0);
        let height = check(directory.path(), 2000);
        assert!(height >= said, "said {said}, holds {height}");
    }
}

/// Killed at each stage of making the database: when its directory has that many files, or when the first commit is done.
#[test]
fn killed_while_beginning() {
    let parent = tempfile::tempdir().unwrap();
    for files in 0..9 {
        let path = parent.path().join(files.to_string());
        let mut process = command(&program(), &[], &path, 10);
        let output = BufReader::new(process.stderr.take().unwrap());
        let has_committed = Arc::new(AtomicBool::new(false));
        // Read all along, or the child would wait for ever once nobody takes what it says.
        let reader = std::thread::spawn({
            let has_committed = Arc::clone(&has_committed);
            move || {
                let mut said = String::new();
                for line in output.lines() {
                    said += &(line.unwrap() + "\n");
                    has_committed.store(heights(&said).is_some(), Ordering::Relaxed);
                }
                said
            }
        });
        let is_there = || fs::read_dir(path.join("db")).map_or(0, Iterator::count) >= files;
        while !is_there() && !has_committed.load(Ordering::Relaxed) && process.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let said = reader.join().unwrap();
        assert!(check(&path, 10) >= heights(&said).unwrap_or(0));
    }
}

/// The files below a directory, with their lengths.
fn listing(path: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(listing(&path)) } else { files.extend([(path.clone(), fs::metadata(path).map_or(0, |data| data.len()))]) }
    }
    files
}

/// Copies a store that may be open, at a moment at which nothing moves in the background: what a crash would leave.
pub(super) fn copy(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        let is_copied = before.keys().all(|file| {
            let target = to.join(file.strip_prefix(from).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, target).is_ok()
        });
        if is_copied && listing(from) == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

/// A log cut or spoiled anywhere, as by a loss of power in the middle of a write.
#[test]
fn torn_log() {
    const BLOCKS: u64 = 4;
    const PLACES: u64 = 32;
    let parent = tempfile::tempdir().unwrap();
    let whole = parent.path().join("whole");
    let live = parent.path().join("live");
    let store = open(&live);
    (1..=BLOCKS).for_each(|height| extend(&store, height, 60));
    // At its end a store flushes everything: a crash finds what is on disk before.
    copy(&live, &whole);
    drop(store);
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log") && fs::metadata(path).unwrap().len() > 0;
    let logs: Vec<_> = fs::read_dir(whole.join("db")).unwrap().map(|entry| entry.unwrap().path()).filter(is_log).collect();
    let [log] = &logs[..] else { panic!("one log holds all commits: {logs:?}") };
    let (name, length) = (log.file_name().unwrap(), fs::metadata(log).unwrap().len());

    let mut reached = Vec::new();
    for place in 0..=PLACES {
        let path = parent.path().join(place.to_string());
        copy(&whole, &path);
        OpenOptions::new().write(true).open(path.join("db").join(name)).unwrap().set_len(length * place / PLACES).unwrap();
        reached.push(check(&path, 60));
        fs::remove_dir_all(path).unwrap();
    }
    assert!(reached.is_sorted() && reached[0] == 0 && reached.last() == Some(&BLOCKS) && reached.contains(&1), "{reached:?}");

    for place in 0..PLACES / 2 {
        let path = parent.path().join("spoiled");
        copy(&whole, &path);
        let file = path.join("db").join(name);
        let mut bytes = fs::read(&file).unwrap();
        let at = usize::try_from(length * place * 2 / PLACES).unwrap();
        bytes[at] ^= 0x55;
        fs::write(file, bytes).unwrap();
        match Store::open(&path, CHAIN) {
            Ok(store) => {
                drop(store);
                check(&path, 60);
            }
            Err(error) => assert!(matches!(error, OpenError::Database { .. }), "{error}"),
        }
        fs::remove_dir_all(path).unwrap();
    }
}

/// With tables of leaves beside the log, it makes no difference: none is newer than what is left of it.
#[test]
fn torn_log_beside_tables() {
    let parent = tempfile::tempdir().unwrap();
    let (live, whole) = (parent.path().join("live"), parent.path().join("whole"));
    let store = open(&live);
    (1..=3).for_each(|height| extend(&store, height, 60));
    // Waits until all rows are in a table.
    store.verify().unwrap();
    (4..=6).for_each(|height| extend(&store, height, 60));
    copy(&live, &whole);
    drop(store);
    let files = fs::read_dir(whole.join("db")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let logs: Vec<String> = files.filter(|name| name.ends_with(".log")).collect();
    let mut reached = Vec::new();
    for part in 0..=8 {
        let path = parent.path().join("torn");
        copy(&whole, &path);
        for log in logs.iter().map(|log| path.join("db").join(log)) {
            let length = fs::metadata(&log).unwrap().len();
            OpenOptions::new().write(true).open(log).unwrap().set_len(length * part / 8).unwrap();
        }
        reached.push(check(&path, 60));
        fs::remove_dir_all(path).unwrap();
    }
    assert!(reached.is_sorted() && reached[0] == 3 && reached[8] == 6, "{reached:?}");
}

/// A disk that takes no more ends the process with its own exit code, after the last commit that it could hold.
#[test]
fn full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let shell = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"";
    let process = command("sh", &["-c", shell, &program()], directory.path(), 100_000);
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(EXIT_DISK), "{said}");
    assert!(said.contains("error: writing to ") && said.contains("start again"), "{said}");
    let said = heights(&said).unwrap();
    assert!(said >= 3 && check(directory.path(), 100_000) >= said);
}
