//! A ledger of weights alone.
//!
//! A payload is the root of the state after it and transactions that set members' weights, each once; 0 leaves, more than 0 joins. The last block of an epoch
//! names the members as they are after its parent. Of the capped keys no transaction may make a third of the weight: so a scenario whose liars are capped keeps
//! its assumption in every epoch, whatever its leaders put in which order. And nobody gets half of the weight unless somebody had it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::ledger::{Heard, Refusal};
use consensus::config::Attendance;
use consensus::evidence::Evidence;
use consensus::message::Stored;
use consensus::{Block, Header, Member, Members};
use primitives::encoding::{decode, encode};
use primitives::{Epoch, Hash, Height, PublicKey, Time};
use state::Sealed;

use super::{Ledger, Opening, Order, PayloadDigest};

/// Most transactions in a payload.
const TRANSACTIONS_MAX: usize = 8;

/// When an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochRule {
    /// Never.
    Never,
    /// With its so manieth block.
    Blocks(u64),
    /// With the first block so many milliseconds after its start.
    Milliseconds(u64),
}

/// Sets one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// Executed once.
    pub id: u64,
    /// Whose.
    pub key: PublicKey,
    /// The weight from the next epoch on.
    pub weight: u64,
}

/// What a block carries.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payload {
    /// Hash of the state after it.
    pub root: Hash,
    /// In order.
    pub transactions: Vec<Transaction>,
    /// Makes it long.
    pub filler: Vec<u8>,
}

/// The digest of payloads, `None` for what is none.
pub fn payload_digest(payload: &[u8]) -> Option<Hash> {
    decode::<Payload>(payload, 4 << 20).ok().map(|_| Hash::of("payload", &[payload]))
}

/// What samples an epoch's leaders.
pub fn seed(chain: Hash, epoch: Epoch) -> Hash {
    Hash::of("seed", &[&chain.0, &epoch.0.to_le_bytes()])
}

/// What all nodes agree on from the beginning.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The chain.
    pub chain: Hash,
    /// The first members.
    pub weights: BTreeMap<PublicKey, u64>,
    /// Keys that no transaction may give a third.
    pub capped: BTreeSet<PublicKey>,
    /// When epochs end.
    pub rule: EpochRule,
    /// Time of the first block.
    pub time: Time,
}

impl Genesis {
    /// The members with a weight, by key.
    fn members(weights: &BTreeMap<PublicKey, u64>) -> Members {
        let list = weights.iter().filter(|(_, weight)| **weight > 0).map(|(key, weight)| Member { key: *key, weight: *weight });
        Members::new(list.collect()).expect("the rules leave members whose weights fit")
    }

    /// The block everybody starts from.
    pub fn header(&self) -> Header {
        Header::genesis(self.chain, &Self::members(&self.weights), self.time, Hash::ZERO)
    }

    fn state(&self) -> State {
        let (opened, weights) = ((Height(0), self.time), self.weights.clone());
        State { weights: weights.clone(), members: weights, epoch: Epoch(0), opened, included: BTreeSet::new(), next: None }
    }
}

/// The state after a block.
#[derive(Clone, Debug, BorshSerialize)]
struct State {
    weights: BTreeMap<PublicKey, u64>,
    /// The weights that vote in this epoch.
    members: BTreeMap<PublicKey, u64>,
    epoch: Epoch,
    opened: (Height, Time),
    included: BTreeSet<u64>,
    /// After an epoch's last block: the weights that vote in the next.
    next: Option<BTreeMap<PublicKey, u64>>,
}

impl State {
    /// What the block at this height and time must say of the next members, and the state in which its transactions are executed.
    fn open(&self, parent: &Header, height: Height, time: Time, rule: EpochRule) -> (Self, Hash) {
        let mut state = self.clone();
        if let Some(next) = state.next.take() {
            (state.members, state.epoch, state.opened) = (next, self.epoch.next(), (parent.height, parent.time));
        }
        let is_last = match rule {
            EpochRule::Never => false,
            EpochRule::Blocks(blocks) => height.0 - state.opened.0.0 >= blocks,
            EpochRule::Milliseconds(milliseconds) => time.0 - state.opened.1.0 >= milliseconds,
        };
        state.next = is_last.then(|| state.weights.clone());
        let named = if is_last { Genesis::members(&state.weights).hash() } else { Hash::ZERO };
        (state, named)
    }

    fn admits(&self, transaction: &Transaction, genesis: &Genesis) -> bool {
        let mut weights = self.weights.clone();
        weights.insert(transaction.key, transaction.weight);
        let sum = |weights: &mut dyn Iterator<Item = &u64>| weights.map(|weight| u128::from(*weight)).sum::<u128>();
        let total = sum(&mut weights.values());
        let capped = sum(&mut weights.iter().filter(|(key, _)| genesis.capped.contains(key)).map(|(_, weight)| weight));
        let is_capped = genesis.capped.is_empty() || 3 * capped < total;
        // One who rules alone makes a block in every moment, and hands over to nobody who could follow.
        let is_ruled = |weights: &BTreeMap<PublicKey, u64>| {
            let most = weights.values().copied().max().unwrap_or(0);
            2 * u128::from(most) >= weights.values().map(|weight| u128::from(*weight)).sum::<u128>()
        };
        !self.included.contains(&transaction.id) && is_capped && (is_ruled(&self.weights) || !is_ruled(&weights)) && total > 0 && total <= u128::from(u64::MAX)
    }

