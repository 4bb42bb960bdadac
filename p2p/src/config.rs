//! What an endpoint is told when it starts.

use libp2p::{Multiaddr, StreamProtocol};

use crate::{identity::Secret, limits::Limits};

/// Which of a process's two swarms this is. Votes behind bulk on one connection wait up to 70 times as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Small messages that must be quick: Noise, few streams, short pings.
    Control,
    /// Bulk: TLS 1.3 first, which moves 1.7 times what Noise does, and Noise second; many streams, patient pings.
    Data,
}

/// A gossip topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its name, such as `tx`.
    pub name: &'static str,
    /// The largest message, at most [`crate::limits::GOSSIP_BYTES_MAX`].
    pub bytes_max: usize,
}

/// What an endpoint is and does. Protocols are named shortly (`cons`, `slice/get`); on the wire they are `/stratos/<name>/<network>/1`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The endpoint's identity.
    pub secret: Secret,
    /// Where to listen; port 0 takes a free one. Empty for a pure client.
    pub listen: Vec<Multiaddr>,
    /// The first 8 hex digits of the genesis hash: part of every name, so that networks never mix.
    pub network: String,
    /// Control or data.
    pub plane: Plane,
    /// Channels of frames, both sent and received.
    pub channels: Vec<&'static str>,
    /// Requests we answer ([`crate::Event::Request`]).
    pub serve: Vec<&'static str>,
    /// Byte streams we accept ([`crate::Endpoint::accept`]).
    pub streams: Vec<&'static str>,
    /// Gossip topics we take part in; without any, gossip is off.
    pub topics: Vec<Topic>,
    /// What we take on.
    pub limits: Limits,
}

impl Config {
    /// A pure client of this network: it listens nowhere, accepts nothing and dials on demand.
    pub fn client(secret: Secret, network: impl Into<String>, plane: Plane) -> Self {
        Self {
            secret,
            listen: Vec::new(),
            network: network.into(),
            plane,
            channels: Vec::new(),
            serve: Vec::new(),
            streams: Vec::new(),
            topics: Vec::new(),
            limits: Limits::default(),
        }
    }

    pub(crate) fn version(&self) -> String {
        format!("/stratos/{}/1", self.network)
    }
}

/// The name of a protocol on the wire.
pub(crate) fn protocol(name: &str, network: &str) -> StreamProtocol {
    StreamProtocol::try_from_owned(format!("/stratos/{name}/{network}/1")).expect("the name begins with a slash")
}

#[cfg(test)]
mod tests {
    /// A golden vector.
    #[test]
    fn names_on_the_wire() {
        assert_eq!(super::protocol("slice/get", "0a1b2c3d").as_ref(), "/stratos/slice/get/0a1b2c3d/1");
    }
}
