//! Tests of the metadata ledger, together with the value ledger that it serves.

use std::collections::BTreeMap;

use chain::ledger::{Status, Usage};
use chain::settlement;
use consensus::light::EpochProof;
use pot::{Class, CoveredClaim, Signed};
use primitives::{Address, Epoch, Noz};
use proptest::prelude::*;
use state::Overlay;
use storage::manifest::Manifest;

use super::*;
use pot::allowance::{Allowance, claimants_key, session_key};

use crate::allowance::Funds;
use crate::anchor::Observed;
use crate::files::{PutFile, RemoveFile};
use crate::keys;
use crate::samples::{FILE_BYTES, META_NODES, World, carrier_address, carrier_of, members_of, meta_address, meta_of, secret, wallet};
use crate::tickets::{HeldSlice, Purpose, TicketError};
use crate::transaction::Transaction;

const DRAFT: Hash = Hash([5; 32]);

/// The text of the refusal of one transaction.
fn refusal(world: &mut World, transaction: Vec<u8>) -> String {
    world.meta.try_block(1, vec![transaction]).map(|_| ()).expect_err("refused").to_string()
}

fn stored(world: &mut World, number: u8) -> (Manifest, PutFile) {
    world.reserve(number, 100_000_000);
    let manifest = World::manifest(number, 0);
    let tickets = world.upload_tickets(&mut world.desk(number), number, DRAFT, &manifest);
    let put = world.put(number, DRAFT, &manifest, &tickets);
    world.meta.block(1, vec![Transaction::put_file(put.clone(), &wallet(number)).encode()]);
    (manifest, put)
}

/// The whole journey: reserve, upload, download, claim, close, settle, and the numbers at its end.
#[test]
fn an_epoch_from_ozone_to_rewards() {
    let mut world = World::new();
    let (before, epoch) = (world.ozone(1), world.epoch());
    let (manifest, _) = stored(&mut world, 1);
    let id = manifest.id();
    let file = files::file(world.meta.state(), &id).expect("stored");
    assert_eq!((file.manifest.public.total, file.holders.len()), (FILE_BYTES, 2));
    assert_eq!(files::files_of(world.meta.state(), &wallet(1).address(), 0), [id]);

    // Download two slices of the first segment: only who holds them is named.
    let mut desk = world.desk(1);
    let slices = vec![HeldSlice { segment: 0, slice: 0, bytes: 1000 }, HeldSlice { segment: 0, slice: 1, bytes: 2000 }];
    let purpose = Purpose::Download { file: id, class: Class::Stream, slices };
    let tickets = desk.issue(world.meta.state(), world.request(1, 10, purpose)).expect("issued").tickets;
    assert_eq!(tickets.iter().map(|ticket| ticket.body.carrier).collect::<Vec<_>>(), file.holders[0].nodes[..2]);

    // Every carrier was paid for its slices of both segments; two for the ranges.
    let mut owed: BTreeMap<Address, u64> = BTreeMap::new();
    let mut uploads: BTreeMap<Address, u64> = BTreeMap::new();
    for (segment, slice, root, bytes) in manifest.public.slices() {
        let holder = file.holders[usize::try_from(segment).expect("small")].nodes[slice];
        assert!(files::is_needed(world.meta.state(), &root, &holder));
        *uploads.entry(holder).or_default() += bytes;
    }
    let claims: Vec<Vec<u8>> = uploads
        .iter()
        .map(|(carrier, bytes)| {
            let mut receipts = vec![world.receipt(epoch, 1, *carrier, Class::Upload, *bytes)];
            let streamed: u64 = tickets.iter().filter(|ticket| ticket.body.carrier == *carrier).map(|ticket| ticket.body.bytes_max).sum();
            if streamed > 0 {
                receipts.push(world.receipt(epoch, 1, *carrier, Class::Stream, streamed));
            }
            owed.insert(*carrier, bytes + streamed);
            world.claim(epoch, *carrier, receipts)
        })
        .collect();
    assert!(refusal(&mut world, claims[0].clone()).contains("is not over"));
    world.next_epoch();
    assert_eq!(world.epoch(), epoch.next());
    world.meta.block(10, claims.clone());
    assert!(refusal(&mut world, claims[0].clone()).contains("claims once"));
    for _ in 1..epochs::GAP_FRACTION {
        world.meta.block(1_000, vec![]);
    }
    assert_eq!(epochs::report(world.meta.state(), epoch), None, "the time of grace is not over");
    world.meta.block(1_000, vec![]);
    let report = epochs::report(world.meta.state(), epoch).expect("closed");
    let total: u64 = owed.values().sum();
    assert_eq!((report.noz, report.parts.len(), report.liveness.len()), (Noz(total.into()), 1, usize::from(META_NODES)));
    assert!(report.liveness.iter().all(|(_, live)| *live == 1));
    assert!(refusal(&mut world, claims[0].clone()).contains("is closed"));
    assert!(!world.key_is_there(&claimants_key(epoch)));

    world.settle();
    let settled = settlement::settled(world.value.state(), epoch).expect("settled");
    assert_eq!(settled.noz, Noz(total.into()));
    assert_eq!(world.ozone(1), Noz(before.0 - u128::from(total)), "the payer's ozone falls by exactly the bytes charged");
    assert_eq!(
        settled.carriers.iter().map(|share| (share.address, share.noz)).collect::<Vec<_>>(),
        owed.into_iter().map(|(carrier, noz)| (carrier, Noz(noz.into()))).collect::<Vec<_>>()
    );
    assert!(settled.carriers.iter().chain(&settled.metas).chain(&settled.validators).all(|share| share.reward > Amount::ZERO));

    // The metadata ledger learns of it: the parts go, the report stays.
    assert!(world.key_is_there(&pot::report::part_key(epoch, 0)));
    world.anchor();
    assert!(!world.key_is_there(&pot::report::part_key(epoch, 0)));
    assert!(epochs::report(world.meta.state(), epoch).is_some());
    assert_eq!(anchor::current(world.meta.state()).unsettled, epoch.next());
    // Nothing is reserved any more, so all of what is left can be.
    world.reserve(1, world.ozone(1).0);
    assert!(!world.key_is_there(&World::claimed_key(epoch, 1)));
}

#[test]
fn empty_epochs_settle_and_several_can_wait() {
    let mut world = World::new();
    for _ in 0..3 {
        world.next_epoch();
    }
    world.value.block(10_000, vec![]);
    world.value.block(10_000, vec![]);
    world.anchor();
    assert_eq!(world.epoch(), Epoch(5));
    assert!(anchor::registry(world.meta.state(), Epoch(4)).is_none(), "no anchor fell into it");
    world.grace();
    for _ in 0..10 {
        world.meta.block(1, vec![]);
    }
    assert_eq!(epochs::closing(world.meta.state()).next, Epoch(5));
    for _ in 0..5 {
        world.settle();
    }
    assert_eq!(settlement::progress(world.value.state()).epoch, Epoch(5));
    for epoch in (0..5).map(Epoch) {
        let settled = settlement::settled(world.value.state(), epoch).expect("settled");
        assert_eq!((settled.noz, settled.released, settled.mined), (Noz::ZERO, Amount::ZERO, Amount::ZERO));
    }
    world.anchor();
    assert!(refusal_of_anchor(&mut world).contains("nothing new"));
}

