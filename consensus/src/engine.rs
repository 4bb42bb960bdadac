//! The engine: one node's part in the protocol, as a pure machine.
//!
//! Branches carry the event names of the protocol in the crate's page (ENTER, PROPOSAL, NOTARIZATION, ...). [`Engine::handle`] takes one event and then follows
//! what the new state asks for (`pursue`): the next block to execute, to vote for, to build on, to commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use primitives::{Epoch, Hash, Time, View};

mod answer;
mod blocks;
mod epochs;
mod fork;
mod interface;
mod load;
mod peers;
mod propose;
mod pursue;
mod tally;
mod views;
mod votes;
#[cfg(test)]
mod tests;

pub use interface::{Halt, Input, Kept, Offence, Output, Peer, RestoreError, Restored};
pub use load::Load;

use blocks::{Blocks, Status};
use epochs::Before;
use fork::Fork;
use peers::Peers;
use tally::Tally;
use views::Timers;

use crate::block::{Block, Finality, Header};
use crate::certificate::{Certificate, Verifier};
use crate::config::Config;
use crate::justification::{Base, Justification};
use crate::message::{Message, Tip};
use crate::slot::Slot;
use crate::vote::SignedVote;

/// Views ahead of ours whose votes are counted; who is further ahead is asked for a justification instead.
const VIEWS_AHEAD_MAX: u64 = 64;
/// Views behind ours whose votes are still kept: for a late finalization, and for what contradicts them late.
const VIEWS_BEHIND_MAX: u64 = 64;
/// Finalized blocks still answered from memory by hash.
const RECENT_MAX: usize = 8;
/// Views without a finalization that are no failure: the one we are in, and the one whose finalize votes are under way.
const VIEWS_IN_FLIGHT: u64 = 2;

/// One node's consensus.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    verifier: Verifier,
    now: Time,
    halted: bool,

    /// The last block given out as final, and its proof.
    tip: Tip,
    tip_hash: Hash,
    recent: Vec<Arc<Block>>,

    /// v and J(v).
    view: View,
    justification: Justification,
    timers: Timers,
    tallies: BTreeMap<View, Tally>,
    /// The latest view each member has shown itself in.
    seen: Vec<View>,
    /// Members whose evidence was given out.
    reported: BTreeSet<u16>,
    /// Of the epoch before: its evidence may come late.
    before: Option<Before>,

    /// What the signer's slot will be after the signatures asked for.
    slot: Slot,
    /// Up to which view J was kept.
    kept: View,
    /// Released votes of the slot's view.
    own: Vec<SignedVote>,
    /// Build was asked in this view.
    building: bool,

    blocks: Blocks,
    /// The finalization of the highest view known.
    target: Option<Certificate>,
    /// The last block of a batch that was caught up with, and its proof.
    batch: Option<(Header, Finality)>,
    /// The last block of batches that are here and wait for more: it is final by a later block, which is not here yet.
    held: Option<Header>,
    peers: Peers,
    /// A finalization that contradicts ours was seen: nothing is voted for any more.
    fork: Option<Fork>,
    wake: Option<Time>,
}

impl Engine {
    /// An engine that continues from what is on disk. Give it [`Input::Start`] first.
    ///
    /// # Errors
    /// [`RestoreError`] if what is on disk does not verify.
    pub fn new(config: Config, restored: Restored) -> Result<Self, RestoreError> {
        let mut verifier = Verifier::new(config.chain, config.members.clone());
        let Restored { tip, slot, justification: kept, blocks: kept_blocks } = restored;
        let tip_hash = tip.header.hash();
        let mut justification = Justification::first(config.epoch);
        let mut target = None;
        let start = config.start.hash();
        match &tip.finality {
            _ if tip_hash == start => {}
            Some(finality) => {
                finality.verify_with(&tip.header, &mut verifier)?;
                justification = Justification::after(finality.certificate.clone());
                target = Some(finality.certificate.clone());
            }
            None if tip.header.height == config.start.height => return Err(RestoreError::Start { found: tip_hash, expected: start }),
            None => return Err(RestoreError::Unproved(tip.header.height)),
        }
        if let Some(kept) = kept.filter(|kept| kept.epoch == config.epoch && kept.view() > justification.view()) {
            kept.verify(&mut verifier)?;
            if let Base::Certified(base) = &kept.base
                && base.finalized().is_some()
                && target.as_ref().is_none_or(|target| base.view() > target.view())
            {
                target = Some(base.clone());
            }
            justification = kept;
        }
        let view = justification.view();
        let mut blocks = Blocks::default();
        let mut tallies: BTreeMap<View, Tally> = BTreeMap::new();
        for block in kept_blocks.into_iter().filter(|block| block.header.epoch == config.epoch && block.header.height > tip.header.height) {
            block.check(&config, &mut verifier).map_err(|cause| RestoreError::Block { height: block.header.height, cause })?;
            let hash = block.header.hash();
            if block.header.view == view {
                tallies.entry(view).or_default().proposal = Some(hash);
            }
            blocks.insert(hash, block, Status::Unasked);
        }
        Ok(Self {
            slot: slot.filter(|slot| slot.epoch == config.epoch).unwrap_or(Slot::empty(config.epoch)),
            seen: vec![View(0); config.members.count()],
            config,
            verifier,
            now: Time(0),
            halted: false,
            tip,
            tip_hash,
            recent: Vec::new(),
            view,
            justification,
            timers: Timers::default(),
            tallies,
            reported: BTreeSet::new(),
            before: None,
            kept: view,
            own: Vec::new(),
            building: false,
            blocks,
            target,
            batch: None,
            held: None,
            peers: Peers::default(),
            fork: None,
            wake: None,
        })
    }

