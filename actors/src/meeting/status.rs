//! A room's status as its meetings come and go (contract `rooms.md` 3).
//!
//! Owns the rule by which news of a meeting changes a room. LiveKit's news come twice, late or in the wrong
//! order, so a room remembers which meeting it heard of last, by LiveKit's sid: the end of another than
//! the running one, and the beginning of one that is over, change nothing.

use super::{MeetingEndAction, Room, RoomStatus};

/// News of a room's meeting. The sid is LiveKit's id of this one meeting; empty if it was not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeetingNews {
    /// It began.
    Started {
        /// Of this meeting.
        sid: String,
    },
    /// It is over.
    Finished {
        /// Of this meeting.
        sid: String,
    },
}

impl Room {
    /// Takes news of a meeting in. A room that is to be deleted at the end is open instead: nothing deletes
    /// rooms yet, and its end action stays.
    pub fn hear(&mut self, news: &MeetingNews) {
        let runs = self.status == RoomStatus::ActiveMeeting;
        match news {
            MeetingNews::Started { sid } => {
                let is_over = !sid.is_empty() && !runs && self.last_meeting.as_ref() == Some(sid);
                if is_over {
                    return;
                }
                // A room that was closed before this news came stays meant to be closed.
                if self.status == RoomStatus::Closed {
                    self.meeting_end_action = MeetingEndAction::Close;
                }
                self.status = RoomStatus::ActiveMeeting;
                self.remember(sid);
            }
            MeetingNews::Finished { sid } => {
                let another = self.last_meeting.as_ref().is_some_and(|last| last != sid);
                if runs && !sid.is_empty() && another {
                    return;
                }
                match (self.status, self.meeting_end_action) {
                    (_, MeetingEndAction::Close) => {
                        self.status = RoomStatus::Closed;
                        self.meeting_end_action = MeetingEndAction::None;
                    }
                    (RoomStatus::Closed, _) => {}
                    (_, MeetingEndAction::None | MeetingEndAction::Delete) => self.status = RoomStatus::Open,
                }
                self.remember(sid);
            }
        }
    }

    fn remember(&mut self, sid: &str) {
        if !sid.is_empty() {
            self.last_meeting = Some(sid.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::creation::{self, Drawn, NewRoom};
    use crate::recording::Timestamp;
    use MeetingEndAction::{Close, Delete, None as Nothing};
    use RoomStatus::{ActiveMeeting, Closed, Open};

    fn room(status: RoomStatus, meeting_end_action: MeetingEndAction) -> Room {
        let drawn = Drawn {
            now: Timestamp(0),
            random: [0; 16],
            moderator_secret: String::new(),
            speaker_secret: String::new(),
        };
        Room { status, meeting_end_action, ..creation::create(NewRoom::default(), &drawn) }
    }

    fn started(sid: &str) -> MeetingNews {
        MeetingNews::Started { sid: sid.to_owned() }
    }

    fn finished(sid: &str) -> MeetingNews {
        MeetingNews::Finished { sid: sid.to_owned() }
    }

    #[test]
    fn every_status_and_end_action_has_its_next_ones() {
        let table = [
            (Open, Nothing, started("1"), ActiveMeeting, Nothing),
            (Open, Close, started("1"), ActiveMeeting, Close),
            (Open, Delete, started("1"), ActiveMeeting, Delete),
            (ActiveMeeting, Nothing, started("1"), ActiveMeeting, Nothing),
            (ActiveMeeting, Close, started("1"), ActiveMeeting, Close),
            (ActiveMeeting, Delete, started("1"), ActiveMeeting, Delete),
            (Closed, Nothing, started("1"), ActiveMeeting, Close),
            (Closed, Close, started("1"), ActiveMeeting, Close),
            (Open, Nothing, finished("1"), Open, Nothing),
            (Open, Close, finished("1"), Closed, Nothing),
            (Open, Delete, finished("1"), Open, Delete),
            (ActiveMeeting, Nothing, finished("1"), Open, Nothing),
            (ActiveMeeting, Close, finished("1"), Closed, Nothing),
            (ActiveMeeting, Delete, finished("1"), Open, Delete),
            (Closed, Nothing, finished("1"), Closed, Nothing),
            (Closed, Close, finished("1"), Closed, Nothing),
        ];
        for (status, action, news, status_then, action_then) in table {
            let mut after = room(status, action);
            after.hear(&news);
            let found = (after.status, after.meeting_end_action);
            assert_eq!(found, (status_then, action_then), "{status:?} {action:?} {news:?}");
        }
    }

    #[test]
    fn repeats_and_the_wrong_order_change_nothing() {
        let stories: [(&[MeetingNews], RoomStatus); 9] = [
            (&[started("1"), started("1")], ActiveMeeting),
            (&[started("1"), finished("1"), finished("1")], Open),
            (&[started("1"), finished("1"), started("1")], Open),
            (&[finished("1"), started("1")], Open),
            (&[started("1"), started("2"), finished("1")], ActiveMeeting),
            (&[started("1"), finished("2"), finished("1")], Open),
            (&[started("1"), finished("1"), started("2")], ActiveMeeting),
            (&[started(""), finished("")], Open),
            (&[started("1"), finished("")], Open),
        ];
        for (story, expected) in stories {
            let mut room = room(Open, Nothing);
            for news in story {
                room.hear(news);
            }
            assert_eq!(room.status, expected, "{story:?}");
        }
        let mut closing = room(ActiveMeeting, Close);
        closing.hear(&finished("1"));
        closing.hear(&finished("1"));
        assert_eq!(closing.status, Closed, "a repeat does not open it again");
    }
}
