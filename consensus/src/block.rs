//! Blocks: the header that is voted on, the block around it, and what proves a header final.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::encode;
use primitives::{Epoch, Hash, Height, Time, View};

use crate::certificate::{Certificate, CertificateError, Verifier};
use crate::config::Config;
use crate::justification::{JUSTIFICATION_BYTES_MAX, Justification, JustificationError};
use crate::members::Members;
use crate::mutants::{self, Mutant};
use crate::vote::SignedVote;

/// The version this crate writes and accepts.
pub const HEADER_VERSION: u8 = 1;

/// Most bytes of a payload.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// Most bytes of a payload and the encoded justification beside it: after very many skipped views there is less room for the payload, but always some.
pub const BLOCK_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + (384 << 10);
const _: () = assert!(JUSTIFICATION_BYTES_MAX + (256 << 10) <= BLOCK_BYTES_MAX);

/// Bytes of every encoded header.
pub const HEADER_BYTES: usize = 1 + 32 + 24 + 32 + 8 + 32 + 8 + 2 + 96;

/// Most headers between a header and the finalized descendant that proves it: blocks notarized in a row without one finalization, which takes as many views in
/// which more than a third gave up after notarizing.
pub const HEADERS_MAX: usize = 2048;

/// What is voted on: everything else hangs on it by hashes. Its hash covers no certificate of itself.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// [`HEADER_VERSION`].
    pub version: u8,
    /// The chain.
    pub chain: Hash,
    /// The epoch.
    pub epoch: Epoch,
    /// The view it was proposed in; 0 only at genesis.
    pub view: View,
    /// One above the parent's.
    pub height: Height,
    /// Hash of the parent's header.
    pub parent: Hash,
    /// View of the parent, of this epoch; 0 if the parent is the block before the epoch.
    pub parent_view: View,
    /// [`Justification::digest`] of the block's justification.
    pub justification: Hash,
    /// Milliseconds since the Unix epoch, by the proposer's clock; above the parent's.
    pub time: Time,
    /// Index of the proposer.
    pub proposer: u16,
    /// [`Members::hash`] of this epoch's voters.
    pub members: Hash,
    /// Zero in ordinary blocks. In an epoch's last block, and in the closing blocks after it, [`Members::hash`] of the next epoch's voters.
    pub next_members: Hash,
    /// Digest of the payload, by the ledger's rule, which never gives zero; zero in a closing block, which has none.
    pub payload: Hash,
}

impl Header {
    /// The block everybody starts from: height 0, view 0, epoch 0, final by definition.
    pub fn genesis(chain: Hash, members: &Members, time: Time, payload: Hash) -> Self {
        Self {
            version: HEADER_VERSION,
            chain,
            epoch: Epoch(0),
            view: View(0),
            height: Height(0),
            parent: Hash::ZERO,
            parent_view: View(0),
            justification: Justification::first(Epoch(0)).digest(),
            time,
            proposer: 0,
            members: members.hash(),
            next_members: Hash::ZERO,
            payload,
        }
    }

    /// The name of the block.
    pub fn hash(&self) -> Hash {
        Hash::of_value("header", self)
    }

    /// Whether this is the last block of its epoch.
    pub fn is_last(&self) -> bool {
        self.next_members != Hash::ZERO && self.payload != Hash::ZERO
    }

    /// Whether this is a closing block: it follows its epoch's last block, carries nothing and is there to be finalized, for Simplex does not promise that any
    /// given block is finalized itself. It is no part of the chain: the next epoch's first block follows the last block.
    pub fn is_closing(&self) -> bool {
        self.next_members != Hash::ZERO && self.payload == Hash::ZERO
    }

    /// Whether this may follow `parent`: names it, one higher, later in time and view; and of the epoch's last block only closing blocks and the next epoch's
    /// first block are children.
    ///
    /// # Errors
    /// [`BlockError::Parent`].
    pub fn extends(&self, parent: &Self) -> Result<(), BlockError> {
        let (parent_view, is_in_place) = if parent.epoch == self.epoch {
            let is_open = mutants::is(Mutant::OpenEnd) && !self.is_closing();
            let closes =
                is_open || if parent.next_members == Hash::ZERO { !self.is_closing() } else { self.is_closing() && self.next_members == parent.next_members };
            (parent.view, closes && self.members == parent.members)
        } else {
            (View(0), parent.is_last() && self.epoch == parent.epoch.next() && self.members == parent.next_members && !self.is_closing())
        };
        let fits = is_in_place
            && self.parent == parent.hash()
            && self.parent_view == parent_view
            && self.height == parent.height.next()
            && self.time > parent.time
            && self.view > parent_view
            && self.chain == parent.chain;
        if fits { Ok(()) } else { Err(BlockError::Parent { height: self.height, parent: parent.height }) }
    }
}

