//! The registry of resource nodes: who offers storage, with what deposit, and where it is found.
//!
//! Keys: `4 n operator` the record; `4 i page` the operators, [`PAGE`] to a page; `4 c` their number. Transactions: `RegisterResource`, `MoveNode`,
//! `TopUpDeposit`, `LeaveRegistry`, `WithdrawDeposit`. End of epoch: candidates become active, and only then does their deposit count in the market.
//!
//! # Life
//! 1. An operator registers a capacity with a deposit; from the next epoch on its node takes part.
//! 2. The meta nodes suspend it by a ballot when it does not do what it offers, and resume it ([`crate::ballots`]). A suspended node is given no new slices, and
//!    its deposit stands behind no ozone.
//! 3. When it leaves, it is given no new slices either, and goes on serving those that it has, for which it is paid, for [`Parameters::exit_epochs`]: the time
//!    in which their owners, or whoever repairs for them, read them and place them anew. Then it withdraws its deposit and is gone. Its key stays, so that what
//!    it carried can be verified as long as somebody may ask.
//!
//! A list in pages of fixed size lets anyone read the whole registry by key, each page with its proof.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Amount, Bytes, Context, Epoch, Hash, Signature};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::market;
use crate::meta_registry::LeaveError;
use crate::parameters::Parameters;
use crate::pools::{self, Pool};
use crate::profiles;
use crate::settlement;
use crate::transaction::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, NodeIdentity, POSSESSION_ROLE};

/// Operators in one page of the list.
pub const PAGE: u32 = 64;
/// Registered resource nodes at most: the metadata ledger reads the whole registry in one proven reading, which fits one transaction and
/// [`crate::ledger::proven::KEYS_MAX`] keys up to here. Reading it in pages will lift this.
pub const RESOURCE_NODES_MAX: u32 = 448;
/// Bytes in a TiB.
const TIB: u64 = 1 << 40;
/// Bytes of a peer id at most.
pub(crate) const PEER_BYTES_MAX: usize = 64;

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// Registered; takes part from the next epoch on.
    Candidate,
    /// Takes part; its deposit counts.
    Active,
    /// Is given no new slices; its deposit does not count.
    Suspended,
    /// Is given no new slices, and serves what it has until it is gone; its deposit does not count.
    Leaving,
    /// On no list any more. Its key is kept for what it carried before, until its operator registers anew.
    Gone,
}

impl Status {
    /// As refusals name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Candidate => "a candidate",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }
}

/// A resource node.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ResourceNode {
    /// Account of the operator; the node's name everywhere.
    pub operator: Address,
    /// Where it is and what it signs with.
    pub node: NodeIdentity,
    /// Bytes offered.
    pub capacity: Bytes,
    /// Deposit in wei.
    pub deposit: Amount,
    /// Where it is in its life.
    pub status: Status,
    /// Epoch of registration.
    pub since: Epoch,
    /// Epoch in which it began to leave, and then the one in which it was gone.
    pub left: Option<Epoch>,
}

impl ResourceNode {
    /// Whether it may have carried in an epoch that is over: a candidate does from the epoch after its registration, a node of genesis from the first. Who is
    /// suspended or leaves still serves.
    pub fn took_part(&self, epoch: Epoch) -> bool {
        let is_over = self.status == Status::Gone && self.left < Some(epoch);
        self.status != Status::Candidate && !is_over && (self.since < epoch || self.since == Epoch::ZERO)
    }
}

