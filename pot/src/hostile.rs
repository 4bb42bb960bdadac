//! Every object that travels, as an enemy would send it: cut, lengthened, changed in any bit, of another chain, epoch, payer or carrier.

use std::fmt::Debug;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{self, DecodeError};
use primitives::{Address, Epoch, Hash, Noz};
use proptest::prelude::*;

use crate::claim::CoveredClaim;
use crate::grant::SignedGrant;
use crate::samples::{CHAIN, carrier, carrier_address, channel, covered, grant_of, receipt_of, session, session_of, wallet};
use crate::{Allowance, Class, Object, Receipt, Signed, StorageAck, Ticket};

/// Longest object here.
const BYTES_MAX: usize = 4096;

/// Cuts, lengthens and changes `good`: nothing else is decoded to it, and nothing else is accepted by `accepts`.
fn is_safe<T: BorshSerialize + BorshDeserialize + PartialEq + Debug>(
    good: &T,
    at: prop::sample::Index,
    bit: u8,
    accepts: impl Fn(&T) -> bool,
) -> Result<(), TestCaseError> {
    let bytes = encoding::encode(good);
    let decode = |bytes: &[u8]| -> Result<T, DecodeError> { encoding::decode(bytes, BYTES_MAX) };
    prop_assert!(accepts(good) && decode(&bytes).as_ref() == Ok(good));
    let at = at.index(bytes.len());
    prop_assert!(decode(&bytes[..at]).is_err(), "cut to {} of {} bytes", at, bytes.len());
    prop_assert!(decode(&[&bytes[..], &[0]].concat()).is_err(), "lengthened");
    prop_assert!(decode(&[&bytes[..], &bytes[..]].concat()).is_err(), "twice");
    let mut changed = bytes;
    changed[at] ^= 1 << bit;
    if let Ok(changed) = decode(&changed) {
        prop_assert!(changed != *good && !accepts(&changed), "byte {at}, bit {bit}");
    }
    Ok(())
}

fn allowance() -> Allowance {
    Allowance { chain: CHAIN, grant: grant_of(1, b"a"), epoch: Epoch(3), noz: Noz(5), home: Address([8; 20]) }
}

fn ticket() -> Ticket {
    let channel = channel();
    Ticket {
        chain: CHAIN,
        epoch: channel.epoch,
        payer: channel.payer,
        session: channel.session,
        carrier: channel.carrier,
        class: channel.class,
        slice: Hash([7; 32]),
        bytes_max: 1 << 20,
        channel_total: 1 << 21,
        session_total: Noz(1 << 22),
        issuer: Address([9; 20]),
    }
}

fn claim() -> CoveredClaim {
    let receipts = vec![receipt_of(1, Class::Upload, 60, b"a"), receipt_of(1, Class::Download, 40, b"a"), receipt_of(2, Class::Stream, 7, b"b")];
    covered(carrier_address(), receipts, &carrier())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_is_changed_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let ack = StorageAck { chain: CHAIN, epoch: Epoch(3), carrier: carrier_address(), slice: Hash([7; 32]), bytes: 9 };
        is_safe(&Signed::sign(Receipt::new(CHAIN, channel(), 1000), &session()), at, bit, |it| it.verify(CHAIN, &session().public()).is_ok())?;
        is_safe(&Signed::sign(ticket(), &carrier()), at, bit, |it| it.verify(CHAIN, &carrier().public()).is_ok())?;
        is_safe(&Signed::sign(ack, &carrier()), at, bit, |it| it.verify(CHAIN, &carrier().public()).is_ok())?;
        is_safe(&Signed::sign(allowance(), &session_of(1, b"a")), at, bit, |it| it.verify(CHAIN, &session_of(1, b"a").public()).is_ok())?;
        is_safe(&grant_of(1, b"a"), at, bit, |it: &SignedGrant| it.verify(CHAIN, Epoch(3)).is_ok())?;
        is_safe(&claim(), at, bit, |it| it.verify(CHAIN, &carrier().public()).is_ok())?;
    }

    /// Numbers at their edges: 0, 1, the largest, and one beside what was signed.
    #[test]
    fn numbers_are_signed(bytes in prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()]) {
        let mut receipt = Signed::sign(Receipt::new(CHAIN, channel(), bytes), &session());
        prop_assert!(receipt.verify(CHAIN, &session().public()).is_ok());
        receipt.body.bytes = bytes.wrapping_add(1);
        prop_assert!(receipt.verify(CHAIN, &session().public()).is_err());
        receipt.body.bytes = bytes.wrapping_sub(1);
        prop_assert!(receipt.verify(CHAIN, &session().public()).is_err());
    }
}

/// Another chain, epoch, payer, session, carrier or class: each is under the signature.
#[test]
fn what_a_receipt_is_about_is_signed() {
    let good = Signed::sign(Receipt::new(CHAIN, channel(), 1000), &session());
    let changes: [&dyn Fn(&mut Receipt); 6] = [
        &|it| it.chain = Hash::ZERO,
        &|it| it.epoch = Epoch(4),
        &|it| it.payer = wallet(2).address(),
        &|it| it.session = carrier().public(),
        &|it| it.carrier = Address([77; 20]),
        &|it| it.class = Class::Upload,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = good;
        change(&mut other.body);
        assert!(other.verify(other.body.chain(), &session().public()).is_err(), "{number}");
    }
}
