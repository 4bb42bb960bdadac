//! Accusations: what meta nodes are proven to have done against the rules, and what it costs them.
//!
//! Transactions: `AccuseReport`, `AccuseIssuer`. Anybody may accuse; the proof is the accused's own signatures, so there is nothing to believe.
//!
//! 1. **A false report.** Meta nodes certified a state of their ledger that holds, for the next epoch to be reported, a report that does not hold: it
//!    contradicts itself, or a part that it names does, or a signature in one was never made. A meta node executes every block from the first one on, so
//!    everybody whose signature certified that state had what is missing and did not check it. All of them are convicted, and the epoch is settled by direct
//!    claims alone.
//! 2. **Too many tickets.** A meta node signed tickets for more than was reserved with it: carriers moved bytes that nobody pays for. A carrier's last
//!    tickets show it, alone or with what others have claimed ([`pot::evidence`]). The reading must show the epoch after its end, when no reservation could be
//!    added any more (its report is there, or somebody has claimed), and before its settlement, when none was forgotten.
//!
//! Whoever is convicted is active no more, is paid for no epoch that is not settled yet, and loses [`Parameters::meta_slash_bp`] of its deposit and of its
//! rewards that are not mature, which are burned. For tickets a node is convicted once, if it was not convicted before; for false reports each time. Of what it
//! loses the accuser gets [`Parameters::slash_reward_bp`]; what tickets exceeded the reservation by is paid, at what the curve would give for it, to the
//! carrier that they name, up to half of the slash; the rest is burned. A part of a report that nobody has is no proof: whoever certified it holds it, and of a
//! third that is honest somebody brings it.
//!
//! Rounding: slashes up, rewards and compensations down.

use pot::allowance::{Payer, claimants_key, claimed_key, payer_key};
use pot::evidence::{self, Promised, PromisedError};
use pot::report::{self, Part, Report};
use pot::{Signed, Ticket};
use primitives::encoding::decode;
use primitives::units::BASIS_POINTS;
use primitives::{Address, Amount, Epoch, Hash, Height, Noz, PublicKey};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::Proven;
use crate::ledger::proven::Reading;
use crate::meta_registry::{self, MetaNode, Status};
use crate::parameters::Parameters;
use crate::pools::{self, Pool};
use crate::settlement::{self, CertificateError};
use crate::{epochs, market, resource, rewards};

/// A carrier receives at most so much of what an issuer loses: who promises too much to itself must not get its own deposit back.
const COMPENSATION_BP_MAX: u32 = 5_000;
const POOL: &str = "the pool holds the sum of the deposits (CHAIN-6)";

/// Why an accusation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccusationError {
    /// Not certified by those who are accused.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Not the epoch that waits for its report: an earlier one has a report that holds, or was condemned.
    #[error("epoch {epoch} does not wait for a report: epoch {next} is the next")]
    NotNext {
        /// The accusation's.
        epoch: Epoch,
        /// The next to be reported.
        next: Epoch,
    },
    /// A report by other rules, which ours cannot judge.
    #[error("a report of version {0}, which these rules cannot judge")]
    Version(u8),
    /// The reading holds no report.
    #[error("the reading holds no report of epoch {0}")]
    NoReport(Epoch),
    /// The report does not name the part.
    #[error("the report of epoch {epoch} does not name this part {part}")]
    NotNamed {
        /// The report's epoch.
        epoch: Epoch,
        /// The part's number.
        part: u32,
    },
    /// Nothing is wrong with it.
    #[error("what the meta nodes certified of epoch {0} holds, as far as it was brought")]
    Holds(Epoch),
    /// It was convicted before.
    #[error("{0} was convicted before")]
    Known(Address),
    /// No such node.
    #[error("{0} operates no meta node")]
    Stranger(Address),
    /// The tickets prove nothing.
    #[error(transparent)]
    Tickets(#[from] PromisedError),
    /// The reading is of the wrong time.
    #[error("the reading does not show what was reserved and claimed in epoch {0}: it must be of a time when the epoch was over and not yet settled")]
    Time(Epoch),
    /// They are within what was reserved.
    #[error(
        "{issuer} promised {in_all} noz by what it says and {to_carrier} to this carrier, others claimed {claimed}: within the {reserved} noz reserved with it"
    )]
    Reserved {
        /// Who issued them.
        issuer: Address,
        /// What the tickets say of all.
        in_all: Noz,
        /// What they allow their carrier.
        to_carrier: Noz,
        /// What others have claimed from the session.
        claimed: Noz,
        /// What was reserved.
        reserved: Noz,
    },
}

