//! Claims: what an epoch's receipts are worth, brought to the metadata ledger in time, and to the value ledger if its report left them out.
//!
//! When an epoch is over, transfers under way get a moment to pay what they have moved; then the epoch is closed in the books, so that no receipt can come
//! that the claim lacks. Receipts beyond what their session has reserved, and of channels too small to be claimed, are left out, since one would have the
//! whole claim refused. The claim is brought, computed anew each time, until it is final. Receipts are on disk until a report on the value ledger holds the
//! claim, or the epoch is settled without it, so a restart in the middle loses nothing, and who was away while the metadata ledger took claims brings its own
//! directly ([`direct`]). Before it claims what fits, or forgets an epoch, a carrier looks whether it was promised more than was reserved, and shows that to
//! the value ledger ([`accuse`]).

mod accuse;
mod direct;

pub use accuse::Accusations;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chain::settlement::{self, Progress};
use client::ledger::{Ledger, LedgerError};
use client::session::Seen;
use client::transfer::Carrier;
use meta::anchor::{Anchor, Registry};
use meta::claims::Taken;
use meta::epochs::Closing;
use meta::{Transaction, claims, keys};
use pot::allowance::{claimed_key, payer_key};
use pot::claim::CLAIM_ENTRIES_MAX;
use pot::{Covered, CoveredClaim, Receipt};
use primitives::{Address, Epoch, Noz, PublicKey};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, error, info, warn};

use crate::roles::publish::Operator;

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// Pause after a direct claim that failed: each costs a fee.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Part of the grace that transfers under way have to pay: a quarter leaves the rest for the claim to become final.
const PAY_FRACTION: u64 = 4;
/// Sessions whose reservations are read at once: a payer's record has at most 256 of them.
const SESSIONS_AT_ONCE: usize = 64;
/// How long a claim may take to become final before it is brought again.
const FINAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings a carrier's claims.
pub struct Claims {
    /// The node's name in logs.
    pub name: String,
    /// Its account, and the value ledger.
    pub operator: Operator,
    /// The metadata ledger.
    pub meta: Ledger,
    /// Whose receipts they are.
    pub carrier: Carrier,
    /// What waits to be shown to the value ledger.
    pub accusations: Accusations,
    /// The epochs of which the metadata ledger takes nothing that is left: what does not fit there once never will.
    pub beyond: BTreeSet<Epoch>,
    /// Until when nothing of an epoch is claimed directly, after a claim that failed.
    pub patience: BTreeMap<Epoch, Instant>,
}

impl Claims {
    /// Brings claims for ever.
    pub async fn bring(mut self) {
        loop {
            sleep(INTERVAL).await;
            // The newest first: what the metadata ledger still takes has a time limit that is shorter than a challenge.
            for epoch in self.carrier.books().epochs().into_iter().rev() {
                if let Err(cause) = self.advance(epoch).await {
                    debug!(node = self.name, %epoch, error = %cause, "no claim could be brought");
                }
            }
            self.accuse().await;
        }
    }

    /// Does what there is to do for an epoch of the books.
    async fn advance(&mut self, epoch: Epoch) -> Result<(), LedgerError> {
        let (anchor_key, closing_key) = (keys::anchor(), keys::closing());
        let claim_key = keys::claim(epoch, &self.carrier.identity().carrier);
        let reading = self.meta.read(vec![anchor_key.clone(), closing_key.clone(), claim_key.clone()]).await?;
        let Some(anchor) = reading.value::<Anchor>(&anchor_key) else { return Ok(()) };
        if epoch >= anchor.epoch {
            return Ok(());
        }
        let closing: Closing = reading.value(&closing_key).unwrap_or_default();
        if epoch < closing.next {
            self.carrier.books().close(epoch);
            self.beyond.remove(&epoch);
            return self.reported(epoch).await;
        }
        if self.beyond.contains(&epoch) || reading.value::<Taken>(&claim_key).is_some() {
            // Until a report holds it, or does not.
            self.carrier.books().close(epoch);
            return Ok(());
        }
        self.claim(epoch, &anchor).await
    }

    /// The metadata ledger takes claims for this epoch.
    async fn claim(&mut self, epoch: Epoch, anchor: &Anchor) -> Result<(), LedgerError> {
        let carrier = self.carrier.clone();
        let books = carrier.books();
        books.retire(epoch);
        let until = Instant::now() + Duration::from_millis(anchor.grace_ms / PAY_FRACTION);
        while books.open_before(epoch.next()) > 0 && Instant::now() < until {
            sleep(INTERVAL.min(until.saturating_duration_since(Instant::now()))).await;
        }
        let mut receipts = books.close(epoch);
        receipts.retain(|covered| covered.receipt.bytes >= anchor.channel_noz_min);
        let key = keys::registry(epoch);
        let registry: Option<Registry> = self.meta.read(vec![key.clone()]).await?.value(&key);
        let issuer_key = |issuer: &Address| registry.as_ref().and_then(|registry| registry.issuer_key(issuer));
        let left = left(&self.meta, epoch, &receipts, issuer_key).await?;
        let (mut receipts, beyond) = fitting(receipts, left);
        if receipts.len() > CLAIM_ENTRIES_MAX {
            // One claim for each epoch holds so many, the largest: the rest is the least of it.
            warn!(node = self.name, %epoch, receipts = receipts.len(), limit = CLAIM_ENTRIES_MAX, "more channels than a claim holds; the smallest are not claimed");
            receipts.truncate(CLAIM_ENTRIES_MAX);
        }
        // After the claim nobody could tell what of all that was claimed is its own. That this fails, or takes long, must not keep it from claiming.
        if !beyond.is_empty() {
            let until = Instant::now() + Duration::from_millis(anchor.grace_ms / PAY_FRACTION);
            while let Some(cause) = self.look_until(epoch, until).await {
                if Instant::now() >= until {
                    warn!(node = self.name, %epoch, cause, "what was promised could not be compared with what was reserved");
                    break;
                }
                sleep(INTERVAL).await;
            }
        }
        if receipts.is_empty() {
            // It may fit when the report shows what others have claimed.
            self.beyond.insert(epoch);
            return Ok(());
        }
        let (count, identity) = (receipts.len(), carrier.identity());
        match CoveredClaim::sign(identity.chain, epoch, identity.carrier, receipts, issuer_key, &identity.secret) {
            Ok(claim) => {
                let transaction = Transaction::Claim { claim: Box::new(claim), key: identity.secret.public() };
                let hash = self.meta.submit(transaction.encode()).await?;
                self.meta.wait(hash, FINAL_TIMEOUT).await?;
                info!(node = self.name, %epoch, receipts = count, "claimed an epoch");
                self.lament(epoch, &beyond);
            }
            Err(cause) => {
                error!(node = self.name, %epoch, error = %cause, "the receipts of an epoch make no claim; it is given up");
                self.forget(epoch).await;
            }
        }
        Ok(())
    }

