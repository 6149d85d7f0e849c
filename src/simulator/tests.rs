//! The face over real HTTP.

mod stage;

use std::time::Duration;

use livekit_api::access_token::{AccessToken, VideoGrants};
use livekit_protocol as lk;
use prost::Message;
use serde_json::{Value, json};

use self::stage::{KEY, PATH, SECRET, Stage, everything, order, token};
use super::{SAMPLE, SAMPLE_DURATION};

#[tokio::test]
async fn a_room_is_recorded_over_protobuf() {
    let mut stage = Stage::set().await;
    let started = stage.start().await;
    assert_eq!(started.status(), lk::EgressStatus::EgressStarting);
    assert_eq!(started.request, Some(lk::egress_info::Request::RoomComposite(order())));
    let active = stage.told_of(lk::EgressStatus::EgressActive).await;
    assert_eq!(active.egress_id, started.egress_id);
    let participants: lk::ListParticipantsResponse = stage
        .call("RoomService/ListParticipants", &lk::ListParticipantsRequest { room: "den".to_owned() })
        .await
        .unwrap();
    let recorder =
        participants.participants.iter().find(|p| p.identity == started.egress_id).expect("it is there");
    assert!(
        recorder.kind() == lk::participant_info::Kind::Egress && recorder.permission.as_ref().unwrap().hidden
    );
    let rooms: lk::ListRoomsResponse =
        stage.call("RoomService/ListRooms", &lk::ListRoomsRequest::default()).await.unwrap();
    assert_eq!((rooms.rooms[0].num_participants, rooms.rooms[0].active_recording), (1, true));

    let ending = stage.stop(&started).await.unwrap();
    assert_eq!(ending.status(), lk::EgressStatus::EgressEnding);
    assert!(ending.file_results[0].duration > 0 && ending.file_results[0].size == 0);
    let complete = stage.told_of(lk::EgressStatus::EgressComplete).await;
    let file = &complete.file_results[0];
    assert_eq!(file.filename, format!("{PATH}.mp4"));
    assert_eq!(
        stage.shelf.0.lock().unwrap()[&file.filename],
        SAMPLE,
        "the file is there before it is announced"
    );
    assert_eq!(file.size, i64::try_from(SAMPLE.len()).unwrap());
    assert_eq!(file.duration, i64::try_from(SAMPLE_DURATION.as_nanos()).unwrap());
    let request = lk::ListEgressRequest { egress_id: started.egress_id.clone(), ..Default::default() };
    let listed: lk::ListEgressResponse = stage.call("Egress/ListEgress", &request).await.unwrap();
    assert_eq!(listed.items, [complete]);
    let (status, body) = stage.stop(&started).await.unwrap_err();
    assert_eq!(status, 412);
    assert_eq!(body["msg"], "egress with status EGRESS_COMPLETE cannot be stopped");
}

#[test]
fn the_sample_says_how_long_it_plays() {
    let at = SAMPLE.windows(4).position(|name| name == b"mvhd").expect("a movie has a header") + 4;
    let number = |offset: usize| {
        let bytes = &SAMPLE[at + offset..at + offset + 4];
        u64::from(u32::from_be_bytes(bytes.try_into().unwrap()))
    };
    let (scale, length) = (number(12), number(16));
    assert_eq!(Duration::from_millis(length * 1_000 / scale), SAMPLE_DURATION);
    assert!(SAMPLE.len() < 60_000);
}

