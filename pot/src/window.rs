//! The window: how far a transfer may run ahead of its payment.
//!
//! # Downloads and streams ([`download`])
//! The carrier sends at most one window more than the payer's last receipt covers. The window of a channel starts at [`WINDOW_MIN`], or where the payer's last
//! channel came to, and doubles, up to [`WINDOW_MAX`], each time [`GROWTH`] windows were paid: who wants to run away with a window has paid four times as
//! much before. Both ends compute it from the same [`Pace`], which the carrier sends when a transfer opens, so the payer signs early enough and neither end
//! can wait for the other.
//!
//! # Uploads ([`upload`])
//! The carrier stores a slice, signs that it is durable, and is paid then. It holds at most [`UNPAID_SLICES_MAX`] unpaid slices of a payer.
//!
//! # After a break
//! What a transfer leaves unpaid is written off; when the last transfer of the channel ends, the window falls back to [`WINDOW_MIN`]. A payer that has lost a
//! carrier more than [`LOSS_FREE`] and a quarter of what it paid is served no more, until it pays what it owes: receipts are cumulative, so it can. Sessions
//! cost nothing, so all of a payer's count together: what they have lost and what is at risk now stays within that and one smallest window.

pub mod download;
pub mod upload;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Address, Hash};

use crate::object::{Signed, Verified};
use crate::receipt::Channel;
use crate::ticket::Ticket;

/// Window of an unknown session, in bytes.
pub const WINDOW_MIN: u64 = 256 * 1024;
/// Window of a session with a good history, in bytes.
pub const WINDOW_MAX: u64 = 16 * 1024 * 1024;
/// Windows to be paid before the next doubling.
pub const GROWTH: u64 = 4;
/// A payer signs at the latest when this part of a window is verified and unsigned, so that receipts travel while bytes do.
pub const RECEIPTS_PER_WINDOW: u64 = 4;
/// Unpaid bytes that every payer is forgiven: four first windows, for connections that break.
pub const LOSS_FREE: u64 = 4 * WINDOW_MIN;
/// Beyond [`LOSS_FREE`] one byte is forgiven for this many paid.
pub const LOSS_SHARE: u64 = 4;
/// Slices of one payer that a carrier keeps without being paid.
pub const UNPAID_SLICES_MAX: usize = 8;

/// Why a step of a transfer is refused. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// A ticket, receipt or acknowledgement of something else.
    #[error("meant for another chain, epoch, carrier, session or class than this channel")]
    Channel,
    /// A ticket of another issuer than those before.
    #[error("the ticket is issued by {found}, those of this channel before it by {known}")]
    Issuer {
        /// Who issued the tickets before.
        known: Address,
        /// Who issued this one.
        found: Address,
    },
    /// Beyond what the tickets allow.
    #[error("{bytes} bytes in all, but the tickets of this channel allow {ticketed}")]
    BeyondTickets {
        /// Where the counter would be.
        bytes: u64,
        /// What the tickets come to.
        ticketed: u64,
    },
    /// Sending more than the window leaves.
    #[error("{bytes} more bytes, but only {allowed} may be sent before the next receipt")]
    BeyondWindow {
        /// What should be sent.
        bytes: u64,
        /// What may be.
        allowed: u64,
    },
    /// A receipt below an earlier one.
    #[error("a receipt for {bytes} bytes after one for {paid}")]
    Decreased {
        /// The receipt's number.
        bytes: u64,
        /// The best so far.
        paid: u64,
    },
    /// Too many slices wait for payment.
    #[error("{unpaid} slices of this payer are unpaid or on their way, at most {UNPAID_SLICES_MAX} may be")]
    UnpaidSlices {
        /// How many.
        unpaid: usize,
    },
    /// A slice that is on its way already.
    #[error("the slice {slice:?} is on its way")]
    InUse {
        /// Root of the slice.
        slice: Hash,
    },
    /// A slice that has no ticket here, or was paid already.
    #[error("no open ticket for the slice {slice:?} in this channel")]
    Slice {
        /// Root of the slice.
        slice: Hash,
    },
    /// The slice has another length than what was sent.
    #[error("the carrier acknowledged {acknowledged} bytes of the slice {slice:?}, {sent} were sent")]
    Length {
        /// Root of the slice.
        slice: Hash,
        /// What the carrier says.
        acknowledged: u64,
        /// What was sent.
        sent: u64,
    },
}

/// How large the window is and how far it is from doubling. A function of the bytes paid since it started, however they were cut into receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pace {
    window: u64,
    earned: u64,
}

impl Pace {
    /// Of a session without history.
    pub const NEW: Self = Self { window: WINDOW_MIN, earned: 0 };

    /// Bytes that may be unpaid.
    pub const fn window(&self) -> u64 {
        self.window
    }

    /// What a carrier sent, within our limits: a carrier that names nonsense harms only itself.
    #[must_use]
    pub fn clamped(self) -> Self {
        let window = self.window.clamp(WINDOW_MIN, WINDOW_MAX);
        Self { window, earned: self.earned.min(window.saturating_mul(GROWTH).saturating_sub(1)) }
    }

