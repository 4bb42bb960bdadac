//! Checking a part: limits, order, grants and claims first, then every signature, those of receipts and claims by their aggregate (POT-5).
//!
//! The verdict depends on the part, its chain and epoch, and the carriers' registered keys alone, so no two nodes can differ.

use std::collections::BTreeMap;

use primitives::aggregate::Statement;
use primitives::schnorr::KeyError;
use primitives::{Address, Context, Epoch, Hash, Noz, PublicKey, VerifyingKey, encoding};

use super::{ENTRIES_MAX, PART_BYTES_MAX, Part, VERSION, first_unordered};
use crate::claim::{Claim, ClaimError};
use crate::grant::{self, GrantError};
use crate::object::Object;
use crate::receipt::{Class, Receipt};

/// Why a part is refused, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// Of another version of the rules.
    #[error("a part of version {found}, ours is {VERSION}")]
    Version {
        /// The part's.
        found: u8,
    },
    /// Of another epoch.
    #[error("a part of epoch {found}, expected epoch {expected}")]
    Epoch {
        /// The epoch that is settled.
        expected: Epoch,
        /// The part's.
        found: Epoch,
    },
    /// Not the next one.
    #[error("part {found}, expected part {expected}")]
    Number {
        /// The next part.
        expected: u32,
        /// The part's.
        found: u32,
    },
    /// Not the part that the report names.
    #[error("the part hashes to {found}, the report names {expected}")]
    Hash {
        /// The report's.
        expected: Hash,
        /// The part's.
        found: Hash,
    },
    /// A table without rows.
    #[error("the part has no {0}")]
    Empty(&'static str),
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
    /// Unordered, or twice.
    #[error("{what} {index} is not above the one before it")]
    Order {
        /// Of what.
        what: &'static str,
        /// Its position.
        index: usize,
    },
    /// An index into nothing.
    #[error("entry {entry} names {what} {index}, there are {count}")]
    Index {
        /// Position of the entry.
        entry: usize,
        /// Of what.
        what: &'static str,
        /// The index.
        index: u16,
        /// Rows of the table.
        count: usize,
    },
    /// A row that no entry uses.
    #[error("no entry names {what} {index}")]
    Unused {
        /// Of what.
        what: &'static str,
        /// Its position.
        index: usize,
    },
    /// A grant that does not hold here.
    #[error("payer {index}: {cause}")]
    Grant {
        /// Position of the payer.
        index: usize,
        /// What is wrong.
        cause: GrantError,
    },
    /// More than the session was granted.
    #[error("payer {index} is charged {charged} noz, its session is granted {cap}")]
    Cap {
        /// Position of the payer.
        index: usize,
        /// Sum of its entries.
        charged: Noz,
        /// The grant's cap.
        cap: Noz,
    },
    /// A carrier that nobody registered.
    #[error("carrier {index}, {carrier}, is not registered")]
    Carrier {
        /// Position of the carrier.
        index: usize,
        /// Its address.
        carrier: Address,
    },
    /// A registered key that is no key.
    #[error("the key of carrier {index} is not usable: {cause}")]
    CarrierKey {
        /// Position of the carrier.
        index: usize,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// A carrier's entries do not make a claim.
    #[error("carrier {index}: {cause}")]
    Claim {
        /// Position of the carrier.
        index: usize,
        /// What is wrong.
        cause: ClaimError,
    },
    /// Somebody did not sign what it should have. Whom the aggregate cannot tell.
    #[error("not all of {entries} receipts and {carriers} claims were signed")]
    Aggregate {
        /// Number of entries.
        entries: usize,
        /// Number of carriers.
        carriers: usize,
    },
    /// Grants that were not signed. Positions, all of them.
    #[error("wrong signatures: grants of payers {grants:?}, possession by sessions {sessions:?}")]
    Grants {
        /// Payers whose wallet did not sign the grant.
        grants: Vec<usize>,
        /// Payers whose session key did not sign the grant.
        sessions: Vec<usize>,
    },
}

/// What a payer owes for a carrier's bytes of one class: all its sessions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Who pays.
    pub payer: Address,
    /// Who carried.
    pub carrier: Address,
    /// What the bytes were.
    pub class: Class,
    /// How many, as noz.
    pub noz: Noz,
}

