//! What a failed call of the driver means to a caller.
//!
//! Owns the words for the log: the driver's own may hold parts of the URI, so those of a bad URI are not repeated.

use std::fmt::Display;

use ::mongodb::error::{Error, ErrorKind, WriteFailure};
use reelkeeper_actors::ports::PortError;

use super::STORE;

/// MongoDB's code for a key that is there already.
const DUPLICATE_KEY: i32 = 11_000;
/// Its codes for a wrong password and for missing rights.
const REFUSED: [i32; 3] = [13, 18, 8000];
/// Its codes for what another moment, or another primary, may do: time limits, elections, shutdowns.
const TEMPORARY: [i32; 12] = [50, 91, 189, 262, 10_107, 11_600, 11_602, 13_388, 13_435, 13_436, 64, 202];

/// Reads an error of the driver.
pub(super) fn of(subject: &dyn Display, error: &Error) -> PortError {
    match error.kind.as_ref() {
        ErrorKind::InvalidArgument { .. } | ErrorKind::InvalidTlsConfig { .. }
            if subject.to_string() == "connect" =>
        {
            let detail = "connect: the URI cannot be used; see MongoDB's manual for its form";
            PortError::misused(STORE, detail)
        }
        ErrorKind::Authentication { .. } => PortError::misused(
            STORE,
            format_args!("{subject}: MongoDB refuses the credentials; mend those of store.url"),
        ),
        ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => corrupt(subject, error),
        ErrorKind::BsonSerialization(error) => misused(subject, error),
        ErrorKind::Command(failed) if REFUSED.contains(&failed.code) => {
            let text = format!(
                "{subject}: MongoDB refuses it: {}; mend the credentials of store.url or their rights",
                failed.message
            );
            PortError::misused(STORE, text)
        }
        ErrorKind::Command(failed) if !TEMPORARY.contains(&failed.code) && error.labels().is_empty() => {
            misused(subject, error)
        }
        ErrorKind::Write(WriteFailure::WriteError(_))
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::IncompatibleServer { .. } => misused(subject, error),
        _ => unavailable(subject, error),
    }
}

/// Whether a write was refused because its key is there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(failed)) => failed.code == DUPLICATE_KEY,
        ErrorKind::Command(failed) => failed.code == DUPLICATE_KEY,
        _ => false,
    }
}

pub(super) fn corrupt(subject: &dyn Display, detail: impl Display) -> PortError {
    PortError::corrupt(STORE, format_args!("{subject}: {detail}"))
}

pub(super) fn misused(subject: &dyn Display, detail: impl Display) -> PortError {
    PortError::misused(STORE, format_args!("{subject}: {detail}"))
}

pub(super) fn unavailable(subject: &dyn Display, detail: impl Display) -> PortError {
    PortError::unavailable(STORE, format_args!("{subject}: {detail}"))
}
