//! Trying out, signing, sending, and waiting until a transaction is final.

use std::thread::sleep;
use std::time::{Duration, Instant};

use chain::fees;
use chain::transaction::{Message, TRANSACTION_VERSION, Transaction};
use primitives::encoding::encode;
use primitives::{Amount, Hash};

use super::args::How;
use super::failure::Failure;
use super::signer::Payer;
use super::{Context, envelope, money, output};
use crate::http::views::{self, SimulationOutcome};

/// A block takes well under a second; a network that has made none for this long has stopped.
const FINAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The offered fee is this many times the fee of now: the base fee may rise by an eighth per block while the transaction waits.
const FEE_MARGIN: u128 = 2;
/// The same for a transaction that others sign: that takes longer. What is offered is not paid, only what the block asks.
const FEE_MARGIN_UNSIGNED: u128 = 10;

/// A transaction as a command sends it.
pub struct Sending {
    /// Who pays.
    pub payer: Payer,
    /// The network.
    pub status: views::Status,
    /// The payer's account before.
    pub account: views::Account,
    /// What to do, in order.
    pub messages: Vec<Message>,
    /// Coins that the messages themselves take from the account.
    pub spends: Amount,
}

impl Context {
    /// Says the fee, signs and sends; waits until it is final unless `--no-wait` is given. With `--dry-run` or `--unsigned` it prints what would happen, or
    /// writes the transaction to a file, and gives `None`.
    ///
    /// # Errors
    /// [`Failure`] if the account cannot pay, the node refuses, the transaction fails, or it is not final in time.
    pub fn submit(&self, sending: Sending, how: &How) -> Result<Option<views::Transaction>, Failure> {
        let Sending { payer, status, account, messages, spends } = sending;
        let mut transaction = Transaction {
            version: TRANSACTION_VERSION,
            chain: status.genesis,
            authority: payer.authority.clone(),
            nonce: how.nonce.unwrap_or(account.nonce),
            fee_max: Amount::ZERO,
            tip: how.tip,
            messages,
            memo: how.memo.clone().into_bytes(),
        };
        let margin = if how.unsigned.is_some() { FEE_MARGIN_UNSIGNED } else { FEE_MARGIN };
        let (fee, fee_max) = fee(&transaction, &status.fees, margin)
            .ok_or_else(|| Failure::misused(format!("a tip of {} wei per unit is above what can be counted", how.tip)))?;
        // Offering more than there is would be refused although the real fee can be paid.
        transaction.fee_max = fee_max.min(how.fee_max).min(account.balance_wei);
        if how.dry_run {
            return self.try_out(&transaction).map(|()| None);
        }
        within(fee, how.fee_max)?;
        affordable(&format!("{} ({})", payer.name, payer.address()), account.balance_wei, spends, fee)?;
        if let Some(path) = &how.unsigned {
            return envelope::write(path, transaction, self).map(|()| None);
        }
        if !self.json {
            output::stderr(&format!("fee {} in the next block, {} at most\n", output::stos(fee), output::stos(transaction.fee_max)));
        }
        let signer = self.signer(|| Ok(status.dev))?;
        self.send(&transaction.sign(&signer.secret), how.no_wait).map(Some)
    }

    /// Prints what would become of a transaction, as the node sees it.
    ///
    /// # Errors
    /// [`Failure`] if the node does not answer; that the transaction would fail is an answer.
    pub fn try_out(&self, transaction: &Transaction) -> Result<(), Failure> {
        let simulation: views::Simulation = self.node.post("/v1/txs/simulate", hex::encode(encode(transaction)).as_bytes())?;
        output::print(self.json, &simulation, || simulated(transaction, &simulation))
    }

    /// Sends a signed transaction; waits until it is final unless it is not to. The hash goes to standard error at once, so that it is known even if waiting
    /// fails.
    ///
    /// # Errors
    /// [`Failure`] if the node refuses, the transaction fails, or it is not final in time.
    pub fn send(&self, bytes: &[u8], no_wait: bool) -> Result<views::Transaction, Failure> {
        let views::Submitted { hash } = self.node.post("/v1/txs", bytes)?;
        if no_wait {
            return self.node.get(&format!("/v1/txs/{hash}")).map_err(|failure| lost(hash, &failure));
        }
        if !self.json {
            output::stderr(&format!("transaction {hash} waits for its block\n"));
        }
        self.wait(hash)
    }

