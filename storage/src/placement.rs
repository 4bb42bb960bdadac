//! Placement: which nodes hold a segment's slices, by weighted rendezvous hashing; anyone computes the same answer from the same list.
//!
//! Each candidate draws a number from the seed and its id; the draw, as a fraction `u` of 2^64, becomes the waiting time `-log2(u) / weight` and the shortest
//! wait wins. The first place falls to each candidate with a probability proportional to its weight, the next ones likewise among those who are left. A draw
//! depends on nobody else, so a node that leaves moves only what it held, and the order of the list does not matter.
//!
//! Only integers: the logarithm is defined here bit by bit and waiting times are compared as exact fractions.
//!
//! Source: Thaler, Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (rendezvous); Efraimidis, Spirakis, "Weighted random sampling with a
//! reservoir" (the keys `u^(1/w)`, of which this is the logarithm).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use primitives::{Address, Hash};

/// Fraction bits of the logarithm. 48 squarings lose less than 48 of the 63 bits that are kept.
const LOG_BITS: u32 = 48;

/// A node that can hold slices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Who.
    pub id: Address,
    /// Its share, in any unit (for example free bytes times score). With 0 it is never chosen.
    pub weight: u64,
}

/// Why no placement was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Not enough candidates with a weight.
    #[error("{wanted} nodes are needed and {found} can take slices")]
    TooFew {
        /// Nodes that were asked for.
        wanted: usize,
        /// Candidates with a weight above 0.
        found: usize,
    },
    /// The list names one node twice, which would give it twice the share.
    #[error("{0} is in the list of candidates twice")]
    Twice(Address),
}

/// The first `count` of [`rank`]: distinct nodes, in the order of their slices.
///
/// # Errors
/// [`PlacementError`] if there are too few, or one is listed twice.
pub fn place(seed: Hash, candidates: &[Candidate], count: usize) -> Result<Vec<Address>, PlacementError> {
    let mut ranked = rank(seed, candidates)?;
    if ranked.len() < count {
        return Err(PlacementError::TooFew { wanted: count, found: ranked.len() });
    }
    ranked.truncate(count);
    Ok(ranked)
}

/// All candidates with a weight, the shortest wait first: a repair takes the next that is not yet a holder.
///
/// # Errors
/// [`PlacementError::Twice`] if one is listed twice.
pub fn rank(seed: Hash, candidates: &[Candidate]) -> Result<Vec<Address>, PlacementError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = candidates.iter().find(|candidate| !seen.insert(candidate.id)) {
        return Err(PlacementError::Twice(twice.id));
    }
    let mut waits: Vec<Wait> = candidates.iter().filter(|candidate| candidate.weight > 0).map(|candidate| Wait::draw(seed, candidate)).collect();
    waits.sort_unstable_by(Wait::compare);
    Ok(waits.into_iter().map(|wait| wait.id).collect())
}

/// The waiting time `log / weight`.
struct Wait {
    id: Address,
    log: u64,
    weight: u64,
}

impl Wait {
    fn draw(seed: Hash, candidate: &Candidate) -> Self {
        let draw = Hash::of("placement", &[seed.as_bytes(), &candidate.id.0]).to_u64();
        Self { id: candidate.id, log: minus_log2(draw), weight: candidate.weight }
    }

    /// `a / v` against `b / w` as `a * w` against `b * v`: below 2^55 * 2^64, so exact in 128 bits. Equal waits, one in 2^48, go by id.
    fn compare(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (u128::from(self.log) * u128::from(other.weight), u128::from(other.log) * u128::from(self.weight));
        mine.cmp(&theirs).then(self.id.cmp(&other.id))
    }
}

