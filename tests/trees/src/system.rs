//! What a system must do to be measured, and the measuring.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::workload::{Dice, Key, Update, Workload, key};

/// Sizes of blocks, and how many of each.
const SIZES: [(usize, usize); 3] = [(10_000, 40), (1_000, 150), (100, 400)];
const READS: u64 = 20_000;
/// Values read again after a start.
const CHECKS: u64 = 1_000;

/// What is the same for all systems.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Pairs in the state.
    pub keys: u64,
    /// Memory for caches.
    pub cache_bytes: u64,
    /// Threads of those who let us say how many.
    pub threads: usize,
}

/// A state on disk, in a directory of its own.
pub trait System: Sized {
    /// A proof that a key has a value, or none.
    type Proof;

    /// Opens what is in `path`, or begins there.
    fn open(path: &Path, settings: &Settings) -> Self;

    /// Gives every key its value. On return the new state is on disk, whatever happens to the machine, and its root is known.
    fn commit(&mut self, block: &[Update<'_>]);

    /// The root of the last block, if it has one.
    fn root(&self) -> Option<[u8; 32]>;

    /// A value.
    fn get(&mut self, key: &Key) -> Option<Vec<u8>>;

    /// The proof of what [`System::get`] answers; `None` from a system without proofs.
    fn prove(&mut self, key: &Key) -> Option<Self::Proof>;

    /// Whether a proof proves to a holder of the root that `key` has this value, or none.
    fn verify(&self, proof: &Self::Proof, key: &Key, value: Option<&[u8]>) -> bool;

    /// Bytes of an encoded proof.
    fn bytes(proof: &Self::Proof) -> usize;

    /// Leaves the directory in good order.
    fn close(self);
}

/// One number of one system.
#[derive(Debug)]
pub struct Row {
    /// What it is of.
    pub label: String,
    /// The number, if the system has it.
    pub value: Option<f64>,
}

#[derive(Debug, Default)]
struct Rows(Vec<Row>);

impl Rows {
    fn add(&mut self, label: impl Into<String>, value: impl Into<Option<f64>>) {
        self.0.push(Row { label: label.into(), value: value.into() });
    }
}

/// Processor time of all threads of this process.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat.rsplit(") ").next().map_or(0, |rest| rest.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum());
    Duration::from_millis(ticks * 10)
}

/// Begins to note which memory is used. What the allocator kept of an earlier system counts again once this one uses it.
fn forget_memory() {
    std::fs::write("/proc/self/clear_refs", "1").expect("our own memory");
}

/// Resident memory that was used since.
fn memory_mib() -> f64 {
    let memory = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = memory.lines().find_map(|line| line.strip_prefix("Referenced:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Bytes that this process had written to disks.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The time of each of `count` pieces of work, in microseconds, and what came out.
fn each<T>(count: usize, work: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let result = work();
    (began.elapsed().as_secs_f64() * 1e6 / count as f64, result)
}

/// Commits `count` blocks of `size`.
fn commits<S: System>(system: &mut S, workload: &mut Workload, size: usize, count: usize, rows: &mut Rows) {
    // Making the blocks is nobody's work.
    let updates = workload.updates(size, count);
    let mut times = Vec::new();
    let (cpu, bytes) = (processor(), written());
    for block in updates.blocks(size) {
        let began = Instant::now();
        system.commit(&block);
        times.push(began.elapsed());
    }
    let (cpu, bytes) = (processor() - cpu, written() - bytes);
    let all = (size * count) as f64;
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    rows.add(format!("{size} a block: updates/s"), all / total.as_secs_f64());
    rows.add("block, p50 ms", ms(times[times.len() / 2]));
    rows.add("block, p99 ms", ms(times[times.len() * 99 / 100]));
    rows.add("processor us/update", cpu.as_secs_f64() * 1e6 / all);
    rows.add("written bytes/update", bytes as f64 / all);
}

/// Proves and verifies what is under keys of these numbers.
fn proofs<S: System>(system: &mut S, workload: &Workload, name: &str, numbers: &[u64], rows: &mut Rows) {
    let asked: Vec<Key> = numbers.iter().copied().map(key).collect();
    let values: Vec<Option<Vec<u8>>> = numbers.iter().map(|number| workload.value(*number)).collect();
    let (prove, proofs) = each(asked.len(), || asked.iter().map(|key| system.prove(key)).collect::<Option<Vec<_>>>());
    let verify = proofs.as_ref().map(|proofs| {
        let all = proofs.iter().zip(&asked).zip(&values);
        each(asked.len(), || all.for_each(|((proof, key), value)| assert!(system.verify(proof, key, value.as_deref()), "a proof is wrong"))).0
    });
    rows.add(format!("{name}: prove us"), proofs.as_ref().map(|_| prove));
    rows.add("verify us", verify);
    rows.add("proof bytes", proofs.map(|proofs| proofs.iter().map(S::bytes).sum::<usize>() as f64 / asked.len() as f64));
}

/// Everything about one system.
pub fn measure<S: System>(settings: &Settings) -> Vec<Row> {
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("state");
    std::fs::create_dir(&path).expect("a new directory");
    let (mut rows, mut workload) = (Rows::default(), Workload::new(settings.keys));
    forget_memory();
    let base = memory_mib();

    let mut system = S::open(&path, settings);
    for updates in workload.filling() {
        updates.blocks(usize::MAX).for_each(|block| system.commit(&block));
    }
    let (bytes, mut updates) = (written(), 0);
    for (size, count) in SIZES {
        let size = size.min(usize::try_from(settings.keys / 2).expect("they fit into memory")).max(1);
        commits(&mut system, &mut workload, size, count, &mut rows);
        updates += size * count;
    }

    let mut dice = Dice(3);
    let numbers: Vec<u64> = (0..READS).map(|_| dice.below(settings.keys)).collect();
    let asked: Vec<Key> = numbers.iter().copied().map(key).collect();
    let (get, values) = each(asked.len(), || asked.iter().map(|key| system.get(key)).collect::<Vec<_>>());
    assert!(values.into_iter().eq(numbers.iter().map(|number| workload.value(*number))), "a value is wrong");
    rows.add("get us", get);
    let memory = memory_mib() - base;

    let numbers: Vec<u64> = (0..READS).map(|_| dice.below(settings.keys)).collect();
    proofs(&mut system, &workload, "present", &numbers, &mut rows);
    let numbers: Vec<u64> = (0..READS).map(|_| settings.keys + dice.below(settings.keys)).collect();
    proofs(&mut system, &workload, "absent", &numbers, &mut rows);
    rows.add("memory MiB", memory);

    let root = system.root();
    let began = Instant::now();
    system.close();
    rows.add("close ms", ms(began.elapsed()));
    rows.add("all: written bytes/update", (written() - bytes) as f64 / updates as f64);
    let began = Instant::now();
    let mut system = S::open(&path, settings);
    let first = system.get(&key(0));
    rows.add("start-up ms", ms(began.elapsed()));
    assert_eq!(first, workload.value(0), "a value is wrong after a start");
    assert_eq!(system.root(), root, "the root is another one after a start");
    for _ in 0..CHECKS {
        let number = dice.below(settings.keys);
        assert_eq!(system.get(&key(number)), workload.value(number), "a value is wrong after a start");
    }
    system.close();
    rows.0
}
