//! A recording that goes well, and one that outlives the service.

use reqwest::Method;

use crate::film;
use crate::meeting::{Meeting, Webhooks};
use crate::node::Node;

/// So long between two looks of the service that only webhooks can tell it anything in time.
const NO_POLLING: (&str, &str) = ("REELKEEPER_RECONCILE_INTERVAL", "1h");

#[tokio::test]
async fn a_room_is_recorded_fetched_and_deleted() {
    let meeting = Meeting::start(Webhooks::Arrive, &[NO_POLLING]).await;
    let Meeting { node, room, stack, .. } = &meeting;

    let started = node.ask_to_record(room).await;
    let location = started.header("location").to_owned();
    let started = started.expect(201);
    let id = started["recordingId"].as_str().unwrap().to_owned();
    let part = |at: usize| id.split("--").nth(at).unwrap().to_owned();
    assert_eq!((part(0), started["roomId"].as_str()), (room.clone(), Some(room.as_str())));
    assert!(part(1).starts_with("EG_"), "{id}");
    assert!(location.ends_with(&format!("/meet/api/v1/recordings/{id}")), "{location}");
    assert_eq!((&started["status"], &started["roomName"]), (&"active".into(), &"Town Hall".into()));
    for absent in ["duration", "endDate", "size"] {
        assert_eq!(started.get(absent), None, "{started}");
    }
    assert_eq!(node.get(&format!("recordings/{id}")).await.expect(200), started);
    assert_eq!(node.recordings_of(room).await, [started]);

    let again = node.ask_to_record(room).await.message(409);
    assert!(again.contains("already"), "{again}");
    let early = node.call(Method::DELETE, &format!("recordings/{id}"), None).await.message(409);
    assert!(early.contains("not stopped yet"), "{early}");

    let stopped = node.stop(&id).await.expect(202);
    assert_eq!((&stopped["status"], &stopped["recordingId"]), (&"ending".into(), &id.as_str().into()));
    assert!(stopped["duration"].as_f64().unwrap() > 0.0, "{stopped}");
    let again = node.stop(&id).await.message(409);
    assert!(again.contains("already stopped"), "{again}");

    let complete = node.becomes(&id, "complete").await;
    let file = stack.blobs().join(format!("openvidu-meet/recordings/{room}/{room}--{}.mp4", part(2)));
    let content = std::fs::read(&file).unwrap();
    assert_eq!(complete["size"].as_f64(), Some(size(&content)));
    assert_eq!(complete["filename"].as_str(), file.file_name().unwrap().to_str());
    assert!(complete["endDate"].as_f64() > complete["startDate"].as_f64(), "{complete}");
    let seen = film::read(stack.tools(), &file);
    assert_eq!(seen.streams, ["audio aac", "video h264"]);
    assert!(seen.duration > 0.0);
    media_comes_whole_and_in_parts(node, &id, &content).await;

    node.call(Method::DELETE, &format!("recordings/{id}"), None).await.expect(200);
    assert_eq!(node.get(&format!("recordings/{id}")).await.status, 404);
    assert_eq!(node.media(&id, None).await.status, 404);
    assert!(!file.exists());
    meeting.node.ends_with_nothing_owed().await;
}

async fn media_comes_whole_and_in_parts(node: &Node, id: &str, content: &[u8]) {
    let last = content.len() - 1;
    let whole = node.media(id, None).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "video/mp4"));
    assert!(whole.body == content, "the media is not the file");
    let parts = [
        ("bytes=0-99".to_owned(), 0..=99),
        (format!("bytes=100-{}", last + 1000), 100..=last),
        ("bytes=200-".to_owned(), 200..=last),
        ("bytes=-50".to_owned(), last - 49..=last),
    ];
    for (range, expected) in parts {
        let part = node.media(id, Some(&range)).await;
        let shown = format!("bytes {}-{}/{}", expected.start(), expected.end(), content.len());
        assert_eq!((part.status, part.header("content-range")), (206, shown.as_str()), "{range}");
        assert!(part.body == content[expected], "{range} is another part of the file");
    }
    let beyond = node.media(id, Some(&format!("bytes={}-", content.len()))).await;
    let shown = format!("bytes */{}", content.len());
    assert_eq!((beyond.status, beyond.header("content-range")), (416, shown.as_str()));
    assert!(beyond.message(416).contains(&format!("File size: {}", content.len())));
}

#[allow(clippy::cast_precision_loss, reason = "files of tests are small")]
fn size(content: &[u8]) -> f64 {
    content.len() as f64
}

#[tokio::test]
async fn a_recording_goes_on_while_the_service_is_killed_and_started_again() {
    let mut meeting = Meeting::start(Webhooks::Arrive, &[]).await;
    let id = meeting.node.record(&meeting.room).await;
    meeting.node.crash().await;
    meeting.node.restart().await;
    assert_eq!(meeting.node.get(&format!("recordings/{id}")).await.expect(200)["status"], "active");
    assert!(meeting.node.ask_to_record(&meeting.room).await.message(409).contains("already"));
    meeting.node.stop(&id).await.expect(202);
    meeting.node.becomes(&id, "complete").await;
    meeting.node.ends_with_nothing_owed().await;
}
