//! The outbox in SQLite.
//!
//! None of its changes asks for a sync: a letter is owed by its room's row until that is written again, and what a
//! crash of the machine forgets of a delivery is tried once more.

use async_trait::async_trait;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::outbox::{DELIVERIES_MAX, Delivery, Letter, LetterState, Outbox, OutboxDepth};
use reelkeeper_actors::recording::Timestamp;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::connection::failed;

const OUTBOX: &str = "outbox";
const PUT: &str = "INSERT INTO reelkeeper_outbox (id, subject, number, event, created_at, body, due)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5) ON CONFLICT (id) DO NOTHING";
/// Of each subject the first waiting letter only; what is due first comes first.
const LEASE: &str = "UPDATE reelkeeper_outbox SET tries = tries + 1, due = ?2
    WHERE id IN (
        SELECT id FROM reelkeeper_outbox AS letter
        WHERE state = 'waiting' AND due <= ?1 AND NOT EXISTS (
            SELECT 1 FROM reelkeeper_outbox AS earlier
            WHERE earlier.subject = letter.subject AND earlier.number < letter.number
                AND earlier.state = 'waiting')
        ORDER BY due LIMIT ?3)
    RETURNING id, subject, number, event, created_at, body, tries, due, last_error";
const NEXT_DUE: &str = "SELECT min(due) FROM reelkeeper_outbox AS letter
    WHERE state = 'waiting' AND NOT EXISTS (
        SELECT 1 FROM reelkeeper_outbox AS earlier
        WHERE earlier.subject = letter.subject AND earlier.number < letter.number
            AND earlier.state = 'waiting')";
const DELIVERED: &str = "UPDATE reelkeeper_outbox SET state = 'delivered', delivered_at = ?2 WHERE id = ?1";
const AGAIN: &str =
    "UPDATE reelkeeper_outbox SET due = ?2, last_error = ?3 WHERE id = ?1 AND state = 'waiting'";
const BURY: &str =
    "UPDATE reelkeeper_outbox SET state = 'dead', last_error = ?2 WHERE id = ?1 AND state = 'waiting'";
const LETTERS: &str = "SELECT id, subject, number, event, created_at, body, tries, due, last_error
    FROM reelkeeper_outbox WHERE state = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
const REPLAY: &str =
    "UPDATE reelkeeper_outbox SET state = 'waiting', tries = 0, due = ?2 WHERE id = ?1 AND state = 'dead'";
const DROP: &str = "UPDATE reelkeeper_outbox SET state = 'delivered', delivered_at = ?2
    WHERE id = ?1 AND state <> 'delivered'";
const DEPTH: &str = "SELECT
    (SELECT count(*) FROM reelkeeper_outbox WHERE state = 'waiting'),
    (SELECT count(*) FROM reelkeeper_outbox WHERE state = 'dead'),
    (SELECT min(created_at) FROM reelkeeper_outbox WHERE state = 'waiting')";
const PURGE_DELIVERED: &str = "DELETE FROM reelkeeper_outbox WHERE id IN (
    SELECT id FROM reelkeeper_outbox WHERE state = 'delivered' AND delivered_at < ?1 LIMIT ?2)";
const PURGE_DEAD: &str = "DELETE FROM reelkeeper_outbox WHERE id IN (
    SELECT id FROM reelkeeper_outbox WHERE state = 'dead' AND created_at < ?1 LIMIT ?2)";

fn delivery(row: &rusqlite::Row<'_>) -> rusqlite::Result<Delivery> {
    let letter = Letter {
        id: row.get(0)?,
        subject: row.get(1)?,
        number: row.get(2)?,
        event: row.get(3)?,
        created_at: Timestamp(row.get(4)?),
        body: row.get(5)?,
    };
    let (tries, due, last_error) = (row.get(6)?, Timestamp(row.get(7)?), row.get(8)?);
    Ok(Delivery { letter, state: LetterState::Waiting, tries, due, last_error })
}

fn lease(connection: &Connection, now: i64, until: i64, limit: i64) -> rusqlite::Result<Vec<Delivery>> {
    let mut statement = connection.prepare_cached(LEASE)?;
    let leased = statement.query_map(params![now, until, limit], delivery)?;
    leased.collect()
}

