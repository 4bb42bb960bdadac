//! What was signed: every vote that an honest key ever released, and what quorums can therefore exist.
//!
//! No signature is verified here. An honest signature cannot be forged, so a vote of an honest key exists exactly if it was released; and a liar's vote exists
//! whenever it helps. The *support* of a vote is the weight of the honest who released it and of all liars: without a quorum of support there can be no
//! certificate. All weights are added and compared here, not with the engine's helpers.

use std::collections::{BTreeMap, BTreeSet};

use consensus::vote::{Kind, Vote};
use consensus::{Certificate, Header, Justification};
use primitives::{Epoch, Hash, PublicKey, View};

use super::violation::Violation;
use crate::disk::SlotRecord;
use consensus::justification::Base;
use consensus::slot::Closed;

/// Who votes in an epoch, in plain numbers.
#[derive(Clone, Debug)]
pub struct Electorate {
    /// Keys in order.
    pub keys: Vec<PublicKey>,
    /// Their weights.
    pub weights: Vec<u128>,
    /// Whether they lie.
    pub lies: Vec<bool>,
}

impl Electorate {
    /// All of the weight.
    pub fn total(&self) -> u128 {
        self.weights.iter().sum()
    }

    /// Weight of the liars.
    pub fn lying(&self) -> u128 {
        self.weights.iter().zip(&self.lies).filter(|(_, lies)| **lies).map(|(weight, _)| weight).sum()
    }

    /// Whether this is more than two thirds.
    pub fn is_quorum(&self, weight: u128) -> bool {
        let rest = self.total().saturating_sub(weight);
        weight > rest + rest
    }
}

/// Whether one honest key may release both: the conflicts E1 to E4, written as the sets that are legal.
pub fn may_stand_together(a: &Vote, b: &Vote) -> bool {
    if a.epoch != b.epoch || a.view != b.view || a.kind == b.kind {
        return true;
    }
    match (a.kind, b.kind) {
        (Kind::Nullify, other) | (other, Kind::Nullify) => matches!(other, Kind::Notarize(_)),
        (Kind::Notarize(x), Kind::Finalize(y)) | (Kind::Finalize(x), Kind::Notarize(y)) => x == y,
        (Kind::Notarize(_), Kind::Notarize(_)) | (Kind::Finalize(_), Kind::Finalize(_)) => false,
    }
}

/// One view of one set of voters.
#[derive(Debug, Default)]
struct Said(BTreeMap<Kind, BTreeSet<u16>>);

/// A vote that an honest key released.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// The node.
    pub node: usize,
    /// The key.
    pub key: PublicKey,
    /// Its place among the members.
    pub signer: u16,
    /// What it says.
    pub vote: Vote,
    /// Hash of the members.
    pub members: Hash,
    /// What the slot on disk says.
    pub record: Option<SlotRecord>,
}

/// All honest votes.
#[derive(Debug, Default)]
pub struct Votes {
    electorates: BTreeMap<Hash, Electorate>,
    /// By epoch, voters and view.
    views: BTreeMap<(Epoch, Hash, View), Said>,
    by_key: BTreeMap<(PublicKey, Epoch, View), Vec<Vote>>,
    latest: BTreeMap<PublicKey, (Epoch, View)>,
    headers: BTreeMap<Hash, (Header, Justification)>,
}

impl Votes {
    /// Learns who votes under this hash.
    pub fn learn(&mut self, members: Hash, electorate: impl FnOnce() -> Electorate) {
        self.electorates.entry(members).or_insert_with(electorate);
    }

    /// Who votes under this hash.
    pub fn electorate(&self, members: Hash) -> Option<&Electorate> {
        self.electorates.get(&members)
    }

    /// Learns a block from whoever sent it.
    pub fn see(&mut self, header: &Header, justification: &Justification) {
        self.headers.entry(header.hash()).or_insert_with(|| (header.clone(), justification.clone()));
    }

