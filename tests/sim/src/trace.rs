//! Messages in a few words, for people who read what happened.

use consensus::Message;

/// What a message says.
pub fn describe(message: &Message) -> String {
    match message {
        Message::Proposal(proposal) => format!("proposes {} of view {}", proposal.block.header.height, proposal.block.header.view),
        Message::Vote(signed) => format!("votes {:?} in view {}", signed.vote.kind, signed.vote.view),
        Message::Certificate(certificate) => format!("shows a certificate of {:?} in view {}", certificate.vote.kind, certificate.vote.view),
        Message::Justification(justification) => format!("justifies view {}", justification.view()),
        Message::Hello(hello) => {
            format!("is in epoch {} view {} at height {}{}", hello.epoch, hello.view, hello.height, if hello.reply { ", it replies" } else { "" })
        }
        Message::Tip(tip) => format!("has finalized {} of epoch {}", tip.header.height, tip.header.epoch),
        Message::BlockRequest(hash) => format!("asks for block {hash:?}"),
        Message::Block(block) => format!("sends block {} of view {}", block.header.height, block.header.view),
        Message::ChainRequest(height) => format!("asks for blocks from {height}"),
        Message::Chain(chain) => {
            let ends = chain.blocks.first().zip(chain.blocks.last()).map(|(first, last)| (first.header.height.0, last.header.height.0));
            format!("sends blocks {ends:?}")
        }
        Message::Evidence(evidence) => format!("accuses member {}", evidence.signer()),
    }
}
