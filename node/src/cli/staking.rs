//! `validator list|show|create|commission|unjail`, `stake show|delegate|undelegate|redelegate|collect|withdraw`: who votes, and the coins behind them.

use chain::staking::Commission;
use chain::transaction::{MESSAGES_MAX, Message, VALIDATOR_POSSESSION_ROLE};
use primitives::{Address, Amount, Context as SigningContext, Epoch, SecretKey};

use super::args::{At, How, Party, Stake, Validator};
use super::failure::Failure;
use super::output::{self, Align};
use super::signer::Source;
use super::submit::{Sending, receipt};
use super::{Context, network, profile};
use crate::http::views::{self, TransactionState, ValidatorStatus};

/// Runs `validator`.
///
/// # Errors
/// [`Failure`] if the node refuses, there is no such validator or key, or the transaction cannot be paid or fails.
pub fn validator(command: &Validator, context: &Context) -> Result<(), Failure> {
    match command {
        Validator::List { at } => list(*at, context),
        Validator::Show { who, at } => show(who.as_ref(), *at, context),
        Validator::Delegators { who, limit, after, at } => delegators(who.as_ref(), *limit, *after, *at, context),
        Validator::Create { stake, commission, commission_max, consensus, consensus_file, how } => {
            let source = match (consensus, consensus_file) {
                (Some(name), _) => Source::Name(name),
                (None, Some(path)) => Source::File(path),
                (None, None) => return Err(Failure::misused("which key votes? give `--consensus NAME` or `--consensus-file FILE`")),
            };
            create(*stake, Commission { bp: *commission, max_bp: *commission_max }, &source, how, context)
        }
        Validator::Commission { commission, how } => {
            let bp = *commission;
            send(
                context,
                how,
                Amount::ZERO,
                |_, _| Ok(vec![Message::SetCommission { bp }]),
                |operator, is_final| format!("{operator} {} {} of what its delegators earn", if is_final { "keeps" } else { "asks to keep" }, percent(bp)),
            )
        }
        Validator::Unjail { how } => unjail(how, context),
    }
}

/// Runs `stake`.
///
/// # Errors
/// As [`validator`].
pub fn stake(command: &Stake, context: &Context) -> Result<(), Failure> {
    match command {
        Stake::Show { who, at } => {
            let stake: views::Stake = context.node.get(&at.of(&format!("/v1/accounts/{}/stake", context.account(who.as_ref())?)))?;
            output::print(context.json, &stake, || held(&stake))
        }
        Stake::Delegate { amount: Amount::ZERO, .. } => Err(Failure::misused("nothing to delegate: the amount is 0")),
        Stake::Delegate { validator, amount, how } => {
            let (validator, amount) = (context.validator(validator)?, *amount);
            if context.validator_of(validator)?.status == ValidatorStatus::Tombstoned {
                return Err(tombstoned(validator));
            }
            let message = Message::Delegate { validator, amount };
            send(
                context,
                how,
                amount,
                |_, _| Ok(vec![message]),
                |_, is_final| {
                    format!(
                        "{} {} to the validator of {validator}, counted from the next epoch on",
                        if is_final { "delegated" } else { "delegating" },
                        amount.to_stos()
                    )
                },
            )
        }
        Stake::Undelegate { amount: Some(Amount::ZERO), .. } => Err(Failure::misused("nothing to take out: the amount is 0")),
        Stake::Undelegate { validator, amount, how } => undelegate(context.validator(validator)?, *amount, how, context),
        Stake::Redelegate { amount: Some(Amount::ZERO), .. } => Err(Failure::misused("nothing to move: the amount is 0")),
        Stake::Redelegate { source, target, amount, how } => redelegate(context.validator(source)?, context.validator(target)?, *amount, how, context),
        Stake::Collect { validator, how } => collect(validator.as_ref().map(|validator| context.validator(validator)).transpose()?, how, context),
        Stake::Withdraw { validator, how } => withdraw(validator.as_ref().map(|validator| context.validator(validator)).transpose()?, how, context),
    }
}

