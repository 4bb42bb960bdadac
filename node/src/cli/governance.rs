//! `gov parameters|list|show|propose|vote|donate`, `registry ballots|vote|top-up|move|leave|withdraw`: who decides what, and who is in the registries.

use chain::ballots::Motion;
use chain::governance::{Action, Choice, Outcome};
use chain::pools::Fund;
use chain::transaction::{ADDRESSES_MAX, Message};
use primitives::{Address, Amount, units};

use super::args::{Change, FundName, Gov, How, Opinion, Party, Registry, Seat};
use super::failure::Failure;
use super::money::printable;
use super::output::{self, Align};
use super::{Context, money, staking};
use crate::http::views;

/// Runs `gov`.
///
/// # Errors
/// [`Failure`] if the node refuses, there is no such proposal, or the transaction cannot be paid or fails.
pub fn gov(command: &Gov, context: &Context) -> Result<(), Failure> {
    match command {
        Gov::Parameters { at } => {
            let parameters: Vec<views::Parameter> = context.node.get(&at.of("/v1/parameters"))?;
            output::print(context.json, &parameters, || {
                let columns = [("parameter", Align::Left), ("value", Align::Right), ("unit", Align::Left), ("least", Align::Right), ("most", Align::Right)];
                let rows: Vec<_> = parameters
                    .iter()
                    .map(|one| [one.name.clone(), output::grouped(one.value), one.unit.clone(), output::grouped(one.min), output::grouped(one.max)])
                    .collect();
                output::table(columns, &rows)
            })
        }
        Gov::List { limit } => {
            let proposals: Vec<views::Proposal> = context.node.get(&format!("/v1/proposals?limit={limit}"))?;
            output::print(context.json, &proposals, || listed(&proposals))
        }
        Gov::Show { proposal, at } => {
            let proposal: views::Proposal = context.node.get(&at.of(&format!("/v1/proposals/{proposal}")))?;
            output::print(context.json, &proposal, || shown(&proposal))
        }
        Gov::Propose { title, text, set, spend, admit_meta, remove_meta, how } => {
            let mut actions: Vec<Action> = set.iter().map(|Change { name, value }| Action::SetParameter { name: name.clone(), value: *value }).collect();
            for (to, amount) in spend.iter().map(|spend| (&spend.0, spend.1)) {
                actions.push(Action::Spend { to: context.account(Some(to))?, amount });
            }
            for operator in admit_meta {
                actions.push(Action::AdmitMeta { operator: context.registered(operator)? });
            }
            for operator in remove_meta {
                actions.push(Action::RemoveMeta { operator: context.registered(operator)? });
            }
            let deposit = Amount(context.parameter("governance_deposit")?);
            let message = Message::Propose { title: title.clone(), text: text.clone(), actions };
            staking::send(
                context,
                how,
                deposit,
                |_, _| Ok(vec![message]),
                |_, is_final| {
                    let verb = if is_final { "made" } else { "making" };
                    format!("{verb} a proposal for a deposit of {}; `stratos gov list` shows its number", deposit.to_stos())
                },
            )
        }
        Gov::Donate { amount: Amount::ZERO, .. } => Err(Failure::misused("nothing to give: the amount is 0")),
        Gov::Donate { fund, amount, how } => {
            let (fund, amount) = (Fund::from(*fund), *amount);
            let message = Message::Donate { fund, amount };
            staking::send(
                context,
                how,
                amount,
                |_, _| Ok(vec![message]),
                |_, is_final| format!("{} {} to {}", if is_final { "gave" } else { "giving" }, amount.to_stos(), self::fund(fund)),
            )
        }
        Gov::Vote { proposal, opinion, with, how } => {
            let validators = with.iter().map(|validator| context.validator(validator)).collect::<Result<Vec<_>, _>>()?;
            let (proposal, choice) = (*proposal, Choice::from(*opinion));
            let message = Message::VoteProposal { proposal, choice, validators };
            staking::send(
                context,
                how,
                Amount::ZERO,
                |_, _| Ok(vec![message]),
                |_, is_final| format!("{} {} on proposal {proposal}", if is_final { "voted" } else { "voting" }, self::choice(choice)),
            )
        }
    }
}

