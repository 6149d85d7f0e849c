//! Plays a history: the node and its crashes, LiveKit and its webhooks, the clients and what they are told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reelkeeper_actors::ids::{EgressId, RecordingId, RoomId};
use reelkeeper_actors::meeting::{MeetingEndAction, Room, RoomConfig, RoomStatus};
use reelkeeper_actors::orchestrator::StartOptions;
use reelkeeper_actors::ports::catalog::Catalog as _;
use reelkeeper_actors::ports::catalog::list::{PAGE_MAX, RecordingQuery};
use reelkeeper_actors::ports::clock::Clock;
use reelkeeper_actors::ports::ledger::Ledger as _;
use reelkeeper_actors::recording::effect::Refusal;
use reelkeeper_actors::recording::{Recording, RecordingStatus, Timestamp};
use reelkeeper_actors::simulator::World as LiveKit;
use reelkeeper_actors::simulator::clock::TokioClock;
use reelkeeper_actors::simulator::egress::Workers;
use reelkeeper_actors::simulator::media_server::SimulatedMediaServer;
use tokio::time::{Instant, sleep, timeout};

use crate::backing::Backing;
use crate::keys;
use crate::lock;
use crate::network::Network;
use crate::plan::{Away, Plan, Step};
use crate::surroundings::{Chance, Surroundings};
use crate::timeline::Timeline;
use crate::upkeep::{Node, in_run, keep_node_up};
use crate::webhooks;
use crate::witness::Witness;

const START: Timestamp = Timestamp(1_800_000_000_000);
/// How often it is looked whether something has come true.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// What a client asked and what it was told.
#[derive(Debug, Clone)]
pub struct Told {
    pub asked: Timestamp,
    pub room: RoomId,
    pub what: Asked,
    pub key: Option<u64>,
    pub answered: Timestamp,
    pub answer: Answer,
    /// What the document of the recording that was answered shows at that moment.
    pub shown: Option<RecordingStatus>,
    /// Since when it does not show all that it is to show.
    pub kept_back_since: Option<Timestamp>,
    /// Whether the node died meanwhile.
    pub died: bool,
}

/// What a client asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Start,
    Stop(RecordingId),
    Delete(RecordingId),
    /// Its deletion, whatever its state.
    Erase(RecordingId),
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// 201, or 202.
    Recording(Box<Recording>),
    /// The recording is deleted.
    Deleted,
    /// An error.
    Refused(Refusal),
    /// The connection was closed without an answer.
    Nothing,
}

/// Everybody who takes part.
pub struct Stage {
    pub plan: Plan,
    pub around: Arc<Surroundings>,
    pub rooms: Vec<Room>,
    pub told: Mutex<Vec<Told>>,
    /// What old processes left behind.
    pub originals: Mutex<Vec<RecordingId>>,
    /// The egresses whose worker was killed or cut off.
    pub shaken: Mutex<BTreeSet<EgressId>>,
    /// Whether no webhook arrives any more.
    pub deaf: AtomicBool,
    asking: Mutex<usize>,
    pub nodes: Mutex<Vec<Option<Node>>>,
    /// Whose turn it is to be asked.
    turn: AtomicUsize,
    /// How long each node is down after its next death, and its clock's skew from then on.
    pub comes_back: Mutex<Vec<(u64, i64)>>,
}

