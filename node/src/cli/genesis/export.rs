//! `genesis export`: a running chain as the genesis of a new one ([`chain::export`]), asked of a running node or read from the directory of a stopped one.
//!
//! Both give the same bytes for the same block. A node that is asked could say what it likes: the new file names the block and the root of the state that it was made
//! of, so whoever has another node compares.

use std::path::Path;

use chain::export::{Point, export};
use primitives::Height;

use super::GENESIS_BYTES_MAX;
use crate::cli::disk::replicas;
use crate::cli::failure::Failure;
use crate::cli::{Context, output};
use crate::http::views;
use crate::replica::Archive;

/// Runs `genesis export`.
///
/// # Errors
/// [`Failure`] if the block is not kept, or the chain cannot be continued.
pub fn run(data: Option<&Path>, genesis: Option<&Path>, height: Option<Height>, name: Option<&str>, context: &Context) -> Result<(), Failure> {
    let exported = match data {
        Some(directory) => of_directory(directory, genesis, height, name)?,
        None => of_node(height, name, context)?,
    };
    let mut text = serde_json::to_vec_pretty(&exported.genesis_file).map_err(|error| Failure::refused(format!("the genesis cannot be written: {error}")))?;
    text.push(b'\n');
    if text.len() as u64 > GENESIS_BYTES_MAX {
        return Err(Failure::refused(format!("the genesis file would have {} bytes; a node reads at most {GENESIS_BYTES_MAX}", text.len())));
    }
    output::stderr(&said(&exported));
    output::stdout(&text)
}

fn of_directory(directory: &Path, genesis: Option<&Path>, height: Option<Height>, name: Option<&str>) -> Result<views::GenesisExport, Failure> {
    let old = super::beside(genesis, directory)?;
    let fail = |error: &dyn std::fmt::Display| Failure::refused(error).about(directory.display());
    // A gateway has the value ledger and the metadata ledger, a meta node that one only: the directory of the wrong one says so when it is opened.
    let replica = replicas(directory).find(|replica| !replica.ends_with("meta"));
    let replica = replica.ok_or_else(|| fail(&"it is no directory of a node with the value ledger").hint("give DATA/validator-1, or DATA/gateway"))?;
    let archive = Archive::open(&replica, old.hash()).map_err(|error| fail(&error).hint("stop the node first, or leave `--data` out and ask it"))?;
    let (header, state) = archive.after(height).map_err(|error| fail(&error))?;
    let point = Point { chain: old.hash(), height: header.height, time: header.time };
    let exported = export(&state, &point, name.unwrap_or(&old.name)).map_err(|error| fail(&error))?;
    Ok(views::GenesisExport::from(exported))
}

fn of_node(height: Option<Height>, name: Option<&str>, context: &Context) -> Result<views::GenesisExport, Failure> {
    // What is no name would be no part of a URL either.
    if let Some(name) = name.filter(|name| name.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'-')) {
        return Err(Failure::misused(format!("`{name}` is no name of a network")).hint("1 to 32 lower-case letters, digits and hyphens"));
    }
    let height = height.map(|height| format!("height={height}"));
    let parameters: Vec<String> = height.into_iter().chain(name.map(|name| format!("name={name}"))).collect();
    let exported: views::GenesisExport = context.node.get_large(&format!("/v1/genesis/export?{}", parameters.join("&")))?;
    // It is written only if a network can begin with it.
    let fail = |error: &dyn std::fmt::Display| Failure::refused(format!("{} gave no genesis that holds: {error}", context.node.url()));
    exported.genesis_file.execute(&state::Memory::new()).map_err(|error| fail(&error))?;
    Ok(exported)
}

/// What people are told: of which state, and what does not go on.
fn said(exported: &views::GenesisExport) -> String {
    let views::GenesisExport { genesis_file, unsettled, uncharged_noz, proposals, ballots, slashes } = exported;
    let mut lines = Vec::new();
    if let Some(continued) = &genesis_file.continued {
        lines.push(format!("{} continues {} after block {}, state root {}", genesis_file.chain_id(), continued.chain, continued.height, continued.root));
    }
    match unsettled.0.cmp(&unsettled.1) {
        std::cmp::Ordering::Less => lines.push(format!(
            "not settled: the traffic of epochs {} to {} and of the running one; payers keep {} that they are charged so far. To pay for it, export a later block",
            unsettled.0,
            unsettled.1.0.saturating_sub(1),
            output::ozone(*uncharged_noz)
        )),
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => lines.push("not settled: the traffic of the running epoch".into()),
    }
    if !proposals.is_empty() || *ballots > 0 {
        let numbers = proposals.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        lines.push(format!("over without a decision: proposals [{numbers}], whose deposits go back, and {ballots} ballots of the meta nodes"));
    }
    if *slashes > 0 {
        lines.push(format!("slashed ahead of their time: {slashes} validators"));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
