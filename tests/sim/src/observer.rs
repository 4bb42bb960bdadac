//! The observer: sees everything, belongs to nobody, and says when an invariant is broken.
//!
//! It does its own arithmetic: its own quorums on plain weights (`votes`), its own walk along headers (`chains`), its own conflicts, its own search for the
//! guilty (`blame`); and it asks the independent model for its consent to every honest vote (`guard`). Honest is who is not on the scenario's list of liars.
//! Checked after every event: I1 to I12, I14 to I16 and (f), as they are named in [`Violation`]; on the value ledger I17 too (`stakes`). I13, I18 and I19 are
//! tests of their own.

use std::collections::BTreeMap;

use consensus::engine::{Halt, Load};
use consensus::evidence::Evidence;
use consensus::forensics::{self, Branch};
use consensus::justification::Base;
use consensus::light::{EpochProof, LightClient};
use consensus::vote::Kind;
use consensus::{Message, SignedVote};
use primitives::{Epoch, Hash, Height, PublicKey, View};

use crate::ledger::value::WINDOW;
use crate::ledger::{Ledger, Opening};
use crate::node::Effect;
use crate::queue::{MILLI, Micros};
use crate::world::secret;

pub mod blame;
pub mod chains;
pub mod framer;
pub mod guard;
pub mod progress;
pub mod stakes;
pub mod violation;
pub mod votes;
#[cfg(test)]
mod tests;

pub use violation::Violation;

use chains::Chains;
use framer::Framer;
use guard::Guards;
use progress::{Calm, Progress};
use stakes::Stakes;
use votes::{Electorate, Release, Votes};

/// Bounds of what an engine holds, written down here once more; see SIMPLEX-10.
const BOUNDS: [(&str, usize); 8] = [
    ("views", 129),
    ("votes of a member in a view", 5),
    ("undecided blocks", 512 + 64),
    ("recent blocks", 8),
    ("verified certificates", 4096),
    ("peers", 1024),
    ("followers", 64),
    ("requests", 16),
];

/// In calm times a node finalizes within this what another one finalized, however many liars lead in between.
const LAG_MAX: Micros = 6000 * MILLI;

/// A leader proposes no later after its ledger built.
const BUILD_MAX: Micros = 500 * MILLI;

/// A fork that was made, and by whom.
#[derive(Clone, Debug)]
pub struct Fork {
    /// Two nodes that finalized different blocks.
    pub nodes: (usize, usize),
    /// At this height.
    pub height: Height,
    /// Those who contradicted themselves.
    pub culprits: Vec<PublicKey>,
}

/// What the observer counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Votes of honest keys.
    pub votes: u64,
    /// Blocks given out as final, by all nodes together.
    pub finals: u64,
    /// Evidence found by nodes.
    pub evidence: u64,
    /// Nodes that gave up.
    pub halts: u64,
}

/// Sees everything.
pub struct Observer {
    /// The chain's name.
    chain: Hash,
    /// Whose keys lie.
    liars: Vec<PublicKey>,
    /// Less than a third of the weight lies, in every epoch.
    is_safe: bool,
    /// Bytes change on the way, so that honest nodes look like liars.
    is_corrupting: bool,
    /// All honest votes.
    pub votes: Votes,
    /// The model, asked about each of them.
    pub guards: Guards,
    /// All chains.
    pub chains: Chains,
    /// When each node finalized.
    pub progress: Progress,
    framer: Framer,
    openings: Vec<Opening>,
    /// Follows the chain from its first members on.
    light: Option<LightClient>,
    /// What leads it to the next epoch.
    last_proof: Option<(consensus::Header, consensus::Finality)>,
    loads: BTreeMap<usize, (u32, Load)>,
    sequences: BTreeMap<usize, u64>,
    up_since: BTreeMap<usize, Micros>,
    /// Forks whose culprits were found.
    pub forks: Vec<Fork>,
    /// Counts.
    pub tally: Tally,
    /// Final blocks of calm times: epoch and view to hash.
    calm_since: BTreeMap<Epoch, View>,
    /// Contradictions that nodes know of: when, which node, whose, in which epoch.
    known: Vec<(Micros, usize, PublicKey, Epoch)>,
    /// When a block was first signed: its leader may crash before it says so, and propose it in its next life.
    signed: BTreeMap<Hash, Micros>,
    /// Who proposed a block, and when it was signed.
    proposed: BTreeMap<Hash, (usize, Micros)>,
    /// Final blocks whose leaders were asked for what they knew.
    asked: usize,
}

