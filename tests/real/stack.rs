//! The real services of one test: Redis, LiveKit, egress workers, people in rooms.
//!
//! Owns their ports, their scratch folder and their lives. The egress worker is a stand-in
//! (`tests/stack/README.md`); everything else is what production runs.

mod ports;
mod process;
mod tools;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use livekit_api::access_token::{AccessToken, VideoGrants};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::ports::free_port;
pub use self::process::{Process, Program, before, eventually};
pub use self::tools::Tools;

pub const KEY: &str = "devkey";
pub const SECRET: &str = "a-secret-of-at-least-32-characters-000";

/// Redis and LiveKit, and what they share with the others.
pub struct Stack {
    _redis: Process,
    _livekit: Process,
    tools: &'static Tools,
    redis_port: u16,
    livekit_port: u16,
    // The last to go: the processes write into it.
    folder: TempDir,
}

impl Stack {
    /// Starts a LiveKit server that tells this URL.
    pub async fn start(tools: &'static Tools, webhook: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("reelkeeper-real-").tempdir().unwrap();
        let (redis_port, livekit_port) = (free_port(), free_port());
        let mut redis = Process::start(
            folder.path(),
            Program {
                name: "redis",
                path: tools.path("REDIS_SERVER"),
                args: words(&format!(
                    "--port {redis_port} --bind 127.0.0.1 --appendonly no --dir {}",
                    folder.path().display()
                ))
                .chain(["--save".to_owned(), String::new()])
                .collect(),
                environment: Vec::new(),
            },
        );
        redis.says("Ready to accept connections").await;
        let config = folder.path().join("livekit.yaml");
        // JSON is YAML.
        std::fs::write(&config, livekit_config(livekit_port, redis_port, webhook).to_string()).unwrap();
        let mut livekit = Process::start(
            folder.path(),
            Program {
                name: "livekit",
                path: tools.path("LIVEKIT_SERVER"),
                args: words(&format!("--config {}", config.display())).collect(),
                environment: Vec::new(),
            },
        );
        let url = format!("http://127.0.0.1:{livekit_port}/");
        eventually("LiveKit answers", async || {
            livekit.is_alive();
            reqwest::get(&url).await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
        Self { _redis: redis, _livekit: livekit, tools, redis_port, livekit_port, folder }
    }

    pub fn tools(&self) -> &'static Tools {
        self.tools
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where egress writes and the service reads.
    pub fn blobs(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }

    pub fn websocket_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.livekit_port)
    }

    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.livekit_port)
    }

    /// An egress worker that takes jobs when this returns.
    pub async fn worker(&self, name: &str, options: &str) -> Process {
        let url = self.websocket_url();
        let usual = format!(
            "--redis 127.0.0.1:{} --url {url} --key {KEY} --secret {SECRET} --root {}",
            self.redis_port,
            self.blobs().display(),
        );
        let mut worker = Process::start(
            self.folder(),
            Program {
                name,
                path: self.tools.path("EGRESS_WORKER"),
                args: words(&usual).chain(words(options)).collect(),
                // What it puts aside must not outlive the test.
                environment: vec![("TMPDIR", self.folder().display().to_string())],
            },
        );
        worker.says("ready\n").await;
        worker
    }

    /// Somebody who publishes a moving picture and a tone when this returns.
    pub async fn publisher(&self, room: &str) -> Process {
        let script = self.tools.path("PUBLISHER").display();
        let url = self.websocket_url();
        let args = format!("{script} --url {url} --key {KEY} --secret {SECRET} --room {room}");
        let mut publisher = Process::start(
            self.folder(),
            Program {
                name: &format!("publisher-{room}"),
                path: self.tools.path("PYTHON"),
                args: words(&args).collect(),
                environment: Vec::new(),
            },
        );
        publisher.says("published").await;
        publisher
    }

    /// Calls LiveKit's API in JSON and hands out its answer.
    pub async fn livekit(&self, method: &str, body: Value) -> Value {
        let url = format!("{}/twirp/livekit.{method}", self.http_url());
        let request = reqwest::Client::new().post(&url).bearer_auth(token(&body)).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{method}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }
}

/// An address that is free now, for a process that is started later.
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// A token that may do everything, in the room that the call is about.
pub fn token(body: &Value) -> String {
    let grants = VideoGrants {
        room_create: true,
        room_list: true,
        room_admin: true,
        room_record: true,
        room: body["room"].as_str().unwrap_or_default().to_owned(),
        ..VideoGrants::default()
    };
    AccessToken::with_api_key(KEY, SECRET).with_grants(grants).to_jwt().unwrap()
}

fn livekit_config(port: u16, redis: u16, webhook: &str) -> Value {
    json!({
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {"tcp_port": free_port(), "udp_port": free_port(), "use_external_ip": false, "node_ip": "127.0.0.1"},
        "redis": {"address": format!("127.0.0.1:{redis}")},
        "keys": {KEY: SECRET},
        "webhook": {"api_key": KEY, "urls": [webhook]},
    })
}

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split_whitespace().map(str::to_owned)
}
