//! The value ledger that ships, as a replica runs it, on a state in memory.
//!
//! Whatever the replica's thread decides is decided here in the same way: a leader builds with the evidence that waits and what the queue offers, a block is
//! checked with the attendance that its justification shows and its next members are compared with its header's, an epoch's end asks for the next electorate,
//! and a commit forgets what the ledger would no longer take. The committed state and the evidence are on the disk: a restart keeps both, a lost disk
//! neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::genesis::{GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY};
use chain::ledger::block::transaction_hash;
use chain::ledger::execute::{Parent, build, check};
use chain::ledger::{BlockInfo, Body, Electorate, EvidencePool, Executed, Heard, Mempool, Rules, digest};
use chain::parameters::Parameters;
use chain::transaction::Verified;
use chain::{Genesis, ValueLedger};
use consensus::config::Attendance;
use consensus::evidence::Evidence;
use consensus::message::Stored;
use consensus::{Block, Header};
use primitives::{AccountSecret, Amount, Bytes, Hash, Height, PublicKey, SecretKey, Time};
use state::{Memory, Sealed};

use super::{Ledger, Opening, Order, PayloadDigest};

/// Accounts that operate nothing.
pub const PEOPLE: usize = 6;
/// What each account has besides its stake, in stos.
const FUNDS: u64 = 500_000;
/// Epochs after an offence in which it can be proven, and after the proof until the slash.
pub const WINDOW: u64 = 2;
/// Whole epochs that stake waits on its way out.
const UNBONDING: u64 = 3;
/// Bytes of a payload that are neither evidence nor transactions.
const REST_BYTES: usize = 1024;

/// The account that operates node `node`'s validator.
pub fn operator(node: usize) -> AccountSecret {
    AccountSecret::from_seed(&Hash::of("sim-operator", &[&node.to_le_bytes()]).0)
}

/// The account of somebody who operates nothing.
pub fn person(number: usize) -> AccountSecret {
    AccountSecret::from_seed(&Hash::of("sim-person", &[&number.to_le_bytes()]).0)
}

/// A genesis in which the node of each key is a validator with as many stos as its weight, if it has any; epochs last `epoch_ms`.
pub fn genesis(nodes: &[(PublicKey, u64)], epoch_ms: u64) -> Genesis {
    let account = |secret: AccountSecret| GenesisAccount { address: secret.address(), balance: Amount::stos(FUNDS), ozone_for: Amount::ZERO };
    let seated = nodes.iter().enumerate().filter(|(_, (_, weight))| *weight > 0);
    let validator = |(node, (key, weight)): (usize, &(PublicKey, u64))| GenesisValidator {
        operator: operator(node).address(),
        key: *key,
        stake: Amount::stos(*weight),
        commission: chain::staking::Commission { bp: 500, max_bp: 2_000 },
    };
    let mut genesis = Genesis {
        name: "sim".into(),
        time: Time(1_000_000),
        parameters: Parameters {
            epoch_ms,
            evidence_epochs: WINDOW,
            unbonding_epochs: UNBONDING,
            slash_reward_bp: 100,
            governance_deposit: Amount::stos(20),
            governance_epochs: 3,
            governance_quorum_bp: 2_000,
            ..Parameters::dev()
        },
        reserve: Amount::ZERO,
        accounts: (0..nodes.len()).map(operator).chain((0..PEOPLE).map(person)).map(account).collect(),
        validators: seated.map(validator).collect(),
        // The metadata ledger needs a member; nothing happens there.
        meta_nodes: vec![GenesisNode {
            operator: AccountSecret::from_seed(&[9; 32]).address(),
            key: SecretKey::from_seed(&[9; 32]).public(),
            peer: vec![1; 38],
            addresses: vec!["/memory/1".into()],
            deposit: Amount::stos(100),
            capacity: Bytes(0),
        }],
        resource_nodes: Vec::new(),
        continued: None,
    };
    let of_accounts = genesis.accounts.iter().map(|account| account.balance.0);
    let used: u128 = of_accounts.chain(genesis.validators.iter().map(|validator| validator.stake.0)).sum::<u128>() + Amount::stos(100).0;
    genesis.reserve = Amount(TOTAL_SUPPLY.0.checked_sub(used).expect("the weights are few of all coins"));
    genesis
}

/// What block 0 left.
#[derive(Clone)]
struct Origin {
    chain: Hash,
    header: Header,
    parent: Parent,
}

/// One node's ledger.
pub struct Value {
    rules: ValueLedger,
    origin: Origin,
    /// The epoch's start and the last final block.
    start: Header,
    tip: Header,
    /// What the last final block left.
    parent: Parent,
    /// Undecided blocks that were executed here.
    executed: BTreeMap<Hash, (Height, Executed)>,
    /// The payload built last, so that it is not executed twice.
    built: Option<(BlockInfo, Hash, Executed)>,
    mempool: Mempool<ValueLedger>,
    evidence: EvidencePool,
}

impl Value {
    /// At genesis.
    pub fn new(genesis: &Genesis) -> Self {
        let (header, executed) = genesis.execute(&Memory::new()).expect("the genesis is valid");
        Self::at(Origin { chain: genesis.hash(), header, parent: executed.as_parent() })
    }

    fn at(origin: Origin) -> Self {
        Self {
            rules: ValueLedger::new(origin.chain),
            start: origin.header.clone(),
            tip: origin.header.clone(),
            parent: origin.parent.clone(),
            origin,
            executed: BTreeMap::new(),
            built: None,
            mempool: Mempool::default(),
            evidence: EvidencePool::default(),
        }
    }

    /// The block everybody starts from.
    pub fn header(&self) -> Header {
        self.origin.header.clone()
    }

