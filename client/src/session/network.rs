//! The three things a session reaches the network through, and where nodes are found: in the value ledger's registry.

use chain::keys::{self, Read};
use chain::ledger::proven::Reading;
use chain::meta_registry::{MetaNode, Status};
use chain::resource::ResourceNode;
use chain::transaction::NodeIdentity;
use p2p::{Contact, Endpoint, PeerId};
use primitives::{Address, Hash, PublicKey};

use crate::ledger::{Ledger, LedgerError};

/// Both ledgers and the data plane. Cheap to clone.
#[derive(Clone)]
pub struct Network {
    /// The value ledger: registries and ozone.
    pub value: Ledger,
    /// The metadata ledger: files, reservations, epochs.
    pub meta: Ledger,
    /// The data plane: tickets from meta nodes, slices from carriers.
    pub data: Endpoint,
}

/// A node of the registry, as others need it.
#[derive(Clone, Debug)]
pub struct Node {
    /// The key it signs with.
    pub key: PublicKey,
    /// Where it is; addresses that cannot be read are left out.
    pub contact: Contact,
}

/// Why a node cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FindError {
    /// The ledger gives no answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No such node.
    #[error("{0} is not in the registry")]
    Unknown(Address),
    /// A meta node that is proven to have broken the rules: carriers take no tickets of it.
    #[error("the meta node {0} was convicted of breaking the rules")]
    Convicted(Address),
    /// Its network identity is none.
    #[error("{0} has registered an impossible peer id")]
    Peer(Address),
}

impl Network {
    /// Genesis hash of the value ledger: what everything is signed for.
    pub fn chain(&self) -> Hash {
        self.value.chain()
    }

    /// A resource node.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn carrier(&self, operator: &Address) -> Result<Node, FindError> {
        let key = keys::resource_node(operator);
        let reading = self.value.read(vec![key.clone()]).await?;
        let record: ResourceNode = reading.value(&key).ok_or(FindError::Unknown(*operator))?;
        node(operator, &record.node)
    }

    /// A meta node that is not convicted.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn meta_node(&self, operator: &Address) -> Result<Node, FindError> {
        let key = keys::meta_node(operator);
        let reading = self.value.read(vec![key.clone()]).await?;
        let record: MetaNode = reading.value(&key).ok_or(FindError::Unknown(*operator))?;
        if record.status == Status::Tombstoned {
            return Err(FindError::Convicted(*operator));
        }
        node(operator, &record.node)
    }
}

fn node(operator: &Address, identity: &NodeIdentity) -> Result<Node, FindError> {
    let peer = PeerId::from_bytes(&identity.peer).map_err(|_| FindError::Peer(*operator))?;
    let addresses = identity.addresses.iter().filter_map(|address| address.parse().ok()).collect();
    Ok(Node { key: identity.key, contact: Contact { peer, addresses } })
}

/// A proven reading, for functions that read a ledger's state. A key that was not part of the reading looks absent: read all that such a function needs.
pub struct Seen(pub Reading);

impl Read for Seen {
    fn bytes(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.bytes(key).flatten().map(<[u8]>::to_vec)
    }
}
