//! Archives of several recordings over the wire (contract `recordings.md` 2).

use std::fs::OpenOptions;
use std::io::{Cursor, Read};

use livekit_protocol::EgressStatus;
use rand::{RngCore, SeedableRng};
use reelkeeper_actors::recording::Recording;
use serde_json::json;
use zip::{CompressionMethod, ZipArchive};

use crate::harness::{Reelkeeper, simulated};
use crate::livekit::{Scripted, Shows};
use crate::media::{LARGE, open_path, rest};
use crate::wire::{eventually, try_send};

const MIB: usize = 1024 * 1024;

/// A recording that an earlier process made, without its file.
async fn made(service: &Reelkeeper, number: usize, filename: &str) -> String {
    let id = format!("room-{number}--EG_{number}--{number:010x}");
    let document = json!({
        "recordingId": id, "roomId": format!("room-{number}"), "roomName": "Room", "status": "complete",
        "layout": "grid", "encoding": "H264_720P_30", "filename": filename, "startDate": number,
    });
    service.shelve(serde_json::from_value::<Recording>(document).unwrap()).await;
    id
}

fn path(ids: &[&str]) -> String {
    format!("/recordings/download?recordingIds={}", ids.join(","))
}

#[tokio::test]
async fn an_archive_is_byte_for_byte_what_was_recorded() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let (mut ids, mut expected) = (Vec::new(), Vec::new());
    for (number, size) in [1, 3 * MIB + 7, MIB, 128 * 1024].into_iter().enumerate() {
        // What LiveKit named and what it did not.
        let reported = format!("room-{number}--{number:010x}.mp4");
        let id = made(&service, number, if number == 1 { "" } else { &reported }).await;
        let mut content = vec![0; size];
        random.fill_bytes(&mut content);
        service.write_file(&id, &content);
        expected.push((if number == 1 { format!("{id}.mp4") } else { reported }, content));
        ids.push(id);
    }
    expected.push((format!("{} (2).mp4", expected[2].0.trim_end_matches(".mp4")), expected[2].1.clone()));
    let gone = made(&service, 7, "").await;
    let empty = made(&service, 8, "").await;
    service.write_file(&empty, b"");
    let room = service.room().await;
    livekit.people(&room);
    let runs = service.start_recording(&room).await.expect(201).id();

    let unknown = "room-1--EG_none--u";
    let asked = [&ids[0], &gone, &ids[1], &ids[2], &runs, &ids[3], unknown, &empty, &ids[2]];
    let reply = service.call("GET", &format!("/api/v1{}", path(&asked))).await.expect(200);
    assert_eq!(reply.header("content-type"), "application/zip");
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"recordings.zip\"");
    assert_eq!(reply.header("transfer-encoding"), "chunked");
    let mut archive = ZipArchive::new(Cursor::new(reply.body)).unwrap();
    assert_eq!(archive.len(), expected.len());
    for (index, (name, content)) in expected.iter().enumerate() {
        let mut file = archive.by_index(index).unwrap();
        assert_eq!(file.name().unwrap(), *name);
        assert_eq!(file.compression(), CompressionMethod::Stored, "{name}");
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert!(found == *content, "{name}");
    }
    let comment = format!(
        "Not in this archive:\nFile of recording '{gone}' not found\nRecording '{runs}' is not stopped yet\n\
         Recording '{unknown}' not found\nFile of recording '{empty}' not found\n"
    );
    assert_eq!(std::str::from_utf8(archive.comment()).unwrap(), comment);

    service.stop_recording(&runs).await.expect(202);
    livekit.change(runs.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
    service.until(&runs, "failed").await;
    service.finish().await;
}

#[tokio::test]
async fn an_archive_has_a_head_and_may_be_empty() {
    let (service, _sim) = simulated(&[]).await;
    let id = made(&service, 1, "").await;
    let path = format!("/api/v1{}", path(&[&id]));
    let reply = service.call("GET", &path).await.expect(200);
    let archive = ZipArchive::new(Cursor::new(reply.body)).unwrap();
    assert_eq!(archive.len(), 0);
    assert!(archive.comment().starts_with(b"Not in this archive:\n"));
    let head = service.call("HEAD", &path).await.expect(200);
    assert_eq!((head.header("content-type"), head.body.len()), ("application/zip", 0));
    service.call("GET", "/api/v1/recordings/download").await.refused(422, "Unprocessable Entity", "Invalid");
    service.finish().await;
}

/// Makes the file of a recording that long, without its bytes.
fn stretch(service: &Reelkeeper, id: &str, size: u64) {
    service.write_file(id, b"0");
    OpenOptions::new().write(true).open(service.file(id)).unwrap().set_len(size).unwrap();
}

#[tokio::test]
async fn who_hangs_up_frees_the_place() {
    let (service, _sim) = simulated(&[("REELKEEPER_LIMITS_MEDIA_IN_FLIGHT", "1")]).await;
    let (large, small) = (made(&service, 1, "").await, made(&service, 2, "").await);
    stretch(&service, &large, LARGE);
    service.write_file(&small, b"film");
    let (stream, head) = open_path(&service, &path(&[&small, &large])).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let media = || service.media(&small);
    try_send(media()).await.unwrap().refused(503, "Service Unavailable", "Too many");
    service.call("GET", "/api/v1/recordings").await.expect(200);
    drop(stream);
    let free = async || (try_send(media()).await.unwrap().status == 200).then_some(());
    eventually("the place is free", free).await;
    service.finish().await;
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_breaks_the_archive() {
    let (service, _sim) = simulated(&[]).await;
    let (large, small) = (made(&service, 1, "").await, made(&service, 2, "").await);
    stretch(&service, &large, LARGE);
    service.write_file(&small, b"film");
    let (stream, _) = open_path(&service, &path(&[&large, &small])).await;
    stretch(&service, &large, 1);
    let sent = rest(stream).await;
    assert!(sent < LARGE, "{sent}");

    let broken = service.request("GET", &format!("/api/v1{}", path(&[&large])));
    let whole = try_send(broken).await.unwrap().expect(200).body;
    assert_eq!(ZipArchive::new(Cursor::new(whole)).unwrap().len(), 1);
    service.finish().await;
}
