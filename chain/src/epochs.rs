//! Epochs and the beacon.
//!
//! Keys: `7 e`. An epoch ends with the first block whose time is [`Parameters::epoch_ms`] after the epoch's start. Blocks come on demand, so a number of
//! blocks would make an epoch shorter the busier the network is, and tickets, grants and rewards are promised in time; the block time is agreed on within
//! the precision of the clocks. One block ends at most one epoch, however long nobody proposed.
//!
//! The beacon of a block is the hash of its parent's beacon and its parent's header; the beacon with which an epoch begins is the epoch's seed for placement.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Epoch, Hash, Time};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::ledger::BlockInfo;
use crate::parameters::Parameters;
use crate::{ballots, governance, meta_registry, resource, settlement, slashing, staking};

/// The current epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Current {
    /// Its number.
    pub number: Epoch,
    /// Time of the block that ended the one before.
    pub started: Time,
    /// The beacon with which it began.
    pub seed: Hash,
    /// The beacon of the newest block.
    pub beacon: Hash,
}

/// The current epoch.
pub fn current(state: &impl Read) -> Current {
    keys::read(state, &keys::epoch()).unwrap_or_default()
}

/// The end of a block: the beacon moves on, and the epoch ends if its time has come. Returns the beacon, whether the epoch ended, and what happened.
pub(crate) fn end_block(state: &mut Overlay, block: &BlockInfo) -> (Hash, bool, Vec<Event>) {
    let mut epoch = current(state);
    epoch.beacon = Hash::of("beacon", &[epoch.beacon.as_bytes(), block.parent.as_bytes()]);
    let over = block.time.saturating_sub(epoch.started) >= Time(Parameters::read(state).epoch_ms);
    let (mut events, ended) = (Vec::new(), epoch.number);
    if over {
        epoch = Current { number: epoch.number.next(), started: block.time, seed: epoch.beacon, beacon: epoch.beacon };
    }
    keys::write(state, &keys::epoch(), &epoch);
    if over {
        events.extend(resource::end_epoch(state));
        events.extend(ballots::end_epoch(state, epoch.number));
        // By the stake of the set that votes in this epoch.
        events.extend(governance::end_epoch(state, ended));
        // Who is jailed or slashed now must not be chosen with what it had.
        events.extend(staking::attendance::end_epoch(state, epoch.number));
        events.extend(slashing::end_epoch(state, epoch.number));
        events.extend(staking::voters::end_epoch(state, ended));
        events.extend(meta_registry::end_epoch(state, ended));
        events.push(Event::EpochBegan { epoch: epoch.number });
    }
    events.extend(settlement::end_block(state, block.height));
    (epoch.beacon, over, events)
}
