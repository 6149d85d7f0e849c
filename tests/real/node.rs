//! A node: the service as a process, and a client of its API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::stack::{self, Process, Program, Stack, eventually};

const API_KEY: &str = "the-api-key-of-the-tests";
/// Longer than any answer of the service may take.
const ANSWER: Duration = Duration::from_mins(1);

/// Where LiveKit sends its webhooks.
pub fn webhook_url(address: SocketAddr) -> String {
    format!("http://{address}/livekit/webhook")
}

/// `reelkeeper serve`.
pub struct Node {
    process: Process,
    address: SocketAddr,
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    client: Client,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Sends a request and reads its answer to the end.
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON, if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// What it says about an error with this status.
    #[track_caller]
    pub fn message(self, status: u16) -> String {
        self.expect(status)["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Node {
    /// Starts it and waits until it listens. `options` are variables of the environment.
    pub async fn start(stack: &Stack, address: SocketAddr, options: &[(&'static str, &str)]) -> Self {
        let folder = stack.folder().to_owned();
        let mut environment = vec![
            ("REELKEEPER_LISTEN", address.to_string()),
            ("REELKEEPER_STORE", format!("sqlite://{}", database(&folder).display())),
            ("REELKEEPER_BLOBS", format!("file://{}", stack.blobs().display())),
            ("REELKEEPER_DATA_FOLDER", folder.join("data").display().to_string()),
            ("LIVEKIT_URL", stack.websocket_url()),
            ("LIVEKIT_API_KEY", stack::KEY.to_owned()),
            ("LIVEKIT_API_SECRET", stack::SECRET.to_owned()),
            ("MEET_INITIAL_API_KEY", API_KEY.to_owned()),
            ("REELKEEPER_LOG", "info,reelkeeper=debug,reelkeeper_actors=debug".to_owned()),
        ];
        environment.extend(options.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let process = run(&folder, &environment);
        let client = Client::builder().timeout(ANSWER).build().unwrap();
        let mut node = Self { process, address, folder, environment, client };
        node.listens().await;
        node
    }

    async fn listens(&mut self) {
        let url = format!("http://{}/livez", self.address);
        eventually("the service listens", async || {
            self.process.is_alive();
            self.client.get(&url).send().await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
    }

    /// SIGKILL.
    pub async fn crash(&mut self) {
        self.process.kill().await;
    }

    /// A new run on the same store.
    pub async fn restart(&mut self) {
        self.process = run(&self.folder, &self.environment);
        self.listens().await;
    }

    /// Waits until no room has anything left in the ledger, and ends the service in good order.
    pub async fn ends_with_nothing_owed(mut self) {
        eventually("the ledger is empty", async || self.ledger().is_empty().then_some(())).await;
        let ended = self.process.terminate().await;
        assert!(ended.success(), "the service ended with {ended}");
        assert_eq!(self.ledger(), Vec::<Value>::new());
    }

    /// SIGTERM; how it ended.
    pub async fn terminate(&mut self) -> std::process::ExitStatus {
        self.process.terminate().await
    }

    /// Where it listens, or did.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every row of the ledger: what is not over yet, or not known to be.
    pub fn ledger(&self) -> Vec<Value> {
        let connection =
            Connection::open_with_flags(database(&self.folder), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut rows = connection.prepare("SELECT state FROM reelkeeper_rooms").unwrap();
        let states = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        states.map(|state| serde_json::from_str(&state.unwrap()).unwrap()).collect()
    }

    /// Waits until its only recording's recorder has been seen in the room.
    pub async fn sees_the_recorder(&self) {
        eventually("the recorder is seen", async || {
            let row = self.ledger().pop().unwrap();
            (row["current"]["track"]["recorder_seen"] == true).then_some(())
        })
        .await;
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::to(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// The media of a recording, or the part of it that a `Range` header wants.
    pub async fn media(&self, recording: &str, range: Option<&str>) -> Answer {
        let request = self.request(Method::GET, &format!("recordings/{recording}/media"));
        Answer::to(match range {
            Some(range) => request.header("range", range),
            None => request,
        })
        .await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/meet/api/v1/{path}", self.address);
        self.client.request(method, url).header("x-api-key", API_KEY)
    }

    /// A new room's id, which is also its name in LiveKit.
    pub async fn make_room(&self, name: &str) -> String {
        let made = self.call(Method::POST, "rooms", Some(json!({"roomName": name}))).await.expect(201);
        made["roomId"].as_str().unwrap().to_owned()
    }

    /// Asks for a recording of a room.
    pub async fn ask_to_record(&self, room: &str) -> Answer {
        self.call(Method::POST, "recordings", Some(json!({"roomId": room}))).await
    }

    /// Records a room. The recording's id.
    pub async fn record(&self, room: &str) -> String {
        let started = self.ask_to_record(room).await.expect(201);
        assert_eq!(started["status"], "active", "{started}");
        started["recordingId"].as_str().unwrap().to_owned()
    }

    pub async fn stop(&self, recording: &str) -> Answer {
        self.call(Method::POST, &format!("recordings/{recording}/stop"), None).await
    }

    /// Waits until a recording has this status, and shows it.
    pub async fn becomes(&self, recording: &str, status: &str) -> Value {
        eventually(&format!("recording '{recording}' is {status}"), async || {
            let seen = self.get(&format!("recordings/{recording}")).await;
            (seen.status == 200).then(|| seen.json()).filter(|seen| seen["status"] == status)
        })
        .await
    }

    /// The statuses that a recording shows until it has this one, each once, in order.
    pub async fn statuses_until(&self, recording: &str, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        eventually(&format!("recording '{recording}' is {last}"), async || {
            let shown = self.get(&format!("recordings/{recording}")).await.expect(200);
            let status = shown["status"].as_str().unwrap().to_owned();
            if seen.last() != Some(&status) {
                seen.push(status);
            }
            (seen.last().unwrap() == last).then_some(())
        })
        .await;
        seen
    }

    /// The recordings of a room, newest first.
    pub async fn recordings_of(&self, room: &str) -> Vec<Value> {
        let listed = self.get(&format!("recordings?roomId={room}")).await.expect(200);
        listed["recordings"].as_array().unwrap().clone()
    }
}

fn database(folder: &Path) -> PathBuf {
    folder.join("reelkeeper.db")
}

fn run(folder: &Path, environment: &[(&'static str, String)]) -> Process {
    let path = Path::new(env!("CARGO_BIN_EXE_reelkeeper"));
    let environment = environment.to_vec();
    Process::start(folder, Program { name: "service", path, args: vec!["serve".to_owned()], environment })
}
