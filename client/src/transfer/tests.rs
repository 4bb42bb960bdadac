//! Payer and carrier over streams in memory, with lies of either side.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pot::window::{WINDOW_MAX, WINDOW_MIN};
use pot::{Channel, Class, CoveredClaim, Presented, Receipt, Signed, SignedGrant, StorageAck, Ticket, Verified};
use primitives::{AccountSecret, Address, Epoch, Hash, Noz, SecretKey};
use proptest::prelude::*;
use storage::SliceStore as _;
use storage::commit::{self, GROUP_BYTES, Tree, groups};
use storage::store::Memory;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex};

use super::books::Debt;
use super::carrier::TERMS_TIMEOUT;
use super::payer::{Counterpart, Credentials};
use super::wire::{Answer, Frame, Question, begin_piece, end_piece, message_frame, read_frame, read_message, write_message};
use super::{Carrier, Download, Identity, Reason, Terms, TransferError, Upload};

const CHAIN: Hash = Hash([7; 32]);
const CARRIER: Address = Address([1; 20]);
const ISSUER: Address = Address([3; 20]);
const EPOCH: Epoch = Epoch(7);

fn key(kind: u8) -> SecretKey {
    SecretKey::from_seed(&[kind; 32])
}

fn session() -> SecretKey {
    key(2)
}

fn wallet() -> AccountSecret {
    AccountSecret::from_seed(&[4; 32])
}

fn payer() -> Address {
    wallet().address()
}

/// What a session of the payer signs with.
fn credentials(secret: SecretKey) -> Credentials {
    Credentials { grant: SignedGrant::sign(CHAIN, &wallet(), &secret, Epoch(1_000), Noz(1)), secret }
}

fn terms(epoch: Epoch) -> Terms {
    Terms { epoch, issuers: BTreeMap::from([(ISSUER, key(3).public())]) }
}

fn slice(seed: u64, bytes: usize) -> Bytes {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(next).collect::<Vec<u8>>().into()
}

fn channel(epoch: Epoch, class: Class) -> Channel {
    Channel { epoch, carrier: CARRIER, payer: payer(), session: session().public(), class }
}

fn ticket_of(ticket: Ticket) -> Verified<Ticket> {
    Signed::sign(ticket, &key(3)).verify(CHAIN, &key(3).public()).expect("just signed")
}

/// The ticket with this number of its channel, the first being 0; those before were for 8 MB each.
fn ticket(number: u64, epoch: Epoch, class: Class, slice: Hash, bytes_max: u64) -> Verified<Ticket> {
    let (session, channel_total) = (session().public(), number * 8_000_000 + bytes_max);
    let session_total = Noz(channel_total.into());
    let (payer, carrier, issuer) = (payer(), CARRIER, ISSUER);
    ticket_of(Ticket { chain: CHAIN, epoch, payer, session, carrier, class, slice, bytes_max, channel_total, session_total, issuer })
}

fn present(ticket: Signed<Ticket>) -> Presented {
    present_by(ticket, &session())
}

fn present_by(ticket: Signed<Ticket>, secret: &SecretKey) -> Presented {
    Presented::sign(ticket, credentials(secret.clone()).grant, secret)
}

struct World {
    store: Memory,
    carrier: Carrier,
}

impl World {
    fn new() -> Self {
        Self::on(Memory::new(1 << 30))
    }

    /// A carrier that starts with what `store` holds.
    fn on(store: Memory) -> Self {
        let world = Self::without_terms(store);
        world.carrier.set_terms(terms(EPOCH));
        world
    }

    /// A carrier that has just started and was told nothing yet.
    fn without_terms(store: Memory) -> Self {
        let identity = Identity { chain: CHAIN, carrier: CARRIER, secret: key(1) };
        let carrier = Carrier::open(identity, Arc::new(store.clone())).expect("books");
        Self { store, carrier }
    }

    /// A stream that the carrier serves.
    fn open(&self) -> DuplexStream {
        let (mine, theirs) = duplex(64 * 1024);
        let carrier = self.carrier.clone();
        tokio::spawn(async move { carrier.serve(theirs).await });
        mine
    }

    fn store(&self, data: &[u8]) -> Hash {
        let root = commit::root(data);
        let mut writer = self.store.begin(root, data.len() as u64, &[]).expect("room");
        writer.write(data).expect("written");
        writer.finish().expect("stored");
        root
    }

    /// What the carrier could claim for an epoch.
    fn claimable(&self, epoch: Epoch) -> u64 {
        self.carrier.books().close(epoch).iter().map(|covered| covered.receipt.bytes).sum()
    }
}

fn with() -> Counterpart {
    Counterpart { chain: CHAIN, carrier: CARRIER, key: key(1).public() }
}

fn upload(epoch: Epoch) -> Upload {
    Upload::new(with(), channel(epoch, Class::Upload), credentials(session()))
}

fn download(epoch: Epoch) -> Download {
    Download::new(with(), channel(epoch, Class::Download), credentials(session()))
}

/// Collects what a fetch hands out, and checks that it is handed out in order.
struct Sink {
    start: u64,
    bytes: Vec<u8>,
}

