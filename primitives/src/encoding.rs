//! The one canonical encoding: borsh, bounded, with nothing left over.
//!
//! Borsh has one byte string per value for the types we use: fixed-width little-endian integers, arrays, `Vec` with a `u32` length, enums with a `u8`
//! tag, sorted maps. What it does not refuse by itself is refused here: trailing bytes and objects above their limit.

use borsh::{BorshDeserialize, BorshSerialize};

/// Why bytes are not the object they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are longer than any valid object of this kind.
    #[error("{length} bytes, but at most {limit} are allowed here")]
    TooLong {
        /// Length of what came.
        length: usize,
        /// The limit of this place.
        limit: usize,
    },
    /// Cut short, an unknown variant, an impossible length, or bytes after the end.
    #[error("not a valid {kind}: {cause}")]
    Malformed {
        /// The Rust type that was expected.
        kind: &'static str,
        /// What borsh found.
        cause: String,
    },
}

/// The canonical bytes of `value`.
pub fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    // Writing to memory fails only for a Vec above u32::MAX entries; every type here is bounded far below.
    borsh::to_vec(value).expect("every encoded type is bounded far below the u32 lengths of borsh")
}

/// The value whose canonical bytes are `bytes`.
///
/// # Errors
/// [`DecodeError`] for more than `limit` bytes, malformed or trailing bytes.
pub fn decode<T: BorshDeserialize>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { length: bytes.len(), limit });
    }
    borsh::from_slice(bytes).map_err(|error| DecodeError::Malformed { kind: std::any::type_name::<T>(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Checks PRIM-1.
        #[test]
        fn round_trip(value in any::<(u64, Vec<u8>, Option<u32>)>()) {
            let bytes = encode(&value);
            prop_assert_eq!(decode::<(u64, Vec<u8>, Option<u32>)>(&bytes, 1 << 20), Ok(value));
        }

        /// Checks PRIM-1: whatever decodes re-encodes to itself, and nothing panics.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = decode::<(u8, Vec<u16>)>(&bytes, 64) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }
    }

    #[test]
    fn trailing_and_long_are_refused() {
        assert!(matches!(decode::<u8>(&[1, 2], 8), Err(DecodeError::Malformed { .. })));
        assert_eq!(decode::<u8>(&[1, 2], 1), Err(DecodeError::TooLong { length: 2, limit: 1 }));
        assert!(decode::<Vec<u8>>(&[255, 255, 255, 255], 8).is_err(), "a huge length allocates nothing and fails");
    }
}
