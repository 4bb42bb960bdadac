//! Whether what is forgotten takes no room: the size of our store over a long run of blocks, with its history: `make bench-state GROWTH=10000`.
//!
//! Every block of a fixed size updates random keys, so the state itself does not grow. What may grow is the journal, up to the history that is kept, and what
//! RocksDB has not compacted yet. Every so often the oldest state that should be there is looked at, and a
//! value of it proved.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::Instant;

use primitives::Hash;
use state::{StateRoot, Store, Tuning};

use crate::system::Settings;
use crate::workload::{Workload, key};

const CHAIN: Hash = Hash([1; 32]);
const BLOCK: usize = 1000;
const HISTORY: u64 = 1000;
/// Lines of the table.
const LINES: usize = 20;

/// Bytes of all files below a directory.
fn bytes(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    // A file that goes while it is looked at is gone.
    entries.map(|entry| if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().map_or(0, |data| data.len()) }).sum()
}

/// Runs so many blocks and prints the table.
pub fn run(settings: &Settings, blocks: usize) {
    let directory = tempfile::tempdir().expect("a place for files");
    let tuning = Tuning { cache_bytes: settings.cache_bytes, history: HISTORY, ..Tuning::default() };
    let store = Store::open_with(directory.path(), CHAIN, tuning).expect("an empty directory");
    let mut workload = Workload::new(settings.keys);
    let commit = |updates: Vec<(crate::workload::Key, &[u8])>| {
        let mut overlay = store.head().child();
        updates.into_iter().for_each(|(key, value)| overlay.put(key.to_vec(), value.to_vec()).expect("short"));
        store.commit(&overlay.seal(), Vec::new()).expect("it grows from the head");
    };
    for filling in workload.filling() {
        filling.blocks(usize::MAX).for_each(commit);
    }
    println!("{} keys, blocks of {BLOCK} updates, history of {} states and {} MiB", settings.keys, tuning.history, tuning.history_bytes >> 20);
    println!("{:>8} {:>12} {:>12} {:>14} {:>14}", "block", "on disk MiB", "blocks/s", "oldest kept", "reached in ms");
    let mut roots: VecDeque<StateRoot> = VecDeque::new();
    let mut began = Instant::now();
    let step = (blocks / LINES).max(1);
    for block in 1..=blocks {
        for updates in workload.updates(BLOCK, 1).blocks(BLOCK) {
            commit(updates);
        }
        roots.push_front(store.head().root());
        roots.truncate(usize::try_from(tuning.history).expect("few"));
        if block % step == 0 {
            let rate = f64::from(u32::try_from(step).expect("few")) / began.elapsed().as_secs_f64();
            let looked = Instant::now();
            let (oldest, reached) = roots.back().map(|root| (roots.len(), store.at(root))).expect("a block was committed");
            let state = reached.expect("as many are kept as the history says: their bytes are fewer than it may take");
            let ms = looked.elapsed().as_millis();
            assert!(state.get(&key(0)).is_some() && state.prove(&key(0)).verify(&state.root(), &key(0), state.get(&key(0)).as_deref()));
            println!("{block:>8} {:>12} {rate:>12.1} {oldest:>14} {ms:>14}", bytes(directory.path()) >> 20);
            began = Instant::now();
        }
    }
}
