//! Liars who send what was never said, or say again what was.

use std::sync::Arc;

use consensus::evidence::Evidence;
use consensus::members::MEMBERS_MAX;
use consensus::vote::Kind;
use consensus::{Certificate, Justification, Message, SignedVote, Vote};
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
        match stage.dice.below(6) {
            4 => certificate = wrapped(stage, certificate),
            5 => {
                // Of the view that the others enter when this vote arrives.
                let vote = Vote { kind: Kind::Nullify, view: signed.vote.view.next(), ..signed.vote };
                let Some(nullification) = stage.coalition.signed(vote) else { return };
                certificate = wrapped(stage, nullification);
            }
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

/// The signatures there are, once more for bits beyond the last member, until they would be a quorum's if those counted from the first member on again.
fn wrapped(stage: &Stage<'_>, certificate: Certificate) -> Certificate {
    let Some(members) = stage.coalition.members(certificate.vote.epoch) else { return certificate };
    let whole: Vec<(usize, Signature)> = certificate.signers().map(usize::from).zip(certificate.signatures.iter().copied()).collect();
    let (mut weight, mut signers, mut signatures) = (0_u64, vec![0; MEMBERS_MAX / 8], Vec::new());
    for place in 0..MEMBERS_MAX {
        let Some((signer, signature)) = whole.iter().find(|(signer, _)| *signer == place % members.count()) else { continue };
        if members.is_quorum(weight) {
            break;
        }
        weight = weight.saturating_add(members.list()[*signer].weight).min(members.total());
        signers[place / 8] |= 1 << (place % 8);
        signatures.push(*signature);
    }
    Certificate { vote: certificate.vote, signers, signatures }
}

/// The words of another chain: of its votes, certificates and contradictions nothing is true here.
pub struct Foreigner;

impl Strategy for Foreigner {
    fn tick(&mut self, stage: &mut Stage<'_>) {
        let (epoch, view) = (stage.stands.epoch, stage.stands.view);
        let real = stage.coalition.blocks(epoch, view).first().map_or(Hash([3; 32]), |block| block.header.hash());
        let kind = match stage.dice.below(4) {
            0 => Kind::Nullify,
            1 => Kind::Notarize(real),
            2 => Kind::Finalize(real),
            _ => Kind::Finalize(Hash([4; 32])),
        };
        let vote = Vote { epoch, view, kind };
        let count = stage.coalition.members(epoch).map_or(0, consensus::Members::count);
        let signer = u16::try_from(stage.dice.index(count)).unwrap_or(0);
        let other = Vote { kind: Kind::Nullify, ..vote };
        let message = match stage.dice.below(4) {
            0 => stage.coalition.certified_elsewhere(vote).map(Message::Certificate),
            1 => stage.coalition.certified_elsewhere(vote).map(|certificate| Message::Justification(Justification::after(certificate))),
            2 => stage.coalition.sign_elsewhere(signer, vote).map(Message::Vote),
            _ => {
                let pair =
                    stage.coalition.sign_elsewhere(signer, Vote { kind: Kind::Finalize(real), ..vote }).zip(stage.coalition.sign_elsewhere(signer, other));
                pair.and_then(|(first, second)| Evidence::new(first, second)).map(|evidence| Message::Evidence(Box::new(evidence)))
            }
        };
        message.iter().for_each(|message| stage.say(None, message));
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
