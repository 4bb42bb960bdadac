//! Who was there: what the blocks of an epoch say about its members, and jail for those who were away.
//!
//! Keys: `2 a` the counts of the current epoch. Begin of block: counted. End of epoch: judged, and begun anew.
//!
//! A block carries the certificate of its parent, with the signatures of a quorum, and the nullifications of the views that were skipped since. So the ledger
//! knows who signed, who proposed, and who let a turn pass. A certificate holds no more signatures than make a quorum: a member that is slow may never be in
//! one and still vote each time. But then its proposals show that it lives, unless it lets its turns pass as well. Therefore a member is absent only if it
//! signed fewer than half of the epoch's certificates *and* missed more of its turns than it took. The first block of an epoch has its parent in the epoch
//! before, so it counts no certificate.
//!
//! Jail takes no money: absence cannot be told from a cut cable, and cannot be proven like a contradiction. It takes the seat, so that the others' quorum is
//! not measured against a dead weight. It stops before the jailed of one epoch weigh a third of it (CHAIN-9): where so much seems to be away the fault is
//! likelier the network's, and of those who are left no quorum must be lost. Who was seen least is jailed first, of equals who is first in the set.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Epoch;
use state::Overlay;

use super::{Status, Voter, read as read_validator, validators, weight, write as write_validator};
use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::BlockInfo;

/// What the blocks of the current epoch say.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Attendance {
    /// Certificates of blocks of this epoch that its blocks carried.
    pub certificates: u32,
    /// Each member's part in it, in the order of votes.
    pub members: Vec<Presence>,
}

/// One member's part in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Presence {
    /// Certificates with its signature.
    pub signed: u32,
    /// Blocks it proposed.
    pub taken: u32,
    /// Views it led that were skipped.
    pub skipped: u32,
}

impl Presence {
    /// Whether it was away in an epoch with so many certificates.
    fn is_absent(&self, certificates: u32) -> bool {
        u64::from(self.signed).saturating_mul(2) < u64::from(certificates) && self.skipped > self.taken
    }
}

/// What the blocks of the current epoch say so far.
pub fn read(state: &impl Read) -> Attendance {
    keys::read(state, &keys::attendance()).unwrap_or_default()
}

/// Begin of a block: counts what it carries.
pub(crate) fn begin_block(state: &mut Overlay, block: &BlockInfo) {
    let mut attendance = read(state);
    attendance.members.resize(validators(state).len(), Presence::default());
    let count = |members: &mut Vec<Presence>, index: u16, counter: fn(&mut Presence) -> &mut u32| {
        if let Some(presence) = members.get_mut(usize::from(index)) {
            let counter = counter(presence);
            *counter = counter.saturating_add(1);
        }
    };
    if !block.voters.is_empty() {
        attendance.certificates = attendance.certificates.saturating_add(1);
    }
    block.voters.iter().for_each(|index| count(&mut attendance.members, *index, |presence| &mut presence.signed));
    block.absent.iter().for_each(|index| count(&mut attendance.members, *index, |presence| &mut presence.skipped));
    count(&mut attendance.members, block.proposer, |presence| &mut presence.taken);
    keys::write(state, &keys::attendance(), &attendance);
}

/// End of epoch: jails the absent through the epoch `next`, which is about to begin.
pub(crate) fn end_epoch(state: &mut Overlay, next: Epoch) -> Vec<Event> {
    let (attendance, voters) = (read(state), validators(state));
    state.delete(&keys::attendance());
    let total = voters.iter().fold(0u128, |sum, voter| sum.saturating_add(weight(voter.stake).into()));
    let mut absent: Vec<(u32, &Voter)> =
        voters.iter().zip(&attendance.members).filter(|(_, seen)| seen.is_absent(attendance.certificates)).map(|(voter, seen)| (seen.signed, voter)).collect();
    absent.sort_by_key(|(signed, _)| *signed);
    let (mut jailed, mut events) = (0u128, Vec::new());
    for (_, voter) in absent {
        let Some(mut validator) = read_validator(state, &voter.operator).filter(|validator| validator.status == Status::Candidate) else { continue };
        jailed = jailed.saturating_add(weight(voter.stake).into());
        if jailed.saturating_mul(3) >= total {
            break;
        }
        validator.status = Status::Jailed { until: next };
        write_validator(state, &validator);
        events.push(Event::ValidatorJailed { operator: voter.operator });
    }
    events
}
