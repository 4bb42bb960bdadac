//! What the metadata ledger tells everybody about files: `/v1/files`.
//!
//! A file's record does not say in which block it was made; the blocks say it. [`Index`] reads the newest of them at the first question and goes on from there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use chain::ledger::Log;
use meta::MetaLedger;
use meta::files::{self, File, Record};
use primitives::encoding::decode;
use primitives::{Address, Bytes, Hash, Height, Time};
use state::Sealed;
use storage::manifest::FileId;

use super::limits::INDEXED_TRANSACTIONS_MAX;
use super::problem::Problem;
use super::question::{Parameters, Segment, parse};
use super::server::Server;
use super::views;
use crate::replica::Replica;

/// `GET /v1/files?owner=ADDRESS&limit=N`: newest first; without `owner` those of everybody.
///
/// # Errors
/// [`Problem`] for what is no address or no number.
pub async fn list(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::File>>, Problem> {
    let limit = parameters.limit()?;
    let owner = parameters.value::<Address>("owner", "an address, which begins with `st1`")?;
    server
        .read(move |server| {
            let meta = &server.site.meta;
            let head = meta.head();
            let ids = match owner {
                Some(owner) => newest_of(&head.state, &owner, limit),
                None => server.index.newest(meta, limit, |id| files::file(&head.state, id).is_some()),
            };
            let found = ids.into_iter().filter_map(|id| files::file(&head.state, &id).map(|file| (id, file)));
            Ok(Json(found.map(|(id, file)| view(server, &id, &file)).collect()))
        })
        .await
}

/// `GET /v1/files/{id}`.
///
/// # Errors
/// [`Problem`] if there is no such file.
pub async fn show(State(server): State<Arc<Server>>, Segment(id): Segment) -> Result<Json<views::File>, Problem> {
    let id: FileId = parse(&id, "a file id of 64 hexadecimal digits")?;
    server
        .read(move |server| {
            let file = stored(&server.site.meta.head().state, &id)?;
            Ok(Json(view(server, &id, &file)))
        })
        .await
}

/// The record of a file that is stored.
///
/// # Errors
/// [`Problem`] if there is none, or not any more.
pub fn stored(state: &Sealed, id: &FileId) -> Result<File, Problem> {
    match files::record(state, id) {
        Some(Record::Stored(file)) => Ok(*file),
        Some(Record::Removed(epoch)) => Err(Problem::missing(format!("the file {id} was removed by its owner in epoch {epoch}"))),
        None => Err(Problem::missing(format!("there is no file {id}; `stratos file ls` lists files"))),
    }
}

/// The newest files of an owner: its list grows at the end.
pub fn newest_of(state: &Sealed, owner: &Address, limit: usize) -> Vec<FileId> {
    let pages = files::count(state, owner).div_ceil(files::PAGE);
    let newest = (0..pages).rev().flat_map(|page| files::files_of(state, owner, page).into_iter().rev());
    newest.take(limit).collect()
}

fn view(server: &Server, id: &FileId, file: &File) -> views::File {
    let public = &file.manifest.public;
    let profile = public.profile();
    let (height, created) = server.index.place(&server.site.meta, id).unwrap_or_default();
    views::File {
        file_id: *id,
        owner: public.owner,
        bytes: Bytes(public.total),
        stored_bytes: Bytes(public.stored_bytes()),
        segments: u32::try_from(public.segments.len()).unwrap_or(u32::MAX),
        profile: format!("{}+{}", profile.data, profile.parity),
        height,
        created_ms: created,
        holders: file.holders.iter().map(|segment| segment.nodes.clone()).collect(),
        slices: public.segments.iter().map(|segment| segment.slices.clone()).collect(),
    }
}

/// In which block, and when, files were recorded. Of files older than [`INDEXED_TRANSACTIONS_MAX`] transactions it does not know.
#[derive(Default)]
pub struct Index(Mutex<Indexed>);

#[derive(Default)]
struct Indexed {
    /// Everything up to this height was read.
    height: Height,
    /// The newest record of each file.
    places: BTreeMap<FileId, (Height, Time)>,
    /// The same by place, oldest first.
    order: BTreeMap<(Height, u32), FileId>,
}

impl Index {
    /// Block and time of a file's record.
    fn place(&self, meta: &Replica<MetaLedger>, id: &FileId) -> Option<(Height, Time)> {
        self.read(meta, |indexed| indexed.places.get(id).copied())
    }

    /// The newest files that `is_there`, newest first.
    fn newest(&self, meta: &Replica<MetaLedger>, limit: usize, is_there: impl Fn(&FileId) -> bool) -> Vec<FileId> {
        self.read(meta, |indexed| {
            let is_newest = |((height, _), id): &(&(Height, u32), &FileId)| indexed.places.get(*id).is_some_and(|(newest, _)| newest == height);
            indexed.order.iter().rev().filter(is_newest).map(|(_, id)| *id).filter(is_there).take(limit).collect()
        })
    }

    fn read<T>(&self, meta: &Replica<MetaLedger>, answer: impl FnOnce(&Indexed) -> T) -> T {
        // A poisoned lock still holds whole entries; what is missing is read again.
        let mut indexed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        indexed.catch_up(meta);
        answer(&indexed)
    }
}

impl Indexed {
    fn catch_up(&mut self, meta: &Replica<MetaLedger>) {
        let head = meta.head().header.height;
        if head <= self.height {
            return;
        }
        for height in unread(self.height, head, |limit| meta.newest_transactions(limit)) {
            let Some(stored) = meta.block(height) else { continue };
            for (index, receipt) in (0_u32..).zip(&stored.receipts) {
                for id in receipt.logs.iter().filter_map(recorded) {
                    self.places.insert(id, (height, stored.block.header.time));
                    self.order.insert((height, index), id);
                }
            }
        }
        self.height = head;
        while self.order.len() > INDEXED_TRANSACTIONS_MAX {
            let Some((place, id)) = self.order.pop_first() else { break };
            if self.places.get(&id).is_some_and(|(height, _)| *height == place.0) {
                self.places.remove(&id);
            }
        }
    }
}

/// The blocks above `known` and up to `head` that have transactions, lowest first. `newest` gives the places of that many transactions, newest first.
fn unread(known: Height, head: Height, newest: impl Fn(usize) -> Vec<(Height, u32)>) -> Vec<Height> {
    let mut limit = 256;
    loop {
        let rows = newest(limit);
        let is_all = rows.len() < limit || limit >= INDEXED_TRANSACTIONS_MAX || rows.last().is_some_and(|(height, _)| *height <= known);
        if is_all {
            let mut heights: Vec<Height> = rows.into_iter().map(|(height, _)| height).filter(|height| *height > known && *height <= head).collect();
            heights.reverse();
            heights.dedup();
            return heights;
        }
        limit = limit.saturating_mul(8).min(INDEXED_TRANSACTIONS_MAX);
    }
}

/// The file that a log says was recorded.
fn recorded(log: &Log) -> Option<FileId> {
    let is_stored = log.topics.first() == Some(&Hash::of("event", &[b"file stored"]));
    let about: Option<(FileId, Address)> = if is_stored { decode(&log.data, chain::keys::VALUE_BYTES_MAX).ok() } else { None };
    about.map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever was read before: exactly the blocks with transactions that were not, once each and in order.
        #[test]
        fn every_block_is_read_once(per_block in proptest::collection::vec(0_u32..40, 0..60), known in 0_u64..60, ahead in 0_u64..3) {
            let mut rows: Vec<(Height, u32)> =
                (1..).zip(&per_block).flat_map(|(height, count)| (0..*count).map(move |index| (Height(height), index))).collect();
            rows.reverse();
            let head = Height((per_block.len() as u64).saturating_sub(ahead));
            let expected: Vec<Height> = (1..)
                .zip(&per_block)
                .filter(|(height, count)| **count > 0 && *height > known && *height <= head.0)
                .map(|(height, _)| Height(height))
                .collect();
            prop_assert_eq!(unread(Height(known), head, |limit| rows.iter().take(limit).copied().collect()), expected);
        }
    }
}
