//! The simulated LiveKit says what the real one says.
//!
//! One story is told to both. What each of them answered and sent by webhook is brought into a form without
//! ids, times and sizes ([`shape`]), and then the two have to be equal: statuses, texts, names, order,
//! fields and values. What the simulator leaves out or does otherwise on purpose is listed there.

mod livekits;
mod shape;

use livekit_api::access_token::VideoGrants;
use serde_json::{Value, json};

use self::livekits::{LiveKit, Sent, real, simulated};
use self::shape::{Said, Told};
use crate::stack::{self, KEY, SECRET, eventually};

const ROOM: &str = "den";

/// What a LiveKit did in a story, step by step.
#[derive(Default)]
struct Story {
    answers: Vec<Said>,
    webhooks: Vec<Told>,
    /// Webhooks of earlier steps.
    seen: usize,
}

impl Story {
    /// Calls and takes the answer down.
    async fn call(&mut self, livekit: &LiveKit, method: &str, body: Value) -> Value {
        let answer = livekit.call(method, &body).await;
        self.answers.push(Said::of(&format!("{method} {body}"), &answer));
        answer.json()
    }

    /// Waits until all these events have come, and takes down what was sent since the step before.
    async fn step(&mut self, name: &'static str, livekit: &LiveKit, awaited: &[&str]) {
        let sent: Vec<Sent> = eventually(&format!("webhooks {awaited:?} of step '{name}'"), async || {
            let sent = livekit.sent().split_off(self.seen);
            let came = |wanted: &&str| sent.iter().any(|sent| sent.title() == **wanted);
            awaited.iter().all(came).then_some(sent)
        })
        .await;
        self.seen += sent.len();
        self.webhooks.extend(shape::told(name, &sent));
    }
}

fn composite(room: &str) -> Value {
    let output = json!({"fileType": "MP4", "filepath": format!("recordings/{room}/{room}--0123456789"), "disableManifest": true});
    json!({"roomName": room, "layout": "grid", "file": output, "fileOutputs": [output]})
}

/// A room is recorded twice: one recording is stopped, the other one loses its room.
async fn records_a_room(mut livekit: LiveKit) -> Story {
    let mut story = Story::default();
    let metadata = json!({"createdBy": "likeness"}).to_string();
    let room = json!({"name": ROOM, "departureTimeout": 300, "metadata": metadata});
    story.call(&livekit, "RoomService/CreateRoom", room).await;
    livekit.somebody_joins(ROOM).await;
    let published = ["room_started", "participant_joined", "track_published VIDEO", "track_published AUDIO"];
    story.step("joined", &livekit, &published).await;

    let started = story.call(&livekit, "Egress/StartRoomCompositeEgress", composite(ROOM)).await;
    let egress = json!({"egressId": started["egress_id"]});
    story.step("started", &livekit, &["participant_joined", "egress_updated EGRESS_ACTIVE"]).await;
    story.call(&livekit, "Egress/ListEgress", egress.clone()).await;
    story.call(&livekit, "Egress/ListEgress", json!({"roomName": ROOM, "active": true})).await;
    story.call(&livekit, "RoomService/ListParticipants", json!({"room": ROOM})).await;
    let room = json!({"names": [ROOM]});
    eventually("the room shows who is in it", async || {
        let listed = livekit.call("RoomService/ListRooms", &room).await.json();
        let room = &listed["rooms"][0];
        (room["num_publishers"] == 1 && room["active_recording"] == true).then_some(())
    })
    .await;
    story.call(&livekit, "RoomService/ListRooms", room).await;
    story.call(&livekit, "Egress/StopEgress", egress.clone()).await;
    story.step("stopped", &livekit, &["participant_left", "egress_ended EGRESS_COMPLETE"]).await;
    story.call(&livekit, "Egress/ListEgress", egress.clone()).await;
    story.call(&livekit, "Egress/ListEgress", json!({"active": true})).await;
    story.call(&livekit, "Egress/StopEgress", egress).await;

    let started = story.call(&livekit, "Egress/StartRoomCompositeEgress", composite(ROOM)).await;
    let egress = json!({"egressId": started["egress_id"]});
    story.step("started again", &livekit, &["participant_joined", "egress_updated EGRESS_ACTIVE"]).await;
    story.call(&livekit, "RoomService/DeleteRoom", json!({"room": ROOM})).await;
    story.step("deleted", &livekit, &["room_finished", "egress_ended EGRESS_COMPLETE"]).await;
    story.call(&livekit, "Egress/ListEgress", egress).await;
    story.call(&livekit, "RoomService/ListRooms", json!({"names": [ROOM]})).await;
    story
}