/// Runs `registry`.
///
/// # Errors
/// As [`gov`].
pub fn registry(command: &Registry, context: &Context) -> Result<(), Failure> {
    match command {
        Registry::Ballots { at } => {
            let ballots: Vec<views::Ballot> = context.node.get(&at.of("/v1/ballots"))?;
            output::print(context.json, &ballots, || {
                let columns = [("ballot", Align::Left), ("votes", Align::Right), ("opened", Align::Right), ("until", Align::Right)];
                let row = |ballot: &views::Ballot| {
                    let votes = format!("{} of {}", ballot.votes.len(), ballot.active);
                    [money::motion(&ballot.vote), votes, ballot.opened.to_string(), ballot.until.to_string()]
                };
                if ballots.is_empty() { "no ballot is open\n".into() } else { output::table(columns, &ballots.iter().map(row).collect::<Vec<_>>()) }
            })
        }
        Registry::Vote { seat, who, how } => {
            let motion = match seat {
                Seat::Admit => Motion::Admit,
                Seat::Expel => Motion::Expel,
                Seat::Suspend => Motion::Suspend,
                Seat::Resume => Motion::Resume,
            };
            vote_on(motion, who, how, context)
        }
        Registry::TopUp { amount: Amount::ZERO, .. } => Err(Failure::misused("nothing to add: the amount is 0")),
        Registry::TopUp { amount, how } => {
            let done = format!(" {} to the deposit of the node", amount.to_stos());
            sent(context, how, *amount, Message::TopUpDeposit { amount: *amount }, "added", &done)
        }
        Registry::Move { addresses, how } => {
            check_count(addresses)?;
            let done = format!(" the node to {}", addresses.join(", "));
            sent(context, how, Amount::ZERO, Message::MoveNode { addresses: addresses.clone() }, "moved", &done)
        }
        Registry::Leave { how } => leave(how, context, |_| Ok(())),
        Registry::Withdraw { how } => sent(context, how, Amount::ZERO, Message::WithdrawDeposit, "withdrew", " the deposit of the node"),
    }
}

/// Votes, as the operator of a meta node, on what shall become of a node.
pub(super) fn vote_on(motion: impl FnOnce(Address) -> Motion, who: &Party, how: &How, context: &Context) -> Result<(), Failure> {
    let motion = motion(context.registered(who)?);
    let done = format!(" to {}; it is counted when the epoch ends", money::motion(&motion));
    sent(context, how, Amount::ZERO, Message::VoteMeta { motion }, "voted", &done)
}

/// Takes the payer's node out of its registry, if `check` finds that it is the one that is meant.
pub(super) fn leave(how: &How, context: &Context, check: impl FnOnce(Address) -> Result<(), Failure>) -> Result<(), Failure> {
    let message = |_: &views::Status, operator| check(operator).map(|()| vec![Message::LeaveRegistry]);
    staking::send(context, how, Amount::ZERO, message, |account, is_final| done(account, is_final, "left", " the registry; the deposit can be withdrawn later"))
}

pub(super) fn sent(context: &Context, how: &How, spends: Amount, message: Message, verb: &str, rest: &str) -> Result<(), Failure> {
    staking::send(context, how, spends, |_, _| Ok(vec![message]), |account, is_final| done(account, is_final, verb, rest))
}

fn done(account: Address, is_final: bool, verb: &str, rest: &str) -> String {
    format!("{account} {}{verb}{rest}", if is_final { "" } else { "asked to have " })
}

impl Context {
    /// The operator of a node of the registries that is meant: by the name that the node knows it by, else as any account.
    pub(super) fn registered(&self, who: &Party) -> Result<Address, Failure> {
        if let Party::Name(name) = who {
            let nodes = self.nodes()?;
            let named = nodes.meta.iter().map(|meta| (&meta.name, meta.address));
            let mut named = named.chain(nodes.resource.iter().map(|node| (&node.name, node.address)));
            if let Some((_, address)) = named.find(|(known, _)| known.as_str() == name.as_str()) {
                return Ok(address);
            }
        }
        self.account(Some(who))
    }

    /// A parameter as it is now, in its unit.
    pub(super) fn parameter(&self, name: &str) -> Result<u128, Failure> {
        let parameters: Vec<views::Parameter> = self.node.get("/v1/parameters")?;
        let value = parameters.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.value);
        value.ok_or_else(|| Failure::refused(format!("the node knows no parameter `{name}`")))
    }
}

