//! The rules of voting: when an honest member may release a vote, given the votes released so far.
//!
//! They are asked by the exhaustive check and by the guard of running systems, through two implementations of [`Record`]. A member's view is not part of them
//! as a place but as a bound: it may vote in any view it has not left that *somebody* could justify by now, because a network may have shown it that
//! justification.

/// What is said about a view; `B` names a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind<B> {
    /// This block is valid and may be built on.
    Notarize(B),
    /// I wait for no block in this view.
    Nullify,
    /// I saw this block notarized.
    Finalize(B),
}

/// Where a block stands. The block before the first view stands in view 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<B> {
    /// Its view.
    pub view: u64,
    /// What it builds on.
    pub parent: B,
    /// The view of that.
    pub parent_view: u64,
}

/// The votes released so far, by anybody.
pub trait Record<B> {
    /// Whether members of more than two thirds of the weight released this.
    fn has_quorum(&self, view: u64, kind: Kind<B>) -> bool;
    /// Whether some block of `view` can be built on.
    fn has_base(&self, view: u64) -> bool;
    /// The block, if it was proposed.
    fn block(&self, id: B) -> Option<Block<B>>;
}

/// Why an honest member would not release a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The guard watches another epoch.
    #[error("a vote of epoch {found} in epoch {expected}")]
    Epoch {
        /// The vote's.
        found: u64,
        /// The guard's.
        expected: u64,
    },
    /// No such member.
    #[error("member {0} does not exist")]
    Member(u16),
    /// A view it has left.
    #[error("a vote in view {found} after leaving for view {least}")]
    Earlier {
        /// The vote's view.
        found: u64,
        /// The lowest it may vote in.
        least: u64,
    },
    /// E1 to E4 with an own vote.
    #[error("conflicts with an own vote of this view")]
    Conflict,
    /// A block notarized in a view that the member has closed.
    #[error("notarizes in a view it closed")]
    Closed,
    /// Never proposed, or in another view.
    #[error("no such block was proposed in this view")]
    Unproposed,
    /// The block builds on what no quorum notarized or finalized.
    #[error("its parent of view {0} is not notarized")]
    Base(u64),
    /// The block skips a view that no quorum nullified.
    #[error("view {0} was skipped but is not nullified")]
    Skip(u64),
    /// No justification of the view can exist yet.
    #[error("nothing justifies being in this view")]
    Unjustified,
    /// No quorum notarized the block.
    #[error("finalizes what is not notarized")]
    Unnotarized,
}

/// One rule broken, to show that the check notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// E3 is not looked at when finalizing.
    FinalizeAfterNullify,
    /// E4 is not looked at when finalizing.
    FinalizeOther,
    /// Skipped views need no nullification.
    SkipUnchecked,
    /// A parent needs no certificate.
    ParentUnchecked,
    /// A restart forgets the votes given.
    Amnesia,
    /// A quorum is more than half.
    Majority,
    /// A view is notarized in after nullifying it: harmless, since the pair is no conflict.
    NotarizeAfterNullify,
}

/// Whether one signer may never release both in one view: E1 (two notarized), E2 (two finalized), E3 (nullified and finalized), E4 (one notarized, another
/// finalized).
pub fn conflicts<B: PartialEq>(a: Kind<B>, b: Kind<B>) -> bool {
    use Kind::{Finalize, Notarize, Nullify};
    match (a, b) {
        (Notarize(a) | Finalize(a), Notarize(b) | Finalize(b)) => a != b,
        (Nullify, Finalize(_)) | (Finalize(_), Nullify) => true,
        (Nullify, Nullify | Notarize(_)) | (Notarize(_), Nullify) => false,
    }
}

/// Whether `weight` of `total` is a quorum.
pub fn is_quorum(weight: u64, total: u64, mutation: Option<Mutation>) -> bool {
    let (weight, total) = (u128::from(weight), u128::from(total));
    if mutation == Some(Mutation::Majority) { 2 * weight > total } else { 3 * weight > 2 * total }
}

/// Whether a member that has not left `least` and has released `own` in `view` may release this too.
///
/// # Errors
/// The first rule against it.
pub fn permit<B: Copy + PartialEq>(
    record: &impl Record<B>,
    least: u64,
    own: impl Iterator<Item = Kind<B>>,
    view: u64,
    kind: Kind<B>,
    mutation: Option<Mutation>,
) -> Result<(), Forbidden> {
    if view < least {
        return Err(Forbidden::Earlier { found: view, least });
    }
    for own in own {
        let is_overlooked = match (own, kind) {
            (Kind::Nullify, Kind::Finalize(_)) => mutation == Some(Mutation::FinalizeAfterNullify),
            (Kind::Notarize(_), Kind::Finalize(_)) => mutation == Some(Mutation::FinalizeOther),
            (Kind::Nullify, Kind::Notarize(_)) => mutation == Some(Mutation::NotarizeAfterNullify),
            (Kind::Notarize(_) | Kind::Nullify | Kind::Finalize(_), _) => false,
        };
        if conflicts(own, kind) && !is_overlooked {
            return Err(Forbidden::Conflict);
        }
        if matches!((own, kind), (Kind::Nullify | Kind::Finalize(_), Kind::Notarize(_))) && !is_overlooked {
            return Err(Forbidden::Closed);
        }
    }
    match kind {
        Kind::Notarize(id) => {
            let block = record.block(id).filter(|block| block.view == view).ok_or(Forbidden::Unproposed)?;
            justified(record, &block, mutation)
        }
        Kind::Nullify if !is_open(record, view, mutation) => Err(Forbidden::Unjustified),
        Kind::Finalize(id) if !record.has_quorum(view, Kind::Notarize(id)) => Err(Forbidden::Unnotarized),
        Kind::Nullify | Kind::Finalize(_) => Ok(()),
    }
}

/// Whether the block carries a valid justification: a quorum for its parent and one against each view between.
///
/// # Errors
/// What is missing.
pub fn justified<B: Copy>(record: &impl Record<B>, block: &Block<B>, mutation: Option<Mutation>) -> Result<(), Forbidden> {
    let (base, parent) = (block.parent_view, block.parent);
    let has_base = base == 0 || record.has_quorum(base, Kind::Notarize(parent)) || record.has_quorum(base, Kind::Finalize(parent));
    if !has_base && mutation != Some(Mutation::ParentUnchecked) {
        return Err(Forbidden::Base(base));
    }
    let skip = (base + 1..block.view).find(|&skip| !record.has_quorum(skip, Kind::Nullify));
    skip.filter(|_| mutation != Some(Mutation::SkipUnchecked)).map_or(Ok(()), |skip| Err(Forbidden::Skip(skip)))
}

/// Whether some justification of `view` can exist.
fn is_open<B: Copy>(record: &impl Record<B>, view: u64, mutation: Option<Mutation>) -> bool {
    if matches!(mutation, Some(Mutation::ParentUnchecked | Mutation::SkipUnchecked)) {
        return true;
    }
    let base = (0..view).rev().find(|&base| base == 0 || record.has_base(base) || !record.has_quorum(base, Kind::Nullify));
    base.is_some_and(|base| base == 0 || record.has_base(base))
}
