//! A small deterministic network of engines: virtual time, one seed, delays, loss, cuts, crashes between any two outputs that keep only what was made durable.
//!
//! After every event it checks: agreement (one block per height, each node's chain grows by one block at a time), that every final block was executed by the
//! node that commits it, that its proof verifies, that no honest key released two conflicting votes, and that memory stays bounded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use primitives::{Epoch, Height};

use super::super::*;
use crate::block::Proposal;
use crate::config::Times;
use crate::members::Members;
use crate::message::{CHAIN_BLOCKS_MAX, Chain, Stored};
use crate::slot::{Memory, SignError, Signer};
use crate::testing::Cast;
use crate::vote::{Kind, Vote, conflicts};

/// SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// What is under way is lost if either end stops.
    Wire {
        from: usize,
        to: usize,
        lives: (u32, u32),
        bytes: Arc<Vec<u8>>,
    },
    Local {
        node: usize,
        life: u32,
        input: Input,
    },
}

/// What survives a crash.
#[derive(Default)]
struct Disk {
    chain: Vec<Stored>,
    justification: Option<Justification>,
    blocks: Vec<Arc<Block>>,
    slot: Memory,
}

pub(super) struct Node {
    member: Option<u16>,
    engine: Option<Engine>,
    signer: Option<Signer>,
    life: u32,
    disk: Disk,
    /// Blocks this life of the ledger has executed.
    executed: BTreeSet<Hash>,
    pub(super) halted: Option<Halt>,
    pub(super) punished: Vec<(Peer, Offence)>,
    pub(super) conflicts: usize,
    pub(super) sent_bytes: u64,
}

impl Node {
    pub(super) fn height(&self) -> u64 {
        self.disk.chain.len() as u64
    }

    pub(super) fn epoch(&self) -> u64 {
        self.engine.as_ref().map_or(0, |engine| engine.config.epoch.0)
    }

    /// Closing blocks on its disk.
    pub(super) fn closing(&self) -> usize {
        self.disk.chain.iter().map(|stored| stored.closing.len()).sum()
    }

    pub(super) fn view(&self) -> u64 {
        self.engine.as_ref().map_or(0, |engine| engine.view.0)
    }
}

pub(super) struct World {
    pub(super) cast: Cast,
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) dice: Dice,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    /// Every block final anywhere, by height from 1.
    pub(super) chain: Vec<Hash>,
    pub(super) final_at: Vec<u64>,
    released: BTreeMap<usize, Vec<Vote>>,
    /// An epoch ends with every so many blocks; 0 for never.
    epoch_blocks: u64,
    /// Of each epoch's members but the first's one is left out, by turns.
    rotates: bool,
    /// Nodes in different groups do not hear one another.
    pub(super) groups: Vec<u32>,
    pub(super) delay_ms: (u64, u64),
    /// (node, the only one it hears and that hears it).
    deaf: Option<(usize, usize)>,
    /// In 1000.
    pub(super) loss: u64,
    /// After so many more outputs of these nodes, wakes not counted, all of them stop, with what they made durable until then.
    pub(super) fuse: Option<(u64, Vec<usize>)>,
    /// Finalize votes and finalizations are lost.
    pub(super) nothing_final: bool,
    /// How long the ledger takes to offer a payload: 0 under load, `idle_ms` without.
    pub(super) build_ms: u64,
    pub(super) payload_bytes: usize,
    /// How long a ledger takes to execute a block.
    pub(super) execute_ms: u64,
    /// Digest of everything that happened, for comparing runs.
    pub(super) trace: Hash,
    times: Times,
}

impl World {
    /// `weights.len()` members and then `followers` that do not vote, all running and connected.
    pub(super) fn new(seed: u64, weights: &[u64], followers: usize) -> Self {
        Self::with_epochs(seed, weights, followers, 0, false)
    }

