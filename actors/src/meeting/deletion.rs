//! What the deletion of a room does (contract `rooms.md` 5).
//!
//! Owns the matrix of meeting x recordings x policies, and the names by which clients are told of its outcome. A
//! deletion at the meeting's end keeps to its policy then too (contract `deviations.md`).

use super::{AutoDeletionPolicy, MeetingEndAction, Room, RoomStatus, WithMeeting, WithRecordings};

/// Whether somebody meets in a room, as its stored status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// Somebody is in.
    Runs,
    /// Nobody is in.
    None,
}

/// Whether a room has recordings, in any state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recordings {
    /// At least one.
    Some,
    /// None.
    None,
}

/// What is to be done about a deletion that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Refuse(Refusal),
    /// The room goes now.
    Delete(Done),
    /// The recordings go now, then the room.
    DeleteWithRecordings(Done),
    /// The room is closed now.
    Close(Done),
    /// The meeting goes on; this is done at its end.
    AtEnd(MeetingEndAction, Done),
    /// The meeting is ended; this is done then.
    EndMeeting(MeetingEndAction, Done),
}

/// How a deletion went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract's own names")]
pub enum Done {
    RoomDeleted,
    RoomWithActiveMeetingDeleted,
    RoomWithActiveMeetingScheduledToBeDeleted,
    RoomAndRecordingsDeleted,
    RoomClosed,
    RoomWithActiveMeetingAndRecordingsDeleted,
    RoomWithActiveMeetingClosed,
    RoomWithActiveMeetingAndRecordingsScheduledToBeDeleted,
    RoomWithActiveMeetingScheduledToBeClosed,
}

/// Why a deletion is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract's own names")]
pub enum Refusal {
    RoomHasActiveMeeting,
    RoomHasRecordings,
    RoomWithActiveMeetingHasRecordings,
    RoomWithActiveMeetingHasRecordingsCannotScheduleDeletion,
    RoomWithRecordingsHasActiveMeeting,
}

impl Done {
    /// The name as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoomDeleted => "room_deleted",
            Self::RoomWithActiveMeetingDeleted => "room_with_active_meeting_deleted",
            Self::RoomWithActiveMeetingScheduledToBeDeleted => {
                "room_with_active_meeting_scheduled_to_be_deleted"
            }
            Self::RoomAndRecordingsDeleted => "room_and_recordings_deleted",
            Self::RoomClosed => "room_closed",
            Self::RoomWithActiveMeetingAndRecordingsDeleted => {
                "room_with_active_meeting_and_recordings_deleted"
            }
            Self::RoomWithActiveMeetingClosed => "room_with_active_meeting_closed",
            Self::RoomWithActiveMeetingAndRecordingsScheduledToBeDeleted => {
                "room_with_active_meeting_and_recordings_scheduled_to_be_deleted"
            }
            Self::RoomWithActiveMeetingScheduledToBeClosed => {
                "room_with_active_meeting_scheduled_to_be_closed"
            }
        }
    }

    /// Whether something is left to be done at the meeting's end.
    #[must_use]
    pub fn is_scheduled(self) -> bool {
        matches!(
            self,
            Self::RoomWithActiveMeetingScheduledToBeDeleted
                | Self::RoomWithActiveMeetingAndRecordingsScheduledToBeDeleted
                | Self::RoomWithActiveMeetingScheduledToBeClosed
        )
    }

    /// Whether clients are shown what became of the room.
    #[must_use]
    pub fn shows_room(self) -> bool {
        self.is_scheduled() || matches!(self, Self::RoomClosed | Self::RoomWithActiveMeetingClosed)
    }
}

impl Refusal {
    /// The name as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoomHasActiveMeeting => "room_has_active_meeting",
            Self::RoomHasRecordings => "room_has_recordings",
            Self::RoomWithActiveMeetingHasRecordings => "room_with_active_meeting_has_recordings",
            Self::RoomWithActiveMeetingHasRecordingsCannotScheduleDeletion => {
                "room_with_active_meeting_has_recordings_cannot_schedule_deletion"
            }
            Self::RoomWithRecordingsHasActiveMeeting => "room_with_recordings_has_active_meeting",
        }
    }
}

