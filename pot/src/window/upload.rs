//! Both ends of uploads in one channel: stored and acknowledged first, paid then, a few slices ahead at most.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Hash;

use super::{Tickets, UNPAID_SLICES_MAX, WindowError};
use crate::ack::StorageAck;
use crate::object::Verified;
use crate::receipt::{Channel, Receipt};
use crate::ticket::Ticket;

/// The payer's end: turns acknowledgements into receipts to sign, each slice once.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payer {
    chain: Hash,
    channel: Channel,
    tickets: Tickets,
    open: BTreeMap<Hash, u64>,
    signed: u64,
}

impl Payer {
    /// A new channel.
    pub fn new(chain: Hash, channel: Channel) -> Self {
        Self { chain, channel, tickets: Tickets::default(), open: BTreeMap::new(), signed: 0 }
    }

    /// Takes a ticket: its slice may be paid for once, or once more if it was paid before and is to be stored anew.
    ///
    /// # Errors
    /// [`WindowError::Channel`], [`WindowError::Issuer`].
    pub fn on_ticket(&mut self, ticket: &Verified<Ticket>) -> Result<(), WindowError> {
        self.tickets.add(self.chain, &self.channel, ticket)?;
        self.open.insert(ticket.slice, ticket.bytes_max);
        Ok(())
    }

    /// Takes the carrier's acknowledgement of a slice of which we sent `sent` bytes, all of it. The receipt to sign and send.
    ///
    /// # Errors
    /// [`WindowError::Channel`], [`WindowError::Slice`] (no ticket, or paid already), [`WindowError::Length`], [`WindowError::BeyondTickets`].
    pub fn on_stored(&mut self, ack: &Verified<StorageAck>, sent: u64) -> Result<Receipt, WindowError> {
        if ack.chain != self.chain || ack.carrier != self.channel.carrier || ack.epoch != self.channel.epoch {
            return Err(WindowError::Channel);
        }
        let bytes_max = *self.open.get(&ack.slice).ok_or(WindowError::Slice { slice: ack.slice })?;
        if ack.bytes != sent {
            return Err(WindowError::Length { slice: ack.slice, acknowledged: ack.bytes, sent });
        }
        if sent > bytes_max {
            return Err(WindowError::BeyondTickets { bytes: sent, ticketed: bytes_max });
        }
        let signed = self.signed.saturating_add(sent);
        self.tickets.check(signed)?;
        self.open.remove(&ack.slice);
        self.signed = signed;
        Ok(Receipt::new(self.chain, self.channel, self.signed))
    }

    /// Bytes signed for so far.
    pub fn signed(&self) -> u64 {
        self.signed
    }
}

/// The carrier's end: says whether another slice may come.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Carrier {
    chain: Hash,
    channel: Channel,
    tickets: Tickets,
    /// Slices on their way, with the most bytes that each may have.
    receiving: BTreeMap<Hash, u64>,
    /// Bytes of all slices stored so far.
    stored: u64,
    /// Slices stored and unpaid, oldest first, each with its length.
    unpaid: Vec<(Hash, u64)>,
    paid: u64,
    /// Bytes of `paid` that slices have used up.
    covered: u64,
}

impl Carrier {
    /// A new channel.
    pub fn new(chain: Hash, channel: Channel) -> Self {
        Self { chain, channel, tickets: Tickets::default(), receiving: BTreeMap::new(), stored: 0, unpaid: Vec::new(), paid: 0, covered: 0 }
    }

    /// Slices that may begin now.
    pub fn may_begin(&self) -> usize {
        UNPAID_SLICES_MAX.saturating_sub(self.open())
    }

    /// A slice begins to arrive under `ticket`, which is good for as many attempts as it takes. What was stored and what is on its way stays within the
    /// channel's tickets.
    ///
    /// # Errors
    /// [`WindowError::Channel`], [`WindowError::InUse`] while the slice is on its way, [`WindowError::Issuer`], [`WindowError::UnpaidSlices`],
    /// [`WindowError::BeyondTickets`] if they are used up.
    pub fn on_begin(&mut self, ticket: &Verified<Ticket>) -> Result<(), WindowError> {
        if self.receiving.contains_key(&ticket.slice) {
            return Err(WindowError::InUse { slice: ticket.slice });
        }
        if self.may_begin() == 0 {
            return Err(WindowError::UnpaidSlices { unpaid: self.open() });
        }
        let mut tickets = self.tickets;
        tickets.add(self.chain, &self.channel, ticket)?;
        tickets.check(self.receiving.values().fold(self.stored, |sum, bytes| sum.saturating_add(*bytes)).saturating_add(ticket.bytes_max))?;
        self.tickets = tickets;
        self.receiving.insert(ticket.slice, ticket.bytes_max);
        Ok(())
    }

    /// The slice did not arrive whole, or was not what its root says: its ticket can be used again.
    pub fn on_failed(&mut self, slice: &Hash) {
        self.receiving.remove(slice);
    }

