//! The libp2p stack of one plane: TCP without delay, encryption, Yamux, and our behaviours. A QUIC transport for the data plane would be added here.

use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, connection_limits,
    connection_limits::ConnectionLimits,
    identify, noise, ping,
    swarm::{self, NetworkBehaviour, behaviour::toggle::Toggle},
    tcp, tls, yamux,
};

use crate::{
    config::{Config, Plane},
    gate::Gate,
    gossip::{self, Topics},
    limits::{
        CONTROL_PING_TIMEOUT, CONTROL_STREAMS_MAX, DATA_PING_TIMEOUT, DATA_STREAMS_MAX, HANDSHAKE_TIMEOUT, IDLE_TIMEOUT, PENDING_IN_MAX, PENDING_OUT_MAX,
        PER_PEER_MAX, PING_INTERVAL,
    },
    opening,
    tasks::Tasks,
};

/// All behaviours. The first two only refuse; they come first so that nothing is built for who is not let in.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) gate: Gate,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) opening: opening::Behaviour,
    pub(crate) gossip: Toggle<gossip::Behaviour>,
}

/// The swarm, not listening yet. `boot` differs with every start of the program, so that peers can tell a restart from a second connection.
///
/// # Errors
/// What libp2p does not like about the configuration.
pub(crate) fn build(config: &Config, boot: &str, accepted: Vec<StreamProtocol>, topics: &Topics, tasks: &Tasks) -> Result<Swarm<Behaviour>, String> {
    let keypair = config.secret.keypair();
    let (streams_max, ping_timeout) = match config.plane {
        Plane::Control => (CONTROL_STREAMS_MAX, CONTROL_PING_TIMEOUT),
        Plane::Data => (DATA_STREAMS_MAX, DATA_PING_TIMEOUT),
    };
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_IN_MAX))
        .with_max_pending_outgoing(Some(PENDING_OUT_MAX))
        .with_max_established_incoming(Some(config.limits.inbound_max))
        .with_max_established_outgoing(Some(config.limits.outbound_max))
        .with_max_established(Some(config.limits.connections_max))
        .with_max_established_per_peer(Some(PER_PEER_MAX));
    let identify = identify::Config::new_with_signed_peer_record(config.version(), &keypair).with_agent_version(boot.to_owned()).with_cache_size(0);
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        gate: Gate::new(config.limits.per_address_max, config.limits.loopback_exempt),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(ping_timeout)),
        opening: opening::Behaviour::new(accepted),
        gossip: gossip::behaviour(config, topics)?.into(),
    };
    let tcp = tcp::Config::new().nodelay(true);
    let yamux = move || {
        let mut yamux = yamux::Config::default();
        yamux.set_max_num_streams(streams_max);
        yamux
    };
    let tasks = tasks.clone();
    let settings = move |_| swarm::Config::with_executor(move |task| tasks.spawn(task)).with_idle_connection_timeout(IDLE_TIMEOUT);
    let builder = SwarmBuilder::with_existing_identity(keypair).with_tokio();
    Ok(match config.plane {
        Plane::Control => builder
            .with_tcp(tcp, noise::Config::new, yamux)
            .map_err(|error| error.to_string())?
            .with_behaviour(|_| behaviour)
            .map_err(|error| error.to_string())?
            .with_swarm_config(settings)
            .with_connection_timeout(HANDSHAKE_TIMEOUT)
            .build(),
        Plane::Data => builder
            .with_tcp(tcp, (tls::Config::new, noise::Config::new), yamux)
            .map_err(|error| error.to_string())?
            .with_behaviour(|_| behaviour)
            .map_err(|error| error.to_string())?
            .with_swarm_config(settings)
            .with_connection_timeout(HANDSHAKE_TIMEOUT)
            .build(),
    })
}
