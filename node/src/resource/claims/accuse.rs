//! Accusing a meta node that promised more than was reserved with it.
//!
//! This carrier's last tickets are compared with what was reserved and with what others have claimed. After a claim nobody could tell what of that is its own,
//! so the reading that proves it is taken before, kept on the disk, and shown when the claim is made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::accusation::{self, judged_keys, promise_keys};
use chain::ledger::Proven;
use chain::ledger::block::TRANSACTION_BYTES_MAX;
use chain::meta_registry::{self, META_NODES_MAX, Status};
use chain::transaction::Message;
use client::ledger::LedgerError;
use client::session::Seen;
use pot::evidence::Promised;
use pot::{Signed, Ticket};
use primitives::encoding::{decode, encode};
use primitives::{Address, Epoch, Hash, Noz};
use state::{Direction, Record, Store};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Claims, SESSIONS_AT_ONCE};

/// Pause after an accusation that was not taken: each costs a fee.
const ACCUSE_PAUSE: Duration = Duration::from_secs(10);
/// How often an accusation may be in a block and fail until it is given up.
const FAILURES_MAX: u32 = 6;
/// The table of what waits to be shown: by issuer and epoch an [`Accusation`].
const WAITING: u8 = 1;
/// Accusations that wait at once: for every meta node one of each epoch that is not settled would be fewer.
const WAITING_MAX: usize = 4 * META_NODES_MAX;

/// What proves that a meta node promised too much.
#[derive(BorshSerialize, BorshDeserialize)]
struct Accusation {
    excess: Noz,
    tickets: Vec<Signed<Ticket>>,
    standing: Proven,
}

struct Waiting {
    accusation: Accusation,
    /// When it is brought next.
    at: Instant,
    failures: u32,
}

/// Who is accused, and the epoch of its tickets.
type Accused = (Address, Epoch);

/// The accusations that wait to be shown, one for each issuer and epoch: those on the disk.
pub struct Accusations {
    store: Store,
    waiting: BTreeMap<Accused, Waiting>,
}

impl Accusations {
    /// Those in `directory`. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with the disk or a record, as text.
    pub fn open(directory: &Path, chain: Hash) -> Result<Self, String> {
        let store = Store::open(&directory.join("accusations"), chain).map_err(|error| error.to_string())?;
        let mut waiting = BTreeMap::new();
        for (key, value) in store.records(WAITING, &[], Bound::Unbounded, Direction::Forward, WAITING_MAX) {
            let damaged = |error| format!("the accusation {} is damaged: {error}", hex::encode(&key));
            let accused: Accused = decode(&key, 64).map_err(damaged)?;
            let accusation = decode(&value, TRANSACTION_BYTES_MAX).map_err(damaged)?;
            waiting.insert(accused, Waiting { accusation, at: Instant::now(), failures: 0 });
        }
        Ok(Self { store, waiting })
    }

    /// What is kept against an issuer for an epoch.
    fn shown(&self, accused: &Accused) -> Noz {
        self.waiting.get(accused).map_or(Noz::ZERO, |known| known.accusation.excess)
    }

    /// Keeps an accusation, if it shows more than what is kept.
    fn keep(&mut self, accused: Accused, accusation: Accusation) {
        let is_full = self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&accused);
        if is_full || self.shown(&accused) >= accusation.excess {
            return;
        }
        self.store.write(vec![Record { table: WAITING, key: encode(&accused), value: Some(encode(&accusation)) }]);
        self.waiting.insert(accused, Waiting { accusation, at: Instant::now(), failures: 0 });
    }

    fn remove(&mut self, accused: &Accused) {
        self.store.write(vec![Record { table: WAITING, key: encode(accused), value: None }]);
        self.waiting.remove(accused);
    }
}

