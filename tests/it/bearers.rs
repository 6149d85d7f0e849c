//! Who calls here: users with a login, members of rooms with a secret, forgers, and what each shows.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::{LIVEKIT_KEY, LIVEKIT_SECRET, Reelkeeper};
use crate::wire::{Reply, try_send};

/// What a request shows of itself.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Pairs of the query, as they stand there.
    pub query: Vec<(&'static str, String)>,
}

impl Shown {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// An API key.
    pub fn key(key: &str) -> Self {
        Self { headers: vec![("x-api-key", key.to_owned())], query: Vec::new() }
    }

    /// An access token.
    pub fn access(token: &str) -> Self {
        Self { headers: vec![("authorization", format!("Bearer {token}"))], query: Vec::new() }
    }

    /// A room member's token.
    pub fn member(token: &str) -> Self {
        Self { headers: vec![("x-room-member-token", format!("Bearer {token}"))], query: Vec::new() }
    }

    /// A refresh token.
    pub fn refresh(token: &str) -> Self {
        Self { headers: vec![("x-refresh-token", format!("Bearer {token}"))], query: Vec::new() }
    }

    /// Something in the query.
    pub fn query(name: &'static str, value: &str) -> Self {
        Self { headers: Vec::new(), query: vec![(name, value.to_owned())] }
    }

    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.headers.extend(other.headers);
        self.query.extend(other.query);
        self
    }

    fn path(&self, path: &str) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(&self.query);
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("/meet{path}{mark}{}", pairs.finish())
    }
}

/// Sends a request below the base path that shows this, with a JSON body if it is not null.
pub async fn send(service: &Reelkeeper, verb: &str, path: &str, shown: &Shown, body: &Value) -> Reply {
    let mut request = service.bare(verb, &shown.path(path));
    for (name, value) in &shown.headers {
        request = request.header(*name, value);
    }
    let request = if body.is_null() { request } else { request.json(body) };
    try_send(request).await.unwrap()
}

/// A pair of a user's tokens.
pub struct Session {
    pub access: String,
    pub refresh: String,
}

/// Tries to log in.
pub async fn try_login(service: &Reelkeeper, username: &str, password: &str) -> Reply {
    let body = json!({"username": username, "password": password});
    send(service, "POST", "/internal-api/v1/auth/login", &Shown::nothing(), &body).await
}

/// Logs in.
pub async fn login(service: &Reelkeeper, username: &str, password: &str) -> Session {
    let reply = try_login(service, username, password).await.expect(200);
    Session { access: reply.field("accessToken"), refresh: reply.field("refreshToken") }
}

/// The secret of a room for moderators or speakers: `moderatorUrl` or `speakerUrl`.
pub async fn secret(service: &Reelkeeper, room: &str, url: &str) -> String {
    let room = service.call("GET", &format!("/api/v1/rooms/{room}")).await.expect(200);
    room.field(url).split_once("?secret=").unwrap().1.to_owned()
}

/// Asks for a member's token.
pub async fn ask_for_token(service: &Reelkeeper, room: &str, body: &Value) -> Reply {
    let path = format!("/internal-api/v1/rooms/{room}/token");
    send(service, "POST", &path, &Shown::nothing(), body).await
}

/// The token of a member who makes requests only. `url` as in [`secret`].
pub async fn member(service: &Reelkeeper, room: &str, url: &str) -> String {
    let secret = secret(service, room, url).await;
    ask_for_token(service, room, &json!({"secret": secret})).await.expect(200).field("token")
}

/// A token that lets somebody with this name join. `url` as in [`secret`].
pub async fn joining(service: &Reelkeeper, room: &str, url: &str, name: &str) -> String {
    let secret = secret(service, room, url).await;
    let body = json!({"secret": secret, "grantJoinMeetingPermission": true, "participantName": name});
    ask_for_token(service, room, &body).await.expect(200).field("token")
}

/// What a token says, unchecked.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A token with these claims, signed as ours are.
pub fn signed(claims: &Value) -> String {
    signed_with(LIVEKIT_SECRET, claims)
}

/// A token with these claims and another signature.
pub fn signed_with(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), claims, &key).unwrap()
}

/// The claims with some replaced.
pub fn with(mut claims: Value, changes: &[(&str, Value)]) -> Value {
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    claims
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// What a LiveKit server gives a participant who wrote this metadata: its own signature and ours are the same.
pub fn refreshed_by_livekit(room: &str, metadata: &Value) -> String {
    signed(&json!({
        "iss": LIVEKIT_KEY, "nbf": 0, "exp": now() + 600, "sub": "bob-1", "name": "Bob", "kind": "standard",
        "video": {"room": room, "roomJoin": true}, "metadata": metadata.to_string(),
    }))
}
