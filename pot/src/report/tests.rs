//! Tests of reports: built by one side, checked by the other, refused by name.

use std::collections::BTreeMap;

use primitives::{AccountSecret, Epoch, PublicKey, SecretKey};
use proptest::prelude::*;

use super::*;
use crate::LastReceipt;
use crate::claim::ClaimError;
use crate::claim::ClaimedReceipts;
use crate::grant::GrantError;
use crate::samples::{CHAIN, carrier_address_of, carrier_of, grant_of, receipt_for};

const EPOCH: Epoch = Epoch(3);

type Grants = BTreeMap<(Address, PublicKey), SignedGrant>;

/// One channel: carrier, payer, salt of the session, class, bytes.
type Channel = (u8, u8, u8, Class, u64);

fn world(channels: &[Channel]) -> (Vec<ClaimedReceipts>, Grants) {
    let mut by_carrier: BTreeMap<u8, Vec<_>> = BTreeMap::new();
    let mut grants = Grants::new();
    for (carrier, payer, salt, class, bytes) in channels {
        by_carrier.entry(*carrier).or_default().push(receipt_for(carrier_address_of(*carrier), *payer, *class, *bytes, &[*salt]));
        let grant = grant_of(*payer, &[*salt]);
        grants.insert((grant.grant.payer, grant.grant.session), grant);
    }
    let sign = |(carrier, receipts)| ClaimedReceipts::sign(CHAIN, EPOCH, carrier_address_of(carrier), receipts, &carrier_of(carrier)).expect("valid");
    (by_carrier.into_iter().map(sign).collect(), grants)
}

fn sample() -> Vec<Channel> {
    vec![
        (1, 1, 0, Class::Download, 100),
        (1, 1, 0, Class::Upload, 50),
        (1, 1, 1, Class::Download, 7),
        (1, 2, 0, Class::Stream, 9),
        (2, 1, 0, Class::Download, 30),
    ]
}

/// The report and its parts.
fn built(claims: &[ClaimedReceipts], grants: &Grants) -> Result<(Report, Vec<Part>), BuildError> {
    let keys = claims.iter().filter_map(|claim| Some((claim.carrier, carrier_key(&claim.carrier)?))).collect();
    build(EPOCH, claims, &Known { chain: CHAIN, grants, keys: &keys, liveness: &BTreeMap::new() })
}

fn carrier_key(address: &Address) -> Option<PublicKey> {
    (address.0[0] < 100).then(|| carrier_of(address.0[0]).public())
}

fn check(part: &Part) -> Result<VerifiedPart, PartError> {
    verify_part(part, CHAIN, EPOCH, carrier_key)
}

/// A report of this part alone.
fn report_of(part: &Part) -> Report {
    Report { version: VERSION, epoch: EPOCH, parts: vec![part.hash()], receipts: 5, noz: Noz(196), liveness: vec![] }
}

fn charge(payer: u8, carrier: u8, class: Class, noz: u128) -> Charge {
    Charge { payer: crate::samples::wallet(payer).address(), carrier: carrier_address_of(carrier), class, noz: Noz(noz) }
}

/// Charges in the order of their fields.
fn sorted(charges: impl IntoIterator<Item = Charge>) -> Vec<(Address, Address, Class, Noz)> {
    let mut charges: Vec<_> = charges.into_iter().map(|charge| (charge.payer, charge.carrier, charge.class, charge.noz)).collect();
    charges.sort();
    charges
}

fn sample_part() -> Part {
    let (claims, grants) = world(&sample());
    let (report, parts) = built(&claims, &grants).expect("builds");
    assert_eq!((report.parts.len(), report.receipts, report.noz), (1, 5, Noz(196)));
    parts.into_iter().next().expect("one part")
}

