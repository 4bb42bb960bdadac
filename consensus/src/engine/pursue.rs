//! What the state asks for after each event: execute, vote, build, commit.

use std::sync::Arc;

use primitives::{Hash, Time};

use super::blocks::{Path, Status};
use super::interface::{Halt, Output};
use super::{Engine, RECENT_MAX};
use crate::block::{Block, Finality, HEADERS_MAX, Header};
use crate::message::{CHAIN_BLOCKS_MAX, CHAIN_BYTES_MAX, Message, Tip};
use crate::vote::Kind;

/// While a batch of finalized blocks is on its way, missing blocks above this many from the tip wait for it; nearer ones are fetched one by one.
const FETCH_DEPTH_MAX: u64 = 16;
/// Blocks higher above the tip are not fetched by hash: no finalization of them could prove the lowest block above the tip.
const UNDECIDED_DEPTH_MAX: u64 = HEADERS_MAX as u64;

/// Where the way to a block stands.
enum Progress {
    Ready(Vec<Arc<Block>>),
    Waiting,
    Invalid,
    Fork,
}

impl Engine {
    /// Follows the goals, most urgent first: what is final, what this view builds on, what is proposed in it.
    pub(super) fn pursue(&mut self, out: &mut Vec<Output>) {
        while self.is_going_on() && self.pursue_final(out) {}
        if !self.is_going_on() {
            return;
        }
        self.pursue_base(out);
        self.pursue_proposal(out);
        let target = self.target.as_ref().and_then(|target| target.finalized());
        let goals = [self.base(), target, self.batch.as_ref().map(|(last, _)| last.hash()), self.held.as_ref().map(Header::hash), self.proposed()];
        self.blocks.shrink(&goals.into_iter().flatten().collect::<Vec<_>>());
    }

    fn is_going_on(&self) -> bool {
        !self.halted && self.fork.is_none() && !self.is_over()
    }

    /// Commits what is final and executed. True if something was.
    fn pursue_final(&mut self, out: &mut Vec<Output>) -> bool {
        let height = self.tip.header.height;
        let batch = self.batch.take_if(|(last, _)| last.height <= height);
        drop(batch); // overtaken by a finalization of our own
        let (hash, finality) = match (&self.batch, &self.target) {
            (Some((last, finality)), _) => (last.hash(), finality.clone()),
            (None, Some(target)) if target.view() > self.tip_view() => match target.finalized() {
                Some(hash) => (hash, Finality::direct(target.clone())),
                None => return false,
            },
            (None, Some(_) | None) => return false,
        };
        // A quorum that finalizes a block in a view that is not its own proves nothing to others, and no correct quorum does.
        if let Some(header) = self.header(hash).filter(|header| finality.headers.is_empty() && header.view != finality.certificate.view()) {
            return self.halt(Halt::Invalid { height: header.height, hash }, out);
        }
        match self.progress(hash, out) {
            Progress::Ready(blocks) => {
                let was_batch = self.batch.take().is_some();
                self.commit(&blocks, finality, out);
                // In the next epoch it is asked for as soon as that has begun.
                if was_batch && !self.is_over() {
                    self.catch_up_next(out);
                }
                true
            }
            Progress::Waiting => self.commit_early(hash, &finality, out),
            Progress::Invalid => {
                let height = self.blocks.get(&hash).map_or(self.tip.header.height, |block| block.header.height);
                self.halt(Halt::Invalid { height, hash }, out)
            }
            Progress::Fork => {
                self.forked(finality.certificate, out);
                false
            }
        }
    }

    /// Commits a full batch of what is executed although the target is not: who executes no faster than the others make blocks would never get to the end,
    /// commit nothing and keep everything. True if something was.
    fn commit_early(&mut self, goal: Hash, finality: &Finality, out: &mut Vec<Output>) -> bool {
        let Some((ready, rest)) = self.blocks.ready(self.tip_hash, goal) else { return false };
        let Some((run, later)) = ready.split_at_checked(CHAIN_BLOCKS_MAX) else { return false };
        // The epoch's last block is given out with its closing blocks, all at once.
        let headers = later.iter().map(|block| block.header.clone()).chain(rest).chain(finality.headers.iter().cloned()).collect::<Vec<_>>();
        if headers.len() + CHAIN_BLOCKS_MAX > HEADERS_MAX || run.iter().any(|block| block.header.is_last()) {
            return false;
        }
        self.commit(run, Finality { headers, certificate: finality.certificate.clone() }, out);
        true
    }

    pub(super) fn halt(&mut self, halt: Halt, out: &mut Vec<Output>) -> bool {
        self.halted = true;
        out.push(Output::Halt(halt));
        false
    }

