//! Media over the router, and over a real connection where it matters how that ends.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::header;
use bytes::Bytes;
use http_body_util::BodyExt;
use reelkeeper_actors::recording::RecordingStatus;
use serde_json::json;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::{API, KEY, app, call, default_app, media_path, request, send, world};
use crate::http::HttpSettings;

#[tokio::test]
async fn media_is_sent_whole_and_in_parts() {
    let app = default_app().await;
    let path = media_path(RecordingStatus::Complete);
    let cases = [
        ("", 200, "complete", ""),
        ("bytes=0-", 206, "complete", "bytes 0-7/8"),
        ("bytes=2-3", 206, "mp", "bytes 2-3/8"),
        ("bytes=-3", 206, "ete", "bytes 5-7/8"),
        ("bytes=5-2", 200, "complete", ""),
    ];
    for (range, status, body, content_range) in cases {
        for method in ["GET", "HEAD"] {
            let mut request = request(method, &path, "");
            if !range.is_empty() {
                request.headers_mut().insert(header::RANGE, range.parse().unwrap());
            }
            let reply = send(&app, request).await;
            assert_eq!(reply.status, status, "{method} {range}");
            assert_eq!(reply.body, if method == "HEAD" { "" } else { body }, "{method} {range}");
            assert_eq!(reply.header("content-length"), body.len().to_string(), "{method} {range}");
            assert_eq!(reply.header("content-range"), content_range, "{method} {range}");
            assert_eq!(reply.header("accept-ranges"), "bytes");
            assert_eq!(reply.header("content-type"), "video/mp4");
            assert_eq!(reply.header("cache-control"), "private, max-age=3600");
            assert_eq!(reply.header("etag"), "\"e8\"");
        }
    }
    assert_eq!(call(&app, "GET", &media_path(RecordingStatus::LimitReached), "").await.status, 200);
}

#[tokio::test]
async fn media_is_refused_as_the_contract_says() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    let path = media_path(RecordingStatus::Complete);
    let ranged = async |range: &str, if_range: &str| {
        let mut request = request("GET", &path, "");
        request.headers_mut().insert(header::RANGE, range.parse().unwrap());
        if !if_range.is_empty() {
            request.headers_mut().insert(header::IF_RANGE, if_range.parse().unwrap());
        }
        send(&app, request).await
    };
    let beyond = ranged("bytes=99999999999999999999999-", "").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */8"));
    assert!(beyond.json()["message"].as_str().unwrap().contains("range not satisfiable. File size: 8"));
    let garbage = ranged("bytes=0-1,3-4", "").await;
    assert_eq!((garbage.status, &garbage.json()["details"][0]["field"]), (422, &json!("headers.range")));
    assert_eq!(ranged("bytes=0-1", "\"e8\"").await.status, 206);
    assert_eq!(ranged("bytes=0-1", "\"other\"").await.status, 200);

    assert_eq!(ranged("bytes=0-1", "W/\"e8\"").await.status, 200);

    let mut files = world.blobs.lock().unwrap().clone();
    let file = files.iter_mut().find(|(key, _)| key.ends_with("--complete.mp4")).unwrap();
    file.1 = Bytes::new();
    for files in [files, Vec::new()] {
        *world.blobs.lock().unwrap() = files;
        let reply = call(&app, "GET", &path, "").await;
        assert_eq!((reply.status, &reply.json()["error"]), (404, &json!("Recording Error")));
    }
    let active = call(&app, "GET", &media_path(RecordingStatus::Active), "").await;
    assert_eq!(active.status, 409);
    assert!(active.json()["message"].as_str().unwrap().contains("not stopped yet"));
}