#[test]
fn a_part_says_who_owes_what() {
    let part = sample_part();
    let verified = check(&part).expect("valid");
    let owed = [charge(1, 1, Class::Download, 107), charge(1, 1, Class::Upload, 50), charge(2, 1, Class::Stream, 9), charge(1, 2, Class::Download, 30)];
    assert_eq!(sorted(verified.charges()), sorted(owed));
    assert_eq!((verified.receipts(), verified.noz(), verified.carrier_last()), (5, Noz(196), carrier_address_of(2)));
    assert_eq!(Part::decode(&encoding::encode(&part)), Ok(part));
}

/// Every way of being wrong has a name.
#[test]
fn parts_are_refused_by_name() {
    let good = sample_part();
    let mut part = good.clone();
    part.version = 1;
    assert_eq!(check(&part), Err(PartError::Version { found: 1 }));
    let mut part = good.clone();
    part.epoch = Epoch(u64::MAX);
    assert_eq!(check(&part), Err(PartError::Epoch { expected: EPOCH, found: Epoch(u64::MAX) }));
    assert!(matches!(verify_part(&good, Hash([1; 32]), EPOCH, carrier_key), Err(PartError::Grant { index: 0, cause: GrantError::Chain { .. } })));
    assert!(matches!(verify_part(&good, CHAIN, EPOCH, |_| None), Err(PartError::Carrier { index: 0, .. })));
    assert!(matches!(verify_part(&good, CHAIN, EPOCH, |_| Some(PublicKey([0; 32]))), Err(PartError::CarrierKey { index: 0, .. })));

    let mut part = good.clone();
    part.entries.clear();
    assert_eq!(check(&part), Err(PartError::Empty("entries")));
    let mut part = good.clone();
    part.entries = vec![part.entries[0]; ENTRIES_MAX + 1];
    assert_eq!(check(&part), Err(PartError::TooMany { what: "entries", count: ENTRIES_MAX + 1, max: ENTRIES_MAX }));
    let mut part = good.clone();
    part.payers = vec![part.payers[0]; 3000];
    assert!(matches!(check(&part), Err(PartError::TooMany { what: "bytes", .. })));
    let mut part = good.clone();
    part.entries.swap(0, 1);
    assert_eq!(check(&part), Err(PartError::Order { what: "entry", index: 1 }));
    let mut part = good.clone();
    part.entries.insert(1, part.entries[1]);
    assert_eq!(check(&part), Err(PartError::Order { what: "entry", index: 2 }));
    let mut part = good.clone();
    part.payers.swap(0, 1);
    assert!(matches!(check(&part), Err(PartError::Order { what: "payer", .. })));
    let mut part = good.clone();
    part.carriers.push(part.carriers[1]);
    assert_eq!(check(&part), Err(PartError::Order { what: "carrier", index: 2 }));
    let mut part = good.clone();
    part.carriers.push(CarrierClaim { carrier: carrier_address_of(9), ..part.carriers[1] });
    assert_eq!(check(&part), Err(PartError::Unused { what: "carrier", index: 2 }));
    let mut part = good.clone();
    part.entries.last_mut().expect("an entry").payer = 3;
    assert_eq!(check(&part), Err(PartError::Index { entry: 4, what: "payer", index: 3, count: 3 }));
    let mut part = good.clone();
    part.entries.last_mut().expect("an entry").carrier = 2;
    assert_eq!(check(&part), Err(PartError::Index { entry: 4, what: "carrier", index: 2, count: 2 }));
    let mut part = good.clone();
    part.entries[2].bytes = 0;
    assert!(matches!(check(&part), Err(PartError::Claim { index: 0, cause: ClaimError::Zero { index: 2 } })));
}

/// Said or sent: ten million entries are refused by the length of what holds them, before anything is made of them.
#[test]
fn a_part_of_ten_million_entries_is_refused() {
    let (good, entries) = (sample_part(), 10_000_000u32);
    let mut bytes = encoding::encode(&good);
    let count = bytes.len() - 32 - good.entries.len() * 45 - 4;
    assert_eq!(bytes[count..count + 4], 5u32.to_le_bytes());
    bytes[count..count + 4].copy_from_slice(&entries.to_le_bytes());
    assert!(Part::decode(&bytes).is_err(), "said");
    let sent = Part { entries: vec![good.entries[0]; entries as usize], ..good };
    assert_eq!(check(&sent), Err(PartError::TooMany { what: "entries", count: 10_000_000, max: ENTRIES_MAX }));
    let bytes = encoding::encode(&sent);
    assert!(Part::decode(&bytes).expect_err("sent").to_string().contains(&PART_BYTES_MAX.to_string()));
}

