//! Liars who lead badly.

use consensus::justification::Base;
use consensus::vote::Kind;
use consensus::{Block, Justification, Message, Vote};
use primitives::{Epoch, Time, View};

use super::{Stage, Strategy, base_view};

/// The block of the puppet's own proposal.
fn own(stage: &Stage<'_>, message: &Message) -> Option<Block> {
    let Message::Proposal(proposal) = message else { return None };
    let members = stage.coalition.members(proposal.block.header.epoch)?;
    (members.index_of(&stage.key) == Some(proposal.block.header.proposer)).then(|| (*proposal.block).clone())
}

/// Says something else of an own proposal.
fn instead(stage: &mut Stage<'_>, to: Option<usize>, message: &Message, change: impl FnOnce(&mut Stage<'_>, Block)) {
    match own(stage, message) {
        Some(block) => change(stage, block),
        None => stage.say(to, message),
    }
}

/// Two blocks to two halves, and the coalition's votes for both.
pub struct Equivocator;

impl Strategy for Equivocator {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        instead(stage, to, &message, |stage, block| {
            let mut other = block.clone();
            other.header.time = Time(block.header.time.0 + 1);
            let half = stage.dice.number();
            let proposals = [stage.coalition.propose(&stage.key, block), stage.coalition.propose(&stage.key, other)];
            for (side, proposal) in (0..).zip(proposals.into_iter().flatten()) {
                stage.say_to(&proposal, |node| half >> (node % 64) & 1 == side);
            }
        });
    }
}

/// One block for each half of the network.
pub(super) fn lead_both_halves(stage: &mut Stage<'_>, to: Option<usize>, message: &Message) {
    instead(stage, to, message, |stage, block| {
        let mut other = block.clone();
        other.header.time = Time(block.header.time.0 + 1);
        let proposals = [stage.coalition.propose(&stage.key, block), stage.coalition.propose(&stage.key, other)];
        let sides = stage.sides;
        for (side, proposal) in proposals.into_iter().flatten().enumerate() {
            stage.say_to(&proposal, |node| sides[node].is_none_or(|of| of == side));
        }
    });
}

/// Proposes as late as can be.
pub struct LateLeader;

impl Strategy for LateLeader {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        let after = if own(stage, &message).is_some() { 2 * stage.delta - stage.delta / 20 } else { 0 };
        stage.say_later(to, &message, after);
    }
}

/// Takes its proposal back.
pub struct NullifyOwn;

impl Strategy for NullifyOwn {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        stage.say(to, &message);
        if let Some(block) = own(stage, &message) {
            stage.vote(block.header.epoch, block.header.view, Kind::Nullify);
        }
    }
}

/// Every way to skip views that were not skipped, or to build on what was not notarized.
pub struct InvalidJustification;

impl Strategy for InvalidJustification {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        instead(stage, to, &message, |stage, mut block| {
            let (epoch, view) = (block.header.epoch, block.header.view);
            let base = base_view(&block.justification);
            let nullification = |view| stage.coalition.signed(Vote { epoch, view, kind: Kind::Nullify });
            let from_start = Justification { epoch, base: Base::Start, skips: (1..view.0).filter_map(|view| nullification(View(view))).collect() };
            match stage.dice.below(8) {
                // Whatever the liars can sign together, one honest vote short.
                0 => {
                    block.justification = from_start;
                    block.header.parent_view = View(0);
                }
                1 => block.justification.skips = Vec::new(),
                2 => {
                    block.justification.skips.pop();
                }
                3 => {
                    let skips = block.justification.skips.clone();
                    block.justification.skips.extend(skips);
                }
                4 => block.justification.epoch = Epoch(epoch.0 + 1),
                5 => {
                    // A nullification where a notarization should be.
                    if let Some(certificate) = nullification(base) {
                        block.justification.base = Base::Certified(certificate);
                    }
                }
                6 => {
                    if let Base::Certified(certificate) = &mut block.justification.base {
                        certificate.signatures.pop();
                    }
                }
                _ => {
                    if let Base::Certified(certificate) = &mut block.justification.base {
                        certificate.vote.kind = Kind::Nullify;
                    }
                }
            }
            if let Some(proposal) = stage.coalition.propose(&stage.key, stage.coalition.resealed(block)) {
                stage.say(None, &proposal);
            }
        });
    }
}

/// Its block is notarized by few, and it gives nobody the body.
pub struct BodyWithholder;

impl Strategy for BodyWithholder {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        if matches!(message, Message::Block(_) | Message::Chain(_) | Message::Tip(_)) {
            return;
        }
        instead(stage, to, &message, |stage, _| {
            let hears = stage.dice.number();
            stage.say_to(&message, |node| hears >> (node % 64) & 1 == 1);
            if let Message::Proposal(proposal) = &message {
                stage.say(None, &Message::Vote(proposal.vote));
            }
        });
    }
}

/// Blocks from the future and from long ago.
pub struct ClockLiar;

impl Strategy for ClockLiar {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        instead(stage, to, &message, |stage, mut block| {
            let off = stage.dice.below(4000);
            let time = block.header.time.0;
            block.header.time = Time(if stage.dice.chance(500) { time + off } else { time.saturating_sub(off).max(1) });
            if let Some(proposal) = stage.coalition.propose(&stage.key, block) {
                stage.say(None, &proposal);
            }
        });
    }
}

/// Blocks that only execution finds out.
pub struct WrongRoot;

impl Strategy for WrongRoot {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        instead(stage, to, &message, |stage, mut block| {
            if stage.dice.chance(300) && !block.header.is_closing() {
                block.header.next_members = primitives::Hash([7; 32]);
            } else if let Some(first) = block.payload.first_mut() {
                *first ^= 1;
            }
            if let Some(proposal) = stage.coalition.propose(&stage.key, stage.coalition.resealed(block)) {
                stage.say(None, &proposal);
            }
        });
    }
}