impl Context {
    fn validators(&self) -> Result<Vec<views::Validator>, Failure> {
        self.node.get("/v1/validators")
    }

    fn stake(&self, account: Address) -> Result<views::Stake, Failure> {
        self.node.get(&format!("/v1/accounts/{account}/stake"))
    }

    fn validator_of(&self, operator: Address) -> Result<views::Validator, Failure> {
        let validator = self.node.get(&format!("/v1/validators/{operator}"));
        validator.map_err(|failure: Failure| failure.hint("`stratos validator list` shows the validators"))
    }

    /// The operator of the validator that is meant: by the name that the node knows it by, else as any account.
    pub(super) fn validator(&self, who: &Party) -> Result<Address, Failure> {
        if let Party::Name(name) = who
            && let Some(found) = self.validators()?.into_iter().find(|validator| validator.name == name.as_str())
        {
            return Ok(found.address);
        }
        self.account(Some(who))
    }

    /// The same; without a name, who signs.
    fn meant(&self, who: Option<&Party>) -> Result<Address, Failure> {
        who.map_or_else(|| self.account(None), |who| self.validator(who))
    }
}

/// Signs and sends `messages`, then says what `done` makes of the payer and of whether it is final.
pub(super) fn send(
    context: &Context,
    how: &How,
    spends: Amount,
    messages: impl FnOnce(&views::Status, Address) -> Result<Vec<Message>, Failure>,
    done: impl FnOnce(Address, bool) -> String,
) -> Result<(), Failure> {
    let status = context.status()?;
    let payer = context.payer(how, status.dev)?;
    let address = payer.address();
    let messages = messages(&status, address)?;
    let account = context.read_account(Some(&Party::Address(address)))?;
    let Some(transaction) = context.submit(Sending { payer, status, account, messages, spends }, how)? else { return Ok(()) };
    let is_final = transaction.state == TransactionState::Final;
    output::print(context.json, &transaction, || receipt(done(address, is_final), &transaction))
}

fn list(at: At, context: &Context) -> Result<(), Failure> {
    let validators: Vec<views::Validator> = context.node.get(&at.of("/v1/validators"))?;
    output::print(context.json, &validators, || {
        let columns = [
            ("name", Align::Left),
            ("known as", Align::Left),
            ("operator", Align::Left),
            ("status", Align::Left),
            ("power", Align::Right),
            ("stake", Align::Right),
            ("commission", Align::Right),
            ("signed", Align::Right),
            ("node", Align::Left),
            ("height", Align::Right),
        ];
        let rows: Vec<_> = validators
            .iter()
            .map(|validator| {
                [
                    named(&validator.name, &validator.address),
                    profile::called(validator.profile.as_ref()),
                    validator.address.to_string(),
                    status(validator),
                    if validator.weight == 0 { "-".into() } else { power(validator) },
                    output::stos(validator.stake_wei),
                    if validator.status == ValidatorStatus::Standby { "-".into() } else { percent(validator.commission_bp) },
                    validator.attendance.map_or_else(|| "-".into(), |seen| format!("{} of {}", seen.signed, seen.certificates)),
                    network::state(validator.state).into(),
                    validator.height.map_or_else(|| "-".into(), |height| height.to_string()),
                ]
            })
            .collect();
        output::table(columns, &rows)
    })
}

/// A name that is only the address says nothing beside it.
fn named(name: &str, address: &Address) -> String {
    if name == address.to_string() { "-".into() } else { name.to_owned() }
}

fn status(validator: &views::Validator) -> String {
    let until = |what: &str| validator.until.map_or_else(|| what.to_owned(), |until| format!("{what} until {until}"));
    match validator.status {
        ValidatorStatus::Active => "active".into(),
        ValidatorStatus::Candidate => "candidate".into(),
        ValidatorStatus::Jailed => until("jailed"),
        ValidatorStatus::Tombstoned => "tombstoned".into(),
        ValidatorStatus::Standby => "standby".into(),
    }
}

