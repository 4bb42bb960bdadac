//! Session grant: a wallet lets a hot key spend its ozone, up to a cap, until an epoch.
//!
//! The wallet signs once a day or so; receipts are signed by the session key, which can sit in a program. A stolen session key costs its cap at most.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::batch::Batch;
use primitives::encoding::{self, DecodeError};
use primitives::schnorr::KeyError;
use primitives::{AccountKey, AccountSecret, Address, Context, Epoch, Hash, Noz, PublicKey, SecretKey, Signature, VerifyingKey};

/// Role of the wallet's signature.
pub const ROLE: &str = "grant";
/// Role of the session key's proof of possession.
pub const POSSESSION_ROLE: &str = "session-pop";
/// Longest encoding of a signed grant; it has a fixed size below this.
pub const GRANT_BYTES_MAX: usize = 512;

/// "This session key may spend my ozone, up to `cap` in all, through the epoch `expires`."
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Grant {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// Who pays; the address of `key`.
    pub payer: Address,
    /// The wallet's key.
    pub key: AccountKey,
    /// The key that may sign receipts.
    pub session: PublicKey,
    /// Last epoch in which it may.
    pub expires: Epoch,
    /// Most noz that it may spend in its whole life.
    pub cap: Noz,
}

/// A grant with the wallet's signature and the session key's proof that somebody holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedGrant {
    /// What is granted.
    pub grant: Grant,
    /// The wallet's signature over the grant, role [`ROLE`].
    pub signature: Signature,
    /// The session key's signature over the grant, role [`POSSESSION_ROLE`]: nobody can be granted a key that is another's.
    pub possession: Signature,
}

/// Why a grant is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Made for another network.
    #[error("the grant is for the chain {found:?}, but this is {expected:?}")]
    Chain {
        /// Our genesis hash.
        expected: Hash,
        /// The grant's.
        found: Hash,
    },
    /// Too late.
    #[error("the grant of {payer} expired with epoch {expires}, this is epoch {epoch}")]
    Expired {
        /// Who granted.
        payer: Address,
        /// Its last epoch.
        expires: Epoch,
        /// The epoch in question.
        epoch: Epoch,
    },
    /// The payer is not the account of the key.
    #[error("the grant names the payer {payer}, but its key belongs to {owner}")]
    Payer {
        /// Named.
        payer: Address,
        /// The key's account.
        owner: Address,
    },
    /// The session key is no key.
    #[error("the session key of {payer}'s grant is not usable: {cause}")]
    Session {
        /// Who granted.
        payer: Address,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// The wallet did not sign this.
    #[error("the wallet of {payer} did not sign this grant")]
    Signature {
        /// Who is said to have granted.
        payer: Address,
    },
    /// The session key did not sign this.
    #[error("the session key {session:?} does not prove its possession in the grant of {payer}")]
    Possession {
        /// Who granted.
        payer: Address,
        /// The key.
        session: PublicKey,
    },
}

impl SignedGrant {
    /// Signs a grant with both keys.
    pub fn sign(chain: Hash, wallet: &AccountSecret, session: &SecretKey, expires: Epoch, cap: Noz) -> Self {
        let grant = Grant { chain, payer: wallet.address(), key: wallet.key(), session: session.public(), expires, cap };
        let message = encoding::encode(&grant);
        let possession = session.sign(&Context::new(POSSESSION_ROLE, chain), &message);
        Self { grant, signature: wallet.sign(ROLE, chain, &message), possession }
    }

    /// Reads a signed grant.
    ///
    /// # Errors
    /// [`DecodeError`] for more than [`GRANT_BYTES_MAX`] bytes, malformed or trailing bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode(bytes, GRANT_BYTES_MAX)
    }

    /// Everything but the two signatures: chain, expiry, the payer's address, a usable session key.
    pub(crate) fn check(&self, chain: Hash, epoch: Epoch) -> Result<VerifyingKey, GrantError> {
        let Grant { chain: found, payer, key, session, expires, cap: _ } = self.grant;
        if found != chain {
            return Err(GrantError::Chain { expected: chain, found });
        }
        if expires < epoch {
            return Err(GrantError::Expired { payer, expires, epoch });
        }
        let owner = key.address();
        if owner != payer {
            return Err(GrantError::Payer { payer, owner });
        }
        session.decode().map_err(|cause| GrantError::Session { payer, cause })
    }

    /// Checks that this grant is good on `chain` in `epoch`.
    ///
    /// # Errors
    /// [`GrantError`], cheapest cause first.
    pub fn verify(self, chain: Hash, epoch: Epoch) -> Result<VerifiedGrant, GrantError> {
        let session = self.check(chain, epoch)?;
        let (payer, message) = (self.grant.payer, encoding::encode(&self.grant));
        if !session.verify(&Context::new(POSSESSION_ROLE, chain), &message, &self.possession) {
            return Err(GrantError::Possession { payer, session: self.grant.session });
        }
        if !self.grant.key.verify(ROLE, chain, &message, &self.signature) {
            return Err(GrantError::Signature { payer });
        }
        Ok(VerifiedGrant { signed: self })
    }
}

/// A grant whose two signatures were checked, good in the epoch it was checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedGrant {
    signed: SignedGrant,
}

