//! PROPOSE and PROPOSAL: making a block and taking one.

use std::sync::Arc;

use primitives::{Hash, Time, View};

use super::Engine;
use super::blocks::Status;
use super::interface::{Offence, Output, Peer};
use crate::block::{BLOCK_BYTES_MAX, Block, HEADER_VERSION, Header, PAYLOAD_BYTES_MAX, Proposal};
use crate::vote::{Kind, Vote};

impl Engine {
    /// BUILT(B): the block goes the way of every block (executed, then notarized); its notarize vote makes it a proposal.
    pub(super) fn built(&mut self, view: View, parent: Hash, payload: Vec<u8>, time: Time, next_members: Hash, out: &mut Vec<Output>) {
        let base = self.justification.base.block(self.config.start.hash());
        let open = self.slot.view < view || self.slot.notarized.is_none() && self.slot.closed.is_none();
        if view != self.view || !self.building || base != Some(parent) || !open {
            return;
        }
        let Some(parent_header) = self.header(parent) else { return };
        let digest = (self.config.payload_digest)(&payload).filter(|_| payload.len() <= self.payload_bytes_max() && time > parent_header.time);
        let Some(digest) = digest else {
            // The ledger's mistake costs the view, not the node.
            self.close(out);
            return;
        };
        self.building = false;
        // One build per view: a second answer finds the proposal.
        self.make(&parent_header, time, next_members, digest, payload);
    }

    /// A closing block: nothing is left to build on the epoch's last block but what lets it become final.
    pub(super) fn build_closing(&mut self, parent: &Header) {
        let time = self.now.max(parent.time.saturating_add(Time(1)));
        self.make(parent, time, parent.next_members, Hash::ZERO, Vec::new());
    }

    fn make(&mut self, parent: &Header, time: Time, next_members: Hash, digest: Hash, payload: Vec<u8>) {
        let Some(proposer) = self.config.me else { return };
        let header = Header {
            version: HEADER_VERSION,
            chain: self.config.chain,
            epoch: self.config.epoch,
            view: self.view,
            height: parent.height.next(),
            parent: parent.hash(),
            parent_view: self.justification.base.view(),
            justification: self.justification.digest(),
            time,
            proposer,
            members: self.config.members.hash(),
            next_members,
            payload: digest,
        };
        let hash = header.hash();
        self.blocks.insert(hash, Arc::new(Block { header, justification: self.justification.clone(), payload }), Status::Unasked);
        self.tallies.entry(self.view).or_default().proposal = Some(hash);
    }

    /// What J(v) leaves of a block for its payload.
    pub(super) fn payload_bytes_max(&self) -> usize {
        let justification = borsh::object_length(&self.justification).unwrap_or(BLOCK_BYTES_MAX);
        BLOCK_BYTES_MAX.saturating_sub(justification).min(PAYLOAD_BYTES_MAX)
    }

    pub(super) fn proposal(&mut self, from: Peer, proposal: Proposal, out: &mut Vec<Output>) {
        let Proposal { block, vote } = proposal;
        let header = &block.header;
        let (view, hash) = (header.view, header.hash());
        if header.chain != self.config.chain {
            return;
        }
        if header.epoch != self.config.epoch {
            return self.foreign(from, header.epoch, out);
        }
        let expected = Vote { epoch: self.config.epoch, view, kind: Kind::Notarize(hash) };
        if vote.vote != expected || vote.signer != header.proposer || vote.signer != self.config.leader(view) {
            return self.punish(from, Offence::Block, out);
        }
        let known = self.tallies.get(&view).and_then(|tally| tally.proposal);
        if view < self.view || known.is_some() {
            // Late, again, or the second of its leader: the vote still counts, and a second one is E1.
            if self.peers.fetched(&hash) {
                self.accept(from, hash, block, out);
            }
            return self.vote(from, vote, out);
        }
        if !vote.is_valid(self.config.chain, &self.config.members) {
            return self.punish(from, Offence::Signature, out);
        }
        if let Err(fault) = block.check(&self.config, &mut self.verifier) {
            // The leader signed the header alone. What somebody else put beside it does not end the view: the leader's own message may still come.
            if view == self.view && fault.is_of_header() {
                self.close(out);
            }
            return self.punish(from, Offence::Block, out);
        }
        self.peers.guide = Some(from);
        self.enter(block.justification.clone(), out);
        self.witness(block.justification.certificates(), out);
        if view == self.view {
            self.peers.fetched(&hash);
            let is_timely = self.is_timely(header.time);
            self.blocks.insert(hash, block, Status::Unasked);
            self.tallies.entry(view).or_default().proposal = Some(hash);
            if !is_timely {
                self.close(out);
            }
        }
        self.count_verified(vote, Some(from), out);
    }

    /// Whether a block of this time may be voted for now: not from the future, and not held back longer than a view lasts. Only voting looks at clocks.
    pub(super) fn is_timely(&self, time: Time) -> bool {
        let times = self.config.times;
        let late = times.drift_ms + times.execution_ms + 2 * self.delta();
        time <= self.in_ms(times.drift_ms) && self.now <= time.saturating_add(Time(late))
    }
}
