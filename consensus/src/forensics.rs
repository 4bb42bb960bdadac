//! Forensics: from two chains that cannot both be final to the members who made them so, each with two signatures.
//!
//! # How
//! Along one chain every view is accounted for by exactly one certificate: the base of the next block for a view whose block is on the chain, a skip of that
//! block for a view without one, the finalization for the last. So let `F(v, b)` and `F(v', b')` be two finalizations of one epoch, `v <= v'`, and look up
//! what the later chain holds of view `v`:
//! - `v = v'`: another finalization. Signers of both finalized twice (E2).
//! - else, at the first block from `b'` down whose view is above `v` and whose parent's view `p` is not: if `p = v`, its base certifies another block than `b`
//!   (E4, or E2 if the base is a finalization); if `p < v`, its skips hold the nullification of `v` (E3). If the base certifies `b` itself, nobody did wrong.
//!
//! Both certificates are quorums, so they share more than a third of the weight (SIMPLEX-1), and every member in both has signed a contradiction.
//!
//! # What it takes
//! Of the earlier chain the finalization alone; of the later one the headers from `b'` down to that block, bound to the finalization by hashes, and that one
//! block's justification. A [`Branch`] may hold more, which is verified too, and may lack what is not needed: [`BlameError::Missing`] names what is.
//!
//! # What it does not prove
//! That blocks execute or that leaders were leaders: neither matters, for the conflict is between signatures. That these members vote in this epoch of this
//! chain: headers and votes name them by [`Members::hash`], which the reader compares with what it trusts.

use std::collections::BTreeMap;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Epoch, Hash, Height, Signature, View};

use crate::block::{Block, BlockError, Finality, FinalityError, HEADER_BYTES, HEADER_VERSION, HEADERS_MAX, Header};
use crate::certificate::{CERTIFICATE_BYTES_MAX, Certificate, CertificateError, Verifier};
use crate::evidence::Evidence;
use crate::justification::{Base, JUSTIFICATION_BYTES_MAX, Justification};
use crate::members::{MEMBERS_MAX, Members};
use crate::message::{CHAIN_BLOCKS_MAX, Stored};
use crate::vote::{Kind, SignedVote};

/// Most links of a branch: a run of blocks that one proof was stored with, and the headers in that proof.
pub const LINKS_MAX: usize = CHAIN_BLOCKS_MAX + HEADERS_MAX;

/// Most bytes of an encoded branch that is read. A block without skipped views takes some 7 KiB of it with 100 members.
pub const BRANCH_BYTES_MAX: usize = 64 << 20;

/// Most bytes of an encoded [`Proof`], which holds at most one justification.
pub const PROOF_BYTES_MAX: usize =
    PROOF_MAGIC.len() + 1 + 32 + 4 + 40 * MEMBERS_MAX + 2 * (4 + LINKS_MAX * (HEADER_BYTES + 1) + CERTIFICATE_BYTES_MAX) + JUSTIFICATION_BYTES_MAX;

/// What the file of a proof begins with.
pub const PROOF_MAGIC: [u8; 8] = *b"forensic";

/// The version of [`Proof`] this program writes and reads; the byte after the magic.
pub const PROOF_VERSION: u8 = 1;

/// One block of a branch, without its payload.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Link {
    /// The header.
    pub header: Header,
    /// The block's justification; `None` where only the header is known.
    pub justification: Option<Justification>,
}

impl From<&Block> for Link {
    fn from(block: &Block) -> Self {
        Self { header: block.header.clone(), justification: Some(block.justification.clone()) }
    }
}

/// A stretch of one chain in one epoch up to a finalized block, as somebody holds it; closing blocks are part of it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Branch {
    /// Each extends the one before. At most [`LINKS_MAX`]; none if only the finalization is known.
    pub links: Vec<Link>,
    /// The finalization of the last link.
    pub certificate: Certificate,
}

/// Which of two branches, as they were passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// Why a branch proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BranchError {
    /// More links than [`LINKS_MAX`].
    #[error("{0} blocks, but at most {LINKS_MAX} are allowed")]
    Length(usize),
    /// A block that is not what it should be: [`BlockError::Foreign`] for another chain, epoch or set of members, [`BlockError::Parent`] if it does not
    /// follow the block before, [`BlockError::Mismatch`] for a justification that is not the header's, [`BlockError::Justification`] for one that does not
    /// verify.
    #[error("the block at height {height}: {cause}")]
    Link {
        /// Its height.
        height: Height,
        /// What is wrong.
        cause: BlockError,
    },
    /// The certificate finalizes nothing.
    #[error("the certificate of view {0} is no finalization")]
    NotFinal(View),
    /// It finalizes another block than the last, or does not verify.
    #[error(transparent)]
    Finality(#[from] FinalityError),
}

