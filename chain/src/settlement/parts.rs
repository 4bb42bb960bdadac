//! Reports: what the meta nodes certify, taken part by part.

use pot::report::{self, Part, PartError, Report, ReportError};
use pot::reward::Charges;
use primitives::{Address, Epoch, Hash, Height, Noz};
use state::Overlay;

use super::{Progress, Reported, Taken, carriers, progress};
use crate::event::Event;
use crate::genesis::meta_chain;
use crate::keys::{self, Read};
use crate::ledger::Proven;
use crate::ledger::proven::{ProvenError, Reading};
use crate::meta_registry::META_SETS_EPOCHS;
use crate::parameters::Parameters;
use crate::{epochs, meta_registry, resource};

/// Why what is said to be the metadata ledger's is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Signed by others than the registry has named.
    #[error("the header names the voters {0}, which the registry did not name, or not in the last {META_SETS_EPOCHS} epochs")]
    Electorate(Hash),
    /// The proof does not hold.
    #[error("the reading is not proven: {0}")]
    Proof(#[from] ProvenError),
}

/// A reading of the metadata ledger that a set of meta nodes has certified whose signatures count.
///
/// # Errors
/// [`CertificateError`].
pub(crate) fn certified(state: &impl Read, chain: Hash, proven: &Proven) -> Result<Reading, CertificateError> {
    let named = proven.certified.header.members;
    let members = meta_registry::electorate(state, &named).ok_or(CertificateError::Electorate(named))?;
    Ok(proven.clone().verify(meta_chain(chain), &members)?)
}

/// Why a part is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The epoch is not over.
    #[error("epoch {next} is the next to be reported, but it is not over: this is epoch {current}")]
    NotOver {
        /// The next to be reported.
        next: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// Not certified.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The proof is of something else.
    #[error("the proof does not contain the report of epoch {0}, which is the next to be reported")]
    OtherReport(Epoch),
    /// The parts so far belong to another report of this epoch.
    #[error("{parts} parts of another report of epoch {epoch} came before")]
    ChangedReport {
        /// The epoch.
        epoch: Epoch,
        /// Parts so far.
        parts: u32,
    },
    /// A report with parts was brought without one.
    #[error("part {next} of epoch {epoch} is the next, none was brought")]
    NoPart {
        /// The epoch.
        epoch: Epoch,
        /// The next part.
        next: u32,
    },
    /// The report contradicts itself.
    #[error("the report is invalid: {0}")]
    Report(#[from] ReportError),
    /// The part itself is wrong, or not the next.
    #[error("the part is invalid: {0}")]
    Part(#[from] PartError),
}

/// Accepts the next part of the next epoch; with the last one its time of challenge begins.
///
/// # Errors
/// [`SettleError`]; the caller undoes everything then.
pub fn settle(state: &mut Overlay, chain: Hash, height: Height, proven: &Proven, part: Option<&Part>) -> Result<Vec<Event>, SettleError> {
    let (mut progress, current) = (progress(state), epochs::current(state).number);
    let epoch = progress.epoch;
    if epoch >= current {
        return Err(SettleError::NotOver { next: epoch, current });
    }
    let reading = certified(state, chain, proven)?;
    let report: Report = reading.value(&report::key(epoch)).ok_or(SettleError::OtherReport(epoch))?;
    report.check(epoch)?;
    let digest = report.hash();
    let number = progress.cursor.next;
    if number > 0 && progress.report != digest {
        return Err(SettleError::ChangedReport { epoch, parts: number });
    }
    progress.report = digest;
    let mut events = Vec::new();
    if let Some(part) = part {
        let (cursor, verified) = progress.cursor.take(chain, &report, part, |carrier| resource::read(state, carrier).map(|node| node.node.key))?;
        let charges: Charges = verified.charges().map(|charge| ((charge.payer, charge.carrier), charge.noz)).collect();
        let charges = charges.into_rows();
        for ((payer, _), noz) in &charges {
            charge(state, epoch, payer, *noz);
        }
        keys::write(state, &keys::settlement_part(epoch, number), &Taken { height, charges });
        let mut carriers = carriers(state, epoch);
        carriers.extend(part.carriers.iter().map(|row| row.carrier));
        keys::write(state, &keys::settlement_carriers(epoch), &carriers);
        events.push(Event::PartSettled { epoch, part: number, noz: verified.noz() });
        progress.cursor = cursor;
    } else if !report.parts.is_empty() {
        return Err(SettleError::NoPart { epoch, next: number });
    }
    if progress.cursor.is_complete(&report)? {
        let parts = (0..progress.cursor.next).map(|part| taken(state, epoch, part).height).collect();
        let (receipts, liveness, direct) = (report.receipts, report.liveness, Vec::new());
        challenge(state, &progress, Reported { report: Some(digest), receipts, height, parts, liveness, until: Epoch::ZERO, direct });
        events.push(Event::EpochReported { epoch, noz: report.noz });
    } else {
        keys::write(state, &keys::settlement(), &progress);
    }
    Ok(events)
}

/// What a part of the report left.
pub(super) fn taken(state: &impl Read, epoch: Epoch, part: u32) -> Taken {
    keys::read(state, &keys::settlement_part(epoch, part)).unwrap_or_default()
}

/// What a payer is charged for an epoch so far.
pub(super) fn charged(state: &impl Read, epoch: Epoch, payer: &Address) -> Noz {
    keys::read(state, &keys::charged(epoch, payer)).unwrap_or_default()
}

/// Charges a payer for an epoch.
pub(super) fn charge(state: &mut Overlay, epoch: Epoch, payer: &Address, noz: Noz) {
    let sum = charged(state, epoch, payer).saturating_add(noz);
    keys::write(state, &keys::charged(epoch, payer), &sum);
}

/// The time of challenge of the epoch that `progress` is at begins; the next epoch can be reported.
fn challenge(state: &mut Overlay, progress: &Progress, reported: Reported) {
    // Whole epochs, whenever in the current one this is.
    let until = epochs::current(state).number.next().saturating_add(Epoch(Parameters::read(state).challenge_epochs));
    keys::write(state, &keys::reported(progress.epoch), &Reported { until, ..reported });
    let Progress { epoch, unsettled, mined, .. } = *progress;
    keys::write(state, &keys::settlement(), &Progress { epoch: epoch.next(), unsettled, mined, ..Progress::default() });
}

/// The report of the next epoch was proven false: its parts so far count for nothing, and its carriers claim directly.
pub(crate) fn condemn(state: &mut Overlay, height: Height) -> Event {
    let progress = progress(state);
    let epoch = progress.epoch;
    for part in 0..progress.cursor.next {
        for ((payer, _), _) in taken(state, epoch, part).charges {
            state.delete(&keys::charged(epoch, &payer));
        }
        state.delete(&keys::settlement_part(epoch, part));
    }
    state.delete(&keys::settlement_carriers(epoch));
    let (parts, liveness, direct) = (Vec::new(), Vec::new(), Vec::new());
    challenge(state, &progress, Reported { report: None, receipts: 0, height, parts, liveness, until: Epoch::ZERO, direct });
    Event::ReportCondemned { epoch }
}
