//! Direct claims: what a report left out, brought by the carrier itself while the epoch is challenged.
//!
//! A carrier that the report pays has claimed all that it claims: its claim's signature covers all its receipts, so a report holds all of them or none. Any
//! other may bring claims, several if one transaction does not hold all, each strictly above the one before it by (payer, session, class), so that no channel
//! is paid twice and none is remembered.
//!
//! The tickets may be of any registered meta node that a reservation names as its home, be it active or not: the payer has signed for bytes that it received,
//! and who issues no tickets that count is looked at where they are issued and where bytes move.
//!
//! With the claim come the last tickets of its channels, by their sessions' homes ([`pot::claim::CoveredClaim`]), and a reading of the metadata ledger
//! ([`standing_keys`]): that it has closed the epoch, what the payers had reserved, and the sessions' grants. A payer is charged no more than it had reserved
//! for the epoch, less what the report and other direct claims charge it; a session no more than it had reserved, less what was claimed from it, and with all
//! that ever was no more than it was granted. What a condemned report claimed counts as not claimed.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use pot::allowance::{Payer, Reservation, Session, claimed_key, payer_key, session_key};
use pot::direct::{self as claim, Standing};
use pot::{Class, CoveredClaim, report};
use primitives::{Address, Epoch, Hash, Noz, PublicKey};
use state::Overlay;

use super::parts::{CertificateError, certified, charge, charged};
use super::{Reported, carriers, progress, reported};
use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::Proven;
use crate::ledger::proven::Reading;
use crate::parameters::Parameters;
use crate::{epochs, meta_registry, resource};

/// Payers of one carrier's direct claims in an epoch at most: its record stays below [`keys::VALUE_BYTES_MAX`].
pub const DIRECT_PAYERS_MAX: usize = 16_384;

/// What a carrier claimed directly in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Claimed {
    /// Its last channel; later claims are above.
    pub after: (Address, PublicKey, Class),
    /// What it charges, by payer.
    pub charges: BTreeMap<Address, Noz>,
}

/// What was claimed directly from a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Spent {
    /// In all epochs.
    pub noz: Noz,
    /// In those that are not settled.
    pub epochs: Vec<InEpoch>,
}

/// What was claimed directly from a session in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct InEpoch {
    /// Which.
    pub epoch: Epoch,
    /// How much.
    pub noz: Noz,
    /// What of it is counted in all: what a condemned report took counts as spent on the metadata ledger, and is claimed directly instead.
    pub counted: Noz,
}

impl Spent {
    /// In the epochs before `unsettled`: what no reservation covers any more.
    pub fn before(&self, unsettled: Epoch) -> Noz {
        let open = self.epochs.iter().filter(|of| of.epoch >= unsettled).fold(Noz::ZERO, |sum, of| sum.saturating_add(of.counted));
        self.noz.saturating_sub(open)
    }

    /// In this epoch, if it is not settled.
    pub fn of(&self, epoch: Epoch) -> Noz {
        self.epochs.iter().find(|of| of.epoch == epoch).map_or(Noz::ZERO, |of| of.noz)
    }
}

