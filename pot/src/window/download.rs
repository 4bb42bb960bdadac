//! Both ends of downloads and streams in one channel: the carrier stays one window ahead at most, the payer signs for verified bytes only.
//!
//! All transfers of a channel share one machine on each side: the receipt's number is the channel's.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

use super::{Credit, Pace, RECEIPTS_PER_WINDOW, Tickets, WindowError};
use crate::object::Verified;
use crate::receipt::{Channel, Receipt};
use crate::ticket::Ticket;

/// The payer's end: turns verified bytes into receipts to sign.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payer {
    chain: Hash,
    channel: Channel,
    tickets: Tickets,
    verified: u64,
    signed: u64,
    pace: Pace,
}

impl Payer {
    /// A new channel, at the pace that the carrier named.
    pub fn new(chain: Hash, channel: Channel, pace: Pace) -> Self {
        Self { chain, channel, tickets: Tickets::default(), verified: 0, signed: 0, pace: pace.clamped() }
    }

    /// Takes the carrier's pace of a newly opened transfer.
    pub fn on_pace(&mut self, pace: Pace) {
        self.pace = pace.clamped();
    }

    /// Takes a ticket.
    ///
    /// # Errors
    /// [`WindowError::Channel`], [`WindowError::Issuer`].
    pub fn on_ticket(&mut self, ticket: &Verified<Ticket>) -> Result<(), WindowError> {
        self.tickets.add(self.chain, &self.channel, ticket)
    }

    /// Takes `bytes` that were verified against the slice root. The receipt to sign and send now, if it is time for one.
    ///
    /// # Errors
    /// [`WindowError::BeyondTickets`]: the carrier sends more than anybody allowed it to; end the transfer.
    pub fn on_verified(&mut self, bytes: u64) -> Result<Option<Receipt>, WindowError> {
        let verified = self.verified.saturating_add(bytes);
        self.tickets.check(verified)?;
        self.verified = verified;
        let step = self.pace.window().checked_div(RECEIPTS_PER_WINDOW).unwrap_or(0);
        Ok(if self.verified.saturating_sub(self.signed) >= step { self.flush() } else { None })
    }

    /// The receipt for everything verified and not yet signed, at the end of a transfer or when nothing comes.
    pub fn flush(&mut self) -> Option<Receipt> {
        if self.verified == self.signed {
            return None;
        }
        self.pace.on_paid(self.verified.saturating_sub(self.signed));
        self.signed = self.verified;
        Some(Receipt::new(self.chain, self.channel, self.signed))
    }

    /// Bytes verified so far.
    pub fn verified(&self) -> u64 {
        self.verified
    }

    /// Bytes signed for so far.
    pub fn signed(&self) -> u64 {
        self.signed
    }
}

/// The carrier's end: says how much may be sent. The payer's [`Credit`] is kept beside it: all channels of the payer share it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Carrier {
    chain: Hash,
    channel: Channel,
    tickets: Tickets,
    sent: u64,
    paid: u64,
    written_off: u64,
    pace: Pace,
    /// Whether something was written off since the channel last had no transfers.
    is_broken: bool,
}

impl Carrier {
    /// A new channel, at the pace of its payer's credit.
    pub fn new(chain: Hash, channel: Channel, pace: Pace) -> Self {
        Self { chain, channel, tickets: Tickets::default(), sent: 0, paid: 0, written_off: 0, pace, is_broken: false }
    }

    /// Takes a ticket.
    ///
    /// # Errors
    /// [`WindowError::Channel`], [`WindowError::Issuer`].
    pub fn on_ticket(&mut self, ticket: &Verified<Ticket>) -> Result<(), WindowError> {
        self.tickets.add(self.chain, &self.channel, ticket)
    }