/// The contract's matrix.
#[must_use]
pub fn plan(meeting: Meeting, recordings: Recordings, policy: AutoDeletionPolicy) -> Plan {
    use MeetingEndAction as At;
    use WithMeeting as M;
    use WithRecordings as R;
    match (meeting, recordings, policy.with_meeting, policy.with_recordings) {
        (Meeting::None, Recordings::None, ..) => Plan::Delete(Done::RoomDeleted),
        (Meeting::None, Recordings::Some, _, R::Fail) => Plan::Refuse(Refusal::RoomHasRecordings),
        (Meeting::None, Recordings::Some, _, R::Close) => Plan::Close(Done::RoomClosed),
        (Meeting::None, Recordings::Some, _, R::Force) => {
            Plan::DeleteWithRecordings(Done::RoomAndRecordingsDeleted)
        }
        (Meeting::Runs, Recordings::None, M::Fail, _) => Plan::Refuse(Refusal::RoomHasActiveMeeting),
        (Meeting::Runs, Recordings::None, M::WhenMeetingEnds, _) => {
            Plan::AtEnd(At::Delete, Done::RoomWithActiveMeetingScheduledToBeDeleted)
        }
        (Meeting::Runs, Recordings::None, M::Force, _) => {
            Plan::EndMeeting(At::Delete, Done::RoomWithActiveMeetingDeleted)
        }
        (Meeting::Runs, Recordings::Some, M::Fail, _) => {
            Plan::Refuse(Refusal::RoomWithRecordingsHasActiveMeeting)
        }
        (Meeting::Runs, Recordings::Some, M::WhenMeetingEnds, R::Fail) => {
            Plan::Refuse(Refusal::RoomWithActiveMeetingHasRecordingsCannotScheduleDeletion)
        }
        (Meeting::Runs, Recordings::Some, M::WhenMeetingEnds, R::Close) => {
            Plan::AtEnd(At::Close, Done::RoomWithActiveMeetingScheduledToBeClosed)
        }
        (Meeting::Runs, Recordings::Some, M::WhenMeetingEnds, R::Force) => {
            Plan::AtEnd(At::Delete, Done::RoomWithActiveMeetingAndRecordingsScheduledToBeDeleted)
        }
        (Meeting::Runs, Recordings::Some, M::Force, R::Fail) => {
            Plan::Refuse(Refusal::RoomWithActiveMeetingHasRecordings)
        }
        (Meeting::Runs, Recordings::Some, M::Force, R::Close) => {
            Plan::EndMeeting(At::Close, Done::RoomWithActiveMeetingClosed)
        }
        (Meeting::Runs, Recordings::Some, M::Force, R::Force) => {
            Plan::EndMeeting(At::Delete, Done::RoomWithActiveMeetingAndRecordingsDeleted)
        }
    }
}

/// What becomes of a room at the end of a meeting that it was to be deleted after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// It goes.
    Delete,
    /// Its recordings go, then it.
    DeleteWithRecordings,
    /// It is closed for the recordings that it has.
    Close,
    /// It stays as it is: recordings were made that the deletion may not touch.
    Keep,
}

/// Of a deletion whose policy is not known, since a node of OpenVidu Meet decided on it, nothing recorded is lost.
#[must_use]
pub fn at_end(recordings: Recordings, policy: Option<WithRecordings>) -> AtEnd {
    match (recordings, policy) {
        (Recordings::None, _) => AtEnd::Delete,
        (Recordings::Some, Some(WithRecordings::Force)) => AtEnd::DeleteWithRecordings,
        (Recordings::Some, None | Some(WithRecordings::Close)) => AtEnd::Close,
        (Recordings::Some, Some(WithRecordings::Fail)) => AtEnd::Keep,
    }
}

impl Room {
    /// Whether somebody meets in it, as far as its document says.
    #[must_use]
    pub fn meeting(&self) -> Meeting {
        if self.status == RoomStatus::ActiveMeeting { Meeting::Runs } else { Meeting::None }
    }

