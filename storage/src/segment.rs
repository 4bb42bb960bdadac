//! A segment's way out: plaintext to slices with roots.
//!
//! One buffer per segment: it is encrypted into where its slices will lie, coded there, hashed there, and then shared out without a copy.

use bytes::Bytes;
use primitives::Hash;

use crate::cipher::{CipherError, SegmentCipher};
use crate::code::{Code, CodeError};
use crate::commit;
use crate::profile::{LayoutError, Segment, TAG_BYTES, index};

/// A segment ready to be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sliced {
    /// Where its bytes are.
    pub layout: Segment,
    /// The `n` slices, `k` of data first; they share `buffer`.
    pub slices: Vec<Bytes>,
    /// All slices end to end; when no slice is used any more it can be filled again.
    pub buffer: Bytes,
    /// The slices' roots, in the same order.
    pub roots: Vec<Hash>,
}

/// Why a segment was not made or not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// No bytes, or more than a segment holds.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Too few slices, or slices of a wrong length.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A chunk that is not genuine.
    #[error(transparent)]
    Cipher(#[from] CipherError),
}

/// Encrypts, codes and hashes segment number `segment` in `buffer`, whatever was there before. Each number may be sealed only once under one key.
///
/// # Errors
/// [`SegmentError::Layout`] if `plaintext` is empty or longer than the profile's segments.
pub fn seal(code: &Code, cipher: &SegmentCipher, segment: u32, plaintext: &[u8], mut buffer: Vec<u8>) -> Result<Sliced, SegmentError> {
    let layout = code.profile().segment(plaintext.len() as u64)?;
    let length = index(layout.slice_bytes());
    buffer.clear();
    buffer.resize(length * code.profile().slices(), 0);
    cipher.encrypt(segment, &layout, plaintext, &mut buffer[..index(layout.ciphertext())])?;
    pad(&mut buffer[..length * code.profile().data], index(layout.ciphertext()));
    code.encode(&mut buffer)?;
    let roots = buffer.chunks_exact(length).map(commit::root).collect();
    let buffer = Bytes::from(buffer);
    let slices = (0..code.profile().slices()).map(|slice| buffer.slice(slice * length..(slice + 1) * length)).collect();
    Ok(Sliced { layout, slices, buffer, roots })
}

/// Fills the data slices behind the ciphertext with bytes that follow from its last authentication tag. Zeros would give the short segments of all files the
/// same slices, which would be stored once and needed by everybody. Nobody looks at the padding again.
fn pad(data: &mut [u8], end: usize) {
    let (sealed, rest) = data.split_at_mut(end);
    let tag = &sealed[sealed.len().saturating_sub(index(TAG_BYTES))..];
    blake3::Hasher::new().update(b"stratos padding").update(tag).finalize_xof().fill(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::FileKey;
    use crate::profile::ProfileId;
    use proptest::prelude::*;

    /// The plaintext from any `k` slices; lost ones are `None`.
    fn open(code: &Code, cipher: &SegmentCipher, segment: u32, layout: &Segment, slices: &[Option<&Bytes>]) -> Result<Vec<u8>, SegmentError> {
        let ciphertext = code.rebuild(slices)?;
        let mut plaintext = vec![0; index(layout.plaintext())];
        cipher.decrypt(segment, layout, 0, &ciphertext[..index(layout.ciphertext())], &mut plaintext)?;
        Ok(plaintext)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Checks STORE-1: whichever m slices are lost, the plaintext comes back; one more and the loss is named.
        #[test]
        fn survives_every_loss(id in prop::sample::select(&ProfileId::ALL[..]), length in 1usize..400_000, order in Just((0..32usize).collect::<Vec<_>>()).prop_shuffle()) {
            let (code, cipher) = (Code::new(id.profile()), FileKey::from_bytes([4; 32]).segments());
            let plaintext: Vec<u8> = (0..length).map(|at| (at * 3 + at / 100).to_le_bytes()[0]).collect();
            let used = vec![7; length / 3];
            let Sliced { layout, slices, roots, .. } = seal(&code, &cipher, 9, &plaintext, used).unwrap();
            prop_assert!(slices.iter().zip(&roots).all(|(slice, root)| commit::root(slice) == *root));
            let lost: Vec<usize> = order.into_iter().filter(|slice| *slice < slices.len()).take(id.profile().parity + 1).collect();
            let keep = |lost: &[usize]| -> Vec<Option<&Bytes>> { slices.iter().enumerate().map(|(at, slice)| (!lost.contains(&at)).then_some(slice)).collect() };
            prop_assert_eq!(open(&code, &cipher, 9, &layout, &keep(&lost[1..])).unwrap(), plaintext);
            let needed = id.profile().data;
            prop_assert_eq!(open(&code, &cipher, 9, &layout, &keep(&lost)), Err(SegmentError::Code(CodeError::TooFew { present: needed - 1, needed })));
        }
    }

    #[test]
    fn a_range_is_read_from_its_runs_alone() {
        let (code, cipher) = (Code::new(ProfileId::Dev.profile()), FileKey::from_bytes([4; 32]).segments());
        let plaintext: Vec<u8> = (0..1_000_000).map(|at: u32| (at / 7).to_le_bytes()[0]).collect();
        let Sliced { layout, slices, .. } = seal(&code, &cipher, 0, &plaintext, Vec::new()).unwrap();
        let chunks = layout.chunks_of(500_000..600_000);
        let mut ciphertext = Vec::new();
        for run in layout.runs_of(layout.ciphertext_of(chunks.clone())) {
            ciphertext.extend_from_slice(&slices[run.slice][index(run.bytes.start)..index(run.bytes.end)]);
        }
        let covered = layout.plaintext_of(chunks.clone());
        let mut out = vec![0; index(covered.end - covered.start)];
        cipher.decrypt(0, &layout, chunks.start, &ciphertext, &mut out).unwrap();
        assert_eq!(out, plaintext[index(covered.start)..index(covered.end)]);
    }
}
