//! `genesis check`: whether a network can begin with a file, and if not, in which line it is wrong.
//!
//! 1. The text is read: what is no JSON, a field that is not known, missing or there twice, and a value of another kind is where the reader stood.
//! 2. Block 0 of both ledgers is made of it, as a node does: what does not go together is looked up in the text by its path ([`locate`]).

use std::fmt;
use std::path::Path;

use chain::Genesis;
use chain::genesis::{GenesisError, TOTAL_SUPPLY};
use primitives::{Amount, Hash};
use serde::Serialize;

use super::locate::{line_and_column, locate};
use super::text_of;
use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::cli::output;

/// What is wrong with the text of a genesis file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// Which entry: `accounts[3].balance`; nothing if it is the whole file.
    pub entry: String,
    /// What is wrong.
    pub cause: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, entry, cause } = self;
        if entry.is_empty() { write!(f, "{line}:{column}: {cause}") } else { write!(f, "{line}:{column}: {entry}: {cause}") }
    }
}

/// Reads a text.
///
/// # Errors
/// [`Wrong`] if it is no genesis file.
pub fn parse(text: &str) -> Result<Genesis, Wrong> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| (error.path().to_string(), error.into_inner()));
    let read = read.and_then(|genesis| reader.end().map(|()| genesis).map_err(|error| (String::new(), error)));
    read.map_err(|(path, error)| {
        // The place is in front of it already.
        let full = error.to_string();
        let cause = full.rsplit_once(" at line ").map_or(full.as_str(), |(cause, _)| cause).to_owned();
        let entry = if path == "." { String::new() } else { path };
        let (line, column) = match locate(text, &entry).filter(|_| cause.starts_with("missing field")) {
            // The reader notices at the end of an entry what it lacks.
            Some(at) => line_and_column(text, at),
            None => line_and_column(text, byte(text, error.line(), error.column())),
        };
        Wrong { line, column, entry, cause }
    })
}

/// Where the character begins in which the reader was: it counts lines, and the bytes of a line, from 1.
fn byte(text: &str, line: usize, column: usize) -> usize {
    let begin: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    text.floor_char_boundary(begin.saturating_add(column.saturating_sub(1)))
}

/// Reads a text and makes block 0 of both ledgers of it.
///
/// # Errors
/// [`Wrong`] names the first thing that is.
pub fn check(text: &str) -> Result<Genesis, Wrong> {
    let genesis = parse(text)?;
    let executed = genesis.execute(&state::Memory::new());
    let both = executed.and_then(|(_, executed)| ::meta::genesis::execute(&genesis, &executed.state, &state::Memory::new()));
    match both {
        Ok(_) => Ok(genesis),
        Err(error) => Err(placed(text, &error)),
    }
}

fn placed(text: &str, error: &GenesisError) -> Wrong {
    let entry = error.path();
    let (line, column) = locate(text, &entry).map_or((1, 1), |at| line_and_column(text, at));
    let cause = match error {
        GenesisError::Entry { cause, .. } => cause.clone(),
        GenesisError::Name(_) | GenesisError::Supply { .. } | GenesisError::Members(..) | GenesisError::Parameter(_) => error.to_string(),
    };
    Wrong { line, column, entry, cause }
}

/// What a good file says.
#[derive(Debug, Serialize)]
struct Summary {
    chain_id: String,
    genesis: Hash,
    accounts: usize,
    validators: usize,
    meta_nodes: usize,
    resource_nodes: usize,
    reserve_wei: Amount,
    total_wei: Amount,
    /// The chain that is continued, and after which of its blocks.
    continued: Option<(Hash, primitives::Height)>,
}

/// Runs `genesis check`.
///
/// # Errors
/// [`Failure`] names line, column and entry of the first thing that is wrong.
pub fn run(file: &Path, context: &Context) -> Result<(), Failure> {
    let genesis = check(&text_of(file)?).map_err(|wrong| failure(file, &wrong))?;
    let summary = Summary {
        chain_id: genesis.chain_id(),
        genesis: genesis.hash(),
        accounts: genesis.accounts.len(),
        validators: genesis.validators.len(),
        meta_nodes: genesis.meta_nodes.len(),
        resource_nodes: genesis.resource_nodes.len(),
        reserve_wei: genesis.reserve,
        total_wei: TOTAL_SUPPLY,
        continued: genesis.continued.as_ref().map(|continued| (continued.chain, continued.height)),
    };
    output::print(context.json, &summary, || {
        let mut fields = vec![
            ("chain", summary.chain_id.clone()),
            ("genesis", summary.genesis.to_string()),
            ("accounts", output::grouped(summary.accounts as u128)),
            ("validators", summary.validators.to_string()),
            ("meta nodes", summary.meta_nodes.to_string()),
            ("resource nodes", summary.resource_nodes.to_string()),
            ("reserve", output::stos(summary.reserve_wei)),
            ("all money", output::stos(summary.total_wei)),
        ];
        if let Some((chain, height)) = &summary.continued {
            fields.push(("continues", format!("{chain} from block {height} on")));
        }
        output::fields(&fields)
    })
}

/// What a command says of a file that is wrong.
pub fn failure(file: &Path, wrong: &Wrong) -> Failure {
    Failure::refused(format!("{}:{wrong}", file.display())).hint("docs/genesis.md lists every field of a genesis file with its unit and range")
}

#[cfg(test)]
mod tests;
