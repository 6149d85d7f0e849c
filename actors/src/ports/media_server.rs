//! The media server: LiveKit's rooms and egress, as far as we need them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::ids::{EgressId, RoomId};
use crate::meeting::joining::RoomOrder;
use crate::meeting::status::MeetingNews;
use crate::recording::Timestamp;
use crate::recording::egress::{CallError, EgressInfo, EgressOrder, LeaveReason};
use crate::recording::event::Presence;

/// What a participant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantKind {
    /// A person, or what passes for one.
    Standard,
    /// The hidden participant of an egress; its identity is the egress id. LiveKit says so by its kind,
    /// or by permissions `hidden` and `recorder`.
    Recorder,
    /// Agents, ingress, telephone lines and whatever comes next.
    Other,
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Unique in the room.
    pub identity: String,
    /// LiveKit's id of this stay of theirs.
    pub sid: String,
    /// What it is.
    pub kind: ParticipantKind,
    /// What its token said at first, and it or others may have written since.
    pub metadata: String,
}

/// Whether anybody but recorders is in a room.
#[must_use]
pub fn is_attended(participants: &[Participant]) -> bool {
    participants.iter().any(|participant| participant.kind != ParticipantKind::Recorder)
}

/// Whether the recorder of an egress is among the participants of a room; anybody's, if no egress is known.
#[must_use]
pub fn recorder_among(participants: &[Participant], egress: Option<&EgressId>) -> Presence {
    let present = match egress {
        Some(egress) => participants.iter().any(|p| p.identity == egress.as_str()),
        None => participants.iter().any(|p| p.kind == ParticipantKind::Recorder),
    };
    match (present, participants.is_empty()) {
        (true, _) => Presence::Present,
        (false, true) => Presence::RoomEmpty,
        (false, false) => Presence::Absent,
    }
}

/// An agent that was sent to a room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Dispatch {
    /// When, in nanoseconds since 1970; 0 if LiveKit does not say. First: the oldest comes before the others.
    pub created_at: i64,
    /// LiveKit's id of it.
    pub id: String,
    /// The agent's name.
    pub agent: String,
}

/// A message to those in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataMessage {
    /// The room.
    pub room: RoomId,
    /// LiveKit's topic, by which clients tell messages apart.
    pub topic: &'static str,
    /// UTF-8 JSON.
    pub payload: String,
    /// Whom it is for.
    pub to: Receivers,
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receivers {
    /// All in the room.
    Everybody,
    /// Those with these sids.
    Sids(Vec<String>),
    /// Those with these identities; none = everybody.
    Identities(Vec<String>),
}

/// What an incoming webhook tells, as far as it matters to us.
#[derive(Debug, Clone, PartialEq)]
pub enum LiveKitNews {
    /// `egress_started`, `egress_updated`, `egress_ended`.
    Egress(Box<EgressInfo>),
    /// `participant_left` of a recorder.
    RecorderLeft {
        /// The egress, which is the participant's identity.
        egress: EgressId,
        /// Why it left.
        reason: LeaveReason,
    },
    /// `room_started`, `room_finished`.
    Meeting(MeetingNews),
    /// `participant_joined` of a person.
    PersonJoined {
        /// LiveKit's id of this stay of theirs.
        sid: String,
    },
    /// `participant_left` of a person whose place nobody took.
    PersonLeft {
        /// Who they were in the meeting.
        identity: String,
        /// The name that is free now.
        name: String,
    },
    /// Anything else: acknowledged, nothing done.
    Other,
}

/// An incoming webhook whose signature was right.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveKitEvent {
    /// LiveKit's id of this event.
    pub id: String,
    /// Its name, such as `egress_ended`.
    pub name: String,
    /// The room it is about, if it names one.
    pub room: Option<RoomId>,
    /// `createdBy` of the room's metadata, if the event carries the room.
    pub created_by: Option<String>,
    /// What it tells.
    pub news: LiveKitNews,
}

/// Why an incoming webhook is not taken. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RejectedWebhook {
    /// It is not proven to be LiveKit's: the signature is missing, wrong or too old.
    #[error("the webhook is not signed by LiveKit: {0}")]
    Signature(String),
    /// LiveKit signed it, and yet it cannot be read.
    #[error("the webhook cannot be read: {0}")]
    Malformed(String),
}

