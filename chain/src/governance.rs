//! Governance: stake decides on parameters, on the community pool, and against meta nodes.
//!
//! Keys: `7 g` the open proposals and the next number; `7 q number` a proposal; `7 v account` an account's votes on open proposals; `7 w validator` what
//! delegators of a validator vote for themselves. Transactions: `Propose`, `VoteProposal`. End of epoch: proposals whose time is over are counted and carried out.
//!
//! 1. Anybody proposes up to [`ACTIONS_MAX`] actions with a deposit of [`Parameters::governance_deposit`]. At most [`OPEN_MAX`] proposals are open at once.
//! 2. For [`Parameters::governance_epochs`] epochs after the one in which it was made, those vote whose stake is with the validators of the current set. A
//!    validator votes for all stake with it, but for that of delegators who vote themselves: a delegator names the validators whose stake of its own it votes
//!    with. Whoever votes again replaces its vote.
//! 3. When the last of these epochs ends, the stake is counted as it is then. A delegator's vote counts for the shares that it had when it voted, or for those
//!    that it still has if they are fewer, so nobody votes with the same stake twice by moving it. What moved from another validator and is still bound votes
//!    with its new validator.
//! 4. A proposal is carried if [`Parameters::governance_quorum_bp`] of all that stake voted, more than [`Parameters::governance_threshold_bp`] of the votes
//!    without abstentions are for it, and at most [`Parameters::governance_veto_bp`] of the votes are vetoes. Its actions take effect at once, all or none. The
//!    deposit is returned, or burned if it was vetoed.
//!
//! Counting reads two records for each validator of the set, however many vote. Source of the rules: the original network's `x/gov` (Cosmos SDK), whose count walks
//! over all delegations.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::units::{BASIS_POINTS, mul_div};
use primitives::{Address, Amount, Epoch};
use serde::{Deserialize, Serialize};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::mutants::{self, Mutant};
use crate::parameters::{ParameterError, Parameters};
use crate::pools::{self, MoveError, Pool};
use crate::staking::{self, delegation};
use crate::{epochs, market, meta_registry};

/// Actions of one proposal.
pub const ACTIONS_MAX: usize = 8;
/// Proposals that are open at once.
pub const OPEN_MAX: usize = 16;
/// Bytes of a proposal's title.
pub const TITLE_BYTES_MAX: usize = 128;
/// Bytes of a proposal's text.
pub const TEXT_BYTES_MAX: usize = 2_048;
/// Validators that one vote of a delegator names.
pub const NAMED_MAX: usize = 16;
/// Bytes of a parameter's name.
const NAME_BYTES_MAX: usize = 64;
/// Ways to vote.
const CHOICES: usize = 4;

/// Something that a proposal does.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Change a parameter ([`crate::parameters::FIELDS`]).
    SetParameter {
        /// Its name.
        name: String,
        /// What it becomes, in its unit.
        #[serde(with = "wide")]
        value: u128,
    },
    /// Pay from the community pool.
    Spend {
        /// Who receives.
        to: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Let an applicant become a meta node when none is left that could vote for it; while any is active, they decide.
    AdmitMeta {
        /// Its operator.
        operator: Address,
    },
    /// Take a meta node out of the active set, or end its application: a veto against the meta nodes' own votes.
    RemoveMeta {
        /// Its operator.
        operator: Address,
    },
}

/// Numbers as text: readers of JSON keep 53 bits of its own.
pub mod wide {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// As digits.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Of digits.
    ///
    /// # Errors
    /// The deserializer's, for anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// How somebody votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Neither; counts for the quorum.
    Abstain,
    /// Against it and its proposer, who loses the deposit if enough say so.
    Veto,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "cause", rename_all = "snake_case")]