/// Convicts all who certified a report of `epoch` that does not hold, by itself or for `part`.
///
/// # Errors
/// [`AccusationError`]; the caller undoes everything then.
pub fn accuse_report(
    state: &mut Overlay,
    chain: Hash,
    height: Height,
    accuser: &Address,
    epoch: Epoch,
    proven: &Proven,
    part: Option<&Part>,
) -> Result<Vec<Event>, AccusationError> {
    let next = settlement::progress(state).epoch;
    if epoch != next {
        return Err(AccusationError::NotNext { epoch, next });
    }
    let reading = settlement::certified(state, chain, proven)?;
    let bytes = reading.bytes(&report::key(epoch)).flatten().ok_or(AccusationError::NoReport(epoch))?;
    if !is_false(state, chain, epoch, bytes, part)? {
        return Err(AccusationError::Holds(epoch));
    }
    let members = meta_registry::electorate(state, &proven.certified.header.members).expect("the reading was certified by it");
    let signers: Vec<_> = proven.certified.finality.certificate.signers().filter_map(|signer| members.key(signer)).map(|key| key.public()).collect();
    // Who was convicted of something else pays for this, too: a report is condemned once.
    let guilty: Vec<Address> = meta_registry::nodes(state).into_iter().filter(|node| signers.contains(&node.node.key)).map(|node| node.operator).collect();
    let mut events: Vec<Event> = guilty.iter().map(|operator| convict(state, accuser, operator, None)).collect();
    events.push(settlement::condemn(state, height));
    Ok(events)
}

/// Whether the bytes are no report of this epoch that holds. Without a part only what the report says by itself is looked at.
fn is_false(state: &impl Read, chain: Hash, epoch: Epoch, bytes: &[u8], part: Option<&Part>) -> Result<bool, AccusationError> {
    // Whoever wrote it under other rules is not to be judged by these.
    if let Some(version) = bytes.first().filter(|version| **version != report::VERSION) {
        return Err(AccusationError::Version(*version));
    }
    let Ok(report) = decode::<Report>(bytes, keys::VALUE_BYTES_MAX) else { return Ok(true) };
    if report.check(epoch).is_err() {
        return Ok(true);
    }
    let Some(part) = part else { return Ok(false) };
    let named = usize::try_from(part.number).ok().and_then(|number| report.parts.get(number));
    if named != Some(&part.hash()) {
        return Err(AccusationError::NotNamed { epoch, part: part.number });
    }
    let key = |carrier: &Address| resource::read(state, carrier).map(|node| node.node.key);
    let progress = settlement::progress(state);
    let is_next = progress.cursor.next == part.number && (part.number == 0 || progress.report == report.hash());
    if !is_next {
        return Ok(report::verify_part(part, chain, epoch, key).is_err());
    }
    // After those before it: also that its carriers are above theirs, and what all of them sum to.
    let taken = progress.cursor.take(chain, &report, part, key);
    Ok(taken.map_or(true, |(cursor, _)| cursor.is_complete(&report).is_err()))
}

/// Convicts the issuer of tickets that exceed what was reserved with it.
///
/// # Errors
/// [`AccusationError`]; the caller undoes everything then.
pub fn accuse_issuer(state: &mut Overlay, chain: Hash, accuser: &Address, tickets: &[Signed<Ticket>], standing: &Proven) -> Result<Event, AccusationError> {
    let issuer = tickets.first().ok_or(PromisedError::Count { count: 0 })?.body.issuer;
    let node = accusable(state, &issuer)?;
    let reading = settlement::certified(state, chain, standing)?;
    let promised = evidence::promised(chain, tickets, &node.node.key)?;
    let excess = shown(state, &reading, &promised)?;
    // Who could not have carried has lost nothing.
    let could_carry = resource::read(state, &promised.carrier).is_some_and(|node| node.took_part(promised.epoch));
    Ok(convict(state, accuser, &issuer, could_carry.then(|| (promised.carrier, excess.min(promised.to_carrier)))))
}

/// A meta node that is not convicted yet.
fn accusable(state: &impl Read, issuer: &Address) -> Result<MetaNode, AccusationError> {
    let node = meta_registry::read(state, issuer).ok_or(AccusationError::Stranger(*issuer))?;
    if node.status == Status::Tombstoned { Err(AccusationError::Known(*issuer)) } else { Ok(node) }
}

/// By how many noz the issuer of these tickets promised too much, by this ledger and a reading of [`promise_keys`]. A carrier asks before it accuses.
///
/// # Errors
/// [`AccusationError`] if that is nothing, or the issuer cannot be accused.
pub fn excess(state: &impl Read, reading: &Reading, promised: &Promised) -> Result<Noz, AccusationError> {
    accusable(state, &promised.issuer)?;
    shown(state, reading, promised)
}

