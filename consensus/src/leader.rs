//! Who may propose in a view: a sample by weight that everybody can compute.

use primitives::{Epoch, Hash, View};

use crate::members::Members;

/// The index of the leader of `view` in `epoch`.
///
/// `H("leader", seed || epoch || view)`, its first 128 bits modulo the total weight, falls into one member's stretch of weights. The total is below 2^64, so
/// the bias of the modulus is below 2^-64. `seed` is fixed before the epoch begins, so nobody in the epoch can choose its leaders.
pub fn leader(seed: Hash, epoch: Epoch, view: View, members: &Members) -> u16 {
    let digest = Hash::of("leader", &[&seed.0, &epoch.0.to_le_bytes(), &view.0.to_le_bytes()]);
    let mut first = [0; 16];
    first.copy_from_slice(&digest.0[..16]);
    let mut point = u128::from_be_bytes(first) % u128::from(members.total());
    for (index, member) in (0_u16..).zip(members.list()) {
        match point.checked_sub(u128::from(member.weight)) {
            Some(rest) => point = rest,
            None => return index,
        }
    }
    0 // unreachable: the point is below the sum of all weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::Member;
    use primitives::SecretKey;

    fn members(weights: &[u64]) -> Members {
        let list = (1_u8..).zip(weights).map(|(seed, &weight)| Member { key: SecretKey::from_seed(&[seed; 32]).public(), weight });
        Members::new(list.collect()).expect("valid")
    }

    #[test]
    fn shares_follow_the_weights() {
        let (members, views) = (members(&[1, 2, 7]), 20_000);
        let mut led = [0_u64; 3];
        for view in 1..=views {
            led[usize::from(leader(Hash([7; 32]), Epoch(0), View(view), &members))] += 1;
        }
        for (count, weight) in led.iter().zip([1, 2, 7]) {
            // 4 sigma of a binomial: sqrt(20000 * 0.3 * 0.7) = 65 at most.
            assert!(count.abs_diff(views * weight / 10) < 260, "{led:?}");
        }
    }

    #[test]
    fn one_member_always_leads() {
        let members = members(&[5]);
        assert!((1..100).all(|view| leader(Hash::ZERO, Epoch(3), View(view), &members) == 0));
    }

    #[test]
    fn golden() {
        let members = members(&[1, 1, 1, 1]);
        let leaders: Vec<u16> = (1..=16).map(|view| leader(Hash::ZERO, Epoch(0), View(view), &members)).collect();
        assert_eq!(leaders, [1, 2, 1, 1, 1, 0, 3, 3, 1, 0, 0, 3, 1, 2, 2, 0]);
        assert_ne!(leaders, (1..=16).map(|view| leader(Hash::ZERO, Epoch(1), View(view), &members)).collect::<Vec<_>>());
    }
}