/// Why nobody is blamed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlameError {
    /// A branch does not verify.
    #[error("the {side} branch: {cause}")]
    Branch {
        /// Which.
        side: Side,
        /// Why.
        cause: BranchError,
    },
    /// What is final in one epoch does not contradict what is final in another; the earliest epoch in which two chains differ is the one to look at.
    #[error("branches of epochs {a} and {b}: only branches of one epoch can be compared")]
    Epochs {
        /// Of the first.
        a: Epoch,
        /// Of the second.
        b: Epoch,
    },
    /// The block finalized in the earlier view is the other one, or an ancestor of it.
    #[error("no conflict: the block finalized in view {later} is the one finalized in view {earlier} or extends it")]
    NoConflict {
        /// View of the one finalization.
        earlier: View,
        /// View of the other.
        later: View,
    },
    /// The later branch does not show what it holds of the view of the earlier finalization. This block of it is needed, with its justification; perhaps more
    /// below.
    #[error("the {side} branch must be known down to view {down_to}: block {hash} of view {view} and its justification are missing")]
    Missing {
        /// Which branch.
        side: Side,
        /// The block's hash.
        hash: Hash,
        /// Its height, if a child of it is known.
        height: Option<Height>,
        /// The view it was proposed in.
        view: View,
        /// The view of the earlier finalization.
        down_to: View,
    },
}

/// How the culprits contradicted themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// E2: two blocks finalized in one view.
    FinalizedTwice,
    /// E3: a block finalized in a view given up.
    FinalizedAndNullified,
    /// E4: a block finalized, and another notarized in that view.
    FinalizedAndNotarized,
}

/// Who broke the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The epoch of all of it.
    pub epoch: Epoch,
    /// The view of the earlier finalization, in which the culprits signed both sides.
    pub view: View,
    /// The view of the later finalization.
    pub later: View,
    /// The lowest height at which the branches show two different blocks; `None` if they show no two of one height.
    pub height: Option<Height>,
    /// How.
    pub contradiction: Contradiction,
    /// One for each culprit, in the members' order; every signature was verified.
    pub evidence: Vec<Evidence>,
    /// The culprits' weight: more than a third of `total`.
    pub weight: u64,
    /// The weight of all members.
    pub total: u64,
}

/// What somebody who knows neither database can check: the file that a node writes when it sees two finalizations that contradict each other.
///
/// [`Proof::check`] proves that the members in it broke their own epoch. Whoever reads one must compare `chain` with its own, and [`Members::hash`] with the
/// hash it trusts for that epoch (`next_members` of the epoch before, or a [`crate::light::LightClient`]): anybody can invent members and break their chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// The chain.
    pub chain: Hash,
    /// The voters of the epoch.
    pub members: Members,
    /// One branch.
    pub a: Branch,
    /// The other.
    pub b: Branch,
}

/// Why bytes are no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Another kind of file.
    #[error("not a forensic proof")]
    Magic,
    /// Written by another version of this program.
    #[error("version {0} of a forensic proof, but this program knows {PROOF_VERSION}")]
    Version(u8),
    /// Too long, cut short or malformed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Why two databases blame nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainsError {
    /// One chain is a prefix of the other.
    #[error("no conflict: both chains have the same blocks up to height {0}, where one of them ends")]
    Same(Height),
    /// The voters of the epoch in which they differ are not known.
    #[error("the members of epoch {0} are not known")]
    Members(Epoch),
    /// No proof of the block at which they differ.
    #[error("the {side} database has no proof of its block at height {height}")]
    Unproved {
        /// Which.
        side: Side,
        /// The height at which they differ.
        height: Height,
    },
    /// They differ, and still nobody is blamed.
    #[error("the chains differ from height {height} on: {cause}")]
    Blame {
        /// The lowest height at which they differ.
        height: Height,
        /// Why.
        cause: BlameError,
    },
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "first",
            Self::B => "second",
        })
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FinalizedTwice => "finalized two blocks in one view (E2)",
            Self::FinalizedAndNullified => "finalized a block in a view they gave up (E3)",
            Self::FinalizedAndNotarized => "finalized a block in a view in which they notarized another (E4)",
        })
    }
}

