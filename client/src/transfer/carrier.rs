//! The carrier's end: checks the ticket, keeps or gives the bytes, and takes the receipts. What it decides is in [`desk`], [`Books`] and [`pot::window`].

use std::future::pending;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use pot::window::WindowError;
use pot::{Channel, Presented, Receipt, Signed, StorageAck, Ticket, Verified};
use primitives::{Address, Epoch, Hash, SecretKey};
use storage::commit::{bytes_of, groups};
use storage::store::{SliceReader, SliceWriter};
use storage::{SliceError, SliceStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::books::{Begun, BookError, Books, BooksError, Debt, Gate};
use super::desk::{self, Terms, Use};
use super::wire::{
    Answer, PIECE_GROUPS_MAX, PIECE_GROUPS_MIN, Question, RUN_BYTES, Reason, Refusal, WireError, begin_piece, end_piece, piece_frame_bytes, read_message,
    write_message,
};

/// How long a stream may be silent between two questions.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long [`RUN_BYTES`] may take to arrive or to leave: 26 KB a second, of one of several transfers at once.
pub const RUN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the payer may take to sign a receipt that is due.
pub const RECEIPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transfer waits for a carrier that has just started to learn the terms; less than a payer waits for its first answer.
pub const TERMS_TIMEOUT: Duration = Duration::from_secs(5);

/// Who the carrier is.
#[derive(Clone)]
pub struct Identity {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The operator's account: the carrier's name everywhere.
    pub carrier: Address,
    /// The node's key, as registered.
    pub secret: SecretKey,
}

/// What a carrier keeps beside each slice, to know when it may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Label {
    /// Epoch of the ticket it was stored under.
    pub epoch: Epoch,
    /// Who stored it.
    pub payer: Address,
}

/// How a transfer ended badly: what the payer is told, or why the stream is of no use for telling.
enum Ended {
    Refused(Refusal),
    Broken(String),
}

