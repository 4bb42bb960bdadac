//! The nodes of a development network: started together, stopped and started one by one, stopped together.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use client::files::{Files, owner_secret};
use client::session::Session;
use client::transfer::Carrier;
use client::wallet::Seed;
use futures::future::{BoxFuture, join_all, try_join_all};
use p2p::{Contact, Endpoint};
use primitives::{Address, PublicKey};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;

use super::plan::{Identity, Plan};
use crate::http::{Condition, Control, Site};
use crate::replica::Notice;
use crate::resource::{self, ResourceNode};
use crate::roles::StartError;
use crate::roles::gateway::{self, Gateway};
use crate::roles::meta::{self, MetaNode};
use crate::roles::validator::{self, Validator};

/// How long the first blocks may take.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes the HTTP port.
///
/// # Errors
/// Says which port is taken and what to do.
pub async fn bind_http(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on http port {port}: is another network running? choose another port with --port, or 0 for any free one"))
}

/// How to start a node again as it was.
#[derive(Clone)]
enum Settings {
    Validator(validator::Settings),
    Meta(meta::Settings),
    Resource(resource::Settings),
}

/// A node that runs.
enum Running {
    Validator(Validator),
    Meta(MetaNode),
    Resource(ResourceNode),
}

impl Running {
    /// Its endpoints, control plane first.
    fn endpoints(&self) -> Vec<&Endpoint> {
        match self {
            Self::Validator(node) => vec![&node.endpoint],
            Self::Meta(node) => vec![&node.control, &node.data],
            Self::Resource(node) => vec![&node.endpoint],
        }
    }

    async fn stop(self) {
        match self {
            Self::Validator(node) => node.stop().await,
            Self::Meta(node) => node.stop().await,
            Self::Resource(node) => node.stop().await,
        }
    }
}

struct Node {
    settings: Settings,
    /// Account of its operator.
    operator: Address,
    /// Key of its votes on the value ledger.
    consensus_key: Option<PublicKey>,
    /// Held while the node is being stopped or started.
    running: Mutex<Option<Running>>,
}

/// Who is found where.
#[derive(Clone, Default)]
struct Contacts {
    /// Control planes of the validators.
    validators: Vec<Contact>,
    /// Control planes of the meta nodes.
    metas: Vec<Contact>,
    /// Data planes of the meta nodes.
    metas_data: Vec<Contact>,
}

/// The nodes that can be stopped and started one by one.
struct Nodes {
    nodes: BTreeMap<String, Node>,
    contacts: Contacts,
    /// The whole network is being stopped: nothing is started any more.
    is_ending: AtomicBool,
}

/// A running development network.
pub struct Network {
    nodes: Arc<Nodes>,
    /// The gateway, which is not stopped: it is the eyes of whoever watches.
    gateway: Gateway,
    addresses: Vec<(String, Vec<String>)>,
}