/// `33.33 %` of 3,333 basis points.
pub(super) fn percent(basis_points: u32) -> String {
    let decimals = format!("{:02}", basis_points % 100);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{}{point}{decimals} %", basis_points / 100)
}

/// The part of all votes; a small one is not none.
fn power(validator: &views::Validator) -> String {
    if validator.power_bp == 0 && validator.weight > 0 { "< 0.01 %".into() } else { percent(validator.power_bp) }
}

fn show(who: Option<&Party>, at: At, context: &Context) -> Result<(), Failure> {
    let operator = context.meant(who)?;
    let shown = context.node.get(&at.of(&format!("/v1/validators/{operator}")));
    let validator: views::Validator = shown.map_err(|failure: Failure| failure.hint("`stratos validator list` shows the validators"))?;
    output::print(context.json, &validator, || {
        let mut fields = vec![
            ("name", named(&validator.name, &validator.address)),
            ("operator", validator.address.to_string()),
            ("key", validator.key.to_string()),
            ("status", status(&validator)),
            ("stake", output::stos(validator.stake_wei)),
            ("votes", format!("{} ({})", output::grouped(validator.weight.into()), power(&validator))),
            ("commission", percent(validator.commission_bp)),
        ];
        if let Some(seen) = validator.attendance {
            fields.push((
                "this epoch",
                format!("signed {} of {} certificates, proposed {}, skipped {}", seen.signed, seen.certificates, seen.proposed, seen.skipped),
            ));
        }
        fields.push(("node", network::state(validator.state).into()));
        fields.extend(profile::fields(validator.profile.as_ref()));
        match (validator.status, validator.until) {
            (ValidatorStatus::Jailed, Some(until)) => fields.push(("next", format!("`stratos validator unjail` once epoch {until} is over"))),
            (ValidatorStatus::Tombstoned, Some(until)) => fields.push(("next", format!("its stake is slashed when epoch {until} ends"))),
            _ => {}
        }
        output::fields(&fields)
    })
}

/// Runs `validator delegators`.
fn delegators(who: Option<&Party>, limit: u32, after: Option<Address>, at: At, context: &Context) -> Result<(), Failure> {
    let operator = context.meant(who)?;
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    let found = context.node.get(&at.of(&format!("/v1/validators/{operator}/delegations?limit={limit}{after}")));
    let found: views::Delegations = found.map_err(|failure: Failure| failure.hint("`stratos validator list` shows the validators"))?;
    output::print(context.json, &found, || {
        if found.delegators.is_empty() {
            return format!("nobody{} has stake with {operator}", if after.is_empty() { "" } else { " else" });
        }
        let left = |delegation: &views::Delegation| delegation.leaving.iter().map(|left| left.amount_wei).fold(Amount::ZERO, Amount::saturating_add);
        let rows: Vec<_> = found
            .delegators
            .iter()
            .map(|views::Delegator { address, delegation }| {
                [address.to_string(), output::stos(delegation.stake_wei), output::stos(delegation.earned_wei), output::stos(left(delegation))]
            })
            .collect();
        let columns = [("delegator", Align::Left), ("stake", Align::Right), ("earned", Align::Right), ("taken out", Align::Right)];
        let more = found.next.map_or_else(String::new, |next| format!("\nthere are more: `--after {next}`"));
        output::table(columns, &rows) + &more
    })
}

/// The key that votes.
fn consensus_key(source: &Source, is_dev: bool, context: &Context) -> Result<SecretKey, Failure> {
    context.node_key(source, |name| {
        if !is_dev || !name.as_str().starts_with("validator-") {
            return Ok(false);
        }
        // A key without a node never votes, and is used up all the same.
        let is_there = context.validators()?.iter().any(|validator| validator.name == name.as_str());
        let missing = || Failure::refused(format!("no node is called {name}")).hint("`stratos validator list` shows the nodes that stand by");
        if is_there { Ok(true) } else { Err(missing()) }
    })
}

