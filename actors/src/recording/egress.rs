//! What LiveKit says about an egress, and how its calls can end.
//!
//! Owns the domain view of LiveKit's egress and the outcome classes of its calls (design 4). The adapter
//! translates protobuf into these; nothing of LiveKit's types comes further in.

use serde::{Deserialize, Serialize};

use super::encoding::{Encoding, Layout};
use super::{Recording, RecordingStatus};
use crate::ids::{EgressId, RecordingId, RoomId, Uid};

const NS_PER_MS: f64 = 1e6;
const NS_PER_S: f64 = 1e9;

/// Status of an egress. A status that this version does not know is no evidence and never gets here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EgressStatus {
    /// A worker took it.
    Starting,
    /// It records.
    Active,
    /// It was stopped, or the room is over; it uploads.
    Ending,
    /// It ended and uploaded its file.
    Complete,
    /// It failed.
    Failed,
    /// It was stopped before it recorded anything.
    Aborted,
    /// It reached a limit of the worker; the file is uploaded.
    LimitReached,
}

impl EgressStatus {
    /// The status of the egress behind a recording with this status.
    #[must_use]
    pub fn behind(status: RecordingStatus) -> Self {
        match status {
            RecordingStatus::Starting => Self::Starting,
            RecordingStatus::Active => Self::Active,
            RecordingStatus::Ending => Self::Ending,
            RecordingStatus::Complete => Self::Complete,
            RecordingStatus::Failed => Self::Failed,
            RecordingStatus::Aborted => Self::Aborted,
            RecordingStatus::LimitReached => Self::LimitReached,
        }
    }

    /// Whether LiveKit will say nothing new about it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self.recorded_as().is_terminal()
    }

    /// The status of the recording (contract `recordings.md` 1).
    #[must_use]
    pub fn recorded_as(self) -> RecordingStatus {
        match self {
            Self::Starting => RecordingStatus::Starting,
            Self::Active => RecordingStatus::Active,
            Self::Ending => RecordingStatus::Ending,
            Self::Complete => RecordingStatus::Complete,
            Self::Failed => RecordingStatus::Failed,
            Self::Aborted => RecordingStatus::Aborted,
            Self::LimitReached => RecordingStatus::LimitReached,
        }
    }
}

/// One view of an egress, as an answer, a listing or a webhook showed it. Times in nanoseconds since
/// 1970, 0 = not set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EgressInfo {
    /// LiveKit's id.
    pub egress: EgressId,
    /// The room's name.
    pub room: RoomId,
    /// Where it stands.
    pub status: EgressStatus,
    /// The path it was asked to write to; none if it is not a room composite with one file output.
    pub filepath: Option<String>,
    /// Read back from the request.
    pub layout: Layout,
    /// Read back from the request.
    pub encoding: Encoding,
    /// The file as LiveKit reports it; empty until it does.
    pub filename: String,
    /// When it began to record.
    pub started_at: i64,
    /// When it was over.
    pub ended_at: i64,
    /// When LiveKit last changed this view.
    pub updated_at: i64,
    /// Length of the file in nanoseconds.
    pub duration: i64,
    /// Bytes of the file.
    pub size: i64,
    /// LiveKit's words on a failure.
    pub error: String,
    /// LiveKit's code of a failure.
    pub error_code: i32,
    /// LiveKit's remark on the end.
    pub details: String,
}

impl EgressInfo {
    /// The view that a document shows, for a recording of which nothing else is known; none if its recording
    /// is over.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "nanoseconds since 1970 fit until 2262")]
    pub fn of_document(recording: &Recording, updated_at: i64) -> Option<Self> {
        let id = &recording.recording_id;
        let live = !recording.status.is_terminal();
        live.then(|| Self {
            egress: id.egress.clone(),
            room: id.room.clone(),
            status: EgressStatus::behind(recording.status),
            filepath: None,
            layout: recording.layout,
            encoding: recording.encoding.clone(),
            filename: recording.filename.clone(),
            started_at: (recording.start_date * NS_PER_MS) as i64,
            ended_at: 0,
            updated_at,
            duration: 0,
            size: 0,
            error: String::new(),
            error_code: 0,
            details: String::new(),
        })
    }

    /// The recording that this view shows (contract `recordings.md` 1).
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "JavaScript's numbers, as in the original")]
    pub fn to_recording(&self, uid: &Uid, room_name: &str) -> Recording {
        let start = if self.started_at == 0 { self.updated_at } else { self.started_at };
        let positive = |value: i64, unit: f64| (value != 0).then(|| value as f64 / unit);
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        Recording {
            recording_id: RecordingId::new(self.room.clone(), self.egress.clone(), uid.clone()),
            room_id: self.room.clone(),
            room_name: room_name.to_owned(),
            status: self.status.recorded_as(),
            layout: self.layout,
            encoding: self.encoding.clone(),
            filename: self.filename.rsplit('/').next().unwrap_or_default().to_owned(),
            start_date: start as f64 / NS_PER_MS,
            end_date: positive(self.ended_at, NS_PER_MS),
            duration: positive(self.duration, NS_PER_S),
            size: positive(self.size, 1.0),
            error_code: (self.error_code != 0).then_some(self.error_code),
            error: text(&self.error),
            details: text(&self.details),
        }
    }
}

/// What LiveKit is asked to record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EgressOrder {
    /// The room's name.
    pub room: RoomId,
    /// How the participants are arranged.
    pub layout: Layout,
    /// How picture and sound are encoded.
    pub encoding: Encoding,
    /// Where to write, without extension; holds the uid.
    pub filepath: String,
}

