//! Keys and objects that the tests of this room share.

use primitives::{AccountSecret, Address, Epoch, Hash, Noz, PublicKey, SecretKey};

use crate::claim::{Covered, CoveredClaim};
use crate::{Channel, Class, Receipt, Signed, SignedGrant, Ticket, Verified};

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

pub fn issuer() -> SecretKey {
    SecretKey::from_seed(&[77; 32])
}

pub fn issuer_address() -> Address {
    Address([9; 20])
}

pub fn issuer_key(issuer: &Address) -> Option<PublicKey> {
    (*issuer == issuer_address()).then(|| self::issuer().public())
}

/// The ticket that allows exactly the receipt's bytes, which are all of its session's.
pub fn ticket_of(receipt: &Receipt) -> Ticket {
    let Receipt { chain, epoch, class, payer, session, carrier, bytes } = *receipt;
    let session_total = Noz(bytes.into());
    Ticket {
        chain,
        epoch,
        payer,
        session,
        carrier,
        class,
        slice: Hash([7; 32]),
        bytes_max: bytes,
        channel_total: bytes,
        session_total,
        issuer: issuer_address(),
    }
}

/// A claim over receipts, each with the ticket that allows it.
pub fn covered(carrier: Address, receipts: Vec<Verified<Receipt>>, secret: &SecretKey) -> CoveredClaim {
    covered_by(carrier, receipts, secret, |_| {})
}

/// The same with other tickets.
pub fn covered_by(carrier: Address, receipts: Vec<Verified<Receipt>>, secret: &SecretKey, change: impl Fn(&mut Ticket)) -> CoveredClaim {
    let cover = |receipt: Verified<Receipt>| {
        let mut ticket = ticket_of(&receipt);
        change(&mut ticket);
        Covered { receipt, ticket: Signed::sign(ticket, &issuer()) }
    };
    CoveredClaim::sign(CHAIN, Epoch(3), carrier, receipts.into_iter().map(cover).collect(), issuer_key, secret).expect("a claim")
}
