//! The report behind a settlement: what the meta nodes certified, part by part, and every check that anyone can make of it: `/v1/epochs/{number}/report`.
//!
//! Report, certificate and parts are read from the blocks that brought them, so they can be had as long as this node has those blocks; the signatures are
//! checked anew with each request, one part at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chain::genesis::meta_chain;
use chain::ledger::block::transaction_hash;
use chain::ledger::proven::Reading;
use chain::ledger::{Proven, Status};
use chain::settlement::{self, Reported};
use chain::transaction::{Message, SignedTransaction};
use chain::{keys as value_keys, meta_registry, resource};
use pot::report::{self, PartError, VerifiedPart};
use pot::{Part, Report};
use primitives::encoding::{decode, encode};
use primitives::{Bytes, Epoch, Hash, Height, Noz};

use super::super::limits::PAST_READS_MAX;
use super::super::problem::Problem;
use super::super::question::{Segment, parse};
use super::super::server::Server;
use super::super::views::{self, Check, Stage};
use super::{count, proof};

/// What settlement says of an epoch that is reported.
struct Standing {
    epoch: Epoch,
    stage: Stage,
    hash: Option<Hash>,
    height: Height,
    settled_with: Option<Epoch>,
    parts: Vec<Height>,
    direct: Vec<primitives::Address>,
}

/// A settlement's message as a block brought it.
struct Brought {
    transaction: Hash,
    report: Box<Proven>,
    part: Option<Box<Part>>,
}

fn number(text: &str) -> Result<Epoch, Problem> {
    parse(text, "the number of an epoch")
}

fn standing(server: &Server, epoch: Epoch) -> Option<Standing> {
    let state = &server.site.value.head().state;
    if let Some(Reported { report, height, parts, until, direct, .. }) = settlement::reported(state, epoch) {
        return Some(Standing { epoch, stage: Stage::Challenged, hash: report, height, settled_with: Some(until), parts, direct });
    }
    let settled = settlement::settled(state, epoch)?;
    Some(Standing {
        epoch,
        stage: Stage::Settled,
        hash: settled.report,
        height: settled.reported,
        settled_with: None,
        parts: settled.parts,
        direct: settled.direct,
    })
}

impl Standing {
    /// The message in the block of `height` that brought this part, or the report without parts.
    fn brought(&self, server: &Server, height: Height, part: Option<u32>) -> Option<Brought> {
        let stored = server.site.value.block(height)?;
        let (body, key) = (stored.body()?, report::key(self.epoch));
        for (bytes, receipt) in body.transactions.iter().zip(&stored.receipts) {
            let Ok(SignedTransaction { body, .. }) = decode(bytes, bytes.len()) else { continue };
            for message in body.messages {
                if let Message::Settle { report, part: brought } = message
                    && receipt.status == Status::Done
                    && brought.as_ref().map(|part| part.number) == part
                    && report.entries.iter().any(|entry| entry.key == key)
                {
                    return Some(Brought { transaction: transaction_hash(bytes), report, part: brought });
                }
            }
        }
        None
    }

    /// The report with what certifies it, from the block that completed it; `None` if there is none or the block is not here.
    fn report(&self, server: &Server) -> Option<(Box<Proven>, Report)> {
        self.hash?;
        let last = count(&self.parts).checked_sub(1);
        let proven = self.brought(server, self.height, last)?.report;
        let value = proven.entries.iter().find(|entry| entry.key == report::key(self.epoch))?.value.clone()?;
        Some((proven, decode(&value, value_keys::VALUE_BYTES_MAX).ok()?))
    }
}

/// `GET /v1/epochs/{number}/report`.
///
/// # Errors
/// [`Problem`] if it is no number.
pub async fn show(State(server): State<Arc<Server>>, Segment(text): Segment) -> Result<Json<views::TrafficReport>, Problem> {
    let epoch = number(&text)?;
    server.read(move |server| Ok(Json(traffic(server, epoch)))).await
}

