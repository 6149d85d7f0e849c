//! Members of rooms: their tokens, their names, and the LiveKit room that waits for them (contract `access.md`
//! 2, `rooms.md` 4, 6 and 7).

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::RoomStatus;
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::faults::CallTrouble;
use serde_json::{Value, json};

use crate::bearers::{
    Shown, ask_for_token, claims, joining, member, now, refreshed_by_livekit, secret, send, signed, with,
};
use crate::harness::{LIVEKIT_KEY, Reelkeeper, Sim, simulated};
use crate::wire::{Reply, client, eventually, try_send};

const ROLES: [(&str, &str); 2] = [("moderatorUrl", "moderator"), ("speakerUrl", "speaker")];

/// Comes into the meeting with a token, as a client does.
async fn join(sim: &Sim, token: &str) -> Reply {
    let request = client().post(format!("{}/control/join", sim.url));
    try_send(request.json(&json!({"token": token}))).await.unwrap()
}

fn permissions(role: &str) -> Value {
    let moderates = role == "moderator";
    json!({"canRecord": moderates, "canRetrieveRecordings": true, "canDeleteRecordings": moderates,
        "canChat": true, "canChangeVirtualBackground": true})
}

fn grant(room: &str, joins: &Value) -> Value {
    json!({"room": room, "roomJoin": joins, "canPublish": true, "canSubscribe": true, "canPublishData": true,
        "canUpdateOwnMetadata": true})
}

/// A room that is closed; nothing closes one over the API yet.
async fn closed_room(service: &Reelkeeper) -> String {
    let open = service.room().await;
    let mut room = service.catalog.room(&RoomId::from_trusted(&open)).await.unwrap().unwrap();
    room.room_id = RoomId::from_trusted(format!("{open}2"));
    room.status = RoomStatus::Closed;
    service.catalog.insert_room(&room).await.unwrap();
    room.room_id.to_string()
}

#[tokio::test]
async fn a_secret_makes_a_member_with_the_roles_permissions() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    for (url, role) in ROLES {
        let token = member(&service, &room, url).await;
        let claims = claims(&token);
        let metadata: Value = serde_json::from_str(claims["metadata"].as_str().unwrap()).unwrap();
        assert_eq!(metadata, json!({"livekitUrl": sim.url, "role": role, "permissions": permissions(role)}));
        assert_eq!(claims["video"], grant(&room, &json!(false)));
        assert_eq!((&claims["iss"], &claims["nbf"]), (&json!(LIVEKIT_KEY), &json!(0)));
        let left = claims["exp"].as_i64().unwrap() - now();
        assert!((7_195..=7_200).contains(&left), "{left}");
        assert!(["sub", "name", "iat", "jti"].iter().all(|name| claims.get(name).is_none()), "{claims}");
        join(&sim, &token).await.expect(401);
    }
    assert!(sim.calls(&room, Method::CreateRoom).is_empty(), "nobody wanted to join");

    let path = format!("/internal-api/v1/rooms/{room}/roles");
    let shown = |role: &str| json!({"role": role, "permissions": {"livekit": grant(&room, &json!(true)), "meet": permissions(role)}});
    let all = send(&service, "GET", &path, &Shown::nothing(), &Value::Null).await.expect(200).json();
    assert_eq!(all, json!([shown("moderator"), shown("speaker")]));
    for (url, role) in ROLES {
        let path = format!("{path}/{}", secret(&service, &room, url).await);
        let one = send(&service, "GET", &path, &Shown::nothing(), &Value::Null).await.expect(200).json();
        assert_eq!(one, shown(role));
    }
    service.finish().await;
}

#[tokio::test]
async fn a_request_for_a_token_is_refused_in_the_contracts_order() {
    let (service, sim) = simulated(&[]).await;
    let (room, closed) = (service.room().await, closed_room(&service).await);
    let speaker = secret(&service, &room, "speakerUrl").await;
    let other = secret(&service, &service.room().await, "speakerUrl").await;
    let of_closed = secret(&service, &closed, "speakerUrl").await;
    let wants = |secret: &str, who: &[(&str, &str)]| {
        let base = json!({"secret": secret, "grantJoinMeetingPermission": true, "participantName": "Ann"});
        who.iter().fold(base, |body, (name, value)| with(body, &[(name, json!(value))]))
    };
    let nobody = [("participantIdentity", "ann-1")];
    let table = [
        ("%2F", json!({}), 422, "Unprocessable Entity"),
        ("none", json!({"secret": ""}), 422, "Unprocessable Entity"),
        ("none", json!({"secret": "x"}), 404, "Room Error"),
        (&room, json!({"secret": "0123456789"}), 400, "Room Error"),
        (&room, json!({"secret": other}), 400, "Room Error"),
        (&room, wants(&speaker, &[("participantName", "")]), 422, "Unprocessable Entity"),
        (&room, wants(&speaker, &nobody), 404, "Participant Error"),
        (&closed, wants(&other, &[]), 400, "Room Error"),
        (&closed, wants(&of_closed, &[]), 409, "Room Error"),
        (&closed, wants(&of_closed, &nobody), 409, "Room Error"),
    ];
    for (room, body, status, error) in table {
        let reply = ask_for_token(&service, room, &body).await.refused(status, error, "");
        let secret = body["secret"].as_str().unwrap_or_default();
        assert!(secret.len() < 2 || !reply.text().contains(secret), "{}", reply.text());
    }
    ask_for_token(&service, &closed, &json!({"secret": of_closed})).await.expect(200);
    for (path, status) in [("none/roles", 404), ("none/roles/x", 404), (&format!("{room}/roles/x"), 400)] {
        let path = format!("/internal-api/v1/rooms/{path}");
        send(&service, "GET", &path, &Shown::nothing(), &Value::Null).await.refused(status, "Room Error", "");
    }
    assert!(sim.calls(&room, Method::CreateRoom).is_empty(), "nobody was let in");
    service.finish().await;
}

