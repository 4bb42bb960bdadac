//! The wallet: a directory of key files, one encrypted secret each, found by name.
//!
//! A key file is readable by its owner only, written in one step (a temporary file that is linked into place when complete and on disk) and never
//! overwritten, so neither a crash nor a second `key new` can lose money. Nothing here asks people or looks at the environment: names, directory and
//! passphrase come from the caller.
//!
//! # In reading order
//! 1. [`name`] what a key may be called.
//! 2. [`seed`] the 32 secret bytes, as words, as digits, and of development keys.
//! 3. [`key_file`] the seed under a passphrase.

pub mod key_file;
pub mod name;
pub mod seed;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use primitives::{AccountKey, Address};
use zeroize::Zeroizing;

pub use key_file::{Cost, KeyFile, KeyFileError};
pub use name::{KeyName, NameError};
pub use seed::{DEV_NAMES, Seed, SeedError, is_dev_name};

/// Ending of key files; the name stands before it.
const EXTENSION: &str = "json";
/// Key files and directories are for their owner alone.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// A directory of key files.
#[derive(Clone, Debug)]
pub struct Wallet {
    directory: PathBuf,
}

/// A key of the wallet, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: KeyName,
    /// Its public key.
    pub key: AccountKey,
    /// Where it is kept.
    pub path: PathBuf,
}

impl Entry {
    /// The account.
    pub fn address(&self) -> Address {
        self.key.address()
    }
}

/// Why the wallet does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// A key of this name is there; key files are never overwritten.
    #[error("a key named `{name}` exists already in {}", path.display())]
    Exists {
        /// The name.
        name: KeyName,
        /// The file.
        path: PathBuf,
    },
    /// No key of this name.
    #[error("no key named `{name}` in {}", directory.display())]
    Missing {
        /// The name.
        name: KeyName,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The operating system refuses.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// The file is no key file, or not opened by this passphrase.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: KeyFileError,
    },
}

impl Wallet {
    /// The wallet in `directory`, which need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where the key files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps `seed` under `name`, encrypted with `passphrase`.
    ///
    /// # Errors
    /// [`WalletError::Exists`] if the name is taken (nothing changes then), [`WalletError::Io`], [`WalletError::File`] for an empty passphrase.
    pub fn create(&self, name: &KeyName, seed: &Seed, passphrase: &str, cost: Cost) -> Result<Entry, WalletError> {
        let path = self.path(name);
        // Looked at first to spare the slow encryption; the link below is what decides.
        if path.exists() {
            return Err(WalletError::Exists { name: name.clone(), path });
        }
        let file = KeyFile::seal(seed, passphrase, cost).map_err(|cause| WalletError::File { path: path.clone(), cause })?;
        self.write(name, &file)?;
        Ok(Entry { name: name.clone(), key: file.key(), path })
    }

    /// The keys, by name. Files that are no key files are errors in their place, so that one damaged file does not hide the others.
    ///
    /// # Errors
    /// [`WalletError::Io`] if the directory cannot be read; one that does not exist is empty.
    pub fn list(&self) -> Result<Vec<Result<Entry, WalletError>>, WalletError> {
        let fail = |cause| WalletError::Io { action: "list", path: self.directory.clone(), cause };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && let Some(Ok(name)) = path.file_stem().and_then(|stem| stem.to_str()).map(str::parse::<KeyName>)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names.iter().map(|name| self.entry(name)).collect())
    }

    /// The key called `name`, without its secret: needs no passphrase.
    ///
    /// # Errors
    /// [`WalletError::Missing`], [`WalletError::Io`], [`WalletError::File`].
    pub fn entry(&self, name: &KeyName) -> Result<Entry, WalletError> {
        let file = self.read(name)?;
        Ok(Entry { name: name.clone(), key: file.key(), path: self.path(name) })
    }

    /// The secret of the key called `name`.
    ///
    /// # Errors
    /// As [`Wallet::entry`]; [`KeyFileError::Locked`] for a wrong passphrase.
    pub fn unlock(&self, name: &KeyName, passphrase: &str) -> Result<Seed, WalletError> {
        self.read(name)?.open(passphrase).map_err(|cause| WalletError::File { path: self.path(name), cause })
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.directory.join(format!("{name}.{EXTENSION}"))
    }

    fn read(&self, name: &KeyName) -> Result<KeyFile, WalletError> {
        let path = self.path(name);
        let fail = |cause| WalletError::Io { action: "read", path: path.clone(), cause };
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(WalletError::Missing { name: name.clone(), directory: self.directory.clone() });
            }
            Err(error) => return Err(fail(error)),
        };
        let mut bytes = Vec::new();
        file.take(key_file::KEY_FILE_BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
        KeyFile::decode(&bytes).map_err(|cause| WalletError::File { path, cause })
    }

    fn write(&self, name: &KeyName, file: &KeyFile) -> Result<(), WalletError> {
        let path = self.path(name);
        let in_directory = |action| move |cause| WalletError::Io { action, path: self.directory.clone(), cause };
        fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.directory).map_err(in_directory("create"))?;
        let partial = Partial::create(&self.directory, name).map_err(in_directory("write into"))?;
        partial.fill(&file.encode()).map_err(|cause| WalletError::Io { action: "write", path: partial.path.clone(), cause })?;
        // A link, unlike a rename, refuses to replace what is there: two processes cannot both win the name.
        match fs::hard_link(&partial.path, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(WalletError::Exists { name: name.clone(), path }),
            Err(cause) => return Err(WalletError::Io { action: "create", path, cause }),
        }
        fs::File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(in_directory("write to disk"))
    }
}

