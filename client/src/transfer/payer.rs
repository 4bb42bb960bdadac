//! The payer's end: sends or takes the bytes, checks what the carrier says, and signs receipts.
//!
//! One [`Upload`] or [`Download`] per channel, shared by all its transfers at once: the receipt's number is the channel's. A transfer that is dropped in the
//! middle loses nothing: what it verified is covered by the channel's next receipt.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pot::window::{Pace, WindowError, download, upload};
use pot::{Channel, Presented, Receipt, Signed, SignedError, SignedGrant, StorageAck, Ticket, Verified};
use primitives::{Address, Hash, PublicKey, SecretKey};
use storage::commit::{RangeError, Verifier, bytes_of};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::wire::{Answer, Frame, PIECE_GROUPS_MAX, Question, RUN_BYTES, Reason, Refusal, WireError, read_frame, read_message, write_message};

/// How long a carrier may keep the payer waiting for the next frame, or for taking the next bytes.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a carrier may take to sync a slice that it has received.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// Who is at the other end, as the registry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counterpart {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The carrier.
    pub carrier: Address,
    /// The key it acknowledges with.
    pub key: PublicKey,
}

/// Why a transfer ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The carrier refuses.
    #[error("{carrier} refused: {refusal}")]
    Refused {
        /// Who.
        carrier: Address,
        /// Why.
        refusal: Refusal,
    },
    /// The stream broke.
    #[error("the stream to {carrier} broke: {cause}")]
    Wire {
        /// Who.
        carrier: Address,
        /// What happened.
        cause: WireError,
    },
    /// Nothing came, or nothing was taken.
    #[error("{carrier} did nothing for {after:?} while {what}")]
    Stalled {
        /// Who.
        carrier: Address,
        /// What should have happened.
        what: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// An answer that has no place here.
    #[error("{carrier} answered out of turn: {what}")]
    OutOfTurn {
        /// Who.
        carrier: Address,
        /// What came.
        what: &'static str,
    },
    /// Bytes that are not those of the slice. They were not used and not paid.
    #[error("{carrier} sent wrong bytes: {cause}")]
    Forged {
        /// Who.
        carrier: Address,
        /// What is wrong with them.
        cause: RangeError,
    },
    /// A piece that was not asked for, or that ends in the middle.
    #[error("{carrier} sent a piece of {groups} groups at group {at} that does not fit what was asked for")]
    Piece {
        /// Who.
        carrier: Address,
        /// The group it should begin with.
        at: u64,
        /// Groups that it announced.
        groups: u32,
    },
    /// The slice has another length there.
    #[error("{carrier} holds a slice of {found} bytes under this root, the manifest says {expected}")]
    Length {
        /// Who.
        carrier: Address,
        /// By the manifest.
        expected: u64,
        /// By the carrier.
        found: u64,
    },
    /// The acknowledgement is not the carrier's over this slice.
    #[error("the acknowledgement of {carrier} is worth nothing: {cause}")]
    Ack {
        /// Who.
        carrier: Address,
        /// What is wrong with it.
        cause: AckError,
    },
    /// More than the tickets allow, or an unusable ticket.
    #[error("the transfer with {carrier} went beyond its tickets: {cause}")]
    Window {
        /// Who.
        carrier: Address,
        /// The numbers.
        cause: WindowError,
    },
}

/// What is wrong with an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// Not signed by the carrier's registered key.
    #[error(transparent)]
    Signature(#[from] SignedError),
    /// For another slice, length, epoch or carrier, or one that is paid.
    #[error(transparent)]
    Window(#[from] WindowError),
}

impl TransferError {
    /// The carrier's reason, if it was a refusal.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.reason),
            Self::Wire { .. }
            | Self::Stalled { .. }
            | Self::OutOfTurn { .. }
            | Self::Forged { .. }
            | Self::Piece { .. }
            | Self::Length { .. }
            | Self::Ack { .. }
            | Self::Window { .. } => None,
        }
    }
}

/// A fetch that ended before its end: every group before `next` was verified, handed out and is paid; the rest can be fetched elsewhere or later.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Broken {
    /// First group that was not handed out.
    pub next: u64,
    /// Why.
    pub cause: TransferError,
}

/// What a session signs with.
#[derive(Clone)]
pub struct Credentials {
    /// The session's secret key.
    pub secret: SecretKey,
    /// The payer's grant for it.
    pub grant: SignedGrant,
}

/// What both kinds of channel have in common.
struct Side {
    with: Counterpart,
    session: Credentials,
}

