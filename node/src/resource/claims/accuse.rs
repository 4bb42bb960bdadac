//! Accusing a meta node that promised this carrier more than was reserved with it.
//!
//! When an epoch is closed nothing can be reserved for it any more, so the carrier's own tickets are compared with what the metadata ledger proves. What only the
//! tickets of several carriers together would show, none of them sees.

use chain::transaction::Message;
use client::ledger::LedgerError;
use pot::allowance::{Payer, payer_key};
use pot::evidence::EVIDENCE_TICKETS_MAX;
use pot::{Signed, Ticket, report};
use primitives::{Epoch, Noz};
use tracing::{error, warn};

use super::Claims;

impl Claims {
    /// Accuses whoever issued too much in a closed epoch that is not settled yet.
    pub(super) async fn accuse(&self, epoch: Epoch) -> Result<(), LedgerError> {
        for (payer, session) in self.carrier.books().sessions(epoch) {
            let tickets = match self.carrier.books().tickets(epoch, session).await {
                Ok(tickets) => tickets,
                Err(cause) => {
                    error!(node = self.name, %epoch, error = %cause, "the tickets of an epoch cannot be read");
                    return Ok(());
                }
            };
            for tickets in by_issuer(&tickets) {
                let Some(issuer) = tickets.first().map(|ticket| ticket.body.issuer) else { continue };
                let keys = vec![report::key(epoch), payer_key(&payer)];
                let (standing, reading) = self.meta.proven(keys).await?;
                let record: Payer = reading.value(&payer_key(&payer)).unwrap_or_default();
                let reserved = record.reserved_with(&issuer, &session, epoch);
                let is_proof = reading.bytes(&report::key(epoch)).flatten().is_some() && record.unsettled <= epoch;
                let Some(proof) = excess(tickets, reserved).filter(|_| is_proof) else { continue };
                warn!(node = self.name, %epoch, %issuer, %payer, tickets = proof.len(), %reserved, "a meta node issued tickets for more than was reserved with it");
                let message = Message::AccuseIssuer { tickets: proof.to_vec(), standing: Box::new(standing.proven) };
                if let Err(cause) = self.operator.submit(vec![message]).await {
                    // Another carrier may have been first.
                    warn!(node = self.name, %epoch, %issuer, error = %cause, "the accusation was not taken");
                }
            }
        }
        Ok(())
    }
}

/// The tickets of each issuer, which lie together.
fn by_issuer(tickets: &[Signed<Ticket>]) -> impl Iterator<Item = &[Signed<Ticket>]> {
    tickets.chunk_by(|one, other| one.body.issuer == other.body.issuer)
}

/// As many of one issuer's tickets as exceed what was reserved; `None` if they do not, or it takes more than evidence holds.
fn excess(tickets: &[Signed<Ticket>], reserved: Noz) -> Option<&[Signed<Ticket>]> {
    let mut sum = Noz::ZERO;
    let last = tickets.iter().take(EVIDENCE_TICKETS_MAX).position(|ticket| {
        sum = sum.saturating_add(Noz(ticket.body.bytes_max.into()));
        sum > reserved
    })?;
    tickets.get(..=last)
}

#[cfg(test)]
mod tests {
    use pot::Class;
    use primitives::{Address, Hash, SecretKey};

    use super::*;

    #[test]
    fn evidence_is_no_more_than_it_takes() {
        let key = SecretKey::from_seed(&[1; 32]);
        let ticket = |issuer: u8, number: u64, bytes_max: u64| {
            let (payer, carrier, issuer) = (Address([1; 20]), Address([2; 20]), Address([issuer; 20]));
            let body = Ticket {
                chain: Hash::ZERO,
                epoch: Epoch(1),
                number,
                payer,
                session: key.public(),
                carrier,
                class: Class::Upload,
                slice: Hash::ZERO,
                bytes_max,
                issuer,
            };
            Signed::sign(body, &key)
        };
        let tickets = [ticket(1, 1, 60), ticket(1, 2, 40), ticket(1, 3, 1), ticket(1, 4, 9), ticket(2, 1, 5)];
        assert_eq!(by_issuer(&tickets).map(<[_]>::len).collect::<Vec<_>>(), [4, 1]);
        assert_eq!(excess(&tickets[..4], Noz(110)), None);
        assert_eq!(excess(&tickets[..4], Noz(100)).map(<[_]>::len), Some(3));
        assert_eq!(excess(&tickets[..4], Noz(0)).map(<[_]>::len), Some(1));
        assert_eq!(excess(&[], Noz(0)), None);
    }
}
