//! What goes into the engine and what comes out of it: the whole contract with the shell.

use std::fmt;
use std::sync::Arc;

use primitives::{Hash, Height, Time, View};

use crate::block::{Block, BlockError, Finality, FinalityError, Header};
use crate::certificate::Certificate;
use crate::config::{Attendance, Config};
use crate::evidence::Evidence;
use crate::justification::{Justification, JustificationError};
use crate::message::{Message, Tip};
use crate::slot::{Durable, Slot};
use crate::vote::{SignedVote, Vote};

/// A connected peer, by a number of the shell's choosing. A connection that comes back may have a new number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer(pub u64);

/// What a node has on disk when it starts.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The last finalized header the ledger committed, with its proof. The block before the epoch, which is the genesis block in epoch 0, needs none.
    pub tip: Tip,
    /// What the signer has signed; `None` for a follower.
    pub slot: Option<Slot>,
    /// The last [`Kept::Justification`].
    pub justification: Option<Justification>,
    /// Every [`Kept::Block`] above the tip, in any order.
    pub blocks: Vec<Arc<Block>>,
}

/// Why what is on disk is not this chain. Nothing that does not verify is replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Another genesis, or another last block of the epoch before.
    #[error("the stored chain has {found:?} where the epoch begins, but that block is {expected:?}")]
    Start {
        /// The stored header.
        found: Hash,
        /// The configured one.
        expected: Hash,
    },
    /// A tip above the epoch's start without proof.
    #[error("the stored block at height {0} has no proof of being final")]
    Unproved(Height),
    /// The tip's proof is wrong.
    #[error("the stored tip: {0}")]
    Tip(#[from] FinalityError),
    /// The kept justification is wrong.
    #[error("the kept justification: {0}")]
    Justification(#[from] JustificationError),
    /// A kept block is wrong.
    #[error("the kept block at height {height}: {cause}")]
    Block {
        /// Its height.
        height: Height,
        /// What is wrong.
        cause: BlockError,
    },
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The node starts; once, first.
    Start,
    /// A peer can be reached.
    Connected(Peer),
    /// It no longer can.
    Disconnected(Peer),
    /// A peer said something; decoded, not verified.
    Message {
        /// Who said it.
        from: Peer,
        /// What.
        message: Box<Message>,
    },
    /// The ledger made a payload, asked by [`Output::Build`].
    Built {
        /// The view it was asked for.
        view: View,
        /// The parent it builds on.
        parent: Hash,
        /// The payload.
        payload: Vec<u8>,
        /// The time the header shall have.
        time: Time,
        /// Hash of the next epoch's voters if this is the epoch's last block, else zero.
        next_members: Hash,
    },
    /// The ledger makes no payload for this view.
    BuildDeclined(View),
    /// The ledger executed a block, asked by [`Output::Verify`].
    Verified {
        /// Its hash.
        block: Hash,
        /// Whether it executes to what it claims.
        valid: bool,
    },
    /// The signer signed, asked by [`Output::Sign`].
    Signed(Durable<SignedVote>),
    /// The signer refused, which changes nothing.
    SignRefused(Vote),
    /// The time of [`Output::WakeAt`] has come.
    Wake,
    /// The next epoch, after the last block of this one was given out as final and committed: its start is that block, its members are those the block names.
    Epoch(Box<Config>),
}

/// Something kept on disk until a block as high is finalized, so that a power cut that takes every node at once does not stop the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Replaces the one before.
    Justification(Justification),
    /// One more undecided block. May be forgotten in the commit of any block at its height or above.
    Block(Arc<Block>),
}

