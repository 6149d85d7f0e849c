//! The happy path, with every field of every body and every header (contract `recordings.md` 1 and 2,
//! `rooms.md` 1, 2 and 4, `access.md` 7).

use futures::future::join_all;
use livekit_protocol::EgressStatus;
use reelkeeper_actors::ids::RoomId;
use serde_json::{Value, json};

use crate::harness::{Reelkeeper, simulated, size};
use crate::livekit::{Method, Scripted, Shows, uid};
use crate::wire::{Reply, try_send};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
}

#[tokio::test]
async fn a_room_has_every_field_of_the_contract() {
    let (service, _sim) = simulated(&[]).await;
    let made = service.post("/api/v1/rooms", &json!({"roomName": "  Møde   Åse "})).await.expect(201);
    let room = made.json();
    let id = room["roomId"].as_str().unwrap();
    let (prefix, random) = id.split_once('-').unwrap();
    assert_eq!(prefix, "mde_ase");
    assert!(
        random.len() == 15 && random.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        "{id}"
    );
    let base = format!("http://{}/meet", service.address);
    assert_eq!(made.header("location"), format!("{base}/api/v1/rooms/{id}"));
    assert_eq!(made.header("content-type"), "application/json");

    let secret_of = |url: &str| {
        let url = room[url].as_str().unwrap();
        url.strip_prefix(&format!("{base}/room/{id}?secret=")).unwrap().to_owned()
    };
    let secrets = ["moderatorUrl", "speakerUrl"].map(secret_of);
    assert!(secrets.iter().all(|secret| is_hex(secret, 10)), "{secrets:?}");
    assert_ne!(secrets[0], secrets[1]);
    let created = room["creationDate"].as_i64().unwrap();
    assert!(created > 1_700_000_000_000, "{created}");
    let expected = json!({
        "roomId": id,
        "roomName": "Møde Åse",
        "creationDate": created,
        "autoDeletionPolicy": {"withMeeting": "when_meeting_ends", "withRecordings": "close"},
        "config": {
            "recording": {
                "enabled": true,
                "layout": "grid",
                "encoding": "H264_720P_30",
                "allowAccessTo": "admin_moderator_speaker",
            },
            "chat": {"enabled": true},
            "virtualBackground": {"enabled": true},
            "captions": {"enabled": true},
            "e2ee": {"enabled": false},
        },
        "moderatorUrl": room["moderatorUrl"],
        "speakerUrl": room["speakerUrl"],
        "status": "open",
        "meetingEndAction": "none",
    });
    assert_eq!(room, expected);
    assert_eq!(service.call("GET", &format!("/api/v1/rooms/{id}")).await.expect(200).json(), room);
    service.finish().await;
}

#[tokio::test]
async fn what_a_room_is_made_with_is_kept() {
    let (service, _sim) = simulated(&[]).await;
    let date = 4_102_444_800_000.5;
    let encoding = json!({
        "video": {"width": 640, "height": 360, "framerate": 12.5, "codec": "VP8", "bitrate": 500,
            "keyFrameInterval": 2, "depth": 24},
        "audio": {"codec": "OPUS", "bitrate": 96, "frequency": 48_000},
    });
    let policy = json!({"withMeeting": "force", "withRecordings": "force"});
    let body = json!({
        "roomName": "a-b c", "autoDeletionDate": date, "autoDeletionPolicy": policy, "unknown": 1,
        "config": {"recording": {"enabled": true, "layout": "speaker", "encoding": encoding,
            "allowAccessTo": "admin"}, "chat": {"enabled": false}},
    });
    let room = service.post("/api/v1/rooms", &body).await.expect(201).json();
    assert!(room["roomId"].as_str().unwrap().starts_with("a_b_c-"), "{room}");
    let kept = ["autoDeletionDate", "autoDeletionPolicy"].map(|field| &room[field]);
    assert_eq!(kept, [&json!(date), &policy]);
    assert_eq!(room["config"]["recording"]["encoding"], encoding);
    assert_eq!(room["config"]["recording"]["layout"], "speaker");
    assert_eq!(room["config"]["chat"]["enabled"], false);
    assert!(room.get("unknown").is_none());

    // End-to-end encryption turns recording off (contract `rooms.md` 2), so a start is refused.
    let secret = json!({"config": {"recording": {"enabled": true}, "e2ee": {"enabled": true}}});
    let secret = service.post("/api/v1/rooms", &secret).await.expect(201).json();
    assert_eq!(secret["config"]["recording"]["enabled"], false);
    assert_eq!(secret["roomName"], "Room");
    let id = secret["roomId"].as_str().unwrap();
    service.start_recording(id).await.refused(403, "Recording Error", id);
    service.finish().await;
}

