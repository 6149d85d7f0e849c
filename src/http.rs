//! The HTTP face: every route on one screen.
//!
//! Handlers parse, call and convert. They decide nothing: rules live in the core, errors get their words in
//! [`error`], and media bytes go from the blob store to the client without passing an actor.
//! Read [`router`] first, then [`recordings`].

pub mod access_log;
pub mod api_keys;
pub mod assistants;
pub mod auth;
pub mod base_path;
pub mod body;
pub mod cluster;
pub mod cors;
pub mod error;
#[cfg(test)]
mod fakes;
pub mod health;
pub mod idempotency;
pub mod limits;
pub mod livekit_webhook;
pub mod login_limits;
pub mod media;
pub mod meetings;
pub mod members;
pub mod metrics;
#[cfg(test)]
mod odd;
pub mod openapi;
pub mod page_token;
pub mod passwords;
pub mod paths;
pub mod projection;
pub mod proxies;
pub mod range;
pub mod recordings;
pub mod request;
pub mod rooms;
#[cfg(test)]
mod router_tests;
pub mod secret_limits;
pub mod settings;
pub mod tokens;
pub mod unanswered;
pub mod users;
pub mod validation;
pub mod webhooks;
pub mod zip;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use reelkeeper_actors::ids::NodeId;
use reelkeeper_actors::meeting::joining::MeetingSettings;
use reelkeeper_actors::orchestrator::Orchestrator;
use reelkeeper_actors::outbox::NoticeUrl;
use reelkeeper_actors::ports::accounts::Accounts;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::catalog::Catalog;
use reelkeeper_actors::ports::clock::{Clock, Entropy};
use reelkeeper_actors::ports::coordination::Coordination;
use reelkeeper_actors::ports::ledger::Ledger;
use reelkeeper_actors::ports::media_server::{IncomingWebhooks, MediaServer};
use reelkeeper_actors::ports::outbox::Outbox;
use reelkeeper_actors::ports::settings::Settings;
use reelkeeper_actors::ports::webhook_sender::WebhookSender;
use reelkeeper_actors::recording::FileLayout;
use tower::util::MapRequest;
use tower_http::catch_panic::CatchPanicLayer;

use self::base_path::{BasePath, BaseUrl};
use self::error::Failure;
use self::limits::{Budget, Deadline};
use self::livekit_webhook::LastWebhook;
use self::login_limits::LoginLimits;
use self::openapi::Fixed;
use self::passwords::Passwords;
use self::paths::Paths;
use self::proxies::TrustedProxies;
use self::secret_limits::SecretLimits;
use self::tokens::Tokens;

/// How much longer than its own deadline a stop or a deletion may take here: the room's actor knows what
/// became of it, also at another node, so its answer comes first.
const DECISION_GRACE: Duration = Duration::from_secs(3);
/// Probes and health checks at once.
const PROBES: usize = 32;
/// Readers of the API's description at once.
const DOCUMENTS: usize = 32;
/// Logins and password changes at once: each computes a hash, and they wait in line for it.
const LOGINS: usize = 32;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// The front door to the rooms' actors.
    pub orchestrator: Orchestrator,
    /// What clients see.
    pub catalog: Arc<dyn Catalog>,
    /// Who can log in.
    pub accounts: Arc<dyn Accounts>,
    /// Meet's global configuration.
    pub global_settings: Arc<dyn Settings>,
    /// Tries receivers of outgoing webhooks.
    pub webhook_sender: Arc<dyn WebhookSender>,
    /// The files.
    pub blobs: Arc<dyn Blobs>,
    /// Asked only how much waits.
    pub outbox: Arc<dyn Outbox>,
    /// Asked only whether it answers.
    pub ledger: Arc<dyn Ledger>,
    /// Asked only whether it answers.
    pub coordination: Arc<dyn Coordination>,
    /// Asked only whether it answers.
    pub media_server: Arc<dyn MediaServer>,
    /// Checks and reads LiveKit's webhooks.
    pub webhooks: Arc<dyn IncomingWebhooks>,
    /// Signs and checks our tokens.
    pub tokens: Arc<Tokens>,
    /// Computes and compares hashes.
    pub passwords: Passwords,
    /// Counts wrong logins.
    pub login_limits: Arc<LoginLimits>,
    /// Counts wrong secrets.
    pub secret_limits: Arc<SecretLimits>,
    /// What rooms' URLs begin with in notices; learned from those who make rooms.
    pub notice_url: Arc<NoticeUrl>,
    /// The last webhook of LiveKit's.
    pub last_webhook: Arc<LastWebhook>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets of new rooms.
    pub entropy: Arc<dyn Entropy>,
    /// This run of the process.
    pub node: NodeId,
    /// How to behave.
    pub settings: Arc<HttpSettings>,
}

