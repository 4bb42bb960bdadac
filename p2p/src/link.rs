//! Frames between two peers: per ordered pair and channel one persistent one-way stream, opened when first needed.
//!
//! A link lives as long as the connection that carries it. If any of its streams fails, the whole connection is closed, so that `Up` never covers a gap.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use libp2p::{PeerId, StreamProtocol, swarm::ConnectionId};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    sync::{Notify, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    book::amount,
    budget::Part,
    driver::Command,
    event::Event,
    limits::{FRAME_READ_TIMEOUT, MESSAGE_BYTES_MAX, OPEN_RETRY_DELAY, OPEN_TIMEOUT, SILENT_OPENS_MAX},
    line::Line,
    opening::{Fault, Slot, Wanted},
    queue::{Class, Full, Queue},
    tasks::Tasks,
    wire::{FrameError, Stream, header, read_body, read_length},
};

/// A built-in channel without frames. Who keeps a peer holds it open, so that neither end takes the connection for idle.
pub(crate) const HOLD: &str = "hold";
/// Small frames are gathered into one write of about this size.
const GATHER_BYTES: usize = 64 << 10;

/// Why a frame was not taken. Nothing was sent then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer is not up.
    #[error("peer {0} is not connected")]
    NotConnected(PeerId),
    /// The peer, or this endpoint's configuration, does not have the channel.
    #[error("peer {peer} does not speak channel {channel}")]
    Unsupported {
        /// The peer.
        peer: PeerId,
        /// The channel.
        channel: &'static str,
    },
    /// The peer reads more slowly than we send.
    #[error("the queue to the peer is full: {0}")]
    Full(#[from] Full),
    /// The frame is above the limit of every peer.
    #[error("a frame of {bytes} bytes, above the limit of {MESSAGE_BYTES_MAX}")]
    Oversize {
        /// The frame's size.
        bytes: usize,
    },
}

/// What waits for one stream.
#[derive(Debug, Default)]
struct Outbox {
    queue: Mutex<Queue>,
    wake: Notify,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, class: Class, frame: Bytes) -> Result<(), Full> {
        let dropped = self.lock().push(class, frame)?;
        if dropped > 0 {
            tracing::debug!(dropped, "old urgent frames made room");
        }
        self.wake.notify_one();
        Ok(())
    }

    fn pop(&self) -> Option<Bytes> {
        self.lock().pop()
    }
}

/// A peer that is up.
#[derive(Debug)]
struct Link {
    line: Arc<Line>,
    token: CancellationToken,
    speaks: HashSet<StreamProtocol>,
    outboxes: HashMap<&'static str, Arc<Outbox>>,
}

/// All peers that are up; shared by the driver, which makes and ends links, and by the handles, which send on them.
#[derive(Debug)]
pub(crate) struct Links {
    links: Mutex<HashMap<PeerId, Link>>,
    channels: HashMap<&'static str, StreamProtocol>,
    tasks: Tasks,
    commands: mpsc::Sender<Command>,
}

