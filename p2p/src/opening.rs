//! Opening and receiving streams: a libp2p behaviour that hands every negotiated stream to the driver and drops none in silence.
//!
//! It stands where `libp2p-stream` could: that one loses inbound streams when its channel of size 0 is full, opens one stream at a time per connection,
//! picks a random connection and dials by itself. Here the driver names the connection, and an inbound stream is an event of the swarm.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{InboundUpgrade, ReadyUpgrade, UpgradeInfo},
    },
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, StreamUpgradeError,
        SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::limits::{OPEN_TIMEOUT, SLOT_TIMEOUT};

/// Why a stream could not be opened on a living connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    /// The peer does not speak the protocol.
    #[error("it does not speak the protocol")]
    Unsupported,
    /// All streams we may open at once stayed in use.
    #[error("all streams to it were in use for {SLOT_TIMEOUT:?}")]
    Busy,
    /// Nothing came back.
    #[error("no answer within {OPEN_TIMEOUT:?}")]
    Late,
    /// The connection failed, or the other end did not accept the stream.
    #[error("{0}")]
    Lost(String),
}

impl Fault {
    pub(crate) fn gone() -> Self {
        Self::Lost("the connection is gone".into())
    }
}

/// The place of a stream among those we may open at once; channels need none.
pub(crate) type Slot = Option<OwnedSemaphorePermit>;
/// Where an opened stream goes.
pub(crate) type Reply = oneshot::Sender<Result<(Stream, Slot), Fault>>;

/// A stream somebody waits for. If the connection goes away, `reply` is dropped. The slot stays with the stream, also if nobody waits any more, so that
/// libp2p never has more to open than there are slots and channels.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) protocol: StreamProtocol,
    pub(crate) slot: Slot,
    pub(crate) reply: Reply,
}

/// A stream a peer opened.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) protocol: StreamProtocol,
    pub(crate) stream: Stream,
}

/// The behaviour: `wanted` goes down to connections, `Arrived` comes up.
#[derive(Debug)]
pub(crate) struct Behaviour {
    accepted: Arc<[StreamProtocol]>,
    events: VecDeque<ToSwarm<Arrived, Wanted>>,
}

impl Behaviour {
    /// A behaviour that accepts these protocols.
    pub(crate) fn new(accepted: Vec<StreamProtocol>) -> Self {
        Self { accepted: accepted.into(), events: VecDeque::new() }
    }

    /// Opens a stream on this connection. The caller polls the swarm next, so no waker is needed.
    pub(crate) fn open(&mut self, peer: PeerId, connection: ConnectionId, wanted: Wanted) {
        self.events.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler: NotifyHandler::One(connection), event: wanted });
    }

    fn handler(&self) -> Handler {
        Handler { accepted: self.accepted.clone(), wanted: VecDeque::new(), arrived: VecDeque::new() }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Arrived;

    fn handle_established_inbound_connection(&mut self, _: ConnectionId, _: PeerId, _: &Multiaddr, _: &Multiaddr) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, (protocol, stream): THandlerOutEvent<Self>) {
        self.events.push_back(ToSwarm::GenerateEvent(Arrived { peer, connection, protocol, stream }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// One connection's part.
#[derive(Debug)]
pub(crate) struct Handler {
    accepted: Arc<[StreamProtocol]>,
    wanted: VecDeque<Wanted>,
    arrived: VecDeque<(StreamProtocol, Stream)>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Wanted;
    type ToBehaviour = (StreamProtocol, Stream);
    type InboundProtocol = Accept;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = (Reply, Slot);

    fn listen_protocol(&self) -> SubstreamProtocol<Accept> {
        SubstreamProtocol::new(Accept { protocols: self.accepted.clone() }, ())
    }

    fn on_behaviour_event(&mut self, wanted: Wanted) {
        self.wanted.push_back(wanted);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (Reply, Slot), Self::ToBehaviour>> {
        if let Some(arrived) = self.arrived.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(arrived));
        }
        while let Some(Wanted { protocol, slot, reply }) = self.wanted.pop_front() {
            // Nobody waits any more: a stream would only be opened to be reset.
            if !reply.is_closed() {
                let protocol = SubstreamProtocol::new(ReadyUpgrade::new(protocol), (reply, slot)).with_timeout(OPEN_TIMEOUT);
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
        }
        Poll::Pending
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Accept, Self::OutboundProtocol, (), (Reply, Slot)>) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest tells of addresses and of the peer's protocols, which identify reports")]
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, info: () }) => self.arrived.push_back(protocol),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info: (reply, slot) }) => {
                let _ = reply.send(Ok((protocol, slot)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: (reply, _), error }) => {
                let _ = reply.send(Err(match error {
                    StreamUpgradeError::Timeout => Fault::Late,
                    StreamUpgradeError::Apply(never) => match never {},
                    StreamUpgradeError::NegotiationFailed => Fault::Unsupported,
                    StreamUpgradeError::Io(error) => Fault::Lost(error.to_string()),
                }));
            }
            _ => {}
        }
    }
}

/// Accepts any of the protocols and gives the stream with the name that was chosen.
#[derive(Debug)]
pub(crate) struct Accept {
    protocols: Arc<[StreamProtocol]>,
}

impl UpgradeInfo for Accept {
    type Info = StreamProtocol;
    type InfoIter = Vec<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.protocols.to_vec()
    }
}

impl InboundUpgrade<Stream> for Accept {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}
