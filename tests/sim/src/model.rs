//! The model: Accountable Simplex with no network, checked in every state that a small scope can reach.
//!
//! # Model
//! 1. Votes form a growing set. The adversary may show any of them to anybody at any time, so a member may act on every quorum there is, or not act.
//! 2. Faulty members have cast every vote from the start. Nothing worse can come from them: all votes they might hold back may as well not be shown.
//! 3. A view's blocks are all that could be proposed in it: `variants` for each block of an earlier view. A faulty leader proposes them all, to whom it
//!    likes; an honest one a single block. A block is notarized only with its justification ([`rules::justified`]).
//! 4. An honest member is the votes it released, the view it has not left, and its slot: the votes of the latest view it voted in. A restart loses the view
//!    only.
//! 5. Entering a view without voting there is no step: it changes no vote, and may as well happen just before the vote ([`rules`]).
//!
//! Members of equal weight are interchangeable, so a state holds the honest ones sorted: one state for all ways to name them.
//!
//! # Chapters
//! What a member may release ([`rules`]), how states follow each other (here), what must hold in all of them ([`properties`]), and the rules again, asked
//! about a running system ([`guard`]).

use stateright::{Model, Property};

pub mod rules;
pub mod properties;
pub mod guard;
#[cfg(test)]
mod tests;

pub use guard::Guard;
pub use properties::{Checked, check};
pub use rules::{Block, Forbidden, Kind, Mutation, Record};

/// What is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope {
    /// Weights of the faulty members.
    pub faulty: &'static [u64],
    /// Weights of the honest members.
    pub honest: &'static [u64],
    /// For each view from 1: how many blocks it may have on each block of an earlier view.
    pub variants: &'static [u64],
    /// Views whose leader is honest: one block at most, whatever `variants` says.
    pub honest_led: &'static [u64],
    /// Whether members restart.
    pub restarts: bool,
    /// The rule that is broken.
    pub mutation: Option<Mutation>,
}

/// A scope, and what it needs to be stepped through. Blocks are numbered, 0 before the first view; votes are numbers too, and sets of either are bits.
#[derive(Debug)]
pub struct Simplex {
    scope: Scope,
    blocks: Vec<Block<usize>>,
    /// Each block's ancestors and itself.
    chains: Vec<u64>,
    /// To notarize each block, to finalize each block, to nullify each view.
    votes: Vec<(u64, Kind<usize>)>,
    /// For each vote: all votes of its view, and those that conflict with it.
    beside: Vec<u64>,
    conflicting: Vec<u64>,
    /// Of the members, the faulty first.
    weights: Vec<u64>,
    /// Every set of members that is a quorum.
    quorums: Vec<u64>,
}

/// An honest member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    weight: u64,
    /// The lowest view it has not left.
    view: u64,
    released: u64,
    slot: u64,
}

/// The honest members, sorted, and the votes that a quorum released.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    nodes: Vec<Node>,
    certified: u64,
}

/// A step of one honest member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It releases this vote.
    Vote(usize, u64, Kind<usize>),
    /// It restarts.
    Restart(usize),
}

const fn has(set: u64, index: usize) -> bool {
    set >> index & 1 == 1
}

/// The members of a set, lowest first.
fn ones(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then_some(set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        lowest
    })
}

impl Simplex {
    /// Lays the scope out.
    pub fn new(scope: Scope) -> Self {
        let mut blocks = vec![Block { view: 0, parent: 0, parent_view: 0 }];
        let mut chains = vec![1];
        for (view, &variants) in (1..).zip(scope.variants) {
            for parent in (0..blocks.len()).flat_map(|parent| (0..variants).map(move |_| parent)) {
                chains.push(chains[parent] | 1 << blocks.len());
                blocks.push(Block { view, parent, parent_view: blocks[parent].view });
            }
        }
        let of_blocks = |kind: fn(usize) -> Kind<usize>| blocks.iter().enumerate().map(move |(id, block)| (block.view, kind(id)));
        let nullify = (0..=scope.variants.len() as u64).map(|view| (view, Kind::Nullify));
        let votes: Vec<_> = of_blocks(Kind::Notarize).chain(of_blocks(Kind::Finalize)).chain(nullify).collect();
        assert!(votes.len() <= 64, "votes are bits of a word");
        let all_that = |test: &dyn Fn(Kind<usize>, Kind<usize>) -> bool| {
            let set = |&(view, kind)| votes.iter().enumerate().fold(0, |set, (bit, other)| set | u64::from(view == other.0 && test(kind, other.1)) << bit);
            votes.iter().map(set).collect()
        };
        let (beside, conflicting) = (all_that(&|_, _| true), all_that(&rules::conflicts));
        let weights = [scope.faulty, scope.honest].concat();
        let mut model = Self { scope, blocks, chains, votes, beside, conflicting, weights, quorums: Vec::new() };
        model.quorums = (0..1 << model.weights.len()).filter(|&set| model.is_quorum(set)).collect();
        model
    }