    fn on_paid(&mut self, bytes: u64) {
        self.earned = self.earned.saturating_add(bytes);
        while self.window < WINDOW_MAX {
            let Some(rest) = self.earned.checked_sub(self.window.saturating_mul(GROWTH)) else { return };
            self.earned = rest;
            self.window = self.window.saturating_mul(2).min(WINDOW_MAX);
        }
        self.earned = 0;
    }
}

/// What a carrier remembers of one payer, from channel to channel and epoch to epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Credit {
    pace: Pace,
    paid: u64,
    lost: u64,
    /// Sent on all open channels, not paid and not lost. Whoever forgets the channels starts at 0.
    #[borsh(skip)]
    at_risk: u64,
}

impl Credit {
    /// Of a payer without history.
    pub const NEW: Self = Self { pace: Pace::NEW, paid: 0, lost: 0, at_risk: 0 };

    /// Where the payer's next channel begins.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Bytes sent and never paid.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes sent on all channels that receipts can still come for.
    pub fn at_risk(&self) -> u64 {
        self.at_risk
    }

    /// Unpaid bytes that are forgiven.
    fn forgiven(&self) -> u64 {
        LOSS_FREE.saturating_add(self.paid.checked_div(LOSS_SHARE).unwrap_or(0))
    }

    /// Whether the payer has lost this carrier too much to be served.
    pub fn is_refused(&self) -> bool {
        self.lost > self.forgiven()
    }

    /// Bytes that may be sent now, on all channels together.
    fn left(&self) -> u64 {
        if self.is_refused() {
            return 0;
        }
        self.forgiven().saturating_add(WINDOW_MIN).saturating_sub(self.lost).saturating_sub(self.at_risk)
    }

    fn on_sent(&mut self, bytes: u64) {
        self.at_risk = self.at_risk.saturating_add(bytes);
    }

    /// A receipt newly pays `bytes`: `risked` of those at risk, `recovered` of those written off, and what this end forgot.
    fn on_paid(&mut self, bytes: u64, risked: u64, recovered: u64) {
        self.paid = self.paid.saturating_add(bytes);
        self.at_risk = self.at_risk.saturating_sub(risked);
        self.lost = self.lost.saturating_sub(recovered);
        self.pace.on_paid(bytes);
    }

    fn on_lost(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes);
        self.at_risk = self.at_risk.saturating_sub(bytes);
    }
}

/// The tickets of one channel: each says what all come to, so the highest stands for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tickets(Option<Signed<Ticket>>);

impl Tickets {
    /// What they come to, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.map_or(0, |last| last.body.channel_total)
    }

    /// The highest.
    pub fn last(&self) -> Option<&Signed<Ticket>> {
        self.0.as_ref()
    }

    /// Takes a ticket of this channel; a lower one than another says nothing new.
    fn add(&mut self, chain: Hash, channel: &Channel, ticket: &Verified<Ticket>) -> Result<(), WindowError> {
        if ticket.chain != chain || ticket.channel() != *channel {
            return Err(WindowError::Channel);
        }
        match self.0.map(|last| last.body.issuer) {
            // A session has one home in an epoch: only a ticket of that one will cover its receipts.
            Some(known) if known != ticket.issuer => return Err(WindowError::Issuer { known, found: ticket.issuer }),
            Some(_) | None => {}
        }
        if ticket.channel_total > self.bytes() {
            self.0 = Some(*ticket.signed());
        }
        Ok(())
    }

    fn check(&self, bytes: u64) -> Result<(), WindowError> {
        let ticketed = self.bytes();
        if bytes > ticketed {
            return Err(WindowError::BeyondTickets { bytes, ticketed });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_window_doubles_after_four_of_it() {
        let mut pace = Pace::NEW;
        pace.on_paid(GROWTH * WINDOW_MIN - 1);
        assert_eq!(pace.window(), WINDOW_MIN);
        pace.on_paid(1);
        assert_eq!(pace.window(), 2 * WINDOW_MIN);
        pace.on_paid(u64::MAX);
        assert_eq!(pace.window(), WINDOW_MAX);
    }

    #[test]
    fn who_does_not_pay_is_refused_until_it_pays() {
        let mut credit = Credit::NEW;
        for _ in 0..4 {
            credit.on_sent(WINDOW_MIN);
            credit.on_lost(WINDOW_MIN);
        }
        assert!(!credit.is_refused());
        assert_eq!(credit.left(), WINDOW_MIN);
        credit.on_lost(1);
        assert!(credit.is_refused());
        credit.on_paid(1, 0, 1);
        assert!(!credit.is_refused());
    }

    proptest! {
        /// The window depends on the sum paid alone, so two ends that cut it differently agree.
        #[test]
        fn pace_is_a_function_of_the_sum(parts in proptest::collection::vec(0..20_000_000u64, 0..12)) {
            let (mut whole, mut cut) = (Pace::NEW, Pace::NEW);
            whole.on_paid(parts.iter().sum());
            for part in parts {
                cut.on_paid(part);
            }
            prop_assert_eq!(whole, cut);
        }

        #[test]
        fn a_hostile_pace_is_clamped(window in any::<u64>(), earned in any::<u64>()) {
            let pace = Pace { window, earned }.clamped();
            prop_assert!((WINDOW_MIN..=WINDOW_MAX).contains(&pace.window));
            prop_assert!(pace.earned < GROWTH * pace.window);
        }
    }
}
