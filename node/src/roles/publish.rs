//! A node's own account on the value ledger: its transactions, and the address under which the registry finds it.

use std::sync::Arc;
use std::time::Duration;

use chain::genesis::Genesis;
use chain::ledger::Receipt;
use chain::transaction::{ADDRESSES_MAX, Message, TRANSACTION_VERSION, Transaction};
use chain::{accounts, keys, meta_registry, resource};
use client::ledger::{Ledger, LedgerError};
use p2p::Multiaddr;
use primitives::{AccountSecret, Amount, Height};
use tracing::{debug, info, warn};

/// Most wei that a node pays for one transaction of its own.
const FEE_MAX: Amount = Amount::stos(1);
/// How long a node waits for a transaction of its own.
const FINAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries that may fail before an operator should know.
const QUIET_TRIES: u64 = 10;
/// Pause before another try.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// An operator's account, and where its transactions go.
#[derive(Clone)]
pub struct Operator {
    /// The network.
    pub genesis: Arc<Genesis>,
    /// The account.
    pub secret: AccountSecret,
    /// The value ledger.
    pub ledger: Ledger,
}

impl Operator {
    /// Signs and submits messages, and waits until they are done.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn submit(&self, messages: Vec<Message>) -> Result<(Height, Receipt), LedgerError> {
        let account_key = keys::account(&self.secret.address());
        let reading = self.ledger.read(vec![account_key.clone()]).await?;
        let account: accounts::Account = reading.value(&account_key).unwrap_or_default();
        let transaction = Transaction {
            version: TRANSACTION_VERSION,
            chain: self.genesis.hash(),
            authority: self.secret.key().into(),
            nonce: account.nonce,
            fee_max: FEE_MAX.min(account.balance),
            tip: Amount::ZERO,
            messages,
            memo: Vec::new(),
        };
        let hash = self.ledger.submit(transaction.sign(&self.secret)).await?;
        self.ledger.wait(hash, FINAL_TIMEOUT).await
    }

    /// Publishes the addresses at which this operator's node listens, if the registry has others; tries until it is done.
    pub async fn publish(&self, addresses: Vec<Multiaddr>) {
        let addresses: Vec<String> = addresses.iter().take(ADDRESSES_MAX).map(ToString::to_string).collect();
        for attempt in 0u64.. {
            match self.publish_once(&addresses).await {
                Ok(()) => return,
                // A network that is just starting has no block yet.
                Err(error) if attempt < QUIET_TRIES => debug!(operator = %self.secret.address(), %error, "the node's addresses are not published yet"),
                Err(error) => warn!(operator = %self.secret.address(), %error, "the node's addresses are not published yet"),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn publish_once(&self, addresses: &[String]) -> Result<(), LedgerError> {
        let operator = self.secret.address();
        let (resource_key, meta_key) = (keys::resource_node(&operator), keys::meta_node(&operator));
        let reading = self.ledger.read(vec![resource_key.clone(), meta_key.clone()]).await?;
        let resource = reading.value::<resource::ResourceNode>(&resource_key).map(|record| record.node);
        let listed = resource.or_else(|| reading.value::<meta_registry::MetaNode>(&meta_key).map(|record| record.node));
        match listed {
            Some(node) if node.addresses != addresses => {
                self.submit(vec![Message::MoveNode { addresses: addresses.to_vec() }]).await?;
                info!(%operator, ?addresses, "published the node's addresses");
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }
}