/// Attack: many tiny channels, each of which everybody has to verify. Below the least that pays for its verification a channel is not claimed.
#[test]
fn tiny_channels_are_not_claimed() {
    let mut world = World::new();
    world.reserve(1, 1_000_000);
    let epoch = world.epoch();
    world.next_epoch();
    let mut state = world.meta.state().child();
    let anchored = anchor::Anchor { channel_noz_min: 4_096, ..anchor::current(&state) };
    chain::keys::write(&mut state, &keys::anchor(), &anchored);
    let (carrier, key) = (carrier_address(0), secret("carrier", 0));
    let mut claim = |bytes: [u64; 2]| {
        let classes = [Class::Upload, Class::Download];
        let receipts = classes.iter().zip(bytes).map(|(class, bytes)| world.receipt(epoch, 1, carrier, *class, bytes)).collect();
        let home = allowance::reservation(&state, &wallet(1).address(), &World::session(1).public(), epoch).expect("reserved").home;
        let covered = world.covered(&home, epoch, carrier, receipts);
        let verified = covered.verify(world.chain(), &key.public()).expect("signed");
        claims::apply(&mut state, &covered.claim, &verified, &key.public())
    };
    let refused = format!("{:?}", claim([100_000, 4_095]));
    assert!(refused.contains("has 4095 bytes, channels are claimed from 4096 on"), "{refused}");
    claim([100_000, 4_096]).expect("enough");
}

/// A report of more than one part takes more than one block, each with the work of one part; meanwhile nothing can be claimed, and other blocks go on.
#[test]
fn a_report_is_built_one_part_in_each_block() {
    let mut world = World::new();
    world.next_epoch();
    let mut state = world.meta.state().child();
    let (epoch, payer) = (Epoch(0), wallet(1).address());
    // Well-formed signatures of nobody: they were verified when the claims came, and a report is built without verifying them again.
    let mut signature = primitives::Signature([0; 64]);
    signature.0[63] = 0x80;
    let sessions: Vec<primitives::PublicKey> = (0..700u32).map(|number| primitives::PublicKey(Hash::of("session", &[&number.to_le_bytes()]).0)).collect();
    for session in &sessions {
        let mut grant = pot::SignedGrant::sign(world.chain(), &wallet(1), &World::session(1), Epoch(9), Noz(1));
        grant.grant.session = *session;
        chain::keys::write(&mut state, &session_key(session), &pot::allowance::Session { grant, spent: Noz::ZERO });
    }
    let channels = || sessions.iter().flat_map(|session| [Class::Upload, Class::Download, Class::Stream].map(|class| (*session, class)));
    let mut carriers: Vec<Address> = (0..6).map(carrier_address).collect();
    carriers.sort_unstable();
    for carrier in &carriers {
        let mut receipts: Vec<pot::LastReceipt> =
            channels().take(2_000).map(|(session, class)| pot::LastReceipt { payer, session, class, bytes: 7, signature }).collect();
        receipts.sort_unstable_by_key(|receipt| (receipt.session, receipt.class));
        let claim = pot::ClaimedReceipts { epoch, carrier: *carrier, receipts, signature };
        chain::keys::write(&mut state, &keys::claim(epoch, carrier), &claims::Taken { claim, key: World::session(1).public() });
    }
    chain::keys::write(&mut state, &claimants_key(epoch), &carriers);

    let mut blocks = 0;
    let end = |state: &mut Overlay, blocks: u64| {
        let (height, time) = (primitives::Height(100 + blocks), primitives::Time(world.meta.header.time.0 + 1_000 * blocks));
        let block = BlockInfo { chain: world.meta.chain, height, time, parent: Hash::ZERO, proposer: 0, voters: vec![], absent: vec![] };
        epochs::end_block(state, &block, world.chain())
    };
    while epochs::closing(&state).building.is_none() {
        blocks += 1;
        assert_eq!(end(&mut state, blocks), None);
    }
    let parts = |state: &Overlay| (0..9).filter(|number| state.get(&pot::report::part_key(epoch, *number)).is_some()).count();
    let open = |state: &Overlay| carriers.iter().filter(|carrier| claims::taken(state, epoch, carrier).is_some()).count();
    assert_eq!((parts(&state), open(&state), epochs::report(&state, epoch)), (1, 2, None), "four claims of 2,000 fit 8,192");
    let receipt = world.receipt(epoch, 1, carriers[0], Class::Upload, 300);
    let covered = world.covered(&meta_address(0), epoch, carriers[0], vec![receipt]);
    let verified = covered.verify(world.chain(), &secret("carrier", 0).public()).expect("signed");
    assert!(format!("{:?}", claims::apply(&mut state, &covered.claim, &verified, &secret("carrier", 0).public())).contains("is closed"));
    assert_eq!(end(&mut state, blocks + 1), Some(epoch));
    let report = epochs::report(&state, epoch).expect("whole");
    assert_eq!((parts(&state), open(&state), report.parts.len(), report.receipts, report.noz), (2, 0, 2, 12_000, Noz(84_000)));
    assert!(epochs::closing(&state).building.is_none() && claims::claimants(&state, epoch).is_empty());
}

fn refusal_of_anchor(world: &mut World) -> String {
    let transaction = world.anchor_transaction();
    refusal(world, transaction)
}

#[test]
fn anchors_are_complete_and_from_this_value_ledger() {
    let mut world = World::new();
    world.value.block(10_000, vec![]);
    let state = world.value.state();
    let keys = anchor::keys_of(&chain::meta_registry::operators(state), &chain::resource::operators(state));
    for missing in 0..keys.len() {
        let mut some = keys.clone();
        some.remove(missing);
        let transaction = Transaction::Anchor(Box::new(world.value.attest(&some))).encode();
        assert!(refusal(&mut world, transaction).contains("the reading lacks the"));
    }
    // A value that is not in the tree.
    let mut forged = world.value.attest(&keys);
    forged.proven.entries[0].value = Some(vec![0; 80]);
    assert!(refusal(&mut world, Transaction::Anchor(Box::new(forged)).encode()).contains("proof"));
    // A quorum of somebody else.
    let foreign = Transaction::Anchor(Box::new(world.meta.attest(&keys))).encode();
    assert!(refusal(&mut world, foreign).contains("chain"));
    world.anchor();
}

/// Nobody pays for a reading, so it carries nothing that is not needed.
#[test]
fn readings_have_exactly_the_keys_that_are_needed() {
    let mut world = World::new();
    world.value.block(10_000, vec![]);
    let state = world.value.state();
    let keys = anchor::keys_of(&chain::meta_registry::operators(state), &chain::resource::operators(state));
    let anchor = |world: &World, more: Vec<u8>| Transaction::Anchor(Box::new(world.value.attest(&[keys.clone(), vec![more]].concat()))).encode();
    let (padded, repeated) = (anchor(&world, chain::keys::market()), anchor(&world, keys[0].clone()));
    assert!(refusal(&mut world, padded).contains(&format!("the reading has {} keys, an anchor needs {}", keys.len() + 1, keys.len())));
    assert!(refusal(&mut world, repeated).contains(&format!("{} entries for {} keys", keys.len() + 1, keys.len())));
    let allowance = world.allowance(1, 1000);
    let needed = crate::transaction::funds_keys(&allowance.grant.grant);
    for keys in [needed[..2].to_vec(), [needed.clone(), vec![chain::keys::market()]].concat()] {
        let ozone = Box::new(world.value.attest(&keys));
        let transaction = Transaction::Reserve { allowance: Box::new(Signed::sign(allowance, &World::session(1))), ozone }.encode();
        assert!(refusal(&mut world, transaction).contains("3 were asked for"));
    }
}