    /// The program begins anew: nothing is on its way any more.
    pub fn on_restart(&mut self) {
        self.receiving.clear();
    }

    /// The slice is verified, synced and about to be acknowledged.
    ///
    /// # Errors
    /// [`WindowError::Slice`] if it did not begin here, [`WindowError::BeyondTickets`] if it is longer than its ticket.
    pub fn on_stored(&mut self, slice: Hash, bytes: u64) -> Result<(), WindowError> {
        let bytes_max = *self.receiving.get(&slice).ok_or(WindowError::Slice { slice })?;
        if bytes > bytes_max {
            return Err(WindowError::BeyondTickets { bytes, ticketed: bytes_max });
        }
        self.receiving.remove(&slice);
        self.stored = self.stored.saturating_add(bytes);
        self.unpaid.push((slice, bytes));
        Ok(())
    }

    /// Takes a receipt; the slices that are now paid, oldest first. Keep the highest: it is what the claim is made of.
    ///
    /// # Errors
    /// [`WindowError::Channel`], [`WindowError::Decreased`], [`WindowError::BeyondTickets`].
    pub fn on_receipt(&mut self, receipt: &Verified<Receipt>) -> Result<Vec<Hash>, WindowError> {
        if receipt.chain != self.chain || receipt.channel() != self.channel {
            return Err(WindowError::Channel);
        }
        if receipt.bytes < self.paid {
            return Err(WindowError::Decreased { bytes: receipt.bytes, paid: self.paid });
        }
        self.tickets.check(receipt.bytes)?;
        self.paid = receipt.bytes;
        let mut now_paid = Vec::new();
        while let Some((slice, bytes)) = self.unpaid.first().copied() {
            let covered = self.covered.saturating_add(bytes);
            if covered > self.paid {
                break;
            }
            self.covered = covered;
            self.unpaid.remove(0);
            now_paid.push(slice);
        }
        Ok(now_paid)
    }

    /// Somebody took over the debt for a slice.
    pub fn on_taken_over(&mut self, slice: &Hash) {
        self.unpaid.retain(|(unpaid, _)| unpaid != slice);
    }

    /// The channel's tickets: the last of them covers its receipts.
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Slices that are unpaid or on their way.
    pub fn open(&self) -> usize {
        self.unpaid.len().saturating_add(self.receiving.len())
    }

