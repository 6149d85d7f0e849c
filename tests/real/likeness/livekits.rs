//! The real LiveKit and the simulated one, each with an API, webhooks and people.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use livekit_api::access_token::{AccessToken, VideoGrants};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::node::Answer;
use crate::stack::{self, KEY, Process, Program, SECRET, Stack, Tools, free_port};

/// A LiveKit, and what it has sent.
pub struct LiveKit {
    url: String,
    client: Client,
    webhooks: Webhooks,
    behind: Behind,
}

/// What runs.
enum Behind {
    Real { people: Vec<Process>, _worker: Process, stack: Box<Stack> },
    Simulated { _process: Process, _folder: TempDir },
}

/// A webhook as it came.
#[derive(Clone)]
pub struct Sent {
    pub headers: HeaderMap,
    pub body: Value,
}

impl Sent {
    /// The event's name, with the egress's status or the track's kind if there is one.
    pub fn title(&self) -> String {
        let name = self.body["event"].as_str().unwrap_or_default();
        let more = match (&self.body["egressInfo"], &self.body["track"]) {
            (Value::Object(egress), _) => Some(egress.get("status").map_or("EGRESS_STARTING", text)),
            (_, Value::Object(track)) => Some(track.get("type").map_or("AUDIO", text)),
            _ => None,
        };
        more.map_or_else(|| name.to_owned(), |more| format!("{name} {more}"))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Takes webhooks down.
struct Webhooks {
    url: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    serving: JoinHandle<()>,
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Webhooks {
    async fn listen() -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let take_down = |State(sent): State<Arc<Mutex<Vec<Sent>>>>, headers: HeaderMap, body: String| async move {
            sent.lock().unwrap().push(Sent { headers, body: serde_json::from_str(&body).unwrap() });
        };
        let router = Router::new().route("/", post(take_down)).with_state(Arc::clone(&sent));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, sent, serving }
    }
}

/// LiveKit's own server, with an egress worker.
pub async fn real() -> LiveKit {
    let webhooks = Webhooks::listen().await;
    let stack = Stack::start(Tools::of("light"), &webhooks.url).await;
    let worker = stack.worker("worker", "").await;
    let url = stack.http_url();
    let behind = Behind::Real { people: Vec::new(), _worker: worker, stack: Box::new(stack) };
    LiveKit { url, client: Client::new(), webhooks, behind }
}

/// `reelkeeper simulator`.
pub async fn simulated() -> LiveKit {
    let webhooks = Webhooks::listen().await;
    let folder = tempfile::Builder::new().prefix("reelkeeper-simulator-").tempdir().unwrap();
    let port = free_port();
    let args = format!(
        "simulator --port {port} --api-key {KEY} --api-secret {SECRET} --webhook {} --blobs file://{}",
        webhooks.url,
        folder.path().join("blobs").display(),
    );
    let mut process = Process::start(
        folder.path(),
        Program {
            name: "simulator",
            path: Path::new(env!("CARGO_BIN_EXE_reelkeeper")),
            args: args.split(' ').map(str::to_owned).collect(),
            environment: Vec::new(),
        },
    );
    process.says("simulated LiveKit at").await;
    let behind = Behind::Simulated { _process: process, _folder: folder };
    LiveKit { url: format!("http://127.0.0.1:{port}"), client: Client::new(), webhooks, behind }
}

/// A token with these grants, signed so.
pub fn token(key: &str, secret: &str, grants: VideoGrants) -> String {
    AccessToken::with_api_key(key, secret).with_grants(grants).to_jwt().unwrap()
}

impl LiveKit {
    /// The webhooks that have come so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.webhooks.sent.lock().unwrap().clone()
    }

    pub async fn call(&self, method: &str, body: &Value) -> Answer {
        let token = stack::token(body);
        self.call_with(method, "application/json", body.to_string(), Some(&token)).await
    }

    pub async fn call_with(
        &self,
        method: &str,
        content_type: &str,
        body: String,
        token: Option<&str>,
    ) -> Answer {
        let request = self.client.post(format!("{}/twirp/livekit.{method}", self.url));
        let request = request.header("content-type", content_type).body(body);
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        Answer::to(request).await
    }

    /// Somebody with camera and microphone.
    pub async fn somebody_joins(&mut self, room: &str) {
        match &mut self.behind {
            Behind::Real { people, stack, .. } => people.push(stack.publisher(room).await),
            Behind::Simulated { .. } => {
                let url = format!("{}/control/rooms/{room}/participants", self.url);
                let person = json!({"identity": "publisher", "name": ""});
                let joined = self.client.post(url).json(&person).send().await.unwrap();
                assert!(joined.status().is_success(), "{}", joined.text().await.unwrap());
            }
        }
    }
}