/// Checks META-8: the value ledger's voters change, and with them whose readings count.
#[test]
fn readings_count_if_the_voters_in_force_signed_them() {
    let mut world = World::new();
    let validators = |numbers: &[u8]| numbers.iter().map(|number| secret("validator", *number)).collect::<Vec<_>>();
    let voters =
        |members: Vec<u8>, proof: &EpochProof| Transaction::Voters { members: members_of(&validators(&members)), proof: Box::new(proof.clone()) }.encode();
    let genesis = trust::members(world.meta.state());
    let first = |proof: &EpochProof| Transaction::Voters { members: genesis.clone(), proof: Box::new(proof.clone()) }.encode();
    let reserve = |world: &World, noz| world.reserve_transaction(world.allowance(1, noz), &World::session(1));
    let known = |world: &World| (trust::current(world.meta.state()).since, trust::members(world.meta.state()));
    assert_eq!(known(&world), (Epoch(0), genesis.clone()));
    world.reserve(1, 1);
    let old = reserve(&world, 2);

    // Epoch 0 ends with other voters: readings of its last block count before this is known here and after.
    world.value.block(10_000, vec![]);
    let change = world.value.hand_over(validators(&[1, 2, 3]));
    world.anchor();
    let last = reserve(&world, 3);
    world.value.block(10_000, vec![]);
    let new = reserve(&world, 4);
    let unknown = refusal(&mut world, new.clone());
    assert!(unknown.contains("are not known here yet"), "{unknown}");
    assert!(refusal_of_anchor(&mut world).contains("are not known here yet"));
    // The next change does not count before this one.
    let second = world.value.hand_over(validators(&[4, 5, 6]));
    assert!(refusal(&mut world, voters(vec![1, 2, 3], &second)).contains("are not known here yet"), "skipped");

    // Forged: by others, for others, without a quorum, of another ledger.
    let liars = EpochProof { next: members_of(&validators(&[7])), ..change.clone() };
    assert!(refusal(&mut world, first(&liars)).contains("last header names"));
    let mut liars = change.clone();
    (liars.last.next_members, liars.next) = (members_of(&validators(&[7])).hash(), members_of(&validators(&[7])));
    assert!(refusal(&mut world, first(&liars)).contains("does not finalize"));
    let mut usurper = World::new();
    usurper.value.block(10_000, vec![]);
    usurper.value.hand_over(validators(&[7]));
    usurper.value.block(10_000, vec![]);
    let usurped = usurper.value.hand_over(validators(&[8]));
    assert!(refusal(&mut world, voters(vec![7], &usurped)).contains("are not known here yet"), "signed by whoever it likes");
    let mut now = usurped.clone();
    now.last.epoch = Epoch(0);
    assert!(refusal(&mut world, voters(vec![7], &now)).contains("does not finalize"));
    assert!(refusal(&mut world, voters(vec![1, 2, 3], &change)).contains("names members"), "not those who are said to have signed");
    let mut few = change.clone();
    few.finality.certificate.signatures.clear();
    few.finality.certificate.signers[0] = 0;
    assert!(world.meta.try_block(1, vec![first(&few)]).is_err());
    let foreign = World::new().meta.hand_over(validators(&[1]));
    let metas: Vec<_> = (0..META_NODES).map(|number| secret("meta", number)).collect();
    let foreign = Transaction::Voters { members: members_of(&metas), proof: Box::new(foreign) }.encode();
    assert!(refusal(&mut world, foreign).contains("chain"));
    assert_eq!(known(&world), (Epoch(0), genesis.clone()));

    // It moves on, once; then the old voters are not believed any more but for the block that ended their epoch.
    world.meta.block(1, vec![first(&change)]);
    assert_eq!(known(&world), (Epoch(1), change.next.clone()));
    assert!(refusal(&mut world, first(&change)).contains("have changed since"), "replayed");
    assert!(refusal(&mut world, old).contains("have changed since"));
    world.meta.block(1, vec![last]);
    world.meta.block(1, vec![new]);
    world.anchor();
    world.meta.block(1, vec![voters(vec![1, 2, 3], &second)]);
    assert_eq!(known(&world), (Epoch(2), second.next.clone()));

    // The same voters for some epochs, without a word; a proof of that says nothing. Then they change.
    for _ in 0..3 {
        world.value.block(10_000, vec![]);
        let same = world.value.hand_over(validators(&[4, 5, 6]));
        assert!(refusal(&mut world, voters(vec![4, 5, 6], &same)).contains("without a change"));
        world.anchor();
    }
    assert_eq!(known(&world), (Epoch(2), second.next.clone()));
    world.value.block(10_000, vec![]);
    let away = world.value.hand_over(validators(&[1, 2, 3]));
    world.value.block(10_000, vec![]);
    let back = world.value.hand_over(validators(&[4, 5, 6]));
    // Who went and came back: believed without a word in between, and then what was in between is over.
    world.value.block(10_000, vec![]);
    world.anchor();
    assert!(refusal(&mut world, voters(vec![4, 5, 6], &away)).contains("which was anchored at height"));
    assert!(refusal(&mut world, voters(vec![1, 2, 3], &back)).contains("are not known here yet"));
    let third = world.value.hand_over(validators(&[7]));
    world.meta.block(1, vec![voters(vec![4, 5, 6], &third)]);
    assert_eq!(known(&world), (Epoch(8), third.next.clone()));
    // Of the present epoch, but by others.
    let mut other = World::new();
    for next in [8, 8, 8, 8, 8, 8, 8, 8] {
        other.value.block(10_000, vec![]);
        other.value.hand_over(validators(&[next]));
    }
    other.value.block(1, vec![]);
    let other = other.anchor_transaction();
    assert!(refusal(&mut world, other).contains("vote in epoch 8"));
}

/// A change of voters goes before all else: what is read after it counts for nothing without it.
#[test]
fn voters_go_before_anchors() {
    let mut world = World::new();
    world.value.block(10_000, vec![]);
    let proof = Box::new(world.value.hand_over(vec![secret("validator", 1)]));
    let waiting = [world.anchor_transaction(), Transaction::Voters { members: trust::members(world.meta.state()), proof }.encode()];
    let mut mempool = chain::ledger::Mempool::<MetaLedger>::default();
    for (bytes, verified) in waiting.iter().zip(world.meta.rules.verify(&waiting)) {
        mempool.insert(&world.meta.rules, world.meta.state(), bytes.clone(), verified.expect("valid")).expect("queued");
    }
    let offered: Vec<Vec<u8>> = mempool.candidates(&Default::default()).into_iter().map(|(bytes, _)| bytes).collect();
    assert_eq!(offered, waiting.iter().rev().cloned().collect::<Vec<_>>());
    world.meta.block(1, offered);
}

/// While the whole network is down nobody can claim: that time is no grace.
#[test]
fn claims_are_taken_after_a_long_gap() {
    let mut world = World::new();
    world.reserve(1, 1000);
    let (epoch, carrier) = (world.epoch(), carrier_address(0));
    world.next_epoch();
    world.meta.block(86_400_000, vec![]);
    assert_eq!(epochs::closing(world.meta.state()).next, epoch);
    let claim = world.claim(epoch, carrier, vec![world.receipt(epoch, 1, carrier, Class::Upload, 600)]);
    world.meta.block(1, vec![claim]);
    world.grace();
    assert_eq!(epochs::report(world.meta.state(), epoch).map(|report| report.noz), Some(Noz(600)));
}

/// Who claimed is reported, however much later: when the whole network was away, the registry of the epoch is forgotten before the epoch is closed.
#[test]
fn claims_outlive_the_registry_of_their_epoch() {
    let mut world = World::new();
    world.reserve(1, 1000);
    let (epoch, carrier) = (world.epoch(), carrier_address(0));
    world.next_epoch();
    let claim = world.claim(epoch, carrier, vec![world.receipt(epoch, 1, carrier, Class::Upload, 600)]);
    world.meta.block(1, vec![claim]);
    let mut state: Overlay = world.meta.state().child();
    let (mut observed, mut height, mut time) = (world.observed(), world.meta.header.height, world.meta.header.time);
    for ahead in [30, 60] {
        observed.anchor.epoch = Epoch(epoch.0 + ahead);
        observed.anchor.height = observed.anchor.height.next();
        anchor::apply(&mut state, time, &observed).expect("a later epoch");
    }
    assert_eq!(anchor::registry(&state, epoch), None);
    let closed = (0..100).find_map(|_| {
        (height, time) = (height.next(), time.saturating_add(primitives::Time(1_000)));
        let block = BlockInfo { chain: world.meta.chain, height, time, parent: Hash::ZERO, proposer: 0, voters: vec![], absent: vec![] };
        epochs::end_block(&mut state, &block, world.chain()).filter(|closed| *closed == epoch)
    });
    assert_eq!(closed, Some(epoch));
    assert_eq!(epochs::report(&state, epoch).map(|report| report.noz), Some(Noz(600)));
    let part: pot::Part = chain::keys::read(&state, &pot::report::part_key(epoch, 0)).expect("kept");
    assert!(pot::report::verify_part(&part, world.chain(), epoch, |_| Some(secret("carrier", 0).public())).is_ok());
}

