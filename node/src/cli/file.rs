//! `file put|get|ls|stat|rm`: what is checked before bytes move, and what is said after.
//!
//! The bytes themselves are moved by the functions of [`super::transfer`], which each command is given.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use client::files::Weakest;
use primitives::{Bytes, Hash, Noz};
use serde::Serialize;
use serde_json::json;
use tempfile::NamedTempFile;

use super::Context;
use super::args::Party;
use super::failure::Failure;
use super::output::{self, Align};
use super::progress::{Display, Progress};
use super::signer::Signer;
use crate::http::views;

/// Mode of a file that was brought back, before the user's umask.
const OUTPUT_MODE: u32 = 0o666;

/// A file to store: checked, open for reading.
pub struct Put<'a> {
    /// What to read.
    pub source: File,
    /// Its length now.
    pub bytes: Bytes,
    /// Its name, without directories; only the owner will be able to read it.
    pub name: String,
    /// Who owns and pays.
    pub signer: &'a Signer,
    /// How to ask the node.
    pub context: &'a Context,
}

/// A file that was stored: its record is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Its id.
    pub file_id: Hash,
    /// Where this node's gateway shows it; carries the capability to decrypt it.
    pub url: String,
    /// Its length.
    pub bytes: Bytes,
    /// Length of all its slices.
    pub stored_bytes: Bytes,
    /// Ozone charged for storing it.
    pub charged_noz: Noz,
    /// Slices that no node took: the code makes up for them, and fewer nodes may be lost.
    pub missing_slices: usize,
    /// The segment that the fewest nodes hold, if one lacks a slice.
    #[serde(skip)]
    pub weakest: Option<Weakest>,
}

impl Stored {
    /// What people must know if slices are missing.
    fn warning(&self) -> Option<String> {
        let Weakest { segment, found, slices, needed } = self.weakest?;
        let (now, meant) = (found.saturating_sub(needed), slices.saturating_sub(needed));
        Some(format!(
            "{found} of {slices} nodes hold segment {segment}: it survives the loss of {now} more, not {meant}; {} of the file's slices found no node",
            self.missing_slices
        ))
    }
}

/// A file to bring back.
pub struct Get<'a> {
    /// Its id.
    pub id: Hash,
    /// Where to write it: empty, open for reading and writing, at any position.
    pub target: File,
    /// What the user calls that place.
    pub out: &'a Path,
    /// Who owns and pays.
    pub signer: &'a Signer,
    /// How to ask the node.
    pub context: &'a Context,
}

/// A file that was brought back: verified and complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its length.
    pub bytes: Bytes,
    /// Ozone charged for moving it.
    pub charged_noz: Noz,
}

/// A file to remove from the index.
pub struct Remove<'a> {
    /// Its id.
    pub id: Hash,
    /// Its owner.
    pub signer: &'a Signer,
    /// How to ask the node.
    pub context: &'a Context,
}

