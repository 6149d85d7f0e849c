//! Files in clouds: S3 and what speaks its interface, Azure Blob Storage, Google Cloud Storage.
//!
//! Owns what is the same everywhere: a key is checked before it is sent, a file counts as absent only if its
//! bucket answers (design 5), and a stream that ends early is an error. Read [`s3`] or [`azure_google`] next.

pub mod azure_google;
pub mod s3;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::ByteStream;

/// The dependency's name in errors.
const BLOBS: &str = "blobs";
/// Largest piece that is handed on.
const PIECE_MAX: usize = 128 * 1024;

/// Pieces of a file as a cloud sends them.
type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, PortError>> + Send>>;

/// A range of a file on its way.
struct Transfer {
    subject: String,
    pieces: Pieces,
    /// What came and was not handed on yet.
    rest: Bytes,
    /// Bytes still promised.
    owed: u64,
    /// Longest silence between two pieces.
    patience: Duration,
    failed: bool,
}

/// Hands the pieces of a range on: exactly `length` bytes, or an error at the end. Pieces are small, so that a slow
/// reader holds little.
fn exactly(length: u64, subject: &str, patience: Duration, pieces: Pieces) -> ByteStream {
    let subject = subject.to_owned();
    let transfer = Transfer { subject, pieces, rest: Bytes::new(), owed: length, patience, failed: false };
    Box::pin(stream::unfold(transfer, |mut transfer| async move {
        let piece = transfer.next().await?;
        transfer.failed = piece.is_err();
        Some((piece, transfer))
    }))
}

impl Transfer {
    async fn next(&mut self) -> Option<Result<Bytes, PortError>> {
        if self.failed || self.owed == 0 {
            return None;
        }
        while self.rest.is_empty() {
            match tokio::time::timeout(self.patience, self.pieces.next()).await {
                Ok(Some(Ok(piece))) => self.rest = piece,
                Ok(Some(Err(error))) => return Some(Err(error)),
                Ok(None) => {
                    return Some(Err(self.broken(format_args!("it ended {} bytes early", self.owed))));
                }
                Err(_) => {
                    return Some(Err(self.broken(format_args!("no more came within {:?}", self.patience))));
                }
            }
        }
        let wanted = usize::try_from(self.owed).unwrap_or(usize::MAX).min(self.rest.len()).min(PIECE_MAX);
        let piece = self.rest.split_to(wanted);
        self.owed -= piece.len() as u64;
        Some(Ok(piece))
    }

    fn broken(&self, how: std::fmt::Arguments<'_>) -> PortError {
        PortError::unavailable(BLOBS, format_args!("{}: {how}", self.subject))
    }
}

/// How many bytes a range has.
fn length_of(key: &str, first: u64, last: u64) -> Result<u64, PortError> {
    let length = last.checked_sub(first).and_then(|distance| distance.checked_add(1));
    length.ok_or_else(|| PortError::misused(BLOBS, format_args!("{key}: the range {first}-{last} is none")))
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn transfer(length: u64, pieces: Vec<Result<Bytes, PortError>>) -> ByteStream {
        exactly(length, "a film", Duration::from_secs(1), Box::pin(stream::iter(pieces)))
    }

    #[tokio::test]
    async fn a_range_is_whole_or_an_error() {
        let hello = || Ok(Bytes::from_static(b"hello"));
        let cut = || Err(PortError::unavailable(BLOBS, "cut"));
        let whole = |pieces, length| async move { transfer(length, pieces).try_collect::<Vec<_>>().await };
        assert_eq!(whole(vec![hello(), hello()], 10).await.unwrap().concat(), b"hellohello");
        assert_eq!(whole(vec![hello(), hello()], 7).await.unwrap().concat(), b"hellohe", "never more");
        let early = whole(vec![hello()], 6).await.unwrap_err().to_string();
        assert_eq!(early, "blobs is unavailable: a film: it ended 1 bytes early");
        assert!(whole(vec![hello(), cut(), hello()], 10).await.is_err());
        assert_eq!(transfer(10, vec![cut(), hello()]).count().await, 1, "nothing follows a failure");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_an_error() {
        let silent = exactly(5, "a film", Duration::from_secs(1), Box::pin(stream::pending()));
        let error = silent.try_collect::<Vec<_>>().await.unwrap_err().to_string();
        assert_eq!(error, "blobs is unavailable: a film: no more came within 1s");
    }

    #[tokio::test]
    async fn pieces_stay_small() {
        let large = Bytes::from(vec![7; 3 * PIECE_MAX + 1]);
        let length = large.len() as u64;
        let sizes: Vec<_> =
            transfer(length, vec![Ok(large)]).map_ok(|piece| piece.len()).try_collect().await.unwrap();
        assert_eq!(sizes, [PIECE_MAX, PIECE_MAX, PIECE_MAX, 1]);
    }
}
