//! The service as its clients see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::process::API_KEY;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a client was told.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u64>,
    /// Empty when it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The recording that a start or a stop answers with.
    pub fn recording(&self) -> RecordingId {
        let id = self.body["recordingId"].as_str().unwrap_or_else(|| panic!("no recording in {self:?}"));
        RecordingId::parse(id).expect("an id as the service writes it")
    }

    /// The text of an error.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// A client. Everything answers none when the connection ends without an answer.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    origin: String,
    /// Connections that were taken and closed without an answer.
    closed: Arc<AtomicUsize>,
}

impl Api {
    /// A client of whoever listens there.
    pub fn of(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        let http = http.expect("a client without options");
        Self { http, origin: format!("http://{address}"), closed: Arc::default() }
    }

    /// The same client, now of whoever listens there: making one is expensive.
    pub fn turn_to(&mut self, address: SocketAddr) {
        self.origin = format!("http://{address}");
    }

    /// Makes a room.
    pub async fn make_room(&self, name: &str) -> Option<Answer> {
        self.answer(self.request(Method::POST, "/rooms").json(&json!({ "roomName": name }))).await
    }

    /// Starts a recording.
    pub async fn start(&self, room: &RoomId) -> Option<Answer> {
        self.answer(self.request(Method::POST, "/recordings").json(&json!({ "roomId": room }))).await
    }

    /// Stops a recording.
    pub async fn stop(&self, recording: &RecordingId) -> Option<Answer> {
        self.answer(self.request(Method::POST, &format!("/recordings/{recording}/stop"))).await
    }

    /// Starts a recording under an idempotency key.
    pub async fn start_once(&self, key: &str, room: &RoomId) -> Option<Answer> {
        let request = self.request(Method::POST, "/recordings").header("idempotency-key", key);
        self.answer(request.json(&json!({ "roomId": room }))).await
    }

    /// Stops a recording under an idempotency key.
    pub async fn stop_once(&self, key: &str, recording: &RecordingId) -> Option<Answer> {
        let request = self.request(Method::POST, &format!("/recordings/{recording}/stop"));
        self.answer(request.header("idempotency-key", key)).await
    }

    /// Deletes a recording.
    pub async fn delete(&self, recording: &RecordingId) -> Option<Answer> {
        self.answer(self.request(Method::DELETE, &format!("/recordings/{recording}"))).await
    }

    /// Shows a recording.
    pub async fn get(&self, recording: &RecordingId) -> Option<Answer> {
        self.answer(self.request(Method::GET, &format!("/recordings/{recording}"))).await
    }

    /// The file of a recording, and the status it came with.
    pub async fn media(&self, recording: &RecordingId) -> Option<(u16, Bytes)> {
        let request = self.request(Method::GET, &format!("/recordings/{recording}/media"));
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.bytes().await.ok()?))
    }

    /// Whether the node wants requests.
    pub async fn ready(&self) -> Option<Answer> {
        self.answer(self.http.get(format!("{}/readyz", self.origin))).await
    }

    /// How many requests it took and left without an answer; those that it refused do not count.
    #[allow(dead_code, reason = "the ring of the cluster uses it")]
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }

    /// What the node counts.
    pub async fn metrics(&self) -> Option<String> {
        self.http.get(format!("{}/metrics", self.origin)).send().await.ok()?.text().await.ok()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/meet/api/v1{path}", self.origin);
        self.http.request(method, url).header("x-api-key", API_KEY)
    }

    async fn answer(&self, request: RequestBuilder) -> Option<Answer> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                self.closed.fetch_add(usize::from(!error.is_connect()), Ordering::Relaxed);
                return None;
            }
        };
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.ok()?;
        Some(Answer { status, retry_after, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}
