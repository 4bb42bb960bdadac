//! Profiles and layout: into how many slices a segment goes, and where each byte of a file ends up.
//!
//! ```text
//! file        | segment 0 | segment 1 | .. last, shorter |         plaintext
//! segment     | chunk 0 + tag | chunk 1 + tag | .. last + tag |    ciphertext, 64 KiB + 16 bytes per chunk
//! slices      | slice 0 | slice 1 | .. slice k-1 (padding at the end) | parity ..
//! ```
//! A file of no bytes has no segments. Every function here is arithmetic over these three cuts.

use std::ops::Range;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Plaintext in one encrypted chunk; the last chunk of a segment may be shorter.
pub const CHUNK_BYTES: u64 = 64 * 1024;
/// What AES-GCM adds to each chunk.
pub const TAG_BYTES: u64 = 16;
/// Slices are multiples of this, so that vector code has no tail to treat.
pub const SLICE_ALIGN_BYTES: u64 = 64;
/// The longest slice any profile makes: the bound a holder puts on what it accepts.
pub const SLICE_BYTES_MAX: u64 = 8 << 20;

/// The name of a profile in manifests and ledgers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileId {
    /// 4 + 2, for a development network of six holders.
    Dev,
    /// 10 + 10.
    Standard,
    /// 16 + 16.
    Archive,
}

/// How a segment is cut and coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Its name.
    pub id: ProfileId,
    /// `k`: slices that together are the ciphertext, and how many of any kind rebuild it.
    pub data: usize,
    /// `m`: slices beyond `k`; as many may be lost.
    pub parity: usize,
    /// Plaintext bytes in every segment but the last.
    pub segment_bytes: u64,
}

impl ProfileId {
    /// Every profile there is.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Standard, Self::Archive];

    /// The numbers behind the name.
    pub const fn profile(self) -> Profile {
        match self {
            Self::Dev => Profile { id: self, data: 4, parity: 2, segment_bytes: 16 << 20 },
            Self::Standard => Profile { id: self, data: 10, parity: 10, segment_bytes: 64 << 20 },
            Self::Archive => Profile { id: self, data: 16, parity: 16, segment_bytes: 64 << 20 },
        }
    }
}

impl Profile {
    /// `n = k + m`.
    pub const fn slices(&self) -> usize {
        self.data + self.parity
    }

    /// Number of segments of a file of `total` bytes: 0 for an empty file.
    pub const fn segments(&self, total: u64) -> u64 {
        total.div_ceil(self.segment_bytes)
    }

    /// Plaintext bytes of segment `index` in a file of `total` bytes; 0 beyond the end.
    pub fn segment_plaintext(&self, total: u64, index: u64) -> u64 {
        let start = index.saturating_mul(self.segment_bytes);
        total.saturating_sub(start).min(self.segment_bytes)
    }

    /// The layout of a segment of `plaintext` bytes.
    ///
    /// # Errors
    /// [`LayoutError`] for 0 bytes or more than a segment holds.
    pub fn segment(&self, plaintext: u64) -> Result<Segment, LayoutError> {
        if plaintext == 0 || plaintext > self.segment_bytes {
            return Err(LayoutError { plaintext, limit: self.segment_bytes });
        }
        Ok(Segment { profile: *self, plaintext })
    }
}

/// A segment's plaintext length that its profile does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a segment of {plaintext} bytes: this profile's hold 1 to {limit}")]
pub struct LayoutError {
    /// The length that was asked for.
    pub plaintext: u64,
    /// The profile's segment size.
    pub limit: u64,
}

/// Where the bytes of one segment are. Made by [`Profile::segment`] only, so its length is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    profile: Profile,
    plaintext: u64,
}

/// A run of bytes inside one slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceRun {
    /// Which slice, below `k`.
    pub slice: usize,
    /// Bytes inside that slice.
    pub bytes: Range<u64>,
}

impl Segment {
    /// The profile it is cut by.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Plaintext bytes, 1 to the profile's segment size.
    pub const fn plaintext(&self) -> u64 {
        self.plaintext
    }

    /// Number of encrypted chunks, at least 1.
    pub const fn chunks(&self) -> u64 {
        self.plaintext.div_ceil(CHUNK_BYTES)
    }

    /// Ciphertext bytes: the plaintext and one tag per chunk.
    pub const fn ciphertext(&self) -> u64 {
        self.plaintext + self.chunks() * TAG_BYTES
    }

    /// Bytes of each of the `n` slices: a `k`-th of the ciphertext, rounded up to [`SLICE_ALIGN_BYTES`].
    pub fn slice_bytes(&self) -> u64 {
        let data = self.profile.data as u64;
        self.ciphertext().div_ceil(data).next_multiple_of(SLICE_ALIGN_BYTES)
    }

