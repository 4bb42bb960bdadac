//! What engines say to one another.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Epoch, Hash, Height, View};

use crate::block::{BLOCK_BYTES_MAX, Block, Finality, HEADER_BYTES, HEADERS_MAX, Header, Proposal};
use crate::certificate::{CERTIFICATE_BYTES_MAX, Certificate};
use crate::evidence::Evidence;
use crate::justification::{JUSTIFICATION_BYTES_MAX, Justification};
use crate::vote::SignedVote;

/// Most bytes of a message, 5 MiB: one largest block, or a chain of [`CHAIN_BYTES_MAX`], with the headers and the certificate that prove it.
pub const MESSAGE_BYTES_MAX: usize = BLOCK_BYTES_MAX + (640 << 10);

/// Most blocks in a [`Chain`].
pub const CHAIN_BLOCKS_MAX: usize = 64;

/// Most bytes of encoded blocks in a [`Chain`] of more than one block.
pub const CHAIN_BYTES_MAX: usize = 4 << 20;

/// Bytes in a message beside a block, a finality or a justification: a header, a vote, tags and lengths.
const REST_BYTES: usize = 1024;

const _: () = {
    let finality = HEADERS_MAX * HEADER_BYTES + CERTIFICATE_BYTES_MAX + REST_BYTES;
    assert!(BLOCK_BYTES_MAX + finality <= MESSAGE_BYTES_MAX && CHAIN_BYTES_MAX + finality <= MESSAGE_BYTES_MAX);
    assert!(JUSTIFICATION_BYTES_MAX + REST_BYTES <= MESSAGE_BYTES_MAX);
};

/// Where a node stands; asks those further on to help, and those behind to ask.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Hello {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its view.
    pub view: View,
    /// Height of its last finalized block.
    pub height: Height,
    /// It does not vote and wants each finalization sent to it, for it may not hear all the votes.
    pub follower: bool,
    /// It answers a hello, and wants none back.
    pub reply: bool,
}

/// A finalized header and its proof: how far the sender is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// The last finalized header.
    pub header: Header,
    /// Its proof; `None` only for the genesis header, which needs none.
    pub finality: Option<Finality>,
}

/// Finalized blocks of one epoch in height order, and what proves the last of them; it proves all of them through the parents' hashes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Chain {
    /// One to [`CHAIN_BLOCKS_MAX`] blocks; more than one only within [`CHAIN_BYTES_MAX`]. If the epoch ends among them, its closing blocks come last.
    pub blocks: Vec<Arc<Block>>,
    /// Proof of the last.
    pub finality: Finality,
}

/// A finalized block as a node keeps it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Stored {
    /// The block.
    pub block: Arc<Block>,
    /// Its proof, if it came with one; else a later block's proves it.
    pub finality: Option<Finality>,
    /// If it is its epoch's last: the closing blocks up to the finalized one. Their headers are in `finality`, their justifications here only.
    pub closing: Vec<Arc<Block>>,
}

impl Chain {
    /// As many of these blocks, which follow one another, as may travel together and end in a proof; `None` if there is no such run.
    pub fn collect(stored: impl IntoIterator<Item = Stored>) -> Option<Self> {
        let length = |block: &Arc<Block>| borsh::object_length(block).unwrap_or(CHAIN_BYTES_MAX);
        let (mut blocks, mut bytes, mut complete) = (Vec::new(), 0_usize, None);
        for Stored { block, finality, closing } in stored {
            bytes = bytes.saturating_add(length(&block));
            if blocks.len() == CHAIN_BLOCKS_MAX || bytes > CHAIN_BYTES_MAX && !blocks.is_empty() {
                break;
            }
            if block.header.is_last() {
                let bytes = closing.iter().map(length).fold(bytes, usize::saturating_add);
                let fits = bytes <= CHAIN_BYTES_MAX && blocks.len() + 1 + closing.len() <= CHAIN_BLOCKS_MAX;
                // If they do not fit, the last block comes with the next request, alone; if not even then, their headers prove it, and they are asked for by
                // hash.
                if let Some(mut finality) = finality.filter(|_| fits || complete.is_none()) {
                    blocks.push(block);
                    if fits {
                        finality.headers.drain(..closing.len().min(finality.headers.len()));
                        blocks.extend(closing);
                    }
                    complete = Some((blocks.len(), finality));
                }
                break;
            }
            blocks.push(block);
            complete = finality.map(|finality| (blocks.len(), finality)).or(complete);
        }
        let (count, finality) = complete?;
        blocks.truncate(count);
        Some(Self { blocks, finality })
    }
}

