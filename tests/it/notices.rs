//! Outgoing notices: order, body, headers and signature, receivers that refuse, hang or are away, restarts;
//! and the signals to those in a meeting (contract `recordings.md` 6 and 7).

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::rooms::NewParticipant;
use serde_json::{Value, json};

use crate::bearers::{Shown, login, send};
use crate::harness::{API_KEY, Reelkeeper, Sim, folder, quick, simulated};
use crate::openapi::is_told;
use crate::receiver::{Received, Receiver, signature};
use crate::wire::eventually;

/// Waits until the end of a recording was taken; everything about it.
async fn until_ended(receiver: &Receiver, id: &str) -> Vec<Received> {
    eventually("the end is told", async || {
        let about = receiver.about(id);
        for received in &about {
            is_told(&received.body);
        }
        let ended =
            |received: &Received| received.answered == 200 && received.word() == "recordingEnded complete";
        about.iter().any(ended).then_some(about)
    })
    .await
}

const ALL: [&str; 4] = [
    "recordingStarted starting",
    "recordingUpdated active",
    "recordingUpdated ending",
    "recordingEnded complete",
];

fn words(received: &[Received]) -> Vec<String> {
    received.iter().map(Received::word).collect()
}

async fn record(service: &Reelkeeper, sim: &Sim) -> (String, String) {
    let room = sim.room(service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    (room, id)
}

#[tokio::test]
async fn a_recording_is_told_in_four_signed_notices() {
    let receiver = Receiver::run(&[]).await;
    let (service, sim) = simulated(&receiver.settings()).await;
    let (room, id) = record(&service, &sim).await;
    let told = until_ended(&receiver, &id).await;
    assert_eq!(words(&told), ALL);
    for (received, number) in told.iter().zip([1, 2, 3, 5]) {
        assert_eq!(received.id, format!("{id}.{number}"));
        assert_eq!(received.timestamp, received.body["creationDate"].to_string());
        assert_eq!(
            received.signature,
            signature(API_KEY, &received.timestamp, &received.text),
            "{}",
            received.text
        );
        let keys: Vec<_> = received.body.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["event", "creationDate", "data"]);
        assert_eq!(received.body["data"]["roomId"], room);
        assert!(received.body["data"].get("accessSecrets").is_none());
    }
    let shown = service.recording(&id).await.json();
    assert_eq!(told[3].body["data"], shown, "the last notice shows what the document shows");
    service.finish().await;
}

#[tokio::test]
async fn those_in_the_meeting_hear_each_step_once() {
    let (service, sim) = simulated(&[]).await;
    let (room, id) = record(&service, &sim).await;
    let signals = eventually("all signals", async || {
        let mut calls = sim.calls(&room, Method::SendData);
        calls.retain(|call| call.data.as_ref().is_some_and(|message| message.topic != "roomStatus"));
        (calls.len() >= 4).then_some(calls)
    })
    .await;
    let said: Vec<_> = signals
        .iter()
        .map(|call| {
            let message = call.data.as_ref().unwrap();
            assert!(message.to.is_empty(), "everybody hears it");
            let payload: Value = serde_json::from_str(&message.payload).unwrap();
            assert_eq!(
                (&payload["roomId"], &payload["roomName"]),
                (&room.clone().into(), &room.clone().into())
            );
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (message.topic.clone(), text(&payload["status"]), text(&payload["id"]))
        })
        .collect();
    let expected = [
        ("recordingStarting", "STARTING", ""),
        ("recordingStarted", "STARTED", &id),
        ("recordingStopping", "STOPPING", &id),
        ("recordingStopped", "READY", &id),
    ];
    let expected = expected.map(|(topic, status, id)| (topic.to_owned(), status.to_owned(), id.to_owned()));
    assert_eq!(said, expected);
    service.finish().await;
}

/// What they and nobody else are told: LiveKit's message, and its payload.
async fn welcome(sim: &Sim, room: &str, identity: &str) -> Value {
    let id = RoomId::from_trusted(room);
    let joined = sim.control.live().with(|world| world.join(&id, NewParticipant::person(identity)));
    let sid = joined.unwrap().sid;
    let message = eventually("the status of the room is told", async || {
        let mut messages = sim.calls(room, Method::SendData).into_iter().filter_map(|call| call.data);
        messages.find(|message| message.to == [sid.clone()])
    });
    let message = message.await;
    assert_eq!(message.topic, "roomStatus");
    serde_json::from_str(&message.payload).unwrap()
}

