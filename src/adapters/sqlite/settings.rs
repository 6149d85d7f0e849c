//! The global configuration in SQLite: one document, with what it holds beyond our knowledge.

use async_trait::async_trait;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::settings::Settings;
use reelkeeper_actors::settings::{GlobalSettings, SettingsChange};
use rusqlite::{Connection, OptionalExtension as _};

use super::SqliteStore;
use super::catalog::{changed, fields, overlay, read, written};
use super::connection::failed;

/// What it is, in errors.
const SUBJECT: &str = "settings";
const FIND: &str = "SELECT document FROM settings";
const STORE: &str =
    "INSERT INTO settings (only, document) VALUES (1, ?1) ON CONFLICT (only) DO UPDATE SET document = ?1";

fn find(connection: &Connection) -> Result<Option<String>, PortError> {
    connection
        .prepare_cached(FIND)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .map_err(|error| failed(&SUBJECT, &error))
}

#[async_trait]
impl Settings for SqliteStore {
    async fn settings(&self) -> Result<Option<GlobalSettings>, PortError> {
        let find =
            |connection: &Connection| find(connection)?.map(|document| read(&SUBJECT, &document)).transpose();
        self.query(&SUBJECT, find).await
    }

    async fn insert_first_settings(&self, first: &GlobalSettings) -> Result<bool, PortError> {
        let first = first.clone();
        self.commit(&SUBJECT, move |connection: &Connection| {
            if let Some(document) = find(connection)? {
                let stored: GlobalSettings = read(&SUBJECT, &document)?;
                if stored.project_id == first.project_id {
                    return Ok(false);
                }
            }
            changed(connection, &SUBJECT, STORE, [written(&SUBJECT, &first)?])
        })
        .await
    }

    async fn change_settings(&self, change: &SettingsChange) -> Result<Option<GlobalSettings>, PortError> {
        let change = change.clone();
        self.commit(&SUBJECT, move |connection: &Connection| {
            let Some(document) = find(connection)? else { return Ok(None) };
            let before: GlobalSettings = read(&SUBJECT, &document)?;
            let mut after = before.clone();
            after.change(&change);
            let mut document = read(&SUBJECT, &document)?;
            overlay(&mut document, &fields(SUBJECT, &before)?, fields(SUBJECT, &after)?);
            changed(connection, &SUBJECT, STORE, [written(&SUBJECT, &document)?])?;
            Ok(Some(after))
        })
        .await
    }
}
