//! Egress workers that die while people stay in the room, and the service killed at any moment of what
//! follows: the room is free soon, and the record says what happened.

use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use reelkeeper_actors::ids::RecordingId;
use reelkeeper_actors::simulator::clock::Timing;
use tokio::time::{Instant, sleep_until};

use crate::livekit::quick;
use crate::seed::chance;
use crate::stage::{Setup, Stage};
use crate::truth;

/// From the first sign, or the service's return, until the room can be recorded again (design 5).
const FREE: Duration = Duration::from_secs(10);
/// From there until the record says what happened: two looks at the file, five seconds apart.
const VERDICT: Duration = Duration::from_secs(8);
/// From a worker's death until LiveKit drops its recorder.
const DROPPED: Duration = Duration::from_secs(2);
/// By then everything is said about a loss that nobody disturbs.
const SAID: Duration = Duration::from_secs(8);
/// Moments of a kill, spread over all that time.
const MOMENTS: u32 = 10;

fn setup() -> Setup {
    Setup { timing: Timing { drop_dead: DROPPED, ..quick() }, ..Setup::default() }
}

/// What the document of a recording says whose worker died.
async fn is_told_as_lost(stage: &Stage, recording: &RecordingId) {
    let shown = stage.shows(recording, &["active", "ending"], "failed", FREE + VERDICT).await;
    let error = shown["error"].as_str().unwrap_or_default();
    assert!(error.contains("vanished"), "{shown}");
    assert_eq!(stage.api().media(recording).await.expect("an answer").0, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_worker_frees_its_room_within_ten_seconds() {
    join_all([true, false].map(async |webhooks| {
        let stage = Stage::open(Setup { webhooks, ..setup() }).await;
        let room = stage.room("dead worker").await;
        let lost = stage.started(&room).await;
        stage.livekit.kill_worker(&lost);
        stage.livekit.recorder_leaves(&lost).await;
        let left = Instant::now();
        let free = async {
            let next = stage.started_within(FREE, &room).await;
            (next, left.elapsed())
        };
        let ((next, free), ()) = tokio::join!(free, is_told_as_lost(&stage, &lost));
        let failed = left.elapsed();
        println!("dead worker (webhooks: {webhooks}): recorded again {free:.1?}, failed {failed:.1?} later");
        assert_eq!(stage.stop(&lost).await.map(|answer| answer.status), Some(409));
        stage.stopped(&next).await;
        truth::holds(&stage, std::slice::from_ref(&room)).await;
        truth::room_is_usable(&stage, &room).await;
    }))
    .await;
}

/// Only a recorder that was seen can be missed soon. One look in time is enough for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_is_seen_soon_even_by_a_service_that_looks_rarely_and_is_told_nothing() {
    let Setup { options, .. } = Setup::with(&[("REELKEEPER_RECONCILE_INTERVAL", "1h")]);
    let stage = Stage::open(Setup { webhooks: false, options, ..setup() }).await;
    let room = stage.room("looked at").await;
    let recording = stage.started(&room).await;
    stage.sees_the_recorder(&room).await;
    stage.stopped(&recording).await;
    truth::holds(&stage, &[room]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_of_a_loss_does_no_harm() {
    let mut chance = chance("kills during losses");
    let slot = (DROPPED + SAID) / MOMENTS;
    let moments = (0..MOMENTS).map(|number| slot * number + chance.random_range(Duration::ZERO..slot));
    let took = join_all(moments.map(async |moment| {
        let mut stage = Stage::open(setup()).await;
        let room = stage.room("dies too").await;
        let lost = stage.started(&room).await;
        stage.livekit.kill_worker(&lost);
        let killed = Instant::now();
        sleep_until(killed + moment).await;
        stage.kill().await;
        stage.run().await;
        let back = Instant::now();
        // LiveKit may not have noticed yet.
        let next = stage.started_within(DROPPED.saturating_sub(moment) + FREE, &room).await;
        let free = back.elapsed();
        is_told_as_lost(&stage, &lost).await;
        stage.stopped(&next).await;
        truth::holds(&stage, std::slice::from_ref(&room)).await;
        (moment, free)
    }))
    .await;
    println!("kills during losses, and when the room was recorded again: {took:.1?}");
}

/// The worker dies while the service is away, and LiveKit has said all there is to say when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_nobody_saw_is_found() {
    let mut stage = Stage::open(setup()).await;
    let room = stage.room("unseen").await;
    let lost = stage.started(&room).await;
    stage.kill().await;
    stage.livekit.kill_worker(&lost);
    stage.livekit.recorder_leaves(&lost).await;
    stage.run().await;
    let next = stage.started_within(FREE, &room).await;
    is_told_as_lost(&stage, &lost).await;
    stage.stopped(&next).await;
    truth::holds(&stage, std::slice::from_ref(&room)).await;
}
