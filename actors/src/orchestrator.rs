//! The front door: every request and every piece of news from outside comes in here.
//!
//! Owns admission, the way to the room's actor, and the supervision tree: it builds it, takes up what an
//! earlier run left, starts the janitors, and drains it. Decides nothing about recordings. Requests under a key:
//! `keyed`; the way to a room's owner: `routing`, `inbox`, `learned`; what nobody looks after: `taking_up`.

mod captions;
mod inbox;
mod keyed;
mod learned;
mod meetings;
mod rooms;
mod routing;
mod taking_up;
mod view;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

pub use self::keyed::KeyedRequest;
use crate::ids::{CommandId, RecordingId, RoomId};
use crate::meeting::Room;
use crate::ports::PortError;
use crate::ports::catalog::StoredRecording;
use crate::ports::clock::fresh_command;
use crate::ports::media_server::{LiveKitEvent, LiveKitNews};
use crate::recording::effect::{Answer, Refusal};
use crate::recording::encoding::{Encoding, Layout};
use crate::recording::event::{
    Attendance, DeleteRequest, Happening, Repeats, SoFar, Source, StartRequest, StopRequest, Unfinished,
};
use crate::recording::{Recording, RecordingStatus, Timestamp};
use crate::room::commit::bounded;
use crate::room::supervisor::{Actors, Supervisor, SupervisorMessage};
use crate::room::{Observed, RoomMessage, Shared, World, news};

pub use self::meetings::JoinRefusal;
pub(crate) use self::rooms::news_of_end;
pub use self::rooms::{RoomDeleted, RoomRefusal};
pub use self::view::ClusterView;

/// What was learned of others' rooms and is not told there yet; more is forgotten, since owners look for themselves.
const LEARNED_MAX: usize = 1024;
/// How long the supervision tree may take to fall once nothing is asked of it any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// What an earlier run left, or an older process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenUp {
    /// Rooms with a row.
    pub rooms: usize,
    /// Recordings that are not over and that no row holds.
    pub recordings: usize,
}

/// What a client wants recorded differently from the room's configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StartOptions {
    /// Instead of the room's layout.
    pub layout: Option<Layout>,
    /// Instead of the room's encoding.
    pub encoding: Option<Encoding>,
}

/// The front door: finds the room's actor and hands requests and news to it.
#[derive(Clone)]
pub struct Orchestrator {
    shared: Arc<Shared>,
    supervisor: ActorRef<SupervisorMessage>,
    leaving: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
    /// The requests of clients under way, webhooks not among them: a drain waits for these.
    requests: TaskTracker,
}

/// Held while a client's request is under way.
struct Admitted {
    _permit: OwnedSemaphorePermit,
    _under_way: TaskTrackerToken,
}

/// A request on its way to the room's actor.
struct Command {
    id: CommandId,
    repeats: Repeats,
    /// When it came in: its deadline counts from there.
    asked: Timestamp,
}

/// What a start or a stop was answered.
fn outcome(answer: Answer) -> Result<Recording, Refusal> {
    match answer {
        Answer::Recording(recording) => Ok(*recording),
        Answer::Refused(refusal) => Err(refusal),
        Answer::Deleted => Err(Refusal::Broken),
    }
}

impl Orchestrator {
    /// Builds the supervision tree. Nothing is taken up yet; see [`Self::take_up`].
    ///
    /// # Errors
    /// When the supervisor cannot be started.
    pub async fn start_tree(world: World) -> Result<(Self, tokio::task::JoinHandle<()>), ractor::SpawnErr> {
        let (learned, news) = mpsc::channel(LEARNED_MAX);
        let shared = Shared::new(world, learned);
        let (supervisor, tree) = Actor::spawn(None, Supervisor, shared.clone()).await?;
        let (leaving, draining, requests) = (Arc::default(), Arc::default(), TaskTracker::new());
        let this = Self { shared, supervisor, leaving, draining, requests };
        tokio::spawn(learned::hand_on(Arc::downgrade(&this.shared), this.supervisor.clone(), news));
        Ok((this, tree))
    }

