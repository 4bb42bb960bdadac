//! The task that owns the swarm. It awaits nothing but the swarm, its commands, its timers and room for an event it already has.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm,
    gossipsub::{self, MessageAcceptance, MessageId},
    identify, ping,
    swarm::{ConnectionId, DialError, SwarmEvent, dial_opts::DialOpts, dial_opts::PeerCondition},
};
use primitives::Time;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    book::{Backoff, Book, amount},
    budget::{Budgets, Part},
    config::Plane,
    connect::ConnectError,
    event::Event,
    gossip::{PublishError, Topics, Verdict},
    identity::Contact,
    limits::{
        CONTROL_OPENED_MAX, CONTROL_SERVED_PER_PEER_MAX, DATA_OPENED_MAX, DATA_SERVED_PER_PEER_MAX, EARLY_STREAMS_MAX, FAILED_PINGS_MAX, IDENTIFY_TIMEOUT,
        OPEN_TIMEOUT, REDIAL_MAX, REDIAL_MIN, SERVED_MAX, SWEEP_INTERVAL, WAITING_MAX,
    },
    line::Line,
    link::{Links, Reader},
    opening::{Arrived, Wanted},
    request,
    swarm::{Behaviour, BehaviourEvent},
    tasks::Tasks,
    wire::Stream,
};

/// What handles and tasks ask of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    /// Connect, and tell when the peer is up.
    Connect { contact: Contact, reply: oneshot::Sender<Result<(), ConnectError>> },
    /// Stay connected.
    Keep(Contact),
    /// Open a stream on this connection.
    Open { peer: PeerId, connection: ConnectionId, wanted: Wanted },
    /// Publish on a topic.
    Publish { topic: &'static str, bytes: Bytes, reply: oneshot::Sender<Result<(), PublishError>> },
    /// Tell gossipsub what a message was worth.
    Judge { id: MessageId, from: PeerId, acceptance: MessageAcceptance },
    /// The peer did wrong.
    Punish { peer: PeerId, points: u32 },
    /// A stream of frames on this connection failed.
    Broken { peer: PeerId, connection: ConnectionId, reason: String },
}

