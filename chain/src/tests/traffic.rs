//! What reports leave out, and what meta nodes do against the rules: direct claims and accusations.

use pot::allowance::{Payer, Reservation, Session, claimants_key, claimed_key, payer_key, session_key};
use pot::claim::{CoveredClaim, LastTicket};
use pot::report::Part;
use pot::{Report, Ticket};

use super::*;
use crate::accusation::{AccusationError, promise_keys};

fn session_of(payer: u8) -> SecretKey {
    SecretKey::from_seed(&[payer.wrapping_add(200); 32])
}

/// The keys that a direct claim brings.
fn keys_of(claim: &ClaimedReceipts) -> Vec<Vec<u8>> {
    settlement::standing_keys(claim.epoch, &claim.receipts.iter().map(|receipt| (receipt.payer, receipt.session)).collect())
}

/// The claim with tickets of meta node `home` that allow exactly its receipts.
fn covered(chain: Hash, claim: ClaimedReceipts, home: u8) -> CoveredClaim {
    let (issuer, key) = (person(home).address(), node_key(home));
    let cover = |receipt: &pot::LastReceipt| {
        let pot::LastReceipt { payer, session, class, bytes, .. } = *receipt;
        let (epoch, carrier, slice, session_total) = (claim.epoch, claim.carrier, Hash([7; 32]), Noz(bytes.into()));
        let ticket = Ticket { chain, epoch, payer, session, carrier, class, slice, bytes_max: bytes, channel_total: bytes, session_total, issuer };
        LastTicket { issuer: 0, slice, bytes_max: bytes, channel_total: bytes, session_total, signature: Signed::sign(ticket, &key).signature }
    };
    let tickets = claim.receipts.iter().map(cover).collect();
    CoveredClaim { claim, issuers: vec![(issuer, key.public())], tickets }
}

/// What the metadata ledger knows of a payer with one session.
#[derive(Clone, Copy)]
pub(super) struct Known {
    payer: u8,
    reserved: u128,
    /// What another session of the payer reserved.
    other: u128,
    /// What was claimed from the session in the epoch, and ever.
    claimed: u128,
    spent: u128,
    cap: u128,
    /// First epoch that was not settled when it reserved last.
    unsettled: u64,
    home: u8,
}

impl Known {
    pub(super) fn new(payer: u8, reserved: u128) -> Self {
        Self { payer, reserved, other: 0, claimed: 0, spent: 0, cap: u128::MAX, unsettled: 0, home: 20 }
    }
}

impl World {
    /// A reading of the metadata ledger after it closed `epoch`.
    fn standing(&self, epoch: Epoch, keys: Vec<Vec<u8>>, known: &[Known], metas: &[u8]) -> Box<Proven> {
        self.standing_with(epoch, keys, known, metas, |_| {})
    }

    /// The same after a change.
    fn standing_with(&self, epoch: Epoch, keys: Vec<Vec<u8>>, known: &[Known], metas: &[u8], change: impl FnOnce(&mut state::Overlay)) -> Box<Proven> {
        let mut overlay = Memory::new().child();
        overlay.put(report::key(epoch), vec![1]).expect("short");
        for known in known {
            let (wallet, session) = (person(known.payer), session_of(known.payer));
            let reservation = Reservation { epoch, session: session.public(), home: person(known.home).address(), noz: Noz(known.reserved) };
            let other = Reservation { session: session_of(99 + known.payer).public(), noz: Noz(known.other), ..reservation };
            let payer = Payer { unsettled: Epoch(known.unsettled), reservations: vec![reservation, other] };
            overlay.put(payer_key(&wallet.address()), encode(&payer)).expect("short");
            let grant = SignedGrant::sign(self.genesis.hash(), &wallet, &session, epoch.next(), Noz(known.cap));
            if known.claimed > 0 {
                overlay.put(claimed_key(epoch, &session.public()), encode(&Noz(known.claimed))).expect("short");
            }
            overlay.put(session_key(&session.public()), encode(&Session { grant, spent: Noz(known.spent) })).expect("short");
        }
        change(&mut overlay);
        Box::new(self.certify(&overlay.seal(), keys, metas))
    }

    /// A carrier's direct claim with everything that it needs.
    pub(super) fn direct(&self, epoch: Epoch, carrier: u8, traffic: &[(u8, u64)], known: &[Known]) -> Message {
        let traffic: Vec<(u8, u8, u64)> = traffic.iter().map(|(payer, bytes)| (*payer, carrier, *bytes)).collect();
        let claim = claims(self.genesis.hash(), epoch, &traffic).0.remove(0);
        let standing = self.standing(epoch, keys_of(&claim), known, &[20]);
        Message::ClaimDirectly { claim: Box::new(covered(self.genesis.hash(), claim, 20)), standing }
    }

    fn run(&mut self, message: Message) -> Result<Vec<Event>, String> {
        self.run_by(2, message)
    }

    /// Ends the current epoch and brings a report of it.
    fn reported(&mut self, traffic: &[(u8, u8, u64)]) -> Epoch {
        let epoch = settlement::progress(self.state()).epoch;
        if epochs::current(self.state()).number == epoch {
            self.block(EPOCH_MS, Vec::new());
        }
        let (report, mut parts) = self.report(epoch, traffic);
        self.run(Message::Settle { report, part: parts.pop().map(Box::new) }).expect("it holds");
        epoch
    }