/// How the observer judges a run.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The chain's name.
    pub chain: Hash,
    /// For each node, whether it is honest.
    pub honest: Vec<bool>,
    /// Whose keys lie.
    pub liars: Vec<PublicKey>,
    /// Less than a third of the weight lies, in every epoch.
    pub is_safe: bool,
    /// Bytes change on the way.
    pub is_corrupting: bool,
    /// A node may lose its chain.
    pub is_wiping: bool,
    /// Bounds after GST.
    pub calm: Calm,
}

impl Observer {
    /// Has seen nothing.
    pub fn new(terms: Terms, genesis: consensus::Header, ledger: Box<dyn Ledger>) -> Self {
        let Terms { chain, honest, liars, is_safe, is_corrupting, is_wiping, calm } = terms;
        let mut chains = Chains::new(honest.len(), genesis, ledger, is_safe);
        chains.stakes = chains.state().map(|state| Stakes::new(chain, state, liars.clone()));
        Self {
            chain,
            liars,
            is_safe,
            is_corrupting,
            votes: Votes::default(),
            guards: Guards::new(chain, &honest, is_wiping),
            chains,
            progress: Progress::new(calm),
            framer: Framer::default(),
            openings: Vec::new(),
            light: None,
            last_proof: None,
            loads: BTreeMap::new(),
            sequences: BTreeMap::new(),
            up_since: BTreeMap::new(),
            forks: Vec::new(),
            tally: Tally::default(),
            calm_since: BTreeMap::new(),
            known: Vec::new(),
            signed: BTreeMap::new(),
            proposed: BTreeMap::new(),
            asked: 0,
        }
    }

    /// Whether this key is one of the liars'.
    pub fn lies(&self, key: &PublicKey) -> bool {
        self.liars.contains(key)
    }

