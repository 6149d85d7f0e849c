//! The router as clients see it, over the fakes. What needs a room's actor is tested with the whole service.

mod anything;
mod lists;
mod media;
mod openapi;
mod zip;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use reelkeeper_actors::embedded::MemoryStore;
use reelkeeper_actors::ids::{NodeId, RecordingId, Uid};
use reelkeeper_actors::orchestrator::Orchestrator;
use reelkeeper_actors::ports::catalog::{ApiKey, StoredRecording};
use reelkeeper_actors::ports::media_probe::NoProbe;
use reelkeeper_actors::ports::notifier::NobodyToNotify;
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::{AccessSecrets, FileLayout, Recording, RecordingStatus};
use reelkeeper_actors::room;
use serde_json::{Value, json};
use tower::ServiceExt;

use reelkeeper_actors::outbox::NoticeUrl;

use super::base_path::BasePath;
use super::fakes::{NOW, World};
use super::login_limits::LoginLimits;
use super::passwords::Passwords;
use super::secret_limits::SecretLimits;
use super::tokens::Tokens;
use super::{HttpSettings, HttpState, router};
use crate::config::Secret;

const KEY: &str = "secret-key";
/// Signs tokens.
const SECRET: &str = "livekit-secret";
const API: &str = "/meet/api/v1";
const INTERNAL: &str = "/meet/internal-api/v1";

/// A world with an API key and one recording of each status, each with a file of its status' name.
fn world() -> Arc<World> {
    let world = World::default();
    world.api_keys.lock().unwrap().push(ApiKey { key: KEY.to_owned(), creation_date: NOW.0 });
    for status in RecordingStatus::ALL {
        let recording = recording(status);
        let key = FileLayout::new("openvidu-meet").blob_key(&recording);
        let secrets = AccessSecrets { public: "p".to_owned(), private: "q".to_owned() };
        world.blobs.lock().unwrap().push((key, Bytes::from(status.name())));
        world.recordings.lock().unwrap().push(StoredRecording { recording, secrets, updated_at: 0 });
    }
    Arc::new(world)
}

fn recording(status: RecordingStatus) -> Recording {
    let id = RecordingId::parse(&format!("room-1--EG_{}--u", status.name())).unwrap();
    let id = RecordingId { uid: Uid::from_trusted(status.name().replace('_', "")), ..id };
    Recording {
        room_id: id.room.clone(),
        recording_id: id,
        room_name: "Room".to_owned(),
        status,
        layout: Layout::Grid,
        encoding: Encoding::default(),
        filename: String::new(),
        start_date: 1.5,
        end_date: None,
        duration: None,
        size: None,
        error_code: None,
        error: None,
        details: None,
    }
}

fn media_path(status: RecordingStatus) -> String {
    format!("{API}/recordings/{}/media", recording(status).recording_id)
}

async fn app(world: &Arc<World>, settings: HttpSettings) -> Router {
    let node = NodeId::from_trusted("node");
    let (orchestrator, _) = Orchestrator::start_tree(room::World {
        node: node.clone(),
        policy: Policy::default(),
        limits: room::Limits::default(),
        ledger: world.clone(),
        keys: Arc::new(MemoryStore::new()),
        catalog: world.clone(),
        coordination: world.clone(),
        blobs: world.clone(),
        media_probe: Arc::new(NoProbe),
        notifier: Arc::new(NobodyToNotify),
        cluster: reelkeeper_actors::cluster::Cluster::alone(),
        media_server: world.clone(),
        clock: world.clone(),
        entropy: world.clone(),
    })
    .await
    .unwrap();
    router(HttpState {
        orchestrator,
        catalog: world.clone(),
        accounts: world.clone(),
        global_settings: world.clone(),
        webhook_sender: world.clone(),
        blobs: world.clone(),
        outbox: Arc::new(reelkeeper_actors::embedded::MemoryStore::new()),
        ledger: world.clone(),
        coordination: world.clone(),
        media_server: world.clone(),
        webhooks: world.clone(),
        tokens: Arc::new(Tokens::new("livekit-key", &Secret::new(SECRET))),
        passwords: Passwords::default(),
        login_limits: Arc::new(LoginLimits::new(world.clone())),
        secret_limits: Arc::new(SecretLimits::new(world.clone())),
        notice_url: Arc::new(NoticeUrl::new(String::new())),
        last_webhook: Arc::default(),
        clock: world.clone(),
        entropy: world.clone(),
        node,
        settings: Arc::new(settings),
    })
}