    /// Starts a recording; answers when it runs, or why it does not. The room's configuration must allow it;
    /// the caller has checked that. Goes on if the caller goes away.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn start(&self, room: &Room, options: StartOptions) -> Result<Recording, Refusal> {
        let (this, room, command) = (self.clone(), room.clone(), self.fresh_command());
        self.detached(async move { this.carry_out_start(&command, &room, options).await }).await
    }

    async fn carry_out_start(
        &self,
        command: &Command,
        room: &Room,
        options: StartOptions,
    ) -> Result<Recording, Refusal> {
        let world = &self.shared.world;
        let deadline = command.asked.plus(world.policy.start_timeout);
        let attendance = self.attendance(&room.room_id).await;
        if attendance == Attendance::Unknown && command.repeats == Repeats::Never {
            // Only a command that was begun before can be answered without LiveKit.
            return Err(Refusal::Unavailable { dependency: "LiveKit" });
        }
        let config = &room.config.recording;
        let request = StartRequest {
            so_far: SoFar::default(),
            command: command.id.clone(),
            deadline,
            repeats: command.repeats,
            attendance,
            room_name: room.room_name.clone(),
            layout: options.layout.unwrap_or(config.layout),
            encoding: options.encoding.unwrap_or_else(|| config.encoding.clone()),
        };
        outcome(self.ask(&room.room_id, command, deadline, Happening::StartRequested(request)).await?)
    }

    async fn attendance(&self, room: &RoomId) -> Attendance {
        let world = &self.shared.world;
        let limit = world.limits.request_timeout.min(world.policy.start_timeout);
        match tokio::time::timeout(limit, world.media_server.participants(room)).await {
            Ok(Ok(participants)) if participants.is_empty() => Attendance::Nobody,
            Ok(Ok(_)) => Attendance::Somebody,
            Ok(Err(error)) => {
                tracing::warn!(room.id = %room, %error, "participants cannot be listed");
                Attendance::Unknown
            }
            Err(_) => {
                tracing::warn!(room.id = %room, "participants were not listed in time");
                Attendance::Unknown
            }
        }
    }

    /// Stops a recording. The room must exist and allow recording; the caller has checked that. Goes on if
    /// the caller goes away.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn stop(&self, recording: &RecordingId) -> Result<Recording, Refusal> {
        let (this, recording, command) = (self.clone(), recording.clone(), self.fresh_command());
        self.detached(async move { this.carry_out_stop(&command, &recording).await }).await
    }

    async fn carry_out_stop(&self, command: &Command, recording: &RecordingId) -> Result<Recording, Refusal> {
        let deadline = command.asked.plus(self.shared.world.limits.request_timeout);
        let document = self.document(recording).await?;
        match self.ask_to_stop(command, recording, deadline, document).await? {
            // It may have ended while we waited, or LiveKit may still run it.
            Answer::Refused(Refusal::NotHeld) => {
                match self.store(self.shared.world.catalog.recording(recording)).await? {
                    Some(stored) if stored.recording.status.is_terminal() => Err(Refusal::AlreadyStopped),
                    stored => self.stop_after_adoption(command, recording, deadline, stored).await,
                }
            }
            answer => outcome(answer),
        }
    }

    async fn ask_to_stop(
        &self,
        command: &Command,
        recording: &RecordingId,
        deadline: Timestamp,
        document: Option<RecordingStatus>,
    ) -> Result<Answer, Refusal> {
        let request = StopRequest {
            command: command.id.clone(),
            deadline,
            repeats: command.repeats,
            recording: recording.clone(),
            document,
        };
        self.ask(&recording.room, command, deadline, Happening::StopRequested(request)).await
    }

    async fn stop_after_adoption(
        &self,
        command: &Command,
        recording: &RecordingId,
        deadline: Timestamp,
        stored: Option<StoredRecording>,
    ) -> Result<Recording, Refusal> {
        let asked = self.shared.world.media_server.egress(&recording.egress);
        let found = match tokio::time::timeout(self.left_until(deadline), asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(recording.id = %recording, %error, "egress cannot be asked for");
                return Err(Refusal::Unavailable { dependency: "LiveKit" });
            }
            Err(_) => {
                tracing::warn!(recording.id = %recording, "egress was not told of in time");
                return Err(Refusal::Unavailable { dependency: "LiveKit" });
            }
        };
        let document = stored.as_ref().map(|stored| stored.recording.status);
        let news = match (found.filter(|info| info.room == recording.room), stored) {
            (Some(info), _) if info.status.is_terminal() => return Err(Refusal::AlreadyStopped),
            (Some(info), _) => {
                let sighting = self.store(news::sighting(&self.shared, info, Source::Call)).await?;
                Happening::EgressSeen(sighting)
            }
            // That LiveKit does not know it, once, proves nothing: the document says that it is not over.
            (None, Some(stored)) => Happening::Unheld(Box::new(stored.into())),
            (None, None) => return Err(Refusal::NotFound),
        };
        let told = tokio::time::timeout(self.left_until(deadline), self.tell(&recording.room, news)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::warn!(recording.id = %recording, "news of an egress were not stored in time");
            return Err(Refusal::Unavailable { dependency: "store" });
        }
        match self.ask_to_stop(command, recording, deadline, document).await? {
            Answer::Refused(Refusal::NotHeld) if document.is_some() => Err(Refusal::AlreadyStopped),
            Answer::Refused(Refusal::NotHeld) => Err(Refusal::NotFound),
            answer => outcome(answer),
        }
    }

    /// Deletes a finished recording: its file, then its document.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn delete(&self, recording: &RecordingId) -> Result<(), Refusal> {
        let _admitted = self.admit()?;
        self.carry_out_deletion(recording, Unfinished::Refuse).await
    }

    /// Deletes a recording whatever its state, since its room goes: what runs is stopped, and nothing of it is kept.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn delete_whatever_it_does(&self, recording: &RecordingId) -> Result<(), Refusal> {
        let _under_way = self.requests.token();
        self.carry_out_deletion(recording, Unfinished::Abort).await
    }

    async fn carry_out_deletion(
        &self,
        recording: &RecordingId,
        unfinished: Unfinished,
    ) -> Result<(), Refusal> {
        let world = &self.shared.world;
        let command = self.fresh_command();
        let deadline = command.asked.plus(world.limits.request_timeout);
        let stored = self.store(world.catalog.recording(recording)).await?.ok_or(Refusal::NotFound)?;
        if unfinished == Unfinished::Abort && !stored.recording.status.is_terminal() {
            // Whether a row holds it or not: from now on one does, and its egress will be stopped.
            let news = Happening::Unheld(Box::new(stored.clone().into()));
            let told =
                tokio::time::timeout(self.left_until(deadline), self.tell(&recording.room, news)).await;
            if !matches!(told, Ok(Ok(()))) {
                return Err(Refusal::Unavailable { dependency: "store" });
            }
        }
        let request = DeleteRequest {
            command: command.id.clone(),
            deadline,
            recording: recording.clone(),
            key: world.policy.files.blob_key(&stored.recording),
            document: Some(stored.recording.status),
            unfinished,
        };
        match self.ask(&recording.room, &command, deadline, Happening::DeleteRequested(request)).await? {
            Answer::Deleted => Ok(()),
            Answer::Refused(refusal) => Err(refusal),
            Answer::Recording(_) => Err(Refusal::Broken),
        }
    }

    /// Hands an incoming webhook to the room's owner; returns when it is stored, or needs not be.
    ///
    /// # Errors
    /// When it could not be stored: LiveKit should try again.
    pub async fn livekit_event(&self, event: LiveKitEvent) -> Result<(), PortError> {
        let place = |places: &Arc<Semaphore>| {
            let place = places.clone().try_acquire_owned();
            place.map_err(|_| PortError::unavailable("reelkeeper", "too many requests are under way"))
        };
        let _admitted = place(&self.shared.admission)?;
        match event.news {
            LiveKitNews::Egress(info) => match news::of_egress(&self.shared, *info).await? {
                Some(sighting) => {
                    let room = sighting.info.room.clone();
                    self.tell(&room, Happening::EgressSeen(sighting)).await
                }
                None => Ok(()),
            },
            LiveKitNews::RecorderLeft { egress, reason } => {
                let Some(room) = event.room else { return Ok(()) };
                if !news::is_held(&self.shared, &room).await? {
                    return Ok(());
                }
                self.tell(&room, Happening::RecorderLeft { egress, reason }).await
            }
            LiveKitNews::Meeting(news) => {
                let Some(room) = event.room else { return Ok(()) };
                self.hear(&room, &news).await
            }
            LiveKitNews::PersonJoined { sid } => {
                let Some(room) = event.room else { return Ok(()) };
                if let Ok(place) = place(&self.shared.welcomes) {
                    meetings::welcome(&self.shared, room, sid, place);
                } else {
                    // A hint is not worth the time that LiveKit would spend on telling it again, with its other news
                    // behind it.
                    tracing::debug!(room.id = %room, "nobody is welcomed: too many are under way");
                }
                Ok(())
            }
            LiveKitNews::PersonLeft { identity, name } => {
                let Some(room) = event.room else { return Ok(()) };
                bounded(&self.shared, self.shared.world.coordination.free_name(&room, &name)).await?;
                self.captions_of_one_who_left(&room, &identity).await
            }
            LiveKitNews::Other => Ok(()),
        }
    }

    /// What the room's actor shows; none if it does not answer in time.
    pub async fn observe(&self, room: &RoomId) -> Option<Observed> {
        let (reply, answer) = oneshot::channel();
        self.deliver(room, RoomMessage::Observe(reply));
        tokio::time::timeout(self.shared.world.limits.request_timeout, answer).await.ok()?.ok()
    }

    /// The room actors of this node.
    pub async fn actors(&self) -> Actors {
        let (reply, answer) = oneshot::channel();
        let _ = self.supervisor.cast(SupervisorMessage::Count(reply));
        answer.await.unwrap_or_default()
    }

    /// Whether this node is about to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) || self.is_draining()
    }

    /// Says that this node is about to leave, to whoever asks whether it wants requests. It still takes them.
    pub fn announce_leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Refuses new requests from now on.
    pub fn stop_intake(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Waits until what is under way is answered, at most for `limit`, then takes the tree down. What runs in
    /// LiveKit runs on untouched; what is owed lies in the ledger. LiveKit's webhooks are taken until the end,
    /// since starts may wait for them. Returns whether everything was answered.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.stop_intake();
        self.requests.close();
        let answered = tokio::time::timeout(limit, self.requests.wait()).await;
        // The actors go before the stores that they write to.
        let _ = self.supervisor.stop_and_wait(Some("drained".to_owned()), Some(FAREWELL)).await;
        answered.is_ok()
    }

    /// Carries an admitted request out to its end, even if whoever waits for it goes away: a start belongs to
    /// the room, not to a connection.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let admitted = self.admit()?;
        let work = async move {
            let _admitted = admitted;
            work.await
        };
        match tokio::spawn(work.in_current_span()).await {
            Ok(result) => result,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The process ends.
                Err(_) => Err(Refusal::Unanswerable),
            },
        }
    }

    fn fresh_command(&self) -> Command {
        let world = &self.shared.world;
        Command { id: fresh_command(&*world.entropy), repeats: Repeats::Never, asked: world.clock.now() }
    }

    fn admit(&self) -> Result<Admitted, Refusal> {
        // Counted before the look, so that a drain that begins in between waits for it.
        let under_way = self.requests.token();
        if self.is_draining() {
            return Err(Refusal::Draining);
        }
        if !self.shared.world.cluster.lease.is_held() {
            return Err(Refusal::Unavailable { dependency: "coordination" });
        }
        let permit = self.shared.admission.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::Overloaded)?;
        Ok(Admitted { _permit: permit, _under_way: under_way })
    }

    fn left_until(&self, deadline: Timestamp) -> Duration {
        deadline.since(self.shared.world.clock.now())
    }

    async fn document(&self, recording: &RecordingId) -> Result<Option<RecordingStatus>, Refusal> {
        let stored = self.store(self.shared.world.catalog.recording(recording)).await?;
        Ok(stored.map(|stored| stored.recording.status))
    }

    async fn store<T>(&self, call: impl Future<Output = Result<T, PortError>>) -> Result<T, Refusal> {
        let limit = self.shared.world.limits.store_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::warn!(%error, "request refused");
                Err(Refusal::Unavailable { dependency: error.dependency })
            }
            Err(_) => {
                tracing::warn!("store did not answer in time, request refused");
                Err(Refusal::Unavailable { dependency: "store" })
            }
        }
    }

    fn deliver(&self, room: &RoomId, message: RoomMessage) {
        let message = SupervisorMessage::Deliver { room: room.clone(), message: Box::new(message) };
        // A supervisor that is gone drops the message, and whoever waits is told.
        let _ = self.supervisor.cast(message);
    }
}