#[test]
fn unused_payers_and_caps() {
    let good = sample_part();
    let mut part = good.clone();
    let more = grant_of(3, b"more");
    part.payers.push(more);
    part.payers.sort_by_key(|payer| (payer.grant.payer, payer.grant.session));
    let at = part.payers.iter().position(|payer| *payer == more).expect("there");
    for entry in &mut part.entries {
        entry.payer += u16::from(usize::from(entry.payer) >= at);
    }
    assert_eq!(check(&part), Err(PartError::Unused { what: "payer", index: at }));

    let (claims, mut grants) = world(&[(1, 1, 0, Class::Download, 100), (2, 1, 0, Class::Download, 100)]);
    let session = crate::samples::session_of(1, &[0]);
    for (cap, is_enough) in [(199, false), (200, true)] {
        let grant = SignedGrant::sign(CHAIN, &crate::samples::wallet(1), &session, Epoch(9), Noz(cap));
        grants.insert((grant.grant.payer, grant.grant.session), grant);
        let (_, parts) = built(&claims, &grants).expect("builds");
        assert_eq!(check(&parts[0]).is_ok(), is_enough);
        assert!(is_enough || check(&parts[0]) == Err(PartError::Cap { index: 0, charged: Noz(200), cap: Noz(199) }));
    }
    let expired = SignedGrant::sign(CHAIN, &crate::samples::wallet(1), &session, Epoch(2), Noz(1 << 60));
    grants.insert((expired.grant.payer, expired.grant.session), expired);
    let (_, parts) = built(&claims, &grants).expect("builds");
    assert!(matches!(check(&parts[0]), Err(PartError::Grant { index: 0, cause: GrantError::Expired { .. } })));
}

/// Checks POT-5: nothing passes that was not signed, however it is brought into the part.
#[test]
fn what_was_not_signed_is_refused() {
    let good = sample_part();
    let unsigned = PartError::Aggregate { entries: 5, carriers: 2 };
    let refused = |change: &dyn Fn(&mut Part)| {
        let mut part = good.clone();
        change(&mut part);
        check(&part).expect_err("not what was signed")
    };
    assert_eq!(refused(&|part| part.entries[1].commitment[5] ^= 1), unsigned);
    assert_eq!(refused(&|part| part.carriers[1].commitment[5] ^= 1), unsigned);
    assert_eq!(refused(&|part| part.aggregate.0[0] ^= 1), unsigned);
    assert_eq!(refused(&|part| part.aggregate.0 = [0xff; 32]), unsigned, "not canonical");
    assert_eq!(refused(&|part| part.entries[0].bytes += 1), unsigned, "more bytes than were signed for");
    assert_eq!(refused(&|part| part.entries[0].bytes -= 1), unsigned, "fewer");
    assert_eq!(refused(&|part| (part.entries[0].commitment, part.entries[1].commitment) = (part.entries[1].commitment, part.entries[0].commitment)), unsigned);
    assert_eq!(refused(&|part| part.entries[3].class = Class::Download), unsigned, "of another class");
    // A receipt left out: the claim over the rest is not what the carrier signed.
    let left_out = refused(&|part| {
        let payer = part.entries[4].payer;
        let at = part.entries.iter().position(|entry| entry.payer == payer).expect("the same payer at the first carrier");
        part.entries.remove(at);
    });
    assert_eq!(left_out, PartError::Aggregate { entries: 4, carriers: 2 });
    let other = verify_part(&good, CHAIN, EPOCH, |_| Some(carrier_of(99).public()));
    assert_eq!(other, Err(unsigned), "a carrier with another key");
}