impl Stage {
    /// Sets the stage: people in every meeting, one node up.
    pub async fn set(plan: &Plan, shown: bool) -> Arc<Self> {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(START));
        let timeline = Timeline::begin(clock.clone(), shown);
        let backing = Backing::new(clock.clone(), timeline.clone());
        let world = LiveKit::new(plan.seed, plan.timing.clone());
        let (livekit, incoming) =
            SimulatedMediaServer::start(world, clock.clone(), Some(backing.blobs.clone()));
        let chance = Chance::of(plan.seed);
        let lies = Mutex::default();
        let witness = Witness::default();
        let away = Mutex::new((Timestamp::default(), Away::Refuses));
        let around = Arc::new(Surroundings {
            clock,
            chance,
            backing,
            livekit,
            lies,
            away,
            witness,
            network: Network::default(),
            timeline,
        });
        let rooms: Vec<Room> = (0..plan.rooms).map(room).collect();
        for room in &rooms {
            around.backing.store.insert_room(room).await.expect("a new room can be stored");
        }
        let stage = Arc::new(Self {
            plan: plan.clone(),
            around,
            rooms,
            told: Mutex::default(),
            originals: Mutex::default(),
            shaken: Mutex::default(),
            deaf: AtomicBool::new(false),
            asking: Mutex::default(),
            nodes: Mutex::new(vec![None; plan.nodes]),
            turn: AtomicUsize::new(0),
            comes_back: Mutex::new(vec![(0, 0); plan.nodes]),
        });
        for index in 0..stage.rooms.len() {
            stage.join(index);
        }
        for node in 0..plan.nodes {
            tokio::spawn(keep_node_up(stage.clone(), node));
        }
        tokio::spawn(webhooks::hand_on_all(stage.clone(), incoming));
        stage
    }

    /// Plays the steps of a plan.
    pub async fn play(self: &Arc<Self>, plan: &Plan) {
        let began = Instant::now();
        for (at, step) in &plan.steps {
            tokio::time::sleep_until(began + Duration::from_millis(*at)).await;
            self.around.timeline.tell(|| format!("{step:?}"));
            self.act(step).await;
        }
    }

    async fn act(self: &Arc<Self>, step: &Step) {
        match step.clone() {
            Step::Start { room } => self.ask(room, Asked::Start),
            Step::Stop { room, pick } => {
                if let Some(id) = self.recording(room, pick, |_| true).await {
                    self.ask(room, Asked::Stop(id));
                }
            }
            Step::StartOnce { room, key } => self.ask_under(Some(key), room, Asked::Start),
            Step::StopOnce { room, pick, key } => {
                if let Some(id) = self.recording(room, pick, |_| true).await {
                    self.ask_under(Some(key), room, Asked::Stop(id));
                }
            }
            Step::Delete { room, pick } => {
                if let Some(id) = self.recording(room, pick, |shown| shown.status.is_terminal()).await {
                    self.ask(room, Asked::Delete(id));
                }
            }
            Step::Erase { room, pick } => {
                if let Some(id) = self.recording(room, pick, |_| true).await {
                    self.ask(room, Asked::Erase(id));
                }
            }
            Step::Store(fault) => self.around.backing.add_fault(fault),
            Step::StoresAway { ms } => self.around.backing.go_away(ms),
            Step::Crash { calls, moment, down_ms, skew_ms } => {
                if let Some(node) = self.up() {
                    lock(&self.comes_back)[node.run.node] = (down_ms, skew_ms);
                    node.run.dies_at(calls, moment);
                } else if let [only] = &mut lock(&self.comes_back)[..] {
                    *only = (down_ms, skew_ms);
                }
            }
            Step::Quit { node, down_ms } => self.quit(node, down_ms),
            Step::LeasesLost => self.around.network.lose_leases(self.plan.lease).await,
            Step::Node { node, trouble, ms } => self.around.network.trouble(node, trouble, ms),
            Step::Original { room, left } => self.leave_behind(room, left).await,
            Step::Deaf => self.deaf.store(true, Ordering::Relaxed),
            Step::Lie { method, refusal } => lock(&self.around.lies).push((method, refusal)),
            Step::LiveKitAway { ms, how } => {
                let until = self.around.clock.now().plus(Duration::from_millis(ms));
                *lock(&self.around.away) = (until, how);
            }
            step => self.act_in_livekit(&step),
        }
    }

    /// From now on all is well, and somebody is in every meeting.
    pub async fn calm(self: &Arc<Self>) {
        self.around.timeline.tell(|| "all is well from now on".to_owned());
        self.around.backing.heal();
        self.around.network.heal();
        lock(&self.around.lies).clear();
        lock(&self.around.away).0 = Timestamp::default();
        self.around.livekit.live().with(|world| {
            world.clear_faults();
            world.limit_workers(Workers::default());
        });
        lock(&self.comes_back).iter_mut().for_each(|back| back.0 = 0);
        for node in lock(&self.nodes).iter().flatten() {
            node.run.is_spared();
        }
        for room in 0..self.rooms.len() {
            self.join(room);
        }
        self.within(Duration::from_mins(2), async || self.all_up()).await;
        // Only a process that starts looks for what an old one left behind.
        if self.is_an_original_unheld().await
            && let Some(node) = self.up()
        {
            self.around.timeline.tell(|| "node is started anew".to_owned());
            node.run.ends();
            self.within(Duration::from_mins(2), async || self.all_up()).await;
        }
    }

    /// The recordings that clients can see in a room, newest first.
    pub async fn documents(&self, room: &RoomId) -> Vec<Recording> {
        let of_room = RecordingQuery { within: Some(room.clone()), ..RecordingQuery::newest(PAGE_MAX) };
        self.around.backing.store.recordings(&of_room).await.expect("memory answers").items
    }

    async fn recording(
        &self,
        room: usize,
        pick: usize,
        wanted: impl Fn(&Recording) -> bool,
    ) -> Option<RecordingId> {
        let documents = self.documents(&self.rooms[room].room_id).await;
        let mut found = documents.into_iter().filter(wanted).map(|recording| recording.recording_id);
        found.nth(pick)
    }

    /// A client asks something of whichever node is up, and waits for the answer.
    pub fn ask(self: &Arc<Self>, room: usize, what: Asked) {
        self.ask_under(None, room, what);
    }

    fn ask_under(self: &Arc<Self>, key: Option<u64>, room: usize, what: Asked) {
        let Some(node) = self.up() else { return };
        let stage = self.clone();
        *lock(&self.asking) += 1;
        tokio::spawn(async move {
            let asked = stage.around.clock.now();
            let answer = answer_of(&node, &stage.rooms[room], &what, key).await;
            let answered = stage.around.clock.now();
            let (shown, kept_back_since) = match &answer {
                Answer::Recording(recording) => {
                    let id = &recording.recording_id;
                    (stage.shown(id).await, stage.around.witness.kept_back_since(id))
                }
                _ => (None, None),
            };
            let room = stage.rooms[room].room_id.clone();
            let died = node.run.is_dead();
            let told = Told { asked, room, what, key, answered, answer, shown, kept_back_since, died };
            stage.around.timeline.tell(|| told.to_string());
            lock(&stage.told).push(told);
            *lock(&stage.asking) -= 1;
        });
    }

    /// What the document of a recording shows; none if there is none.
    pub async fn shown(&self, id: &RecordingId) -> Option<RecordingStatus> {
        let found = self.around.backing.store.recording(id).await.expect("memory answers");
        found.map(|stored| stored.recording.status)
    }

    pub fn somebody_waits(&self) -> bool {
        *lock(&self.asking) > 0
    }

    /// A node that is up; with several each in turn.
    pub fn up(&self) -> Option<Node> {
        let nodes = lock(&self.nodes);
        let wants = |node: &&Node| !node.run.is_dead() && !node.run.leaving.load(Ordering::Relaxed);
        let living: Vec<&Node> = nodes.iter().flatten().filter(wants).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        living.get(turn.checked_rem(living.len())?).map(|node| (*node).clone())
    }

    fn all_up(&self) -> bool {
        lock(&self.nodes).iter().all(|node| node.as_ref().is_some_and(|node| !node.run.is_dead()))
    }

    /// Waits until nobody waits for an answer.
    pub async fn all_answered(&self, limit: Duration) -> bool {
        self.within(limit, async || !self.somebody_waits()).await
    }

    /// Waits until something holds; false if it does not within the limit.
    pub async fn within(&self, limit: Duration, holds: impl AsyncFn() -> bool) -> bool {
        let waiting = async {
            while !holds().await {
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(limit, waiting).await.is_ok()
    }

    /// How many rows there are in the ledger.
    pub async fn rows(&self) -> Vec<reelkeeper_actors::recording::ledger::Row> {
        self.around.backing.store.rows(None, 1_000).await.expect("memory answers")
    }

    /// How many room actors there are; none while the node is down.
    pub async fn active_rooms(&self) -> Option<usize> {
        let nodes = lock(&self.nodes).clone();
        let mut rooms = 0;
        for node in nodes {
            rooms += node?.orchestrator.actors().await.rooms;
        }
        Some(rooms)
    }

    /// Nobody is up any more, and nobody knows anybody.
    pub fn ends(&self) {
        self.around.network.ends();
        lock(&self.nodes).clear();
    }
}

async fn answer_of(node: &Node, room: &Room, what: &Asked, key: Option<u64>) -> Answer {
    let orchestrator = &node.orchestrator;
    let keyed = key.map(|key| keys::request(room, what, key));
    let options = StartOptions::default();
    let work = async {
        let done = match (what, keyed) {
            (Asked::Start, None) => orchestrator.start(room, options).await.map(Some),
            (Asked::Start, Some(keyed)) => orchestrator.start_once(keyed, room, options).await.map(Some),
            (Asked::Stop(id), None) => orchestrator.stop(id).await.map(Some),
            (Asked::Stop(id), Some(keyed)) => orchestrator.stop_once(keyed, id).await.map(Some),
            (Asked::Delete(id), _) => orchestrator.delete(id).await.map(|()| None),
            (Asked::Erase(id), _) => orchestrator.delete_whatever_it_does(id).await.map(|()| None),
        };
        match done {
            Ok(Some(recording)) => Answer::Recording(Box::new(recording)),
            Ok(None) => Answer::Deleted,
            Err(Refusal::Unanswerable) => Answer::Nothing,
            Err(refusal) => Answer::Refused(refusal),
        }
    };
    in_run(&node.run, work).await.unwrap_or(Answer::Nothing)
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let took = self.answered.since(self.asked).as_millis();
        write!(f, "{} {:?} after {took} ms: ", self.room, self.what)?;
        match &self.answer {
            Answer::Recording(recording) => write!(f, "{} {:?}", recording.recording_id, recording.status),
            other => write!(f, "{other:?}"),
        }
    }
}

fn room(index: usize) -> Room {
    let room_id = RoomId::from_trusted(format!("room{index}"));
    Room {
        room_name: format!("Room {index}"),
        creation_date: START.0,
        auto_deletion_date: None,
        auto_deletion_policy: None,
        config: RoomConfig::default(),
        moderator_url: format!("/room/{room_id}?secret=1111111111"),
        speaker_url: format!("/room/{room_id}?secret=2222222222"),
        status: RoomStatus::Open,
        meeting_end_action: MeetingEndAction::None,
        last_meeting: None,
        meetings: 0,
        at_end: None,
        room_id,
    }
}
