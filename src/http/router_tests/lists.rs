//! Lists, several recordings at once, links, and HEAD for whatever is got.

use std::sync::atomic::Ordering;

use axum::http::HeaderMap;
use reelkeeper_actors::recording::RecordingStatus;
use serde_json::{Value, json};

use super::{API, app, call, default_app, media_path, recording, world};
use crate::http::HttpSettings;

fn shown(status: RecordingStatus) -> Value {
    serde_json::to_value(recording(status)).unwrap()
}

#[tokio::test]
async fn recordings_are_listed_and_shown() {
    let app = default_app().await;
    let list = call(&app, "GET", &format!("{API}/recordings?maxItems=2.7&unknown=1"), "").await;
    let page = list.json();
    let token = "eyJmaWVsZFZhbHVlIjoxLjUsImlkIjoiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA2In0=";
    assert_eq!(page["pagination"], json!({"isTruncated": true, "maxItems": 2, "nextPageToken": token}));
    assert_eq!(page["recordings"][0], shown(RecordingStatus::LimitReached));
    assert_eq!(page["recordings"].as_array().unwrap().len(), 2);
    let rest = call(&app, "GET", &format!("{API}/recordings?maxItems=7&nextPageToken={token}"), "").await;
    assert_eq!(rest.json()["pagination"], json!({"isTruncated": false, "maxItems": 7}));
    assert_eq!(rest.json()["recordings"].as_array().unwrap().len(), 5);

    let path = format!("{API}/recordings/{}", recording(RecordingStatus::Active).recording_id);
    assert_eq!(call(&app, "GET", &path, "").await.json(), shown(RecordingStatus::Active));
    let fields = call(&app, "GET", &format!("{path}?fields=status"), "").await;
    assert_eq!(fields.json(), json!({"status": "active"}));
}

