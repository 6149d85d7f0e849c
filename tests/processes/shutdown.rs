//! SIGTERM: what waits is answered, what runs in LiveKit runs on, and the next process takes it up.

use std::time::Duration;

use serde_json::json;

use crate::livekit::Point;
use crate::stage::{START_TIMEOUT_S, Setup, Stage, Told};
use crate::truth;
use crate::wait::until;

/// A process that has nothing to wait for is gone long before its drain timeout of 30 s.
const AT_ONCE: Duration = Duration::from_secs(8);
/// A drain waits for no more than what is under way.
const DRAIN: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_process_leaves_at_once() {
    let mut stage = Stage::open(Setup::default()).await;
    stage.process().terminate();
    let status = stage.take_process().ended_within(AT_ONCE).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_runs_on_and_the_next_process_takes_it_up() {
    let mut stage = Stage::open(Setup::default()).await;
    let room = stage.room("handed over").await;
    let recording = stage.started(&room).await;
    stage.process().terminate();
    let status = stage.take_process().ended_within(AT_ONCE).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(stage.livekit.live(&room).len(), 1, "it was stopped");

    stage.run().await;
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    assert_eq!(stage.start(&room).await.map(|answer| answer.status), Some(409));
    stage.stopped(&recording).await;
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    truth::room_is_usable(&stage, &room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_is_answered_and_nothing_new_is_let_in() {
    let mut stage = Stage::open(Setup::default()).await;
    let (room, other) = (stage.room("waits").await, stage.room("too late").await);
    stage.livekit.hold("StartEgress", 1, Point::Answer);
    let (api, waiting) = (stage.api(), room.clone());
    let request = tokio::spawn(async move { api.start(&waiting).await });
    stage.livekit.until_held().await;

    stage.process().terminate();
    is_draining(&stage).await;
    let refused = stage.start(&other).await.expect("an answer");
    assert_eq!((refused.status, refused.retry_after.is_some()), (503, true), "{refused:?}");
    // Only a webhook can tell that it records.
    stage.livekit.fault(json!({ "method": "ListEgress", "does": "hang", "times": null }));
    stage.livekit.release();
    let answer = request.await.expect("a request does not panic").expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    stage.livekit.clear_faults();
    stage.was_told(Told::Start(room.clone(), Some(answer)));
    let status = stage.take_process().ended_within(DRAIN).await;
    assert_eq!(status.code(), Some(0));

    stage.run().await;
    assert_eq!(stage.livekit.live(&room).len(), 1, "it was stopped");
    truth::holds(&stage, &[room.clone(), other.clone()]).await;
    for room in [room, other] {
        truth::room_is_usable(&stage, &room).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_waits_is_answered() {
    let mut stage = Stage::open(Setup::default()).await;
    let room = stage.room("stops").await;
    let recording = stage.started(&room).await;
    stage.livekit.hold("StopEgress", 1, Point::Work);
    let (api, stopping) = (stage.api(), recording.clone());
    let request = tokio::spawn(async move { api.stop(&stopping).await });
    stage.livekit.until_held().await;

    stage.process().terminate();
    is_draining(&stage).await;
    stage.livekit.release();
    let answer = request.await.expect("a request does not panic").expect("an answer");
    assert_eq!(answer.status, 202, "{answer:?}");
    stage.was_told(Told::Stop(recording, Some(answer)));
    let status = stage.take_process().ended_within(AT_ONCE).await;
    assert_eq!(status.code(), Some(0));

    stage.run().await;
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    truth::room_is_usable(&stage, &room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_in_vain_is_refused_and_what_starts_late_is_stopped() {
    let mut stage = Stage::open(Setup::default()).await;
    let room = stage.room("in vain").await;
    stage.livekit.hold("StartEgress", 1, Point::Work);
    let (api, waiting) = (stage.api(), room.clone());
    let request = tokio::spawn(async move { api.start(&waiting).await });
    stage.livekit.until_held().await;

    stage.process().terminate();
    is_draining(&stage).await;
    let answer = request.await.expect("a request does not panic").expect("an answer");
    assert_eq!((answer.status, answer.retry_after.is_some()), (503, true), "{answer:?}");
    assert!(answer.message().contains("timed out while starting"), "{answer:?}");
    stage.was_told(Told::Start(room.clone(), Some(answer)));
    let status = stage.take_process().ended_within(DRAIN).await;
    assert_eq!(status.code(), Some(0));

    stage.run().await;
    stage.livekit.release();
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    assert!(stage.livekit.live(&room).is_empty(), "a start that was refused runs");
    truth::room_is_usable(&stage, &room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_before_a_start_that_waits_too_long() {
    let options = [("REELKEEPER_DRAIN_TIMEOUT", "1s"), ("REELKEEPER_START_TIMEOUT", "20s")];
    let mut stage = Stage::open(Setup::with(&options)).await;
    let room = stage.room("cut short").await;
    stage.livekit.hold("StartEgress", 1, Point::Work);
    let (api, waiting) = (stage.api(), room.clone());
    let request = tokio::spawn(async move { api.start(&waiting).await });
    stage.livekit.until_held().await;

    stage.process().terminate();
    let status = stage.take_process().ended_within(AT_ONCE).await;
    assert_eq!(status.code(), Some(0));
    let answer = request.await.expect("a request does not panic");
    // Whether it will record is not known: neither 201 nor 503 would be known to be true.
    assert!(answer.is_none(), "{answer:?}");

    stage.run().await;
    stage.livekit.release();
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    truth::room_is_usable(&stage, &room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_store_names_the_first_and_leaves() {
    let stage = Stage::open(Setup::default()).await;
    let failed = stage.try_run().await.err().expect("two processes on one store");
    assert!(!failed.status.success(), "{failed:?}");
    let holder = format!("process {}", stage.process().id());
    assert!(failed.log.contains(&holder), "'{holder}' is not named: {failed:?}");
    // The first one does not suffer from it.
    let room = stage.room("unharmed").await;
    truth::room_is_usable(&stage, &room).await;
}

async fn is_draining(stage: &Stage) {
    let api = stage.api();
    let limit = Duration::from_secs(START_TIMEOUT_S);
    let ready = until("it drains", limit, async || match api.ready().await {
        Some(answer) if answer.status == 503 => Ok(answer),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(ready.body["draining"], true, "{ready:?}");
}
