//! Export: the genesis of a new chain that goes on where a running one stands.
//!
//! It is taken of the state after one block, by a walk over it, and says everything that has a worth; the sums of [`crate::invariants`] are compared before, and
//! those of the new chain's block 0 afterwards. Nothing of it needs anybody's signature: who starts the new chain agrees on a block, and everybody who has the
//! state after it makes the same file, byte for byte.
//!
//! # What becomes of what
//! | here | in the new chain |
//! |---|---|
//! | balances | the same; nonces begin at 0, since no transaction of the old chain is one of the new |
//! | stake | what each delegation is worth, in wei, with the same validator; what rounding left over is its operator's |
//! | moved stake | stake like any other: what it answered for cannot be proven any more |
//! | stake on its way out | its owner withdraws it as a reward, as many epochs from now as it had to wait |
//! | what stake earned | its owner withdraws it as a reward, at once |
//! | validators | those with the most stake are the first set, in the order of votes; jail goes on for its epochs; a tombstone stays, and its key is barred |
//! | slashes that wait | carried out now, as if their time had come |
//! | rewards | mature after as many epochs as they had to wait |
//! | active nodes, applicants, candidates, suspended nodes | the same, with their deposits; an application waits anew |
//! | nodes that leave | gone; the deposit is withdrawn as a reward, after as many epochs as it had to wait |
//! | convicted meta nodes | the tombstone stays; what is left of the deposit is withdrawn as that of one that leaves |
//! | profiles | those of the operators of what is still there |
//! | ozone | the same noz at the same cost: the price stays, because deposits and the prepaid pool do |
//! | reserve, mined so far, community pool, burned | the same; wei that rounding left in other pools go to the community pool |
//! | parameters | the same |
//! | open proposals and ballots | over; deposits of proposals go back |
//! | traffic that is not settled | not charged: payers keep the ozone. Whoever exports chooses a block after its settlement, or says so to the carriers ([`Notes`]) |
//! | the base fee, attendance, headers, results of epochs, evidence that nobody brought | begin anew |
//! | files | none: the metadata ledger of the new chain is empty, and what is kept is stored again |
//!
//! Accounts of several keys are named by a hash of them ([`crate::authority`]), so nothing needs to be said of them.

use std::collections::{BTreeMap, BTreeSet};

use borsh::BorshDeserialize;
use pot::curve::Balance;
use primitives::{Address, Amount, Epoch, Hash, Height, Noz, Time};
use state::{Memory, Sealed};

use crate::accounts::Account;
use crate::event::Event;
use crate::genesis::continued::{
    Continued, ContinuedDelegation, ContinuedMeta, ContinuedOzone, ContinuedProfile, ContinuedResource, ContinuedReward, ContinuedValidator, Maturing,
    MetaStanding, ResourceStanding, Standing,
};
use crate::genesis::{Genesis, GenesisAccount, GenesisError, GenesisNode, GenesisValidator};
use crate::invariants::{self, Violation};
use crate::keys;
use crate::meta_registry::{self, MetaNode};
use crate::parameters::Parameters;
use crate::pools::Pools;
use crate::profiles::Profile;
use crate::resource::{self, ResourceNode};
use crate::rewards::Reward;
use crate::staking::delegation::{self, Delegation, worth};
use crate::staking::{self, Validator, redelegation, voters};
use crate::{ballots, epochs, governance, settlement, slashing};

/// The block after which a chain is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Genesis hash of the chain.
    pub chain: Hash,
    /// The block's height.
    pub height: Height,
    /// The block's time, with which the new chain begins.
    pub time: Time,
}

/// What does not go on, for whoever decides whether this is the block to export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Epochs whose traffic is not settled, without the current one: from this one up to, not including, the other.
    pub unsettled: (Epoch, Epoch),
    /// Noz that payers are charged in those, so far, and keep.
    pub uncharged: Noz,
    /// Proposals that end without a decision.
    pub proposals: Vec<u64>,
    /// Ballots that end without a decision.
    pub ballots: usize,
    /// Slashes that are carried out early.
    pub slashes: usize,
}

/// A genesis that continues a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The file.
    pub genesis: Genesis,
    /// What does not go on.
    pub notes: Notes,
}

