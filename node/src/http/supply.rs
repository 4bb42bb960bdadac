//! Where all money is: the one question whose answer needs every account. Computed at most once per block, and only when somebody asks.

use std::sync::{Mutex, PoisonError};

use chain::accounts::Account;
use chain::pools::Pools;
use chain::settlement;
use primitives::encoding::decode;
use primitives::{Amount, Height};
use state::Sealed;

use super::views::Supply;

/// The newest answer.
#[derive(Default)]
pub struct Cache(Mutex<Option<(Height, Supply)>>);

impl Cache {
    /// The supply in `state`, which is that of block `height`. Whoever comes while it is computed waits for it.
    pub fn at(&self, height: Height, state: &Sealed) -> Supply {
        // A poisoned lock still holds a whole value.
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            // A slower asker may hold an older block: the newer answer serves it as well, for its parts are of one block.
            Some((known, supply)) if *known >= height => supply.clone(),
            Some(_) | None => {
                let supply = count(state);
                *cached = Some((height, supply.clone()));
                supply
            }
        }
    }
}

/// Adds up all accounts and pools.
pub fn count(state: &Sealed) -> Supply {
    let mut accounts = Amount::ZERO;
    state.scan(&chain::keys::accounts(), |_, value| {
        let account: Account = decode(value, chain::keys::VALUE_BYTES_MAX).expect("the ledger wrote this value itself, and the tree's root vouches for it");
        accounts = accounts.saturating_add(account.balance);
    });
    let pools = Pools::read(state);
    Supply {
        accounts_wei: accounts,
        prepaid_wei: pools.prepaid,
        deposits_wei: pools.deposits,
        stake_wei: pools.stake,
        unbonding_wei: pools.unbonding,
        rewards_wei: pools.rewards,
        reserve_wei: pools.reserve,
        community_wei: pools.community,
        governance_wei: pools.governance,
        burned_wei: pools.burned,
        total_wei: accounts.saturating_add(pools.total()),
        mined_wei: settlement::progress(state).mined,
    }
}