fn traffic(server: &Server, epoch: Epoch) -> views::TrafficReport {
    let mut view = views::TrafficReport {
        epoch,
        stage: Stage::Open,
        hash: None,
        is_condemned: false,
        reported_height: None,
        settled_with: None,
        receipts: 0,
        noz: Noz::ZERO,
        certificate: None,
        parts: Vec::new(),
        liveness: Vec::new(),
        direct: Vec::new(),
        checks: Vec::new(),
    };
    let Some(standing) = standing(server, epoch) else { return view };
    view.stage = standing.stage;
    view.hash = standing.hash;
    view.is_condemned = standing.hash.is_none();
    view.reported_height = Some(standing.height);
    view.settled_with = standing.settled_with;
    view.direct.clone_from(&standing.direct);
    let Some((proven, report)) = standing.report(server) else { return view };
    view.receipts = report.receipts;
    view.noz = report.noz;
    view.liveness = report.liveness.iter().map(|(address, live)| views::Liveness { address: *address, is_live: *live > 0 }).collect();
    view.certificate = Some(certificate(server, &proven));
    let mut sums = (0u64, Noz::ZERO);
    for ((number, height), hash) in (0u32..).zip(&standing.parts).zip(&report.parts) {
        let brought = standing.brought(server, *height, Some(number));
        let transaction = brought.as_ref().map(|brought| brought.transaction);
        let mut row =
            views::ReportPart { number, hash: *hash, height: *height, transaction, receipts: 0, carriers: 0, sessions: 0, noz: Noz::ZERO, bytes: Bytes(0) };
        if let Some(part) = brought.and_then(|brought| brought.part) {
            row.noz = part.entries.iter().fold(Noz::ZERO, |sum, entry| sum.saturating_add(Noz(entry.bytes.into())));
            (row.receipts, row.carriers, row.sessions) = (count(&part.entries), count(&part.carriers), count(&part.payers));
            row.bytes = Bytes(u64::try_from(encode(&*part).len()).unwrap_or(u64::MAX));
        }
        sums = (sums.0.saturating_add(row.receipts.into()), sums.1.saturating_add(row.noz));
        view.parts.push(row);
    }
    view.checks = checks(server, epoch, proven, &report, standing.hash, &view.parts, sums);
    view
}

fn certificate(server: &Server, proven: &Proven) -> views::ReportCertificate {
    let state = &server.site.value.head().state;
    let header = &proven.certified.header;
    let members = meta_registry::electorate(state, &header.members);
    let operators = meta_registry::nodes(state);
    let signer = |index: u16| {
        let key = members.as_ref().and_then(|members| members.key(index)).map(|key| key.public());
        let operator = key.and_then(|key| operators.iter().find(|node| node.node.key == key)).map(|node| node.operator.to_string());
        operator.or(key.map(|key| key.to_string())).unwrap_or_else(|| format!("member {index}"))
    };
    views::ReportCertificate {
        height: header.height,
        block: header.hash(),
        view: header.view,
        epoch: header.epoch,
        state_root: proven.certified.summary.state.root,
        signers: proven.certified.finality.certificate.signers().map(signer).collect(),
        members: members.map(|members| u32::try_from(members.count()).unwrap_or(u32::MAX)),
    }
}

/// What anyone can check of a report without its parts' signatures.
fn checks(
    server: &Server,
    epoch: Epoch,
    proven: Box<Proven>,
    report: &Report,
    named: Option<Hash>,
    parts: &[views::ReportPart],
    (receipts, noz): (u64, Noz),
) -> Vec<Check> {
    let state = &server.site.value.head().state;
    let check = |what: &str, holds, detail: String| Check { what: what.into(), holds, detail };
    let header = &proven.certified.header;
    let certified = match meta_registry::electorate(state, &header.members) {
        None => check("certificate", None, format!("the set of meta nodes {} is not remembered any more", header.members)),
        Some(members) => match proven.clone().verify(meta_chain(server.chain()), &members) {
            Ok(Reading { certified, .. }) => {
                let signers = certified.finality.certificate.signers().count();
                check("certificate", Some(true), format!("{signers} of {} meta nodes signed, and the report is in the state that they signed", members.count()))
            }
            Err(error) => check("certificate", Some(false), error.to_string()),
        },
    };
    let form = report.check(epoch);
    let here = parts.iter().all(|part| part.transaction.is_some());
    let sums = (receipts, noz) == (report.receipts, report.noz);
    vec![
        certified,
        check(
            "form",
            Some(form.is_ok()),
            form.map_or_else(
                |error| error.to_string(),
                |()| format!("version {}, {} in order", report.version, if parts.len() == 1 { "1 part".to_owned() } else { format!("{} parts", parts.len()) }),
            ),
        ),
        check(
            "hash",
            Some(named == Some(report.hash())),
            format!("the value ledger took {}, this is {}", named.map_or_else(|| "none".to_owned(), |hash| hash.to_string()), report.hash()),
        ),
        check(
            "sums",
            here.then_some(sums),
            format!("the parts hold {receipts} receipts over {noz} noz, the report says {} over {}", report.receipts, report.noz),
        ),
    ]
}

