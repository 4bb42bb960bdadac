//! A replica: one ledger on this machine. Consensus, execution, disk and network in one thread that decides nothing by itself.
//!
//! The pure engine says what to do ([`consensus::engine`]); the thread does it: keeps, signs, sends, builds, executes, commits. Whoever wants to know something
//! reads what the thread published last and never waits for it.
//!
//! # In reading order
//! 1. [`records`] what is on disk beside the tree, [`events`] the index of what happened.
//! 2. [`clock`] the thread's time.
//! 3. [`accuse`] what it does last if the chain forked.
//! 4. [`audit`] comparing the ledger's sums after every epoch, beside the thread.
//! 5. [`driver`] the thread.
//! 6. [`service`] answers to the network, and the replica's connection with it.
//! 7. [`past`] reading what was, with what proves it to whoever knows the genesis only.
//! 8. [`snapshots`] states that are given to new replicas, [`mod@join`] how one begins with such a state.
//! 9. [`archive`] reading what a stopped node left.

mod accuse;
mod archive;
mod audit;
mod clock;
mod driver;
mod past;
mod join;
pub mod events;
mod records;
mod service;
mod snapshots;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use chain::ledger::proven::{Entry, KEYS_MAX};
use chain::ledger::query::TransactionState;
use chain::ledger::{Certified, Executed, Mempool, Proven, Refusal, Rules};
use consensus::evidence::Evidence;
use consensus::slot::{SignError, SlotError};
use consensus::{Header, Members, Times};
use p2p::{Endpoint, PeerId, Share};
use primitives::{Epoch, Hash, Height, SecretKey};
use state::{OpenError, Sealed, Store, Tuning};
use tokio::sync::watch;

use snapshots::Snapshots;

pub use archive::{Archive, ArchiveError};
pub use audit::Audited;
pub use clock::wall;
pub use driver::Notice;
pub use join::{Join, JoinError, join};
pub use past::PastError;
pub use records::StoredBlock;
pub use service::{Attached, Channels, META, VALUE, attach};

/// Where in a replica's directory the tree and the records are.
pub const STATE: &str = "state";

/// Bytes of values and proofs in one answer, below what a proven read may have.
const READ_BYTES_MAX: usize = 6 << 20;
/// What a proof is counted as: its length in a tree of 2^32 keys.
const PROOF_BYTES: usize = 33 * 36;

/// Everything a replica needs to start.
pub struct Options<R: Rules> {
    /// Name in logs and of the thread.
    pub name: String,
    /// The ledger's rules.
    pub rules: Arc<R>,
    /// The ledger's genesis hash.
    pub chain: Hash,
    /// The consensus key, if this replica votes whenever the key has a seat.
    pub secret: Option<SecretKey>,
    /// Directory for the tree, the blocks and the signer's slot.
    pub directory: PathBuf,
    /// Consensus times.
    pub times: Times,
    /// Memory and history of the tree.
    pub tuning: Tuning,
    /// The channels on which this ledger talks.
    pub channels: Channels,
    /// The network.
    pub endpoint: Endpoint,
}

/// Why a replica does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The signer's slot.
    #[error(transparent)]
    Signer(#[from] SlotError),
    /// What is on disk does not verify.
    #[error("the data in {path} does not continue this chain: {cause}")]
    Restore {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The operating system.
    #[error("cannot use {path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// The newest final block.
#[derive(Clone)]
pub struct Head {
    /// Its header and proof; `None` at genesis, which needs none.
    pub certified: Option<Certified>,
    /// Its header.
    pub header: Header,
    /// The tree after it.
    pub state: Sealed,
    /// Who votes on the next block.
    pub members: Members,
}

impl Head {
    /// The epoch of the next block.
    pub fn present(&self) -> Epoch {
        if self.header.is_last() { self.header.epoch.next() } else { self.header.epoch }
    }
}

/// What comes to the thread from outside.
enum Event {
    Up(PeerId),
    Down(PeerId),
    Frame { from: PeerId, bytes: Bytes, _share: Share },
    Brought(Evidence),
    Queued,
    Stop,
}

struct Shared<R: Rules> {
    name: String,
    rules: Arc<R>,
    chain: Hash,
    store: Arc<Store>,
    mempool: Mutex<Mempool<R>>,
    head: watch::Sender<Arc<Head>>,
    notices: tokio::sync::broadcast::Sender<Arc<Notice>>,
    inbox: Sender<Event>,
    /// The thread ends after the commit it is in, whatever waits in its inbox.
    stopping: Arc<AtomicBool>,
    channels: Channels,
    endpoint: Endpoint,
    snapshots: Snapshots,
    audit: audit::Audit,
}

/// A handle on a running replica. Cheap to clone.
pub struct Replica<R: Rules>(Arc<Shared<R>>);

impl<R: Rules> Clone for Replica<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The thread of a running replica; stop it before the process ends, so that nothing is cut off in the middle.
pub struct Running {
    stop: Box<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<()>>,
    /// Waits for the walk over the state, which ends soon once the thread was told to stop.
    finish: Box<dyn Fn() + Send + Sync>,
}

impl Running {
    /// Ends the thread and waits for it: at most the one commit it is in.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        (self.stop)();
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has ended the process.
            let _ = thread.join();
        }
        (self.finish)();
    }
}

