//! The report of an epoch: every claim, cut into parts that fit a transaction, certified by the metadata ledger and checked again by the value ledger.
//!
//! A [`Report`] names its [`Part`]s by hash. A part holds whole claims: its tables of payers and carriers, and its entries, each pointing into both. Entries
//! are strictly increasing by (carrier, payer, session, class), and carriers are strictly increasing from part to part, so a channel cannot appear twice
//! (POT-4) and the value ledger keeps one address between parts ([`Cursor`]) instead of a record per channel.
//!
//! Of the signatures of receipts and claims a part has the commitments, and one scalar for all of them ([`primitives::aggregate`]): 45 bytes for an entry.
//! Those of grants are whole, for wallets sign on other curves too. If a part does not hold nobody can tell which signature is missing, and nobody has to:
//! whoever certified it had them all and did not check.

mod build;
mod verify;

pub use build::{BuildError, Known, Summary, build, next_part};
pub use verify::{Charge, PartError, VerifiedPart, verify_part};

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{self, DecodeError};
use primitives::{Address, Aggregate, Epoch, Hash, Noz, PublicKey};

use crate::ROOM;
use crate::grant::SignedGrant;
use crate::receipt::Class;

/// Version of [`Report`] and [`Part`]. In the first one all signatures of a part were whole.
pub const VERSION: u8 = 2;
/// Most entries of a part.
pub const ENTRIES_MAX: usize = 8192;
/// Longest encoding of a part: with the proof of its report it fits a transaction of 1 MiB.
pub const PART_BYTES_MAX: usize = 768 << 10;
/// Most parts of a report: 8 million channels in an epoch, 2.5 million if each brings its own grant.
pub const PARTS_MAX: usize = 1024;
/// Most meta nodes in a report.
pub const LIVENESS_MAX: usize = 1024;

/// Where the metadata ledger keeps the report of an epoch.
pub fn key(epoch: Epoch) -> Vec<u8> {
    [&[ROOM, b'R'][..], &epoch.0.to_be_bytes()].concat()
}

/// Where the metadata ledger keeps a part of it.
pub fn part_key(epoch: Epoch, number: u32) -> Vec<u8> {
    [&[ROOM, b'P'][..], &epoch.0.to_be_bytes(), &number.to_be_bytes()].concat()
}

/// What the meta nodes certify of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u8,
    /// The value epoch.
    pub epoch: Epoch,
    /// Hashes of the parts, in order.
    pub parts: Vec<Hash>,
    /// Number of entries in all parts.
    pub receipts: u64,
    /// Sum of their bytes, as noz.
    pub noz: Noz,
    /// How alive each meta node was in the epoch, strictly increasing by address.
    pub liveness: Vec<(Address, u32)>,
}

/// One last receipt: what the tables and the part do not already say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Entry {
    /// Index into the part's carriers.
    pub carrier: u16,
    /// Index into the part's payers.
    pub payer: u16,
    /// What the bytes are.
    pub class: Class,
    /// All bytes of the channel.
    pub bytes: u64,
    /// The commitment of the session's signature over the receipt.
    pub commitment: [u8; 32],
}

/// A carrier that signed its claim; the claim is derived from its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CarrierClaim {
    /// Who claims.
    pub carrier: Address,
    /// The commitment of its signature over the claim.
    pub commitment: [u8; 32],
}

/// A piece of a report that fits a transaction: whole claims, so each can be checked from one part.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Part {
    /// [`VERSION`].
    pub version: u8,
    /// The value epoch.
    pub epoch: Epoch,
    /// Position in the report, from 0.
    pub number: u32,
    /// The sessions that pay, strictly increasing by (payer, session), each used.
    pub payers: Vec<SignedGrant>,
    /// The carriers that claim, strictly increasing by address, each used.
    pub carriers: Vec<CarrierClaim>,
    /// Strictly increasing by (carrier, payer, class).
    pub entries: Vec<Entry>,
    /// Of the signatures over the entries' receipts and then over the carriers' claims.
    pub aggregate: Aggregate,
}

/// Why a report, or what its parts sum to, is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Of another version of the rules.
    #[error("a report of version {found}, ours is {VERSION}")]
    Version {
        /// The report's.
        found: u8,
    },
    /// Of another epoch.
    #[error("a report of epoch {found}, expected epoch {expected}")]
    Epoch {
        /// The one to settle.
        expected: Epoch,
        /// The report's.
        found: Epoch,
    },
    /// Above a limit.
    #[error("{count} {what}, at most {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A meta node twice, or unordered.
    #[error("meta node {index} is not above the one before it")]
    Liveness {
        /// Its position.
        index: usize,
    },
    /// A report whose numbers cannot be those of its parts.
    #[error("{parts} parts with {receipts} receipts")]
    Counts {
        /// Number of parts.
        parts: usize,
        /// Number of receipts.
        receipts: u64,
    },
    /// All parts are in, and they hold something else.
    #[error("the parts hold {found_receipts} receipts over {found_noz} noz, the report says {receipts} over {noz}")]
    Totals {
        /// The report's number of receipts.
        receipts: u64,
        /// The report's noz.
        noz: Noz,
        /// The parts' number of receipts.
        found_receipts: u64,
        /// The parts' noz.
        found_noz: Noz,
    },
}

