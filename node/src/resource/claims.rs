//! Claims: what an epoch's receipts are worth, brought to the metadata ledger in time.
//!
//! When an epoch is over, transfers under way get a moment to pay what they have moved; then the epoch is closed in the books, so that no receipt can come that the
//! claim lacks. Receipts beyond what their session has reserved are left out, since one would have the whole claim refused. The claim is brought, computed anew
//! each time, until it is final. Receipts are on disk, so a restart in the middle loses nothing; an epoch that the ledger has closed
//! is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::ledger::{Ledger, LedgerError};
use client::session::Seen;
use client::transfer::Carrier;
use meta::anchor::Anchor;
use meta::claims::Taken;
use meta::epochs::Closing;
use meta::{Transaction, claims, keys};
use pot::allowance::{claimed_key, payer_key};
use pot::claim::CLAIM_ENTRIES_MAX;
use pot::{ClaimedReceipts, Receipt, Verified};
use primitives::{Address, Epoch, Noz, PublicKey};
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// Part of the grace that transfers under way have to pay: a quarter leaves the rest for the claim to become final.
const PAY_FRACTION: u64 = 4;
/// Sessions whose reservations are read at once: a payer's record has at most 256 of them.
const SESSIONS_AT_ONCE: usize = 64;
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
    if reading.value::<Taken>(&claim_key).is_some() {
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
    let left = left(meta, oldest, &receipts).await?;
    let (receipts, beyond) = fitting(receipts, left);
    for receipt in beyond {
        let Receipt { payer, session, bytes, .. } = *receipt;
        warn!(node = name, epoch = %oldest, %payer, %session, bytes, "a receipt is not claimed: its session has not reserved so much");
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

/// What the reservations of these sessions leave for this claim, by session and payer.
async fn left(meta: &Ledger, epoch: Epoch, receipts: &[Verified<Receipt>]) -> Result<BTreeMap<(PublicKey, Address), Noz>, LedgerError> {
    let sessions: BTreeSet<(PublicKey, Address)> = receipts.iter().map(|receipt| (receipt.session, receipt.payer)).collect();
    let sessions: Vec<(PublicKey, Address)> = sessions.into_iter().collect();
    let mut left = BTreeMap::new();
    for sessions in sessions.chunks(SESSIONS_AT_ONCE) {
        let wanted: BTreeSet<Vec<u8>> = sessions.iter().flat_map(|(session, payer)| [payer_key(payer), claimed_key(epoch, session)]).collect();
        let seen = Seen(meta.read(wanted.into_iter().collect()).await?);
        for (session, payer) in sessions {
            left.insert((*session, *payer), claims::claimable(&seen, epoch, payer, session));
        }
    }
    Ok(left)
}

/// The receipts that their sessions' reservations cover, largest first, and the others: one of them would have the whole claim refused.
fn fitting(mut receipts: Vec<Verified<Receipt>>, mut left: BTreeMap<(PublicKey, Address), Noz>) -> (Vec<Verified<Receipt>>, Vec<Verified<Receipt>>) {
    receipts.sort_unstable_by_key(|receipt| std::cmp::Reverse(receipt.bytes));
    receipts.into_iter().partition(|receipt| {
        let Some(left) = left.get_mut(&(receipt.session, receipt.payer)) else { return false };
        let rest = left.checked_sub(Noz(receipt.bytes.into()));
        *left = rest.unwrap_or(*left);
        rest.is_some()
    })
}

async fn forget(name: &str, carrier: &Carrier, epoch: Epoch) {
    if let Err(cause) = carrier.books().forget(epoch).await {
        error!(node = name, %epoch, error = %cause, "the books of an epoch cannot be dropped; trying again");
    }
}

#[cfg(test)]
mod tests {
    use pot::{Class, Signed};
    use primitives::{Hash, SecretKey};

    use super::*;

    #[test]
    fn one_session_beyond_its_reservation_costs_the_others_nothing() {
        let key = |number: u8| SecretKey::from_seed(&[number; 32]);
        let payer = Address([1; 20]);
        let receipt = |session: u8, class: Class, bytes: u64| {
            let body = Receipt { chain: Hash::ZERO, epoch: Epoch(1), class, payer, session: key(session).public(), carrier: Address([2; 20]), bytes };
            Signed::sign(body, &key(session)).verify_by_session(Hash::ZERO).unwrap()
        };
        let receipts = vec![
            receipt(1, Class::Upload, 60),
            receipt(1, Class::Download, 40),
            receipt(2, Class::Upload, 101),
            receipt(3, Class::Upload, 5),
            receipt(2, Class::Stream, 100),
        ];
        let left = [1, 2].map(|session| ((key(session).public(), payer), Noz(100)));
        let (fits, beyond) = fitting(receipts, left.into());
        assert_eq!(fits.iter().map(|receipt| receipt.bytes).collect::<Vec<_>>(), [100, 60, 40]);
        assert_eq!(beyond.iter().map(|receipt| receipt.bytes).collect::<Vec<_>>(), [101, 5]);
    }
}
