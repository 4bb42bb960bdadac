//! `sum k_i P_i` over many points, by Pippenger's method of buckets.
//!
//! # Method
//! 1. A scalar of 256 bits is its digits of `width` bits, 8 or 4: the sum over all windows w of `2^(width w) S_w`, where `S_w` is the sum of each point times
//!    its digit in window w. Digits have no sign: with eight bits they are bytes, and nothing is carried.
//! 2. A column is as many windows as there are lanes, `N`. Its points are sorted into buckets by window and digit (a counting sort of their numbers).
//! 3. The points of a bucket are added up, `N` buckets at a time, one in each lane. Buckets of about the same length go together, so that few lanes wait.
//! 4. `S_w` is the sum over all digits of digit times bucket, taken from the highest digit down with two running sums; here the lanes are the windows.
//! 5. Lanes of columns are combined by Horner's rule: what is left are `N` points, which are encoded. Whoever asked decodes them and does the last steps.
//!
//! What is kept between steps lies by point, not by lane, and is turned when it is loaded ([`from_rows`]): no gathering, no scattering.

use super::lanes::{Lanes, from_rows, to_rows};
use crate::curve::{self, Affine, Elements, ONE, Point};

/// Below so many points, windows of four bits are faster: there are fewer buckets to add up.
const POINTS_WIDE: usize = 512;

/// Many decoded points.
pub struct Points<F: Lanes<N>, const N: usize> {
    proof: F::Proof,
    rows: Vec<F::AffineRow>,
}

impl<F: Lanes<N>, const N: usize> Points<F, N> {
    /// Decodes all, or nothing if one of them is not the canonical encoding of a point.
    #[inline(always)]
    pub fn decode(proof: F::Proof, encodings: &[[u8; 32]]) -> Option<Self> {
        let mut rows: Vec<F::AffineRow> = Vec::with_capacity(encodings.len().next_multiple_of(2 * N));
        for chunk in encodings.chunks(2 * N) {
            for Affine { sum, difference, product } in curve::decode::<F>(proof, chunk)? {
                let turned: [F::AffineRow; N] = to_rows([sum, difference, product]);
                rows.extend_from_slice(&turned);
            }
        }
        rows.truncate(encodings.len());
        Some(Self { proof, rows })
    }

    /// The sum of all points, each times its scalar (little-endian), as `N` encodings `E_0`, `E_1`, ... and a width: it is the sum of all `2^(width j) E_j`.
    #[inline(always)]
    pub fn sum(&self, scalars: &[[u8; 32]]) -> (Vec<[u8; 32]>, usize) {
        let width = if self.rows.len() < POINTS_WIDE { 4 } else { 8 };
        let mut sum: Option<Point<F>> = None;
        for column in (0..256 / (width * N)).rev() {
            if let Some(shifted) = &mut sum {
                for _ in 0..N * width {
                    *shifted = shifted.add(shifted);
                }
            }
            let Some(part) = self.column(scalars, column, width) else { continue };
            sum = Some(match sum {
                Some(sum) => sum.add(&part),
                None => part,
            });
        }
        (sum.unwrap_or(Point::identity(self.proof)).encode(), width)
    }