    fn execute(&mut self, transaction: &Transaction) {
        self.weights.insert(transaction.key, transaction.weight);
        self.included.insert(transaction.id);
    }

    fn root(&self) -> Hash {
        Hash::of_value("state", self)
    }
}

/// One node's ledger.
#[derive(Debug)]
pub struct Plain {
    genesis: Arc<Genesis>,
    /// Most bytes of filler.
    filler: usize,
    /// The epoch's start and the last final block.
    start: Header,
    tip: Header,
    states: BTreeMap<Hash, (Height, State)>,
    executed: BTreeSet<Hash>,
    waiting: Vec<Transaction>,
}

impl Plain {
    /// At genesis.
    pub fn new(genesis: Arc<Genesis>, filler: usize) -> Self {
        let tip = genesis.header();
        let states = [(tip.hash(), (Height(0), genesis.state()))].into();
        Self { filler, start: tip.clone(), tip, states, executed: BTreeSet::new(), waiting: Vec::new(), genesis }
    }

    fn apply(&self, block: &Block) -> Option<State> {
        let (_, before) = self.states.get(&block.header.parent)?;
        let payload: Payload = decode(&block.payload, 4 << 20).ok()?;
        let parent = if block.header.parent == self.tip.hash() { self.tip.clone() } else { self.parent_of(block)? };
        let (mut state, named) = before.open(&parent, block.header.height, block.header.time, self.genesis.rule);
        for transaction in &payload.transactions {
            if !state.admits(transaction, &self.genesis) {
                return None;
            }
            state.execute(transaction);
        }
        let is_good = payload.transactions.len() <= TRANSACTIONS_MAX && state.root() == payload.root && block.header.next_members == named;
        is_good.then_some(state)
    }

    /// Height and time of an undecided parent matter only to an epoch's first block, whose parent is final.
    fn parent_of(&self, block: &Block) -> Option<Header> {
        let height = block.header.height.checked_sub(Height(1))?;
        Some(Header { height, ..self.tip.clone() })
    }
}

impl Ledger for Plain {
    fn digest(&self) -> PayloadDigest {
        payload_digest
    }

    fn submit(&mut self, transaction: &[u8]) {
        self.waiting.extend(decode::<Transaction>(transaction, 100));
    }

    fn accuse(&mut self, _: &Evidence) {}

    fn hear(&mut self, _: &Evidence) -> Heard {
        Heard::Refused(Refusal::NotNow("this ledger judges nobody".into()))
    }

    fn build(&mut self, order: &Order) -> Option<(Vec<u8>, Hash)> {
        let (_, before) = self.states.get(&order.parent.hash())?;
        let (mut state, named) = before.open(&order.parent, order.parent.height.next(), order.time, self.genesis.rule);
        let mut transactions = Vec::new();
        for transaction in &self.waiting {
            if transactions.len() < TRANSACTIONS_MAX && state.admits(transaction, &self.genesis) {
                state.execute(transaction);
                transactions.push(*transaction);
            }
        }
        let filler = vec![7; self.filler.min(order.bytes_max.saturating_sub(1000))];
        Some((encode(&Payload { root: state.root(), transactions, filler }), named))
    }

    fn execute(&mut self, block: &Block, _: &Attendance) -> bool {
        let hash = block.header.hash();
        let Some(state) = self.apply(block) else { return false };
        self.states.insert(hash, (block.header.height, state));
        self.executed.insert(hash);
        true
    }

    fn has_executed(&self, block: Hash) -> bool {
        self.executed.contains(&block)
    }

    fn commit(&mut self, blocks: &[Arc<Block>]) {
        for block in blocks {
            self.tip = block.header.clone();
            if self.tip.is_last() {
                self.start = self.tip.clone();
            }
        }
        let tip = self.tip.hash();
        self.states.retain(|hash, (height, _)| *hash == tip || *height > self.tip.height);
        if let Some((_, state)) = self.states.get(&tip) {
            self.waiting.retain(|waiting| !state.included.contains(&waiting.id));
        }
    }

    fn restore(&mut self, chain: &[Stored]) {
        *self = Self { waiting: std::mem::take(&mut self.waiting), ..Self::new(self.genesis.clone(), self.filler) };
        for stored in chain {
            assert!(self.execute(&stored.block, &Attendance::default()), "what is final executes again");
            self.commit(std::slice::from_ref(&stored.block));
        }
        self.executed.clear();
    }

    fn opening(&self) -> Opening {
        let (_, state) = &self.states[&self.tip.hash()];
        let (epoch, weights) = match &state.next {
            Some(next) => (state.epoch.next(), next),
            None => (state.epoch, &state.members),
        };
        Opening { epoch, members: Genesis::members(weights), seed: seed(self.genesis.chain, epoch), start: self.start.clone() }
    }

    fn state(&self) -> Option<&Sealed> {
        None
    }
}