    /// Bytes that may be sent now; 0 while the next receipt is due, the tickets are used up, or the payer's credit is.
    pub fn may_send(&self, credit: &Credit) -> u64 {
        let in_window = self.pace.window().saturating_sub(self.unpaid());
        in_window.min(credit.left()).min(self.tickets.bytes().saturating_sub(self.paid.saturating_add(self.unpaid())))
    }

    /// Counts bytes handed to the wire.
    ///
    /// # Errors
    /// [`WindowError::BeyondWindow`]: more than [`Carrier::may_send`].
    pub fn on_sent(&mut self, credit: &mut Credit, bytes: u64) -> Result<(), WindowError> {
        let allowed = self.may_send(credit);
        if bytes > allowed {
            return Err(WindowError::BeyondWindow { bytes, allowed });
        }
        self.sent = self.sent.saturating_add(bytes);
        credit.on_sent(bytes);
        Ok(())
    }

    /// Takes a receipt; the bytes that it newly pays, 0 for one seen before. Keep the highest: it is what the claim is made of.
    ///
    /// A number above what was sent is possible after this end forgot; the tickets bound it.
    ///
    /// # Errors
    /// [`WindowError::Channel`], [`WindowError::Decreased`], [`WindowError::BeyondTickets`].
    pub fn on_receipt(&mut self, credit: &mut Credit, receipt: &Verified<Receipt>) -> Result<u64, WindowError> {
        if receipt.chain != self.chain || receipt.channel() != self.channel {
            return Err(WindowError::Channel);
        }
        let newly = receipt.bytes.checked_sub(self.paid).ok_or(WindowError::Decreased { bytes: receipt.bytes, paid: self.paid })?;
        self.tickets.check(receipt.bytes)?;
        let (at_risk, written_off) = (self.unpaid(), self.written_off);
        self.paid = receipt.bytes;
        self.sent = self.sent.max(self.paid);
        self.written_off = written_off.min(self.sent.saturating_sub(self.paid));
        credit.on_paid(newly, at_risk.saturating_sub(self.unpaid()), written_off.saturating_sub(self.written_off));
        self.pace.on_paid(newly);
        Ok(newly)
    }

    /// A transfer has ended while others of the channel go on, and left `bytes` unpaid: they are lost, unless a later receipt covers them. The window stays as
    /// the payer knows it.
    pub fn write_off(&mut self, credit: &mut Credit, bytes: u64) {
        let bytes = bytes.min(self.unpaid());
        credit.on_lost(bytes);
        self.written_off = self.written_off.saturating_add(bytes);
        self.is_broken |= bytes > 0;
    }

    /// The last open transfer of the channel has ended, and no more receipts come: what is unpaid is lost, and remembered.
    pub fn on_ended(&mut self, credit: &mut Credit) {
        self.write_off(credit, self.unpaid());
        if std::mem::take(&mut self.is_broken) {
            self.pace = Pace::NEW;
            credit.pace = Pace::NEW;
        }
    }

    /// The channel's tickets: the last of them covers its receipts.
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Bytes sent, not paid and not written off: what is at risk.
    pub fn unpaid(&self) -> u64 {
        self.sent.saturating_sub(self.paid).saturating_sub(self.written_off)
    }

    /// Bytes paid.
    pub fn paid(&self) -> u64 {
        self.paid
    }

    /// What the carrier tells the payer when a transfer opens.
    pub fn pace(&self) -> Pace {
        self.pace
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LOSS_FREE, WINDOW_MAX, WINDOW_MIN};
    use super::*;
    use crate::samples::{CHAIN, channel, session};
    use crate::{Class, Signed};
    use primitives::{Address, Noz, SecretKey};
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// The ticket that brings the channel's to `channel_total`.
    fn ticket(channel_total: u64) -> Verified<Ticket> {
        let meta = SecretKey::from_seed(&[8; 32]);
        let channel = channel();
        let ticket = Ticket {
            chain: CHAIN,
            epoch: channel.epoch,
            payer: channel.payer,
            session: channel.session,
            carrier: channel.carrier,
            class: channel.class,
            slice: Hash([1; 32]),
            bytes_max: 1,
            channel_total,
            session_total: Noz(channel_total.into()),
            issuer: Address([8; 20]),
        };
        Signed::sign(ticket, &meta).verify(CHAIN, &meta.public()).expect("just signed")
    }

