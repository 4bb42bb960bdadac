//! What was seen, for tests that must not be empty.

use std::ops::AddAssign;

use chain::governance::{Action, Outcome, Proposal};
use chain::transaction::Message;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often each thing happened. Of messages those that took effect are counted.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Events {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for Events {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    /// Evidence in blocks, beyond the first against a validator too.
    evidence,
    /// Slashes.
    slashes,
    /// Stakes from which a slash took what had moved there from the convict.
    moved_slashes,
    /// Validators that were jailed.
    jailed,
    /// Validators that came back.
    unjailed,
    /// Validators that were made.
    created,
    /// Transactions.
    transactions,
    /// Of them those that paid and did nothing.
    failed,
    /// Epochs that ended with other voters or weights than they began with.
    changes,
    /// Withdrawals of what was on its way out.
    withdrawn,
    /// Moves of stake from one validator to another.
    redelegated,
    /// Changes of a commission.
    commissions,
    /// Profiles that were written or removed.
    described,
    /// Gifts to the community pool and to the reserve.
    donated,
    /// Proposals that were made.
    proposed,
    /// Votes on proposals.
    voted,
    /// Proposals whose actions took effect.
    carried,
    /// Proposals that were carried, and were not possible.
    impossible,
    /// Proposals that lost their deposit.
    vetoed,
    /// Proposals that too few voted on, or too few voted for.
    rejected,
    /// Payments from the community pool.
    spent,
    /// Parameters that were set.
    parameters,
}

impl Events {
    /// A message took effect.
    pub(super) fn count(&mut self, message: &Message) {
        let counter = match message {
            Message::CreateValidator { .. } => &mut self.created,
            Message::WithdrawUnbonded { .. } => &mut self.withdrawn,
            Message::Redelegate { .. } => &mut self.redelegated,
            Message::Unjail => &mut self.unjailed,
            Message::SetCommission { .. } => &mut self.commissions,
            Message::Describe { .. } => &mut self.described,
            Message::Donate { .. } => &mut self.donated,
            Message::Propose { .. } => &mut self.proposed,
            Message::VoteProposal { .. } => &mut self.voted,
            Message::Send { .. }
            | Message::Delegate { .. }
            | Message::Undelegate { .. }
            | Message::CollectReward { .. }
            | Message::BuyOzone { .. }
            | Message::RegisterResource { .. }
            | Message::RegisterMeta { .. }
            | Message::MoveNode { .. }
            | Message::VoteMeta { .. }
            | Message::TopUpDeposit { .. }
            | Message::LeaveRegistry
            | Message::WithdrawDeposit
            | Message::Settle { .. }
            | Message::ClaimDirectly { .. }
            | Message::AccuseReport { .. }
            | Message::AccuseIssuer { .. }
            | Message::Withdraw { .. } => return,
        };
        *counter += 1;
    }

    /// A proposal was decided.
    pub(super) fn close(&mut self, proposal: &Proposal) {
        match proposal.outcome {
            Outcome::Carried => {
                self.carried += 1;
                self.spent += proposal.actions.iter().filter(|action| matches!(action, Action::Spend { .. })).count() as u64;
                self.parameters += proposal.actions.iter().filter(|action| matches!(action, Action::SetParameter { .. })).count() as u64;
            }
            Outcome::Failed(_) => self.impossible += 1,
            Outcome::Vetoed => self.vetoed += 1,
            Outcome::Open | Outcome::Quorum | Outcome::Rejected => self.rejected += 1,
        }
    }
}
