//! The signer and its slot: the only durable state that safety needs.
//!
//! The slot says what this key has signed in its latest view. It is on disk before a signature that it allows leaves this file, and it only ever grows, so no
//! crash, no lost database and no bug above can make the key contradict itself (SIMPLEX-4, SIMPLEX-5).
//!
//! # On disk
//! Two blocks of 4096 bytes, overwritten in place by turns: record number `n` lies in block `n % 2`. A block is `length (u32) || borsh(Record) || zeros ||
//! SHA-256 over all before it`. A write that is cut short spoils only the block whose record is superseded anyway, and the signature it would have allowed was
//! never released; so one spoiled block is normal and two mean that the history is lost: then the key must not sign again. The operator registers a new one,
//! which has signed nothing. The file is made once, under another name, and linked into place when it is complete. (The page says CRC; a hash is at hand and
//! also finds a block of another file.)

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{decode, encode};
use primitives::{Epoch, Hash, PublicKey, SecretKey, View};
use rustix::fs::{FlockOperation, flock};

use crate::members::Members;
use crate::mutants::{self, Mutant};
use crate::vote::{Kind, SignedVote, Vote};

/// Bytes of one block: a page, the unit in which disks and kernels write.
pub const SLOT_BLOCK_BYTES: usize = 4096;

const HASH_BYTES: usize = 32;
const RECORD_VERSION: u8 = 1;

/// What one key has signed in the latest view it signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Slot {
    /// The epoch.
    pub epoch: Epoch,
    /// The view; 0 if nothing was signed in the epoch.
    pub view: View,
    /// The block it notarized.
    pub notarized: Option<Hash>,
    /// How it left the view.
    pub closed: Option<Closed>,
}

/// A vote after which no block of the view is notarized any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Closed {
    /// It waits for no block.
    Nullify,
    /// It saw this block notarized.
    Finalize(Hash),
}

/// Why a vote is not signed. Harmless: the state is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An epoch in which the signer has no seat.
    #[error("a vote of epoch {0}, in which the signer has no seat")]
    NoSeat(Epoch),
    /// An earlier view than the latest signed in.
    #[error("a vote of epoch {} view {}, but epoch {} view {} was signed in", found.0, found.1, signed.0, signed.1)]
    Earlier {
        /// The vote's epoch and view.
        found: (Epoch, View),
        /// The slot's.
        signed: (Epoch, View),
    },
    /// Not beside what was signed in this view.
    #[error("{0:?} may not stand beside what was signed in this view")]
    Beside(Kind),
}

impl Slot {
    /// Nothing signed in `epoch`.
    pub const fn empty(epoch: Epoch) -> Self {
        Self { epoch, view: View(0), notarized: None, closed: None }
    }

    /// The slot after `vote`, if it may be signed. Equal to the slot before if it was signed already.
    ///
    /// # Errors
    /// [`Refusal`] for an earlier view and for what may not stand beside the votes there are.
    pub fn admit(&self, vote: &Vote) -> Result<Self, Refusal> {
        let (found, signed) = ((vote.epoch, vote.view), (self.epoch, self.view));
        if found < signed {
            return Err(Refusal::Earlier { found, signed });
        }
        let mut slot = if found == signed { *self } else { Self { view: vote.view, ..Self::empty(vote.epoch) } };
        let may = match vote.kind {
            // Notarizing after nullifying would be harmless; refusing it keeps the states a chain.
            Kind::Notarize(_) if mutants::is(Mutant::NotarizeAfterNullify) && slot.closed == Some(Closed::Nullify) && slot.notarized.is_none() => true,
            Kind::Notarize(hash) => slot.closed.is_none() && slot.notarized.is_none_or(|notarized| notarized == hash),
            Kind::Nullify => slot.closed.is_none_or(|closed| closed == Closed::Nullify),
            Kind::Finalize(_) if mutants::is(Mutant::FinalizeAfterNullify) && slot.closed == Some(Closed::Nullify) => true,
            Kind::Finalize(_) if mutants::is(Mutant::FinalizeOther) && slot.closed.is_none() => true,
            Kind::Finalize(hash) => {
                slot.closed.is_none_or(|closed| closed == Closed::Finalize(hash)) && slot.notarized.is_none_or(|notarized| notarized == hash)
            }
        };
        // Asked again for a notarize vote that was given before closing: the same signature once more.
        let again = matches!(vote.kind, Kind::Notarize(hash) if slot.notarized == Some(hash));
        if !may && !again {
            return Err(Refusal::Beside(vote.kind));
        }
        match vote.kind {
            Kind::Notarize(hash) => slot.notarized = Some(hash),
            Kind::Nullify => slot.closed = Some(Closed::Nullify),
            Kind::Finalize(hash) => slot.closed = Some(Closed::Finalize(hash)),
        }
        Ok(slot)
    }