    fn sign(receipt: Receipt) -> Verified<Receipt> {
        Signed::sign(receipt, &session()).verify_by_session(CHAIN).expect("just signed")
    }

    #[test]
    fn a_stranger_gets_one_window_and_no_more() {
        let (mut carrier, mut credit) = (Carrier::new(CHAIN, channel(), Pace::NEW), Credit::NEW);
        assert_eq!(carrier.may_send(&credit), 0, "without a ticket nothing moves");
        carrier.on_ticket(&ticket(10 * WINDOW_MIN)).expect("ticket");
        carrier.on_ticket(&ticket(10 * WINDOW_MIN)).expect("the same again says nothing new");
        carrier.on_ticket(&ticket(3 * WINDOW_MIN)).expect("nor does an earlier one");
        assert_eq!(carrier.tickets.bytes(), 10 * WINDOW_MIN);
        assert_eq!(carrier.may_send(&credit), WINDOW_MIN);
        carrier.on_sent(&mut credit, WINDOW_MIN).expect("in the window");
        assert_eq!(carrier.on_sent(&mut credit, 1), Err(WindowError::BeyondWindow { bytes: 1, allowed: 0 }));
        let receipt = |bytes| sign(Receipt::new(CHAIN, channel(), bytes));
        assert_eq!(carrier.on_receipt(&mut credit, &receipt(100_000)), Ok(100_000));
        assert_eq!(carrier.on_receipt(&mut credit, &receipt(100_000)), Ok(0));
        assert_eq!(carrier.may_send(&credit), 100_000);
        assert_eq!(carrier.on_receipt(&mut credit, &receipt(99_999)), Err(WindowError::Decreased { bytes: 99_999, paid: 100_000 }));
        let beyond = 10 * WINDOW_MIN + 1;
        assert_eq!(carrier.on_receipt(&mut credit, &receipt(beyond)), Err(WindowError::BeyondTickets { bytes: beyond, ticketed: 10 * WINDOW_MIN }));
        let other = sign(Receipt::new(CHAIN, Channel { class: Class::Stream, ..channel() }, 200_000));
        assert_eq!(carrier.on_receipt(&mut credit, &other), Err(WindowError::Channel));
        let (stranger, known) = (SecretKey::from_seed(&[9; 32]), ticket(1).issuer);
        let strange =
            Signed::sign(Ticket { issuer: Address([9; 20]), ..*ticket(99 * WINDOW_MIN) }, &stranger).verify(CHAIN, &stranger.public()).expect("just signed");
        assert_eq!(carrier.on_ticket(&strange), Err(WindowError::Issuer { known, found: Address([9; 20]) }));
    }

    #[test]
    fn breaking_off_is_remembered_and_paying_late_is_forgiven() {
        let (mut carrier, mut credit) = (Carrier::new(CHAIN, channel(), Pace::NEW), Credit::NEW);
        carrier.on_ticket(&ticket(100 * WINDOW_MIN)).expect("ticket");
        let mut stolen = 0;
        while carrier.may_send(&credit) > 0 {
            let allowed = carrier.may_send(&credit);
            stolen += allowed;
            carrier.on_sent(&mut credit, allowed).expect("allowed");
            carrier.on_ended(&mut credit);
        }
        assert!(stolen <= LOSS_FREE + WINDOW_MIN, "{stolen}");
        carrier.on_receipt(&mut credit, &sign(Receipt::new(CHAIN, channel(), stolen))).expect("late");
        assert_eq!((credit.lost(), carrier.unpaid()), (0, 0));
        assert!(carrier.may_send(&credit) > 0);
    }

