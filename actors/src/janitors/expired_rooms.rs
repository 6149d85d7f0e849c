//! Expired rooms: their date of deletion has come.
//!
//! They are deleted by their own policy (contract `rooms.md` 10). One that is closed for its recordings stays a
//! candidate, and goes once they are gone.

use super::finder::Finder;
use super::{Ask, Finding, Task, Verdict};
use crate::meeting::deletion::{Plan, Recordings, plan};
use crate::meeting::{Room, RoomStatus};
use crate::ports::catalog::list::RecordingQuery;

fn judge(room: &Room, recordings: Recordings) -> Verdict {
    match plan(room.meeting(), recordings, room.expiry()) {
        Plan::Refuse(refusal) => Verdict::keep(format!("its policy refuses: {}", refusal.name())),
        Plan::Close(_) if room.status == RoomStatus::Closed => {
            Verdict::keep("it is closed already, for the recordings that it has")
        }
        Plan::AtEnd(action, _) if room.meeting_end_action == action => {
            Verdict::keep("its meeting goes on, and what follows is decided")
        }
        Plan::Close(done)
        | Plan::Delete(done)
        | Plan::DeleteWithRecordings(done)
        | Plan::AtEnd(_, done)
        | Plan::EndMeeting(_, done) => Verdict::hand_over(format!("its date has come: {}", done.name())),
    }
}

pub(super) async fn find(finder: &Finder, room: &Room) -> Finding {
    let query = RecordingQuery { within: Some(room.room_id.clone()), ..RecordingQuery::newest(1) };
    let verdict = match finder.store(finder.sources.catalog.recordings(&query)).await {
        Ok(page) if page.items.is_empty() => judge(room, Recordings::None),
        Ok(_) => judge(room, Recordings::Some),
        Err(error) => Verdict::unknown(&error),
    };
    Finding::new(Task::ExpiredRooms, room.room_id.clone(), verdict).asking(Ask::Expire(room.expiry()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::MeetingEndAction;
    use crate::meeting::creation::{self, Drawn, NewRoom};
    use crate::recording::Timestamp;

    fn room(status: RoomStatus, meeting_end_action: MeetingEndAction) -> Room {
        let drawn = Drawn {
            now: Timestamp(0),
            random: [0; 16],
            moderator_secret: String::new(),
            speaker_secret: String::new(),
        };
        Room { status, meeting_end_action, ..creation::create(NewRoom::default(), &drawn) }
    }

    #[test]
    fn a_room_is_deleted_by_its_own_policy() {
        use MeetingEndAction::{Close, None as Nothing};
        use RoomStatus::{ActiveMeeting, Closed, Open};
        let (with, without) = (Recordings::Some, Recordings::None);
        let old = Room { auto_deletion_policy: None, ..room(Open, Nothing) };
        let table = [
            (room(Open, Nothing), without, "hand over: its date has come: room_deleted"),
            (room(Open, Nothing), with, "hand over: its date has come: room_closed"),
            (room(Closed, Nothing), with, "keep: it is closed already, for the recordings that it has"),
            (
                room(ActiveMeeting, Nothing),
                with,
                "hand over: its date has come: room_with_active_meeting_scheduled_to_be_closed",
            ),
            (room(ActiveMeeting, Close), with, "keep: its meeting goes on, and what follows is decided"),
            (old, with, "keep: its policy refuses: room_has_recordings"),
        ];
        for (room, recordings, expected) in table {
            let verdict = judge(&room, recordings);
            assert_eq!(format!("{}: {}", verdict.name(), verdict.reason()), expected, "{room:?}");
        }
    }
}
