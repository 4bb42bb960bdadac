//! The undecided blocks this node knows, and which of them lead from the finalized tip to a given one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use primitives::{Hash, Height};

use crate::block::{Block, Header};

/// Undecided blocks kept. Above it, those on no chain that matters go first; those that a quorum notarized stay, whatever their number.
pub(super) const BLOCKS_MAX: usize = 512;

/// What the ledger said of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing: it was not asked.
    Unasked,
    /// It was asked.
    Asked,
    /// It executes.
    Valid,
    /// It does not, or it does not follow its parent, or it is statically invalid.
    Invalid,
}

#[derive(Debug)]
struct Entry {
    block: Arc<Block>,
    status: Status,
}

/// How the tip and a block are connected.
#[derive(Debug)]
pub(super) enum Path {
    /// All from above the tip up to the block, each valid. Empty if the block is the tip.
    Ready(Vec<Arc<Block>>),
    /// This one is the lowest not known to be valid, and its parent is `parent`.
    Next { block: Arc<Block>, status: Status, parent: Box<Header> },
    /// This block is not here. `height` is known if a child of it is here.
    Missing { hash: Hash, height: Option<Height> },
    /// It does not descend from the tip.
    Fork,
}

/// Undecided blocks by hash.
#[derive(Debug, Default)]
pub(super) struct Blocks(BTreeMap<Hash, Entry>);

