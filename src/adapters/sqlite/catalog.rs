//! The catalog in SQLite: documents as JSON, with what they hold beyond our knowledge.

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use reelkeeper_actors::ids::{RecordingId, RoomId, Uid};
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::meeting::status::{RoomChange, RoomChanged};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::list::{Page, RecordingQuery, RoomQuery};
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog, Counts, RoomsDue, StoredRecording};
use reelkeeper_actors::recording::{AccessSecrets, Recording};
use rusqlite::{Connection, OptionalExtension as _, Params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::connection::{corrupt, failed};
use super::{STORE, SqliteStore, list};

const INSERT_ROOM: &str =
    "INSERT INTO meet_rooms (room_id, document) VALUES (?1, ?2) ON CONFLICT (room_id) DO NOTHING";
const ROOM: &str = "SELECT document FROM meet_rooms WHERE room_id = ?1";
const UPDATE_ROOM: &str = "UPDATE meet_rooms SET document = ?2 WHERE room_id = ?1";
const REMOVE_ROOM: &str = "DELETE FROM meet_rooms WHERE room_id = ?1";
/// Without a limit: documents are stepped through until enough of them could be read.
const ROOMS_TO_BE_DELETED: &str = "SELECT room_id, document FROM meet_rooms
    WHERE auto_deletion_date < ?2 AND room_id > ?1 ORDER BY room_id";
const ROOMS_IN_MEETING: &str = "SELECT room_id, document FROM meet_rooms INDEXED BY rooms_in_meeting
    WHERE status = 'active_meeting' AND room_id > ?1 ORDER BY room_id";
const COUNTS: &str = "SELECT (SELECT count(*) FROM meet_rooms),
    (SELECT count(*) FROM meet_rooms WHERE status = 'active_meeting'),
    (SELECT count(*) FROM recordings), (SELECT count(*) FROM recordings WHERE status = 'complete')";
const INSERT_RECORDING: &str =
    "INSERT INTO recordings (recording_id, secret_public, secret_private, updated_at, document)
    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (recording_id) DO NOTHING";
const RECORDING: &str =
    "SELECT document, secret_public, secret_private, updated_at FROM recordings WHERE recording_id = ?1";
/// The room's index bounds what is looked through.
const HAS_RECORDING: &str = "SELECT 1 FROM recordings WHERE room_id = ?1 AND recording_id LIKE ?2";
const UPDATE_RECORDING: &str = "UPDATE recordings SET document = ?2, updated_at = ?3 WHERE recording_id = ?1";
const REMOVE_RECORDING: &str = "DELETE FROM recordings WHERE recording_id = ?1";
/// Without a limit: documents are stepped through until enough of them could be read.
pub(super) const UNFINISHED_RECORDINGS: &str =
    "SELECT recording_id, document, secret_public, secret_private, updated_at FROM recordings
    INDEXED BY recordings_unfinished
    WHERE status IN ('starting', 'active', 'ending') AND recording_id > ?1 ORDER BY recording_id";
const API_KEYS: &str = "SELECT key, creation_date FROM api_keys ORDER BY creation_date, inserted";
const REMOVE_API_KEYS: &str = "DELETE FROM api_keys";
const INSERT_FIRST_API_KEY: &str = "INSERT INTO api_keys (key, creation_date)
    SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM api_keys)";

/// A recording's row, its document unread.
struct Columns {
    document: String,
    secrets: AccessSecrets,
    updated_at: i64,
}

fn columns(connection: &Connection, id: &str) -> Result<Option<Columns>, PortError> {
    connection
        .prepare_cached(RECORDING)
        .and_then(|mut statement| statement.query_row([id], |row| Columns::of(row, 0)).optional())
        .map_err(|error| failed(&id, &error))
}

impl Columns {
    /// Document, secrets and time, beginning at this column.
    fn of(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let secrets = AccessSecrets { public: row.get(first + 1)?, private: row.get(first + 2)? };
        Ok(Self { document: row.get(first)?, secrets, updated_at: row.get(first + 3)? })
    }

    fn read(self, id: &str) -> Result<StoredRecording, PortError> {
        let recording = read(&id, &self.document)?;
        Ok(StoredRecording { recording, secrets: self.secrets, updated_at: self.updated_at })
    }
}

pub(super) fn read<T: DeserializeOwned>(subject: &dyn Display, document: &str) -> Result<T, PortError> {
    serde_json::from_str(document).map_err(|error| corrupt(subject, error))
}

pub(super) fn written(subject: &dyn Display, document: &impl Serialize) -> Result<String, PortError> {
    let unfit = |error| PortError::misused(STORE, format_args!("{subject}: {error}"));
    serde_json::to_string(document).map_err(unfit)
}

/// Runs a statement and says whether it changed anything.
pub(super) fn changed(
    connection: &Connection,
    subject: &dyn Display,
    sql: &str,
    parameters: impl Params,
) -> Result<bool, PortError> {
    let changed = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters));
    changed.map(|rows| rows > 0).map_err(|error| failed(subject, &error))
}

