//! A carrier's books: of every channel the machine that says how far to go, and the last receipt; kept in the notes of its slice store.
//!
//! # What is durable when
//! A ticket is on the disk before a byte moves under it ([`Books::commit`]): after a crash the channel's tickets still cover the payer's next receipt.
//! Receipts follow with the next commit, at the latest when their transfer ends. One commit writes what all transfers changed since the one before, so
//! the disk syncs once for many of them.
//!
//! # Notes
//! ```text
//! r epoch channel        -> the last receipt, with its signature
//! m epoch channel part   -> the machine, cut into parts of at most 60,000 bytes
//! c session class        -> epoch of the last change, and what the session's payments taught us
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borsh::{BorshDeserialize, BorshSerialize};
use pot::window::{Credit, Pace, WindowError, download, upload};
use pot::{Channel, Class, Receipt, Signed, SignedError, Ticket, Verified};
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Epoch, Hash, PublicKey};
use storage::store::{NOTE_BYTES_MAX, NoteChange};
use storage::{SliceError, SliceStore};
use tokio::sync::Notify;

const RECEIPT: u8 = b'r';
const MACHINE: u8 = b'm';
const CREDIT: u8 = b'c';
/// Bytes of a machine in one note.
const PART_BYTES: usize = 60_000;
const _: () = assert!(PART_BYTES <= NOTE_BYTES_MAX);
/// Longest encoded machine: all tickets that a channel may have.
const MACHINE_BYTES_MAX: usize = 28 * pot::window::TICKETS_MAX + 4096;
/// Notes read at once.
const PAGE: usize = 256;
/// Unpaid slices that are remembered over epochs; above it some are forgiven.
pub const OWED_MAX: usize = 65_536;
/// Epochs for which a session is remembered after its last transfer.
pub const MEMORY_EPOCHS: u64 = 1000;

/// Why the books cannot be opened or written. An operator must act.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The disk refuses.
    #[error(transparent)]
    Store(#[from] SliceError),
    /// A note is not what we wrote.
    #[error("a note of the books is damaged: {0}")]
    Note(#[from] DecodeError),
    /// A receipt in the books is not signed by its session.
    #[error("a receipt of the books is damaged: {0}")]
    Receipt(#[from] SignedError),
    /// A note's key is not one of ours.
    #[error("a note of the books has the impossible key {0}")]
    Key(String),
    /// The task that writes was ended.
    #[error("the books were not written: the program is ending")]
    Ending,
}

/// Why a step is refused. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The epoch's claim was made: what comes now could never be claimed.
    #[error("epoch {0} is closed")]
    Closed(Epoch),
    /// Against the rules of the channel.
    #[error(transparent)]
    Window(#[from] WindowError),
}

/// Whether a piece may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It was counted: send it.
    Open,
    /// The next receipt must come first.
    Wait,
    /// No receipt can open it: the tickets are used up, or the session has lost us too much.
    Shut {
        /// Bytes that all tickets of the channel allow.
        paid: u64,
        /// Bytes that the session never paid.
        lost: u64,
    },
}

/// Who still has to pay for a slice that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debt {
    /// Nobody.
    None,
    /// The channel of the ticket: its receipt is still to come.
    Here,
    /// Another channel, or one that is closed.
    Elsewhere,
}

/// What was moved and earned since the start of the program, and what waits to be claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of slices stored and acknowledged.
    pub stored_bytes: u64,
    /// Bytes of slices sent.
    pub sent_bytes: u64,
    /// Bytes that receipts paid.
    pub paid_bytes: u64,
    /// Transfers refused or broken off.
    pub failed_transfers: u64,
    /// Channels of epochs that are not claimed yet.
    pub open_channels: u64,
}

#[derive(Clone, BorshSerialize, BorshDeserialize)]
enum Machine {
    Upload(upload::Carrier),
    Download(download::Carrier),
}

struct Book {
    machine: Machine,
    last: Option<Verified<Receipt>>,
    /// Transfers under way.
    open: u64,
    /// Rings when a receipt has come.
    paid: Arc<Notify>,
}

