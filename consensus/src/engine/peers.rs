//! The peers: what each may ask, who is asked for a block or a batch, who is told of each finalization.

use std::collections::{BTreeMap, BTreeSet};

use primitives::{Hash, Height, Time};

use super::interface::Peer;
use crate::message::{CHAIN_BYTES_MAX, MESSAGE_BYTES_MAX};

/// Peers remembered; more are not answered.
pub(super) const PEERS_MAX: usize = 1024;
/// Followers that are sent each finalization.
pub(super) const FOLLOWERS_MAX: usize = 64;
/// Bytes of answers a peer gets within Δ₀: two batches of finalized blocks and a little beside them. Who catches up asks once in Δ₀ and waits for the answer
/// before it asks again, so of its requests at most two arrive within Δ₀.
pub(super) const ANSWER_BYTES_MAX: usize = 2 * CHAIN_BYTES_MAX + (2 << 20);
const _: () = assert!(ANSWER_BYTES_MAX >= MESSAGE_BYTES_MAX, "every message can be an answer");
/// Blocks read from disk for a peer within Δ₀, because it asked for them by hash.
const READS_MAX: usize = 8;
/// What an answer counts at least.
const ANSWER_BYTES_MIN: usize = 64 << 10;
/// Blocks asked for at one time.
pub(super) const FETCHES_MAX: usize = 16;

#[derive(Debug, Default)]
struct Known {
    /// Bytes of answers.
    bytes: Budget,
    /// Blocks read from disk.
    reads: Budget,
    asked: Time,
    /// The highest block it has shown to be final.
    height: Height,
    /// Batches in a row that it was asked for and did not send as they must be.
    failures: u32,
}

/// What may be spent within Δ₀.
#[derive(Debug, Default)]
struct Budget {
    refill: Time,
    left: usize,
}

impl Budget {
    /// Spends `amount` of the at most `full` within Δ₀; nothing if too little is left.
    fn spend(&mut self, amount: usize, full: usize, now: Time, delta_ms: u64) -> bool {
        if now >= self.refill {
            *self = Self { refill: now.saturating_add(Time(delta_ms)), left: full };
        }
        let rest = self.left.checked_sub(amount);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

/// A block that was asked for.
#[derive(Debug)]
struct Fetch {
    asked: Time,
    attempts: usize,
}

/// A batch of finalized blocks that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct CatchUp {
    pub(super) peer: Peer,
    pub(super) from: Height,
    pub(super) deadline: Time,
}

/// Everything about peers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    known: BTreeMap<Peer, Known>,
    pub(super) followers: BTreeSet<Peer>,
    fetches: BTreeMap<Hash, Fetch>,
    /// The batch under way.
    pub(super) catch_up: Option<CatchUp>,
    /// No batch is asked for before this time.
    pub(super) batch_after: Time,
    /// A batch is wanted as soon as it may be asked for.
    pub(super) batch_due: bool,
    /// Whoever last showed us something new; asked first.
    pub(super) guide: Option<Peer>,
}

impl Peers {
    /// Whether the peer is (now) known.
    pub(super) fn meet(&mut self, peer: Peer) -> bool {
        if self.known.len() < PEERS_MAX || self.known.contains_key(&peer) {
            self.known.entry(peer).or_default();
            return true;
        }
        false
    }

    pub(super) fn forget(&mut self, peer: Peer) {
        self.known.remove(&peer);
        self.followers.remove(&peer);
        self.catch_up = self.catch_up.filter(|catch_up| catch_up.peer != peer);
        self.guide = self.guide.filter(|guide| *guide != peer);
    }

    /// Peers known, followers among them, blocks asked for.
    pub(super) fn load(&self) -> (usize, usize, usize) {
        (self.known.len(), self.followers.len(), self.fetches.len())
    }

    /// Nothing that was asked for matters in the next epoch.
    pub(super) fn begin_epoch(&mut self) {
        self.fetches.clear();
        self.catch_up = None;
        self.batch_due = false;
    }

    pub(super) fn follow(&mut self, peer: Peer, follower: bool) {
        if !follower {
            self.followers.remove(&peer);
        } else if self.followers.len() < FOLLOWERS_MAX && self.known.contains_key(&peer) {
            self.followers.insert(peer);
        }
    }

    /// Whether the peer may have an answer of `bytes` now; then it has had it.
    pub(super) fn may_answer(&mut self, peer: Peer, bytes: usize, now: Time, delta_ms: u64) -> bool {
        self.known.get_mut(&peer).is_some_and(|known| known.bytes.spend(bytes.max(ANSWER_BYTES_MIN), ANSWER_BYTES_MAX, now, delta_ms))
    }

    /// Whether a block may be read from disk for the peer now; then it has been.
    pub(super) fn may_read(&mut self, peer: Peer, now: Time, delta_ms: u64) -> bool {
        self.known.get_mut(&peer).is_some_and(|known| known.reads.spend(1, READS_MAX, now, delta_ms))
    }

    /// Whether to ask this peer where it stands: not more than once within Δ₀.
    pub(super) fn may_ask(&mut self, peer: Peer, now: Time, delta_ms: u64) -> bool {
        let Some(known) = self.known.get_mut(&peer) else { return false };
        if now < known.asked {
            return false;
        }
        known.asked = now.saturating_add(Time(delta_ms));
        true
    }

