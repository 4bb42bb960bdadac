//! Question and answer: one stream per request. The asker sends one frame and ends its half; the other end answers with one frame.

use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use tokio::{
    io::AsyncWriteExt as _,
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    budget::Part,
    event::{Event, Responder},
    limits::{ANSWER_BYTES_MAX, ANSWER_TIMEOUT, ANSWER_WRITE_TIMEOUT, REQUEST_BYTES_MAX, REQUEST_READ_TIMEOUT},
    wire::{FrameError, Stream, read_body, read_frame, read_length, write_frame},
};

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// The stream could not be opened.
    #[error(transparent)]
    Open(#[from] crate::OpenError),
    /// No answer in time.
    #[error("no answer from {peer} to {protocol} within {after:?}")]
    Timeout {
        /// Who was asked.
        peer: PeerId,
        /// What was asked.
        protocol: &'static str,
        /// The deadline that passed.
        after: Duration,
    },
    /// The peer took the request and gave no answer.
    #[error("{peer} refused the {protocol} request: {reason}")]
    Refused {
        /// Who was asked.
        peer: PeerId,
        /// What was asked.
        protocol: &'static str,
        /// How the stream ended.
        reason: String,
    },
    /// The body is above the limit; nothing was sent.
    #[error("a request of {bytes} bytes, above the limit of {REQUEST_BYTES_MAX}")]
    Oversize {
        /// The body's size.
        bytes: usize,
    },
    /// The answer is above the limit.
    #[error("{peer} announced an answer of {bytes} bytes, above the limit of {ANSWER_BYTES_MAX}")]
    OversizeAnswer {
        /// Who answered.
        peer: PeerId,
        /// What it announced.
        bytes: usize,
    },
}

/// The asking end, on an acknowledged stream.
pub(crate) async fn ask(mut stream: Stream, protocol: &'static str, body: &[u8]) -> Result<Bytes, RequestError> {
    let peer = stream.peer();
    let refused = |reason: String| RequestError::Refused { peer, protocol, reason };
    write_frame(&mut stream, body).await.map_err(|error| refused(error.to_string()))?;
    stream.shutdown().await.map_err(|error| refused(error.to_string()))?;
    match read_frame(&mut stream, ANSWER_BYTES_MAX).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(refused("closed without an answer".into())),
        Err(FrameError::Oversize { bytes, .. }) => Err(RequestError::OversizeAnswer { peer, bytes }),
        Err(FrameError::Io(error)) => Err(refused(error.to_string())),
    }
}

/// The answering end. Gives the size if the peer announced more than it may.
pub(crate) async fn serve(mut stream: Stream, protocol: &'static str, events: mpsc::Sender<Event>, memory: Part) -> Result<(), usize> {
    let from = stream.peer();
    let read = async {
        stream.acknowledge().await?;
        let Some(length) = read_length(&mut stream, REQUEST_BYTES_MAX).await? else { return Ok(None) };
        let Some(share) = memory.request(length).await else { return Ok(None) };
        Ok(Some((read_body(&mut stream, length).await?, share)))
    };
    let (body, share) = match timeout(REQUEST_READ_TIMEOUT, read).await {
        Ok(Ok(Some(request))) => request,
        Ok(Err(FrameError::Oversize { bytes, .. })) => return Err(bytes),
        Ok(Ok(None) | Err(FrameError::Io(_))) | Err(_) => return Ok(()),
    };
    let think = async {
        let (reply, answer) = oneshot::channel();
        events.send(Event::Request { from, protocol, body, responder: Responder { reply, share } }).await.ok()?;
        answer.await.ok()
    };
    let Some((answer, _share)) = timeout(ANSWER_TIMEOUT, think).await.ok().flatten() else {
        tracing::debug!(%from, protocol, "a request got no answer");
        return Ok(());
    };
    if answer.len() > ANSWER_BYTES_MAX {
        tracing::warn!(protocol, bytes = answer.len(), "our answer is above the limit and is not sent");
        return Ok(());
    }
    let Some(_room) = memory.at_once(answer.len()) else {
        tracing::debug!(%from, protocol, "an answer has no room: earlier ones are not yet read");
        return Ok(());
    };
    let write = async {
        write_frame(&mut stream, &answer).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(ANSWER_WRITE_TIMEOUT, write).await, Ok(Ok(()))) {
        tracing::debug!(%from, protocol, "an answer was not read");
    }
    Ok(())
}
