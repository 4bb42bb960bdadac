//! What we remember about peers: a score that heals with time, bans that grow with repetition, and the pause before a redial. No clock, no socket.

use std::{collections::BTreeMap, time::Duration};

use libp2p::PeerId;
use primitives::units::Time;

use crate::limits::{REDIAL_MAX, REDIAL_MIN};

/// Half of a score is forgotten in this time, in milliseconds.
pub const HALF_LIFE_MS: u64 = 10 * 60 * 1000;
/// A score at or below this bans the peer.
pub const BAN_SCORE: f64 = -100.0;
/// The first ban, in milliseconds; doubled with each that follows.
pub const BAN_MIN_MS: u64 = 10 * 60 * 1000;
/// The longest ban, in milliseconds; a peer that behaved for as long after its last ban starts anew.
pub const BAN_MAX_MS: u64 = 24 * 60 * 60 * 1000;
/// Peers remembered; beyond, the one closest to a blank page is forgotten.
pub const BOOK_PEERS_MAX: usize = 4096;

/// What a peer did, in points: the amounts that callers of [`crate::Endpoint::punish`] use.
pub mod amount {
    /// A signature that does not verify.
    pub const INVALID: u32 = 100;
    /// Bytes that do not decode, or a message above its limit.
    pub const MALFORMED: u32 = 20;
}

#[derive(Debug, Clone, Copy)]
struct Page {
    score: f64,
    at: Time,
    bans: u32,
    banned_until: Time,
}

impl Page {
    fn blank(now: Time) -> Self {
        Self { score: 0.0, at: now, bans: 0, banned_until: Time(0) }
    }

    fn score(&self, now: Time) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a score is an estimate; a rounding in the 52nd bit of a millisecond is nothing")]
        let halves = now.0.saturating_sub(self.at.0) as f64 / HALF_LIFE_MS as f64;
        self.score * (-halves).exp2()
    }

    /// How much is lost if this page is torn out.
    fn weight(&self, now: Time) -> (bool, u32, f64) {
        (self.banned_until > now, self.bans, self.score(now).abs())
    }
}

/// Scores and bans of at most [`BOOK_PEERS_MAX`] peers. Deterministic: the same calls give the same book.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pages: BTreeMap<PeerId, Page>,
}

impl Book {
    /// A book with blank pages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The peer's score now, halved every [`HALF_LIFE_MS`]; 0 for strangers, never above.
    pub fn score(&self, peer: &PeerId, now: Time) -> f64 {
        self.pages.get(peer).map_or(0.0, |page| page.score(now))
    }

    /// Until when the peer is banned, if it is banned now.
    pub fn banned_until(&self, peer: &PeerId, now: Time) -> Option<Time> {
        self.pages.get(peer).map(|page| page.banned_until).filter(|until| *until > now)
    }

    /// Takes points away; returns the end of the ban if this was too much. A ban clears the score, so that it is served once. With `spare` the
    /// peer is never banned: a member of the current set is judged by the chain, not by its network.
    pub fn punish(&mut self, peer: PeerId, points: u32, spare: bool, now: Time) -> Option<Time> {
        let page = self.page(peer, now);
        page.score = page.score(now) - f64::from(points);
        page.at = now;
        if spare {
            page.score = page.score.max(BAN_SCORE);
            return None;
        }
        if page.score > BAN_SCORE {
            return None;
        }
        if now.0 > page.banned_until.0.saturating_add(BAN_MAX_MS) {
            page.bans = 0;
        }
        let length = BAN_MIN_MS.checked_shl(page.bans).map_or(BAN_MAX_MS, |ms| ms.min(BAN_MAX_MS));
        page.bans = page.bans.saturating_add(1).min(16);
        page.score = 0.0;
        page.banned_until = Time(now.0.saturating_add(length));
        Some(page.banned_until)
    }

