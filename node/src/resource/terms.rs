//! What the ledgers say now, told to the carrier: the epoch and its meta nodes by the metadata ledger, less those that the value ledger has convicted since.
//!
//! A convict is a member of the metadata ledger until the epoch ends, and has nothing more to lose: what it promises from then on nobody should carry for.
//! A carrier learns of a conviction within [`CONVICTS_INTERVAL`]; as long as it cannot read the value ledger, it takes the tickets of all members.

use std::collections::BTreeSet;
use std::time::Duration;

use chain::meta_registry::{self, Status};
use client::ledger::{Ledger, LedgerError};
use client::session::Seen;
use client::transfer::{Carrier, Terms};
use meta::anchor::{Anchor, Meta};
use meta::keys;
use primitives::Address;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, warn};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// Pause between two looks for convicts, of which there are few.
const CONVICTS_INTERVAL: Duration = Duration::from_secs(2);

/// Tells the carrier whenever the terms change.
pub async fn follow(name: String, value: Ledger, meta: Ledger, carrier: Carrier) {
    let (registered, convicts) = (watch::Sender::new(Vec::new()), watch::Sender::new(BTreeSet::new()));
    // Neither ledger waits for the other: one that does not answer must not hold back what the other says.
    tokio::join!(follow_epochs(&name, &meta, &carrier, &registered, &convicts), follow_convicts(&name, &value, &registered, &convicts));
}

async fn follow_epochs(name: &str, meta: &Ledger, carrier: &Carrier, registered: &watch::Sender<Vec<Address>>, convicts: &watch::Sender<BTreeSet<Address>>) {
    let mut known: Option<Terms> = None;
    loop {
        match read(meta).await {
            Ok(mut terms) => {
                registered.send_replace(terms.issuers.keys().copied().collect());
                terms.issuers.retain(|issuer, _| !convicts.borrow().contains(issuer));
                if known.as_ref() != Some(&terms) {
                    debug!(node = name, epoch = %terms.epoch, "new terms");
                    carrier.set_terms(terms.clone());
                    known = Some(terms);
                }
            }
            Err(error) => debug!(node = name, %error, "the metadata ledger does not answer"),
        }
        sleep(INTERVAL).await;
    }
}

async fn follow_convicts(name: &str, value: &Ledger, registered: &watch::Sender<Vec<Address>>, convicts: &watch::Sender<BTreeSet<Address>>) {
    loop {
        let issuers = registered.borrow().clone();
        match convicted(value, issuers.iter()).await {
            Ok(found) if found != *convicts.borrow() => {
                warn!(node = name, convicts = ?found, "no tickets of convicted meta nodes are taken");
                convicts.send_replace(found);
            }
            Ok(_) => {}
            Err(error) => debug!(node = name, %error, "the value ledger does not answer"),
        }
        sleep(if issuers.is_empty() { INTERVAL } else { CONVICTS_INTERVAL }).await;
    }
}

async fn read(meta: &Ledger) -> Result<Terms, LedgerError> {
    let (anchor, metas) = (keys::anchor(), keys::metas());
    let reading = meta.read(vec![anchor.clone(), metas.clone()]).await?;
    let epoch = reading.value::<Anchor>(&anchor).map(|anchor| anchor.epoch).unwrap_or_default();
    let issuers = reading.value::<Vec<Meta>>(&metas).unwrap_or_default();
    Ok(Terms { epoch, issuers: issuers.into_iter().map(|meta| (meta.operator, meta.key)).collect() })
}

/// Which of these meta nodes are convicted.
async fn convicted(value: &Ledger, issuers: impl Iterator<Item = &Address> + Clone) -> Result<BTreeSet<Address>, LedgerError> {
    let seen = Seen(value.read(issuers.clone().map(chain::keys::meta_node).collect()).await?);
    let is_convicted = |issuer: &&Address| meta_registry::read(&seen, issuer).is_some_and(|node| node.status == Status::Tombstoned);
    Ok(issuers.filter(is_convicted).copied().collect())
}
