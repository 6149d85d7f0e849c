//! The configuration: every option once, typed, with the source of its value.
//!
//! Owns what can be set and which combinations make sense (design 2). Flags win over the environment,
//! that over a file, that over `config/default.toml`, which is compiled in. Every fault is reported at
//! once. Never reads the process's environment by itself, but for [`process_env`]. Read `options.rs`
//! next, then `check.rs`.

mod backends;
mod check;
mod flags;
pub mod help;
mod layers;
mod meet_backends;
mod meet_env;
mod options;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reelkeeper_actors::janitors::Sweeps;
use reelkeeper_actors::outbox::DeliveryLimits;
use reelkeeper_actors::recording::FileLayout;
use reelkeeper_actors::recording::policy::{CALL_GRACE, Policy, UNSETTLED_AGE};

pub use self::backends::{
    BlobsConfig, ClusterConfig, CoordinationConfig, DoorConfig, StoreConfig, TlsConfig,
};
pub use self::check::{Fault, Faults, Setting, Warning};
pub use self::flags::Flags;
pub use self::options::DEFAULT_TOML;
pub use self::values::{BlobsUrl, CoordinationUrl, Encryption, MediaServerUrl, Secret, StoreUrl};

use self::check::Reader;
use self::layers::Layers;
use crate::adapters::webhook_sender::Reach;
use crate::http::proxies::TrustedProxies;
use crate::telemetry::{self, LogFormat};

const SECOND: Duration = Duration::from_secs(1);
/// Shortest interval between two looks at the world.
const SHORTEST: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_mins(1);
const MEBIBYTE: usize = 1024 * 1024;

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port of the API.
    pub listen: SocketAddr,
    /// Begins with a slash and does not end with one; empty for the root.
    pub base_path: String,
    /// Origin of the links that clients get, without a slash at its end; none: each request's own.
    pub base_url: Option<String>,
    /// Marks our rooms in LiveKit's metadata, as `createdBy`.
    pub name_id: String,
    /// Origin of web pages that may use the API.
    pub cors_origin: String,
    /// Whose words about the client's address and scheme are believed.
    pub trusted_proxies: TrustedProxies,
    /// Becomes the API key if there is none yet.
    pub initial_api_key: Option<Secret>,
    /// The first admin, if there is no user yet.
    pub initial_admin: InitialAdmin,
    /// Whether wrong logins and wrong secrets are limited.
    pub guess_limits: bool,
    /// Whether live captions can be asked for in meetings.
    pub captions: bool,
    /// Where a simulated LiveKit in this process keeps its secret.
    pub data_folder: PathBuf,
    /// From a start request until its answer.
    pub start_timeout: Duration,
    /// From a stop until the room is free.
    pub stop_timeout: Duration,
    /// Any request but a start and media, until its answer.
    pub request_timeout: Duration,
    /// How often live recordings are compared with LiveKit.
    pub reconcile_interval: Duration,
    /// How long an egress that left the room may upload.
    pub upload_limit: Duration,
    /// How often, and when at the earliest, rooms are judged that nothing records though they say so.
    pub locks_gc: SweepConfig,
    /// How often, and after how long a silence, recordings are judged of which LiveKit says nothing new.
    pub stale_gc: SweepConfig,
    /// How often documents and egresses are looked for that no row holds.
    pub unheld_gc_interval: Duration,
    /// How often files are looked for that nobody knows.
    pub unknown_files_gc_interval: Duration,
    /// How often rooms are looked for whose date of deletion has come.
    pub rooms_gc_interval: Duration,
    /// How often rooms in meetings are compared with LiveKit.
    pub room_status_gc_interval: Duration,
    /// How often rows are looked for whose room has no actor.
    pub due_rows_interval: Duration,
    /// How far ahead the deletion of a new room must lie.
    pub min_auto_delete: Duration,
    /// How long idempotency keys, and the answers under them, are kept.
    pub key_retention: Duration,
    /// How long a LiveKit room stays if nobody ever joins.
    pub meeting_empty_timeout: Duration,
    /// How long a LiveKit room stays after the last one left.
    pub meeting_departure_timeout: Duration,
    /// A node's lease.
    pub lease_ttl: Duration,
    /// From SIGTERM until exit.
    pub drain_timeout: Duration,
    /// What is logged, and how.
    pub log: LogConfig,
    /// How long a backend may be away at start-up.
    pub startup_timeout: Duration,
    /// Rooms and recordings.
    pub store: StoreConfig,
    /// Leases.
    pub coordination: CoordinationConfig,
    /// Whether this process is the only one on its store.
    pub single_node: bool,
    /// How other nodes reach this one.
    pub cluster: ClusterConfig,
    /// Files.
    pub blobs: BlobsConfig,
    /// LiveKit.
    pub livekit: LiveKitConfig,
    /// How long a link into the bucket lasts that clients are sent to; none: files go through us.
    pub media_link: Option<Duration>,
    /// Outgoing webhooks.
    pub webhooks: WebhooksConfig,
    /// How much at once.
    pub limits: Limits,
    settings: Vec<Setting>,
}

