//! Merlin transcripts of equal shape side by side: STROBE-128 over `Keccak-f[1600]`, each lane of a register a transcript.
//!
//! Lengths and labels are public and equal in all lanes, so that every lane is at the same position all the time; what is absorbed may differ. Only what
//! challenges of signatures need is here: messages are appended, and bytes are drawn once, at the end.
//!
//! Sources: FIPS 202 (Keccak), STROBE 1.0.2, merlin 3 (`strobe.rs`, `transcript.rs`).

use super::Signed;
use super::lanes::{BLOCK_BYTES, Register};

/// Bytes between two permutations; two more are STROBE's padding.
const RATE: usize = 166;
const FLAG_INBOUND: u8 = 1;
const FLAG_APPLICATION: u8 = 1 << 1;
const FLAG_CIPHER: u8 = 1 << 2;
const FLAG_META: u8 = 1 << 4;

const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// How far the word at `x + 5 y` is turned.
const ROTATIONS: [u32; 25] = [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

/// `Keccak-f[1600]` of each lane, after a block for each was added.
#[inline(always)]
pub fn absorb<R: Register<N>, const N: usize>(proof: R::Proof, state: &mut [R; 25], blocks: &[[u8; BLOCK_BYTES]; N]) {
    let mut a = *state;
    for (place, a) in a[..BLOCK_BYTES / 8].iter_mut().enumerate() {
        let mut words = [0; N];
        for (word, block) in words.iter_mut().zip(blocks) {
            *word = u64::from_le_bytes(block.as_chunks::<8>().0[place]);
        }
        *a = a.xor(R::from_words(proof, words));
    }
    for round in ROUNDS {
        let mut parity = [a[0]; 5];
        for x in 0..5 {
            parity[x] = a[x].xor_both(a[x + 5], a[x + 10]).xor_both(a[x + 15], a[x + 20]);
        }
        let mut turned = parity;
        for turned in &mut turned {
            *turned = turned.turned(1);
        }
        let rows = [
            row::<R, N, 0>(&a, &parity, &turned),
            row::<R, N, 1>(&a, &parity, &turned),
            row::<R, N, 2>(&a, &parity, &turned),
            row::<R, N, 3>(&a, &parity, &turned),
            row::<R, N, 4>(&a, &parity, &turned),
        ];
        a.copy_from_slice(rows.as_flattened());
        a[0] = a[0].xor(R::splat(proof, round));
    }
    *state = a;
}

/// The row y of a state after a round, but for its constant. Rows have a number that is known to the compiler, and so has whatever they turn their words by.
#[inline(always)]
fn row<R: Register<N>, const N: usize, const Y: usize>(a: &[R; 25], parity: &[R; 5], turned: &[R; 5]) -> [R; 5] {
    let mut b = [a[0]; 5];
    for x in 0..5 {
        // The word that is moved to here.
        let from = (x + 3 * Y) % 5;
        b[x] = a[from + 5 * x].xor_both(parity[(from + 4) % 5], turned[(from + 1) % 5]).turned(ROTATIONS[from + 5 * x]);
    }
    let mut out = b;
    for x in 0..5 {
        out[x] = b[x].xor_and_not(b[(x + 1) % 5], b[(x + 2) % 5]);
    }
    out
}

/// The challenges of signatures, up to their reduction: what [`crate::schnorr`] describes, for `N` at once. A rest of fewer is filled up with its first.
pub fn challenges<R: Register<N>, const N: usize>(proof: R::Proof, context: &[u8], signed: &[Signed<'_>]) -> Vec<[u8; 64]> {
    let mut prefix = Transcripts::<R, N>::new(proof, b"SigningContext");
    prefix.append(b"", [context; N]);
    let mut out = Vec::with_capacity(signed.len().next_multiple_of(N));
    for chunk in signed.chunks(N) {
        let mut filled = [&chunk[0]; N];
        filled.iter_mut().zip(chunk).for_each(|(filled, signed)| *filled = signed);
        let mut transcripts = prefix.clone();
        transcripts.append(b"sign-bytes", filled.map(|signed| signed.message));
        transcripts.append(b"proto-name", [b"Schnorr-sig"; N]);
        transcripts.append(b"sign:pk", filled.map(|signed| &signed.key[..]));
        transcripts.append(b"sign:R", filled.map(|signed| &signed.commitment[..]));
        out.extend(transcripts.challenge(b"sign:c"));
    }
    out.truncate(signed.len());
    out
}

/// `N` transcripts.
#[derive(Clone)]
struct Transcripts<R, const N: usize> {
    state: [R; 25],
    /// What was absorbed since the last permutation, by lane.
    blocks: [[u8; BLOCK_BYTES]; N],
    position: usize,
    /// Where the present operation began: its position plus one, or zero if that is before the last permutation.
    begin: u8,
}

impl<R: Register<N>, const N: usize> Transcripts<R, N> {
    /// Transcripts of a protocol (merlin's `Transcript::new`).
    fn new(proof: R::Proof, protocol: &[u8]) -> Self {
        let mut transcripts = Self { state: [R::splat(proof, 0); 25], blocks: [[0; BLOCK_BYTES]; N], position: 0, begin: 0 };
        for block in &mut transcripts.blocks {
            block[..6].copy_from_slice(&[1, 168, 1, 0, 1, 96]);
            block[6..18].copy_from_slice(b"STROBEv1.0.2");
        }
        transcripts.absorb_blocks();
        transcripts.begin_operation(FLAG_META | FLAG_APPLICATION);
        transcripts.absorb([b"Merlin v1.0"; N]);
        transcripts.append(b"dom-sep", [protocol; N]);
        transcripts
    }

    /// Appends a message to each; all must be equally long.
    fn append(&mut self, label: &[u8], messages: [&[u8]; N]) {
        self.begin_operation(FLAG_META | FLAG_APPLICATION);
        self.absorb([label; N]);
        self.absorb([&length(messages[0].len()); N]);
        self.begin_operation(FLAG_APPLICATION);
        self.absorb(messages);
    }

    /// 64 bytes from each, and no more after them.
    fn challenge(mut self, label: &[u8]) -> [[u8; 64]; N] {
        self.begin_operation(FLAG_META | FLAG_APPLICATION);
        self.absorb([label; N]);
        self.absorb([&length(64); N]);
        self.begin_operation(FLAG_INBOUND | FLAG_APPLICATION | FLAG_CIPHER);
        if self.position != 0 {
            self.end_blocks();
        }
        let mut out = [[0; 64]; N];
        for (place, register) in self.state[..8].iter().enumerate() {
            for (out, word) in out.iter_mut().zip(register.to_words()) {
                out.as_chunks_mut::<8>().0[place] = word.to_le_bytes();
            }
        }
        out
    }

    fn begin_operation(&mut self, flags: u8) {
        let before = self.begin;
        // A position is below 166.
        self.begin = self.position.to_le_bytes()[0] + 1;
        self.absorb([&[before, flags]; N]);
    }

    fn absorb(&mut self, messages: [&[u8]; N]) {
        let (mut taken, length) = (0, messages[0].len());
        while taken < length {
            let count = (RATE - self.position).min(length - taken);
            for (block, message) in self.blocks.iter_mut().zip(messages) {
                block[self.position..self.position + count].copy_from_slice(&message[taken..taken + count]);
            }
            (taken, self.position) = (taken + count, self.position + count);
            if self.position == RATE {
                self.end_blocks();
            }
        }
    }

    /// Ends a block of each: STROBE's padding, then the permutation.
    fn end_blocks(&mut self) {
        for block in &mut self.blocks {
            block[self.position] = self.begin;
            block[self.position + 1] ^= 0x04;
            block[RATE + 1] ^= 0x80;
        }
        self.absorb_blocks();
    }

    fn absorb_blocks(&mut self) {
        R::absorb(&mut self.state, &self.blocks);
        (self.blocks, self.position, self.begin) = ([[0; BLOCK_BYTES]; N], 0, 0);
    }
}

/// A length as merlin appends it.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a message is shorter than 4 GiB, as merlin demands too").to_le_bytes()
}
