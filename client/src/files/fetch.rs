//! Fetching a range of one segment: from the data slices that hold it, or from any `k` slices where one of those is missing.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use meta::tickets::{HeldSlice, Purpose};
use pot::{Class, Ticket, Verified};
use primitives::{Address, Hash};
use storage::commit::{bytes_of, groups_of};
use storage::profile::{Segment, SliceRun};
use tokio::time::sleep;

use super::task::Task;
use super::{Failures, Files, FilesError, Opened};
use crate::transfer::Reason;

/// Tickets for one run of a slice, over epochs that end in the middle.
const TICKETS_PER_RUN_MAX: u32 = 30;
/// How often a broken stream is opened again where it broke.
const REOPEN_MAX: u32 = 2;
/// Pause before asking again in a new epoch.
const PAUSE: Duration = Duration::from_millis(100);

/// One segment of an opened file.
pub(super) struct Place<'a> {
    pub(super) files: &'a Files,
    pub(super) opened: &'a Opened,
    pub(super) class: Class,
    pub(super) segment: u64,
    pub(super) layout: Segment,
}

/// A run that was asked for, and what came of it.
struct Piece {
    run: SliceRun,
    bytes: Option<Bytes>,
}

impl<'a> Place<'a> {
    pub(super) fn new(files: &'a Files, opened: &'a Opened, class: Class, segment: u64) -> Result<Self, FilesError> {
        let layout = opened.file.manifest.public.layout(segment).map_err(storage::segment::SegmentError::from)?;
        Ok(Self { files, opened, class, segment, layout })
    }

    fn root(&self, slice: usize) -> Option<Hash> {
        self.entry()?.slices.get(slice).copied()
    }

    fn entry(&self) -> Option<&storage::manifest::SegmentEntry> {
        self.opened.file.manifest.public.segments.get(usize::try_from(self.segment).ok()?)
    }

    fn holder(&self, slice: usize) -> Option<Address> {
        self.opened.file.holders.get(usize::try_from(self.segment).ok()?)?.of(slice)
    }

    /// The plaintext of a range of the segment; `still` bytes of the file are wanted from here on.
    pub(super) async fn plaintext(&self, range: Range<u64>, still: u64) -> Result<Bytes, FilesError> {
        let (layout, chunks) = (self.layout, self.layout.chunks_of(range.clone()));
        let ciphertext = self.ciphertext(layout.ciphertext_of(chunks.clone()), still, Vec::new()).await?;
        let (cipher, segment) = (self.opened.key.segments(), number(self.segment));
        Task::blocking(move || {
            let covered = layout.plaintext_of(chunks.clone());
            let mut plaintext = vec![0; index(covered.end.saturating_sub(covered.start))];
            cipher.decrypt(segment, &layout, chunks.start, &ciphertext, &mut plaintext).map_err(storage::segment::SegmentError::from)?;
            let end = range.end.min(covered.end).saturating_sub(covered.start);
            Ok(Bytes::from(plaintext).slice(index(range.start.saturating_sub(covered.start))..index(end)))
        })
        .await
    }

    /// A range of the segment's ciphertext, as it was encrypted, in `buffer` if nothing is lost on the way.
    pub(super) async fn ciphertext(&self, range: Range<u64>, still: u64, mut buffer: Vec<u8>) -> Result<Bytes, FilesError> {
        let runs = self.layout.runs_of(range.clone());
        let mut failures = Failures::default();
        // One buffer, a part of it for each run: without loss they are joined again without a copy.
        buffer.resize(index(range.end.saturating_sub(range.start)), 0);
        let mut buffer = BytesMut::from(Bytes::from(buffer));
        let wanted = runs.into_iter().map(|run| {
            let part = buffer.split_to(index(run.bytes.end.saturating_sub(run.bytes.start)));
            (run, part)
        });
        let wanted: Vec<(SliceRun, BytesMut)> = wanted.collect();
        let came = self.fetch(wanted, still, &mut failures).await?;
        if came.iter().all(|(_, part)| part.is_some()) {
            let mut whole = BytesMut::new();
            for part in came.into_iter().filter_map(|(_, part)| part) {
                whole.unsplit(part);
            }
            return Ok(whole.freeze());
        }
        let pieces = came.into_iter().map(|(run, part)| Piece { run, bytes: part.map(BytesMut::freeze) }).collect();
        self.rebuild(pieces, still, failures).await
    }

