//! What a chain takes over from the one that it continues: all that [`crate::export`] found there, and that a network that begins from nothing has no words for.
//!
//! Epochs are counted anew: an epoch here is the number of epochs that are still to pass. What is to be waited for is waited for as long as before; what has an
//! answer to give has it no more, since every signature names its chain and none of the old one counts here. So stake that moved between validators is stake like
//! any other, and stake on its way out, deposits of nodes that leave, and rewards are one thing: coins that their owner withdraws as a reward from an epoch on.

use std::collections::BTreeMap;

use borsh::BorshSerialize;
use pot::curve::Balance;
use primitives::{Address, Amount, Epoch, Hash, Height, Noz, PublicKey};
use serde::{Deserialize, Serialize};
use state::Overlay;

use super::{GenesisError, GenesisNode, GenesisValidator, identity};
use crate::pools::{self, Pool};
use crate::profiles::{self, Profile};
use crate::rewards::{self, Reward};
use crate::staking::{self, delegation};
use crate::{market, meta_registry, resource};

/// Times at which an account's rewards mature, at most: every epoch of the longest maturity, and [`FAR_MAX`] for stake and deposits. What it earns later matures within
/// the longest maturity, so its record stays as short, and can be read.
pub const MATURING_MAX: usize = 36_864;
/// Of them those after the longest maturity, at most.
pub const FAR_MAX: usize = 4_096;
const _: () = assert!(rewards::MATURE_EPOCHS_MAX <= (MATURING_MAX - FAR_MAX) as u64);
// An entry has 24 bytes.
const _: () = assert!((MATURING_MAX + 1) * 24 < crate::keys::VALUE_BYTES_MAX);

/// What is taken over from the chain before.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continued {
    /// Genesis hash of the chain that is continued.
    pub chain: Hash,
    /// Its last block that counts.
    pub height: Height,
    /// Root of its state after that block.
    pub root: Hash,
    /// Mined so far, in wei: the schedule of mining rewards goes on there.
    pub mined: Amount,
    /// The community pool, in wei.
    pub community: Amount,
    /// Burned so far, in wei.
    pub burned: Amount,
    /// Validators that are not in the first set.
    pub validators: Vec<ContinuedValidator>,
    /// Stake of others than the operators, each pair once.
    pub delegations: Vec<ContinuedDelegation>,
    /// Meta nodes that are not active.
    pub meta_nodes: Vec<ContinuedMeta>,
    /// Resource nodes that are not active.
    pub resource_nodes: Vec<ContinuedResource>,
    /// Ozone that was bought and not used, each owner once.
    pub ozone: Vec<ContinuedOzone>,
    /// What was earned, or is on its way out, and not withdrawn; each owner once.
    pub rewards: Vec<ContinuedReward>,
    /// What operators say about themselves, each operator once.
    pub profiles: Vec<ContinuedProfile>,
}

/// Whether a validator may vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Standing {
    /// It may be in the next set.
    Candidate,
    /// It was away, and can ask to come back once this epoch is over.
    Jailed(Epoch),
    /// It contradicted itself and never votes again; its stake can be taken out.
    Tombstoned,
}

/// A validator that is not in the first set.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuedValidator {
    /// Its key, its operator and that one's own stake, which may be 0.
    pub validator: GenesisValidator,
    /// Whether it may vote.
    pub status: Standing,
}

/// Stake of somebody with somebody else's validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuedDelegation {
    /// Operator of the validator.
    pub validator: Address,
    /// Whose stake it is.
    pub delegator: Address,
    /// How much, in wei.
    pub amount: Amount,
}

/// Where a meta node is in its life that is not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetaStanding {
    /// It waits for the votes of the active; its time of waiting begins anew.
    Applicant,
    /// It was convicted and is never a member again; it has no deposit here.
    Tombstoned,
}

/// A meta node that is not active.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuedMeta {
    /// The node.
    pub node: GenesisNode,
    /// Where it is in its life.
    pub status: MetaStanding,
}

/// Where a resource node is in its life that is not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceStanding {
    /// It takes part from the next epoch on.
    Candidate,
    /// It is given no new slices until the meta nodes resume it.
    Suspended,
}

