//! What clients are told when something is not done (contract `access.md` 8, `recordings.md` 2).
//!
//! Owns the words and statuses: [`Failure::answer`] is the one function that turns errors into responses.
//! Ids stand in single quotes; reference clients look for some of the fragments, which the tests list. Who is
//! not let in is told so by `error/access.rs`; what a room's actor refuses, by `error/refused.rs`.

mod access;
mod refused;
mod rooms;
mod webhooks;

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::Denied;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::orchestrator::RoomRefusal;
use reelkeeper_actors::ports::{PortError, PortErrorKind};
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::effect::Refusal;
use serde::Serialize;

pub use self::access::AccessFailure;
pub use self::refused::Subject;
use self::refused::refused;
pub use self::rooms::RoomFailure;
pub use self::webhooks::WebhookFailure;
use super::idempotency;
use super::unanswered::Unanswered;

/// Names as clients see them in `error`.
mod name {
    pub const AUTHENTICATION: &str = "Authentication Error";
    pub const AUTHORIZATION: &str = "Authorization Error";
    pub const BAD_REQUEST: &str = "Bad Request";
    pub const CHANGE_PASSWORD: &str = "Change Password Error";
    pub const CONFIGURATION: &str = "Configuration Error";
    pub const INTERNAL: &str = "Internal Server Error";
    pub const LOGIN: &str = "Login Error";
    pub const PARTICIPANT: &str = "Participant Error";
    pub const PATH: &str = "Path Not Found";
    pub const RECORDING: &str = "Recording Error";
    pub const REFRESH_TOKEN: &str = "Refresh Token Error";
    pub const REQUEST_TIMEOUT: &str = "Request Timeout";
    pub const ROOM: &str = "Room Error";
    pub const TOO_MANY: &str = "Too Many Requests";
    pub const UNAVAILABLE: &str = "Service Unavailable";
    pub const UNPROCESSABLE: &str = "Unprocessable Entity";
    pub const WEBHOOK: &str = "Webhook Error";
}

/// When to come back after a moment of overload.
const SOON: Duration = Duration::from_secs(1);
/// When to come back after a dependency was away, or a start timed out.
const LATER: Duration = Duration::from_secs(5);
/// When to come back to a room with too many unsettled recordings.
const MUCH_LATER: Duration = Duration::from_secs(30);

/// One broken rule of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// Dotted path of the field; empty for the body itself.
    pub field: String,
    /// What is wrong, in zod's words.
    pub message: String,
}

impl FieldFault {
    /// A broken rule and the field that breaks it.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Why a request is not answered with success.
#[derive(Debug)]
pub enum Failure {
    /// The body, or the path, cannot be read.
    Malformed(String),
    /// The request breaks these rules.
    Invalid(Vec<FieldFault>),
    /// The body is larger than allowed, in bytes.
    BodyTooLarge(usize),
    /// The body did not arrive in time.
    BodyTooSlow,
    /// The caller is not let in.
    Denied(Denied),
    /// A login, a token or a secret leads nowhere.
    Access(AccessFailure),
    /// No such path, or not with this method.
    UnknownPath(String),
    /// No such room.
    NoRoom(RoomId),
    /// Something about a room cannot be done.
    Room(RoomFailure),
    /// Something about outgoing webhooks cannot be done.
    Webhook(WebhookFailure),
    /// The room does not allow recording.
    RecordingDisabled(RoomId),
    /// No such recording.
    NoRecording(RecordingId),
    /// The recording is not one of the room that the caller is a member of.
    NotOfRoom(RecordingId, RoomId),
    /// No recording that was asked for is one of the room that the caller is a member of.
    NoneOfRoom(RoomId),
    /// The recording's file is missing or empty.
    NoFile(RecordingId),
    /// The recording has no file to stream, or not yet.
    NotStreamable(RecordingId, RecordingStatus),
    /// The range begins behind the file's end; the size is in bytes.
    RangeNotSatisfiable(RecordingId, u64),
    /// The room's actor said no.
    Refused(Subject, Refusal),
    /// One of several deletions is not through at the request's deadline; it may still be.
    NotDeletedInTime(RecordingId),
    /// A dependency failed.
    Port(PortError),
    /// An incoming webhook is not LiveKit's; why, for the log.
    UnsignedWebhook(String),
    /// This node is about to leave.
    Draining,
    /// Too many requests at once.
    Busy,
    /// The request's deadline passed while this dependency was waited for, if it was one.
    TooSlow(Option<&'static str>),
    /// We panicked.
    Panicked,
}

impl From<Denied> for Failure {
    fn from(why: Denied) -> Self {
        Self::Denied(why)
    }
}

impl From<FieldFault> for Failure {
    fn from(fault: FieldFault) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// An answer before it becomes a response.
struct Answer {
    status: StatusCode,
    name: &'static str,
    message: String,
    retry_after: Option<Duration>,
}

impl Answer {
    fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into(), retry_after: None }
    }

    fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }
}

impl Failure {
    /// A room's actor, or the front door, said no.
    #[must_use]
    pub fn refused(subject: Subject, refusal: Refusal) -> Self {
        match refusal {
            Refusal::KeyTaken => Self::invalid(idempotency::FIELD, "The key was used for another request"),
            refusal => Self::Refused(subject, refusal),
        }
    }

    /// Something about a room was not done.
    #[must_use]
    pub fn of_room(room: RoomId, refusal: RoomRefusal) -> Self {
        rooms::refused(room, refusal)
    }

    /// The name and the words alone, for an answer that tells of several failures.
    #[must_use]
    pub fn named_among_others(&self) -> (&'static str, String) {
        let answer = self.answer();
        self.log(&answer);
        (answer.name, answer.message)
    }

    /// A single broken rule.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldFault::new(field, message)])
    }

    /// Whether nothing is wrong with the request itself: it may be sent again later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.answer().status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// The words alone, for an answer that tells of several failures. Logged like an answer of its own.
    #[must_use]
    pub fn told_among_others(&self) -> String {
        let answer = self.answer();
        self.log(&answer);
        answer.message
    }

    fn answer(&self) -> Answer {
        use StatusCode as S;
        let recording = |status, message: String| Answer::new(status, name::RECORDING, message);
        let unavailable = |message: &str, pause| {
            Answer::new(S::SERVICE_UNAVAILABLE, name::UNAVAILABLE, message).retry_after(pause)
        };
        match self {
            Self::Malformed(what) => Answer::new(S::BAD_REQUEST, name::BAD_REQUEST, what.clone()),
            Self::Invalid(_) => Answer::new(S::UNPROCESSABLE_ENTITY, name::UNPROCESSABLE, "Invalid request"),
            Self::BodyTooLarge(limit) => {
                let message = format!("request body is larger than {limit} bytes");
                Answer::new(S::PAYLOAD_TOO_LARGE, name::BAD_REQUEST, message)
            }
            Self::BodyTooSlow => {
                let message = "The request body did not arrive in time";
                Answer::new(S::REQUEST_TIMEOUT, name::REQUEST_TIMEOUT, message)
            }
            Self::Denied(why) => access::denied(*why),
            Self::Access(why) => why.answer(),
            Self::UnknownPath(path) => {
                Answer::new(S::NOT_FOUND, name::PATH, format!("Path '{path}' not found"))
            }
            Self::NoRoom(room) => Answer::new(S::NOT_FOUND, name::ROOM, format!("Room '{room}' not found")),
            Self::Room(why) => why.answer(),
            Self::Webhook(why) => why.answer(),
            Self::RecordingDisabled(room) => {
                recording(S::FORBIDDEN, format!("Recording is disabled in room '{room}'"))
            }
            Self::NoRecording(id) => recording(S::NOT_FOUND, format!("Recording '{id}' not found")),
            Self::NotOfRoom(id, room) => {
                let message = format!("Recording '{id}' does not belong to room '{room}'");
                Answer::new(S::FORBIDDEN, name::AUTHORIZATION, message)
            }
            Self::NoneOfRoom(room) => {
                recording(S::BAD_REQUEST, format!("None of the recordings belongs to room '{room}'"))
            }
            Self::NotDeletedInTime(id) => {
                unavailable(&format!("It is not known yet whether recording '{id}' could be deleted"), LATER)
            }
            Self::NoFile(id) => recording(S::NOT_FOUND, format!("File of recording '{id}' not found")),
            Self::NotStreamable(id, status) => recording(S::CONFLICT, not_streamable(id, *status)),
            Self::RangeNotSatisfiable(id, size) => {
                let message = format!("Recording '{id}' range not satisfiable. File size: {size}");
                recording(S::RANGE_NOT_SATISFIABLE, message)
            }
            Self::Refused(subject, refusal) => refused(subject, refusal),
            Self::Port(error) if error.kind == PortErrorKind::Unavailable => {
                unavailable(&dependency_away(error.dependency), LATER)
            }
            Self::Port(error) => {
                let message = format!("Dependency '{}' refused what was asked of it", error.dependency);
                Answer::new(S::INTERNAL_SERVER_ERROR, name::INTERNAL, message)
            }
            Self::UnsignedWebhook(_) => {
                Answer::new(S::UNAUTHORIZED, name::AUTHENTICATION, "Invalid webhook signature")
            }
            Self::Draining => unavailable("This node is shutting down", SOON),
            Self::Busy => unavailable("Too many requests at once", SOON),
            Self::TooSlow(None) => unavailable("The request took too long", LATER),
            Self::TooSlow(Some(dependency)) => {
                unavailable(&format!("The request took too long: it waited for {dependency}"), LATER)
            }
            Self::Panicked => {
                Answer::new(S::INTERNAL_SERVER_ERROR, name::INTERNAL, "Unexpected error while answering")
            }
        }
    }

    /// What operators need to know beyond the answer.
    fn log(&self, answer: &Answer) {
        let status = answer.status.as_u16();
        match self {
            Self::Port(error) => tracing::warn!(status, %error, "request failed"),
            Self::UnsignedWebhook(reason) => tracing::warn!(status, reason, "incoming webhook not taken"),
            // Whoever missed the dependency has said so.
            Self::Refused(
                _,
                Refusal::Unavailable { .. } | Refusal::DeletionOwed { .. } | Refusal::StopOwed,
            ) => {
                tracing::debug!(status, reason = answer.message, "request refused");
            }
            Self::Busy | Self::Draining | Self::Refused(_, Refusal::Draining | Refusal::Overloaded) => {
                tracing::debug!(status, reason = answer.message, "request shed");
            }
            _ if answer.status.is_server_error() => {
                tracing::warn!(status, reason = answer.message, "request failed");
            }
            _ => tracing::debug!(status, reason = answer.message, "request refused"),
        }
    }
}

