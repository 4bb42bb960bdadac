//! The ledger of the simulated nodes: what executes payloads and names each epoch's members.
//!
//! Every node has its own and executes every block itself, so that a block that lies is found out. [`Ledger`] is what a node's shell asks for; [`plain::Plain`]
//! has no money, only members that join, leave and change their weights.

use std::sync::Arc;

use consensus::message::Stored;
use consensus::{Block, Header, Members};
use primitives::{Epoch, Hash, Time};

pub mod plain;

/// What a leader asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is built on.
    pub parent: Header,
    /// The header's time.
    pub time: Time,
    /// Most bytes.
    pub bytes_max: usize,
}

/// An epoch as the chain before it names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which.
    pub epoch: Epoch,
    /// Who votes.
    pub members: Members,
    /// The block before it.
    pub start: Header,
}

/// A deterministic state machine over final blocks, with undecided ones beside it.
pub trait Ledger: Send {
    /// Takes a transaction that somebody wants in a block.
    fn submit(&mut self, transaction: &plain::Transaction);

    /// A payload on `order.parent`, which was executed here, and the hash of the next members if the epoch ends with it; `None` if there is no such parent.
    fn build(&mut self, order: &Order) -> Option<(Vec<u8>, Hash)>;

    /// Whether the block executes to what it claims; its parent was executed here.
    fn execute(&mut self, block: &Block) -> bool;

    /// Whether this block was executed here since the last start.
    fn has_executed(&self, block: Hash) -> bool;

    /// These blocks are final, in order.
    fn commit(&mut self, blocks: &[Arc<Block>]);

    /// Starts again from what is final on disk.
    fn restore(&mut self, chain: &[Stored]);

    /// The epoch that the last final block is in, or opens.
    fn opening(&self) -> Opening;
}