impl Book {
    /// Slices stored and not paid; a handful at most.
    fn unpaid(&self) -> Vec<Hash> {
        match &self.machine {
            Machine::Upload(machine) => machine.unpaid().collect(),
            Machine::Download(_) => Vec::new(),
        }
    }
}

#[derive(Default)]
struct State {
    books: BTreeMap<Channel, Book>,
    credits: BTreeMap<(PublicKey, Class), (Epoch, Credit)>,
    /// Slices that nobody paid for while their epoch lasted, at most [`OWED_MAX`]. Lost with a crash: the carrier forgives them then.
    owed: BTreeSet<Hash>,
    /// The first epoch in which transfers begin.
    first_begun: Epoch,
    /// The first epoch that is not closed: whose receipts are taken.
    first_open: Epoch,
    dirty: BTreeSet<Channel>,
    /// Number of changes so far.
    changes: u64,
    traffic: Traffic,
}

/// The books of one carrier.
pub struct Books {
    chain: Hash,
    store: Arc<dyn SliceStore>,
    state: Mutex<State>,
    /// How many changes are durable; held while they are being written.
    durable: tokio::sync::Mutex<u64>,
}

impl Books {
    /// Reads the books in the notes of `store`. Blocks on the disk.
    ///
    /// # Errors
    /// [`BooksError`].
    pub fn open(chain: Hash, store: Arc<dyn SliceStore>) -> Result<Self, BooksError> {
        let mut state = State::default();
        let mut machines: BTreeMap<Channel, Vec<u8>> = BTreeMap::new();
        for (key, value) in notes(&*store, MACHINE)? {
            let channel = channel_of(&key, 2)?;
            machines.entry(channel).or_default().extend_from_slice(&value);
        }
        for (channel, bytes) in machines {
            let mut machine: Machine = decode(&bytes, MACHINE_BYTES_MAX)?;
            // Whatever was under way when we stopped has ended.
            match &mut machine {
                Machine::Upload(machine) => machine.on_restart(),
                Machine::Download(machine) => machine.on_ended(),
            }
            state.books.insert(channel, Book { machine, last: None, open: 0, paid: Arc::default() });
        }
        for (key, value) in notes(&*store, RECEIPT)? {
            let channel = channel_of(&key, 0)?;
            let receipt = Signed::<Receipt>::decode(&value)?.verify_by_session(chain)?;
            let book = state.books.get_mut(&channel).ok_or_else(|| BooksError::Key(hex::encode(&key)))?;
            book.last = Some(receipt);
        }
        for (key, value) in notes(&*store, CREDIT)? {
            let name = decode(key.get(1..).unwrap_or_default(), 64)?;
            state.credits.insert(name, decode(&value, 64)?);
        }
        Ok(Self { chain, store, state: Mutex::new(state), durable: tokio::sync::Mutex::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slice begins to arrive under `ticket`.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn begin_upload(&self, ticket: &Verified<Ticket>) -> Result<(), BookError> {
        let mut state = self.lock();
        state.may_begin(ticket.epoch)?;
        let book = state.book(self.chain, ticket.channel())?;
        let Machine::Upload(machine) = &mut book.machine else { return Err(WindowError::Channel.into()) };
        machine.on_begin(ticket)?;
        book.open = book.open.saturating_add(1);
        state.changed(ticket.channel());
        Ok(())
    }

    /// The receipt for a slice of `ticket`, stored before, is to come: its epoch's claim waits for it until [`Books::end`].
    ///
    /// # Errors
    /// [`BookError::Closed`].
    pub fn begin_payment(&self, ticket: &Verified<Ticket>) -> Result<(), BookError> {
        let mut state = self.lock();
        state.may_begin(ticket.epoch)?;
        let book = state.book(self.chain, ticket.channel())?;
        book.open = book.open.saturating_add(1);
        Ok(())
    }

    /// The slice did not arrive whole; its ticket can be used again.
    pub fn fail_upload(&self, ticket: &Verified<Ticket>) {
        let mut state = self.lock();
        state.traffic.failed_transfers = state.traffic.failed_transfers.saturating_add(1);
        if let Some(Book { machine: Machine::Upload(machine), .. }) = state.books.get_mut(&ticket.channel()) {
            machine.on_failed(&ticket.slice);
            state.changed(ticket.channel());
        }
    }

    /// The slice of `ticket`, of `bytes`, is durable and about to be acknowledged.
    ///
    /// # Errors
    /// [`BookError`]; whoever wants it acknowledged later must pay then.
    pub fn stored(&self, ticket: &Verified<Ticket>, bytes: u64) -> Result<(), BookError> {
        let mut state = self.lock();
        state.owe([ticket.slice]);
        let book = state.book(self.chain, ticket.channel())?;
        let Machine::Upload(machine) = &mut book.machine else { return Err(WindowError::Channel.into()) };
        machine.on_stored(ticket.slice, bytes)?;
        state.owed.remove(&ticket.slice);
        state.traffic.stored_bytes = state.traffic.stored_bytes.saturating_add(bytes);
        state.changed(ticket.channel());
        Ok(())
    }

    /// Whether the slice of `ticket`, which is stored, still waits to be paid.
    pub fn debt(&self, ticket: &Ticket) -> Debt {
        let state = self.lock();
        let owes = |book: &Book| book.unpaid().contains(&ticket.slice);
        if state.books.get(&ticket.channel()).is_some_and(owes) {
            return Debt::Here;
        }
        if state.owed.contains(&ticket.slice) || state.books.values().any(owes) { Debt::Elsewhere } else { Debt::None }
    }

    /// A fetch begins under `ticket`. The pace to tell the payer, and what rings when a receipt has come.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn begin_download(&self, ticket: &Verified<Ticket>) -> Result<(Pace, Arc<Notify>), BookError> {
        let mut state = self.lock();
        state.may_begin(ticket.epoch)?;
        let book = state.book(self.chain, ticket.channel())?;
        let Machine::Download(machine) = &mut book.machine else { return Err(WindowError::Channel.into()) };
        machine.on_ticket(ticket)?;
        let begun = (machine.credit().pace(), Arc::clone(&book.paid));
        book.open = book.open.saturating_add(1);
        state.changed(ticket.channel());
        Ok(begun)
    }

    /// Counts a piece of `bytes` as sent, if it may be.
    pub fn try_send(&self, channel: &Channel, bytes: u64) -> Gate {
        let mut state = self.lock();
        let Some(Book { machine: Machine::Download(machine), .. }) = state.books.get_mut(channel) else { return Gate::Shut { paid: 0, lost: 0 } };
        if machine.on_sent(bytes).is_ok() {
            state.traffic.sent_bytes = state.traffic.sent_bytes.saturating_add(bytes);
            return Gate::Open;
        }
        if machine.unpaid() > 0 { Gate::Wait } else { Gate::Shut { paid: machine.paid(), lost: machine.credit().lost() } }
    }

    /// The longest piece that a receipt can keep flowing: a quarter of the window.
    pub fn piece_bytes(&self, channel: &Channel) -> u64 {
        match self.lock().books.get(channel).map(|book| &book.machine) {
            Some(Machine::Download(machine)) => machine.credit().pace().window() / pot::window::RECEIPTS_PER_WINDOW,
            Some(Machine::Upload(_)) | None => 0,
        }
    }

    /// Takes a receipt whose signature was checked. The bytes of the channel that are paid. An old receipt, overtaken by a newer one on another stream, changes
    /// nothing.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn receipt(&self, receipt: &Verified<Receipt>) -> Result<u64, BookError> {
        let channel = receipt.channel();
        let mut state = self.lock();
        if channel.epoch < state.first_open {
            return Err(BookError::Closed(channel.epoch));
        }
        // A receipt never opens a channel: without a ticket there is nothing to pay.
        let book = state.books.get_mut(&channel).ok_or(WindowError::Channel)?;
        let before = book.last.as_ref().map_or(0, |last| last.bytes);
        if receipt.bytes <= before && receipt.chain == self.chain {
            return Ok(before);
        }
        match &mut book.machine {
            Machine::Upload(machine) => drop(machine.on_receipt(receipt)?),
            Machine::Download(machine) => {
                machine.on_receipt(receipt)?;
            }
        }
        book.last = Some(*receipt);
        book.paid.notify_waiters();
        state.traffic.paid_bytes = state.traffic.paid_bytes.saturating_add(receipt.bytes.saturating_sub(before));
        state.changed(channel);
        Ok(receipt.bytes)
    }

    /// Bytes of the channel that are paid.
    pub fn paid(&self, channel: &Channel) -> u64 {
        self.lock().books.get(channel).and_then(|book| book.last.as_ref()).map_or(0, |last| last.bytes)
    }

    /// A transfer of the channel has ended, and no more receipts come from it.
    pub fn end(&self, channel: &Channel) {
        let mut state = self.lock();
        let Some(book) = state.books.get_mut(channel) else { return };
        book.open = book.open.saturating_sub(1);
        let credit = match &mut book.machine {
            Machine::Download(machine) if book.open == 0 => {
                machine.on_ended();
                Some(machine.credit())
            }
            Machine::Download(_) | Machine::Upload(_) => None,
        };
        if let Some(credit) = credit {
            state.credits.insert((channel.session, channel.class), (channel.epoch, credit));
            state.changed(*channel);
        }
    }

    /// Makes every change so far durable. Returns at once if another caller has done so meanwhile.
    ///
    /// # Errors
    /// [`BooksError`]; the changes are kept and written with the next commit.
    pub async fn commit(&self) -> Result<(), BooksError> {
        let wanted = self.lock().changes;
        let mut durable = self.durable.lock().await;
        if *durable >= wanted {
            return Ok(());
        }
        let (upto, dirty, changes) = self.lock().take_changes();
        let store = Arc::clone(&self.store);
        let written = tokio::task::spawn_blocking(move || store.write_notes(&changes)).await.map_err(|_| BooksError::Ending)?;
        if let Err(error) = written {
            self.lock().dirty.extend(dirty);
            return Err(error.into());
        }
        *durable = upto;
        Ok(())
    }

    /// Epochs with receipts, oldest first.
    pub fn epochs(&self) -> BTreeSet<Epoch> {
        self.lock().books.keys().map(|channel| channel.epoch).collect()
    }

    /// No transfer begins any more in the epochs up to and with `epoch`; those under way go on, and their receipts are taken.
    pub fn retire(&self, epoch: Epoch) {
        let mut state = self.lock();
        state.first_begun = state.first_begun.max(epoch.next());
    }

    /// Transfers under way in epochs before `epoch`.
    pub fn open_before(&self, epoch: Epoch) -> u64 {
        self.lock().books.iter().filter(|(channel, _)| channel.epoch < epoch).map(|(_, book)| book.open).sum()
    }

    /// Closes every epoch up to and with `epoch`, and gives the last receipts of that one: what its claim is made of.
    pub fn close(&self, epoch: Epoch) -> Vec<Verified<Receipt>> {
        self.retire(epoch);
        let mut state = self.lock();
        state.first_open = state.first_open.max(epoch.next());
        for (_, book) in state.books.iter().filter(|(channel, _)| channel.epoch <= epoch) {
            book.paid.notify_waiters();
        }
        state.books.iter().filter(|(channel, _)| channel.epoch == epoch).filter_map(|(_, book)| book.last).collect()
    }

    /// Forgets an epoch whose claim is final or too late. Blocks on the disk.
    ///
    /// # Errors
    /// [`BooksError`]; forgetting again does the rest.
    pub fn forget(&self, epoch: Epoch) -> Result<(), BooksError> {
        let mut stale = Vec::new();
        self.retire(epoch);
        {
            let mut state = self.lock();
            state.first_open = state.first_open.max(epoch.next());
            let gone: Vec<Hash> = state.books.iter().filter(|(channel, _)| channel.epoch == epoch).flat_map(|(_, book)| book.unpaid()).collect();
            state.owe(gone);
            state.books.retain(|channel, _| channel.epoch != epoch);
            state.dirty.retain(|channel| channel.epoch != epoch);
            state.credits.retain(|name, (last, _)| {
                let keeps = last.0.saturating_add(MEMORY_EPOCHS) >= epoch.0;
                if !keeps {
                    stale.push((credit_key(name), None));
                }
                keeps
            });
        }
        for table in [RECEIPT, MACHINE] {
            let prefix = [&[table], &epoch.0.to_be_bytes()[..]].concat();
            loop {
                let page = self.store.notes(&prefix, None, PAGE)?;
                if page.is_empty() {
                    break;
                }
                self.store.write_notes(&page.into_iter().map(|(key, _)| (key, None)).collect::<Vec<NoteChange>>())?;
            }
        }
        Ok(self.store.write_notes(&stale)?)
    }

    /// Counts a transfer that was refused or broken off.
    pub fn count_failed(&self) {
        let mut state = self.lock();
        state.traffic.failed_transfers = state.traffic.failed_transfers.saturating_add(1);
    }

    /// The numbers.
    pub fn traffic(&self) -> Traffic {
        let state = self.lock();
        Traffic { open_channels: state.books.len() as u64, ..state.traffic }
    }
}

impl State {
    fn may_begin(&self, epoch: Epoch) -> Result<(), BookError> {
        if epoch < self.first_begun { Err(BookError::Closed(epoch)) } else { Ok(()) }
    }