#[tokio::test]
async fn the_first_join_token_makes_the_livekit_room() {
    let settings =
        [("MEETING_EMPTY_TIMEOUT", "7s"), ("MEETING_DEPARTURE_TIMEOUT", "9s"), ("MEET_NAME_ID", "ours")];
    let (service, sim) = simulated(&settings).await;
    let room = service.room().await;
    let token = joining(&service, &room, "moderatorUrl", "Møde Åse").await;
    let claims = claims(&token);
    assert_eq!((&claims["name"], &claims["video"]), (&json!("Møde Åse"), &grant(&room, &json!(true))));
    let identity = claims["sub"].as_str().unwrap();
    let random = identity.strip_prefix("mde_ase-").unwrap();
    assert!(random.len() == 15 && random.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));

    let id = RoomId::from_trusted(&room);
    let made = sim.control.live().with(|world| world.room(&id)).unwrap();
    assert_eq!((made.empty_timeout, made.departure_timeout), (7, 9));
    let metadata: Value = serde_json::from_str(&made.metadata).unwrap();
    let shown = service.call("GET", &format!("/api/v1/rooms/{room}")).await.json();
    let options = json!({"roomName": "Town Hall", "autoDeletionPolicy": shown["autoDeletionPolicy"],
        "config": shown["config"]});
    assert_eq!(metadata, json!({"createdBy": "ours", "roomOptions": options}));

    let joined = join(&sim, &token).await.expect(201).json();
    assert_eq!((&joined["identity"], &joined["name"]), (&claims["sub"], &claims["name"]));
    joining(&service, &room, "speakerUrl", "Bob").await;
    assert_eq!(sim.calls(&room, Method::CreateRoom).len(), 1, "the second one found it there");
    sim.control.live().with(|world| world.delete_room(&id));
    service.finish().await;
}

#[tokio::test]
async fn names_are_given_once_and_come_back_when_their_bearer_leaves() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    let mut tokens = Vec::new();
    for (wanted, expected) in [("BOB", "BOB"), ("bob", "bob_1"), ("BOB_1", "BOB_2")] {
        let token = joining(&service, &room, "speakerUrl", wanted).await;
        assert_eq!(claims(&token)["name"], expected);
        join(&sim, &token).await.expect(201);
        tokens.push(token);
    }
    let leave = |token: &str| {
        let identity = claims(token)["sub"].as_str().unwrap().to_owned();
        let path = format!("{}/control/rooms/{room}/participants/{identity}", sim.url);
        try_send(client().delete(path))
    };
    leave(&tokens[1]).await.unwrap().expect(204);
    eventually("the name comes back", async || {
        let token = joining(&service, &room, "speakerUrl", "Bob").await;
        (claims(&token)["name"] == "Bob_1").then_some(())
    })
    .await;
    sim.control.live().with(|world| world.delete_room(&RoomId::from_trusted(&room)));
    eventually("all names come back with the end of the meeting", async || {
        let token = joining(&service, &room, "speakerUrl", "Bob").await;
        (claims(&token)["name"] == "Bob").then_some(())
    })
    .await;
    service.finish().await;
}

