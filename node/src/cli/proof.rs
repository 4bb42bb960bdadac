//! `proof get|verify`: what a ledger's state says about a key, proven to whoever has the genesis file.
//!
//! # What verification trusts
//! The genesis: it says who voted first. Each change of voters since is in the file, signed by those before; the header is signed by the last of them; the
//! value hangs on the header. Whoever made the file can choose how old it is, which the printed time tells, and nothing else. As everywhere, those who have
//! taken their stake back could sign another past ([`consensus::light`]).

use std::path::PathBuf;

use chain::Genesis;
use chain::genesis::meta_chain;
use chain::ledger::Traced;
use chain::ledger::proven::{Reading, TRACED_BYTES_MAX};
use primitives::{Epoch, Hash, Height, Time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Context;
use super::args;
use super::failure::Failure;
use super::genesis::{self, read, write_new};
use super::output;
use crate::http::limits::KEY_BYTES_MAX;
use crate::http::views::{self, LedgerName, PROOF_FORMAT, PROOF_JSON_BYTES_MAX};

/// Bytes of a value that people are shown.
const SHOWN_BYTES_MAX: usize = 1024;

/// Runs `proof`.
///
/// # Errors
/// [`Failure`] if the node refuses, or the file proves nothing.
pub fn run(command: &args::Proof, context: &Context) -> Result<(), Failure> {
    match command {
        args::Proof::Get { state_key, ledger, height, out, ics23 } => {
            let (ledger, key) = state_key.resolve(*ledger, context)?;
            let asked = Asked { ledger, key: hex::encode(key), height: *height };
            if *ics23 {
                let next = "for a verifier of ICS 23 that knows the root";
                asked.bring("/v1/proof/ics23", views::Ics23::is_sound, next, out.as_ref(), context)
            } else {
                asked.bring("/v1/proof", |_: &views::Proof| true, "`stratos proof verify` checks it", out.as_ref(), context)
            }
        }
        args::Proof::Verify { file, genesis } => {
            let bytes = read(file, PROOF_JSON_BYTES_MAX as u64)?;
            let genesis = genesis::of_network(genesis.as_deref(), context)?;
            let report = check(&bytes, &genesis).map_err(|failure| failure.about(file.display()))?;
            output::print(context.json, &report, || report.people())
        }
    }
}

/// What is asked for.
struct Asked {
    ledger: LedgerName,
    /// In hexadecimal digits.
    key: String,
    height: Option<Height>,
}

/// What every answer says it is about.
#[derive(Deserialize)]
struct About {
    ledger: LedgerName,
    key: String,
    height: Height,
    value: Option<String>,
}

impl Asked {
    /// Asks the node, and prints what it answers or writes it to a file; `next` says what can be done with it.
    fn bring<P: DeserializeOwned + Serialize>(
        &self,
        route: &str,
        is_sound: impl Fn(&P) -> bool,
        next: &str,
        out: Option<&PathBuf>,
        context: &Context,
    ) -> Result<(), Failure> {
        let Self { ledger, key, height } = self;
        let at = height.map_or_else(String::new, |height| format!("&height={height}"));
        let proof: P = context.node.get(&format!("{route}?ledger={ledger}&key={key}{at}"))?;
        let text = serde_json::to_string(&proof).map_err(Failure::refused)?;
        let about: About = serde_json::from_str(&text).map_err(Failure::refused)?;
        if about.ledger != *ledger || about.key != *key || height.is_some_and(|height| height != about.height) || !is_sound(&proof) {
            let About { ledger, key, height, .. } = about;
            return Err(Failure::refused(format!("{} answered about key {key} of the {ledger} ledger after block {height}", context.node.url()))
                .hint("that is not what was asked, or not in the form that it should have; ask another node with `--node URL`"));
        }
        let Some(out) = out else { return output::stdout(format!("{text}\n").as_bytes()) };
        write_new(out, text.as_bytes())?;
        let (height, bytes) = (about.height, about.value.map(|value| value.len() / 2));
        let view = json!({"path": out, "ledger": ledger, "height": height, "key": key, "value_bytes": bytes});
        output::print(context.json, &view, || {
            let value = bytes.map_or_else(|| "no value".to_owned(), |bytes| format!("a value of {bytes} bytes"));
            format!("{value} after block {height}\nwritten to {}; {next}", out.display())
        })
    }
}

/// What was proven.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    ledger: LedgerName,
    chain: Hash,
    height: Height,
    epoch: Epoch,
    time_ms: Time,
    block: Hash,
    state_root: Hash,
    voters: Hash,
    members: usize,
    /// Changes of voters since genesis.
    changes: usize,
    key: String,
    /// `null` if there is no value.
    value: Option<String>,
    value_bytes: Option<usize>,
}

