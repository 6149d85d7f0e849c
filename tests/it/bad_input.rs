//! Bad input on every endpoint: the contract's status and body, quickly, and nothing changed.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{API_KEY, simulated};
use crate::stage::Stage;
use crate::wire::{Reply, raw, try_send};

const QUICKLY: Duration = Duration::from_secs(5);
const API: &str = "/meet/api/v1";

/// Sends a request that must be refused, in the contract's form.
async fn refused(request: RequestBuilder, what: &str) -> Reply {
    let began = Instant::now();
    let reply = try_send(request).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(began.elapsed() < QUICKLY, "{what}");
    let body = reply.json();
    if reply.status != 413 {
        let texts = [&body["error"], &body["message"]];
        assert!(
            texts.iter().all(|text| text.as_str().is_some_and(|text| !text.is_empty())),
            "{what}: {body}"
        );
        assert_eq!(reply.header("content-type"), "application/json", "{what}");
    }
    let details = body.get("details").and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(details > 0, reply.status == 422, "{what}: {body}");
    reply
}

/// Path, body, status, field of the first detail.
const BODIES: &[(&str, &str, u16, &str)] = &[
    ("/rooms", "{", 400, ""),
    ("/rooms", "{]", 400, ""),
    ("/rooms", "nonsense", 400, ""),
    ("/rooms", "7", 400, ""),
    ("/rooms", "null", 400, ""),
    ("/rooms", "\"text\"", 400, ""),
    ("/rooms", "{\"roomName\":\"\u{0}\"}", 400, ""),
    ("/rooms", "[]", 422, ""),
    ("/rooms", r#"{"roomName":7}"#, 422, "roomName"),
    ("/rooms", r#"{"roomName":null}"#, 422, "roomName"),
    ("/rooms", r#"{"roomName":""}"#, 422, "roomName"),
    ("/rooms", r#"{"roomName":"   "}"#, 422, "roomName"),
    ("/rooms", r#"{"roomName":"123456789012345678901234567890123456789012345678901"}"#, 422, "roomName"),
    ("/rooms", r#"{"autoDeletionDate":null}"#, 422, "autoDeletionDate"),
    ("/rooms", r#"{"autoDeletionDate":1}"#, 422, "autoDeletionDate"),
    ("/rooms", r#"{"autoDeletionDate":-1}"#, 422, "autoDeletionDate"),
    ("/rooms", r#"{"autoDeletionPolicy":{}}"#, 422, "autoDeletionPolicy.withMeeting"),
    (
        "/rooms",
        r#"{"autoDeletionPolicy":{"withMeeting":"fail","withRecordings":"close"}}"#,
        422,
        "autoDeletionPolicy.withMeeting",
    ),
    ("/rooms", r#"{"config":[]}"#, 422, "config"),
    ("/rooms", r#"{"config":{"chat":{}}}"#, 422, "config.chat.enabled"),
    ("/rooms", r#"{"config":{"recording":{"layout":"grid"}}}"#, 422, "config.recording.enabled"),
    (
        "/rooms",
        r#"{"config":{"recording":{"enabled":true,"encoding":"MP4"}}}"#,
        422,
        "config.recording.encoding",
    ),
    (
        "/rooms",
        r#"{"config":{"recording":{"enabled":true,"encoding":{"video":{},"audio":{}}}}}"#,
        422,
        "config.recording.encoding.video",
    ),
    ("/recordings", "{", 400, ""),
    ("/recordings", "", 422, "roomId"),
    ("/recordings", "[]", 422, ""),
    ("/recordings", "{}", 422, "roomId"),
    ("/recordings", r#"{"roomId":7}"#, 422, "roomId"),
    ("/recordings", r#"{"roomId":null}"#, 422, "roomId"),
    ("/recordings", r#"{"roomId":""}"#, 422, "roomId"),
    ("/recordings", r#"{"roomId":"/../"}"#, 422, "roomId"),
    ("/recordings", r#"{"roomId":["a"]}"#, 422, "roomId"),
    ("/recordings", r#"{"roomId":"a","config":7}"#, 422, "config"),
    ("/recordings", r#"{"roomId":"a","config":{"layout":"x"}}"#, 422, "config.layout"),
    ("/recordings", r#"{"roomId":"a","config":{"encoding":null}}"#, 422, "config.encoding"),
    ("/recordings", r#"{"roomId":"a"}"#, 404, ""),
    ("/recordings", r#"{"roomId":"a/../b"}"#, 404, ""),
];

#[tokio::test]
async fn bodies_are_checked_as_the_contract_says() {
    let stage = Stage::set().await;
    let before = stage.service.everything().await;
    let long = "x".repeat(101);
    let deep = "[".repeat(50_000);
    let too_deep: (&str, &str, u16, &str) = ("/rooms", &deep, 400, "");
    for (path, body, status, field) in BODIES.iter().chain([&too_deep]) {
        let request = stage.service.request("POST", &format!("/api/v1{path}"));
        let request = request.header("content-type", "application/json").body((*body).to_owned());
        let what = format!("{path} {body:.200}");
        let reply = refused(request, &what).await;
        assert_eq!(reply.status, *status, "{what}: {}", reply.text());
        let name = match status {
            400 => "Bad Request",
            404 => "Room Error",
            _ => "Unprocessable Entity",
        };
        assert_eq!(reply.field("error"), name, "{what}");
        if *status == 422 {
            assert_eq!(reply.json()["details"][0]["field"], *field, "{what}: {}", reply.text());
            assert_eq!(reply.field("message"), "Invalid request", "{what}");
        }
    }
    let reply = stage.service.post("/api/v1/recordings", &json!({"roomId": long})).await;
    assert_eq!((reply.status, &reply.json()["details"][0]["field"]), (422, &json!("roomId")));
    assert_eq!(stage.service.everything().await, before);
    stage.end().await;
}

#[tokio::test]
async fn other_content_types_read_as_an_empty_body() {
    let (service, _sim) = simulated(&[]).await;
    let types =
        ["text/plain", "application/xml", "application/jsonx", "multipart/form-data; boundary=x", "x", ""];
    for content_type in types {
        let body = r#"{"roomName":"Named"}"#;
        let request =
            service.request("POST", "/api/v1/rooms").header("content-type", content_type).body(body);
        let reply = try_send(request).await.unwrap().expect(201);
        assert_eq!(reply.field("roomName"), "Room", "{content_type}");
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON", "application/json ; x=y"] {
        let request = service.request("POST", "/api/v1/rooms").header("content-type", content_type);
        let reply = try_send(request.body(r#"{"roomName":"Named"}"#)).await.unwrap().expect(201);
        assert_eq!(reply.field("roomName"), "Named", "{content_type}");
    }
    let form =
        service.request("POST", "/api/v1/rooms").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        try_send(form.body("roomName=My+Room")).await.unwrap().expect(201).field("roomName"),
        "My Room"
    );
    service.finish().await;
}

/// What nobody should send as an id, as it stands in the path.
const STRANGE_IDS: &[&str] = &[
    "nonsense",
    "a/b",
    "%2e",
    "%2e%2e",
    "%2e%2e%2fetc%2fpasswd",
    "..%2f..%2f",
    "%2f",
    "%5c",
    "%00",
    "a%00b",
    "%0d%0aX-Y:%20z",
    "%7f",
    "%ff",
    "%c3%28",
    "%zz",
    "%",
    "%25",
    "a%20b",
    "%20",
    "+",
    "*",
    "?",
    "-",
    "--",
    "---",
    "EG_",
    "a--EG_",
    "a--EG_1",
    "a--EG_1--",
    "--EG_1--u",
    "a--XX_1--u",
    "a--EG_1--u--v",
    "a--b--EG_1--u",
    "%2e%2e--EG_1--u",
    "a--EG_%2f..%2f--u",
    "a--EG_1--%2e%2e%2fx",
    "a--EG_1--u%00",
    "%F0%9F%8E%A5",
    "a--EG_1--%F0%9F%8E%A5",
];

#[tokio::test]
async fn ids_of_any_form_are_refused() {
    let stage = Stage::set().await;
    stage.livekit.looked_at(&stage.room).await;
    let before = stage.service.everything().await;
    let calls = stage.livekit.call_count();
    let (long, endless) = ("x".repeat(101), "x".repeat(7_000));
    let endpoints = [
        ("GET", "/rooms/", ""),
        ("GET", "/recordings/", ""),
        ("GET", "/recordings/", "/media"),
        ("GET", "/recordings/", "/url"),
        ("POST", "/recordings/", "/stop"),
        ("DELETE", "/recordings/", ""),
    ];
    for id in STRANGE_IDS.iter().copied().chain([long.as_str(), &endless]) {
        for (verb, path, tail) in endpoints {
            // By hand, since a client would mend the path.
            let request = format!(
                "{verb} {API}{path}{id}{tail} HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\n\
                 content-length: 0\r\nconnection: close\r\n\r\n"
            );
            let began = Instant::now();
            let answer = raw(stage.service.address, request.as_bytes()).await;
            assert!(began.elapsed() < QUICKLY, "{verb} {path}{id:.60}{tail}");
            let status: u16 =
                answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
            // There the path ends before the id: it is the list.
            let list = id == "?" && verb == "GET" && ["/recordings/", "/rooms/"].contains(&path);
            let expected: &[u16] = if list { &[200] } else { &[400, 404, 422] };
            assert!(expected.contains(&status), "{verb} {path}{id:.60}{tail}: {answer}");
            let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
            assert!(serde_json::from_str::<Value>(body).is_ok(), "{verb} {path}{id:.60}{tail}: {answer}");
        }
    }
    assert_eq!(stage.service.everything().await, before);
    assert_eq!(stage.livekit.call_count(), calls);
    stage.end().await;
}

#[tokio::test]
async fn ids_are_cleaned_before_they_are_looked_up() {
    let stage = Stage::set().await;
    let (room, id) = (&stage.room, &stage.id);
    let (first, rest) = room.split_at(4);
    for spelled in [format!("%20{room}"), format!("{first}%2f{rest}"), format!("{first}%2e%00{rest}")] {
        let reply = stage.service.call("GET", &format!("/api/v1/rooms/{spelled}")).await.expect(200);
        assert_eq!(reply.field("roomId"), *room, "{spelled}");
    }
    for spelled in [format!("%20{id}%20"), format!("%2f{id}"), id.replacen('_', "%2e_", 1)] {
        assert_eq!(stage.service.recording(&spelled).await.expect(200).id(), *id, "{spelled}");
    }
    // A start is for the room that the body names, a permission for the one that the path names.
    let start = json!({"roomId": format!(" {room}/")});
    stage.service.post("/api/v1/recordings", &start).await.refused(409, "Recording Error", "already");
    stage.end().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_not_found() {
    let stage = Stage::set().await;
    let (room, id) = (&stage.room, &stage.id);
    let table = [
        ("GET", format!("{API}/nothing")),
        ("GET", format!("{API}/recordings/{id}/nothing")),
        ("GET", format!("{API}/recordings/{id}/media/x")),
        ("GET", format!("{API}/recordings/{id}/stop")),
        ("POST", format!("{API}/recordings/{id}")),
        ("PUT", format!("{API}/recordings/{id}")),
        ("PATCH", format!("{API}/rooms/{room}")),
        ("PUT", format!("{API}/rooms")),
        ("DELETE", format!("{API}/recordings/{id}/media")),
        ("POST", format!("{API}/recordings/{id}/media")),
        ("DELETE", format!("{API}/recordings/{id}/url")),
        ("POST", format!("{API}/recordings/download")),
        ("PUT", format!("{API}/recordings")),
        ("POST", "/meet/health".to_owned()),
        ("GET", "/livekit/webhook".to_owned()),
        ("PUT", "/livekit/webhook".to_owned()),
        ("POST", "/meet/livekit/webhook".to_owned()),
        ("GET", "/api/v1/recordings".to_owned()),
        ("GET", "/".to_owned()),
        ("GET", "/meet".to_owned()),
        ("GET", "/meet/".to_owned()),
        ("GET", "//".to_owned()),
        ("GET", format!("{API}//recordings")),
        ("TRACE", format!("{API}/recordings")),
        ("BREW", format!("{API}/recordings")),
        ("BREW", "/nothing".to_owned()),
    ];
    for (verb, path) in table {
        for key in ["x-api-key", "x-nothing"] {
            let what = format!("{verb} {path} with {key}");
            let reply = refused(stage.service.bare(verb, &path).header(key, API_KEY), &what).await;
            assert_eq!((reply.status, reply.field("error").as_str()), (404, "Path Not Found"), "{what}");
        }
    }
    let preflight = stage.service.bare("OPTIONS", &format!("{API}/rooms"));
    let preflight = preflight.header("origin", "http://x").header("access-control-request-method", "POST");
    let preflight = try_send(preflight).await.unwrap().expect(204);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert_eq!(preflight.header("access-control-allow-credentials"), "true");
    stage.end().await;
}

#[tokio::test]
async fn nobody_gets_in_without_the_key() {
    let stage = Stage::set().await;
    let (room, id) = (&stage.room, &stage.id);
    let before = stage.service.everything().await;
    let endpoints = [
        ("POST", "/rooms".to_owned()),
        ("GET", format!("/rooms/{room}")),
        ("POST", "/recordings".to_owned()),
        ("GET", "/recordings".to_owned()),
        ("DELETE", format!("/recordings?recordingIds={id}")),
        ("GET", format!("/recordings/download?recordingIds={id}")),
        ("GET", format!("/recordings/{id}")),
        ("GET", format!("/recordings/{id}/url")),
        ("GET", format!("/recordings/{id}/media")),
        ("POST", format!("/recordings/{id}/stop")),
        ("DELETE", format!("/recordings/{id}")),
    ];
    let long = "k".repeat(8_000);
    let headers = [
        ("x-nothing", API_KEY),
        ("x-api-key", ""),
        ("x-api-key", "wrong"),
        ("x-api-key", "THE-API-KEY"),
        ("x-api-key", "the-api-key "),
        ("x-api-key", "the-api-ke"),
        ("x-api-key", "the-api-key2"),
        ("x-api-key", "Bearer the-api-key"),
        ("x-api-key", long.as_str()),
        ("authorization", "Bearer the-api-key"),
        ("authorization", "Bearer nonsense"),
        ("cookie", "x-api-key=the-api-key"),
    ];
    for (verb, path) in &endpoints {
        for (name, value) in headers {
            // Blanks at the end of a value are no part of it.
            if value.ends_with(' ') {
                continue;
            }
            let what = format!("{verb} {path} with {name}: {value:.40}");
            let request = stage.service.bare(verb, &format!("{API}{path}")).header(name, value);
            let reply = refused(request.json(&json!({"roomId": room})), &what).await;
            assert_eq!(
                (reply.status, reply.field("error").as_str()),
                (401, "Authentication Error"),
                "{what}"
            );
        }
    }
    assert_eq!(stage.service.everything().await, before);
    // What cannot be read is told first (contract `access.md` 7, order).
    let broken = stage.service.bare("POST", &format!("{API}/recordings"));
    let broken = broken.header("content-type", "application/json").body("{");
    refused(broken, "malformed and without a key").await.refused(400, "Bad Request", "");
    stage.end().await;
}

#[tokio::test]
async fn queries_are_checked_as_the_contract_says() {
    let stage = Stage::set().await;
    let id = &stage.id;
    let table = [
        ("/recordings?maxItems=0".to_owned(), 422),
        ("/recordings?maxItems=-1".to_owned(), 422),
        ("/recordings?maxItems=x".to_owned(), 422),
        ("/recordings?maxItems=".to_owned(), 422),
        ("/recordings?maxItems=1&maxItems=x".to_owned(), 422),
        ("/recordings?maxItems=%00".to_owned(), 422),
        ("/recordings?unknown=1&%ff=%ff&&=&".to_owned(), 200),
        ("/recordings?fields=%ff,..,status".to_owned(), 200),
        ("/recordings?fields=a,-b".to_owned(), 422),
        (format!("/recordings?roomName={}", "%F0%9F%8E%AC".repeat(500)), 200),
        (format!("/recordings?roomName={}", ".".repeat(6_000)), 200),
        ("/recordings?roomName=%00".to_owned(), 200),
        (format!("/recordings?nextPageToken={}", "A".repeat(5_000)), 422),
        ("/recordings?status=done&sortField=%00&sortOrder=up".to_owned(), 422),
        (format!("/recordings/download?recordingIds={}", ",".repeat(5_000)), 422),
        (format!("/recordings/{id}/url?privateAccess=%00"), 200),
        (format!("/recordings/{id}?fields=nothing"), 200),
        (format!("/recordings/{id}?{}", "x=y&".repeat(500)), 200),
        (format!("/rooms/{}?fields={}", stage.room, "a.".repeat(2_000)), 200),
    ];
    for (path, status) in table {
        let began = Instant::now();
        stage.service.call("GET", &format!("/api/v1{path}")).await.expect(status);
        assert!(began.elapsed() < QUICKLY, "{path:.80}");
    }
    stage.end().await;
}

/// What is no HTTP, or too much of it.
#[tokio::test]
async fn requests_that_are_none_end_and_harm_nobody() {
    let stage = Stage::set().await;
    let before = stage.service.everything().await;
    let key = format!("x-api-key: {API_KEY}");
    let list = format!("GET {API}/recordings HTTP/1.1\r\nhost: x\r\n{key}\r\n");
    let post = format!("POST {API}/rooms HTTP/1.1\r\nhost: x\r\n{key}\r\ncontent-type: application/json\r\n");
    let many = "x-many: y\r\n".repeat(500);
    // What is sent, and with which statuses it may be answered; 0: without an answer.
    let table: Vec<(String, &[u16])> = vec![
        ("nonsense\r\n\r\n".to_owned(), &[400]),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), &[400]),
        (format!("GET {API}/recordings/\u{1}\u{2} HTTP/1.1\r\nhost: x\r\n\r\n"), &[400]),
        (format!("GET {API}/a b HTTP/1.1\r\nhost: x\r\n\r\n"), &[400]),
        (format!("{list}x-bad\u{1}: y\r\n\r\n"), &[400]),
        (format!("{list}x-large: {}\r\n\r\n", "y".repeat(1_000_000)), &[431, 0]),
        (format!("{list}{many}\r\n"), &[431, 0]),
        (format!("GET {API}/{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(100_000)), &[404, 414, 431, 0]),
        (format!("{post}content-length: nonsense\r\n\r\n{{}}"), &[400]),
        (format!("{post}content-length: -1\r\n\r\n{{}}"), &[400]),
        (format!("{post}content-length: 99999999999999999999999\r\n\r\n{{}}"), &[400]),
        (format!("{post}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"), &[400]),
        (format!("{post}transfer-encoding: chunked\r\n\r\nnonsense\r\n\r\n"), &[400]),
        (format!("{post}transfer-encoding: nonsense\r\n\r\n{{}}"), &[400, 501]),
        (format!("{post}content-length: 10000000\r\n\r\n{{}}"), &[413]),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}".to_owned(), &[400, 0]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[400, 0]),
    ];
    for (request, expected) in table {
        let answer = raw(stage.service.address, request.as_bytes()).await;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0_u16);
        assert!(expected.contains(&status), "{request:.200}: {answer:.300}");
    }
    assert_eq!(stage.service.everything().await, before);
    stage.end().await;
}

/// A body that never arrives is not waited for longer than a request may take.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let (service, _sim) = simulated(&[("REELKEEPER_REQUEST_TIMEOUT", "1s")]).await;
    let begun = format!(
        "POST {API}/rooms HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\ncontent-type: application/json\r\n\
         content-length: 20\r\n\r\n{{\"roomName\""
    );
    let answer = raw(service.address, begun.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    service.finish().await;
}