pub enum Outcome {
    /// It can be voted on.
    Open,
    /// Its actions took effect.
    Carried,
    /// Too few voted.
    Quorum,
    /// Too few were for it.
    Rejected,
    /// Too many were against its being proposed at all.
    Vetoed,
    /// It was carried, and an action was not possible: none took effect.
    Failed(String),
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// Who made it.
    pub proposer: Address,
    /// What it is called.
    pub title: String,
    /// Why.
    pub text: String,
    /// What it does.
    pub actions: Vec<Action>,
    /// What was paid for it, in wei.
    pub deposit: Amount,
    /// The epoch in which it was made.
    pub since: Epoch,
    /// The last epoch in which votes count.
    pub until: Epoch,
    /// What became of it.
    pub outcome: Outcome,
    /// Stake that voted yes, no, abstained and vetoed, in wei; 0 while it is open.
    pub votes: [Amount; CHOICES],
    /// All stake that could have voted, in wei; 0 while it is open.
    pub total: Amount,
}

/// Which proposals there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Agenda {
    /// The number of the next proposal.
    pub next: u64,
    /// The open ones, in the order in which they were made.
    pub open: Vec<u64>,
}

/// An account's vote on one proposal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// The proposal.
    pub proposal: u64,
    /// How.
    pub choice: Choice,
    /// With which shares of which validators' stake; none if it votes for its validator alone.
    pub with: Vec<(Address, u128)>,
}

/// Shares of a validator's stake that vote for themselves on one proposal, by choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Apart {
    /// The proposal.
    pub proposal: u64,
    /// Shares.
    pub shares: [u128; CHOICES],
}

/// Why a proposal or a vote is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GovernanceError {
    /// Too long.
    #[error("{what}: {found}; at most {limit} are possible")]
    Limit {
        /// What.
        what: &'static str,
        /// How much.
        found: usize,
        /// How much is possible.
        limit: usize,
    },
    /// A parameter that does not exist, or a value that is out of its range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// Nothing is spent.
    #[error("an action that spends 0 wei")]
    Nothing,
    /// No such proposal, or it is over.
    #[error("proposal {0} is not open")]
    NotOpen(u64),
    /// The voter has nothing there.
    #[error("{voter} has no stake of its own with the validator of {validator} that could vote")]
    Stake {
        /// Who votes.
        voter: Address,
        /// The validator.
        validator: Address,
    },
    /// The voter names nobody and operates no validator.
    #[error("{0} operates no validator: name the validators with whose stake you vote")]
    Nobody(Address),
    /// A validator is named twice, or the voter's own, for which it votes anyway.
    #[error("the validator of {0} is named twice, or is the voter's own")]
    Twice(Address),
    /// The proposer cannot pay the deposit.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// Which proposals there are.
pub fn agenda(state: &impl Read) -> Agenda {
    keys::read(state, &keys::agenda()).unwrap_or_default()
}

/// A proposal.
pub fn proposal(state: &impl Read, number: u64) -> Option<Proposal> {
    keys::read(state, &keys::proposal(number))
}

/// An account's votes on proposals that are open, or were when it voted last.
pub fn votes(state: &impl Read, voter: &Address) -> Vec<Vote> {
    keys::read(state, &keys::votes(voter)).unwrap_or_default()
}

/// What delegators of a validator vote for themselves.
fn apart(state: &impl Read, validator: &Address) -> Vec<Apart> {
    keys::read(state, &keys::votes_apart(validator)).unwrap_or_default()
}

/// Where a choice stands in [`Apart::shares`].
pub(crate) const fn index(choice: Choice) -> usize {
    match choice {
        Choice::Yes => 0,
        Choice::No => 1,
        Choice::Abstain => 2,
        Choice::Veto => 3,
    }
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), GovernanceError> {
    if found <= limit { Ok(()) } else { Err(GovernanceError::Limit { what, found, limit }) }
}

