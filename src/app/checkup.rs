//! A look at every backend that a configuration names, beside a running service or without one.
//!
//! Owns how each is opened for it. What is tried there is `doctor.rs`'s.

use std::sync::Arc;

use reelkeeper_actors::ports::ledger::Ledger as _;
use reelkeeper_actors::ports::media_server::MediaServer;
use reelkeeper_actors::ports::{PortError, PortErrorKind};

use super::parts::{self, Store};
use super::{AppError, media_server};
use crate::adapters::mongo::MongoStore;
use crate::adapters::sqlite::{SqliteConfig, SqliteStore};
use crate::config::{Config, CoordinationUrl, MediaServerUrl, StoreUrl};
use crate::doctor::{self, Finding, Outcome};

/// What a look found, and LiveKit for whoever looks further.
pub struct Checkup {
    /// A finding for each backend.
    pub findings: Vec<Finding>,
    /// LiveKit; none if it is simulated inside the service.
    pub media_server: Option<Arc<dyn MediaServer>>,
}

/// Tries each backend; none that fails keeps the others from being tried.
///
/// # Errors
/// When LiveKit's client cannot be made at all.
pub async fn checkup(config: &Config) -> Result<Checkup, AppError> {
    let mut findings = Vec::new();
    let what = |port: &str| config.port_line(port).replacen(&format!("{port}: "), "", 1);
    let mut store = None;
    findings.push(
        doctor::check("store", &what("store"), async {
            let opened = match open_store(config).await {
                Err(error) => return beside_another_process(config, error).await,
                Ok(opened) => opened,
            };
            let seen = match &opened {
                Store::Memory(_) => Ok("in the service's own memory, where nobody else can look".to_owned()),
                Store::Sqlite(store) => doctor::try_store(&**store).await,
                Store::Mongo(store) => match store.check_rights().await {
                    Ok(()) => doctor::try_store(&**store).await,
                    Err(error) => Err(error),
                },
            };
            store = Some(opened);
            seen
        })
        .await,
    );
    findings.push(
        doctor::check("coordination", &what("coordination"), async {
            let memory = Store::Memory(Arc::default());
            if store.is_none() && config.coordination.url == CoordinationUrl::Store {
                return Err(PortError::unavailable(
                    "store",
                    "it is where coordination lies; mend that first",
                ));
            }
            let coordination = parts::open_coordination(config, store.as_ref().unwrap_or(&memory)).await?;
            doctor::try_coordination(&*coordination).await
        })
        .await,
    );
    findings.push(
        doctor::check(
            "blobs",
            &what("blobs"),
            Box::pin(async {
                let blobs = parts::open_blobs(&config.blobs).await?;
                doctor::try_blobs(&*blobs, &config.blobs.subbucket).await
            }),
        )
        .await,
    );
    if let Some(store) = store {
        parts::close_store(store).await;
    }
    if config.livekit.url == MediaServerUrl::Simulated {
        let seen = "sim://: simulated inside the service, where nobody else can look";
        findings.push(Finding::of("livekit", Outcome::Unknown, seen, ""));
        return Ok(Checkup { findings, media_server: None });
    }
    let media_server = media_server::connect_outside(config)?;
    findings.push(doctor::check("livekit", &what("livekit"), doctor::try_livekit(&*media_server)).await);
    findings.extend(doctor::look_at_clock(config).await);
    Ok(Checkup { findings, media_server: Some(media_server) })
}

/// MongoDB is only looked at: its collections and indexes are the service's to make.
async fn open_store(config: &Config) -> Result<Store, PortError> {
    match &config.store.url {
        StoreUrl::Mongo(uri) => {
            let store = MongoStore::connect_to_look(&parts::mongo(config, uri)).await?;
            Ok(Store::Mongo(Arc::new(store)))
        }
        StoreUrl::Sqlite(_) | StoreUrl::Memory => parts::open_store(config).await,
    }
}

/// A file that the running service holds can only be read.
async fn beside_another_process(config: &Config, error: PortError) -> Result<String, PortError> {
    let StoreUrl::Sqlite(path) = &config.store.url else { return Err(error) };
    if error.kind != PortErrorKind::Misused {
        return Err(error);
    }
    let store = SqliteStore::open_to_read(SqliteConfig::new(path)).await.map_err(|_| error)?;
    store.ping().await?;
    Ok("another process holds the file, the service most likely; it can be read".to_owned())
}