impl Branch {
    /// Blocks in height order and the finalization of the last of them.
    pub fn of_blocks<'a>(blocks: impl IntoIterator<Item = &'a Block>, certificate: Certificate) -> Self {
        Self { links: blocks.into_iter().map(Link::from).collect(), certificate }
    }

    /// What a header and its proof show: no justification at all.
    pub fn of_headers(header: &Header, finality: &Finality) -> Self {
        let headers = std::iter::once(header).chain(&finality.headers);
        Self { links: headers.map(|header| Link { header: header.clone(), justification: None }).collect(), certificate: finality.certificate.clone() }
    }

    /// What a node stored of one epoch from some height on: up to the block that the first proof at `height` or above finalizes. That block may be a later
    /// one, whose ancestors are further on in `stored`, or a closing block, kept with the epoch's last. Where only their headers are kept, links have no
    /// justification.
    ///
    /// `None` if no proof is found before the epoch or `stored` ends. Nothing is verified yet.
    pub fn from_stored(stored: impl IntoIterator<Item = Stored>, height: Height) -> Option<Self> {
        let mut links: Vec<Link> = Vec::new();
        let mut proof: Option<(usize, Finality)> = None;
        for Stored { block, finality, closing } in stored {
            links.push(Link::from(&*block));
            if proof.is_none() && block.header.height >= height {
                proof = finality.map(|finality| (links.len(), finality));
            }
            links.extend(closing.iter().map(|block| Link::from(&**block)));
            let is_whole = proof.as_ref().is_some_and(|(count, finality)| links.len() >= count + finality.headers.len());
            if is_whole || block.header.is_last() || links.len() > LINKS_MAX {
                break;
            }
        }
        let (count, finality) = proof?;
        let mut later = links.split_off(count).into_iter();
        // The proof decides what follows; of what is stored, the justifications of the same blocks.
        links.extend(finality.headers.into_iter().map(|header| {
            let justification = later.next().filter(|link| link.header == header).and_then(|link| link.justification);
            Link { header, justification }
        }));
        Some(Self { links, certificate: finality.certificate })
    }

    /// Reads a branch. Nothing is verified yet.
    ///
    /// # Errors
    /// [`DecodeError`] for more than [`BRANCH_BYTES_MAX`] bytes, or bytes that are no branch.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, BRANCH_BYTES_MAX)
    }

    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        self.certificate.epoch()
    }

    /// Verifies all that is there and gives the hash of each link: links in order, justifications, finalization.
    fn verify(&self, chain: Hash, members: Hash, verifier: &mut Verifier) -> Result<Vec<Hash>, BranchError> {
        if self.links.len() > LINKS_MAX {
            return Err(BranchError::Length(self.links.len()));
        }
        let Some(finalized) = self.certificate.finalized().filter(|_| self.certificate.view() > View(0)) else {
            return Err(BranchError::NotFinal(self.certificate.view()));
        };
        let mut hashes = Vec::with_capacity(self.links.len());
        let mut parent: Option<&Header> = None;
        for Link { header, .. } in &self.links {
            let fault = |cause| BranchError::Link { height: header.height, cause };
            if header.version != HEADER_VERSION {
                return Err(fault(BlockError::Version(header.version)));
            }
            if header.chain != chain || header.epoch != self.epoch() || header.members != members {
                return Err(fault(BlockError::Foreign));
            }
            if let Some(parent) = parent {
                header.extends(parent).map_err(fault)?;
            } else if header.view <= header.parent_view {
                return Err(fault(BlockError::Parent { height: header.height, parent: header.height.saturating_sub(Height(1)) }));
            }
            hashes.push(header.hash());
            parent = Some(header);
        }
        if let Some(last) = parent
            && (hashes.last() != Some(&finalized) || last.view != self.certificate.view())
        {
            return Err(FinalityError::Other(last.height).into());
        }
        verifier.verify([&self.certificate]).map_err(FinalityError::from)?;
        for Link { header, justification } in &self.links {
            if let Some(justification) = justification {
                justified(header, justification, verifier).map_err(|cause| BranchError::Link { height: header.height, cause })?;
            }
        }
        Ok(hashes)
    }

    /// The first block from the finalized one down whose view is above `view` and whose parent's is not; if it is not here, the one to look for next.
    fn pivot(&self, view: View) -> Result<usize, (Hash, Option<Height>, View)> {
        // Views rise along the links.
        let index = self.links.partition_point(|link| link.header.view <= view);
        match self.links.get(index) {
            Some(Link { header, .. }) if header.parent_view > view => Err((header.parent, Some(header.height.saturating_sub(Height(1))), header.parent_view)),
            Some(_) => Ok(index),
            None => Err((self.certificate.finalized().unwrap_or_default(), None, self.certificate.view())),
        }
    }

    /// What this chain holds of `view`, which is at most that of its finalization: the one certificate that accounts for it. `None` if that is of `hash`
    /// itself.
    fn account(&self, view: View, hash: Hash) -> Result<Option<&Certificate>, (Hash, Option<Height>, View)> {
        if view == self.certificate.view() {
            return Ok(Some(&self.certificate).filter(|certificate| certificate.finalized() != Some(hash)));
        }
        let Link { header, justification } = &self.links[self.pivot(view)?];
        if header.parent_view == view && header.parent == hash {
            return Ok(None);
        }
        let found = justification.as_ref().and_then(|justification| match &justification.base {
            Base::Certified(base) if base.view() == view => Some(base),
            Base::Start | Base::Certified(_) => justification.skips.iter().find(|skip| skip.view() == view),
        });
        found.map(Some).ok_or_else(|| (header.hash(), Some(header.height), header.view))
    }
}