impl Network {
    /// Starts everybody.
    ///
    /// # Errors
    /// Which node does not start, and why.
    pub async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let genesis = &plan.genesis;
        let directory = |identity: &Identity| -> PathBuf { plan.directory.join(&identity.name) };
        let mut nodes = BTreeMap::new();
        let mut contacts = Contacts::default();
        let validators: Vec<validator::Settings> = plan
            .validators
            .iter()
            .map(|identity| validator::Settings {
                name: identity.name.clone(),
                genesis: genesis.clone(),
                key: identity.key.clone(),
                peer: identity.control.clone(),
                port: 0,
                directory: directory(identity),
                tuning: plan.tuning,
            })
            .collect();
        let started = try_join_all(validators.iter().map(|settings| Validator::start(settings.clone(), &[]))).await?;
        contacts.validators = started.iter().map(|node| node.endpoint.contact()).collect();
        for (settings, node) in validators.into_iter().zip(started) {
            node.keep(&contacts.validators).await;
            insert(&mut nodes, settings.name.clone(), Settings::Validator(settings), Running::Validator(node));
        }
        let metas = plan.metas.iter().zip(&genesis.meta_nodes).map(|(identity, listed)| meta::Settings {
            name: identity.name.clone(),
            genesis: genesis.clone(),
            operator: identity.operator.clone(),
            key: identity.key.clone(),
            control_peer: identity.control.clone(),
            data_peer: identity.data.clone(),
            control_port: 0,
            data_port: port_of(&listed.addresses),
            directory: directory(identity),
            tuning: plan.tuning,
        });
        let started = try_join_all(metas.map(|settings| start_meta(settings, &contacts))).await?;
        contacts.metas = started.iter().map(|(_, node)| node.control.contact()).collect();
        contacts.metas_data = started.iter().map(|(_, node)| node.data.contact()).collect();
        for (settings, node) in started {
            node.keep(&contacts.metas).await;
            insert(&mut nodes, settings.name.clone(), Settings::Meta(settings), Running::Meta(node));
        }
        let resources = plan.resources.iter().zip(&genesis.resource_nodes).map(|(identity, listed)| resource::Settings {
            name: identity.name.clone(),
            genesis: genesis.clone(),
            operator: identity.operator.clone(),
            key: identity.key.clone(),
            peer: identity.data.clone(),
            port: port_of(&listed.addresses),
            capacity: listed.capacity,
            directory: directory(identity),
        });
        let started = try_join_all(resources.map(|settings| start_resource(settings, &contacts)));
        let gateway = Gateway::start(
            gateway::Settings {
                name: plan.gateway.name.clone(),
                genesis: genesis.clone(),
                control_peer: plan.gateway.control.clone(),
                data_peer: plan.gateway.data.clone(),
                control_port: 0,
                data_port: 0,
                directory: directory(&plan.gateway),
                tuning: plan.tuning,
            },
            contacts.validators.clone(),
            contacts.metas.clone(),
        );
        let (started, gateway) = futures::future::try_join(started, gateway).await?;
        for (settings, node) in started {
            insert(&mut nodes, settings.name.clone(), Settings::Resource(settings), Running::Resource(node));
        }
        let mut addresses: Vec<(String, Vec<String>)> = nodes
            .iter()
            .map(|(name, node)| {
                let running = node.running.try_lock().expect("nobody else has the node yet");
                (name.clone(), running.iter().flat_map(Running::endpoints).flat_map(Endpoint::addresses).map(|address| address.to_string()).collect())
            })
            .collect();
        let own = [&gateway.control, &gateway.data].into_iter().flat_map(Endpoint::addresses).map(|address| address.to_string()).collect();
        addresses.push((plan.gateway.name.clone(), own));
        Ok(Self { nodes: Arc::new(Nodes { nodes, contacts, is_ending: AtomicBool::new(false) }), gateway, addresses })
    }

    /// Waits until both ledgers have a final block after genesis, as the gateway sees them, and every carrier takes transfers: from then on every command
    /// has an answer.
    ///
    /// # Errors
    /// After [`READY_TIMEOUT`].
    pub async fn ready(&self) -> anyhow::Result<()> {
        let (mut value, mut meta) = (self.gateway.value.watch(), self.gateway.meta.watch());
        let carriers = self.nodes.carriers().await;
        let all = async {
            value.wait_for(|head| head.certified.is_some()).await?;
            meta.wait_for(|head| head.certified.is_some()).await?;
            join_all(carriers.iter().map(Carrier::ready)).await;
            Ok::<(), tokio::sync::watch::error::RecvError>(())
        };
        tokio::time::timeout(READY_TIMEOUT, all)
            .await
            .with_context(|| format!("the network was not ready within {READY_TIMEOUT:?}; run with --log info to see why"))?
            .context("a ledger ended")
    }

    /// Every node with the addresses it listens on: control plane, then data plane.
    pub fn addresses(&self) -> &[(String, Vec<String>)] {
        &self.addresses
    }

    /// A notice per block of the value ledger, as the gateway sees it.
    pub fn notices(&self) -> Receiver<Arc<Notice>> {
        self.gateway.value.notices()
    }

    /// What the HTTP interface shows and uses.
    pub fn site(&self, plan: &Plan) -> Site {
        let seed = Seed::dev(&plan.gateway.name);
        let ledgers =
            client::session::Network { value: self.gateway.value_ledger.clone(), meta: self.gateway.meta_ledger.clone(), data: self.gateway.data.clone() };
        Site {
            genesis: plan.genesis.clone(),
            value: self.gateway.value.clone(),
            meta: self.gateway.meta.clone(),
            files: Files::new(Session::new(ledgers, seed.secret())),
            secret: owner_secret(seed.as_bytes()),
            data: self.gateway.data.contact(),
            control: Some(self.nodes.clone()),
        }
    }

    /// Stops everybody.
    pub async fn stop(self) {
        self.nodes.is_ending.store(true, Ordering::SeqCst);
        let stops = self.nodes.nodes.values().map(Node::stop);
        futures::future::join(join_all(stops), self.gateway.stop()).await;
    }
}

impl Node {
    async fn stop(&self) {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.stop().await;
        }
    }
}

impl Nodes {
    /// The carriers of the resource nodes that run.
    async fn carriers(&self) -> Vec<Carrier> {
        let mut carriers = Vec::new();
        for node in self.nodes.values() {
            if let Some(Running::Resource(node)) = &*node.running.lock().await {
                carriers.push(node.carrier().clone());
            }
        }
        carriers
    }

