//! What a simulated LiveKit shows of itself, and how that reads in the words of the core.
//!
//! Owns the views; the HTTP face turns the same views into LiveKit's protobuf.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{EgressId, RoomId};
use crate::ports::media_server::{Participant, ParticipantKind};
use crate::recording::egress::{EgressInfo, EgressOrder, EgressStatus, LeaveReason};
use crate::recording::encoding::{Encoding, Layout};

/// A room as LiveKit lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomView {
    /// LiveKit's id of this meeting, `RM_...`.
    pub sid: String,
    /// Its name.
    pub name: RoomId,
    /// What its creator wrote there.
    pub metadata: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Seconds that it stays if nobody ever joins.
    pub empty_timeout: u32,
    /// Seconds that it stays after the last one left.
    pub departure_timeout: u32,
    /// How many are in it; hidden ones do not count.
    pub participants: u32,
    /// How many of them publish.
    pub publishers: u32,
    /// Whether a recorder is in it.
    pub recording: bool,
}

/// Somebody in a room as LiveKit lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParticipantView {
    /// LiveKit's id, `PA_...`.
    pub sid: String,
    /// Unique in the room.
    pub identity: String,
    /// For people.
    pub name: String,
    /// What its token said.
    pub metadata: String,
    /// What it is.
    pub kind: ParticipantKind,
    /// Whether others can see it.
    pub hidden: bool,
    /// Milliseconds since 1970.
    pub joined_at: i64,
    /// What it publishes.
    pub tracks: Vec<TrackView>,
    /// Set once it has left.
    pub left: Option<DisconnectReason>,
}

impl ParticipantView {
    /// In the words of the core.
    #[must_use]
    pub fn to_domain(&self) -> Participant {
        let Self { identity, sid, kind, metadata, .. } = self;
        Participant { identity: identity.clone(), sid: sid.clone(), kind: *kind, metadata: metadata.clone() }
    }
}

/// Something published in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackView {
    /// LiveKit's id, `TR_...`.
    pub sid: String,
    /// Picture or sound.
    pub kind: TrackKind,
}

/// Picture or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// A camera.
    Video,
    /// A microphone.
    Audio,
}

/// Why somebody left, by LiveKit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DisconnectReason {
    /// LiveKit does not say.
    UnknownReason,
    /// Somebody with the same identity came in their place.
    DuplicateIdentity,
    /// They hung up.
    ClientInitiated,
    /// They never came in.
    SignalClose,
    /// Somebody removed them.
    ParticipantRemoved,
    /// The room was deleted.
    RoomDeleted,
    /// The room was empty for too long.
    RoomClosed,
    /// Their connection died.
    ConnectionTimeout,
}

impl DisconnectReason {
    /// In the words of the core (design 5, loss).
    #[must_use]
    pub fn to_domain(self) -> LeaveReason {
        match self {
            Self::ClientInitiated | Self::RoomDeleted | Self::RoomClosed => LeaveReason::Clean,
            Self::UnknownReason
            | Self::DuplicateIdentity
            | Self::SignalClose
            | Self::ParticipantRemoved
            | Self::ConnectionTimeout => LeaveReason::Lost,
        }
    }
}

/// What was asked of an egress.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StartOrder {
    /// The room's name.
    pub room: RoomId,
    /// How the participants are arranged.
    pub layout: Layout,
    /// How picture and sound are encoded.
    pub encoding: Encoding,
    /// Where to write, as asked; none for an egress that writes no file, such as a stream.
    pub filepath: Option<String>,
    /// The request as it came, for a face that has to show it again; the model never reads it.
    #[serde(skip)]
    pub echo: Bytes,
}

impl From<&EgressOrder> for StartOrder {
    fn from(order: &EgressOrder) -> Self {
        Self {
            room: order.room.clone(),
            layout: order.layout,
            encoding: order.encoding.clone(),
            filepath: Some(order.filepath.clone()),
            echo: Bytes::new(),
        }
    }
}

/// An egress as LiveKit stored it last. Times in nanoseconds since 1970, 0 = not set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EgressView {
    /// LiveKit's id, `EG_...`.
    pub egress: EgressId,
    /// `sid` of the room it was started in.
    pub room_sid: String,
    /// What was asked.
    pub order: StartOrder,
    /// Where it stands.
    pub status: EgressStatus,
    /// When it began to record.
    pub started_at: i64,
    /// When it was over.
    pub ended_at: i64,
    /// When this view was last changed.
    pub updated_at: i64,
    /// Its file, as far as one is known; none for a stream.
    pub file: Option<FileView>,
    /// LiveKit's words on a failure.
    pub error: String,
    /// LiveKit's code of a failure.
    pub error_code: i32,
    /// LiveKit's remark on the end.
    pub details: String,
}

/// A file as LiveKit reports it. Times in nanoseconds since 1970, 0 = not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileView {
    /// Path in the store, with extension.
    pub filename: String,
    /// Where it was uploaded to; empty until it is.
    pub location: String,
    /// When it began.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// Nanoseconds.
    pub duration: i64,
    /// Bytes.
    pub size: i64,
}

impl EgressView {
    /// The name of its room.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.order.room
    }

    /// In the words of the core.
    #[must_use]
    pub fn to_domain(&self) -> EgressInfo {
        let file = self.file.clone().unwrap_or_default();
        EgressInfo {
            egress: self.egress.clone(),
            room: self.order.room.clone(),
            status: self.status,
            filepath: self.order.filepath.clone(),
            layout: self.order.layout,
            encoding: self.order.encoding.clone(),
            filename: file.filename,
            started_at: self.started_at,
            ended_at: self.ended_at,
            updated_at: self.updated_at,
            duration: file.duration,
            size: file.size,
            error: self.error.clone(),
            error_code: self.error_code,
            details: self.details.clone(),
        }
    }
}
