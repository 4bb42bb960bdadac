//! Buffers of whole segments, filled again and again: an allocator keeps for a while what is given back to it, and that would be several segments (FILE-1).

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Buffers that wait to be filled again.
#[derive(Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// One that was used before, or a new one.
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub fn give(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    /// Gives back a buffer that was shared out. Who broke off may still hold a part of it; then it goes with that.
    pub fn give_back(&self, shared: Bytes) {
        if shared.is_unique() {
            self.give(shared.into());
        }
    }
}