    /// Whom to ask for a block now, if anybody: the guide first, then all others in turn.
    pub(super) fn fetch(&mut self, hash: Hash, now: Time, fetch_ms: u64) -> Option<Peer> {
        if self.fetches.len() >= FETCHES_MAX && !self.fetches.contains_key(&hash) {
            let oldest = self.fetches.iter().min_by_key(|(_, fetch)| fetch.asked).map(|(hash, _)| *hash)?;
            self.fetches.remove(&oldest);
        }
        let attempts = match self.fetches.get(&hash) {
            Some(fetch) if now < fetch.asked.saturating_add(Time(fetch_ms)) => return None,
            Some(fetch) => fetch.attempts,
            None => 0,
        };
        let others = self.known.keys().filter(|peer| Some(**peer) != self.guide);
        let count = self.known.len().max(1);
        let peer = self.guide.iter().chain(others).nth(attempts % count).copied()?;
        self.fetches.insert(hash, Fetch { asked: now, attempts: attempts + 1 });
        Some(peer)
    }

    /// The peer has proved that this height is final.
    pub(super) fn showed(&mut self, peer: Peer, height: Height) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.height = height.max(known.height);
        }
    }

    /// Whom to ask for final blocks from `from` on: of those that showed such a block whoever failed least, and of these whoever has been connected longest, so
    /// that coming back under another number gains nothing.
    pub(super) fn batch_source(&self, from: Height) -> Option<Peer> {
        let able = self.known.iter().filter(|(_, known)| known.height >= from);
        able.min_by_key(|(peer, known)| (known.failures, **peer)).map(|(peer, _)| *peer)
    }

    /// The batch under way has ended; `served` if it was what it must be.
    pub(super) fn batch_ended(&mut self, served: bool) {
        if let Some(known) = self.catch_up.take().and_then(|catch_up| self.known.get_mut(&catch_up.peer)) {
            known.failures = if served { 0 } else { known.failures.saturating_add(1) };
        }
    }

    /// Whether this block was asked for; then it no longer is.
    pub(super) fn fetched(&mut self, hash: &Hash) -> bool {
        self.fetches.remove(hash).is_some()
    }

    /// Forgets requests that are late and were not repeated: nobody needs them any more.
    pub(super) fn expire(&mut self, now: Time, fetch_ms: u64) {
        self.fetches.retain(|_, fetch| now < fetch.asked.saturating_add(Time(fetch_ms)));
    }

    /// When the next request or batch is late, or the next batch may be asked for.
    pub(super) fn deadline(&self, fetch_ms: u64) -> Option<Time> {
        let fetches = self.fetches.values().map(|fetch| fetch.asked.saturating_add(Time(fetch_ms)));
        fetches.chain(self.catch_up.map(|catch_up| catch_up.deadline)).chain(self.batch_due.then_some(self.batch_after)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_the_guide_first_then_all_in_turn() {
        let mut peers = Peers::default();
        assert_eq!(peers.fetch(Hash::ZERO, Time(0), 10), None, "nobody to ask");
        for peer in 0..3 {
            assert!(peers.meet(Peer(peer)));
        }
        peers.guide = Some(Peer(1));
        let asked: Vec<_> = [0, 5, 10, 20, 30].map(|now| peers.fetch(Hash::ZERO, Time(now), 10)).to_vec();
        assert_eq!(asked, [Some(Peer(1)), None, Some(Peer(0)), Some(Peer(2)), Some(Peer(1))]);
        assert_eq!(peers.deadline(10), Some(Time(40)));
        assert!(peers.fetched(&Hash::ZERO) && !peers.fetched(&Hash::ZERO));
    }

    #[test]
    fn batches_come_from_whoever_fails_least() {
        let mut peers = Peers::default();
        (0..4).for_each(|peer| assert!(peers.meet(Peer(peer))));
        assert_eq!(peers.batch_source(Height(5)), None, "nobody has shown it");
        (1..4).for_each(|peer| peers.showed(Peer(peer), Height(4 + peer)));
        let mut next = |served| {
            let peer = peers.batch_source(Height(6)).expect("two have it");
            peers.catch_up = Some(CatchUp { peer, from: Height(6), deadline: Time(0) });
            peers.batch_ended(served);
            peer.0
        };
        assert_eq!([false, false, false, true, true, false, false].map(&mut next), [2, 3, 2, 3, 3, 3, 3]);
        assert_eq!(next(false), 2, "after two failures each, the older");
    }

    #[test]
    fn limits() {
        let mut peers = Peers::default();
        for peer in 0..PEERS_MAX as u64 {
            assert!(peers.meet(Peer(peer)));
            peers.follow(Peer(peer), true);
        }
        assert!(!peers.meet(Peer(9999)) && !peers.may_answer(Peer(9999), 1, Time(0), 100));
        assert_eq!(peers.followers.len(), FOLLOWERS_MAX);
        let answered = (0..2000).filter(|_| peers.may_answer(Peer(1), 1, Time(5), 100)).count();
        assert_eq!(answered, ANSWER_BYTES_MAX / ANSWER_BYTES_MIN);
        assert!(peers.may_answer(Peer(1), ANSWER_BYTES_MAX, Time(105), 100) && !peers.may_answer(Peer(1), 1, Time(105), 100));
        for number in 0..100_u8 {
            peers.fetch(Hash([number; 32]), Time(number.into()), 1000);
        }
        assert_eq!(peers.fetches.len(), FETCHES_MAX);
        peers.forget(Peer(1));
        assert!(peers.meet(Peer(9999)));
    }
}
