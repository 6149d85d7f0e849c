//! Idempotency keys in SQLite.

use async_trait::async_trait;
use reelkeeper_actors::ids::CommandId;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::keys::{IdempotencyKeys, KeptCommand, ScopedKey};
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::recording::effect::Answer;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::connection::{corrupt, failed};
use super::{STORE, SqliteStore};

const FIND: &str = "SELECT command, request, entered, answer FROM reelkeeper_keys
    WHERE caller = ?1 AND room = ?2 AND operation = ?3 AND key = ?4";
/// One that is too old yields, with its command and its answer.
const ENTER: &str = "INSERT INTO reelkeeper_keys
    (caller, room, operation, key, command, request, entered, answer)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (caller, room, operation, key) DO UPDATE
    SET command = excluded.command, request = excluded.request, entered = excluded.entered,
        answer = excluded.answer
    WHERE entered < ?9";
const KEEP: &str = "UPDATE reelkeeper_keys SET answer = ifnull(answer, ?2) WHERE command = ?1";
pub(super) const ANSWER: &str = "SELECT answer FROM reelkeeper_keys WHERE command = ?1";
const FORGET: &str = "DELETE FROM reelkeeper_keys WHERE command IN
    (SELECT command FROM reelkeeper_keys WHERE entered < ?1 ORDER BY entered LIMIT ?2)";

/// A key as its columns hold it.
#[derive(Clone)]
struct Columns {
    caller: String,
    room: String,
    operation: &'static str,
    key: String,
}

impl Columns {
    fn of(key: &ScopedKey) -> Self {
        let (caller, room) = (key.caller.clone(), key.room.to_string());
        Self { caller, room, operation: key.operation.name(), key: key.key.clone() }
    }

    fn find(&self, connection: &Connection) -> Result<Option<KeptCommand>, PortError> {
        let Self { caller, room, operation, key } = self;
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
        };
        let found = connection
            .prepare_cached(FIND)
            .and_then(|mut found| found.query_row(params![caller, room, operation, key], read).optional())
            .map_err(|error| failed(&format_args!("key in room {room}"), &error))?;
        let Some((command, request, entered, answer)) = found else { return Ok(None) };
        let command = CommandId::from_trusted(command);
        let answer = answer.map(|answer| answer_of(&command, &answer)).transpose()?;
        Ok(Some(KeptCommand { command, request, entered: Timestamp(entered), answer }))
    }
}

fn answer_of(command: &CommandId, text: &str) -> Result<Answer, PortError> {
    serde_json::from_str(text).map_err(|error| corrupt(&format_args!("command {command}"), error))
}

fn written(command: &CommandId, answer: &Answer) -> Result<String, PortError> {
    let unfit = |error| PortError::misused(STORE, format_args!("command {command}: {error}"));
    serde_json::to_string(answer).map_err(unfit)
}

/// Runs a statement; how many rows it changed.
fn changed(
    connection: &Connection,
    command: &CommandId,
    sql: &str,
    values: impl Params,
) -> Result<usize, PortError> {
    let changed = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
    changed.map_err(|error| failed(&format_args!("command {command}"), &error))
}

#[async_trait]
impl IdempotencyKeys for SqliteStore {
    async fn find(&self, key: &ScopedKey) -> Result<Option<KeptCommand>, PortError> {
        let columns = Columns::of(key);
        self.query(&key.room, move |connection| columns.find(connection)).await
    }

    async fn enter(
        &self,
        key: &ScopedKey,
        new: &KeptCommand,
        oldest: Timestamp,
    ) -> Result<KeptCommand, PortError> {
        let (columns, new) = (Columns::of(key), new.clone());
        let answer = new.answer.as_ref().map(|answer| written(&new.command, answer)).transpose()?;
        self.commit(&key.room, move |connection| {
            let Columns { caller, room, operation, key } = &columns;
            let (command, entered) = (new.command.as_str(), new.entered.0);
            let values =
                params![caller, room, operation, key, command, new.request, entered, answer, oldest.0];
            changed(connection, &new.command, ENTER, values)?;
            Ok(columns.find(connection)?.unwrap_or(new))
        })
        .await
    }

    async fn keep(&self, command: &CommandId, answer: &Answer) -> Result<bool, PortError> {
        let (id, answer) = (command.clone(), written(command, answer)?);
        self.carry_out(command, move |connection| {
            Ok(changed(connection, &id, KEEP, params![id.as_str(), answer])? > 0)
        })
        .await
    }

    async fn answer_of(&self, command: &CommandId) -> Result<Option<Answer>, PortError> {
        let id = command.clone();
        self.query(command, move |connection| {
            let kept = connection
                .prepare_cached(ANSWER)
                .and_then(|mut kept| {
                    kept.query_row([id.as_str()], |row| row.get::<_, Option<String>>(0)).optional()
                })
                .map_err(|error| failed(&format_args!("command {id}"), &error))?;
            kept.flatten().map(|answer| answer_of(&id, &answer)).transpose()
        })
        .await
    }

    async fn forget_older(&self, oldest: Timestamp, limit: usize) -> Result<usize, PortError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.commit(&"keys", move |connection| {
            let forgotten = connection
                .prepare_cached(FORGET)
                .and_then(|mut forget| forget.execute(params![oldest.0, limit]));
            forgotten.map_err(|error| failed(&"keys", &error))
        })
        .await
    }
}
