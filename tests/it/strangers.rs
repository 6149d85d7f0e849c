//! Webhooks that are not LiveKit's, and those of other applications (contract `recordings.md` 5 and its
//! deviations): the right status, quickly, and nothing changed.

use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use livekit_protocol as lk;
use lk::EgressStatus;
use serde_json::{Value, json};

use crate::harness::Reelkeeper;
use crate::livekit::{Scripted, Shows, egress, in_webhook};
use crate::signing::Signature;
use crate::stage::Stage;
use crate::wire::try_send;

const QUICKLY: Duration = Duration::from_secs(5);

/// News that would end the recording if they were believed.
fn lie(stage: &Stage) -> Vec<u8> {
    let mut info = stage.egress.clone();
    info.set_status(EgressStatus::EgressFailed);
    info.updated_at += 5_000_000_000;
    in_webhook("egress_ended", &info).to_string().into_bytes()
}

#[tokio::test]
async fn a_webhook_without_livekits_signature_is_refused() {
    let stage = Stage::set().await;
    let body = lie(&stage);
    let right = || Signature::default();
    let signatures = [
        Signature { issuer: "another-key", ..right() },
        Signature { issuer: "", ..right() },
        Signature { secret: "another-secret-of-at-least-32-characters", ..right() },
        Signature { algorithm: Algorithm::HS384, ..right() },
        Signature { algorithm: Algorithm::HS512, ..right() },
        Signature { expires_in: -15, ..right() },
        Signature { expires_in: -100_000, ..right() },
        Signature { not_before: Some(60), ..right() },
        Signature { hashed: false, ..right() },
    ];
    let mut tokens: Vec<String> = signatures.iter().map(|signature| signature.of(&body)).collect();
    let token = right().of(&body);
    let unsigned = token.rsplit_once('.').unwrap().0;
    // {"alg":"none","typ":"JWT"}
    let none = unsigned.split_once('.').unwrap().1;
    tokens.extend([
        right().of(b"another body"),
        String::new(),
        "nonsense".to_owned(),
        "a.b.c".to_owned(),
        format!("{unsigned}."),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{none}."),
        format!("{token}x"),
        token.replace('.', ".."),
        "x".repeat(20_000),
    ]);
    let mut longer = body.clone();
    longer.push(b' ');
    let mut requests: Vec<_> = tokens.iter().map(|token| (Some(token.clone()), body.clone())).collect();
    requests.extend([
        (None, body.clone()),
        (Some(token.clone()), longer),
        (Some(token.clone()), body[..body.len() - 1].to_vec()),
        (Some(token.clone()), Vec::new()),
        (Some(token.clone()), b"[".repeat(10_000)),
    ]);
    let before = stage.service.everything().await;
    for (token, body) in requests {
        let mut request = stage.service.webhook(body);
        if let Some(token) = &token {
            request = request.header("authorization", token);
        }
        let began = Instant::now();
        let reply = try_send(request).await.unwrap();
        assert!(began.elapsed() < QUICKLY, "{token:?}");
        reply.refused(401, "Authentication Error", "signature");
    }
    assert_eq!(stage.service.everything().await, before);
    // Clocks may differ by ten seconds.
    for signature in [Signature { expires_in: -7, ..right() }, Signature { not_before: Some(7), ..right() }] {
        let harmless = json!({"event": "room_started"}).to_string().into_bytes();
        stage.service.tell_signed(harmless, &signature).await.expect(200);
    }
    stage.end().await;
}

#[tokio::test]
async fn a_webhook_that_is_too_large_is_refused_whatever_its_signature() {
    let stage = Stage::set().await;
    let before = stage.service.everything().await;
    let padded = |size: usize| {
        let mut event: Value = serde_json::from_slice(&lie(&stage)).unwrap();
        event["event"] = json!("room_of_tomorrow");
        event["padding"] = json!("");
        let missing = size - event.to_string().len();
        event["padding"] = json!("x".repeat(missing));
        event.to_string().into_bytes()
    };
    for (size, status) in [(102_400, 200), (102_401, 413), (1_000_000, 413), (5_000_000, 413)] {
        let began = Instant::now();
        let body = padded(size);
        assert_eq!(body.len(), size);
        stage.service.tell_signed(body, &Signature::default()).await.expect(status);
        assert!(began.elapsed() < QUICKLY, "{size} bytes");
    }
    let unsigned = stage.service.webhook(padded(1_000_000));
    try_send(unsigned).await.unwrap().expect(413);
    assert_eq!(stage.service.everything().await, before);
    stage.end().await;
}

#[tokio::test]
async fn a_signed_webhook_that_is_no_json_changes_nothing() {
    let stage = Stage::set().await;
    let before = stage.service.everything().await;
    let bodies: [&[u8]; 7] = [b"", b"nonsense", b"{", b"[]", b"7", b"null", b"\xff\xfe"];
    for body in bodies {
        stage.service.tell_signed(body.to_vec(), &Signature::default()).await.expect(200);
    }
    assert_eq!(stage.service.everything().await, before);
    stage.end().await;
}

