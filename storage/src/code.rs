//! Reed-Solomon over GF(2^8), systematic: the first `k` slices are the ciphertext in contiguous runs, `m` more make up for any `m` that are lost.
//!
//! The code works on each byte position alone, so what is said of whole slices holds for equal ranges of slices: a range of a lost slice is rebuilt from the
//! same range of any `k` others. Work goes in stripes that stay in the cache (1 MiB stripes measured 2.5 to 6 times slower).

use rustfs_erasure_codec::galois_8::ReedSolomon;

use crate::profile::Profile;

/// Bytes of each slice that are coded at a time.
const STRIPE_BYTES: usize = 32 * 1024;

/// Why slices cannot be coded or rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Fewer slices than any rebuild needs.
    #[error("{present} slices are left, {needed} are needed to rebuild")]
    TooFew {
        /// How many there are.
        present: usize,
        /// `k`.
        needed: usize,
    },
    /// Not one entry per slice, or entries of different lengths.
    #[error("{found} slices of equal length were expected to be {expected}, or a length differs")]
    Shape {
        /// `n`.
        expected: usize,
        /// Entries that were passed.
        found: usize,
    },
}

/// The code of one profile. Making one inverts a small matrix: keep it.
pub struct Code {
    profile: Profile,
    codec: ReedSolomon,
}

impl Code {
    /// The code of `profile`.
    pub fn new(profile: Profile) -> Self {
        let codec = ReedSolomon::new(profile.data, profile.parity).expect("every profile has 1 to 255 slices of both kinds");
        Self { profile, codec }
    }

    /// The profile it was made for.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Fills in the parity: `slices` is `n` slices end to end, of which the first `k` hold the data.
    ///
    /// # Errors
    /// [`CodeError::Shape`] if the length is not a multiple of `n`.
    pub fn encode(&self, slices: &mut [u8]) -> Result<(), CodeError> {
        let (n, length) = (self.profile.slices(), slices.len() / self.profile.slices());
        if length * n != slices.len() || length == 0 {
            return Err(CodeError::Shape { expected: n, found: slices.len() });
        }
        let (data, parity) = slices.split_at_mut(length * self.profile.data);
        for start in (0..length).step_by(STRIPE_BYTES) {
            let stripe = start..(start + STRIPE_BYTES).min(length);
            let data: Vec<&[u8]> = data.chunks_exact(length).map(|slice| &slice[stripe.clone()]).collect();
            let mut parity: Vec<&mut [u8]> = parity.chunks_exact_mut(length).map(|slice| &mut slice[stripe.clone()]).collect();
            self.codec.encode_sep(&data, &mut parity).expect("k and m slices of one length");
        }
        Ok(())
    }

    /// The `k` data slices, end to end, from any `k` of the `n` in `pieces` (lost ones are `None`). Pieces may be equal ranges of the slices.
    ///
    /// # Errors
    /// [`CodeError::TooFew`] with fewer than `k`, [`CodeError::Shape`] if there are not `n` entries of one length.
    pub fn rebuild<T: AsRef<[u8]>>(&self, pieces: &[Option<T>]) -> Result<Vec<u8>, CodeError> {
        let (k, n) = (self.profile.data, self.profile.slices());
        let length = self.check(pieces)?;
        let mut data = vec![0; k * length];
        for (slice, piece) in data.chunks_exact_mut(length).zip(pieces) {
            if let Some(piece) = piece {
                slice.copy_from_slice(piece.as_ref());
            }
        }
        let lost: Vec<bool> = pieces[..k].iter().map(Option::is_none).collect();
        let lost_count = lost.iter().filter(|lost| **lost).count();
        if lost_count == 0 {
            return Ok(data);
        }
        let required: Vec<bool> = lost.iter().copied().chain(std::iter::repeat_n(false, n - k)).collect();
        let mut scratch = vec![0; lost_count * STRIPE_BYTES.min(length)];
        for start in (0..length).step_by(STRIPE_BYTES) {
            let stripe = start..(start + STRIPE_BYTES).min(length);
            let mut shards: Vec<(&mut [u8], bool)> = Vec::with_capacity(n);
            shards.extend(data.chunks_exact_mut(length).zip(&lost).map(|(slice, lost)| (&mut slice[stripe.clone()], !lost)));
            // Of the parity, as many as are missing take part; the others count as lost.
            let mut rest = scratch.chunks_exact_mut(stripe.len());
            for piece in &pieces[k..] {
                let taken = piece.as_ref().and_then(|piece| rest.next().map(|copy| (copy, piece)));
                shards.push(match taken {
                    Some((copy, piece)) => {
                        copy.copy_from_slice(&piece.as_ref()[stripe.clone()]);
                        (copy, true)
                    }
                    None => (&mut [], false),
                });
            }
            self.codec.reconstruct_some(&mut shards, &required).expect("k slices of one length are present");
        }
        Ok(data)
    }

