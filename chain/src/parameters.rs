//! Parameters of the value ledger: set at genesis, changed by governance only ([`crate::governance`]).
//!
//! [`FIELDS`] lists each with its unit and range; [`Parameters::check`] also compares those that depend on each other. Genesis and governance take no others. The
//! ranges leave a way back: whatever governance sets, epochs end, every kind of transaction fits a block and can be paid, and proposals can be made, so governance
//! can set it back.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Amount;
use primitives::units::BASIS_POINTS;
use serde::{Deserialize, Serialize};

use crate::genesis::TOTAL_SUPPLY;
use crate::keys::{self, Read};
use crate::metering::{Costs, Work};
use crate::{rewards, settlement};

/// Parameters with their units.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Length of an epoch in ms of block time: the first block this long after the epoch's start closes it.
    pub epoch_ms: u64,
    /// Units a block may use; half of it is the target of the fee market. Transfers alone must be able to pass the target, or the base fee never rises under
    /// them: one is 3,650 units, a block is offered [`crate::ledger::mempool::CANDIDATES_MAX`] of them, and its payload holds 19,000.
    pub units_limit: u64,
    /// Units of any transaction: its first signature, one account's update.
    pub units_base: u64,
    /// Units of a byte.
    pub units_per_byte: u64,
    /// Units of a message.
    pub units_per_message: u64,
    /// Units of a signature beyond a transaction's first, and of each that its messages bring ([`crate::metering`]).
    pub units_per_signature: u64,
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
    /// What a proposal costs in wei; returned unless it is vetoed.
    pub governance_deposit: Amount,
    /// Epochs after the one in which a proposal was made, in which votes still count.
    pub governance_epochs: u64,
    /// Part of the set's stake that must vote, in basis points.
    pub governance_quorum_bp: u32,
    /// Part of the votes, without abstentions, that must be exceeded by those for a proposal, in basis points.
    pub governance_threshold_bp: u32,
    /// Part of the votes that vetoes must exceed, in basis points.
    pub governance_veto_bp: u32,
    /// Part of what is slashed that the proposer of the evidence's block, or who accused a meta node, receives, in basis points.
    pub slash_reward_bp: u32,
}

/// Epochs of challenge at most: what payers reserve is not theirs to spend so long.
pub const CHALLENGE_EPOCHS_MAX: u64 = 64;
/// Epochs for which evidence is taken at most: a slash looks at what left in each of them.
pub const EVIDENCE_EPOCHS_MAX: u64 = 4_096;

/// Epochs of waiting at most: with epochs of ten minutes two years.
const WAIT_EPOCHS_MAX: u128 = 100_000;
/// Epochs in which votes count at most: with epochs of ten minutes two months.
const VOTE_EPOCHS_MAX: u128 = 10_000;
/// An epoch's length at most: a week.
const EPOCH_MS_MAX: u128 = 7 * 24 * 3600 * 1000;
/// The least price of a unit at most: a transfer costs 0.004 stos then, and 0.07 stos where every cost is at its most.
const BASE_FEE_MIN_MAX: u128 = 1_000_000_000_000;
/// What a proposal costs at most: one part in a thousand of all coins.
const GOVERNANCE_DEPOSIT_MAX: u128 = TOTAL_SUPPLY.0 / 1_000;

/// A parameter that a file or a proposal names.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: &'static str,
    /// The least that is possible.
    pub min: u128,
    /// The most that is possible.
    pub max: u128,
    get: fn(&Parameters) -> u128,
    set: fn(&mut Parameters, u128) -> bool,
}

/// Numbers that parameters are.
trait Number: Copy {
    fn wide(self) -> u128;
    fn narrow(value: u128) -> Option<Self>;
}

impl Number for u32 {
    fn wide(self) -> u128 {
        self.into()
    }

