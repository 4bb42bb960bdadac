//! Who decides what: parameters, proposals, and ballots of the meta nodes.

use chain::ballots::Motion;
use chain::governance::{Action, Outcome};
use primitives::{Address, Amount, Epoch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/parameters`: one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value, in its unit.
    #[serde(with = "chain::governance::wide")]
    #[schema(value_type = String, pattern = "^[0-9]+$")]
    pub value: u128,
    /// What it is counted in.
    pub unit: String,
    /// The least that is possible.
    #[serde(with = "chain::governance::wide")]
    #[schema(value_type = String, pattern = "^[0-9]+$")]
    pub min: u128,
    /// The most that is possible.
    #[serde(with = "chain::governance::wide")]
    #[schema(value_type = String, pattern = "^[0-9]+$")]
    pub max: u128,
}

/// `GET /v1/proposals` and `GET /v1/proposals/{number}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposal {
    /// Its number.
    pub number: u64,
    /// Who made it.
    pub proposer: Address,
    /// What it is called.
    pub title: String,
    /// Why.
    pub text: String,
    /// What it does.
    pub actions: Vec<Action>,
    /// What was paid for it.
    pub deposit_wei: Amount,
    /// The epoch in which it was made.
    pub since: Epoch,
    /// The last epoch in which votes count.
    pub until: Epoch,
    /// What became of it.
    pub outcome: Outcome,
    /// Stake for it; as of now if it is open.
    pub yes_wei: Amount,
    /// Stake against it.
    pub no_wei: Amount,
    /// Stake that abstained.
    pub abstain_wei: Amount,
    /// Stake that vetoed it.
    pub veto_wei: Amount,
    /// All stake that can vote.
    pub total_wei: Amount,
}

/// `GET /v1/ballots`: one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ballot {
    /// What is voted on.
    pub vote: Motion,
    /// Epoch of the first vote.
    pub opened: Epoch,
    /// The last epoch with whose end it can be carried.
    pub until: Epoch,
    /// Who voted for it.
    pub votes: Vec<Address>,
    /// Active meta nodes: more than two thirds of them carry it.
    pub active: u64,
}
