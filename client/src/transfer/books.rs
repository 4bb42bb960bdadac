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
//! m epoch channel        -> the machine, with the channel's last ticket: what covers the receipt when it is claimed
//! c payer                -> epoch of the last change, and what the payer's payments taught us
//! o slice                -> who had it stored in which epoch and did not pay
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borsh::{BorshDeserialize, BorshSerialize};
use pot::window::{Credit, Pace, Tickets, UNPAID_SLICES_MAX, WindowError, download, upload};
use pot::{Channel, Class, Covered, Receipt, Signed, SignedError, Ticket, Verified};
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Address, Epoch, Hash};
use storage::store::{NOTE_BYTES_MAX, NoteChange};
use storage::{SliceError, SliceStore};
use tokio::sync::Notify;

const RECEIPT: u8 = b'r';
const MACHINE: u8 = b'm';
const CREDIT: u8 = b'c';
const OWED: u8 = b'o';
/// Longest encoded machine: a ticket and a handful of slices.
const MACHINE_BYTES_MAX: usize = 4096;
const _: () = assert!(MACHINE_BYTES_MAX <= NOTE_BYTES_MAX);
/// Notes read at once.
const PAGE: usize = 256;
/// Unpaid slices that are remembered over epochs; above it some are forgiven.
pub const OWED_MAX: usize = 65_536;
/// Epochs for which a payer, and what it owes, is remembered after its last transfer.
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
    /// No receipt can open it: the tickets are used up, or the payer has lost us too much.
    Shut {
        /// Bytes of the channel that are paid.
        paid: u64,
        /// Bytes that the payer never paid.
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
    /// What was sent and is not covered by receipts, oldest first: by which transfer, and how many bytes. At most a window of pieces.
    flight: VecDeque<(u64, u64)>,
}

impl Book {
    fn tickets(&self) -> &Tickets {
        match &self.machine {
            Machine::Upload(machine) => machine.tickets(),
            Machine::Download(machine) => machine.tickets(),
        }
    }

    /// Slices stored and not paid; a handful at most.
    fn unpaid(&self) -> Vec<Hash> {
        match &self.machine {
            Machine::Upload(machine) => machine.unpaid().collect(),
            Machine::Download(_) => Vec::new(),
        }
    }
}

/// What a carrier knows of a payer, all its sessions together: sessions cost nothing.
struct Account {
    /// Epoch of the last change.
    last: Epoch,
    credit: Credit,
    /// Rings when more may be sent to the payer.
    paid: Arc<Notify>,
}

impl Account {
    fn new(last: Epoch, credit: Credit) -> Self {
        Self { last, credit, paid: Arc::default() }
    }
}

/// A slice that was acknowledged and not paid while its epoch lasted.
#[derive(Clone, Copy, BorshSerialize, BorshDeserialize)]
struct Owed {
    payer: Address,
    epoch: Epoch,
}

#[derive(Default)]
struct State {
    books: BTreeMap<Channel, Book>,
    accounts: BTreeMap<Address, Account>,
    /// At most [`OWED_MAX`].
    owed: BTreeMap<Hash, Owed>,
    /// The first epoch in which transfers begin.
    first_begun: Epoch,
    /// The first epoch that is not closed: whose receipts are taken.
    first_open: Epoch,
    dirty: BTreeSet<Channel>,
    dirty_owed: BTreeSet<Hash>,
    /// Number of changes so far.
    changes: u64,
    /// Fetches begun so far.
    fetches: u64,
    traffic: Traffic,
}

/// A fetch that has begun.
pub struct Begun {
    /// Its number in its channel's books.
    pub number: u64,
    /// The pace to tell the payer.
    pub pace: Pace,
    /// Rings when more may be sent to the payer.
    pub paid: Arc<Notify>,
}

