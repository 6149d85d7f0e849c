//! Blobs: the files that LiveKit wrote.

use std::ops::RangeInclusive;
use std::pin::Pin;

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

    /// Cheap proof that the store answers.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), PortError>;
}
