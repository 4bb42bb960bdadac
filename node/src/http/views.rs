//! What the HTTP interface says, as types: the server writes them, the command line reads them.
//!
//! JSON objects with these field names. Amounts (`Amount` in wei, `Noz`) are decimal strings, because 10^18 does not fit a JavaScript number; hashes and
//! keys are 64 hexadecimal digits; addresses `st1...`; heights, views, epochs, bytes and times (ms since the Unix epoch) are numbers. A reader ignores
//! fields that it does not know, so that fields can be added.

use chain::ballots::Motion;
use chain::governance::{Action, Choice};
use chain::metering::Costs;
use chain::pools::Fund;
use chain::profiles::Profile;
use chain::transaction::Message;
use primitives::{Address, Amount, Bytes, Epoch, Hash, Height, Noz, PublicKey, Time, View};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub mod formats;
mod proof;
mod report;
mod decisions;
mod staking;

pub use decisions::{Ballot, Parameter, Proposal};
pub use proof::*;
pub use report::*;
pub use staking::*;

/// Header that every changing request of a browser or command must carry: a page of another site cannot send it.
pub const HEADER: &str = "x-stratos";

/// Body of every answer with a status of 400 or above, but for [`Health`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What was wrong, with the numbers, and what to do next.
    pub error: String,
}

/// `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether blocks come.
    pub status: HealthStatus,
    /// Newest final block of the value ledger.
    pub height: Height,
}

/// Whether a node does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Blocks become final.
    Ok,
    /// No final block since the start yet.
    Starting,
    /// No final block for a long time.
    Stalled,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The chain's name, `stratos-dev-1a2b3c4d`.
    pub chain_id: String,
    /// Hash of the value ledger's genesis: what every signature covers.
    pub genesis: Hash,
    /// Version of the program.
    pub version: String,
    /// The node's clock.
    pub time_ms: Time,
    /// The value ledger.
    pub value: LedgerStatus,
    /// The metadata ledger.
    pub meta: LedgerStatus,
    /// The running epoch.
    pub epoch: EpochStatus,
    /// The ozone market.
    pub market: Market,
    /// What transactions cost.
    pub fees: Fees,
    /// Where all money is.
    pub supply: Supply,
    /// The account that pays for uploads through this gateway.
    pub gateway: Gateway,
    /// Whether this is a development network, whose keys are public.
    pub dev: bool,
}

/// What a transaction costs in the next block: `fee_wei = units * (base_fee_wei + tip)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fees {
    /// The price of a unit.
    pub base_fee_wei: Amount,
    /// Units of any transaction, of a byte, of a message, and of a signature beyond the first.
    pub units: Costs,
}

/// The newest final block of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerStatus {
    /// Its height.
    pub height: Height,
    /// The view it was decided in.
    pub view: View,
    /// Its hash.
    pub hash: Hash,
    /// Root of the state after it.
    pub state_root: Hash,
    /// Its time.
    pub time_ms: Time,
    /// Members who vote.
    pub members: u32,
}

/// The running epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpochStatus {
    /// Its number.
    pub number: Epoch,
    /// Block time of its start.
    pub started_ms: Time,
    /// Its length in ms of block time.
    pub length_ms: u64,
    /// The newest settled epoch; `null` before the first settlement.
    pub settled: Option<Epoch>,
}

/// The ozone market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Market {
    /// Price of the next noz in wei, rounded down; `"0"` if less than 1 wei or if nothing is for sale.
    pub price_wei_per_noz: Amount,
    /// Ozone for sale (L).
    pub for_sale_noz: Noz,
    /// Ozone sold and not yet spent.
    pub sold_noz: Noz,
    /// Effective deposit of active nodes (S).
    pub deposits_wei: Amount,
    /// Paid for ozone and not yet released (P).
    pub prepaid_wei: Amount,
}

