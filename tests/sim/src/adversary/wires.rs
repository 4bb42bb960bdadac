//! Liars who send what was never said, or say again what was.

use std::sync::Arc;

use consensus::evidence::Evidence;
use consensus::vote::Kind;
use consensus::{Message, SignedVote, Vote};
use primitives::{Hash, Signature};

use super::{Line, Stage, Strategy};

/// Something that was heard, to somebody.
fn heard(stage: &mut Stage<'_>) -> Option<(Vec<u8>, usize)> {
    let to = stage.dice.index(stage.nodes);
    let bytes = stage.dice.pick(&stage.coalition.heard).map(|bytes| (**bytes).clone())?;
    Some((bytes, to))
}

/// Repeats old messages of anybody.
pub struct Replayer;

impl Strategy for Replayer {
    fn tick(&mut self, stage: &mut Stage<'_>) {
        for _ in 0..6 {
            let Some((bytes, to)) = heard(stage) else { return };
            stage.lines.push(Line { to: Some(to), bytes: Arc::new(bytes), after: 0 });
        }
    }
}

/// Changes real messages a little: a bit, a byte more, a byte less, another number.
pub struct Malleator;

impl Strategy for Malleator {
    fn tick(&mut self, stage: &mut Stage<'_>) {
        for _ in 0..6 {
            let Some((mut bytes, to)) = heard(stage) else { return };
            let at = stage.dice.index(bytes.len());
            match stage.dice.below(4) {
                0 => bytes[at] ^= 1 << stage.dice.below(8),
                1 => bytes.push(0),
                2 => bytes.truncate(at),
                _ => bytes[at] = u8::try_from(stage.dice.below(256)).unwrap_or(0),
            }
            stage.lines.push(Line { to: Some(to), bytes: Arc::new(bytes), after: 0 });
        }
    }
}

/// Certificates with bits beyond the last member, signatures without bits, signers twice.
pub struct BitmapPadder;

impl Strategy for BitmapPadder {
    fn hear(&mut self, stage: &mut Stage<'_>, message: &Message) {
        let Message::Vote(signed) = message else { return };
        if !stage.dice.chance(100) {
            return;
        }
        let Some(mut certificate) = stage.coalition.signed(signed.vote) else { return };
        match stage.dice.below(4) {
            0 => certificate.signers.push(0xff),
            1 => {
                if let Some(last) = certificate.signers.last_mut() {
                    *last = 0xff;
                }
            }
            2 => certificate.signers.iter_mut().for_each(|bits| *bits = 0xff),
            _ => {
                let count = stage.coalition.members(signed.vote.epoch).map_or(0, consensus::Members::count);
                certificate.signers = vec![0xff; count.div_ceil(8)];
                certificate.signatures = vec![certificate.signatures.first().copied().unwrap_or(Signature([0; 64])); count];
            }
        }
        stage.say(None, &Message::Certificate(certificate));
    }
}

/// Evidence of an honest vote and one that was never given.
pub struct EvidenceForger;

impl Strategy for EvidenceForger {
    fn hear(&mut self, stage: &mut Stage<'_>, message: &Message) {
        let Message::Vote(signed) = message else { return };
        if !stage.dice.chance(50) {
            return;
        }
        let kind = match signed.vote.kind {
            Kind::Nullify => Kind::Finalize(Hash([1; 32])),
            Kind::Notarize(_) | Kind::Finalize(_) => Kind::Finalize(Hash([2; 32])),
        };
        let other = Vote { kind, ..signed.vote };
        let by_liar = stage.coalition.sign(&stage.key, other).map(|signed| signed.signature);
        let signature = if stage.dice.chance(500) { signed.signature } else { by_liar.unwrap_or(signed.signature) };
        if let Some(evidence) = Evidence::new(*signed, SignedVote { vote: other, signer: signed.signer, signature }) {
            stage.say(None, &Message::Evidence(Box::new(evidence)));
        }
    }
}
