//! The one place where the parts are joined, and where they are taken apart again.
//!
//! Owns the order of start and stop: stores, LiveKit, the supervision tree, the listener, what an earlier run
//! left, janitors; and on the way out janitors, intake, answers, listener, lease, store. Decides nothing. Read
//! `http.rs` or `reelkeeper_actors::orchestrator` next.

pub mod checkup;
mod cluster;
mod first_things;
mod forgetting;
mod media_server;
mod opening;
mod parts;
mod place;
mod serving;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reelkeeper_actors::embedded::DirectoryBlobs;
use reelkeeper_actors::ids::NodeId;
use reelkeeper_actors::janitors::Sources;
use reelkeeper_actors::meeting::joining::MeetingSettings;
use reelkeeper_actors::orchestrator::{Orchestrator, TakenUp};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::catalog::Catalog;
use reelkeeper_actors::ports::clock::{SteadyClock, SystemClock, SystemEntropy, fresh_node};
use reelkeeper_actors::ports::coordination::Coordination;
use reelkeeper_actors::ports::ledger::Ledger;
use reelkeeper_actors::ports::outbox::Outbox;
use reelkeeper_actors::room::{self, World};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::adapters::livekit::webhook::WebhookReceiver;
use crate::adapters::mp4_probe::Mp4Probe;
use crate::config::{BlobsUrl, Config};
use crate::http::login_limits::LoginLimits;
use crate::http::passwords::Passwords;
use crate::http::secret_limits::SecretLimits;
use crate::http::tokens::Tokens;
use crate::http::{self, HttpSettings, HttpState};
use crate::{simulator, telemetry};

use self::cluster::ClusterPart;
use self::media_server::MediaServerPart;
use self::opening::Opening;
use self::parts::{Stores, Webhooks};

/// How long connections may still be open after everything is answered.
const FAREWELL: Duration = Duration::from_secs(2);
/// What of the drain timeout is kept for closing connections and stores: a tenth, at most this.
const CLOSING: Duration = Duration::from_secs(3);
/// How long a node that leaves to others still takes requests; at most a fifth of the drain timeout.
const NOTICE: Duration = Duration::from_secs(3);
/// How much longer than its deadline a call of a store is waited for.
const STORE_GRACE: Duration = Duration::from_millis(500);

/// Why the service could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A backend could not be opened.
    #[error("{what}: cannot be opened, given up {}: {source}", after(*.waited))]
    Backend {
        /// Which one, and what chose it.
        what: String,
        /// For how long it was tried.
        waited: Duration,
        /// Why not, the last time.
        source: PortError,
    },
    /// A backend failed while the start needed it.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The simulated LiveKit could not be started.
    #[error("simulated LiveKit cannot be started: {0}")]
    Simulator(String),
    /// A value of the configuration cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// Other nodes cannot be listened for.
    #[error("cluster.listen: {0}")]
    Cluster(String),
    /// The supervision tree could not be built, or fell.
    #[error("supervision tree failed: {0}")]
    Tree(String),
    /// The listener failed.
    #[error("listener failed: {0}")]
    Serve(std::io::Error),
}

/// For how long something was tried, as people say it.
fn after(waited: Duration) -> String {
    match waited.as_millis() {
        0 => "at once".to_owned(),
        millis => {
            let rounded = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
            format!("after {}", humantime::format_duration(rounded))
        }
    }
}

/// A service that listens, and runs while [`App::run`] does.
pub struct App {
    config: Config,
    node: NodeId,
    stores: Stores,
    coordination: Arc<dyn Coordination>,
    cluster: ClusterPart,
    media_server: MediaServerPart,
    webhooks: Webhooks,
    orchestrator: Orchestrator,
    tree: JoinHandle<()>,
    listener: TcpListener,
    address: SocketAddr,
    router: axum::Router,
}

