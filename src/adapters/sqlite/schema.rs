//! The tables, and the steps that lead to them.
//!
//! A step that was released is never changed; the next one is added below it. `user_version` counts the
//! steps that a file has behind it.

use reelkeeper_actors::ports::PortError;
use rusqlite::Connection;

use super::STORE;
use super::connection::failed;

pub(super) const STEPS: [&str; 7] = [
    // Columns beside a document are read from it, so that they can never tell another story. The ledger's
    // are its fencing header, compared by every write.
    "CREATE TABLE reelkeeper_rooms (
        room TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        claim TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        decision TEXT NOT NULL,
        settled INTEGER NOT NULL,
        state TEXT NOT NULL
    ) STRICT;

    CREATE TABLE meet_rooms (
        inserted INTEGER PRIMARY KEY AUTOINCREMENT,
        room_id TEXT NOT NULL UNIQUE,
        document TEXT NOT NULL
    ) STRICT;

    CREATE TABLE recordings (
        inserted INTEGER PRIMARY KEY AUTOINCREMENT,
        recording_id TEXT NOT NULL UNIQUE,
        secret_public TEXT NOT NULL,
        secret_private TEXT NOT NULL,
        updated_at INTEGER NOT NULL,
        document TEXT NOT NULL,
        room_id TEXT GENERATED ALWAYS AS (document ->> 'roomId') VIRTUAL,
        room_name TEXT GENERATED ALWAYS AS (document ->> 'roomName') VIRTUAL,
        status TEXT GENERATED ALWAYS AS (document ->> 'status') VIRTUAL,
        start_date REAL GENERATED ALWAYS AS (document ->> 'startDate') VIRTUAL,
        duration REAL GENERATED ALWAYS AS (document ->> 'duration') VIRTUAL,
        size REAL GENERATED ALWAYS AS (document ->> 'size') VIRTUAL
    ) STRICT;
    CREATE INDEX recordings_newest ON recordings (start_date DESC, inserted DESC);
    CREATE INDEX recordings_by_room ON recordings (room_id, start_date DESC, inserted DESC);
    CREATE INDEX recordings_by_status ON recordings (status, start_date DESC, inserted DESC);

    CREATE TABLE api_keys (
        inserted INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        creation_date INTEGER NOT NULL
    ) STRICT;",
    // What is not over is looked for at every start, and there is never much of it.
    "CREATE INDEX recordings_unfinished ON recordings (recording_id)
        WHERE status IN ('starting', 'active', 'ending');",
    "CREATE TABLE reelkeeper_outbox (
        id TEXT NOT NULL PRIMARY KEY,
        subject TEXT NOT NULL,
        number INTEGER NOT NULL,
        event TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting',
        tries INTEGER NOT NULL DEFAULT 0,
        due INTEGER NOT NULL,
        last_error TEXT NOT NULL DEFAULT '',
        delivered_at INTEGER
    ) STRICT;
    CREATE INDEX reelkeeper_outbox_due ON reelkeeper_outbox (due) WHERE state = 'waiting';
    CREATE INDEX reelkeeper_outbox_order ON reelkeeper_outbox (subject, number) WHERE state = 'waiting';
    CREATE INDEX reelkeeper_outbox_delivered ON reelkeeper_outbox (delivered_at) WHERE state = 'delivered';
    CREATE INDEX reelkeeper_outbox_dead ON reelkeeper_outbox (created_at) WHERE state = 'dead';",
    // Found by its key when a request comes, by its command when the answer does, by its age when it is old.
    "CREATE TABLE reelkeeper_keys (
        caller TEXT NOT NULL,
        room TEXT NOT NULL,
        operation TEXT NOT NULL,
        key TEXT NOT NULL,
        command TEXT NOT NULL UNIQUE,
        request TEXT NOT NULL,
        entered INTEGER NOT NULL,
        answer TEXT,
        PRIMARY KEY (caller, room, operation, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX reelkeeper_keys_by_age ON reelkeeper_keys (entered);",
    // Roles are a JSON array of texts.
    "CREATE TABLE users (
        username TEXT NOT NULL PRIMARY KEY,
        password_hash TEXT NOT NULL,
        roles TEXT NOT NULL
    ) STRICT;",
    // Lists: each sort has an index, alone and behind the status. Within a room there is never so much that
    // a few could not be sorted, so `recordings_by_room` is enough.
    "CREATE INDEX recordings_by_room_name ON recordings (room_name, inserted);
    CREATE INDEX recordings_by_duration ON recordings (duration, inserted);
    CREATE INDEX recordings_by_size ON recordings (size, inserted);
    CREATE INDEX recordings_by_status_and_room_name ON recordings (status, room_name, inserted);
    CREATE INDEX recordings_by_status_and_duration ON recordings (status, duration, inserted);
    CREATE INDEX recordings_by_status_and_size ON recordings (status, size, inserted);",
    // Rooms: lists as above, and those that somebody must look after. The settings are one document.
    "ALTER TABLE meet_rooms ADD COLUMN room_name TEXT GENERATED ALWAYS AS (document ->> 'roomName') VIRTUAL;
    ALTER TABLE meet_rooms ADD COLUMN status TEXT GENERATED ALWAYS AS (document ->> 'status') VIRTUAL;
    ALTER TABLE meet_rooms ADD COLUMN creation_date REAL
        GENERATED ALWAYS AS (document ->> 'creationDate') VIRTUAL;
    ALTER TABLE meet_rooms ADD COLUMN auto_deletion_date REAL
        GENERATED ALWAYS AS (document ->> 'autoDeletionDate') VIRTUAL;
    CREATE INDEX rooms_newest ON meet_rooms (creation_date, inserted);
    CREATE INDEX rooms_by_name ON meet_rooms (room_name, inserted);
    CREATE INDEX rooms_by_auto_deletion ON meet_rooms (auto_deletion_date, inserted);
    CREATE INDEX rooms_by_status ON meet_rooms (status, creation_date, inserted);
    CREATE INDEX rooms_by_status_and_name ON meet_rooms (status, room_name, inserted);
    CREATE INDEX rooms_by_status_and_auto_deletion ON meet_rooms (status, auto_deletion_date, inserted);
    CREATE INDEX rooms_in_meeting ON meet_rooms (room_id) WHERE status = 'active_meeting';

    CREATE TABLE settings (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        document TEXT NOT NULL
    ) STRICT;",
];

/// Takes the steps that a file still lacks, each whole or not at all.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), PortError> {
    let found = taken(connection).map_err(|error| failed(&"schema", &error))?;
    if found > STEPS.len() {
        let detail = format!("a newer version wrote the file: schema {found}, known up to {}", STEPS.len());
        return Err(PortError::misused(STORE, detail));
    }
    for (index, step) in STEPS.iter().enumerate().skip(found) {
        take(connection, step, index + 1)
            .map_err(|error| failed(&format_args!("schema {}", index + 1), &error))?;
    }
    Ok(())
}

/// Whether a file that is only read can be understood.
pub(super) fn expect_up_to_date(connection: &Connection) -> Result<(), PortError> {
    let found = taken(connection).map_err(|error| failed(&"schema", &error))?;
    if found == STEPS.len() {
        return Ok(());
    }
    let known = STEPS.len();
    Err(PortError::misused(
        STORE,
        format!("another version wrote the file: schema {found}, known is {known}"),
    ))
}

fn taken(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))
        .map(|count| count as usize)
}

fn take(connection: &mut Connection, step: &str, count: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "user_version", count.to_string())?;
    transaction.commit()
}
