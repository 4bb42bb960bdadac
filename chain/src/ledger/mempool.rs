//! Transactions that wait for a block: verified once, ordered by sender and nonce, bounded.
//!
//! Selection takes each sender's transactions in nonce order and prefers higher tips between senders. Nothing here is durable: a transaction that a crash
//! lost is sent again by whoever wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use primitives::{Amount, Hash};
use state::Sealed;

use super::block::transaction_hash;
use super::rules::{Place, Refusal, Rules};

/// Transactions that wait at most.
pub const TRANSACTIONS_MAX: usize = 50_000;
/// Bytes that wait at most.
pub const MEMPOOL_BYTES_MAX: usize = 64 << 20;
/// Transactions of one sender that wait at most.
pub const PER_SENDER_MAX: usize = 4_096;
/// Final blocks after which a transaction that no block took is forgotten: a gap in the nonces or an empty account must not hold its place for ever.
pub const BLOCKS_WAITED_MAX: u64 = 600;
/// Transactions offered for one block.
pub const CANDIDATES_MAX: usize = 10_000;

struct Waiting<T> {
    since: u64,
    bytes: Vec<u8>,
    transaction: T,
    hash: Hash,
    tip: Amount,
}

/// The queue.
pub struct Mempool<R: Rules> {
    senders: BTreeMap<Hash, BTreeMap<u64, Waiting<R::Transaction>>>,
    hashes: BTreeMap<Hash, (Hash, u64)>,
    bytes: usize,
    arrivals: u64,
    finalized: u64,
}

impl<R: Rules> Default for Mempool<R> {
    fn default() -> Self {
        Self { senders: BTreeMap::new(), hashes: BTreeMap::new(), bytes: 0, arrivals: 0, finalized: 0 }
    }
}

