//! SQLite: ledger, keys, catalog, outbox and accounts in one file (`sqlite://`), the default when there is no MongoDB.
//!
//! Owns the file, its lock and the threads that speak to it: one writer that commits whatever waits
//! together (`writer`), a few readers. Never blocks an async thread, and never answers a decision before it
//! is synced. The decisions of the ports are in `ledger`, `keys`, `catalog`, `list`, `outbox` and `accounts`;
//! the tables in `schema`.

mod accounts;
mod catalog;
mod connection;
mod file_lock;
mod keys;
mod lane;
mod ledger;
mod list;
mod outbox;
mod schema;
mod settings;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reelkeeper_actors::ports::PortError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use self::connection::{guarded, unavailable};
use self::file_lock::FileLock;
use self::lane::{Inlet, Lane};
use self::writer::{Durable, Write};
use super::awaited::awaiting;
use super::unreadable::Unreadable;

/// The dependency's name in errors.
const STORE: &str = "store";

/// How to open a store.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database file; it and its folder are made if they are not there.
    pub path: PathBuf,
    /// Within which every call ends. 5 s by default.
    pub deadline: Duration,
    /// Calls that may wait, for the writer and for the readers each; beyond it a call is refused at
    /// once. 1024 by default.
    pub queue: usize,
    /// Threads that read, at least one. 2 by default: a read takes microseconds.
    pub readers: usize,
}

impl SqliteConfig {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), deadline: Duration::from_secs(5), queue: 1024, readers: 2 }
    }
}

/// An open store; implements [`Ledger`](reelkeeper_actors::ports::ledger::Ledger),
/// [`IdempotencyKeys`](reelkeeper_actors::ports::keys::IdempotencyKeys),
/// [`Catalog`](reelkeeper_actors::ports::catalog::Catalog),
/// [`Outbox`](reelkeeper_actors::ports::outbox::Outbox) and
/// [`Accounts`](reelkeeper_actors::ports::accounts::Accounts).
///
/// Dropping it does what [`close`](Self::close) does, but blocks the thread meanwhile.
pub struct SqliteStore {
    // Readers end before the writer, so that its last checkpoint finds nobody in the way.
    readers: Arc<Lane<Question>>,
    /// None if it was opened for reading.
    writer: Option<Arc<Lane<Box<dyn Write>>>>,
    unreadable: Arc<Unreadable>,
    deadline: Duration,
}

/// Something to be read, which also sends its answer.
type Question = Box<dyn FnOnce(&Connection) + Send>;

impl SqliteStore {
    /// Opens the file, locks it against every other process and brings its tables up to date.
    ///
    /// # Errors
    /// `Misused` when another process holds the file (the error names it), when a newer version wrote
    /// it, or when its file system cannot do write-ahead logging; `Corrupt` when it is no database;
    /// `Unavailable` when it cannot be opened.
    pub async fn open(config: SqliteConfig) -> Result<Self, PortError> {
        Self::off_thread(config, Self::open_blocking).await
    }

    /// Opens a file that another process may hold, without its lock: every write is refused. SQLite may
    /// leave an empty write-ahead log beside the file.
    ///
    /// # Errors
    /// `Misused` when another version wrote it; `Corrupt` when it is no database; `Unavailable` when it is
    /// not there, or cannot be opened.
    pub async fn open_to_read(config: SqliteConfig) -> Result<Self, PortError> {
        Self::off_thread(config, Self::open_to_read_blocking).await
    }

    async fn off_thread(
        config: SqliteConfig,
        open: impl FnOnce(&SqliteConfig) -> Result<Self, PortError> + Send + 'static,
    ) -> Result<Self, PortError> {
        let path = config.path.display().to_string();
        let opened = tokio::task::spawn_blocking(move || open(&config)).await;
        opened.unwrap_or_else(|broken| Err(PortError::misused(STORE, format_args!("{path}: {broken}"))))
    }

    fn open_to_read_blocking(config: &SqliteConfig) -> Result<Self, PortError> {
        schema::expect_up_to_date(&connection::open_reader(&config.path)?)?;
        let readers = Self::start_readers(config, &config.path)?;
        Ok(Self { readers, writer: None, unreadable: Arc::default(), deadline: config.deadline })
    }