/// Where all money is; the parts sum to the total, which never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Supply {
    /// Balances of accounts.
    pub accounts_wei: Amount,
    /// Paid for ozone and not yet released.
    pub prepaid_wei: Amount,
    /// Deposits of resource and meta nodes.
    pub deposits_wei: Amount,
    /// Stake of validators.
    pub stake_wei: Amount,
    /// What left the stake of validators and is not yet paid out.
    pub unbonding_wei: Amount,
    /// Rewards not yet withdrawn.
    pub rewards_wei: Amount,
    /// The foundation's reserve, from which mining rewards come.
    pub reserve_wei: Amount,
    /// The community pool.
    pub community_wei: Amount,
    /// Deposits of open proposals.
    pub governance_wei: Amount,
    /// Burned: base fees, slashes, forfeited rewards, deposits of vetoed proposals.
    pub burned_wei: Amount,
    /// The sum.
    pub total_wei: Amount,
    /// No part of the sum: mining rewards that the reserve has paid so far.
    pub mined_wei: Amount,
}

/// The gateway of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// Its account.
    pub address: Address,
    /// Ozone left for uploads through it.
    pub noz: Noz,
}

/// `GET /v1/blocks/{height|latest|hash}`; `GET /v1/blocks` gives a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Block {
    /// Its height.
    pub height: Height,
    /// The view it was decided in.
    pub view: View,
    /// Its hash.
    pub hash: Hash,
    /// Hash of the block before it.
    pub parent: Hash,
    /// Its time.
    pub time_ms: Time,
    /// Who proposed it; `null` for the genesis block, and if this node no longer knows who voted in the block's epoch.
    pub proposer: Option<Proposer>,
    /// Its epoch.
    pub epoch: Epoch,
    /// Root of the state after it.
    pub state_root: Hash,
    /// Entries of the state after it.
    pub leaves: u64,
    /// Price of a unit in it.
    pub base_fee_wei: Amount,
    /// Units its transactions used.
    pub units_used: u64,
    /// Units they could have used.
    pub units_limit: u64,
    /// Whether the epoch ends with it.
    pub closes_epoch: bool,
    /// Members whose votes its certificate carries; 0 while none is here but that of a later block.
    pub signers: u32,
    /// Their operators, in the order of votes; `null` in lists and the stream of blocks, while no certificate is here, and if this node no longer knows who voted
    /// in the block's epoch.
    pub signed_by: Option<Vec<Address>>,
    /// Members who could vote; `null` if this node no longer knows who voted in the block's epoch.
    pub members: Option<u32>,
    /// Its size.
    pub bytes: Bytes,
    /// Hashes of its transactions, in order.
    pub txs: Vec<Hash>,
}

/// Who proposed a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposer {
    /// Position in the member set.
    pub index: u32,
    /// The operator's account.
    pub address: Address,
}

/// `GET /v1/txs/{hash}`; `GET /v1/txs` gives a list of them. Of an unknown transaction only `hash` and `state` are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transaction {
    /// Its hash.
    pub hash: Hash,
    /// Where it is.
    pub state: TransactionState,
    /// Height of its block, once final.
    pub height: Option<Height>,
    /// Position in the block, once final.
    pub index: Option<u32>,
    /// How it ended, once final.
    pub status: Option<TransactionStatus>,
    /// Why it failed.
    pub error: Option<String>,
    /// Fee paid, once final; a failed transaction pays too.
    pub fee_wei: Option<Amount>,
    /// Units used, once final.
    pub units: Option<u64>,
    /// Who pays.
    pub sender: Option<Address>,
    /// Its number among the sender's.
    pub nonce: Option<u64>,
    /// The sender's note.
    pub memo: Option<String>,
    /// What it asks for, in order.
    #[serde(default)]
    pub messages: Vec<MessageView>,
    /// What happened, in order: objects with `event` naming the kind, as `chain::event::Event` writes them.
    #[serde(default)]
    #[schema(value_type = Vec<formats::EventObject>)]
    pub events: Vec<serde_json::Value>,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    /// Never seen here.
    Unknown,
    /// Waits for a block.
    Waiting,
    /// In a final block.
    Final,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStatus {
    /// All messages took effect.
    Done,
    /// No message took effect; the fee was paid.
    Failed,
}

