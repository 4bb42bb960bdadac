//! A spawned task that ends when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::FilesError;

/// Runs on its own, also while its owner does something else; aborted when dropped.
pub(super) struct Task<T>(JoinHandle<Result<T, FilesError>>);

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(future: impl Future<Output = Result<T, FilesError>> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Runs what keeps a core busy for milliseconds.
    pub(super) fn blocking(work: impl FnOnce() -> Result<T, FilesError> + Send + 'static) -> Self {
        Self(tokio::task::spawn_blocking(work))
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, FilesError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|joined| joined.unwrap_or(Err(FilesError::Ending)))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
