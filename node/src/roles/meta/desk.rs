//! The desk with its disk: what it remembers is there before a ticket leaves.
//!
//! A desk on a new disk does not know what was issued before under its key. It waits for a block that is newer than the process: what was issued before was
//! issued in that block's epoch or an earlier one. In that epoch it rests, unless it is the network's first. It waits from the start on, and not from the
//! first request, which may come long after the network's first epoch.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::meta::MetaLedger;
use ::meta::anchor;
use ::meta::tickets::{Desk, DeskRecord, Issue, TICKETS_MAX, TicketError, TicketRequest};
use chain::Genesis;
use client::session::desk::{TicketAnswer, TicketReason, decode_question};
use p2p::Responder;
use pot::Signed;
use primitives::encoding::{decode, encode};
use primitives::{AccountSecret, Epoch, SecretKey, Time};
use state::{Direction, Record, Store};
use tracing::warn;

use crate::replica::{Head, Replica, wall};

/// The table of what was issued ([`Desk`]).
const ISSUED: u8 = 1;
/// The table of the one record that says since when this disk is the desk's.
const OPENED: u8 = 2;
/// Records of earlier epochs that are dropped with each request, until none is left: more than one request can add.
const OLD_RECORDS_MAX: usize = 2 * (TICKETS_MAX + 1);
/// How far a block may be ahead of this node's clock; if it is more, the clock is wrong, and says nothing.
const AHEAD_MAX: Duration = Duration::from_secs(10);

/// The desk of a running meta node.
pub struct TicketDesk {
    state: Mutex<State>,
    store: Store,
    /// When the process began.
    started: Time,
    meta: Replica<MetaLedger>,
}

struct State {
    desk: Desk,
    /// Nothing was ever issued from this disk, and whether it rests is not decided yet.
    is_new: bool,
    /// No record of an epoch before this one is left on disk.
    clean_before: Epoch,
}

/// In which epoch a desk on a new disk rests, if in any, once it has seen a block of this time and epoch; `None` if that is older than the process, or newer
/// than now.
fn rest(started: Time, block: Time, now: Time, epoch: Epoch) -> Option<Option<Epoch>> {
    let ahead = u64::try_from(AHEAD_MAX.as_millis()).unwrap_or(u64::MAX);
    let is_told = block >= started && block.saturating_sub(now).0 <= ahead;
    is_told.then(|| (epoch > Epoch::ZERO).then_some(epoch))
}

/// Where a desk goes on whose replica stands in epoch `current`, and what it issued there. After a crash that may be before the epoch in which it issued last.
fn newest(store: &Store, current: Epoch) -> (Epoch, Vec<DeskRecord>) {
    let last = store.records(ISSUED, &[], Bound::Unbounded, Direction::Backward, 1);
    let last = last.first().and_then(|(key, _)| key.first_chunk()).map_or(Epoch::ZERO, |epoch| Epoch(u64::from_be_bytes(*epoch)));
    let epoch = current.max(last);
    (epoch, store.records(ISSUED, &epoch.0.to_be_bytes(), Bound::Unbounded, Direction::Forward, usize::MAX))
}

impl TicketDesk {
    /// Goes on from the records in `directory`.
    ///
    /// # Errors
    /// What is wrong with the disk or a record, as text.
    pub fn open(
        genesis: &Genesis,
        operator: &AccountSecret,
        key: SecretKey,
        directory: &Path,
        started: Time,
        meta: Replica<MetaLedger>,
    ) -> Result<Arc<Self>, String> {
        let store = Store::open(&directory.join("tickets"), genesis.hash()).map_err(|error| error.to_string())?;
        let (epoch, records) = newest(&store, anchor::current(&meta.head().state).epoch);
        let mut desk = Desk::new(genesis.hash(), operator.address(), key, epoch, records).map_err(|error| error.to_string())?;
        let opened = store.record(OPENED, &[]).map(|bytes| decode::<Option<Epoch>>(&bytes, 16)).transpose().map_err(|error| error.to_string())?;
        if let Some(Some(resting)) = opened {
            desk.rest(resting);
        }
        Ok(Arc::new(Self { state: Mutex::new(State { desk, is_new: opened.is_none(), clean_before: Epoch::ZERO }), store, started, meta }))
    }

