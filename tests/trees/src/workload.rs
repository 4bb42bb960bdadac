//! What every system is asked to do: the same keys, the same blocks, the same questions, all from constants.
//!
//! A value is a function of its key and of the block that wrote it. So one number for each key is enough to know what every read must find.

use std::collections::HashSet;
use std::ops::Range;

use primitives::Hash;

/// A key. It is a hash, so it is as uniform as those systems need it that do not hash keys themselves.
pub type Key = [u8; 32];

/// A key and its new value.
pub type Update<'a> = (Key, &'a [u8]);

/// Pairs in a block of the filling.
const FILL_BLOCK: u64 = 50_000;
const VALUE_BYTES_MIN: u64 = 32;
const VALUE_BYTES_MAX: u64 = 100;

/// A cheap generator: what is random here need not be hard to guess.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }
}

/// The key of a number. Those that are there come first.
pub fn key(number: u64) -> Key {
    Hash::of("bench-key", &[&number.to_le_bytes()]).0
}

/// Appends the value that block `stamp` gives to key `number`.
fn append_value(number: u64, stamp: u32, values: &mut Vec<u8>) {
    let mut dice = Dice((u64::from(stamp) << 40) ^ number);
    let length = VALUE_BYTES_MIN + dice.below(VALUE_BYTES_MAX - VALUE_BYTES_MIN + 1);
    let end = values.len() + usize::try_from(length).expect("at most 100");
    while values.len() < end {
        values.extend_from_slice(&dice.roll().to_le_bytes());
    }
    values.truncate(end);
}

/// Updates of several blocks. The values lie in one piece, for thousands of small ones would blur what memory a system takes.
#[derive(Debug, Default)]
pub struct Updates {
    keys: Vec<(Key, Range<usize>)>,
    values: Vec<u8>,
}

impl Updates {
    fn add(&mut self, number: u64, stamp: u32) {
        let start = self.values.len();
        append_value(number, stamp, &mut self.values);
        self.keys.push((key(number), start..self.values.len()));
    }

    /// Cuts them into blocks of `size`.
    pub fn blocks(&self, size: usize) -> impl Iterator<Item = Vec<Update<'_>>> {
        self.keys.chunks(size).map(|block| block.iter().map(|(key, range)| (*key, &self.values[range.clone()])).collect())
    }
}

/// What one system has been told so far.
#[derive(Debug)]
pub struct Workload {
    /// By number of the key, the block that wrote it last.
    stamps: Vec<u32>,
    stamp: u32,
}

impl Workload {
    /// `keys` keys, without values yet.
    pub fn new(keys: u64) -> Self {
        Self { stamps: vec![0; usize::try_from(keys).expect("they fit into memory")], stamp: 0 }
    }

    /// How many keys have values once all are filled in.
    pub fn keys(&self) -> u64 {
        self.stamps.len() as u64
    }

    /// The first value of every key, block after block.
    pub fn filling(&self) -> impl Iterator<Item = Updates> + use<> {
        let keys = self.keys();
        (0..keys).step_by(usize::try_from(FILL_BLOCK).expect("small")).map(move |first| {
            let mut updates = Updates::default();
            (first..keys.min(first + FILL_BLOCK)).for_each(|number| updates.add(number, 0));
            updates
        })
    }

    /// `count` blocks, each with new values for `size` different keys.
    pub fn updates(&mut self, size: usize, count: usize) -> Updates {
        let (mut dice, mut updates) = (Dice(size as u64), Updates::default());
        for _ in 0..count {
            self.stamp += 1;
            let mut numbers = HashSet::new();
            while numbers.len() < size {
                let number = dice.below(self.keys());
                if numbers.insert(number) {
                    self.stamps[usize::try_from(number).expect("an index")] = self.stamp;
                    updates.add(number, self.stamp);
                }
            }
        }
        updates
    }

    /// The value of key `number`; `None` if it was never filled in.
    pub fn value(&self, number: u64) -> Option<Vec<u8>> {
        let stamp = self.stamps.get(usize::try_from(number).expect("an index"))?;
        let mut value = Vec::new();
        append_value(number, *stamp, &mut value);
        Some(value)
    }
}