/// `POST /v1/txs/simulate`: what would become of a transaction that nobody has signed yet. Nothing was kept or paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Simulation {
    /// The block on whose state it was executed.
    pub height: Height,
    /// Who would pay.
    pub sender: Address,
    /// Units that it uses, its signatures included.
    pub units: u64,
    /// The price of a unit in the next block.
    pub base_fee_wei: Amount,
    /// What it would pay, tip included; `null` above the largest amount.
    pub fee_wei: Option<Amount>,
    /// How it would end.
    pub outcome: SimulationOutcome,
    /// Why it would fail or be refused.
    pub error: Option<String>,
    /// What would happen, in order, as in [`Transaction`].
    #[schema(value_type = Vec<formats::EventObject>)]
    pub events: Vec<serde_json::Value>,
}

/// How a transaction would end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SimulationOutcome {
    /// All messages would take effect.
    Done,
    /// No message would take effect; the fee would be paid.
    Failed,
    /// No block would take it now; nothing would be paid.
    Refused,
}

/// A message of a transaction, without its signatures and proofs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MessageView {
    /// Pay somebody.
    Send {
        /// Who receives.
        to: Address,
        /// How much.
        amount_wei: Amount,
    },
    /// Buy ozone.
    BuyOzone {
        /// What to pay.
        amount_wei: Amount,
        /// Least ozone to accept.
        noz_min: Noz,
        /// Last block in which the offer stands.
        height_max: Height,
        /// Who owns the ozone.
        beneficiary: Address,
    },
    /// Offer storage.
    RegisterResource {
        /// Key of the node.
        key: PublicKey,
        /// Network addresses.
        addresses: Vec<String>,
        /// Bytes offered.
        capacity_bytes: Bytes,
        /// Deposit.
        deposit_wei: Amount,
    },
    /// Apply for a seat among the meta nodes.
    RegisterMeta {
        /// Key of the node.
        key: PublicKey,
        /// Network addresses.
        addresses: Vec<String>,
        /// Deposit.
        deposit_wei: Amount,
    },
    /// Publish new network addresses.
    MoveNode {
        /// The new addresses.
        addresses: Vec<String>,
    },
    /// Vote as a meta node.
    VoteMeta {
        /// What for.
        vote: Motion,
    },
    /// Propose a change.
    Propose {
        /// What it is called.
        title: String,
        /// What it does.
        actions: Vec<Action>,
    },
    /// Vote on a proposal.
    VoteProposal {
        /// Its number.
        proposal: u64,
        /// How.
        choice: Choice,
        /// The validators with whose stake of its own the sender votes.
        validators: Vec<Address>,
    },
    /// Add to the deposit of the sender's node.
    TopUpDeposit {
        /// How much.
        amount_wei: Amount,
    },
    /// Take the sender's node out of its registry.
    LeaveRegistry,
    /// Receive the deposit of the sender's node that left.
    WithdrawDeposit,
    /// Settle a part of an epoch's traffic.
    Settle {
        /// Receipts in the part.
        receipts: u64,
    },
    /// Claim what the report of an epoch does not hold.
    ClaimDirectly {
        /// The epoch of the traffic.
        epoch: Epoch,
        /// Who claims.
        carrier: Address,
        /// Receipts in the claim.
        receipts: u64,
    },
    /// Prove that meta nodes certified a false report.
    AccuseReport {
        /// The report's epoch.
        epoch: Epoch,
        /// The part that does not hold, if the report does not contradict itself.
        part: Option<u32>,
    },
    /// Prove that a meta node issued more tickets than were reserved with it.
    AccuseIssuer {
        /// Who is accused.
        issuer: Option<Address>,
        /// Its tickets.
        tickets: u64,
    },
    /// Withdraw mature rewards.
    Withdraw {
        /// Who receives.
        to: Address,
        /// How much.
        amount_wei: Amount,
    },
    /// Become a validator.
    CreateValidator {
        /// Key of its votes.
        key: PublicKey,
        /// The operator's own stake.
        stake_wei: Amount,
        /// Part of its delegators' rewards that it keeps, in basis points.
        commission_bp: u32,
        /// What that can be raised to at most, in basis points.
        commission_max_bp: u32,
    },
    /// Change what the sender's validator keeps.
    SetCommission {
        /// Part of its delegators' rewards, in basis points.
        commission_bp: u32,
    },
    /// Add to a validator's stake.
    Delegate {
        /// Operator of the validator.
        validator: Address,
        /// How much.
        amount_wei: Amount,
    },
    /// Take out of a validator's stake.
    Undelegate {
        /// Operator of the validator.
        validator: Address,
        /// How much.
        amount_wei: Amount,
    },
    /// Move stake from one validator to another.
    Redelegate {
        /// Operator of the validator that it leaves.
        from: Address,
        /// Operator of the validator that it joins.
        to: Address,
        /// How much.
        amount_wei: Amount,
    },
    /// Receive what stake earned.
    CollectReward {
        /// Operator of the validator.
        validator: Address,
    },
    /// Receive what was taken out and is due.
    WithdrawUnbonded {
        /// Operator of the validator that it left.
        validator: Address,
    },
    /// Stand again after having been jailed.
    Unjail,
    /// Say who operates the sender's validator or node.
    Describe {
        /// What is said; without a word it is removed.
        profile: Profile,
    },
    /// Give to what belongs to all.
    Donate {
        /// Which of it.
        fund: Fund,
        /// How much.
        amount_wei: Amount,
    },
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        match message {
            Message::Send { to, amount } => Self::Send { to: *to, amount_wei: *amount },
            Message::BuyOzone { amount, noz_min, height_max, beneficiary } => {
                Self::BuyOzone { amount_wei: *amount, noz_min: *noz_min, height_max: *height_max, beneficiary: *beneficiary }
            }
            Message::RegisterResource { node, capacity, deposit, possession: _ } => {
                Self::RegisterResource { key: node.key, addresses: node.addresses.clone(), capacity_bytes: *capacity, deposit_wei: *deposit }
            }
            Message::RegisterMeta { node, deposit, possession: _ } => {
                Self::RegisterMeta { key: node.key, addresses: node.addresses.clone(), deposit_wei: *deposit }
            }
            Message::MoveNode { addresses } => Self::MoveNode { addresses: addresses.clone() },
            Message::VoteMeta { motion } => Self::VoteMeta { vote: *motion },
            Message::Propose { title, actions, text: _ } => Self::Propose { title: title.clone(), actions: actions.clone() },
            Message::VoteProposal { proposal, choice, validators } => {
                Self::VoteProposal { proposal: *proposal, choice: *choice, validators: validators.clone() }
            }
            Message::TopUpDeposit { amount } => Self::TopUpDeposit { amount_wei: *amount },
            Message::LeaveRegistry => Self::LeaveRegistry,
            Message::WithdrawDeposit => Self::WithdrawDeposit,
            Message::Settle { part, report: _ } => Self::Settle { receipts: part.as_ref().map_or(0, |part| count(&part.entries)) },
            Message::ClaimDirectly { claim, standing: _ } => {
                Self::ClaimDirectly { epoch: claim.claim.epoch, carrier: claim.claim.carrier, receipts: count(&claim.claim.receipts) }
            }
            Message::AccuseReport { epoch, part, report: _ } => Self::AccuseReport { epoch: *epoch, part: part.as_ref().map(|part| part.number) },
            Message::AccuseIssuer { tickets, standing: _ } => {
                Self::AccuseIssuer { issuer: tickets.first().map(|ticket| ticket.body.issuer), tickets: count(tickets) }
            }
            Message::Withdraw { to, amount } => Self::Withdraw { to: *to, amount_wei: *amount },
            Message::CreateValidator { key, stake, commission, possession: _ } => {
                Self::CreateValidator { key: *key, stake_wei: *stake, commission_bp: commission.bp, commission_max_bp: commission.max_bp }
            }
            Message::SetCommission { bp } => Self::SetCommission { commission_bp: *bp },
            Message::Redelegate { from, to, amount } => Self::Redelegate { from: *from, to: *to, amount_wei: *amount },
            Message::CollectReward { validator } => Self::CollectReward { validator: *validator },
            Message::Delegate { validator, amount } => Self::Delegate { validator: *validator, amount_wei: *amount },
            Message::Undelegate { validator, amount } => Self::Undelegate { validator: *validator, amount_wei: *amount },
            Message::WithdrawUnbonded { validator } => Self::WithdrawUnbonded { validator: *validator },
            Message::Unjail => Self::Unjail,
            Message::Describe { profile } => Self::Describe { profile: profile.clone() },
            Message::Donate { fund, amount } => Self::Donate { fund: *fund, amount_wei: *amount },
        }
    }
}

