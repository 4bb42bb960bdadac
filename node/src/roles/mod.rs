//! The roles a process can take: validator, meta node, gateway; the resource node has a room of its own.
//!
//! A role is a set of endpoints, replicas and tasks that start together and stop together. What it decides is in the rooms below; here they are connected.

pub mod gateway;
pub mod meta;
pub mod publish;
pub mod validator;

use std::sync::Arc;

use chain::Genesis;
use chain::ledger::Executed;
use consensus::{Header, Times};
use p2p::{Event, Multiaddr, StartError as EndpointError};
use state::Sealed;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::replica::{self, Attached};

/// Consensus times of both ledgers: quick on one machine, patient enough for a slow one.
pub const TIMES: Times = Times::DEV;

/// Why a role does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its network.
    #[error("{role}: {cause}")]
    Endpoint {
        /// Which role.
        role: String,
        /// Why.
        cause: EndpointError,
    },
    /// Its ledger.
    #[error("{role}: {cause}")]
    Replica {
        /// Which role.
        role: String,
        /// Why.
        cause: replica::StartError,
    },
    /// The snapshot that it was to begin with.
    #[error("{role}: {cause}")]
    Join {
        /// Which role.
        role: String,
        /// Why.
        cause: replica::JoinError,
    },
    /// The genesis file.
    #[error("the genesis file is invalid: {0}")]
    Genesis(#[from] chain::genesis::GenesisError),
    /// Anything it keeps on disk.
    #[error("{role}: {cause}")]
    Disk {
        /// Which role.
        role: String,
        /// Why.
        cause: String,
    },
}

/// Where an endpoint listens: the loopback address with this port, 0 for any.
pub fn loopback(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address of this form is a multiaddress")
}

/// Carries network events to whoever they concern until the endpoint is closed; `rest` takes what no replica wants.
pub fn route(mut events: mpsc::Receiver<Event>, attached: Vec<Box<dyn Attached>>, rest: impl Fn(Event) + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                Event::Up(peer) => attached.iter().for_each(|replica| replica.presence(peer, true)),
                Event::Down(peer) => attached.iter().for_each(|replica| replica.presence(peer, false)),
                event @ (Event::Frame { .. } | Event::Request { .. } | Event::Gossip { .. }) => {
                    let left = attached.iter().try_fold(event, |event, replica| replica.offer(event));
                    if let Some(event) = left {
                        rest(event);
                    }
                }
            }
        }
    })
}

/// Block 0 of the value ledger on an empty tree. The file was checked before, so this cannot fail.
pub fn value_genesis(genesis: Arc<Genesis>) -> impl Fn(&Sealed) -> (Header, Executed) {
    move |empty| genesis.execute(empty).expect("the genesis file was checked when it was read")
}

/// Block 0 of the metadata ledger on an empty tree.
pub fn meta_genesis(genesis: Arc<Genesis>) -> impl Fn(&Sealed) -> (Header, Executed) {
    move |empty| {
        let (_, value) = genesis.execute(&state::Memory::new()).expect("the genesis file was checked when it was read");
        ::meta::genesis::execute(&genesis, &value.state, empty).expect("the genesis file was checked when it was read")
    }
}
