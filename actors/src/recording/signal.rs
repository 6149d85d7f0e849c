//! Signals: what the clients in a meeting are told about its recording (contract `recordings.md` 7).
//!
//! Owns topics and payloads. A signal is a hint to those who are there now: it is sent once and never owed.

use serde::Serialize;

use super::{Recording, RecordingStatus};
use crate::ids::RoomId;

/// A signal to everybody in a meeting.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// LiveKit's topic of the data message.
    pub topic: &'static str,
    /// What it says.
    pub payload: SignalPayload,
}

/// What a signal says about a recording. Absent fields are left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalPayload {
    /// The recording's id; empty while there is none.
    pub id: String,
    /// The room's id, as the original has it.
    pub room_name: RoomId,
    /// The room's id.
    pub room_id: RoomId,
    /// Where it stands, in the words of clients.
    pub status: &'static str,
    /// Last segment of the file's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Milliseconds since 1970.
    #[serde(with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<f64>,
    /// Milliseconds since 1970.
    #[serde(with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<f64>,
    /// Seconds.
    #[serde(with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Bytes.
    #[serde(with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Words of a status: LiveKit's topic, and the status in the payload.
fn words(status: RecordingStatus) -> (&'static str, &'static str) {
    match status {
        RecordingStatus::Starting => ("recordingStarting", "STARTING"),
        RecordingStatus::Active => ("recordingStarted", "STARTED"),
        RecordingStatus::Ending => ("recordingStopping", "STOPPING"),
        RecordingStatus::Complete | RecordingStatus::LimitReached => ("recordingStopped", "READY"),
        RecordingStatus::Failed | RecordingStatus::Aborted => ("recordingFailed", "FAILED"),
    }
}

impl Signal {
    /// What a recording's document shows now.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        Self { topic: words(recording.status).0, payload: SignalPayload::of(recording) }
    }

    /// A start, before there is a recording: it begins, or it failed.
    #[must_use]
    pub fn of_start(room: &RoomId, status: RecordingStatus) -> Self {
        let (topic, status) = words(status);
        Self { topic, payload: SignalPayload::empty(room, String::new(), status) }
    }
}

impl SignalPayload {
    /// A recording as clients list it.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let id = recording.recording_id.to_string();
        Self {
            filename: Some(recording.filename.clone()).filter(|name| !name.is_empty()),
            started_at: Some(recording.start_date).filter(|date| *date > 0.0),
            ended_at: recording.end_date,
            duration: recording.duration,
            size: recording.size,
            error: recording.error.clone(),
            ..Self::empty(&recording.room_id, id, words(recording.status).1)
        }
    }

    fn empty(room: &RoomId, id: String, status: &'static str) -> Self {
        Self {
            id,
            room_name: room.clone(),
            room_id: room.clone(),
            status,
            filename: None,
            started_at: None,
            ended_at: None,
            duration: None,
            size: None,
            error: None,
        }
    }
}

/// What somebody who joins a meeting is told about its recordings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomStatusPayload {
    /// Whether one of them records.
    pub is_recording_started: bool,
    /// The newest ones.
    pub recording_list: Vec<SignalPayload>,
}

impl RoomStatusPayload {
    /// LiveKit's topic of it.
    pub const TOPIC: &'static str = "roomStatus";

    /// These recordings, newest first.
    #[must_use]
    pub fn of(recordings: &[Recording]) -> Self {
        let mut statuses = recordings.iter().map(|recording| recording.status);
        Self {
            is_recording_started: statuses.any(|status| status == RecordingStatus::Active),
            recording_list: recordings.iter().map(SignalPayload::of).collect(),
        }
    }
}