    fn held(&self, payer: u8) -> u128 {
        market::ozone(self.state(), &person(payer).address()).noz.0
    }
}

fn refused(result: Result<Vec<Event>, String>, why: &str) {
    assert!(matches!(&result, Err(text) if text.contains(why)), "{result:?} does not say: {why}");
}

/// Attack: meta nodes leave out a claim. The carrier brings it itself while the epoch is challenged, and is paid like the others.
#[test]
fn a_claim_that_was_left_out_is_brought_directly() {
    let mut world = World::new();
    let before = world.held(1);
    let epoch = world.reported(&[(1, 30, 50_000)]);
    let known = [Known::new(1, 80_000)];
    let message = world.direct(epoch, 31, &[(1, 30_000)], &known);
    let events = world.run(message.clone()).expect("it was left out");
    assert_eq!(events, [Event::ClaimedDirectly { epoch, carrier: person(31).address(), noz: Noz(30_000) }]);
    refused(world.run(message), "does not begin above it");
    world.challenge();
    let settled = settlement::settled(world.state(), epoch).expect("settled");
    assert_eq!((settled.noz, settled.unpaid, settled.direct.as_slice()), (Noz(80_000), Noz::ZERO, [person(31).address()].as_slice()));
    assert_eq!(before - world.held(1), 80_000);
    let of = |carrier: u8| settled.carriers.iter().find(|share| share.address == person(carrier).address()).expect("paid");
    assert_eq!((of(30).noz, of(31).noz), (Noz(50_000), Noz(30_000)));
    let off = (of(30).reward.0 * 3).abs_diff(of(31).reward.0 * 5);
    assert!(off <= 8, "paid by the byte, to the wei that rounding takes: {} and {}", of(30).reward, of(31).reward);
    assert!(keys_of_settlement(&world, epoch).is_empty());
}

/// Attack: what a report paid is claimed again, and what was claimed directly too.
#[test]
fn nothing_is_paid_twice() {
    let mut world = World::new();
    let epoch = world.reported(&[(1, 30, 50_000)]);
    let known = [Known::new(1, 1_000_000)];
    let again = world.direct(epoch, 30, &[(1, 60_000)], &known);
    refused(world.run(again), "all that it claimed is in it");
    let first = world.direct(epoch, 31, &[(1, 10)], &known);
    world.run(first).expect("it was left out");
    let more = world.direct(epoch, 31, &[(1, 11)], &known);
    refused(world.run(more), "does not begin above it");
    world.challenge();
    assert_eq!(settlement::settled(world.state(), epoch).expect("settled").noz, Noz(50_010));
    let late = world.direct(epoch, 32, &[(1, 10)], &known);
    refused(world.run(late), "is not open to direct claims");
    let early = world.direct(epoch.next(), 32, &[(1, 10)], &known);
    refused(world.run(early), "is not open to direct claims");
}

/// Attack: a payer and a carrier who are one claim directly what was promised to others. Only what was reserved can be charged, whoever claims it.
#[test]
fn a_direct_claim_stays_within_what_was_reserved() {
    let mut world = World::new();
    let epoch = world.reported(&[(1, 30, 50_000)]);
    let message = |world: &World, carrier, bytes, known| world.direct(epoch, carrier, &[(1, bytes)], &[known]);
    let known = Known::new(1, 80_000);
    let too_much = message(&world, 31, 80_001, known);
    refused(world.run(too_much), "80000 are left");
    let too_much = message(&world, 31, 30_001, known);
    refused(world.run(too_much), "50000 are charged; 30001 more do not fit");
    let good = message(&world, 31, 20_000, known);
    world.run(good).expect("it fits");
    let rest = message(&world, 32, 10_001, known);
    refused(world.run(rest), "70000 are charged");
    // A session's grant counts over epochs and both ways to claim.
    let spent = message(&world, 32, 10_000, Known { spent: 50_000, cap: 79_999, ..known });
    refused(world.run(spent), "9999 are left");
    let good = message(&world, 32, 10_000, Known { spent: 50_000, cap: 80_000, ..known });
    world.run(good).expect("to the last noz");
    assert_eq!(settlement::spent(world.state(), &session_of(1).public()).noz, Noz(30_000));
}

/// Attack: a session claims directly what the report took from it already, out of what the payer reserved for another session.
#[test]
fn what_the_report_took_from_a_session_is_not_left_for_it() {
    let mut world = World::new();
    let epoch = world.reported(&[(1, 30, 50_000)]);
    let known = Known { other: 100_000, claimed: 50_000, spent: 50_000, ..Known::new(1, 60_000) };
    let too_much = world.direct(epoch, 31, &[(1, 10_001)], &[known]);
    refused(world.run(too_much), "10000 are left");
    let Message::ClaimDirectly { claim, mut standing } = world.direct(epoch, 31, &[(1, 10_000)], &[known]) else { panic!("a claim") };
    let unread = standing.entries.pop().expect("what was claimed is read last");
    assert_eq!(unread.key, claimed_key(epoch, &session_of(1).public()));
    refused(world.run(Message::ClaimDirectly { claim: claim.clone(), standing: standing.clone() }), "has reserved nothing");
    standing.entries.push(unread);
    world.run(Message::ClaimDirectly { claim, standing }).expect("to the last noz");
}