    /// Weight that can stand behind a vote.
    pub fn support(&self, members: Hash, vote: &Vote) -> u128 {
        let Some(electorate) = self.electorates.get(&members) else { return 0 };
        let honest = self.views.get(&(vote.epoch, members, vote.view)).and_then(|said| said.0.get(&vote.kind));
        let honest: u128 = honest.into_iter().flatten().map(|signer| electorate.weights[usize::from(*signer)]).sum();
        honest + electorate.lying()
    }

    /// Whether a certificate of this vote can exist.
    pub fn can_be(&self, members: Hash, epoch: Epoch, view: View, kind: Kind) -> bool {
        self.electorates.get(&members).is_some_and(|electorate| electorate.is_quorum(self.support(members, &Vote { epoch, view, kind })))
    }

    /// Blocks that a quorum can have notarized in a view, or finalized.
    fn blocks(&self, members: Hash, epoch: Epoch, view: View) -> Vec<Hash> {
        let said = self.views.get(&(epoch, members, view));
        let hash = |kind: &Kind| match kind {
            Kind::Notarize(hash) | Kind::Finalize(hash) => Some((*kind, *hash)),
            Kind::Nullify => None,
        };
        let kinds = said.into_iter().flat_map(|said| said.0.keys()).filter_map(hash);
        let mut blocks: Vec<Hash> = kinds.filter(|(kind, _)| self.can_be(members, epoch, view, *kind)).map(|(_, hash)| hash).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    /// I6, I9 and I10 for a vote that an honest key of node `node` just released; whether it released it for the first time.
    ///
    /// # Errors
    /// What is broken.
    pub fn release(&mut self, release: &Release) -> Result<bool, Violation> {
        let Release { node, key, signer, vote, members, record } = *release;
        let Vote { epoch, view, kind } = vote;
        if !record.is_some_and(|record| record.key == key && covers(&record, &vote)) {
            return Err(Violation::NotDurable { node, vote });
        }
        let before = self.latest.insert(key, (epoch, view)).unwrap_or_default();
        if before > (epoch, view) {
            let (before, after) = ((before.0.0, before.1.0), (epoch.0, view.0));
            return Err(Violation::Backwards { node, what: "view signed in", before, after });
        }
        let released = self.by_key.entry((key, epoch, view)).or_default();
        if let Some(first) = released.iter().find(|first| !may_stand_together(first, &vote)) {
            return Err(Violation::Equivocation { key, first: *first, second: vote });
        }
        if released.contains(&vote) {
            return Ok(false);
        }
        released.push(vote);
        self.views.entry((epoch, members, view)).or_default().0.entry(kind).or_default().insert(signer);
        Ok(true)
    }

    /// I15 for a block that a node executes before it votes for it.
    ///
    /// # Errors
    /// [`Violation::OpenEnd`].
    pub fn follows(&self, node: usize, header: &Header) -> Result<(), Violation> {
        match self.header(header.parent) {
            Some(parent) if !may_follow(header, parent) => Err(Violation::OpenEnd { node, epoch: header.epoch, parent: header.parent, hash: header.hash() }),
            Some(_) | None => Ok(()),
        }
    }

    /// I3 and I4, as far as honest votes so far leave them possible.
    ///
    /// # Errors
    /// What is broken.
    pub fn check_view(&self, members: Hash, epoch: Epoch, view: View) -> Result<(), Violation> {
        let blocks = self.blocks(members, epoch, view);
        if let [first, second, ..] = blocks[..] {
            return Err(Violation::Notarizations { epoch, view, first, second });
        }
        let is_final = blocks.iter().any(|hash| self.can_be(members, epoch, view, Kind::Finalize(*hash)));
        if is_final && self.can_be(members, epoch, view, Kind::Nullify) {
            return Err(Violation::Nullified { epoch, view });
        }
        Ok(())
    }

    /// What keeps this justification from letting the header follow its parent.
    pub fn justifies(&self, header: &Header, justification: &Justification) -> Option<&'static str> {
        let (members, epoch) = (header.members, header.epoch);
        let base = match &justification.base {
            Base::Start => View(0),
            Base::Certified(certificate) => {
                let is_parent = match certificate.vote.kind {
                    Kind::Notarize(hash) | Kind::Finalize(hash) => hash == header.parent,
                    Kind::Nullify => false,
                };
                if !is_parent || certificate.vote.epoch != epoch || !self.can_be(members, epoch, certificate.vote.view, certificate.vote.kind) {
                    return Some("the parent is not certified");
                }
                certificate.vote.view
            }
        };
        let skipped = header.view.0.checked_sub(base.0 + 1);
        if base != header.parent_view || skipped != Some(justification.skips.len() as u64) {
            return Some("views are missing between the block and its parent");
        }
        let is_skipped = |view| self.can_be(members, epoch, View(view), Kind::Nullify);
        (!(base.0 + 1..header.view.0).all(is_skipped)).then_some("a view between the block and its parent was not nullified")
    }

