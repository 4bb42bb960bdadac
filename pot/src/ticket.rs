//! Ticket: a meta node's leave for one transfer of one slice, within what the session reserved.
//!
//! Each says what all tickets so far come to, in its channel and in its session. So the last ticket of a channel stands for all of them: it goes with the
//! channel's last receipt when that is claimed ([`crate::claim::CoveredClaim`]), and is the evidence if its issuer promised more than was reserved
//! ([`crate::evidence`]).
//!
//! A carrier takes a ticket from its session alone ([`Presented`]). Meta nodes can sign tickets for any session that they have heard of; if anybody could bring
//! them, they could fill a payer's places at a carrier, spend its credit there, and keep its home's tickets out of a channel.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey, SecretKey, Signature, encoding};

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

/// "I want this transfer." A ticket as it reaches a carrier: with its session's signature over the ticket's body.
///
/// It can be shown again, and by nobody but the carrier, which has it over an encrypted stream; the ticket's totals allow no more for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Presented {
    /// What the meta node signed.
    pub ticket: Signed<Ticket>,
    /// The session's signature.
    pub signature: Signature,
}

impl Presented {
    /// Presents a ticket with the secret key of its session.
    pub fn sign(ticket: Signed<Ticket>, session: &SecretKey) -> Self {
        let signature = session.sign(&Context::new(PRESENTED_ROLE, ticket.body.chain), &encoding::encode(&ticket.body));
        Self { ticket, signature }
    }

    /// Checks both signatures, that of `issuer` and that of the session which the ticket names.
    ///
    /// # Errors
    /// [`SignedError`], cheapest cause first.
    pub fn verify(self, chain: Hash, issuer: &PublicKey) -> Result<Verified<Ticket>, SignedError> {
        let ticket = self.ticket.verify(chain, issuer)?;
        let verifier = ticket.session.decode().map_err(|cause| SignedError::Key { role: PRESENTED_ROLE, cause })?;
        if verifier.verify(&Context::new(PRESENTED_ROLE, chain), &encoding::encode(&self.ticket.body), &self.signature) {
            Ok(ticket)
        } else {
            Err(SignedError::Signature { role: PRESENTED_ROLE, key: ticket.session })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CHAIN, channel, issuer, issuer_address, session};

    fn signed() -> Signed<Ticket> {
        let Channel { epoch, carrier, payer, session, class } = channel();
        let (slice, issuer_address) = (Hash([7; 32]), issuer_address());
        let (bytes_max, channel_total, session_total) = (1, 1, Noz(1));
        let ticket = Ticket { chain: CHAIN, epoch, payer, session, carrier, class, slice, bytes_max, channel_total, session_total, issuer: issuer_address };
        Signed::sign(ticket, &issuer())
    }

    #[test]
    fn a_ticket_is_presented_by_its_session_alone() {
        let signed = signed();
        let presented = Presented::sign(signed, &session());
        assert_eq!(presented.verify(CHAIN, &issuer().public()).map(|ticket| *ticket.signed()), Ok(signed));
        let refused = |key| Err(SignedError::Signature { role: PRESENTED_ROLE, key });
        assert_eq!(Presented::sign(signed, &issuer()).verify(CHAIN, &issuer().public()), refused(session().public()), "by its issuer");
        let bare = Presented { ticket: signed, signature: signed.signature };
        assert_eq!(bare.verify(CHAIN, &issuer().public()), refused(session().public()));
        assert!(matches!(presented.verify(CHAIN, &session().public()), Err(SignedError::Signature { role: Ticket::ROLE, .. })));
        assert!(matches!(presented.verify(Hash::ZERO, &issuer().public()), Err(SignedError::Chain { .. })));
        let mut other = signed;
        other.body.channel_total += 1;
        let moved = Presented { ticket: Signed::sign(other.body, &issuer()), signature: presented.signature };
        assert_eq!(moved.verify(CHAIN, &issuer().public()), refused(session().public()), "signed for another ticket");
    }
}