/// Attack: a node registers after the traffic to claim it; and channels too small to be worth their verification.
#[test]
fn only_who_took_part_claims_and_no_tiny_channels() {
    let mut world = World::new();
    let key = node_key(7);
    let possession = world.possession(POSSESSION_ROLE, &key, &person(2).address());
    world.block(EPOCH_MS, Vec::new());
    let node = identity(&key);
    world.run(Message::RegisterResource { node, possession, capacity: Bytes(1), deposit: Amount::stos(1) }).expect("a candidate");
    let known = [Known::new(1, 80_000)];
    let claim_of_new = |world: &World, epoch| {
        let carrier = person(2).address();
        let channel = Channel { epoch, carrier, payer: person(1).address(), session: session_of(1).public(), class: Class::Upload };
        let receipt = Signed::sign(Receipt::new(world.genesis.hash(), channel, 1_000), &session_of(1)).verify_by_session(world.genesis.hash()).expect("signed");
        let claim = ClaimedReceipts::sign(world.genesis.hash(), epoch, carrier, vec![receipt], &key).expect("a claim");
        let standing = world.standing(epoch, keys_of(&claim), &known, &[20]);
        Message::ClaimDirectly { claim: Box::new(covered(world.genesis.hash(), claim, 20)), standing }
    };
    let (first, second) = (world.reported(&[]), world.reported(&[]));
    assert_eq!((first, second), (Epoch(0), Epoch(1)));
    for epoch in [first, second] {
        let message = claim_of_new(&world, epoch);
        refused(world.run(message), "operates no resource node that took part in epoch");
    }
    let third = world.reported(&[]);
    let message = claim_of_new(&world, third);
    world.run(message).expect("it has taken part");
    let tiny = world.direct(third, 31, &[(1, CHANNEL_NOZ_MIN - 1)], &known);
    refused(world.run(tiny), "a channel of 4 bytes; channels are claimed from 5 on");
}

/// Attacks on a direct claim: another's proof, no proof, another session, an unknown carrier, a forged receipt.
#[test]
fn a_direct_claim_is_proven_and_signed() {
    let mut world = World::new();
    let epoch = world.reported(&[]);
    let known = [Known::new(1, 80_000), Known::new(3, 80_000)];
    let Message::ClaimDirectly { claim, standing } = world.direct(epoch, 31, &[(1, 30_000)], &known) else { panic!("a claim") };
    let keys = keys_of(&claim.claim);
    let with = |claim: &CoveredClaim, standing: &Proven| Message::ClaimDirectly { claim: Box::new(claim.clone()), standing: Box::new(standing.clone()) };
    let nothing = world.standing(epoch, keys.clone(), &[], &[20]);
    refused(world.run(with(&claim, &nothing)), "has reserved nothing");
    let other = world.standing(epoch, keys.clone(), &known[1..], &[20]);
    refused(world.run(with(&claim, &other)), "has reserved nothing");
    let strangers = world.standing(epoch, keys.clone(), &known, &[21]);
    refused(world.run(with(&claim, &strangers)), "which the registry did not name");
    let unclosed = world.standing(epoch.next(), keys, &known, &[20]);
    refused(world.run(with(&claim, &unclosed)), "does not show that the metadata ledger has closed");
    let mut changed = standing.clone();
    changed.entries[1].value.as_mut().expect("a payer")[30] ^= 1;
    refused(world.run(with(&claim, &changed)), "not proven");
    let mut inflated = claim.clone();
    inflated.claim.receipts[0].bytes += 1;
    refused(world.run(with(&inflated, &standing)), "is for 30001 bytes, its channel's tickets allow 30000");
    inflated.tickets[0].channel_total += 1;
    refused(world.run(with(&inflated, &standing)), "wrong signature");
    let by_another = covered(world.genesis.hash(), claim.claim.clone(), 21);
    refused(world.run(with(&by_another, &standing)), "count under its registered key only");
    let mut under_another = claim.clone();
    under_another.issuers[0].1 = node_key(21).public();
    refused(world.run(with(&under_another, &standing)), "count under its registered key only");
    let mut unsigned = claim.clone();
    unsigned.claim.signature.0[9] ^= 1;
    refused(world.run(with(&unsigned, &standing)), "wrong signature");
    let mut another = claim.clone();
    another.claim.carrier = person(32).address();
    refused(world.run(with(&another, &standing)), "wrong signature");
    let nobody = world.direct(epoch, 50, &[(1, 30_000)], &known);
    refused(world.run(nobody), "operates no resource node");
    world.run(with(&claim, &standing)).expect("as it was signed");
}

