//! Notifier: takes what the application that owns the rooms is to be told.

use async_trait::async_trait;

use super::PortError;
use crate::meeting::notice::MeetingNotice;
use crate::recording::notice::Notice;

/// Takes notices for delivery.
///
/// Demands: what was taken survives a crash and is delivered at least once, in the order of its numbers per
/// recording; taking the same notice again changes nothing; a slow or dead receiver slows nobody here.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Takes a notice.
    ///
    /// # Errors
    /// When the store is away; it may have been taken all the same.
    async fn take(&self, notice: &Notice) -> Result<(), PortError>;

    /// Takes a notice about a meeting; in order per room.
    ///
    /// # Errors
    /// As above.
    async fn take_meeting(&self, notice: &MeetingNotice) -> Result<(), PortError>;
}

/// Tells nobody: no receiver is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyToNotify;

#[async_trait]
impl Notifier for NobodyToNotify {
    async fn take(&self, _notice: &Notice) -> Result<(), PortError> {
        Ok(())
    }

    async fn take_meeting(&self, _notice: &MeetingNotice) -> Result<(), PortError> {
        Ok(())
    }
}