    /// An honest node did something.
    ///
    /// # Errors
    /// The invariant it broke.
    pub fn effect(&mut self, now: Micros, node: usize, effect: &Effect, is_honest: impl Fn(usize) -> bool) -> Result<(), Violation> {
        match effect {
            Effect::Released { signed, members, record } => {
                let sequence = record.map_or(0, |record| record.sequence);
                let before = self.sequences.insert(node, sequence).unwrap_or(0);
                if sequence < before {
                    return Err(Violation::Backwards { node, what: "slot's number", before: (0, before), after: (0, sequence) });
                }
                self.tally.votes += 1;
                if let Kind::Notarize(hash) = signed.vote.kind {
                    self.signed.entry(hash).or_insert(now);
                }
                let key = self.votes.electorate(*members).and_then(|electorate| electorate.keys.get(usize::from(signed.signer)).copied());
                let key = key.unwrap_or(PublicKey([0; 32]));
                let release = Release { node, key, signer: signed.signer, vote: signed.vote, members: *members, record: *record };
                if !self.votes.release(&release)? {
                    return Ok(());
                }
                self.guards.release(&release)?;
                if self.is_safe { self.votes.check_view(*members, signed.vote.epoch, signed.vote.view) } else { Ok(()) }
            }
            Effect::Kept(block) => {
                self.guards.see(&block.header);
                self.votes.see(&block.header, &block.justification);
                Ok(())
            }
            Effect::Asked(block) => {
                self.votes.see(&block.header, &block.justification);
                self.votes.follows(node, &block.header)
            }
            Effect::Say { message, .. } => {
                if let Message::Proposal(proposal) = message {
                    let hash = proposal.block.header.hash();
                    let at = self.signed.get(&hash).copied().unwrap_or(now);
                    self.proposed.entry(hash).or_insert((node, at));
                }
                self.said(node, message)
            }
            Effect::Final { blocks, finality, closing, executed } => {
                self.tally.finals += blocks.len() as u64;
                self.chains.finalized(now, node, (blocks, finality, closing), *executed, &self.votes)?;
                let proof = finality.certificate.vote;
                self.guards.finalized(node, proof.epoch, proof.view);
                if let Some(last) = blocks.last() {
                    self.enlighten(node, &last.header, finality)?;
                    self.waited(now, node, last.header.epoch, finality.certificate.vote.view, true)?;
                }
                self.spare_nobody()?;
                self.accuse()
            }
            Effect::Opened(opening) => {
                self.opens(opening);
                let liars = &self.liars;
                self.votes.learn(opening.members.hash(), || {
                    let list = opening.members.list();
                    let (keys, weights) = (list.iter().map(|member| member.key).collect::<Vec<_>>(), list.iter().map(|member| member.weight.into()).collect());
                    Electorate { lies: keys.iter().map(|key| liars.contains(key)).collect(), keys, weights }
                });
                if !self.openings.contains(opening) {
                    self.openings.push(opening.clone());
                }
                if let Some(electorate) = self.votes.electorate(opening.members.hash()) {
                    let weight =
                        |node: &usize| electorate.keys.iter().position(|key| *key == secret(*node).public()).map_or(0, |place| electorate.weights[place]);
                    self.progress.begins(node, now, opening.epoch, |nodes| electorate.is_quorum(nodes.iter().map(weight).sum()));
                }
                self.chains.opened(node, opening)?;
                self.hand_over(node, opening)
            }
            Effect::Conflict(evidence) => {
                self.tally.evidence += 1;
                let member = self.chains.opening(evidence.epoch()).and_then(|opening| opening.members.list().get(usize::from(evidence.signer())));
                self.known.extend(member.map(|member| (now, node, member.key, evidence.epoch())));
                self.accused(evidence)
            }
            Effect::Punished(peer, offence) => {
                let peer = crate::world::node_of(*peer);
                if self.is_safe && !self.is_corrupting && is_honest(peer) {
                    return Err(Violation::Slandered { node, peer, offence: *offence });
                }
                Ok(())
            }
            Effect::Halted(halt) => self.halted(node, halt),
            Effect::OutOfOrder(hash) => Err(Violation::OutOfOrder { node, hash: *hash }),
            Effect::Later { .. } | Effect::Crashed => Ok(()),
        }
    }

    /// Anybody, a liar too, begins an epoch.
    pub fn opens(&mut self, opening: &Opening) {
        self.guards.open(opening, |key| self.liars.contains(key));
    }

    /// The node starts, or has stopped.
    pub fn restarted(&mut self, now: Micros, node: usize) {
        self.up_since.insert(node, now);
        self.progress.forget(node);
    }

    /// What anybody, liars too, puts on a wire.
    pub fn overheard(&mut self, message: &Message) {
        self.guards.hear(message);
        match message {
            Message::Proposal(proposal) => {
                self.votes.see(&proposal.block.header, &proposal.block.justification);
                self.framer.hear(&proposal.vote);
            }
            Message::Block(block) => self.votes.see(&block.header, &block.justification),
            Message::Vote(vote) => self.framer.hear(vote),
            Message::Certificate(_)
            | Message::Justification(_)
            | Message::Hello(_)
            | Message::Tip(_)
            | Message::BlockRequest(_)
            | Message::Chain(_)
            | Message::ChainRequest(_)
            | Message::Evidence(_) => {}
        }
    }

    fn said(&mut self, node: usize, message: &Message) -> Result<(), Violation> {
        self.overheard(message);
        match message {
            Message::Vote(signed) => self.speaks_durably(node, signed),
            Message::Proposal(proposal) => self.speaks_durably(node, &proposal.vote),
            Message::Certificate(certificate) => self.certified(node, certificate),
            Message::Justification(justification) => {
                let base = match &justification.base {
                    Base::Start => None,
                    Base::Certified(base) => Some(base),
                };
                base.into_iter().chain(&justification.skips).try_for_each(|certificate| self.certified(node, certificate))
            }
            Message::Evidence(evidence) => self.accused(evidence),
            Message::Hello(_) | Message::Tip(_) | Message::BlockRequest(_) | Message::Block(_) | Message::ChainRequest(_) | Message::Chain(_) => Ok(()),
        }
    }

