//! `key new|list|show|import`: the wallet. Asks no node.

use std::fs::File;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

use client::wallet::{Cost, Entry, KeyName, Seed, Wallet};
use primitives::{AccountKey, Address};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Context;
use super::args::Key;
use super::failure::Failure;
use super::output::{self, Align};
use super::passphrase;
use super::signer::wallet_failure;

/// A key, as printed.
#[derive(Serialize)]
struct View {
    name: String,
    address: Address,
    public_key: String,
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

impl View {
    fn new(entry: &Entry, words: Option<&Zeroizing<String>>) -> Self {
        let public_key = match entry.key {
            AccountKey::Ristretto(key) => key.to_string(),
            AccountKey::Ed25519(key) => primitives::Hash(key).to_string(),
        };
        Self { name: entry.name.to_string(), address: entry.address(), public_key, path: entry.path.clone(), words: words.map(|words| words.to_string()) }
    }

    fn fields(&self) -> String {
        output::fields(&[
            ("name", self.name.clone()),
            ("address", self.address.to_string()),
            ("public key", self.public_key.clone()),
            ("file", self.path.display().to_string()),
        ])
    }
}

/// Runs a command.
///
/// # Errors
/// [`Failure`] if the wallet refuses or no passphrase can be had.
pub fn run(command: Key, context: &Context) -> Result<(), Failure> {
    let wallet = context.wallet()?;
    match command {
        Key::New { name } => {
            let seed = Seed::generate().map_err(Failure::refused)?;
            let view = keep(&wallet, context, &name, &seed, true)?;
            output::print(context.json, &view, || {
                with_words(&view, "These 24 words are the only backup of the key. Write them down; they are not shown again.")
            })
        }
        Key::List => list(&wallet, context),
        Key::Show { name, words } => {
            let entry = wallet.entry(&name).map_err(|error| wallet_failure(&error))?;
            if !words {
                let view = View::new(&entry, None);
                return output::print(context.json, &view, || view.fields());
            }
            let passphrase = passphrase::ask(context.passphrase_file.as_deref(), name.as_str())?;
            let seed = wallet.unlock(&name, &passphrase).map_err(|error| wallet_failure(&error))?;
            let view = View::new(&entry, Some(&seed.words()));
            output::print(context.json, &view, || with_words(&view, "Whoever reads these words owns the account."))
        }
        Key::Import { name, path } => {
            let seed = read(path.as_deref())?;
            let view = keep(&wallet, context, &name, &seed, false)?;
            output::print(context.json, &view, || view.fields())
        }
    }
}

fn keep(wallet: &Wallet, context: &Context, name: &KeyName, seed: &Seed, show_words: bool) -> Result<View, Failure> {
    // Before anybody types a passphrase twice.
    if let Ok(entry) = wallet.entry(name) {
        return Err(wallet_failure(&client::wallet::WalletError::Exists { name: name.clone(), path: entry.path }));
    }
    let passphrase = passphrase::choose(context.passphrase_file.as_deref(), name.as_str())?;
    let entry = wallet.create(name, seed, &passphrase, Cost::STANDARD).map_err(|error| wallet_failure(&error))?;
    Ok(View::new(&entry, show_words.then(|| seed.words()).as_ref()))
}

fn list(wallet: &Wallet, context: &Context) -> Result<(), Failure> {
    let mut views = Vec::new();
    for entry in wallet.list().map_err(|error| wallet_failure(&error))? {
        match entry {
            Ok(entry) => views.push(View::new(&entry, None)),
            Err(error) if context.json => output::stderr(&format!("{}\n", serde_json::json!({"warning": error.to_string()}))),
            Err(error) => output::stderr(&format!("warning: {error}\n")),
        }
    }
    output::print(context.json, &views, || {
        if views.is_empty() {
            return format!("no keys in {}\n`stratos key new NAME` makes one; a development network has alice, bob and carol", wallet.directory().display());
        }
        let rows: Vec<_> = views.iter().map(|view| [view.name.clone(), view.address.to_string()]).collect();
        output::table([("name", Align::Left), ("address", Align::Left)], &rows)
    })
}

fn with_words(view: &View, advice: &str) -> String {
    let words: Vec<&str> = view.words.as_deref().unwrap_or_default().split(' ').collect();
    let lines: String = words
        .chunks(6)
        .enumerate()
        .map(|(line, chunk)| {
            let numbered = chunk.iter().enumerate().map(|(at, word)| format!("{:>2} {word:9}", line * 6 + at + 1));
            format!("  {}\n", numbered.collect::<Vec<_>>().join(" ").trim_end())
        })
        .collect();
    format!("{}\n{lines}\n{advice}", view.fields())
}

/// The seed in a file, on standard input, or typed unseen.
///
/// # Errors
/// [`Failure`] if it cannot be read, or is no seed.
pub fn read(path: Option<&Path>) -> Result<Seed, Failure> {
    let text = match path {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).map_err(|error| Failure::refused(format!("cannot read {}: {error}", path.display())))?;
            passphrase::read_line_end_cut(file, &path.display().to_string())?
        }
        Some(_) | None if stdin().is_terminal() => passphrase::prompt("24 words or 64 hexadecimal digits: ")?,
        Some(_) | None => passphrase::read_line_end_cut(stdin(), "standard input")?,
    };
    Seed::parse(&text).map_err(|error| Failure::refused(error).hint("give the 24 words of `key new`, in order, or the 64 digits of a seed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbered() {
        let seed = Seed::new([0; 32]);
        let entry = Entry { name: "mine".parse().unwrap(), key: seed.secret().key(), path: "keys/mine.json".into() };
        let text = with_words(&View::new(&entry, Some(&seed.words())), "Write them down.");
        assert!(text.contains(" 1 abandon ") && text.contains("24 art\n") && text.ends_with("Write them down."), "{text}");
        let json = serde_json::to_value(View::new(&entry, None)).unwrap();
        assert_eq!(json["address"], entry.address().to_string());
        assert!(json.get("words").is_none());
    }

    #[test]
    fn seeds_are_read_from_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        std::fs::write(&path, format!("{}\n", Seed::new([3; 32]).words().as_str())).unwrap();
        assert_eq!(read(Some(&path)).unwrap().as_bytes(), &[3; 32]);
        std::fs::write(&path, "abandon").unwrap();
        assert!(read(Some(&path)).unwrap_err().message().contains("expected 24 words"));
        assert!(read(Some(directory.path())).is_err());
    }
}
