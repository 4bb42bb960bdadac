//! Consensus: Accountable Simplex, a pure engine that orders opaque payloads and can prove who broke it.
//!
//! Stake-weighted on the value layer, one member one vote on the metadata layer: one engine, two memberships. It knows no transaction, no socket and no clock.
//! This page is the specification; the modules are its chapters, lowest first.
//!
//! # Objects
//! ```text
//! members         V: ordered keys with weights, S their sum; quorum(W) iff 3 W > 2 S                               quorum, members
//! leader(e, v)    a member, sampled by weight from H(seed of e, e, v)                                               leader
//! Vote            { epoch e, view v >= 1, kind }, kind one of Notarize(h), Nullify, Finalize(h); h a header's hash  vote
//! Certificate     a vote signed by a quorum: notarization, nullification, finalization                              certificate
//! Justification   J(v) = base: certificate of a block in a view p < v (or the block before the epoch, p = 0),
//!                        skips: nullifications of p+1 ..= v-1                                                       justification
//! Block           header, justification of its view, payload; its parent is its justification's base               block
//! Proposal        a block and its leader's own notarize vote, which is the leader's signature                       block
//! Finality        headers down to a finalized descendant, and its finalization: what proves a header                block
//! Last, closing   an epoch's last block names the next voters; closing blocks after it carry nothing                block
//! Evidence        two votes of one member that conflict: E1 to E4                                                   evidence
//! Slot            what one key signed in its latest view; on disk before any signature leaves                       slot
//! ```
//! A block is *statically valid* if chain, epoch and members are ours, its leader proposed it, its justification is valid for its view and names its parent,
//! height is the parent's plus one, time is above the parent's, and the payload has the digest the header names. It is *valid* if the ledger also executes it.
//!
//! # Protocol
//! A node is in a view v and holds J(v). It votes through its slot, which refuses what contradicts an earlier vote.
//! 1. ENTER(w, J(w)), w > v, is the only way on. T_lead = 2Δ and T_adv = 3Δ from here, plus what an idle leader may hold its proposal and what execution may
//!    take. Δ grows by half with each view since the last finalization (beyond the two that are in flight in good times), up to a cap; a finalization that
//!    comes while a view lasts shortens what is left of it.
//! 2. PROPOSE: the leader has the ledger build on J(v)'s base, executes the block like anybody's, notarizes it and broadcasts both.
//! 3. PROPOSAL(B): the first of its leader, statically valid: ENTER its view by its justification if that is ahead; execute; if valid and of a timely clock,
//!    Notarize, else Nullify at once.
//! 4. NOTARIZATION(w, h), w >= v: sign Finalize(h) at w if the slot allows, ENTER(w+1, {h's certificate, no skips}).
//! 5. NULLIFICATION(v): ENTER(v+1, J(v) and this). Of a later view: ask its sender for the justification.
//! 6. T_lead without a proposal, or T_adv: Nullify. From then on, every Δ with growing pauses, broadcast HELLO, the certificate that led here and the own votes
//!    of v. Whoever is behind or ahead answers or asks: one justification, never a history. So a stuck network says little, whatever its age.
//! 7. FINALIZATION(w, h): h and its ancestors are final. Fetch what is missing, execute it, give it out in height order with its proof.
//! 8. HELLO(view, height): a peer that is further on sends its J, its votes and its finalized tip. Missing ancestors are fetched by hash from all peers in
//!    turn; who has finalized them long ago answers with its tip, and from there on they come in batches of finalized blocks, each batch ending in a proof,
//!    from whichever peer failed to send one least. Blocks fetched are executed like proposed ones: nothing is final here that did not execute here.
//!
//! 9. VOTE(x): kept by member and view, at most two to notarize, one to nullify, two to finalize; verified when they matter: with a quorum's others, or when
//!    somebody lies. Two that conflict are EVIDENCE: given to the ledger and told to everybody, once per member and epoch, also when the next epoch has
//!    begun. Votes of an epoch are compared for 64 views after their own, final or not, and a certificate counts as the votes of its signers. Beside a
//!    certificate of one block, a vote of the leader for another and a finalization of another are told to everybody, one of each in a view, for others may
//!    hold their signers' votes for the first.
//! 10. END: the ledger says which block is its epoch's last, by the next voters that the header names. Nothing but closing blocks may follow it in the epoch,
//!     for Simplex never promises that a given block is finalized itself: a finalization of it *or of a closing block after it* ends the epoch. That proof is
//!     the epoch proof, and the block before the next epoch, which plays its view 0. A new epoch keeps the tip and the connections, and who voted before. Who
//!     hears of a later epoch fetches finalized blocks; who hears of an earlier one says so.
//! 11. FORK: a finalization that contradicts ours, as far as the last blocks given out show, ends all voting here. What proves who did it is fetched for a
//!     bounded time, then the node halts with it.
//!
//! Followers run the same engine without a signer. `Broadcast` must reach all connected peers, followers too; a follower says so in its hello, and every peer
//! then sends it each finalization directly, so one connection to any member or other follower is enough.
//!
//! # Theorems
//! Faulty weight is below S/3 unless said otherwise.
//!
//! **Safety.** (1) A view has at most one notarized block: two quorums share an honest signer (SIMPLEX-1), which notarizes once. (2) A finalization of (v, b)
//! excludes a nullification of v, and a notarization of another block in v, for the same reason (E3, E4). (3) Every statically valid block at w > v extends
//! b: let its parent be of view p. If p > v, by induction on w. If p = v, its parent is notarized in v, so it is b. If p < v, its justification holds a
//! nullification of v, which does not exist. ∎
//!
//! **Liveness**, once messages take less than δ <= Δ. Somebody honest enters v first, at t; its last certificate is pushed, so all are in v by t + δ plus the
//! push's pause of Δ/2. An honest leader's block arrives before T_lead, all notarize, all see the notarization before T_adv; nobody has nullified, so all
//! finalize. Under a faulty leader all nullify at T_adv at the latest and go on. No view is a trap: who is still in v has not finalized in v, for that leaves
//! v, so it may nullify; honest weight alone is a quorum. ∎ In good times a block takes 2δ and is final 3δ after its proposal (SIMPLEX-8).
//!
//! **Accountability**, any faulty weight. Two finalizations (v, b), (v', b'), v <= v', of blocks on different chains. If v = v', signers of both commit E2.
//! Else walk from b' down to the first block whose view is above v and whose parent's view p is not. If p = v, its base certifies b'' ≠ b in v: signers of
//! both commit E4 or E2. If p < v, its skips hold a nullification of v: signers of it and of the finalization commit E3. Either way more than S/3, each with
//! two signatures, and every node that gave out b' stores exactly these objects; of an epoch's end that includes the closing blocks. Chains of different
//! epochs conflict in the earliest epoch in which they differ. ∎
//!
//! **No framing.** In one view an honest key releases a subset of {Notarize(h), Nullify} or of {Notarize(h), Finalize(h)}: the slot is a lattice of these,
//! durable before release, and never falls back to an earlier view. So no conflicting pair of its signatures exists, for any network, adversary or loss of
//! other data. ∎
//!
//! # Restart of everything
//! Safety needs the slot alone. Going on needs more if *all* members stop at one moment (one process, one power line): a view can be left only by who knows
//! how it was entered, and a notarized block can be built on only by who has it. So before a signature leaves, [`engine::Output::Keep`] makes durable the
//! justification by which the signer is where it is (before Finalize(h) at w: J(w+1), which holds the notarization) and the block it notarizes. Afterwards
//! the node with the highest justification leads the others there; nobody has finalized in that view, so everybody may nullify; every notarized block is with
//! more than a third of the honest weight. One justification and the undecided blocks are kept, nothing else.
//!
//! # Invariants
//! - **SIMPLEX-1** Two quorums share more than a third of the weight.
//! - **SIMPLEX-2** While a quorum is connected and honest, blocks become final.
//! - **SIMPLEX-3** No two nodes give out different blocks at one height; each gives out heights one by one.
//! - **SIMPLEX-4** No key that signs through a slot ever releases two conflicting votes.
//! - **SIMPLEX-5** When a vote leaves, the slot on disk covers it; [`slot::Durable`] can be made in no other way.
//! - **SIMPLEX-6** A node in view v holds a valid J(v).
//! - **SIMPLEX-7** Every block given out as final was executed here, and a proof of it comes with it; the blocks that the proof names are here too.
//! - **SIMPLEX-8** Without faults a block comes every 2δ and is final 3δ after it was proposed.
//! - **SIMPLEX-9** After all nodes stop at once, the chain goes on from their disks.
//! - **SIMPLEX-10** What outsiders can make the engine keep is bounded by named constants: votes by view and member, blocks, peers, followers, requests,
//!   bytes of answers per peer. Undecided blocks that quorums notarized are kept whatever their number; outsiders cannot make any.
//! - **SIMPLEX-11** Epochs follow one another; in each only the members vote that the last block before it names, and that block is the same for everybody.
//!
//! # Assumptions
//! Less than a third of the weight is faulty (for safety and liveness, not for accountability). The ledger executes alike everywhere. `payload_digest` binds
//! every byte of a payload. A disk that reports a write durable keeps it. Clocks of honest nodes differ by less than `drift_ms` (for liveness alone). A
//! justification fits [`justification::JUSTIFICATION_BYTES_MAX`]: about 900 views in a row nullified by 100 members, or 19,000 by four. From a tenth of that
//! on it takes its room from the payload ([`block::BLOCK_BYTES_MAX`]), so that what is sent stays below [`message::MESSAGE_BYTES_MAX`].
//!
//! # Source, and how we differ
//! Chan and Pass, "Simplex Consensus" (TCC 2023). Differences: E4 is forbidden too, without which accountability has a hole. Proposals carry their
//! justification, so that one object gives validity, view synchronisation and catching up. Votes are weighted. Finalize is signed on any notarization of a
//! view not left yet, also one that arrives as a proposal's base. Views begin on a certificate of any later view, not of the present one only. The leader
//! does not time itself out at T_lead, since it knows whether it will propose. What is pushed and resent is one certificate and a hello; justifications
//! travel only to those who ask. Timely clocks are judged at voting alone: Simplex never proposes an old block again. Epochs have as many blocks as the
//! ledger likes, for it ends them; the next voters are those of the state *after* the last block, which every voter has executed.
//!
//! A node that has gone on to the next epoch no longer looks at certificates of the one before: a fork found so late is found by a node that is still there,
//! by a light client, or offline from two databases.

#[cfg(not(feature = "mutants"))]
mod mutants;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod quorum;
pub mod members;
pub mod leader;
pub mod vote;
pub mod evidence;
pub mod certificate;
pub mod justification;
pub mod block;
pub mod config;
pub mod message;
pub mod forensics;
pub mod light;
pub mod slot;
pub mod engine;

pub use block::{Block, Finality, Header, Proposal};
pub use certificate::Certificate;
pub use config::{Config, Times};
pub use engine::{Engine, Input, Output, Peer, Restored};
pub use justification::Justification;
pub use members::{Member, Members};
pub use message::Message;
pub use slot::{Durable, Signer};
pub use vote::{Kind, SignedVote, Vote};

#[cfg(test)]
mod testing;
