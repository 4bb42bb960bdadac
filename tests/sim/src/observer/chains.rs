//! What is final: every node's chain, block by block, against the others', against its own parent, and against what was signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use consensus::config::Attendance;
use consensus::justification::Base;
use consensus::message::Stored;
use consensus::{Block, Certificate, Finality, Header};
use primitives::{Epoch, Hash, Height, View};
use state::Sealed;

use super::stakes::Stakes;
use super::violation::Violation;
use super::votes::{Electorate, Votes, may_follow};
use crate::ledger::{Ledger, Opening};
use crate::queue::Micros;
use consensus::vote::Kind;

/// All nodes' chains.
pub struct Chains {
    genesis: Header,
    /// What is final anywhere, from height 1 on; the first to come if there is a fork.
    pub canonical: Vec<Stored>,
    /// When each of them was first final.
    pub final_at: Vec<Micros>,
    /// Executes what is final anywhere.
    ledger: Box<dyn Ledger>,
    /// Follows the money, if there is any.
    pub stakes: Option<Stakes>,
    /// Each node's last final header.
    tips: Vec<Header>,
    /// Each node's chain, kept only if it may fork.
    pub stored: Vec<Vec<Stored>>,
    /// How each epoch began.
    openings: BTreeMap<Epoch, Opening>,
    /// Two nodes whose chains differ, and the height at which they do.
    pub forks: Vec<(usize, usize, Height)>,
    is_safe: bool,
}

impl Chains {
    /// No block is final yet. Forks are violations only if `is_safe`: less than a third lies.
    pub fn new(nodes: usize, genesis: Header, ledger: Box<dyn Ledger>, is_safe: bool) -> Self {
        let tips = vec![genesis.clone(); nodes];
        Self {
            genesis,
            canonical: Vec::new(),
            final_at: Vec::new(),
            ledger,
            stakes: None,
            tips,
            stored: vec![Vec::new(); nodes],
            openings: BTreeMap::new(),
            forks: Vec::new(),
            is_safe,
        }
    }

    /// When the block above a node's last was first final anywhere.
    pub fn known_since(&self, node: usize) -> Option<Micros> {
        usize::try_from(self.tips[node].height.0).ok().and_then(|at| self.final_at.get(at).copied())
    }

    /// How an epoch began, for whoever began it first.
    pub fn opening(&self, epoch: Epoch) -> Option<&Opening> {
        self.openings.get(&epoch)
    }

    /// The tree after what is final anywhere.
    pub fn state(&self) -> Option<&Sealed> {
        self.ledger.state()
    }

    /// Height of a node's last final block.
    pub fn height(&self, node: usize) -> Height {
        self.tips[node].height
    }

    /// The node lost its chain and begins again.
    pub fn wiped(&mut self, node: usize) {
        self.tips[node] = self.genesis.clone();
        self.stored[node].clear();
    }

    /// I15: a node begins an epoch.
    ///
    /// # Errors
    /// [`Violation::Handover`].
    pub fn opened(&mut self, node: usize, opening: &Opening) -> Result<(), Violation> {
        let known = self.openings.entry(opening.epoch).or_insert_with(|| opening.clone());
        let start = opening.start.hash();
        let named = if opening.epoch == Epoch(0) { self.genesis.members } else { opening.start.next_members };
        let is_drawn = self.stakes.as_ref().and_then(|stakes| stakes.seed(opening.epoch)).is_none_or(|seed| seed == opening.seed);
        let is_good = opening.members.hash() == named && is_drawn && (!self.is_safe || known == opening);
        if is_good {
            return Ok(());
        }
        let (expected_start, expected_members) = (known.start.hash(), named);
        Err(Violation::Handover { node, epoch: opening.epoch, start, members: opening.members.hash(), expected_start, expected_members })
    }

    /// I1, I2, I5, I10, I15: a node gave out final blocks.
    ///
    /// # Errors
    /// What is broken.
    pub fn finalized(
        &mut self,
        now: Micros,
        node: usize,
        (blocks, finality, closing): (&[Arc<Block>], &Finality, &[Arc<Block>]),
        executed: bool,
        votes: &Votes,
    ) -> Result<(), Violation> {
        for (left, block) in (0..blocks.len()).rev().zip(blocks) {
            let (header, hash) = (&block.header, block.header.hash());
            let (height, epoch) = (header.height, header.epoch);
            let invalid = |cause| Err(Violation::Validity { node, height, hash, cause });
            let tip = &self.tips[node];
            if height.0 != tip.height.0 + 1 || header.parent != tip.hash() || header.time <= tip.time || header.chain != tip.chain {
                return invalid("it does not follow the block before it");
            }
            let expected_epoch = if tip.next_members == Hash::ZERO { tip.epoch } else { tip.epoch.next() };
            let expected_members = if tip.next_members == Hash::ZERO { tip.members } else { tip.next_members };
            if epoch != expected_epoch || header.members != expected_members || header.payload == Hash::ZERO {
                return invalid("it is of another epoch or of other members");
            }
            if !executed {
                return invalid("the node did not execute it");
            }
            let Some(electorate) = votes.electorate(header.members) else { return invalid("nobody knows its members") };
            let Some(seed) = self.openings.get(&epoch).map(|opening| opening.seed) else { return invalid("nobody knows how its epoch began") };
            if leader(seed, epoch, header.view, electorate) != usize::from(header.proposer) {
                return invalid("another member leads its view");
            }
            if let Some(cause) = votes.justifies(header, &block.justification) {
                return invalid(cause);
            }
            let stored = Stored {
                block: block.clone(),
                finality: (left == 0).then(|| finality.clone()),
                closing: if left == 0 { closing.to_vec() } else { Vec::new() },
            };
            if left == 0 {
                check_proof(node, header, finality, closing, votes)?;
            }
            self.tips[node] = header.clone();
            self.agree(now, node, height, hash, &stored, &attendance(seed, block, electorate))?;
            if !self.is_safe {
                self.stored[node].push(stored);
            }
        }
        Ok(())
    }

