//! How a room comes into being and how it is shown (contract `rooms.md` 1).
//!
//! Pure: time, secrets and randomness are handed in. No room is made in LiveKit here.

use std::time::Duration;

use super::config::ConfigPatch;
use super::names::{self, RoomName};
use super::{
    AutoDeletionPolicy, MeetingEndAction, Room, RoomConfig, RoomStatus, WithMeeting, WithRecordings,
};
use crate::ids::RoomId;
use crate::recording::Timestamp;

/// What a client wants of a new room, all of it valid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewRoom {
    /// Its display name.
    pub name: RoomName,
    /// When to delete it, in milliseconds since 1970.
    pub auto_deletion_date: Option<f64>,
    /// How.
    pub auto_deletion_policy: Option<AutoDeletionPolicy>,
    /// What differs from the default configuration.
    pub config: ConfigPatch,
}

/// What is drawn for one new room.
#[derive(Clone)]
pub struct Drawn {
    /// Now.
    pub now: Timestamp,
    /// For its id.
    pub random: [u8; 16],
    /// Opens it for moderators.
    pub moderator_secret: String,
    /// Opens it for speakers.
    pub speaker_secret: String,
}

impl Default for AutoDeletionPolicy {
    fn default() -> Self {
        Self { with_meeting: WithMeeting::WhenMeetingEnds, with_recordings: WithRecordings::Close }
    }
}

/// Makes a room: open, with defaults for what the client left out. The policy is there even without a date.
#[must_use]
pub fn create(new: NewRoom, drawn: &Drawn) -> Room {
    let room_id = names::room_id(&new.name, drawn.random);
    Room {
        moderator_url: stored_url(&room_id, &drawn.moderator_secret),
        speaker_url: stored_url(&room_id, &drawn.speaker_secret),
        room_id,
        room_name: new.name.into(),
        creation_date: drawn.now.0,
        auto_deletion_date: new.auto_deletion_date,
        auto_deletion_policy: Some(new.auto_deletion_policy.unwrap_or_default()),
        config: RoomConfig::default().merged(new.config),
        status: RoomStatus::Open,
        meeting_end_action: MeetingEndAction::None,
        last_meeting: None,
        meetings: 0,
        at_end: None,
    }
}

/// Whether a room may be deleted at `date` (milliseconds since 1970): not before `least` from now.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53 for 285 000 years")]
pub fn is_late_enough(date: f64, now: Timestamp, least: Duration) -> bool {
    date >= now.plus(least).0 as f64
}

impl Room {
    /// The room as clients see it: with absolute URLs below the public base URL, which has no slash at its
    /// end, and without what is ours alone.
    #[must_use]
    pub fn as_shown(mut self, base_url: &str) -> Self {
        (self.last_meeting, self.meetings, self.at_end) = (None, 0, None);
        self.moderator_url.insert_str(0, base_url);
        self.speaker_url.insert_str(0, base_url);
        self
    }
}

fn stored_url(room: &RoomId, secret: &str) -> String {
    format!("/room/{room}?secret={secret}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::Switch;

    fn drawn() -> Drawn {
        Drawn {
            now: Timestamp(1_700_000_000_000),
            random: [0; 16],
            moderator_secret: "1111111111".to_owned(),
            speaker_secret: "2222222222".to_owned(),
        }
    }

    #[test]
    fn a_room_made_of_nothing_has_the_contracts_defaults() {
        let room = create(NewRoom::default(), &drawn()).as_shown("https://meet.example.org/meet");
        let expected = serde_json::json!({
            "roomId": "room-aaaaaaaaaaaaaaa",
            "roomName": "Room",
            "creationDate": 1_700_000_000_000_i64,
            "autoDeletionPolicy": {"withMeeting": "when_meeting_ends", "withRecordings": "close"},
            "config": RoomConfig::default(),
            "moderatorUrl": "https://meet.example.org/meet/room/room-aaaaaaaaaaaaaaa?secret=1111111111",
            "speakerUrl": "https://meet.example.org/meet/room/room-aaaaaaaaaaaaaaa?secret=2222222222",
            "status": "open",
            "meetingEndAction": "none"
        });
        assert_eq!(serde_json::to_value(room).unwrap(), expected);
    }

    #[test]
    fn what_the_client_wants_is_kept() {
        let policy =
            AutoDeletionPolicy { with_meeting: WithMeeting::Force, with_recordings: WithRecordings::Force };
        let room = create(
            NewRoom {
                name: RoomName::clean("Town Hall").unwrap(),
                auto_deletion_date: Some(1_800_000_000_000.5),
                auto_deletion_policy: Some(policy),
                config: ConfigPatch { e2ee: Some(Switch { enabled: true }), ..ConfigPatch::default() },
            },
            &drawn(),
        );
        assert_eq!(room.room_id.as_str(), "town_hall-aaaaaaaaaaaaaaa");
        assert_eq!(room.auto_deletion_date, Some(1_800_000_000_000.5));
        assert_eq!(room.auto_deletion_policy, Some(policy));
        assert!(!room.config.recording.enabled);
    }

    #[test]
    fn a_date_must_lie_far_enough_ahead() {
        let (now, hour) = (Timestamp(1_000), Duration::from_hours(1));
        let cases = [
            (3_601_000.0, hour, true),
            (3_600_999.5, hour, false),
            (1_000.0, Duration::ZERO, true),
            (999.0, Duration::ZERO, false),
            (f64::MAX, hour, true),
        ];
        for (date, least, expected) in cases {
            assert_eq!(is_late_enough(date, now, least), expected, "{date}");
        }
    }
}
