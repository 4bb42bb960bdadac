//! Our state tree beside its limit, a bare RocksDB, and beside three other trees, in one process and one run: `make bench-state`.
//!
//! Keys are 32 bytes, values 32 to 100. Every key gets a value; then come blocks of updates to random keys, each block one commit that is on disk when it
//! returns; then reads and proofs of random keys. All blocks and questions are the same for all systems, each of which has a new directory and is closed
//! before the next one begins. Every value read is compared with what was written, every proof is verified, and both again after a start.
//!
//! The machine should have nothing else to do. Where other programs run, whoever waited for a disk may get the processor back only at the end of a tick (up to
//! 4 ms for each sync, whatever the niceness), which is then all that small blocks show.
//!
//! Arguments: the number of keys (1,000,000), `--only bare,ours` for some of the systems, `--cache=MiB` for their caches (512). `--growth 10000` measures
//! something else: how our store grows over so many blocks (`growth`).
//!
//! # Rows
//! Of each number there are two ratios: to the bare database's and to ours.
//! - **updates/s**: of the time spent in commits. **block**: one commit. **processor**: of all threads, from the first block of a size to the last.
//!   **written**: what the system counts as this process' writes to disks (`write_bytes`), in the same span. What is brought to disk later, and less often
//!   than there are blocks, falls into one span or into none; **all** is from the first block to after the closing.
//! - **get**, **prove**, **verify**: the mean over 20,000 keys, one after the other, with what the commits left in the caches. **absent**: keys without a
//!   value.
//! - **memory**: resident memory that the process used from before the opening to after the reads, by the kernel's marks of use (`clear_refs`). That is how
//!   much a fresh process would have grown: what an earlier system freed and the allocator kept does not hide what this one takes.
//! - **start-up**: until the first value is read. Files are in the system's cache.
//!
//! # Systems
//! | | version | settings |
//! |---|---|---|
//! | bare | RocksDB 11.8 | Bloom filters, no compression |
//! | ours | this tree | a node's |
//! | jmt | 0.12.0 | RocksDB as the bare one, batches in one step (`batch_put_value_sets`) |
//! | nomt | 1.0.5 | its defaults, SHA-256, a hash table at least twice as large as needed |
//! | qmdb | commonware-storage 2026.10.0, `current::ordered::variable` | those of its own bench of the production shape |
//!
//! All hash with SHA-256. Whoever lets us say how many threads has one for each core; whoever has a cache has `--cache` bytes of it.
//!
//! # Not equal
//! - **History.** nomt has the last state only. Ours keeps what its last 10,000 commits changed, up to 1 GiB. jmt keeps every version, provable, for nothing
//!   is pruned here; so does qmdb its log, in which only the last state can be read and proved by key. The bare database has the last state.
//! - **Roots.** Ours, jmt's and nomt's are functions of the pairs. That of qmdb depends on all blocks before too: whoever has the pairs cannot compute it.
//! - **Keys.** Ours may be any bytes: they are hashed here, stored, and listed by prefix. jmt and nomt take our keys as paths without hashing, and store no
//!   others; neither lists keys in an order of its own. Those of qmdb are 32 bytes, in order, and all in memory by their first eight.
//! - **Memory.** A cache is not all that a system has. qmdb allocates its page cache at once and has the index besides, whose size no setting bounds. Ours
//!   bounds its trie, and has RocksDB's buffers besides; bare and jmt have those too.
//! - **The system's cache.** nomt reads and writes past it; all others profit from it.
//! - **Disk.** Ours and qmdb write a log and bring the rest to disk later, and ours writes what is behind it in another thread. nomt brings all to disk in
//!   every commit. On closing, qmdb syncs what a start would have to repeat; bare and jmt leave it in RocksDB's log.
//! - **Absence.** In ours, jmt and nomt a proof of absence is a path as of presence. In qmdb it is the update of the key before, with its value.
//! - **Commits.** Ours makes a state before it commits it, which others may grow from meanwhile; so do nomt and qmdb, but here no overlay is used. Copying
//!   keys and values is counted for those who want them owned: all but the bare one.
//! - **Runtime.** qmdb runs on Commonware's tokio runtime; its io_uring runtime is not here.
//! - **Allocator.** All use mimalloc, as a node does.

