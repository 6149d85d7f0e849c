//! Rooms as a whole: listed, configured, opened and closed; deleted by every policy; expired (contract `rooms.md`).

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::faults::CallTrouble;
use serde_json::{Value, json};

use crate::harness::{Reelkeeper, Sim, simulated, simulated_silent};
use crate::openapi::is_told;
use crate::receiver::Receiver;
use crate::wire::{Reply, eventually, try_send};

/// Sends JSON, with the API key.
async fn put(service: &Reelkeeper, path: &str, body: &Value) -> Reply {
    try_send(service.request("PUT", path).json(body)).await.unwrap()
}

/// A room with people in it, as its document says too.
async fn in_meeting(service: &Reelkeeper, sim: &Sim) -> String {
    let room = sim.room(service).await;
    until(service, &room, "active_meeting").await;
    room
}

async fn until(service: &Reelkeeper, room: &str, status: &str) -> Value {
    eventually(&format!("'{room}' is {status}"), async || {
        let found = service.call("GET", &format!("/api/v1/rooms/{room}")).await.json();
        (found["status"] == status).then_some(found)
    })
    .await
}

async fn until_gone(service: &Reelkeeper, path: &str) {
    eventually(&format!("{path} is gone"), async || {
        (service.call("GET", path).await.status == 404).then_some(())
    })
    .await;
}

