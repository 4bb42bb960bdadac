//! How a new replica begins with a snapshot: see [`chain::ledger::snapshot`].
//!
//! All that is taken is proven: the block by the light client, each chunk by the block's root. So it does not matter who sends what, and chunks are asked of all
//! replicas that have the snapshot at the same time. Who sends a false one is reported and asked no more; who does not answer, now and then again.
//!
//! What was taken stays: a process that is killed goes on where it was, as long as somebody still keeps that snapshot, and else begins with a newer one.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chain::ledger::proven::PROVEN_BYTES_MAX;
use chain::ledger::query::{Answer, Request};
use client::ledger::{Ledger, LedgerError};
use consensus::Signer;
use futures::future::join_all;
use p2p::{Contact, Endpoint};
use primitives::encoding::{decode, encode};
use primitives::{Hash, SecretKey};
use state::{Import, ImportError, OpenError, StateRoot, Tuning};
use tokio::task::{JoinError as TaskError, spawn_blocking};
use tracing::{info, warn};

use super::driver::{SLOT, open_store};
use super::{STATE, StartError, lock, records};

/// Deadline of one chunk from one replica.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);
/// Chunks that one replica is asked for at the same time: one is on its way while another is checked.
const CHUNKS_PER_REPLICA: usize = 2;
/// Questions without an answer after which a replica is left out until the next round.
const FAILURES_MAX: u32 = 3;
/// Pause between two rounds.
const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// Rounds without a single chunk after which the start fails: who started it will want to know.
const ROUNDS_IDLE_MAX: u32 = 30;

/// What a replica that joins needs to know.
pub struct Join<'a> {
    /// Its name in logs.
    pub name: &'a str,
    /// Its directory.
    pub directory: &'a Path,
    /// The ledger's genesis hash.
    pub chain: Hash,
    /// Its key, if it may vote one day.
    pub secret: Option<&'a SecretKey>,
    /// Asks the other replicas.
    pub ledger: &'a Ledger,
    /// Its network.
    pub endpoint: &'a Endpoint,
    /// On which the ledger's questions are asked.
    pub protocol: &'static str,
}

/// Why a replica does not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Its directory.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The chunks that came do not make the state.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Nobody gives it.
    #[error("nobody gives the rest of the state {target}: {missing} of its {total} parts are missing in {path}; start again later, or empty that directory", total = state::REGIONS, path = .path.display())]
    Abandoned {
        /// The directory.
        path: PathBuf,
        /// What was coming.
        target: StateRoot,
        /// Parts that are not complete.
        missing: usize,
    },
    /// Work in the background ended early.
    #[error("the work on the disk ended early: {0}")]
    Task(#[from] TaskError),
}

/// What is known of the directory.
enum Found {
    /// A chain: there is nothing to do.
    Chain,
    /// Nothing.
    Empty,
    /// A part of a state.
    Part(StateRoot),
}

