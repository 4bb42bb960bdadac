//! The shell of one node around the engine and the signer that ship: a clock, a processor, a disk, a ledger, and no decision of its own.
//!
//! [`Node::input`] feeds the engine and performs its outputs in order. What concerns others comes out as [`Effect`]s in the order in which it happened. A
//! crash can fall between any two outputs, and into the middle of a write.

use std::collections::VecDeque;
use std::sync::Arc;

use chain::ledger::{Heard, Refusal};
use consensus::engine::{Halt, Kept, Offence};
use consensus::evidence::Evidence;
use consensus::message::{Chain, Stored, Tip};
use consensus::slot::SignError;
use consensus::{Block, Config, Engine, Finality, Input, Message, Output, Peer, Restored, SignedVote, Signer, Times};
use primitives::{Hash, SecretKey, Time};

use crate::disk::{Disk, SlotRecord, Torn};
use crate::ledger::{Ledger, Opening, Order};
use crate::queue::{MILLI, Micros};

/// A node's clock: what it shows, in milliseconds, from the world's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// What it shows when the world begins.
    pub start_ms: u64,
    /// How much it is ahead.
    pub skew_ms: i64,
    /// How much faster it goes, in a million.
    pub drift_ppm: i64,
}

impl Clock {
    /// What it shows at `now`.
    pub fn shows(&self, now: Micros) -> Time {
        let now = i128::from(now) + i128::from(now) * i128::from(self.drift_ppm) / 1_000_000;
        let shown = i128::from(self.start_ms) + i128::from(self.skew_ms) + now / i128::from(MILLI);
        Time(u64::try_from(shown).unwrap_or(0))
    }

    /// The first moment not before `now` at which it shows `time`.
    pub fn when(&self, time: Time, now: Micros) -> Micros {
        let shown = i128::from(time.0) - i128::from(self.start_ms) - i128::from(self.skew_ms);
        let guess = shown * i128::from(MILLI) * 1_000_000 / (1_000_000 + i128::from(self.drift_ppm));
        let mut at = u64::try_from(guess).unwrap_or(0).max(now);
        while self.shows(at) < time {
            at += MILLI / 10;
        }
        at
    }
}

/// How long things take a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Handling one message.
    pub message: Micros,
    /// Executing one block.
    pub execute: Micros,
    /// Making one durable write.
    pub sync: Micros,
    /// What a ledger waits for transactions before it builds.
    pub build: Micros,
}

/// Stops the node after so many outputs, wakes not counted.
#[derive(Clone, Copy, Debug)]
pub struct Fuse {
    /// Outputs left.
    pub outputs: u64,
    /// The last write is interrupted and leaves this; else the crash falls between two outputs.
    pub torn: Option<Torn>,
}

/// What a node does that others notice.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Sends a message, to all peers or one.
    Say {
        /// To whom.
        to: Option<Peer>,
        /// What.
        message: Message,
        /// How much later it leaves.
        after: Micros,
    },
    /// Gives itself an input.
    Later {
        /// When.
        at: Micros,
        /// Which.
        input: Box<Input>,
    },
    /// A signature exists; the slot on disk says this.
    Released {
        /// The vote.
        signed: SignedVote,
        /// Hash of the members among which it was signed.
        members: Hash,
        /// The slot.
        record: Option<SlotRecord>,
    },
    /// A block is kept on disk before it is voted for.
    Kept(Arc<Block>),
    /// The ledger is asked to execute a block.
    Asked(Arc<Block>),
    /// Blocks are final and committed.
    Final {
        /// In order.
        blocks: Vec<Arc<Block>>,
        /// Proof of the last.
        finality: Finality,
        /// Closing blocks.
        closing: Vec<Arc<Block>>,
        /// Each was executed here in this life.
        executed: bool,
    },
    /// An epoch begins here.
    Opened(Opening),
    /// A peer did wrong.
    Punished(Peer, Offence),
    /// A member contradicted itself.
    Conflict(Evidence),
    /// It goes no further.
    Halted(Halt),
    /// It was asked to build or execute on what it had not executed.
    OutOfOrder(Hash),
    /// It stopped.
    Crashed,
}

/// One node.
pub struct Node {
    /// Its key, if it has one.
    pub secret: Option<SecretKey>,
    /// Runs.
    pub engine: Option<Engine>,
    signer: Option<Signer>,
    /// How often it started or stopped.
    pub life: u32,
    /// What it keeps.
    pub disk: Disk,
    /// Executes.
    pub ledger: Box<dyn Ledger>,
    /// Its clock.
    pub clock: Clock,
    /// Its speed.
    pub pace: Pace,
    /// Armed before a crash.
    pub fuse: Option<Fuse>,
    /// Until then it handles what came before.
    pub busy: Micros,
    /// When its engine wants to be woken: a later wish takes the place of an earlier one.
    wake: Option<Micros>,
    chain: Hash,
    times: Times,
    members: Hash,
    /// Its place among them.
    seat: Option<u16>,
}

