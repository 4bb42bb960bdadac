//! `epoch show`, `receipt list|get|verify`: what an epoch's traffic was, and what proves it.
//!
//! # What `receipt verify` trusts
//! The genesis: it says who voted first on both ledgers. The file holds every change of voters since, the report of the epoch with the meta nodes'
//! certificate, the part that the report names, and the carriers' keys with the validators' certificate. Then every receipt, claim and grant of the part is
//! checked as validators check it.

use std::collections::BTreeMap;

use chain::genesis::meta_chain;
use chain::ledger::Traced;
use chain::ledger::proven::{Reading, TRACED_BYTES_MAX};
use chain::resource::ResourceNode;
use chain::{Genesis, keys};
use consensus::Members;
use pot::report::{self, PART_BYTES_MAX};
use pot::{Part, Report};
use primitives::{Address, Epoch, Hash, Noz, PublicKey, Time};
use serde::Serialize;
use serde_json::json;

use super::Context;
use super::args::{EpochCommand, EpochId, Party, Receipt};
use super::failure::Failure;
use super::genesis::{self, read, write_new};
use super::output::{self, Align};
use super::proof::digits;
use crate::http::views::{self, Check, RECEIPTS_FILE_BYTES_MAX, RECEIPTS_FORMAT, ReceiptView, ReceiptsFile, Stage, TrafficClass};

/// Parts that `epoch show` has checked and `receipt list` reads at most; of a report with more, `receipt get` gives each.
const PARTS_SHOWN_MAX: usize = 64;

/// Runs `epoch`.
///
/// # Errors
/// [`Failure`] if the node refuses.
pub fn epoch(command: &EpochCommand, context: &Context) -> Result<(), Failure> {
    let EpochCommand::Show { epoch } = command;
    let number = number(epoch, context)?;
    let traffic: views::TrafficReport = context.node.get(&format!("/v1/epochs/{number}/report"))?;
    let settled: Option<views::EpochReport> = match traffic.stage {
        Stage::Settled => Some(context.node.get(&format!("/v1/epochs/{number}"))?),
        Stage::Open | Stage::Challenged => None,
    };
    let mut checks: Vec<Check> = traffic.checks.clone();
    for part in traffic.parts.iter().take(PARTS_SHOWN_MAX) {
        let checked: views::PartReceipts = context.node.get(&format!("/v1/epochs/{number}/report/{}", part.number))?;
        checks.extend(checked.checks.into_iter().map(|check| Check { what: format!("part {}: {}", part.number, check.what), ..check }));
    }
    let view = match &settled {
        Some(settled) => {
            let mut view = serde_json::to_value(settled).map_err(Failure::refused)?;
            view["report"] =
                json!({"hash": traffic.hash, "certificate": traffic.certificate, "parts": traffic.parts, "direct": traffic.direct, "checks": checks});
            view
        }
        None => serde_json::to_value(views::TrafficReport { checks: checks.clone(), ..traffic.clone() }).map_err(Failure::refused)?,
    };
    output::print(context.json, &view, || {
        let mut text = settled.as_ref().map_or_else(|| waiting(&traffic), settlement);
        text += &certified(&traffic);
        text += &checked(&checks);
        text
    })
}

/// The number that people mean.
fn number(epoch: &EpochId, context: &Context) -> Result<Epoch, Failure> {
    match epoch {
        EpochId::Number(epoch) => Ok(*epoch),
        EpochId::Latest => Ok(context.node.get::<views::EpochReport>("/v1/epochs/latest")?.epoch),
    }
}

pub(super) fn several(count: u64, what: &str) -> String {
    format!("{} {what}{}", output::grouped(u128::from(count)), if count == 1 { "" } else { "s" })
}

fn waiting(traffic: &views::TrafficReport) -> String {
    let stage = match (traffic.stage, traffic.settled_with) {
        (Stage::Challenged, Some(epoch)) => format!("reported; who was left out may claim directly until epoch {epoch} begins, which settles it"),
        (Stage::Open | Stage::Challenged | Stage::Settled, _) => "not over, or not reported yet".to_owned(),
    };
    output::fields(&[
        ("epoch", traffic.epoch.to_string()),
        ("stage", stage),
        ("receipts", format!("{} over {}", output::grouped(traffic.receipts.into()), output::ozone(traffic.noz))),
    ])
}

