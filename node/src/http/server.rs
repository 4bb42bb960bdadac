//! The server: connections in, answers out, all within limits.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chain::ledger::Summary;
use consensus::Header;
use futures::StreamExt as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use primitives::{Hash, Height};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, DOWNLOADS_MAX, DRAIN_BYTES_MAX, DRAIN_TIMEOUT, EVENTS_MAX, EXPORTS_MAX, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX,
    LISTENERS_MAX, PAST_READS_MAX, READS_MAX, SIMULATIONS_MAX, STOP_TIMEOUT, UPLOADS_MAX, WRITE_STALL,
};
use super::metrics::Metrics;
use super::problem::Problem;
use super::{Site, gateway, guard, index, interface, stream, supply, voters};

/// What all requests share.
pub struct Server {
    pub site: Arc<Site>,
    pub metrics: Metrics,
    /// Block 0: it follows from the genesis file and is kept nowhere else.
    pub genesis: (Header, Summary),
    /// The genesis file as it is sent, once somebody asked for it.
    pub genesis_file: OnceLock<Bytes>,
    pub supply: supply::Cache,
    pub voters: voters::Sets,
    pub index: index::Index,
    pub own: gateway::Own,
    /// Encoded blocks, for those who listen.
    pub events: broadcast::Sender<Arc<str>>,
    pub uploads: Arc<Semaphore>,
    pub downloads: Arc<Semaphore>,
    pub listeners: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    pub past_reads: Arc<Semaphore>,
    pub simulations: Arc<Semaphore>,
    pub exports: Arc<Semaphore>,
    pub started: Instant,
    /// Height of the value ledger then.
    pub height_at_start: Height,
    pub shutdown: CancellationToken,
}

impl Server {
    /// Hash of the genesis file, which may be long: it is computed once.
    pub fn chain(&self) -> Hash {
        self.genesis.0.chain
    }

    /// Reads a ledger on a thread that may wait for the disk.
    ///
    /// # Errors
    /// Whatever `read` refuses.
    pub async fn read<T: Send + 'static>(self: &Arc<Self>, read: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
        let stopping = |_| Problem::busy("the node is stopping");
        let permit = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| Problem::busy("the node is stopping"))?;
        let server = Arc::clone(self);
        // The permit goes along: an asker who left does not make room while the work goes on.
        let task = tokio::task::spawn_blocking(move || {
            let result = read(&server);
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|error| Err(stopping(error)))
    }

    /// One of a bounded number of things under way.
    ///
    /// # Errors
    /// [`Problem`] if there are `max` already.
    pub fn take(permits: &Arc<Semaphore>, max: usize, what: &str) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(permits)
            .try_acquire_owned()
            .map_err(|_| Problem::busy(format!("{max} {what} are under way, which is the limit; try again when one is done")))
    }
}

/// Answers requests on `listener` until `shutdown`; then those under way have [`STOP_TIMEOUT`].
pub async fn serve(listener: TcpListener, site: Arc<Site>, shutdown: CancellationToken) {
    let (header, executed) = site.genesis.execute(&state::Memory::new()).expect("the genesis file was checked when it was read");
    let voters = voters::Sets::default();
    voters.learn(&executed.state);
    let permits = |max| Arc::new(Semaphore::new(max));
    let server = Arc::new(Server {
        height_at_start: site.value.head().header.height,
        site,
        metrics: Metrics::default(),
        genesis: (header, executed.body.summary),
        genesis_file: OnceLock::new(),
        supply: supply::Cache::default(),
        voters,
        index: index::Index::default(),
        own: gateway::Own::default(),
        events: broadcast::Sender::new(EVENTS_MAX),
        uploads: permits(UPLOADS_MAX),
        downloads: permits(DOWNLOADS_MAX),
        listeners: permits(LISTENERS_MAX),
        reads: permits(READS_MAX),
        past_reads: permits(PAST_READS_MAX),
        simulations: permits(SIMULATIONS_MAX),
        exports: permits(EXPORTS_MAX),
        started: Instant::now(),
        shutdown: shutdown.clone(),
    });
    let tasks = TaskTracker::new();
    tasks.spawn(stream::tell(Arc::clone(&server)));
    let router = router(&server);
    let connections = permits(CONNECTIONS_MAX);
    loop {
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, permit))
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => match accepted {
                Ok((stream, permit)) => {
                    tasks.spawn(connection(stream, permit, router.clone(), Arc::clone(&server)));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    tasks.close();
    // Whoever is not done by then is cut off with the runtime.
    let _ = timeout(STOP_TIMEOUT, tasks.wait()).await;
}

/// Serves one connection: requests one after the other.
async fn connection(stream: TcpStream, permit: OwnedSemaphorePermit, router: Router, server: Arc<Server>) {
    let open = server.metrics.connection();
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(Patient::new(stream)), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = server.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
    drop((open, permit));
}

/// Every address of the interface, behind the gate.
fn router(server: &Arc<Server>) -> Router {
    interface::router()
        .fallback(async |request: Request| {
            drain(request.into_body());
            Problem::missing("there is nothing at this address; the page is /, the interface begins at /v1/status")
        })
        .method_not_allowed_fallback(async |method: Method, request: Request| {
            drain(request.into_body());
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this address does not take {method}; `Allow` says what it takes"))
        })
        .layer(from_fn_with_state(Arc::clone(server), gate))
        .with_state(Arc::clone(server))
}

/// What every answer says if nothing else was said: no guessing of types, no page may show it or be made of it, nothing is kept.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Where every request passes on its way in and out.
async fn gate(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let mut response = match guard::check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            drain(request.into_body());
            problem.into_response()
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    server.metrics.answered(response.status());
    response
}

/// Reads some of a body that nobody wants, so that its sender comes to the end and reads the answer instead of finding the connection broken.
pub fn drain(body: Body) {
    tokio::spawn(async move {
        let mut stream = body.into_data_stream();
        let mut left = DRAIN_BYTES_MAX;
        let reading = async {
            while let Some(Ok(bytes)) = stream.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    break;
                }
            }
        };
        // Whoever sends more, or too slowly, finds the connection broken after all.
        let _ = timeout(DRAIN_TIMEOUT, reading).await;
    });
}

/// A stream whose reader must not stop reading for [`WRITE_STALL`].
struct Patient {
    stream: TcpStream,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, waiting: None }
    }

    /// A write that is done, or one that waits while there is patience.
    fn patient<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL))).as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, format!("the client read nothing for {} s", WRITE_STALL.as_secs()))))
    }
}

impl AsyncRead for Patient {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.patient(written, context)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.patient(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who comes when all permits are out is told so, and may come when one is back.
    #[test]
    fn permits() {
        let permits = Arc::new(Semaphore::new(PAST_READS_MAX));
        let mut held: Vec<_> = (0..PAST_READS_MAX).map(|_| Server::take(&permits, PAST_READS_MAX, "reads").map_err(|_| ()).expect("one is left")).collect();
        let refusal = Server::take(&permits, PAST_READS_MAX, "reads").map(drop).expect_err("none is left");
        assert_eq!(refusal, Problem::busy("2 reads are under way, which is the limit; try again when one is done"));
        held.pop();
        assert!(Server::take(&permits, PAST_READS_MAX, "reads").is_ok());
    }
}