impl Ended {
    fn silent(what: &'static str) -> Self {
        Self::Broken(format!("nothing happened for too long while {what}"))
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<WireError> for Ended {
    fn from(error: WireError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<BookError> for Ended {
    fn from(error: BookError) -> Self {
        let reason = match error {
            BookError::Closed(_) => Reason::EpochOver,
            BookError::Window(WindowError::UnpaidSlices { .. }) => Reason::Unpaid,
            BookError::Window(WindowError::InUse { .. }) => Reason::Busy,
            BookError::Window(_) => Reason::Ticket,
        };
        Self::Refused(Refusal::new(reason, error))
    }
}

impl From<BooksError> for Ended {
    fn from(error: BooksError) -> Self {
        tracing::error!(%error, "the books cannot be written: no transfer begins until they can");
        Self::Refused(Refusal::new(Reason::Failed, "this carrier cannot write its books"))
    }
}

impl From<SliceError> for Ended {
    fn from(error: SliceError) -> Self {
        let reason = match &error {
            SliceError::Stored { .. } | SliceError::Busy { .. } => Reason::Busy,
            SliceError::NotFound { .. } => Reason::NotFound,
            SliceError::Full { .. } | SliceError::DiskFull { .. } => Reason::Full,
            SliceError::WrongRoot { .. } | SliceError::WrongLength { .. } => Reason::WrongSlice,
            SliceError::Limit { .. } | SliceError::Range { .. } | SliceError::Empty { .. } => Reason::Malformed,
            SliceError::Corrupt { .. } | SliceError::CorruptHashes { .. } | SliceError::Lost { .. } => Reason::Damaged,
            SliceError::ReadOnly { .. } | SliceError::Io { .. } | SliceError::Database { .. } | SliceError::Failed { .. } => Reason::Failed,
        };
        match reason {
            Reason::Damaged | Reason::Failed => tracing::error!(%error, "the slice store is in trouble"),
            Reason::Full => tracing::warn!(%error, "a slice was refused: there is no room"),
            Reason::EpochOver
            | Reason::Ticket
            | Reason::Issuer
            | Reason::NotFound
            | Reason::Busy
            | Reason::Unpaid
            | Reason::Receipt
            | Reason::WrongSlice
            | Reason::Malformed => {}
        }
        // The paths of our disk are nobody's business.
        let no_room = |needed: u64, free: u64| format!("this carrier has no room for the slice: {needed} bytes are needed, {free} are free");
        let text = match (&error, reason) {
            (SliceError::Full { needed, free, .. }, _) => no_room(*needed, *free),
            (SliceError::DiskFull { needed, available, reserve, .. }, _) => no_room(*needed, available.saturating_sub(*reserve)),
            (_, Reason::Failed) => "this carrier cannot use its disk".to_owned(),
            (_, Reason::Damaged) => "this carrier's copy of the slice is damaged".to_owned(),
            (
                _,
                Reason::EpochOver
                | Reason::Ticket
                | Reason::Issuer
                | Reason::Full
                | Reason::NotFound
                | Reason::Busy
                | Reason::Unpaid
                | Reason::Receipt
                | Reason::WrongSlice
                | Reason::Malformed,
            ) => error.to_string(),
        };
        Self::Refused(Refusal::new(reason, text))
    }
}

struct Inner {
    identity: Identity,
    store: Arc<dyn SliceStore>,
    books: Books,
    terms: watch::Sender<Option<Arc<Terms>>>,
}

/// The carrier's end of all transfers. Cheap to clone.
#[derive(Clone)]
pub struct Carrier(Arc<Inner>);

impl Carrier {
    /// A carrier with the slices and books of `store`. Transfers wait until it is told the terms. Blocks on the disk.
    ///
    /// # Errors
    /// [`BooksError`] if the books cannot be read.
    pub fn open(identity: Identity, store: Arc<dyn SliceStore>) -> Result<Self, BooksError> {
        let books = Books::open(identity.chain, Arc::clone(&store))?;
        Ok(Self(Arc::new(Inner { identity, store, books, terms: watch::Sender::new(None) })))
    }

    /// What the ledgers say from now on. Fetches of an epoch that is over stop at their next piece.
    pub fn set_terms(&self, terms: Terms) {
        self.0.terms.send_replace(Some(Arc::new(terms)));
    }

    /// The books: receipts to claim, and numbers.
    pub fn books(&self) -> &Books {
        &self.0.books
    }

    /// The slices.
    pub fn store(&self) -> &Arc<dyn SliceStore> {
        &self.0.store
    }

    /// Who this is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Serves the transfers of one stream, until the payer ends it or does wrong. Returns what went wrong, in words for a log.
    pub async fn serve<S: AsyncRead + AsyncWrite + Send>(&self, stream: S) -> Result<(), String> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        loop {
            let ended = match timeout(IDLE_TIMEOUT, read_message::<Question>(&mut reader)).await {
                Err(_) | Ok(Err(WireError::Ended)) => return Ok(()),
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(Question::Put { ticket, bytes })) => self.put(&mut reader, &mut writer, ticket, bytes).await,
                Ok(Ok(Question::Get { ticket, start, end })) => self.get(&mut reader, &mut writer, ticket, start..end).await,
                Ok(Ok(Question::Receipt(_) | Question::Done)) => Err(Refusal::new(Reason::Malformed, "a receipt outside of a transfer").into()),
            };
            let error = match ended {
                Ok(()) => continue,
                Err(Ended::Broken(error)) => error,
                Err(Ended::Refused(refusal)) => {
                    let told = timeout(RUN_TIMEOUT, self.refuse(&mut reader, &mut writer, &refusal)).await;
                    tracing::trace!(?told, "refused");
                    refusal.text
                }
            };
            return Err(error);
        }
    }

    /// Tells the payer, and reads what is still on its way: a stream that is dropped with unread bytes is reset, and the reason could be lost.
    async fn refuse<S: AsyncRead + AsyncWrite>(&self, reader: &mut ReadHalf<S>, writer: &mut WriteHalf<S>, refusal: &Refusal) -> std::io::Result<()> {
        self.0.books.count_failed();
        write_message(writer, &Answer::Refused(refusal.clone())).await?;
        writer.shutdown().await?;
        let mut rest = vec![0; 16 * 1024];
        while reader.read(&mut rest).await? > 0 {}
        Ok(())
    }

    /// Returns when the carrier knows the terms: from then on it takes transfers.
    pub async fn ready(&self) -> Arc<Terms> {
        let mut terms = self.0.terms.subscribe();
        let known = terms.wait_for(Option::is_some).await.expect("the sender lives as long as the carrier");
        known.clone().expect("that is what was waited for")
    }

    async fn check(&self, ticket: Presented, what: Use) -> Result<Verified<Ticket>, Refusal> {
        let unready = |_| {
            let text = format!("this carrier has just started and did not learn the registry within {TERMS_TIMEOUT:?}; try again in a moment");
            Refusal::new(Reason::Failed, text)
        };
        let terms = timeout(TERMS_TIMEOUT, self.ready()).await.map_err(unready)?;
        desk::check(&terms, self.0.identity.chain, &self.0.identity.carrier, ticket, what)
    }

    async fn put<S: AsyncRead + AsyncWrite>(&self, reader: &mut ReadHalf<S>, writer: &mut WriteHalf<S>, ticket: Presented, bytes: u64) -> Result<(), Ended> {
        let ticket = self.check(ticket, Use::Put { bytes }).await?;
        let channel = ticket.channel();
        let (store, root) = (Arc::clone(&self.0.store), ticket.slice);
        // Held until the receipt is durable: the epoch's claim waits for it.
        let slot = match blocking(move || store.info(root)?.map(|info| store.reader(root).map(|_| info)).transpose()).await? {
            Some(info) if info.bytes != bytes => {
                return Err(Refusal::new(Reason::WrongSlice, format_args!("the slice has {} bytes, not {bytes}", info.bytes)).into());
            }
            // Stored before, if its file is still there. If nobody has paid yet, this payer does now, under its own ticket.
            Some(_) => match self.0.books.debt(&ticket) {
                Debt::None => None,
                Debt::Here => Some(Slot::again(self, &ticket)?),
                Debt::Elsewhere => {
                    let mut slot = Slot::begin(self, &ticket)?;
                    self.0.books.commit().await?;
                    slot.stored(bytes)?;
                    Some(slot)
                }
            },
            None => {
                let mut slot = Slot::begin(self, &ticket)?;
                self.0.books.commit().await?;
                self.receive(reader, writer, &ticket, bytes).await?;
                slot.stored(bytes)?;
                Some(slot)
            }
        };
        let Identity { chain, carrier, ref secret } = self.0.identity;
        let ack = Signed::sign(StorageAck { chain, epoch: ticket.epoch, carrier, slice: ticket.slice, bytes }, secret);
        tell(writer, &Answer::Stored { ack, is_due: slot.is_some() }).await?;
        let Some(slot) = slot else { return Ok(()) };
        let receipt = match timeout(RECEIPT_TIMEOUT, read_message::<Question>(reader)).await {
            Ok(Ok(Question::Receipt(receipt))) => receipt,
            Ok(Ok(Question::Put { .. } | Question::Get { .. } | Question::Done)) => {
                return Err(Refusal::new(Reason::Malformed, "a receipt was expected").into());
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Ended::silent("a receipt was due")),
        };
        let bytes = self.take(&channel, receipt)?;
        self.0.books.commit().await?;
        drop(slot);
        tell(writer, &Answer::Paid { bytes }).await
    }

    /// Receives the bytes of a slice and makes them durable. One run is being written while the next arrives.
    async fn receive<S: AsyncRead + AsyncWrite>(
        &self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
        ticket: &Verified<Ticket>,
        bytes: u64,
    ) -> Result<(), Ended> {
        let label = primitives::encoding::encode(&Label { epoch: ticket.epoch, payer: ticket.payer });
        let (store, root) = (Arc::clone(&self.0.store), ticket.slice);
        let slice = blocking(move || store.begin(root, bytes, &label)).await?;
        tell(writer, &Answer::Ready).await?;
        let run_bytes = u64::try_from(RUN_BYTES).expect("a small constant");
        let run_max = usize::try_from(bytes.min(run_bytes)).expect("at most a run");
        let (mut run, spare) = (vec![0; run_max], vec![0; run_max]);
        let mut left = bytes;
        // Of two buffers one is filled while the other is written.
        let mut writing: JoinHandle<Written> = spawn_blocking(move || (slice, spare, Ok(())));
        while left > 0 {
            let length = usize::try_from(left.min(run_bytes)).expect("at most a run");
            match timeout(RUN_TIMEOUT, reader.read_exact(&mut run[..length])).await {
                Ok(result) => drop(result?),
                Err(_) => return Err(Ended::silent("a slice was to arrive")),
            }
            left = left.saturating_sub(length as u64);
            let (mut slice, spare) = done(writing.await)?;
            let filled = std::mem::replace(&mut run, spare);
            writing = spawn_blocking(move || {
                let result = slice.write(&filled[..length]);
                (slice, filled, result)
            });
        }
        let (slice, _) = done(writing.await)?;
        blocking(move || slice.finish()).await
    }

    /// Checks and books a receipt of `channel`; the bytes of the channel that are paid.
    fn take(&self, channel: &Channel, receipt: Signed<Receipt>) -> Result<u64, Ended> {
        let refuse = |error: &dyn std::fmt::Display| Ended::Refused(Refusal::new(Reason::Receipt, error));
        if receipt.body.channel() != *channel {
            return Err(refuse(&"the receipt is of another channel than the ticket"));
        }
        let receipt = receipt.verify_by_session(self.0.identity.chain).map_err(|error| refuse(&error))?;
        match self.0.books.receipt(&receipt) {
            Ok(paid) => Ok(paid),
            Err(error @ BookError::Closed(_)) => Err(error.into()),
            Err(error @ BookError::Window(_)) => Err(refuse(&error)),
        }
    }

    async fn get<S: AsyncRead + AsyncWrite>(
        &self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
        ticket: Presented,
        wanted: Range<u64>,
    ) -> Result<(), Ended> {
        let ticket = self.check(ticket, Use::Get).await?;
        let (store, root) = (Arc::clone(&self.0.store), ticket.slice);
        let slice = blocking(move || store.reader(root)).await?;
        let count = groups(slice.bytes());
        if wanted.start >= wanted.end || wanted.end > count {
            return Err(Refusal::new(Reason::Malformed, format_args!("groups {} to {} of a slice of {count}", wanted.start, wanted.end)).into());
        }
        let fetch = Fetch::begin(self, &ticket)?;
        self.0.books.commit().await?;
        tell(writer, &Answer::Opened { bytes: slice.bytes(), pace: fetch.pace }).await?;
        let channel = fetch.channel;
        let listening = async {
            loop {
                match read_message::<Question>(reader).await? {
                    Question::Receipt(receipt) => drop(self.take(&channel, receipt)?),
                    Question::Done => return Ok::<(), Ended>(()),
                    Question::Put { .. } | Question::Get { .. } => return Err(Refusal::new(Reason::Malformed, "a question inside of a transfer").into()),
                }
            }
        };
        tokio::pin!(listening);
        let sent = tokio::select! {
            sent = fetch.send(writer, slice, wanted) => match sent {
                Ok(()) => Ok(()),
                // The payer is told at once and pays for what it has; its receipts are still wanted.
                Err(Ended::Refused(refusal)) => {
                    self.0.books.count_failed();
                    tell(writer, &Answer::Refused(refusal)).await
                }
                Err(error) => Err(error),
            },
            // The payer has enough, or lies. A piece may be cut in the middle, so nothing can be said on this stream any more.
            heard = &mut listening => Err(Ended::Broken(match heard {
                Ok(()) => "the payer wanted no more".to_owned(),
                Err(Ended::Refused(refusal)) => refusal.text,
                Err(Ended::Broken(text)) => text,
            })),
        };
        // What is left are receipts.
        let settled = match sent {
            Ok(()) => timeout(RECEIPT_TIMEOUT, &mut listening).await.unwrap_or(Err(Ended::silent("the last receipt was due"))),
            Err(error) => Err(error),
        };
        let committed = self.0.books.commit().await;
        // Only now: until the receipts are durable, the epoch's claim waits.
        drop(fetch);
        settled?;
        committed?;
        tell(writer, &Answer::Paid { bytes: self.0.books.paid(&channel) }).await
    }
}

/// Writes an answer, if the payer takes it in time.
async fn tell<S: AsyncRead + AsyncWrite>(writer: &mut WriteHalf<S>, answer: &Answer) -> Result<(), Ended> {
    timeout(RUN_TIMEOUT, write_message(writer, answer)).await.map_err(|_| Ended::silent("an answer was to leave"))?.map_err(Ended::from)
}

type Written = (Box<dyn SliceWriter>, Vec<u8>, Result<(), SliceError>);

/// The result of a write: the writer and the buffer again.
fn done(written: Result<Written, tokio::task::JoinError>) -> Result<(Box<dyn SliceWriter>, Vec<u8>), Ended> {
    let (slice, run, result) = written.map_err(|_| ending())?;
    result?;
    Ok((slice, run))
}

fn ending() -> Ended {
    Refusal::new(Reason::Failed, "this carrier is stopping").into()
}

/// Runs what blocks on the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, SliceError> + Send + 'static) -> Result<T, Ended> {
    Ok(spawn_blocking(work).await.map_err(|_| ending())??)
}

/// A slice on its way, or its payment. Dropped before the slice is stored, its ticket can be used again; until it is dropped, the epoch's claim waits.
struct Slot<'a> {
    carrier: &'a Carrier,
    ticket: &'a Verified<Ticket>,
    is_stored: bool,
}