/// How the HTTP face behaves. The defaults are the contract's.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Everything but probes and the webhook endpoint lies below it.
    pub base_path: BasePath,
    /// The public URL; without one, each request names it.
    pub base_url: Option<BaseUrl>,
    /// Whose words about the client's address and scheme are believed.
    pub trusted_proxies: TrustedProxies,
    /// The value of `Access-Control-Allow-Origin`.
    pub cors_origin: String,
    /// Largest body of a request, in bytes.
    pub body_limit: usize,
    /// From a request until its answer, starts and media excepted; there it bounds what comes before.
    pub request_timeout: Duration,
    /// How long one dependency may take to prove that it answers.
    pub probe_timeout: Duration,
    /// Requests at once.
    pub concurrency: usize,
    /// How long a link into the bucket lasts that readers of media are sent to; none: it is streamed.
    pub media_link: Option<Duration>,
    /// Media streams at once; slow readers must not starve the rest.
    pub media_concurrency: usize,
    /// Incoming webhooks at once.
    pub webhook_concurrency: usize,
    /// Where files lie.
    pub files: FileLayout,
    /// How far ahead the deletion of a new room must lie.
    pub min_auto_delete: Duration,
    /// Where clients find LiveKit; in their tokens.
    pub livekit_url: String,
    /// How meetings are made in LiveKit.
    pub meetings: MeetingSettings,
    /// Whether wrong logins and wrong secrets are limited.
    pub guess_limits: bool,
    /// Whether there are live captions.
    pub captions: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            base_path: BasePath::default(),
            base_url: None,
            trusted_proxies: TrustedProxies::default(),
            cors_origin: "*".to_owned(),
            body_limit: 100 * 1024,
            request_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(2),
            concurrency: 1024,
            media_link: None,
            media_concurrency: 256,
            webhook_concurrency: 256,
            files: FileLayout::new("openvidu-meet"),
            min_auto_delete: Duration::from_hours(1),
            livekit_url: "ws://localhost:7880".to_owned(),
            meetings: MeetingSettings::default(),
            guess_limits: true,
            captions: false,
        }
    }
}

/// What lies below the base path for everybody's use.
const PUBLIC: [&str; 13] = [
    "/health",
    "/api/v1/rooms",
    "/api/v1/rooms/{room_id}",
    "/api/v1/rooms/{room_id}/config",
    "/api/v1/rooms/{room_id}/status",
    "/api/v1/recordings",
    "/api/v1/recordings/download",
    "/api/v1/recordings/{recording_id}",
    "/api/v1/recordings/{recording_id}/url",
    "/api/v1/recordings/{recording_id}/stop",
    "/api/v1/recordings/{recording_id}/media",
    "/api/v1/openapi.json",
    "/api/v1/docs",
];
/// What lies below the base path and is no public API: accounts, members of rooms and their meetings, and what an
/// admin sets.
const INTERNAL: [&str; 24] = [
    "/internal-api/v1/auth/login",
    "/internal-api/v1/auth/logout",
    "/internal-api/v1/auth/refresh",
    "/internal-api/v1/users/profile",
    "/internal-api/v1/users/change-password",
    "/internal-api/v1/rooms/{room_id}/token",
    "/internal-api/v1/rooms/{room_id}/roles",
    "/internal-api/v1/rooms/{room_id}/roles/{secret}",
    "/internal-api/v1/meetings/{room_id}",
    "/internal-api/v1/meetings/{room_id}/participants/{participant_identity}",
    "/internal-api/v1/meetings/{room_id}/participants/{participant_identity}/role",
    "/internal-api/v1/ai/assistants",
    "/internal-api/v1/ai/assistants/{assistant_id}",
    "/internal-api/v1/api-keys",
    "/internal-api/v1/config/webhooks",
    "/internal-api/v1/config/webhooks/test",
    "/internal-api/v1/config/security",
    "/internal-api/v1/config/rooms/appearance",
    "/internal-api/v1/config/captions",
    "/internal-api/v1/analytics",
    "/internal-api/v1/webhooks",
    "/internal-api/v1/webhooks/{webhook_id}",
    "/internal-api/v1/webhooks/{webhook_id}/replay",
    "/internal-api/v1/cluster",
];

/// What lies at the root, whatever the base path.
const AT_ROOT: [&str; 4] = ["/livez", "/readyz", "/livekit/webhook", "/metrics"];