/// `-log2(draw / 2^64)` with [`LOG_BITS`] fraction bits, at most 64 * 2^48; a draw of 0 counts as 1.
///
/// The fraction comes one bit at a time: square a number in [1, 2); if it passes 2 the bit is 1 and it is halved. Rounding is down at every squaring, and part
/// of the definition.
fn minus_log2(draw: u64) -> u64 {
    let draw = draw.max(1);
    let whole = u64::from(63 - draw.leading_zeros());
    // The draw without its whole part: in [2^63, 2^64), read as [1, 2).
    let mut rest = u128::from(draw << draw.leading_zeros());
    let mut log = whole;
    for _ in 0..LOG_BITS {
        rest = (rest * rest) >> 63;
        let bit = rest >> 64;
        rest >>= bit;
        log = log << 1 | u64::from(bit == 1);
    }
    (64 << LOG_BITS) - log
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nodes(weights: &[u64]) -> Vec<Candidate> {
        (0_u8..).zip(weights).map(|(at, weight)| Candidate { id: Address([at; 20]), weight: *weight }).collect()
    }

    fn seed(at: u32) -> Hash {
        Hash::of("test", &[&at.to_le_bytes()])
    }

    #[test]
    fn golden() {
        assert_eq!(minus_log2(u64::MAX), 1);
        assert_eq!((minus_log2(1 << 63), minus_log2(1 << 62), minus_log2(1), minus_log2(0)), (1 << 48, 2 << 48, 64 << 48, 64 << 48));
        let placed: Vec<u8> = place(seed(0), &nodes(&[1, 2, 3, 4, 5, 6, 7, 8]), 6).unwrap().iter().map(|id| id.0[0]).collect();
        assert_eq!(placed, [5, 7, 6, 4, 1, 2]);
    }

    #[test]
    fn refusals() {
        assert_eq!(place(seed(0), &nodes(&[1, 0, 1]), 3), Err(PlacementError::TooFew { wanted: 3, found: 2 }));
        let mut twice = nodes(&[1, 1]);
        twice[1].id = twice[0].id;
        assert_eq!(place(seed(0), &twice, 1), Err(PlacementError::Twice(twice[0].id)));
        assert_eq!(place(seed(0), &[], 0), Ok(vec![]));
    }

    /// Of 20,000 first places each node gets its share within five standard deviations.
    #[test]
    fn shares_follow_weights() {
        let weights = [1_u64, 2, 3, 4, 10, 80];
        let candidates = nodes(&weights);
        let mut wins = [0_u32; 6];
        for at in 0..20_000 {
            wins[usize::from(place(seed(at), &candidates, 1).unwrap()[0].0[0])] += 1;
        }
        for (weight, wins) in weights.iter().zip(wins) {
            let share = *weight as f64 / 100.0;
            let (mean, deviation) = (20_000.0 * share, (20_000.0 * share * (1.0 - share)).sqrt());
            assert!((f64::from(wins) - mean).abs() < 5.0 * deviation, "weight {weight}: {wins} of 20000");
        }
    }

    proptest! {
        #[test]
        fn logarithm_is_the_logarithm(draw in 1u64..) {
            let exact = 64.0 - (draw as f64).log2();
            let found = minus_log2(draw) as f64 / f64::from(1_u32 << 24) / f64::from(1_u32 << 24);
            prop_assert!((exact - found).abs() < 1e-9, "{exact} {found}");
        }

        #[test]
        fn logarithm_falls_with_the_draw(one in 1u64.., other in 1u64..) {
            prop_assert!(minus_log2(one.min(other)) >= minus_log2(one.max(other)));
        }

        /// Extreme weights neither overflow nor repeat a node, and the order of the list is nothing.
        #[test]
        fn distinct_and_order_free(weights in prop::collection::vec(prop_oneof![0u64..10, any::<u64>(), Just(u64::MAX)], 1..40), at in any::<u32>(), turn in 0usize..40) {
            let mut candidates = nodes(&weights);
            let ranked = rank(seed(at), &candidates).unwrap();
            prop_assert_eq!(ranked.len(), weights.iter().filter(|weight| **weight > 0).count());
            prop_assert_eq!(ranked.iter().collect::<BTreeSet<_>>().len(), ranked.len());
            let turn = turn % candidates.len();
            candidates.rotate_left(turn);
            prop_assert_eq!(rank(seed(at), &candidates).unwrap(), ranked);
        }

        /// When one leaves, the others keep their order: only its slices move.
        #[test]
        fn who_leaves_moves_only_its_own(weights in prop::collection::vec(1u64..1000, 7..30), at in any::<u32>(), leaver in any::<prop::sample::Index>()) {
            let mut candidates = nodes(&weights);
            let before = place(seed(at), &candidates, 6).unwrap();
            let gone = candidates.remove(leaver.index(weights.len()));
            let after = place(seed(at), &candidates, 6).unwrap();
            let kept: Vec<Address> = before.iter().filter(|id| **id != gone.id).copied().collect();
            prop_assert_eq!(&after[..kept.len()], &kept[..]);
        }
    }
}