#[tokio::test]
async fn webhooks_have_the_fields_of_a_real_server() {
    let mut stage = Stage::set().await;
    let started = stage.start().await;
    let _ = stage.told_of(lk::EgressStatus::EgressActive).await;
    let deleted: lk::DeleteRoomResponse = stage
        .call("RoomService/DeleteRoom", &lk::DeleteRoomRequest { room: "den".to_owned() })
        .await
        .unwrap();
    assert_eq!(deleted, lk::DeleteRoomResponse::default());
    let _ = stage.told_of(lk::EgressStatus::EgressComplete).await;
    let sent = stage.until("/webhooks", |sent| {
        sent.as_array().is_some_and(|sent| sent.iter().any(|one| one["event"] == "room_finished"))
    });
    let sent = sent.await;
    let bodies: Vec<Value> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|one| serde_json::from_str(one["body"].as_str().unwrap()).unwrap())
        .collect();
    let of = |event: &str| {
        bodies.iter().find(|body| body["event"] == event).unwrap_or_else(|| panic!("no {event}"))
    };
    assert_eq!(of("room_started")["room"]["metadata"], r#"{"createdBy":"me"}"#);
    assert!(of("track_published")["room"].get("metadata").is_none());
    assert_eq!(of("track_published")["participant"]["identity"], "participant-1");
    let begun = &of("egress_started")["egressInfo"];
    assert!(
        begun.get("status").is_none() && begun.get("startedAt").is_none(),
        "zero values are left out: {begun}"
    );
    assert_eq!(begun["fileResults"][0]["filename"], format!("{PATH}.mp4"));
    assert_eq!(begun["roomComposite"]["fileOutputs"][0]["filepath"], PATH);
    let left = bodies
        .iter()
        .find(|body| body["event"] == "participant_left" && body["participant"]["kind"] == "EGRESS");
    let left = &left.expect("the recorder left")["participant"];
    assert_eq!(
        (&left["identity"], &left["disconnectReason"]),
        (&json!(started.egress_id), &json!("ROOM_DELETED"))
    );
    let ended = &of("egress_ended")["egressInfo"];
    assert_eq!(
        (&ended["status"], &ended["details"]),
        (&json!("EGRESS_COMPLETE"), &json!("End reason: Source closed"))
    );
    assert!(ended["fileResults"][0]["size"].is_string(), "64 bits are text in JSON");
    assert!(!bodies.iter().any(|body| body["egressInfo"]["status"] == "EGRESS_ENDING"));
}

#[tokio::test]
async fn json_is_understood_in_both_spellings_and_answered_in_one() {
    let stage = Stage::set().await;
    for (room, outputs) in [("roomName", "fileOutputs"), ("room_name", "file_outputs")] {
        let request = json!({room: "den", "layout": "grid", outputs: [{"filepath": PATH}], "tomorrow": 1});
        let (status, started) = stage.json("Egress/StartRoomCompositeEgress", request).await;
        assert_eq!(status, 200, "{started}");
        assert_eq!(started["status"], "EGRESS_STARTING");
        assert_eq!(started["room_composite"]["file_outputs"][0]["filepath"], PATH);
        assert_eq!((&started["started_at"], &started["error_code"]), (&json!("0"), &json!(0)));
    }
    let nothing = json!({"items": [], "next_page_token": null});
    assert_eq!(stage.json("Egress/ListEgress", json!({"roomName": "nobody-here"})).await, (200, nothing));
    let (_, rooms) = stage.json("RoomService/ListRooms", json!({})).await;
    assert_eq!(rooms["rooms"][0]["num_participants"], 1);
    let (_, people) = stage.json("RoomService/ListParticipants", json!({"room": "den"})).await;
    assert_eq!(people["participants"][0]["kind"], "STANDARD");
    let data = json!({"room": "den", "data": "aGVsbG8=", "topic": "t"});
    assert_eq!(stage.json("RoomService/SendData", data).await, (200, json!({})));
    let calls = stage.until("/calls", |calls| calls.as_array().is_some_and(|calls| calls.len() == 6)).await;
    assert_eq!(calls[5]["data"]["payload"], "hello");
}

#[tokio::test]
async fn errors_are_those_of_a_real_server() {
    let stage = Stage::set().await;
    let no_room = "twirp error unknown: requested room does not exist";
    let no_egress = "twirp error unknown: egress does not exist";
    let output = json!([{"filepath": PATH}]);
    let cases = [
        (
            "Egress/StartRoomCompositeEgress",
            json!({"roomName": "x", "fileOutputs": output}),
            404,
            "not_found",
            no_room,
        ),
        ("Egress/ListEgress", json!({"egressId": "EG_x"}), 404, "not_found", no_egress),
        ("Egress/StopEgress", json!({"egressId": "EG_x"}), 404, "not_found", no_egress),
        ("RoomService/DeleteRoom", json!({"room": "x"}), 404, "not_found", no_room),
        ("Egress/ListEgress", json!([]), 400, "malformed", "the json request could not be decoded"),
        (
            "Egress/NoSuch",
            json!({}),
            404,
            "bad_route",
            "no handler for path \"/twirp/livekit.Egress/NoSuch\"",
        ),
        ("Egress/", json!({}), 404, "bad_route", "no handler for path \"/twirp/livekit.Egress/\""),
        (
            "RoomService/ListParticipants",
            json!({"room": "other"}),
            401,
            "unauthenticated",
            "permissions denied",
        ),
        ("Egress/StartWebEgress", json!({}), 501, "unimplemented", "the simulator has no StartWebEgress"),
    ];
    for (path, request, status, code, message) in cases {
        let (answered, body) = stage.json(path, request).await;
        assert_eq!(
            (answered, &body["code"], &body["msg"]),
            (status, &json!(code), &json!(message)),
            "{path}"
        );
    }
    let (_, body) = stage.json("Egress/NoSuch", json!({})).await;
    assert_eq!(body["meta"]["twirp_invalid_route"], "POST /twirp/livekit.Egress/NoSuch");
    let raw = |path: &str, kind: &str| {
        let post =
            stage.http.post(format!("{}/twirp/{path}", stage.base)).bearer_auth(token(SECRET, everything()));
        post.header("content-type", kind).body(vec![0xff]).send()
    };
    assert_eq!(raw("NoSuchService/List", "application/json").await.unwrap().status(), 404);
    let body: Value =
        raw("livekit.Egress/ListEgress", "application/protobuf").await.unwrap().json().await.unwrap();
    assert_eq!(body["msg"], "the protobuf request could not be decoded");
    let body: Value = raw("livekit.Egress/ListEgress", "text/plain").await.unwrap().json().await.unwrap();
    assert_eq!(body["msg"], "unexpected Content-Type: \"text/plain\"");
}

