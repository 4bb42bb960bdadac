//! What a stage takes: processor time of the thread that does it, and memory of the process.
//!
//! Time is the processor's, not the wall's: on a machine with nothing else to do they are the same, and on another one the wall shows what the others did.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Adds up what one stage takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// Processor time so far.
    pub time: Duration,
}

impl Meter {
    /// Does some of the stage's work. How long that took.
    pub fn run<T>(&mut self, work: impl FnOnce() -> T) -> (T, Duration) {
        let began = processor();
        let made = work();
        let took = processor().saturating_sub(began);
        self.time += took;
        (made, took)
    }
}

/// Processor time of this thread.
fn processor() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a thread's time is not negative")
}

/// Forgets the peak of the memory so far. Where the kernel refuses, peaks only grow.
pub fn forget_peak() {
    // 5 is the kernel's word for it; see proc(5).
    if fs::write("/proc/self/clear_refs", "5").is_err() {
        eprintln!("note: this kernel does not forget the peak of memory; each stage shows the highest so far");
    }
}

/// Most resident memory since the start or [`forget_peak`] in KiB; 0 where there is no /proc.
pub fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