/// A key file that is not in its place yet; removed when dropped.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn create(directory: &Path, name: &KeyName) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let path = directory.join(format!(".{name}.{:016x}", u64::from_le_bytes(random)));
        fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        Ok(Self { path })
    }

    fn fill(&self, bytes: &Zeroizing<Vec<u8>>) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(&self.path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // The key is linked under its own name or was never complete: either way this name is of no use, and a leftover is encrypted.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn wallet() -> (tempfile::TempDir, Wallet) {
        let directory = tempfile::tempdir().unwrap();
        let wallet = Wallet::new(directory.path().join("home/keys"));
        (directory, wallet)
    }

    fn name(text: &str) -> KeyName {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_comes_back_with_its_passphrase_only() {
        let (_directory, wallet) = wallet();
        let seed = Seed::new([7; 32]);
        let entry = wallet.create(&name("mine"), &seed, "correct horse", Cost::TEST).unwrap();
        assert_eq!(entry.address(), seed.secret().address());
        assert_eq!(wallet.entry(&name("mine")).unwrap(), entry);
        assert_eq!(wallet.unlock(&name("mine"), "correct horse").unwrap().secret().address(), entry.address());
        let error = wallet.unlock(&name("mine"), "wrong horse").unwrap_err();
        assert!(matches!(error, WalletError::File { cause: KeyFileError::Locked, .. }), "{error}");
        assert!(matches!(wallet.unlock(&name("yours"), "correct horse"), Err(WalletError::Missing { .. })));
    }

    #[test]
    fn a_name_is_never_taken_twice() {
        let (_directory, wallet) = wallet();
        let first = wallet.create(&name("mine"), &Seed::new([1; 32]), "one", Cost::TEST).unwrap();
        let before = fs::read(&first.path).unwrap();
        assert!(matches!(wallet.create(&name("mine"), &Seed::new([2; 32]), "two", Cost::TEST), Err(WalletError::Exists { .. })));
        // Past the first look too, as when two processes race.
        let other = KeyFile::seal(&Seed::new([2; 32]), "two", Cost::TEST).unwrap();
        assert!(matches!(wallet.write(&name("mine"), &other), Err(WalletError::Exists { .. })));
        assert_eq!(fs::read(&first.path).unwrap(), before);
        assert_eq!(fs::read_dir(wallet.directory()).unwrap().count(), 1, "nothing half done is left");
    }

    #[test]
    fn only_the_owner_reads() {
        let (_directory, wallet) = wallet();
        let entry = wallet.create(&name("mine"), &Seed::new([1; 32]), "one", Cost::TEST).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&entry.path), FILE_MODE);
        assert_eq!(mode(wallet.directory()), DIRECTORY_MODE);
    }

    #[test]
    fn the_list_is_sorted_and_shows_damage() {
        let (_directory, wallet) = wallet();
        assert!(wallet.list().unwrap().is_empty(), "no directory yet");
        for key in ["b", "a"] {
            wallet.create(&name(key), &Seed::new([1; 32]), "one", Cost::TEST).unwrap();
        }
        fs::write(wallet.directory().join("c.json"), "{}").unwrap();
        fs::write(wallet.directory().join("notes.txt"), "not a key").unwrap();
        let list = wallet.list().unwrap();
        let names: Vec<_> = list.iter().map(|entry| entry.as_ref().map(|entry| entry.name.to_string()).map_err(|_| ())).collect();
        assert_eq!(names, [Ok("a".into()), Ok("b".into()), Err(())]);
    }
}
