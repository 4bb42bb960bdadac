//! Transactions that wait for a block: verified once, ordered by sender and nonce, bounded.
//!
//! Selection takes each sender's transactions in nonce order, prefers higher tips between senders and takes equal ones in turn. What waits behind a gap comes
//! last and is given up first, so nobody fills the queue with what cannot run. Nothing here is durable: a transaction that a crash lost is sent again by
//! whoever wants it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use primitives::{Amount, Hash};
use state::Sealed;

use super::block::{PAYLOAD_BYTES_MAX, transaction_hash};
use super::rules::{Place, Refusal, Rules};

/// Transactions that wait at most.
pub const TRANSACTIONS_MAX: usize = 50_000;
/// Bytes that wait at most.
pub const MEMPOOL_BYTES_MAX: usize = 64 << 20;
/// Transactions of one sender that wait at most.
pub const PER_SENDER_MAX: usize = 4_096;
/// Bytes of one sender that wait at most: a block's worth.
pub const PER_SENDER_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;
/// Final blocks after which a transaction that no block took is forgotten: a gap in the nonces or an empty account must not hold its place for ever.
pub const BLOCKS_WAITED_MAX: u64 = 600;
/// Transactions offered for one block: more transfers than the units of a block hold, so that fees decide who gets in.
pub const CANDIDATES_MAX: usize = 16_384;

struct Waiting<T> {
    since: u64,
    arrival: u64,
    bytes: Vec<u8>,
    transaction: T,
    hash: Hash,
    tip: Amount,
}

/// What is given up first when the queue is full, lowest first: what waits behind a gap, then the lowest tip, then the latest.
type Worth = (bool, Amount, Reverse<u64>);

/// The transactions of one sender, by nonce.
struct Queue<T> {
    waiting: BTreeMap<u64, Waiting<T>>,
    bytes: usize,
    next: Option<u64>,
}

impl<T> Queue<T> {
    /// How many can run one after the other: up to the first gap.
    fn runnable(&self) -> usize {
        let Some(next) = self.next else { return self.waiting.len() };
        (next..).zip(self.waiting.keys()).take_while(|(expected, nonce)| *nonce <= expected).count()
    }

    /// The worth of the last one, which is the one to give up: the others do not need it.
    fn worth(&self) -> Option<Worth> {
        let (nonce, last) = self.waiting.last_key_value()?;
        let behind = u64::try_from(self.waiting.len().saturating_sub(1)).unwrap_or(u64::MAX);
        let is_runnable = self.next.is_none_or(|next| *nonce <= next.saturating_add(behind));
        Some((is_runnable, last.tip, Reverse(last.arrival)))
    }
}

/// The queue.
pub struct Mempool<R: Rules> {
    senders: BTreeMap<Hash, Queue<R::Transaction>>,
    hashes: BTreeMap<Hash, (Hash, u64)>,
    /// Each sender's [`Queue::worth`].
    worths: BTreeSet<(Worth, Hash)>,
    bytes: usize,
    arrivals: u64,
    finalized: u64,
}

impl<R: Rules> Default for Mempool<R> {
    fn default() -> Self {
        Self { senders: BTreeMap::new(), hashes: BTreeMap::new(), worths: BTreeSet::new(), bytes: 0, arrivals: 0, finalized: 0 }
    }
}

