//! The votes of one view, counted.
//!
//! A vote is verified when it matters: together with all others of a quorum, in one batch, or alone if it is at odds with what its signer has said, for then
//! somebody lies. So votes that come after the quorum cost nothing, and nobody can keep an honest vote out by speaking in its signer's name: two signatures
//! of one vote are at odds too.

use std::collections::{BTreeMap, BTreeSet};

use primitives::batch::Batch;
use primitives::{Hash, Signature};

use super::interface::Peer;
use crate::certificate::Certificate;
use crate::evidence::Evidence;
use crate::members::Members;
use crate::vote::{Kind, SignedVote, Vote, conflicts};

/// Votes kept per member and view: two notarize, one nullify, two finalize. The second of a kind is evidence; a third adds nothing.
pub(super) const VOTES_PER_MEMBER_MAX: usize = 5;

/// What is known of one view.
#[derive(Debug, Default)]
pub(super) struct Tally {
    votes: BTreeMap<u16, Vec<Entry>>,
    formed: BTreeSet<Kind>,
    /// The block that a quorum notarized or finalized.
    certified: Option<Hash>,
    /// Others were told of a stray vote of somebody, and of one of the leader.
    exposed: [bool; 2],
    /// The leader's first block.
    pub(super) proposal: Option<Hash>,
    /// Known before the view is entered, if votes or a certificate came early.
    pub(super) nullification: Option<Certificate>,
}

#[derive(Debug)]
struct Entry {
    signed: SignedVote,
    /// Who sent it; `None` for our own and for those that came in certificates.
    from: Option<Peer>,
    is_verified: bool,
}

impl Tally {
    /// Whether this vote can add nothing: it is here already, verified or with the same signature, or its signer has verifiably said two things of its kind.
    pub(super) fn has_enough(&self, signed: &SignedVote) -> bool {
        self.knows(signed) || self.is_full(signed)
    }

    fn knows(&self, signed: &SignedVote) -> bool {
        let is_same = |entry: &Entry| entry.signed.vote == signed.vote && (entry.is_verified || entry.signed.signature == signed.signature);
        self.votes.get(&signed.signer).is_some_and(|entries| entries.iter().any(is_same))
    }

    /// Most votes kept of one member.
    pub(super) fn votes_per_member(&self) -> usize {
        self.votes.values().map(Vec::len).max().unwrap_or(0)
    }

    fn is_full(&self, signed: &SignedVote) -> bool {
        let kind = std::mem::discriminant(&signed.vote.kind);
        let is_same_kind = |entry: &&Entry| entry.is_verified && std::mem::discriminant(&entry.signed.vote.kind) == kind;
        self.votes.get(&signed.signer).is_some_and(|entries| entries.iter().filter(is_same_kind).count() >= 2)
    }

    /// Whether it cannot stand beside what its signer has said here, in truth or in its name. Of votes that can, there are at most two.
    pub(super) fn is_at_odds(&self, signed: &SignedVote) -> bool {
        let is_other = |entry: &Entry| entry.signed.vote == signed.vote || conflicts(&entry.signed.vote, &signed.vote);
        self.votes.get(&signed.signer).is_some_and(|entries| entries.iter().any(is_other))
    }

    /// Takes a vote that is at odds with nothing, unverified.
    pub(super) fn add(&mut self, signed: SignedVote, from: Option<Peer>) {
        self.push(Entry { signed, from, is_verified: false });
    }

    /// Takes a verified vote if it adds anything; gives the first conflict it makes. What its signer has said before was verified.
    pub(super) fn add_verified(&mut self, signed: SignedVote, from: Option<Peer>) -> Option<Evidence> {
        if self.has_enough(&signed) {
            return None;
        }
        let evidence = self.votes.get(&signed.signer).and_then(|entries| entries.iter().find_map(|earlier| Evidence::new(earlier.signed, signed)));
        self.push(Entry { signed, from, is_verified: true });
        evidence
    }

    /// A certificate of this vote was seen.
    pub(super) fn certify(&mut self, vote: &Vote) {
        self.certified = vote.kind.block().or(self.certified);
    }

