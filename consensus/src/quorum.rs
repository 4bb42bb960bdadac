//! The quorum rule, in one place: more than two thirds of the weight.

use crate::mutants::{self, Mutant};

/// Whether `weight` out of `total` is a quorum: `3 * weight > 2 * total`.
///
/// Any two quorums share more than a third of `total`, so with faulty weight below a third they share an honest member (SIMPLEX-1).
pub fn is_quorum(weight: u64, total: u64) -> bool {
    if mutants::is(Mutant::MajorityQuorum) {
        return 2 * u128::from(weight) > u128::from(total);
    }
    3 * u128::from(weight) > 2 * u128::from(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        // (total, smallest quorum)
        for (total, least) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (100, 67), (u64::MAX, u64::MAX / 3 * 2 + 1)] {
            assert!(is_quorum(least, total), "{least} of {total}");
            assert!(!is_quorum(least - 1, total), "{} of {total}", least - 1);
        }
    }

    proptest! {
        /// Checks SIMPLEX-1: two quorums overlap in more than a third.
        #[test]
        fn quorums_overlap(total in 1..=u64::MAX, a in any::<u64>(), b in any::<u64>()) {
            // Between the smallest quorum and everybody.
            let least = total - (total - 1) / 3;
            prop_assert!(is_quorum(least, total) && !is_quorum(least - 1, total));
            let spread = total - least;
            let (a, b) = (total - if spread == 0 { 0 } else { a % spread }, total - if spread == 0 { 0 } else { b % spread });
            let overlap = (u128::from(a) + u128::from(b)).saturating_sub(u128::from(total));
            prop_assert!(3 * overlap > u128::from(total));
        }
    }
}
