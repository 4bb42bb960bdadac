//! The registry of meta nodes: who keeps the file index, with what deposit.
//!
//! Keys: `3 n operator` the record; `3 i` the operators of all meta nodes in the order of their votes. Transactions: `RegisterMeta`, `MoveNode`. The active
//! set is admitted at genesis; votes that admit and remove members have their place here.

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::members::{Member, Members, MembersError};
use primitives::{Address, Amount, Epoch, Hash, Signature};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::parameters::Parameters;
use crate::pools::{self, Pool};
use crate::resource::{RegisterError, check_identity, check_possession};
use crate::transaction::NodeIdentity;

/// Registered meta nodes at most.
pub const META_NODES_MAX: usize = 256;

/// Where a meta node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// Applied; waits for the votes of the active.
    Applicant,
    /// Member of the metadata ledger.
    Active,
}

/// A meta node.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MetaNode {
    /// Account of the operator; the node's name everywhere.
    pub operator: Address,
    /// Where it is, and the key of its votes and tickets.
    pub node: NodeIdentity,
    /// Deposit in wei.
    pub deposit: Amount,
    /// Where it is in its life.
    pub status: Status,
    /// Epoch of application.
    pub since: Epoch,
}

/// The record of an operator's node.
pub fn read(state: &impl Read, operator: &Address) -> Option<MetaNode> {
    keys::read(state, &keys::meta_node(operator))
}

/// The operators of all meta nodes, in the order of application.
pub fn operators(state: &impl Read) -> Vec<Address> {
    keys::read(state, &keys::meta_nodes()).unwrap_or_default()
}

/// All meta nodes, in the order of application.
pub fn nodes(state: &impl Read) -> Vec<MetaNode> {
    operators(state).iter().filter_map(|operator| read(state, operator)).collect()
}

/// The member set of the metadata ledger: one vote for each active node.
///
/// # Errors
/// Whatever [`Members::new`] refuses.
pub fn members(nodes: &[MetaNode]) -> Result<Members, MembersError> {
    Members::new(nodes.iter().filter(|node| node.status == Status::Active).map(|node| Member { key: node.node.key, weight: 1 }).collect())
}

/// Adds an applicant and takes its deposit.
///
/// # Errors
/// [`RegisterError`]; nothing changes then.
pub fn register(
    state: &mut Overlay,
    chain: Hash,
    operator: &Address,
    node: &NodeIdentity,
    possession: &Signature,
    deposit: Amount,
) -> Result<Event, RegisterError> {
    check_possession(chain, operator, node, possession)?;
    let needed = Parameters::read(state).meta_deposit;
    if deposit < needed {
        return Err(RegisterError::Deposit { deposit, needed });
    }
    let since = crate::epochs::current(state).number;
    let record = MetaNode { operator: *operator, node: node.clone(), deposit, status: Status::Applicant, since };
    check_new(state, &record)?;
    pools::pay_in(state, operator, Pool::Deposits, deposit)?;
    insert(state, &record)?;
    Ok(Event::MetaApplied { operator: *operator, deposit })
}

/// Whether a record can be inserted; gives the operators of those before it.
fn check_new(state: &impl Read, record: &MetaNode) -> Result<Vec<Address>, RegisterError> {
    check_identity(&record.node)?;
    let operators = operators(state);
    if operators.len() >= META_NODES_MAX {
        return Err(RegisterError::Full(u32::try_from(operators.len()).unwrap_or(u32::MAX)));
    }
    if read(state, &record.operator).is_some() || crate::resource::read(state, &record.operator).is_some() {
        return Err(RegisterError::Exists(record.operator));
    }
    Ok(operators)
}

/// Writes a new record and lists it.
pub(crate) fn insert(state: &mut Overlay, record: &MetaNode) -> Result<(), RegisterError> {
    let mut operators = check_new(state, record)?;
    operators.push(record.operator);
    keys::write(state, &keys::meta_nodes(), &operators);
    keys::write(state, &keys::meta_node(&record.operator), record);
    Ok(())
}
