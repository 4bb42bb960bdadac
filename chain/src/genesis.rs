//! Genesis: a file that says how a network begins. Its hash is the network's name; whoever has the file can verify everything after it.
//!
//! A network begins from nothing, with accounts, stake and deposits; or it continues another one, of which the file then says everything ([`continued`],
//! [`crate::export`]). `docs/genesis.md` lists every field; it is made of the comments here, and a test compares.

pub mod continued;
#[cfg(test)]
mod docs;

use std::collections::BTreeMap;

use borsh::BorshSerialize;
use consensus::block::Header;
use consensus::members::Members;
use primitives::{Address, Amount, Bytes, Epoch, Hash, Height, Noz, PublicKey, Time};
use serde::{Deserialize, Serialize};
use state::{Overlay, Sealed};

use crate::epochs::Current;
use crate::ledger::history::Range;
use crate::ledger::{Body, Executed, Summary};
use crate::parameters::{ParameterError, Parameters};
use crate::pools::{self, Pool};
use crate::staking::Commission;
use crate::transaction::NodeIdentity;
use crate::{accounts, keys, market, meta_registry, resource, settlement, staking};

pub use continued::Continued;

/// Every coin there is, in wei.
pub const TOTAL_SUPPLY: Amount = Amount::stos(100_000_000);
/// Letters of a network's name.
const NAME_MAX: usize = 32;

/// An account that exists from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Its address.
    pub address: Address,
    /// Its coins in wei, before it buys ozone.
    pub balance: Amount,
    /// How many of them, in wei, buy ozone on the curve, in the order of this list.
    pub ozone_for: Amount,
}

/// A validator of the first set.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// Account of the operator.
    pub operator: Address,
    /// Key of its votes.
    pub key: PublicKey,
    /// Its own stake in wei.
    pub stake: Amount,
    /// Part of its delegators' rewards that it keeps.
    pub commission: Commission,
}

/// A node of the first registries.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisNode {
    /// Account of the operator.
    pub operator: Address,
    /// Key it signs with.
    pub key: PublicKey,
    /// Network identity, bytes of the peer id.
    pub peer: Vec<u8>,
    /// Network addresses.
    pub addresses: Vec<String>,
    /// Deposit in wei.
    pub deposit: Amount,
    /// Bytes offered; 0 for a meta node.
    pub capacity: Bytes,
}

/// How a network begins.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Name of the network: lower-case letters, digits and hyphens.
    pub name: String,
    /// Time of block 0, ms since the Unix epoch.
    pub time: Time,
    /// The parameters.
    pub parameters: Parameters,
    /// The foundation's reserve for mining rewards, in wei.
    pub reserve: Amount,
    /// Accounts with coins.
    pub accounts: Vec<GenesisAccount>,
    /// The first validator set, in the order of votes.
    pub validators: Vec<GenesisValidator>,
    /// The first meta nodes, in the order of votes; active.
    pub meta_nodes: Vec<GenesisNode>,
    /// The first resource nodes; active.
    pub resource_nodes: Vec<GenesisNode>,
    /// What is taken over from another network; left out by one that begins from nothing.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued: Option<Continued>,
}

