//! Rules of the ledger left out one at a time, to show that the tests miss them. See [`primitives::mutants!`].

primitives::mutants! {
    /// A slash leaves alone what moved to other validators.
    MovedUnslashed,
    /// Stake that moved is stake like any other at once.
    MovedUnbound,
    /// Whoever takes stake out goes on voting with it.
    VotesOfTheGone,
    /// The deposit of a vetoed proposal is returned.
    VetoedForFree,
}
