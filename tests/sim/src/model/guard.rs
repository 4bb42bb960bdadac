//! The guard: the model's rules, asked about each vote of a running system. It is told all votes in the order they appear and refuses the first that no honest
//! member would have released.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{self, Block, Forbidden, Kind, Mutation, Record};

/// Who released what in one view.
type Votes<B> = BTreeMap<Kind<B>, BTreeSet<u16>>;

/// What was released in one epoch so far. `B` names a block.
#[derive(Clone, Debug)]
pub struct Guard<B> {
    epoch: u64,
    weights: Vec<u64>,
    blocks: BTreeMap<B, Block<B>>,
    views: BTreeMap<u64, Votes<B>>,
    /// The lowest view each member has not left.
    least: Vec<u64>,
    /// Views below are forgotten.
    horizon: u64,
    mutation: Option<Mutation>,
}

impl<B: Copy + Ord> Guard<B> {
    /// Nothing released in `epoch`, whose members have these weights.
    pub fn new(epoch: u64, weights: Vec<u64>) -> Self {
        Self { epoch, blocks: BTreeMap::new(), views: BTreeMap::new(), least: vec![1; weights.len()], horizon: 0, mutation: None, weights }
    }

    /// With this rule left out, for a system that leaves it out.
    #[must_use]
    pub fn without(self, mutation: Option<Mutation>) -> Self {
        Self { mutation, ..self }
    }

    /// A block was proposed, by anybody. Its name fixes the rest, so a second time changes nothing.
    pub fn propose(&mut self, block: B, view: u64, parent: B, parent_view: u64) {
        self.blocks.entry(block).or_insert(Block { view, parent, parent_view });
    }

    /// A faulty member signed this, whether it was sent by itself or only inside a certificate: nothing is expected of it.
    pub fn heard(&mut self, member: u16, view: u64, kind: Kind<B>) {
        self.views.entry(view).or_default().entry(kind).or_default().insert(member);
    }

    /// An honest member released this vote. The same vote again is no new one.
    ///
    /// # Errors
    /// [`Forbidden`] if the model would not have released it; it is then not counted.
    pub fn release(&mut self, member: u16, epoch: u64, view: u64, kind: Kind<B>) -> Result<(), Forbidden> {
        if epoch != self.epoch {
            return Err(Forbidden::Epoch { found: epoch, expected: self.epoch });
        }
        let least = *self.least.get(usize::from(member)).ok_or(Forbidden::Member(member))?;
        let votes = self.views.get(&view);
        if votes.and_then(|votes| votes.get(&kind)).is_some_and(|signers| signers.contains(&member)) {
            return Ok(());
        }
        let own = votes.into_iter().flatten().filter(|(_, signers)| signers.contains(&member)).map(|(&kind, _)| kind);
        rules::permit(self, least, own, view, kind, self.mutation)?;
        self.heard(member, view, kind);
        self.least[usize::from(member)] = view + u64::from(matches!(kind, Kind::Finalize(_)));
        Ok(())
    }

    /// Forgets all below `view`, which no honest member may build on or vote in any more: at most the lowest view of the finalizations that prove the tips on
    /// the disks of the honest members, so that a restart leads none of them below it.
    pub fn forget_below(&mut self, view: u64) {
        self.horizon = self.horizon.max(view);
        self.views = self.views.split_off(&self.horizon);
        self.blocks.retain(|_, block| block.view >= self.horizon);
        for least in &mut self.least {
            *least = (*least).max(self.horizon);
        }
    }
}

impl<B: Copy + Ord> Record<B> for Guard<B> {
    fn has_quorum(&self, view: u64, kind: Kind<B>) -> bool {
        let signers = self.views.get(&view).and_then(|votes| votes.get(&kind)).into_iter().flatten();
        let weight = signers.filter_map(|&member| self.weights.get(usize::from(member))).sum();
        rules::is_quorum(weight, self.weights.iter().sum(), self.mutation)
    }

    fn has_base(&self, view: u64) -> bool {
        let votes = self.views.get(&view).into_iter().flatten();
        view < self.horizon || votes.into_iter().any(|(&kind, _)| kind != Kind::Nullify && self.has_quorum(view, kind))
    }

    fn block(&self, id: B) -> Option<Block<B>> {
        self.blocks.get(&id).copied()
    }
}