    fn narrow(value: u128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Number for u64 {
    fn wide(self) -> u128 {
        self.into()
    }

    fn narrow(value: u128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Number for Amount {
    fn wide(self) -> u128 {
        self.0
    }

    fn narrow(value: u128) -> Option<Self> {
        Some(Self(value))
    }
}

macro_rules! fields {
    ($($name:ident: $unit:literal, $min:expr, $max:expr;)*) => {
        [$(Field {
            name: stringify!($name),
            unit: $unit,
            min: $min,
            max: $max,
            get: |parameters| parameters.$name.wide(),
            set: |parameters, value| Number::narrow(value).map(|value| parameters.$name = value).is_some(),
        }),*]
    };
}

const U64: u128 = u64::MAX as u128;
const ALL_BP: u128 = BASIS_POINTS as u128;

/// All parameters, in the order of their declaration.
pub static FIELDS: [Field; 28] = fields! {
    epoch_ms: "ms", 1, EPOCH_MS_MAX;
    units_limit: "units", 1, U64 / 2;
    units_base: "units", 1, 10_000;
    units_per_byte: "units", 1, 200;
    units_per_message: "units", 0, 10_000;
    units_per_signature: "units", 1, 10_000;
    base_fee_min: "wei per unit", 0, BASE_FEE_MIN_MAX;
    resource_deposit_per_tib: "wei per TiB", 0, TOTAL_SUPPLY.0;
    meta_deposit: "wei", 0, TOTAL_SUPPLY.0;
    deposit_per_noz: "wei per noz", 1, U64;
    mature_epochs: "epochs", 0, rewards::MATURE_EPOCHS_MAX as u128;
    community_tax_bp: "basis points", 0, ALL_BP;
    subsidy_bp: "basis points", 0, ALL_BP;
    claim_grace_ms: "ms", 1, EPOCH_MS_MAX;
    channel_noz_min: "noz", 0, 1 << 40;
    evidence_epochs: "epochs", 1, EVIDENCE_EPOCHS_MAX as u128;
    unbonding_epochs: "epochs", 1, WAIT_EPOCHS_MAX;
    challenge_epochs: "epochs", 1, CHALLENGE_EPOCHS_MAX as u128;
    ballot_epochs: "epochs", 1, VOTE_EPOCHS_MAX;
    exit_epochs: "epochs", 0, WAIT_EPOCHS_MAX;
    commission_step_bp: "basis points", 0, ALL_BP;
    meta_slash_bp: "basis points", 1, ALL_BP;
    governance_deposit: "wei", 0, GOVERNANCE_DEPOSIT_MAX;
    governance_epochs: "epochs", 1, VOTE_EPOCHS_MAX;
    governance_quorum_bp: "basis points", 1, 6_667;
    governance_threshold_bp: "basis points", 5_000, 9_000;
    governance_veto_bp: "basis points", 1_000, ALL_BP;
    slash_reward_bp: "basis points", 0, 5_000;
};

/// Why parameters are not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// No such parameter.
    #[error("there is no parameter `{}`", .0.chars().take(80).collect::<String>())]
    Unknown(String),
    /// Out of its range.
    #[error("parameter {name}: {value} {unit}; {min} to {max} are possible")]
    Range {
        /// Which.
        name: &'static str,
        /// What it should be.
        value: u128,
        /// Its unit.
        unit: &'static str,
        /// The least.
        min: u128,
        /// The most.
        max: u128,
    },
    /// Not together with others.
    #[error("parameter {name}: {cause}")]
    Together {
        /// Which.
        name: &'static str,
        /// What does not fit.
        cause: String,
    },
}

impl ParameterError {
    /// Which parameter.
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown(name) => name,
            Self::Range { name, .. } | Self::Together { name, .. } => name,
        }
    }
}

impl Field {
    fn range(&self, value: u128) -> ParameterError {
        let Self { name, unit, min, max, .. } = *self;
        ParameterError::Range { name, value, unit, min, max }
    }

    fn check(&self, value: u128) -> Result<(), ParameterError> {
        if (self.min..=self.max).contains(&value) { Ok(()) } else { Err(self.range(value)) }
    }
}

impl Parameters {
    /// Parameters of a development network: the real ones with short times.
    pub fn dev() -> Self {
        Self {
            epoch_ms: 10_000,
            units_limit: 50_000_000,
            units_base: 1_000,
            units_per_byte: 10,
            units_per_message: 500,
            units_per_signature: 500,
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
            governance_deposit: Amount::stos(100),
            governance_epochs: 2,
            governance_quorum_bp: 3_340,
            governance_threshold_bp: 5_000,
            governance_veto_bp: 3_340,
            slash_reward_bp: 100,
        }
    }

