//! Building a block and checking a block: the same steps, so that they cannot disagree.
//!
//! The steps: `begin`, each piece of evidence and each transaction in order, `end`; then the parent's header joins the history, the tree is sealed and the
//! summary computed. A builder leaves out what is refused or does not fit any more; a checker refuses the block for it.

use consensus::Members;
use consensus::evidence::Evidence;
use primitives::encoding::encode;
use primitives::{Hash, merkle};
use state::Sealed;

use super::block::{Body, EVIDENCE_BYTES_MAX, Log, PAYLOAD_BYTES_MAX, RULES_VERSION, Receipt, Summary};
use super::history::Range;
use super::rules::{BlockInfo, Refusal, Rules, Terms, Usage};
use crate::keys;

/// Bytes of a payload that are neither evidence nor transactions: the summary and lengths.
const BODY_OVERHEAD_BYTES: usize = 1024;

/// What a block builds on.
#[derive(Clone)]
pub struct Parent {
    /// The tree after the parent.
    pub state: Sealed,
    /// The parent's summary.
    pub summary: Summary,
}

/// A block that was executed.
#[derive(Clone)]
pub struct Executed {
    /// The tree after it.
    pub state: Sealed,
    /// Its payload.
    pub body: Body,
    /// One receipt per transaction.
    pub receipts: Vec<Receipt>,
    /// What happened outside transactions: at the beginning of the block, by its evidence, and at its end.
    pub logs: Vec<Log>,
    /// Who votes after it, if it closes the epoch.
    pub next: Option<Members>,
}

impl Executed {
    /// What a child builds on.
    pub fn as_parent(&self) -> Parent {
        Parent { state: self.state.clone(), summary: self.body.summary.clone() }
    }

    /// What its header says of the next members: their hash if it closes the epoch, else zero.
    pub fn next_members(&self) -> Hash {
        self.next.as_ref().map_or(Hash::ZERO, Members::hash)
    }
}

/// Why a block is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Evidence has no place in it.
    #[error("evidence {index} has no place in the block: {cause}")]
    Evidence {
        /// Position in the block.
        index: usize,
        /// Why.
        cause: Refusal,
    },
    /// A transaction has no place in it.
    #[error("transaction {index} has no place in the block: {cause}")]
    Transaction {
        /// Position in the block.
        index: usize,
        /// Why.
        cause: Refusal,
    },
    /// The transactions use more than the limit.
    #[error("the block uses {used} units, the limit is {limit}")]
    Units {
        /// Units used.
        used: u64,
        /// Units allowed.
        limit: u64,
    },
    /// Execution gives another summary than the block claims.
    #[error("the block claims {claimed:?}, execution gives {computed:?}")]
    Summary {
        /// What the proposer wrote.
        claimed: Box<Summary>,
        /// What the rules say.
        computed: Box<Summary>,
    },
}

/// Builds a block from evidence and candidates, leaving out what is refused, and without executing it what is above the units or bytes that are left.
pub fn build<R: Rules>(
    rules: &R,
    parent: &Parent,
    block: &BlockInfo,
    evidence: &[Evidence],
    candidates: impl IntoIterator<Item = (Vec<u8>, R::Transaction)>,
) -> Executed {
    let mut run = Run::begin(rules, parent, block);
    let mut bytes = 0usize;
    for evidence in evidence {
        let bytes_after = bytes.saturating_add(encode(evidence).len());
        if bytes_after <= EVIDENCE_BYTES_MAX && run.charge(rules, evidence).is_ok() {
            bytes = bytes_after;
        }
    }
    bytes = bytes.saturating_add(BODY_OVERHEAD_BYTES);
    for (encoded, transaction) in candidates {
        let bytes_after = bytes.saturating_add(encoded.len()).saturating_add(4);
        if bytes_after <= PAYLOAD_BYTES_MAX && run.apply(rules, &transaction).is_ok() {
            bytes = bytes_after;
            run.transactions.push(encoded);
        }
    }
    run.end(rules)
}