impl Report {
    fn people(&self) -> String {
        let Self { ledger, chain, height, epoch, time_ms, block, state_root, voters, members, changes, key, value, value_bytes } = self;
        let value = value.as_deref().zip(*value_bytes).map_or_else(
            || "none: the state has nothing under this key".to_owned(),
            |(value, bytes)| match value.get(..2 * SHOWN_BYTES_MAX).filter(|_| bytes > SHOWN_BYTES_MAX) {
                Some(shown) => format!("{shown}... ({bytes} bytes; `--json` shows all)"),
                None => format!("{value} ({bytes} byte{})", if bytes == 1 { "" } else { "s" }),
            },
        );
        output::fields(&[
            ("proven", format!("by {members} voter{} of epoch {epoch}, {voters}", if *members == 1 { "" } else { "s" })),
            ("since genesis", format!("the voters changed {changes} time{}, each proven by those before", if *changes == 1 { "" } else { "s" })),
            ("ledger", format!("{ledger}, chain {chain}")),
            ("height", height.to_string()),
            ("time", output::time(*time_ms)),
            ("block", block.to_string()),
            ("state root", state_root.to_string()),
            ("key", key.clone()),
            ("value", value),
        ])
    }
}

/// What the bytes of a proof file prove to whoever trusts `genesis`.
///
/// # Errors
/// [`Failure`] names the first check that fails.
pub fn check(bytes: &[u8], genesis: &Genesis) -> Result<Report, Failure> {
    let views::Proof { format: _, ledger, chain, height, epoch, time_ms, key, value, proof } = form(bytes)?;
    let (own, first) = match ledger {
        LedgerName::Value => (genesis.hash(), genesis.validator_members()),
        LedgerName::Meta => (meta_chain(genesis.hash()), genesis.meta_members()),
    };
    let first = first.map_err(|error| Failure::refused(format!("the genesis file is invalid: {error}")))?;
    if chain != own {
        let failure = Failure::refused(format!("the file is about chain {chain}; the {ledger} ledger of this genesis is {own}"));
        return Err(failure.hint("give the genesis file of the network that the proof comes from, with `--genesis FILE`"));
    }
    let traced = digits("proof", &proof, TRACED_BYTES_MAX)?;
    let traced = Traced::decode(&traced).map_err(|error| Failure::refused(format!("its proof cannot be read: {error}")))?;
    let asked = digits("key", &key, KEY_BYTES_MAX)?;
    let (changes, members) = (traced.changes.len(), traced.attested.members.clone());
    let reading: Reading =
        traced.verify_answer(chain, first, std::slice::from_ref(&asked)).map_err(|error| Failure::refused(format!("it proves nothing: {error}")))?;
    let proven = reading.bytes(&asked).flatten();
    let header = &reading.certified.header;
    // What can be read in the file must be what is proven, or it would deceive whoever reads it.
    let shown = |what: &str, says: &dyn std::fmt::Display, proven: &dyn std::fmt::Display| {
        Err(Failure::refused(format!("it says {what} {says}, but what it proves is {proven}")))
    };
    if height != header.height {
        return shown("height", &height, &header.height);
    }
    if epoch != header.epoch {
        return shown("epoch", &epoch, &header.epoch);
    }
    if time_ms != header.time {
        return shown("time", &time_ms, &header.time);
    }
    let found = proven.map(hex::encode);
    if value != found {
        let text = |value: Option<String>| value.map_or_else(|| "that there is none".to_owned(), |value| value.chars().take(2 * SHOWN_BYTES_MAX).collect());
        return shown("value", &text(value), &text(found));
    }
    Ok(Report {
        ledger,
        chain,
        height,
        epoch,
        time_ms,
        block: header.hash(),
        state_root: reading.certified.summary.state.root,
        voters: members.hash(),
        members: members.count(),
        changes,
        key: hex::encode(&asked),
        value_bytes: proven.map(<[u8]>::len),
        value: found,
    })
}

/// The file as it says it is.
fn form(bytes: &[u8]) -> Result<views::Proof, Failure> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let fail = |error: serde_json::Error| Failure::refused(format!("it is no proof file, or a part of one: {error}")).hint("`stratos proof get KEY` makes one");
    let Format { format } = serde_json::from_slice(bytes).map_err(fail)?;
    if format != PROOF_FORMAT {
        return Err(Failure::refused(format!("it has format {format}, this program knows {PROOF_FORMAT}")).hint("use the program that made it, or a newer one"));
    }
    serde_json::from_slice(bytes).map_err(fail)
}

pub(super) fn digits(what: &str, text: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    if text.len() > bytes_max.saturating_mul(2) {
        return Err(Failure::refused(format!("its {what} has {} hexadecimal digits, at most {} are allowed", text.len(), bytes_max.saturating_mul(2))));
    }
    hex::decode(text).map_err(|error| Failure::refused(format!("its {what} is not in hexadecimal digits, two for each byte: {error}")))
}

#[cfg(test)]
mod tests;
