//! The registry of meta nodes: who keeps the file index, with what deposit.
//!
//! Keys: `3 n operator` the record; `3 i` the operators of all meta nodes in the order of their votes; `3 s` the sets whose signatures count; `3 k hash` the keys
//! of one of them. Transactions: `RegisterMeta`, `MoveNode`, `TopUpDeposit`, `LeaveRegistry`, `WithdrawDeposit`. End of epoch: applications that nobody admitted
//! in time are given back, then the active set is remembered.
//!
//! # Life
//! 1. An operator applies with a deposit. The active nodes admit it by a ballot ([`crate::ballots`]), or its application ends, and the deposit is returned, when
//!    [`Parameters::ballot_epochs`] have passed.
//! 2. An active node votes in the metadata ledger from the next epoch on, and its deposit stands behind ozone.
//! 3. It leaves when it wants to, when the others expel it, when governance removes it ([`crate::governance`]), or when it is convicted
//!    ([`crate::accusation`]). Its deposit stays as long as its signatures count, and can be withdrawn then. The last active node does not leave.
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

use crate::ballots::{self, Motion};
use crate::event::Event;
use crate::keys::{self, Read};
use crate::market;
use crate::parameters::Parameters;
use crate::pools::{self, MoveError, Pool};
use crate::profiles;
use crate::resource::{RegisterError, check_identity, check_possession};
use crate::settlement;
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
    /// No member any more; its deposit waits.
    Leaving,
    /// Proven to have broken the rules ([`crate::accusation`]): never a member again.
    Tombstoned,
}

impl Status {
    /// As refusals name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applicant => "an applicant",
            Self::Active => "active",
            Self::Leaving => "leaving",
            Self::Tombstoned => "tombstoned",
        }
    }
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
    /// Epoch in which it stopped being active.
    pub left: Option<Epoch>,
}

