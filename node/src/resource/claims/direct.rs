//! Direct claims: a report lacks this carrier, so it goes to the value ledger itself while the epoch is challenged.

use std::collections::{BTreeMap, BTreeSet};

use chain::meta_registry;
use chain::parameters::Parameters;
use chain::settlement::{charged_keys, left, left_of_payer, standing_keys};
use chain::transaction::Message;
use client::ledger::LedgerError;
use client::session::Seen;
use pot::{Class, Covered, CoveredClaim, Receipt};
use primitives::encoding::encode;
use primitives::{Address, Epoch, Noz, PublicKey};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Claims, RETRY_PAUSE, SESSIONS_AT_ONCE};

/// Bytes of a claim's proof at most: with the claim it fits a transaction of 1 MiB.
const STANDING_BYTES_MAX: usize = 768 << 10;

/// Where a carrier's direct claims have come to.
type Place = (Address, PublicKey, Class);

fn place(receipt: &Receipt) -> Place {
    (receipt.payer, receipt.session, receipt.class)
}

impl Claims {
    /// Brings the next receipts, above those of the last direct claim, that what their payers had reserved still covers; forgets the epoch if there are none.
    pub(super) async fn claim_directly(&mut self, epoch: Epoch, after: Option<Place>) -> Result<(), LedgerError> {
        // Who is paid nothing for it must not pay a fee for asking.
        let key = chain::keys::parameters();
        let least = self.operator.ledger.read(vec![key.clone()]).await?.value::<Parameters>(&key).map_or(0, |parameters| parameters.channel_noz_min);
        let mut receipts = self.carrier.books().close(epoch);
        receipts.retain(|covered| covered.receipt.bytes >= least);
        receipts.retain(|covered| after.is_none_or(|after| place(&covered.receipt) > after));
        receipts.sort_unstable_by_key(|covered| place(&covered.receipt));
        let sessions = |receipts: &[Covered]| receipts.iter().map(|covered| (covered.receipt.payer, covered.receipt.session)).collect::<BTreeSet<_>>();
        let (mut at_once, mut has_looked) = (SESSIONS_AT_ONCE, false);
        while !receipts.is_empty() {
            let mut met = BTreeSet::new();
            let is_within = |covered: &&Covered| {
                met.insert((covered.receipt.payer, covered.receipt.session));
                met.len() <= at_once
            };
            let count = receipts.iter().take_while(is_within).count();
            let rest = receipts.split_off(count);
            let sessions = sessions(&receipts);
            let (standing, reading) = self.meta.proven(standing_keys(epoch, &sessions)).await?;
            // Payers with many reservations have long records: fewer of them then.
            if sessions.len() > 1 && encode(&standing.proven).len() > STANDING_BYTES_MAX {
                at_once = sessions.len() / 2;
                receipts.extend(rest);
                continue;
            }
            let seen = Seen(self.operator.ledger.read(charged_keys(epoch, &sessions)).await?);
            let room = Room {
                sessions: sessions
                    .iter()
                    .filter_map(|(payer, session)| left(&seen, &reading, epoch, payer, session).map(|of| (*session, (of.home, of.left))))
                    .collect(),
                payers: sessions
                    .iter()
                    .map(|(payer, _)| {
                        let (reserved, charged) = left_of_payer(&seen, &reading, epoch, payer);
                        (*payer, reserved.saturating_sub(charged))
                    })
                    .collect(),
            };
            let (fits, beyond) = room.fitting(receipts);
            self.lament(epoch, &beyond);
            // After the claim nobody could tell what of all that was claimed is its own.
            if !beyond.is_empty() && !std::mem::replace(&mut has_looked, true) {
                self.look(epoch).await?;
            }
            if !fits.is_empty() {
                return self.submit(epoch, fits, standing.proven).await;
            }
            receipts = rest;
        }
        if !has_looked {
            self.look(epoch).await?;
        }
        self.forget(epoch).await;
        Ok(())
    }

    async fn submit(&mut self, epoch: Epoch, receipts: Vec<Covered>, standing: chain::ledger::Proven) -> Result<(), LedgerError> {
        let count = receipts.len();
        let issuers: BTreeSet<Address> = receipts.iter().map(|covered| covered.ticket.body.issuer).collect();
        let seen = Seen(self.operator.ledger.read(issuers.iter().map(chain::keys::meta_node).collect()).await?);
        let issuer_key = |issuer: &Address| meta_registry::read(&seen, issuer).map(|meta| meta.node.key);
        let identity = self.carrier.identity();
        let claim = match CoveredClaim::sign(identity.chain, epoch, identity.carrier, receipts, issuer_key, &identity.secret) {
            Ok(claim) => claim,
            Err(cause) => {
                warn!(node = self.name, %epoch, error = %cause, "the receipts of an epoch make no direct claim; it is given up");
                self.forget(epoch).await;
                return Ok(());
            }
        };
        match self.operator.submit(vec![Message::ClaimDirectly { claim: Box::new(claim), standing: Box::new(standing) }]).await {
            Ok(_) => info!(node = self.name, %epoch, receipts = count, "claimed directly what the report of an epoch left out"),
            Err(error) => {
                warn!(node = self.name, %epoch, %error, "a direct claim was not taken; trying again");
                self.patience.insert(epoch, Instant::now() + RETRY_PAUSE);
            }
        }
        Ok(())
    }
}

/// What can still be claimed.
pub(super) struct Room {
    /// The home of each session, whose tickets count, and what is left of its reservation and grant.
    pub sessions: BTreeMap<PublicKey, (Address, Noz)>,
    pub payers: BTreeMap<Address, Noz>,
}

impl Room {
    /// The receipts that fit, and the others, in their order.
    pub fn fitting(mut self, receipts: Vec<Covered>) -> (Vec<Covered>, Vec<Covered>) {
        receipts.into_iter().partition(|Covered { receipt, ticket }| {
            let bytes = Noz(receipt.bytes.into());
            let (session, payer) = (self.sessions.get_mut(&receipt.session), self.payers.get_mut(&receipt.payer));
            let (Some((home, session)), Some(payer)) = (session, payer) else { return false };
            if *home != ticket.body.issuer {
                return false;
            }
            match (session.checked_sub(bytes), payer.checked_sub(bytes)) {
                (Some(of_session), Some(of_payer)) => {
                    (*session, *payer) = (of_session, of_payer);
                    true
                }
                (None, _) | (_, None) => false,
            }
        })
    }
}
