//! What verifying traffic costs, beside three other kinds of signatures, in one process and one run: `make bench-pot`.
//!
//! Messages have the length of an encoded receipt. In the first table every signature is by another key; in the second each key signs sixteen times, as sessions do
//! that use several carriers. Single verification has its keys decoded; a batch is verified as it is given, with its messages hashed. The machine should have nothing
//! else to do. A measurement is repeated for at least a fifth of a second, and the fastest repetition counts.
//!
//! # Systems
//! | | version | batch |
//! |---|---|---|
//! | ours | this workspace | [`primitives::batch`], 4,096 at once; equal keys merged |
//! | schnorrkel | 0.11.5 | `verify_batch`; in the second table with merged keys (only those that are given one after the other, as they are here) |
//! | ed25519 | ed25519-dalek 2.2.0 | `verify_batch`; it merges no keys |
//! | blst | 0.3.17, BLS12-381, keys in G1 | `verify_multiple_aggregate_signatures`, 64-bit coefficients, keys and signatures checked before |
//!
//! # Not equal
//! - ed25519-dalek's batch accepts what a single verification may refuse (its cofactor); in the group of ours and schnorrkel's there is none.
//! - Signatures of blst have 96 bytes here, its keys 48; the others 64 and 32.
//! - Coefficients: ours 128 bits from a hash over everything, so that everybody has the same; schnorrkel's 128 random bits, ed25519-dalek's 128 from a hash, blst's 64, which here are given.
//! - Ours is on curve25519-dalek 5, schnorrkel and ed25519-dalek 2.2.0 are on 4.1.3.

mod peers;
mod traffic;

use std::time::{Duration, Instant};

use peers::{Blst, Dalek, Schnorrkel};
use primitives::aggregate::{Aggregator, Statement};
use primitives::batch::Batch;
use primitives::{Context, Hash, SecretKey, Signature, VerifyingKey};

/// Bytes of a message: those of an encoded receipt.
const MESSAGE_BYTES: usize = 121;
/// Signatures verified at once.
const SIZES: [usize; 6] = [16, 64, 256, 1_024, 4_096, 16_384];
/// Signatures by one key in the second table.
const MESSAGES_PER_KEY: usize = 16;
/// How long each measurement goes on at least.
const TIME_MIN: Duration = Duration::from_millis(200);

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
        let (mut batch, context) = (Batch::new(), context());
        self.0[..count].iter().for_each(|(key, message, signature)| batch.push(key, &context, message, signature));
        batch.verify()
    }
}

/// The fastest of as many repetitions as [`TIME_MIN`] has room for, on so many threads at once, in microseconds for each of `count`.
fn fastest(count: usize, threads: usize, work: impl Fn() -> bool + Sync) -> f64 {
    let one = || {
        let (began, mut best) = (Instant::now(), Duration::MAX);
        while began.elapsed() < TIME_MIN {
            let began = Instant::now();
            assert!(work(), "what is valid is accepted");
            best = best.min(began.elapsed());
        }
        best
    };
    let slowest = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one)).collect();
        others.into_iter().map(|other| other.join().expect("it measured")).fold(one(), Duration::max)
    });
    slowest.as_secs_f64() * 1e6 / (count * threads) as f64
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// A row: ours, and the others with how many times ours they take.
fn row(label: &str, times: [f64; 4]) {
    let others = times[1..].iter().map(|time| format!("{:>12} {:>7}", number(*time), format!("{:.2}x", time / times[0])));
    println!("{label:<28} {:>8} {}", number(times[0]), others.collect::<Vec<_>>().join(" "));
}

fn compare(title: &str, messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32] + Copy, is_merged: bool, cores: usize) {
    println!("\n{title}; microseconds for each signature, and how many times ours");
    println!("{:<28} {:>8} {:>12} {:>7} {:>12} {:>7} {:>12} {:>7}", "", Ours::NAME, Schnorrkel::NAME, "", Dalek::NAME, "", Blst::NAME, "");
    let systems = (Ours::sign(messages, signer), Schnorrkel::sign(messages, signer), Dalek::sign(messages, signer), Blst::sign(messages, signer));
    row(
        "one by one",
        [
            fastest(1, 1, || systems.0.single()),
            fastest(1, 1, || systems.1.single()),
            fastest(1, 1, || systems.2.single()),
            fastest(1, 1, || systems.3.single()),
        ],
    );
    for threads in [1, cores] {
        for size in SIZES {
            let label = format!("{size} at once, {threads} core{}", if threads == 1 { "" } else { "s" });
            row(
                &label,
                [
                    fastest(size, threads, || systems.0.batch(size, is_merged)),
                    fastest(size, threads, || systems.1.batch(size, is_merged)),
                    fastest(size, threads, || systems.2.batch(size, is_merged)),
                    fastest(size, threads, || systems.3.batch(size, is_merged)),
                ],
            );
        }
        if cores == 1 {
            break;
        }
    }
}

/// Where our time goes, and what aggregates take.
fn split(messages: &[Vec<u8>], signer: impl Fn(usize) -> [u8; 32] + Copy, size: usize) {
    let Ours(signed) = Ours::sign(&messages[..size], signer);
    let fill = || {
        let (mut batch, context) = (Batch::new(), context());
        signed.iter().for_each(|(key, message, signature)| batch.push(key, &context, message, signature));
        batch
    };
    let whole = fastest(size, 1, || fill().verify());
    let hashing = fastest(size, 1, || fill().len() == size);
    let commitments: Vec<[u8; 32]> = signed.iter().map(|(_, _, signature)| *signature.0.first_chunk().expect("64 bytes")).collect();
    let decoding = fastest(size, 1, || commitments.iter().all(|bytes| curve25519_dalek::ristretto::CompressedRistretto(*bytes).decompress().is_some()));
    println!("\nwhere our time goes, {size} at once, one core; microseconds for each signature");
    let share = |label: &str, time: f64| println!("{label:<40} {:>8} {:>5.0} %", number(time), 100.0 * time / whole);
    share("challenges (merlin)", hashing);
    share("decompression of R", decoding);
    share("coefficients, merging, multiplication", whole - hashing - decoding);
    share("all", whole);

    let aggregate = || {
        let (mut aggregator, context) = (Aggregator::new(), context());
        signed.iter().for_each(|(key, message, signature)| {
            aggregator.push(&key.public(), &context, message, signature).expect("well formed");
        });
        aggregator.finish()
    };
    let made = aggregate();
    let holds = || {
        let (mut statement, context) = (Statement::new(), context());
        signed.iter().zip(&commitments).for_each(|((key, message, _), commitment)| statement.push(key, &context, message, commitment));
        statement.holds(&made)
    };
    share("making an aggregate", fastest(size, 1, || aggregate() == made));
    share("verifying it, half the bytes", fastest(size, 1, holds));
}

fn main() {
    if cfg!(debug_assertions) {
        eprintln!("note: this is not a release build; the numbers are higher than they could be");
    }
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