impl<R: Rules> Mempool<R> {
    /// Queues a verified transaction. A transaction with the sender and nonce of a waiting one replaces it if it tips more; a full queue gives up what is worth
    /// less: what waits behind a gap in its sender's nonces, then the lowest tips.
    ///
    /// # Errors
    /// [`Refusal`] if the ledger refuses it or the queue is full of better ones; nothing changes then.
    pub fn insert(&mut self, rules: &R, state: &Sealed, bytes: Vec<u8>, transaction: R::Transaction) -> Result<Hash, Refusal> {
        let hash = transaction_hash(&bytes);
        if self.hashes.contains_key(&hash) {
            return Ok(hash);
        }
        let Place { sender, nonce, next, tip } = rules.place(state, &transaction)?;
        let queue = self.senders.get(&sender);
        let (count, held) = queue.map_or((0, 0), |queue| (queue.waiting.len(), queue.bytes));
        let replaced = queue.and_then(|queue| queue.waiting.get(&nonce));
        if let Some(other) = replaced.filter(|other| other.tip >= tip) {
            return Err(Refusal::NotNow(format!(
                "transaction {} with nonce {nonce} already waits; offer a tip above {} wei per unit to replace it",
                other.hash, other.tip
            )));
        }
        let freed = replaced.map_or(0, |other| other.bytes.len());
        if replaced.is_none() && count >= PER_SENDER_MAX || held.saturating_sub(freed).saturating_add(bytes.len()) > PER_SENDER_BYTES_MAX {
            return Err(Refusal::NotNow(format!(
                "{count} transactions with {held} bytes of this sender already wait, at most {PER_SENDER_MAX} with {PER_SENDER_BYTES_MAX} bytes may"
            )));
        }
        let arrival = self.arrivals;
        let removed = replaced.map(|other| other.hash).and_then(|hash| self.remove(&hash));
        let length = bytes.len();
        self.put(Place { sender, nonce, next, tip }, Waiting { since: self.finalized, arrival, bytes, transaction, hash, tip });
        // It is full with this one: the worst go, unless this one is among them.
        let mut given_up = Vec::new();
        while self.hashes.len() > TRANSACTIONS_MAX || self.bytes > MEMPOOL_BYTES_MAX {
            let Some(last) = self.worths.first().and_then(|(_, sender)| self.senders.get(sender)?.waiting.last_key_value()).map(|(_, last)| last.hash) else {
                break;
            };
            given_up.extend(self.remove(&last));
            if last == hash {
                let (waiting, bytes) = (self.hashes.len(), self.bytes);
                // Backwards, so that it is as before.
                for (place, other) in given_up.into_iter().rev().chain(removed).filter(|(_, other)| other.hash != hash) {
                    self.put(place, other);
                }
                return Err(Refusal::NotNow(format!(
                    "the queue is full: beside {waiting} transactions with {bytes} bytes that go first there is no room for {length} bytes; offer a higher tip or \
                     try again later"
                )));
            }
        }
        self.arrivals = self.arrivals.saturating_add(1);
        Ok(hash)
    }

    /// Puts a transaction into its sender's queue.
    fn put(&mut self, Place { sender, nonce, next, tip: _ }: Place, waiting: Waiting<R::Transaction>) {
        self.bytes = self.bytes.saturating_add(waiting.bytes.len());
        self.hashes.insert(waiting.hash, (sender, nonce));
        let queue = self.senders.entry(sender).or_insert_with(|| Queue { waiting: BTreeMap::new(), bytes: 0, next });
        let before = queue.worth();
        queue.next = next;
        queue.bytes = queue.bytes.saturating_add(waiting.bytes.len());
        queue.waiting.insert(nonce, waiting);
        let after = queue.worth();
        self.reweigh(sender, before, after);
    }

    fn reweigh(&mut self, sender: Hash, before: Option<Worth>, after: Option<Worth>) {
        if let Some(before) = before {
            self.worths.remove(&(before, sender));
        }
        self.worths.extend(after.map(|after| (after, sender)));
    }

    /// Whether the transaction waits.
    pub fn contains(&self, hash: &Hash) -> bool {
        self.hashes.contains_key(hash)
    }