    /// The same, with epochs of so many blocks.
    pub(super) fn with_epochs(seed: u64, weights: &[u64], followers: usize, epoch_blocks: u64, rotates: bool) -> Self {
        let cast = Cast::new(weights);
        let count = weights.len() + followers;
        let nodes = (0..count)
            .map(|index| Node {
                member: (index < weights.len()).then(|| u16::try_from(index).expect("few nodes")),
                engine: None,
                signer: None,
                life: 0,
                disk: Disk::default(),
                executed: BTreeSet::new(),
                halted: None,
                punished: Vec::new(),
                conflicts: 0,
                sent_bytes: 0,
            })
            .collect();
        let mut world = Self {
            now: cast.genesis.time.0 + 10,
            cast,
            nodes,
            dice: Dice(seed),
            queue: BinaryHeap::new(),
            events: Vec::new(),
            chain: Vec::new(),
            final_at: Vec::new(),
            released: BTreeMap::new(),
            epoch_blocks,
            rotates,
            groups: vec![0; count],
            delay_ms: (5, 15),
            deaf: None,
            loss: 0,
            fuse: None,
            nothing_final: false,
            build_ms: 0,
            payload_bytes: 8,
            execute_ms: 1,
            trace: Hash::ZERO,
            times: Times { idle_ms: 300, ..Times::DEV },
        };
        (0..count).for_each(|node| world.start(node));
        world
    }

    /// Starts a node from its disk.
    pub(super) fn start(&mut self, index: usize) {
        let Self { cast, nodes, .. } = self;
        let node = &mut nodes[index];
        node.life += 1;
        node.executed.clear();
        node.signer = node.member.map(|member| {
            let secret = cast.secrets[usize::from(member)].clone();
            Signer::on(node.disk.slot.clone(), secret, cast.chain).expect("the slot survives")
        });
        let tip = match node.disk.chain.last() {
            Some(Stored { block, finality, .. }) => Tip { header: block.header.clone(), finality: finality.clone() },
            None => Tip { header: cast.genesis.clone(), finality: None },
        };
        let config = self.config(index);
        let node = &mut self.nodes[index];
        let restored =
            Restored { tip, slot: node.signer.as_ref().map(Signer::slot), justification: node.disk.justification.clone(), blocks: node.disk.blocks.clone() };
        node.engine = Some(Engine::new(config, restored).expect("the disk verifies"));
        self.local(index, 0, Input::Start);
        for other in (0..self.nodes.len()).filter(|&other| other != index && self.nodes[other].engine.is_some()).collect::<Vec<_>>() {
            self.local(index, 1, Input::Connected(Peer(other as u64)));
            self.local(other, 1, Input::Connected(Peer(index as u64)));
        }
    }

    /// Who votes in an epoch.
    fn members(&self, epoch: Epoch) -> Members {
        let list = self.cast.members.list();
        if !self.rotates || epoch == Epoch(0) {
            return self.cast.members.clone();
        }
        let out = usize::try_from(epoch.0).expect("small") % list.len();
        Members::new(list.iter().enumerate().filter(|(index, _)| *index != out).map(|(_, member)| *member).collect()).expect("not alone")
    }

    /// What the block at this height says of the next members.
    fn next_members(&self, epoch: Epoch, height: Height) -> Hash {
        let ends = self.epoch_blocks > 0 && height.0.is_multiple_of(self.epoch_blocks);
        if ends { self.members(epoch.next()).hash() } else { Hash::ZERO }
    }

    /// The config of the epoch that a node's chain has led to; it takes its seat there.
    fn config(&mut self, index: usize) -> Config {
        let chain = &self.nodes[index].disk.chain;
        let start = chain.iter().rev().map(|stored| &stored.block.header).find(|header| header.is_last()).unwrap_or(&self.cast.genesis).clone();
        let epoch = if start.is_last() { start.epoch.next() } else { start.epoch };
        let members = self.members(epoch);
        let me = self.nodes[index].signer.as_mut().and_then(|signer| signer.seat(epoch, &members));
        Config { epoch, members, me, times: self.times, start, ..self.cast.config(None) }
    }

    /// Stops a node; all but its disk is lost.
    pub(super) fn stop(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.life += 1;
        node.engine = None;
        node.signer = None;
        for other in (0..self.nodes.len()).filter(|&other| self.nodes[other].engine.is_some()).collect::<Vec<_>>() {
            self.local(other, 1, Input::Disconnected(Peer(index as u64)));
        }
    }

    /// Loses everything but the signer slot.
    pub(super) fn wipe(&mut self, index: usize) {
        let disk = &mut self.nodes[index].disk;
        *disk = Disk { slot: disk.slot.clone(), ..Disk::default() };
    }

