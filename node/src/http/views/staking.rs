//! Validators, stake, voters and what is proven against them.

use super::*;

/// `GET /v1/validators/{address}`; `GET /v1/validators` gives a list of them: those that vote in the order of their votes, then all others, more stake first
/// (of very many those with the most stake), then the nodes of a development network that stand by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validator {
    /// `validator-1`; its address if it has no name here.
    pub name: String,
    /// What its operator says about itself, which nobody vouches for; `null` if nothing.
    pub profile: Option<Profile>,
    /// The operator's account.
    pub address: Address,
    /// Key of its votes.
    pub key: PublicKey,
    /// Where it is in its life.
    pub status: ValidatorStatus,
    /// Of a jailed one the last epoch in jail, of a tombstoned one the last in which its stake is locked.
    pub until: Option<Epoch>,
    /// Its stake now, which counts from the next epoch on.
    pub stake_wei: Amount,
    /// What its vote weighs in the current epoch, in whole stos; 0 if it has none.
    pub weight: u64,
    /// The same in basis points of all votes, rounded down.
    pub power_bp: u32,
    /// Part of its delegators' rewards that it keeps, in basis points.
    pub commission_bp: u32,
    /// What that can be raised to at most, in basis points.
    pub commission_max_bp: u32,
    /// What the blocks of the current epoch say of it so far; `null` if it has no vote.
    pub attendance: Option<Attendance>,
    /// Whether it runs, as far as this node knows.
    pub state: NodeState,
    /// Its newest final block, if it runs in this process.
    pub height: Option<Height>,
}

/// Where a validator is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValidatorStatus {
    /// It votes in the current epoch.
    Active,
    /// It votes from the next epoch on, if it weighs enough.
    Candidate,
    /// It was away, and comes back when it asks to.
    Jailed,
    /// It contradicted itself, and never votes again.
    Tombstoned,
    /// A node of a development network that follows, with a key that is no validator's yet.
    Standby,
}

/// What the blocks of the current epoch say of a validator so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attendance {
    /// Certificates that the blocks carried.
    pub certificates: u32,
    /// Those with its signature. A certificate needs no more signatures than a quorum.
    pub signed: u32,
    /// Blocks it proposed.
    pub proposed: u32,
    /// Turns that it let pass.
    pub skipped: u32,
}

/// `GET /v1/accounts/{address}/stake`. The ledger keeps no list of an account's delegations, so the validators are asked one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stake {
    /// Whose.
    pub address: Address,
    /// The block after which it was this.
    pub height: Height,
    /// The epoch then.
    pub epoch: Epoch,
    /// Validators that were asked: those with the most stake.
    pub asked: u32,
    /// Whether those are all.
    pub is_complete: bool,
    /// What it has with each, more stake of the validator first.
    pub delegations: Vec<Delegation>,
}

/// What an account has with one validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delegation {
    /// Operator of the validator.
    pub validator: Address,
    /// The validator's name.
    pub name: String,
    /// What its part of the stake is worth, what moved there among it.
    pub stake_wei: Amount,
    /// What the stake earned and was not paid.
    pub earned_wei: Amount,
    /// What of it moved there from other validators, and can be taken out or moved on later.
    pub moved: Vec<Moved>,
    /// What was taken out and can be withdrawn now.
    pub due_wei: Amount,
    /// What was taken out and is not withdrawn, due or not.
    pub leaving: Vec<Leaving>,
}

/// `GET /v1/validators/{address}/delegations`: a page of those who have stake with a validator, by address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delegations {
    /// The block after which it was this.
    pub height: Height,
    /// The epoch then.
    pub epoch: Epoch,
    /// Who, and what.
    pub delegators: Vec<Delegator>,
    /// The last of them, if there are more: `after` in the next question.
    pub next: Option<Address>,
}

