//! The desk with its disk: what it remembers is there before a ticket leaves.
//!
//! A desk on a new disk does not know what was issued before under its key. Unless the network is in its first epoch, it rests in the one that it finds and in the
//! next, which may have begun already for those who saw a newer block. It finds it as soon as the replica has caught up, and not when the first request comes,
//! for that may be long after the network's first epoch.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::meta::MetaLedger;
use ::meta::anchor;
use ::meta::tickets::{Desk, Issue, TicketError, TicketRequest};
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
/// Records of earlier epochs that are dropped with each new record, until none is left.
const OLD_RECORDS_MAX: usize = 256;
/// A replica whose newest block is older than this may be behind by an epoch: a new disk waits for it.
const BEHIND: Duration = Duration::from_secs(30);

/// The desk of a running meta node.
pub struct TicketDesk {
    state: Mutex<State>,
    store: Store,
    meta: Replica<MetaLedger>,
}

struct State {
    desk: Desk,
    /// Nothing was ever issued from this disk, and whether it rests is not decided yet.
    is_new: bool,
    /// No record of an epoch before this one is left on disk.
    clean_before: Epoch,
}

/// Up to and with which epoch a desk on a new disk rests, if at all, once its replica's newest block is of this age and in this epoch; `None` if that is not the
/// network's newest, or there is none but genesis.
fn rest(age: Option<Time>, epoch: Epoch) -> Option<Option<Epoch>> {
    let behind = u64::try_from(BEHIND.as_millis()).unwrap_or(u64::MAX);
    age.filter(|age| age.0 <= behind).map(|_| (epoch > Epoch::ZERO).then(|| epoch.next()))
}

impl TicketDesk {
    /// Goes on from the records in `directory`.
    ///
    /// # Errors
    /// What is wrong with the disk or a record, as text.
    pub fn open(genesis: &Genesis, operator: &AccountSecret, key: SecretKey, directory: &Path, meta: Replica<MetaLedger>) -> Result<Arc<Self>, String> {
        let store = Store::open(&directory.join("tickets"), genesis.hash()).map_err(|error| error.to_string())?;
        // After a crash the replica may stand before the epoch in which the desk issued last.
        let newest = store.records(ISSUED, &[], Bound::Unbounded, Direction::Backward, 1);
        let newest = newest.first().and_then(|(key, _)| key.first_chunk()).map(|epoch| Epoch(u64::from_be_bytes(*epoch)));
        let epoch = newest.max(Some(anchor::current(&meta.head().state).epoch)).unwrap_or_default();
        let records = store.records(ISSUED, &epoch.0.to_be_bytes(), Bound::Unbounded, Direction::Forward, usize::MAX);
        let mut desk = Desk::new(genesis.hash(), operator.address(), key, epoch, records).map_err(|error| error.to_string())?;
        let opened = store.record(OPENED, &[]).map(|bytes| decode::<Option<Epoch>>(&bytes, 16)).transpose().map_err(|error| error.to_string())?;
        if let Some(Some(resting)) = opened {
            desk.rest(resting);
        }
        Ok(Arc::new(Self { state: Mutex::new(State { desk, is_new: opened.is_none(), clean_before: Epoch::ZERO }), store, meta }))
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
        let age = head.certified.as_ref().map(|_| wall().saturating_sub(head.header.time));
        let resting = rest(age, epoch).ok_or(TicketError::Resting(epoch))?;
        if let Some(until) = resting {
            warn!(%epoch, %until, "the ticket desk has no records: what was issued before is not known, so nothing is issued in this epoch and the next");
            state.desk.rest(until);
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
    fn a_new_disk_waits_for_the_newest_block_and_rests_for_two_epochs() {
        let (new, old) = (Some(Time(30_000)), Some(Time(30_001)));
        assert_eq!(rest(None, Epoch(0)), None, "genesis is no block");
        assert_eq!((rest(old, Epoch(0)), rest(old, Epoch(6))), (None, None), "it is behind");
        assert_eq!(rest(new, Epoch(0)), Some(None), "the network has just begun");
        assert_eq!(rest(new, Epoch(6)), Some(Some(Epoch(7))));
    }
}
