//! The directory of a store: whose it is, who has it open, and what is wrong with it when it cannot be used.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use primitives::Hash;

use crate::rule::StateRoot;

/// Version of the layout on disk.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// No valid FORMAT file is longer.
const FORMAT_BYTES_MAX: u64 = 4096;

const FORMAT: &str = "FORMAT";
const FORMAT_NEW: &str = "FORMAT.new";
const TITLE: &str = "stratos state";

/// Why a store cannot be opened. Nothing in the directory was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a directory, no permission, or the file system fails.
    #[error("cannot use {path} as a data directory: {cause}", path = path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It can be read but not written.
    #[error("{path} is read-only: {cause}; give this user the right to write there, or choose another directory", path = path.display())]
    ReadOnly {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process, or another store of this process, has it open.
    #[error("{path} is in use by another process; stop that one first, or choose another directory", path = path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Files of somebody else are in it.
    #[error("{path} is not a store: it holds `{file}` but no {FORMAT}; choose an empty directory", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the files.
        file: String,
    },
    /// The FORMAT file is not one.
    #[error("{path} is damaged: {cause}; restore it from a copy, or choose an empty directory and synchronise again", path = path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A newer program wrote it.
    #[error("{path} has format {found}, this program knows format {supported}; use a newer program", path = path.display())]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Version of its layout.
        found: u32,
        /// The newest we know.
        supported: u32,
    },
    /// An older program wrote it.
    #[error("{path} has format {found}, this program knows format {supported}; use the older program, or move this directory away, and nothing beside it, and start again to synchronise", path = path.display())]
    OlderFormat {
        /// The directory.
        path: PathBuf,
        /// Version of its layout.
        found: u32,
        /// The only one we know.
        supported: u32,
    },
    /// It holds the state of another chain.
    #[error("{path} belongs to chain {found}, not to chain {expected}; choose another directory for this chain", path = path.display())]
    OtherChain {
        /// The directory.
        path: PathBuf,
        /// The chain it was made for.
        found: Hash,
        /// The chain it was opened for.
        expected: Hash,
    },
    /// A state was on its way into it.
    #[error("{path} holds a part of a state that was being synchronised; let the node go on with that, or choose an empty directory", path = path.display())]
    Unfinished {
        /// The directory.
        path: PathBuf,
        /// The state that was coming.
        target: StateRoot,
    },
    /// It holds a state, and another one was to come into it.
    #[error("{path} holds a state already; a state is synchronised into an empty directory only", path = path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// RocksDB cannot open it.
    #[error("the database in {path} cannot be opened: {cause}", path = path.display())]
    Database {
        /// The directory.
        path: PathBuf,
        /// What RocksDB said.
        cause: String,
    },
    /// The leaves on disk do not have the recorded root.
    #[error("{path} is damaged: its leaves have root {computed}, its record says {recorded}; restore it from a copy, or synchronise again", path = path.display())]
    Inconsistent {
        /// The directory.
        path: PathBuf,
        /// What the last commit wrote.
        recorded: StateRoot,
        /// What is there.
        computed: StateRoot,
    },
}

/// What FORMAT says.
#[derive(Debug, PartialEq, Eq)]
enum Format {
    /// A layout we know.
    Known { chain: Hash },
    /// Another, of which we read no more than the version.
    Other { version: u32 },
}

impl Format {
    fn text(chain: Hash) -> String {
        format!("{TITLE}\nformat {FORMAT_VERSION}\nchain {chain}\n")
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        let version: u32 = (lines.next()? == TITLE).then(|| lines.next())??.strip_prefix("format ")?.parse().ok()?;
        if version != FORMAT_VERSION {
            return Some(Self::Other { version });
        }
        let chain = lines.next()?.strip_prefix("chain ")?.parse().ok()?;
        let is_whole = Self::text(chain).as_bytes() == bytes;
        is_whole.then_some(Self::Known { chain })
    }
}

/// Takes the directory for `chain`, making it if there is none. It is ours as long as the returned handle is open, and free again however we end.
pub(crate) fn claim(path: &Path, chain: Hash) -> Result<File, OpenError> {
    let unreadable = |cause| OpenError::Unreadable { path: path.to_owned(), cause };
    let read_only = |cause: io::Error| {
        let is_refused = matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
        if is_refused { OpenError::ReadOnly { path: path.to_owned(), cause } } else { unreadable(cause) }
    };
    make(path).map_err(unreadable)?;
    let directory = File::open(path).map_err(unreadable)?;
    directory.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked { path: path.to_owned() },
        TryLockError::Error(cause) => unreadable(cause),
    })?;
    let mut foreign = None;
    let mut has_format = false;
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        has_format |= name == FORMAT;
        if name != FORMAT && name != FORMAT_NEW {
            foreign = Some(name.to_string_lossy().into_owned());
        }
    }
    if has_format {
        check(path, chain)?;
    } else if let Some(file) = foreign {
        return Err(OpenError::Foreign { path: path.to_owned(), file });
    }
    if fs::metadata(path).map_err(unreadable)?.permissions().readonly() {
        return Err(OpenError::ReadOnly { path: path.to_owned(), cause: io::ErrorKind::PermissionDenied.into() });
    }
    if has_format {
        // A file system mounted read-only says so here, not in the middle of the first commit.
        OpenOptions::new().append(true).open(path.join(FORMAT)).map_err(read_only)?;
    } else {
        begin(path, chain, &directory).map_err(read_only)?;
    }
    Ok(directory)
}

