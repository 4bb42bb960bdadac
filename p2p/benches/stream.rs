//! How fast one byte stream moves 1 GiB over loopback, on each plane, one way and both ways; beside it raw TCP in the same process.

use std::time::Instant;

use p2p::{Config, Endpoint, Plane, Secret, Stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const SIZE: usize = 1 << 30;
const PIECE: usize = 256 << 10;

async fn write(mut to: impl AsyncWrite + Unpin) {
    let piece = vec![7; PIECE];
    for _ in 0..SIZE / PIECE {
        to.write_all(&piece).await.expect("written");
    }
    to.shutdown().await.expect("ended");
}

async fn read(mut from: impl AsyncRead + Unpin) {
    let (mut buffer, mut total) = (vec![0; PIECE], 0);
    while total < SIZE {
        let count = from.read(&mut buffer).await.expect("read");
        assert!(count > 0, "ended early");
        total += count;
    }
}

fn report(name: &str, started: Instant, bytes: usize) {
    let megabytes = u32::try_from(bytes / 1_000_000).expect("a few thousand");
    println!("{name}: {:.0} MB/s", f64::from(megabytes) / started.elapsed().as_secs_f64());
}

async fn streams(plane: Plane) -> (Stream, Stream, [Endpoint; 2]) {
    let mut config = Config::client(Secret::random(), "00000000", plane);
    let (a, _) = Endpoint::start(config.clone()).await.expect("starts");
    config.secret = Secret::random();
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    config.streams = vec!["bulk"];
    let (b, _) = Endpoint::start(config).await.expect("starts");
    let mut accepted = b.accept("bulk").expect("configured");
    let (near, far) = tokio::join!(a.open(b.contact(), "bulk"), accepted.recv());
    (near.expect("opened"), far.expect("accepted"), [a, b])
}

#[tokio::main]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, (far, _)) = (near.expect("connected"), far.expect("accepted"));
    let started = Instant::now();
    let (writer, reader) = (tokio::spawn(write(near)), tokio::spawn(read(far)));
    writer.await.expect("done");
    reader.await.expect("done");
    report("raw TCP, one way", started, SIZE);

    for plane in [Plane::Data, Plane::Control] {
        let (near, far, endpoints) = streams(plane).await;
        let started = Instant::now();
        let (writer, reader) = (tokio::spawn(write(near)), tokio::spawn(read(far)));
        writer.await.expect("done");
        reader.await.expect("done");
        report(&format!("{plane:?} plane, one way"), started, SIZE);

        let (near, far) = {
            drop(endpoints);
            let (near, far, endpoints) = streams(plane).await;
            std::mem::forget(endpoints);
            (tokio::io::split(near), tokio::io::split(far))
        };
        let started = Instant::now();
        let tasks = [tokio::spawn(write(near.1)), tokio::spawn(write(far.1)), tokio::spawn(read(near.0)), tokio::spawn(read(far.0))];
        for task in tasks {
            task.await.expect("done");
        }
        report(&format!("{plane:?} plane, both ways, in all"), started, 2 * SIZE);
    }
}