impl Claims {
    /// Finds out who issued too much in an epoch that is over and not settled yet, and keeps the proof of the greatest excess of each that this carrier can show.
    pub(super) async fn look(&mut self, epoch: Epoch) -> Result<(), LedgerError> {
        let tickets = of_sessions(self.carrier.books().tickets(epoch));
        let mut greatest: BTreeMap<Address, (Noz, &[Signed<Ticket>], Promised)> = BTreeMap::new();
        for some in tickets.chunks(SESSIONS_AT_ONCE) {
            let promised: Vec<_> = some.iter().filter_map(|tickets| Some((tickets, Promised::of(tickets).ok()?))).collect();
            let wanted: BTreeSet<Vec<u8>> = promised.iter().flat_map(|(_, of)| promise_keys(epoch, &of.payer, &of.session)).collect();
            let reading = self.meta.read(wanted.into_iter().collect()).await?;
            let judged: BTreeSet<Vec<u8>> = promised.iter().flat_map(|(_, of)| judged_keys(of)).collect();
            let seen = Seen(self.operator.ledger.read(judged.into_iter().collect()).await?);
            for (tickets, of) in promised {
                let Ok(excess) = accusation::excess(&seen, &reading, &of) else { continue };
                let known = greatest.get(&of.issuer).map_or(self.accusations.shown(&(of.issuer, epoch)), |(known, _, _)| *known);
                if excess > known {
                    greatest.insert(of.issuer, (excess, tickets, of));
                }
            }
        }
        // Each by itself, so that nothing else has to be shown.
        for (issuer, (_, tickets, of)) in greatest {
            let (standing, reading) = self.meta.proven(promise_keys(epoch, &of.payer, &of.session)).await?;
            let seen = Seen(self.operator.ledger.read(judged_keys(&of)).await?);
            if let Ok(excess) = accusation::excess(&seen, &reading, &of) {
                self.accusations.keep((issuer, epoch), Accusation { excess, tickets: tickets.to_vec(), standing: standing.proven });
            }
        }
        Ok(())
    }

    /// Brings what waits to be brought.
    pub(super) async fn accuse(&mut self) {
        let now = Instant::now();
        let due: Vec<Accused> = self.accusations.waiting.iter().filter(|(_, waiting)| waiting.at <= now).map(|(accused, _)| *accused).collect();
        for accused in due {
            let (issuer, epoch) = accused;
            let Ok(reading) = self.operator.ledger.read(vec![chain::keys::meta_node(&issuer)]).await else { return };
            if meta_registry::read(&Seen(reading), &issuer).is_none_or(|node| node.status == Status::Tombstoned) {
                self.accusations.remove(&accused);
                continue;
            }
            let Some(Waiting { accusation, at, failures }) = self.accusations.waiting.get_mut(&accused) else { continue };
            warn!(node = self.name, %issuer, %epoch, excess = %accusation.excess, "a meta node promised more than was reserved with it");
            let message = Message::AccuseIssuer { tickets: accusation.tickets.clone(), standing: Box::new(accusation.standing.clone()) };
            match self.operator.submit(vec![message]).await {
                Ok(_) => {
                    info!(node = self.name, %issuer, "the meta node was convicted");
                    self.accusations.remove(&accused);
                }
                Err(cause) => {
                    error!(node = self.name, %issuer, %epoch, error = %cause, "the accusation was not taken");
                    *at = Instant::now() + ACCUSE_PAUSE;
                    // Whatever else keeps it out of a block, the fee or another transaction before it, may pass.
                    *failures = failures.saturating_add(u32::from(matches!(cause, LedgerError::Failed { .. })));
                    if *failures >= FAILURES_MAX {
                        self.accusations.remove(&accused);
                    }
                }
            }
        }
    }
}

/// The last tickets of each session by one issuer, in the order of their classes.
fn of_sessions(mut tickets: Vec<Signed<Ticket>>) -> Vec<Vec<Signed<Ticket>>> {
    let of = |ticket: &Signed<Ticket>| (ticket.body.payer, ticket.body.session, ticket.body.issuer);
    tickets.sort_unstable_by_key(|ticket| (of(ticket), ticket.body.class));
    tickets.chunk_by(move |one, other| of(one) == of(other)).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use pot::Class;
    use primitives::SecretKey;

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
        let mut tickets = vec![ticket(1, Class::Upload, 1), ticket(1, Class::Download, 2), ticket(1, Class::Stream, 1)];
        tickets.extend([ticket(2, Class::Upload, 2), ticket(3, Class::Upload, 2)]);
        let of = |tickets: &Vec<Signed<Ticket>>| Promised::of(tickets).map(|of| (of.issuer.0[0], of.to_carrier.0));
        let mut parts: Vec<_> = of_sessions(tickets).iter().map(|tickets| of(tickets).expect("one session")).collect();
        parts.sort_unstable();
        assert_eq!(parts, [(1, 10), (2, 5), (2, 5), (2, 5)]);
    }
}