/// Nobody pays here, so what can be sent for ever must not stand before what has its time.
#[test]
fn anchors_go_before_claims_and_claims_before_the_rest() {
    let mut world = World::new();
    world.reserve(1, 1000);
    let (epoch, carrier) = (world.epoch(), carrier_address(0));
    world.next_epoch();
    world.value.block(10_000, vec![]);
    let reserve = world.reserve_transaction(world.allowance(1, 10), &World::session(1));
    let claim = world.claim(epoch, carrier, vec![world.receipt(epoch, 1, carrier, Class::Upload, 600)]);
    let waiting = [reserve, claim, world.anchor_transaction()];
    let mut mempool = chain::ledger::Mempool::<MetaLedger>::default();
    for (bytes, verified) in waiting.iter().zip(world.meta.rules.verify(&waiting)) {
        mempool.insert(&world.meta.rules, world.meta.state(), bytes.clone(), verified.expect("valid")).expect("queued");
    }
    let offered: Vec<Vec<u8>> = mempool.candidates(&Default::default()).into_iter().map(|(bytes, _)| bytes).collect();
    assert_eq!(offered, waiting.into_iter().rev().collect::<Vec<_>>());
}

/// However often the lot fell on whom: who proposes at all is as live as the others, who does not for long is not.
#[test]
fn liveness_is_equal_among_the_live() {
    let world = World::new();
    let mut state: Overlay = world.meta.state().child();
    let mut observed = world.observed();
    let (mut height, mut time) = (world.meta.header.height, world.meta.header.time);
    let mut epoch = |blocks: u64, proposer: &dyn Fn(u64) -> u16| {
        observed.anchor.epoch = observed.anchor.epoch.next();
        observed.anchor.height = observed.anchor.height.next();
        anchor::apply(&mut state, time, &observed).expect("a later epoch");
        let mut closed = None;
        for number in 0..blocks {
            (height, time) = (height.next(), time.saturating_add(primitives::Time(1_000)));
            let block = BlockInfo { chain: world.meta.chain, height, time, parent: Hash::ZERO, proposer: proposer(number), voters: vec![], absent: vec![] };
            closed = epochs::end_block(&mut state, &block, world.chain()).or(closed);
        }
        let report = epochs::report(&state, closed.expect("the grace is over")).expect("closed");
        report.liveness.iter().map(|(_, live)| *live).collect::<Vec<_>>()
    };
    assert_eq!(epoch(6, &|_| 0), [1, 1, 1], "two had no turn in a short epoch");
    let absent_after = epochs::LIVE_TURNS * u64::from(META_NODES);
    epoch(absent_after, &|number| u16::try_from(number % 2).expect("small"));
    assert_eq!(epoch(6, &|_| 0), [1, 1, 0], "the third had no turn in very many");
    assert_eq!(epoch(6, &|_| 2), [1, 1, 1], "it is back");
}

/// Checks META-7: other anchored nodes close the epoch with their block, those who cannot vote change nothing, and a proposer is one of those who voted.
#[test]
fn voters_follow_the_anchored_nodes() {
    let world = World::new();
    let (rules, mut observed) = (&world.meta.rules, world.observed());
    let first = rules.electorate(world.meta.state());
    assert_eq!((first.epoch, first.members.count()), (Epoch(0), usize::from(META_NODES)));
    let (mut state, time) = (world.meta.state().clone(), world.meta.header.time);
    let mut block = |metas: Vec<anchor::Meta>, proposer| {
        observed.anchor.epoch = observed.anchor.epoch.next();
        observed.anchor.height = observed.anchor.height.next();
        observed.metas = metas;
        let mut next = state.child();
        anchor::apply(&mut next, time, &observed).expect("a later epoch");
        let block = BlockInfo { chain: world.meta.chain, height: observed.anchor.height, time, parent: Hash::ZERO, proposer, voters: vec![], absent: vec![] };
        let terms = rules.terms(&next, &block);
        let (end, _) = rules.end(&mut next, &block, &terms, &Usage::default());
        state = next.seal();
        (end.closes_epoch, rules.electorate(&state), epochs::closing(&state).proposed)
    };
    let metas = anchor::metas(world.meta.state());
    assert_eq!(block(metas.clone(), 0).1, first, "the same nodes, another anchor");
    assert!(!block(Vec::new(), 0).0 && !block([&metas[..1], &metas[..1]].concat(), 0).0, "nobody, and one twice");
    assert_eq!(block(metas.clone(), 0).1, first);
    let (closes, second, proposed) = block(metas[1..].to_vec(), 1);
    assert!(closes && second.epoch == Epoch(1) && second.members.count() == metas.len() - 1 && second.seed != first.seed);
    assert!(proposed[&metas[1].operator] > proposed[&metas[2].operator], "the second of those who voted proposed, not the second of those anchored");
    assert_eq!(block(metas[1..].to_vec(), 0).1, second);
}

/// What a payer's settled reservations left behind goes with its next one.
#[test]
fn sessions_that_spent_nothing_are_forgotten() {
    let mut world = World::new();
    world.reserve(1, 1000);
    let session = session_key(&World::session(1).public());
    world.next_epoch();
    world.grace();
    world.settle();
    world.anchor();
    assert!(world.key_is_there(&session));
    let other = World::session(9);
    let grant = pot::SignedGrant::sign(world.chain(), &wallet(1), &other, Epoch(100), Noz(1 << 60));
    let transaction = world.reserve_transaction(Allowance { grant, ..world.allowance(1, 10) }, &other);
    world.meta.block(1, vec![transaction]);
    assert!(!world.key_is_there(&session) && world.key_is_there(&session_key(&other.public())));
}

/// An empty file needs no ticket, but ozone: a reservation counts while it is not settled, and for as long as an upload may take.
#[test]
fn an_old_reservation_records_no_file() {
    let mut world = World::new();
    world.reserve(1, 1000);
    let payer = wallet(1).address();
    for epoch in 1..=anchor::DRAFT_EPOCHS {
        assert!(allowance::payer(world.meta.state(), &payer).is_some(), "epoch {epoch}");
        world.next_epoch();
    }
    assert!(allowance::payer(world.meta.state(), &payer).is_some(), "not settled");
    for _ in 0..anchor::DRAFT_EPOCHS {
        world.grace();
    }
    world.settle();
    world.anchor();
    assert_eq!(allowance::payer(world.meta.state(), &payer), None);
    world.reserve(1, 1000);
    assert!(allowance::payer(world.meta.state(), &payer).is_some());
}

#[test]
fn registries_are_kept_for_drafts() {
    let mut world = World::new();
    for _ in 0..40 {
        world.next_epoch();
    }
    let kept: Vec<u64> = (0..=40).filter(|epoch| anchor::registry(world.meta.state(), Epoch(*epoch)).is_some()).collect();
    assert_eq!(kept, (9..=40).collect::<Vec<_>>());
}