fn update(
    connection: &Connection,
    id: &str,
    newer: &Recording,
    updated_at: i64,
) -> Result<Option<Recording>, PortError> {
    let Some(columns) = columns(connection, id)? else { return Ok(None) };
    let mut document: Map<String, Value> = read(&id, &columns.document)?;
    let mut stored = columns.read(id)?;
    let before = stored.recording.clone();
    if stored.take_over(newer, updated_at) {
        overlay(&mut document, &fields(id, &before)?, fields(id, &stored.recording)?);
        let document = written(&id, &document)?;
        changed(connection, &id, UPDATE_RECORDING, params![id, document, updated_at])?;
    }
    Ok(Some(stored.recording))
}

/// Brings the fields that differ from `before` to `after`, and leaves all others alone.
pub(super) fn overlay(
    document: &mut Map<String, Value>,
    before: &Map<String, Value>,
    after: Map<String, Value>,
) {
    document.retain(|field, _| !before.contains_key(field) || after.contains_key(field));
    document.extend(after.into_iter().filter(|(field, value)| before.get(field) != Some(value)));
}

pub(super) fn fields(id: &str, resource: &impl Serialize) -> Result<Map<String, Value>, PortError> {
    match serde_json::to_value(resource) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(PortError::misused(STORE, format_args!("{id}: it is no object"))),
        Err(error) => Err(PortError::misused(STORE, format_args!("{id}: {error}"))),
    }
}

fn room_document(connection: &Connection, id: &str) -> Result<Option<String>, PortError> {
    connection
        .prepare_cached(ROOM)
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
        .map_err(|error| failed(&id, &error))
}

fn change_room(
    connection: &Connection,
    id: &str,
    change: &RoomChange,
) -> Result<Option<RoomChanged>, PortError> {
    let Some(document) = room_document(connection, id)? else { return Ok(None) };
    let before: Room = read(&id, &document)?;
    let after = before.clone().changed(change);
    if after != before {
        let mut document: Map<String, Value> = read(&id, &document)?;
        overlay(&mut document, &fields(id, &before)?, fields(id, &after)?);
        changed(connection, &id, UPDATE_ROOM, params![id, written(&id, &document)?])?;
    }
    Ok(Some(RoomChanged { before, after }))
}

/// All statements of one commit run alone, so what is compared is what is removed.
fn remove_room(connection: &Connection, seen: &Room) -> Result<bool, PortError> {
    let id = seen.room_id.as_str();
    let Some(document) = room_document(connection, id)? else { return Ok(true) };
    let stored: Room = read(&id, &document)?;
    if stored.standing() != seen.standing() {
        return Ok(false);
    }
    changed(connection, &id, REMOVE_ROOM, [id])
}

