//! Nodes that share their stores, and the network between them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reelkeeper_actors::cluster::Cluster;
use reelkeeper_actors::cluster::lease::OwnLease;
use reelkeeper_actors::cluster::membership::{Membership, Terms};
use reelkeeper_actors::cluster::wire::Reply;
use reelkeeper_actors::embedded::{AloneCoordination, DirectoryBlobs, MemoryInbox, MemoryStore};
use reelkeeper_actors::ids::{NodeId, RecordingId, RoomId};
use reelkeeper_actors::meeting::{MeetingEndAction, Room, RoomConfig, RoomStatus};
use reelkeeper_actors::orchestrator::{Orchestrator, StartOptions};
use reelkeeper_actors::ports::catalog::Catalog as _;
use reelkeeper_actors::ports::clock::{Clock, SystemEntropy};
use reelkeeper_actors::ports::coordination::Coordination as _;
use reelkeeper_actors::ports::inbox::{Inbox as _, Waiting};
use reelkeeper_actors::ports::ledger::Ledger as _;
use reelkeeper_actors::ports::media_probe::NoProbe;
use reelkeeper_actors::ports::notifier::NobodyToNotify;
use reelkeeper_actors::ports::peers::{PeerError, Peers};
use reelkeeper_actors::recording::effect::Refusal;
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::{Recording, RecordingStatus, Timestamp};
use reelkeeper_actors::room::{Limits, World as Ports};
use reelkeeper_actors::simulator::World as LiveKit;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::clock::{Timing, TokioClock};
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, What};
use reelkeeper_actors::simulator::log::CallOutcome;
use reelkeeper_actors::simulator::media_server::SimulatedMediaServer;
use reelkeeper_actors::simulator::rooms::{NewParticipant, NewRoom};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longer than anything takes that is waited for, in the test's own time.
const PATIENCE: Duration = Duration::from_mins(10);
const GLANCE: Duration = Duration::from_millis(100);
const LEASE: Duration = Duration::from_secs(15);
/// How long a room of LiveKit's stays without anybody, in seconds.
const STAYS_S: u32 = 100_000;

/// How the way to a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Letters arrive and are answered.
    Open,
    /// Nothing arrives.
    Cut,
    /// Letters arrive, and their answers get lost.
    LosesAnswers,
    /// Nobody answers.
    Silent,
    /// Letters arrive, and cannot be read.
    OtherRelease,
}

/// The network: which nodes there are, and how the way to each is.
#[derive(Default)]
pub struct Network {
    nodes: Mutex<BTreeMap<NodeId, (Orchestrator, Way)>>,
}

#[async_trait]
impl Peers for Network {
    async fn ask(&self, node: &NodeId, letter: Vec<u8>, limit: Duration) -> Result<Vec<u8>, PeerError> {
        let found = self.nodes.lock().unwrap().get(node).cloned();
        let Some((orchestrator, way)) = found.filter(|(_, way)| *way != Way::Cut) else {
            return Err(PeerError::Unreachable("cut".to_owned()));
        };
        let answered = async {
            if way == Way::Silent {
                std::future::pending::<()>().await;
            }
            if way == Way::OtherRelease {
                return Reply::Unreadable.to_text().into_bytes();
            }
            orchestrator.receive(&letter).await.to_text().into_bytes()
        };
        match tokio::time::timeout(limit, answered).await {
            Ok(_) if way == Way::LosesAnswers => Err(PeerError::Lost("lost".to_owned())),
            Ok(answer) => Ok(answer),
            Err(_) => Err(PeerError::Lost("late".to_owned())),
        }
    }
}

/// What all nodes share.
pub struct Stage {
    pub store: Arc<MemoryStore>,
    pub inbox: Arc<MemoryInbox>,
    pub coordination: Arc<AloneCoordination>,
    pub network: Arc<Network>,
    pub livekit: Arc<SimulatedMediaServer>,
    clock: Arc<dyn Clock>,
    folder: TempDir,
}

/// A node that is up. It takes part as long as `membership` is there.
pub struct Node {
    pub id: NodeId,
    pub orchestrator: Orchestrator,
    pub membership: Option<Membership>,
}

