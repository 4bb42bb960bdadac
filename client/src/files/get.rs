//! Getting a whole file: several segments under way, decrypted and written in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use pot::Class;
use storage::profile::{CHUNK_BYTES, Segment};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::buffers::Buffers;
use super::fetch::{Place, index, number};
use super::task::Task;
use super::{Files, FilesError, Opened};

/// Segments whose ciphertext is in memory or on its way.
pub const SEGMENTS_MAX: usize = 2;
/// Chunks that are decrypted and written at once: 2 MiB.
const CHUNKS_AT_ONCE: u64 = 32;

impl Files {
    /// Writes the whole file, and tells `progress` after each part how many bytes are written.
    ///
    /// # Errors
    /// [`FilesError`]; what was written before it is a true beginning of the file (FILE-3).
    pub async fn get<W: AsyncWrite + Unpin>(&self, opened: Opened, writer: &mut W, mut progress: impl FnMut(u64)) -> Result<u64, FilesError> {
        let opened = Arc::new(opened);
        let total = opened.file.manifest.public.total;
        let segments = opened.file.manifest.public.profile().segments(total);
        let mut next = 0..segments;
        let buffers = Arc::new(Buffers::default());
        let mut coming: VecDeque<(u64, Task<Bytes>)> = VecDeque::new();
        let mut written = 0u64;
        loop {
            while coming.len() < SEGMENTS_MAX
                && let Some(segment) = next.next()
            {
                coming.push_back((segment, self.segment(&opened, segment, &buffers)?));
            }
            let Some((segment, task)) = coming.pop_front() else { break };
            let ciphertext = task.await?;
            let layout = Place::new(self, &opened, Class::Download, segment)?.layout;
            // The next part is decrypted while one is written.
            let parts = (0..layout.chunks()).step_by(usize::try_from(CHUNKS_AT_ONCE).expect("a small constant"));
            let mut parts = parts.map(|first| first..first.saturating_add(CHUNKS_AT_ONCE).min(layout.chunks()));
            let mut clear = parts.next().map(|chunks| decrypt(&opened, segment, layout, &ciphertext, chunks));
            while let Some(task) = clear.take() {
                let plaintext = task.await?;
                clear = parts.next().map(|chunks| decrypt(&opened, segment, layout, &ciphertext, chunks));
                writer.write_all(&plaintext).await.map_err(FilesError::Write)?;
                written = written.saturating_add(plaintext.len() as u64);
                progress(written);
            }
            buffers.give_back(ciphertext);
        }
        writer.flush().await.map_err(FilesError::Write)?;
        Ok(written)
    }

    /// Fetches the ciphertext of one segment on its own.
    fn segment(&self, opened: &Arc<Opened>, segment: u64, buffers: &Arc<Buffers>) -> Result<Task<Bytes>, FilesError> {
        let layout = Place::new(self, opened, Class::Download, segment)?.layout;
        let public = &opened.file.manifest.public;
        let behind: u64 =
            (segment..public.profile().segments(public.total)).filter_map(|segment| public.layout(segment).ok()).map(|layout| layout.ciphertext()).sum();
        let (files, opened, buffers) = (self.clone(), Arc::clone(opened), Arc::clone(buffers));
        Ok(Task::spawn(async move {
            let place = Place::new(&files, &opened, Class::Download, segment)?;
            place.ciphertext(0..layout.ciphertext(), behind, buffers.take()).await
        }))
    }
}

fn decrypt(opened: &Arc<Opened>, segment: u64, layout: Segment, ciphertext: &Bytes, chunks: Range<u64>) -> Task<Vec<u8>> {
    let range = layout.ciphertext_of(chunks.clone());
    let sealed = ciphertext.slice(index(range.start)..index(range.end));
    let cipher = opened.key.segments();
    Task::blocking(move || {
        let place = layout.plaintext_of(chunks.clone());
        let mut plaintext = vec![0; index(place.end.saturating_sub(place.start))];
        cipher.decrypt(number(segment), &layout, chunks.start, &sealed, &mut plaintext).map_err(storage::segment::SegmentError::from)?;
        Ok(plaintext)
    })
}

const _: () = assert!(CHUNKS_AT_ONCE * CHUNK_BYTES == 2 << 20);
