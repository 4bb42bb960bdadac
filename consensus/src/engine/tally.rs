//! The votes of one view, counted.

use std::collections::{BTreeMap, BTreeSet};

use primitives::{Hash, Signature};

use crate::certificate::Certificate;
use crate::evidence::Evidence;
use crate::members::Members;
use crate::vote::{Kind, SignedVote, Vote};

/// Votes kept per member and view: two notarize, one nullify, two finalize. The second of a kind is evidence; a third adds nothing.
pub(super) const VOTES_PER_MEMBER_MAX: usize = 5;

/// What is known of one view.
#[derive(Debug, Default)]
pub(super) struct Tally {
    votes: BTreeMap<u16, Vec<SignedVote>>,
    formed: BTreeSet<Kind>,
    /// The leader's first block.
    pub(super) proposal: Option<Hash>,
    /// Known before the view is entered, if votes or a certificate came early.
    pub(super) nullification: Option<Certificate>,
}

impl Tally {
    /// Whether this vote would add anything; asked before its signature is verified.
    pub(super) fn wants(&self, vote: &Vote, signer: u16) -> bool {
        let Some(votes) = self.votes.get(&signer) else { return true };
        let same = |kind: &Kind| {
            matches!((kind, &vote.kind), (Kind::Notarize(_), Kind::Notarize(_)) | (Kind::Nullify, Kind::Nullify) | (Kind::Finalize(_), Kind::Finalize(_)))
        };
        votes.iter().all(|known| known.vote != *vote) && votes.iter().filter(|known| same(&known.vote.kind)).count() < 2
    }

    /// Most votes kept of one member.
    pub(super) fn votes_per_member(&self) -> usize {
        self.votes.values().map(Vec::len).max().unwrap_or(0)
    }

    /// Takes a verified vote that [`Tally::wants`]; gives the first conflict it makes.
    pub(super) fn add(&mut self, signed: SignedVote) -> Option<Evidence> {
        let votes = self.votes.entry(signed.signer).or_default();
        debug_assert!(votes.len() < VOTES_PER_MEMBER_MAX, "two of each kind, and nullify has no second");
        let evidence = votes.iter().find_map(|earlier| Evidence::new(*earlier, signed));
        votes.push(signed);
        evidence
    }

    /// The certificate of this vote, the first time its weight is a quorum.
    pub(super) fn certificate(&mut self, vote: Vote, members: &Members) -> Option<Certificate> {
        if self.formed.contains(&vote.kind) {
            return None;
        }
        let of_vote = |votes: &Vec<SignedVote>| votes.iter().find(|signed| signed.vote == vote).map(|signed| (signed.signer, signed.signature));
        let signatures: Vec<(u16, Signature)> = self.votes.values().filter_map(of_vote).collect();
        let weight = signatures.iter().map(|&(signer, _)| members.weight(signer)).sum();
        if !members.is_quorum(weight) {
            return None;
        }
        self.formed.insert(vote.kind);
        Some(Certificate::new(vote, members, signatures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Cast;

    const A: Hash = Hash([1; 32]);
    const B: Hash = Hash([2; 32]);
    const C: Hash = Hash([3; 32]);

    #[test]
    fn counts_each_member_once_and_sees_conflicts() {
        let cast = Cast::new(&[1, 1, 1, 1]);
        let mut tally = Tally::default();
        let mut add = |signer, kind| {
            let signed = cast.vote(signer, 1, kind);
            let wanted = tally.wants(&signed.vote, signer);
            let evidence = if wanted { tally.add(signed) } else { None };
            (wanted, evidence.is_some(), tally.certificate(signed.vote, &cast.members).is_some())
        };
        assert_eq!(add(0, Kind::Notarize(A)), (true, false, false));
        assert_eq!(add(0, Kind::Notarize(A)), (false, false, false));
        assert_eq!(add(0, Kind::Notarize(B)), (true, true, false));
        assert_eq!(add(0, Kind::Notarize(C)), (false, false, false), "a third block is one too many");
        assert_eq!(add(0, Kind::Nullify), (true, false, false));
        assert_eq!(add(1, Kind::Notarize(A)), (true, false, false));
        assert_eq!(add(1, Kind::Nullify), (true, false, false));
        assert_eq!(add(1, Kind::Finalize(A)), (true, true, false));
        assert_eq!(add(2, Kind::Notarize(A)), (true, false, true));
        assert_eq!(add(3, Kind::Notarize(A)), (true, false, false), "formed once");
        assert_eq!(add(3, Kind::Finalize(B)), (true, true, false));
    }
}
