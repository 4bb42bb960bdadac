//! The world: nodes, wires, liars and the observer, driven by one queue of events from one seed.
//!
//! 1. A run begins with all nodes connected. Until GST the scenario's storm, cuts and crashes happen.
//! 2. From GST on messages arrive in time; a run ends when every honest node has finalized the scenario's goal of blocks in calm times, or too late.
//! 3. After every event the observer looks at whatever it changed. The first broken invariant ends the run.
//!
//! The digest covers every event in order: equal scenarios give equal digests on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus::message::Stored;
use consensus::{Header, Input, Message, Peer, Times};
use primitives::encoding::encode;
use primitives::{Epoch, Hash, PublicKey, SecretKey, Time};

use crate::adversary::{Coalition, Line, Stage, Strategy, Tactic};
use crate::dice::Dice;
use crate::disk::Torn;
use crate::ledger::plain::{EpochRule, Genesis, Plain, Transaction};
use crate::ledger::value::{self, Value};
use crate::ledger::{Kind, Ledger};
use crate::links::Links;
use crate::model::Mutation;
use crate::node::{Clock, Effect, Fuse, Node, Pace};
use crate::observer::chains::Chains;
use crate::observer::progress::Calm;
use crate::observer::{Observer, Terms, Violation};
use crate::queue::{MILLI, Micros, Queue};
use crate::scenario::{Crash, Scenario};
use crate::trace::describe;
use crate::users::Users;

/// Δ₀ of all nodes.
pub const DELTA_MS: u64 = 100;
/// After GST nodes that were stuck find one another within this.
const SETTLE_MS: u64 = 3000;
/// A run that has not reached its goal so long after GST stands still.
const PATIENCE_MS: u64 = 120_000;
/// Most events of a run in which a third lies, which has no goal that must be reached.
const RECKLESS_MS: u64 = 6000;
/// How often the observer looks for nodes that wait too long.
const WATCH_MS: u64 = 250;
/// A crash that found no output to fall between happens anyway.
const FORCE_MS: u64 = 300;
/// A user wants something so often.
const WISH_MS: u64 = 40;
/// Numbers of peers: `life * LIVES + node`.
const LIVES: u64 = 1000;

/// The node behind a peer's number.
pub fn node_of(peer: Peer) -> usize {
    usize::try_from(peer.0 % LIVES).unwrap_or(0)
}

#[derive(Debug)]
enum Event {
    /// Bytes come out of a wire; lost if either end stopped meanwhile.
    Arrive { from: usize, to: usize, lives: (u32, u32), bytes: Arc<Vec<u8>>, corrupted: u64 },
    /// A node has time for a message.
    Handle { from: Peer, to: usize, life: u32, message: Box<Message> },
    /// A node's own input.
    Local { node: usize, life: u32, input: Box<Input> },
    /// A crash may happen from now on.
    Arm(Crash),
    /// It must have happened.
    Force { node: usize, life: u32 },
    /// A node comes back.
    Start(usize),
    /// A liar may say something.
    Tick(usize),
    /// Somebody wants a weight changed.
    Submit(Transaction),
    /// A user may want something; so many more do after it.
    Wish(u64),
    /// A cut begins or ends.
    Split,
    /// The observer looks at the time.
    Watch,
}

/// A message that a scheduler may deliver at any moment of a window.
#[derive(Debug)]
struct Held {
    to: usize,
    window: (Micros, Micros),
    event: Event,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Over the whole trace.
    pub digest: Hash,
    /// Events.
    pub events: u64,
    /// Virtual time.
    pub ended_ms: u64,
    /// Heights of all nodes.
    pub heights: Vec<u64>,
    /// The highest epoch begun.
    pub epoch: Epoch,
    /// What the observer counted.
    pub tally: crate::observer::Tally,
    /// Forks, each accounted for.
    pub forks: usize,
    /// How close a wait came to its bound, in thousandths.
    pub tightest: u64,
}

/// A run that broke an invariant.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{violation}\n  at {at_ms} ms, event {events}\n  replay: make sim SCENARIO=\"{scenario}\"")]
pub struct Failure {
    /// What.
    pub violation: Violation,
    /// When.
    pub at_ms: u64,
    /// After so many events.
    pub events: u64,
    /// In which setting.
    pub scenario: Box<Scenario>,
}

