//! Catching up and helping others catch up: hellos, justifications, blocks by hash, finalized blocks in batches.

use std::sync::Arc;

use primitives::{Hash, Height};

use super::Engine;
use super::blocks::{Path, Status};
use super::interface::{Offence, Output, Peer};
use super::peers::CatchUp;
use crate::block::Block;
use crate::message::{CHAIN_BLOCKS_MAX, CHAIN_BYTES_MAX, Chain, Hello, Message, Tip};

/// A batch may take this many fetch times: it is up to 4 MiB, and somebody has to read it from disk.
const BATCH_FETCH_TIMES: u64 = 8;

impl Engine {
    /// HELLO(e, v, last finalized).
    pub(super) fn greeting(&self, reply: bool) -> Message {
        let follower = self.config.me.is_none();
        Message::Hello(Hello { epoch: self.config.epoch, view: self.view, height: self.tip.header.height, follower, reply })
    }

    pub(super) fn connected(&mut self, peer: Peer, out: &mut Vec<Output>) {
        if self.peers.meet(peer) {
            out.push(Output::Send { to: peer, message: self.greeting(false) });
        }
    }

    /// Asks a peer that is ahead to show the way.
    pub(super) fn ask(&mut self, peer: Peer, out: &mut Vec<Output>) {
        if self.peers.may_ask(peer, self.now, self.config.times.delta_ms) {
            out.push(Output::Send { to: peer, message: self.greeting(false) });
        }
    }

    /// Sends an answer if the peer has not had too many bytes of them lately: small questions must not buy large answers without end.
    fn answer(&mut self, to: Peer, message: Message, out: &mut Vec<Output>) {
        let bytes = borsh::object_length(&message).unwrap_or(usize::MAX);
        if self.peers.may_answer(to, bytes, self.now, self.config.times.delta_ms) {
            out.push(Output::Send { to, message });
        }
    }

    /// A peer's place: who is behind gets J(v), our votes of v, and our tip; who is ahead is told where we are.
    pub(super) fn hello(&mut self, from: Peer, hello: &Hello, out: &mut Vec<Output>) {
        self.peers.follow(from, hello.follower);
        if hello.epoch > self.config.epoch {
            return self.claimed(from, hello.height, out);
        }
        if hello.epoch < self.config.epoch {
            if !hello.reply {
                self.answer(from, self.greeting(true), out);
            }
            return;
        }
        if hello.view < self.view {
            self.show_justification(from, out);
        }
        if hello.view <= self.view {
            for vote in self.own.clone() {
                self.answer(from, Message::Vote(vote), out);
            }
        }
        if hello.height < self.tip.header.height {
            self.answer(from, Message::Tip(Box::new(self.tip.clone())), out);
        }
        if (hello.view > self.view || hello.height > self.tip.header.height) && !hello.reply {
            self.answer(from, self.greeting(true), out);
        }
    }

    pub(super) fn show_justification(&mut self, to: Peer, out: &mut Vec<Output>) {
        self.answer(to, Message::Justification(self.justification.clone()), out);
    }

    /// A peer has finalized more than we: its finalization is our target, its blocks are asked for.
    pub(super) fn tip_shown(&mut self, from: Peer, tip: Tip, out: &mut Vec<Output>) {
        let Tip { header, finality: Some(finality) } = tip else { return };
        if header.epoch > self.config.epoch {
            return self.claimed(from, header.height, out);
        }
        if header.epoch != self.config.epoch {
            return;
        }
        // Lower, but finalized in a later view, would be a fork: looked at too.
        if header.height <= self.tip.header.height && finality.certificate.view() <= self.target_view() {
            return self.certificate(from, finality.certificate, out);
        }
        if finality.verify_with(&header, &mut self.verifier).is_err() {
            return self.punish(from, Offence::Certificate, out);
        }
        self.peers.guide = Some(from);
        self.peers.showed(from, header.height);
        self.certified(Some(from), finality.certificate, out);
        // One block more is fetched by its hash; that is `pursue`. Closing blocks are with the epoch's last only.
        let is_near = header.height <= self.tip.header.height.next() && !header.is_last();
        if !is_near && header.height > self.tip.header.height {
            self.catch_up_next(out);
        }
    }

    /// Asks for the next batch, one at a time and not more often than once in Δ₀, for nobody answers faster.
    pub(super) fn catch_up(&mut self, out: &mut Vec<Output>) {
        self.held = self.held.take().filter(|held| held.height > self.tip.header.height);
        let from = self.held.as_ref().unwrap_or(&self.tip.header).height.next();
        let Some(peer) = self.peers.batch_source(from).filter(|_| !self.is_catching_up()) else { return };
        if self.now < self.peers.batch_after {
            self.peers.batch_due = true;
            return;
        }
        self.peers.batch_after = self.in_ms(self.config.times.delta_ms);
        let deadline = self.in_ms(BATCH_FETCH_TIMES * self.config.times.fetch_ms);
        self.peers.catch_up = Some(CatchUp { peer, from, deadline });
        out.push(Output::Send { to: peer, message: Message::ChainRequest(from) });
    }

    /// A batch is committed, failed, or may now be asked for: the next one, if blocks are still missing on the way to the target.
    pub(super) fn catch_up_next(&mut self, out: &mut Vec<Output>) {
        let Some(target) = self.target.as_ref().filter(|target| target.view() > self.tip_view()).and_then(|target| target.finalized()) else {
            // All that is known to be final here is; whoever said to be further on, perhaps in a later epoch, is asked.
            return self.catch_up(out);
        };
        if let Path::Missing { .. } = self.blocks.path(&self.tip.header, self.tip_hash, target) {
            self.catch_up(out);
        }
    }