/// Why a registration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// One node per operator.
    #[error("{0} already operates a node")]
    Exists(Address),
    /// The sender operates no node.
    #[error("{0} operates no node")]
    Missing(Address),
    /// The key is or was a meta node's.
    #[error("the key is or was that of the meta node of {0}, and is nobody else's")]
    KeyUsed(Address),
    /// The deposit is below the minimum.
    #[error("the deposit is {deposit} wei, this node needs at least {needed} wei")]
    Deposit {
        /// What was offered.
        deposit: Amount,
        /// The minimum.
        needed: Amount,
    },
    /// The capacity is zero.
    #[error("a node must offer at least 1 byte")]
    Capacity,
    /// The key did not sign the operator's address.
    #[error("the node's key did not sign for this operator")]
    Possession,
    /// Too many or too long network addresses, or an impossible peer id.
    #[error(
        "{count} addresses with at most {longest} bytes each and a peer id of {peer} bytes; allowed are 1 to {ADDRESSES_MAX}, {ADDRESS_BYTES_MAX} and 1 to {PEER_BYTES_MAX}"
    )]
    Addresses {
        /// Number of addresses.
        count: usize,
        /// Bytes of the longest.
        longest: usize,
        /// Bytes of the peer id.
        peer: usize,
    },
    /// The registry is full.
    #[error("the registry holds {0} nodes, which is its limit")]
    Full(u32),
    /// The sender cannot pay the deposit.
    #[error(transparent)]
    Money(#[from] pools::MoveError),
}

/// The record of an operator's node.
pub fn read(state: &impl Read, operator: &Address) -> Option<ResourceNode> {
    keys::read(state, &keys::resource_node(operator))
}

/// Whether an operator has a resource node: one that is gone is none any more when all that it may have carried is settled.
pub(crate) fn is_known(state: &impl Read, operator: &Address) -> bool {
    let unsettled = settlement::progress(state).unsettled;
    read(state, operator).is_some_and(|record| record.status != Status::Gone || record.left >= Some(unsettled))
}

/// Whether an operator has a resource node that is not gone.
pub fn operates(state: &impl Read, operator: &Address) -> bool {
    read(state, operator).is_some_and(|record| record.status != Status::Gone)
}

fn count(state: &impl Read) -> u32 {
    keys::read(state, &keys::resource_count()).unwrap_or(0)
}

/// The keys of the list's pages for `count` nodes.
pub fn page_keys(count: u32) -> Vec<Vec<u8>> {
    (0..count.div_ceil(PAGE)).map(keys::resource_page).collect()
}

/// All operators, in the order of registration.
pub fn operators(state: &impl Read) -> Vec<Address> {
    page_keys(count(state)).iter().flat_map(|key| keys::read::<Vec<Address>>(state, key).unwrap_or_default()).collect()
}

/// Checks what every node says about where it is.
pub(crate) fn check_identity(node: &NodeIdentity) -> Result<(), RegisterError> {
    let longest = node.addresses.iter().map(String::len).max().unwrap_or(0);
    let fits = (1..=ADDRESSES_MAX).contains(&node.addresses.len()) && longest <= ADDRESS_BYTES_MAX && (1..=PEER_BYTES_MAX).contains(&node.peer.len());
    if fits { Ok(()) } else { Err(RegisterError::Addresses { count: node.addresses.len(), longest, peer: node.peer.len() }) }
}

/// Checks that the node's key signed for `operator`.
pub(crate) fn check_possession(chain: Hash, operator: &Address, node: &NodeIdentity, possession: &Signature) -> Result<(), RegisterError> {
    let signed = node.key.decode().is_ok_and(|key| key.verify(&Context::new(POSSESSION_ROLE, chain), &operator.0, possession));
    if signed { Ok(()) } else { Err(RegisterError::Possession) }
}

/// Least deposit for a capacity: per begun TiB.
pub fn deposit_min(parameters: &Parameters, capacity: Bytes) -> Amount {
    Amount(parameters.resource_deposit_per_tib.0.saturating_mul(u128::from(capacity.0.div_ceil(TIB))))
}

