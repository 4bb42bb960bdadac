//! A light client: follows who votes from epoch to epoch, and knows of a header whether it is final. Pure; it fetches nothing.
//!
//! # Protocol
//! 1. It trusts one set of voters: those of epoch 0, or those of a later epoch that somebody trustworthy named (a checkpoint, not older than stake stays
//!    bonded).
//! 2. It accepts any header with a [`Finality`] by the voters it trusts, of its epoch or of a later one that has the same voters; it then stands in that epoch.
//! 3. Where the voters change, one [`EpochProof`]: the epoch's last header, proved by its own voters, names the next ones. Epochs that change nothing need
//!    none.
//!
//! # Why an epoch without a change needs no proof
//! Votes bind the epoch and the hash of its voters, so what is shown of a later epoch `f` was signed by the trusted set `V` as the voters of `f`. While less
//! than a third of `V` is faulty, somebody honest is among the signers, and signs in `f` with the seat of `V` only if its own ledger has come to `f` and has
//! `V` vote there: so `V` are the voters of `f`, whatever came between, and the header is final. A header that was accepted as the last of its epoch and
//! names others ends this: from there on only its proof leads further.
//!
//! The limit is that "less than a third of `V`" must hold when `f` is signed, and who has taken its stake back has nothing to lose: whoever voted once can
//! sign any later epoch. A proof for each epoch would not help: the same signers can as well sign another end of their own epoch that names themselves, and
//! go on from there. So it is weak subjectivity either way: a client must not be further behind than stake stays bonded. What is lost is a conviction: the
//! second forgery contradicts votes of its signers in that epoch, the first one contradicts nothing that they signed.
//!
//! # Conflicts
//! Two proved headers that cannot be of one chain are a [`Conflict`]: it believes neither, and whoever it asks for the justification named there can tell who
//! broke the chain ([`crate::forensics`]). It sees a conflict with the highest header that it accepted and with the proof of the epoch before, for it keeps
//! nothing else, and only if the headers shown give it away: at one height two blocks, or views, times and parents that do not fit together, or a later epoch
//! that is not higher and later.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Epoch, Hash, View};

use crate::block::{Finality, FinalityError, HEADER_BYTES, HEADER_VERSION, HEADERS_MAX, Header};
use crate::certificate::CERTIFICATE_BYTES_MAX;
use crate::forensics::{BlameError, Branch, Proof, Verdict};
use crate::members::{MEMBERS_MAX, Members};

/// Most bytes of an encoded [`Proven`].
pub const PROVEN_BYTES_MAX: usize = HEADER_BYTES + 4 + HEADERS_MAX * HEADER_BYTES + CERTIFICATE_BYTES_MAX;

/// Most bytes of an encoded [`EpochProof`].
pub const EPOCH_PROOF_BYTES_MAX: usize = PROVEN_BYTES_MAX + MEMBERS_BYTES_MAX;

/// Most bytes of an encoded [`LightClient`].
pub const LIGHT_CLIENT_BYTES_MAX: usize = 2 * (PROVEN_BYTES_MAX + MEMBERS_BYTES_MAX) + 128;

const MEMBERS_BYTES_MAX: usize = 4 + 40 * MEMBERS_MAX;

/// A header and its proof.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proven {
    /// The header.
    pub header: Header,
    /// What proves it final.
    pub finality: Finality,
}

/// From an epoch to the voters of the next.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EpochProof {
    /// The epoch's last header.
    pub last: Header,
    /// What proves it final.
    pub finality: Finality,
    /// The next epoch's voters, whose hash `last` names.
    pub next: Members,
}

/// What a light client trusts, and the highest header it has accepted. Encode it to keep it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LightClient {
    chain: Hash,
    epoch: Epoch,
    members: Members,
    /// Hash of the block before the epoch, if it is known.
    start: Option<Hash>,
    /// The highest header accepted of this epoch.
    highest: Option<Proven>,
    /// The voters of the epoch before, and the proof of its last header that led here.
    before: Option<(Members, Proven)>,
}

/// Two headers that one set of voters proved final, and that cannot be of one chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Conflict {
    /// The chain.
    pub chain: Hash,
    /// Who proved both.
    pub members: Members,
    /// The one that was accepted first.
    pub accepted: Proven,
    /// The other.
    pub other: Proven,
}

