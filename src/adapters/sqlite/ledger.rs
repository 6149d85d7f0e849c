//! The ledger in SQLite: the header in columns that each write compares, the state as JSON.

use async_trait::async_trait;
use reelkeeper_actors::ids::{ClaimId, DecisionId, NodeId, RoomId};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::ledger::{Expected, Ledger, Written};
use reelkeeper_actors::recording::ledger::Row;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::connection::{corrupt, failed};
use super::{STORE, SqliteStore};

const LOAD: &str =
    "SELECT room, owner, claim, epoch, revision, decision, state FROM reelkeeper_rooms WHERE room = ?1";
/// Without a limit: rows are stepped through until enough of them could be read.
pub(super) const ROWS: &str =
    "SELECT room, owner, claim, epoch, revision, decision, state FROM reelkeeper_rooms
    WHERE room > ?1 ORDER BY room";
const MAKE: &str =
    "INSERT INTO reelkeeper_rooms (room, owner, claim, epoch, revision, decision, settled, state)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (room) DO NOTHING";
const REPLACE: &str = "UPDATE reelkeeper_rooms
    SET owner = ?2, claim = ?3, epoch = ?4, revision = ?5, decision = ?6, settled = ?7, state = ?8
    WHERE room = ?1 AND claim = ?9 AND revision = ?10";
const REMOVE: &str = "DELETE FROM reelkeeper_rooms WHERE room = ?1 AND claim = ?2 AND revision = ?3";

/// A row as its columns hold it.
struct Columns {
    room: String,
    owner: String,
    claim: String,
    epoch: i64,
    revision: i64,
    decision: String,
    settled: bool,
    state: String,
}

impl Columns {
    fn write(row: &Row) -> Result<Self, PortError> {
        let unfit = |error| PortError::misused(STORE, format_args!("room {}: {error}", row.room));
        Ok(Self {
            room: row.room.to_string(),
            owner: row.owner.to_string(),
            claim: row.claim.to_string(),
            epoch: integer(&row.room, row.epoch)?,
            revision: integer(&row.room, row.revision)?,
            decision: row.decision.to_string(),
            settled: row.state.is_settled(),
            state: serde_json::to_string(&row.state).map_err(unfit)?,
        })
    }

    fn get(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            room: row.get(0)?,
            owner: row.get(1)?,
            claim: row.get(2)?,
            epoch: row.get(3)?,
            revision: row.get(4)?,
            decision: row.get(5)?,
            settled: false,
            state: row.get(6)?,
        })
    }

    fn read(self) -> Result<Row, PortError> {
        let room = RoomId::from_trusted(self.room);
        let count = |value: i64| u64::try_from(value).map_err(|error| unreadable(&room, error));
        Ok(Row {
            owner: NodeId::from_trusted(self.owner),
            claim: ClaimId::from_trusted(self.claim),
            epoch: count(self.epoch)?,
            revision: count(self.revision)?,
            decision: DecisionId::from_trusted(self.decision),
            state: serde_json::from_str(&self.state).map_err(|error| unreadable(&room, error))?,
            room,
        })
    }
}

fn unreadable(room: &RoomId, error: impl std::fmt::Display) -> PortError {
    corrupt(&format_args!("room {room}"), error)
}

fn integer(room: &RoomId, count: u64) -> Result<i64, PortError> {
    i64::try_from(count).map_err(|error| PortError::misused(STORE, format_args!("room {room}: {error}")))
}

fn load(connection: &Connection, room: &str) -> Result<Option<Row>, PortError> {
    let columns = connection
        .prepare_cached(LOAD)
        .and_then(|mut statement| statement.query_row([room], Columns::get).optional())
        .map_err(|error| failed(&format_args!("room {room}"), &error))?;
    columns.map(Columns::read).transpose()
}

/// Runs a conditional statement; if it changed nothing, says what is there instead.
fn conditional(
    connection: &Connection,
    room: &str,
    sql: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Written, PortError> {
    let changed = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters));
    match changed.map_err(|error| failed(&format_args!("room {room}"), &error))? {
        0 => Ok(Written::Refused(load(connection, room)?.map(Box::new))),
        _ => Ok(Written::Stored),
    }
}

#[async_trait]
impl Ledger for SqliteStore {
    async fn load(&self, room: &RoomId) -> Result<Option<Row>, PortError> {
        let id = room.to_string();
        self.query(room, move |connection| load(connection, &id)).await
    }

    async fn write(&self, row: &Row, expected: &Expected) -> Result<Written, PortError> {
        let new = Columns::write(row)?;
        let held = match expected {
            Expected::Absent => None,
            Expected::At { claim, revision } => Some((claim.to_string(), integer(&row.room, *revision)?)),
        };
        let statements = move |connection: &Connection| {
            let Columns { room, owner, claim, epoch, revision, decision, settled, state } = &new;
            match &held {
                None => {
                    let values = params![room, owner, claim, epoch, revision, decision, settled, state];
                    conditional(connection, room, MAKE, values)
                }
                Some((held, at)) => {
                    let values =
                        params![room, owner, claim, epoch, revision, decision, settled, state, held, at];
                    conditional(connection, room, REPLACE, values)
                }
            }
        };
        self.commit(&row.room, statements).await
    }

    async fn remove(&self, room: &RoomId, claim: &ClaimId, revision: u64) -> Result<Written, PortError> {
        let (id, claim, revision) = (room.to_string(), claim.to_string(), integer(room, revision)?);
        let statements =
            move |connection: &Connection| conditional(connection, &id, REMOVE, params![id, claim, revision]);
        self.commit(room, statements).await
    }

    async fn rows(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<Row>, PortError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let log = std::sync::Arc::clone(&self.unreadable);
        self.query(&"rooms", move |connection| {
            let failed = |error| failed(&"rooms", &error);
            let mut statement = connection.prepare_cached(ROWS).map_err(failed)?;
            let mut rows = Vec::new();
            for columns in statement.query_map([after], Columns::get).map_err(failed)? {
                if rows.len() >= limit {
                    break;
                }
                let columns = columns.map_err(failed)?;
                let room = columns.room.clone();
                match columns.read() {
                    Ok(row) => rows.push(row),
                    Err(error) => log.left_out(&room, &error),
                }
            }
            Ok(rows)
        })
        .await
    }

    async fn ping(&self) -> Result<(), PortError> {
        let select = |connection: &Connection| {
            connection.query_row("SELECT 1", [], |_| Ok(())).map_err(|error| failed(&"ping", &error))
        };
        self.query(&"ping", select).await?;
        if self.writer.is_none() {
            return Ok(());
        }
        self.commit(&"ping", select).await
    }
}
