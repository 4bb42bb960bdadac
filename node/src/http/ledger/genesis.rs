//! The chain as the genesis of a new one: `/v1/genesis/export`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chain::export::Point;
use primitives::Height;

use super::super::limits::EXPORTS_MAX;
use super::super::problem::Problem;
use super::super::question::Parameters;
use super::super::server::Server;
use super::super::views;
use super::proof::problem;

/// `GET /v1/genesis/export[?height=H][&name=NAME]`: of the newest final block without a height, under the old name without one.
///
/// # Errors
/// [`Problem`] if the state of that height is not kept, the chain cannot be continued, or an export is under way.
pub async fn export(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<views::GenesisExport>, Problem> {
    let height = parameters.value::<u64>("height", "a height")?.map(Height);
    let name = parameters.text("name").map(str::to_owned);
    let permit = Server::take(&server.exports, EXPORTS_MAX, "exports of the chain")?;
    server
        .read(move |server| {
            let site = &server.site;
            let (certified, state) = site.value.after(height).map_err(|error| problem(&error))?;
            let point = Point { chain: server.chain(), height: certified.header.height, time: certified.header.time };
            let name = name.as_deref().unwrap_or(&site.genesis.name);
            let exported = chain::export::export(&state, &point, name);
            drop(permit);
            exported.map(|exported| Json(exported.into())).map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
        })
        .await
}
