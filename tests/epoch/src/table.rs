//! The figures of an epoch and of all series, as Markdown.

use std::fmt::Write as _;

use pot::claim::CLAIM_ENTRIES_MAX;
use pot::report::{ENTRIES_MAX, PART_BYTES_MAX, PARTS_MAX};

use crate::chart::amount;
use crate::growth::SERIES;
use crate::stages::{Figures, STAGES, Stage};

/// Encoded length of a grant in a part.
pub const GRANT_BYTES: u64 = 269;
/// Encoded length of an entry.
pub const ENTRY_BYTES: u64 = 45;
/// Bytes of an index that could name a registered grant.
const INDEX_BYTES: u64 = 4;
/// Bytes in a terabyte.
const TERABYTE: f64 = 1e12;

/// What each stage is, and whose work.
const WORK: [&str; 5] = [
    "every carrier signs its claim (all carriers' work together)",
    "every meta node reads and verifies every claim",
    "every meta node builds the report and encodes its parts, one part in each block",
    "every validator reads and verifies every part, part by part",
    "every validator merges the charges and computes the rewards, in one block",
];

impl Stage {
    /// Processor time.
    pub fn seconds(&self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }
}

/// Three digits, or as many as a whole number has.
fn digits(value: f64) -> String {
    match value.abs() {
        100.0.. => count(value.round()),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A whole number with its thousands apart.
fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

fn mebibytes(bytes: u64) -> String {
    digits(bytes as f64 / f64::from(1 << 20))
}

/// What the instructions of this machine and its cores are.
fn machine() -> String {
    #[cfg(target_arch = "x86_64")]
    let instructions = if std::arch::is_x86_feature_detected!("avx512ifma") {
        "AVX-512 IFMA"
    } else if std::arch::is_x86_feature_detected!("avx2") {
        "AVX2"
    } else {
        "no AVX2"
    };
    #[cfg(not(target_arch = "x86_64"))]
    let instructions = std::env::consts::ARCH;
    format!("{} cores, {instructions}", std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get))
}

/// The figures of one epoch.
pub fn epoch(figures: &Figures) -> String {
    let mut text = String::new();
    write_epoch(&mut text, figures).expect("a string takes whatever is written");
    text
}

fn write_epoch(text: &mut String, figures: &Figures) -> std::fmt::Result {
    let size = &figures.size;
    let channels = f64::from(size.channels);
    let whole = |value: u64| count(value as f64);
    writeln!(text, "| | |\n|---|--:|")?;
    for (name, value) in [
        ("carriers, of which each claims that has a channel", format!("{}, {} claims", whole(size.carriers.into()), whole(figures.claims))),
        ("payers, one session each", whole(figures.payers)),
        ("channels (payer, carrier, class)", whole(size.channels.into())),
        ("carriers from which a payer draws its own", whole(size.near.into())),
        ("bytes carried", whole(size.bytes)),
        ("parts of the report", whole(figures.parts)),
        ("rows of the parts' tables of payers", whole(figures.grants)),
        (
            "keys, grants, tickets and receipts made before, on all cores (by the wall), not counted below",
            format!("{} s", digits(figures.setup_nanoseconds as f64 / 1e9)),
        ),
    ] {
        writeln!(text, "| {name} | {value} |")?;
    }
    writeln!(text, "\n| stage | work | time, one core | for each channel | memory, peak | leaves |\n|---|---|--:|--:|--:|--:|")?;
    for ((name, work), stage) in STAGES.iter().zip(WORK).zip(&figures.stages) {
        let (seconds, each) = (digits(stage.seconds()), digits(stage.seconds() * 1e6 / channels));
        let (peak, left) = (mebibytes(stage.peak_kib << 10), mebibytes(stage.left_bytes));
        writeln!(text, "| **{name}** | {work} | {seconds} s | {each} µs | {peak} MiB | {left} MiB |")?;
    }
    let each = |stage: usize| figures.stages[stage].nanoseconds as f64 / channels;
    writeln!(
        text,
        "\nOne receipt verified alone, its key decoded first, takes {} µs in the same process: for each channel, verifying a claim takes {} of that and checking a part {}. The part that \
         took longest to check took {} ms. The first peak is mostly everybody's keys and the receipts that all carriers hold, which are one process here; what \
         one stage freed and the allocator kept counts in the next one's peak.\n",
        digits(figures.single_nanoseconds as f64 / 1e3),
        digits(each(1) / figures.single_nanoseconds as f64),
        digits(each(3) / figures.single_nanoseconds as f64),
        digits(figures.slowest_part_nanoseconds as f64 / 1e6)
    )?;
    writeln!(text, "| bytes | where | all | for each channel | for each TB |\n|---|---|--:|--:|--:|")?;
    let terabytes = size.bytes as f64 / TERABYTE;
    for (name, place, bytes) in [
        ("claims", "metadata ledger, transactions", figures.claim_bytes),
        ("parts", "value ledger, transactions", figures.part_bytes),
        ("of which grants", "", figures.grants * GRANT_BYTES),
        ("the report, once with each part", "value ledger, transactions", figures.report_bytes * figures.parts.max(1)),
    ] {
        let bytes = bytes as f64;
        writeln!(text, "| {name} | {place} | {} | {} | {} |", count(bytes), digits(bytes / channels), digits(bytes / terabytes))?;
    }
    writeln!(text, "\nTransactions around claims and parts, with the certificate and the proof of the report in each, come on top.\n")?;
    writeln!(text, "| settled, to the wei | wei |\n|---|--:|")?;
    for (name, wei) in [
        ("released by the payers' bytes", figures.released),
        ("= earned by carriers, meta nodes and validators", figures.traffic),
        ("+ tax", figures.tax),
        ("+ dust", figures.dust),
        ("mined beside it", figures.mined),
    ] {
        writeln!(text, "| {name} | {wei} |")?;
    }
    writeln!(text, "\nAll {} noz are charged, each once.", whole(size.bytes))
}

/// Processor time for each entry and for each grant in microseconds, of one stage, from two epochs that differ in grants alone: time is the sum of both.
fn fit(stage: usize, few: &Figures, many: &Figures) -> (f64, f64) {
    let micros = |figures: &Figures| figures.stages[stage].seconds() * 1e6;
    let grant = (micros(many) - micros(few)) / (many.grants as f64 - few.grants as f64);
    ((micros(few) - grant * few.grants as f64) / f64::from(few.size.channels), grant)
}

/// By which power of what grows a cost grows, from the first to the last epoch of a series.
fn power(values: &[u64], costs: &[f64]) -> String {
    match (values, costs) {
        // Rounded before it is written, and 0 added, so that no zero has a sign.
        ([low, .., high], [first, .., last]) => format!("{:.2}", (100.0 * (last / first).ln() / (*high as f64 / *low as f64).ln()).round() / 100.0 + 0.0),
        _ => "-".into(),
    }
}

fn write_growth(text: &mut String, grown: &[Vec<Figures>]) -> std::fmt::Result {
    let heads = STAGES.join(" | ");
    writeln!(text, "| | {heads} | checked, for each channel | grants in parts, for each channel | parts, for each channel | parts |")?;
    writeln!(text, "|---|{}", "--:|".repeat(STAGES.len() + 4))?;
    for (series, figures) in SERIES.iter().zip(grown) {
        for (value, figures) in series.values.iter().zip(figures) {
            let channels = f64::from(figures.size.channels);
            let times: Vec<String> = figures.stages.iter().map(|stage| format!("{} s", digits(stage.seconds()))).collect();
            writeln!(
                text,
                "| **{}** {} | {} | {} µs | {} | {} bytes | {} |",
                series.name,
                amount(*value, series.unit),
                times.join(" | "),
                digits(figures.stages[3].seconds() * 1e6 / channels),
                digits(figures.grants as f64 / channels),
                digits(figures.part_bytes as f64 / channels),
                count(figures.parts as f64)
            )?;
        }
        let power = |cost: &dyn Fn(&Figures) -> f64| power(&series.values, &figures.iter().map(cost).collect::<Vec<_>>());
        let powers: Vec<String> = (0..STAGES.len()).map(|stage| power(&|figures| figures.stages[stage].seconds())).collect();
        let each = |of: fn(&Figures) -> f64| power(&move |figures| of(figures) / f64::from(figures.size.channels));
        writeln!(
            text,
            "| *grows with the power* | *{}* | *{}* | *{}* | *{}* | *{}* |",
            powers.join("* | *"),
            each(|figures| figures.stages[3].seconds()),
            each(|figures| figures.grants as f64),
            each(|figures| figures.part_bytes as f64),
            power(&|figures| figures.parts as f64)
        )?;
    }
    Ok(())
}

fn write_page(text: &mut String, full: &Figures, grown: &[Vec<Figures>]) -> std::fmt::Result {
    writeln!(text, "# The settlement of an epoch, at scale\n")?;
    writeln!(
        text,
        "Made by `make bench-epoch DOCS=docs`, which writes this page and its chart; `make bench-epoch CARRIERS=1000 PAYERS=10000 CHANNELS=100000` runs one epoch \
         and prints its tables. The program is [tests/epoch](../tests/epoch): it makes keys, grants, tickets and receipts from seeds, then runs the code of `pot` that \
         nodes run, from the claims to the rewards, without consensus, network and disk. Counts and bytes are the same on every machine. Times are those of a \
         machine with {}, other programs running beside: processor time of one thread, so they are not what the wall showed, but caches and cores were shared. \
         1 TB is 10^12 bytes, 1 MiB is 2^20.\n",
        machine()
    )?;
    writeln!(text, "![What grows with what](epoch.svg)\n\n## One epoch\n")?;
    write_epoch(text, full)?;
    writeln!(text, "\n## Growth\n")?;
    writeln!(
        text,
        "Around 1,000 carriers, 10,000 payers, 100,000 channels and 1 PB, where any payer may use any carrier, one thing differs at a time; in **everything**, carriers, \
         payers and channels grow together, up to the full size. A power of 1 is proportional, 0 is constant. \
         The rows of **traffic** do the same work: what they differ by is chance.\n"
    )?;
    write_growth(text, grown)?;
    write_bounds(text, full, grown)
}

fn write_bounds(text: &mut String, full: &Figures, grown: &[Vec<Figures>]) -> std::fmt::Result {
    let neighbours = grown.last().expect("there are series");
    let (few, many) = (neighbours.first().expect("it has epochs"), neighbours.last().expect("it has epochs"));
    let ((entry, grant), (channels, grants)) = (fit(3, few, many), (f64::from(full.size.channels), full.grants as f64));
    let bytes = full.part_bytes as f64;
    let registered = bytes - grants * (GRANT_BYTES - INDEX_BYTES) as f64;
    let once = bytes - (grants - full.payers as f64) * GRANT_BYTES as f64;
    let worst = PARTS_MAX as f64 * (PART_BYTES_MAX as u64 / (ENTRY_BYTES + GRANT_BYTES)) as f64;
    writeln!(text, "\n## What bounds it\n")?;
    writeln!(
        text,
        "- **Grants, not receipts.** An entry takes {ENTRY_BYTES} bytes of a part, and the grant of its session {GRANT_BYTES} more in each part in which the \
         session pays. Carriers of one part are neighbours by address, that is by chance, so payers recur in a part only if they use a large share of all \
         carriers or the same few. In the full epoch there are {} grants for each entry, and {} % of the parts' bytes are grants.",
        digits(grants / channels),
        digits(100.0 * grants * GRANT_BYTES as f64 / bytes)
    )?;
    writeln!(
        text,
        "- **Checking.** From the epochs with the smallest and the largest neighbourhood, which differ in grants alone: about {} µs for each entry and {} µs for \
         each grant (two more signatures, by two more keys). That is {} and {} of what one receipt alone takes.",
        digits(entry),
        digits(grant),
        digits(entry * 1e3 / many.single_nanoseconds as f64),
        digits(grant * 1e3 / many.single_nanoseconds as f64)
    )?;
    writeln!(
        text,
        "- **What would mend it.** Grants registered once on the value ledger when sessions begin, and named in parts by an index of {INDEX_BYTES} bytes: the full \
         epoch's parts would have {} bytes for each channel instead of {}, and by the numbers above checking would take about {} s instead of {} s. Each grant \
         once in an epoch, in the first part that needs it: {} bytes, with a table of the epoch's sessions kept between parts. Carriers in a part by shared \
         payers instead of by address: as the rows of **neighbours**, as far as payers have neighbourhoods.",
        digits(registered / channels),
        digits(bytes / channels),
        digits(entry * channels / 1e6),
        digits(full.stages[3].seconds()),
        digits(once / channels)
    )?;
    writeln!(
        text,
        "- **Channels in an epoch.** A report has at most {} parts of at most {} entries and {} KiB. If every entry brings its grant, that is {} M channels, not \
         {} M; beyond, no report can be built. A claim has at most {} channels and a carrier one claim: a carrier with more cannot ask for the rest.",
        count(PARTS_MAX as f64),
        count(ENTRIES_MAX as f64),
        PART_BYTES_MAX >> 10,
        digits(worst / 1e6),
        digits((PARTS_MAX * ENTRIES_MAX) as f64 / 1e6),
        count(CLAIM_ENTRIES_MAX as f64)
    )?;
    writeln!(
        text,
        "- **Blocks.** Settling ({} s in the full epoch) is the work of one block, whatever the epoch's size; building and checking are spread over as many blocks \
         as the parts need, one part in each. Every transaction that brings a part brings the whole report with the hashes of all parts: bytes that grow with the \
         square of the parts, and are few here.",
        digits(full.stages[4].seconds())
    )?;
    writeln!(
        text,
        "- **Bytes carried** change nothing but numbers in fields of a fixed size: a terabyte or an exabyte over the same channels costs the same."
    )?;
    writeln!(
        text,
        "\nThe value ledger registers fewer carriers today (`RESOURCE_NODES_MAX` in `chain/src/resource.rs`) than the full epoch has; that limit is not of claims, \
         reports or rewards."
    )
}

/// The page of the full epoch and all series.
pub fn page(full: &Figures, grown: &[Vec<Figures>]) -> String {
    let mut text = String::new();
    write_page(&mut text, full, grown).expect("a string takes whatever is written");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.0].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.1234, 1.234, 12.34, 123.4].map(digits), ["0.123", "1.23", "12.3", "123"]);
        assert_eq!(power(&[10, 100, 1_000], &[1.0, 5.0, 10_000.0]), "2.00");
        assert_eq!(power(&[10, 1_000], &[1.0, 0.999]), "0.00");
    }
}
