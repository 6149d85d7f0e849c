//! The calls that a LiveKit server answers.
//!
//! Owns what may be asked and the work behind it. A call goes through three steps, which whoever puts the
//! world on a clock carries out ([`super::live`]): [`World::receive`] takes it down and says what becomes
//! of it, [`World::work`] does it, [`World::finish`] takes down how it ended ([`super::log`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::World;
use super::egress::WhenFull;
use super::faults::{CallFaults, CallTrouble, ListScope};
use super::log::{CallId, CallOutcome, CallRecord};
use super::rooms::NewRoom;
use super::views::{DisconnectReason, EgressView, ParticipantView, RoomView, StartOrder};
use crate::ids::{EgressId, RoomId};
use crate::ports::media_server::Dispatch;
use crate::recording::Timestamp;
use crate::recording::egress::EgressStatus;

/// What LiveKit 1.13.5 puts before the text of errors that come from behind its API.
const BEHIND: &str = "twirp error unknown: ";

/// How soon LiveKit asks its workers again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The methods, by the names of LiveKit's API; StartEgress stands for all that start one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "LiveKit's own names")]
pub enum Method {
    StartEgress,
    StopEgress,
    ListEgress,
    CreateRoom,
    ListRooms,
    DeleteRoom,
    ListParticipants,
    GetParticipant,
    RemoveParticipant,
    UpdateParticipant,
    UpdateRoomMetadata,
    SendData,
    CreateDispatch,
    ListDispatch,
    DeleteDispatch,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Record a room.
    StartEgress(StartOrder),
    /// End an egress.
    StopEgress(EgressId),
    /// Show egresses: one by id, or those of a room, or all.
    ListEgress {
        /// Only this one; anything else is ignored then.
        egress: Option<EgressId>,
        /// Only those of this room.
        room: Option<RoomId>,
        /// Only those that are not over.
        active: bool,
    },
    /// Make a room.
    CreateRoom(NewRoom),
    /// Show rooms: these, or all if none is named.
    ListRooms(Vec<RoomId>),
    /// End a room.
    DeleteRoom(RoomId),
    /// Who is in a room.
    ListParticipants(RoomId),
    /// Somebody in a room.
    GetParticipant(RoomId, String),
    /// Put somebody out of a room.
    RemoveParticipant(RoomId, String),
    /// Write somebody's metadata; empty = leave it.
    UpdateParticipant(RoomId, String, String),
    /// Write a room's metadata.
    UpdateRoomMetadata(RoomId, String),
    /// Send a message to those in a room.
    SendData(DataMessage),
    /// Send an agent of this name to a room.
    CreateDispatch(RoomId, String),
    /// Which agents were sent to a room.
    ListDispatch(RoomId),
    /// Call an agent back.
    DeleteDispatch(RoomId, String),
}

/// A message to those in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataMessage {
    /// The room.
    pub room: RoomId,
    /// Its topic; empty if it has none.
    pub topic: String,
    /// Its beginning, as text.
    pub payload: String,
    /// Sids and identities that it is for; empty = everybody.
    pub to: Vec<String>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// An egress.
    Egress(Box<EgressView>),
    /// Egresses.
    Egresses(Vec<EgressView>),
    /// A room.
    Room(RoomView),
    /// Rooms.
    Rooms(Vec<RoomView>),
    /// Somebody in a room.
    Participant(ParticipantView),
    /// Those in a room.
    Participants(Vec<ParticipantView>),
    /// An agent that was sent to a room.
    Dispatch(Dispatch),
    /// Agents that were sent to a room.
    Dispatches(Vec<Dispatch>),
    /// Nothing to tell.
    Done,
}

/// An error as Twirp writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Twirp's name of the error.
    pub code: String,
    /// For people.
    #[serde(rename = "msg", alias = "message", default)]
    pub message: String,
}

