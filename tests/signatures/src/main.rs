//! What verifying traffic costs, beside three other kinds of signatures, in one process and one run: `make bench-pot`.
//!
//! Messages have the length of an encoded receipt. In the first table every signature is by another key; in the second each key signs sixteen times, as
//! sessions do that use several carriers. Single verification has its keys decoded; a batch is verified as it is given, with its messages hashed. The machine
//! should have nothing else to do. A measurement is repeated for at least a fifth of a second, systems taking turns, and the fastest repetition counts; with
//! several cores a repetition lasts from when all begin until the last has finished.
//!
//! # Systems
//! | | version | batch |
//! |---|---|---|
//! | ours | this workspace | [`primitives::batch`], 4,096 at once; equal keys merged; with the fastest backend of this processor ([`primitives::vector`]) |
//! | AVX2, portable | this workspace | the same with slower backends, as far as there are any |
//! | schnorrkel | 0.11.5 | `verify_batch`; in the second table with merged keys (only those that are given one after the other, as they are here) |
//! | ed25519 | ed25519-dalek 2.2.0 | `verify_batch`; it merges no keys |
//! | blst | 0.3.17, BLS12-381, keys in G1 | `verify_multiple_aggregate_signatures`, 64-bit coefficients, keys and signatures checked before |
//!
//! # Not equal
//! - ed25519-dalek's batch accepts what a single verification may refuse (its cofactor); in the group of ours and schnorrkel's there is none.
//! - Signatures of blst have 96 bytes here, its keys 48; the others 64 and 32.
//! - Coefficients: ours 128 bits from a hash over everything, so that everybody has the same; schnorrkel's 128 random bits, ed25519-dalek's 128 from a hash,
//!   blst's 64, which here are given.
//! - Ours is on curve25519-dalek 5, schnorrkel and ed25519-dalek 2.2.0 are on 4.1.3, which uses AVX2 for multiplication. Only ours uses it, or
//!   AVX-512, for decoding and hashing too.
//!
//! # What bounds it
//! Of each signature the commitment must be decoded: a square root, 254 squares one after the other. Side by side with others they cost no more than their
//! arithmetic. Then follow the sixteen additions of its point to a bucket, two or three permutations of Keccak for the challenge, and three quarters of a
//! block of SHA-512 for the coefficients, which are not computed side by side.

mod peers;
mod traffic;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;

use peers::{Blst, Dalek, Schnorrkel};
use primitives::aggregate::{Aggregator, Statement};
use primitives::batch::Batch;
use primitives::portable;
use primitives::vector::{self, Backend};
use primitives::{Context, Hash, SecretKey, Signature, VerifyingKey};

/// Bytes of a message: those of an encoded receipt.
const MESSAGE_BYTES: usize = 121;
/// Signatures verified at once.
const SIZES: [usize; 6] = [16, 64, 256, 1_024, 4_096, 16_384];
/// Signatures by one key in the second table.
const MESSAGES_PER_KEY: usize = 16;
/// How long each measurement goes on at least.
const TIME_MIN: Duration = Duration::from_millis(200);
/// Repetitions of works that take turns.
const TURNS_MIN: usize = 5;
/// How long a repetition lasts at least: what is faster is done several times in it, so that starting threads does not count.
const REPETITION_MIN: Duration = Duration::from_millis(2);

/// Something that verifies signatures.
pub trait System: Sync {
    /// How it is called.
    const NAME: &'static str;

    /// Signs `messages` with the key of `signer` for each.
    fn sign(messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32]) -> Self;

    /// Verifies the first signature, on its own.
    fn single(&self) -> bool;

    /// Verifies the first `count` together; equal keys are merged if `is_merged` and it can.
    fn batch(&self, count: usize, is_merged: bool) -> bool;
}

/// Ours.
struct Ours(Vec<(VerifyingKey, Vec<u8>, Signature)>);

fn context() -> Context {
    Context::new("bench", Hash::ZERO)
}

impl System for Ours {
    const NAME: &'static str = "ours";

    fn sign(messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32]) -> Self {
        let sign = |(number, message): (usize, &Vec<u8>)| {
            let secret = SecretKey::from_seed(&signer(number));
            (secret.public().decode().expect("a key"), message.clone(), secret.sign(&context(), message))
        };
        Self(messages.iter().enumerate().map(sign).collect())
    }

    fn single(&self) -> bool {
        let (key, message, signature) = &self.0[0];
        key.verify(&context(), message, signature)
    }

    fn batch(&self, count: usize, _: bool) -> bool {
        self.batch_with(count, Backend::detect())
    }
}

impl Ours {
    fn fill(&self, count: usize) -> Batch {
        let (mut batch, context) = (Batch::new(), context());
        self.0[..count].iter().for_each(|(key, message, signature)| batch.push(key, &context, message, signature));
        batch
    }

    fn batch_with(&self, count: usize, backend: Backend) -> bool {
        self.fill(count).verify_with(backend)
    }
}

/// How many threads are measured: one, and as many as there are cores.
fn thread_counts(cores: usize) -> Vec<usize> {
    if cores == 1 { vec![1] } else { vec![1, cores] }
}