impl<'a> Slot<'a> {
    fn begin(carrier: &'a Carrier, ticket: &'a Verified<Ticket>) -> Result<Self, BookError> {
        carrier.0.books.begin_upload(ticket)?;
        Ok(Self { carrier, ticket, is_stored: false })
    }

    /// For a slice that was stored under this ticket before.
    fn again(carrier: &'a Carrier, ticket: &'a Verified<Ticket>) -> Result<Self, BookError> {
        carrier.0.books.begin_payment(ticket)?;
        Ok(Self { carrier, ticket, is_stored: true })
    }

    fn stored(&mut self, bytes: u64) -> Result<(), BookError> {
        self.carrier.0.books.stored(self.ticket, bytes)?;
        self.is_stored = true;
        Ok(())
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if !self.is_stored {
            self.carrier.0.books.fail_upload(self.ticket);
        }
        self.carrier.0.books.end_upload(&self.ticket.channel());
    }
}

/// A fetch under way. When it is dropped, what it leaves unpaid is written off.
struct Fetch<'a> {
    carrier: &'a Carrier,
    channel: Channel,
    number: u64,
    pace: pot::window::Pace,
    paid: Arc<Notify>,
}

impl<'a> Fetch<'a> {
    fn begin(carrier: &'a Carrier, ticket: &Verified<Ticket>) -> Result<Self, BookError> {
        let Begun { number, pace, paid } = carrier.0.books.begin_download(ticket)?;
        Ok(Self { carrier, channel: ticket.channel(), number, pace, paid })
    }

