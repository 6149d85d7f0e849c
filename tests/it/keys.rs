//! `Idempotency-Key` on start and stop (design 4): a request that is sent again is carried out once, and told
//! the same.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reelkeeper_actors::simulator::calls::Method as SimMethod;
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::faults::CallTrouble;
use reelkeeper_actors::simulator::log::Release;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::bearers::{Shown, joining, member, send};
use crate::harness::{API_KEY, Left, Reelkeeper, Sim, folder, quick, simulated, simulated_with};
use crate::livekit::{Act, Method, Scripted, Shows};
use crate::wire::{Reply, eventually, raw, try_send};

fn start(service: &Reelkeeper, key: &str, body: &Value) -> RequestBuilder {
    service.request("POST", "/api/v1/recordings").header("idempotency-key", key).json(body)
}

async fn started(service: &Reelkeeper, key: &str, room: &str) -> Reply {
    try_send(start(service, key, &json!({"roomId": room}))).await.unwrap()
}

async fn stopped(service: &Reelkeeper, key: &str, id: &str) -> Reply {
    let request = service.request("POST", &format!("/api/v1/recordings/{id}/stop"));
    try_send(request.header("idempotency-key", key)).await.unwrap()
}

/// The same status, body and headers that say something.
#[track_caller]
fn same(first: &Reply, second: &Reply) {
    let shown = |reply: &Reply| {
        let headers = ["location", "retry-after", "content-type"].map(|name| reply.header(name).to_owned());
        (reply.status, headers, reply.text().to_owned())
    };
    assert_eq!(shown(first), shown(second));
}

fn starts(sim: &Sim, room: &str) -> usize {
    sim.calls(room, SimMethod::StartEgress).len()
}