    /// Slices stored and unpaid, oldest first: those to drop if the session does not come back.
    pub fn unpaid(&self) -> impl Iterator<Item = Hash> + '_ {
        self.unpaid.iter().map(|(slice, _)| *slice)
    }

    /// Bytes paid.
    pub fn paid(&self) -> u64 {
        self.paid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CHAIN, carrier, channel, session};
    use crate::{Class, Signed};
    use primitives::{Address, Noz, SecretKey};
    use proptest::prelude::*;

    fn upload() -> Channel {
        Channel { class: Class::Upload, ..channel() }
    }

    /// The ticket of slice `number`, the first being 0, each for 100 bytes.
    fn ticket(number: u8) -> Verified<Ticket> {
        let meta = SecretKey::from_seed(&[8; 32]);
        let Channel { epoch, carrier, payer, session, class } = upload();
        let (slice, issuer) = (Hash([number; 32]), Address([8; 20]));
        let (bytes_max, channel_total) = (100, 100 * (u64::from(number) + 1));
        let session_total = Noz(channel_total.into());
        let ticket = Ticket { chain: CHAIN, epoch, payer, session, carrier, class, slice, bytes_max, channel_total, session_total, issuer };
        Signed::sign(ticket, &meta).verify(CHAIN, &meta.public()).expect("just signed")
    }

    fn ack(number: u8, bytes: u64) -> Verified<StorageAck> {
        let ack = StorageAck { chain: CHAIN, epoch: upload().epoch, carrier: upload().carrier, slice: Hash([number; 32]), bytes };
        Signed::sign(ack, &carrier()).verify(CHAIN, &carrier().public()).expect("just signed")
    }

    fn sign(receipt: Receipt) -> Verified<Receipt> {
        Signed::sign(receipt, &session()).verify_by_session(CHAIN).expect("just signed")
    }

    #[test]
    fn a_slice_is_paid_once_and_for_what_was_sent() {
        let mut payer = Payer::new(CHAIN, upload());
        payer.on_ticket(&ticket(0)).expect("ticket");
        assert_eq!(payer.on_stored(&ack(2, 100), 100), Err(WindowError::Slice { slice: Hash([2; 32]) }));
        assert_eq!(payer.on_stored(&ack(0, 101), 100), Err(WindowError::Length { slice: Hash([0; 32]), acknowledged: 101, sent: 100 }));
        assert_eq!(payer.on_stored(&ack(0, 101), 101), Err(WindowError::BeyondTickets { bytes: 101, ticketed: 100 }));
        assert_eq!(payer.on_stored(&ack(0, 100), 100).map(|receipt| receipt.bytes), Ok(100));
        assert_eq!(payer.on_stored(&ack(0, 100), 100), Err(WindowError::Slice { slice: Hash([0; 32]) }));
        payer.on_ticket(&ticket(0)).expect("seen before: it adds nothing");
        assert_eq!(payer.on_stored(&ack(0, 100), 100), Err(WindowError::BeyondTickets { bytes: 200, ticketed: 100 }));
        assert_eq!(payer.signed(), 100);
    }

    #[test]
    fn a_carrier_keeps_a_few_unpaid_slices() {
        let mut carrier = Carrier::new(CHAIN, upload());
        for number in 0..8 {
            carrier.on_begin(&ticket(number)).expect("room");
        }
        assert_eq!(carrier.on_begin(&ticket(8)), Err(WindowError::UnpaidSlices { unpaid: 8 }));
        assert_eq!(carrier.on_begin(&ticket(7)), Err(WindowError::InUse { slice: Hash([7; 32]) }));
        carrier.on_failed(&Hash([7; 32]));
        carrier.on_begin(&ticket(7)).expect("another attempt with the same ticket");
        for number in 0..8 {
            carrier.on_stored(Hash([number; 32]), 100).expect("began");
        }
        assert_eq!(carrier.on_stored(Hash([1; 32]), 100), Err(WindowError::Slice { slice: Hash([1; 32]) }));
        assert_eq!(carrier.may_begin(), 0);
        assert_eq!(carrier.on_receipt(&sign(Receipt::new(CHAIN, upload(), 250))), Ok(vec![Hash([0; 32]), Hash([1; 32])]));
        assert_eq!(carrier.may_begin(), 2);
        assert_eq!(carrier.on_begin(&ticket(0)), Err(WindowError::BeyondTickets { bytes: 900, ticketed: 800 }), "a used ticket is used up");
        assert_eq!(carrier.on_receipt(&sign(Receipt::new(CHAIN, upload(), 249))), Err(WindowError::Decreased { bytes: 249, paid: 250 }));
        assert_eq!(carrier.on_receipt(&sign(Receipt::new(CHAIN, upload(), 801))), Err(WindowError::BeyondTickets { bytes: 801, ticketed: 800 }));
    }

    #[test]
    fn after_a_restart_every_ticket_under_way_is_good_again() {
        let mut carrier = Carrier::new(CHAIN, upload());
        for number in 0..8 {
            carrier.on_begin(&ticket(number)).expect("room");
        }
        carrier.on_stored(Hash([0; 32]), 100).expect("began");
        carrier.on_restart();
        assert_eq!((carrier.may_begin(), carrier.stored), (7, 100));
        for number in 1..8 {
            carrier.on_begin(&ticket(number)).expect("another attempt with the same ticket");
        }
        assert_eq!(carrier.may_begin(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Checks POT-2 and POT-3: whatever order slices arrive, fail and are paid in, the payer pays for stored ones only and the carrier holds few unpaid.
        #[test]
        fn stored_then_paid(steps in proptest::collection::vec((0..4u8, 0..40u8, 1..100u64), 0..200)) {
            let (mut payer, mut carrier) = (Payer::new(CHAIN, upload()), Carrier::new(CHAIN, upload()));
            let (mut stored, mut ticketed, mut owed, mut paid) = (0u64, 0u64, Vec::new(), 0u64);
            for (kind, number, bytes) in steps {
                let ticket = ticket(number);
                match kind {
                    // What is stored and owed is not sent again, but paid.
                    0 => if !owed.iter().any(|(owed, _)| *owed == number) {
                        ticketed = ticketed.max(ticket.channel_total);
                        payer.on_ticket(&ticket).expect("same channel");
                        let _ = carrier.on_begin(&ticket);
                    },
                    1 => carrier.on_failed(&ticket.slice),
                    2 => if carrier.on_stored(Hash([number; 32]), bytes).is_ok() {
                        stored += bytes;
                        owed.push((number, bytes));
                    },
                    _ => for (number, bytes) in owed.drain(..) {
                        let receipt = payer.on_stored(&ack(number, bytes), bytes).expect("stored under a ticket");
                        paid += bytes;
                        prop_assert_eq!(receipt.bytes, paid);
                        let slices = carrier.on_receipt(&sign(receipt)).expect("good");
                        prop_assert_eq!(slices, vec![Hash([number; 32])]);
                    },
                }
                prop_assert!(carrier.unpaid().count() <= UNPAID_SLICES_MAX);
                prop_assert_eq!(carrier.unpaid().count(), owed.len());
                prop_assert!(payer.signed() <= stored && stored <= ticketed);
                prop_assert_eq!(carrier.paid(), payer.signed());
            }
        }
    }
}
