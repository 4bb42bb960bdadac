//! `stratos --dev`: a whole network in one process, over real connections on the loopback interface.
//!
//! # In reading order
//! 1. [`plan`] who takes part, with which keys and ports, and the genesis file that follows from it.
//! 2. [`network`] starts everybody, stops and starts them one by one.
//! 3. [`banner`] what is printed.

mod banner;
mod network;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::dev::Options;
use network::Network;
use plan::Plan;

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
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let plan = Plan::load(&options)?;
    let started = tokio::select! {
        started = Network::start(&plan) => started,
        _ = interrupt.recv() => bail!("interrupted while starting"),
        _ = terminate.recv() => bail!("terminated while starting"),
    };
    let network = started.inspect_err(|_| plan.clean_up())?;
    let address = listener.local_addr().context("the HTTP port has no address")?;
    let shutdown = CancellationToken::new();
    let site = Arc::new(network.site(&plan));
    let server = tokio::spawn(crate::http::serve(listener, site, shutdown.clone()));
    let notices = network.notices();
    network.ready().await?;
    banner::print(&plan, &network, address);
    let blocks = tokio::spawn(banner::follow(notices));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!("stopping");
    blocks.abort();
    shutdown.cancel();
    // The interface has half a second to end what it is sending; the nodes end meanwhile.
    let (_, ended) = tokio::join!(network.stop(), server);
    if let Err(error) = ended {
        tracing::warn!(%error, "the HTTP interface did not end in order");
    }
    plan.clean_up();
    Ok(())
}
