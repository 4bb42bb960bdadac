//! Trust as a type: bytes become a [`Signed`] object by decoding, and a [`Verified`] one only by checking its signature.

use std::ops::Deref;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{self, DecodeError};
use primitives::schnorr::KeyError;
use primitives::{Context, Hash, PublicKey, SecretKey, Signature};

/// Longest encoding of any signed object here; they have fixed sizes, the longest is 440 bytes.
pub const SIGNED_BYTES_MAX: usize = 512;

/// A kind of object that a node or a session signs on its own.
pub trait Object: BorshSerialize + BorshDeserialize {
    /// The role of the signing context: one per kind, so that a signature over one kind is never one over another.
    const ROLE: &'static str;

    /// Genesis hash of the value ledger that the object is for.
    fn chain(&self) -> Hash;
}

/// An object with a signature that nobody has checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Signed<T> {
    /// What was signed: the signature covers its canonical encoding.
    pub body: T,
    /// The signature.
    pub signature: Signature,
}

/// Why a signed object is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Made for another network.
    #[error("a {role} for the chain {found:?}, but this is {expected:?}")]
    Chain {
        /// Kind of the object.
        role: &'static str,
        /// Our genesis hash.
        expected: Hash,
        /// The object's.
        found: Hash,
    },
    /// The signer's key is not a key.
    #[error("a {role} whose signer has no usable key: {cause}")]
    Key {
        /// Kind of the object.
        role: &'static str,
        /// What is wrong with the key.
        cause: KeyError,
    },
    /// The signature is not this key's over this object.
    #[error("the signature of the {role} is not that of the key {key:?}")]
    Signature {
        /// Kind of the object.
        role: &'static str,
        /// The key that should have signed.
        key: PublicKey,
    },
}

impl<T: Object> Signed<T> {
    /// Signs `body` for its own chain.
    pub fn sign(body: T, secret: &SecretKey) -> Self {
        let signature = secret.sign(&Context::new(T::ROLE, body.chain()), &encoding::encode(&body));
        Self { body, signature }
    }

    /// Reads a signed object.
    ///
    /// # Errors
    /// [`DecodeError`] for more than [`SIGNED_BYTES_MAX`] bytes, malformed or trailing bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode(bytes, SIGNED_BYTES_MAX)
    }

    /// Checks that this is `key`'s signature over the body, made for `chain`.
    ///
    /// # Errors
    /// [`SignedError`], cheapest cause first.
    pub fn verify(self, chain: Hash, key: &PublicKey) -> Result<Verified<T>, SignedError> {
        let found = self.body.chain();
        if found != chain {
            return Err(SignedError::Chain { role: T::ROLE, expected: chain, found });
        }
        let verifier = key.decode().map_err(|cause| SignedError::Key { role: T::ROLE, cause })?;
        if !verifier.verify(&Context::new(T::ROLE, chain), &encoding::encode(&self.body), &self.signature) {
            return Err(SignedError::Signature { role: T::ROLE, key: *key });
        }
        Ok(Verified { signed: self })
    }
}

/// An object whose signature was checked. Only a `verify` makes one, and only these reach a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    signed: Signed<T>,
}

impl<T> Verified<T> {
    /// For objects whose signature was checked in a batch.
    pub(crate) fn of_batch(signed: Signed<T>) -> Self {
        Self { signed }
    }

    /// The object with its signature, to keep or to hand on.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.signed.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CHAIN, carrier, channel, session};
    use crate::{Receipt, StorageAck, Ticket};
    use primitives::{Address, Epoch};
    use proptest::prelude::*;

    fn receipt() -> Receipt {
        Receipt::new(CHAIN, channel(), 1000)
    }

