//! Keys and objects that the tests of this room share.

use primitives::{AccountSecret, Address, Epoch, Hash, Noz, SecretKey};

use crate::{Channel, Class, Receipt, Signed, SignedGrant, Verified};

pub const CHAIN: Hash = Hash([42; 32]);

pub fn wallet(number: u8) -> AccountSecret {
    AccountSecret::from_seed(&[number; 32])
}

pub fn session() -> SecretKey {
    session_of(0, b"sample")
}

pub fn session_of(payer: u8, salt: &[u8]) -> SecretKey {
    SecretKey::from_seed(&Hash::of("session", &[&[payer], salt]).0)
}

pub fn carrier() -> SecretKey {
    carrier_of(0)
}

pub fn carrier_of(number: u8) -> SecretKey {
    SecretKey::from_seed(&Hash::of("carrier", &[&[number]]).0)
}

pub fn carrier_address() -> Address {
    carrier_address_of(0)
}

/// Addresses of nodes are the operators'; here any distinct ones do.
pub fn carrier_address_of(number: u8) -> Address {
    Address([number; 20])
}

pub fn channel() -> Channel {
    Channel { epoch: Epoch(3), carrier: carrier_address(), payer: wallet(1).address(), session: session().public(), class: Class::Download }
}

pub fn grant_of(payer: u8, salt: &[u8]) -> SignedGrant {
    SignedGrant::sign(CHAIN, &wallet(payer), &session_of(payer, salt), Epoch(9), Noz(1 << 70))
}

/// A receipt of `payer`'s session `salt` for the sample carrier in epoch 3.
pub fn receipt_of(payer: u8, class: Class, bytes: u64, salt: &[u8]) -> Verified<Receipt> {
    receipt_for(carrier_address(), payer, class, bytes, salt)
}

pub fn receipt_for(carrier: Address, payer: u8, class: Class, bytes: u64, salt: &[u8]) -> Verified<Receipt> {
    let session = session_of(payer, salt);
    let channel = Channel { epoch: Epoch(3), carrier, payer: wallet(payer).address(), session: session.public(), class };
    Signed::sign(Receipt::new(CHAIN, channel, bytes), &session).verify_by_session(CHAIN).expect("just signed")
}
