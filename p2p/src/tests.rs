//! Endpoints on real loopback sockets. Every wait is for an event, with a deadline.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use crate::{
    Class, Config, ConnectError, Contact, Endpoint, Event, Multiaddr, OpenError, PeerId, Plane, PublishError, RequestError, Secret, SendError, StartError,
    Topic,
    limits::{ANSWER_BYTES_MAX, DATA_STREAMS_MAX, MESSAGE_BYTES_MAX, PER_PEER_BYTES_MAX, REQUEST_BYTES_MAX},
    wire::header,
};

const NETWORK: &str = "0a1b2c3d";
const PATIENCE: Duration = Duration::from_secs(30);

type Node = (Endpoint, mpsc::Receiver<Event>);

fn secret(n: u8) -> Secret {
    Secret::from_seed([n; 32])
}

fn here() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/0".parse().expect("an address")
}

fn config(n: u8, plane: Plane) -> Config {
    Config {
        listen: vec![here()],
        channels: vec!["cons"],
        serve: vec!["echo"],
        streams: vec!["bulk"],
        topics: vec![Topic { name: "tx", bytes_max: 128 << 10 }],
        ..Config::client(secret(n), NETWORK, plane)
    }
}

async fn node(n: u8, plane: Plane) -> Node {
    Endpoint::start(config(n, plane)).await.expect("starts")
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// The next event for which `pick` gives something; others are dropped.
async fn next<T>(events: &mut mpsc::Receiver<Event>, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    within(async {
        loop {
            if let Some(picked) = pick(events.recv().await.expect("the endpoint lives")) {
                return picked;
            }
        }
    })
    .await
}

async fn up(events: &mut mpsc::Receiver<Event>, peer: PeerId) {
    next(events, |event| matches!(event, Event::Up(who) if who == peer).then_some(())).await;
}

async fn down(events: &mut mpsc::Receiver<Event>, peer: PeerId) {
    next(events, |event| matches!(event, Event::Down(who) if who == peer).then_some(())).await;
}

async fn frame(events: &mut mpsc::Receiver<Event>) -> (PeerId, Bytes) {
    next(events, |event| if let Event::Frame { from, channel: "cons", bytes, .. } = event { Some((from, bytes)) } else { None }).await
}

/// Two connected nodes, each up for the other.
async fn pair(plane: Plane) -> (Node, Node) {
    let (mut a, mut b) = (node(1, plane).await, node(2, plane).await);
    a.0.keep(b.0.contact()).await;
    up(&mut a.1, b.0.peer()).await;
    up(&mut b.1, a.0.peer()).await;
    (a, b)
}

/// Closes an endpoint and waits for its last task, however long the machine takes over it.
async fn ended(endpoint: &Endpoint) {
    endpoint.close().await;
    endpoint.tasks().tracker.wait().await;
}

/// Answers requests with their bodies, for ever.
fn echo(mut events: mpsc::Receiver<Event>) {
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Request { body, responder, .. } = event {
                responder.answer(body);
            }
        }
    });
}

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// Checks P2P-1 and P2P-2: all of many frames, in order, both ways at once, and big ones between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_arrive_in_order_without_loss() {
    const FRAMES: u32 = 5000;
    let ((a, mut from_b), (b, mut from_a)) = pair(Plane::Control).await;
    let send = async |endpoint: &Endpoint, to: PeerId| {
        for n in 0..FRAMES {
            let mut bytes = n.to_le_bytes().to_vec();
            if n % 1000 == 999 {
                bytes.resize(MESSAGE_BYTES_MAX, 7);
            }
            let bytes = Bytes::from(bytes);
            while let Err(error) = endpoint.send(to, "cons", Class::Bulk, bytes.clone()) {
                assert!(matches!(error, SendError::Full(_)), "{error}");
                tokio::task::yield_now().await;
            }
        }
    };
    let receive = async |events: &mut mpsc::Receiver<Event>| {
        for n in 0..FRAMES {
            let (_, bytes) = frame(events).await;
            assert_eq!(bytes[..4], n.to_le_bytes());
            assert_eq!(bytes.len(), if n % 1000 == 999 { MESSAGE_BYTES_MAX } else { 4 });
        }
    };
    let (a_id, b_id) = (a.peer(), b.peer());
    within(async { tokio::join!(send(&a, b_id), send(&b, a_id), receive(&mut from_a), receive(&mut from_b)) }).await;
}