#[tokio::test]
async fn a_recording_from_its_start_to_its_deletion() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let base = format!("http://{}/meet/api/v1/recordings", service.address);

    let started = service.start_recording(&room).await.expect(201);
    let id = started.id();
    let [id_room, egress, uid] = id.split("--").collect::<Vec<_>>()[..] else { panic!("{id}") };
    assert_eq!(id_room, room);
    assert!(egress.starts_with("EG_"), "{id}");
    assert!(is_hex(uid, 10), "{id}");
    assert_eq!(started.header("location"), format!("{base}/{id}"));
    let active = started.json();
    let start_date = active["startDate"].as_f64().unwrap();
    assert!(start_date > 1_700_000_000_000.0, "{active}");
    let expected = json!({
        "recordingId": id, "roomId": room, "roomName": "Town Hall", "status": "active", "layout": "grid",
        "encoding": "H264_720P_30", "filename": format!("{room}--{uid}.mp4"), "startDate": active["startDate"],
    });
    assert_eq!(active, expected);
    assert_eq!(service.recording(&id).await.expect(200).json(), active);
    service.media(&id).send().await.unwrap().error_for_status().unwrap_err();
    service.delete(&id).await.refused(409, "Recording Error", "not stopped yet");

    let stopped = service.stop_recording(&id).await.expect(202);
    assert_eq!(stopped.header("location"), format!("{base}/{id}"));
    assert_eq!(stopped.id(), id);
    assert_eq!(stopped.field("status"), "ending");

    let complete = service.until(&id, "complete").await;
    let file = service.file(&id);
    let expected = json!({
        "recordingId": id, "roomId": room, "roomName": "Town Hall", "status": "complete", "layout": "grid",
        "encoding": "H264_720P_30", "filename": format!("{room}--{uid}.mp4"), "startDate": start_date,
        "endDate": complete["endDate"], "duration": 4, "size": size(&file),
        "details": "End reason: StopEgress API",
    });
    assert_eq!(complete, expected);
    assert!(complete["endDate"].as_f64().unwrap() > start_date, "{complete}");

    let whole = try_send(service.media(&id)).await.unwrap().expect(200);
    assert_eq!(whole.body, std::fs::read(&file).unwrap());
    let list = service.call("GET", "/api/v1/recordings").await.expect(200).json();
    assert_eq!(list, json!({"recordings": [complete], "pagination": {"isTruncated": false, "maxItems": 10}}));
    service.stop_recording(&id).await.refused(409, "Recording Error", "already stopped");

    let deleted = service.delete(&id).await.expect(200);
    assert_eq!(keys(&deleted.json()), ["message"]);
    assert!(!file.exists());
    for gone in
        [service.recording(&id).await, service.delete(&id).await, try_send(service.media(&id)).await.unwrap()]
    {
        gone.refused(404, "Recording Error", "not found");
    }
    // A stop asks LiveKit, which still shows the egress.
    service.stop_recording(&id).await.refused(409, "Recording Error", "already stopped");
    service.finish().await;
}

/// A recording in a room with a scripted LiveKit, as the answers to start and stop and at the end.
async fn recorded(service: &Reelkeeper, livekit: &Scripted, start: &Value) -> [Reply; 3] {
    let room = start["roomId"].as_str().unwrap();
    livekit.people(room);
    let started = service.post("/api/v1/recordings", start).await.expect(201);
    let id = started.id();
    service.write_file(&id, b"a file");
    let stopped = service.stop_recording(&id).await.expect(202);
    livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressComplete);
    service.until(&id, "complete").await;
    [started, stopped, service.recording(&id).await]
}

#[tokio::test]
async fn numbers_are_livekits_nanoseconds_as_javascript_divides_them() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let room = service.room().await;
    let [started, stopped, complete] = recorded(&service, &livekit, &json!({"roomId": room})).await;
    // As text: a number that is read again may hide how it was written.
    let start = r#""startDate":1700000000123.4568"#;
    for reply in [&started, &stopped, &complete] {
        assert!(reply.text().contains(start), "{}", reply.text());
    }
    for fragment in [r#""endDate":1700000007000,"#, r#""duration":6.543210987,"#, r#""size":1234567"#] {
        assert!(complete.text().contains(fragment), "{fragment} is not in {}", complete.text());
    }
    service.finish().await;
}

#[tokio::test]
async fn layout_and_encoding_are_the_starts_else_the_rooms() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let of_room = json!({"enabled": true, "layout": "speaker", "encoding": "PORTRAIT_H264_1080P_60"});
    let advanced = json!({
        "video": {"width": 640, "height": 360, "framerate": 15, "codec": "H264_HIGH", "bitrate": 500,
            "keyFrameInterval": 2, "depth": 24},
        "audio": {"codec": "AAC", "bitrate": 96, "frequency": 48_000},
    });
    let cases = [
        (json!({}), ("speaker", json!("PORTRAIT_H264_1080P_60"))),
        (json!({"layout": "single-speaker"}), ("single-speaker", json!("PORTRAIT_H264_1080P_60"))),
        (json!({"encoding": "H264_720P_30"}), ("speaker", json!("H264_720P_30"))),
        (json!({"encoding": advanced}), ("speaker", advanced.clone())),
    ];
    let checks = cases.map(async |(config, (layout, encoding))| {
        let room = json!({"config": {"recording": of_room}});
        let room = service.post("/api/v1/rooms", &room).await.expect(201).field("roomId");
        let start = json!({"roomId": room, "config": config});
        for reply in recorded(&service, &livekit, &start).await {
            assert_eq!(
                (reply.field("layout").as_str(), &reply.json()["encoding"]),
                (layout, &encoding),
                "{config}"
            );
        }
    });
    join_all(checks).await;
    service.finish().await;
}

