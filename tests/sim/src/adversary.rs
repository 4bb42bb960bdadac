//! The liars: members who break the protocol together.
//!
//! A liar runs the engine that ships, as a puppet: it keeps up with the chain, and its [`Strategy`] changes what it says. All liars are one [`Coalition`]:
//! they share their keys, hear every message at the moment it is sent, and can sign anything in any liar's name and assemble any certificate that their votes
//! and the honest ones they heard make possible.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use consensus::engine::Load;
use consensus::justification::Base;
use consensus::vote::Kind;
use consensus::{Block, Certificate, Justification, Members, Message, SignedVote, Vote};
use primitives::{Epoch, Hash, PublicKey, SecretKey, Signature, View};

use crate::dice::Dice;
use crate::ledger::{Ledger, PayloadDigest};
use crate::queue::Micros;

pub mod builders;
pub mod leaders;
pub mod voters;
pub mod wires;

/// Views whose votes the coalition remembers.
const VIEWS_MAX: usize = 64;
/// Blocks and messages it remembers.
const HEARD_MAX: usize = 128;

/// The vote that a message says, alone or with its block.
fn vote_in(message: &Message) -> Option<&SignedVote> {
    match message {
        Message::Vote(vote) => Some(vote),
        Message::Proposal(proposal) => Some(&proposal.vote),
        Message::Certificate(_)
        | Message::Justification(_)
        | Message::Hello(_)
        | Message::Tip(_)
        | Message::BlockRequest(_)
        | Message::Block(_)
        | Message::Chain(_)
        | Message::ChainRequest(_)
        | Message::Evidence(_) => None,
    }
}

/// What liars know together.
#[derive(Debug)]
pub struct Coalition {
    /// The chain's name.
    pub chain: Hash,
    /// The digest of its payloads.
    digest: PayloadDigest,
    secrets: BTreeMap<PublicKey, SecretKey>,
    /// Everybody's keys, which vote on another chain as well.
    elsewhere: BTreeMap<PublicKey, SecretKey>,
    members: BTreeMap<Epoch, Members>,
    seeds: BTreeMap<Epoch, Hash>,
    votes: BTreeMap<(Epoch, View), BTreeMap<Kind, BTreeMap<u16, Signature>>>,
    blocks: Vec<Arc<Block>>,
    /// Messages of any time, for those who repeat them.
    pub heard: Vec<Arc<Vec<u8>>>,
}