#[tokio::test]
async fn a_recorded_room_looks_the_same() {
    let (real, simulated) = tokio::join!(async { records_a_room(real().await).await }, async {
        records_a_room(simulated().await).await
    });
    shape::compare(&real.answers, &simulated.answers);
    shape::compare(&real.webhooks, &simulated.webhooks);
}

/// Calls that are refused, or find nothing.
async fn refuses(livekit: LiveKit) -> Vec<Said> {
    let mut story = Story::default();
    let unknown_egress = json!({"egressId": "EG_doesnotexist1"});
    let unknown_room = json!({"room": "nobody-here"});
    let calls = [
        ("Egress/StartRoomCompositeEgress", composite("nobody-here")),
        ("Egress/ListEgress", unknown_egress.clone()),
        ("Egress/StopEgress", unknown_egress),
        ("Egress/ListEgress", json!({"roomName": "nobody-here"})),
        ("Egress/ListEgress", json!({"noSuchField": 1})),
        ("Egress/ListEgress", json!({"active": "yes"})),
        ("Egress/NoSuchMethod", json!({})),
        ("NoSuchService/ListEgress", json!({})),
        ("RoomService/DeleteRoom", unknown_room.clone()),
        ("RoomService/ListParticipants", unknown_room.clone()),
        ("RoomService/UpdateRoomMetadata", json!({"room": "nobody-here", "metadata": "x"})),
        (
            "RoomService/SendData",
            json!({"room": "nobody-here", "data": "aGk=", "kind": "RELIABLE", "topic": "t"}),
        ),
    ];
    for (method, body) in calls {
        story.call(&livekit, method, body).await;
    }
    let lists = || VideoGrants { room_list: true, room_record: true, ..VideoGrants::default() };
    let tokens = [
        ("another secret", Some(livekits::token(KEY, "another-secret-of-at-least-32-characters", lists()))),
        ("another key", Some(livekits::token("nokey", SECRET, lists()))),
        ("no grants", Some(livekits::token(KEY, SECRET, VideoGrants::default()))),
        ("no token", Some("nonsense".to_owned())),
        ("an empty one", Some(String::new())),
        ("nothing", None),
    ];
    for (name, token) in tokens {
        for method in ["Egress/ListEgress", "RoomService/ListRooms"] {
            let answer =
                livekit.call_with(method, "application/json", "{}".to_owned(), token.as_deref()).await;
            story.answers.push(Said::of(&format!("{method} with {name}"), &answer));
        }
    }
    let token = stack::token(&json!({}));
    for (content_type, body) in [
        ("application/json", "{"),
        ("application/json", ""),
        ("application/protobuf", "\u{7f}"),
        ("text/plain", "{}"),
    ] {
        let answer =
            livekit.call_with("Egress/ListEgress", content_type, body.to_owned(), Some(&token)).await;
        story.answers.push(Said::of(&format!("{content_type} body {body:?}"), &answer));
    }
    story.answers
}

#[tokio::test]
async fn refusals_read_the_same() {
    let (real, simulated) =
        tokio::join!(async { refuses(real().await).await }, async { refuses(simulated().await).await });
    shape::compare(&real, &simulated);
}