#[tokio::test]
async fn a_list_is_filtered() {
    let app = default_app().await;
    let cases = [
        ("status=failed", 1),
        ("status=failed&roomId=room-1", 1),
        ("roomId=room-2", 0),
        ("roomId=room-2&roomName=ROO", 7),
        ("roomName=o.m", 0),
        ("roomName=", 7),
        ("sortField=size&sortOrder=asc", 7),
    ];
    for (query, count) in cases {
        let reply = call(&app, "GET", &format!("{API}/recordings?{query}"), "").await;
        assert_eq!(reply.status, 200, "{query}");
        assert_eq!(reply.json()["recordings"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn what_a_list_may_not_have_is_named() {
    let app = default_app().await;
    let expected =
        |names: &str, received: &str| format!("Invalid enum value. Expected {names}, received '{received}'");
    let statuses = "'starting' | 'active' | 'ending' | 'complete' | 'failed' | 'aborted' | 'limit_reached'";
    let cases = [
        ("GET", "?roomId=", "roomId", "roomId must have 1 to 100 characters".to_owned()),
        ("GET", "?roomId=%2F", "roomId", "roomId cannot be empty after sanitization".to_owned()),
        ("GET", "?status=done", "status", expected(statuses, "done")),
        ("GET", "?maxItems=0", "maxItems", "Number must be greater than 0".to_owned()),
        ("GET", "?maxItems=x", "maxItems", "Expected number, received nan".to_owned()),
        ("GET", "?sortField=x", "sortField", expected("'startDate' | 'roomName' | 'duration' | 'size'", "x")),
        ("GET", "?sortOrder=up", "sortOrder", expected("'asc' | 'desc'", "up")),
        ("GET", "?nextPageToken=%00", "nextPageToken", "Invalid page token".to_owned()),
        ("GET", "?fields=a,-b", "fields", "Fields are either included or excluded".to_owned()),
        ("DELETE", "", "recordingIds", "At least one recordingId is required".to_owned()),
        (
            "DELETE",
            "?recordingIds=x",
            "recordingIds.0",
            "recordingId does not follow the expected format".to_owned(),
        ),
        ("GET", "/download", "recordingIds", "At least one recordingId is required".to_owned()),
        (
            "GET",
            "/download?recordingIds=a--EG_1--u,x",
            "recordingIds.1",
            "recordingId does not follow the expected format".to_owned(),
        ),
        ("GET", "/x/url", "params.recordingId", "recordingId does not follow the expected format".to_owned()),
    ];
    for (method, path, field, message) in cases {
        let reply = call(&app, method, &format!("{API}/recordings{path}"), "").await;
        let body = json!({
            "error": "Unprocessable Entity", "message": "Invalid request",
            "details": [{"field": field, "message": message}],
        });
        assert_eq!((reply.status, reply.json()), (422, body), "{method} {path}");
    }
}

#[tokio::test]
async fn a_link_holds_the_secret_that_was_asked_for() {
    let app = default_app().await;
    let id = recording(RecordingStatus::Starting).recording_id;
    let link =
        |secret: &str| json!({"url": format!("http://meet.example.org/meet/recording/{id}?secret={secret}")});
    let cases =
        [("", "p"), ("?privateAccess=TRUE", "q"), ("?privateAccess=1", "p"), ("?privateAccess=", "p")];
    for (query, secret) in cases {
        let reply = call(&app, "GET", &format!("{API}/recordings/{id}/url{query}"), "").await;
        assert_eq!((reply.status, reply.json()), (200, link(secret)), "{query}");
    }
    let unknown = call(&app, "GET", &format!("{API}/recordings/room-1--EG_none--u/url"), "").await;
    assert_eq!((unknown.status, &unknown.json()["error"]), (404, &json!("Recording Error")));
}

#[tokio::test]
async fn several_deletions_say_what_became_of_each() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    let ids = "room-1--EG_none--b,%20room-1--EG_none--a,room-1--EG_none--b";
    let path = format!("{API}/recordings?recordingIds={ids}");
    let failed = ["room-1--EG_none--b", "room-1--EG_none--a"]
        .map(|id| json!({"recordingId": id, "error": format!("Recording '{id}' not found")}));
    let body = json!({"message": "2 recordings could not be deleted", "deleted": [], "failed": failed});
    let reply = call(&app, "DELETE", &path, "").await;
    assert_eq!((reply.status, reply.json()), (400, body));
    world.store_is_away.store(true, Ordering::SeqCst);
    let reply = call(&app, "DELETE", &path, "").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "5"));
}

#[tokio::test(start_paused = true)]
async fn many_deletions_end_in_time_too() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    world.recordings_hang.store(true, Ordering::SeqCst);
    let ids: Vec<_> = (0..100).map(|n| format!("room-{n}--EG_{n}--u")).collect();
    let began = tokio::time::Instant::now();
    let path = format!("{API}/recordings?recordingIds={}", ids.join(","));
    let reply = call(&app, "DELETE", &path, "").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "5"));
    assert_eq!(began.elapsed(), HttpSettings::default().request_timeout);
}

/// Headers that say when, or which request it was.
fn lasting(mut headers: HeaderMap) -> HeaderMap {
    headers.remove("x-request-id");
    headers
}

#[tokio::test]
async fn what_can_be_got_has_a_head() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    let made = call(&app, "POST", &format!("{API}/rooms"), "{}").await.json();
    let id = recording(RecordingStatus::Complete).recording_id;
    let paths = [
        "/livez".to_owned(),
        "/readyz".to_owned(),
        "/meet/health".to_owned(),
        format!("{API}/rooms/{}", made["roomId"].as_str().unwrap()),
        format!("{API}/recordings"),
        format!("{API}/recordings/download?recordingIds={id}"),
        format!("{API}/recordings/{id}"),
        format!("{API}/recordings/{id}/url"),
        media_path(RecordingStatus::Complete),
    ];
    for path in paths {
        for store_is_away in [false, true] {
            world.store_is_away.store(store_is_away, Ordering::SeqCst);
            let (get, head) = (call(&app, "GET", &path, "").await, call(&app, "HEAD", &path, "").await);
            assert_eq!(get.status == 200, !store_is_away || path == "/livez", "{path}");
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(lasting(head.headers), lasting(get.headers), "{path}");
            assert!(head.body.is_empty(), "{path}");
            assert!(!get.body.is_empty(), "{path}");
        }
    }
}
