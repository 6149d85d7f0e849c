//! Nodes that come, die or leave, and come back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reelkeeper_actors::cluster::Cluster;
use reelkeeper_actors::cluster::lease::OwnLease;
use reelkeeper_actors::cluster::membership::{Membership, Terms};
use reelkeeper_actors::embedded::AloneCoordination;
use reelkeeper_actors::orchestrator::Orchestrator;
use reelkeeper_actors::ports::coordination::Coordination as _;
use reelkeeper_actors::ports::media_probe::NoProbe;
use reelkeeper_actors::room::{Limits, World as Ports};
use tokio::time::sleep;

use crate::lock;
use crate::network::uptime;
use crate::node::Run;
use crate::stage::Stage;

/// How long a node that was asked to end waits for what is under way.
const DRAIN: Duration = Duration::from_secs(30);

/// A node that is up.
#[derive(Clone)]
pub struct Node {
    pub run: Arc<Run>,
    pub orchestrator: Orchestrator,
    /// What it does as one of several; ends with its last clone.
    _membership: Option<Arc<Membership>>,
}

impl Stage {
    /// As at SIGTERM.
    pub fn quit(self: &Arc<Self>, number: usize, down_ms: u64) {
        let Some(node) = lock(&self.nodes)[number].clone() else { return };
        if node.run.leaving.swap(true, Ordering::Relaxed) {
            return;
        }
        lock(&self.comes_back)[number] = (down_ms, 0);
        let stage = self.clone();
        tokio::spawn(async move {
            let leaving = async {
                node.orchestrator.announce_leave();
                node.orchestrator.drain(DRAIN).await;
                // Without a word if that cannot be said.
                let _ = node.run.leave(&node.run.id).await;
            };
            in_run(&node.run, leaving).await;
            stage.around.timeline.tell(|| "node has left".to_owned());
            node.run.ends();
        });
    }
}

/// Carries something out inside a run of the node; none if that dies first.
pub async fn in_run<T: Send + 'static>(run: &Arc<Run>, work: impl Future<Output = T>) -> Option<T> {
    let caught = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(work));
    tokio::select! {
        biased;
        () = run.ended() => None,
        done = caught => match done {
            Ok(done) => Some(done),
            Err(_) if run.is_dead() => None,
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// Starts the node, and starts it again whenever it has died.
pub async fn keep_node_up(stage: Arc<Stage>, number: usize) {
    let mut skew = 0;
    loop {
        let run = Run::begin(stage.around.clone(), number, skew);
        let node = in_run(&run, build(&stage, &run)).await.flatten();
        if let Some(node) = node {
            lock(&stage.nodes)[number] = Some(node);
            run.ended().await;
            match lock(&stage.nodes).get_mut(number) {
                Some(node) => *node = None,
                None => return,
            }
        } else {
            run.ends();
            sleep(Duration::from_secs(1)).await;
        }
        if !stage.around.timeline.falls().is_empty() {
            return;
        }
        let (down, next) = lock(&stage.comes_back)[number];
        skew = next;
        sleep(Duration::from_millis(down)).await;
        stage.around.timeline.tell(|| format!("node starts, its clock off by {skew} ms"));
    }
}

/// Builds the node's tree and takes up what earlier runs left; none if the store is away.
async fn build(stage: &Arc<Stage>, run: &Arc<Run>) -> Option<Node> {
    let several = stage.plan.nodes > 1;
    let ports = Ports {
        node: run.id.clone(),
        policy: stage.plan.policy(),
        limits: Limits::default(),
        ledger: run.clone(),
        keys: run.clone(),
        catalog: run.clone(),
        coordination: if several { run.clone() } else { Arc::new(AloneCoordination::new()) },
        blobs: run.clone(),
        media_probe: Arc::new(NoProbe),
        notifier: run.clone(),
        cluster: if several {
            let lease = Arc::new(OwnLease::lasting(stage.plan.lease, uptime));
            Cluster { peers: run.clone(), inbox: run.clone(), lease }
        } else {
            Cluster::alone()
        },
        media_server: run.clone(),
        clock: run.clone(),
        entropy: stage.around.chance.clone(),
    };
    let (orchestrator, _tree) = Orchestrator::start_tree(ports).await.expect("a tree can be started");
    let terms = Terms { lease: stage.plan.lease, address: String::new(), inbox: Duration::from_secs(1) };
    let membership = several.then(|| Arc::new(Membership::begin(&orchestrator, terms)));
    stage.around.network.joins(run, &orchestrator);
    orchestrator.take_up().await.ok()?;
    Some(Node { run: run.clone(), orchestrator, _membership: membership })
}
