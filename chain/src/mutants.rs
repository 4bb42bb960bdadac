//! Rules of the ledger left out one at a time, to show that the tests miss them. Only a build with the feature `mutants` can switch one on; in any other the
//! questions below are constants.

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// A slash leaves alone what moved to other validators.
    MovedUnslashed,
    /// Stake that moved is stake like any other at once.
    MovedUnbound,
    /// Whoever takes stake out goes on voting with it.
    VotesOfTheGone,
    /// The deposit of a vetoed proposal is returned.
    VetoedForFree,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::MovedUnslashed, Self::MovedUnbound, Self::VotesOfTheGone, Self::VetoedForFree];
}

#[cfg(feature = "mutants")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Breaks this rule, and mends all others, in this thread.
#[cfg(feature = "mutants")]
pub fn set(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

/// Whether this rule is broken.
#[cfg(feature = "mutants")]
pub(crate) fn is(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// Whether this rule is broken: never.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is(_: Mutant) -> bool {
    false
}
