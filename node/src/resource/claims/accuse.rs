//! Accusing a meta node that promised more than was reserved with it.
//!
//! This carrier's last tickets are compared with what was reserved and with what others have claimed. After a claim nobody could tell what of that is its own, so it looks before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chain::accusation::{claimed_by_others, promise_keys};
use chain::meta_registry::{self, Status};
use chain::transaction::Message;
use client::ledger::LedgerError;
use client::session::Seen;
use pot::allowance::{Payer, payer_key};
use pot::evidence::Promised;
use pot::{Signed, Ticket};
use primitives::{Address, Epoch, Noz};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Claims, SESSIONS_AT_ONCE};

/// Pause after an accusation that was not taken: each costs a fee.
const ACCUSE_PAUSE: Duration = Duration::from_secs(60);

impl Claims {
    /// Accuses whoever issued too much in an epoch that is over and not settled yet, of the greatest excess that this carrier can show. That it cannot must not
    /// keep it from claiming.
    pub(super) async fn accuse(&mut self, epoch: Epoch) {
        if let Err(cause) = self.look_and_accuse(epoch).await {
            warn!(node = self.name, %epoch, error = %cause, "what this carrier was promised could not be compared with what was reserved");
        }
    }

    async fn look_and_accuse(&mut self, epoch: Epoch) -> Result<(), LedgerError> {
        self.accused.retain(|_, until| Instant::now() < *until);
        let tickets = self.carrier.books().tickets(epoch);
        let of_sessions: Vec<&[Signed<Ticket>]> = of_sessions(&tickets).collect();
        let mut worst: BTreeMap<Address, (Noz, &[Signed<Ticket>])> = BTreeMap::new();
        for some in of_sessions.chunks(SESSIONS_AT_ONCE) {
            let promised = some.iter().filter_map(|tickets| Some((*tickets, Promised::of(tickets).ok()?)));
            let promised: Vec<_> = promised.filter(|(_, promised)| !self.accused.contains_key(&promised.issuer)).collect();
            let wanted: BTreeSet<Vec<u8>> = promised.iter().flat_map(|(_, of)| promise_keys(epoch, &of.payer, &of.session)).collect();
            if wanted.is_empty() {
                continue;
            }
            let reading = self.meta.read(wanted.into_iter().collect()).await?;
            let carrier = self.carrier.identity().carrier;
            let mut known = BTreeSet::from([chain::keys::reported(epoch), chain::keys::settlement_carriers(epoch), chain::keys::direct(epoch, &carrier)]);
            known.extend(promised.iter().flat_map(|(_, of)| [chain::keys::spent_directly(&of.session), chain::keys::meta_node(&of.issuer)]));
            let seen = Seen(self.operator.ledger.read(known.into_iter().collect()).await?);
            for (tickets, of) in promised {
                let record: Payer = reading.value(&payer_key(&of.payer)).unwrap_or_default();
                let reserved = record.reserved_with(&of.issuer, &of.session, epoch);
                let is_free = meta_registry::read(&seen, &of.issuer).is_some_and(|node| node.status != Status::Tombstoned);
                let claimed = claimed_by_others(&seen, &reading, &of).filter(|_| is_free && record.unsettled <= epoch);
                let excess = claimed.map_or(Noz::ZERO, |claimed| of.excess(reserved, claimed));
                if excess > worst.get(&of.issuer).map_or(Noz::ZERO, |(excess, _)| *excess) {
                    worst.insert(of.issuer, (excess, tickets));
                }
            }
        }
        for (issuer, (excess, tickets)) in worst {
            self.show(epoch, issuer, excess, tickets).await?;
        }
        Ok(())
    }

    /// Shows the value ledger what an issuer promised.
    async fn show(&mut self, epoch: Epoch, issuer: Address, excess: Noz, tickets: &[Signed<Ticket>]) -> Result<(), LedgerError> {
        let Some(Ticket { payer, session, .. }) = tickets.first().map(|ticket| ticket.body) else { return Ok(()) };
        warn!(node = self.name, %epoch, %issuer, %payer, %excess, "a meta node promised more than was reserved with it");
        let (standing, _) = self.meta.proven(promise_keys(epoch, &payer, &session)).await?;
        let message = Message::AccuseIssuer { tickets: tickets.to_vec(), standing: Box::new(standing.proven) };
        match self.operator.submit(vec![message]).await {
            Ok(_) => info!(node = self.name, %epoch, %issuer, "the meta node was convicted"),
            Err(cause) => {
                // Another carrier may have been first.
                error!(node = self.name, %epoch, %issuer, error = %cause, "the accusation was not taken");
                self.accused.insert(issuer, Instant::now() + ACCUSE_PAUSE);
            }
        }
        Ok(())
    }
}

/// The last tickets of each session by one issuer, which lie together in the order of channels.
fn of_sessions(tickets: &[Signed<Ticket>]) -> impl Iterator<Item = &[Signed<Ticket>]> {
    let of = |ticket: &Signed<Ticket>| (ticket.body.payer, ticket.body.session, ticket.body.issuer);
    tickets.chunk_by(move |one, other| of(one) == of(other))
}

#[cfg(test)]
mod tests {
    use pot::Class;
    use primitives::{Hash, SecretKey};

    use super::*;

    #[test]
    fn tickets_are_shown_for_one_session_and_issuer() {
        let key = |number: u8| SecretKey::from_seed(&[number; 32]);
        let ticket = |session: u8, class: Class, issuer: u8| {
            let (payer, carrier, issuer) = (Address([1; 20]), Address([2; 20]), Address([issuer; 20]));
            let (epoch, session, slice) = (Epoch(1), key(session).public(), Hash::ZERO);
            let body =
                Ticket { chain: Hash::ZERO, epoch, payer, session, carrier, class, slice, bytes_max: 1, channel_total: 5, session_total: Noz(5), issuer };
            Signed::sign(body, &key(9))
        };
        let tickets =
            [ticket(1, Class::Upload, 1), ticket(1, Class::Download, 1), ticket(1, Class::Stream, 2), ticket(2, Class::Upload, 2), ticket(3, Class::Upload, 2)];
        let parts: Vec<_> = of_sessions(&tickets).map(|tickets| Promised::of(tickets).expect("one session").to_carrier.0).collect();
        assert_eq!(parts, [10, 5, 5, 5]);
    }
}
