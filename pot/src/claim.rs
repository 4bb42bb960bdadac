//! Claim: the carrier's counter-signature of everything it asks for in an epoch.
//!
//! The signed body never travels: it is derived from the receipts, so there is no second copy that could disagree with them. The Merkle leaves are the
//! receipts without their signatures, because a report carries those in aggregated form. What comes to a ledger is a [`CoveredClaim`]: with the last ticket
//! of each channel.

mod covered;

pub use covered::{Covered, CoveredClaim, LastTicket};

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::batch::Batch;
use primitives::encoding;
use primitives::schnorr::KeyError;
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey, SecretKey, Signature, merkle};

use crate::object::{Object, Signed, Verified};
use crate::receipt::{Channel, Class, Receipt};
use crate::ticket::Ticket;

/// Most channels in one claim, so that any claim fits one report part even if every channel brings its own grant.
pub const CLAIM_ENTRIES_MAX: usize = 2048;

/// "These are the last receipts of all my channels of this epoch." Signed by the carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Claim {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The value epoch.
    pub epoch: Epoch,
    /// Who claims.
    pub carrier: Address,
    /// Merkle root over the receipts' encodings in channel order.
    pub root: Hash,
    /// Number of receipts.
    pub count: u32,
    /// Sum of their bytes, as noz.
    pub noz: Noz,
}

impl Object for Claim {
    const ROLE: &'static str = "claim";

    fn chain(&self) -> Hash {
        self.chain
    }
}

/// The last receipt of one channel, without what all receipts of a claim have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LastReceipt {
    /// Who pays.
    pub payer: Address,
    /// The payer's key that signed.
    pub session: PublicKey,
    /// What the bytes are.
    pub class: Class,
    /// All bytes of the channel.
    pub bytes: u64,
    /// The session's signature over the whole receipt.
    pub signature: Signature,
}

impl LastReceipt {
    /// The part of a receipt that a claim carries.
    pub fn of(receipt: &Signed<Receipt>) -> Self {
        let Receipt { class, payer, session, bytes, .. } = receipt.body;
        Self { payer, session, class, bytes, signature: receipt.signature }
    }

    /// The whole receipt again.
    pub fn to_receipt(self, chain: Hash, epoch: Epoch, carrier: Address) -> Signed<Receipt> {
        let Self { payer, session, class, bytes, signature } = self;
        Signed { body: Receipt { chain, epoch, class, payer, session, carrier, bytes }, signature }
    }
}

/// The receipts that a claim is derived from and the carrier's signature.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClaimedReceipts {
    /// The value epoch.
    pub epoch: Epoch,
    /// Who claims.
    pub carrier: Address,
    /// Strictly increasing by (payer, session, class).
    pub receipts: Vec<LastReceipt>,
    /// The carrier's signature over the derived [`Claim`].
    pub signature: Signature,
}

/// Why a claim is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A claim over nothing.
    #[error("the claim of {carrier} for epoch {epoch} holds no receipt")]
    Empty {
        /// Who claims.
        carrier: Address,
        /// For when.
        epoch: Epoch,
    },
    /// More than a report part could hold.
    #[error("{count} channels in one claim, at most {CLAIM_ENTRIES_MAX} are allowed")]
    TooMany {
        /// How many came.
        count: usize,
    },
    /// Not strictly increasing: unordered, or a channel twice.
    #[error("receipt {index} is not above the one before it: channels are claimed once, in order")]
    Order {
        /// Position of the receipt.
        index: usize,
    },
    /// A channel without bytes.
    #[error("receipt {index} is for 0 bytes")]
    Zero {
        /// Position of the receipt.
        index: usize,
    },
    /// A receipt of another chain, epoch or carrier.
    #[error("receipt {index} is of another chain, epoch or carrier than the claim")]
    Foreign {
        /// Position of the receipt.
        index: usize,
    },
    /// The session key is no key.
    #[error("the session key of receipt {index} is not usable: {cause}")]
    Session {
        /// Position of the receipt.
        index: usize,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// The carrier's registered key is no key.
    #[error("the key of the carrier {carrier} is not usable: {cause}")]
    Carrier {
        /// Who claims.
        carrier: Address,
        /// What is wrong with its key.
        cause: KeyError,
    },
    /// Not one ticket for each receipt.
    #[error("{tickets} tickets for {receipts} receipts: each receipt needs the last ticket of its channel")]
    Tickets {
        /// How many receipts came.
        receipts: usize,
        /// How many tickets.
        tickets: usize,
    },
    /// An issuer that is not listed, or unordered.
    #[error("the issuers are not strictly increasing, or the ticket of receipt {index} names none of them")]
    Issuer {
        /// Position of the receipt.
        index: usize,
    },
    /// Nobody knows the issuer's key, or it is no key.
    #[error("no usable key of the issuer {issuer} is known")]
    IssuerKey {
        /// Who is said to have issued.
        issuer: Address,
    },
    /// Beyond what the home meta node allowed.
    #[error("receipt {index} is for {bytes} bytes, its channel's tickets allow {ticketed}")]
    BeyondTickets {
        /// Position of the receipt.
        index: usize,
        /// The receipt's bytes.
        bytes: u64,
        /// What the tickets allow.
        ticketed: u64,
    },
    /// A payer, an issuer or the carrier did not sign what is claimed.
    #[error("the claim of {carrier} or a receipt or ticket in it has a wrong signature")]
    Signature {
        /// Who is said to claim.
        carrier: Address,
    },
}

