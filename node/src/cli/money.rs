//! `account show`, `send`, `tx show` of what was sent, `reward show|withdraw`: coins.

use chain::ballots::Motion;
use std::collections::BTreeMap;

use chain::transaction::Message;
use primitives::{Amount, Bytes, Hash, Noz};
use serde_json::Value;

use super::Context;
use super::args::{Account, How, Party, Reward, Send};
use super::failure::Failure;
use super::output;
use super::submit::{Sending, receipt};
use crate::http::views::{self, MessageView, TransactionState, TransactionStatus};

/// Runs `account`.
///
/// # Errors
/// [`Failure`] if the node refuses or no account is named.
pub fn account(command: &Account, context: &Context) -> Result<(), Failure> {
    let Account::Show { who, at } = command;
    let account = context.read_account_at(who.as_ref(), *at)?;
    output::print(context.json, &account, || {
        output::fields(&[
            ("address", account.address.to_string()),
            ("balance", output::stos(account.balance_wei)),
            ("next nonce", account.nonce.to_string()),
            ("ozone", output::ozone(account.noz)),
            ("ozone cost", output::stos(account.ozone_cost_wei)),
            ("rewards to withdraw", output::stos(account.reward.mature_wei)),
            ("rewards maturing", output::stos(account.reward.immature_wei)),
        ])
    })
}

/// Runs `send`.
///
/// # Errors
/// [`Failure`] if it cannot be paid, or the transaction fails.
pub fn send(command: &Send, context: &Context) -> Result<(), Failure> {
    if command.amount == Amount::ZERO {
        return Err(Failure::misused("nothing to send: the amount is 0"));
    }
    let to = context.account(Some(&command.to))?;
    let status = context.status()?;
    let payer = context.payer(&command.how, status.dev)?;
    let account = context.read_account(Some(&Party::Address(payer.address())))?;
    let messages = vec![Message::Send { to, amount: command.amount }];
    let Some(transaction) = context.submit(Sending { payer, status, account, messages, spends: command.amount }, &command.how)? else { return Ok(()) };
    let verb = if transaction.state == TransactionState::Final { "sent" } else { "sending" };
    output::print(context.json, &transaction, || receipt(format!("{verb} {} to {to}", command.amount.to_stos()), &transaction))
}

/// Runs `reward`.
///
/// # Errors
/// [`Failure`] if the node refuses, or there is less to withdraw than asked for.
pub fn reward(command: &Reward, context: &Context) -> Result<(), Failure> {
    match command {
        Reward::Show { who, at } => {
            let views::Account { address, reward, .. } = context.read_account_at(who.as_ref(), *at)?;
            let value = serde_json::json!({"address": address, "mature_wei": reward.mature_wei, "immature_wei": reward.immature_wei});
            output::print(context.json, &value, || {
                output::fields(&[
                    ("address", address.to_string()),
                    ("to withdraw", output::stos(reward.mature_wei)),
                    ("maturing", output::stos(reward.immature_wei)),
                ])
            })
        }
        Reward::Withdraw { amount, to, how } => withdraw(*amount, to.as_ref(), how, context),
    }
}

fn withdraw(amount: Option<Amount>, to: Option<&Party>, how: &How, context: &Context) -> Result<(), Failure> {
    let to = to.map(|to| context.account(Some(to))).transpose()?;
    let status = context.status()?;
    let payer = context.payer(how, status.dev)?;
    let owner = payer.address();
    let account = context.read_account(Some(&Party::Address(owner)))?;
    let views::Reward { mature_wei, immature_wei } = account.reward.clone();
    let amount = amount.unwrap_or(mature_wei);
    if amount == Amount::ZERO || amount > mature_wei {
        return Err(Failure::refused(format!(
            "{} cannot be withdrawn: {owner} has {} mature and {} maturing",
            amount.to_stos(),
            mature_wei.to_stos(),
            immature_wei.to_stos()
        ))
        .hint("rewards mature some epochs after they were earned: `stratos reward show`"));
    }
    let to = to.unwrap_or(owner);
    let messages = vec![Message::Withdraw { to, amount }];
    let Some(transaction) = context.submit(Sending { payer, status, account, messages, spends: Amount::ZERO }, how)? else { return Ok(()) };
    let verb = if transaction.state == TransactionState::Final { "withdrew" } else { "withdrawing" };
    output::print(context.json, &transaction, || receipt(format!("{verb} {} to {to}", amount.to_stos()), &transaction))
}

/// Runs `tx show HASH`.
///
/// # Errors
/// [`Failure`] if the node does not know the transaction.
pub fn transaction(hash: Hash, context: &Context) -> Result<(), Failure> {
    let transaction: views::Transaction = context.node.get(&format!("/v1/txs/{hash}"))?;
    if transaction.state == TransactionState::Unknown {
        return Err(Failure::refused(format!("transaction {hash} is not known to {}", context.node.url()))
            .hint("check the hash; a transaction that was refused leaves no trace"));
    }
    output::print(context.json, &transaction, || shown(&transaction))
}

