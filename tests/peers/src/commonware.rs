//! Commonware: its `simplex::Engine` on its deterministic runtime and its simulated network, all links with one constant latency.
//!
//! The engine orders digests; what has the digest is the application's to spread. Here a block goes out on a channel of its own when the engine asks for it,
//! and is voted for when it has arrived. An empty one is not sent. Signatures are its ed25519 scheme. Journals are the runtime's, in memory.
//!
//! Its runtime and network cost something that a heap of events does not; [`network`] measures them alone, with the same traffic.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use commonware_actor::Feedback;
use commonware_consensus::simplex::config::{Floor, ForwardPolicy, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519;
use commonware_consensus::simplex::types::{Activity, Context};
use commonware_consensus::simplex::{Config, Engine, Plan, max_payload_size};
use commonware_consensus::types::{Epoch, Round, TermLength, View, ViewDelta};
use commonware_consensus::{Automaton, CertifiableAutomaton, Handoff, Relay, Reporter, Viewable};
use commonware_cryptography::certificate::mocks::Fixture;
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Hasher, Sha256};
use commonware_p2p::simulated::{self, Link, Network, Oracle};
use commonware_p2p::{Message, Receiver, Recipients, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, IoBuf, Quota, Runner, Spawner, Supervisor, deterministic};
use commonware_utils::channel::oneshot;
use commonware_utils::{NZDuration, NZU16, NZU32, NZUsize, probability};

use crate::record::{Broadcasts, DELAY, Micros, Record, Workload, digest};

/// How much virtual time one round of its scheduler takes; so little that a message's way through its actors does not show beside [`DELAY`].
const CYCLE: Duration = Duration::from_nanos(100);

/// More messages per second, link and channel than anybody sends, and not many more: the engine makes room for as many of each node when it starts.
const QUOTA: Quota = Quota::per_second(NZU32!(500));

/// Channels: votes, certificates, what is missing, blocks.
const CHANNELS: [u64; 4] = [0, 1, 2, 3];

type Shared<T> = Arc<Mutex<T>>;

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(clock: &impl Clock) -> Micros {
    clock.current().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(Micros::MAX))
}

/// The digests of the blocks that are at one node, and who waits for one that is not.
#[derive(Default)]
struct Blocks {
    /// Made here and not sent yet.
    made: Option<(Digest, Vec<u8>)>,
    here: BTreeSet<Digest>,
    waiting: Vec<(Digest, oneshot::Sender<bool>)>,
}

/// One node's application: makes blocks, sends them, waits for those of others, and writes down what is final.
#[derive(Clone)]
struct Application {
    node: usize,
    leaders: Leaders,
    workload: Workload,
    clock: Arc<deterministic::Context>,
    record: Shared<Record>,
    blocks: Shared<Blocks>,
    sender: simulated::Sender<PublicKey, deterministic::Context>,
}

fn ready<T>(value: T) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    // The receiver is here.
    let _ = sender.send(value);
    receiver
}

/// The block of a view: the view's number and the payload.
fn block(view: View, payload: &[u8]) -> Vec<u8> {
    [&view.get().to_le_bytes(), payload].concat()
}

fn digest_of(block: &[u8]) -> Digest {
    Digest(digest(block).0)
}

impl Application {
    fn make(&self, view: View) -> Digest {
        lock(&self.record).propose(view.get(), micros(&*self.clock));
        let block = block(view, &self.workload.payload());
        let digest = digest_of(&block);
        lock(&self.blocks).made = Some((digest, block));
        digest
    }

    /// Empty blocks are not sent: nobody needs more than the digest.
    fn is_spread(&self) -> bool {
        self.workload.payload_bytes > 0
    }
}

impl Automaton for Application {
    type Context = Context<Digest, PublicKey>;
    type Digest = Digest;

    async fn propose(&mut self, context: Self::Context) -> oneshot::Receiver<Digest> {
        ready(self.make(context.round.view()))
    }

    async fn verify(&mut self, _: Self::Context, digest: Digest) -> oneshot::Receiver<bool> {
        let mut blocks = lock(&self.blocks);
        if !self.is_spread() || blocks.here.contains(&digest) {
            return ready(true);
        }
        let (sender, receiver) = oneshot::channel();
        blocks.waiting.push((digest, sender));
        receiver
    }
}

impl CertifiableAutomaton for Application {
    async fn prepare(&mut self, context: Self::Context) -> oneshot::Receiver<Handoff<Digest>> {
        ready(match self.leaders {
            Leaders::Rotating | Leaders::Stable => Handoff::Wait,
            Leaders::Trusting => Handoff::Vote(self.make(context.round.view())),
        })
    }