/// [`fastest_of`] one.
fn fastest(count: usize, threads: usize, work: impl Fn() -> bool + Sync) -> f64 {
    fastest_of(count, threads, &[&work])[0]
}

/// Of each work the fastest of as many repetitions as [`TIME_MIN`] has room for, on so many threads at once, in microseconds for each of `count`.
///
/// The works take turns, so that none has the machine for itself while others share it. All threads begin a repetition together, and it ends when the last has
/// finished: throughput of several cores is what they have at the same time.
fn fastest_of(count: usize, threads: usize, works: &[&(dyn Fn() -> bool + Sync)]) -> Vec<f64> {
    let do_once = |work: &(dyn Fn() -> bool + Sync)| assert!(work(), "what is valid is accepted");
    let often = |work: &&(dyn Fn() -> bool + Sync)| {
        let began = Instant::now();
        do_once(work);
        REPETITION_MIN.as_nanos().div_ceil(began.elapsed().as_nanos().max(1))
    };
    let works: Vec<_> = works.iter().map(|work| (work, often(work))).collect();
    let (barrier, is_over) = (Barrier::new(threads), AtomicBool::new(false));
    let turn = || {
        let time = |(work, times): &(&&(dyn Fn() -> bool + Sync), u128)| {
            barrier.wait();
            let began = Instant::now();
            (0..*times).for_each(|_| do_once(work));
            barrier.wait();
            began.elapsed().as_secs_f64() * 1e6 / (*times as f64 * (count * threads) as f64)
        };
        works.iter().map(time).collect::<Vec<f64>>()
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    turn();
                    // The first thread decides whether to go on.
                    barrier.wait();
                }
            });
        }
        let (began, mut best, mut turns) = (Instant::now(), vec![f64::INFINITY; works.len()], 0);
        while !is_over.load(Ordering::Relaxed) {
            for (best, time) in best.iter_mut().zip(turn()) {
                *best = best.min(time);
            }
            turns += 1;
            let is_enough = turns >= TURNS_MIN || works.len() == 1;
            is_over.store(is_enough && began.elapsed() >= TIME_MIN * u32::try_from(works.len()).expect("few"), Ordering::Relaxed);
            barrier.wait();
        }
        best
    })
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// A row: ours, and the others with how many times ours they take.
fn row(label: &str, times: &[f64]) {
    let others = times[1..].iter().map(|time| format!("{:>12} {:>7}", number(*time), format!("{:.2}x", time / times[0])));
    println!("{label:<28} {:>8} {}", number(times[0]), others.collect::<Vec<_>>().join(" "));
}

fn compare(title: &str, messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32] + Copy, is_merged: bool, cores: usize) {
    println!("\n{title}; microseconds for each signature, and how many times ours");
    let slower: Vec<Backend> = Backend::all().into_iter().rev().skip(1).filter(|backend| *backend != Backend::Serial).collect();
    let names = slower.iter().map(Backend::to_string).chain([Schnorrkel::NAME, Dalek::NAME, Blst::NAME].map(str::to_owned));
    println!("{:<28} {:>8} {}", "", Ours::NAME, names.map(|name| format!("{name:>12} {:>7}", "")).collect::<Vec<_>>().join(" "));
    let systems = (Ours::sign(messages, signer), Schnorrkel::sign(messages, signer), Dalek::sign(messages, signer), Blst::sign(messages, signer));
    let others = fastest_of(1, 1, &[&|| systems.0.single(), &|| systems.1.single(), &|| systems.2.single(), &|| systems.3.single()]);
    row("one by one", &[vec![others[0]; slower.len()], others].concat());
    for threads in thread_counts(cores) {
        for size in SIZES {
            let label = format!("{size} at once, {threads} core{}", if threads == 1 { "" } else { "s" });
            let ours = || systems.0.batch(size, is_merged);
            let with: Vec<_> = slower.iter().map(|backend| || systems.0.batch_with(size, *backend)).collect();
            let (schnorrkel, ed25519) = (|| systems.1.batch(size, is_merged), || systems.2.batch(size, is_merged));
            let mut works: Vec<&(dyn Fn() -> bool + Sync)> = vec![&ours];
            works.extend(with.iter().map(|work| work as &(dyn Fn() -> bool + Sync)));
            works.push(&schnorrkel);
            works.push(&ed25519);
            // Alone: it takes a hundred times as long.
            let alone = fastest(size, threads, || systems.3.batch(size, is_merged));
            row(&label, &[fastest_of(size, threads, &works), vec![alone]].concat());
        }
    }
}

/// What is measured.
type Work = Box<dyn Fn() -> bool + Sync>;