/// Makes a proposal and takes its deposit.
///
/// # Errors
/// [`GovernanceError`]; nothing changes then.
pub fn propose(state: &mut Overlay, proposer: &Address, title: &str, text: &str, actions: &[Action]) -> Result<Event, GovernanceError> {
    within("bytes of a title", title.len(), TITLE_BYTES_MAX)?;
    within("bytes of a text", text.len(), TEXT_BYTES_MAX)?;
    within("actions", actions.len(), ACTIONS_MAX)?;
    let mut parameters = Parameters::read(state);
    for action in actions {
        match action {
            Action::SetParameter { name, value } => {
                within("bytes of a parameter's name", name.len(), NAME_BYTES_MAX)?;
                parameters.set(name, *value)?;
            }
            Action::Spend { amount: Amount::ZERO, .. } => return Err(GovernanceError::Nothing),
            Action::Spend { .. } | Action::AdmitMeta { .. } | Action::RemoveMeta { .. } => {}
        }
    }
    parameters.check()?;
    let mut agenda = agenda(state);
    within("open proposals", agenda.open.len().saturating_add(1), OPEN_MAX)?;
    let Parameters { governance_deposit: deposit, governance_epochs, .. } = Parameters::read(state);
    pools::pay_in(state, proposer, Pool::Governance, deposit)?;
    let (number, since) = (agenda.next, epochs::current(state).number);
    agenda.next = number.saturating_add(1);
    agenda.open.push(number);
    keys::write(state, &keys::agenda(), &agenda);
    let proposal = Proposal {
        proposer: *proposer,
        title: title.to_owned(),
        text: text.to_owned(),
        actions: actions.to_vec(),
        deposit,
        since,
        until: since.saturating_add(Epoch(governance_epochs)),
        outcome: Outcome::Open,
        votes: [Amount::ZERO; CHOICES],
        total: Amount::ZERO,
    };
    keys::write(state, &keys::proposal(number), &proposal);
    Ok(Event::Proposed { proposal: number, proposer: *proposer, deposit })
}

/// Votes on an open proposal: for the sender's validator, and with its own stake with the validators that it names.
///
/// # Errors
/// [`GovernanceError`]; nothing changes then.
pub fn vote(state: &mut Overlay, voter: &Address, number: u64, choice: Choice, validators: &[Address]) -> Result<Event, GovernanceError> {
    let open = agenda(state).open;
    if !open.contains(&number) {
        return Err(GovernanceError::NotOpen(number));
    }
    within("validators in a vote", validators.len(), NAMED_MAX)?;
    if validators.is_empty() && staking::read(state, voter).is_none() {
        return Err(GovernanceError::Nobody(*voter));
    }
    let mut with: Vec<(Address, u128)> = Vec::with_capacity(validators.len());
    for validator in validators {
        if validator == voter || with.iter().any(|(named, _)| named == validator) {
            return Err(GovernanceError::Twice(*validator));
        }
        let shares = delegation::read(state, validator, voter).shares;
        if shares == 0 {
            return Err(GovernanceError::Stake { voter: *voter, validator: *validator });
        }
        with.push((*validator, shares));
    }
    let mut votes = votes(state, voter);
    if let Some(before) = votes.iter().find(|vote| vote.proposal == number) {
        for (validator, shares) in before.with.clone() {
            set_apart(state, &open, &validator, number, before.choice, |sum| sum.saturating_sub(shares));
        }
    }
    for (validator, shares) in &with {
        set_apart(state, &open, validator, number, choice, |sum| sum.saturating_add(*shares));
    }
    votes.retain(|vote| vote.proposal != number && open.contains(&vote.proposal));
    votes.push(Vote { proposal: number, choice, with });
    keys::write(state, &keys::votes(voter), &votes);
    Ok(Event::ProposalVoted { proposal: number, voter: *voter, choice })
}