/// A part whose every signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPart {
    charges: BTreeMap<(Address, Address, Class), Noz>,
    receipts: u64,
    noz: Noz,
    carrier_last: Address,
}

impl VerifiedPart {
    /// What is owed, by payer, carrier and class. Whether the payers have the ozone is the ledger's to check.
    pub fn charges(&self) -> impl Iterator<Item = Charge> + '_ {
        self.charges.iter().map(|((payer, carrier, class), noz)| Charge { payer: *payer, carrier: *carrier, class: *class, noz: *noz })
    }

    /// Number of entries.
    pub fn receipts(&self) -> u64 {
        self.receipts
    }

    /// Sum of their bytes.
    pub fn noz(&self) -> Noz {
        self.noz
    }

    /// The last carrier: those of the next part are above.
    pub fn carrier_last(&self) -> Address {
        self.carrier_last
    }
}

/// Checks a part of `epoch` by itself; `carrier_key` resolves a registered carrier's key. Its place among the other parts is [`super::Cursor`]'s.
///
/// # Errors
/// [`PartError`], cheapest cause first; wrong signatures of grants are all named.
pub fn verify_part(part: &Part, chain: Hash, epoch: Epoch, carrier_key: impl Fn(&Address) -> Option<PublicKey>) -> Result<VerifiedPart, PartError> {
    check_shape(part, epoch)?;
    let mut sessions: Vec<VerifyingKey> = Vec::with_capacity(part.payers.len());
    for (index, payer) in part.payers.iter().enumerate() {
        sessions.push(payer.check(chain, epoch).map_err(|cause| PartError::Grant { index, cause })?);
    }
    let receipts = receipts(part, chain)?;
    check_sums(part)?;

    let mut statement = Statement::new();
    let context = Context::new(Receipt::ROLE, chain);
    for (receipt, entry) in receipts.iter().zip(&part.entries) {
        if let Some(session) = sessions.get(usize::from(entry.payer)) {
            statement.push(session, &context, &encoding::encode(receipt), &entry.commitment);
        }
    }
    let context = Context::new(Claim::ROLE, chain);
    let mut rest = &receipts[..];
    for (index, row) in part.carriers.iter().enumerate() {
        let own = rest.iter().take_while(|receipt| receipt.carrier == row.carrier).count();
        let (own, others) = rest.split_at(own);
        rest = others;
        let claim = Claim::over(chain, epoch, row.carrier, own).map_err(|cause| PartError::Claim { index, cause })?;
        let key = carrier_key(&row.carrier).ok_or(PartError::Carrier { index, carrier: row.carrier })?;
        let key = key.decode().map_err(|cause| PartError::CarrierKey { index, cause })?;
        statement.push(&key, &context, &encoding::encode(&claim), &row.commitment);
    }
    check_grants(part, chain, &sessions)?;
    if !statement.holds(&part.aggregate) {
        return Err(PartError::Aggregate { entries: part.entries.len(), carriers: part.carriers.len() });
    }
    Ok(verified(part, &receipts))
}

/// Every payer's wallet signed its grant, and so did the session.
fn check_grants(part: &Part, chain: Hash, sessions: &[VerifyingKey]) -> Result<(), PartError> {
    let grant::Unsigned { grants, sessions } = grant::unsigned(&part.payers, chain, sessions);
    if grants.is_empty() && sessions.is_empty() { Ok(()) } else { Err(PartError::Grants { grants, sessions }) }
}

