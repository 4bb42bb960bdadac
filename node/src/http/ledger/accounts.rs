//! Accounts: `/v1/accounts/{address}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::{accounts, epochs, market, profiles, rewards};
use primitives::{Address, Hash};

use super::super::problem::Problem;
use super::super::question::{Segment, parse};
use super::super::server::Server;
use super::super::views;

/// `GET /v1/accounts/{address}`.
///
/// # Errors
/// [`Problem`] for what is no address.
pub async fn show(State(server): State<Arc<Server>>, Segment(address): Segment) -> Result<Json<views::Account>, Problem> {
    let address: Address = parse(&address, "an address, which begins with `st1`")?;
    server
        .read(move |server| {
            let value = &server.site.value;
            let head = value.head();
            let state = &head.state;
            let (account, ozone) = (accounts::read(state, &address), market::ozone(state, &address));
            let (mature, immature) = rewards::read(state, &address).at(epochs::current(state).number);
            let waiting = value.nonce_after(&Hash::of("sender", &[&address.0]));
            Ok(Json(views::Account {
                address,
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