impl Refusal {
    /// An error of LiveKit's API itself.
    #[must_use]
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned() }
    }

    /// An error from behind LiveKit's API.
    #[must_use]
    pub fn behind(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: format!("{BEHIND}{message}") }
    }

    pub(super) fn no_such_room() -> Self {
        Self::behind("not_found", "requested room does not exist")
    }

    fn no_such_egress() -> Self {
        Self::behind("not_found", "egress does not exist")
    }

    fn no_such_participant() -> Self {
        Self::behind("not_found", "participant does not exist")
    }

    fn no_response() -> Self {
        Self::behind("unavailable", "no response from servers")
    }

    /// The HTTP status that Twirp gives it; 500 for a code that Twirp does not know.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.code.as_str() {
            "invalid_argument" | "malformed" | "out_of_range" => 400,
            "unauthenticated" => 401,
            "permission_denied" => 403,
            "not_found" | "bad_route" => 404,
            "canceled" | "deadline_exceeded" => 408,
            "already_exists" | "aborted" => 409,
            "failed_precondition" => 412,
            "resource_exhausted" => 429,
            "unimplemented" => 501,
            "unavailable" => 503,
            _ => 500,
        }
    }
}

/// How the work of a call went.
#[derive(Debug, Clone, PartialEq)]
pub enum Worked {
    /// It can be answered.
    Answer(Result<Reply, Refusal>),
    /// LiveKit looks for somebody who does not answer, and refuses after that long.
    After(Duration, Refusal),
    /// No worker takes it now: LiveKit asks again after that long, whether its caller still waits or not.
    Again(Duration),
    /// LiveKit never answers.
    Hang,
}

/// What is to become of a call that was received.
#[derive(Debug)]
pub struct Plan {
    /// The call.
    pub call: CallId,
    at: Timestamp,
    pub(super) usual_delay: Duration,
    pub(super) usual_delay_of_answer: Duration,
    pub(super) faults: CallFaults,
}

impl Request {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::StartEgress(_) => Method::StartEgress,
            Self::StopEgress(_) => Method::StopEgress,
            Self::ListEgress { .. } => Method::ListEgress,
            Self::CreateRoom(_) => Method::CreateRoom,
            Self::ListRooms(_) => Method::ListRooms,
            Self::DeleteRoom(_) => Method::DeleteRoom,
            Self::ListParticipants(_) => Method::ListParticipants,
            Self::GetParticipant(..) => Method::GetParticipant,
            Self::RemoveParticipant(..) => Method::RemoveParticipant,
            Self::UpdateParticipant(..) => Method::UpdateParticipant,
            Self::UpdateRoomMetadata(..) => Method::UpdateRoomMetadata,
            Self::SendData(_) => Method::SendData,
            Self::CreateDispatch(..) => Method::CreateDispatch,
            Self::ListDispatch(_) => Method::ListDispatch,
            Self::DeleteDispatch(..) => Method::DeleteDispatch,
        }
    }

    pub(super) fn list_scope(&self) -> Option<ListScope> {
        match self {
            Self::ListEgress { egress: Some(_), .. } => Some(ListScope::Id),
            Self::ListEgress { room: Some(_), .. } => Some(ListScope::Room),
            Self::ListEgress { .. } => Some(ListScope::All),
            _ => None,
        }
    }

    fn egress(&self) -> Option<&EgressId> {
        match self {
            Self::StopEgress(egress) | Self::ListEgress { egress: Some(egress), .. } => Some(egress),
            _ => None,
        }
    }

    fn named_room(&self) -> Option<&RoomId> {
        match self {
            Self::StartEgress(order) => Some(&order.room),
            Self::CreateRoom(new) => Some(&new.name),
            Self::SendData(message) => Some(&message.room),
            Self::ListEgress { egress: None, room, .. } => room.as_ref(),
            Self::ListRooms(names) if names.len() == 1 => names.first(),
            Self::DeleteRoom(room)
            | Self::ListParticipants(room)
            | Self::GetParticipant(room, _)
            | Self::RemoveParticipant(room, _)
            | Self::UpdateParticipant(room, ..)
            | Self::UpdateRoomMetadata(room, _)
            | Self::CreateDispatch(room, _)
            | Self::ListDispatch(room)
            | Self::DeleteDispatch(room, _) => Some(room),
            Self::StopEgress(_) | Self::ListEgress { .. } | Self::ListRooms(_) => None,
        }
    }
}