    fn agree(&mut self, now: Micros, node: usize, height: Height, found: Hash, stored: &Stored, attendance: &Attendance) -> Result<(), Violation> {
        let at = usize::try_from(height.0 - 1).unwrap_or(usize::MAX);
        // Later blocks of a chain that has left the others' are no news.
        let before = at.checked_sub(1).map(|at| self.canonical.get(at).map(|stored| stored.block.header.hash()));
        if before.is_some_and(|before| before != Some(stored.block.header.parent)) {
            return if self.is_safe { Err(Violation::Agreement { node, height, found, known: before.flatten().unwrap_or(Hash::ZERO) }) } else { Ok(()) };
        }
        let Some(known) = self.canonical.get(at) else {
            if self.ledger.execute(&stored.block, attendance) {
                self.ledger.commit(std::slice::from_ref(&stored.block));
                if let (Some(stakes), Some(state)) = (&mut self.stakes, self.ledger.state()) {
                    stakes.follow(&stored.block, attendance, state, &self.openings)?;
                }
            } else if self.is_safe {
                return Err(Violation::Validity { node, height, hash: found, cause: "it does not execute" });
            }
            self.canonical.push(stored.clone());
            self.final_at.push(now);
            return Ok(());
        };
        let known = known.block.header.hash();
        if known == found {
            return Ok(());
        }
        if self.is_safe {
            return Err(Violation::Agreement { node, height, found, known });
        }
        let holds_known = |other: &usize| self.stored[*other].get(at).is_some_and(|stored| stored.block.header.hash() == known);
        if let Some(other) = (0..self.stored.len()).filter(|other| *other != node).find(holds_known) {
            self.forks.push((other, node, height));
        }
        Ok(())
    }
}

/// I5: the proof is a chain of headers up to one that a quorum can have finalized and notarized.
fn check_proof(node: usize, header: &Header, finality: &Finality, closing: &[Arc<Block>], votes: &Votes) -> Result<(), Violation> {
    let invalid = |cause| Err(Violation::Validity { node, height: header.height, hash: header.hash(), cause });
    let mut last = header;
    for next in &finality.headers {
        if next.parent != last.hash() || next.height.0 != last.height.0 + 1 || next.epoch != header.epoch || next.view <= last.view {
            return invalid("the headers of its proof are no chain");
        }
        if !may_follow(next, last) {
            return invalid("its proof goes on after the end of the epoch");
        }
        last = next;
    }
    if !closing.iter().zip(&finality.headers).all(|(block, header)| block.header == *header) || closing.len() > finality.headers.len() {
        return invalid("its closing blocks are not those of its proof");
    }
    let (epoch, view, hash) = (last.epoch, last.view, last.hash());
    let vote = finality.certificate.vote;
    if vote.kind != Kind::Finalize(hash) || (vote.epoch, vote.view) != (epoch, view) {
        return invalid("its proof finalizes another block");
    }
    votes.check_certificate(node, header.members, &finality.certificate)?;
    if !votes.can_be(header.members, epoch, view, Kind::Notarize(hash)) {
        let weight = votes.support(header.members, &consensus::Vote { epoch, view, kind: Kind::Notarize(hash) });
        let total = votes.electorate(header.members).map_or(0, Electorate::total);
        return Err(Violation::Unnotarized { epoch, view, hash, weight, total });
    }
    Ok(())
}

/// What a block says of who was there, read here from the bits of its certificates.
fn attendance(seed: Hash, block: &Block, electorate: &Electorate) -> Attendance {
    let signers = |certificate: &Certificate| {
        let count = u16::try_from(electorate.keys.len()).unwrap_or(u16::MAX);
        let has_signed = |signer: &u16| certificate.signers.get(usize::from(signer / 8)).is_some_and(|bits| bits >> (signer % 8) & 1 == 1);
        (0..count).filter(has_signed).collect()
    };
    let voters = match &block.justification.base {
        Base::Start => Vec::new(),
        Base::Certified(certificate) => signers(certificate),
    };
    let skipped = block.header.parent_view.0 + 1..block.header.view.0;
    let absent = skipped.map(|view| u16::try_from(leader(seed, block.header.epoch, View(view), electorate)).unwrap_or(u16::MAX));
    Attendance { voters, absent: absent.collect() }
}

/// Who leads a view, computed here from the rule in the specification.
pub fn leader(seed: Hash, epoch: Epoch, view: View, electorate: &Electorate) -> usize {
    let digest = Hash::of("leader", &[&seed.0, &epoch.0.to_le_bytes(), &view.0.to_le_bytes()]);
    let drawn = digest.0[..16].iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte)) % electorate.total();
    let mut up_to = 0;
    electorate
        .weights
        .iter()
        .position(|weight| {
            up_to += weight;
            drawn < up_to
        })
        .unwrap_or(0)
}
