//! Whole puts and gets over real connections, with nodes that stop and epochs that end.

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use primitives::{Address, Hash, Noz, Time};
use storage::commit::{bytes_of, groups_of};
use storage::manifest::{Details, Public};
use storage::{OwnerSecret, ProfileId};

use super::{Capability, Failures, Files, FilesError, Progress, PutFile, Stored, Weakest};
use crate::session::SessionError;
use crate::transfer::Terms;
use world::{World, wallet};

const SEGMENT: usize = 16 << 20;

fn data(bytes: usize) -> Bytes {
    let mut state = 88_172_645_463_325_252u64;
    let mut data = Vec::with_capacity(bytes + 8);
    while data.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(bytes);
    data.into()
}

fn what(name: &str) -> PutFile {
    PutFile { details: Details { name: name.into(), media_type: "video/mp4".into(), created: Time(5) }, profile: ProfileId::Dev }
}

fn owner() -> OwnerSecret {
    super::owner_secret(&[1; 32])
}

async fn put(files: &Files, data: &Bytes) -> Result<Stored, FilesError> {
    files.put(&mut &data[..], Some(data.len() as u64), &what("film"), &owner(), |_| {}).await
}

async fn get(files: &Files, id: &Hash) -> Result<Vec<u8>, FilesError> {
    let opened = files.open(id, &owner()).await?;
    let mut out = Vec::new();
    files.get(opened, &mut out, |_| {}).await?;
    Ok(out)
}

/// Bytes that a get of the whole file moves: the groups of the data slices that hold ciphertext.
fn moved(public: &Public) -> u64 {
    let runs = (0..public.segments.len() as u64).flat_map(|segment| {
        let layout = public.layout(segment).expect("a segment");
        layout.runs_of(0..layout.ciphertext()).into_iter().map(move |run| (layout.slice_bytes(), run.bytes))
    });
    runs.map(|(length, run)| bytes_of(length, groups_of(length, run))).map(|bytes| bytes.end - bytes.start).sum()
}

