//! Direct claims: what a report left out, brought by the carrier itself while the epoch is challenged.
//!
//! A carrier that the report pays has claimed all that it claims: its claim's signature covers all its receipts, so a report holds all of them or none. Any other may bring
//! claims, several if one transaction does not hold all, each strictly above the one before it by (payer, session, class), so that no channel is
//! paid twice and none is remembered.
//!
//! With the claim comes a reading of the metadata ledger ([`standing_keys`]): that it has closed the epoch, what the payers had reserved, and the sessions' grants. A payer
//! is charged no more than it had reserved for the epoch, less what the report and other direct claims charge it; a session no more than it had reserved
//! and, with all that was claimed from it, no more than it was granted.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use pot::allowance::{Payer, Session, payer_key, session_key};
use pot::direct::{self as claim, Standing};
use pot::{ClaimedReceipts, Class, report};
use primitives::{Address, Epoch, Hash, Noz, PublicKey};
use state::Overlay;

use super::parts::{CertificateError, certified, shard};
use super::{Shard, carriers, progress, reported};
use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::Proven;
use crate::ledger::proven::Reading;
use crate::{epochs, resource};

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
    pub epochs: Vec<(Epoch, Noz)>,
}

impl Spent {
    fn of(&self, epoch: Epoch) -> Noz {
        self.epochs.iter().find(|(of, _)| *of == epoch).map_or(Noz::ZERO, |(_, noz)| *noz)
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
    /// No such node.
    #[error("{0} operates no resource node")]
    Carrier(Address),
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

/// The keys of the metadata ledger that a direct claim for these payers and sessions brings: that the epoch is closed, their reservations, and their grants.
pub fn standing_keys(epoch: Epoch, sessions: &BTreeSet<(Address, PublicKey)>) -> Vec<Vec<u8>> {
    let payers: BTreeSet<&Address> = sessions.iter().map(|(payer, _)| payer).collect();
    let (payers, sessions) = (payers.into_iter().map(payer_key), sessions.iter().map(|(_, session)| session_key(session)));
    [report::key(epoch)].into_iter().chain(payers).chain(sessions).collect()
}

/// The keys of this ledger that say what can still be claimed from them ([`left`], [`left_of_payer`]).
pub fn charged_keys(epoch: Epoch, sessions: &BTreeSet<(Address, PublicKey)>) -> Vec<Vec<u8>> {
    let shards: BTreeSet<u8> = sessions.iter().map(|(payer, _)| shard(payer)).collect();
    let (shards, sessions) = (shards.into_iter().map(|shard| keys::charged(epoch, shard)), sessions.iter().map(|(_, session)| keys::spent_directly(session)));
    shards.chain(sessions).collect()
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
pub fn claim_directly(state: &mut Overlay, chain: Hash, claim: &ClaimedReceipts, standing: &Proven) -> Result<Event, DirectError> {
    let (epoch, carrier) = (claim.epoch, claim.carrier);
    let (progress, current) = (progress(state), epochs::current(state).number);
    let not_open = || DirectError::NotOpen { epoch, unsettled: progress.unsettled, next: progress.epoch, current };
    let mut record = reported(state, epoch).ok_or_else(not_open)?;
    if carriers(state, epoch).binary_search(&carrier).is_ok() {
        return Err(DirectError::Reported { carrier, epoch });
    }
    let node = resource::read(state, &carrier).ok_or(DirectError::Carrier(carrier))?;
    let before = claimed(state, epoch, &carrier);
    let channels = || claim.receipts.iter().map(|receipt| (receipt.payer, receipt.session, receipt.class));
    if before.as_ref().is_some_and(|before| channels().next().is_none_or(|first| first <= before.after)) {
        return Err(DirectError::Order { carrier, epoch });
    }
    let reading = certified(state, chain, standing)?;
    if reading.bytes(&report::key(epoch)).flatten().is_none() {
        return Err(DirectError::NotClosed(epoch));
    }
    let verified = claim::verify(claim, chain, &node.node.key, |payer, session| left(state, &reading, epoch, payer, session))?;

    let (mut payers, mut sessions): (BTreeMap<Address, Noz>, BTreeMap<PublicKey, Noz>) = Default::default();
    for receipt in &verified.receipts {
        for sum in [payers.entry(receipt.payer).or_default(), sessions.entry(receipt.session).or_default()] {
            *sum = sum.saturating_add(Noz(receipt.bytes.into()));
        }
    }
    for (payer, asked) in &payers {
        charge(state, &reading, epoch, payer, *asked)?;
    }
    for (session, noz) in sessions {
        let mut spent = spent(state, &session);
        let of_epoch = spent.of(epoch).saturating_add(noz);
        spent.noz = spent.noz.saturating_add(noz);
        spent.epochs.retain(|(of, _)| *of >= progress.unsettled && *of != epoch);
        spent.epochs.push((epoch, of_epoch));
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

/// What a reading of the metadata ledger and this ledger leave of a session's reservation and grant; `None` if the reading shows none.
pub fn left(state: &impl Read, reading: &Reading, epoch: Epoch, payer: &Address, session: &PublicKey) -> Option<Standing> {
    let record: Payer = reading.value(&payer_key(payer))?;
    let reserved = record.reservation(session, epoch)?.noz;
    let Session { grant, spent: claimed } = reading.value(&session_key(session))?;
    let spent = spent(state, session);
    let of_reservation = reserved.saturating_sub(spent.of(epoch));
    let of_grant = grant.grant.cap.saturating_sub(claimed).saturating_sub(spent.noz);
    Some(Standing { grant, left: of_reservation.min(of_grant) })
}

/// What all sessions of a payer reserved for an epoch, and what it is charged for it so far.
pub fn left_of_payer(state: &impl Read, reading: &Reading, epoch: Epoch, payer: &Address) -> (Noz, Noz) {
    let record: Payer = reading.value(&payer_key(payer)).unwrap_or_default();
    let reserved = record.reservations.iter().filter(|reservation| reservation.epoch == epoch).fold(Noz::ZERO, |sum, of| sum.saturating_add(of.noz));
    let shard: Shard = keys::read(state, &keys::charged(epoch, shard(payer))).unwrap_or_default();
    (reserved, shard.get(payer).copied().unwrap_or_default())
}

/// Charges a payer, within what all its sessions reserved for the epoch.
fn charge(state: &mut Overlay, reading: &Reading, epoch: Epoch, payer: &Address, asked: Noz) -> Result<(), DirectError> {
    let (reserved, charged) = left_of_payer(state, reading, epoch, payer);
    let after = charged.saturating_add(asked);
    if after > reserved {
        return Err(DirectError::Payer { payer: *payer, epoch, reserved, charged, asked });
    }
    let key = keys::charged(epoch, shard(payer));
    let mut shard: Shard = keys::read(state, &key).unwrap_or_default();
    shard.insert(*payer, after);
    keys::write(state, &key, &shard);
    Ok(())
}