    /// The votes it records, in the order they were given.
    pub fn votes(&self) -> Vec<Vote> {
        let closed = self.closed.map(|closed| match closed {
            Closed::Nullify => Kind::Nullify,
            Closed::Finalize(hash) => Kind::Finalize(hash),
        });
        let kinds = self.notarized.map(Kind::Notarize).into_iter().chain(closed);
        kinds.map(|kind| Vote { epoch: self.epoch, view: self.view, kind }).collect()
    }
}

/// A value that became possible only after the slot recorded it on disk. Made here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The slot forbids it.
    #[error("not signed: {0}")]
    Refused(#[from] Refusal),
    /// The slot could not be written. The node must stop: what is on disk is unknown, and this signer signs nothing any more.
    #[error("the signer slot could not be written: {0}")]
    Disk(#[source] io::Error),
    /// An earlier write failed.
    #[error("the signer slot could not be written before; restart the node")]
    Broken,
}

/// Why a signer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The file exists already.
    #[error("{0} exists already; a signer slot is created once and never replaced")]
    Exists(PathBuf),
    /// There is no file.
    #[error("{0} is missing: without it this key may contradict itself. Restore it, or register a new consensus key")]
    Missing(PathBuf),
    /// Another process signs with it.
    #[error("{0} is locked by another process")]
    Locked(PathBuf),
    /// Neither block is valid.
    #[error("the signer slot {0} is unreadable: what this key has signed is unknown, so it must not sign again. Register a new consensus key")]
    Lost(PathBuf),
    /// The slot of another key or chain.
    #[error("the signer slot belongs to key {key} on chain {chain}")]
    Foreign {
        /// Its key.
        key: PublicKey,
        /// Its chain.
        chain: Hash,
    },
    /// The disk failed.
    #[error("{path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

/// Where the two blocks live.
pub trait Medium {
    /// Both blocks, `2 * SLOT_BLOCK_BYTES` bytes; shorter if the file was cut.
    ///
    /// # Errors
    /// What the disk says.
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Overwrites block `half` (0 or 1); durable when it returns.
    ///
    /// # Errors
    /// What the disk says; the block may then hold anything.
    fn write(&mut self, half: u64, block: &[u8; SLOT_BLOCK_BYTES]) -> io::Result<()>;
}

/// A locked file.
#[derive(Debug)]
struct Disk(File);

impl Medium for Disk {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 2 * SLOT_BLOCK_BYTES];
        self.0.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write(&mut self, half: u64, block: &[u8; SLOT_BLOCK_BYTES]) -> io::Result<()> {
        self.0.write_all_at(block, half * SLOT_BLOCK_BYTES as u64)?;
        // fdatasync: the length never changes, so the data is all there is to make durable.
        self.0.sync_data()
    }
}

