//! What must never happen, named by the invariant of the design's list that it breaks.

use consensus::engine::{Halt, Offence};
use consensus::vote::Vote;
use primitives::{Epoch, Hash, Height, PublicKey, View};

use crate::model::Forbidden;

/// A broken invariant, with the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two final blocks at one height.
    #[error("I1 agreement: node {node} finalized {found} at height {height}, another node {known}")]
    Agreement {
        /// Who.
        node: usize,
        /// Where.
        height: Height,
        /// What.
        found: Hash,
        /// What was final before.
        known: Hash,
    },
    /// A final block that is not valid.
    #[error("I2 validity: node {node} finalized {hash} at height {height}: {cause}")]
    Validity {
        /// Who.
        node: usize,
        /// Where.
        height: Height,
        /// What.
        hash: Hash,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// Two blocks that a quorum may have notarized in one view.
    #[error("I3 one notarization: {first} and {second} in epoch {epoch} view {view}")]
    Notarizations {
        /// Epoch.
        epoch: Epoch,
        /// View.
        view: View,
        /// One.
        first: Hash,
        /// The other.
        second: Hash,
    },
    /// A view that quorums may have both finalized and nullified.
    #[error("I4 no finalization beside a nullification: epoch {epoch} view {view}")]
    Nullified {
        /// Epoch.
        epoch: Epoch,
        /// View.
        view: View,
    },
    /// Final without a quorum's notarization.
    #[error("I5 finalized is notarized: {hash} in epoch {epoch} view {view} has weight {weight} of {total}")]
    Unnotarized {
        /// Epoch.
        epoch: Epoch,
        /// View.
        view: View,
        /// The block.
        hash: Hash,
        /// Weight that can have notarized it.
        weight: u128,
        /// Of all.
        total: u128,
    },
    /// A certificate among honest nodes that was never signed.
    #[error("I5 certificates are signed: node {node} passes on {vote:?}, which {cause}")]
    Forged {
        /// Who.
        node: usize,
        /// What is certified.
        vote: Vote,
        /// What is wrong.
        cause: &'static str,
    },
    /// An honest key contradicted itself.
    #[error("I6 no honest equivocation: {key:?} released {first:?} and {second:?}")]
    Equivocation {
        /// Whose.
        key: PublicKey,
        /// One.
        first: Vote,
        /// The other.
        second: Vote,
    },
    /// A fork for which too little weight can be blamed.
    #[error("I7 accountability: the chains of nodes {first} and {second} fork at height {height}, but {cause}: weight {weight} of {total}")]
    Unaccountable {
        /// One node.
        first: usize,
        /// The other.
        second: usize,
        /// Where they part.
        height: Height,
        /// What is missing.
        cause: &'static str,
        /// Weight that contradicted itself.
        weight: u128,
        /// Of all.
        total: u128,
    },
    /// Evidence against an honest key.
    #[error("I8 no framing: evidence of {first:?} and {second:?} against the honest {key:?}")]
    Framed {
        /// Whose.
        key: PublicKey,
        /// One vote.
        first: Vote,
        /// The other.
        second: Vote,
    },
    /// An honest peer was punished though no wire changes bytes.
    #[error("I8 no framing: node {node} punishes the honest node {peer} for {offence}")]
    Slandered {
        /// Who.
        node: usize,
        /// Whom.
        peer: usize,
        /// For what.
        offence: Offence,
    },
    /// A vote left before the slot covered it.
    #[error("I9 durable before sent: node {node} released {vote:?}, which its disk does not hold")]
    NotDurable {
        /// Who.
        node: usize,
        /// What.
        vote: Vote,
    },
    /// Something fell back.
    #[error("I10 monotone: the {what} of node {node} went from {before:?} to {after:?}")]
    Backwards {
        /// Who.
        node: usize,
        /// Which number.
        what: &'static str,
        /// Before: epoch or zero, then the number.
        before: (u64, u64),
        /// After.
        after: (u64, u64),
    },
    /// A block of an honest leader that was notarized in calm times was dropped.
    #[error("I11 no tail forking: {hash} at epoch {epoch} view {view} was notarized, and the chain goes on without it")]
    Dropped {
        /// The block.
        hash: Hash,
        /// Its epoch.
        epoch: Epoch,
        /// Its view.
        view: View,
    },
    /// Nothing became final for too long.
    #[error("I12 liveness: node {node} finalized nothing in {waited_ms} ms, at most {bound_ms} were allowed, {skipped} views were a liar's")]
    Stalled {
        /// Who.
        node: usize,
        /// How long.
        waited_ms: u64,
        /// How long it may.
        bound_ms: u64,
        /// Views without an honest leader in between.
        skipped: u64,
    },
    /// Memory outgrew its bound.
    #[error("I14 bounded memory: node {node} holds {held} {what}, at most {bound} are allowed")]
    Memory {
        /// Who.
        node: usize,
        /// Of what.
        what: &'static str,
        /// How many.
        held: usize,
        /// How many it may.
        bound: usize,
    },
    /// Two ways into one epoch, or other voters than the chain names.
    #[error("I15 unique handover: node {node} begins epoch {epoch} after {start} with members {members}, not {expected_start} and {expected_members}")]
    Handover {
        /// Who.
        node: usize,
        /// Which epoch.
        epoch: Epoch,
        /// After which block.
        start: Hash,
        /// With whom.
        members: Hash,
        /// After which block others began.
        expected_start: Hash,
        /// With whom.
        expected_members: Hash,
    },
    /// The light client and the nodes differ.
    #[error("I16 light client: what node {node} finalized at height {height}: {cause}")]
    Disbelieved {
        /// Who.
        node: usize,
        /// Which block.
        height: Height,
        /// Why it does not believe it, or that it believes too much.
        cause: String,
    },
    /// Money or voters of the value ledger are not what they must be.
    #[error("I17 stake conservation: at height {height}: {cause}")]
    Stake {
        /// After which block.
        height: Height,
        /// What is wrong.
        cause: String,
    },
    /// A leader knew of a contradiction and left it out of its block.
    #[error("I17 evidence ends in a block: node {node} knew of a contradiction of {key:?} in epoch {epoch}, and proposed block {height} without it")]
    Spared {
        /// Who.
        node: usize,
        /// Who contradicted itself.
        key: PublicKey,
        /// When.
        epoch: Epoch,
        /// The block.
        height: Height,
    },
    /// An ordinary block after an epoch's last one.
    #[error("I15 unique handover: node {node} executes {hash}, an ordinary block after {parent}, the last of epoch {epoch}")]
    OpenEnd {
        /// Who.
        node: usize,
        /// Which epoch.
        epoch: Epoch,
        /// Its last block.
        parent: Hash,
        /// The child.
        hash: Hash,
    },
    /// A vote that the independent model would not have released. A node that forgot all but its slot may do only what a slow one could do as well.
    #[error("(f) refinement: node {node}, member {member}, released {vote:?} as honest vote {asked}, but the model forbids it: {cause}")]
    Refinement {
        /// Who.
        node: usize,
        /// Its place among the members.
        member: u16,
        /// What.
        vote: Vote,
        /// The model's rule against it.
        cause: Forbidden,
        /// Honest votes released up to it.
        asked: u64,
    },
    /// A node gave up though less than a third lies.
    #[error("node {node} halts: {halt}")]
    Halted {
        /// Who.
        node: usize,
        /// Why.
        halt: Halt,
    },
    /// A node was asked to build on or execute after what it never executed.
    #[error("node {node} was asked to go on from {hash}, which it has not executed")]
    OutOfOrder {
        /// Who.
        node: usize,
        /// The parent.
        hash: Hash,
    },
}
