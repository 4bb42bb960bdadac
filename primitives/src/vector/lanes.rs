//! What the functions here need of a processor: registers of some lanes, and field elements in them.

use crate::curve::{Elements, Limbs};

/// Bytes of a block of Keccak that can be absorbed, rounded up to whole words.
pub const BLOCK_BYTES: usize = 168;

/// A register of `N` words of 64 bits, one in each lane.
pub trait Register<const N: usize>: Copy {
    /// What proves that the processor has such registers.
    type Proof: Copy;

    fn splat(proof: Self::Proof, word: u64) -> Self;

    fn from_words(proof: Self::Proof, words: [u64; N]) -> Self;

    fn to_words(self) -> [u64; N];

    /// Rows as columns, and back.
    fn transposed(rows: [Self; N]) -> [Self; N];

    /// `a ^ b`.
    fn xor(self, b: Self) -> Self;

    /// `a ^ b ^ c`.
    fn xor_both(self, b: Self, c: Self) -> Self;

    /// `a ^ (!b & c)`.
    fn xor_and_not(self, b: Self, c: Self) -> Self;

    /// Each word turned left by less than 64 bits.
    fn turned(self, by: u32) -> Self;

    /// [`super::transcript::absorb`], compiled for this processor.
    fn absorb(state: &mut [Self; 25], blocks: &[[u8; BLOCK_BYTES]; N]);
}

/// Field elements whose limbs are in such registers.
pub trait Lanes<const N: usize>: Elements {
    type Register: Register<N, Proof = Self::Proof>;
    /// One point of [`crate::curve::Affine`]: registers for 15 limbs.
    type AffineRow: Row<Self::Register>;
    /// One point of [`crate::curve::Point`]: registers for 20 limbs.
    type PointRow: Row<Self::Register>;

    /// The limbs, whatever they are.
    fn to_limbs(self) -> [Self::Register; 5];

    /// What [`Lanes::to_limbs`] gave.
    fn from_limbs(limbs: [Self::Register; 5]) -> Self;
}

/// Some registers.
pub trait Row<R>: Copy + AsRef<[R]> + AsMut<[R]> {
    fn splat(register: R) -> Self;
}

impl<R: Copy, const K: usize> Row<R> for [R; K] {
    #[inline(always)]
    fn splat(register: R) -> Self {
        [register; K]
    }
}

/// What elements have in each lane, as one row for each lane.
#[inline(always)]
pub fn to_rows<F: Lanes<N>, R: Row<F::Register>, const N: usize, const M: usize>(elements: [F; M]) -> [R; N] {
    let zero = F::Register::splat(elements[0].proof(), 0);
    let mut limbs = [[zero; 5]; M];
    for (limbs, element) in limbs.iter_mut().zip(elements) {
        *limbs = element.to_limbs();
    }
    let limbs = limbs.as_flattened();
    let mut rows = [R::splat(zero); N];
    for (place, chunk) in limbs.chunks(N).enumerate() {
        let mut columns = [zero; N];
        columns[..chunk.len()].copy_from_slice(chunk);
        for (row, register) in rows.iter_mut().zip(F::Register::transposed(columns)) {
            row.as_mut()[place] = register;
        }
    }
    rows
}

/// The elements whose rows these are.
#[inline(always)]
pub fn from_rows<F: Lanes<N>, R: Row<F::Register>, const N: usize, const M: usize>(rows: [&R; N]) -> [F; M] {
    let zero = rows[0].as_ref()[0];
    let mut limbs = [[zero; 5]; M];
    for (place, chunk) in limbs.as_flattened_mut().chunks_mut(N).enumerate() {
        let mut columns = [zero; N];
        for (column, row) in columns.iter_mut().zip(rows) {
            *column = row.as_ref()[place];
        }
        chunk.copy_from_slice(&F::Register::transposed(columns)[..chunk.len()]);
    }
    let mut elements = [F::from_limbs(limbs[0]); M];
    for (element, limbs) in elements.iter_mut().zip(limbs) {
        *element = F::from_limbs(limbs);
    }
    elements
}

/// The limbs of elements, one element for each lane. Lanes that are left over are zero.
#[inline(always)]
pub fn columns<const N: usize>(elements: &[Limbs]) -> [[u64; N]; 5] {
    let mut columns = [[0; N]; 5];
    for (lane, limbs) in elements.iter().enumerate() {
        for (column, limb) in columns.iter_mut().zip(limbs) {
            column[lane] = *limb;
        }
    }
    columns
}
