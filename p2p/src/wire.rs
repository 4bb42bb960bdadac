//! Bytes on a stream: the acknowledgement, the length-prefixed frame, and the byte stream that owners of an endpoint read and write.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use libp2p::PeerId;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::OwnedSemaphorePermit,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

use crate::line::Line;

/// The byte the accepting side sends first on every stream. Without it an opener cannot know that its stream was not dropped on arrival.
pub(crate) const ACKNOWLEDGEMENT: u8 = 1;
/// Memory reserved for a frame before its bytes arrive; more is taken only as they do.
const TRUST_BYTES: usize = 64 << 10;

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The peer announced more than the limit.
    #[error("a frame of {bytes} bytes, above the limit of {max}")]
    Oversize {
        /// What was announced.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The stream ended or failed inside the frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The four bytes before a frame: its length, little-endian.
pub(crate) fn header(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("frames are checked against limits far below 4 GiB").to_le_bytes()
}

/// Reads one frame; `None` if the stream ended cleanly before it.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<Option<Bytes>, FrameError> {
    match read_length(stream, max).await? {
        Some(length) => Ok(Some(read_body(stream, length).await?)),
        None => Ok(None),
    }
}

/// Reads what a frame begins with: how long it is; `None` if the stream ended cleanly before it.
pub(crate) async fn read_length(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<Option<usize>, FrameError> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if bytes > max {
        return Err(FrameError::Oversize { bytes, max });
    }
    Ok(Some(bytes))
}

/// Reads the bytes that follow the length.
pub(crate) async fn read_body(stream: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Bytes, FrameError> {
    let mut frame = Vec::with_capacity(length.min(TRUST_BYTES));
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    if stream.take(limit).read_to_end(&mut frame).await? < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(frame.into())
}

/// Writes one frame and flushes.
pub(crate) async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    stream.write_all(&header(frame.len())).await?;
    stream.write_all(frame).await?;
    stream.flush().await
}

/// A two-way byte stream to a peer, acknowledged by the other end. Reset when dropped; `shutdown` ends the writing half cleanly.
///
/// Write in pieces of 256 KiB or more. Both ends must read while they write: each direction has a window, and two ends that write all before they read
/// wait for each other for ever.
#[derive(Debug)]
pub struct Stream {
    peer: PeerId,
    inner: Compat<libp2p::Stream>,
    line: Arc<Line>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Stream {
    pub(crate) fn new(peer: PeerId, inner: libp2p::Stream, line: Arc<Line>, permits: Vec<OwnedSemaphorePermit>) -> Self {
        Self { peer, inner: inner.compat(), line, _permits: permits }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Tells the opener that its stream has arrived.
    pub(crate) async fn acknowledge(&mut self) -> io::Result<()> {
        self.write_all(&[ACKNOWLEDGEMENT]).await?;
        self.flush().await
    }

    /// Waits for the acknowledgement.
    pub(crate) async fn acknowledged(&mut self) -> io::Result<()> {
        match self.read_u8().await? {
            ACKNOWLEDGEMENT => Ok(()),
            other => Err(io::Error::new(io::ErrorKind::InvalidData, format!("acknowledged with {other}"))),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.line.moved();
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.line.moved();
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    /// A golden vector: length little-endian, then the bytes.
    #[test]
    fn a_frame_on_the_wire() {
        let mut wire = Vec::new();
        block_on(write_frame(&mut wire, b"abc")).expect("memory does not fail");
        assert_eq!(wire, b"\x03\0\0\0abc");
    }

    #[test]
    fn the_limit_is_checked_before_memory_is_taken() {
        let error = block_on(read_frame(&mut [255u8; 64].as_slice(), 1000)).expect_err("above the limit");
        assert!(matches!(error, FrameError::Oversize { bytes: 0xffff_ffff, max: 1000 }));
    }

    proptest! {
        /// Frames come out as they went in, any cut is an error and any bytes are survived.
        #[test]
        fn frames_survive(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..5), cut in any::<prop::sample::Index>(),
                          noise in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut wire = Vec::new();
            for frame in &frames { block_on(write_frame(&mut wire, frame)).expect("memory does not fail"); }
            let mut reader = wire.as_slice();
            for frame in &frames { prop_assert_eq!(block_on(read_frame(&mut reader, 50)).expect("whole").expect("there"), frame); }
            prop_assert!(block_on(read_frame(&mut reader, 50)).expect("a clean end").is_none());
            if !wire.is_empty() {
                let mut reader = &wire[..cut.index(wire.len())];
                while let Ok(Some(_)) = block_on(read_frame(&mut reader, 50)) {}
            }
            let mut reader = noise.as_slice();
            while let Ok(Some(frame)) = block_on(read_frame(&mut reader, 50)) { prop_assert!(frame.len() <= 50); }
        }
    }
}