    fn open_blocking(config: &SqliteConfig) -> Result<Self, PortError> {
        let path = connection::prepare_path(&config.path)?;
        let lock = FileLock::take(&path)?;
        let mut writing = connection::open_writer(&path, config.deadline / 2)?;
        schema::bring_up_to_date(&mut writing)?;
        let readers = Self::start_readers(config, &path)?;
        let write = move |inlet: &Inlet<_>| writer::commit_until_closed(writing, inlet, lock);
        let writer = Lane::start("sqlite-writer", config.queue, [write])
            .map_err(|error| unavailable(&path.display(), error))?;
        let (writer, unreadable) = (Some(Arc::new(writer)), Arc::default());
        Ok(Self { readers, writer, unreadable, deadline: config.deadline })
    }

    fn start_readers(config: &SqliteConfig, path: &Path) -> Result<Arc<Lane<Question>>, PortError> {
        let mut readings = Vec::new();
        for _ in 0..config.readers.max(1) {
            readings.push(connection::open_reader(path)?);
        }
        let reads =
            readings.into_iter().map(|reading| move |inlet: &Inlet<_>| answer_until_closed(&reading, inlet));
        let started = Lane::start("sqlite-reader", config.queue, reads);
        started.map(Arc::new).map_err(|error| unavailable(&path.display(), error))
    }

    /// Finishes what waits, moves the write-ahead log into the file, and unlocks it. Later calls fail.
    ///
    /// # Errors
    /// `Unavailable` when this takes longer than a call may; it goes on all the same.
    pub async fn close(&self) -> Result<(), PortError> {
        let (readers, writer) = (Arc::clone(&self.readers), self.writer.clone());
        let closing = tokio::task::spawn_blocking(move || {
            readers.close();
            if let Some(writer) = writer {
                writer.close();
            }
        });
        match tokio::time::timeout(self.deadline, closing).await {
            Ok(closed) => closed.map_err(|broken| PortError::misused(STORE, broken)),
            Err(_) => Err(unavailable(&"close", format_args!("not done within {:?}", self.deadline))),
        }
    }

    /// Runs a query on a reader. `subject` names in errors what it is about.
    async fn query<T: Send + 'static>(
        &self,
        subject: &(dyn Display + Sync),
        query: impl FnOnce(&Connection) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let (answer, waiting) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            if !answer.is_closed() {
                // Whoever asked may have gone away meanwhile.
                let _ = answer.send(guarded(|| query(connection)));
            }
        });
        self.readers.offer(question).map_err(|refusal| unavailable(subject, refusal))?;
        self.answer(subject, waiting).await
    }

    /// Runs statements on the writer, all of them or none, and answers when they are synced.
    async fn commit<T: Send + 'static>(
        &self,
        subject: &(dyn Display + Sync),
        statements: impl FnOnce(&Connection) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        self.on_writer(Durable::AtOnce, subject, statements).await
    }

    /// The same for what a row of the ledger owes: answers when everybody sees it. It is on the disk at the
    /// latest with the next commit, and so before any row that says it is done.
    async fn carry_out<T: Send + 'static>(
        &self,
        subject: &(dyn Display + Sync),
        statements: impl FnOnce(&Connection) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        self.on_writer(Durable::WithTheNext, subject, statements).await
    }

    async fn on_writer<T: Send + 'static>(
        &self,
        durable: Durable,
        subject: &(dyn Display + Sync),
        statements: impl FnOnce(&Connection) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let opened_to_read = || PortError::misused(STORE, format_args!("{subject}: opened for reading"));
        let writer = self.writer.as_ref().ok_or_else(opened_to_read)?;
        let (write, waiting) = writer::write(durable, statements);
        writer.offer(write).map_err(|refusal| unavailable(subject, refusal))?;
        self.answer(subject, waiting).await
    }

    async fn answer<T>(
        &self,
        subject: &(dyn Display + Sync),
        waiting: oneshot::Receiver<Result<T, PortError>>,
    ) -> Result<T, PortError> {
        match tokio::time::timeout(self.deadline, awaiting(STORE, waiting)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(unavailable(subject, "the store closed before it answered")),
            Err(_) => Err(unavailable(subject, format_args!("no answer within {:?}", self.deadline))),
        }
    }
}

fn answer_until_closed(connection: &Connection, inlet: &Inlet<Question>) {
    while let Some(question) = inlet.wait() {
        question(connection);
    }
}
