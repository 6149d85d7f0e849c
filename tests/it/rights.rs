//! Who may do what: the whole table of callers and endpoints (contract `access.md` 1 and 3, `recordings.md` 2).

use reelkeeper_actors::ids::{RecordingId, RoomId};
use serde_json::{Value, json};

use crate::bearers::{Shown, claims, login, member, now, send, signed, with};
use crate::harness::{API_KEY, Reelkeeper, Sim, folder, quick};
use crate::wire::Reply;

/// The endpoints of the table, in its order, and what whoever is let in gets there.
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

/// Where, with which credentials, and how each endpoint answers: `+` let in, `0` 400, `1` 401, `3` 403. The
/// places are rooms whose level is `admin_moderator_speaker` (open), `admin_moderator` (middle) and `admin` (strict).
const TABLE: [(&str, &str, &str); 29] = [
    //                                                  start, stop, list, get, media, delete, room, config, create
    ("open", "nothing", "11111 1111"),
    ("open", "key", "+++++ ++++"),
    ("strict", "key", "+++++ ++++"),
    ("open", "wrong key", "11111 1111"),
    ("open", "admin", "11+++ ++++"),
    ("strict", "admin", "11+++ ++++"),
    ("open", "user", "11333 3333"),
    ("open", "moderator of open", "+++++ +++1"),
    ("middle", "moderator of middle", "+++++ +++1"),
    ("strict", "moderator of strict", "++333 3++1"),
    ("open", "moderator of middle", "33+33 3331"),
    ("open", "speaker of open", "33+++ 3++1"),
    ("middle", "speaker of middle", "33333 3++1"),
    ("strict", "speaker of strict", "33333 3++1"),
    ("open", "speaker of middle", "33333 3331"),
    ("open", "public secret of open", "111++ 1111"),
    ("open", "private secret of open", "11111 1111"),
    ("open", "private secret of open, user", "113++ 3333"),
    ("open", "private secret of open, admin", "11+++ ++++"),
    ("open", "private secret of open, key", "+++11 ++++"),
    ("open", "private secret of open, moderator of open", "+++11 +++1"),
    ("open", "public secret of middle, key", "+++00 ++++"),
    ("middle", "public secret of open", "11100 1111"),
    // The first that is right counts, else the last failure.
    ("open", "wrong key, moderator of open", "+++++ +++1"),
    ("open", "wrong key, user", "11333 3333"),
    ("open", "expired admin, speaker of open", "33+++ 3++1"),
    ("open", "admin, speaker of middle", "33+++ ++++"),
    ("open", "key, speaker of middle", "+++++ ++++"),
    ("open", "user, bad member", "11111 1113"),
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
}

/// Everybody in the table.
struct Cast {
    places: [(&'static str, Place); 3],
    admin: String,
    user: String,
}

impl Cast {
    async fn gather(service: &Reelkeeper, sim: &Sim) -> Self {
        let places = [
            ("open", place(service, sim, "admin_moderator_speaker").await),
            ("middle", place(service, sim, "admin_moderator").await),
            ("strict", place(service, sim, "admin").await),
        ];
        let admin = login(service, "admin", "admin").await.access;
        Self { places, admin, user: login(service, "user", "admin").await.access }
    }

    fn place(&self, name: &str) -> &Place {
        &self.places.iter().find(|(called, _)| *called == name).unwrap().1
    }

    fn shows(&self, credential: &str) -> Shown {
        let (what, place) = credential.split_once(" of ").unwrap_or((credential, "open"));
        let place = self.place(place);
        match what {
            "nothing" => Shown::nothing(),
            "key" => Shown::key(API_KEY),
            "wrong key" => Shown::key("wrong"),
            "admin" => Shown::access(&self.admin),
            "expired admin" => {
                Shown::access(&signed(&with(claims(&self.admin), &[("exp", json!(now() - 1))])))
            }
            "user" => Shown::access(&self.user),
            "moderator" => Shown::member(&place.moderator),
            "speaker" => Shown::member(&place.speaker),
            "bad member" => Shown::member("nonsense"),
            "public secret" => Shown::query("secret", &place.public),
            "private secret" => Shown::query("secret", &place.private),
            other => panic!("no credential '{other}'"),
        }
    }
}

#[tokio::test]
async fn every_caller_at_every_endpoint() {
    let (service, sim) = stage().await;
    let cast = Cast::gather(&service, &sim).await;
    for (at, who, answers) in TABLE {
        let shown = who.split(", ").map(|name| cast.shows(name)).fold(Shown::nothing(), Shown::and);
        for ((endpoint, let_in), answer) in ENDPOINTS.into_iter().zip(answers.replace(' ', "").chars()) {
            let reply = cast.place(at).ask(&service, endpoint, &shown, &Value::Null).await;
            let (status, error) = match answer {
                '+' => (let_in, None),
                '0' => (400, Some("Recording Error")),
                '1' => (401, Some("Authentication Error")),
                '3' => (403, Some("Authorization Error")),
                other => panic!("no answer '{other}'"),
            };
            assert_eq!(reply.status, status, "{who} at {at}: {endpoint}");
            if let Some(error) = error {
                assert_eq!(reply.field("error"), error, "{who} at {at}: {endpoint}");
            }
        }
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
