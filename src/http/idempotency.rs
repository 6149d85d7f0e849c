//! The header `Idempotency-Key` (design 4): a start or a stop that is sent again under the same key is carried
//! out once, and told the same.
//!
//! Owns the syntax of the header, and what makes two requests the same. What was answered before is kept by
//! the core.

use axum::http::{HeaderMap, HeaderValue};
use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::orchestrator::{KeyedRequest, StartOptions};
use reelkeeper_actors::ports::keys::{Operation, ScopedKey};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::{Failure, FieldFault};

/// Carries the key.
const HEADER: &str = "idempotency-key";
/// The name that a fault is reported under.
pub const FIELD: &str = "headers.idempotency-key";
/// Longest key in characters.
const KEY_MAX: usize = 255;

/// Adds the key of a request, if it has one, to what else was read of it. The rules that either breaks are
/// reported at once.
///
/// # Errors
/// 422 with every broken rule.
pub fn with_key<T>(headers: &HeaderMap, read: Result<T, Failure>) -> Result<(T, Option<String>), Failure> {
    match (read, key(headers)) {
        (Ok(read), Ok(key)) => Ok((read, key)),
        (Err(Failure::Invalid(mut faults)), Err(message)) => {
            faults.push(FieldFault { field: FIELD.to_owned(), message });
            Err(Failure::Invalid(faults))
        }
        (Err(failure), _) => Err(failure),
        (Ok(_), Err(message)) => Err(Failure::invalid(FIELD, message)),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, String> {
    let mut values = headers.get_all(HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(value).map(Some),
        (Some(_), Some(_)) => Err("Expected one key, received several".to_owned()),
    }
}

fn text(value: &HeaderValue) -> Result<String, String> {
    match value.as_bytes() {
        [] => Err("String must contain at least 1 character(s)".to_owned()),
        bytes if bytes.len() > KEY_MAX => Err(format!("String must contain at most {KEY_MAX} character(s)")),
        bytes => match std::str::from_utf8(bytes) {
            Ok(text) if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) => Ok(text.to_owned()),
            _ => Err("String must contain printable ASCII characters only".to_owned()),
        },
    }
}

/// A start under a key; the caller by a name that tells them from others.
#[must_use]
pub fn start(caller: String, key: String, room: &RoomId, options: &StartOptions) -> KeyedRequest {
    let digest = digest(&(room, options.layout, &options.encoding));
    scoped(caller, key, room, Operation::Start, digest)
}

/// A stop under a key; the caller by a name that tells them from others.
#[must_use]
pub fn stop(caller: String, key: String, recording: &RecordingId) -> KeyedRequest {
    scoped(caller, key, &recording.room, Operation::Stop, digest(recording))
}

fn scoped(caller: String, key: String, room: &RoomId, operation: Operation, digest: String) -> KeyedRequest {
    let key = ScopedKey { caller, room: room.clone(), operation, key };
    KeyedRequest { key, digest }
}

/// What was read of a request, in a form that is the same however it was written.
fn digest(request: &impl Serialize) -> String {
    let read = serde_json::to_vec(request).expect("a request is plain data");
    format!("{:x}", Sha256::digest(read))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};
    use reelkeeper_actors::recording::encoding::Layout;

    use super::*;
    use crate::http::odd;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_1_to_255_printable_ascii_characters() {
        let (longest, longer) = ("x".repeat(255), "x".repeat(256));
        let cases: [(&[&[u8]], bool); 9] = [
            (&[], true),
            (&[b"a"], true),
            (&[b"a b~!\"{}"], true),
            (&[longest.as_bytes()], true),
            (&[b""], false),
            (&[longer.as_bytes()], false),
            (&["é".as_bytes()], false),
            (&[b"a\tb"], false),
            (&[b"a", b"a"], false),
        ];
        for (values, valid) in cases {
            let key = with_key(&headers(values), Ok(()));
            let expected = values.first().map(|value| String::from_utf8_lossy(value).into_owned());
            match key {
                Ok(((), key)) => assert_eq!((key, valid), (expected, true)),
                Err(Failure::Invalid(faults)) => {
                    assert_eq!((faults[0].field.as_str(), faults.len(), valid), (FIELD, 1, false));
                }
                Err(other) => panic!("{values:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn all_broken_rules_are_reported_at_once() {
        let broken: Result<(), _> = Err(Failure::invalid("roomId", "Required"));
        let Err(Failure::Invalid(faults)) = with_key(&headers(&[b""]), broken) else {
            panic!("it is broken")
        };
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["roomId", FIELD]);
    }

    #[test]
    fn requests_differ_by_what_they_ask_for() {
        let (caller, key) = (|| "caller".to_owned(), || "key".to_owned());
        let room = |name: &str| RoomId::from_trusted(name);
        let grid = StartOptions { layout: Some(Layout::Grid), ..StartOptions::default() };
        let plain = start(caller(), key(), &room("a"), &StartOptions::default());
        assert_eq!(plain, start(caller(), key(), &room("a"), &StartOptions::default()));
        assert_ne!(plain.digest, start(caller(), key(), &room("a"), &grid).digest);
        let other = start("other".to_owned(), key(), &room("a"), &StartOptions::default());
        assert_eq!(plain.digest, other.digest);
        assert_ne!(plain.key, other.key);
        let recordings = ["a--EG_1--u", "a--EG_2--u"].map(|id| RecordingId::parse(id).unwrap());
        let [first, second] = recordings.map(|id| stop(caller(), key(), &id));
        assert_eq!(first.key, second.key);
        assert_ne!(first.digest, second.digest);
        assert_ne!(first.key, plain.key);
    }

    proptest! {
        #![proptest_config(odd::repeatable())]
        #[test]
        fn any_header_is_a_key_or_refused(bytes in vec(any::<u8>(), 0..300)) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let read = text(&value);
            let good = (1..=KEY_MAX).contains(&bytes.len()) && bytes.iter().all(|b| matches!(b, 32..=126));
            proptest::prop_assert_eq!(read.is_ok(), good);
            proptest::prop_assert!(!read.is_ok_and(|key| key.as_bytes() != bytes));
        }
    }
}