    /// The book of `channel`, opened if it is new.
    fn book(&mut self, chain: Hash, channel: Channel) -> Result<&mut Book, BookError> {
        if channel.epoch < self.first_open {
            return Err(BookError::Closed(channel.epoch));
        }
        let credit = self.credits.get(&(channel.session, channel.class)).map_or(Credit::NEW, |(_, credit)| *credit);
        Ok(self.books.entry(channel).or_insert_with(|| {
            let machine = match channel.class {
                Class::Upload => Machine::Upload(upload::Carrier::new(chain, channel)),
                Class::Download | Class::Stream => Machine::Download(download::Carrier::new(chain, channel, credit)),
            };
            Book { machine, last: None, open: 0, paid: Arc::default() }
        }))
    }

    fn owe(&mut self, slices: impl IntoIterator<Item = Hash>) {
        self.owed.extend(slices);
        while self.owed.len() > OWED_MAX {
            self.owed.pop_first();
        }
    }

    fn changed(&mut self, channel: Channel) {
        self.dirty.insert(channel);
        self.changes = self.changes.saturating_add(1);
    }

    /// What has to be written: up to which change, of which channels, and the notes.
    fn take_changes(&mut self) -> (u64, BTreeSet<Channel>, Vec<NoteChange>) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut notes = Vec::new();
        for channel in &dirty {
            let Some(book) = self.books.get(channel) else { continue };
            for (part, bytes) in (0u16..).zip(encode(&book.machine).chunks(PART_BYTES)) {
                notes.push((machine_key(channel, part), Some(bytes.to_vec())));
            }
            if let Some(last) = &book.last {
                notes.push((note_key(RECEIPT, channel), Some(encode(last.signed()))));
            }
            let name = (channel.session, channel.class);
            if let Some(credit) = self.credits.get(&name) {
                notes.push((credit_key(&name), Some(encode(credit))));
            }
        }
        (self.changes, dirty, notes)
    }
}

fn note_key(table: u8, channel: &Channel) -> Vec<u8> {
    [&[table], &channel.epoch.0.to_be_bytes()[..], &encode(channel)].concat()
}

fn machine_key(channel: &Channel, part: u16) -> Vec<u8> {
    let mut key = note_key(MACHINE, channel);
    key.extend_from_slice(&part.to_be_bytes());
    key
}

fn credit_key(name: &(PublicKey, Class)) -> Vec<u8> {
    [&[CREDIT], &encode(name)[..]].concat()
}

/// The channel in a note's key, before `tail` bytes of part number.
fn channel_of(key: &[u8], tail: usize) -> Result<Channel, BooksError> {
    let body = key.len().checked_sub(tail).and_then(|end| key.get(9..end)).ok_or_else(|| BooksError::Key(hex::encode(key)))?;
    Ok(decode(body, 128)?)
}

/// A note's key and value.
type Note = (Vec<u8>, Vec<u8>);

/// All notes of a table, in order of their keys.
fn notes(store: &dyn SliceStore, table: u8) -> Result<Vec<Note>, SliceError> {
    let mut all: Vec<Note> = Vec::new();
    loop {
        let page = store.notes(&[table], all.last().map(|(key, _)| key.as_slice()), PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