impl App {
    /// Opens every backend, takes up what an earlier run left, and listens. Connections wait until
    /// [`App::run`] is called. LiveKit being away never stops a start.
    ///
    /// # Errors
    /// When a backend cannot be opened or the address cannot be listened on.
    pub async fn start(config: Config, node: NodeId) -> Result<Self, AppError> {
        telemetry::metrics::recorder();
        let opening = Opening::begin(config.startup_timeout);
        let stores = Box::pin(Stores::open(&opening, &config)).await?;
        let coordination = stores.coordination.clone();
        let media_server = MediaServerPart::start(&config, &stores).await?;
        let webhooks = Webhooks::start(&config, &stores, base_url_of_notices(&config))?;
        let livekit = config.port_line("livekit");
        tokio::spawn(opening::tell_of_livekit(livekit, media_server.port.clone()));
        let passwords = Passwords::default();
        let first_things = async || first_things::prepare(&stores, &passwords, &config).await;
        Box::pin(opening.insist(&config.port_line("store"), first_things)).await?;
        let mut cluster = ClusterPart::new(&config, stores.inbox.clone());
        let world = world(&config, &node, &stores, &webhooks, &cluster, &media_server);
        let tree = Orchestrator::start_tree(world).await;
        let (orchestrator, tree) = tree.map_err(|error| AppError::Tree(error.to_string()))?;
        if !config.guess_limits {
            tracing::warn!(
                "guess_limits is off: anybody may try passwords and secrets as often as they like"
            );
        }
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|source| AppError::Listen { address: config.listen, source })?;
        let address = listener.local_addr().map_err(AppError::Serve)?;
        let take_place = async || {
            cluster.take_lease(&*coordination, &node).await?;
            place::take(&*coordination, &node, address, config.listen).await
        };
        opening.insist(&config.port_line("coordination"), take_place).await?;
        cluster.begin(&orchestrator).await?;
        media_server.tell_webhooks_to(address);
        take_up(&orchestrator).await;
        let router = http::router(http_state(
            &config,
            &node,
            &stores,
            &media_server,
            &orchestrator,
            &webhooks,
            passwords,
        )?);
        Ok(Self {
            config,
            node,
            stores,
            coordination,
            cluster,
            media_server,
            webhooks,
            orchestrator,
            tree,
            listener,
            address,
            router,
        })
    }

    /// Warns, in a while, if the first admin's password is still the configured one.
    pub fn warn_of_initial_password(&self) {
        let (accounts, initial) = (self.stores.accounts.clone(), self.config.initial_admin.clone());
        tokio::spawn(first_things::warn_of_initial_password(accounts, Passwords::default(), initial));
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What clients call it, as far as this process knows: `http://<address><base path>`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.config.base_path)
    }

    /// The simulated LiveKit, if this process runs it.
    #[must_use]
    pub fn simulator(&self) -> Option<simulator::Control> {
        self.media_server.simulator.clone()
    }

    /// What marks our rooms in LiveKit's metadata.
    #[must_use]
    pub fn name_id(&self) -> &str {
        &self.config.name_id
    }

    /// What clients see, for commands that prepare something in it.
    #[must_use]
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        self.stores.catalog.clone()
    }

    /// What rooms still owe, for those who look from outside.
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.stores.ledger.clone()
    }

    /// What is to be told, for those who look from outside.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        self.stores.outbox.clone()
    }

    /// Which nodes live, for those who look from outside.
    #[must_use]
    pub fn coordination(&self) -> Arc<dyn Coordination> {
        self.coordination.clone()
    }

    /// The front door to the rooms' actors, for those who look from outside.
    #[must_use]
    pub fn orchestrator(&self) -> Orchestrator {
        self.orchestrator.clone()
    }

    /// Serves until `shutdown` is over, then drains: new requests are refused, those under way are answered
    /// (at most for the drain timeout), the lease and the store are released. What runs in LiveKit runs on.
    ///
    /// # Errors
    /// When the listener or the supervision tree fails meanwhile.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), AppError> {
        let Self {
            config,
            node,
            stores,
            coordination,
            cluster,
            media_server,
            webhooks,
            orchestrator,
            mut tree,
            listener,
            ..
        } = self;
        let janitors = orchestrator.start_janitors(config.sweeps()).await;
        let janitors = janitors.map_err(|error| AppError::Tree(error.to_string()))?;
        tracing::info!(address = %self.address, base_path = config.base_path, "listening");
        let closing = CancellationToken::new();
        let mut serving =
            tokio::spawn(serving::serve(listener, self.router, config.limits.head_timeout, closing.clone()));
        let forgetting = tokio::spawn(forgetting::forget_old_keys(orchestrator.clone()));
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            _ = &mut tree => Err(AppError::Tree("too many rooms keep failing".to_owned())),
            served = &mut serving => Err(AppError::Serve(served_error(served))),
        };
        if ended.is_ok() && cluster.has_others() {
            // Whoever spreads the requests sees it, and goes to the others; then nobody is listened to any more.
            tracing::info!("leaving to the other nodes");
            orchestrator.announce_leave();
            tokio::time::sleep(NOTICE.min(config.drain_timeout / 5)).await;
            closing.cancel();
        }
        tracing::info!("draining");
        janitors.stop();
        let closing_takes = CLOSING.min(config.drain_timeout / 10);
        if !orchestrator.drain(config.drain_timeout.saturating_sub(closing_takes)).await {
            tracing::warn!("requests were still under way at the end of the drain timeout");
        }
        closing.cancel();
        if !serving.is_finished() && tokio::time::timeout(FAREWELL, &mut serving).await.is_err() {
            serving.abort();
        }
        webhooks.stop();
        forgetting.abort();
        cluster.end().await;
        if let Err(error) = coordination.leave(&node).await {
            tracing::warn!(%error, "lease could not be given up; it ends by itself");
        }
        media_server.stop().await;
        stores.close().await;
        tracing::info!("stopped");
        ended
    }
}