    fn page(&mut self, peer: PeerId, now: Time) -> &mut Page {
        if !self.pages.contains_key(&peer) && self.pages.len() >= BOOK_PEERS_MAX {
            let least = self.pages.iter().min_by(|(_, a), (_, b)| {
                let (a, b) = (a.weight(now), b.weight(now));
                (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2))
            });
            if let Some(peer) = least.map(|(peer, _)| *peer) {
                self.pages.remove(&peer);
            }
        }
        self.pages.entry(peer).or_insert_with(|| Page::blank(now))
    }
}

/// The pause before the next dial: [`REDIAL_MIN`] doubled with each failure up to [`REDIAL_MAX`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause to make now; the next one is twice as long.
    pub fn next_pause(&mut self) -> Duration {
        let pause = REDIAL_MIN.saturating_mul(1 << self.failures.min(16)).min(REDIAL_MAX);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// The peer was reached and stayed.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::Secret;

    fn peer(n: u8) -> PeerId {
        Secret::from_seed([n; 32]).peer()
    }

    #[test]
    fn scores_heal_and_bans_double() {
        let (mut book, bad) = (Book::new(), peer(1));
        assert_eq!(book.punish(bad, 80, false, Time(0)), None);
        assert!((book.score(&bad, Time(HALF_LIFE_MS)) + 40.0).abs() < 1e-9);
        // Healed to -40, so 59 more points are not enough and 60 are.
        assert_eq!(book.clone().punish(bad, 59, false, Time(HALF_LIFE_MS)), None);
        let until = book.punish(bad, 60, false, Time(HALF_LIFE_MS)).expect("banned");
        assert_eq!(until, Time(HALF_LIFE_MS + BAN_MIN_MS));
        assert_eq!(book.banned_until(&bad, Time(until.0 - 1)), Some(until));
        assert_eq!(book.banned_until(&bad, until), None);
        let mut now = until;
        let mut expected = BAN_MIN_MS;
        for _ in 0..12 {
            expected = (expected * 2).min(BAN_MAX_MS);
            let until = book.punish(bad, amount::INVALID, false, now).expect("banned again");
            assert_eq!(until.0 - now.0, expected);
            now = until;
        }
        let later = Time(now.0 + BAN_MAX_MS + 1);
        assert_eq!(book.punish(bad, 100, false, later), Some(Time(later.0 + BAN_MIN_MS)), "a day of peace starts anew");
    }

    #[test]
    fn the_spared_are_never_banned() {
        let (mut book, member) = (Book::new(), peer(1));
        for _ in 0..100 {
            assert_eq!(book.punish(member, 100, true, Time(5)), None);
        }
        assert!((book.score(&member, Time(5)) - BAN_SCORE).abs() < 1e-9, "and their debt is bounded");
    }

    #[test]
    fn the_book_is_bounded_and_keeps_the_banned() {
        let mut book = Book::new();
        let bad = peer(0);
        book.punish(bad, 1000, false, Time(0));
        for n in 0..=BOOK_PEERS_MAX {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            book.punish(Secret::from_seed(seed).peer(), 1, false, Time(0));
        }
        assert_eq!(book.pages.len(), BOOK_PEERS_MAX);
        assert!(book.banned_until(&bad, Time(1)).is_some());
    }

    #[test]
    fn pauses_grow_to_the_limit() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next_pause().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next_pause(), REDIAL_MIN);
    }

    proptest! {
        /// Whatever is done, scores stay within their bounds and no ban is longer than a day.
        #[test]
        fn bounds_hold(deeds in proptest::collection::vec((0u8..3, 0u32..200, 0u64..10_000_000), 0..100)) {
            let (mut book, mut now) = (Book::new(), 0);
            for (who, points, pause) in deeds {
                now += pause;
                book.punish(peer(who), points, false, Time(now));
                for n in 0..3 {
                    let score = book.score(&peer(n), Time(now));
                    prop_assert!(score > BAN_SCORE && score <= 0.0);
                    if let Some(until) = book.banned_until(&peer(n), Time(now)) { prop_assert!(until.0 - now <= BAN_MAX_MS); }
                }
            }
        }
    }
}
