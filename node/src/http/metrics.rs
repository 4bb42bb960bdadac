//! Numbers for Prometheus: `<room>_<noun>_<unit>`, base units, `_total` for what only grows, labels from closed sets.

use std::sync::atomic::AtomicI64;

use axum::http::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Of what [`Metrics::text`] writes.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One label: its name and its value, both from closed sets.
type Label = [(&'static str, &'static str); 1];
type Level = Gauge<i64, AtomicI64>;

/// All numbers of the server.
pub struct Metrics {
    registry: Registry,
    height: Family<Label, Level>,
    view: Family<Label, Level>,
    waiting: Family<Label, Level>,
    entries: Family<Label, Level>,
    block_time: Family<Label, Gauge<f64, std::sync::atomic::AtomicU64>>,
    epoch: Level,
    audit_epoch: Family<Label, Level>,
    audit_time: Family<Label, Gauge<f64, std::sync::atomic::AtomicU64>>,
    requests: Family<Label, Counter>,
    bytes: Family<Label, Counter>,
    connections: Level,
    listeners: Level,
}

/// Which way the bytes of files went, seen from this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Uploads.
    In,
    /// Downloads.
    Out,
}

/// What a ledger looks like at one moment.
pub struct Sample {
    /// Height of the newest final block.
    pub height: u64,
    /// Its view.
    pub view: u64,
    /// Its time, ms since the Unix epoch.
    pub time_ms: u64,
    /// Entries of its state.
    pub entries: u64,
    /// Transactions that wait.
    pub waiting: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            height: Family::default(),
            view: Family::default(),
            waiting: Family::default(),
            entries: Family::default(),
            block_time: Family::default(),
            epoch: Level::default(),
            audit_epoch: Family::default(),
            audit_time: Family::default(),
            requests: Family::default(),
            bytes: Family::default(),
            connections: Level::default(),
            listeners: Level::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("chain_height", "Newest final block", metrics.height.clone());
        registry.register("chain_block_time_seconds", "Time of the newest final block since the Unix epoch", metrics.block_time.clone());
        registry.register("chain_epoch", "Running epoch of the value ledger", metrics.epoch.clone());
        registry.register("chain_audit_epoch", "Last epoch after which this node compared the sums of the whole state", metrics.audit_epoch.clone());
        registry.register("chain_audit_seconds", "How long that took", metrics.audit_time.clone());
        registry.register("state_entries", "Entries of the authenticated state", metrics.entries.clone());
        registry.register("consensus_view", "View in which the newest final block was decided", metrics.view.clone());
        registry.register("mempool_transactions", "Transactions that wait for a block", metrics.waiting.clone());
        registry.register("http_requests", "Requests answered", metrics.requests.clone());
        registry.register("http_connections", "Open connections", metrics.connections.clone());
        registry.register("http_listeners", "Open event streams", metrics.listeners.clone());
        registry.register("gateway_bytes", "Bytes of files that went through this gateway, as their owners see them", metrics.bytes.clone());
        metrics
    }
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, status: StatusCode) {
        let class = match status.as_u16() {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        self.requests.get_or_create(&[("class", class)]).inc();
    }

    /// Bytes of files went through.
    pub fn moved(&self, direction: Direction, bytes: usize) {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        self.bytes.get_or_create(&[("direction", direction)]).inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Counts one more connection until dropped.
    pub fn connection(&self) -> Open {
        Open::new(self.connections.clone())
    }

    /// Counts one more listener to events until dropped.
    pub fn listener(&self) -> Open {
        Open::new(self.listeners.clone())
    }

    /// Notes where the ledger called `ledger` is.
    pub fn sample(&self, ledger: &'static str, sample: &Sample) {
        let label = [("ledger", ledger)];
        self.height.get_or_create(&label).set(level(sample.height));
        self.view.get_or_create(&label).set(level(sample.view));
        self.waiting.get_or_create(&label).set(level(sample.waiting));
        self.entries.get_or_create(&label).set(level(sample.entries));
        let seconds = std::time::Duration::from_millis(sample.time_ms).as_secs_f64();
        self.block_time.get_or_create(&label).set(seconds);
    }

    /// Notes after which epoch the sums of the ledger called `ledger` were compared, and how long it took.
    pub fn sample_audit(&self, ledger: &'static str, epoch: u64, took: std::time::Duration) {
        self.audit_epoch.get_or_create(&[("ledger", ledger)]).set(level(epoch));
        self.audit_time.get_or_create(&[("ledger", ledger)]).set(took.as_secs_f64());
    }

    /// Notes the running epoch.
    pub fn sample_epoch(&self, epoch: u64) {
        self.epoch.set(level(epoch));
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn level(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Something that is open, and counted.
pub struct Open(Level);

impl Open {
    fn new(level: Level) -> Self {
        level.inc();
        Self(level)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels() {
        let metrics = Metrics::default();
        metrics.answered(StatusCode::OK);
        metrics.answered(StatusCode::NOT_FOUND);
        metrics.moved(Direction::Out, 7);
        metrics.sample("value", &Sample { height: 5, view: 6, time_ms: 1500, entries: 9, waiting: 2 });
        metrics.sample_audit("value", 4, std::time::Duration::from_millis(1_250));
        let connection = metrics.connection();
        let text = metrics.text();
        for line in [
            "chain_height{ledger=\"value\"} 5",
            "consensus_view{ledger=\"value\"} 6",
            "chain_block_time_seconds{ledger=\"value\"} 1.5",
            "chain_audit_epoch{ledger=\"value\"} 4",
            "chain_audit_seconds{ledger=\"value\"} 1.25",
            "mempool_transactions{ledger=\"value\"} 2",
            "http_requests_total{class=\"2xx\"} 1",
            "http_requests_total{class=\"4xx\"} 1",
            "gateway_bytes_total{direction=\"out\"} 7",
            "http_connections 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop(connection);
        assert!(metrics.text().contains("http_connections 0"));
    }
}