/// What the actors work with.
fn world(
    config: &Config,
    node: &NodeId,
    stores: &Stores,
    webhooks: &Webhooks,
    cluster: &ClusterPart,
    media_server: &MediaServerPart,
) -> World {
    World {
        node: node.clone(),
        policy: config.policy(),
        limits: room_limits(config),
        ledger: stores.ledger.clone(),
        keys: stores.keys.clone(),
        catalog: stores.catalog.clone(),
        coordination: stores.coordination.clone(),
        blobs: stores.blobs.clone(),
        media_probe: Arc::new(Mp4Probe::new(stores.blobs.clone())),
        notifier: webhooks.notifier.clone(),
        cluster: cluster.cluster.clone(),
        media_server: media_server.port.clone(),
        clock: Arc::new(SteadyClock::begin()),
        entropy: Arc::new(SystemEntropy),
    }
}

/// What handlers need.
fn http_state(
    config: &Config,
    node: &NodeId,
    stores: &Stores,
    media_server: &MediaServerPart,
    orchestrator: &Orchestrator,
    webhooks: &Webhooks,
    passwords: Passwords,
) -> Result<HttpState, AppError> {
    Ok(HttpState {
        orchestrator: orchestrator.clone(),
        catalog: stores.catalog.clone(),
        accounts: stores.accounts.clone(),
        global_settings: stores.settings.clone(),
        webhook_sender: webhooks.sender.clone(),
        blobs: stores.blobs.clone(),
        outbox: stores.outbox.clone(),
        ledger: stores.ledger.clone(),
        coordination: stores.coordination.clone(),
        media_server: media_server.port.clone(),
        tokens: Arc::new(Tokens::new(&media_server.api_key, &media_server.api_secret)),
        passwords,
        login_limits: Arc::new(LoginLimits::new(stores.coordination.clone())),
        secret_limits: Arc::new(SecretLimits::new(stores.coordination.clone())),
        notice_url: webhooks.notice_url.clone(),
        last_webhook: Arc::default(),
        webhooks: Arc::new(WebhookReceiver::new(&media_server.api_key, media_server.api_secret.expose())),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        node: node.clone(),
        settings: Arc::new(http_settings(config, &media_server.public_url)?),
    })
}

/// What URLs in notices begin with: no request says there how clients call us.
fn base_url_of_notices(config: &Config) -> String {
    let path = config.base_path.trim_matches('/');
    let base =
        config.base_url.clone().unwrap_or_else(|| format!("http://localhost:{}", config.listen.port()));
    if path.is_empty() { base } else { format!("{base}/{path}") }
}