    /// Whether one of its signers, who is `wanted`, has said something, in truth or in its name, that contradicts this certificate.
    pub(super) fn is_contradicted_by(&self, certificate: &Certificate, wanted: impl Fn(u16) -> bool) -> bool {
        let contradicts = |signer| self.votes.get(&signer).is_some_and(|entries| entries.iter().any(|entry| conflicts(&entry.signed.vote, &certificate.vote)));
        certificate.signers().any(|signer| contradicts(signer) && wanted(signer))
    }

    /// Whether it speaks for another block than the certified one.
    pub(super) fn is_stray(&self, vote: &Vote) -> bool {
        self.certified.is_some_and(|certified| vote.kind.block().is_some_and(|block| block != certified))
    }

    /// What a member who is `wanted` says for another block than the certified one without an honest reason, in truth or in its name; nothing if others were
    /// told of such a vote.
    pub(super) fn stray(&self, by_leader: bool, wanted: impl Fn(u16) -> bool) -> Option<SignedVote> {
        if self.exposed[usize::from(by_leader)] {
            return None;
        }
        // Whom the leader deceived notarizes in good faith.
        let is_guilty = |vote: &Vote| self.is_stray(vote) && (by_leader || matches!(vote.kind, Kind::Finalize(_)));
        let mut votes = self.votes.values().flatten().map(|entry| entry.signed);
        votes.find(|signed| is_guilty(&signed.vote) && wanted(signed.signer))
    }

    /// Others will be told of this one, if it was not forged.
    pub(super) fn expose(&mut self, stray: &SignedVote, by_leader: bool) -> bool {
        let is_here = self.votes.get(&stray.signer).is_some_and(|entries| entries.iter().any(|entry| entry.signed == *stray));
        self.exposed[usize::from(by_leader)] |= is_here;
        is_here
    }

    /// Whether this vote, which is verified, is here with this very signature: then it needs no verification of its own any more.
    pub(super) fn confirms(&mut self, signed: &SignedVote) -> bool {
        let entry = self.votes.get_mut(&signed.signer).and_then(|entries| entries.iter_mut().find(|entry| entry.signed == *signed));
        entry.map(|entry| entry.is_verified = true).is_some()
    }

    fn push(&mut self, entry: Entry) {
        let entries = self.votes.entry(entry.signed.signer).or_default();
        debug_assert!(entries.len() < VOTES_PER_MEMBER_MAX, "two of each kind, and nullify has no second");
        entries.push(entry);
    }

    /// Verifies what was said in the name of `signer`, one by one, and forgets what is forged; who sent that.
    pub(super) fn examine(&mut self, signer: u16, is_valid: impl Fn(&SignedVote) -> bool) -> Vec<Peer> {
        let mut liars = Vec::new();
        if let Some(entries) = self.votes.get_mut(&signer) {
            entries.retain_mut(|entry| {
                entry.is_verified = entry.is_verified || is_valid(&entry.signed);
                if !entry.is_verified {
                    liars.extend(entry.from);
                }
                entry.is_verified
            });
        }
        liars
    }

    /// The certificate of this vote, the first time that the weight of valid votes is a quorum; and who sent forged ones.
    pub(super) fn certificate(&mut self, vote: Vote, chain: Hash, members: &Members) -> (Option<Certificate>, Vec<Peer>) {
        let mut liars = Vec::new();
        if self.formed.contains(&vote.kind) {
            return (None, liars);
        }
        let is_of_vote = |entry: &&mut Entry| entry.signed.vote == vote;
        loop {
            let mut entries: Vec<&mut Entry> = self.votes.values_mut().filter_map(|entries| entries.iter_mut().find(is_of_vote)).collect();
            if !members.is_quorum(members.sum(entries.iter().map(|entry| entry.signed.signer))) {
                return (None, liars);
            }
            let mut batch = Batch::new();
            let (context, message) = (Vote::context(chain), vote.sign_bytes(members.hash()));
            let mut fresh: Vec<&mut &mut Entry> = entries.iter_mut().filter(|entry| !entry.is_verified).collect();
            for entry in &fresh {
                if let Some(key) = members.key(entry.signed.signer) {
                    batch.push(key, &context, &message, &entry.signed.signature);
                }
            }
            let found: BTreeSet<usize> = batch.culprits().into_iter().collect();
            if found.is_empty() {
                fresh.iter_mut().for_each(|entry| entry.is_verified = true);
                let signatures: Vec<(u16, Signature)> = entries.iter().map(|entry| (entry.signed.signer, entry.signed.signature)).collect();
                self.formed.insert(vote.kind);
                self.certify(&vote);
                return (Some(Certificate::new(vote, members, signatures)), liars);
            }
            let mut culprits = BTreeSet::new();
            for (index, entry) in fresh.iter_mut().enumerate() {
                // The others were verified by the way: the next forgery costs its own verification and no more.
                entry.is_verified = !found.contains(&index);
                if !entry.is_verified {
                    culprits.insert(entry.signed.signer);
                }
            }
            for (_, entries) in self.votes.iter_mut().filter(|(signer, _)| culprits.contains(signer)) {
                entries.retain(|entry| {
                    let is_forged = entry.signed.vote == vote;
                    if is_forged {
                        liars.extend(entry.from);
                    }
                    !is_forged
                });
            }
        }
    }
}