impl World {
    /// Takes down a call and says what is to become of it.
    pub fn receive(&mut self, request: &Request) -> Plan {
        let egress = request.egress().cloned();
        let of_egress =
            egress.as_ref().and_then(|egress| self.egresses.get(egress)).map(|egress| egress.room().clone());
        let room = request.named_room().cloned().or(of_egress);
        let mut faults = self.faults.for_call(request, room.as_ref(), &mut self.rng);
        if self.calls.is_full() {
            faults.add(CallTrouble::Error(Refusal::new("resource_exhausted", "too many calls")));
        }
        let (path, data) = match request {
            Request::StartEgress(order) => (order.filepath.clone(), None),
            Request::SendData(message) => (None, Some(message.clone())),
            _ => (None, None),
        };
        let call = self.calls.take_down(|id| CallRecord {
            id,
            method: request.method(),
            room,
            egress,
            path,
            data,
            at: self.now,
            worked: false,
            outcome: CallOutcome::Waiting,
        });
        let (usual_delay, usual_delay_of_answer) = match request {
            Request::StartEgress(_) => (self.timing.accept, self.timing.answer),
            Request::DeleteRoom(_) => (Duration::ZERO, self.timing.answer),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        Plan { call, at: self.now, usual_delay, usual_delay_of_answer, faults }
    }

    /// Does the work of a call, or says when to try again with the same plan.
    pub fn work(&mut self, plan: &Plan, request: Request) -> Worked {
        if let Some(refusal) = plan.faults.refusal() {
            return Worked::Answer(Err(refusal.clone()));
        }
        let worked = match request {
            Request::StartEgress(order) => self.work_start(plan, order),
            Request::StopEgress(egress) => self.work_stop(&egress),
            Request::SendData(DataMessage { ref room, .. })
            | Request::CreateDispatch(ref room, _)
            | Request::ListDispatch(ref room)
            | Request::DeleteDispatch(ref room, _)
                if !self.rooms.contains_key(room) =>
            {
                Worked::After(self.timing.search, Refusal::no_response())
            }
            other => Worked::Answer(self.work_at_once(plan, other)),
        };
        if let Some(record) = self.calls.record(plan.call) {
            record.worked = !matches!(worked, Worked::Again(_));
            if let Worked::Answer(Ok(Reply::Egress(egress))) = &worked {
                record.egress = Some(egress.egress.clone());
            }
        }
        worked
    }

    fn work_start(&mut self, plan: &Plan, order: StartOrder) -> Worked {
        if self.rooms.contains_key(&order.room) && self.is_full() {
            let (patience, refusal) = match self.workers.when_full {
                WhenFull::Exhausted => {
                    (self.timing.refuse, Refusal::behind("resource_exhausted", "not enough CPU"))
                }
                WhenFull::Unavailable => (self.timing.no_worker, Refusal::no_response()),
                WhenFull::Hang => return Worked::Hang,
            };
            let left = patience.saturating_sub(self.now.since(plan.at));
            return if left.is_zero() {
                Worked::Answer(Err(refusal))
            } else {
                Worked::Again(left.min(ASK_AGAIN))
            };
        }
        let started = self.start_egress(order, &plan.faults);
        Worked::Answer(started.map(|egress| Reply::Egress(Box::new(egress))))
    }

    fn work_stop(&mut self, egress: &EgressId) -> Worked {
        if let Some(stopped) = self.stop_egress(egress) {
            return Worked::Answer(Ok(Reply::Egress(Box::new(stopped))));
        }
        // Nobody listens for this egress: LiveKit waits, then looks into its store.
        let refusal = match self.egress(egress).map(|egress| egress.status) {
            None => Refusal::no_such_egress(),
            Some(EgressStatus::Starting | EgressStatus::Active) => {
                Refusal::behind("deadline_exceeded", "request timed out")
            }
            Some(status) => {
                let text = format!("egress with status {} cannot be stopped", status_name(status));
                Refusal::new("failed_precondition", &text)
            }
        };
        Worked::After(self.timing.search, refusal)
    }

    fn work_at_once(&mut self, plan: &Plan, request: Request) -> Result<Reply, Refusal> {
        let empty = plan.faults.has(&CallTrouble::EmptyList);
        Ok(match request {
            Request::ListEgress { .. } if empty => Reply::Egresses(Vec::new()),
            Request::ListEgress { egress: Some(egress), .. } => {
                Reply::Egresses(vec![self.egress(&egress).ok_or_else(Refusal::no_such_egress)?])
            }
            Request::ListEgress { room, active, .. } => {
                let mut found = room.map_or_else(|| self.egresses(), |room| self.egresses_of(&room));
                found.retain(|egress| !active || !egress.status.is_terminal());
                Reply::Egresses(found)
            }
            Request::CreateRoom(new) => Reply::Room(self.create_room(new)?),
            Request::ListRooms(_) if empty => Reply::Rooms(Vec::new()),
            Request::ListRooms(names) => {
                let mut rooms = self.rooms();
                rooms.retain(|room| names.is_empty() || names.contains(&room.name));
                Reply::Rooms(rooms)
            }
            Request::DeleteRoom(room) => {
                let deleted = self.delete_room(&room);
                deleted.then_some(Reply::Done).ok_or_else(Refusal::no_such_room)?
            }
            Request::ListParticipants(_) if empty => Reply::Participants(Vec::new()),
            Request::ListParticipants(room) => Reply::Participants(self.participants(&room)),
            Request::GetParticipant(room, identity) => {
                let found = self.participants(&room).into_iter().find(|p| p.identity == identity);
                Reply::Participant(found.ok_or_else(Refusal::no_such_participant)?)
            }
            Request::RemoveParticipant(room, identity) => {
                let removed = self.leave(&room, &identity, DisconnectReason::ParticipantRemoved);
                removed.then_some(Reply::Done).ok_or_else(Refusal::no_such_participant)?
            }
            Request::UpdateParticipant(room, identity, metadata) => {
                let updated = self.rewrite_participant(&room, &identity, metadata);
                Reply::Participant(updated.ok_or_else(Refusal::no_such_participant)?)
            }
            Request::UpdateRoomMetadata(room, metadata) => {
                Reply::Room(self.rewrite_metadata(&room, metadata)?)
            }
            Request::CreateDispatch(room, agent) => Reply::Dispatch(self.send_agent(&room, agent)?),
            Request::ListDispatch(room) => Reply::Dispatches(self.agents_of(&room)?),
            Request::DeleteDispatch(room, id) => Reply::Dispatch(self.call_agent_back(&room, &id)?),
            Request::SendData(_) | Request::StartEgress(_) | Request::StopEgress(_) => Reply::Done,
        })
    }
}

/// A status by LiveKit's name.
#[must_use]
pub fn status_name(status: EgressStatus) -> &'static str {
    match status {
        EgressStatus::Starting => "EGRESS_STARTING",
        EgressStatus::Active => "EGRESS_ACTIVE",
        EgressStatus::Ending => "EGRESS_ENDING",
        EgressStatus::Complete => "EGRESS_COMPLETE",
        EgressStatus::Failed => "EGRESS_FAILED",
        EgressStatus::Aborted => "EGRESS_ABORTED",
        EgressStatus::LimitReached => "EGRESS_LIMIT_REACHED",
    }
}