    /// Gives out final blocks in runs that fit one batch for others, each with its proof. Closing blocks are no part of the chain, only of the proof.
    fn commit(&mut self, blocks: &[Arc<Block>], finality: Finality, out: &mut Vec<Output>) {
        let end = blocks.iter().position(|block| block.header.is_last()).map_or(blocks.len(), |last| last + 1);
        let (mut rest, closing) = blocks.split_at(end);
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |block: &&Arc<Block>| {
                bytes += borsh::object_length(*block).unwrap_or(CHAIN_BYTES_MAX);
                bytes <= CHAIN_BYTES_MAX
            };
            let count = rest.iter().take(CHAIN_BLOCKS_MAX).take_while(fits).count().max(1);
            let (run, later) = rest.split_at(count);
            let headers = later.iter().chain(closing).map(|block| block.header.clone()).chain(finality.headers.iter().cloned()).collect();
            let proof = Finality { headers, certificate: finality.certificate.clone() };
            self.give_out(run, proof, if later.is_empty() { closing } else { &[] }, out);
            rest = later;
        }
    }

    fn give_out(&mut self, run: &[Arc<Block>], finality: Finality, closing: &[Arc<Block>], out: &mut Vec<Output>) {
        let Some(last) = run.last() else { return };
        self.tip = Tip { header: last.header.clone(), finality: Some(finality.clone()) };
        self.tip_hash = last.header.hash();
        self.recent.extend(run.iter().chain(closing).cloned());
        let surplus = self.recent.len().saturating_sub(RECENT_MAX);
        self.recent.drain(..surplus);
        self.blocks.prune(&last.header);
        out.push(Output::Finalized { blocks: run.to_vec(), finality, closing: closing.to_vec() });
        if self.is_over() {
            self.announce_end(out);
        }
    }

    pub(super) fn base(&self) -> Option<Hash> {
        self.justification.base.block(self.config.start.hash())
    }

    fn proposed(&self) -> Option<Hash> {
        self.tallies.get(&self.view).and_then(|tally| tally.proposal)
    }

    /// ENTER, if we lead: BUILD on J's base as soon as it is executed.
    fn pursue_base(&mut self, out: &mut Vec<Output>) {
        let Some(base) = self.base() else { return };
        let Progress::Ready(undecided) = self.progress(base, out) else { return };
        let is_open = self.slot.view < self.view || self.slot.view == self.view && self.slot.notarized.is_none() && self.slot.closed.is_none();
        if !self.is_leader() || self.building || self.proposed().is_some() || !is_open {
            return;
        }
        let Some(parent) = self.header(base) else { return };
        if parent.next_members != Hash::ZERO && parent.epoch == self.config.epoch {
            return self.build_closing(&parent);
        }
        self.building = true;
        let undecided = undecided.iter().map(|block| block.header.hash()).collect();
        let time_min = parent.time.saturating_add(Time(1));
        let payload_bytes_max = self.payload_bytes_max();
        let attendance = self.config.attendance(&self.justification);
        out.push(Output::Build { view: self.view, parent, undecided, payload_bytes_max, time_min, hold_until: self.timers.hold_until, attendance });
    }

    /// VERIFIED(B, ok) in B's view: ok → Notarize; not ok → Nullify at once.
    fn pursue_proposal(&mut self, out: &mut Vec<Output>) {
        let Some(hash) = self.proposed() else { return };
        match self.progress(hash, out) {
            Progress::Ready(_) => self.request(self.view, Kind::Notarize(hash), out),
            Progress::Waiting => {}
            Progress::Invalid | Progress::Fork => {
                if self.timers.advance.is_some() {
                    self.close(out);
                }
            }
        }
    }

    /// One step on the way from the tip to `goal`: has the lowest unexecuted block executed, or the highest missing one fetched.
    fn progress(&mut self, goal: Hash, out: &mut Vec<Output>) -> Progress {
        match self.blocks.path(&self.tip.header, self.tip_hash, goal) {
            Path::Ready(blocks) => Progress::Ready(blocks),
            Path::Next { status: Status::Invalid, .. } => Progress::Invalid,
            Path::Next { status: Status::Asked | Status::Valid, .. } => Progress::Waiting,
            Path::Next { block, status: Status::Unasked, parent } => {
                let hash = block.header.hash();
                if block.header.extends(&parent).is_err() {
                    self.blocks.set(&hash, Status::Invalid);
                    return Progress::Invalid;
                }
                if block.header.is_closing() {
                    // It carries nothing: the ledger never sees it.
                    self.blocks.set(&hash, Status::Valid);
                    return self.progress(goal, out);
                }
                self.blocks.set(&hash, Status::Asked);
                let attendance = self.config.attendance(&block.justification);
                out.push(Output::Verify { block, attendance });
                Progress::Waiting
            }
            Path::Missing { hash, height } => {
                let depth = height.map_or(0, |height| height.0.saturating_sub(self.tip.header.height.0));
                if depth > FETCH_DEPTH_MAX && self.is_catching_up() {
                    return Progress::Waiting;
                }
                // Notarized blocks are fetched however many there are: perhaps nobody has finalized more than we. Whoever has, answers with its tip.
                if let Some(to) = self.peers.fetch(hash, self.now, self.config.times.fetch_ms) {
                    let message = if depth > UNDECIDED_DEPTH_MAX { self.greeting(false) } else { Message::BlockRequest(hash) };
                    out.push(Output::Send { to, message });
                }
                Progress::Waiting
            }
            Path::Fork => Progress::Fork,
        }
    }
}
