//! Events: what each message, each piece of evidence and each end of an epoch did, in the form that contracts will use too. Fees are in the receipts, and
//! what an epoch charged and paid to whom in its settlement's record.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{decode, encode};
use primitives::{Address, Amount, Bytes, Epoch, Hash, Noz};
use serde::Serialize;

use crate::ballots::Motion;
use crate::governance::{Choice, Outcome};
use crate::ledger::Log;
use crate::pools::Fund;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Coins moved between accounts.
    Sent {
        /// Who paid.
        from: Address,
        /// Who received.
        to: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Ozone was bought.
    OzoneBought {
        /// Who paid.
        buyer: Address,
        /// Who owns the ozone.
        beneficiary: Address,
        /// Price paid, in wei.
        paid: Amount,
        /// Ozone received.
        noz: Noz,
    },
    /// A resource node registered.
    ResourceRegistered {
        /// Its operator.
        operator: Address,
        /// Its deposit, in wei.
        deposit: Amount,
        /// Bytes it offers.
        capacity: Bytes,
    },
    /// A resource node was activated; its deposit counts from now on.
    ResourceActivated {
        /// Its operator.
        operator: Address,
    },
    /// A node published new network addresses.
    NodeMoved {
        /// Its operator.
        operator: Address,
    },
    /// A meta node applied for a seat.
    MetaApplied {
        /// Its operator.
        operator: Address,
        /// Its deposit, in wei.
        deposit: Amount,
    },
    /// A meta node voted for a motion.
    MetaVoted {
        /// Operator of the voter.
        voter: Address,
        /// What it voted for.
        motion: Motion,
    },
    /// An applicant became a meta node.
    MetaAdmitted {
        /// Its operator.
        operator: Address,
    },
    /// A meta node left, by itself or by the others' votes.
    MetaLeft {
        /// Its operator.
        operator: Address,
    },
    /// A resource node was suspended.
    ResourceSuspended {
        /// Its operator.
        operator: Address,
    },
    /// A resource node began to leave.
    ResourceLeft {
        /// Its operator.
        operator: Address,
    },
    /// A node's deposit grew.
    DepositRaised {
        /// Its operator.
        operator: Address,
        /// By how much, in wei.
        amount: Amount,
    },
    /// A node's deposit was returned.
    DepositReturned {
        /// Its operator.
        operator: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Somebody made a proposal.
    Proposed {
        /// Its number.
        proposal: u64,
        /// Who made it.
        proposer: Address,
        /// What was paid for it, in wei.
        deposit: Amount,
    },
    /// Somebody voted on a proposal.
    ProposalVoted {
        /// Its number.
        proposal: u64,
        /// Who voted.
        voter: Address,
        /// How.
        choice: Choice,
    },
    /// A proposal was counted.
    ProposalClosed {
        /// Its number.
        proposal: u64,
        /// Who made it.
        proposer: Address,
        /// What became of it.
        outcome: Outcome,
    },
    /// A parameter changed.
    ParameterSet {
        /// Its name.
        name: String,
        /// What it was.
        #[serde(with = "crate::governance::wide")]
        before: u128,
        /// What it is.
        #[serde(with = "crate::governance::wide")]
        after: u128,
    },
    /// The community pool paid.
    CommunitySpent {
        /// Who received.
        to: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// An epoch began.
    EpochBegan {
        /// Its number.
        epoch: Epoch,
    },
    /// A part of an epoch's traffic was accepted.
    PartSettled {
        /// The epoch of the traffic.
        epoch: Epoch,
        /// Number of the part.
        part: u32,
        /// Ozone charged by it.
        noz: Noz,
    },
    /// All parts of an epoch's report are here: its time of challenge begins.
    EpochReported {
        /// The epoch of the traffic.
        epoch: Epoch,
        /// Ozone that the report charges.
        noz: Noz,
    },
    /// An epoch's report was proven false: its carriers claim directly.
    ReportCondemned {
        /// The epoch of the traffic.
        epoch: Epoch,
    },
    /// A carrier claimed what the report of an epoch does not hold.
    ClaimedDirectly {
        /// The epoch of the traffic.
        epoch: Epoch,
        /// Who claims.
        carrier: Address,
        /// Ozone charged by it.
        noz: Noz,
    },
    /// A meta node was proven to have broken the rules; it is active no more.
    MetaConvicted {
        /// Its operator.
        operator: Address,
        /// What it lost of its deposit, in wei.
        slashed: Amount,
        /// Who accused it.
        accuser: Address,
        /// What the accuser received of it, in wei.
        reward: Amount,
        /// What carriers received of it, in wei; the rest was burned.
        compensated: Amount,
    },
    /// An epoch's traffic was settled.
    EpochSettled {
        /// The epoch of the traffic.
        epoch: Epoch,
        /// Ozone charged.
        noz: Noz,
        /// Wei released from the prepaid pool.
        released: Amount,
        /// Wei of mining reward.
        mined: Amount,
    },
    /// A reward was withdrawn.
    RewardWithdrawn {
        /// Who earned it.
        owner: Address,
        /// Where it went.
        to: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// A validator was made.
    ValidatorCreated {
        /// Its operator.
        operator: Address,
        /// The operator's own stake, in wei.
        stake: Amount,
    },
    /// Stake was added to a validator.
    Delegated {
        /// Who paid.
        delegator: Address,
        /// Operator of the validator.
        validator: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Stake was taken out of a validator, and is on its way out.
    Undelegated {
        /// Whose it is.
        delegator: Address,
        /// Operator of the validator.
        validator: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Stake that was taken out was paid: what had been undelegated, or stake of a validator that was slashed, which leaves at once.
    UnbondedWithdrawn {
        /// Who received.
        delegator: Address,
        /// Operator of the validator that it left.
        validator: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Stake moved from one validator to another.
    Redelegated {
        /// Whose it is.
        delegator: Address,
        /// Operator of the validator that it left.
        from: Address,
        /// Operator of the validator that it joined.
        to: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// What stake earned was paid.
    RewardCollected {
        /// Who received.
        delegator: Address,
        /// Operator of the validator.
        validator: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// An operator changed what it keeps of what its validator's stake earns.
    CommissionSet {
        /// The operator.
        operator: Address,
        /// The part, in basis points.
        bp: u32,
    },
    /// A validator was away for most of an epoch and is in no set for a time.
    ValidatorJailed {
        /// Its operator.
        operator: Address,
    },
    /// A validator may be in a set again.
    ValidatorUnjailed {
        /// Its operator.
        operator: Address,
    },
    /// A validator was proven to have contradicted itself and never votes again.
    ValidatorTombstoned {
        /// Its operator.
        operator: Address,
        /// The epoch of the contradiction.
        epoch: Epoch,
        /// Operator of the proposer of the block with the proof.
        proposer: Address,
    },
    /// A tombstoned validator's stake was slashed.
    ValidatorSlashed {
        /// Its operator.
        operator: Address,
        /// What it and its delegators lost, in wei.
        slashed: Amount,
        /// Operator of the proposer of the block with the proof.
        proposer: Address,
        /// What the proposer received of it, in wei; the rest was burned.
        reward: Amount,
    },
    /// An operator said who it is.
    Described {
        /// The operator.
        operator: Address,
        /// What it calls itself; empty if it says so no more.
        name: String,
    },
    /// Somebody gave to what belongs to all.
    Donated {
        /// Who gave.
        from: Address,
        /// To which of it.
        fund: Fund,
        /// How much, in wei.
        amount: Amount,
    },
}

impl Event {
    /// The kind's name, its first topic and its emitter's name.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::Sent { .. } => ("sent", "accounts"),
            Self::OzoneBought { .. } => ("ozone_bought", "market"),
            Self::ResourceRegistered { .. } => ("resource_registered", "resource"),
            Self::ResourceActivated { .. } => ("resource_activated", "resource"),
            Self::NodeMoved { .. } => ("node_moved", "resource"),
            Self::MetaApplied { .. } => ("meta_applied", "meta"),
            Self::MetaVoted { .. } => ("meta_voted", "ballots"),
            Self::MetaAdmitted { .. } => ("meta_admitted", "meta"),
            Self::MetaLeft { .. } => ("meta_left", "meta"),
            Self::ResourceSuspended { .. } => ("resource_suspended", "resource"),
            Self::ResourceLeft { .. } => ("resource_left", "resource"),
            Self::DepositRaised { .. } => ("deposit_raised", "registries"),
            Self::DepositReturned { .. } => ("deposit_returned", "registries"),
            Self::Proposed { .. } => ("proposed", "governance"),
            Self::ProposalVoted { .. } => ("proposal_voted", "governance"),
            Self::ProposalClosed { .. } => ("proposal_closed", "governance"),
            Self::ParameterSet { .. } => ("parameter_set", "governance"),
            Self::CommunitySpent { .. } => ("community_spent", "governance"),
            Self::EpochBegan { .. } => ("epoch_began", "epochs"),
            Self::PartSettled { .. } => ("part_settled", "settlement"),
            Self::EpochReported { .. } => ("epoch_reported", "settlement"),
            Self::ReportCondemned { .. } => ("report_condemned", "settlement"),
            Self::ClaimedDirectly { .. } => ("claimed_directly", "settlement"),
            Self::MetaConvicted { .. } => ("meta_convicted", "accusation"),
            Self::EpochSettled { .. } => ("epoch_settled", "settlement"),
            Self::RewardWithdrawn { .. } => ("reward_withdrawn", "rewards"),
            Self::ValidatorCreated { .. } => ("validator_created", "staking"),
            Self::Delegated { .. } => ("delegated", "staking"),
            Self::Undelegated { .. } => ("undelegated", "staking"),
            Self::UnbondedWithdrawn { .. } => ("unbonded_withdrawn", "staking"),
            Self::Redelegated { .. } => ("redelegated", "staking"),
            Self::RewardCollected { .. } => ("reward_collected", "staking"),
            Self::CommissionSet { .. } => ("commission_set", "staking"),
            Self::ValidatorJailed { .. } => ("validator_jailed", "staking"),
            Self::ValidatorUnjailed { .. } => ("validator_unjailed", "staking"),
            Self::ValidatorTombstoned { .. } => ("validator_tombstoned", "slashing"),
            Self::ValidatorSlashed { .. } => ("validator_slashed", "slashing"),
            Self::Described { .. } => ("described", "profiles"),
            Self::Donated { .. } => ("donated", "pools"),
        }
    }

    /// The accounts the event is about.
    pub fn subjects(&self) -> Vec<Address> {
        match self {
            Self::Sent { from, to, .. } => vec![*from, *to],
            Self::OzoneBought { buyer, beneficiary, .. } => vec![*buyer, *beneficiary],
            Self::ResourceRegistered { operator, .. }
            | Self::ResourceActivated { operator }
            | Self::NodeMoved { operator }
            | Self::MetaApplied { operator, .. }
            | Self::ValidatorCreated { operator, .. }
            | Self::MetaAdmitted { operator }
            | Self::MetaLeft { operator }
            | Self::ResourceSuspended { operator }
            | Self::ResourceLeft { operator }
            | Self::DepositRaised { operator, .. }
            | Self::DepositReturned { operator, .. }
            | Self::CommissionSet { operator, .. }
            | Self::ValidatorJailed { operator }
            | Self::ValidatorUnjailed { operator }
            | Self::Described { operator, .. } => {
                vec![*operator]
            }
            Self::Delegated { delegator, validator, .. }
            | Self::Undelegated { delegator, validator, .. }
            | Self::RewardCollected { delegator, validator, .. }
            | Self::UnbondedWithdrawn { delegator, validator, .. } => vec![*delegator, *validator],
            Self::Redelegated { delegator, from, to, .. } => vec![*delegator, *from, *to],
            Self::ValidatorTombstoned { operator, proposer, .. } | Self::ValidatorSlashed { operator, proposer, .. } => vec![*operator, *proposer],
            Self::RewardWithdrawn { owner, to, .. } => vec![*owner, *to],
            Self::Proposed { proposer, .. } | Self::ProposalClosed { proposer, .. } => vec![*proposer],
            Self::ProposalVoted { voter, .. } => vec![*voter],
            Self::CommunitySpent { to, .. } => vec![*to],
            Self::MetaVoted { voter, motion } => vec![*voter, motion.subject()],
            Self::ClaimedDirectly { carrier, .. } => vec![*carrier],
            Self::Donated { from, .. } => vec![*from],
            Self::MetaConvicted { operator, accuser, .. } => vec![*operator, *accuser],
            Self::ParameterSet { .. }
            | Self::EpochBegan { .. }
            | Self::PartSettled { .. }
            | Self::EpochReported { .. }
            | Self::ReportCondemned { .. }
            | Self::EpochSettled { .. } => Vec::new(),
        }
    }

    /// The log of this event: the kind as first topic, then the subjects.
    pub fn to_log(&self) -> Log {
        let (kind, module) = self.kind();
        let mut topics = vec![Hash::of("event", &[kind.as_bytes()])];
        topics.extend(self.subjects().iter().map(|address| Hash::of("subject", &[&address.0])));
        Log { emitter: Address::of_module(module), topics, data: encode(self) }
    }

    /// The event of a log, if it is one of ours.
    pub fn from_log(log: &Log) -> Option<Self> {
        decode(&log.data, crate::keys::VALUE_BYTES_MAX).ok()
    }
}