/// Reports do not wait for each other's challenges, and one block settles one epoch.
#[test]
fn epochs_are_reported_while_others_are_challenged() {
    let mut world = World::new();
    for _ in 0..3 {
        world.block(EPOCH_MS, Vec::new());
    }
    for number in 0..3 {
        assert_eq!(world.reported(&[(1, 30, 1_000 + number)]), Epoch(number));
    }
    let progress = settlement::progress(world.state());
    assert_eq!((progress.epoch, progress.unsettled), (Epoch(3), Epoch(0)));
    let direct = world.direct(Epoch(1), 31, &[(1, 7)], &[Known::new(1, 5_000)]);
    world.run(direct).expect("any of them is open");
    world.block(EPOCH_MS, Vec::new());
    assert_eq!(settlement::progress(world.state()).unsettled, Epoch(0), "a whole epoch passes");
    world.block(EPOCH_MS, Vec::new());
    assert_eq!(settlement::progress(world.state()).unsettled, Epoch(1), "one in a block");
    world.block(1, Vec::new());
    world.block(1, Vec::new());
    assert_eq!(settlement::progress(world.state()).unsettled, Epoch(3));
    let noz = [0, 1, 2].map(|number| settlement::settled(world.state(), Epoch(number)).expect("settled").noz.0);
    assert_eq!(noz, [1_000, 1_001 + 7, 1_002]);
}

/// Whoever owes more than it has pays what it has, whatever the meta nodes certified.
#[test]
fn a_payer_without_ozone_stops_nothing() {
    let mut world = World::new();
    let before = world.held(1);
    let epoch = world.reported(&[(1, 30, 1_000), (3, 31, 5_000)]);
    world.challenge();
    let settled = settlement::settled(world.state(), epoch).expect("settled");
    assert_eq!((settled.noz, settled.unpaid, before - world.held(1)), (Noz(1_000), Noz(5_000), 1_000));
}

/// A report whose parts somebody damages before they are certified.
fn damaged(world: &World, epoch: Epoch, traffic: &[(u8, u8, u64)], metas: &[u8], damage: impl Fn(&mut Report, &mut Vec<Part>)) -> (Box<Proven>, Vec<Part>) {
    let (proven, mut parts) = world.report(epoch, traffic);
    let mut report: Report = borsh::from_slice(proven.entries[0].value.as_ref().expect("there")).expect("a report");
    damage(&mut report, &mut parts);
    let mut overlay = Memory::new().child();
    overlay.put(report::key(epoch), encode(&report)).expect("short");
    (Box::new(world.certify(&overlay.seal(), vec![report::key(epoch)], metas)), parts)
}

/// Attack: meta nodes certify a false receipt. The part is refused; with their certificate it convicts all of them, and the carriers claim directly.
#[test]
fn a_false_receipt_convicts_who_certified_it() {
    let mut world = World::new();
    activate(&mut world, &[20, 21, 22, 23]);
    world.block(EPOCH_MS, Vec::new());
    let inflate = |report: &mut Report, parts: &mut Vec<Part>| {
        parts[0].entries[0].bytes += 1_000_000;
        report.parts[0] = parts[0].hash();
        report.noz = report.noz.saturating_add(Noz(1_000_000));
    };
    let (report, parts) = damaged(&world, Epoch(0), &[(1, 30, 5_000)], &[20, 21, 22, 23], inflate);
    let part = Box::new(parts[0].clone());
    refused(world.run(Message::Settle { report: report.clone(), part: Some(part.clone()) }), "not all of 1 receipts and 1 claims were signed");

    let (s_before, accuser_before) = (market::read(world.state()).deposits, accounts::read(world.state(), &person(2).address()).balance);
    let events = world.run(Message::AccuseReport { epoch: Epoch(0), report: report.clone(), part: Some(part.clone()) }).expect("it is false");
    let half = Amount::stos(50);
    let reward = Amount(half.0 / 100);
    let convicted = |number: u8| Event::MetaConvicted {
        operator: person(number).address(),
        slashed: half,
        accuser: person(2).address(),
        reward,
        carrier: None,
        compensated: Amount::ZERO,
        forfeited: Amount::ZERO,
    };
    let mut expected: Vec<Event> = [20, 21, 22, 23].map(convicted).into();
    expected.push(Event::ReportCondemned { epoch: Epoch(0) });
    assert_eq!(events, expected);
    assert_eq!(s_before.0 - market::read(world.state()).deposits.0, Amount::stos(400).0, "none of their deposits stands behind ozone any more");
    assert!(accounts::read(world.state(), &person(2).address()).balance.0 > accuser_before.0 + 4 * reward.0 - Amount::stos(1).0, "less a fee");
    for number in 20..24 {
        let node = meta_registry::read(world.state(), &person(number).address()).expect("kept");
        assert_eq!((node.status, node.deposit), (meta_registry::Status::Tombstoned, half));
    }
    refused(world.run(Message::AccuseReport { epoch: Epoch(0), report, part: Some(part) }), "does not wait for a report");

    // Nothing of the report counts; who carried claims it from what was reserved, also what the report had claimed, and what that had spent of the grant.
    let known = Known { claimed: 4_000, spent: 4_500, cap: 5_500, ..Known::new(1, 5_000) };
    let too_much = world.direct(Epoch(0), 30, &[(1, 5_001)], &[known]);
    refused(world.run(too_much), "5000 are left");
    let direct = world.direct(Epoch(0), 30, &[(1, 3_000)], &[known]);
    world.run(direct).expect("the report pays nobody");
    let too_much = world.direct(Epoch(0), 31, &[(1, 2_001)], &[known]);
    refused(world.run(too_much), "2000 are left");
    let direct = world.direct(Epoch(0), 31, &[(1, 2_000)], &[known]);
    world.run(direct).expect("all that was reserved");
    let spent = settlement::spent(world.state(), &session_of(1).public());
    assert_eq!((spent.noz, spent.before(Epoch(0)), spent.before(Epoch(1))), (Noz(1_000), Noz(0), Noz(1_000)), "4,000 count as spent already");
    world.challenge();
    let settled = settlement::settled(world.state(), Epoch(0)).expect("settled");
    assert_eq!((settled.noz, settled.report, settled.receipts, settled.metas.len()), (Noz(5_000), None, 0, 0));
}

