//! Proven identities that exchange frames, requests, byte streams and gossip: a thin house around libp2p.
//!
//! Goals: a peer is who it says or is not connected; a vote never waits for a body, nor one plane for the other; every queue, wait and size has a named
//! limit ([`limits`]); a lost message is either impossible or visible. Non-goals: p2p knows no block. It does not decide whom to know (the registries
//! do), does not look for content (the meta nodes do), and does not judge messages (their owners do).
//!
//! # Protocol
//! 1. An [`Endpoint`] listens and dials over TCP; Noise (control) or TLS 1.3 (data) proves both ed25519 identities; Yamux carries streams.
//! 2. Both ends identify themselves. `/stratos/<network>/1` must be equal, or the connection is closed; else the peer is [`Event::Up`] with the protocols
//!    it named. Its agent string holds a number drawn at start: another number under the same identity means that older connections are dead.
//! 3. Every stream we open names `/stratos/<name>/<network>/1`, and the accepting end first sends one byte, 1. No byte, no stream: the opener asks once
//!    more. This covers libp2p's habit of dropping streams on arrival. Beside channels, only so many are open at once; the next waits at the opener.
//! 4. A channel is one one-way stream per ordered pair, opened by the first [`Endpoint::send`]. A frame is its length (`u32` little-endian) and its bytes.
//!    Of the frames that wait, the most urgent [`Class`] goes first.
//! 5. A request is a stream with one frame each way. The asker ends its half after the question.
//! 6. A byte stream ([`Stream`]) belongs to its two users.
//! 7. Gossip is gossipsub, anonymous, forwarded only after a [`Verdict`].
//! 8. A kept peer is dialed again when it is lost. A peer that sends nonsense loses score, then its place ([`book`]).
//!
//! # Invariants
//! - **P2P-1** Between `Up` and `Down`, frames that were taken arrive, in order within a class, except urgent ones that a newer one displaced.
//! - **P2P-2** `Up` and `Down` of a peer take turns, and `Up` comes before the peer's first frame.
//! - **P2P-3** A stream that was opened was accepted by the other end's protocol, not merely negotiated.
//! - **P2P-4** Whatever strangers send, memory is bounded by [`limits`] and nobody else's connection is disturbed. Memory is taken when a length is
//!   announced and held until the bytes are dealt with or the answer is written; the frames of kept peers have memory that no stranger can take. Beside it
//!   each open stream may hold what Yamux lets a peer send unread, 256 KiB.
//! - **P2P-5** The swarm's task waits for nobody. A slow owner slows the peers that send to it, and nothing else.
//!
//! # Assumptions
//! libp2p 0.57 and yamux 0.14 are sound. The operating system notices a killed process; a silent death is noticed by two lost pings, by two opens
//! without an answer while nothing else moves, or at once when the peer comes back. Frames within one connection are as safe as TCP. Answers are bounded in
//! number and size by who asks for them.
//!
//! # Source
//! design/network.md with its measurements. We differ from it in one thing: streams, requests and channels all stand on one small behaviour (`opening`)
//! in place of `libp2p-stream` and `libp2p-request-response`, which lose streams in silence or hide them.

// What everything stands on.
mod config;
mod identity;
pub mod limits;

// Pure machines, and what is shared out: memory and streams.
pub mod book;
mod budget;
mod line;
mod queue;

// Bytes on a stream and tasks that end.
mod tasks;
mod wire;

// libp2p behaviours and the stack they stand in.
mod gate;
mod gossip;
mod opening;
mod swarm;

// What owners of an endpoint see and do.
mod connect;
mod event;
mod link;
mod request;

// The task, and the handle to it.
mod driver;
mod endpoint;

#[cfg(test)]
mod tests;

pub use libp2p::{Multiaddr, PeerId};

pub use budget::Share;
pub use config::{Config, Plane, Topic};
pub use connect::ConnectError;
pub use endpoint::{Endpoint, OpenError, StartError};
pub use event::{Event, Responder};
pub use gossip::{PublishError, Verdict};
pub use identity::{Contact, Secret};
pub use limits::Limits;
pub use link::SendError;
pub use queue::{Class, Full};
pub use request::RequestError;
pub use wire::Stream;