impl Claim {
    /// The claim over `receipts`, which are all of `chain`, `epoch` and `carrier`, in channel order.
    ///
    /// # Errors
    /// [`ClaimError`] for no, too many, unordered, repeated, empty or foreign receipts.
    pub fn over(chain: Hash, epoch: Epoch, carrier: Address, receipts: &[Receipt]) -> Result<Self, ClaimError> {
        if receipts.is_empty() {
            return Err(ClaimError::Empty { carrier, epoch });
        }
        let count = u32::try_from(receipts.len()).ok().filter(|_| receipts.len() <= CLAIM_ENTRIES_MAX);
        let count = count.ok_or(ClaimError::TooMany { count: receipts.len() })?;
        let mut noz: u128 = 0;
        let mut last: Option<Channel> = None;
        for (index, receipt) in receipts.iter().enumerate() {
            if receipt.chain != chain || receipt.epoch != epoch || receipt.carrier != carrier {
                return Err(ClaimError::Foreign { index });
            }
            if receipt.bytes == 0 {
                return Err(ClaimError::Zero { index });
            }
            if last.is_some_and(|last| last >= receipt.channel()) {
                return Err(ClaimError::Order { index });
            }
            last = Some(receipt.channel());
            // 2048 numbers of 64 bits stay far below 128.
            noz = noz.saturating_add(u128::from(receipt.bytes));
        }
        let root = merkle::root(&receipts.iter().map(encoding::encode).collect::<Vec<_>>());
        Ok(Self { chain, epoch, carrier, root, count, noz: Noz(noz) })
    }
}

impl ClaimedReceipts {
    /// Signs a claim over the last receipts of `carrier`'s channels, in any order.
    ///
    /// # Errors
    /// [`ClaimError`] as [`Claim::over`]; signatures of the receipts are not checked again.
    pub fn sign(chain: Hash, epoch: Epoch, carrier: Address, mut last: Vec<Verified<Receipt>>, secret: &SecretKey) -> Result<Self, ClaimError> {
        last.sort_by_key(|receipt| receipt.channel());
        let bodies: Vec<Receipt> = last.iter().map(|receipt| **receipt).collect();
        let claim = Claim::over(chain, epoch, carrier, &bodies)?;
        let receipts = last.iter().map(|receipt| LastReceipt::of(receipt.signed())).collect();
        Ok(Self { epoch, carrier, receipts, signature: Signed::sign(claim, secret).signature })
    }

    /// The receipts as they were signed.
    pub fn signed_receipts(&self, chain: Hash) -> impl Iterator<Item = Signed<Receipt>> + '_ {
        self.receipts.iter().map(move |receipt| receipt.to_receipt(chain, self.epoch, self.carrier))
    }

    /// Checks order and sizes, and adds every signature to `batch`. What the carrier and the payers signed, if the batch verifies.
    fn push(&self, chain: Hash, carrier_key: &PublicKey, batch: &mut Batch) -> Result<(Signed<Claim>, Vec<Signed<Receipt>>), ClaimError> {
        if self.receipts.len() > CLAIM_ENTRIES_MAX {
            return Err(ClaimError::TooMany { count: self.receipts.len() });
        }
        let signed: Vec<Signed<Receipt>> = self.signed_receipts(chain).collect();
        let bodies: Vec<Receipt> = signed.iter().map(|receipt| receipt.body).collect();
        let claim = Claim::over(chain, self.epoch, self.carrier, &bodies)?;
        let key = carrier_key.decode().map_err(|cause| ClaimError::Carrier { carrier: self.carrier, cause })?;
        let context = Context::new(Receipt::ROLE, chain);
        for (index, receipt) in signed.iter().enumerate() {
            let session = receipt.body.session.decode().map_err(|cause| ClaimError::Session { index, cause })?;
            batch.push(&session, &context, &encoding::encode(&receipt.body), &receipt.signature);
        }
        batch.push(&key, &Context::new(Claim::ROLE, chain), &encoding::encode(&claim), &self.signature);
        Ok((Signed { body: claim, signature: self.signature }, signed))
    }
}

/// A claim whose every signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaim {
    /// What the carrier signed.
    pub claim: Verified<Claim>,
    /// What the payers signed, in channel order.
    pub receipts: Vec<Verified<Receipt>>,
    /// What their home meta nodes allowed: the last ticket of each receipt's channel.
    pub tickets: Vec<Verified<Ticket>>,
    /// Who issued them, under which keys they were checked.
    pub issuers: Vec<(Address, PublicKey)>,
}

#[cfg(test)]
mod tests;