    async fn certify(&mut self, _: Round, _: Digest) -> oneshot::Receiver<bool> {
        ready(true)
    }
}

impl Relay for Application {
    type Digest = Digest;
    type PublicKey = PublicKey;
    type Plan = Plan<PublicKey>;

    fn broadcast(&mut self, digest: Digest, _: Plan<PublicKey>) -> Feedback {
        let made = lock(&self.blocks).made.take_if(|(made, _)| *made == digest);
        if let Some((_, block)) = made.filter(|_| self.is_spread()) {
            self.sender.send(Recipients::All, block, true);
        }
        Feedback::Ok
    }
}

impl Reporter for Application {
    type Activity = Activity<ed25519::Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        match activity {
            Activity::Finalization(finalization) => lock(&self.record).finalize(self.node, finalization.view().get(), micros(&*self.clock)),
            Activity::Notarize(_) | Activity::Notarization(_) | Activity::Certification(_) | Activity::Finalize(_) => {}
            other @ (Activity::Nullify(_)
            | Activity::Nullification(_)
            | Activity::ConflictingNotarize(_)
            | Activity::ConflictingFinalize(_)
            | Activity::NullifyFinalize(_)) => panic!("nobody is late or misbehaves: {other:?}"),
        }
        Feedback::Ok
    }
}

/// Takes in the blocks of others.
async fn take_in(mut blocks: impl Receiver, store: Shared<Blocks>) {
    while let Ok((_, block)) = blocks.recv().await {
        let digest = digest_of(block.as_ref());
        let mut store = lock(&store);
        store.here.insert(digest);
        for (_, waiting) in store.waiting.extract_if(.., |(wanted, _)| *wanted == digest) {
            // Who asked may have gone on.
            let _ = waiting.send(true);
        }
    }
}

/// Counts what comes out of a channel.
struct Counted<R> {
    inner: R,
    clock: Arc<deterministic::Context>,
    record: Shared<Record>,
}

impl<R: fmt::Debug> fmt::Debug for Counted<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<R: Receiver> Receiver for Counted<R> {
    type Error = R::Error;
    type PublicKey = R::PublicKey;

    async fn recv(&mut self) -> Result<Message<R::PublicKey>, R::Error> {
        let message = self.inner.recv().await?;
        lock(&self.record).carry(message.1.len(), micros(&*self.clock));
        Ok(message)
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}

/// A network in which everybody is linked with everybody.
async fn network_of(context: &deterministic::Context, keys: &[PublicKey], workload: Workload) -> Oracle<PublicKey, deterministic::Context> {
    let count = u32::try_from(keys.len()).expect("few");
    let config = simulated::Config {
        max_size: max_message_size(&[max_payload_size::<ed25519::Scheme, Digest>(count), block(View::zero(), &[]).len() + workload.payload_bytes]),
        max_peers_per_set: NZUsize!(keys.len()),
        disconnect_on_block: true,
        tracked_peer_sets: NZUsize!(1),
    };
    let (network, oracle) = Network::new_with_peers(context.child("network"), config, keys.to_vec()).await;
    network.start();
    let link = Link { latency: Duration::from_micros(DELAY), jitter: Duration::ZERO, success_rate: probability!(1.0) };
    for from in keys {
        for to in keys.iter().filter(|to| *to != from) {
            oracle.add_link(from.clone(), to.clone(), link.clone()).await.expect("both are peers");
        }
    }
    oracle
}

fn runner() -> deterministic::Runner {
    deterministic::Runner::new(deterministic::Config::new().with_seed(0).with_cycle(CYCLE))
}

fn fixture(context: &mut deterministic::Context, count: usize) -> Fixture<ed25519::Scheme> {
    ed25519::fixture(context, b"peers", u32::try_from(count).expect("few"))
}

/// Who leads, and what a leader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaders {
    /// A new one for every view, which builds on what is notarized, as everywhere else here.
    Rotating,
    /// A new one for every view, which builds and votes as soon as it has the block before, trusting that block's leader.
    Trusting,
    /// One for 10 views, up to four of which are under way.
    Stable,
}

impl Leaders {
    fn elector(self) -> RoundRobin {
        match self {
            Self::Rotating | Self::Trusting => RoundRobin::default(),
            Self::Stable => RoundRobin::default().with_term(TermLength::new(NZU32!(10)), Duration::from_secs(10), ViewDelta::new(4)),
        }
    }
}

