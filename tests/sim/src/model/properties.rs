//! What must hold in every state, and what must be reachable, or the rest would say nothing.

use std::collections::BTreeSet;

use stateright::{Checker, Expectation, Model, Property};

use super::rules::{self, Block, Kind};
use super::{Scope, Seen, Simplex, State, has, ones};

/// Finalized blocks are on one chain.
pub const AGREEMENT: &str = "agreement";
/// A view has one notarized block at most.
pub const ONE_NOTARIZATION: &str = "one notarization per view";
/// No view has a finalization and a nullification.
pub const NO_NULLIFIED_FINALIZATION: &str = "no finalization beside a nullification";
/// No honest member released two conflicting votes.
pub const NO_FRAMING: &str = "no framing";
/// Two finalized blocks on different chains convict more than a third, all faulty.
pub const ACCOUNTABILITY: &str = "accountability";
/// Reachable: two finalized blocks on different chains, if a third is faulty.
pub const FORK: &str = "a fork";
/// Reachable: a view with a notarization and a nullification.
pub const NOTARIZED_AND_NULLIFIED: &str = "a view notarized and nullified";
/// Reachable: a finalized block.
pub const FINALIZATION: &str = "a finalization";
/// Reachable: a finalized block whose justification skips a view.
pub const FINALIZED_SKIP: &str = "a finalized block that skips a view";

impl Simplex {
    /// What is checked in this scope: MODEL-1 only while less than a third is faulty.
    pub(super) fn all_properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(NO_FRAMING, |model: &Self, state| {
                state.nodes.iter().all(|node| ones(node.released).all(|bit| node.released & model.conflicting[bit] == 0))
            }),
            Property::always(ACCOUNTABILITY, |model: &Self, state| model.forks(state).into_iter().all(|fork| model.is_accounted(state, fork))),
            Property::sometimes(NOTARIZED_AND_NULLIFIED, |model: &Self, state| model.any_view(state, |notarized, _, nullified| notarized > 0 && nullified)),
            Property::sometimes(FINALIZATION, |model: &Self, state| !model.finalized(state).is_empty()),
            Property::sometimes(FINALIZED_SKIP, |model: &Self, state| {
                model.finalized(state).into_iter().any(|id| model.blocks[id].parent_view + 1 < model.blocks[id].view)
            }),
        ];
        if 3 * self.weight(self.faulty()) < self.weights.iter().sum() {
            properties.extend([
                Property::always(AGREEMENT, |model: &Self, state| model.forks(state).is_empty()),
                Property::always(ONE_NOTARIZATION, |model: &Self, state| !model.any_view(state, |notarized, _, _| notarized > 1)),
                Property::always(NO_NULLIFIED_FINALIZATION, |model: &Self, state| !model.any_view(state, |_, finalized, nullified| finalized > 0 && nullified)),
            ]);
        } else {
            properties.push(Property::sometimes(FORK, |model: &Self, state| !model.forks(state).is_empty()));
        }
        properties
    }

    /// Blocks that some node may give out as final: finalized, and justified down to the start.
    fn finalized(&self, state: &State) -> Vec<usize> {
        let seen = Seen(self, state);
        let is_justified = |id: usize| ones(self.chains[id] & !1).all(|id| rules::justified(&seen, &self.blocks[id], self.scope.mutation).is_ok());
        (1..self.blocks.len()).filter(|&id| has(state.certified, self.blocks.len() + id) && is_justified(id)).collect()
    }

    /// Pairs of finalized blocks on different chains, the lower view first.
    fn forks(&self, state: &State) -> Vec<(usize, usize)> {
        let finalized = self.finalized(state);
        let pairs = finalized.iter().flat_map(|&a| finalized.iter().map(move |&b| (a, b)));
        pairs.filter(|&(a, b)| a < b && !has(self.chains[b], a)).collect()
    }

    /// The walk of the accountability theorem: whichever certificates the two nodes hold, who signed in both is faulty and more than a third.
    fn is_accounted(&self, state: &State, (a, b): (usize, usize)) -> bool {
        let view = self.blocks[a].view;
        let mut child = b;
        while self.blocks[child].parent_view > view {
            child = self.blocks[child].parent;
        }
        let Block { view: above, parent, parent_view } = self.blocks[child];
        let against = match () {
            () if above == view => vec![Kind::Finalize(b)],
            () if parent_view == view => vec![Kind::Notarize(parent), Kind::Finalize(parent)],
            () => vec![Kind::Nullify],
        };
        let quorums = |kind| {
            let signers = self.signers(state, self.bit(view, kind));
            self.quorums.iter().filter(move |&quorum| quorum & !signers == 0)
        };
        let convicts = |kind| {
            let mut pairs = quorums(Kind::Finalize(a)).flat_map(|one| quorums(kind).map(move |other| one & other));
            rules::conflicts(Kind::Finalize(a), kind) && pairs.all(|guilty| 3 * self.weight(guilty) > self.weights.iter().sum() && guilty & !self.faulty() == 0)
        };
        let mut held = against.into_iter().filter(|&kind| has(state.certified, self.bit(view, kind))).peekable();
        held.peek().is_some() && held.all(convicts)
    }

    /// Whether some view has as many notarizations, finalizations and nullifications as `test` looks for.
    fn any_view(&self, state: &State, test: impl Fn(u32, u32, bool) -> bool) -> bool {
        let count = |set: u64| (state.certified & set).count_ones();
        (2 * self.blocks.len() + 1..self.votes.len()).any(|nullify| {
            let beside = self.beside[nullify];
            test(count(beside & self.notarize()), count(beside & self.finalize()), has(state.certified, nullify))
        })
    }
}

/// What the check of a scope found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// How many states there are, up to renaming of members.
    pub states: usize,
    /// The steps of the longest path walked.
    pub depth: usize,
    /// The properties that do not hold, or are not reachable though they should be.
    pub wrong: BTreeSet<&'static str>,
}

/// Visits every state, depth first: the states seen are eight bytes each, and only those of one path wait in full.
pub fn check(scope: Scope, threads: usize) -> Checked {
    let checker = Simplex::new(scope).checker().threads(threads).spawn_dfs().join();
    let is_wrong = |property: &Property<Simplex>| checker.discovery(property.name).is_some() != (property.expectation == Expectation::Sometimes);
    let wrong = checker.model().properties().iter().filter(|property| is_wrong(property)).map(|property| property.name).collect();
    Checked { states: checker.unique_state_count(), depth: checker.max_depth(), wrong }
}
