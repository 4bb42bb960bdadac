//! The subsidy of traffic under attack: what dealing with oneself earns under the original network's rule and under ours, in the same markets:
//! `make subsidy`.
//!
//! Prints the table; `--docs DIRECTORY` writes it as `subsidy.md` and the chart as `subsidy.svg`. `--seed N` draws what honest payers do; without it the seed
//! is that of the page. Rules and games count in whole wei and noz; what is shown is rounded.

mod dice;
mod original;
mod market;
mod game;
mod sweep;
mod table;
mod chart;

use std::path::PathBuf;
use std::process::ExitCode;

/// The seed of the page.
pub const SEED: u64 = 1;

const USAGE: &str = "usage: subsidy [--seed N] [--docs DIRECTORY]";

/// The seed, and where to write.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<(u64, Option<PathBuf>), String> {
    let (mut seed, mut docs) = (SEED, None);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(format!("{option} needs a value\n{USAGE}"));
        match &option[..] {
            "--seed" => seed = value?.parse().map_err(|_| format!("--seed needs a whole number of at most 64 bits\n{USAGE}"))?,
            "--docs" => docs = Some(value?.into()),
            _ => return Err(format!("`{option}` is no option\n{USAGE}")),
        }
    }
    Ok((seed, docs))
}

fn work(seed: u64, docs: Option<PathBuf>) -> Result<(), String> {
    let sweep = sweep::sweep(game::EPOCHS, seed).map_err(|error| format!("a market stopped: {error}"))?;
    let Some(directory) = docs else {
        print!("{}", table::tables(&sweep));
        return Ok(());
    };
    for (name, text) in [("subsidy.md", table::page(&sweep)), ("subsidy.svg", chart::svg(&sweep))] {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)).and_then(|(seed, docs)| work(seed, docs)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