/// A resource node that is not active.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuedResource {
    /// The node.
    pub node: GenesisNode,
    /// Where it is in its life.
    pub status: ResourceStanding,
}

/// An account's ozone.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuedOzone {
    /// Whose.
    pub owner: Address,
    /// How much, in noz.
    pub noz: Noz,
    /// What was paid for it, in wei.
    pub cost: Amount,
}

/// Coins that an account withdraws as rewards.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuedReward {
    /// Whose.
    pub owner: Address,
    /// What can be withdrawn at once, in wei.
    pub mature: Amount,
    /// What can be withdrawn later, by epoch, ascending.
    pub maturing: Vec<Maturing>,
}

/// Coins that can be withdrawn later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maturing {
    /// The first epoch in which they can.
    pub epoch: Epoch,
    /// How many, in wei.
    pub amount: Amount,
}

/// What an operator says about itself.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuedProfile {
    /// Who; it operates a validator or a node of this file.
    pub operator: Address,
    /// What it says.
    pub profile: Profile,
}

impl ContinuedReward {
    fn sum(&self) -> Amount {
        self.maturing.iter().map(|part| part.amount).fold(self.mature, Amount::saturating_add)
    }
}

impl Continued {
    /// Every amount that the supply counts.
    pub(super) fn amounts(&self) -> impl Iterator<Item = Amount> {
        let nodes = self.meta_nodes.iter().map(|entry| entry.node.deposit).chain(self.resource_nodes.iter().map(|entry| entry.node.deposit));
        let staked = self.validators.iter().map(|entry| entry.validator.stake).chain(self.delegations.iter().map(|entry| entry.amount));
        let owned = self.ozone.iter().map(|entry| entry.cost).chain(self.rewards.iter().map(ContinuedReward::sum));
        [self.community, self.burned].into_iter().chain(nodes).chain(staked).chain(owned)
    }

