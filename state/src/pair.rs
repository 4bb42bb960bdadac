//! A key and its value in one piece of memory, laid out as on disk.

use std::fmt;
use std::sync::Arc;

/// Bytes before the key: its length, little-endian.
const LENGTH_BYTES: usize = 4;

/// A key and its value. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pair(Arc<[u8]>);

impl Pair {
    pub fn new(key: &[u8], value: &[u8]) -> Self {
        // Keys are shorter than KEY_BYTES_MAX, as the overlay sees to.
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes();
        // An Arc cannot take over the memory of a Vec: it is filled where it stays.
        let mut row: Arc<[u8]> = std::iter::repeat_n(0, LENGTH_BYTES + key.len() + value.len()).collect();
        let mut rest = Arc::get_mut(&mut row).expect("nobody else has it yet");
        for part in [&length, key, value] {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        Self(row)
    }

    /// The pair of a row: length of the key, key, value.
    pub fn from_row(row: &[u8]) -> Option<Self> {
        split(row).map(|_| Self(row.into()))
    }

    /// How it is kept on disk and in the trie.
    pub fn row(&self) -> &[u8] {
        &self.0
    }

    pub fn key(&self) -> &[u8] {
        key(&self.0)
    }

    pub fn value(&self) -> &[u8] {
        value(&self.0)
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} = {:?}", self.key(), self.value())
    }
}

/// Key and value of a row; `None` if it is none.
fn split(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = row.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// The key of the row of a pair.
pub(crate) fn key(row: &[u8]) -> &[u8] {
    split(row).map_or(&[], |(key, _)| key)
}

/// The value of the row of a pair.
pub(crate) fn value(row: &[u8]) -> &[u8] {
    split(row).map_or(&[], |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        for (key, value) in [(&b""[..], &b""[..]), (b"key", b""), (b"", b"value"), (b"key", b"value")] {
            let pair = Pair::new(key, value);
            assert_eq!((pair.key(), pair.value(), pair.row().len()), (key, value, 4 + key.len() + value.len()));
            assert_eq!(Pair::from_row(pair.row()), Some(pair));
        }
        for row in [&b""[..], b"\0\0\0", b"\x02\0\0\0k", b"\xff\xff\xff\xffkey"] {
            assert_eq!(Pair::from_row(row), None);
        }
    }
}