    /// The waiting transaction of these bytes: its signatures need no second look.
    pub fn verified(&self, hash: &Hash) -> Option<&R::Transaction> {
        let (sender, nonce) = self.hashes.get(hash)?;
        self.senders.get(sender)?.waiting.get(nonce).map(|waiting| &waiting.transaction)
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

    /// The first nonce of a sender, from its `next` one on, for which nothing waits: a gap is filled before anything is put behind it.
    pub fn free_nonce(&self, sender: &Hash, next: u64) -> u64 {
        let Some(queue) = self.senders.get(sender) else { return next };
        let waiting = queue.waiting.range(next..).zip(next..).take_while(|((nonce, _), expected)| *nonce == expected);
        waiting.last().map_or(next, |(_, nonce)| nonce.saturating_add(1))
    }

    /// Candidates for a block, each sender's in nonce order: best tip first, senders of equal tips in turn; then what waits behind gaps. Without those in
    /// `skip` (in undecided ancestors).
    pub fn candidates(&self, skip: &BTreeSet<Hash>) -> Vec<(Vec<u8>, R::Transaction)> {
        let mut queues: Vec<_> = self
            .senders
            .values()
            .map(|queue| {
                let runnable = queue.runnable();
                let waiting = (0..).zip(queue.waiting.values()).map(move |(at, waiting)| (at < runnable, waiting));
                waiting.filter(|(_, waiting)| !skip.contains(&waiting.hash)).peekable()
            })
            .collect();
        // A heap of the heads. Who had fewer turns goes first, then who has the lower hash: the order is a function of the content.
        let mut heads = BTreeSet::new();
        for (index, queue) in queues.iter_mut().enumerate() {
            heads.extend(queue.peek().map(|(is_runnable, head)| (*is_runnable, head.tip, Reverse((0usize, index)))));
        }
        let mut candidates = Vec::new();
        while candidates.len() < CANDIDATES_MAX {
            let Some((_, _, Reverse((turns, index)))) = heads.pop_last() else { break };
            let Some(queue) = queues.get_mut(index) else { break };
            candidates.extend(queue.next().map(|(_, waiting)| (waiting.bytes.clone(), waiting.transaction.clone())));
            heads.extend(queue.peek().map(|(is_runnable, head)| (*is_runnable, head.tip, Reverse((turns.saturating_add(1), index)))));
        }
        candidates
    }

    /// Forgets what a final block carried, what it made impossible, and what has waited for [`BLOCKS_WAITED_MAX`] blocks.
    pub fn finalized(&mut self, rules: &R, state: &Sealed, included: &[Hash]) {
        for hash in included {
            self.remove(hash);
        }
        self.finalized = self.finalized.saturating_add(1);
        let waiting = self.senders.values().flat_map(|queue| queue.waiting.values());
        let mut impossible: Vec<Hash> =
            waiting.filter(|waiting| waiting.since.saturating_add(BLOCKS_WAITED_MAX) < self.finalized).map(|waiting| waiting.hash).collect();
        let mut moved = Vec::new();
        for (sender, queue) in &self.senders {
            // Only a sender's first can have become impossible without the rest being re-checked in their turn.
            for waiting in queue.waiting.values() {
                match rules.place(state, &waiting.transaction) {
                    Err(Refusal::Never(_)) => impossible.push(waiting.hash),
                    Ok(place) => {
                        moved.push((*sender, place.next));
                        break;
                    }
                    Err(Refusal::NotNow(_)) => break,
                }
            }
        }
        for hash in impossible {
            self.remove(&hash);
        }
        for (sender, next) in moved {
            let Some(queue) = self.senders.get_mut(&sender) else { continue };
            let before = queue.worth();
            queue.next = next;
            let after = queue.worth();
            self.reweigh(sender, before, after);
        }
    }

    /// Takes a transaction out; with its place, so that it can be put back.
    fn remove(&mut self, hash: &Hash) -> Option<(Place, Waiting<R::Transaction>)> {
        let (sender, nonce) = self.hashes.remove(hash)?;
        let queue = self.senders.get_mut(&sender)?;
        let before = queue.worth();
        let waiting = queue.waiting.remove(&nonce)?;
        queue.bytes = queue.bytes.saturating_sub(waiting.bytes.len());
        self.bytes = self.bytes.saturating_sub(waiting.bytes.len());
        let (after, next) = (queue.worth(), queue.next);
        if queue.waiting.is_empty() {
            self.senders.remove(&sender);
        }
        self.reweigh(sender, before, after);
        Some((Place { sender, nonce, next, tip: waiting.tip }, waiting))
    }

    /// Waiting transactions after this hash, in the order of their hashes: at most so many bytes, but one at least if one waits there. For telling others
    /// again.
    pub fn waiting(&self, after: &Hash, bytes_max: usize) -> Vec<(Hash, Vec<u8>)> {
        let mut bytes = 0_usize;
        let rest = self.hashes.range((Bound::Excluded(*after), Bound::Unbounded));
        let waiting = rest.filter_map(|(hash, (sender, nonce))| Some((*hash, &self.senders.get(sender)?.waiting.get(nonce)?.bytes)));
        let fits = waiting.take_while(|(_, transaction)| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(transaction.len());
            is_first || bytes <= bytes_max
        });
        fits.map(|(hash, transaction)| (hash, transaction.clone())).collect()
    }
}