impl Links {
    pub(crate) fn new(channels: HashMap<&'static str, StreamProtocol>, tasks: Tasks, commands: mpsc::Sender<Command>) -> Self {
        Self { links: Mutex::new(HashMap::new()), channels, tasks, commands }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer is up on this connection.
    pub(crate) fn up(&self, peer: PeerId, line: Arc<Line>, speaks: HashSet<StreamProtocol>) {
        let link = Link { line, token: self.tasks.token.child_token(), speaks, outboxes: HashMap::new() };
        if let Some(old) = self.lock().insert(peer, link) {
            old.token.cancel();
        }
    }

    /// The peer is down; what waited for it is dropped.
    pub(crate) fn down(&self, peer: &PeerId) {
        if let Some(link) = self.lock().remove(peer) {
            link.token.cancel();
        }
    }

    /// Everybody is down.
    pub(crate) fn clear(&self) {
        for (_, link) in self.lock().drain() {
            link.token.cancel();
        }
    }

    /// Moves the link to another connection if nothing was ever sent on it; tells whether that was so.
    pub(crate) fn moved(&self, peer: &PeerId, line: &Arc<Line>) -> bool {
        match self.lock().get_mut(peer) {
            Some(link) if link.outboxes.is_empty() => {
                link.line = line.clone();
                true
            }
            Some(_) | None => false,
        }
    }

    /// The connection in use.
    fn line(&self, peer: &PeerId) -> Option<Arc<Line>> {
        self.lock().get(peer).map(|link| link.line.clone())
    }

    pub(crate) fn peers(&self) -> Vec<PeerId> {
        self.lock().keys().copied().collect()
    }

    pub(crate) fn is_up(&self, peer: &PeerId) -> bool {
        self.lock().contains_key(peer)
    }

    pub(crate) fn speaks(&self, peer: &PeerId, protocol: &StreamProtocol) -> bool {
        self.lock().get(peer).is_some_and(|link| link.speaks.contains(protocol))
    }

    /// Opens the channel without sending anything.
    pub(crate) fn hold(&self, peer: PeerId) {
        if let Some(link) = self.lock().get_mut(&peer) {
            let _ = self.outbox(peer, link, HOLD);
        }
    }

    pub(crate) fn send(&self, to: PeerId, channel: &'static str, class: Class, frame: Bytes) -> Result<(), SendError> {
        if frame.len() > MESSAGE_BYTES_MAX {
            return Err(SendError::Oversize { bytes: frame.len() });
        }
        let outbox = match self.lock().get_mut(&to) {
            Some(link) => self.outbox(to, link, channel)?,
            None => return Err(SendError::NotConnected(to)),
        };
        Ok(outbox.push(class, frame)?)
    }

    pub(crate) fn broadcast(&self, channel: &'static str, class: Class, frame: &Bytes) -> usize {
        if frame.len() > MESSAGE_BYTES_MAX {
            return 0;
        }
        let mut links = self.lock();
        links.iter_mut().filter_map(|(peer, link)| self.outbox(*peer, link, channel).ok()?.push(class, frame.clone()).ok()).count()
    }

    fn outbox(&self, peer: PeerId, link: &mut Link, channel: &'static str) -> Result<Arc<Outbox>, SendError> {
        if let Some(outbox) = link.outboxes.get(channel) {
            return Ok(outbox.clone());
        }
        let unsupported = SendError::Unsupported { peer, channel };
        let protocol = self.channels.get(channel).filter(|protocol| link.speaks.contains(*protocol)).ok_or(unsupported)?.clone();
        let outbox = Arc::new(Outbox::default());
        link.outboxes.insert(channel, outbox.clone());
        let (line, commands, taken) = (link.line.clone(), self.commands.clone(), outbox.clone());
        self.tasks.spawn_until(link.token.clone(), async move {
            if let Err(reason) = send_all(peer, &line, protocol, &commands, &taken).await {
                let _ = commands.send(Command::Broken { peer, connection: line.connection, reason }).await;
            }
        });
        Ok(outbox)
    }
}

/// Where a stream is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Via<'a> {
    /// On this connection, for a channel. They are few, and a vote waits for no slot.
    Channel(&'a Arc<Line>),
    /// On the connection in use, when it has a free slot.
    Slot(&'a Links),
}

/// Opens a stream and waits for the acknowledgement; tries once more, since libp2p may drop a stream on arrival.
pub(crate) async fn open(peer: PeerId, via: Via<'_>, protocol: &StreamProtocol, commands: &mpsc::Sender<Command>) -> Result<Stream, Fault> {
    let once = async || match via {
        Via::Channel(line) => open_on(peer, line, None, protocol, commands).await,
        Via::Slot(links) => {
            let line = links.line(&peer).ok_or_else(Fault::gone)?;
            let slot = line.slot().await?;
            open_on(peer, &line, Some(slot), protocol, commands).await
        }
    };
    match once().await {
        Err(Fault::Lost(_) | Fault::Late) => {
            tokio::time::sleep(OPEN_RETRY_DELAY).await;
            once().await
        }
        done => done,
    }
}

/// One attempt. A stream that was negotiated and not acknowledged tells of a busy peer; one that was not even negotiated, of a line that may be dead.
async fn open_on(peer: PeerId, line: &Arc<Line>, slot: Slot, protocol: &StreamProtocol, commands: &mpsc::Sender<Command>) -> Result<Stream, Fault> {
    let deadline = Instant::now() + OPEN_TIMEOUT;
    let began = line.silence();
    let (connection, protocol) = (line.connection, protocol.clone());
    let (reply, opened) = oneshot::channel();
    commands.send(Command::Open { peer, connection, wanted: Wanted { protocol, slot, reply } }).await.map_err(|_| Fault::gone())?;
    let (stream, slot) = match timeout_at(deadline, opened).await {
        Ok(Ok(Ok(opened))) => opened,
        Ok(Ok(Err(Fault::Late))) | Err(_) => {
            if line.unanswered(began) {
                let reason = format!("{SILENT_OPENS_MAX} streams in a row were not answered");
                let _ = commands.send(Command::Broken { peer, connection, reason }).await;
            }
            return Err(Fault::Late);
        }
        Ok(Ok(Err(fault))) => return Err(fault),
        Ok(Err(_)) => return Err(Fault::gone()),
    };
    line.moved();
    let mut stream = Stream::new(peer, stream, line.clone(), slot.into_iter().collect());
    match timeout_at(deadline, stream.acknowledged()).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(error)) => Err(Fault::Lost(format!("not acknowledged: {error}"))),
        Err(_) => Err(Fault::Lost(format!("not acknowledged within {OPEN_TIMEOUT:?}"))),
    }
}

