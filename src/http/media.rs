//! `GET /api/v1/recordings/:id/media`: the file, whole or in part (contract `recordings.md` 2).
//!
//! Streams from the blob store at the reader's pace, in constant memory, or sends the client to the bucket, if
//! `media.delivery` says so. Once the head is sent, a failure breaks the connection: a client must never take a
//! short file for the whole.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use reelkeeper_actors::access::{Caller, RecordingSecret};
use reelkeeper_actors::ids::RecordingId;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::{BlobHead, ByteStream};
use reelkeeper_actors::recording::Recording;

use super::HttpState;
use super::access_log::about_recording;
use super::auth::{Credentials, authenticate_to_see};
use super::error::{Failure, FieldFault};
use super::limits::{Permit, within};
use super::range::{InvalidRange, RangeRequest, Selection};
use super::request::{PathId, QueryText};
use super::validation::recording::shown_recording;

/// Streams a recording's file.
///
/// # Errors
/// 400 for another recording's secret, 401, 403, 404, 409, 416, 422, 503.
pub async fn stream(
    State(state): State<HttpState>,
    Extension(permit): Extension<Permit>,
    method: Method,
    credentials: Credentials,
    headers: HeaderMap,
    PathId(id): PathId,
    query: QueryText,
) -> Result<Response, Failure> {
    let (id, secret, range) = validated(&id, &query, &headers)?;
    about_recording(&id);
    let limit = state.settings.request_timeout;
    within(limit, async {
        let caller = authenticate_to_see(&state, &credentials, secret.as_deref(), &id).await?;
        let MediaFile { key, head, .. } = file(&state, &id).await?;
        if is_known(&headers, &head.etag) {
            return Ok((StatusCode::NOT_MODIFIED, validity(&caller, &head)).into_response());
        }
        let selection = range.filter(|_| range_applies(&headers, &head));
        let selection = selection.map_or(Selection::Whole, |range| range.select(head.size));
        let part = match &selection {
            Selection::Whole => 0..=head.size - 1,
            Selection::Part(part) => part.clone(),
            Selection::Unsatisfiable => return Err(Failure::RangeNotSatisfiable(id, head.size)),
        };
        if let Some(lasts) = state.settings.media_link.filter(|_| method != Method::HEAD) {
            let link = state.blobs.link(&key, lasts).await?;
            let link = link.ok_or_else(|| PortError::misused("blobs", "this store gives no links"))?;
            return Ok(elsewhere(&link));
        }
        let length = part.end() - part.start() + 1;
        let body = if method == Method::HEAD {
            Body::empty()
        } else {
            let Some(bytes) = state.blobs.read(&key, part).await? else { return Err(Failure::NoFile(id)) };
            Body::from_stream(exactly(bytes, length, Reading { id, limit, permit }))
        };
        let status = if selection == Selection::Whole { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
        let headers = media_headers(&caller, &key, &head, &selection, length);
        Ok((status, headers, body).into_response())
    })
    .await
}

/// Sends a client to the bucket. Each answer has a link of its own, so it is not to be kept.
fn elsewhere(link: &str) -> Response {
    let headers = [(header::LOCATION, link), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::FOUND, headers).into_response()
}

/// All faults at once, as everywhere.
fn validated(
    id: &str,
    query: &QueryText,
    headers: &HeaderMap,
) -> Result<(RecordingId, Option<String>, Option<RangeRequest>), Failure> {
    let range = headers.get(header::RANGE);
    let range = range.map(|value| RangeRequest::parse(value.to_str().unwrap_or_default())).transpose();
    let fault =
        |fault: InvalidRange| FieldFault { field: "headers.range".to_owned(), message: fault.to_string() };
    match (shown_recording(id, query), range.map_err(fault)) {
        (Ok((id, secret)), Ok(range)) => Ok((id, secret, range)),
        (Ok(_), Err(fault)) => Err(Failure::Invalid(vec![fault])),
        (Err(Failure::Invalid(mut faults)), Err(fault)) => {
            faults.push(fault);
            Err(Failure::Invalid(faults))
        }
        (Err(failure), _) => Err(failure),
    }
}

/// A recording's file, which is not empty.
pub(super) struct MediaFile {
    pub(super) recording: Recording,
    pub(super) key: String,
    pub(super) head: BlobHead,
}

/// Looks for a recording's file.
///
/// # Errors
/// 404 if there is no recording or no file, 409 if there should be none, 503.
pub(super) async fn file(state: &HttpState, id: &RecordingId) -> Result<MediaFile, Failure> {
    let stored = state.catalog.recording(id).await?.ok_or_else(|| Failure::NoRecording(id.clone()))?;
    let recording = stored.recording;
    if !recording.status.has_file() {
        return Err(Failure::NotStreamable(id.clone(), recording.status));
    }
    let key = state.settings.files.blob_key(&recording);
    match state.blobs.head(&key).await? {
        Some(head) if head.size > 0 => Ok(MediaFile { recording, key, head }),
        _ => Err(Failure::NoFile(id.clone())),
    }
}

/// Whether the client holds this version already. Compared weakly, as a cache does.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let ours = quoted(etag);
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut theirs = values.flat_map(|value| value.split(',')).map(str::trim);
    theirs.any(|etag| etag == "*" || etag.strip_prefix("W/").unwrap_or(etag) == ours)
}