/// `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// The first block whose events are indexed here.
    pub oldest: Height,
    /// The newest final block.
    pub newest: Height,
    /// What was found, in the order that was asked for.
    pub events: Vec<HappenedEvent>,
    /// Ask with `after=` this for the next page; `null` if nothing more is there. A page can be short, even empty, before the last.
    pub next: Option<String>,
}

/// An event, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HappenedEvent {
    /// The block.
    pub height: Height,
    /// Its number there: first those of transactions, in their order, then those of evidence and of the block's end; from 0 on.
    pub number: u32,
    /// Its place as `after` takes it.
    pub cursor: String,
    /// The block's time.
    pub time_ms: Time,
    /// The transaction that caused it; `null` for evidence and the block's end.
    pub transaction: Option<Hash>,
    /// What happened: its kind under `event`, and the kind's fields.
    #[schema(value_type = formats::EventObject)]
    pub event: serde_json::Value,
}

/// Answer to `POST /v1/txs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The transaction waits for a block under this hash.
    pub hash: Hash,
}

/// `GET /v1/accounts/{address}[?height=H]`; an account nobody has paid yet is empty, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Whose.
    pub address: Address,
    /// The block after which it was this.
    pub height: Height,
    /// Coins that can be spent now.
    pub balance_wei: Amount,
    /// The first number from the account's next one on under which no transaction waits here.
    pub nonce: u64,
    /// Ozone.
    pub noz: Noz,
    /// What the ozone cost.
    pub ozone_cost_wei: Amount,
    /// Rewards not yet withdrawn.
    pub reward: Reward,
    /// What it says about itself as an operator; `null` if nothing.
    pub profile: Option<Profile>,
}