impl VerifiedGrant {
    /// What is granted.
    pub fn grant(&self) -> &Grant {
        &self.signed.grant
    }

    /// The grant with its signatures, to keep or to hand on.
    pub fn signed(&self) -> &SignedGrant {
        &self.signed
    }
}

/// Grants that were not signed, by their positions.
pub(crate) struct Unsigned {
    /// Whose wallet did not sign.
    pub grants: Vec<usize>,
    /// Whose session key did not.
    pub sessions: Vec<usize>,
}

/// Whose signature a position of the batch is.
enum Signer {
    Wallet(usize),
    Session(usize),
}

/// The grants that wallets or `sessions`, which are theirs, did not sign; the Schnorr signatures in one batch.
pub(crate) fn unsigned(signed: &[SignedGrant], chain: Hash, sessions: &[VerifyingKey]) -> Unsigned {
    let (mut batch, mut signers) = (Batch::new(), Vec::new());
    let mut grants = Vec::new();
    let (possession, wallet) = (Context::new(POSSESSION_ROLE, chain), Context::new(ROLE, chain));
    for (index, (SignedGrant { grant, signature, possession: proof }, session)) in signed.iter().zip(sessions).enumerate() {
        let message = encoding::encode(grant);
        batch.push(session, &possession, &message, proof);
        signers.push(Signer::Session(index));
        match grant.key {
            AccountKey::Ristretto(key) => match key.decode() {
                Ok(key) => {
                    batch.push(&key, &wallet, &message, signature);
                    signers.push(Signer::Wallet(index));
                }
                Err(_) => grants.push(index),
            },
            // Another curve: one by one.
            AccountKey::Ed25519(_) => {
                if !grant.key.verify(ROLE, chain, &message, signature) {
                    grants.push(index);
                }
            }
        }
    }
    let mut sessions = Vec::new();
    for signer in batch.culprits().into_iter().filter_map(|position| signers.get(position)) {
        match signer {
            Signer::Wallet(index) => grants.push(*index),
            Signer::Session(index) => sessions.push(*index),
        }
    }
    grants.sort_unstable();
    Unsigned { grants, sessions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CHAIN, session, wallet};
    use proptest::prelude::*;

    fn signed() -> SignedGrant {
        SignedGrant::sign(CHAIN, &wallet(1), &session(), Epoch(5), Noz(100))
    }

    #[test]
    fn good_until_it_expires_for_both_kinds_of_wallet() {
        let ed25519 = AccountSecret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[1; 32])));
        for wallet in [wallet(1), ed25519] {
            let signed = SignedGrant::sign(CHAIN, &wallet, &session(), Epoch(5), Noz(100));
            assert_eq!(signed.verify(CHAIN, Epoch(5)).expect("good").grant().payer, wallet.address());
            assert_eq!(signed.verify(CHAIN, Epoch(6)), Err(GrantError::Expired { payer: wallet.address(), expires: Epoch(5), epoch: Epoch(6) }));
            assert!(matches!(signed.verify(Hash([7; 32]), Epoch(5)), Err(GrantError::Chain { .. })));
        }
    }

    #[test]
    fn a_grant_is_named_for_what_is_wrong_with_it() {
        let good = signed();
        let mut other = good;
        other.grant.payer = wallet(2).address();
        assert!(matches!(other.verify(CHAIN, Epoch(0)), Err(GrantError::Payer { .. })));
        let mut other = good;
        other.grant.session = PublicKey([0; 32]);
        assert!(matches!(other.verify(CHAIN, Epoch(0)), Err(GrantError::Session { .. })));
        // A key of somebody else: the wallet signs, but the key does not prove its possession.
        let mut other = good;
        other.grant.session = SecretKey::from_seed(&[77; 32]).public();
        other.signature = wallet(1).sign(ROLE, CHAIN, &encoding::encode(&other.grant));
        assert!(matches!(other.verify(CHAIN, Epoch(0)), Err(GrantError::Possession { .. })));
        // The session raises its own cap: it can sign, the wallet did not.
        let mut other = good;
        other.grant.cap = Noz(101);
        other.possession = session().sign(&Context::new(POSSESSION_ROLE, CHAIN), &encoding::encode(&other.grant));
        assert!(matches!(other.verify(CHAIN, Epoch(0)), Err(GrantError::Signature { .. })));
    }

    #[test]
    fn golden_encoding() {
        let grant = Grant {
            chain: Hash([1; 32]),
            payer: Address([2; 20]),
            key: AccountKey::Ristretto(PublicKey([3; 32])),
            session: PublicKey([4; 32]),
            expires: Epoch(5),
            cap: Noz(6),
        };
        let golden =
            format!("{}{}00{}{}0500000000000000{}", "01".repeat(32), "02".repeat(20), "03".repeat(32), "04".repeat(32), "06000000000000000000000000000000");
        assert_eq!(hex::encode(encoding::encode(&grant)), golden);
    }

    proptest! {
        #[test]
        fn any_flip_is_refused(bit in 0..(8 * 269usize)) {
            let mut bytes = encoding::encode(&signed());
            prop_assert_eq!(bytes.len(), 269);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!SignedGrant::decode(&bytes).is_ok_and(|signed| signed.verify(CHAIN, Epoch(5)).is_ok()));
        }
    }
}
