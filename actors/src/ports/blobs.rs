//! Blobs: the files that LiveKit wrote.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

use super::PortError;

/// The bytes of a file, piece by piece. A failure in the middle is an item, never a short end.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, PortError>> + Send>>;

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobHead {
    /// Bytes.
    pub size: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified: i64,
    /// Changes whenever the content does; without quotes.
    pub etag: String,
}

/// A file of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBlob {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified: i64,
}

/// Most files of one list.
pub const LISTED_MAX: usize = 1_000;

/// Longest key in bytes and longest segment of one, as file systems and S3 have them.
const KEY_MAX: usize = 1024;
const SEGMENT_MAX: usize = 255;

/// Checks that a key can only lead downwards, whatever the store makes of it.
///
/// # Errors
/// `Misused` for anything else.
pub fn checked_key(key: &str) -> Result<&str, PortError> {
    let leads_down = |segment: &str| {
        !matches!(segment, "" | "." | "..") && segment.len() <= SEGMENT_MAX && !segment.contains('\0')
    };
    if key.len() > KEY_MAX || !key.split('/').all(leads_down) {
        return Err(PortError::misused("blobs", format_args!("{key:?} is no key")));
    }
    Ok(key)
}

/// Stores files by key. A key is a relative path with `/` between its segments.
///
/// Demands: "not there" is an answer, everything that went wrong is an error; memory is constant however
/// large the file; no key leads out of the store.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// What is known of a file; none if it is not there.
    ///
    /// # Errors
    /// When the store is away: then nothing is known.
    async fn head(&self, key: &str) -> Result<Option<BlobHead>, PortError>;

    /// The bytes of a file from the first to the last of `range`, both included and below its size; none
    /// if it is not there.
    ///
    /// # Errors
    /// When the store is away.
    async fn read(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError>;

    /// A URL under which anybody may read a file for `lasts`; none if this store gives no such links. Whether the
    /// file is there is not asked.
    ///
    /// # Errors
    /// When the store cannot be asked for one, or its credentials do not allow it.
    async fn link(&self, _key: &str, _lasts: Duration) -> Result<Option<String>, PortError> {
        Ok(None)
    }

    /// Writes a whole small file (the simulator's sample, a probe): all of it or nothing.
    ///
    /// # Errors
    /// When the store is away or full.
    async fn put(&self, key: &str, content: Bytes) -> Result<(), PortError>;

    /// Removes a file. One that is not there counts as removed. Returns whether one was there.
    ///
    /// # Errors
    /// When the store is away.
    async fn remove(&self, key: &str) -> Result<bool, PortError>;

    /// The files below a folder, in the order of their keys' bytes, beginning after `after`: at most `limit`, and
    /// [`LISTED_MAX`]. A full list may be followed by another.
    ///
    /// # Errors
    /// When the store is away.
    async fn list(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, PortError>;

    /// Cheap proof that the store answers.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), PortError>;
}