/// Runs `file put`; `transfer` moves the bytes.
///
/// # Errors
/// [`Failure`] if the file cannot be read, or the transfer fails.
pub fn put(
    path: &Path,
    context: &Context,
    transfer: impl FnOnce(Put<'_>, &mut (dyn FnMut(Progress) + Send)) -> Result<Stored, Failure>,
) -> Result<(), Failure> {
    let (source, bytes) = open(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let status = context.status()?;
    let signer = context.signer(|| Ok(status.dev))?;
    let mut display = Display::new();
    let stored = transfer(Put { source, bytes, name, signer: &signer, context }, &mut |progress| display.show(progress));
    display.finish();
    let stored = stored?;
    output::print(context.json, &stored, || {
        let mut fields = vec![
            ("file", stored.file_id.to_string()),
            ("size", output::bytes(stored.bytes)),
            ("stored", output::bytes(stored.stored_bytes)),
            ("charged", output::ozone(stored.charged_noz)),
            ("url", stored.url.clone()),
        ];
        fields.extend(stored.warning().map(|warning| ("warning", warning)));
        output::fields(&fields)
    })
}

/// Runs `file get`; `transfer` moves the bytes. Either all of the file is at `out` afterwards, or nothing has changed there.
///
/// # Errors
/// [`Failure`] if the place cannot be written, or the transfer fails.
pub fn get(
    id: Hash,
    out: &Path,
    force: bool,
    context: &Context,
    transfer: impl FnOnce(Get<'_>, &mut (dyn FnMut(Progress) + Send)) -> Result<Fetched, Failure>,
) -> Result<(), Failure> {
    check_place(out, force)?;
    let status = context.status()?;
    let signer = context.signer(|| Ok(status.dev))?;
    // Not before: while somebody types a passphrase, an interrupt would leave the partial file.
    let target = Target::prepare(out, force)?;
    let mut display = Display::new();
    let fetched = target.file().and_then(|file| transfer(Get { id, target: file, out, signer: &signer, context }, &mut |progress| display.show(progress)));
    display.finish();
    let fetched = fetched?;
    target.finish(fetched.bytes)?;
    let value = json!({"file_id": id, "path": out.to_string_lossy(), "bytes": fetched.bytes, "charged_noz": fetched.charged_noz});
    output::print(context.json, &value, || {
        output::fields(&[("written", out.display().to_string()), ("size", output::bytes(fetched.bytes)), ("charged", output::ozone(fetched.charged_noz))])
    })
}

/// Runs `file rm`; `transfer` removes the record, which is final afterwards.
///
/// # Errors
/// [`Failure`] if the file is unknown, or owned by somebody else.
pub fn remove(id: Hash, context: &Context, transfer: impl FnOnce(Remove<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
    let status = context.status()?;
    let signer = context.signer(|| Ok(status.dev))?;
    transfer(Remove { id, signer: &signer, context })?;
    output::print(context.json, &json!({"file_id": id, "removed": true}), || format!("removed {id}"))
}

/// A file of one's own, as its key shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Own {
    /// Its id.
    pub file_id: Hash,
    /// Its name; none if the key does not open it.
    pub name: Option<String>,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// When it was stored, by the owner's clock: milliseconds since the Unix epoch.
    pub created_ms: Option<u64>,
    /// Its length.
    pub bytes: Bytes,
    /// Length of all its slices.
    pub stored_bytes: Bytes,
    /// Where this node's gateway shows it.
    pub url: Option<String>,
}

/// Runs `file ls`: one's own files with their names, or what everybody may know of an owner's or all files.
///
/// # Errors
/// [`Failure`] if the node refuses.
pub fn list(owner: Option<&Party>, limit: u32, context: &Context, own: impl FnOnce(&Signer) -> Result<Vec<Own>, Failure>) -> Result<(), Failure> {
    if owner.is_none() && context.key.is_some() {
        let signer = context.signer(|| context.status().map(|status| status.dev))?;
        let mut files = own(&signer)?;
        files.sort_by_key(|file| std::cmp::Reverse(file.created_ms));
        files.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        return output::print(context.json, &files, || {
            if files.is_empty() {
                return format!("no files of {}", signer.address());
            }
            let columns = [("file", Align::Left), ("name", Align::Left), ("size", Align::Right), ("stored", Align::Right)];
            let row = |file: &Own| [file.file_id.to_string(), file.name.clone().unwrap_or_default(), output::size(file.bytes), output::size(file.stored_bytes)];
            output::table(columns, &files.iter().map(row).collect::<Vec<_>>())
        });
    }
    let owner = owner.map(|owner| context.account(Some(owner))).transpose()?;
    let of = owner.map(|owner| format!("owner={owner}&")).unwrap_or_default();
    let files: Vec<views::File> = context.node.get(&format!("/v1/files?{of}limit={limit}"))?;
    output::print(context.json, &files, || {
        if files.is_empty() {
            return owner.map_or_else(|| "no files".into(), |owner| format!("no files of {owner}"));
        }
        let columns = [("file", Align::Left), ("size", Align::Right), ("stored", Align::Right), ("created", Align::Left)];
        let rows: Vec<_> = files
            .iter()
            .map(|file| [file.file_id.to_string(), output::size(file.bytes), output::size(file.stored_bytes), output::time(file.created_ms)])
            .collect();
        output::table(columns, &rows)
    })
}

/// Runs `file stat`.
///
/// # Errors
/// [`Failure`] if the file is unknown.
pub fn stat(id: Hash, context: &Context) -> Result<(), Failure> {
    let file: views::File = context.node.get(&format!("/v1/files/{id}"))?;
    output::print(context.json, &file, || {
        let mut holders: Vec<_> = file.holders.iter().flatten().collect();
        holders.sort();
        holders.dedup();
        let mut fields = vec![
            ("file", file.file_id.to_string()),
            ("owner", file.owner.to_string()),
            ("size", output::bytes(file.bytes)),
            ("stored", output::bytes(file.stored_bytes)),
            ("profile", file.profile.clone()),
            ("segments", file.segments.to_string()),
            ("created", format!("{} in block {}", output::time(file.created_ms), file.height)),
        ];
        fields.extend(holders.iter().enumerate().map(|(at, holder)| (if at == 0 { "holders" } else { "" }, holder.to_string())));
        output::fields(&fields)
    })
}

/// A regular file that can be read, and its length.
fn open(path: &Path) -> Result<(File, Bytes), Failure> {
    let shown = path.display();
    let cannot = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            return Failure::refused(format!("there is no file {shown}")).hint("check the path");
        }
        Failure::refused(format!("cannot read {shown}: {error}"))
    };
    let metadata = fs::metadata(path).map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Failure::refused(format!("{shown} is a directory, a file is needed")).hint(format!("pack it first: `tar cf files.tar {shown}`")));
    }
    if !metadata.is_file() {
        return Err(Failure::refused(format!("{shown} is no regular file: its length is not known before it is read")).hint("write it to a file first"));
    }
    let file = File::open(path).map_err(cannot)?;
    Ok((file, Bytes(metadata.len())))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// The directory of a place where a file can be written.
