//! Settled epochs: `/v1/epochs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::epochs;
use chain::settlement::{self, Settled, Share};
use primitives::Epoch;

use super::super::problem::Problem;
use super::super::question::{Parameters, Segment, parse};
use super::super::server::Server;
use super::super::views;

/// `GET /v1/epochs/{n|latest}`; `latest` is the newest settled one.
///
/// # Errors
/// [`Problem`] if the epoch is not settled.
pub async fn show(State(server): State<Arc<Server>>, Segment(number): Segment) -> Result<Json<views::EpochReport>, Problem> {
    server
        .read(move |server| {
            let head = server.site.value.head();
            let (next, current) = (settlement::progress(&head.state).epoch, epochs::current(&head.state).number);
            let newest = next.checked_sub(Epoch(1));
            let none = || Problem::missing(format!("no epoch is settled yet; this is epoch {current}, an epoch settles a few seconds after it ends"));
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
            let numbers = (0..settlement::progress(&head.state).epoch.0).rev().take(limit);
            Ok(Json(numbers.filter_map(|number| settlement::settled(&head.state, Epoch(number))).map(|settled| view(&settled, false)).collect()))
        })
        .await
}

fn view(settled: &Settled, with_lists: bool) -> views::EpochReport {
    let earners = |shares: &[Share]| shares.iter().map(|share| views::Earner { address: share.address, reward_wei: share.reward }).collect::<Vec<_>>();
    let mut report = views::EpochReport {
        epoch: settled.epoch,
        settled_height: settled.height,
        charged_noz: settled.noz,
        traffic_reward_wei: settled.released,
        mining_reward_wei: settled.mined,
        tax_wei: settled.tax,
        receipts: settled.receipts,
        parts: settled.parts,
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