    fn push(&mut self, at: u64, event: Event) {
        let number = self.events.len();
        self.events.push(Some(event));
        self.queue.push(Reverse((at, number as u64, number)));
    }

    fn local(&mut self, node: usize, delay: u64, input: Input) {
        let life = self.nodes[node].life;
        self.push(self.now + delay, Event::Local { node, life, input });
    }

    /// Says something on the wire in the name of `from`.
    pub(super) fn send(&mut self, from: usize, to: usize, bytes: &Arc<Vec<u8>>) {
        self.nodes[from].sent_bytes += bytes.len() as u64;
        let is_final = |message: &Message| {
            matches!(message, Message::Vote(signed) if matches!(signed.vote.kind, Kind::Finalize(_)))
                || matches!(message, Message::Certificate(certificate) if certificate.finalized().is_some())
        };
        let is_lost = self.nothing_final && is_final(&Message::decode(bytes).expect("whole bytes"));
        if !is_lost && self.hears(from, to) && self.dice.below(1000) >= self.loss {
            let at = self.now + self.delay_ms.0 + self.dice.below(self.delay_ms.1 - self.delay_ms.0 + 1);
            let lives = (self.nodes[from].life, self.nodes[to].life);
            self.push(at, Event::Wire { from, to, lives, bytes: bytes.clone() });
        }
    }

    /// From now on `node` and all others but `friend` do not hear one another.
    pub(super) fn deaf_but_for(&mut self, node: usize, friend: usize) {
        self.deaf = Some((node, friend));
    }

    fn hears(&self, from: usize, to: usize) -> bool {
        let is_deaf = self.deaf.is_some_and(|(node, friend)| (from == node && to != friend) || (to == node && from != friend));
        self.groups[from] == self.groups[to] && !is_deaf
    }

    pub(super) fn is_stopped(&self, node: usize) -> bool {
        self.nodes[node].engine.is_none()
    }

    /// Proposes in the name of member `liar` on what node 1 builds on, if `liar` leads node 1's view. True if it does.
    pub(super) fn propose_as(&mut self, liar: u16, payload: &[u8], to: &[usize], change: &dyn Fn(&mut Header)) -> bool {
        let Some(engine) = &self.nodes[1].engine else { return false };
        let (view, justification) = (engine.view, engine.justification.clone());
        let Some(parent) = engine.base().and_then(|base| engine.header(base)) else { return false };
        if engine.config.leader(view) != liar {
            return false;
        }
        let mut block = self.cast.block(&parent, justification, payload);
        block.header.time = Time(self.now.max(parent.time.0 + 1));
        change(&mut block.header);
        let vote = self.cast.vote(liar, view.0, Kind::Notarize(block.header.hash()));
        let bytes = Arc::new(Message::Proposal(Proposal { block: Arc::new(block), vote }).encode());
        for &to in to {
            self.send(usize::from(liar), to, &bytes);
        }
        true
    }

    /// Blocks that the node knows above its last final one.
    pub(super) fn undecided(&self, node: usize) -> usize {
        self.nodes[node].engine.as_ref().map_or(0, |engine| engine.blocks.len())
    }

    pub(super) fn is_final(&self, payload: &[u8]) -> bool {
        self.nodes.iter().flat_map(|node| &node.disk.chain).any(|stored| stored.block.payload == payload)
    }

    /// The headers' times of the first node's chain.
    pub(super) fn proposed_at(&self) -> Vec<u64> {
        self.nodes[0].disk.chain.iter().map(|stored| stored.block.header.time.0).collect()
    }