/// Executes a block that another node proposed and compares every commitment.
///
/// # Errors
/// [`BlockError`] names the first difference.
pub fn check<R: Rules>(rules: &R, parent: &Parent, block: &BlockInfo, body: &Body, transactions: &[R::Transaction]) -> Result<Executed, BlockError> {
    let mut run = Run::begin(rules, parent, block);
    for (index, evidence) in body.evidence.iter().enumerate() {
        run.charge(rules, evidence).map_err(|cause| BlockError::Evidence { index, cause })?;
    }
    for (index, (encoded, transaction)) in body.transactions.iter().zip(transactions).enumerate() {
        run.apply(rules, transaction).map_err(|cause| BlockError::Transaction { index, cause })?;
        run.transactions.push(encoded.clone());
    }
    let executed = run.end(rules);
    if executed.body.summary != body.summary {
        return Err(BlockError::Summary { claimed: Box::new(body.summary.clone()), computed: Box::new(executed.body.summary) });
    }
    Ok(executed)
}

/// A block under execution.
struct Run<'a> {
    block: &'a BlockInfo,
    state: state::Overlay,
    terms: Terms,
    usage: Usage,
    evidence: Vec<Evidence>,
    transactions: Vec<Vec<u8>>,
    receipts: Vec<Receipt>,
    logs: Vec<Log>,
}

impl<'a> Run<'a> {
    fn begin<R: Rules>(rules: &R, parent: &Parent, block: &'a BlockInfo) -> Self {
        let mut state = parent.state.child();
        let terms = rules.terms(&state, block);
        let logs = rules.begin(&mut state, block);
        Self { block, state, terms, usage: Usage::default(), evidence: Vec::new(), transactions: Vec::new(), receipts: Vec::new(), logs }
    }

    fn charge<R: Rules>(&mut self, rules: &R, evidence: &Evidence) -> Result<(), Refusal> {
        let before = self.state.checkpoint();
        match rules.evidence(&mut self.state, self.block, evidence) {
            Ok(logs) => {
                self.logs.extend(logs);
                self.evidence.push(*evidence);
                Ok(())
            }
            Err(refusal) => {
                self.state.rollback(before);
                Err(refusal)
            }
        }
    }

    fn apply<R: Rules>(&mut self, rules: &R, transaction: &R::Transaction) -> Result<(), Refusal> {
        let used = self.usage.units.saturating_add(self.terms.costs.units(&rules.work(transaction)));
        if used > self.terms.units_limit {
            return Err(Refusal::NotNow(format!("the block is full: {used} of {} units", self.terms.units_limit)));
        }
        let before = self.state.checkpoint();
        let receipt = match rules.apply(&mut self.state, self.block, &self.terms, transaction) {
            Ok(receipt) => receipt,
            Err(refusal) => {
                self.state.rollback(before);
                return Err(refusal);
            }
        };
        self.usage = Usage { units: used, fees: self.usage.fees.saturating_add(receipt.fee) };
        self.receipts.push(receipt);
        Ok(())
    }

    fn end<R: Rules>(mut self, rules: &R) -> Executed {
        let (end, logs) = rules.end(&mut self.state, self.block, &self.terms, &self.usage);
        self.logs.extend(logs);
        let mut history: Range = keys::read(&self.state, &keys::history()).unwrap_or_default();
        history.append(self.block.parent);
        keys::write(&mut self.state, &keys::history(), &history);
        let state = self.state.seal();
        let summary = Summary {
            version: RULES_VERSION,
            base_fee: self.terms.base_fee,
            units_used: self.usage.units,
            units_limit: self.terms.units_limit,
            state: state.root(),
            evidence: merkle::root(&self.evidence.iter().map(encode).collect::<Vec<_>>()),
            transactions: merkle::root(&self.transactions),
            receipts: receipts_root(&self.receipts),
            history: history.root(),
            beacon: end.beacon,
            closes_epoch: end.closes_epoch,
        };
        let next = end.closes_epoch.then(|| rules.electorate(&state).members);
        Executed { state, body: Body { summary, evidence: self.evidence, transactions: self.transactions }, receipts: self.receipts, logs: self.logs, next }
    }
}

/// Merkle root of a block's receipts.
pub fn receipts_root(receipts: &[Receipt]) -> Hash {
    merkle::root(&receipts.iter().map(encode).collect::<Vec<_>>())
}