/// The report and who certified it.
fn certified(traffic: &views::TrafficReport) -> String {
    if traffic.is_condemned {
        return "\nthe report was proven false; its carriers claim directly\n".to_owned();
    }
    let (Some(hash), Some(certificate)) = (traffic.hash, &traffic.certificate) else { return String::new() };
    let of = certificate.members.map_or_else(String::new, |members| format!(" of {members}"));
    let mut fields = vec![
        ("report", hash.to_string()),
        ("certified by", format!("{}{of} meta nodes, in block {} of the metadata ledger", certificate.signers.len(), certificate.height)),
        ("its state root", certificate.state_root.to_string()),
    ];
    if !traffic.direct.is_empty() {
        fields.push(("claimed directly", traffic.direct.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    }
    let mut text = format!("\n{}", output::fields(&fields));
    if !traffic.parts.is_empty() {
        let number = |heading| (heading, Align::Right);
        let columns = [
            number("part"),
            number("receipts"),
            number("carriers"),
            number("sessions"),
            number("carried"),
            number("bytes"),
            number("block"),
            ("hash", Align::Left),
        ];
        let rows: Vec<_> = traffic.parts.iter().map(part_row).collect();
        text += &format!("\n{}", output::table(columns, &rows));
    }
    text
}

fn part_row(part: &views::ReportPart) -> [String; 8] {
    let count = |count: u32| output::grouped(count.into());
    [
        part.number.to_string(),
        count(part.receipts),
        count(part.carriers),
        count(part.sessions),
        output::ozone(part.noz),
        output::grouped(part.bytes.0.into()),
        part.height.to_string(),
        part.hash.to_string(),
    ]
}

fn checked(checks: &[Check]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let verdict = |check: &Check| match check.holds {
        Some(true) => "holds",
        Some(false) => "DOES NOT HOLD",
        None => "not checked",
    };
    let rows: Vec<_> = checks.iter().map(|check| [check.what.clone(), verdict(check).to_owned(), check.detail.clone()]).collect();
    format!("\n{}", output::table([("check", Align::Left), ("", Align::Left), ("", Align::Left)], &rows))
}

fn settlement(report: &views::EpochReport) -> String {
    let mut text = output::fields(&[
        ("epoch", report.epoch.to_string()),
        ("settled in block", report.settled_height.to_string()),
        ("traffic charged", output::ozone(report.charged_noz)),
        ("receipts", format!("{} in {}", output::grouped(report.receipts.into()), several(report.parts.into(), "part"))),
        ("traffic reward", output::stos(report.traffic_reward_wei)),
        ("mining reward", output::stos(report.mining_reward_wei)),
        ("community tax", output::stos(report.tax_wei)),
    ]);
    let number = |heading| (heading, Align::Right);
    if !report.payers.is_empty() {
        let rows: Vec<_> = report.payers.iter().map(|payer| [payer.address.to_string(), output::ozone(payer.noz), output::stos(payer.released_wei)]).collect();
        text += &format!("\n{}", output::table([("payer", Align::Left), number("charged"), number("had cost")], &rows));
    }
    if !report.carriers.is_empty() {
        let rows: Vec<_> =
            report.carriers.iter().map(|carrier| [carrier.address.to_string(), output::ozone(carrier.noz), output::stos(carrier.reward_wei)]).collect();
        text += &format!("\n{}", output::table([("carrier", Align::Left), number("carried"), number("reward")], &rows));
    }
    for (heading, earners) in [("meta node", &report.metas), ("validator", &report.validators)] {
        if !earners.is_empty() {
            let rows: Vec<_> = earners.iter().map(|earner| [earner.address.to_string(), output::stos(earner.reward_wei)]).collect();
            text += &format!("\n{}", output::table([(heading, Align::Left), number("reward")], &rows));
        }
    }
    text
}

/// Runs `receipt`.
///
/// # Errors
/// [`Failure`] if the node refuses, or the file proves nothing.
pub fn receipt(command: &Receipt, context: &Context) -> Result<(), Failure> {
    match command {
        Receipt::List { epoch, payer, carrier } => list(epoch, payer.as_ref(), carrier.as_ref(), context),
        Receipt::Get { epoch, part, out } => {
            let epoch = number(epoch, context)?;
            let file: ReceiptsFile = context.node.get(&format!("/v1/epochs/{epoch}/report/{part}/file"))?;
            let text = serde_json::to_string(&file).map_err(Failure::refused)?;
            write_new(out, text.as_bytes())?;
            output::print(context.json, &json!({"path": out, "epoch": epoch, "part": part, "bytes": text.len()}), || {
                format!("written to {}; `stratos receipt verify` checks it", out.display())
            })
        }
        Receipt::Verify { file, genesis } => {
            let bytes = read(file, RECEIPTS_FILE_BYTES_MAX)?;
            let genesis = genesis::of_network(genesis.as_deref(), context)?;
            let proven = check(&bytes, &genesis).map_err(|failure| failure.about(file.display()))?;
            output::print(context.json, &proven, || proven.people())
        }
    }
}

fn list(epoch: &EpochId, payer: Option<&Party>, carrier: Option<&Party>, context: &Context) -> Result<(), Failure> {
    let epoch = number(epoch, context)?;
    let account = |who: Option<&Party>| who.map(|who| context.account(Some(who))).transpose();
    let (payer, carrier) = (account(payer)?, account(carrier)?);
    let traffic: views::TrafficReport = context.node.get(&format!("/v1/epochs/{epoch}/report"))?;
    if traffic.parts.len() > PARTS_SHOWN_MAX {
        return Err(Failure::refused(format!(
            "the report of epoch {epoch} has {} parts, a list shows those of {PARTS_SHOWN_MAX} at most",
            traffic.parts.len()
        ))
        .hint(format!("`stratos receipt get {epoch} PART --out FILE` gives each")));
    }
    let mut list = Vec::new();
    for part in &traffic.parts {
        let receipts: views::PartReceipts = context.node.get(&format!("/v1/epochs/{epoch}/report/{}", part.number))?;
        list.extend(receipts.receipts);
    }
    list.retain(|receipt| payer.is_none_or(|payer| receipt.payer == payer) && carrier.is_none_or(|carrier| receipt.carrier == carrier));
    output::print(context.json, &list, || if list.is_empty() { format!("no receipts in the report of epoch {epoch}\n") } else { table(&list) })
}

fn table(receipts: &[ReceiptView]) -> String {
    let columns = [("carrier", Align::Left), ("payer", Align::Left), ("session", Align::Left), ("class", Align::Left), ("bytes", Align::Right)];
    let class = |class| match class {
        TrafficClass::Upload => "upload",
        TrafficClass::Download => "download",
        TrafficClass::Stream => "stream",
    };
    let row = |receipt: &ReceiptView| {
        let session: String = receipt.session.to_string().chars().take(16).collect();
        [receipt.carrier.to_string(), receipt.payer.to_string(), session, class(receipt.class).to_owned(), output::grouped(receipt.bytes.into())]
    };
    output::table(columns, &receipts.iter().map(row).collect::<Vec<_>>())
}

/// What a file of receipts proves.
#[derive(Debug, Serialize)]
struct ProvenReceipts {
    epoch: Epoch,
    number: u32,
    parts: usize,
    report: Hash,
    part: Hash,
    /// When the meta nodes' certificate was made.
    time_ms: Time,
    meta_nodes: usize,
    validators: usize,
    noz: Noz,
    carriers: usize,
    sessions: usize,
    receipts: Vec<ReceiptView>,
}

impl ProvenReceipts {
    fn people(&self) -> String {
        let fields = output::fields(&[
            (
                "proven",
                format!(
                    "{}, {} and {} were signed",
                    several(count(&self.receipts), "receipt"),
                    several(self.carriers as u64, "claim"),
                    several(self.sessions as u64, "grant")
                ),
            ),
            ("epoch", self.epoch.to_string()),
            ("report", format!("{}, which has {}", self.report, several(self.parts as u64, "part"))),
            ("part", format!("{}, {}", self.number, self.part)),
            ("carried", output::ozone(self.noz)),
            (
                "certified",
                format!(
                    "by a quorum of {} and, for the carriers' keys, of {}",
                    several(self.meta_nodes as u64, "meta node"),
                    several(self.validators as u64, "validator")
                ),
            ),
            ("time", output::time(self.time_ms)),
        ]);
        format!("{fields}\n{}", table(&self.receipts))
    }
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// What the bytes of a file of receipts prove to whoever trusts `genesis`.
///
/// # Errors
/// [`Failure`] names the first check that fails.
fn check(bytes: &[u8], genesis: &Genesis) -> Result<ProvenReceipts, Failure> {
    let fail = |error: &dyn std::fmt::Display| {
        Failure::refused(format!("it is no file of receipts, or a part of one: {error}")).hint("`stratos receipt get EPOCH --out FILE` makes one")
    };
    let file: ReceiptsFile = serde_json::from_slice(bytes).map_err(|error| fail(&error))?;
    let ReceiptsFile { format, epoch, number, report, carriers, part } = file;
    if format != RECEIPTS_FORMAT {
        return Err(
            Failure::refused(format!("it has format {format}, this program knows {RECEIPTS_FORMAT}")).hint("use the program that made it, or a newer one")
        );
    }
    let broken = |error| Failure::refused(format!("the genesis file is invalid: {error}"));
    let part = Part::decode(&digits("part", &part, PART_BYTES_MAX)?).map_err(|error| fail(&error))?;
    let chain = genesis.hash();
    let (reading, meta_nodes) = reading("report", &report, meta_chain(chain), genesis.meta_members().map_err(broken)?, &[report::key(epoch)])?;
    let certified: Report =
        reading.value(&report::key(epoch)).ok_or_else(|| Failure::refused(format!("the metadata ledger has no report of epoch {epoch}")))?;
    certified.check(epoch).map_err(|error| Failure::refused(format!("the report is invalid: {error}")))?;
    let hash = part.hash();
    let named = usize::try_from(number).ok().and_then(|number| certified.parts.get(number));
    if named != Some(&hash) || part.number != number {
        return Err(Failure::refused(format!("the report of epoch {epoch} does not name this part {number}")));
    }
    let keys_of: Vec<Vec<u8>> = part.carriers.iter().map(|row| keys::resource_node(&row.carrier)).collect();
    let (records, validators) = self::reading("carriers", &carriers, chain, genesis.validator_members().map_err(broken)?, &keys_of)?;
    let known: BTreeMap<Address, PublicKey> =
        keys_of.iter().filter_map(|key| records.value::<ResourceNode>(key)).map(|node| (node.operator, node.node.key)).collect();
    let verified = report::verify_part(&part, chain, epoch, |carrier| known.get(carrier).copied());
    let verified = verified.map_err(|error| Failure::refused(format!("part {number} of the report of epoch {epoch} does not hold: {error}")))?;
    Ok(ProvenReceipts {
        epoch,
        number,
        parts: certified.parts.len(),
        report: certified.hash(),
        part: hash,
        time_ms: reading.certified.header.time,
        meta_nodes,
        validators,
        noz: verified.noz(),
        carriers: part.carriers.len(),
        sessions: part.payers.len(),
        receipts: ReceiptView::all(&part),
    })
}

/// What a reading in the file proves, and how many vote on its ledger.
fn reading(what: &str, text: &str, chain: Hash, first: Members, asked: &[Vec<u8>]) -> Result<(Reading, usize), Failure> {
    let traced = digits(what, text, TRACED_BYTES_MAX)?;
    let traced = Traced::decode(&traced).map_err(|error| Failure::refused(format!("its proof of the {what} cannot be read: {error}")))?;
    let members = traced.attested.members.count();
    let reading = traced.verify_answer(chain, first, asked).map_err(|error| Failure::refused(format!("its proof of the {what} proves nothing: {error}")))?;
    Ok((reading, members))
}

#[cfg(test)]
mod tests {
    use primitives::{Amount, Height};

    use super::*;

    #[test]
    fn a_settlement_reads_like_a_bill() {
        let address = Address([1; 20]);
        let report = views::EpochReport {
            epoch: Epoch(5),
            settled_height: Height(60),
            charged_noz: Noz(150_000_000),
            unpaid_noz: Noz(0),
            traffic_reward_wei: Amount::stos(1),
            mining_reward_wei: Amount(250_000_000_000_000_000),
            tax_wei: Amount(0),
            receipts: 6,
            parts: 1,
            direct: 0,
            carriers: vec![views::Carrier { address, noz: Noz(150_000_000), reward_wei: Amount::stos(1) }],
            metas: vec![],
            validators: vec![views::Earner { address, reward_wei: Amount(7) }],
            payers: vec![views::Payer { address, noz: Noz(150_000_000), released_wei: Amount::stos(1) }],
        };
        let text = settlement(&report);
        for part in ["0.15 oz", "6 in 1 part\n", "0.25 stos", "carrier", "payer", "validator", "7 wei"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("meta node"));
    }
}
