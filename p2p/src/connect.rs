//! Why a peer could not be reached, in words that name the address and the cause.

use std::{fmt::Write as _, time::Duration};

use libp2p::{Multiaddr, PeerId, TransportError, swarm::DialError};

/// Why there is no connection to a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No address answered; the reason names each address with its error.
    #[error("cannot reach {peer}: {reason}")]
    Unreachable {
        /// Who was dialed.
        peer: PeerId,
        /// What happened at each address.
        reason: String,
    },
    /// Somebody else answered.
    #[error("{address} is {obtained}, not {expected}")]
    WrongIdentity {
        /// Who was dialed.
        expected: PeerId,
        /// Who answered.
        obtained: PeerId,
        /// Where.
        address: Multiaddr,
    },
    /// The peer was not up in time.
    #[error("no connection to {peer} at {addresses:?} within {after:?}")]
    Timeout {
        /// Who was dialed.
        peer: PeerId,
        /// Where.
        addresses: Vec<Multiaddr>,
        /// The deadline that passed.
        after: Duration,
    },
    /// The peer is not connected and no address of it is known.
    #[error("not connected to {0} and no address of it is known")]
    NoAddress(PeerId),
    /// The peer belongs to another network.
    #[error("{peer} is of network {theirs}, not {ours}")]
    OtherNetwork {
        /// Who answered.
        peer: PeerId,
        /// Its network, as it says, cut to 64 characters.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The peer is banned.
    #[error("{peer} is banned for another {remaining:?}")]
    Banned {
        /// The peer.
        peer: PeerId,
        /// How long still.
        remaining: Duration,
    },
    /// The peer is this endpoint.
    #[error("an endpoint cannot connect to itself")]
    Myself,
    /// This endpoint is closed.
    #[error("the endpoint is closed")]
    Closed,
}

impl ConnectError {
    pub(crate) fn from_dial(peer: PeerId, error: &DialError) -> Self {
        match error {
            DialError::WrongPeerId { obtained, address } => Self::WrongIdentity { expected: peer, obtained: *obtained, address: address.clone() },
            DialError::LocalPeerId { .. } => Self::Myself,
            DialError::NoAddresses => Self::NoAddress(peer),
            DialError::Transport(errors) => {
                let mut reason = String::new();
                for (address, error) in errors {
                    let separator = if reason.is_empty() { "" } else { "; " };
                    let _ = write!(reason, "{separator}{address}: {}", transport(error));
                }
                Self::Unreachable { peer, reason }
            }
            DialError::Denied { cause } => Self::Unreachable { peer, reason: chain(cause) },
            DialError::Aborted | DialError::DialPeerConditionFalse(_) => Self::Unreachable { peer, reason: error.to_string() },
        }
    }
}

fn transport(error: &TransportError<std::io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "this kind of address is not supported".into(),
        TransportError::Other(error) => chain(error),
    }
}

/// The innermost cause: libp2p wraps "connection refused" in several layers that say less.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