async fn default_app() -> Router {
    app(&world(), HttpSettings::default()).await
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(app: &Router, request: Request<Body>) -> Reply {
    let response = app.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Reply { status, headers, body }
}

/// A request with the API key and, if it is not empty, a JSON body.
fn request(method: &str, path: &str, body: &str) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header("x-api-key", KEY);
    let builder = builder.header(header::HOST, "meet.example.org");
    if body.is_empty() {
        return builder.body(Body::empty()).unwrap();
    }
    builder.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_owned())).unwrap()
}

async fn call(app: &Router, method: &str, path: &str, body: &str) -> Reply {
    send(app, request(method, path, body)).await
}

#[tokio::test]
async fn a_room_is_made_and_found_again() {
    let app = default_app().await;
    let made = call(&app, "POST", &format!("{API}/rooms"), r#"{"roomName":"Town Hall"}"#).await;
    assert_eq!(made.status, 201);
    let room = made.json();
    let id = room["roomId"].as_str().unwrap();
    assert!(id.starts_with("town_hall-"), "{id}");
    let base = "http://meet.example.org/meet";
    assert_eq!(made.header("location"), format!("{base}/api/v1/rooms/{id}"));
    assert_eq!(room["speakerUrl"], format!("{base}/room/{id}?secret=0707070707"));

    let path = format!("{API}/rooms/{id}");
    assert_eq!(call(&app, "GET", &path, "").await.json(), room);
    let fields = call(&app, "GET", &format!("{path}?fields=roomName,config.e2ee"), "").await;
    assert_eq!(fields.json(), json!({"roomName": "Town Hall", "config": {"e2ee": {"enabled": false}}}));
    let messy = format!("/MEET/Api/V1/Rooms/{id}/");
    assert_eq!(call(&app, "GET", &messy, "").await.status, 200);
    assert_eq!(call(&app, "GET", &path.replace("town", "TOWN"), "").await.status, 404);
    let head = call(&app, "HEAD", &path, "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn requests_are_refused_as_the_contract_says() {
    let app = default_app().await;
    let (unknown, failed) = ("room-1--EG_none--u", recording(RecordingStatus::Failed).recording_id);
    let get_failed = format!("/recordings/{failed}");
    let large = format!(r#"{{"roomName":"{}"}}"#, "x".repeat(200_000));
    let cases = [
        ("POST", "/rooms", "{", 400, "Bad Request"),
        ("POST", "/rooms", "null", 400, "Bad Request"),
        ("POST", "/rooms", "[]", 422, "Unprocessable Entity"),
        ("POST", "/rooms", r#"{"roomName":""}"#, 422, "Unprocessable Entity"),
        ("POST", "/rooms", large.as_str(), 413, ""),
        ("GET", "/rooms/none", "", 404, "Room Error"),
        ("GET", "/rooms/%2F%2E", "", 422, "Unprocessable Entity"),
        ("GET", "/rooms/x?fields=a,-b", "", 422, "Unprocessable Entity"),
        ("POST", "/recordings", "", 422, "Unprocessable Entity"),
        ("POST", "/recordings", r#"{"roomId":"none"}"#, 404, "Room Error"),
        ("POST", "/recordings/nonsense/stop", "", 422, "Unprocessable Entity"),
        ("POST", "/recordings/none--EG_1--u/stop", "", 404, "Room Error"),
        ("DELETE", "/recordings/nonsense", "", 422, "Unprocessable Entity"),
        ("GET", "/recordings/nonsense", "", 422, "Unprocessable Entity"),
        ("GET", &format!("/recordings/{unknown}"), "", 404, "Recording Error"),
        ("GET", &format!("/recordings/{unknown}/media"), "", 404, "Recording Error"),
        ("GET", &format!("{get_failed}/media"), "", 409, "Recording Error"),
        ("GET", "/recordings?maxItems=0", "", 422, "Unprocessable Entity"),
        ("GET", "/recordings/%FF", "", 400, "Bad Request"),
        ("GET", "/nothing", "", 404, "Path Not Found"),
        ("PATCH", "/rooms", "", 404, "Path Not Found"),
        ("GET", "/recordings/a/b/c", "", 404, "Path Not Found"),
    ];
    for (method, path, body, status, error) in cases {
        let reply = call(&app, method, &format!("{API}{path}"), body).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.json()["error"].as_str().unwrap_or_default(), error, "{method} {path}");
    }
    for (path, field) in [("", "params.recordingId"), ("/media", "params.recordingId")] {
        let reply = call(&app, "GET", &format!("{API}/recordings/nonsense{path}"), "").await;
        assert_eq!(reply.json()["details"][0]["field"], field, "{path}");
    }
}

#[tokio::test]
async fn the_api_key_opens_the_api_and_nothing_else_does() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    let protected = [
        ("POST", "/rooms", r#"{"roomName":7}"#),
        ("GET", "/rooms/%2F", ""),
        ("POST", "/recordings", "[]"),
        ("GET", "/recordings?maxItems=0", ""),
        ("DELETE", "/recordings", ""),
        ("GET", "/recordings/download", ""),
        ("GET", "/recordings/nonsense/url", ""),
        ("POST", "/recordings/nonsense/stop", ""),
        ("DELETE", "/recordings/nonsense", ""),
        ("GET", "/recordings/room-1--EG_1--u", ""),
        ("GET", "/recordings/room-1--EG_1--u/media", ""),
    ];
    for (method, path, body) in protected {
        for key in [None, Some(""), Some("secret-kez"), Some("secret-key2")] {
            let mut request = request(method, &format!("{API}{path}"), body);
            request.headers_mut().remove("x-api-key");
            if let Some(key) = key {
                request.headers_mut().insert("x-api-key", key.parse().unwrap());
            }
            let reply = send(&app, request).await;
            assert_eq!(reply.status, 401, "{method} {path} {key:?}");
            assert_eq!(reply.json()["error"], "Authentication Error", "{method} {path}");
        }
    }
    let list = format!("{API}/recordings");
    let wrong = Request::get(&list).header("x-api-key", "x").body(Body::empty()).unwrap();
    let wrong = send(&app, wrong).await;
    world.api_keys.lock().unwrap().clear();
    let unconfigured = call(&app, "GET", &list, "").await;
    assert_eq!(unconfigured.status, 401);
    assert_ne!(unconfigured.json()["message"], wrong.json()["message"]);
}

#[tokio::test]
async fn some_checks_come_before_the_credentials() {
    let app = default_app().await;
    let cases = [
        ("POST", "/rooms", "{", 400),
        ("POST", "/recordings", "{", 400),
        ("DELETE", "/recordings/nonsense", "{", 400),
        ("GET", "/recordings/nonsense", "", 422),
        ("GET", "/recordings/nonsense/media", "", 422),
    ];
    for (method, path, body, status) in cases {
        let mut request = request(method, &format!("{API}{path}"), body);
        request.headers_mut().remove("x-api-key");
        assert_eq!(send(&app, request).await.status, status, "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_or_hangs_is_told_in_time() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    let complete = media_path(RecordingStatus::Complete);
    let all = [
        ("POST", format!("{API}/rooms"), "{}"),
        ("GET", format!("{API}/rooms/x"), ""),
        ("POST", format!("{API}/recordings"), r#"{"roomId":"x"}"#),
        ("GET", format!("{API}/recordings"), ""),
        ("GET", format!("{API}/recordings/download?recordingIds=a--EG_1--u"), ""),
        ("GET", format!("{API}/recordings/a--EG_1--u/url"), ""),
        ("DELETE", format!("{API}/recordings?recordingIds=a--EG_1--u"), ""),
        ("GET", complete, ""),
        ("POST", format!("{INTERNAL}/auth/login"), r#"{"username":"admin","password":"admin"}"#),
        ("POST", format!("{INTERNAL}/rooms/x/token"), r#"{"secret":"x"}"#),
        ("GET", format!("{INTERNAL}/rooms/x/roles"), ""),
        ("GET", format!("{INTERNAL}/rooms/x/roles/x"), ""),
        ("GET", "/meet/health".to_owned(), ""),
        ("GET", "/readyz".to_owned(), ""),
    ];
    for hangs in [false, true] {
        world.store_is_away.store(!hangs, Ordering::SeqCst);
        world.store_hangs.store(hangs, Ordering::SeqCst);
        for (method, path, body) in &all {
            let began = tokio::time::Instant::now();
            let reply = call(&app, method, path, body).await;
            assert_eq!(reply.status, 503, "{method} {path}");
            assert!(began.elapsed() <= Duration::from_secs(10), "{method} {path}");
            if path != "/readyz" {
                assert_eq!(reply.json()["error"], "Service Unavailable", "{method} {path}");
                assert_eq!(reply.header("retry-after"), "5", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn probes_tell_how_the_node_is() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    for path in ["/livez", "/meet/health", "/MEET/Health/"] {
        let reply = call(&app, "GET", path, "").await;
        assert_eq!((reply.status, reply.body.as_ref()), (200, b"OK".as_slice()), "{path}");
    }
    let well = json!({"store": "ok", "coordination": "ok", "blobs": "ok", "livekit": "ok"});
    let ready = call(&app, "GET", "/readyz", "").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.json(),
        json!({"ready": true, "draining": false, "dependencies": well, "lastWebhook": null})
    );
    world.store_is_away.store(true, Ordering::SeqCst);
    let broken = call(&app, "GET", "/readyz", "").await;
    assert_eq!(broken.status, 503);
    assert_eq!(broken.json()["dependencies"]["store"], "unavailable");
    assert_eq!(call(&app, "GET", "/livez", "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_the_budget_are_sent_away() {
    let world = world();
    world.store_hangs.store(true, Ordering::SeqCst);
    let app = app(&world, HttpSettings { concurrency: 1, ..HttpSettings::default() }).await;
    let path = format!("{API}/recordings");
    let (first, second, probe, webhook) = tokio::join!(
        call(&app, "GET", &path, ""),
        call(&app, "GET", &path, ""),
        call(&app, "GET", "/livez", ""),
        call(&app, "POST", "/livekit/webhook", ""),
    );
    assert!(first.json()["message"].as_str().unwrap().contains("too long"));
    assert!(second.json()["message"].as_str().unwrap().contains("Too many"));
    assert_eq!((second.status, second.header("retry-after")), (503, "1"));
    assert_eq!((probe.status, webhook.status), (200, 401));
}

#[tokio::test]
async fn livekits_webhooks_are_checked() {
    let app = default_app().await;
    let cases = [("", 401), ("malformed", 200), ("panic", 500)];
    for (authorization, status) in cases {
        let builder = Request::post("/livekit/webhook").header(header::AUTHORIZATION, authorization);
        assert_eq!(send(&app, builder.body(Body::empty()).unwrap()).await.status, status, "{authorization}");
    }
    let large = Request::post("/livekit/webhook").body(Body::from(vec![0; 200_000])).unwrap();
    assert_eq!(send(&app, large).await.status, 413);
    assert_eq!(call(&app, "GET", "/livekit/webhook", "").await.status, 404);
    assert_eq!(call(&app, "POST", "/meet/livekit/webhook", "").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post(format!("{API}/rooms")).header(header::CONTENT_TYPE, "application/json");
    assert_eq!(send(&default_app().await, request.body(body).unwrap()).await.status, 408);
}

#[tokio::test]
async fn other_content_types_read_as_nothing_and_forms_as_texts() {
    let cases = [("text/plain", "{", "Room"), ("application/x-www-form-urlencoded", "roomName=Hall", "Hall")];
    for (kind, body, name) in cases {
        let mut request = request("POST", &format!("{API}/rooms"), body);
        request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
        let reply = send(&default_app().await, request).await;
        assert_eq!((reply.status, &reply.json()["roomName"]), (201, &json!(name)), "{kind}");
    }
}

#[tokio::test]
async fn other_origins_are_allowed() {
    let preflight = Request::options(format!("{API}/rooms"))
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "x-api-key")
        .body(Body::empty())
        .unwrap();
    let reply = send(&default_app().await, preflight).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-headers"), "x-api-key");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    let one = HttpSettings { cors_origin: "https://a.example.org".to_owned(), ..HttpSettings::default() };
    let reply = call(&app(&world(), one).await, "GET", "/nothing", "").await;
    assert_eq!(reply.header("access-control-allow-origin"), "https://a.example.org");
    assert_eq!(reply.header("vary"), "Origin");
    assert_eq!(reply.status, StatusCode::NOT_FOUND.as_u16());
}

#[tokio::test]
async fn the_base_path_may_be_the_root() {
    let settings = HttpSettings { base_path: BasePath::parse("").unwrap(), ..HttpSettings::default() };
    let app = app(&world(), settings).await;
    assert_eq!(call(&app, "GET", "/health", "").await.status, 200);
    let made = call(&app, "POST", "/api/v1/rooms", "{}").await;
    assert!(made.header("location").starts_with("http://meet.example.org/api/v1/rooms/room-"));
    assert_eq!(call(&app, "GET", "/", "").await.json()["error"], "Path Not Found");
}
