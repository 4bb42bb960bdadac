//! Who decides what: `/v1/parameters`, `/v1/proposals`, `/v1/ballots`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::governance::{self, Outcome};
use chain::meta_registry;
use chain::parameters::Parameters as Values;
use chain::{ballots, keys::Read};
use primitives::Epoch;

use super::super::problem::Problem;
use super::super::question::{Parameters, Segment, parse};
use super::super::server::Server;
use super::super::views;
use super::past::When;

/// `GET /v1/parameters[?height=H]`: all of them, with units and ranges.
///
/// # Errors
/// [`Problem`] if the state of that height is not kept.
pub async fn parameters(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::Parameter>>, Problem> {
    let when = When::read(&server, &parameters)?;
    server
        .read(move |server| {
            let values = Values::read(&when.state(&server.site.value)?.1);
            let view = |(field, value): (&chain::parameters::Field, u128)| views::Parameter {
                name: field.name.to_owned(),
                value,
                unit: field.unit.to_owned(),
                min: field.min,
                max: field.max,
            };
            Ok(Json(values.list().map(view).collect()))
        })
        .await
}

/// `GET /v1/proposals?limit=N[&height=H]`: the newest.
///
/// # Errors
/// [`Problem`] if the limit is no number, or the state of that height is not kept.
pub async fn proposals(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::Proposal>>, Problem> {
    let (limit, when) = (parameters.limit()?, When::read(&server, &parameters)?);
    server
        .read(move |server| {
            let (_, ref state) = when.state(&server.site.value)?;
            let next = governance::agenda(state).next;
            Ok(Json((0..next).rev().take(limit).filter_map(|number| view(state, number)).collect()))
        })
        .await
}

/// `GET /v1/proposals/{number}[?height=H]`.
///
/// # Errors
/// [`Problem`] if there is none, or the state of that height is not kept.
pub async fn proposal(State(server): State<Arc<Server>>, Segment(number): Segment, parameters: Parameters) -> Result<Json<views::Proposal>, Problem> {
    let number: u64 = parse(&number, "the number of a proposal")?;
    let when = When::read(&server, &parameters)?;
    server
        .read(move |server| {
            let found = view(&when.state(&server.site.value)?.1, number);
            found.map(Json).ok_or_else(|| Problem::missing(format!("there is no proposal {number}")))
        })
        .await
}

fn view(state: &impl Read, number: u64) -> Option<views::Proposal> {
    let proposal = governance::proposal(state, number)?;
    let (votes, total) = if proposal.outcome == Outcome::Open { governance::count(state, number) } else { (proposal.votes, proposal.total) };
    let [yes_wei, no_wei, abstain_wei, veto_wei] = votes;
    Some(views::Proposal {
        number,
        proposer: proposal.proposer,
        title: proposal.title,
        text: proposal.text,
        actions: proposal.actions,
        deposit_wei: proposal.deposit,
        since: proposal.since,
        until: proposal.until,
        outcome: proposal.outcome,
        yes_wei,
        no_wei,
        abstain_wei,
        veto_wei,
        total_wei: total,
    })
}

/// `GET /v1/ballots[?height=H]`: the open ones.
///
/// # Errors
/// [`Problem`] if the state of that height is not kept.
pub async fn ballots(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::Ballot>>, Problem> {
    let when = When::read(&server, &parameters)?;
    server
        .read(move |server| {
            let (_, ref state) = when.state(&server.site.value)?;
            let (active, wait) = (u64::try_from(meta_registry::active(state)).unwrap_or(u64::MAX), Values::read(state).ballot_epochs);
            let view = |motion| {
                let ballot = ballots::read(state, &motion)?;
                let until = ballot.opened.saturating_add(Epoch(wait.saturating_sub(1)));
                Some(views::Ballot { vote: motion, opened: ballot.opened, until, votes: ballot.votes, active })
            };
            Ok(Json(ballots::open(state).into_iter().filter_map(view).collect()))
        })
        .await
}