    /// Runs for `milliseconds`.
    pub(super) fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while let Some(Reverse((at, _, number))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            match self.events[number].take().expect("each event happens once") {
                Event::Wire { from, to, lives, bytes } => {
                    if self.hears(from, to) && lives == (self.nodes[from].life, self.nodes[to].life) {
                        let message = Message::decode(&bytes).expect("whole bytes");
                        self.trace = Hash::of("trace", &[&self.trace.0, &at.to_le_bytes(), &(from * 256 + to).to_le_bytes(), &bytes]);
                        self.input(to, Input::Message { from: Peer(from as u64), message: Box::new(message) });
                    }
                }
                Event::Local { node, life, input } if self.nodes[node].life == life => self.input(node, input),
                Event::Local { .. } => {}
            }
        }
        self.now = end;
    }

    /// The shell: one input, then its outputs in order.
    pub(super) fn input(&mut self, index: usize, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            let Some(engine) = self.nodes[index].engine.as_mut() else { return };
            engine.handle(Time(self.now), input, &mut out);
            self.check_bounds(index);
            for output in out {
                if !matches!(output, Output::WakeAt(_)) && self.burns_out(index) {
                    return;
                }
                inputs.extend(self.perform(index, output));
            }
        }
    }

    /// Counts an output of the node down; true if it stops before this one.
    fn burns_out(&mut self, index: usize) -> bool {
        let Some((left, nodes)) = self.fuse.as_mut().filter(|(_, nodes)| nodes.contains(&index)) else { return false };
        if *left > 0 {
            *left -= 1;
            return false;
        }
        for node in std::mem::take(nodes) {
            self.stop(node);
        }
        self.fuse = None;
        true
    }

    fn perform(&mut self, index: usize, output: Output) -> Option<Input> {
        match output {
            Output::Keep(Kept::Justification(justification)) => self.nodes[index].disk.justification = Some(justification),
            Output::Keep(Kept::Block(block)) => self.nodes[index].disk.blocks.push(block),
            Output::Sign(vote) => {
                let signer = self.nodes[index].signer.as_mut().expect("only members are asked to sign");
                match signer.sign(vote) {
                    Ok(signed) => {
                        self.check_release(index, vote);
                        return Some(Input::Signed(signed));
                    }
                    Err(SignError::Refused(_)) => return Some(Input::SignRefused(vote)),
                    Err(error) => panic!("{error}"),
                }
            }
            Output::Broadcast(message) => {
                let bytes = Arc::new(message.encode());
                for to in (0..self.nodes.len()).filter(|&to| to != index) {
                    self.send(index, to, &bytes);
                }
            }
            Output::Send { to, message } => self.send(index, usize::try_from(to.0).expect("small"), &Arc::new(message.encode())),
            Output::Build { view, parent, undecided, payload_bytes_max, time_min, hold_until: _, attendance: _ } => {
                let parent_hash = parent.hash();
                self.check_executed(index, parent_hash, parent.height);
                assert_eq!(undecided.last().copied().unwrap_or(parent_hash), parent_hash);
                let mut payload = format!("{index} {view} ").into_bytes();
                payload.resize(self.payload_bytes.clamp(payload.len(), payload_bytes_max), b'.');
                let time = Time(time_min.0.max(self.now + self.build_ms));
                let epoch = if parent.is_last() { parent.epoch.next() } else { parent.epoch };
                let next_members = self.next_members(epoch, parent.height.next());
                self.local(index, self.build_ms, Input::Built { view, parent: parent_hash, payload, time, next_members });
            }
            Output::Verify { block, attendance: _ } => {
                assert!(!block.header.is_closing(), "closing blocks carry nothing");
                let (hash, height) = (block.header.hash(), block.header.height);
                self.check_executed(index, block.header.parent, Height(height.0 - 1));
                let valid = !block.payload.starts_with(b"bad") && block.header.next_members == self.next_members(block.header.epoch, height);
                if valid {
                    self.nodes[index].executed.insert(hash);
                }
                self.local(index, self.execute_ms, Input::Verified { block: hash, valid });
            }
            Output::Finalized { blocks, finality, closing } => {
                self.commit(index, &blocks, &finality, &closing);
                if blocks.last().is_some_and(|block| block.header.is_last()) {
                    return Some(Input::Epoch(Box::new(self.config(index))));
                }
            }
            Output::Serve { to, from } => {
                let stored = self.nodes[index].disk.chain.iter().skip(usize::try_from(from.0).expect("small") - 1).cloned();
                let chain = Message::Chain(Chain::collect(stored).expect("a run fits a batch"));
                self.send(index, usize::try_from(to.0).expect("small"), &Arc::new(chain.encode()));
            }
            Output::ServeBlock { to, hash } => {
                let chain = &self.nodes[index].disk.chain;
                let found = chain.iter().flat_map(|stored| stored.closing.iter().chain([&stored.block])).find(|block| block.header.hash() == hash);
                if let Some(block) = found.cloned() {
                    self.send(index, usize::try_from(to.0).expect("small"), &Arc::new(Message::Block(block).encode()));
                }
            }
            Output::WakeAt(at) => {
                let delay = at.0.saturating_sub(self.now);
                self.local(index, delay, Input::Wake);
            }
            Output::Punish { peer, offence } => self.nodes[index].punished.push((peer, offence)),
            Output::Conflict(evidence) => {
                assert!(evidence.is_valid(self.cast.chain, &self.members(evidence.epoch())));
                self.nodes[index].conflicts += 1;
            }
            Output::Halt(halt) => self.nodes[index].halted = Some(halt),
        }
        None
    }

    /// SIMPLEX-3, SIMPLEX-7.
    fn commit(&mut self, index: usize, blocks: &[Arc<Block>], finality: &Finality, closing: &[Arc<Block>]) {
        let last = &blocks.last().expect("never empty").header;
        assert_eq!(finality.verify(last, self.cast.chain, &self.members(last.epoch)), Ok(()));
        assert!(closing.is_empty() || last.is_last(), "only an epoch's end is closed");
        let engine = self.nodes[index].engine.as_ref().expect("it commits");
        let is_here = |header: &Header| {
            let hash = header.hash();
            closing.iter().any(|block| block.header == *header) || engine.blocks.get(&hash).is_some() || self.nodes[index].executed.contains(&hash)
        };
        assert!(finality.headers.iter().all(is_here), "what a proof names is here, with its justification");
        assert!(closing.iter().zip(&finality.headers).all(|(block, header)| block.header == *header && header.is_closing()));
        for (number, block) in blocks.iter().enumerate() {
            let (hash, header) = (block.header.hash(), &block.header);
            let node = &mut self.nodes[index];
            let parent = node.disk.chain.last().map_or(self.cast.genesis.hash(), |stored| stored.block.header.hash());
            assert_eq!((header.parent, header.height.0), (parent, node.height() + 1), "node {index} commits in order");
            assert!(node.executed.contains(&hash), "node {index} commits what it did not execute");
            let is_last = number + 1 == blocks.len();
            let closing = if is_last { closing.to_vec() } else { Vec::new() };
            node.disk.chain.push(Stored { block: block.clone(), finality: is_last.then(|| finality.clone()), closing });
            node.disk.blocks.retain(|kept| kept.header.height > header.height);
            let at = usize::try_from(header.height.0).expect("small") - 1;
            match self.chain.get(at) {
                Some(known) => assert_eq!(*known, hash, "agreement at height {}", header.height),
                None => {
                    self.chain.push(hash);
                    self.final_at.push(self.now);
                }
            }
        }
    }

    /// SIMPLEX-4.
    fn check_release(&mut self, signer: usize, vote: Vote) {
        let released = self.released.entry(signer).or_default();
        let conflict = released.iter().rev().take(16).find(|earlier| conflicts(earlier, &vote));
        assert!(conflict.is_none(), "member {signer} released {conflict:?} and {vote:?}");
        if !released.contains(&vote) {
            released.push(vote);
        }
    }

    fn check_executed(&self, index: usize, hash: Hash, height: Height) {
        let node = &self.nodes[index];
        let is_final = height.0 <= node.height();
        assert!(is_final || node.executed.contains(&hash), "node {index} is asked to build on what it did not execute");
    }

    fn check_bounds(&self, index: usize) {
        let Some(engine) = &self.nodes[index].engine else { return };
        assert!(engine.tallies.len() as u64 <= VIEWS_AHEAD_MAX + VIEWS_BEHIND_MAX + 1);
        assert!(engine.blocks.len() <= blocks::BLOCKS_MAX + CHAIN_BLOCKS_MAX);
        assert!(engine.own.len() <= 3 && engine.recent.len() <= RECENT_MAX);
    }

    pub(super) fn heights(&self) -> Vec<u64> {
        self.nodes.iter().map(Node::height).collect()
    }

    /// The lowest height among running nodes.
    pub(super) fn height_min(&self) -> u64 {
        self.nodes.iter().filter(|node| node.engine.is_some()).map(Node::height).min().unwrap_or(0)
    }

    pub(super) fn height_max(&self) -> u64 {
        self.heights().into_iter().max().unwrap_or(0)
    }
}