#[async_trait]
impl Catalog for SqliteStore {
    async fn insert_room(&self, room: &Room) -> Result<(), PortError> {
        let (id, document) = (room.room_id.to_string(), written(&room.room_id, room)?);
        let insert =
            move |connection: &Connection| changed(connection, &id, INSERT_ROOM, params![id, document]);
        if self.commit(&room.room_id, insert).await? {
            return Ok(());
        }
        Err(PortError::misused(STORE, format_args!("room {} exists", room.room_id)))
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, PortError> {
        let id = room.to_string();
        self.query(room, move |connection| {
            room_document(connection, &id)?.map(|document| read(&id, &document)).transpose()
        })
        .await
    }

    async fn change_room(
        &self,
        room: &RoomId,
        change: &RoomChange,
    ) -> Result<Option<RoomChanged>, PortError> {
        let (id, change) = (room.to_string(), change.clone());
        self.commit(room, move |connection: &Connection| change_room(connection, &id, &change)).await
    }

    async fn remove_room(&self, seen: &Room) -> Result<bool, PortError> {
        let room = seen.clone();
        self.commit(&seen.room_id, move |connection: &Connection| remove_room(connection, &room)).await
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Page<Room>, PortError> {
        let (query, log, limit) = (query.clone(), Arc::clone(&self.unreadable), self.deadline);
        self.query(&"rooms", move |connection| list::rooms_page(connection, &query, &log, limit)).await
    }

    async fn rooms_due(
        &self,
        due: RoomsDue,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Room>, PortError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let log = Arc::clone(&self.unreadable);
        self.query(&"rooms", move |connection| {
            let failed = |error| failed(&"rooms", &error);
            let sql = match due {
                RoomsDue::ToBeDeletedBefore(_) => ROOMS_TO_BE_DELETED,
                RoomsDue::InMeeting => ROOMS_IN_MEETING,
            };
            let mut statement = connection.prepare_cached(sql).map_err(failed)?;
            let mut rows = match due {
                RoomsDue::ToBeDeletedBefore(time) => {
                    statement.query(params![after, time.0]).map_err(failed)?
                }
                RoomsDue::InMeeting => statement.query([after]).map_err(failed)?,
            };
            let mut found = Vec::new();
            while found.len() < limit
                && let Some(row) = rows.next().map_err(failed)?
            {
                let id: String = row.get(0).map_err(failed)?;
                match read(&id, &row.get::<_, String>(1).map_err(failed)?) {
                    Ok(room) => found.push(room),
                    Err(error) => log.left_out(&id, &error),
                }
            }
            Ok(found)
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, PortError> {
        let count = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
        self.query(&"counts", move |connection| {
            let counts = |row: &rusqlite::Row<'_>| {
                Ok(Counts {
                    rooms: count(row, 0)?,
                    active_rooms: count(row, 1)?,
                    recordings: count(row, 2)?,
                    complete_recordings: count(row, 3)?,
                })
            };
            connection
                .prepare_cached(COUNTS)
                .and_then(|mut statement| statement.query_row([], counts))
                .map_err(|error| failed(&"counts", &error))
        })
        .await
    }

    async fn insert_recording(&self, stored: &StoredRecording) -> Result<bool, PortError> {
        let recording = &stored.recording;
        let (id, document) =
            (recording.recording_id.to_string(), written(&recording.recording_id, recording)?);
        let (secrets, updated_at) = (stored.secrets.clone(), stored.updated_at);
        self.carry_out(&recording.recording_id, move |connection| {
            let values = params![id, secrets.public, secrets.private, updated_at, document];
            changed(connection, &id, INSERT_RECORDING, values)
        })
        .await
    }

    async fn update_recording(
        &self,
        recording: &Recording,
        updated_at: i64,
    ) -> Result<Option<Recording>, PortError> {
        let (id, newer) = (recording.recording_id.to_string(), recording.clone());
        let statements = move |connection: &Connection| update(connection, &id, &newer, updated_at);
        self.carry_out(&recording.recording_id, statements).await
    }

    async fn recording(&self, recording: &RecordingId) -> Result<Option<StoredRecording>, PortError> {
        let id = recording.to_string();
        let query = move |connection: &Connection| {
            columns(connection, &id)?.map(|columns| columns.read(&id)).transpose()
        };
        self.query(recording, query).await
    }

    async fn has_recording(&self, room: &RoomId, uid: &Uid) -> Result<bool, PortError> {
        let (id, ends) = (room.to_string(), format!("%--{uid}"));
        self.query(room, move |connection| {
            connection
                .prepare_cached(HAS_RECORDING)
                .and_then(|mut statement| statement.exists(params![id, ends]))
                .map_err(|error| failed(&format_args!("room {id}"), &error))
        })
        .await
    }

    async fn recordings(&self, query: &RecordingQuery) -> Result<Page<Recording>, PortError> {
        let (query, log, limit) = (query.clone(), Arc::clone(&self.unreadable), self.deadline);
        self.query(&"recordings", move |connection| list::recordings(connection, &query, &log, limit)).await
    }

    async fn unfinished_recordings(
        &self,
        after: Option<&RecordingId>,
        limit: usize,
    ) -> Result<Vec<StoredRecording>, PortError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let log = Arc::clone(&self.unreadable);
        self.query(&"recordings", move |connection| {
            let failed = |error| failed(&"recordings", &error);
            let mut statement = connection.prepare_cached(UNFINISHED_RECORDINGS).map_err(failed)?;
            let mut rows = statement.query([after]).map_err(failed)?;
            let mut found = Vec::new();
            while found.len() < limit
                && let Some(row) = rows.next().map_err(failed)?
            {
                let id: String = row.get(0).map_err(failed)?;
                match Columns::of(row, 1).map_err(failed)?.read(&id) {
                    Ok(stored) => found.push(stored),
                    Err(error) => log.left_out(&id, &error),
                }
            }
            Ok(found)
        })
        .await
    }

    async fn remove_recording(&self, recording: &RecordingId) -> Result<bool, PortError> {
        let id = recording.to_string();
        let statements = move |connection: &Connection| changed(connection, &id, REMOVE_RECORDING, [&id]);
        self.carry_out(recording, statements).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, PortError> {
        self.query(&"api keys", |connection| {
            let get = |row: &rusqlite::Row<'_>| Ok(ApiKey { key: row.get(0)?, creation_date: row.get(1)? });
            connection
                .prepare_cached(API_KEYS)
                .and_then(|mut statement| statement.query_map([], get)?.collect())
                .map_err(|error| failed(&"api keys", &error))
        })
        .await
    }

    async fn insert_first_api_key(&self, key: &ApiKey) -> Result<bool, PortError> {
        let key = key.clone();
        self.commit(&"api keys", move |connection| {
            changed(connection, &"api keys", INSERT_FIRST_API_KEY, params![key.key, key.creation_date])
        })
        .await
    }

    async fn replace_api_keys(&self, key: &ApiKey) -> Result<(), PortError> {
        let key = key.clone();
        self.commit(&"api keys", move |connection| {
            changed(connection, &"api keys", REMOVE_API_KEYS, [])?;
            changed(connection, &"api keys", INSERT_FIRST_API_KEY, params![key.key, key.creation_date])
        })
        .await
        .map(drop)
    }

    async fn remove_api_keys(&self) -> Result<u64, PortError> {
        self.commit(&"api keys", |connection| {
            let removed = connection.prepare_cached(REMOVE_API_KEYS).and_then(|mut all| all.execute([]));
            removed.map(|rows| rows as u64).map_err(|error| failed(&"api keys", &error))
        })
        .await
    }
}
