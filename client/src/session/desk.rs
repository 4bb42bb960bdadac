//! How a meta node's desk is asked for tickets over the network, and what it answers.
//!
//! The question is a signed [`TicketRequest`]; the answer must be on the desk's disk before it leaves ([`meta::tickets`]).

use borsh::{BorshDeserialize, BorshSerialize};
use meta::tickets::{Issue, TICKETS_MAX, TicketError, TicketRequest};
use pot::{Signed, Ticket};
use primitives::encoding::{DecodeError, decode, encode};

/// Name of the request protocol on the data plane.
pub const PROTOCOL: &str = "ticket";
/// Longest question: a root, a length and a little more for each ticket.
pub const QUESTION_BYTES_MAX: usize = 512 + 48 * TICKETS_MAX;
/// Longest answer: 261 bytes for each ticket.
pub const ANSWER_BYTES_MAX: usize = 1024 + 264 * TICKETS_MAX;
/// Longest text of a refusal.
const TEXT_BYTES_MAX: usize = 512;

/// What a desk answers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TicketAnswer {
    /// The tickets, in the order of the request's slices.
    Issued(Vec<Signed<Ticket>>),
    /// None, and why.
    Refused {
        /// For programs.
        reason: TicketReason,
        /// For people.
        text: String,
    },
}

/// Why there are no tickets, as the session's program must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TicketReason {
    /// The desk is in another epoch.
    Epoch,
    /// Nothing is reserved as far as this desk has seen.
    Allowance,
    /// Not enough is reserved as far as this desk has seen.
    Exceeded,
    /// Another desk issues this session's tickets, or has to: this one rests, or its tickets count for nothing.
    Home,
    /// The request's number was used.
    Sequence,
    /// The file or the slice is not in the index as far as this desk has seen.
    File,
    /// Anything that asking again does not change.
    Other,
}

impl TicketAnswer {
    /// The answer for what a desk decided.
    pub fn of(decided: &Result<Issue, TicketError>) -> Self {
        match decided {
            Ok(issue) => Self::Issued(issue.tickets.clone()),
            Err(error) => Self::refused(reason(error), &error.to_string()),
        }
    }

    /// A refusal whose text is cut to its limit.
    pub fn refused(reason: TicketReason, text: &str) -> Self {
        Self::Refused { reason, text: text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned() }
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`DecodeError`] for more than [`ANSWER_BYTES_MAX`] bytes, malformed or trailing bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, ANSWER_BYTES_MAX)
    }
}

/// Reads a question.
///
/// # Errors
/// [`DecodeError`] for more than [`QUESTION_BYTES_MAX`] bytes, malformed or trailing bytes.
pub fn decode_question(bytes: &[u8]) -> Result<Signed<TicketRequest>, DecodeError> {
    decode(bytes, QUESTION_BYTES_MAX)
}

fn reason(error: &TicketError) -> TicketReason {
    match error {
        TicketError::Epoch { .. } => TicketReason::Epoch,
        TicketError::NoAllowance { .. } => TicketReason::Allowance,
        TicketError::Exceeded { .. } => TicketReason::Exceeded,
        TicketError::Home(_) | TicketError::Resting(_) | TicketError::Inactive { .. } => TicketReason::Home,
        TicketError::Sequence { .. } => TicketReason::Sequence,
        TicketError::File(_) | TicketError::Holder { .. } => TicketReason::File,
        TicketError::Signature(_)
        | TicketError::Count(_)
        | TicketError::Length { .. }
        | TicketError::Draft(_)
        | TicketError::Placement(_)
        | TicketError::Class => TicketReason::Other,
    }
}

#[cfg(test)]
mod tests {
    use meta::tickets::{HeldSlice, NewSlice, Purpose};
    use pot::Class;
    use primitives::{Address, Epoch, Hash, Noz, PublicKey, Signature};
    use proptest::prelude::*;

    use super::*;

    fn request(purpose: Purpose) -> Signed<TicketRequest> {
        let body = TicketRequest { chain: Hash([1; 32]), epoch: Epoch(2), payer: Address([3; 20]), session: PublicKey([4; 32]), sequence: 5, purpose };
        Signed { body, signature: Signature([6; 64]) }
    }

    #[test]
    fn the_longest_question_and_answer_fit() {
        let slice = NewSlice { root: Hash([1; 32]), bytes: 1 };
        let upload = request(Purpose::Upload { epoch: Epoch(1), draft: Hash([2; 32]), segment: 3, slices: vec![slice; TICKETS_MAX] });
        assert_eq!(decode_question(&encode(&upload)), Ok(upload));
        let held = HeldSlice { segment: 1, slice: 2, bytes: 3 };
        let download = request(Purpose::Download { file: Hash([2; 32]), class: Class::Stream, slices: vec![held; TICKETS_MAX] });
        assert_eq!(decode_question(&encode(&download)), Ok(download));
        let ticket = Ticket {
            chain: Hash([1; 32]),
            epoch: Epoch(2),
            payer: Address([4; 20]),
            session: PublicKey([5; 32]),
            carrier: Address([6; 20]),
            class: Class::Upload,
            slice: Hash([7; 32]),
            bytes_max: 8,
            channel_total: 9,
            session_total: Noz(10),
            issuer: Address([9; 20]),
        };
        let answer = TicketAnswer::Issued(vec![Signed { body: ticket, signature: Signature([1; 64]) }; TICKETS_MAX]);
        assert_eq!(TicketAnswer::decode(&answer.encode()), Ok(answer));
        let refused = TicketAnswer::refused(TicketReason::Other, &"é".repeat(TEXT_BYTES_MAX));
        assert_eq!(refused.encode().len(), 1 + 1 + 4 + TEXT_BYTES_MAX);
    }

    /// Golden vector: changing this line is another protocol.
    #[test]
    fn refusals_on_the_wire() {
        assert_eq!(hex::encode(TicketAnswer::refused(TicketReason::Home, "no").encode()), "0103020000006e6f");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = (TicketAnswer::decode(&bytes), decode_question(&bytes));
        }
    }
}
