//! Room status: rooms that are in a meeting, by their documents, which LiveKit does not have any more.
//!
//! LiveKit's word of the end was lost. What follows is the same as if it had come (contract `rooms.md` 10).

use super::finder::Finder;
use super::{Ask, Finding, Task, Verdict};
use crate::meeting::Room;
use crate::orchestrator::news_of_end;
use crate::recording::egress::CallError;

/// What LiveKit shows of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Listed,
    /// Not listed, and yet somebody is in it: the list is wrong.
    Attended,
    Absent,
}

fn judge(shown: Shown) -> Verdict {
    match shown {
        Shown::Listed => Verdict::keep("LiveKit has its meeting"),
        Shown::Attended => Verdict::keep("somebody is in its meeting"),
        Shown::Absent => Verdict::hand_over("LiveKit has no such room, so its meeting is over"),
    }
}

pub(super) async fn find(finder: &Finder, room: &Room) -> Finding {
    let verdict = match finder.livekit(look(finder, room)).await {
        Ok(shown) => judge(shown),
        Err(error) => Verdict::unknown(&error),
    };
    Finding::new(Task::RoomStatus, room.room_id.clone(), verdict)
        .asking(Ask::MeetingIsOver(news_of_end(room)))
}

async fn look(finder: &Finder, room: &Room) -> Result<Shown, CallError> {
    let media_server = &finder.sources.media_server;
    if media_server.existing_rooms(std::slice::from_ref(&room.room_id)).await?.contains(&room.room_id) {
        return Ok(Shown::Listed);
    }
    let participants = media_server.participants(&room.room_id).await?;
    Ok(if participants.is_empty() { Shown::Absent } else { Shown::Attended })
}
