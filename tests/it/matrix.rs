//! Every operation of the API against every kind of caller (contract `access.md` 3): a route without a row fails.

use std::collections::BTreeSet;

use reelkeeper::http::base_path::BasePath;
use reelkeeper::http::openapi::document;
use reelkeeper_actors::ports::catalog::ApiKey;
use serde_json::{Value, json};

use crate::bearers::{Shown, claims, login, member, now, send, signed_with, with};
use crate::harness::Sim;
use crate::harness::{API_KEY, Reelkeeper, folder, quick};

/// Who calls, in the order of the table's columns.
const CALLERS: [&str; 9] = [
    "nobody",
    "API key",
    "admin",
    "user",
    "moderator",
    "speaker",
    "moderator of another room",
    "expired tokens",
    "forged tokens",
];

/// Method, path and how each caller is answered: `+` let in, `1` 401, `3` 403. Recordings in detail: `rights.rs`.
const TABLE: [(&str, &str, &str); 43] = [
    ("get", "/api/v1/rooms", "1++311111"),
    ("post", "/api/v1/rooms", "1++311111"),
    ("delete", "/api/v1/rooms", "1++311111"),
    ("get", "/api/v1/rooms/{room_id}", "1++3++311"),
    ("delete", "/api/v1/rooms/{room_id}", "1++311111"),
    ("get", "/api/v1/rooms/{room_id}/config", "1++3++311"),
    ("put", "/api/v1/rooms/{room_id}/config", "1++311111"),
    ("put", "/api/v1/rooms/{room_id}/status", "1++311111"),
    ("get", "/api/v1/recordings", "1++3+++11"),
    ("post", "/api/v1/recordings", "1+11+3311"),
    ("delete", "/api/v1/recordings", "1++3+3+11"),
    ("get", "/api/v1/recordings/download", "1++3+++11"),
    ("get", "/api/v1/recordings/{recording_id}", "1++3++311"),
    ("delete", "/api/v1/recordings/{recording_id}", "1++3+3311"),
    ("post", "/api/v1/recordings/{recording_id}/stop", "1+11+3311"),
    ("get", "/api/v1/recordings/{recording_id}/media", "1++3++311"),
    ("get", "/api/v1/recordings/{recording_id}/url", "1++3++311"),
    ("post", "/internal-api/v1/auth/login", "+++++++++"),
    ("post", "/internal-api/v1/auth/logout", "+++++++++"),
    ("post", "/internal-api/v1/auth/refresh", "+++++++++"),
    ("get", "/internal-api/v1/users/profile", "11++11111"),
    ("post", "/internal-api/v1/users/change-password", "11++11111"),
    ("post", "/internal-api/v1/rooms/{room_id}/token", "+++++++++"),
    ("get", "/internal-api/v1/rooms/{room_id}/roles", "+++++++++"),
    ("get", "/internal-api/v1/rooms/{room_id}/roles/{secret}", "+++++++++"),
    ("delete", "/internal-api/v1/meetings/{room_id}", "1111+3311"),
    ("delete", "/internal-api/v1/meetings/{room_id}/participants/{participant_identity}", "1111+3311"),
    ("put", "/internal-api/v1/meetings/{room_id}/participants/{participant_identity}/role", "1111+3311"),
    // None of the members here joins a meeting; those who do: `captions.rs`.
    ("post", "/internal-api/v1/ai/assistants", "111133311"),
    ("delete", "/internal-api/v1/ai/assistants/{assistant_id}", "111133311"),
    ("get", "/internal-api/v1/api-keys", "11+311111"),
    ("post", "/internal-api/v1/api-keys", "11+311111"),
    ("delete", "/internal-api/v1/api-keys", "11+311111"),
    ("get", "/internal-api/v1/config/webhooks", "11+311111"),
    ("put", "/internal-api/v1/config/webhooks", "11+311111"),
    ("post", "/internal-api/v1/config/webhooks/test", "11+311111"),
    ("put", "/internal-api/v1/config/security", "11+311111"),
    ("put", "/internal-api/v1/config/rooms/appearance", "11+311111"),
    ("get", "/internal-api/v1/analytics", "11+311111"),
    ("get", "/internal-api/v1/webhooks", "1++311111"),
    ("delete", "/internal-api/v1/webhooks/{webhook_id}", "1++311111"),
    ("post", "/internal-api/v1/webhooks/{webhook_id}/replay", "1++311111"),
    ("get", "/internal-api/v1/cluster", "11+311111"),
];