impl<R: Rules> Mempool<R> {
    /// Queues a verified transaction. A transaction with the sender and nonce of a waiting one replaces it if it tips more.
    ///
    /// # Errors
    /// [`Refusal`] if the ledger refuses it or the queue is full; nothing changes then.
    pub fn insert(&mut self, rules: &R, state: &Sealed, bytes: Vec<u8>, transaction: R::Transaction) -> Result<Hash, Refusal> {
        let hash = transaction_hash(&bytes);
        if self.hashes.contains_key(&hash) {
            return Ok(hash);
        }
        let Place { sender, nonce, tip } = rules.place(state, &transaction)?;
        if self.hashes.len() >= TRANSACTIONS_MAX || self.bytes.saturating_add(bytes.len()) > MEMPOOL_BYTES_MAX {
            return Err(Refusal::NotNow(format!("the queue is full: {} transactions, {} bytes wait; try again later", self.hashes.len(), self.bytes)));
        }
        let queue = self.senders.entry(sender).or_default();
        if let Some(other) = queue.get(&nonce) {
            if other.tip >= tip {
                return Err(Refusal::NotNow(format!(
                    "transaction {} with nonce {nonce} already waits; offer a tip above {} wei per unit to replace it",
                    other.hash, other.tip
                )));
            }
        } else if queue.len() >= PER_SENDER_MAX {
            return Err(Refusal::NotNow(format!("{PER_SENDER_MAX} transactions of this sender already wait")));
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.hashes.insert(hash, (sender, nonce));
        self.arrivals = self.arrivals.saturating_add(1);
        if let Some(replaced) = queue.insert(nonce, Waiting { since: self.finalized, bytes, transaction, hash, tip }) {
            self.bytes = self.bytes.saturating_sub(replaced.bytes.len());
            self.hashes.remove(&replaced.hash);
        }
        Ok(hash)
    }

    /// Whether the transaction waits.
    pub fn contains(&self, hash: &Hash) -> bool {
        self.hashes.contains_key(hash)
    }

    /// The waiting transaction of these bytes: its signatures need no second look.
    pub fn verified(&self, hash: &Hash) -> Option<&R::Transaction> {
        let (sender, nonce) = self.hashes.get(hash)?;
        self.senders.get(sender)?.get(nonce).map(|waiting| &waiting.transaction)
    }

    /// Transactions that were ever queued: who has seen this number has seen every one that waits.
    pub fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Number of waiting transactions.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The next nonce after those that wait for a sender, if any wait.
    pub fn nonce_after(&self, sender: &Hash) -> Option<u64> {
        self.senders.get(sender)?.last_key_value().map(|(nonce, _)| nonce.saturating_add(1))
    }

    /// Candidates for a block, best tip first, each sender's in nonce order; without those in `skip` (in undecided ancestors).
    pub fn candidates(&self, skip: &BTreeSet<Hash>) -> Vec<(Vec<u8>, R::Transaction)> {
        let mut queues: Vec<_> = self.senders.values().map(|queue| queue.values().filter(|waiting| !skip.contains(&waiting.hash)).peekable()).collect();
        // A heap of the heads: (tip, queue). The position breaks ties, so the order is a function of the content.
        let mut heads: BTreeSet<(Amount, usize)> =
            queues.iter_mut().enumerate().filter_map(|(index, queue)| queue.peek().map(|head| (head.tip, index))).collect();
        let mut candidates = Vec::new();
        while candidates.len() < CANDIDATES_MAX {
            let Some((_, index)) = heads.pop_last() else { break };
            if let Some(waiting) = queues[index].next() {
                candidates.push((waiting.bytes.clone(), waiting.transaction.clone()));
            }
            if let Some(head) = queues[index].peek() {
                heads.insert((head.tip, index));
            }
        }
        candidates
    }

    /// Forgets what a final block carried, what it made impossible, and what has waited for [`BLOCKS_WAITED_MAX`] blocks.
    pub fn finalized(&mut self, rules: &R, state: &Sealed, included: &[Hash]) {
        for hash in included {
            self.remove(hash);
        }
        self.finalized = self.finalized.saturating_add(1);
        let waiting = self.senders.values().flat_map(BTreeMap::values);
        let mut impossible: Vec<Hash> =
            waiting.filter(|waiting| waiting.since.saturating_add(BLOCKS_WAITED_MAX) < self.finalized).map(|waiting| waiting.hash).collect();
        for queue in self.senders.values() {
            // Only a sender's first can have become impossible without the rest being re-checked in their turn.
            for waiting in queue.values() {
                match rules.place(state, &waiting.transaction) {
                    Err(Refusal::Never(_)) => impossible.push(waiting.hash),
                    Ok(_) | Err(Refusal::NotNow(_)) => break,
                }
            }
        }
        for hash in impossible {
            self.remove(&hash);
        }
    }

    fn remove(&mut self, hash: &Hash) {
        let Some((sender, nonce)) = self.hashes.remove(hash) else { return };
        if let Some(queue) = self.senders.get_mut(&sender) {
            if let Some(waiting) = queue.remove(&nonce) {
                self.bytes = self.bytes.saturating_sub(waiting.bytes.len());
            }
            if queue.is_empty() {
                self.senders.remove(&sender);
            }
        }
    }

    /// Waiting transactions after this hash, in the order of their hashes: at most so many bytes, but one at least if one waits there. For telling others again.
    pub fn waiting(&self, after: &Hash, bytes_max: usize) -> Vec<(Hash, Vec<u8>)> {
        let mut bytes = 0_usize;
        let rest = self.hashes.range((Bound::Excluded(*after), Bound::Unbounded));
        let waiting = rest.filter_map(|(hash, (sender, nonce))| Some((*hash, &self.senders.get(sender)?.get(nonce)?.bytes)));
        let fits = waiting.take_while(|(_, transaction)| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(transaction.len());
            is_first || bytes <= bytes_max
        });
        fits.map(|(hash, transaction)| (hash, transaction.clone())).collect()
    }
}
