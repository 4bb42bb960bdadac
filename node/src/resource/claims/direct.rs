//! Direct claims: a report lacks this carrier, so it goes to the value ledger itself while the epoch is challenged.

use std::collections::{BTreeMap, BTreeSet};

use chain::settlement::{charged_keys, left, left_of_payer, standing_keys};
use chain::transaction::Message;
use client::ledger::LedgerError;
use client::session::Seen;
use pot::{ClaimedReceipts, Class, Receipt, Verified};
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
        let mut receipts = self.carrier.books().close(epoch);
        receipts.retain(|receipt| after.is_none_or(|after| place(receipt) > after));
        receipts.sort_unstable_by_key(|receipt| place(receipt));
        let sessions = |receipts: &[Verified<Receipt>]| receipts.iter().map(|receipt| (receipt.payer, receipt.session)).collect::<BTreeSet<_>>();
        let mut at_once = SESSIONS_AT_ONCE;
        while !receipts.is_empty() {
            let mut met = BTreeSet::new();
            let is_within = |receipt: &&Verified<Receipt>| {
                met.insert((receipt.payer, receipt.session));
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
                    .map(|(payer, session)| (*session, left(&seen, &reading, epoch, payer, session).map_or(Noz::ZERO, |of| of.left)))
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
            if !fits.is_empty() {
                return self.submit(epoch, fits, standing.proven).await;
            }
            receipts = rest;
        }
        self.forget(epoch).await;
        Ok(())
    }

    async fn submit(&mut self, epoch: Epoch, receipts: Vec<Verified<Receipt>>, standing: chain::ledger::Proven) -> Result<(), LedgerError> {
        let (identity, count) = (self.carrier.identity(), receipts.len());
        let claim = match ClaimedReceipts::sign(identity.chain, epoch, identity.carrier, receipts, &identity.secret) {
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
                self.patience = Some(Instant::now() + RETRY_PAUSE);
            }
        }
        Ok(())
    }
}

/// What can still be claimed.
struct Room {
    sessions: BTreeMap<PublicKey, Noz>,
    payers: BTreeMap<Address, Noz>,
}

impl Room {
    /// The receipts that fit, and the others, in their order.
    fn fitting(mut self, receipts: Vec<Verified<Receipt>>) -> (Vec<Verified<Receipt>>, Vec<Verified<Receipt>>) {
        receipts.into_iter().partition(|receipt| {
            let bytes = Noz(receipt.bytes.into());
            let (session, payer) = (self.sessions.get_mut(&receipt.session), self.payers.get_mut(&receipt.payer));
            let (Some(session), Some(payer)) = (session, payer) else { return false };
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

#[cfg(test)]
mod tests {
    use pot::Signed;
    use primitives::{Hash, SecretKey};

    use super::*;

    #[test]
    fn what_fits_neither_session_nor_payer_is_left_out() {
        let key = |number: u8| SecretKey::from_seed(&[number; 32]);
        let payer = Address([1; 20]);
        let receipt = |session: u8, class: Class, bytes: u64| {
            let body = Receipt { chain: Hash::ZERO, epoch: Epoch(1), class, payer, session: key(session).public(), carrier: Address([2; 20]), bytes };
            Signed::sign(body, &key(session)).verify_by_session(Hash::ZERO).expect("just signed")
        };
        let room = Room { sessions: [(key(1).public(), Noz(100)), (key(2).public(), Noz(100))].into(), payers: [(payer, Noz(150))].into() };
        let receipts = vec![
            receipt(1, Class::Upload, 60),
            receipt(1, Class::Download, 41),
            receipt(1, Class::Stream, 40),
            receipt(2, Class::Upload, 51),
            receipt(2, Class::Download, 50),
            receipt(3, Class::Upload, 1),
        ];
        let (fits, beyond) = room.fitting(receipts);
        assert_eq!(fits.iter().map(|receipt| receipt.bytes).collect::<Vec<_>>(), [60, 40, 50]);
        assert_eq!(beyond.iter().map(|receipt| receipt.bytes).collect::<Vec<_>>(), [41, 51, 1]);
    }
}