/// Why a light client does not believe something. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// A version this program does not know.
    #[error("header version {0}, but this program knows {HEADER_VERSION}")]
    Version(u8),
    /// A header of another chain.
    #[error("the header is of chain {0}")]
    Chain(Hash),
    /// Of an epoch that is over.
    #[error("the header is of epoch {found}, but epoch {present} has begun")]
    Older {
        /// The header's.
        found: Epoch,
        /// The client's.
        present: Epoch,
    },
    /// Of a later epoch with other voters: the proofs of the epochs that changed them come first.
    #[error("the header is of epoch {found}, and who votes there is not known yet: the voters have changed since epoch {present}")]
    Skipped {
        /// The header's.
        found: Epoch,
        /// The client's.
        present: Epoch,
    },
    /// The header names other voters of the present epoch.
    #[error("the header names members {found}, but those of the epoch are {expected}")]
    Members {
        /// What it names.
        found: Hash,
        /// Who votes.
        expected: Hash,
    },
    /// The epoch's first block does not follow the block before the epoch.
    #[error("the header follows {found}, but the epoch began after {expected}")]
    Start {
        /// Its parent.
        found: Hash,
        /// The last block of the epoch before.
        expected: Hash,
    },
    /// A block is proposed in a view above its parent's, so no block but the genesis block is of view 0.
    #[error("a header of view {view} with a parent of view {parent}")]
    View {
        /// Its view.
        view: View,
        /// Its parent's.
        parent: View,
    },
    /// A closing block, which is no part of the chain.
    #[error("a closing block is no part of the chain")]
    Closing,
    /// The proof of an epoch is one of its last header.
    #[error("the header is not the last of epoch {0}")]
    NotLast(Epoch),
    /// Other voters than the last header names.
    #[error("members {found}, but the epoch's last header names {named}")]
    Next {
        /// Hash of what came.
        found: Hash,
        /// What the header names.
        named: Hash,
    },
    /// Not proved.
    #[error(transparent)]
    Finality(#[from] FinalityError),
    /// Proved, and so is what was accepted before; both cannot be. More than a third of the weight broke the protocol.
    #[error("the header at height {} contradicts the one accepted at height {}, and both are proved", .0.other.header.height, .0.accepted.header.height)]
    Conflict(Box<Conflict>),
}

impl Proven {
    /// The headers it shows, in height order.
    fn headers(&self) -> impl Iterator<Item = &Header> {
        std::iter::once(&self.header).chain(&self.finality.headers)
    }

    fn top(&self) -> &Header {
        self.finality.headers.last().unwrap_or(&self.header)
    }

    /// Whether no chain can hold both, which are proved by one set of voters.
    fn contradicts(&self, other: &Self) -> bool {
        if self.header.epoch != other.header.epoch {
            let (early, late) = if self.header.epoch < other.header.epoch { (self, other) } else { (other, self) };
            // Closing blocks are no part of the chain: the next epoch's first block is as high as the first of them.
            let low = early.headers().filter(|header| !header.is_closing()).last().unwrap_or(&early.header);
            return late.header.height <= low.height || late.header.time <= low.time;
        }
        let (low, high) = if self.top().height <= other.top().height { (self, other) } else { (other, self) };
        let top = low.top();
        // At the highest common height; equal there means equal below.
        if let Some(same) = high.headers().find(|header| header.height == top.height) {
            return same != top;
        }
        let above = &high.header;
        if above.height == top.height.next() {
            return above.extends(top).is_err();
        }
        let goes_on = top.next_members == Hash::ZERO || above.is_closing() && above.next_members == top.next_members;
        // Its own view is above its parent's, and that one's block is above `top` too.
        above.parent_view <= top.view || above.time <= top.time || !goes_on
    }
}

impl Conflict {
    /// Who did it, as far as two headers and their proofs tell: all of it if both were finalized in one view (E2).
    ///
    /// # Errors
    /// [`BlameError::Missing`] names the block whose header and justification must be fetched, from a node that has it; then [`Proof::new`] with the
    /// [`Branch`] that node stored (second branch for [`Conflict::other`]). [`BlameError::NoConflict`] if the other header names
    /// the accepted one as its parent but breaks another rule: a quorum finalized what is invalid, and nobody signed two things. [`BlameError::Epochs`] if they
    /// are of two epochs.
    pub fn blame(&self) -> Result<(Proof, Verdict), BlameError> {
        let [a, b] = [&self.accepted, &self.other].map(|proven| Branch::of_headers(&proven.header, &proven.finality));
        Proof::new(self.chain, self.members.clone(), a, b)
    }
}

impl LightClient {
    /// Trusts `members` to vote in `epoch` of `chain`. `start` is the hash of the block before the epoch, the genesis block for epoch 0; `None` if it is not
    /// known.
    pub fn new(chain: Hash, epoch: Epoch, members: Members, start: Option<Hash>) -> Self {
        Self { chain, epoch, members, start, highest: None, before: None }
    }

    /// The present epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its voters.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Hash of the block before the epoch, if it is known.
    pub fn start(&self) -> Option<Hash> {
        self.start
    }

    /// The highest header accepted, which is the last of the epoch before until one of the present epoch is.
    pub fn highest(&self) -> Option<&Proven> {
        self.highest.as_ref().or(self.before.as_ref().map(|(_, last)| last))
    }