/// A run.
pub struct World {
    scenario: Scenario,
    nodes: Vec<Node>,
    strategies: Vec<Option<Box<dyn Strategy>>>,
    /// Which part of a cut network each node is in: the copies of a twin are in one each, other liars in all. A whole one is divided too, for twins.
    sides: Vec<Option<usize>>,
    queue: Queue<Event>,
    /// Under way, where a scheduler rules.
    held: Vec<Held>,
    links: Links,
    dice: Dice,
    coalition: Coalition,
    observer: Observer,
    /// Whose weights change, or whose money.
    keys: Vec<PublicKey>,
    users: Option<Users>,
    digest: Hash,
    events: u64,
    epoch: Epoch,
    /// What a crashed node does next.
    crashing: BTreeMap<usize, Crash>,
    /// Height of each node when calm times began.
    calm_from: Micros,
    heights_then: Option<Vec<u64>>,
    /// Prints what happens.
    pub is_loud: bool,
}

/// The key of node `node`.
pub fn secret(node: usize) -> SecretKey {
    SecretKey::from_seed(&Hash::of("sim-key", &[&node.to_le_bytes()]).0)
}

/// The times of all nodes.
pub fn times(scenario: &Scenario) -> Times {
    Times { delta_ms: DELTA_MS, delta_max_ms: 800, idle_ms: scenario.idle_ms, execution_ms: 50, drift_ms: 500, fetch_ms: 200 }
}

/// What all nodes begin with.
struct Start {
    chain: Hash,
    header: Header,
    /// A ledger at genesis with so much filler in its blocks.
    ledger: Box<dyn Fn(usize) -> Box<dyn Ledger>>,
}

fn begin(scenario: &Scenario, keys: &[SecretKey], capped: BTreeSet<PublicKey>) -> Start {
    let weights = keys.iter().zip(&scenario.weights).map(|(key, weight)| (key.public(), *weight));
    match scenario.ledger {
        Kind::Plain => {
            let chain = Hash::of("chain", &[b"sim"]);
            let genesis = Arc::new(Genesis { chain, weights: weights.collect(), capped, rule: scenario.rule, time: Time(1_000_000) });
            Start { chain, header: genesis.header(), ledger: Box::new(move |filler| Box::new(Plain::new(genesis.clone(), filler))) }
        }
        Kind::Value => {
            // Its epochs are measured in time.
            let epoch_ms = match scenario.rule {
                EpochRule::Milliseconds(milliseconds) => milliseconds,
                EpochRule::Never | EpochRule::Blocks(_) => u64::MAX,
            };
            let genesis = value::genesis(&weights.collect::<Vec<_>>(), epoch_ms);
            Start { chain: genesis.hash(), header: Value::new(&genesis).header(), ledger: Box::new(move |_| Box::new(Value::new(&genesis))) }
        }
    }
}