/// Why a participant left, as far as it matters to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// `CLIENT_INITIATED`, `ROOM_DELETED` or `ROOM_CLOSED`: the recorder finished and may upload.
    Clean,
    /// Anything else, such as `CONNECTION_TIMEOUT`: the recorder may be dead.
    Lost,
}

/// Why a call to LiveKit gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connection was refused before anything was sent.
    #[error("LiveKit cannot be reached: {0}")]
    NotSent(String),
    /// LiveKit, or something in front of it, answered with an error.
    #[error("LiveKit answered {}{message} (HTTP status {status})", code_text(code.as_deref()))]
    Answered {
        /// HTTP status.
        status: u16,
        /// Twirp error code; none if the body was not Twirp's.
        code: Option<String>,
        /// Its message, or the beginning of the body.
        message: String,
    },
    /// Sent, and no answer: the connection broke, the answer could not be read, or the deadline passed.
    #[error("no answer from LiveKit: {0}")]
    NoAnswer(String),
}

fn code_text(code: Option<&str>) -> String {
    code.map_or_else(String::new, |code| format!("{code}: "))
}

impl CallError {
    /// The Twirp code, if LiveKit itself answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Answered { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// LiveKit's words, without ours around them.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::NotSent(reason) | Self::NoAnswer(reason) | Self::Answered { message: reason, .. } => reason,
        }
    }
}

/// How a StartEgress call that gave no egress is read (design 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartClass {
    /// Nothing runs, most likely: again with a fresh uid and back-off.
    Refused,
    /// LiveKit will never take it.
    RefusedForGood,
    /// It may run: never repeat, look for the uid.
    Unknown,
}

/// How a StopEgress call that gave no egress is read (design 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopClass {
    /// Says nothing; ask by id.
    AskById,
    /// The client's request is wrong in LiveKit's eyes; the stop stays owed.
    Refused,
    /// It may have worked; the stop stays owed.
    Unknown,
}

/// Reads a failed StartEgress.
#[must_use]
pub fn classify_start(error: &CallError) -> StartClass {
    match error {
        CallError::NotSent(_) => StartClass::Refused,
        CallError::NoAnswer(_) => StartClass::Unknown,
        CallError::Answered { code: Some(code), .. } => match code.as_str() {
            "unavailable" | "resource_exhausted" => StartClass::Refused,
            "invalid_argument"
            | "malformed"
            | "not_found"
            | "bad_route"
            | "already_exists"
            | "permission_denied"
            | "unauthenticated"
            | "failed_precondition"
            | "out_of_range"
            | "unimplemented" => StartClass::RefusedForGood,
            _ => StartClass::Unknown,
        },
        CallError::Answered { code: None, status, .. } => match status {
            408 | 429 => StartClass::Unknown,
            400..=499 => StartClass::RefusedForGood,
            _ => StartClass::Unknown,
        },
    }
}

/// Reads a failed StopEgress.
#[must_use]
pub fn classify_stop(error: &CallError) -> StopClass {
    match error {
        CallError::NotSent(_) | CallError::NoAnswer(_) => StopClass::Unknown,
        CallError::Answered { code: Some(code), .. } => match code.as_str() {
            "not_found" | "failed_precondition" => StopClass::AskById,
            "invalid_argument" | "malformed" | "bad_route" | "already_exists" | "permission_denied"
            | "unauthenticated" | "out_of_range" | "unimplemented" => StopClass::Refused,
            _ => StopClass::Unknown,
        },
        CallError::Answered { code: None, status, .. } => match status {
            408 | 429 => StopClass::Unknown,
            400..=499 => StopClass::Refused,
            _ => StopClass::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twirp(code: &str) -> CallError {
        CallError::Answered { status: 500, code: Some(code.to_owned()), message: String::new() }
    }

    fn plain(status: u16) -> CallError {
        CallError::Answered { status, code: None, message: String::new() }
    }

    #[test]
    fn a_failed_start_is_read_as_the_design_says() {
        use StartClass::{Refused, RefusedForGood, Unknown};
        let table = [
            (twirp("unavailable"), Refused),
            (twirp("resource_exhausted"), Refused),
            (CallError::NotSent(String::new()), Refused),
            (twirp("invalid_argument"), RefusedForGood),
            (twirp("not_found"), RefusedForGood),
            (twirp("failed_precondition"), RefusedForGood),
            (twirp("permission_denied"), RefusedForGood),
            (plain(404), RefusedForGood),
            (plain(401), RefusedForGood),
            (plain(408), Unknown),
            (plain(429), Unknown),
            (plain(502), Unknown),
            (twirp("internal"), Unknown),
            (twirp("deadline_exceeded"), Unknown),
            (twirp("canceled"), Unknown),
            (twirp("a_code_of_tomorrow"), Unknown),
            (CallError::NoAnswer(String::new()), Unknown),
        ];
        for (error, class) in table {
            assert_eq!(classify_start(&error), class, "{error}");
        }
    }

    #[test]
    fn a_failed_stop_is_read_as_the_design_says() {
        use StopClass::{AskById, Refused, Unknown};
        let table = [
            (twirp("not_found"), AskById),
            (twirp("failed_precondition"), AskById),
            (twirp("permission_denied"), Refused),
            (plain(403), Refused),
            (plain(429), Unknown),
            (twirp("unavailable"), Unknown),
            (twirp("internal"), Unknown),
            (CallError::NotSent(String::new()), Unknown),
            (CallError::NoAnswer(String::new()), Unknown),
        ];
        for (error, class) in table {
            assert_eq!(classify_stop(&error), class, "{error}");
        }
    }
}