/// Why a chain is not exported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Its sums are wrong already.
    #[error("the state after block {height} is not worth continuing: {cause}")]
    Violation {
        /// The block.
        height: Height,
        /// What is wrong.
        cause: Violation,
    },
    /// A value that is none of this program's.
    #[error(transparent)]
    Value(Violation),
    /// The new chain would not begin.
    #[error("a chain that continues from block {height} cannot begin: {cause}")]
    Genesis {
        /// The block.
        height: Height,
        /// Why.
        cause: GenesisError,
    },
    /// The new chain would begin with wrong sums.
    #[error("a chain that continues from block {height} would begin with wrong sums: {cause}")]
    Sums {
        /// The block.
        height: Height,
        /// What would be wrong.
        cause: Violation,
    },
}

/// What somebody withdraws as a reward.
#[derive(Default)]
struct Owed {
    mature: Amount,
    maturing: BTreeMap<Epoch, Amount>,
}

/// What is owed to everybody, by the number of epochs that it waits.
#[derive(Default)]
struct Debts {
    all: BTreeMap<Address, Owed>,
    /// Sum of it.
    sum: Amount,
}

impl Debts {
    fn add(&mut self, owner: &Address, wait: Epoch, amount: Amount) {
        if amount == Amount::ZERO {
            return;
        }
        self.sum = self.sum.saturating_add(amount);
        let owed = self.all.entry(*owner).or_default();
        let slot = if wait == Epoch::ZERO { &mut owed.mature } else { owed.maturing.entry(wait).or_default() };
        *slot = slot.saturating_add(amount);
    }

    fn into_rewards(self) -> Vec<ContinuedReward> {
        let maturing = |parts: BTreeMap<Epoch, Amount>| parts.into_iter().map(|(epoch, amount)| Maturing { epoch, amount }).collect();
        self.all.into_iter().map(|(owner, owed)| ContinuedReward { owner, mature: owed.mature, maturing: maturing(owed.maturing) }).collect()
    }
}

/// Shows every value of a table with the fields of its key.
fn each<T: BorshDeserialize>(state: &Sealed, room: u8, table: u8, mut show: impl FnMut(&[u8], T)) -> Result<(), ExportError> {
    let mut failed = None;
    let prefix = keys::key(room, table, &[]);
    state.scan_while(&prefix, |key, bytes| match invariants::value(key, bytes) {
        Ok(value) => {
            show(key.get(prefix.len()..).unwrap_or_default(), value);
            true
        }
        Err(violation) => {
            failed = Some(violation);
            false
        }
    });
    failed.map_or(Ok(()), |violation| Err(ExportError::Value(violation)))
}

/// The address that begins at `at` in a key's fields.
fn address(fields: &[u8], at: usize) -> Option<Address> {
    fields.get(at..).and_then(invariants::address)
}