/// A part, and the report that names it.
fn find(server: &Server, epoch: Epoch, number: u32) -> Result<(Part, Report), Problem> {
    let missing = |text: String| Problem::missing(text);
    let standing = standing(server, epoch).ok_or_else(|| missing(format!("epoch {epoch} has no report yet")))?;
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let none = || missing(format!("the report of epoch {epoch} has {} parts; there is no part {number}", standing.parts.len()));
    let height = *standing.parts.get(index).ok_or_else(none)?;
    let gone = || missing(format!("block {height}, which brought part {number} of epoch {epoch}, is not here; ask a node that has it"));
    let (_, report) = standing.report(server).ok_or_else(gone)?;
    let part = standing.brought(server, height, Some(number)).and_then(|brought| brought.part).ok_or_else(gone)?;
    Ok((*part, report))
}

/// Verifies a part as every validator did.
fn verify(server: &Server, epoch: Epoch, part: &Part) -> Result<VerifiedPart, PartError> {
    let state = &server.site.value.head().state;
    report::verify_part(part, server.chain(), epoch, |carrier| resource::read(state, carrier).map(|node| node.node.key))
}

fn path((epoch, part): (String, String)) -> Result<(Epoch, u32), Problem> {
    Ok((number(&epoch)?, parse(&part, "the number of a part, from 0")?))
}

/// `GET /v1/epochs/{number}/report/{part}`.
///
/// # Errors
/// [`Problem`] if there is no such part, or not here.
pub async fn part(State(server): State<Arc<Server>>, Segment(names): Segment<(String, String)>) -> Result<Json<views::PartReceipts>, Problem> {
    let (epoch, number) = path(names)?;
    let permit = Server::take(&server.past_reads, PAST_READS_MAX, "checks of receipts and reads of past states")?;
    server
        .read(move |server| {
            let (part, report) = find(server, epoch, number)?;
            let hash = part.hash();
            let named = usize::try_from(number).ok().and_then(|number| report.parts.get(number)) == Some(&hash);
            let verified = verify(server, epoch, &part);
            let detail = match &verified {
                Ok(verified) => format!(
                    "{} receipts, {} claims and {} grants are signed, in order, each once, over {} noz",
                    verified.receipts(),
                    part.carriers.len(),
                    part.payers.len(),
                    verified.noz()
                ),
                Err(error) => error.to_string(),
            };
            let checks = vec![
                Check { what: "hash".into(), holds: Some(named), detail: format!("the report names part {number} {hash}") },
                Check { what: "signatures".into(), holds: Some(verified.is_ok()), detail },
            ];
            drop(permit);
            Ok(Json(views::PartReceipts { epoch, number, hash, checks, receipts: views::ReceiptView::all(&part) }))
        })
        .await
}

/// `GET /v1/epochs/{number}/report/{part}/file`.
///
/// # Errors
/// [`Problem`] if there is no such part, or it cannot be proven here.
pub async fn file(State(server): State<Arc<Server>>, Segment(names): Segment<(String, String)>) -> Result<Json<views::ReceiptsFile>, Problem> {
    let (epoch, number) = path(names)?;
    let permit = Server::take(&server.past_reads, PAST_READS_MAX, "checks of receipts and reads of past states")?;
    server
        .read(move |server| {
            let (part, _) = find(server, epoch, number)?;
            let (site, broken) = (&server.site, |error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the genesis file is invalid: {error}")));
            let carriers: Vec<Vec<u8>> = part.carriers.iter().map(|row| value_keys::resource_node(&row.carrier)).collect();
            let report = site.meta.trace(site.genesis.meta_members().map_err(broken)?, None, &[report::key(epoch)]);
            let carriers = site.value.trace(site.genesis.validator_members().map_err(broken)?, None, &carriers);
            let traced = |traced: Result<chain::ledger::Traced, _>| traced.map(|traced| hex::encode(traced.encode())).map_err(|error| proof::problem(&error));
            drop(permit);
            Ok(Json(views::ReceiptsFile {
                format: views::RECEIPTS_FORMAT,
                epoch,
                number,
                report: traced(report)?,
                carriers: traced(carriers)?,
                part: hex::encode(encode(&part)),
            }))
        })
        .await
}
