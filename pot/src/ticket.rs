//! Ticket: a meta node's leave for one transfer of one slice, within what the session reserved.
//!
//! Each says what all tickets so far come to, in its channel and in its session. So the last ticket of a channel stands for all of them: it goes with the
//! channel's last receipt when that is claimed ([`crate::claim::CoveredClaim`]), and is the evidence if its issuer promised more than was reserved
//! ([`crate::evidence`]).
//!
//! A carrier takes a ticket from its session alone, and with the payer's grant for that session ([`Presented`]). Meta nodes can sign tickets for any payer and
//! session that they have heard of, or made up; if those were enough, they could fill a payer's places at a carrier, spend its credit there, and keep its home's
//! tickets out of a channel.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey, SecretKey, Signature, encoding};

use crate::grant::{GrantError, SignedGrant};
use crate::object::{Object, Signed, SignedError, Verified};
use crate::receipt::{Channel, Class};

/// "This session may move up to `bytes_max` of this slice with this carrier in this epoch." Signed by the payer's home meta node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ticket {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The value epoch in which it can be used.
    pub epoch: Epoch,
    /// Who pays.
    pub payer: Address,
    /// The payer's session that may use it.
    pub session: PublicKey,
    /// Who moves the bytes.
    pub carrier: Address,
    /// Which way, and for what.
    pub class: Class,
    /// Root of the slice.
    pub slice: Hash,
    /// Most bytes that it pays for.
    pub bytes_max: u64,
    /// Sum of `bytes_max` over the channel's tickets up to and with this one.
    pub channel_total: u64,
    /// Sum of `bytes_max` over the session's tickets of the epoch up to and with this one, in all channels.
    pub session_total: Noz,
    /// The meta node that signed.
    pub issuer: Address,
}

impl Object for Ticket {
    const ROLE: &'static str = "ticket";

    fn chain(&self) -> Hash {
        self.chain
    }
}

impl Ticket {
    /// The counter that it adds room to.
    pub fn channel(&self) -> Channel {
        Channel { epoch: self.epoch, carrier: self.carrier, payer: self.payer, session: self.session, class: self.class }
    }
}

/// The role under which a session signs for a ticket's use.
pub const PRESENTED_ROLE: &str = "ticket-use";

/// "I want this transfer." A ticket as it reaches a carrier: with its payer's grant, and its session's signature over the ticket's body.
///
/// It can be shown again, and by nobody but the carrier, which has it over an encrypted stream; the ticket's totals allow no more for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Presented {
    /// What the meta node signed.
    pub ticket: Signed<Ticket>,
    /// That the payer lets this session spend its ozone.
    pub grant: SignedGrant,
    /// The session's signature.
    pub signature: Signature,
}

/// Why a ticket is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresentedError {
    /// Its totals do not hold its own bytes.
    #[error("a ticket for {bytes_max} bytes, by which its channel comes to {channel_total} bytes and its session to {session_total} noz")]
    Totals {
        /// Its bytes.
        bytes_max: u64,
        /// The channel's.
        channel_total: u64,
        /// The session's.
        session_total: Noz,
    },
    /// The grant is another's.
    #[error("the ticket is for a session of {payer}, and comes with a grant of {granted} for the session {session}")]
    Foreign {
        /// The ticket's payer.
        payer: Address,
        /// The grant's payer.
        granted: Address,
        /// The grant's session.
        session: PublicKey,
    },
    /// The grant is not good.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// Its issuer or its session did not sign.
    #[error(transparent)]
    Signature(#[from] SignedError),
}

impl Presented {
    /// Presents a ticket with the secret key of its session.
    pub fn sign(ticket: Signed<Ticket>, grant: SignedGrant, session: &SecretKey) -> Self {
        let signature = session.sign(&Context::new(PRESENTED_ROLE, ticket.body.chain), &encoding::encode(&ticket.body));
        Self { ticket, grant, signature }
    }