/// Version, epoch, limits, order of the tables and of the entries.
fn check_shape(part: &Part, epoch: Epoch) -> Result<(), PartError> {
    if part.version != VERSION {
        return Err(PartError::Version { found: part.version });
    }
    if part.epoch != epoch {
        return Err(PartError::Epoch { expected: epoch, found: part.epoch });
    }
    let table = usize::from(u16::MAX);
    for (what, count, max) in [("entries", part.entries.len(), ENTRIES_MAX), ("carriers", part.carriers.len(), table), ("payers", part.payers.len(), table)] {
        if count == 0 {
            return Err(PartError::Empty(what));
        }
        if count > max {
            return Err(PartError::TooMany { what, count, max });
        }
    }
    let bytes = encoding::encode(part).len();
    if bytes > PART_BYTES_MAX {
        return Err(PartError::TooMany { what: "bytes", count: bytes, max: PART_BYTES_MAX });
    }
    let orders = [
        ("carrier", first_unordered(part.carriers.iter().map(|row| row.carrier))),
        ("payer", first_unordered(part.payers.iter().map(|row| (row.grant.payer, row.grant.session)))),
        ("entry", first_unordered(part.entries.iter().map(|entry| (entry.carrier, entry.payer, entry.class)))),
    ];
    for (what, index) in orders {
        if let Some(index) = index {
            return Err(PartError::Order { what, index });
        }
    }
    Ok(())
}

/// The receipts that the entries stand for, in their order.
fn receipts(part: &Part, chain: Hash) -> Result<Vec<Receipt>, PartError> {
    let mut receipts = Vec::with_capacity(part.entries.len());
    for (entry, row) in part.entries.iter().enumerate() {
        let wrong = |what, index, count| PartError::Index { entry, what, index, count };
        let carrier = part.carriers.get(usize::from(row.carrier)).ok_or_else(|| wrong("carrier", row.carrier, part.carriers.len()))?;
        let grant = &part.payers.get(usize::from(row.payer)).ok_or_else(|| wrong("payer", row.payer, part.payers.len()))?.grant;
        let (payer, session) = (grant.payer, grant.session);
        receipts.push(Receipt { chain, epoch: part.epoch, class: row.class, payer, session, carrier: carrier.carrier, bytes: row.bytes });
    }
    Ok(receipts)
}

/// Every row is used, and no session is charged more than its grant.
fn check_sums(part: &Part) -> Result<(), PartError> {
    let mut carriers = vec![false; part.carriers.len()];
    let mut charged: Vec<Option<Noz>> = vec![None; part.payers.len()];
    for entry in &part.entries {
        if let Some(used) = carriers.get_mut(usize::from(entry.carrier)) {
            *used = true;
        }
        if let Some(sum) = charged.get_mut(usize::from(entry.payer)) {
            *sum = Some(sum.unwrap_or_default().saturating_add(Noz(entry.bytes.into())));
        }
    }
    if let Some(index) = carriers.iter().position(|used| !used) {
        return Err(PartError::Unused { what: "carrier", index });
    }
    for (index, (charged, payer)) in charged.into_iter().zip(&part.payers).enumerate() {
        let charged = charged.ok_or(PartError::Unused { what: "payer", index })?;
        if charged > payer.grant.cap {
            return Err(PartError::Cap { index, charged, cap: payer.grant.cap });
        }
    }
    Ok(())
}

fn verified(part: &Part, receipts: &[Receipt]) -> VerifiedPart {
    let mut charges: BTreeMap<(Address, Address, Class), Noz> = BTreeMap::new();
    let (mut count, mut noz) = (0u64, Noz::ZERO);
    for receipt in receipts {
        let bytes = Noz(receipt.bytes.into());
        // At most 8192 numbers of 64 bits: far below the edge of 128.
        let sum = charges.entry((receipt.payer, receipt.carrier, receipt.class)).or_default();
        *sum = sum.saturating_add(bytes);
        noz = noz.saturating_add(bytes);
        count = count.saturating_add(1);
    }
    let carrier_last = part.carriers.last().map_or(Address::default(), |row| row.carrier);
    VerifiedPart { charges, receipts: count, noz, carrier_last }
}