impl Blocks {
    pub(super) fn get(&self, hash: &Hash) -> Option<&Arc<Block>> {
        self.0.get(hash).map(|entry| &entry.block)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a block; one that is there keeps its status.
    pub(super) fn insert(&mut self, hash: Hash, block: Arc<Block>, status: Status) {
        self.0.entry(hash).or_insert(Entry { block, status });
    }

    pub(super) fn set(&mut self, hash: &Hash, status: Status) {
        if let Some(entry) = self.0.get_mut(hash) {
            entry.status = status;
        }
    }

    #[cfg(test)]
    fn status(&self, hash: &Hash) -> Option<Status> {
        self.0.get(hash).map(|entry| entry.status)
    }

    /// Walks from `goal` down to the tip.
    pub(super) fn path(&self, tip: &Header, tip_hash: Hash, goal: Hash) -> Path {
        let mut chain: Vec<&Entry> = Vec::new();
        let mut cursor = goal;
        while cursor != tip_hash {
            let Some(entry) = self.0.get(&cursor) else {
                let height = chain.last().map(|child| child.block.header.height.saturating_sub(Height(1)));
                return match height {
                    Some(height) if height <= tip.height => Path::Fork,
                    Some(_) | None => Path::Missing { hash: cursor, height },
                };
            };
            let header = &entry.block.header;
            if header.height <= tip.height {
                return Path::Fork;
            }
            chain.push(entry);
            cursor = header.parent;
        }
        chain.reverse();
        let mut parent = tip;
        for entry in &chain {
            if entry.status != Status::Valid {
                return Path::Next { block: entry.block.clone(), status: entry.status, parent: Box::new(parent.clone()) };
            }
            parent = &entry.block.header;
        }
        Path::Ready(chain.into_iter().map(|entry| entry.block.clone()).collect())
    }

    /// Of a way that is here as a whole: the blocks from above the tip that are valid, and the headers of the rest up to `goal`.
    pub(super) fn ready(&self, tip_hash: Hash, goal: Hash) -> Option<(Vec<Arc<Block>>, Vec<Header>)> {
        let mut chain = Vec::new();
        let mut cursor = goal;
        while cursor != tip_hash {
            let entry = self.0.get(&cursor)?;
            chain.push(entry);
            cursor = entry.block.header.parent;
        }
        chain.reverse();
        let count = chain.iter().take_while(|entry| entry.status == Status::Valid).count();
        let (ready, rest) = chain.split_at(count);
        Some((ready.iter().map(|entry| entry.block.clone()).collect(), rest.iter().map(|entry| entry.block.header.clone()).collect()))
    }

    /// Forgets what can no longer be decided: everything at `tip` or below.
    pub(super) fn prune(&mut self, tip: &Header) {
        self.0.retain(|_, entry| entry.block.header.height > tip.height);
    }

    /// Makes room: of the blocks that are no ancestor of `goals`, the lowest views go first. An attacker cannot add to the ancestors, for a quorum notarized
    /// them.
    pub(super) fn shrink(&mut self, goals: &[Hash]) {
        if self.0.len() <= BLOCKS_MAX {
            return;
        }
        let mut needed = BTreeSet::new();
        for goal in goals {
            let mut cursor = *goal;
            while let Some(entry) = self.0.get(&cursor) {
                if !needed.insert(cursor) {
                    break;
                }
                cursor = entry.block.header.parent;
            }
        }
        let mut others: Vec<_> = self.0.iter().filter(|(hash, _)| !needed.contains(hash)).map(|(hash, entry)| (entry.block.header.view, *hash)).collect();
        others.sort_unstable();
        for (_, hash) in others.into_iter().take(self.0.len() - BLOCKS_MAX) {
            self.0.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::justification::Justification;
    use crate::testing::Cast;
    use crate::vote::Kind;
    use primitives::Epoch;

    #[test]
    fn paths() {
        let cast = Cast::new(&[1]);
        let genesis = &cast.genesis;
        let first = Arc::new(cast.block(genesis, Justification::first(Epoch(0)), b"1"));
        let (one, other) = (first.header.hash(), Arc::new(cast.block(genesis, Justification::first(Epoch(0)), b"2")));
        let second = Arc::new(cast.block(&first.header, Justification::after(cast.certificate(1, Kind::Notarize(one))), b"3"));
        let two = second.header.hash();
        let mut blocks = Blocks::default();
        let path = |blocks: &Blocks, tip: &Header, goal| blocks.path(tip, tip.hash(), goal);

        assert!(matches!(path(&blocks, genesis, genesis.hash()), Path::Ready(chain) if chain.is_empty()));
        assert!(matches!(path(&blocks, genesis, two), Path::Missing { height: None, .. }));
        blocks.insert(two, second, Status::Unasked);
        assert!(matches!(path(&blocks, genesis, two), Path::Missing { hash, height: Some(Height(1)) } if hash == one));
        assert!(matches!(path(&blocks, &other.header, two), Path::Fork));
        blocks.insert(one, first.clone(), Status::Unasked);
        assert!(matches!(path(&blocks, genesis, two), Path::Next { block, status: Status::Unasked, .. } if block == first));
        blocks.set(&one, Status::Valid);
        assert!(matches!(path(&blocks, genesis, two), Path::Next { parent, .. } if *parent == first.header));
        blocks.set(&two, Status::Valid);
        assert!(matches!(path(&blocks, genesis, two), Path::Ready(chain) if chain.len() == 2));
        blocks.insert(other.header.hash(), other, Status::Unasked);
        blocks.prune(&first.header);
        assert_eq!((blocks.len(), blocks.status(&two)), (1, Some(Status::Valid)));
    }

    #[test]
    fn shrinks_to_what_matters() {
        let cast = Cast::new(&[1]);
        let mut blocks = Blocks::default();
        let goal = Arc::new(cast.block(&cast.genesis, Justification::first(Epoch(0)), b"goal"));
        blocks.insert(goal.header.hash(), goal.clone(), Status::Valid);
        for number in 0..=u32::try_from(BLOCKS_MAX).expect("small") {
            let block = cast.block(&cast.genesis, Justification::first(Epoch(0)), &number.to_le_bytes());
            blocks.insert(block.header.hash(), Arc::new(block), Status::Unasked);
        }
        blocks.shrink(&[goal.header.hash()]);
        assert_eq!(blocks.len(), BLOCKS_MAX);
        assert!(blocks.get(&goal.header.hash()).is_some());
    }
}
