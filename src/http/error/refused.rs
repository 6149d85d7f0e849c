//! The words for what a room's actor, or the front door, refuses (design 4).

use axum::http::StatusCode;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::recording::effect::Refusal;

use super::{Answer, Failure, LATER, MUCH_LATER, dependency_away, name};

/// What a refused request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Starting a recording in a room.
    Start(RoomId),
    /// Stopping a recording.
    Stop(RecordingId),
    /// Deleting a recording.
    Delete(RecordingId),
}

/// The words for each refusal.
pub(super) fn refused(subject: &Subject, refusal: &Refusal) -> Answer {
    let what = subject.words();
    let conflict = |message: String| Answer::new(StatusCode::CONFLICT, name::RECORDING, message);
    let broken = |message: String| Answer::new(StatusCode::INTERNAL_SERVER_ERROR, name::RECORDING, message);
    let unavailable = |error, message: String| {
        Answer::new(StatusCode::SERVICE_UNAVAILABLE, error, message).retry_after(LATER)
    };
    match refusal {
        Refusal::AlreadyRecording => conflict(format!("{what} is already being recorded")),
        Refusal::NoParticipants => conflict(format!("{what} has no participants")),
        Refusal::TimedOutStarting => unavailable(
            name::RECORDING,
            format!("Recording in {what} timed out while starting; it is stopped should it start late"),
        ),
        Refusal::StartFailed { reason } => broken(format!("Recording in {what} could not start: {reason}")),
        Refusal::TooManyUnsettled => {
            unavailable(name::UNAVAILABLE, format!("{what} has too many recordings whose end is not known"))
                .retry_after(MUCH_LATER)
        }
        Refusal::StillStarting => {
            conflict(format!("{what} is still starting; the stop is remembered and will be carried out"))
        }
        Refusal::AlreadyStopped => conflict(format!("{what} is already stopped")),
        Refusal::NotStopped => conflict(format!("{what} is not stopped yet")),
        Refusal::NotFound | Refusal::NotHeld => {
            Answer::new(StatusCode::NOT_FOUND, name::RECORDING, subject.not_found())
        }
        Refusal::StopFailed { reason } => broken(format!(
            "{what} could not be stopped: {reason}; the stop is remembered and will be tried again"
        )),
        Refusal::StopOwed => unavailable(
            name::UNAVAILABLE,
            format!("{what} is not stopped for now; the stop is remembered and will be carried out"),
        ),
        Refusal::DeletionOwed { dependency } => unavailable(
            name::UNAVAILABLE,
            format!(
                "{}; the deletion of {what} is remembered and will be carried out",
                dependency_away(dependency)
            ),
        ),
        Refusal::UnderWay => {
            unavailable(name::UNAVAILABLE, format!("The same request for {what} is still under way"))
        }
        // Told as a broken rule.
        Refusal::KeyTaken => Failure::refused(subject.clone(), Refusal::KeyTaken).answer(),
        Refusal::Unavailable { dependency } => unavailable(name::UNAVAILABLE, dependency_away(dependency)),
        Refusal::Draining => Failure::Draining.answer(),
        Refusal::Overloaded => Failure::Busy.answer(),
        // Never sent: the connection is closed instead.
        Refusal::Unanswerable => Answer::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            name::INTERNAL,
            format!("It is not known how the request for {what} ended"),
        ),
        Refusal::Broken => Answer::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            name::INTERNAL,
            format!("Unexpected error while handling {what}"),
        ),
    }
}

impl Subject {
    fn words(&self) -> String {
        match self {
            Self::Start(room) => format!("Room '{room}'"),
            Self::Stop(recording) | Self::Delete(recording) => format!("Recording '{recording}'"),
        }
    }

    /// A stop is looked for by its egress, so its text names that.
    fn not_found(&self) -> String {
        match self {
            Self::Stop(recording) => format!("Egress '{}' of {} not found", recording.egress, self.words()),
            _ => format!("{} not found", self.words()),
        }
    }
}
