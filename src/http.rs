//! The HTTP face: every route on one screen.
//!
//! Handlers parse, call and convert. They decide nothing: rules live in the core, errors get their words in
//! [`error`], and media bytes go from the blob store to the client without passing an actor.
//! Read [`router`] first, then [`recordings`].

pub mod access_log;
pub mod auth;
pub mod base_path;
pub mod body;
pub mod cors;
pub mod error;
#[cfg(test)]
mod fakes;
pub mod health;
pub mod limits;
pub mod livekit_webhook;
pub mod media;
pub mod page_token;
pub mod paths;
pub mod projection;
pub mod range;
pub mod recordings;
pub mod request;
pub mod rooms;
#[cfg(test)]
mod router_tests;
pub mod unanswered;
pub mod validation;
pub mod zip;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use reelkeeper_actors::ids::NodeId;
use reelkeeper_actors::orchestrator::Orchestrator;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::catalog::Catalog;
use reelkeeper_actors::ports::clock::{Clock, Entropy};
use reelkeeper_actors::ports::coordination::Coordination;
use reelkeeper_actors::ports::ledger::Ledger;
use reelkeeper_actors::ports::media_server::{IncomingWebhooks, MediaServer};
use reelkeeper_actors::recording::FileLayout;
use tower::util::MapRequest;
use tower_http::catch_panic::CatchPanicLayer;

use self::base_path::{BasePath, BaseUrl};
use self::error::Failure;
use self::limits::{Budget, Deadline};
use self::paths::Paths;

/// How much longer than its own deadline a stop or a deletion may take here: the room's actor knows what
/// became of it, so its answer comes first.
const DECISION_GRACE: Duration = Duration::from_secs(1);
/// Probes and health checks at once.
const PROBES: usize = 32;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// The front door to the rooms' actors.
    pub orchestrator: Orchestrator,
    /// What clients see.
    pub catalog: Arc<dyn Catalog>,
    /// The files.
    pub blobs: Arc<dyn Blobs>,
    /// Asked only whether it answers.
    pub ledger: Arc<dyn Ledger>,
    /// Asked only whether it answers.
    pub coordination: Arc<dyn Coordination>,
    /// Asked only whether it answers.
    pub media_server: Arc<dyn MediaServer>,
    /// Checks and reads LiveKit's webhooks.
    pub webhooks: Arc<dyn IncomingWebhooks>,
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
    /// Whether `X-Forwarded-Proto` is believed.
    pub trust_proxy: bool,
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
    /// Media streams at once; slow readers must not starve the rest.
    pub media_concurrency: usize,
    /// Incoming webhooks at once.
    pub webhook_concurrency: usize,
    /// Where files lie.
    pub files: FileLayout,
    /// How far ahead the deletion of a new room must lie.
    pub min_auto_delete: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            base_path: BasePath::default(),
            base_url: None,
            trust_proxy: false,
            cors_origin: "*".to_owned(),
            body_limit: 100 * 1024,
            request_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(2),
            concurrency: 1024,
            media_concurrency: 256,
            webhook_concurrency: 256,
            files: FileLayout::new("openvidu-meet"),
            min_auto_delete: Duration::from_hours(1),
        }
    }
}

/// All routes.
pub fn router(state: HttpState) -> Router {
    let settings = Arc::clone(&state.settings);
    let below_base = [
        "/health",
        "/api/v1/rooms",
        "/api/v1/rooms/{room_id}",
        "/api/v1/recordings",
        "/api/v1/recordings/download",
        "/api/v1/recordings/{recording_id}",
        "/api/v1/recordings/{recording_id}/url",
        "/api/v1/recordings/{recording_id}/stop",
        "/api/v1/recordings/{recording_id}/media",
    ]
    .map(|path| settings.base_path.join(path));
    let [health, rooms, room, recordings, download, recording, url, stop, media] = &below_base;
    let at_root = ["/livez", "/readyz", "/livekit/webhook"].map(str::to_owned);
    let [livez, readyz, webhook] = &at_root;
    let paths = Paths::new(&[below_base.as_slice(), at_root.as_slice()].concat());

    let deadline = |after| from_fn_with_state(Deadline(after), limits::deadline);
    let budget = |at_once| from_fn_with_state(Budget::new(at_once), limits::admit);
    let parse_body = from_fn_with_state(state.clone(), body::parse);

    let reads_and_rooms = Router::new()
        .route(rooms, post(rooms::create))
        .route(room, get(rooms::get))
        .route(recordings, get(recordings::list::list))
        .route(recording, get(recordings::get))
        .route(url, get(recordings::url))
        .layer(deadline(settings.request_timeout));
    let decisions = Router::new()
        .route(stop, post(recordings::stop))
        .route(recording, delete(recordings::delete))
        .route(recordings, delete(recordings::bulk_delete::bulk_delete))
        .layer(deadline(settings.request_timeout + DECISION_GRACE));
    let starts = Router::new().route(recordings, post(recordings::start));
    let api = reads_and_rooms
        .merge(decisions)
        .merge(starts)
        .layer(parse_body.clone())
        .layer(budget(settings.concurrency));
    let media = Router::new()
        .route(media, get(media::stream))
        .route(download, get(zip::download))
        .layer(parse_body)
        .layer(budget(settings.media_concurrency));
    let webhooks = Router::new()
        .route(webhook, post(livekit_webhook::receive))
        .layer(deadline(settings.request_timeout))
        .layer(budget(settings.webhook_concurrency));
    let probes = Router::new()
        .route(livez, get(health::live))
        .route(readyz, get(health::ready))
        .route(health, get(health::health))
        .layer(budget(PROBES));

    let routes = around(&state, api.merge(media).merge(webhooks).merge(probes)).with_state(state);
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
        .layer(from_fn(access_log::record))
        .layer(from_fn(unanswered::close))
}

/// Also for a known path with another method, as in the original.
async fn unknown_path(uri: Uri) -> Response {
    Failure::UnknownPath(uri.path().to_owned()).into_response()
}
