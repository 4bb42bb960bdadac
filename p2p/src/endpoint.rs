//! The handle: one endpoint is one swarm in a task of its own, and any number of handles to it.

use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::{Multiaddr, PeerId, Swarm, multiaddr::Protocol, swarm::SwarmEvent};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    config::{Config, protocol},
    connect::ConnectError,
    driver::{Command, Driver, Parts, Service},
    event::Event,
    gossip::{PublishError, Topics},
    identity::Contact,
    limits::{ACCEPT_MAX, CLOSE_TIMEOUT, COMMANDS_MAX, CONNECT_TIMEOUT, EVENTS_MAX, HANDSHAKE_TIMEOUT, REQUEST_BYTES_MAX, SLOT_TIMEOUT},
    link::{HOLD, Links, SendError, Via, open},
    opening::Fault,
    queue::Class,
    request::{RequestError, ask},
    swarm::{self, Behaviour},
    tasks::Tasks,
    wire::Stream,
};

/// Why an endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on: it is in use, not ours, or not TCP over IP.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system said.
        reason: String,
    },
    /// The same name stands twice among the protocols.
    #[error("protocol {0} is named twice")]
    Twice(&'static str),
    /// The network's name must be letters and digits, since it is a part of protocol names.
    #[error("{0:?} cannot be the name of a network")]
    Network(String),
    /// libp2p refused the configuration.
    #[error("libp2p refused the configuration: {0}")]
    Refused(String),
}

/// Why a stream could not be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The peer does not speak the protocol.
    #[error("{peer} does not speak {protocol}")]
    Unsupported {
        /// The peer.
        peer: PeerId,
        /// The protocol.
        protocol: &'static str,
    },
    /// As many streams of ours as the peer serves at once stayed open: the peer is well, and we are too many.
    #[error("no {protocol} stream to {peer}: all streams to it were in use for {SLOT_TIMEOUT:?}")]
    Busy {
        /// The peer.
        peer: PeerId,
        /// The protocol.
        protocol: &'static str,
    },
    /// The stream was not acknowledged, twice: the connection failed or the peer is overloaded.
    #[error("no {protocol} stream to {peer}: {reason}")]
    Lost {
        /// The peer.
        peer: PeerId,
        /// The protocol.
        protocol: &'static str,
        /// What happened the second time.
        reason: String,
    },
}

#[derive(Debug)]
struct Inner {
    peer: PeerId,
    network: String,
    addresses: Vec<Multiaddr>,
    commands: mpsc::Sender<Command>,
    links: Arc<Links>,
    accepted: Mutex<HashMap<&'static str, mpsc::Receiver<Stream>>>,
    tasks: Tasks,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.token.cancel();
    }
}

/// One presence on the network. Cheap to clone; when the last handle is dropped, or [`Endpoint::close`] is called, everything ends.
#[derive(Debug, Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

