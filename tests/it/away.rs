//! A dependency is away: 503 within the deadline, by name, and everything that does not need it works.

use std::time::{Duration, Instant};

use futures::future::join_all;
use livekit_protocol::EgressStatus;
use reelkeeper_actors::simulator::calls::Method as SimMethod;
use tokio::net::TcpListener;

use crate::harness::{Left, Reelkeeper, blobs, simulated};
use crate::livekit::{Act, Method, Scripted, Shows};
use crate::wire::{Reply, eventually, try_send};

const DEADLINE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(5);
const SETTINGS: &[(&str, &str)] = &[
    ("REELKEEPER_REQUEST_TIMEOUT", "2s"),
    ("REELKEEPER_START_TIMEOUT", "2s"),
    ("REELKEEPER_LIVEKIT_CALL_TIMEOUT", "1s"),
];

/// An answer that must come within the deadline.
async fn in_time(answer: impl Future<Output = Reply>) -> Reply {
    let began = Instant::now();
    let reply = answer.await;
    assert!(began.elapsed() < DEADLINE + SLACK, "{:?}", began.elapsed());
    reply
}

/// How the probes see a dependency.
async fn is_seen_as_away(service: &Reelkeeper, dependency: &str) {
    let ready = in_time(async { try_send(service.bare("GET", "/readyz")).await.unwrap() }).await.expect(503);
    let standing = ready.json();
    assert_eq!(standing["ready"], false, "{standing}");
    for (name, standing) in standing["dependencies"].as_object().unwrap() {
        assert_eq!(standing == "ok", name != dependency, "{name}: {standing}");
    }
    for path in ["/livez", "/meet/health"] {
        assert_eq!(try_send(service.bare("GET", path)).await.unwrap().expect(200).body, "OK", "{path}");
    }
}

async fn is_ready(service: &Reelkeeper) {
    eventually("everything is there", async || {
        (try_send(service.bare("GET", "/readyz")).await.unwrap().status == 200).then_some(())
    })
    .await;
}

/// What needs no LiveKit.
async fn works_without_livekit(service: &Reelkeeper, id: &str) {
    let room = service.room().await;
    service.call("GET", &format!("/api/v1/rooms/{room}")).await.expect(200);
    service.recording(id).await.expect(200);
    service.call("GET", "/api/v1/recordings").await.expect(200);
}

#[tokio::test]
async fn a_livekit_that_does_not_listen_is_named() {
    // A port that was free a moment ago.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let service = Reelkeeper::start(&url, SETTINGS).await;
    let room = service.room().await;
    let reply = in_time(service.start_recording(&room)).await;
    reply.refused(503, "Service Unavailable", "LiveKit");
    let unknown = format!("{room}--EG_1--0123456789");
    in_time(service.stop_recording(&unknown)).await.refused(503, "Service Unavailable", "LiveKit");
    service.recording(&unknown).await.expect(404);
    is_seen_as_away(&service, "livekit").await;
    service.finish().await;
}

#[tokio::test]
async fn a_livekit_that_hangs_or_fails_is_named() {
    let ways = [Act::Hang, Act::Break, Act::Plain(502, "<html>"), Act::Twirp(503, "unavailable", "no")];
    let checks = ways.map(async |act| {
        let livekit = Scripted::run(Shows::All).await;
        let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
        let room = service.room().await;
        livekit.people(&room);
        livekit.script(&room, Method::Participants, [act.clone()]);
        livekit.script("", Method::Rooms, [act.clone()]);
        in_time(service.start_recording(&room)).await.refused(503, "Service Unavailable", "LiveKit");
        is_seen_as_away(&service, "livekit").await;
        is_ready(&service).await;

        // It comes back, and what was refused works.
        let id = service.start_recording(&room).await.expect(201).id();
        livekit.script(&room, Method::Stop, vec![act; 2]);
        let stopped = in_time(service.stop_recording(&id)).await;
        assert!([202, 503].contains(&stopped.status), "{}", stopped.text());
        works_without_livekit(&service, &id).await;
        eventually("the stop is carried out", async || {
            (livekit.egresses(&room)[0].status() == EgressStatus::EgressEnding).then_some(())
        })
        .await;
        livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
        service.until(&id, "failed").await;
        service.finish().await;
    });
    join_all(checks).await;
}

/// LiveKit goes away during a recording and comes back: the recording is still there.
#[tokio::test]
async fn a_recording_outlives_an_absence_of_livekit() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let room = service.room().await;
    livekit.people(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    let looks = livekit.calls(&room, Method::ListById).len();
    livekit.script(&room, Method::ListById, vec![Act::Plain(503, ""); 3]);
    eventually("LiveKit was asked in vain and then not in vain", async || {
        (livekit.calls(&room, Method::ListById).len() > looks + 4).then_some(())
    })
    .await;
    assert_eq!(service.recording(&id).await.field("status"), "active");
    service.stop_recording(&id).await.expect(202);
    livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
    service.until(&id, "failed").await;
    service.finish().await;
}