    /// Sets a parameter by its name; what it was. [`Parameters::check`] says whether all fit together.
    ///
    /// # Errors
    /// [`ParameterError::Unknown`], [`ParameterError::Range`].
    pub fn set(&mut self, name: &str, value: u128) -> Result<u128, ParameterError> {
        let field = FIELDS.iter().find(|field| field.name == name).ok_or_else(|| ParameterError::Unknown(name.to_owned()))?;
        let before = (field.get)(self);
        field.check(value)?;
        if (field.set)(self, value) { Ok(before) } else { Err(field.range(value)) }
    }

    /// The parameters by name, with their fields.
    pub fn list(&self) -> impl Iterator<Item = (&'static Field, u128)> {
        FIELDS.iter().map(|field| (field, (field.get)(self)))
    }

    /// Whether each is in its range, and all fit together.
    ///
    /// # Errors
    /// [`ParameterError`] names the first that does not.
    pub fn check(&self) -> Result<(), ParameterError> {
        self.list().try_for_each(|(field, value)| field.check(value))?;
        let (evidence, unbonding) = (self.evidence_epochs, self.unbonding_epochs);
        if evidence > unbonding {
            let cause = format!("{unbonding} epochs, but evidence is taken for {evidence}: who is guilty would be gone");
            return Err(ParameterError::Together { name: "unbonding_epochs", cause });
        }
        let (largest, limit) = (self.costs().units(&Work::LARGEST), self.units_limit);
        if largest > limit {
            let cause = format!("{limit} units, but the largest transaction takes {largest} at these costs: no block would hold it");
            return Err(ParameterError::Together { name: "units_limit", cause });
        }
        let reward = settlement::reward_parameters(self).check();
        reward.map_err(|error| ParameterError::Together { name: "subsidy_bp", cause: error.to_string() })
    }

    /// What a transaction's work costs.
    pub const fn costs(&self) -> Costs {
        Costs { base: self.units_base, byte: self.units_per_byte, message: self.units_per_message, signature: self.units_per_signature }
    }

    /// The parameters in force.
    pub fn read(state: &impl Read) -> Self {
        keys::read(state, &keys::parameters()).expect("genesis writes the parameters and nothing removes them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every parameter has a field, under its own name, and each edge of its range is taken.
    #[test]
    fn every_parameter_is_listed() {
        let json = serde_json::to_value(Parameters::dev()).expect("plain numbers");
        let names: std::collections::BTreeSet<&str> = json.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, FIELDS.iter().map(|field| field.name).collect());
        Parameters::dev().check().expect("they are possible");
        for field in &FIELDS {
            let mut parameters = Parameters::dev();
            let before = (field.get)(&parameters);
            for good in [field.min, field.max] {
                parameters.set(field.name, good).expect("in its range");
                assert_eq!((field.get)(&parameters), good, "{}", field.name);
            }
            assert_eq!(parameters.set(field.name, before), Ok(field.max));
            assert_eq!(parameters, Parameters::dev());
            for bad in [field.min.checked_sub(1), field.max.checked_add(1)].into_iter().flatten() {
                assert_eq!(parameters.set(field.name, bad), Err(field.range(bad)));
            }
            assert_eq!(parameters, Parameters::dev());
        }
        assert_eq!(Parameters::dev().set("epoch", 1), Err(ParameterError::Unknown("epoch".into())));
    }

    #[test]
    fn parameters_fit_together() {
        let together = |name: &str, value: u128| {
            let mut parameters = Parameters::dev();
            parameters.set(name, value).expect("in its range");
            match parameters.check() {
                Err(ParameterError::Together { name, .. }) => name,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(together("evidence_epochs", 5), "unbonding_epochs");
        assert_eq!(together("units_limit", 25_058_259), "units_limit", "the largest takes one more");
        assert_eq!(together("units_per_byte", 34), "units_limit");
        assert_eq!(together("subsidy_bp", 10_000), "subsidy_bp");
        assert_eq!(together("community_tax_bp", 0), "subsidy_bp", "without a tax a coalition gets too much back");
    }
}
