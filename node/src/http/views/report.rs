//! Reports of epochs: what meta nodes certified, and what can be checked of it.

use pot::report::Entry;
use pot::{Class, Part};
use primitives::{Address, Bytes, Epoch, Hash, Height, Noz, PublicKey, View};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Version of [`ReceiptsFile`].
pub const RECEIPTS_FORMAT: u32 = 1;
/// Bytes of a file of receipts at most: what a node answers at most.
pub const RECEIPTS_FILE_BYTES_MAX: u64 = 64 << 20;

/// Where an epoch is on its way to its settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not over, or its report is not complete.
    Open,
    /// Its report is complete: who was left out of it may claim directly.
    Challenged,
    /// Charged and paid.
    Settled,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What was checked.
    pub what: String,
    /// Whether it holds; `null` if it cannot be checked here.
    pub holds: Option<bool>,
    /// The numbers, or what is wrong.
    pub detail: String,
}

/// `GET /v1/epochs/{number}/report`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficReport {
    /// The epoch of the traffic.
    pub epoch: Epoch,
    /// Where it is.
    pub stage: Stage,
    /// Hash of the report; `null` if there is none yet, or it was proven false.
    pub hash: Option<Hash>,
    /// Whether it was proven false.
    pub is_condemned: bool,
    /// The block of the value ledger with which the report was complete.
    pub reported_height: Option<Height>,
    /// It is settled once this epoch has begun.
    pub settled_with: Option<Epoch>,
    /// Receipts in it.
    pub receipts: u64,
    /// What they sum to.
    pub noz: Noz,
    /// Who signed it.
    pub certificate: Option<ReportCertificate>,
    /// Its parts.
    pub parts: Vec<ReportPart>,
    /// The meta nodes that it names, and whether they were live.
    pub liveness: Vec<Liveness>,
    /// Who claimed directly.
    pub direct: Vec<Address>,
    /// What this node has checked just now.
    pub checks: Vec<Check>,
}

/// A meta node in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Liveness {
    /// Its operator.
    pub address: Address,
    /// Whether it was live.
    pub is_live: bool,
}

/// The certificate under a report: of a block of the metadata ledger whose state holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportCertificate {
    /// Height of the block.
    pub height: Height,
    /// Its hash.
    pub block: Hash,
    /// Its view.
    pub view: View,
    /// Epoch of the metadata ledger.
    pub epoch: Epoch,
    /// Root of the state after it.
    pub state_root: Hash,
    /// Who signed: operators, or keys of those that are no meta nodes any more.
    pub signers: Vec<String>,
    /// Members of the set, if it is still remembered.
    pub members: Option<u32>,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportPart {
    /// Its position.
    pub number: u32,
    /// Its hash.
    pub hash: Hash,
    /// The block that brought it.
    pub height: Height,
    /// The transaction that brought it; `null` if the block is not here.
    pub transaction: Option<Hash>,
    /// Receipts in it.
    pub receipts: u32,
    /// Carriers that claim in it.
    pub carriers: u32,
    /// Sessions that pay in it.
    pub sessions: u32,
    /// What its receipts sum to.
    pub noz: Noz,
    /// Its length.
    pub bytes: Bytes,
}

/// `GET /v1/epochs/{number}/report/{part}`: all receipts of a part, every signature checked just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartReceipts {
    /// The epoch of the traffic.
    pub epoch: Epoch,
    /// Position of the part.
    pub number: u32,
    /// Its hash.
    pub hash: Hash,
    /// What was checked.
    pub checks: Vec<Check>,
    /// The last receipt of each channel.
    pub receipts: Vec<ReceiptView>,
}

/// The last receipt of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptView {
    /// Who moved the bytes.
    pub carrier: Address,
    /// Who pays.
    pub payer: Address,
    /// The payer's key that signed.
    pub session: PublicKey,
    /// What the bytes are.
    pub class: TrafficClass,
    /// How many.
    pub bytes: u64,
}

impl ReceiptView {
    /// The receipts that a part's entries stand for.
    pub fn all(part: &Part) -> Vec<Self> {
        let of = |entry: &Entry| {
            let (carrier, payer) = (part.carriers.get(usize::from(entry.carrier))?, part.payers.get(usize::from(entry.payer))?.grant);
            Some(Self { carrier: carrier.carrier, payer: payer.payer, session: payer.session, class: entry.class.into(), bytes: entry.bytes })
        };
        part.entries.iter().filter_map(of).collect()
    }
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrafficClass {
    /// Slices stored.
    Upload,
    /// Slices fetched whole.
    Download,
    /// Ranges fetched for a player.
    Stream,
}

impl From<Class> for TrafficClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Upload => Self::Upload,
            Class::Download => Self::Download,
            Class::Stream => Self::Stream,
        }
    }
}

/// `GET /v1/epochs/{number}/report/{part}/file`: a part with everything that proves its receipts to whoever has the genesis file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptsFile {
    /// Version of this form: 1 so far ([`RECEIPTS_FORMAT`]).
    pub format: u32,
    /// The epoch of the traffic.
    pub epoch: Epoch,
    /// Position of the part.
    pub number: u32,
    /// The epoch's report in the metadata ledger's state: a `chain::ledger::Traced`, hexadecimal.
    pub report: String,
    /// The records of the part's carriers in the value ledger's state, in their order: a `chain::ledger::Traced`, hexadecimal.
    pub carriers: String,
    /// The part, hexadecimal.
    pub part: String,
}