fn shown(transaction: &views::Transaction) -> String {
    let mut fields = vec![("transaction".to_owned(), transaction.hash.to_string())];
    let mut field = |label: &str, value: String| fields.push((label.to_owned(), value));
    field(
        "state",
        match (transaction.state, transaction.status, transaction.height) {
            (TransactionState::Unknown, _, _) => "unknown".into(),
            (TransactionState::Waiting, _, _) => "waiting for a block".into(),
            (TransactionState::Final, Some(TransactionStatus::Failed), Some(height)) => format!("failed in block {height}"),
            (TransactionState::Final, _, Some(height)) => format!("done in block {height}"),
            (TransactionState::Final, _, None) => "final".into(),
        },
    );
    if let Some(error) = &transaction.error {
        field("why", error.clone());
    }
    if let Some(sender) = transaction.sender {
        field("from", sender.to_string());
    }
    if let Some(nonce) = transaction.nonce {
        field("nonce", nonce.to_string());
    }
    if let (Some(fee), Some(units)) = (transaction.fee_wei, transaction.units) {
        field("fee", format!("{} ({} units)", output::stos(fee), output::grouped(units.into())));
    }
    if let Some(memo) = transaction.memo.as_ref().filter(|memo| !memo.is_empty()) {
        field("memo", printable(memo));
    }
    for message in &transaction.messages {
        field("asks to", asked(message));
    }
    for event in &transaction.events {
        field("event", happened(event));
    }
    output::fields(&fields)
}

/// A stranger's text without the control characters that could drive a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// What a message asks for, as a sentence.
pub(super) fn asked(message: &MessageView) -> String {
    match message {
        MessageView::Send { to, amount_wei } => format!("send {} to {to}", amount_wei.to_stos()),
        MessageView::BuyOzone { amount_wei, noz_min, height_max, beneficiary } => {
            format!("buy ozone for {} (at least {}, until block {height_max}) for {beneficiary}", amount_wei.to_stos(), output::ozone(*noz_min))
        }
        MessageView::RegisterResource { capacity_bytes, deposit_wei, .. } => {
            format!("register a resource node of {} with a deposit of {}", output::size(*capacity_bytes), deposit_wei.to_stos())
        }
        MessageView::RegisterMeta { deposit_wei, .. } => format!("apply as meta node with a deposit of {}", deposit_wei.to_stos()),
        MessageView::MoveNode { addresses } => format!("move its node to {}", printable(&addresses.join(", "))),
        MessageView::VoteMeta { vote } => format!("vote to {}", motion(vote)),
        MessageView::Propose { title, actions } => format!("propose {} actions: {}", actions.len(), printable(title)),
        MessageView::VoteProposal { proposal, choice, validators } => {
            let with = if validators.is_empty() { String::new() } else { format!(", with its stake with {} validators", validators.len()) };
            format!("vote {} on proposal {proposal}{with}", super::governance::choice(*choice))
        }
        MessageView::TopUpDeposit { amount_wei } => format!("add {} to the deposit of its node", amount_wei.to_stos()),
        MessageView::LeaveRegistry => "take its node out of the registry".into(),
        MessageView::WithdrawDeposit => "withdraw the deposit of its node".into(),
        MessageView::Settle { receipts } => format!("settle {} receipts of traffic", output::grouped(u128::from(*receipts))),
        MessageView::ClaimDirectly { epoch, carrier, receipts } => {
            format!("claim {} receipts of {carrier} that the report of epoch {epoch} does not hold", output::grouped(u128::from(*receipts)))
        }
        MessageView::AccuseReport { epoch, part: Some(part) } => format!("prove that part {part} of the report of epoch {epoch} is false"),
        MessageView::AccuseReport { epoch, part: None } => format!("prove that the report of epoch {epoch} is false"),
        MessageView::AccuseIssuer { issuer, tickets } => {
            let issuer = issuer.map_or_else(|| "nobody".to_owned(), |issuer| issuer.to_string());
            format!("prove by {} tickets that {issuer} issued more than was reserved with it", output::grouped(u128::from(*tickets)))
        }
        MessageView::Withdraw { to, amount_wei } => format!("withdraw {} of rewards to {to}", amount_wei.to_stos()),
        MessageView::CreateValidator { key, stake_wei, commission_bp, commission_max_bp } => {
            let stake = stake_wei.to_stos();
            format!("become a validator with key {key}, a stake of {stake} and a commission of {commission_bp}, at most {commission_max_bp} basis points")
        }
        MessageView::SetCommission { commission_bp } => format!("keep {commission_bp} basis points of what its validator's stake earns"),
        MessageView::Redelegate { from, to, amount_wei } => {
            format!("move {} of stake from the validator of {from} to that of {to}", amount_wei.to_stos())
        }
        MessageView::CollectReward { validator } => format!("receive what its stake with the validator of {validator} earned"),
        MessageView::Delegate { validator, amount_wei } => format!("delegate {} to the validator of {validator}", amount_wei.to_stos()),
        MessageView::Undelegate { validator, amount_wei } => format!("take {} out of the stake of the validator of {validator}", amount_wei.to_stos()),
        MessageView::WithdrawUnbonded { validator } => format!("withdraw what left the stake of the validator of {validator}"),
        MessageView::Unjail => "stand again as a validator".into(),
        MessageView::Describe { profile } if profile.is_empty() => "say nothing about itself any more".into(),
        MessageView::Describe { profile } => format!("say about itself: {}", super::profile::said(profile)),
        MessageView::Donate { fund, amount_wei } => format!("give {} to {}", amount_wei.to_stos(), super::governance::fund(*fund)),
    }
}

