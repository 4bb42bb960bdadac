//! How the costs grow: one dimension at a time around an epoch of a tenth of the full size, and all of them together up to the full one.

use crate::traffic::Size;

/// What the others are compared with: a tenth of [`Size::FULL`] in carriers, payers and channels, with all of its bytes.
pub const MIDDLE: Size = Size { carriers: 1_000, payers: 10_000, channels: 100_000, near: 1_000, ..Size::FULL };

/// Epochs that differ in one thing.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// What grows.
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// How much of it.
    pub values: [u64; 3],
    /// The epoch of one value.
    size: fn(u32) -> Size,
    /// What one of the values counts for in `size`.
    scale: u64,
}

/// All of them, in the order of the table and the chart.
pub const SERIES: [Series; 6] = [
    Series {
        name: "everything",
        unit: "channels",
        values: [10_000, 100_000, 1_000_000],
        size: |channels| Size { carriers: channels / 100, payers: channels / 10, channels, near: channels / 100, ..Size::FULL },
        scale: 1,
    },
    Series { name: "channels", unit: "channels", values: [10_000, 100_000, 300_000], size: |channels| Size { channels, ..MIDDLE }, scale: 1 },
    Series { name: "payers", unit: "payers", values: [1_000, 10_000, 100_000], size: |payers| Size { payers, ..MIDDLE }, scale: 1 },
    Series { name: "carriers", unit: "carriers", values: [100, 1_000, 10_000], size: |carriers| Size { carriers, near: carriers, ..MIDDLE }, scale: 1 },
    Series {
        name: "traffic",
        unit: "bytes",
        values: [1_000_000_000_000, 1_000_000_000_000_000, 1_000_000_000_000_000_000],
        size: |terabytes| Size { bytes: u64::from(terabytes) * 1_000_000_000_000, ..MIDDLE },
        scale: 1_000_000_000_000,
    },
    Series { name: "neighbours", unit: "carriers near a payer", values: [10, 100, 1_000], size: |near| Size { near, ..MIDDLE }, scale: 1 },
];

impl Series {
    /// The epochs.
    pub fn sizes(&self) -> [Size; 3] {
        self.values.map(|value| (self.size)(u32::try_from(value / self.scale).expect("the values above are small")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_epochs_that_can_be_and_passes_the_middle() {
        for series in SERIES {
            assert!(series.sizes().contains(&MIDDLE), "{}", series.name);
            assert!(series.sizes().iter().all(|size| size.channels().is_ok()), "{}", series.name);
        }
        assert_eq!(SERIES[0].sizes()[2], Size::FULL);
    }
}
