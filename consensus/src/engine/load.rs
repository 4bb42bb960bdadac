//! What an engine holds, in numbers: for metrics, and for a simulation that checks SIMPLEX-10 from outside.

use primitives::{Epoch, Height, View};

use super::Engine;

/// Where an engine stands and how much it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its view.
    pub view: View,
    /// The last block it gave out as final.
    pub height: Height,
    /// Views whose votes it counts.
    pub views: usize,
    /// Most votes it keeps of one member in one view.
    pub votes_per_member: usize,
    /// Undecided blocks.
    pub blocks: usize,
    /// Finalized blocks it still answers with.
    pub recent: usize,
    /// Certificates it remembers as verified.
    pub certificates: usize,
    /// Peers it remembers.
    pub peers: usize,
    /// Followers it sends each finalization.
    pub followers: usize,
    /// Blocks it has asked for.
    pub fetches: usize,
}

impl Engine {
    /// What it holds now.
    pub fn load(&self) -> Load {
        let (peers, followers, fetches) = self.peers.load();
        Load {
            epoch: self.config.epoch,
            view: self.view,
            height: self.tip.header.height,
            views: self.tallies.len(),
            votes_per_member: self.tallies.values().map(super::tally::Tally::votes_per_member).max().unwrap_or(0),
            blocks: self.blocks.len(),
            recent: self.recent.len(),
            certificates: self.verifier.known(),
            peers,
            followers,
            fetches,
        }
    }
}
