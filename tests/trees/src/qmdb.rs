//! The QMDB of Commonware's `storage`, `current::ordered::variable`: a log of updates under a Merkle mountain belt, a bitmap of those that still hold, an
//! index of all keys in memory. Each update names the next key, which is what proves that there is none between.
//!
//! Settings are those of its bench `constantinople`, which calls them the production shape, with threads and cache as for everybody here. A block is
//! merkleized, applied and committed; `commit` syncs the log. Files are those of its tokio runtime, whose futures the calling thread drives.

use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use commonware_codec::{EncodeSize, RangeCfg};
use commonware_cryptography::Sha256;
use commonware_cryptography::sha256::Digest;
use commonware_parallel::Rayon;
use commonware_runtime::buffer::paged::{CacheRef, page_size};
use commonware_runtime::tokio::{Config as RuntimeConfig, Context, Runner};
use commonware_runtime::{BLOB_PAGE_SIZE, Runner as _, Strategizer, Supervisor};
use commonware_storage::journal::contiguous::variable::Config as LogConfig;
use commonware_storage::merkle::{full::Config as MerkleConfig, mmb};
use commonware_storage::qmdb::Error;
use commonware_storage::qmdb::any::value::VariableEncoding;
use commonware_storage::qmdb::current::VariableConfig;
use commonware_storage::qmdb::current::ordered::proof::constant::{ExclusionProof, KeyValueProof};
use commonware_storage::qmdb::current::ordered::variable::Db;
use commonware_storage::qmdb::floor::Proportional;
use commonware_storage::translator::EightCap;
use commonware_utils::channel::oneshot;
use commonware_utils::{NZU64, NZUsize};
use tokio::runtime::Handle;

use crate::system::{Settings, System};
use crate::workload::{Key, Update};

/// Bytes of a chunk of the bitmap.
const CHUNK_BYTES: usize = 32;
const PAGE_BYTES: NonZeroU16 = page_size(BLOB_PAGE_SIZE);
const ITEMS_PER_FILE: NonZeroU64 = NZU64!(10_000_000);
const BUFFER_BYTES: NonZeroUsize = NZUsize!(2 * 1024 * 1024);
const INIT_CACHE: NonZeroUsize = NZUsize!(1 << 18);
/// More bytes than a value has.
const VALUE_BYTES_MAX: usize = 1024;

type Current = Db<mmb::Family, Context, Digest, Vec<u8>, Sha256, EightCap, CHUNK_BYTES, Rayon>;

/// How its log reads keys and values.
type LogCodec = ((), (RangeCfg<usize>, ()));

/// It has two kinds.
pub enum Proof {
    /// Of a value.
    Present(KeyValueProof<mmb::Family, Digest, Digest, CHUNK_BYTES>),
    /// Of none.
    Absent(ExclusionProof<mmb::Family, Digest, VariableEncoding<Vec<u8>>, Digest, CHUNK_BYTES>),
}

/// Its runtime, whose own thread only waits for the end.
struct Runtime {
    handle: Handle,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// The open database.
pub struct Qmdb {
    /// It is moved into everything that changes it, and comes back.
    db: Option<Current>,
    runtime: Runtime,
}

fn start(path: &Path) -> (Runtime, Context) {
    let config = RuntimeConfig::new().with_storage_directory(path);
    let (sender, receiver) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        Runner::new(config).start(|context| async move {
            sender.send((Handle::current(), context)).expect("somebody waits for it");
            // An end without a message is one too.
            let _ = ended.await;
        });
    });
    let (handle, context) = receiver.recv().expect("the runtime starts");
    (Runtime { handle, end, thread }, context)
}

