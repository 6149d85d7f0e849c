//! Access: who calls and what they may do (contract `access.md` 1 to 3, `recordings.md` 2).
//!
//! Owns the rights of every kind of caller and which failure is told when a request is not let in. Pure:
//! signatures, stores and clocks are asked elsewhere, and what they say comes in here. A right is held
//! against the room of a path, of a recording's id or (start only) of the validated body; nothing else ever
//! names the room. Read `access/permission.rs` next, then `claims.rs`.

pub mod claims;
pub mod permission;
pub mod secret;
pub mod user;

use self::permission::{Permissions, Role};
use crate::ids::RoomId;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Look at a room and its configuration.
    SeeRoom,
    /// Moderate the meeting, and see the URL for those who do.
    Moderate,
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
    /// Their identity in its meeting; none if they do not join it.
    pub identity: Option<String>,
    /// What they are in it.
    pub role: Role,
    /// What they may do in it.
    pub permissions: Permissions,
}

impl Member {
    /// A name that is the same with each of their tokens. Those who do not join are one by their role.
    #[must_use]
    pub fn name(&self) -> String {
        let role = match self.role {
            Role::Moderator => "moderator",
            Role::Speaker => "speaker",
        };
        let identity = self.identity.as_deref().map(|identity| format!(":{identity}"));
        format!("member:{}:{role}{}", self.room, identity.unwrap_or_default())
    }
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
    /// The token's signature, issuer, time or use is wrong, or its password was changed since.
    BadToken,
    /// The metadata of a member's token says nothing that can be read.
    BadMetadata,
    /// The access token is for nobody who is stored.
    UnknownUser,
    /// The caller lacks the role or the permission, whatever the room.
    NotPermitted,
    /// The caller is a member of another room.
    OtherRoom,
}

/// Who calls, by the credentials that a request shows of those its route accepts, each looked at, in the
/// order in which the route accepts them: the first that is right, else why the last one is not.
///
/// # Errors
/// See [`Denied`]; without any, [`Denied::NothingPresent`].
pub fn first_accepted(looked_at: impl IntoIterator<Item = Result<Caller, Denied>>) -> Result<Caller, Denied> {
    let mut last = Denied::NothingPresent;
    for outcome in looked_at {
        match outcome {
            Ok(caller) => return Ok(caller),
            Err(denied) => last = denied,
        }
    }
    Err(last)
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
                Right::Moderate => member.role == Role::Moderator,
                Right::Record => member.permissions.can_record,
                Right::Retrieve => member.permissions.can_retrieve_recordings,
                Right::Delete => member.permissions.can_delete_recordings,
            },
            Self::SecretHolder(_) => right == Right::Retrieve,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::AllowAccessTo;

    fn member(role: Role, level: AllowAccessTo) -> Caller {
        let permissions = Permissions::of(role, Some(level));
        Caller::Member(Member { room: RoomId::from_trusted("own"), identity: None, role, permissions })
    }

    #[test]
    fn the_first_success_counts_else_the_last_failure() {
        use Denied::{BadToken, NotPermitted, NothingPresent, WrongApiKey};
        let (key, admin) = (Ok(Caller::ApiKey), Ok(Caller::Admin));
        let table = [
            (vec![], Err(NothingPresent)),
            (vec![key.clone(), admin.clone()], key),
            (vec![Err(WrongApiKey), admin.clone()], admin.clone()),
            (vec![Err(WrongApiKey), Err(NotPermitted), Err(BadToken)], Err(BadToken)),
            (vec![Err(BadToken), Err(NotPermitted)], Err(NotPermitted)),
            (vec![admin.clone(), Err(BadToken)], admin),
        ];
        for (looked_at, expected) in table {
            assert_eq!(first_accepted(looked_at.clone()), expected, "{looked_at:?}");
        }
    }

    #[test]
    fn every_caller_has_the_contracts_rights_in_the_own_room_and_in_another() {
        use AllowAccessTo::{Admin, AdminModerator, AdminModeratorSpeaker};
        use Right::{Delete, Moderate, Record, Retrieve, SeeRoom};
        use Role::{Moderator, Speaker};
        let rights = [SeeRoom, Moderate, Record, Retrieve, Delete];
        let (all, none) = ([true; 5], [false; 5]);
        let seer = [false, false, false, true, false];
        let table = [
            (Caller::ApiKey, all, all),
            (Caller::Admin, all, all),
            (member(Moderator, Admin), [true, true, true, false, false], none),
            (member(Moderator, AdminModerator), all, none),
            (member(Moderator, AdminModeratorSpeaker), all, none),
            (member(Speaker, Admin), [true, false, false, false, false], none),
            (member(Speaker, AdminModerator), [true, false, false, false, false], none),
            (member(Speaker, AdminModeratorSpeaker), [true, false, false, true, false], none),
            (Caller::SecretHolder(RecordingSecret::Public), seer, seer),
            (Caller::SecretHolder(RecordingSecret::Private), seer, seer),
        ];
        for (caller, in_own, in_other) in table {
            let may =
                |room: &str| rights.map(|right| caller.check_in(right, &RoomId::from_trusted(room)).is_ok());
            assert_eq!((may("own"), may("other")), (in_own, in_other), "{caller:?}");
            assert_eq!(rights.map(|right| caller.check(right).is_ok()), in_own, "{caller:?} anywhere");
        }
        let stranger = member(Moderator, Admin).check_in(Right::Delete, &RoomId::from_trusted("other"));
        assert_eq!(stranger, Err(Denied::OtherRoom));
        assert_eq!(member(Speaker, Admin).check(Right::Record), Err(Denied::NotPermitted));
    }
}