    /// The sums of the windows of a column; nothing if no scalar has a digit in any of them.
    #[inline(always)]
    fn column(&self, scalars: &[[u8; 32]], column: usize, width: usize) -> Option<Point<F>> {
        let bytes = column * N * width / 8..(column + 1) * N * width / 8;
        // Its window and its digit.
        let bucket = |window: usize, digit: u8| (window << width) + usize::from(digit);
        let has_digit = |bucket: usize| !bucket.is_multiple_of(1 << width);
        let mut kinds = Vec::with_capacity(N * scalars.len());
        for scalar in scalars {
            for (number, byte) in scalar[bytes.clone()].iter().enumerate() {
                if width == 8 {
                    kinds.push(narrow(bucket(number, *byte)));
                } else {
                    kinds.push(narrow(bucket(2 * number, byte & 0xf)));
                    kinds.push(narrow(bucket(2 * number + 1, byte >> 4)));
                }
            }
        }
        let (order, starts) = sorted(&kinds, N << width);
        let list = |bucket: usize| &order[starts[bucket]..starts[bucket + 1]];
        // Digit zero adds nothing.
        let lengths: Vec<u32> = (0..N << width).map(|bucket| if has_digit(bucket) { narrow(list(bucket).len()) } else { 0 }).collect();
        let (by_length, starts) = sorted(&lengths, lengths.iter().max().map_or(0, |max| *max as usize + 1));
        let filled = &by_length[starts[1]..];
        if filled.is_empty() {
            return None;
        }

        let Affine { sum, difference, product } = Affine::<F>::identity(self.proof);
        let nothing: F::AffineRow = to_rows([sum, difference, product])[0];
        let (mut running, mut total) = (Point::<F>::identity(self.proof), Point::<F>::identity(self.proof));
        let empty: F::PointRow = to_rows([running.x, running.y, running.z, running.t])[0];
        let mut buckets = vec![empty; N << width];
        for chunk in filled.chunks(N) {
            let mut lists: [&[u32]; N] = [&[]; N];
            for (list_of_lane, bucket) in lists.iter_mut().zip(chunk) {
                *list_of_lane = list(*bucket as usize);
            }
            // They are in the order of their lengths.
            let steps = lists[chunk.len() - 1].len();
            let mut sum = extended(&self.load(&lists, 0, &nothing));
            for step in 1..steps {
                sum = sum.add_affine(&self.load(&lists, step, &nothing));
            }
            let rows: [F::PointRow; N] = to_rows([sum.x, sum.y, sum.z, sum.t]);
            for (bucket, row) in chunk.iter().zip(rows) {
                buckets[*bucket as usize] = row;
            }
        }

        for digit in (1..1 << width).rev() {
            let mut rows = [&empty; N];
            for (row, window) in rows.iter_mut().zip(buckets.chunks(1 << width)) {
                *row = &window[digit];
            }
            let [x, y, z, t] = from_rows(rows);
            running = running.add(&Point { x, y, z, t });
            total = total.add(&running);
        }
        Some(total)
    }

    /// The point of each list at this step; the identity where a list has ended.
    #[inline(always)]
    fn load(&self, lists: &[&[u32]; N], step: usize, nothing: &F::AffineRow) -> Affine<F> {
        let mut rows = [nothing; N];
        for (row, list) in rows.iter_mut().zip(lists) {
            // Each point has `N` digits in a column.
            if let Some(position) = list.get(step) {
                *row = &self.rows[*position as usize / N];
            }
        }
        let [sum, difference, product] = from_rows(rows);
        Affine { sum, difference, product }
    }
}

/// The same points.
#[inline(always)]
fn extended<F: Elements>(affine: &Affine<F>) -> Point<F> {
    let one = F::splat(affine.sum.proof(), ONE);
    // Times one, so that they are small.
    let (x, y) = (affine.sum.subtract(&affine.difference).multiply(&one), affine.sum.add(&affine.difference).multiply(&one));
    Point { x, y, z: one, t: x.multiply(&y) }
}

/// A number of a bucket or a digit: fewer bytes to sort.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than 2^32 digits")
}

/// Sorts by counting: the positions of all `keys`, all below `bound`, in the order of their keys, and where in it each key starts (and the last ends).
fn sorted(keys: &[u32], bound: usize) -> (Vec<u32>, Vec<usize>) {
    let mut starts = vec![0; bound + 2];
    for key in keys {
        starts[*key as usize + 2] += 1;
    }
    for key in 2..starts.len() {
        starts[key] += starts[key - 1];
    }
    let mut order = vec![0; keys.len()];
    for (position, key) in (0..).zip(keys) {
        let start = &mut starts[*key as usize + 1];
        order[*start] = position;
        *start += 1;
    }
    (order, starts)
}
