//! What becomes of proposals when their time is over, and of those who voted.

use chain::governance::{Action, Choice, Outcome};
use chain::parameters::Parameters;
use primitives::{Address, Amount};

use super::Events;
use super::records::{Records, SUPPLY, down};

/// How one can vote, in the order in which votes are counted.
const CHOICES: [Choice; 4] = [Choice::Yes, Choice::No, Choice::Abstain, Choice::Veto];

/// Changes a parameter, if the users of the simulation change it and the value is in its range.
pub(super) fn change(parameters: &mut Parameters, name: &str, value: u128) -> bool {
    let Ok(short) = u32::try_from(value) else { return name == "governance_deposit" && set_deposit(parameters, value) };
    match name {
        "slash_reward_bp" if value <= 5_000 => parameters.slash_reward_bp = short,
        "commission_step_bp" if value <= 10_000 => parameters.commission_step_bp = short,
        "governance_epochs" if (1..=10_000).contains(&value) => parameters.governance_epochs = short.into(),
        "governance_quorum_bp" if (1..=6_667).contains(&value) => parameters.governance_quorum_bp = short,
        "governance_threshold_bp" if (5_000..=9_000).contains(&value) => parameters.governance_threshold_bp = short,
        "governance_veto_bp" if (1_000..=10_000).contains(&value) => parameters.governance_veto_bp = short,
        "governance_deposit" => return set_deposit(parameters, value),
        _ => return false,
    }
    true
}

fn set_deposit(parameters: &mut Parameters, value: u128) -> bool {
    let is_possible = value <= SUPPLY / 1_000;
    if is_possible {
        parameters.governance_deposit = Amount(value);
    }
    is_possible
}

impl Records {
    /// Counts the proposals whose last epoch ends, and carries out what is carried. All are judged by the rules that the epoch ends with.
    pub(super) fn close_proposals(&mut self, events: &mut Events) {
        let (over, rules) = (self.epoch.number, self.parameters.clone());
        let is_due = |number: &u64| self.proposals.get(number).is_some_and(|proposal| proposal.until <= over);
        for number in self.agenda.open.clone().into_iter().filter(is_due).collect::<Vec<_>>() {
            let (votes, total) = self.tally(number);
            let mut proposal = self.proposals[&number].clone();
            (proposal.votes, proposal.total, proposal.outcome) = (votes.map(Amount), Amount(total), decide(&rules, votes, total));
            let deposit = proposal.deposit.0;
            self.pools.governance.0 -= deposit;
            match proposal.outcome {
                Outcome::Vetoed => self.pools.burned.0 += deposit,
                Outcome::Open | Outcome::Carried | Outcome::Quorum | Outcome::Rejected | Outcome::Failed(_) => self.give(&proposal.proposer, deposit),
            }
            if proposal.outcome == Outcome::Carried {
                let mut done = self.clone();
                if done.carry_out(&proposal.actions).is_some() {
                    *self = done;
                } else {
                    proposal.outcome = Outcome::Failed(String::new());
                }
            }
            events.close(&proposal);
            self.proposals.insert(number, proposal);
            self.agenda.open.retain(|open| *open != number);
        }
        self.tidy();
    }

    /// Wei of each choice, and of all who could have voted.
    fn tally(&self, number: u64) -> ([u128; 4], u128) {
        let (mut votes, mut total) = ([0; 4], 0);
        let alive =
            |operator: &Address| self.validators.get(operator).filter(|validator| !matches!(validator.status, chain::staking::Status::Tombstoned { .. }));
        for validator in self.voters.iter().filter_map(|voter| alive(&voter.operator)) {
            let (stake, mut rest) = (validator.stake.0, validator.stake.0);
            for (place, choice) in CHOICES.into_iter().enumerate() {
                let chosen = self.votes.iter().filter(|((of, _), (how, _))| (*of, *how) == (number, choice)).flat_map(|(_, (_, with))| with);
                let shares = chosen.filter(|(of, _)| *of == validator.operator).map(|(_, shares)| shares).sum();
                let wei = down(shares, stake, validator.shares).min(rest);
                votes[place] += wei;
                rest -= wei;
            }
            let own = self.votes.get(&(number, validator.operator)).and_then(|(how, _)| CHOICES.iter().position(|choice| choice == how));
            own.into_iter().for_each(|place| votes[place] += rest);
            total += stake;
        }
        (votes, total)
    }

    /// Parameters first, then money; `None` if an action is not possible.
    fn carry_out(&mut self, actions: &[Action]) -> Option<()> {
        for action in actions {
            if let Action::SetParameter { name, value } = action {
                change(&mut self.parameters, name, *value).then_some(())?;
            }
        }
        for action in actions {
            match action {
                Action::SetParameter { .. } => {}
                Action::Spend { to, amount } => {
                    self.pools.community.0 = self.pools.community.0.checked_sub(amount.0)?;
                    self.give(to, amount.0);
                }
                // Nobody has applied, and the one who is there stays.
                Action::AdmitMeta { .. } | Action::RemoveMeta { .. } => return None,
            }
        }
        Some(())
    }
}

fn decide(rules: &Parameters, [yes, no, abstain, veto]: [u128; 4], total: u128) -> Outcome {
    let part = |of: u128, bp: u32| of * u128::from(bp) / 10_000;
    let (cast, quorum) = (yes + no + abstain + veto, part(total, rules.governance_quorum_bp));
    match () {
        () if veto > part(cast.max(quorum), rules.governance_veto_bp) => Outcome::Vetoed,
        () if cast == 0 || cast < quorum => Outcome::Quorum,
        () if yes > part(cast - abstain, rules.governance_threshold_bp) => Outcome::Carried,
        () => Outcome::Rejected,
    }
}
