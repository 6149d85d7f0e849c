//! Backends by URL: which adapter serves which port.

use std::path::Path;
use std::sync::Arc;

use tokio::task::AbortHandle;

use reelkeeper_actors::embedded::{AloneCoordination, DirectoryBlobs, MemoryStore};
use reelkeeper_actors::outbox::{Deliverer, NoticeUrl};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::accounts::Accounts;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::catalog::Catalog;
use reelkeeper_actors::ports::clock::SystemClock;
use reelkeeper_actors::ports::coordination::Coordination;
use reelkeeper_actors::ports::inbox::Inbox;
use reelkeeper_actors::ports::keys::IdempotencyKeys;
use reelkeeper_actors::ports::ledger::Ledger;
use reelkeeper_actors::ports::notifier::Notifier;
use reelkeeper_actors::ports::outbox::Outbox;
use reelkeeper_actors::ports::settings::Settings;
use reelkeeper_actors::ports::webhook_sender::WebhookSender;

use super::AppError;
use super::opening::Opening;
use crate::adapters::blobs::azure_google::CloudBlobs;
use crate::adapters::blobs::s3::S3Blobs;
use crate::adapters::mongo::{MongoConfig, MongoCoordination, MongoStore};
use crate::adapters::redis::RedisCoordination;
use crate::adapters::sqlite::{SqliteConfig, SqliteStore};
use crate::adapters::webhook_sender::HttpWebhookSender;
use crate::config::{
    BlobsConfig, BlobsUrl, Config, CoordinationConfig, CoordinationUrl, Secret, StoreConfig, StoreUrl,
};

/// The stores of a node, and what coordinates it with others.
pub(super) struct Stores {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) keys: Arc<dyn IdempotencyKeys>,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) settings: Arc<dyn Settings>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) coordination: Arc<dyn Coordination>,
    /// Letters between nodes; none if no other node can share the store.
    pub(super) inbox: Option<Arc<dyn Inbox>>,
    opened: Store,
}

/// The store behind several ports.
pub(super) enum Store {
    Memory(Arc<MemoryStore>),
    Sqlite(Arc<SqliteStore>),
    Mongo(Arc<MongoStore>),
}

impl Stores {
    /// Opens all of them, the slowest to mend first.
    pub(super) async fn open(opening: &Opening, config: &Config) -> Result<Self, AppError> {
        let store = opening.open(&config.port_line("store"), async || open_store(config).await).await?;
        let what = config.port_line("coordination");
        let coordination = opening.open(&what, async || open_coordination(config, &store).await).await?;
        let blobs = opening
            .open(&config.port_line("blobs"), async || {
                let blobs = open_blobs(&config.blobs).await?;
                blobs.ping().await?;
                Ok(blobs)
            })
            .await?;
        Ok(Self::joined(store, coordination, blobs))
    }

    fn joined(opened: Store, coordination: Arc<dyn Coordination>, blobs: Arc<dyn Blobs>) -> Self {
        /// One store as every port that it serves.
        macro_rules! behind {
            ($store:expr, $inbox:expr) => {
                Self {
                    inbox: $inbox,
                    ledger: $store.clone(),
                    keys: $store.clone(),
                    catalog: $store.clone(),
                    outbox: $store.clone(),
                    accounts: $store.clone(),
                    settings: $store.clone(),
                    blobs,
                    coordination,
                    opened,
                }
            };
        }
        match &opened {
            Store::Memory(store) => behind!(store, None),
            Store::Sqlite(store) => behind!(store, None),
            Store::Mongo(store) => behind!(store, Some(store.clone() as Arc<dyn Inbox>)),
        }
    }

    /// Flushes and unlocks.
    pub(super) async fn close(self) {
        close_store(self.opened).await;
    }
}

/// Flushes and unlocks.
pub(super) async fn close_store(store: Store) {
    match store {
        Store::Memory(_) => {}
        Store::Sqlite(store) => {
            if let Err(error) = store.close().await {
                tracing::warn!(%error, "store could not be closed in time; nothing is lost");
            }
        }
        Store::Mongo(store) => store.close().await,
    }
}

