//! From one epoch to the next: the last block is final, the ledger has committed it, other members vote.
//!
//! Nothing of an epoch goes into the next but the tip, the connections, and who voted, for evidence that comes late: votes, certificates and views are of one
//! epoch. Who is still in an older one is told so and fetches the finalized blocks, the epoch's last and its proof among them; no proof of a later epoch means
//! anything to it.

use std::collections::BTreeSet;

use primitives::{Epoch, Height};

use super::Engine;
use super::interface::{Halt, Input, Output, Peer, Restored};
use crate::config::Config;
use crate::members::Members;
use crate::message::Message;
use crate::mutants::{self, Mutant};

/// What is kept of the epoch before.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) epoch: Epoch,
    pub(super) members: Members,
    /// Members whose evidence was given out.
    pub(super) reported: BTreeSet<u16>,
}

impl Engine {
    /// Who votes in this epoch, or did in the one before, and whose evidence was given out.
    pub(super) fn voters_of(&self, epoch: Epoch) -> Option<(&Members, &BTreeSet<u16>)> {
        match &self.before {
            Some(before) if before.epoch == epoch => Some((&before.members, &before.reported)),
            Some(_) | None => (self.config.epoch == epoch).then_some((&self.config.members, &self.reported)),
        }
    }

    /// Whether this epoch's last block has been given out.
    pub(super) fn is_over(&self) -> bool {
        self.tip.header.is_last() && self.tip.header.epoch == self.config.epoch
    }

    /// While the ledger commits the last block only connections and the next epoch matter; whatever else is said is said again.
    pub(super) fn between(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Connected(peer) => self.connected(peer, out),
            Input::Disconnected(peer) => self.peers.forget(peer),
            Input::Epoch(config) => self.succeed(*config, out),
            Input::Start
            | Input::Message { .. }
            | Input::Built { .. }
            | Input::BuildDeclined(_)
            | Input::Verified { .. }
            | Input::Signed(_)
            | Input::SignRefused(_)
            | Input::Wake => {}
        }
    }

    /// A new engine on the tip, among the same peers.
    fn succeed(&mut self, config: Config, out: &mut Vec<Output>) {
        let fits = config.start == self.tip.header && config.epoch == self.config.epoch.next() && config.members.hash() == self.tip.header.next_members;
        if !fits {
            return self.give_up(out);
        }
        let restored = Restored { tip: self.tip.clone(), slot: None, justification: None, blocks: Vec::new() };
        let Ok(fresh) = Self::new(config, restored) else { return self.give_up(out) };
        let before = std::mem::replace(self, fresh);
        (self.now, self.recent, self.peers) = (before.now, before.recent, before.peers);
        self.before = Some(Before { epoch: before.config.epoch, members: before.config.members, reported: before.reported });
        self.peers.begin_epoch();
        if mutants::is(Mutant::StaleMembers) {
            self.verifier = before.verifier;
        }
        self.set_timers();
        self.catch_up(out);
        self.pursue(out);
        self.schedule(out);
    }

    /// The ledger names other voters than the block that it executed.
    fn give_up(&mut self, out: &mut Vec<Output>) {
        self.halt(Halt::Invalid { height: self.tip.header.height, hash: self.tip_hash }, out);
    }

    /// Something of another epoch: from a later one it means that we are behind.
    pub(super) fn foreign(&mut self, from: Peer, epoch: Epoch, out: &mut Vec<Output>) {
        if epoch > self.config.epoch {
            self.ask(from, out);
        }
    }

    /// A peer says to be further on, in a later epoch: nothing it says of that can be verified here; the blocks that lead there can.
    pub(super) fn claimed(&mut self, from: Peer, height: Height, out: &mut Vec<Output>) {
        self.peers.showed(from, height);
        self.catch_up(out);
    }

    /// The epoch's last block is given out: who is a step behind needs its proof now, for soon nobody speaks of this epoch.
    pub(super) fn announce_end(&self, out: &mut Vec<Output>) {
        out.push(Output::Broadcast(Message::Tip(Box::new(self.tip.clone()))));
    }
}