/// Rewards of an account that were not withdrawn yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reward {
    /// Can be withdrawn now.
    pub mature_wei: Amount,
    /// Can be withdrawn later.
    pub immature_wei: Amount,
}

/// `GET /v1/nodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nodes {
    /// Validators that vote in the order of their votes, then others whose nodes are in this process, then nodes that stand by.
    pub validators: Vec<Validator>,
    /// Meta nodes.
    pub meta: Vec<MetaNode>,
    /// Resource nodes.
    pub resource: Vec<ResourceNode>,
}

/// A meta node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MetaNode {
    /// `meta-1`.
    pub name: String,
    /// What its operator says about itself, which nobody vouches for; `null` if nothing.
    pub profile: Option<Profile>,
    /// The operator's account.
    pub address: Address,
    /// Key of its votes and tickets.
    pub key: PublicKey,
    /// Its deposit.
    pub deposit_wei: Amount,
    /// Where it is in its life.
    pub status: NodeStatus,
    /// Whether it runs, as far as this node knows.
    pub state: NodeState,
    /// Network identity (libp2p peer id).
    pub peer: String,
    /// Network addresses (multiaddr).
    pub addresses: Vec<String>,
}

/// A resource node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceNode {
    /// `resource-1`.
    pub name: String,
    /// What its operator says about itself, which nobody vouches for; `null` if nothing.
    pub profile: Option<Profile>,
    /// The operator's account; the node's name in placements and receipts.
    pub address: Address,
    /// Its deposit.
    pub deposit_wei: Amount,
    /// Bytes offered.
    pub capacity_bytes: Bytes,
    /// Bytes of the slices it keeps.
    pub used_bytes: Bytes,
    /// Slices it keeps.
    pub slices: u64,
    /// Where it is in its life.
    pub status: NodeStatus,
    /// Whether it runs, as far as this node knows.
    pub state: NodeState,
    /// Network identity (libp2p peer id).
    pub peer: String,
    /// Network addresses (multiaddr).
    pub addresses: Vec<String>,
    /// What it carried in the newest settled epoch.
    pub carried_noz: Noz,
}

/// Where a registered node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// A meta node that waits for the votes of the active.
    Applicant,
    /// A resource node that takes part from the next epoch on.
    Candidate,
    /// Takes part.
    Active,
    /// A resource node that is given no new slices.
    Suspended,
    /// No member any more, or a resource node that serves what it has and is given nothing new; its deposit waits.
    Leaving,
    /// A meta node that was proven to have broken the rules.
    Tombstoned,
}

