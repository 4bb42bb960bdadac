//! Every limit of the room, in one place: what a stranger can make us hold, open or wait for.

use std::time::Duration;

/// Largest frame on a channel, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 5 << 20;
/// Largest body of a request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 5 << 20;
/// Largest answer to a request, in bytes.
pub const ANSWER_BYTES_MAX: usize = 10 << 20;
/// Largest message on a gossip topic, whatever the topic asks for, in bytes.
pub const GOSSIP_BYTES_MAX: usize = 256 << 10;

/// Frames of kept peers that are being received or not yet dealt with, in bytes, each with [`FRAME_OVERHEAD`].
pub const KEPT_BYTES_MAX: usize = 64 << 20;
/// Frames of all other peers, requests of anybody, and answers until they are written, in bytes, each with [`FRAME_OVERHEAD`].
pub const STRANGER_BYTES_MAX: usize = 128 << 20;
/// What one peer may hold of the above for its frames, and as much again for its requests and their answers, in bytes.
pub const PER_PEER_BYTES_MAX: usize = 16 << 20;
/// What a frame, a request or an answer counts beside its bytes, in bytes: its place in a queue, its allocation, its task.
pub const FRAME_OVERHEAD: usize = 1 << 10;
/// Events that wait for the owner of the endpoint. When full, streams slow down, gossip is dropped, ups and downs wait.
pub const EVENTS_MAX: usize = 1024;
/// Ups, downs and first streams that wait for room among the events; more and new connections are refused.
pub const WAITING_MAX: usize = 4096;
/// Commands that wait for the swarm's task.
pub const COMMANDS_MAX: usize = 1024;
/// Streams of one protocol that were accepted and not yet taken.
pub const ACCEPT_MAX: usize = 32;
/// Requests and streams served at once, over all peers.
pub const SERVED_MAX: usize = 2048;
/// Frame streams kept for a peer we have not identified yet.
pub const EARLY_STREAMS_MAX: usize = 8;
/// Opens in a row that had no answer while nothing else moved on the connection, after which it is closed.
pub const SILENT_OPENS_MAX: u32 = 2;

/// Requests and byte streams that we open at once on one connection of the control plane; more wait until one of them ends.
pub const CONTROL_OPENED_MAX: usize = 32;
/// Requests and byte streams that we open at once on one connection of the data plane. A gateway is one peer with many downloads of several slices each;
/// what is above this number waits there, before it is asked for.
pub const DATA_OPENED_MAX: usize = 128;
/// Requests and streams served at once for one peer on the control plane: twice what it opens at once, since those that it has given up may still be
/// served for a while. More are dropped.
pub const CONTROL_SERVED_PER_PEER_MAX: usize = 2 * CONTROL_OPENED_MAX;
/// Requests and streams served at once for one peer on the data plane, by the same rule.
pub const DATA_SERVED_PER_PEER_MAX: usize = 2 * DATA_OPENED_MAX;
/// Streams per connection on the control plane, both directions together. Yamux answers one more with the end of the connection, so it is a quarter more
/// than what we open and what we serve: channels, pings and streams that are being negotiated have room.
pub const CONTROL_STREAMS_MAX: usize = 4 * CONTROL_OPENED_MAX;
/// Streams per connection on the data plane, by the same rule.
pub const DATA_STREAMS_MAX: usize = 4 * DATA_OPENED_MAX;
/// Inbound connections whose handshake is not finished.
pub const PENDING_IN_MAX: u32 = 32;
/// Outbound connections whose handshake is not finished.
pub const PENDING_OUT_MAX: u32 = 32;
/// Connections to one peer: simultaneous dials make two, a restart of the peer one or two more for a moment.
pub const PER_PEER_MAX: u32 = 4;

/// How long TCP and the encryption's handshake may take together.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a new connection may take until the peer has said who it is and what it speaks.
pub const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long [`crate::Endpoint::connect`] waits.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long opening a stream may take, from the request to the acknowledgement.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an open waits until another stream of ours to the same peer ends.
pub const SLOT_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before a stream that was dropped before its acknowledgement is asked for once more.
pub const OPEN_RETRY_DELAY: Duration = Duration::from_millis(50);
/// The usual deadline of a request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take to arrive whole, the wait for memory included.
pub const REQUEST_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the owner of the endpoint may think about an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a peer may take to read the answer: 10 MiB at 3 Mbit/s.
pub const ANSWER_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a frame may take to arrive once it was announced and has its memory: 5 MiB at 2 Mbit/s. Later, the connection is closed.
pub const FRAME_READ_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection without a stream is closed after this time.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two pings.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long the answer to a ping may take on the control plane.
pub const CONTROL_PING_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the answer to a ping may take on the data plane, where it waits behind the bulk (rust-libp2p #5387).
pub const DATA_PING_TIMEOUT: Duration = Duration::from_secs(80);
/// Pings lost in a row after which the connection is closed.
pub const FAILED_PINGS_MAX: u32 = 2;
/// First pause before a kept peer is dialed again; doubled with each failure.
pub const REDIAL_MIN: Duration = Duration::from_millis(100);
/// Longest pause before a kept peer is dialed again.
pub const REDIAL_MAX: Duration = Duration::from_secs(5);
/// How long [`crate::Endpoint::close`] waits for tasks to end.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(900);
/// Pause between two sweeps over peers that never identified themselves.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What one endpoint takes on; the fields an operator may change.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Established inbound connections.
    pub inbound_max: u32,
    /// Established outbound connections. Kept peers do not count.
    pub outbound_max: u32,
    /// Established connections in all.
    pub connections_max: u32,
    /// Inbound connections from one IPv4 address or one IPv6 /64 network, pending ones included.
    pub per_address_max: u32,
    /// Connections from this machine are not counted by address. For networks on one machine.
    pub loopback_exempt: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { inbound_max: 64, outbound_max: 64, connections_max: 128, per_address_max: 8, loopback_exempt: true }
    }
}
