//! I7: who is to blame for a fork, searched in what two nodes have stored and nowhere else.
//!
//! This is the walk of the accountability theorem, written without the consensus crate's own search.

use std::collections::BTreeMap;

use consensus::evidence::Evidence;
use consensus::justification::Base;
use consensus::message::Stored;
use consensus::vote::Kind;
use consensus::{Block, Certificate, Members, SignedVote};
use primitives::{Hash, Height};

/// A finalization and the blocks that lead to it from where the chains part.
struct Branch<'a> {
    certificate: &'a Certificate,
    blocks: Vec<&'a Block>,
}

/// From height `height` on up to the first finalization.
fn branch(chain: &[Stored], height: Height) -> Option<Branch<'_>> {
    let from = usize::try_from(height.0 - 1).ok()?;
    let mut blocks = Vec::new();
    for stored in chain.get(from..)? {
        blocks.push(&*stored.block);
        if let Some(finality) = &stored.finality {
            blocks.extend(stored.closing.iter().map(|block| &**block));
            return Some(Branch { certificate: &finality.certificate, blocks });
        }
    }
    None
}

fn signatures(certificate: &Certificate) -> BTreeMap<u16, SignedVote> {
    let signers = (0_u16..).zip(&certificate.signers).flat_map(|(byte, bits)| (0..8).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| byte * 8 + bit));
    signers.zip(&certificate.signatures).map(|(signer, signature)| (signer, SignedVote { vote: certificate.vote, signer, signature: *signature })).collect()
}

/// The members who contradicted themselves where the two chains part, each with its evidence.
///
/// # Errors
/// What is missing in the two databases.
pub fn blame(first: &[Stored], second: &[Stored], height: Height, chain: Hash, members: &Members) -> Result<Vec<Evidence>, &'static str> {
    let (Some(a), Some(b)) = (branch(first, height), branch(second, height)) else { return Err("a chain has no proof") };
    let (low, high) = if a.certificate.vote.view <= b.certificate.vote.view { (a, b) } else { (b, a) };
    let (finalized, view) = (signatures(low.certificate), low.certificate.vote.view);
    let against = if high.certificate.vote.view == view {
        signatures(high.certificate)
    } else {
        // The first block above the view whose parent is not.
        let block = high.blocks.iter().find(|block| block.header.view > view && block.header.parent_view <= view).ok_or("no block crosses the view")?;
        let base = match &block.justification.base {
            Base::Certified(base) if base.vote.view == view => Some(base),
            Base::Certified(_) | Base::Start => None,
        };
        let skip = block.justification.skips.iter().find(|skip| skip.vote.view == view && skip.vote.kind == Kind::Nullify);
        signatures(base.or(skip).ok_or("the block that crosses the view does not say how")?)
    };
    let pairs = finalized.iter().filter_map(|(signer, vote)| Evidence::new(*vote, *against.get(signer)?));
    let evidence: Vec<Evidence> = pairs.collect();
    if evidence.iter().all(|evidence| evidence.is_valid(chain, members)) { Ok(evidence) } else { Err("a piece of evidence does not verify") }
}