/// What a motion would do.
pub fn motion(motion: &Motion) -> String {
    match motion {
        Motion::Admit(operator) => format!("admit {operator} to the meta nodes"),
        Motion::Expel(operator) => format!("expel {operator} from the meta nodes"),
        Motion::Suspend(operator) => format!("suspend the resource node of {operator}"),
        Motion::Resume(operator) => format!("resume the resource node of {operator}"),
    }
}

/// `sent: from st1.., to st1.., amount 1 stos`, for any kind of event.
pub(super) fn happened(event: &Value) -> String {
    let Some(object) = event.as_object() else { return printable(&event.to_string()) };
    let kind = object.get("event").and_then(Value::as_str).unwrap_or("event");
    let details: BTreeMap<&str, String> =
        object.iter().filter(|(name, value)| *name != "event" && !value.is_null()).map(|(name, value)| (name.as_str(), detail(name, value))).collect();
    let details: Vec<String> = details.into_iter().map(|(name, value)| format!("{name} {value}")).collect();
    printable(&format!("{}: {}", kind.replace('_', " "), details.join(", ")))
}

/// Fields of events that are coins, by name.
const COINS: [&str; 13] =
    ["amount", "paid", "deposit", "released", "mined", "kept", "stake", "slashed", "reward", "compensated", "forfeited", "burned", "tips"];

fn detail(name: &str, value: &Value) -> String {
    let text = value.as_str();
    match (name, text.and_then(|text| text.parse::<u128>().ok())) {
        (name, Some(wei)) if COINS.contains(&name) => Amount(wei).to_stos(),
        ("noz", Some(noz)) => output::ozone(Noz(noz)),
        ("capacity", None) if value.is_u64() => output::size(Bytes(value.as_u64().unwrap_or_default())),
        _ => text.map_or_else(|| value.to_string(), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use borsh::BorshDeserialize;
    use chain::event::{Event, KINDS};
    use primitives::{Address, Height};

    use super::*;

    /// One event of each kind, made of zeros, in the order of their encoding.
    #[test]
    fn every_sum_of_an_event_has_its_unit() {
        for tag in (0..).take(KINDS.len()) {
            let event = Event::deserialize(&mut &[&[tag][..], &[0; 256]].concat()[..]).expect("an event");
            let json = serde_json::to_value(&event).expect("JSON");
            for (name, value) in json.as_object().expect("fields") {
                let is_sum = value.as_str().is_some_and(|text| text.parse::<u128>().is_ok());
                // A parameter's numbers have its own unit.
                let is_shown = matches!(event, Event::ParameterSet { .. }) || value != detail(name, value).as_str();
                assert!(!is_sum || is_shown, "{name} of {json}");
            }
        }
    }

    #[test]
    fn transactions_read_like_sentences() {
        let (from, to) = (Address([1; 20]), Address([2; 20]));
        let event = serde_json::to_value(Event::Sent { from, to, amount: Amount::stos(2) }).unwrap();
        assert_eq!(happened(&event), format!("sent: amount 2 stos, from {from}, to {to}"));
        let bought = serde_json::to_value(Event::OzoneBought { buyer: from, beneficiary: to, paid: Amount(5), noz: Noz(7) }).unwrap();
        assert!(happened(&bought).contains("noz 7 noz, paid 0.000000000000000005 stos"), "{}", happened(&bought));
        let transaction = views::Transaction {
            hash: Hash::ZERO,
            state: TransactionState::Final,
            height: Some(Height(9)),
            index: Some(0),
            status: Some(TransactionStatus::Failed),
            error: Some("too poor".into()),
            fee_wei: Some(Amount(2_000_000_000)),
            units: Some(2_000),
            sender: Some(from),
            nonce: Some(1),
            memo: Some("\u{1b}[2Jhi".into()),
            messages: vec![MessageView::Send { to, amount_wei: Amount::stos(2) }],
            events: vec![],
        };
        let text = shown(&transaction);
        for part in ["failed in block 9", "too poor", "0.000000002 stos (2,000 units)", "\u{fffd}[2Jhi", &format!("send 2 stos to {to}")] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