    /// The keys of what is taken over, with the list and the place of each.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'static str, usize, PublicKey)> {
        let validators = self.validators.iter().enumerate().map(|(index, entry)| ("continued.validators", index, entry.validator.key));
        let metas = self.meta_nodes.iter().enumerate().map(|(index, entry)| ("continued.meta_nodes", index, entry.node.key));
        let carriers = self.resource_nodes.iter().enumerate().map(|(index, entry)| ("continued.resource_nodes", index, entry.node.key));
        validators.chain(metas).chain(carriers)
    }

    /// What others than its operator have with each validator.
    pub(super) fn delegated(&self) -> BTreeMap<Address, Amount> {
        let mut sums = BTreeMap::new();
        for ContinuedDelegation { validator, amount, .. } in &self.delegations {
            let sum: &mut Amount = sums.entry(*validator).or_default();
            *sum = sum.saturating_add(*amount);
        }
        sums
    }

    /// Writes all of it; the first set and the active nodes are there.
    pub(super) fn write(&self, state: &mut Overlay) -> Result<(), GenesisError> {
        let entry = |list, index, cause: String| GenesisError::Entry { list, index, cause };
        let delegated = self.delegated();
        for (index, ContinuedValidator { validator, status }) in self.validators.iter().enumerate() {
            let of_others = delegated.get(&validator.operator).copied().unwrap_or_default();
            let mut record = staking::own(validator.operator, validator.key, validator.stake.saturating_add(of_others), validator.commission);
            record.status = match *status {
                Standing::Candidate => staking::Status::Candidate,
                Standing::Jailed(until) => staking::Status::Jailed { until },
                Standing::Tombstoned => staking::Status::Tombstoned { offence: Epoch::ZERO, until: Epoch::ZERO },
            };
            staking::take_over(state, &record, validator.stake).map_err(|error| entry("continued.validators", index, error.to_string()))?;
            pools::mint_into_pool(state, Pool::Stake, record.stake);
        }
        for (index, ContinuedDelegation { validator, delegator, amount }) in self.delegations.iter().enumerate() {
            let fail = |cause: String| entry("continued.delegations", index, cause);
            if staking::read(state, validator).is_none() {
                return Err(fail(format!("{validator} operates no validator of this file")));
            }
            if validator == delegator {
                return Err(fail(format!("{delegator} is the validator's operator, whose own stake is the validator's `stake`")));
            }
            if *amount == Amount::ZERO {
                return Err(fail("it is of 0 wei".into()));
            }
            if !delegation::take_over(state, validator, delegator, *amount) {
                return Err(fail(format!("the stake of {delegator} with {validator} is there twice")));
            }
        }
        for (index, ContinuedMeta { node, status }) in self.meta_nodes.iter().enumerate() {
            let fail = |cause: String| entry("continued.meta_nodes", index, cause);
            let status = match status {
                MetaStanding::Applicant => meta_registry::Status::Applicant,
                MetaStanding::Tombstoned if node.deposit > Amount::ZERO => {
                    return Err(fail(format!("a tombstone with a deposit of {} wei: what is left of it belongs to `rewards`", node.deposit)));
                }
                MetaStanding::Tombstoned => meta_registry::Status::Tombstoned,
            };
            let left = (status == meta_registry::Status::Tombstoned).then_some(Epoch::ZERO);
            let record = meta_registry::MetaNode { operator: node.operator, node: identity(node), deposit: node.deposit, status, since: Epoch::ZERO, left };
            meta_registry::take_over(state, &record).map_err(|error| fail(error.to_string()))?;
            pools::mint_into_pool(state, Pool::Deposits, node.deposit);
        }
        for (index, ContinuedResource { node, status }) in self.resource_nodes.iter().enumerate() {
            let status = match status {
                ResourceStanding::Candidate => resource::Status::Candidate,
                ResourceStanding::Suspended => resource::Status::Suspended,
            };
            resource::insert(state, &super::carrier(node, status)).map_err(|error| entry("continued.resource_nodes", index, error.to_string()))?;
            pools::mint_into_pool(state, Pool::Deposits, node.deposit);
        }
        for (index, ContinuedOzone { owner, noz, cost }) in self.ozone.iter().enumerate() {
            if market::ozone(state, owner) != Balance::default() {
                return Err(entry("continued.ozone", index, format!("the ozone of {owner} is there twice")));
            }
            market::take_over(state, owner, &Balance { noz: *noz, cost: *cost });
            pools::mint_into_pool(state, Pool::Prepaid, *cost);
        }
        for (index, reward) in self.rewards.iter().enumerate() {
            let fail = |cause: String| entry("continued.rewards", index, cause);
            if rewards::read(state, &reward.owner) != Reward::default() {
                return Err(fail(format!("the rewards of {} are there twice", reward.owner)));
            }
            if reward.maturing.len() > MATURING_MAX {
                return Err(fail(format!("{} times at which they mature, at most {MATURING_MAX} are possible", reward.maturing.len())));
            }
            let far = reward.maturing.iter().filter(|part| part.epoch > Epoch(rewards::MATURE_EPOCHS_MAX)).count();
            if far > FAR_MAX {
                return Err(fail(format!("{far} times after epoch {}, at most {FAR_MAX} are possible", rewards::MATURE_EPOCHS_MAX)));
            }
            if let Some(pair) = reward.maturing.windows(2).find(|pair| pair[0].epoch >= pair[1].epoch) {
                return Err(fail(format!("epoch {} after epoch {}: they are ascending, each once", pair[1].epoch, pair[0].epoch)));
            }
            let maturing = reward.maturing.iter().map(|part| (part.epoch, part.amount)).collect();
            rewards::take_over(state, &reward.owner, &Reward { mature: reward.mature, maturing });
            pools::mint_into_pool(state, Pool::Rewards, reward.sum());
        }
        for (index, ContinuedProfile { operator, profile }) in self.profiles.iter().enumerate() {
            let fail = |cause: String| entry("continued.profiles", index, cause);
            if profiles::read(state, operator).is_some() {
                return Err(fail(format!("the profile of {operator} is there twice")));
            }
            if profile.is_empty() {
                return Err(fail("it says nothing".into()));
            }
            profiles::describe(state, operator, profile).map_err(|error| fail(error.to_string()))?;
        }
        pools::mint_into_pool(state, Pool::Community, self.community);
        pools::mint_into_pool(state, Pool::Burned, self.burned);
        Ok(())
    }
}