    /// Checks what the ticket says and all four signatures: that of `issuer`, both of the grant, and that of the session which the ticket names.
    ///
    /// # Errors
    /// [`PresentedError`], cheapest cause first.
    pub fn verify(self, chain: Hash, issuer: &PublicKey) -> Result<Verified<Ticket>, PresentedError> {
        let Ticket { bytes_max, channel_total, session_total, payer, session, epoch, .. } = self.ticket.body;
        // Else it would not convict an issuer that promises too much.
        if bytes_max == 0 || bytes_max > channel_total || session_total < Noz(bytes_max.into()) {
            return Err(PresentedError::Totals { bytes_max, channel_total, session_total });
        }
        let granted = self.grant.grant;
        if (granted.payer, granted.session) != (payer, session) {
            return Err(PresentedError::Foreign { payer, granted: granted.payer, session: granted.session });
        }
        let ticket = self.ticket.verify(chain, issuer)?;
        self.grant.verify(chain, epoch)?;
        let verifier = session.decode().map_err(|cause| SignedError::Key { role: PRESENTED_ROLE, cause })?;
        if verifier.verify(&Context::new(PRESENTED_ROLE, chain), &encoding::encode(&self.ticket.body), &self.signature) {
            Ok(ticket)
        } else {
            Err(SignedError::Signature { role: PRESENTED_ROLE, key: session }.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CHAIN, channel, issuer, issuer_address, session};
    use primitives::AccountSecret;

    fn wallet() -> AccountSecret {
        AccountSecret::from_seed(&[61; 32])
    }

    fn grant(wallet: &AccountSecret, session: &SecretKey) -> SignedGrant {
        SignedGrant::sign(CHAIN, wallet, session, channel().epoch, Noz(9))
    }

    fn ticket() -> Ticket {
        let Channel { epoch, carrier, session, class, .. } = channel();
        let (payer, slice, issuer) = (wallet().address(), Hash([7; 32]), issuer_address());
        Ticket { chain: CHAIN, epoch, payer, session, carrier, class, slice, bytes_max: 5, channel_total: 5, session_total: Noz(5), issuer }
    }

    fn present(ticket: Ticket) -> Presented {
        Presented::sign(Signed::sign(ticket, &issuer()), grant(&wallet(), &session()), &session())
    }

    fn verdict(presented: Presented) -> Result<Ticket, PresentedError> {
        presented.verify(CHAIN, &issuer().public()).map(|ticket| *ticket)
    }

    #[test]
    fn a_ticket_is_presented_by_its_session_alone() {
        let good = present(ticket());
        assert_eq!(verdict(good), Ok(ticket()));
        let refused = |presented| match verdict(presented) {
            Err(PresentedError::Signature(SignedError::Signature { role, .. })) => role,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Presented::sign(good.ticket, good.grant, &issuer())), PRESENTED_ROLE, "by its issuer");
        assert_eq!(refused(Presented { signature: good.ticket.signature, ..good }), PRESENTED_ROLE);
        let other = Signed::sign(Ticket { channel_total: 6, ..ticket() }, &issuer());
        assert_eq!(refused(Presented { ticket: other, ..good }), PRESENTED_ROLE, "signed for another ticket");
        assert!(matches!(good.verify(CHAIN, &session().public()), Err(PresentedError::Signature(SignedError::Signature { role: Ticket::ROLE, .. }))));
        assert!(matches!(good.verify(Hash::ZERO, &issuer().public()), Err(PresentedError::Signature(SignedError::Chain { .. }))));
    }

    /// Attack: a meta node makes a session of its own for somebody who never granted it.
    #[test]
    fn nobody_pays_for_a_session_it_did_not_grant() {
        let (own, stranger) = (SecretKey::from_seed(&[62; 32]), AccountSecret::from_seed(&[63; 32]));
        let signed = Signed::sign(Ticket { session: own.public(), ..ticket() }, &issuer());
        let of_stranger = grant(&stranger, &own);
        let foreign = PresentedError::Foreign { payer: wallet().address(), granted: stranger.address(), session: own.public() };
        assert_eq!(verdict(Presented::sign(signed, of_stranger, &own)), Err(foreign));
        let foreign = PresentedError::Foreign { payer: wallet().address(), granted: wallet().address(), session: session().public() };
        assert_eq!(verdict(Presented::sign(signed, grant(&wallet(), &session()), &own)), Err(foreign));
        let mut forged = of_stranger;
        (forged.grant.payer, forged.grant.key) = (wallet().address(), wallet().key());
        assert!(matches!(verdict(Presented::sign(signed, forged, &own)), Err(PresentedError::Grant(_))));
        let old = SignedGrant::sign(CHAIN, &wallet(), &session(), Epoch(channel().epoch.0 - 1), Noz(9));
        assert!(matches!(verdict(Presented { grant: old, ..present(ticket()) }), Err(PresentedError::Grant(GrantError::Expired { .. }))));
    }

    #[test]
    fn a_ticket_counts_itself() {
        for (bytes_max, channel_total, session_total) in [(0, 5, 5), (0, 0, 0), (6, 5, 6), (6, 6, 5), (u64::MAX, u64::MAX, 5)] {
            let session_total = Noz(session_total);
            let refused = PresentedError::Totals { bytes_max, channel_total, session_total };
            assert_eq!(verdict(present(Ticket { bytes_max, channel_total, session_total, ..ticket() })), Err(refused));
        }
    }
}
