//! Building a report: deterministic, so every meta node builds the same one.

use std::collections::BTreeMap;

use primitives::{Address, Epoch, Noz, PublicKey, encoding};

use super::{CarrierClaim, ENTRIES_MAX, Entry, PART_BYTES_MAX, PARTS_MAX, Part, Report, VERSION};
use crate::claim::{CLAIM_ENTRIES_MAX, ClaimedReceipts};
use crate::grant::SignedGrant;

/// Encoded length of a part without entries.
const HEAD_BYTES: usize = 1 + 8 + 4 + 4 + 4 + 4;
/// Encoded length of one carrier's row.
const CARRIER_BYTES: usize = 20 + 64;
/// Encoded length of one entry.
const ENTRY_BYTES: usize = 2 + 2 + 1 + 8 + 64;
/// Encoded length of one payer's row.
const PAYER_BYTES: usize = 32 + 20 + 33 + 32 + 8 + 16 + 64 + 64;

// Any claim fits a part, even if every channel brings its own grant.
const _: () = assert!(HEAD_BYTES + CARRIER_BYTES + CLAIM_ENTRIES_MAX * (ENTRY_BYTES + PAYER_BYTES) <= PART_BYTES_MAX);

/// Why claims do not make a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A claim of another epoch.
    #[error("the claim of {carrier} is for epoch {found}, the report for epoch {expected}")]
    Epoch {
        /// Who claims.
        carrier: Address,
        /// The report's epoch.
        expected: Epoch,
        /// The claim's.
        found: Epoch,
    },
    /// Two claims of one carrier, or claims out of order.
    #[error("the claim of {carrier} is not above the one before it: claims are unique and ordered by carrier")]
    Order {
        /// Who claims.
        carrier: Address,
    },
    /// No receipt, or more than a claim may hold.
    #[error("the claim of {carrier} holds {count} receipts, it needs 1 to {CLAIM_ENTRIES_MAX}")]
    Count {
        /// Who claims.
        carrier: Address,
        /// How many.
        count: usize,
    },
    /// A session without a grant.
    #[error("no grant of {payer} for the session {session:?}")]
    Grant {
        /// Who pays.
        payer: Address,
        /// The session.
        session: PublicKey,
    },
    /// More than a report can name.
    #[error("more than {PARTS_MAX} parts")]
    Parts,
}

/// Builds the report of `epoch` from claims that were verified when they came, ordered by carrier, and the grants of their sessions.
///
/// # Errors
/// [`BuildError`]. None of them can happen to claims that passed [`ClaimedReceipts::verify`] and whose grants are kept.
pub fn build(
    epoch: Epoch,
    claims: &[ClaimedReceipts],
    grants: &BTreeMap<(Address, PublicKey), SignedGrant>,
    liveness: &BTreeMap<Address, u32>,
) -> Result<(Report, Vec<Part>), BuildError> {
    let mut parts = Vec::new();
    let mut draft = Draft::default();
    let mut last = None;
    for claim in claims {
        let (carrier, count) = (claim.carrier, claim.receipts.len());
        if claim.epoch != epoch {
            return Err(BuildError::Epoch { carrier, expected: epoch, found: claim.epoch });
        }
        if last >= Some(carrier) {
            return Err(BuildError::Order { carrier });
        }
        if count == 0 || count > CLAIM_ENTRIES_MAX {
            return Err(BuildError::Count { carrier, count });
        }
        last = Some(carrier);
        if !draft.fits(claim) {
            parts.push(std::mem::take(&mut draft).finish(epoch, parts.len(), grants)?);
        }
        draft.add(claim);
    }
    if !draft.claims.is_empty() {
        parts.push(draft.finish(epoch, parts.len(), grants)?);
    }
    let entries = || parts.iter().flat_map(|part| &part.entries);
    let report = Report {
        version: VERSION,
        epoch,
        parts: parts.iter().map(Part::hash).collect(),
        receipts: entries().fold(0, |count, _| count.saturating_add(1)),
        noz: Noz(entries().fold(0, |sum, entry| sum.saturating_add(u128::from(entry.bytes)))),
        liveness: liveness.iter().map(|(address, weight)| (*address, *weight)).collect(),
    };
    Ok((report, parts))
}

/// The claims that one part will hold.
#[derive(Default)]
struct Draft<'a> {
    claims: Vec<&'a ClaimedReceipts>,
    /// Sessions that pay, with their index once the part is finished.
    payers: BTreeMap<(Address, PublicKey), u16>,
    entries: usize,
}

impl<'a> Draft<'a> {
    /// Whether another claim fits. Sessions already in the table are counted again: simple, and never too little.
    fn fits(&self, claim: &ClaimedReceipts) -> bool {
        let entries = self.entries.saturating_add(claim.receipts.len());
        let payers = self.payers.len().saturating_add(claim.receipts.len());
        let rows = [(self.claims.len().saturating_add(1), CARRIER_BYTES), (payers, PAYER_BYTES), (entries, ENTRY_BYTES)];
        let bytes = rows.iter().fold(HEAD_BYTES, |sum, (count, bytes)| sum.saturating_add(count.saturating_mul(*bytes)));
        entries <= ENTRIES_MAX && bytes <= PART_BYTES_MAX
    }

    fn add(&mut self, claim: &'a ClaimedReceipts) {
        self.payers.extend(claim.receipts.iter().map(|receipt| ((receipt.payer, receipt.session), 0)));
        self.entries = self.entries.saturating_add(claim.receipts.len());
        self.claims.push(claim);
    }

    fn finish(mut self, epoch: Epoch, number: usize, grants: &BTreeMap<(Address, PublicKey), SignedGrant>) -> Result<Part, BuildError> {
        let number = u32::try_from(number).ok().filter(|number| usize::try_from(*number).is_ok_and(|number| number < PARTS_MAX)).ok_or(BuildError::Parts)?;
        let mut payers = Vec::with_capacity(self.payers.len());
        for (index, ((payer, session), slot)) in (0u16..).zip(&mut self.payers) {
            payers.push(*grants.get(&(*payer, *session)).ok_or(BuildError::Grant { payer: *payer, session: *session })?);
            *slot = index;
        }
        let mut entries = Vec::with_capacity(self.entries);
        for (carrier, claim) in (0u16..).zip(&self.claims) {
            for receipt in &claim.receipts {
                let payer = self.payers.get(&(receipt.payer, receipt.session)).copied().unwrap_or_default();
                entries.push(Entry { carrier, payer, class: receipt.class, bytes: receipt.bytes, signature: receipt.signature });
            }
        }
        let carriers = self.claims.iter().map(|claim| CarrierClaim { carrier: claim.carrier, signature: claim.signature }).collect();
        let part = Part { version: VERSION, epoch, number, payers, carriers, entries };
        debug_assert!(encoding::encode(&part).len() <= PART_BYTES_MAX, "the sizes above are the encoding's");
        Ok(part)
    }
}