impl Sink {
    fn at(start: u64) -> Self {
        Self { start, bytes: Vec::new() }
    }

    fn take(&mut self, place: u64, group: &[u8]) {
        assert_eq!(place, self.start + self.bytes.len() as u64);
        self.bytes.extend_from_slice(group);
    }
}

#[tokio::test]
async fn a_slice_goes_in_and_comes_out_and_every_byte_is_paid() {
    let world = World::new();
    let data = slice(1, 3_000_064);
    let (root, bytes) = (commit::root(&data), data.len() as u64);
    let uploads = upload(EPOCH);
    let kept = uploads.put(world.open(), &ticket(1, EPOCH, Class::Upload, root, bytes), data.clone()).await.expect("stored");
    assert_eq!((kept.ack.slice, kept.ack.bytes, kept.charged), (root, bytes, bytes));
    assert_eq!(world.store.info(root).expect("works").expect("stored").bytes, bytes);

    let downloads = download(EPOCH);
    let mut sink = Sink::at(0);
    let leave = ticket(2, EPOCH, Class::Download, root, bytes);
    downloads.get(world.open(), &leave, bytes, 0..groups(bytes), |place, group| sink.take(place, group)).await.expect("fetched");
    assert_eq!(sink.bytes, data);
    assert_eq!((uploads.signed(), downloads.signed()), (bytes, bytes));
    settle(&world, 2 * bytes).await;
    assert_eq!(world.claimable(EPOCH), 2 * bytes);
}

#[tokio::test]
async fn a_carrier_that_has_just_started_lets_transfers_wait() {
    let data = slice(1, 100_000);
    let put = ticket(1, EPOCH, Class::Upload, commit::root(&data), data.len() as u64);
    let world = World::without_terms(Memory::new(1 << 30));
    let learns = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.carrier.set_terms(terms(EPOCH));
    };
    let (kept, ()) = futures::future::join(upload(EPOCH).put(world.open(), &put, data.clone()), learns).await;
    assert_eq!(kept.expect("stored").charged, data.len() as u64);

    let world = World::without_terms(Memory::new(1 << 30));
    let error = upload(EPOCH).put(world.open(), &put, data).await.expect_err("it never learned the terms");
    assert_eq!(error.reason(), Some(Reason::Failed));
    assert!(error.to_string().contains(&format!("{TERMS_TIMEOUT:?}; try again")), "{error}");
}

/// The last receipt is taken by the carrier's task after the payer's is done.
async fn settle(world: &World, paid: u64) {
    for _ in 0..2000 {
        if world.carrier.books().traffic().paid_bytes >= paid && world.carrier.books().open_before(Epoch(u64::MAX)) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.carrier.books().traffic().paid_bytes, paid);
}

#[tokio::test]
async fn transfers_of_one_channel_run_at_once() {
    let world = World::new();
    let datas: Vec<Bytes> = (0..8).map(|seed| slice(seed, 700_000 + 64 * usize::try_from(seed).expect("small"))).collect();
    let total: u64 = datas.iter().map(|data| data.len() as u64).sum();
    let uploads = upload(EPOCH);
    let puts = (0u64..).zip(&datas).map(|(number, data)| {
        let leave = ticket(number, EPOCH, Class::Upload, commit::root(data), data.len() as u64);
        let (uploads, stream, data) = (&uploads, world.open(), data.clone());
        async move { uploads.put(stream, &leave, data).await.expect("stored") }
    });
    futures::future::join_all(puts).await;
    settle(&world, total).await;
    let downloads = download(EPOCH);
    let gets = (100u64..).zip(&datas).map(|(number, data)| {
        let bytes = data.len() as u64;
        let leave = ticket(number, EPOCH, Class::Download, commit::root(data), bytes);
        let (downloads, stream) = (&downloads, world.open());
        async move {
            let mut sink = Sink::at(0);
            downloads.get(stream, &leave, bytes, 0..groups(bytes), |place, group| sink.take(place, group)).await.expect("fetched");
            assert_eq!(&sink.bytes, data);
        }
    });
    futures::future::join_all(gets).await;
    settle(&world, 2 * total).await;
    let claim = CoveredClaim::sign(CHAIN, EPOCH, CARRIER, world.carrier.books().close(EPOCH), |_| Some(key(3).public()), &key(1)).expect("a claim");
    assert_eq!(claim.verify(CHAIN, &key(1).public()).expect("valid").receipts.len(), 2);
}

#[tokio::test]
async fn wrong_bytes_are_not_stored_and_their_ticket_is_good_again() {
    let world = World::new();
    let (data, other) = (slice(1, 300_032), slice(2, 300_032));
    let leave = ticket(1, EPOCH, Class::Upload, commit::root(&data), 300_032);
    let uploads = upload(EPOCH);
    let error = uploads.put(world.open(), &leave, other).await.expect_err("wrong bytes");
    assert_eq!(error.reason(), Some(Reason::WrongSlice), "{error}");
    assert_eq!((world.store.usage().slices, uploads.signed()), (0, 0));
    let kept = uploads.put(world.open(), &leave, data).await.expect("stored");
    assert_eq!(kept.charged, 300_032);
}

