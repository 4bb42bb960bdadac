//! What the server takes on, so that neither a slow nor a greedy client takes it from the others.

use std::time::Duration;

pub use state::KEY_BYTES_MAX;

/// Connections at once. Further ones wait in the operating system's queue.
pub const CONNECTIONS_MAX: usize = 512;
/// Header fields of a request.
pub const HEADERS_MAX: usize = 64;
/// Bytes that are read ahead of a connection; the head of a request must fit.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
/// A client must have sent the head of its next request within this time; an idle connection is closed.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// A client that sends a body must go on within this time.
pub const BODY_STALL: Duration = Duration::from_secs(30);
/// A client that takes an answer must go on within this time. A paused player opens its range again when it goes on.
pub const WRITE_STALL: Duration = Duration::from_secs(120);
/// Requests under way have this long when the server stops.
pub const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause after the operating system refused to accept a connection: out of file descriptors, which a moment may mend.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Reads of ledgers at once: they use threads that the rest of the node needs too.
pub const READS_MAX: usize = 16;
/// Reads of past states at once: each takes time and memory for everything that was changed since.
pub const PAST_READS_MAX: usize = 2;
/// Transactions that are executed on trial at once: each may do the work of a whole block.
pub const SIMULATIONS_MAX: usize = 2;
/// Exports of the chain at once: each reads the whole state and holds a new one in memory.
pub const EXPORTS_MAX: usize = 1;
/// How long an export may take to be sent: whoever reads it too slowly keeps all others from theirs.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of an answer that is handed over at once, if it may be very long.
pub const ANSWER_PART_BYTES: usize = 64 << 10;
const _: () = assert!(PAST_READS_MAX + SIMULATIONS_MAX + EXPORTS_MAX < READS_MAX);
/// Uploads at once; each holds a few segments in memory.
pub const UPLOADS_MAX: usize = 4;
/// Files that are sent at once; each holds a segment in memory.
pub const DOWNLOADS_MAX: usize = 64;
/// Listeners to events at once.
pub const LISTENERS_MAX: usize = 128;
/// Events that a slow listener may be behind; it misses those before.
pub const EVENTS_MAX: usize = 64;
/// A listener hears something at least this often, so that a dead connection is noticed.
pub const EVENTS_PAUSE: Duration = Duration::from_secs(15);

/// Largest upload: about what one manifest can describe.
pub const UPLOAD_BYTES_MAX: u64 = 64 << 30;
/// Bytes of a refused body that are still read, so that the client gets to see the answer.
pub const DRAIN_BYTES_MAX: usize = 16 << 20;
/// How long they are read.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a change of a file may take to reach this node's own replica.
pub const RECORD_TIMEOUT: Duration = Duration::from_secs(10);

/// Entries of a list, if the question does not say.
pub const LIST_DEFAULT: usize = 20;
/// Entries of a list at most.
pub const LIST_MAX: usize = 200;
/// Validators that are listed, and asked what an account has with them, at most: those with the most stake.
pub const VALIDATORS_LISTED_MAX: usize = 1024;
/// Sets of voters that are remembered at most.
pub const VOTER_SETS_MAX: usize = 1024;
/// Entries of the gateway's own list of files at most; the newest.
pub const GATEWAY_FILES_MAX: usize = 1000;
/// Transactions of the metadata ledger that are searched for the height and time of files at the first question.
pub const INDEXED_TRANSACTIONS_MAX: usize = 100_000;

/// A network without a final block for this long does not work.
pub const STALLED_AFTER_MS: u64 = 15_000;