    /// Looks who promised too much, as long as there is time; why it did not come to an end.
    async fn look_until(&mut self, epoch: Epoch, until: Instant) -> Option<String> {
        match timeout_at(until, self.look(epoch)).await {
            Ok(looked) => looked.err().map(|cause| cause.to_string()),
            Err(_) => Some("the ledgers took too long".to_owned()),
        }
    }

    /// The metadata ledger has closed the epoch: its report, on the value ledger, holds the claim or does not.
    async fn reported(&mut self, epoch: Epoch) -> Result<(), LedgerError> {
        let carrier = self.carrier.identity().carrier;
        let keys = [chain::keys::settlement(), chain::keys::reported(epoch), chain::keys::settlement_carriers(epoch), chain::keys::direct(epoch, &carrier)];
        let seen = Seen(self.operator.ledger.read(keys.into()).await?);
        let progress: Progress = settlement::progress(&seen);
        if epoch < progress.unsettled {
            warn!(node = self.name, %epoch, "the epoch was settled; what was not claimed is lost");
            self.forget(epoch).await;
        } else if settlement::reported(&seen, epoch).is_none() {
            // As long as parts are missing, the report can still be proven false.
        } else if settlement::carriers(&seen, epoch).binary_search(&carrier).is_ok() {
            self.look(epoch).await?;
            self.forget(epoch).await;
        } else if self.patience.get(&epoch).is_none_or(|until| Instant::now() >= *until) {
            let after = settlement::claimed(&seen, epoch, &carrier).map(|claimed| claimed.after);
            self.claim_directly(epoch, after).await?;
        }
        Ok(())
    }

    /// Says which receipts nobody will pay.
    fn lament(&self, epoch: Epoch, beyond: &[Covered]) {
        for covered in beyond {
            let Receipt { payer, session, bytes, .. } = *covered.receipt;
            warn!(node = self.name, %epoch, %payer, %session, bytes, "a receipt is not claimed: its session has not reserved so much");
        }
    }

    async fn forget(&mut self, epoch: Epoch) {
        self.beyond.remove(&epoch);
        self.patience.remove(&epoch);
        if let Err(cause) = self.carrier.books().forget(epoch).await {
            error!(node = self.name, %epoch, error = %cause, "the books of an epoch cannot be dropped; trying again");
        }
    }
}

/// A session of a payer, and who issued its tickets.
type Promise = (PublicKey, Address, Address);

fn promise(covered: &Covered) -> Promise {
    (covered.receipt.session, covered.receipt.payer, covered.ticket.body.issuer)
}

/// What the reservations of these sessions leave for this claim. Nothing of tickets that count for nothing: not by the session's home, or by no meta node of
/// the epoch.
async fn left(
    meta: &Ledger,
    epoch: Epoch,
    receipts: &[Covered],
    issuer_key: impl Fn(&Address) -> Option<PublicKey>,
) -> Result<BTreeMap<Promise, Noz>, LedgerError> {
    let promises: BTreeSet<Promise> = receipts.iter().map(promise).collect();
    let promises: Vec<Promise> = promises.into_iter().collect();
    let mut left = BTreeMap::new();
    for promises in promises.chunks(SESSIONS_AT_ONCE) {
        let wanted: BTreeSet<Vec<u8>> = promises.iter().flat_map(|(session, payer, _)| [payer_key(payer), claimed_key(epoch, session)]).collect();
        let seen = Seen(meta.read(wanted.into_iter().collect()).await?);
        for promise in promises.iter().filter(|(_, _, issuer)| issuer_key(issuer).is_some()) {
            let (session, payer, issuer) = promise;
            left.insert(*promise, claims::claimable(&seen, epoch, payer, session, issuer));
        }
    }
    Ok(left)
}

/// The receipts that their sessions' reservations cover, largest first, and the others: one of them would have the whole claim refused.
fn fitting(mut receipts: Vec<Covered>, mut left: BTreeMap<Promise, Noz>) -> (Vec<Covered>, Vec<Covered>) {
    receipts.sort_unstable_by_key(|covered| std::cmp::Reverse(covered.receipt.bytes));
    receipts.into_iter().partition(|covered| {
        let Some(left) = left.get_mut(&promise(covered)) else { return false };
        let rest = left.checked_sub(Noz(covered.receipt.bytes.into()));
        *left = rest.unwrap_or(*left);
        rest.is_some()
    })
}

#[cfg(test)]
mod tests;
