//! The frames of a transfer: a length, a kind, and a message or a piece.
//!
//! ```text
//! length u32 le | kind 0 | borsh of a Question or an Answer
//! length u32 le | kind 1 | groups u32 le | hashes and groups of a range response
//! ```
//! The bytes of a slice that is being stored follow their question bare: both ends know their number.

use std::io;
use std::ops::Range;

use borsh::{BorshDeserialize, BorshSerialize};
use pot::window::Pace;
use pot::{Presented, Receipt, Signed, StorageAck};
use primitives::encoding::{self, DecodeError};
use storage::commit::{GROUP_BYTES, response_bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Name of the stream protocol on the data plane.
pub const PROTOCOL: &str = "slice";
/// Longest message: a ticket or a receipt, or a refusal with its text.
pub const MESSAGE_BYTES_MAX: usize = 1024;
/// Longest text of a refusal.
pub const TEXT_BYTES_MAX: usize = 512;
/// Groups in one piece at most: 256 KiB, below which the network stack costs more per byte.
pub const PIECE_GROUPS_MAX: u64 = 16;
/// Groups in a piece while the window is the smallest: a quarter of it, so that the receipt for one piece travels with the next.
pub const PIECE_GROUPS_MIN: u64 = 4;
/// Longest piece: its groups, the hashes between them, and a path from the root of the longest slice on either side.
pub const PIECE_BYTES_MAX: usize = 16 * (16 * 1024 + 64) + 2 * 32 * 64;
const _: () = assert!(PIECE_GROUPS_MAX == 16 && GROUP_BYTES == 16 * 1024);
/// What is read and written at once of a slice that is being stored.
pub const RUN_BYTES: usize = 256 * 1024;

const HEAD: usize = 5;
const PIECE_HEAD: usize = HEAD + 4;
const MESSAGE: u8 = 0;
const PIECE: u8 = 1;

/// What a payer says to a carrier.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Question {
    /// Store the slice of this ticket; after [`Answer::Ready`] its bytes follow.
    Put {
        /// Leave to do so, class upload.
        ticket: Presented,
        /// Length of the slice.
        bytes: u64,
    },
    /// Send groups `start..end` of the slice of this ticket.
    Get {
        /// Leave to do so, class download or stream.
        ticket: Presented,
        /// First group.
        start: u64,
        /// The group after the last.
        end: u64,
    },
    /// The channel's newest receipt.
    Receipt(Signed<Receipt>),
    /// No more receipts come for this transfer; the answer is [`Answer::Paid`]. Before the last piece it means that the payer wants no more, and ends the
    /// stream.
    Done,
}

/// What a carrier says to a payer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// Send the bytes.
    Ready,
    /// The slice is durable here.
    Stored {
        /// The carrier's word for it.
        ack: Signed<StorageAck>,
        /// Whether a receipt is expected; not if the slice was stored and paid before.
        is_due: bool,
    },
    /// The receipts of the transfer were taken and are durable.
    Paid {
        /// Bytes of the channel that are paid.
        bytes: u64,
    },
    /// Pieces follow.
    Opened {
        /// Length of the slice.
        bytes: u64,
        /// How far this carrier trusts this session.
        pace: Pace,
    },
    /// The transfer ends here.
    Refused(Refusal),
}

/// Why a carrier ends a transfer, as the payer's program must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Reason {
    /// The ticket's epoch is over: get a new one and go on from where this stopped.
    EpochOver,
    /// The ticket is not one that this carrier takes: wrong carrier, class, slice, length or signature.
    Ticket,
    /// No room for the slice.
    Full,
    /// The slice is not here.
    NotFound,
    /// The slice is here and no longer what its root says, or the disk does not give it.
    Damaged,
    /// The slice is being written by another transfer.
    Busy,
    /// The session owes too much, or did not pay in time.
    Unpaid,
    /// A receipt that this carrier does not take.
    Receipt,
    /// The bytes of the slice are not those of its root.
    WrongSlice,
    /// Not a question, or not its turn.
    Malformed,
    /// The carrier is in trouble of its own.
    Failed,
    /// The ticket is by nobody whose tickets count, or not any more: turn to another meta node.
    Issuer,
}

