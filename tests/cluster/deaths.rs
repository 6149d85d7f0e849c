//! Nodes die, freeze or leave, and what they held goes on.

use std::time::{Duration, Instant};

use crate::livekit::Point;
use crate::stage::{Door, LEASE, Leases, Node, Stage};
use crate::wait::until;

/// Longer than a lease, its noticing and a busy machine take.
const TAKEN_OVER: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owners_rooms_go_on_at_another_node() {
    for (door, leases) in [(Door::Open, Leases::Redis), (Door::None, Leases::Store)] {
        let stage = Stage::set(door, leases).await;
        let [a, b]: [Node; 2] = stage.nodes().await;
        let (stopped, running) = (stage.room(&a).await, stage.room(&a).await);
        let (one, other) = (a.start(&stopped).await, a.start(&running).await);
        a.process.kill().await;
        let began = Instant::now();
        b.stop(&one).await;
        println!(
            "{door:?}, {leases:?}: a stop was answered {:?} after its owner was killed",
            began.elapsed()
        );
        stage.until_status(&b, &one, "complete").await;
        stage.until_status(&b, &other, "active").await;
        assert_eq!(stage.livekit.live(&running).len(), 1, "it records on untouched");
        // Back to normal: the room can record again.
        let next = b.start(&stopped).await;
        b.stop(&next).await;
        stage.until_status(&b, &next, "complete").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_owner_is_killed_is_answered_by_the_next() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let [a, b]: [Node; 2] = stage.nodes().await;
    let room = stage.room(&a).await;
    // The room is `a`'s; the start comes in at `b`, and is held in LiveKit.
    let first = a.start(&room).await;
    stage.livekit.hold("StopEgress", 1, Point::Work);
    let stopping = tokio::spawn({
        let (api, first) = (b.api.clone(), first.clone());
        async move { api.stop(&first).await }
    });
    stage.livekit.until_held().await;
    a.process.kill().await;
    stage.livekit.drop_held();
    let stopped = stopping.await.unwrap().expect("an answer");
    assert!([202, 409].contains(&stopped.status), "the next owner stopped it: {stopped:?}");
    stage.until_status(&b, &first, "complete").await;
    let second = b.start(&room).await;
    assert_eq!(stage.livekit.live(&room).len(), 1);
    b.stop(&second).await;
    stage.until_status(&b, &second, "complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_owner_steps_down_when_it_wakes() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let [a, b]: [Node; 2] = stage.nodes().await;
    let room = stage.room(&a).await;
    let recording = a.start(&room).await;
    a.process.freeze();
    let began = Instant::now();
    until("the next owner stands", TAKEN_OVER, async || {
        let log = b.process.log().text();
        if log.contains("room claimed") { Ok(()) } else { Err("nobody claimed it".to_owned()) }
    })
    .await;
    println!("a frozen node's room was claimed after {:?}, its lease is {LEASE:?}", began.elapsed());
    a.process.thaw();
    // It believes that it owns the room, until it asks.
    a.stop(&recording).await;
    stage.until_status(&b, &recording, "complete").await;
    assert_eq!(stage.livekit.egresses(&room).len(), 1, "one egress, whoever owned the room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let nodes: [Node; 3] = stage.nodes().await;
    let mut recordings = Vec::new();
    for at in 0..12 {
        let room = stage.room(&nodes[0]).await;
        recordings.push((room.clone(), nodes[at % 3].start(&room).await));
    }
    let mut nodes = nodes.into_iter();
    let mut fresh = Vec::new();
    for node in nodes.by_ref() {
        node.process.terminate();
        let status = node.process.ended_within(Duration::from_secs(30)).await;
        assert!(status.success(), "{status}");
        fresh.push(stage.node().await);
    }
    for (at, (room, recording)) in recordings.iter().enumerate() {
        stage.until_status(&fresh[at % 3], recording, "active").await;
        assert_eq!(stage.livekit.live(room).len(), 1, "none was stopped");
    }
    for (at, (_, recording)) in recordings.iter().enumerate() {
        fresh[(at + 1) % 3].stop(recording).await;
    }
    for (_, recording) in &recordings {
        stage.until_status(&fresh[0], recording, "complete").await;
    }
}
