//! The gateway: follows both ledgers without a vote, answers questions about them, and serves files over HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use ::meta::MetaLedger;
use chain::genesis::meta_chain;
use chain::ledger::query::{META_PROTOCOL, VALUE_PROTOCOL};
use chain::{Genesis, ValueLedger};
use client::ledger::Ledger;
use p2p::{Config, Contact, Endpoint, Event, Limits, Plane, Secret};
use state::Tuning;
use tokio::task::JoinHandle;

use super::{StartError, TIMES, loopback, meta_genesis, route, validator, value_genesis};
use crate::replica::{self, META, Options, Replica, Running, VALUE};

/// What a gateway needs.
#[derive(Clone)]
pub struct Settings {
    /// Its name in logs.
    pub name: String,
    /// The network's beginning.
    pub genesis: Arc<Genesis>,
    /// Its identity on the control plane.
    pub control_peer: Secret,
    /// Its identity on the data plane.
    pub data_peer: Secret,
    /// Port of the control plane on the loopback interface; 0 takes a free one.
    pub control_port: u16,
    /// Port of the data plane.
    pub data_port: u16,
    /// Its directory.
    pub directory: PathBuf,
    /// Memory and history of each tree.
    pub tuning: Tuning,
}

/// A running gateway, without its HTTP interface.
pub struct Gateway {
    /// Its control plane.
    pub control: Endpoint,
    /// Its data plane, which answers questions about both ledgers.
    pub data: Endpoint,
    /// The value ledger, followed.
    pub value: Replica<ValueLedger>,
    /// The metadata ledger, followed.
    pub meta: Replica<MetaLedger>,
    /// The value ledger, as its own data plane's clients see it.
    pub value_ledger: Ledger,
    /// The metadata ledger, as its own data plane's clients see it.
    pub meta_ledger: Ledger,
    running: Vec<Running>,
    tasks: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Starts a gateway that follows `validators` and `metas`, their control planes.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(settings: Settings, validators: Vec<Contact>, metas: Vec<Contact>) -> Result<Self, StartError> {
        let Settings { name, genesis, control_peer, data_peer, control_port, data_port, directory, tuning } = settings;
        let endpoint_error = |cause| StartError::Endpoint { role: name.clone(), cause };
        let replica_error = |cause| StartError::Replica { role: name.clone(), cause };
        let control = Config {
            listen: vec![loopback(control_port)],
            channels: vec![VALUE.consensus, VALUE.transactions, META.consensus, META.transactions],
            serve: vec![VALUE.requests, META.requests],
            limits: Limits::default(),
            ..Config::client(control_peer, genesis.network(), Plane::Control)
        };
        let (control, control_events) = Endpoint::start(control).await.map_err(endpoint_error)?;
        let data = Config {
            listen: vec![loopback(data_port)],
            serve: vec![VALUE.requests, META.requests],
            ..Config::client(data_peer, genesis.network(), Plane::Data)
        };
        let (data, data_events) = Endpoint::start(data).await.map_err(endpoint_error)?;
        let (value, value_running) = Replica::start(
            Options {
                name: format!("{name}-value"),
                rules: Arc::new(ValueLedger::new(genesis.hash())),
                chain: genesis.hash(),
                secret: None,
                directory: directory.join("value"),
                times: TIMES,
                tuning,
                channels: VALUE,
                endpoint: control.clone(),
            },
            value_genesis(genesis.clone()),
        )
        .map_err(replica_error)?;
        let (meta, meta_running) = Replica::start(
            Options {
                name: format!("{name}-meta"),
                rules: Arc::new(::meta::genesis::ledger(&genesis)),
                chain: meta_chain(genesis.hash()),
                secret: None,
                directory: directory.join("meta"),
                times: TIMES,
                tuning,
                channels: META,
                endpoint: control.clone(),
            },
            meta_genesis(genesis.clone()),
        )
        .map_err(replica_error)?;
        let tasks = vec![route(control_events, vec![replica::attach(&value), replica::attach(&meta)], drop), route_data(data_events, &value, &meta)];
        for contact in validators.iter().chain(&metas) {
            control.keep(contact).await;
        }
        let value_ledger = Ledger::new(control.clone(), VALUE_PROTOCOL, genesis.hash(), genesis.validator_members()?, validators);
        let meta_ledger = Ledger::new(control.clone(), META_PROTOCOL, meta_chain(genesis.hash()), genesis.meta_members()?, metas);
        Ok(Self { control, data, value, meta, value_ledger, meta_ledger, running: vec![value_running, meta_running], tasks })
    }

    /// Ends the gateway.
    pub async fn stop(self) {
        let Self { control, data, value, meta, value_ledger, meta_ledger, running, tasks } = self;
        drop((value_ledger, meta_ledger));
        tokio::join!(data.close(), validator::stop(control, running, tasks));
        drop((value, meta));
    }
}

/// Questions about the ledgers that clients ask on the data plane.
fn route_data(mut events: tokio::sync::mpsc::Receiver<Event>, value: &Replica<ValueLedger>, meta: &Replica<MetaLedger>) -> JoinHandle<()> {
    let replicas = [replica::attach(value), replica::attach(meta)];
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            // What neither takes is of no interest here.
            let _ = replicas.iter().try_fold(event, |event, replica| replica.offer(event));
        }
    })
}