/// Grants are named that their wallets or sessions did not sign.
#[test]
fn unsigned_grants_are_named() {
    let mut part = sample_part();
    part.payers[0].signature.0[5] ^= 1;
    part.payers[2].possession.0[5] ^= 1;
    assert_eq!(check(&part), Err(PartError::Grants { grants: vec![0], sessions: vec![2] }));
}

#[test]
fn ed25519_wallets_pay_too() {
    let wallet = AccountSecret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[4; 32])));
    let session = SecretKey::from_seed(&[5; 32]);
    let channel = crate::Channel { epoch: EPOCH, carrier: carrier_address_of(1), payer: wallet.address(), session: session.public(), class: Class::Download };
    let receipt = crate::Signed::sign(crate::Receipt::new(CHAIN, channel, 10), &session).verify_by_session(CHAIN).expect("valid");
    let claim = ClaimedReceipts::sign(CHAIN, EPOCH, carrier_address_of(1), vec![receipt], &carrier_of(1)).expect("valid");
    let grant = SignedGrant::sign(CHAIN, &wallet, &session, EPOCH, Noz(10));
    let grants = Grants::from([((wallet.address(), session.public()), grant)]);
    let (_, parts) = built(&[claim], &grants).expect("builds");
    assert!(check(&parts[0]).is_ok());
    let mut part = parts[0].clone();
    part.payers[0].signature.0[0] ^= 1;
    assert!(matches!(check(&part), Err(PartError::Grants { grants, .. }) if grants == [0]));
}

#[test]
fn building_refuses_by_name() {
    let (claims, grants) = world(&sample());
    assert!(matches!(built(&[claims[0].clone(), claims[0].clone()], &grants), Err(BuildError::Order { .. })));
    assert!(matches!(built(&[claims[1].clone(), claims[0].clone()], &grants), Err(BuildError::Order { .. })));
    assert!(matches!(built(&claims, &Grants::new()), Err(BuildError::Grant { .. })));
    let changed = |change: &dyn Fn(&mut ClaimedReceipts)| {
        let mut claims = claims.clone();
        change(&mut claims[0]);
        built(&claims, &grants).expect_err("refused")
    };
    let carrier = claims[0].carrier;
    assert!(matches!(changed(&|claim| claim.epoch = Epoch(4)), BuildError::Epoch { found: Epoch(4), .. }));
    assert!(matches!(changed(&|claim| claim.receipts.clear()), BuildError::Count { count: 0, .. }));
    assert_eq!(changed(&|claim| claim.receipts[1].signature.0[63] = 0), BuildError::Malformed { carrier });
    assert_eq!(changed(&|claim| claim.signature.0[63] = 0), BuildError::Malformed { carrier });
    assert_eq!(changed(&|claim| claim.receipts[2].bytes = 0), BuildError::Claim { carrier, cause: ClaimError::Zero { index: 2 } });
    let known = Known { chain: CHAIN, grants: &grants, keys: &BTreeMap::new(), liveness: &BTreeMap::new() };
    assert_eq!(build(EPOCH, &claims, &known), Err(BuildError::Key { carrier }));
}

#[test]
fn an_empty_epoch_has_an_empty_report() {
    let liveness = BTreeMap::from([(carrier_address_of(7), 3)]);
    let known = Known { chain: CHAIN, grants: &Grants::new(), keys: &BTreeMap::new(), liveness: &liveness };
    let (report, parts) = build(EPOCH, &[], &known).expect("builds");
    assert!(parts.is_empty());
    assert_eq!(report.check(EPOCH), Ok(()));
    assert_eq!(Cursor::default().is_complete(&report), Ok(true));
}

