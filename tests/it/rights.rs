//! Who may do what: the whole table of callers and endpoints (contract `access.md` 1 and 3, `recordings.md` 2).

use reelkeeper_actors::ids::{RecordingId, RoomId};
use serde_json::{Value, json};

use crate::bearers::{Shown, claims, login, member, now, send, signed, with};
use crate::harness::{API_KEY, Reelkeeper, Sim, folder, quick};
use crate::wire::Reply;

/// What the table asks of each endpoint, in its order. Whoever is let in gets what stands beside it.
const ENDPOINTS: [(&str, u16); 9] = [
    ("start", 409), // nobody is in the room
    ("stop", 409),  // it is over
    ("list", 200),
    ("get", 200),
    ("media", 200),
    ("delete", 404), // another id of the same room
    ("room", 200),
    ("config", 200),
    ("create", 201),
];

/// A room of one access level, with a complete recording.
struct Place {
    room: String,
    recording: String,
    public: String,
    private: String,
    moderator: String,
    speaker: String,
}

/// A service with an admin and with a user who is nothing but that, in a store that outlives both.
async fn stage() -> (Reelkeeper, Sim) {
    let folder = folder();
    let sim = Sim::run(&folder, quick()).await;
    let path = folder.path().join("store.db");
    let store = format!("sqlite://{}", path.display());
    let service = Reelkeeper::start_in(folder, &sim.url, &[("REELKEEPER_STORE", &store)]).await;
    sim.tell(&service);
    // No endpoint makes users.
    let users = "INSERT INTO users SELECT 'user', password_hash, '[\"user\"]' FROM users";
    rusqlite::Connection::open(path).unwrap().execute(users, []).unwrap();
    (service, sim)
}

async fn place(service: &Reelkeeper, sim: &Sim, level: &str) -> Place {
    let config = json!({"recording": {"enabled": true, "allowAccessTo": level}});
    let room = service.post("/api/v1/rooms", &json!({"config": config})).await.expect(201).field("roomId");
    sim.people(&room);
    let recording = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&recording).await.expect(202);
    service.until(&recording, "complete").await;
    sim.control.live().with(|world| world.delete_room(&RoomId::from_trusted(&room)));
    let stored = service.catalog.recording(&RecordingId::parse(&recording).unwrap()).await.unwrap().unwrap();
    let moderator = member(service, &room, "moderatorUrl").await;
    let speaker = member(service, &room, "speakerUrl").await;
    let (public, private) = (stored.secrets.public, stored.secrets.private);
    Place { room, recording, public, private, moderator, speaker }
}

impl Place {
    async fn ask(&self, service: &Reelkeeper, endpoint: &str, shown: &Shown, body: &Value) -> Reply {
        let (room, id) = (&self.room, &self.recording);
        let (verb, path) = match endpoint {
            "start" => ("POST", "/recordings".to_owned()),
            "stop" => ("POST", format!("/recordings/{id}/stop")),
            "list" => ("GET", "/recordings".to_owned()),
            "get" => ("GET", format!("/recordings/{id}")),
            "media" => ("GET", format!("/recordings/{id}/media")),
            "delete" => ("DELETE", format!("/recordings/{room}--EG_none--u")),
            "room" => ("GET", format!("/rooms/{room}")),
            "config" => ("GET", format!("/rooms/{room}/config")),
            "create" => ("POST", "/rooms".to_owned()),
            other => panic!("no endpoint '{other}'"),
        };
        let body = if endpoint == "start" { &json!({"roomId": room}) } else { body };
        send(service, verb, &format!("/api/v1{path}"), shown, body).await
    }

