//! A node, its janitors and a LiveKit whose webhooks all get lost, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reelkeeper_actors::embedded::{AloneCoordination, DirectoryBlobs};
use reelkeeper_actors::ids::{EgressId, NodeId, RecordingId, RoomId, Uid};
use reelkeeper_actors::janitors::{Counts, Janitors, Observed, Sweeps, Task};
use reelkeeper_actors::meeting::{MeetingEndAction, Room, RoomConfig, RoomStatus};
use reelkeeper_actors::orchestrator::{Orchestrator, StartOptions};
use reelkeeper_actors::ports::blobs::Blobs as _;
use reelkeeper_actors::ports::catalog::{Catalog as _, StoredRecording};
use reelkeeper_actors::ports::clock::{Clock, SystemEntropy, fresh_node};
use reelkeeper_actors::ports::coordination::Coordination as _;
use reelkeeper_actors::ports::media_probe::NoProbe;
use reelkeeper_actors::ports::media_server::MediaServer as _;
use reelkeeper_actors::ports::notifier::NobodyToNotify;
use reelkeeper_actors::recording::egress::{EgressInfo, EgressOrder, EgressStatus};
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use reelkeeper_actors::recording::ledger::Phase;
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::{AccessSecrets, Recording, RecordingStatus, Timestamp};
use reelkeeper_actors::room::{Limits, World as Ports};
use reelkeeper_actors::simulator::World as LiveKit;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::clock::{Timing, TokioClock};
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, What};
use reelkeeper_actors::simulator::media_server::SimulatedMediaServer;
use reelkeeper_actors::simulator::rooms::{NewParticipant, NewRoom};
use reelkeeper_actors::simulator::views::DisconnectReason;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::stores::Stores;

/// When every test begins.
pub const START: Timestamp = Timestamp(1_800_000_000_000);
/// Longer than anything takes that is waited for, in the test's own time.
const PATIENCE: Duration = Duration::from_hours(3);
/// Between two looks at what is waited for, in the test's own time.
const GLANCE: Duration = Duration::from_millis(500);
/// How long a room of LiveKit's stays without anybody, in seconds.
const STAYS_S: u32 = 100_000;
/// Who is in the meetings.
const PERSON: &str = "ann";

/// What outlives a node.
pub struct Stage {
    pub stores: Arc<Stores>,
    pub livekit: Arc<SimulatedMediaServer>,
    coordination: Arc<AloneCoordination>,
    clock: Arc<dyn Clock>,
    folder: TempDir,
}

/// A node with its janitors.
pub struct Node {
    id: NodeId,
    pub orchestrator: Orchestrator,
    janitors: Janitors,
    coordination: Arc<AloneCoordination>,
}

pub fn room_id(name: &str) -> RoomId {
    RoomId::from_trusted(name)
}

/// The recording that an egress would make in a room.
pub fn recording_id(room: &str, egress: &str) -> RecordingId {
    RecordingId::new(room_id(room), EgressId::from_trusted(egress), Uid::from_trusted("0123456789"))
}

/// The usual ones, but that nobody waits a day for the slowest.
fn sweeps() -> Sweeps {
    Sweeps { unknown_files: Duration::from_mins(20), ..Sweeps::default() }
}

pub fn counts(handed_over: usize, kept: usize, failed: usize) -> Counts {
    Counts { found: handed_over + kept + failed, handed_over, reported: 0, kept, failed }
}

