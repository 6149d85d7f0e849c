//! The file of a recording over the wire (contract `recordings.md` 2, media, and its deviations).

use std::fs::OpenOptions;

use futures::future::join_all;
use livekit_protocol::EgressStatus;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{API_KEY, Reelkeeper, simulated};
use crate::livekit::{Scripted, Shows};
use crate::wire::{PATIENCE, Reply, try_send};

/// Large enough that no buffer between the two ends holds it.
pub const LARGE: u64 = 256 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// A complete recording with this file.
async fn recording(service: &Reelkeeper, livekit: &Scripted, content: &[u8]) -> String {
    let room = service.room().await;
    livekit.people(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    service.write_file(&id, content);
    service.stop_recording(&id).await.expect(202);
    livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressComplete);
    service.until(&id, "complete").await;
    id
}

async fn ranged(service: &Reelkeeper, id: &str, range: &str) -> Reply {
    try_send(service.media(id).header("range", range)).await.unwrap()
}

#[tokio::test]
async fn ranges_are_answered_as_the_contract_says() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let content: Vec<u8> = (0..6 * MIB).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let size = content.len();
    let id = recording(&service, &livekit, &content).await;

    // The range that is asked for, and what of the file is sent; none: the whole, as 200.
    let open_end = 5 * usize::try_from(MIB).unwrap();
    let table = [
        (String::new(), None),
        ("bytes=0-".to_owned(), Some(0..open_end)),
        ("bytes=0-0".to_owned(), Some(0..1)),
        ("bytes=0-9".to_owned(), Some(0..10)),
        ("bytes=10-19".to_owned(), Some(10..20)),
        (format!("bytes={}-", size - 10), Some(size - 10..size)),
        (format!("bytes={}-{}", size - 10, size * 2), Some(size - 10..size)),
        (format!("bytes=0-{}", size - 1), Some(0..size)),
        ("bytes=0-99999999999999999999999999".to_owned(), Some(0..size)),
        ("bytes=-10".to_owned(), Some(size - 10..size)),
        ("bytes=-99999999999999999999999999".to_owned(), Some(0..size)),
        ("bytes=20-10".to_owned(), None),
    ];
    for (range, part) in table {
        for verb in ["GET", "HEAD"] {
            let mut request = service.request(verb, &format!("/api/v1/recordings/{id}/media"));
            if !range.is_empty() {
                request = request.header("range", &range);
            }
            let reply = try_send(request).await.unwrap();
            let expected = part.clone().map_or(&content[..], |part| &content[part]);
            assert_eq!(reply.status, if part.is_some() { 206 } else { 200 }, "{verb} {range}");
            assert!(reply.body == if verb == "GET" { expected } else { &[] }, "{verb} {range}");
            let content_range =
                part.clone().map(|part| format!("bytes {}-{}/{size}", part.start, part.end - 1));
            let headers = [
                ("content-range", content_range.unwrap_or_default()),
                ("content-length", expected.len().to_string()),
                ("accept-ranges", "bytes".to_owned()),
                ("content-type", "video/mp4".to_owned()),
                ("cache-control", "private, max-age=3600".to_owned()),
                ("content-disposition", String::new()),
            ];
            for (name, value) in headers {
                assert_eq!(reply.header(name), value, "{name} of {verb} {range}");
            }
            assert!(!reply.header("etag").is_empty(), "{verb} {range}");
        }
    }
    service.finish().await;
}

#[tokio::test]
async fn ranges_that_cannot_be_are_refused() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let id = recording(&service, &livekit, b"0123456789").await;
    for range in ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999999999-", "bytes=-0"] {
        let reply = ranged(&service, &id, range).await;
        assert_eq!(reply.header("content-range"), "bytes */10", "{range}");
        reply.refused(416, "Recording Error", "range not satisfiable. File size: 10");
    }
    let malformed = [
        "bytes=0-1,3-4",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-b",
        "bytes=+1-2",
        "bytes=1--2",
        "bytes 0-1",
        "items=0-1",
        "0-1",
        "bytes=0x1-2",
        "bytes=1.5-2",
        "",
    ];
    for range in malformed {
        let reply = ranged(&service, &id, range).await;
        assert_eq!(reply.json()["details"][0]["field"], "headers.range", "{range}");
        reply.refused(422, "Unprocessable Entity", "Invalid request");
    }
    // Both faults are told at once, and neither needs a key.
    let path = "/meet/api/v1/recordings/nonsense/media";
    let reply = try_send(service.bare("GET", path).header("range", "x")).await.unwrap();
    let fields = [&reply.json()["details"][0]["field"], &reply.json()["details"][1]["field"]];
    assert_eq!(fields, [&json!("params.recordingId"), &json!("headers.range")]);
    reply.refused(422, "Unprocessable Entity", "");
    service.finish().await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_found() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let id = recording(&service, &livekit, b"0123456789").await;
    let file = service.file(&id);
    std::fs::write(&file, b"").unwrap();
    for range in ["bytes=0-", "bytes=5-", "bytes=-1"] {
        ranged(&service, &id, range).await.refused(404, "Recording Error", "not found");
    }
    std::fs::remove_file(&file).unwrap();
    try_send(service.media(&id)).await.unwrap().refused(404, "Recording Error", "not found");
    // A folder or a link to somewhere else in its place is no file of ours.
    std::fs::create_dir(&file).unwrap();
    let status = try_send(service.media(&id)).await.unwrap().status;
    assert!([404, 503].contains(&status), "{status}");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, b"back").unwrap();
    assert_eq!(try_send(service.media(&id)).await.unwrap().expect(200).body, "back");
    service.delete(&id).await.expect(200);
    service.finish().await;
}

