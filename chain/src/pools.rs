//! Money that belongs to no account, and the only two ways by which money moves.
//!
//! Transaction: `Donate`.
//!
//! Every coin is in an account or in one of these pools. [`pay_out`] and [`pay_in`] move it between them, accounts move it among themselves; nothing creates
//! or destroys any, so the sum over accounts and pools is what genesis made it (CHAIN-1). Only fees are in neither, from their transaction to the end of its
//! block ([`crate::fees`]).

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Amount};
use serde::{Deserialize, Serialize};
use state::Overlay;

use crate::accounts;
use crate::event::Event;
use crate::keys::{self, Read};

/// What lies in each pool, in wei.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Pools {
    /// Paid for ozone that is not yet used (P).
    pub prepaid: Amount,
    /// Deposits of resource and meta nodes, active or not.
    pub deposits: Amount,
    /// Stake of validators.
    pub stake: Amount,
    /// Stake that was taken out and still answers for what its validator did.
    pub unbonding: Amount,
    /// Rewards earned and not yet withdrawn.
    pub rewards: Amount,
    /// The foundation's reserve, from which mining rewards are paid.
    pub reserve: Amount,
    /// The community pool: taxes.
    pub community: Amount,
    /// Deposits of open proposals.
    pub governance: Amount,
    /// Burned: base fees, slashes, forfeited rewards, deposits of vetoed proposals.
    pub burned: Amount,
}

/// One of the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Paid for ozone that is not yet used.
    Prepaid,
    /// Deposits of nodes.
    Deposits,
    /// Stake of validators.
    Stake,
    /// Stake on its way out.
    Unbonding,
    /// Rewards not yet withdrawn.
    Rewards,
    /// The foundation's reserve.
    Reserve,
    /// The community pool.
    Community,
    /// Deposits of open proposals.
    Governance,
    /// Burned.
    Burned,
}

/// A pool that anybody can give to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fund {
    /// The community pool, which governance spends.
    Community,
    /// The foundation's reserve, from which mining rewards are paid.
    Reserve,
}

impl From<Fund> for Pool {
    fn from(fund: Fund) -> Self {
        match fund {
            Fund::Community => Self::Community,
            Fund::Reserve => Self::Reserve,
        }
    }
}

/// Why nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DonateError {
    /// It would be nothing.
    #[error("0 wei are no gift")]
    Nothing,
    /// The sender cannot pay.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// Money is missing where it should be. From a pool this cannot happen while the invariants hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The account has too little.
    #[error("{address} has {balance} wei, {needed} wei are needed: {missing} wei are missing")]
    Balance {
        /// The account.
        address: Address,
        /// What it has.
        balance: Amount,
        /// What is needed.
        needed: Amount,
        /// The difference.
        missing: Amount,
    },
    /// The pool has too little.
    #[error("the pool {pool:?} holds {held} wei, {needed} wei are needed")]
    Pool {
        /// The pool.
        pool: Pool,
        /// What it holds.
        held: Amount,
        /// What is needed.
        needed: Amount,
    },
}

impl Pools {
    /// The pools as they are.
    pub fn read(state: &impl Read) -> Self {
        keys::read(state, &keys::pools()).unwrap_or_default()
    }

    fn write(&self, state: &mut Overlay) {
        keys::write(state, &keys::pools(), self);
    }

    fn slot(&mut self, pool: Pool) -> &mut Amount {
        match pool {
            Pool::Prepaid => &mut self.prepaid,
            Pool::Deposits => &mut self.deposits,
            Pool::Stake => &mut self.stake,
            Pool::Unbonding => &mut self.unbonding,
            Pool::Rewards => &mut self.rewards,
            Pool::Reserve => &mut self.reserve,
            Pool::Community => &mut self.community,
            Pool::Governance => &mut self.governance,
            Pool::Burned => &mut self.burned,
        }
    }

    fn take(&mut self, pool: Pool, amount: Amount) -> Result<(), MoveError> {
        let held = *self.slot(pool);
        *self.slot(pool) = held.checked_sub(amount).ok_or(MoveError::Pool { pool, held, needed: amount })?;
        Ok(())
    }

    fn give(&mut self, pool: Pool, amount: Amount) {
        let slot = self.slot(pool);
        *slot = slot.checked_add(amount).expect("the sum of all money is far below u128");
    }

    /// The sum over all pools.
    pub fn total(&self) -> Amount {
        [self.prepaid, self.deposits, self.stake, self.unbonding, self.rewards, self.reserve, self.community, self.governance, self.burned]
            .into_iter()
            .try_fold(Amount::ZERO, Amount::checked_add)
            .expect("the sum of all money is far below u128")
    }
}

/// Gives to what belongs to all. It does not come back but by what the pool is there for.
///
/// # Errors
/// [`DonateError`]; nothing moves then.
pub fn donate(state: &mut Overlay, from: &Address, fund: Fund, amount: Amount) -> Result<Event, DonateError> {
    if amount == Amount::ZERO {
        return Err(DonateError::Nothing);
    }
    pay_in(state, from, fund.into(), amount)?;
    Ok(Event::Donated { from: *from, fund, amount })
}

/// Moves money from an account into a pool.
///
/// # Errors
/// [`MoveError::Balance`]; nothing moves then.
pub fn pay_in(state: &mut Overlay, from: &Address, pool: Pool, amount: Amount) -> Result<(), MoveError> {
    accounts::take(state, from, amount)?;
    mint_into_pool(state, pool, amount);
    Ok(())
}

/// Moves money from a pool to an account.
///
/// # Errors
/// [`MoveError::Pool`]; nothing moves then.
pub fn pay_out(state: &mut Overlay, pool: Pool, to: &Address, amount: Amount) -> Result<(), MoveError> {
    let mut pools = Pools::read(state);
    pools.take(pool, amount)?;
    pools.write(state);
    accounts::give(state, to, amount);
    Ok(())
}

/// Moves money from one pool to another.
///
/// # Errors
/// [`MoveError::Pool`]; nothing moves then.
pub fn transfer(state: &mut Overlay, from: Pool, to: Pool, amount: Amount) -> Result<(), MoveError> {
    let mut pools = Pools::read(state);
    pools.take(from, amount)?;
    pools.give(to, amount);
    pools.write(state);
    Ok(())
}

/// Puts money that was taken from somewhere in this block, or that genesis makes, into a pool.
pub(crate) fn mint_into_pool(state: &mut Overlay, pool: Pool, amount: Amount) {
    let mut pools = Pools::read(state);
    pools.give(pool, amount);
    pools.write(state);
}