    /// Waits until the replica has caught up, if the disk is new, and decides whether to rest.
    pub async fn begin(self: Arc<Self>) {
        let mut heads = self.meta.watch();
        while self.lock().is_new {
            let head = Arc::clone(&heads.borrow_and_update());
            if self.decide(&mut self.lock(), &head).is_ok() || heads.changed().await.is_err() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a question for tickets.
    pub fn answer(&self, body: &[u8], responder: Responder) {
        let answer = match decode_question(body) {
            Ok(question) => TicketAnswer::of(&self.issue(question)),
            Err(error) => TicketAnswer::refused(TicketReason::Other, &error.to_string()),
        };
        responder.answer(answer.encode());
    }

    fn issue(&self, request: Signed<TicketRequest>) -> Result<Issue, TicketError> {
        // The lock is held until the record is on disk: tickets leave in the order in which they are remembered.
        let mut state = self.lock();
        let head = self.meta.head();
        self.decide(&mut state, &head)?;
        let issue = state.desk.issue(&head.state, request)?;
        let mut records: Vec<Record> =
            issue.records.iter().map(|(key, value)| Record { table: ISSUED, key: key.clone(), value: Some(value.clone()) }).collect();
        // What was issued in earlier epochs is of no use any more.
        if state.clean_before < issue.epoch {
            let old = self.store.records(ISSUED, &[], Bound::Excluded(&issue.epoch.0.to_be_bytes()), Direction::Backward, OLD_RECORDS_MAX);
            if old.len() < OLD_RECORDS_MAX {
                state.clean_before = issue.epoch;
            }
            records.extend(old.into_iter().map(|(key, _)| Record { table: ISSUED, key, value: None }));
        }
        self.store.write(records);
        Ok(issue)
    }

    /// A new disk's first epoch is one to rest in, unless it is the network's. Nothing is decided while the newest block is an old one.
    fn decide(&self, state: &mut State, head: &Head) -> Result<(), TicketError> {
        if !state.is_new {
            return Ok(());
        }
        let epoch = anchor::current(&head.state).epoch;
        let resting = rest(self.started, head.header.time, wall(), epoch).ok_or(TicketError::Resting(epoch))?;
        if let Some(epoch) = resting {
            warn!(%epoch, "the ticket desk has no records: what was issued before is not known, so nothing is issued in this epoch");
            state.desk.rest(epoch);
        }
        self.store.write(vec![Record { table: OPENED, key: Vec::new(), value: Some(encode(&resting)) }]);
        state.is_new = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_never_begins_behind_its_records() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(directory.path(), primitives::Hash::ZERO).expect("a store");
        assert_eq!(newest(&store, Epoch(2)), (Epoch(2), Vec::new()));
        let record = |epoch: u64, session: u8| ([&epoch.to_be_bytes()[..], &[session; 32]].concat(), vec![session]);
        for (key, value) in [record(3, 1), record(300, 2), record(300, 3)] {
            store.write(vec![Record { table: ISSUED, key, value: Some(value) }]);
        }
        for behind in [2, 299, 300] {
            assert_eq!(newest(&store, Epoch(behind)), (Epoch(300), vec![record(300, 2), record(300, 3)]));
        }
        assert_eq!(newest(&store, Epoch(301)), (Epoch(301), Vec::new()));
    }

    #[test]
    fn a_new_disk_rests_in_the_epoch_of_the_first_block_after_it_was_opened() {
        let started = Time(1_000_000);
        let told = |block: u64, now: u64, epoch| rest(started, Time(block), Time(now), Epoch(epoch));
        assert_eq!((told(999_999, 1_000_500, 0), told(999_999, 1_000_500, 6)), (None, None), "it is behind, or the network stands still");
        assert_eq!(told(1_000_000, 1_000_500, 0), Some(None), "the network has just begun");
        assert_eq!((told(1_000_000, 1_000_500, 6), told(2_000_000, 1_990_000, 6)), (Some(Some(Epoch(6))), Some(Some(Epoch(6)))));
        assert_eq!(rest(Time(0), Time(2_000_000), Time(1_989_999), Epoch(0)), None, "a clock that is behind says nothing");
    }
}
