//! What a failed call of the driver means to a caller.
//!
//! Owns the words for the log: the driver's own may hold parts of the URI, so those of a bad URI are not repeated.

use std::fmt::Display;

use ::mongodb::error::{Error, ErrorKind, WriteFailure};
use reelkeeper_actors::ports::PortError;

use super::STORE;

/// MongoDB's code for a key that is there already.
const DUPLICATE_KEY: i32 = 11_000;
/// MongoDB's code for what it can do nothing with.
const BAD_VALUE: i32 = 2;
/// Its codes for a wrong password and for missing rights.
const REFUSED: [i32; 3] = [13, 18, 8000];
/// Its codes for what another moment, or another primary, may do: hosts that are away, time limits, elections,
/// shutdowns, and what they do to reads that are under way.
const TEMPORARY: [i32; 21] = [
    6, 7, 43, 50, 64, 89, 91, 134, 175, 189, 202, 237, 262, 9001, 10_107, 11_600, 11_602, 13_388, 13_435,
    13_436, 10_058,
];

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
                without_command(&failed.message)
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

/// What MongoDB says to missing rights, without the command that it repeats: that holds what was to be written.
fn without_command(message: &str) -> &str {
    message.split(" to execute command").next().unwrap_or_default()
}

/// Whether an index that a query insists on is not there.
pub(super) fn is_bad_hint(error: &Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(failed) if failed.code == BAD_VALUE)
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

#[cfg(test)]
mod tests {
    use reelkeeper_actors::ports::PortErrorKind;

    use super::*;

    fn command_error(code: i32, message: &str) -> Error {
        let reply = ::mongodb::bson::doc! {"ok": 0, "code": code, "codeName": "x", "errmsg": message};
        let failed: ::mongodb::error::CommandError =
            ::mongodb::bson::deserialize_from_document(reply).unwrap();
        ErrorKind::Command(failed).into()
    }

    #[test]
    fn what_another_moment_may_do_is_no_fault_of_the_request() {
        // What the driver itself reads again, and cursors that died.
        for code in [11_600, 11_602, 10_107, 13_435, 13_436, 189, 91, 7, 6, 89, 9001, 134, 262, 43, 175, 237]
        {
            let error = of(&"x", &command_error(code, "later"));
            assert_eq!(error.kind, PortErrorKind::Unavailable, "{code}: {error}");
        }
        for code in [2, 9, 13, 18, 26] {
            let error = of(&"x", &command_error(code, "never"));
            assert_eq!(error.kind, PortErrorKind::Misused, "{code}: {error}");
        }
    }

    #[test]
    fn a_command_that_is_refused_is_not_repeated() {
        let said =
            "not authorized on meet to execute command { update: \"meetusers\", passwordHash: \"hush\" }";
        let error = of(&"user", &command_error(13, said)).to_string();
        assert!(error.contains("not authorized on meet;") && !error.contains("hush"), "{error}");
    }
}
