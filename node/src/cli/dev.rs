//! The flags of the development network, and what they mean.

use std::path::PathBuf;

use clap::Args;

/// Port of the HTTP interface if none is given.
const PORT: u16 = 8600;
/// Length of an epoch in ms if none is given.
const EPOCH_MS: u64 = 10_000;
/// Validators, nodes that stand by, or meta nodes at most: they share one process and its cores.
const MEMBERS_MAX: i64 = 16;
/// Epochs in ms: long enough for a block or two, short enough to be seen.
const EPOCH_MS_MIN: u64 = 1_000;
const EPOCH_MS_MAX: u64 = 86_400_000;

/// Memory for states in MiB: below this nodes do little but read again what they forgot; above it is no machine that we know.
const CACHE_MIB_MIN: u64 = 64;
const CACHE_MIB_MAX: u64 = 16 << 20;

/// States of the past at most: finding one walks a list of them.
const STATES_MAX: u64 = 1_000_000;

/// The flags of `stratos --dev`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Development network")]
pub struct Flags {
    /// Start a whole network in this process, with funded accounts alice, bob and carol.
    #[arg(long)]
    pub dev: bool,
    /// Validators.
    #[arg(long, requires = "dev", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MEMBERS_MAX))]
    pub validators: Option<u16>,
    /// Nodes more that follow and have a consensus key, and are no validators until `stratos validator create` makes them so.
    #[arg(long, requires = "dev", value_name = "N", value_parser = clap::value_parser!(u16).range(0..=MEMBERS_MAX))]
    pub standby: Option<u16>,
    /// Meta nodes.
    #[arg(long, requires = "dev", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MEMBERS_MAX))]
    pub meta_nodes: Option<u16>,
    /// Keep the network in this directory and continue it at the next start; without it each start is fresh.
    #[arg(long, requires = "dev", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Port of the HTTP interface, 8600 without it; 0 takes a free one.
    #[arg(long, requires = "dev", value_name = "PORT")]
    pub port: Option<u16>,
    /// Length of an epoch in seconds, 10 without it.
    #[arg(long, requires = "dev", value_name = "SECONDS", conflicts_with = "epoch_ms", value_parser = clap::value_parser!(u64).range(1..=EPOCH_MS_MAX / 1_000))]
    pub epoch: Option<u64>,
    /// Length of an epoch in milliseconds.
    #[arg(long, requires = "dev", value_name = "MS", value_parser = clap::value_parser!(u64).range(EPOCH_MS_MIN..=EPOCH_MS_MAX))]
    pub epoch_ms: Option<u64>,
    /// Read every value that the replicas have on disk before they start, and stop if their root is not what the newest block says.
    #[arg(long, requires = "dev")]
    pub verify_state: bool,
    /// Memory for the states of all its nodes together, in MiB; without it an eighth of the machine's.
    #[arg(long, requires = "dev", value_name = "MIB", value_parser = clap::value_parser!(u64).range(CACHE_MIB_MIN..=CACHE_MIB_MAX))]
    pub cache: Option<u64>,
    /// States of the past that each ledger keeps, one for each of its newest blocks, so that they can be asked for and proven with `--height`; 10,000 without
    /// it, and fewer where those changed more than 1 GiB.
    #[arg(long, requires = "dev", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=STATES_MAX))]
    pub keep_states: Option<u64>,
}

/// A development network as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of validators, 1 to 16; `None` takes one, or as many as the data directory has.
    pub validators: Option<u16>,
    /// Number of nodes that stand by, 0 to 16; `None` takes none, or as many as the data directory has.
    pub standby: Option<u16>,
    /// Number of meta nodes, 1 to 16; `None` takes one, or as many as the data directory has.
    pub meta_nodes: Option<u16>,
    /// Where the network is kept; `None` for a fresh one that leaves nothing behind.
    pub data: Option<PathBuf>,
    /// Port of the HTTP interface; 0 takes a free one.
    pub port: u16,
    /// Length of an epoch in ms, 1,000 to 86,400,000; `None` takes what the data directory has, or 10,000.
    pub epoch_ms: Option<u64>,
    /// Whether what is on disk is verified first.
    pub verify_state: bool,
    /// Memory for the states of all nodes together, in bytes; `None` takes an eighth of the machine's.
    pub cache_bytes: Option<u64>,
    /// States of the past that each ledger keeps, 1 to 1,000,000; `None` takes 10,000.
    pub states: Option<u64>,
}

impl Options {
    /// Length of an epoch in ms of a network that starts fresh.
    pub fn epoch_ms_or_default(&self) -> u64 {
        self.epoch_ms.unwrap_or(EPOCH_MS)
    }
}

impl From<Flags> for Options {
    fn from(flags: Flags) -> Self {
        Self {
            validators: flags.validators,
            standby: flags.standby,
            meta_nodes: flags.meta_nodes,
            data: flags.data,
            port: flags.port.unwrap_or(PORT),
            epoch_ms: flags.epoch_ms.or(flags.epoch.map(|seconds| seconds.saturating_mul(1_000))),
            verify_state: flags.verify_state,
            cache_bytes: flags.cache.map(|mib| mib << 20),
            states: flags.keep_states,
        }
    }
}
