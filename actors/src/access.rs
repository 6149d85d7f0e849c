//! Access: who calls and what they may do (contract `access.md` 1 to 3, `recordings.md` 2).
//!
//! Owns the rights of every kind of caller and which failure is told when a request is not let in. Pure:
//! signatures, stores and clocks are asked elsewhere, and what they say comes in here. A right is held
//! against the room of a path, of a recording's id or (start only) of the validated body; nothing else ever
//! names the room. Read `access/permission.rs` next.

pub mod permission;

use self::permission::{Permissions, Role};
use crate::ids::RoomId;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Look at a room and its configuration.
    SeeRoom,
    /// Start and stop recordings.
    Record,
    /// See recordings and their files.
    Retrieve,
    /// Delete recordings.
    Delete,
}

/// Who calls, as far as it matters to what they may do and see. That a route takes this kind of caller at
/// all is settled before there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Holds the API key: may do everything.
    ApiKey,
    /// A user with the role `admin`: may do everything.
    Admin,
    /// A member of one room, as their token says.
    Member(Member),
    /// Holds a secret of the very recording that is asked for.
    SecretHolder(RecordingSecret),
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The only room whose things they may touch.
    pub room: RoomId,
    /// What they are in it.
    pub role: Role,
    /// What they may do in it.
    pub permissions: Permissions,
}

/// Which secret of a recording was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingSecret {
    /// Opens it for anybody.
    Public,
    /// Opens it for users who are logged in.
    Private,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// None of the accepted credentials is there.
    NothingPresent,
    /// The API key is wrong.
    WrongApiKey,
    /// There is no API key that could be right.
    NoApiKeyConfigured,
    /// The caller may not do this in any room.
    NotPermitted,
    /// The caller is a member of another room.
    OtherRoom,
}

impl Caller {
    /// Whether the caller has this right anywhere. For requests that name no room; see [`Self::room`].
    ///
    /// # Errors
    /// [`Denied::NotPermitted`].
    pub fn check(&self, right: Right) -> Result<(), Denied> {
        if self.has(right) { Ok(()) } else { Err(Denied::NotPermitted) }
    }

    /// Whether the caller has this right in this room.
    ///
    /// # Errors
    /// [`Denied::OtherRoom`] or [`Denied::NotPermitted`].
    pub fn check_in(&self, right: Right, room: &RoomId) -> Result<(), Denied> {
        if self.room().is_some_and(|own| own != room) {
            return Err(Denied::OtherRoom);
        }
        self.check(right)
    }

    /// The only room whose things this caller may see or touch; none if there is no such bound.
    #[must_use]
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Member(member) => Some(&member.room),
            Self::ApiKey | Self::Admin | Self::SecretHolder(_) => None,
        }
    }

    fn has(&self, right: Right) -> bool {
        match self {
            Self::ApiKey | Self::Admin => true,
            Self::Member(member) => match right {
                Right::SeeRoom => true,
                Right::Record => member.permissions.can_record,
                Right::Retrieve => member.permissions.can_retrieve_recordings,
                Right::Delete => member.permissions.can_delete_recordings,
            },
            Self::SecretHolder(_) => right == Right::Retrieve,
        }
    }
}
