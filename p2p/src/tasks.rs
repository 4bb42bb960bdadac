//! Tasks of one endpoint: all end when it closes, and closing can wait for them.

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where an endpoint's tasks run and what ends them.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    pub(crate) runtime: Handle,
    pub(crate) tracker: TaskTracker,
    pub(crate) token: CancellationToken,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, tracker: TaskTracker::new(), token: CancellationToken::new() }
    }

    /// Runs this until it is done or the endpoint closes.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.token.clone(), task);
    }

    /// Runs this until it is done or the token, a child of ours, is cancelled.
    pub(crate) fn spawn_until(&self, token: CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
        let until = async move {
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                () = task => {}
            }
        };
        self.tracker.spawn_on(until, &self.runtime);
    }
}
