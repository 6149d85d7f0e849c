//! The server as its clients see it, and the door of the simulated LiveKit.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value, json};

use crate::Failure;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A client of the server. Cheap to clone; answers other than 2xx are failures.
#[derive(Clone)]
pub struct Api {
    http: Client,
    /// Above the API.
    base: String,
    key: String,
}

impl Api {
    /// A client of the API below this URL.
    pub fn new(base: &str, key: &str) -> Result<Self, Failure> {
        Ok(Self { http: client()?, base: base.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// Makes a room: its id.
    pub async fn make_room(&self, name: &str) -> Result<String, Failure> {
        let made = self.http.post(self.url("rooms")).json(&json!({ "roomName": name }));
        text(&self.answer(made).await?, "roomId")
    }

    /// The secret of a room's moderators.
    pub async fn secret(&self, room: &str) -> Result<String, Failure> {
        let url = Url::parse(&text(&self.get(&format!("rooms/{room}")).await?, "moderatorUrl")?)?;
        let secret =
            url.query_pairs().find(|(name, _)| name == "secret").map(|(_, secret)| secret.into_owned());
        Ok(secret.ok_or("a URL for moderators without a secret")?)
    }

    /// Gets a token for whoever shows this secret, for joining under this name if there is one.
    pub async fn member_token(&self, room: &str, secret: &str, name: Option<&str>) -> Result<(), Failure> {
        let body = json!({
            "secret": secret, "grantJoinMeetingPermission": name.is_some(), "participantName": name.unwrap_or_default(),
        });
        self.internal(&format!("rooms/{room}/token"), &body).await
    }

    /// Logs a user in.
    pub async fn login(&self, username: &str, password: &str) -> Result<(), Failure> {
        self.internal("auth/login", &json!({ "username": username, "password": password })).await
    }

    async fn internal(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let url = format!("{}/internal-api/v1/{path}", self.base);
        succeeded(self.http.post(url).json(body)).await.map(drop)
    }

    /// Starts a recording: its id.
    pub async fn start(&self, room: &str) -> Result<String, Failure> {
        let start = self.http.post(self.url("recordings")).json(&json!({ "roomId": room }));
        text(&self.answer(start).await?, "recordingId")
    }

    /// Stops a recording.
    pub async fn stop(&self, recording: &str) -> Result<(), Failure> {
        let stop = self.http.post(self.url(&format!("recordings/{recording}/stop")));
        self.answer(stop).await.map(drop)
    }

    /// What lies at a path of the API.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.http.get(self.url(path))).await
    }

    /// Hands over one of LiveKit's webhooks.
    pub async fn webhook(&self, token: String, body: String) -> Result<(), Failure> {
        let mut url = Url::parse(&self.base)?;
        url.set_path("/livekit/webhook");
        let request = self.http.post(url).header("authorization", token);
        let request = request.header("content-type", "application/webhook+json").body(body);
        succeeded(request).await.map(drop)
    }

    /// Host and port, the path of a recording's file, and the key.
    pub fn media(&self, recording: &str) -> Result<(String, String, String), Failure> {
        let url = Url::parse(&self.url(&format!("recordings/{recording}/media")))?;
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or("a URL names a host")?;
        Ok((format!("{host}:{port}"), url.path().to_owned(), self.key.clone()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.base)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        succeeded(request.header("x-api-key", &self.key)).await
    }
}

/// The door of a simulated LiveKit.
#[derive(Clone)]
pub struct Simulator {
    http: Client,
    origin: String,
}

impl Simulator {
    /// The one at this URL.
    pub fn new(origin: &str) -> Result<Self, Failure> {
        Ok(Self { http: client()?, origin: origin.trim_end_matches('/').to_owned() })
    }

    /// Lets people into a room, which is made if it is not there.
    pub async fn add_room(&self, room: &str) -> Result<(), Failure> {
        let metadata = json!({ "createdBy": "openviduMeet" }).to_string();
        let room = json!({ "name": room, "metadata": metadata, "participants": 2, "emptyTimeout": 3600 });
        self.post("rooms", &room).await.map(drop)
    }

    /// The webhooks that it sent, oldest first.
    pub async fn sent(&self) -> Result<Vec<Value>, Failure> {
        let sent = succeeded(self.http.get(format!("{}/control/webhooks", self.origin))).await?;
        Ok(sent.as_array().cloned().unwrap_or_default())
    }

    /// Asks for something.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        succeeded(self.http.post(format!("{}/control/{path}", self.origin)).json(body)).await
    }
}

fn client() -> Result<Client, Failure> {
    Ok(Client::builder().no_proxy().timeout(PATIENCE).build()?)
}

/// The body of a 2xx; null if it is no JSON.
async fn succeeded(request: RequestBuilder) -> Result<Value, Failure> {
    let response = request.send().await?;
    let (status, url) = (response.status(), response.url().path().to_owned());
    let body = response.bytes().await?;
    if !status.is_success() {
        return Err(format!("{url}: {status} {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

fn text(body: &Value, field: &str) -> Result<String, Failure> {
    let text = body[field].as_str().ok_or_else(|| format!("an answer without '{field}': {body}"))?;
    Ok(text.to_owned())
}