#[tokio::test]
async fn a_full_carrier_says_so() {
    let world = World::on(Memory::new(300_000));
    let data = slice(1, 300_032);
    let leave = ticket(1, EPOCH, Class::Upload, commit::root(&data), 300_032);
    let error = upload(EPOCH).put(world.open(), &leave, data).await.expect_err("no room");
    assert_eq!(error.reason(), Some(Reason::Full), "{error}");
    assert!(error.to_string().contains("300032 bytes are needed, 300000 are free"), "{error}");
}

#[tokio::test]
async fn tickets_are_checked() {
    let world = World::new();
    let data = slice(1, 64_000);
    let root = world.store(&data);
    let good = *ticket(1, EPOCH, Class::Download, root, 64_000);
    let reason = async |ticket: Signed<Ticket>| {
        let mut stream = world.open();
        write_message(&mut stream, &Question::Get { ticket: present(ticket), start: 0, end: 4 }).await.expect("sent");
        match read_message::<Answer>(&mut stream).await.expect("answered") {
            Answer::Refused(refusal) => Some(refusal.reason),
            Answer::Ready | Answer::Stored { .. } | Answer::Paid { .. } | Answer::Opened { .. } => None,
        }
    };
    assert_eq!(reason(Signed::sign(good, &key(3))).await, None);
    assert_eq!(reason(Signed::sign(good, &key(9))).await, Some(Reason::Ticket));
    assert_eq!(reason(Signed::sign(Ticket { carrier: payer(), ..good }, &key(3))).await, Some(Reason::Ticket));
    assert_eq!(reason(Signed::sign(Ticket { class: Class::Upload, ..good }, &key(3))).await, Some(Reason::Ticket));
    assert_eq!(reason(Signed::sign(Ticket { epoch: Epoch(6), ..good }, &key(3))).await, Some(Reason::EpochOver));
    assert_eq!(reason(Signed::sign(Ticket { slice: Hash([9; 32]), ..good }, &key(3))).await, Some(Reason::NotFound));
    assert_eq!(reason(Signed::sign(Ticket { issuer: payer(), ..good }, &key(3))).await, Some(Reason::Issuer));
}

/// A meta node knows the sessions that it issues tickets to, and could use them up: their places at a carrier, their windows, their payer's credit.
#[tokio::test]
async fn nobody_else_uses_a_sessions_tickets() {
    let world = World::new();
    let data = slice(1, 64_000);
    let root = world.store(&data);
    for (class, kind) in [(Class::Download, 3), (Class::Upload, 3), (Class::Download, 9)] {
        let ticket = Presented::sign(*ticket(1, EPOCH, class, root, 64_000).signed(), credentials(session()).grant, &key(kind));
        let question = match class {
            Class::Upload => Question::Put { ticket, bytes: 64_000 },
            Class::Download | Class::Stream => Question::Get { ticket, start: 0, end: 4 },
        };
        let mut stream = world.open();
        write_message(&mut stream, &question).await.expect("sent");
        let answer = read_message::<Answer>(&mut stream).await.expect("answered");
        assert!(matches!(&answer, Answer::Refused(refusal) if refusal.reason == Reason::Ticket), "{answer:?}");
    }
    // Nor does it make one of its own for a payer that did not grant it.
    let (own, stranger) = (key(77), AccountSecret::from_seed(&[78; 32]));
    let body = Ticket { session: own.public(), ..*ticket(1, EPOCH, Class::Download, root, 64_000) };
    let granted = SignedGrant::sign(CHAIN, &stranger, &own, Epoch(1_000), Noz(1));
    let mut stream = world.open();
    let ticket = Presented::sign(Signed::sign(body, &key(3)), granted, &own);
    write_message(&mut stream, &Question::Get { ticket, start: 0, end: 4 }).await.expect("sent");
    let answer = read_message::<Answer>(&mut stream).await.expect("answered");
    assert!(matches!(&answer, Answer::Refused(refusal) if refusal.reason == Reason::Ticket), "{answer:?}");
    assert!(world.carrier.books().epochs().is_empty(), "nothing is remembered of it");
}

/// Checks MOVE-2: an acknowledgement is never free. Who breaks off before paying pays when it comes back, in whatever epoch.
#[tokio::test]
async fn who_breaks_off_before_paying_pays_later() {
    let world = World::new();
    let data = slice(1, 200_064);
    let (root, bytes) = (commit::root(&data), 200_064);
    let first = ticket(1, EPOCH, Class::Upload, root, bytes);
    drop(acknowledged(&world, &first, &data).await);
    drop(acknowledged(&world, &first, &data).await);
    assert_eq!(world.carrier.books().debt(&first), Debt::Here);
    // The epoch ends, and its books are forgotten.
    assert_eq!(world.claimable(EPOCH), 0);
    world.carrier.set_terms(terms(EPOCH.next()));
    world.carrier.books().forget(EPOCH).await.expect("forgotten");
    let second = ticket(1, EPOCH.next(), Class::Upload, root, bytes);
    assert_eq!(world.carrier.books().debt(&second), Debt::Elsewhere);
    let uploads = upload(EPOCH.next());
    let kept = uploads.put(world.open(), &second, data.clone()).await.expect("acknowledged");
    assert_eq!((kept.charged, kept.ack.epoch), (bytes, EPOCH.next()));
    settle(&world, bytes).await;
    // Paid is paid: another acknowledgement costs nothing.
    let kept = uploads.put(world.open(), &ticket(2, EPOCH.next(), Class::Upload, root, bytes), data).await.expect("acknowledged");
    assert_eq!((kept.charged, uploads.signed()), (0, bytes));
}