impl Coalition {
    /// Of these keys among all.
    pub fn new(chain: Hash, digest: PayloadDigest, secrets: &[SecretKey], all: &[SecretKey]) -> Self {
        let by_key = |secrets: &[SecretKey]| secrets.iter().map(|secret| (secret.public(), secret.clone())).collect();
        Self {
            chain,
            digest,
            secrets: by_key(secrets),
            elsewhere: by_key(all),
            members: BTreeMap::new(),
            seeds: BTreeMap::new(),
            votes: BTreeMap::new(),
            blocks: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Learns an epoch's members, and what its leaders are drawn with.
    pub fn learn(&mut self, epoch: Epoch, members: &Members, seed: Hash) {
        self.seeds.insert(epoch, seed);
        self.members.entry(epoch).or_insert_with(|| members.clone());
    }

    /// An epoch's members.
    pub fn members(&self, epoch: Epoch) -> Option<&Members> {
        self.members.get(&epoch)
    }

    /// Hears a message.
    pub fn hear(&mut self, message: &Message, bytes: &Arc<Vec<u8>>, dice: &mut Dice) {
        let mut count = |signed: &SignedVote| {
            let signatures = self.votes.entry((signed.vote.epoch, signed.vote.view)).or_default().entry(signed.vote.kind).or_default();
            signatures.insert(signed.signer, signed.signature);
        };
        vote_in(message).into_iter().for_each(&mut count);
        if let Message::Proposal(proposal) = message {
            self.blocks.push(proposal.block.clone());
        }
        while self.votes.len() > VIEWS_MAX {
            self.votes.pop_first();
        }
        if self.blocks.len() > HEARD_MAX {
            self.blocks.remove(0);
        }
        if self.heard.len() < HEARD_MAX {
            self.heard.push(bytes.clone());
        } else if dice.chance(20) {
            let at = dice.index(HEARD_MAX);
            self.heard[at] = bytes.clone();
        }
    }

    /// Signs in the name of a liar, if it has a seat in that epoch.
    pub fn sign(&self, key: &PublicKey, vote: Vote) -> Option<SignedVote> {
        let (secret, members) = (self.secrets.get(key)?, self.members.get(&vote.epoch)?);
        let signer = members.index_of(key)?;
        let signature = secret.sign_deterministic(&Vote::context(self.chain), &vote.sign_bytes(members.hash()));
        Some(SignedVote { vote, signer, signature })
    }

    /// What a member, honest or not, signed on another chain, where the same keys vote with the same weights.
    pub fn sign_elsewhere(&self, signer: u16, vote: Vote) -> Option<SignedVote> {
        let members = self.members.get(&vote.epoch)?;
        let secret = self.elsewhere.get(&members.list().get(usize::from(signer))?.key)?;
        let other = Hash::of("chain", &[b"another", &self.chain.0]);
        Some(SignedVote { vote, signer, signature: secret.sign_deterministic(&Vote::context(other), &vote.sign_bytes(members.hash())) })
    }

    /// A certificate that everybody signed on the other chain.
    pub fn certified_elsewhere(&self, vote: Vote) -> Option<Certificate> {
        let members = self.members.get(&vote.epoch)?;
        let signed = (0..).take(members.count()).filter_map(|signer| self.sign_elsewhere(signer, vote));
        Some(Certificate::new(vote, members, signed.map(|signed| (signed.signer, signed.signature))))
    }

    /// Who leads a view.
    pub fn leader(&self, epoch: Epoch, view: View) -> Option<PublicKey> {
        let members = self.members.get(&epoch)?;
        let leader = consensus::leader::leader(*self.seeds.get(&epoch)?, epoch, view, members);
        members.list().get(usize::from(leader)).map(|member| member.key)
    }

    /// A certificate of this vote by everybody who signed it and all liars, whether or not that is a quorum.
    pub fn signed(&self, vote: Vote) -> Option<Certificate> {
        let members = self.members.get(&vote.epoch)?;
        let mut signatures = self.votes.get(&(vote.epoch, vote.view)).and_then(|kinds| kinds.get(&vote.kind)).cloned().unwrap_or_default();
        signatures.extend(self.secrets.keys().filter_map(|key| self.sign(key, vote)).map(|signed| (signed.signer, signed.signature)));
        Some(Certificate::new(vote, members, signatures))
    }

    /// The same, if it is a quorum.
    pub fn assemble(&self, vote: Vote) -> Option<Certificate> {
        let members = self.members.get(&vote.epoch)?;
        let certificate = self.signed(vote)?;
        let weight = certificate.signers().map(|signer| members.weight(signer)).sum();
        members.is_quorum(weight).then_some(certificate)
    }

    /// The blocks proposed in a view, as far as they were heard.
    pub fn blocks(&self, epoch: Epoch, view: View) -> Vec<Arc<Block>> {
        let of_view = self.blocks.iter().filter(|block| (block.header.epoch, block.header.view) == (epoch, view));
        let mut blocks: Vec<Arc<Block>> = of_view.cloned().collect();
        blocks.dedup_by_key(|block| block.header.hash());
        blocks
    }

    /// Makes a header name what stands beside it.
    pub fn resealed(&self, mut block: Block) -> Block {
        block.header.justification = block.justification.digest();
        if let Some(digest) = (self.digest)(&block.payload) {
            block.header.payload = digest;
        }
        block
    }

    /// A proposal of this block by its leader, if that is a liar. The header gets the justification's digest and the payload's first.
    pub fn propose(&self, key: &PublicKey, block: Block) -> Option<Message> {
        let vote = Vote { epoch: block.header.epoch, view: block.header.view, kind: Kind::Notarize(block.header.hash()) };
        Some(Message::Proposal(consensus::Proposal { vote: self.sign(key, vote)?, block: Arc::new(block) }))
    }
}

/// The view a justification starts from.
pub fn base_view(justification: &Justification) -> View {
    match &justification.base {
        Base::Start => View(0),
        Base::Certified(certificate) => certificate.vote.view,
    }
}

/// Something a liar says.
#[derive(Debug)]
pub struct Line {
    /// To one node or to all.
    pub to: Option<usize>,
    /// The bytes.
    pub bytes: Arc<Vec<u8>>,
    /// How much later.
    pub after: Micros,
}

/// Where a liar stands when its strategy is asked.
pub struct Stage<'a> {
    /// What all liars know.
    pub coalition: &'a Coalition,
    /// Its own node.
    pub me: usize,
    /// Its own key.
    pub key: PublicKey,
    /// Nodes there are.
    pub nodes: usize,
    /// Which part of the network each node is in, cut or not: 0, 1, or 2 if there are triplets; all of them for liars who are no twins.
    pub sides: &'a [Option<usize>],
    /// Where its puppet stands.
    pub stands: Load,
    /// Its puppet's ledger.
    pub ledger: &'a mut dyn Ledger,
    /// Δ₀.
    pub delta: Micros,
    /// Chance.
    pub dice: &'a mut Dice,
    /// What it says.
    pub lines: Vec<Line>,
    /// Its puppet loses everything, the slot too.
    pub forgets: bool,
}

impl Stage<'_> {
    /// Says something, to one or all.
    pub fn say(&mut self, to: Option<usize>, message: &Message) {
        self.say_later(to, message, 0);
    }

