//! A meta node: a voting replica of the metadata ledger, and the desk that issues tickets.
//!
//! Beside the votes it has three duties, each a loop that looks at what is final and acts on it: bring anchors of the value ledger and the changes of its
//! voters, settle closed epochs on the value ledger, publish its addresses.

mod desk;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::meta::anchor::{self, Observed};
use ::meta::trust::{self, Trust};
use ::meta::{MetaLedger, Transaction};
use chain::genesis::meta_chain;
use chain::keys as value_keys;
use chain::ledger::proven::Reading;
use chain::ledger::query::{TransactionState, VALUE_PROTOCOL};
use chain::settlement::Progress;
use chain::transaction::Message;
use chain::{Genesis, epochs};
use client::ledger::{Ledger, LedgerError};
use client::session::desk::PROTOCOL as TICKET_PROTOCOL;
use p2p::{Config, Contact, Endpoint, Event, Limits, Plane, Secret};
use pot::Part;
use pot::report;
use primitives::{AccountSecret, Address, Epoch, Hash, SecretKey};
use state::Tuning;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use self::desk::TicketDesk;
use super::publish::Operator;
use super::{StartError, TIMES, loopback, meta_genesis, route, validator};
use crate::replica::{self, META, Options, Replica, Running, wall};

/// Pause between two looks at the ledgers.
const DUTY_INTERVAL: Duration = Duration::from_millis(250);
/// How long the next meta node waits before it does another's duty.
const DUTY_PATIENCE: Duration = Duration::from_secs(3);
/// Pause after a settlement that failed.
const SETTLE_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// What a meta node needs.
#[derive(Clone)]
pub struct Settings {
    /// Its name in logs.
    pub name: String,
    /// The network's beginning.
    pub genesis: Arc<Genesis>,
    /// Its operator's account.
    pub operator: AccountSecret,
    /// Key of its votes and tickets.
    pub key: SecretKey,
    /// Its identity on the control plane.
    pub control_peer: Secret,
    /// Its identity on the data plane: the registry's.
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

/// A running meta node.
pub struct MetaNode {
    /// Its control plane.
    pub control: Endpoint,
    /// Its data plane.
    pub data: Endpoint,
    /// Its ledger.
    pub meta: Replica<MetaLedger>,
    running: Running,
    tasks: Vec<JoinHandle<()>>,
}

/// Everything the duties need.
#[derive(Clone)]
struct Duties {
    name: String,
    operator: Operator,
    meta: Replica<MetaLedger>,
}

impl MetaNode {
    /// Starts a meta node that learns of the value ledger from `validators`.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(settings: Settings, validators: Vec<Contact>) -> Result<Self, StartError> {
        let Settings { name, genesis, operator, key, control_peer, data_peer, control_port, data_port, directory, tuning } = settings;
        let started = wall();
        let endpoint_error = |cause| StartError::Endpoint { role: name.clone(), cause };
        let control = Config {
            listen: vec![loopback(control_port)],
            channels: vec![META.consensus, META.transactions],
            serve: vec![META.requests],
            limits: Limits::default(),
            ..Config::client(control_peer, genesis.network(), Plane::Control)
        };
        let (control, control_events) = Endpoint::start(control).await.map_err(endpoint_error)?;
        let data = Config {
            listen: vec![loopback(data_port)],
            serve: vec![META.requests, TICKET_PROTOCOL],
            ..Config::client(data_peer, genesis.network(), Plane::Data)
        };
        let (data, data_events) = Endpoint::start(data).await.map_err(endpoint_error)?;
        let options = Options {
            name: name.clone(),
            rules: Arc::new(::meta::genesis::ledger(&genesis)),
            chain: meta_chain(genesis.hash()),
            secret: Some(key.clone()),
            directory: directory.clone(),
            times: TIMES,
            tuning,
            channels: META,
            endpoint: control.clone(),
        };
        let (meta, running) = Replica::start(options, meta_genesis(genesis.clone())).map_err(|cause| StartError::Replica { role: name.clone(), cause })?;
        let desk =
            TicketDesk::open(&genesis, &operator, key, &directory, started, meta.clone()).map_err(|cause| StartError::Disk { role: name.clone(), cause })?;
        let ledger = Ledger::new(control.clone(), VALUE_PROTOCOL, genesis.hash(), genesis.validator_members()?, validators);
        let duties = Duties { name, operator: Operator { genesis, secret: operator, ledger }, meta: meta.clone() };
        let (publisher, addresses) = (duties.operator.clone(), data.addresses());
        let tasks = vec![
            route(control_events, vec![replica::attach(&meta)], drop),
            tokio::spawn(Arc::clone(&desk).begin()),
            route_data(data_events, &meta, desk),
            tokio::spawn(duties.clone().anchor()),
            tokio::spawn(duties.settle()),
            tokio::spawn(async move { publisher.publish(addresses).await }),
        ];
        Ok(Self { control, data, meta, running, tasks })
    }