    #[test]
    fn only_the_signer_on_its_chain() {
        let signed = Signed::sign(receipt(), &session());
        assert!(signed.verify(CHAIN, &session().public()).is_ok());
        assert!(matches!(signed.verify(Hash([9; 32]), &session().public()), Err(SignedError::Chain { role: "receipt", .. })));
        assert!(matches!(signed.verify(CHAIN, &carrier().public()), Err(SignedError::Signature { role: "receipt", .. })));
        assert!(matches!(signed.verify(CHAIN, &PublicKey([0; 32])), Err(SignedError::Key { .. })));
        assert!(matches!(signed.verify(CHAIN, &PublicKey([255; 32])), Err(SignedError::Key { .. })));
    }

    /// A signature over one kind is not one over another, even for equal bytes.
    #[test]
    fn roles_are_apart() {
        let of_objects = [Receipt::ROLE, Ticket::ROLE, StorageAck::ROLE, crate::Claim::ROLE, crate::Allowance::ROLE];
        let others = [crate::grant::ROLE, crate::grant::POSSESSION_ROLE, crate::ticket::PRESENTED_ROLE];
        let roles = [&of_objects[..], &others].concat();
        let distinct: std::collections::BTreeSet<&str> = roles.iter().copied().collect();
        assert_eq!(distinct.len(), roles.len());
    }

    /// The wire formats: changing one of these lines is a fork.
    #[test]
    fn golden_encodings() {
        let ack = StorageAck { chain: Hash([1; 32]), epoch: Epoch(2), carrier: Address([3; 20]), slice: Hash([4; 32]), bytes: 5 };
        let one = "01".repeat(32);
        assert_eq!(hex::encode(encoding::encode(&ack)), format!("{one}0200000000000000{}{}0500000000000000", "03".repeat(20), "04".repeat(32)));
        let receipt = Receipt {
            chain: Hash([1; 32]),
            epoch: Epoch(2),
            class: crate::Class::Stream,
            payer: Address([3; 20]),
            session: PublicKey([4; 32]),
            carrier: Address([5; 20]),
            bytes: 6,
        };
        let golden = format!("{one}020000000000000002{}{}{}0600000000000000", "03".repeat(20), "04".repeat(32), "05".repeat(20));
        assert_eq!(hex::encode(encoding::encode(&receipt)), golden);
        let ticket = Ticket {
            chain: Hash([1; 32]),
            epoch: Epoch(2),
            payer: Address([4; 20]),
            session: PublicKey([5; 32]),
            carrier: Address([6; 20]),
            class: crate::Class::Download,
            slice: Hash([7; 32]),
            bytes_max: 8,
            channel_total: 9,
            session_total: primitives::Noz(10),
            issuer: Address([9; 20]),
        };
        let golden = format!(
            "{one}0200000000000000{}{}{}01{}080000000000000009000000000000000a000000000000000000000000000000{}",
            "04".repeat(20),
            "05".repeat(32),
            "06".repeat(20),
            "07".repeat(32),
            "09".repeat(20)
        );
        assert_eq!(hex::encode(encoding::encode(&ticket)), golden);
        let signature = session().sign_deterministic(&Context::new(Receipt::ROLE, receipt.chain), &encoding::encode(&receipt));
        assert_eq!(Hash::of("golden", &[&signature.0]).to_string(), "41b2c4b38b9f654083e5d03880c6ffe1a8dae0e24970c2fbe8d9fffb23808dde");
    }

    proptest! {
        #[test]
        fn any_flip_is_refused(bit in 0..(8 * 185usize)) {
            let mut bytes = encoding::encode(&Signed::sign(receipt(), &session()));
            prop_assert_eq!(bytes.len(), 185);
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The session key is inside the body; the verifier's key is not taken from there.
            if let Ok(signed) = Signed::<Receipt>::decode(&bytes) {
                prop_assert!(signed.verify(CHAIN, &session().public()).is_err());
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(signed) = Signed::<Receipt>::decode(&bytes) {
                prop_assert_eq!(encoding::encode(&signed), bytes.clone());
            }
            let _ = (Signed::<Ticket>::decode(&bytes), Signed::<StorageAck>::decode(&bytes), crate::SignedGrant::decode(&bytes));
        }
    }
}