/// A slot in memory: clones share it, so it survives a simulated crash.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// A slot that holds `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// What it holds now.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Medium for Memory {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes())
    }

    fn write(&mut self, half: u64, block: &[u8; SLOT_BLOCK_BYTES]) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.resize(2 * SLOT_BLOCK_BYTES, 0);
        let start = if half == 0 { 0 } else { SLOT_BLOCK_BYTES };
        bytes[start..start + SLOT_BLOCK_BYTES].copy_from_slice(block);
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Record {
    version: u8,
    sequence: u64,
    chain: Hash,
    key: PublicKey,
    slot: Slot,
}

impl Record {
    /// Both blocks of a key that has signed nothing.
    fn first(secret: &SecretKey, chain: Hash) -> Vec<u8> {
        let first = Self { version: RECORD_VERSION, sequence: 0, chain, key: secret.public(), slot: Slot::empty(Epoch::ZERO) };
        [first.to_block(), Self { sequence: 1, ..first }.to_block()].concat()
    }

    fn to_block(self) -> [u8; SLOT_BLOCK_BYTES] {
        let mut block = [0; SLOT_BLOCK_BYTES];
        let body = encode(&self);
        let length = u32::try_from(body.len()).expect("a record has about 200 bytes");
        block[..4].copy_from_slice(&length.to_le_bytes());
        block[4..4 + body.len()].copy_from_slice(&body);
        let check = Hash::of("signer-slot", &[&block[..SLOT_BLOCK_BYTES - HASH_BYTES]]);
        block[SLOT_BLOCK_BYTES - HASH_BYTES..].copy_from_slice(&check.0);
        block
    }

    fn from_block(block: &[u8], half: u64) -> Option<Self> {
        let (body, check) = block.split_at_checked(SLOT_BLOCK_BYTES - HASH_BYTES)?;
        if Hash::of("signer-slot", &[body]).0 != check {
            return None;
        }
        let length = usize::try_from(u32::from_le_bytes(body.first_chunk().copied()?)).ok()?;
        let record: Self = decode(body.get(4..)?.get(..length)?, SLOT_BLOCK_BYTES).ok()?;
        (record.version == RECORD_VERSION && record.sequence % 2 == half).then_some(record)
    }
}

/// One key, one chain, one slot. The same lines serve a remote signer.
///
/// It signs only from a seat among an epoch's members, which [`Signer::seat`] gives it; a key that is no member of an epoch keeps its slot and waits.
pub struct Signer {
    medium: Box<dyn Medium + Send>,
    secret: SecretKey,
    seat: Option<Seat>,
    record: Record,
    broken: bool,
}

/// A place among the members of an epoch.
#[derive(Clone, Copy)]
struct Seat {
    epoch: Epoch,
    members: Hash,
    index: u16,
}