impl Report {
    /// What it is known by.
    pub fn hash(&self) -> Hash {
        Hash::of_value("report", self)
    }

    /// Checks what can be checked without the parts.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn check(&self, epoch: Epoch) -> Result<(), ReportError> {
        if self.version != VERSION {
            return Err(ReportError::Version { found: self.version });
        }
        if self.epoch != epoch {
            return Err(ReportError::Epoch { expected: epoch, found: self.epoch });
        }
        for (what, count, max) in [("parts", self.parts.len(), PARTS_MAX), ("meta nodes", self.liveness.len(), LIVENESS_MAX)] {
            if count > max {
                return Err(ReportError::TooMany { what, count, max });
            }
        }
        if let Some(index) = first_unordered(self.liveness.iter().map(|(address, _)| address)) {
            return Err(ReportError::Liveness { index });
        }
        let (parts, receipts) = (self.parts.len(), self.receipts);
        // Every entry has bytes.
        let fits = (receipts == 0) == (self.noz == Noz::ZERO)
            && usize::try_from(receipts).is_ok_and(|receipts| receipts >= parts && receipts <= parts.saturating_mul(ENTRIES_MAX));
        if fits { Ok(()) } else { Err(ReportError::Counts { parts, receipts }) }
    }
}

impl Part {
    /// Reads a part. Its order, indices and signatures are [`verify_part`]'s.
    ///
    /// # Errors
    /// [`DecodeError`] for more than [`PART_BYTES_MAX`] bytes, malformed or trailing bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode(bytes, PART_BYTES_MAX)
    }

    /// The hash that the report names it by.
    pub fn hash(&self) -> Hash {
        Hash::of_value("report part", self)
    }
}

/// How far the settlement of one report has come: what the value ledger keeps between its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Cursor {
    /// Number of the next part.
    pub next: u32,
    /// Last carrier of the part before it; later ones are above.
    pub after: Option<Address>,
    /// Entries so far.
    pub receipts: u64,
    /// Their bytes, as noz.
    pub noz: Noz,
}

impl Cursor {
    /// Verifies the next part of `report`: its place, its hash, that its carriers are above those before, and everything in it. The cursor behind it.
    ///
    /// # Errors
    /// [`PartError`]; the cursor stays where it is.
    pub fn take(
        self,
        chain: Hash,
        report: &Report,
        part: &Part,
        carrier_key: impl Fn(&Address) -> Option<PublicKey>,
    ) -> Result<(Self, VerifiedPart), PartError> {
        let expected = usize::try_from(self.next).ok().and_then(|next| report.parts.get(next)).copied();
        let expected = expected.ok_or(PartError::TooMany { what: "parts", count: report.parts.len().saturating_add(1), max: report.parts.len() })?;
        if part.number != self.next {
            return Err(PartError::Number { expected: self.next, found: part.number });
        }
        let found = part.hash();
        if found != expected {
            return Err(PartError::Hash { expected, found });
        }
        if part.carriers.first().is_some_and(|first| self.after >= Some(first.carrier)) {
            return Err(PartError::Order { what: "carrier", index: 0 });
        }
        let verified = verify_part(part, chain, report.epoch, carrier_key)?;
        Ok((self.advanced(&verified), verified))
    }

    fn advanced(self, part: &VerifiedPart) -> Self {
        Self {
            next: self.next.saturating_add(1),
            after: Some(part.carrier_last()),
            receipts: self.receipts.saturating_add(part.receipts()),
            noz: self.noz.saturating_add(part.noz()),
        }
    }

    /// Whether all parts are in, and are what the report says.
    ///
    /// # Errors
    /// [`ReportError::Totals`].
    pub fn is_complete(&self, report: &Report) -> Result<bool, ReportError> {
        if usize::try_from(self.next).is_ok_and(|next| next < report.parts.len()) {
            return Ok(false);
        }
        if (self.receipts, self.noz) != (report.receipts, report.noz) {
            let Report { receipts, noz, .. } = *report;
            return Err(ReportError::Totals { receipts, noz, found_receipts: self.receipts, found_noz: self.noz });
        }
        Ok(true)
    }
}

/// Position of the first item that is not above the one before it.
fn first_unordered<T: PartialOrd>(items: impl Iterator<Item = T>) -> Option<usize> {
    let mut last: Option<T> = None;
    for (index, item) in items.enumerate() {
        if last.as_ref().is_some_and(|last| *last >= item) {
            return Some(index);
        }
        last = Some(item);
    }
    None
}

#[cfg(test)]
mod tests;
