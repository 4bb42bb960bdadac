//! Liars who build on what they may not: each leaves out one rule of what follows what, and is otherwise a good leader.
//!
//! They are quicker than anybody: a block is ready as soon as the votes for the one before it are under way, and its payload is one that executes.

use consensus::config::Attendance;
use consensus::justification::Base;
use consensus::vote::Kind;
use consensus::{Block, Certificate, Justification, Message, Vote};
use primitives::{Epoch, View};

use super::{Stage, Strategy, vote_in};
use crate::ledger::Order;

/// Most views that a forged justification goes back.
const BACK_MAX: u64 = 8;

/// Which rule is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A skipped view was nullified by a quorum.
    Skips,
    /// The parent is the block that the justification certifies.
    Parent,
    /// After an epoch's last block only closing blocks follow.
    End,
}

/// Leaves one rule out.
pub struct Builder {
    rule: Rule,
    /// Where it has built already.
    built: (Epoch, View),
}

impl Builder {
    /// Without this rule.
    pub fn new(rule: Rule) -> Self {
        Self { rule, built: (Epoch(0), View(0)) }
    }

    /// The block that takes the place of `before`, which stands in the view before and is notarized.
    fn block(&self, stage: &mut Stage<'_>, before: &Block, notarization: Certificate, view: View) -> Option<Block> {
        let (epoch, proposer) = (before.header.epoch, stage.coalition.members(before.header.epoch)?.index_of(&stage.key)?);
        match self.rule {
            Rule::Skips => {
                let mut justification = before.justification.clone();
                justification.skips.push(stage.coalition.signed(Vote { epoch, view: before.header.view, kind: Kind::Nullify })?);
                let header = consensus::Header { view, proposer, ..before.header.clone() };
                Some(Block { header, justification, payload: before.payload.clone() })
            }
            Rule::Parent => {
                let header = consensus::Header { view, proposer, ..before.header.clone() };
                Some(Block { header, justification: Justification::after(notarization), payload: before.payload.clone() })
            }
            Rule::End => {
                let parent = before.header.clone();
                let time = primitives::Time(parent.time.0 + 1);
                let (payload, next_members) = stage.ledger.build(&Order {
                    parent: parent.clone(),
                    undecided: Vec::new(),
                    time,
                    bytes_max: 1 << 16,
                    proposer,
                    attendance: Attendance::default(),
                })?;
                let header = consensus::Header {
                    view,
                    proposer,
                    height: parent.height.next(),
                    parent: parent.hash(),
                    parent_view: parent.view,
                    time,
                    next_members,
                    payload: stage.ledger.digest()(&payload)?,
                    ..parent
                };
                Some(Block { header, justification: Justification::after(notarization), payload })
            }
        }
    }
}

impl Strategy for Builder {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        let is_late = matches!(&message, Message::Proposal(proposal) if (proposal.block.header.epoch, proposal.block.header.view) == self.built);
        if !is_late {
            stage.say(to, &message);
        }
    }

    fn hear(&mut self, stage: &mut Stage<'_>, message: &Message) {
        let Some(vote) = vote_in(message).map(|signed| signed.vote) else { return };
        let (epoch, view) = (vote.epoch, vote.view.next());
        let Kind::Notarize(hash) = vote.kind else { return };
        if (epoch, view) <= self.built || stage.coalition.leader(epoch, view) != Some(stage.key) {
            return;
        }
        let Some(before) = stage.coalition.blocks(epoch, vote.view).into_iter().find(|block| block.header.hash() == hash) else { return };
        if self.rule == Rule::End && !before.header.is_last() {
            return;
        }
        let Some(notarization) = stage.coalition.assemble(vote) else { return };
        let block = self.block(stage, &before, notarization, view).map(|block| stage.coalition.resealed(block));
        if let Some(proposal) = block.and_then(|block| stage.coalition.propose(&stage.key, block)) {
            self.built = (epoch, view);
            stage.say(None, &proposal);
        }
    }

    fn tick(&mut self, stage: &mut Stage<'_>) {
        if self.rule != Rule::Skips || !stage.dice.chance(200) {
            return;
        }
        // Whatever the liars can sign together takes everybody out of this view and the next.
        let (epoch, here) = (stage.stands.epoch, stage.stands.view.0);
        let notarized = |view| {
            let of_view = |block: &std::sync::Arc<Block>| Vote { epoch, view: View(view), kind: Kind::Notarize(block.header.hash()) };
            stage.coalition.blocks(epoch, View(view)).iter().find_map(|block| stage.coalition.assemble(of_view(block)))
        };
        let base = (here.saturating_sub(BACK_MAX).max(1)..here).rev().find_map(notarized);
        let first = match &base {
            Some(base) => base.vote.view.0 + 1,
            None if here <= BACK_MAX => 1,
            None => return,
        };
        let skips = (first..=here + 1).filter_map(|view| stage.coalition.signed(Vote { epoch, view: View(view), kind: Kind::Nullify })).collect();
        stage.say(None, &Message::Justification(Justification { epoch, base: base.map_or(Base::Start, Base::Certified), skips }));
    }
}