/// Makes the directory and what leads to it, durably: a commit must not be lost because its directory was.
fn make(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists()).collect();
    fs::create_dir_all(path)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Whether the FORMAT file of a used directory lets us in.
fn check(path: &Path, chain: Hash) -> Result<(), OpenError> {
    let file = path.join(FORMAT);
    let damaged = |cause: &str| OpenError::Damaged { path: path.to_owned(), cause: cause.to_owned() };
    let unreadable = |cause| OpenError::Unreadable { path: file.clone(), cause };
    if fs::metadata(&file).map_err(unreadable)?.len() > FORMAT_BYTES_MAX {
        return Err(damaged("its FORMAT file is far too long"));
    }
    match Format::parse(&fs::read(&file).map_err(unreadable)?) {
        None => Err(damaged("its FORMAT file says nothing we know")),
        Some(Format::Other { version: found }) if found > FORMAT_VERSION => {
            Err(OpenError::NewerFormat { path: path.to_owned(), found, supported: FORMAT_VERSION })
        }
        Some(Format::Other { version: found }) => Err(OpenError::OlderFormat { path: path.to_owned(), found, supported: FORMAT_VERSION }),
        Some(Format::Known { chain: found }) if found != chain => Err(OpenError::OtherChain { path: path.to_owned(), found, expected: chain }),
        Some(Format::Known { .. }) => Ok(()),
    }
}

/// Writes FORMAT into an empty directory: whole or not at all, and before anything else.
fn begin(path: &Path, chain: Hash, directory: &File) -> io::Result<()> {
    let new = path.join(FORMAT_NEW);
    let mut file = File::create(&new)?;
    file.write_all(Format::text(chain).as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path.join(FORMAT))?;
    directory.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHAIN: Hash = Hash([1; 32]);

    #[test]
    fn golden() {
        let text = format!("stratos state\nformat 2\nchain {}\n", "01".repeat(32));
        assert_eq!(Format::text(CHAIN), text);
        assert_eq!(Format::parse(text.as_bytes()), Some(Format::Known { chain: CHAIN }));
        assert_eq!(Format::parse(b"stratos state\nformat 1\nchain"), Some(Format::Other { version: 1 }));
        assert_eq!(Format::parse(b"stratos state\nformat 7\nanything"), Some(Format::Other { version: 7 }));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            prop_assert_eq!(Format::parse(&bytes), None);
            let mut near = Format::text(CHAIN).into_bytes();
            let at = at.index(near.len());
            near[at] ^= flip;
            prop_assert_ne!(Format::parse(&near), Some(Format::Known { chain: CHAIN }));
        }
    }

    #[test]
    fn refusals() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/er");
        let open = claim(&path, CHAIN).unwrap();
        assert!(matches!(claim(&path, CHAIN), Err(OpenError::Locked { .. })));
        drop(open);
        drop(claim(&path, CHAIN).unwrap());
        let other = claim(&path, Hash([2; 32])).unwrap_err().to_string();
        assert!(other.contains(&"01".repeat(32)) && other.contains(&"02".repeat(32)), "{other}");
        fs::write(path.join(FORMAT), "stratos state\nformat 3\n").unwrap();
        assert!(matches!(claim(&path, CHAIN), Err(OpenError::NewerFormat { found: 3, supported: 2, .. })));
        fs::write(path.join(FORMAT), "stratos state\nformat 2\nchain 12\n").unwrap();
        assert!(matches!(claim(&path, CHAIN), Err(OpenError::Damaged { .. })));
        fs::write(path.join(FORMAT), vec![b'a'; 5000]).unwrap();
        assert!(matches!(claim(&path, CHAIN), Err(OpenError::Damaged { .. })));
        assert!(matches!(claim(&path.join(FORMAT), CHAIN), Err(OpenError::Unreadable { .. })));

        let foreign = parent.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("photo.jpg"), "").unwrap();
        assert!(matches!(claim(&foreign, CHAIN), Err(OpenError::Foreign { file, .. }) if file == "photo.jpg"));
        assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1, "a refusal changes nothing");
    }

    /// A crash between any two steps of the beginning leaves a directory that begins again.
    #[test]
    fn half_begun() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join(FORMAT_NEW), "strat").unwrap();
        drop(claim(parent.path(), CHAIN).unwrap());
        assert_eq!(fs::read_to_string(parent.path().join(FORMAT)).unwrap(), Format::text(CHAIN));
    }

    #[test]
    fn read_only() {
        let parent = tempfile::tempdir().unwrap();
        let mut rights = fs::metadata(parent.path()).unwrap().permissions();
        let before = rights.clone();
        rights.set_readonly(true);
        fs::set_permissions(parent.path(), rights).unwrap();
        let result = claim(parent.path(), CHAIN);
        fs::set_permissions(parent.path(), before).unwrap();
        assert!(matches!(result, Err(OpenError::ReadOnly { .. })));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
