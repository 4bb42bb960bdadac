//! A validator that joins a chain of many accounts, over real connections: from several peers, past one that lies, on from where it was cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chain::genesis::{GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY};
use chain::ledger::query::{Answer, Request};
use chain::parameters::Parameters;
use chain::{Genesis, ValueLedger};
use p2p::{Config, Contact, Endpoint, Event, Limits, Plane, Secret};
use primitives::encoding::{decode, encode};
use primitives::{AccountSecret, Address, Amount, Bytes, Hash, Height, SecretKey, Time};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::replica::{Replica, VALUE};
use crate::roles::loopback;
use crate::roles::validator::{Settings, Validator};

/// Longest wait for anything: far above what it takes.
const PATIENCE: Duration = Duration::from_secs(60);
const ACCOUNTS: u64 = 20_000;
/// Long enough to fetch a snapshot in, with others working beside.
const EPOCH_MS: u64 = 5000;

fn genesis() -> Genesis {
    let person = |seed: u8| AccountSecret::from_seed(&[seed; 32]).address();
    let account = |address, balance| GenesisAccount { address, balance, ozone_for: Amount::ZERO };
    let mut accounts: Vec<GenesisAccount> = (0..ACCOUNTS)
        .map(|number| {
            let hash = Hash::of("account", &[&number.to_le_bytes()]);
            account(Address(hash.0[..20].try_into().expect("20 of 32 bytes")), Amount::stos(1))
        })
        .collect();
    let node = |seed: u8, capacity| GenesisNode {
        operator: person(seed),
        key: SecretKey::from_seed(&[seed; 32]).public(),
        peer: Secret::from_seed([seed; 32]).peer().to_bytes(),
        addresses: vec!["/ip4/127.0.0.1/tcp/1".into()],
        deposit: Amount::stos(100),
        capacity,
    };
    let (stake, reserve) = (Amount::stos(1000), Amount::stos(90_000_000));
    let given = Amount::stos(ACCOUNTS + 200).saturating_add(stake).saturating_add(reserve);
    accounts.push(account(person(1), TOTAL_SUPPLY.checked_sub(given).expect("there is more")));
    Genesis {
        name: "join".into(),
        time: Time(1_000_000),
        parameters: Parameters { epoch_ms: EPOCH_MS, ..Parameters::dev() },
        reserve,
        accounts,
        validators: vec![GenesisValidator {
            operator: person(10),
            key: SecretKey::from_seed(&[10; 32]).public(),
            stake,
            commission: chain::staking::Commission::unlimited(0),
        }],
        meta_nodes: vec![node(20, Bytes::ZERO)],
        resource_nodes: vec![node(30, Bytes(1 << 40))],
        continued: None,
    }
}

/// A chain of one voter, and who follows it.
struct World {
    directory: tempfile::TempDir,
    genesis: Arc<Genesis>,
    voter: Validator,
    follower: Validator,
}

impl World {
    async fn start() -> Self {
        let (directory, genesis) = (tempfile::tempdir().expect("a directory"), Arc::new(genesis()));
        let settings = |seed| settings(directory.path(), &genesis, seed);
        let voter = Validator::start(settings(10), &[]).await.expect("it starts");
        let follower = Validator::start(settings(11), &[voter.endpoint.contact()]).await.expect("it starts");
        follower.keep(&[voter.endpoint.contact()]).await;
        let world = Self { directory, genesis, voter, follower };
        for node in [&world.voter, &world.follower] {
            let mut heads = node.value.watch();
            // The first epoch ends with the first block, which is long after genesis.
            let reached = heads.wait_for(|head| head.header.epoch.0 >= 2);
            timeout(PATIENCE, reached).await.expect("epochs end").expect("the replica runs");
        }
        world
    }

    fn settings(&self, seed: u8) -> Settings {
        settings(self.directory.path(), &self.genesis, seed)
    }

    /// Somebody who answers by `answer`, which is given how often a chunk was asked for before, the question, and the voter.
    async fn impostor(&self, answer: impl Fn(usize, Request, &Replica<ValueLedger>) -> Option<Answer> + Send + 'static) -> Impostor {
        let config = Config {
            secret: Secret::random(),
            listen: vec![loopback(0)],
            network: self.genesis.network(),
            plane: Plane::Control,
            channels: Vec::new(),
            serve: vec![VALUE.requests],
            streams: Vec::new(),
            topics: Vec::new(),
            limits: Limits::default(),
        };
        let (endpoint, mut events) = Endpoint::start(config).await.expect("an endpoint");
        let (value, chunks) = (self.voter.value.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = chunks.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Event::Request { body, responder, .. } = event else { continue };
                let request: Request = decode(&body, body.len()).expect("a request");
                let count = if matches!(request, Request::Chunk { .. }) { counted.fetch_add(1, Ordering::SeqCst) } else { 0 };
                if let Some(answer) = answer(count, request, &value) {
                    responder.answer(encode(&answer));
                }
            }
        });
        Impostor { contact: endpoint.contact(), endpoint, chunks, task }
    }

    async fn stop(self) {
        self.follower.stop().await;
        self.voter.stop().await;
    }
}

