//! Building a report: deterministic, so every meta node builds the same one.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::aggregate::Aggregator;
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey, Signature, encoding};

use super::{CarrierClaim, ENTRIES_MAX, Entry, PART_BYTES_MAX, PARTS_MAX, Part, Report, VERSION};
use crate::claim::{CLAIM_ENTRIES_MAX, Claim, ClaimError, ClaimedReceipts};
use crate::grant::SignedGrant;
use crate::object::{Object, Signed};
use crate::receipt::Receipt;

/// Encoded length of a part without entries.
const HEAD_BYTES: usize = 1 + 8 + 4 + 4 + 4 + 4 + 32;
/// Encoded length of one carrier's row.
const CARRIER_BYTES: usize = 20 + 32;
/// Encoded length of one entry.
const ENTRY_BYTES: usize = 2 + 2 + 1 + 8 + 32;
/// Encoded length of one payer's row.
const PAYER_BYTES: usize = 32 + 20 + 33 + 32 + 8 + 16 + 64 + 64;

// Any claim fits a part, even if every channel brings its own grant.
const _: () = assert!(HEAD_BYTES + CARRIER_BYTES + CLAIM_ENTRIES_MAX * (ENTRY_BYTES + PAYER_BYTES) <= PART_BYTES_MAX);

/// Why claims do not make a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// Receipts that make no claim.
    #[error("the claim of {carrier}: {cause}")]
    Claim {
        /// Who claims.
        carrier: Address,
        /// What is wrong with them.
        cause: ClaimError,
    },
    /// A carrier without a key.
    #[error("no key of the carrier {carrier}")]
    Key {
        /// Who claims.
        carrier: Address,
    },
    /// A signature that can be none: without its mark, or with a scalar that is not canonical.
    #[error("the claim of {carrier} has a malformed signature")]
    Malformed {
        /// Who claims.
        carrier: Address,
    },
    /// More than a report can name.
    #[error("more than {PARTS_MAX} parts")]
    Parts,
}

/// What the meta nodes know beside the claims.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The value chain.
    pub chain: Hash,
    /// The grants of the sessions.
    pub grants: &'a BTreeMap<(Address, PublicKey), SignedGrant>,
    /// The keys of the carriers.
    pub keys: &'a BTreeMap<Address, PublicKey>,
    /// How alive each meta node was.
    pub liveness: &'a BTreeMap<Address, u32>,
}

/// Builds the report of `epoch` from claims that were verified when they came, ordered by carrier.
///
/// # Errors
/// [`BuildError`]. None of them can happen to claims that passed [`crate::CoveredClaim::verify`] and whose grants and keys are kept.
pub fn build(epoch: Epoch, claims: &[ClaimedReceipts], known: &Known<'_>) -> Result<(Report, Vec<Part>), BuildError> {
    let (mut parts, mut rest, mut sum) = (Vec::new(), claims, Summary::default());
    while !rest.is_empty() {
        let (part, taken) = next_part(epoch, &sum, rest, known)?;
        sum.add(&part);
        parts.push(part);
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok((sum.report(epoch, known.liveness), parts))
}

/// What the parts so far come to: all that a report says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Summary {
    /// Their hashes.
    pub parts: Vec<Hash>,
    /// Their entries.
    pub receipts: u64,
    /// Their bytes, as noz.
    pub noz: Noz,
    /// The last carrier.
    pub after: Option<Address>,
}

impl Summary {
    /// Counts the next part.
    pub fn add(&mut self, part: &Part) {
        self.parts.push(part.hash());
        self.receipts = part.entries.iter().fold(self.receipts, |count, _| count.saturating_add(1));
        self.noz = part.entries.iter().fold(self.noz, |sum, entry| sum.saturating_add(Noz(entry.bytes.into())));
        self.after = part.carriers.last().map(|row| row.carrier);
    }

    /// The report over them.
    pub fn report(self, epoch: Epoch, liveness: &BTreeMap<Address, u32>) -> Report {
        let liveness = liveness.iter().map(|(address, weight)| (*address, *weight)).collect();
        Report { version: VERSION, epoch, parts: self.parts, receipts: self.receipts, noz: self.noz, liveness }
    }
}