/// What a protocol is for.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    /// A channel of frames.
    Channel(&'static str),
    /// Requests.
    Request(&'static str),
    /// Byte streams, and where they go.
    Stream(mpsc::Sender<Stream>),
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    line: Arc<Line>,
    since: Instant,
    outbound: bool,
    identified: bool,
    failed_pings: u32,
}

/// A peer with at least one connection. `primary` is set exactly while the peer is up.
#[derive(Debug)]
struct Peer {
    connections: Vec<Connection>,
    primary: Option<ConnectionId>,
    up_since: Instant,
    boot: String,
    speaks: HashSet<StreamProtocol>,
    early: Vec<(Arc<Line>, &'static str, libp2p::Stream)>,
    readers: HashMap<&'static str, CancellationToken>,
    served: Arc<Semaphore>,
    memory: Part,
}

#[derive(Debug)]
struct Kept {
    addresses: Vec<Multiaddr>,
    backoff: Backoff,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    addresses: Vec<Multiaddr>,
    dialed: bool,
    reply: oneshot::Sender<Result<(), ConnectError>>,
}

/// An event that must not be lost, or a reader that must not start before such an event.
enum Waiting {
    Event(Event),
    Reader(Reader, CancellationToken),
}

pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    plane: Plane,
    version: String,
    links: Arc<Links>,
    tasks: Tasks,
    topics: Topics,
    services: HashMap<StreamProtocol, Service>,
    commands: mpsc::Sender<Command>,
    events: mpsc::Sender<Event>,
    waiting: VecDeque<Waiting>,
    budgets: Budgets,
    served: Arc<Semaphore>,
    peers: HashMap<PeerId, Peer>,
    kept: HashMap<PeerId, Kept>,
    alarm: Option<Instant>,
    waiters: HashMap<PeerId, Vec<Waiter>>,
    book: Book,
    epoch: Instant,
}

/// What a driver is made of, beside its swarm.
pub(crate) struct Parts {
    pub(crate) plane: Plane,
    pub(crate) version: String,
    pub(crate) links: Arc<Links>,
    pub(crate) tasks: Tasks,
    pub(crate) topics: Topics,
    pub(crate) services: HashMap<StreamProtocol, Service>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// However the driver ends, nobody is up after it.
impl Drop for Driver {
    fn drop(&mut self) {
        self.links.clear();
    }
}

impl Driver {
    pub(crate) fn new(swarm: Swarm<Behaviour>, parts: Parts) -> Self {
        let Parts { plane, version, links, tasks, topics, services, commands, events } = parts;
        Self {
            swarm,
            plane,
            version,
            links,
            tasks,
            topics,
            services,
            commands,
            events,
            waiting: VecDeque::new(),
            budgets: Budgets::new(),
            served: Arc::new(Semaphore::new(SERVED_MAX)),
            peers: HashMap::new(),
            kept: HashMap::new(),
            alarm: None,
            waiters: HashMap::new(),
            book: Book::new(),
            epoch: Instant::now(),
        }
    }

    /// Runs until the endpoint closes; then the swarm is dropped, and with it every connection and the listening sockets.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let events = self.events.clone();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let alarm = self.alarm;
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                room = events.reserve(), if !self.waiting.is_empty() => match (self.waiting.pop_front(), room) {
                    (Some(Waiting::Event(event)), Ok(room)) => room.send(event),
                    (Some(Waiting::Reader(reader, token)), _) => self.tasks.spawn_until(token, reader.run()),
                    (Some(Waiting::Event(_)), Err(_)) | (None, _) => {}
                },
                () = tokio::time::sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => self.redial(),
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Connect { contact, reply } => self.connect(contact, reply),
            Command::Keep(contact) => self.keep(contact),
            Command::Open { peer, connection, wanted } => self.swarm.behaviour_mut().opening.open(peer, connection, wanted),
            Command::Publish { topic, bytes, reply } => {
                let result = match self.swarm.behaviour_mut().gossip.as_mut() {
                    Some(gossip) => self.topics.publish(gossip, topic, bytes),
                    None => Err(PublishError::UnknownTopic(topic.to_owned())),
                };
                let _ = reply.send(result);
            }
            Command::Judge { id, from, acceptance } => {
                if let Some(gossip) = self.swarm.behaviour_mut().gossip.as_mut() {
                    gossip.report_message_validation_result(&id, &from, acceptance);
                }
            }
            Command::Punish { peer, points } => self.punish(peer, points),
            Command::Broken { peer, connection, reason } => self.hang_up(&peer, connection, &reason),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p tells more than we need, and may tell more still")]
    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Opening(arrived)) => self.on_stream(arrived),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { connection_id, peer_id, info })) => {
                self.on_identified(peer_id, connection_id, info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Error { connection_id, peer_id, error })) => {
                self.on_not_identified(peer_id, connection_id, &error.to_string());
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => self.on_ping(&ping),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message_id, message })) => {
                self.on_gossip(propagation_source, message_id, message);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => self.on_connected(peer_id, connection_id, endpoint.is_dialer()),
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let reason = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.on_gone(&peer_id, connection_id, &reason);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => self.on_dial_failed(peer, &error),
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => tracing::debug!(from = %send_back_addr, %error, "a connection was not made"),
            SwarmEvent::ListenerError { error, .. } => tracing::debug!(%error, "accepting a connection failed"),
            SwarmEvent::ListenerClosed { reason, addresses, .. } => tracing::warn!(?addresses, ?reason, "no longer listening"),
            _ => {}
        }
    }

    // Dialing.

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) -> Result<(), DialError> {
        // A new port for every dial: a reused one would still be taken by the connection that just broke.
        self.swarm.dial(DialOpts::peer_id(peer).condition(PeerCondition::NotDialing).addresses(addresses).allocate_new_port().build())
    }

    fn connect(&mut self, contact: Contact, reply: oneshot::Sender<Result<(), ConnectError>>) {
        let Contact { peer, addresses } = contact;
        if self.links.is_up(&peer) {
            let _ = reply.send(Ok(()));
            return;
        }
        if peer == *self.swarm.local_peer_id() {
            let _ = reply.send(Err(ConnectError::Myself));
            return;
        }
        if let Some(until) = self.book.banned_until(&peer, self.now()) {
            let _ = reply.send(Err(ConnectError::Banned { peer, remaining: Duration::from_millis(until.0.saturating_sub(self.now().0)) }));
            return;
        }
        let on_its_way = self.peers.contains_key(&peer);
        let addresses = match self.kept.get(&peer) {
            Some(kept) if addresses.is_empty() => kept.addresses.clone(),
            Some(_) | None => addresses,
        };
        if addresses.is_empty() && !on_its_way {
            let _ = reply.send(Err(ConnectError::NoAddress(peer)));
            return;
        }
        self.waiters.entry(peer).or_default().push(Waiter { addresses, dialed: on_its_way, reply });
        if !on_its_way {
            self.dial_for_waiters(peer);
        }
    }

    /// Dials once with the addresses of everybody who waits for a dial of this peer; if one is under way already, they wait for its end.
    fn dial_for_waiters(&mut self, peer: PeerId) {
        let Some(waiters) = self.waiters.get(&peer) else { return };
        let mut addresses: Vec<Multiaddr> = Vec::new();
        for address in waiters.iter().filter(|waiter| !waiter.dialed).flat_map(|waiter| &waiter.addresses) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        if addresses.is_empty() {
            return;
        }
        match self.dial(peer, addresses) {
            Ok(()) => {
                for waiter in self.waiters.get_mut(&peer).into_iter().flatten() {
                    waiter.dialed = true;
                }
            }
            Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => {
                let error = ConnectError::from_dial(peer, &error);
                self.answer_waiters(peer, |_| true, &Err(error));
            }
        }
    }

    fn answer_waiters(&mut self, peer: PeerId, which: impl Fn(&Waiter) -> bool, result: &Result<(), ConnectError>) {
        let Some(waiters) = self.waiters.remove(&peer) else { return };
        let (answered, rest): (Vec<_>, Vec<_>) = waiters.into_iter().partition(which);
        for waiter in answered {
            let _ = waiter.reply.send(result.clone());
        }
        if !rest.is_empty() {
            self.waiters.insert(peer, rest);
        }
    }

    fn keep(&mut self, contact: Contact) {
        let Contact { peer, addresses } = contact;
        let me = *self.swarm.local_peer_id();
        if peer == me {
            return;
        }
        self.swarm.behaviour_mut().limits.bypass_peer_id(&peer);
        // Two peers that keep each other start together; the one with the larger id lets the other dial first, or there would be two connections.
        let pause = if me > peer { REDIAL_MIN } else { Duration::ZERO };
        let due = (!self.peers.contains_key(&peer)).then(|| Instant::now() + pause);
        self.kept.insert(peer, Kept { addresses, backoff: Backoff::default(), due });
        if let Some(entry) = self.peers.get(&peer) {
            entry.memory.keep();
        }
        self.links.hold(peer);
        self.set_alarm();
    }

    fn set_alarm(&mut self) {
        self.alarm = self.kept.values().filter_map(|kept| kept.due).min();
    }

    fn redial(&mut self) {
        let now = Instant::now();
        let due: Vec<PeerId> = self.kept.iter().filter(|(_, kept)| kept.due.is_some_and(|due| due <= now)).map(|(peer, _)| *peer).collect();
        for peer in due {
            let connected = self.peers.contains_key(&peer);
            let Some(kept) = self.kept.get_mut(&peer) else { continue };
            kept.due = None;
            if connected || kept.addresses.is_empty() {
                continue;
            }
            let addresses = kept.addresses.clone();
            if let Err(error) = self.dial(peer, addresses) {
                tracing::debug!(%peer, %error, "not dialed");
                self.schedule(&peer);
            }
        }
        self.set_alarm();
    }

    /// Plans the next dial of a kept peer that is not connected.
    fn schedule(&mut self, peer: &PeerId) {
        if let Some(kept) = self.kept.get_mut(peer) {
            kept.due = Some(Instant::now() + kept.backoff.next_pause());
            self.set_alarm();
        }
    }

    fn on_dial_failed(&mut self, peer: PeerId, error: &DialError) {
        tracing::debug!(%peer, %error, "dial failed");
        if self.peers.contains_key(&peer) {
            return;
        }
        let error = ConnectError::from_dial(peer, error);
        self.answer_waiters(peer, |waiter| waiter.dialed, &Err(error));
        self.dial_for_waiters(peer);
        self.schedule(&peer);
    }

    // Connections.

    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, outbound: bool) {
        let now = Instant::now();
        let (opened_max, served_max) = match self.plane {
            Plane::Control => (CONTROL_OPENED_MAX, CONTROL_SERVED_PER_PEER_MAX),
            Plane::Data => (DATA_OPENED_MAX, DATA_SERVED_PER_PEER_MAX),
        };
        let memory = || {
            let part = self.budgets.part();
            if self.kept.contains_key(&peer) {
                part.keep();
            }
            part
        };
        let entry = self.peers.entry(peer).or_insert_with(|| Peer {
            connections: Vec::new(),
            primary: None,
            up_since: now,
            boot: String::new(),
            speaks: HashSet::new(),
            early: Vec::new(),
            readers: HashMap::new(),
            served: Arc::new(Semaphore::new(served_max)),
            memory: memory(),
        });
        entry.connections.push(Connection { id, line: Arc::new(Line::new(id, opened_max)), since: now, outbound, identified: false, failed_pings: 0 });
        for waiter in self.waiters.get_mut(&peer).into_iter().flatten() {
            waiter.dialed = true;
        }
    }

    fn on_identified(&mut self, peer: PeerId, id: ConnectionId, info: identify::Info) {
        if info.protocol_version != self.version {
            let error = ConnectError::OtherNetwork { peer, theirs: info.protocol_version.chars().take(64).collect(), ours: self.version.clone() };
            self.answer_waiters(peer, |_| true, &Err(error));
            // Who dialed hangs up. Who was dialed leaves it to the sweep, so that the other end gets to hear the reason.
            if self.peers.get(&peer).is_some_and(|entry| entry.connections.iter().any(|connection| connection.id == id && connection.outbound)) {
                self.hang_up(&peer, id, "another network");
            }
            return;
        }
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let Some(connection) = entry.connections.iter_mut().find(|connection| connection.id == id) else { return };
        connection.identified = true;
        entry.speaks = info.protocols.into_iter().collect();
        // The same key and another start of the program: the older connections lead to a process that is gone, though TCP has not noticed yet.
        let stale: Vec<ConnectionId> = if entry.boot.is_empty() || entry.boot == info.agent_version {
            Vec::new()
        } else {
            entry.connections.iter().map(|connection| connection.id).take_while(|other| *other != id).collect()
        };
        entry.boot = info.agent_version;
        for other in stale {
            self.hang_up(&peer, other, "the peer has restarted");
        }
        self.promote(peer);
    }

    fn on_not_identified(&mut self, peer: PeerId, id: ConnectionId, error: &str) {
        // A later, periodic request may fail under load; the first must not.
        if self.peers.get(&peer).is_some_and(|entry| entry.connections.iter().any(|connection| connection.id == id && !connection.identified)) {
            self.hang_up(&peer, id, &format!("not identified: {error}"));
        }
    }

    /// Makes an identified connection the one in use, if none is: the peer is up.
    fn promote(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let Some(line) = entry.connections.iter().find(|connection| connection.identified).map(|connection| connection.line.clone()) else { return };
        let id = line.connection;
        if entry.primary.is_some() {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.hang_up(&peer, id, "the owner takes no events");
            return;
        }
        entry.primary = Some(id);
        entry.up_since = Instant::now();
        let early = std::mem::take(&mut entry.early);
        self.links.up(peer, line, entry.speaks.clone());
        self.tell(Event::Up(peer));
        for (line, channel, stream) in early {
            self.read_frames(peer, line, channel, stream);
        }
        if let Some(kept) = self.kept.get_mut(&peer) {
            kept.due = None;
            self.links.hold(peer);
            self.set_alarm();
        }
        self.answer_waiters(peer, |_| true, &Ok(()));
    }

    /// Ends a connection. It is gone for us at once, since on a dead line libp2p's own goodbye can take minutes.
    fn hang_up(&mut self, peer: &PeerId, id: ConnectionId, reason: &str) {
        if self.on_gone(peer, id, reason) {
            self.swarm.close_connection(id);
        }
    }

    fn hang_up_all(&mut self, peer: &PeerId, reason: &str) {
        // The newest first, so that no connection is promoted that is about to go.
        while let Some(id) = self.peers.get(peer).and_then(|entry| {
            let unused = entry.connections.iter().find(|connection| Some(connection.id) != entry.primary);
            unused.or(entry.connections.first()).map(|connection| connection.id)
        }) {
            self.hang_up(peer, id, reason);
        }
    }

    /// Takes note that a connection is gone; false if we knew that.
    fn on_gone(&mut self, peer: &PeerId, id: ConnectionId, reason: &str) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else { return false };
        let Some(place) = entry.connections.iter().position(|connection| connection.id == id) else { return false };
        entry.connections.remove(place).line.close();
        tracing::debug!(%peer, connection = %id, reason, "connection gone");
        entry.early.retain(|(line, ..)| line.connection != id);
        if entry.primary == Some(id) {
            // A second connection takes over unnoticed if the first carried nothing.
            let heir = entry.connections.iter().find(|connection| connection.identified);
            if let Some(heir) = heir.filter(|heir| self.links.moved(peer, &heir.line)) {
                entry.primary = Some(heir.id);
                return true;
            }
            entry.primary = None;
            if entry.up_since.elapsed() >= REDIAL_MAX
                && let Some(kept) = self.kept.get_mut(peer)
            {
                kept.backoff.reset();
            }
            self.links.down(peer);
            self.tell(Event::Down(*peer));
            self.promote(*peer);
        }
        if self.peers.get(peer).is_some_and(|entry| entry.connections.is_empty()) {
            self.peers.remove(peer);
            self.answer_waiters(
                *peer,
                |waiter| waiter.dialed,
                &Err(ConnectError::Unreachable { peer: *peer, reason: format!("the connection was made and lost: {reason}") }),
            );
            self.schedule(peer);
        }
        true
    }

    fn on_ping(&mut self, ping: &ping::Event) {
        let Some(connection) = self.peers.get_mut(&ping.peer).and_then(|peer| peer.connections.iter_mut().find(|connection| connection.id == ping.connection))
        else {
            return;
        };
        match &ping.result {
            Ok(_) => {
                connection.failed_pings = 0;
                connection.line.moved();
            }
            Err(ping::Failure::Unsupported) => {}
            Err(ping::Failure::Timeout | ping::Failure::Other { .. }) => {
                connection.failed_pings += 1;
                if connection.failed_pings >= FAILED_PINGS_MAX {
                    self.hang_up(&ping.peer, ping.connection, "pings were lost");
                }
            }
        }
    }

    /// Once a second: who never said who they are must go, bans end, and nobody waits for an answer that was given up.
    fn sweep(&mut self) {
        let now = Instant::now();
        let silent = self.peers.iter().flat_map(|(peer, entry)| {
            let late = entry.connections.iter().filter(|connection| !connection.identified && now.duration_since(connection.since) > IDENTIFY_TIMEOUT);
            late.map(|connection| (*peer, connection.id))
        });
        for (peer, id) in silent.collect::<Vec<_>>() {
            self.hang_up(&peer, id, "never identified itself");
        }
        let (book, time) = (&self.book, self.now());
        self.swarm.behaviour_mut().gate.pardon(|peer| book.banned_until(peer, time).is_some());
        self.waiters.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.reply.is_closed());
            !waiters.is_empty()
        });
    }

    fn punish(&mut self, peer: PeerId, points: u32) {
        let now = self.now();
        if self.book.punish(peer, points, self.kept.contains_key(&peer), now).is_some() {
            tracing::warn!(%peer, points, "a peer is banned");
            self.swarm.behaviour_mut().gate.ban(peer);
            self.hang_up_all(&peer, "banned");
        }
    }

    // Streams and messages.

    fn on_stream(&mut self, arrived: Arrived) {
        let Arrived { peer, connection, protocol, stream } = arrived;
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let Some(line) = entry.connections.iter().find(|known| known.id == connection).map(|known| known.line.clone()) else { return };
        let Some(service) = self.services.get(&protocol) else { return };
        let (name, accepted) = match service {
            Service::Channel(channel) if entry.primary.is_some() => return self.read_frames(peer, line, channel, stream),
            Service::Channel(channel) => {
                if entry.early.len() < EARLY_STREAMS_MAX {
                    entry.early.push((line, channel, stream));
                }
                return;
            }
            Service::Request(name) => (*name, None),
            Service::Stream(accepted) => ("", Some(accepted.clone())),
        };
        // Over the limit the stream is dropped; the opener gets no acknowledgement and knows.
        let (Ok(of_peer), Ok(of_all)) = (entry.served.clone().try_acquire_owned(), self.served.clone().try_acquire_owned()) else {
            tracing::debug!(%peer, %protocol, "too many requests and streams at once");
            return;
        };
        let mut stream = Stream::new(peer, stream, line, vec![of_peer, of_all]);
        let (events, memory, commands) = (self.events.clone(), entry.memory.clone(), self.commands.clone());
        self.tasks.spawn(async move {
            let Some(accepted) = accepted else {
                if let Err(bytes) = request::serve(stream, name, events, memory).await {
                    tracing::debug!(%peer, bytes, "a request above the limit");
                    let _ = commands.send(Command::Punish { peer, points: amount::MALFORMED }).await;
                }
                return;
            };
            // Acknowledged when there is room: the opener waits, and nothing is acknowledged and then lost.
            let _ = tokio::time::timeout(OPEN_TIMEOUT, async {
                let room = accepted.reserve().await.ok()?;
                stream.acknowledge().await.ok()?;
                room.send(stream);
                Some(())
            })
            .await;
        });
    }

    /// Starts reading a channel, after everything that waits; a newer stream of the same channel replaces the older.
    fn read_frames(&mut self, from: PeerId, line: Arc<Line>, channel: &'static str, stream: libp2p::Stream) {
        let Some(entry) = self.peers.get_mut(&from) else { return };
        let token = self.tasks.token.child_token();
        if let Some(older) = entry.readers.insert(channel, token.clone()) {
            older.cancel();
        }
        let connection = line.connection;
        let stream = Stream::new(from, stream, line, Vec::new());
        let memory = entry.memory.clone();
        let reader = Reader { from, connection, channel, stream, events: self.events.clone(), memory, commands: self.commands.clone() };
        if self.waiting.is_empty() {
            self.tasks.spawn_until(token, reader.run());
        } else if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(Waiting::Reader(reader, token));
        }
    }

    /// Tells the owner something it must not miss.
    fn tell(&mut self, event: Event) {
        if self.waiting.is_empty() {
            match self.events.try_send(event) {
                Err(mpsc::error::TrySendError::Full(event)) => self.waiting.push_back(Waiting::Event(event)),
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        } else {
            self.waiting.push_back(Waiting::Event(event));
        }
    }

    /// Gossip is the one thing that is dropped when the owner is slow: others spread it too.
    fn on_gossip(&mut self, from: PeerId, id: MessageId, message: gossipsub::Message) {
        let Some(topic) = self.topics.name(&message.topic) else { return };
        let verdict = Verdict::new(id, from, self.commands.clone());
        let Some(share) = self.peers.get(&from).and_then(|entry| entry.memory.at_once(message.data.len())) else { return };
        let event = Event::Gossip { from, topic, bytes: message.data.into(), verdict, share };
        if self.events.try_send(event).is_err() {
            tracing::debug!(%from, topic, "gossip dropped: the owner is slow");
        }
    }
}