impl Node {
    /// A node that has not started.
    pub fn new(secret: Option<SecretKey>, ledger: Box<dyn Ledger>, chain: Hash, times: Times, clock: Clock, pace: Pace) -> Self {
        let (disk, members) = (Disk::default(), Hash::ZERO);
        Self { secret, engine: None, signer: None, life: 0, disk, ledger, clock, pace, fuse: None, busy: 0, wake: None, chain, times, members, seat: None }
    }

    /// Whether this input is still wanted now: everything is, but a wake that another took the place of.
    pub fn wants(&mut self, input: &Input, now: Micros) -> bool {
        !matches!(input, Input::Wake) || self.wake.take_if(|wake| *wake == now).is_some()
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// Starts from its disk.
    pub fn start(&mut self, now: Micros, effects: &mut Vec<Effect>) {
        self.life += 1;
        self.busy = now;
        self.ledger.restore(&self.disk.chain);
        self.signer = self.secret.clone().map(|secret| Signer::on(self.disk.slot.clone(), secret, self.chain).expect("one half of the slot is whole"));
        let opening = self.ledger.opening();
        let tip = match self.disk.chain.last() {
            Some(Stored { block, finality, .. }) => Tip { header: block.header.clone(), finality: finality.clone() },
            None => Tip { header: opening.start.clone(), finality: None },
        };
        let config = self.config(&opening);
        let restored =
            Restored { tip, slot: self.signer.as_ref().map(Signer::slot), justification: self.disk.justification.clone(), blocks: self.disk.blocks.clone() };
        self.engine = Some(Engine::new(config, restored).expect("what this node wrote verifies"));
        effects.push(Effect::Opened(opening));
        self.input(now, Input::Start, effects);
    }

    /// Stops; all but the disk is lost.
    pub fn stop(&mut self) {
        self.life += 1;
        self.engine = None;
        self.signer = None;
        self.fuse = None;
    }

    fn config(&mut self, opening: &Opening) -> Config {
        self.members = opening.members.hash();
        self.seat = self.signer.as_mut().and_then(|signer| signer.seat(opening.epoch, &opening.members));
        Config {
            chain: self.chain,
            epoch: opening.epoch,
            members: opening.members.clone(),
            me: self.seat,
            times: self.times,
            seed: opening.seed,
            payload_digest: self.ledger.digest(),
            start: opening.start.clone(),
        }
    }

    /// One input, then its outputs in order, then what they bring.
    pub fn input(&mut self, now: Micros, input: Input, effects: &mut Vec<Effect>) {
        let mut inputs = VecDeque::from([input]);
        let mut after = 0;
        while let Some(input) = inputs.pop_front() {
            let time = self.clock.shows(now);
            let mut out = Vec::new();
            let Some(engine) = self.engine.as_mut() else { return };
            if let Input::Message { from, message } = &input
                && let Message::Evidence(evidence) = &**message
                && !engine.judges(evidence.epoch())
            {
                self.hear(*from, **evidence, after, effects);
                continue;
            }
            engine.handle(time, input, &mut out);
            for output in out {
                let is_last = self.burns_down(&output);
                if is_last && !self.is_torn(&output) {
                    return self.crash(effects);
                }
                inputs.extend(self.perform(now, output, &mut after, effects));
                if is_last || !self.is_up() {
                    return self.crash(effects);
                }
            }
        }
        self.busy = self.busy.max(now + after);
    }

    /// Evidence about an epoch that the engine does not know is for the ledger to judge.
    fn hear(&mut self, from: Peer, evidence: Evidence, after: Micros, effects: &mut Vec<Effect>) {
        match self.ledger.hear(&evidence) {
            Heard::Kept => effects.push(Effect::Say { to: None, message: Message::Evidence(Box::new(evidence)), after }),
            Heard::Waits | Heard::NoRoom | Heard::Refused(Refusal::NotNow(_)) => {}
            Heard::Refused(Refusal::Never(_)) => effects.push(Effect::Punished(from, Offence::Evidence)),
        }
    }

    /// Counts an output down; true if it is the one the crash falls before or into.
    fn burns_down(&mut self, output: &Output) -> bool {
        let Some(fuse) = self.fuse.as_mut().filter(|_| !matches!(output, Output::WakeAt(_))) else { return false };
        let is_last = fuse.outputs == 0;
        fuse.outputs = fuse.outputs.saturating_sub(1);
        is_last
    }

    /// Whether the crash falls into this output's write and not before it.
    fn is_torn(&mut self, output: &Output) -> bool {
        let Some(torn) = self.fuse.and_then(|fuse| fuse.torn) else { return false };
        let is_sign = matches!(output, Output::Sign(_));
        if is_sign {
            self.disk.slot.crash_in_next_write(torn);
        }
        is_sign || matches!(output, Output::Keep(_) | Output::Finalized { .. })
    }

    fn crash(&mut self, effects: &mut Vec<Effect>) {
        self.stop();
        effects.push(Effect::Crashed);
    }

    fn perform(&mut self, now: Micros, output: Output, after: &mut Micros, effects: &mut Vec<Effect>) -> Option<Input> {
        let time = self.clock.shows(now);
        match output {
            Output::Keep(kept) => {
                *after += self.pace.sync;
                match kept {
                    Kept::Justification(justification) => self.disk.justification = Some(justification),
                    Kept::Block(block) => {
                        self.disk.blocks.push(block.clone());
                        effects.push(Effect::Kept(block));
                    }
                }
            }
            Output::Sign(vote) => {
                *after += self.pace.sync;
                match self.signer.as_mut().expect("only members are asked to sign").sign(vote) {
                    Ok(signed) => {
                        let record = self.disk.slot.record();
                        effects.push(Effect::Released { signed: signed.into_inner(), members: self.members, record });
                        return Some(Input::Signed(signed));
                    }
                    Err(SignError::Refused(_)) => return Some(Input::SignRefused(vote)),
                    Err(SignError::Disk(_) | SignError::Broken) => self.engine = None,
                }
            }
            Output::Broadcast(message) => effects.push(Effect::Say { to: None, message, after: *after }),
            Output::Send { to, message } => effects.push(Effect::Say { to: Some(to), message, after: *after }),
            Output::Build { view, parent, undecided, payload_bytes_max, time_min, attendance, .. } => {
                let hash = parent.hash();
                let time = time.max(time_min);
                let order = Order { parent, undecided, time, bytes_max: payload_bytes_max, proposer: self.seat.unwrap_or_default(), attendance };
                let input = match self.ledger.build(&order) {
                    Some((payload, next_members)) => Input::Built { view, parent: hash, payload, time, next_members },
                    None => {
                        effects.push(Effect::OutOfOrder(hash));
                        return None;
                    }
                };
                effects.push(Effect::Later { at: now + *after + self.pace.build, input: Box::new(input) });
            }
            Output::Verify { block, attendance } => {
                let hash = block.header.hash();
                let is_in_order = block.header.parent == self.tip() || self.ledger.has_executed(block.header.parent);
                if !is_in_order {
                    effects.push(Effect::OutOfOrder(block.header.parent));
                }
                effects.push(Effect::Asked(block.clone()));
                let valid = self.ledger.execute(&block, &attendance);
                effects.push(Effect::Later { at: now + *after + self.pace.execute, input: Box::new(Input::Verified { block: hash, valid }) });
            }
            Output::Finalized { blocks, finality, closing } => {
                *after += self.pace.sync;
                return self.commit(blocks, finality, closing, effects);
            }
            Output::Serve { to, from } => {
                let skip = usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX);
                if let Some(chain) = Chain::collect(self.disk.chain.iter().skip(skip).cloned()) {
                    effects.push(Effect::Say { to: Some(to), message: Message::Chain(chain), after: *after });
                }
            }
            Output::ServeBlock { to, hash } => {
                let mut stored = self.disk.chain.iter().flat_map(|stored| std::iter::once(&stored.block).chain(&stored.closing));
                if let Some(block) = stored.find(|block| block.header.hash() == hash) {
                    effects.push(Effect::Say { to: Some(to), message: Message::Block(block.clone()), after: *after });
                }
            }
            Output::WakeAt(time) => {
                let at = self.clock.when(time, now);
                self.wake = Some(at);
                effects.push(Effect::Later { at, input: Box::new(Input::Wake) });
            }
            Output::Punish { peer, offence } => effects.push(Effect::Punished(peer, offence)),
            Output::Conflict(evidence) => {
                self.ledger.accuse(&evidence);
                effects.push(Effect::Conflict(evidence));
            }
            Output::Halt(halt) => effects.push(Effect::Halted(halt)),
        }
        None
    }

    fn tip(&self) -> Hash {
        self.disk.chain.last().map_or_else(|| self.ledger.opening().start.hash(), |stored| stored.block.header.hash())
    }

    fn commit(&mut self, blocks: Vec<Arc<Block>>, finality: Finality, closing: Vec<Arc<Block>>, effects: &mut Vec<Effect>) -> Option<Input> {
        let executed = blocks.iter().all(|block| self.ledger.has_executed(block.header.hash()));
        for (left, block) in (0..blocks.len()).rev().zip(&blocks) {
            let (finality, closing) = if left == 0 { (Some(finality.clone()), closing.clone()) } else { (None, Vec::new()) };
            self.disk.chain.push(Stored { block: block.clone(), finality, closing });
        }
        let is_end = blocks.last().is_some_and(|block| block.header.is_last());
        if let Some(last) = blocks.last() {
            self.disk.blocks.retain(|kept| kept.header.height > last.header.height);
        }
        self.ledger.commit(&blocks);
        effects.push(Effect::Final { blocks, finality, closing, executed });
        if !is_end {
            return None;
        }
        let opening = self.ledger.opening();
        let config = self.config(&opening);
        effects.push(Effect::Opened(opening));
        Some(Input::Epoch(Box::new(config)))
    }
}