fn check_place(path: &Path, force: bool) -> Result<&Path, Failure> {
    let shown = path.display();
    if path.file_name().is_none() {
        return Err(Failure::refused(format!("{shown} is no name for a file")).hint("give `--out` a file name"));
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Failure::refused(format!("{shown} is a directory")).hint(format!("name the file: `--out {}`", path.join("NAME").display())));
        }
        // Replacing a device or a socket by a file is never meant.
        Ok(metadata) if !metadata.is_file() => return Err(Failure::refused(format!("{shown} is no regular file, it is not replaced"))),
        Ok(_) if !force => return Err(already(path)),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::refused(format!("cannot look at {shown}: {error}"))),
    }
    let directory = directory_of(path);
    if !directory.is_dir() {
        return Err(
            Failure::refused(format!("there is no directory {}", directory.display())).hint(format!("make it first: `mkdir -p {}`", directory.display()))
        );
    }
    Ok(directory)
}

/// Where a file will be: written beside its place and moved there when complete, so that nobody ever sees half of it. Dropped before that, it is gone.
struct Target {
    partial: NamedTempFile,
    path: PathBuf,
    force: bool,
}

impl Target {
    fn prepare(path: &Path, force: bool) -> Result<Self, Failure> {
        let directory = check_place(path, force)?;
        let partial = tempfile::Builder::new()
            .prefix(".stratos-")
            .suffix(".part")
            .permissions(Permissions::from_mode(OUTPUT_MODE))
            .tempfile_in(directory)
            .map_err(|error| Failure::refused(format!("cannot write into {}: {error}", directory.display())))?;
        Ok(Self { partial, path: path.into(), force })
    }

    fn file(&self) -> Result<File, Failure> {
        self.partial.as_file().try_clone().map_err(|error| self.cannot_write(&error))
    }

