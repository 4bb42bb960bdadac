//! Allowances: ozone that a session reserves for an epoch, so that an honest carrier is never left unpaid.
//!
//! Keys: `5 a payer` the payer's reservations; `5 g session` the session's grant and what it spent. Transaction: `Reserve`, signed by the session key, with the
//! wallet's grant and a proven reading of the payer's ozone and of what is settled.
//!
//! The balance of the reading pays for all epochs that were not settled then. So the sum of the reservations for them stays within it (META-1). A closed
//! epoch counts with all that was reserved, until it is settled: a carrier that its report left out may claim directly what was not claimed here. A reading
//! from before a settlement that this ledger has already seen is refused: its balance is spent twice.
//!
//! A reservation is of at least 1 noz, so only who has ozone writes here. A payer has at most [`RESERVATIONS_MAX`] at a time; when they are settled, what was
//! kept for them goes with the payer's next reservation, and so do sessions that spent nothing.

use chain::keys::{Read, read, write};
use chain::ledger::Refusal;
use pot::SignedGrant;
use pot::allowance::{Allowance, Payer, Reservation, Session, claimed_key, payer_key, session_key};
use primitives::{Address, Epoch, Noz, PublicKey};
use state::Overlay;

use crate::anchor::{self, DRAFT_EPOCHS};
use crate::claims;

/// Reservations of one payer in unsettled epochs.
pub const RESERVATIONS_MAX: usize = 256;

/// What a proven reading says of a payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funds {
    /// Its ozone.
    pub noz: Noz,
    /// The first epoch that is not yet charged to it.
    pub unsettled: Epoch,
    /// What was claimed directly from the session in epochs that are settled; for the others its reservations stand.
    pub direct: Noz,
}

/// A payer's reservations; `None` if all are settled and the newest is [`DRAFT_EPOCHS`] old, or it never reserved: it counts for nothing then.
pub fn payer(state: &impl Read, payer: &Address) -> Option<Payer> {
    let anchor = anchor::current(state);
    let kept = anchor.unsettled.0.min(anchor.epoch.0.saturating_sub(DRAFT_EPOCHS.saturating_sub(1)));
    payer_record(state, payer).filter(|record| record.reservations.iter().any(|reservation| reservation.epoch.0 >= kept))
}

/// All that was ever written of a payer.
pub(crate) fn payer_record(state: &impl Read, payer: &Address) -> Option<Payer> {
    read(state, &payer_key(payer))
}

/// A session's grant and what it spent.
pub fn session(state: &impl Read, session: &PublicKey) -> Option<Session> {
    read(state, &session_key(session))
}

/// What a session reserved for an epoch.
pub fn reservation(state: &impl Read, owner: &Address, session: &PublicKey, epoch: Epoch) -> Option<Reservation> {
    payer_record(state, owner)?.reservation(session, epoch).copied()
}

