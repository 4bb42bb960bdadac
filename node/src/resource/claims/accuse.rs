//! Accusing a meta node that promised more than was reserved with it.
//!
//! This carrier's last tickets are compared with what was reserved and with what others have claimed. After a claim nobody could tell what of that is its own, so the reading that proves it
//! is taken before; it stays good, and is shown when the claim is made.

use std::collections::BTreeSet;
use std::time::Duration;

use chain::accusation::{claimed_by_others, promise_keys};
use chain::ledger::proven::Reading;
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
const ACCUSE_PAUSE: Duration = Duration::from_secs(10);
/// How often an accusation is brought.
const TRIES_MAX: u32 = 6;

/// What proves that a meta node promised too much.
pub struct Accusation {
    issuer: Address,
    excess: Noz,
    message: Message,
    /// When it is brought next.
    at: Instant,
    tries: u32,
}

impl Claims {
    /// Finds out who issued too much in an epoch that is over and not settled yet, and keeps the proof of the greatest excess of each that this carrier can show.
    pub(super) async fn look(&mut self, epoch: Epoch) -> Result<(), LedgerError> {
        let tickets = self.carrier.books().tickets(epoch);
        let of_sessions: Vec<&[Signed<Ticket>]> = of_sessions(&tickets).collect();
        for some in of_sessions.chunks(SESSIONS_AT_ONCE) {
            let promised: Vec<_> = some.iter().filter_map(|tickets| Some((*tickets, Promised::of(tickets).ok()?))).collect();
            let wanted: BTreeSet<Vec<u8>> = promised.iter().flat_map(|(_, of)| promise_keys(epoch, &of.payer, &of.session)).collect();
            let reading = self.meta.read(wanted.into_iter().collect()).await?;
            let carrier = self.carrier.identity().carrier;
            let mut known = BTreeSet::from([chain::keys::reported(epoch), chain::keys::settlement_carriers(epoch), chain::keys::direct(epoch, &carrier)]);
            known.extend(promised.iter().flat_map(|(_, of)| [chain::keys::spent_directly(&of.session), chain::keys::meta_node(&of.issuer)]));
            let seen = Seen(self.operator.ledger.read(known.into_iter().collect()).await?);
            for (tickets, of) in promised {
                if excess(&seen, &reading, &of) == Noz::ZERO {
                    continue;
                }
                let (standing, reading) = self.meta.proven(promise_keys(epoch, &of.payer, &of.session)).await?;
                let excess = excess(&seen, &reading, &of);
                let message = Message::AccuseIssuer { tickets: tickets.to_vec(), standing: Box::new(standing.proven) };
                self.keep(Accusation { issuer: of.issuer, excess, message, at: Instant::now(), tries: 0 });
            }
        }
        Ok(())
    }

    fn keep(&mut self, new: Accusation) {
        match self.accusations.iter_mut().find(|known| known.issuer == new.issuer) {
            Some(known) if known.excess < new.excess => *known = new,
            Some(_) => {}
            None if new.excess > Noz::ZERO => self.accusations.push(new),
            None => {}
        }
    }

    /// Brings what waits to be brought.
    pub(super) async fn accuse(&mut self) {
        for mut accusation in std::mem::take(&mut self.accusations) {
            let issuer = accusation.issuer;
            if Instant::now() < accusation.at {
                self.accusations.push(accusation);
                continue;
            }
            let record = self.operator.ledger.read(vec![chain::keys::meta_node(&issuer)]).await.map(Seen);
            let is_convicted = record.is_ok_and(|seen| meta_registry::read(&seen, &issuer).is_some_and(|node| node.status == Status::Tombstoned));
            if is_convicted {
                continue;
            }
            warn!(node = self.name, %issuer, excess = %accusation.excess, "a meta node promised more than was reserved with it");
            match self.operator.submit(vec![accusation.message.clone()]).await {
                Ok(_) => info!(node = self.name, %issuer, "the meta node was convicted"),
                Err(cause) => {
                    error!(node = self.name, %issuer, error = %cause, "the accusation was not taken");
                    (accusation.at, accusation.tries) = (Instant::now() + ACCUSE_PAUSE, accusation.tries.saturating_add(1));
                    if accusation.tries < TRIES_MAX {
                        self.accusations.push(accusation);
                    }
                }
            }
        }
    }
}

/// By how much the issuer of these tickets promised too much, as far as both ledgers show; zero if it is convicted.
fn excess(value: &Seen, reading: &Reading, promised: &Promised) -> Noz {
    let record: Payer = reading.value(&payer_key(&promised.payer)).unwrap_or_default();
    let reserved = record.reserved_with(&promised.issuer, &promised.session, promised.epoch);
    let is_free = meta_registry::read(value, &promised.issuer).is_some_and(|node| node.status != Status::Tombstoned);
    let claimed = claimed_by_others(value, reading, promised).filter(|_| is_free && record.unsettled <= promised.epoch);
    claimed.map_or(Noz::ZERO, |claimed| promised.excess(reserved, claimed))
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
