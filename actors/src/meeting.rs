//! The meeting: a Meet room as clients see it, as opposed to the room actor.
//!
//! Owns the room resource (contract `rooms.md` 1 and 2). Pure: never asks a clock or a store. Read
//! `meeting/creation.rs` next.

pub mod config;
pub mod creation;
pub mod deletion;
pub mod joining;
pub mod names;
pub mod notice;
pub mod signal;
pub mod status;

use serde::{Deserialize, Serialize};

use crate::ids::RoomId;
use crate::recording::encoding::{Encoding, Layout};

/// A Meet room as it is stored and shown; URLs are stored from `/room/` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Also the name of its LiveKit room.
    pub room_id: RoomId,
    /// Display name, not unique.
    pub room_name: String,
    /// Milliseconds since 1970.
    pub creation_date: i64,
    /// Milliseconds since 1970, decimals accepted.
    #[serde(default, with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub auto_deletion_date: Option<f64>,
    /// What to do at that date; may be missing in old documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_deletion_policy: Option<AutoDeletionPolicy>,
    /// What is possible in its meetings.
    pub config: RoomConfig,
    /// `/room/<roomId>?secret=<secret>` for moderators.
    pub moderator_url: String,
    /// `/room/<roomId>?secret=<secret>` for speakers.
    pub speaker_url: String,
    /// Whether it is open, in a meeting, or closed.
    pub status: RoomStatus,
    /// What happens when the meeting ends.
    pub meeting_end_action: MeetingEndAction,
    /// LiveKit's id of the meeting that we heard of last, running or over. Ours alone: clients never see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_meeting: Option<String>,
    /// How many meetings we heard of; numbers the notices about them. Ours alone.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub meetings: u32,
    /// What a deletion at the meeting's end does to recordings. Ours alone; not known if a node of OpenVidu Meet
    /// decided on the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_end: Option<WithRecordings>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_none_yet(count: &u32) -> bool {
    *count == 0
}

/// Whether a room is open, in a meeting, or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomStatus {
    /// Nobody is in; anybody with a secret may come.
    Open,
    /// Somebody is in.
    ActiveMeeting,
    /// Nobody may come.
    Closed,
}

impl RoomStatus {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Open, Self::ActiveMeeting, Self::Closed];

    /// The name as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ActiveMeeting => "active_meeting",
            Self::Closed => "closed",
        }
    }
}

/// What happens to a room when its meeting ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeetingEndAction {
    /// Nothing.
    None,
    /// It is closed.
    Close,
    /// It is deleted.
    Delete,
}

/// What to do with a room at its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoDeletionPolicy {
    /// If there is a meeting. What an old document leaves out refuses.
    #[serde(default)]
    pub with_meeting: WithMeeting,
    /// If there are recordings.
    #[serde(default)]
    pub with_recordings: WithRecordings,
}

/// What a deletion does to a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithMeeting {
    /// Waits for its end; the default of the API.
    WhenMeetingEnds,
    /// Ends it.
    Force,
    /// Refuses. Never accepted from clients as a policy; found in old documents.
    #[default]
    Fail,
}

/// What a deletion does to recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithRecordings {
    /// Closes the room instead; the default of the API.
    Close,
    /// Deletes them.
    Force,
    /// Refuses. Never accepted from clients as a policy; found in old documents.
    #[default]
    Fail,
}

/// What is possible in the meetings of a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomConfig {
    /// Recording.
    pub recording: RecordingConfig,
    /// Chat.
    pub chat: Switch,
    /// Virtual backgrounds.
    pub virtual_background: Switch,
    /// End-to-end encryption; forces recording off.
    pub e2ee: Switch,
    /// Live captions.
    pub captions: Switch,
}

/// Something that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// On or off.
    pub enabled: bool,
}

/// Whether and how a room is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingConfig {
    /// Whether recording is possible at all.
    pub enabled: bool,
    /// Used unless the start names another.
    #[serde(default)]
    pub layout: Layout,
    /// Used unless the start names another.
    #[serde(default)]
    pub encoding: Encoding,
    /// Who of the room's members may see recordings; absent in old documents, then nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_access_to: Option<AllowAccessTo>,
}

/// Who of the room's members may see recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowAccessTo {
    /// Nobody but admins.
    Admin,
    /// Moderators too.
    AdminModerator,
    /// Speakers too; the default.
    AdminModeratorSpeaker,
}
