//! The file index: manifests, who holds which slice, and who owns which file.
//!
//! Keys: `6 f id` the record; `6 o owner page` an owner's files, [`PAGE`] to a page, `6 c owner` their number, `6 x id` a file's place among them; `6 s root`
//! the holders of a slice and the files that need it, so that a holder knows what it may drop. Transactions: `PutFile` and `RemoveFile`, signed by the owner.
//!
//! A file is accepted when, in each segment, at least `k +` [`ACK_MARGIN`] of the nodes that placement names have acknowledged their slice (META-4).
//! Placement is that of the epoch in which the upload began, for a draft id that the owner chose then; the file's own id is known only at the end.
//!
//! The owner has reserved ozone lately ([`allowance::payer`]): an empty file needs no ticket, and without ozone nobody writes here.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::{Read, read, write};
use chain::ledger::Refusal;
use pot::{Object, StorageAck};
use primitives::{AccountKey, Address, Epoch, Hash, PublicKey, Signature};
use state::Overlay;
use storage::manifest::{FileId, Manifest};

use crate::{allowance, anchor, keys};

/// Acknowledgements of a segment beyond the `k` that give it back.
pub const ACK_MARGIN: usize = 1;
/// Files in one page of an owner's list.
pub const PAGE: u32 = 256;
/// Files of one owner.
pub const FILES_MAX: u32 = 1 << 20;
/// Files that may need one slice.
pub const SLICE_FILES_MAX: usize = 16;
/// Holders that one file may have.
pub const HOLDERS_MAX: usize = 4096;

/// A holder's signature that it has a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ack {
    /// Segment of the file.
    pub segment: u32,
    /// Slice of the segment.
    pub slice: u8,
    /// Position among the holders.
    pub holder: u16,
    /// Epoch of the acknowledgement.
    pub epoch: Epoch,
    /// The holder's signature over the [`StorageAck`].
    pub signature: Signature,
}

/// "Record this file." Signed by the owner's wallet, role `put-file`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PutFile {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The owner's key.
    pub key: AccountKey,
    /// Epoch in which the upload began: its registry places the slices.
    pub epoch: Epoch,
    /// Name of the upload until the file has its id.
    pub draft: Hash,
    /// The encoded manifest.
    pub manifest: Vec<u8>,
    /// Who acknowledged, with the keys that signed: strictly increasing by address.
    pub holders: Vec<(Address, PublicKey)>,
    /// The acknowledgements, strictly increasing by (segment, slice).
    pub acks: Vec<Ack>,
}

impl Object for PutFile {
    const ROLE: &'static str = "put-file";

    fn chain(&self) -> Hash {
        self.chain
    }
}

/// "Forget this file." Signed by the owner's wallet, role `remove-file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RemoveFile {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The owner's key.
    pub key: AccountKey,
    /// The file.
    pub id: FileId,
    /// The current epoch: an old removal does not hit a file that was stored again.
    pub epoch: Epoch,
}

impl Object for RemoveFile {
    const ROLE: &'static str = "remove-file";

    fn chain(&self) -> Hash {
        self.chain
    }
}

/// The nodes of one segment.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Holders {
    /// One for each slice, in order: where placement puts it.
    pub nodes: Vec<Address>,
    /// Which of them acknowledged: bit `i` for slice `i`.
    pub acknowledged: u64,
}

impl Holders {
    /// Who holds a slice: `None` if its node has not acknowledged it.
    pub fn of(&self, slice: usize) -> Option<Address> {
        let bit = u32::try_from(slice).ok().and_then(|slice| 1u64.checked_shl(slice)).unwrap_or(0);
        self.nodes.get(slice).copied().filter(|_| self.acknowledged & bit != 0)
    }
}

/// A file in the index.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct File {
    /// Its manifest.
    pub manifest: Manifest,
    /// Epoch in which its upload began.
    pub epoch: Epoch,
    /// The holders of each segment.
    pub holders: Vec<Holders>,
}

/// What the index says under an id.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Record {
    /// The file is here.
    Stored(Box<File>),
    /// Its owner removed it in this epoch.
    Removed(Epoch),
}

/// Who has a slice and what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SliceRecord {
    /// The files that need it, each with the node that holds it for that file.
    pub files: Vec<(FileId, Address)>,
}

/// What the index says under an id; `None` if it never heard of it.
pub fn record(state: &impl Read, id: &FileId) -> Option<Record> {
    read(state, &keys::file(id))
}

/// A file that is stored.
pub fn file(state: &impl Read, id: &FileId) -> Option<File> {
    match record(state, id)? {
        Record::Stored(file) => Some(*file),
        Record::Removed(_) => None,
    }
}