/// The records of payer and session after the allowance.
fn reserved(state: &impl Read, allowance: &Allowance, funds: &Funds) -> Result<(Payer, Session), Refusal> {
    let Allowance { grant: SignedGrant { grant, .. }, epoch, noz, home, .. } = *allowance;
    let current = anchor::current(state).epoch;
    if epoch < current {
        return Err(Refusal::Never(format!("epoch {epoch} is over, this is epoch {current}")));
    }
    if epoch > current.next() {
        return Err(Refusal::NotNow(format!("epoch {epoch} is too far ahead, this is epoch {current}")));
    }
    if !anchor::metas(state).iter().any(|meta| meta.operator == home) {
        return Err(Refusal::Never(format!("{home} is not an active meta node")));
    }
    if noz == Noz::ZERO {
        return Err(Refusal::Never("an allowance of 0 noz".into()));
    }
    let mut payer = payer_record(state, &grant.payer).unwrap_or_default();
    if funds.unsettled < payer.unsettled {
        return Err(Refusal::Never(format!(
            "the proof of the ozone is older than the settlement of epoch {}: read it again",
            payer.unsettled.0.saturating_sub(1)
        )));
    }
    payer.unsettled = funds.unsettled;
    payer.reservations.retain(|reservation| reservation.epoch >= funds.unsettled);
    let is_this = |reservation: &Reservation| reservation.epoch == epoch && reservation.session == grant.session;
    if let Some(old) = payer.reservations.iter().find(|reservation| is_this(reservation)) {
        if old.home != home {
            return Err(Refusal::Never(format!("the tickets of this session in epoch {epoch} are issued by {}", old.home)));
        }
        if old.noz >= noz {
            return Err(Refusal::Never(format!("the session already reserved {} noz in epoch {epoch}, the allowance is {noz} noz", old.noz)));
        }
    }
    payer.reservations.retain(|reservation| !is_this(reservation));
    if payer.reservations.len() >= RESERVATIONS_MAX {
        return Err(Refusal::NotNow(format!("the payer has {RESERVATIONS_MAX} reservations in unsettled epochs, which is the limit")));
    }
    let others = payer.reservations.iter().fold(Noz::ZERO, |sum, reservation| sum.saturating_add(reservation.noz));
    if others.saturating_add(noz) > funds.noz {
        return Err(Refusal::NotNow(format!(
            "{} has {} noz of ozone, of which {others} are reserved in unsettled epochs; {noz} more are not there",
            grant.payer, funds.noz
        )));
    }

    let mut session = session(state, &grant.session).unwrap_or(Session { grant: allowance.grant, spent: Noz::ZERO });
    let known = session.grant.grant;
    if known.payer != grant.payer {
        return Err(Refusal::Never(format!("the session belongs to {}, not to {}", known.payer, grant.payer)));
    }
    // A report may still need the grant that was good when the bytes moved: it is replaced only by one that allows as much.
    if grant.cap >= known.cap && grant.expires >= known.expires {
        session.grant = allowance.grant;
    }
    // What was claimed is counted as spent; the rest of each reservation can still be claimed, or claimed directly.
    let own = payer.reservations.iter().filter(|reservation| reservation.session == grant.session);
    let open = own.fold(Noz::ZERO, |sum, own| sum.saturating_add(own.noz.saturating_sub(claims::claimed(state, own.epoch, &own.session))));
    let (cap, spent) = (session.grant.grant.cap, session.spent.saturating_add(funds.direct));
    if spent.saturating_add(open).saturating_add(noz) > cap {
        return Err(Refusal::Never(format!("the grant's cap is {cap} noz: {spent} are spent, {open} reserved, {noz} more do not fit")));
    }
    if session.grant.grant.expires < epoch {
        return Err(Refusal::Never(format!("the grant expired with epoch {}", session.grant.grant.expires)));
    }
    payer.reservations.push(Reservation { epoch, session: grant.session, home, noz });
    Ok((payer, session))
}

/// Whether the allowance could be made now.
///
/// # Errors
/// [`Refusal`] with the numbers.
pub fn check(state: &impl Read, allowance: &Allowance, funds: &Funds) -> Result<(), Refusal> {
    reserved(state, allowance, funds).map(|_| ())
}

/// Makes a reservation.
///
/// # Errors
/// [`Refusal`] with the numbers; nothing changes then.
pub(crate) fn apply(state: &mut Overlay, allowance: &Allowance, funds: &Funds) -> Result<(), Refusal> {
    let (record, session) = reserved(state, allowance, funds)?;
    let grant = &allowance.grant.grant;
    let settled = payer_record(state, &grant.payer).unwrap_or_default().reservations.into_iter().filter(|old| old.epoch < funds.unsettled);
    for old in settled {
        state.delete(&claimed_key(old.epoch, &old.session));
        // Nothing is lost of a session that spent nothing: its next allowance brings the grant again.
        let is_open = record.reservations.iter().any(|reservation| reservation.session == old.session);
        if !is_open && self::session(state, &old.session).is_some_and(|session| session.spent == Noz::ZERO) {
            state.delete(&session_key(&old.session));
        }
    }
    write(state, &payer_key(&grant.payer), &record);
    write(state, &session_key(&grant.session), &session);
    Ok(())
}