    /// Fetches the runs at once. A run that cannot be had is `None`, and its node among the failures.
    async fn fetch(&self, wanted: Vec<(SliceRun, BytesMut)>, still: u64, failures: &mut Failures) -> Result<Vec<(SliceRun, Option<BytesMut>)>, FilesError> {
        let session = self.files.session();
        let is_reachable = |run: &SliceRun| self.holder(run.slice).is_some_and(|holder| !session.is_away(&holder));
        let asked: Vec<SliceRun> = wanted.iter().map(|(run, _)| run.clone()).filter(is_reachable).collect();
        let mut tickets = self.tickets(&asked, still).await?.into_iter();
        let fetches = wanted.into_iter().map(|(run, part)| {
            let ticket = if asked.contains(&run) { tickets.next() } else { None };
            async move {
                let result = match ticket {
                    Some(ticket) => self.fetch_run(&run, ticket, part, still).await,
                    None => Err("it could not be reached a moment ago".to_owned()),
                };
                (run, result)
            }
        });
        let fetched = join_all(fetches).await;
        Ok(fetched
            .into_iter()
            .map(|(run, result)| match result {
                Ok(part) => (run, Some(part)),
                Err(what) => {
                    if let Some(holder) = self.holder(run.slice) {
                        tracing::debug!(%holder, segment = self.segment, slice = run.slice, what, "a slice is replaced by others");
                        failures.0.insert(holder, what);
                    }
                    (run, None)
                }
            })
            .collect())
    }

    fn groups(&self, run: &SliceRun) -> Range<u64> {
        groups_of(self.layout.slice_bytes(), run.bytes.clone())
    }

