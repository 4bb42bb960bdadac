//! A resource node: keeps and serves slices, and claims what it is owed.
//!
//! Transfers are [`client::transfer::Carrier`]'s; here it is connected with the data plane and with the ledgers, which it knows by proven reads only:
//!
//! 1. [`terms`] what the metadata ledger says now: the epoch, and whose tickets count.
//! 2. [`claims`] when an epoch is over, its last receipts become a claim, brought until a report holds it, or directly if none does.
//! 3. [`sweep`] slices that no file needs any more, or never did, are dropped.

mod claims;
mod sweep;
mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chain::Genesis;
use chain::genesis::meta_chain;
use chain::ledger::query::{META_PROTOCOL, VALUE_PROTOCOL};
use client::ledger::Ledger;
use client::transfer::{Carrier, Identity, wire};
use p2p::{Config, Contact, Endpoint, Plane, Secret};
use primitives::{AccountSecret, Bytes, SecretKey};
use storage::store::{Closing, Disk, Limits, Usage};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use crate::roles::publish::Operator;
use crate::roles::{StartError, loopback};
use claims::{Accusations, Claims};

/// Bytes of the file system that a node always leaves free.
const DISK_RESERVE_BYTES: u64 = 256 << 20;
/// Transfers served at once.
const TRANSFERS_MAX: usize = 512;
/// How long transfers may take to end after their streams were cut.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the disk may take to finish what was begun.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a resource node needs.
#[derive(Clone)]
pub struct Settings {
    /// Its name in logs.
    pub name: String,
    /// The network's beginning.
    pub genesis: Arc<Genesis>,
    /// Its operator's account.
    pub operator: AccountSecret,
    /// Key of its receipts, acknowledgements and claims.
    pub key: SecretKey,
    /// Its identity on the data plane: the registry's.
    pub peer: Secret,
    /// Port of the data plane on the loopback interface; 0 takes a free one.
    pub port: u16,
    /// Bytes it offers.
    pub capacity: Bytes,
    /// Its directory.
    pub directory: PathBuf,
}

/// A running resource node.
pub struct ResourceNode {
    /// Its network.
    pub endpoint: Endpoint,
    name: String,
    carrier: Carrier,
    serving: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    closing: Closing,
}

impl ResourceNode {
    /// Starts a resource node that learns of the ledgers from `validators` and `metas`.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(settings: Settings, validators: Vec<Contact>, metas: Vec<Contact>) -> Result<Self, StartError> {
        let Settings { name, genesis, operator, key, peer, port, capacity, directory } = settings;
        let config = Config { listen: vec![loopback(port)], streams: vec![wire::PROTOCOL], ..Config::client(peer, genesis.network(), Plane::Data) };
        let (endpoint, events) = Endpoint::start(config).await.map_err(|cause| StartError::Endpoint { role: name.clone(), cause })?;
        // Who comes and goes is of no interest, and nothing is served but streams.
        drop(events);
        let identity = Identity { chain: genesis.hash(), carrier: operator.address(), secret: key };
        let opened = tokio::task::spawn_blocking(move || {
            let disk = Disk::open(&directory, Limits { capacity: capacity.0, reserve: DISK_RESERVE_BYTES }).map_err(|error| error.to_string())?;
            if !disk.recovery().lost.is_empty() {
                warn!(slices = disk.recovery().lost.len(), "slices with a record have no file any more; they will be asked for and not found");
            }
            let closing = disk.closing();
            let accusations = Accusations::open(&directory, identity.chain)?;
            let carrier = Carrier::open(identity, Arc::new(disk)).map_err(|error| error.to_string())?;
            Ok::<_, String>((carrier, accusations, closing))
        });
        let disk_error = |cause: String| StartError::Disk { role: name.clone(), cause };
        let (carrier, accusations, closing) = opened.await.map_err(|error| disk_error(error.to_string()))?.map_err(disk_error)?;
        let value = Ledger::new(endpoint.clone(), VALUE_PROTOCOL, genesis.hash(), genesis.validator_members()?, validators);
        let meta = Ledger::new(endpoint.clone(), META_PROTOCOL, meta_chain(genesis.hash()), genesis.meta_members()?, metas);
        let publisher = Operator { genesis, secret: operator, ledger: value };
        let addresses = endpoint.addresses();
        let serving = tokio::spawn(serve(name.clone(), endpoint.clone(), carrier.clone()));
        let tasks = vec![
            tokio::spawn(terms::follow(name.clone(), publisher.ledger.clone(), meta.clone(), carrier.clone())),
            tokio::spawn(
                Claims {
                    name: name.clone(),
                    operator: publisher.clone(),
                    meta: meta.clone(),
                    carrier: carrier.clone(),
                    accusations,
                    beyond: BTreeSet::new(),
                    patience: BTreeMap::new(),
                }
                .bring(),
            ),
            tokio::spawn(sweep::run(name.clone(), meta, carrier.clone())),
            tokio::spawn(async move { publisher.publish(addresses).await }),
        ];
        Ok(Self { endpoint, name, carrier, serving, tasks, closing })
    }

    /// The carrier's end of its transfers.
    pub fn carrier(&self) -> &Carrier {
        &self.carrier
    }

    /// What it stores.
    pub fn usage(&self) -> Usage {
        self.carrier.store().usage()
    }

    /// Ends the node: transfers under way break off, what they earned is written, and its directory can be opened again.
    pub async fn stop(self) {
        let Self { endpoint, name, carrier, mut serving, tasks, closing } = self;
        endpoint.close().await;
        for task in &tasks {
            task.abort();
        }
        if timeout(DRAIN_TIMEOUT, &mut serving).await.is_err() {
            serving.abort();
        }
        for task in tasks {
            // Aborted, or ended before.
            let _ = task.await;
        }
        if let Err(cause) = carrier.books().commit().await {
            error!(node = name, error = %cause, "the newest receipts are not on the disk");
        }
        drop(carrier);
        // What blocks on the disk cannot be aborted.
        let is_closed = tokio::task::spawn_blocking(move || closing.wait(CLOSE_TIMEOUT)).await;
        if !is_closed.unwrap_or(false) {
            error!(node = name, after = ?CLOSE_TIMEOUT, "the disk is still being written; the directory cannot be opened yet");
        }
    }
}

/// Serves transfers, each in a task of its own, until the endpoint closes.
async fn serve(name: String, endpoint: Endpoint, carrier: Carrier) {
    let Some(mut streams) = endpoint.accept(wire::PROTOCOL) else { return };
    let mut transfers = tokio::task::JoinSet::new();
    while let Some(stream) = streams.recv().await {
        while transfers.len() >= TRANSFERS_MAX {
            transfers.join_next().await;
        }
        while transfers.try_join_next().is_some() {}
        let (carrier, name) = (carrier.clone(), name.clone());
        transfers.spawn(async move {
            let peer = stream.peer();
            if let Err(error) = carrier.serve(stream).await {
                debug!(node = name, %peer, error, "a transfer ended early");
            }
        });
    }
    while transfers.join_next().await.is_some() {}
    info!(node = name, "no more transfers");
}
