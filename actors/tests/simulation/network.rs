//! Between several nodes: leases, letters, and what goes wrong around each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use reelkeeper_actors::embedded::{AloneCoordination, MemoryInbox};
use reelkeeper_actors::ids::{NodeId, RoomId};
use reelkeeper_actors::orchestrator::Orchestrator;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::coordination::{Coordination, Lease, Standing, Tally};
use reelkeeper_actors::ports::inbox::{Inbox, Waiting};
use reelkeeper_actors::ports::peers::{PeerError, Peers};
use tokio::time::{Instant, sleep_until};

use crate::lock;
use crate::node::Run;
use crate::plan::{NodeTrouble, StoreCall};
use crate::upkeep::in_run;

/// A run that can be spoken to.
type Peer = (Arc<Run>, Orchestrator);

/// How long a node that gave a sign of life is no suspect: then a connection to it may break anew.
const BELIEVED: Duration = Duration::from_secs(10);

/// What lies between the nodes of a history.
#[derive(Default)]
pub struct Network {
    pub coordination: AloneCoordination,
    pub inbox: MemoryInbox,
    /// Every run there was; a dead one refuses connections.
    runs: Mutex<BTreeMap<NodeId, Peer>>,
    /// From when on a lease that is missing says that its node is gone, since all were lost.
    believed_from: Mutex<Option<Instant>>,
    /// Until when something goes wrong around a node.
    troubles: Mutex<BTreeMap<(usize, NodeTrouble), Instant>>,
}

impl Network {
    pub fn joins(&self, run: &Arc<Run>, orchestrator: &Orchestrator) {
        lock(&self.runs).insert(run.id.clone(), (run.clone(), orchestrator.clone()));
    }

    pub fn trouble(&self, node: usize, trouble: NodeTrouble, ms: u64) {
        lock(&self.troubles).insert((node, trouble), Instant::now() + Duration::from_millis(ms));
    }

    /// From now on all is well.
    pub fn heal(&self) {
        lock(&self.troubles).clear();
    }

    /// No node holds a lease any more, until it renews it; and so nobody counts as gone for one lease.
    pub async fn lose_leases(&self, lease: Duration) {
        *lock(&self.believed_from) = Some(Instant::now() + lease);
        let all: Vec<NodeId> = lock(&self.runs).keys().cloned().collect();
        for node in all {
            self.coordination.leave(&node).await.expect("memory answers");
        }
    }

    /// Forgets everybody: what a history leaves behind would hold itself.
    pub fn ends(&self) {
        lock(&self.runs).clear();
    }

    pub fn has(&self, node: usize, trouble: NodeTrouble) -> bool {
        lock(&self.troubles).get(&(node, trouble)).is_some_and(|until| Instant::now() < *until)
    }

    pub async fn until_thawed(&self, node: usize) {
        loop {
            let until = lock(&self.troubles).get(&(node, NodeTrouble::Frozen)).copied();
            match until.filter(|until| Instant::now() < *until) {
                // Healed meanwhile, it goes on at once.
                Some(until) => sleep_until(until.min(Instant::now() + Duration::from_secs(1))).await,
                None => return,
            }
        }
    }

    fn peer(&self, node: &NodeId) -> Option<Peer> {
        lock(&self.runs).get(node).filter(|(run, _)| !run.is_dead()).cloned()
    }
}

/// How long the machine is up, on a history's clock.
pub fn uptime() -> Duration {
    static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
    let began = BEGAN.get_or_init(std::time::Instant::now);
    Instant::now().into_std().saturating_duration_since(*began)
}

#[async_trait]
impl Peers for Run {
    async fn ask(&self, node: &NodeId, letter: Vec<u8>, limit: Duration) -> Result<Vec<u8>, PeerError> {
        let network = &self.around().network;
        let work = async {
            let peer = network.peer(node).filter(|(peer, _)| {
                let ends = [self.node, peer.node];
                let apart = self.node.abs_diff(peer.node) == 1
                    && ends.iter().any(|node| network.has(*node, NodeTrouble::Apart));
                !apart && !ends.iter().any(|node| network.has(*node, NodeTrouble::NoPeers))
            });
            let (peer, orchestrator) = peer.ok_or_else(|| PeerError::Unreachable("cut".to_owned()))?;
            let received = async {
                network.until_thawed(peer.node).await;
                let reply = in_run(&peer, orchestrator.receive(&letter)).await;
                network.until_thawed(peer.node).await;
                reply
            };
            let lost = |why: &str| PeerError::Lost(why.to_owned());
            let reply = tokio::time::timeout(limit, received).await.map_err(|_| lost("late"))?;
            let reply = reply.ok_or_else(|| lost("it died"))?;
            if network.has(peer.node, NodeTrouble::AnswersLost) {
                return Err(lost("as the plan says"));
            }
            Ok(reply.to_text().into_bytes())
        };
        self.call("letter to", node.as_str(), work).await
    }