    /// A ticket for each of the runs.
    async fn tickets(&self, runs: &[SliceRun], still: u64) -> Result<Vec<Verified<Ticket>>, FilesError> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let slices = runs.iter().map(|run| self.held(run.slice, self.groups(run))).collect();
        let purpose = Purpose::Download { file: self.opened.id, class: self.class, slices };
        Ok(self.files.session().tickets(&purpose, still).await?)
    }

    fn held(&self, slice: usize, groups: Range<u64>) -> HeldSlice {
        let place = bytes_of(self.layout.slice_bytes(), groups);
        HeldSlice { segment: number(self.segment), slice: small(slice), bytes: place.end.saturating_sub(place.start) }
    }

    /// Fetches one run into `part`, going on where an epoch or a stream ended.
    async fn fetch_run(&self, run: &SliceRun, mut ticket: Verified<Ticket>, mut part: BytesMut, still: u64) -> Result<BytesMut, String> {
        let (session, slice_bytes) = (self.files.session(), self.layout.slice_bytes());
        let mut groups = self.groups(run);
        let is_right = self.root(run.slice) == Some(ticket.slice) && self.holder(run.slice) == Some(ticket.carrier);
        if !is_right {
            return Err("the meta node issued a ticket for another slice".to_owned());
        }
        let (mut reopened, mut renewed) = (0, 0);
        loop {
            let copy = |place: u64, group: &[u8]| {
                let (from, to) = (place.max(run.bytes.start), place.saturating_add(group.len() as u64).min(run.bytes.end));
                if from < to {
                    let out = &mut part[index(from - run.bytes.start)..index(to - run.bytes.start)];
                    out.copy_from_slice(&group[index(from - place)..index(to - place)]);
                }
            };
            let error = match session.get(&ticket, slice_bytes, groups.clone(), copy).await {
                Ok(()) => return Ok(part),
                Err(error) => error,
            };
            let has_moved = error.next > groups.start;
            groups.start = error.next;
            match error.cause.reason() {
                Some(reason @ (Reason::EpochOver | Reason::Issuer)) if renewed < TICKETS_PER_RUN_MAX => {
                    if reason == Reason::Issuer && !session.leave(&ticket.issuer).await {
                        return Err(error.cause.to_string());
                    }
                    renewed += 1;
                    sleep(PAUSE).await;
                    let slices = vec![self.held(run.slice, groups.clone())];
                    let purpose = Purpose::Download { file: self.opened.id, class: self.class, slices };
                    let tickets = session.tickets(&purpose, still).await.map_err(|error| error.to_string())?;
                    ticket = tickets.into_iter().next().ok_or("no ticket came")?;
                }
                None if has_moved && reopened < REOPEN_MAX => reopened += 1,
                Some(_) | None => return Err(error.cause.to_string()),
            }
        }
    }

    /// Makes the runs that did not come from equal ranges of `k` other slices.
    async fn rebuild(&self, mut pieces: Vec<Piece>, still: u64, mut failures: Failures) -> Result<Bytes, FilesError> {
        while let Some(lost) = pieces.iter().find(|piece| piece.bytes.is_none()).map(|piece| piece.run.clone()) {
            let data = self.data_of(lost.bytes.clone(), &pieces, still, &mut failures).await?;
            let length = index(lost.bytes.end.saturating_sub(lost.bytes.start));
            for piece in pieces.iter_mut().filter(|piece| piece.bytes.is_none() && piece.run.bytes == lost.bytes) {
                piece.bytes = Some(data.slice(piece.run.slice * length..(piece.run.slice + 1) * length));
            }
        }
        Ok(Bytes::from(pieces.into_iter().filter_map(|piece| piece.bytes).collect::<Vec<_>>().concat()))
    }

    /// One range of all `k` data slices, end to end.
    async fn data_of(&self, range: Range<u64>, pieces: &[Piece], still: u64, failures: &mut Failures) -> Result<Bytes, FilesError> {
        let profile = *self.layout.profile();
        let has_range = |piece: &&Piece| piece.run.bytes.start <= range.start && range.end <= piece.run.bytes.end;
        let mut have: Vec<Option<Bytes>> = vec![None; profile.slices()];
        for piece in pieces.iter().filter(has_range) {
            let at = index(range.start - piece.run.bytes.start)..index(range.end - piece.run.bytes.start);
            have[piece.run.slice] = piece.bytes.as_ref().map(|bytes| bytes.slice(at));
        }
        loop {
            let found = have.iter().flatten().count();
            if found >= profile.data {
                break;
            }
            let is_open = |slice: &usize| have[*slice].is_none() && self.holder(*slice).is_some_and(|holder| !failures.0.contains_key(&holder));
            let next: Vec<usize> = (0..profile.slices()).rev().filter(is_open).take(profile.data - found).collect();
            if next.is_empty() {
                let (segment, failures) = (self.segment, std::mem::take(failures));
                return Err(FilesError::NotReadable { segment, found, needed: profile.data, failures });
            }
            let length = index(range.end.saturating_sub(range.start));
            let wanted = next.into_iter().map(|slice| (SliceRun { slice, bytes: range.clone() }, BytesMut::zeroed(length))).collect();
            for (run, part) in self.fetch(wanted, still, failures).await? {
                have[run.slice] = part.map(BytesMut::freeze);
            }
        }
        let files = self.files.clone();
        Task::blocking(move || {
            let data = files.code(profile.id).rebuild(&have).map_err(storage::segment::SegmentError::from)?;
            Ok(Bytes::from(data))
        })
        .await
    }
}

/// A length inside a segment as an index.
pub(super) fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("segments are far below the address space")
}

/// A segment's number as manifests and nonces have it.
pub(super) fn number(segment: u64) -> u32 {
    u32::try_from(segment).expect("a manifest holds a few thousand segments")
}

/// A slice's number in tickets and acknowledgements.
pub(super) fn small(slice: usize) -> u8 {
    u8::try_from(slice).expect("every profile has fewer than 256 slices")
}
