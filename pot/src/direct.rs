//! Direct claim: a carrier whose claim no report holds brings it to the value ledger itself.
//!
//! It brings what a report would have shown of it, with every signature whole, and proves what the metadata ledger had reserved for it. The reservation is
//! what keeps this from being a second purse: a payer and a carrier who are one could otherwise sign receipts for ozone that the payer has promised to
//! others. The last tickets come with it, as on the metadata ledger ([`crate::claim::CoveredClaim`]), so that it takes no more of the reservation than its
//! home allowed this carrier.

use std::collections::BTreeMap;

use primitives::{Address, Epoch, Hash, Noz, PublicKey};

use crate::claim::{ClaimError, CoveredClaim, VerifiedClaim};
use crate::grant::{self, Grant, GrantError, SignedGrant, Unsigned};

/// What both ledgers say of a session in the epoch of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The wallet's grant to it.
    pub grant: SignedGrant,
    /// What can still be claimed from it.
    pub left: Noz,
    /// Its home: the meta node whose tickets count.
    pub home: Address,
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
    /// Tickets of somebody else than the session's home, or under another key than its.
    #[error("the tickets of the session {session} are issued by {home}, and count under its registered key only")]
    Home {
        /// The session.
        session: PublicKey,
        /// Its home.
        home: Address,
    },
    /// The wallet's grant does not hold.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The claim does not hold by itself.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// Checks a claim that no report holds: what is left of its sessions' reservations, whose tickets cover it, their grants, and every signature. `standing`