    /// Moves the complete file to its place.
    fn finish(self, bytes: Bytes) -> Result<(), Failure> {
        let length = self.partial.as_file().sync_all().and_then(|()| self.partial.as_file().metadata()).map_err(|error| self.cannot_write(&error))?.len();
        if length != bytes.0 {
            return Err(Failure::refused(format!("{length} bytes were written of a file of {} bytes; nothing was kept", bytes.0))
                .hint("is another program writing to the directory? try again"));
        }
        let Self { partial, path, force } = self;
        let moved = if force { partial.persist(&path) } else { partial.persist_noclobber(&path) };
        moved.map_err(|error| {
            if error.error.kind() == io::ErrorKind::AlreadyExists {
                return already(&path);
            }
            Failure::refused(format!("cannot write {}: {}", path.display(), error.error))
        })?;
        // The name is in the directory, and lasts when that is synced.
        let directory = directory_of(&path);
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Failure::refused(format!("{} is written, but its directory cannot be synced: {error}", path.display())))
    }

    fn cannot_write(&self, error: &io::Error) -> Failure {
        Failure::refused(format!("cannot write {}: {error}", self.path.display()))
    }
}

fn already(path: &Path) -> Failure {
    Failure::refused(format!("{} exists already", path.display())).hint("choose another name, or replace it with `--force`")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn who_lost_a_slice_is_told_what_is_left() {
        let weakest = Weakest { segment: 3, found: 5, slices: 6, needed: 4 };
        let stored = |weakest: Option<Weakest>| Stored {
            file_id: Hash::ZERO,
            url: String::new(),
            bytes: Bytes(1),
            stored_bytes: Bytes(5),
            charged_noz: Noz(5),
            missing_slices: weakest.map_or(0, |_| 7),
            weakest,
        };
        assert_eq!(stored(None).warning(), None);
        let expected = "5 of 6 nodes hold segment 3: it survives the loss of 1 more, not 2; 7 of the file's slices found no node";
        assert_eq!(stored(Some(weakest)).warning().as_deref(), Some(expected));
        assert_eq!(serde_json::to_value(stored(Some(weakest))).unwrap()["missing_slices"], 7);
    }

    #[test]
    fn only_readable_files_are_stored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        assert!(open(&path).unwrap_err().message().starts_with("there is no file"));
        assert!(open(directory.path()).unwrap_err().message().contains("is a directory"));
        assert!(open(Path::new("/dev/null")).unwrap_err().message().contains("no regular file"));
        fs::write(&path, b"").unwrap();
        assert_eq!(open(&path).unwrap().1, Bytes(0));
        fs::write(&path, b"x").unwrap();
        assert_eq!(open(&path).unwrap().1, Bytes(1));
    }

    #[test]
    fn a_place_is_checked_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"mine").unwrap();
        let refused = |path: &Path, force| Target::prepare(path, force).map(|_| ()).unwrap_err().message().to_owned();
        assert!(refused(&path, false).contains("exists already"));
        assert!(refused(directory.path(), true).contains("is a directory"));
        assert!(refused(&directory.path().join("b/c"), false).contains("there is no directory"));
        assert!(refused(&path.join("c"), false).contains("a/c"));
        assert!(refused(Path::new("/dev/null"), true).contains("no regular file"));
        assert!(refused(Path::new(".."), true).contains("no name"));
        assert_eq!(names(directory.path()), ["a"]);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn all_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let write = |force: bool, bytes: u64| {
            let target = Target::prepare(&path, force)?;
            target.file()?.write_all(b"four").unwrap();
            target.finish(Bytes(bytes))
        };
        assert!(write(false, 5).unwrap_err().message().contains("4 bytes were written of a file of 5"));
        drop(Target::prepare(&path, false).unwrap());
        assert!(names(directory.path()).is_empty(), "a transfer that failed leaves nothing");
        write(false, 4).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"four");
        // Somebody else takes the name while the bytes move.
        let late = Target::prepare(&directory.path().join("b"), false).unwrap();
        fs::write(directory.path().join("b"), b"theirs").unwrap();
        assert!(late.finish(Bytes(0)).unwrap_err().message().contains("exists already"));
        assert_eq!(fs::read(directory.path().join("b")).unwrap(), b"theirs");
        fs::write(&path, b"older").unwrap();
        write(true, 4).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"four");
        assert_eq!(names(directory.path()), ["a", "b"]);
    }
}
