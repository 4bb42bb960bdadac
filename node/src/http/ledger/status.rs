//! How the network is: `/v1/status`, `/v1/network`, `/health`, `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chain::ledger::Rules;
use chain::parameters::Parameters;
use chain::{epochs, fees, genesis, market, meta_registry, settlement};
use p2p::Contact;
use primitives::{Amount, Epoch};

use super::super::limits::STALLED_AFTER_MS;
use super::super::metrics::{MEDIA_TYPE, Sample};
use super::super::problem::Problem;
use super::super::server::Server;
use super::super::views;
use super::count;
use super::nodes::contact;
use crate::replica::{Replica, wall};

/// `GET /v1/status`.
///
/// # Errors
/// Never in a running node.
pub async fn status(State(server): State<Arc<Server>>) -> Result<Json<views::Status>, Problem> {
    server.read(|server| Ok(Json(look(server)))).await
}

fn look(server: &Server) -> views::Status {
    let site = &server.site;
    let head = site.value.head();
    let state = &head.state;
    let parameters = Parameters::read(state);
    let (epoch, market, curve) = (epochs::current(state), market::read(state), market::curve(state));
    let gateway = site.files.session().payer();
    views::Status {
        chain_id: genesis::chain_id(&site.genesis.name, &server.chain()),
        genesis: server.chain(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time_ms: wall(),
        value: ledger(&site.value),
        meta: ledger(&site.meta),
        epoch: views::EpochStatus {
            number: epoch.number,
            started_ms: epoch.started,
            length_ms: parameters.epoch_ms,
            settled: settlement::progress(state).unsettled.checked_sub(Epoch(1)),
        },
        market: views::Market {
            price_wei_per_noz: Amount(curve.price().unwrap_or(0) / pot::curve::PRICE_SCALE),
            for_sale_noz: market.for_sale,
            sold_noz: market.sold,
            deposits_wei: market.deposits,
            prepaid_wei: curve.prepaid,
        },
        fees: views::Fees { base_fee_wei: fees::base_fee(state), units: parameters.costs() },
        supply: server.supply.at(head.header.height, state),
        gateway: views::Gateway { address: gateway, noz: market::ozone(state, &gateway).noz },
        dev: site.control.is_some(),
    }
}

fn ledger<R: Rules>(replica: &Replica<R>) -> views::LedgerStatus {
    let head = replica.head();
    views::LedgerStatus {
        height: head.header.height,
        view: head.header.view,
        hash: head.header.hash(),
        state_root: head.state.root().root,
        time_ms: head.header.time,
        members: count(replica.members().list()),
    }
}

/// `GET /v1/network`.
///
/// # Errors
/// Never in a running node.
pub async fn network(State(server): State<Arc<Server>>) -> Result<Json<views::NetworkInfo>, Problem> {
    server
        .read(|server| {
            let metas = meta_registry::nodes(&server.site.value.head().state);
            Ok(Json(views::NetworkInfo {
                chain_id: genesis::chain_id(&server.site.genesis.name, &server.chain()),
                genesis: server.chain(),
                network: genesis::network(&server.chain()),
                data: place(&server.site.data),
                meta: metas.iter().filter_map(|meta| contact(&meta.node)).map(|contact| place(&contact)).collect(),
            }))
        })
        .await
}

fn place(contact: &Contact) -> views::Place {
    views::Place { peer: contact.peer.to_string(), addresses: contact.addresses.iter().map(ToString::to_string).collect() }
}

/// `GET /health`: 200 while blocks come, 503 else.
pub async fn health(State(server): State<Arc<Server>>) -> Response {
    let head = server.site.value.head();
    let age_ms = wall().saturating_sub(head.header.time).0;
    let uptime_ms = server.started.elapsed().as_millis();
    let status = health_of(head.header.height > server.height_at_start, age_ms, u64::try_from(uptime_ms).unwrap_or(u64::MAX));
    let code = match status {
        views::HealthStatus::Ok => StatusCode::OK,
        views::HealthStatus::Starting | views::HealthStatus::Stalled => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(views::Health { status, height: head.header.height })).into_response()
}

fn health_of(has_new_block: bool, age_ms: u64, uptime_ms: u64) -> views::HealthStatus {
    match (has_new_block, age_ms < STALLED_AFTER_MS, uptime_ms < STALLED_AFTER_MS) {
        (true, true, _) => views::HealthStatus::Ok,
        (false, _, true) => views::HealthStatus::Starting,
        (false, _, false) | (true, false, _) => views::HealthStatus::Stalled,
    }
}

/// `GET /metrics`.
pub async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let (site, metrics) = (&server.site, &server.metrics);
    metrics.sample("value", &sample(&site.value));
    metrics.sample("metadata", &sample(&site.meta));
    if let Some(audited) = site.value.audited() {
        metrics.sample_audit("value", audited.epoch.0, audited.took);
    }
    let epoch = server.read(|server| Ok(epochs::current(&server.site.value.head().state).number)).await;
    if let Ok(epoch) = epoch {
        metrics.sample_epoch(epoch.0);
    }
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], metrics.text()).into_response()
}

fn sample<R: Rules>(replica: &Replica<R>) -> Sample {
    let head = replica.head();
    Sample {
        height: head.header.height.0,
        view: head.header.view.0,
        time_ms: head.header.time.0,
        entries: head.state.root().leaves,
        waiting: u64::try_from(replica.waiting()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_over_time() {
        use views::HealthStatus::{Ok, Stalled, Starting};
        let late = STALLED_AFTER_MS;
        for (has_new_block, age, uptime, expected) in [
            (false, 0, 0, Starting),
            (false, late, late - 1, Starting),
            (false, 0, late, Stalled),
            (true, 0, 0, Ok),
            (true, late - 1, late, Ok),
            (true, late, 0, Stalled),
        ] {
            assert_eq!(health_of(has_new_block, age, uptime), expected, "{has_new_block} {age} {uptime}");
        }
    }
}