#[test]
fn reports_are_refused_by_name() {
    let good = Report {
        version: VERSION,
        epoch: EPOCH,
        parts: vec![Hash::ZERO],
        receipts: 1,
        noz: Noz(1),
        liveness: vec![(Address([1; 20]), 1), (Address([2; 20]), 1)],
    };
    assert_eq!(good.check(EPOCH), Ok(()));
    let change = |change: &dyn Fn(&mut Report)| {
        let mut report = good.clone();
        change(&mut report);
        report.check(EPOCH)
    };
    assert_eq!(change(&|report| report.version = 0), Err(ReportError::Version { found: 0 }));
    assert_eq!(change(&|report| report.epoch = Epoch(u64::MAX)), Err(ReportError::Epoch { expected: EPOCH, found: Epoch(u64::MAX) }));
    assert_eq!(change(&|report| report.liveness.swap(0, 1)), Err(ReportError::Liveness { index: 1 }));
    assert_eq!(change(&|report| report.receipts = 0), Err(ReportError::Counts { parts: 1, receipts: 0 }));
    assert_eq!(change(&|report| report.receipts = u64::MAX), Err(ReportError::Counts { parts: 1, receipts: u64::MAX }));
    assert!(matches!(change(&|report| report.parts = vec![Hash::ZERO; PARTS_MAX + 1]), Err(ReportError::TooMany { what: "parts", .. })));
}

/// Checks POT-4: the cursor takes the parts that the report names, once, in order, with carriers that go up.
#[test]
fn the_cursor_takes_each_part_once() {
    let good = sample_part();
    let report = report_of(&good);
    let take = |cursor: Cursor, report: &Report, part: &Part| cursor.take(CHAIN, report, part, carrier_key).map(|(cursor, _)| cursor);
    let start = Cursor::default();
    assert_eq!(start.is_complete(&report), Ok(false));
    let end = take(start, &report, &good).expect("the next part");
    assert_eq!(end, Cursor { next: 1, after: Some(carrier_address_of(2)), receipts: 5, noz: Noz(196) });
    assert_eq!(end.is_complete(&report), Ok(true));
    assert_eq!(take(end, &report, &good), Err(PartError::TooMany { what: "parts", count: 2, max: 1 }));
    let twice = Report { parts: vec![good.hash(); 2], ..report.clone() };
    assert_eq!(take(end, &twice, &good), Err(PartError::Number { expected: 1, found: 0 }));
    // The same channels again under the next number.
    let again = Part { number: 1, ..good.clone() };
    let twice = Report { parts: vec![good.hash(), again.hash()], ..report.clone() };
    assert_eq!(take(end, &twice, &again), Err(PartError::Order { what: "carrier", index: 0 }));
    let other = Report { parts: vec![Hash::ZERO], ..report.clone() };
    assert_eq!(take(start, &other, &good), Err(PartError::Hash { expected: Hash::ZERO, found: good.hash() }));
    let more = Report { noz: Noz(197), ..report };
    assert_eq!(end.is_complete(&more), Err(ReportError::Totals { receipts: 5, noz: Noz(197), found_receipts: 5, found_noz: Noz(196) }));
}

#[test]
fn many_claims_make_several_parts() {
    // Filler signatures: this is about sizes and order, not about what the batch says.
    let signature = crate::Signed::sign(crate::Receipt::new(CHAIN, crate::samples::channel(), 1), &crate::samples::session()).signature;
    let grant = grant_of(1, b"x");
    let (mut claims, mut grants) = (Vec::new(), Grants::new());
    for carrier in 1..=6u8 {
        let mut receipts = Vec::new();
        for number in 0..2000u16 {
            let (payer, session) = (grant.grant.payer, PublicKey(Hash::of("s", &[&[carrier], &number.to_be_bytes()]).0));
            receipts.push(LastReceipt { payer, session, class: Class::Download, bytes: 1, signature });
            let mut grant = grant;
            grant.grant.session = session;
            grants.insert((payer, session), grant);
        }
        receipts.sort_by_key(|receipt| receipt.session);
        claims.push(ClaimedReceipts { epoch: EPOCH, carrier: carrier_address_of(carrier), receipts, signature });
    }
    let (report, parts) = built(&claims, &grants).expect("builds");
    assert_eq!((parts.len(), report.receipts, report.noz), (6, 12_000, Noz(12_000)));
    assert!(parts.iter().all(|part| encoding::encode(part).len() <= PART_BYTES_MAX));
    assert_eq!(report.check(EPOCH), Ok(()));
    let carriers: Vec<Address> = parts.iter().flat_map(|part| part.carriers.iter().map(|row| row.carrier)).collect();
    assert_eq!(carriers, (1..=6).map(carrier_address_of).collect::<Vec<_>>());
    assert!(parts.iter().zip(0..).all(|(part, number)| part.number == number && part.hash() == report.parts[number as usize]));
}

