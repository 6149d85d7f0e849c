//! Backends by URL: which adapter serves which port.

use std::sync::Arc;

use tokio::task::AbortHandle;

use reelkeeper_actors::embedded::{AloneCoordination, DirectoryBlobs, MemoryStore};
use reelkeeper_actors::outbox::Deliverer;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::accounts::Accounts;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog};
use reelkeeper_actors::ports::clock::{Clock, SystemClock};
use reelkeeper_actors::ports::coordination::Coordination;
use reelkeeper_actors::ports::keys::IdempotencyKeys;
use reelkeeper_actors::ports::ledger::Ledger;
use reelkeeper_actors::ports::notifier::{NobodyToNotify, Notifier};
use reelkeeper_actors::ports::outbox::Outbox;

use super::AppError;
use crate::adapters::sqlite::{SqliteConfig, SqliteStore};
use crate::adapters::webhook_sender::HttpWebhookSender;
use crate::config::{BlobsUrl, Config, CoordinationUrl, StoreUrl};

/// The stores of a node.
pub(super) struct Stores {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) keys: Arc<dyn IdempotencyKeys>,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) blobs: Arc<dyn Blobs>,
    sqlite: Option<Arc<SqliteStore>>,
}

impl Stores {
    pub(super) async fn open(config: &Config) -> Result<Self, PortError> {
        let blobs = open_blobs(&config.blobs.url).await?;
        Ok(match &config.store.url {
            StoreUrl::Memory => {
                let store = Arc::new(MemoryStore::new());
                Self {
                    ledger: store.clone(),
                    keys: store.clone(),
                    catalog: store.clone(),
                    outbox: store.clone(),
                    accounts: store,
                    blobs,
                    sqlite: None,
                }
            }
            StoreUrl::Sqlite(path) => {
                let sqlite = SqliteConfig { queue: config.store.queue, ..SqliteConfig::new(path) };
                let store = Arc::new(SqliteStore::open(sqlite).await?);
                Self {
                    ledger: store.clone(),
                    keys: store.clone(),
                    catalog: store.clone(),
                    outbox: store.clone(),
                    accounts: store.clone(),
                    blobs,
                    sqlite: Some(store),
                }
            }
        })
    }

    /// Stores the configured API key if there is none yet; later changes of the option have no effect, as in
    /// the original.
    pub(super) async fn keep_api_key(&self, config: &Config) -> Result<(), PortError> {
        let Some(key) = &config.initial_api_key else { return Ok(()) };
        let key = ApiKey { key: key.expose().to_owned(), creation_date: SystemClock.now().0 };
        if self.catalog.insert_first_api_key(&key).await? {
            tracing::info!("stored the initial API key");
        } else if self.catalog.api_keys().await?.iter().all(|kept| kept.key != key.key) {
            tracing::warn!("initial_api_key has no effect: the store has an API key already, another one");
        }
        Ok(())
    }

    /// Flushes and unlocks.
    pub(super) async fn close(self) {
        if let Some(sqlite) = self.sqlite
            && let Err(error) = sqlite.close().await
        {
            tracing::warn!(%error, "store could not be closed in time; nothing is lost");
        }
    }
}

/// Opens what another process may have open, for reading.
pub(super) async fn open_stores_to_read(
    config: &Config,
) -> Result<(Arc<dyn Ledger>, Arc<dyn Catalog>), AppError> {
    match &config.store.url {
        StoreUrl::Memory => {
            let problem = "store.url is memory://: only the service itself can look into it";
            Err(AppError::Configuration(problem.to_owned()))
        }
        StoreUrl::Sqlite(path) => {
            let store = Arc::new(SqliteStore::open_to_read(SqliteConfig::new(path)).await?);
            Ok((store.clone(), store))
        }
    }
}

/// Outgoing webhooks: what takes notices, and the task that delivers them. Without a receiver nobody is told.
pub(super) struct Webhooks {
    pub(super) notifier: Arc<dyn Notifier>,
    delivering: Option<AbortHandle>,
}

impl Webhooks {
    pub(super) fn start(config: &Config, stores: &Stores) -> Result<Self, PortError> {
        let Some(receiver) = config.webhooks.receiver.clone() else {
            return Ok(Self { notifier: Arc::new(NobodyToNotify), delivering: None });
        };
        let limits = config.webhooks.limits;
        let sender = HttpWebhookSender::new(receiver, limits.timeout, stores.catalog.clone());
        let sender = sender.map_err(|problem| PortError::misused("webhooks", problem))?;
        let clock = Arc::new(SystemClock);
        let deliverer = Deliverer::new(stores.outbox.clone(), Arc::new(sender), clock, limits);
        let notifier = Arc::new(deliverer.notifier());
        let delivering = tokio::spawn(deliverer.run()).abort_handle();
        Ok(Self { notifier, delivering: Some(delivering) })
    }

    /// Ends the attempts under way; they are made again by the next run.
    pub(super) fn stop(&self) {
        if let Some(delivering) = &self.delivering {
            delivering.abort();
        }
    }
}

/// Opens a blob store by its URL.
pub(crate) async fn open_blobs(url: &BlobsUrl) -> Result<Arc<dyn Blobs>, PortError> {
    let BlobsUrl::Folder(path) = url;
    Ok(Arc::new(DirectoryBlobs::open(path.clone()).await?))
}

pub(super) fn coordination(config: &Config) -> Arc<dyn Coordination> {
    let CoordinationUrl::Memory = config.coordination;
    Arc::new(AloneCoordination::new())
}
