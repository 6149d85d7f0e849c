//! The writer: the one thread that changes anything.
//!
//! Owns group commit: whatever waits goes into one transaction, a savepoint each, and is answered after
//! one sync. So a crowd of writes costs a few syncs, and a failed one leaves nothing of itself behind.
//! What is owed by a row that was synced before, and done again after a crash, asks for no sync of its own:
//! the log is written in order, so the row that says it is done takes it along.

use std::time::Duration;

use reelkeeper_actors::ports::PortError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::STORE;
use super::connection::guarded;
use super::file_lock::FileLock;
use super::lane::Inlet;

/// Most writes of one transaction: bounds how long the first of them waits for the last.
const BATCH_MAX: usize = 128;

/// When a write has to be on the disk. Everybody sees it when it is answered, and it outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// Before it is answered.
    AtOnce,
    /// At the latest with the next one that has to be there at once.
    WithTheNext,
}

impl Durable {
    /// What lets a transaction be so. Begun and ended outside of any.
    fn pragma(self) -> &'static str {
        match self {
            Self::AtOnce => "PRAGMA synchronous = FULL",
            Self::WithTheNext => "PRAGMA synchronous = NORMAL",
        }
    }
}

/// A write in the queue, whatever it answers.
pub(super) trait Write: Send {
    /// When it has to be on the disk.
    fn durable(&self) -> Durable;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs the statements. Returns whether they are to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers, knowing whether the transaction was committed or why not.
    fn answer(self: Box<Self>, committed: Result<(), &rusqlite::Error>);
}

struct Statements<T, F> {
    code: Option<F>,
    durable: Durable,
    outcome: Option<Result<T, PortError>>,
    answer: oneshot::Sender<Result<T, PortError>>,
}

/// Statements for the queue, and where their outcome will be.
pub(super) fn write<T, F>(
    durable: Durable,
    code: F,
) -> (Box<dyn Write>, oneshot::Receiver<Result<T, PortError>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, PortError> + Send + 'static,
{
    let (answer, waiting) = oneshot::channel();
    (Box::new(Statements { code: Some(code), durable, outcome: None, answer }), waiting)
}

impl<T, F> Write for Statements<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, PortError> + Send,
{
    fn durable(&self) -> Durable {
        self.durable
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let Some(code) = self.code.take() else { return false };
        let outcome = guarded(|| code(connection));
        self.outcome.insert(outcome).is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), &rusqlite::Error>) {
        let outcome = match (committed, self.outcome) {
            // Its own failure says more than that of the transaction.
            (Ok(()), Some(outcome)) | (Err(_), Some(outcome @ Err(_))) => outcome,
            (Err(error), _) => Err(PortError::unavailable(STORE, format_args!("not committed: {error}"))),
            (Ok(()), None) => Err(PortError::misused(STORE, "committed without being run")),
        };
        // Whoever asked may have gone away meanwhile.
        let _ = self.answer.send(outcome);
    }
}

/// The body of the writer's thread. The lock is let go of when the file is closed.
pub(super) fn commit_until_closed(mut connection: Connection, inlet: &Inlet<Box<dyn Write>>, lock: FileLock) {
    let mut syncs = Durable::AtOnce;
    while let Some(first) = inlet.wait() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Some(next) = inlet.take()
        {
            batch.push(next);
        }
        // Under load, work for nobody would only delay the others.
        batch.retain(|write| !write.is_abandoned());
        if batch.is_empty() {
            continue;
        }
        let committed =
            sync_for(&connection, &mut syncs, &batch).and_then(|()| commit(&mut connection, &mut batch));
        for write in batch {
            write.answer(committed.as_ref().copied());
        }
    }
    finish(connection);
    drop(lock);
}

/// Lets the next commit be synced if one of these has to be.
fn sync_for(connection: &Connection, syncs: &mut Durable, batch: &[Box<dyn Write>]) -> rusqlite::Result<()> {
    let at_once = batch.iter().any(|write| write.durable() == Durable::AtOnce);
    let wanted = if at_once { Durable::AtOnce } else { Durable::WithTheNext };
    if *syncs != wanted {
        connection.execute_batch(wanted.pragma())?;
        *syncs = wanted;
    }
    Ok(())
}

fn commit(connection: &mut Connection, batch: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for write in batch {
        let savepoint = transaction.savepoint()?;
        if write.run(&savepoint) {
            savepoint.commit()?;
        } else {
            savepoint.finish()?;
        }
    }
    transaction.commit()
}

/// Leaves one file behind. Nothing is lost if it fails: the next opening reads the log.
fn finish(connection: Connection) {
    let moved = connection
        .busy_timeout(Duration::from_secs(1))
        .and_then(|()| connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    let closed = connection.close().map_err(|(_, error)| error);
    if let Err(error) = moved.and(closed) {
        tracing::warn!(%error, "the store was not closed tidily");
    }
}