/// What has to be written.
struct Changes {
    /// Up to which change.
    upto: u64,
    dirty: BTreeSet<Channel>,
    dirty_owed: BTreeSet<Hash>,
    notes: Vec<NoteChange>,
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
        for (key, value) in notes(&*store, &[CREDIT])? {
            let (last, credit) = decode(&value, 64)?;
            state.accounts.insert(decode(key.get(1..).unwrap_or_default(), 64)?, Account::new(last, credit));
        }
        for (key, value) in notes(&*store, &[OWED])? {
            state.owed.insert(decode(key.get(1..).unwrap_or_default(), 64)?, decode(&value, 64)?);
        }
        for (key, value) in notes(&*store, &[MACHINE])? {
            let channel = channel_of(&key)?;
            let mut machine: Machine = decode(&value, MACHINE_BYTES_MAX)?;
            // Whatever was under way when we stopped has ended.
            match &mut machine {
                Machine::Upload(machine) => machine.on_restart(),
                Machine::Download(machine) => machine.on_ended(&mut state.account(&channel).credit),
            }
            state.books.insert(channel, Book { machine, last: None, open: 0, flight: VecDeque::new() });
        }
        for (key, value) in notes(&*store, &[RECEIPT])? {
            let channel = channel_of(&key)?;
            let receipt = Signed::<Receipt>::decode(&value)?.verify_by_session(chain)?;
            let book = state.books.get_mut(&channel).ok_or_else(|| BooksError::Key(hex::encode(&key)))?;
            book.last = Some(receipt);
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
        // Whoever comes to pay for a slice is not turned away.
        let unpaid = state.unpaid(&ticket.payer);
        if unpaid >= UNPAID_SLICES_MAX && !state.is_owed(&ticket.slice) {
            return Err(WindowError::UnpaidSlices { unpaid }.into());
        }
        let book = state.book(self.chain, ticket.channel())?;
        let Machine::Upload(machine) = &mut book.machine else { return Err(WindowError::Channel.into()) };
        machine.on_begin(ticket)?;
        book.open = book.open.saturating_add(1);
        state.changed(ticket.channel());
        Ok(())
    }