/// Changes what delegators of a validator vote for themselves; what is said of proposals that are over is dropped.
fn set_apart(state: &mut Overlay, open: &[u64], validator: &Address, number: u64, choice: Choice, change: impl FnOnce(u128) -> u128) {
    let mut list = apart(state, validator);
    list.retain(|apart| open.contains(&apart.proposal));
    let at = list.iter().position(|apart| apart.proposal == number).unwrap_or_else(|| {
        list.push(Apart { proposal: number, shares: [0; CHOICES] });
        list.len().saturating_sub(1)
    });
    if let Some(sum) = list.get_mut(at).and_then(|apart| apart.shares.get_mut(index(choice))) {
        *sum = change(*sum);
    }
    keys::write(state, &keys::votes_apart(validator), &list);
}

/// An account has `shares` of a validator's stake from now on: it votes with no more.
pub(crate) fn shares_changed(state: &mut Overlay, validator: &Address, delegator: &Address, shares: u128) {
    let mut list = votes(state, delegator);
    if list.is_empty() || mutants::is(Mutant::VotesOfTheGone) {
        return;
    }
    let open = agenda(state).open;
    let mut has_changed = false;
    for vote in list.iter_mut().filter(|vote| open.contains(&vote.proposal)) {
        for (_, counted) in vote.with.iter_mut().filter(|(named, counted)| named == validator && *counted > shares) {
            let lost = counted.saturating_sub(shares);
            *counted = shares;
            set_apart(state, &open, validator, vote.proposal, vote.choice, |sum| sum.saturating_sub(lost));
            has_changed = true;
        }
    }
    if has_changed {
        keys::write(state, &keys::votes(delegator), &list);
    }
}

/// End of epoch `over`: counts the proposals that it was the last for, and carries out what is carried.
pub(crate) fn end_epoch(state: &mut Overlay, over: Epoch) -> Vec<Event> {
    let mut agenda = agenda(state);
    // What one proposal changes does not count for another of the same epoch.
    let (mut events, open, rules) = (Vec::new(), agenda.open.clone(), Parameters::read(state));
    for number in open {
        let Some(mut proposal) = proposal(state, number).filter(|proposal| proposal.until <= over) else { continue };
        (proposal.votes, proposal.total) = count(state, number);
        proposal.outcome = decide(&rules, proposal.votes, proposal.total);
        let deposit = if proposal.outcome == Outcome::Vetoed && !mutants::is(Mutant::VetoedForFree) {
            pools::transfer(state, Pool::Governance, Pool::Burned, proposal.deposit)
        } else {
            pools::pay_out(state, Pool::Governance, &proposal.proposer, proposal.deposit)
        };
        deposit.expect("the pool of governance holds the deposits of open proposals (CHAIN-13)");
        if proposal.outcome == Outcome::Carried {
            let before = state.checkpoint();
            match carry_out(state, &proposal.actions) {
                Ok(done) => events.extend(done),
                Err(cause) => {
                    state.rollback(before);
                    proposal.outcome = Outcome::Failed(cause);
                }
            }
        }
        agenda.open.retain(|other| *other != number);
        keys::write(state, &keys::proposal(number), &proposal);
        events.push(Event::ProposalClosed { proposal: number, proposer: proposal.proposer, outcome: proposal.outcome, deposit: proposal.deposit });
        keys::write(state, &keys::agenda(), &agenda);
    }
    events
}

/// Ends all open proposals without a decision, as a chain that another continues does; their proposers get the deposits back. Gives their numbers.
pub(crate) fn dissolve(state: &mut Overlay) -> Vec<u64> {
    let mut agenda = agenda(state);
    let open = std::mem::take(&mut agenda.open);
    for number in &open {
        let Some(mut proposal) = proposal(state, *number) else { continue };
        pools::pay_out(state, Pool::Governance, &proposal.proposer, proposal.deposit)
            .expect("the pool of governance holds the deposits of open proposals (CHAIN-13)");
        proposal.outcome = Outcome::Failed("the chain ended before it was counted".into());
        keys::write(state, &keys::proposal(*number), &proposal);
    }
    keys::write(state, &keys::agenda(), &agenda);
    open
}

