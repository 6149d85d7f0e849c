//! Notices about meetings: what the application that owns the rooms is told of them (contract `rooms.md` 9).
//!
//! Owns when a meeting's news are worth a notice, and how it is numbered: by the meeting, so that LiveKit's news told
//! twice are the same notice. How notices travel is `ports/notifier.rs`'s.

use super::status::{MeetingNews, RoomChanged};
use super::{MeetingEndAction, Room, RoomStatus};
use crate::recording::Timestamp;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetingEvent {
    /// Somebody came in, or the LiveKit room was made.
    Started,
    /// It is over.
    Ended,
}

impl MeetingEvent {
    /// The name as receivers see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "meetingStarted",
            Self::Ended => "meetingEnded",
        }
    }
}

/// A notice about a meeting.
#[derive(Debug, Clone, PartialEq)]
pub struct MeetingNotice {
    /// Its place among the notices of its room; with the room's id it names the notice.
    pub number: u32,
    /// What it is about.
    pub event: MeetingEvent,
    /// When it was decided.
    pub created_at: Timestamp,
    /// The room as it was then, with its paths for URLs.
    pub room: Room,
}

/// The notice that news of a meeting are worth, if the room took them as news of the meeting that it heard of last.
/// The same news again give the same notice.
#[must_use]
pub fn of(changed: &RoomChanged, news: &MeetingNews, at: Timestamp) -> Option<MeetingNotice> {
    let RoomChanged { before, after } = changed;
    let is_last = |sid: &String| sid.is_empty() || after.last_meeting.as_ref() == Some(sid);
    let runs = after.status == RoomStatus::ActiveMeeting;
    let event = match news {
        MeetingNews::Started { sid } if is_last(sid) && runs => MeetingEvent::Started,
        MeetingNews::Finished { sid }
            if is_last(sid) && (!runs || before.meeting_end_action == MeetingEndAction::Delete) =>
        {
            MeetingEvent::Ended
        }
        _ => return None,
    };
    let number = after.meetings.saturating_mul(2).saturating_add(u32::from(event == MeetingEvent::Ended));
    Some(MeetingNotice { number, event, created_at: at, room: after.clone() })
}