/// What is wrong with a genesis file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The name.
    #[error("the name `{0}` is not 1 to {NAME_MAX} lower-case letters, digits and hyphens")]
    Name(String),
    /// The coins do not add up.
    #[error("all coins sum to {sum} wei, they must sum to {TOTAL_SUPPLY} wei: {} wei too {}", sum.0.abs_diff(TOTAL_SUPPLY.0), if *sum < TOTAL_SUPPLY { "few" } else { "many" })]
    Supply {
        /// What they sum to.
        sum: Amount,
    },
    /// The validators or meta nodes form no member set.
    #[error("`{0}` are no set of members: {1}")]
    Members(&'static str, String),
    /// An entry of a list.
    #[error("{list} entry {index}: {cause}")]
    Entry {
        /// Which list.
        list: &'static str,
        /// Position in it.
        index: usize,
        /// What is wrong.
        cause: String,
    },
    /// A parameter.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

impl GenesisError {
    /// Where in the file it is: `accounts[3]`, `parameters.epoch_ms`; nothing if all of it is meant.
    pub fn path(&self) -> String {
        match self {
            Self::Name(_) => "name".into(),
            Self::Supply { .. } => String::new(),
            Self::Members(list, _) => (*list).into(),
            Self::Entry { list, index, .. } => format!("{list}[{index}]"),
            Self::Parameter(error) => format!("parameters.{}", error.name()),
        }
    }
}

/// `name-` and the first eight digits of the hash.
pub fn chain_id(name: &str, chain: &Hash) -> String {
    format!("{name}-{}", network(chain))
}

/// The first eight digits of the hash: part of every protocol's name.
pub fn network(chain: &Hash) -> String {
    chain.to_string().chars().take(8).collect()
}

impl Genesis {
    /// The network's identity: every signature covers it.
    pub fn hash(&self) -> Hash {
        match &self.continued {
            None => Hash::of_value("genesis", self),
            Some(continued) => Hash::of_value("genesis that continues", &(self, continued)),
        }
    }

    /// [`chain_id`] of this file.
    pub fn chain_id(&self) -> String {
        chain_id(&self.name, &self.hash())
    }

    /// [`network`] of this file.
    pub fn network(&self) -> String {
        network(&self.hash())
    }

    /// The first validator set.
    ///
    /// # Errors
    /// [`GenesisError::Members`].
    pub fn validator_members(&self) -> Result<Members, GenesisError> {
        staking::members(&self.voters()).map_err(|error| GenesisError::Members("validators", error.to_string()))
    }

    /// The first member set of the metadata ledger.
    ///
    /// # Errors
    /// [`GenesisError::Members`].
    pub fn meta_members(&self) -> Result<Members, GenesisError> {
        meta_registry::members(&self.metas()).map_err(|error| GenesisError::Members("meta_nodes", error.to_string()))
    }

    fn voters(&self) -> Vec<staking::Voter> {
        let delegated = self.continued.as_ref().map(Continued::delegated).unwrap_or_default();
        let stake = |entry: &GenesisValidator| entry.stake.saturating_add(delegated.get(&entry.operator).copied().unwrap_or_default());
        self.validators.iter().map(|entry| staking::Voter { operator: entry.operator, key: entry.key, stake: stake(entry) }).collect()
    }

    fn metas(&self) -> Vec<meta_registry::MetaNode> {
        let status = meta_registry::Status::Active;
        let record = |entry: &GenesisNode| meta_registry::MetaNode {
            operator: entry.operator,
            node: identity(entry),
            deposit: entry.deposit,
            status,
            since: Epoch::ZERO,
            left: None,
        };
        self.meta_nodes.iter().map(record).collect()
    }

    /// Checks the file and writes block 0 onto an empty tree.
    ///
    /// # Errors
    /// [`GenesisError`] names the entry.
    pub fn execute(&self, empty: &Sealed) -> Result<(Header, Executed), GenesisError> {
        self.check()?;
        let mut state = empty.child();
        self.write(&mut state)?;
        let history = Range::default();
        keys::write(&mut state, &keys::history(), &history);
        let state = state.seal();
        let summary = Summary::genesis(state.root(), self.parameters.base_fee_min, self.parameters.units_limit, history.root());
        let header = Header::genesis(self.hash(), &self.validator_members()?, self.time, summary.digest());
        let body = Body { summary, evidence: Vec::new(), transactions: Vec::new() };
        Ok((header, Executed { state, body, receipts: Vec::new(), logs: Vec::new(), next: None }))
    }

    fn check(&self) -> Result<(), GenesisError> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.bytes().all(is_name) {
            return Err(GenesisError::Name(self.name.chars().take(80).collect()));
        }
        self.parameters.check()?;
        self.meta_members()?;
        if self.validators.len() > staking::VALIDATORS_MAX {
            let cause = format!("{} of them, at most {} are allowed", self.validators.len(), staking::VALIDATORS_MAX);
            return Err(GenesisError::Members("validators", cause));
        }
        // Rewards and stakes are kept by operator, nodes are known by their keys.
        let operators = self.validators.iter().enumerate().map(|(index, entry)| ("validators", index, entry.operator));
        distinct(operators, |operator, at| format!("{operator} operates validator {at} already"))?;
        // Whoever is to vote or sign later must be able to.
        let listed = |list, entries: &[GenesisNode]| entries.iter().enumerate().map(|(index, node)| (list, index, node.key)).collect::<Vec<_>>();
        let keys = listed("resource_nodes", &self.resource_nodes).into_iter().chain(self.continued.iter().flat_map(Continued::keys));
        for (list, index, key) in keys {
            key.decode().map_err(|error| GenesisError::Entry { list, index, cause: error.to_string() })?;
        }
        // A running chain takes resource nodes with whatever key they prove.
        if self.continued.is_none() {
            let keys = [listed("meta_nodes", &self.meta_nodes), listed("resource_nodes", &self.resource_nodes)].concat();
            distinct(keys.into_iter(), |key, at| format!("{key} is the key of node {at} already, counting meta nodes before resource nodes"))?;
        }
        let sums = self.accounts.iter().map(|entry| entry.balance);
        let sums = sums.chain(self.validators.iter().map(|entry| entry.stake));
        let sums = sums.chain(self.meta_nodes.iter().chain(&self.resource_nodes).map(|entry| entry.deposit));
        let sums = sums.chain(self.continued.iter().flat_map(Continued::amounts));
        let sum = sums.chain([self.reserve]).try_fold(Amount::ZERO, Amount::checked_add).unwrap_or(Amount::MAX);
        if sum == TOTAL_SUPPLY { Ok(()) } else { Err(GenesisError::Supply { sum }) }
    }

    fn write(&self, state: &mut Overlay) -> Result<(), GenesisError> {
        let entry = |list, index, cause: String| GenesisError::Entry { list, index, cause };
        keys::write(state, &keys::parameters(), &self.parameters);
        let seed = Hash::of("beacon", &[self.hash().as_bytes()]);
        keys::write(state, &keys::epoch(), &Current { number: Epoch::ZERO, started: self.time, seed, beacon: seed });
        settlement::genesis(state, self.continued.as_ref().map(|continued| continued.mined).unwrap_or_default());
        let voters = self.voters();
        for (index, (validator, voter)) in self.validators.iter().zip(&voters).enumerate() {
            let record = staking::own(validator.operator, validator.key, voter.stake, validator.commission);
            staking::insert(state, &record, validator.stake).map_err(|error| entry("validators", index, error.to_string()))?;
            pools::mint_into_pool(state, Pool::Stake, record.stake);
        }
        keys::write(state, &keys::voters(), &voters);
        pools::mint_into_pool(state, Pool::Reserve, self.reserve);
        for (index, record) in self.metas().iter().enumerate() {
            meta_registry::insert(state, record).map_err(|error| entry("meta_nodes", index, error.to_string()))?;
            pools::mint_into_pool(state, Pool::Deposits, record.deposit);
            market::deposit_activated(state, record.deposit);
        }
        meta_registry::genesis(state);
        for (index, node) in self.resource_nodes.iter().enumerate() {
            let record = carrier(node, resource::Status::Active);
            resource::insert(state, &record).map_err(|error| entry("resource_nodes", index, error.to_string()))?;
            pools::mint_into_pool(state, Pool::Deposits, record.deposit);
            market::deposit_activated(state, record.deposit);
        }
        if let Some(continued) = &self.continued {
            continued.write(state)?;
        }
        for (index, account) in self.accounts.iter().enumerate() {
            if accounts::read(state, &account.address) != accounts::Account::default() {
                return Err(entry("accounts", index, format!("{} is there twice", account.address)));
            }
            accounts::give(state, &account.address, account.balance);
        }
        for (index, account) in self.accounts.iter().enumerate().filter(|(_, account)| account.ozone_for > Amount::ZERO) {
            market::buy(state, Height::ZERO, &account.address, account.ozone_for, Noz(1), Height::ZERO, &account.address)
                .map_err(|error| entry("accounts", index, error.to_string()))?;
        }
        Ok(())
    }
}

/// Refuses the second of two equal values; `cause` gets the value and the position of the first.
fn distinct<T: Ord + Copy>(values: impl Iterator<Item = (&'static str, usize, T)>, cause: impl Fn(T, usize) -> String) -> Result<(), GenesisError> {
    let mut seen = BTreeMap::new();
    for (at, (list, index, value)) in values.enumerate() {
        if let Some(first) = seen.insert(value, at) {
            return Err(GenesisError::Entry { list, index, cause: cause(value, first) });
        }
    }
    Ok(())
}

fn identity(entry: &GenesisNode) -> NodeIdentity {
    NodeIdentity { key: entry.key, peer: entry.peer.clone(), addresses: entry.addresses.clone() }
}

fn carrier(entry: &GenesisNode, status: resource::Status) -> resource::ResourceNode {
    let (node, since, left) = (identity(entry), Epoch::ZERO, None);
    resource::ResourceNode { operator: entry.operator, node, capacity: entry.capacity, deposit: entry.deposit, status, since, left }
}

/// The identity of the metadata ledger that belongs to a value ledger.
pub fn meta_chain(value: Hash) -> Hash {
    Hash::of("metadata ledger", &[value.as_bytes()])
}
