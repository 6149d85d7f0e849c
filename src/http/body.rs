//! Bodies of requests: bounded in size and time, read before anything else is looked at (contract
//! `access.md` 7).
//!
//! JSON is an object or an array, forms are flat; any other content type reads as an empty object.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::BytesMut;
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::error::Failure;
use super::{HttpSettings, HttpState};

/// Bytes beyond the limit that are taken in and thrown away.
const DISCARDED_MAX: usize = 1024 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// The body of a request, an object or an array. Every API route has one among its extensions.
#[derive(Debug, Clone)]
pub struct ParsedBody(pub Value);

/// Reads the body of a request and puts it among its extensions.
///
/// # Errors
/// 400 for what cannot be read, 413 for too much of it, 408 for what does not arrive.
pub async fn parse(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let value = match Kind::of(&parts.headers) {
        Kind::Json => json(&collect(&parts.headers, body, &state.settings).await?)?,
        Kind::Form => form(&collect(&parts.headers, body, &state.settings).await?),
        Kind::Other => Value::Object(Map::new()),
    };
    parts.extensions.insert(ParsedBody(value));
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

/// Reads a whole body.
///
/// # Errors
/// 413 for more than the limit, 408 after the deadline, 400 if the connection broke.
pub async fn collect(headers: &HeaderMap, body: Body, settings: &HttpSettings) -> Result<Bytes, Failure> {
    let limit = settings.body_limit;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limit.saturating_add(DISCARDED_MAX)) {
        return Err(Failure::BodyTooLarge(limit));
    }
    let mut reader = Reader { body, kept: BytesMut::new(), limit };
    match tokio::time::timeout(settings.request_timeout, reader.keep()).await {
        Ok(Ok(End::Reached)) => Ok(reader.kept.freeze()),
        Ok(Ok(End::BeyondLimit)) => {
            reader.discard().await;
            Err(Failure::BodyTooLarge(limit))
        }
        Ok(Err(_)) => Err(Failure::Malformed("The request body ended early".to_owned())),
        Err(_) => Err(Failure::BodyTooSlow),
    }
}

/// A body that is being read.
struct Reader {
    body: Body,
    kept: BytesMut,
    limit: usize,
}

enum End {
    Reached,
    BeyondLimit,
}

impl Reader {
    async fn keep(&mut self) -> Result<End, axum::Error> {
        while let Some(frame) = self.body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if data.len() > self.limit - self.kept.len() {
                return Ok(End::BeyondLimit);
            }
            self.kept.extend_from_slice(&data);
        }
        Ok(End::Reached)
    }

    /// Takes in some of what is left: a client that still sends when the connection is closed may never
    /// see the answer.
    async fn discard(&mut self) {
        let rest = async {
            let mut discarded = 0;
            while let Some(Ok(frame)) = self.body.frame().await {
                discarded += frame.data_ref().map_or(0, Bytes::len);
                if discarded > DISCARDED_MAX {
                    return;
                }
            }
        };
        // Late or not, the answer is the same.
        let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
    }
}

enum Kind {
    Json,
    Form,
    Other,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Self::Form
        } else {
            Self::Other
        }
    }
}

fn json(bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let read = serde_json::from_slice(bytes).or_else(|error| match without_lone_surrogates(bytes) {
        Some(mended) => serde_json::from_slice(&mended),
        None => Err(error),
    });
    match read {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) => Err(Failure::Malformed("The request body must be a JSON object or array".to_owned())),
        Err(error) => Err(Failure::Malformed(format!("Malformed JSON in the request body: {error}"))),
    }
}

/// JavaScript writes half a pair when it cuts a text in the middle of one, and reads it; no text of ours can hold it, so
/// it becomes what the original sends on: the replacement character. None if there is nothing to mend.
fn without_lone_surrogates(bytes: &[u8]) -> Option<Vec<u8>> {
    let escape_at = |at: usize| -> Option<u16> {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut mended = Vec::with_capacity(bytes.len());
    let (mut at, mut is_mended) = (0, false);
    while at < bytes.len() {
        let taken = match (escape_at(at), escape_at(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                mended.extend_from_slice(b"\\ufffd");
                is_mended = true;
                at += 6;
                continue;
            }
            (Some(_), _) => 6,
            // An escaped backslash begins no escape.
            (None, _) if bytes[at] == b'\\' => 2,
            _ => 1,
        };
        let end = bytes.len().min(at + taken);
        mended.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    is_mended.then_some(mended)
}

/// A name given more than once keeps its last value.
fn form(bytes: &[u8]) -> Value {
    let pairs = form_urlencoded::parse(bytes);
    Value::Object(pairs.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_an_object_or_an_array() {
        let cases = [
            ("", true),
            ("{}", true),
            (" [1] ", true),
            (r#"{"a":1,"a":2}"#, true),
            ("null", false),
            ("1", false),
            (r#""text""#, false),
            ("{", false),
            (r#"{"a":1e999}"#, false),
            ("\u{0}", false),
        ];
        for (text, readable) in cases {
            assert_eq!(json(text.as_bytes()).is_ok(), readable, "{text:?}");
        }
        assert!(json(b"{\"a\":\"\xff\"}").is_err());
        assert!(json("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn half_a_pair_of_surrogates_is_read_as_javascript_sends_it_on() {
        let cases = [
            (r#"{"a":"Ann\ud83d"}"#, "Ann\u{fffd}"),
            (r#"{"a":"\udE00x"}"#, "\u{fffd}x"),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (r#"{"a":"\\\ud83d"}"#, "\\\u{fffd}"),
            (r#"{"a":"\\ud83d \ud83d"}"#, "\\ud83d \u{fffd}"),
        ];
        for (text, expected) in cases {
            let read = json(text.as_bytes()).unwrap_or_else(|failure| panic!("{text}: {failure:?}"));
            assert_eq!(read["a"], expected, "{text}");
        }
        assert!(json(br#"{"a":"\ud83"#).is_err());
    }

    #[test]
    fn a_form_is_an_object_of_texts() {
        assert_eq!(form(b"roomName=My+Room&a=%zz&a=2"), serde_json::json!({"roomName": "My Room", "a": "2"}));
    }
}