    /// Checks POT-3: sessions cost nothing, so a payer's channels share what may be lost.
    #[test]
    fn many_sessions_take_no_more_than_one() {
        let mut credit = Credit::NEW;
        let mut stolen = 0;
        for _ in 0..20 {
            let mut carrier = Carrier::new(CHAIN, channel(), credit.pace());
            carrier.on_ticket(&ticket(100 * WINDOW_MIN)).expect("ticket");
            let allowed = carrier.may_send(&credit);
            carrier.on_sent(&mut credit, allowed).expect("allowed");
            stolen += allowed;
            // Every second one breaks off, the others stay open and silent.
            if stolen % (2 * WINDOW_MIN) == 0 {
                carrier.on_ended(&mut credit);
            }
        }
        assert_eq!(stolen, LOSS_FREE + WINDOW_MIN);
        assert_eq!(credit.lost() + credit.at_risk(), stolen);
    }

    #[test]
    fn what_one_transfer_leaves_does_not_block_the_others() {
        let (mut carrier, mut credit) = (Carrier::new(CHAIN, channel(), Pace::NEW), Credit::NEW);
        carrier.on_ticket(&ticket(100 * WINDOW_MIN)).expect("ticket");
        carrier.on_sent(&mut credit, WINDOW_MIN).expect("in the window");
        carrier.write_off(&mut credit, 100_000);
        assert_eq!((carrier.may_send(&credit), credit.lost(), credit.at_risk()), (100_000, 100_000, WINDOW_MIN - 100_000));
        assert_eq!(carrier.on_receipt(&mut credit, &sign(Receipt::new(CHAIN, channel(), WINDOW_MIN - 50_000))), Ok(WINDOW_MIN - 50_000));
        assert_eq!((credit.lost(), credit.at_risk(), carrier.unpaid()), (50_000, 0, 0), "part of it was on its way to be paid");
        carrier.on_ended(&mut credit);
        assert_eq!(carrier.pace(), Pace::NEW);
    }

    #[test]
    fn a_payer_signs_within_its_tickets() {
        let mut payer = Payer::new(CHAIN, channel(), Pace::NEW);
        payer.on_ticket(&ticket(100)).expect("ticket");
        assert_eq!(payer.on_verified(100), Ok(None));
        assert_eq!(payer.on_verified(1), Err(WindowError::BeyondTickets { bytes: 101, ticketed: 100 }));
        assert_eq!(payer.flush().map(|receipt| receipt.bytes), Some(100));
        assert_eq!(payer.flush(), None);
    }

