//! Nodes die, freeze or leave, and what they held goes on.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use reelkeeper_actors::ids::RoomId;
use tokio_util::sync::CancellationToken;

use crate::api::{Answer, Api};
use crate::livekit::Point;
use crate::stage::{Door, LEASE, Leases, Node, Stage};
use crate::wait::until;

/// Recordings that run through a rolling restart.
const LIVE: usize = 100;
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
        if door == Door::Open {
            // It is suspected before its lease ends.
            b.until_said("node refuses connections", 1, TAKEN_OVER).await;
        }
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
    let stopping = b.stopping(&first);
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
    b.until_said("room claimed", 1, TAKEN_OVER).await;
    println!("a frozen node's room was claimed after {:?}, its lease is {LEASE:?}", began.elapsed());
    a.process.thaw();
    // It believes that it owns the room, until it asks.
    a.stop(&recording).await;
    stage.until_status(&b, &recording, "complete").await;
    assert_eq!(stage.livekit.egresses(&room).len(), 1, "one egress, whoever owned the room");
}

/// The owner has no client of its own any more, and owes an answer to another node's.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_answers_what_came_through_others() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let [a, b]: [Node; 2] = stage.nodes().await;
    let room = stage.room(&a).await;
    let recording = a.start(&room).await;
    // Each of them, since it is asked again every second.
    for nth in 1..=12 {
        stage.livekit.hold("StopEgress", nth, Point::Work);
    }
    let stopping = b.stopping(&recording);
    stage.livekit.until_held().await;
    a.process.terminate();
    a.until_said("draining", 1, TAKEN_OVER).await;
    stage.livekit.release();
    let stopped = stopping.await.unwrap().expect("an answer");
    assert_eq!(stopped.status, 202, "{stopped:?}");
    let log = a.process.log();
    assert!(a.process.ended_within(TAKEN_OVER).await.success());
    assert!(!log.text().contains("still under way"), "{}", log.text());
    stage.until_status(&b, &recording, "complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing_and_refuses_nobody() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let nodes: [Node; 3] = stage.nodes().await;
    for node in &nodes {
        stage.livekit.tell(node.addresses[0]);
    }
    let started = stream::iter(0..LIVE).map(async |at| {
        let node = &nodes[at % 3];
        let room = stage.room(node).await;
        (room.clone(), node.start(&room).await)
    });
    let recordings: Vec<_> = started.buffered(8).collect().await;
    let balancer: Vec<Api> = nodes.iter().map(|node| node.api.clone()).collect();
    let rooms = [stage.room(&nodes[0]).await, stage.room(&nodes[1]).await];
    let restarted = CancellationToken::new();
    let restarting = async {
        let mut fresh = Vec::new();
        for node in nodes {
            node.process.terminate();
            let node = stage.once_left(node).await;
            until("it wants requests", TAKEN_OVER, async || match node.api.ready().await {
                Some(answer) if answer.status == 200 => Ok(()),
                answer => Err(format!("{answer:?}")),
            })
            .await;
            fresh.push(node);
        }
        restarted.cancel();
        fresh
    };
    let clients = rooms.each_ref().map(|room| records_on(&balancer, room, &restarted));
    let (fresh, served) = tokio::join!(restarting, futures::future::join_all(clients));
    let closed: Vec<usize> = balancer.iter().map(Api::closed).collect();
    assert_eq!(closed, [0; 3], "whatever was taken was answered");
    println!("recordings made meanwhile: {served:?}; {LIVE} ran on");
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

/// Starts and stops recordings all the time through a load balancer, which looks at /readyz and tries another node
/// only if one refuses the connection. Returns how many were made.
async fn records_on(nodes: &[Api], room: &RoomId, end: &CancellationToken) -> usize {
    let mut made = 0;
    while !end.is_cancelled() {
        let started = balanced(nodes, made, async |api| api.start(room).await).await;
        assert_eq!(started.status, 201, "{started:?}");
        let stopped = balanced(nodes, made + 1, async |api| api.stop(&started.recording()).await).await;
        assert_eq!(stopped.status, 202, "{stopped:?}");
        until("it is over", TAKEN_OVER, async || {
            let shown = balanced(nodes, made, async |api| api.get(&started.recording()).await).await;
            if shown.body["status"] == "complete" { Ok(()) } else { Err(format!("{shown:?}")) }
        })
        .await;
        made += 1;
    }
    made
}

async fn balanced(nodes: &[Api], first: usize, ask: impl AsyncFn(&Api) -> Option<Answer>) -> Answer {
    for at in (first..).take(10 * nodes.len()) {
        let api = &nodes[at % nodes.len()];
        if api.ready().await.is_some_and(|answer| answer.status == 200)
            && let Some(answer) = ask(api).await
        {
            return answer;
        }
    }
    panic!("no node wants requests");
}
