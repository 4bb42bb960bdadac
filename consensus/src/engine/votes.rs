//! Votes and certificates: asking for our own, counting everybody's, acting on a quorum's.

use primitives::View;

use super::interface::{Kept, Offence, Output, Peer};
use super::tally::Tally;
use super::{Engine, VIEWS_AHEAD_MAX, VIEWS_BEHIND_MAX};
use crate::block::Proposal;
use crate::certificate::Certificate;
use crate::evidence::Evidence;
use crate::justification::Justification;
use crate::message::Message;
use crate::vote::{Kind, SignedVote, Vote};

impl Engine {
    /// Asks the signer, unless the slot forbids it or has it already. Before the signature there must be on disk what lets the chain go on should every node
    /// stop at this moment: J of the view, and the block notarized (see "Restart of everything" in the crate's page).
    pub(super) fn request(&mut self, view: View, kind: Kind, out: &mut Vec<Output>) {
        if self.config.me.is_none() || self.fork.is_some() || self.halted {
            return;
        }
        let vote = Vote { epoch: self.config.epoch, view, kind };
        let Ok(slot) = self.slot.admit(&vote) else { return };
        if slot == self.slot {
            return;
        }
        self.slot = slot;
        if self.kept < self.view {
            self.kept = self.view;
            out.push(Output::Keep(Kept::Justification(self.justification.clone())));
        }
        if let Kind::Notarize(hash) = kind {
            out.extend(self.blocks.get(&hash).map(|block| Output::Keep(Kept::Block(block.clone()))));
        }
        out.push(Output::Sign(vote));
    }

    /// The signer signed: say it, as PROPOSE if it is our own block, and count it like any other vote.
    pub(super) fn signed(&mut self, signed: SignedVote, out: &mut Vec<Output>) {
        let Some(me) = self.config.me.filter(|me| *me == signed.signer && signed.vote.epoch == self.config.epoch) else { return };
        self.own.retain(|own| own.vote.view >= signed.vote.view && own.vote != signed.vote);
        self.own.push(signed);
        let block = match signed.vote.kind {
            Kind::Notarize(hash) => self.blocks.get(&hash).filter(|block| block.header.proposer == me),
            Kind::Nullify | Kind::Finalize(_) => None,
        };
        out.push(Output::Broadcast(match block {
            Some(block) => Message::Proposal(Proposal { block: block.clone(), vote: signed }),
            None => Message::Vote(signed),
        }));
        self.count_verified(signed, None, out);
    }

    /// VOTE(x).
    pub(super) fn vote(&mut self, from: Peer, signed: SignedVote, out: &mut Vec<Output>) {
        let vote = signed.vote;
        if vote.epoch != self.config.epoch {
            return self.foreign(from, vote.epoch, out);
        }
        if vote.view.0 > self.view.0.saturating_add(VIEWS_AHEAD_MAX) {
            return self.ask(from, out);
        }
        if self.config.members.key(signed.signer).is_none() {
            return self.punish(from, Offence::Signature, out);
        }
        if !self.remembers(vote.view) || self.tallies.get(&vote.view).is_some_and(|tally| tally.has_enough(&signed)) {
            return;
        }
        if self.is_at_odds(&signed) {
            self.examine(vote.view, signed.signer, out);
            if !signed.is_valid(self.config.chain, &self.config.members) {
                return self.punish(from, Offence::Signature, out);
            }
            return self.count_verified(signed, Some(from), out);
        }
        self.tallies.entry(vote.view).or_default().add(signed, Some(from));
        self.counted(signed, Some(from), out);
    }

    fn is_at_odds(&self, signed: &SignedVote) -> bool {
        self.tallies.get(&signed.vote.view).is_some_and(|tally| tally.is_at_odds(signed))
    }

    /// Somebody lies: this member, or who spoke in its name.
    fn examine(&mut self, view: View, signer: u16, out: &mut Vec<Output>) {
        let (chain, members) = (self.config.chain, &self.config.members);
        let tally = self.tallies.entry(view).or_default();
        let liars = tally.examine(signer, |earlier| earlier.is_valid(chain, members));
        liars.into_iter().for_each(|liar| self.punish(liar, Offence::Signature, out));
    }

    /// Whether this view's votes are kept: those of final views too, for what contradicts them may come late.
    fn remembers(&self, view: View) -> bool {
        let is_near = view.0 <= self.view.0.saturating_add(VIEWS_AHEAD_MAX) && view.0.saturating_add(VIEWS_BEHIND_MAX) >= self.view.0;
        is_near && view > View(0)
    }

