//! Notices: what the application that owns the rooms is told about a recording (contract `recordings.md` 6).
//!
//! Owns which changes of a document are worth a notice. How they travel is `ports/notifier.rs`'s.

use serde::{Deserialize, Serialize};

use super::{Recording, RecordingStatus, Timestamp};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeEvent {
    /// The document is there.
    RecordingStarted,
    /// It changed, and is not over.
    RecordingUpdated,
    /// It is over, or how it ended was corrected.
    RecordingEnded,
}

impl NoticeEvent {
    /// The name as receivers see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordingStarted => "recordingStarted",
            Self::RecordingUpdated => "recordingUpdated",
            Self::RecordingEnded => "recordingEnded",
        }
    }
}

/// A notice about a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its place among the notices of its recording; with the recording's id it names the notice. It comes from
    /// what is told, so that the same is never told twice, whoever counts, and a correction is never taken for
    /// an earlier notice.
    pub number: u32,
    /// What it is about.
    pub event: NoticeEvent,
    /// When it was decided.
    pub created_at: Timestamp,
    /// The recording as it was then.
    pub recording: Recording,
}

/// The place of a notice that tells of this status. Each is told at most once: statuses move forward only, and
/// what we gave up can be corrected once.
#[must_use]
pub fn place(status: RecordingStatus) -> u32 {
    match status {
        RecordingStatus::Starting => 1,
        RecordingStatus::Active => 2,
        RecordingStatus::Ending => 3,
        RecordingStatus::Failed | RecordingStatus::Aborted => 4,
        RecordingStatus::Complete | RecordingStatus::LimitReached => 5,
    }
}

/// What a document is about to show, and what it showed before (none = it is not there), as notices. The
/// first one always tells of the start (design 5); statuses that were never seen send none.
#[must_use]
pub fn worth_telling(before: Option<RecordingStatus>, next: &Recording) -> Vec<(NoticeEvent, Recording)> {
    let mut told = Vec::new();
    if before.is_none() {
        told.push((NoticeEvent::RecordingStarted, as_started(next)));
    }
    let change = match (before, next.status) {
        (None, RecordingStatus::Starting) => None,
        (Some(shown), status) if shown == status => None,
        (_, status) if status.is_terminal() => Some(NoticeEvent::RecordingEnded),
        _ => Some(NoticeEvent::RecordingUpdated),
    };
    told.extend(change.map(|event| (event, next.clone())));
    told
}

/// A recording as it was when it started, for whoever sees it for the first time later.
fn as_started(recording: &Recording) -> Recording {
    Recording {
        status: RecordingStatus::Starting,
        end_date: None,
        duration: None,
        size: None,
        error_code: None,
        error: None,
        details: None,
        ..recording.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EgressId, RecordingId, RoomId, Uid};
    use crate::recording::encoding::{Encoding, Layout};

    fn recording(status: RecordingStatus) -> Recording {
        let room = RoomId::from_trusted("room");
        Recording {
            recording_id: RecordingId::new(
                room.clone(),
                EgressId::from_trusted("EG_1"),
                Uid::from_trusted("u"),
            ),
            room_id: room,
            room_name: "Room".to_owned(),
            status,
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filename: String::new(),
            start_date: 1.0,
            end_date: Some(2.0),
            duration: None,
            size: None,
            error_code: None,
            error: None,
            details: None,
        }
    }

    #[test]
    fn each_change_is_told_once_and_the_start_always_first() {
        use NoticeEvent::{
            RecordingEnded as Ended, RecordingStarted as Started, RecordingUpdated as Updated,
        };
        use RecordingStatus::{Active, Complete, Ending, Failed, Starting};
        let table: [(_, _, &[(NoticeEvent, RecordingStatus)]); 9] = [
            (None, Starting, &[(Started, Starting)]),
            (None, Active, &[(Started, Starting), (Updated, Active)]),
            (None, Complete, &[(Started, Starting), (Ended, Complete)]),
            (Some(Starting), Active, &[(Updated, Active)]),
            (Some(Active), Ending, &[(Updated, Ending)]),
            (Some(Ending), Complete, &[(Ended, Complete)]),
            (Some(Active), Failed, &[(Ended, Failed)]),
            (Some(Failed), Complete, &[(Ended, Complete)]),
            (Some(Complete), Complete, &[]),
        ];
        for (before, next, expected) in table {
            let told = worth_telling(before, &recording(next));
            let told: Vec<_> = told.into_iter().map(|(event, recording)| (event, recording.status)).collect();
            assert_eq!(told, expected, "{before:?} to {next:?}");
        }
        let started = &worth_telling(None, &recording(Complete))[0].1;
        assert_eq!(started.end_date, None, "a start has no end");
    }
}
