//! Evidence against a meta node that issued more tickets than were reserved with it.
//!
//! Carriers move bytes for tickets, and what the tickets of a session exceed its reservation by, nobody will pay. A desk that keeps to the rules can never sign so
//! many (META-6), so its own signatures prove that it did not. The other offence, certifying a false report, needs no object of its own: the report, its
//! certificate and the part that does not hold are the proof ([`crate::report::Cursor::take`]).

use std::collections::BTreeMap;

use primitives::batch::Batch;
use primitives::encoding;
use primitives::schnorr::KeyError;
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey};

use crate::object::{Object, Signed};
use crate::ticket::Ticket;

/// Tickets in one piece of evidence: with a proof of what was reserved they fit a transaction of 1 MiB.
pub const EVIDENCE_TICKETS_MAX: usize = 3_072;

/// Tickets of one issuer for one session in one epoch, each signature checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Who signed them.
    pub issuer: Address,
    /// The epoch.
    pub epoch: Epoch,
    /// Who was to pay.
    pub payer: Address,
    /// The payer's session.
    pub session: PublicKey,
    /// What they allow each carrier.
    pub carriers: BTreeMap<Address, Noz>,
    /// What they allow in all.
    pub noz: Noz,
}

/// Why tickets are no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuedError {
    /// None, or too many.
    #[error("{count} tickets; evidence holds 1 to {EVIDENCE_TICKETS_MAX}")]
    Count {
        /// How many came.
        count: usize,
    },
    /// A ticket of another chain, issuer, epoch, payer or session than the first.
    #[error("ticket {index} is of another chain, issuer, epoch or session than the first")]
    Foreign {
        /// Its position.
        index: usize,
    },
    /// Not strictly increasing by number: unordered, or one ticket twice.
    #[error("ticket {index} is not numbered above the one before it")]
    Order {
        /// Its position.
        index: usize,
    },
    /// The issuer's key is no key.
    #[error("the key of the issuer {issuer} is not usable: {cause}")]
    Key {
        /// Who is accused.
        issuer: Address,
        /// What is wrong with its key.
        cause: KeyError,
    },
    /// The issuer did not sign this.
    #[error("a ticket was not signed by the key of {issuer}")]
    Signature {
        /// Who is accused.
        issuer: Address,
    },
}

/// Checks tickets, in the order of their numbers, that `key` is said to have signed.
///
/// # Errors
/// [`IssuedError`], cheapest cause first.
pub fn issued(chain: Hash, tickets: &[Signed<Ticket>], key: &PublicKey) -> Result<Issued, IssuedError> {
    let first = tickets.first().filter(|_| tickets.len() <= EVIDENCE_TICKETS_MAX).ok_or(IssuedError::Count { count: tickets.len() })?.body;
    let Ticket { issuer, epoch, payer, session, .. } = first;
    let mut last = None;
    let (mut carriers, mut noz) = (BTreeMap::new(), Noz::ZERO);
    for (index, ticket) in tickets.iter().map(|ticket| &ticket.body).enumerate() {
        if (ticket.chain, ticket.issuer, ticket.epoch, ticket.payer, ticket.session) != (chain, issuer, epoch, payer, session) {
            return Err(IssuedError::Foreign { index });
        }
        if last >= Some(ticket.number) {
            return Err(IssuedError::Order { index });
        }
        last = Some(ticket.number);
        let bytes = Noz(ticket.bytes_max.into());
        let sum: &mut Noz = carriers.entry(ticket.carrier).or_default();
        *sum = sum.saturating_add(bytes);
        noz = noz.saturating_add(bytes);
    }
    let verifier = key.decode().map_err(|cause| IssuedError::Key { issuer, cause })?;
    let (mut batch, context) = (Batch::new(), Context::new(Ticket::ROLE, chain));
    for ticket in tickets {
        batch.push(&verifier, &context, &encoding::encode(&ticket.body), &ticket.signature);
    }
    if !batch.verify() {
        return Err(IssuedError::Signature { issuer });
    }
    Ok(Issued { issuer, epoch, payer, session, carriers, noz })
}

#[cfg(test)]
mod tests {
    use primitives::SecretKey;

    use super::*;
    use crate::samples::{CHAIN, carrier_address_of, channel};

    fn issuer() -> SecretKey {
        SecretKey::from_seed(&[77; 32])
    }

    fn ticket(number: u64, carrier: u8, bytes_max: u64) -> Ticket {
        let channel = channel();
        Ticket {
            chain: CHAIN,
            epoch: channel.epoch,
            number,
            payer: channel.payer,
            session: channel.session,
            carrier: carrier_address_of(carrier),
            class: channel.class,
            slice: Hash([7; 32]),
            bytes_max,
            issuer: Address([9; 20]),
        }
    }

    fn check(tickets: &[Ticket]) -> Result<Issued, IssuedError> {
        let tickets: Vec<Signed<Ticket>> = tickets.iter().map(|ticket| Signed::sign(*ticket, &issuer())).collect();
        issued(CHAIN, &tickets, &issuer().public())
    }

    #[test]
    fn tickets_sum_up_for_each_carrier() {
        let issued = check(&[ticket(1, 1, 100), ticket(2, 2, 50), ticket(9, 1, u64::MAX)]).expect("as signed");
        assert_eq!(issued.carriers, [(carrier_address_of(1), Noz(100 + u128::from(u64::MAX))), (carrier_address_of(2), Noz(50))].into());
        assert_eq!((issued.noz, issued.issuer), (Noz(150 + u128::from(u64::MAX)), Address([9; 20])));
    }

    #[test]
    fn each_ticket_once_and_all_of_one_session() {
        assert_eq!(check(&[]), Err(IssuedError::Count { count: 0 }));
        assert_eq!(check(&[ticket(1, 1, 100), ticket(1, 1, 100)]), Err(IssuedError::Order { index: 1 }));
        assert_eq!(check(&[ticket(2, 1, 100), ticket(1, 1, 100)]), Err(IssuedError::Order { index: 1 }));
        let good = ticket(2, 1, 100);
        for other in [
            Ticket { chain: Hash::ZERO, ..good },
            Ticket { epoch: Epoch(4), ..good },
            Ticket { payer: Address([1; 20]), ..good },
            Ticket { session: issuer().public(), ..good },
            Ticket { issuer: Address([8; 20]), ..good },
        ] {
            assert_eq!(check(&[ticket(1, 1, 100), other]), Err(IssuedError::Foreign { index: 1 }), "{other:?}");
        }
        assert_eq!(check(&[Ticket { chain: Hash::ZERO, ..good }]), Err(IssuedError::Foreign { index: 0 }));
        let many = vec![Signed::sign(good, &issuer()); EVIDENCE_TICKETS_MAX + 1];
        assert_eq!(issued(CHAIN, &many, &issuer().public()), Err(IssuedError::Count { count: EVIDENCE_TICKETS_MAX + 1 }));
    }

    #[test]
    fn only_what_the_issuer_signed() {
        let mut tickets = vec![Signed::sign(ticket(1, 1, 100), &issuer()), Signed::sign(ticket(2, 1, 100), &issuer())];
        let refused = Err(IssuedError::Signature { issuer: Address([9; 20]) });
        assert_eq!(issued(CHAIN, &tickets, &SecretKey::from_seed(&[1; 32]).public()), refused);
        tickets[1].body.bytes_max += 1;
        assert_eq!(issued(CHAIN, &tickets, &issuer().public()), refused);
        assert!(matches!(issued(CHAIN, &tickets, &PublicKey([255; 32])), Err(IssuedError::Key { .. })));
    }
}