#[tokio::test]
async fn whoever_comes_in_hears_of_the_ten_newest_recordings() {
    let (service, sim) = simulated(&[]).await;
    let (_, other) = record(&service, &sim).await;
    let room = sim.room(&service).await;
    assert_eq!(
        welcome(&sim, &room, "early").await,
        json!({"isRecordingStarted": false, "recordingList": []})
    );
    let mut ids = Vec::new();
    for _ in 0..11 {
        let id = service.start_recording(&room).await.expect(201).id();
        if ids.len() < 10 {
            service.stop_recording(&id).await.expect(202);
            service.until(&id, "complete").await;
        }
        ids.insert(0, id);
    }
    let told = welcome(&sim, &room, "late").await;
    assert_eq!(told["isRecordingStarted"], true);
    let list = told["recordingList"].as_array().unwrap();
    let listed: Vec<_> = list.iter().map(|told| told["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids[..10]);
    assert!(!listed.contains(&other.as_str()));
    assert_eq!((&list[0]["status"], &list[1]["status"]), (&json!("STARTED"), &json!("READY")));
    assert_eq!((&list[1]["roomId"], &list[1]["roomName"]), (&json!(room), &json!(room)));
    let complete = service.recording(&ids[1]).await.json();
    assert_eq!((&list[1]["size"], &list[1]["filename"]), (&complete["size"], &complete["filename"]));
    service.stop_recording(&ids[0]).await.expect(202);
    service.until(&ids[0], "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn whoever_comes_into_a_room_of_others_hears_nothing() {
    let (service, sim) = simulated(&[]).await;
    sim.people("not-ours");
    // This one is told later, and the first one not at all.
    let ours = sim.room(&service).await;
    welcome(&sim, &ours, "ann").await;
    assert!(sim.calls("not-ours", Method::SendData).is_empty());
    service.finish().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_gets_the_same_again_and_nothing_overtakes_it() {
    let receiver = Receiver::run(&[500, 404, 200, 302, 200]).await;
    let (service, sim) = simulated(&receiver.settings()).await;
    let (_, id) = record(&service, &sim).await;
    let told = until_ended(&receiver, &id).await;
    let expected = [ALL[0], ALL[0], ALL[0], ALL[1], ALL[1], ALL[2], ALL[3]];
    assert_eq!(words(&told), expected);
    let same = |a: &Received, b: &Received| (&a.id, &a.text, &a.signature) == (&b.id, &b.text, &b.signature);
    assert!(same(&told[0], &told[1]) && same(&told[0], &told[2]) && same(&told[3], &told[4]));
    service.finish().await;
}

#[tokio::test]
async fn a_receiver_that_moved_is_followed() {
    let receiver = Receiver::run(&[]).await.moved();
    let (service, sim) = simulated(&receiver.settings()).await;
    let (_, id) = record(&service, &sim).await;
    let told = until_ended(&receiver, &id).await;
    assert_eq!(words(&told), ALL);
    let first = &told[0];
    assert_eq!(first.signature, signature(API_KEY, &first.timestamp, &first.text), "as it was sent");
    service.finish().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_slows_no_recording_and_no_other_notice() {
    let receiver = Receiver::run(&[0]).await;
    let settings = [&receiver.settings()[..], &[("REELKEEPER_WEBHOOKS_TIMEOUT", "2s")]].concat();
    let (service, sim) = simulated(&settings).await;
    let (_, held) = record(&service, &sim).await;
    let (_, other) = record(&service, &sim).await;
    let told = until_ended(&receiver, &other).await;
    assert_eq!(words(&told), ALL);
    assert_eq!(words(&until_ended(&receiver, &held).await), [ALL[0], ALL[0], ALL[1], ALL[2], ALL[3]]);
    service.finish().await;
}

#[tokio::test]
async fn what_nobody_took_is_told_by_the_next_run() {
    let folder = folder();
    let sim = Sim::run(&folder, quick()).await;
    let receiver = Receiver::run(&[]).await;
    let store = format!("sqlite://{}", folder.path().join("reelkeeper.db").display());
    let away = Receiver::settings_of("http://127.0.0.1:9/");
    let service = Reelkeeper::start_in(
        folder.clone(),
        &sim.url,
        &[&away[..], &[("REELKEEPER_STORE", &store)]].concat(),
    )
    .await;
    let (_, id) = record(&service, &sim).await;
    eventually("all notices wait", async || (service.outbox_depth().await.waiting == 4).then_some(())).await;
    service.stop().await;
    let service = Reelkeeper::start_in(folder, &sim.url, &[("REELKEEPER_STORE", &store)]).await;
    let admin = Shown::access(&login(&service, "admin", "admin").await.access);
    let there = json!({"enabled": true, "url": receiver.url});
    send(&service, "PUT", "/internal-api/v1/config/webhooks", &admin, &there).await.expect(200);
    assert_eq!(words(&until_ended(&receiver, &id).await), ALL);
    service.finish().await;
}

#[tokio::test]
async fn nobody_is_told_unless_it_is_asked_for() {
    let receiver = Receiver::run(&[]).await;
    let (service, sim) = simulated(&[("MEET_INITIAL_WEBHOOK_URL", &receiver.url)]).await;
    record(&service, &sim).await;
    assert_eq!(service.outbox_depth().await.waiting, 0);
    service.finish().await;
    assert!(receiver.all().is_empty());
}