/// All routes.
pub fn router(state: HttpState) -> Router {
    let settings = Arc::clone(&state.settings);
    let below_base = PUBLIC.map(|path| settings.base_path.join(path));
    let [health, rooms, room, config, status, recordings, download, recording, url, stop, media, docs @ ..] =
        &below_base;
    let at_root = AT_ROOT.map(str::to_owned);
    let [livez, readyz, webhook, metrics] = &at_root;
    let internal = INTERNAL.map(|path| settings.base_path.join(path));
    let paths = Paths::new(&[below_base.as_slice(), internal.as_slice(), at_root.as_slice()].concat());

    let deadline = |after| from_fn_with_state(Deadline(after), limits::deadline);
    let budget = |at_once| from_fn_with_state(Budget::new(at_once), limits::admit);
    let parse_body = from_fn_with_state(state.clone(), body::parse);

    let reads_and_rooms = Router::new()
        .route(rooms, post(rooms::create).get(rooms::list))
        .route(room, get(rooms::get))
        .route(config, get(rooms::config).put(rooms::configure))
        .route(status, put(rooms::set_status))
        .route(recordings, get(recordings::list::list))
        .route(recording, get(recordings::get))
        .route(url, get(recordings::url))
        .layer(deadline(settings.request_timeout));
    let decisions = Router::new()
        .route(stop, post(recordings::stop))
        .route(recording, delete(recordings::delete))
        .route(recordings, delete(recordings::bulk_delete::bulk_delete))
        .route(room, delete(rooms::delete::delete))
        .route(rooms, delete(rooms::delete::bulk_delete))
        .layer(deadline(settings.request_timeout + DECISION_GRACE));
    let starts = Router::new().route(recordings, post(recordings::start));
    let members =
        member_routes(&internal).merge(admin_routes(&internal)).layer(deadline(settings.request_timeout));
    let logins = login_routes(&internal)
        .layer(deadline(settings.request_timeout))
        .layer(budget(LOGINS))
        .layer(parse_body.clone())
        .layer(budget(settings.concurrency));
    let api = reads_and_rooms
        .merge(decisions)
        .merge(starts)
        .merge(members)
        .layer(parse_body.clone())
        .layer(budget(settings.concurrency))
        .layer(from_fn(limits::see_through));
    let media = Router::new()
        .route(media, get(media::stream))
        .route(download, get(zip::download))
        .layer(parse_body)
        .layer(budget(settings.media_concurrency));
    let webhooks = Router::new()
        .route(webhook, post(livekit_webhook::receive))
        .layer(deadline(settings.request_timeout))
        .layer(budget(settings.webhook_concurrency));
    let documents = document_routes(&settings.base_path, docs).layer(budget(DOCUMENTS));
    let probes = Router::new()
        .route(readyz, get(health::ready))
        .route(health, get(health::health))
        .route(metrics, get(metrics::show))
        .layer(budget(PROBES))
        // Costs nothing, and whoever does not get this answer kills us.
        .route(livez, get(health::live));

    let all = api.merge(logins).merge(media).merge(webhooks).merge(probes).merge(documents);
    let routes = around(&state, all).with_state(state);
    let respelled = MapRequest::new(routes, move |request: Request| paths.canonical(request));
    Router::new().fallback_service(respelled)
}

/// What every route has around it.
fn around(state: &HttpState, routes: Router<HttpState>) -> Router<HttpState> {
    routes
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_path)
        .layer(CatchPanicLayer::custom(|_| Failure::Panicked.into_response()))
        .layer(from_fn_with_state(state.clone(), cors::allow))
        .layer(from_fn_with_state(state.clone(), proxies::believe))
        .layer(from_fn(access_log::record))
        .layer(from_fn(unanswered::close))
}

/// A user's tokens and account, the members of rooms and their meetings.
fn member_routes(internal: &[String; 24]) -> Router<HttpState> {
    let [
        _,
        logout,
        refresh,
        profile,
        _,
        token,
        roles,
        role,
        meeting,
        participant,
        participant_role,
        assistants,
        assistant,
        ..,
    ] = internal;
    Router::new()
        .route(logout, post(users::logout))
        .route(refresh, post(users::refresh))
        .route(profile, get(users::profile))
        .route(token, post(members::token))
        .route(roles, get(members::roles))
        .route(role, get(members::role))
        .route(meeting, delete(meetings::end))
        .route(participant, delete(meetings::kick))
        .route(participant_role, put(meetings::change_role))
        .route(assistants, post(assistants::start))
        .route(assistant, delete(assistants::stop))
}

/// What an admin sees and sets.
fn admin_routes(internal: &[String; 24]) -> Router<HttpState> {
    let [.., keys, config, test, security, appearance, captions, analytics, sent, one, again, cluster] =
        internal;
    Router::new()
        .route(keys, get(api_keys::list).post(api_keys::create).delete(api_keys::delete))
        .route(config, get(settings::webhooks).put(settings::set_webhooks))
        .route(test, post(webhooks::test))
        .route(security, get(settings::security).put(settings::set_security))
        .route(appearance, get(settings::appearance).put(settings::set_appearance))
        .route(captions, get(settings::captions))
        .route(analytics, get(settings::analytics))
        .route(sent, get(webhooks::list))
        .route(one, delete(webhooks::drop_one))
        .route(again, post(webhooks::replay))
        .route(cluster, get(cluster::show))
}

/// What computes a hash.
fn login_routes([login, _, _, _, change_password, ..]: &[String; 24]) -> Router<HttpState> {
    Router::new().route(login, post(users::login)).route(change_password, post(users::change_password))
}

/// What tells of all the others.
fn document_routes(base_path: &BasePath, [json, page]: &[String; 2]) -> Router<HttpState> {
    let route = |fixed: Fixed| get(async move |headers: HeaderMap| fixed.answer(&headers));
    Router::new().route(json, route(Fixed::json(base_path))).route(page, route(Fixed::page(base_path)))
}

/// Also for a known path with another method, as in the original.
async fn unknown_path(uri: Uri) -> Response {
    Failure::UnknownPath(uri.path().to_owned()).into_response()
}