/// Builds the next part, from as many of the first `claims` as fit, which is at least one; and how many these are. Parts can be built one at a time, so that
/// no block of a ledger takes the time of a whole report.
///
/// # Errors
/// [`BuildError`], as [`build`].
pub fn next_part(epoch: Epoch, before: &Summary, claims: &[ClaimedReceipts], known: &Known<'_>) -> Result<(Part, usize), BuildError> {
    let mut draft = Draft::default();
    let mut last = before.after;
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
            break;
        }
        draft.add(claim);
    }
    let taken = draft.claims.len();
    Ok((draft.finish(epoch, before.parts.len(), known)?, taken))
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
    /// Whether another claim fits.
    fn fits(&self, claim: &ClaimedReceipts) -> bool {
        let entries = self.entries.saturating_add(claim.receipts.len());
        let mut last = None;
        let mut is_new = |session: &(Address, PublicKey)| last.replace(*session) != Some(*session) && !self.payers.contains_key(session);
        // A claim's receipts are in the order of their sessions.
        let new = claim.receipts.iter().filter(|receipt| is_new(&(receipt.payer, receipt.session))).count();
        let payers = self.payers.len().saturating_add(new);
        let rows = [(self.claims.len().saturating_add(1), CARRIER_BYTES), (payers, PAYER_BYTES), (entries, ENTRY_BYTES)];
        let bytes = rows.iter().fold(HEAD_BYTES, |sum, (count, bytes)| sum.saturating_add(count.saturating_mul(*bytes)));
        entries <= ENTRIES_MAX && bytes <= PART_BYTES_MAX
    }

    fn add(&mut self, claim: &'a ClaimedReceipts) {
        self.payers.extend(claim.receipts.iter().map(|receipt| ((receipt.payer, receipt.session), 0)));
        self.entries = self.entries.saturating_add(claim.receipts.len());
        self.claims.push(claim);
    }

    fn finish(mut self, epoch: Epoch, number: usize, known: &Known<'_>) -> Result<Part, BuildError> {
        let number = u32::try_from(number).ok().filter(|number| usize::try_from(*number).is_ok_and(|number| number < PARTS_MAX)).ok_or(BuildError::Parts)?;
        let mut payers = Vec::with_capacity(self.payers.len());
        for (index, ((payer, session), slot)) in (0u16..).zip(&mut self.payers) {
            payers.push(*known.grants.get(&(*payer, *session)).ok_or(BuildError::Grant { payer: *payer, session: *session })?);
            *slot = index;
        }
        let (mut entries, mut aggregator) = (Vec::with_capacity(self.entries), Aggregator::new());
        let mut add = |carrier, key: &PublicKey, context: &Context, message: &[u8], signature: &Signature| {
            aggregator.push(key, context, message, signature).ok_or(BuildError::Malformed { carrier })
        };
        let context = Context::new(Receipt::ROLE, known.chain);
        for (index, claim) in (0u16..).zip(&self.claims) {
            for Signed { body, signature } in claim.signed_receipts(known.chain) {
                let payer = self.payers.get(&(body.payer, body.session)).copied().unwrap_or_default();
                let commitment = add(claim.carrier, &body.session, &context, &encoding::encode(&body), &signature)?;
                entries.push(Entry { carrier: index, payer, class: body.class, bytes: body.bytes, commitment });
            }
        }
        let context = Context::new(Claim::ROLE, known.chain);
        let mut carriers = Vec::with_capacity(self.claims.len());
        for claimed in &self.claims {
            let carrier = claimed.carrier;
            let receipts: Vec<Receipt> = claimed.signed_receipts(known.chain).map(|receipt| receipt.body).collect();
            let claim = Claim::over(known.chain, epoch, carrier, &receipts).map_err(|cause| BuildError::Claim { carrier, cause })?;
            let key = known.keys.get(&carrier).ok_or(BuildError::Key { carrier })?;
            let commitment = add(carrier, key, &context, &encoding::encode(&claim), &claimed.signature)?;
            carriers.push(CarrierClaim { carrier, commitment });
        }
        let part = Part { version: VERSION, epoch, number, payers, carriers, entries, aggregate: aggregator.finish() };
        debug_assert!(encoding::encode(&part).len() <= PART_BYTES_MAX, "the sizes above are the encoding's");
        Ok(part)
    }
}
