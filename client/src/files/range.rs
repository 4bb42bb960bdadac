//! A range of a file as a stream of bytes: little before the first byte, more and more ahead of a player that goes on reading.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use pot::Class;
use storage::profile::CHUNK_BYTES;

use super::fetch::Place;
use super::task::Task;
use super::{Files, FilesError, Opened};

/// Plaintext of the first step: a chunk or two.
pub const FIRST_BYTES: u64 = 2 * CHUNK_BYTES;
/// Plaintext of the longest step.
pub const STEP_BYTES_MAX: u64 = 4 << 20;
/// Steps that are fetched ahead of the reader.
pub const AHEAD: usize = 2;

/// The steps of a range: doubling from [`FIRST_BYTES`] to [`STEP_BYTES_MAX`], ending at chunks, none across segments of `segment_bytes`.
fn steps(segment_bytes: u64, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let (mut at, mut size) = (range.start, FIRST_BYTES);
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let start = at;
        let segment_end = (start / segment_bytes).saturating_add(1).saturating_mul(segment_bytes);
        let chunk_end = (start.saturating_add(size) / CHUNK_BYTES).saturating_mul(CHUNK_BYTES);
        at = chunk_end.min(segment_end).min(range.end);
        size = size.saturating_mul(2).min(STEP_BYTES_MAX);
        Some(start..at)
    })
}

impl Files {
    /// The bytes of `range`, decrypted, in order. Only the chunks that hold them move. Dropping the stream ends the fetches ahead.
    ///
    /// # Errors
    /// [`FilesError::Range`] if the file does not have it. An error in the stream is its last item.
    pub fn range(&self, opened: Arc<Opened>, range: Range<u64>) -> Result<impl Stream<Item = Result<Bytes, FilesError>> + Send + use<>, FilesError> {
        let public = &opened.file.manifest.public;
        if range.start > range.end || range.end > public.total {
            return Err(FilesError::Range { start: range.start, end: range.end, total: public.total });
        }
        let end = range.end;
        let mut steps = steps(public.profile().segment_bytes, range);
        let (files, segment_bytes) = (self.clone(), public.profile().segment_bytes);
        let mut fetch = move || {
            let step = steps.next()?;
            let (files, opened) = (files.clone(), Arc::clone(&opened));
            // Ahead of the reader, not of the range: a player that seeks away leaves little reserved.
            let still = end.saturating_sub(step.start).min(2 * STEP_BYTES_MAX);
            Some(Task::spawn(async move {
                let segment = step.start / segment_bytes;
                let base = segment.saturating_mul(segment_bytes);
                let place = Place::new(&files, &opened, Class::Stream, segment)?;
                place.plaintext(step.start.saturating_sub(base)..step.end.saturating_sub(base), still).await
            }))
        };
        let coming: VecDeque<Task<Bytes>> = VecDeque::new();
        // The first step has the nodes to itself; the ones ahead begin with the second call.
        Ok(unfold((coming, false), move |(mut coming, is_ahead)| {
            let depth = if is_ahead { AHEAD } else { 1 };
            while coming.len() < depth
                && let Some(task) = fetch()
            {
                coming.push_back(task);
            }
            async move {
                let task = coming.pop_front()?;
                let result = task.await;
                if result.is_err() {
                    coming.clear();
                }
                Some((result, (coming, true)))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_begin_small_and_grow() {
        let sizes: Vec<u64> = steps(16 << 20, 100..20 << 20).map(|step| step.end - step.start).collect();
        assert_eq!(&sizes[..3], &[FIRST_BYTES - 100, 2 * FIRST_BYTES, 4 * FIRST_BYTES]);
        assert_eq!(sizes.iter().max(), Some(&STEP_BYTES_MAX));
    }

    proptest! {
        /// The steps are the range, in order, in whole chunks, each in one segment.
        #[test]
        fn steps_are_the_range(start in 0u64..100 << 20, length in 0u64..60 << 20) {
            let (size, range) = (16 << 20, start..start + length);
            let mut at = start;
            for step in steps(size, range.clone()) {
                prop_assert_eq!(step.start, at);
                prop_assert!(step.start < step.end && step.end - step.start <= STEP_BYTES_MAX);
                prop_assert_eq!(step.start / size, (step.end - 1) / size);
                prop_assert!(step.end == range.end || step.end % CHUNK_BYTES == 0);
                at = step.end;
            }
            prop_assert_eq!(at, range.end);
        }
    }
}