/// Anything on the wire.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// A leader's block.
    Proposal(Proposal),
    /// A member's vote.
    Vote(SignedVote),
    /// A quorum's vote.
    Certificate(Certificate),
    /// Why a later view may be entered: the answer to a hello from behind.
    Justification(Justification),
    /// Where the sender stands.
    Hello(Hello),
    /// How far the sender has finalized: the answer to a hello from behind.
    Tip(Box<Tip>),
    /// Asks for the block with this hash.
    BlockRequest(Hash),
    /// Answers it.
    Block(Arc<Block>),
    /// Asks for finalized blocks from this height on.
    ChainRequest(Height),
    /// Answers it.
    Chain(Chain),
    /// A member of this epoch contradicted itself.
    Evidence(Box<Evidence>),
}

impl Message {
    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a message. Nothing is verified yet.
    ///
    /// # Errors
    /// [`DecodeError`] for more than [`MESSAGE_BYTES_MAX`] bytes, or bytes that are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MESSAGE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Cast;
    use crate::vote::Kind;
    use proptest::prelude::*;

    fn one_of_each() -> Vec<Message> {
        let cast = Cast::new(&[1, 1, 1, 1]);
        let block = Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"payload"));
        let hash = block.header.hash();
        let finality = Finality::direct(cast.certificate(1, Kind::Finalize(hash)));
        vec![
            Message::Proposal(Proposal { block: block.clone(), vote: cast.vote(0, 1, Kind::Notarize(hash)) }),
            Message::Vote(cast.vote(1, 1, Kind::Nullify)),
            Message::Certificate(cast.certificate(1, Kind::Nullify)),
            Message::Justification(Justification::after(cast.certificate(1, Kind::Notarize(hash)))),
            Message::Hello(Hello { epoch: Epoch(0), view: View(7), height: Height(5), follower: true, reply: false }),
            Message::Tip(Box::new(Tip { header: block.header.clone(), finality: Some(finality.clone()) })),
            Message::BlockRequest(hash),
            Message::Block(block.clone()),
            Message::ChainRequest(Height(3)),
            Message::Chain(Chain { blocks: vec![block], finality }),
            Message::Evidence(Box::new(Evidence::new(cast.vote(1, 1, Kind::Nullify), cast.vote(1, 1, Kind::Finalize(hash))).expect("a conflict"))),
        ]
    }

    #[test]
    fn golden() {
        let golden: Vec<String> = one_of_each().iter().map(|message| Hash::raw(&[&message.encode()]).to_string()[..16].to_owned()).collect();
        let expected = [
            "0309044ca86d0228",
            "03a13d5a9064793a",
            "79aef774863c0ed8",
            "1b4b9f002c14461f",
            "e2aaa28fd22478be",
            "96ad12d195f2e6cc",
            "3c955f8262b28544",
            "99da6b736bc53b9d",
            "dc8f2bb5a79777f7",
            "d950f7f2f8e99659",
            "1df299d65165e3b1",
        ];
        assert_eq!(golden, expected);
    }

    proptest! {
        #[test]
        fn any_bytes(tag in 0..13_u8, mut bytes in proptest::collection::vec(any::<u8>(), 0..600), which in 0..11_usize, at in any::<usize>(), bit in 0..8_u8) {
            bytes.insert(0, tag);
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
            // A flipped bit and a cut: whatever still decodes is canonical.
            let mut bytes = one_of_each()[which].encode();
            prop_assert!(Message::decode(&bytes[..at % bytes.len()]).is_err());
            let place = at % bytes.len();
            bytes[place] ^= 1_u8 << bit;
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