mod growth;
mod workload;
mod system;
mod bare;
mod ours;
mod jmt;
mod nomt;
mod qmdb;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use system::{Row, Settings, measure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A name, and what measures it.
type Measured = (&'static str, fn(&Settings) -> Vec<Row>);

/// What is measured, in the order of the table.
const SYSTEMS: [Measured; 5] = [
    ("bare", measure::<bare::Bare>),
    ("ours", measure::<ours::Ours>),
    ("jmt", measure::<jmt::Jmt>),
    ("nomt", measure::<nomt::Nomt>),
    ("qmdb", measure::<qmdb::Qmdb>),
];

const USAGE: &str = "usage: trees [KEYS] [--only bare,ours,jmt,nomt,qmdb] [--cache=MIB] [--growth BLOCKS]";

/// Which systems, and how.
fn arguments() -> Option<(Settings, Vec<usize>, Option<usize>)> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut settings = Settings { keys: 1_000_000, cache_bytes: 512 << 20, threads };
    let mut systems: Vec<usize> = (0..SYSTEMS.len()).collect();
    let mut growth = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--only" {
            let names = arguments.next()?;
            systems = names.split(',').map(|name| SYSTEMS.iter().position(|(system, _)| *system == name)).collect::<Option<_>>()?;
            systems.sort_unstable();
            systems.dedup();
        } else if argument == "--growth" {
            growth = Some(arguments.next()?.parse().ok().filter(|blocks| (1..1 << 30).contains(blocks))?);
        } else if let Some(mib) = argument.strip_prefix("--cache=") {
            settings.cache_bytes = mib.parse::<u64>().ok().filter(|mib| (1..1 << 30).contains(mib))? << 20;
        } else {
            // Two keys at least: a block has half of them.
            settings.keys = argument.parse().ok().filter(|keys| (2..1 << 32).contains(keys))?;
        }
    }
    Some((settings, systems, growth))
}

/// Three digits, or as many as a whole number has.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A number, and its ratios to those of the bare database and of ours.
fn cell(value: Option<f64>, bare: Option<f64>, ours: Option<f64>) -> String {
    let ratio = |to: Option<f64>| value.zip(to).filter(|(_, to)| *to != 0.0).map_or("-".into(), |(value, to)| number(value / to));
    format!("{:>10} {:>6} {:>6}", value.map_or("-".into(), number), ratio(bare), ratio(ours))
}

fn print(columns: &[(&str, Vec<Row>)]) {
    let heading = |(system, _): &(&str, _)| format!(" | {system:>10} {:>6} {:>6}", "/bare", "/ours");
    println!("{:<26}{}", "", columns.iter().map(heading).collect::<String>());
    let rows = columns.first().map_or(0, |(_, rows)| rows.len());
    for index in 0..rows {
        let of = |system: &str| columns.iter().find(|(name, _)| *name == system).and_then(|(_, rows)| rows[index].value);
        let cells: String = columns.iter().map(|(_, rows)| format!(" | {}", cell(rows[index].value, of("bare"), of("ours")))).collect();
        println!("{:<26}{cells}", columns[0].1[index].label);
    }
}

fn main() -> ExitCode {
    let Some((settings, systems, growth)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(blocks) = growth {
        growth::run(&settings, blocks);
        return ExitCode::SUCCESS;
    }
    let Settings { keys, cache_bytes, threads } = settings;
    println!("{keys} keys of 32 bytes, values of 32 to 100; each block synced; caches of {} MiB, {threads} threads", cache_bytes >> 20);
    let mut columns = Vec::new();
    for system in systems {
        let (name, measure) = SYSTEMS[system];
        eprintln!("measuring {name}");
        columns.push((name, measure(&settings)));
    }
    print(&columns);
    ExitCode::SUCCESS
}