/// says what is known of a session that a payer is said to have, `issuer_key` with which key a meta node signs tickets.
///
/// # Errors
/// [`DirectError`], cheapest cause first.
pub fn verify(
    covered: &CoveredClaim,
    chain: Hash,
    carrier_key: &PublicKey,
    standing: impl Fn(&Address, &PublicKey) -> Option<Standing>,
    issuer_key: impl Fn(&Address) -> Option<PublicKey>,
) -> Result<VerifiedClaim, DirectError> {
    let claim = &covered.claim;
    let epoch = claim.epoch;
    let mut asked: BTreeMap<(Address, PublicKey), Noz> = BTreeMap::new();
    for receipt in &claim.receipts {
        let sum = asked.entry((receipt.payer, receipt.session)).or_default();
        *sum = sum.saturating_add(Noz(receipt.bytes.into()));
    }
    let mut grants = Vec::with_capacity(asked.len());
    let mut homes = BTreeMap::new();
    for ((payer, session), asked) in asked {
        let Standing { grant, left, home } = standing(&payer, &session).ok_or(DirectError::Unreserved { payer, session, epoch })?;
        if (grant.grant.payer, grant.grant.session) != (payer, session) {
            return Err(DirectError::Unreserved { payer, session, epoch });
        }
        if asked > left {
            return Err(DirectError::Left { payer, session, asked, left });
        }
        grants.push(grant);
        homes.insert(session, home);
    }
    for (receipt, ticket) in claim.receipts.iter().zip(&covered.tickets) {
        let home = homes.get(&receipt.session).copied().unwrap_or_default();
        let issuer = covered.issuers.get(usize::from(ticket.issuer));
        if issuer.is_none_or(|(issuer, key)| *issuer != home || issuer_key(issuer) != Some(*key)) {
            return Err(DirectError::Home { session: receipt.session, home });
        }
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
    Ok(covered.verify(chain, carrier_key)?)
}

#[cfg(test)]
mod tests {
    use primitives::encoding;

    use super::*;
    use crate::samples::{CHAIN, carrier, carrier_address, covered, grant_of, issuer_address, issuer_key, receipt_of, session_of, wallet};
    use crate::{Class, Receipt, Verified};

    fn claimed(receipts: Vec<Verified<Receipt>>) -> CoveredClaim {
        covered(carrier_address(), receipts, &carrier())
    }

    fn standing_of(grant: SignedGrant, left: Noz) -> Option<Standing> {
        Some(Standing { grant, left, home: issuer_address() })
    }

    fn two_classes() -> CoveredClaim {
        claimed(vec![receipt_of(1, Class::Upload, 60, b"a"), receipt_of(1, Class::Download, 40, b"a"), receipt_of(2, Class::Stream, 7, b"b")])
    }

    fn check(claim: &CoveredClaim, left: Noz) -> Result<VerifiedClaim, DirectError> {
        let standing = |payer: &Address, _: &PublicKey| {
            let (number, salt): (u8, &[u8]) = if *payer == wallet(1).address() { (1, b"a") } else { (2, b"b") };
            standing_of(grant_of(number, salt), left)
        };
        verify(claim, CHAIN, &carrier().public(), standing, issuer_key)
    }

    #[test]
    fn all_of_what_is_left_and_no_more() {
        assert_eq!(check(&two_classes(), Noz(100)).expect("it fits").claim.noz, Noz(107), "a session's classes count together");
        let session = session_of(1, b"a").public();
        assert_eq!(check(&two_classes(), Noz(99)), Err(DirectError::Left { payer: wallet(1).address(), session, asked: Noz(100), left: Noz(99) }));
        let unreserved = verify(&two_classes(), CHAIN, &carrier().public(), |_, _| None, issuer_key);
        assert!(matches!(unreserved, Err(DirectError::Unreserved { epoch: Epoch(3), .. })));
    }

    /// Somebody else's reservation and grant are no standing.
    #[test]
    fn a_grant_is_of_its_payer_and_session() {
        for (number, salt) in [(1u8, b"b"), (2, b"a"), (2, b"b")] {
            let claim = claimed(vec![receipt_of(1, Class::Upload, 60, b"a")]);
            let refused = verify(&claim, CHAIN, &carrier().public(), |_, _| standing_of(grant_of(number, salt), Noz(1000)), issuer_key);
            assert!(matches!(refused, Err(DirectError::Unreserved { .. })), "{number} {salt:?}");
        }
    }

    #[test]
    fn tickets_are_the_homes_own() {
        let claim = claimed(vec![receipt_of(1, Class::Upload, 60, b"a")]);
        let session = session_of(1, b"a").public();
        let check = |home: Address, key: Option<PublicKey>| {
            verify(&claim, CHAIN, &carrier().public(), |_, _| Some(Standing { grant: grant_of(1, b"a"), left: Noz(1000), home }), |_| key)
        };
        let (home, other) = (issuer_address(), Address([8; 20]));
        assert!(check(home, issuer_key(&home)).is_ok());
        assert_eq!(check(other, issuer_key(&home)), Err(DirectError::Home { session, home: other }));
        assert_eq!(check(home, None), Err(DirectError::Home { session, home }));
        assert_eq!(check(home, Some(carrier().public())), Err(DirectError::Home { session, home }));
    }

    #[test]
    fn every_signature_counts() {
        let standing = |grant: SignedGrant| move |_: &Address, _: &PublicKey| standing_of(grant, Noz(1000));
        let claim = claimed(vec![receipt_of(1, Class::Upload, 60, b"a")]);
        let good = grant_of(1, b"a");
        assert!(verify(&claim, CHAIN, &carrier().public(), standing(good), issuer_key).is_ok());
        let (mut unsigned, mut unpossessed) = (good, good);
        unsigned.signature.0[3] ^= 1;
        unpossessed.possession.0[3] ^= 1;
        assert!(matches!(verify(&claim, CHAIN, &carrier().public(), standing(unsigned), issuer_key), Err(DirectError::Grant(GrantError::Signature { .. }))));
        assert!(matches!(
            verify(&claim, CHAIN, &carrier().public(), standing(unpossessed), issuer_key),
            Err(DirectError::Grant(GrantError::Possession { .. }))
        ));
        assert!(matches!(verify(&claim, Hash::ZERO, &carrier().public(), standing(good), issuer_key), Err(DirectError::Grant(GrantError::Chain { .. }))));
        for byte in 0..encoding::encode(&claim).len() {
            let mut bytes = encoding::encode(&claim);
            bytes[byte] ^= 0x10;
            let Ok(changed) = encoding::decode::<CoveredClaim>(&bytes, 1 << 16) else { continue };
            assert!(verify(&changed, CHAIN, &carrier().public(), standing(good), issuer_key).is_err(), "byte {byte}");
        }
    }
}