/// Number of an owner's files.
pub fn count(state: &impl Read, owner: &Address) -> u32 {
    read(state, &keys::owner_count(owner)).unwrap_or(0)
}

/// One page of an owner's files, from page 0; empty behind the last.
pub fn files_of(state: &impl Read, owner: &Address, page: u32) -> Vec<FileId> {
    read(state, &keys::owner_page(owner, page)).unwrap_or_default()
}

/// Which files need a slice, and who holds it for them.
pub fn slice(state: &impl Read, root: &Hash) -> SliceRecord {
    read(state, &keys::slice(root)).unwrap_or_default()
}

/// Whether a node must keep a slice: some file needs it from this node.
pub fn is_needed(state: &impl Read, root: &Hash, holder: &Address) -> bool {
    slice(state, root).files.iter().any(|(_, node)| node == holder)
}

/// What an acknowledgement signs, or `None` if the manifest has no such slice.
pub(crate) fn ack_body(put: &PutFile, manifest: &Manifest, ack: &Ack) -> Option<(StorageAck, PublicKey)> {
    let (carrier, key) = *put.holders.get(usize::from(ack.holder))?;
    let segment = manifest.public.segments.get(usize::try_from(ack.segment).ok()?)?;
    let slice = *segment.slices.get(usize::from(ack.slice))?;
    let bytes = manifest.public.layout(ack.segment.into()).ok()?.slice_bytes();
    Some((StorageAck { chain: put.chain, epoch: ack.epoch, carrier, slice, bytes }, key))
}

/// The record of a file whose signatures were verified.
fn accepted(state: &impl Read, put: &PutFile, manifest: &Manifest) -> Result<File, Refusal> {
    let (owner, id, current) = (put.key.address(), manifest.id(), anchor::current(state).epoch);
    match record(state, &id) {
        Some(Record::Stored(_)) => return Err(Refusal::Never(format!("the file {id} is already stored"))),
        Some(Record::Removed(epoch)) if put.epoch <= epoch => {
            return Err(Refusal::Never(format!("the file {id} was removed in epoch {epoch}, its upload began in epoch {}", put.epoch)));
        }
        Some(Record::Removed(_)) | None => {}
    }
    if allowance::payer(state, &owner).is_none() {
        return Err(Refusal::NotNow(format!("{owner} holds no reservation of ozone and made none in the last {} epochs", anchor::DRAFT_EPOCHS)));
    }
    if count(state, &owner) >= FILES_MAX {
        return Err(Refusal::NotNow(format!("{owner} has {FILES_MAX} files, which is the limit")));
    }
    let registry = anchor::registry(state, put.epoch).ok_or_else(|| {
        Refusal::Never(format!("the upload began in epoch {}, this is epoch {current}: uploads are finished within {} epochs", put.epoch, anchor::DRAFT_EPOCHS))
    })?;
    let mut acks = put.acks.iter().peekable();
    let mut holders = Vec::with_capacity(manifest.public.segments.len());
    for (number, segment) in (0u32..).zip(&manifest.public.segments) {
        let slices = segment.slices.len();
        let nodes = registry.place(&owner, &put.draft, number.into(), slices).map_err(|error| Refusal::NotNow(error.to_string()))?;
        let mut acknowledged = 0u64;
        while let Some(ack) = acks.next_if(|ack| ack.segment == number) {
            let (holder, key) =
                put.holders.get(usize::from(ack.holder)).copied().ok_or_else(|| Refusal::Never(format!("there is no holder {}", ack.holder)))?;
            if nodes.get(usize::from(ack.slice)) != Some(&holder) {
                return Err(Refusal::Never(format!("placement does not put slice {} of segment {number} on {holder}", ack.slice)));
            }
            if registry.carrier(&holder).is_none_or(|carrier| carrier.key != key) {
                return Err(Refusal::Never(format!("{holder} signs with another key than {key}")));
            }
            if ack.epoch < put.epoch || ack.epoch > current.next() {
                return Err(Refusal::Never(format!("an acknowledgement of epoch {}: the upload began in {}, this is {current}", ack.epoch, put.epoch)));
            }
            acknowledged |= 1u64.checked_shl(ack.slice.into()).unwrap_or(0);
        }
        let (found, needed) = (acknowledged.count_ones(), manifest.public.profile().data.saturating_add(ACK_MARGIN));
        if usize::try_from(found).is_ok_and(|found| found < needed) {
            return Err(Refusal::Never(format!("segment {number} is acknowledged by {found} of {slices} nodes, {needed} are needed")));
        }
        holders.push(Holders { nodes, acknowledged });
    }
    if acks.next().is_some() {
        return Err(Refusal::Never("acknowledgements for segments that the file does not have".into()));
    }
    for root in slices_of(manifest) {
        if slice(state, &root).files.len() >= SLICE_FILES_MAX {
            return Err(Refusal::Never(format!("{SLICE_FILES_MAX} files already need the slice {root}")));
        }
    }
    Ok(File { manifest: manifest.clone(), epoch: put.epoch, holders })
}

