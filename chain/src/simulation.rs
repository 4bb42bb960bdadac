//! What a transaction would do now, before anybody signs it: it is executed as the first of the next block, and nothing is kept.

use consensus::Header;
use primitives::{Amount, Hash, Time};
use state::Sealed;

use crate::accounts;
use crate::event::Event;
use crate::fees;
use crate::ledger::block::TRANSACTION_BYTES_MAX;
use crate::ledger::{BlockInfo, Receipt, Refusal, Rules, Status};
use crate::parameters::Parameters;
use crate::transaction::{Transaction, Verified};
use crate::value::ValueLedger;

/// What would become of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// Units that it uses, its signatures included.
    pub units: u64,
    /// The price of a unit in the next block, in wei.
    pub base_fee: Amount,
    /// What it pays, in wei, tip included; `None` above the largest amount.
    pub fee: Option<Amount>,
    /// How it would end.
    pub outcome: Outcome,
}

/// How a transaction would end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All messages would take effect; what would happen, in order.
    Done(Vec<Event>),
    /// None would, and the fee would be paid. The text says why.
    Failed(String),
    /// No block would take it, and nothing would be paid.
    Refused(Refusal),
}

impl ValueLedger {
    /// Executes `body` on `state`, the one after the block of `header`. It has as many signatures as it needs for all that is counted and checked.
    ///
    /// The queue's own rules are applied first. A nonce that is ahead is executed as if its turn had come, on the state of now: what waits before it is not
    /// known here.
    pub fn simulate(&self, state: &Sealed, header: &Header, body: Transaction) -> Simulation {
        let transaction = Verified { sender: body.sender(), work: body.work(), hash: Hash::ZERO, body };
        let outcome = match self.attempt(state, header, &transaction) {
            Ok(Receipt { status: Status::Done, logs, .. }) => Outcome::Done(logs.iter().filter_map(Event::from_log).collect()),
            Ok(Receipt { status: Status::Failed(text), .. }) => Outcome::Failed(text),
            Err(refusal) => Outcome::Refused(refusal),
        };
        let (costs, base_fee) = (Parameters::read(state).costs(), fees::base_fee(state));
        let fee = fees::of(&transaction.work, &costs, base_fee, transaction.body.tip).map(|fee| fee.sum);
        Simulation { units: costs.units(&transaction.work), base_fee, fee, outcome }
    }

    fn attempt(&self, state: &Sealed, header: &Header, transaction: &Verified) -> Result<Receipt, Refusal> {
        let body = &transaction.body;
        body.check(self.chain)?;
        let bytes = transaction.work.bytes;
        if bytes > TRANSACTION_BYTES_MAX {
            return Err(Refusal::Never(format!("{bytes} bytes with its signatures; a transaction has at most {TRANSACTION_BYTES_MAX}")));
        }
        // Bounds the work too: what takes more units than a block has is not executed.
        self.place(state, transaction)?;
        let mut state = state.child();
        let mut account = accounts::read(&state, &transaction.sender);
        account.nonce = body.nonce;
        accounts::write(&mut state, &transaction.sender, &account);
        let block = BlockInfo {
            chain: self.chain,
            height: header.height.next(),
            time: header.time.saturating_add(Time(1)),
            parent: header.hash(),
            proposer: 0,
            voters: Vec::new(),
            absent: Vec::new(),
        };
        let terms = self.terms(&state, &block);
        self.apply(&mut state, &block, &terms, transaction)
    }
}
