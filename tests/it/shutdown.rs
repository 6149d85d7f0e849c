//! Shutdown is a feature: what waits is answered, what comes is refused, what records runs on.

use std::time::{Duration, Instant};

use livekit_protocol::EgressStatus;
use reelkeeper_actors::simulator::clock::Timing;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Left, Reelkeeper, quick, simulated, simulated_with};
use crate::livekit::{Act, Method, Scripted, Shows};
use crate::wire::{eventually, try_send};

#[tokio::test]
async fn what_waits_is_answered_and_what_comes_is_refused() {
    let slow = Timing { activate: Duration::from_secs(3), ..quick() };
    let (service, sim) = simulated_with(slow, &[("REELKEEPER_DRAIN_TIMEOUT", "15s")]).await;
    let (room, other) = (sim.room(&service).await, sim.room(&service).await);
    let drain = async {
        let starting = eventually("a recording that starts", async || service.recordings().await.pop()).await;
        service.ask_to_stop();
        let ready = eventually("it drains", async || {
            let ready = try_send(service.bare("GET", "/readyz")).await.unwrap();
            (ready.status == 503).then_some(ready)
        });
        assert_eq!(ready.await.json()["draining"], true);
        let health = service.call("GET", "/health").await;
        health.refused(503, "Service Unavailable", "shutting down");
        service.start_recording(&other).await.refused(503, "Service Unavailable", "shutting down");
        let id = starting["recordingId"].as_str().unwrap();
        service.stop_recording(id).await.refused(503, "Service Unavailable", "shutting down");
        service.delete(id).await.refused(503, "Service Unavailable", "shutting down");
    };
    let (started, ()) = tokio::join!(service.start_recording(&room), drain);
    assert_eq!(started.expect(201).field("status"), "active");
    let address = service.address;
    service.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    // It records on.
    let running = sim.control.live().with(|world| world.egresses());
    assert!(running.iter().all(|egress| !egress.status.is_terminal()), "{running:?}");
}

#[tokio::test]
async fn a_quiet_service_stops_at_once_even_with_idle_connections() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    let mut idle = TcpStream::connect(service.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut half = TcpStream::connect(service.address).await.unwrap();
    half.write_all(b"POST /meet/api/v1/rooms HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    assert_eq!(service.recording(&id).await.field("status"), "active");
    let began = Instant::now();
    service.finish_with(Left::Running(1)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// What cannot be answered within the drain timeout is left to the next run.
#[tokio::test]
async fn the_drain_timeout_bounds_it() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_DRAIN_TIMEOUT", "1s")]).await;
    let room = service.room().await;
    livekit.people(&room);
    livekit.script(&room, Method::Start, [Act::Hang]);
    let start = service.request("POST", "/api/v1/recordings").json(&json!({"roomId": room}));
    let start = tokio::spawn(try_send(start));
    eventually("the start is under way", async || {
        (!livekit.calls(&room, Method::Start).is_empty()).then_some(())
    })
    .await;
    let began = Instant::now();
    service.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    // Neither success nor failure would be known to be true.
    if let Ok(reply) = start.await.unwrap() {
        assert_eq!(reply.status, 503, "{}", reply.text());
    }
}

/// Webhooks that come while it drains are either stored or come again.
#[tokio::test]
async fn webhooks_during_a_drain_are_not_lost() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_DRAIN_TIMEOUT", "15s")]).await;
    let (waits, ends) = (service.room().await, service.room().await);
    livekit.people(&waits);
    livekit.people(&ends);
    let id = service.start_recording(&ends).await.expect(201).id();
    livekit.newborn(&waits, EgressStatus::EgressStarting, "");
    let drain = async {
        let starting = eventually("a start", async || livekit.egresses(&waits).pop()).await;
        service.ask_to_stop();
        eventually("it drains", async || (service.call("GET", "/health").await.status == 503).then_some(()))
            .await;
        let failed = livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
        let told = service.tell(&crate::livekit::in_webhook("egress_ended", &failed)).await;
        if told.status != 503 {
            service.until(&id, "failed").await;
        }
        let active = livekit.change(&starting.egress_id, EgressStatus::EgressActive);
        service.tell(&crate::livekit::in_webhook("egress_updated", &active)).await;
    };
    let (started, ()) = tokio::join!(service.start_recording(&waits), drain);
    started.expect(201);
    service.stop().await;
}
