//! A lane: a bounded queue with threads behind it.
//!
//! Owns how calls reach the threads and how the threads end. Knows nothing of SQLite.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The queue's entry, and the threads to wait for at the end.
#[derive(Debug)]
pub(super) struct Lane<T> {
    /// None once closed.
    entry: Mutex<Option<SyncSender<T>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The queue's exit, shared by the threads of a lane.
#[derive(Debug)]
pub(super) struct Inlet<T> {
    exit: Arc<Mutex<Receiver<T>>>,
}

/// Why a lane did not take something.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("too many calls wait")]
    Full,
    #[error("the store is closed")]
    Closed,
}

impl<T: Send + 'static> Lane<T> {
    /// Starts a thread for each body. A body should run until its inlet is closed.
    pub(super) fn start<B: FnOnce(&Inlet<T>) + Send + 'static>(
        name: &str,
        queue: usize,
        bodies: impl IntoIterator<Item = B>,
    ) -> io::Result<Self> {
        let (entry, exit) = sync_channel(queue.max(1));
        let exit = Arc::new(Mutex::new(exit));
        let lane = Self { entry: Mutex::new(Some(entry)), threads: Mutex::default() };
        for body in bodies {
            let inlet = Inlet { exit: Arc::clone(&exit) };
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || body(&inlet))?;
            lock(&lane.threads).push(thread);
        }
        Ok(lane)
    }

    /// Puts something into the queue, or says at once why not.
    pub(super) fn offer(&self, item: T) -> Result<(), Refused> {
        let entry = lock(&self.entry);
        let Some(entry) = entry.as_ref() else { return Err(Refused::Closed) };
        entry.try_send(item).map_err(|refusal| match refusal {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Closed,
        })
    }
}

impl<T> Lane<T> {
    /// Takes nothing more, and returns when what waits is done and the threads have ended. Blocks.
    pub(super) fn close(&self) {
        drop(lock(&self.entry).take());
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Inlet<T> {
    /// The next item, waiting for one; none when the lane is closed and empty.
    pub(super) fn wait(&self) -> Option<T> {
        lock(&self.exit).recv().ok()
    }

    /// The next item if there is one now.
    pub(super) fn take(&self) -> Option<T> {
        lock(&self.exit).try_recv().ok()
    }
}

/// What is behind these locks is whole after a panic too.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