/// The genesis of a chain called `name` that goes on where `state` stands, and what does not go on.
///
/// Takes the time of reading every value several times, and memory for the whole file and the whole state of the new chain.
///
/// # Errors
/// [`ExportError`]; of a state whose sums hold only if nobody can vote in the new chain.
pub fn export(state: &Sealed, point: &Point, name: &str) -> Result<Export, ExportError> {
    let height = point.height;
    invariants::check(state).map_err(|cause| ExportError::Violation { height, cause })?;
    let root = state.root().root;
    let mut ended = state.child();
    let proposals = governance::dissolve(&mut ended);
    let slashed = slashing::slash_now(&mut ended);
    let state = ended.seal();
    let mut notes = Notes { proposals, ballots: ballots::open(&state).len(), ..Notes::default() };
    notes.slashes = slashed.iter().filter(|event| matches!(event, Event::ValidatorSlashed { .. })).count();
    let progress = settlement::progress(&state);
    let current = epochs::current(&state).number;
    notes.unsettled = (progress.unsettled, current);
    // Of an epoch and a payer.
    each(&state, 5, b'y', |_, noz: Noz| notes.uncharged = notes.uncharged.saturating_add(noz))?;

    let pools = Pools::read(&state);
    let wait = |from: Epoch| from.saturating_sub(current);
    let mut debts = Debts::default();
    each(&state, 5, b'r', |fields, reward: Reward| {
        let Some(owner) = address(fields, 0) else { return };
        debts.add(&owner, Epoch::ZERO, reward.mature);
        reward.maturing.iter().for_each(|(from, amount)| debts.add(&owner, wait(*from), *amount));
    })?;
    let stakes = stakes(&state, &mut debts, wait)?;
    // What rounding left with the validators and in the pool of stake on its way out.
    let rest = pools.rewards.saturating_add(pools.unbonding).saturating_sub(debts.sum);
    let nodes = nodes(&state, &mut debts, wait)?;
    let (mut accounts, mut ozone) = (Vec::new(), Vec::new());
    each(&state, 1, b'a', |fields, account: Account| {
        if let Some(address) = address(fields, 0).filter(|_| account.balance > Amount::ZERO) {
            accounts.push(GenesisAccount { address, balance: account.balance, ozone_for: Amount::ZERO });
        }
    })?;
    each(&state, 5, b'o', |fields, Balance { noz, cost }| {
        if let Some(owner) = address(fields, 0).filter(|_| (noz, cost) != (Noz::ZERO, Amount::ZERO)) {
            ozone.push(ContinuedOzone { owner, noz, cost });
        }
    })?;
    let validators = stakes.first.iter().chain(stakes.others.iter().map(|entry| &entry.validator)).map(|entry| entry.operator);
    let metas = nodes.active_metas.iter().chain(nodes.metas.iter().map(|entry| &entry.node));
    let carriers = nodes.active_carriers.iter().chain(nodes.carriers.iter().map(|entry| &entry.node));
    let operators: BTreeSet<Address> = validators.chain(metas.chain(carriers).map(|entry| entry.operator)).collect();
    let mut profiles = Vec::new();
    each(&state, 1, b'd', |fields, profile: Profile| {
        let operator = address(fields, 0).filter(|operator| operators.contains(operator));
        profiles.extend(operator.map(|operator| ContinuedProfile { operator, profile }));
    })?;
    let continued = Continued {
        chain: point.chain,
        height,
        root,
        mined: progress.mined,
        community: pools.community.saturating_add(rest),
        burned: pools.burned,
        validators: stakes.others,
        delegations: stakes.delegations,
        meta_nodes: nodes.metas,
        resource_nodes: nodes.carriers,
        ozone,
        rewards: debts.into_rewards(),
        profiles,
    };
    let genesis = Genesis {
        name: name.to_owned(),
        time: point.time,
        parameters: Parameters::read(&state),
        reserve: pools.reserve,
        accounts,
        validators: stakes.first,
        meta_nodes: nodes.active_metas,
        resource_nodes: nodes.active_carriers,
        continued: Some(continued),
    };
    let (_, executed) = genesis.execute(&Memory::new()).map_err(|cause| ExportError::Genesis { height, cause })?;
    invariants::check(&executed.state).map_err(|cause| ExportError::Sums { height, cause })?;
    Ok(Export { genesis, notes })
}

/// All stake.
struct Stakes {
    /// The first set.
    first: Vec<GenesisValidator>,
    others: Vec<ContinuedValidator>,
    delegations: Vec<ContinuedDelegation>,
}

