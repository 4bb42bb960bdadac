//! The replica's connection with the network: consensus frames and transactions in, answers to questions out.

use chain::ledger::proven::KEYS_MAX;
use chain::ledger::query::{Answer, META_PROTOCOL, Request, VALUE_PROTOCOL};
use chain::ledger::{Refusal, Rules};
use p2p::{Event as NetworkEvent, Responder};
use primitives::encoding::{decode, encode};
use tracing::debug;

use super::{Event, Replica, records};

/// Largest question in bytes: one transaction, or the keys of a read.
const REQUEST_BYTES_MAX: usize = 2 << 20;

/// The names under which a ledger's replicas talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Consensus messages.
    pub consensus: &'static str,
    /// Transactions on their way to leaders.
    pub transactions: &'static str,
    /// Questions of anybody.
    pub requests: &'static str,
}

/// The value ledger's names.
pub const VALUE: Channels = Channels { consensus: "cons/value", transactions: "tx/value", requests: VALUE_PROTOCOL };
/// The metadata ledger's names.
pub const META: Channels = Channels { consensus: "cons/meta", transactions: "tx/meta", requests: META_PROTOCOL };

/// What a network event is offered to: a replica takes what concerns it and leaves the rest.
pub trait Attached: Send + Sync {
    /// Takes the event, or gives it back.
    fn offer(&self, event: NetworkEvent) -> Option<NetworkEvent>;
    /// Hears of every peer that comes or goes.
    fn presence(&self, peer: p2p::PeerId, is_up: bool);
}

/// A replica as something that network events are offered to.
pub fn attach<R: Rules>(replica: &Replica<R>) -> Box<dyn Attached> {
    Box::new(replica.clone())
}

impl<R: Rules> Attached for Replica<R> {
    fn presence(&self, peer: p2p::PeerId, is_up: bool) {
        // Clients, storage nodes and the other ledger's replicas are no peers of this engine: asked for a block they would never answer.
        if is_up && !self.0.endpoint.speaks(&peer, self.0.channels.consensus) {
            return;
        }
        // The thread is gone only when the node stops.
        let _ = self.0.inbox.send(if is_up { Event::Up(peer) } else { Event::Down(peer) });
    }

    fn offer(&self, event: NetworkEvent) -> Option<NetworkEvent> {
        let channels = self.0.channels;
        match event {
            NetworkEvent::Frame { from, channel, bytes, share } if channel == channels.consensus => {
                let _ = self.0.inbox.send(Event::Frame { from, bytes, _share: share });
                None
            }
            NetworkEvent::Frame { from, channel, bytes, share } if channel == channels.transactions => {
                let replica = self.clone();
                tokio::task::spawn_blocking(move || {
                    replica.received(from, bytes.to_vec());
                    drop(share);
                });
                None
            }
            NetworkEvent::Request { protocol, body, responder, .. } if protocol == channels.requests => {
                let replica = self.clone();
                tokio::task::spawn_blocking(move || replica.respond(&body, responder));
                None
            }
            other @ (NetworkEvent::Up(_) | NetworkEvent::Down(_) | NetworkEvent::Frame { .. } | NetworkEvent::Request { .. } | NetworkEvent::Gossip { .. }) => {
                Some(other)
            }
        }
    }
}

impl<R: Rules> Replica<R> {
    /// A transaction from another replica: queued, and passed on if it is new here.
    fn received(&self, from: p2p::PeerId, bytes: Vec<u8>) {
        let hash = chain::ledger::block::transaction_hash(&bytes);
        if super::lock(&self.0.mempool).contains(&hash) {
            return;
        }
        match self.0.admit(bytes.clone()) {
            Ok(_) => {
                self.0.endpoint.broadcast(self.0.channels.transactions, p2p::Class::Bulk, bytes);
            }
            Err(refusal) => debug!(replica = self.0.name, peer = %from, %refusal, "a transaction was not queued"),
        }
    }

    fn respond(&self, body: &[u8], responder: Responder) {
        let Ok(request) = decode::<Request>(body, REQUEST_BYTES_MAX) else {
            // No answer: the asker is told that it was refused.
            return;
        };
        responder.answer(encode(&self.answer(request)));
    }

    /// The answer to a question, as the network gets it.
    pub fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Head => Answer::Head(self.head().certified.clone()),
            Request::Read(keys) if keys.len() > KEYS_MAX => Answer::Refused(format!("{} keys, at most {KEYS_MAX} are read at once", keys.len())),
            Request::Read(keys) => Answer::Read(self.read(&keys)),
            Request::Submit(bytes) => match self.submit(bytes) {
                Ok(hash) => Answer::Submitted(hash),
                Err(Refusal::Never(reason) | Refusal::NotNow(reason)) => Answer::Refused(reason),
            },
            Request::Transaction(hash) => Answer::Transaction(self.transaction(&hash)),
            Request::EpochProofs { from } => Answer::EpochProofs { present: self.head().present(), proofs: records::epoch_proofs(&self.0.store, from) },
            Request::Snapshot { wanted } => Answer::Snapshot(self.0.snapshots.give(&self.0, wanted)),
            Request::Chunk { state, from, to } => Answer::Chunk(self.0.snapshots.chunk(&self.0.store, &state, &(from..=to))),
        }
    }
}