fn create(stake: Amount, commission: Commission, source: &Source, how: &How, context: &Context) -> Result<(), Failure> {
    if chain::staking::weight(stake) == 0 {
        return Err(Failure::misused(format!("a stake of {} weighs nothing; it takes at least 1 stos", stake.to_stos())));
    }
    if commission.bp > commission.max_bp {
        let (asked, limit) = (percent(commission.bp), percent(commission.max_bp));
        return Err(Failure::misused(format!("a commission of {asked} is above its own limit of {limit}")));
    }
    let messages = |status: &views::Status, operator: Address| {
        let secret = consensus_key(source, status.dev, context)?;
        let is_taken = |known: &&views::Validator| known.key == secret.public() && known.status != ValidatorStatus::Standby;
        if let Some(known) = context.validators()?.iter().find(is_taken) {
            return Err(Failure::refused(format!("the key {} is that of {}'s validator, and a key is used once", known.key, known.address)));
        }
        let possession = secret.sign(&SigningContext::new(VALIDATOR_POSSESSION_ROLE, status.genesis), &operator.0);
        Ok(vec![Message::CreateValidator { key: secret.public(), possession, stake, commission }])
    };
    send(context, how, stake, messages, |operator, is_final| {
        let verb = if is_final { "is a validator" } else { "becomes a validator" };
        format!("{operator} {verb} with a stake of {}; it votes from the next epoch on, if it weighs enough", stake.to_stos())
    })
}

fn unjail(how: &How, context: &Context) -> Result<(), Failure> {
    let messages = |status: &views::Status, operator: Address| {
        let validator = context.validator_of(operator)?;
        let current = status.epoch.number;
        match (validator.status, validator.until) {
            (ValidatorStatus::Jailed, Some(until)) if current <= until => {
                let text = format!("the validator of {operator} is jailed until epoch {until} is over; this is epoch {current}");
                Err(Failure::refused(text).hint("try again in the next epoch: `stratos node status` shows how long one is"))
            }
            (ValidatorStatus::Jailed, _) => Ok(vec![Message::Unjail]),
            (ValidatorStatus::Tombstoned, _) => Err(tombstoned(operator)),
            (ValidatorStatus::Active | ValidatorStatus::Candidate | ValidatorStatus::Standby, _) => {
                Err(Failure::refused(format!("the validator of {operator} is not jailed")))
            }
        }
    };
    send(context, how, Amount::ZERO, messages, |operator, is_final| {
        let verb = if is_final { "stands again: it votes from the next epoch on, if it weighs enough" } else { "asks to stand again" };
        format!("the validator of {operator} {verb}")
    })
}

fn tombstoned(operator: Address) -> Failure {
    Failure::refused(format!("the validator of {operator} is tombstoned and never votes again"))
}

fn undelegate(validator: Address, amount: Option<Amount>, how: &How, context: &Context) -> Result<(), Failure> {
    let status = context.status()?;
    let payer = context.payer(how, status.dev)?;
    let address = payer.address();
    let stake = context.stake(address)?;
    let worth = stake.delegations.iter().find(|delegation| delegation.validator == validator).map_or(Amount::ZERO, |delegation| delegation.stake_wei);
    let amount = amount.unwrap_or(worth);
    // Of a validator that was not asked the ledger knows better.
    if amount == Amount::ZERO || amount > worth && stake.is_complete {
        return Err(Failure::refused(format!("{address} has {} in the stake of the validator of {validator}", worth.to_stos()))
            .hint("`stratos stake show` shows what you have where"));
    }
    let account = context.read_account(Some(&Party::Address(address)))?;
    let messages = vec![Message::Undelegate { validator, amount }];
    let Some(transaction) = context.submit(Sending { payer, status, account, messages, spends: Amount::ZERO }, how)? else { return Ok(()) };
    let due = if transaction.state == TransactionState::Final { due_of(validator, context.stake(address)?) } else { None };
    output::print(context.json, &transaction, || {
        let when = due.map_or_else(String::new, |epoch| format!(", to be withdrawn from epoch {epoch} on"));
        receipt(format!("took {} out of the stake of the validator of {validator}{when}", amount.to_stos()), &transaction)
    })
}

