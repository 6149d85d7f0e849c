//! The finder: candidates in pages, and the evidence on each.
//!
//! Owns which port a task reads, the deadline of each call, and the order of what is read. It changes nothing:
//! so the same finder serves the janitors of a node and `gc --dry-run` beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::oneshot;

use super::{
    Finding, Task, due_rows, expired_rooms, orphan_locks, room_status, stale_recordings, unheld_egresses,
    unheld_recordings, unknown_files,
};
use crate::ids::{EgressId, NodeId, RecordingId, RoomId};
use crate::meeting::Room;
use crate::ports::PortError;
use crate::ports::blobs::{Blobs, ListedBlob};
use crate::ports::catalog::{Catalog, RoomsDue, StoredRecording};
use crate::ports::clock::Clock;
use crate::ports::coordination::{Coordination, Standing};
use crate::ports::ledger::Ledger;
use crate::ports::media_server::MediaServer;
use crate::recording::Timestamp;
use crate::recording::egress::{CallError, EgressInfo};
use crate::recording::ledger::Row;
use crate::recording::policy::Policy;
use crate::room::live::ActiveList;
use crate::room::supervisor::SupervisorMessage;
use crate::room::{Limits, Shared};

/// How long what is known of an owner is believed.
const STANDING_LASTS: Duration = Duration::from_secs(1);
/// Rows, or documents, read at once.
pub(super) const PAGE: usize = 256;

/// What janitors look at, and the numbers of their judgement.
#[derive(Clone)]
pub struct Sources {
    /// Room rows.
    pub ledger: Arc<dyn Ledger>,
    /// Documents.
    pub catalog: Arc<dyn Catalog>,
    /// Files.
    pub blobs: Arc<dyn Blobs>,
    /// LiveKit.
    pub media_server: Arc<dyn MediaServer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The numbers of the lifecycle.
    pub policy: Policy,
    /// The deadlines of calls.
    pub limits: Limits,
    /// How old a lock must be before it is judged.
    pub lock_grace: Duration,
}

/// Reads candidates and the evidence on them.
pub struct Finder {
    pub(super) sources: Sources,
    list: Arc<ActiveList>,
    /// The rooms' actors; none outside of the node that runs them.
    actors: Option<Actors>,
}

/// The room actors of a node.
pub(super) struct Actors {
    pub(super) node: NodeId,
    pub(super) coordination: Arc<dyn Coordination>,
    supervisor: ActorRef<SupervisorMessage>,
    /// What was last asked of an owner, and when: most rows of a page have the same few.
    standings: Mutex<BTreeMap<NodeId, (Timestamp, Standing)>>,
}

/// Something to be judged.
pub(super) enum Candidate {
    Row(Box<Row>),
    Document(Box<StoredRecording>),
    Egress(Box<EgressInfo>),
    File(ListedBlob),
    Room(Box<Room>),
}

/// How far a pass has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Room(RoomId),
    Recording(RecordingId),
    Egress(EgressId),
    File(String),
}

/// Candidates, and whether none come after them.
pub(super) struct Page {
    pub(super) candidates: Vec<Candidate>,
    pub(super) is_last: bool,
}

impl Candidate {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Row(row) => Place::Room(row.room.clone()),
            Self::Document(stored) => Place::Recording(stored.recording.recording_id.clone()),
            Self::Egress(info) => Place::Egress(info.egress.clone()),
            Self::File(file) => Place::File(file.key.clone()),
            Self::Room(room) => Place::Room(room.room_id.clone()),
        }
    }
}

