//! A block's payload: the summary that commits to everything, the evidence, and the transactions.

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::evidence::Evidence;
use primitives::encoding::{decode, encode};
use primitives::{Address, Amount, Hash, merkle};
use state::StateRoot;

/// Version of the rules of execution.
pub const RULES_VERSION: u8 = 1;
/// Largest payload of a block in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;
/// Most evidence in a block, in bytes: evidence is free, so its place is bounded. About 70 offences, and those left out come with the next block.
pub const EVIDENCE_BYTES_MAX: usize = 16 << 10;
/// Largest transaction in bytes.
pub const TRANSACTION_BYTES_MAX: usize = 1 << 20;

/// Everything a block commits to besides its place in the chain. The consensus header carries this value's hash.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Summary {
    /// Version of the rules of execution.
    pub version: u8,
    /// Price of one unit in this block, in wei; burned.
    pub base_fee: Amount,
    /// Units that the transactions used.
    pub units_used: u64,
    /// Units that the block could use.
    pub units_limit: u64,
    /// The tree after the block.
    pub state: StateRoot,
    /// Merkle root of the evidence's bytes.
    pub evidence: Hash,
    /// Merkle root of the transactions' bytes.
    pub transactions: Hash,
    /// Merkle root of the receipts' bytes.
    pub receipts: Hash,
    /// Root of the mountain range over all headers before this block.
    pub history: Hash,
    /// Randomness fixed by this block.
    pub beacon: Hash,
    /// Whether the epoch ends with this block.
    pub closes_epoch: bool,
}

impl Summary {
    /// The summary of block 0: a tree, and nothing that happened.
    pub fn genesis(state: StateRoot, base_fee: Amount, units_limit: u64, history: Hash) -> Self {
        let nothing = merkle::root::<Vec<u8>>(&[]);
        Self {
            version: RULES_VERSION,
            base_fee,
            units_used: 0,
            units_limit,
            state,
            evidence: nothing,
            transactions: nothing,
            receipts: nothing,
            history,
            beacon: Hash::ZERO,
            closes_epoch: false,
        }
    }

    /// The payload digest that the consensus header carries.
    pub fn digest(&self) -> Hash {
        Hash::of_value("payload", self)
    }
}

/// The payload of a block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Body {
    /// What the block commits to.
    pub summary: Summary,
    /// Contradictions of members, in their order; ahead of the transactions, so that nobody leaves with what it has before.
    pub evidence: Vec<Evidence>,
    /// Transactions in their order.
    pub transactions: Vec<Vec<u8>>,
}

impl Body {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        encode(self)
    }

    /// The body of a payload, or `None` if it is no body, has more than [`EVIDENCE_BYTES_MAX`] of evidence, or its evidence or transactions are not those of
    /// the summary.
    pub fn from_payload(payload: &[u8]) -> Option<Self> {
        let body: Self = decode(payload, PAYLOAD_BYTES_MAX).ok()?;
        let evidence: Vec<Vec<u8>> = body.evidence.iter().map(encode).collect();
        let bytes = evidence.iter().fold(0usize, |sum, evidence| sum.saturating_add(evidence.len()));
        let is_whole = body.summary.evidence == merkle::root(&evidence) && body.summary.transactions == merkle::root(&body.transactions);
        (is_whole && bytes <= EVIDENCE_BYTES_MAX).then_some(body)
    }
}

/// The digest of a payload, as consensus wants it: `None` for bytes that are no payload.
pub fn digest(payload: &[u8]) -> Option<Hash> {
    Body::from_payload(payload).map(|body| body.summary.digest())
}

/// How a transaction in a block ended.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// All messages took effect.
    Done,
    /// None did; the fee was paid. The text says why.
    Failed(String),
}

/// Something that happened: emitter, topics, data. Modules and, later, contracts use the same form.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Log {
    /// Who says it: a module's or a contract's account.
    pub emitter: Address,
    /// What to find it by; the first is the kind.
    pub topics: Vec<Hash>,
    /// The event itself.
    pub data: Vec<u8>,
}

/// What a transaction left behind.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// Hash of the transaction's bytes.
    pub transaction: Hash,
    /// Done, or why not.
    pub status: Status,
    /// Units used.
    pub units: u64,
    /// Wei paid for them, tip included.
    pub fee: Amount,
    /// What happened, in order.
    pub logs: Vec<Log>,
}

/// The name of a transaction: the hash of its bytes.
pub fn transaction_hash(bytes: &[u8]) -> Hash {
    Hash::of("transaction", &[bytes])
}