/// Adds a node as a candidate and takes its deposit.
///
/// # Errors
/// [`RegisterError`]; nothing changes then.
pub fn register(
    state: &mut Overlay,
    chain: Hash,
    operator: &Address,
    node: &NodeIdentity,
    possession: &Signature,
    capacity: Bytes,
    deposit: Amount,
) -> Result<Event, RegisterError> {
    check_possession(chain, operator, node, possession)?;
    let needed = deposit_min(&Parameters::read(state), capacity);
    if capacity == Bytes::ZERO {
        return Err(RegisterError::Capacity);
    }
    if deposit < needed {
        return Err(RegisterError::Deposit { deposit, needed });
    }
    let since = crate::epochs::current(state).number;
    let record = ResourceNode { operator: *operator, node: node.clone(), capacity, deposit, status: Status::Candidate, since, left: None };
    check_new(state, &record)?;
    pools::pay_in(state, operator, Pool::Deposits, deposit)?;
    insert(state, &record)?;
    Ok(Event::ResourceRegistered { operator: *operator, deposit, capacity })
}

/// Whether a record can be inserted; gives the number of those before it.
fn check_new(state: &impl Read, record: &ResourceNode) -> Result<u32, RegisterError> {
    check_identity(&record.node)?;
    let number = count(state);
    if number >= RESOURCE_NODES_MAX {
        return Err(RegisterError::Full(number));
    }
    if is_known(state, &record.operator) || crate::meta_registry::read(state, &record.operator).is_some() {
        return Err(RegisterError::Exists(record.operator));
    }
    Ok(number)
}

/// Writes a new record and lists it.
pub(crate) fn insert(state: &mut Overlay, record: &ResourceNode) -> Result<(), RegisterError> {
    let number = check_new(state, record)?;
    let page = keys::resource_page(number / PAGE);
    let mut operators: Vec<Address> = keys::read(state, &page).unwrap_or_default();
    operators.push(record.operator);
    keys::write(state, &page, &operators);
    keys::write(state, &keys::resource_count(), &number.saturating_add(1));
    keys::write(state, &keys::resource_node(&record.operator), record);
    Ok(())
}

/// Publishes new network addresses of the operator's node, resource or meta.
///
/// # Errors
/// [`RegisterError`]; nothing changes then.
pub fn move_node(state: &mut Overlay, operator: &Address, addresses: &[String]) -> Result<Event, RegisterError> {
    if let Some(mut record) = read(state, operator).filter(|record| record.status != Status::Gone) {
        record.node.addresses = addresses.to_vec();
        check_identity(&record.node)?;
        keys::write(state, &keys::resource_node(operator), &record);
    } else if let Some(mut record) = crate::meta_registry::read(state, operator) {
        record.node.addresses = addresses.to_vec();
        check_identity(&record.node)?;
        keys::write(state, &keys::meta_node(operator), &record);
    } else {
        return Err(RegisterError::Missing(*operator));
    }
    Ok(Event::NodeMoved { operator: *operator })
}

/// Suspends an active node.
pub(crate) fn suspend(state: &mut Overlay, operator: &Address) -> Option<Event> {
    let mut record = read(state, operator).filter(|record| record.status == Status::Active)?;
    record.status = Status::Suspended;
    keys::write(state, &keys::resource_node(operator), &record);
    market::deposit_deactivated(state, record.deposit);
    Some(Event::ResourceSuspended { operator: *operator })
}

/// Lets a suspended node take part again.
pub(crate) fn resume(state: &mut Overlay, operator: &Address) -> Option<Event> {
    let mut record = read(state, operator).filter(|record| record.status == Status::Suspended)?;
    record.status = Status::Active;
    keys::write(state, &keys::resource_node(operator), &record);
    market::deposit_activated(state, record.deposit);
    Some(Event::ResourceActivated { operator: *operator })
}

