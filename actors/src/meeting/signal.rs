//! Signals: what those in a meeting are told about its room and themselves (contract `rooms.md` 8).
//!
//! Owns topics and payloads. Of recordings they are told by `recording/signal.rs`.

use serde::Serialize;

use super::RoomConfig;
use crate::access::permission::Role;
use crate::ids::RoomId;
use crate::recording::Timestamp;

/// What is possible in the meeting has changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigUpdated {
    room_id: RoomId,
    config: RoomConfig,
    timestamp: i64,
}

impl ConfigUpdated {
    /// LiveKit's topic of it.
    pub const TOPIC: &'static str = "meet_room_config_updated";

    /// This is possible from now on.
    #[must_use]
    pub fn of(room: &RoomId, config: &RoomConfig, at: Timestamp) -> Self {
        Self { room_id: room.clone(), config: config.clone(), timestamp: at.0 }
    }
}

/// Somebody has another role.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleUpdated {
    room_id: RoomId,
    participant_identity: String,
    new_role: Role,
    /// For themselves only: opens the room for the new role.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    timestamp: i64,
}

impl RoleUpdated {
    /// LiveKit's topic of it.
    pub const TOPIC: &'static str = "meet_participant_role_updated";

    /// What the others are told.
    #[must_use]
    pub fn of(room: &RoomId, identity: &str, new_role: Role, at: Timestamp) -> Self {
        Self {
            room_id: room.clone(),
            participant_identity: identity.to_owned(),
            new_role,
            secret: None,
            timestamp: at.0,
        }
    }

    /// What they are told themselves.
    #[must_use]
    pub fn with_secret(self, secret: Option<&str>) -> Self {
        Self { secret: secret.map(str::to_owned), ..self }
    }
}
