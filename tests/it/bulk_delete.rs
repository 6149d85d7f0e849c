//! Several deletions in one request (contract `recordings.md` 2).

use reelkeeper_actors::recording::Recording;
use serde_json::{Value, json};

use crate::harness::{Reelkeeper, Sim, simulated};
use crate::wire::Reply;

/// More than are deleted at once.
const MANY: usize = 24;

/// A recording that an earlier process made, with its file.
async fn made(service: &Reelkeeper, number: usize, status: &str) -> String {
    let room = format!("room-{}", number % 3);
    let id = format!("{room}--EG_{number}--{number:010x}");
    let document = json!({
        "recordingId": id, "roomId": room, "roomName": "Room", "status": status, "layout": "grid",
        "encoding": "H264_720P_30", "filename": "", "startDate": number,
    });
    service.shelve(serde_json::from_value::<Recording>(document).unwrap()).await;
    service.write_file(&id, b"film");
    id
}

async fn delete(service: &Reelkeeper, ids: &[&str]) -> Reply {
    service.call("DELETE", &format!("/api/v1/recordings?recordingIds={}", ids.join(","))).await
}

async fn running(service: &Reelkeeper, sim: &Sim) -> String {
    let room = sim.room(service).await;
    service.start_recording(&room).await.expect(201).id()
}

#[tokio::test]
async fn many_are_deleted_with_their_files() {
    let (service, _sim) = simulated(&[]).await;
    let mut ids = Vec::new();
    for number in 0..MANY {
        let status = ["complete", "failed", "aborted", "limit_reached"][number % 4];
        ids.push(made(&service, number, status).await);
    }
    let kept = made(&service, MANY, "complete").await;
    // Each twice, with blanks and nothing between.
    let asked: Vec<&str> = ids.iter().chain(&ids).map(String::as_str).collect();
    let asked = asked.join(",%20,");
    let reply = service.call("DELETE", &format!("/api/v1/recordings?recordingIds={asked}")).await.expect(200);
    assert_eq!(reply.json(), json!({"message": "All recordings deleted successfully", "deleted": ids}));
    assert!(ids.iter().all(|id| !service.file(id).exists()));
    let left: Vec<Value> = service.recordings().await.iter().map(|one| one["recordingId"].clone()).collect();
    assert_eq!(left, [json!(kept)]);
    assert!(service.file(&kept).exists());
    service.finish().await;
}

#[tokio::test]
async fn what_cannot_be_deleted_is_told_and_stops_no_other() {
    let (service, sim) = simulated(&[]).await;
    let runs = running(&service, &sim).await;
    let (first, last) = (made(&service, 1, "complete").await, made(&service, 2, "failed").await);
    let unknown = "room-1--EG_none--u";
    let reply = delete(&service, &[&first, &runs, unknown, &last, &first, &runs]).await.expect(400);
    let failed = json!([
        {"recordingId": runs, "error": format!("Recording '{runs}' is not stopped yet")},
        {"recordingId": unknown, "error": format!("Recording '{unknown}' not found")},
    ]);
    let message = "2 recordings could not be deleted";
    let expected = json!({"message": message, "deleted": [first, last], "failed": failed});
    assert_eq!(reply.json(), expected);
    assert!(!service.file(&first).exists() && !service.file(&last).exists());
    assert_eq!(service.recording(&runs).await.field("status"), "active");

    service.stop_recording(&runs).await.expect(202);
    service.until(&runs, "complete").await;
    assert_eq!(delete(&service, &[&runs]).await.expect(200).json()["deleted"], json!([runs]));
    let again = delete(&service, &[&runs]).await.expect(400).json();
    assert_eq!(again["message"], "1 recording could not be deleted");
    service.finish().await;
}

#[tokio::test]
async fn a_deletion_of_many_and_a_start_elsewhere_do_not_meet() {
    let (service, sim) = simulated(&[]).await;
    let mut ids = Vec::new();
    for number in 0..MANY {
        ids.push(made(&service, number, "complete").await);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (deleted, again, started) =
        tokio::join!(delete(&service, &ids), delete(&service, &ids), running(&service, &sim));
    // Both may be told that it is done; whoever comes second to one is told that it is not there.
    for reply in [&deleted, &again] {
        let body = reply.json();
        let failed = body["failed"].as_array().map_or(0, Vec::len);
        assert_eq!(body["deleted"].as_array().unwrap().len() + failed, MANY, "{body}");
        assert_eq!(reply.status, if failed == 0 { 200 } else { 400 }, "{body}");
    }
    assert_eq!(service.recordings().await.len(), 1);
    service.stop_recording(&started).await.expect(202);
    service.until(&started, "complete").await;
    service.finish().await;
}
