//! FORK: a quorum finalized what cannot stand beside what is final here. Nothing is voted for any more; what is left to do is to find out who did it.
//!
//! By the accountability theorem the culprits follow from both finalizations and the headers, with their justifications, from the later one down to the first
//! block whose parent's view is not above the earlier one's. Our own chain is on disk; of the other's, what is missing is asked for, for a bounded time.

use std::sync::Arc;

use primitives::{Hash, Time, View};

use super::Engine;
use super::blocks::Status;
use super::interface::{Halt, Input, Output};
use crate::block::Block;
use crate::certificate::Certificate;
use crate::message::Message;
use crate::vote::{Kind, Vote};

/// How many fetch times the search for the other chain's blocks may take.
const SEARCH_FETCH_TIMES: u64 = 20;

/// A finalization that contradicts ours.
#[derive(Debug)]
pub(super) struct Fork {
    certificate: Certificate,
    /// The block it finalizes.
    hash: Hash,
    deadline: Time,
}

impl Engine {
    /// Whether this, of a view not above our last finalization's, finalizes what contradicts the last blocks that were given out: another block of that view is
    /// final here, or none.
    pub(super) fn contradicts(&self, &Vote { view, kind, .. }: &Vote) -> bool {
        let Kind::Finalize(hash) = kind else { return false };
        let mut ours = self.recent.iter().map(|block| &block.header).chain([&self.tip.header]).filter(|header| header.epoch == self.config.epoch);
        ours.any(|header| header.view == view && header.hash() != hash || header.parent_view < view && view < header.view)
    }

    /// A verified finalization of a block that is not on our chain. The first one is enough.
    pub(super) fn forked(&mut self, certificate: Certificate, out: &mut Vec<Output>) {
        let Some(hash) = certificate.finalized().filter(|_| self.fork.is_none()) else { return };
        let deadline = self.in_ms(SEARCH_FETCH_TIMES * self.config.times.fetch_ms);
        self.fork = Some(Fork { certificate, hash, deadline });
        self.search(out);
    }

    /// The only inputs that matter now: connections, time, the blocks asked for, and others' questions, for they search too.
    pub(super) fn investigate(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Connected(peer) => self.connected(peer, out),
            Input::Disconnected(peer) => self.peers.forget(peer),
            Input::Message { from, message } if self.peers.meet(from) => match *message {
                Message::BlockRequest(hash) => self.block_request(from, hash, out),
                Message::ChainRequest(height) => self.chain_request(from, height, out),
                Message::Block(block) => {
                    let hash = block.header.hash();
                    if self.peers.fetched(&hash) && block.check(&self.config, &mut self.verifier).is_ok() {
                        self.blocks.insert(hash, block, Status::Unasked);
                    }
                }
                Message::Proposal(_)
                | Message::Vote(_)
                | Message::Certificate(_)
                | Message::Justification(_)
                | Message::Hello(_)
                | Message::Tip(_)
                | Message::Chain(_)
                | Message::Evidence(_) => {}
            },
            Input::Message { .. }
            | Input::Start
            | Input::Built { .. }
            | Input::BuildDeclined(_)
            | Input::Verified { .. }
            | Input::Signed(_)
            | Input::SignRefused(_)
            | Input::Wake
            | Input::Epoch(_) => {}
        }
        self.search(out);
    }

    /// Walks down the other chain; asks for the next block, or halts with what there is.
    fn search(&mut self, out: &mut Vec<Output>) {
        let Some(fork) = &self.fork else { return };
        let of_epoch = self.tip.finality.as_ref().map(|finality| &finality.certificate).filter(|ours| ours.epoch() == self.config.epoch);
        let ours = of_epoch.map_or(View(0), Certificate::view);
        let (certificate, deadline, mut cursor) = (fork.certificate.clone(), fork.deadline, fork.hash);
        let mut blocks: Vec<Arc<Block>> = Vec::new();
        let missing = loop {
            let Some(block) = self.blocks.get(&cursor) else { break Some(cursor) };
            blocks.push(block.clone());
            if block.header.parent_view <= ours {
                break None;
            }
            cursor = block.header.parent;
        };
        if let Some(missing) = missing
            && self.now < deadline
        {
            let times = self.config.times;
            if let Some(to) = self.peers.fetch(missing, self.now, times.fetch_ms) {
                out.push(Output::Send { to, message: Message::BlockRequest(missing) });
            }
            out.push(Output::WakeAt(self.in_ms(times.fetch_ms).min(deadline)));
            return;
        }
        blocks.reverse();
        let hash = fork.hash;
        self.halt(Halt::Fork { view: certificate.view(), hash, certificate: Box::new(certificate), blocks }, out);
    }
}
