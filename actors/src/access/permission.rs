//! What a member of a room may do: role by access level (contract `access.md` 2).
//!
//! Owns the table. A token fixes the outcome when it is issued; a later change of the room's level touches
//! only tokens issued afterwards.

use serde::{Deserialize, Serialize};

use crate::meeting::AllowAccessTo;

/// What somebody is in a room; the secret they came with says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the meeting.
    Moderator,
    /// Takes part in it.
    Speaker,
}

impl Role {
    /// In the order in which the contract lists them.
    pub const ALL: [Self; 2] = [Self::Moderator, Self::Speaker];
}

/// What a member of a room may do, in the contract's words. All five are always said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the contract's five, each for itself")]
pub struct Permissions {
    /// Start and stop recordings.
    pub can_record: bool,
    /// See recordings and their files.
    pub can_retrieve_recordings: bool,
    /// Delete recordings.
    pub can_delete_recordings: bool,
    /// Chat.
    pub can_chat: bool,
    /// Change the own background.
    pub can_change_virtual_background: bool,
}

impl Permissions {
    /// Those of a role in a room with this access level. None, as in old rooms, counts as the strictest.
    #[must_use]
    pub fn of(role: Role, level: Option<AllowAccessTo>) -> Self {
        let moderates = role == Role::Moderator;
        let (moderators, speakers) = match level {
            None | Some(AllowAccessTo::Admin) => (false, false),
            Some(AllowAccessTo::AdminModerator) => (true, false),
            Some(AllowAccessTo::AdminModeratorSpeaker) => (true, true),
        };
        Self {
            can_record: moderates,
            can_retrieve_recordings: if moderates { moderators } else { speakers },
            can_delete_recordings: moderates && moderators,
            can_chat: true,
            can_change_virtual_background: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_and_level_say_what_a_member_may_do() {
        use AllowAccessTo::{Admin, AdminModerator, AdminModeratorSpeaker};
        use Role::{Moderator, Speaker};
        // record, retrieve, delete
        let table = [
            (Moderator, Some(Admin), [true, false, false]),
            (Moderator, Some(AdminModerator), [true, true, true]),
            (Moderator, Some(AdminModeratorSpeaker), [true, true, true]),
            (Moderator, None, [true, false, false]),
            (Speaker, Some(Admin), [false, false, false]),
            (Speaker, Some(AdminModerator), [false, false, false]),
            (Speaker, Some(AdminModeratorSpeaker), [false, true, false]),
            (Speaker, None, [false, false, false]),
        ];
        for (role, level, expected) in table {
            let may = Permissions::of(role, level);
            let found = [may.can_record, may.can_retrieve_recordings, may.can_delete_recordings];
            assert_eq!(found, expected, "{role:?} at {level:?}");
            assert!(may.can_chat && may.can_change_virtual_background, "{role:?} at {level:?}");
        }
    }
}
