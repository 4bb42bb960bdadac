//! How a new replica begins with a snapshot: see [`chain::ledger::snapshot`].
//!
//! All that is taken is proven: the block by the light client, each chunk by the block's root. So it does not matter who sends what, and chunks are asked of
//! all replicas that have the snapshot at the same time. Who sends a false one is reported and asked no more; who does not answer, or gives next to nothing,
//! now and then again.
//!
//! What was taken stays: a process that is killed goes on where it was, as long as somebody still has that state, and else begins with a newer one.

use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chain::ledger::query::{Answer, Request};
use chain::ledger::snapshot::CHUNK_BYTES;
use client::ledger::{AskError, Ledger, LedgerError};
use consensus::Signer;
use futures::future::join_all;
use p2p::{Contact, Endpoint, PeerId};
use primitives::encoding::{decode, encode};
use primitives::{Hash, SecretKey};
use state::{Import, ImportError, OpenError, StateRoot, Tuning};
use tokio::task::{JoinError as TaskError, spawn_blocking};
use tracing::{info, warn};

use super::driver::{SLOT, open_store};
use super::{STATE, StartError, lock, records};

/// Deadline of one chunk from one replica.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest encoded answer with a chunk: its pairs, one that is as long as may be, and the proof.
const CHUNK_ANSWER_BYTES_MAX: usize = 3 * CHUNK_BYTES;
const _: () = assert!(CHUNK_BYTES + state::VALUE_BYTES_MAX + state::KEY_BYTES_MAX < CHUNK_ANSWER_BYTES_MAX);
/// A chunk that does not end its range and has less than this part of what it may have is as good as none: who gives such ones could keep us busy for ever.
const STINGY_SHARE: usize = 8;
/// Chunks that one replica is asked for at the same time: one is on its way while another is checked.
const CHUNKS_PER_REPLICA: usize = 2;
/// Questions in a row without a good answer after which a replica is left out until the next round.
const FAILURES_MAX: u32 = 3;
/// Pause of who finds all ranges in others' hands, which may give up.
const IDLE_PAUSE: Duration = Duration::from_millis(20);
/// Pause between two rounds.
const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// Rounds in which nobody has the state that was begun with, after which another one is taken.
const ROUNDS_WANTED: u32 = 5;
/// Rounds in which nobody answers at all, after which a replica that has nothing yet begins at the beginning.
const ROUNDS_SILENT: u32 = 3;
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
    /// The chain itself.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nobody gives it.
    #[error("nobody gives the rest of the state that is coming into {path}; start again later, or move that directory away to begin at the beginning", path = .path.display())]
    Abandoned {
        /// The directory.
        path: PathBuf,
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
    let begun = wanted;
    let (mut idle, mut missed) = (0, 0);
    let mut liars = BTreeSet::new();
    loop {
        match ledger.snapshot(wanted).await {
            Ok((snapshot, summary, holders)) => {
                let target = summary.state;
                info!(replica = name, height = %snapshot.block.header.height, pairs = target.leaves, replicas = holders.len(), "beginning with a snapshot");
                (wanted, missed) = (Some(target), 0);
                let opened = path.clone();
                let import = spawn_blocking(move || Import::open(&opened, chain, target)).await?.map_err(StartError::from)?;
                let import = Arc::new(Mutex::new(import));
                let holders: Vec<Contact> = holders.into_iter().filter(|holder| !liars.contains(&holder.peer)).collect();
                let (taken, lied) = fetch(&import, &holders, endpoint, protocol).await;
                liars.extend(lied);
                if lock(&import).missing().is_empty() {
                    let made = spawn_blocking(move || lock(&import).finish(records::joined(&snapshot, &summary)));
                    return Ok(made.await?.map(|()| true)?);
                }
                idle = if taken > 0 { 0 } else { idle + 1 };
            }
            Err(error @ LedgerError::Conflict { .. }) => return Err(error.into()),
            Err(error) => {
                (idle, missed) = (idle + 1, missed + 1);
                // Who answered that it has none will have none in a second; who did not answer may.
                let is_silent = matches!(&error, LedgerError::Unreachable { last: AskError::Request(_), .. });
                if begun.is_none() && wanted.is_none() && (!is_silent || missed >= ROUNDS_SILENT) {
                    return Ok(false);
                }
                warn!(replica = name, %error, "no snapshot");
                if missed >= ROUNDS_WANTED {
                    wanted = None;
                }
            }
        }
        if idle >= ROUNDS_IDLE_MAX {
            return Err(JoinError::Abandoned { path });
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
    left: Mutex<Left>,
    endpoint: &'a Endpoint,
    protocol: &'static str,
    target: StateRoot,
}

/// What is missing.
struct Left {
    ranges: VecDeque<RangeInclusive<Hash>>,
    /// Ranges of which a part is being asked for.
    asked: usize,
}

/// What came of a question for a range.
enum Outcome {
    /// A chunk; what is left of the range.
    Taken(Option<RangeInclusive<Hash>>),
    /// One that is hardly worth it.
    Stingy(Option<RangeInclusive<Hash>>),
    /// No answer, or none of use.
    Nothing,
    /// A false one.
    Lie,
}

/// Asks all holders at once for what is missing, until it is here or nobody answers any more. How many chunks were taken, and who lied.
async fn fetch(import: &Arc<Mutex<Import>>, holders: &[Contact], endpoint: &Endpoint, protocol: &'static str) -> (usize, Vec<PeerId>) {
    let (missing, target) = {
        let import = lock(import);
        (import.missing(), import.target())
    };
    let work = Work { import, left: Mutex::new(Left { ranges: missing.into(), asked: 0 }), endpoint, protocol, target };
    let askers = holders.iter().flat_map(|holder| std::iter::repeat_n(holder, CHUNKS_PER_REPLICA));
    let done = join_all(askers.map(|holder| work.ask(holder))).await;
    let liars = done.iter().zip(holders.iter().flat_map(|holder| std::iter::repeat_n(holder, CHUNKS_PER_REPLICA)));
    let liars = liars.filter(|((_, lied), _)| *lied).map(|(_, holder)| holder.peer).collect();
    (done.iter().map(|(taken, _)| taken).sum(), liars)
}

impl Work<'_> {
    /// Asks one holder for range after range, as long as it is good for something. How many chunks of it were taken, and whether it lied.
    async fn ask(&self, holder: &Contact) -> (usize, bool) {
        let (mut taken, mut failures) = (0, 0);
        while failures < FAILURES_MAX {
            let next = {
                let mut left = lock(&self.left);
                let next = left.ranges.pop_front();
                left.asked += usize::from(next.is_some());
                if next.is_none() && left.asked == 0 {
                    break;
                }
                next
            };
            let Some(range) = next else {
                tokio::time::sleep(IDLE_PAUSE).await;
                continue;
            };
            let outcome = self.chunk(holder, &range).await;
            let is_lie = matches!(outcome, Outcome::Lie);
            let rest = match outcome {
                Outcome::Taken(rest) => {
                    (taken, failures) = (taken + 1, 0);
                    rest
                }
                Outcome::Stingy(rest) => {
                    failures += 1;
                    rest
                }
                Outcome::Nothing | Outcome::Lie => {
                    failures += 1;
                    Some(range)
                }
            };
            {
                let mut left = lock(&self.left);
                left.asked -= 1;
                left.ranges.extend(rest);
            }
            if is_lie {
                return (taken, true);
            }
        }
        (taken, false)
    }

    /// Asks for the beginning of a range.
    async fn chunk(&self, holder: &Contact, range: &RangeInclusive<Hash>) -> Outcome {
        let request = Request::Chunk { state: self.target, from: *range.start(), to: *range.end() };
        let Ok(answer) = self.endpoint.request(holder.clone(), self.protocol, encode(&request), CHUNK_TIMEOUT).await else { return Outcome::Nothing };
        let (import, range) = (Arc::clone(self.import), range.clone());
        // Decoding, checking and writing keep a processor busy.
        let taken = spawn_blocking(move || {
            let chunk = match decode(&answer, CHUNK_ANSWER_BYTES_MAX) {
                Ok(Answer::Chunk(Some(chunk))) => chunk,
                // It has that state no more.
                Ok(Answer::Chunk(None)) => return Ok(None),
                Ok(_) | Err(_) => return Err("an answer to another question".to_owned()),
            };
            let is_end = chunk.last == *range.end();
            if chunk.pairs.is_empty() && !is_end {
                return Err("a chunk of nothing, though there is more".to_owned());
            }
            let bytes: usize = chunk.pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
            lock(&import).take(range.start(), &chunk).map_err(|error| error.to_string())?;
            let rest = state::successor(&chunk.last).filter(|_| !is_end).map(|next| next..=*range.end());
            Ok(Some((rest, is_end || bytes >= CHUNK_BYTES / STINGY_SHARE)))
        });
        match taken.await {
            Ok(Ok(Some((rest, true)))) => Outcome::Taken(rest),
            Ok(Ok(Some((rest, false)))) => Outcome::Stingy(rest),
            Ok(Ok(None)) | Err(_) => Outcome::Nothing,
            Ok(Err(lie)) => {
                warn!(peer = %holder.peer, lie, "a false chunk");
                self.endpoint.punish(holder.peer, p2p::book::amount::INVALID);
                Outcome::Lie
            }
        }
    }
}

#[cfg(test)]
mod tests;