    /// Says it later.
    pub fn say_later(&mut self, to: Option<usize>, message: &Message, after: Micros) {
        self.lines.push(Line { to, bytes: Arc::new(message.encode()), after });
    }

    /// Says something to every node for which `choose` is true.
    pub fn say_to(&mut self, message: &Message, choose: impl Fn(usize) -> bool) {
        let bytes = Arc::new(message.encode());
        for to in (0..self.nodes).filter(|&to| to != self.me && choose(to)) {
            self.lines.push(Line { to: Some(to), bytes: bytes.clone(), after: 0 });
        }
    }

    /// Votes in its own name.
    pub fn vote(&mut self, epoch: Epoch, view: View, kind: Kind) {
        if let Some(signed) = self.coalition.sign(&self.key, Vote { epoch, view, kind }) {
            self.say(None, &Message::Vote(signed));
        }
    }
}

/// How a liar behaves. Left as it is, a strategy is an honest node's.
pub trait Strategy: Send {
    /// Its puppet wants to say this.
    fn speak(&mut self, stage: &mut Stage<'_>, to: Option<usize>, message: Message) {
        stage.say(to, &message);
    }

    /// Somebody said this, to anybody.
    fn hear(&mut self, _stage: &mut Stage<'_>, _message: &Message) {}

    /// Half a Δ₀ has passed.
    fn tick(&mut self, _stage: &mut Stage<'_>) {}

    /// Whether its puppet hears a node of this half.
    fn listens(&self, _side: Option<usize>) -> bool {
        true
    }
}

macro_rules! tactics {
    ($($(#[$doc:meta])* $name:ident => $make:expr,)*) => {
        /// The strategies there are, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Tactic {
            $($(#[$doc])* $name,)*
        }

        impl Tactic {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// A liar that behaves so; `copy` is the number of a twin.
            pub fn strategy(self, copy: usize) -> Box<dyn Strategy> {
                let _ = copy;
                match self {
                    $(Self::$name => Box::new($make(copy)),)*
                }
            }
        }

        impl FromStr for Tactic {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                $(if name == stringify!($name) {
                    return Ok(Self::$name);
                })*
                Err(format!("no tactic is called {name}"))
            }
        }
    };
}

tactics! {
    /// Says nothing.
    Silent => |_| voters::Silent,
    /// Two honest copies under one key, each in one half of the network.
    Twins => voters::Twin::new,
    /// Three, each in a third of the network.
    Triplets => voters::Twin::new,
    /// Notarizes every block, nullifies every view, finalizes everything, and leads both halves of a cut network.
    Contradictor => |_| voters::Contradictor,
    /// Nullifies each view and finalizes what is notarized in it.
    NullifyFinalize => |_| voters::NullifyFinalize,
    /// Notarizes one block of a view and finalizes another.
    NotarizeFinalize => |_| voters::NotarizeFinalize,
    /// Votes to one node alone.
    Selective => |_| voters::Selective,
    /// Keeps its votes back, and shows one node the notarization just before everybody gives up.
    Hidden => |_| voters::Hidden::default(),
    /// Votes for views far ahead.
    Spammer => |_| voters::Spammer,
    /// Goes on voting in the epoch before.
    OldSigner => |_| voters::OldSigner,
    /// Says nothing around the end of an epoch.
    BoundaryWithholder => |_| voters::BoundaryWithholder,
    /// Restarts without its slot.
    Amnesiac => |_| voters::Amnesiac,
    /// Proposes two blocks, each to one half.
    Equivocator => |_| leaders::Equivocator,
    /// Proposes just before the others give up.
    LateLeader => |_| leaders::LateLeader,
    /// Nullifies what it proposed.
    NullifyOwn => |_| leaders::NullifyOwn,
    /// Proposes with justifications that justify nothing.
    InvalidJustification => |_| leaders::InvalidJustification,
    /// Gives its blocks to few, and answers nobody.
    BodyWithholder => |_| leaders::BodyWithholder,
    /// Proposes at times of its own.
    ClockLiar => |_| leaders::ClockLiar,
    /// Proposes what does not execute, or names other next members.
    WrongRoot => |_| leaders::WrongRoot,
    /// Skips views that were not nullified.
    Skipper => |_| builders::Builder::new(builders::Rule::Skips),
    /// Builds on an older block than its justification certifies.
    Grafter => |_| builders::Builder::new(builders::Rule::Parent),
    /// Goes on with ordinary blocks after an epoch's last one.
    Intruder => |_| builders::Builder::new(builders::Rule::End),
    /// Shows what the same keys signed on another chain.
    Foreigner => |_| wires::Foreigner,
    /// Repeats messages of earlier views and epochs.
    Replayer => |_| wires::Replayer,
    /// Sends real messages with other bytes.
    Malleator => |_| wires::Malleator,
    /// Pads and doubles what is in certificates.
    BitmapPadder => |_| wires::BitmapPadder,
    /// Accuses the honest.
    EvidenceForger => |_| wires::EvidenceForger,
}

impl Tactic {
    /// Nodes that run under one key.
    pub fn copies(self) -> usize {
        if self == Self::Triplets { 3 } else { 1 + usize::from(self == Self::Twins) }
    }
}

impl fmt::Display for Tactic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::Member;

    /// What is signed elsewhere is whole there and nothing here: the chain's name is in every signature.
    #[test]
    fn another_chain_is_another_chain() {
        let chain = Hash([1; 32]);
        let secrets: Vec<SecretKey> = (0..4).map(crate::world::secret).collect();
        let members = Members::new(secrets.iter().map(|secret| Member { key: secret.public(), weight: 1 }).collect()).expect("valid");
        let mut coalition = Coalition::new(chain, crate::ledger::plain::payload_digest, &secrets[..1], &secrets);
        coalition.learn(Epoch(0), &members, Hash::ZERO);
        let vote = Vote { epoch: Epoch(0), view: View(1), kind: Kind::Nullify };
        let certificate = coalition.certified_elsewhere(vote).expect("members are known");
        assert_eq!(certificate.verify(Hash::of("chain", &[b"another", &chain.0]), &members), Ok(()));
        assert!(certificate.verify(chain, &members).is_err());
        assert!(coalition.assemble(vote).is_none(), "nor does the coalition count it");
    }
}
