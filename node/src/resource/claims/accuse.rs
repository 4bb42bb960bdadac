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
/// How often the ledger may refuse an accusation until it is given up.
const REFUSALS_MAX: u32 = 6;
/// The table of what waits to be shown: by issuer an [`Accusation`].
const WAITING: u8 = 1;

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
    refusals: u32,
}

/// The accusations that wait to be shown, one for each issuer: those on the disk.
pub struct Accusations {
    store: Store,
    waiting: BTreeMap<Address, Waiting>,
}

impl Accusations {
    /// Those in `directory`. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with the disk or a record, as text.
    pub fn open(directory: &Path, chain: Hash) -> Result<Self, String> {
        let store = Store::open(&directory.join("accusations"), chain).map_err(|error| error.to_string())?;
        let mut waiting = BTreeMap::new();
        for (key, value) in store.records(WAITING, &[], Bound::Unbounded, Direction::Forward, META_NODES_MAX) {
            let damaged = |error| format!("the accusation {} is damaged: {error}", hex::encode(&key));
            let issuer: Address = decode(&key, 32).map_err(damaged)?;
            let accusation = decode(&value, TRANSACTION_BYTES_MAX).map_err(damaged)?;
            waiting.insert(issuer, Waiting { accusation, at: Instant::now(), refusals: 0 });
        }
        Ok(Self { store, waiting })
    }

    /// Keeps an accusation, if it shows more than what is kept.
    fn keep(&mut self, issuer: Address, accusation: Accusation) {
        if self.waiting.get(&issuer).is_some_and(|known| known.accusation.excess >= accusation.excess) {
            return;
        }
        self.store.write(vec![Record { table: WAITING, key: encode(&issuer), value: Some(encode(&accusation)) }]);
        self.waiting.insert(issuer, Waiting { accusation, at: Instant::now(), refusals: 0 });
    }

    fn remove(&mut self, issuer: &Address) {
        self.store.write(vec![Record { table: WAITING, key: encode(issuer), value: None }]);
        self.waiting.remove(issuer);
    }
}

impl Claims {
    /// Finds out who issued too much in an epoch that is over and not settled yet, and keeps the proof of the greatest excess of each that this carrier can
    /// show.
    pub(super) async fn look(&mut self, epoch: Epoch) -> Result<(), LedgerError> {
        let tickets = of_sessions(self.carrier.books().tickets(epoch));
        for some in tickets.chunks(SESSIONS_AT_ONCE) {
            let promised: Vec<_> = some.iter().filter_map(|tickets| Some((tickets, Promised::of(tickets).ok()?))).collect();
            let wanted: BTreeSet<Vec<u8>> = promised.iter().flat_map(|(_, of)| promise_keys(epoch, &of.payer, &of.session)).collect();
            let reading = self.meta.read(wanted.into_iter().collect()).await?;
            let judged: BTreeSet<Vec<u8>> = promised.iter().flat_map(|(_, of)| judged_keys(of)).collect();
            let seen = Seen(self.operator.ledger.read(judged.into_iter().collect()).await?);
            for (tickets, of) in promised {
                if accusation::excess(&seen, &reading, &of).is_err() {
                    continue;
                }
                // By itself, so that nothing else has to be shown.
                let (standing, reading) = self.meta.proven(promise_keys(epoch, &of.payer, &of.session)).await?;
                if let Ok(excess) = accusation::excess(&seen, &reading, &of) {
                    self.accusations.keep(of.issuer, Accusation { excess, tickets: tickets.clone(), standing: standing.proven });
                }
            }
        }
        Ok(())
    }

    /// Brings what waits to be brought.
    pub(super) async fn accuse(&mut self) {
        let now = Instant::now();
        let due: Vec<Address> = self.accusations.waiting.iter().filter(|(_, waiting)| waiting.at <= now).map(|(issuer, _)| *issuer).collect();
        for issuer in due {
            let Ok(reading) = self.operator.ledger.read(vec![chain::keys::meta_node(&issuer)]).await else { return };
            if meta_registry::read(&Seen(reading), &issuer).is_none_or(|node| node.status == Status::Tombstoned) {
                self.accusations.remove(&issuer);
                continue;
            }
            let Some(Waiting { accusation, at, refusals }) = self.accusations.waiting.get_mut(&issuer) else { continue };
            warn!(node = self.name, %issuer, excess = %accusation.excess, "a meta node promised more than was reserved with it");
            let message = Message::AccuseIssuer { tickets: accusation.tickets.clone(), standing: Box::new(accusation.standing.clone()) };
            match self.operator.submit(vec![message]).await {
                Ok(_) => {
                    info!(node = self.name, %issuer, "the meta node was convicted");
                    self.accusations.remove(&issuer);
                }
                Err(cause) => {
                    error!(node = self.name, %issuer, error = %cause, "the accusation was not taken");
                    *at = Instant::now() + ACCUSE_PAUSE;
                    *refusals = refusals.saturating_add(u32::from(is_refusal(&cause)));
                    if *refusals >= REFUSALS_MAX {
                        self.accusations.remove(&issuer);
                    }
                }
            }
        }
    }
}

/// Whether the ledger has looked at a transaction and does not want it.
fn is_refusal(error: &LedgerError) -> bool {
    match error {
        LedgerError::Refused { .. } | LedgerError::Failed { .. } => true,
        LedgerError::NoReplica { .. } | LedgerError::Unreachable { .. } | LedgerError::Conflict { .. } | LedgerError::Late { .. } => false,
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