/// Opens the store. One attempt.
pub(super) async fn open_store(config: &Config) -> Result<Store, PortError> {
    Ok(match &config.store.url {
        StoreUrl::Memory => Store::Memory(Arc::new(MemoryStore::new())),
        StoreUrl::Sqlite(path) => Store::Sqlite(Arc::new(SqliteStore::open(sqlite(config, path)).await?)),
        StoreUrl::Mongo(uri) => Store::Mongo(Arc::new(MongoStore::connect(&mongo(config, uri)).await?)),
    })
}

fn sqlite(config: &Config, path: &Path) -> SqliteConfig {
    let StoreConfig { queue, deadline, .. } = config.store;
    SqliteConfig { deadline, queue, ..SqliteConfig::new(path) }
}

pub(super) fn mongo(config: &Config, uri: &Secret) -> MongoConfig {
    MongoConfig {
        uri: uri.clone(),
        database: config.store.database.clone(),
        deadline: config.store.deadline,
        connections: u32::try_from(config.store.connections).unwrap_or(u32::MAX),
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
            let store = Arc::new(SqliteStore::open_to_read(sqlite(config, path)).await?);
            Ok((store.clone(), store))
        }
        StoreUrl::Mongo(uri) => {
            let store = Arc::new(MongoStore::connect_to_look(&mongo(config, uri)).await?);
            Ok((store.clone(), store))
        }
    }
}

/// Outgoing webhooks: what takes notices, what sends them, and the task that delivers them.
pub(super) struct Webhooks {
    pub(super) notifier: Arc<dyn Notifier>,
    pub(super) sender: Arc<dyn WebhookSender>,
    pub(super) notice_url: Arc<NoticeUrl>,
    delivering: AbortHandle,
}

impl Webhooks {
    /// URLs of rooms begin with `base_url` in notices, until somebody who makes a room calls us otherwise.
    pub(super) fn start(config: &Config, stores: &Stores, base_url: String) -> Result<Self, PortError> {
        let limits = config.webhooks.limits;
        let sender = HttpWebhookSender::new(
            limits.timeout,
            config.webhooks.reach,
            stores.settings.clone(),
            stores.catalog.clone(),
        );
        let sender = Arc::new(sender.map_err(|problem| PortError::misused("webhooks", problem))?);
        let clock = Arc::new(SystemClock);
        let deliverer = Deliverer::new(stores.outbox.clone(), sender.clone(), clock, limits);
        let notice_url = Arc::new(NoticeUrl::new(base_url));
        let notifier =
            Arc::new(deliverer.notifier(stores.settings.clone(), stores.catalog.clone(), notice_url.clone()));
        let delivering = tokio::spawn(deliverer.run()).abort_handle();
        Ok(Self { notifier, sender, notice_url, delivering })
    }

    /// Ends the attempts under way; they are made again by the next run.
    pub(super) fn stop(&self) {
        self.delivering.abort();
    }
}

/// Opens the blob store, without asking anything of it. One attempt.
pub(super) async fn open_blobs(config: &BlobsConfig) -> Result<Arc<dyn Blobs>, PortError> {
    Ok(match &config.url {
        BlobsUrl::Folder(path) => Arc::new(DirectoryBlobs::open(path.clone()).await?),
        BlobsUrl::S3 { bucket } => Arc::new(S3Blobs::connect(config, bucket).await),
        BlobsUrl::Azure { container } => Arc::new(CloudBlobs::azure(config, container)?),
        BlobsUrl::Google { bucket } => Arc::new(CloudBlobs::google(config, bucket)?),
    })
}

/// Opens what coordinates this node with others. One attempt.
pub(super) async fn open_coordination(
    config: &Config,
    store: &Store,
) -> Result<Arc<dyn Coordination>, PortError> {
    Ok(match (&config.coordination.url, store) {
        (CoordinationUrl::Memory, _) => Arc::new(AloneCoordination::new()),
        (CoordinationUrl::Store, Store::Mongo(store)) => Arc::new(MongoCoordination::new(store.clone())),
        (CoordinationUrl::Store, _) => {
            return Err(PortError::misused("coordination", "store:// goes with a mongodb:// store"));
        }
        (CoordinationUrl::Redis(target), _) => {
            let CoordinationConfig { prefix, deadline, .. } = &config.coordination;
            Arc::new(RedisCoordination::connect(target.clone(), prefix, *deadline).await?)
        }
    })
}
