//! What an endpoint tells its owner.

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::oneshot;

use crate::{budget::Share, gossip::Verdict};

/// What happened. For one peer, `Up` comes before its frames, and `Up` and `Down` take turns.
#[derive(Debug)]
pub enum Event {
    /// The peer is connected, has proved its identity and belongs to our network: frames can be sent. Until `Down`, every frame that
    /// [`crate::Endpoint::send`] took and no newer urgent frame displaced reaches the peer, in order within its class.
    Up(PeerId),
    /// The connection that carried our frames is gone, and with it perhaps some of them. Frames received before may still follow. If another
    /// connection exists, `Up` follows at once.
    Down(PeerId),
    /// A frame arrived.
    Frame {
        /// Who sent it.
        from: PeerId,
        /// On which channel.
        channel: &'static str,
        /// At most [`crate::limits::MESSAGE_BYTES_MAX`] bytes.
        bytes: Bytes,
        /// Drop it when the bytes are dealt with.
        share: Share,
    },
    /// A peer asks.
    Request {
        /// Who asks.
        from: PeerId,
        /// Under which of the served protocols.
        protocol: &'static str,
        /// At most [`crate::limits::REQUEST_BYTES_MAX`] bytes.
        body: Bytes,
        /// Where the answer goes.
        responder: Responder,
    },
    /// A gossip message arrived that was not seen before.
    Gossip {
        /// Who passed it on; gossip is anonymous, so not who wrote it.
        from: PeerId,
        /// On which topic.
        topic: &'static str,
        /// At most the topic's limit.
        bytes: Bytes,
        /// Tell whether to forward it.
        verdict: Verdict,
        /// Drop it when the bytes are dealt with.
        share: Share,
    },
}

/// Where the answer to a request goes. Dropped without an answer, the request is refused. The body's memory counts until the answer is written.
#[derive(Debug)]
pub struct Responder {
    pub(crate) reply: oneshot::Sender<(Bytes, Share)>,
    pub(crate) share: Share,
}

impl Responder {
    /// Sends the answer, at most [`crate::limits::ANSWER_BYTES_MAX`] bytes. The request is refused if the answer is longer, or if it has no room because
    /// earlier answers are not yet read. Does nothing if the peer is gone.
    pub fn answer(self, answer: impl Into<Bytes>) {
        let _ = self.reply.send((answer.into(), self.share));
    }
}
