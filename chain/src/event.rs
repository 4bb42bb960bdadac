//! Events: what each message, each piece of evidence and each end of a block did, in the form that contracts will use too.
//!
//! Whatever moves money or changes a right has one, but for what would repeat another record: who paid which fee is in the receipts; the base fee is in every
//! block's summary; what an epoch charged and paid to whom, up to some ten thousand accounts, is in its settlement's record, which
//! [`Event::EpochSettled`] points to; how much each voter weighs is in the record of the voters; rewards mature by themselves
//! ([`crate::rewards`]). How many events the end of a block has is bounded by the limits of what it ends: nodes, ballots, proposals, voters, offences.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{decode, encode};
use primitives::{Address, Amount, Bytes, Epoch, Hash, Noz};
use serde::Serialize;

use crate::ballots::Motion;
use crate::governance::{Choice, Outcome};
use crate::ledger::Log;
use crate::pools::Fund;

/// Accounts of one event at most: with its kind they are its log's topics, of which there are four.
pub const SUBJECTS_MAX: usize = 3;

/// The names of all kinds, in the order of their encoding.
pub const KINDS: [&str; 46] = [
    "sent",
    "ozone_bought",
    "resource_registered",
    "resource_activated",
    "node_moved",
    "meta_applied",
    "meta_voted",
    "meta_admitted",
    "motion_dropped",
    "meta_left",
    "resource_suspended",
    "resource_left",
    "deposit_raised",
    "deposit_returned",
    "proposed",
    "proposal_voted",
    "proposal_closed",
    "parameter_set",
    "community_spent",
    "epoch_began",
    "part_settled",
    "epoch_reported",
    "report_condemned",
    "claimed_directly",
    "meta_convicted",
    "epoch_settled",
    "reward_withdrawn",
    "validator_created",
    "delegated",
    "undelegated",
    "unbonded_withdrawn",
    "redelegated",
    "reward_collected",
    "commission_set",
    "candidate_left",
    "voter_joined",
    "voter_left",
    "validator_jailed",
    "validator_unjailed",
    "validator_tombstoned",
    "offence_worsened",
    "validator_slashed",
    "moved_stake_slashed",
    "described",
    "donated",
    "fees_paid",
];

/// The topic of the events of a kind.
pub fn kind_topic(kind: &str) -> Hash {
    Hash::of("event", &[kind.as_bytes()])
}

