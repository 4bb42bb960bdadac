//! Claims: what an epoch's receipts are worth, brought to the metadata ledger in time.
//!
//! When an epoch is over, transfers under way get a moment to pay what they have moved; then the epoch is closed in the books, so that no receipt can come that the
//! claim lacks. The claim is brought until it is final. Receipts are on disk, so a restart in the middle loses nothing; an epoch that the ledger has closed
//! is forgotten.

use std::time::Duration;

use client::ledger::{Ledger, LedgerError};
use client::transfer::Carrier;
use meta::Transaction;
use meta::anchor::Anchor;
use meta::epochs::Closing;
use meta::keys;
use pot::ClaimedReceipts;
use pot::claim::CLAIM_ENTRIES_MAX;
use primitives::Epoch;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// Part of the grace that transfers under way have to pay: a quarter leaves the rest for the claim to become final.
const PAY_FRACTION: u64 = 4;
/// How long a claim may take to become final before it is brought again.
const FINAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings claims for ever.
pub async fn bring(name: String, meta: Ledger, carrier: Carrier) {
    loop {
        sleep(INTERVAL).await;
        if let Err(cause) = round(&name, &meta, &carrier).await {
            debug!(node = name, error = %cause, "no claim could be brought");
        }
    }
}

async fn round(name: &str, meta: &Ledger, carrier: &Carrier) -> Result<(), LedgerError> {
    let epochs = carrier.books().epochs();
    let Some(oldest) = epochs.first().copied() else { return Ok(()) };
    let (anchor_key, closing_key) = (keys::anchor(), keys::closing());
    let claim_key = keys::claim(oldest, &carrier.identity().carrier);
    let reading = meta.read(vec![anchor_key.clone(), closing_key.clone(), claim_key.clone()]).await?;
    let Some(anchor) = reading.value::<Anchor>(&anchor_key) else { return Ok(()) };
    if oldest >= anchor.epoch {
        return Ok(());
    }
    let closing: Closing = reading.value(&closing_key).unwrap_or_default();
    if oldest < closing.next {
        warn!(node = name, epoch = %oldest, "the epoch was closed; what was not claimed is lost");
        forget(name, carrier, oldest).await;
        return Ok(());
    }
    if reading.value::<ClaimedReceipts>(&claim_key).is_some() {
        forget(name, carrier, oldest).await;
        return Ok(());
    }
    carrier.books().retire(oldest);
    let until = Instant::now() + Duration::from_millis(anchor.grace_ms / PAY_FRACTION);
    while carrier.books().open_before(oldest.next()) > 0 && Instant::now() < until {
        sleep(INTERVAL.min(until.saturating_duration_since(Instant::now()))).await;
    }
    let mut receipts = carrier.books().close(oldest);
    if receipts.len() > CLAIM_ENTRIES_MAX {
        // One claim for each epoch holds so many: the rest is the least of it.
        warn!(node = name, epoch = %oldest, receipts = receipts.len(), limit = CLAIM_ENTRIES_MAX, "more channels than a claim holds; the smallest are not claimed");
        receipts.sort_unstable_by_key(|receipt| std::cmp::Reverse(receipt.bytes));
        receipts.truncate(CLAIM_ENTRIES_MAX);
    }
    if receipts.is_empty() {
        forget(name, carrier, oldest).await;
        return Ok(());
    }
    let identity = carrier.identity();
    let count = receipts.len();
    match ClaimedReceipts::sign(identity.chain, oldest, identity.carrier, receipts, &identity.secret) {
        Ok(claim) => {
            let transaction = Transaction::Claim { claim: Box::new(claim), key: identity.secret.public() };
            let hash = meta.submit(transaction.encode()).await?;
            meta.wait(hash, FINAL_TIMEOUT).await?;
            info!(node = name, epoch = %oldest, receipts = count, "claimed an epoch");
            forget(name, carrier, oldest).await;
        }
        Err(cause) => {
            error!(node = name, epoch = %oldest, error = %cause, "the receipts of an epoch make no claim; it is given up");
            forget(name, carrier, oldest).await;
        }
    }
    Ok(())
}

async fn forget(name: &str, carrier: &Carrier, epoch: Epoch) {
    let books = carrier.clone();
    match tokio::task::spawn_blocking(move || books.books().forget(epoch)).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(cause)) => error!(node = name, %epoch, error = %cause, "the books of an epoch cannot be dropped; trying again"),
    }
}
