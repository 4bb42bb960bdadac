//! What convicts lose when the window of their evidence is over, and with them whoever took their stake away.

use chain::staking::{Status, Validator};
use primitives::{Address, Epoch, PublicKey};

use super::Events;
use super::records::{Records, down};

/// A validator against which a block brought evidence.
#[derive(Clone, Copy, Debug)]
pub struct Guilt {
    /// Its key.
    pub key: PublicKey,
    /// The earliest epoch in which it contradicted itself, its greatest weight and the set's least, of all epochs that were proven.
    pub epoch: Epoch,
    /// Its greatest weight.
    pub weight: u64,
    /// The set's least.
    pub total: u64,
    /// Epoch of the first proof.
    pub proven: Epoch,
    /// How many were proven guilty before it: stake that moved may answer for several, who are slashed in this order.
    pub place: usize,
    /// Who proposed it.
    pub reporter: Address,
    /// Numerator and denominator of what it lost, once it has.
    pub lost: Option<(u128, u128)>,
}

impl Guilt {
    /// What it loses together with those who were proven guilty within so many epochs before or after it, itself among them: three times their weight of the
    /// set's, at least a hundredth.
    pub(super) fn part<'a>(&self, all: impl Iterator<Item = &'a Self>, window: u64) -> (u128, u128) {
        let (total, together) = (u128::from(self.total), all.filter(|other| other.proven.0.abs_diff(self.proven.0) <= window));
        let lost = (3 * together.map(|other| u128::from(other.weight)).sum::<u128>()).min(total);
        if 100 * lost < total { (1, 100) } else { (lost, total) }
    }
}

impl Records {
    /// Tombstones whoever was proven guilty, by the earliest epoch that is proven.
    pub(super) fn bury(&mut self, operator: &Address, guilt: &Guilt) {
        if let Some(validator) = self.validators.get_mut(operator) {
            validator.status = Status::Tombstoned { offence: guilt.epoch, until: Epoch(guilt.proven.0 + self.parameters.evidence_epochs) };
        }
    }

    /// Takes a part of a convict's stake, of what is on its way out, and of what moved to others, as far as it was there in an epoch from the offence up to the
    /// proof. All of it is burned but for the reporter's reward. How much it is, in wei.
    pub(super) fn slash(&mut self, operator: &Address, guilt: &Guilt, (lost, total): (u128, u128), events: &mut Events) -> u128 {
        // What is kept is rounded down.
        let kept = |amount: u128| down(amount, total - lost, total);
        let answers = |epoch: &Epoch| (guilt.epoch..=guilt.proven).contains(epoch);
        let (mut of_stake, mut of_leaving) = (0, 0);
        let mut shrink = |validator: &mut Validator, by: u128| {
            validator.stake.0 -= by;
            of_stake += by;
        };
        if let Some(validator) = self.validators.get_mut(operator) {
            shrink(validator, validator.stake.0 - kept(validator.stake.0));
        }
        for ((to, ..), moved) in self.moved.iter_mut().filter(|((_, from, epoch), _)| from == operator && answers(epoch)) {
            let validator = self.validators.get_mut(to).expect("stake moves to validators, and those stay");
            let shares = moved.shares - kept(moved.shares);
            let worth = down(shares, validator.stake.0, validator.shares);
            moved.shares -= shares;
            validator.shares -= shares;
            shrink(validator, worth);
            events.moved_slashes += u64::from(worth > 0);
        }
        for (_, leaving) in self.leaving.iter_mut().filter(|((of, epoch), _)| of == operator && answers(epoch)) {
            of_leaving += leaving.amount.0 - kept(leaving.amount.0);
            leaving.amount.0 = kept(leaving.amount.0);
        }
        let slashed = of_stake + of_leaving;
        let reward = if guilt.reporter == *operator { 0 } else { slashed * u128::from(self.parameters.slash_reward_bp) / 10_000 };
        self.pools.stake.0 -= of_stake;
        self.pools.unbonding.0 -= of_leaving;
        self.pools.burned.0 += slashed - reward;
        self.give(&guilt.reporter, reward);
        events.slashes += 1;
        slashed
    }
}