    fn parent_of(&self, hash: &Hash) -> Option<Parent> {
        if *hash == self.tip.hash() { Some(self.parent.clone()) } else { self.executed.get(hash).map(|(_, executed)| executed.as_parent()) }
    }

    fn check(&self, block: &Block, info: &BlockInfo) -> Option<Executed> {
        let parent = self.parent_of(&info.parent)?;
        let body = Body::from_payload(&block.payload)?;
        let executed = check(&self.rules, &parent, info, &body, &self.verified(&body)?).ok()?;
        (block.header.next_members == executed.next_members()).then_some(executed)
    }

    /// The transactions of a body; signatures are checked only of those that do not wait here already.
    fn verified(&self, body: &Body) -> Option<Vec<Verified>> {
        let known = |bytes: &Vec<u8>| self.mempool.verified(&transaction_hash(bytes)).cloned();
        let unknown: Vec<Vec<u8>> = body.transactions.iter().filter(|bytes| known(bytes).is_none()).cloned().collect();
        let mut checked = self.rules.verify(&unknown).into_iter();
        body.transactions.iter().map(|bytes| known(bytes).or_else(|| checked.next()?.ok())).collect()
    }
}

fn hashes<'a>(bodies: impl Iterator<Item = &'a Body>) -> BTreeSet<Hash> {
    bodies.flat_map(|body| &body.transactions).map(|bytes| transaction_hash(bytes)).collect()
}

impl Ledger for Value {
    fn digest(&self) -> PayloadDigest {
        digest
    }

    fn submit(&mut self, transaction: &[u8]) {
        for verified in self.rules.verify(&[transaction.to_vec()]).into_iter().flatten() {
            // Who is refused has to ask again; users here do not.
            let _ = self.mempool.insert(&self.rules, &self.parent.state, transaction.to_vec(), verified);
        }
    }

    fn accuse(&mut self, evidence: &Evidence) {
        self.evidence.insert(*evidence);
    }

    fn hear(&mut self, evidence: &Evidence) -> Heard {
        self.evidence.hear(&self.rules, &self.parent.state, *evidence)
    }

    fn build(&mut self, order: &Order) -> Option<(Vec<u8>, Hash)> {
        let hash = order.parent.hash();
        let parent = self.parent_of(&hash)?;
        let block = BlockInfo {
            chain: self.origin.chain,
            height: order.parent.height.next(),
            time: order.time,
            parent: hash,
            proposer: order.proposer,
            voters: order.attendance.voters.clone(),
            absent: order.attendance.absent.clone(),
        };
        let taken = hashes(order.undecided.iter().filter_map(|hash| self.executed.get(hash)).map(|(_, executed)| &executed.body));
        let mut candidates = self.mempool.candidates(&taken);
        let mut room = order.bytes_max.saturating_sub(REST_BYTES);
        candidates.retain(|(bytes, _)| {
            let rest = room.checked_sub(bytes.len() + 4);
            room = rest.unwrap_or(room);
            rest.is_some()
        });
        let executed = build(&self.rules, &parent, &block, &self.evidence.candidates(), candidates);
        let next_members = executed.next_members();
        let payload = executed.body.to_payload();
        self.built = Some((block, executed.body.summary.digest(), executed));
        Some((payload, next_members))
    }

    fn execute(&mut self, block: &Block, attendance: &Attendance) -> bool {
        let header = &block.header;
        let Attendance { voters, absent } = attendance.clone();
        let info =
            BlockInfo { chain: header.chain, height: header.height, time: header.time, parent: header.parent, proposer: header.proposer, voters, absent };
        let built = self.built.take_if(|(built, digest, _)| *built == info && *digest == header.payload);
        let executed = built.map(|(_, _, executed)| executed).or_else(|| self.check(block, &info));
        let is_valid = executed.is_some();
        self.executed.extend(executed.map(|executed| (header.hash(), (header.height, executed))));
        is_valid
    }

    fn has_executed(&self, block: Hash) -> bool {
        self.executed.contains_key(&block)
    }

    fn commit(&mut self, blocks: &[Arc<Block>]) {
        let executed = |block: &Arc<Block>| self.executed.get(&block.header.hash()).map(|(_, executed)| executed);
        // In a fork the observer may be given what it could not execute.
        let Some((last, parent)) = blocks.last().and_then(|last| Some((last.header.clone(), executed(last)?.as_parent()))) else { return };
        let included: Vec<Hash> = hashes(blocks.iter().filter_map(executed).map(|executed| &executed.body)).into_iter().collect();
        (self.tip, self.parent) = (last, parent);
        let (height, rules, state) = (self.tip.height, &self.rules, &self.parent.state);
        self.executed.retain(|_, (other, _)| *other > height);
        self.mempool.finalized(rules, state, &included);
        self.evidence.retain(|evidence| rules.admits(state, evidence).is_ok());
        if self.tip.is_last() {
            self.start = self.tip.clone();
            self.executed.clear();
            self.built = None;
        }
    }

    fn restore(&mut self, chain: &[Stored]) {
        let tip = chain.last().map_or(self.origin.header.hash(), |stored| stored.block.header.hash());
        if tip == self.tip.hash() {
            self.executed.clear();
            self.built = None;
        } else {
            assert!(chain.is_empty(), "the state on disk is that of the last final block");
            *self = Self { mempool: std::mem::take(&mut self.mempool), ..Self::at(self.origin.clone()) };
        }
    }

    fn opening(&self) -> Opening {
        let Electorate { epoch, members, seed } = self.rules.electorate(&self.parent.state);
        Opening { epoch, members, seed, start: self.start.clone() }
    }

    fn state(&self) -> Option<&Sealed> {
        Some(&self.parent.state)
    }
}
