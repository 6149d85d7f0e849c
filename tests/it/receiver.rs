//! An application that listens for outgoing webhooks, and takes them, refuses them or hangs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

/// How long a receiver hangs that hangs: longer than any test.
const HANGS: Duration = Duration::from_mins(10);

/// A webhook as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub text: String,
    pub body: Value,
    /// What it was answered; 0 = nothing.
    pub answered: u16,
}

impl Received {
    pub fn word(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!("{} {}", text(&self.body["event"]), text(&self.body["data"]["status"]))
    }
}

/// An application that listens.
#[derive(Clone, Default)]
pub struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    /// What it answers next; 0 = it hangs. Afterwards 200.
    answers: Arc<Mutex<VecDeque<u16>>>,
    pub url: String,
}

impl Receiver {
    pub async fn run(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?tenant=1", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let receiver = Self { answers, url, ..Self::default() };
        let listening = receiver.clone();
        let hook =
            post(move |headers: HeaderMap, body: Bytes| async move { listening.take(&headers, &body).await });
        let moved = post(async || (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/hook?tenant=1")]));
        let routes = Router::new().route("/hook", hook).route("/moved", moved);
        tokio::spawn(axum::serve(listener, routes).into_future());
        receiver
    }

    /// Is told under an address that only says where it is now.
    pub fn moved(mut self) -> Self {
        self.url = self.url.replace("/hook", "/moved");
        self
    }

    /// Takes everything from now on.
    pub fn forgive(&self) {
        self.answers.lock().unwrap().clear();
    }

    async fn take(&self, headers: &HeaderMap, body: &Bytes) -> StatusCode {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/json");
        let content: Value = serde_json::from_slice(body).unwrap();
        // What is scripted is not for the notices about meetings, which come in between.
        let scripted = !content["event"].as_str().unwrap().starts_with("meeting");
        let next = scripted.then(|| self.answers.lock().unwrap().pop_front()).flatten();
        let answered = next.unwrap_or(200);
        self.received.lock().unwrap().push(Received {
            id: header("x-notice-id"),
            timestamp: header("x-timestamp"),
            signature: header("x-signature"),
            text: String::from_utf8(body.to_vec()).unwrap(),
            body: content,
            answered,
        });
        if answered == 0 {
            tokio::time::sleep(HANGS).await;
        }
        StatusCode::from_u16(answered).unwrap_or(StatusCode::OK)
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Those about a recording.
    pub fn about(&self, id: &str) -> Vec<Received> {
        self.all().into_iter().filter(|received| received.body["data"]["recordingId"] == id).collect()
    }

    pub fn settings(&self) -> [(&'static str, &str); 2] {
        Self::settings_of(&self.url)
    }

    pub fn settings_of(url: &str) -> [(&'static str, &str); 2] {
        [("MEET_INITIAL_WEBHOOK_ENABLED", "true"), ("MEET_INITIAL_WEBHOOK_URL", url)]
    }
}

/// What a notice is signed with, by this API key (contract `recordings.md` 6).
pub fn signature(api_key: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(api_key.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{body}").as_bytes());
    format!("{:x}", mac.finalize().into_bytes())
}
