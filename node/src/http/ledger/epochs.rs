//! Epochs: their settlements and their voters: `/v1/epochs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::epochs;
use chain::event::Event;
use chain::settlement::{self, Settled, Share};
use chain::staking::{Voter, weight};
use primitives::{Epoch, Hash};

use super::super::problem::Problem;
use super::super::question::{Parameters, Segment, parse};
use super::super::server::Server;
use super::super::views;
use super::super::voters::Set;
use super::count;
use super::validators::{Names, conditions};

/// `GET /v1/epochs/{n|latest}`; `latest` is the newest settled one.
///
/// # Errors
/// [`Problem`] if the epoch is not settled.
pub async fn show(State(server): State<Arc<Server>>, Segment(number): Segment) -> Result<Json<views::EpochReport>, Problem> {
    server
        .read(move |server| {
            let head = server.site.value.head();
            let (next, current) = (settlement::progress(&head.state).unsettled, epochs::current(&head.state).number);
            let newest = next.checked_sub(Epoch(1));
            let none = || {
                Problem::missing(format!("no epoch is settled yet; this is epoch {current}, an epoch settles when one whole epoch has passed after its report"))
            };
            let epoch = if number == "latest" { newest.ok_or_else(none)? } else { parse(&number, "the number of an epoch, or `latest`")? };
            let unsettled = || match newest {
                Some(newest) => Problem::missing(format!("epoch {epoch} is not settled; the newest settled epoch is {newest}, this is epoch {current}")),
                None => none(),
            };
            settlement::settled(&head.state, epoch).map(|settled| Json(view(&settled, true))).ok_or_else(unsettled)
        })
        .await
}

/// `GET /v1/epochs?limit=N`: newest first, without who carried and paid.
///
/// # Errors
/// [`Problem`] if the limit is no number.
pub async fn list(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::EpochReport>>, Problem> {
    let limit = parameters.limit()?;
    server
        .read(move |server| {
            let head = server.site.value.head();
            let numbers = (0..settlement::progress(&head.state).unsettled.0).rev().take(limit);
            Ok(Json(numbers.filter_map(|number| settlement::settled(&head.state, Epoch(number))).map(|settled| view(&settled, false)).collect()))
        })
        .await
}

/// `GET /v1/epochs/{n|latest}/voters`; `latest` is the current one.
///
/// # Errors
/// [`Problem`] if the epoch has not begun.
pub async fn voters(State(server): State<Arc<Server>>, Segment(number): Segment) -> Result<Json<views::EpochVoters>, Problem> {
    let conditions = conditions(&server).await;
    server
        .read(move |server| {
            let value = &server.site.value;
            let current = epochs::current(&value.head().state).number;
            let epoch = if number == "latest" { current } else { parse(&number, "the number of an epoch, or `latest`")? };
            let missing = || Problem::missing(format!("epoch {epoch} has not begun; this is epoch {current}"));
            let members = members_of(server, epoch).ok_or_else(missing)?;
            let names = Names::new(server, &conditions);
            let set = server.voters.of(value, &members);
            let before = epoch.checked_sub(Epoch(1));
            let set_before = before.and_then(|before| members_of(server, before)).and_then(|members| server.voters.of(value, &members));
            let changes = match (&set, before, &set_before) {
                (Some(_), None, _) => Some(Vec::new()),
                (Some(set), Some(_), Some(before)) => Some(changes(before, set, &names)),
                (None, _, _) | (_, _, None) => None,
            };
            let ended = before.and_then(|before| value.epoch_end(before));
            let events = ended.iter().flat_map(|stored| stored.logs.iter().filter_map(Event::from_log)).filter(is_about_validators);
            Ok(Json(views::EpochVoters {
                epoch,
                current,
                members,
                total: set.as_ref().map(|set| set.total),
                voters: set.map(|set| set.voters.iter().map(|voter| voter_view(&set, voter, &names)).collect()),
                changes,
                events: events.filter_map(|event| serde_json::to_value(event).ok()).collect(),
            }))
        })
        .await
}

/// What the headers of an epoch name its voters by; `None` if it has not begun.
pub fn members_of(server: &Server, epoch: Epoch) -> Option<Hash> {
    let value = &server.site.value;
    let head = value.head();
    if epoch == epochs::current(&head.state).number {
        return Some(head.members.hash());
    }
    value.epoch_end(epoch).map(|stored| stored.block.header.members)
}

fn voter_view(set: &Set, voter: &Voter, names: &Names) -> views::EpochVoter {
    let weight = weight(voter.stake);
    views::EpochVoter { name: names.of(&voter.key, &voter.operator), address: voter.operator, key: voter.key, weight, power_bp: set.power_bp(weight) }
}

/// Whose weight is not what it was: first those who voted before, then those who came.
fn changes(before: &Set, set: &Set, names: &Names) -> Vec<views::VoterChange> {
    let weight_in = |set: &Set, key| set.voters.iter().find(|voter| voter.key == key).map_or(0, |voter| weight(voter.stake));
    let come = set.voters.iter().filter(|voter| weight_in(before, voter.key) == 0);
    let all = before.voters.iter().chain(come).map(|voter| views::VoterChange {
        name: names.of(&voter.key, &voter.operator),
        address: voter.operator,
        weight_before: weight_in(before, voter.key),
        weight: weight_in(set, voter.key),
    });
    all.filter(|change| change.weight_before != change.weight).collect()
}

/// What the end of an epoch does to its voters.
fn is_about_validators(event: &Event) -> bool {
    matches!(event, Event::ValidatorJailed { .. } | Event::ValidatorTombstoned { .. } | Event::ValidatorSlashed { .. })
}

fn view(settled: &Settled, with_lists: bool) -> views::EpochReport {
    let earners = |shares: &[Share]| shares.iter().map(|share| views::Earner { address: share.address, reward_wei: share.reward }).collect::<Vec<_>>();
    let mut report = views::EpochReport {
        epoch: settled.epoch,
        settled_height: settled.height,
        charged_noz: settled.noz,
        unpaid_noz: settled.unpaid,
        traffic_reward_wei: settled.released,
        mining_reward_wei: settled.mined,
        tax_wei: settled.tax,
        receipts: settled.receipts,
        parts: count(&settled.parts),
        direct: count(&settled.direct),
        carriers: Vec::new(),
        metas: Vec::new(),
        validators: Vec::new(),
        payers: Vec::new(),
    };
    if with_lists {
        report.carriers = settled.carriers.iter().map(|share| views::Carrier { address: share.address, noz: share.noz, reward_wei: share.reward }).collect();
        report.metas = earners(&settled.metas);
        report.validators = earners(&settled.validators);
        report.payers = settled.payers.iter().map(|paid| views::Payer { address: paid.address, noz: paid.noz, released_wei: paid.released }).collect();
    }
    report
}
