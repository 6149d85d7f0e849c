//! The words for callers who are not let in, and for logins, tokens, secrets and joining (contract
//! `access.md` 1 and 8). No secret and no token is ever repeated to whoever sent it.

use axum::http::StatusCode;
use reelkeeper_actors::access::Denied;
use reelkeeper_actors::ids::{RecordingId, RoomId};

use super::{Answer, Failure, SOON, name};
use crate::http::secret_limits::TooManyWrong;

/// Why a login, a token or a secret leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessFailure {
    /// No such user, or not with this password.
    WrongLogin,
    /// There is no refresh token.
    NoRefreshToken,
    /// The refresh token is wrong, or its password was changed since.
    BadRefreshToken,
    /// The current password is another.
    WrongPassword,
    /// The secret opens another room, or none.
    NotOfRoom(RoomId),
    /// The secret opens another recording, or none.
    NotOfRecording(RecordingId),
    /// Nobody may join.
    RoomClosed(RoomId),
    /// Nobody with this identity is in the meeting.
    NotInMeeting(RoomId, String),
    /// Who is in the meeting under this identity has another role than the secret's.
    OtherRole(RoomId, String),
    /// The room has no space for another name.
    NoNameLeft(RoomId),
    /// Too many secrets from the same address were wrong.
    TooManyWrong(TooManyWrong),
}

impl From<AccessFailure> for Failure {
    fn from(why: AccessFailure) -> Self {
        Self::Access(why)
    }
}

impl AccessFailure {
    pub(super) fn answer(&self) -> Answer {
        use StatusCode as S;
        match self {
            Self::WrongLogin => Answer::new(S::NOT_FOUND, name::LOGIN, "Invalid username or password"),
            Self::NoRefreshToken => {
                Answer::new(S::BAD_REQUEST, name::REFRESH_TOKEN, "No refresh token was sent")
            }
            Self::BadRefreshToken => {
                Answer::new(S::BAD_REQUEST, name::REFRESH_TOKEN, "Invalid refresh token")
            }
            Self::WrongPassword => {
                Answer::new(S::BAD_REQUEST, name::CHANGE_PASSWORD, "Invalid current password")
            }
            Self::NotOfRoom(room) => {
                let message = format!("The secret does not belong to room '{room}'");
                Answer::new(S::BAD_REQUEST, name::ROOM, message)
            }
            Self::NotOfRecording(recording) => {
                let message = format!("The secret does not belong to recording '{recording}'");
                Answer::new(S::BAD_REQUEST, name::RECORDING, message)
            }
            Self::RoomClosed(room) => {
                Answer::new(S::CONFLICT, name::ROOM, format!("Room '{room}' is closed and cannot be joined"))
            }
            Self::NotInMeeting(room, who) => {
                let message = format!("Participant '{who}' not found in room '{room}'");
                Answer::new(S::NOT_FOUND, name::PARTICIPANT, message)
            }
            Self::OtherRole(room, who) => {
                let message =
                    format!("Participant '{who}' of room '{room}' has another role than the secret");
                Answer::new(S::FORBIDDEN, name::AUTHORIZATION, message)
            }
            Self::NoNameLeft(room) => {
                let message = format!("No unique name could be given to a participant of room '{room}'");
                Answer::new(S::INTERNAL_SERVER_ERROR, name::INTERNAL, message)
            }
            Self::TooManyWrong(TooManyWrong { ends_in }) => {
                let message = "Too many wrong secrets, please try again later";
                Answer::new(S::TOO_MANY_REQUESTS, name::TOO_MANY, message).retry_after(*ends_in + SOON)
            }
        }
    }
}

pub(super) fn denied(why: Denied) -> Answer {
    let unknown = |message| Answer::new(StatusCode::UNAUTHORIZED, name::AUTHENTICATION, message);
    let forbidden = |message| Answer::new(StatusCode::FORBIDDEN, name::AUTHORIZATION, message);
    match why {
        Denied::NothingPresent => unknown("Unauthorized: no accepted credential was sent"),
        Denied::WrongApiKey => unknown("Invalid API key"),
        Denied::NoApiKeyConfigured => unknown("There is no API key yet, one must be made first"),
        Denied::BadToken => unknown("Invalid token"),
        Denied::BadMetadata => {
            let message = "The metadata of the room member token is invalid";
            Answer::new(StatusCode::BAD_REQUEST, name::ROOM, message)
        }
        Denied::UnknownUser => forbidden("The user of the token does not exist"),
        Denied::NotPermitted => forbidden("Insufficient permissions to access this resource"),
        Denied::OtherRoom => forbidden("The room member token is for another room"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_who_are_not_let_in_hear_the_contracts_status_and_name() {
        let table = [
            (Denied::NothingPresent, 401, name::AUTHENTICATION),
            (Denied::WrongApiKey, 401, name::AUTHENTICATION),
            (Denied::NoApiKeyConfigured, 401, name::AUTHENTICATION),
            (Denied::BadToken, 401, name::AUTHENTICATION),
            (Denied::BadMetadata, 400, name::ROOM),
            (Denied::UnknownUser, 403, name::AUTHORIZATION),
            (Denied::NotPermitted, 403, name::AUTHORIZATION),
            (Denied::OtherRoom, 403, name::AUTHORIZATION),
        ];
        for (why, status, error) in table {
            let answer = Failure::from(why).answer();
            assert_eq!((answer.status.as_u16(), answer.name), (status, error), "{why:?}");
        }
    }

    #[test]
    fn logins_secrets_and_joining_have_the_contracts_status_and_name() {
        let room = || RoomId::from_trusted("r-1");
        let recording = RecordingId::parse("r-1--EG_1--u").unwrap();
        let who = || "bob-1".to_owned();
        let table = [
            (AccessFailure::WrongLogin, 404, name::LOGIN, "Invalid"),
            (AccessFailure::NoRefreshToken, 400, name::REFRESH_TOKEN, "No refresh"),
            (AccessFailure::BadRefreshToken, 400, name::REFRESH_TOKEN, "Invalid"),
            (AccessFailure::WrongPassword, 400, name::CHANGE_PASSWORD, "current"),
            (AccessFailure::NotOfRoom(room()), 400, name::ROOM, "does not belong to room 'r-1'"),
            (AccessFailure::NotOfRecording(recording), 400, name::RECORDING, "'r-1--EG_1--u'"),
            (AccessFailure::RoomClosed(room()), 409, name::ROOM, "'r-1' is closed"),
            (AccessFailure::NotInMeeting(room(), who()), 404, name::PARTICIPANT, "'bob-1' not found"),
            (AccessFailure::OtherRole(room(), who()), 403, name::AUTHORIZATION, "'bob-1'"),
            (AccessFailure::NoNameLeft(room()), 500, name::INTERNAL, "'r-1'"),
        ];
        for (why, status, error, fragment) in table {
            let answer = Failure::from(why.clone()).answer();
            assert_eq!((answer.status.as_u16(), answer.name), (status, error), "{why:?}");
            assert!(answer.message.contains(fragment), "{why:?}: {}", answer.message);
        }
    }
}
