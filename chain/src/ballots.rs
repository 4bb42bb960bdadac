//! Ballots of the meta nodes: who joins them, who leaves them, which resource node is suspended and resumed.
//!
//! Keys: `3 b motion` an open ballot; `3 o` the open ones. Transactions: `VoteMeta`. End of epoch: ballots are counted.
//!
//! 1. An active meta node opens a ballot with its vote; nobody else does, and none opens more than [`BALLOTS_OF_ONE_MAX`] of the at most [`BALLOTS_MAX`]. Votes to
//!    expel have always room. Each active node has one vote, once.
//! 2. When an epoch ends, the votes of those who are active then are counted. With more than two thirds of all active nodes a motion takes effect, before the
//!    next set is remembered ([`crate::meta_registry`]). Voters are looked up in the registry when they vote and when they are counted: a vote of somebody who
//!    was active once counts for nothing.
//! 3. A ballot without that many is dropped when nobody active is for it any more, when [`Parameters::ballot_epochs`] epochs have begun after it was opened, or when what it is about is gone.
//!
//! Governance can remove a meta node whatever the others say ([`crate::governance`]).

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Epoch};
use serde::{Deserialize, Serialize};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::parameters::Parameters;
use crate::{epochs, meta_registry, resource};

/// Ballots that are open at once, but for those that expel: nobody can keep out the vote against itself.
pub const BALLOTS_MAX: usize = 64;
/// Of them those that one node opened.
pub const BALLOTS_OF_ONE_MAX: usize = 4;

/// What is voted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(tag = "motion", content = "operator", rename_all = "snake_case")]
pub enum Motion {
    /// An applicant becomes an active meta node.
    Admit(Address),
    /// An active meta node leaves; its deposit is returned to it later.
    Expel(Address),
    /// A resource node takes no new slices, and its deposit stands behind no ozone.
    Suspend(Address),
    /// A suspended resource node takes part again.
    Resume(Address),
}

impl Motion {
    /// Operator of the node that it is about.
    pub const fn subject(&self) -> Address {
        match self {
            Self::Admit(operator) | Self::Expel(operator) | Self::Suspend(operator) | Self::Resume(operator) => *operator,
        }
    }
}

impl std::fmt::Display for Motion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = match self {
            Self::Admit(_) => "admit",
            Self::Expel(_) => "expel",
            Self::Suspend(_) => "suspend",
            Self::Resume(_) => "resume",
        };
        write!(out, "{verb} {}", self.subject())
    }
}

/// The votes for a motion so far.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ballot {
    /// Epoch of the first vote.
    pub opened: Epoch,
    /// Who voted for it, in the order of the votes.
    pub votes: Vec<Address>,
}

/// Why a vote does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BallotError {
    /// The sender has no vote.
    #[error("{0} operates no active meta node, and only those vote")]
    Voter(Address),
    /// The motion is about somebody it cannot be about.
    #[error("there is no ballot to {motion}: that node is {is}")]
    Subject {
        /// The motion.
        motion: Motion,
        /// Where that node is in its life.
        is: &'static str,
    },
    /// One vote each.
    #[error("{voter} has voted to {motion} already")]
    Twice {
        /// Who votes.
        voter: Address,
        /// The motion.
        motion: Motion,
    },
    /// Too many ballots.
    #[error("{open} ballots are open, of which {voter} opened {own}; at most {BALLOTS_MAX} and {BALLOTS_OF_ONE_MAX} are possible")]
    Full {
        /// Who votes.
        voter: Address,
        /// Ballots that are open.
        open: usize,
        /// Those that the voter opened.
        own: usize,
    },
}

/// The open ballots, in the order in which they were opened.
pub fn open(state: &impl Read) -> Vec<Motion> {
    keys::read(state, &keys::ballots()).unwrap_or_default()
}

/// The votes for a motion so far.
pub fn read(state: &impl Read, motion: &Motion) -> Option<Ballot> {
    keys::read(state, &keys::ballot(motion))
}

