//! Faults of every kind while clients start and stop recordings at any node and LiveKit's webhooks arrive: what was
//! asked, answered and done is kept, and judged once everything is well again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use rand::rngs::StdRng;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::simulator::calls::Method;
use tokio::time::{Instant, sleep};

use crate::api::{Answer, Api};
use crate::backends::{mongo_set, primary_of};
use crate::livekit::recording_of;
use crate::seed::chance;
use crate::stage::{Door, LEASE, Leases, Node, Stage};
use crate::wait::until;

const NODES: usize = 3;
const ROOMS: usize = 6;
const FAULTS: usize = 10;
/// From one fault to the next.
const BETWEEN: Duration = Duration::from_millis(1500);
/// How long the rooms may take to come to rest: leases end, starts time out, stops are given up.
const REST: Duration = Duration::from_mins(2);

/// What happens to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Kill(usize),
    Freeze(usize),
    Leave(usize),
    RedisForgets,
    /// Of MongoDB: freezes, is killed and comes back; the others elect another meanwhile.
    PrimaryRestarts(usize),
}

/// What a client asked for and was told.
#[derive(Debug)]
struct Told {
    what: &'static str,
    answer: Answer,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_no_recording_is_lost_and_no_room_blocked() {
    let mut chance = chance("a cluster's history");
    let mut stage = Stage::set_on(mongo_set().await, Door::Open, Leases::Redis).await;
    let mut nodes: Vec<Node> = stage.nodes::<NODES>().await.into();
    for node in &nodes {
        stage.livekit.tell(node.process.address());
    }
    let rooms: Vec<RoomId> = join_all((0..ROOMS).map(|_| stage.room(&nodes[0]))).await;
    let (told, mut injected) = (Mutex::new(Vec::new()), BTreeMap::<String, usize>::new());
    for _ in 0..FAULTS {
        let primary = until("MongoDB has a primary", REST, async || {
            primary_of(&stage.mongo).await.ok_or_else(|| "none".to_owned())
        })
        .await;
        let fault = drawn(&mut chance, primary);
        let kind = format!("{fault:?}");
        *injected.entry(kind.split('(').next().unwrap_or(&kind).to_owned()).or_default() += 1;
        let apis: Vec<Api> = nodes.iter().map(|node| node.api.clone()).collect();
        let until = Instant::now() + BETWEEN;
        let clients = rooms.iter().map(|room| {
            let wishes =
                (0..200).map(|_| (chance.random_range(0..NODES), chance.random_range(0..8))).collect();
            client(&stage, &apis, room, wishes, until, &told)
        });
        let clients = join_all(clients.collect::<Vec<_>>());
        let ((), nodes_after) = tokio::join!(async { drop(clients.await) }, strike(&stage, nodes, fault));
        nodes = nodes_after;
        mend(&mut stage, &mut nodes, fault).await;
    }
    let told = told.into_inner().unwrap();
    println!("injected {injected:?}; {} answers, by status {:?}", told.len(), by_status(&told));
    judge(&stage, &nodes, &rooms, &told).await;
}

fn drawn(chance: &mut StdRng, primary: usize) -> Fault {
    let node = chance.random_range(0..NODES);
    match chance.random_range(0..10) {
        0..=3 => Fault::Kill(node),
        4..=5 => Fault::Freeze(node),
        6..=7 => Fault::Leave(node),
        8 => Fault::RedisForgets,
        _ => Fault::PrimaryRestarts(primary),
    }
}

/// What of a fault strikes while clients ask.
async fn strike(stage: &Stage, nodes: Vec<Node>, fault: Fault) -> Vec<Node> {
    sleep(BETWEEN / 3).await;
    match fault {
        Fault::Kill(at) => nodes[at].process.send_kill(),
        Fault::Freeze(at) => {
            nodes[at].process.freeze();
            // Sometimes its rooms have another owner when it wakes.
            sleep(LEASE + LEASE / 2).await;
            nodes[at].process.thaw();
        }
        Fault::Leave(at) => nodes[at].process.terminate(),
        Fault::RedisForgets => stage.redis.freeze(),
        Fault::PrimaryRestarts(was) => stage.mongo[was].freeze(),
    }
    nodes
}

/// Whatever is away comes back; Redis without what it had.
async fn mend(stage: &mut Stage, nodes: &mut Vec<Node>, fault: Fault) {
    match fault {
        Fault::Kill(at) | Fault::Leave(at) => {
            let node = nodes.remove(at);
            nodes.insert(at, stage.again(node).await);
        }
        Fault::Freeze(_) => {}
        Fault::RedisForgets => {
            stage.redis.kill().await;
            stage.redis.start_again().await;
        }
        Fault::PrimaryRestarts(was) => {
            stage.mongo[was].kill().await;
            stage.mongo[was].start_again().await;
        }
    }
}

/// Starts, and stops what runs, at one node after the other, as a load balancer would.
async fn client(
    stage: &Stage,
    nodes: &[Api],
    room: &RoomId,
    wishes: Vec<(usize, usize)>,
    end: Instant,
    told: &Mutex<Vec<Told>>,
) {
    for (node, wish) in wishes {
        if Instant::now() >= end {
            return;
        }
        let live = stage.livekit.live(room);
        let (what, answer) = match live.first() {
            Some(egress) if wish > 3 => ("stop", nodes[node].stop(&recording_of(egress)).await),
            Some(_) if wish > 0 => ("list", nodes[node].ready().await),
            _ => ("start", nodes[node].start(room).await),
        };
        let Some(answer) = answer else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        told.lock().unwrap().push(Told { what, answer });
    }
}

fn by_status(told: &[Told]) -> BTreeMap<(&'static str, u16), usize> {
    let mut counts = BTreeMap::new();
    for Told { what, answer } in told {
        *counts.entry((*what, answer.status)).or_default() += 1;
    }
    counts
}

/// What must be true once nothing is under way any more.
async fn judge(stage: &Stage, nodes: &[Node], rooms: &[RoomId], told: &[Told]) {
    for room in rooms {
        until(&format!("room '{room}' is at rest"), REST, async || at_rest(stage, &nodes[0], room).await)
            .await;
    }
    let mut starts = BTreeMap::<String, usize>::new();
    for call in stage.livekit.calls().into_iter().filter(|call| call.method == Method::StartEgress) {
        *starts.entry(call.path.expect("a recording has a file")).or_default() += 1;
    }
    assert!(starts.values().all(|count| *count == 1), "each uid was started once: {starts:?}");
    for Told { what, answer } in told {
        if (*what, answer.status) == ("start", 201) {
            let shown = nodes[1].api.get(&answer.recording()).await.expect("an answer");
            assert_eq!(shown.status, 200, "a recording that was answered with 201 is there: {answer:?}");
        }
    }
    until("every letter was read, every room has an owner", REST, async || {
        let shown = nodes[2].cluster().await;
        if shown["inbox"] == 0 && shown["orphanedRooms"] == 0 { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
    for (at, room) in rooms.iter().enumerate() {
        for egress in stage.livekit.live(room) {
            nodes[at % NODES].stop(&recording_of(&egress)).await;
        }
        let recording = until("the room can record", REST, async || {
            let answer = nodes[at % NODES].api.start(room).await.expect("an answer");
            if answer.status == 201 { Ok(answer.recording()) } else { Err(format!("{answer:?}")) }
        })
        .await;
        nodes[(at + 1) % NODES].stop(&recording).await;
        stage.until_status(&nodes[at % NODES], &recording, "complete").await;
    }
}

/// LiveKit and the documents tell the same story, and nothing runs that nobody wants.
async fn at_rest(stage: &Stage, node: &Node, room: &RoomId) -> Result<(), String> {
    let live = stage.livekit.live(room);
    if live.len() > 1 {
        return Err(format!("{} egresses run", live.len()));
    }
    for egress in stage.livekit.egresses(room) {
        let id = recording_of(&egress);
        let shown = node.api.get(&id).await.ok_or("no answer")?;
        let expected: &[&str] = match egress.status.recorded_as().name() {
            "active" => &["active"],
            "complete" => &["complete"],
            // One that never recorded may have no document.
            "aborted" | "failed" => &["", "aborted", "failed"],
            other => return Err(format!("egress {} is {other}", egress.egress)),
        };
        let status = shown.body["status"].as_str().unwrap_or_default();
        if !expected.contains(&status) {
            return Err(format!("egress {} is {:?}, its document '{status}'", egress.egress, egress.status));
        }
    }
    Ok(())
}