#[test]
fn reservations_are_refused_by_name() {
    let mut world = World::new();
    let all = world.ozone(1).0;
    let session = World::session(1);
    let good = world.allowance(1, 1000);
    let refuse = |world: &mut World, allowance: Allowance, text: &str| {
        let transaction = world.reserve_transaction(allowance, &session);
        let found = refusal(world, transaction);
        assert!(found.contains(text), "{found}");
    };
    refuse(&mut world, Allowance { noz: Noz(all + 1), ..good }, "are not there");
    refuse(&mut world, Allowance { noz: Noz(0), ..good }, "0 noz");
    refuse(&mut world, Allowance { epoch: Epoch(2), ..good }, "too far ahead");
    refuse(&mut world, Allowance { home: carrier_address(0), ..good }, "not an active meta node");
    refuse(&mut world, Allowance { chain: Hash::ZERO, ..good }, "chain");
    refuse(&mut world, Allowance { epoch: Epoch(101), ..good }, "expired");
    let small = world.grant(1, 999);
    refuse(&mut world, Allowance { grant: small, ..good }, "the grant's cap is 999");
    let stranger = world.reserve_transaction(good, &World::session(2));
    assert!(refusal(&mut world, stranger).contains("signature"));
    let mut no_ozone = world.allowance(1, 1);
    no_ozone.grant = pot::SignedGrant::sign(world.chain(), &wallet(9), &session, Epoch(9), Noz(5));
    refuse(&mut world, no_ozone, "has 0 noz");

    world.reserve(1, 1000);
    refuse(&mut world, good, "already reserved 1000");
    let other = (0..META_NODES).map(meta_address).find(|meta| *meta != good.home).expect("another");
    refuse(&mut world, Allowance { home: other, noz: Noz(2000), ..good }, "are issued by");
    let mut stolen = good;
    stolen.grant = pot::SignedGrant::sign(world.chain(), &wallet(2), &session, Epoch(9), Noz(5));
    refuse(&mut world, stolen, "belongs to");
    refuse(&mut world, Allowance { epoch: Epoch(1), noz: Noz(all - 999), ..good }, "1000 are reserved");
    // Raising replaces, it does not add.
    world.reserve(1, all);
    world.next_epoch();
    refuse(&mut world, good, "is over");
}

#[test]
fn a_reading_from_before_a_settlement_is_stale() {
    let mut world = World::new();
    world.reserve(1, 500);
    let epoch = world.epoch();
    world.next_epoch();
    let stale = |world: &World| world.reserve_transaction(Allowance { noz: Noz(700), ..world.allowance(1, 0) }, &World::session(1));
    let early = stale(&world);
    let claim = world.claim(epoch, carrier_address(1), vec![world.receipt(epoch, 1, carrier_address(1), Class::Download, 500)]);
    world.meta.block(1, vec![claim]);
    world.grace();
    world.settle();
    world.reserve(1, 600);
    assert!(refusal(&mut world, early).contains("older than the settlement of epoch 0"));
}

#[test]
fn claims_are_refused_by_name() {
    let mut world = World::new();
    world.reserve(1, 1000);
    let epoch = world.epoch();
    let (first, second) = (carrier_address(0), carrier_address(1));
    world.next_epoch();
    let over = world.claim(epoch, first, vec![world.receipt(epoch, 1, first, Class::Upload, 600), world.receipt(epoch, 1, first, Class::Download, 401)]);
    assert!(refusal(&mut world, over).contains("1000 fit, this claim asks it for 1001"));
    let stranger = world.claim(epoch, first, vec![world.receipt(epoch, 2, first, Class::Upload, 1)]);
    assert!(refusal(&mut world, stranger).contains("has reserved nothing"));
    let nobody = carrier_address(7);
    let unknown = world.claim(epoch, nobody, vec![world.receipt(epoch, 1, nobody, Class::Upload, 1)]);
    assert!(refusal(&mut world, unknown).contains("no active resource node"));
    let receipts = vec![world.receipt(epoch, 1, first, Class::Upload, 1)];
    let home = allowance::reservation(world.meta.state(), &wallet(1).address(), &World::session(1).public(), epoch).expect("reserved").home;
    let mut impostor = world.covered(&home, epoch, first, receipts.clone());
    impostor.claim = pot::ClaimedReceipts::sign(world.chain(), epoch, first, receipts, &secret("carrier", 5)).expect("signs");
    let impostor = Transaction::Claim { claim: Box::new(impostor), key: secret("carrier", 5).public() }.encode();
    assert!(refusal(&mut world, impostor).contains("another key"));
    let good = world.claim(epoch, first, vec![world.receipt(epoch, 1, first, Class::Upload, 600)]);
    world.meta.block(1, vec![good]);
    let rest = world.claim(epoch, second, vec![world.receipt(epoch, 1, second, Class::Upload, 401)]);
    assert!(refusal(&mut world, rest).contains("of which 600 are claimed: 400 fit, this claim asks it for 401; leave the session out"));
    let claimable = |issuer: &Address| claims::claimable(world.meta.state(), epoch, &wallet(1).address(), &World::session(1).public(), issuer);
    let other = (0..META_NODES).map(meta_address).find(|meta| *meta != home).expect("another");
    assert_eq!((claimable(&home), claimable(&other)), (Noz(400), Noz::ZERO));
    let rest = world.claim(epoch, second, vec![world.receipt(epoch, 1, second, Class::Upload, 400)]);
    world.meta.block(1, vec![rest]);
}

/// Checks META-2: a session never spends more than its cap, over all epochs.
#[test]
fn the_cap_is_for_life() {
    let mut world = World::new();
    let grant = world.grant(1, 1000);
    let reserve = |world: &World, noz| world.reserve_transaction(Allowance { grant, ..world.allowance(1, noz) }, &World::session(1));
    let first = reserve(&world, 1000);
    world.meta.block(1, vec![first]);
    let epoch = world.epoch();
    world.next_epoch();
    let more = reserve(&world, 1);
    assert!(refusal(&mut world, more).contains("1000 reserved"));
    let claim = world.claim(epoch, carrier_address(0), vec![world.receipt(epoch, 1, carrier_address(0), Class::Upload, 300)]);
    world.meta.block(1, vec![claim]);
    world.grace();
    let more = reserve(&world, 1);
    assert!(refusal(&mut world, more).contains("300 are spent, 700 reserved"), "until the epoch is settled the rest may be claimed directly");
    world.settle();
    world.anchor();
    let (fits, too_much) = (reserve(&world, 700), reserve(&world, 701));
    assert!(refusal(&mut world, too_much).contains("300 are spent"));
    let allowance = Allowance { grant, ..world.allowance(1, 700) };
    let funds = |direct| Funds { noz: world.ozone(1), unsettled: epoch.next(), direct: Noz(direct) };
    let text = format!("{:?}", allowance::check(world.meta.state(), &allowance, &funds(1)));
    assert!(text.contains("301 are spent"), "what was claimed directly counts: {text}");
    allowance::check(world.meta.state(), &allowance, &funds(0)).expect("it fits");
    world.meta.block(1, vec![fits]);
}