/// The topic of the events that are about an account.
pub fn subject_topic(address: &Address) -> Hash {
    Hash::of("subject", &[&address.0])
}

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
    /// A ballot ended without effect: its time was over, nobody active was for it any more, or what it was about was gone.
    MotionDropped {
        /// What it was about.
        motion: Motion,
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
    /// A node's deposit was returned; with an applicant's its application ends.
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
        /// What was paid for it, in wei: burned if it was vetoed, else returned.
        deposit: Amount,
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
        /// The carrier that it had promised too much, if that is what it was convicted of.
        carrier: Option<Address>,
        /// What the carrier received of it, in wei; the rest was burned.
        compensated: Amount,
        /// What it lost besides, of the rewards that were not mature, in wei; all of it was burned.
        forfeited: Amount,
    },
    /// An epoch's traffic was settled; who paid and received what is in the record of the settlement ([`crate::settlement::Settled`]).
    EpochSettled {
        /// The epoch of the traffic.
        epoch: Epoch,
        /// Ozone charged.
        noz: Noz,
        /// Wei released from the prepaid pool.
        released: Amount,
        /// Wei of mining reward.
        mined: Amount,
        /// Wei of what was released that the community pool received.
        kept: Amount,
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
    /// A validator stands for the next sets no more: others have more stake, or it has less than 1 stos left.
    CandidateLeft {
        /// Its operator.
        operator: Address,
    },
    /// A validator votes from this epoch on.
    VoterJoined {
        /// Its operator.
        operator: Address,
        /// The stake with which it votes, in wei.
        stake: Amount,
    },
    /// A validator that voted does not from this epoch on.
    VoterLeft {
        /// Its operator.
        operator: Address,
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
    /// A tombstoned validator was proven to have done worse: it answers for an earlier epoch, or a greater part of a set.
    OffenceWorsened {
        /// Its operator.
        operator: Address,
        /// The earliest epoch of a contradiction.
        epoch: Epoch,
        /// The greatest weight that it had in such an epoch.
        weight: u64,
        /// The least weight that a set had of which it was then a member.
        total: u64,
    },
    /// A tombstoned validator's stake was slashed.
    ValidatorSlashed {
        /// Its operator.
        operator: Address,
        /// What it and its delegators lost, in wei, what had moved to other validators included.
        slashed: Amount,
        /// Operator of the proposer of the block with the proof.
        proposer: Address,
        /// What the proposer received of it, in wei; the rest was burned.
        reward: Amount,
    },
    /// Stake that had moved away from a tombstoned validator was slashed where it is.
    MovedStakeSlashed {
        /// Operator of the validator that lost it.
        validator: Address,
        /// Operator of the tombstoned one.
        from: Address,
        /// How much, in wei.
        amount: Amount,
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
    /// Where the fees of a block's transactions went; who paid how much is in their receipts.
    FeesPaid {
        /// Operator of the validator that proposed the block, if it received tips.
        proposer: Option<Address>,
        /// Burned, in wei.
        burned: Amount,
        /// What the proposer received, in wei.
        tips: Amount,
    },
}

impl Event {
    /// Its kind's name, one of [`KINDS`]: what its JSON says under `event`.
    pub fn kind(&self) -> &'static str {
        self.names().0
    }

    /// The kind's name, and the emitter's.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Sent { .. } => ("sent", "accounts"),
            Self::OzoneBought { .. } => ("ozone_bought", "market"),
            Self::ResourceRegistered { .. } => ("resource_registered", "resource"),
            Self::ResourceActivated { .. } => ("resource_activated", "resource"),
            Self::NodeMoved { .. } => ("node_moved", "resource"),
            Self::MetaApplied { .. } => ("meta_applied", "meta"),
            Self::MetaVoted { .. } => ("meta_voted", "ballots"),
            Self::MetaAdmitted { .. } => ("meta_admitted", "meta"),
            Self::MotionDropped { .. } => ("motion_dropped", "ballots"),
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
            Self::CandidateLeft { .. } => ("candidate_left", "staking"),
            Self::VoterJoined { .. } => ("voter_joined", "staking"),
            Self::VoterLeft { .. } => ("voter_left", "staking"),
            Self::ValidatorJailed { .. } => ("validator_jailed", "staking"),
            Self::ValidatorUnjailed { .. } => ("validator_unjailed", "staking"),
            Self::ValidatorTombstoned { .. } => ("validator_tombstoned", "slashing"),
            Self::OffenceWorsened { .. } => ("offence_worsened", "slashing"),
            Self::ValidatorSlashed { .. } => ("validator_slashed", "slashing"),
            Self::MovedStakeSlashed { .. } => ("moved_stake_slashed", "slashing"),
            Self::Described { .. } => ("described", "profiles"),
            Self::Donated { .. } => ("donated", "pools"),
            Self::FeesPaid { .. } => ("fees_paid", "fees"),
        }
    }

    /// The accounts the event is about: every address in it, at most [`SUBJECTS_MAX`].
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
            | Self::CandidateLeft { operator }
            | Self::VoterJoined { operator, .. }
            | Self::VoterLeft { operator }
            | Self::OffenceWorsened { operator, .. }
            | Self::ValidatorJailed { operator }
            | Self::ValidatorUnjailed { operator }
            | Self::Described { operator, .. } => {
                vec![*operator]
            }
            Self::MovedStakeSlashed { validator, from, .. } => vec![*validator, *from],
            Self::MotionDropped { motion } => vec![motion.subject()],
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
            Self::MetaConvicted { operator, accuser, carrier, .. } => [*operator, *accuser].into_iter().chain(*carrier).collect(),
            Self::FeesPaid { proposer, .. } => proposer.iter().copied().collect(),
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
        let (kind, module) = self.names();
        let topics = [kind_topic(kind)].into_iter().chain(self.subjects().iter().map(subject_topic)).collect();
        Log { emitter: Address::of_module(module), topics, data: encode(self) }
    }

    /// The event of a log, if it is one of ours.
    pub fn from_log(log: &Log) -> Option<Self> {
        decode(&log.data, crate::keys::VALUE_BYTES_MAX).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The addresses in a JSON value, each as often as it is there.
    fn addresses(value: &Value) -> usize {
        match value {
            Value::String(text) => usize::from(text.parse::<Address>().is_ok()),
            Value::Array(items) => items.iter().map(addresses).sum(),
            Value::Object(fields) => fields.values().map(addresses).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    /// One event of each kind, made of zeros, in the order of their encoding.
    fn all() -> Vec<Event> {
        (0..=u8::MAX).map_while(|tag| Event::deserialize(&mut &[&[tag][..], &[0; 256]].concat()[..]).ok()).collect()
    }

    #[test]
    fn every_kind_has_its_name_and_its_subjects() {
        let events = all();
        assert_eq!(events.iter().map(Event::kind).collect::<Vec<_>>(), KINDS);
        let carrier = Some(Address([9; 20]));
        let convicted = Event::MetaConvicted {
            operator: Address([1; 20]),
            slashed: Amount(1),
            accuser: Address([2; 20]),
            reward: Amount(1),
            carrier,
            compensated: Amount(1),
            forfeited: Amount(1),
        };
        let paid = Event::FeesPaid { proposer: carrier, burned: Amount(1), tips: Amount(1) };
        for event in events.iter().chain([&convicted, &paid]) {
            let json = serde_json::to_value(event).expect("JSON");
            assert_eq!(json["event"], event.kind());
            assert_eq!(event.subjects().len(), addresses(&json), "{json}");
            let log = event.to_log();
            assert!(log.topics.len() <= 1 + SUBJECTS_MAX && log.topics[0] == kind_topic(event.kind()), "{json}");
            assert_eq!(Event::from_log(&log).as_ref(), Some(event));
        }
    }
}