/// Makes a recording that is complete.
async fn record(service: &Reelkeeper, room: &str) -> String {
    let id = service.start_recording(room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    id
}

fn end_meeting(sim: &Sim, room: &str) {
    sim.control.live().with(|world| world.delete_room(&RoomId::from_trusted(room)));
}

async fn delete(service: &Reelkeeper, room: &str, meeting: &str, recordings: &str) -> Reply {
    let path = format!("/api/v1/rooms/{room}?withMeeting={meeting}&withRecordings={recordings}");
    service.call("DELETE", &path).await
}

#[tokio::test]
async fn rooms_are_listed_in_pages_sorted_and_filtered() {
    let (service, _sim) = simulated(&[]).await;
    let mut ids = Vec::new();
    for name in ["b", "a", "c"] {
        let made =
            service.post("/api/v1/rooms", &json!({"roomName": format!("List {name}")})).await.expect(201);
        ids.push(made.field("roomId"));
    }
    let page =
        async |query: &str| service.call("GET", &format!("/api/v1/rooms?{query}")).await.expect(200).json();
    let names = |page: &Value| {
        let rooms = page["rooms"].as_array().unwrap().iter();
        rooms.map(|room| room["roomName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = page("sortField=roomName&sortOrder=asc&maxItems=2").await;
    assert_eq!(names(&first), ["List a", "List b"]);
    let token = first["pagination"]["nextPageToken"].as_str().unwrap();
    assert_eq!(
        (&first["pagination"]["isTruncated"], &first["pagination"]["maxItems"]),
        (&json!(true), &json!(2))
    );
    let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
    let second = page(&format!("sortField=roomName&sortOrder=asc&maxItems=2&nextPageToken={token}")).await;
    assert_eq!(names(&second), ["List c"]);
    assert_eq!(second["pagination"], json!({"isTruncated": false, "maxItems": 2}));
    assert_eq!(names(&page("roomName=IST%20C").await), ["List c"]);
    assert_eq!(names(&page("status=closed").await), Vec::<String>::new());
    assert_eq!(
        page("fields=roomId&maxItems=1&roomName=List%20a").await["rooms"],
        json!([{"roomId": ids[1]}])
    );
    assert!(page("").await["rooms"][0]["moderatorUrl"].as_str().unwrap().starts_with("http://"));
    for (query, field) in
        [("status=x", "status"), ("maxItems=0", "maxItems"), ("nextPageToken=x", "nextPageToken")]
    {
        let refused = service.call("GET", &format!("/api/v1/rooms?{query}")).await.expect(422).json();
        assert_eq!(refused["details"][0]["field"], field, "{refused}");
    }
    service.finish().await;
}

#[tokio::test]
async fn a_room_is_configured_while_nobody_meets_in_it() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    let path = format!("/api/v1/rooms/{room}/config");
    let change =
        json!({"config": {"chat": {"enabled": false}, "recording": {"enabled": true, "layout": "speaker"}}});
    assert!(put(&service, &path, &change).await.expect(200).json()["message"].is_string());
    let config = service.call("GET", &path).await.expect(200).json();
    assert_eq!(
        (&config["chat"]["enabled"], &config["recording"]["layout"]),
        (&json!(false), &json!("speaker"))
    );
    assert_eq!(config["recording"]["encoding"], "H264_720P_30", "what is left out stays");
    put(&service, &path, &json!({"config": {"e2ee": {"enabled": true}}})).await.expect(200);
    assert_eq!(service.call("GET", &path).await.json()["recording"]["enabled"], false);
    put(&service, &path, &json!({})).await.expect(422);
    put(&service, "/api/v1/rooms/none/config", &json!({"config": {}})).await.refused(
        404,
        "Room Error",
        "none",
    );

    let busy = in_meeting(&service, &sim).await;
    put(&service, &format!("/api/v1/rooms/{busy}/config"), &change).await.refused(
        409,
        "Room Error",
        "active meeting",
    );
    end_meeting(&sim, &busy);
    until(&service, &busy, "open").await;
    service.finish().await;
}

#[tokio::test]
async fn a_room_is_closed_at_once_or_when_its_meeting_ends() {
    let (service, sim) = simulated(&[]).await;
    let (quiet, busy) = (service.room().await, in_meeting(&service, &sim).await);
    let status = async |room: &str, status: &str| {
        put(&service, &format!("/api/v1/rooms/{room}/status"), &json!({"status": status})).await
    };
    let closed = status(&quiet, "closed").await.expect(200).json();
    assert_eq!(
        (&closed["room"]["status"], &closed["room"]["meetingEndAction"]),
        (&json!("closed"), &json!("none"))
    );
    assert_eq!(status(&quiet, "open").await.expect(200).json()["room"]["status"], "open");
    status(&quiet, "active_meeting").await.expect(422);
    status("none", "open").await.refused(404, "Room Error", "none");

    let waits = status(&busy, "closed").await.expect(202).json();
    assert_eq!(
        (&waits["room"]["status"], &waits["room"]["meetingEndAction"]),
        (&json!("active_meeting"), &json!("close"))
    );
    let opened = status(&busy, "open").await.expect(200).json();
    assert_eq!(
        (&opened["room"]["status"], &opened["room"]["meetingEndAction"]),
        (&json!("active_meeting"), &json!("none"))
    );
    status(&busy, "closed").await.expect(202);
    end_meeting(&sim, &busy);
    assert_eq!(until(&service, &busy, "closed").await["meetingEndAction"], "none");
    service.finish().await;
}

#[tokio::test]
async fn without_a_meeting_a_deletion_is_done_at_once() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    let deleted = service.call("DELETE", &format!("/api/v1/rooms/{room}")).await.expect(200).json();
    assert_eq!((&deleted["successCode"], deleted.get("room")), (&json!("room_deleted"), None));
    service.call("GET", &format!("/api/v1/rooms/{room}")).await.expect(404);
    service.call("DELETE", &format!("/api/v1/rooms/{room}")).await.refused(404, "Room Error", &room);

    let room = in_meeting(&service, &sim).await;
    let recording = record(&service, &room).await;
    end_meeting(&sim, &room);
    until(&service, &room, "open").await;
    delete(&service, &room, "force", "fail").await.refused(409, "room_has_recordings", &room);
    let closed = delete(&service, &room, "fail", "close").await.expect(200).json();
    assert_eq!(
        (&closed["successCode"], &closed["room"]["status"]),
        (&json!("room_closed"), &json!("closed"))
    );
    let deleted = delete(&service, &room, "fail", "force").await.expect(200).json();
    assert_eq!(deleted["successCode"], "room_and_recordings_deleted");
    service.call("GET", &format!("/api/v1/rooms/{room}")).await.expect(404);
    service.recording(&recording).await.expect(404);
    assert!(!service.file(&recording).exists(), "the file is gone");
    let bad = service.call("DELETE", "/api/v1/rooms/%2F?withMeeting=x").await.expect(422).json();
    let fields: Vec<_> =
        bad["details"].as_array().unwrap().iter().map(|fault| fault["field"].clone()).collect();
    assert_eq!(fields, ["", "withMeeting"]);
    service.finish().await;
}

#[tokio::test]
async fn during_a_meeting_a_deletion_waits_or_ends_it() {
    let (service, sim) = simulated(&[]).await;
    let room = in_meeting(&service, &sim).await;
    delete(&service, &room, "fail", "force").await.refused(409, "room_has_active_meeting", &room);
    let waits = delete(&service, &room, "when_meeting_ends", "fail").await.expect(202).json();
    assert_eq!(waits["successCode"], "room_with_active_meeting_scheduled_to_be_deleted");
    assert_eq!(
        (&waits["room"]["status"], &waits["room"]["meetingEndAction"]),
        (&json!("active_meeting"), &json!("delete"))
    );
    end_meeting(&sim, &room);
    until_gone(&service, &format!("/api/v1/rooms/{room}")).await;

    let room = in_meeting(&service, &sim).await;
    let ended = delete(&service, &room, "force", "fail").await.expect(200).json();
    assert_eq!(
        (&ended["successCode"], ended.get("room")),
        (&json!("room_with_active_meeting_deleted"), None)
    );
    assert_eq!(sim.calls(&room, Method::DeleteRoom).len(), 1);
    until_gone(&service, &format!("/api/v1/rooms/{room}")).await;
    service.finish().await;
}

#[tokio::test]
async fn recordings_decide_what_a_meetings_end_leaves() {
    let (service, sim) = simulated(&[]).await;
    let room = in_meeting(&service, &sim).await;
    let recording = record(&service, &room).await;
    for (meeting, recordings, error) in [
        ("fail", "force", "room_with_recordings_has_active_meeting"),
        ("when_meeting_ends", "fail", "room_with_active_meeting_has_recordings_cannot_schedule_deletion"),
        ("force", "fail", "room_with_active_meeting_has_recordings"),
    ] {
        delete(&service, &room, meeting, recordings).await.refused(409, error, &room);
    }
    let waits = delete(&service, &room, "when_meeting_ends", "close").await.expect(202).json();
    assert_eq!(
        (&waits["successCode"], &waits["room"]["meetingEndAction"]),
        (&json!("room_with_active_meeting_scheduled_to_be_closed"), &json!("close"))
    );
    let waits = delete(&service, &room, "when_meeting_ends", "force").await.expect(202).json();
    assert_eq!(waits["successCode"], "room_with_active_meeting_and_recordings_scheduled_to_be_deleted");
    end_meeting(&sim, &room);
    until_gone(&service, &format!("/api/v1/rooms/{room}")).await;
    service.recording(&recording).await.expect(404);

    let room = in_meeting(&service, &sim).await;
    record(&service, &room).await;
    let ended = delete(&service, &room, "force", "close").await.expect(200).json();
    assert_eq!(
        (&ended["successCode"], &ended["room"]["status"]),
        (&json!("room_with_active_meeting_closed"), &json!("active_meeting"))
    );
    until(&service, &room, "closed").await;

    // Scheduled while there are none: what is recorded later is not lost.
    let room = in_meeting(&service, &sim).await;
    delete(&service, &room, "when_meeting_ends", "close").await.expect(202);
    let late = record(&service, &room).await;
    end_meeting(&sim, &room);
    until(&service, &room, "closed").await;
    service.recording(&late).await.expect(200);
    service.finish().await;
}

#[tokio::test]
async fn a_recording_that_runs_goes_with_its_room() {
    let receiver = Receiver::run(&[]).await;
    let (service, sim) = simulated(&receiver.settings()).await;
    let room = in_meeting(&service, &sim).await;
    let recording = service.start_recording(&room).await.expect(201).id();
    let ended = delete(&service, &room, "force", "force").await.expect(200).json();
    assert_eq!(ended["successCode"], "room_with_active_meeting_and_recordings_deleted");
    until_gone(&service, &format!("/api/v1/recordings/{recording}")).await;
    until_gone(&service, &format!("/api/v1/rooms/{room}")).await;
    eventually("its late file is gone too", async || {
        let rows = service.rows().await;
        (rows.is_empty() && !service.file(&recording).exists()).then_some(())
    })
    .await;
    service.finish().await;
}

#[tokio::test]
async fn several_rooms_are_deleted_each_for_itself() {
    let (service, sim) = simulated(&[]).await;
    let (one, other, busy) = (service.room().await, service.room().await, in_meeting(&service, &sim).await);
    let path = format!("/api/v1/rooms?roomIds={one},%20{other},{one},none,{busy}");
    let told = service.call("DELETE", &path).await.expect(400).json();
    assert_eq!(
        told["successful"].as_array().unwrap().iter().map(|t| &t["roomId"]).collect::<Vec<_>>(),
        [&json!(one), &json!(other)]
    );
    let failed = told["failed"].as_array().unwrap();
    assert_eq!(
        failed.iter().map(|t| &t["error"]).collect::<Vec<_>>(),
        ["Room Error", "room_has_active_meeting"]
    );
    let waits =
        service.call("DELETE", &format!("/api/v1/rooms?roomIds={busy}&withMeeting=when_meeting_ends")).await;
    assert_eq!(waits.expect(200).json()["successful"][0]["room"]["meetingEndAction"], "delete");
    end_meeting(&sim, &busy);
    until_gone(&service, &format!("/api/v1/rooms/{busy}")).await;
    let (a, b) = (service.room().await, service.room().await);
    service.call("DELETE", &format!("/api/v1/rooms?roomIds={a}&roomIds={b}")).await.expect(200);
    for bad in ["", "?roomIds=", "?roomIds=,%2F"] {
        service.call("DELETE", &format!("/api/v1/rooms{bad}")).await.expect(422);
    }
    service.finish().await;
}

#[tokio::test]
async fn an_expired_room_is_deleted_by_its_own_policy() {
    let settings = [("REELKEEPER_MIN_AUTO_DELETE", "0s"), ("REELKEEPER_ROOMS_GC_INTERVAL", "200ms")];
    let (service, sim) = simulated(&settings).await;
    let soon = async || {
        let date = crate::bearers::now() * 1_000 + 1_500;
        service.post("/api/v1/rooms", &json!({"autoDeletionDate": date})).await.expect(201).field("roomId")
    };
    let (quiet, busy) = (soon().await, soon().await);
    sim.people(&busy);
    until(&service, &busy, "active_meeting").await;
    until_gone(&service, &format!("/api/v1/rooms/{quiet}")).await;
    eventually("what follows the meeting is decided", async || {
        let room = service.call("GET", &format!("/api/v1/rooms/{busy}")).await.json();
        (room["meetingEndAction"] == "delete").then_some(())
    })
    .await;
    end_meeting(&sim, &busy);
    until_gone(&service, &format!("/api/v1/rooms/{busy}")).await;
    service.finish().await;
}

#[tokio::test]
async fn a_meeting_whose_end_nobody_told_is_found_over() {
    let (service, sim) = simulated(&[("REELKEEPER_ROOM_STATUS_GC_INTERVAL", "200ms")]).await;
    let room = service.room().await;
    let started = json!({"event": "room_started", "id": "EV_1", "room": {"name": room, "sid": "RM_1"}});
    service.tell(&started).await.expect(200);
    let closed = put(&service, &format!("/api/v1/rooms/{room}/status"), &json!({"status": "closed"})).await;
    assert!([200, 202].contains(&closed.status), "{}", closed.text());
    until(&service, &room, "closed").await;
    drop(sim);
    service.finish().await;
}

#[tokio::test]
async fn a_meeting_is_told_in_two_notices() {
    let receiver = Receiver::run(&[]).await;
    let (service, sim) = simulated(&receiver.settings()).await;
    let room = in_meeting(&service, &sim).await;
    end_meeting(&sim, &room);
    until(&service, &room, "open").await;
    let told = eventually("both are told", async || {
        let about: Vec<_> =
            receiver.all().into_iter().filter(|r| r.body["data"]["roomId"] == room.as_str()).collect();
        (about.len() >= 2).then_some(about)
    })
    .await;
    for received in &told {
        is_told(&received.body);
    }
    let words: Vec<_> = told.iter().map(crate::receiver::Received::word).collect();
    assert_eq!(words, ["meetingStarted active_meeting", "meetingEnded open"]);
    let url = told[0].body["data"]["moderatorUrl"].as_str().unwrap();
    assert!(url.starts_with("http://") && url.contains(&format!("/meet/room/{room}?secret=")), "{url}");
    assert!(
        told[0].body["data"].get("lastMeeting").is_none() && told[0].body["data"].get("meetings").is_none()
    );
    service.finish().await;
}

#[tokio::test]
async fn a_meeting_that_could_not_be_ended_takes_no_room_with_it_later() {
    let (service, sim) = simulated(&[]).await;
    let room = in_meeting(&service, &sim).await;
    sim.trouble(&room, Method::DeleteRoom, CallTrouble::Error(Refusal::new("unavailable", "not now")));
    delete(&service, &room, "force", "force").await.expect(503);
    let shown = service.call("GET", &format!("/api/v1/rooms/{room}")).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["meetingEndAction"]), (&json!("active_meeting"), &json!("none")));
    delete(&service, &room, "force", "force").await.expect(200);
    until_gone(&service, &format!("/api/v1/rooms/{room}")).await;
    service.finish().await;
}

