//! The chain's genesis, and the chain as the genesis of a new one: `/v1/genesis`, `/v1/genesis/export`. Both may be as long as a file of all accounts.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use chain::export::Point;
use futures::stream;
use primitives::Height;
use serde::Serialize;

use super::super::limits::{ANSWER_PART_BYTES, EXPORT_TIMEOUT, EXPORTS_MAX};
use super::super::problem::Problem;
use super::super::question::Parameters;
use super::super::server::Server;
use super::super::views;
use super::proof::problem;

/// `GET /v1/genesis`: the file that this network began with.
///
/// # Errors
/// Never in a running node.
pub async fn show(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    // It is the same for as long as the node runs.
    server.read(|server| Ok(answer(Body::from(server.genesis_file.get_or_init(|| written(&*server.site.genesis)).clone())))).await
}

/// `GET /v1/genesis/export[?height=H][&name=NAME]`: of the newest final block without a height, under the old name without one.
///
/// # Errors
/// [`Problem`] if the state of that height is not kept, the chain cannot be continued, or an export is under way.
pub async fn export(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Response, Problem> {
    let height = parameters.value::<u64>("height", "a height")?.map(Height);
    let name = parameters.text("name").map(str::to_owned);
    let permit = Server::take(&server.exports, EXPORTS_MAX, "exports of the chain")?;
    let (bytes, permit) = server
        .read(move |server| {
            let site = &server.site;
            let (certified, state) = site.value.after(height).map_err(|error| problem(&error))?;
            let point = Point { chain: server.chain(), height: certified.header.height, time: certified.header.time };
            let name = name.as_deref().unwrap_or(&site.genesis.name);
            let exported = chain::export::export(&state, &point, name).map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
            Ok((written(&views::GenesisExport::from(exported)), permit))
        })
        .await?;
    // Until all of it is on its way it is in memory, and nobody else gets another.
    let until = Instant::now() + EXPORT_TIMEOUT;
    let parts = stream::unfold((bytes, permit), move |(mut bytes, permit)| async move {
        let part = bytes.split_to(ANSWER_PART_BYTES.min(bytes.len()));
        let part = if Instant::now() < until { Ok(part) } else { Err(io::Error::from(io::ErrorKind::TimedOut)) };
        (!part.as_ref().is_ok_and(Bytes::is_empty)).then_some((part, (bytes, permit)))
    });
    Ok(answer(Body::from_stream(parts)))
}

fn written(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("a genesis file is made of texts, numbers and lists").into()
}

fn answer(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