/// Checks P2P-5 and the order of classes: while the receiver takes nothing, frames queue up; an urgent one overtakes them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_frames_overtake() {
    let ((a, _events), (b, mut from_a)) = pair(Plane::Control).await;
    let bulk = Bytes::from(vec![0; 1 << 20]);
    let mut sent = 0;
    // The lane is full, and holds more than the receiver's memory, the windows and the sockets can still take.
    while a.send(b.peer(), "cons", Class::Bulk, bulk.clone()).is_ok() {
        sent += 1;
    }
    a.send(b.peer(), "cons", Class::Normal, Bytes::from_static(b"normal")).expect("its lane is empty");
    a.send(b.peer(), "cons", Class::Urgent, Bytes::from_static(b"urgent")).expect("its lane is empty");
    let mut order = Vec::new();
    for n in 0..sent + 2 {
        let (_, bytes) = frame(&mut from_a).await;
        if bytes.len() < 100 {
            order.push((n, bytes));
        }
    }
    assert_eq!(order[0].1, "urgent");
    assert_eq!(order[1].1, "normal");
    assert!(order[1].0 < sent + 1, "the last of {sent} bulk frames came after them");
}

#[tokio::test]
async fn sends_are_refused_with_reasons() {
    let (a, _events) = node(1, Plane::Control).await;
    let (mut client, _client_events) = Endpoint::start(Config::client(secret(3), NETWORK, Plane::Control)).await.expect("starts");
    assert_eq!(client.send(a.peer(), "cons", Class::Urgent, "x"), Err(SendError::NotConnected(a.peer())));
    client.connect(a.contact()).await.expect("reachable");
    assert_eq!(client.send(a.peer(), "cons", Class::Urgent, "x"), Err(SendError::Unsupported { peer: a.peer(), channel: "cons" }));
    assert_eq!(client.send(a.peer(), "cons", Class::Bulk, vec![0; MESSAGE_BYTES_MAX + 1]), Err(SendError::Oversize { bytes: MESSAGE_BYTES_MAX + 1 }));
    assert_eq!(client.broadcast("cons", Class::Bulk, "x"), 0);
    assert!(client.speaks(&a.peer(), "echo") && !client.speaks(&a.peer(), "other"));
    assert!(client.addresses().is_empty());
    assert_eq!(client.publish("tx", "x").await, Err(PublishError::UnknownTopic("tx".into())));
    client = a.clone();
    assert_eq!(client.publish("tx", "x").await, Err(PublishError::NobodyListens));
    assert!(matches!(client.publish("tx", vec![0; 200 << 10]).await, Err(PublishError::Oversize { bytes: 204_800, max: 131_072 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_both_ways_at_once() {
    let ((a, from_b), (b, from_a)) = pair(Plane::Data).await;
    echo(from_a);
    echo(from_b);
    let ask = async |endpoint: &Endpoint, to: PeerId| {
        let all = (0..32).map(|n| {
            let body = noise(n * 3000, n as u64);
            async move { assert_eq!(endpoint.request(to, "echo", body.clone(), PATIENCE).await.expect("answered"), body) }
        });
        futures::future::join_all(all).await;
    };
    within(async { tokio::join!(ask(&a, b.peer()), ask(&b, a.peer())) }).await;
    let big = vec![5; REQUEST_BYTES_MAX];
    assert_eq!(a.request(b.peer(), "echo", big.clone(), PATIENCE).await.expect("answered"), big);
    assert!(matches!(a.request(b.peer(), "echo", vec![5; REQUEST_BYTES_MAX + 1], PATIENCE).await, Err(RequestError::Oversize { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_fail_with_reasons() {
    let ((a, _events), (b, mut from_a)) = pair(Plane::Data).await;
    // Brief for a deadline, and ample for a question to arrive.
    let brief = Duration::from_secs(3);
    let (asked, responder) = tokio::join!(a.request(b.peer(), "echo", "slow", brief), next(&mut from_a, request));
    assert!(matches!(asked, Err(RequestError::Timeout { protocol: "echo", after, .. }) if after == brief), "{asked:?}");
    responder.answer("too late");
    let refuse = async { drop(next(&mut from_a, request).await) };
    assert!(matches!(tokio::join!(a.request(b.peer(), "echo", "no", PATIENCE), refuse).0, Err(RequestError::Refused { .. })));
    let flood = async { next(&mut from_a, request).await.answer(vec![0; ANSWER_BYTES_MAX + 1]) };
    assert!(matches!(tokio::join!(a.request(b.peer(), "echo", "much", PATIENCE), flood).0, Err(RequestError::Refused { .. })));
    let error = a.request(b.peer(), "other", "x", PATIENCE).await.expect_err("not spoken");
    assert!(matches!(error, RequestError::Open(OpenError::Unsupported { protocol: "other", .. })), "{error}");
}

/// Checks P2P-4: memory is taken when a length is announced. Who announces and does not send waits for itself; nobody else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_request_takes_memory_from_its_sender_only() {
    let (server, events) = node(1, Plane::Data).await;
    echo(events);
    let (slow, _slow_events) = node(2, Plane::Data).await;
    let (other, _other_events) = node(3, Plane::Data).await;
    slow.connect(server.contact()).await.expect("reachable");
    let mut announced = Vec::new();
    for _ in 0..=PER_PEER_BYTES_MAX / REQUEST_BYTES_MAX {
        let mut stream = slow.open(server.peer(), "echo").await.expect("opened as a request would be");
        stream.write_all(&header(REQUEST_BYTES_MAX)).await.expect("written");
        stream.flush().await.expect("flushed");
        announced.push(stream);
    }
    within(async {
        // The first may arrive before the announcements.
        while slow.request(server.peer(), "echo", "small", Duration::from_millis(300)).await.is_ok() {}
    })
    .await;
    assert_eq!(other.request(server.contact(), "echo", "hello", PATIENCE).await.expect("answered"), "hello");
    drop(announced);
    assert_eq!(slow.request(server.peer(), "echo", "after", PATIENCE).await.expect("answered"), "after");
}

/// Checks P2P-4: answers that nobody reads are bounded; what has no room is refused, and others are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_have_little_room() {
    let (server, mut events) = node(1, Plane::Data).await;
    let (lazy, _lazy_events) = node(2, Plane::Data).await;
    let (other, _other_events) = node(3, Plane::Data).await;
    lazy.connect(server.contact()).await.expect("reachable");
    let ask = async || {
        let mut stream = lazy.open(server.peer(), "echo").await.expect("opened as a request would be");
        stream.write_all(&header(0)).await.expect("written");
        stream.shutdown().await.expect("ended");
        stream
    };
    let (mut first, responder) = tokio::join!(ask(), next(&mut events, request));
    responder.answer(vec![0; ANSWER_BYTES_MAX]);
    within(first.read_exact(&mut [0; 4])).await.expect("the answer is on its way");
    let (mut second, responder) = tokio::join!(ask(), next(&mut events, request));
    responder.answer(vec![0; ANSWER_BYTES_MAX]);
    assert!(within(second.read_exact(&mut [0; 4])).await.is_err(), "no room for a second answer");
    let (asked, ()) = tokio::join!(other.request(server.contact(), "echo", "x", PATIENCE), async {
        next(&mut events, request).await.answer(vec![1; ANSWER_BYTES_MAX]);
    });
    assert_eq!(asked.expect("answered").len(), ANSWER_BYTES_MAX);
    let mut rest = vec![0; ANSWER_BYTES_MAX];
    within(first.read_exact(&mut rest)).await.expect("the first is whole");
}

fn request(event: Event) -> Option<crate::Responder> {
    if let Event::Request { responder, .. } = event { Some(responder) } else { None }
}

/// Checks P2P-3, and that neither direction of a stream waits for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_carry_much_both_ways_at_once() {
    const SIZE: usize = 64 << 20;
    const PIECE: usize = 256 << 10;
    let ((a, _a_events), (b, _b_events)) = pair(Plane::Data).await;
    let mut accepted = b.accept("bulk").expect("configured");
    assert!(b.accept("bulk").is_none() && b.accept("other").is_none());
    let whole = async |stream: crate::Stream| {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let piece = noise(PIECE, 9);
        let write = async {
            for _ in 0..SIZE / PIECE {
                writer.write_all(&piece).await.expect("written");
            }
            writer.shutdown().await.expect("ended");
        };
        let read = async {
            let mut buffer = vec![0; PIECE];
            for _ in 0..SIZE / PIECE {
                reader.read_exact(&mut buffer).await.expect("read");
                assert!(buffer == piece);
            }
            assert_eq!(reader.read(&mut buffer).await.expect("a clean end"), 0);
        };
        tokio::join!(write, read);
    };
    let there = async {
        let stream = accepted.recv().await.expect("a stream");
        assert_eq!(stream.peer(), a.peer());
        whole(stream).await;
    };
    let here = async { whole(a.open(b.peer(), "bulk").await.expect("opened")).await };
    within(async { tokio::join!(here, there) }).await;
}

/// Many more streams at once than a connection has: none is lost, and the connection lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_is_dropped_in_silence() {
    let ((a, mut a_events), (b, _b_events)) = pair(Plane::Data).await;
    let mut accepted = b.accept("bulk").expect("configured");
    tokio::spawn(async move {
        while let Some(mut stream) = accepted.recv().await {
            tokio::spawn(async move {
                let byte = stream.read_u8().await.expect("a byte");
                stream.write_u8(byte).await.expect("written");
                stream.shutdown().await.expect("ended");
            });
        }
    });
    // More than Yamux lives through: what is above our own limit waits for the rest.
    let opens = (0..=u8::MAX).cycle().take(3 * DATA_STREAMS_MAX).map(|byte| {
        let (a, to) = (a.clone(), b.peer());
        async move {
            let mut stream = a.open(to, "bulk").await.expect("opened");
            stream.write_u8(byte).await.expect("written");
            stream.flush().await.expect("flushed");
            assert_eq!(stream.read_u8().await.expect("echoed"), byte);
        }
    });
    within(futures::future::join_all(opens)).await;
    while let Ok(event) = a_events.try_recv() {
        assert!(!matches!(event, Event::Down(_)), "the connection lived");
    }
}

/// A client dials on demand, by address, and gets reasons when it cannot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_connect_on_demand() {
    let (server, events) = node(1, Plane::Data).await;
    echo(events);
    let (client, client_events) = Endpoint::start(Config::client(secret(9), NETWORK, Plane::Data)).await.expect("starts");
    drop(client_events);
    assert!(matches!(client.connect(server.peer()).await, Err(ConnectError::NoAddress(peer)) if peer == server.peer()));
    assert_eq!(client.connect(client.peer()).await, Err(ConnectError::Myself));
    assert_eq!(client.request(server.contact(), "echo", "hello", PATIENCE).await.expect("answered"), "hello");
    assert!(client.is_up(&server.peer()) && client.peers() == [server.peer()]);

    let impostor = Contact { peer: secret(7).peer(), addresses: server.addresses() };
    let error = client.connect(&impostor).await.expect_err("another identity");
    assert!(matches!(&error, ConnectError::WrongIdentity { expected, obtained, .. } if *expected == impostor.peer && *obtained == server.peer()), "{error}");

    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{nobody}").parse().expect("an address");
    let error = client.connect((secret(7).peer(), vec![address.clone()])).await.expect_err("nobody there");
    assert!(matches!(&error, ConnectError::Unreachable { reason, .. } if reason.contains(&address.to_string()) && reason.contains("refused")), "{error}");

    let (other, _other_events) = Endpoint::start(Config { network: "ffffffff".into(), ..config(3, Plane::Data) }).await.expect("starts");
    let error = client.connect(other.contact()).await.expect_err("another network");
    assert!(matches!(&error, ConnectError::OtherNetwork { theirs, .. } if theirs.contains("ffffffff")), "{error}");
    assert_eq!(client.request(server.peer(), "echo", "still", PATIENCE).await.expect("answered"), "still");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let (first, _events) = node(1, Plane::Control).await;
    let taken = first.addresses()[0].clone();
    let error = Endpoint::start(Config { listen: vec![taken.clone()], ..config(2, Plane::Control) }).await.expect_err("in use");
    assert!(matches!(&error, StartError::Listen { address, .. } if *address == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()) && error.to_string().contains("in use"), "{error}");
    let twice = Config { serve: vec!["cons"], ..config(2, Plane::Control) };
    assert!(matches!(Endpoint::start(twice).await, Err(StartError::Twice("cons"))));
    assert!(matches!(Endpoint::start(Config { network: "a/b".into(), ..config(2, Plane::Control) }).await, Err(StartError::Network(_))));
}

/// Checks P2P-2 over a restart: down, then up again, on the same port and on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_is_found_again() {
    let ((a, mut a_events), (b, b_events)) = pair(Plane::Control).await;
    let (peer, address) = (b.peer(), b.addresses());
    b.close().await;
    drop((b, b_events));
    down(&mut a_events, peer).await;
    let (b, mut b_events) = Endpoint::start(Config { listen: address, ..config(2, Plane::Control) }).await.expect("the port is free at once");
    up(&mut a_events, peer).await;
    up(&mut b_events, a.peer()).await;
    a.send(peer, "cons", Class::Urgent, "again").expect("up");
    assert_eq!(frame(&mut b_events).await.1, "again");

    // Not closed, only dropped; and the next start is on another port, from where it dials.
    drop((b, b_events));
    down(&mut a_events, peer).await;
    let (b, mut b_events) = node(2, Plane::Control).await;
    b.keep(a.contact()).await;
    up(&mut b_events, a.peer()).await;
    up(&mut a_events, peer).await;
    b.send(a.peer(), "cons", Class::Urgent, "moved").expect("up");
    assert_eq!(frame(&mut a_events).await, (peer, Bytes::from_static(b"moved")));
}

/// A line to a server that can be cut: then both sockets stay open and silent.
async fn line_to(server: &Endpoint) -> (Multiaddr, tokio::sync::watch::Sender<bool>) {
    let target = server.addresses()[0].to_string().rsplit('/').next().expect("a port").to_owned();
    let line = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = line.local_addr().expect("an address").port();
    let (cut, mut is_cut) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let (mut near, _) = line.accept().await.expect("a connection");
        let mut far = TcpStream::connect(format!("127.0.0.1:{target}")).await.expect("reachable");
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            _ = is_cut.changed() => {}
        }
        std::future::pending::<()>().await;
    });
    (format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address"), cut)
}

/// A peer that died in silence is noticed when it comes back: its old connection never tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_gives_way() {
    let mut a = node(1, Plane::Control).await;
    let b = node(2, Plane::Control).await;
    let (address, cut) = line_to(&b.0).await;
    a.0.connect((b.0.peer(), vec![address])).await.expect("through the line");
    up(&mut a.1, b.0.peer()).await;
    a.0.send(b.0.peer(), "cons", Class::Urgent, "before").expect("up");
    cut.send(true).expect("the line lives");
    b.0.close().await;
    let mut again = node(2, Plane::Control).await;
    again.0.keep(a.0.contact()).await;
    down(&mut a.1, again.0.peer()).await;
    up(&mut a.1, again.0.peer()).await;
    a.0.send(again.0.peer(), "cons", Class::Urgent, "after").expect("up");
    assert_eq!(frame(&mut again.1).await.1, "after");
}

/// A peer that died in silence is noticed by who wants a stream of it, long before the pings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_is_given_up() {
    let (a, mut a_events) = node(1, Plane::Data).await;
    let (b, _b_events) = node(2, Plane::Data).await;
    let (address, cut) = line_to(&b).await;
    a.connect((b.peer(), vec![address])).await.expect("through the line");
    up(&mut a_events, b.peer()).await;
    cut.send(true).expect("the line lives");
    // What was on its way when the line was cut may still arrive, and begins the row anew.
    tokio::select! {
        () = down(&mut a_events, b.peer()) => {}
        () = async { loop { drop(a.open(b.peer(), "bulk").await) } } => {}
    }
    drop(within(a.open(b.contact(), "bulk")).await.expect("by another way"));
}