/// Checks and reads incoming webhooks.
///
/// Demands: the signature covers the raw bytes and is checked before anything of them is read; reading is
/// lenient, so that a field or event of a newer LiveKit costs no more than the news it carries.
pub trait IncomingWebhooks: Send + Sync {
    /// Checks the value of `Authorization` against the raw body, then reads the body.
    ///
    /// # Errors
    /// When the signature is not LiveKit's, or the body cannot be read.
    fn receive(
        &self,
        authorization: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<LiveKitEvent, RejectedWebhook>;
}

/// Talks to LiveKit.
///
/// Demands: every call ends within a bounded time; StartEgress may take longer than the others, since
/// LiveKit answers only when a worker took it; an error is never read as "it is gone".
#[async_trait]
pub trait MediaServer: Send + Sync {
    /// Asks for a room composite egress. **Not repeatable.**
    ///
    /// # Errors
    /// See [`crate::recording::egress::classify_start`].
    async fn start_egress(&self, order: &EgressOrder) -> Result<EgressInfo, CallError>;

    /// Asks an egress to end. Repeatable.
    ///
    /// # Errors
    /// See [`crate::recording::egress::classify_stop`].
    async fn stop_egress(&self, egress: &EgressId) -> Result<EgressInfo, CallError>;

    /// An egress by its id; none if LiveKit does not know it (which proves nothing alone).
    ///
    /// # Errors
    /// When LiveKit did not answer, or answered something else.
    async fn egress(&self, egress: &EgressId) -> Result<Option<EgressInfo>, CallError>;

    /// The egresses listed under a room, ended ones too. The weakest list there is: a storage error of
    /// LiveKit reads as empty, and some egresses never appear in it (LiveKit 1.13.5).
    ///
    /// # Errors
    /// When LiveKit did not answer.
    async fn room_egresses(&self, room: &RoomId) -> Result<Vec<EgressInfo>, CallError>;

    /// All egresses that are not over, of all rooms. Costly for LiveKit: ask rarely.
    ///
    /// # Errors
    /// When LiveKit did not answer.
    async fn active_egresses(&self) -> Result<Vec<EgressInfo>, CallError>;

    /// Who is in a room, hidden recorders too; empty if there is no such room.
    ///
    /// # Errors
    /// When LiveKit did not answer.
    async fn participants(&self, room: &RoomId) -> Result<Vec<Participant>, CallError>;

    /// Sends a reliable data message to those in a room. A room that is not
    /// there hears nothing.
    ///
    /// # Errors
    /// When LiveKit did not answer, or refused it.
    async fn send_data(&self, message: &DataMessage) -> Result<(), CallError>;

    /// Somebody in a room; none if they are not in it, or there is no such room.
    ///
    /// # Errors
    /// When LiveKit did not answer.
    async fn participant(&self, room: &RoomId, identity: &str) -> Result<Option<Participant>, CallError>;

    /// Makes a room unless it is there; one that is there stays as it is. Repeatable.
    ///
    /// # Errors
    /// When LiveKit did not answer, or refused; it may have made the room all the same.
    async fn create_room(&self, order: &RoomOrder) -> Result<(), CallError>;

    /// Ends a room: everybody in it is put out. Returns whether there was one. Repeatable.
    ///
    /// # Errors
    /// When LiveKit did not answer; it may have ended the room all the same.
    async fn delete_room(&self, room: &RoomId) -> Result<bool, CallError>;

    /// Which of these rooms there are.
    ///
    /// # Errors
    /// When LiveKit did not answer.
    async fn existing_rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, CallError>;

    /// Puts somebody out of a room. Returns whether they were in it.
    ///
    /// # Errors
    /// When LiveKit did not answer; it may have put them out all the same.
    async fn remove_participant(&self, room: &RoomId, identity: &str) -> Result<bool, CallError>;

    /// Writes somebody's metadata anew. Returns whether they were in the room.
    ///
    /// # Errors
    /// When LiveKit did not answer; it may have written it all the same.
    async fn update_participant(
        &self,
        room: &RoomId,
        identity: &str,
        metadata: &str,
    ) -> Result<bool, CallError>;

    /// The agents that were sent to a room which is there.
    ///
    /// # Errors
    /// When LiveKit did not answer.
    async fn dispatches(&self, room: &RoomId) -> Result<Vec<Dispatch>, CallError>;

    /// Sends an agent to a room which is there. **Each call sends another one.**
    ///
    /// # Errors
    /// When LiveKit did not answer, or refused; it may have sent the agent all the same.
    async fn dispatch(&self, room: &RoomId, agent: &str) -> Result<Dispatch, CallError>;

    /// Calls an agent back that was sent to a room. Returns whether it was there. Repeatable.
    ///
    /// # Errors
    /// When LiveKit did not answer; it may have called the agent back all the same.
    async fn call_back(&self, room: &RoomId, dispatch: &str) -> Result<bool, CallError>;

    /// Cheap proof that LiveKit answers and takes our token.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), CallError>;
}