    /// How many blocks can be proposed.
    pub fn blocks(&self) -> usize {
        self.blocks.len() - 1
    }

    fn bit(&self, view: u64, kind: Kind<usize>) -> usize {
        match kind {
            Kind::Notarize(id) => id,
            Kind::Finalize(id) => self.blocks.len() + id,
            Kind::Nullify => 2 * self.blocks.len() + usize::try_from(view).expect("views are few"),
        }
    }

    fn notarize(&self) -> u64 {
        (1 << self.blocks.len()) - 1
    }

    fn finalize(&self) -> u64 {
        self.notarize() << self.blocks.len()
    }

    fn weight(&self, set: u64) -> u64 {
        ones(set).map(|member| self.weights[member]).sum()
    }

    fn is_quorum(&self, set: u64) -> bool {
        rules::is_quorum(self.weight(set), self.weights.iter().sum(), self.scope.mutation)
    }

    /// The faulty members, who come first.
    fn faulty(&self) -> u64 {
        (1 << self.scope.faulty.len()) - 1
    }

    /// Who released this vote.
    fn signers(&self, state: &State, bit: usize) -> u64 {
        let honest = state.nodes.iter().enumerate().map(|(index, node)| u64::from(has(node.released, bit)) << (self.scope.faulty.len() + index));
        self.faulty() | honest.sum::<u64>()
    }

    /// An honest leader proposes once: what another honest member notarized first.
    fn is_proposed(&self, state: &State, view: u64, bit: usize) -> bool {
        let others = self.beside[bit] & self.notarize() & !(1 << bit);
        !self.scope.honest_led.contains(&view) || !has(self.notarize(), bit) || state.nodes.iter().all(|node| node.released & others == 0)
    }
}

/// A state as the rules see it.
struct Seen<'a>(&'a Simplex, &'a State);

impl Record<usize> for Seen<'_> {
    fn has_quorum(&self, view: u64, kind: Kind<usize>) -> bool {
        has(self.1.certified, self.0.bit(view, kind))
    }

    fn has_base(&self, view: u64) -> bool {
        self.1.certified & self.0.beside[self.0.bit(view, Kind::Nullify)] & (self.0.notarize() | self.0.finalize()) != 0
    }

    fn block(&self, id: usize) -> Option<Block<usize>> {
        self.0.blocks.get(id).copied()
    }
}

impl Model for Simplex {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut nodes: Vec<Node> = self.scope.honest.iter().map(|&weight| Node { weight, view: 1, released: 0, slot: 0 }).collect();
        nodes.sort_unstable();
        let everything = u64::MAX >> (64 - self.votes.len());
        vec![State { nodes, certified: if self.is_quorum(self.faulty()) { everything } else { 0 } }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, node) in state.nodes.iter().enumerate() {
            // Two members alike: a step of either leads to the same state.
            if index > 0 && state.nodes[index - 1] == *node {
                continue;
            }
            for bit in ones(!node.slot).take_while(|&bit| bit < self.votes.len()) {
                let (view, kind) = self.votes[bit];
                let own = ones(node.slot & self.beside[bit]).map(|bit| self.votes[bit].1);
                if rules::permit(&Seen(self, state), node.view, own, view, kind, self.scope.mutation).is_ok() && self.is_proposed(state, view, bit) {
                    actions.push(Action::Vote(index, view, kind));
                }
            }
            if self.scope.restarts {
                actions.push(Action::Restart(index));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Vote(index, view, kind) => {
                let bit = self.bit(view, kind);
                let node = &mut next.nodes[index];
                node.released |= 1 << bit;
                node.slot = node.slot & self.beside[bit] | 1 << bit;
                // Who finalizes leaves the view.
                node.view = view + u64::from(matches!(kind, Kind::Finalize(_)));
                let signers = self.signers(&next, bit);
                if self.quorums.binary_search(&signers).is_ok() {
                    next.certified |= 1 << bit;
                }
            }
            Action::Restart(index) => {
                let node = &mut next.nodes[index];
                if self.scope.mutation == Some(Mutation::Amnesia) {
                    node.slot = 0;
                }
                node.view = ones(node.slot).next().map_or(1, |bit| self.votes[bit].0);
            }
        }
        next.nodes.sort_unstable();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.all_properties()
    }
}