    fn suspects(&self) -> Vec<NodeId> {
        let network = &self.around().network;
        if network.has(self.node, NodeTrouble::NoPeers) {
            return Vec::new();
        }
        let (runs, believed) = (lock(&network.runs), lock(&self.believed));
        let suspect = |(run, _): &&Peer| {
            let is_believed = believed.get(&run.id).is_some_and(|until| Instant::now() < *until);
            run.id != self.id
                && !is_believed
                && (run.is_dead() || network.has(run.node, NodeTrouble::Suspect))
        };
        runs.values().filter(suspect).map(|(run, _)| run.id.clone()).collect()
    }

    fn believe(&self, node: &NodeId, _since: Instant) {
        lock(&self.believed).insert(node.clone(), Instant::now() + BELIEVED);
    }
}

impl Run {
    async fn leases<T>(
        &self,
        about: &str,
        work: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let work = async {
            if self.around().network.has(self.node, NodeTrouble::NoLeases) {
                return Err(PortError::unavailable("coordination", "as the plan says"));
            }
            work.await
        };
        self.call("leases", about, work).await
    }
}

#[async_trait]
impl Coordination for Run {
    async fn renew_at(&self, node: &NodeId, address: &str, ttl: Duration) -> Result<(), PortError> {
        let work = self.around().network.coordination.renew_at(node, address, ttl);
        self.leases("renew", work).await
    }

    async fn nodes(&self) -> Result<Vec<Lease>, PortError> {
        self.leases("nodes", self.around().network.coordination.nodes()).await
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        self.leases("leave", self.around().network.coordination.leave(node)).await
    }

    async fn succeed(&self, place: &str, node: &NodeId, ttl: Duration) -> Result<(), PortError> {
        self.leases("succeed", self.around().network.coordination.succeed(place, node, ttl)).await
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, PortError> {
        let network = &self.around().network;
        let standing = async {
            let says_nothing = lock(&network.believed_from).is_some_and(|from| Instant::now() < from);
            if says_nothing { Ok(Standing::Alive) } else { network.coordination.standing(node).await }
        };
        self.leases("standing", standing).await
    }

    async fn reserve_name(
        &self,
        room: &RoomId,
        wanted: &str,
        ttl: Duration,
    ) -> Result<Option<String>, PortError> {
        self.around().network.coordination.reserve_name(room, wanted, ttl).await
    }

    async fn free_name(&self, room: &RoomId, name: &str) -> Result<(), PortError> {
        self.around().network.coordination.free_name(room, name).await
    }

    async fn free_names(&self, room: &RoomId) -> Result<(), PortError> {
        self.around().network.coordination.free_names(room).await
    }

    async fn want_captions(&self, room: &RoomId, identity: &str, ttl: Duration) -> Result<(), PortError> {
        self.around().network.coordination.want_captions(room, identity, ttl).await
    }

    async fn decline_captions(&self, room: &RoomId, identity: &str) -> Result<bool, PortError> {
        self.around().network.coordination.decline_captions(room, identity).await
    }

    async fn are_captions_wanted(&self, room: &RoomId) -> Result<bool, PortError> {
        self.around().network.coordination.are_captions_wanted(room).await
    }

    async fn forget_captions(&self, room: &RoomId) -> Result<(), PortError> {
        self.around().network.coordination.forget_captions(room).await
    }

    async fn take_task(&self, task: &str, node: &NodeId, ttl: Duration) -> Result<bool, PortError> {
        self.leases(task, self.around().network.coordination.take_task(task, node, ttl)).await
    }

    async fn add_to_count(&self, name: &str, lasts: Duration) -> Result<Tally, PortError> {
        self.around().network.coordination.add_to_count(name, lasts).await
    }

    async fn take_from_count(&self, name: &str) -> Result<(), PortError> {
        self.around().network.coordination.take_from_count(name).await
    }
}

#[async_trait]
impl Inbox for Run {
    async fn put_letter(&self, waiting: &Waiting) -> Result<(), PortError> {
        let work = self.around().network.inbox.put_letter(waiting);
        self.store(StoreCall::PutLetter, &waiting.id, work).await
    }

    async fn letters(
        &self,
        owner: &NodeId,
        except: &BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<Waiting>, PortError> {
        let work = self.around().network.inbox.letters(owner, except, limit);
        self.store(StoreCall::ReadLetters, "", work).await
    }

    async fn addressees(&self) -> Result<BTreeSet<NodeId>, PortError> {
        self.store(StoreCall::ReadLetters, "", self.around().network.inbox.addressees()).await
    }

    async fn count_letters(&self) -> Result<u64, PortError> {
        self.store(StoreCall::ReadLetters, "", self.around().network.inbox.count_letters()).await
    }

    async fn answer_letter(&self, id: &str, answer: &str) -> Result<(), PortError> {
        let work = self.around().network.inbox.answer_letter(id, answer);
        self.store(StoreCall::AnswerLetter, id, work).await
    }

    async fn letter_answer(&self, id: &str) -> Result<Option<String>, PortError> {
        let work = self.around().network.inbox.letter_answer(id);
        self.store(StoreCall::ReadLetters, id, work).await
    }
}