/// Decoding the commitments, and the sum over them and the keys.
fn decoding_and_sum(signed: &[(VerifyingKey, Vec<u8>, Signature)], backend: Backend) -> [Work; 2] {
    let size = signed.len();
    let commitments: Vec<[u8; 32]> = signed.iter().map(|(_, _, signature)| *signature.0.first_chunk().expect("64 bytes")).collect();
    let keys: Vec<[u8; 32]> = signed.iter().step_by(MESSAGES_PER_KEY).map(|(key, _, _)| key.public().0).collect();
    let wide = |number: usize| Scalar::from_bytes_mod_order(Hash::of("scalar", &[&number.to_le_bytes()]).0);
    let coefficients: Vec<u128> = (0..size).map(|number| u128::from_le_bytes(*wide(number).as_bytes().first_chunk().expect("32 bytes"))).collect();
    let of_keys: Vec<Scalar> = (0..keys.len()).map(wide).collect();
    let scalars: Vec<Scalar> = coefficients.iter().map(|z| Scalar::from(*z)).chain(of_keys.iter().copied()).collect();
    let decompressed = |encodings: &[[u8; 32]]| encodings.iter().map(|bytes| CompressedRistretto(*bytes).decompress()).collect::<Option<Vec<_>>>();
    let key_points = decompressed(&keys).expect("keys");
    match backend {
        Backend::Serial => {
            let points = [decompressed(&commitments).expect("points"), key_points].concat();
            [
                Box::new(move || decompressed(&commitments).is_some()),
                Box::new(move || RistrettoPoint::vartime_multiscalar_mul(&scalars, &points) != RistrettoPoint::default()),
            ]
        }
        Backend::Portable => {
            let points = portable::Points::decode(&commitments).expect("points");
            [
                Box::new(move || portable::Points::decode(&commitments).is_some()),
                Box::new(move || {
                    let of_keys = RistrettoPoint::vartime_multiscalar_mul(&of_keys, &key_points);
                    CompressedRistretto(points.sum(&coefficients)).decompress() != Some(of_keys)
                }),
            ]
        }
        Backend::Vector(vector) => {
            let (encodings, scalars) = ([commitments, keys].concat(), scalars.iter().map(Scalar::to_bytes).collect::<Vec<_>>());
            let points = vector::Points::decode(vector, &encodings).expect("points");
            [Box::new(move || vector::Points::decode(vector, &encodings).is_some()), Box::new(move || points.sum(&scalars).is_some())]
        }
    }
}

/// Where our time goes, and what aggregates take, with each backend.
fn split(messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32] + Copy, size: usize) {
    let ours = Ours::sign(&messages[..size], signer);
    let columns: Vec<[f64; 7]> = Backend::all()
        .into_iter()
        .map(|backend| {
            let filled = ours.fill(size);
            let [decoding, sum] = decoding_and_sum(&ours.0, backend);
            let aggregate = || {
                let (mut aggregator, context) = (Aggregator::new(), context());
                let commitments = ours.0.iter().map(|(key, message, signature)| aggregator.push(&key.public(), &context, message, signature));
                (commitments.collect::<Option<Vec<_>>>().expect("well formed"), aggregator.finish_with(backend))
            };
            let (commitments, made) = aggregate();
            let holds = || {
                let (mut statement, context) = (Statement::new(), context());
                ours.0.iter().zip(&commitments).for_each(|((key, message, _), commitment)| statement.push(key, &context, message, commitment));
                statement.holds_with(&made, backend)
            };
            let works: [&(dyn Fn() -> bool + Sync); 6] =
                [&|| filled.challenges(backend).len() == size, &decoding, &sum, &|| ours.batch_with(size, backend), &|| aggregate().1 == made, &holds];
            let times = fastest_of(size, 1, &works);
            let [hashing, decoding, sum, whole, making, holding] = times[..] else { panic!("six works") };
            [hashing, decoding, sum, whole - hashing - decoding - sum, whole, making, holding]
        })
        .collect();
    println!("\nwhere our time goes, {size} at once, one core; microseconds for each signature, and shares of verifying the batch");
    println!("{:<40} {}", "", Backend::all().iter().map(|backend| format!("{:>14}", backend.to_string())).collect::<Vec<_>>().join(" "));
    let labels = [
        "challenges",
        "decoding (vector: keys too)",
        "multiplication, commitments and keys",
        "coefficients, merging, memory",
        "the batch, all in all",
        "making an aggregate",
        "verifying it, half the bytes",
    ];
    for (line, label) in labels.iter().enumerate() {
        let cells = columns.iter().map(|times| format!("{:>7} {:>4.0} %", number(times[line]), 100.0 * times[line] / times[4]));
        println!("{label:<40} {}", cells.collect::<Vec<_>>().join("  "));
    }
}

fn main() {
    if cfg!(debug_assertions) {
        eprintln!("note: this is not a release build; the numbers are higher than they could be");
    }
    println!("backend: {}", Backend::detect());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let messages: Vec<Vec<u8>> = (0..SIZES[SIZES.len() - 1] as u64)
        .map(|number| (0_u64..).flat_map(|block| Hash::of("message", &[&number.to_le_bytes(), &block.to_le_bytes()]).0).take(MESSAGE_BYTES).collect())
        .collect();
    let seed = |number: usize| Hash::of("signer", &[&number.to_le_bytes()]).0;
    compare("every signature by another key", &messages, seed, false, cores);
    compare("one key for sixteen signatures", &messages, move |number| seed(number / MESSAGES_PER_KEY), true, cores);
    split(&messages, move |number| seed(number / MESSAGES_PER_KEY), 4_096);
    traffic::part(cores);
}
