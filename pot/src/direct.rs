//! Direct claim: a carrier whose claim no report holds brings it to the value ledger itself.
//!
//! It brings what a report would have shown of it, with every signature whole, and proves what the metadata ledger had reserved for it. The reservation is what
//! keeps this from being a second purse: a payer and a carrier who are one could otherwise sign receipts for ozone that the payer has promised to others. Tickets are not
//! asked for: they say which meta node allowed a transfer, there is one for each slice, and what they sum to was reserved in one record.

use std::collections::BTreeMap;

use primitives::{Address, Epoch, Hash, Noz, PublicKey};

use crate::claim::{ClaimError, ClaimedReceipts, VerifiedClaim};
use crate::grant::{self, Grant, GrantError, SignedGrant, Unsigned};

/// What both ledgers say of a session in the epoch of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The wallet's grant to it.
    pub grant: SignedGrant,
    /// What can still be claimed from it.
    pub left: Noz,
}

/// Why a direct claim is refused, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectError {
    /// Nothing was reserved.
    #[error("the session {session} of {payer} has reserved nothing in epoch {epoch}, as far as the proof shows")]
    Unreserved {
        /// Who pays.
        payer: Address,
        /// The session.
        session: PublicKey,
        /// The epoch.
        epoch: Epoch,
    },
    /// More than is left.
    #[error("the session {session} of {payer} is asked for {asked} noz, {left} are left of what it reserved and was granted")]
    Left {
        /// Who pays.
        payer: Address,
        /// The session.
        session: PublicKey,
        /// The claim's sum.
        asked: Noz,
        /// What is left.
        left: Noz,
    },
    /// The wallet's grant does not hold.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The claim does not hold by itself.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// Checks a claim that no report holds: what is left of its sessions' reservations, their grants, and every signature. `standing` says what is known of a session
/// that a payer is said to have.
///
/// # Errors
/// [`DirectError`], cheapest cause first.
pub fn verify(
    claim: &ClaimedReceipts,
    chain: Hash,
    carrier_key: &PublicKey,
    standing: impl Fn(&Address, &PublicKey) -> Option<Standing>,
) -> Result<VerifiedClaim, DirectError> {
    let epoch = claim.epoch;
    let mut asked: BTreeMap<(Address, PublicKey), Noz> = BTreeMap::new();
    for receipt in &claim.receipts {
        let sum = asked.entry((receipt.payer, receipt.session)).or_default();
        *sum = sum.saturating_add(Noz(receipt.bytes.into()));
    }
    let mut grants = Vec::with_capacity(asked.len());
    for ((payer, session), asked) in asked {
        let Standing { grant, left } = standing(&payer, &session).ok_or(DirectError::Unreserved { payer, session, epoch })?;
        if (grant.grant.payer, grant.grant.session) != (payer, session) {
            return Err(DirectError::Unreserved { payer, session, epoch });
        }
        if asked > left {
            return Err(DirectError::Left { payer, session, asked, left });
        }
        grants.push(grant);
    }
    let sessions = grants.iter().map(|grant| grant.check(chain, epoch)).collect::<Result<Vec<_>, _>>()?;
    let Unsigned { grants: wallets, sessions } = grant::unsigned(&grants, chain, &sessions);
    let of = |index: &usize| grants.get(*index).map(|signed| signed.grant);
    if let Some(Grant { payer, .. }) = wallets.first().and_then(of) {
        return Err(GrantError::Signature { payer }.into());
    }
    if let Some(Grant { payer, session, .. }) = sessions.first().and_then(of) {
        return Err(GrantError::Possession { payer, session }.into());
    }
    Ok(claim.verify(chain, carrier_key)?)
}

#[cfg(test)]
mod tests {
    use primitives::encoding;

    use super::*;
    use crate::samples::{CHAIN, carrier, carrier_address, grant_of, receipt_of, session_of, wallet};
    use crate::{Class, Receipt, Verified};

    fn claimed(receipts: Vec<Verified<Receipt>>) -> ClaimedReceipts {
        ClaimedReceipts::sign(CHAIN, Epoch(3), carrier_address(), receipts, &carrier()).expect("a claim")
    }

    fn two_classes() -> ClaimedReceipts {
        claimed(vec![receipt_of(1, Class::Upload, 60, b"a"), receipt_of(1, Class::Download, 40, b"a"), receipt_of(2, Class::Stream, 7, b"b")])
    }

    fn check(claim: &ClaimedReceipts, left: Noz) -> Result<VerifiedClaim, DirectError> {
        verify(claim, CHAIN, &carrier().public(), |payer, _| {
            let (number, salt): (u8, &[u8]) = if *payer == wallet(1).address() { (1, b"a") } else { (2, b"b") };
            Some(Standing { grant: grant_of(number, salt), left })
        })
    }

    #[test]
    fn all_of_what_is_left_and_no_more() {
        assert_eq!(check(&two_classes(), Noz(100)).expect("it fits").claim.noz, Noz(107), "a session's classes count together");
        let session = session_of(1, b"a").public();
        assert_eq!(check(&two_classes(), Noz(99)), Err(DirectError::Left { payer: wallet(1).address(), session, asked: Noz(100), left: Noz(99) }));
        let unreserved = verify(&two_classes(), CHAIN, &carrier().public(), |_, _| None);
        assert!(matches!(unreserved, Err(DirectError::Unreserved { epoch: Epoch(3), .. })));
    }

    /// Somebody else's reservation and grant are no standing.
    #[test]
    fn a_grant_is_of_its_payer_and_session() {
        for (number, salt) in [(1u8, b"b"), (2, b"a"), (2, b"b")] {
            let claim = claimed(vec![receipt_of(1, Class::Upload, 60, b"a")]);
            let refused = verify(&claim, CHAIN, &carrier().public(), |_, _| Some(Standing { grant: grant_of(number, salt), left: Noz(1000) }));
            assert!(matches!(refused, Err(DirectError::Unreserved { .. })), "{number} {salt:?}");
        }
    }

    #[test]
    fn every_signature_counts() {
        let standing = |grant: SignedGrant| move |_: &Address, _: &PublicKey| Some(Standing { grant, left: Noz(1000) });
        let claim = claimed(vec![receipt_of(1, Class::Upload, 60, b"a")]);
        let good = grant_of(1, b"a");
        assert!(verify(&claim, CHAIN, &carrier().public(), standing(good)).is_ok());
        let (mut unsigned, mut unpossessed) = (good, good);
        unsigned.signature.0[3] ^= 1;
        unpossessed.possession.0[3] ^= 1;
        assert!(matches!(verify(&claim, CHAIN, &carrier().public(), standing(unsigned)), Err(DirectError::Grant(GrantError::Signature { .. }))));
        assert!(matches!(verify(&claim, CHAIN, &carrier().public(), standing(unpossessed)), Err(DirectError::Grant(GrantError::Possession { .. }))));
        assert!(matches!(verify(&claim, Hash::ZERO, &carrier().public(), standing(good)), Err(DirectError::Grant(GrantError::Chain { .. }))));
        for byte in 0..encoding::encode(&claim).len() {
            let mut bytes = encoding::encode(&claim);
            bytes[byte] ^= 0x10;
            let Ok(changed) = encoding::decode::<ClaimedReceipts>(&bytes, 1 << 16) else { continue };
            assert!(verify(&changed, CHAIN, &carrier().public(), standing(good)).is_err(), "byte {byte}");
        }
    }
}