/// Every way in which a report can be false by itself, or in a part, in its order, or in its sums; and what is only brought wrongly convicts nobody.
#[test]
fn who_certified_what_holds_is_not_convicted() {
    let mut world = World::new();
    world.block(EPOCH_MS, Vec::new());
    let (good, good_parts) = world.report(Epoch(0), &[(1, 30, 5_000)]);
    let accuse = |report: &Proven, part: Option<&Part>| Message::AccuseReport {
        epoch: Epoch(0),
        report: Box::new(report.clone()),
        part: part.map(|part| Box::new(part.clone())),
    };
    let mut forged = good_parts[0].clone();
    forged.entries[0].bytes += 1;
    refused(world.run(accuse(&good, None)), "holds, as far as it was brought");
    refused(world.run(accuse(&good, Some(&good_parts[0]))), "holds, as far as it was brought");
    refused(world.run(accuse(&good, Some(&forged))), "does not name this part 0");
    let (elsewhere, _) = world.report(Epoch(1), &[]);
    refused(world.run(accuse(&elsewhere, None)), "holds no report of epoch 0");
    let (strangers, parts) = damaged(&world, Epoch(0), &[(1, 30, 5_000)], &[21], |report, _| report.receipts = 0);
    refused(world.run(accuse(&strangers, Some(&parts[0]))), "which the registry did not name");
    let (other, _) = damaged(&world, Epoch(0), &[(1, 30, 5_000)], &[20], |report, _| report.version = 9);
    refused(world.run(accuse(&other, None)), "cannot judge");
    assert_eq!(meta_registry::read(world.state(), &person(20).address()).expect("there").status, meta_registry::Status::Active);

    type Damage<'a> = &'a dyn Fn(&mut Report, &mut Vec<Part>);
    let rehash = |report: &mut Report, parts: &[Part]| report.parts = parts.iter().map(Part::hash).collect();
    let damages: [(Damage<'_>, bool); 7] = [
        (
            &|report, _| {
                report.parts.clear();
                report.receipts = 0;
            },
            false,
        ),
        (&|report, _| report.epoch = Epoch(1), false),
        (&|report, _| report.receipts = 0, false),
        (&|report, _| report.liveness.push(report.liveness[0]), false),
        (&|report, _| report.noz = Noz(4_999), true),
        (
            &|report, parts| {
                parts[0].aggregate.0[3] ^= 1;
                rehash(report, parts);
            },
            true,
        ),
        (
            &|report, parts| {
                parts[0].carriers[0].carrier = person(77).address();
                rehash(report, parts);
            },
            true,
        ),
    ];
    for (number, (damage, needs_part)) in damages.into_iter().enumerate() {
        let mut world = World::new();
        world.block(EPOCH_MS, Vec::new());
        let (report, parts) = damaged(&world, Epoch(0), &[(1, 30, 5_000)], &[20], damage);
        assert!(world.run(Message::Settle { report: report.clone(), part: Some(Box::new(parts[0].clone())) }).is_err(), "{number}");
        assert_eq!(world.run(accuse(&report, None)).is_err(), needs_part, "{number}");
        if needs_part {
            world.run(accuse(&report, Some(&parts[0]))).expect("false");
        }
        let node = meta_registry::read(world.state(), &person(20).address()).expect("kept");
        assert_eq!((node.status, settlement::progress(world.state()).epoch), (meta_registry::Status::Tombstoned, Epoch(1)), "{number}");
    }
}

/// The last ticket of meta node 20 for the session of payer 1 with a carrier.
pub(super) fn ticket(world: &World, epoch: Epoch, carrier: u8, channel_total: u64, session_total: u128) -> Ticket {
    Ticket {
        chain: world.genesis.hash(),
        epoch,
        payer: person(1).address(),
        session: session_of(1).public(),
        carrier: person(carrier).address(),
        class: Class::Download,
        slice: Hash([7; 32]),
        bytes_max: 1,
        channel_total,
        session_total: Noz(session_total),
        issuer: person(20).address(),
    }
}

fn accuse(tickets: &[Ticket], standing: &Proven) -> Message {
    Message::AccuseIssuer { tickets: tickets.iter().map(|ticket| Signed::sign(*ticket, &node_key(20))).collect(), standing: Box::new(standing.clone()) }
}

fn promise_keys_of_one(epoch: Epoch) -> Vec<Vec<u8>> {
    promise_keys(epoch, &person(1).address(), &session_of(1).public())
}

/// Attack: a meta node issues tickets beyond the allowance. Its own signatures convict it, and what it promised too much is paid from its deposit.
#[test]
fn tickets_beyond_the_allowance_convict_their_issuer() {
    let mut world = World::new();
    let epoch = world.reported(&[]);
    let known = Known::new(1, 10_000);
    let keys = || promise_keys_of_one(epoch);
    let standing = world.standing(epoch, keys(), &[known], &[20]);
    let honest = ticket(&world, epoch, 30, 6_000, 10_000);
    refused(world.run(accuse(&[honest], &standing)), "within the 10000 noz reserved with it");
    refused(world.run(accuse(&[honest, honest], &standing)), "not of a higher class");
    let unsigned = Message::AccuseIssuer { tickets: vec![Signed::sign(ticket(&world, epoch, 30, 9, 60_000), &node_key(21))], standing: standing.clone() };
    refused(world.run(unsigned), "is not that of the key");
    refused(world.run(accuse(&[], &standing)), "0 tickets");
    let guilty = [ticket(&world, epoch, 30, 600, 10_700)];
    let settled = world.standing(epoch, keys(), &[Known { unsettled: 1, ..known }], &[20]);
    refused(world.run(accuse(&guilty, &settled)), "over and not yet settled");
    let not_over = world.standing(epoch.next(), keys(), &[known], &[20]);
    refused(world.run(accuse(&guilty, &not_over)), "over and not yet settled");
    for unread in 0..4 {
        let some = keys().into_iter().enumerate().filter(|(place, _)| *place != unread).map(|(_, key)| key).collect();
        let unread_standing = world.standing(epoch, some, &[known], &[20]);
        // Who has claimed is asked only before the report is there.
        if unread != 1 {
            refused(world.run(accuse(&guilty, &unread_standing)), "over and not yet settled");
        }
    }
    assert_eq!(meta_registry::read(world.state(), &person(20).address()).expect("there").status, meta_registry::Status::Active);

    // 700 too many, of which the carrier was promised 600.
    let worth = market::curve(world.state()).redemption(Noz(600)).expect("small");
    let before = accounts::read(world.state(), &person(30).address()).balance.0;
    let events = world.run(accuse(&guilty, &standing)).expect("10,700 of 10,000");
    assert_eq!(accounts::read(world.state(), &person(30).address()).balance.0 - before, worth.0);
    let (operator, slashed, reward) = (person(20).address(), Amount::stos(50), Amount(Amount::stos(50).0 / 100));
    assert_eq!(
        events,
        [Event::MetaConvicted {
            operator,
            slashed,
            accuser: person(2).address(),
            reward,
            carrier: Some(person(30).address()),
            compensated: worth,
            forfeited: Amount::ZERO
        }]
    );
    refused(world.run(accuse(&guilty, &standing)), "convicted before");
}

/// Attack: a meta node tells each carrier that it is the only one, so that no ticket shows too much. What others have claimed shows it, before the report and
/// after it, and what is claimed directly.
#[test]
fn what_is_promised_to_several_convicts_when_one_has_claimed() {
    let known = Known { claimed: 7_000, ..Known::new(1, 10_000) };
    let told = |world: &World, epoch| [ticket(world, epoch, 31, 4_000, 4_000)];
    let excess = |world: &World| market::curve(world.state()).redemption(Noz(1_000)).expect("small");

    // The epoch is over, not yet closed: somebody has claimed.
    let mut world = World::new();
    world.block(EPOCH_MS, Vec::new());
    let before_report = |world: &World, claimants: &[u8]| {
        let claimants: Vec<Address> = claimants.iter().map(|carrier| person(*carrier).address()).collect();
        world.standing_with(Epoch(0), promise_keys_of_one(Epoch(0)), &[known], &[20], |overlay| {
            overlay.delete(&report::key(Epoch(0)));
            if !claimants.is_empty() {
                overlay.put(claimants_key(Epoch(0)), encode(&claimants)).expect("short");
            }
        })
    };
    let [nobody, itself, another] = [&[][..], &[30, 31], &[30]].map(|claimants| before_report(&world, claimants));
    let tickets = told(&world, Epoch(0));
    refused(world.run(accuse(&tickets, &nobody)), "over and not yet settled");
    refused(world.run(accuse(&tickets, &itself)), "others claimed 0");
    let worth = excess(&world);
    let events = world.run(accuse(&tickets, &another)).expect("4,000 and 7,000 of 10,000");
    assert!(matches!(events[..], [Event::MetaConvicted { compensated, .. }] if compensated == worth), "{events:?}");

    // The report holds 7,000 of another, and lacks this carrier; then part of it is claimed directly.
    for (in_report, direct) in [(30, None), (31, None), (30, Some(500))] {
        let mut world = World::new();
        let epoch = world.reported(&[(1, in_report, 7_000)]);
        let claimed = direct.map_or(7_000, |direct: u64| {
            let message = world.direct(epoch, 32, &[(1, direct)], &[Known { claimed: 6_500, spent: 6_500, ..known }]);
            world.run(message).expect("it fits");
            7_000 - u128::from(direct)
        });
        let standing = world.standing(epoch, promise_keys_of_one(epoch), &[Known { claimed, ..known }], &[20]);
        let tickets = told(&world, epoch);
        if in_report == 31 {
            refused(world.run(accuse(&tickets, &standing)), "others claimed 0");
            continue;
        }
        let worth = excess(&world);
        let events = world.run(accuse(&tickets, &standing)).expect("4,000 and 7,000 of 10,000");
        assert!(matches!(events[..], [Event::MetaConvicted { compensated, .. }] if compensated == worth), "{events:?}");
    }

    // Who has claimed directly accuses too late.
    let mut world = World::new();
    let epoch = world.reported(&[(1, 30, 7_000)]);
    let own = world.direct(epoch, 31, &[(1, 2_000)], &[known]);
    world.run(own).expect("it fits");
    let standing = world.standing(epoch, promise_keys_of_one(epoch), &[known], &[20]);
    let tickets = told(&world, epoch);
    refused(world.run(accuse(&tickets, &standing)), "others claimed 0");
}

/// What counts as claimed by others at the borders: a report that the value ledger has not seen yet, a carrier that has claimed directly of lower sessions
/// only.
#[test]
fn what_cannot_be_that_of_others_does_not_convict() {
    let known = Known { claimed: 7_000, ..Known::new(1, 10_000) };
    let mut world = World::new();
    world.block(EPOCH_MS, Vec::new());
    let standing = world.standing(Epoch(0), promise_keys_of_one(Epoch(0)), &[known], &[20]);
    let tickets = [ticket(&world, Epoch(0), 31, 4_000, 4_000)];
    refused(world.run(accuse(&tickets, &standing)), "others claimed 0");
    let (report, mut parts) = world.report(Epoch(0), &[(1, 30, 7_000)]);
    world.run(Message::Settle { report, part: parts.pop().map(Box::new) }).expect("it holds");
    world.run(accuse(&tickets, &standing)).expect("another, as the value ledger knows now");
}

/// Direct claims go up: of what lies above its last one a carrier has claimed nothing, and of what lies below nobody knows.
#[test]
fn who_has_claimed_lower_sessions_directly_can_still_accuse() {
    let known = Known { claimed: 7_000, ..Known::new(1, 10_000) };
    let lower = (3..20).find(|number| person(*number).address() < person(1).address()).expect("one of them");
    let mut world = World::new();
    let epoch = world.reported(&[(1, 30, 7_000)]);
    let own = world.direct(epoch, 31, &[(lower, 2_000)], &[Known::new(lower, 2_000)]);
    world.run(own).expect("it fits");
    let standing = world.standing(epoch, promise_keys_of_one(epoch), &[known], &[20]);
    let tickets = [ticket(&world, epoch, 31, 4_000, 4_000)];
    let own = world.direct(epoch, 32, &[(1, 1_000)], &[known]);
    world.run(own).expect("it fits");
    let of_claimant = [ticket(&world, epoch, 32, 4_000, 4_000)];
    refused(world.run(accuse(&of_claimant, &standing)), "others claimed 0");
    world.run(accuse(&tickets, &standing)).expect("4,000 and 8,000 of 10,000");
}

/// Under a condemned report what was claimed on the metadata ledger counts for nothing; what is claimed directly instead does.
#[test]
fn a_condemned_report_does_not_speak_for_others() {
    let mut world = World::new();
    // Those of before certified it; the issuer is another.
    let metas = [21, 22, 23, 24];
    activate(&mut world, &metas);
    world.block(EPOCH_MS, Vec::new());
    let (report, _) = damaged(&world, Epoch(0), &[(1, 30, 7_000)], &[20], |report, _| report.receipts = 0);
    world.run(Message::AccuseReport { epoch: Epoch(0), report, part: None }).expect("it is false");
    let known = Known { claimed: 7_000, spent: 7_000, home: 23, ..Known::new(1, 10_000) };
    let standing = world.standing(Epoch(0), promise_keys_of_one(Epoch(0)), &[known], &metas);
    let promised = Ticket { issuer: person(23).address(), ..ticket(&world, Epoch(0), 31, 4_000, 4_000) };
    let message = Message::AccuseIssuer { tickets: vec![Signed::sign(promised, &node_key(23))], standing };
    refused(world.run(message.clone()), "others claimed 0");
    let traffic: Vec<(u8, u8, u64)> = vec![(1, 30, 6_500)];
    let claim = claims(world.genesis.hash(), Epoch(0), &traffic).0.remove(0);
    let standing = world.standing(Epoch(0), keys_of(&claim), &[known], &metas);
    let direct = Message::ClaimDirectly { claim: Box::new(covered(world.genesis.hash(), claim, 23)), standing };
    world.run(direct).expect("what the report had claimed");
    let worth = market::curve(world.state()).redemption(Noz(500)).expect("small");
    let events = world.run(message).expect("4,000 and 6,500 of 10,000");
    assert!(matches!(events[..], [Event::MetaConvicted { compensated, .. }] if compensated == worth), "{events:?}");
}

/// Attack: a meta node promises everything to itself and accuses itself, to get its deposit out or to be convicted of less than it did. Half of the slash is
/// burned, and a false report is paid for all the same.
#[test]
fn who_accuses_itself_gains_nothing() {
    for (carrier, compensation) in [(30, Amount::stos(25)), (3, Amount::ZERO)] {
        let mut world = World::new();
        let epoch = world.reported(&[]);
        let tickets = [ticket(&world, epoch, carrier, u64::MAX, u128::MAX)];
        let standing = world.standing(epoch, promise_keys_of_one(epoch), &[], &[20]);
        let burned = Pools::read(world.state()).burned;
        let events = world.run(accuse(&tickets, &standing)).expect("nothing was reserved");
        let [Event::MetaConvicted { slashed, reward, compensated, .. }] = events[..] else { panic!("{events:?}") };
        assert_eq!((slashed, compensated), (Amount::stos(50), compensation), "only carriers are compensated");
        assert!(Pools::read(world.state()).burned.0 - burned.0 >= slashed.0 - reward.0 - compensated.0);

        world.block(EPOCH_MS, Vec::new());
        let (report, _) = damaged(&world, epoch.next(), &[(1, 30, 5_000)], &[20], |report, _| report.receipts = 0);
        let events = world.run(Message::AccuseReport { epoch: epoch.next(), report, part: None }).expect("it is false");
        assert!(matches!(&events[..], [Event::MetaConvicted { slashed, .. }, Event::ReportCondemned { .. }] if *slashed == Amount::stos(25)), "{events:?}");
    }
}

/// What a convicted node earned and cannot withdraw yet answers as its deposit does; what is mature is its own.
#[test]
fn rewards_that_are_not_mature_answer() {
    let mut world = World::new();
    let epoch = world.reported(&[]);
    let (operator, now) = (person(20).address(), epochs::current(world.state()).number);
    let mut state = world.state().child();
    pools::transfer(&mut state, Pool::Reserve, Pool::Rewards, Amount(131)).expect("there");
    rewards::credit(&mut state, &operator, Amount(30), now, 0);
    rewards::credit(&mut state, &operator, Amount(101), now, 9);
    world.parent.state = state.seal();
    let tickets = [ticket(&world, epoch, 30, u64::MAX, u128::MAX)];
    let standing = world.standing(epoch, promise_keys_of_one(epoch), &[], &[20]);
    let burned = Pools::read(world.state()).burned;
    let events = world.run(accuse(&tickets, &standing)).expect("nothing was reserved");
    let [Event::MetaConvicted { slashed, reward, compensated, forfeited, .. }] = events[..] else { panic!("{events:?}") };
    assert_eq!(forfeited, Amount(51), "half, rounded up");
    assert_eq!(rewards::read(world.state(), &operator).at(now), (Amount(30), Amount(50)));
    let fees = Pools::read(world.state()).burned.0 - burned.0 - (slashed.0 - reward.0 - compensated.0);
    assert!(fees >= 51, "{fees}");
    crate::invariants::check(world.state()).expect("the pool is what the records say");
}

/// Tickets of a meta node that is not the session's home, or for a session that reserved nothing, were never within anything.
#[test]
fn tickets_without_an_allowance_convict_their_issuer() {
    for (known, is_known) in [(Known { home: 21, ..Known::new(1, 10_000) }, true), (Known::new(1, 0), false)] {
        let mut world = World::new();
        let epoch = world.reported(&[]);
        let standing = world.standing(epoch, promise_keys_of_one(epoch), if is_known { std::slice::from_ref(&known) } else { &[] }, &[20]);
        let tickets = [ticket(&world, epoch, 30, 1, 1)];
        world.run(accuse(&tickets, &standing)).expect("nothing was reserved with it");
    }
}

/// Attack: an epoch with a huge number, which would have everything wait for it, or a count overflow.
#[test]
fn an_epoch_with_a_huge_number_is_refused() {
    let mut world = World::new();
    let next = world.reported(&[]).next();
    world.block(EPOCH_MS, Vec::new());
    for epoch in [Epoch(u64::MAX), Epoch(u64::MAX - 1), Epoch(1 << 32), next.next()] {
        let (report, parts) = world.report(epoch, &[(1, 30, 5_000)]);
        refused(world.run(Message::Settle { report: report.clone(), part: Some(Box::new(parts[0].clone())) }), "does not contain the report of epoch 1");
        let direct = world.direct(epoch, 31, &[(1, 10)], &[Known::new(1, 100)]);
        refused(world.run(direct), "is not open to direct claims");
        refused(world.run(Message::AccuseReport { epoch, report, part: Some(Box::new(parts[0].clone())) }), "does not wait for a report");
    }
    // And nothing waits for it: the next one is taken.
    let (report, parts) = world.report(next, &[(1, 30, 5_000)]);
    world.run(Message::Settle { report, part: Some(Box::new(parts[0].clone())) }).expect("the next one");
    assert_eq!(settlement::progress(world.state()).epoch, next.next());
}

/// The causes that people read.
#[test]
fn accusations_say_why_they_fail() {
    let mut world = World::new();
    let epoch = world.reported(&[]);
    let standing = world.standing(epoch, vec![report::key(epoch)], &[], &[20]);
    let body = Ticket { issuer: person(30).address(), ..ticket(&world, epoch, 30, 1, 1) };
    let stranger = AccusationError::Stranger(person(30).address()).to_string();
    refused(world.run(Message::AccuseIssuer { tickets: vec![Signed::sign(body, &node_key(30))], standing }), &stranger);
}