/// What cannot be taken up now stops no start.
async fn take_up(orchestrator: &Orchestrator) {
    match orchestrator.take_up().await {
        Ok(taken_up) if taken_up == TakenUp::default() => {}
        Ok(TakenUp { rooms, recordings }) => {
            tracing::info!(rooms, recordings, "took up what an earlier run left");
        }
        Err(error) => tracing::warn!(%error, "not everything could be taken up, the janitors go on"),
    }
}

fn served_error(served: Result<std::io::Result<()>, tokio::task::JoinError>) -> std::io::Error {
    match served {
        Ok(Err(error)) => error,
        Ok(Ok(())) => std::io::Error::other("it ended by itself"),
        Err(error) => std::io::Error::other(error),
    }
}

fn room_limits(config: &Config) -> room::Limits {
    let deadlines = [config.store.deadline, config.coordination.deadline, config.blobs.deadline];
    room::Limits {
        // An adapter that keeps its deadline names itself; this is for one that does not.
        store_timeout: deadlines.into_iter().max().unwrap_or_default() + STORE_GRACE,
        admitted: config.limits.requests_in_flight + config.limits.webhooks_in_flight,
        commands_per_room: config.limits.commands_per_room,
        request_timeout: config.request_timeout,
        key_retention: config.key_retention,
        ..room::Limits::default()
    }
}

fn http_settings(config: &Config, livekit_url: &str) -> Result<HttpSettings, AppError> {
    let base_url = config.base_url.as_deref().map(http::base_path::BaseUrl::parse).transpose();
    Ok(HttpSettings {
        base_path: http::base_path::BasePath::parse(&config.base_path)
            .map_err(|error| AppError::Configuration(error.to_string()))?,
        base_url: base_url.map_err(|error| AppError::Configuration(error.to_string()))?,
        trusted_proxies: config.trusted_proxies.clone(),
        cors_origin: config.cors_origin.clone(),
        body_limit: config.limits.body_bytes,
        request_timeout: config.request_timeout,
        concurrency: config.limits.requests_in_flight,
        media_link: config.media_link,
        media_concurrency: config.limits.media_in_flight,
        webhook_concurrency: config.limits.webhooks_in_flight,
        files: config.policy().files,
        min_auto_delete: config.min_auto_delete,
        livekit_url: livekit_url.to_owned(),
        meetings: MeetingSettings {
            name_id: config.name_id.clone(),
            empty_timeout: config.meeting_empty_timeout,
            departure_timeout: config.meeting_departure_timeout,
        },
        guess_limits: config.guess_limits,
        captions: config.captions,
        ..HttpSettings::default()
    })
}

/// What janitors would look at beside a running service, for a command that only shows it: the store is opened
/// for reading, and nothing is changed anywhere.
///
/// # Errors
/// When store or LiveKit are inside the process of the service, or cannot be opened.
pub async fn janitors_sources(config: &Config) -> Result<Sources, AppError> {
    let (ledger, catalog) = parts::open_stores_to_read(config).await?;
    if let BlobsUrl::Folder(path) = &config.blobs.url
        && !path.is_dir()
    {
        // Opening it would make it.
        return Err(AppError::Configuration(format!("blobs.url names no folder: {}", path.display())));
    }
    let blobs = parts::open_blobs(&config.blobs).await?;
    Ok(Sources {
        blobs,
        ledger,
        catalog,
        media_server: media_server::connect_outside(config)?,
        clock: Arc::new(SystemClock),
        policy: config.policy(),
        limits: room_limits(config),
        lock_grace: config.sweeps().lock_grace,
    })
}

/// Opens a folder of files by its URL, for commands that need nothing else of the service.
///
/// # Errors
/// When the URL is none of a folder, or it cannot be opened.
pub async fn open_folder(url: &str) -> Result<Arc<dyn Blobs>, AppError> {
    let parsed =
        url.parse().map_err(|problem: String| AppError::Configuration(format!("'{url}' {problem}")))?;
    match parsed {
        BlobsUrl::Folder(path) => Ok(Arc::new(DirectoryBlobs::open(path).await?)),
        _ => Err(AppError::Configuration(format!("'{url}' must be file://<path> here"))),
    }
}

/// A name for this run of the process.
#[must_use]
pub fn new_node() -> NodeId {
    fresh_node(&SystemEntropy)
}