/// The account of a fresh installation.
#[derive(Debug, Clone)]
pub struct InitialAdmin {
    /// Their name.
    pub username: String,
    /// What they log in with until they change it.
    pub password: Secret,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A level or directives; can be read by [`telemetry::check_filter`].
    pub filter: String,
    /// Its form.
    pub format: LogFormat,
}

/// When a janitor sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepConfig {
    /// From the end of one sweep to the next.
    pub interval: Duration,
    /// How old what it finds must be.
    pub after: Duration,
}

/// Which LiveKit, and who we are there.
#[derive(Debug, Clone)]
pub struct LiveKitConfig {
    /// Its API.
    pub url: MediaServerUrl,
    /// What clients are told; none for a simulated one, whose address is known only when it runs.
    pub public_url: Option<String>,
    /// Issuer of tokens. Means nothing to a simulated one, like the secret.
    pub api_key: String,
    /// Signs tokens.
    pub api_secret: Secret,
    /// Any call but StartEgress.
    pub call_timeout: Duration,
    /// Calls at once, but StartEgress.
    pub calls_in_flight: usize,
    /// StartEgress calls at once.
    pub starts_in_flight: usize,
    /// Messages to meetings at once.
    pub signals_in_flight: usize,
}

/// Whether and how an application is told about recordings and meetings.
#[derive(Debug, Clone)]
pub struct WebhooksConfig {
    /// Whether it is told, in a fresh installation that has an API key.
    pub initial_enabled: bool,
    /// Where it listens, in a fresh installation.
    pub initial_url: Option<String>,
    /// Which receivers may be reached.
    pub reach: Reach,
    /// How deliveries are made.
    pub limits: DeliveryLimits,
}

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest body of a request, in bytes.
    pub body_bytes: usize,
    /// Requests that are worked on.
    pub requests_in_flight: usize,
    /// Starts and stops of one room that wait.
    pub commands_per_room: usize,
    /// Files that are streamed.
    pub media_in_flight: usize,
    /// Incoming webhooks that are worked on.
    pub webhooks_in_flight: usize,
    /// How long a connection may wait for a request, and for the end of its headers.
    pub head_timeout: Duration,
}

/// What a look at the configuration found: all of it, faults or not.
#[derive(Debug)]
pub struct Examined {
    /// Every option as it is in effect, in the order of `config/default.toml`.
    pub settings: Vec<Setting>,
    /// The configuration and what may not be meant, or all that must be mended first.
    pub outcome: Result<(Config, Vec<Warning>), Faults>,
}

impl Config {
    /// The configuration that these flags, this environment and the flags' file make.
    ///
    /// # Errors
    /// All faults at once, each naming the option, its variable and the source of the bad value.
    pub fn load(
        flags: &Flags,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<Warning>), Faults> {
        examine(flags, env).outcome
    }

    /// Every option as it is in effect, secrets hidden.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// What was chosen for a port (`store`, `coordination`, `blobs`, `livekit`) and which setting chose it, on one
    /// line, for the log at start-up.
    #[must_use]
    pub fn port_line(&self, port: &str) -> String {
        let key = format!("{port}.url");
        match self.settings.iter().find(|setting| setting.key == key) {
            Some(setting) => format!("{port}: {} ({})", setting.value, setting.source),
            None => port.to_owned(),
        }
    }

