//! What a ledger brings to the shared machinery: how a block begins, what a transaction does, how a block ends.

use consensus::evidence::Evidence;
use consensus::members::Members;
use primitives::{Address, Amount, Epoch, Hash, Height, Time};
use state::{Overlay, Sealed};

use super::block::{Log, Receipt};
use crate::metering::{Costs, Work};

/// Where a block stands. Everything execution may depend on besides state and transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Genesis hash of the chain.
    pub chain: Hash,
    /// The block's height.
    pub height: Height,
    /// The block's time, ms since the Unix epoch; greater than its parent's.
    pub time: Time,
    /// Hash of the parent's header.
    pub parent: Hash,
    /// Who proposed it: position in the member set.
    pub proposer: u16,
    /// Members whose signatures are in the certificate of the parent that the block carries, in the order of votes; none in the first block of an epoch, whose
    /// parent other members may have certified.
    pub voters: Vec<u16>,
    /// Leaders of the views that were skipped since the parent, in the order of the views.
    pub absent: Vec<u16>,
}

/// Who votes on the blocks that are built on a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Electorate {
    /// The epoch of those blocks.
    pub epoch: Epoch,
    /// Its voters.
    pub members: Members,
    /// What its leaders are drawn with.
    pub seed: Hash,
}

/// Why a transaction, or evidence, cannot be in a block now. Nothing was changed and nothing charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It can never be: malformed, wrong chain, bad signature, a nonce that is past. Of evidence: it is false.
    #[error("{0}")]
    Never(String),
    /// It may be later, or was: a nonce gap, not enough balance, not yet due. Of evidence: true or not, this ledger does not take it now.
    #[error("{0}")]
    NotNow(String),
}

/// How a block ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Randomness fixed by this block.
    pub beacon: Hash,
    /// Whether the epoch ends with it.
    pub closes_epoch: bool,
}

/// Place of a transaction in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Transactions of one sender are ordered by `nonce`.
    pub sender: Hash,
    /// Position among the sender's.
    pub nonce: u64,
    /// The nonce that the ledger takes next from this sender, if it takes them without a gap; `None` if any order will do.
    pub next: Option<u64>,
    /// Wei per unit offered to the proposer, or, in a ledger without fees, the rank of its kind; higher goes first.
    pub tip: Amount,
}

/// What holds for every transaction of a block: fixed when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Price of a unit, in wei; burned.
    pub base_fee: Amount,
    /// Units that the block may use.
    pub units_limit: u64,
    /// What each part of a transaction's work costs, in units.
    pub costs: Costs,
    /// Who receives the tips when the block ends; with nobody they are burned.
    pub proposer: Option<Address>,
}

/// What the transactions of a block took and paid, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Units used.
    pub units: u64,
    /// Fees, in wei: the price of these units, and tips.
    pub fees: Amount,
}

/// A ledger: the value ledger and the metadata ledger implement it. Deterministic in (state, block info, evidence, transactions).
pub trait Rules: Send + Sync + 'static {
    /// A transaction that was decoded and whose signatures were verified.
    type Transaction: Clone + Send + Sync + 'static;

    /// Decodes transactions and verifies their signatures, in batches where a transaction alone has too few. One verdict each.
    fn verify(&self, transactions: &[Vec<u8>]) -> Vec<Result<Self::Transaction, Refusal>>;

    /// What a transaction takes of a block, known before it is executed; its receipt says the same, in units.
    fn work(&self, transaction: &Self::Transaction) -> Work;

    /// Where a verified transaction queues, or why it cannot: checked against the newest final state.
    ///
    /// # Errors
    /// [`Refusal`] with the numbers.
    fn place(&self, state: &Sealed, transaction: &Self::Transaction) -> Result<Place, Refusal>;

    /// What holds for every transaction of a block, given the state it builds on.
    fn terms(&self, state: &Overlay, block: &BlockInfo) -> Terms;

    /// Who votes on the blocks that are built on `state`: other than before only after a block that closes an epoch.
    fn electorate(&self, state: &Sealed) -> Electorate;

    /// What happens before everything else in a block.
    fn begin(&self, state: &mut Overlay, block: &BlockInfo) -> Vec<Log>;

    /// Whether evidence may go into a block on this state.
    ///
    /// # Errors
    /// [`Refusal`] with the reason.
    fn admits(&self, state: &Sealed, evidence: &Evidence) -> Result<(), Refusal>;

    /// Takes evidence against a member, before the first transaction.
    ///
    /// # Errors
    /// [`Refusal`] if it has no place in this block; the state is then as before.
    fn evidence(&self, state: &mut Overlay, block: &BlockInfo, evidence: &Evidence) -> Result<Vec<Log>, Refusal>;

    /// Executes one transaction.
    ///
    /// # Errors
    /// [`Refusal`] if it has no place in this block; the state is then as before.
    fn apply(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, transaction: &Self::Transaction) -> Result<Receipt, Refusal>;

    /// The topics under which a log of a block is found, its kind first; `state` is the tree after the block. None if nobody looks for it.
    fn topics(&self, state: &Sealed, log: &Log) -> Vec<Hash>;

    /// What happens after the last transaction: fees have left their senders, and go where they belong.
    fn end(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, usage: &Usage) -> (End, Vec<Log>);

    /// Compares what must hold in every state and takes too long to be looked at in every block, as long as `is_wanted` says so; whether it came to the end.
    /// Called beside consensus, of the state after an epoch's last block. A ledger without money has nothing to compare.
    ///
    /// # Errors
    /// What does not hold, with the numbers: no block may follow.
    fn audit(&self, _state: &Sealed, _is_wanted: &dyn Fn() -> bool) -> Result<bool, String> {
        Ok(true)
    }
}