/// Every size at an edge: what goes in comes out, and what is charged is what was moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_edge() {
    let world = World::new().await;
    let files = world.files(1).await;
    let mut paid = 0;
    for bytes in [0, 1, 65_536, SEGMENT, SEGMENT + 1] {
        let data = data(bytes);
        let quote = files.quote(bytes as u64, ProfileId::Dev).await.expect("rich");
        let before = world.stored();
        let mut steps = Vec::new();
        let stored = files.put(&mut &data[..], Some(bytes as u64), &what("film"), &owner(), |step| steps.push(step)).await.expect("stored");
        assert_eq!((stored.bytes, stored.stored_bytes, stored.missing_slices), (bytes as u64, quote.stored_bytes, 0));
        assert_eq!(stored.charged, Noz(quote.stored_bytes.into()));
        assert_eq!(world.stored() - before, quote.stored_bytes);
        paid += quote.stored_bytes;
        assert_eq!(world.paid(paid).await, paid);
        assert!(matches!(steps[0], Progress::Prepared(first) if first == quote));
        let id = stored.capability.id;
        assert_eq!(steps.last(), Some(&Progress::Recording(id)));
        assert_eq!(get(&files, &id).await.expect("fetched"), data);
        paid += moved(&files.stat(&id).await.expect("there").manifest.public);
        assert_eq!(world.paid(paid).await, paid);
    }
    let mut listed = files.list(&wallet(1).address(), Some(&owner())).await.expect("a list");
    listed.sort_by_key(|file| file.file.manifest.public.total);
    let sizes: Vec<u64> = listed.iter().map(|file| file.file.manifest.public.total).collect();
    assert_eq!(sizes, [0, 1, 65_536, SEGMENT as u64, SEGMENT as u64 + 1]);
    assert_eq!(listed[1].details, Some(what("film").details));
    assert!(files.list(&wallet(1).address(), None).await.expect("a list").iter().all(|file| file.details.is_none() && file.capability.is_none()));

    let id = listed[1].id;
    let stranger = world.files(2).await;
    assert!(matches!(stranger.remove(&id).await, Err(FilesError::Session(SessionError::Ledger(_)))), "not the owner's");
    files.remove(&id).await.expect("removed");
    assert!(matches!(files.stat(&id).await, Err(FilesError::Removed(removed)) if removed == id));
    assert!(matches!(files.stat(&Hash([9; 32])).await, Err(FilesError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_key_opens_a_file() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(100_000);
    let stored = put(&files, &data).await.expect("stored");
    let id = stored.capability.id;
    let wrong = super::owner_secret(&[2; 32]);
    assert!(matches!(files.open(&id, &wrong).await, Err(FilesError::Key { .. })));
    // Somebody else with the link reads and pays.
    let reader = world.files(2).await;
    let link = Capability::parse(id, &stored.capability.to_text()).expect("a link");
    let opened = reader.open_with(&link).await.expect("opened");
    assert_eq!(opened.details, what("film").details);
    let mut out = Vec::new();
    reader.get(opened, &mut out, |_| {}).await.expect("fetched");
    assert_eq!(out, data);
    let other = Capability { id, key: storage::FileKey::from_bytes([7; 32]) };
    assert!(matches!(reader.open_with(&other).await, Err(FilesError::Key { .. })));
}

/// Checks STORE-1 over the network: any two holders may be gone, a third is one too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_six_may_be_gone() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(SEGMENT + 300_000);
    let id = put(&files, &data).await.expect("stored").capability.id;
    let record = files.stat(&id).await.expect("there");
    let holder = |slice: usize| record.holders[0].of(slice).expect("acknowledged");
    // One rots, two data slices are away: the code makes up for two of three only.
    world.holder(&holder(0)).stop().await;
    assert_eq!(get(&world.files(1).await, &id).await.expect("fetched"), data);
    let rotten = record.manifest.public.segments[0].slices[2];
    assert!(world.holder(&holder(2)).store.rot(rotten, 1_000_000));
    assert_eq!(get(&world.files(1).await, &id).await.expect("fetched"), data);
    let range = world.files(1).await.range(Arc::new(files.open(&id, &owner()).await.expect("opened")), 100..5_000_000).expect("in the file");
    assert_eq!(range.try_collect::<Vec<Bytes>>().await.expect("fetched").concat(), data[100..5_000_000]);
    world.holder(&holder(1)).stop().await;
    match get(&world.files(1).await, &id).await {
        Err(FilesError::NotReadable { segment: 0, found: 3, needed: 4, failures }) => {
            assert!(failures.0.contains_key(&holder(0)) && failures.0.contains_key(&holder(1)) && failures.0[&holder(2)].contains("damaged"), "{failures}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_needs_five_of_six() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(1_000_000);
    world.holders[3].stop().await;
    let stored = put(&files, &data).await.expect("stored on five");
    assert_eq!(stored.missing_slices, 1);
    assert_eq!(stored.weakest, Some(Weakest { segment: 0, found: 5, slices: 6, needed: 4 }));
    assert_eq!(get(&files, &stored.capability.id).await.expect("fetched"), data);
    world.holders[4].stop().await;
    match put(&world.files(1).await, &data).await {
        Err(FilesError::NotStored { segment: 0, found: 4, slices: 6, needed: 5, failures }) => assert_eq!(failures.0.len(), 2, "{failures}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.state(|state| meta::files::count(state, &wallet(1).address())), 1, "nothing was recorded");
}

/// A carrier that accepts and does nothing is passed over, and tried once more before its slice is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_comes_back_misses_no_slice() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(1_000_000);
    let holder = &world.holders[3];
    holder.is_paused.send_replace(true);
    let returns = async {
        while !files.session().is_away(&holder.address) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        holder.is_paused.send_replace(false);
    };
    let (stored, ()) = futures::future::join(put(&files, &data), returns).await;
    let stored = stored.expect("stored");
    assert_eq!((stored.missing_slices, stored.weakest), (0, None));
    assert_eq!(get(&files, &stored.capability.id).await.expect("fetched"), data);
}

/// That a transaction is final is one replica's word: the record itself is what counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_final_when_it_is_proven() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(1000);
    let id = put(&files, &data).await.expect("stored").capability.id;
    // A replica that took a transaction, and whose answer was lost, makes the next one refuse it: that is no refusal.
    let network = files.session().network();
    let epoch = files.session().anchor().await.expect("an anchor").epoch;
    let lost = put(&files, &data).await.expect("stored").capability.id;
    let remove = meta::files::RemoveFile { chain: network.chain(), key: wallet(1).key(), id: lost, epoch };
    let transaction = meta::Transaction::remove_file(remove, &wallet(1)).encode();
    let hash = network.meta.submit(transaction.clone()).await.expect("taken");
    assert_eq!(network.meta.submit(transaction).await.expect("taken before"), hash);
    // From now on replicas say at once that everything is final, and execute it later.
    world.hasten();
    let second = put(&files, &data).await.expect("stored").capability.id;
    assert!(world.state(|state| meta::files::file(state, &second).is_some()));
    files.remove(&id).await.expect("removed");
    assert!(world.state(|state| meta::files::file(state, &id).is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_ozone_is_told_before_anything_moves() {
    let world = World::new().await;
    let files = world.files(3).await;
    let data = data(1_000_000);
    match put(&files, &data).await {
        Err(FilesError::Session(error @ SessionError::NotEnoughOzone { needed, held, missing, cost: Some(cost), .. })) => {
            assert_eq!((held, missing), (Noz(0), needed));
            assert!(needed > Noz(1_500_000) && cost.0 > 0);
            assert!(error.to_string().contains(&needed.to_string()), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.stored(), 0);
    assert!(matches!(files.quote(u64::MAX / 1024, ProfileId::Dev).await, Err(FilesError::Manifest(_))), "no record is that long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_changes_is_noticed() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(1000);
    for announced in [999, 1001] {
        let result = files.put(&mut &data[..], Some(announced), &what("film"), &owner(), |_| {}).await;
        assert!(matches!(result, Err(FilesError::Changed { found: 1000, .. })), "{result:?}");
    }
    let stored = files.put(&mut &data[..], None, &what("film"), &owner(), |_| {}).await.expect("of unknown length");
    assert_eq!(get(&files, &stored.capability.id).await.expect("fetched"), data);
}

/// Checks MOVE-3 over the network: epochs end in the middle of a put and of a get, and the sum of all receipts is what was moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn epochs_end_in_the_middle() {
    let world = Arc::new(World::new().await);
    let files = world.files(1).await;
    let data = data(3 * SEGMENT + 5);
    let end_one = |at: u64| {
        let world = Arc::clone(&world);
        let mut ended = false;
        move |now: u64| {
            if now >= at && !std::mem::replace(&mut ended, true) {
                let world = Arc::clone(&world);
                tokio::task::spawn_blocking(move || world.next_epoch());
            }
        }
    };
    let mut in_put = end_one(20 << 20);
    let stored = files
        .put(&mut &data[..], Some(data.len() as u64), &what("film"), &owner(), |step| {
            if let Progress::Storing { durable, .. } = step {
                in_put(durable);
            }
        })
        .await
        .expect("stored");
    assert_eq!(stored.missing_slices, 0);
    assert_eq!(world.paid(stored.stored_bytes).await, stored.stored_bytes);
    let opened = files.open(&stored.capability.id, &owner()).await.expect("opened");
    let mut in_get = end_one(1 << 20);
    let mut out = Vec::new();
    files.get(opened, &mut out, &mut in_get).await.expect("fetched");
    assert!(out == data);
    let public = files.stat(&stored.capability.id).await.expect("there").manifest.public;
    let paid = stored.stored_bytes + moved(&public);
    assert_eq!(world.paid(paid).await, paid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_move_what_they_need() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(SEGMENT + 2_000_000);
    let stored = put(&files, &data).await.expect("stored");
    assert_eq!(world.paid(stored.stored_bytes).await, stored.stored_bytes);
    let opened = Arc::new(files.open(&stored.capability.id, &owner()).await.expect("opened"));
    let mut before = stored.stored_bytes;
    let size = data.len();
    for range in [0..1, 0..size, size - 1..size, 70_000..70_001, SEGMENT - 10..SEGMENT + 10, 4_000_000..9_000_000, 5..5] {
        let wanted = range.start as u64..range.end as u64;
        let stream = files.range(Arc::clone(&opened), wanted).expect("in the file");
        let bytes = stream.try_collect::<Vec<Bytes>>().await.expect("fetched").concat();
        assert!(bytes == data[range.clone()], "{range:?}");
        let least = world.holders.iter().map(|holder| holder.carrier.books().traffic().sent_bytes).sum::<u64>() + stored.stored_bytes;
        assert_eq!(world.paid(least).await, least, "what is sent is paid");
        // A chunk on either side, and a group on either side of each step's runs.
        assert!(least - before <= range.len() as u64 * 105 / 100 + 400_000, "{range:?} moved {}", least - before);
        before = least;
    }
    assert!(matches!(files.range(Arc::clone(&opened), 0..size as u64 + 1), Err(FilesError::Range { .. })));
    // A player that looks and goes away.
    let mut stream = Box::pin(files.range(opened, 0..size as u64).expect("in the file"));
    assert!(stream.next().await.expect("a part").expect("fetched") == data[..131_072]);
}

/// The home meta node goes away in the middle: another one issues the tickets, for another key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_home_meta_node_goes_away() {
    let world = World::new().await;
    let files = world.files(1).await;
    let data = data(200_000);
    put(&files, &data).await.expect("stored");
    let home = world.state(|state| meta::anchor::home(state, &wallet(1).address())).expect("there are two");
    let (_, endpoint) = world.metas.iter().find(|(address, _)| *address == home).expect("one of ours");
    endpoint.close().await;
    let id = put(&files, &data).await.expect("stored with the help of the other").capability.id;
    assert_eq!(get(&files, &id).await.expect("fetched"), data);
}

/// No carrier takes the tickets of a convicted home, in the middle of an epoch: its sessions turn to another, for puts and for gets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_home_meta_node_is_convicted() {
    let world = World::new().await;
    let (one, other) = (world.files(1).await, world.files(1).await);
    let data = data(200_000);
    let id = put(&one, &data).await.expect("stored").capability.id;
    put(&other, &data[..100_000].to_vec().into()).await.expect("stored");
    let home = world.state(|state| meta::anchor::home(state, &wallet(1).address())).expect("there are two");
    world.convict(&home);
    assert_eq!(world.terms().issuers.len(), 1);
    assert_eq!(get(&one, &id).await.expect("fetched with tickets of the other"), data);
    let stored = put(&other, &data[1..].to_vec().into()).await.expect("stored with tickets of the other");
    assert_eq!(stored.missing_slices, 0);
    // Who begins now never meets it.
    let before = world.asked(&home);
    assert_eq!(get(&world.files(1).await, &id).await.expect("fetched"), data);
    assert_eq!(world.asked(&home), before);
}

/// A home that says for ever that nothing is left has its payer reserve once more, and is passed over then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_lies_binds_little_ozone() {
    let world = World::new().await;
    let files = world.files(1).await;
    let payer = wallet(1).address();
    let home = world.state(|state| meta::anchor::home(state, &payer)).expect("there are two");
    world.let_lie(home);
    let stored = put(&files, &data(200_000)).await.expect("stored with tickets of the other");
    let reserved: Vec<_> = world.state(|state| meta::allowance::payer(state, &payer)).expect("known").reservations;
    let with_liar: u128 = reserved.iter().filter(|reservation| reservation.home == home).map(|reservation| reservation.noz.0).sum();
    assert!(with_liar > 0 && with_liar <= 2 * u128::from(stored.stored_bytes), "{with_liar}");
}

/// A ticket that its carrier does not take is replaced once, since the carrier may have used it up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_ticket_is_replaced_once() {
    for (mended_at, missing) in [(2, 0), (3, 1)] {
        let world = World::new().await;
        let files = world.files(1).await;
        let (carrier, right) = (world.holders[3].carrier.clone(), world.terms());
        let wrong = right.issuers.keys().map(|issuer| (*issuer, world.holders[3].carrier.identity().secret.public())).collect();
        carrier.set_terms(Terms { issuers: wrong, ..right.clone() });
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        world.on_tickets(move || {
            if counted.fetch_add(1, Ordering::SeqCst) + 1 == mended_at {
                carrier.set_terms(right.clone());
            }
        });
        let stored = put(&files, &data(1_000_000)).await.expect("stored");
        assert_eq!((stored.missing_slices, requests.load(Ordering::SeqCst)), (missing, 2));
    }
}

#[test]
fn the_same_failure_of_several_nodes_is_told_once() {
    let (one, other, third) = (Address([1; 20]), Address([2; 20]), Address([3; 20]));
    let failures = Failures([(one, format!("{one} refused: full")), (other, format!("{other} refused: full")), (third, "no ticket came".to_owned())].into());
    assert_eq!(failures.to_string(), format!("{third}: no ticket came; {one}, {other}: refused: full"));
}
