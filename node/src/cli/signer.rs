//! Who signs: a key of the wallet, or a development key on a network that says it is one.

use std::path::PathBuf;

use client::wallet::{DEV_NAMES, KeyName, Seed, Wallet, WalletError, is_dev_name};
use primitives::{AccountSecret, Address};

use super::Context;
use super::args::Party;
use super::failure::Failure;
use super::passphrase;
use crate::http::views;

/// Directory of the wallet below the home directory, if none is given.
const HOME: &str = ".stratos";
/// Key files in the wallet's directory.
const KEYS: &str = "keys";

/// Whoever signs.
pub struct Signer {
    /// Name of the key.
    pub name: KeyName,
    /// What all of its secrets come from: the account's, and the keys of its files.
    pub seed: Seed,
    /// The account's secret.
    pub secret: AccountSecret,
}

impl Signer {
    fn new(name: KeyName, seed: Seed) -> Self {
        let secret = seed.secret();
        Self { name, seed, secret }
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.secret.address()
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
    /// Who signs, by `--key`.
    ///
    /// # Errors
    /// [`Failure`] if no key is named, there is none of that name, or its passphrase is wrong.
    pub fn signer(&self, status: &views::Status) -> Result<Signer, Failure> {
        let name = self.key.clone().ok_or_else(|| no_key("who signs?"))?;
        let wallet = self.wallet()?;
        match wallet.entry(&name) {
            Ok(_) => {
                let passphrase = passphrase::ask(self.passphrase_file.as_deref(), name.as_str())?;
                let seed = wallet.unlock(&name, &passphrase).map_err(|error| wallet_failure(&error))?;
                Ok(Signer::new(name, seed))
            }
            Err(error @ WalletError::Missing { .. }) => {
                let seed = dev_seed(&name, status.dev, &error)?;
                Ok(Signer::new(name, seed))
            }
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
        match self.wallet()?.entry(name) {
            Ok(entry) => Ok(entry.address()),
            // The node is asked only if the name could be a development key.
            Err(error @ WalletError::Missing { .. }) => {
                let dev = is_dev_name(name.as_str()) && self.status()?.dev;
                dev_seed(name, dev, &error).map(|seed| seed.secret().address())
            }
            Err(error) => Err(wallet_failure(&error)),
        }
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