/// Before its deletion could be carried out, and before anybody told of the new meeting.
#[tokio::test]
async fn who_meets_again_keeps_the_room_for_as_long() {
    let (service, sim) = simulated_silent(&[("REELKEEPER_REQUEST_TIMEOUT", "1s")]).await;
    let room = sim.room(&service).await;
    let tell = |name: &str| json!({"event": name, "id": name, "room": {"name": room, "sid": "RM_1"}});
    service.tell(&tell("room_started")).await.expect(200);
    let id = record(&service, &room).await;
    delete(&service, &room, "when_meeting_ends", "force").await.expect(202);
    let path = format!("/api/v1/rooms/{room}");
    let looks = || {
        let calls = sim.control.live().with(|world| world.calls());
        calls.iter().filter(|call| call.method == Method::ListRooms).count()
    };

    // Its file cannot be reached: its folder leads in a circle.
    let shelf = service.file(&id).parent().unwrap().to_owned();
    let moved = shelf.with_extension("moved");
    std::fs::rename(&shelf, &moved).unwrap();
    std::os::unix::fs::symlink(&shelf, &shelf).unwrap();
    let before = looks();
    service.tell(&tell("room_finished")).await.expect(200);
    // The people are still, or again, in LiveKit's room.
    eventually("the deletion is tried again", async || (looks() > before).then_some(())).await;
    std::fs::remove_file(&shelf).unwrap();
    std::fs::rename(&moved, &shelf).unwrap();
    let seen = looks();
    eventually("and again", async || (looks() > seen).then_some(())).await;
    assert_eq!(service.call("GET", &path).await.expect(200).json()["meetingEndAction"], "delete");
    end_meeting(&sim, &room);
    until_gone(&service, &path).await;
    service.recording(&id).await.expect(404);
    service.finish().await;
}