/// Checks P2P-4: bytes that are no protocol, announced sizes that are no size, and the ban that follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_disturbs_nobody() {
    let ((a, _a_events), (b, mut from_a)) = pair(Plane::Control).await;
    let port = b.addresses()[0].to_string().rsplit('/').next().expect("a port").to_owned();
    for round in 0..20 {
        let mut raw = TcpStream::connect(format!("127.0.0.1:{port}")).await.expect("listening");
        let _ = raw.write_all(&noise(10_000, round)).await;
        let mut rest = Vec::new();
        let _ = within(raw.read_to_end(&mut rest)).await;
    }
    a.send(b.peer(), "cons", Class::Urgent, "calm").expect("up");
    assert_eq!(frame(&mut from_a).await.1, "calm");

    let (bad, _bad_events) = node(6, Plane::Control).await;
    // Twenty points for each oversized frame; a little heals in between, so that the sixth is one too many.
    for _ in 0..6 {
        bad.connect(b.contact()).await.expect("not banned yet");
        let mut stream = bad.open(b.peer(), "cons").await.expect("opened as a channel would be");
        stream.write_all(&[255; 8]).await.expect("written");
        stream.flush().await.expect("flushed");
        down(&mut from_a, bad.peer()).await;
        // The other end has hung up; wait until we see it.
        let _ = within(stream.read_u8()).await;
        within(async {
            while bad.is_up(&b.peer()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    assert!(bad.connect(b.contact()).await.is_err());
    assert!(matches!(b.connect(bad.contact()).await, Err(ConnectError::Banned { .. })));
    a.send(b.peer(), "cons", Class::Urgent, "calm still").expect("up");
    assert_eq!(frame(&mut from_a).await.1, "calm still");
}

/// Twelve peers that keep each other, all dialing at once; each hears each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_in_a_mesh() {
    const N: u8 = 12;
    let mut nodes = Vec::new();
    for n in 0..N {
        nodes.push(node(n + 20, Plane::Control).await);
    }
    let contacts: Vec<Contact> = nodes.iter().map(|(endpoint, _)| endpoint.contact()).collect();
    for (endpoint, _) in &nodes {
        for contact in &contacts {
            endpoint.keep(contact).await;
        }
    }
    for (_, events) in &mut nodes {
        let mut present = BTreeSet::new();
        while present.len() < usize::from(N) - 1 {
            next(events, |event| {
                match event {
                    Event::Up(peer) => drop(present.insert(peer)),
                    Event::Down(peer) => drop(present.remove(&peer)),
                    Event::Frame { .. } | Event::Request { .. } | Event::Gossip { .. } => {}
                }
                Some(())
            })
            .await;
        }
    }
    for (endpoint, _) in &nodes {
        assert_eq!(endpoint.broadcast("cons", Class::Urgent, endpoint.peer().to_bytes()), usize::from(N) - 1);
    }
    for (_, events) in &mut nodes {
        let mut heard = BTreeMap::new();
        while heard.len() < usize::from(N) - 1 {
            let (from, bytes) = frame(events).await;
            assert_eq!(from.to_bytes(), bytes);
            assert!(heard.insert(from, ()).is_none(), "each once");
        }
    }
    within(futures::future::join_all(nodes.iter().map(|(endpoint, _)| ended(endpoint)))).await;
}

/// Gossip crosses a middle that accepts, and only after it accepts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_is_forwarded_when_accepted() {
    let (a, _a_events) = node(1, Plane::Control).await;
    let (b, mut b_events) = node(2, Plane::Control).await;
    let (c, mut c_events) = node(3, Plane::Control).await;
    a.keep(b.contact()).await;
    c.keep(b.contact()).await;
    up(&mut b_events, a.peer()).await;
    let gossip = |event| if let Event::Gossip { from, topic: "tx", bytes, verdict, .. } = event { Some((from, bytes, verdict)) } else { None };
    // Subscriptions travel after the connection; until then nobody listens.
    let publish = async |endpoint: &Endpoint, bytes: &'static str| {
        within(async {
            while let Err(error) = endpoint.publish("tx", bytes).await {
                assert_eq!(error, PublishError::NobodyListens);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    };
    publish(&c, "from the other side").await;
    let (from, bytes, verdict) = next(&mut b_events, gossip).await;
    assert_eq!((from, bytes), (c.peer(), Bytes::from_static(b"from the other side")));
    verdict.ignore();
    publish(&a, "bad").await;
    let (from, _, verdict) = next(&mut b_events, gossip).await;
    assert_eq!(from, a.peer());
    verdict.reject();
    publish(&a, "good").await;
    next(&mut b_events, gossip).await.2.accept();
    let (from, bytes, _) = next(&mut c_events, gossip).await;
    assert_eq!((from, bytes), (b.peer(), Bytes::from_static(b"good")), "forwarded by the middle, and the bad one never");
    assert_eq!(a.publish("tx", "good").await, Err(PublishError::Duplicate));
}

/// Nothing outlives its endpoint, whether it is closed or dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_ends() {
    let ((a, mut a_events), (b, b_events)) = pair(Plane::Data).await;
    let mut accepted = b.accept("bulk").expect("configured");
    let mut stream = a.open(b.peer(), "bulk").await.expect("opened");
    a.send(b.peer(), "cons", Class::Bulk, "x").expect("up");
    let there = accepted.recv().await.expect("a stream");
    let tasks = b.tasks();
    drop((b, b_events, accepted, there));
    tasks.tracker.close();
    within(tasks.tracker.wait()).await;
    down(&mut a_events, secret(2).peer()).await;
    assert_eq!(within(stream.read(&mut [0; 1])).await.unwrap_or(0), 0);

    within(ended(&a)).await;
    assert!(a.peers().is_empty());
    assert!(matches!(a.connect(secret(2).peer()).await, Err(ConnectError::Closed)));
    assert!(matches!(a.publish("tx", "x").await, Err(PublishError::Closed)));
    while a_events.recv().await.is_some() {}
}
