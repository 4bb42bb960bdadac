//! Block 0 of the metadata ledger: it follows from the value ledger's genesis, so there is no second file.

use chain::genesis::{Genesis, GenesisError, meta_chain};
use chain::keys::{history, write};
use chain::ledger::history::Range;
use chain::ledger::{Body, Executed, Summary};
use consensus::Header;
use primitives::{Amount, Height};
use state::Sealed;

use crate::anchor::{self, Observed};
use crate::ledger::{MetaLedger, UNITS_LIMIT};
use crate::{trust, voters};

/// The rules of the metadata ledger that belongs to `genesis`.
pub fn ledger(genesis: &Genesis) -> MetaLedger {
    MetaLedger::new(genesis.hash())
}

/// Writes block 0 onto an empty tree. `value` is the value ledger's tree after its own block 0.
///
/// # Errors
/// [`GenesisError`] if the value ledger has no meta nodes, or none who votes.
pub fn execute(genesis: &Genesis, value: &Sealed, empty: &Sealed) -> Result<(Header, Executed), GenesisError> {
    let members = genesis.meta_members()?;
    let observed = Observed::of_state(value, Height::ZERO).map_err(|error| GenesisError::Members("meta_nodes", error.to_string()))?;
    let mut state = empty.child();
    anchor::genesis(&mut state, &observed);
    trust::genesis(&mut state, &genesis.validator_members()?);
    voters::genesis(&mut state, genesis.hash()).map_err(|error| GenesisError::Members("meta_nodes", error.to_string()))?;
    let range = Range::default();
    write(&mut state, &history(), &range);
    let state = state.seal();
    let summary = Summary::genesis(state.root(), Amount::ZERO, UNITS_LIMIT, range.root());
    let header = Header::genesis(meta_chain(genesis.hash()), &members, genesis.time, summary.digest());
    let body = Body { summary, evidence: Vec::new(), transactions: Vec::new() };
    Ok((header, Executed { state, body, receipts: Vec::new(), logs: Vec::new(), next: None }))
}