    fn conditions(&self) -> Vec<Condition> {
        let condition = |(name, node): (&String, &Node)| {
            // A node that is being stopped or started is not up.
            let running = node.running.try_lock();
            let running = running.as_deref().ok().and_then(Option::as_ref);
            let (height, usage) = match running {
                Some(Running::Validator(node)) => (Some(node.value.head().header.height.0), None),
                Some(Running::Meta(node)) => (Some(node.meta.head().header.height.0), None),
                Some(Running::Resource(node)) => (None, Some(node.usage())),
                None => (None, None),
            };
            Condition {
                name: name.clone(),
                operator: node.operator,
                consensus_key: node.consensus_key,
                is_up: running.is_some(),
                height,
                used_bytes: usage.map(|usage| usage.bytes),
                slices: usage.map(|usage| usage.slices),
            }
        };
        self.nodes.iter().map(condition).collect()
    }

    fn node(&self, name: &str) -> Result<&Node, String> {
        let unknown = || format!("there is no node `{name}`; there are {}", self.nodes.keys().cloned().collect::<Vec<_>>().join(", "));
        self.nodes.get(name).ok_or_else(unknown)
    }

    /// Stops one node, as if its machine were switched off. Stopping a stopped one changes nothing.
    async fn stop(&self, name: &str) -> Result<(), String> {
        self.node(name)?.stop().await;
        Ok(())
    }

    /// Starts a stopped node again, at the same addresses and with the data it has.
    async fn start(&self, name: &str) -> Result<(), String> {
        let node = self.node(name)?;
        let mut running = node.running.lock().await;
        if self.is_ending.load(Ordering::SeqCst) {
            return Err("the network is stopping".to_owned());
        }
        if running.is_none() {
            *running = Some(self.run(node.settings.clone()).await.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    async fn run(&self, settings: Settings) -> Result<Running, StartError> {
        Ok(match settings {
            Settings::Validator(settings) => {
                let validator = Validator::start(settings, &self.contacts.validators).await?;
                validator.keep(&self.contacts.validators).await;
                Running::Validator(validator)
            }
            Settings::Meta(settings) => {
                let (_, meta) = start_meta(settings, &self.contacts).await?;
                meta.keep(&self.contacts.metas).await;
                Running::Meta(meta)
            }
            Settings::Resource(settings) => Running::Resource(start_resource(settings, &self.contacts).await?.1),
        })
    }
}

impl Control for Nodes {
    fn conditions(&self) -> BoxFuture<'_, Vec<Condition>> {
        Box::pin(std::future::ready(self.conditions()))
    }

    fn stop<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.stop(name))
    }

    fn start<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.start(name))
    }
}

/// Remembers a node with the ports it has now, so that it comes back where others look for it.
fn insert(nodes: &mut BTreeMap<String, Node>, name: String, mut settings: Settings, running: Running) {
    let ports: Vec<u16> = running.endpoints().into_iter().map(|endpoint| port_of(&endpoint.addresses())).collect();
    match (&mut settings, ports.as_slice()) {
        (Settings::Validator(settings), [port]) => settings.port = *port,
        (Settings::Meta(settings), [control, data]) => (settings.control_port, settings.data_port) = (*control, *data),
        (Settings::Resource(settings), [port]) => settings.port = *port,
        (Settings::Validator(_) | Settings::Meta(_) | Settings::Resource(_), _) => {}
    }
    let consensus_key = match &settings {
        Settings::Validator(settings) => Some(settings.key.public()),
        Settings::Meta(_) | Settings::Resource(_) => None,
    };
    let operator = Seed::dev(&name).secret().address();
    nodes.insert(name, Node { settings, operator, consensus_key, running: Mutex::new(Some(running)) });
}

/// The TCP port of the first address, 0 if it has none.
fn port_of(addresses: &[impl ToString]) -> u16 {
    let text = addresses.first().map(ToString::to_string).unwrap_or_default();
    text.split('/').skip_while(|part| *part != "tcp").nth(1).and_then(|port| port.parse().ok()).unwrap_or(0)
}

/// Starts a meta node; if its port is taken by now, on another one, which it then publishes.
async fn start_meta(mut settings: meta::Settings, contacts: &Contacts) -> Result<(meta::Settings, MetaNode), StartError> {
    let started = match MetaNode::start(settings.clone(), contacts.validators.clone()).await {
        Err(StartError::Endpoint { .. }) if settings.data_port != 0 => {
            settings.data_port = 0;
            MetaNode::start(settings.clone(), contacts.validators.clone()).await?
        }
        other => other?,
    };
    Ok((settings, started))
}

/// Starts a resource node; if its port is taken by now, on another one, which it then publishes.
async fn start_resource(mut settings: resource::Settings, contacts: &Contacts) -> Result<(resource::Settings, ResourceNode), StartError> {
    let started = match ResourceNode::start(settings.clone(), contacts.validators.clone(), contacts.metas_data.clone()).await {
        Err(StartError::Endpoint { .. }) if settings.port != 0 => {
            settings.port = 0;
            ResourceNode::start(settings.clone(), contacts.validators.clone(), contacts.metas_data.clone()).await?
        }
        other => other?,
    };
    Ok((settings, started))
}