/// Whether this is the justification the header names, for its view and parent, and verifies.
fn justified(header: &Header, justification: &Justification, verifier: &mut Verifier) -> Result<(), BlockError> {
    let base = &justification.base;
    // The block before the epoch is whatever the header says: no evidence depends on it.
    let is_its_own = justification.epoch == header.epoch
        && justification.view() == header.view
        && base.view() == header.parent_view
        && base.block(header.parent) == Some(header.parent);
    if !is_its_own {
        return Err(BlockError::Mismatch);
    }
    let bytes = encode(justification);
    if bytes.len() > JUSTIFICATION_BYTES_MAX {
        return Err(BlockError::JustificationLength(bytes.len()));
    }
    if Hash::of("justification", &[&bytes]) != header.justification {
        return Err(BlockError::Mismatch);
    }
    Ok(justification.verify(verifier)?)
}

/// Who made both branches final: verifies all of both, then follows the accountability theorem (see the module's page). `members` are the epoch's voters.
///
/// # Errors
/// [`BlameError`]. Nobody is named whose two signatures were not verified here.
pub fn blame(chain: Hash, members: &Members, a: &Branch, b: &Branch) -> Result<Verdict, BlameError> {
    let mut verifier = Verifier::new(chain, members.clone());
    let mut verify = |side, branch: &Branch| branch.verify(chain, members.hash(), &mut verifier).map_err(|cause| BlameError::Branch { side, cause });
    let (hashes_a, hashes_b) = (verify(Side::A, a)?, verify(Side::B, b)?);
    if a.epoch() != b.epoch() {
        return Err(BlameError::Epochs { a: a.epoch(), b: b.epoch() });
    }
    let (earlier, later, side) = order(a, b);
    let (view, hash) = (earlier.certificate.view(), earlier.certificate.finalized().unwrap_or_default());
    let account = later.account(view, hash).map_err(|(hash, height, of)| BlameError::Missing { side, hash, height, view: of, down_to: view })?;
    let Some(other) = account else {
        return Err(BlameError::NoConflict { earlier: view, later: later.certificate.view() });
    };
    let contradiction = match other.vote.kind {
        Kind::Finalize(_) => Contradiction::FinalizedTwice,
        Kind::Nullify => Contradiction::FinalizedAndNullified,
        Kind::Notarize(_) => Contradiction::FinalizedAndNotarized,
    };
    let (one, two) = (signed(&earlier.certificate), signed(other));
    let evidence: Vec<Evidence> = one.values().filter_map(|vote| Evidence::new(*vote, *two.get(&vote.signer)?)).collect();
    // A batch has found all of them valid. Who is slashed for them gets them looked at one by one.
    if !evidence.iter().all(|evidence| evidence.is_valid(chain, members)) {
        return Err(BlameError::Branch { side, cause: FinalityError::from(CertificateError::Signature).into() });
    }
    let (weight, total) = (evidence.iter().map(|evidence| members.weight(evidence.signer())).sum::<u64>(), members.total());
    assert!(3 * u128::from(weight) > u128::from(total), "two quorums share more than a third: {weight} of {total}");
    let height = lowest_difference((a, &hashes_a), (b, &hashes_b));
    Ok(Verdict { epoch: a.epoch(), view, later: later.certificate.view(), height, contradiction, evidence, weight, total })
}

/// The branch finalized in the earlier view, the other, and which that one is. Of one view either is the earlier: what both signed is the same.
fn order<'a>(a: &'a Branch, b: &'a Branch) -> (&'a Branch, &'a Branch, Side) {
    if a.certificate.view() <= b.certificate.view() { (a, b, Side::B) } else { (b, a, Side::A) }
}