#[cfg(test)]
impl Tally {
    /// How many votes are kept.
    pub(super) fn votes(&self) -> usize {
        self.votes.values().map(Vec::len).sum()
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
            let known = tally.knows(&signed);
            let at_odds = tally.is_at_odds(&signed);
            let evidence = tally.add_verified(signed, None);
            (known, at_odds, evidence.is_some(), tally.certificate(signed.vote, cast.chain, &cast.members).0.is_some())
        };
        assert_eq!(add(0, Kind::Notarize(A)), (false, false, false, false));
        assert_eq!(add(0, Kind::Notarize(A)), (true, true, false, false));
        assert_eq!(add(0, Kind::Notarize(B)), (false, true, true, false));
        assert_eq!(add(0, Kind::Notarize(C)), (false, true, false, false), "a third block is one too many");
        assert_eq!(add(0, Kind::Nullify), (false, false, false, false));
        assert_eq!(add(1, Kind::Notarize(A)), (false, false, false, false));
        assert_eq!(add(1, Kind::Nullify), (false, false, false, false));
        assert_eq!(add(1, Kind::Finalize(A)), (false, true, true, false));
        assert_eq!(add(2, Kind::Notarize(A)), (false, false, false, true));
        assert_eq!(add(3, Kind::Notarize(A)), (false, false, false, false), "formed once");
        assert_eq!(add(3, Kind::Finalize(B)), (false, true, true, false));
    }

    /// Forged votes are found when they would make a quorum, leave it, and do not keep the real ones out.
    #[test]
    fn forgeries_are_found_when_they_matter() {
        let cast = Cast::new(&[1, 1, 1, 1]);
        let mut tally = Tally::default();
        let vote = cast.vote(0, 1, Kind::Notarize(A)).vote;
        let forged = |signer| SignedVote { signer, ..cast.vote(0, 1, Kind::Notarize(A)) };
        let is_valid = |signed: &SignedVote| signed.is_valid(cast.chain, &cast.members);
        for (signer, from) in [(1, 7), (2, 8)] {
            tally.add(forged(signer), Some(Peer(from)));
        }
        assert_eq!(tally.certificate(vote, cast.chain, &cast.members), (None, vec![]), "no quorum yet, nothing verified");
        assert!(tally.is_at_odds(&cast.vote(2, 1, Kind::Notarize(A))) && !tally.knows(&cast.vote(2, 1, Kind::Notarize(A))));
        assert_eq!(tally.examine(2, is_valid), [Peer(8)]);
        tally.add(cast.vote(2, 1, Kind::Notarize(A)), Some(Peer(2)));
        tally.add(cast.vote(0, 1, Kind::Notarize(A)), Some(Peer(0)));
        assert_eq!(tally.certificate(vote, cast.chain, &cast.members), (None, vec![Peer(7)]), "one of three is forged");
        assert_eq!(tally.votes(), 2);
        tally.add(cast.vote(1, 1, Kind::Notarize(A)), Some(Peer(1)));
        let (certificate, liars) = tally.certificate(vote, cast.chain, &cast.members);
        assert_eq!(certificate.expect("a quorum").verify(cast.chain, &cast.members), Ok(()));
        assert!(liars.is_empty());
    }
}
