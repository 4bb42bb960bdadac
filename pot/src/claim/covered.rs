//! A claim with the tickets that cover it: what a carrier brings to a ledger.
//!
//! A receipt says what the payer acknowledged, a ticket what the payer's home meta node had allowed before. A ledger takes the one only with the other, so a
//! payer that is one with a carrier cannot sign to it what its home never allowed, and what a reservation promises to all carriers together stays within it
//! (META-6). Tickets are checked when the claim is taken and kept by nobody: a report holds receipts.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::batch::Batch;
use primitives::encoding;
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey, SecretKey, Signature};

use super::{ClaimError, ClaimedReceipts, VerifiedClaim};
use crate::object::{Object, Signed, Verified};
use crate::receipt::Receipt;
use crate::ticket::Ticket;

/// A channel's last receipt and its last ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// What the payer acknowledged.
    pub receipt: Verified<Receipt>,
    /// What its home meta node allowed, in the same channel.
    pub ticket: Signed<Ticket>,
}

/// The last ticket of a channel, without what its receipt and the claim say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LastTicket {
    /// Index into the claim's issuers.
    pub issuer: u16,
    /// Root of the slice that it was for.
    pub slice: Hash,
    /// Most bytes that it pays for.
    pub bytes_max: u64,
    /// What all tickets of the channel allow.
    pub channel_total: u64,
    /// What all tickets of the session allowed then.
    pub session_total: Noz,
    /// The issuer's signature over the whole ticket.
    pub signature: Signature,
}

/// A claim as it travels.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CoveredClaim {
    /// The receipts and the carrier's signature.
    pub claim: ClaimedReceipts,
    /// Who issued the tickets, with the keys that they sign with; strictly increasing by address.
    pub issuers: Vec<(Address, PublicKey)>,
    /// The last ticket of each receipt's channel, in the order of the receipts.
    pub tickets: Vec<LastTicket>,
}

impl CoveredClaim {
    /// Signs a claim over the last receipts of `carrier`'s channels, in any order, each with a ticket of its channel. `issuer_key` says what key an issuer
    /// signs with.
    ///
    /// # Errors
    /// [`ClaimError`] as [`super::Claim::over`], [`ClaimError::IssuerKey`] for an issuer without one; signatures are not checked again.
    pub fn sign(
        chain: Hash,
        epoch: Epoch,
        carrier: Address,
        mut last: Vec<Covered>,
        issuer_key: impl Fn(&Address) -> Option<PublicKey>,
        secret: &SecretKey,
    ) -> Result<Self, ClaimError> {
        last.sort_by_key(|covered| covered.receipt.channel());
        let claim = ClaimedReceipts::sign(chain, epoch, carrier, last.iter().map(|covered| covered.receipt).collect(), secret)?;
        let mut issuers: Vec<Address> = last.iter().map(|covered| covered.ticket.body.issuer).collect();
        issuers.sort_unstable();
        issuers.dedup();
        let of = |covered: &Covered| {
            let Ticket { slice, bytes_max, channel_total, session_total, issuer, .. } = covered.ticket.body;
            let index = issuers.binary_search(&issuer).ok().and_then(|index| u16::try_from(index).ok());
            // A claim has fewer receipts than an index can count.
            let issuer = index.unwrap_or(u16::MAX);
            LastTicket { issuer, slice, bytes_max, channel_total, session_total, signature: covered.ticket.signature }
        };
        let tickets = last.iter().map(of).collect();
        let issuers = issuers.into_iter().map(|issuer| Ok((issuer, issuer_key(&issuer).ok_or(ClaimError::IssuerKey { issuer })?)));
        Ok(Self { claim, issuers: issuers.collect::<Result<_, ClaimError>>()?, tickets })
    }

    /// Checks order, sizes, that each receipt is within its channel's tickets, and every signature, in one batch. Whether the issuers are the homes of these
    /// sessions, and the keys theirs, is for who knows them.
    ///
    /// # Errors
    /// [`ClaimError`]. A wrong signature is not searched for: the search would cost whoever receives a claim more than who sends it.
    pub fn verify(&self, chain: Hash, carrier_key: &PublicKey) -> Result<VerifiedClaim, ClaimError> {
        let Self { claim, issuers, tickets } = self;
        if claim.receipts.len() != tickets.len() {
            return Err(ClaimError::Tickets { receipts: claim.receipts.len(), tickets: tickets.len() });
        }
        // More issuers than tickets would only be work for us.
        if issuers.len() > tickets.len() || !issuers.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(ClaimError::Issuer { index: 0 });
        }
        let mut batch = Batch::new();
        let (signed, receipts) = claim.push(chain, carrier_key, &mut batch)?;
        let context = Context::new(Ticket::ROLE, chain);
        let keys = issuers.iter().map(|(issuer, key)| key.decode().map_err(|_| ClaimError::IssuerKey { issuer: *issuer })).collect::<Result<Vec<_>, _>>()?;
        let mut whole = Vec::with_capacity(tickets.len());
        for (index, (ticket, receipt)) in tickets.iter().zip(&receipts).enumerate() {
            let LastTicket { issuer, slice, bytes_max, channel_total, session_total, signature } = *ticket;
            let Receipt { epoch, class, payer, session, carrier, bytes, .. } = receipt.body;
            if bytes > channel_total {
                return Err(ClaimError::BeyondTickets { index, bytes, ticketed: channel_total });
            }
            let at = usize::from(issuer);
            let ((issuer, _), key) = issuers.get(at).zip(keys.get(at)).ok_or(ClaimError::Issuer { index })?;
            let body = Ticket { chain, epoch, payer, session, carrier, class, slice, bytes_max, channel_total, session_total, issuer: *issuer };
            batch.push(key, &context, &encoding::encode(&body), &signature);
            whole.push(Signed { body, signature });
        }
        if !batch.verify() {
            return Err(ClaimError::Signature { carrier: claim.carrier });
        }
        let (receipts, tickets) = (receipts.into_iter().map(Verified::of_batch).collect(), whole.into_iter().map(Verified::of_batch).collect());
        Ok(VerifiedClaim { claim: Verified::of_batch(signed), receipts, tickets, issuers: issuers.clone() })
    }
}