    /// A late batch is asked for elsewhere, and everybody is asked where they are; one that had to wait is asked for.
    pub(super) fn catch_up_due(&mut self, out: &mut Vec<Output>) {
        let is_late = self.peers.catch_up.is_some_and(|catch_up| catch_up.deadline <= self.now);
        if is_late {
            self.peers.batch_ended(false);
            out.push(Output::Broadcast(self.greeting(false)));
        }
        let is_due = self.peers.batch_due && self.peers.batch_after <= self.now;
        if is_due {
            self.peers.batch_due = false;
        }
        if is_late || is_due {
            self.catch_up_next(out);
        }
    }

    /// Somebody lacks a block: here it is, or here is how far we are.
    pub(super) fn block_request(&mut self, from: Peer, hash: Hash, out: &mut Vec<Output>) {
        let recent = || self.recent.iter().find(|block| block.header.hash() == hash);
        match self.blocks.get(&hash).or_else(recent) {
            Some(block) => self.answer(from, Message::Block(block.clone()), out),
            None => {
                self.answer(from, Message::Tip(Box::new(self.tip.clone())), out);
                if self.peers.may_read(from, self.now, self.config.times.delta_ms) {
                    out.push(Output::ServeBlock { to: from, hash });
                }
            }
        }
    }

    /// A block that was asked for; any other is ignored, for it may just be late.
    pub(super) fn block(&mut self, from: Peer, block: Arc<Block>, out: &mut Vec<Output>) {
        let hash = block.header.hash();
        if self.peers.fetched(&hash) {
            self.accept(from, hash, block, out);
        }
    }

    /// A block known by its hash, which a quorum or a descendant vouches for: that it is invalid is its members' fault, that it does not fit its header the
    /// sender's.
    pub(super) fn accept(&mut self, from: Peer, hash: Hash, block: Arc<Block>, out: &mut Vec<Output>) {
        let is_target = self.target.as_ref().is_some_and(|target| target.finalized() == Some(hash));
        if block.header.height <= self.tip.header.height && !is_target {
            return;
        }
        match block.check(&self.config, &mut self.verifier) {
            Ok(()) => self.blocks.insert(hash, block, Status::Unasked),
            Err(fault) if fault.is_of_header() => self.blocks.insert(hash, block, Status::Invalid),
            Err(_) => self.punish(from, Offence::Block, out),
        }
    }

    pub(super) fn chain_request(&mut self, from: Peer, height: Height, out: &mut Vec<Output>) {
        let is_here = height > Height(0) && height <= self.tip.header.height;
        if is_here && self.peers.may_answer(from, CHAIN_BYTES_MAX, self.now, self.config.times.delta_ms) {
            out.push(Output::Serve { to: from, from: height });
        }
    }

    /// A batch that was asked for: hangs on our tip, every block statically valid, the last one proved. Then it is executed and committed like any other chain.
    ///
    /// If the proof is a later block's finalization, the blocks between come first: whoever gives out a block as final has the justifications that
    /// accountability needs, and a header alone has none.
    pub(super) fn chain(&mut self, from: Peer, chain: Chain, out: &mut Vec<Output>) {
        let Some(catch_up) = self.peers.catch_up.filter(|catch_up| catch_up.peer == from) else { return };
        let Some(first) = chain.blocks.first() else { return };
        if first.header.height != catch_up.from {
            return;
        }
        if first.header.epoch != self.config.epoch {
            // Asked for before we went on, or what the peer holds of the next epoch.
            return self.peers.batch_ended(false);
        }
        // We may have gone on meanwhile.
        let blocks: Vec<_> = chain.blocks.iter().filter(|block| block.header.height > self.tip.header.height).cloned().collect();
        let Some(last) = blocks.last() else { return self.peers.batch_ended(true) };
        let is_proved = chain.blocks.len() <= CHAIN_BLOCKS_MAX && chain.finality.verify_with(&last.header, &mut self.verifier).is_ok();
        let is_linked = blocks.windows(2).all(|pair| pair[1].header.extends(&pair[0].header).is_ok());
        if !is_proved || !is_linked || blocks.iter().any(|block| block.check(&self.config, &mut self.verifier).is_err()) {
            self.peers.batch_ended(false);
            self.punish(from, Offence::Chain, out);
            return self.catch_up_next(out);
        }
        self.peers.batch_ended(true);
        self.peers.guide = Some(from);
        let last = last.header.clone();
        let height = blocks.iter().rev().find(|block| !block.header.is_closing()).map_or(Height(0), |block| block.header.height);
        for block in blocks {
            self.blocks.insert(block.header.hash(), block, Status::Unasked);
        }
        self.peers.showed(from, height);
        if chain.finality.headers.is_empty() {
            // That the first one does not follow our tip would be a fork, proved: `pursue` sees it.
            self.batch = Some((last, chain.finality.clone()));
        } else if !last.is_last() {
            self.held = Some(last);
            self.catch_up(out);
        }
        // After an epoch's last block there are no more batches: its closing blocks are fetched by their hashes, or somebody else has a shorter proof.
        self.certified(Some(from), chain.finality.certificate, out);
    }

    /// Whether a batch of finalized blocks is wanted, under way or being executed.
    pub(super) fn is_catching_up(&self) -> bool {
        self.peers.catch_up.is_some() || self.peers.batch_due || self.batch.is_some()
    }
}
