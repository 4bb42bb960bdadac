//! The HTTP interface: the page, what the ledgers say as JSON, and the bytes of files whose key the asker brings.
//!
//! # Protocol
//! 1. A connection is one of a bounded number and must keep moving ([`server`], [`limits`]).
//! 2. Each request must come from a program or from this server's own page ([`guard`]).
//! 3. Questions about the ledgers are answered from this node's own replicas ([`ledger`], [`index`]), one JSON value each ([`views`]); a value of
//!    a ledger's state on request with what proves it to whoever has the genesis file; both also of the past, as long as it is kept, and what happened by account and kind. A transaction can be tried on the newest state before it is signed.
//! 4. A file is shown to whoever brings its capability ([`delivery`]): ranges, decrypted here, fetched and paid for as they are read.
//! 5. A file that is sent here is stored under the gateway's own account ([`gateway`]).
//! 6. Each new block is told to whoever listens ([`stream`]).
//! 7. Every address, what it takes and what it answers stands in one list, of which the router and the interface's own description are made ([`interface`]).
//!
//! # Invariants
//! - **HTTP-1** Nothing changes for a request that another site's page could have sent.
//! - **HTTP-2** Without a file's capability the gateway shows of it only what the metadata ledger tells everybody. It keeps no capabilities: those of its own
//!   files it derives from its own secret.
//! - **HTTP-3** Content never runs as a part of the page: it is sandboxed, never sniffed, and shown in place only as a picture, a sound or a video.
//! - **HTTP-4** Every body, list, queue and wait has a limit.
//! - **HTTP-5** Answers are of the form that `/openapi.json` gives, and a parameter that it does not name is refused, but of a link to a file.
//!
//! # Assumptions
//! Whoever reaches the port may do what the interface allows: it is bound to the loopback address, or stands behind a proxy that decides who may.

pub mod views;
pub mod limits;
mod problem;
mod question;
mod guard;
mod range;
mod metrics;
mod assets;
mod supply;
mod voters;
mod ledger;
mod index;
mod delivery;
mod gateway;
mod stream;
mod interface;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chain::{Genesis, ValueLedger};
use client::files::Files;
use futures::future::BoxFuture;
use meta::MetaLedger;
use p2p::Contact;
use primitives::{Address, PublicKey};
use storage::OwnerSecret;

pub use server::serve;

use crate::replica::Replica;

/// What the interface shows and uses.
pub struct Site {
    /// The network's beginning.
    pub genesis: Arc<Genesis>,
    /// The value ledger.
    pub value: Replica<ValueLedger>,
    /// The metadata ledger.
    pub meta: Replica<MetaLedger>,
    /// The files of the network; the session's payer is the gateway's account.
    pub files: Files,
    /// What opens the gateway's own files ([`client::files::owner_secret`]).
    pub secret: OwnerSecret,
    /// The data plane that answers questions about both ledgers, for clients that take part by themselves.
    pub data: Contact,
    /// The nodes of a development network, if this is one.
    pub control: Option<Arc<dyn Control>>,
}

/// What a node of a development network is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its name: `validator-1`, `meta-1`, `resource-1`; meta and resource nodes in the order of the registries, validators in that of genesis, then those that
    /// stand by.
    pub name: String,
    /// Account of its operator. Anybody else's validator may vote with this node's key.
    pub operator: Address,
    /// Key of its votes on the value ledger, if it is to vote there.
    pub consensus_key: Option<PublicKey>,
    /// Whether it runs.
    pub is_up: bool,
    /// Height of its ledger, if it has one.
    pub height: Option<u64>,
    /// Bytes of slices it holds, if it runs and holds any.
    pub used_bytes: Option<u64>,
    /// Slices it holds, if it runs and holds any.
    pub slices: Option<u64>,
}

/// The nodes of a development network, which can be stopped and started again.
pub trait Control: Send + Sync {
    /// What every node is doing.
    fn conditions(&self) -> BoxFuture<'_, Vec<Condition>>;

    /// Stops a node, as if its machine were switched off. Stopping a stopped one changes nothing. The error is a sentence for people.
    fn stop<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>>;

    /// Starts a stopped node with the data it has. Starting a running one changes nothing. The error is a sentence for people.
    fn start<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>>;
}