    /// One end sends, the wire delays, the other verifies and signs, the wire delays again.
    #[derive(Debug, Clone)]
    enum Step {
        Send(u64),
        Deliver,
        Corrupt,
        Return,
        Flush,
        Break(bool),
        Ticket(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (1..400_000u64).prop_map(Step::Send),
            6 => Just(Step::Deliver),
            1 => Just(Step::Corrupt),
            4 => Just(Step::Return),
            1 => Just(Step::Flush),
            1 => any::<bool>().prop_map(Step::Break),
            1 => (0..9u64).prop_map(Step::Ticket),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Checks POT-2 and POT-3 against the plain sums of what was sent, verified and signed.
        #[test]
        fn exposure_stays_in_the_window(steps in proptest::collection::vec(step(), 0..300)) {
            let mut payer = Payer::new(CHAIN, channel(), Pace::NEW);
            let (mut carrier, mut credit) = (Carrier::new(CHAIN, channel(), Pace::NEW), Credit::NEW);
            let (mut down, mut up): (VecDeque<u64>, VecDeque<Receipt>) = Default::default();
            let (mut sent, mut verified, mut paid, mut ticketed) = (0u64, 0u64, 0u64, 0u64);
            for step in steps {
                match step {
                    Step::Send(bytes) => {
                        let bytes = bytes.min(carrier.may_send(&credit));
                        let beyond = carrier.may_send(&credit) + 1;
                        prop_assert!(carrier.on_sent(&mut credit, beyond).is_err());
                        carrier.on_sent(&mut credit, bytes).expect("allowed");
                        sent += bytes;
                        down.push_back(bytes);
                    }
                    Step::Deliver => if let Some(bytes) = down.pop_front() {
                        match payer.on_verified(bytes) {
                            Ok(receipt) => {
                                verified += bytes;
                                up.extend(receipt);
                            }
                            // What was written off unpaid is sent again, so a payer that owes can come to the end of its tickets.
                            Err(error) => prop_assert_eq!(error, WindowError::BeyondTickets { bytes: verified + bytes, ticketed }),
                        }
                    },
                    Step::Corrupt => { down.pop_front(); }
                    Step::Return => if let Some(receipt) = up.pop_front() {
                        let newly = carrier.on_receipt(&mut credit, &sign(receipt)).expect("honest payers stay within tickets");
                        paid += newly;
                    },
                    Step::Flush => up.extend(payer.flush()),
                    Step::Break(is_polite) => {
                        down.clear();
                        up.extend(is_polite.then(|| payer.flush()).flatten());
                        for receipt in up.drain(..) {
                            paid += carrier.on_receipt(&mut credit, &sign(receipt)).expect("cumulative");
                        }
                        let lost = carrier.unpaid();
                        carrier.on_ended(&mut credit);
                        prop_assert!(lost <= WINDOW_MAX);
                        payer.on_pace(carrier.pace());
                    }
                    Step::Ticket(number) => {
                        let ticket = ticket(number * 1_000_000);
                        ticketed = ticketed.max(number * 1_000_000);
                        payer.on_ticket(&ticket).expect("ticket");
                        carrier.on_ticket(&ticket).expect("ticket");
                    }
                }
                prop_assert_eq!((carrier.paid(), payer.verified()), (paid, verified));
                prop_assert!(paid <= payer.signed() && payer.signed() <= verified && verified <= sent);
                prop_assert!(payer.signed() <= ticketed);
                prop_assert!(carrier.unpaid() <= carrier.pace().window().max(WINDOW_MIN));
                prop_assert_eq!(carrier.unpaid(), credit.at_risk());
                prop_assert!(carrier.unpaid() + credit.lost() <= sent - paid);
            }
        }

        /// Neither end waits for the other: with an honest wire every ticketed byte arrives and is paid.
        #[test]
        fn an_honest_transfer_ends(bytes in 1..200_000_000u64, chunk in 1..600_000u64) {
            let mut payer = Payer::new(CHAIN, channel(), Pace::NEW);
            let (mut carrier, mut credit) = (Carrier::new(CHAIN, channel(), Pace::NEW), Credit::NEW);
            let ticket = ticket(bytes);
            payer.on_ticket(&ticket).expect("ticket");
            carrier.on_ticket(&ticket).expect("ticket");
            let mut receipts = 0;
            while payer.verified() < bytes {
                let next = carrier.may_send(&credit).min(chunk.max(bytes / 500));
                prop_assert!(next > 0, "stalled at {}", payer.verified());
                carrier.on_sent(&mut credit, next).expect("allowed");
                if let Some(receipt) = payer.on_verified(next).expect("ticketed") {
                    carrier.on_receipt(&mut credit, &sign(receipt)).expect("good");
                    receipts += 1;
                }
            }
            if let Some(receipt) = payer.flush() {
                carrier.on_receipt(&mut credit, &sign(receipt)).expect("good");
            }
            prop_assert_eq!((carrier.paid(), carrier.unpaid()), (bytes, 0));
            prop_assert!(receipts <= 1 + 16 * 7 + bytes / (WINDOW_MAX / RECEIPTS_PER_WINDOW), "few signatures: {}", receipts);
        }
    }
}