fn config(context: &Context, settings: &Settings) -> VariableConfig<EightCap, LogCodec, Rayon> {
    let pages = settings.cache_bytes / u64::from(BLOB_PAGE_SIZE);
    let page_cache = CacheRef::new(PAGE_BYTES, NZUsize!(usize::try_from(pages).expect("they fit into memory")));
    VariableConfig {
        merkle_config: MerkleConfig {
            journal_partition: "merkle-journal".into(),
            metadata_partition: "merkle-metadata".into(),
            items_per_blob: ITEMS_PER_FILE,
            write_buffer: BUFFER_BYTES,
            replay_buffer: BUFFER_BYTES,
            strategy: context.strategy(NZUsize!(settings.threads)),
            page_cache: page_cache.clone(),
        },
        journal_config: LogConfig {
            partition: "log".into(),
            items_per_section: ITEMS_PER_FILE,
            compression: None,
            codec_config: ((), ((0..=VALUE_BYTES_MAX).into(), ())),
            page_cache,
            write_buffer: BUFFER_BYTES,
            replay_buffer: BUFFER_BYTES,
        },
        grafted_metadata_partition: "grafted-metadata".into(),
        translator: EightCap,
        init_cache: Some(INIT_CACHE),
        init_buffer: BUFFER_BYTES,
        init_concurrency: (),
    }
}

impl Qmdb {
    fn db(&self) -> &Current {
        self.db.as_ref().expect("it comes back")
    }
}

impl System for Qmdb {
    type Proof = Proof;

    fn open(path: &Path, settings: &Settings) -> Self {
        let (runtime, context) = start(path);
        let config = config(&context, settings);
        let db = runtime.handle.block_on(Current::init(context.child("db"), config, None)).expect("our directory");
        Self { db: Some(db), runtime }
    }

    fn commit(&mut self, block: &[Update<'_>]) {
        let db = self.db.take().expect("it comes back");
        self.db = Some(self.runtime.handle.block_on(async {
            let batch = block.iter().fold(db.new_batch(), |batch, (key, value)| batch.write(Digest(*key), Some(value.to_vec())));
            let batch = batch.merkleize(&db, None, &mut Proportional).await.expect("the disk reads");
            let db = db.apply_batch(batch).await.expect("it grows from the head");
            db.commit().await.expect("the disk takes it")
        }));
    }

    fn root(&self) -> Option<[u8; 32]> {
        Some(self.db().root().0)
    }

    fn get(&mut self, key: &Key) -> Option<Vec<u8>> {
        self.runtime.handle.block_on(self.db().get(&Digest(*key))).expect("the disk reads")
    }

    fn prove(&mut self, key: &Key) -> Option<Proof> {
        let key = Digest(*key);
        Some(self.runtime.handle.block_on(async {
            match self.db().key_value_proof(key).await {
                Err(Error::KeyNotFound) => Proof::Absent(self.db().exclusion_proof(&key).await.expect("the disk reads")),
                proof => Proof::Present(proof.expect("the disk reads")),
            }
        }))
    }

    fn verify(&self, proof: &Proof, key: &Key, value: Option<&[u8]>) -> bool {
        let (key, root) = (Digest(*key), self.db().root());
        match (proof, value) {
            (Proof::Present(proof), Some(value)) => proof.verify::<Sha256, VariableEncoding<Vec<u8>>>(key, value.to_vec(), &root),
            (Proof::Absent(proof), None) => proof.verify::<Sha256>(&key, &root),
            (Proof::Present(_), None) | (Proof::Absent(_), Some(_)) => false,
        }
    }

    fn bytes(proof: &Proof) -> usize {
        match proof {
            Proof::Present(proof) => proof.encode_size(),
            Proof::Absent(proof) => proof.encode_size(),
        }
    }

    fn close(self) {
        let Self { db, runtime: Runtime { handle, end, thread } } = self;
        // Spares the next start what a commit leaves to it.
        drop(handle.block_on(db.expect("it comes back").sync()).expect("the disk takes it"));
        end.send(()).expect("the runtime waits for it");
        thread.join().expect("the runtime ends");
    }
}
