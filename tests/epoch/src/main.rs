//! An epoch's settlement at scale: what each stage takes on one core, what goes on chain, and how both grow: `make bench-epoch`.
//!
//! Arguments: `--carriers`, `--payers`, `--channels`, `--bytes` and `--near` (carriers from which one payer draws its own), each with a number, say how large
//! the epoch is; without them it is [`Size::FULL`]. What is asked for is run and printed. `--docs DIRECTORY` runs that epoch and all of [`growth`] and
//! writes the table `epoch.md` and the chart `epoch.svg`.
//!
//! Of a series each epoch has a process of its own, so that no peak of memory is that of another. `--figures` is how it is asked for its figures.

mod traffic;
mod meter;
mod stages;
mod growth;
mod table;
mod chart;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use primitives::encoding::{decode, encode};

use growth::SERIES;
use stages::Figures;
use traffic::Size;

/// As a node has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest encoding of an epoch's figures: they have one size, below this.
const FIGURES_BYTES_MAX: usize = 1 << 10;

const USAGE: &str = "usage: epoch [--carriers N] [--payers N] [--channels N] [--bytes N] [--near N] [--docs DIRECTORY | --figures]";

/// What to do with an epoch's figures.
enum Output {
    /// Print them for people.
    Page,
    /// Print them for the process that asked.
    Figures,
    /// Write the table and the chart into this directory, with all that the series need.
    Docs(PathBuf),
}

/// The value of an option, as a number.
fn number<T: std::str::FromStr>(option: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or(format!("{option} needs a value\n{USAGE}"))?;
    value.parse().map_err(|_| format!("{option} {value}: a whole number of at most {} bits is needed\n{USAGE}", 8 * size_of::<T>()))
}

/// How large, and what then.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<(Size, Output), String> {
    let (mut size, mut near, mut output) = (Size::FULL, None, Output::Page);
    while let Some(option) = arguments.next() {
        match &option[..] {
            "--carriers" => size.carriers = number(&option, arguments.next())?,
            "--payers" => size.payers = number(&option, arguments.next())?,
            "--channels" => size.channels = number(&option, arguments.next())?,
            "--bytes" => size.bytes = number(&option, arguments.next())?,
            "--near" => near = Some(number(&option, arguments.next())?),
            "--figures" => output = Output::Figures,
            "--docs" => output = Output::Docs(arguments.next().ok_or(format!("--docs needs a directory\n{USAGE}"))?.into()),
            _ => return Err(format!("`{option}` is no option\n{USAGE}")),
        }
    }
    size.near = near.unwrap_or(size.carriers);
    Ok((size, output))
}

/// The figures of an epoch that a process of its own runs.
fn apart(size: Size) -> Result<Figures, String> {
    let Size { carriers, payers, channels, bytes, near } = size;
    eprintln!("{carriers} carriers, {payers} payers, {channels} channels, {bytes} bytes, {near} carriers near a payer");
    let program = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let options = [("--carriers", carriers.into()), ("--payers", payers.into()), ("--channels", channels.into()), ("--bytes", bytes), ("--near", near.into())];
    let options = options.iter().flat_map(|(option, value): &(&str, u64)| [(*option).to_owned(), value.to_string()]);
    let mut command = Command::new(program);
    command.args(options).arg("--figures").stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("an epoch of its own: {error}"))?;
    if !output.status.success() {
        return Err(format!("an epoch of its own ended with {}", output.status));
    }
    decode(&output.stdout, FIGURES_BYTES_MAX).map_err(|error| format!("an epoch of its own said: {error}"))
}

/// As [`apart`], unless the epoch was run already: series cross, and where they do they show one measurement.
fn once(size: Size, known: &mut Vec<Figures>) -> Result<Figures, String> {
    if let Some(figures) = known.iter().find(|figures| figures.size == size) {
        return Ok(figures.clone());
    }
    let figures = apart(size)?;
    known.push(figures.clone());
    Ok(figures)
}

fn work(size: Size, output: Output) -> Result<(), String> {
    match output {
        Output::Page => print!("{}", table::epoch(&stages::run(size).map_err(|error| error.to_string())?)),
        Output::Figures => {
            let figures = stages::run(size).map_err(|error| error.to_string())?;
            std::io::stdout().write_all(&encode(&figures)).map_err(|error| format!("the figures: {error}"))?;
        }
        Output::Docs(directory) => {
            let mut known = Vec::new();
            let full = once(size, &mut known)?;
            let mut grown = Vec::new();
            for series in SERIES {
                grown.push(series.sizes().into_iter().map(|size| once(size, &mut known)).collect::<Result<Vec<Figures>, String>>()?);
            }
            for (name, text) in [("epoch.md", table::page(&full, &grown)), ("epoch.svg", chart::svg(&grown))] {
                let path = directory.join(name);
                std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!("note: this is not a release build; the times are higher than they could be");
    }
    match arguments(std::env::args().skip(1)).and_then(|(size, output)| work(size, output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