/// A part of another version of the file would be of no use: then all of it is sent.
fn range_applies(headers: &HeaderMap, head: &BlobHead) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|wanted| wanted == quoted(&head.etag).as_str())
}

/// As it stands in a header.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// How long an answer may be kept, by whom, and how its successor is told from it.
fn validity(caller: &Caller, head: &BlobHead) -> HeaderMap {
    let caching = match caller {
        Caller::SecretHolder(RecordingSecret::Public) => "public, max-age=3600",
        _ => "private, max-age=3600",
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.extend(HeaderValue::try_from(quoted(&head.etag)).map(|etag| (header::ETAG, etag)));
    headers
}

fn media_headers(
    caller: &Caller,
    key: &str,
    head: &BlobHead,
    selection: &Selection,
    length: u64,
) -> HeaderMap {
    let mut headers = validity(caller, head);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(key)));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Selection::Part(part) = selection {
        let range = format!("bytes {}-{}/{}", part.start(), part.end(), head.size);
        headers.extend(HeaderValue::try_from(range).map(|range| (header::CONTENT_RANGE, range)));
    }
    headers
}

/// By what LiveKit can write.
fn content_type(key: &str) -> &'static str {
    match key.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "webm" => "video/webm",
        "ogg" => "audio/ogg",
        "mp3" => "audio/mpeg",
        "ts" => "video/mp2t",
        _ => "video/mp4",
    }
}

/// A stream that is being sent.
pub(super) struct Reading {
    pub(super) id: RecordingId,
    /// How long the store may take for the next piece.
    pub(super) limit: Duration,
    /// Held until the last byte.
    #[allow(dead_code, reason = "it is its end that matters")]
    pub(super) permit: Permit,
}

/// The stream with exactly `length` bytes. One that ends early, fails or stalls breaks the answer.
pub(super) fn exactly(
    bytes: ByteStream,
    length: u64,
    reading: Reading,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((bytes, length, reading), |(mut bytes, left, reading)| async move {
        if left == 0 {
            return Ok(None);
        }
        match next_piece(&mut bytes, reading.limit).await {
            Ok(mut piece) => {
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - piece.len() as u64;
                Ok(Some((piece, (bytes, left, reading))))
            }
            Err(error) => {
                let id = &reading.id;
                let room = &id.room;
                tracing::warn!(room.id = %room, recording.id = %id, left_bytes = left, %error, "media cut off");
                Err(error)
            }
        }
    })
}

/// The next piece that is not empty.
async fn next_piece(bytes: &mut ByteStream, limit: Duration) -> io::Result<Bytes> {
    let next = async {
        loop {
            match bytes.next().await {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => return Ok(piece),
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        }
    };
    tokio::time::timeout(limit, next).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_names_the_type() {
        let cases = [
            ("a/b.mp4", "video/mp4"),
            ("a/b.WEBM", "video/webm"),
            ("a/b.ogg", "audio/ogg"),
            ("a.d/b", "video/mp4"),
        ];
        for (key, expected) in cases {
            assert_eq!(content_type(key), expected, "{key}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_has_exactly_the_promised_bytes_or_breaks() {
        let piece = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        let failure = || Err(PortError::unavailable("blobs", "gone"));
        let cases = [
            (vec![piece("ab"), piece(""), piece("cd")], Ok("abcd")),
            (vec![piece("abcdef")], Ok("abcd")),
            (vec![piece("abcd"), failure()], Ok("abcd")),
            (vec![piece("abc")], Err(())),
            (vec![], Err(())),
            (vec![piece("ab"), failure()], Err(())),
        ];
        for (pieces, expected) in cases {
            assert_eq!(sent(stream::iter(pieces).boxed()).await.as_deref().map_err(drop), expected);
        }
        let stalled = stream::iter([piece("ab")]).chain(stream::pending()).boxed();
        assert_eq!(sent(stalled).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    async fn sent(bytes: ByteStream) -> io::Result<String> {
        let id = RecordingId::parse("r--EG_1--u").unwrap();
        let reading = Reading { id, limit: Duration::from_secs(1), permit: Permit::for_tests() };
        let pieces: Vec<io::Result<Bytes>> = exactly(bytes, 4, reading).collect().await;
        let pieces: Vec<Bytes> = pieces.into_iter().collect::<io::Result<_>>()?;
        Ok(String::from_utf8(pieces.concat()).unwrap())
    }
}
