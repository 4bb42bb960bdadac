//! One connection as those see it who open streams on it: how many it can still take, and whether it is alive.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use libp2p::swarm::ConnectionId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    limits::{SILENT_OPENS_MAX, SLOT_TIMEOUT},
    opening::Fault,
};

/// How often something had moved on a line, and how many opens in a row had no answer since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Silence {
    moved: u64,
    opens: u32,
}

/// A connection. Shared by everything that uses it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) connection: ConnectionId,
    slots: Arc<Semaphore>,
    moved: AtomicU64,
    last: Mutex<Silence>,
}

impl Line {
    /// A line on which we open at most so many streams at once.
    pub(crate) fn new(connection: ConnectionId, opened_max: usize) -> Self {
        Self { connection, slots: Arc::new(Semaphore::new(opened_max)), moved: AtomicU64::new(0), last: Mutex::default() }
    }

    /// Waits until one of our streams may be opened; the slot is held as long as the stream exists.
    pub(crate) async fn slot(&self) -> Result<OwnedSemaphorePermit, Fault> {
        match timeout(SLOT_TIMEOUT, self.slots.clone().acquire_owned()).await {
            Ok(slot) => slot.map_err(|_| Fault::gone()),
            Err(_) => Err(Fault::Busy),
        }
    }

    /// The connection is gone: nobody waits for a slot any more.
    pub(crate) fn close(&self) {
        self.slots.close();
    }

    /// Something came or went: the other end is alive.
    pub(crate) fn moved(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// How silent it is now.
    pub(crate) fn silence(&self) -> Silence {
        self.since(&self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn since(&self, last: &Silence) -> Silence {
        let moved = self.moved.load(Ordering::Relaxed);
        if last.moved == moved { *last } else { Silence { moved, opens: 0 } }
    }

    /// An open that began in this silence had no answer; tells whether it was the last of [`SILENT_OPENS_MAX`] in a row while nothing moved. Opens that
    /// waited side by side count as one, and bulk that moves excuses them all: on a slow line answers wait behind it.
    pub(crate) fn unanswered(&self, began: Silence) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.since(&last) != began {
            return false;
        }
        *last = Silence { opens: began.opens + 1, ..began };
        last.opens >= SILENT_OPENS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_opens_in_a_row_through_which_nothing_moved_are_a_dead_line() {
        let line = Line::new(ConnectionId::new_unchecked(1), 1);
        let first = line.silence();
        assert!(!line.unanswered(first) && !line.unanswered(first), "side by side they count as one");
        let second = line.silence();
        line.moved();
        assert!(!line.unanswered(second), "something moved while it waited");
        let third = line.silence();
        assert!(!line.unanswered(third), "the row begins anew");
        assert!(line.unanswered(line.silence()));
    }
}
