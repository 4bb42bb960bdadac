//! Where a passphrase comes from: a file, the environment, or somebody who types it unseen.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use console::Term;
use zeroize::Zeroizing;

use super::failure::Failure;

/// Variable that may hold the passphrase.
const VARIABLE: &str = "STRATOS_PASSPHRASE";
/// Bytes of a passphrase file or a typed secret at most.
const SECRET_BYTES_MAX: u64 = 4_096;

/// The passphrase of the key `name`.
///
/// # Errors
/// [`Failure`] if the file cannot be read, or if nothing gives a passphrase and nobody can be asked.
pub fn ask(file: Option<&Path>, name: &str) -> Result<Zeroizing<String>, Failure> {
    given(file)?.map_or_else(|| prompt(&format!("passphrase of {name}: ")), Ok)
}

/// A passphrase for a new key `name`; typed twice if it is typed.
///
/// # Errors
/// As [`ask`]; and if it is empty or the two differ.
pub fn choose(file: Option<&Path>, name: &str) -> Result<Zeroizing<String>, Failure> {
    let passphrase = match given(file)? {
        Some(passphrase) => passphrase,
        None => {
            let first = prompt(&format!("new passphrase of {name}: "))?;
            if first != prompt("once more: ")? {
                return Err(Failure::refused("the two passphrases differ; nothing was written"));
            }
            first
        }
    };
    if passphrase.is_empty() {
        return Err(Failure::refused("the passphrase is empty: anybody who copies the file would own the key"));
    }
    Ok(passphrase)
}

fn given(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, Failure> {
    if let Some(path) = file {
        let opened = File::open(path).map_err(|error| Failure::refused(format!("cannot read the passphrase file {}: {error}", path.display())))?;
        return read_line_end_cut(opened, &format!("the passphrase file {}", path.display())).map(Some);
    }
    Ok(std::env::var(VARIABLE).ok().map(Zeroizing::new))
}

/// All of `reader` as text, without the line end that editors and `echo` leave.
///
/// # Errors
/// [`Failure`] if it cannot be read, is too long, or is no text.
pub fn read_line_end_cut(reader: impl Read, what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    reader.take(SECRET_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).map_err(|error| Failure::refused(format!("cannot read {what}: {error}")))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SECRET_BYTES_MAX {
        return Err(Failure::refused(format!("{what} is longer than {SECRET_BYTES_MAX} bytes")));
    }
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(text)
}

/// Asks on the terminal without showing what is typed.
///
/// # Errors
/// [`Failure`] if there is no terminal.
pub fn prompt(question: &str) -> Result<Zeroizing<String>, Failure> {
    let terminal = Term::stderr();
    if !terminal.is_term() || !std::io::stdin().is_terminal() {
        return Err(Failure::misused("a passphrase is needed, and there is no terminal to ask for it")
            .hint(format!("give `--passphrase-file FILE`, or set {VARIABLE}; the development keys alice, bob and carol need none")));
    }
    let fail = |error: std::io::Error| Failure::refused(format!("cannot read from the terminal: {error}"));
    terminal.write_str(question).map_err(fail)?;
    terminal.read_secure_line().map(Zeroizing::new).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        std::fs::write(&path, " correct horse \r\n").unwrap();
        assert_eq!(*ask(Some(&path), "mine").unwrap(), " correct horse ");
        std::fs::write(&path, "\n").unwrap();
        assert!(choose(Some(&path), "mine").unwrap_err().message().contains("empty"));
        std::fs::write(&path, "x".repeat(5_000)).unwrap();
        assert!(ask(Some(&path), "mine").unwrap_err().message().contains("longer"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(ask(Some(&path), "mine").is_err());
        assert!(ask(Some(&directory.path().join("missing")), "mine").unwrap_err().message().contains("missing"));
    }
}