/// Egresses that are not ours, in our room and in others, in every kind of event.
fn egresses_of_others(room: &str) -> Vec<Value> {
    let composite = |room: &str, path: &str| {
        let file = lk::EncodedFileOutput { filepath: path.to_owned(), ..lk::EncodedFileOutput::default() };
        let request = lk::RoomCompositeEgressRequest {
            room_name: room.to_owned(),
            file_outputs: vec![file],
            ..lk::RoomCompositeEgressRequest::default()
        };
        egress("EG_stranger", &request, EgressStatus::EgressActive)
    };
    let ours = format!("openvidu-meet/recordings/{room}/{room}--0123456789");
    let egresses = [
        composite(room, "elsewhere/film"),
        composite(room, ""),
        composite(room, &format!("openvidu-meet/recordings/{room}/other--0123456789")),
        composite(room, "openvidu-meet/recordings/another/another--0123456789"),
        composite("a-room-of-theirs", "elsewhere/film"),
        composite("a-room-of-theirs", &ours),
        composite(
            "a-room-of-theirs",
            "openvidu-meet/recordings/a-room-of-theirs/a-room-of-theirs--0123456789",
        ),
    ];
    let mut events = Vec::new();
    for info in &egresses {
        for event in ["egress_started", "egress_updated", "egress_ended"] {
            events.push(in_webhook(event, info));
        }
    }
    let other_kinds = [
        json!({"roomComposite": {"roomName": room, "streamOutputs": [{"protocol": "RTMP", "urls": ["rtmp://x/y"]}]}}),
        json!({"track": {"roomName": room, "trackId": "TR_1", "file": {"filepath": ours}}}),
        json!({"trackComposite": {"roomName": room, "fileOutputs": [{"filepath": ours}]}}),
        json!({"participant": {"roomName": room, "identity": "p", "fileOutputs": [{"filepath": ours}]}}),
        json!({"web": {"url": "http://x", "fileOutputs": [{"filepath": ours}]}}),
        json!({}),
    ];
    for mut info in other_kinds {
        for (event, status) in [("egress_started", "EGRESS_ACTIVE"), ("egress_ended", "EGRESS_COMPLETE")] {
            info["egressId"] = json!("EG_stranger");
            info["roomName"] = json!(room);
            info["status"] = json!(status);
            events.push(json!({"event": event, "egressInfo": info}));
        }
    }
    events
}

/// News of rooms and participants that is not ours, or means nothing to us.
fn news_of_others(room: &str) -> Vec<Value> {
    let metadata = r#"{"createdBy":"somebody-else"}"#;
    vec![
        json!({"event": "room_started", "room": {"name": "theirs", "sid": "RM_9", "metadata": metadata}}),
        json!({"event": "room_finished", "room": {"name": "theirs", "metadata": metadata}}),
        json!({"event": "room_finished", "room": {"name": "theirs", "metadata": "not json"}}),
        json!({"event": "participant_joined", "room": {"name": "theirs"}, "participant": {"identity": "p"}}),
        json!({"event": "participant_left", "room": {"name": "theirs"},
            "participant": {"identity": "EG_stranger", "kind": "EGRESS", "disconnectReason": "CLIENT_INITIATED"}}),
        json!({"event": "participant_left", "room": {"name": room},
            "participant": {"identity": "EG_stranger", "kind": "EGRESS", "disconnectReason": "CLIENT_INITIATED"}}),
        json!({"event": "participant_left", "room": {"name": room},
            "participant": {"identity": "p", "kind": "STANDARD", "disconnectReason": "CLIENT_INITIATED"}}),
        json!({"event": "track_published", "room": {"name": room}, "participant": {"identity": "p"}}),
        json!({"event": "ingress_started", "ingressInfo": {"ingressId": "IN_1", "roomName": room}}),
        json!({"event": "tomorrow", "room": {"name": room}}),
    ]
}

#[tokio::test]
async fn events_of_other_applications_are_answered_and_forgotten() {
    let stage = Stage::set().await;
    let room = stage.room.as_str();
    let mut events = egresses_of_others(room);
    events.extend(news_of_others(room));
    stage.livekit.looked_at(room).await;
    let before = stage.service.everything().await;
    let calls = stage.livekit.call_count();
    for event in events {
        let began = Instant::now();
        let reply = stage.service.tell(&event).await;
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{event}");
        assert!(began.elapsed() < QUICKLY, "{event}");
        assert_eq!(stage.service.everything().await, before, "{event}");
    }
    assert_eq!(stage.livekit.call_count(), calls, "LiveKit was not even asked");
    stage.end().await;
}

/// Neither counted nor stopped: a room in which others record and stream can be recorded.
#[tokio::test]
async fn egresses_of_others_in_our_room_do_not_matter() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let room = service.room().await;
    livekit.people(&room);
    let theirs = lk::RoomCompositeEgressRequest { room_name: room.clone(), ..Default::default() };
    livekit.add(egress("EG_rtmp", &theirs, EgressStatus::EgressActive));
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
    service.until(&id, "failed").await;
    assert_eq!(livekit.egresses(&room)[0].status(), EgressStatus::EgressActive);
    service.finish().await;
}

/// An egress in our form that this service did not issue is an old node's: it counts (design 5).
#[tokio::test]
async fn an_egress_in_our_form_is_adopted() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let room = service.room().await;
    livekit.people(&room);
    let file = lk::EncodedFileOutput {
        filepath: format!("openvidu-meet/recordings/{room}/{room}--0123456789"),
        ..Default::default()
    };
    let request = lk::RoomCompositeEgressRequest {
        room_name: room.clone(),
        file_outputs: vec![file],
        ..Default::default()
    };
    livekit.add(egress("EG_old", &request, EgressStatus::EgressActive));
    livekit.recorder(&room, "EG_old");
    service.start_recording(&room).await.refused(409, "Recording Error", "already");
    let id = format!("{room}--EG_old--0123456789");
    assert_eq!(service.until(&id, "active").await["roomName"], "Town Hall");
    service.stop_recording(&id).await.expect(202);
    livekit.change("EG_old", EgressStatus::EgressFailed);
    service.until(&id, "failed").await;
    service.finish().await;
}
