//! A simulator on a free port, with somebody in a room and somebody who is told by webhook.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use livekit_api::access_token::{AccessToken, TokenVerifier, VideoGrants};
use livekit_api::webhooks::WebhookReceiver;
use livekit_protocol as lk;
use prost::Message;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::{BlobHead, Blobs, ByteStream, ListedBlob};
use reelkeeper_actors::simulator::clock::Timing;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::simulator::webhooks::Retries;
use crate::simulator::{Control, Simulator, SimulatorConfig};

pub(super) const KEY: &str = "devkey";
pub(super) const SECRET: &str = "a-secret-of-at-least-32-characters-000";
pub(super) const PATH: &str = "meet/recordings/den/den--0123456789";
const DEADLINE: Duration = Duration::from_secs(20);

/// Blobs in memory.
#[derive(Default)]
pub(super) struct Shelf(pub(super) Mutex<HashMap<String, Bytes>>);

#[async_trait]
impl Blobs for Shelf {
    async fn head(&self, _: &str) -> Result<Option<BlobHead>, PortError> {
        Ok(None)
    }

    async fn read(&self, _: &str, _: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError> {
        Ok(None)
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<(), PortError> {
        self.0.lock().unwrap().insert(key.to_owned(), content);
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<bool, PortError> {
        Ok(false)
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<ListedBlob>, PortError> {
        Ok(Vec::new())
    }

    async fn ping(&self) -> Result<(), PortError> {
        Ok(())
    }
}

/// A simulator with one room and one person in it, and somebody who is told by webhook.
pub(super) struct Stage {
    pub(super) base: String,
    pub(super) http: reqwest::Client,
    pub(super) control: Control,
    pub(super) shelf: Arc<Shelf>,
    webhooks: mpsc::Receiver<lk::WebhookEvent>,
}

/// Who is told: verifies, and answers with the statuses it was given, then 200.
#[derive(Clone)]
struct Receiver {
    verifier: Arc<WebhookReceiver>,
    answers: Arc<Mutex<Vec<u16>>>,
    told: mpsc::Sender<lk::WebhookEvent>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    assert_eq!(headers["content-type"], "application/webhook+json");
    let token = headers["authorization"].to_str().unwrap();
    let event = receiver.verifier.receive(&body, token).expect("the signature is right");
    let answer = receiver.answers.lock().unwrap().pop().unwrap_or(200);
    if answer == 200 {
        receiver.told.send(event).await.unwrap();
    }
    StatusCode::from_u16(answer).unwrap()
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::answering(Vec::new()).await
    }

    /// The first webhooks are answered with these statuses, the last one first.
    pub(super) async fn answering(answers: Vec<u16>) -> Self {
        let (told, webhooks) = mpsc::channel(100);
        let verifier = Arc::new(WebhookReceiver::new(TokenVerifier::with_api_key(KEY, SECRET)));
        let receiver = Receiver { verifier, answers: Arc::new(Mutex::new(answers)), told };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = format!("http://{}/livekit/webhook", listener.local_addr().unwrap());
        let router = Router::new().route("/livekit/webhook", post(receive)).with_state(receiver);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let shelf = Arc::new(Shelf::default());
        let ms = Duration::from_millis;
        let simulator = Simulator::bind(SimulatorConfig {
            retries: Retries { pauses: vec![ms(1); 4] },
            timing: Timing {
                accept: ms(2),
                join: ms(10),
                activate: ms(20),
                leave: ms(5),
                upload: ms(10),
                drop_dead: ms(40),
                search: ms(10),
                refuse: ms(10),
                ..Timing::default()
            },
            ..SimulatorConfig::new(KEY, SECRET, Arc::clone(&shelf) as Arc<dyn Blobs>)
        });
        let simulator = simulator.await.unwrap();
        let control = simulator.control();
        control.add_webhook(&hook);
        control.add_room(&RoomId::from_trusted("den"), r#"{"createdBy":"me"}"#, 1).unwrap();
        let base = format!("http://{}", simulator.local_addr());
        tokio::spawn(simulator.run(std::future::pending()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base, http, control, shelf, webhooks }
    }

    /// A call in protobuf, with a token that may do everything in the room `den`.
    pub(super) async fn call<M: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
    ) -> Result<M, (u16, Value)> {
        let post = self
            .http
            .post(format!("{}/twirp/livekit.{path}", self.base))
            .bearer_auth(token(SECRET, everything()));
        let post = post.header("content-type", "application/protobuf").body(request.encode_to_vec());
        let response = post.send().await.expect("it answers");
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        if status == 200 {
            Ok(M::decode(body).unwrap())
        } else {
            Err((status, serde_json::from_slice(&body).unwrap()))
        }
    }

    /// A call in JSON.
    pub(super) async fn json(&self, path: &str, request: Value) -> (u16, Value) {
        let post = self
            .http
            .post(format!("{}/twirp/livekit.{path}", self.base))
            .bearer_auth(token(SECRET, everything()));
        let response = post.json(&request).send().await.expect("it answers");
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(super) async fn start(&self) -> lk::EgressInfo {
        self.call("Egress/StartRoomCompositeEgress", &order()).await.expect("a worker is free")
    }

    pub(super) async fn stop(&self, egress: &lk::EgressInfo) -> Result<lk::EgressInfo, (u16, Value)> {
        self.call("Egress/StopEgress", &lk::StopEgressRequest { egress_id: egress.egress_id.clone() }).await
    }

    pub(super) async fn control(&self, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/control{path}", self.base)).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    pub(super) async fn told(&mut self) -> lk::WebhookEvent {
        let told = tokio::time::timeout(DEADLINE, self.webhooks.recv()).await;
        told.expect("a webhook comes before the deadline").expect("the receiver is there")
    }

    /// The next webhook about this status of an egress.
    pub(super) async fn told_of(&mut self, status: lk::EgressStatus) -> lk::EgressInfo {
        loop {
            if let Some(info) = self.told().await.egress_info.filter(|info| info.status() == status) {
                return info;
            }
        }
    }

    /// Asks until the answer is as wanted.
    pub(super) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let (_, answer) = self.control(reqwest::Method::GET, path, Value::Null).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("it happens before the deadline")
    }
}

pub(super) fn everything() -> VideoGrants {
    VideoGrants {
        room_create: true,
        room_list: true,
        room_record: true,
        room_admin: true,
        room: "den".to_owned(),
        ..VideoGrants::default()
    }
}

pub(super) fn token(secret: &str, grants: VideoGrants) -> String {
    AccessToken::with_api_key(KEY, secret).with_identity("test").with_grants(grants).to_jwt().unwrap()
}

pub(super) fn order() -> lk::RoomCompositeEgressRequest {
    let output =
        lk::EncodedFileOutput { filepath: PATH.to_owned(), disable_manifest: true, ..Default::default() };
    lk::RoomCompositeEgressRequest {
        room_name: "den".to_owned(),
        layout: "speaker".to_owned(),
        file_outputs: vec![output],
        ..Default::default()
    }
}
