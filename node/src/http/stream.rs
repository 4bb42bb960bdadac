//! Blocks as they become final: `/v1/blocks/stream`, server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use tokio::sync::broadcast::error::RecvError;

use super::ledger::blocks;
use super::limits::{EVENTS_PAUSE, LISTENERS_MAX};
use super::problem::Problem;
use super::server::Server;

/// Encodes each new block once, for all who listen.
pub async fn tell(server: Arc<Server>) {
    let mut notices = server.site.value.notices();
    loop {
        let notice = tokio::select! {
            notice = notices.recv() => notice,
            () = server.shutdown.cancelled() => return,
        };
        if notice.as_ref().is_ok_and(|notice| notice.header.is_last()) {
            // Whoever votes from now on is known even when the ledger has forgotten it. It fails only when the node stops.
            let learn = |server: &Server| {
                server.voters.learn(&server.site.value.head().state);
                Ok(())
            };
            let _ = server.read(learn).await;
        }
        match notice {
            Ok(notice) if server.events.receiver_count() > 0 => {
                let block = server.read(move |server| Ok(blocks::at(server, notice.header.height))).await;
                if let Ok(Some(block)) = block
                    && let Ok(text) = serde_json::to_string(&block)
                {
                    // They may all have left meanwhile.
                    let _ = server.events.send(text.into());
                }
            }
            // Nobody listens; or this task was too slow, and listeners fetch the blocks they miss.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// `GET /v1/blocks/stream`: `event: block` with the block as JSON, one per block from now on. A listener who is too slow misses some.
///
/// # Errors
/// [`Problem`] if too many listen.
pub async fn listen(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    let permit = Server::take(&server.listeners, LISTENERS_MAX, "event streams")?;
    let place = (server.events.subscribe(), permit, server.metrics.listener());
    let blocks = futures::stream::unfold(place, async |mut place| {
        loop {
            match place.0.recv().await {
                Ok(text) => return Some((Ok::<_, Infallible>(Event::default().event("block").data(&*text)), place)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let blocks = blocks.take_until(server.shutdown.clone().cancelled_owned());
    let mut response = Sse::new(blocks).keep_alive(KeepAlive::new().interval(EVENTS_PAUSE)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
