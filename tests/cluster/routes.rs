//! Every node lives: whichever is asked, the room's owner answers.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::net::TcpStream;

use crate::proxy::Does;
use crate::stage::{Door, LEASE, Leases, Node, Stage};

const ALL: [(Door, Leases); 5] = [
    (Door::Encrypted, Leases::Redis),
    (Door::Open, Leases::Redis),
    (Door::None, Leases::Redis),
    (Door::Open, Leases::Store),
    (Door::None, Leases::Store),
];

#[tokio::test(flavor = "multi_thread")]
async fn whichever_node_is_asked_the_owner_answers() {
    for (door, leases) in ALL {
        println!("{door:?}, leases in {leases:?}");
        let stage = Stage::set(door, leases).await;
        let [a, b]: [Node; 2] = stage.nodes().await;
        let room = stage.room(&a).await;
        let recording = a.start(&room).await;
        let began = Instant::now();
        let again = b.api.start(&room).await.expect("an answer");
        assert_eq!((again.status, again.message().contains("already")), (409, true), "{again:?}");
        b.stop(&recording).await;
        println!("a refused start and a stop elsewhere took {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        stage.until_status(&b, &recording, "complete").await;
        let deleted = b.api.delete(&recording).await.expect("an answer");
        assert_eq!(deleted.status, 200, "{deleted:?}");
        assert_eq!(a.api.get(&recording).await.expect("an answer").status, 404);
    }
}

/// Whoever cannot show a certificate of the cluster's authority is spoken to through the store only, and those who are
/// silent keep nobody else out.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_certificate_is_not_let_in() {
    let mut stage = Stage::set(Door::Encrypted, Leases::Redis).await;
    let a = stage.node().await;
    let silent = join_all((0..32).map(|_| TcpStream::connect(a.addresses[1]))).await;
    let b = stage.node().await;
    b.until_connected(1).await;
    stage.door = Door::Open;
    let bare = stage.node().await;
    stage.door = Door::Encrypted;
    stage.change_authority();
    let stranger = stage.node().await;
    let room = stage.room(&a).await;
    let recording = a.start(&room).await;
    for outsider in [&bare, &stranger] {
        let refused = outsider.api.start(&room).await.expect("an answer");
        assert_eq!((refused.status, refused.message().contains("already")), (409, true), "{refused:?}");
        assert_eq!(outsider.process.log().text().matches("connected to a node").count(), 0);
    }
    stranger.stop(&recording).await;
    stage.until_status(&b, &recording, "complete").await;
    drop(silent);
}

/// Both nodes live and hold their leases, and nothing comes through between them any more, without a word.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_to_a_silent_node_goes_through_the_store() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let (a, before_a) = stage.node_behind_proxy().await;
    let (b, before_b) = stage.node_behind_proxy().await;
    for node in [&a, &b] {
        node.until_connected(1).await;
    }
    let room = stage.room(&a).await;
    let recording = a.start(&room).await;
    for proxy in [&before_a, &before_b] {
        proxy.does(Does::Freeze);
    }
    let began = Instant::now();
    b.stop(&recording).await;
    println!("a stop over a line that fell silent took {:?}", began.elapsed());
    stage.until_status(&b, &recording, "complete").await;
    let log = a.process.log().text();
    assert_eq!(log.matches("stepping down").count(), 0, "the owner carried it out");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_shows_all_of_them() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let [a, b]: [Node; 2] = stage.nodes().await;
    let room = stage.room(&a).await;
    let recording = a.start(&room).await;
    for node in [&a, &b] {
        let shown = node.cluster().await;
        assert_eq!((shown["holdsLease"].as_bool(), shown["orphanedRooms"].as_u64()), (Some(true), Some(0)));
        let nodes = shown["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 2, "{shown}");
        assert!(nodes.iter().all(|node| node["address"].is_string() && node["suspect"] == false), "{shown}");
        let rooms: Vec<_> = nodes.iter().map(|node| node["rooms"].as_u64().unwrap()).collect();
        assert_eq!(rooms.iter().sum::<u64>(), 1, "{shown}");
        let lease = u64::try_from(LEASE.as_millis()).unwrap();
        let ends = nodes.iter().map(|node| node["leaseEndsInMs"].as_u64().unwrap());
        assert!(ends.into_iter().all(|ends| (1..=lease).contains(&ends)), "{shown}");
    }
    b.stop(&recording).await;
    stage.until_status(&a, &recording, "complete").await;
    let (at_a, at_b) = tokio::join!(a.api.metrics(), b.api.metrics());
    let (at_a, at_b) = (at_a.unwrap(), at_b.unwrap());
    assert!(at_a.contains("reelkeeper_recordings_total{status=\"complete\"} 1"), "{at_a}");
    assert!(at_b.contains("reelkeeper_gateway_seconds_count 1"), "{at_b}");
    assert!(at_a.contains("reelkeeper_rooms_owned"), "{at_a}");
    for metrics in [at_a, at_b] {
        assert!(metrics.contains("reelkeeper_dependency_up{dependency=\"coordination\"} 1"), "{metrics}");
        assert!(metrics.contains("reelkeeper_lease_held 1"), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_of_one_room_at_every_node_make_one_recording() {
    let stage = Stage::set(Door::Open, Leases::Redis).await;
    let nodes: [Node; 3] = stage.nodes().await;
    for _ in 0..5 {
        let room = stage.room(&nodes[0]).await;
        let starts = nodes.iter().flat_map(|node| [node, node]).map(|node| node.api.start(&room));
        let answers: Vec<_> = futures::future::join_all(starts).await.into_iter().flatten().collect();
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409], "{answers:?}");
        assert_eq!(stage.livekit.live(&room).len(), 1);
        let recording = answers.iter().find(|answer| answer.status == 201).unwrap().recording();
        nodes[2].stop(&recording).await;
        stage.until_status(&nodes[1], &recording, "complete").await;
    }
}