/// What every delegation is worth; what it earned, and what is on its way out, are debts.
fn stakes(state: &Sealed, debts: &mut Debts, wait: impl Fn(Epoch) -> Epoch) -> Result<Stakes, ExportError> {
    let mut validators: BTreeMap<Address, Validator> = BTreeMap::new();
    each(state, 2, b'n', |_, validator: Validator| {
        validators.insert(validator.operator, validator);
    })?;
    let mut of_others: BTreeMap<Address, Amount> = BTreeMap::new();
    let mut delegations = Vec::new();
    each(state, 2, b'd', |fields, held: Delegation| {
        let (Some(operator), Some(delegator)) = (address(fields, 0), address(fields, 20)) else { return };
        let Some(validator) = validators.get(&operator) else { return };
        debts.add(&delegator, Epoch::ZERO, delegation::earned(state, validator, &held));
        for (left, shares) in &held.leaving {
            let pot = delegation::leaving(state, &operator, *left);
            debts.add(&delegator, wait(delegation::due_from(state, &operator, *left)), worth(*shares, pot.amount, pot.shares));
        }
        let own = worth(held.shares, validator.stake, validator.shares);
        let amount = held.moved.iter().map(|part| redelegation::held(state, validator, part).0).fold(own, Amount::saturating_add);
        // The operator has what the others have not.
        if operator != delegator && amount > Amount::ZERO {
            let sum = of_others.entry(operator).or_default();
            *sum = sum.saturating_add(amount);
            delegations.push(ContinuedDelegation { validator: operator, delegator, amount });
        }
    })?;
    let genesis = |validator: &Validator| GenesisValidator {
        operator: validator.operator,
        key: validator.key,
        stake: validator.stake.saturating_sub(of_others.get(&validator.operator).copied().unwrap_or_default()),
        commission: validator.commission,
    };
    let next = voters::next(state);
    let first = next.iter().filter_map(|voter| validators.get(&voter.operator)).map(genesis).collect();
    let others = validators
        .values()
        .filter(|validator| next.iter().all(|voter| voter.operator != validator.operator))
        .map(|validator| ContinuedValidator {
            validator: genesis(validator),
            status: match validator.status {
                staking::Status::Candidate => Standing::Candidate,
                staking::Status::Jailed { until } => Standing::Jailed(wait(until)),
                staking::Status::Tombstoned { .. } => Standing::Tombstoned,
            },
        })
        .collect();
    Ok(Stakes { first, others, delegations })
}

/// Both registries.
#[derive(Default)]
struct Nodes {
    active_metas: Vec<GenesisNode>,
    metas: Vec<ContinuedMeta>,
    active_carriers: Vec<GenesisNode>,
    carriers: Vec<ContinuedResource>,
}

/// All nodes, in the order of their lists; the deposits of those that leave are debts.
fn nodes(state: &Sealed, debts: &mut Debts, wait: impl Fn(Epoch) -> Epoch) -> Result<Nodes, ExportError> {
    let mut nodes = Nodes::default();
    // A tombstone whose deposit was withdrawn is on no list.
    let mut convicted = BTreeMap::new();
    each(state, 3, b'n', |_, node: MetaNode| {
        if node.status == meta_registry::Status::Tombstoned {
            convicted.insert(node.operator, node);
        }
    })?;
    for node in meta_registry::nodes(state) {
        match node.status {
            meta_registry::Status::Active => nodes.active_metas.push(of_meta(&node, node.deposit)),
            meta_registry::Status::Applicant => nodes.metas.push(ContinuedMeta { node: of_meta(&node, node.deposit), status: MetaStanding::Applicant }),
            meta_registry::Status::Leaving | meta_registry::Status::Tombstoned => {
                let free = node.left.map_or(Epoch::ZERO, |left| meta_registry::free_from(state, left));
                debts.add(&node.operator, wait(free), node.deposit);
            }
        }
    }
    let tombstone = |node: &MetaNode| ContinuedMeta { node: of_meta(node, Amount::ZERO), status: MetaStanding::Tombstoned };
    nodes.metas.extend(convicted.values().map(tombstone));
    for node in resource::operators(state).iter().filter_map(|operator| resource::read(state, operator)) {
        match node.status {
            resource::Status::Active => nodes.active_carriers.push(of_carrier(node)),
            resource::Status::Candidate => nodes.carriers.push(ContinuedResource { node: of_carrier(node), status: ResourceStanding::Candidate }),
            resource::Status::Suspended => nodes.carriers.push(ContinuedResource { node: of_carrier(node), status: ResourceStanding::Suspended }),
            resource::Status::Leaving | resource::Status::Gone => {
                let free = node.left.map_or(Epoch::ZERO, |left| resource::free_from(state, left));
                debts.add(&node.operator, wait(free), node.deposit);
            }
        }
    }
    Ok(nodes)
}

fn of_meta(node: &MetaNode, deposit: Amount) -> GenesisNode {
    let MetaNode { operator, node, .. } = node.clone();
    GenesisNode { operator, key: node.key, peer: node.peer, addresses: node.addresses, deposit, capacity: primitives::Bytes::ZERO }
}

fn of_carrier(record: ResourceNode) -> GenesisNode {
    let ResourceNode { operator, node, capacity, deposit, .. } = record;
    GenesisNode { operator, key: node.key, peer: node.peer, addresses: node.addresses, deposit, capacity }
}
