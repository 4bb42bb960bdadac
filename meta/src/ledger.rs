//! The metadata ledger: the rules by which its blocks are executed.
//!
//! A transaction takes effect or has no place in a block: there are no fees to be charged for failing. At the end of a block an epoch may be closed.

use chain::ledger::rules::Place;
use chain::ledger::{BlockInfo, Electorate, End, Log, Receipt, Refusal, Rules, Status, Terms, Usage};
use chain::metering::{Costs, Work};
use consensus::evidence::Evidence;
use primitives::encoding::encode;
use primitives::{Address, Amount, Hash};
use state::{Overlay, Sealed};

use crate::transaction::{self, Action, Verified};
use crate::{allowance, anchor, claims, epochs, files, trust, voters};

/// Units a block may use.
pub const UNITS_LIMIT: u64 = 100_000_000;
/// What a transaction costs of them. Nobody pays; what is bounded is the work of a block.
const COSTS: Costs = Costs { base: 1_000, byte: 10, message: 0, signature: 500 };

/// The metadata ledger that belongs to one value ledger.
#[derive(Clone, Copy)]
pub struct MetaLedger {
    value_chain: Hash,
}

impl MetaLedger {
    /// The ledger that belongs to the value ledger with this genesis hash.
    pub fn new(value_chain: Hash) -> Self {
        Self { value_chain }
    }

    /// Genesis hash of the value ledger: what grants, tickets, receipts and all signatures here are made for.
    pub fn value_chain(&self) -> Hash {
        self.value_chain
    }
}

/// What the index tells the world: a kind, and what it is about.
fn log(kind: &str, about: &impl borsh::BorshSerialize) -> Log {
    Log { emitter: Address::of_module("meta"), topics: vec![Hash::of("event", &[kind.as_bytes()])], data: encode(about) }
}

fn no_judge(evidence: &Evidence) -> Refusal {
    Refusal::NotNow(format!("evidence against meta node {}: this ledger holds no deposits and judges nobody", evidence.signer()))
}

impl Rules for MetaLedger {
    type Transaction = Verified;

    fn verify(&self, transactions: &[Vec<u8>]) -> Vec<Result<Verified, Refusal>> {
        transactions.iter().map(|bytes| transaction::verify(self.value_chain, bytes)).collect()
    }

    fn work(&self, transaction: &Verified) -> Work {
        transaction.work
    }

    fn place(&self, state: &Sealed, transaction: &Verified) -> Result<Place, Refusal> {
        // Nobody pays, so anybody could fill the blocks with what costs little: what has its time, and comes once, goes before it.
        let rank = Amount(match &transaction.action {
            // Without them the anchors that follow count for nothing.
            Action::Voters(_) => 3,
            Action::Anchor(..) => 2,
            Action::Claim(..) => 1,
            Action::Reserve(..) | Action::PutFile(..) | Action::RemoveFile(_) => 0,
        });
        let place = |kind: &str, who: &[u8], nonce| Place { sender: Hash::of("meta sender", &[kind.as_bytes(), who]), nonce, next: None, tip: rank };
        match &transaction.action {
            Action::Voters(change) => {
                trust::check_change(state, change)?;
                Ok(place("voters", &[], change.last.epoch.0))
            }
            Action::Anchor(observed, source) => {
                trust::check(state, source)?;
                anchor::check(state, observed)?;
                Ok(place("anchor", &[], observed.anchor.height.0))
            }
            Action::Reserve(allowance, funds, source) => {
                trust::check(state, source)?;
                allowance::check(state, allowance, funds)?;
                // Raising comes after reserving.
                Ok(place("reserve", &allowance.grant.grant.session.0, u64::try_from(allowance.noz.0).unwrap_or(u64::MAX)))
            }
            Action::PutFile(put, manifest) => {
                files::check_put(state, put, manifest)?;
                Ok(place("put", &manifest.id().0, put.epoch.0))
            }
            Action::RemoveFile(remove) => {
                files::check_remove(state, remove)?;
                Ok(place("remove", &remove.id.0, remove.epoch.0))
            }
            Action::Claim(covered, claim, key) => {
                claims::check(state, claim, key)?;
                Ok(place("claim", &covered.claim.carrier.0, covered.claim.epoch.0))
            }
        }
    }

    fn terms(&self, _: &Overlay, _: &BlockInfo) -> Terms {
        Terms { base_fee: Amount::ZERO, units_limit: UNITS_LIMIT, costs: COSTS, proposer: None }
    }

    fn electorate(&self, state: &Sealed) -> Electorate {
        voters::electorate(state)
    }

    fn begin(&self, _state: &mut Overlay, _block: &BlockInfo) -> Vec<Log> {
        Vec::new()
    }

    /// Deposits lie on the value ledger, and are judged there.
    fn admits(&self, _state: &Sealed, evidence: &Evidence) -> Result<(), Refusal> {
        Err(no_judge(evidence))
    }

    fn evidence(&self, _state: &mut Overlay, _block: &BlockInfo, evidence: &Evidence) -> Result<Vec<Log>, Refusal> {
        Err(no_judge(evidence))
    }

    fn apply(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, transaction: &Verified) -> Result<Receipt, Refusal> {
        let log = match &transaction.action {
            Action::Voters(change) => {
                trust::apply(state, change)?;
                log("value voters changed", &(change.last.epoch, change.next.hash()))
            }
            Action::Anchor(observed, source) => {
                trust::check(state, source)?;
                anchor::apply(state, block.time, observed)?;
                log("anchored", &observed.anchor)
            }
            Action::Reserve(allowance, funds, source) => {
                trust::check(state, source)?;
                allowance::apply(state, allowance, funds)?;
                log("reserved", &(allowance.grant.grant.payer, allowance.epoch, allowance.noz))
            }
            Action::PutFile(put, manifest) => {
                files::put(state, put, manifest)?;
                log("file stored", &(manifest.id(), manifest.public.owner))
            }
            Action::RemoveFile(remove) => {
                files::remove(state, remove)?;
                log("file removed", &(remove.id, remove.key.address()))
            }
            Action::Claim(covered, claim, key) => {
                claims::apply(state, &covered.claim, claim, key)?;
                log("claimed", &(claim.claim.epoch, claim.claim.carrier, claim.claim.noz))
            }
        };
        Ok(Receipt { transaction: transaction.hash, status: Status::Done, units: terms.costs.units(&transaction.work), fee: Amount::ZERO, logs: vec![log] })
    }

    /// Nobody looks for them: files, claims and reports are records, and each says when it was made.
    fn topics(&self, _: &Sealed, _: &Log) -> Vec<Hash> {
        Vec::new()
    }

    fn end(&self, state: &mut Overlay, block: &BlockInfo, _: &Terms, _: &Usage) -> (End, Vec<Log>) {
        // Before the voters change: the proposer's index is one of theirs.
        let logs = epochs::end_block(state, block, self.value_chain).map(|epoch| log("epoch closed", &epoch)).into_iter().collect();
        let closes_epoch = voters::end_block(state, self.value_chain);
        (End { beacon: Hash::of("beacon", &[block.parent.as_bytes()]), closes_epoch }, logs)
    }
}

#[cfg(test)]
mod tests;
