//! A vote: what a member says about one view, signed under the chain, the epoch and the voters.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::encode;
use primitives::{Context, Epoch, Hash, SecretKey, Signature, View};

use crate::members::Members;
use crate::mutants::{self, Mutant};

/// What is said about a view. The hash is a header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Kind {
    /// This block is valid and may be built on.
    Notarize(Hash),
    /// I wait for no block in this view.
    Nullify,
    /// I saw this block notarized and have not nullified.
    Finalize(Hash),
}

impl Kind {
    /// The block spoken for.
    pub fn block(self) -> Option<Hash> {
        match self {
            Self::Notarize(hash) | Self::Finalize(hash) => Some(hash),
            Self::Nullify => None,
        }
    }
}

/// A kind for one view of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// The epoch, which fixes the voters.
    pub epoch: Epoch,
    /// The view, from 1.
    pub view: View,
    /// What is said.
    pub kind: Kind,
}

/// What the signature covers besides its context: the vote and the hash of the voters, so that no vote counts for another set.
#[derive(BorshSerialize)]
struct VoteBody {
    epoch: Epoch,
    members: Hash,
    view: View,
    kind: Kind,
}

impl Vote {
    /// The context of all votes of a chain.
    pub fn context(chain: Hash) -> Context {
        Context::new("simplex-vote", chain)
    }

    /// The bytes that are signed, for voters with hash `members`.
    pub fn sign_bytes(&self, members: Hash) -> Vec<u8> {
        let (epoch, members) = if mutants::is(Mutant::EpochUnsigned) { (Epoch::ZERO, Hash::ZERO) } else { (self.epoch, members) };
        encode(&VoteBody { epoch, members, view: self.view, kind: self.kind })
    }

    /// Signs. Only the signer calls this: it records the vote first.
    pub(crate) fn sign(self, secret: &SecretKey, chain: Hash, members: Hash, signer: u16) -> SignedVote {
        let signature = secret.sign_deterministic(&Self::context(chain), &self.sign_bytes(members));
        SignedVote { vote: self, signer, signature }
    }
}

/// A vote as it travels: the signature may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedVote {
    /// What was said.
    pub vote: Vote,
    /// Index of the signer among the members.
    pub signer: u16,
    /// Its signature.
    pub signature: Signature,
}

impl SignedVote {
    /// Whether the signer is a member and signed this vote on `chain`.
    pub fn is_valid(&self, chain: Hash, members: &Members) -> bool {
        members.key(self.signer).is_some_and(|key| key.verify(&Vote::context(chain), &self.vote.sign_bytes(members.hash()), &self.signature))
    }
}

/// Whether one signer may never sign both: the four conflicts E1 to E4 within one view.
///
/// Legal together are `Notarize(h)` with `Nullify` and `Notarize(h)` with `Finalize(h)`.
pub fn conflicts(a: &Vote, b: &Vote) -> bool {
    if (a.epoch, a.view) != (b.epoch, b.view) {
        return false;
    }
    match (a.kind, b.kind) {
        // E1 and E2: two blocks in one view.
        (Kind::Notarize(a), Kind::Notarize(b)) | (Kind::Finalize(a), Kind::Finalize(b)) => a != b,
        // E3: given up and final.
        (Kind::Nullify, Kind::Finalize(_)) | (Kind::Finalize(_), Kind::Nullify) => true,
        // E4: final, but voted for another. Without it the accountability proof has a hole.
        (Kind::Notarize(a), Kind::Finalize(b)) | (Kind::Finalize(a), Kind::Notarize(b)) => a != b,
        (Kind::Nullify, Kind::Nullify | Kind::Notarize(_)) | (Kind::Notarize(_), Kind::Nullify) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::Member;

    const A: Hash = Hash([0xaa; 32]);
    const B: Hash = Hash([0xbb; 32]);

    fn vote(view: u64, kind: Kind) -> Vote {
        Vote { epoch: Epoch(2), view: View(view), kind }
    }

    #[test]
    fn every_pair() {
        use Kind::{Finalize, Notarize, Nullify};
        let kinds = [Notarize(A), Notarize(B), Nullify, Finalize(A), Finalize(B)];
        let bad = [
            (Notarize(A), Notarize(B)),
            (Finalize(A), Finalize(B)),
            (Nullify, Finalize(A)),
            (Nullify, Finalize(B)),
            (Notarize(A), Finalize(B)),
            (Notarize(B), Finalize(A)),
        ];
        for a in kinds {
            for b in kinds {
                let expected = bad.contains(&(a, b)) || bad.contains(&(b, a));
                assert_eq!(conflicts(&vote(7, a), &vote(7, b)), expected, "{a:?} {b:?}");
                assert!(!conflicts(&vote(7, a), &vote(8, b)));
            }
        }
    }

    #[test]
    fn golden_sign_bytes() {
        let zeros = "00".repeat(7);
        let expected = format!("02{zeros}{}07{zeros}00{}", "cc".repeat(32), "aa".repeat(32));
        assert_eq!(hex(&vote(7, Kind::Notarize(A)).sign_bytes(Hash([0xcc; 32]))), expected);
        assert_eq!(hex(&vote(7, Kind::Nullify).sign_bytes(Hash([0xcc; 32])))[96..], *"01");
    }

    #[test]
    fn golden_signature() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let signed = vote(7, Kind::Finalize(A)).sign(&secret, Hash([0xdd; 32]), Hash([0xcc; 32]), 0);
        assert_eq!(Hash::raw(&[&encode(&signed)]).to_string(), "7a63c7fd4d15636b8407412787486420b4488b403e4dbf5014a445c0343e4bf0");
    }

    #[test]
    fn bound_to_chain_members_and_key() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let members = Members::new(vec![Member { key: secret.public(), weight: 1 }]).expect("valid");
        let others = Members::new(vec![Member { key: secret.public(), weight: 2 }]).expect("valid");
        let signed = vote(7, Kind::Nullify).sign(&secret, A, members.hash(), 0);
        assert!(signed.is_valid(A, &members));
        assert!(!signed.is_valid(B, &members));
        assert!(!signed.is_valid(A, &others));
        assert!(!SignedVote { signer: 1, ..signed }.is_valid(A, &members));
        assert!(!SignedVote { vote: vote(8, Kind::Nullify), ..signed }.is_valid(A, &members));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