/// As a limit of SQLite's.
fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.min(DELIVERIES_MAX)).unwrap_or(i64::MAX)
}

impl SqliteStore {
    /// Runs a statement of the outbox, and says how many letters it changed.
    async fn change_letters<P>(&self, id: &str, sql: &'static str, parameters: P) -> Result<usize, PortError>
    where
        P: rusqlite::Params + Clone + Send + 'static,
    {
        let subject = format!("notice {id}");
        let named = subject.clone();
        self.carry_out(&subject, move |connection: &Connection| {
            let changed = connection.prepare_cached(sql).and_then(|mut s| s.execute(parameters.clone()));
            changed.map_err(|error| failed(&named, &error))
        })
        .await
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn put(&self, letter: &Letter) -> Result<bool, PortError> {
        let Letter { id, subject, number, event, created_at, body } = letter.clone();
        let values = (id, subject, number, event, created_at.0, body);
        Ok(self.change_letters(&letter.id, PUT, values).await? > 0)
    }

    async fn lease(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        // Most of the time nothing is due, and a look costs no synced write.
        if self.next_due().await?.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        self.carry_out(&OUTBOX, move |connection: &Connection| {
            lease(connection, now.0, until.0, bounded(limit)).map_err(|error| failed(&OUTBOX, &error))
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, PortError> {
        self.query(&OUTBOX, |connection| {
            let due = connection.prepare_cached(NEXT_DUE).and_then(|mut s| s.query_row([], |row| row.get(0)));
            due.map(|due: Option<i64>| due.map(Timestamp)).map_err(|error| failed(&OUTBOX, &error))
        })
        .await
    }

    async fn delivered(&self, id: &str, at: Timestamp) -> Result<(), PortError> {
        self.change_letters(id, DELIVERED, (id.to_owned(), at.0)).await.map(drop)
    }

    async fn failed(&self, id: &str, due: Option<Timestamp>, error: &str) -> Result<(), PortError> {
        let (letter, error) = (id.to_owned(), error.to_owned());
        match due {
            Some(due) => self.change_letters(id, AGAIN, (letter, due.0, error)).await.map(drop),
            None => self.change_letters(id, BURY, (letter, error)).await.map(drop),
        }
    }

    async fn letters(
        &self,
        state: LetterState,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        let after = after.unwrap_or_default().to_owned();
        self.query(&OUTBOX, move |connection| {
            let read = |row: &rusqlite::Row<'_>| Ok(Delivery { state, ..delivery(row)? });
            let found = connection.prepare_cached(LETTERS).and_then(|mut statement| {
                let rows = statement.query_map(params![state.name(), after, bounded(limit)], read)?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            });
            found.map_err(|error| failed(&OUTBOX, &error))
        })
        .await
    }

    async fn replay(&self, id: &str, due: Timestamp) -> Result<bool, PortError> {
        Ok(self.change_letters(id, REPLAY, (id.to_owned(), due.0)).await? > 0)
    }

    async fn drop_letter(&self, id: &str, at: Timestamp) -> Result<bool, PortError> {
        Ok(self.change_letters(id, DROP, (id.to_owned(), at.0)).await? > 0)
    }

    async fn depth(&self) -> Result<OutboxDepth, PortError> {
        self.query(&OUTBOX, |connection| {
            let get = |row: &rusqlite::Row<'_>| {
                let count = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
                let oldest = row.get::<_, Option<i64>>(2)?.map(Timestamp);
                Ok(OutboxDepth { waiting: count(0)?, dead: count(1)?, oldest })
            };
            let depth = connection.prepare_cached(DEPTH).and_then(|mut s| s.query_row([], get));
            depth.map_err(|error| failed(&OUTBOX, &error))
        })
        .await
    }

    async fn purge(&self, delivered: Timestamp, dead: Timestamp, limit: usize) -> Result<usize, PortError> {
        let forgotten = self.change_letters(OUTBOX, PURGE_DELIVERED, (delivered.0, bounded(limit))).await?;
        Ok(forgotten + self.change_letters(OUTBOX, PURGE_DEAD, (dead.0, bounded(limit))).await?)
    }
}
