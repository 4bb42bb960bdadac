//! A validator: a voting replica of the value ledger on the control plane, which answers everybody's questions about it.

use std::path::PathBuf;
use std::sync::Arc;

use chain::{Genesis, ValueLedger};
use client::ledger::Ledger;
use p2p::{Config, Contact, Endpoint, Limits, Plane, Secret};
use primitives::SecretKey;
use state::Tuning;
use tokio::task::JoinHandle;

use super::{StartError, TIMES, loopback, route, value_genesis};
use crate::replica::{self, Join, Options, Replica, Running, VALUE};

/// What a validator needs.
#[derive(Clone)]
pub struct Settings {
    /// Its name in logs.
    pub name: String,
    /// The network's beginning.
    pub genesis: Arc<Genesis>,
    /// Key of its votes.
    pub key: SecretKey,
    /// Its network identity.
    pub peer: Secret,
    /// Port of the control plane on the loopback interface; 0 takes a free one.
    pub port: u16,
    /// Its directory.
    pub directory: PathBuf,
    /// Memory and history of each tree.
    pub tuning: Tuning,
}

/// A running validator.
pub struct Validator {
    /// Its network.
    pub endpoint: Endpoint,
    /// Its ledger.
    pub value: Replica<ValueLedger>,
    running: Running,
    router: JoinHandle<()>,
}

impl Validator {
    /// Starts a validator. If it has no chain yet and one of `others` has a snapshot, it begins with that.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(settings: Settings, others: &[Contact]) -> Result<Self, StartError> {
        let Settings { name, genesis, key, peer, port, directory, tuning } = settings;
        let config = Config {
            secret: peer,
            listen: vec![loopback(port)],
            network: genesis.network(),
            plane: Plane::Control,
            channels: vec![VALUE.consensus, VALUE.transactions],
            serve: vec![VALUE.requests],
            streams: Vec::new(),
            topics: Vec::new(),
            limits: Limits::default(),
        };
        let (endpoint, events) = Endpoint::start(config).await.map_err(|cause| StartError::Endpoint { role: name.clone(), cause })?;
        let others: Vec<Contact> = others.iter().filter(|other| other.peer != endpoint.peer()).cloned().collect();
        let ledger = Ledger::new(endpoint.clone(), VALUE.requests, genesis.hash(), genesis.validator_members()?, others);
        let joined = replica::join(Join {
            name: &name,
            directory: &directory,
            chain: genesis.hash(),
            secret: Some(&key),
            ledger: &ledger,
            endpoint: &endpoint,
            protocol: VALUE.requests,
        });
        if let Err(cause) = joined.await {
            endpoint.close().await;
            return Err(StartError::Join { role: name, cause });
        }
        let options = Options {
            name: name.clone(),
            rules: Arc::new(ValueLedger::new(genesis.hash())),
            chain: genesis.hash(),
            secret: Some(key),
            directory,
            times: TIMES,
            tuning,
            channels: VALUE,
            endpoint: endpoint.clone(),
        };
        let (value, running) = Replica::start(options, value_genesis(genesis)).map_err(|cause| StartError::Replica { role: name, cause })?;
        let router = route(events, vec![replica::attach(&value)], drop);
        Ok(Self { endpoint, value, running, router })
    }

    /// Stays connected to other validators.
    pub async fn keep(&self, others: &[Contact]) {
        for other in others.iter().filter(|other| other.peer != self.endpoint.peer()) {
            self.endpoint.keep(other).await;
        }
    }

    /// Ends the validator.
    pub async fn stop(self) {
        let Self { endpoint, value, running, router } = self;
        stop(endpoint, vec![running], vec![router]).await;
        drop(value);
    }
}

/// Closes an endpoint, ends threads and tasks.
pub async fn stop(endpoint: Endpoint, running: Vec<Running>, tasks: Vec<JoinHandle<()>>) {
    endpoint.close().await;
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        // Aborted, or ended before.
        let _ = task.await;
    }
    // Joining waits for the disk, so not on the runtime's threads; a panic inside was reported when it happened.
    let _ = tokio::task::spawn_blocking(move || running.into_iter().for_each(Running::stop)).await;
}
