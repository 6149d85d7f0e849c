//! The room actor: carries out what the pure core decides for one room.
//!
//! Owns the order of things: an event is decided, the decision is committed, then its effects run beside
//! the actor and their outcomes come back as events. It never decides anything itself and never waits for
//! IO while it handles a message. Read `room/actor.rs` next, then `room/effects.rs`.

pub mod actor;
pub(crate) mod commit;
mod effects;
pub(crate) mod live;
mod meet;
pub(crate) mod news;
mod replies;
pub mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::cluster::Cluster;
use crate::ids::{CommandId, NodeId, RoomId};
use crate::ports::blobs::Blobs;
use crate::ports::catalog::Catalog;
use crate::ports::clock::{Clock, Entropy};
use crate::ports::coordination::Coordination;
use crate::ports::keys::IdempotencyKeys;
use crate::ports::ledger::Ledger;
use crate::ports::media_probe::MediaProbe;
use crate::ports::media_server::MediaServer;
use crate::ports::notifier::Notifier;
use crate::recording::Timestamp;
use crate::recording::effect::Answer;
use crate::recording::event::Happening;
use crate::recording::ledger::{Phase, RoomState};
use crate::recording::policy::Policy;

/// The world, as the actors of one node see it.
pub struct World {
    /// This run of this node.
    pub node: NodeId,
    /// The numbers of the lifecycle.
    pub policy: Policy,
    /// The bounds of the actors.
    pub limits: Limits,
    /// Room rows.
    pub ledger: Arc<dyn Ledger>,
    /// Idempotency keys, and the answers that are kept under them.
    pub keys: Arc<dyn IdempotencyKeys>,
    /// Documents.
    pub catalog: Arc<dyn Catalog>,
    /// Which nodes live.
    pub coordination: Arc<dyn Coordination>,
    /// Files.
    pub blobs: Arc<dyn Blobs>,
    /// How long files play.
    pub media_probe: Arc<dyn MediaProbe>,
    /// Outgoing notices.
    pub notifier: Arc<dyn Notifier>,
    /// The other nodes.
    pub cluster: Cluster,
    /// LiveKit.
    pub media_server: Arc<dyn MediaServer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// The bounds of the actors. Mailboxes have none, so admission is checked before the cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests and webhooks under way at once on this node.
    pub admitted: usize,
    /// Requests of one room that wait at once.
    pub commands_per_room: usize,
    /// Any request but a start, until its answer.
    pub request_timeout: Duration,
    /// One call of a store.
    pub store_timeout: Duration,
    /// Least time between two lists of all egresses.
    pub list_all_interval: Duration,
    /// How long idempotency keys, and the answers under them, are kept.
    pub key_retention: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admitted: 4096,
            commands_per_room: 32,
            request_timeout: Duration::from_secs(10),
            store_timeout: Duration::from_secs(5),
            list_all_interval: Duration::from_secs(2),
            key_retention: Duration::from_hours(24),
        }
    }
}

/// What a room actor is told.
pub enum RoomMessage {
    /// A client's request; the answer goes to `reply`, which is dropped if none is known to be true.
    Request {
        /// Names the request.
        command: CommandId,
        /// When it must be answered.
        deadline: Timestamp,
        /// What is asked.
        what: Happening,
        /// Where the answer goes.
        reply: oneshot::Sender<Told>,
    },
    /// News from outside; `stored` is told once the news cannot be lost any more.
    News {
        /// What happened.
        what: Happening,
        /// Told after the commit; dropped if it cannot be stored.
        stored: oneshot::Sender<Taken>,
    },
    /// The node's lease had lapsed and is held again: what is remembered may be old.
    ReadAgain,
    /// Be there: the row is to be taken up if that has not happened yet.
    TakeUp,
    /// Shows the state.
    Observe(oneshot::Sender<Observed>),
    /// What the actor tells itself.
    Own(actor::Own),
}

impl ractor::Message for RoomMessage {}

/// What became of a request.
#[derive(Debug)]
pub enum Told {
    /// This is its answer.
    Answer(Answer),
    /// Another node owns the room, and nothing was begun here: it is to be asked.
    Moved(NodeId),
    /// Whoever owns the room, this node perhaps, finds in the row what was begun for it: it is to be asked.
    Begun(NodeId),
}

/// What became of news.
#[derive(Debug)]
pub enum Taken {
    /// They are stored.
    Stored,
    /// Another node owns the room: it is to be told.
    Moved(NodeId),
}

/// What a room actor shows to tests and operators.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The room.
    pub room: RoomId,
    /// Where the actor stands.
    pub standing: &'static str,
    /// What its recorder is doing.
    pub phase: Phase,
    /// The durable state.
    pub state: RoomState,
    /// Requests that wait.
    pub waiting: usize,
}

/// What the actors of one node share.
pub(crate) struct Shared {
    pub(crate) world: World,
    /// Keeps LiveKit from being asked for the list of all too often: looks that come together share one.
    pub(crate) active_list: Arc<live::ActiveList>,
    /// What the rooms of this node hold as live.
    pub(crate) live: Arc<live::LiveRecordings>,
    /// Requests and webhooks that are let in.
    pub(crate) admission: Arc<Semaphore>,
    /// What this node learned of rooms that others own by now; told there.
    pub(crate) learned: mpsc::Sender<(RoomId, Happening)>,
    /// Welcomes under way; as many as are let in, and beside them, so that hints never keep a start out.
    pub(crate) welcomes: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(world: World, learned: mpsc::Sender<(RoomId, Happening)>) -> Arc<Self> {
        let [admission, welcomes] = [(); 2].map(|()| Arc::new(Semaphore::new(world.limits.admitted)));
        let live = Arc::new(live::LiveRecordings::default());
        let active_list = Arc::new(live::ActiveList::new(
            world.media_server.clone(),
            live.clone(),
            world.policy.clone(),
            world.limits.list_all_interval,
        ));
        Arc::new(Self { world, active_list, live, admission, learned, welcomes })
    }
}
