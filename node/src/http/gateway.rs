//! Files of the gateway's own account: stored, listed and removed through this server.
//!
//! Nothing is kept about them here. The metadata ledger lists what the account owns, and the account's secret opens each manifest, which tells name, type and
//! key: so the list survives every crash and the loss of this node's data, and never disagrees with what is stored.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use client::files::put::now;
use client::files::{Capability, FilesError, PutFile, Stored};
use futures::StreamExt as _;
use meta::files;
use primitives::{Bytes, Time};
use state::Sealed;
use storage::manifest::{FileId, MEDIA_TYPE_BYTES_MAX, NAME_BYTES_MAX};
use storage::{Details, ProfileId};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::io::StreamReader;

use super::delivery::{media_type, problem};
use super::index::{newest_of, stored};
use super::limits::{BODY_STALL, DRAIN_BYTES_MAX, DRAIN_TIMEOUT, GATEWAY_FILES_MAX, RECORD_TIMEOUT, UPLOAD_BYTES_MAX, UPLOADS_MAX};
use super::metrics::Direction;
use super::problem::Problem;
use super::question::{Parameters, Segment, parse};
use super::server::{Server, drain};
use super::{guard, views};

/// `POST /v1/files?name=NAME&type=TYPE`: stores the body. Answered when its slices are durable and its record is final.
///
/// # Errors
/// [`Problem`]; nothing is recorded then.
pub async fn store(State(server): State<Arc<Server>>, parameters: Parameters, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let prepared = prepare(&server, &parameters, &headers);
    let (details, length, permit) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => {
            drain(body);
            return Err(problem);
        }
    };
    let host = guard::host(&headers)?.to_owned();
    let mut reader = read(body, Arc::clone(&server));
    let files = server.site.files.clone();
    let (site, shutdown) = (Arc::clone(&server.site), server.shutdown.clone());
    let (sender, answer) = oneshot::channel();
    // On its own: what has arrived whole is stored, also for an asker who has left.
    tokio::spawn(async move {
        let what = PutFile { details, profile: ProfileId::Dev };
        let result = tokio::select! {
            result = files.put(&mut reader, length, &what, &site.secret, |_| ()) => result,
            () = shutdown.cancelled() => Err(FilesError::Ending),
        };
        let is_refused = result.is_err();
        drop(permit);
        // The asker may be gone.
        let _ = sender.send(result);
        if is_refused {
            // As in `drain`: who sends a body reads the answer only when the rest is sent.
            let rest = async { tokio::io::copy(&mut reader.take(DRAIN_BYTES_MAX as u64), &mut tokio::io::sink()).await };
            let _ = timeout(DRAIN_TIMEOUT, rest).await;
        }
    });
    let stored = answer.await.unwrap_or(Err(FilesError::Ending)).map_err(|error| problem(&error))?;
    let id = stored.capability.id;
    seen(&server, id, true).await;
    let answer = uploaded(&host, &stored);
    let place = HeaderValue::try_from(format!("/v1/files/{id}")).expect("a path of letters and digits");
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(answer)).into_response())
}

/// What an upload is called, how long it says it is, and its place among the uploads.
fn prepare(server: &Server, parameters: &Parameters, headers: &HeaderMap) -> Result<(Details, Option<u64>, tokio::sync::OwnedSemaphorePermit), Problem> {
    let length = match headers.get(header::CONTENT_LENGTH) {
        Some(length) => Some(parse::<u64>(length.to_str().unwrap_or_default(), "a length in bytes")?),
        None => None,
    };
    if let Some(length) = length.filter(|length| *length > UPLOAD_BYTES_MAX) {
        let text = format!("the file has {length} bytes; a file has at most {UPLOAD_BYTES_MAX}: send it in parts");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let name = parameters.text("name").unwrap_or_default();
    let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
    if name.len() > NAME_BYTES_MAX {
        return Err(Problem::bad(format!("the name has {} bytes, at most {NAME_BYTES_MAX} are allowed", name.len())));
    }
    let given = parameters.text("type").filter(|given| given.len() <= MEDIA_TYPE_BYTES_MAX).unwrap_or_default();
    let details = Details { name, media_type: media_type(given).to_owned(), created: now() };
    Ok((details, length, Server::take(&server.uploads, UPLOADS_MAX, "uploads")?))
}

/// A body as something to read, which must keep coming.
fn read(body: Body, server: Arc<Server>) -> impl AsyncRead + Unpin + Send {
    let stream = futures::stream::unfold((body.into_data_stream(), 0_u64), move |(mut stream, sent)| {
        let server = Arc::clone(&server);
        async move {
            let item = match timeout(BODY_STALL, stream.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(bytes))) => Ok(bytes),
                Ok(Some(Err(error))) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, format!("the upload broke off after {sent} bytes: {error}"))),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing came for {} s after {sent} bytes", BODY_STALL.as_secs()))),
            };
            let more = item.as_ref().map_or(0, |bytes| bytes.len());
            server.metrics.moved(Direction::In, more);
            let sent = sent.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
            // A body of unknown length shows only now that it is too long.
            let item = if sent > UPLOAD_BYTES_MAX { Err(io::Error::other(format!("a file has at most {UPLOAD_BYTES_MAX} bytes"))) } else { item };
            Some((item, (stream, sent)))
        }
    });
    StreamReader::new(Box::pin(stream))
}