    /// Sends the pieces of `wanted`, each when the window allows. The next is read from the disk while one is sent.
    async fn send<S: AsyncRead + AsyncWrite>(&self, writer: &mut WriteHalf<S>, slice: SliceReader, wanted: Range<u64>) -> Result<(), Ended> {
        let mut next = wanted.start;
        let mut spare = Vec::new();
        let mut reading: Option<Reading> = None;
        while next < wanted.end || reading.is_some() {
            let current = match reading.take() {
                Some(reading) => reading,
                None => self.read(&slice, &mut next, &wanted, std::mem::take(&mut spare)),
            };
            let piece = current.piece.await.map_err(|_| ending())??;
            if next < wanted.end {
                reading = Some(self.read(&slice, &mut next, &wanted, std::mem::take(&mut spare)));
            }
            self.admit(current.bytes).await?;
            match timeout(RUN_TIMEOUT, writer.write_all(&piece)).await {
                Ok(result) => result?,
                Err(_) => return Err(Ended::silent("a slice was to leave")),
            }
            spare = piece;
        }
        Ok(writer.flush().await?)
    }

    /// Begins to read the next piece.
    fn read(&self, slice: &SliceReader, next: &mut u64, wanted: &Range<u64>, mut frame: Vec<u8>) -> Reading {
        let fits = self.carrier.0.books.piece_bytes(&self.channel) / storage::commit::GROUP_BYTES;
        let end = next.saturating_add(fits.clamp(PIECE_GROUPS_MIN, PIECE_GROUPS_MAX)).min(wanted.end);
        let piece = *next..end;
        *next = end;
        let place = bytes_of(slice.bytes(), piece.clone());
        let slice = slice.clone();
        let read = move || {
            let size = piece_frame_bytes(slice.bytes(), piece.clone());
            frame.reserve(size.saturating_sub(frame.len()));
            begin_piece(&mut frame, &piece);
            slice.respond(piece).fill(usize::MAX, &mut frame)?;
            end_piece(&mut frame);
            Ok(frame)
        };
        Reading { bytes: place.end.saturating_sub(place.start), piece: spawn_blocking(read) }
    }