/// LiveKit says complete, and there is no file: its error says so, until it turns up.
#[tokio::test]
async fn a_recording_whose_file_never_came_says_so() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let checks = [None, Some(b"".as_slice())].map(async |content| {
        let room = service.room().await;
        livekit.people(&room);
        let id = service.start_recording(&room).await.expect(201).id();
        if let Some(content) = content {
            service.write_file(&id, content);
        }
        service.stop_recording(&id).await.expect(202);
        livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressComplete);
        service.until(&id, "complete").await;
        crate::wire::eventually("its error says so", async || {
            let error = service.recording(&id).await.field("error");
            (error.contains("missing") || error.contains("empty")).then_some(())
        })
        .await;
        try_send(service.media(&id)).await.unwrap().refused(404, "Recording Error", "not found");
        service.write_file(&id, b"at last");
        assert_eq!(try_send(service.media(&id)).await.unwrap().expect(200).body, "at last");
    });
    join_all(checks).await;
    service.finish().await;
}

#[tokio::test]
async fn only_what_has_a_file_is_streamed() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let table = [
        (EgressStatus::EgressComplete, "complete", 200),
        (EgressStatus::EgressLimitReached, "limit_reached", 200),
        (EgressStatus::EgressFailed, "failed", 409),
        (EgressStatus::EgressAborted, "aborted", 409),
    ];
    let checks = table.map(async |(status, shown, media)| {
        let room = service.room().await;
        livekit.people(&room);
        let id = service.start_recording(&room).await.expect(201).id();
        service.write_file(&id, b"a file");
        try_send(service.media(&id)).await.unwrap().refused(409, "Recording Error", "not stopped yet");
        livekit.change(id.split("--").nth(1).unwrap(), status);
        service.until(&id, shown).await;
        try_send(service.media(&id)).await.unwrap().expect(media);
        service.delete(&id).await.expect(200);
        assert!(!service.file(&id).exists(), "{shown}");
    });
    join_all(checks).await;
    service.finish().await;
}

/// Opens a media request and reads its head only.
async fn open(service: &Reelkeeper, id: &str) -> (TcpStream, String) {
    open_path(service, &format!("/recordings/{id}/media")).await
}

/// Asks for something below the API and reads the head only.
pub async fn open_path(service: &Reelkeeper, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request = format!(
        "GET /meet/api/v1{path} HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

/// How many bytes come until the connection ends, one way or the other.
pub async fn rest(mut stream: TcpStream) -> u64 {
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    let read = async {
        while let Ok(count) = stream.read(&mut buffer).await
            && count > 0
        {
            total += u64::try_from(count).unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection ends");
    total
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_breaks_the_answer() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let id = recording(&service, &livekit, b"0").await;
    let file = OpenOptions::new().write(true).open(service.file(&id)).unwrap();
    file.set_len(LARGE).unwrap();
    let (stream, head) = open(&service, &id).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("content-length: {LARGE}\r\n")), "{head}");
    file.set_len(MIB).unwrap();
    let sent = rest(stream).await;
    assert!(sent < LARGE, "{sent}");

    // A reader who goes away, or who does not read, harms nobody.
    file.set_len(LARGE).unwrap();
    let (idle, _) = open(&service, &id).await;
    drop(open(&service, &id).await);
    service.call("GET", "/health").await.expect(200);
    ranged(&service, &id, "bytes=0-9").await.expect(206);
    drop(idle);
    service.finish().await;
}

#[tokio::test]
async fn readers_beyond_the_limit_are_sent_away() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_LIMITS_MEDIA_IN_FLIGHT", "2")]).await;
    let id = recording(&service, &livekit, b"0").await;
    let file = OpenOptions::new().write(true).open(service.file(&id)).unwrap();
    file.set_len(LARGE).unwrap();
    let readers = [open(&service, &id).await, open(&service, &id).await];
    ranged(&service, &id, "bytes=0-0").await.refused(503, "Service Unavailable", "Too many");
    service.call("GET", "/api/v1/recordings").await.expect(200);
    drop(readers);
    crate::wire::eventually("a place is free", async || {
        (ranged(&service, &id, "bytes=0-0").await.status == 206).then_some(())
    })
    .await;
    service.finish().await;
}

/// The file that the simulated egress makes is playable, and comes through unchanged.
#[tokio::test]
async fn what_is_sent_plays() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    let file = try_send(service.media(&id)).await.unwrap().expect(200).body;
    let movie = re_mp4::Mp4::read_bytes(&file).unwrap();
    assert!(movie.tracks().values().any(|track| track.kind == Some(re_mp4::TrackKind::Video)));
    service.finish().await;
}
