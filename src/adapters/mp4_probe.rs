//! How long an MP4 plays, read from its movie header by a few small ranges.
//!
//! Never reads the media, nor more than a few kilobytes of any file, whatever that claims.

use std::io::{Cursor, Seek as _, SeekFrom};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use re_mp4::{BoxHeader, BoxType, MvhdBox, ReadBox as _};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::media_probe::MediaProbe;

/// Boxes of a file that are passed on the way to its movie box; a recording has about four.
const BOXES_MAX: usize = 64;
/// Bytes at the beginning of the movie box that must hold its header, which is its first child as a rule.
const MOVIE_BYTES: u64 = 4096;
/// Bytes of the longest header of a box, and of the usual one.
const HEADER: u64 = 16;
const SHORT_HEADER: u64 = 8;
const MS_PER_S: u64 = 1_000;

/// Reads movie headers from a blob store.
pub struct Mp4Probe {
    blobs: Arc<dyn Blobs>,
}

impl Mp4Probe {
    /// Reads from this store.
    #[must_use]
    pub fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs }
    }

    /// Up to `length` bytes from `offset` on; none if the file is gone or ends before.
    async fn bytes(
        &self,
        key: &str,
        size: u64,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, PortError> {
        if offset >= size {
            return Ok(None);
        }
        let last = offset.saturating_add(length).min(size) - 1;
        let Some(stream) = self.blobs.read(key, offset..=last).await? else { return Ok(None) };
        let read = stream.try_fold(Vec::new(), async |mut read, piece| {
            read.extend_from_slice(&piece);
            Ok(read)
        });
        read.await.map(Some)
    }
}

#[async_trait]
impl MediaProbe for Mp4Probe {
    async fn duration(&self, key: &str, size: u64) -> Result<Option<i64>, PortError> {
        let mut offset = 0;
        for _ in 0..BOXES_MAX {
            let Some(bytes) = self.bytes(key, size, offset, HEADER).await? else { return Ok(None) };
            let Some(found) = Found::read(&bytes) else { return Ok(None) };
            if found.name == BoxType::MoovBox {
                let movie = self.bytes(key, size, offset + found.header, MOVIE_BYTES).await?;
                return Ok(movie.and_then(|movie| duration_in(&movie)));
            }
            let Some(next) = offset.checked_add(found.header + found.body) else { return Ok(None) };
            offset = next;
        }
        Ok(None)
    }
}

/// A box at the beginning of some bytes.
struct Found {
    name: BoxType,
    header: u64,
    body: u64,
}

impl Found {
    /// None if there is no whole header, or the box has no end.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Cursor::new(bytes);
        let header = BoxHeader::read(&mut reader).ok()?;
        // The size counts a short header, however long the header is.
        let body = header.size.checked_sub(SHORT_HEADER)?;
        Some(Self { name: header.name, header: reader.position(), body })
    }
}

/// The length in milliseconds that the movie header among these boxes names.
fn duration_in(boxes: &[u8]) -> Option<i64> {
    let mut rest = boxes;
    loop {
        let found = Found::read(rest)?;
        if found.name == BoxType::MvhdBox {
            let mut reader = Cursor::new(rest);
            reader.seek(SeekFrom::Start(found.header)).ok()?;
            let header = MvhdBox::read_box(&mut reader, found.body + SHORT_HEADER).ok()?;
            let ms = header.duration.checked_mul(MS_PER_S)?.checked_div(u64::from(header.timescale))?;
            return i64::try_from(ms).ok().filter(|ms| *ms > 0);
        }
        let next = usize::try_from(found.header.checked_add(found.body)?).ok()?;
        rest = rest.get(next..)?;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use reelkeeper_actors::embedded::DirectoryBlobs;

    use super::*;

    /// What every simulated egress uploads.
    const SAMPLE: &[u8] = include_bytes!("../simulator/sample.mp4");

    async fn duration_of(content: &[u8]) -> Option<i64> {
        let folder = tempfile::tempdir().unwrap();
        let blobs: Arc<dyn Blobs> = Arc::new(DirectoryBlobs::open(folder.path().to_owned()).await.unwrap());
        blobs.put("a.mp4", Bytes::copy_from_slice(content)).await.unwrap();
        Mp4Probe::new(blobs).duration("a.mp4", content.len() as u64).await.unwrap()
    }

    #[tokio::test]
    async fn the_sample_says_how_long_it_plays() {
        assert_eq!(duration_of(SAMPLE).await, Some(4_000));
    }

    #[tokio::test]
    async fn what_is_cut_off_or_no_film_says_nothing() {
        for content in [&b""[..], b"x", &SAMPLE[..40], &[0; 64], &[0xff; 64], &b"<html>no film</html>"[..]] {
            assert_eq!(duration_of(content).await, None, "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(boxes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = duration_in(&boxes);
            let _ = Found::read(&boxes);
        }
    }
}
