//! The thread of a replica: feeds the engine and performs its outputs in order, each finished before the next begins.
//!
//! The only decisions here are the ledger's own: when a leader builds (as soon as a transaction waits, at the latest when the idle time is over), what a block
//! executes to, and what becomes of evidence about epochs that the engine does not know. A failed write ends the process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use chain::ledger::execute::{Parent, build, check};
use chain::ledger::{BlockInfo, Body, Certified, Electorate, EvidencePool, Executed, Heard, Log, Refusal, Rules, digest};
use consensus::block::PAYLOAD_BYTES_MAX;
use consensus::config::Attendance;
use consensus::engine::{Halt, Kept, Offence};
use consensus::evidence::Evidence;
use consensus::message::{Chain, Tip};
use consensus::slot::SignError;
use consensus::{Block, Config, Engine, Finality, Header, Input, Message, Output, Peer, Restored, Signer, Times, Vote};
use p2p::{Class, PeerId};
use primitives::{Epoch, Hash, Height, Time};
use state::{OpenError, Record, Sealed, Store, Tuning};
use tracing::{debug, error, info, warn};

use super::accuse::accuse;
use super::clock::Clock;
use super::{Event, Head, Options, STATE, Shared, StartError, StoredBlock, audit, events, fatal, lock, records};

/// Notices that a slow reader may be behind.
pub const NOTICES_MAX: usize = 256;
/// Least time between the blocks of one leader while transactions keep coming, in ms: what comes meanwhile shares the next block's disk syncs.
const BLOCK_INTERVAL_MIN_MS: u64 = 50;
/// Pause between two rounds in which waiting transactions are offered to the other replicas again, in ms: they were submitted while nobody was connected, or a
/// full lane dropped them.
const OFFER_INTERVAL_MS: u64 = 3000;
/// Bytes of transactions offered in one round, and to a peer that comes.
const OFFER_BYTES_MAX: usize = 1 << 20;
/// Where in a replica's directory the signer's slot is.
pub const SLOT: &str = "signer.slot";
/// How long a directory may be locked by what was there before.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two tries to lock it.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Longest wait of the thread for anything.
const WAIT_MAX: Duration = Duration::from_millis(1000);
/// Bytes of a payload that are not transactions: the summary and lengths.
const PAYLOAD_REST_BYTES: usize = 1024;
/// Exit code of a process that met a final block it cannot accept.
pub const EXIT_HALT: i32 = 70;

// What consensus says fits a frame, and what the ledger builds fits a block.
const _: () = assert!(consensus::message::MESSAGE_BYTES_MAX <= p2p::limits::MESSAGE_BYTES_MAX);
const _: () = assert!(chain::ledger::block::PAYLOAD_BYTES_MAX <= PAYLOAD_BYTES_MAX);

/// A block became final.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its header.
    pub header: Header,
    /// Its transactions.
    pub transactions: usize,
    /// What it commits to.
    pub summary: chain::ledger::Summary,
}

/// A replica's directory, opened.
pub struct Opened {
    store: Arc<Store>,
    signer: Option<Signer>,
    tip: Tip,
    parent: Parent,
    certified: Option<Certified>,
    genesis: Header,
}

impl Opened {
    pub fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    pub fn head<R: Rules>(&self, rules: &R) -> Head {
        let state = self.parent.state.clone();
        Head { certified: self.certified.clone(), header: self.tip.header.clone(), members: rules.electorate(&state).members, state }
    }
}