    /// Stays connected to other meta nodes.
    pub async fn keep(&self, others: &[Contact]) {
        for other in others.iter().filter(|other| other.peer != self.control.peer()) {
            self.control.keep(other).await;
        }
    }

    /// Ends the node.
    pub async fn stop(self) {
        let Self { control, data, meta, running, tasks } = self;
        tokio::join!(data.close(), validator::stop(control, vec![running], tasks));
        drop(meta);
    }
}

/// The data plane has no consensus: who comes and goes there is nothing to the replica.
fn route_data(mut events: tokio::sync::mpsc::Receiver<Event>, meta: &Replica<MetaLedger>, desk: Arc<TicketDesk>) -> JoinHandle<()> {
    let replica = replica::attach(meta);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Some(Event::Request { protocol, body, responder, .. }) = replica.offer(event)
                && protocol == TICKET_PROTOCOL
            {
                let desk = desk.clone();
                tokio::task::spawn_blocking(move || desk.answer(&body, responder));
            }
        }
    })
}

impl Duties {
    /// Brings an anchor whenever the value ledger has begun an epoch or settled one, and before it whatever change of the value ledger's voters it needs.
    async fn anchor(self) {
        let mut brought: Option<Hash> = None;
        loop {
            tokio::time::sleep(DUTY_INTERVAL).await;
            // While the ledger makes no blocks, one transaction in the queue is enough.
            if brought.is_some_and(|hash| matches!(self.meta.transaction(&hash), TransactionState::Waiting)) {
                continue;
            }
            match self.observe_once().await {
                Ok(hash) => brought = hash.or(brought),
                Err(error) => debug!(replica = self.name, %error, "the value ledger does not answer"),
            }
        }
    }

    /// The transaction that brings what this ledger does not know of the value ledger yet, if there is anything.
    async fn observe_once(&self) -> Result<Option<Hash>, LedgerError> {
        let reading = self.operator.ledger.read(anchor::head_keys()).await?;
        let header = &reading.certified.header;
        let known = trust::current(&self.meta.head().state);
        // Once their epoch's end is final the next voters are brought, so that their first block finds them known.
        let (since, voters) = if header.is_last() { (header.epoch.next(), header.next_members) } else { (header.epoch, header.members) };
        if since >= known.since && voters != known.members { self.change_once(&known).await } else { self.anchor_once(&reading).await }
    }

    /// The transaction that brings the next change of the value ledger's voters.
    async fn change_once(&self, known: &Trust) -> Result<Option<Hash>, LedgerError> {
        let members = trust::members(&self.meta.head().state);
        if members.hash() != known.members {
            // A block in between has brought it.
            return Ok(None);
        }
        let proof = Box::new(self.operator.ledger.change_of(known.since, &members).await?);
        let epoch = proof.last.epoch;
        let hash = self.bring(Transaction::Voters { members, proof });
        if hash.is_some() {
            info!(replica = self.name, %epoch, "brought a change of the value ledger's voters");
        }
        Ok(hash)
    }

    /// Queues a transaction. Another meta node may have been quicker; then the ledger refuses this one.
    fn bring(&self, transaction: Transaction) -> Option<Hash> {
        self.meta.submit(transaction.encode()).inspect_err(|refusal| debug!(replica = self.name, %refusal, "not queued")).ok()
    }