#[tokio::test]
async fn a_reader_is_sent_to_the_bucket_after_all_checks() {
    let settings = HttpSettings { media_link: Some(Duration::from_mins(5)), ..HttpSettings::default() };
    let app = app(&world(), settings).await;
    let path = media_path(RecordingStatus::Complete);
    let reply = call(&app, "GET", &path, "").await;
    assert_eq!((reply.status, reply.header("cache-control"), reply.body.len()), (302, "no-store", 0));
    let link = reply.header("location");
    assert!(link.starts_with("https://bucket/") && link.ends_with("--complete.mp4?lasts=300"), "{link}");
    assert_eq!(call(&app, "HEAD", &path, "").await.status, 200, "there is no body to save");
    let with = async |name: header::HeaderName, value: &str| {
        let mut request = request("GET", &path, "");
        request.headers_mut().insert(name, value.parse().unwrap());
        send(&app, request).await.status
    };
    assert_eq!(with(header::RANGE, "bytes=2-3").await, 302, "the client takes its range with it");
    assert_eq!(with(header::RANGE, "bytes=9-").await, 416);
    assert_eq!(with(header::IF_NONE_MATCH, "\"e8\"").await, 304);
    assert_eq!(call(&app, "GET", &media_path(RecordingStatus::Active), "").await.status, 409);
}

#[tokio::test]
async fn a_client_that_has_the_file_is_not_sent_it_again() {
    let app = default_app().await;
    let cases = [
        ("\"e8\"", 304),
        ("W/\"e8\"", 304),
        ("\"other\", \"e8\"", 304),
        ("*", 304),
        ("\"other\"", 206),
        ("e8", 206),
        ("", 206),
    ];
    for (known, status) in cases {
        for method in ["GET", "HEAD"] {
            let mut request = request(method, &media_path(RecordingStatus::Complete), "");
            request.headers_mut().insert(header::IF_NONE_MATCH, known.parse().unwrap());
            request.headers_mut().insert(header::RANGE, "bytes=0-1".parse().unwrap());
            let reply = send(&app, request).await;
            assert_eq!(reply.status, status, "{method} {known}");
            assert_eq!(reply.header("etag"), "\"e8\"", "{method} {known}");
            assert_eq!(reply.header("cache-control"), "private, max-age=3600", "{method} {known}");
            assert!(status == 206 || reply.body.is_empty(), "{method} {known}");
        }
    }
}

#[tokio::test]
async fn a_media_stream_holds_its_place_until_it_ends() {
    let app = app(&world(), HttpSettings { media_concurrency: 1, ..HttpSettings::default() }).await;
    let path = media_path(RecordingStatus::Complete);
    let first = app.clone().oneshot(request("GET", &path, "")).await.unwrap();
    assert_eq!(call(&app, "GET", &path, "").await.status, 503);
    first.into_body().collect().await.unwrap();
    assert_eq!(call(&app, "GET", &path, "").await.status, 200);
}

/// Serves the router on a free port; ends with the test's runtime.
pub(super) async fn served(app: axum::Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_file_that_ends_early_breaks_the_answer() {
    let world = world();
    let base = served(app(&world, HttpSettings::default()).await).await;
    let url = format!("{base}{}", media_path(RecordingStatus::Complete));
    let client = reqwest::Client::new();
    for breaks in [false, true] {
        world.blobs_break.store(breaks, Ordering::SeqCst);
        let request = client.get(&url).header("x-api-key", KEY);
        // The answer may break before its head is sent, or within its body; both tell the client.
        let file = async { request.send().await?.error_for_status()?.bytes().await }.await;
        assert_eq!(file.ok().as_deref(), (!breaks).then_some(b"complete".as_slice()));
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_readably() {
    let base = served(default_app().await).await;
    let client = reqwest::Client::new();
    for (size, status) in [(102_400, 422), (102_401, 413), (200_000, 413), (1_000_000, 413)] {
        // A name that is too long, in a body of exactly this size.
        let body = format!("{{\"roomName\":\"{}\"}}", "x".repeat(size - 15));
        let request = client.post(format!("{base}{API}/rooms")).header("x-api-key", KEY);
        let answer =
            request.header(header::CONTENT_TYPE, "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{size} bytes");
    }
}