#[test]
fn files_are_refused_by_name() {
    let mut world = World::new();
    let manifest = World::manifest(1, 0);
    world.reserve(1, 100_000_000);
    let tickets = world.upload_tickets(&mut world.desk(1), 1, DRAFT, &manifest);
    let good = world.put(1, DRAFT, &manifest, &tickets);
    let refuse = |world: &mut World, text: &str, change: &dyn Fn(&mut PutFile)| {
        let mut put = good.clone();
        change(&mut put);
        let found = refusal(world, Transaction::put_file(put, &wallet(1)).encode());
        assert!(found.contains(text), "{found}");
    };
    refuse(&mut world, "acknowledged by 4 of 6 nodes, 5 are needed", &|put| {
        put.acks.drain(..2);
    });
    refuse(&mut world, "placement does not put", &|put| put.draft = Hash([6; 32]));
    refuse(&mut world, "not above the one before", &|put| put.acks.swap(0, 1));
    refuse(&mut world, "not above the one before", &|put| put.holders.swap(0, 1));
    refuse(&mut world, "acknowledgement with a wrong signature", &|put| put.acks[3].signature.0[3] ^= 1);
    refuse(&mut world, "acknowledgement with a wrong signature", &|put| put.acks[0].epoch = Epoch(1));
    refuse(&mut world, "of a holder or a slice that is not there", &|put| put.acks[11].slice = 6);
    refuse(&mut world, "of a holder or a slice that is not there", &|put| put.acks[11].holder = 6);
    refuse(&mut world, "began in epoch 1", &|put| put.epoch = Epoch(1));
    refuse(&mut world, "chain", &|put| put.chain = Hash::ZERO);
    refuse(&mut world, "manifest", &|put| put.manifest.truncate(20));
    refuse(&mut world, "signature", &|put| put.key = wallet(2).key());
    let manifest_of_2 = World::manifest(2, 0);
    refuse(&mut world, "names the owner", &|put| put.manifest = manifest_of_2.encode());
    let tickets_of_2 = {
        let mut world = World::new();
        world.reserve(2, 100_000_000);
        world.upload_tickets(&mut world.desk(2), 2, DRAFT, &manifest_of_2)
    };
    let put_of_2 = world.put(2, DRAFT, &manifest_of_2, &tickets_of_2);
    assert!(refusal(&mut world, Transaction::put_file(put_of_2, &wallet(2)).encode()).contains("holds no reservation"));

    // Five of six are enough.
    let mut five = good.clone();
    five.acks.remove(2);
    world.meta.block(1, vec![Transaction::put_file(five, &wallet(1)).encode()]);
    let file = files::file(world.meta.state(), &manifest.id()).expect("stored");
    assert_eq!((file.holders[0].of(1), file.holders[0].of(2)), (Some(file.holders[0].nodes[1]), None));
    refuse(&mut world, "is already stored", &|_| {});
}

/// Checks META-5.
#[test]
fn only_the_owner_removes_and_a_removed_version_stays_away() {
    let mut world = World::new();
    let (manifest, put) = stored(&mut world, 1);
    let id = manifest.id();
    let remove = |world: &World, number: u8| RemoveFile { chain: world.chain(), key: wallet(number).key(), id, epoch: world.epoch() };
    let stranger = Transaction::remove_file(remove(&world, 2), &wallet(2)).encode();
    assert!(refusal(&mut world, stranger).contains("belongs to"));
    let forged = Transaction::remove_file(remove(&world, 1), &wallet(2)).encode();
    assert!(refusal(&mut world, forged).contains("signature"));
    let removal = Transaction::remove_file(remove(&world, 1), &wallet(1)).encode();
    world.meta.block(1, vec![removal.clone()]);
    assert_eq!(files::file(world.meta.state(), &id), None);
    assert!(manifest.public.slices().all(|(_, _, root, _)| files::slice(world.meta.state(), &root).files.is_empty()));
    assert!(refusal(&mut world, removal.clone()).contains("was removed"));
    assert!(refusal(&mut world, Transaction::put_file(put, &wallet(1)).encode()).contains("was removed in epoch 0"));

    // A new upload of the same file, later, is another matter, and the old removal does not hit it.
    world.next_epoch();
    world.reserve(1, 100_000_000);
    let tickets = world.upload_tickets(&mut world.desk(1), 1, DRAFT, &manifest);
    let again = world.put(1, DRAFT, &manifest, &tickets);
    world.meta.block(1, vec![Transaction::put_file(again, &wallet(1)).encode()]);
    assert!(refusal(&mut world, removal).contains("a removal of epoch 0"));
}

#[test]
fn the_desk_refuses_by_name() {
    let mut world = World::new();
    let (manifest, _) = stored(&mut world, 1);
    let id = manifest.id();
    let mut desk = world.desk(1);
    let fetch = |bytes| Purpose::Download { file: id, class: Class::Download, slices: vec![HeldSlice { segment: 0, slice: 0, bytes }] };
    let issue =
        |desk: &mut crate::tickets::Desk, request: Signed<crate::tickets::TicketRequest>| desk.issue(world.meta.state(), request).map(|issue| issue.records);
    assert!(issue(&mut desk, world.request(1, 1, fetch(10))).is_ok());
    assert_eq!(issue(&mut desk, world.request(1, 1, fetch(10))), Err(TicketError::Sequence { last: 1, asked: 1 }));
    let mut other = world.request(1, 2, fetch(10));
    other.signature.0[1] ^= 1;
    assert!(matches!(issue(&mut desk, other), Err(TicketError::Signature(_))));
    let mut other = world.request(1, 2, fetch(10));
    other.body.epoch = Epoch(1);
    assert_eq!(issue(&mut desk, other), Err(TicketError::Epoch { current: Epoch(0), asked: Epoch(1) }));
    assert!(matches!(issue(&mut desk, world.request(2, 1, fetch(10))), Err(TicketError::NoAllowance { .. })));
    assert!(matches!(issue(&mut desk, world.request(1, 2, fetch(0))), Err(TicketError::Length { bytes: 0, .. })));
    assert!(matches!(issue(&mut desk, world.request(1, 2, fetch(1 << 40))), Err(TicketError::Length { .. })));
    let upload = Purpose::Download { file: id, class: Class::Upload, slices: vec![] };
    assert_eq!(issue(&mut desk, world.request(1, 2, upload)), Err(TicketError::Class));
    let none = Purpose::Download { file: id, class: Class::Stream, slices: vec![] };
    assert_eq!(issue(&mut desk, world.request(1, 2, none)), Err(TicketError::Count(0)));
    let unknown = Purpose::Download { file: Hash::ZERO, class: Class::Stream, slices: vec![HeldSlice { segment: 0, slice: 0, bytes: 1 }] };
    assert_eq!(issue(&mut desk, world.request(1, 2, unknown)), Err(TicketError::File(Hash::ZERO)));
    let beyond = Purpose::Download { file: id, class: Class::Stream, slices: vec![HeldSlice { segment: 2, slice: 0, bytes: 1 }] };
    assert_eq!(issue(&mut desk, world.request(1, 2, beyond)), Err(TicketError::Holder { segment: 2, slice: 0 }));
    let old = Purpose::Upload { epoch: Epoch(7), draft: DRAFT, segment: 0, slices: vec![crate::tickets::NewSlice { root: Hash::ZERO, bytes: 1 }] };
    assert_eq!(issue(&mut desk, world.request(1, 2, old)), Err(TicketError::Draft(Epoch(7))));
    let many = Purpose::Upload { epoch: Epoch(0), draft: DRAFT, segment: 0, slices: vec![crate::tickets::NewSlice { root: Hash::ZERO, bytes: 1 }; 7] };
    assert!(matches!(issue(&mut desk, world.request(1, 2, many)), Err(TicketError::Placement(_))));
    let elsewhere = (0..META_NODES).map(meta_address).find(|meta| Some(*meta) != anchor::home(world.meta.state(), &wallet(1).address())).expect("another");
    let mut elsewhere = crate::tickets::Desk::new(world.chain(), elsewhere, meta_of(&elsewhere), Epoch(0), []).expect("no record is damaged");
    assert!(matches!(issue(&mut elsewhere, world.request(1, 2, fetch(1))), Err(TicketError::Home(_))));
}