struct Impostor {
    contact: Contact,
    endpoint: Endpoint,
    chunks: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Impostor {
    fn chunks(&self) -> usize {
        self.chunks.load(Ordering::SeqCst)
    }

    async fn stop(self) {
        self.endpoint.close().await;
        self.task.abort();
    }
}

fn settings(directory: &std::path::Path, genesis: &Arc<Genesis>, seed: u8) -> Settings {
    let name = format!("validator-{seed}");
    let (key, peer) = (SecretKey::from_seed(&[seed; 32]), Secret::from_seed([seed; 32]));
    Settings { directory: directory.join(&name), name, genesis: genesis.clone(), key, peer, port: 0, tuning: state::Tuning::shared_by(16) }
}

/// The node has the chain from an epoch's end on, not from the beginning, with the same state, and follows it.
async fn check(world: &World, joined: &Validator) {
    joined.keep(&[world.voter.endpoint.contact()]).await;
    assert!(joined.value.block(Height(1)).is_none(), "it did not fetch what was before");
    let height = joined.value.head().header.height;
    let mut heads = joined.value.watch();
    let reached = heads.wait_for(|head| head.header.height.0 >= height.0 + 5);
    timeout(PATIENCE, reached).await.expect("it follows").expect("the replica runs");
    let head = joined.value.head();
    // Who follows may have committed it first.
    let mut heads = world.voter.value.watch();
    let reached = heads.wait_for(|theirs| theirs.header.height >= head.header.height);
    timeout(PATIENCE, reached).await.expect("it has it too").expect("the replica runs");
    let theirs = world.voter.value.block(head.header.height).expect("it has it too");
    assert_eq!(theirs.block.header, head.header);
    assert_eq!(head.state.root(), theirs.body().expect("a body").summary.state);
    assert!(head.state.len() > ACCOUNTS);
}

/// Checks a joining node against two honest peers and one whose chunks are false: it is found out, and asked no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_past_a_liar() {
    let world = World::start().await;
    let liar = world
        .impostor(|_, request, value| {
            let mut answer = value.answer(request);
            if let Answer::Chunk(Some(chunk)) = &mut answer
                && let Some((_, value)) = chunk.pairs.last_mut()
            {
                value[0] ^= 1;
            }
            Some(answer)
        })
        .await;
    // True, and of no use: it would take for ever.
    let nothing = |request| if let Request::Chunk { state, from, .. } = request { Request::Chunk { state, from, to: from } } else { request };
    let miser = world.impostor(move |_, request, value| Some(value.answer(nothing(request)))).await;
    let others = [liar.contact.clone(), miser.contact.clone(), world.voter.endpoint.contact(), world.follower.endpoint.contact()];
    let joined = timeout(PATIENCE, Validator::start(world.settings(12), &others)).await.expect("in time").expect("it starts");
    check(&world, &joined).await;
    for (liar, name) in [(&liar, "false"), (&miser, "empty")] {
        assert!((1..=super::CHUNKS_PER_REPLICA).contains(&liar.chunks()), "{} {name} chunks were asked for", liar.chunks());
    }

    // With its chain it starts like any other, whoever else is there; and others can begin with what it gives.
    joined.stop().await;
    let again = Validator::start(world.settings(12), &[]).await.expect("it starts");
    check(&world, &again).await;
    let mut heads = again.value.watch();
    let present = again.value.head().header.epoch;
    timeout(PATIENCE, heads.wait_for(|head| head.header.epoch > present)).await.expect("an epoch ends").expect("the replica runs");
    let next = timeout(PATIENCE, Validator::start(world.settings(13), &[again.endpoint.contact()])).await.expect("in time").expect("it starts");
    check(&world, &next).await;
    next.stop().await;
    again.stop().await;
    liar.stop().await;
    miser.stop().await;
    world.stop().await;
}

/// Cut off in the middle, a node goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_after_a_cut() {
    const SERVED: usize = 100;
    let world = World::start().await;
    let only = world.impostor(|count, request, value| (count < SERVED).then(|| value.answer(request))).await;
    let cut = tokio::spawn({
        let (settings, others) = (world.settings(12), [only.contact.clone()]);
        async move { Validator::start(settings, &others).await.map(|_| ()) }
    });
    let is_cut = async {
        while only.chunks() <= SERVED {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, is_cut).await.expect("chunks were asked for");
    cut.abort();
    assert!(cut.await.is_err_and(|error| error.is_cancelled()), "it was still waiting");
    only.stop().await;

    let rest = world.impostor(|_, request, value| Some(value.answer(request))).await;
    let joined = timeout(PATIENCE, Validator::start(world.settings(12), std::slice::from_ref(&rest.contact))).await.expect("in time").expect("it starts");
    assert!((1..=state::REGIONS - SERVED + super::CHUNKS_PER_REPLICA).contains(&rest.chunks()), "{} chunks were asked for again", rest.chunks());
    check(&world, &joined).await;
    joined.stop().await;
    rest.stop().await;
    world.stop().await;
}

/// Who finds no snapshot begins at the beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_snapshot_it_begins_at_the_beginning() {
    let world = World::start().await;
    let none = world
        .impostor(|_, request, value| Some(if matches!(request, Request::Snapshot { .. }) { Answer::Snapshot(None) } else { value.answer(request) }))
        .await;
    let joined = timeout(PATIENCE, Validator::start(world.settings(12), std::slice::from_ref(&none.contact))).await.expect("in time").expect("it starts");
    joined.keep(&[world.voter.endpoint.contact()]).await;
    let mut heads = joined.value.watch();
    timeout(PATIENCE, heads.wait_for(|head| head.header.height > Height(3))).await.expect("it follows").expect("the replica runs");
    assert!(joined.value.block(Height(1)).is_some());
    joined.stop().await;
    none.stop().await;
    world.stop().await;
}
