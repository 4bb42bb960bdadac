//! What a carrier checks of a ticket before it moves a byte. Pure: the terms come from the ledgers, the ticket from the payer.

use std::collections::BTreeMap;

use pot::{Class, Presented, Ticket, Verified};
use primitives::{Address, Epoch, Hash, PublicKey};

use super::wire::{Reason, Refusal};

/// What a carrier knows of the ledgers; replaced as a whole when an epoch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The current value epoch, as the metadata ledger has it.
    pub epoch: Epoch,
    /// The meta nodes whose tickets count, with the keys they sign with: those of the epoch that were not convicted since.
    pub issuers: BTreeMap<Address, PublicKey>,
}

/// What a ticket is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Storing a slice of this length.
    Put {
        /// Length in bytes.
        bytes: u64,
    },
    /// Fetching a part of a slice.
    Get,
}

/// Checks that the ticket is one of these terms for `carrier`, presented by its session, cheapest cause first.
///
/// A ticket of the next epoch is taken: its issuer has seen the epoch begin before we did. One of an epoch that is over is not: its receipts could come too
/// late for our claim.
///
/// # Errors
/// [`Refusal`] with reason [`Reason::EpochOver`], [`Reason::Issuer`] or [`Reason::Ticket`], and the numbers.
pub fn check(terms: &Terms, chain: Hash, carrier: &Address, presented: Presented, what: Use) -> Result<Verified<Ticket>, Refusal> {
    let ticket = presented.ticket.body;
    let refuse = |text: String| Err(Refusal::new(Reason::Ticket, text));
    let Ticket { epoch, class, .. } = ticket;
    if ticket.carrier != *carrier {
        return refuse(format!("the ticket is for {}, this is {carrier}", ticket.carrier));
    }
    match (what, class) {
        (Use::Put { bytes }, Class::Upload) if bytes > ticket.bytes_max => {
            return refuse(format!("the ticket is for {} bytes, the slice has {bytes}", ticket.bytes_max));
        }
        (Use::Put { .. }, Class::Upload) | (Use::Get, Class::Download | Class::Stream) => {}
        (Use::Put { .. }, Class::Download | Class::Stream) | (Use::Get, Class::Upload) => {
            return refuse(format!("a ticket of class {class:?} does not allow this"));
        }
    }
    if epoch < terms.epoch {
        return Err(over(epoch, terms.epoch));
    }
    if epoch > terms.epoch.next() {
        return refuse(format!("the ticket is for epoch {epoch}, this is epoch {}", terms.epoch));
    }
    let Some(key) = terms.issuers.get(&ticket.issuer) else {
        let text = format_args!("{} is not among the {} meta nodes whose tickets count in epoch {}", ticket.issuer, terms.issuers.len(), terms.epoch);
        return Err(Refusal::new(Reason::Issuer, text));
    };
    presented.verify(chain, key).map_err(|error| Refusal::new(Reason::Ticket, error))
}

/// The refusal of an epoch that is over.
pub fn over(epoch: Epoch, current: Epoch) -> Refusal {
    Refusal::new(Reason::EpochOver, format_args!("epoch {epoch} is over, this is epoch {current}: ask for a new ticket"))
}

#[cfg(test)]
mod tests {
    use pot::{Signed, SignedGrant};
    use primitives::{AccountSecret, Noz, SecretKey};
    use proptest::prelude::*;

    use super::*;

    const CHAIN: Hash = Hash([1; 32]);
    const CARRIER: Address = Address([2; 20]);
    const ISSUER: Address = Address([3; 20]);

    fn issuer() -> SecretKey {
        SecretKey::from_seed(&[3; 32])
    }

    fn session() -> SecretKey {
        SecretKey::from_seed(&[5; 32])
    }

    fn wallet() -> AccountSecret {
        AccountSecret::from_seed(&[4; 32])
    }

    fn present(ticket: Ticket, issuer: &SecretKey) -> Presented {
        let grant = SignedGrant::sign(CHAIN, &wallet(), &session(), Epoch(9), Noz(1));
        Presented::sign(Signed::sign(ticket, issuer), grant, &session())
    }

    fn terms() -> Terms {
        Terms { epoch: Epoch(7), issuers: BTreeMap::from([(ISSUER, issuer().public())]) }
    }

    fn ticket() -> Ticket {
        Ticket {
            chain: CHAIN,
            epoch: Epoch(7),
            payer: wallet().address(),
            session: session().public(),
            carrier: CARRIER,
            class: Class::Upload,
            slice: Hash([6; 32]),
            bytes_max: 100,
            channel_total: 300,
            session_total: Noz(900),
            issuer: ISSUER,
        }
    }

    fn verdict(ticket: Ticket, what: Use) -> Result<(), Reason> {
        check(&terms(), CHAIN, &CARRIER, present(ticket, &issuer()), what).map(|_| ()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_good_ticket_is_taken() {
        let put = Use::Put { bytes: 100 };
        assert_eq!(verdict(ticket(), put), Ok(()));
        assert_eq!(verdict(Ticket { epoch: Epoch(8), ..ticket() }, put), Ok(()), "the issuer is ahead of us");
        for class in [Class::Download, Class::Stream] {
            assert_eq!(verdict(Ticket { class, ..ticket() }, Use::Get), Ok(()));
        }
    }

    #[test]
    fn any_other_is_refused() {
        let put = Use::Put { bytes: 100 };
        assert_eq!(verdict(Ticket { epoch: Epoch(6), ..ticket() }, put), Err(Reason::EpochOver));
        for wrong in [
            Ticket { chain: Hash([9; 32]), ..ticket() },
            Ticket { epoch: Epoch(9), ..ticket() },
            Ticket { carrier: ISSUER, ..ticket() },
            Ticket { class: Class::Download, ..ticket() },
            Ticket { bytes_max: 99, ..ticket() },
        ] {
            assert_eq!(verdict(wrong, put), Err(Reason::Ticket), "{wrong:?}");
        }
        assert_eq!(verdict(ticket(), Use::Get), Err(Reason::Ticket));
        assert_eq!(verdict(Ticket { issuer: CARRIER, ..ticket() }, put), Err(Reason::Issuer));
        let Presented { ticket: signed, grant, .. } = present(ticket(), &issuer());
        let strange = Presented::sign(signed, grant, &issuer());
        assert_eq!(check(&terms(), CHAIN, &CARRIER, strange, put).map_err(|refusal| refusal.reason), Err(Reason::Ticket), "not by its session");
    }

    proptest! {
        #[test]
        fn a_changed_ticket_is_refused(bit in 0..8 * 594usize) {
            let mut bytes = primitives::encoding::encode(&present(ticket(), &issuer()));
            prop_assert_eq!(bytes.len(), 594);
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(ticket) = primitives::encoding::decode::<Presented>(&bytes, 594) {
                let put = Use::Put { bytes: 100 };
                prop_assert!(check(&terms(), CHAIN, &CARRIER, ticket, put).is_err());
            }
        }
    }
}