impl Endpoint {
    /// Starts an endpoint on the current tokio runtime and returns when it listens. Give the control plane a runtime of its own where bulk can
    /// starve it. The receiver may be dropped by a client that wants no events; else it must be read, since peers wait for it.
    ///
    /// # Errors
    /// [`StartError`], before anything was announced to anybody.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(config: Config) -> Result<(Self, mpsc::Receiver<Event>), StartError> {
        if config.network.is_empty() || !config.network.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(StartError::Network(config.network));
        }
        let tasks = Tasks::new(Handle::current());
        let (commands, taken) = mpsc::channel(COMMANDS_MAX);
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let mut accepted = HashMap::new();
        let mut services = HashMap::new();
        let mut channels = HashMap::new();
        for name in config.channels.iter().copied().chain([HOLD]) {
            channels.insert(name, protocol(name, &config.network));
            add(&mut services, &config, name, Service::Channel(name))?;
        }
        for name in &config.serve {
            add(&mut services, &config, name, Service::Request(name))?;
        }
        for name in &config.streams {
            let (sender, receiver) = mpsc::channel(ACCEPT_MAX);
            accepted.insert(*name, receiver);
            add(&mut services, &config, name, Service::Stream(sender))?;
        }
        let topics = Topics::new(&config);
        let boot = format!("stratos/{}/{}", env!("CARGO_PKG_VERSION"), nonce());
        let mut swarm = swarm::build(&config, &boot, services.keys().cloned().collect(), &topics, &tasks).map_err(StartError::Refused)?;
        let addresses = listen(&mut swarm, &config.listen).await?;
        let links = Arc::new(Links::new(channels, tasks.clone(), commands.clone()));
        let inner = Inner {
            peer: config.secret.peer(),
            network: config.network.clone(),
            addresses,
            commands: commands.clone(),
            links: links.clone(),
            accepted: Mutex::new(accepted),
            tasks: tasks.clone(),
        };
        let parts = Parts { plane: config.plane, version: config.version(), links, tasks: tasks.clone(), topics, services, commands, events };
        tasks.spawn(Driver::new(swarm, parts).run(taken));
        Ok((Self { inner: Arc::new(inner) }, receiver))
    }

    /// Who we are.
    pub fn peer(&self) -> PeerId {
        self.inner.peer
    }

    /// Where we listen, with the real ports; empty for a pure client. An unspecified address stands for each of the machine's own.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.inner.addresses.clone()
    }

    /// How others reach us.
    pub fn contact(&self) -> Contact {
        Contact { peer: self.inner.peer, addresses: self.inner.addresses.clone() }
    }

    /// Who is up now, in no order.
    pub fn peers(&self) -> Vec<PeerId> {
        self.inner.links.peers()
    }

    /// Whether the peer is up now.
    pub fn is_up(&self, peer: &PeerId) -> bool {
        self.inner.links.is_up(peer)
    }

    /// Whether the peer is up and has the protocol among its channels, requests or streams.
    pub fn speaks(&self, peer: &PeerId, name: &str) -> bool {
        self.inner.links.speaks(peer, &protocol(name, &self.inner.network))
    }

    /// Stays connected to the peer: dials it, and again when the connection is lost, after 0.1 s up to 5 s. Kept peers do not count against the
    /// limits of connections and are never banned. Called again it replaces the addresses.
    pub async fn keep(&self, contact: impl Into<Contact>) {
        let _ = self.inner.commands.send(Command::Keep(contact.into())).await;
    }

    /// Takes points from a peer that did wrong ([`crate::book::amount`]); at -100 it is banned for ten minutes, the next time for twenty, at most
    /// for a day.
    pub fn punish(&self, peer: PeerId, points: u32) {
        // Lost if the driver is flooded; whoever floods it will be punished again.
        let _ = self.inner.commands.try_send(Command::Punish { peer, points });
    }

    /// Returns when the peer is up; at once if it is.
    ///
    /// # Errors
    /// [`ConnectError`]; the deadline is [`CONNECT_TIMEOUT`].
    pub async fn connect(&self, contact: impl Into<Contact>) -> Result<(), ConnectError> {
        self.connect_within(contact.into(), CONNECT_TIMEOUT).await
    }

    async fn connect_within(&self, contact: Contact, after: Duration) -> Result<(), ConnectError> {
        if self.inner.links.is_up(&contact.peer) {
            return Ok(());
        }
        let Contact { peer, addresses } = contact.clone();
        let (reply, done) = oneshot::channel();
        let wait = async {
            self.inner.commands.send(Command::Connect { contact, reply }).await.map_err(|_| ConnectError::Closed)?;
            done.await.map_err(|_| ConnectError::Closed)?
        };
        timeout(after, wait).await.unwrap_or(Err(ConnectError::Timeout { peer, addresses, after }))
    }

    /// Queues a frame for a peer that is up; never waits. Frames of one class arrive in order, a more urgent class overtakes.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then. `Full` never happens for [`Class::Urgent`], where the oldest frames make room.
    pub fn send(&self, to: PeerId, channel: &'static str, class: Class, frame: impl Into<Bytes>) -> Result<(), SendError> {
        self.inner.links.send(to, channel, class, frame.into())
    }

    /// Queues a frame for every peer that is up and speaks the channel; returns for how many it was taken.
    pub fn broadcast(&self, channel: &'static str, class: Class, frame: impl Into<Bytes>) -> usize {
        self.inner.links.broadcast(channel, class, &frame.into())
    }

    /// Asks a peer, connecting first if it must, and returns the answer, all within the deadline.
    ///
    /// # Errors
    /// [`RequestError`]. After `Timeout` and `Refused` the peer may have acted on the request.
    pub async fn request(&self, to: impl Into<Contact>, protocol: &'static str, body: impl Into<Bytes>, deadline: Duration) -> Result<Bytes, RequestError> {
        let (contact, body) = (to.into(), body.into());
        if body.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::Oversize { bytes: body.len() });
        }
        let peer = contact.peer;
        let whole = async {
            let stream = self.open(contact, protocol).await?;
            ask(stream, protocol, &body).await
        };
        timeout(deadline, whole).await.unwrap_or(Err(RequestError::Timeout { peer, protocol, after: deadline }))
    }

    /// Opens a byte stream to a peer, connecting first if it must; returns when the other end has accepted it. Of our streams and requests to one peer
    /// only so many are open at once ([`crate::limits::DATA_OPENED_MAX`]); the next waits until one of them is dropped, at most [`SLOT_TIMEOUT`].
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(&self, to: impl Into<Contact>, protocol: &'static str) -> Result<Stream, OpenError> {
        let contact = to.into();
        let peer = contact.peer;
        self.connect_within(contact, CONNECT_TIMEOUT).await?;
        let name = crate::config::protocol(protocol, &self.inner.network);
        open(peer, Via::Slot(&self.inner.links), &name, &self.inner.commands).await.map_err(|fault| match fault {
            Fault::Unsupported => OpenError::Unsupported { peer, protocol },
            Fault::Busy => OpenError::Busy { peer, protocol },
            Fault::Late | Fault::Lost(_) => OpenError::Lost { peer, protocol, reason: fault.to_string() },
        })
    }

    /// The streams that peers open under one of the configured protocols, acknowledged; `None` if it is not configured or was taken before.
    pub fn accept(&self, protocol: &str) -> Option<mpsc::Receiver<Stream>> {
        self.inner.accepted.lock().unwrap_or_else(PoisonError::into_inner).remove(protocol)
    }

    /// Publishes on a gossip topic.
    ///
    /// # Errors
    /// [`PublishError`], all of them normal.
    pub async fn publish(&self, topic: &'static str, bytes: impl Into<Bytes>) -> Result<(), PublishError> {
        let (reply, done) = oneshot::channel();
        self.inner.commands.send(Command::Publish { topic, bytes: bytes.into(), reply }).await.map_err(|_| PublishError::Closed)?;
        done.await.map_err(|_| PublishError::Closed)?
    }

    /// Closes all connections and listening sockets, for every handle, and waits until all tasks have ended, at most [`CLOSE_TIMEOUT`]. What still
    /// waits in queues is not sent.
    pub async fn close(&self) {
        self.inner.tasks.token.cancel();
        self.inner.tasks.tracker.close();
        let _ = timeout(CLOSE_TIMEOUT, self.inner.tasks.tracker.wait()).await;
    }
}