impl World {
    /// A world that has not begun.
    pub fn new(scenario: &Scenario) -> Self {
        let mut dice = Dice::new(scenario.seed);
        let times = times(scenario);
        let keys: Vec<SecretKey> = (0..scenario.weights.len()).map(secret).collect();
        let liars: Vec<SecretKey> = scenario.liars.iter().map(|(node, _)| keys[*node].clone()).collect();
        let capped: BTreeSet<PublicKey> = if scenario.is_safe() { liars.iter().map(SecretKey::public).collect() } else { BTreeSet::new() };
        let Start { chain, header, ledger } = begin(scenario, &keys, capped);
        // A key's nodes: its own, and more if it is a twin's.
        let mut seats: Vec<(usize, Option<(Tactic, usize)>)> = (0..keys.len()).map(|node| (node, None)).collect();
        for (node, tactic) in &scenario.liars {
            seats[*node].1 = Some((*tactic, 0));
            seats.extend((1..tactic.copies()).map(|copy| (*node, Some((*tactic, copy)))));
        }
        let [message, execute, sync] = scenario.pace;
        let mut nodes = Vec::new();
        for (key, _) in &seats {
            let off = i64::try_from(dice.below(scenario.skew_ms + 1)).unwrap_or(0);
            let drift = i64::try_from(dice.below(scenario.drift_ppm + 1)).unwrap_or(0);
            let clock = Clock { start_ms: header.time.0 + 1000, skew_ms: off, drift_ppm: if dice.chance(500) { drift } else { -drift } };
            let pace = Pace { message, execute, sync, build: scenario.build_ms * MILLI };
            nodes.push(Node::new(Some(keys[*key].clone()), ledger(scenario.filler), chain, times, clock, pace));
        }
        let gst = scenario.gst_ms * MILLI;
        let mut links = Links::new(nodes.len(), scenario.storm, scenario.calm, gst, scenario.cuts.clone(), &mut dice);
        // Liars have wires of their own.
        links.unsilenced = seats.iter().map(|(_, liar)| liar.is_some()).collect();
        // Who crashes may be away for a while after GST too.
        let is_calm_at_once = scenario.gst_ms == 0 && scenario.crashes.is_empty();
        let calm_from = if is_calm_at_once { 0 } else { gst + SETTLE_MS * MILLI };
        let per_message = message * 6 * nodes.len() as u64;
        let calm = Calm { from: calm_from, delay: links.calm() + per_message + 3 * sync, work: scenario.build_ms * MILLI + 2 * execute + 6 * sync, times };
        let terms = Terms {
            chain,
            honest: seats.iter().map(|(_, liar)| liar.is_none()).collect(),
            liars: liars.iter().map(SecretKey::public).collect(),
            is_safe: scenario.is_safe(),
            is_corrupting: scenario.storm.corruption > 0 && scenario.gst_ms > 0,
            is_wiping: scenario.crashes.iter().any(|crash| crash.wipe),
            calm,
        };
        let parts = scenario.parts();
        let side = |(node, liar): &(usize, Option<(Tactic, usize)>)| match liar {
            Some((tactic, copy)) if tactic.copies() > 1 => Some(*copy),
            Some(_) => None,
            None => Some(node % parts),
        };
        Self {
            scenario: scenario.clone(),
            sides: seats.iter().map(side).collect(),
            strategies: seats.iter().map(|(_, liar)| liar.map(|(tactic, copy)| tactic.strategy(copy))).collect(),
            observer: Observer::new(terms, header, ledger(0)),
            coalition: Coalition::new(chain, ledger(0).digest(), &liars, &keys),
            users: (scenario.ledger == Kind::Value).then(|| Users::new(chain, &keys, |node| scenario.liars.iter().any(|(liar, _)| *liar == node))),
            keys: keys.iter().map(SecretKey::public).collect::<BTreeSet<_>>().into_iter().collect(),
            nodes,
            queue: Queue::default(),
            held: Vec::new(),
            links,
            dice,
            digest: Hash::ZERO,
            events: 0,
            epoch: Epoch(0),
            crashing: BTreeMap::new(),
            calm_from,
            heights_then: None,
            is_loud: false,
        }
    }

    /// Leaves a rule out of the model that is asked about votes, for nodes that leave it out.
    #[must_use]
    pub fn without(mut self, mutation: Mutation) -> Self {
        self.observer.guards.mutation = Some(mutation);
        self
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn run(mut self) -> Result<Summary, Failure> {
        self.run_with(|_| {})
    }

    /// Runs to the end, and gives the world to `at_end` before it is gone.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn run_with(&mut self, at_end: impl FnOnce(&Self)) -> Result<Summary, Failure> {
        let end = self.try_run();
        let (at_ms, events) = (self.queue.now() / MILLI, self.events);
        end.map_err(|violation| Failure { violation, at_ms, events, scenario: Box::new(self.scenario.clone()) })?;
        at_end(self);
        Ok(Summary {
            digest: self.digest,
            events,
            ended_ms: at_ms,
            heights: self.nodes.iter().map(|node| node.disk.height()).collect(),
            epoch: self.epoch,
            tally: self.observer.tally.clone(),
            forks: self.observer.forks.len(),
            tightest: self.observer.progress.tightest,
        })
    }

    fn try_run(&mut self) -> Result<(), Violation> {
        self.plan();
        let patience = if self.scenario.is_safe() { self.calm_from + PATIENCE_MS * MILLI } else { (self.scenario.gst_ms + RECKLESS_MS) * MILLI };
        while !self.is_done() {
            let Some(event) = self.next(patience) else {
                return if self.scenario.is_safe() { Err(self.stuck()) } else { self.observer.finish() };
            };
            self.events += 1;
            self.happen(event)?;
        }
        self.observer.finish()
    }

