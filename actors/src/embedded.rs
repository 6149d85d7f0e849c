//! Embedded adapters: the ports without any service, in memory and on a directory.
//!
//! Owns the stores of `dev`, `demo` and the tests. What is in memory dies with the process and is never
//! shared between processes. Read `ports/` for the demands that they meet and `ports/suite/` for the proof.

mod accounts;
mod blobs;
mod catalog;
mod coordination;
mod inbox;
mod keys;
mod ledger;
mod outbox;
mod settings;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::blobs::DirectoryBlobs;
pub use self::coordination::AloneCoordination;
pub use self::inbox::MemoryInbox;
use crate::settings::GlobalSettings;

/// Ledger, keys, catalog, outbox, accounts and settings in memory (`memory://`). Never durable.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<ledger::Rows>,
    keys: Mutex<keys::Keys>,
    documents: Mutex<catalog::Documents>,
    letters: Mutex<outbox::Letters>,
    users: Mutex<accounts::Users>,
    settings: Mutex<Option<GlobalSettings>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Locks for a moment, never across an await. Each change here is one step, so a panic elsewhere cannot
/// have left half of one behind.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::suite;

    #[tokio::test]
    async fn the_memory_store_passes_the_ledger_suite() {
        suite::ledger(&MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn the_memory_store_passes_the_keys_suite() {
        suite::keys(&MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn the_memory_store_passes_the_catalog_suite() {
        suite::catalog(&MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn the_memory_store_passes_the_outbox_suite() {
        suite::outbox(&MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn the_memory_store_passes_the_accounts_suite() {
        suite::accounts(&MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn the_memory_store_passes_the_settings_suite() {
        suite::settings(&MemoryStore::new()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn coordination_alone_passes_its_suite() {
        suite::coordination(&AloneCoordination::new()).await;
    }

    #[tokio::test]
    async fn the_inbox_in_memory_passes_its_suite() {
        suite::inbox(&MemoryInbox::default()).await;
    }

    #[tokio::test]
    async fn the_directory_passes_the_blobs_suite() {
        let folder = tempfile::tempdir().unwrap();
        suite::blobs(&DirectoryBlobs::open(folder.path()).await.unwrap()).await;
    }
}