/// The wire formats: changing one of these lines is a fork.
#[test]
fn golden_encodings() {
    let report = Report { version: 2, epoch: Epoch(2), parts: vec![Hash([3; 32])], receipts: 4, noz: Noz(5), liveness: vec![(Address([6; 20]), 7)] };
    let golden =
        format!("02020000000000000001000000{}0400000000000000{}01000000{}07000000", "03".repeat(32), "05000000000000000000000000000000", "06".repeat(20));
    assert_eq!(hex::encode(encoding::encode(&report)), golden);
    let entry = Entry { carrier: 1, payer: 2, class: Class::Stream, bytes: 3, commitment: [4; 32] };
    assert_eq!(hex::encode(encoding::encode(&entry)), format!("01000200020300000000000000{}", "04".repeat(32)));
    let carrier = CarrierClaim { carrier: Address([5; 20]), commitment: [6; 32] };
    let part = Part { version: 2, epoch: Epoch(1), number: 3, payers: vec![], carriers: vec![carrier], entries: vec![entry], aggregate: Aggregate([7; 32]) };
    let golden = format!(
        "0201000000000000000300000000000000{}{}{}{}{}{}",
        "01000000",
        "05".repeat(20),
        "06".repeat(32),
        "01000000",
        hex::encode(encoding::encode(&entry)),
        "07".repeat(32)
    );
    assert_eq!(hex::encode(encoding::encode(&part)), golden);
    assert_eq!(hex::encode(key(Epoch(258))), "05520000000000000102");
    assert_eq!(hex::encode(part_key(Epoch(258), 3)), "0550000000000000010200000003");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Checks POT-4 and POT-5: what the metadata ledger builds, the value ledger accepts, with the plain sums; a flipped bit is refused.
    #[test]
    fn built_parts_verify(
        channels in proptest::collection::btree_map((1..5u8, 1..4u8, 0..2u8, 0..3u8), 1..1u64 << 40, 1..20),
        at in any::<prop::sample::Index>(),
    ) {
        let classes = [Class::Upload, Class::Download, Class::Stream];
        let list: Vec<Channel> = channels.iter().map(|((carrier, payer, salt, class), bytes)| (*carrier, *payer, *salt, classes[usize::from(*class)], *bytes)).collect();
        let (claims, grants) = world(&list);
        let (report, parts) = built(&claims, &grants).expect("builds");
        prop_assert_eq!(report.check(EPOCH), Ok(()));
        let mut cursor = Cursor::default();
        let mut owed = Vec::new();
        for part in &parts {
            let (next, verified) = cursor.take(CHAIN, &report, part, carrier_key).expect("valid");
            cursor = next;
            owed.extend(verified.charges());
        }
        prop_assert_eq!(cursor.is_complete(&report), Ok(true));
        let mut model: BTreeMap<(u8, u8, Class), u128> = BTreeMap::new();
        for (carrier, payer, _, class, bytes) in &list {
            *model.entry((*payer, *carrier, *class)).or_default() += u128::from(*bytes);
        }
        prop_assert_eq!(sorted(owed), sorted(model.into_iter().map(|((payer, carrier, class), noz)| charge(payer, carrier, class, noz))));

        let mut bytes = encoding::encode(&parts[0]);
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(part) = Part::decode(&bytes) {
            prop_assert!(check(&part).is_err(), "bit {} of {}", bit, bytes.len() * 8);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(part) = Part::decode(&bytes) {
            prop_assert!(check(&part).is_err());
        }
        if let Ok(report) = encoding::decode::<Report>(&bytes, bytes.len()) {
            prop_assert_eq!(encoding::encode(&report), bytes);
        }
    }
}