#[tokio::test]
async fn tokens_and_grants_are_checked() {
    let stage = Stage::set().await;
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let other_key = AccessToken::with_api_key("nokey", SECRET).to_jwt().unwrap();
    let expired = {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let claims = json!({"iss": KEY, "exp": 1_000_000, "nbf": 0, "video": {"roomList": true}});
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let cases = [
        (bearer(token(SECRET, everything())), 200, "\"rooms\""),
        (bearer(token(SECRET, VideoGrants::default())), 401, "permissions denied"),
        (None, 401, "permissions denied"),
        (bearer(token("another-secret-of-32-characters-0000", everything())), 401, "invalid token, error"),
        (bearer(expired), 401, "invalid token, error"),
        (bearer(other_key), 401, "invalid API key: nokey"),
        (bearer("nonsense".to_owned()), 401, "invalid authorization token"),
        (Some("Basic xyz".to_owned()), 401, "invalid authorization header. Must start with Bearer "),
    ];
    for (header, status, text) in cases {
        let mut post =
            stage.http.post(format!("{}/twirp/livekit.RoomService/ListRooms", stage.base)).json(&json!({}));
        if let Some(header) = &header {
            post = post.header("authorization", header);
        }
        let response = post.send().await.unwrap();
        assert_eq!(response.status(), status, "{text}");
        let body = response.text().await.unwrap();
        assert!(body.contains(text), "{body}");
        assert!(
            header.is_none_or(|header| header.len() < 20 || !body.contains(&header[7..])),
            "no token is repeated"
        );
    }
}

#[tokio::test]
async fn a_lost_answer_breaks_the_connection_and_the_work_is_done() {
    let stage = Stage::set().await;
    for (does, egresses) in [("answer_lost", 1), ("cut", 1)] {
        let fault = json!({"method": "StartEgress", "does": does});
        assert_eq!(stage.control(reqwest::Method::POST, "/faults", fault).await.0, 201);
        let url = format!("{}/twirp/livekit.Egress/StartRoomCompositeEgress", stage.base);
        let post = stage.http.post(url).bearer_auth(token(SECRET, everything()));
        let post = post.header("content-type", "application/protobuf").body(order().encode_to_vec());
        let error = post.send().await.expect_err("no answer");
        assert!(!error.is_connect() && !error.is_timeout(), "{does}: {error:?}");
        assert_eq!(stage.control.live().with(|world| world.egresses().len()), egresses, "{does}");
    }
}

#[tokio::test]
async fn calls_are_held_and_released() {
    let stage = Stage::set().await;
    let asked = json!({"method": "StartEgress", "nth": 2});
    assert_eq!(stage.control(reqwest::Method::POST, "/hold", asked).await.0, 201);
    assert_eq!(stage.start().await.status(), lk::EgressStatus::EgressStarting, "the first one passes");
    {
        // The caller dies while its call is held, and its connection with it.
        let mut second = std::pin::pin!(stage.start());
        tokio::select! {
            _ = &mut second => panic!("it is held"),
            held = stage.until("/hold", |held| held.as_array().is_some_and(|held| held.len() == 1)) => {
                assert_eq!(held[0]["worked"], false);
            }
        }
    }
    assert_eq!(stage.control.live().with(|world| world.egresses().len()), 1);
    let (_, released) = stage.control(reqwest::Method::POST, "/release", json!({})).await;
    assert_eq!(released["released"], 1);
    stage.until("/state", |state| state["egresses"].as_array().is_some_and(|all| all.len() == 2)).await;

    let asked = json!({"method": "ListEgress", "point": "answer"});
    assert_eq!(stage.control(reqwest::Method::POST, "/hold", asked).await.0, 201);
    let list = stage.json("Egress/ListEgress", json!({}));
    let release = async {
        let held = stage.until("/hold", |held| held.as_array().is_some_and(|held| held.len() == 1)).await;
        assert_eq!(held[0]["worked"], true);
        stage.control(reqwest::Method::POST, "/release", json!({"call": held[0]["call"]})).await
    };
    let ((status, listed), _) = tokio::join!(list, release);
    assert_eq!((status, listed["items"].as_array().map(Vec::len)), (200, Some(2)));
}

#[tokio::test]
async fn workers_run_out_and_die() {
    let mut stage = Stage::set().await;
    let capacity =
        |slots: Value| stage.control(reqwest::Method::POST, "/workers/capacity", json!({"slots": slots}));
    assert_eq!(capacity(json!(0)).await.0, 204);
    let refused =
        stage.call::<lk::EgressInfo>("Egress/StartRoomCompositeEgress", &order()).await.unwrap_err();
    assert_eq!((refused.0, &refused.1["msg"]), (429, &json!("twirp error unknown: not enough CPU")));
    assert_eq!(capacity(Value::Null).await.0, 204);
    let started = stage.start().await;
    let _ = stage.told_of(lk::EgressStatus::EgressActive).await;
    let (status, killed) = stage.control(reqwest::Method::POST, "/workers/kill", json!({})).await;
    assert_eq!((status, &killed["killed"]), (200, &json!([started.egress_id])));
    let refused = stage.stop(&started).await.unwrap_err();
    assert_eq!((refused.0, &refused.1["code"]), (408, &json!("deadline_exceeded")));
    loop {
        let event = stage.told().await;
        if event.event == "participant_left" {
            assert_eq!(
                event.participant.unwrap().disconnect_reason(),
                lk::DisconnectReason::ConnectionTimeout
            );
            break;
        }
    }
    let request = lk::ListEgressRequest { active: true, ..Default::default() };
    let listed: lk::ListEgressResponse = stage.call("Egress/ListEgress", &request).await.unwrap();
    assert_eq!(listed.items[0].status(), lk::EgressStatus::EgressActive, "for ever");
}

#[tokio::test]
async fn webhooks_are_tried_again_after_a_5xx_but_not_after_a_4xx() {
    for (answers, expected) in [
        (vec![503, 429], json!([429, 503, 200])),
        (vec![400], json!([400])),
        (vec![500; 9], json!([500, 500, 500, 500, 500])),
    ] {
        let stage = Stage::answering(answers).await;
        let sent =
            stage.until("/webhooks", |sent| sent.as_array().is_some_and(|sent| !sent.is_empty())).await;
        assert_eq!((&sent[0]["event"], &sent[0]["answers"]), (&json!("room_started"), &expected));
    }
}

#[tokio::test]
async fn rooms_and_people_come_and_go_by_control() {
    use reqwest::Method;
    let stage = Stage::set().await;
    let room = json!({"name": "attic", "participants": 2, "departureTimeout": 5});
    let (status, made) = stage.control(Method::POST, "/rooms", room).await;
    assert_eq!((status, &made["participants"], &made["departure_timeout"]), (201, &json!(2), &json!(5)));
    let cases = [
        (Method::POST, "/rooms/attic/participants", json!({"identity": "bob"}), 201),
        (Method::DELETE, "/rooms/attic/participants/bob?reason=CONNECTION_TIMEOUT", Value::Null, 204),
        (Method::DELETE, "/rooms/attic/participants/bob", Value::Null, 404),
        (Method::DELETE, "/rooms/attic", Value::Null, 204),
        (Method::DELETE, "/rooms/attic", Value::Null, 404),
        (Method::POST, "/faults", json!({"method": "StopEgress", "does": "nonsense"}), 422),
        (Method::DELETE, "/faults", Value::Null, 204),
        (Method::POST, "/workers/kill", json!({"egress": "EG_x"}), 404),
        (
            Method::POST,
            "/workers/cut-off",
            json!({"egress": "EG_x", "then": {"gives_up": {"after_ms": 1}}}),
            404,
        ),
        (Method::POST, "/workers/cut-off", json!({"then": {"returns": {"after_ms": 1}}}), 200),
        (Method::POST, "/egresses/forget", Value::Null, 204),
    ];
    for (method, path, body, status) in cases {
        assert_eq!(stage.control(method, path, body).await.0, status, "{path}");
    }
}