/// A reason, and a text with the numbers for people.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people; at most [`TEXT_BYTES_MAX`] bytes.
    pub text: String,
}

impl Refusal {
    /// A refusal whose text is cut to its limit.
    pub fn new(reason: Reason, text: impl std::fmt::Display) -> Self {
        let mut text = text.to_string();
        let cut = text.floor_char_boundary(TEXT_BYTES_MAX);
        text.truncate(cut);
        Self { reason, text }
    }
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The stream failed or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream ended where a frame should begin.
    #[error("the other end closed the stream")]
    Ended,
    /// Longer than any frame of its kind.
    #[error("a frame of {bytes} bytes, at most {limit} are allowed")]
    Length {
        /// Announced.
        bytes: u32,
        /// The limit.
        limit: usize,
    },
    /// No such kind, or one that has no place here.
    #[error("a frame of kind {0}, which has no place here")]
    Kind(u8),
    /// Not the message it should be.
    #[error(transparent)]
    Message(#[from] DecodeError),
}

/// A frame as it was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a, T> {
    /// A message.
    Message(T),
    /// A piece of a range response.
    Piece {
        /// Groups in it.
        groups: u32,
        /// Hashes and groups.
        bytes: &'a [u8],
    },
}

/// Reads one frame into `buffer`, which grows to the largest piece and is used again.
///
/// # Errors
/// [`WireError`]; the stream is of no use then.
pub async fn read_frame<'a, T: BorshDeserialize>(stream: &mut (impl AsyncRead + Unpin), buffer: &'a mut Vec<u8>) -> Result<Frame<'a, T>, WireError> {
    let mut head = [0; HEAD];
    if stream.read(&mut head[..1]).await? == 0 {
        return Err(WireError::Ended);
    }
    stream.read_exact(&mut head[1..]).await?;
    let [a, b, c, d, kind] = head;
    let announced = u32::from_le_bytes([a, b, c, d]);
    let limit = match kind {
        MESSAGE => MESSAGE_BYTES_MAX,
        PIECE => PIECE_BYTES_MAX + 4,
        other => return Err(WireError::Kind(other)),
    };
    let length = usize::try_from(announced).ok().filter(|length| *length <= limit).ok_or(WireError::Length { bytes: announced, limit })?;
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let body = &mut buffer[..length];
    stream.read_exact(body).await?;
    if kind == MESSAGE {
        return Ok(Frame::Message(encoding::decode(body, MESSAGE_BYTES_MAX)?));
    }
    let (groups, bytes) = body.split_first_chunk::<4>().ok_or(WireError::Length { bytes: announced, limit })?;
    Ok(Frame::Piece { groups: u32::from_le_bytes(*groups), bytes })
}

/// Reads a frame that must be a message.
///
/// # Errors
/// [`WireError`]; the stream is of no use then.
pub async fn read_message<T: BorshDeserialize>(stream: &mut (impl AsyncRead + Unpin)) -> Result<T, WireError> {
    match read_frame(stream, &mut Vec::new()).await? {
        Frame::Message(message) => Ok(message),
        Frame::Piece { .. } => Err(WireError::Kind(PIECE)),
    }
}

/// The bytes of a message's frame.
pub fn message_frame<T: BorshSerialize>(message: &T) -> Vec<u8> {
    let body = encoding::encode(message);
    let mut frame = Vec::with_capacity(HEAD + body.len());
    frame.extend_from_slice(&length(body.len()));
    frame.push(MESSAGE);
    frame.extend_from_slice(&body);
    frame
}

/// Writes a message and flushes.
///
/// # Errors
/// What the stream said.
pub async fn write_message<T: BorshSerialize>(stream: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    stream.write_all(&message_frame(message)).await?;
    stream.flush().await
}

