//! `stratos --dev`: a whole network in one process, over real connections on the loopback interface.
//!
//! # In reading order
//! 1. [`plan`] who takes part, with which keys and ports, and the genesis file that follows from it.
//! 2. [`network`] starts everybody, stops and starts them one by one.
//! 3. [`banner`] what is printed.

mod banner;
mod network;
mod plan;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use primitives::Hash;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::dev::Options;
use crate::cli::disk;
use network::Network;
use plan::Plan;

pub use plan::consensus_key;

/// Threads of the runtime: the work is on replica threads and in the blocking pool.
const WORKERS: usize = 4;
/// How long the end of the process waits for work in the blocking pool.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs a development network until Ctrl-C or SIGTERM.
///
/// # Errors
/// Whatever keeps it from starting: a port in use, a directory of another chain, a full disk.
pub fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(serve(options));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}

async fn serve(options: Options) -> Result<()> {
    // The port is taken first: it is what most often is not free, and nothing has been written yet.
    let listener = network::bind_http(options.port).await?;
    let mut signals = Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    let plan = Plan::load(&options)?;
    let result = live(&plan, options.verify_state, listener, &mut signals).await;
    plan.clean_up();
    result
}

/// Reads every value that the replicas have on disk, and prints a line for each of them.
fn verify(directories: &[PathBuf], genesis: Hash) -> Result<()> {
    if directories.is_empty() {
        banner::verified("no replica has anything on disk yet");
    }
    for directory in directories {
        let checked = disk::check(directory, genesis).map_err(|failure| anyhow!(failure.line()))?;
        banner::verified(&checked);
    }
    Ok(())
}

/// From the start of the nodes to their end. A signal ends whatever is going on.
async fn live(plan: &Plan, verify_state: bool, listener: TcpListener, signals: &mut Signals) -> Result<()> {
    if verify_state {
        let (directories, genesis) = (plan.replicas(), plan.genesis.hash());
        tokio::select! {
            verified = tokio::task::spawn_blocking(move || verify(&directories, genesis)) => verified.context("the states on disk were not verified")??,
            () = signals.next() => bail!("interrupted while verifying the states on disk"),
        }
    }
    let network = tokio::select! {
        started = Network::start(plan) => started?,
        () = signals.next() => bail!("interrupted while starting"),
    };
    let address = listener.local_addr().context("the HTTP port has no address")?;
    let shutdown = CancellationToken::new();
    let site = Arc::new(network.site(plan));
    let server = tokio::spawn(crate::http::serve(listener, site, shutdown.clone()));
    let notices = network.notices();
    let ready = tokio::select! {
        ready = network.ready() => ready,
        () = signals.next() => Err(anyhow!("interrupted while starting")),
    };
    if ready.is_ok() {
        banner::print(plan, &network, address);
        let blocks = tokio::spawn(banner::follow(notices));
        signals.next().await;
        blocks.abort();
        banner::stopping();
    }
    shutdown.cancel();
    // The interface has half a second to end what it is sending; the nodes end meanwhile.
    let ended = tokio::select! {
        (_, ended) = async { tokio::join!(network.stop(), server) } => ended,
        () = signals.next() => bail!("interrupted again while stopping; with --data the next start continues all the same"),
    };
    if let Err(error) = ended {
        tracing::warn!(%error, "the HTTP interface did not end in order");
    }
    ready
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Returns at the next of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