/// Opens the directory, or creates it and writes block 0.
pub fn open<R: Rules>(options: &Options<R>, genesis: impl Fn(&Sealed) -> (Header, Executed)) -> Result<Opened, StartError> {
    let directory = &options.directory;
    let io = |source| StartError::Io { path: directory.clone(), source };
    std::fs::create_dir_all(directory).map_err(io)?;
    let store = Arc::new(open_store(&directory.join(STATE), options.chain, options.tuning)?);
    // Block 0 is computed each time: it is small, and it is what the stored chain must begin with.
    let (header, _) = genesis(&state::Memory::new());
    let stored = match records::tip(&store) {
        Some(stored) => stored,
        None => {
            let (_, executed) = genesis(&store.head());
            let written = records::genesis(&header, &executed.body.summary);
            store.commit(&executed.state, written).map_err(|error| restore(directory, &error))?;
            records::tip(&store).ok_or_else(|| restore(directory, &"block 0 was not written"))?
        }
    };
    let state = store.head();
    if state.root() != stored.summary.state {
        return Err(restore(directory, &format!("the tree has root {:?}, the newest block has {:?}", state.root(), stored.summary.state)));
    }
    let signer = match &options.secret {
        Some(secret) => {
            let path = directory.join(SLOT);
            let exists = path.try_exists().map_err(io)?;
            // What consensus keeps, it keeps before a signature: the key has voted, even if nothing is final yet.
            let (justification, blocks) = records::kept(&store);
            let has_voted = stored.tip.header.height > Height::ZERO || justification.is_some() || !blocks.is_empty();
            let open = if exists || has_voted { Signer::open } else { Signer::create };
            Some(open(&path, secret.clone(), options.chain)?)
        }
        None => None,
    };
    let certified = stored.tip.finality.clone().map(|finality| Certified { header: stored.tip.header.clone(), summary: stored.summary.clone(), finality });
    Ok(Opened { store, signer, tip: stored.tip, parent: Parent { state, summary: stored.summary }, certified, genesis: header })
}