/// LiveKit says that it knows nothing of a recording that runs: two looks and the file first.
#[tokio::test]
async fn a_recording_that_livekit_forgot_is_judged_by_its_file() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let table = [(Some(b"a file".as_slice()), "complete"), (None, "failed")];
    let checks = table.map(async |(content, shown)| {
        let room = service.room().await;
        livekit.people(&room);
        let id = service.start_recording(&room).await.expect(201).id();
        if let Some(content) = content {
            service.write_file(&id, content);
        }
        let began = Instant::now();
        livekit.forget(id.split("--").nth(1).unwrap());
        let recording = service.until(&id, shown).await;
        // Two looks that are five seconds apart.
        assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
        match content {
            Some(content) => assert_eq!(recording["size"], content.len(), "{recording}"),
            None => {
                assert!(recording["error"].as_str().is_some_and(|error| !error.is_empty()), "{recording}");
            }
        }
        livekit.people(&room);
        let next = service.start_recording(&room).await.expect(201).id();
        service.stop_recording(&next).await.expect(202);
        livekit.change(next.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
        service.until(&next, "failed").await;
    });
    join_all(checks).await;
    service.finish().await;
}

#[tokio::test]
async fn a_folder_of_files_that_is_gone_is_named() {
    let embedded = [SETTINGS, &[("REELKEEPER_STORE", "memory://")]].concat();
    let (service, sim) = simulated(&embedded).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    let (here, away) = (blobs(&service.folder), service.folder.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    is_seen_as_away(&service, "blobs").await;
    // An empty folder in its place, as an unmounted disk leaves it, is not the store.
    std::fs::create_dir(&here).unwrap();
    is_seen_as_away(&service, "blobs").await;
    let media = in_time(async { try_send(service.media(&id)).await.unwrap() }).await;
    media.refused(503, "Service Unavailable", "blobs");
    let deleted =
        in_time(service.delete(&id)).await.refused(503, "Service Unavailable", "Dependency 'blobs'");
    assert!(deleted.field("message").contains("will be carried out"), "{}", deleted.text());
    works_without_livekit(&service, &id).await;
    std::fs::remove_dir(&here).unwrap();
    std::fs::rename(&away, &here).unwrap();
    is_ready(&service).await;

    // What was asked for is carried out.
    eventually("the recording is deleted", async || {
        (service.recording(&id).await.status == 404).then_some(())
    })
    .await;
    assert!(!service.file(&id).exists());
    service.finish().await;
}

/// A store with a short queue: whoever does not fit in is sent away, and comes again.
#[tokio::test]
async fn a_store_that_is_too_busy_is_named() {
    let folder = crate::harness::folder();
    let store = format!("sqlite://{}", folder.path().join("reelkeeper.db").display());
    let settings = [("REELKEEPER_STORE", store.as_str()), ("REELKEEPER_STORE_QUEUE", "1")];
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start_in(folder, &livekit.url, &settings).await;
    let replies = join_all((0..100).map(|_| service.call("GET", "/api/v1/recordings"))).await;
    assert!(replies.iter().any(|reply| reply.status == 200));
    for reply in replies {
        if reply.status != 200 {
            reply.refused(503, "Service Unavailable", "store");
        }
    }
    service.call("GET", "/api/v1/recordings").await.expect(200);
    service.finish().await;
}

/// More requests than the service takes on at once are sent away; webhooks and probes are not.
#[tokio::test]
async fn a_flood_of_starts_silences_nothing_else() {
    let settings = [SETTINGS, &[("REELKEEPER_LIMITS_REQUESTS_IN_FLIGHT", "4")]].concat();
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &settings).await;
    let rooms = [service.room().await, service.room().await, service.room().await, service.room().await];
    for room in &rooms {
        livekit.people(room);
        livekit.script(room, Method::Start, [Act::Hang]);
    }
    let flood = join_all(rooms.iter().map(|room| service.start_recording(room)));
    let others = async {
        eventually("the starts are under way", async || {
            rooms.iter().all(|room| !livekit.calls(room, Method::Start).is_empty()).then_some(())
        })
        .await;
        service.call("GET", "/api/v1/recordings").await.refused(503, "Service Unavailable", "Too many");
        service.tell(&serde_json::json!({"event": "room_started"})).await.expect(200);
        is_ready(&service).await;
        service.call("GET", "/health").await.expect(200);
    };
    let (replies, ()) = tokio::join!(flood, others);
    for reply in replies {
        reply.refused(503, "Recording Error", "timed out while starting");
    }
    service.finish_with(Left::Unsettled(4)).await;
}

/// LiveKit has no worker for the whole deadline.
#[tokio::test]
async fn a_livekit_without_workers_is_asked_again_until_the_deadline() {
    use reelkeeper_actors::simulator::egress::{WhenFull, Workers};
    let checks = [WhenFull::Exhausted, WhenFull::Unavailable].map(async |when_full| {
        let (service, sim) = simulated(SETTINGS).await;
        let room = sim.room(&service).await;
        sim.control.live().with(|world| world.limit_workers(Workers { slots: Some(0), when_full }));
        let reply = in_time(service.start_recording(&room)).await;
        reply.refused(503, "Recording Error", "timed out while starting");
        sim.control.live().with(|world| world.limit_workers(Workers { slots: None, when_full }));
        let id = service.start_recording(&room).await.expect(201).id();
        service.stop_recording(&id).await.expect(202);
        service.until(&id, "complete").await;
        // All but the last, which worked; one may have been under way when the answer was given.
        let in_vain = sim.calls(&room, SimMethod::StartEgress).len() - 1;
        assert!(in_vain >= 2, "{in_vain}");
        service.finish_with(Left::Unsettled(in_vain)).await;
    });
    join_all(checks).await;
}
