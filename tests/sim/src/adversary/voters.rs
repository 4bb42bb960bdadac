//! Liars who vote as no honest member does.

use consensus::vote::Kind;
use consensus::{Message, Vote};
use primitives::View;

use super::{Stage, Strategy, leaders};

/// Says nothing.
pub struct Silent;

impl Strategy for Silent {
    fn speak(&mut self, _: &mut Stage<'_>, _: Option<usize>, _: Message) {}
}

/// One of two or three honest copies under one key, each in one part of the network.
pub struct Twin {
    copy: usize,
}

impl Twin {
    /// The copy in this part.
    pub fn new(copy: usize) -> Self {
        Self { copy }
    }
}

impl Strategy for Twin {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        let sides = stage.sides;
        stage.say_to(&message, |node| sides[node].is_none_or(|side| side == self.copy) && to.is_none_or(|to| to == node));
    }

    fn listens(&self, side: Option<usize>) -> bool {
        side.is_none_or(|side| side == self.copy)
    }
}

/// Says everything that can be said of a view.
pub struct Contradictor;

impl Strategy for Contradictor {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        leaders::lead_both_halves(stage, to, &message);
    }

    fn hear(&mut self, stage: &mut Stage<'_>, message: &Message) {
        if let Message::Proposal(proposal) = message {
            let Vote { epoch, view, kind } = proposal.vote.vote;
            stage.vote(epoch, view, kind);
            stage.vote(epoch, view, Kind::Nullify);
            if let Kind::Notarize(hash) = kind {
                stage.vote(epoch, view, Kind::Finalize(hash));
            }
        }
    }
}

/// E3.
pub struct NullifyFinalize;

impl Strategy for NullifyFinalize {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        if let Message::Vote(signed) = &message
            && let Kind::Finalize(_) = signed.vote.kind
        {
            stage.vote(signed.vote.epoch, signed.vote.view, Kind::Nullify);
        }
        stage.say(to, &message);
    }
}

/// E4, in views with two blocks.
pub struct NotarizeFinalize;

impl Strategy for NotarizeFinalize {
    fn hear(&mut self, stage: &mut Stage<'_>, message: &Message) {
        let Message::Proposal(proposal) = message else { return };
        let (epoch, view) = (proposal.block.header.epoch, proposal.block.header.view);
        let blocks = stage.coalition.blocks(epoch, view);
        let [first, .., last] = &blocks[..] else { return };
        stage.vote(epoch, view, Kind::Notarize(first.header.hash()));
        stage.vote(epoch, view, Kind::Finalize(last.header.hash()));
    }
}

/// Votes to one node of each view's choosing, so that it alone sees what is certified.
pub struct Selective;

impl Strategy for Selective {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        match &message {
            Message::Vote(signed) => {
                let victim = usize::try_from(signed.vote.view.0).unwrap_or(0) % stage.nodes;
                stage.say_to(&message, |node| node == victim);
            }
            Message::Certificate(_) => {}
            Message::Proposal(_)
            | Message::Justification(_)
            | Message::Hello(_)
            | Message::Tip(_)
            | Message::BlockRequest(_)
            | Message::Block(_)
            | Message::Chain(_)
            | Message::ChainRequest(_)
            | Message::Evidence(_) => stage.say(to, &message),
        }
    }
}

/// Withholds votes and reveals the certificate late, to one.
#[derive(Default)]
pub struct Hidden {
    revealed: View,
}

impl Strategy for Hidden {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        if !matches!(message, Message::Vote(_) | Message::Certificate(_)) {
            stage.say(to, &message);
        }
    }

    fn hear(&mut self, stage: &mut Stage<'_>, message: &Message) {
        let Message::Vote(signed) = message else { return };
        let is_notarize = matches!(signed.vote.kind, Kind::Notarize(_));
        if is_notarize
            && signed.vote.view != self.revealed
            && let Some(certificate) = stage.coalition.assemble(signed.vote)
        {
            self.revealed = signed.vote.view;
            let victim = stage.dice.index(stage.nodes);
            let after = stage.delta * 3 - stage.dice.below(stage.delta);
            stage.say_later(Some(victim), &Message::Certificate(certificate), after);
        }
    }
}

/// Valid votes that are of no use, by the hundred.
pub struct Spammer;

impl Strategy for Spammer {
    fn tick(&mut self, stage: &mut Stage<'_>) {
        let (epoch, view) = (stage.stands.epoch, stage.stands.view);
        for _ in 0..8 {
            let ahead = 1 + stage.dice.below(200);
            let hash = primitives::Hash::of("spam", &[&stage.dice.number().to_le_bytes()]);
            let kind = match stage.dice.below(3) {
                0 => Kind::Nullify,
                1 => Kind::Notarize(hash),
                _ => Kind::Finalize(hash),
            };
            if let Some(signed) = stage.coalition.sign(&stage.key, Vote { epoch, view: View(view.0 + ahead), kind }) {
                let victim = stage.dice.index(stage.nodes);
                stage.say(Some(victim), &Message::Vote(signed));
            }
        }
    }
}

/// Signs in the epoch before, where it may have had another weight.
pub struct OldSigner;

impl Strategy for OldSigner {
    fn tick(&mut self, stage: &mut Stage<'_>) {
        let Some(epoch) = stage.stands.epoch.checked_sub(primitives::Epoch(1)) else { return };
        let view = View(1 + stage.dice.below(stage.stands.view.0 + 40));
        for kind in [Kind::Nullify, Kind::Finalize(primitives::Hash([9; 32]))] {
            stage.vote(epoch, view, kind);
            if let Some(certificate) = stage.coalition.signed(Vote { epoch, view, kind }) {
                stage.say(None, &Message::Certificate(certificate));
            }
        }
    }
}

/// Silent where the chain must hand over.
pub struct BoundaryWithholder;

impl Strategy for BoundaryWithholder {
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        let blocks = stage.coalition.blocks(stage.stands.epoch, stage.stands.view);
        let parent = blocks.first().map(|block| block.header.next_members != primitives::Hash::ZERO);
        let is_end = parent.unwrap_or(stage.stands.view.0 < 3) || stage.stands.view.0 < 3;
        if !is_end {
            stage.say(to, &message);
        }
    }
}

/// Restarts as if it had never signed.
pub struct Amnesiac;

impl Strategy for Amnesiac {
    fn tick(&mut self, stage: &mut Stage<'_>) {
        stage.forgets = stage.dice.chance(100);
    }
}
