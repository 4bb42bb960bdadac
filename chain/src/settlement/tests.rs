//! Tests of the records of settlement.

use super::finish::listed;
use super::*;
use crate::{meta_registry, resource, staking};
use primitives::encoding::encode;

fn paid(number: u16, noz: u128) -> Paid {
    let mut address = Address([0; 20]);
    address.0[..2].copy_from_slice(&number.to_be_bytes());
    Paid { address, noz: Noz(noz), released: Amount(noz * 2) }
}

#[test]
fn the_largest_payers_are_listed_and_the_others_summed() {
    let (largest, rest) = listed(vec![paid(1, 5), paid(2, 9), paid(3, 5), paid(4, 1)], 2);
    assert_eq!(largest, [paid(1, 5), paid(2, 9)]);
    assert_eq!(rest, Rest { payers: 2, noz: Noz(6), released: Amount(12) });
    assert_eq!(listed(vec![paid(1, 5)], 2), (vec![paid(1, 5)], Rest::default()));
}

/// The largest result that can be: reading it must not panic.
#[test]
fn the_largest_record_can_be_read() {
    let share = |number| Share { address: paid(number, 0).address, noz: Noz(u128::MAX), reward: Amount(u128::MAX) };
    let shares = |count: usize| (0..).take(count).map(share).collect::<Vec<_>>();
    let (payers, rest) = listed((0..=u16::MAX).map(|number| paid(number, 7)).collect(), PAYERS_MAX);
    assert_eq!((payers.len(), rest.payers), (PAYERS_MAX, 65_536 - 4_096));
    let settled = Settled {
        epoch: Epoch(1),
        height: Height(1),
        report: Some(Hash::ZERO),
        noz: Noz(1),
        unpaid: Noz(1),
        released: Amount(1),
        mined: Amount(1),
        tax: Amount(1),
        dust: Amount(1),
        receipts: 1,
        reported: Height(1),
        parts: vec![Height(1); pot::report::PARTS_MAX],
        direct: shares(usize::try_from(resource::RESOURCE_NODES_MAX).expect("small")).iter().map(|share| share.address).collect(),
        carriers: shares(usize::try_from(resource::RESOURCE_NODES_MAX).expect("small")),
        metas: shares(meta_registry::META_NODES_MAX),
        validators: shares(staking::VALIDATORS_MAX),
        payers,
        rest,
    };
    assert!(encode(&settled).len() < keys::VALUE_BYTES_MAX / 2);
}