/// The sending end of one channel: the most urgent frame first, small frames gathered. Returns only when the stream has failed.
async fn send_all(peer: PeerId, line: &Arc<Line>, protocol: StreamProtocol, commands: &mpsc::Sender<Command>, outbox: &Outbox) -> Result<(), String> {
    let stream = open(peer, Via::Channel(line), &protocol, commands).await.map_err(|fault| fault.to_string())?;
    write_all(stream, outbox).await.map_err(|error| error.to_string())
}

async fn write_all(stream: Stream, outbox: &Outbox) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut gathered = Vec::with_capacity(GATHER_BYTES);
    loop {
        let next = outbox.pop();
        if let Some(frame) = next {
            gathered.extend_from_slice(&header(frame.len()));
            if frame.len() < GATHER_BYTES {
                gathered.extend_from_slice(&frame);
                if gathered.len() < GATHER_BYTES {
                    continue;
                }
            }
            writer.write_all(&gathered).await?;
            gathered.clear();
            if frame.len() >= GATHER_BYTES {
                writer.write_all(&frame).await?;
            }
            continue;
        }
        writer.write_all(&gathered).await?;
        gathered.clear();
        writer.flush().await?;
        tokio::select! {
            () = outbox.wake.notified() => {}
            // Nothing is ever sent back: the other end is gone.
            end = reader.read_u8() => return Err(end.err().unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer on a one-way stream"))),
        }
    }
}

/// What a receiving end needs.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) from: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) channel: &'static str,
    pub(crate) stream: Stream,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) memory: Part,
    pub(crate) commands: mpsc::Sender<Command>,
}

impl Reader {
    /// The receiving end of one channel: one frame after the other, as fast as the owner takes them.
    pub(crate) async fn run(mut self) {
        match timeout(OPEN_TIMEOUT, self.stream.acknowledge()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
        let (from, connection, channel) = (self.from, self.connection, self.channel);
        let mut stream = BufReader::with_capacity(GATHER_BYTES, self.stream);
        let reason = loop {
            let length = match read_length(&mut stream, MESSAGE_BYTES_MAX).await {
                Ok(Some(length)) => length,
                Ok(None) | Err(FrameError::Io(_)) => return,
                Err(error @ FrameError::Oversize { .. }) => {
                    let _ = self.commands.send(Command::Punish { peer: from, points: amount::MALFORMED }).await;
                    break error.to_string();
                }
            };
            let Some(share) = self.memory.frame(length).await else { return };
            let bytes = match timeout(FRAME_READ_TIMEOUT, read_body(&mut stream, length)).await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(_)) => return,
                Err(_) => break format!("a frame of {length} bytes did not arrive within {FRAME_READ_TIMEOUT:?}"),
            };
            // Without a receiver the owner is not interested in events: frames are read and forgotten.
            let _ = self.events.send(Event::Frame { from, channel, bytes, share }).await;
        };
        let _ = self.commands.send(Command::Broken { peer: from, connection, reason }).await;
    }
}