#[cfg(test)]
impl Endpoint {
    pub(crate) fn tasks(&self) -> Tasks {
        self.inner.tasks.clone()
    }
}

fn add(services: &mut HashMap<libp2p::StreamProtocol, Service>, config: &Config, name: &'static str, service: Service) -> Result<(), StartError> {
    match services.insert(protocol(name, &config.network), service) {
        Some(_) => Err(StartError::Twice(name)),
        None => Ok(()),
    }
}

/// Eight random bytes in hex: which start of the program this is.
fn nonce() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    format!("{:016x}", u64::from_le_bytes(bytes))
}

/// Listens on all addresses, or on none.
async fn listen(swarm: &mut Swarm<Behaviour>, wanted: &[Multiaddr]) -> Result<Vec<Multiaddr>, StartError> {
    let mut addresses = Vec::new();
    for address in wanted {
        let failed = |reason: String| StartError::Listen { address: address.clone(), reason };
        probe(address).map_err(failed)?;
        let listener = swarm.listen_on(address.clone()).map_err(|error| failed(error.to_string()))?;
        let ready = async {
            loop {
                #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else matters before we listen")]
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => return Ok(address),
                    SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                        return Err(reason.err().map_or_else(|| "closed".to_owned(), |error| error.to_string()));
                    }
                    _ => {}
                }
            }
        };
        let real = timeout(HANDSHAKE_TIMEOUT, ready).await.map_err(|_| failed("not ready in time".into()))?.map_err(failed)?;
        addresses.push(real);
    }
    Ok(addresses)
}

/// libp2p listens with `SO_REUSEPORT`: two programs on one port would share the connections instead of one being refused. So we ask for the port alone
/// first.
fn probe(address: &Multiaddr) -> Result<(), String> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => std::net::IpAddr::V6(ip),
        other => return Err(format!("begins with {other:?}, not with /ip4 or /ip6")),
    };
    let Some(Protocol::Tcp(port)) = parts.next() else { return Err("is not a TCP address".into()) };
    if port == 0 {
        return Ok(());
    }
    TcpListener::bind((ip, port)).map(drop).map_err(|error| error.to_string())
}