fn not_streamable(id: &RecordingId, status: RecordingStatus) -> String {
    if status.is_terminal() {
        return format!("Recording '{id}' has no file, its status is '{}'", status.name());
    }
    format!("Recording '{id}' is not stopped yet")
}

fn dependency_away(dependency: &str) -> String {
    format!("Dependency '{dependency}' is unavailable")
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let answer = self.answer();
        self.log(&answer);
        let mut headers = HeaderMap::new();
        if let Some(pause) = answer.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs()));
        }
        match self {
            // The contract gives this one no JSON body; what is left of the request is not read.
            Self::BodyTooLarge(_) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                return (answer.status, headers, answer.message).into_response();
            }
            Self::RangeNotSatisfiable(_, size) => {
                let range = HeaderValue::try_from(format!("bytes */{size}"));
                headers.extend(range.map(|range| (header::CONTENT_RANGE, range)));
            }
            _ => {}
        }
        let details = if let Self::Invalid(faults) = &self { faults.as_slice() } else { &[] };
        let body = ErrorBody { error: answer.name, message: &answer.message, details };
        let mut response = (answer.status, headers, Json(body)).into_response();
        if matches!(self, Self::Refused(_, Refusal::Unanswerable)) {
            response.extensions_mut().insert(Unanswered);
        }
        response
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [FieldFault],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> RecordingId {
        RecordingId::parse("r-1--EG_1--u").unwrap()
    }

    #[test]
    fn refusals_have_the_contracts_status_name_and_words() {
        let start = || Subject::Start(RoomId::from_trusted("r-1"));
        let stop = || Subject::Stop(recording());
        let delete = || Subject::Delete(recording());
        let reason = || "no disk".to_owned();
        let cases = [
            (start(), Refusal::AlreadyRecording, 409, name::RECORDING, "'r-1' is already"),
            (start(), Refusal::NoParticipants, 409, name::RECORDING, "'r-1' has no participants"),
            (start(), Refusal::TimedOutStarting, 503, name::RECORDING, "timed out while starting"),
            (start(), Refusal::StartFailed { reason: reason() }, 500, name::RECORDING, "no disk"),
            (start(), Refusal::TooManyUnsettled, 503, name::UNAVAILABLE, "too many"),
            (stop(), Refusal::StillStarting, 409, name::RECORDING, "still starting"),
            (stop(), Refusal::AlreadyStopped, 409, name::RECORDING, "'r-1--EG_1--u' is already stopped"),
            (stop(), Refusal::NotFound, 404, name::RECORDING, "'EG_1' of Recording 'r-1--EG_1--u' not found"),
            (stop(), Refusal::StopFailed { reason: reason() }, 500, name::RECORDING, "no disk"),
            (stop(), Refusal::StopOwed, 503, name::UNAVAILABLE, "will be carried out"),
            (
                delete(),
                Refusal::DeletionOwed { dependency: "blobs" },
                503,
                name::UNAVAILABLE,
                "Dependency 'blobs' is unavailable; the deletion of Recording 'r-1--EG_1--u' is remembered",
            ),
            (delete(), Refusal::NotStopped, 409, name::RECORDING, "not stopped yet"),
            (delete(), Refusal::NotFound, 404, name::RECORDING, "Recording 'r-1--EG_1--u' not found"),
            (start(), Refusal::Unavailable { dependency: "store" }, 503, name::UNAVAILABLE, "'store'"),
            (start(), Refusal::UnderWay, 503, name::UNAVAILABLE, "still under way"),
            (start(), Refusal::KeyTaken, 422, name::UNPROCESSABLE, "Invalid request"),
            (start(), Refusal::Draining, 503, name::UNAVAILABLE, "shutting down"),
            (start(), Refusal::Broken, 500, name::INTERNAL, "'r-1'"),
        ];
        for (subject, refusal, status, error, fragment) in cases {
            let answer = Failure::Refused(subject, refusal.clone()).answer();
            assert_eq!((answer.status.as_u16(), answer.name), (status, error), "{refusal:?}");
            assert!(answer.message.contains(fragment), "{refusal:?}: {}", answer.message);
            assert_eq!(answer.retry_after.is_some(), status == 503, "{refusal:?}");
        }
    }

    #[test]
    fn other_failures_have_the_contracts_status_name_and_words() {
        let room = || RoomId::from_trusted("r-1");
        let cases = [
            (Failure::NoRoom(room()), 404, name::ROOM, "'r-1' not found"),
            (Failure::RecordingDisabled(room()), 403, name::RECORDING, "'r-1'"),
            (Failure::NoRecording(recording()), 404, name::RECORDING, "not found"),
            (Failure::NoFile(recording()), 404, name::RECORDING, "not found"),
            (
                Failure::NotOfRoom(recording(), room()),
                403,
                name::AUTHORIZATION,
                "does not belong to room 'r-1'",
            ),
            (Failure::NoneOfRoom(room()), 400, name::RECORDING, "belongs to room 'r-1'"),
            (Failure::NotDeletedInTime(recording()), 503, name::UNAVAILABLE, "could be deleted"),
            (
                Failure::NotStreamable(recording(), RecordingStatus::Active),
                409,
                name::RECORDING,
                "not stopped yet",
            ),
            (Failure::NotStreamable(recording(), RecordingStatus::Failed), 409, name::RECORDING, "'failed'"),
            (
                Failure::RangeNotSatisfiable(recording(), 7),
                416,
                name::RECORDING,
                "range not satisfiable. File size: 7",
            ),
            (Failure::Port(PortError::unavailable("blobs", "x")), 503, name::UNAVAILABLE, "'blobs'"),
            (Failure::Port(PortError::corrupt("store", "x")), 500, name::INTERNAL, "store"),
            (Failure::UnknownPath("/x".to_owned()), 404, name::PATH, "/x"),
            (Failure::Busy, 503, name::UNAVAILABLE, "Too many"),
            (Failure::TooSlow(None), 503, name::UNAVAILABLE, "too long"),
            (Failure::TooSlow(Some("blobs")), 503, name::UNAVAILABLE, "blobs"),
            (Failure::Panicked, 500, name::INTERNAL, "Unexpected"),
        ];
        for (failure, status, error, fragment) in cases {
            let answer = failure.answer();
            assert_eq!((answer.status.as_u16(), answer.name), (status, error), "{failure:?}");
            assert!(answer.message.contains(fragment), "{failure:?}: {}", answer.message);
        }
    }
}
