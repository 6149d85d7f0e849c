//! A room's status as its meetings come and go, and as clients change it (contract `rooms.md` 3).
//!
//! Owns the rule by which news of a meeting, or a client's wish, changes a room. LiveKit's news come twice, late or in
//! the wrong order, so a room remembers which meeting it heard of last, by LiveKit's sid: the end of another than
//! the running one, and the beginning of one that is over, are in doubt and change nothing until a look into LiveKit says
//! the same.

use super::config::ConfigPatch;
use super::{MeetingEndAction, Room, RoomStatus, WithRecordings};

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

/// Something that changes a room. What the room's status does not allow changes nothing: [`RoomChanged::before`]
/// says why.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomChange {
    /// LiveKit told of its meeting. Nothing if that is in doubt.
    Heard(MeetingNews),
    /// LiveKit told of its meeting what is in doubt, and a look into it says the same. Nothing if the room has heard of
    /// another meeting than this many since.
    Seen(MeetingNews, u32),
    /// A client opens it. A meeting goes on, and nothing happens at its end.
    Open,
    /// A client closes it: now, or at the end of its meeting.
    Close,
    /// A client changes what is possible in its meetings; never while there is one.
    Configure(ConfigPatch),
    /// Instead of being deleted it is closed, unless there is a meeting by now.
    CloseInstead,
    /// It is deleted, or closed, when its meeting ends; nothing if there is none.
    AtEnd(MeetingEndAction, WithRecordings),
    /// Its meeting is over, and it was not deleted: it is left closed or open. Nothing if it is not to be deleted.
    NotDeleted(RoomStatus),
}

/// A room before and after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomChanged {
    /// As it was.
    pub before: Room,
    /// As it is now.
    pub after: Room,
}

/// Since when a meeting without a sid is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Before,
    Now,
}

/// What a deletion rests on: whoever finds it otherwise looks again.
pub type Standing<'a> = (RoomStatus, MeetingEndAction, Option<WithRecordings>, Option<&'a str>);