    fn wait(&self, hash: Hash) -> Result<views::Transaction, Failure> {
        let start = Instant::now();
        loop {
            // A node that does not answer now says nothing about the transaction; only the time ends the wait.
            let transaction: views::Transaction = match self.node.get(&format!("/v1/txs/{hash}")) {
                Ok(transaction) => transaction,
                Err(failure) if start.elapsed() > FINAL_TIMEOUT => return Err(lost(hash, &failure)),
                Err(_) => {
                    sleep(POLL_INTERVAL);
                    continue;
                }
            };
            match (transaction.state, transaction.status) {
                (views::TransactionState::Final, Some(views::TransactionStatus::Failed)) => {
                    let why = transaction.error.unwrap_or_else(|| "no reason given".into());
                    let fee = transaction.fee_wei.unwrap_or_default();
                    return Err(Failure::refused(format!("transaction {hash} failed: {why}")).hint(format!("nothing was moved, the fee of {fee} wei was paid")));
                }
                (views::TransactionState::Final, Some(views::TransactionStatus::Done) | None) => return Ok(transaction),
                (views::TransactionState::Unknown | views::TransactionState::Waiting, _) => {}
            }
            if start.elapsed() > FINAL_TIMEOUT {
                return Err(Failure::refused(format!("transaction {hash} is not final after {} s", FINAL_TIMEOUT.as_secs()))
                    .hint(format!("it may still become final: `stratos tx show {hash}`; a nonce above the account's next one waits for those before it")));
            }
            sleep(POLL_INTERVAL);
        }
    }
}

/// The failure of looking at a transaction that was sent.
fn lost(hash: Hash, failure: &Failure) -> Failure {
    Failure::refused(format!("transaction {hash} was sent, and its state cannot be read: {}", failure.message()))
        .hint(format!("`stratos tx show {hash}` shows what became of it"))
}

/// The fee in the next block, and the fee to offer, with so many times the base fee; `None` above the largest amount.
fn fee(transaction: &Transaction, fees: &views::Fees, margin: u128) -> Option<(Amount, Amount)> {
    let fee = fees::of(&transaction.work(), &fees.units, fees.base_fee_wei, transaction.tip)?;
    Some((fee.sum, Amount(fee.burned.0.checked_mul(margin)?.checked_add(fee.tip.0)?)))
}

/// A fee that nobody may have wanted is not paid: a tip is for each unit, of which there are thousands.
fn within(fee: Amount, max: Amount) -> Result<(), Failure> {
    if fee <= max {
        return Ok(());
    }
    let (fee, max) = (output::stos(fee), output::stos(max));
    Err(Failure::refused(format!("the fee would be {fee}, and at most {max} may be paid"))
        .hint("--tip is for each unit; `--fee-max AMOUNT` allows a higher fee"))
}

/// What people read about a transaction that was tried out.
fn simulated(transaction: &Transaction, simulation: &views::Simulation) -> String {
    let fee = simulation.fee_wei.map_or_else(|| "above the largest amount".into(), output::stos);
    let mut fields = vec![("from", simulation.sender.to_string()), ("nonce", transaction.nonce.to_string())];
    fields.extend(transaction.messages.iter().map(|message| ("asks to", money::asked(&message.into()))));
    fields.push(("fee", format!("{fee} ({} units at {} wei)", output::grouped(simulation.units.into()), output::grouped(simulation.base_fee_wei.0))));
    let why = simulation.error.as_deref().unwrap_or("no reason given");
    fields.push((
        "outcome",
        match simulation.outcome {
            SimulationOutcome::Done => format!("would be done, after block {}", simulation.height),
            SimulationOutcome::Failed => format!("would fail, and the fee be paid: {why}"),
            SimulationOutcome::Refused => format!("would be refused, and nothing be paid: {why}"),
        },
    ));
    fields.extend(simulation.events.iter().map(|event| ("event", money::happened(event))));
    format!("{}\nnothing was signed or sent", output::fields(&fields))
}

/// Refuses what is known to fail, before a fee is paid for it.
fn affordable(who: &str, balance: Amount, spends: Amount, fee: Amount) -> Result<(), Failure> {
    let needed = spends.saturating_add(fee);
    if balance >= needed {
        return Ok(());
    }
    let exact = Amount::to_stos;
    Err(Failure::refused(format!(
        "not enough balance: {who} has {}; {} and a fee of {} make {}, {} are missing",
        exact(balance),
        exact(spends),
        exact(fee),
        exact(needed),
        exact(needed.saturating_sub(balance))
    ))
    .hint("send less, or pay from another key with `--key NAME`"))
}

