//! Who pays and who signs: a key of the wallet, a development key on a network that says it is one, or several keys that are named in a file.

use std::path::{Path, PathBuf};

use chain::Authority;
use client::wallet::{DEV_NAMES, KeyName, Seed, Wallet, WalletError, is_dev_name};
use primitives::{AccountKey, AccountSecret, Address, SecretKey};

use super::Context;
use super::args::{How, Party};
use super::failure::Failure;
use super::{key, multisig, passphrase};

/// Directory of the wallet below the home directory, if none is given.
const HOME: &str = ".stratos";
/// Key files in the wallet's directory.
const KEYS: &str = "keys";

/// Whoever signs.
pub struct Signer {
    /// What all of its secrets come from: the account's, and the keys of its files.
    pub seed: Seed,
    /// The account's secret.
    pub secret: AccountSecret,
}

impl Signer {
    fn new(seed: Seed) -> Self {
        let secret = seed.secret();
        Self { seed, secret }
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.secret.address()
    }
}

/// Where the key that a node signs with comes from.
pub enum Source<'a> {
    /// The wallet, or the development network.
    Name(&'a KeyName),
    /// A file with its words or digits.
    File(&'a Path),
}

/// Whoever pays: an account, without a secret of it.
pub struct Payer {
    /// What people call it.
    pub name: String,
    /// Its keys.
    pub authority: Authority,
}

impl Payer {
    /// The account.
    pub fn address(&self) -> Address {
        self.authority.address()
    }
}

/// The wallet of these options.
///
/// # Errors
/// [`Failure`] if no directory is given and there is no home directory.
pub fn wallet(home: Option<PathBuf>) -> Result<Wallet, Failure> {
    let home = match home {
        Some(home) => home,
        None => std::env::home_dir()
            .filter(|home| !home.as_os_str().is_empty())
            .ok_or_else(|| Failure::refused("no home directory to look for keys in").hint("set STRATOS_HOME to a directory"))?
            .join(HOME),
    };
    Ok(Wallet::new(home.join(KEYS)))
}

/// A refusal of the wallet, with what to do next.
pub fn wallet_failure(error: &WalletError) -> Failure {
    let failure = Failure::refused(error);
    match error {
        WalletError::Exists { name, .. } => failure.hint(format!("choose another name, or look at it with `stratos key show {name}`")),
        WalletError::Missing { .. } => failure.hint("`stratos key list` shows the keys, `stratos key new NAME` makes one"),
        WalletError::Io { .. } | WalletError::File { .. } => failure,
    }
}

impl Context {
    /// Who pays: by `--from`, else by `--key`. Needs no passphrase.
    ///
    /// # Errors
    /// [`Failure`] if nobody is named, the file holds no keys, or an account of several keys is to pay at once.
    pub fn payer(&self, how: &How, is_dev: bool) -> Result<Payer, Failure> {
        if let Some(path) = &how.from {
            if how.unsigned.is_none() && !how.dry_run {
                return Err(Failure::misused("several keys cannot sign at once")
                    .hint("add `--unsigned FILE` and let each key's holder sign that with `stratos tx sign FILE`, or look first with `--dry-run`"));
            }
            let authority = multisig::read_authority(path)?;
            return Ok(Payer { name: path.display().to_string(), authority });
        }
        let name = self.key.as_ref().ok_or_else(|| no_key("who signs?"))?;
        Ok(Payer { name: name.to_string(), authority: self.public_key(name, || Ok(is_dev))?.into() })
    }

    /// Who signs, by `--key`. Only for a key that is not in the wallet it matters whether the network is one of development.
    ///
    /// # Errors
    /// [`Failure`] if no key is named, there is none of that name, or its passphrase is wrong.
    pub fn signer(&self, is_dev: impl FnOnce() -> Result<bool, Failure>) -> Result<Signer, Failure> {
        let name = self.key.clone().ok_or_else(|| no_key("who signs?"))?;
        let wallet = self.wallet()?;
        match wallet.entry(&name) {
            Ok(_) => {
                let passphrase = passphrase::ask(self.passphrase_file.as_deref(), name.as_str())?;
                let seed = wallet.unlock(&name, &passphrase).map_err(|error| wallet_failure(&error))?;
                Ok(Signer::new(seed))
            }
            Err(error @ WalletError::Missing { .. }) => {
                let seed = dev_seed(&name, is_dev()?, &error)?;
                Ok(Signer::new(seed))
            }
            Err(error) => Err(wallet_failure(&error)),
        }
    }

    /// The key that a node signs with. Of one that is not in the wallet but has a name of the development network, `is_dev` says whether it is one there.
    ///
    /// # Errors
    /// [`Failure`] if there is no such key or file, or its passphrase is wrong.
    pub fn node_key(&self, source: &Source, is_dev: impl FnOnce(&KeyName) -> Result<bool, Failure>) -> Result<SecretKey, Failure> {
        let of_seed = |seed: &Seed| SecretKey::from_seed(seed.as_bytes());
        let name = match source {
            Source::File(path) => return key::read(Some(path)).map(|seed| of_seed(&seed)),
            Source::Name(name) => *name,
        };
        let wallet = self.wallet()?;
        match wallet.entry(name) {
            Ok(_) => {
                let passphrase = passphrase::ask(self.passphrase_file.as_deref(), name.as_str())?;
                wallet.unlock(name, &passphrase).map(|seed| of_seed(&seed)).map_err(|error| wallet_failure(&error))
            }
            Err(WalletError::Missing { .. }) if is_dev_name(name.as_str()) && is_dev(name)? => Ok(crate::dev::consensus_key(name.as_str())),
            Err(error) => Err(wallet_failure(&error)),
        }
    }

    /// The account that is meant: as named, or without a name that of `--key`. Needs no passphrase.
    ///
    /// # Errors
    /// [`Failure`] if nothing is named or there is no key of that name.
    pub fn account(&self, who: Option<&Party>) -> Result<Address, Failure> {
        let name = match who {
            Some(Party::Address(address)) => return Ok(*address),
            Some(Party::Name(name)) => name,
            None => self.key.as_ref().ok_or_else(|| no_key("whose account?"))?,
        };
        self.public_key(name, || self.has_dev_key(name)).map(|key| key.address())
    }

    /// The public key of this name. Needs no passphrase.
    ///
    /// # Errors
    /// [`Failure`] if there is none of that name.
    pub fn public_key(&self, name: &KeyName, is_dev: impl FnOnce() -> Result<bool, Failure>) -> Result<AccountKey, Failure> {
        match self.wallet()?.entry(name) {
            Ok(entry) => Ok(entry.key),
            Err(error @ WalletError::Missing { .. }) => dev_seed(name, is_dev()?, &error).map(|seed| seed.secret().key()),
            Err(error) => Err(wallet_failure(&error)),
        }
    }

    /// Whether the network has development keys of which this could be one; the node is asked only if the name could be.
    ///
    /// # Errors
    /// [`Failure`] if the node is asked and does not answer.
    pub fn has_dev_key(&self, name: &KeyName) -> Result<bool, Failure> {
        Ok(is_dev_name(name.as_str()) && self.status()?.dev)
    }
}

fn no_key(question: &str) -> Failure {
    Failure::misused(format!("{question} no key is named")).hint("give `--key NAME` or set STRATOS_KEY; on a development network `--key alice` is funded")
}

/// The seed of a development key, only where everybody may know it.
fn dev_seed(name: &KeyName, dev: bool, missing: &WalletError) -> Result<Seed, Failure> {
    match (is_dev_name(name.as_str()), dev) {
        (true, true) => Ok(Seed::dev(name.as_str())),
        (true, false) => Err(Failure::refused(format!("{missing}; `{name}` is a development key, and this node is not of a development network"))),
        (false, true) => {
            Err(Failure::refused(missing).hint(format!("this network funds {}; `stratos key new {name}` makes a key of that name", DEV_NAMES.join(", "))))
        }
        (false, false) => Err(wallet_failure(missing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_keys_are_for_development_networks() {
        let missing = |name: &str| WalletError::Missing { name: name.parse().unwrap(), directory: "keys".into() };
        let seed = |name: &str, dev| dev_seed(&name.parse().unwrap(), dev, &missing(name)).map(|seed| *seed.as_bytes());
        assert_eq!(seed("alice", true), Ok(*Seed::dev("alice").as_bytes()));
        assert!(seed("alice", false).unwrap_err().message().contains("not of a development network"));
        assert!(seed("alcie", true).unwrap_err().message().contains("no key named `alcie`"));
        assert!(seed("alcie", false).is_err());
    }
}
