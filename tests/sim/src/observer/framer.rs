//! I8: searches all signatures that were ever on a wire for evidence against an honest key.
//!
//! Deterministic signatures, indices instead of keys, epochs that number their views from 1 again: wherever two real signatures of one key could be read as a
//! contradiction, or a signature of a liar as an honest one's, the pair is built and given to the rule that slashing uses.

use std::collections::{BTreeMap, BTreeSet};

use consensus::evidence::Evidence;
use consensus::vote::Kind;
use consensus::{Members, SignedVote, Vote};
use primitives::{Epoch, Hash, View};

/// Signatures remembered; each run sees the first of them.
const REMEMBERED_MAX: usize = 4096;
/// Pairs tried in one search.
const TRIED_MAX: usize = 400;

/// Everything heard.
#[derive(Debug, Default)]
pub struct Framer {
    heard: BTreeSet<(Epoch, View, u16, Kind, [u8; 64])>,
}

impl Framer {
    /// A signature was on a wire.
    pub fn hear(&mut self, signed: &SignedVote) {
        if self.heard.len() < REMEMBERED_MAX {
            let Vote { epoch, view, kind } = signed.vote;
            self.heard.insert((epoch, view, signed.signer, kind, signed.signature.0));
        }
    }

    /// Evidence against somebody for whom `is_honest` is true, if any can be built for these members in this epoch.
    pub fn search(&self, chain: Hash, epoch: Epoch, members: &Members, is_honest: impl Fn(u16) -> bool) -> Option<Evidence> {
        let mut by_view: BTreeMap<View, Vec<SignedVote>> = BTreeMap::new();
        for (_, view, signer, kind, signature) in &self.heard {
            let signature = primitives::Signature(*signature);
            by_view.entry(*view).or_default().push(SignedVote { vote: Vote { epoch, view: *view, kind: *kind }, signer: *signer, signature });
        }
        let mut tried = 0;
        for votes in by_view.values() {
            for (number, first) in votes.iter().enumerate() {
                for second in &votes[number + 1..] {
                    // As they are, each with the other's signer, and one signature for the other's words.
                    let swapped = SignedVote { signer: first.signer, ..*second };
                    let reworded = SignedVote { vote: second.vote, ..*first };
                    for (a, b) in [(first, second), (first, &swapped), (first, &reworded)] {
                        let Some(evidence) = Evidence::new(*a, *b).filter(|evidence| is_honest(evidence.signer())) else { continue };
                        tried += 1;
                        if evidence.is_valid(chain, members) {
                            return Some(evidence);
                        }
                        if tried >= TRIED_MAX {
                            return None;
                        }
                    }
                }
            }
        }
        None
    }
}
