//! I8: searches the signatures that were on wires for evidence against an honest key.
//!
//! Deterministic signatures, indices instead of keys, epochs that number their views from 1 again: wherever two real signatures of one key could be read as a
//! contradiction, or a signature of a liar as an honest one's, the pair is built and given to the rule that slashing uses.

use std::collections::{BTreeMap, BTreeSet};

use consensus::evidence::Evidence;
use consensus::vote::Kind;
use consensus::{Members, SignedVote, Vote};
use primitives::{Epoch, Hash, View};

/// Signatures remembered: those of the latest views.
const REMEMBERED_MAX: usize = 4096;
/// Pairs tried in one search, and in one view of it.
const TRIED_MAX: usize = 800;
const TRIED_IN_VIEW_MAX: usize = 40;

/// Everything heard.
#[derive(Debug, Default)]
pub struct Framer {
    heard: BTreeSet<(Epoch, View, u16, Kind, [u8; 64])>,
}

impl Framer {
    /// A signature was on a wire.
    pub fn hear(&mut self, signed: &SignedVote) {
        let Vote { epoch, view, kind } = signed.vote;
        self.heard.insert((epoch, view, signed.signer, kind, signed.signature.0));
        if self.heard.len() > REMEMBERED_MAX {
            self.heard.pop_first();
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
        for votes in by_view.values().rev() {
            let until = TRIED_MAX.min(tried + TRIED_IN_VIEW_MAX);
            'view: for (number, first) in votes.iter().enumerate() {
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
                        if tried >= until {
                            break 'view;
                        }
                    }
                }
            }
        }
        None
    }
}
