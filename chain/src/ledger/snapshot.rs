//! Snapshots: a new replica begins with the state after an epoch's last block, and not with the chain's beginning.
//!
//! # Protocol
//! 1. A replica gives away the states after the last blocks of the last [`KEPT`] epochs, and older ones that somebody is fetching, in chunks with proofs
//!    ([`state::Chunk`]), as far as its history reaches.
//! 2. Whoever joins asks several replicas for a snapshot: the epoch's last block and its proof. A light client that knows genesis believes it or not.
//! 3. The block names the state's root. Chunks may come from anybody who has the same state: each is checked against that root before anything of it is kept,
//!    and who sends a false one is asked no more.
//! 4. With the last chunk the state is whole; the block is the tip; consensus goes on with the next epoch, whose voters the state names.
//!
//! An epoch's end is all that consensus needs to go on: the next epoch begins with the block itself. What such a replica does not have is the blocks before.

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::light::LightClient;
use consensus::{Block, Finality, Members};

use super::block::{Body, Summary, digest};
use super::proven::ProvenError;

/// Snapshots that a replica keeps: who fetches one has the time of an epoch, if history reaches as far.
pub const KEPT: usize = 2;
/// Most that it keeps if older ones are being fetched.
pub const KEPT_MAX: usize = 4;
/// Bytes of pairs in one chunk, about.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The last block of an epoch, with what proves it, and the voters that it hands over to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Snapshot {
    /// The block.
    pub block: Block,
    /// A quorum's signatures under its last closing block.
    pub finality: Finality,
    /// Who votes in the next epoch.
    pub next: Members,
}

impl Snapshot {
    /// Checks everything in it, by a light client that follows the same ledger; it then has accepted the block. Gives what the block commits to, the state's
    /// root among it.
    ///
    /// # Errors
    /// [`ProvenError`] names the first thing that does not hold.
    pub fn verify_by(&self, light: &mut LightClient) -> Result<Summary, ProvenError> {
        let Self { block, finality, next } = self;
        if !block.header.is_last() {
            return Err(ProvenError::NoEnd { height: block.header.height });
        }
        if digest(&block.payload) != Some(block.header.payload) {
            return Err(ProvenError::Summary);
        }
        if next.hash() != block.header.next_members {
            return Err(ProvenError::Members { named: block.header.next_members, brought: next.hash() });
        }
        let body = Body::from_payload(&block.payload).ok_or(ProvenError::Summary)?;
        // The header names it, and is final: that says more than its signatures.
        if block.justification.digest() != block.header.justification {
            return Err(ProvenError::Justification);
        }
        light.accept(block.header.clone(), finality.clone())?;
        Ok(body.summary)
    }
}