/// Whether a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It answers.
    Up,
    /// It was stopped in this process.
    Stopped,
    /// Elsewhere, and not heard of.
    Unknown,
}

/// `GET /v1/files/{id}`; `GET /v1/files` gives a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// Its id.
    pub file_id: Hash,
    /// Whose it is.
    pub owner: Address,
    /// Its length.
    pub bytes: Bytes,
    /// Length of all its slices.
    pub stored_bytes: Bytes,
    /// Segments it was cut into.
    pub segments: u32,
    /// `4+2`: any 4 of 6 slices of a segment give it back.
    pub profile: String,
    /// Height of its record in the metadata ledger.
    pub height: Height,
    /// Time of its record.
    pub created_ms: Time,
    /// For each segment, who holds its slices.
    pub holders: Vec<Vec<Address>>,
    /// For each segment, the commitments of its slices.
    pub slices: Vec<Vec<Hash>>,
}

/// `GET /v1/epochs/{n|latest}`; `GET /v1/epochs` gives a list of them, whose own lists may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpochReport {
    /// The epoch of the traffic.
    pub epoch: Epoch,
    /// Height of the block that settled it.
    pub settled_height: Height,
    /// Ozone charged.
    pub charged_noz: Noz,
    /// Ozone that payers owed and did not have.
    pub unpaid_noz: Noz,
    /// Released from the prepaid pool.
    pub traffic_reward_wei: Amount,
    /// Paid from the foundation's reserve.
    pub mining_reward_wei: Amount,
    /// Community tax on the traffic reward.
    pub tax_wei: Amount,
    /// Receipts settled.
    pub receipts: u64,
    /// Parts they came in.
    pub parts: u32,
    /// Carriers that claimed directly what the report did not hold.
    pub direct: u32,
    /// What each resource node carried and earned.
    #[serde(default)]
    pub carriers: Vec<Carrier>,
    /// What each meta node earned.
    #[serde(default)]
    pub metas: Vec<Earner>,
    /// What each validator earned.
    #[serde(default)]
    pub validators: Vec<Earner>,
    /// What each payer was charged.
    #[serde(default)]
    pub payers: Vec<Payer>,
}

/// A resource node in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Carrier {
    /// The operator's account.
    pub address: Address,
    /// What it carried.
    pub noz: Noz,
    /// What it earned.
    pub reward_wei: Amount,
}

/// A meta node or validator in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Earner {
    /// The operator's account.
    pub address: Address,
    /// What it earned.
    pub reward_wei: Amount,
}

/// A payer in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Payer {
    /// Whose ozone.
    pub address: Address,
    /// What was charged.
    pub noz: Noz,
    /// What that had cost.
    pub released_wei: Amount,
}

/// Answer to `POST /v1/files`: an upload through the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// The file's id.
    pub file_id: Hash,
    /// Where this gateway shows it; carries the capability to decrypt it.
    pub url: String,
    /// Its length.
    pub bytes: Bytes,
    /// Length of all its slices.
    pub stored_bytes: Bytes,
    /// Ozone charged for storing it.
    pub charged_noz: Noz,
    /// Slices that no node took: the code makes up for them, and fewer nodes may be lost.
    pub missing_slices: u64,
}

/// `GET /v1/gateway/files` gives a list of these: what was uploaded through this gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayFile {
    /// The file's id.
    pub file_id: Hash,
    /// Its name.
    pub name: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Its length.
    pub bytes: Bytes,
    /// Where this gateway shows it.
    pub url: String,
    /// Time of the upload.
    pub created_ms: Time,
}

/// Answer to `POST /v1/dev/nodes/{name}/stop` and `/start`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeControl {
    /// The node.
    pub name: String,
    /// Its state now.
    pub state: NodeState,
}

/// Where somebody is reached on the data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// Its network identity.
    pub peer: String,
    /// Its multiaddresses.
    pub addresses: Vec<String>,
}

