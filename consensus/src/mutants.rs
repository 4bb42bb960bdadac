//! Protocol mutants: rules left out one at a time, to show that the tests miss them. See [`primitives::mutants!`].

primitives::mutants! {
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