impl Signer {
    /// Makes the slot of a key that has signed nothing yet on this chain, complete and durable before it gets its name.
    ///
    /// # Errors
    /// [`SlotError::Exists`] if there is one; it is never replaced.
    pub fn create(path: &Path, secret: SecretKey, chain: Hash) -> Result<Self, SlotError> {
        let disk = |source| SlotError::Disk { path: path.to_owned(), source };
        if path.try_exists().map_err(disk)? {
            return Err(SlotError::Exists(path.to_owned()));
        }
        let unfinished = path.with_extension("unfinished");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&unfinished).map_err(disk)?;
        file.write_all_at(&Record::first(&secret, chain), 0).and_then(|()| file.sync_all()).map_err(disk)?;
        // A link, unlike a rename, refuses to replace.
        std::fs::hard_link(&unfinished, path)
            .map_err(|source| if source.kind() == io::ErrorKind::AlreadyExists { SlotError::Exists(path.to_owned()) } else { disk(source) })?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(disk)?;
        std::fs::remove_file(&unfinished).map_err(disk)?;
        Self::open(path, secret, chain)
    }

    /// Opens and locks the slot of `secret`.
    ///
    /// # Errors
    /// [`SlotError`]; every one of them means: do not vote with this key.
    pub fn open(path: &Path, secret: SecretKey, chain: Hash) -> Result<Self, SlotError> {
        let disk = |source| SlotError::Disk { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| if source.kind() == io::ErrorKind::NotFound { SlotError::Missing(path.to_owned()) } else { disk(source) })?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => SlotError::Locked(path.to_owned()),
            other => disk(other.into()),
        })?;
        if file.metadata().map_err(disk)?.len() < 2 * SLOT_BLOCK_BYTES as u64 {
            return Err(SlotError::Lost(path.to_owned()));
        }
        match Self::load(Box::new(Disk(file)), secret, chain) {
            Err(SlotError::Disk { source, .. }) => Err(disk(source)),
            Err(SlotError::Lost(_)) => Err(SlotError::Lost(path.to_owned())),
            other => other,
        }
    }

    /// A signer over any medium; an empty one is a key that has signed nothing.
    ///
    /// # Errors
    /// As [`Signer::open`].
    pub fn on(mut medium: impl Medium + Send + 'static, secret: SecretKey, chain: Hash) -> Result<Self, SlotError> {
        let disk = |source| SlotError::Disk { path: PathBuf::new(), source };
        if medium.read().map_err(disk)?.is_empty() {
            for (half, block) in (0..).zip(Record::first(&secret, chain).as_chunks::<SLOT_BLOCK_BYTES>().0) {
                medium.write(half, block).map_err(disk)?;
            }
        }
        Self::load(Box::new(medium), secret, chain)
    }

    fn load(mut medium: Box<dyn Medium + Send>, secret: SecretKey, chain: Hash) -> Result<Self, SlotError> {
        let bytes = medium.read().map_err(|source| SlotError::Disk { path: PathBuf::new(), source })?;
        let records = (0..).zip(bytes.chunks(SLOT_BLOCK_BYTES)).filter_map(|(half, block)| Record::from_block(block, half));
        let mut record = records.max_by_key(|record| record.sequence).ok_or(SlotError::Lost(PathBuf::new()))?;
        if mutants::is(Mutant::Amnesia) {
            record.slot = Slot::empty(Epoch::ZERO);
        }
        if record.chain != chain || record.key != secret.public() {
            return Err(SlotError::Foreign { key: record.key, chain: record.chain });
        }
        Ok(Self { medium, secret, seat: None, record, broken: false })
    }

    /// Takes the key's seat among the members of an epoch, and leaves the one before; its index, or `None` if the key has no seat there.
    pub fn seat(&mut self, epoch: Epoch, members: &Members) -> Option<u16> {
        self.seat = members.index_of(&self.record.key).map(|index| Seat { epoch, members: members.hash(), index });
        self.seat.map(|seat| seat.index)
    }

    /// What was signed, for [`crate::engine::Restored`].
    pub fn slot(&self) -> Slot {
        self.record.slot
    }

    /// Records the vote, makes the record durable, then signs. The same vote again gives the same signature and writes nothing.
    ///
    /// # Errors
    /// [`SignError::Refused`] changes nothing. After [`SignError::Disk`] nothing is signed any more: the caller must end the process.
    pub fn sign(&mut self, vote: Vote) -> Result<Durable<SignedVote>, SignError> {
        if self.broken {
            return Err(SignError::Broken);
        }
        let seat = self.seat.filter(|seat| seat.epoch == vote.epoch).ok_or(Refusal::NoSeat(vote.epoch))?;
        let slot = self.record.slot.admit(&vote)?;
        if slot != self.record.slot {
            let record = Record { sequence: self.record.sequence + 1, slot, ..self.record };
            if !mutants::is(Mutant::SendBeforeSync)
                && let Err(error) = self.medium.write(record.sequence % 2, &record.to_block())
            {
                self.broken = true;
                return Err(SignError::Disk(error));
            }
            self.record = record;
        }
        Ok(Durable(vote.sign(&self.secret, self.record.chain, seat.members, seat.index)))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({:?}, {:?})", self.record.key, self.record.slot)
    }
}

#[cfg(test)]
mod tests;