/// One who has stake with a validator, or took some out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delegator {
    /// Whose.
    pub address: Address,
    /// What.
    #[serde(flatten)]
    pub delegation: Delegation,
}

/// What moved from one validator to another in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moved {
    /// Operator of the validator that it left.
    pub from: Address,
    /// The epoch.
    pub epoch: Epoch,
    /// What it is worth.
    pub amount_wei: Amount,
    /// The first epoch in which it can be taken out or moved on.
    pub free_epoch: Epoch,
}

/// What was taken out in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leaving {
    /// The epoch.
    pub epoch: Epoch,
    /// What it is worth.
    pub amount_wei: Amount,
    /// The first epoch in which it can be withdrawn.
    pub due_epoch: Epoch,
}

/// `GET /v1/evidence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceReport {
    /// Proofs that this node keeps, newest epoch first.
    pub kept: Vec<KeptEvidence>,
    /// Offences that the ledger counts together with others, or will.
    pub offences: Vec<Offence>,
}

/// Two votes of one member that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptEvidence {
    /// The epoch of both.
    pub epoch: Epoch,
    /// Who signed both: its position in the member set.
    pub member: u16,
    /// Operator of the validator; `null` if this node no longer knows who voted in that epoch.
    pub address: Option<Address>,
    /// The validator's name.
    pub name: Option<String>,
    /// The two votes.
    pub votes: Vec<Vote>,
    /// What `POST /v1/evidence` of any node takes, in hexadecimal digits.
    pub proof: String,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vote {
    /// The view.
    pub view: View,
    /// What is said of it.
    pub kind: VoteKind,
    /// About which block, if about one.
    pub block: Option<Hash>,
}

/// What a vote says of its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoteKind {
    /// This block is valid.
    Notarize,
    /// No block.
    Nullify,
    /// This block, for ever.
    Finalize,
}

/// A validator that was proven to have contradicted itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offence {
    /// Operator of the validator.
    pub address: Address,
    /// The validator's name.
    pub name: String,
    /// The earliest epoch in which it is proven.
    pub epoch: Epoch,
    /// The greatest weight that it had in such an epoch.
    pub weight: u64,
    /// The least weight that all votes had in such an epoch.
    pub total: u64,
    /// Epoch of the first proof.
    pub proven_epoch: Epoch,
    /// It is slashed when this epoch ends.
    pub until: Epoch,
    /// Who is rewarded for the proof.
    pub reporter: Option<Address>,
}

/// `GET /v1/epochs/{n|latest}/voters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpochVoters {
    /// The epoch.
    pub epoch: Epoch,
    /// The current epoch.
    pub current: Epoch,
    /// What the epoch's headers name its voters by.
    pub members: Hash,
    /// All votes together, in whole stos; `null` if this node no longer knows the voters.
    pub total: Option<u64>,
    /// In the order of their votes; `null` if this node no longer knows them.
    pub voters: Option<Vec<EpochVoter>>,
    /// Whose weight is not what it was in the epoch before; `null` if this node no longer knows the voters of both.
    pub changes: Option<Vec<VoterChange>>,
    /// What the end of the epoch before did to its voters: objects with `event` naming the kind, as in a transaction.
    #[schema(value_type = Vec<formats::EventObject>)]
    pub events: Vec<serde_json::Value>,
}

/// A voter in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpochVoter {
    /// The validator's name.
    pub name: String,
    /// The operator's account.
    pub address: Address,
    /// Key of its votes.
    pub key: PublicKey,
    /// What its vote weighs, in whole stos.
    pub weight: u64,
    /// The same in basis points of all votes, rounded down.
    pub power_bp: u32,
}

/// A voter whose weight changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoterChange {
    /// The validator's name.
    pub name: String,
    /// The operator's account.
    pub address: Address,
    /// What its vote weighed in the epoch before, in whole stos; 0 if it had none.
    pub weight_before: u64,
    /// What it weighs now; 0 if it has none.
    pub weight: u64,
}
