//! Everything that can happen to a room's recorder, time and fresh ids included.

use serde::{Deserialize, Serialize};

use super::effect::Answer;
use super::egress::{CallError, EgressInfo, LeaveReason};
use super::encoding::{Encoding, Layout};
use super::{AccessSecrets, Recording, RecordingStatus, Timestamp};
use crate::ids::{CommandId, EgressId, RecordingId, Uid};

/// Something that happened, when, and what chance brought with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, by the clock of the node that decides.
    pub at: Timestamp,
    /// Ids and secrets to use if the decision needs some.
    pub fresh: Fresh,
    /// What.
    pub what: Happening,
}

/// Ids and secrets nobody has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// For a new egress.
    pub uid: Uid,
    /// For a new document.
    pub secrets: AccessSecrets,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A client asks to record.
    StartRequested(StartRequest),
    /// A client asks to end a recording.
    StopRequested(StopRequest),
    /// A client asks to delete a recording.
    DeleteRequested(DeleteRequest),
    /// It was looked up whether a command that may come again was answered before.
    Recalled {
        /// The request that it was looked up for.
        request: Repeatable,
        /// What was found.
        kept: Recall,
    },
    /// This actor took up a row that it did not save.
    TakenUp,
    /// Time passed.
    Tick,
    /// The room's list before a start, with what was not ours asked by id.
    RoomLooked {
        /// The start it was for.
        uid: Uid,
        /// Live egresses of our form in the room, or why there is no answer.
        result: Result<Vec<Sighting>, CallError>,
    },
    /// A node of OpenVidu Meet beside ours begins to record the room, as its lock says.
    RoomLocked {
        /// The start that makes way.
        uid: Uid,
    },
    /// StartEgress came back.
    StartAnswered {
        /// The start it was for.
        uid: Uid,
        /// LiveKit's answer.
        result: Result<EgressInfo, CallError>,
    },
    /// StopEgress came back.
    StopAnswered {
        /// The egress.
        egress: EgressId,
        /// LiveKit's answer.
        result: Result<EgressInfo, CallError>,
    },
    /// A webhook, or a look at an egress that the row does not know, showed an egress.
    EgressSeen(Sighting),
    /// A look at a uid of ours came back.
    Looked {
        /// The uid.
        uid: Uid,
        /// What it showed.
        evidence: Evidence,
    },
    /// A start was answered 503 by a node that could not reach the room's owner: nobody wants what it began.
    Cancelled {
        /// The start.
        command: CommandId,
    },
    /// The hidden participant of an egress left the room.
    RecorderLeft {
        /// The egress.
        egress: EgressId,
        /// How.
        reason: LeaveReason,
    },
    /// A document says that a recording is not over, and nobody has said that a row holds it.
    Unheld(Box<UnheldRecording>),
    /// A janitor found a recording of which LiveKit says nothing new, in a room without participants.
    FoundStale {
        /// The recording.
        recording: RecordingId,
        /// When LiveKit last said something new, in nanoseconds since 1970.
        updated_at: i64,
    },
    /// A janitor found nothing behind the recording that holds the room.
    FoundOrphan {
        /// The recording's uid.
        uid: Uid,
    },
    /// A pending effect is carried out.
    EffectDone {
        /// Its number in the row.
        number: u64,
    },
    /// A pending removal is carried out, and there was a file: no other is to be waited for.
    FileRemoved {
        /// Its number in the row.
        number: u64,
    },
    /// A pending effect failed; it stays owed.
    EffectFailed {
        /// Its number in the row.
        number: u64,
        /// What could not be reached, as operators know it.
        dependency: &'static str,
    },
}

/// What became of a start before it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoFar {
    /// Nothing that is known.
    #[default]
    Nothing,
    /// An owner that stepped down has stored its intent: it may be found, and is never begun anew.
    Begun,
}

impl SoFar {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks it so")]
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// A client asks to record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartRequest {
    /// Names the request.
    pub command: CommandId,
    /// When it must be answered.
    pub deadline: Timestamp,
    /// Whether it may come again.
    pub repeats: Repeats,
    /// What became of it so far.
    #[serde(default, skip_serializing_if = "SoFar::is_nothing")]
    pub so_far: SoFar,
    /// Whether there is anybody to record.
    pub attendance: Attendance,
    /// Display name of the room.
    pub room_name: String,
    /// How the participants are arranged.
    pub layout: Layout,
    /// How picture and sound are encoded.
    pub encoding: Encoding,
}

/// A client asks to end a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// Names the request.
    pub command: CommandId,
    /// When it must be answered.
    pub deadline: Timestamp,
    /// Whether it may come again.
    pub repeats: Repeats,
    /// The recording.
    pub recording: RecordingId,
    /// What its document shows; none if there is none.
    pub document: Option<RecordingStatus>,
}