    /// Tallies a verified vote.
    pub(super) fn count_verified(&mut self, signed: SignedVote, from: Option<Peer>, out: &mut Vec<Output>) {
        if self.remembers(signed.vote.view) {
            self.hold_against(signed, from, out);
            self.counted(signed, from, out);
        }
    }

    /// Keeps a verified vote beside what its signer has said before; a conflict is EVIDENCE.
    fn hold_against(&mut self, signed: SignedVote, from: Option<Peer>, out: &mut Vec<Output>) {
        if self.tallies.entry(signed.vote.view).or_default().confirms(&signed) {
            return;
        }
        if self.is_at_odds(&signed) {
            self.examine(signed.vote.view, signed.signer, out);
        }
        let evidence = self.tallies.entry(signed.vote.view).or_default().add_verified(signed, from);
        if let Some(evidence) = evidence {
            self.report(evidence, out);
        }
    }

    /// A verified certificate is the votes of its signers, whoever collected them.
    pub(super) fn witness<'a>(&mut self, certificates: impl IntoIterator<Item = &'a Certificate>, out: &mut Vec<Output>) {
        for certificate in certificates.into_iter().filter(|certificate| self.remembers(certificate.view())).collect::<Vec<_>>() {
            for signed in certificate.votes() {
                self.hold_against(signed, None, out);
            }
            self.tallies.entry(certificate.view()).or_default().certify(&certificate.vote);
            self.expose(certificate.view(), out);
        }
    }

    /// A quorum certified one block of a view, and here is what no honest member signs beside it: the leader's vote for another block, or somebody's
    /// finalization of one. Others may hold its signer's vote for the first, and are told of this one, or nobody would hold both. In each view one of the
    /// leader's and one of somebody else's, so that no liar has us say much.
    fn expose(&mut self, view: View, out: &mut Vec<Output>) {
        let leader = self.config.leader(view);
        for by_leader in [true, false] {
            while let Some(tally) = self.tallies.get(&view)
                && let Some(stray) = tally.stray(by_leader, |signer| (signer == leader) == by_leader && !self.reported.contains(&signer))
            {
                // If it was forged it is gone now.
                self.examine(view, stray.signer, out);
                if self.tallies.entry(view).or_default().expose(&stray, by_leader) {
                    out.push(Output::Broadcast(Message::Vote(stray)));
                }
            }
        }
    }

    /// VOTE(x) was tallied: its signer shows itself, and a quorum is a certificate.
    fn counted(&mut self, signed: SignedVote, from: Option<Peer>, out: &mut Vec<Output>) {
        let vote = signed.vote;
        // Said in its name, at least: a lie costs what is pushed to it, until it says itself where it is.
        let shown = match vote.kind {
            // Who finalizes has left the view.
            Kind::Finalize(_) => vote.view.next(),
            Kind::Notarize(_) | Kind::Nullify => vote.view,
        };
        if let Some(seen) = self.seen.get_mut(usize::from(signed.signer)) {
            *seen = shown.max(*seen);
        }
        let decides = vote.view > self.target_view() || self.contradicts(&vote);
        let tally = self.tallies.entry(vote.view).or_default();
        let is_stray = tally.is_stray(&vote);
        let (certificate, liars) = if decides { tally.certificate(vote, self.config.chain, &self.config.members) } else { Default::default() };
        liars.into_iter().for_each(|liar| self.punish(liar, Offence::Signature, out));
        if is_stray {
            self.expose(vote.view, out);
        }
        if let Some(certificate) = certificate {
            self.verifier.trust(&certificate);
            self.peers.guide = from.or(self.peers.guide);
            self.certified(from, certificate, out);
        }
    }

    /// EVIDENCE, found here or told: once per member, to the ledger and to everybody else, for whoever proposes next shall include it.
    fn report(&mut self, evidence: Evidence, out: &mut Vec<Output>) {
        let reported = match &mut self.before {
            Some(before) if before.epoch == evidence.epoch() => &mut before.reported,
            Some(_) | None => &mut self.reported,
        };
        if reported.insert(evidence.signer()) {
            out.push(Output::Conflict(evidence));
            out.push(Output::Broadcast(Message::Evidence(Box::new(evidence))));
        }
    }

    /// Evidence of this epoch, or of the one before: who finds it there may never propose here.
    pub(super) fn evidence(&mut self, from: Peer, evidence: Evidence, out: &mut Vec<Output>) {
        let Some((members, reported)) = self.voters_of(evidence.epoch()) else { return };
        if reported.contains(&evidence.signer()) {
            return;
        }
        if !evidence.is_valid(self.config.chain, members) {
            return self.punish(from, Offence::Evidence, out);
        }
        self.report(evidence, out);
    }

    /// NOTARIZATION, NULLIFICATION or FINALIZATION as somebody sends it.
    pub(super) fn certificate(&mut self, from: Peer, certificate: Certificate, out: &mut Vec<Output>) {
        if certificate.epoch() != self.config.epoch {
            return self.foreign(from, certificate.epoch(), out);
        }
        let view = certificate.view();
        let is_new = match certificate.vote.kind {
            Kind::Notarize(_) => view >= self.view,
            Kind::Nullify => view >= self.view && self.tallies.get(&view).is_none_or(|tally| tally.nullification.is_none()),
            Kind::Finalize(_) => view > self.target_view(),
        };
        // What is old may still show that its signers contradict themselves.
        let contradicts = |tally: &Tally| tally.is_contradicted_by(&certificate, |signer| !self.reported.contains(&signer));
        let is_fork = self.contradicts(&certificate.vote);
        let is_at_odds = is_fork || self.tallies.get(&view).is_some_and(contradicts);
        if (is_new || is_at_odds) && self.verifier.verify([&certificate]).is_err() {
            return self.punish(from, Offence::Certificate, out);
        }
        if !is_new {
            if is_at_odds {
                self.witness([&certificate], out);
            }
            if is_fork {
                self.forked(certificate, out);
            } else if view.next() < self.view {
                // The sender may be stuck in a view that we know the way out of.
                self.show_justification(from, out);
            }
            return;
        }
        self.peers.guide = Some(from);
        self.certified(Some(from), certificate, out);
    }

    /// A verified certificate, formed here or received.
    pub(super) fn certified(&mut self, from: Option<Peer>, certificate: Certificate, out: &mut Vec<Output>) {
        let witnessed = certificate.clone();
        match certificate.vote.kind {
            // NOTARIZATION(w, h), w >= v.
            Kind::Notarize(_) => self.enter(Justification::after(certificate), out),
            // NULLIFICATION(w).
            Kind::Nullify if certificate.view() > self.view => {
                let view = certificate.view();
                if view.0 <= self.view.0.saturating_add(VIEWS_AHEAD_MAX) {
                    self.tallies.entry(view).or_default().nullification = Some(certificate);
                }
                if let Some(from) = from {
                    self.ask(from, out);
                }
            }
            Kind::Nullify => self.nullification(certificate, out),
            // FINALIZATION(w, h).
            Kind::Finalize(_) => {
                self.finalization(certificate.clone(), out);
                self.enter(Justification::after(certificate), out);
            }
        }
        self.witness([&witnessed], out);
    }

    /// NULLIFICATION(w), w = v: J(v + 1) is J(v) and this.
    pub(super) fn nullification(&mut self, certificate: Certificate, out: &mut Vec<Output>) {
        if certificate.view() == self.view {
            let mut justification = self.justification.clone();
            justification.skips.push(certificate);
            self.enter(justification, out);
        }
    }

    /// FINALIZATION(w, h): the new target; `pursue` fetches, executes and commits what leads to it. If it contradicts what is final here: FORK.
    pub(super) fn finalization(&mut self, certificate: Certificate, out: &mut Vec<Output>) {
        if certificate.view() > self.target_view() {
            for &to in &self.peers.followers {
                out.push(Output::Send { to, message: Message::Certificate(certificate.clone()) });
            }
            self.target = Some(certificate);
            self.hasten();
        } else if self.contradicts(&certificate.vote) {
            self.forked(certificate, out);
        }
    }

    /// JUSTIFICATION(w).
    pub(super) fn justified(&mut self, from: Peer, justification: Justification, out: &mut Vec<Output>) {
        if justification.epoch != self.config.epoch {
            return self.foreign(from, justification.epoch, out);
        }
        if justification.view() <= self.view {
            return;
        }
        if justification.verify(&mut self.verifier).is_err() {
            return self.punish(from, Offence::Justification, out);
        }
        self.peers.guide = Some(from);
        self.enter(justification.clone(), out);
        self.witness(justification.certificates(), out);
    }
}
