//! Who votes on this ledger's blocks: the meta nodes that were anchored when the consensus epoch began.
//!
//! Keys: `7 v`. A consensus epoch is not the value ledger's: it lasts as long as the same nodes are active. End of block: if the anchored nodes form another
//! set than the one that votes, the epoch is over, and they vote in the next. A set that cannot vote, for instance an empty one, changes nothing.
//!
//! The seed of an epoch's leaders hashes the value ledger's seed as it was anchored when the epoch began, which none of the meta nodes chose.

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::{Read, read, write};
use chain::ledger::Electorate;
use consensus::Members;
use consensus::members::{Member, MembersError};
use primitives::{Epoch, Hash};
use state::Overlay;

use crate::anchor::{self, Meta};
use crate::keys;

/// The voters of the current consensus epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Voters {
    /// Number of the consensus epoch.
    pub epoch: Epoch,
    /// What its leaders are drawn with.
    pub seed: Hash,
    /// The nodes, in the order of their votes.
    pub metas: Vec<Meta>,
}

/// Who votes on the blocks that are built on this state.
pub fn voters(state: &impl Read) -> Voters {
    read(state, &keys::voters()).expect("genesis writes the first voters and nothing removes them")
}

/// The same as consensus wants it.
pub fn electorate(state: &impl Read) -> Electorate {
    let Voters { epoch, seed, metas } = voters(state);
    Electorate { epoch, members: members(&metas).expect("they were checked before they became the voters"), seed }
}

/// One vote for each node.
fn members(metas: &[Meta]) -> Result<Members, MembersError> {
    Members::new(metas.iter().map(|meta| Member { key: meta.key, weight: 1 }).collect())
}

/// Lets the anchored nodes vote from `epoch` on, if they can.
fn begin(state: &mut Overlay, value_chain: Hash, epoch: Epoch) -> Result<(), MembersError> {
    let metas = anchor::metas(state);
    members(&metas)?;
    let seed = Hash::of("meta voters", &[value_chain.as_bytes(), &epoch.0.to_le_bytes(), anchor::current(state).seed.as_bytes()]);
    write(state, &keys::voters(), &Voters { epoch, seed, metas });
    Ok(())
}

/// Writes the first voters, after the first anchor.
///
/// # Errors
/// [`MembersError`] if they cannot vote.
pub(crate) fn genesis(state: &mut Overlay, value_chain: Hash) -> Result<(), MembersError> {
    begin(state, value_chain, Epoch::ZERO)
}

/// The end of a block: whether the consensus epoch ends with it.
pub(crate) fn end_block(state: &mut Overlay, value_chain: Hash) -> bool {
    let old = voters(state);
    let keys = |metas: &[Meta]| metas.iter().map(|meta| meta.key).collect::<Vec<_>>();
    keys(&anchor::metas(state)) != keys(&old.metas) && begin(state, value_chain, old.epoch.next()).is_ok()
}
