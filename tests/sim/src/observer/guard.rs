//! (f) Refinement: the independent model is asked about every vote that an honest member releases.
//!
//! One guard per epoch and its voters. It is told of every block that was sent, and of every signature of a liar wherever it was seen: what no honest member
//! released and no liar signed backs nothing. So it knows less than the coalition could sign, and refuses what the quorums of `votes` still let pass.

use std::collections::{BTreeMap, BTreeSet};

use consensus::justification::Base;
use consensus::vote::Kind;
use consensus::{Certificate, Finality, Header, Justification, Members, Message, SignedVote};
use primitives::{Epoch, Hash, PublicKey, View};

use super::violation::Violation;
use super::votes::Release;
use crate::ledger::Opening;
use crate::model;

/// One epoch's guard.
#[derive(Debug)]
struct Watch {
    members: Members,
    lies: Vec<bool>,
    guard: model::Guard<Hash>,
    /// Signatures of liars that verified.
    heard: BTreeSet<(u16, View, Kind)>,
}

/// All epochs' guards.
#[derive(Debug)]
pub struct Guards {
    chain: Hash,
    watches: BTreeMap<(Epoch, Hash), Watch>,
    /// Where the finalization that proves each honest node's tip stands.
    tips: Vec<Option<(Epoch, View)>>,
    /// A node may lose its chain, and begin below any view.
    is_wiping: bool,
    /// Votes asked about.
    asked: u64,
    /// Left out of the model's rules.
    pub mutation: Option<model::Mutation>,
}

impl Guards {
    /// Of a run in which these nodes are honest.
    pub fn new(chain: Hash, honest: &[bool], is_wiping: bool) -> Self {
        let tips = honest.iter().map(|is_honest| is_honest.then_some((Epoch(0), View(0)))).collect();
        Self { chain, watches: BTreeMap::new(), tips, is_wiping, asked: 0, mutation: None }
    }

    /// Votes asked about.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// An epoch begins somewhere, with a liar perhaps.
    pub fn open(&mut self, opening: &Opening, lies: impl Fn(&PublicKey) -> bool) {
        let (epoch, members, mutation) = (opening.epoch, &opening.members, self.mutation);
        self.watches.entry((epoch, members.hash())).or_insert_with(|| {
            let list = members.list();
            let guard = model::Guard::new(epoch.0, list.iter().map(|member| member.weight).collect()).without(mutation);
            Watch { members: members.clone(), lies: list.iter().map(|member| lies(&member.key)).collect(), guard, heard: BTreeSet::new() }
        });
    }

    /// A block was sent, or kept to be voted for.
    pub fn see(&mut self, header: &Header) {
        if let Some(watch) = self.watches.get_mut(&(header.epoch, header.members)) {
            watch.guard.propose(header.hash(), header.view.0, header.parent, header.parent_view.0);
        }
    }

    /// A message was sent: the blocks in it, and the liars' signatures, alone, in certificates and beside blocks.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Proposal(proposal) => {
                self.see(&proposal.block.header);
                self.signed(&proposal.vote);
                self.justification(&proposal.block.justification);
            }
            Message::Vote(vote) => self.signed(vote),
            Message::Certificate(certificate) => self.certificate(certificate),
            Message::Justification(justification) => self.justification(justification),
            Message::Tip(tip) => tip.finality.iter().for_each(|finality| self.finality(finality)),
            Message::Block(block) => {
                self.see(&block.header);
                self.justification(&block.justification);
            }
            Message::Chain(chain) => {
                for block in &chain.blocks {
                    self.see(&block.header);
                    self.justification(&block.justification);
                }
                self.finality(&chain.finality);
            }
            Message::Evidence(evidence) => evidence.votes().iter().for_each(|vote| self.signed(vote)),
            Message::Hello(_) | Message::BlockRequest(_) | Message::ChainRequest(_) => {}
        }
    }

    fn justification(&mut self, justification: &Justification) {
        if let Base::Certified(base) = &justification.base {
            self.certificate(base);
        }
        justification.skips.iter().for_each(|skip| self.certificate(skip));
    }

    fn finality(&mut self, finality: &Finality) {
        finality.headers.iter().for_each(|header| self.see(header));
        self.certificate(&finality.certificate);
    }

    /// Padded or not: whatever signature stands beside a bit counts for that bit's member only.
    fn certificate(&mut self, certificate: &Certificate) {
        for (signer, signature) in certificate.signers().zip(&certificate.signatures) {
            self.signed(&SignedVote { vote: certificate.vote, signer, signature: *signature });
        }
    }

    fn signed(&mut self, signed: &SignedVote) {
        let (signer, vote) = (signed.signer, signed.vote);
        let of_epoch = self.watches.range_mut((vote.epoch, Hash::ZERO)..=(vote.epoch, Hash([0xff; 32])));
        for (_, watch) in of_epoch {
            let is_news = watch.lies.get(usize::from(signer)).is_some_and(|lies| *lies) && !watch.heard.contains(&(signer, vote.view, vote.kind));
            if is_news && signed.is_valid(self.chain, &watch.members) {
                watch.heard.insert((signer, vote.view, vote.kind));
                watch.guard.heard(signer, vote.view.0, kind(vote.kind));
            }
        }
    }

    /// (f) for a vote that an honest key releases for the first time.
    ///
    /// # Errors
    /// [`Violation::Refinement`].
    pub fn release(&mut self, release: &Release) -> Result<(), Violation> {
        let Release { node, signer, vote, members, .. } = *release;
        self.asked += 1;
        let asked = self.asked;
        let refused = |cause| Violation::Refinement { node, member: signer, vote, cause, asked };
        let Some(watch) = self.watches.get_mut(&(vote.epoch, members)) else { return Err(refused(model::Forbidden::Member(signer))) };
        watch.guard.release(signer, vote.epoch.0, vote.view.0, kind(vote.kind)).map_err(refused)
    }

    /// A node's tip is proved by a finalization of this view: nobody votes any more below the lowest of all nodes, or in an epoch that all have left.
    pub fn finalized(&mut self, node: usize, epoch: Epoch, view: View) {
        self.tips[node] = self.tips[node].max(Some((epoch, view)));
        let Some(&(epoch, view)) = self.tips.iter().flatten().min().filter(|_| !self.is_wiping) else { return };
        self.watches = self.watches.split_off(&(epoch, Hash::ZERO));
        let of_epoch = self.watches.range_mut(..=(epoch, Hash([0xff; 32])));
        of_epoch.for_each(|(_, watch)| watch.guard.forget_below(view.0));
    }
}

fn kind(kind: Kind) -> model::Kind<Hash> {
    match kind {
        Kind::Notarize(hash) => model::Kind::Notarize(hash),
        Kind::Nullify => model::Kind::Nullify,
        Kind::Finalize(hash) => model::Kind::Finalize(hash),
    }
}
