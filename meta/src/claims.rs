//! Claims of an epoch: each carrier's last receipts, with the tickets of their sessions' homes, verified when they come and counted against what the sessions
//! reserved.
//!
//! Keys: `5 k epoch carrier` the claim, without its tickets, and the key that verified it; `5 l epoch` who has claimed; `5 u epoch session` what was claimed
//! from a session. Transaction: `Claim`, signed by the carrier, once the value ledger's epoch is over and until this ledger closes it. A carrier claims once
//! (META-3).

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::{Read, read, write};
use chain::ledger::Refusal;
use pot::ClaimedReceipts;
use pot::allowance::{Reservation, claimants_key, claimed_key, session_key};
use pot::claim::VerifiedClaim;
use primitives::{Address, Epoch, Noz, PublicKey};
use state::Overlay;

use crate::{allowance, anchor, epochs, keys};

/// What was claimed from a session in an epoch.
pub fn claimed(state: &impl Read, epoch: Epoch, session: &PublicKey) -> Noz {
    read(state, &claimed_key(epoch, session)).unwrap_or_default()
}

/// The carriers that have claimed in an epoch, strictly increasing.
pub fn claimants(state: &impl Read, epoch: Epoch) -> Vec<Address> {
    read(state, &claimants_key(epoch)).unwrap_or_default()
}

/// A claim that was taken.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Taken {
    /// What the carrier sent.
    pub claim: ClaimedReceipts,
    /// The carrier's key, which verified it: the epoch may be closed long after its registry is forgotten.
    pub key: PublicKey,
}

/// A carrier's claim, until the epoch is closed.
pub fn taken(state: &impl Read, epoch: Epoch, carrier: &Address) -> Option<Taken> {
    read(state, &keys::claim(epoch, carrier))
}

/// What can still be claimed from a session in an epoch with tickets of this issuer: a claim that asks for more is refused whole, so a carrier leaves such a
/// session out before it signs.
pub fn claimable(state: &impl Read, epoch: Epoch, payer: &Address, session: &PublicKey, issuer: &Address) -> Noz {
    let reserved = allowance::payer_record(state, payer).map_or(Noz::ZERO, |record| record.reserved_with(issuer, session, epoch));
    reserved.saturating_sub(claimed(state, epoch, session))
}

/// What a claim asks a session for.
struct Asked {
    payer: Address,
    /// Who issued its tickets.
    issuer: Address,
    noz: Noz,
}

/// What the claim takes from each session, with what was taken before.
fn totals(state: &impl Read, claim: &VerifiedClaim, key: &PublicKey) -> Result<BTreeMap<PublicKey, Noz>, Refusal> {
    let (epoch, carrier) = (claim.claim.epoch, claim.claim.carrier);
    let (next, current) = (epochs::closing(state).next, anchor::current(state).epoch);
    if epoch < next {
        return Err(Refusal::Never(format!("epoch {epoch} is closed; the next to be closed is {next}")));
    }
    if epoch >= current {
        return Err(Refusal::NotNow(format!("epoch {epoch} is not over: this is epoch {current}")));
    }
    let registry = anchor::registry(state, epoch);
    let registered = registry.as_ref().and_then(|registry| registry.carrier(&carrier));
    let registered = registered.ok_or_else(|| Refusal::Never(format!("{carrier} was no active resource node in epoch {epoch}")))?;
    if registered.key != *key {
        return Err(Refusal::Never(format!("{carrier} signs with another key: {}", registered.key)));
    }
    for (issuer, key) in &claim.issuers {
        let registered = registry.as_ref().and_then(|registry| registry.issuer_key(issuer));
        if registered != Some(*key) {
            return Err(Refusal::Never(format!("{issuer} was no active meta node in epoch {epoch} with the key {key}; leave its sessions out")));
        }
    }
    if claimants(state, epoch).binary_search(&carrier).is_ok() {
        return Err(Refusal::Never(format!("{carrier} has claimed for epoch {epoch}; a carrier claims once")));
    }
    let least = anchor::current(state).channel_noz_min;
    if let Some(receipt) = claim.receipts.iter().find(|receipt| receipt.bytes < least) {
        let (payer, bytes) = (receipt.payer, receipt.bytes);
        return Err(Refusal::Never(format!("a channel of {payer} has {bytes} bytes, channels are claimed from {least} on; leave it out")));
    }
    let mut asked: BTreeMap<PublicKey, Asked> = BTreeMap::new();
    for (receipt, ticket) in claim.receipts.iter().zip(&claim.tickets) {
        let session = receipt.session;
        let asked = asked.entry(session).or_insert(Asked { payer: receipt.payer, issuer: ticket.issuer, noz: Noz::ZERO });
        if (asked.payer, asked.issuer) != (receipt.payer, ticket.issuer) {
            return Err(Refusal::Never(format!("the session {session} is claimed for two payers, or with tickets of two issuers")));
        }
        asked.noz = asked.noz.saturating_add(Noz(receipt.bytes.into()));
    }
    let mut totals = BTreeMap::new();
    for (session, Asked { payer, issuer, noz }) in asked {
        let reservation = allowance::reservation(state, &payer, &session, epoch);
        let Reservation { home, noz: reserved, .. } =
            reservation.ok_or_else(|| Refusal::Never(format!("the session {session} of {payer} has reserved nothing in epoch {epoch}; leave it out")))?;
        if home != issuer {
            return Err(Refusal::Never(format!(
                "the tickets of the session {session} in epoch {epoch} are issued by {home}, these are by {issuer}; leave it out"
            )));
        }
        let before = claimed(state, epoch, &session);
        let after = before.saturating_add(noz);
        if after > reserved {
            return Err(Refusal::Never(format!(
                "session {session} of {payer} reserved {reserved} noz in epoch {epoch}, of which {before} are claimed: {} fit, this claim asks it for {noz}; \
                 leave the session out",
                reserved.saturating_sub(before)
            )));
        }
        totals.insert(session, after);
    }
    Ok(totals)
}

/// Whether the claim can be taken now.
///
/// # Errors
/// [`Refusal`] with the numbers.
pub fn check(state: &impl Read, claim: &VerifiedClaim, key: &PublicKey) -> Result<(), Refusal> {
    totals(state, claim, key).map(|_| ())
}

/// Takes a claim.
///
/// # Errors
/// [`Refusal`] with the numbers; nothing changes then.
pub(crate) fn apply(state: &mut Overlay, claimed: &ClaimedReceipts, claim: &VerifiedClaim, key: &PublicKey) -> Result<(), Refusal> {
    for (session, after) in totals(state, claim, key)? {
        let before = self::claimed(state, claimed.epoch, &session);
        write(state, &claimed_key(claimed.epoch, &session), &after);
        if let Some(mut record) = allowance::session(state, &session) {
            record.spent = record.spent.saturating_add(after.saturating_sub(before));
            write(state, &session_key(&session), &record);
        }
    }
    let mut claimants = claimants(state, claimed.epoch);
    if let Err(at) = claimants.binary_search(&claimed.carrier) {
        claimants.insert(at, claimed.carrier);
    }
    write(state, &claimants_key(claimed.epoch), &claimants);
    write(state, &keys::claim(claimed.epoch, &claimed.carrier), &Taken { claim: claimed.clone(), key: *key });
    Ok(())
}
