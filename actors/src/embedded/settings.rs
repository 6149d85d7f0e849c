//! The global configuration in memory.

use async_trait::async_trait;

use super::{MemoryStore, lock};
use crate::ports::PortError;
use crate::ports::settings::Settings;
use crate::settings::{GlobalSettings, SettingsChange};

#[async_trait]
impl Settings for MemoryStore {
    async fn settings(&self) -> Result<Option<GlobalSettings>, PortError> {
        Ok(lock(&self.settings).clone())
    }

    async fn insert_first_settings(&self, first: &GlobalSettings) -> Result<bool, PortError> {
        let mut stored = lock(&self.settings);
        if stored.as_ref().is_some_and(|stored| stored.project_id == first.project_id) {
            return Ok(false);
        }
        *stored = Some(first.clone());
        Ok(true)
    }

    async fn change_settings(&self, change: &SettingsChange) -> Result<Option<GlobalSettings>, PortError> {
        let mut stored = lock(&self.settings);
        if let Some(stored) = &mut *stored {
            stored.change(change);
        }
        Ok(stored.clone())
    }
}
