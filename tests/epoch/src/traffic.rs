//! Who used whom in the epoch, and for how many bytes: the same on every machine, from the size alone.
//!
//! - Every payer has one session and as many channels as any other, give or take one.
//! - A payer's carriers are drawn from `near` carriers that follow each other in the order of addresses, which is the order of a report. If `near` is all of
//!   them, any payer may use any carrier: the worst case, for carriers that share a part share few payers.
//! - A channel's class is drawn with its carrier, so two channels may have one carrier.
//! - Bytes are skewed: the channel of rank `n` has a weight of `1 / n`, and which channel has which rank is drawn.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use pot::Class;
use pot::claim::CLAIM_ENTRIES_MAX;
use primitives::Hash;

/// What the bytes of a channel may be.
const CLASSES: [Class; 3] = [Class::Upload, Class::Download, Class::Stream];
/// Weight of the first rank; those of others are whole parts of it.
const WEIGHT_FIRST: u128 = 1 << 40;

/// How large an epoch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Size {
    /// Carriers, each with one claim if it has a channel.
    pub carriers: u32,
    /// Payers, each with one session.
    pub payers: u32,
    /// Channels: a payer's session, a carrier, a class.
    pub channels: u32,
    /// All bytes carried.
    pub bytes: u64,
    /// Carriers that one payer draws its own from.
    pub near: u32,
}

/// Why there is no such epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// None of something.
    #[error("an epoch needs at least 1 carrier, payer and channel; here are {carriers} carriers, {payers} payers, {channels} channels")]
    Empty {
        /// Carriers.
        carriers: u32,
        /// Payers.
        payers: u32,
        /// Channels.
        channels: u32,
    },
    /// A channel without a byte.
    #[error("{bytes} bytes are too few for {channels} channels of at least 1 byte: take more bytes or fewer channels")]
    Bytes {
        /// All bytes.
        bytes: u64,
        /// Channels.
        channels: u32,
    },
    /// A neighbourhood that is none.
    #[error("a payer cannot draw from {near} of {carriers} carriers: take 1 to {carriers}")]
    Near {
        /// Carriers to draw from.
        near: u32,
        /// All carriers.
        carriers: u32,
    },
    /// More channels than a payer finds different carriers and classes.
    #[error(
        "{own} channels for each payer, but {near} carriers and 3 classes are drawn for at most {own_max}: take more payers, a larger neighbourhood or fewer channels"
    )]
    Crowded {
        /// Channels of one payer.
        own: u32,
        /// Carriers to draw from.
        near: u32,
        /// Most that are drawn quickly: two thirds of all.
        own_max: u64,
    },
    /// A carrier with more channels than it may claim.
    #[error("a carrier has {found} channels, and may claim {CLAIM_ENTRIES_MAX}: take more carriers or fewer channels")]
    Claim {
        /// Channels of that carrier.
        found: usize,
    },
}

/// One channel of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The carrier's position in the order of addresses.
    pub carrier: usize,
    /// The payer's number.
    pub payer: usize,
    /// What the bytes are.
    pub class: Class,
    /// How many.
    pub bytes: u64,
}

impl Size {
    /// Ten thousand carriers, a hundred thousand payers, a million channels, a petabyte.
    pub const FULL: Self = Self { carriers: 10_000, payers: 100_000, channels: 1_000_000, bytes: 1_000_000_000_000_000, near: 10_000 };

    /// All channels of the epoch, by carrier: the inner list is that of the carrier in its place, and may be empty.
    ///
    /// # Errors
    /// [`SizeError`].
    pub fn channels(&self) -> Result<Vec<Vec<Channel>>, SizeError> {
        let Self { carriers, payers, channels, bytes, near } = *self;
        if carriers == 0 || payers == 0 || channels == 0 {
            return Err(SizeError::Empty { carriers, payers, channels });
        }
        if bytes < u64::from(channels) {
            return Err(SizeError::Bytes { bytes, channels });
        }
        if near == 0 || near > carriers {
            return Err(SizeError::Near { near, carriers });
        }
        let (own, own_max) = (channels.div_ceil(payers), u64::from(near) * 2);
        if u64::from(own) > own_max {
            return Err(SizeError::Crowded { own, near, own_max });
        }
        let mut shares = shares(bytes, channels);
        shuffle(&mut shares);
        let mut by_carrier: Vec<Vec<Channel>> = vec![Vec::new(); index(carriers.into())];
        let mut next = shares.into_iter();
        for payer in 0..payers {
            let count = channels / payers + u32::from(payer < channels % payers);
            let first = u64::from(payer) * u64::from(carriers) / u64::from(payers);
            for slot in slots(payer, index(count.into()), u64::from(near) * 3) {
                let carrier = index((first + slot / 3) % u64::from(carriers));
                let bytes = next.next().expect("there are as many shares as channels");
                by_carrier[carrier].push(Channel { carrier, payer: index(payer.into()), class: CLASSES[index(slot % 3)], bytes });
            }
        }
        match by_carrier.iter().map(Vec::len).max() {
            Some(found) if found > CLAIM_ENTRIES_MAX => Err(SizeError::Claim { found }),
            Some(_) | None => Ok(by_carrier),
        }
    }
}

