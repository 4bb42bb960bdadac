//! Evidence: two signatures of one member that no honest member can have made.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Epoch, Hash};

use crate::members::Members;
use crate::vote::{SignedVote, conflicts};

/// Two conflicting votes of one signer, the smaller vote first, so that one offence has one encoding.
///
/// The constructor cannot build a pair that does not conflict; what was decoded is checked by [`Evidence::is_valid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Evidence {
    first: SignedVote,
    second: SignedVote,
}

impl Evidence {
    /// The pair, or `None` if the signers differ or the votes do not conflict. Signatures are not looked at.
    pub fn new(a: SignedVote, b: SignedVote) -> Option<Self> {
        if a.signer != b.signer || !conflicts(&a.vote, &b.vote) {
            return None;
        }
        let (first, second) = if a.vote < b.vote { (a, b) } else { (b, a) };
        Some(Self { first, second })
    }

    /// Index of the member that signed both.
    pub fn signer(&self) -> u16 {
        self.first.signer
    }

    /// The epoch both are of: it fixes whom the index names.
    pub fn epoch(&self) -> Epoch {
        self.first.vote.epoch
    }

    /// Both votes, in canonical order.
    pub fn votes(&self) -> [SignedVote; 2] {
        [self.first, self.second]
    }

    /// Whether both signatures are valid, the votes conflict and stand in canonical order.
    pub fn is_valid(&self, chain: Hash, members: &Members) -> bool {
        Self::new(self.first, self.second) == Some(*self) && self.votes().iter().all(|vote| vote.is_valid(chain, members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::Member;
    use crate::vote::{Kind, Vote};
    use primitives::{SecretKey, View};

    #[test]
    fn only_conflicts_of_one_signer() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let members = Members::new(vec![Member { key: secret.public(), weight: 1 }]).expect("valid");
        let sign = |kind| Vote { epoch: Epoch(0), view: View(3), kind }.sign(&secret, Hash::ZERO, members.hash(), 0);
        let (nullify, finalize, notarize) = (sign(Kind::Nullify), sign(Kind::Finalize(Hash::ZERO)), sign(Kind::Notarize(Hash::ZERO)));
        let evidence = Evidence::new(finalize, nullify).expect("a conflict");
        assert_eq!(Evidence::new(nullify, finalize), Some(evidence), "one encoding whichever came first");
        assert!(evidence.is_valid(Hash::ZERO, &members));
        assert!(!evidence.is_valid(Hash([1; 32]), &members));
        assert_eq!(Evidence::new(notarize, nullify), None);
        assert_eq!(Evidence::new(SignedVote { signer: 1, ..finalize }, nullify), None);
        assert!(!Evidence { first: finalize, second: nullify }.is_valid(Hash::ZERO, &members), "wrong order");
        assert!(!Evidence { first: notarize, second: nullify }.is_valid(Hash::ZERO, &members), "no conflict");
        let mut forged = finalize;
        forged.signature.0[5] ^= 1;
        assert!(!Evidence::new(forged, nullify).expect("a conflict").is_valid(Hash::ZERO, &members), "every signature is checked");
    }
}
