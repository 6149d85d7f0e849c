//! Settings: Meet's global configuration, one document.

use async_trait::async_trait;

use super::PortError;
use crate::settings::{GlobalSettings, SettingsChange};

/// Stores the global configuration.
///
/// Demands: each call is atomic; what was stored is seen by the next read of any caller; what a document holds beyond
/// our knowledge survives a change; every call ends within a bounded time.
#[async_trait]
pub trait Settings: Send + Sync {
    /// The stored configuration; none in a fresh store.
    ///
    /// # Errors
    /// When the store is away, or what is stored cannot be read.
    async fn settings(&self) -> Result<Option<GlobalSettings>, PortError>;

    /// Stores the configuration of a fresh installation. One of the same project stays; one of another project is
    /// replaced. Returns whether it was stored.
    ///
    /// # Errors
    /// When the store is away; it may have been stored all the same.
    async fn insert_first_settings(&self, first: &GlobalSettings) -> Result<bool, PortError>;

    /// Changes the stored configuration by [`GlobalSettings::change`], and touches nothing else of the document.
    /// Returns it as it is stored now; none if there is none.
    ///
    /// # Errors
    /// When the store is away; it may have been changed all the same.
    async fn change_settings(&self, change: &SettingsChange) -> Result<Option<GlobalSettings>, PortError>;
}
