//! What a transaction does to the records, reckoned anew: its fee, and either all that its messages ask for or nothing.

use chain::governance::{Action, Outcome, Proposal};
use chain::pools::Fund;
use chain::profiles::Profile;
use chain::staking::distribution::{Credit, Earnings};
use chain::staking::redelegation::Part;
use chain::staking::{Commission, Raised, Status, Validator};
use chain::transaction::{Message, SignedTransaction};
use primitives::units::WEI_PER_STOS;
use primitives::{Address, Amount, Epoch, PublicKey};

use super::Events;
use super::proposals::change;
use super::records::{Records, down, up};

/// Epochs from which a delegation has something on its way out at most, and pairs of validator and epoch from which something moved to it.
const ENTRIES_MAX: usize = 16;
/// Validators to which stake of one moves in an epoch at most.
const TARGETS_MAX: usize = 32;

const fn is_tombstoned(validator: &Validator) -> bool {
    matches!(validator.status, Status::Tombstoned { .. })
}

impl Records {
    /// Executes a transaction of so many bytes, `base_fee` wei for a unit; the units that it used, and its tip in wei.
    pub(super) fn transact(&mut self, transaction: &SignedTransaction, bytes: usize, base_fee: u128, events: &mut Events) -> Result<(u64, u128), String> {
        let (body, who, costs) = (&transaction.body, transaction.body.sender(), self.parameters.clone());
        let proven = body.messages.iter().filter(|message| matches!(message, Message::CreateValidator { .. })).count();
        let [bytes, messages, proven] = [bytes, body.messages.len(), proven].map(|count| count as u64);
        let units = costs.units_base + bytes * costs.units_per_byte + messages * costs.units_per_message + proven * costs.units_per_signature;
        let (burned, tip) = (u128::from(units) * base_fee, u128::from(units) * body.tip.0);
        let payer = self.accounts.get_mut(&who).filter(|account| account.nonce == body.nonce && burned + tip <= body.fee_max.0);
        payer.ok_or_else(|| format!("a transaction of {who} out of turn, or that pays too little"))?.nonce += 1;
        self.take(&who, burned + tip).ok_or_else(|| format!("{who} cannot pay its fee"))?;
        self.pools.burned.0 += burned;
        let mut done = self.clone();
        events.transactions += 1;
        if body.messages.iter().all(|message| done.execute(&who, message).is_some()) {
            *self = done;
            body.messages.iter().for_each(|message| events.count(message));
        } else {
            events.failed += 1;
        }
        Ok((units, tip))
    }

    /// Does what one message asks for; `None` if it cannot be done.
    fn execute(&mut self, who: &Address, message: &Message) -> Option<()> {
        match message {
            Message::Send { to, amount } => {
                self.take(who, amount.0)?;
                self.give(to, amount.0);
            }
            Message::Donate { fund, amount } => {
                self.take(who, Some(amount.0).filter(|amount| *amount > 0)?)?;
                match fund {
                    Fund::Community => self.pools.community.0 += amount.0,
                    Fund::Reserve => self.pools.reserve.0 += amount.0,
                }
            }
            Message::CreateValidator { key, stake, commission, .. } => self.create(who, *key, *stake, *commission)?,
            Message::Delegate { validator, amount } => {
                self.melt(validator, who);
                let bought = self.join(validator, amount.0)?;
                self.delegations.entry((*validator, *who)).or_default().shares += bought;
                self.take(who, amount.0)?;
                self.pools.stake.0 += amount.0;
            }
            Message::Undelegate { validator, amount } => self.undelegate(who, validator, amount.0)?,
            Message::WithdrawUnbonded { validator } => self.withdraw(who, validator)?,
            Message::Redelegate { from, to, amount } => self.redelegate(who, from, to, amount.0)?,
            Message::Unjail => {
                let current = self.epoch.number;
                let validator = self.validators.get_mut(who)?;
                let may = matches!(validator.status, Status::Jailed { until } if until < current);
                validator.status = may.then_some(Status::Candidate)?;
            }
            Message::SetCommission { bp } => self.set_commission(who, *bp)?,
            Message::Describe { profile } => self.describe(who, profile)?,
            Message::Propose { title, text, actions } => self.propose(who, title, text, actions)?,
            Message::VoteProposal { proposal, choice, validators } => {
                let is_open = self.agenda.open.contains(proposal);
                let is_somebody = !validators.is_empty() || self.validators.contains_key(who);
                let is_each_once = validators.iter().enumerate().all(|(at, named)| named != who && !validators[..at].contains(named));
                if !is_open || !is_somebody || !is_each_once || validators.len() > ENTRIES_MAX {
                    return None;
                }
                let shares = |of: &Address| self.delegations.get(&(*of, *who)).map(|delegation| delegation.shares).filter(|shares| *shares > 0);
                let with = validators.iter().map(|of| Some((*of, shares(of)?))).collect::<Option<_>>()?;
                self.votes.insert((*proposal, *who), (*choice, with));
            }
            // Nothing is earned where nothing is carried.
            Message::CollectReward { .. } | Message::Withdraw { .. } => return None,
            // No user of the simulation asks for this.
            Message::BuyOzone { .. }
            | Message::RegisterResource { .. }
            | Message::RegisterMeta { .. }
            | Message::MoveNode { .. }
            | Message::VoteMeta { .. }
            | Message::TopUpDeposit { .. }
            | Message::LeaveRegistry
            | Message::WithdrawDeposit
            | Message::Settle { .. }
            | Message::ClaimDirectly { .. }
            | Message::AccuseReport { .. }
            | Message::AccuseIssuer { .. } => return None,
        }
        self.lower_votes(who);
        self.tidy();
        Some(())
    }

