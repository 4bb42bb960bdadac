//! The ledger of the simulated nodes: what executes payloads and names each epoch's members.
//!
//! Every node has its own and executes every block itself, so that a block that lies is found out. [`Ledger`] is what a node's shell asks for. [`plain::Plain`]
//! has no money, only members that join, leave and change their weights; [`value::Value`] is the value ledger that ships, on a state in memory.

use std::sync::Arc;

use chain::ledger::Heard;
use consensus::config::Attendance;
use consensus::evidence::Evidence;
use consensus::message::Stored;
use consensus::{Block, Header, Members};
use primitives::{Epoch, Hash, Time};
use state::Sealed;

pub mod plain;
pub mod value;

/// Which ledger the nodes of a world have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Weights alone.
    #[default]
    Plain,
    /// Money.
    Value,
}

/// The digest a header holds of its payload, `None` for what is none.
pub type PayloadDigest = fn(&[u8]) -> Option<Hash>;

/// What a leader asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is built on.
    pub parent: Header,
    /// The undecided blocks up to the parent.
    pub undecided: Vec<Hash>,
    /// The header's time.
    pub time: Time,
    /// Most bytes.
    pub bytes_max: usize,
    /// The leader's place among the members.
    pub proposer: u16,
    /// What the block's justification will say of them.
    pub attendance: Attendance,
}

/// An epoch as the chain before it names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which.
    pub epoch: Epoch,
    /// Who votes.
    pub members: Members,
    /// What its leaders are drawn with.
    pub seed: Hash,
    /// The block before it.
    pub start: Header,
}

/// A deterministic state machine over final blocks, with undecided ones beside it.
pub trait Ledger: Send {
    /// The digest of its payloads.
    fn digest(&self) -> PayloadDigest;

    /// Takes a transaction that somebody wants in a block.
    fn submit(&mut self, transaction: &[u8]);

    /// Keeps evidence that a block shall charge a member with, if there is anything to charge it.
    fn accuse(&mut self, evidence: &Evidence);

    /// Evidence that a peer brings about an epoch that the engine does not know.
    fn hear(&mut self, evidence: &Evidence) -> Heard;

    /// A payload on `order.parent`, which was executed here, and the hash of the next members if the epoch ends with it; `None` if there is no such parent.
    fn build(&mut self, order: &Order) -> Option<(Vec<u8>, Hash)>;

    /// Whether the block executes to what it claims; its parent was executed here.
    fn execute(&mut self, block: &Block, attendance: &Attendance) -> bool;

    /// Whether this block was executed here since the last start.
    fn has_executed(&self, block: Hash) -> bool;

    /// These blocks are final, in order.
    fn commit(&mut self, blocks: &[Arc<Block>]);

    /// Starts again from what is final on disk.
    fn restore(&mut self, chain: &[Stored]);

    /// The epoch that the last final block is in, or opens.
    fn opening(&self) -> Opening;

    /// The tree after the last final block, if it keeps one.
    fn state(&self) -> Option<&Sealed>;
}
