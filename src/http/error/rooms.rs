//! The words for what cannot be done about a room (contract `rooms.md` 5 and 6).

use axum::http::StatusCode;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::deletion;
use reelkeeper_actors::orchestrator::RoomRefusal;

use super::{Answer, Failure, SOON, Subject, name};

/// The failure that clients are told of.
pub(super) fn refused(room: RoomId, refusal: RoomRefusal) -> Failure {
    match refusal {
        RoomRefusal::NotFound => Failure::NoRoom(room),
        RoomRefusal::InMeeting => Failure::Room(RoomFailure::InMeeting(room)),
        RoomRefusal::Deletion(refusal) => Failure::Room(RoomFailure::NotDeleted(room, refusal)),
        RoomRefusal::Busy => Failure::Room(RoomFailure::Busy(room)),
        RoomRefusal::Recording(id, refusal) => Failure::refused(Subject::Delete(id), refusal),
        RoomRefusal::NoParticipant => Failure::Room(RoomFailure::NoParticipant(room)),
        RoomRefusal::BadMetadata => Failure::Room(RoomFailure::BadMetadata(room)),
        RoomRefusal::Port(error) => Failure::Port(error),
    }
}

/// Why something about a room is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomFailure {
    /// Not while there is a meeting.
    InMeeting(RoomId),
    /// The policy refuses the deletion.
    NotDeleted(RoomId, deletion::Refusal),
    /// Others keep changing it.
    Busy(RoomId),
    /// Live captions are off; of no room: in the whole service.
    NoCaptions(Option<RoomId>),
    /// Nobody with that identity is in its meeting.
    NoParticipant(RoomId),
    /// What a participant's metadata say cannot be read.
    BadMetadata(RoomId),
}

impl RoomFailure {
    pub(super) fn answer(&self) -> Answer {
        use StatusCode as S;
        match self {
            Self::InMeeting(room) => {
                let message = format!("Room '{room}' has an active meeting");
                Answer::new(S::CONFLICT, name::ROOM, message)
            }
            Self::NotDeleted(room, refusal) => {
                Answer::new(S::CONFLICT, refusal.name(), reason(room, *refusal))
            }
            Self::Busy(room) => {
                let message = format!("Room '{room}' changes too often");
                Answer::new(S::SERVICE_UNAVAILABLE, name::UNAVAILABLE, message).retry_after(SOON)
            }
            Self::NoCaptions(room) => {
                let message = match room {
                    Some(room) => format!("Live captions are not enabled in room '{room}'"),
                    None => "Live captions are not enabled, MEET_CAPTIONS_ENABLED is not true".to_owned(),
                };
                Answer::new(S::FORBIDDEN, name::CONFIGURATION, message)
            }
            Self::NoParticipant(room) => {
                let message = format!("The participant was not found in room '{room}'");
                Answer::new(S::NOT_FOUND, name::PARTICIPANT, message)
            }
            Self::BadMetadata(room) => {
                let message = format!("The metadata of the participant of room '{room}' cannot be read");
                Answer::new(S::INTERNAL_SERVER_ERROR, name::INTERNAL, message)
            }
        }
    }
}

fn reason(room: &RoomId, refusal: deletion::Refusal) -> String {
    use deletion::Refusal as R;
    let room = format!("Room '{room}'");
    match refusal {
        R::RoomHasActiveMeeting => format!("{room} has an active meeting"),
        R::RoomHasRecordings => format!("{room} has recordings"),
        R::RoomWithRecordingsHasActiveMeeting => format!("{room} has recordings and an active meeting"),
        R::RoomWithActiveMeetingHasRecordings => {
            format!("{room} has an active meeting that could be ended, and recordings")
        }
        R::RoomWithActiveMeetingHasRecordingsCannotScheduleDeletion => {
            format!("{room} has recordings, so it cannot be scheduled to be deleted when its meeting ends")
        }
    }
}