#[tokio::test]
async fn livekit_is_asked_once_for_the_path_that_the_contract_names() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_BLOBS_SUBBUCKET", "other")]).await;
    let room = service.room().await;
    livekit.people(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    let calls = livekit.calls(&room, Method::Start);
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(call.path, format!("other/recordings/{room}/{room}--{}", uid(&call.path)));
    assert!(id.ends_with(&uid(&call.path)), "{id}");
    service.stop_recording(&id).await.expect(202);
    livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
    service.until(&id, "failed").await;
    service.finish().await;
}

/// LiveKit says only id, status and room of an egress, or shows every egress in every list.
#[tokio::test]
async fn a_livekit_that_says_little_or_too_much_will_do() {
    for shows in [Shows::Little, Shows::Unfiltered] {
        let livekit = Scripted::run(shows).await;
        let service = Reelkeeper::start(&livekit.url, &[]).await;
        let rooms = [service.room().await, service.room().await];
        for room in [&rooms[0], &rooms[0], &rooms[1]] {
            let [started, stopped, complete] = recorded(&service, &livekit, &json!({"roomId": room})).await;
            assert_eq!(started.field("status"), "active");
            assert_eq!(stopped.field("status"), "ending");
            for reply in [started, stopped, complete] {
                assert_eq!(reply.field("roomName"), "Town Hall");
                assert_eq!(reply.field("roomId"), *room);
                assert!(reply.json().get("filename").is_some(), "{}", reply.text());
            }
        }
        service.finish().await;
    }
}

/// As `dev` and `demo` run it: LiveKit is simulated in the service's own process.
#[tokio::test]
async fn the_simulated_livekit_of_the_service_itself_records() {
    let service = Reelkeeper::start("sim://", &[]).await;
    let room = service.room().await;
    service.start_recording(&room).await.refused(409, "Recording Error", "has no participants");
    let simulator = service.simulator.clone().unwrap();
    simulator.add_room(&RoomId::from_trusted(&*room), "", 2).unwrap();
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    assert!(size(&service.file(&id)) > 0);
    assert!(try_send(service.bare("GET", "/readyz")).await.unwrap().expect(200).json()["ready"] == true);
    service.finish().await;
}

#[tokio::test]
async fn paths_ignore_case_and_one_slash_and_head_is_served_like_get() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    let cases = [
        ("GET", "/HEALTH".to_owned(), 200),
        ("GET", "/Health/".to_owned(), 200),
        ("GET", format!("/Api/V1/Rooms/{room}/"), 200),
        ("GET", format!("/API/v1/recordings/{id}/"), 200),
        ("GET", format!("/api/v1/RECORDINGS/{id}/MEDIA/"), 200),
        ("GET", "/api/v1/recordings/".to_owned(), 200),
        ("GET", "/api/v1/recordings//".to_owned(), 404),
        ("GET", format!("/api/v1/recordings/{}", id.to_uppercase()), 404),
    ];
    for (verb, path, status) in cases {
        let got = service.call(verb, &path).await.expect(status);
        let head = service.call("HEAD", &path).await.expect(status);
        assert_eq!(head.body.len(), 0, "{path}");
        for name in ["content-type", "accept-ranges", "cache-control", "content-length"] {
            assert_eq!(head.header(name), got.header(name), "{name} of {path}");
        }
    }
    service.finish().await;
}

#[tokio::test]
async fn lists_are_the_newest_first_in_pages() {
    let (service, sim) = simulated(&[]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let room = sim.room(&service).await;
        let id = service.start_recording(&room).await.expect(201).id();
        service.stop_recording(&id).await.expect(202);
        service.until(&id, "complete").await;
        ids.insert(0, id);
    }
    let cases = [
        ("", 10, 3, false),
        ("?maxItems=2", 2, 2, true),
        ("?maxItems=3.9", 3, 3, false),
        ("?maxItems=1000", 100, 3, false),
    ];
    for (query, max, shown, truncated) in cases {
        let page = service.call("GET", &format!("/api/v1/recordings{query}")).await.expect(200).json();
        let listed: Vec<_> = page["recordings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["recordingId"].as_str().unwrap())
            .collect();
        assert_eq!(listed, ids[..shown], "{query}");
        assert_eq!(page["pagination"]["isTruncated"], truncated, "{query}");
        assert_eq!(page["pagination"]["maxItems"], max, "{query}");
    }
    let fields = service.call("GET", "/api/v1/recordings?fields=status,%20roomId&maxItems=1").await.json();
    assert_eq!(keys(&fields["recordings"][0]).len(), 2, "{fields}");
    service.finish().await;
}