    /// The next event. Where a greedy scheduler rules, the honest node that is furthest ahead hears everything as early as its link allows, and all others as
    /// late: so it pulls the honest views apart, and the highest goes up as fast as it can.
    fn next(&mut self, patience: Micros) -> Option<Event> {
        if self.held.is_empty() {
            return self.queue.pop(patience);
        }
        let favourite = self.honest().filter(|node| self.nodes[*node].is_up()).max_by_key(|node| {
            let stands = self.observer.stands(*node).map_or_else(Default::default, |stands| (stands.epoch, stands.view));
            (stands, std::cmp::Reverse(*node))
        });
        let moment = |held: &Held| if Some(held.to) == favourite { held.window.0 } else { held.window.1 };
        let (place, at) = self.held.iter().map(moment).enumerate().min_by_key(|(place, at)| (*at, *place))?;
        if at > patience || self.queue.due().is_some_and(|due| due < at) {
            return self.queue.pop(patience);
        }
        self.queue.wait(at);
        Some(self.held.remove(place).event)
    }

    fn plan(&mut self) {
        for node in 0..self.nodes.len() {
            self.queue.push(0, Event::Start(node));
            if self.strategies[node].is_some() {
                self.queue.push(0, Event::Tick(node));
            }
        }
        for crash in self.scenario.crashes.clone() {
            self.queue.push(crash.at_ms * MILLI, Event::Arm(crash));
        }
        for at_ms in self.scenario.cuts.iter().flat_map(|cut| [cut.start_ms, cut.start_ms + cut.length_ms]).chain([self.scenario.gst_ms]) {
            self.queue.push(at_ms * MILLI, Event::Split);
        }
        let most = self.scenario.weights.iter().copied().max().unwrap_or(1);
        let until = self.calm_from + 2000 * MILLI;
        if let Some(left) = self.scenario.changes.checked_sub(1).filter(|_| self.users.is_some()) {
            self.queue.push(WISH_MS * MILLI, Event::Wish(left));
        }
        for id in 0..if self.users.is_some() { 0 } else { self.scenario.changes } {
            let key = self.keys[self.dice.index(self.keys.len())];
            let weight = if self.dice.chance(250) { 0 } else { self.dice.below(most).max(1) };
            let at = self.dice.below(until);
            self.queue.push(at, Event::Submit(Transaction { id, key, weight }));
        }
        self.queue.push(WATCH_MS * MILLI, Event::Watch);
    }

    fn is_honest(&self, node: usize) -> bool {
        self.strategies[node].is_none()
    }

    fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.is_honest(*node))
    }

    fn is_done(&mut self) -> bool {
        let Some(then) = &self.heights_then else {
            if self.queue.now() >= self.calm_from && self.queue.now() >= self.links.gst {
                self.heights_then = Some(self.nodes.iter().map(|node| node.disk.height()).collect());
            }
            return false;
        };
        self.scenario.is_safe() && self.honest().all(|node| self.nodes[node].disk.height() >= then[node] + self.scenario.goal)
    }

    fn stuck(&self) -> Violation {
        let lowest = self.honest().min_by_key(|node| self.nodes[*node].disk.height()).unwrap_or(0);
        Violation::Stalled { node: lowest, waited_ms: PATIENCE_MS, bound_ms: PATIENCE_MS, skipped: 0 }
    }

    fn trace(&mut self, tag: u8, node: usize, bytes: &[u8]) {
        let now = self.queue.now().to_le_bytes();
        self.digest = Hash::of("trace", &[&self.digest.0, &now, &[tag], &(node as u64).to_le_bytes(), bytes]);
    }

    fn say(&self, line: impl FnOnce() -> String) {
        if self.is_loud {
            println!("{:>10.3} ms  {}", milliseconds(self.queue.now()), line());
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Arrive { from, to, lives, bytes, corrupted } => {
                let is_there = lives == (self.nodes[from].life, self.nodes[to].life) && self.nodes[to].is_up();
                if is_there && self.links.hears(self.queue.now(), from, to) && self.strategies[to].as_ref().is_none_or(|liar| liar.listens(self.sides[from])) {
                    return self.arrive(from, to, bytes, corrupted);
                }
            }
            Event::Handle { from, to, life, message } if self.nodes[to].life == life => {
                return self.input(to, Input::Message { from, message });
            }
            Event::Local { node, life, input } if self.nodes[node].life == life && self.nodes[node].wants(&input, self.queue.now()) => {
                self.trace(1, node, &[]);
                return self.input(node, *input);
            }
            Event::Handle { .. } | Event::Local { .. } => {}
            Event::Arm(crash) => self.arm(crash),
            Event::Force { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].fuse.is_some() && self.nodes[node].is_up() {
                    return self.crash(node);
                }
            }
            Event::Start(node) => return self.start(node),
            Event::Tick(node) => {
                self.queue.push(self.queue.now() + DELTA_MS * MILLI / 2, Event::Tick(node));
                self.ask(node, |liar, stage| liar.tick(stage))?;
            }
            Event::Split => {
                let (now, parts) = (self.queue.now(), self.scenario.parts());
                for node in self.honest().collect::<Vec<_>>() {
                    self.sides[node] = Some(self.links.part(now, node).unwrap_or(node) % parts);
                }
            }
            Event::Submit(transaction) => self.submit(&encode(&transaction)),
            Event::Wish(left) => {
                let (users, state) = (self.users.as_mut(), self.observer.chains.state());
                let wish = users.zip(state).and_then(|(users, state)| users.wish(state, &mut self.dice));
                wish.iter().for_each(|transaction| self.submit(transaction));
                if let Some(left) = left.checked_sub(1) {
                    self.queue.push(self.queue.now() + WISH_MS * MILLI, Event::Wish(left));
                }
            }
            Event::Watch => {
                self.queue.push(self.queue.now() + WATCH_MS * MILLI, Event::Watch);
                let up: Vec<usize> = self.honest().filter(|node| self.nodes[*node].is_up()).collect();
                for node in up {
                    self.observer.still_waits(self.queue.now(), node)?;
                }
            }
        }
        Ok(())
    }

    fn submit(&mut self, transaction: &[u8]) {
        self.nodes.iter_mut().for_each(|node| node.ledger.submit(transaction));
    }

    fn arrive(&mut self, from: usize, to: usize, bytes: Arc<Vec<u8>>, corrupted: u64) -> Result<(), Violation> {
        let mut bytes = bytes;
        for _ in 0..corrupted {
            let at = self.dice.index(bytes.len());
            let bits = u8::try_from(1 + self.dice.below(255)).unwrap_or(1);
            if let Some(byte) = Arc::make_mut(&mut bytes).get_mut(at) {
                *byte ^= bits;
            }
        }
        self.trace(0, from * 1000 + to, &bytes);
        let Ok(message) = Message::decode(&bytes) else { return Ok(()) };
        let peer = Peer(u64::from(self.nodes[from].life) * LIVES + from as u64);
        let node = &mut self.nodes[to];
        if node.pace.message == 0 && node.busy <= self.queue.now() {
            return self.input(to, Input::Message { from: peer, message: Box::new(message) });
        }
        node.busy = node.busy.max(self.queue.now()) + node.pace.message;
        let (at, life) = (node.busy, node.life);
        self.queue.push(at, Event::Handle { from: peer, to, life, message: Box::new(message) });
        Ok(())
    }

    fn input(&mut self, node: usize, input: Input) -> Result<(), Violation> {
        let mut effects = Vec::new();
        self.nodes[node].input(self.queue.now(), input, &mut effects);
        self.act(node, effects)
    }

    /// What a node did, in order; then the observer looks into it.
    fn act(&mut self, node: usize, effects: Vec<Effect>) -> Result<(), Violation> {
        let now = self.queue.now();
        for effect in effects {
            if self.is_honest(node) {
                let strategies = &self.strategies;
                self.observer.effect(now, node, &effect, |peer| strategies.get(peer).is_some_and(Option::is_none))?;
            }
            match effect {
                Effect::Say { to, message, after } => self.speak(node, to, message, after)?,
                Effect::Later { at, input } => {
                    let life = self.nodes[node].life;
                    self.queue.push(at, Event::Local { node, life, input });
                }
                Effect::Opened(opening) => {
                    self.coalition.learn(opening.epoch, &opening.members, opening.seed);
                    self.observer.opens(&opening);
                    if self.is_honest(node) && opening.epoch > self.epoch {
                        self.epoch = opening.epoch;
                        self.say(|| format!("epoch {} begins with {} members", opening.epoch, opening.members.count()));
                    }
                }
                Effect::Crashed => self.fell(node),
                Effect::Final { blocks, .. } => {
                    for block in &blocks {
                        self.say(|| format!("node {node} finalized {} of view {}", block.header.height, block.header.view));
                    }
                }
                Effect::Halted(halt) => self.say(|| format!("node {node} halts: {halt}")),
                Effect::Conflict(evidence) => self.say(|| format!("node {node} has evidence against member {}", evidence.signer())),
                Effect::Released { signed, .. } => self.say(|| format!("node {node} signs {:?}", signed.vote)),
                Effect::Punished(peer, offence) => self.say(|| format!("node {node} punishes {} for {offence}", node_of(peer))),
                Effect::OutOfOrder(_) | Effect::Kept(_) | Effect::Asked(_) => {}
            }
        }
        let load = self.nodes[node].engine.as_ref().map(consensus::Engine::load).filter(|_| self.is_honest(node));
        load.map_or(Ok(()), |load| self.observer.look(node, self.nodes[node].life, load))
    }

    fn speak(&mut self, from: usize, to: Option<Peer>, message: Message, after: Micros) -> Result<(), Violation> {
        self.say(|| format!("node {from} to {to:?}: {}", describe(&message)));
        // A peer of an earlier life is no longer there.
        let to = match to {
            Some(peer) if u64::from(self.nodes[node_of(peer)].life) != peer.0 / LIVES => return Ok(()),
            other => other.map(node_of),
        };
        if self.strategies[from].is_some() {
            let said = self.ask(from, |liar, stage| liar.speak(stage, to, message))?;
            return said.iter().try_for_each(|message| self.tell_liars(Some(from), message));
        }
        let bytes = Arc::new(message.encode());
        self.transmit(from, to, &bytes, after);
        if !self.scenario.liars.is_empty() {
            self.coalition.hear(&message, &bytes, &mut self.dice);
            self.tell_liars(None, &message)?;
        }
        Ok(())
    }

    /// The coalition hears everything, what its own members make of their puppets' words too; answers to that are not answered again.
    fn tell_liars(&mut self, speaker: Option<usize>, message: &Message) -> Result<(), Violation> {
        for liar in (0..self.nodes.len()).filter(|&liar| Some(liar) != speaker) {
            self.ask(liar, |strategy, stage| strategy.hear(stage, message))?;
        }
        Ok(())
    }

    fn transmit(&mut self, from: usize, to: Option<usize>, bytes: &Arc<Vec<u8>>, after: Micros) {
        let all = (0..self.nodes.len()).filter(|&other| other != from && to.is_none_or(|to| to == other));
        for to in all.filter(|&to| self.nodes[to].is_up()) {
            let lives = (self.nodes[from].life, self.nodes[to].life);
            for arrival in self.links.carry(self.queue.now() + after, from, to, bytes.len(), &mut self.dice).into_iter().flatten() {
                let event = Event::Arrive { from, to, lives, bytes: bytes.clone(), corrupted: arrival.corrupted };
                if self.scenario.greedy {
                    self.held.push(Held { to, window: self.links.window(self.queue.now() + after, arrival.at), event });
                } else {
                    self.queue.push(arrival.at, event);
                }
            }
        }
    }

    /// Asks a liar's strategy, and sends what it says; the messages among that.
    fn ask(&mut self, node: usize, question: impl FnOnce(&mut dyn Strategy, &mut Stage<'_>)) -> Result<Vec<Message>, Violation> {
        let mut said = Vec::new();
        let Some(strategy) = &mut self.strategies[node] else { return Ok(said) };
        let (delta, nodes) = (DELTA_MS * MILLI, self.nodes.len());
        let puppet = &mut self.nodes[node];
        let Some(stands) = puppet.engine.as_ref().map(consensus::Engine::load) else { return Ok(said) };
        let key = puppet.secret.as_ref().map_or(PublicKey([0; 32]), SecretKey::public);
        let mut stage = Stage {
            coalition: &self.coalition,
            me: node,
            key,
            nodes,
            sides: &self.sides,
            stands,
            ledger: &mut *puppet.ledger,
            delta,
            dice: &mut self.dice,
            lines: Vec::new(),
            forgets: false,
        };
        question(strategy.as_mut(), &mut stage);
        let (lines, forgets) = (std::mem::take(&mut stage.lines), stage.forgets);
        for Line { to, bytes, after } in lines {
            if let Ok(message) = Message::decode(&bytes) {
                self.observer.overheard(&message);
                self.coalition.hear(&message, &bytes, &mut self.dice);
                said.push(message);
            }
            self.transmit(node, to, &bytes, after);
        }
        if forgets {
            self.crash(node)?;
            self.nodes[node].disk.slot = crate::disk::SlotDisk::default();
        }
        Ok(said)
    }

    fn start(&mut self, node: usize) -> Result<(), Violation> {
        if self.nodes[node].is_up() {
            return Ok(());
        }
        self.trace(2, node, &[]);
        self.observer.restarted(self.queue.now(), node);
        let mut effects = Vec::new();
        self.nodes[node].start(self.queue.now(), &mut effects);
        let peer = |world: &Self, node: usize| Peer(u64::from(world.nodes[node].life) * LIVES + node as u64);
        for other in (0..self.nodes.len()).filter(|&other| other != node && self.nodes[other].is_up()).collect::<Vec<_>>() {
            for (me, of) in [(node, other), (other, node)] {
                let (life, input) = (self.nodes[me].life, Box::new(Input::Connected(peer(self, of))));
                self.queue.push(self.queue.now(), Event::Local { node: me, life, input });
            }
        }
        self.act(node, effects)
    }

    fn arm(&mut self, crash: Crash) {
        let node = crash.node;
        if !self.nodes[node].is_up() || self.nodes[node].fuse.is_some() {
            return;
        }
        let torn = crash.torn.then(|| Torn::any(&mut self.dice));
        self.nodes[node].fuse = Some(Fuse { outputs: crash.outputs, torn });
        self.crashing.insert(node, crash);
        let life = self.nodes[node].life;
        self.queue.push(self.queue.now() + FORCE_MS * MILLI, Event::Force { node, life });
    }

    /// A crash between two events.
    fn crash(&mut self, node: usize) -> Result<(), Violation> {
        self.nodes[node].stop();
        self.act(node, vec![Effect::Crashed])
    }

    /// The node stopped: the others notice, and it comes back.
    fn fell(&mut self, node: usize) {
        self.trace(3, node, &[]);
        let crash = self.crashing.remove(&node);
        self.say(|| format!("node {node} crashes: {crash:?}"));
        let before = Peer(u64::from(self.nodes[node].life - 1) * LIVES + node as u64);
        for other in (0..self.nodes.len()).filter(|&other| other != node && self.nodes[other].is_up()).collect::<Vec<_>>() {
            let life = self.nodes[other].life;
            self.queue.push(self.queue.now() + MILLI, Event::Local { node: other, life, input: Box::new(Input::Disconnected(before)) });
        }
        if crash.is_some_and(|crash| crash.wipe) {
            self.nodes[node].disk.wipe();
            self.observer.chains.wiped(node);
        }
        let down = crash.map_or(100, |crash| crash.down_ms) * MILLI;
        let at = self.queue.now() + down;
        // Everybody is back when the storm is over.
        self.queue.push(if self.queue.now() < self.links.gst { at.min(self.links.gst) } else { at }, Event::Start(node));
    }

    /// What the observer knows.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// How long after one final block the next one came, and how long each took from its proposal, as one node's clock shows it.
    pub fn latencies(&self) -> (Vec<Micros>, Vec<Micros>) {
        let Chains { canonical, final_at, .. } = &self.observer.chains;
        let proposed = |stored: &Stored| (stored.block.header.time.0 - self.nodes[0].clock.start_ms) * MILLI;
        (final_at.windows(2).map(|pair| pair[1] - pair[0]).collect(), canonical.iter().zip(final_at).map(|(stored, at)| at - proposed(stored)).collect())
    }

    /// A node.
    pub fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }
}

fn milliseconds(micros: Micros) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1000.0
}