    /// Whether evidence about an epoch is for the engine to judge: it knows who votes in the current epoch, and who did in the one before.
    pub fn judges(&self, epoch: Epoch) -> bool {
        self.voters_of(epoch).is_some()
    }

    /// Takes one input. Same history, same outputs, on every machine. Outputs are performed in order, each finished before the next begins.
    ///
    /// `now` is in milliseconds since the Unix epoch and must never fall; headers' times are compared with it.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if self.halted {
            return;
        }
        self.now = self.now.max(now);
        if self.fork.is_some() {
            return self.investigate(input, out);
        }
        if self.is_over() {
            return self.between(input, out);
        }
        match input {
            Input::Start => self.start(out),
            Input::Connected(peer) => self.connected(peer, out),
            Input::Disconnected(peer) => self.peers.forget(peer),
            Input::Message { from, message } => {
                if self.peers.meet(from) {
                    self.message(from, *message, out);
                }
            }
            Input::Built { view, parent, payload, time, next_members } => self.built(view, parent, payload, time, next_members, out),
            Input::BuildDeclined(view) if view == self.view && self.building => self.close(out),
            Input::BuildDeclined(_) | Input::SignRefused(_) | Input::Epoch(_) => {}
            Input::Verified { block, valid } => self.blocks.set(&block, if valid { Status::Valid } else { Status::Invalid }),
            Input::Signed(vote) => self.signed(vote.into_inner(), out),
            Input::Wake => self.wake(out),
        }
        self.pursue(out);
        if self.fork.is_none() {
            self.schedule(out);
        }
    }

    fn message(&mut self, from: Peer, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::Proposal(proposal) => self.proposal(from, proposal, out),
            Message::Vote(vote) => self.vote(from, vote, out),
            Message::Certificate(certificate) => self.certificate(from, certificate, out),
            Message::Justification(justification) => self.justified(from, justification, out),
            Message::Hello(hello) => self.hello(from, &hello, out),
            Message::Tip(tip) => self.tip_shown(from, *tip, out),
            Message::BlockRequest(hash) => self.block_request(from, hash, out),
            Message::Block(block) => self.block(from, block, out),
            Message::ChainRequest(height) => self.chain_request(from, height, out),
            Message::Chain(chain) => self.chain(from, chain, out),
            Message::Evidence(evidence) => self.evidence(from, *evidence, out),
        }
    }

    /// restart: the slot's votes once more (the signer gives the same signatures), and HELLO.
    fn start(&mut self, out: &mut Vec<Output>) {
        self.set_timers();
        for vote in self.slot.votes() {
            if self.config.me.is_some() && vote.view >= self.target_view() {
                out.push(Output::Sign(vote));
            }
        }
        out.push(Output::Broadcast(self.greeting(false)));
    }

    fn punish(&self, peer: Peer, offence: Offence, out: &mut Vec<Output>) {
        out.push(Output::Punish { peer, offence });
    }

    /// The header of an undecided block or of the tip.
    fn header(&self, hash: Hash) -> Option<Header> {
        if hash == self.tip_hash { Some(self.tip.header.clone()) } else { self.blocks.get(&hash).map(|block| block.header.clone()) }
    }
}
