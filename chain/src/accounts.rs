//! Accounts: balance and nonce.
//!
//! Keys: `1 a address`. Transactions: `Send`. An account exists from its first coin or transaction on and is never removed, so a nonce is never used twice.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Amount};
use serde::Serialize;
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::pools::MoveError;

/// What the ledger knows of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Account {
    /// Coins that can be spent now.
    pub balance: Amount,
    /// Number of the next transaction.
    pub nonce: u64,
}

/// The account of `address`; an unknown one is empty.
pub fn read(state: &impl Read, address: &Address) -> Account {
    keys::read(state, &keys::account(address)).unwrap_or_default()
}

pub(crate) fn write(state: &mut Overlay, address: &Address, account: &Account) {
    keys::write(state, &keys::account(address), account);
}

/// Takes coins out of an account; the caller puts them somewhere.
pub(crate) fn take(state: &mut Overlay, address: &Address, amount: Amount) -> Result<(), MoveError> {
    let mut account = read(state, address);
    account.balance = account.balance.checked_sub(amount).ok_or(MoveError::Balance {
        address: *address,
        balance: account.balance,
        needed: amount,
        missing: amount.saturating_sub(account.balance),
    })?;
    write(state, address, &account);
    Ok(())
}

/// Puts coins that were taken from somewhere into an account; nothing makes no account.
pub(crate) fn give(state: &mut Overlay, address: &Address, amount: Amount) {
    if amount == Amount::ZERO {
        return;
    }
    let mut account = read(state, address);
    account.balance = account.balance.checked_add(amount).expect("the sum of all money is far below u128");
    write(state, address, &account);
}

/// Moves coins between accounts.
///
/// # Errors
/// [`MoveError::Balance`]; nothing moves then.
pub fn send(state: &mut Overlay, from: &Address, to: &Address, amount: Amount) -> Result<Event, MoveError> {
    take(state, from, amount)?;
    give(state, to, amount);
    Ok(Event::Sent { from: *from, to: *to, amount })
}