    /// The numbers of the core's decisions.
    #[must_use]
    #[allow(clippy::needless_update, reason = "with the feature `mutations` there is a field more")]
    pub fn policy(&self) -> Policy {
        Policy {
            start_timeout: self.start_timeout,
            stop_timeout: self.stop_timeout,
            reconcile_interval: self.reconcile_interval,
            upload_limit: self.upload_limit,
            stale_after: self.stale_gc.after,
            files: FileLayout::new(&self.blobs.subbucket),
            ..Policy::default()
        }
    }

    /// When janitors sweep.
    #[must_use]
    pub fn sweeps(&self) -> Sweeps {
        Sweeps {
            due_rows: self.due_rows_interval,
            unheld: self.unheld_gc_interval,
            stale_recordings: self.stale_gc.interval,
            orphan_locks: self.locks_gc.interval,
            lock_grace: self.locks_gc.after,
            room_status: self.room_status_gc_interval,
            expired_rooms: self.rooms_gc_interval,
            unknown_files: self.unknown_files_gc_interval,
        }
    }

    /// How long a StartEgress call may live.
    #[must_use]
    pub fn start_call_timeout(&self) -> Duration {
        self.start_timeout + CALL_GRACE
    }
}

/// Looks at the whole configuration, for those who want to see it even if it has faults.
pub fn examine(flags: &Flags, env: impl IntoIterator<Item = (String, String)>) -> Examined {
    let env: BTreeMap<String, String> = env.into_iter().collect();
    let (layers, remarks) = Layers::read(flags, &env);
    let mut reader = Reader::new(&layers);
    let mut config = read(&mut reader);
    let mut faults = remarks.faults;
    faults.append(&mut reader.faults);
    if config.media_link.is_some() && matches!(config.blobs.url, BlobsUrl::Folder(_)) {
        faults.push(Fault::of_option(
            "media.delivery",
            "redirect needs a bucket that clients can reach; file:// has no links",
        ));
    }
    if !faults.iter().any(|fault| fault.is_about("store.url") || fault.is_about("coordination.url")) {
        faults.extend(backends::combination(&config));
    }
    let mut warnings: Vec<Warning> = remarks.warnings.into_iter().map(Warning).collect();
    if faults.is_empty() {
        warnings.extend(check::warnings(&config));
    }
    let settings = reader.settings;
    config.settings.clone_from(&settings);
    let outcome = if faults.is_empty() { Ok((config, warnings)) } else { Err(Faults { faults, warnings }) };
    Examined { settings, outcome }
}