/// Ends the process if the thread that holds it panics.
struct ExitOnPanic;

impl Drop for ExitOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(driver::EXIT_HALT);
        }
    }
}

impl<R: Rules> Replica<R> {
    /// Opens or creates the replica's directory and starts its thread. `genesis` executes block 0 on the empty tree.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(options: Options<R>, genesis: impl Fn(&Sealed) -> (Header, Executed)) -> Result<(Self, Running), StartError> {
        let (inbox, events) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let opened = driver::open(&options, genesis)?;
        let shared = Arc::new(Shared {
            name: options.name.clone(),
            rules: options.rules.clone(),
            chain: options.chain,
            store: opened.store(),
            mempool: Mutex::new(Mempool::default()),
            head: watch::Sender::new(Arc::new(opened.head(&*options.rules))),
            notices: tokio::sync::broadcast::Sender::new(driver::NOTICES_MAX),
            inbox: inbox.clone(),
            stopping: stopping.clone(),
            channels: options.channels,
            endpoint: options.endpoint,
            snapshots: Snapshots::default(),
            audit: audit::Audit::default(),
        });
        let driver = driver::Driver::new(shared.clone(), opened, options.times)?;
        let head = shared.head.borrow().clone();
        if !audit::look_again(&shared, head.header.epoch, head.header.height, &head.state) {
            audit::begin(&shared, head.header.epoch, head.header.height, head.state.clone());
        }
        let thread = std::thread::Builder::new()
            .name(options.name)
            .spawn(move || {
                // A replica that is gone while its node looks alive would be worse than a node that is gone.
                let guard = ExitOnPanic;
                driver.run(&events);
                drop(guard);
            })
            .map_err(|source| StartError::Io { path: options.directory, source })?;
        let stop = Box::new(move || {
            stopping.store(true, Ordering::Relaxed);
            // Wakes a thread that waits; one that is gone needs no waking.
            let _ = inbox.send(Event::Stop);
        });
        let walks = shared.clone();
        let finish = Box::new(move || walks.audit.finish());
        Ok((Self(shared), Running { stop, thread: Some(thread), finish }))
    }

    /// The newest final block.
    pub fn head(&self) -> Arc<Head> {
        self.0.head.borrow().clone()
    }

    /// Changes whenever a block becomes final.
    pub fn watch(&self) -> watch::Receiver<Arc<Head>> {
        self.0.head.subscribe()
    }

    /// One notice per final block. A reader that is too slow misses some.
    pub fn notices(&self) -> tokio::sync::broadcast::Receiver<Arc<Notice>> {
        self.0.notices.subscribe()
    }

    /// The last state whose sums were compared, and hold.
    pub fn audited(&self) -> Option<Audited> {
        self.0.audit.last()
    }

    /// Who votes on the next block.
    pub fn members(&self) -> Members {
        self.head().members.clone()
    }

    /// Transactions that wait.
    pub fn waiting(&self) -> usize {
        lock(&self.0.mempool).len()
    }

    /// Queues a transaction and tells the other replicas.
    ///
    /// # Errors
    /// [`Refusal`] with the numbers.
    pub fn submit(&self, bytes: Vec<u8>) -> Result<Hash, Refusal> {
        let hash = self.0.admit(bytes.clone())?;
        self.0.endpoint.broadcast(self.0.channels.transactions, p2p::Class::Bulk, bytes);
        Ok(hash)
    }

    /// Takes evidence that somebody brings: if the ledger takes it, it is kept, waits for a block, and the other replicas are told.
    pub fn bring(&self, evidence: Evidence) {
        // The thread is gone only when the node stops.
        let _ = self.0.inbox.send(Event::Brought(evidence));
    }

    /// The values under `keys` with proofs at the newest final block; `None` before the first block.
    pub fn read(&self, keys: &[Vec<u8>]) -> Option<Proven> {
        let head = self.head();
        let certified = head.certified.clone()?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for key in keys.iter().take(KEYS_MAX) {
            let entry = Entry { key: key.clone(), value: head.state.get(key), proof: head.state.prove(key) };
            bytes += entry.value.as_ref().map_or(0, Vec::len) + PROOF_BYTES;
            if bytes > READ_BYTES_MAX {
                // The answer then has fewer keys than were asked for, which the asker sees.
                break;
            }
            entries.push(entry);
        }
        Some(Proven { certified, entries })
    }

    /// The first nonce of a sender, from its `next` one on, for which nothing waits here.
    pub fn free_nonce(&self, sender: &Hash, next: u64) -> u64 {
        lock(&self.0.mempool).free_nonce(sender, next)
    }

    /// A final block by height.
    pub fn block(&self, height: Height) -> Option<StoredBlock> {
        records::block(&self.0.store, height)
    }

    /// The height of a final block by its header's hash.
    pub fn height_of(&self, hash: &Hash) -> Option<Height> {
        records::height_of(&self.0.store, hash)
    }

    /// The last block of an epoch that is over.
    pub fn epoch_end(&self, epoch: Epoch) -> Option<StoredBlock> {
        records::epoch_end(&self.0.store, epoch)
    }

    /// All proofs of contradictions that were kept, oldest epoch first.
    pub fn evidence(&self) -> Vec<Evidence> {
        records::evidence(&self.0.store)
    }

    /// Where a transaction is.
    pub fn transaction(&self, hash: &Hash) -> TransactionState {
        match records::transaction(&self.0.store, hash) {
            Some((height, index, receipt)) => TransactionState::Final { height, index, receipt },
            None if lock(&self.0.mempool).contains(hash) => TransactionState::Waiting,
            None => TransactionState::Unknown,
        }
    }

    /// Looks for events in the index.
    pub fn events(&self, wanted: &events::Wanted) -> events::Found {
        events::find(&self.0.store, wanted)
    }

    /// The first block whose events are indexed; the next one if nothing is final yet.
    pub fn indexed_from(&self) -> Height {
        events::indexed_from(&self.0.store).unwrap_or_else(|| self.head().header.height.next())
    }

    /// The newest final transactions, newest first: (height, index).
    pub fn newest_transactions(&self, limit: usize) -> Vec<(Height, u32)> {
        records::newest_transactions(&self.0.store, limit)
    }
}