/// A number below 2^64 as an index.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("a machine that has room for the epoch has 64 bits")
}

/// A number that looks drawn.
pub fn draw(kind: &str, of: u64, attempt: u64) -> u64 {
    Hash::of(kind, &[&of.to_le_bytes(), &attempt.to_le_bytes()]).to_u64()
}

/// So many different numbers below `all`.
fn slots(payer: u32, count: usize, all: u64) -> BTreeSet<u64> {
    let mut drawn = BTreeSet::new();
    for attempt in 0.. {
        if drawn.len() == count {
            break;
        }
        drawn.insert(draw("slot", payer.into(), attempt) % all);
    }
    drawn
}

/// `bytes` in so many shares, the first the largest, each at least 1, weighted as the ranks' reciprocals.
fn shares(bytes: u64, count: u32) -> Vec<u64> {
    let weight = |rank: u32| WEIGHT_FIRST / (u128::from(rank) + 1);
    let all: u128 = (0..count).map(weight).sum();
    let above = u128::from(bytes - u64::from(count));
    let share = |rank| 1 + u64::try_from(above * weight(rank) / all).expect("a part of 64 bits");
    let mut shares: Vec<u64> = (0..count).map(share).collect();
    // What rounding left.
    shares[0] += bytes - shares.iter().sum::<u64>();
    shares
}

/// Fisher and Yates.
fn shuffle(items: &mut [u64]) {
    for last in (1..items.len()).rev() {
        items.swap(last, index(draw("rank", last as u64, 0) % (last as u64 + 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_skewed_and_sum_to_the_byte() {
        for (bytes, count) in [(1, 1), (7, 7), (1_000_000_007, 1_000), (u64::MAX, 999)] {
            let shares = shares(bytes, count);
            assert_eq!(shares.iter().map(|share| u128::from(*share)).sum::<u128>(), u128::from(bytes));
            assert!(shares.iter().all(|share| *share > 0) && shares.is_sorted_by(|high, low| high >= low));
        }
        let shares = shares(1_000_000_000, 100);
        assert_eq!(shares[0] / shares[9], 10);
    }

    #[test]
    fn channels_are_as_many_as_asked_for_and_different() {
        let size = Size { carriers: 20, payers: 50, channels: 333, bytes: 1_000_000, near: 7 };
        let all: Vec<Channel> = size.channels().expect("an epoch").concat();
        let different: BTreeSet<_> = all.iter().map(|channel| (channel.carrier, channel.payer, channel.class)).collect();
        assert_eq!((all.len(), different.len()), (333, 333));
        assert_eq!(all.iter().map(|channel| channel.bytes).sum::<u64>(), 1_000_000);
        // Payers 0 to 32 have seven channels, the others six.
        assert!((0..50).all(|payer| all.iter().filter(|channel| channel.payer == payer).count() == if payer < 33 { 7 } else { 6 }));
    }

    #[test]
    fn sizes_are_refused_with_the_numbers() {
        let size = Size { carriers: 2, payers: 2, channels: 8, bytes: 100, near: 2 };
        assert!(size.channels().is_ok());
        let error = |size: Size| size.channels().expect_err("no epoch");
        assert_eq!(error(Size { payers: 0, ..size }), SizeError::Empty { carriers: 2, payers: 0, channels: 8 });
        assert_eq!(error(Size { bytes: 7, ..size }), SizeError::Bytes { bytes: 7, channels: 8 });
        assert_eq!(error(Size { near: 3, ..size }), SizeError::Near { near: 3, carriers: 2 });
        assert_eq!(error(Size { channels: 9, ..size }), SizeError::Crowded { own: 5, near: 2, own_max: 4 });
        let size = Size { carriers: 1, payers: 2_049, channels: 2_049, bytes: 3_000, near: 1 };
        assert_eq!(error(size), SizeError::Claim { found: 2_049 });
    }
}