/// Open to everybody, whoever they are; LiveKit's webhooks are signed (`signing.rs`).
const OPEN: [(&str, &str); 10] = [
    ("get", "/internal-api/v1/config/security"),
    ("get", "/internal-api/v1/config/rooms/appearance"),
    ("get", "/internal-api/v1/config/captions"),
    ("get", "/api/v1/openapi.json"),
    ("get", "/api/v1/docs"),
    ("get", "/health"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("post", "/livekit/webhook"),
];

#[test]
fn every_operation_has_a_row() {
    let document = document(&BasePath::default());
    let mut told = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        let methods = methods.filter(|key| ["get", "post", "put", "patch", "delete"].contains(&key.as_str()));
        told.extend(methods.map(|method| (method.clone(), path.clone())));
    }
    let rows = TABLE.iter().map(|(method, path, _)| (*method, *path)).chain(OPEN);
    let rows: BTreeSet<_> = rows.map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    assert_eq!(told, rows);
}

/// A service with an admin and with a user who is nothing but that.
async fn stage() -> (Reelkeeper, Sim) {
    let folder = folder();
    let sim = Sim::run(&folder, quick()).await;
    let path = folder.path().join("store.db");
    let store = format!("sqlite://{}", path.display());
    let service = Reelkeeper::start_in(folder, &sim.url, &[("REELKEEPER_STORE", &store)]).await;
    sim.tell(&service);
    let users = "INSERT INTO users SELECT 'user', password_hash, '[\"user\"]' FROM users";
    rusqlite::Connection::open(path).unwrap().execute(users, []).unwrap();
    (service, sim)
}

/// The access tokens of an admin and of a user.
async fn logins(service: &Reelkeeper) -> [String; 2] {
    [login(service, "admin", "admin").await.access, login(service, "user", "admin").await.access]
}

async fn callers(service: &Reelkeeper, [admin, user]: &[String; 2], room: &str, other: &str) -> Vec<Shown> {
    let moderator = member(service, room, "moderatorUrl").await;
    let both = |access: &str, member: &str| Shown::access(access).and(Shown::member(member));
    let past = [("exp", json!(now() - 1))];
    let expired = |token: &str| crate::bearers::signed(&with(claims(token), &past));
    let forged = |token: &str| signed_with("another secret", &claims(token));
    vec![
        Shown::nothing(),
        Shown::key(API_KEY),
        Shown::access(admin),
        Shown::access(user),
        Shown::member(&moderator),
        Shown::member(&member(service, room, "speakerUrl").await),
        Shown::member(&member(service, other, "moderatorUrl").await),
        both(&expired(admin), &expired(&moderator)),
        both(&forged(admin), &forged(&moderator)),
    ]
}

/// What is sent where a body is wanted before anybody is asked for their name.
fn body(path: &str, room: &str) -> Value {
    match path {
        "/api/v1/recordings" => json!({"roomId": room}),
        "/internal-api/v1/auth/login" => json!({"username": "nobody", "password": "wrong"}),
        "/internal-api/v1/rooms/{room_id}/token" => json!({"secret": "wrong"}),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn every_caller_gets_what_the_table_says() {
    let (service, _sim) = stage().await;
    let (logins, other) = (logins(&service).await, service.room().await);
    let mut wrong = Vec::new();
    for (method, path, expected) in TABLE {
        assert_eq!(expected.len(), CALLERS.len(), "{method} {path}");
        // Whoever is let in may have deleted it, or the key.
        let room = service.room().await;
        let callers = callers(&service, &logins, &room, &other).await;
        let recording = format!("{room}--EG_none--u");
        let asked = path.replace("{room_id}", &room).replace("{recording_id}", &recording);
        let mut asked = asked.replace("{secret}", "wrong").replace("{participant_identity}", "nobody");
        if (method, path) == ("delete", "/api/v1/recordings") || path.ends_with("/download") {
            asked = format!("{asked}?recordingIds={recording}");
        }
        let body = if method == "get" || method == "delete" { Value::Null } else { body(path, &room) };
        for ((shown, who), expected) in callers.iter().zip(CALLERS).zip(expected.chars()) {
            let reply = send(&service, &method.to_uppercase(), &asked, shown, &body).await;
            let found = match reply.status {
                401 => '1',
                // The 403 of a room that may not be recorded, or of no login, is none of these.
                403 => '3',
                _ => '+',
            };
            if found != expected {
                wrong.push(format!("{method} {path} as {who}: {found} {}, not {expected}", reply.text()));
            }
        }
        let key = ApiKey { key: API_KEY.to_owned(), creation_date: i64::MAX / 2 };
        service.catalog.replace_api_keys(&key).await.unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    service.finish().await;
}