/// What a client needs to take part by itself: `/v1/network`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkInfo {
    /// The network's name.
    pub chain_id: String,
    /// The hash of its genesis file, which `/v1/genesis` gives.
    pub genesis: Hash,
    /// The first eight digits of it: part of every protocol's name.
    pub network: String,
    /// The gateway's data plane, which answers questions about both ledgers.
    pub data: Place,
    /// The meta nodes' data planes.
    pub meta: Vec<Place>,
}

/// The genesis of a new chain that goes on where this one stands, and what does not go on: `/v1/genesis/export`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenesisExport {
    /// The file; it names the block.
    pub genesis_file: chain::Genesis,
    /// Epochs whose traffic is not settled, without the running one: from the first up to, not including, the second.
    #[schema(value_type = Vec<Epoch>)]
    pub unsettled: (Epoch, Epoch),
    /// What payers are charged in those, so far, and keep.
    pub uncharged_noz: Noz,
    /// Proposals that end without a decision.
    pub proposals: Vec<u64>,
    /// Ballots of the meta nodes that do.
    pub ballots: usize,
    /// Validators that are slashed ahead of their time.
    pub slashes: usize,
}

impl From<chain::export::Export> for GenesisExport {
    fn from(export: chain::export::Export) -> Self {
        let chain::export::Export { genesis, notes } = export;
        let chain::export::Notes { unsettled, uncharged, proposals, ballots, slashes } = notes;
        Self { genesis_file: genesis, unsettled, uncharged_noz: uncharged, proposals, ballots, slashes }
    }
}

/// Answer to `DELETE /v1/files/{id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// The file that was removed.
    pub file_id: Hash,
    /// Always `true`.
    pub removed: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What a program reads must not change its name or type.
    #[test]
    fn transactions_as_json() {
        let to = Address([1; 20]);
        let transaction = Transaction {
            hash: Hash::ZERO,
            state: TransactionState::Final,
            height: Some(Height(3)),
            index: Some(0),
            status: Some(TransactionStatus::Done),
            error: None,
            fee_wei: Some(Amount(21)),
            units: Some(7),
            sender: Some(to),
            nonce: Some(2),
            memo: Some("hi".into()),
            messages: vec![(&Message::Send { to, amount: Amount::stos(1) }).into()],
            events: vec![json!({"event": "sent"})],
        };
        let written = serde_json::to_value(&transaction).unwrap();
        assert_eq!(
            written,
            json!({"hash": "0".repeat(64), "state": "final", "height": 3, "index": 0, "status": "done", "error": Value::Null, "fee_wei": "21", "units": 7,
                "sender": to.to_string(), "nonce": 2, "memo": "hi", "messages": [{"kind": "send", "to": to.to_string(), "amount_wei": "1000000000000000000"}],
                "events": [{"event": "sent"}]})
        );
        assert_eq!(serde_json::from_value::<Transaction>(written).unwrap(), transaction);
        let unknown: Transaction = serde_json::from_value(json!({"hash": "0".repeat(64), "state": "unknown"})).unwrap();
        assert_eq!((unknown.state, unknown.status), (TransactionState::Unknown, None));
    }

    #[test]
    fn simulations_as_json() {
        let text = json!({"height": 3, "sender": Address([1; 20]).to_string(), "units": 7, "base_fee_wei": "3", "fee_wei": "21", "outcome": "refused",
            "error": "too poor", "events": []});
        let simulation: Simulation = serde_json::from_value(text.clone()).unwrap();
        assert_eq!((simulation.outcome, simulation.fee_wei), (SimulationOutcome::Refused, Some(Amount(21))));
        assert_eq!(serde_json::to_value(&simulation).unwrap(), text);
    }

    #[test]
    fn epochs_as_json() {
        let text = json!({"epoch": 5, "settled_height": 60, "charged_noz": "100", "unpaid_noz": "0", "traffic_reward_wei": "7", "mining_reward_wei": "1", "tax_wei": "0",
            "receipts": 6, "parts": 1, "direct": 1, "carriers": [{"address": Address([1; 20]).to_string(), "noz": "100", "reward_wei": "5"}],
            "metas": [], "validators": [], "payers": []});
        let report: EpochReport = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(report.carriers[0].noz, Noz(100));
        assert_eq!(serde_json::to_value(&report).unwrap(), text);
    }
}
