//! The tree beside its limit, a bare RocksDB that keeps the same pairs without a tree: `make bench-state`.
//!
//! One process, one run, one directory; every block is one synced commit. Keys are 32 bytes, values 32 to 100; updates hit random keys. The bare database writes each
//! block as one synced batch to one column family. Numbers: updates per second of wall time and processor time per update, over all blocks of a size; the median
//! and the 99th percentile of a block.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock; the tree does not")]
#![expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]

use std::path::Path;
use std::time::{Duration, Instant};

use primitives::Hash;
use primitives::encoding::encode;
use rocksdb::{DB, Options, WriteBatch, WriteOptions};
use state::{Store, Tuning};

const CHAIN: Hash = Hash([1; 32]);
const FILL_BLOCK: u64 = 50_000;
/// Blocks of each size.
const SIZES: [(u64, usize); 3] = [(10_000, 40), (1_000, 150), (100, 400)];
const READS: u64 = 20_000;

/// A cheap generator: what is random here need not be hard to guess.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % limit
    }
}

fn key(number: u64) -> Vec<u8> {
    Hash::of("bench-key", &[&number.to_le_bytes()]).0.to_vec()
}

fn value(dice: &mut Dice) -> Vec<u8> {
    let length = 32 + dice.below(69);
    (0..length).map(|_| dice.below(256).to_le_bytes()[0]).collect()
}

/// Processor time of all threads of this process.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat.rsplit(") ").next().map_or(0, |rest| rest.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum());
    Duration::from_millis(ticks * 10)
}

fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Bytes that this process had written to disks.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

/// What a system under test does with a block.
type Commit<'a> = dyn FnMut(Vec<(Vec<u8>, Vec<u8>)>) + 'a;

fn measure(name: &str, keys: u64, size: u64, blocks: usize, commit: &mut Commit<'_>) -> f64 {
    let mut dice = Dice(size);
    let mut times = Vec::new();
    // Making the blocks is nobody's work.
    let all: Vec<Vec<_>> = (0..blocks).map(|_| (0..size).map(|_| (key(dice.below(keys)), value(&mut dice))).collect()).collect();
    let (cpu, bytes) = (processor(), written());
    for block in all {
        let began = Instant::now();
        commit(block);
        times.push(began.elapsed());
    }
    let (cpu, bytes) = (processor() - cpu, written() - bytes);
    let updates = size as f64 * blocks as f64;
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let rate = updates / total.as_secs_f64();
    println!(
        "{name:>14} {size:>10} {rate:>12.0} {:>10.2} {:>10.2} {:>12.2} {:>12.0}",
        ms(times[times.len() / 2]),
        ms(times[times.len() * 99 / 100]),
        cpu.as_secs_f64() * 1e6 / updates,
        bytes as f64 / updates
    );
    rate
}

fn fill(keys: u64, commit: &mut Commit<'_>) {
    let mut dice = Dice(7);
    for first in (0..keys).step_by(usize::try_from(FILL_BLOCK).expect("small")) {
        commit((first..keys.min(first + FILL_BLOCK)).map(|number| (key(number), value(&mut dice))).collect());
    }
}

fn per_second(count: u64, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn bare(path: &Path, keys: u64) -> (Vec<f64>, f64) {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_max_background_jobs(2);
    let db = DB::open(&options, path).expect("an empty directory");
    let mut commit = |pairs: Vec<(Vec<u8>, Vec<u8>)>| {
        let mut batch = WriteBatch::default();
        pairs.iter().for_each(|(key, value)| batch.put(key, value));
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        db.write_opt(batch, &synced).expect("the disk takes it");
    };
    fill(keys, &mut commit);
    let rates = SIZES.iter().map(|(size, blocks)| measure("bare RocksDB", keys, *size, *blocks, &mut commit)).collect();
    let mut dice = Dice(3);
    let get = per_second(READS, || (0..READS).for_each(|_| assert!(db.get(key(dice.below(keys))).expect("the disk reads").is_some())));
    (rates, get)
}

fn main() {
    let keys: u64 = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let cache_bytes = std::env::args().skip(1).find_map(|argument| argument.strip_prefix("--cache=")?.parse::<u64>().ok()).map_or(4 << 30, |mib| mib << 20);
    let directory = tempfile::tempdir().expect("a place for files");
    println!("{keys} keys of 32 bytes, values of 32 to 100; each block synced");
    println!("{:>14} {:>10} {:>12} {:>10} {:>10} {:>12} {:>12}", "", "block", "updates/s", "p50 ms", "p99 ms", "cpu us each", "bytes each");
    let (limits, bare_get) = bare(&directory.path().join("bare"), keys);

    let path = directory.path().join("tree");
    let tuning = Tuning { cache_bytes, ..Tuning::default() };
    let store = Store::open_with(&path, CHAIN, tuning).expect("an empty directory");
    let mut commit = |pairs: Vec<(Vec<u8>, Vec<u8>)>| {
        let mut overlay = store.head().child();
        pairs.into_iter().for_each(|(key, value)| overlay.put(key, value));
        store.commit(&overlay.seal(), Vec::new()).expect("it grows from the head");
    };
    fill(keys, &mut commit);
    let rates: Vec<f64> = SIZES.iter().map(|(size, blocks)| measure("tree", keys, *size, *blocks, &mut commit)).collect();
    for ((size, _), (rate, limit)) in SIZES.iter().zip(rates.iter().zip(&limits)) {
        println!("{size:>25} updates a block: {:.2} of the bare database", rate / limit);
    }

    let head = store.head();
    let (root, mut dice) = (head.root(), Dice(3));
    let get = per_second(READS, || (0..READS).for_each(|_| assert!(head.get(&key(dice.below(keys))).is_some())));
    let asked: Vec<Vec<u8>> = (0..READS).map(|_| key(dice.below(keys))).collect();
    let mut proofs = Vec::new();
    let prove = per_second(READS, || proofs.extend(asked.iter().map(|key| head.prove(key))));
    let values: Vec<_> = asked.iter().map(|key| head.get(key)).collect();
    let verify = per_second(READS, || {
        for ((proof, key), value) in proofs.iter().zip(&asked).zip(&values) {
            assert!(proof.verify(&root, key, value.as_deref()));
        }
    });
    let bytes: usize = proofs.iter().map(|proof| encode(proof).len()).sum();
    println!(
        "get {get:.2} us ({:.2} of the bare database's), prove {prove:.2} us, verify {verify:.2} us, {:.0} bytes each",
        get / bare_get,
        bytes as f64 / READS as f64
    );
    println!("{} MiB of memory in this process", memory_mib());
    drop((head, proofs));
    let began = Instant::now();
    drop(store);
    let closed = began.elapsed();
    let began = Instant::now();
    let store = Store::open_with(&path, CHAIN, tuning).expect("what it wrote");
    println!("closed in {:.0} ms, opened in {:.0} ms", closed.as_secs_f64() * 1e3, began.elapsed().as_secs_f64() * 1e3);
    assert_eq!(store.head().root(), root);
    let began = Instant::now();
    assert_eq!(store.verify(), Ok(root));
    println!("every pair read and the root computed again in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
}
