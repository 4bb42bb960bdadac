//! Putting a file: a quote, segments in a pipeline, a record.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chain::ledger::block::TRANSACTION_BYTES_MAX;
use futures::future::join_all;
use meta::Transaction;
use meta::anchor::Registry;
use meta::files::{ACK_MARGIN, Ack, PutFile as PutRecord, Record};
use meta::tickets::{NewSlice, Purpose};
use pot::{StorageAck, Ticket, Verified};
use primitives::{Address, Hash, Height, Noz, PublicKey, Time};
use storage::manifest::{Details, FileId, MANIFEST_VERSION, MEDIA_TYPE_BYTES_MAX, Manifest, ManifestError, NAME_BYTES_MAX, Public, SegmentEntry};
use storage::segment::{Sliced, seal};
use storage::{FileKey, OwnerSecret, Profile, ProfileId};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::buffers::Buffers;
use super::fetch::{index, number, small};
use super::task::Task;
use super::{Capability, Failures, Files, FilesError};
use crate::transfer::Reason;
use crate::transfer::carrier::RUN_TIMEOUT;

/// Segments that are read, coded or on their way.
pub const SEGMENTS_MAX: usize = 2;
/// How often a slice is sent again after its stream broke.
const RESEND_MAX: u32 = 2;
/// How often a slice waits for a new epoch.
const WAITS_MAX: u32 = 50;
/// How long a slice waits for a carrier that is busy with it, or with others that are not paid yet: longer than the carrier needs to see that a stream broke.
const PATIENCE: Duration = RUN_TIMEOUT.saturating_add(Duration::from_secs(5));
/// Pause before a slice is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// What a record takes beside its segments: keys, signatures, sealed part.
const RECORD_BYTES: u64 = 8 * 1024;
/// What one slice of a segment takes in a record: its root and its acknowledgement.
const RECORD_BYTES_PER_SLICE: u64 = 32 + 79;

/// What a file is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutFile {
    /// Name and type, kept encrypted; and the time by the user's clock.
    pub details: Details,
    /// How it is cut and coded.
    pub profile: ProfileId,
}

/// What storing a file takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of all its slices: what is moved, and paid.
    pub stored_bytes: u64,
    /// Ozone the payer holds.
    pub held: Noz,
    /// Of it not reserved for other transfers.
    pub free: Noz,
}

/// How far a put is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The quote was accepted, bytes begin to move.
    Prepared(Quote),
    /// Slices are durable.
    Storing {
        /// Bytes of slices that their holders have acknowledged.
        durable: u64,
        /// Bytes of all slices; of those known so far, if the length of the file is not known.
        total: u64,
    },
    /// The slices are stored; the record of this file waits to be final.
    Recording(FileId),
}

/// A file that is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its id, and the key that opens it.
    pub capability: Capability,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of its slices that are durable.
    pub stored_bytes: u64,
    /// Slices that no node took; the code makes up for them.
    pub missing_slices: usize,
    /// The segment that the fewest nodes hold, if one lacks a slice.
    pub weakest: Option<Weakest>,
    /// Ozone signed for.
    pub charged: Noz,
    /// Block of the metadata ledger in which it was recorded.
    pub height: Height,
}

/// A segment that lacks slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weakest {
    /// Its number.
    pub segment: u64,
    /// Nodes that hold a slice of it.
    pub found: usize,
    /// Slices that it should have.
    pub slices: usize,
    /// Slices that it is read from.
    pub needed: usize,
}

/// What all segments of one put have in common.
struct Draft {
    files: Files,
    id: Hash,
    registry: Registry,
    key: FileKey,
    profile: Profile,
    progress: watch::Sender<(u64, u64)>,
    /// Of plaintext, and of slices.
    plaintexts: Buffers,
    sliced: Buffers,
    /// Carriers that were still away after one of them was waited for: they are not waited for again.
    gone: Mutex<BTreeSet<Address>>,
}