/// Opens a store; one that was closed a moment ago may still be held by an answer under way.
pub(super) fn open_store(path: &std::path::Path, chain: Hash, tuning: Tuning) -> Result<Store, OpenError> {
    let until = std::time::Instant::now() + LOCK_PATIENCE;
    loop {
        match Store::open_with(path, chain, tuning) {
            Err(OpenError::Locked { .. }) if std::time::Instant::now() < until => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
}

fn restore(path: &std::path::Path, cause: &dyn std::fmt::Display) -> StartError {
    StartError::Restore { path: path.to_owned(), cause: cause.to_string() }
}

/// A build that waits for transactions or for the end of the idle time.
struct PendingBuild {
    view: primitives::View,
    parent: Header,
    attendance: Attendance,
    undecided: Vec<Hash>,
    payload_bytes_max: usize,
    time_min: Time,
    /// Not before this time, so that transactions share blocks.
    earliest: Time,
    /// At the latest at this time.
    latest: Time,
}

/// The thread's own state.
pub struct Driver<R: Rules> {
    shared: Arc<Shared<R>>,
    engine: Engine,
    signer: Option<Signer>,
    times: Times,
    genesis: Header,
    /// Our place among the members of this epoch.
    seat: Option<u16>,
    /// What a block shall charge members with.
    evidence: EvidencePool,
    /// What the newest final block left.
    parent: Parent,
    parent_hash: Hash,
    /// Undecided blocks that were executed here.
    executed: BTreeMap<Hash, (Height, Executed)>,
    /// The payload this replica built last, so that it is not executed twice.
    built: Option<(BlockInfo, Hash, Executed)>,
    pending: Option<PendingBuild>,
    wake_at: Option<Time>,
    clock: Clock,
    peers: BTreeMap<PeerId, u64>,
    numbers: BTreeMap<u64, PeerId>,
    next_number: u64,
    last_block_at: Time,
    /// The last transaction that was offered again, and when the next round is.
    offered: Hash,
    offer_at: Time,
    /// Arrivals in the queue when a block could take none of what waited: waiting for the same again would make empty blocks without end.
    nothing_fits: Option<u64>,
}

impl<R: Rules> Driver<R> {
    /// # Errors
    /// [`StartError::Restore`] if what is on disk does not verify.
    pub fn new(shared: Arc<Shared<R>>, mut opened: Opened, times: Times) -> Result<Self, StartError> {
        let (justification, blocks) = records::kept(&opened.store);
        let config = config(&shared, &opened.parent.state, &opened.genesis, opened.signer.as_mut(), times)
            .ok_or_else(|| restore(opened.store.path(), &"the last block of the epoch before is not there"))?;
        let mut evidence = EvidencePool::default();
        for kept in records::evidence(&opened.store) {
            if shared.rules.admits(&opened.parent.state, &kept).is_ok() {
                evidence.insert(kept);
            }
        }
        let slot = opened.signer.as_ref().map(Signer::slot);
        let (parent_hash, genesis, seat) = (opened.tip.header.hash(), opened.genesis, config.me);
        let engine = Engine::new(config, Restored { tip: opened.tip, slot, justification, blocks }).map_err(|error| restore(opened.store.path(), &error))?;
        Ok(Self {
            shared,
            engine,
            times,
            genesis,
            seat,
            evidence,
            parent_hash,
            signer: opened.signer,
            parent: opened.parent,
            executed: BTreeMap::new(),
            built: None,
            pending: None,
            wake_at: None,
            clock: Clock::new(),
            peers: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_number: 0,
            last_block_at: Time::ZERO,
            offered: Hash::ZERO,
            offer_at: Time::ZERO,
            nothing_fits: None,
        })
    }

    /// Runs until told to stop.
    pub fn run(mut self, events: &Receiver<Event>) {
        self.feed(Input::Start);
        while !self.is_stopping() {
            match events.recv_timeout(self.wait()) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(event) => self.event(event),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.clock.now();
            if self.wake_at.is_some_and(|time| time <= now) {
                self.wake_at = None;
                self.feed(Input::Wake);
            }
            self.build_when_due();
            self.offer_when_due();
        }
    }

    /// Told to stop: what waits in the inbox is left there.
    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    fn wait(&mut self) -> Duration {
        let now = self.clock.now();
        let pending = self.pending.as_ref().map(|pending| if self.is_wanted() { pending.earliest } else { pending.latest });
        let next = [self.wake_at, pending].into_iter().flatten().min();
        next.map_or(WAIT_MAX, |time| Duration::from_millis(time.saturating_sub(now).0)).min(WAIT_MAX)
    }

    fn is_wanted(&self) -> bool {
        let mempool = lock(&self.shared.mempool);
        !mempool.is_empty() && self.nothing_fits != Some(mempool.arrivals())
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Up(peer) => {
                self.down(peer);
                let number = self.next_number;
                self.next_number = self.next_number.wrapping_add(1);
                self.peers.insert(peer, number);
                self.numbers.insert(number, peer);
                self.feed(Input::Connected(Peer(number)));
                self.offer_to(peer);
            }
            Event::Down(peer) => self.down(peer),
            Event::Frame { from, bytes, _share: share } => {
                let Some(number) = self.peers.get(&from).copied() else { return };
                match Message::decode(&bytes) {
                    Ok(Message::Evidence(evidence)) if !self.engine.judges(evidence.epoch()) => self.brought(Some(from), *evidence),
                    Ok(message) => {
                        drop((bytes, share));
                        self.feed(Input::Message { from: Peer(number), message: Box::new(message) });
                    }
                    Err(error) => {
                        warn!(replica = self.shared.name, peer = %from, %error, "a consensus message that cannot be decoded");
                        self.shared.endpoint.punish(from, p2p::book::amount::MALFORMED);
                    }
                }
            }
            Event::Brought(evidence) => self.brought(None, evidence),
            Event::Queued | Event::Stop => {}
        }
    }

    /// Evidence from somebody, for the ledger to judge: it knows who voted in all epochs about which it takes any.
    fn brought(&mut self, from: Option<PeerId>, evidence: Evidence) {
        let (name, epoch, member) = (&self.shared.name, evidence.epoch(), evidence.signer());
        match self.evidence.hear(&*self.shared.rules, &self.parent.state, evidence) {
            Heard::Kept => {
                warn!(replica = name, %epoch, member, "somebody proves that a member contradicted itself; the proof is kept");
                self.shared.store.write(vec![records::keep_evidence(&evidence)]);
                self.tell(&evidence);
            }
            Heard::Waits | Heard::NoRoom => {}
            Heard::Refused(refusal) => {
                debug!(replica = name, %epoch, member, %refusal, "evidence is not taken");
                if let (Some(peer), Refusal::Never(_)) = (from, refusal) {
                    self.shared.endpoint.punish(peer, p2p::book::amount::INVALID);
                }
            }
        }
    }

    /// Tells all replicas of evidence.
    fn tell(&self, evidence: &Evidence) {
        let message = Message::Evidence(Box::new(*evidence));
        self.shared.endpoint.broadcast(self.shared.channels.consensus, class(&message), message.encode());
    }

    fn down(&mut self, peer: PeerId) {
        if let Some(number) = self.peers.remove(&peer) {
            self.numbers.remove(&number);
            self.feed(Input::Disconnected(Peer(number)));
        }
    }

    /// One input, and everything that follows from it, unless told to stop in between: to the engine that is like any other end of the process.
    fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front().filter(|_| !self.is_stopping()) {
            let mut outputs = Vec::new();
            self.engine.handle(self.clock.now(), input, &mut outputs);
            for output in outputs {
                inputs.extend(self.perform(output));
            }
        }
    }

    /// Does what the engine says; gives the answer, if there is one at once.
    fn perform(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Keep(Kept::Justification(justification)) => self.shared.store.write(vec![records::keep_justification(&justification)]),
            Output::Keep(Kept::Block(block)) => self.shared.store.write(vec![records::keep_block(&block)]),
            Output::Sign(vote) => return self.sign(vote),
            Output::Broadcast(message) => {
                self.shared.endpoint.broadcast(self.shared.channels.consensus, class(&message), message.encode());
            }
            Output::Send { to, message } => self.send(to, &message),
            Output::Build { view, parent, undecided, payload_bytes_max, time_min, hold_until, attendance } => {
                let earliest = self.last_block_at.saturating_add(Time(BLOCK_INTERVAL_MIN_MS)).min(hold_until);
                self.pending = Some(PendingBuild { view, parent, attendance, undecided, payload_bytes_max, time_min, earliest, latest: hold_until });
            }
            Output::Verify { block, attendance } => {
                return Some(Input::Verified { block: block.header.hash(), valid: self.verify(&block, attendance) });
            }
            Output::Finalized { blocks, finality, closing } => return self.commit(&blocks, &finality, &closing),
            Output::Serve { to, from } => self.serve(to, from),
            Output::ServeBlock { to, hash } => {
                if let Some(block) = records::block_of(&self.shared.store, &hash) {
                    self.send(to, &Message::Block(block));
                }
            }
            Output::WakeAt(time) => self.wake_at = Some(time),
            Output::Punish { peer, offence } => self.punish(peer, offence),
            Output::Conflict(evidence) => {
                error!(replica = self.shared.name, epoch = %evidence.epoch(), member = evidence.signer(), "a member contradicted itself; the proof is kept");
                self.shared.store.write(vec![records::keep_evidence(&evidence)]);
                self.evidence.insert(evidence);
            }
            Output::Halt(halt) => self.halt(&halt),
        }
        None
    }

    fn sign(&mut self, vote: Vote) -> Option<Input> {
        if self.shared.audit.is_broken() {
            // The process is about to end.
            return None;
        }
        match self.signer.as_mut()?.sign(vote) {
            Ok(signed) => Some(Input::Signed(signed)),
            Err(SignError::Refused(refusal)) => {
                debug!(replica = self.shared.name, %refusal, "the signer refused");
                Some(Input::SignRefused(vote))
            }
            Err(error @ (SignError::Disk(_) | SignError::Broken)) => fatal(&self.shared.name, &error),
        }
    }

    fn send(&self, to: Peer, message: &Message) {
        let Some(peer) = self.numbers.get(&to.0) else { return };
        // Loss is repaired by the protocol, which repeats what matters until the view changes.
        if let Err(error) = self.shared.endpoint.send(*peer, self.shared.channels.consensus, class(message), message.encode()) {
            debug!(replica = self.shared.name, %peer, %error, "not sent");
        }
    }

    fn punish(&self, peer: Peer, offence: Offence) {
        let Some(peer) = self.numbers.get(&peer.0) else { return };
        warn!(replica = self.shared.name, %peer, %offence, "a peer broke the protocol");
        self.shared.endpoint.punish(*peer, p2p::book::amount::INVALID);
    }

    fn halt(&self, halt: &Halt) -> ! {
        error!(replica = self.shared.name, %halt, "stopping: what a quorum made final cannot follow from what is final here");
        if let Halt::Fork { certificate, blocks, view: _, hash: _ } = halt {
            let head = self.shared.head.borrow().clone();
            accuse(&self.shared.name, &self.shared.store, &head.header, head.members.clone(), certificate, blocks);
        }
        std::process::exit(EXIT_HALT)
    }

    /// Offers what waits to all replicas; who has it ignores it: the evidence that a block has room for, and the next of the transactions, so that every one
    /// has its turn.
    fn offer_when_due(&mut self) {
        let now = self.clock.now();
        if now < self.offer_at {
            return;
        }
        self.offer_at = now.saturating_add(Time(OFFER_INTERVAL_MS));
        self.evidence.candidates().iter().for_each(|evidence| self.tell(evidence));
        let waiting = lock(&self.shared.mempool).waiting(&self.offered, OFFER_BYTES_MAX);
        self.offered = waiting.last().map_or(Hash::ZERO, |(hash, _)| *hash);
        for (_, bytes) in waiting {
            self.shared.endpoint.broadcast(self.shared.channels.transactions, Class::Bulk, bytes);
        }
    }

    /// Offers waiting transactions to a peer that has just come.
    fn offer_to(&self, peer: PeerId) {
        let waiting = lock(&self.shared.mempool).waiting(&Hash::ZERO, OFFER_BYTES_MAX);
        for (_, bytes) in waiting {
            if let Err(error) = self.shared.endpoint.send(peer, self.shared.channels.transactions, Class::Bulk, bytes) {
                debug!(replica = self.shared.name, %peer, %error, "not offered");
                return;
            }
        }
    }

    // ---- the ledger ----

    fn parent_of(&self, hash: &Hash) -> Option<Parent> {
        if *hash == self.parent_hash { Some(self.parent.clone()) } else { self.executed.get(hash).map(|(_, executed)| executed.as_parent()) }
    }

    fn build_when_due(&mut self) {
        let now = self.clock.now();
        let is_wanted = self.is_wanted();
        let Some(pending) = self.pending.take_if(|pending| now >= pending.latest || is_wanted && now >= pending.earliest) else { return };
        let parent_hash = pending.parent.hash();
        let Some(parent) = self.parent_of(&parent_hash) else {
            self.feed(Input::BuildDeclined(pending.view));
            return;
        };
        let block = BlockInfo {
            chain: self.shared.chain,
            height: pending.parent.height.next(),
            time: pending.time_min.max(now),
            parent: parent_hash,
            proposer: self.seat.unwrap_or_default(),
            voters: pending.attendance.voters,
            absent: pending.attendance.absent,
        };
        let taken: BTreeSet<Hash> =
            Shared::<R>::hashes(pending.undecided.iter().filter_map(|hash| self.executed.get(hash)).map(|(_, executed)| &executed.body));
        let (mut candidates, arrivals) = {
            let mempool = lock(&self.shared.mempool);
            (mempool.candidates(&taken), mempool.arrivals())
        };
        // The ledger keeps to its own limit; this is for a block with a long justification.
        if pending.payload_bytes_max < PAYLOAD_BYTES_MAX {
            let mut room = pending.payload_bytes_max.saturating_sub(PAYLOAD_REST_BYTES);
            candidates.retain(|(bytes, _)| {
                let rest = room.checked_sub(bytes.len() + 4);
                room = rest.unwrap_or(room);
                rest.is_some()
            });
        }
        let executed = build(&*self.shared.rules, &parent, &block, &self.evidence.candidates(), candidates);
        let next_members = executed.next_members();
        self.nothing_fits = executed.body.transactions.is_empty().then_some(arrivals);
        let payload = executed.body.to_payload();
        let time = block.time;
        self.built = Some((block, executed.body.summary.digest(), executed));
        self.last_block_at = now;
        self.feed(Input::Built { view: pending.view, parent: parent_hash, payload, time, next_members });
    }

    /// Executes a block; keeps the result until a block as high is final.
    fn verify(&mut self, block: &Block, attendance: Attendance) -> bool {
        let header = &block.header;
        let Attendance { voters, absent } = attendance;
        let info =
            BlockInfo { chain: header.chain, height: header.height, time: header.time, parent: header.parent, proposer: header.proposer, voters, absent };
        let built = self.built.take_if(|(built, digest, _)| *built == info && *digest == header.payload);
        let executed = match built {
            Some((_, _, executed)) => Ok(executed),
            None => self.execute(block, &info),
        };
        match executed {
            Ok(executed) => {
                self.executed.insert(header.hash(), (header.height, executed));
                true
            }
            Err(cause) => {
                warn!(replica = self.shared.name, height = %header.height, view = %header.view, cause, "a proposed block is invalid");
                false
            }
        }
    }

    fn execute(&self, block: &Block, info: &BlockInfo) -> Result<Executed, String> {
        let parent = self.parent_of(&info.parent).ok_or("its parent is not known")?;
        let body = Body::from_payload(&block.payload).ok_or("its payload is no body")?;
        let transactions = self.verified(&body).map_err(|refusal| refusal.to_string())?;
        let executed = check(&*self.shared.rules, &parent, info, &body, &transactions).map_err(|error| error.to_string())?;
        let (claimed, computed) = (block.header.next_members, executed.next_members());
        if claimed == computed { Ok(executed) } else { Err(format!("its header names the next voters {claimed}, execution gives {computed}")) }
    }

    /// The transactions of a body; signatures are checked only of those that do not wait here already.
    fn verified(&self, body: &Body) -> Result<Vec<R::Transaction>, Refusal> {
        let known: Vec<Option<R::Transaction>> = {
            let mempool = lock(&self.shared.mempool);
            body.transactions.iter().map(|bytes| mempool.verified(&chain::ledger::block::transaction_hash(bytes)).cloned()).collect()
        };
        let unknown: Vec<Vec<u8>> = body.transactions.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(bytes, _)| bytes.clone()).collect();
        let mut checked = self.shared.rules.verify(&unknown).into_iter();
        known.into_iter().map(|known| known.map_or_else(|| checked.next().unwrap_or_else(|| Err(Refusal::Never("no verdict".into()))), Ok)).collect()
    }

    /// Commits; after an epoch's last block, the next epoch.
    fn commit(&mut self, blocks: &[Arc<Block>], finality: &Finality, closing: &[Arc<Block>]) -> Option<Input> {
        let pairs: Vec<(Arc<Block>, &Executed)> =
            blocks.iter().filter_map(|block| self.executed.get(&block.header.hash()).map(|(_, executed)| (block.clone(), executed))).collect();
        let (Some((last, executed)), true) = (pairs.last().cloned(), pairs.len() == blocks.len()) else {
            error!(replica = self.shared.name, "a block became final that was not executed here; stopping");
            std::process::exit(EXIT_HALT);
        };
        self.shared.snapshots.tidy();
        let mut written = records::finalized(&self.shared.store, &pairs, finality, closing);
        written.extend(self.indexed(&pairs));
        if let Err(error) = self.shared.store.commit(&executed.state, written) {
            error!(replica = self.shared.name, %error, "a final block does not follow from the committed state; stopping");
            std::process::exit(EXIT_HALT);
        }
        let (summary, next) = (executed.body.summary.clone(), executed.next.clone());
        let included: Vec<Hash> = Shared::<R>::hashes(pairs.iter().map(|(_, executed)| &executed.body)).into_iter().collect();
        let notices: Vec<Notice> = pairs
            .iter()
            .map(|(block, executed)| Notice {
                header: block.header.clone(),
                transactions: executed.body.transactions.len(),
                summary: executed.body.summary.clone(),
            })
            .collect();
        // The committed state is read back from the store: it no longer holds on to the overlays below it.
        self.parent = Parent { state: self.shared.store.head(), summary: summary.clone() };
        self.parent_hash = last.header.hash();
        let height = last.header.height;
        self.executed.retain(|_, (other, _)| *other > height);
        let (rules, state) = (&*self.shared.rules, &self.parent.state);
        self.evidence.retain(|evidence| rules.admits(state, evidence).is_ok());
        let certified = Certified { header: last.header.clone(), summary, finality: finality.clone() };
        let members = next.unwrap_or_else(|| self.shared.head.borrow().members.clone());
        self.shared.head.send_replace(Arc::new(Head { certified: Some(certified), header: last.header.clone(), state: state.clone(), members }));
        // After the head: whoever looks in between finds what is final still waiting, and not a nonce free that is used.
        lock(&self.shared.mempool).finalized(rules, state, &included);
        for notice in notices {
            info!(
                replica = self.shared.name,
                height = %notice.header.height,
                view = %notice.header.view,
                transactions = notice.transactions,
                "finalized"
            );
            // Nobody listening is fine.
            let _ = self.shared.notices.send(Arc::new(notice));
        }
        if !last.header.is_last() {
            return None;
        }
        // Its last block was committed above, so the epoch's start is there.
        let Some(config) = config(&self.shared, &self.parent.state, &self.genesis, self.signer.as_mut(), self.times) else {
            error!(replica = self.shared.name, "the epoch's last block was committed and cannot be read; stopping");
            std::process::exit(EXIT_HALT);
        };
        self.shared.snapshots.keep(height, self.parent.state.root(), config.members.clone());
        audit::begin(&self.shared, last.header.epoch, height, self.parent.state.clone());
        self.seat = config.me;
        self.executed.clear();
        self.built = None;
        self.pending = None;
        info!(replica = self.shared.name, epoch = %config.epoch, members = config.members.count(), seat = ?config.me, "a new epoch");
        Some(Input::Epoch(Box::new(config)))
    }

    /// What the index of events keeps of final blocks.
    fn indexed(&self, pairs: &[(Arc<Block>, &Executed)]) -> Vec<Record> {
        let rows = pairs.iter().map(|(block, executed)| (block.header.height, &executed.receipts[..], &executed.logs[..]));
        let state = |height| pairs.iter().find(|(block, _)| block.header.height == height).map(|(_, executed)| &executed.state);
        let topics = |height, log: &Log| state(height).map(|state| self.shared.rules.topics(state, log)).unwrap_or_default();
        events::indexed(&self.shared.store, rows, topics, events::KEPT)
    }

    /// Reads final blocks from the disk and sends as many as end in a stored proof and fit a message.
    fn serve(&self, to: Peer, from: Height) {
        let heights = std::iter::successors(Some(from), |height| Some(height.next()));
        let stored = heights.map_while(|height| records::block(&self.shared.store, height)).map(StoredBlock::into_consensus);
        if let Some(chain) = Chain::collect(stored) {
            self.send(to, &Message::Chain(chain));
        }
    }
}

/// The epoch in which blocks are built on `state`; the signer takes its seat there. `None` if the last block of the epoch before is not on disk.
fn config<R: Rules>(shared: &Shared<R>, state: &Sealed, genesis: &Header, signer: Option<&mut Signer>, times: Times) -> Option<Config> {
    let Electorate { epoch, members, seed } = shared.rules.electorate(state);
    let start = match epoch.0.checked_sub(1) {
        Some(before) => records::epoch_end(&shared.store, Epoch(before))?.block.header,
        None => genesis.clone(),
    };
    let me = signer.and_then(|signer| signer.seat(epoch, &members));
    Some(Config { chain: shared.chain, epoch, members, me, times, seed, payload_digest: digest, start })
}

/// How urgent a message is.
fn class(message: &Message) -> Class {
    match message {
        Message::Vote(_) | Message::Certificate(_) | Message::Hello(_) | Message::BlockRequest(_) | Message::ChainRequest(_) | Message::Evidence(_) => {
            Class::Urgent
        }
        Message::Proposal(_) | Message::Justification(_) | Message::Tip(_) => Class::Normal,
        Message::Block(_) | Message::Chain(_) => Class::Bulk,
    }
}