    fn take(&mut self, who: &Address, amount: u128) -> Option<()> {
        let balance = &mut self.accounts.get_mut(who)?.balance.0;
        *balance = balance.checked_sub(amount)?;
        Some(())
    }

    pub(super) fn give(&mut self, who: &Address, amount: u128) {
        if amount > 0 {
            self.accounts.entry(*who).or_default().balance.0 += amount;
        }
    }

    fn create(&mut self, who: &Address, key: PublicKey, stake: Amount, commission: Commission) -> Option<()> {
        let is_new = !self.validators.contains_key(who) && self.validators.values().all(|validator| validator.key != key);
        let is_possible = commission.bp <= commission.max_bp && commission.max_bp <= 10_000 && stake.0 >= WEI_PER_STOS;
        if !is_new || !is_possible {
            return None;
        }
        self.take(who, stake.0)?;
        self.pools.stake.0 += stake.0;
        self.delegations.entry((*who, *who)).or_default().shares = stake.0;
        let (raised, earnings) = (Raised { epoch: Epoch(0), before: commission.bp }, Earnings::default());
        let validator = Validator { operator: *who, key, stake, shares: stake.0, commission, raised, earnings, status: Status::Candidate };
        self.validators.insert(*who, validator);
        Some(())
    }

    /// Puts an amount into a stake; the shares that it buys, rounded down, and at least one.
    fn join(&mut self, to: &Address, amount: u128) -> Option<u128> {
        let validator = self.validators.get_mut(to).filter(|validator| !is_tombstoned(validator))?;
        let bought = if validator.shares == 0 { amount } else { down(amount, validator.shares, validator.stake.0) };
        validator.shares += bought;
        validator.stake.0 += amount;
        Some(bought).filter(|bought| *bought > 0)
    }

    /// Takes an amount out of a stake, and from a delegation the shares that it costs, rounded up.
    fn leave(&mut self, who: &Address, from: &Address, amount: u128) -> Option<()> {
        let (validator, delegation) = (self.validators.get_mut(from)?, self.delegations.get_mut(&(*from, *who))?);
        let worth = down(delegation.shares, validator.stake.0, validator.shares);
        if amount == 0 || amount > worth {
            return None;
        }
        let sold = if amount == worth { delegation.shares } else { up(amount, validator.shares, validator.stake.0) };
        delegation.shares -= sold;
        validator.shares -= sold;
        validator.stake.0 -= amount;
        Some(())
    }

    /// The first epoch in which what left a validator answers for nothing more.
    fn free_from(&self, from: &Address, left: Epoch) -> Epoch {
        let due = left.0 + self.parameters.unbonding_epochs + 1;
        match self.validators.get(from).map(|validator| validator.status) {
            Some(Status::Tombstoned { offence, until }) if left >= offence => Epoch(due.max(until.0 + 1)),
            Some(Status::Tombstoned { .. } | Status::Candidate | Status::Jailed { .. }) | None => Epoch(due),
        }
    }

    /// What moved to a validator long enough ago is stake like any other.
    fn melt(&mut self, to: &Address, who: &Address) {
        let Some(delegation) = self.delegations.get(&(*to, *who)) else { return };
        let (mut melted, current) = (delegation.clone(), self.epoch.number);
        let (free, bound): (Vec<Part>, Vec<Part>) = melted.moved.iter().partition(|part| self.free_from(&part.from, part.epoch) <= current);
        for part in free {
            let moved = self.moved.get_mut(&(*to, part.from, part.epoch)).expect("units are there as long as somebody has some");
            let shares = down(part.units, moved.shares, moved.units);
            moved.units -= part.units;
            moved.shares -= shares;
            melted.shares += shares;
        }
        melted.moved = bound;
        self.delegations.insert((*to, *who), melted);
    }

    fn undelegate(&mut self, who: &Address, from: &Address, amount: u128) -> Option<()> {
        self.melt(from, who);
        self.leave(who, from, amount)?;
        self.pools.stake.0 -= amount;
        let current = self.epoch.number;
        match self.validators.get(from)?.status {
            Status::Tombstoned { until, .. } if current <= until => return None,
            // It has paid, and gives out at once.
            Status::Tombstoned { .. } => self.give(who, amount),
            Status::Candidate | Status::Jailed { .. } => {
                let entries = &mut self.delegations.get_mut(&(*from, *who))?.leaving;
                let is_full = entries.len() == ENTRIES_MAX;
                match entries.iter_mut().find(|(epoch, _)| *epoch == current) {
                    Some((_, shares)) => *shares += amount,
                    None if is_full => return None,
                    None => entries.push((current, amount)),
                }
                let leaving = self.leaving.entry((*from, current)).or_default();
                leaving.amount.0 += amount;
                leaving.shares += amount;
                self.pools.unbonding.0 += amount;
            }
        }
        Some(())
    }