impl Actors {
    /// Whether an owner lives, as of a second ago at most.
    pub(super) async fn standing(&self, finder: &Finder, owner: &NodeId) -> Result<Standing, PortError> {
        let (now, known) = (finder.now(), || self.standings.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((_, standing)) =
            known().get(owner).filter(|(asked, _)| now.since(*asked) < STANDING_LASTS)
        {
            return Ok(*standing);
        }
        let standing = finder.store(self.coordination.standing(owner)).await?;
        let mut known = known();
        known.retain(|_, (asked, _)| now.since(*asked) < STANDING_LASTS);
        known.insert(owner.clone(), (now, standing));
        Ok(standing)
    }

    /// Whether the room has an actor, or will have one again without being asked.
    pub(super) async fn is_awake(&self, room: &RoomId) -> bool {
        let (reply, answer) = oneshot::channel();
        let _ = self.supervisor.cast(SupervisorMessage::IsAwake { room: room.clone(), reply });
        // A supervisor that is gone leaves nobody to be woken.
        answer.await.unwrap_or(true)
    }
}

impl Finder {
    /// A finder outside of a node: it does not know which rooms have an actor, so [`Task::DueRows`] finds
    /// nothing.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let list = ActiveList::new(
            sources.media_server.clone(),
            Arc::default(),
            sources.policy.clone(),
            sources.limits.list_all_interval,
        );
        Self { sources, list: Arc::new(list), actors: None }
    }

    /// The finder of a node's janitors.
    pub(crate) fn of_node(
        shared: &Arc<Shared>,
        supervisor: &ActorRef<SupervisorMessage>,
        lock_grace: Duration,
    ) -> Self {
        let world = &shared.world;
        let sources = Sources {
            ledger: world.ledger.clone(),
            catalog: world.catalog.clone(),
            blobs: world.blobs.clone(),
            media_server: world.media_server.clone(),
            clock: world.clock.clone(),
            policy: world.policy.clone(),
            limits: world.limits,
            lock_grace,
        };
        let (node, coordination) = (world.node.clone(), world.coordination.clone());
        let standings = Mutex::default();
        let actors = Some(Actors { node, coordination, supervisor: supervisor.clone(), standings });
        Self { sources, list: shared.active_list.clone(), actors }
    }

    /// The candidates after a place.
    pub(super) async fn page(&self, task: Task, after: Option<&Place>) -> Result<Page, PortError> {
        let candidates: Vec<Candidate> = match task {
            Task::DueRows | Task::OrphanLocks => self.rows(after).await?,
            Task::UnheldRecordings | Task::StaleRecordings => self.documents(after).await?,
            Task::UnheldEgresses => {
                let candidates = self.egresses(after).await?;
                return Ok(Page { candidates, is_last: true });
            }
            Task::RoomStatus => self.rooms(RoomsDue::InMeeting, after).await?,
            Task::ExpiredRooms => self.rooms(RoomsDue::ToBeDeletedBefore(self.now()), after).await?,
            Task::UnknownFiles => self.files(after).await?,
        };
        let is_last = candidates.len() < PAGE;
        Ok(Page { candidates, is_last })
    }

    async fn rows(&self, after: Option<&Place>) -> Result<Vec<Candidate>, PortError> {
        let after = match after {
            Some(Place::Room(room)) => Some(room),
            _ => None,
        };
        let rows = self.store(self.sources.ledger.rows(after, PAGE)).await?;
        Ok(rows.into_iter().map(|row| Candidate::Row(Box::new(row))).collect())
    }

    async fn documents(&self, after: Option<&Place>) -> Result<Vec<Candidate>, PortError> {
        let after = match after {
            Some(Place::Recording(recording)) => Some(recording),
            _ => None,
        };
        let found = self.store(self.sources.catalog.unfinished_recordings(after, PAGE)).await?;
        Ok(found.into_iter().map(|stored| Candidate::Document(Box::new(stored))).collect())
    }

    /// The live egresses of our form. LiveKit gives them all at once, so there is only one page.
    async fn egresses(&self, after: Option<&Place>) -> Result<Vec<Candidate>, PortError> {
        let after = match after {
            Some(Place::Egress(egress)) => Some(egress),
            _ => None,
        };
        let listing = self.list.get().await.map_err(|error| PortError::unavailable("livekit", error))?;
        let ours = listing.egresses.iter().filter(|info| {
            let path = info.filepath.as_deref();
            let is_ours =
                path.is_some_and(|path| self.sources.policy.files.uid_of(&info.room, path).is_some());
            is_ours && !info.status.is_terminal() && after.is_none_or(|after| info.egress > *after)
        });
        let mut ours: Vec<&EgressInfo> = ours.collect();
        ours.sort_by(|one, other| one.egress.cmp(&other.egress));
        Ok(ours.into_iter().map(|info| Candidate::Egress(Box::new(info.clone()))).collect())
    }

    async fn rooms(&self, due: RoomsDue, after: Option<&Place>) -> Result<Vec<Candidate>, PortError> {
        let after = match after {
            Some(Place::Room(room)) => Some(room),
            _ => None,
        };
        let rooms = self.store(self.sources.catalog.rooms_due(due, after, PAGE)).await?;
        Ok(rooms.into_iter().map(|room| Candidate::Room(Box::new(room))).collect())
    }

    /// Files below our folder, of whatever form.
    async fn files(&self, after: Option<&Place>) -> Result<Vec<Candidate>, PortError> {
        let after = match after {
            Some(Place::File(key)) => Some(key.as_str()),
            _ => None,
        };
        let folder = self.sources.policy.files.root();
        let found = self.store(self.sources.blobs.list(&folder, after, PAGE)).await?;
        Ok(found.into_iter().map(Candidate::File).collect())
    }

    /// Judges a candidate; none if a closer look shows that it is none of this task's.
    pub(super) async fn judge(&self, task: Task, candidate: Candidate) -> Option<Finding> {
        match (task, candidate) {
            (Task::DueRows, Candidate::Row(row)) => due_rows::find(self, self.actors.as_ref()?, *row).await,
            (Task::OrphanLocks, Candidate::Row(row)) => orphan_locks::find(self, *row).await,
            (Task::UnheldRecordings, Candidate::Document(stored)) => {
                unheld_recordings::find(self, *stored).await
            }
            (Task::StaleRecordings, Candidate::Document(stored)) => {
                stale_recordings::find(self, *stored).await
            }
            (Task::UnheldEgresses, Candidate::Egress(info)) => unheld_egresses::find(self, *info).await,
            (Task::UnknownFiles, Candidate::File(file)) => unknown_files::find(self, file).await,
            (Task::RoomStatus, Candidate::Room(room)) => Some(room_status::find(self, &room).await),
            (Task::ExpiredRooms, Candidate::Room(room)) => Some(expired_rooms::find(self, &room).await),
            (
                _,
                Candidate::Row(_)
                | Candidate::Document(_)
                | Candidate::Egress(_)
                | Candidate::File(_)
                | Candidate::Room(_),
            ) => None,
        }
    }

    /// Whether what a task depends on answers at all: tells an outage from a candidate that is in trouble.
    pub(super) async fn check(&self, task: Task) -> Result<(), PortError> {
        if task.asks_livekit() {
            let answered = self.livekit(self.sources.media_server.ping()).await;
            answered.map_err(|error| PortError::unavailable("livekit", error))?;
        }
        if task == Task::UnknownFiles {
            self.store(self.sources.blobs.ping()).await?;
        }
        self.store(self.sources.ledger.ping()).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.sources.clock.now()
    }

    /// One call of a store, within its deadline.
    pub(super) async fn store<T>(
        &self,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let limit = self.sources.limits.store_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result,
            Err(_) => Err(PortError::unavailable("store", format!("no answer within {limit:?}"))),
        }
    }

    /// What LiveKit is asked about one candidate, within one deadline.
    pub(super) async fn livekit<T>(
        &self,
        calls: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let limit = self.sources.limits.request_timeout;
        match tokio::time::timeout(limit, calls).await {
            Ok(result) => result,
            Err(_) => Err(CallError::NoAnswer(format!("not within {limit:?}"))),
        }
    }
}
