//! A meeting held and recorded over the API alone, without the API key: who runs it logs in, who takes part
//! has a secret (contract `rooms.md` 3, 6, 7 and 9).

use reelkeeper_actors::ids::RoomId;
use serde_json::{Value, json};

use crate::bearers::{Shown, ask_for_token, claims, login, send};
use crate::harness::{Reelkeeper, Sim, simulated, simulated_silent};
use crate::wire::{client, eventually, try_send};

/// A room's link as its people get it.
fn secret_in(room: &Value, url: &str) -> String {
    room[url].as_str().unwrap().split_once("?secret=").unwrap().1.to_owned()
}

async fn until(service: &Reelkeeper, shown: &Shown, path: &str, status: &str) -> Value {
    eventually(&format!("{path} is {status}"), async || {
        let found = send(service, "GET", path, shown, &Value::Null).await.expect(200).json();
        (found["status"] == status).then_some(found)
    })
    .await
}

/// Comes into the meeting as a browser does, and returns how to leave it.
async fn join(sim: &Sim, token: &str) -> String {
    let request = client().post(format!("{}/control/join", sim.url)).json(&json!({"token": token}));
    let identity = try_send(request).await.unwrap().expect(201).field("identity");
    let room = claims(token)["video"]["room"].as_str().unwrap().to_owned();
    format!("{}/control/rooms/{room}/participants/{identity}", sim.url)
}

#[tokio::test]
async fn a_meeting_is_held_and_recorded_over_the_api_alone() {
    let settings = [("REELKEEPER_INITIAL_API_KEY", ""), ("MEETING_DEPARTURE_TIMEOUT", "1s")];
    let (service, sim) = simulated(&settings).await;
    let admin = Shown::access(&login(&service, "admin", "admin").await.access);
    let room = send(&service, "POST", "/api/v1/rooms", &admin, &json!({"roomName": "Town Hall"})).await;
    let room = room.expect(201).json();
    let id = room["roomId"].as_str().unwrap();
    let path = format!("/api/v1/rooms/{id}");

    let mut tokens = Vec::new();
    for (url, name) in [("moderatorUrl", "Ann"), ("speakerUrl", "Bob")] {
        let body = json!({"secret": secret_in(&room, url), "grantJoinMeetingPermission": true,
            "participantName": name});
        tokens.push(ask_for_token(&service, id, &body).await.expect(200).field("token"));
    }
    let [moderator, speaker] = [Shown::member(&tokens[0]), Shown::member(&tokens[1])];
    until(&service, &moderator, &path, "active_meeting").await;
    let places = [join(&sim, &tokens[0]).await, join(&sim, &tokens[1]).await];

    let start = json!({"roomId": id});
    send(&service, "POST", "/api/v1/recordings", &speaker, &start).await.refused(
        403,
        "Authorization Error",
        "",
    );
    let started = send(&service, "POST", "/api/v1/recordings", &moderator, &start).await.expect(201);
    assert_eq!(started.field("status"), "active");
    let recording = format!("/api/v1/recordings/{}", started.id());
    send(&service, "POST", &format!("{recording}/stop"), &moderator, &Value::Null).await.expect(202);
    let complete = until(&service, &speaker, &recording, "complete").await;
    let media =
        send(&service, "GET", &format!("{recording}/media"), &speaker, &Value::Null).await.expect(200);
    assert_eq!(media.body.len() as u64, complete["size"].as_u64().unwrap());
    assert_eq!(media.body.get(4..8), Some(b"ftyp".as_slice()));

    for place in places {
        try_send(client().delete(place)).await.unwrap().expect(204);
    }
    until(&service, &moderator, &path, "open").await;
    send(&service, "DELETE", &recording, &moderator, &Value::Null).await.expect(200);
    send(&service, "GET", &recording, &admin, &Value::Null).await.refused(404, "Recording Error", "");
    service.finish().await;
}

/// Whether LiveKit has the room.
#[derive(PartialEq, Eq)]
enum Meets {
    Yes,
    No,
}

#[tokio::test]
async fn news_of_a_meeting_that_come_late_or_twice_change_nothing() {
    let (service, sim) = simulated_silent(&[]).await;
    let room = service.room().await;
    let path = format!("/api/v1/rooms/{room}");
    let tell = |name: &str, sid: &str| json!({"event": name, "id": format!("EV_{name}_{sid}"), "room": {"name": room, "sid": sid}});
    let story = [
        (Meets::Yes, "room_started", "RM_1", "active_meeting"),
        (Meets::Yes, "room_started", "RM_1", "active_meeting"),
        (Meets::No, "room_finished", "RM_1", "open"),
        (Meets::No, "room_started", "RM_1", "open"),
        (Meets::Yes, "room_started", "RM_2", "active_meeting"),
        (Meets::Yes, "room_finished", "RM_1", "active_meeting"),
        // Nobody told of the beginning of the third.
        (Meets::No, "room_finished", "RM_3", "open"),
        (Meets::No, "room_finished", "RM_3", "open"),
        // And this LiveKit gives two meetings the same sid.
        (Meets::Yes, "room_started", "RM_3", "active_meeting"),
        (Meets::No, "room_finished", "RM_3", "open"),
    ];
    for (meets, name, sid, expected) in story {
        sim.control.live().with(|world| world.delete_room(&RoomId::from_trusted(&room)));
        if meets == Meets::Yes {
            sim.people(&room);
        }
        service.tell(&tell(name, sid)).await.expect(200);
        let shown = service.call("GET", &path).await.expect(200).json();
        assert_eq!(shown["status"], expected, "{name} {sid}");
        assert_eq!(shown.get("lastMeeting"), None, "what is ours alone is not shown");
    }
    let foreign = json!({"event": "room_started", "room": {"name": "not-ours", "sid": "RM_3"}});
    service.tell(&foreign).await.expect(200);
    service.finish().await;
}