fn redelegate(from: Address, to: Address, amount: Option<Amount>, how: &How, context: &Context) -> Result<(), Failure> {
    if from == to {
        return Err(Failure::misused(format!("the stake would stay where it is, with the validator of {from}")));
    }
    let messages = |_: &views::Status, account: Address| {
        let stake = context.stake(account)?;
        let held = stake.delegations.iter().find(|delegation| delegation.validator == from);
        let free = held.map_or(Amount::ZERO, |held| {
            let bound = held.moved.iter().filter(|moved| moved.free_epoch > stake.epoch).map(|moved| moved.amount_wei);
            held.stake_wei.saturating_sub(bound.fold(Amount::ZERO, Amount::saturating_add))
        });
        match amount.unwrap_or(free) {
            amount if amount == Amount::ZERO || amount > free && stake.is_complete => {
                let text = format!("{account} can move {} out of the stake of the validator of {from}", free.to_stos());
                Err(Failure::refused(text).hint("`stratos stake show` shows what you have where, and what moved there itself"))
            }
            amount => Ok(vec![Message::Redelegate { from, to, amount }]),
        }
    };
    send(context, how, Amount::ZERO, messages, |_, is_final| {
        format!("stake {} from the validator of {from} to that of {to}, counted from the next epoch on", if is_final { "moved" } else { "moves" })
    })
}

fn collect(validator: Option<Address>, how: &How, context: &Context) -> Result<(), Failure> {
    let messages = |_: &views::Status, account: Address| {
        if let Some(validator) = validator {
            return Ok(vec![Message::CollectReward { validator }]);
        }
        let stake = context.stake(account)?;
        let earned = stake.delegations.iter().filter(|delegation| delegation.earned_wei > Amount::ZERO).take(MESSAGES_MAX);
        let messages: Vec<Message> = earned.map(|delegation| Message::CollectReward { validator: delegation.validator }).collect();
        if messages.is_empty() {
            let text = format!("{account} has earned nothing with {} validators that were asked", stake.asked);
            return Err(Failure::refused(text).hint("rewards come when an epoch with traffic is settled; `stratos stake show` shows them"));
        }
        Ok(messages)
    };
    send(context, how, Amount::ZERO, messages, |account, is_final| format!("{} to {account} what its stake earned", if is_final { "paid" } else { "paying" }))
}

fn due_of(validator: Address, stake: views::Stake) -> Option<Epoch> {
    let delegation = stake.delegations.into_iter().find(|delegation| delegation.validator == validator)?;
    delegation.leaving.last().map(|leaving| leaving.due_epoch)
}

fn withdraw(validator: Option<Address>, how: &How, context: &Context) -> Result<(), Failure> {
    let messages = |_: &views::Status, account: Address| {
        if let Some(validator) = validator {
            return Ok(vec![Message::WithdrawUnbonded { validator }]);
        }
        let stake = context.stake(account)?;
        let due = stake.delegations.iter().filter(|delegation| delegation.due_wei > Amount::ZERO).take(MESSAGES_MAX);
        let messages: Vec<Message> = due.map(|delegation| Message::WithdrawUnbonded { validator: delegation.validator }).collect();
        let next = stake.delegations.iter().flat_map(|delegation| &delegation.leaving).map(|leaving| leaving.due_epoch).min();
        match (messages.is_empty(), next) {
            (false, _) => Ok(messages),
            (true, Some(next)) => {
                Err(Failure::refused(format!("nothing that {account} took out is due; this is epoch {}, the next is due in epoch {next}", stake.epoch)))
            }
            (true, None) => Err(Failure::refused(format!("{account} has nothing on its way out of {} validators that were asked", stake.asked))
                .hint("take stake out first: `stratos stake undelegate`")),
        }
    };
    send(context, how, Amount::ZERO, messages, |account, is_final| {
        format!("{} to {account} what it took out and is due", if is_final { "paid" } else { "paying" })
    })
}

