//! Memory for what peers send us: taken when a length is announced, before the bytes arrive, and given back when the bytes are dealt with.
//!
//! There is one budget for the channels of kept peers and one for everything that strangers can start, so that a vote never waits for a stranger. Of each
//! a single peer gets a part at most: who fills its part waits for itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{ANSWER_BYTES_MAX, FRAME_OVERHEAD, KEPT_BYTES_MAX, MESSAGE_BYTES_MAX, PER_PEER_BYTES_MAX, REQUEST_BYTES_MAX, STRANGER_BYTES_MAX};

// A request whose body is held can always be answered, and a frame can always be read.
const _: () =
    assert!(REQUEST_BYTES_MAX + ANSWER_BYTES_MAX + 2 * FRAME_OVERHEAD <= PER_PEER_BYTES_MAX && MESSAGE_BYTES_MAX + FRAME_OVERHEAD <= PER_PEER_BYTES_MAX);
const _: () = assert!(PER_PEER_BYTES_MAX <= KEPT_BYTES_MAX && PER_PEER_BYTES_MAX <= STRANGER_BYTES_MAX);

/// A part of the memory for what has arrived, given back when dropped. While a peer's part is held, the peer waits.
#[derive(Debug)]
pub struct Share {
    _of_peer: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// The two budgets of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Budgets {
    kept: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Budgets {
    pub(crate) fn new() -> Self {
        Self { kept: Arc::new(Semaphore::new(KEPT_BYTES_MAX)), strangers: Arc::new(Semaphore::new(STRANGER_BYTES_MAX)) }
    }

    /// One peer's part of both.
    pub(crate) fn part(&self) -> Part {
        let of_peer = || Arc::new(Semaphore::new(PER_PEER_BYTES_MAX));
        Part { all: self.clone(), frames: of_peer(), requests: of_peer(), is_kept: Arc::new(AtomicBool::new(false)) }
    }
}

/// One peer's part of the budgets.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    all: Budgets,
    frames: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    is_kept: Arc<AtomicBool>,
}

impl Part {
    /// The peer's frames count among those of kept peers from now on.
    pub(crate) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// Waits for memory for a frame of this length; `None` if it is longer than any part.
    pub(crate) async fn frame(&self, bytes: usize) -> Option<Share> {
        let all = if self.is_kept.load(Ordering::Relaxed) { &self.all.kept } else { &self.all.strangers };
        wait(&self.frames, all, bytes).await
    }

    /// Waits for memory for a request's body.
    pub(crate) async fn request(&self, bytes: usize) -> Option<Share> {
        wait(&self.requests, &self.all.strangers, bytes).await
    }

    /// Memory for what exists already, such as an answer, or `None`: waiting would hold it all the same.
    pub(crate) fn at_once(&self, bytes: usize) -> Option<Share> {
        let permits = permits(bytes)?;
        let of_peer = self.requests.clone().try_acquire_many_owned(permits).ok()?;
        let of_all = self.all.strangers.clone().try_acquire_many_owned(permits).ok()?;
        Some(Share { _of_peer: of_peer, _of_all: of_all })
    }
}

/// The peer's own part first: who waits for itself holds nothing of what is common.
async fn wait(of_peer: &Arc<Semaphore>, of_all: &Arc<Semaphore>, bytes: usize) -> Option<Share> {
    let permits = permits(bytes)?;
    let of_peer = of_peer.clone().acquire_many_owned(permits).await.ok()?;
    let of_all = of_all.clone().acquire_many_owned(permits).await.ok()?;
    Some(Share { _of_peer: of_peer, _of_all: of_all })
}

fn permits(bytes: usize) -> Option<u32> {
    u32::try_from(bytes.checked_add(FRAME_OVERHEAD)?).ok()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Checks P2P-4: a peer fills its own part, then the strangers' budget is full, and kept peers notice neither.
    #[test]
    fn strangers_wait_and_kept_peers_do_not() {
        let budgets = Budgets::new();
        let mut shares = Vec::new();
        for stranger in 0..STRANGER_BYTES_MAX / PER_PEER_BYTES_MAX {
            let part = budgets.part();
            shares.push(part.request(PER_PEER_BYTES_MAX - FRAME_OVERHEAD).now_or_never().flatten().expect("its part is free"));
            assert!(part.request(0).now_or_never().is_none(), "its part is full, since an empty body costs too");
            assert!(part.at_once(0).is_none());
            assert_eq!(part.frame(0).now_or_never().is_some(), stranger + 1 < STRANGER_BYTES_MAX / PER_PEER_BYTES_MAX, "frames have a part of their own");
        }
        let part = budgets.part();
        assert!(part.frame(0).now_or_never().is_none() && part.at_once(0).is_none(), "the strangers' budget is full");
        part.keep();
        assert!(part.frame(MESSAGE_BYTES_MAX).now_or_never().flatten().is_some());
        shares.pop();
        assert!(part.at_once(ANSWER_BYTES_MAX).is_some(), "what was dropped is free again");
    }
}
