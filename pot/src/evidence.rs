//! Evidence against a meta node that promised more than was reserved with it.
//!
//! Carriers move bytes for tickets, and what the tickets of a session exceed its reservation by, nobody will pay. A desk that keeps to the rules never signs
//! so many (META-6). Its tickets are running totals ([`Ticket`]), so few of them prove what all come to:
//!
//! 1. A ticket whose session total is above the reservation proves it alone.
//! 2. A desk that hides it tells each carrier less: then the totals of their channels sum to more than it told anybody. What was claimed from the session
//!    shows what others were promised, since nothing is claimed without tickets; with the last tickets of one carrier that is not among them it is more than
//!    was reserved.
//!
//! As long as neither holds, all that was promised so far can be paid.
//!
//! The other offence, certifying a false report, needs no object of its own: the report, its certificate and the part that does not hold are the proof
//! ([`crate::report::Cursor::take`]).

use primitives::{Address, Epoch, Hash, Noz, PublicKey};

use crate::object::{Signed, SignedError};
use crate::receipt::Class;
use crate::ticket::Ticket;

/// Tickets in one piece of evidence: one for each class.
pub const EVIDENCE_TICKETS_MAX: usize = 3;

/// The last tickets of one session's channels with one carrier, each signature checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promised {
    /// Who signed them.
    pub issuer: Address,
    /// The epoch.
    pub epoch: Epoch,
    /// Who was to pay.
    pub payer: Address,
    /// The payer's session.
    pub session: PublicKey,
    /// Who was to carry.
    pub carrier: Address,
    /// What they allow the carrier, in all its channels.
    pub to_carrier: Noz,
    /// What the issuer said that it had allowed in all.
    pub in_all: Noz,
}

/// Why tickets are no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromisedError {
    /// None, or too many.
    #[error("{count} tickets; evidence holds 1 to {EVIDENCE_TICKETS_MAX}, one for each class")]
    Count {
        /// How many came.
        count: usize,
    },
    /// A ticket of another issuer, epoch, payer, session or carrier than the first.
    #[error("ticket {index} is of another issuer, epoch, session or carrier than the first")]
    Foreign {
        /// Its position.
        index: usize,
    },
    /// Not strictly increasing by class: unordered, or one channel twice.
    #[error("ticket {index} is not of a higher class than the one before it")]
    Order {
        /// Its position.
        index: usize,
    },
    /// The issuer did not sign this.
    #[error(transparent)]
    Signature(#[from] SignedError),
}

/// Checks tickets, in the order of their classes, that `key` is said to have signed.
///
/// # Errors
/// [`PromisedError`], cheapest cause first.
pub fn promised(chain: Hash, tickets: &[Signed<Ticket>], key: &PublicKey) -> Result<Promised, PromisedError> {
    let promised = Promised::of(tickets)?;
    for ticket in tickets {
        ticket.verify(chain, key)?;
    }
    Ok(promised)
}

impl Promised {
    /// What tickets come to, in the order of their classes, whose signatures were checked before.
    ///
    /// # Errors
    /// [`PromisedError`], but for signatures.
    pub fn of(tickets: &[Signed<Ticket>]) -> Result<Self, PromisedError> {
        let first = tickets.first().filter(|_| tickets.len() <= EVIDENCE_TICKETS_MAX).ok_or(PromisedError::Count { count: tickets.len() })?.body;
        let Ticket { issuer, epoch, payer, session, carrier, .. } = first;
        let mut promised = Promised { issuer, epoch, payer, session, carrier, to_carrier: Noz::ZERO, in_all: Noz::ZERO };
        let mut last: Option<Class> = None;
        for (index, ticket) in tickets.iter().map(|ticket| &ticket.body).enumerate() {
            if (ticket.issuer, ticket.epoch, ticket.payer, ticket.session, ticket.carrier) != (issuer, epoch, payer, session, carrier) {
                return Err(PromisedError::Foreign { index });
            }
            if last >= Some(ticket.class) {
                return Err(PromisedError::Order { index });
            }
            last = Some(ticket.class);
            promised.to_carrier = promised.to_carrier.saturating_add(Noz(ticket.channel_total.into()));
            promised.in_all = promised.in_all.max(ticket.session_total);
        }
        Ok(promised)
    }

