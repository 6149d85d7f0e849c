//! Several nodes: how soon another takes over, how many starts they take together, and what a node costs that does not
//! own the room.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::api::{Api, Simulator};
use crate::backed::Backed;
use crate::measure::Measured;
use crate::options::Options;
use crate::processes::{Running, api_of, serve, simulator};
use crate::stack::free_port;
use crate::starts::{ended, rooms};
use crate::table::{Budget, Line};
use crate::usage::Watched;

/// Takeovers of each kind.
const TAKEOVERS: usize = 20;
/// Nodes that take starts together.
const NODES: [usize; 3] = [1, 2, 3];
/// Starts, and how many at once.
const STARTS: (usize, usize) = (512, 64);
/// Refused starts at the room's owner and elsewhere.
const HOPS: usize = 1000;
/// How many of them at once.
const CROWDS: [usize; 2] = [1, 16];
/// Until nodes know each other, and what was begun at a node is settled.
const ACQUAINTANCE: Duration = Duration::from_secs(3);

/// Nodes on the same backends.
struct Cluster<'a> {
    options: &'a Options,
    folder: TempDir,
    backed: Backed,
    livekit: Running,
    simulator: Simulator,
}

/// Measures all of it.
pub async fn measure(options: &Options) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let backed = Backed::start(folder.path()).await?;
    let livekit = simulator(options, folder.path())?;
    let simulator = Simulator::new(&livekit.origin)?;
    let cluster = Cluster { options, folder, backed, livekit, simulator };
    for nodes in NODES {
        cluster.starts(nodes).await?;
    }
    cluster.hops().await?;
    cluster.takeovers("SIGKILL", Running::kill).await?;
    cluster.takeovers("SIGTERM", Running::terminate).await
}

impl Cluster<'_> {
    async fn nodes(&self, count: usize) -> Result<Vec<(Running, Api)>, Failure> {
        let mut nodes = Vec::new();
        for _ in 0..count {
            let cluster = format!("127.0.0.1:{}", free_port());
            let settings = [
                ("REELKEEPER_CLUSTER_LISTEN", cluster.as_str()),
                ("REELKEEPER_CLUSTER_SECRET", "the-secret-of-the-load"),
            ];
            let node =
                serve(self.options, self.folder.path(), &self.livekit.origin, Some(&self.backed), &settings)?;
            let api = api_of(&node.origin)?;
            nodes.push((node, api));
        }
        sleep(ACQUAINTANCE).await;
        Ok(nodes)
    }

    /// Rooms are spread over the nodes, as a load balancer would.
    async fn starts(&self, count: usize) -> Result<(), Failure> {
        let (starts, at_once) = STARTS;
        let nodes = self.nodes(count).await?;
        let rooms = rooms(&nodes[0].1, &self.simulator, starts).await?;
        let apis: Vec<Api> = nodes.iter().map(|(_, api)| api.clone()).collect();
        let mut measured = Measured::of(Watched(None));
        let work = rooms.iter().enumerate().map(|(at, room)| (apis[at % count].clone(), room.clone()));
        let start = |(api, room): (Api, String)| async move { api.start(&room).await };
        let recordings = measured.round(at_once, work.collect(), start).await;
        let plural = if count == 1 { "" } else { "s" };
        measured.line(&format!("start, {count} node{plural}"), at_once, Budget::NONE).print();
        for recording in &recordings {
            apis[0].stop(recording).await?;
        }
        for recording in &recordings {
            ended(&apis[0], recording).await?;
        }
        Ok(())
    }

    async fn hops(&self) -> Result<(), Failure> {
        let nodes = self.nodes(2).await?;
        let room = rooms(&nodes[0].1, &self.simulator, 1).await?.remove(0);
        let recording = nodes[0].1.start(&room).await?;
        for (what, at) in [("at its owner", 0), ("at another node", 1)] {
            for at_once in CROWDS {
                let (node, api) = &nodes[at];
                let mut measured = Measured::of(node.watched());
                let work = vec![(api.clone(), room.clone()); HOPS];
                let refused = |(api, room): (Api, String)| async move {
                    match api.start(&room).await {
                        Err(refused) if refused.to_string().contains("409") => Ok(()),
                        other => Err(format!("a second start was not refused: {other:?}").into()),
                    }
                };
                measured.round(at_once, work, refused).await;
                measured.line(&format!("start refused {what}"), at_once, Budget::NONE).print();
            }
        }
        nodes[1].1.stop(&recording).await
    }

    /// From the owner's signal until a stop at the other node is answered.
    async fn takeovers(&self, signal: &str, send: fn(&mut Running)) -> Result<(), Failure> {
        let mut nodes = self.nodes(2).await?;
        let (mut times, mut failed) = (Vec::new(), 0);
        for _ in 0..TAKEOVERS {
            let (mut owner, api) = nodes.remove(0);
            let room = rooms(&api, &self.simulator, 1).await?.remove(0);
            let recording = api.start(&room).await?;
            // As a recording that has been running for a while.
            sleep(Duration::from_millis(500)).await;
            let begun = Instant::now();
            send(&mut owner);
            match nodes[0].1.stop(&recording).await {
                Ok(()) => times.push(begun.elapsed()),
                Err(failure) => {
                    eprintln!("went wrong: {failure}");
                    failed += 1;
                }
            }
            ended(&nodes[0].1, &recording).await?;
            drop(owner);
            nodes.extend(self.nodes(1).await?);
        }
        let what = format!("stop at another node, from {signal} of the owner");
        let working = times.iter().sum();
        let memory_kb = [None; 3];
        Line { what, at_once: 1, times, failed, working, processor: None, memory_kb, budget: Budget::NONE }
            .print();
        Ok(())
    }
}
