//! The global configuration in MongoDB: one document by convention, read and changed without a filter, as the original
//! does (contract `storage.md` 1.3).

use ::mongodb::bson::{Document, doc};
use async_trait::async_trait;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::settings::Settings;
use reelkeeper_actors::settings::{GlobalSettings, SettingsChange};

use super::MongoStore;
use super::catalog::Change;
use super::difference::Difference;
use super::documents::{of_settings, settings_fields, to_settings};

pub(super) const SETTINGS: &str = "meetglobalconfigs";
/// What it is, in errors.
const SUBJECT: &str = "settings";

impl MongoStore {
    async fn stored_settings(&self) -> Result<Option<(Document, GlobalSettings)>, PortError> {
        let found = self.run(&SUBJECT, self.agreed(SETTINGS).find_one(doc! {})).await?;
        found.map(|document| Ok((document.clone(), to_settings(document)?))).transpose()
    }

    async fn try_to_change_settings(
        &self,
        change: &SettingsChange,
    ) -> Result<Change<Option<GlobalSettings>>, PortError> {
        let Some((document, before)) = self.stored_settings().await? else { return Ok(Change::Done(None)) };
        let mut after = before.clone();
        after.change(change);
        let difference =
            Difference::between(&document, &settings_fields(&before)?, &settings_fields(&after)?);
        let changed = self.change(SETTINGS, ("projectId", &before.project_id), difference).await?;
        Ok(match changed {
            Change::Done(()) => Change::Done(Some(after)),
            Change::Lost => Change::Lost,
        })
    }
}

#[async_trait]
impl Settings for MongoStore {
    async fn settings(&self) -> Result<Option<GlobalSettings>, PortError> {
        Ok(self.stored_settings().await?.map(|(_, settings)| settings))
    }

    async fn insert_first_settings(&self, first: &GlobalSettings) -> Result<bool, PortError> {
        let own = &first.project_id;
        if self.stored_settings().await?.is_some_and(|(_, stored)| stored.project_id == *own) {
            return Ok(false);
        }
        let others = self.agreed(SETTINGS);
        self.run(&SUBJECT, others.delete_many(doc! {"projectId": {"$ne": own}})).await?;
        self.insert(SETTINGS, SUBJECT, of_settings(first)?).await
    }

    async fn change_settings(&self, change: &SettingsChange) -> Result<Option<GlobalSettings>, PortError> {
        let until_nobody_is_faster = async {
            loop {
                if let Change::Done(changed) = self.try_to_change_settings(change).await? {
                    return Ok(changed);
                }
            }
        };
        self.in_time(&SUBJECT, until_nobody_is_faster).await
    }
}