fn held(stake: &views::Stake) -> String {
    let mut text = output::fields(&[
        ("address", stake.address.to_string()),
        ("epoch", stake.epoch.to_string()),
        (
            "asked",
            format!(
                "{} validator{}{}",
                stake.asked,
                if stake.asked == 1 { "" } else { "s" },
                if stake.is_complete { "" } else { ", those with the most stake" }
            ),
        ),
    ]);
    let staked: Vec<_> = stake
        .delegations
        .iter()
        .filter(|delegation| delegation.stake_wei > Amount::ZERO || delegation.earned_wei > Amount::ZERO)
        .map(|delegation| {
            let amounts = [delegation.stake_wei, delegation.earned_wei].map(output::stos);
            let [stake, earned] = amounts;
            [named(&delegation.name, &delegation.validator), delegation.validator.to_string(), stake, earned]
        })
        .collect();
    if staked.is_empty() {
        text += "\nno stake\n";
    } else {
        text += &format!(
            "\n{}",
            output::table([("validator", Align::Left), ("operator", Align::Left), ("stake", Align::Right), ("earned", Align::Right)], &staked)
        );
    }
    let moved: Vec<_> = stake
        .delegations
        .iter()
        .flat_map(|delegation| delegation.moved.iter().map(move |moved| (delegation, moved)))
        .map(|(delegation, moved)| {
            let free = if moved.free_epoch <= stake.epoch { "now".into() } else { format!("epoch {}", moved.free_epoch) };
            [moved.from.to_string(), named(&delegation.name, &delegation.validator), moved.epoch.to_string(), output::stos(moved.amount_wei), free]
        })
        .collect();
    if !moved.is_empty() {
        let columns = [("moved from", Align::Left), ("to", Align::Left), ("in epoch", Align::Right), ("amount", Align::Right), ("free from", Align::Left)];
        text += &format!("\n{}", output::table(columns, &moved));
    }
    let leaving: Vec<_> = stake
        .delegations
        .iter()
        .flat_map(|delegation| delegation.leaving.iter().map(move |leaving| (delegation, leaving)))
        .map(|(delegation, leaving)| {
            let due = if leaving.due_epoch <= stake.epoch { "now".into() } else { format!("epoch {}", leaving.due_epoch) };
            [named(&delegation.name, &delegation.validator), leaving.epoch.to_string(), output::stos(leaving.amount_wei), due]
        })
        .collect();
    if !leaving.is_empty() {
        let columns = [("taken out of", Align::Left), ("in epoch", Align::Right), ("amount", Align::Right), ("to withdraw", Align::Left)];
        text += &format!("\n{}", output::table(columns, &leaving));
    }
    text
}

#[cfg(test)]
mod tests {
    use primitives::Height;

    use super::*;

    #[test]
    fn percents() {
        assert_eq!([0, 5, 250, 3_333, 10_000].map(percent), ["0 %", "0.05 %", "2.5 %", "33.33 %", "100 %"]);
    }

    #[test]
    fn what_an_account_has_reads_like_a_statement() {
        let validator = Address([1; 20]);
        let leaving = |epoch, due| views::Leaving { epoch: Epoch(epoch), amount_wei: Amount::stos(2), due_epoch: Epoch(due) };
        let delegation = views::Delegation {
            validator,
            name: "validator-1".into(),
            stake_wei: Amount::stos(5),
            earned_wei: Amount::stos(1),
            moved: vec![views::Moved { from: Address([3; 20]), epoch: Epoch(7), amount_wei: Amount::stos(3), free_epoch: Epoch(12) }],
            due_wei: Amount::stos(2),
            leaving: vec![leaving(3, 8), leaving(4, 9)],
        };
        let mut stake =
            views::Stake { address: Address([2; 20]), height: Height(5), epoch: Epoch(8), asked: 3, is_complete: true, delegations: vec![delegation] };
        let text = held(&stake);
        for part in ["3 validators\n", "validator-1", "5 stos  1 stos", "3 stos  epoch 12", "2 stos  now\n", "2 stos  epoch 9\n"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(due_of(validator, stake.clone()), Some(Epoch(9)));
        stake.delegations.clear();
        assert!(held(&stake).ends_with("no stake\n"));
    }
}