/// Signatures of a verified certificate, as votes, by signer.
fn signed(certificate: &Certificate) -> BTreeMap<u16, SignedVote> {
    let vote = |(signer, &signature): (u16, &Signature)| (signer, SignedVote { vote: certificate.vote, signer, signature });
    certificate.signers().zip(&certificate.signatures).map(vote).collect()
}

fn lowest_difference((a, hashes_a): (&Branch, &[Hash]), (b, hashes_b): (&Branch, &[Hash])) -> Option<Height> {
    let others: BTreeMap<Height, &Hash> = b.links.iter().map(|link| link.header.height).zip(hashes_b).collect();
    let mut own = a.links.iter().map(|link| link.header.height).zip(hashes_a);
    own.find(|(height, hash)| others.get(height).is_some_and(|other| other != hash)).map(|(height, _)| height)
}

/// The proof and the culprits from two full databases of one chain: functions from height to block, with none missing from height 1 up to each one's last,
/// and one from epoch to voters.
///
/// The lowest height at which they differ is found by halving: a header names its parent by hash, so equal blocks at one height mean equal blocks below it.
/// It is in one epoch on both sides, for both blocks there have the same parent.
///
/// # Errors
/// [`ChainsError`].
pub fn blame_chains(
    chain: Hash,
    members: impl Fn(Epoch) -> Option<Members>,
    a: impl Fn(Height) -> Option<Stored>,
    b: impl Fn(Height) -> Option<Stored>,
) -> Result<(Proof, Verdict), ChainsError> {
    let header = |stored: Option<Stored>| stored.map(|stored| stored.block.header.clone());
    let agrees = |height: u64| height == 0 || header(a(Height(height))).is_some_and(|found| Some(found) == header(b(Height(height))));
    let mut high = 1_u64;
    while agrees(high) && high < u64::MAX {
        high = high.saturating_mul(2);
    }
    // They agree at `low`, not at `high`.
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if agrees(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let height = Height(high);
    let (Some(first), Some(_)) = (header(a(height)), header(b(height))) else { return Err(ChainsError::Same(Height(low))) };
    let members = members(first.epoch).ok_or(ChainsError::Members(first.epoch))?;
    let branch = |side, stored: &dyn Fn(Height) -> Option<Stored>| {
        let from_here = std::iter::successors(Some(height), |height| Some(height.next())).map_while(stored);
        Branch::from_stored(from_here, height).ok_or(ChainsError::Unproved { side, height })
    };
    let (a, b) = (branch(Side::A, &a)?, branch(Side::B, &b)?);
    Proof::new(chain, members, a, b).map_err(|cause| ChainsError::Blame { height, cause })
}

impl Proof {
    /// Blames, and keeps what [`Proof::check`] needs to come to the same verdict: all headers, and one justification.
    ///
    /// # Errors
    /// [`BlameError`].
    pub fn new(chain: Hash, members: Members, mut a: Branch, mut b: Branch) -> Result<(Self, Verdict), BlameError> {
        let verdict = blame(chain, &members, &a, &b)?;
        let (_, later, side) = order(&a, &b);
        let pivot = if verdict.view == verdict.later { None } else { later.pivot(verdict.view).ok() };
        for (of, branch) in [(Side::A, &mut a), (Side::B, &mut b)] {
            for (index, link) in branch.links.iter_mut().enumerate() {
                if of != side || Some(index) != pivot {
                    link.justification = None;
                }
            }
        }
        Ok((Self { chain, members, a, b }, verdict))
    }

    /// Verifies everything again.
    ///
    /// # Errors
    /// [`BlameError`].
    pub fn check(&self) -> Result<Verdict, BlameError> {
        blame(self.chain, &self.members, &self.a, &self.b)
    }

    /// The bytes of the file: magic, version, the proof.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = PROOF_MAGIC.to_vec();
        bytes.push(PROOF_VERSION);
        bytes.extend(encode(self));
        bytes
    }

    /// Reads a file. Nothing is verified yet.
    ///
    /// # Errors
    /// [`ProofError`]; more than [`PROOF_BYTES_MAX`] bytes are not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let rest = bytes.strip_prefix(&PROOF_MAGIC).ok_or(ProofError::Magic)?;
        let (&version, rest) = rest.split_first().ok_or(ProofError::Magic)?;
        if version != PROOF_VERSION {
            return Err(ProofError::Version(version));
        }
        Ok(decode(rest, PROOF_BYTES_MAX - PROOF_MAGIC.len() - 1)?)
    }
}

#[cfg(test)]
mod tests;