    /// Whether a certificate that an honest node holds was really signed.
    ///
    /// # Errors
    /// [`Violation::Forged`].
    pub fn check_certificate(&self, node: usize, members: Hash, certificate: &Certificate) -> Result<(), Violation> {
        let Some(electorate) = self.electorates.get(&members) else { return Ok(()) };
        let vote = certificate.vote;
        let forged = |cause| Err(Violation::Forged { node, vote, cause });
        let said = self.views.get(&(vote.epoch, members, vote.view)).and_then(|said| said.0.get(&vote.kind));
        let (mut weight, mut count) = (0, 0);
        for (byte, bits) in certificate.signers.iter().enumerate() {
            for bit in (0..8).filter(|bit| bits >> bit & 1 == 1) {
                let signer = byte * 8 + bit;
                let Some(of_signer) = electorate.weights.get(signer) else { return forged("names a signer who does not exist") };
                let released = u16::try_from(signer).ok().and_then(|signer| said.map(|said| said.contains(&signer))).unwrap_or(false);
                if !electorate.lies[signer] && !released {
                    return forged("an honest signer never released");
                }
                weight += of_signer;
                count += 1;
            }
        }
        if count != certificate.signatures.len() || certificate.signers.len() != electorate.keys.len().div_ceil(8) {
            return forged("has another form than the one there is");
        }
        if electorate.is_quorum(weight) { Ok(()) } else { forged("is no quorum's") }
    }

    /// Whether the key released this vote.
    pub fn has_released(&self, key: PublicKey, vote: &Vote) -> bool {
        self.by_key.get(&(key, vote.epoch, vote.view)).is_some_and(|released| released.contains(vote))
    }

    /// Of views with an honest leader, those in which somebody honest signed Finalize: epoch, view and block.
    pub fn finalize_votes(&self) -> impl Iterator<Item = (Epoch, Hash, View, Hash)> + '_ {
        self.views.iter().flat_map(|((epoch, members, view), said)| {
            said.0.keys().filter_map(move |kind| match kind {
                Kind::Finalize(hash) => Some((*epoch, *members, *view, *hash)),
                Kind::Notarize(_) | Kind::Nullify => None,
            })
        })
    }

    /// A block that was seen.
    pub fn header(&self, hash: Hash) -> Option<&Header> {
        self.headers.get(&hash).map(|(header, _)| header)
    }
}

/// Whether only closing blocks follow an epoch's last block in the epoch.
pub fn may_follow(header: &Header, parent: &Header) -> bool {
    header.epoch != parent.epoch || parent.next_members == Hash::ZERO || header.is_closing() && header.next_members == parent.next_members
}

/// Whether a slot forbids everything that contradicts this vote.
fn covers(record: &SlotRecord, vote: &Vote) -> bool {
    let slot = record.slot;
    let is_held = match vote.kind {
        Kind::Notarize(hash) => slot.notarized == Some(hash),
        Kind::Nullify => slot.closed == Some(Closed::Nullify),
        Kind::Finalize(hash) => slot.closed == Some(Closed::Finalize(hash)),
    };
    (slot.epoch, slot.view) == (vote.epoch, vote.view) && is_held
}
