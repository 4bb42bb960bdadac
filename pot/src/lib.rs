//! Proof of Traffic: who carried how many bytes for whom, proved, and what that earns.
//!
//! What is proved: *this payer acknowledges that this carrier moved this many bytes for it in this epoch.* Who asked for which file is neither proved nor
//! claimed. What makes the proof worth something is that fake traffic costs more than it earns ([`reward::Parameters::check`]).
//!
//! Everything here is pure: no clock, no disk, no wire.
//!
//! # Protocol
//! 1. A wallet signs a [`grant`]: this session key may spend up to a cap until an epoch. The session key proves that it exists.
//! 2. The session reserves ozone for an epoch in the metadata ledger ([`allowance`]), within the cap and what the payer holds; what is reserved is nobody
//!    else's until the epoch is settled.
//! 3. The reservation's home, a meta node, signs a [`ticket`] per transfer, at once, within what was reserved. Each says what all so far come to, in its
//!    channel and in its session. The session shows it to the carrier with the grant and its own signature, so that nobody else can use it.
//! 4. Bytes move at most one [`window`] ahead of the payer's last [`receipt`], a number that grows per [`Channel`]. Who stores a slice signs an
//!    [`ack`] first and is paid for it then.
//! 5. When the epoch is over a carrier signs its [`claim`] over the last receipts of all its channels, and brings it with the last ticket of each. The
//!    metadata ledger takes it if every signature holds, every receipt is within its tickets, the tickets are by its session's home, and no session is
//!    claimed beyond its reservation.
//! 6. The metadata ledger cuts the claims into the parts of a [`report`] and certifies them; the value ledger checks every signature again, by one aggregate
//!    for each part.
//! 7. For some epochs the report is challenged: a carrier that it left out claims [`direct`]ly, whoever certified a false one is convicted by its own
//!    signatures. So is who issued tickets beyond an allowance ([`evidence`]), from the end of the epoch on.
//! 8. Payers are charged at what their ozone cost them ([`curve`]); carriers, meta nodes and validators are paid ([`reward`]).
//!
//! # Invariants
//! - **POT-1** An epoch never pays out more than its traffic released and its subsidy allows; what goes in equals what comes out, to the wei and to the noz.
//! - **POT-2** A payer never signs for bytes it has not verified, nor beyond its tickets; a channel's receipts never decrease.
//! - **POT-3** A carrier is never ahead of a payer by more than one window (or, for uploads, by a fixed number of slices), and what it lost to the payer's
//!   sessions before counts against it.
//! - **POT-4** A channel is charged at most once per epoch: entries are strictly increasing within and across parts, and so are direct claims, of carriers
//!   that no part holds.
//! - **POT-5** Every signature of a part was made, whoever certified it; a part that fails is refused whole.
//! - **POT-6** Every coalition of payers, carriers, a third of the meta nodes and a third of the stake gets back less than it paid.
//! - **POT-7** Buying never lowers `(S + P) * L`; releasing at cost never takes more than was paid.
//!
//! # Attacks, what stops each, and the tests that mount it
//! | attack | stopped by | mounted in |
//! |---|---|---|
//! | a carrier inflates bytes | the receipt needs the payer's signature (POT-5) | `what_was_not_signed_is_refused`, `receipts_beyond_tickets_are_not_taken` |
//! | signatures are made to fit each other, without keys | coefficients over all of each signature | `shifted_pairs_are_refused`, `for_exactly_these` |
//! | payer and carrier are one; with a third of the meta nodes and of the stake | release at cost and the subsidy rule (POT-6) | `self_dealing_loses`, `the_check_is_tight` |
//! | early ozone is redeemed at late prices | release at cost (POT-6) | `early_ozone_cannot_redeem_late_money` |
//! | replay, double claim, an old receipt | chain, epoch and channel are signed; the number only grows (POT-2, POT-4) | `the_cursor_takes_each_part_once`, `nothing_is_paid_twice` |
//! | a payer signs to a carrier that is one with it what others were promised | a receipt is claimed with its session's tickets only, and their home issues no more than was reserved | `a_receipt_beyond_its_tickets_is_not_claimed`, `a_claim_needs_the_tickets_of_its_sessions_home`, `tickets_are_the_homes_own` |
//! | a meta node uses the tickets of a session itself, and so its places at a carrier, its windows and its payer's credit | the session presents each ticket with its payer's grant and its own signature | `a_ticket_is_presented_by_its_session_alone`, `nobody_pays_for_a_session_it_did_not_grant`, `nobody_else_uses_a_sessions_tickets` |
//! | a meta node signs tickets that do not count themselves, so that no total shows what it promised | carriers take none | `a_ticket_counts_itself` |
//! | a convicted meta node, which has nothing more to lose, goes on promising | carriers take no tickets of convicts a few seconds later, and sessions leave them | `a_meta_node_that_promises_what_nobody_reserved_pays_for_it`, `the_home_meta_node_is_convicted` |
//! | what is promised to others is claimed directly | a direct claim is within a proven reservation | `a_direct_claim_stays_within_what_was_reserved`, `closed_epochs_can_always_be_charged` |
//! | a payer walks away, or makes new sessions to walk away again | the carrier loses one window at most and remembers the payer (POT-3, [`window::Credit`]) | `who_does_not_pay_gets_one_window`, `many_sessions_take_no_more_than_one` |
//! | receipts for wrong or old bytes | a payer signs for verified bytes only (POT-2) | `a_lying_carrier_is_paid_for_nothing_but_the_truth`, `bit_rot_is_named_and_the_bytes_before_it_are_paid` |
//! | an acknowledgement of what is not stored | it names the slice, and only the holder's counts | `an_acknowledgement_of_something_else_is_worth_nothing` |
//! | a meta node issues tickets beyond the allowance | the totals in them and the reservation convict it; its deposit pays | `tickets_beyond_the_allowance_convict_their_issuer`, `the_desk_never_issues_too_much`, `a_meta_node_that_promises_what_nobody_reserved_pays_for_it` |
//! | it tells each carrier less, so that no ticket shows it | what others claimed shows it, for that needed tickets too | `what_is_promised_to_several_convicts_when_one_has_claimed`, `what_is_promised_twice_shows_when_one_has_claimed`, `a_meta_node_that_promises_the_same_twice_pays_for_it` |
//! | a meta node that lost its disk promises again what it promised before | it rests until the next epoch | `a_desk_without_its_records_rests` |
//! | meta nodes certify a false receipt | the value ledger verifies all of them (POT-5); the certificate and the part convict who signed | `a_false_receipt_convicts_who_certified_it`, `who_certified_what_holds_is_not_convicted` |
//! | meta nodes leave out a claim | a direct claim while the report is challenged | `a_claim_that_was_left_out_is_brought_directly`, `a_carrier_that_was_away_claims_directly_and_receipts_are_proven_offline` |
//! | a payer has less than it owes, whoever certified that | it pays what it has; nothing stops | `who_owes_more_than_it_has_pays_what_it_has`, `a_payer_without_ozone_stops_nothing` |
//! | the home meta node favours a carrier | placement follows from registry and beacon; the ledger refuses other holders | `files_are_refused_by_name` |
//! | somebody else's session key in a grant | the proof of possession | `unsigned_grants_are_named` |
//! | a stolen session key | the grant's cap, over all epochs and both ways to claim | `the_cap_is_for_life` |
//! | many tiny channels that all must verify | a least number of bytes that is claimed | `tiny_channels_are_not_claimed` |
//! | an epoch with a huge number, without traffic, duplicate payers, unordered parts | refused by name; an empty epoch settles | `parts_are_refused_by_name`, `an_epoch_with_a_huge_number_is_refused`, `empty_epochs_settle_and_several_can_wait` |
//! | huge lengths, padding, unused payers | limits before allocation, and every index of a part must be used | `a_part_of_ten_million_entries_is_refused`, `unused_payers_and_caps` |
//! | objects cut, lengthened, changed, of another chain or epoch | canonical encodings under signatures | `whatever_is_changed_is_refused` |
//!
//! # Not stopped
//! - A payer, its home and a carrier that are one can use up a reservation before others claim. The others lose an epoch's work instead of a window; their
//!   tickets convict the home, whose deposit pays the first that shows them, up to half of what it is slashed by. What it promised to more than that one is
//!   paid by nobody.
//! - What a session reserved with a home that goes away stays reserved, and nobody can use it, until the epoch is settled.
//! - Two thirds of the meta nodes can certify a report without a claim that their ledger took, and count it as taken all the same; then neither the claim nor
//!   who it was promised by is judged rightly. They could as well forge the whole record.
//! - A carrier that has just started, or cannot read the value ledger, takes the tickets of a convict until it can or the epoch ends.
//! - A meta node that loses its disk in the very first epoch of a network does not rest, nor does one whose disk is put back to an earlier day.
//!
//! # Assumptions
//! What `primitives` assumes. The ledgers keep a payer's reservations within its ozone balance; nothing here reads a balance that was not passed in.
//!
//! # Source
//! The curve and the mining schedule are the original network's (stratos-chain `x/pot/keeper/formula.go`, `distribute.go`) in exact integers. Different on
//! purpose: a byte releases what its own payer paid instead of the top of the curve, and the mining reward is at most a fraction of what traffic released.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::float_arithmetic))]

pub mod ack;
pub mod allowance;
pub mod claim;
pub mod curve;
pub mod direct;
pub mod evidence;
pub mod grant;
pub mod object;
pub mod receipt;
pub mod report;
pub mod reward;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;
pub mod ticket;
pub mod window;

pub use ack::StorageAck;
pub use allowance::Allowance;
pub use claim::{Claim, ClaimedReceipts, Covered, CoveredClaim, LastReceipt};
pub use grant::{Grant, SignedGrant, VerifiedGrant};
pub use object::{Object, Signed, SignedError, Verified};
pub use receipt::{Channel, Class, Receipt};
pub use report::{Part, Report, VerifiedPart};
pub use ticket::{Presented, Ticket};

/// Room of traffic in both ledgers' trees.
const ROOM: u8 = 5;
