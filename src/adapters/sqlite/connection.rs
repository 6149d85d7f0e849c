//! Connections: how they are opened, and what their failures mean to a caller.

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reelkeeper_actors::ports::PortError;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use super::STORE;

/// Prepared statements kept for each connection; more than there are.
const STATEMENTS: usize = 32;

/// Makes the database file's folder, and gives the file its one real name, so that two ways to write a
/// path meet at one lock.
pub(super) fn prepare_path(path: &Path) -> Result<PathBuf, PortError> {
    let prepare = || {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        if path.exists() { path.canonicalize() } else { Ok(folder.canonicalize()?.join(name)) }
    };
    prepare().map_err(|error: io::Error| unavailable(&path.display(), error))
}

/// Opens the connection that writes, and makes the file if there is none. The caller holds the lock.
pub(super) fn open_writer(path: &Path, busy: Duration) -> Result<Connection, PortError> {
    let shown = path.display();
    // Secrets and keys are in it. SQLite gives its other files the same mode.
    let make = File::options().append(true).create(true).mode(0o600).open(path);
    drop(make.map_err(|error| unavailable(&shown, error))?);

    let opened = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE));
    let connection =
        opened.and_then(|connection| prepare(connection, busy)).map_err(|e| failed(&shown, &e))?;
    let mode = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
    let mode = mode.map_err(|error| failed(&shown, &error))?;
    if mode != "wal" {
        let detail = format!("{shown}: the file system cannot do write-ahead logging (mode {mode})");
        return Err(PortError::misused(STORE, detail));
    }
    // Each commit is synced before it is answered; on macOS only a full sync reaches the disk.
    let synced = connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON");
    synced.map_err(|error| failed(&shown, &error))?;
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, PortError> {
    // A reader waits for nobody in write-ahead logging but, for a moment, another's recovery.
    Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))
        .and_then(|connection| prepare(connection, Duration::from_secs(1)))
        .map_err(|error| failed(&path.display(), &error))
}

fn flags(access: OpenFlags) -> OpenFlags {
    // Each connection stays in its thread.
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn prepare(connection: Connection, busy: Duration) -> rusqlite::Result<Connection> {
    connection.busy_timeout(busy)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Runs code so that a panic in it is an answer too, and the thread goes on.
pub(super) fn guarded<T>(code: impl FnOnce() -> Result<T, PortError>) -> Result<T, PortError> {
    catch_unwind(AssertUnwindSafe(code))
        .unwrap_or_else(|_| Err(PortError::misused(STORE, "the store's own code panicked")))
}

/// What a failed statement means.
pub(super) fn failed(subject: &dyn Display, error: &Error) -> PortError {
    let unreadable =
        matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            || matches!(
                error,
                Error::InvalidColumnType(..)
                    | Error::FromSqlConversionFailure(..)
                    | Error::IntegralValueOutOfRange(..)
            );
    if unreadable { corrupt(subject, error) } else { unavailable(subject, error) }
}

pub(super) fn corrupt(subject: &dyn Display, detail: impl Display) -> PortError {
    PortError::corrupt(STORE, format_args!("{subject}: {detail}"))
}

pub(super) fn unavailable(subject: &dyn Display, detail: impl Display) -> PortError {
    PortError::unavailable(STORE, format_args!("{subject}: {detail}"))
}
