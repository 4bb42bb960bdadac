//! The network's genesis file, which is all that offline commands trust; the commands that make one of a running chain ([`export`]) and check one ([`check`]);
//! and files that are read or written whole.

pub mod check;
mod export;
mod locate;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};

use chain::Genesis;

use super::failure::Failure;
use super::{Context, args};

/// A genesis file is at most this long: a chain of some three million accounts fits.
pub const GENESIS_BYTES_MAX: u64 = 1 << 30;
/// The genesis file of a development network, beside the directories of its nodes.
const GENESIS_FILE: &str = "genesis.json";

/// The genesis in this file; without one, what the node says.
///
/// # Errors
/// [`Failure`] if there is none.
pub fn of_network(path: Option<&Path>, context: &Context) -> Result<Genesis, Failure> {
    if let Some(path) = path {
        return read_genesis(path);
    }
    context.node.get_large("/v1/genesis")
}

/// The genesis in this file; without one, in `genesis.json` beside a node's directory.
///
/// # Errors
/// [`Failure`] if there is none.
pub fn beside(path: Option<&Path>, directory: &Path) -> Result<Genesis, Failure> {
    let path = path.map_or_else(|| directory.parent().unwrap_or(Path::new("")).join(GENESIS_FILE), PathBuf::from);
    read_genesis(&path)
}

/// The bytes of a file of at most `bytes_max`; `-` is standard input.
///
/// # Errors
/// [`Failure`] if it cannot be read, or is longer.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::refused(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file: Box<dyn Read> = if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(path).map_err(|error| fail(&error))?) };
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    if bytes.len() as u64 > bytes_max { Err(fail(&format!("it is longer than {bytes_max} bytes"))) } else { Ok(bytes) }
}

fn read_genesis(path: &Path) -> Result<Genesis, Failure> {
    check::parse(&text_of(path)?).map_err(|wrong| check::failure(path, &wrong))
}

/// The text of a genesis file.
fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes = read(path, GENESIS_BYTES_MAX)
        .map_err(|failure| failure.hint("the genesis file is `genesis.json` in the directory of a network; `--genesis FILE` names it"))?;
    String::from_utf8(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default()).into_owned();
        let (line, column) = locate::line_and_column(&text, text.len());
        check::failure(path, &check::Wrong { line, column, entry: String::new(), cause: "this is no text in UTF-8".into() })
    })
}

/// Runs `genesis`.
///
/// # Errors
/// [`Failure`] if the file is wrong, or the chain is not exported.
pub fn run(command: &args::Genesis, context: &Context) -> Result<(), Failure> {
    match command {
        args::Genesis::Check { file } => check::run(file, context),
        args::Genesis::Export { data, genesis, height, name } => {
            export::run(data.as_deref(), genesis.as_deref(), height.map(primitives::Height), name.as_deref(), context)
        }
    }
}

/// Writes a file that was not there, whole.
///
/// # Errors
/// [`Failure`] if it is there, or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fail = |error: std::io::Error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return Failure::refused(format!("{} exists already", path.display())).hint("choose another file");
        }
        Failure::refused(format!("cannot write {}: {error}", path.display()))
    };
    let mut file = File::options().write(true).create_new(true).open(path).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // A part of a proof proves nothing; what cannot be removed is no proof either.
        let _ = fs::remove_file(path);
        fail(error)
    })
}
