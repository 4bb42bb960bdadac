//! The registry of meta nodes: who keeps the file index, with what deposit.
//!
//! Keys: `3 n operator` the record; `3 i` the operators of all meta nodes in the order of their votes; `3 s` the sets whose signatures count; `3 k hash` the
//! keys of one of them. Transactions: `RegisterMeta`, `MoveNode`. End of epoch: the active set is remembered. The active set is admitted at genesis; votes
//! that admit and remove members have their place here, and take effect at the end of an epoch, before its set is remembered.
//!
//! # Whose signatures count
//! The voters of the metadata ledger are nodes that were active here when an anchor was taken there: the active ones, or those of a moment ago. So each set
//! that was active is remembered, by its hash, for [`META_SETS_EPOCHS`] after its last epoch, and what is read of the metadata ledger must be signed by one
//! of them.
//!
//! That is sound because every one of these sets was named by this ledger, and in every one less than a third is faulty, as the whole protocol assumes of the
//! active set: the assumption holds as long as a node has something to lose, so whoever leaves must leave its deposit for as many epochs. A set that this
//! ledger never named, be it a part of one or a mixture of two, counts for nothing. It is live because nothing is lost when the window closes: the metadata
//! ledger's tree keeps all reports, and its next voters prove them with their own headers.

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::members::{Member, Members, MembersError};
use primitives::{Address, Amount, Epoch, Hash, PublicKey, Signature};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::parameters::Parameters;
use crate::pools::{self, Pool};
use crate::resource::{RegisterError, check_identity, check_possession};
use crate::transaction::NodeIdentity;

/// Registered meta nodes at most.
pub const META_NODES_MAX: usize = 256;
/// Epochs that may have begun after the last one of a set while its signatures count.
pub const META_SETS_EPOCHS: u64 = 32;

/// Where a meta node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// Applied; waits for the votes of the active.
    Applicant,
    /// Member of the metadata ledger.
    Active,
    /// Proven to have broken the rules ([`crate::accusation`]): never a member again.
    Tombstoned,
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

/// A set of meta nodes whose signatures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Set {
    /// [`Members::hash`] of its nodes.
    pub members: Hash,
    /// The last epoch in which it was active; `None` while it is.
    pub until: Option<Epoch>,
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
    of_keys(nodes.iter().filter(|node| node.status == Status::Active).map(|node| node.node.key))
}

fn of_keys(keys: impl Iterator<Item = PublicKey>) -> Result<Members, MembersError> {
    Members::new(keys.map(|key| Member { key, weight: 1 }).collect())
}

/// The sets whose signatures count, the active one last.
pub fn sets(state: &impl Read) -> Vec<Set> {
    keys::read(state, &keys::meta_sets()).unwrap_or_default()
}

/// The set of this hash, if its signatures count.
pub fn electorate(state: &impl Read, members: &Hash) -> Option<Members> {
    of_keys(keys::read::<Vec<PublicKey>>(state, &keys::meta_set(members))?.into_iter()).ok()
}

/// Remembers the first set.
pub(crate) fn genesis(state: &mut Overlay) {
    remember(state, Epoch::ZERO);
}

/// End of epoch `over`: the set that is active in the next one is remembered, and those of long ago are forgotten.
pub(crate) fn end_epoch(state: &mut Overlay, over: Epoch) {
    remember(state, over);
    let (kept, old): (Vec<Set>, Vec<Set>) =
        sets(state).into_iter().partition(|set| set.until.is_none_or(|until| over.next().0.saturating_sub(until.0) <= META_SETS_EPOCHS));
    if old.is_empty() {
        return;
    }
    for set in &old {
        state.delete(&keys::meta_set(&set.members));
    }
    keys::write(state, &keys::meta_sets(), &kept);
}

/// Makes the active nodes the newest set; the one before was active up to `over`. Nodes that cannot vote, for instance none, do not change who votes there
/// either.
fn remember(state: &mut Overlay, over: Epoch) {
    let Ok(active) = members(&nodes(state)) else { return };
    let mut sets = sets(state);
    if sets.last().is_some_and(|last| last.members == active.hash()) {
        return;
    }
    if let Some(last) = sets.last_mut() {
        last.until = Some(over);
    }
    // One that comes back is remembered once.
    sets.retain(|set| set.members != active.hash());
    sets.push(Set { members: active.hash(), until: None });
    keys::write(state, &keys::meta_sets(), &sets);
    keys::write(state, &keys::meta_set(&active.hash()), &active.list().iter().map(|member| member.key).collect::<Vec<_>>());
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
