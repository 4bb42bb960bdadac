//! From one epoch to the next: the last block is final, the ledger has committed it, other members vote.
//!
//! Nothing of an epoch goes into the next but the tip and the connections: votes, certificates and views are of one epoch. Who is still in an older one is told so
//! and fetches the finalized blocks, the epoch's last and its proof among them; no proof of a later epoch means anything to it.

use primitives::{Epoch, View};

use super::blocks::Blocks;
use super::interface::{Halt, Input, Output, Peer};
use super::views::Timers;
use super::{BTreeMap, BTreeSet, Engine};
use crate::certificate::Verifier;
use crate::config::Config;
use crate::justification::Justification;
use crate::message::Message;
use crate::mutants::{self, Mutant};
use crate::slot::Slot;

impl Engine {
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

    fn succeed(&mut self, config: Config, out: &mut Vec<Output>) {
        let fits = config.start == self.tip.header && config.epoch == self.config.epoch.next() && config.members.hash() == self.tip.header.next_members;
        if !fits {
            // The ledger names other voters than the block that it executed.
            self.halt(Halt::Invalid { height: self.tip.header.height, hash: self.tip_hash }, out);
            return;
        }
        self.verifier = Verifier::new(config.chain, config.members.clone());
        self.view = View(1);
        self.justification = Justification::first(config.epoch);
        self.timers = Timers::default();
        self.tallies = BTreeMap::new();
        self.seen = vec![View(0); config.members.count()];
        self.reported = BTreeSet::new();
        self.slot = Slot::empty(config.epoch);
        self.kept = self.view;
        self.own = Vec::new();
        self.building = false;
        self.blocks = Blocks::default();
        self.target = None;
        self.batch = None;
        self.held = None;
        self.peers.begin_epoch();
        self.wake = None;
        let stale = mutants::is(Mutant::StaleMembers).then(|| self.config.members.clone());
        self.config = config;
        if let Some(members) = stale {
            self.verifier = Verifier::new(self.config.chain, members);
        }
        self.set_timers();
        if self.peers.batch_source(self.tip.header.height.next()).is_some() {
            self.catch_up(out);
        }
        self.pursue(out);
        self.schedule(out);
    }

    /// Something of another epoch: from a later one it means that we are behind.
    pub(super) fn foreign(&mut self, from: Peer, epoch: Epoch, out: &mut Vec<Output>) {
        if epoch > self.config.epoch {
            self.ask(from, out);
        }
    }

    /// The epoch's last block is given out: who is a step behind needs its proof now, for soon nobody speaks of this epoch.
    pub(super) fn announce_end(&self, out: &mut Vec<Output>) {
        out.push(Output::Broadcast(Message::Tip(Box::new(self.tip.clone()))));
    }
}
