//! Falls of room actors: back-off, a cap, and failing upward. The clock is tokio's and paused.

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::*;
use crate::cluster::Cluster;
use crate::embedded::{AloneCoordination, DirectoryBlobs, MemoryStore};
use crate::ids::{ClaimId, NodeId};
use crate::ports::PortError;
use crate::ports::clock::SystemEntropy;
use crate::ports::ledger::{Expected, Ledger, Written};
use crate::ports::media_probe::NoProbe;
use crate::ports::notifier::NobodyToNotify;
use crate::recording::ledger::Row;
use crate::recording::policy::Policy;
use crate::room::{Limits, World};
use crate::simulator::clock::{Timing, TokioClock};
use crate::simulator::media_server::SimulatedMediaServer;

/// How exactly a pause is measured.
const STEP: Duration = Duration::from_millis(10);

/// A ledger that is away: an actor that waits for its row stays, and shows itself all the same.
struct Away;

fn away<T>() -> Result<T, PortError> {
    Err(PortError::unavailable("store", "away"))
}

#[async_trait]
impl Ledger for Away {
    async fn load(&self, _room: &RoomId) -> Result<Option<Row>, PortError> {
        away()
    }

    async fn write(&self, _row: &Row, _expected: &Expected) -> Result<Written, PortError> {
        away()
    }

    async fn remove(&self, _room: &RoomId, _claim: &ClaimId, _revision: u64) -> Result<Written, PortError> {
        away()
    }

    async fn rows(&self, _after: Option<&RoomId>, _limit: usize) -> Result<Vec<Row>, PortError> {
        away()
    }

    async fn ping(&self) -> Result<(), PortError> {
        away()
    }
}

struct Stage {
    supervisor: ActorRef<SupervisorMessage>,
    tree: JoinHandle<()>,
}

impl Stage {
    async fn set() -> Self {
        let clock = Arc::new(TokioClock::starting_at(Timestamp(0)));
        let folder = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::open(folder.path().to_owned()).await.unwrap();
        let livekit = crate::simulator::World::new(1, Timing::default());
        let (media_server, _) = SimulatedMediaServer::start(livekit, clock.clone(), None);
        let world = World {
            node: NodeId::from_trusted("node-1"),
            policy: Policy::default(),
            limits: Limits::default(),
            ledger: Arc::new(Away),
            keys: Arc::new(MemoryStore::new()),
            catalog: Arc::new(MemoryStore::new()),
            coordination: Arc::new(AloneCoordination::new()),
            blobs: Arc::new(blobs),
            media_probe: Arc::new(NoProbe),
            notifier: Arc::new(NobodyToNotify),
            cluster: Cluster::alone(),
            media_server: Arc::new(media_server),
            clock,
            entropy: Arc::new(SystemEntropy),
        };
        let (supervisor, tree) =
            Actor::spawn(None, Supervisor, Shared::new(world, tokio::sync::mpsc::channel(1).0))
                .await
                .unwrap();
        Self { supervisor, tree }
    }

    /// Whether the room's actor answers; a message that is held waits with it.
    async fn is_there(&self, room: &RoomId) -> bool {
        let (reply, answer) = oneshot::channel();
        let message = Box::new(RoomMessage::Observe(reply));
        self.supervisor.cast(SupervisorMessage::Deliver { room: room.clone(), message }).unwrap();
        answer.await.is_ok()
    }

    /// Makes the room's actor fall; how long it takes until it is there again.
    async fn topple(&self, room: &RoomId) -> Duration {
        let fell = Instant::now();
        self.supervisor.cast(SupervisorMessage::Topple { room: room.clone() }).unwrap();
        while !self.is_there(room).await {
            advance(STEP).await;
        }
        fell.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallen_actor_is_started_again_later_each_time_and_then_put_aside() {
    let stage = Stage::set().await;
    let room = RoomId::from_trusted("room-1");
    assert!(stage.is_there(&room).await);
    for pause_ms in [100, 200, 400, 800, 1_600, 3_200, 6_400, 60_000, 60_000] {
        let pause = Duration::from_millis(pause_ms);
        let took = stage.topple(&room).await;
        assert!((pause..pause + 4 * STEP).contains(&took), "{took:?} instead of {pause:?}");
    }
    advance(RECOVERED).await;
    let took = stage.topple(&room).await;
    assert!(took < Duration::from_millis(200), "what has lived long has recovered: {took:?}");
    stage.supervisor.stop(None);
}

#[tokio::test(start_paused = true)]
async fn too_many_rooms_that_keep_falling_are_no_rooms_fault() {
    let stage = Stage::set().await;
    let rooms: Vec<_> = (0..=ASIDE_MAX).map(|room| RoomId::from_trusted(format!("room-{room}"))).collect();
    for room in &rooms {
        assert!(stage.is_there(room).await);
    }
    for fall in 1..=FALLS_MAX {
        assert!(!stage.tree.is_finished(), "fall {fall}");
        for room in &rooms {
            stage.supervisor.cast(SupervisorMessage::Topple { room: room.clone() }).unwrap();
        }
        if fall < FALLS_MAX {
            for room in &rooms {
                while !stage.is_there(room).await {
                    advance(STEP).await;
                }
            }
        }
    }
    stage.tree.await.unwrap();
}