    fn check<T: AsRef<[u8]>>(&self, pieces: &[Option<T>]) -> Result<usize, CodeError> {
        let shape = CodeError::Shape { expected: self.profile.slices(), found: pieces.len() };
        if pieces.len() != self.profile.slices() {
            return Err(shape);
        }
        let mut lengths = pieces.iter().flatten().map(|piece| piece.as_ref().len());
        let present = lengths.clone().count();
        if present < self.profile.data {
            return Err(CodeError::TooFew { present, needed: self.profile.data });
        }
        let length = lengths.next().unwrap_or(0);
        if length == 0 || lengths.any(|other| other != length) { Err(shape) } else { Ok(length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ProfileId;
    use proptest::prelude::*;

    fn filled(code: &Code, length: usize) -> Vec<u8> {
        let k = code.profile().data;
        let mut slices: Vec<u8> = (0..k * length).map(|at| (at * 7 + at / 13).to_le_bytes()[0]).collect();
        slices.resize(code.profile().slices() * length, 0);
        code.encode(&mut slices).unwrap();
        slices
    }

    /// The matrix is part of the format: another version of the crate, or another vector path, must give the same parity.
    ///
    /// SHA-256 of the parity, computed byte by byte by another program: a Vandermonde matrix over GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, times the inverse
    /// of its top.
    #[test]
    fn golden_parity() {
        for (id, expected) in [(ProfileId::Dev, "32de560ae998f0da"), (ProfileId::Standard, "588609ec2a17231d"), (ProfileId::Archive, "2bdce61adb1ee466")] {
            let code = Code::new(id.profile());
            let slices = filled(&code, 1000);
            let parity = &slices[id.profile().data * 1000..];
            assert_eq!(primitives::Hash::raw(&[parity]).to_string()[..16], *expected, "{id:?}");
        }
    }

    #[test]
    fn too_few_and_misshapen_are_refused() {
        let code = Code::new(ProfileId::Dev.profile());
        let piece = vec![1_u8; 64];
        let three = [Some(&piece), None, Some(&piece), None, None, Some(&piece)];
        assert_eq!(code.rebuild(&three), Err(CodeError::TooFew { present: 3, needed: 4 }));
        assert!(matches!(code.rebuild(&three[..5]), Err(CodeError::Shape { expected: 6, found: 5 })));
        let short = vec![1_u8; 63];
        assert!(matches!(code.rebuild(&[Some(&piece), Some(&short), Some(&piece), Some(&piece), None, None]), Err(CodeError::Shape { .. })));
        assert!(code.encode(&mut [0; 7]).is_err() && code.encode(&mut []).is_err());
    }

    /// All 57 ways to lose at most 2 of 6, over lengths around the stripe.
    #[test]
    fn every_loss_of_dev_is_rebuilt() {
        let code = Code::new(ProfileId::Dev.profile());
        for length in [1, 63, 64, STRIPE_BYTES - 1, STRIPE_BYTES, STRIPE_BYTES + 64] {
            let slices = filled(&code, length);
            for (first, second) in (0..6).flat_map(|first| (first..6).map(move |second| (first, second))) {
                let pieces: Vec<Option<&[u8]>> = slices.chunks(length).enumerate().map(|(at, slice)| (at != first && at != second).then_some(slice)).collect();
                assert_eq!(code.rebuild(&pieces).unwrap(), slices[..4 * length], "{length} without {first} and {second}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Any k of the n slices, and equal ranges of them, rebuild the same ranges.
        #[test]
        fn any_k_rebuild(id in prop::sample::select(&ProfileId::ALL[..]), length in 1usize..3000, order in Just((0..32usize).collect::<Vec<_>>()).prop_shuffle(),
                         from in any::<prop::sample::Index>()) {
            let code = Code::new(id.profile());
            let (k, n) = (code.profile().data, code.profile().slices());
            let slices = filled(&code, length);
            let from = from.index(length);
            let kept: Vec<usize> = order.into_iter().filter(|slice| *slice < n).take(k).collect();
            let pieces: Vec<Option<&[u8]>> = slices.chunks(length).enumerate().map(|(at, slice)| kept.contains(&at).then_some(&slice[from..])).collect();
            let expected: Vec<u8> = slices.chunks(length).take(k).flat_map(|slice| slice[from..].to_vec()).collect();
            prop_assert_eq!(code.rebuild(&pieces).unwrap(), expected);
        }
    }
}