/// Runs until `record` is done, and gives it back.
pub fn run(record: Record, leaders: Leaders) -> Record {
    let shared = Arc::new(Mutex::new(record));
    let record = shared.clone();
    runner().start(move |mut context| async move {
        let workload = lock(&record).workload();
        let Fixture { participants, schemes, .. } = fixture(&mut context, workload.nodes);
        let oracle = network_of(&context, &participants, workload).await;
        for (node, (key, scheme)) in participants.iter().zip(schemes).enumerate() {
            let context = context.child("validator").with_attribute("node", node);
            let control = oracle.control(key.clone());
            let clock = Arc::new(context.child("clock"));
            let mut channels = Vec::new();
            for channel in CHANNELS {
                let (sender, receiver) = control.register(channel, QUOTA).await.expect("a new channel");
                channels.push((sender, Counted { inner: receiver, clock: clock.clone(), record: record.clone() }));
            }
            let [votes, certificates, missing, (sender, receiver)] = <[_; 4]>::try_from(channels).unwrap_or_else(|_| unreachable!("four channels"));
            let blocks = Shared::<Blocks>::default();
            context.child("blocks").spawn({
                let blocks = blocks.clone();
                move |_| take_in(receiver, blocks)
            });
            let application = Application { node, leaders, workload, clock, record: record.clone(), blocks, sender };
            let config = Config {
                scheme,
                elector: leaders.elector(),
                blocker: control,
                automaton: application.clone(),
                relay: application.clone(),
                reporter: application,
                track_historical_votes: false,
                strategy: Sequential,
                partition: key.to_string(),
                mailbox_size: NZUsize!(1024),
                epoch: Epoch::new(0),
                floor: Floor::Genesis(Sha256::hash(&[b"genesis"])),
                replay_buffer: NZUsize!(1024 * 1024),
                write_buffer: NZUsize!(1024 * 1024),
                page_cache: CacheRef::new(NZU16!(1024), NZUsize!(10)),
                leader_timeout: Duration::from_secs(2),
                certification_timeout: Duration::from_secs(3),
                timeout_retry: Duration::from_secs(10),
                view_retention: ViewDelta::new(10),
                skip: SkipPolicy::Disabled,
                fetch_timeout: NZDuration!(Duration::from_secs(1)),
                fetch_retry_delay: Duration::from_millis(100),
                forward: ForwardPolicy::Disabled,
            };
            let engine = Engine::new(context.child("engine"), config);
            engine.start(votes, certificates, missing);
        }
        while !lock(&record).is_done() {
            context.sleep(Duration::from_micros(DELAY / 2)).await;
        }
    });
    unwrap(shared)
}

/// The runtime and the network alone, with the traffic of a run: every two delays each node sends as many messages of the same mean length to all others,
/// and reads what comes.
pub fn network(record: Record, Broadcasts { count, bytes }: Broadcasts) -> Record {
    let message = IoBuf::from(vec![0; bytes]);
    let shared = Arc::new(Mutex::new(record));
    let record = shared.clone();
    runner().start(move |mut context| async move {
        let workload = lock(&record).workload();
        let Fixture { participants, .. } = fixture(&mut context, workload.nodes);
        let oracle = network_of(&context, &participants, workload).await;
        for (node, key) in participants.iter().enumerate() {
            let (mut sender, receiver) = oracle.control(key.clone()).register(CHANNELS[0], QUOTA).await.expect("a new channel");
            let clock = Arc::new(context.child("clock").with_attribute("node", node));
            let mut receiver = Counted { inner: receiver, clock, record: record.clone() };
            context.child("reader").with_attribute("node", node).spawn(move |_| async move { while receiver.recv().await.is_ok() {} });
            let (record, message) = (record.clone(), message.clone());
            context.child("writer").with_attribute("node", node).spawn(move |context| async move {
                for height in 1.. {
                    if node == 0 {
                        lock(&record).propose(height, micros(&context));
                    }
                    for _ in 0..count {
                        sender.send(Recipients::All, message.clone(), true);
                    }
                    context.sleep(Duration::from_micros(2 * DELAY)).await;
                    lock(&record).finalize(node, height, micros(&context));
                }
            });
        }
        while !lock(&record).is_done() {
            context.sleep(Duration::from_micros(DELAY / 2)).await;
        }
    });
    unwrap(shared)
}

fn unwrap(shared: Shared<Record>) -> Record {
    Arc::into_inner(shared).expect("the runtime dropped its tasks").into_inner().unwrap_or_else(PoisonError::into_inner)
}