impl Stage {
    pub async fn set() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(START));
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(DirectoryBlobs::open(folder.path()).await.unwrap());
        let world = LiveKit::new(1, Timing::default());
        let (livekit, _) = SimulatedMediaServer::start(world, clock.clone(), Some(blobs));
        let coordination = Arc::default();
        Self { stores: Arc::default(), livekit: Arc::new(livekit), coordination, clock, folder }
    }

    /// A node on what is stored, which takes nothing up by itself: that is left to its janitors.
    pub async fn node(&self, policy: Policy) -> Node {
        let id = fresh_node(&SystemEntropy);
        let ports = Ports {
            node: id.clone(),
            policy,
            limits: Limits::default(),
            ledger: self.stores.clone(),
            catalog: self.stores.clone(),
            coordination: self.coordination.clone(),
            blobs: Arc::new(DirectoryBlobs::open(self.folder.path()).await.unwrap()),
            media_probe: Arc::new(NoProbe),
            notifier: Arc::new(NobodyToNotify),
            cluster: reelkeeper_actors::cluster::Cluster::alone(),
            keys: self.stores.memory.clone(),
            media_server: self.livekit.clone(),
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
        };
        let (orchestrator, _tree) = Orchestrator::start_tree(ports).await.unwrap();
        let janitors = orchestrator.start_janitors(sweeps()).await.unwrap();
        Node { id, orchestrator, janitors, coordination: self.coordination.clone() }
    }

    /// Stores a room, and puts somebody into it.
    pub async fn room(&self, name: &str) -> Room {
        let room = room(name);
        self.stores.memory.insert_room(&room).await.unwrap();
        self.people(name);
        room
    }

    /// Puts somebody into a room of LiveKit's that stays open without them.
    pub fn people(&self, name: &str) {
        self.livekit.live().with(|world| {
            let named = NewRoom::named(room_id(name));
            let new = NewRoom { empty_timeout: STAYS_S, departure_timeout: STAYS_S, ..named };
            world.create_room(new).unwrap();
            world.join(&room_id(name), NewParticipant::person(PERSON)).unwrap();
        });
    }

    /// Writes a file that LiveKit knows nothing of.
    pub async fn write_file(&self, key: &str) {
        let blobs = DirectoryBlobs::open(self.folder.path()).await.unwrap();
        blobs.put(key, Bytes::from_static(b"a film")).await.unwrap();
    }

    /// How many files there are.
    pub async fn files(&self) -> usize {
        let blobs = DirectoryBlobs::open(self.folder.path()).await.unwrap();
        blobs.list("openvidu-meet", None, 100).await.unwrap().len()
    }

    /// Everybody but recorders leaves a room; it stays.
    pub fn leave(&self, room: &str) {
        let left = |world: &mut LiveKit| {
            world.leave(&room_id(room), PERSON, DisconnectReason::ClientInitiated);
        };
        self.livekit.live().with(left);
    }

    /// Stores a document as the original would: without a row.
    pub async fn document(&self, id: &RecordingId, status: RecordingStatus) {
        let recording = Recording {
            recording_id: id.clone(),
            room_id: id.room.clone(),
            room_name: "Room".to_owned(),
            status,
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filename: String::new(),
            start_date: 1_800_000_000_000.0,
            end_date: None,
            duration: None,
            size: None,
            error_code: None,
            error: None,
            details: None,
        };
        let secrets = AccessSecrets { public: "1".to_owned(), private: "2".to_owned() };
        let stored = StoredRecording { recording, secrets, updated_at: 0 };
        assert!(self.stores.memory.insert_recording(&stored).await.unwrap());
    }

    /// What a document shows.
    pub async fn shown(&self, id: &RecordingId) -> Recording {
        self.stores.memory.recording(id).await.unwrap().expect("there is a document").recording
    }

    /// Begins to record a room past the node, as an older one would, and waits until it records.
    pub async fn egress(&self, room: &str) -> RecordingId {
        let order = EgressOrder {
            room: room_id(room),
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filepath: Policy::default().files.egress_path(&room_id(room), &recording_id(room, "any").uid),
        };
        let egress = self.livekit.start_egress(&order).await.unwrap().egress;
        self.until("it records", async || self.info(&egress).status == EgressStatus::Active).await;
        recording_id(room, egress.as_str())
    }

    /// LiveKit's view of an egress.
    pub fn info(&self, egress: &EgressId) -> EgressInfo {
        self.livekit.live().with(|world| world.egress(egress)).expect("LiveKit knows it").to_domain()
    }

    /// The worker of an egress dies, and its recorder is dropped.
    pub async fn kill(&self, id: &RecordingId) {
        assert!(self.livekit.live().with(|world| world.kill_worker(&id.egress)));
        let is_there = || {
            let participants = self.livekit.live().with(|world| world.participants(&id.room));
            participants.iter().any(|participant| participant.identity == id.egress.as_str())
        };
        self.until("the recorder is dropped", async || !is_there()).await;
    }

    /// Every such call fails from now on, in this room or in all of them.
    pub fn refuse(&self, methods: &[Method], room: Option<&str>) {
        for method in methods {
            let what = What::Call { method: *method, scope: None, does: CallTrouble::Cut };
            let fault = Fault { what, room: room.map(room_id), skip: 0, times: None, chance: 1.0 };
            assert!(self.livekit.live().with(|world| world.add_fault(fault)).is_some());
        }
    }

    /// How often LiveKit was asked so.
    pub fn calls(&self, method: Method) -> usize {
        let calls = self.livekit.live().with(|world| world.calls());
        calls.iter().filter(|call| call.method == method).count()
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(GLANCE).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
    }

    /// Waits until a document shows this status.
    pub async fn until_shown(&self, id: &RecordingId, status: RecordingStatus) -> Recording {
        self.until(status.name(), async || self.shown(id).await.status == status).await;
        self.shown(id).await
    }

    /// Waits until a room's row stands in this phase, and says how long that took.
    pub async fn until_phase(&self, node: &Node, room: &str, phase: Phase) -> Duration {
        let began = Instant::now();
        let stands =
            async || node.orchestrator.observe(&room_id(room)).await.is_some_and(|o| o.phase == phase);
        self.until(phase.name(), stands).await;
        began.elapsed()
    }

    /// Waits until a janitor has made so many passes, and says what it shows and how long that took.
    pub async fn until_passes(&self, node: &Node, task: Task, passes: u64) -> (Observed, Duration) {
        let began = Instant::now();
        self.until("it has swept", async || {
            node.janitors.observe(task).await.is_some_and(|observed| observed.passes >= passes)
        })
        .await;
        (node.janitors.observe(task).await.unwrap(), began.elapsed())
    }
}

impl Node {
    /// Records a room, and waits for the answer.
    pub async fn record(&self, room: &Room) -> RecordingId {
        self.orchestrator.start(room, StartOptions::default()).await.unwrap().recording_id
    }

    /// What a janitor shows.
    pub async fn observe(&self, task: Task) -> Observed {
        self.janitors.observe(task).await.unwrap()
    }

    /// The node goes; what it knows stays in the stores.
    pub async fn leave(self) {
        let (coordination, id) = (self.coordination.clone(), self.id.clone());
        self.die().await;
        coordination.leave(&id).await.unwrap();
    }

    /// The same without a word to anybody: what it holds in common stands.
    pub async fn die(self) {
        self.janitors.stop();
        assert!(self.orchestrator.drain(Duration::from_secs(10)).await);
    }
}

fn room(name: &str) -> Room {
    Room {
        room_id: room_id(name),
        room_name: "Room".to_owned(),
        creation_date: START.0,
        auto_deletion_date: None,
        auto_deletion_policy: None,
        config: RoomConfig::default(),
        moderator_url: format!("/room/{name}?secret=1111111111"),
        speaker_url: format!("/room/{name}?secret=2222222222"),
        status: RoomStatus::Open,
        meeting_end_action: MeetingEndAction::None,
        last_meeting: None,
        meetings: 0,
        at_end: None,
    }
}