/// Checks META-6: whatever is asked for and however often the desk restarts, tickets stay within the reservation and their totals are the sums of all before.
#[test]
fn the_desk_never_issues_too_much() {
    let mut world = World::new();
    let (manifest, _) = stored(&mut world, 1);
    let reserved = 100_000_000u128;
    let mut desk = world.desk(1);
    let (mut channels, mut issued, mut records) = (BTreeMap::<Address, u64>::new(), 0u128, BTreeMap::new());
    for sequence in 1..200u64 {
        let bytes = (sequence * 7_919 * 131) % 4_000_000 + 1;
        let slices = vec![HeldSlice { segment: 0, slice: u8::try_from(sequence % 6).expect("small"), bytes }];
        let request = world.request(1, sequence, Purpose::Download { file: manifest.id(), class: Class::Download, slices });
        match desk.issue(world.meta.state(), request) {
            Ok(issue) => {
                records.extend(issue.records);
                for ticket in issue.tickets.iter().map(|ticket| ticket.body) {
                    issued += u128::from(ticket.bytes_max);
                    let in_channel = channels.entry(ticket.carrier).or_default();
                    *in_channel += ticket.bytes_max;
                    assert_eq!((ticket.channel_total, ticket.session_total.0), (*in_channel, issued));
                }
            }
            Err(error) => assert!(matches!(error, TicketError::Exceeded { .. }) && issued + u128::from(bytes) > reserved, "{error}"),
        }
        assert!(issued <= reserved);
        if sequence % 13 == 0 {
            let home = anchor::home(world.meta.state(), &wallet(1).address()).expect("a home");
            desk = crate::tickets::Desk::new(world.chain(), home, meta_of(&home), Epoch(0), records.clone()).expect("no record is damaged");
        }
    }
    assert!(issued > reserved * 9 / 10 && channels.len() > 1);
    for damaged in [(vec![0; 39], vec![0; 24]), (vec![0; 40], vec![0; 23]), (vec![0; 61], vec![0; 7]), (vec![0; 60], vec![0; 8])] {
        assert!(crate::tickets::Desk::new(world.chain(), meta_address(0), secret("meta", 0), Epoch(0), [damaged]).is_err());
    }
}

/// A desk that does not know what it promised in an epoch promises nothing more in it: two tickets over one reservation would convict it.
#[test]
fn a_desk_without_its_records_rests() {
    let mut world = World::new();
    let (manifest, _) = stored(&mut world, 1);
    let home = anchor::home(world.meta.state(), &wallet(1).address()).expect("a home");
    let mut desk = world.desk(1);
    desk.rest(Epoch(0));
    let slices = vec![HeldSlice { segment: 0, slice: 0, bytes: 9 }];
    let fetch = Purpose::Download { file: manifest.id(), class: Class::Download, slices };
    assert_eq!(desk.issue(world.meta.state(), world.request(1, 1, fetch.clone())).err(), Some(TicketError::Resting(Epoch(0))));
    // Nor does one whose ledger stands before the epoch of its records.
    let mut ahead = crate::tickets::Desk::new(world.chain(), home, meta_of(&home), Epoch(1), []).expect("no record is damaged");
    let refused = ahead.issue(world.meta.state(), world.request(1, 1, fetch.clone())).err();
    assert_eq!(refused, Some(TicketError::Epoch { current: Epoch(1), asked: Epoch(0) }));
    world.next_epoch();
    let mut allowance = world.allowance(1, 1_000);
    allowance.home = home;
    let reserve = world.reserve_transaction(allowance, &World::session(1));
    world.meta.block(100, vec![reserve]);
    assert_eq!(desk.issue(world.meta.state(), world.request(1, 1, fetch)).expect("another epoch").tickets.len(), 1);
}

/// A reservation for the next epoch may name a home that is not among its meta nodes: its tickets would be refused in claims.
#[test]
fn a_desk_that_is_not_of_its_epoch_issues_nothing() {
    let mut world = World::new();
    let (manifest, _) = stored(&mut world, 1);
    let home = anchor::home(world.meta.state(), &wallet(1).address()).expect("a home");
    let fetch = Purpose::Download { file: manifest.id(), class: Class::Download, slices: vec![HeldSlice { segment: 0, slice: 0, bytes: 9 }] };
    let stranger = wallet(7).address();
    for (issuer, key) in [(stranger, meta_of(&home)), (home, World::session(7))] {
        let mut desk = crate::tickets::Desk::new(world.chain(), issuer, key, Epoch(0), []).expect("no record is damaged");
        let refused = desk.issue(world.meta.state(), world.request(1, 1, fetch.clone())).err();
        assert_eq!(refused, Some(TicketError::Inactive { issuer, epoch: Epoch(0) }));
    }
}

/// Checks META-2: what the home did not allow is not taken, nor what another meta node did.
#[test]
fn a_claim_needs_the_tickets_of_its_sessions_home() {
    let mut world = World::new();
    world.reserve(1, 1_000_000);
    let epoch = world.epoch();
    world.next_epoch();
    let carrier = carrier_address(0);
    let home = allowance::reservation(world.meta.state(), &wallet(1).address(), &World::session(1).public(), epoch).expect("reserved").home;
    let other = (0..META_NODES).map(meta_address).find(|meta| *meta != home).expect("another");
    let receipt = world.receipt(epoch, 1, carrier, Class::Upload, 500_000);
    let claim = |claim: CoveredClaim| Transaction::Claim { claim: Box::new(claim), key: carrier_of(&carrier).public() }.encode();
    let by_other = claim(world.covered(&other, epoch, carrier, vec![receipt]));
    assert!(refusal(&mut world, by_other).contains(&format!("are issued by {home}, these are by {other}")));
    // The home's name under somebody else's key.
    let mut forged = world.covered(&home, epoch, carrier, vec![receipt]);
    let mut ticket = *forged.verify(world.chain(), &carrier_of(&carrier).public()).expect("signed").tickets[0].signed();
    ticket = Signed::sign(ticket.body, &carrier_of(&carrier));
    (forged.issuers[0].1, forged.tickets[0].signature) = (carrier_of(&carrier).public(), ticket.signature);
    assert!(refusal(&mut world, claim(forged)).contains("was no active meta node in epoch 0 with the key"));
    let stranger = world.receipt(epoch, 2, carrier, Class::Upload, 500_000);
    let unreserved = claim(world.covered(&home, epoch, carrier, vec![stranger]));
    assert!(refusal(&mut world, unreserved).contains("has reserved nothing"));
    let good = claim(world.covered(&home, epoch, carrier, vec![receipt]));
    world.meta.block(1, vec![good]);
}