    /// The transaction that brings what the value ledger has beyond the newest anchor, if there is anything.
    async fn anchor_once(&self, reading: &Reading) -> Result<Option<Hash>, LedgerError> {
        let ledger = &self.operator.ledger;
        let head = self.meta.head();
        let known = anchor::current(&head.state);
        let epoch = reading.value::<epochs::Current>(&value_keys::epoch()).unwrap_or_default().number;
        let unsettled = reading.value::<Progress>(&value_keys::settlement()).unwrap_or_default().unsettled;
        if (epoch, unsettled) == (known.epoch, known.unsettled) {
            return Ok(None);
        }
        let metas: Vec<Address> = reading.value(&value_keys::meta_nodes()).unwrap_or_default();
        let count: u32 = reading.value(&value_keys::resource_count()).unwrap_or_default();
        let pages = chain::resource::page_keys(count);
        let listed = ledger.read(pages.clone()).await?;
        let resources: Vec<Address> = pages.iter().flat_map(|page| listed.value::<Vec<Address>>(page).unwrap_or_default()).collect();
        let (attested, reading) = ledger.proven(anchor::keys_of(&metas, &resources)).await?;
        let Ok(observed) = Observed::of_reading(&reading) else { return Ok(None) };
        if anchor::check(&head.state, &observed).is_err() {
            return Ok(None);
        }
        let hash = self.bring(Transaction::Anchor(Box::new(attested)));
        if hash.is_some() {
            info!(replica = self.name, "brought an anchor of the value ledger");
        }
        Ok(hash)
    }

    /// Brings the reports of closed epochs to the value ledger. The meta nodes take turns; the others step in when nothing happens.
    async fn settle(self) {
        let mut since = (Epoch::ZERO, tokio::time::Instant::now());
        loop {
            tokio::time::sleep(DUTY_INTERVAL).await;
            let progress = match self.progress().await {
                Ok(progress) => progress,
                Err(error) => {
                    debug!(replica = self.name, %error, "the value ledger does not answer");
                    continue;
                }
            };
            let has_report = ::meta::epochs::report(&self.meta.head().state, progress.epoch).is_some();
            // Patience begins when this epoch could first be settled, as far as this node has seen: its report may be older than the node's start.
            if !has_report || since.0 != progress.epoch {
                since = (progress.epoch, tokio::time::Instant::now());
            }
            if has_report && since.1.elapsed() >= DUTY_PATIENCE.saturating_mul(self.turn(progress.epoch)) {
                match self.settle_part(&progress).await {
                    Ok(()) => info!(replica = self.name, epoch = %progress.epoch, part = progress.cursor.next, "settled a part of an epoch"),
                    Err(error) => {
                        warn!(replica = self.name, epoch = %progress.epoch, %error, "a part of an epoch is not settled yet");
                        // A settlement that fails costs a fee: not again at once.
                        tokio::time::sleep(SETTLE_RETRY_PAUSE).await;
                    }
                }
            }
        }
    }

    async fn progress(&self) -> Result<Progress, LedgerError> {
        let key = value_keys::settlement();
        Ok(self.operator.ledger.read(vec![key.clone()]).await?.value(&key).unwrap_or_default())
    }

    /// How many others go first for this epoch.
    fn turn(&self, epoch: Epoch) -> u32 {
        let metas = anchor::metas(&self.meta.head().state);
        let count = u64::try_from(metas.len()).unwrap_or(1).max(1);
        let place = metas.iter().position(|meta| meta.operator == self.operator.secret.address()).and_then(|place| u64::try_from(place).ok());
        let first = epoch.0 % count;
        let turn = place.map_or(count, |place| (place + count - first) % count);
        u32::try_from(turn).unwrap_or(u32::MAX)
    }

    async fn settle_part(&self, progress: &Progress) -> Result<(), LedgerError> {
        let epoch = progress.epoch;
        let head = self.meta.head();
        let part_key = report::part_key(epoch, progress.cursor.next);
        let part = head.state.get(&part_key).and_then(|bytes| Part::decode(&bytes).ok()).map(Box::new);
        let Some(proven) = self.meta.read(&[report::key(epoch)]) else { return Ok(()) };
        self.operator.submit(vec![Message::Settle { report: Box::new(proven), part }]).await.map(drop)
    }
}
