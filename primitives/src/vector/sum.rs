//! `sum k_i P_i` over many points, by Pippenger's method of buckets.
//!
//! # Method
//! 1. A scalar of 256 bits is its digits of `width` bits, 8 or 4: the sum over all windows w of `2^(width w) S_w`, where `S_w` is the sum of each point times
//!    its digit in window w. Digits have no sign: with eight bits they are bytes, and nothing is carried.
//! 2. A column is eight windows. Its points are sorted into buckets by window and digit (a counting sort of their numbers).
//! 3. The points of a bucket are added up, eight buckets at a time, one in each lane. Buckets of about the same length go together, so that few lanes wait.
//! 4. `S_w` is the sum over all digits of digit times bucket, taken from the highest digit down with two running sums; here the lanes are the windows.
//! 5. Lanes of columns are combined by Horner's rule: what is left are eight points, which are encoded. Whoever asked decodes them and does the last seven
//!    steps.
//!
//! What is kept between steps lies by point, not by lane, and is turned when it is loaded (`transposed`): no gathering, no scattering.

use super::point::{Affine, AffineRow, DECODED_AT_ONCE, Point, Row, affine_identity, decode};

/// Below so many points, windows of four bits are faster: there are fewer buckets to add up.
const POINTS_WIDE: usize = 512;

/// Many decoded points.
pub struct Points(Vec<AffineRow>);

impl Points {
    /// Decodes all, or nothing if one of them is not the canonical encoding of a point.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn decode(encodings: &[[u8; 32]]) -> Option<Self> {
        let mut rows = Vec::with_capacity(encodings.len().next_multiple_of(DECODED_AT_ONCE));
        for chunk in encodings.chunks(DECODED_AT_ONCE) {
            for half in decode(chunk)? {
                rows.extend_from_slice(&half);
            }
        }
        rows.truncate(encodings.len());
        Some(Self(rows))
    }

    /// The sum of all points, each times its scalar (little-endian), as eight encodings of `E_0` to `E_7` and a width: it is the sum of all `2^(width j) E_j`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn sum(&self, scalars: &[[u8; 32]]) -> ([[u8; 32]; 8], u32) {
        let width = if self.0.len() < POINTS_WIDE { 4 } else { 8 };
        let mut sum: Option<Point> = None;
        for column in (0..32 / width).rev() {
            if let Some(shifted) = &mut sum {
                for _ in 0..8 * width {
                    *shifted = shifted.add(shifted);
                }
            }
            let Some(part) = self.column(scalars, column, width) else { continue };
            sum = Some(match sum {
                Some(sum) => sum.add(&part),
                None => part,
            });
        }
        (sum.unwrap_or(Point::identity()).encode(), if width == 8 { 8 } else { 4 })
    }

    /// The sums of the eight windows of a column; nothing if no scalar has a digit in any of them.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn column(&self, scalars: &[[u8; 32]], column: usize, width: usize) -> Option<Point> {
        // The bytes of a column are as many as a digit has bits.
        let bytes = column * width..(column + 1) * width;
        let mut kinds = Vec::with_capacity(8 * scalars.len());
        for scalar in scalars {
            for (number, byte) in scalar[bytes.clone()].iter().enumerate() {
                if width == 8 {
                    kinds.push(bucket(number, usize::from(*byte)));
                } else {
                    kinds.push(bucket(2 * number, usize::from(byte & 0xf)));
                    kinds.push(bucket(2 * number + 1, usize::from(byte >> 4)));
                }
            }
        }
        if kinds.iter().all(|kind| kind % BUCKETS == 0) {
            return None;
        }
        let (order, starts) = sorted(&kinds, 8 * BUCKETS);
        let list = |bucket: usize| &order[starts[bucket]..starts[bucket + 1]];
        // Digit zero adds nothing.
        let lengths: Vec<usize> = (0..8 * BUCKETS).map(|bucket| if bucket % BUCKETS == 0 { 0 } else { list(bucket).len() }).collect();
        let (by_length, starts) = sorted(&lengths, lengths.iter().max().map_or(0, |max| max + 1));
        let filled = &by_length[starts[1]..];

        let nothing = affine_identity();
        let mut buckets: Vec<Row> = vec![Point::identity().to_rows()[0]; 8 * BUCKETS];
        for eight in filled.chunks(8) {
            let mut lists: [&[usize]; 8] = [&[]; 8];
            for (lane, bucket) in eight.iter().enumerate() {
                lists[lane] = list(*bucket);
            }
            // They are in the order of their lengths.
            let steps = lengths[eight[eight.len() - 1]];
            let mut sum = Point::from_affine(&self.gather(&lists, 0, &nothing));
            for step in 1..steps {
                sum = sum.add_affine(&self.gather(&lists, step, &nothing));
            }
            for (bucket, row) in eight.iter().zip(sum.to_rows()) {
                buckets[*bucket] = row;
            }
        }

        let (mut running, mut total) = (Point::identity(), Point::identity());
        for digit in (1..1 << width).rev() {
            let mut rows = [&buckets[digit]; 8];
            for (window, row) in rows.iter_mut().enumerate() {
                *row = &buckets[bucket(window, digit)];
            }
            running = running.add(&Point::from_rows(rows));
            total = total.add(&running);
        }
        Some(total)
    }

    /// The point of each list at this step; the identity where a list has ended.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn gather(&self, lists: &[&[usize]; 8], step: usize, nothing: &AffineRow) -> Affine {
        let mut rows = [nothing; 8];
        for (row, list) in rows.iter_mut().zip(lists) {
            // Each point has eight digits in a column.
            if let Some(position) = list.get(step) {
                *row = &self.0[position / 8];
            }
        }
        Affine::from_rows(rows)
    }
}

/// Buckets of a window: one for each digit.
const BUCKETS: usize = 256;

/// The number of a bucket in its column.
fn bucket(window: usize, digit: usize) -> usize {
    window * BUCKETS + digit
}

/// Sorts by counting: the positions of all `keys`, all below `bound`, in the order of their keys, and where in it each key starts (and the last ends).
fn sorted(keys: &[usize], bound: usize) -> (Vec<usize>, Vec<usize>) {
    let mut starts = vec![0; bound + 2];
    for key in keys {
        starts[key + 2] += 1;
    }
    for key in 2..starts.len() {
        starts[key] += starts[key - 1];
    }
    let mut order = vec![0; keys.len()];
    for (position, key) in keys.iter().enumerate() {
        order[starts[key + 1]] = position;
        starts[key + 1] += 1;
    }
    (order, starts)
}