/// Why a block is invalid whatever it executes to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A version this program does not know.
    #[error("header version {0}, but this program knows {HEADER_VERSION}")]
    Version(u8),
    /// Another chain, epoch or set of voters.
    #[error("the header is of another chain, epoch or set of members")]
    Foreign,
    /// Not the leader of its view.
    #[error("member {proposer} proposed in view {view}, which member {leader} leads")]
    Proposer {
        /// Who is named.
        proposer: u16,
        /// Who leads.
        leader: u16,
        /// The view.
        view: View,
    },
    /// The justification is for another view or block than the header says.
    #[error("the justification is not the one the header names")]
    Mismatch,
    /// The justification is too long to be sent.
    #[error("a justification of {0} bytes, but at most {JUSTIFICATION_BYTES_MAX} are allowed")]
    JustificationLength(usize),
    /// The justification justifies nothing.
    #[error(transparent)]
    Justification(#[from] JustificationError),
    /// The payload is too long.
    #[error("a payload of {0} bytes, but at most {PAYLOAD_BYTES_MAX} are allowed")]
    PayloadLength(usize),
    /// Payload and justification are too long together.
    #[error("a payload and a justification of {0} bytes, but at most {BLOCK_BYTES_MAX} are allowed")]
    Length(usize),
    /// The payload is not the one the header names.
    #[error("the payload does not have the digest the header names")]
    Payload,
    /// Does not follow its parent.
    #[error("the header at height {height} does not follow its parent at height {parent}")]
    Parent {
        /// Height it claims.
        height: Height,
        /// Height of the parent.
        parent: Height,
    },
}

impl BlockError {
    /// Whether the header alone proves the fault, so that it is its signers'. Else something else stands beside the header than what it names, which whoever
    /// passes a signed header on can do.
    pub fn is_of_header(&self) -> bool {
        match self {
            // The justification has been compared with the header's digest before it is verified.
            Self::Version(_) | Self::Foreign | Self::Proposer { .. } | Self::Justification(_) | Self::Parent { .. } => true,
            Self::Mismatch | Self::JustificationLength(_) | Self::PayloadLength(_) | Self::Length(_) | Self::Payload => false,
        }
    }
}

/// A header with what it names.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// What is voted on.
    pub header: Header,
    /// Why its view may build on its parent.
    pub justification: Justification,
    /// The ledger's bytes, opaque here, at most [`PAYLOAD_BYTES_MAX`].
    pub payload: Vec<u8>,
}

impl Block {
    /// Static validity, as far as the block and its epoch decide it; [`Header::extends`] is the rest. Cheap checks first, signatures last.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn check(&self, config: &Config, verifier: &mut Verifier) -> Result<(), BlockError> {
        let (header, members) = (&self.header, config.members.hash());
        if header.version != HEADER_VERSION {
            return Err(BlockError::Version(header.version));
        }
        if header.chain != config.chain || header.epoch != config.epoch || header.members != members {
            return Err(BlockError::Foreign);
        }
        let leader = config.leader(header.view);
        if header.proposer != leader {
            return Err(BlockError::Proposer { proposer: header.proposer, leader, view: header.view });
        }
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(BlockError::PayloadLength(self.payload.len()));
        }
        let base = &self.justification.base;
        let is_on_base = base.view() == header.parent_view && base.block(config.start.hash()) == Some(header.parent);
        let is_in_place = self.justification.epoch == header.epoch && self.justification.view() == header.view;
        if !is_in_place || !is_on_base && !mutants::is(Mutant::ParentUnchecked) {
            return Err(BlockError::Mismatch);
        }
        let bytes = encode(&self.justification);
        if bytes.len() > JUSTIFICATION_BYTES_MAX {
            return Err(BlockError::JustificationLength(bytes.len()));
        }
        if bytes.len() + self.payload.len() > BLOCK_BYTES_MAX {
            return Err(BlockError::Length(bytes.len() + self.payload.len()));
        }
        if Hash::of("justification", &[&bytes]) != header.justification {
            return Err(BlockError::Mismatch);
        }
        let digest = if header.is_closing() { self.payload.is_empty().then_some(Hash::ZERO) } else { (config.payload_digest)(&self.payload) };
        if digest != Some(header.payload) {
            return Err(BlockError::Payload);
        }
        Ok(self.justification.verify(verifier)?)
    }
}

