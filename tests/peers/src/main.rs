//! Our consensus beside two others, on one schedule without faults, in one process: `make bench-peers`.
//!
//! n nodes of equal weight; every message takes one constant delay (20 ms of virtual time) whatever its length, computing takes none; blocks as fast as each
//! protocol makes them, empty or with 1 MB of payload. Signatures are real, and so are the bytes: a message is encoded once by its sender and decoded by each
//! receiver, and every node hashes each payload once, all by the same function. With 64 nodes there are empty blocks only, for time's sake; an argument (`4`,
//! `16`, `64`) asks for the tables of one size alone.
//!
//! # Columns
//! - **period**: from block to block, in delays. **finality**: from proposed to final, in delays, the mean over blocks and nodes. **blocks/s by links**: what
//!   the period allows.
//! - **messages**, **kilobytes**: per block, all nodes together; a broadcast is one message for each receiver.
//! - **processor**: what one node works for one block, by the clock that counts the time this process has a processor; of several short runs the least, and
//!   beside it the most: if they are far apart, others had the machine too. Waiting is virtual and costs nothing. **rest**: the least without what carries the
//!   messages, which the last two rows measure alone: as many messages of the same mean length, and no consensus. **to ours**: divided by ours. **blocks/s by a
//!   core**: what the processor time allows if every node has one core.
//!
//! # Systems
//! | | version | driven by | signatures |
//! |---|---|---|---|
//! | ours | this tree | a heap of events (`ours`, `wires`) | Schnorr over ristretto255; a quorum's votes in one batch |
//! | Malachite | core-consensus 0.5.0 | the same heap (`malachite`) | ed25519 by its `signing-ed25519`; each vote alone, its own too, and all of a decision's again |
//! | Commonware | consensus 2026.10.0, `simplex` | its deterministic runtime and simulated network (`commonware`) | its ed25519 scheme, in batches |
//!
//! Commonware has three rows. Its plain one is the protocol that ours is. With *trusting leaders* a leader builds and votes before the block before is
//! notarized, and with *stable leaders* one leads for ten views and is up to four ahead. Both make blocks faster than ours can; a block is final no sooner.
//!
//! # Not equal
//! - **What is around the engines.** Ours and Malachite's core are called directly. Commonware's engine is a set of actors that cannot be had without its
//!   runtime, which for the sake of repeatable tests hashes every step it takes. *Rest* takes off what that costs for the messages, not what it costs between
//!   the actors. Malachite's actors, which run its core in production, are not here at all.
//! - **Disk.** Nobody writes to one. Ours encodes and hashes its slot into memory for each signature, Commonware its journal; Malachite's log entries are
//!   dropped.
//! - **Encoding.** Malachite's core has none and no data of its own: `malachite::context` is ours, for the crate with its test data is in no registry. Its
//!   proposals are signed by the hash of their payload.
//! - **Blocks.** In ours and Malachite a block travels in its proposal. Commonware orders digests, and the block behind one is its application's to spread:
//!   here an empty one not at all, another in one message to each, for which voters wait. That is less than its `marshal` does, which stores and serves blocks
//!   too. Decoding copies the payload in ours and in Malachite, but not in Commonware.
//! - **Certificates.** Commonware sends each to everybody, which helps who has lost votes and here is only bytes. Ours travel in the next proposal; a node
//!   pushes its last one only if somebody has not shown himself in a view for Δ/2. With the node's own times and links slower than Δ/4 (25 ms) that is every
//!   view: at 30 ms four nodes send 42 messages for a block instead of 24, and twice the bytes. This bench is on the good side of that line.
//! - **Curves.** Malachite's ed25519 rests on an older library, without vector instructions, than ours and Commonware's, which have the same one.

mod record;
mod wires;
mod ours;
mod malachite;
mod commonware;

use std::time::Duration;

use commonware::Leaders;
use record::{DELAY, Measured, Record, Workload};

/// Nodes, bytes of payloads, and rounds, of which each system has one run and then the next system one: what disturbs the machine for a while disturbs all.
const TABLES: [(usize, usize, usize); 5] = [(4, 0, 12), (4, 1_000_000, 6), (16, 0, 4), (16, 1_000_000, 3), (64, 0, 2)];

/// What carries messages; rows of their own after those of the systems.
const LINKS: [&str; 2] = ["our wires alone", "commonware's network alone"];