#[test]
fn garbage_is_refused() {
    let world = World::new();
    let mut empty = vec![vec![], vec![0], vec![1, 9], vec![1; 300], vec![1, 3, 0, 0]];
    empty.push(vec![0; chain::ledger::block::TRANSACTION_BYTES_MAX + 1]);
    assert!(world.meta.rules.verify(&empty).iter().all(|verdict| matches!(verdict, Err(Refusal::Never(_)))));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..6u8) {
        let ledger = MetaLedger::new(Hash::ZERO);
        let bytes = [vec![1, kind], bytes].concat();
        prop_assert!(ledger.verify(&[bytes])[0].is_err());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Reserve { session: u8, ahead: u64, noz: u128, age: usize },
    Claim { carrier: u8, session: u8, bytes: u64 },
    Epoch,
    Close,
    Settle { is_all_charged: bool },
    Buy(u128),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3u8, 0..2u64, 1..250u128, 0..6usize).prop_map(|(session, ahead, noz, age)| Step::Reserve { session, ahead, noz, age }),
        9 => (0..6u8, 0..3u8, 1..150u64).prop_map(|(carrier, session, bytes)| Step::Claim { carrier, session, bytes }),
        2 => Just(Step::Epoch),
        2 => Just(Step::Close),
        1 => any::<bool>().prop_map(|is_all_charged| Step::Settle { is_all_charged }),
        1 => (1..50u128).prop_map(Step::Buy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Checks META-1, META-2 and META-3 against plain sums: whatever is reserved and claimed in whatever order, by new readings or old, every closed epoch can
    /// be charged.
    #[test]
    fn closed_epochs_can_always_be_charged(steps in proptest::collection::vec(step(), 0..200)) {
        let world = World::new();
        let payer = wallet(1).address();
        let mut state: Overlay = world.meta.state().child();
        let mut observed: Observed = world.observed();
        let reserved = |state: &Overlay, epoch: Epoch| -> u128 {
            let of = |session| allowance::reservation(state, &payer, &World::session(session).public(), epoch).map_or(0, |reservation| reservation.noz.0);
            (0..3).map(of).sum()
        };
        let (mut balance, mut time) = (300u128, world.meta.header.time.0);
        let mut charged: BTreeMap<u64, u128> = BTreeMap::new();
        let funds = |balance, unsettled| Funds { noz: Noz(balance), unsettled, direct: Noz::ZERO };
        let mut readings = vec![funds(balance, observed.anchor.unsettled)];
        for step in steps {
            time += 10_000;
            let block = BlockInfo {
                chain: world.meta.chain,
                height: primitives::Height(time),
                time: primitives::Time(time),
                parent: Hash::ZERO,
                proposer: 0,
                voters: vec![],
                absent: vec![],
            };
            let now = observed.anchor.epoch;
            match step {
                Step::Reserve { session, ahead, noz, age } => {
                    let grant = pot::SignedGrant::sign(world.chain(), &wallet(1), &World::session(session), Epoch(1000), Noz(5000));
                    let allowance = Allowance { chain: world.chain(), grant, epoch: Epoch(now.0 + ahead), noz: Noz(noz), home: meta_address(0) };
                    let funds = readings[readings.len().saturating_sub(1 + age)];
                    let _ = allowance::apply(&mut state, &allowance, &funds);
                }
                Step::Claim { carrier, session, bytes } => {
                    let epoch = Epoch(now.0.saturating_sub(1));
                    let (address, key) = (carrier_address(carrier), secret("carrier", carrier));
                    let session = World::session(session);
                    let channel = pot::Channel { epoch, carrier: address, payer, session: session.public(), class: Class::Download };
                    let receipt = Signed::sign(pot::Receipt::new(world.chain(), channel, bytes), &session).verify_by_session(world.chain()).expect("signed");
                    let covered = world.covered(&meta_address(0), epoch, address, vec![receipt]);
                    let verified = covered.verify(world.chain(), &key.public()).expect("signed");
                    if claims::apply(&mut state, &covered.claim, &verified, &key.public()).is_ok() {
                        *charged.entry(epoch.0).or_default() += u128::from(bytes);
                    }
                }
                Step::Epoch => {
                    observed.anchor.epoch = now.next();
                    observed.anchor.height = observed.anchor.height.next();
                    anchor::apply(&mut state, block.time, &observed).expect("a later epoch");
                }
                Step::Close => {
                    let later = |ms| BlockInfo { time: primitives::Time(block.time.0 + ms), ..block.clone() };
                    if let Some(epoch) = [0, 1_000, 2_000, 3_000].into_iter().find_map(|ms| epochs::end_block(&mut state, &later(ms), world.chain())) {
                        let report = epochs::report(&state, epoch).expect("closed");
                        prop_assert_eq!(report.noz.0, charged.get(&epoch.0).copied().unwrap_or(0));
                        for (number, hash) in (0..).zip(&report.parts) {
                            let part: pot::Part = chain::keys::read(&state, &pot::report::part_key(epoch, number)).expect("kept");
                            prop_assert_eq!(part.hash(), *hash);
                            let key = |carrier: &Address| Some(secret("carrier", carrier.0[0] - 100).public());
                            prop_assert!(pot::report::verify_part(&part, world.chain(), epoch, key).is_ok());
                        }
                    }
                }
                Step::Settle { is_all_charged } => {
                    let next = observed.anchor.unsettled;
                    if next < epochs::closing(&state).next {
                        // Directly, a carrier may claim all that was reserved.
                        balance -= if is_all_charged { reserved(&state, next) } else { charged.get(&next.0).copied().unwrap_or(0) };
                        observed.anchor.unsettled = next.next();
                        observed.anchor.height = observed.anchor.height.next();
                        anchor::apply(&mut state, block.time, &observed).expect("a later settlement");
                    }
                }
                Step::Buy(noz) => balance += noz,
            }
            let newest = funds(balance, observed.anchor.unsettled);
            if readings.last() != Some(&newest) {
                readings.push(newest);
            }
            let open = observed.anchor.unsettled.0..;
            for (epoch, charged) in charged.range(open.clone()) {
                prop_assert!(*charged <= reserved(&state, Epoch(*epoch)));
            }
            let owed: u128 = (open.start..=observed.anchor.epoch.0 + 1).map(|epoch| reserved(&state, Epoch(epoch))).sum();
            prop_assert!(owed <= balance, "{owed} owed of {balance}");
        }
    }
}

/// The wire formats: changing one of these lines is a fork.
#[test]
fn golden_encodings() {
    let (hash, address, key) = (Hash([1; 32]), Address([2; 20]), primitives::AccountKey::Ristretto(primitives::PublicKey([3; 32])));
    let signature = primitives::Signature([4; 64]);
    let ack = files::Ack { segment: 5, slice: 6, holder: 7, epoch: Epoch(8), signature };
    let holders = vec![(address, primitives::PublicKey([3; 32]))];
    let put = PutFile { chain: hash, key, epoch: Epoch(9), draft: DRAFT, manifest: vec![10], holders, acks: vec![ack] };
    let remove = RemoveFile { chain: hash, key, id: DRAFT, epoch: Epoch(11) };
    let grant = pot::Grant { chain: hash, payer: address, key, session: primitives::PublicKey([3; 32]), expires: Epoch(12), cap: Noz(13) };
    let grant = pot::SignedGrant { grant, signature, possession: signature };
    let allowance = Allowance { chain: hash, grant, epoch: Epoch(14), noz: Noz(15), home: address };
    let claim = pot::ClaimedReceipts { epoch: Epoch(16), carrier: address, receipts: vec![], signature };
    let ticket = pot::claim::LastTicket { issuer: 1, slice: hash, bytes_max: 2, channel_total: 3, session_total: Noz(4), signature };
    let claim = CoveredClaim { claim, issuers: vec![(address, primitives::PublicKey([3; 32]))], tickets: vec![ticket] };
    let purpose = Purpose::Download { file: DRAFT, class: Class::Stream, slices: vec![HeldSlice { segment: 1, slice: 2, bytes: 3 }] };
    let request = crate::tickets::TicketRequest { chain: hash, epoch: Epoch(1), payer: address, session: primitives::PublicKey([3; 32]), sequence: 2, purpose };
    let name = |bytes: &[u8]| (bytes.len(), Hash::of("golden", &[bytes]).to_string()[..16].to_string());
    let claim = Transaction::Claim { claim: Box::new(claim), key: primitives::PublicKey([3; 32]) };
    let found = [
        name(&Transaction::PutFile { put: Box::new(put), signature }.encode()),
        name(&Transaction::RemoveFile { remove, signature }.encode()),
        name(&claim.encode()),
        name(&encode(&Signed { body: allowance, signature })),
        name(&encode(&Signed { body: request, signature })),
    ];
    let golden = [(315, "45b58da44ae0dcf6"), (171, "47fa118e2e1485ff"), (320, "c2fc81c7b0f03dd5"), (409, "068bd1a16baa6c90"), (215, "898bafd6970a9f58")]
        .map(|(length, hash)| (length, hash.to_string()));
    assert_eq!(found, golden);
}

#[test]
fn receipts_say_done() {
    let mut world = World::new();
    let transaction = world.reserve_transaction(world.allowance(1, 5), &World::session(1));
    let executed = world.meta.block(1, vec![transaction]);
    assert_eq!((&executed.receipts[0].status, executed.receipts[0].fee), (&Status::Done, Amount::ZERO));
}