/// Begins a piece's frame in `out`: append the range response, then call [`end_piece`].
pub fn begin_piece(out: &mut Vec<u8>, groups: &Range<u64>) {
    out.clear();
    out.extend_from_slice(&[0; HEAD]);
    let count = u32::try_from(groups.end - groups.start).expect("a piece has at most PIECE_GROUPS_MAX groups");
    out.extend_from_slice(&count.to_le_bytes());
}

/// Fills in the head of the frame that [`begin_piece`] began.
pub fn end_piece(out: &mut [u8]) {
    let body = length(out.len() - HEAD);
    out[..4].copy_from_slice(&body);
    out[4] = PIECE;
}

/// Bytes of the whole frame of a piece, so that a buffer can be made for it.
pub fn piece_frame_bytes(slice_bytes: u64, groups: Range<u64>) -> usize {
    PIECE_HEAD + usize::try_from(response_bytes(slice_bytes, groups)).expect("a piece is below PIECE_BYTES_MAX")
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("frames are below PIECE_BYTES_MAX").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::profile::SLICE_BYTES_MAX;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    /// Golden vectors: changing one of these lines is another protocol.
    #[test]
    fn frames_on_the_wire() {
        assert_eq!(hex::encode(message_frame(&Question::Done)), "010000000003");
        assert_eq!(hex::encode(message_frame(&Answer::Ready)), "010000000000");
        assert_eq!(hex::encode(message_frame(&Answer::Paid { bytes: 258 })), "0900000000020201000000000000");
        let refusal = Answer::Refused(Refusal::new(Reason::Full, "no"));
        assert_eq!(hex::encode(message_frame(&refusal)), "08000000000402020000006e6f");
        let mut piece = Vec::new();
        begin_piece(&mut piece, &(3..5));
        piece.extend_from_slice(b"abc");
        end_piece(&mut piece);
        assert_eq!(hex::encode(&piece), "070000000102000000616263");
    }

    #[test]
    fn every_message_and_piece_fits() {
        let text = "é".repeat(TEXT_BYTES_MAX);
        let refusal = Refusal::new(Reason::Failed, text);
        assert_eq!(refusal.text.len(), TEXT_BYTES_MAX);
        assert!(message_frame(&Answer::Refused(refusal)).len() <= HEAD + MESSAGE_BYTES_MAX);
        let groups = SLICE_BYTES_MAX / GROUP_BYTES;
        for start in 0..=groups - PIECE_GROUPS_MAX {
            assert!(piece_frame_bytes(SLICE_BYTES_MAX, start..start + PIECE_GROUPS_MAX) <= PIECE_HEAD + PIECE_BYTES_MAX);
        }
    }

    #[test]
    fn the_limit_is_checked_before_memory_is_taken() {
        for kind in [MESSAGE, PIECE] {
            let bytes = [255, 255, 255, 127, kind];
            let mut buffer = Vec::new();
            assert!(matches!(block_on(read_frame::<Question>(&mut &bytes[..], &mut buffer)), Err(WireError::Length { .. })));
            assert_eq!(buffer.capacity(), 0);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), tame in any::<bool>()) {
            let mut bytes = bytes;
            if tame && bytes.len() > HEAD {
                let body = length(bytes.len() - HEAD);
                bytes[..4].copy_from_slice(&body);
                bytes[4] &= 1;
            }
            let _ = block_on(read_frame::<Question>(&mut bytes.as_slice(), &mut Vec::new()));
            let _ = block_on(read_message::<Answer>(&mut bytes.as_slice()));
        }

        #[test]
        fn pieces_come_out_as_they_went_in(start in 0u64..100, count in 1u64..=PIECE_GROUPS_MAX, body in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut frame = Vec::new();
            begin_piece(&mut frame, &(start..start + count));
            frame.extend_from_slice(&body);
            end_piece(&mut frame);
            let mut buffer = vec![7; 5000];
            let read = block_on(read_frame::<Answer>(&mut frame.as_slice(), &mut buffer)).expect("a frame");
            prop_assert_eq!(read, Frame::Piece { groups: u32::try_from(count).expect("small"), bytes: &body });
        }
    }
}
