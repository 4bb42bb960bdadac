//! Parameters of the value ledger: set at genesis, changed by governance only.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Amount;
use serde::{Deserialize, Serialize};

use crate::keys::{self, Read};

/// Parameters with their units.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Length of an epoch in ms of block time: the first block this long after the epoch's start closes it.
    pub epoch_ms: u64,
    /// Units a block may use; half of it is the target of the fee market. Transfers alone must be able to pass the target, or the base fee never rises under
    /// them: one is 3,650 units, a block is offered [`crate::ledger::mempool::CANDIDATES_MAX`] of them, and its payload holds 19,000.
    pub units_limit: u64,
    /// Lowest price of a unit in wei.
    pub base_fee_min: Amount,
    /// Least deposit of a resource node in wei, for each begun TiB of capacity.
    pub resource_deposit_per_tib: Amount,
    /// Least deposit of a meta node in wei.
    pub meta_deposit: Amount,
    /// Deposit behind one noz of ozone in wei (r).
    pub deposit_per_noz: u64,
    /// Epochs until a reward can be withdrawn.
    pub mature_epochs: u64,
    /// Tax on the traffic part of resource and meta nodes, in basis points (tau).
    pub community_tax_bp: u32,
    /// Ceiling of an epoch's mining reward, in basis points of the value its traffic released (beta).
    pub subsidy_bp: u32,
    /// Time that carriers have to claim after an epoch, in ms of the metadata ledger's block time.
    pub claim_grace_ms: u64,
    /// Fewest bytes of a channel that can be claimed, in noz: what a channel is charged covers what verifying it takes of everybody.
    pub channel_noz_min: u64,
    /// Epochs after an epoch in which evidence about it is taken, and for which an offender's stake is locked before it is slashed. At most
    /// `unbonding_epochs`, so that what was bonded in an epoch is there as long as it can be proven guilty.
    pub evidence_epochs: u64,
    /// Whole epochs after the one in which stake was taken out that pass before it can be withdrawn.
    pub unbonding_epochs: u64,
    /// Epochs in which a ballot of the meta nodes is counted after the one in which it was opened, and in which an application waits for one.
    pub ballot_epochs: u64,
    /// Whole epochs that a resource node goes on serving after the one in which it began to leave, before it can withdraw its deposit.
    pub exit_epochs: u64,
    /// By how much a validator's commission can be raised in an epoch, in basis points.
    pub commission_step_bp: u32,
    /// Whole epochs that pass between the one in which an epoch's report is complete and its settlement: meanwhile who was left out of it may claim directly.
    pub challenge_epochs: u64,
    /// Part of its deposit that a meta node loses that is proven to have broken the rules, in basis points.
    pub meta_slash_bp: u32,
    /// Part of what is slashed that the proposer of the evidence's block, or who accused a meta node, receives, in basis points.
    pub slash_reward_bp: u32,
}

/// Epochs of challenge at most: what payers reserve is not theirs to spend so long.
pub const CHALLENGE_EPOCHS_MAX: u64 = 64;
/// Epochs for which evidence is taken at most: a slash looks at what left in each of them.
pub const EVIDENCE_EPOCHS_MAX: u64 = 4_096;

impl Parameters {
    /// Parameters of a development network: the real ones with short times.
    pub fn dev() -> Self {
        Self {
            epoch_ms: 10_000,
            units_limit: 50_000_000,
            base_fee_min: Amount(1_000_000),
            resource_deposit_per_tib: Amount::stos(1),
            meta_deposit: Amount::stos(100),
            deposit_per_noz: 1_000_000,
            mature_epochs: 2,
            community_tax_bp: 200,
            subsidy_bp: 2_500,
            claim_grace_ms: 3_000,
            channel_noz_min: 4_096,
            evidence_epochs: 3,
            unbonding_epochs: 4,
            ballot_epochs: 6,
            exit_epochs: 6,
            commission_step_bp: 100,
            challenge_epochs: 1,
            meta_slash_bp: 5_000,
            slash_reward_bp: 100,
        }
    }

    /// The parameters in force.
    pub fn read(state: &impl Read) -> Self {
        keys::read(state, &keys::parameters()).expect("genesis writes the parameters and nothing removes them")
    }
}