/// Adds to the deposit of a node that does not leave.
///
/// # Errors
/// [`LeaveError`]; nothing changes then.
pub fn top_up(state: &mut Overlay, operator: &Address, amount: Amount) -> Result<Event, LeaveError> {
    let mut record = read(state, operator).ok_or(LeaveError::Missing(*operator))?;
    if amount == Amount::ZERO {
        return Err(LeaveError::Nothing);
    }
    if matches!(record.status, Status::Leaving | Status::Gone) {
        return Err(LeaveError::Status { operator: *operator, is: record.status.name() });
    }
    pools::pay_in(state, operator, Pool::Deposits, amount)?;
    record.deposit = record.deposit.saturating_add(amount);
    keys::write(state, &keys::resource_node(operator), &record);
    if record.status == Status::Active {
        market::deposit_activated(state, amount);
    }
    Ok(Event::DepositRaised { operator: *operator, amount })
}

/// The sender's node begins to leave.
///
/// # Errors
/// [`LeaveError`]; nothing changes then.
pub fn leave(state: &mut Overlay, operator: &Address) -> Result<Event, LeaveError> {
    let mut record = read(state, operator).ok_or(LeaveError::Missing(*operator))?;
    match record.status {
        Status::Leaving | Status::Gone => return Err(LeaveError::Status { operator: *operator, is: record.status.name() }),
        Status::Active => market::deposit_deactivated(state, record.deposit),
        Status::Candidate | Status::Suspended => {}
    }
    (record.status, record.left) = (Status::Leaving, Some(crate::epochs::current(state).number));
    keys::write(state, &keys::resource_node(operator), &record);
    Ok(Event::ResourceLeft { operator: *operator })
}

/// The first epoch in which a node that leaves can withdraw its deposit.
pub fn free_from(state: &impl Read, left: Epoch) -> Epoch {
    left.saturating_add(Epoch(Parameters::read(state).exit_epochs)).next()
}

/// Pays out the deposit of a node whose time of leaving is over, and strikes it off the list.
///
/// # Errors
/// [`LeaveError`]; nothing changes then.
pub fn withdraw(state: &mut Overlay, operator: &Address) -> Result<Event, LeaveError> {
    let mut record = read(state, operator).ok_or(LeaveError::Missing(*operator))?;
    let left = record.left.filter(|_| record.status == Status::Leaving);
    let left = left.ok_or(LeaveError::Status { operator: *operator, is: record.status.name() })?;
    let (from, current) = (free_from(state, left), crate::epochs::current(state).number);
    if current < from {
        return Err(LeaveError::NotYet { from, current });
    }
    pools::pay_out(state, Pool::Deposits, operator, record.deposit)?;
    // The last of the list takes its place.
    let (mut list, before) = (operators(state), count(state));
    if let Some(at) = list.iter().position(|other| other == operator) {
        list.swap_remove(at);
    }
    for (number, page) in (0u32..).zip(list.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX))) {
        keys::write(state, &keys::resource_page(number), &page);
    }
    let after = u32::try_from(list.len()).unwrap_or(u32::MAX);
    for number in after.div_ceil(PAGE)..before.div_ceil(PAGE) {
        state.delete(&keys::resource_page(number));
    }
    keys::write(state, &keys::resource_count(), &after);
    // The reports of epochs in which it carried are still to be verified, and its own claims may be brought directly.
    let amount = std::mem::take(&mut record.deposit);
    (record.status, record.left) = (Status::Gone, Some(current));
    keys::write(state, &keys::resource_node(operator), &record);
    profiles::record_removed(state, operator);
    Ok(Event::DepositReturned { operator: *operator, amount })
}

/// End of epoch: candidates become active; their deposits join the market's.
pub(crate) fn end_epoch(state: &mut Overlay) -> Vec<Event> {
    let mut events = Vec::new();
    for operator in operators(state) {
        let Some(mut record) = read(state, &operator) else { continue };
        if record.status == Status::Candidate {
            record.status = Status::Active;
            keys::write(state, &keys::resource_node(&operator), &record);
            market::deposit_activated(state, record.deposit);
            events.push(Event::ResourceActivated { operator });
        }
    }
    events
}