impl Room {
    /// Where the room stands: its status, what happens at the end of its meeting, and which that was.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        (self.status, self.meeting_end_action, self.at_end, self.last_meeting.as_deref())
    }

    /// The room after a change.
    #[must_use]
    pub fn changed(mut self, change: &RoomChange) -> Self {
        let runs = self.status == RoomStatus::ActiveMeeting;
        match change {
            RoomChange::Heard(news) if !self.doubts(news) => self.hear(news),
            RoomChange::Seen(news, meetings) if self.meetings == *meetings && self.doubts(news) => {
                // A sid that is told of a second meeting makes it no first one.
                let is_another = u32::from(matches!(news, MeetingNews::Started { .. }));
                self.meetings = self.meetings.saturating_add(is_another);
                self.hear(news);
            }
            RoomChange::Open if runs => self.end_with(MeetingEndAction::None, None),
            RoomChange::Open => self.settle(RoomStatus::Open),
            RoomChange::Close if runs => self.end_with(MeetingEndAction::Close, None),
            RoomChange::Close => self.settle(RoomStatus::Closed),
            RoomChange::Configure(patch) if !runs => self.config = self.config.merged(patch.clone()),
            RoomChange::CloseInstead if !runs => self.settle(RoomStatus::Closed),
            RoomChange::AtEnd(action, policy) if runs => self.end_with(*action, Some(*policy)),
            RoomChange::NotDeleted(status) if self.meeting_end_action == MeetingEndAction::Delete => {
                self.settle(*status);
            }
            RoomChange::Heard(_)
            | RoomChange::Seen(..)
            | RoomChange::Configure(_)
            | RoomChange::CloseInstead
            | RoomChange::AtEnd(..)
            | RoomChange::NotDeleted(_) => {}
        }
        self
    }

    /// Whether news are most likely late or doubled, going by the sid: of the beginning of a meeting that is over, or of
    /// the end of another than the one that runs. LiveKit itself knows better.
    #[must_use]
    pub fn doubts(&self, news: &MeetingNews) -> bool {
        let runs = self.status == RoomStatus::ActiveMeeting;
        match (news, &self.last_meeting) {
            (MeetingNews::Started { sid } | MeetingNews::Finished { sid }, _) if sid.is_empty() => false,
            (MeetingNews::Started { sid }, last) => !runs && last.as_ref() == Some(sid),
            (MeetingNews::Finished { sid }, last) => runs && last.as_ref().is_some_and(|last| last != sid),
        }
    }

    fn end_with(&mut self, action: MeetingEndAction, policy: Option<WithRecordings>) {
        self.meeting_end_action = action;
        self.at_end = policy.filter(|_| action == MeetingEndAction::Delete);
    }

    fn settle(&mut self, status: RoomStatus) {
        self.status = status;
        self.end_with(MeetingEndAction::None, None);
    }

    /// A room that is to be deleted at the end stays as it is: whoever carries the deletion out finds it so.
    fn hear(&mut self, news: &MeetingNews) {
        let runs = self.status == RoomStatus::ActiveMeeting;
        match news {
            MeetingNews::Started { sid } => {
                // A room that was closed before this news came stays meant to be closed.
                if self.status == RoomStatus::Closed {
                    self.meeting_end_action = MeetingEndAction::Close;
                }
                self.status = RoomStatus::ActiveMeeting;
                self.remember(sid, if runs { Known::Before } else { Known::Now });
            }
            MeetingNews::Finished { sid } => {
                match (self.status, self.meeting_end_action) {
                    (_, MeetingEndAction::Close) => self.settle(RoomStatus::Closed),
                    (RoomStatus::Closed, _) | (_, MeetingEndAction::Delete) => {}
                    (_, MeetingEndAction::None) => self.status = RoomStatus::Open,
                }
                self.remember(sid, Known::Before);
            }
        }
    }

    /// A meeting that is new is counted, whether or not its sid was told.
    fn remember(&mut self, sid: &str, known: Known) {
        let is_new =
            if sid.is_empty() { known == Known::Now } else { self.last_meeting.as_deref() != Some(sid) };
        self.meetings = self.meetings.saturating_add(u32::from(is_new));
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
            (ActiveMeeting, Delete, finished("1"), ActiveMeeting, Delete),
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
            let heard = |room: Room, news: &MeetingNews| room.changed(&RoomChange::Heard(news.clone()));
            let room = story.iter().fold(room(Open, Nothing), heard);
            assert_eq!(room.status, expected, "{story:?}");
        }
        let mut closing = room(ActiveMeeting, Close);
        closing.hear(&finished("1"));
        closing.hear(&finished("1"));
        assert_eq!(closing.status, Closed, "a repeat does not open it again");
    }

    #[test]
    fn what_is_in_doubt_counts_once_livekit_says_the_same() {
        let heard = |room: Room, news: &MeetingNews| room.changed(&RoomChange::Heard(news.clone()));
        // A LiveKit that gives two meetings the same sid.
        let over = [started("1"), finished("1")].iter().fold(room(Open, Nothing), heard);
        assert!(over.doubts(&started("1")) && !over.doubts(&started("2")) && !over.doubts(&finished("1")));
        let again = over.clone().changed(&RoomChange::Seen(started("1"), over.meetings));
        assert_eq!((again.status, again.meetings), (ActiveMeeting, 2));
        let late = over.clone().changed(&RoomChange::Seen(started("1"), 0));
        assert_eq!(late, over, "it has heard of another meeting since");
        // The beginning of the second meeting was lost.
        let runs = heard(room(Open, Nothing), &started("1"));
        assert!(runs.doubts(&finished("2")) && !runs.doubts(&finished("")));
        let ended = runs.clone().changed(&RoomChange::Seen(finished("2"), runs.meetings));
        assert_eq!((ended.status, ended.meetings), (Open, 2));
    }

    #[test]
    fn clients_change_a_room_as_far_as_its_meeting_allows() {
        let wait = RoomChange::AtEnd(Delete, WithRecordings::Force);
        let table = [
            (Open, Nothing, RoomChange::Close, Closed, Nothing),
            (Closed, Nothing, RoomChange::Open, Open, Nothing),
            (Closed, Nothing, RoomChange::Close, Closed, Nothing),
            (ActiveMeeting, Nothing, RoomChange::Close, ActiveMeeting, Close),
            (ActiveMeeting, Delete, RoomChange::Close, ActiveMeeting, Close),
            (ActiveMeeting, Close, RoomChange::Open, ActiveMeeting, Nothing),
            (ActiveMeeting, Delete, RoomChange::Open, ActiveMeeting, Nothing),
            (Open, Nothing, RoomChange::CloseInstead, Closed, Nothing),
            (ActiveMeeting, Nothing, RoomChange::CloseInstead, ActiveMeeting, Nothing),
            (ActiveMeeting, Close, wait.clone(), ActiveMeeting, Delete),
            (Open, Nothing, wait, Open, Nothing),
            (ActiveMeeting, Delete, RoomChange::NotDeleted(Closed), Closed, Nothing),
            (ActiveMeeting, Nothing, RoomChange::NotDeleted(Closed), ActiveMeeting, Nothing),
        ];
        for (status, action, change, status_then, action_then) in table {
            let after = room(status, action).changed(&change);
            let found = (after.status, after.meeting_end_action);
            assert_eq!(found, (status_then, action_then), "{status:?} {action:?} {change:?}");
            assert_eq!(
                after.at_end.is_some(),
                matches!(change, RoomChange::AtEnd(..)) && action_then == Delete
            );
        }
        let off = || {
            let chat = Some(crate::meeting::Switch { enabled: false });
            RoomChange::Configure(ConfigPatch { chat, ..ConfigPatch::default() })
        };
        assert!(!room(Open, Nothing).changed(&off()).config.chat.enabled);
        assert!(room(ActiveMeeting, Nothing).changed(&off()).config.chat.enabled, "not during a meeting");
    }

    #[test]
    fn every_meeting_has_a_number_of_its_own_however_often_it_is_told() {
        let mut room = room(Open, Nothing);
        let told = [started("1"), started("1"), finished("1"), finished("1"), finished("2"), started("3")];
        let mut number = |news: MeetingNews| {
            room = room.clone().changed(&RoomChange::Heard(news));
            room.meetings
        };
        assert_eq!(told.map(&mut number), [1, 1, 1, 1, 2, 3]);
        let without = [finished(""), started(""), started(""), finished("")];
        assert_eq!(without.map(number), [3, 4, 4, 4]);
    }
}
