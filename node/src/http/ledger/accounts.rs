//! Accounts: `/v1/accounts/{address}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::{accounts, epochs, market, profiles, rewards};
use primitives::{Address, Hash};

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
            let waiting = value.nonce_after(&Hash::of("sender", &[&address.0])).filter(|_| when.height().is_none());
            Ok(Json(views::Account {
                address,
                height,
                balance_wei: account.balance,
                nonce: waiting.map_or(account.nonce, |next| next.max(account.nonce)),
                noz: ozone.noz,
                ozone_cost_wei: ozone.cost,
                reward: views::Reward { mature_wei: mature, immature_wei: immature },
                profile: profiles::read(state, &address),
            }))
        })
        .await
}