/// What people read about a transaction that was just sent.
pub fn receipt(what: String, transaction: &views::Transaction) -> String {
    let mut fields = vec![("", what), ("transaction", transaction.hash.to_string())];
    match (transaction.height, transaction.fee_wei) {
        (Some(height), Some(fee)) => fields.extend([("final in block", height.to_string()), ("fee", output::stos(fee))]),
        (None, _) | (_, None) => fields.push(("state", "waiting for its block".into())),
    }
    let (_, what) = fields.remove(0);
    format!("{what}\n{}", output::fields(&fields))
}

#[cfg(test)]
mod tests {
    use chain::parameters::Parameters;
    use primitives::{AccountSecret, Address, Height};

    use super::*;

    #[test]
    fn the_fee_offered_covers_the_real_size() {
        let secret = AccountSecret::from_seed(&[1; 32]);
        let mut transaction = Transaction {
            version: TRANSACTION_VERSION,
            chain: Hash::ZERO,
            authority: secret.key().into(),
            nonce: 0,
            fee_max: Amount::ZERO,
            tip: Amount(3),
            messages: vec![Message::Send { to: Address([1; 20]), amount: Amount(1) }],
            memo: b"hello".to_vec(),
        };
        let costs = Parameters::dev().costs();
        let fees = views::Fees { base_fee_wei: Amount(1_000_000), units: costs };
        let (now, offered) = fee(&transaction, &fees, 2).unwrap();
        transaction.fee_max = offered;
        let bytes = transaction.clone().sign(&secret);
        let units = u128::from(costs.units(&chain::transaction::verify(Hash::ZERO, &[bytes]).remove(0).unwrap().work));
        assert_eq!(now, Amount(units * 1_000_003));
        assert_eq!(offered, Amount(units * 2_000_003));
        transaction.tip = Amount::MAX;
        assert_eq!(fee(&transaction, &fees, 2), None);
    }

    #[test]
    fn a_fee_is_within_what_may_be_paid() {
        assert!(within(Amount::stos(1), Amount::stos(1)).is_ok());
        let message = within(Amount::stos(11_130), Amount::stos(1)).unwrap_err().message().to_owned();
        assert_eq!(message, "the fee would be 11,130 stos, and at most 1 stos may be paid");
    }

    #[test]
    fn a_trial_says_fee_and_outcome() {
        let to = Address([1; 20]);
        let secret = AccountSecret::from_seed(&[1; 32]);
        let transaction = Transaction {
            version: TRANSACTION_VERSION,
            chain: Hash::ZERO,
            authority: secret.key().into(),
            nonce: 4,
            fee_max: Amount::ZERO,
            tip: Amount::ZERO,
            messages: vec![Message::Send { to, amount: Amount::stos(2) }],
            memo: Vec::new(),
        };
        let mut simulation = views::Simulation {
            height: Height(9),
            sender: secret.address(),
            units: 3_000,
            base_fee_wei: Amount(1_000_000),
            fee_wei: Some(Amount(3_000_000_000)),
            outcome: SimulationOutcome::Done,
            error: None,
            events: vec![serde_json::json!({"event": "sent"})],
        };
        let text = simulated(&transaction, &simulation);
        for part in [&format!("send 2 stos to {to}"), "0.000000003 stos (3,000 units at 1,000,000 wei)", "done, after block 9", "event", "nothing was signed"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        simulation.error = Some("too poor".into());
        simulation.outcome = SimulationOutcome::Failed;
        assert!(simulated(&transaction, &simulation).contains("would fail, and the fee be paid: too poor"));
        simulation.outcome = SimulationOutcome::Refused;
        assert!(simulated(&transaction, &simulation).contains("would be refused, and nothing be paid: too poor"));
    }

    #[test]
    fn what_cannot_be_paid_is_refused_with_the_numbers() {
        assert!(affordable("alice", Amount::stos(2), Amount::stos(1), Amount::stos(1)).is_ok());
        let message = affordable("alice", Amount::stos(2), Amount::stos(1), Amount(1_000_000_000_000_000_001)).unwrap_err().message().to_owned();
        assert!(message.contains("alice has 2 stos") && message.contains("0.000000000000000001 stos are missing"), "{message}");
        assert!(affordable("alice", Amount::stos(2), Amount::MAX, Amount::MAX).is_err());
    }
}