/// Waits until this node's own replica shows that a file is there or gone, which is final already: so that the next question here sees it.
async fn seen(server: &Arc<Server>, id: FileId, is_there: bool) {
    let mut heads = server.site.meta.watch();
    let waiting = async {
        loop {
            let head = Arc::clone(&heads.borrow_and_update());
            let is_seen = server.read(move |_| Ok(files::file(&head.state, &id).is_some() == is_there)).await;
            if !matches!(is_seen, Ok(false)) || heads.changed().await.is_err() {
                break;
            }
        }
    };
    // A replica that is far behind shows it later.
    let _ = timeout(RECORD_TIMEOUT, waiting).await;
}

fn uploaded(host: &str, stored: &Stored) -> views::Uploaded {
    views::Uploaded {
        file_id: stored.capability.id,
        url: url(host, &stored.capability),
        bytes: Bytes(stored.bytes),
        stored_bytes: Bytes(stored.stored_bytes),
        charged_noz: stored.charged,
        missing_slices: u64::try_from(stored.missing_slices).unwrap_or(u64::MAX),
    }
}

fn url(host: &str, capability: &Capability) -> String {
    format!("http://{host}/files/{}?cap={}", capability.id, capability.to_text())
}

/// `DELETE /v1/files/{id}`: removes a file of the gateway's account. Answered when that is final.
///
/// # Errors
/// [`Problem`] if there is no such file, or it is somebody else's.
pub async fn remove(State(server): State<Arc<Server>>, Segment(id): Segment) -> Result<Json<views::Removed>, Problem> {
    let id: FileId = parse(&id, "a file id of 64 hexadecimal digits")?;
    let owner = server.read(move |server| Ok(stored(&server.site.meta.head().state, &id)?.manifest.public.owner)).await?;
    let gateway = server.site.files.session().payer();
    if owner != gateway {
        return Err(Problem::forbidden(format!("the file {id} belongs to {owner}, not to this gateway; its owner removes it with `stratos file rm {id}`")));
    }
    server.site.files.remove(&id).await.map_err(|error| problem(&error))?;
    seen(&server, id, false).await;
    Ok(Json(views::Removed { file_id: id, removed: true }))
}

/// `GET /v1/gateway/files`: newest first.
///
/// # Errors
/// [`Problem`] if the request does not name this server.
pub async fn list(State(server): State<Arc<Server>>, headers: HeaderMap) -> Result<Json<Vec<views::GatewayFile>>, Problem> {
    let host = guard::host(&headers)?.to_owned();
    server
        .read(move |server| {
            let listed = server.own.list(server);
            let view = |(capability, known): (Capability, Known)| views::GatewayFile {
                file_id: capability.id,
                url: url(&host, &capability),
                name: known.name,
                media_type: known.media_type,
                bytes: known.bytes,
                created_ms: known.created,
            };
            Ok(Json(listed.into_iter().map(view).collect()))
        })
        .await
}

/// What was read from the manifests of the gateway's files, which never change.
#[derive(Default)]
pub struct Own(Mutex<BTreeMap<FileId, Option<(Capability, Known)>>>);

#[derive(Clone)]
struct Known {
    name: String,
    media_type: String,
    bytes: Bytes,
    created: Time,
}

impl Own {
    fn list(&self, server: &Server) -> Vec<(Capability, Known)> {
        let site = &server.site;
        let head = site.meta.head();
        let ids = newest_of(&head.state, &site.files.session().payer(), GATEWAY_FILES_MAX);
        // A poisoned lock still holds whole entries.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = BTreeMap::new();
        let listed = ids.into_iter().filter_map(|id| {
            let entry = known.remove(&id).unwrap_or_else(|| open(site, &head.state, id));
            fresh.insert(id, entry.clone());
            entry
        });
        let mut listed: Vec<_> = listed.collect();
        *known = fresh;
        listed.sort_by_key(|(_, known)| std::cmp::Reverse(known.created));
        listed
    }
}

/// Opens a file's manifest; `None` for one that this account owns but cannot open.
fn open(site: &super::Site, state: &Sealed, id: FileId) -> Option<(Capability, Known)> {
    let file = files::file(state, &id)?;
    let opened = file.manifest.open(&site.secret).ok()?;
    let Details { name, media_type, created } = opened.details;
    Some((Capability { id, key: opened.key }, Known { name, media_type, bytes: Bytes(file.manifest.public.total), created }))
}
