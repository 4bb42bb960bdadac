//! Allowance: a session reserves ozone in the metadata ledger, so that an honest carrier is never left unpaid.
//!
//! The records are part of the protocol and not of one ledger: the metadata ledger keeps them, and the value ledger reads them, with proof, when somebody
//! claims directly ([`crate::direct`]) or accuses an issuer of tickets ([`crate::evidence`]).

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Epoch, Hash, Noz, PublicKey};

use crate::ROOM;
use crate::grant::SignedGrant;
use crate::object::Object;

/// "Reserve this much of my ozone for this epoch." Signed by the session key, role `allowance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Allowance {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The wallet's grant to this session.
    pub grant: SignedGrant,
    /// The current epoch, or the next.
    pub epoch: Epoch,
    /// All that the session reserves in it; a later allowance can only raise it.
    pub noz: Noz,
    /// The meta node that issues the tickets; the same in all allowances of the session in the epoch.
    pub home: Address,
}

impl Object for Allowance {
    const ROLE: &'static str = "allowance";

    fn chain(&self) -> Hash {
        self.chain
    }
}

/// What a session reserved for an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reservation {
    /// The epoch.
    pub epoch: Epoch,
    /// The session.
    pub session: PublicKey,
    /// Who issues its tickets.
    pub home: Address,
    /// How much.
    pub noz: Noz,
}

/// What is known of a payer.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payer {
    /// The first epoch that was not settled in the newest reading.
    pub unsettled: Epoch,
    /// Reservations from that epoch on.
    pub reservations: Vec<Reservation>,
}

impl Payer {
    /// What a session reserved for an epoch.
    pub fn reservation(&self, session: &PublicKey, epoch: Epoch) -> Option<&Reservation> {
        self.reservations.iter().find(|reservation| reservation.epoch == epoch && reservation.session == *session)
    }

    /// What a session reserved for an epoch with this issuer of tickets: nothing with any other than its home.
    pub fn reserved_with(&self, issuer: &Address, session: &PublicKey, epoch: Epoch) -> Noz {
        self.reservation(session, epoch).filter(|reservation| reservation.home == *issuer).map_or(Noz::ZERO, |reservation| reservation.noz)
    }
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Session {
    /// The wallet's grant.
    pub grant: SignedGrant,
    /// Claimed in all epochs.
    pub spent: Noz,
}

/// Where the metadata ledger keeps a payer's reservations.
pub fn payer_key(payer: &Address) -> Vec<u8> {
    [&[ROOM, b'a'][..], &payer.0].concat()
}

/// Where it keeps a session's grant and what it spent.
pub fn session_key(session: &PublicKey) -> Vec<u8> {
    [&[ROOM, b'g'][..], &session.0].concat()
}

/// Where it keeps who has claimed in an epoch, strictly increasing by address, from the first claim until the report is whole. Nobody claims before the epoch
/// is over.
pub fn claimants_key(epoch: Epoch) -> Vec<u8> {
    [&[ROOM, b'l'][..], &epoch.0.to_be_bytes()].concat()
}

/// Where it keeps what was claimed from a session in an epoch.
pub fn claimed_key(epoch: Epoch, session: &PublicKey) -> Vec<u8> {
    [&[ROOM, b'u'][..], &epoch.0.to_be_bytes(), &session.0].concat()
}