/// Whether a request may come again, on any node and after any crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Repeats {
    /// Never: nobody else knows its command.
    Never,
    /// As the same command, which is begun once and whose answer is kept.
    AsSameCommand,
}

/// A request that may come again as the same command.
#[derive(Debug, Clone, PartialEq)]
pub enum Repeatable {
    /// To record.
    Start(StartRequest),
    /// To end a recording.
    Stop(StopRequest),
}

impl Repeatable {
    /// Names the request.
    #[must_use]
    pub fn command(&self) -> &CommandId {
        match self {
            Self::Start(request) => &request.command,
            Self::Stop(request) => &request.command,
        }
    }

    /// When it must be answered.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        match self {
            Self::Start(request) => request.deadline,
            Self::Stop(request) => request.deadline,
        }
    }
}

impl From<Repeatable> for Happening {
    fn from(request: Repeatable) -> Self {
        match request {
            Repeatable::Start(request) => Self::StartRequested(request),
            Repeatable::Stop(request) => Self::StopRequested(request),
        }
    }
}

impl Happening {
    /// The request that this is, if it may come again.
    #[must_use]
    pub fn repeatable(&self) -> Option<Repeatable> {
        match self {
            Self::StartRequested(request) if request.repeats == Repeats::AsSameCommand => {
                Some(Repeatable::Start(request.clone()))
            }
            Self::StopRequested(request) if request.repeats == Repeats::AsSameCommand => {
                Some(Repeatable::Stop(request.clone()))
            }
            _ => None,
        }
    }
}

/// What was found of a command's earlier life.
#[derive(Debug, Clone, PartialEq)]
pub enum Recall {
    /// This is what it was answered.
    Answered(Answer),
    /// No answer is kept.
    NotAnswered,
    /// The store is away: nothing is known.
    Unknown,
}

/// Whether anybody is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Attendance {
    /// Somebody.
    Somebody,
    /// Nobody.
    Nobody,
    /// LiveKit did not say.
    Unknown,
}

/// A client asks to delete a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRequest {
    /// Names the request.
    pub command: CommandId,
    /// When it must be answered.
    pub deadline: Timestamp,
    /// The recording.
    pub recording: RecordingId,
    /// Its file.
    pub key: String,
    /// What its document shows; none if there is none.
    pub document: Option<RecordingStatus>,
    /// What happens if it is not over.
    #[serde(default)]
    pub unfinished: Unfinished,
}

/// What a deletion does to a recording that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfinished {
    /// Refuses.
    #[default]
    Refuse,
    /// Aborts it: its room is deleted with all that it recorded.
    Abort,
}

/// A recording that is known by its document alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnheldRecording {
    /// The document.
    pub recording: Recording,
    /// LiveKit's time of the view that it shows, in nanoseconds since 1970; 0 if not known.
    pub updated_at: i64,
}

/// An egress as somebody showed it to us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// The view.
    pub info: EgressInfo,
    /// Who showed it.
    pub source: Source,
    /// Display name of the room, for a document that is not there yet.
    pub room_name: String,
    /// What its document shows; none if there is none.
    pub document: Option<RecordingStatus>,
}

/// Who showed an egress to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// An incoming webhook: a hint, perhaps old.
    Webhook,
    /// LiveKit's own answer when asked by id.
    Call,
    /// The same, and its recorder was seen in the room: it runs, whatever its document says.
    Recorder,
}

/// What a look showed. A failed call is no evidence at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What LiveKit lists.
    pub listed: Listed,
    /// The hidden participant.
    pub recorder: Presence,
    /// The file.
    pub file: FileEvidence,
}

/// What LiveKit lists about a uid.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    /// This.
    Found(Box<EgressInfo>),
    /// Nothing: by id if the egress is known, else in the room's list and the list of all.
    Absent,
    /// Nothing, but so much else is missing at the same time that the list itself must be wrong.
    Doubtful,
    /// The call failed.
    Unknown,
}

/// Whether somebody is in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// In the room.
    Present,
    /// Not in the room.
    Absent,
    /// Nobody at all is in the room, or there is no such room: the meeting is over.
    RoomEmpty,
    /// Not asked, or the call failed.
    Unknown,
}

/// What the blob store says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileEvidence {
    /// It is there.
    There {
        /// Bytes.
        size: u64,
        /// When it was last written, in milliseconds since 1970.
        modified: i64,
        /// How long it plays, in milliseconds, if it says so.
        duration: Option<i64>,
    },
    /// It is not there.
    NotThere,
    /// Not asked, or the store is away.
    Unknown,
}