/// The stake that votes as of now, by choice, and all that could.
pub fn count(state: &impl Read, number: u64) -> ([Amount; CHOICES], Amount) {
    let (mut votes, mut total) = ([Amount::ZERO; CHOICES], Amount::ZERO);
    let mut add = |at: usize, amount: Amount| {
        if let Some(sum) = votes.get_mut(at) {
            *sum = sum.saturating_add(amount);
        }
    };
    for voter in staking::validators(state) {
        let Some(validator) = staking::read(state, &voter.operator).filter(|validator| !matches!(validator.status, staking::Status::Tombstoned { .. })) else {
            continue;
        };
        total = total.saturating_add(validator.stake);
        let shares = apart(state, &voter.operator).into_iter().find(|apart| apart.proposal == number).map_or([0; CHOICES], |apart| apart.shares);
        let mut rest = validator.stake;
        for (at, shares) in shares.into_iter().enumerate() {
            let stake = delegation::worth(shares, validator.stake, validator.shares).min(rest);
            rest = rest.saturating_sub(stake);
            add(at, stake);
        }
        if let Some(vote) = self::votes(state, &voter.operator).into_iter().find(|vote| vote.proposal == number) {
            add(index(vote.choice), rest);
        }
    }
    (votes, total)
}

/// What becomes of a proposal.
fn decide(parameters: &Parameters, votes: [Amount; CHOICES], total: Amount) -> Outcome {
    let [yes, no, abstain, veto] = votes;
    // A veto counts also where too few voted for anything else: a proposal that nobody cares about must not be free.
    let cast = [yes, no, abstain, veto].into_iter().fold(Amount::ZERO, Amount::saturating_add);
    // Parts of a sum of stakes, rounded down, in both comparisons.
    let part = |of: Amount, bp: u32| Amount(mul_div(of.0, bp.into(), BASIS_POINTS.into()).unwrap_or(u128::MAX));
    let quorum = part(total, parameters.governance_quorum_bp);
    if veto > part(cast.max(quorum), parameters.governance_veto_bp) {
        Outcome::Vetoed
    } else if cast == Amount::ZERO || cast < quorum {
        Outcome::Quorum
    } else if yes > part(cast.saturating_sub(abstain), parameters.governance_threshold_bp) {
        Outcome::Carried
    } else {
        Outcome::Rejected
    }
}

/// Carries out all actions, in their order; the parameters are changed together, and first.
fn carry_out(state: &mut Overlay, actions: &[Action]) -> Result<Vec<Event>, String> {
    let (mut parameters, mut events) = (Parameters::read(state), Vec::with_capacity(actions.len()));
    for action in actions {
        if let Action::SetParameter { name, value } = action {
            let before = parameters.set(name, *value).map_err(|error| error.to_string())?;
            events.push(Event::ParameterSet { name: name.clone(), before, after: *value });
        }
    }
    if !events.is_empty() {
        parameters.check().map_err(|error| error.to_string())?;
        keys::write(state, &keys::parameters(), &parameters);
        market::offer_again(state);
    }
    for action in actions {
        events.push(match action {
            Action::SetParameter { .. } => continue,
            Action::Spend { to, amount } => {
                pools::pay_out(state, Pool::Community, to, *amount).map_err(|error| error.to_string())?;
                Event::CommunitySpent { to: *to, amount: *amount }
            }
            Action::AdmitMeta { operator } => {
                let active = meta_registry::active(state);
                if active > 0 {
                    return Err(format!("active meta nodes: {active}; they vote on who joins them, and stake does when none is left"));
                }
                meta_registry::admit(state, operator).ok_or_else(|| format!("{operator} has not applied for a seat among the meta nodes"))?
            }
            Action::RemoveMeta { operator } => {
                events.extend(meta_registry::leave(state, operator).map_err(|error| error.to_string())?);
                continue;
            }
        });
    }
    Ok(events)
}