impl<R: Rules> Shared<R> {
    /// Verifies and queues a transaction, and wakes a leader that waits for one.
    fn admit(&self, bytes: Vec<u8>) -> Result<Hash, Refusal> {
        let hash = chain::ledger::block::transaction_hash(&bytes);
        if lock(&self.mempool).contains(&hash) {
            return Ok(hash);
        }
        if records::transaction_place(&self.store, &hash).is_some() {
            return Err(Refusal::Never(format!("transaction {hash} is in a final block already")));
        }
        let transaction = self.rules.verify(std::slice::from_ref(&bytes)).into_iter().next().unwrap_or_else(|| Err(Refusal::Never("no verdict".into())))?;
        let state = self.head.borrow().state.clone();
        let hash = lock(&self.mempool).insert(&self.rules, &state, bytes, transaction)?;
        // The thread is gone only when the node stops.
        let _ = self.inbox.send(Event::Queued);
        Ok(hash)
    }

    /// Hashes of the transactions of these bodies.
    fn hashes<'a>(bodies: impl IntoIterator<Item = &'a chain::ledger::Body>) -> BTreeSet<Hash> {
        bodies.into_iter().flat_map(|body| body.transactions.iter().map(|bytes| chain::ledger::block::transaction_hash(bytes))).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock still holds a whole value: nothing is left half changed by a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A signature that could not be made durable must never leave; nor may anything after it.
fn fatal(name: &str, error: &SignError) -> ! {
    tracing::error!(replica = name, %error, "the signer's slot cannot be written; stopping so that nothing unsafe is signed");
    std::process::exit(state::EXIT_DISK)
}