/// An upload as far as its acknowledgement; what is left is to pay.
async fn acknowledged(world: &World, ticket: &Verified<Ticket>, data: &Bytes) -> DuplexStream {
    acknowledged_to(world, present(*ticket.signed()), data).await
}

async fn acknowledged_to(world: &World, ticket: Presented, data: &Bytes) -> DuplexStream {
    let mut stream = world.open();
    write_message(&mut stream, &Question::Put { ticket, bytes: data.len() as u64 }).await.expect("sent");
    let mut answer = read_message(&mut stream).await.expect("answered");
    if answer == Answer::Ready {
        stream.write_all(data).await.expect("sent");
        answer = read_message(&mut stream).await.expect("answered");
    }
    assert!(matches!(answer, Answer::Stored { is_due: true, .. }), "{answer:?}");
    stream
}

/// Checks MOVE-3: while the receipt of an acknowledged slice is on its way, its epoch is not closed, and begins nothing new.
#[tokio::test]
async fn an_epoch_waits_for_the_receipt_of_an_upload() {
    let data = slice(1, 200_064);
    let (root, bytes) = (commit::root(&data), 200_064);
    let new = ticket(2, EPOCH, Class::Upload, commit::root(&data[64..]), 200_000);
    let leave = ticket(1, EPOCH, Class::Upload, root, bytes);
    // The slice arrives; it arrived before under the same ticket; it is here and somebody else did not pay.
    for before in [None, Some(leave), Some(ticket(1, EPOCH.next(), Class::Upload, root, bytes))] {
        let world = World::new();
        if let Some(before) = before {
            drop(acknowledged(&world, &before, &data).await);
            while world.carrier.books().open_before(EPOCH.next().next()) > 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut stream = acknowledged(&world, &leave, &data).await;
        let books = world.carrier.books();
        books.retire(EPOCH);
        assert_eq!(books.open_before(EPOCH.next()), 1);
        let refused = upload(EPOCH).put(world.open(), &new, data.slice(64..)).await.expect_err("the epoch ends");
        assert_eq!(refused.reason(), Some(Reason::EpochOver));
        assert_eq!(books.open_before(EPOCH.next()), 1);
        write_message(&mut stream, &Question::Receipt(Signed::sign(Receipt::new(CHAIN, leave.channel(), bytes), &session()))).await.expect("sent");
        assert_eq!(read_message::<Answer>(&mut stream).await.expect("answered"), Answer::Paid { bytes });
        assert_eq!(books.open_before(EPOCH.next()), 0);
        assert_eq!(World::on(world.store.clone()).claimable(EPOCH), bytes, "paid is durable");
        assert_eq!(world.claimable(EPOCH), bytes);
    }
}

/// When a fetch returns, its last receipt is on the carrier's disk.
#[tokio::test]
async fn a_fetch_ends_when_its_last_receipt_is_durable() {
    let world = World::new();
    let data = slice(1, 700_000);
    let root = world.store(&data);
    let downloads = download(EPOCH);
    let leave = ticket(1, EPOCH, Class::Download, root, 700_000);
    downloads.get(world.open(), &leave, 700_000, 0..groups(700_000), |_, _| {}).await.expect("fetched");
    assert_eq!(World::on(world.store.clone()).claimable(EPOCH), 700_000);
    assert_eq!(world.carrier.books().open_before(EPOCH.next()), 0);
    // Also when the carrier refuses to go on.
    let rotten = world.store(&data[64..]);
    assert!(world.store.rot(rotten, 600_000));
    let leave = ticket(2, EPOCH, Class::Download, rotten, 699_936);
    downloads.get(world.open(), &leave, 699_936, 0..groups(699_936), |_, _| {}).await.expect_err("rotten");
    assert!(downloads.signed() > 700_000);
    assert_eq!(World::on(world.store.clone()).claimable(EPOCH), downloads.signed());
}

/// A slice that arrives is not forgotten by a second transfer of it, nor by a restart in the middle.
#[tokio::test]
async fn a_slice_on_its_way_is_busy_until_its_stream_or_its_carrier_ends() {
    let world = World::new();
    let data = slice(1, 200_064);
    let (root, bytes) = (commit::root(&data), 200_064);
    let leave = ticket(1, EPOCH, Class::Upload, root, bytes);
    let mut stream = world.open();
    write_message(&mut stream, &Question::Put { ticket: present(*leave.signed()), bytes }).await.expect("sent");
    assert_eq!(read_message::<Answer>(&mut stream).await.expect("answered"), Answer::Ready);
    stream.write_all(&data[..100_000]).await.expect("sent");
    let refused = upload(EPOCH).put(world.open(), &leave, data.clone()).await.expect_err("on its way");
    assert_eq!(refused.reason(), Some(Reason::Busy), "{refused}");
    // Killed in the middle: the notes are as they are now, and no slice is there.
    let notes = world.store.notes(&[], None, usize::MAX).expect("works");
    let store = Memory::new(1 << 30);
    store.write_notes(&notes.into_iter().map(|(key, value)| (key, Some(value))).collect::<Vec<_>>()).expect("written");
    let again = World::on(store);
    let kept = upload(EPOCH).put(again.open(), &leave, data.clone()).await.expect("the same ticket is good again");
    assert_eq!(kept.charged, bytes);
    stream.write_all(&data[100_000..]).await.expect("sent");
    assert!(matches!(read_message(&mut stream).await, Ok(Answer::Stored { is_due: true, .. })));
}

/// Checks POT-3: sessions cost nothing, so unpaid slices count for their payer, also over epochs and restarts, until it pays or they are dropped.
#[tokio::test]
async fn a_payer_owes_a_few_slices_whatever_sessions_it_makes() {
    let secret = |seed: u64| key(10 + u8::try_from(seed).expect("small"));
    let of = |number: u64, epoch: Epoch, seed: u64| {
        let data = slice(seed, 100_032);
        let body = *ticket(number, epoch, Class::Upload, commit::root(&data), 100_032);
        (ticket_of(Ticket { session: secret(seed).public(), ..body }), data)
    };
    let pays = |leave: &Verified<Ticket>| Upload::new(with(), leave.channel(), credentials(secret(1)));
    let world = World::new();
    for seed in 1..=8 {
        let (leave, data) = of(seed, EPOCH, seed);
        drop(acknowledged_to(&world, present_by(*leave.signed(), &secret(seed)), &data).await);
    }
    settle(&world, 0).await;
    let (ninth, data) = of(9, EPOCH, 9);
    let refused = Upload::new(with(), ninth.channel(), credentials(secret(9))).put(world.open(), &ninth, data).await.expect_err("eight are unpaid");
    assert_eq!(refused.reason(), Some(Reason::Unpaid), "{refused}");
    // The epoch is forgotten, and the carrier starts again: the debts are not.
    world.carrier.set_terms(terms(EPOCH.next()));
    world.carrier.books().forget(EPOCH).await.expect("forgotten");
    world.carrier.books().commit().await.expect("written");
    let world = World::on(world.store.clone());
    world.carrier.set_terms(terms(EPOCH.next()));
    let (ninth, data) = of(9, EPOCH.next(), 9);
    let put = async || Upload::new(with(), ninth.channel(), credentials(secret(9))).put(world.open(), &ninth, data.clone()).await;
    assert_eq!(put().await.expect_err("eight are unpaid").reason(), Some(Reason::Unpaid));
    // One is paid: there is room for one.
    let (first, old) = of(1, EPOCH.next(), 1);
    assert_eq!(pays(&first).put(world.open(), &first, old).await.expect("paid now").charged, 100_032);
    assert_eq!(put().await.expect("one may come").charged, 100_032);
    // One is dropped by the carrier: it is owed no more.
    let (second, _) = of(2, EPOCH.next(), 2);
    assert_eq!(world.carrier.books().debt(&second), Debt::Elsewhere);
    world.carrier.books().dropped(&second.slice);
    assert_eq!(world.carrier.books().debt(&second), Debt::None);
}

/// A channel takes as many notes after ten thousand tickets as after one, and an epoch is forgotten at once.
#[tokio::test]
async fn books_do_not_grow_with_tickets() {
    let world = World::new();
    let books = world.carrier.books();
    let notes = || world.store.notes(b"m", None, 10).expect("works").iter().map(|(_, value)| value.len()).collect::<Vec<_>>();
    let mut sizes = Vec::new();
    for number in 1..=10_000u64 {
        let leave = ticket(number, EPOCH, Class::Upload, Hash::of("slice", &[&number.to_be_bytes()]), 1);
        books.begin_upload(&leave).expect("begun");
        books.stored(&leave, 1).expect("stored");
        let receipt = Signed::sign(Receipt::new(CHAIN, leave.channel(), number), &session());
        books.receipt(&receipt.verify_by_session(CHAIN).expect("just signed")).expect("paid");
        books.end_upload(&leave.channel());
        if number == 1 || number == 10_000 {
            books.commit().await.expect("written");
            sizes.push(notes());
        }
    }
    assert!(sizes[0] == sizes[1] && sizes[0].len() == 1, "{sizes:?}");
    assert_eq!(World::on(world.store.clone()).claimable(EPOCH), 10_000);
    books.forget(EPOCH).await.expect("forgotten");
    assert!(notes().is_empty() && world.store.notes(b"r", None, 10).expect("works").is_empty());
    World::on(world.store.clone());
}

/// The last ticket of each channel is kept, with its signature and over a restart, until its epoch is forgotten: it covers the receipt, and shows who issued
/// too many.
#[tokio::test]
async fn the_last_tickets_are_kept_until_their_epoch_is_forgotten() {
    let world = World::new();
    let leaves = [3, 1, 2].map(|number| ticket(number, EPOCH, Class::Upload, Hash::of("slice", &[&number.to_le_bytes()]), 10));
    for leave in &leaves {
        world.carrier.books().begin_upload(leave).expect("begun");
    }
    world.carrier.books().commit().await.expect("written");
    let again = World::on(world.store.clone());
    assert_eq!(again.carrier.books().tickets(EPOCH), [*leaves[0].signed()], "the highest, in whatever order they came");
    assert!(again.carrier.books().tickets(EPOCH.next()).is_empty() && again.carrier.books().close(EPOCH).is_empty(), "nothing is paid");
    again.carrier.books().forget(EPOCH).await.expect("forgotten");
    assert!(again.carrier.books().tickets(EPOCH).is_empty());
}

/// Checks POT-3: a payer that takes and does not pay gets one window.
#[tokio::test]
async fn who_does_not_pay_gets_one_window() {
    let world = World::new();
    let data = slice(1, 2_000_000);
    let root = world.store(&data);
    let leave = ticket(1, EPOCH, Class::Download, root, 2_000_000);
    let mut stream = world.open();
    write_message(&mut stream, &Question::Get { ticket: present(*leave.signed()), start: 0, end: groups(2_000_000) }).await.expect("sent");
    assert!(matches!(read_message(&mut stream).await, Ok(Answer::Opened { bytes: 2_000_000, .. })));
    let mut buffer = Vec::new();
    let mut taken = 0;
    while taken < WINDOW_MIN {
        match read_frame::<Answer>(&mut stream, &mut buffer).await.expect("a piece") {
            Frame::Piece { groups, .. } => taken += u64::from(groups) * GROUP_BYTES,
            Frame::Message(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, WINDOW_MIN);
    let more = tokio::time::timeout(Duration::from_millis(100), read_frame::<Answer>(&mut stream, &mut buffer)).await;
    assert!(more.is_err(), "nothing comes before a receipt");
    assert_eq!(world.carrier.books().traffic().sent_bytes, WINDOW_MIN);
    // A receipt by somebody else does not help.
    let forged = Signed::sign(Receipt::new(CHAIN, leave.channel(), WINDOW_MIN), &key(9));
    write_message(&mut stream, &Question::Receipt(forged)).await.expect("sent");
    assert!(read_frame::<Answer>(&mut stream, &mut buffer).await.is_err(), "the stream is closed");
    assert_eq!(world.carrier.books().traffic().paid_bytes, 0);
}

#[tokio::test]
async fn receipts_beyond_tickets_are_not_taken() {
    let world = World::new();
    let data = slice(1, 64_000);
    let root = world.store(&data);
    for bytes in [64_001, u64::MAX] {
        let leave = ticket(0, EPOCH, Class::Download, root, 64_000);
        let mut stream = world.open();
        write_message(&mut stream, &Question::Get { ticket: present(*leave.signed()), start: 0, end: 4 }).await.expect("sent");
        assert!(matches!(read_message(&mut stream).await, Ok(Answer::Opened { .. })));
        assert!(matches!(read_frame::<Answer>(&mut stream, &mut Vec::new()).await, Ok(Frame::Piece { .. })));
        write_message(&mut stream, &Question::Receipt(Signed::sign(Receipt::new(CHAIN, leave.channel(), bytes), &session()))).await.expect("sent");
        assert!(matches!(read_message(&mut stream).await, Ok(Answer::Refused(refusal)) if refusal.reason == Reason::Receipt));
    }
    assert!(world.carrier.books().close(EPOCH).is_empty());
}

/// Checks STORE-2 end to end: bit rot is not handed out, and what came before it is paid.
#[tokio::test]
async fn bit_rot_is_named_and_the_bytes_before_it_are_paid() {
    let world = World::new();
    let data = slice(1, 1_000_000);
    let root = world.store(&data);
    assert!(world.store.rot(root, 600_000));
    let downloads = download(EPOCH);
    let mut sink = Sink::at(0);
    let leave = ticket(1, EPOCH, Class::Download, root, 1_000_000);
    let broken = downloads.get(world.open(), &leave, 1_000_000, 0..groups(1_000_000), |place, group| sink.take(place, group)).await.expect_err("rotten");
    assert_eq!(broken.cause.reason(), Some(Reason::Damaged), "{broken}");
    assert_eq!(sink.bytes.len() as u64, broken.next * GROUP_BYTES);
    assert_eq!(&sink.bytes[..], &data[..sink.bytes.len()]);
    assert!(broken.next <= 600_000 / GROUP_BYTES);
    settle(&world, downloads.signed()).await;
    assert_eq!(downloads.signed(), sink.bytes.len() as u64);
}

/// A carrier of the test's own making.
async fn lie(mut stream: DuplexStream, data: Bytes, spoil: impl Fn(u64, &mut Vec<u8>)) {
    let Ok(Question::Get { start, end, .. }) = read_message(&mut stream).await else { return };
    let pace = pot::window::Pace::NEW;
    write_message(&mut stream, &Answer::Opened { bytes: data.len() as u64, pace }).await.expect("sent");
    let tree = Tree::of(&data);
    for first in (start..end).step_by(4) {
        let piece = first..(first + 4).min(end);
        let mut frame = Vec::new();
        begin_piece(&mut frame, &piece);
        frame.extend_from_slice(&commit::respond(&tree, &data, piece));
        end_piece(&mut frame);
        spoil(first, &mut frame);
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
    // Reads what the payer has to say until it is done.
    while read_message::<Question>(&mut stream).await.is_ok_and(|question| question != Question::Done) {}
}

/// Checks MOVE-1: whatever a carrier sends, the payer hands out and signs for genuine bytes only.
#[tokio::test]
async fn a_lying_carrier_is_paid_for_nothing_but_the_truth() {
    let data = slice(1, 500_000);
    let root = commit::root(&data);
    let get = async |spoil: fn(u64, &mut Vec<u8>)| {
        let (mine, theirs) = duplex(64 * 1024);
        tokio::spawn(lie(theirs, data.clone(), spoil));
        let downloads = download(EPOCH);
        let mut sink = Sink::at(0);
        let leave = ticket(1, EPOCH, Class::Download, root, 500_000);
        let result = downloads.get(mine, &leave, 500_000, 0..groups(500_000), |place, group| sink.take(place, group)).await;
        assert_eq!(&sink.bytes[..], &data[..sink.bytes.len()]);
        assert_eq!(downloads.signed(), sink.bytes.len() as u64);
        (result.map_err(|broken| broken.cause), sink.bytes.len())
    };
    assert!(matches!(get(|_, _| {}).await, (Ok(()), 500_000)));
    // One bit, early or late in a piece.
    let flip = |first: u64, frame: &mut Vec<u8>| {
        if first == 8 {
            let last = frame.len() - 1;
            frame[last] ^= 1;
        }
    };
    // Of the third piece three groups are genuine.
    assert!(matches!(get(flip).await, (Err(TransferError::Forged { .. }), taken) if taken == 11 * 16_384));
    // A piece that is cut short.
    let cut = |first: u64, frame: &mut Vec<u8>| {
        if first == 8 {
            frame.truncate(frame.len() - 1);
            end_piece(frame);
        }
    };
    assert!(matches!(get(cut).await, (Err(TransferError::Piece { at: 8, .. }), _)));
    // More groups than were asked for, or none.
    let claim = |first: u64, frame: &mut Vec<u8>| {
        if first == 28 {
            frame[5] = 16;
        }
    };
    assert!(matches!(get(claim).await, (Err(TransferError::Piece { at: 28, .. }), _)));
    let nothing = |first: u64, frame: &mut Vec<u8>| {
        if first == 8 {
            frame[5] = 0;
        }
    };
    assert!(matches!(get(nothing).await, (Err(TransferError::Piece { at: 8, .. }), _)));
    // A message in between.
    let talk = |first: u64, frame: &mut Vec<u8>| {
        if first == 8 {
            *frame = message_frame(&Answer::Ready);
        }
    };
    assert!(matches!(get(talk).await, (Err(TransferError::OutOfTurn { .. }), _)));
}

#[tokio::test]
async fn an_acknowledgement_of_something_else_is_worth_nothing() {
    let data = slice(1, 100_032);
    let root = commit::root(&data);
    let good = StorageAck { chain: CHAIN, epoch: EPOCH, carrier: CARRIER, slice: root, bytes: 100_032 };
    let put = async |ack: Signed<StorageAck>, is_due: bool| {
        let (mine, mut theirs) = duplex(64 * 1024);
        tokio::spawn(async move {
            let _ = read_message::<Question>(&mut theirs).await;
            write_message(&mut theirs, &Answer::Stored { ack, is_due }).await.expect("sent");
            let _ = read_message::<Question>(&mut theirs).await;
            let _ = write_message(&mut theirs, &Answer::Paid { bytes: 100_032 }).await;
        });
        let uploads = upload(EPOCH);
        let result = uploads.put(mine, &ticket(1, EPOCH, Class::Upload, root, 100_032), data.clone()).await;
        (result.is_ok(), uploads.signed())
    };
    assert_eq!(put(Signed::sign(good, &key(1)), true).await, (true, 100_032));
    assert_eq!(put(Signed::sign(good, &key(1)), false).await, (true, 0));
    assert_eq!(put(Signed::sign(good, &key(9)), true).await, (false, 0));
    for wrong in [
        StorageAck { slice: Hash([9; 32]), ..good },
        StorageAck { bytes: 100_031, ..good },
        StorageAck { epoch: Epoch(6), ..good },
        StorageAck { carrier: payer(), ..good },
        StorageAck { chain: Hash([9; 32]), ..good },
    ] {
        for is_due in [true, false] {
            assert_eq!(put(Signed::sign(wrong, &key(1)), is_due).await, (false, 0), "{wrong:?}");
        }
    }
}

/// Checks MOVE-3: when the epoch ends in the middle, nothing is paid twice and nothing is lost.
#[tokio::test]
async fn an_epoch_that_ends_in_the_middle() {
    let world = World::new();
    let data = slice(1, 4_000_000);
    let root = world.store(&data);
    let (bytes, count) = (4_000_000, groups(4_000_000));
    let old = download(EPOCH);
    let mut sink = Sink::at(0);
    let carrier = world.carrier.clone();
    let leave = ticket(1, EPOCH, Class::Download, root, bytes);
    let broken = old
        .get(world.open(), &leave, bytes, 0..count, |place, group| {
            sink.take(place, group);
            if sink.bytes.len() == 64 * 16_384 {
                carrier.set_terms(terms(EPOCH.next()));
            }
        })
        .await
        .expect_err("the epoch is over");
    assert_eq!(broken.cause.reason(), Some(Reason::EpochOver), "{broken}");
    assert_eq!(sink.bytes.len() as u64, broken.next * GROUP_BYTES);
    settle(&world, old.signed()).await;

    let new = download(EPOCH.next());
    let leave = ticket(1, EPOCH.next(), Class::Download, root, bytes - broken.next * GROUP_BYTES);
    new.get(world.open(), &leave, bytes, broken.next..count, |place, group| sink.take(place, group)).await.expect("fetched");
    assert_eq!(sink.bytes, data);
    assert_eq!(old.signed() + new.signed(), bytes);
    settle(&world, bytes).await;
    assert_eq!(world.claimable(EPOCH), old.signed());
    assert_eq!(world.claimable(EPOCH.next()), new.signed());
}

#[tokio::test]
async fn books_survive_a_restart() {
    let world = World::new();
    let data = slice(1, 1_500_032);
    let (root, bytes) = (commit::root(&data), 1_500_032);
    let (uploads, downloads) = (upload(EPOCH), download(EPOCH));
    uploads.put(world.open(), &ticket(1, EPOCH, Class::Upload, root, bytes), data.clone()).await.expect("stored");
    let fetch = async |world: &World, number| {
        let leave = ticket(number, EPOCH, Class::Download, root, bytes);
        let mut sink = Sink::at(0);
        downloads.get(world.open(), &leave, bytes, 0..groups(bytes), |place, group| sink.take(place, group)).await.expect("fetched");
        assert_eq!(sink.bytes, data);
    };
    fetch(&world, 2).await;
    settle(&world, 2 * bytes).await;
    world.carrier.books().commit().await.expect("written");

    let again = World::on(world.store.clone());
    assert_eq!(again.carrier.books().epochs().into_iter().collect::<Vec<_>>(), [EPOCH]);
    // The payer goes on with its numbers: the channel's tickets are known.
    fetch(&again, 3).await;
    let other = slice(2, 100_032);
    uploads.put(again.open(), &ticket(4, EPOCH, Class::Upload, commit::root(&other), 100_032), other).await.expect("stored");
    settle(&again, bytes + 100_032).await;
    assert_eq!(again.claimable(EPOCH), 3 * bytes + 100_032);
    again.carrier.books().forget(EPOCH).await.expect("forgotten");
    assert!(World::on(world.store.clone()).carrier.books().epochs().is_empty());
}

/// The window grows with what is paid, for as long as the session pays.
#[tokio::test]
async fn a_good_payer_is_trusted_more() {
    let world = World::new();
    let data = slice(1, 8_000_000);
    let root = world.store(&data);
    let pace = Mutex::new(Vec::new());
    let downloads = download(EPOCH);
    for number in 0..4 {
        let leave = ticket(number, EPOCH, Class::Download, root, 8_000_000);
        let mut sink = Sink::at(0);
        downloads.get(world.open(), &leave, 8_000_000, 0..groups(8_000_000), |place, group| sink.take(place, group)).await.expect("fetched");
        settle(&world, 8_000_000 * (number + 1)).await;
        let piece = world.carrier.books().piece_bytes(&channel(EPOCH, Class::Download));
        pace.lock().expect("whole").push(piece * pot::window::RECEIPTS_PER_WINDOW);
    }
    let pace = pace.into_inner().expect("whole");
    assert!(pace[0] > WINDOW_MIN && pace.is_sorted() && pace[3] <= WINDOW_MAX, "{pace:?}");
}

async fn noise(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: Vec<u8>) {
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any run of groups comes back as it is, and costs its own bytes.
    #[test]
    fn any_run_is_fetched_and_paid_alone(length in 1usize..900_000, start in any::<prop::sample::Index>(), count in 1u64..60, seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let world = World::new();
            let data = slice(seed, length);
            let root = world.store(&data);
            let bytes = length as u64;
            let start = start.index(usize::try_from(groups(bytes)).expect("small")) as u64;
            let wanted = start..(start + count).min(groups(bytes));
            let place = commit::bytes_of(bytes, wanted.clone());
            let downloads = download(EPOCH);
            let mut sink = Sink::at(place.start);
            let leave = ticket(1, EPOCH, Class::Download, root, place.end - place.start);
            downloads.get(world.open(), &leave, bytes, wanted, |place, group| sink.take(place, group)).await.expect("fetched");
            assert_eq!(&sink.bytes[..], &data[usize::try_from(place.start).expect("small")..usize::try_from(place.end).expect("small")]);
            settle(&world, place.end - place.start).await;
        });
    }

    #[test]
    fn a_carrier_survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let world = World::new();
            noise(world.open(), bytes).await;
            assert_eq!(world.carrier.books().traffic().paid_bytes, 0);
        });
    }
}