/// The distinct slices of a file.
fn slices_of(manifest: &Manifest) -> BTreeSet<Hash> {
    manifest.public.slices().map(|(_, _, root, _)| root).collect()
}

/// Whether the file would be accepted now.
///
/// # Errors
/// [`Refusal`] with the numbers.
pub fn check_put(state: &impl Read, put: &PutFile, manifest: &Manifest) -> Result<(), Refusal> {
    accepted(state, put, manifest).map(|_| ())
}

/// Records a file.
///
/// # Errors
/// [`Refusal`] with the numbers; nothing changes then.
pub(crate) fn put(state: &mut Overlay, put: &PutFile, manifest: &Manifest) -> Result<(), Refusal> {
    let file = accepted(state, put, manifest)?;
    let (id, owner) = (manifest.id(), manifest.public.owner);
    for (segment, slice, root, _) in manifest.public.slices() {
        let holder = usize::try_from(segment).ok().and_then(|segment| file.holders.get(segment)).and_then(|holders| holders.of(slice));
        if let Some(holder) = holder {
            let mut record = self::slice(state, &root);
            if !record.files.contains(&(id, holder)) {
                record.files.push((id, holder));
            }
            write(state, &keys::slice(&root), &record);
        }
    }
    let at = count(state, &owner);
    let page = keys::owner_page(&owner, at / PAGE);
    let mut files: Vec<FileId> = read(state, &page).unwrap_or_default();
    files.push(id);
    write(state, &page, &files);
    write(state, &keys::owner_count(&owner), &at.saturating_add(1));
    write(state, &keys::position(&id), &at);
    write(state, &keys::file(&id), &Record::Stored(Box::new(file)));
    Ok(())
}

/// Whether the owner can remove the file now.
///
/// # Errors
/// [`Refusal`] with what is wrong.
pub fn check_remove(state: &impl Read, remove: &RemoveFile) -> Result<File, Refusal> {
    let (id, current) = (remove.id, anchor::current(state).epoch);
    let file = match record(state, &id) {
        Some(Record::Stored(file)) => *file,
        Some(Record::Removed(epoch)) => return Err(Refusal::Never(format!("the file {id} was removed in epoch {epoch}"))),
        None => return Err(Refusal::Never(format!("there is no file {id}"))),
    };
    let owner = file.manifest.public.owner;
    if remove.key.address() != owner {
        return Err(Refusal::Never(format!("the file {id} belongs to {owner}, not to {}", remove.key.address())));
    }
    if remove.epoch < file.epoch || remove.epoch > current.next() {
        return Err(Refusal::Never(format!("a removal of epoch {}: the file is of epoch {}, this is epoch {current}", remove.epoch, file.epoch)));
    }
    Ok(file)
}

/// Removes a file: its holders may drop the slices that no other file needs.
///
/// # Errors
/// [`Refusal`] with what is wrong; nothing changes then.
pub(crate) fn remove(state: &mut Overlay, remove: &RemoveFile) -> Result<(), Refusal> {
    let file = check_remove(state, remove)?;
    let (id, owner) = (remove.id, file.manifest.public.owner);
    for root in slices_of(&file.manifest) {
        let mut record = slice(state, &root);
        record.files.retain(|(other, _)| *other != id);
        if record.files.is_empty() {
            state.delete(&keys::slice(&root));
        } else {
            write(state, &keys::slice(&root), &record);
        }
    }
    // The owner's last file takes the place of this one.
    let last = count(state, &owner).saturating_sub(1);
    let at: u32 = read(state, &keys::position(&id)).unwrap_or(last);
    let last_page = keys::owner_page(&owner, last / PAGE);
    let mut files: Vec<FileId> = read(state, &last_page).unwrap_or_default();
    let moved = files.pop();
    if files.is_empty() {
        state.delete(&last_page);
    } else {
        write(state, &last_page, &files);
    }
    if let Some(moved) = moved.filter(|moved| *moved != id) {
        let page = keys::owner_page(&owner, at / PAGE);
        let mut files: Vec<FileId> = read(state, &page).unwrap_or_default();
        if let Some(place) = usize::try_from(at % PAGE).ok().and_then(|place| files.get_mut(place)) {
            *place = moved;
        }
        write(state, &page, &files);
        write(state, &keys::position(&moved), &at);
    }
    state.delete(&keys::position(&id));
    write(state, &keys::owner_count(&owner), &last);
    write(state, &keys::file(&id), &Record::Removed(remove.epoch));
    Ok(())
}