    fn certified(&self, node: usize, certificate: &consensus::Certificate) -> Result<(), Violation> {
        let opening = self.openings.iter().find(|opening| opening.epoch == certificate.vote.epoch).filter(|_| self.is_safe);
        opening.map_or(Ok(()), |opening| self.votes.check_certificate(node, opening.members.hash(), certificate))
    }

    /// I9 at the wire: whatever an honest node says in its own name was released.
    fn speaks_durably(&self, node: usize, signed: &SignedVote) -> Result<(), Violation> {
        let of_epoch = self.openings.iter().filter(|opening| opening.epoch == signed.vote.epoch);
        let keys: Vec<PublicKey> = of_epoch.filter_map(|opening| opening.members.list().get(usize::from(signed.signer)).map(|member| member.key)).collect();
        let is_known = keys.iter().any(|key| self.lies(key) || self.votes.has_released(*key, &signed.vote));
        if is_known { Ok(()) } else { Err(Violation::NotDurable { node, vote: signed.vote }) }
    }

    /// I8: evidence that a node believes.
    fn accused(&self, evidence: &Evidence) -> Result<(), Violation> {
        let of_epoch = self.openings.iter().filter(|opening| opening.epoch == evidence.epoch());
        let keys: Vec<PublicKey> = of_epoch.filter_map(|opening| opening.members.list().get(usize::from(evidence.signer())).map(|member| member.key)).collect();
        match keys.iter().find(|key| !self.lies(key)) {
            Some(key) if keys.iter().all(|key| !self.lies(key)) => {
                let [first, second] = evidence.votes();
                Err(Violation::Framed { key: *key, first: first.vote, second: second.vote })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// I17: an honest leader puts the contradictions that it knows of into its block, unless they are too old.
    fn spare_nobody(&mut self) -> Result<(), Violation> {
        let Some(stakes) = &self.chains.stakes else { return Ok(()) };
        let news = self.chains.canonical.iter().skip(self.asked).map(|stored| &stored.block.header);
        for header in news.filter(|header| !header.is_last()) {
            let Some((node, at)) = self.proposed.get(&header.hash()) else { continue };
            let is_timely =
                |(since, of, _, epoch): &&(Micros, usize, PublicKey, Epoch)| of == node && since + BUILD_MAX <= *at && header.epoch.0 <= epoch.0 + WINDOW;
            if let Some((_, _, key, epoch)) = self.known.iter().filter(is_timely).find(|(_, _, key, _)| !stakes.is_tombstoned(key)) {
                return Err(Violation::Spared { node: *node, key: *key, epoch: *epoch, height: header.height });
            }
        }
        self.asked = self.chains.canonical.len();
        Ok(())
    }

    fn halted(&mut self, node: usize, halt: &Halt) -> Result<(), Violation> {
        self.tally.halts += 1;
        if self.is_safe { Err(Violation::Halted { node, halt: halt.clone() }) } else { Ok(()) }
    }

    /// I10 and I14: what a node holds after an event in this life.
    ///
    /// # Errors
    /// What is broken.
    pub fn look(&mut self, index: usize, life: u32, load: Load) -> Result<(), Violation> {
        let held = [load.views, load.votes_per_member, load.blocks, load.recent, load.certificates, load.peers, load.followers, load.fetches];
        for (held, (what, bound)) in held.into_iter().zip(BOUNDS) {
            if held > bound {
                return Err(Violation::Memory { node: index, what, held, bound });
            }
        }
        let before = self.loads.insert(index, (life, load)).filter(|(before, _)| *before == life);
        if let Some((_, before)) = before {
            let (old, new) = ((before.epoch.0, before.view.0), (load.epoch.0, load.view.0));
            if old > new {
                return Err(Violation::Backwards { node: index, what: "view", before: old, after: new });
            }
            if before.height > load.height {
                return Err(Violation::Backwards { node: index, what: "height", before: (0, before.height.0), after: (0, load.height.0) });
            }
        }
        Ok(())
    }

    /// Where a node stood when it was last looked at.
    pub fn stands(&self, node: usize) -> Option<Load> {
        self.loads.get(&node).map(|(_, load)| *load)
    }

    fn waited(&mut self, now: Micros, node: usize, epoch: Epoch, view: View, is_final: bool) -> Result<(), Violation> {
        if !self.is_safe {
            return Ok(());
        }
        if is_final && self.progress.is_calm(now) {
            self.calm_since.entry(epoch).or_insert(view);
        }
        let Some(opening) = self.openings.iter().find(|opening| opening.epoch == epoch) else { return Ok(()) };
        let (seed, electorate) = (opening.seed, self.votes.electorate(opening.members.hash()));
        let is_faulty = |view| electorate.is_some_and(|electorate| electorate.lies[chains::leader(seed, epoch, View(view), electorate)]);
        self.progress.check(node, now, epoch, view, is_final, is_faulty)
    }

    /// I12 at a moment at which a node has not finalized anything.
    ///
    /// # Errors
    /// [`Violation::Stalled`].
    pub fn still_waits(&mut self, now: Micros, node: usize) -> Result<(), Violation> {
        let Some(load) = self.stands(node) else { return Ok(()) };
        self.waited(now, node, load.epoch, load.view, false)?;
        // Others finalized the next block long ago.
        let (since, calm) = (self.chains.known_since(node).unwrap_or(now), self.progress.calm_from());
        let waited = now.saturating_sub(since.max(calm).max(self.up_since.get(&node).copied().unwrap_or(0)));
        if self.is_safe && waited > LAG_MAX {
            return Err(Violation::Stalled { node, waited_ms: waited / MILLI, bound_ms: LAG_MAX / MILLI, skipped: 0 });
        }
        Ok(())
    }

    /// I7: every fork has culprits of more than a third, all of them liars, in the two nodes' databases. The crate's own offline search
    /// must find the same.
    fn accuse(&mut self) -> Result<(), Violation> {
        for (first, second, height) in std::mem::take(&mut self.chains.forks) {
            let (a, b) = (&self.chains.stored[first], &self.chains.stored[second]);
            let at = usize::try_from(height.0 - 1).unwrap_or(usize::MAX);
            let header = a.get(at).map(|stored| &stored.block.header);
            let opening =
                self.openings.iter().find(|opening| header.is_some_and(|header| header.members == opening.members.hash() && header.epoch == opening.epoch));
            let Some(opening) = opening else { continue };
            let total = opening.members.list().iter().map(|member| u128::from(member.weight)).sum::<u128>();
            let evidence = blame::blame(a, b, height, self.chain, &opening.members);
            let evidence = evidence.map_err(|cause| Violation::Unaccountable { first, second, height, cause, weight: 0, total })?;
            let of = |evidence: &Evidence| opening.members.list()[usize::from(evidence.signer())];
            let weight = evidence.iter().map(|evidence| u128::from(of(evidence).weight)).sum::<u128>();
            if 3 * weight <= total {
                return Err(Violation::Unaccountable { first, second, height, cause: "too few can be blamed", weight, total });
            }
            if let Some(innocent) = evidence.iter().find(|evidence| !self.lies(&of(evidence).key)) {
                let [one, other] = innocent.votes();
                return Err(Violation::Framed { key: of(innocent).key, first: one.vote, second: other.vote });
            }
            let mut culprits: Vec<PublicKey> = evidence.iter().map(|evidence| of(evidence).key).collect();
            culprits.sort_unstable();
            let found = self.verdict(first, second, height, opening);
            if found.as_ref() != Some(&culprits) {
                return Err(Violation::Unaccountable { first, second, height, cause: "the search that ships names others", weight, total });
            }
            self.forks.push(Fork { nodes: (first, second), height, culprits });
        }
        Ok(())
    }

    /// Whom the consensus crate's own search names, in the same two databases.
    fn verdict(&self, first: usize, second: usize, height: Height, opening: &Opening) -> Option<Vec<PublicKey>> {
        let branch = |node: usize| Branch::from_stored(self.chains.stored[node].iter().filter(|stored| stored.block.header.height >= height).cloned(), height);
        let verdict = forensics::blame(self.chain, &opening.members, &branch(first)?, &branch(second)?).ok()?;
        let mut keys: Vec<PublicKey> = verdict.evidence.iter().map(|evidence| opening.members.list()[usize::from(evidence.signer())].key).collect();
        keys.sort_unstable();
        Some(keys)
    }

    /// I16: the light client believes what is final, block after block.
    fn enlighten(&mut self, node: usize, last: &consensus::Header, finality: &consensus::Finality) -> Result<(), Violation> {
        let is_news = |light: &&mut LightClient| light.epoch() == last.epoch && light.highest().is_none_or(|highest| highest.header.height < last.height);
        let Some(light) = self.light.as_mut().filter(|_| self.is_safe).filter(is_news) else { return Ok(()) };
        let refused = |cause: String| Violation::Disbelieved { node, height: last.height, cause };
        light.accept(last.clone(), finality.clone()).map_err(|error| refused(error.to_string()))?;
        // What nobody finalized it must not believe: another header with the same proof.
        let other = consensus::Header { payload: Hash([3; 32]), ..last.clone() };
        if light.clone().accept(other, finality.clone()).is_ok() {
            return Err(refused("it believes a header that is not final".to_owned()));
        }
        self.last_proof = last.is_last().then(|| (last.clone(), finality.clone()));
        Ok(())
    }

    fn hand_over(&mut self, node: usize, opening: &Opening) -> Result<(), Violation> {
        if opening.epoch == Epoch(0) && self.light.is_none() {
            self.light = Some(LightClient::new(self.chain, Epoch(0), opening.members.clone(), Some(opening.start.hash())));
        }
        let Some(light) = self.light.as_mut().filter(|light| self.is_safe && light.epoch().next() == opening.epoch) else { return Ok(()) };
        let Some((last, finality)) = self.last_proof.take_if(|(last, _)| *last == opening.start) else { return Ok(()) };
        let height = last.height;
        let next = opening.members.clone();
        light.advance(EpochProof { last, finality, next }).map_err(|error| Violation::Disbelieved { node, height, cause: error.to_string() })
    }

    /// The end of a run: I8's search over all signatures, I11 over all views of calm times.
    ///
    /// # Errors
    /// What is broken.
    pub fn finish(&self) -> Result<(), Violation> {
        for opening in self.openings.iter().rev().take(2) {
            let list = opening.members.list();
            let is_honest = |signer: u16| list.get(usize::from(signer)).is_some_and(|member| !self.lies(&member.key));
            if let Some(evidence) = self.framer.search(self.chain, opening.epoch, &opening.members, is_honest) {
                let [first, second] = evidence.votes();
                return Err(Violation::Framed { key: list[usize::from(evidence.signer())].key, first: first.vote, second: second.vote });
            }
        }
        if self.is_safe { self.nothing_dropped() } else { Ok(()) }
    }

    /// I11.
    fn nothing_dropped(&self) -> Result<(), Violation> {
        let finals: BTreeMap<Hash, ()> = self.chains.canonical.iter().map(|stored| (stored.block.header.hash(), ())).collect();
        let Some(tip) = self.chains.canonical.last().map(|stored| &stored.block.header) else { return Ok(()) };
        for (epoch, members, view, hash) in self.votes.finalize_votes() {
            let is_calm = self.calm_since.get(&epoch).is_some_and(|since| view > *since);
            let is_decided = epoch < tip.epoch || epoch == tip.epoch && view < tip.view;
            let is_closing = self.votes.header(hash).is_none_or(consensus::Header::is_closing);
            let Some(seed) = self.chains.opening(epoch).map(|opening| opening.seed) else { continue };
            let is_honest = self.votes.electorate(members).is_some_and(|electorate| !electorate.lies[chains::leader(seed, epoch, view, electorate)]);
            if is_calm && is_decided && is_honest && !is_closing && !finals.contains_key(&hash) {
                return Err(Violation::Dropped { hash, epoch, view });
            }
        }
        Ok(())
    }
}