fn shown(state: &impl Read, reading: &Reading, promised: &Promised) -> Result<Noz, AccusationError> {
    let Promised { issuer, epoch, session, to_carrier, in_all, .. } = *promised;
    let claimed = claimed_by_others(state, reading, promised).ok_or(AccusationError::Time(epoch))?;
    // That a payer never reserved anything is shown by the absence of its record.
    let payer_bytes = reading.bytes(&payer_key(&promised.payer)).ok_or(AccusationError::Time(epoch))?;
    let payer: Payer = match payer_bytes {
        None => Payer::default(),
        Some(bytes) => decode(bytes, keys::VALUE_BYTES_MAX).map_err(|_| AccusationError::Time(epoch))?,
    };
    if payer.unsettled > epoch {
        return Err(AccusationError::Time(epoch));
    }
    let reserved = payer.reserved_with(&issuer, &session, epoch);
    match promised.excess(reserved, claimed) {
        Noz::ZERO => Err(AccusationError::Reserved { issuer, in_all, to_carrier, claimed, reserved }),
        excess => Ok(excess),
    }
}

/// The keys of the metadata ledger that an accusation over tickets of this session brings.
pub fn promise_keys(epoch: Epoch, payer: &Address, session: &PublicKey) -> Vec<Vec<u8>> {
    vec![report::key(epoch), claimants_key(epoch), payer_key(payer), claimed_key(epoch, session)]
}

/// The keys of this ledger that [`excess`] looks at.
pub fn judged_keys(promised: &Promised) -> Vec<Vec<u8>> {
    let Promised { issuer, epoch, session, carrier, .. } = promised;
    let of_epoch = [keys::reported(*epoch), keys::settlement_carriers(*epoch), keys::direct(*epoch, carrier)];
    of_epoch.into_iter().chain([keys::spent_directly(session), keys::meta_node(issuer)]).collect()
}

/// What others than the carrier are known to have claimed from the session of these tickets; `None` if the reading does not show that the epoch is over.
///
/// Of a carrier that has claimed nobody knows how much of what was claimed is its own: nothing counts as that of others then. Direct claims go up by payer and
/// session, so of a session above its last one a carrier has claimed nothing.
fn claimed_by_others(state: &impl Read, reading: &Reading, promised: &Promised) -> Option<Noz> {
    let Promised { epoch, ref payer, ref session, ref carrier, .. } = *promised;
    let bytes = reading.bytes(&claimed_key(epoch, session))?;
    let claimed = bytes.map_or(Some(Noz::ZERO), |bytes| decode(bytes, keys::VALUE_BYTES_MAX).ok())?;
    if reading.bytes(&report::key(epoch))?.is_none() {
        let claimants: Vec<Address> = reading.value(&claimants_key(epoch))?;
        return Some(if claimants.binary_search(carrier).is_ok() { Noz::ZERO } else { claimed });
    }
    let Some(reported) = settlement::reported(state, epoch) else { return Some(Noz::ZERO) };
    if settlement::claimed(state, epoch, carrier).is_some_and(|own| (own.after.0, own.after.1) >= (*payer, *session)) {
        return Some(Noz::ZERO);
    }
    let direct = settlement::spent(state, session).of(epoch);
    Some(match reported.report {
        // What a condemned report claimed is claimed directly again.
        None => direct,
        Some(_) if settlement::carriers(state, epoch).binary_search(carrier).is_ok() => Noz::ZERO,
        Some(_) => claimed.saturating_add(direct),
    })
}

/// Takes a meta node out of the active set for ever and slashes its deposit; a carrier that was promised bytes that nobody pays is compensated for them.
fn convict(state: &mut Overlay, accuser: &Address, operator: &Address, promised: Option<(Address, Noz)>) -> Event {
    let mut node = meta_registry::read(state, operator).expect("the caller has read it");
    let parameters = Parameters::read(state);
    let kept = node.deposit.basis_points(BASIS_POINTS.saturating_sub(parameters.meta_slash_bp));
    let slashed = node.deposit.saturating_sub(kept);
    // Before the deposit leaves the curve.
    let worth = promised.and_then(|(_, noz)| market::curve(state).redemption(noz).ok()).unwrap_or(Amount::ZERO);
    if node.status == Status::Active {
        market::deposit_deactivated(state, node.deposit);
    }
    node.status = Status::Tombstoned;
    node.left = node.left.or(Some(epochs::current(state).number));
    node.deposit = kept;
    keys::write(state, &keys::meta_node(operator), &node);
    pools::transfer(state, Pool::Deposits, Pool::Burned, slashed).expect(POOL);
    let forfeited = rewards::forfeit(state, operator, parameters.meta_slash_bp);
    let reward = if accuser == operator { Amount::ZERO } else { slashed.basis_points(parameters.slash_reward_bp) };
    let mut pay = |to: &Address, amount: Amount| pools::pay_out(state, Pool::Burned, to, amount).expect("it was just put there");
    pay(accuser, reward);
    let compensated = worth.min(slashed.basis_points(COMPENSATION_BP_MAX)).min(slashed.saturating_sub(reward));
    if let Some((carrier, _)) = promised {
        pay(&carrier, compensated);
    }
    Event::MetaConvicted { operator: *operator, slashed, accuser: *accuser, reward, carrier: promised.map(|(carrier, _)| carrier), compensated, forfeited }
}
