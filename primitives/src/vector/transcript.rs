//! Eight merlin transcripts of equal shape side by side: STROBE-128 over `Keccak-f[1600]`, each lane of a register a transcript.
//!
//! Lengths and labels are public and equal in all lanes, so that every lane is at the same position all the time; what is absorbed may differ. Only what
//! challenges of signatures need is here: messages are appended, and bytes are drawn once, at the end.
//!
//! Sources: FIPS 202 (Keccak), STROBE 1.0.2, merlin 3 (`strobe.rs`, `transcript.rs`).

use std::arch::x86_64::{__m512i, _mm512_rolv_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_ternarylogic_epi64, _mm512_xor_si512};

use super::Signed;
use super::field::{lanes, transposed, words};

/// Bytes between two permutations; two more are STROBE's padding.
const RATE: usize = 166;
/// Words that are touched between two permutations.
const RATE_WORDS: usize = 21;

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
const ROTATIONS: [i64; 25] = [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

/// `a ^ b ^ c`, and `a ^ (!b & c)`, as tables of a ternary operation.
const XOR: i32 = 0x96;
const XOR_AND_NOT: i32 = 0xd2;

/// `Keccak-f[1600]` of each lane.
#[target_feature(enable = "avx512f,avx512ifma")]
fn permute(state: &mut [__m512i; 25]) {
    let mut a = *state;
    for round in ROUNDS {
        let zero = _mm512_setzero_si512();
        let mut parity = [zero; 5];
        for x in 0..5 {
            parity[x] = _mm512_ternarylogic_epi64::<XOR>(_mm512_ternarylogic_epi64::<XOR>(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
        }
        let mut turned = [zero; 5];
        for x in 0..5 {
            turned[x] = _mm512_rolv_epi64(parity[x], _mm512_set1_epi64(1));
        }
        let mut b = [zero; 25];
        for y in 0..5 {
            for x in 0..5 {
                let mixed = _mm512_ternarylogic_epi64::<XOR>(a[x + 5 * y], parity[(x + 4) % 5], turned[(x + 1) % 5]);
                b[y + 5 * ((2 * x + 3 * y) % 5)] = _mm512_rolv_epi64(mixed, _mm512_set1_epi64(ROTATIONS[x + 5 * y]));
            }
        }
        for y in 0..5 {
            for x in 0..5 {
                a[x + 5 * y] = _mm512_ternarylogic_epi64::<XOR_AND_NOT>(b[x + 5 * y], b[(x + 1) % 5 + 5 * y], b[(x + 2) % 5 + 5 * y]);
            }
        }
        a[0] = _mm512_xor_si512(a[0], _mm512_set1_epi64(round.cast_signed()));
    }
    *state = a;
}

/// The challenges of signatures, up to their reduction: what [`crate::schnorr`] describes, for eight at once.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn challenges(context: &[u8], eights: &[[Signed<'_>; 8]]) -> Vec<[[u8; 64]; 8]> {
    let mut prefix = Transcripts::new(b"SigningContext");
    prefix.append(b"", [context; 8]);
    let mut out = Vec::with_capacity(eights.len());
    for eight in eights {
        let mut transcripts = prefix.clone();
        transcripts.append(b"sign-bytes", eight.map(|signed| signed.message));
        transcripts.append(b"proto-name", [b"Schnorr-sig"; 8]);
        transcripts.append(b"sign:pk", eight.map(|signed| &signed.key[..]));
        transcripts.append(b"sign:R", eight.map(|signed| &signed.commitment[..]));
        out.push(transcripts.challenge(b"sign:c"));
    }
    out
}

/// Eight transcripts.
#[derive(Clone)]
pub struct Transcripts {
    state: [__m512i; 25],
    /// What was absorbed since the last permutation, by lane.
    block: [[u8; 8 * RATE_WORDS]; 8],
    position: usize,
    /// Where the present operation began: its position plus one, or zero if that is before the last permutation.
    begin: u8,
}

impl Transcripts {
    /// Eight transcripts of a protocol (merlin's `Transcript::new`).
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn new(protocol: &[u8]) -> Self {
        let mut transcripts = Self { state: [_mm512_setzero_si512(); 25], block: [[0; 8 * RATE_WORDS]; 8], position: 0, begin: 0 };
        for block in &mut transcripts.block {
            block[..6].copy_from_slice(&[1, 168, 1, 0, 1, 96]);
            block[6..18].copy_from_slice(b"STROBEv1.0.2");
        }
        transcripts.absorb_block();
        transcripts.begin_operation(FLAG_META | FLAG_APPLICATION);
        transcripts.absorb([b"Merlin v1.0"; 8]);
        transcripts.append(b"dom-sep", [protocol; 8]);
        transcripts
    }

    /// Appends a message to each; all must be equally long.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn append(&mut self, label: &[u8], messages: [&[u8]; 8]) {
        self.begin_operation(FLAG_META | FLAG_APPLICATION);
        self.absorb([label; 8]);
        self.absorb([&length(messages[0].len()); 8]);
        self.begin_operation(FLAG_APPLICATION);
        self.absorb(messages);
    }

    /// 64 bytes from each, and no more after them.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn challenge(mut self, label: &[u8]) -> [[u8; 64]; 8] {
        self.begin_operation(FLAG_META | FLAG_APPLICATION);
        self.absorb([label; 8]);
        self.absorb([&length(64); 8]);
        self.begin_operation(FLAG_INBOUND | FLAG_APPLICATION | FLAG_CIPHER);
        if self.position != 0 {
            self.permute_block();
        }
        let [a, b, c, d, e, f, g, h, ..] = self.state;
        let mut out = [[0; 64]; 8];
        for (out, row) in out.iter_mut().zip(transposed(&[a, b, c, d, e, f, g, h])) {
            for (bytes, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words(row)) {
                *bytes = word.to_le_bytes();
            }
        }
        out
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn begin_operation(&mut self, flags: u8) {
        let before = self.begin;
        // A position is below 166.
        self.begin = self.position.to_le_bytes()[0] + 1;
        self.absorb([&[before, flags]; 8]);
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn absorb(&mut self, messages: [&[u8]; 8]) {
        let (mut taken, length) = (0, messages[0].len());
        while taken < length {
            let count = (RATE - self.position).min(length - taken);
            for (block, message) in self.block.iter_mut().zip(messages) {
                block[self.position..self.position + count].copy_from_slice(&message[taken..taken + count]);
            }
            (taken, self.position) = (taken + count, self.position + count);
            if self.position == RATE {
                self.permute_block();
            }
        }
    }

    /// Ends a block: STROBE's padding, then the permutation.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn permute_block(&mut self) {
        for block in &mut self.block {
            block[self.position] = self.begin;
            block[self.position + 1] ^= 0x04;
            block[RATE + 1] ^= 0x80;
        }
        self.absorb_block();
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn absorb_block(&mut self) {
        for word in 0..RATE_WORDS {
            let mut column = [0; 8];
            for (column, block) in column.iter_mut().zip(&self.block) {
                *column = u64::from_le_bytes(block.as_chunks::<8>().0[word]);
            }
            self.state[word] = _mm512_xor_si512(self.state[word], lanes(column));
        }
        permute(&mut self.state);
        (self.block, self.position, self.begin) = ([[0; 8 * RATE_WORDS]; 8], 0, 0);
    }
}

/// A length as merlin appends it.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a message is shorter than 4 GiB, as merlin demands too").to_le_bytes()
}