/// A node has a place for so many network addresses.
pub(super) fn check_count(addresses: &[String]) -> Result<(), Failure> {
    match addresses.len() {
        0..=ADDRESSES_MAX => Ok(()),
        found => Err(Failure::misused(format!("{found} network addresses; a node has at most {ADDRESSES_MAX}"))),
    }
}

/// What is given to, as people say it.
pub fn fund(fund: Fund) -> &'static str {
    match fund {
        Fund::Community => "the community pool",
        Fund::Reserve => "the reserve of mining rewards",
    }
}

impl From<FundName> for Fund {
    fn from(name: FundName) -> Self {
        match name {
            FundName::Community => Self::Community,
            FundName::Reserve => Self::Reserve,
        }
    }
}

/// How somebody votes, in a word.
pub fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Yes => "yes",
        Choice::No => "no",
        Choice::Abstain => "abstain",
        Choice::Veto => "veto",
    }
}

impl From<Opinion> for Choice {
    fn from(opinion: Opinion) -> Self {
        match opinion {
            Opinion::Yes => Self::Yes,
            Opinion::No => Self::No,
            Opinion::Abstain => Self::Abstain,
            Opinion::Veto => Self::Veto,
        }
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Open => "open".into(),
        Outcome::Carried => "carried".into(),
        Outcome::Quorum => "too few voted".into(),
        Outcome::Rejected => "rejected".into(),
        Outcome::Vetoed => "vetoed".into(),
        Outcome::Failed(cause) => format!("carried, and not possible: {}", printable(cause)),
    }
}

/// A part of all stake, in percent.
fn share(part: Amount, total: Amount) -> String {
    let bp = units::mul_div(part.0, units::BASIS_POINTS.into(), total.0).unwrap_or(0);
    staking::percent(u32::try_from(bp).unwrap_or(u32::MAX))
}

fn listed(proposals: &[views::Proposal]) -> String {
    if proposals.is_empty() {
        return "no proposal was made yet\n".into();
    }
    let columns = [
        ("proposal", Align::Right),
        ("title", Align::Left),
        ("until", Align::Right),
        ("yes", Align::Right),
        ("no", Align::Right),
        ("abstain", Align::Right),
        ("veto", Align::Right),
        ("outcome", Align::Left),
    ];
    let row = |one: &views::Proposal| {
        let part = |part| share(part, one.total_wei);
        let votes = (part(one.yes_wei), part(one.no_wei), part(one.abstain_wei), part(one.veto_wei));
        [one.number.to_string(), printable(&one.title), one.until.to_string(), votes.0, votes.1, votes.2, votes.3, outcome(&one.outcome)]
    };
    output::table(columns, &proposals.iter().map(row).collect::<Vec<_>>())
}

fn shown(proposal: &views::Proposal) -> String {
    let part = |part: Amount| format!("{} ({})", part.to_stos(), share(part, proposal.total_wei));
    let mut fields = vec![
        ("proposal", proposal.number.to_string()),
        ("title", printable(&proposal.title)),
        ("text", printable(&proposal.text)),
        ("proposer", proposal.proposer.to_string()),
        ("deposit", proposal.deposit_wei.to_stos()),
        ("made in", format!("epoch {}", proposal.since)),
        ("votes until", format!("the end of epoch {}", proposal.until)),
        ("outcome", outcome(&proposal.outcome)),
        ("yes", part(proposal.yes_wei)),
        ("no", part(proposal.no_wei)),
        ("abstain", part(proposal.abstain_wei)),
        ("veto", part(proposal.veto_wei)),
    ];
    fields.extend(proposal.actions.iter().map(|action| {
        let what = match action {
            Action::SetParameter { name, value } => format!("set {} to {}", printable(name), output::grouped(*value)),
            Action::Spend { to, amount } => format!("pay {} from the community pool to {to}", amount.to_stos()),
            Action::AdmitMeta { operator } => format!("admit {operator} to the meta nodes"),
            Action::RemoveMeta { operator } => format!("remove the meta node of {operator}"),
        };
        ("action", what)
    }));
    output::fields(&fields)
}