    /// The chunks that cover a plaintext range (cut at the end).
    pub fn chunks_of(&self, plaintext: Range<u64>) -> Range<u64> {
        let end = plaintext.end.min(self.plaintext);
        if plaintext.start >= end { 0..0 } else { plaintext.start / CHUNK_BYTES..end.div_ceil(CHUNK_BYTES) }
    }

    /// The plaintext range of a run of chunks.
    pub fn plaintext_of(&self, chunks: Range<u64>) -> Range<u64> {
        let at = |chunk: u64| (chunk.min(self.chunks()) * CHUNK_BYTES).min(self.plaintext);
        at(chunks.start)..at(chunks.end)
    }

    /// The ciphertext range of a run of chunks, tags included.
    pub fn ciphertext_of(&self, chunks: Range<u64>) -> Range<u64> {
        let at = |chunk: u64| (chunk.min(self.chunks()) * (CHUNK_BYTES + TAG_BYTES)).min(self.ciphertext());
        at(chunks.start)..at(chunks.end)
    }

    /// The runs of the data slices that hold a ciphertext range, in order: their bytes, joined, are that range.
    pub fn runs_of(&self, ciphertext: Range<u64>) -> Vec<SliceRun> {
        let size = self.slice_bytes();
        let end = ciphertext.end.min(self.ciphertext());
        let mut runs = Vec::new();
        let mut at = ciphertext.start;
        while at < end {
            let slice = at / size;
            let stop = end.min((slice + 1) * size);
            runs.push(SliceRun { slice: index(slice), bytes: at - slice * size..stop - slice * size });
            at = stop;
        }
        runs
    }
}

/// A length that is known to be small (a segment, a slice) as an index.
pub(crate) fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("segments and slices are far below the address space")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_of_a_file() {
        let dev = ProfileId::Dev.profile();
        let size = dev.segment_bytes;
        for (total, lengths) in [(0, vec![]), (1, vec![1]), (size, vec![size]), (size + 1, vec![size, 1]), (2 * size, vec![size, size])] {
            assert_eq!(dev.segments(total), lengths.len() as u64, "{total}");
            let found: Vec<u64> = (0..dev.segments(total)).map(|segment| dev.segment_plaintext(total, segment)).collect();
            assert_eq!(found, lengths);
            assert_eq!(dev.segment_plaintext(total, dev.segments(total)), 0);
        }
        assert!(dev.segment(0).is_err() && dev.segment(size + 1).is_err() && dev.segment(size).is_ok());
    }

    #[test]
    fn edges_of_a_segment() {
        let dev = ProfileId::Dev.profile();
        let one = dev.segment(1).unwrap();
        assert_eq!((one.chunks(), one.ciphertext(), one.slice_bytes()), (1, 17, 64));
        let exact = dev.segment(CHUNK_BYTES).unwrap();
        assert_eq!((exact.chunks(), exact.ciphertext(), exact.slice_bytes()), (1, 65_552, 16_448));
        let more = dev.segment(CHUNK_BYTES + 1).unwrap();
        assert_eq!((more.chunks(), more.ciphertext()), (2, 65_569));
        for profile in ProfileId::ALL.map(ProfileId::profile) {
            assert!(profile.segment(profile.segment_bytes).unwrap().slice_bytes() <= SLICE_BYTES_MAX);
        }
    }

    proptest! {
        /// Byte by byte: the chunk, the ciphertext position and the slice of a plaintext byte agree with counting.
        #[test]
        fn layout_agrees_with_counting(plaintext in 1u64..16 << 20, start in 0u64..16 << 20, length in 1u64..1 << 20) {
            let segment = ProfileId::Dev.profile().segment(plaintext).unwrap();
            let range = start.min(plaintext - 1)..(start + length).min(plaintext);
            prop_assume!(range.start < range.end);
            let chunks = segment.chunks_of(range.clone());
            let covered = segment.plaintext_of(chunks.clone());
            prop_assert!(covered.start <= range.start && range.end <= covered.end);
            prop_assert!(range.start - covered.start < CHUNK_BYTES && covered.end - range.end < CHUNK_BYTES);
            let cipher = segment.ciphertext_of(chunks.clone());
            prop_assert_eq!(cipher.end - cipher.start, covered.end - covered.start + (chunks.end - chunks.start) * TAG_BYTES);
            let mut at = cipher.start;
            for run in segment.runs_of(cipher.clone()) {
                prop_assert_eq!(run.slice as u64 * segment.slice_bytes() + run.bytes.start, at);
                prop_assert!(run.slice < 4 && run.bytes.end <= segment.slice_bytes());
                at += run.bytes.end - run.bytes.start;
            }
            prop_assert_eq!(at, cipher.end);
        }
    }
}