    /// The receipt for a slice of `ticket`, stored before, is to come: its epoch's claim waits for it until [`Books::end_upload`].
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
        let (mut state, slice) = (self.lock(), ticket.slice);
        state.owe(slice, Owed { payer: ticket.payer, epoch: ticket.epoch });
        let book = state.book(self.chain, ticket.channel())?;
        let Machine::Upload(machine) = &mut book.machine else { return Err(WindowError::Channel.into()) };
        machine.on_stored(slice, bytes)?;
        // The debt is this channel's now, whosever it was.
        state.forgive(&slice);
        let owes = |(channel, book): (&Channel, &Book)| (*channel != ticket.channel() && book.unpaid().contains(&slice)).then_some(*channel);
        for channel in state.books.iter().filter_map(owes).collect::<Vec<_>>() {
            if let Some(Book { machine: Machine::Upload(machine), .. }) = state.books.get_mut(&channel) {
                machine.on_taken_over(&slice);
            }
            state.changed(channel);
        }
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
        if state.is_owed(&ticket.slice) { Debt::Elsewhere } else { Debt::None }
    }

    /// The slice was dropped: nobody owes anything for it any more.
    pub fn dropped(&self, slice: &Hash) {
        self.lock().forgive(slice);
    }

    /// A fetch begins under `ticket`.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn begin_download(&self, ticket: &Verified<Ticket>) -> Result<Begun, BookError> {
        let mut state = self.lock();
        state.may_begin(ticket.epoch)?;
        let book = state.book(self.chain, ticket.channel())?;
        let Machine::Download(machine) = &mut book.machine else { return Err(WindowError::Channel.into()) };
        machine.on_ticket(ticket)?;
        let pace = machine.pace();
        book.open = book.open.saturating_add(1);
        state.fetches = state.fetches.saturating_add(1);
        state.changed(ticket.channel());
        Ok(Begun { number: state.fetches, pace, paid: Arc::clone(&state.account(&ticket.channel()).paid) })
    }

    /// Counts a piece of `bytes` as sent by the fetch `number`, if it may be.
    pub fn try_send(&self, channel: &Channel, number: u64, bytes: u64) -> Gate {
        let mut state = self.lock();
        let State { books, accounts, traffic, .. } = &mut *state;
        let (Some(Book { machine: Machine::Download(machine), flight, .. }), Some(account)) = (books.get_mut(channel), accounts.get_mut(&channel.payer)) else {
            return Gate::Shut { paid: 0, lost: 0 };
        };
        if machine.on_sent(&mut account.credit, bytes).is_ok() {
            flight.push_back((number, bytes));
            traffic.sent_bytes = traffic.sent_bytes.saturating_add(bytes);
            return Gate::Open;
        }
        if account.credit.at_risk() > 0 { Gate::Wait } else { Gate::Shut { paid: machine.paid(), lost: account.credit.lost() } }
    }

    /// The longest piece that a receipt can keep flowing: a quarter of the window.
    pub fn piece_bytes(&self, channel: &Channel) -> u64 {
        match self.lock().books.get(channel).map(|book| &book.machine) {
            Some(Machine::Download(machine)) => machine.pace().window() / pot::window::RECEIPTS_PER_WINDOW,
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
        let State { books, accounts, traffic, .. } = &mut *state;
        // A receipt never opens a channel: without a ticket there is nothing to pay.
        let book = books.get_mut(&channel).ok_or(WindowError::Channel)?;
        let before = book.last.as_ref().map_or(0, |last| last.bytes);
        if receipt.bytes <= before && receipt.chain == self.chain {
            return Ok(before);
        }
        match &mut book.machine {
            Machine::Upload(machine) => drop(machine.on_receipt(receipt)?),
            Machine::Download(machine) => {
                let account = accounts.entry(channel.payer).or_insert_with(|| Account::new(channel.epoch, Credit::NEW));
                machine.on_receipt(&mut account.credit, receipt)?;
                account.paid.notify_waiters();
                book.on_paid(receipt.bytes.saturating_sub(before));
            }
        }
        book.last = Some(*receipt);
        traffic.paid_bytes = traffic.paid_bytes.saturating_add(receipt.bytes.saturating_sub(before));
        state.changed(channel);
        Ok(receipt.bytes)
    }

    /// Bytes of the channel that are paid.
    pub fn paid(&self, channel: &Channel) -> u64 {
        self.lock().books.get(channel).and_then(|book| book.last.as_ref()).map_or(0, |last| last.bytes)
    }

    /// An upload of the channel has ended, and no more receipts come from it.
    pub fn end_upload(&self, channel: &Channel) {
        if let Some(book) = self.lock().books.get_mut(channel) {
            book.open = book.open.saturating_sub(1);
        }
    }

    /// The fetch `number` of the channel has ended, and no more receipts come from it: what it sent last and is not paid is lost.
    pub fn end_download(&self, channel: &Channel, number: u64) {
        let mut state = self.lock();
        let State { books, accounts, .. } = &mut *state;
        let (Some(book), Some(account)) = (books.get_mut(channel), accounts.get_mut(&channel.payer)) else { return };
        book.open = book.open.saturating_sub(1);
        let Machine::Download(machine) = &mut book.machine else { return };
        if book.open == 0 {
            book.flight.clear();
            machine.on_ended(&mut account.credit);
        } else {
            let left = book.flight.iter().filter(|(by, _)| *by == number).map(|(_, bytes)| bytes).sum();
            book.flight.retain(|(by, _)| *by != number);
            machine.write_off(&mut account.credit, left);
        }
        account.last = channel.epoch;
        account.paid.notify_waiters();
        state.changed(*channel);
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
        let Changes { upto, dirty, dirty_owed, notes } = self.lock().take_changes();
        if let Err(error) = self.write(notes).await {
            let mut state = self.lock();
            state.dirty.extend(dirty);
            state.dirty_owed.extend(dirty_owed);
            return Err(error);
        }
        *durable = upto;
        Ok(())
    }

    async fn write(&self, notes: Vec<NoteChange>) -> Result<(), BooksError> {
        let store = Arc::clone(&self.store);
        Ok(tokio::task::spawn_blocking(move || store.write_notes(&notes)).await.map_err(|_| BooksError::Ending)??)
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

    /// Closes every epoch up to and with `epoch`, and gives the last receipts of that one, with their channels' last tickets: what its claim is made of.
    pub fn close(&self, epoch: Epoch) -> Vec<Covered> {
        self.retire(epoch);
        let mut state = self.lock();
        state.first_open = state.first_open.max(epoch.next());
        for account in state.accounts.values() {
            account.paid.notify_waiters();
        }
        let covered = |book: &Book| Some(Covered { receipt: book.last?, ticket: *book.tickets().last()? });
        state.books.iter().filter(|(channel, _)| channel.epoch == epoch).filter_map(|(_, book)| covered(book)).collect()
    }

    /// The last ticket of each channel in an epoch, in the order of channels.
    pub fn tickets(&self, epoch: Epoch) -> Vec<Signed<Ticket>> {
        let state = self.lock();
        state.books.iter().filter(|(channel, _)| channel.epoch == epoch).filter_map(|(_, book)| book.tickets().last().copied()).collect()
    }

    /// Forgets an epoch whose claim a report holds or is too late, and payers that did not come for [`MEMORY_EPOCHS`].
    ///
    /// # Errors
    /// [`BooksError`]; everything is still in the books then.
    pub async fn forget(&self, epoch: Epoch) -> Result<(), BooksError> {
        self.retire(epoch);
        // Held, so that no commit writes again what is being deleted; deleted at once, so that a crash leaves no receipt without its machine.
        let _durable = self.durable.lock().await;
        let is_old = |last: Epoch| last.0.saturating_add(MEMORY_EPOCHS) < epoch.0;
        let mut changes: Vec<NoteChange> = {
            let mut state = self.lock();
            state.first_open = state.first_open.max(epoch.next());
            let accounts = state.accounts.iter().filter(|(_, account)| is_old(account.last)).map(|(payer, _)| (credit_key(payer), None));
            accounts.chain(state.owed.iter().filter(|(_, owed)| is_old(owed.epoch)).map(|(slice, _)| (owed_key(slice), None))).collect()
        };
        let store = Arc::clone(&self.store);
        let kept = tokio::task::spawn_blocking(move || {
            let of_epoch = |table: u8| notes(&*store, &[&[table], &epoch.0.to_be_bytes()[..]].concat());
            Ok::<_, SliceError>(of_epoch(RECEIPT)?.into_iter().chain(of_epoch(MACHINE)?).map(|(key, _)| (key, None)).collect::<Vec<NoteChange>>())
        });
        changes.extend(kept.await.map_err(|_| BooksError::Ending)??);
        self.write(changes).await?;
        let mut state = self.lock();
        let is_gone = |channel: &Channel| channel.epoch == epoch;
        let unpaid =
            |(channel, book): (&Channel, &Book)| book.unpaid().into_iter().map(|slice| (slice, Owed { payer: channel.payer, epoch })).collect::<Vec<_>>();
        let owed: Vec<(Hash, Owed)> = state.books.iter().filter(|(channel, _)| is_gone(channel)).flat_map(unpaid).collect();
        state.books.retain(|channel, _| !is_gone(channel));
        state.dirty.retain(|channel| !is_gone(channel));
        state.accounts.retain(|_, account| !is_old(account.last));
        state.owed.retain(|_, owed| !is_old(owed.epoch));
        for (slice, owed) in owed {
            state.owe(slice, owed);
        }
        Ok(())
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
        let pace = self.account(&channel).credit.pace();
        Ok(self.books.entry(channel).or_insert_with(|| {
            let machine = match channel.class {
                Class::Upload => Machine::Upload(upload::Carrier::new(chain, channel)),
                Class::Download | Class::Stream => Machine::Download(download::Carrier::new(chain, channel, pace)),
            };
            Book { machine, last: None, open: 0, flight: VecDeque::new() }
        }))
    }

    /// The account of the channel's payer, opened if it is new.
    fn account(&mut self, channel: &Channel) -> &mut Account {
        self.accounts.entry(channel.payer).or_insert_with(|| Account::new(channel.epoch, Credit::NEW))
    }

    /// Slices of the payer that are unpaid or on their way, in all its channels and from epochs that are forgotten.
    fn unpaid(&self, payer: &Address) -> usize {
        let open = |(channel, book): (&Channel, &Book)| match &book.machine {
            Machine::Upload(machine) if channel.payer == *payer => machine.open(),
            Machine::Upload(_) | Machine::Download(_) => 0,
        };
        self.books.iter().map(open).sum::<usize>().saturating_add(self.owed.values().filter(|owed| owed.payer == *payer).count())
    }

    /// Whether somebody still has to pay for the slice, which is stored.
    fn is_owed(&self, slice: &Hash) -> bool {
        self.owed.contains_key(slice) || self.books.values().any(|book| book.unpaid().contains(slice))
    }

    fn owe(&mut self, slice: Hash, owed: Owed) {
        self.owed.insert(slice, owed);
        self.dirty_owed.insert(slice);
        while self.owed.len() > OWED_MAX
            && let Some((forgiven, _)) = self.owed.pop_first()
        {
            self.dirty_owed.insert(forgiven);
        }
        self.changes = self.changes.saturating_add(1);
    }

    fn forgive(&mut self, slice: &Hash) {
        if self.owed.remove(slice).is_some() {
            self.dirty_owed.insert(*slice);
            self.changes = self.changes.saturating_add(1);
        }
    }

    fn changed(&mut self, channel: Channel) {
        self.dirty.insert(channel);
        self.changes = self.changes.saturating_add(1);
    }

    fn take_changes(&mut self) -> Changes {
        let (dirty, dirty_owed) = (std::mem::take(&mut self.dirty), std::mem::take(&mut self.dirty_owed));
        let mut notes = Vec::new();
        for channel in &dirty {
            let Some(book) = self.books.get(channel) else { continue };
            notes.push((note_key(MACHINE, channel), Some(encode(&book.machine))));
            if let Some(last) = &book.last {
                notes.push((note_key(RECEIPT, channel), Some(encode(last.signed()))));
            }
            if let Some(account) = self.accounts.get(&channel.payer) {
                notes.push((credit_key(&channel.payer), Some(encode(&(account.last, account.credit)))));
            }
        }
        notes.extend(dirty_owed.iter().map(|slice| (owed_key(slice), self.owed.get(slice).map(encode))));
        Changes { upto: self.changes, dirty, dirty_owed, notes }
    }
}

impl Book {
    /// Receipts have paid for `bytes` more: those that were sent first.
    fn on_paid(&mut self, mut bytes: u64) {
        while bytes > 0
            && let Some((_, first)) = self.flight.front_mut()
        {
            let paid = bytes.min(*first);
            bytes = bytes.saturating_sub(paid);
            *first = first.saturating_sub(paid);
            if *first == 0 {
                self.flight.pop_front();
            }
        }
    }
}

fn note_key(table: u8, channel: &Channel) -> Vec<u8> {
    [&[table], &channel.epoch.0.to_be_bytes()[..], &encode(channel)].concat()
}

fn credit_key(payer: &Address) -> Vec<u8> {
    [&[CREDIT], &encode(payer)[..]].concat()
}

fn owed_key(slice: &Hash) -> Vec<u8> {
    [&[OWED], &encode(slice)[..]].concat()
}

/// The channel in a note's key.
fn channel_of(key: &[u8]) -> Result<Channel, BooksError> {
    let body = key.get(9..).ok_or_else(|| BooksError::Key(hex::encode(key)))?;
    Ok(decode(body, 128)?)
}

/// A note's key and value.
type Note = (Vec<u8>, Vec<u8>);

/// All notes whose keys begin with `prefix`, in order of their keys.
fn notes(store: &dyn SliceStore, prefix: &[u8]) -> Result<Vec<Note>, SliceError> {
    let mut all: Vec<Note> = Vec::new();
    loop {
        let page = store.notes(prefix, all.last().map(|(key, _)| key.as_slice()), PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