#[tokio::test]
async fn who_is_in_the_meeting_comes_again_with_a_secret_of_the_own_role() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    let first = joining(&service, &room, "moderatorUrl", "Ann").await;
    join(&sim, &first).await.expect(201);
    let identity = claims(&first)["sub"].clone();
    let again = async |url: &str, identity: &Value| {
        let secret = secret(&service, &room, url).await;
        let body = json!({"secret": secret, "grantJoinMeetingPermission": true, "participantName": "Ann",
            "participantIdentity": identity});
        ask_for_token(&service, &room, &body).await
    };
    let renewed = again("moderatorUrl", &identity).await.expect(200).field("token");
    assert_eq!((&claims(&renewed)["sub"], &claims(&renewed)["name"]), (&identity, &json!("Ann")));
    join(&sim, &renewed).await.expect(201);
    again("speakerUrl", &identity).await.refused(403, "Authorization Error", "another role");
    again("moderatorUrl", &json!("ann-nobody")).await.refused(404, "Participant Error", "ann-nobody");
    // Whoever another way let in has no role that could differ.
    sim.people(&room);
    again("speakerUrl", &json!("participant-1")).await.expect(200);
    // Nobody comes in as the recorder, who would be put out.
    let id = service.start_recording(&room).await.expect(201).field("recordingId");
    let recorder = id.split("--").nth(1).unwrap();
    again("speakerUrl", &json!(recorder)).await.refused(404, "Participant Error", recorder);
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn without_livekit_nobody_joins_and_requests_go_on() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    let speaker = secret(&service, &room, "speakerUrl").await;
    let body = json!({"secret": speaker, "grantJoinMeetingPermission": true, "participantName": "Ann"});
    let answers =
        [("unavailable", 503, "Service Unavailable"), ("invalid_argument", 500, "Internal Server Error")];
    for (code, status, name) in answers {
        sim.trouble(&room, Method::CreateRoom, CallTrouble::Error(Refusal::new(code, "gone")));
        ask_for_token(&service, &room, &body).await.refused(status, name, "LiveKit");
    }
    let token = ask_for_token(&service, &room, &body).await.expect(200).field("token");
    assert_eq!(claims(&token)["name"], "Ann", "no name was taken in vain");
    service.finish().await;
}

#[tokio::test]
async fn a_members_token_is_good_only_for_what_it_says() {
    let (service, _sim) = simulated(&[]).await;
    let room = service.room().await;
    let path = format!("/api/v1/rooms/{room}");
    let good = claims(&member(&service, &room, "speakerUrl").await);
    let see = async |shown: &Shown| send(&service, "GET", &path, shown, &Value::Null).await;
    let speakers = see(&Shown::query("roomMemberToken", &signed(&good))).await.expect(200).json();
    assert_eq!(speakers.get("moderatorUrl"), None);
    assert!(speakers["speakerUrl"].is_string(), "{speakers}");
    let moderator = Shown::member(&member(&service, &room, "moderatorUrl").await);
    let moderators = see(&moderator).await.expect(200).json();
    assert_eq!(moderators, service.call("GET", &path).await.json());
    let config = format!("{path}/config");
    let config = send(&service, "GET", &config, &moderator, &Value::Null).await.expect(200).json();
    assert_eq!(config, moderators["config"]);
    let hidden = Shown::member(&signed(&good)).and(Shown::query("fields", "moderatorUrl"));
    assert_eq!(see(&hidden).await.expect(200).json(), json!({}));

    // A speaker may write their own metadata in LiveKit, and LiveKit signs it with the secret that we share.
    let raised =
        json!({"livekitUrl": "ws://x", "role": "moderator", "permissions": permissions("moderator")});
    let bad = [
        (refreshed_by_livekit(&room, &raised), 401, "Authentication Error"),
        (signed(&with(good.clone(), &[("exp", json!(now() - 1))])), 401, "Authentication Error"),
        (signed(&with(good.clone(), &[("use", json!("access"))])), 401, "Authentication Error"),
        (signed(&with(good.clone(), &[("video", Value::Null)])), 401, "Authentication Error"),
        (signed(&with(good.clone(), &[("metadata", Value::Null)])), 401, "Authentication Error"),
        (signed(&with(good.clone(), &[("metadata", json!("{}"))])), 400, "Room Error"),
        (signed(&with(good, &[("video", json!({"room": "another"}))])), 403, "Authorization Error"),
    ];
    for (token, status, error) in bad {
        see(&Shown::member(&token)).await.refused(status, error, "");
    }
    service.finish().await;
}

#[tokio::test]
async fn whoever_guesses_secrets_is_not_listened_to_for_a_while() {
    let (service, _sim) = simulated(&[]).await;
    let room = service.room().await;
    let right = secret(&service, &room, "speakerUrl").await;
    let role = async |secret: &str| {
        let path = format!("/internal-api/v1/rooms/{room}/roles/{secret}");
        send(&service, "GET", &path, &Shown::nothing(), &Value::Null).await
    };
    for _ in 0..199 {
        role("0123456789").await.expect(400);
    }
    role(&right).await.expect(200);
    role("0123456789").await.expect(400);
    let refused = role(&right).await;
    refused.refused(429, "Too Many Requests", "wrong secrets");
    let body = json!({"secret": right});
    ask_for_token(&service, &room, &body).await.expect(429);
    service.call("GET", &format!("/api/v1/rooms/{room}")).await.expect(200);
    service.finish().await;

    let (service, _sim) = simulated(&[("REELKEEPER_GUESS_LIMITS", "false")]).await;
    let room = service.room().await;
    for _ in 0..201 {
        let path = format!("/internal-api/v1/rooms/{room}/roles/0123456789");
        send(&service, "GET", &path, &Shown::nothing(), &Value::Null).await.expect(400);
    }
    service.finish().await;
}
