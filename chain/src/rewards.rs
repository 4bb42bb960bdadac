//! Rewards: earned at settlement, mature after some epochs, then withdrawn.
//!
//! Keys: `5 r address`. Transactions: `Withdraw`. Maturing costs nothing at the end of an epoch: a record says from which epoch on each part of it is mature,
//! and whoever reads it compares. What is not mature answers for its owner: a convicted meta node loses the same part of it as of its deposit
//! ([`crate::accusation`]).

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::units::BASIS_POINTS;
use primitives::{Address, Amount, Epoch};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::pools::{self, MoveError, Pool};

/// Epochs until rewards mature, at most: a record holds one entry of 24 bytes for each and stays below [`keys::VALUE_BYTES_MAX`].
pub const MATURE_EPOCHS_MAX: u64 = 32_768;

/// What an account earned and did not withdraw.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reward {
    /// Mature already when the record was last written.
    pub mature: Amount,
    /// What matures, by the epoch from which it can be withdrawn; ascending, at most one entry per epoch of the maturity.
    pub maturing: Vec<(Epoch, Amount)>,
}

/// Why a withdrawal is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WithdrawError {
    /// Less is mature.
    #[error("{mature} wei are mature, {asked} wei were asked for; {immature} wei are still maturing")]
    Immature {
        /// What can be withdrawn.
        mature: Amount,
        /// What was asked.
        asked: Amount,
        /// What matures later.
        immature: Amount,
    },
    /// Nothing was asked for.
    #[error("a withdrawal of 0 wei")]
    Nothing,
    /// The pool does not hold what the records promise.
    #[error(transparent)]
    Money(#[from] MoveError),
}

impl Reward {
    /// (mature, immature) in wei at `epoch`.
    pub fn at(&self, epoch: Epoch) -> (Amount, Amount) {
        self.maturing.iter().fold((self.mature, Amount::ZERO), |(mature, immature), (from, amount)| {
            if *from <= epoch { (mature.saturating_add(*amount), immature) } else { (mature, immature.saturating_add(*amount)) }
        })
    }

    fn settle(&mut self, epoch: Epoch) {
        self.mature = self.at(epoch).0;
        self.maturing.retain(|(from, _)| *from > epoch);
    }
}

/// The reward of an account.
pub fn read(state: &impl Read, address: &Address) -> Reward {
    keys::read(state, &keys::reward(address)).unwrap_or_default()
}

/// Credits a reward whose coins are already in the pool of rewards.
pub(crate) fn credit(state: &mut Overlay, address: &Address, amount: Amount, now: Epoch, mature_epochs: u64) {
    if amount == Amount::ZERO {
        return;
    }
    let mut reward = read(state, address);
    reward.settle(now);
    let from = now.saturating_add(Epoch(mature_epochs));
    // Almost always the last place; what a chain took over, or matures by other parameters, may mature later.
    let at = reward.maturing.partition_point(|(epoch, _)| *epoch < from);
    match reward.maturing.get_mut(at) {
        Some((epoch, sum)) if *epoch == from => *sum = sum.saturating_add(amount),
        Some(_) | None => reward.maturing.insert(at, (from, amount)),
    }
    keys::write(state, &keys::reward(address), &reward);
}

/// Writes what an account had on the chain before; the coins are in the pool of rewards or about to be put there.
pub(crate) fn take_over(state: &mut Overlay, address: &Address, reward: &Reward) {
    keys::write(state, &keys::reward(address), reward);
}

/// Burns a part of what an account earned and is not mature: it answers for its owner as a deposit does. Rounded up, in each epoch's part; gives how much.
pub(crate) fn forfeit(state: &mut Overlay, owner: &Address, bp: u32) -> Amount {
    let mut reward = read(state, owner);
    reward.settle(crate::epochs::current(state).number);
    let mut lost = Amount::ZERO;
    for (_, amount) in &mut reward.maturing {
        let kept = amount.basis_points(BASIS_POINTS.saturating_sub(bp));
        lost = lost.saturating_add(amount.saturating_sub(kept));
        *amount = kept;
    }
    if lost > Amount::ZERO {
        reward.maturing.retain(|(_, amount)| *amount > Amount::ZERO);
        keys::write(state, &keys::reward(owner), &reward);
        pools::transfer(state, Pool::Rewards, Pool::Burned, lost).expect("the pool of rewards holds what the records say (CHAIN-12)");
    }
    lost
}

/// Withdraws mature rewards.
///
/// # Errors
/// [`WithdrawError`]; nothing changes then.
pub fn withdraw(state: &mut Overlay, owner: &Address, to: &Address, amount: Amount) -> Result<Event, WithdrawError> {
    if amount == Amount::ZERO {
        return Err(WithdrawError::Nothing);
    }
    let epoch = crate::epochs::current(state).number;
    let mut reward = read(state, owner);
    let (_, immature) = reward.at(epoch);
    reward.settle(epoch);
    reward.mature = reward.mature.checked_sub(amount).ok_or(WithdrawError::Immature { mature: reward.mature, asked: amount, immature })?;
    pools::pay_out(state, Pool::Rewards, to, amount)?;
    keys::write(state, &keys::reward(owner), &reward);
    Ok(Event::RewardWithdrawn { owner: *owner, to: *to, amount })
}