/// Why a node does not leave, or its deposit does not move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaveError {
    /// The sender operates none.
    #[error("{0} operates no node")]
    Missing(Address),
    /// It is on its way out, or was never in.
    #[error("the node of {operator} is {is}")]
    Status {
        /// The operator.
        operator: Address,
        /// Where it is in its life.
        is: &'static str,
    },
    /// Somebody must keep the index.
    #[error("{0} is the last active meta node, and somebody must keep the index")]
    Last(Address),
    /// Not yet.
    #[error("the deposit can be withdrawn from epoch {from} on; this is epoch {current}")]
    NotYet {
        /// The first epoch in which it can.
        from: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// Nothing is added.
    #[error("0 wei add nothing to a deposit")]
    Nothing,
    /// The sender cannot pay.
    #[error(transparent)]
    Money(#[from] MoveError),
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

/// How many meta nodes are active.
pub fn active(state: &impl Read) -> usize {
    nodes(state).iter().filter(|node| node.status == Status::Active).count()
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

/// An applicant becomes active.
pub(crate) fn admit(state: &mut Overlay, operator: &Address) -> Option<Event> {
    let mut node = read(state, operator).filter(|node| node.status == Status::Applicant)?;
    node.status = Status::Active;
    keys::write(state, &keys::meta_node(operator), &node);
    market::deposit_activated(state, node.deposit);
    Some(Event::MetaAdmitted { operator: *operator })
}

/// The sender's node leaves the set, or takes its application back.
///
/// # Errors
/// [`LeaveError`]; nothing changes then.
pub fn leave(state: &mut Overlay, operator: &Address) -> Result<Vec<Event>, LeaveError> {
    let mut node = read(state, operator).ok_or(LeaveError::Missing(*operator))?;
    match node.status {
        Status::Applicant => return Ok(give_back(state, &node)?),
        Status::Active if active(state) <= 1 => return Err(LeaveError::Last(*operator)),
        Status::Active => {}
        Status::Leaving | Status::Tombstoned => return Err(LeaveError::Status { operator: *operator, is: node.status.name() }),
    }
    (node.status, node.left) = (Status::Leaving, Some(crate::epochs::current(state).number));
    keys::write(state, &keys::meta_node(operator), &node);
    market::deposit_deactivated(state, node.deposit);
    Ok(vec![Event::MetaLeft { operator: *operator }])
}

/// Ends an application.
fn give_back(state: &mut Overlay, node: &MetaNode) -> Result<Vec<Event>, MoveError> {
    pools::pay_out(state, Pool::Deposits, &node.operator, node.deposit)?;
    // Votes were for this application, and not for another with another key.
    let dropped = ballots::drop_motion(state, &Motion::Admit(node.operator));
    forget(state, &node.operator);
    state.delete(&keys::meta_node(&node.operator));
    profiles::record_removed(state, &node.operator);
    Ok(dropped.into_iter().chain([Event::DepositReturned { operator: node.operator, amount: node.deposit }]).collect())
}

/// Takes an operator off the list.
fn forget(state: &mut Overlay, operator: &Address) {
    let mut list = operators(state);
    list.retain(|other| other != operator);
    keys::write(state, &keys::meta_nodes(), &list);
}

/// The first epoch in which what a node that left has as deposit is its own again: its signatures count no more, and what it did can be proven no more.
pub fn free_from(state: &impl Read, left: Epoch) -> Epoch {
    let Parameters { unbonding_epochs, challenge_epochs, .. } = Parameters::read(state);
    // An epoch is reported after it is over, and challenged after that.
    left.saturating_add(Epoch(META_SETS_EPOCHS.max(unbonding_epochs).max(challenge_epochs.saturating_add(2)))).next()
}

/// The first epoch in which what a node signed up to `left` is settled for all that is known now: not this one, if it is not.
fn settled_from(state: &impl Read, left: Epoch) -> Epoch {
    if settlement::progress(state).unsettled > left { Epoch::ZERO } else { crate::epochs::current(state).number.next() }
}

/// Pays out what is left of the deposit of a node that left. A tombstone stays.
///
/// # Errors
/// [`LeaveError`]; nothing changes then.
pub fn withdraw(state: &mut Overlay, operator: &Address) -> Result<Event, LeaveError> {
    let mut node = read(state, operator).ok_or(LeaveError::Missing(*operator))?;
    let left = node.left.ok_or(LeaveError::Status { operator: *operator, is: node.status.name() })?;
    let (from, current) = (free_from(state, left).max(settled_from(state, left)), crate::epochs::current(state).number);
    if current < from {
        return Err(LeaveError::NotYet { from, current });
    }
    // Every node is on the list but a tombstone whose deposit was withdrawn.
    if !operators(state).contains(operator) {
        return Err(LeaveError::Status { operator: *operator, is: "tombstoned, and its deposit withdrawn" });
    }
    let amount = std::mem::take(&mut node.deposit);
    pools::pay_out(state, Pool::Deposits, operator, amount)?;
    if node.status == Status::Tombstoned {
        keys::write(state, &keys::meta_node(operator), &node);
    } else {
        state.delete(&keys::meta_node(operator));
    }
    profiles::record_removed(state, operator);
    forget(state, operator);
    Ok(Event::DepositReturned { operator: *operator, amount })
}

/// Adds to the deposit of a node that applied or is active.
///
/// # Errors
/// [`LeaveError`]; nothing changes then.
pub fn top_up(state: &mut Overlay, operator: &Address, amount: Amount) -> Result<Event, LeaveError> {
    let mut node = read(state, operator).ok_or(LeaveError::Missing(*operator))?;
    if amount == Amount::ZERO {
        return Err(LeaveError::Nothing);
    }
    if matches!(node.status, Status::Leaving | Status::Tombstoned) {
        return Err(LeaveError::Status { operator: *operator, is: node.status.name() });
    }
    pools::pay_in(state, operator, Pool::Deposits, amount)?;
    node.deposit = node.deposit.saturating_add(amount);
    keys::write(state, &keys::meta_node(operator), &node);
    if node.status == Status::Active {
        market::deposit_activated(state, amount);
    }
    Ok(Event::DepositRaised { operator: *operator, amount })
}

/// End of epoch `over`: applications that are too old end, the set that is active in the next epoch is remembered, and those of long ago are forgotten.
pub(crate) fn end_epoch(state: &mut Overlay, over: Epoch) -> Vec<Event> {
    let wait = Parameters::read(state).ballot_epochs;
    let is_late = |node: &MetaNode| node.status == Status::Applicant && over.next().0.saturating_sub(node.since.0) > wait;
    let late: Vec<MetaNode> = nodes(state).into_iter().filter(is_late).collect();
    let events = late.iter().flat_map(|node| give_back(state, node).expect("the pool holds the sum of the deposits (CHAIN-6)")).collect();
    remember(state, over);
    let (kept, old): (Vec<Set>, Vec<Set>) =
        sets(state).into_iter().partition(|set| set.until.is_none_or(|until| over.next().0.saturating_sub(until.0) <= META_SETS_EPOCHS));
    for set in &old {
        state.delete(&keys::meta_set(&set.members));
    }
    if !old.is_empty() {
        keys::write(state, &keys::meta_sets(), &kept);
    }
    events
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
    let record = MetaNode { operator: *operator, node: node.clone(), deposit, status: Status::Applicant, since, left: None };
    check_new(state, &record)?;
    pools::pay_in(state, operator, Pool::Deposits, deposit)?;
    insert(state, &record)?;
    Ok(Event::MetaApplied { operator: *operator, deposit })
}

/// Whether a record can be inserted; gives the operators of those before it.
fn check_new(state: &impl Read, record: &MetaNode) -> Result<Vec<Address>, RegisterError> {
    let operators = operators(state);
    if operators.len() >= META_NODES_MAX {
        return Err(RegisterError::Full(u32::try_from(operators.len()).unwrap_or(u32::MAX)));
    }
    check_record(state, record)?;
    Ok(operators)
}

/// Whether a record can be inserted, if there is room on the list.
fn check_record(state: &impl Read, record: &MetaNode) -> Result<(), RegisterError> {
    check_identity(&record.node)?;
    if read(state, &record.operator).is_some() || crate::resource::is_known(state, &record.operator) {
        return Err(RegisterError::Exists(record.operator));
    }
    // Two nodes with one key would be no set of voters.
    match keys::read::<Address>(state, &keys::meta_key(&record.node.key)) {
        Some(other) if other != record.operator => Err(RegisterError::KeyUsed(other)),
        Some(_) | None => Ok(()),
    }
}

/// Writes a new record and lists it.
pub(crate) fn insert(state: &mut Overlay, record: &MetaNode) -> Result<(), RegisterError> {
    let mut operators = check_new(state, record)?;
    operators.push(record.operator);
    keys::write(state, &keys::meta_nodes(), &operators);
    put(state, record);
    Ok(())
}

fn put(state: &mut Overlay, record: &MetaNode) {
    keys::write(state, &keys::meta_node(&record.operator), record);
    keys::write(state, &keys::meta_key(&record.node.key), &record.operator);
    // One that was gone is none any more.
    state.delete(&keys::resource_node(&record.operator));
}

/// Writes a record of the chain before; a tombstone without a deposit is on no list.
pub(crate) fn take_over(state: &mut Overlay, record: &MetaNode) -> Result<(), RegisterError> {
    if record.status != Status::Tombstoned {
        return insert(state, record);
    }
    check_record(state, record)?;
    put(state, record);
    Ok(())
}