    fn withdraw(&mut self, who: &Address, from: &Address) -> Option<()> {
        let (current, mut paid) = (self.epoch.number, 0);
        let entries = self.delegations.get(&(*from, *who))?.leaving.clone();
        let (due, waiting): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(left, _)| self.free_from(from, *left) <= current);
        if due.is_empty() {
            return None;
        }
        for (left, shares) in due {
            let leaving = self.leaving.get_mut(&(*from, left))?;
            let amount = down(shares, leaving.amount.0, leaving.shares);
            leaving.amount.0 -= amount;
            leaving.shares -= shares;
            paid += amount;
        }
        self.delegations.get_mut(&(*from, *who))?.leaving = waiting;
        self.pools.unbonding.0 -= paid;
        self.give(who, paid);
        Some(())
    }

    fn redelegate(&mut self, who: &Address, from: &Address, to: &Address, amount: u128) -> Option<()> {
        if from == to || is_tombstoned(self.validators.get(from)?) {
            return None;
        }
        self.melt(from, who);
        self.melt(to, who);
        self.leave(who, from, amount)?;
        let (bought, current) = (self.join(to, amount)?, self.epoch.number);
        let key = (*to, *from, current);
        let targets = self.moved.keys().filter(|(_, of, epoch)| of == from && *epoch == current).count();
        if !self.moved.contains_key(&key) && (amount < WEI_PER_STOS || targets >= TARGETS_MAX) {
            return None;
        }
        let moved = self.moved.entry(key).or_default();
        moved.shares += bought;
        moved.units += bought;
        let parts = &mut self.delegations.entry((*to, *who)).or_default().moved;
        let is_full = parts.len() == ENTRIES_MAX;
        match parts.iter_mut().find(|part| (part.from, part.epoch) == (*from, current)) {
            Some(part) => part.units += bought,
            None if is_full => return None,
            None => parts.push(Part { from: *from, epoch: current, units: bought, credit: Credit::default() }),
        }
        Some(())
    }

    fn set_commission(&mut self, who: &Address, bp: u32) -> Option<()> {
        let (current, step) = (self.epoch.number, self.parameters.commission_step_bp);
        let validator = self.validators.get_mut(who)?;
        if validator.raised.epoch != current {
            validator.raised = Raised { epoch: current, before: validator.commission.bp };
        }
        let is_possible = bp <= validator.commission.max_bp && bp <= validator.raised.before + step;
        validator.commission.bp = is_possible.then_some(bp)?;
        Some(())
    }

    fn describe(&mut self, who: &Address, profile: &Profile) -> Option<()> {
        let fields = [(&profile.name, 70), (&profile.website, 140), (&profile.contact, 140), (&profile.details, 280)];
        let is_possible = self.validators.contains_key(who) && fields.iter().all(|(text, most)| text.len() <= *most && !text.contains('\n'));
        is_possible.then_some(())?;
        if fields.iter().all(|(text, _)| text.is_empty()) {
            self.profiles.remove(who);
        } else {
            self.profiles.insert(*who, profile.clone());
        }
        Some(())
    }

    fn propose(&mut self, who: &Address, title: &str, text: &str, actions: &[Action]) -> Option<()> {
        let mut parameters = self.parameters.clone();
        let is_possible = actions.iter().all(|action| match action {
            Action::SetParameter { name, value } => change(&mut parameters, name, *value),
            Action::Spend { amount, .. } => *amount > Amount::ZERO,
            Action::AdmitMeta { .. } | Action::RemoveMeta { .. } => true,
        });
        if !is_possible || title.len() > 128 || text.len() > 2_048 || actions.len() > 8 || self.agenda.open.len() >= 16 {
            return None;
        }
        let (deposit, since) = (self.parameters.governance_deposit, self.epoch.number);
        self.take(who, deposit.0)?;
        self.pools.governance.0 += deposit.0;
        let number = self.agenda.next;
        self.agenda.next += 1;
        self.agenda.open.push(number);
        let proposal = Proposal {
            proposer: *who,
            title: title.to_owned(),
            text: text.to_owned(),
            actions: actions.to_vec(),
            deposit,
            since,
            until: Epoch(since.0 + self.parameters.governance_epochs),
            outcome: Outcome::Open,
            votes: Default::default(),
            total: Amount::ZERO,
        };
        self.proposals.insert(number, proposal);
        Some(())
    }

    /// Nobody votes with more shares than it has.
    fn lower_votes(&mut self, who: &Address) {
        for (_, (_, with)) in self.votes.iter_mut().filter(|((_, voter), _)| voter == who) {
            for (of, shares) in with {
                let held = self.delegations.get(&(*of, *who)).map_or(0, |delegation| delegation.shares);
                *shares = (*shares).min(held);
            }
        }
    }
}