    /// Moves on to the epoch after the one that `proof` ends: the present one, or a later one with the same voters.
    ///
    /// # Errors
    /// [`LightError`]; nothing has changed.
    pub fn advance(&mut self, proof: EpochProof) -> Result<(), LightError> {
        let EpochProof { last, finality, next } = proof;
        self.check_place(&last, &finality)?;
        if !last.is_last() {
            return Err(LightError::NotLast(last.epoch));
        }
        if next.hash() != last.next_members {
            return Err(LightError::Next { found: next.hash(), named: last.next_members });
        }
        let proven = self.check_proof(last, finality)?;
        self.start = Some(proven.header.hash());
        self.epoch = proven.header.epoch.next();
        self.highest = None;
        self.before = Some((std::mem::replace(&mut self.members, next), proven));
        Ok(())
    }

    /// Believes a header of the present epoch, at any height, or of a later one with the same voters, which is then the present one. Gives the highest one
    /// accepted so far.
    ///
    /// # Errors
    /// [`LightError`]; nothing has changed.
    pub fn accept(&mut self, header: Header, finality: Finality) -> Result<&Header, LightError> {
        self.check_place(&header, &finality)?;
        let proven = self.check_proof(header, finality)?;
        if proven.header.epoch > self.epoch {
            self.start = self.start_of(proven.header.epoch);
            let last = self.highest.take().filter(|_| self.start.is_some());
            self.before = last.map(|last| (self.members.clone(), last));
            self.epoch = proven.header.epoch;
        }
        let highest = match self.highest.take() {
            Some(highest) if highest.header.height >= proven.header.height => highest,
            Some(_) | None => proven,
        };
        Ok(&self.highest.insert(highest).header)
    }

    /// Hash of the block before `epoch`, if it is known.
    fn start_of(&self, epoch: Epoch) -> Option<Hash> {
        if epoch == self.epoch {
            return self.start;
        }
        self.highest.as_ref().map(|highest| &highest.header).filter(|last| last.is_last() && last.epoch.next() == epoch).map(Header::hash)
    }

    /// All that costs no signature: chain, epoch, voters, the epoch's start.
    fn check_place(&self, header: &Header, finality: &Finality) -> Result<(), LightError> {
        if header.version != HEADER_VERSION {
            return Err(LightError::Version(header.version));
        }
        if header.chain != self.chain {
            return Err(LightError::Chain(header.chain));
        }
        if header.epoch < self.epoch {
            return Err(self.older(header, finality));
        }
        if header.epoch > self.epoch {
            let is_over = self.highest.as_ref().is_some_and(|highest| highest.header.is_last() && highest.header.next_members != self.members.hash());
            if is_over || header.members != self.members.hash() {
                return Err(LightError::Skipped { found: header.epoch, present: self.epoch });
            }
        }
        if header.members != self.members.hash() {
            return Err(LightError::Members { found: header.members, expected: self.members.hash() });
        }
        if header.is_closing() {
            return Err(LightError::Closing);
        }
        if header.view <= header.parent_view {
            return Err(LightError::View { view: header.view, parent: header.parent_view });
        }
        match self.start_of(header.epoch) {
            Some(expected) if header.parent_view == View(0) && header.parent != expected => Err(LightError::Start { found: header.parent, expected }),
            Some(_) | None => Ok(()),
        }
    }

    /// The proof, then whether it leaves room for what was accepted.
    fn check_proof(&self, header: Header, finality: Finality) -> Result<Proven, LightError> {
        finality.verify(&header, self.chain, &self.members)?;
        let other = Proven { header, finality };
        match &self.highest {
            Some(accepted) if accepted.contradicts(&other) => Err(self.conflict(&self.members, accepted, other)),
            Some(_) | None => Ok(other),
        }
    }

    /// A header of an epoch that is over is refused. If it is of the one before and contradicts the proof that led here, that is a conflict.
    fn older(&self, header: &Header, finality: &Finality) -> LightError {
        if let Some((members, last)) = &self.before
            && header.epoch == last.header.epoch
            && header.members == members.hash()
            && header.view > header.parent_view
            && finality.verify(header, self.chain, members).is_ok()
        {
            let other = Proven { header: header.clone(), finality: finality.clone() };
            if last.contradicts(&other) {
                return self.conflict(members, last, other);
            }
        }
        LightError::Older { found: header.epoch, present: self.epoch }
    }

    fn conflict(&self, members: &Members, accepted: &Proven, other: Proven) -> LightError {
        LightError::Conflict(Box::new(Conflict { chain: self.chain, members: members.clone(), accepted: accepted.clone(), other }))
    }
}

#[cfg(test)]
mod tests;