    /// How it is deleted at its date. Old documents that do not say so refuse (contract `rooms.md` 10).
    #[must_use]
    pub fn expiry(&self) -> AutoDeletionPolicy {
        self.auto_deletion_policy.unwrap_or(AutoDeletionPolicy {
            with_meeting: WithMeeting::Fail,
            with_recordings: WithRecordings::Fail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Meeting, recordings, policies that are told alike, and what is told.
    type Row = (Meeting, Recordings, &'static [WithMeeting], &'static [WithRecordings], &'static str);

    /// As the contract's table has it: what becomes of the room, and its code.
    fn told(plan: Plan) -> String {
        match plan {
            Plan::Refuse(refusal) => format!("409 {}", refusal.name()),
            Plan::Delete(done) | Plan::DeleteWithRecordings(done) | Plan::Close(done) => {
                format!("200 {}", done.name())
            }
            Plan::AtEnd(action, done) => {
                assert!(done.is_scheduled() && done.shows_room(), "{done:?}");
                format!("202 {} {action:?}", done.name())
            }
            Plan::EndMeeting(action, done) => format!("200 {} {action:?}", done.name()),
        }
    }

    #[test]
    fn the_matrix_is_the_contracts() {
        use WithMeeting::{Fail, Force, WhenMeetingEnds as Ends};
        use WithRecordings as R;
        const ANY: &[WithRecordings] = &[R::Fail, R::Close, R::Force];
        let some = Recordings::Some;
        let table: [Row; 13] = [
            (Meeting::None, Recordings::None, &[Fail, Ends, Force], ANY, "200 room_deleted"),
            (Meeting::Runs, Recordings::None, &[Fail], ANY, "409 room_has_active_meeting"),
            (
                Meeting::Runs,
                Recordings::None,
                &[Ends],
                ANY,
                "202 room_with_active_meeting_scheduled_to_be_deleted Delete",
            ),
            (Meeting::Runs, Recordings::None, &[Force], ANY, "200 room_with_active_meeting_deleted Delete"),
            (Meeting::None, some, &[Fail, Ends, Force], &[R::Fail], "409 room_has_recordings"),
            (Meeting::None, some, &[Fail, Ends, Force], &[R::Close], "200 room_closed"),
            (Meeting::None, some, &[Fail, Ends, Force], &[R::Force], "200 room_and_recordings_deleted"),
            (Meeting::Runs, some, &[Fail], ANY, "409 room_with_recordings_has_active_meeting"),
            (
                Meeting::Runs,
                some,
                &[Ends],
                &[R::Fail],
                "409 room_with_active_meeting_has_recordings_cannot_schedule_deletion",
            ),
            (
                Meeting::Runs,
                some,
                &[Ends],
                &[R::Force],
                "202 room_with_active_meeting_and_recordings_scheduled_to_be_deleted Delete",
            ),
            (Meeting::Runs, some, &[Force], &[R::Fail], "409 room_with_active_meeting_has_recordings"),
            (Meeting::Runs, some, &[Force], &[R::Close], "200 room_with_active_meeting_closed Close"),
            (
                Meeting::Runs,
                some,
                &[Force],
                &[R::Force],
                "200 room_with_active_meeting_and_recordings_deleted Delete",
            ),
        ];
        let mut seen = 1;
        for (meeting, recordings, with_meeting, with_recordings, expected) in table {
            for with_meeting in with_meeting {
                for with_recordings in with_recordings {
                    let policy =
                        AutoDeletionPolicy { with_meeting: *with_meeting, with_recordings: *with_recordings };
                    let found = told(plan(meeting, recordings, policy));
                    assert_eq!(found, expected, "{meeting:?} {recordings:?} {policy:?}");
                    seen += 1;
                }
            }
        }
        let scheduled = AutoDeletionPolicy { with_meeting: Ends, with_recordings: R::Close };
        let found = told(plan(Meeting::Runs, some, scheduled));
        assert_eq!(found, "202 room_with_active_meeting_scheduled_to_be_closed Close");
        assert_eq!(seen, 2 * 2 * 3 * 3, "every combination");
    }

    #[test]
    fn the_policy_holds_at_the_end_too() {
        let table = [
            (Recordings::None, Some(WithRecordings::Fail), AtEnd::Delete),
            (Recordings::Some, Some(WithRecordings::Fail), AtEnd::Keep),
            (Recordings::Some, Some(WithRecordings::Close), AtEnd::Close),
            (Recordings::Some, Some(WithRecordings::Force), AtEnd::DeleteWithRecordings),
            (Recordings::Some, None, AtEnd::Close),
        ];
        for (recordings, policy, expected) in table {
            assert_eq!(at_end(recordings, policy), expected, "{recordings:?} {policy:?}");
        }
    }
}