/// The environment of this process. What is not UTF-8 is passed over: no option of ours can be in it.
pub fn process_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Reads every option, in the order of `config/default.toml`.
fn read(reader: &mut Reader<'_>) -> Config {
    Config {
        listen: reader.value("listen", |text| {
            text.parse().map_err(|_| "must be an address and a port, such as 0.0.0.0:6080".to_owned())
        }),
        base_path: reader.value("base_path", values::base_path),
        base_url: reader.optional("base_url", values::base_url),
        name_id: reader.value("name_id", values::not_empty),
        cors_origin: reader.value("cors_origin", values::not_empty),
        trusted_proxies: reader.value("trust_proxy", str::parse),
        initial_api_key: reader.optional("initial_api_key", |text| values::not_empty(text).map(Secret::new)),
        initial_admin: InitialAdmin {
            username: reader.value("initial_admin_user", values::not_empty),
            password: reader.value("initial_admin_password", |text| values::not_empty(text).map(Secret::new)),
        },
        guess_limits: reader.value("guess_limits", values::switch),
        captions: reader.value("captions", values::switch),
        data_folder: reader.value("data_folder", |text| values::not_empty(text).map(PathBuf::from)),
        start_timeout: reader.duration("start_timeout", SECOND),
        stop_timeout: reader.duration("stop_timeout", SECOND),
        request_timeout: reader.duration("request_timeout", SECOND),
        reconcile_interval: reader.duration("reconcile_interval", SHORTEST),
        upload_limit: reader.duration_below("upload_limit", SHORTEST, UNSETTLED_AGE),
        locks_gc: SweepConfig {
            interval: reader.duration("locks_gc_interval", SHORTEST),
            after: reader.duration("lock_grace", Duration::ZERO),
        },
        stale_gc: SweepConfig {
            interval: reader.duration("stale_gc_interval", SHORTEST),
            after: reader.duration("stale_after", SHORTEST),
        },
        unheld_gc_interval: reader.duration("unheld_gc_interval", SHORTEST),
        unknown_files_gc_interval: reader.duration("unknown_files_gc_interval", SHORTEST),
        rooms_gc_interval: reader.duration("rooms_gc_interval", SHORTEST),
        room_status_gc_interval: reader.duration("room_status_gc_interval", SHORTEST),
        due_rows_interval: reader.duration("due_rows_interval", SHORTEST),
        min_auto_delete: reader.duration("min_auto_delete", Duration::ZERO),
        key_retention: reader.duration("key_retention", MINUTE),
        meeting_empty_timeout: reader.duration("meeting_empty_timeout", SECOND),
        meeting_departure_timeout: reader.duration("meeting_departure_timeout", SECOND),
        lease_ttl: reader.duration("lease_ttl", 3 * SECOND),
        drain_timeout: reader.duration("drain_timeout", Duration::ZERO),
        log: LogConfig {
            filter: reader.value("log", |text| telemetry::check_filter(text).map(|()| text.to_owned())),
            format: reader.value("log_format", str::parse),
        },
        startup_timeout: reader.duration("startup_timeout", SECOND),
        store: backends::read_store(reader),
        coordination: backends::read_coordination(reader),
        single_node: reader.value("cluster.single_node", values::switch),
        cluster: backends::read_cluster(reader),
        blobs: backends::read_blobs(reader),
        livekit: read_livekit(reader),
        media_link: read_media_link(reader),
        webhooks: read_webhooks(reader),
        limits: Limits {
            body_bytes: reader.count("limits.body_bytes", 64 * MEBIBYTE),
            requests_in_flight: reader.count("limits.requests_in_flight", 1_000_000),
            commands_per_room: reader.count("limits.commands_per_room", 10_000),
            media_in_flight: reader.count("limits.media_in_flight", 100_000),
            webhooks_in_flight: reader.count("limits.webhooks_in_flight", 100_000),
            head_timeout: reader.duration("limits.head_timeout", SECOND),
        },
        settings: Vec::new(),
    }
}

fn read_media_link(reader: &mut Reader<'_>) -> Option<Duration> {
    let redirects = reader.value("media.delivery", values::redirects);
    // S3 signs for a week at most.
    let lasts = reader.duration_below("media.link_lasts", SECOND, Duration::from_hours(24 * 7));
    redirects.then_some(lasts)
}

fn read_webhooks(reader: &mut Reader<'_>) -> WebhooksConfig {
    let enabled = reader.value("webhooks.initial_enabled", values::switch);
    let url = reader.optional("webhooks.initial_url", values::receiver);
    WebhooksConfig {
        initial_enabled: enabled,
        initial_url: url,
        reach: reader.value("webhooks.private_receivers", values::reach),
        limits: DeliveryLimits {
            timeout: reader.duration("webhooks.timeout", Duration::from_millis(100)),
            in_flight: reader.count("webhooks.in_flight", 10_000),
            longest_pause: reader.duration("webhooks.longest_pause", SECOND),
            give_up_after: reader.duration("webhooks.give_up_after", SECOND),
            forget_after: reader.duration("webhooks.forget_after", SECOND),
        },
    }
}

fn read_livekit(reader: &mut Reader<'_>) -> LiveKitConfig {
    let url = reader.media_server();
    let public_url = reader.optional("livekit.public_url", values::public_url);
    let public_url = match (&url, public_url) {
        (MediaServerUrl::Simulated, _) => None,
        (MediaServerUrl::Server(url), public) => Some(public.unwrap_or_else(|| url.clone())),
    };
    LiveKitConfig {
        url,
        public_url,
        api_key: reader.value("livekit.api_key", values::not_empty),
        api_secret: reader.value("livekit.api_secret", |text| values::not_empty(text).map(Secret::new)),
        call_timeout: reader.duration("livekit.call_timeout", Duration::from_millis(100)),
        calls_in_flight: reader.count("livekit.calls_in_flight", 100_000),
        starts_in_flight: reader.count("livekit.starts_in_flight", 100_000),
        signals_in_flight: reader.count("livekit.signals_in_flight", 100_000),
    }
}

#[cfg(test)]
mod tests;