#[tokio::test]
async fn a_start_that_is_sent_again_is_told_the_same() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let first = started(&service, "k-1", &room).await.expect(201);
    same(&first, &started(&service, "k-1", &room).await);
    service.start_recording(&room).await.refused(409, "Recording Error", "already");
    started(&service, "k-2", &room).await.refused(409, "Recording Error", "already");

    let stop = stopped(&service, "k-1", &first.id()).await.expect(202);
    same(&stop, &stopped(&service, "k-1", &first.id()).await);
    service.until(&first.id(), "complete").await;
    stopped(&service, "k-2", &first.id()).await.refused(409, "Recording Error", "already stopped");
    // Over, and nobody is left in the room: still the same.
    sim.control.live().with(|world| {
        world.delete_room(&reelkeeper_actors::ids::RoomId::from_trusted(&*room));
    });
    same(&first, &started(&service, "k-1", &room).await);
    same(&stop, &stopped(&service, "k-1", &first.id()).await);
    assert_eq!(starts(&sim, &room), 1);
    assert_eq!(sim.calls(&room, SimMethod::StopEgress).len(), 1);
    // Another key is another start.
    sim.people(&room);
    let second = started(&service, "k-2", &room).await.expect(201);
    assert_ne!(second.id(), first.id());
    stopped(&service, "k-3", &second.id()).await.expect(202);
    service.until(&second.id(), "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn starts_under_one_key_at_once_are_one() {
    let slow = Timing { activate: Duration::from_secs(1), ..quick() };
    let (service, sim) = simulated_with(slow, &[]).await;
    let room = sim.room(&service).await;
    let replies = join_all((0..10).map(|_| started(&service, "k", &room))).await;
    for reply in &replies {
        same(&replies[0], reply);
    }
    let id = replies[0].clone().expect(201).id();
    assert_eq!(starts(&sim, &room), 1);
    let stops = join_all((0..10).map(|_| stopped(&service, "k", &id))).await;
    for reply in &stops {
        same(&stops[0], reply);
    }
    assert_eq!(stops[0].status, 202);
    assert_eq!(sim.calls(&room, SimMethod::StopEgress).len(), 1);
    service.until(&id, "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn a_key_is_good_for_one_request() {
    let (service, sim) = simulated(&[]).await;
    let (room, other) = (sim.room(&service).await, sim.room(&service).await);
    let id = started(&service, "k", &room).await.expect(201).id();
    let differs = json!({"roomId": room, "config": {"layout": "speaker"}});
    let taken = try_send(start(&service, "k", &differs)).await.unwrap();
    is_invalid(&taken, &["headers.idempotency-key"]);
    // What is left out, and what means nothing, makes no difference.
    let same_request = json!({"config": {}, "x": 1, "roomId": room});
    assert_eq!(try_send(start(&service, "k", &same_request)).await.unwrap().expect(201).id(), id);
    // In another room, and for a stop, it is another key.
    let second = started(&service, "k", &other).await.expect(201).id();
    assert_eq!(stopped(&service, "k", &id).await.expect(202).id(), id);
    assert_eq!(stopped(&service, "k", &second).await.expect(202).id(), second);
    for id in [&id, &second] {
        service.until(id, "complete").await;
    }
    // One key, one room, two recordings.
    let third = started(&service, "k-3", &room).await.expect(201).id();
    is_invalid(&stopped(&service, "k", &third).await, &["headers.idempotency-key"]);
    stopped(&service, "k-3", &third).await.expect(202);
    service.until(&third, "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn a_members_key_is_their_own_with_each_of_their_tokens() {
    let (service, sim) = simulated(&[]).await;
    let (room, other) = (sim.room(&service).await, sim.room(&service).await);
    let ask = async |path: &str, token: &str, body: &Value| {
        let shown = Shown { headers: vec![("idempotency-key", "k".to_owned())], query: Vec::new() };
        send(&service, "POST", path, &Shown::member(token).and(shown), body).await
    };
    let start = async |token: &str| ask("/api/v1/recordings", token, &json!({"roomId": room})).await;
    let ann = joining(&service, &room, "moderatorUrl", "Ann").await;
    let bob = joining(&service, &room, "moderatorUrl", "Bob").await;
    let moderator = member(&service, &room, "moderatorUrl").await;
    let first = start(&ann).await.expect(201);
    same(&first, &start(&ann).await);
    for another in [&bob, &moderator] {
        start(another).await.refused(409, "Recording Error", "already");
    }
    started(&service, "k", &room).await.refused(409, "Recording Error", "already");
    let strangers = [
        member(&service, &room, "speakerUrl").await,
        member(&service, &other, "moderatorUrl").await,
        joining(&service, &other, "moderatorUrl", "Ann").await,
    ];
    for stranger in &strangers {
        start(stranger).await.refused(403, "Authorization Error", "");
    }

    let path = format!("/api/v1/recordings/{}/stop", first.id());
    let stop = ask(&path, &moderator, &Value::Null).await.expect(202);
    service.until(&first.id(), "complete").await;
    let again = member(&service, &room, "moderatorUrl").await;
    same(&stop, &ask(&path, &again, &Value::Null).await);
    ask(&path, &ann, &Value::Null).await.refused(409, "Recording Error", "already stopped");
    for stranger in &strangers {
        ask(&path, stranger, &Value::Null).await.refused(403, "Authorization Error", "");
    }
    assert_eq!(starts(&sim, &room), 1);
    service.finish().await;
}

#[track_caller]
fn is_invalid(reply: &Reply, fields: &[&str]) {
    assert_eq!((reply.status, reply.field("error").as_str()), (422, "Unprocessable Entity"));
    let details = reply.json()["details"].as_array().unwrap().clone();
    let named: Vec<_> = details.iter().map(|detail| detail["field"].as_str().unwrap()).collect();
    assert_eq!(named, fields, "{}", reply.text());
}

#[tokio::test]
async fn a_bad_key_is_refused_before_anything_happens() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    let before = sim.control.live().with(|world| world.calls().len());
    let long = "x".repeat(256);
    for key in ["", "é", long.as_str(), "a\tb"] {
        is_invalid(&started(&service, key, &room).await, &["headers.idempotency-key"]);
        is_invalid(&stopped(&service, key, &id).await, &["headers.idempotency-key"]);
        // Before the room is looked for.
        is_invalid(&started(&service, key, "nowhere").await, &["headers.idempotency-key"]);
    }
    let twice = start(&service, "a", &json!({"roomId": room})).header("idempotency-key", "b");
    is_invalid(&try_send(twice).await.unwrap(), &["headers.idempotency-key"]);
    let all = try_send(start(&service, "", &json!({}))).await.unwrap();
    is_invalid(&all, &["roomId", "headers.idempotency-key"]);
    let stranger = service.bare("POST", "/meet/api/v1/recordings").header("idempotency-key", "");
    assert_eq!(try_send(stranger.json(&json!({"roomId": room}))).await.unwrap().status, 401);
    assert_eq!(sim.control.live().with(|world| world.calls().len()), before);
    // The longest key, with every character.
    let mut key: String = (' '..='~').collect::<String>().trim().to_owned();
    key.push_str(&"~".repeat(255 - key.len()));
    stopped(&service, &key, &id).await.expect(202);
    service.until(&id, "complete").await;
    service.finish().await;
}

/// What was begun keeps its answer, a bad one too; what was not begun may be tried again.
#[tokio::test]
async fn a_503_after_the_intent_is_kept_and_whatever_came_before_it_is_not() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_START_TIMEOUT", "2s")]).await;
    let room = service.room().await;
    started(&service, "k", &room).await.refused(409, "Recording Error", "no participants");
    started(&service, "k", "nowhere").await.expect(404);
    livekit.people(&room);
    livekit.script(&room, Method::Participants, [Act::Plain(502, "")]);
    started(&service, "k", &room).await.refused(503, "Service Unavailable", "LiveKit");
    livekit.script(&room, Method::Start, [Act::Hang]);
    let late = started(&service, "k", &room).await;
    same(&late, &started(&service, "k", &room).await);
    late.refused(503, "Recording Error", "timed out while starting");
    assert_eq!(livekit.calls(&room, Method::Start).len(), 1);

    livekit.script(&room, Method::Start, [Act::Twirp(400, "invalid_argument", "no such layout")]);
    let failed = started(&service, "k-2", &room).await;
    same(&failed, &started(&service, "k-2", &room).await);
    failed.refused(500, "Recording Error", "no such layout");
    assert_eq!(livekit.calls(&room, Method::Start).len(), 2);
    service.finish_with(Left::Unsettled(2)).await;
}

