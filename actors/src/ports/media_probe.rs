//! Media probe: what a recorded file says about itself.

use async_trait::async_trait;

use super::PortError;

/// Reads the heads of recorded files.
///
/// Demands: memory is bounded whatever the file claims; a file that is no MP4, or is cut off, is no error.
#[async_trait]
pub trait MediaProbe: Send + Sync {
    /// How long a file of `size` bytes plays, in milliseconds; none if it does not say so.
    ///
    /// # Errors
    /// When the blob store is away.
    async fn duration(&self, key: &str, size: u64) -> Result<Option<i64>, PortError>;
}

/// Says nothing about any file.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

#[async_trait]
impl MediaProbe for NoProbe {
    async fn duration(&self, _key: &str, _size: u64) -> Result<Option<i64>, PortError> {
        Ok(None)
    }
}
