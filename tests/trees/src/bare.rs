//! RocksDB alone: a block is one synced batch to one column family. No tree, no root, no proofs; what the others cannot be faster than while they write their
//! pairs into it.

use std::convert::Infallible;
use std::path::Path;

use rocksdb::{BlockBasedOptions, Cache, DB, Options, WriteBatch, WriteOptions};

use crate::system::{Settings, System};
use crate::workload::{Key, Update};

const BLOOM_BITS_PER_KEY: f64 = 10.0;

/// Options for a family whose keys are random: a large cache, and filters that save reads of files without the key.
pub fn family(cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options
}

/// A cache of the size that all systems have.
pub fn cache(settings: &Settings) -> Cache {
    Cache::new_lru_cache(usize::try_from(settings.cache_bytes).expect("it fits into memory"))
}

/// Makes `options` those of a database.
pub fn database(options: &mut Options, settings: &Settings) {
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(i32::try_from(settings.threads).unwrap_or(i32::MAX));
}

/// Writes a batch, all or nothing; on return it is on disk.
pub fn write(db: &DB, batch: WriteBatch) {
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    db.write_opt(batch, &synced).expect("the disk takes it");
}

/// The open database.
pub struct Bare(DB);

impl System for Bare {
    type Proof = Infallible;

    fn open(path: &Path, settings: &Settings) -> Self {
        let mut options = family(&cache(settings));
        database(&mut options, settings);
        Self(DB::open(&options, path).expect("our directory"))
    }

    fn commit(&mut self, block: &[Update<'_>]) {
        let mut batch = WriteBatch::default();
        block.iter().for_each(|(key, value)| batch.put(key, value));
        write(&self.0, batch);
    }

    fn root(&self) -> Option<[u8; 32]> {
        None
    }

    fn get(&mut self, key: &Key) -> Option<Vec<u8>> {
        self.0.get(key).expect("the disk reads")
    }

    fn prove(&mut self, _: &Key) -> Option<Infallible> {
        None
    }

    fn verify(&self, proof: &Infallible, _: &Key, _: Option<&[u8]>) -> bool {
        match *proof {}
    }

    fn bytes(proof: &Infallible) -> usize {
        match *proof {}
    }

    fn close(self) {}
}