/// Begins with a snapshot if the directory has no chain yet and other replicas have one to give. Whether it did.
///
/// # Errors
/// [`JoinError`]; what was taken stays for the next time.
pub async fn join(join: Join<'_>) -> Result<bool, JoinError> {
    let Join { name, directory, chain, secret, ledger, endpoint, protocol } = join;
    let path = directory.join(STATE);
    let found = {
        let (directory, secret) = (directory.to_owned(), secret.cloned());
        spawn_blocking(move || look(&directory, chain, secret)).await??
    };
    let mut wanted = match found {
        Found::Chain => return Ok(false),
        Found::Empty => None,
        Found::Part(target) => Some(target),
    };
    let mut idle = 0;
    loop {
        match ledger.snapshot(wanted).await {
            Ok((snapshot, summary, holders)) => {
                let target = summary.state;
                info!(replica = name, height = %snapshot.block.header.height, pairs = target.leaves, replicas = holders.len(), "beginning with a snapshot");
                wanted = Some(target);
                let opened = path.clone();
                let import = spawn_blocking(move || Import::open(&opened, chain, target)).await?.map_err(StartError::from)?;
                let import = Arc::new(Mutex::new(import));
                let taken = fetch(&import, &holders, endpoint, protocol).await;
                if lock(&import).missing().is_empty() {
                    let made = spawn_blocking(move || lock(&import).finish(records::joined(&snapshot, &summary)));
                    return Ok(made.await?.map(|()| true)?);
                }
                idle = if taken > 0 { 0 } else { idle + 1 };
            }
            // Whoever has nothing yet and finds nobody who gives a snapshot begins at the beginning.
            Err(LedgerError::Unreachable { .. } | LedgerError::NoReplica { .. }) if wanted.is_none() => return Ok(false),
            Err(error) => {
                warn!(replica = name, %error, "no snapshot");
                idle += 1;
            }
        }
        if idle >= ROUNDS_IDLE_MAX {
            let target = wanted.unwrap_or(StateRoot::EMPTY);
            let missing = spawn_blocking({
                let path = path.clone();
                move || Import::open(&path, chain, target).map(|import| import.missing().len())
            });
            let missing = missing.await?.map_err(StartError::from)?;
            return Err(JoinError::Abandoned { path, target, missing });
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
}

/// What is in the directory. The signer's slot of a new replica is made here, while nothing can have been signed.
fn look(directory: &Path, chain: Hash, secret: Option<SecretKey>) -> Result<Found, StartError> {
    let io = |source| StartError::Io { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(io)?;
    match open_store(&directory.join(STATE), chain, Tuning::default()) {
        Ok(store) if records::tip(&store).is_some() => Ok(Found::Chain),
        Ok(_) => {
            let slot = directory.join(SLOT);
            if let Some(secret) = secret
                && !slot.try_exists().map_err(io)?
            {
                Signer::create(&slot, secret, chain)?;
            }
            Ok(Found::Empty)
        }
        Err(OpenError::Unfinished { target, .. }) => Ok(Found::Part(target)),
        Err(error) => Err(error.into()),
    }
}

/// The work that is left, shared by those who do it.
struct Work<'a> {
    import: &'a Arc<Mutex<Import>>,
    ranges: Mutex<VecDeque<RangeInclusive<Hash>>>,
    endpoint: &'a Endpoint,
    protocol: &'static str,
    target: StateRoot,
}

/// Asks all holders at once for what is missing, until it is here or nobody answers any more. How many chunks were taken.
async fn fetch(import: &Arc<Mutex<Import>>, holders: &[Contact], endpoint: &Endpoint, protocol: &'static str) -> usize {
    let (missing, target) = {
        let import = lock(import);
        (import.missing(), import.target())
    };
    let work = Work { import, ranges: Mutex::new(missing.into()), endpoint, protocol, target };
    let askers = holders.iter().flat_map(|holder| std::iter::repeat_n(holder, CHUNKS_PER_REPLICA));
    join_all(askers.map(|holder| work.ask(holder))).await.into_iter().sum()
}

impl Work<'_> {
    /// Asks one holder for range after range. How many chunks of it were taken.
    async fn ask(&self, holder: &Contact) -> usize {
        let (mut taken, mut failures) = (0, 0);
        while failures < FAILURES_MAX {
            let Some(range) = lock(&self.ranges).pop_front() else { break };
            let rest = match self.chunk(holder, &range).await {
                Ok(rest) => {
                    taken += 1;
                    rest
                }
                Err(is_lie) => {
                    failures = if is_lie { FAILURES_MAX } else { failures + 1 };
                    Some(range)
                }
            };
            if let Some(rest) = rest {
                lock(&self.ranges).push_back(rest);
            }
        }
        taken
    }

    /// Asks for the beginning of a range, and gives the rest of it. Or whether the holder lied.
    async fn chunk(&self, holder: &Contact, range: &RangeInclusive<Hash>) -> Result<Option<RangeInclusive<Hash>>, bool> {
        let request = Request::Chunk { state: self.target, from: *range.start(), to: *range.end() };
        let answer = self.endpoint.request(holder.clone(), self.protocol, encode(&request), CHUNK_TIMEOUT).await.map_err(|_| false)?;
        let chunk = match decode(&answer, PROVEN_BYTES_MAX) {
            Ok(Answer::Chunk(Some(chunk))) => chunk,
            // It keeps the snapshot no more.
            Ok(Answer::Chunk(None)) => return Err(false),
            Ok(_) | Err(_) => return Err(self.report(holder, &"an answer to another question")),
        };
        let (import, range) = (Arc::clone(self.import), range.clone());
        // Checking and writing keep a processor busy.
        let rest = spawn_blocking(move || {
            let mut import = lock(&import);
            import.take(range.start(), &chunk).map(|()| import.missing().into_iter().find(|missing| missing.end() == range.end()))
        });
        match rest.await {
            Ok(Ok(rest)) => Ok(rest),
            Ok(Err(error)) => Err(self.report(holder, &error)),
            Err(_) => Err(false),
        }
    }

    fn report(&self, holder: &Contact, lie: &dyn std::fmt::Display) -> bool {
        warn!(peer = %holder.peer, %lie, "a false chunk");
        self.endpoint.punish(holder.peer, p2p::book::amount::INVALID);
        true
    }
}

#[cfg(test)]
mod tests;
