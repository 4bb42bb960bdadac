//! Whom of the value ledger this ledger believes: its voters, as their own signatures lead from one set to the next.
//!
//! Keys: `7 t` the hash of the voters that are believed, and since when; `7 w` the voters themselves, for who brings the next change. Transaction: `Voters`.
//!
//! 1. Genesis names the voters of epoch 0.
//! 2. A reading brings those who signed it. Here it is asked only whether their hash is the one believed, and whether the epoch is not before theirs. Epochs
//!    that change nothing need no word: [`consensus::light`] says why, and what is assumed; this is the same light client with its memory in the tree.
//! 3. `Voters` brings the end of an epoch that changed the voters, signed by those who are believed. Anybody may bring it; the meta nodes do, since whatever is
//!    read of the value ledger afterwards needs it.
//!
//! After a change the old voters are not believed any more, whatever they signed and when: they may have taken their stake back. One reading of theirs still
//! counts: that of the very block which ended their epoch, because the proof of the change proves it too, and until the next block comes there is no newer
//! one.

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::{Read, read, write};
use chain::ledger::Refusal;
use chain::ledger::proven::Reading;
use consensus::Members;
use consensus::light::{EpochProof, LightClient, LightError};
use primitives::{Epoch, Hash, Height};
use state::Overlay;

use crate::{anchor, keys};

/// Who is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Trust {
    /// The first epoch of these voters, as far as this ledger was told.
    pub since: Epoch,
    /// Their [`Members::hash`].
    pub members: Hash,
    /// The last block of the epoch before; `None` since genesis.
    pub start: Option<Hash>,
}

/// Where a proven reading comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The epoch of its header.
    pub epoch: Epoch,
    /// Hash of those who signed it.
    pub members: Hash,
    /// Hash of the header.
    pub header: Hash,
}

/// A change of the voters that some set of voters has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The last block of the voters' epoch.
    pub last: Source,
    /// Its height.
    pub height: Height,
    /// Who votes after it.
    pub next: Members,
}

impl Source {
    /// Where this reading comes from.
    pub fn of(reading: &Reading) -> Self {
        let header = &reading.certified.header;
        Self { epoch: header.epoch, members: header.members, header: header.hash() }
    }
}

impl Change {
    /// Checks everything but whether `members` are believed.
    ///
    /// # Errors
    /// [`LightError`] names what does not hold.
    pub fn verify(chain: Hash, members: Members, proof: EpochProof) -> Result<Self, LightError> {
        let EpochProof { last, next, .. } = &proof;
        let source = Source { epoch: last.epoch, members: last.members, header: last.hash() };
        let change = Self { last: source, height: last.height, next: next.clone() };
        LightClient::new(chain, last.epoch, members, None).advance(proof)?;
        Ok(change)
    }
}

/// Who is believed.
pub fn current(state: &impl Read) -> Trust {
    read(state, &keys::trust()).expect("genesis writes the first voters and nothing removes them")
}

/// The voters who are believed: who brings the next change brings them with it.
pub fn members(state: &impl Read) -> Members {
    read(state, &keys::trusted()).expect("genesis writes the first voters and nothing removes them")
}

/// Writes the first voters.
pub(crate) fn genesis(state: &mut Overlay, members: &Members) {
    put(state, &Trust { since: Epoch::ZERO, members: members.hash(), start: None }, members);
}

fn put(state: &mut Overlay, trust: &Trust, members: &Members) {
    write(state, &keys::trust(), trust);
    write(state, &keys::trusted(), members);
}

/// Whether a reading is of voters who are believed.
///
/// # Errors
/// [`Refusal::NotNow`] if a change must be brought first, [`Refusal::Never`] if it is too old or of nobody.
pub fn check(state: &impl Read, source: &Source) -> Result<(), Refusal> {
    let trust = current(state);
    if trust.start == Some(source.header) {
        return Ok(());
    }
    check_voters(&trust, source)
}

fn check_voters(trust: &Trust, source: &Source) -> Result<(), Refusal> {
    let Source { epoch, members, .. } = *source;
    if epoch < trust.since {
        return Err(Refusal::Never(format!("signed in epoch {epoch} of the value ledger, whose voters have changed since: read it again")));
    }
    if members == trust.members {
        return Ok(());
    }
    if epoch == trust.since {
        return Err(Refusal::Never(format!("signed by {members}, but {} vote in epoch {epoch} of the value ledger", trust.members)));
    }
    Err(Refusal::NotNow(format!("the voters of the value ledger's epoch {epoch} are not known here yet: bring the changes since epoch {} first", trust.since)))
}

/// Whether a change is the next one.
///
/// # Errors
/// [`Refusal`] as [`check`]; and if it changes nothing, or is below the block that was anchored last.
pub fn check_change(state: &impl Read, change: &Change) -> Result<(), Refusal> {
    let trust = current(state);
    check_voters(&trust, &change.last)?;
    let next = change.next.hash();
    if next == trust.members {
        return Err(Refusal::Never(format!("epoch {} of the value ledger ended without a change of its voters", change.last.epoch)));
    }
    // Voters who went and came back are believed in both times; what they handed over in the first is done with once they were believed in the second.
    let anchored = anchor::current(state).height;
    if change.height < anchored {
        return Err(Refusal::Never(format!("a change at height {} of the value ledger, which was anchored at height {anchored} already", change.height)));
    }
    Ok(())
}

/// Believes the next voters.
///
/// # Errors
/// [`Refusal`] as [`check_change`].
pub(crate) fn apply(state: &mut Overlay, change: &Change) -> Result<(), Refusal> {
    check_change(state, change)?;
    let trust = Trust { since: change.last.epoch.next(), members: change.next.hash(), start: Some(change.last.header) };
    put(state, &trust, &change.next);
    Ok(())
}