    /// By how much the issuer promised more than the `reserved` noz; `claimed` was claimed from the session by others than the carrier. Zero if it did not.
    pub fn excess(&self, reserved: Noz, claimed: Noz) -> Noz {
        self.in_all.max(self.to_carrier.saturating_add(claimed)).saturating_sub(reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CHAIN, carrier_address_of, channel, issuer, issuer_address};

    fn ticket(class: Class, channel_total: u64, session_total: u128) -> Ticket {
        let channel = channel();
        Ticket {
            chain: CHAIN,
            epoch: channel.epoch,
            payer: channel.payer,
            session: channel.session,
            carrier: channel.carrier,
            class,
            slice: Hash([7; 32]),
            bytes_max: 1,
            channel_total,
            session_total: Noz(session_total),
            issuer: issuer_address(),
        }
    }

    fn check(tickets: &[Ticket]) -> Result<Promised, PromisedError> {
        let tickets: Vec<Signed<Ticket>> = tickets.iter().map(|ticket| Signed::sign(*ticket, &issuer())).collect();
        promised(CHAIN, &tickets, &issuer().public())
    }

    #[test]
    fn totals_speak_for_all_tickets() {
        let promised = check(&[ticket(Class::Upload, 100, 120), ticket(Class::Download, u64::MAX, 90)]).expect("as signed");
        assert_eq!((promised.to_carrier, promised.in_all), (Noz(100 + u128::from(u64::MAX)), Noz(120)));
        assert_eq!((promised.issuer, promised.carrier), (issuer_address(), channel().carrier));
    }

    /// A desk that tells each carrier that it is the only one, and one that says itself that it went too far.
    #[test]
    fn what_is_promised_twice_shows_when_one_has_claimed() {
        let hidden = check(&[ticket(Class::Upload, 60, 60), ticket(Class::Stream, 30, 90)]).expect("as signed");
        assert_eq!(hidden.excess(Noz(100), Noz::ZERO), Noz::ZERO);
        assert_eq!(hidden.excess(Noz(100), Noz(10)), Noz::ZERO, "all of it can be paid");
        assert_eq!(hidden.excess(Noz(100), Noz(60)), Noz(50));
        let open = check(&[ticket(Class::Upload, 1, 101)]).expect("as signed");
        assert_eq!(open.excess(Noz(100), Noz::ZERO), Noz(1));
        assert_eq!(open.excess(Noz(101), Noz(100)), Noz::ZERO, "its totals count all carriers already");
    }

    #[test]
    fn each_channel_once_and_all_of_one_session_and_carrier() {
        assert_eq!(check(&[]), Err(PromisedError::Count { count: 0 }));
        let good = ticket(Class::Download, 100, 100);
        let low = ticket(Class::Upload, 100, 100);
        assert_eq!(check(&[good, good]), Err(PromisedError::Order { index: 1 }));
        assert_eq!(check(&[good, low]), Err(PromisedError::Order { index: 1 }));
        for other in [
            Ticket { epoch: Epoch(4), ..good },
            Ticket { payer: Address([1; 20]), ..good },
            Ticket { session: issuer().public(), ..good },
            Ticket { carrier: carrier_address_of(9), ..good },
            Ticket { issuer: Address([8; 20]), ..good },
        ] {
            assert_eq!(check(&[low, other]), Err(PromisedError::Foreign { index: 1 }), "{other:?}");
        }
        assert!(matches!(check(&[Ticket { chain: Hash::ZERO, ..good }]), Err(PromisedError::Signature(SignedError::Chain { .. }))));
        assert_eq!(check(&[low, low, low, good]), Err(PromisedError::Count { count: 4 }));
    }

    #[test]
    fn only_what_the_issuer_signed() {
        let mut tickets = vec![Signed::sign(ticket(Class::Upload, 1, 100), &issuer()), Signed::sign(ticket(Class::Download, 2, 50), &issuer())];
        let other = primitives::SecretKey::from_seed(&[1; 32]).public();
        assert!(matches!(promised(CHAIN, &tickets, &other), Err(PromisedError::Signature(SignedError::Signature { .. }))));
        tickets[1].body.channel_total += 1;
        assert!(matches!(promised(CHAIN, &tickets, &issuer().public()), Err(PromisedError::Signature(_))));
        assert!(matches!(promised(CHAIN, &tickets, &PublicKey([255; 32])), Err(PromisedError::Signature(SignedError::Key { .. }))));
    }
}
