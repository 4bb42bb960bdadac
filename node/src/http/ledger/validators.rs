//! Validators: `/v1/validators`, and what an account has with them: `/v1/accounts/{address}/stake`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::epochs;
use chain::keys;
use chain::profiles::{self, Profile};
use chain::staking::attendance::{self, Attendance};
use chain::staking::{self, Status, Validator, delegation, redelegation, weight};
use primitives::encoding::decode;
use primitives::{Address, Amount, Height, PublicKey};
use state::Sealed;

use super::super::limits::VALIDATORS_LISTED_MAX;
use super::super::problem::Problem;
use super::super::question::{Parameters, Segment, parse};
use super::super::server::Server;
use super::super::voters::Set;
use super::super::{Condition, views};
use super::past::When;

/// What the ledger says about all validators.
pub struct Standings {
    /// The current epoch's voters.
    set: Set,
    attendance: Attendance,
    /// The records of the voters in the order of their votes, then all others, more stake first; with what their operators say about themselves.
    records: Vec<(Validator, Option<Profile>)>,
}

/// `GET /v1/validators[?height=H]`; whether nodes run, and where they are, is as of now.
///
/// # Errors
/// [`Problem`] if the state of that height is not kept.
pub async fn list(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::Validator>>, Problem> {
    let when = When::read(&server, &parameters)?;
    let standings = server.read(move |server| Ok(Standings::read(&when.state(&server.site.value)?.1))).await?;
    Ok(Json(standings.views(&server, &conditions(&server).await, |_| true)))
}

/// `GET /v1/validators/{address}[?height=H]`.
///
/// # Errors
/// [`Problem`] if the account operates no validator, or the state of that height is not kept.
pub async fn show(State(server): State<Arc<Server>>, Segment(address): Segment, parameters: Parameters) -> Result<Json<views::Validator>, Problem> {
    let operator: Address = parse(&address, "an address, which begins with `st1`")?;
    let when = When::read(&server, &parameters)?;
    let standings = server
        .read(move |server| {
            let (_, ref state) = when.state(&server.site.value)?;
            let record = staking::read(state, &operator).ok_or_else(|| missing(&operator))?;
            Ok(Standings { records: described(state, vec![record]), ..Standings::read(state) })
        })
        .await?;
    let mut views = standings.views(&server, &conditions(&server).await, |validator| validator.address == operator).into_iter();
    views.next().map(Json).ok_or_else(|| missing(&operator))
}

/// What every node of a development network is doing.
pub async fn conditions(server: &Server) -> Vec<Condition> {
    match &server.site.control {
        Some(control) => control.conditions().await,
        None => Vec::new(),
    }
}

/// The records of all validators that were ever made, the newest at most [`VALIDATORS_LISTED_MAX`] with the most stake.
fn records(state: &Sealed) -> Vec<Validator> {
    let mut records = Vec::new();
    // All records begin with the same namespace.
    let prefix = keys::validator(&Address([0; 20]));
    state.scan(&prefix[..prefix.len() - 20], |_, value| {
        records.push(decode(value, keys::VALUE_BYTES_MAX).expect("the ledger wrote this value itself, and the tree's root vouches for it"));
    });
    records.sort_unstable_by_key(|validator: &Validator| (Reverse(validator.stake), validator.operator));
    records.truncate(VALIDATORS_LISTED_MAX);
    records
}

/// The records, each with its operator's profile.
fn described(state: &Sealed, records: Vec<Validator>) -> Vec<(Validator, Option<Profile>)> {
    let with_profile = |record: Validator| {
        let profile = profiles::read(state, &record.operator);
        (record, profile)
    };
    records.into_iter().map(with_profile).collect()
}

impl Standings {
    /// Reads them.
    pub fn read(state: &Sealed) -> Self {
        let voters = staking::validators(state);
        let total = voters.iter().fold(0_u64, |sum, voter| sum.saturating_add(weight(voter.stake)));
        let places: BTreeMap<Address, usize> = voters.iter().enumerate().map(|(place, voter)| (voter.operator, place)).collect();
        let mut records = records(state);
        records.sort_by_key(|validator| places.get(&validator.operator).copied().unwrap_or(usize::MAX));
        Self { set: Set { voters, total }, attendance: attendance::read(state), records: described(state, records) }
    }

    /// One validator each for which `is_wanted`, then the nodes of this process that stand by.
    pub fn views(&self, server: &Server, conditions: &[Condition], is_wanted: impl Fn(&views::Validator) -> bool) -> Vec<views::Validator> {
        let names = Names::new(server, conditions);
        let by_key: BTreeMap<PublicKey, &Condition> = conditions.iter().filter_map(|condition| Some((condition.consensus_key?, condition))).collect();
        let mut used = BTreeSet::new();
        let mut views = Vec::new();
        for (record, profile) in &self.records {
            used.insert(record.key);
            let view = self.view(record, profile.clone(), names.of(&record.key, &record.operator), by_key.get(&record.key).copied());
            views.extend(Some(view).filter(&is_wanted));
        }
        let standby = by_key.iter().filter(|(key, _)| staking::operator_of(&server.site.value.head().state, key).is_none() && !used.contains(*key));
        views.extend(standby.map(|(key, condition)| views::Validator {
            name: condition.name.clone(),
            profile: None,
            address: condition.operator,
            key: *key,
            status: views::ValidatorStatus::Standby,
            until: None,
            stake_wei: Amount::ZERO,
            weight: 0,
            power_bp: 0,
            commission_bp: 0,
            commission_max_bp: 0,
            attendance: None,
            state: state_of(Some(condition)),
            height: condition.height.map(Height),
        }));
        views
    }

    fn view(&self, record: &Validator, profile: Option<Profile>, name: String, condition: Option<&Condition>) -> views::Validator {
        let place = self.set.voters.iter().position(|voter| voter.key == record.key);
        let weight = place.map_or(0, |place| weight(self.set.voters[place].stake));
        let (status, until) = match record.status {
            Status::Candidate if place.is_some() => (views::ValidatorStatus::Active, None),
            Status::Candidate => (views::ValidatorStatus::Candidate, None),
            Status::Jailed { until } => (views::ValidatorStatus::Jailed, Some(until)),
            Status::Tombstoned { until, .. } => (views::ValidatorStatus::Tombstoned, Some(until)),
        };
        views::Validator {
            name,
            profile,
            address: record.operator,
            key: record.key,
            status,
            until,
            stake_wei: record.stake,
            weight,
            power_bp: self.set.power_bp(weight),
            commission_bp: record.commission.bp,
            commission_max_bp: record.commission.max_bp,
            attendance: place.map(|place| {
                let seen = self.attendance.members.get(place).copied().unwrap_or_default();
                views::Attendance { certificates: self.attendance.certificates, signed: seen.signed, proposed: seen.taken, skipped: seen.skipped }
            }),
            state: state_of(condition),
            height: condition.and_then(|condition| condition.height).map(Height),
        }
    }
}

/// Whether a node runs.
pub fn state_of(condition: Option<&Condition>) -> views::NodeState {
    match condition {
        Some(condition) if condition.is_up => views::NodeState::Up,
        Some(_) => views::NodeState::Stopped,
        None => views::NodeState::Unknown,
    }
}

/// What people call validators: by the node in this process that votes with their key, else by their place at genesis, else by their address.
pub struct Names(BTreeMap<PublicKey, String>);

impl Names {
    /// The names that are known.
    pub fn new(server: &Server, conditions: &[Condition]) -> Self {
        let genesis = (1_u32..).zip(&server.site.genesis.validators).map(|(number, validator)| (validator.key, format!("validator-{number}")));
        Self(genesis.chain(conditions.iter().filter_map(|condition| Some((condition.consensus_key?, condition.name.clone())))).collect())
    }

    /// The name of the validator with this key.
    pub fn of(&self, key: &PublicKey, operator: &Address) -> String {
        self.0.get(key).cloned().unwrap_or_else(|| operator.to_string())
    }
}

/// `GET /v1/accounts/{address}/stake[?height=H]`.
///
/// # Errors
/// [`Problem`] for what is no address, or if the state of that height is not kept.
pub async fn stake(State(server): State<Arc<Server>>, Segment(address): Segment, parameters: Parameters) -> Result<Json<views::Stake>, Problem> {
    let address: Address = parse(&address, "an address, which begins with `st1`")?;
    let when = When::read(&server, &parameters)?;
    let conditions = conditions(&server).await;
    server
        .read(move |server| {
            let (height, ref state) = when.state(&server.site.value)?;
            let names = Names::new(server, &conditions);
            let records = records(state);
            let delegations = records.iter().filter_map(|record| delegated(state, record, &address, &names)).collect();
            Ok(Json(views::Stake {
                address,
                height,
                epoch: epochs::current(state).number,
                asked: super::count(&records),
                is_complete: records.len() < VALIDATORS_LISTED_MAX,
                delegations,
            }))
        })
        .await
}

/// `GET /v1/validators/{address}/delegations[?limit=N][&after=ADDRESS][&height=H]`: who has stake with it, or took some out that is not withdrawn, by address.
///
/// # Errors
/// [`Problem`] if the account operates no validator, for a parameter that makes no sense, or if the state of that height is not kept.
pub async fn delegations(State(server): State<Arc<Server>>, Segment(address): Segment, parameters: Parameters) -> Result<Json<views::Delegations>, Problem> {
    let operator: Address = parse(&address, "an address, which begins with `st1`")?;
    let (limit, after) = (parameters.limit()?, parameters.value::<Address>("after", "an address, as an answer has it under `next`")?);
    let when = When::read(&server, &parameters)?;
    let conditions = conditions(&server).await;
    server
        .read(move |server| {
            let (height, ref state) = when.state(&server.site.value)?;
            let record = staking::read(state, &operator).ok_or_else(|| missing(&operator))?;
            let names = Names::new(server, &conditions);
            // One more than is wanted tells whether there are more.
            let mut found = delegators(state, &operator, after.as_ref(), limit + 1);
            let has_more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().copied().filter(|_| has_more);
            let delegators =
                found.into_iter().filter_map(|address| Some(views::Delegator { address, delegation: delegated(state, &record, &address, &names)? }));
            Ok(Json(views::Delegations { height, epoch: epochs::current(state).number, delegators: delegators.collect(), next }))
        })
        .await
}

fn missing(operator: &Address) -> Problem {
    Problem::missing(format!("{operator} operates no validator"))
}

/// The first accounts after `after` that have stake with a validator, by address.
fn delegators(state: &Sealed, validator: &Address, after: Option<&Address>, limit: usize) -> Vec<Address> {
    let mut prefix = keys::delegation(validator, &Address([0; 20]));
    prefix.truncate(prefix.len() - 20);
    let from = after.map_or_else(|| prefix.clone(), |after| [&keys::delegation(validator, after)[..], &[0]].concat());
    let mut found = Vec::new();
    state.scan_from(&prefix, &from, |key, _| {
        found.extend(key.last_chunk().map(|address| Address(*address)));
        found.len() < limit
    });
    found
}

/// What an account has with a validator; `None` if nothing.
fn delegated(state: &Sealed, record: &Validator, address: &Address, names: &Names) -> Option<views::Delegation> {
    let held = delegation::read(state, &record.operator, address);
    if held == delegation::Delegation::default() {
        return None;
    }
    let current = epochs::current(state).number;
    let leaving: Vec<views::Leaving> = held
        .leaving
        .iter()
        .map(|(left, shares)| {
            let pot = delegation::leaving(state, &record.operator, *left);
            let due = delegation::due_from(state, &record.operator, *left);
            views::Leaving { epoch: *left, amount_wei: delegation::worth(*shares, pot.amount, pot.shares), due_epoch: due }
        })
        .collect();
    let moved: Vec<views::Moved> = held
        .moved
        .iter()
        .map(|part| views::Moved {
            from: part.from,
            epoch: part.epoch,
            amount_wei: redelegation::held(state, record, part).0,
            free_epoch: delegation::due_from(state, &part.from, part.epoch),
        })
        .collect();
    let own = delegation::worth(held.shares, record.stake, record.shares);
    Some(views::Delegation {
        validator: record.operator,
        name: names.of(&record.key, &record.operator),
        stake_wei: moved.iter().map(|moved| moved.amount_wei).fold(own, Amount::saturating_add),
        earned_wei: delegation::earned(state, record, &held),
        moved,
        due_wei: leaving.iter().filter(|leaving| leaving.due_epoch <= current).fold(Amount::ZERO, |sum, leaving| sum.saturating_add(leaving.amount_wei)),
        leaving,
    })
}