impl Side {
    fn sign(&self, receipt: Receipt) -> Signed<Receipt> {
        Signed::sign(receipt, &self.session.secret)
    }

    fn present(&self, ticket: &Verified<Ticket>) -> Presented {
        Presented::sign(*ticket.signed(), self.session.grant, &self.session.secret)
    }

    fn wire(&self) -> impl Fn(WireError) -> TransferError + use<> {
        let carrier = self.with.carrier;
        move |cause| TransferError::Wire { carrier, cause }
    }

    fn refused(&self, refusal: Refusal) -> TransferError {
        TransferError::Refused { carrier: self.with.carrier, refusal }
    }

    fn out_of_turn(&self, what: &'static str) -> TransferError {
        TransferError::OutOfTurn { carrier: self.with.carrier, what }
    }

    fn window(&self, cause: WindowError) -> TransferError {
        TransferError::Window { carrier: self.with.carrier, cause }
    }

    /// `future`, or an error if it takes longer than `after`.
    async fn within<T>(&self, after: Duration, what: &'static str, future: impl Future<Output = Result<T, WireError>>) -> Result<T, TransferError> {
        match timeout(after, future).await {
            Ok(result) => result.map_err(self.wire()),
            Err(_) => Err(TransferError::Stalled { carrier: self.with.carrier, what, after }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A channel of class upload.
pub struct Upload {
    side: Side,
    machine: Mutex<upload::Payer>,
}

/// A slice that is durable at a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The carrier's word.
    pub ack: Verified<StorageAck>,
    /// Bytes that were signed for: none if the slice was stored and paid before.
    pub charged: u64,
}

impl Upload {
    /// A new channel; `session` holds the secret of the key that the channel names.
    pub fn new(with: Counterpart, channel: Channel, session: Credentials) -> Self {
        Self { side: Side { with, session }, machine: Mutex::new(upload::Payer::new(with.chain, channel)) }
    }

    /// Bytes signed for so far.
    pub fn signed(&self) -> u64 {
        lock(&self.machine).signed()
    }

    /// Stores `slice` under `ticket` and pays for it.
    ///
    /// # Errors
    /// [`TransferError`]; nothing was paid for this slice then, and the same ticket can be used again.
    pub async fn put<S: AsyncRead + AsyncWrite + Send>(&self, stream: S, ticket: &Verified<Ticket>, slice: Bytes) -> Result<Kept, TransferError> {
        let side = &self.side;
        lock(&self.machine).on_ticket(ticket).map_err(|cause| side.window(cause))?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let bytes = slice.len() as u64;
        let ask = Question::Put { ticket: side.present(ticket), bytes };
        let answer = side
            .within(STALL_TIMEOUT, "it was asked to store a slice", async {
                write_message(&mut writer, &ask).await?;
                read_message(&mut reader).await
            })
            .await?;
        let (ack, is_due) = match answer {
            Answer::Ready => self.send(&mut reader, &mut writer, slice).await?,
            Answer::Stored { ack, is_due } => (ack, is_due),
            Answer::Refused(refusal) => return Err(side.refused(refusal)),
            Answer::Paid { .. } => return Err(side.out_of_turn("paid, before a receipt")),
            Answer::Opened { .. } => return Err(side.out_of_turn("opened, to a question to store")),
        };
        let kept = self.pay(&mut reader, &mut writer, ticket, (ack, is_due), bytes).await?;
        // The carrier reads the end and forgets the stream; that it did not is its own affair.
        let _ = writer.shutdown().await;
        Ok(kept)
    }

    /// Sends the bytes and waits until they are durable.
    async fn send<S: AsyncRead + AsyncWrite>(
        &self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
        slice: Bytes,
    ) -> Result<(Signed<StorageAck>, bool), TransferError> {
        let side = &self.side;
        let mut early = Box::pin(read_message::<Answer>(reader));
        for run in slice.chunks(RUN_BYTES) {
            // A carrier that fails says so while the bytes flow; without listening both ends would wait for each other.
            tokio::select! {
                biased;
                answer = &mut early => return Err(self.not_stored(answer.map_err(side.wire())?)),
                sent = side.within(STALL_TIMEOUT, "a slice was sent to it", async { Ok(writer.write_all(run).await?) }) => sent?,
            }
        }
        drop(slice);
        side.within(STALL_TIMEOUT, "a slice was sent to it", async { Ok(writer.flush().await?) }).await?;
        match side.within(STORE_TIMEOUT, "it was to sync a slice", early).await? {
            Answer::Stored { ack, is_due } => Ok((ack, is_due)),
            other @ (Answer::Ready | Answer::Paid { .. } | Answer::Opened { .. } | Answer::Refused(_)) => Err(self.not_stored(other)),
        }
    }

    fn not_stored(&self, answer: Answer) -> TransferError {
        match answer {
            Answer::Refused(refusal) => self.side.refused(refusal),
            Answer::Stored { .. } => self.side.out_of_turn("stored, before all bytes were sent"),
            Answer::Ready | Answer::Paid { .. } | Answer::Opened { .. } => self.side.out_of_turn("something else than stored, after the bytes"),
        }
    }

    /// Checks the acknowledgement, and pays if it is due.
    async fn pay<S: AsyncRead + AsyncWrite>(
        &self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
        ticket: &Verified<Ticket>,
        (ack, is_due): (Signed<StorageAck>, bool),
        bytes: u64,
    ) -> Result<Kept, TransferError> {
        let side = &self.side;
        let Counterpart { chain, carrier, key } = side.with;
        let worthless = |cause| TransferError::Ack { carrier, cause };
        let ack = ack.verify(chain, &key).map_err(|cause| worthless(cause.into()))?;
        if ack.slice != ticket.slice || ack.carrier != carrier || ack.epoch != ticket.epoch {
            return Err(worthless(WindowError::Slice { slice: ack.slice }.into()));
        }
        if ack.bytes != bytes {
            return Err(worthless(WindowError::Length { slice: ack.slice, acknowledged: ack.bytes, sent: bytes }.into()));
        }
        if !is_due {
            return Ok(Kept { ack, charged: 0 });
        }
        let receipt = lock(&self.machine).on_stored(&ack, bytes).map_err(|cause| worthless(cause.into()))?;
        let ask = Question::Receipt(side.sign(receipt));
        let answer = side
            .within(STALL_TIMEOUT, "it was paid", async {
                write_message(writer, &ask).await?;
                read_message(reader).await
            })
            .await;
        // Signed is signed: whatever the carrier says now, it may hold the receipt, and the payer has the acknowledgement.
        match answer {
            Ok(Answer::Paid { .. }) => {}
            Ok(Answer::Refused(refusal)) => tracing::debug!(%carrier, %refusal, "a receipt was not taken"),
            Ok(Answer::Ready | Answer::Stored { .. } | Answer::Opened { .. }) => tracing::debug!(%carrier, "a receipt was answered out of turn"),
            Err(error) => tracing::debug!(%carrier, %error, "a receipt was not answered"),
        }
        Ok(Kept { ack, charged: bytes })
    }
}

/// A channel of class download or stream.
pub struct Download {
    side: Side,
    machine: Mutex<download::Payer>,
}

impl Download {
    /// A new channel; `session` holds the secret of the key that the channel names.
    pub fn new(with: Counterpart, channel: Channel, session: Credentials) -> Self {
        Self { side: Side { with, session }, machine: Mutex::new(download::Payer::new(with.chain, channel, Pace::NEW)) }
    }

    /// Bytes signed for so far.
    pub fn signed(&self) -> u64 {
        lock(&self.machine).signed()
    }

    /// Fetches the `groups` of a slice of `slice_bytes` bytes under `ticket`. Each group is given to `sink` when it is verified, in order, with the place of
    /// its first byte in the slice.
    ///
    /// # Errors
    /// [`Broken`]: how far it came, and why it stopped there.
    pub async fn get<S: AsyncRead + AsyncWrite + Send>(
        &self,
        stream: S,
        ticket: &Verified<Ticket>,
        slice_bytes: u64,
        groups: Range<u64>,
        mut sink: impl FnMut(u64, &[u8]) + Send,
    ) -> Result<(), Broken> {
        let side = &self.side;
        let start = groups.start;
        let broken = |cause| Broken { next: start, cause };
        lock(&self.machine).on_ticket(ticket).map_err(|cause| broken(side.window(cause)))?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        self.ask(&mut reader, &mut writer, ticket, slice_bytes, &groups).await.map_err(broken)?;

        // Of the receipts that are due only the newest is signed and sent.
        let (due, mut newest) = tokio::sync::watch::channel(None::<Receipt>);
        let read = async {
            let mut next = start;
            let result = self.take(&mut reader, ticket.slice, slice_bytes, groups, &mut next, &mut sink, &due).await;
            drop(due);
            result.map_err(|cause| Broken { next, cause })
        };
        let write = async {
            while newest.changed().await.is_ok() {
                let receipt = *newest.borrow_and_update();
                if let Some(receipt) = receipt {
                    write_message(&mut writer, &Question::Receipt(side.sign(receipt))).await?;
                }
            }
            Ok::<(), std::io::Error>(())
        };
        let (result, written) = tokio::join!(read, write);
        let last = lock(&self.machine).flush();
        // After a whole run, or a refusal in its place, the carrier has an answer for the last receipt.
        let is_answered = result.as_ref().map_or_else(|broken| broken.cause.reason().is_some(), |()| true);
        let ending = async {
            written?;
            if let Some(receipt) = last {
                write_message(&mut writer, &Question::Receipt(side.sign(receipt))).await?;
            }
            write_message(&mut writer, &Question::Done).await?;
            let answer = if is_answered { Some(read_message::<Answer>(&mut reader).await?) } else { None };
            writer.shutdown().await?;
            Ok(answer)
        };
        // Signed is signed: a carrier that does not take the last receipt has it with the channel's next one.
        match side.within(STALL_TIMEOUT, "it was paid", ending).await {
            Ok(None | Some(Answer::Paid { .. })) => {}
            Ok(Some(answer)) => tracing::debug!(carrier = %side.with.carrier, ?answer, "the last receipt of a transfer was not taken"),
            Err(error) => tracing::debug!(carrier = %side.with.carrier, %error, "the last receipt of a transfer was not answered"),
        }
        result
    }

    async fn ask<S: AsyncRead + AsyncWrite>(
        &self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
        ticket: &Verified<Ticket>,
        slice_bytes: u64,
        groups: &Range<u64>,
    ) -> Result<(), TransferError> {
        let side = &self.side;
        let ask = Question::Get { ticket: side.present(ticket), start: groups.start, end: groups.end };
        let answer = side
            .within(STALL_TIMEOUT, "it was asked for a slice", async {
                write_message(writer, &ask).await?;
                read_message(reader).await
            })
            .await?;
        match answer {
            Answer::Opened { bytes, pace } if bytes == slice_bytes => {
                lock(&self.machine).on_pace(pace);
                Ok(())
            }
            Answer::Opened { bytes, .. } => Err(TransferError::Length { carrier: side.with.carrier, expected: slice_bytes, found: bytes }),
            Answer::Refused(refusal) => Err(side.refused(refusal)),
            Answer::Ready | Answer::Stored { .. } | Answer::Paid { .. } => Err(side.out_of_turn("something else than opened, to a question for a slice")),
        }
    }

    /// Takes the pieces: `next` is the first group that was not handed out.
    #[expect(clippy::too_many_arguments, reason = "the parts of one loop: where from, what, how far, where to")]
    async fn take<S: AsyncRead + AsyncWrite>(
        &self,
        reader: &mut ReadHalf<S>,
        root: Hash,
        slice_bytes: u64,
        groups: Range<u64>,
        next: &mut u64,
        sink: &mut (impl FnMut(u64, &[u8]) + Send),
        due: &tokio::sync::watch::Sender<Option<Receipt>>,
    ) -> Result<(), TransferError> {
        let side = &self.side;
        let carrier = side.with.carrier;
        let mut buffer = Vec::new();
        while *next < groups.end {
            let (count, bytes) = match side.within(STALL_TIMEOUT, "a slice was fetched from it", read_frame::<Answer>(reader, &mut buffer)).await? {
                Frame::Piece { groups, bytes } => (groups, bytes),
                Frame::Message(Answer::Refused(refusal)) => return Err(side.refused(refusal)),
                Frame::Message(Answer::Ready | Answer::Stored { .. } | Answer::Paid { .. } | Answer::Opened { .. }) => {
                    return Err(side.out_of_turn("a message between pieces"));
                }
            };
            let piece = *next..next.saturating_add(u64::from(count));
            if count == 0 || u64::from(count) > PIECE_GROUPS_MAX || piece.end > groups.end {
                return Err(TransferError::Piece { carrier, at: *next, groups: count });
            }
            let mut verifier = Verifier::new(root, slice_bytes, piece.clone());
            let pushed = verifier.push(bytes, |place, group| {
                sink(place, group);
                *next = next.saturating_add(1);
            });
            // What came before a wrong group is good, and paid.
            let verified = bytes_of(slice_bytes, piece.start..*next);
            let receipt = lock(&self.machine).on_verified(verified.end.saturating_sub(verified.start)).map_err(|cause| side.window(cause))?;
            if receipt.is_some() {
                due.send_replace(receipt);
            }
            pushed.map_err(|cause| TransferError::Forged { carrier, cause })?;
            if !verifier.is_complete() {
                return Err(TransferError::Piece { carrier, at: piece.start, groups: count });
            }
        }
        Ok(())
    }
}
