//! Who may come in: a libp2p behaviour that refuses banned peers and more than a few connections from one address.
//!
//! libp2p limits connections in all and per peer, but identities are free; addresses are not.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        dummy,
    },
};

/// Why a connection was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The peer behaved badly before.
    #[error("peer {0} is banned")]
    Banned(PeerId),
    /// Too many from one place.
    #[error("{count} connections from {address} already")]
    Crowded {
        /// An IPv4 address or the first address of an IPv6 /64.
        address: IpAddr,
        /// Connections it has.
        count: u32,
    },
}

/// The counters. Pure: the behaviour below only translates.
#[derive(Debug)]
pub(crate) struct Gate {
    per_address_max: u32,
    loopback_exempt: bool,
    inbound: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, u32>,
    banned: HashSet<PeerId>,
}

/// The address a connection is counted under: IPv4 as it is, IPv6 by its /64, since one customer has that many.
fn place(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only addresses count")]
        match part {
            Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
            Protocol::Ip6(ip) => Some(match ip.to_ipv4_mapped() {
                Some(ip) => IpAddr::V4(ip),
                None if ip.is_loopback() => IpAddr::V6(ip),
                None => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
            }),
            _ => None,
        }
    })
}

impl Gate {
    pub(crate) fn new(per_address_max: u32, loopback_exempt: bool) -> Self {
        Self { per_address_max, loopback_exempt, inbound: HashMap::new(), counts: HashMap::new(), banned: HashSet::new() }
    }

    pub(crate) fn ban(&mut self, peer: PeerId) {
        self.banned.insert(peer);
    }

    /// Lets those in again for whom `is_banned` no longer holds.
    pub(crate) fn pardon(&mut self, is_banned: impl Fn(&PeerId) -> bool) {
        self.banned.retain(is_banned);
    }

    fn enter(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), Refusal> {
        let Some(address) = place(remote).filter(|address| !(self.loopback_exempt && address.is_loopback())) else { return Ok(()) };
        let count = self.counts.entry(address).or_default();
        if *count >= self.per_address_max {
            return Err(Refusal::Crowded { address, count: *count });
        }
        *count += 1;
        self.inbound.insert(connection, address);
        Ok(())
    }

    fn leave(&mut self, connection: ConnectionId) {
        let Some(address) = self.inbound.remove(&connection) else { return };
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }

    fn admit(&self, peer: PeerId) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        if self.banned.contains(&peer) { Err(ConnectionDenied::new(Refusal::Banned(peer))) } else { Ok(dummy::ConnectionHandler) }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(&mut self, connection: ConnectionId, _: &Multiaddr, remote: &Multiaddr) -> Result<(), ConnectionDenied> {
        self.enter(connection, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = event {
            self.leave(connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_gets_a_few_connections() {
        let mut gate = Gate::new(2, true);
        let id = ConnectionId::new_unchecked;
        let remote = address("/ip4/10.0.0.1/tcp/5");
        assert_eq!(gate.enter(id(1), &remote), Ok(()));
        assert_eq!(gate.enter(id(2), &remote), Ok(()));
        assert!(matches!(gate.enter(id(3), &remote), Err(Refusal::Crowded { count: 2, .. })));
        gate.leave(id(3));
        assert!(gate.enter(id(4), &remote).is_err(), "a refused connection frees nothing");
        gate.leave(id(1));
        assert_eq!(gate.enter(id(5), &remote), Ok(()));
        assert_eq!(gate.enter(id(6), &address("/ip4/10.0.0.2/tcp/5")), Ok(()));
        for n in [2, 5, 6] {
            gate.leave(id(n));
        }
        assert!(gate.counts.is_empty() && gate.inbound.is_empty());
    }

    #[test]
    fn ipv6_counts_by_network_and_loopback_may_be_exempt() {
        assert_eq!(place(&address("/ip6/2001:db8::1/tcp/1")), place(&address("/ip6/2001:db8::ffff/tcp/2")));
        assert_ne!(place(&address("/ip6/2001:db8::1/tcp/1")), place(&address("/ip6/2001:db8:0:1::1/tcp/1")));
        assert_eq!(place(&address("/ip6/::ffff:10.0.0.1/tcp/1")), place(&address("/ip4/10.0.0.1/tcp/1")));
        let here = address("/ip4/127.0.0.1/tcp/1");
        let id = ConnectionId::new_unchecked;
        assert!(Gate::new(0, true).enter(id(1), &here).is_ok());
        assert!(Gate::new(0, false).enter(id(1), &here).is_err());
    }

    #[test]
    fn bans_end() {
        let mut gate = Gate::new(2, true);
        let peer = crate::identity::Secret::from_seed([1; 32]).peer();
        gate.ban(peer);
        gate.pardon(|_| true);
        assert!(gate.admit(peer).is_err());
        gate.pardon(|_| false);
        assert!(gate.admit(peer).is_ok());
    }
}