/// A segment whose slices are stored.
struct SegmentStored {
    entry: SegmentEntry,
    acks: Vec<Option<Kept>>,
}

/// A slice that is stored.
#[derive(Clone, Copy)]
struct Kept {
    ack: Verified<StorageAck>,
    key: PublicKey,
    charged: u64,
}

impl Files {
    /// What storing `bytes` takes, and whether the payer has it.
    ///
    /// # Errors
    /// [`SessionError::NotEnoughOzone`](crate::session::SessionError::NotEnoughOzone), or [`ManifestError::TooLong`] for a file that no record can hold.
    pub async fn quote(&self, bytes: u64, profile: ProfileId) -> Result<Quote, FilesError> {
        let profile = profile.profile();
        let slices = slice_bytes_of(&profile, bytes);
        check_length(&profile, bytes)?;
        // An empty file has no slices, and its owner must be known to the ledger all the same.
        let means = self.session().check_means(Noz(slices.max(1).into())).await?;
        Ok(Quote { bytes, stored_bytes: slices, held: means.held, free: means.free() })
    }

    /// Stores what `reader` gives, of `length` bytes if that is known. The file is recorded and final when it returns.
    ///
    /// # Errors
    /// [`FilesError`]; nothing is recorded then, and holders drop what they have of it.
    pub async fn put<R: AsyncRead + Unpin + Send>(
        &self,
        reader: &mut R,
        length: Option<u64>,
        what: &PutFile,
        secret: &OwnerSecret,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Stored, FilesError> {
        for (part, found, limit) in
            [("bytes of name", what.details.name.len(), NAME_BYTES_MAX), ("bytes of media type", what.details.media_type.len(), MEDIA_TYPE_BYTES_MAX)]
        {
            if found > limit {
                return Err(ManifestError::Limit { part, found, limit }.into());
            }
        }
        let quote = self.quote(length.unwrap_or(0), what.profile).await?;
        progress(Progress::Prepared(quote));
        let (sender, mut moved) = watch::channel((0, quote.stored_bytes));
        let draft = Arc::new(Draft {
            files: self.clone(),
            id: Hash(*FileKey::random()?.as_bytes()),
            registry: self.session().registry().await?,
            key: FileKey::random()?,
            profile: what.profile.profile(),
            progress: sender,
            plaintexts: Buffers::default(),
            sliced: Buffers::default(),
            gone: Mutex::default(),
        });
        let (total, segments) = {
            let store = draft.store(reader, length);
            tokio::pin!(store);
            loop {
                tokio::select! {
                    stored = &mut store => break stored?,
                    Ok(()) = moved.changed() => {
                        let (durable, total) = *moved.borrow_and_update();
                        progress(Progress::Storing { durable, total });
                    }
                }
            }
        };
        self.record(&draft, total, segments, &what.details, secret, progress).await
    }

    /// Signs the record and waits until it is final.
    async fn record(
        &self,
        draft: &Draft,
        total: u64,
        segments: Vec<SegmentStored>,
        details: &Details,
        secret: &OwnerSecret,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Stored, FilesError> {
        let (session, network) = (self.session(), self.session().network());
        let kept = || segments.iter().flat_map(|segment| segment.acks.iter().flatten());
        let charged = Noz(kept().map(|kept| u128::from(kept.charged)).sum());
        let stored_bytes = kept().map(|kept| kept.ack.bytes).sum();
        let missing_slices = segments.iter().map(|segment| segment.acks.iter().filter(|ack| ack.is_none()).count()).sum();
        let weakest = (0..).zip(&segments).map(|(segment, stored)| {
            let (found, slices) = (stored.acks.iter().flatten().count(), stored.acks.len());
            Weakest { segment, found, slices, needed: draft.profile.data }
        });
        let weakest = weakest.filter(|weakest| weakest.found < weakest.slices).min_by_key(|weakest| weakest.found);
        let holders: BTreeSet<(Address, PublicKey)> = kept().map(|kept| (kept.ack.carrier, kept.key)).collect();
        let holders: Vec<(Address, PublicKey)> = holders.into_iter().collect();
        let mut acks = Vec::new();
        for (segment, stored) in (0..).zip(&segments) {
            for (slice, kept) in stored.acks.iter().enumerate() {
                let Some(Kept { ack, .. }) = kept else { continue };
                let holder = holders.binary_search_by_key(&ack.carrier, |(holder, _)| *holder).expect("every carrier is among the holders");
                let holder = u16::try_from(holder).expect("a ledger has fewer than 65,536 resource nodes");
                acks.push(Ack { segment, slice: small(slice), holder, epoch: ack.epoch, signature: ack.signed().signature });
            }
        }
        let entries = segments.into_iter().map(|segment| segment.entry).collect();
        let public = Public { version: MANIFEST_VERSION, owner: session.payer(), profile: draft.profile.id, total, segments: entries };
        let manifest = Manifest::new(public, details, &draft.key, secret)?;
        let id = manifest.id();
        progress(Progress::Recording(id));
        if total == 0 {
            session.introduce().await?;
        }
        let put = PutRecord {
            chain: network.chain(),
            key: session.wallet().key(),
            epoch: draft.registry.epoch,
            draft: draft.id,
            manifest: manifest.encode(),
            holders,
            acks,
        };
        let transaction = Transaction::put_file(put, session.wallet()).encode();
        let height = self.make_final(id, transaction, |record| matches!(record, Some(Record::Stored(_)))).await?;
        let capability = Capability { id, key: draft.key.clone() };
        Ok(Stored { capability, bytes: total, stored_bytes, missing_slices, weakest, charged, height })
    }
}

impl Draft {
    /// Reads and stores all segments, in order, several at a time. The bytes read, and the segments.
    async fn store<R: AsyncRead + Unpin>(self: &Arc<Self>, reader: &mut R, length: Option<u64>) -> Result<(u64, Vec<SegmentStored>), FilesError> {
        let mut stored = Vec::new();
        let mut under_way: VecDeque<Task<SegmentStored>> = VecDeque::new();
        let mut total = 0u64;
        for segment in 0.. {
            if under_way.len() >= SEGMENTS_MAX
                && let Some(first) = under_way.pop_front()
            {
                stored.push(first.await?);
            }
            let plaintext = read_segment(reader, self.profile.segment_bytes, self.plaintexts.take()).await?;
            if plaintext.is_empty() {
                break;
            }
            let is_last = (plaintext.len() as u64) < self.profile.segment_bytes;
            total = total.saturating_add(plaintext.len() as u64);
            if let Some(announced) = length.filter(|announced| total > *announced) {
                return Err(FilesError::Changed { announced, found: total });
            }
            check_length(&self.profile, total)?;
            let rest = slice_bytes_of(&self.profile, length.map_or(0, |length| length.saturating_sub(total)));
            let draft = Arc::clone(self);
            under_way.push_back(Task::spawn(async move { draft.segment(segment, plaintext, rest).await }));
            if is_last {
                break;
            }
        }
        for task in under_way {
            stored.push(task.await?);
        }
        match length {
            Some(announced) if announced != total => Err(FilesError::Changed { announced, found: total }),
            Some(_) | None => Ok((total, stored)),
        }
    }

    /// Codes and stores one segment; `rest` bytes of slices come behind it.
    async fn segment(self: &Arc<Self>, segment: u64, plaintext: Vec<u8>, rest: u64) -> Result<SegmentStored, FilesError> {
        let draft = Arc::clone(self);
        let sliced = Task::blocking(move || {
            let sliced = seal(draft.files.code(draft.profile.id), &draft.key.segments(), number(segment), &plaintext, draft.sliced.take())?;
            draft.plaintexts.give(plaintext);
            Ok(sliced)
        });
        let sliced = sliced.await?;
        let Sliced { layout, slices, buffer, roots } = sliced;
        let (bytes, count) = (layout.slice_bytes(), slices.len());
        let purpose = |bytes_of: &dyn Fn(usize) -> u64| Purpose::Upload {
            epoch: self.registry.epoch,
            draft: self.id,
            segment,
            slices: roots.iter().enumerate().map(|(slice, root)| NewSlice { root: *root, bytes: bytes_of(slice) }).collect(),
        };
        let whole = bytes.saturating_mul(count as u64);
        let tickets = self.files.session().tickets(&purpose(&|_| bytes), whole.saturating_add(rest)).await?;
        // Of a single slice: the others are asked for with one byte, since placement is that of the whole segment.
        let again: Vec<Purpose> = (0..count).map(|slice| purpose(&|other| if other == slice { bytes } else { 1 })).collect();
        self.progress.send_if_modified(|(durable, total)| {
            let least = durable.saturating_add(whole);
            let grows = *total < least;
            *total = (*total).max(least);
            grows
        });
        let places = self.registry.place(&self.files.session().payer(), &self.id, segment, count);
        let places = places.map_err(|error| crate::session::SessionError::NoTickets { attempts: 1, last: error.to_string() })?;
        let puts = slices.into_iter().zip(tickets).zip(places).enumerate().map(|(slice, ((data, ticket), place))| {
            let again = &again;
            async move {
                if ticket.carrier != place {
                    return (ticket.carrier, Err(format!("the meta node sends slice {slice} there, placement says {place}")));
                }
                (place, self.slice(ticket, slice, data, again).await)
            }
        });
        let done = join_all(puts).await;
        self.sliced.give_back(buffer);
        let mut failures = Failures::default();
        let mut acks = Vec::with_capacity(count);
        for (carrier, result) in done {
            acks.push(match result {
                Ok(kept) => Some(kept),
                Err(what) => {
                    tracing::debug!(%carrier, segment, what, "a slice was not stored");
                    failures.0.insert(carrier, what);
                    None
                }
            });
        }
        let (found, needed) = (acks.iter().flatten().count(), self.profile.data.saturating_add(ACK_MARGIN));
        if found < needed {
            return Err(FilesError::NotStored { segment, found, slices: count, needed, failures });
        }
        Ok(SegmentStored { entry: SegmentEntry { plaintext: layout.plaintext(), slices: roots }, acks })
    }

    fn gone(&self) -> MutexGuard<'_, BTreeSet<Address>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores one slice, waiting for a new epoch and for a busy carrier, and sending it again when a stream breaks. A carrier that is away is waited for once
    /// and tried again, so that one broken connection costs no slice.
    async fn slice(&self, mut ticket: Verified<Ticket>, slice: usize, data: Bytes, again: &[Purpose]) -> Result<Kept, String> {
        let session = self.files.session();
        let key = self.registry.carrier(&ticket.carrier).map(|carrier| carrier.key).ok_or("it is not in the registry")?;
        let (mut resent, mut waited, mut patient, mut is_awaited, mut is_renewed) = (0, 0, None, false, false);
        loop {
            let error = match session.put(&ticket, data.clone()).await {
                Ok(kept) => {
                    self.gone().remove(&ticket.carrier);
                    self.progress.send_modify(|(durable, _)| *durable = durable.saturating_add(data.len() as u64));
                    return Ok(Kept { ack: kept.ack, key, charged: kept.charged });
                }
                Err(error) => error,
            };
            if let Some(until) = session.away_until(&ticket.carrier) {
                if is_awaited {
                    self.gone().insert(ticket.carrier);
                }
                if is_awaited || self.gone().contains(&ticket.carrier) {
                    return Err(error.to_string());
                }
                is_awaited = true;
                sleep_until(until).await;
                continue;
            }
            match error.reason() {
                // A ticket that its carrier has used up, for instance for the same slice that it dropped meanwhile, is replaced once.
                Some(reason @ (Reason::EpochOver | Reason::Ticket | Reason::Issuer)) if waited < WAITS_MAX => {
                    // A convicted home is left, and the ticket is another's then.
                    let is_left = reason == Reason::Issuer && session.leave(&ticket.issuer).await;
                    if !is_left && reason != Reason::EpochOver && std::mem::replace(&mut is_renewed, true) {
                        return Err(error.to_string());
                    }
                    waited += 1;
                    sleep(PAUSE).await;
                    let purpose = again.get(slice).ok_or("there is no such slice")?;
                    let tickets = session.tickets(purpose, data.len() as u64).await.map_err(|error| error.to_string())?;
                    ticket = tickets.into_iter().nth(slice).ok_or("no ticket came")?;
                }
                Some(Reason::Busy | Reason::Unpaid) if Instant::now() < *patient.get_or_insert_with(|| Instant::now() + PATIENCE) => sleep(PAUSE).await,
                None if resent < RESEND_MAX => resent += 1,
                Some(_) | None => return Err(error.to_string()),
            }
        }
    }
}

/// Whether a file of `bytes` fits into one record.
fn check_length(profile: &Profile, bytes: u64) -> Result<(), ManifestError> {
    let per_segment = 16 + RECORD_BYTES_PER_SLICE * profile.slices() as u64;
    let segments_max = (TRANSACTION_BYTES_MAX as u64).saturating_sub(RECORD_BYTES).checked_div(per_segment).unwrap_or(0);
    let bytes_max = segments_max.saturating_mul(profile.segment_bytes);
    if bytes > bytes_max { Err(ManifestError::TooLong { bytes, bytes_max }) } else { Ok(()) }
}

/// Bytes of all slices of a file of `bytes`.
fn slice_bytes_of(profile: &Profile, bytes: u64) -> u64 {
    let count = profile.slices() as u64;
    let of = |plaintext: u64| profile.segment(plaintext).map_or(0, |layout| layout.slice_bytes().saturating_mul(count));
    let (whole, last) = (bytes / profile.segment_bytes, bytes % profile.segment_bytes);
    whole.saturating_mul(of(profile.segment_bytes)).saturating_add(of(last))
}

/// Reads up to `limit` bytes into `plaintext`; fewer only at the end of the source. The buffer never grows above the limit: one that looks for the end behind
/// its last byte would be doubled.
async fn read_segment<R: AsyncRead + Unpin>(reader: &mut R, limit: u64, mut plaintext: Vec<u8>) -> Result<Vec<u8>, FilesError> {
    plaintext.resize(index(limit), 0);
    let mut length = 0;
    while length < plaintext.len() {
        match reader.read(&mut plaintext[length..]).await.map_err(FilesError::Read)? {
            0 => break,
            read => length += read,
        }
    }
    plaintext.truncate(length);
    Ok(plaintext)
}

/// Now, by the user's clock: for [`Details::created`].
pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_file_is_named() {
        let profile = ProfileId::Dev.profile();
        let Err(ManifestError::TooLong { bytes: u64::MAX, bytes_max }) = check_length(&profile, u64::MAX) else { panic!("too long") };
        assert_eq!(check_length(&profile, bytes_max), Ok(()));
        assert_eq!(check_length(&profile, bytes_max + 1), Err(ManifestError::TooLong { bytes: bytes_max + 1, bytes_max }));
        assert!(bytes_max > 20 << 30);
    }

    proptest! {
        /// The quote is the sum over the segments, to the byte.
        #[test]
        fn a_quote_is_what_is_stored(bytes in 0u64..200 << 20) {
            let profile = ProfileId::Dev.profile();
            let sum: u64 = (0..profile.segments(bytes))
                .map(|segment| profile.segment(profile.segment_plaintext(bytes, segment)).expect("a segment").slice_bytes() * 6)
                .sum();
            prop_assert_eq!(slice_bytes_of(&profile, bytes), sum);
        }
    }
}