    /// Asks each endpoint; an expected 0 stands for what whoever is let in gets.
    async fn expect(&self, service: &Reelkeeper, who: &str, shown: &Shown, expected: [u16; 9]) {
        for ((endpoint, let_in), expected) in ENDPOINTS.into_iter().zip(expected) {
            let reply = self.ask(service, endpoint, shown, &Value::Null).await;
            let expected = if expected == 0 { let_in } else { expected };
            assert_eq!(reply.status, expected, "{who}: {endpoint}: {}", String::from_utf8_lossy(&reply.body));
            let error = match expected {
                401 => "Authentication Error",
                403 => "Authorization Error",
                _ => continue,
            };
            assert_eq!(reply.field("error"), error, "{who}: {endpoint}");
        }
    }
}

#[tokio::test]
async fn every_caller_at_every_endpoint() {
    let (service, sim) = stage().await;
    let [open, middle, strict] = [
        place(&service, &sim, "admin_moderator_speaker").await,
        place(&service, &sim, "admin_moderator").await,
        place(&service, &sim, "admin").await,
    ];
    let key = || Shown::key(API_KEY);
    let admin = || Shown::nothing().and(Shown::access(""));
    let (admin_token, user_token) =
        (login(&service, "admin", "admin").await.access, login(&service, "user", "admin").await.access);
    let admin = || admin().and(Shown::query("accessToken", &admin_token));
    let user = || Shown::access(&user_token);
    let moderator = |place: &Place| Shown::member(&place.moderator);
    let speaker = |place: &Place| Shown::member(&place.speaker);
    let public = || Shown::query("secret", &open.public);
    let private = || Shown::query("secret", &open.private);
    let wrong = || Shown::query("secret", &middle.public);
    let expired = signed(&with(claims(&admin_token), &[("exp", json!(now() - 1))]));

    // start, stop, list, get, media, delete, room, config, create; 0 = let in
    let table: [(&str, &Place, Shown, [u16; 9]); 29] = [
        ("nobody", &open, Shown::nothing(), [401; 9]),
        ("the key", &open, key(), [0; 9]),
        ("the key at admin", &strict, key(), [0; 9]),
        ("a wrong key", &open, Shown::key("wrong"), [401; 9]),
        ("an admin", &open, admin(), [401, 401, 0, 0, 0, 0, 0, 0, 0]),
        ("an admin at admin", &strict, admin(), [401, 401, 0, 0, 0, 0, 0, 0, 0]),
        ("a user", &open, user(), [401, 401, 403, 403, 403, 403, 403, 403, 403]),
        ("a moderator", &open, moderator(&open), [0, 0, 0, 0, 0, 0, 0, 0, 401]),
        ("a moderator at admin_moderator", &middle, moderator(&middle), [0, 0, 0, 0, 0, 0, 0, 0, 401]),
        ("a moderator at admin", &strict, moderator(&strict), [0, 0, 403, 403, 403, 403, 0, 0, 401]),
        (
            "a moderator of another room",
            &open,
            moderator(&middle),
            [403, 403, 0, 403, 403, 403, 403, 403, 401],
        ),
        ("a speaker", &open, speaker(&open), [403, 403, 0, 0, 0, 403, 0, 0, 401]),
        (
            "a speaker at admin_moderator",
            &middle,
            speaker(&middle),
            [403, 403, 403, 403, 403, 403, 0, 0, 401],
        ),
        ("a speaker at admin", &strict, speaker(&strict), [403, 403, 403, 403, 403, 403, 0, 0, 401]),
        ("a speaker of another room", &open, speaker(&middle), [403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("the public secret", &open, public(), [401, 401, 401, 0, 0, 401, 401, 401, 401]),
        ("the private secret alone", &open, private(), [401; 9]),
        (
            "the private secret and a user",
            &open,
            private().and(user()),
            [401, 401, 403, 0, 0, 403, 403, 403, 403],
        ),
        ("the private secret and an admin", &open, private().and(admin()), [401, 401, 0, 0, 0, 0, 0, 0, 0]),
        ("the private secret and the key", &open, private().and(key()), [0, 0, 0, 401, 401, 0, 0, 0, 0]),
        (
            "the private secret and a moderator",
            &open,
            private().and(moderator(&open)),
            [0, 0, 0, 401, 401, 0, 0, 0, 401],
        ),
        ("another secret and the key", &open, wrong().and(key()), [0, 0, 0, 400, 400, 0, 0, 0, 0]),
        (
            "the public secret at another recording",
            &middle,
            public(),
            [401, 401, 401, 400, 400, 401, 401, 401, 401],
        ),
        // The first that is right counts, else the last failure.
        (
            "a wrong key and a moderator",
            &open,
            Shown::key("wrong").and(moderator(&open)),
            [0, 0, 0, 0, 0, 0, 0, 0, 401],
        ),
        (
            "a wrong key and a user",
            &open,
            Shown::key("wrong").and(user()),
            [401, 401, 403, 403, 403, 403, 403, 403, 403],
        ),
        (
            "an expired admin and a speaker",
            &open,
            Shown::access(&expired).and(speaker(&open)),
            [403, 403, 0, 0, 0, 403, 0, 0, 401],
        ),
        (
            "an admin and another room's speaker",
            &open,
            admin().and(speaker(&middle)),
            [403, 403, 0, 0, 0, 0, 0, 0, 0],
        ),
        ("the key and another room's speaker", &open, key().and(speaker(&middle)), [0; 9]),
        (
            "a user and a bad member",
            &open,
            user().and(Shown::member("nonsense")),
            [401, 401, 401, 401, 401, 401, 401, 401, 403],
        ),
    ];
    for (who, place, shown, expected) in table {
        place.expect(&service, who, &shown, expected).await;
    }
    service.finish().await;
}

#[tokio::test]
async fn no_body_or_query_names_the_room_that_a_right_is_held_against() {
    let (service, sim) = stage().await;
    let own = place(&service, &sim, "admin_moderator_speaker").await;
    let other = place(&service, &sim, "admin_moderator_speaker").await;
    let shown = Shown::member(&own.moderator).and(Shown::query("roomId", &own.room));
    let claim = json!({"roomId": own.room, "room": own.room, "recordingId": own.recording});
    for endpoint in ["stop", "get", "media", "delete", "room", "config"] {
        let reply = other.ask(&service, endpoint, &shown, &claim).await;
        reply.refused(403, "Authorization Error", "another room");
    }
    other.ask(&service, "start", &shown, &Value::Null).await.refused(
        403,
        "Authorization Error",
        "another room",
    );

    let listed =
        own.ask(&service, "list", &Shown::member(&own.speaker), &Value::Null).await.expect(200).json();
    let rooms: Vec<_> = listed["recordings"].as_array().unwrap().iter().map(|one| &one["roomId"]).collect();
    assert_eq!(rooms, [&json!(own.room)], "only the own room's");
    service.recording(&other.recording).await.expect(200);
    service.finish().await;
}

#[tokio::test]
async fn only_what_is_for_anybody_may_be_kept_by_anybody() {
    let (service, sim) = stage().await;
    let place = place(&service, &sim, "admin_moderator_speaker").await;
    let user = login(&service, "user", "admin").await.access;
    let (public, private) = ("public, max-age=3600", "private, max-age=3600");
    let table = [
        (Shown::query("secret", &place.public), public),
        (Shown::query("secret", &place.public).and(Shown::key(API_KEY)), public),
        (Shown::query("secret", &place.private).and(Shown::access(&user)), private),
        (Shown::query("secret", "").and(Shown::key(API_KEY)), private),
        (Shown::member(&place.speaker), private),
    ];
    for (shown, caching) in table {
        let reply = place.ask(&service, "media", &shown, &Value::Null).await.expect(200);
        assert_eq!(reply.header("cache-control"), caching, "{shown:?}");
    }
    let twice = Shown::query("secret", &place.public).and(Shown::query("secret", &place.public));
    for endpoint in ["get", "media"] {
        let reply = place.ask(&service, endpoint, &twice, &Value::Null).await;
        assert_eq!(reply.json()["details"][0]["field"], "query.secret", "{endpoint}");
        reply.refused(422, "Unprocessable Entity", "");
    }
    service.finish().await;
}
