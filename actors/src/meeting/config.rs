//! A room's configuration: its defaults and how changes are merged into it (contract `rooms.md` 2).
//!
//! Owns the rule that a room with end-to-end encryption is never recorded.

use super::{AllowAccessTo, RecordingConfig, RoomConfig, Switch};
use crate::recording::encoding::{Encoding, Layout};

/// What a client wants changed. What it leaves out stays, or takes its default in a new room.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfigPatch {
    /// Whether and how to record.
    pub recording: Option<RecordingPatch>,
    /// Chat.
    pub chat: Option<Switch>,
    /// Virtual backgrounds.
    pub virtual_background: Option<Switch>,
    /// End-to-end encryption.
    pub e2ee: Option<Switch>,
    /// Live captions.
    pub captions: Option<Switch>,
}

/// What a client wants changed about recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingPatch {
    /// Whether recording is possible; a section that is sent always says so.
    pub enabled: bool,
    /// How the participants are arranged.
    pub layout: Option<Layout>,
    /// How picture and sound are encoded; replaces the whole encoding.
    pub encoding: Option<Encoding>,
    /// Who of the room's members may see recordings.
    pub allow_access_to: Option<AllowAccessTo>,
}

impl Default for RoomConfig {
    fn default() -> Self {
        let on = Switch { enabled: true };
        Self {
            recording: RecordingConfig {
                enabled: true,
                layout: Layout::default(),
                encoding: Encoding::default(),
                allow_access_to: Some(AllowAccessTo::AdminModeratorSpeaker),
            },
            chat: on,
            virtual_background: on,
            e2ee: Switch { enabled: false },
            captions: on,
        }
    }
}

impl RoomConfig {
    /// This configuration with a client's changes. End-to-end encryption turns recording off, and turning
    /// it off again does not turn recording on.
    #[must_use]
    pub fn merged(mut self, patch: ConfigPatch) -> Self {
        if let Some(recording) = patch.recording {
            self.recording = self.recording.merged(recording);
        }
        self.chat = patch.chat.unwrap_or(self.chat);
        self.virtual_background = patch.virtual_background.unwrap_or(self.virtual_background);
        self.e2ee = patch.e2ee.unwrap_or(self.e2ee);
        self.captions = patch.captions.unwrap_or(self.captions);
        if self.e2ee.enabled {
            self.recording.enabled = false;
        }
        self
    }
}

impl RecordingConfig {
    fn merged(self, patch: RecordingPatch) -> Self {
        Self {
            enabled: patch.enabled,
            layout: patch.layout.unwrap_or(self.layout),
            encoding: patch.encoding.unwrap_or(self.encoding),
            // Absent in old documents, where it means the same; newer ones must have it.
            allow_access_to: patch.allow_access_to.or(self.allow_access_to).or(Some(AllowAccessTo::Admin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::encoding::Preset;

    fn enabled() -> RecordingPatch {
        RecordingPatch { enabled: true, layout: None, encoding: None, allow_access_to: None }
    }

    #[test]
    fn the_default_is_the_contracts() {
        let expected = serde_json::json!({
            "recording": {
                "enabled": true, "layout": "grid", "encoding": "H264_720P_30",
                "allowAccessTo": "admin_moderator_speaker"
            },
            "chat": {"enabled": true},
            "virtualBackground": {"enabled": true},
            "e2ee": {"enabled": false},
            "captions": {"enabled": true}
        });
        assert_eq!(serde_json::to_value(RoomConfig::default()).unwrap(), expected);
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let encoding = Encoding::Preset(Preset::PortraitP1080F60);
        let config = RoomConfig::default().merged(ConfigPatch {
            recording: Some(RecordingPatch { encoding: Some(encoding.clone()), ..enabled() }),
            chat: Some(Switch { enabled: false }),
            ..ConfigPatch::default()
        });
        let mut expected = RoomConfig::default();
        expected.recording.encoding = encoding;
        expected.chat.enabled = false;
        assert_eq!(config, expected);
    }

    #[test]
    fn encryption_turns_recording_off_for_good() {
        let e2ee = |enabled| ConfigPatch { e2ee: Some(Switch { enabled }), ..ConfigPatch::default() };
        let both = ConfigPatch { recording: Some(enabled()), ..e2ee(true) };
        let encrypted = RoomConfig::default().merged(both);
        assert!(!encrypted.recording.enabled);
        assert!(!encrypted.merged(e2ee(false)).recording.enabled);
    }
}