/// Why a direct claim is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectError {
    /// The epoch is not in its time of challenge.
    #[error("epoch {epoch} is not open to direct claims: epochs {unsettled} up to, not including, {next} are, and this is epoch {current}")]
    NotOpen {
        /// The claim's.
        epoch: Epoch,
        /// The first that is not settled.
        unsettled: Epoch,
        /// The next to be reported.
        next: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// The report pays the carrier already.
    #[error("the report of epoch {epoch} pays {carrier}: all that it claimed is in it")]
    Reported {
        /// Who claims.
        carrier: Address,
        /// The epoch.
        epoch: Epoch,
    },
    /// Not above the carrier's last direct claim.
    #[error("{carrier} has claimed directly in epoch {epoch} before, and this claim does not begin above it")]
    Order {
        /// Who claims.
        carrier: Address,
        /// The epoch.
        epoch: Epoch,
    },
    /// No such node, or not then.
    #[error("{carrier} operates no resource node that took part in epoch {epoch}")]
    Carrier {
        /// Who claims.
        carrier: Address,
        /// The epoch.
        epoch: Epoch,
    },
    /// A channel that is too small.
    #[error("a channel of {bytes} bytes; channels are claimed from {least} on")]
    Small {
        /// Its bytes.
        bytes: u64,
        /// The least.
        least: u64,
    },
    /// The reading is not certified.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The reading lacks the report, or the metadata ledger had not closed the epoch then.
    #[error("the reading does not show that the metadata ledger has closed epoch {0}")]
    NotClosed(Epoch),
    /// A payer would be charged more than it reserved.
    #[error("{payer} reserved {reserved} noz for epoch {epoch}, of which {charged} are charged; {asked} more do not fit")]
    Payer {
        /// Who pays.
        payer: Address,
        /// The epoch.
        epoch: Epoch,
        /// What all its sessions reserved.
        reserved: Noz,
        /// What it is charged so far.
        charged: Noz,
        /// What the claim asks for.
        asked: Noz,
    },
    /// Too many payers.
    #[error("{0} payers in the direct claims of one carrier, at most {DIRECT_PAYERS_MAX} are allowed")]
    Payers(usize),
    /// The claim does not hold.
    #[error(transparent)]
    Claim(#[from] claim::DirectError),
}

/// The keys of the metadata ledger that a direct claim for these payers and sessions brings: that the epoch is closed, their reservations, their grants, and
/// what was claimed from them there.
pub fn standing_keys(epoch: Epoch, sessions: &BTreeSet<(Address, PublicKey)>) -> Vec<Vec<u8>> {
    let payers: BTreeSet<&Address> = sessions.iter().map(|(payer, _)| payer).collect();
    let of_sessions = sessions.iter().flat_map(|(_, session)| [session_key(session), claimed_key(epoch, session)]);
    [report::key(epoch)].into_iter().chain(payers.into_iter().map(payer_key)).chain(of_sessions).collect()
}

/// The keys of this ledger that say what can still be claimed from them ([`left`], [`left_of_payer`]).
pub fn charged_keys(epoch: Epoch, sessions: &BTreeSet<(Address, PublicKey)>) -> Vec<Vec<u8>> {
    let payers: BTreeSet<&Address> = sessions.iter().map(|(payer, _)| payer).collect();
    let payers = payers.into_iter().map(|payer| keys::charged(epoch, payer));
    [keys::reported(epoch)].into_iter().chain(payers).chain(sessions.iter().map(|(_, session)| keys::spent_directly(session))).collect()
}

/// What a carrier has claimed directly in an epoch that is not settled.
pub fn claimed(state: &impl Read, epoch: Epoch, carrier: &Address) -> Option<Claimed> {
    keys::read(state, &keys::direct(epoch, carrier))
}

/// What was ever claimed directly from a session.
pub fn spent(state: &impl Read, session: &PublicKey) -> Spent {
    keys::read(state, &keys::spent_directly(session)).unwrap_or_default()
}

/// Takes a carrier's claim that the report of its epoch does not hold.
///
/// # Errors
/// [`DirectError`]; the caller undoes everything then.
pub fn claim_directly(state: &mut Overlay, chain: Hash, covered: &CoveredClaim, standing: &Proven) -> Result<Event, DirectError> {
    let claim = &covered.claim;
    let (epoch, carrier) = (claim.epoch, claim.carrier);
    let (progress, current) = (progress(state), epochs::current(state).number);
    let not_open = || DirectError::NotOpen { epoch, unsettled: progress.unsettled, next: progress.epoch, current };
    let mut record = reported(state, epoch).ok_or_else(not_open)?;
    if carriers(state, epoch).binary_search(&carrier).is_ok() {
        return Err(DirectError::Reported { carrier, epoch });
    }
    // Who could have carried: the metadata ledger takes claims of no others.
    let node = resource::read(state, &carrier).filter(|node| node.took_part(epoch));
    let node = node.ok_or(DirectError::Carrier { carrier, epoch })?;
    let least = Parameters::read(state).channel_noz_min;
    if let Some(small) = claim.receipts.iter().find(|receipt| receipt.bytes < least) {
        return Err(DirectError::Small { bytes: small.bytes, least });
    }
    let before = claimed(state, epoch, &carrier);
    let channels = || claim.receipts.iter().map(|receipt| (receipt.payer, receipt.session, receipt.class));
    if before.as_ref().is_some_and(|before| channels().next().is_none_or(|first| first <= before.after)) {
        return Err(DirectError::Order { carrier, epoch });
    }
    let reading = certified(state, chain, standing)?;
    if reading.bytes(&report::key(epoch)).flatten().is_none() {
        return Err(DirectError::NotClosed(epoch));
    }
    let issuer_key = |issuer: &Address| meta_registry::read(state, issuer).map(|meta| meta.node.key);
    let verified = claim::verify(covered, chain, &node.node.key, |payer, session| left(state, &reading, epoch, payer, session), issuer_key)?;

    let (mut payers, mut sessions): (BTreeMap<Address, Noz>, BTreeMap<PublicKey, Noz>) = Default::default();
    for receipt in &verified.receipts {
        for sum in [payers.entry(receipt.payer).or_default(), sessions.entry(receipt.session).or_default()] {
            *sum = sum.saturating_add(Noz(receipt.bytes.into()));
        }
    }
    for (payer, asked) in &payers {
        let (reserved, charged) = left_of_payer(state, &reading, epoch, payer);
        if charged.saturating_add(*asked) > reserved {
            return Err(DirectError::Payer { payer: *payer, epoch, reserved, charged, asked: *asked });
        }
        charge(state, epoch, payer, *asked);
    }
    for (session, noz) in sessions {
        let mut spent = spent(state, &session);
        let before = spent.epochs.iter().find(|of| of.epoch == epoch).copied().unwrap_or_default();
        let noz = before.noz.saturating_add(noz);
        let counted = noz.saturating_sub(if record.report.is_none() { claimed_before(&reading, epoch, &session) } else { Noz::ZERO });
        spent.noz = spent.noz.saturating_add(counted.saturating_sub(before.counted));
        spent.epochs.retain(|of| of.epoch >= progress.unsettled && of.epoch != epoch);
        spent.epochs.push(InEpoch { epoch, noz, counted });
        keys::write(state, &keys::spent_directly(&session), &spent);
    }
    let mut charges = before.map(|before| before.charges).unwrap_or_default();
    for (payer, noz) in payers {
        let sum = charges.entry(payer).or_default();
        *sum = sum.saturating_add(noz);
    }
    if charges.len() > DIRECT_PAYERS_MAX {
        return Err(DirectError::Payers(charges.len()));
    }
    let after = channels().next_back().expect("a claim that was verified holds a receipt");
    keys::write(state, &keys::direct(epoch, &carrier), &Claimed { after, charges });
    if !record.direct.contains(&carrier) {
        record.direct.push(carrier);
        keys::write(state, &keys::reported(epoch), &record);
    }
    Ok(Event::ClaimedDirectly { epoch, carrier, noz: verified.claim.noz })
}

/// What was claimed from a session in an epoch on the metadata ledger.
fn claimed_before(reading: &Reading, epoch: Epoch, session: &PublicKey) -> Noz {
    reading.value(&claimed_key(epoch, session)).unwrap_or_default()
}

/// What a reading of the metadata ledger and this ledger leave of a session's reservation and grant; `None` if the reading shows none.
pub fn left(state: &impl Read, reading: &Reading, epoch: Epoch, payer: &Address, session: &PublicKey) -> Option<Standing> {
    let record: Payer = reading.value(&payer_key(payer))?;
    let Reservation { home, noz: reserved, .. } = *record.reservation(session, epoch)?;
    let Session { grant, spent: claimed } = reading.value(&session_key(session))?;
    // That nothing was claimed is proven by its absence; not to have read it proves nothing.
    reading.bytes(&claimed_key(epoch, session))?;
    let in_epoch = claimed_before(reading, epoch, session);
    let is_condemned = reported(state, epoch).is_some_and(|Reported { report, .. }| report.is_none());
    let (in_report, claimed) = if is_condemned { (Noz::ZERO, claimed.saturating_sub(in_epoch)) } else { (in_epoch, claimed) };
    let spent = spent(state, session);
    let of_reservation = reserved.saturating_sub(in_report).saturating_sub(spent.of(epoch));
    // Under a condemned report what was claimed of this epoch is counted in neither, so direct claims of it are.
    let direct = if is_condemned { spent.noz.saturating_add(spent.of(epoch).min(in_epoch)) } else { spent.noz };
    let of_grant = grant.grant.cap.saturating_sub(claimed).saturating_sub(direct);
    Some(Standing { grant, left: of_reservation.min(of_grant), home })
}

/// What all sessions of a payer reserved for an epoch, and what it is charged for it so far.
pub fn left_of_payer(state: &impl Read, reading: &Reading, epoch: Epoch, payer: &Address) -> (Noz, Noz) {
    let record: Payer = reading.value(&payer_key(payer)).unwrap_or_default();
    let reserved = record.reservations.iter().filter(|reservation| reservation.epoch == epoch).fold(Noz::ZERO, |sum, of| sum.saturating_add(of.noz));
    (reserved, charged(state, epoch, payer))
}
