//! The file index from the user's side: what is recorded, what a user's files are called, and removing them.

use std::time::Duration;

use meta::files::{File, Record, RemoveFile};
use meta::{Transaction, keys};
use primitives::{Address, Height};
use storage::manifest::{Details, FileId};
use storage::{FileKey, OwnerSecret};
use tokio::time::{Instant, sleep};

use super::{Capability, Files, FilesError};
use crate::ledger::LedgerError;
use crate::session::SessionError;

/// How long the metadata ledger may take to make a change final.
const FINAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two looks at a record.
const PAUSE: Duration = Duration::from_millis(50);
/// Records read at once; a record can be a megabyte.
const RECORDS_AT_ONCE: usize = 4;

/// A file with the key that opens it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its id.
    pub id: FileId,
    /// Its record, proven.
    pub file: File,
    /// Its key.
    pub key: FileKey,
    /// Name, type and time.
    pub details: Details,
}

/// One of an owner's files.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: FileId,
    /// Its record, proven.
    pub file: File,
    /// Name, type and time, if the secret opens it.
    pub details: Option<Details>,
    /// The capability, if the secret opens it.
    pub capability: Option<Capability>,
}

impl Files {
    /// The record of a file, proven.
    ///
    /// # Errors
    /// [`FilesError::NotFound`], [`FilesError::Removed`], or the ledger gives no answer.
    pub async fn stat(&self, id: &FileId) -> Result<File, FilesError> {
        self.records(std::slice::from_ref(id)).await?.pop().unwrap_or(Err(FilesError::NotFound(*id)))
    }

    async fn records(&self, ids: &[FileId]) -> Result<Vec<Result<File, FilesError>>, FilesError> {
        let wanted = ids.iter().map(keys::file).collect();
        let reading = self.session().network().meta.read(wanted).await?;
        let record = |id: &FileId| match reading.value::<Record>(&keys::file(id)) {
            Some(Record::Stored(file)) => Ok(*file),
            Some(Record::Removed(_)) => Err(FilesError::Removed(*id)),
            None => Err(FilesError::NotFound(*id)),
        };
        Ok(ids.iter().map(record).collect())
    }

    /// Opens a file with its owner's secret, or that of one it is shared with.
    ///
    /// # Errors
    /// As [`Files::stat`], and [`FilesError::Key`].
    pub async fn open(&self, id: &FileId, secret: &OwnerSecret) -> Result<Opened, FilesError> {
        let file = self.stat(id).await?;
        let opened = file.manifest.open(secret).map_err(|cause| FilesError::Key { id: *id, cause })?;
        Ok(Opened { id: *id, file, key: opened.key, details: opened.details })
    }

    /// Opens a file with a capability.
    ///
    /// # Errors
    /// As [`Files::stat`], and [`FilesError::Key`].
    pub async fn open_with(&self, capability: &Capability) -> Result<Opened, FilesError> {
        let Capability { id, key } = capability.clone();
        let file = self.stat(&id).await?;
        let opened = file.manifest.open_with(key).map_err(|cause| FilesError::Key { id, cause })?;
        Ok(Opened { id, file, key: opened.key, details: opened.details })
    }

    /// The files of an owner, in no particular order, with their names where `secret` opens them.
    ///
    /// # Errors
    /// The ledger gives no answer.
    pub async fn list(&self, owner: &Address, secret: Option<&OwnerSecret>) -> Result<Vec<Listed>, FilesError> {
        let meta = &self.session().network().meta;
        let count: u32 = meta.read(vec![keys::owner_count(owner)]).await?.value(&keys::owner_count(owner)).unwrap_or(0);
        let pages: Vec<Vec<u8>> = (0..count.div_ceil(meta::files::PAGE)).map(|page| keys::owner_page(owner, page)).collect();
        let mut ids = Vec::new();
        for pages in pages.chunks(chain::ledger::proven::KEYS_MAX) {
            let reading = meta.read(pages.to_vec()).await?;
            ids.extend(pages.iter().flat_map(|page| reading.value::<Vec<FileId>>(page).unwrap_or_default()));
        }
        let mut listed = Vec::with_capacity(ids.len());
        for ids in ids.chunks(RECORDS_AT_ONCE) {
            for (id, file) in ids.iter().zip(self.records(ids).await?) {
                // Removed between the two readings.
                let Ok(file) = file else { continue };
                let opened = secret.and_then(|secret| file.manifest.open(secret).ok());
                let capability = opened.as_ref().map(|opened| Capability { id: *id, key: opened.key.clone() });
                listed.push(Listed { id: *id, file, details: opened.map(|opened| opened.details), capability });
            }
        }
        Ok(listed)
    }

    /// Removes a file of the session's payer: its holders drop the slices, and nobody finds it any more. Final when it returns.
    ///
    /// # Errors
    /// As [`Files::stat`]; the ledger refuses if the file belongs to another.
    pub async fn remove(&self, id: &FileId) -> Result<Height, FilesError> {
        let (session, network) = (self.session(), self.session().network());
        self.stat(id).await?;
        let epoch = session.anchor().await?.epoch;
        let remove = RemoveFile { chain: network.chain(), key: session.wallet().key(), id: *id, epoch };
        let transaction = Transaction::remove_file(remove, session.wallet()).encode();
        self.make_final(*id, transaction, |record| matches!(record, Some(Record::Removed(_)))).await
    }

    /// Hands over a transaction that changes the record of a file, and waits until it is final and the record is proven to be as `is_done` wants it: that a
    /// transaction is final is one replica's word.
    pub(super) async fn make_final(&self, id: FileId, transaction: Vec<u8>, is_done: impl Fn(Option<&Record>) -> bool) -> Result<Height, FilesError> {
        let meta = &self.session().network().meta;
        let end = Instant::now() + FINAL_TIMEOUT;
        let unconfirmed = |cause: LedgerError| match cause {
            LedgerError::Unreachable { .. } | LedgerError::Late { .. } => SessionError::Unconfirmed { file: id, cause },
            LedgerError::NoReplica { .. } | LedgerError::Conflict { .. } | LedgerError::Refused { .. } | LedgerError::Failed { .. } => cause.into(),
        };
        let hash = meta.submit(transaction).await.map_err(unconfirmed)?;
        let (height, _) = meta.wait(hash, FINAL_TIMEOUT).await.map_err(unconfirmed)?;
        let key = keys::file(&id);
        loop {
            let cause = match meta.read(vec![key.clone()]).await {
                Ok(reading) if is_done(reading.value(&key).as_ref()) => return Ok(height),
                Ok(_) => LedgerError::Late { hash, after: FINAL_TIMEOUT },
                Err(cause) => cause,
            };
            if Instant::now() >= end {
                return Err(unconfirmed(cause).into());
            }
            sleep(PAUSE).await;
        }
    }
}
