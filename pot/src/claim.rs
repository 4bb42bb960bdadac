//! Claim: the carrier's counter-signature of everything it asks for in an epoch.
//!
//! The signed body never travels: it is derived from the receipts, so there is no second copy that could disagree with them. The Merkle leaves are the
//! receipts without their signatures, because a report carries those in aggregated form.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::batch::Batch;
use primitives::encoding;
use primitives::schnorr::KeyError;
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey, SecretKey, Signature, merkle};

use crate::object::{Object, Signed, Verified};
use crate::receipt::{Channel, Class, Receipt};

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

/// A claim as it travels: the receipts it is derived from and the carrier's signature.
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
    /// A payer did not sign what is claimed, or the carrier did not sign the claim.
    #[error("the claim of {carrier} or a receipt in it has a wrong signature")]
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

    /// Checks order, sizes and every signature, in one batch. Whether the sessions may spend that much is for who knows their grants.
    ///
    /// # Errors
    /// [`ClaimError`], cheapest cause first. A wrong signature is not searched for: the search would cost whoever receives a claim more than who sends it.
    pub fn verify(&self, chain: Hash, carrier_key: &PublicKey) -> Result<VerifiedClaim, ClaimError> {
        if self.receipts.len() > CLAIM_ENTRIES_MAX {
            return Err(ClaimError::TooMany { count: self.receipts.len() });
        }
        let signed: Vec<Signed<Receipt>> = self.signed_receipts(chain).collect();
        let bodies: Vec<Receipt> = signed.iter().map(|receipt| receipt.body).collect();
        let claim = Claim::over(chain, self.epoch, self.carrier, &bodies)?;
        let key = carrier_key.decode().map_err(|cause| ClaimError::Carrier { carrier: self.carrier, cause })?;
        let mut batch = Batch::new();
        let context = Context::new(Receipt::ROLE, chain);
        for (index, receipt) in signed.iter().enumerate() {
            let session = receipt.body.session.decode().map_err(|cause| ClaimError::Session { index, cause })?;
            batch.push(&session, &context, &encoding::encode(&receipt.body), &receipt.signature);
        }
        batch.push(&key, &Context::new(Claim::ROLE, chain), &encoding::encode(&claim), &self.signature);
        if !batch.verify() {
            return Err(ClaimError::Signature { carrier: self.carrier });
        }
        let receipts = signed.into_iter().map(Verified::of_batch).collect();
        Ok(VerifiedClaim { claim: Verified::of_batch(Signed { body: claim, signature: self.signature }), receipts })
    }
}

/// A claim whose every signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaim {
    /// What the carrier signed.
    pub claim: Verified<Claim>,
    /// What the payers signed, in channel order.
    pub receipts: Vec<Verified<Receipt>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CHAIN, carrier, carrier_address, receipt_of};
    use proptest::prelude::*;

    fn receipts(count: u8) -> Vec<Verified<Receipt>> {
        (0..count).map(|index| receipt_of(index % 5, Class::Download, 100 + u64::from(index), &index.to_le_bytes())).collect()
    }

    fn claimed(count: u8) -> ClaimedReceipts {
        ClaimedReceipts::sign(CHAIN, Epoch(3), carrier_address(), receipts(count), &carrier()).expect("valid")
    }

    #[test]
    fn a_claim_counts_what_was_signed() {
        let verified = claimed(7).verify(CHAIN, &carrier().public()).expect("valid");
        assert_eq!((verified.claim.count, verified.claim.noz), (7, Noz((100..107).sum())));
        assert_eq!(verified.receipts.len(), 7);
    }

    #[test]
    fn a_claim_is_named_for_what_is_wrong_with_it() {
        let (good, key) = (claimed(7), carrier().public());
        let error = |claim: &ClaimedReceipts| claim.verify(CHAIN, &key).expect_err("wrong");
        let mut other = good.clone();
        other.receipts.swap(2, 3);
        assert_eq!(error(&other), ClaimError::Order { index: 3 });
        let mut other = good.clone();
        other.receipts[4] = other.receipts[3];
        assert_eq!(error(&other), ClaimError::Order { index: 4 });
        let mut other = good.clone();
        other.receipts[1].bytes = 0;
        assert_eq!(error(&other), ClaimError::Zero { index: 1 });
        let mut other = good.clone();
        other.receipts[5].bytes += 1;
        assert_eq!(error(&other), ClaimError::Signature { carrier: carrier_address() });
        let mut other = good.clone();
        other.receipts.pop();
        assert_eq!(error(&other), ClaimError::Signature { carrier: carrier_address() });
        let mut other = good.clone();
        other.epoch = Epoch(4);
        assert_eq!(error(&other), ClaimError::Signature { carrier: carrier_address() });
        let mut other = good.clone();
        other.receipts.clear();
        assert_eq!(error(&other), ClaimError::Empty { carrier: carrier_address(), epoch: Epoch(3) });
        let mut other = good.clone();
        other.receipts = vec![other.receipts[0]; CLAIM_ENTRIES_MAX + 1];
        assert_eq!(error(&other), ClaimError::TooMany { count: CLAIM_ENTRIES_MAX + 1 });
        assert!(good.verify(Hash([9; 32]), &key).is_err());
    }

    #[test]
    fn golden_encoding() {
        let claim = Claim { chain: Hash([1; 32]), epoch: Epoch(2), carrier: Address([3; 20]), root: Hash([4; 32]), count: 5, noz: Noz(6) };
        let golden = format!("{}0200000000000000{}{}05000000{}", "01".repeat(32), "03".repeat(20), "04".repeat(32), "06000000000000000000000000000000");
        assert_eq!(hex::encode(encoding::encode(&claim)), golden);
        assert_eq!(encoding::encode(&claimed(1)).len(), 8 + 20 + 4 + 125 + 64);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(claim) = encoding::decode::<ClaimedReceipts>(&bytes, bytes.len()) {
                prop_assert!(claim.verify(CHAIN, &carrier().public()).is_err());
            }
        }
    }
}