impl Stage {
    pub async fn set() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp(1_800_000_000_000)));
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(DirectoryBlobs::open(folder.path()).await.unwrap());
        let world = LiveKit::new(1, Timing::default());
        let (livekit, _) = SimulatedMediaServer::start(world, clock.clone(), Some(blobs));
        Self {
            store: Arc::default(),
            inbox: Arc::default(),
            coordination: Arc::default(),
            network: Arc::default(),
            livekit: Arc::new(livekit),
            clock,
            folder,
        }
    }

    pub async fn node(&self, name: &str) -> Node {
        let id = NodeId::from_trusted(name);
        let cluster = Cluster {
            peers: self.network.clone(),
            inbox: self.inbox.clone(),
            lease: Arc::new(OwnLease::without_end()),
        };
        let ports = Ports {
            node: id.clone(),
            policy: Policy::default(),
            limits: Limits::default(),
            ledger: self.store.clone(),
            keys: self.store.clone(),
            catalog: self.store.clone(),
            coordination: self.coordination.clone(),
            blobs: Arc::new(DirectoryBlobs::open(self.folder.path()).await.unwrap()),
            media_probe: Arc::new(NoProbe),
            notifier: Arc::new(NobodyToNotify),
            cluster,
            media_server: self.livekit.clone(),
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
        };
        self.coordination.renew(&id, LEASE).await.unwrap();
        let (orchestrator, _tree) = Orchestrator::start_tree(ports).await.unwrap();
        let terms = Terms { lease: LEASE, address: String::new(), inbox: Duration::from_millis(250) };
        let membership = Some(Membership::begin(&orchestrator, terms));
        self.network.nodes.lock().unwrap().insert(id.clone(), (orchestrator.clone(), Way::Open));
        Node { id, orchestrator, membership }
    }

    /// Two nodes.
    pub async fn pair(&self) -> (Node, Node) {
        (self.node("node-a").await, self.node("node-b").await)
    }

    pub fn way_to(&self, node: &Node, way: Way) {
        self.network.nodes.lock().unwrap().get_mut(&node.id).unwrap().1 = way;
    }

    /// Its lease ends by itself, though it runs on.
    pub fn renews_no_more(node: &mut Node) {
        node.membership = None;
    }

    /// A room with somebody in it.
    pub async fn room(&self, name: &str) -> Room {
        let room = room(name);
        self.store.insert_room(&room).await.unwrap();
        self.livekit.live().with(|world| {
            let named = NewRoom::named(room.room_id.clone());
            let new = NewRoom { empty_timeout: STAYS_S, departure_timeout: STAYS_S, ..named };
            world.create_room(new).unwrap();
            world.join(&room.room_id, NewParticipant::person("ann")).unwrap();
        });
        room
    }

    /// Who owns a room by its row.
    pub async fn owner(&self, room: &Room) -> Option<NodeId> {
        self.store.load(&room.room_id).await.unwrap().map(|row| row.owner)
    }

    pub async fn status(&self, id: &RecordingId) -> Option<RecordingStatus> {
        self.store.recording(id).await.unwrap().map(|stored| stored.recording.status)
    }

    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so().await {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            sleep(GLANCE).await;
        }
    }

    pub async fn until_complete(&self, id: &RecordingId) {
        self.until(&format!("{id} is complete"), async || {
            self.status(id).await == Some(RecordingStatus::Complete)
        })
        .await;
    }

    /// Egresses that run in a room.
    pub fn running(&self, room: &Room) -> usize {
        self.livekit.live().with(|world| {
            let all = world.egresses_of(&room.room_id);
            all.iter().filter(|egress| !egress.status.is_terminal()).count()
        })
    }

    /// LiveKit begins so late with every call of this kind in a room.
    pub fn slows_down(&self, room: &Room, method: Method, late: Duration) {
        let does = CallTrouble::Delay { ms: u64::try_from(late.as_millis()).unwrap() };
        let what = What::Call { method, scope: None, does };
        let fault = Fault { what, room: Some(room.room_id.clone()), skip: 0, times: None, chance: 1.0 };
        assert!(self.livekit.live().with(|world| world.add_fault(fault)).is_some());
    }

    /// Calls of this kind that LiveKit has not answered yet.
    pub fn under_way(&self, method: Method) -> usize {
        let calls = self.livekit.live().with(|world| world.calls());
        let of_kind = calls.iter().filter(|call| call.method == method);
        of_kind.filter(|call| call.outcome == CallOutcome::Waiting).count()
    }

    /// A letter that lies in the inbox for a node.
    pub async fn put_letter(&self, owner: &Node, room: &Room, id: String, letter: &str) {
        let (room, owner, letter) = (room.room_id.clone(), owner.id.clone(), letter.to_owned());
        self.inbox.put_letter(&Waiting { id, room, owner, letter }).await.unwrap();
    }

    /// Letters that wait.
    pub async fn letters(&self) -> u64 {
        self.inbox.count_letters().await.unwrap()
    }
}

impl Node {
    pub async fn start(&self, room: &Room) -> Result<Recording, Refusal> {
        self.orchestrator.start(room, StartOptions::default()).await
    }

    pub async fn stop(&self, id: &RecordingId) -> Result<Recording, Refusal> {
        self.orchestrator.stop(id).await
    }
}

fn room(name: &str) -> Room {
    Room {
        room_id: RoomId::from_trusted(name),
        room_name: "A room".to_owned(),
        creation_date: 1,
        auto_deletion_date: None,
        auto_deletion_policy: None,
        config: RoomConfig::default(),
        moderator_url: "/room/1?secret=0".to_owned(),
        speaker_url: "/room/1?secret=1".to_owned(),
        status: RoomStatus::Open,
        meeting_end_action: MeetingEndAction::None,
        last_meeting: None,
        meetings: 0,
        at_end: None,
    }
}
