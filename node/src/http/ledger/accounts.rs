//! Accounts: `/v1/accounts/{address}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::{ValueLedger, accounts, epochs, market, profiles, rewards};
use primitives::Address;

use super::super::problem::Problem;
use super::super::question::{Parameters, Segment, parse};
use super::super::server::Server;
use super::super::views;
use super::past::When;

/// `GET /v1/accounts/{address}[?height=H]`.
///
/// # Errors
/// [`Problem`] for what is no address, or if the state of that height is not kept.
pub async fn show(State(server): State<Arc<Server>>, Segment(address): Segment, parameters: Parameters) -> Result<Json<views::Account>, Problem> {
    let address: Address = parse(&address, "an address, which begins with `st1`")?;
    let when = When::read(&server, &parameters)?;
    server
        .read(move |server| {
            let value = &server.site.value;
            let (height, ref state) = when.state(value)?;
            let (account, ozone) = (accounts::read(state, &address), market::ozone(state, &address));
            let (mature, immature) = rewards::read(state, &address).at(epochs::current(state).number);
            // What waits here follows from the newest state only.
            let is_now = when.height().is_none();
            let nonce = if is_now { value.free_nonce(&ValueLedger::sender(&address), account.nonce) } else { account.nonce };
            Ok(Json(views::Account {
                address,
                height,
                balance_wei: account.balance,
                nonce,
                noz: ozone.noz,
                ozone_cost_wei: ozone.cost,
                reward: views::Reward { mature_wei: mature, immature_wei: immature },
                profile: profiles::read(state, &address),
            }))
        })
        .await
}
