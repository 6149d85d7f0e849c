//! Signatures and readings, as tables.

use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use reelkeeper_actors::ports::clock::{Clock, SystemClock};
use reelkeeper_actors::recording::egress::EgressStatus;
use reelkeeper_actors::recording::encoding::{Encoding, Layout, Preset};
use serde_json::json;

use super::*;

const KEY: &str = "devkey";
const SECRET: &str = "a-secret-of-at-least-32-characters-000";
const NOW_S: i64 = 1_800_000_000;
const NOW: Timestamp = Timestamp(NOW_S * 1000);

fn receiver() -> WebhookReceiver {
    WebhookReceiver::new(KEY, SECRET)
}

fn hash(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

fn token(claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn sign(body: &[u8]) -> String {
    token(&json!({"iss": KEY, "nbf": NOW_S, "exp": NOW_S + 300, "sha256": hash(body)}), SECRET)
}

fn receive(body: &Value) -> LiveKitEvent {
    let body = body.to_string().into_bytes();
    receiver().receive(Some(&sign(&body)), &body, NOW).unwrap()
}

#[test]
fn what_the_sdk_signs_is_taken() {
    let body = br#"{"event":"room_started","id":"EV_1"}"#;
    let token = livekit_api::access_token::AccessToken::with_api_key(KEY, SECRET)
        .with_sha256(&hash(body))
        .to_jwt()
        .unwrap();
    let event = receiver().receive(Some(&token), body, SystemClock.now()).unwrap();
    assert_eq!((event.id.as_str(), event.name.as_str()), ("EV_1", "room_started"));
}

#[test]
fn a_signature_is_taken_or_not() {
    let body: &[u8] = br#"{"event":"room_started"}"#;
    let claims = |nbf: i64, exp: i64| json!({"iss": KEY, "nbf": nbf, "exp": exp, "sha256": hash(body)});
    let good = sign(body);
    let table = [
        ("good", Some(good.clone()), body, true),
        ("tampered", Some(good.clone()), br#"{"event":"room_finished"}"#, false),
        ("truncated", Some(good.clone()), &body[..body.len() - 1], false),
        ("empty", Some(good.clone()), b"", false),
        ("no token", None, body, false),
        ("empty token", Some(String::new()), body, false),
        ("no jwt", Some("secret".to_owned()), body, false),
        ("bearer", Some(format!("Bearer {good}")), body, false),
        ("cut token", Some(good[..good.len() - 2].to_owned()), body, false),
        ("wrong secret", Some(token(&claims(NOW_S, NOW_S + 300), "another secret")), body, false),
        ("expired 9 s ago", Some(token(&claims(NOW_S - 300, NOW_S - 9), SECRET)), body, true),
        ("expired 11 s ago", Some(token(&claims(NOW_S - 300, NOW_S - 11), SECRET)), body, false),
        ("valid in 9 s", Some(token(&claims(NOW_S + 9, NOW_S + 300), SECRET)), body, true),
        ("valid in 11 s", Some(token(&claims(NOW_S + 11, NOW_S + 300), SECRET)), body, false),
        ("no nbf", Some(token(&json!({"iss": KEY, "exp": NOW_S, "sha256": hash(body)}), SECRET)), body, true),
        ("no exp", Some(token(&json!({"iss": KEY, "sha256": hash(body)}), SECRET)), body, false),
        (
            "other key",
            Some(token(&json!({"iss": "x", "exp": NOW_S, "sha256": hash(body)}), SECRET)),
            body,
            false,
        ),
        ("no key", Some(token(&json!({"exp": NOW_S, "sha256": hash(body)}), SECRET)), body, false),
        ("no hash", Some(token(&json!({"iss": KEY, "exp": NOW_S}), SECRET)), body, false),
        ("odd hash", Some(token(&json!({"iss": KEY, "exp": NOW_S, "sha256": "%"}), SECRET)), body, false),
    ];
    for (name, token, body, taken) in table {
        let result = receiver().receive(token.as_deref(), body, NOW);
        assert_eq!(result.is_ok(), taken, "{name}: {result:?}");
        if let Err(error) = result {
            assert!(matches!(error, RejectedWebhook::Signature(_)), "{name}: {error}");
            assert!(!error.to_string().contains(SECRET), "{name}: {error}");
        }
    }
}

#[test]
fn another_algorithm_is_not_taken() {
    let body = b"{}";
    let claims = json!({"iss": KEY, "exp": NOW_S, "sha256": hash(body)});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS384), &claims, &key).unwrap();
    assert!(matches!(receiver().receive(Some(&token), body, NOW), Err(RejectedWebhook::Signature(_))));
}

#[test]
fn a_signed_body_that_is_no_object_is_malformed() {
    for body in [&b""[..], b"{", b"[]", b"7", b"\xff\xfe"] {
        let result = receiver().receive(Some(&sign(body)), body, NOW);
        assert!(matches!(result, Err(RejectedWebhook::Malformed(_))), "{body:?}: {result:?}");
    }
}

#[test]
fn an_egress_is_read_as_the_server_sends_it() {
    let event = receive(&json!({
        "event": "egress_ended", "id": "EV_9", "createdAt": "1800000000", "news of tomorrow": {"a": [1]},
        "egressInfo": {
            "egressId": "EG_1", "roomId": "RM_1", "roomName": "room-1", "status": "EGRESS_COMPLETE",
            "sourceType": "EGRESS_SOURCE_TYPE_OF_TOMORROW",
            "startedAt": "1799999990123456789", "endedAt": 1_799_999_999_000_000_000_i64, "updatedAt": "5",
            "roomComposite": {
                "roomName": "room-1", "layout": "single-speaker", "preset": "H264_1080P_30",
                "file": {"filepath": "a/room-1--u", "disableManifest": true},
                "fileOutputs": [{"filepath": "a/room-1--u", "disableManifest": true}],
            },
            "fileResults": [{"filename": "a/room-1--u.mp4", "duration": "8000000000", "size": "123", "location": "x"}],
            "details": "End reason: StopEgress API",
        },
    }));
    assert_eq!((event.id.as_str(), event.name.as_str()), ("EV_9", "egress_ended"));
    assert_eq!(event.room, Some(RoomId::from_trusted("room-1")));
    assert_eq!(event.created_by, None);
    let LiveKitNews::Egress(info) = event.news else { panic!("{:?}", event.news) };
    assert_eq!((info.egress.as_str(), info.room.as_str()), ("EG_1", "room-1"));
    assert_eq!(info.status, EgressStatus::Complete);
    assert_eq!(info.filepath.as_deref(), Some("a/room-1--u"));
    assert_eq!((info.layout, info.encoding), (Layout::SingleSpeaker, Encoding::Preset(Preset::H264P1080F30)));
    assert_eq!((info.started_at, info.ended_at), (1_799_999_990_123_456_789, 1_799_999_999_000_000_000));
    assert_eq!((info.updated_at, info.duration, info.size), (5, 8_000_000_000, 123));
    assert_eq!(
        (info.filename.as_str(), info.details.as_str()),
        ("a/room-1--u.mp4", "End reason: StopEgress API")
    );
}

#[test]
fn an_egress_is_read_in_snake_case_with_numbers_for_names() {
    let event = receive(&json!({
        "event": "egress_updated",
        "egress_info": {
            "egress_id": "EG_1", "room_name": "room-1", "status": 1, "started_at": 7, "updated_at": "8",
            "error_code": "400",
            "room_composite": {
                "layout": "speaker", "file": {"filepath": "legacy"},
                "advanced": {"width": "640", "height": 480.0, "video_codec": 4, "audioCodec": "AAC",
                             "keyFrameInterval": 1.5, "framerate": "CODEC", "videoBitrate": 99_999_999_999_i64},
            },
            "file": {"filename": "legacy.mp4", "size": 3},
        },
    }));
    let LiveKitNews::Egress(info) = event.news else { panic!("{:?}", event.news) };
    assert_eq!((info.status, info.started_at, info.updated_at), (EgressStatus::Active, 7, 8));
    assert_eq!(
        (info.filepath.as_deref(), info.filename.as_str(), info.size),
        (Some("legacy"), "legacy.mp4", 3)
    );
    assert_eq!(info.error_code, 400);
    let expected = json!({
        "video": {"width": 640, "height": 480, "framerate": 30, "codec": "VP8", "bitrate": i32::MAX,
                  "keyFrameInterval": 1.5, "depth": 24},
        "audio": {"codec": "AAC", "bitrate": 128, "frequency": 44100},
    });
    assert_eq!(serde_json::to_value(&info.encoding).unwrap(), expected);
}

#[test]
fn a_status_is_news_only_if_it_is_known() {
    let table = [
        (json!(null), Some(EgressStatus::Starting)),
        (json!("EGRESS_STARTING"), Some(EgressStatus::Starting)),
        (json!("EGRESS_LIMIT_REACHED"), Some(EgressStatus::LimitReached)),
        (json!("2"), Some(EgressStatus::Ending)),
        (json!(4), Some(EgressStatus::Failed)),
        (json!("EGRESS_PAUSED"), None),
        (json!(77), None),
        (json!(1e300), None),
        (json!({}), None),
    ];
    for (status, expected) in table {
        let event = receive(&json!({
            "event": "egress_updated", "egressInfo": {"egressId": "EG_1", "roomName": "r", "status": status},
        }));
        let found = match &event.news {
            LiveKitNews::Egress(info) => Some(info.status),
            _ => None,
        };
        assert_eq!(found, expected, "{status}");
        assert_eq!(event.room, Some(RoomId::from_trusted("r")), "{status}");
    }
}

#[test]
fn an_egress_takes_its_room_from_the_event_or_is_no_news() {
    let event = receive(&json!({
        "event": "egress_started", "egressInfo": {"egressId": "EG_1"}, "room": {"name": "room-1"},
    }));
    let LiveKitNews::Egress(info) = event.news else { panic!("{:?}", event.news) };
    assert_eq!((info.room.as_str(), info.filepath), ("room-1", None));

    for body in [
        json!({"event": "egress_started"}),
        json!({"event": "egress_started", "egressInfo": {"egressId": "EG_1"}}),
        json!({"event": "egress_started", "egressInfo": {"roomName": "room-1"}}),
        json!({"event": "egress_started", "egressInfo": [1, 2]}),
        json!({"event": ["egress_started"]}),
        json!({}),
    ] {
        assert_eq!(receive(&body).news, LiveKitNews::Other, "{body}");
    }
}

#[test]
fn a_recorder_that_left_is_news() {
    let left = |participant: Value| json!({"event": "participant_left", "room": {"name": "room-1"}, "participant": participant});
    let recorder = |reason: Value| json!({"identity": "EG_1", "kind": "EGRESS", "disconnectReason": reason});
    let table = [
        (recorder(json!("CLIENT_INITIATED")), Some(LeaveReason::Clean)),
        (recorder(json!("ROOM_DELETED")), Some(LeaveReason::Clean)),
        (recorder(json!("ROOM_CLOSED")), Some(LeaveReason::Clean)),
        (recorder(json!(10)), Some(LeaveReason::Clean)),
        (recorder(json!("CONNECTION_TIMEOUT")), Some(LeaveReason::Lost)),
        (recorder(json!("SIGNAL_CLOSE")), Some(LeaveReason::Lost)),
        (recorder(json!("REASON_OF_TOMORROW")), Some(LeaveReason::Lost)),
        (recorder(json!(null)), Some(LeaveReason::Lost)),
        (json!({"identity": "EG_1", "kind": 2, "disconnect_reason": 1}), Some(LeaveReason::Clean)),
        (
            json!({"identity": "EG_1", "permission": {"hidden": true, "recorder": true}}),
            Some(LeaveReason::Lost),
        ),
        (json!({"identity": "EG_1"}), Some(LeaveReason::Lost)),
        (json!({"identity": "EG_1", "kind": "KIND_OF_TOMORROW"}), Some(LeaveReason::Lost)),
        (json!({"identity": "anna", "disconnectReason": "CLIENT_INITIATED"}), None),
        (json!({"identity": "agent", "kind": "AGENT", "permission": {"hidden": true}}), None),
        (json!({"kind": "EGRESS"}), None),
        (json!("EG_1"), None),
    ];
    for (participant, expected) in table {
        let expected = expected.map_or(LiveKitNews::Other, |reason| LiveKitNews::RecorderLeft {
            egress: EgressId::from_trusted("EG_1"),
            reason,
        });
        let event = receive(&left(participant.clone()));
        assert_eq!(event.news, expected, "{participant}");
        assert_eq!(event.room, Some(RoomId::from_trusted("room-1")));
    }
}

#[test]
fn a_person_who_came_is_news() {
    let table = [
        (json!({"sid": "PA_1", "identity": "anna-1"}), Some("PA_1")),
        (json!({"sid": "PA_1", "identity": "anna-1", "kind": "STANDARD", "state": "ACTIVE"}), Some("PA_1")),
        (json!({"identity": "anna-1"}), None),
        (json!({"sid": "PA_1", "identity": "agent", "kind": "AGENT"}), None),
        (json!({"sid": "PA_1", "identity": "EG_1", "kind": "EGRESS"}), None),
        (json!({"sid": "PA_1", "identity": "EG_1"}), None),
    ];
    for (participant, sid) in table {
        let body =
            json!({"event": "participant_joined", "room": {"name": "room-1"}, "participant": participant});
        let event = receive(&body);
        let expected =
            sid.map_or(LiveKitNews::Other, |sid| LiveKitNews::PersonJoined { sid: sid.to_owned() });
        assert_eq!((event.news, event.room), (expected, Some(RoomId::from_trusted("room-1"))), "{body}");
    }
}

#[test]
fn a_person_who_left_frees_a_name_and_a_meeting_begins_and_ends() {
    let left = |participant: Value| json!({"event": "participant_left", "room": {"name": "room-1"}, "participant": participant});
    let person = |identity: &str, name: &str| LiveKitNews::PersonLeft {
        identity: identity.to_owned(),
        name: name.to_owned(),
    };
    let sid = || "RM_1".to_owned();
    let room = json!({"name": "room-1", "sid": "RM_1"});
    let table = [
        (left(json!({"identity": "anna-1", "name": "Anna"})), person("anna-1", "Anna")),
        (
            left(json!({"identity": "b", "name": "B", "kind": 0, "disconnectReason": "REASON_OF_TOMORROW"})),
            person("b", "B"),
        ),
        (left(json!({"identity": "anna-1", "name": "Anna", "disconnectReason": 2})), LiveKitNews::Other),
        (left(json!({"identity": "anna-1"})), LiveKitNews::Other),
        (left(json!({"identity": "agent", "name": "Agent", "kind": "AGENT"})), LiveKitNews::Other),
        (left(json!({"identity": "x", "name": "X", "kind": "KIND_OF_TOMORROW"})), LiveKitNews::Other),
        (
            json!({"event": "room_started", "room": room}),
            LiveKitNews::Meeting(MeetingNews::Started { sid: sid() }),
        ),
        (
            json!({"event": "room_finished", "room": room}),
            LiveKitNews::Meeting(MeetingNews::Finished { sid: sid() }),
        ),
        (
            json!({"event": "room_finished", "room": {"name": "room-1"}}),
            LiveKitNews::Meeting(MeetingNews::Finished { sid: String::new() }),
        ),
    ];
    for (body, expected) in table {
        let event = receive(&body);
        assert_eq!(event.news, expected, "{body}");
        assert_eq!(event.room, Some(RoomId::from_trusted("room-1")), "{body}");
    }
}

#[test]
fn the_maker_of_a_room_is_read_from_its_metadata() {
    let table = [
        (json!(r#"{"createdBy":"openviduMeet","more":1}"#), Some("openviduMeet")),
        (json!(r#"{"createdBy":7}"#), None),
        (json!(r#"["createdBy"]"#), None),
        (json!("no json"), None),
        (json!(null), None),
        (json!(12), None),
    ];
    for (metadata, expected) in table {
        let event = receive(&json!({"event": "room_started", "room": {"name": "r", "metadata": metadata}}));
        assert_eq!(event.created_by.as_deref(), expected, "{metadata}");
    }
}

/// Any JSON, mostly under names that the reader looks at.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Z_0-9]{0,8}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "event",
        "room",
        "name",
        "metadata",
        "egressInfo",
        "egressId",
        "roomName",
        "status",
        "startedAt",
        "roomComposite",
        "fileOutputs",
        "filepath",
        "advanced",
        "preset",
        "fileResults",
        "size",
        "participant",
        "identity",
        "kind",
        "permission",
        "disconnectReason",
        "keyFrameInterval",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..512), token in ".{0,64}") {
        let _ = receiver().receive(Some(&token), &body, NOW);
        let _ = receiver().receive(Some(&sign(&body)), &body, NOW);
    }

    #[test]
    fn no_json_makes_it_panic(
        mut body in anything(),
        event in prop::sample::select(vec!["egress_updated", "participant_left"]),
    ) {
        if let Some(object) = body.as_object_mut() {
            object.insert("event".to_owned(), Value::from(event));
        }
        let body = body.to_string().into_bytes();
        let _ = receiver().receive(Some(&sign(&body)), &body, NOW);
    }
}
