//! Tests of what is left out of a claim.

use pot::{Class, Receipt, Signed, Ticket};
use primitives::{Hash, SecretKey};

use super::direct::Room;
use super::*;

const PAYER: Address = Address([1; 20]);

fn session(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// Who issues the tickets.
const HOME: Address = Address([3; 20]);

fn covered(number: u8, class: Class, bytes: u64) -> Covered {
    covered_by(HOME, number, class, bytes)
}

fn covered_by(issuer: Address, number: u8, class: Class, bytes: u64) -> Covered {
    let (chain, epoch, payer, carrier, key) = (Hash::ZERO, Epoch(1), PAYER, Address([2; 20]), session(number));
    let (session, slice, session_total) = (key.public(), Hash::ZERO, Noz(bytes.into()));
    let receipt = Receipt { chain, epoch, class, payer, session, carrier, bytes };
    let ticket = Ticket { chain, epoch, payer, session, carrier, class, slice, bytes_max: bytes, channel_total: bytes, session_total, issuer };
    Covered { receipt: Signed::sign(receipt, &key).verify_by_session(Hash::ZERO).expect("just signed"), ticket: Signed::sign(ticket, &key) }
}

fn bytes(receipts: &[Covered]) -> Vec<u64> {
    receipts.iter().map(|covered| covered.receipt.bytes).collect()
}

#[test]
fn one_session_beyond_its_reservation_costs_the_others_nothing() {
    let receipts = vec![
        covered(1, Class::Upload, 60),
        covered(1, Class::Download, 40),
        covered(2, Class::Upload, 101),
        covered(3, Class::Upload, 5),
        covered(2, Class::Stream, 100),
        covered_by(Address([4; 20]), 1, Class::Stream, 1),
    ];
    let left = [1, 2].map(|number| ((session(number).public(), PAYER, HOME), Noz(100)));
    let (fits, beyond) = fitting(receipts, left.into());
    assert_eq!((bytes(&fits), bytes(&beyond)), (vec![100, 60, 40], vec![101, 5, 1]));
}

#[test]
fn what_fits_neither_session_nor_payer_is_left_out_of_a_direct_claim() {
    let sessions = [(session(1).public(), (HOME, Noz(100))), (session(2).public(), (HOME, Noz(100)))].into();
    let room = Room { sessions, payers: [(PAYER, Noz(150))].into() };
    let receipts = vec![
        covered(1, Class::Upload, 60),
        covered(1, Class::Download, 41),
        covered(1, Class::Stream, 40),
        covered(2, Class::Upload, 51),
        covered(2, Class::Download, 50),
        covered(3, Class::Upload, 1),
        covered_by(Address([4; 20]), 1, Class::Upload, 2),
    ];
    let (fits, beyond) = room.fitting(receipts);
    assert_eq!((bytes(&fits), bytes(&beyond)), (vec![60, 40, 50], vec![41, 51, 1, 2]));
}