    /// Returns when a piece of `bytes` was counted as sent.
    async fn admit(&self, bytes: u64) -> Result<(), Ended> {
        let mut terms = self.carrier.0.terms.subscribe();
        loop {
            // Listening begins before looking, so that a receipt in between is heard.
            let paid = self.paid.notified();
            let current = terms.borrow_and_update().as_ref().map_or(self.channel.epoch, |terms| terms.epoch);
            if current > self.channel.epoch {
                return Err(desk::over(self.channel.epoch, current).into());
            }
            match self.carrier.0.books.try_send(&self.channel, self.number, bytes) {
                Gate::Open => return Ok(()),
                Gate::Shut { paid, lost } => {
                    let text = format!(
                        "nothing more can be sent: {paid} bytes of this channel are paid, {lost} of this payer never were, and the tickets allow no more"
                    );
                    return Err(Refusal::new(Reason::Unpaid, text).into());
                }
                Gate::Wait => {}
            }
            let changed = async {
                if terms.changed().await.is_err() {
                    pending::<()>().await;
                }
            };
            tokio::select! {
                () = paid => {}
                () = changed => {}
                () = tokio::time::sleep(RECEIPT_TIMEOUT) => {
                    return Err(Refusal::new(Reason::Unpaid, format_args!("no receipt for {RECEIPT_TIMEOUT:?}")).into());
                }
            }
        }
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        self.carrier.0.books.end_download(&self.channel, self.number);
    }
}

/// A piece that is being read.
struct Reading {
    /// Bytes of its groups, which are to be paid.
    bytes: u64,
    piece: JoinHandle<Result<Vec<u8>, SliceError>>,
}