/// A name, what fills a record, and what carries its messages, as an index of [`LINKS`].
type System = (&'static str, fn(Record) -> Record, usize);

/// What is measured, in the order of the table.
const SYSTEMS: [System; 5] = [
    ("ours", ours::run, 0),
    ("malachite", malachite::run, 0),
    ("commonware", |record| commonware::run(record, Leaders::Rotating), 1),
    ("commonware, trusting leaders", |record| commonware::run(record, Leaders::Trusting), 1),
    ("commonware, stable leaders", |record| commonware::run(record, Leaders::Stable), 1),
];

/// The widths of the columns.
fn line(columns: [&str; 12]) {
    let [system, period, finality, by_links, messages, kilobytes, processor, most, ratio, rest, rest_ratio, by_core] = columns;
    print!("{system:<29} {period:>7} {finality:>9} {by_links:>9} {messages:>10} {kilobytes:>10}");
    println!(" {processor:>11} {most:>7} {ratio:>8} {rest:>11} {rest_ratio:>8} {by_core:>9}");
}

fn heading() {
    line(["", "period", "finality", "blocks/s", "messages", "kilobytes", "processor", "most", "to ours", "rest", "to ours", "blocks/s"]);
    line(["", "delays", "delays", "by links", "per block", "per block", "us per node", "us", "", "us per node", "", "by a core"]);
}

/// One line of a table. `rest` is the processor time without that of the links; `ours` is ours, with and without.
fn row(system: &str, runs: &Runs, rest: Option<Duration>, ours: (Duration, Duration)) {
    let Runs { least: Measured { period, finality, messages, bytes, processor }, most } = runs;
    let micros = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6);
    let ratio = |time: Duration, ours: Duration| format!("{:.2}", time.div_duration_f64(ours));
    line([
        system,
        &format!("{period:.2}"),
        &format!("{finality:.2}"),
        &format!("{:.1}", 1e6 / (period * DELAY as f64)),
        &format!("{messages:.0}"),
        &format!("{:.1}", bytes / 1000.0),
        &micros(*processor),
        &micros(*most),
        &ratio(*processor, ours.0),
        &rest.map_or("-".into(), micros),
        &rest.map_or("-".into(), |rest| ratio(rest, ours.1)),
        &rest.map_or("-".into(), |_| format!("{:.0}", 1.0 / processor.as_secs_f64())),
    ]);
}

/// What several runs of one system show. Nothing but the processor time differs between them.
#[derive(Clone, Copy)]
struct Runs {
    /// The run with the least of it.
    least: Measured,
    /// The most of it.
    most: Duration,
}

impl Runs {
    fn and(self, next: Measured) -> Self {
        let least = if next.processor < self.least.processor { next } else { self.least };
        Self { least, most: self.most.max(next.processor) }
    }
}

/// One run of each system, and then of its links with the traffic that it had.
fn round(workload: Workload) -> Vec<Measured> {
    let records = SYSTEMS.map(|(_, run, _)| run(Record::new(workload)));
    let wires = wires::alone(Record::new(workload), records[0].broadcasts());
    let network = commonware::network(Record::new(workload), records[2].broadcasts());
    records.iter().chain([&wires, &network]).map(Record::measured).collect()
}

fn rounds(workload: Workload, count: usize) -> Vec<Runs> {
    let first = round(workload).into_iter().map(|measured| Runs { least: measured, most: measured.processor }).collect();
    (1..count).fold(first, |runs: Vec<Runs>, _| runs.into_iter().zip(round(workload)).map(|(runs, next)| runs.and(next)).collect())
}

fn main() {
    let only = std::env::args().skip(1).find_map(|argument| argument.parse::<usize>().ok());
    heading();
    for (nodes, payload_bytes, count) in TABLES.into_iter().filter(|(nodes, ..)| only.is_none_or(|only| only == *nodes)) {
        println!("\n{nodes} nodes, payloads of {payload_bytes} bytes");
        let runs = rounds(Workload { nodes, payload_bytes }, count);
        let (systems, links) = runs.split_at(SYSTEMS.len());
        let rest = |index: usize| systems[index].least.processor.saturating_sub(links[SYSTEMS[index].2].least.processor);
        let ours = (systems[0].least.processor, rest(0));
        for (index, (system, ..)) in SYSTEMS.iter().enumerate() {
            row(system, &systems[index], Some(rest(index)), ours);
        }
        for (name, runs) in LINKS.iter().zip(links) {
            row(name, runs, None, ours);
        }
    }
}