/// A block with its leader's own vote for it, which is the leader's signature.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// What is proposed.
    pub block: Arc<Block>,
    /// The leader's notarize vote for the block's hash.
    pub vote: SignedVote,
}

/// What proves a header final: the headers of its descendants in the same epoch up to one that a quorum finalized, usually none, and that finalization.
///
/// Of an epoch's last block it is the *epoch proof*: it hands over to the voters that the header names.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Finality {
    /// Children in order; empty if the header itself was finalized.
    pub headers: Vec<Header>,
    /// The finalization of the last of them.
    pub certificate: Certificate,
}

/// Why a finality proves nothing about a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// More headers than [`HEADERS_MAX`].
    #[error("{0} headers, but at most {HEADERS_MAX} are allowed")]
    Length(usize),
    /// A header does not follow the one before it.
    #[error(transparent)]
    Headers(#[from] BlockError),
    /// The certificate finalizes another block.
    #[error("the certificate does not finalize the header at height {0}")]
    Other(Height),
    /// The certificate proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Finality {
    /// The proof of a header that a quorum finalized directly.
    pub fn direct(certificate: Certificate) -> Self {
        Self { headers: Vec::new(), certificate }
    }

    /// Whether this proves `header` final on `chain`, whose voters are `members`.
    ///
    /// # Errors
    /// [`FinalityError`].
    pub fn verify(&self, header: &Header, chain: Hash, members: &Members) -> Result<(), FinalityError> {
        self.verify_with(header, &mut Verifier::new(chain, members.clone()))
    }

    pub(crate) fn verify_with(&self, header: &Header, verifier: &mut Verifier) -> Result<(), FinalityError> {
        if self.headers.len() > HEADERS_MAX {
            return Err(FinalityError::Length(self.headers.len()));
        }
        let mut last = header;
        for next in &self.headers {
            next.extends(last)?;
            if next.epoch != header.epoch {
                return Err(FinalityError::Other(next.height));
            }
            last = next;
        }
        let vote = &self.certificate.vote;
        if self.certificate.finalized() != Some(last.hash()) || (vote.epoch, vote.view) != (last.epoch, last.view) {
            return Err(FinalityError::Other(last.height));
        }
        Ok(verifier.verify([&self.certificate])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Cast;
    use crate::vote::Kind;

    #[test]
    fn golden() {
        let cast = Cast::new(&[1, 1, 1, 1]);
        let genesis = &cast.genesis;
        assert_eq!(encode(genesis).len(), HEADER_BYTES);
        assert_eq!(genesis.hash().to_string(), "704aa4f626562890b2ebdcd46354bc458af83bfb628202950eccb4e8d827e92a");
    }

    #[test]
    fn static_validity() {
        let cast = Cast::new(&[1, 1, 1, 1]);
        let config = cast.config(None);
        let mut verifier = Verifier::new(cast.chain, cast.members.clone());
        let first = cast.block(&cast.genesis, Justification::first(Epoch(0)), b"one");
        assert_eq!(first.check(&config, &mut verifier), Ok(()));
        assert_eq!(first.header.extends(&cast.genesis), Ok(()));
        let second = cast.block(&first.header, Justification::after(cast.certificate(1, Kind::Notarize(first.header.hash()))), b"two");
        assert_eq!(second.check(&config, &mut verifier), Ok(()));
        assert_eq!(second.header.extends(&first.header), Ok(()));

        let mut check = |change: &dyn Fn(&mut Block)| {
            let mut block = second.clone();
            change(&mut block);
            block.check(&config, &mut verifier)
        };
        assert_eq!(check(&|block| block.header.version = 2), Err(BlockError::Version(2)));
        assert_eq!(check(&|block| block.header.chain = Hash::ZERO), Err(BlockError::Foreign));
        assert_eq!(check(&|block| block.header.epoch = Epoch(1)), Err(BlockError::Foreign));
        assert_eq!(check(&|block| block.header.members = Hash::ZERO), Err(BlockError::Foreign));
        assert!(matches!(check(&|block| block.header.proposer = 9), Err(BlockError::Proposer { proposer: 9, .. })));
        assert_eq!(check(&|block| block.header.parent = Hash::ZERO), Err(BlockError::Mismatch));
        assert_eq!(check(&|block| block.header.parent_view = View(0)), Err(BlockError::Mismatch));
        assert_eq!(check(&|block| block.header.justification = Hash::ZERO), Err(BlockError::Mismatch));
        assert_eq!(check(&|block| block.justification = Justification::first(Epoch(0))), Err(BlockError::Mismatch));
        assert_eq!(check(&|block| block.payload = b"other".to_vec()), Err(BlockError::Payload));
        assert_eq!(check(&|block| block.payload = vec![0; PAYLOAD_BYTES_MAX + 1]), Err(BlockError::PayloadLength(PAYLOAD_BYTES_MAX + 1)));
        // Skips enough that a largest payload no longer fits beside them.
        let skip = cast.certificate(2, Kind::Nullify);
        let skips = vec![skip.clone(); BLOCK_BYTES_MAX.saturating_sub(PAYLOAD_BYTES_MAX) / encode(&skip).len() + 1];
        let long = Justification { skips, ..second.justification.clone() };
        let mut block = cast.block(&first.header, long, &vec![0; PAYLOAD_BYTES_MAX]);
        block.header.parent_view = View(1);
        assert!(matches!(block.check(&config, &mut verifier), Err(BlockError::Length(bytes)) if bytes > BLOCK_BYTES_MAX));
        let forged = cast.block(&first.header, Justification::after(cast.certificate_of(1, Kind::Notarize(first.header.hash()), &[0, 1])), b"two");
        assert!(matches!(forged.check(&config, &mut verifier), Err(BlockError::Justification(_))));
        let stale = Header { time: first.header.time, ..second.header.clone() };
        assert_eq!(stale.extends(&first.header), Err(BlockError::Parent { height: Height(2), parent: Height(1) }));
        let high = Header { height: Height(3), ..second.header };
        assert!(high.extends(&first.header).is_err());
    }

    /// A header is proved by its own finalization or a descendant's, by nothing else.
    #[test]
    fn finality() {
        let cast = Cast::new(&[1, 1, 1, 1]);
        let first = cast.block(&cast.genesis, Justification::first(Epoch(0)), b"one").header;
        let second = cast.block(&first, Justification::after(cast.certificate(1, Kind::Notarize(first.hash()))), b"two").header;
        let certificate = cast.certificate(2, Kind::Finalize(second.hash()));
        let direct = Finality::direct(certificate.clone());
        let indirect = Finality { headers: vec![second.clone()], certificate: certificate.clone() };
        assert_eq!(direct.verify(&second, cast.chain, &cast.members), Ok(()));
        assert_eq!(indirect.verify(&first, cast.chain, &cast.members), Ok(()));
        assert_eq!(direct.verify(&first, cast.chain, &cast.members), Err(FinalityError::Other(Height(1))));
        assert!(matches!(indirect.verify(&second, cast.chain, &cast.members), Err(FinalityError::Headers(_))));
        let notarized = Finality::direct(cast.certificate(2, Kind::Notarize(second.hash())));
        assert_eq!(notarized.verify(&second, cast.chain, &cast.members), Err(FinalityError::Other(Height(2))));
        let weak = Finality::direct(cast.certificate_of(2, Kind::Finalize(second.hash()), &[2, 3]));
        assert!(matches!(weak.verify(&second, cast.chain, &cast.members), Err(FinalityError::Certificate(_))));
        let other_view = Finality::direct(cast.certificate(3, Kind::Finalize(second.hash())));
        assert_eq!(other_view.verify(&second, cast.chain, &cast.members), Err(FinalityError::Other(Height(2))));
    }
}
