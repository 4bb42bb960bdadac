//! Protocol mutants: rules left out one at a time, to show that the tests miss them. Only a build with the feature `mutants` can switch one on; in any other
//! the questions below are constants.

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// The slot lets a key finalize in a view that it has nullified (E3).
    FinalizeAfterNullify,
    /// The slot lets a key finalize another block than it notarized (E4).
    FinalizeOther,
    /// The slot lets a key notarize after nullifying. Harmless: such votes conflict with nothing.
    NotarizeAfterNullify,
    /// A restart forgets what was signed.
    Amnesia,
    /// A signature leaves before the slot is on disk.
    SendBeforeSync,
    /// More than half of the weight is a quorum.
    MajorityQuorum,
    /// Weights are summed in 32 bits.
    WeightWraps,
    /// Bits beyond the last member count for the members from the first on again.
    PaddingBits,
    /// Votes are signed without their epoch and its voters.
    EpochUnsigned,
    /// Nullifications in a justification are not looked at.
    SkipsUnchecked,
    /// A block's parent need not be the one that its justification certifies.
    ParentUnchecked,
    /// An epoch's last block may have ordinary children.
    OpenEnd,
    /// The members of an epoch go on voting in the next.
    StaleMembers,
    /// Timers are set back by any new view, not only by a finalization.
    TimersReset,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::FinalizeAfterNullify,
        Self::FinalizeOther,
        Self::NotarizeAfterNullify,
        Self::Amnesia,
        Self::SendBeforeSync,
        Self::MajorityQuorum,
        Self::WeightWraps,
        Self::PaddingBits,
        Self::EpochUnsigned,
        Self::SkipsUnchecked,
        Self::ParentUnchecked,
        Self::OpenEnd,
        Self::StaleMembers,
        Self::TimersReset,
    ];
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
