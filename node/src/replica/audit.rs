//! The sums of a ledger, compared after every epoch beside the thread that decides its blocks ([`Rules::audit`]).
//!
//! Execution keeps the sums. If it ever does not, because the rules have a mistake, every node has the same wrong state, and no vote notices; if a machine has
//! one, this node alone is wrong. Whoever finds out stops, with the numbers, and signs nothing more: what is built on money from nowhere is worth nothing, and an
//! operator must know before anybody trades with it. A replica that stopped so signs nothing when it is started again before its state was looked at. Any other start looks
//! at its state beside its work.
//!
//! One walk goes on at a time, in a thread of its own, over the sealed state; blocks go on meanwhile, and consensus never waits. An epoch that ends before the
//! walk of the one before does is skipped and logged: what is wrong then is wrong in the next. Only a replica that stops waits, for one more value to be read.
//!
//! How long it takes: `chain_audit_seconds` says. A million accounts take some 3 s of one core (`make bench-ledger`): values are read one by one, in the order
//! of their keys, which is no order in memory or on the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chain::ledger::Rules;
use primitives::{Epoch, Height};
use state::Sealed;
use tracing::{error, info, warn};

use super::{Shared, lock, records};

/// Exit code of a process whose state has sums that do not hold.
pub const EXIT_SUMS: i32 = 65;

/// Blocks after which a walk is given up: what changed since its state stays in memory as long as it goes on, and each value read looks through all of it.
pub const BLOCKS_BEHIND_MAX: u64 = 1_024;

/// A state whose sums hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The epoch with whose last block it was looked at; the running one if that was at the start.
    pub epoch: Epoch,
    /// The block.
    pub height: Height,
    /// How long it took.
    pub took: Duration,
}

/// The walks over a replica's states.
#[derive(Default)]
pub struct Audit {
    /// The one under way, or the last.
    walk: Mutex<Option<JoinHandle<()>>>,
    last: Mutex<Option<Audited>>,
    /// Some sum does not hold.
    is_broken: AtomicBool,
}

impl Audit {
    /// The last state whose sums hold.
    pub fn last(&self) -> Option<Audited> {
        *lock(&self.last)
    }

    /// Whether a sum does not hold: the process is about to end.
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::SeqCst)
    }

    /// Waits for the walk under way, which ends at its next value when the replica is told to stop.
    pub fn finish(&self) {
        let walk = lock(&self.walk).take();
        if let Some(walk) = walk {
            // A panic in it has ended the process.
            let _ = walk.join();
        }
    }
}

/// Looks at the state with which a replica starts, before it does anything, if that is why it stopped; whether it did.
pub fn look_again<R: Rules>(shared: &Shared<R>, epoch: Epoch, height: Height, state: &Sealed) -> bool {
    let has_to = records::is_broken(&shared.store);
    if has_to {
        run(shared, epoch, height, state);
        shared.store.write(vec![records::broken(false)]);
    }
    has_to
}

/// Begins a walk over the state after a block of `epoch`, unless one is under way.
pub fn begin<R: Rules>(shared: &Arc<Shared<R>>, epoch: Epoch, height: Height, state: Sealed) {
    let mut walk = lock(&shared.audit.walk);
    if walk.as_ref().is_some_and(|walk| !walk.is_finished()) {
        warn!(replica = shared.name, %epoch, %height, "the sums of this epoch are not compared: those of one before still are");
        return;
    }
    let of = shared.clone();
    let name = format!("{}-audit", shared.name);
    let spawned = std::thread::Builder::new().name(name).spawn(move || {
        let guard = super::ExitOnPanic;
        run(&of, epoch, height, &state);
        drop(guard);
    });
    match spawned {
        Ok(thread) => *walk = Some(thread),
        Err(error) => error!(replica = shared.name, %epoch, %error, "the sums of this epoch are not compared: there is no thread for it"),
    }
}

fn run<R: Rules>(shared: &Shared<R>, epoch: Epoch, height: Height, state: &Sealed) {
    let begun = Instant::now();
    let is_behind = || shared.head.borrow().header.height.0.saturating_sub(height.0) > BLOCKS_BEHIND_MAX;
    match shared.rules.audit(state, &|| !shared.stopping.load(Ordering::Relaxed) && !is_behind()) {
        Ok(false) if is_behind() => {
            warn!(replica = shared.name, %epoch, %height, "the sums of this epoch were not compared to the end: {BLOCKS_BEHIND_MAX} blocks came meanwhile");
        }
        Ok(false) => {}
        Ok(true) => {
            let took = begun.elapsed();
            *lock(&shared.audit.last) = Some(Audited { epoch, height, took });
            info!(replica = shared.name, %epoch, %height, ms = took.as_millis(), "the sums hold");
        }
        Err(violation) => {
            // Before anything else: from here on nothing is signed.
            shared.audit.is_broken.store(true, Ordering::SeqCst);
            shared.store.write(vec![records::broken(true)]);
            error!(replica = shared.name, %epoch, %height, violation, "stopping: the sums of the state do not hold; trade nothing until it is known why");
            std::process::exit(EXIT_SUMS);
        }
    }
}

#[cfg(test)]
mod tests;
