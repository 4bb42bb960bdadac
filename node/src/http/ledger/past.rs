//! The state that a question is about: the newest, or with `?height=H` that after block H, as long as it is kept.

use chain::ValueLedger;
use primitives::Height;
use state::Sealed;
use tokio::sync::OwnedSemaphorePermit;

use super::super::limits::PAST_READS_MAX;
use super::super::problem::Problem;
use super::super::question::Parameters;
use super::super::server::Server;
use super::proof::problem;
use crate::replica::Replica;

/// A height that was asked for, and the right to read what was: few do so at once ([`PAST_READS_MAX`]).
pub struct When {
    height: Option<Height>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl When {
    /// Reads `height`.
    ///
    /// # Errors
    /// [`Problem`] if it is no number, or too many read the past already.
    pub fn read(server: &Server, parameters: &Parameters) -> Result<Self, Problem> {
        let height = parameters.value::<u64>("height", "a height")?.map(Height);
        // It waits for others no longer than it takes to say so.
        let permit = height.map(|_| Server::take(&server.past_reads, PAST_READS_MAX, "reads of past states")).transpose()?;
        Ok(Self { height, _permit: permit })
    }

    /// The height; the newest if `None`. Whoever asks this in a task keeps its place among those who read the past until the task is done.
    pub fn height(&self) -> Option<Height> {
        self.height
    }

    /// The block and the state after it.
    ///
    /// # Errors
    /// [`Problem`] with the oldest and the newest height if it is not kept here.
    pub fn state(&self, value: &Replica<ValueLedger>) -> Result<(Height, Sealed), Problem> {
        if self.height.is_none() {
            let head = value.head();
            return Ok((head.header.height, head.state.clone()));
        }
        value.after(self.height).map(|(certified, state)| (certified.header.height, state)).map_err(|error| problem(&error))
    }
}
