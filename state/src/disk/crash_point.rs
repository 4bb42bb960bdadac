//! Moments at which a process may be killed: in a test build it can be told to end at one of them; in any other build they are nothing.

/// Where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before a commit's batch is written.
    Commit,
    /// It is on disk, and nobody knows.
    Committed,
    /// Before the rows of a commit are brought.
    Rows,
    /// They are in memory.
    Brought,
    /// Rows of leaves are in a table.
    Table,
    /// The tops are in memory.
    Tops,
    /// Rows and tops are on disk.
    Flushed,
    /// What the journal need not keep is forgotten.
    Forgotten,
    /// A chunk is in memory.
    Taken,
    /// Chunks are on disk.
    Imported,
    /// Before an import becomes a store.
    Finish,
    /// It is one.
    Finished,
}

/// A process that was told to end here for the n-th time ends.
#[cfg(not(test))]
pub(crate) fn pass(_: Point) {}

#[cfg(test)]
pub(crate) use told::pass;

#[cfg(test)]
pub(crate) mod told {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Point;

    /// Names the point, and how often it is passed before.
    pub(crate) const POINT: &str = "STATE_TEST_POINT";
    /// Its exit code.
    pub(crate) const EXIT: i32 = 99;

    static PASSED: AtomicU32 = AtomicU32::new(0);

    pub(crate) fn pass(point: Point) {
        let told = std::env::var(POINT).unwrap_or_default();
        let Some((name, times)) = told.split_once(' ') else { return };
        if name == format!("{point:?}") && PASSED.fetch_add(1, Ordering::SeqCst).to_string() == times {
            // Without destructors, as if killed.
            std::process::exit(EXIT);
        }
    }
}