#[tokio::test]
async fn a_409_before_the_intent_is_not_kept() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let first = service.start_recording(&room).await.expect(201).id();
    started(&service, "k", &room).await.refused(409, "Recording Error", "already");
    service.stop_recording(&first).await.expect(202);
    service.until(&first, "complete").await;
    stopped(&service, "k", &first).await.refused(409, "Recording Error", "already stopped");
    let second = started(&service, "k", &room).await.expect(201);
    same(&second, &started(&service, "k", &room).await);
    service.stop_recording(&second.id()).await.expect(202);
    service.until(&second.id(), "complete").await;
    service.finish().await;
}

/// Sends a start and goes away before it is answered.
async fn start_and_go(service: &Reelkeeper, key: &str, room: &str) {
    let body = json!({"roomId": room}).to_string();
    let head = format!(
        "POST /meet/api/v1/recordings HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\nidempotency-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_stops_nothing_and_its_answer_is_kept() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let room = service.room().await;
    livekit.people(&room);
    // It goes while LiveKit is still asked who is there: nothing is begun yet.
    let asked = Arc::new(Notify::new());
    livekit.script(&room, Method::Participants, [Act::Wait(asked.clone())]);
    start_and_go(&service, "k", &room).await;
    eventually("LiveKit is asked", async || {
        (!livekit.calls(&room, Method::Participants).is_empty()).then_some(())
    })
    .await;
    assert!(livekit.calls(&room, Method::Start).is_empty());
    asked.notify_one();
    let recording = eventually("a recording", async || service.recordings().await.pop()).await;
    let told = started(&service, "k", &room).await.expect(201);
    assert_eq!(told.id(), recording["recordingId"].as_str().unwrap());
    assert_eq!(livekit.calls(&room, Method::Start).len(), 1);
    stopped(&service, "k", &told.id()).await.expect(202);
    livekit.change(told.id().split("--").nth(1).unwrap(), livekit_protocol::EgressStatus::EgressFailed);
    service.until(&told.id(), "failed").await;
    service.finish().await;
}

/// A repeat that may not wait any longer says so, and leaves the first alone.
#[tokio::test]
async fn a_repeat_that_cannot_wait_is_told_to_come_back() {
    let settings = [("REELKEEPER_START_TIMEOUT", "4s"), ("REELKEEPER_LIMITS_COMMANDS_PER_ROOM", "2")];
    let slow = Timing { activate: Duration::from_secs(1), ..quick() };
    let (service, sim) = simulated_with(slow, &settings).await;
    let room = sim.room(&service).await;
    let replies = join_all((0..6).map(|_| started(&service, "k", &room))).await;
    let (served, shed): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!((served.len(), shed.len()), (2, 4));
    for reply in shed {
        reply.refused(503, "Service Unavailable", "Too many");
    }
    same(&served[0], &started(&service, "k", &room).await);
    service.stop_recording(&served[0].id()).await.expect(202);
    service.until(&served[0].id(), "complete").await;
    service.finish().await;
}

/// A folder and a LiveKit that outlive services.
struct Lasting {
    folder: Arc<TempDir>,
    sim: Sim,
}

impl Lasting {
    async fn begin() -> Self {
        let folder = folder();
        let sim = Sim::run(&folder, quick()).await;
        Self { folder, sim }
    }

    async fn reelkeeper(&self, settings: &[(&str, &str)]) -> Reelkeeper {
        let store = format!("sqlite://{}", self.folder.path().join("reelkeeper.db").display());
        // Links are the same whatever port the service gets.
        let usual = [("REELKEEPER_STORE", store.as_str()), ("REELKEEPER_BASE_URL", "http://meet.example")];
        let settings = [&usual, settings].concat();
        let service = Reelkeeper::start_in(self.folder.clone(), &self.sim.url, &settings).await;
        self.sim.tell(&service);
        service
    }
}

#[tokio::test]
async fn a_restart_forgets_no_answer() {
    let lasting = Lasting::begin().await;
    let service = lasting.reelkeeper(&[]).await;
    let room = lasting.sim.room(&service).await;
    let start = started(&service, "k", &room).await.expect(201);
    service.finish_with(Left::Running(1)).await;

    let service = lasting.reelkeeper(&[]).await;
    same(&start, &started(&service, "k", &room).await);
    let stop = stopped(&service, "k", &start.id()).await.expect(202);
    service.until(&start.id(), "complete").await;
    service.finish().await;

    let service = lasting.reelkeeper(&[]).await;
    same(&start, &started(&service, "k", &room).await);
    same(&stop, &stopped(&service, "k", &start.id()).await);
    assert_eq!(starts(&lasting.sim, &room), 1);
    service.finish().await;
}

/// The service goes while a start waits: its repeat waits for what becomes of it.
#[tokio::test]
async fn a_start_that_a_restart_interrupted_is_told_to_its_repeat() {
    for trouble in [CallTrouble::Hold, CallTrouble::HoldAnswer] {
        let lasting = Lasting::begin().await;
        let service = lasting.reelkeeper(&[("REELKEEPER_DRAIN_TIMEOUT", "0s")]).await;
        let room = lasting.sim.room(&service).await;
        // Of an egress that runs already the repeat may be told at once.
        let repeat_waits = trouble == CallTrouble::Hold;
        lasting.sim.trouble(&room, SimMethod::StartEgress, trouble);
        let first = tokio::spawn(try_send(self::start(&service, "k", &json!({"roomId": room}))));
        eventually("LiveKit holds the call", async || {
            let held = lasting.sim.control.live().with(|world| world.held().len());
            (held == 1).then_some(())
        })
        .await;
        service.stop().await;
        if let Ok(reply) = first.await.unwrap() {
            assert_eq!(reply.status, 503, "{}", reply.text());
        }

        let service = lasting.reelkeeper(&[]).await;
        let release = async {
            eventually("the repeat waits", async || {
                let room = reelkeeper_actors::ids::RoomId::from_trusted(&*room);
                let observed = service.orchestrator.observe(&room).await?;
                (observed.waiting == 1 || !repeat_waits).then_some(())
            })
            .await;
            lasting.sim.control.live().with(|world| world.release(None, Release::GoOn));
        };
        let (told, ()) = tokio::join!(started(&service, "k", &room), release);
        same(&told, &started(&service, "k", &room).await);
        let id = told.expect(201).id();
        assert_eq!(starts(&lasting.sim, &room), 1);
        service.stop_recording(&id).await.expect(202);
        service.until(&id, "complete").await;
        service.finish().await;
    }
}

/// A header on other requests means nothing.
#[tokio::test]
async fn other_requests_take_no_key() {
    let (service, _sim) = simulated(&[]).await;
    let made = service.request("POST", "/api/v1/rooms").header("idempotency-key", "");
    try_send(made.json(&json!({"roomName": "Town Hall"}))).await.unwrap().expect(201);
    let request = format!(
        "GET /meet/api/v1/recordings HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\nidempotency-key: \
         \r\nconnection: close\r\n\r\n"
    );
    assert!(raw(service.address, request.as_bytes()).await.starts_with("HTTP/1.1 200"));
    service.finish().await;
}