/// Whether a motion makes sense now; where the node is in its life if it does not.
fn check(state: &impl Read, motion: &Motion) -> Result<(), &'static str> {
    let meta = |operator| meta_registry::read(state, operator).map(|node| node.status);
    let carrier = |operator| resource::read(state, operator).map(|node| node.status);
    let (holds, is) = match motion {
        Motion::Admit(operator) => {
            let status = meta(operator);
            (status == Some(meta_registry::Status::Applicant), status.map_or("no meta node", meta_registry::Status::name))
        }
        Motion::Expel(operator) => {
            let status = meta(operator);
            (status == Some(meta_registry::Status::Active), status.map_or("no meta node", meta_registry::Status::name))
        }
        Motion::Suspend(operator) => {
            let status = carrier(operator);
            (status == Some(resource::Status::Active), status.map_or("no resource node", resource::Status::name))
        }
        Motion::Resume(operator) => {
            let status = carrier(operator);
            (status == Some(resource::Status::Suspended), status.map_or("no resource node", resource::Status::name))
        }
    };
    if holds { Ok(()) } else { Err(is) }
}

fn is_active(state: &impl Read, operator: &Address) -> bool {
    meta_registry::read(state, operator).is_some_and(|node| node.status == meta_registry::Status::Active)
}

/// Counts the sender's vote for a motion.
///
/// # Errors
/// [`BallotError`]; nothing changes then.
pub fn vote(state: &mut Overlay, voter: &Address, motion: &Motion) -> Result<Event, BallotError> {
    if !is_active(state, voter) {
        return Err(BallotError::Voter(*voter));
    }
    check(state, motion).map_err(|is| BallotError::Subject { motion: *motion, is })?;
    let mut ballot = match read(state, motion) {
        Some(ballot) => ballot,
        None => {
            let mut list = open(state);
            let counted = list.iter().filter(|motion| !matches!(motion, Motion::Expel(_)));
            let own = counted.clone().filter(|motion| read(state, motion).is_some_and(|ballot| ballot.votes.first() == Some(voter))).count();
            let open = counted.count();
            if !matches!(motion, Motion::Expel(_)) && (open >= BALLOTS_MAX || own >= BALLOTS_OF_ONE_MAX) {
                return Err(BallotError::Full { voter: *voter, open, own });
            }
            list.push(*motion);
            keys::write(state, &keys::ballots(), &list);
            Ballot { opened: epochs::current(state).number, votes: Vec::new() }
        }
    };
    if ballot.votes.contains(voter) {
        return Err(BallotError::Twice { voter: *voter, motion: *motion });
    }
    ballot.votes.push(*voter);
    keys::write(state, &keys::ballot(motion), &ballot);
    Ok(Event::MetaVoted { voter: *voter, motion: *motion })
}

/// End of an epoch, with which `next` begins: counts the open ballots, in their order.
pub(crate) fn end_epoch(state: &mut Overlay, next: Epoch) -> Vec<Event> {
    let (list, wait) = (open(state), Parameters::read(state).ballot_epochs);
    if list.is_empty() {
        return Vec::new();
    }
    let (mut kept, mut events) = (Vec::new(), Vec::new());
    for motion in list {
        let Some(ballot) = read(state, &motion) else { continue };
        // Those before may have changed who is active, or what this one is about.
        let active = meta_registry::active(state);
        let votes = ballot.votes.iter().filter(|voter| is_active(state, voter)).count();
        let is_over = next.0.saturating_sub(ballot.opened.0) > wait;
        let is_possible = check(state, &motion).is_ok();
        if is_possible && votes.saturating_mul(3) > active.saturating_mul(2) {
            let done = carry_out(state, &motion);
            // The last active meta node stays, whatever the votes say.
            events.extend(if done.is_empty() { vec![Event::MotionDropped { motion }] } else { done });
        } else if is_possible && !is_over && votes > 0 {
            kept.push(motion);
            continue;
        } else {
            events.push(Event::MotionDropped { motion });
        }
        state.delete(&keys::ballot(&motion));
    }
    keys::write(state, &keys::ballots(), &kept);
    events
}

/// Ends a ballot that is about nothing any more.
pub(crate) fn drop_motion(state: &mut Overlay, motion: &Motion) -> Option<Event> {
    let mut list = open(state);
    let before = list.len();
    list.retain(|other| other != motion);
    if list.len() == before {
        return None;
    }
    keys::write(state, &keys::ballots(), &list);
    state.delete(&keys::ballot(motion));
    Some(Event::MotionDropped { motion: *motion })
}

fn carry_out(state: &mut Overlay, motion: &Motion) -> Vec<Event> {
    let event = match motion {
        Motion::Admit(operator) => meta_registry::admit(state, operator),
        Motion::Expel(operator) => return meta_registry::leave(state, operator).unwrap_or_default(),
        Motion::Suspend(operator) => resource::suspend(state, operator),
        Motion::Resume(operator) => resource::resume(state, operator),
    };
    event.into_iter().collect()
}