/// Something to do. Outputs are performed in order, each finished before the next begins; answers come later as inputs.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make durable before the next output.
    Keep(Kept),
    /// Sign, after the slot is durable; answer [`Input::Signed`] or [`Input::SignRefused`]. A failed write ends the process.
    Sign(Vote),
    /// Send to every connected peer, members and followers alike.
    Broadcast(Message),
    /// Send to one peer.
    Send {
        /// To whom.
        to: Peer,
        /// What.
        message: Message,
    },
    /// This node leads: make a payload on `parent`, at once if there are transactions, else as soon as there are, at the latest at `hold_until`. Answer
    /// [`Input::Built`] or [`Input::BuildDeclined`]. A later `Build` makes an unanswered one void.
    Build {
        /// The view.
        view: View,
        /// What is built on. The ledger has it: it was verified or is final.
        parent: Header,
        /// The undecided blocks from above the last finalized one up to `parent`, whose transactions are taken already.
        undecided: Vec<Hash>,
        /// Most bytes of the payload: [`crate::block::PAYLOAD_BYTES_MAX`], or less after very many skipped views.
        payload_bytes_max: usize,
        /// The earliest time the header may have.
        time_min: Time,
        /// Until when an idle leader may wait; the others give the view up 2Δ later.
        hold_until: Time,
        /// What the block's justification will say of the members.
        attendance: Attendance,
    },
    /// Execute this block; answer [`Input::Verified`]. Its parent was verified or is final. The answer depends on the chain alone, never on a clock, and is
    /// kept until a block as high is finalized. It is invalid too if the ledger's epoch ends with it and its header does not name the next voters, or the
    /// reverse.
    Verify {
        /// The block.
        block: Arc<Block>,
        /// What its justification says of the members.
        attendance: Attendance,
    },
    /// These blocks are final, in height order; each was verified here. Commit them, the proof and the state in one synced write.
    ///
    /// If the last of them is its epoch's last, the engine pauses: answer [`Input::Epoch`].
    Finalized {
        /// One to [`crate::message::CHAIN_BLOCKS_MAX`] blocks, at most [`crate::message::CHAIN_BYTES_MAX`] bytes if more than one.
        blocks: Vec<Arc<Block>>,
        /// Proof of the last of them.
        finality: Finality,
        /// After an epoch's last block: the closing blocks up to the finalized one, whose headers are in `finality`. Keep them beside it.
        closing: Vec<Arc<Block>>,
    },
    /// Read finalized blocks from `from` on and send what [`crate::message::Chain::collect`] makes of them.
    Serve {
        /// To whom.
        to: Peer,
        /// The lowest height.
        from: Height,
    },
    /// If a block of this hash is among the finalized ones, its epoch's closing blocks included, read it and send it as [`Message::Block`].
    ServeBlock {
        /// To whom.
        to: Peer,
        /// Its hash.
        hash: Hash,
    },
    /// Give [`Input::Wake`] at this time; replaces the time before.
    WakeAt(Time),
    /// A peer said what no honest peer says.
    Punish {
        /// Who.
        peer: Peer,
        /// What.
        offence: Offence,
    },
    /// A member contradicted itself; once per member and epoch. Keep it, and have it punished.
    Conflict(Evidence),
    /// Go no further: what is final here cannot be. The engine ignores every later input.
    Halt(Halt),
}

/// What no honest peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A vote or proposal whose signature is wrong.
    Signature,
    /// A certificate that proves nothing.
    Certificate,
    /// A justification that justifies nothing.
    Justification,
    /// A block that is invalid whatever it executes to.
    Block,
    /// Finalized blocks that do not hang together.
    Chain,
    /// Evidence that proves nothing.
    Evidence,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "an invalid signature",
            Self::Certificate => "an invalid certificate",
            Self::Justification => "an invalid justification",
            Self::Block => "an invalid block",
            Self::Chain => "an invalid chain of finalized blocks",
            Self::Evidence => "invalid evidence",
        })
    }
}

/// Why there is no going on. Either a third of the weight broke the protocol, or this node's ledger differs from the others'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// A block that is final is not on the chain that is final here.
    #[error("a quorum finalized {hash} in view {view}, which contradicts what is final here")]
    Fork {
        /// View of the other finalization.
        view: View,
        /// The other block.
        hash: Hash,
        /// The other finalization.
        certificate: Box<Certificate>,
        /// The other chain in height order, from the first block whose parent's view is not above our last finalization's up to the finalized one; fewer,
        /// from its end, if nobody sent the rest in time. With our own blocks this is what [`crate::forensics`] needs to name the culprits.
        blocks: Vec<Arc<Block>>,
    },
    /// A finalized block does not execute here, or was not proposed in the view that finalized it.
    #[error("a quorum finalized {hash} at height {height}, but it is invalid here")]
    Invalid {
        /// Its height.
        height: Height,
        /// Its hash.
        hash: Hash,
    },
}
