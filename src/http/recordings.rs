//! `/api/v1/recordings` (contract `recordings.md` 2): start, and what is done with one recording.
//!
//! Several at once are in [`list`] and [`bulk_delete`], files in `http/media.rs` and `http/zip.rs`.
//!
//! The order of checks is the contract's: credentials before validation, except where a recording is got.

pub mod bulk_delete;
pub mod list;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::Right;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::orchestrator::{KeyedRequest, StartOptions};
use reelkeeper_actors::recording::Recording;
use serde::Serialize;
use serde_json::Value;

use super::HttpState;
use super::access_log::{about_recording, about_room};
use super::auth::{Credentials, KEY_ADMIN_MEMBER, KEY_MEMBER, authenticate, authenticate_to_see};
use super::base_path::public_url;
use super::body::ParsedBody;
use super::error::{Failure, Subject};
use super::idempotency::{self, with_key};
use super::limits::within;
use super::projection::Projection;
use super::request::{PathId, QueryText};
use super::rooms::{location, shown};
use super::validation::recording::{recording_id, shown_recording, start as start_request};

/// Starts a recording. Answers when it runs, or says why it does not; may take as long as a start may. Under an
/// `Idempotency-Key` it is carried out once.
///
/// # Errors
/// 401, 403, 404, 409, 422, 500, 503.
pub async fn start(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    let prepared =
        within(state.settings.request_timeout, prepare_start(&state, &credentials, &headers, &body));
    let recording = match prepared.await? {
        PreparedStart::Answered(recording) => recording,
        PreparedStart::Anew { room, options, asked } => {
            let orchestrator = &state.orchestrator;
            let started = match asked {
                None => orchestrator.start(&room, options).await,
                Some(asked) => orchestrator.start_once(asked, &room, options).await,
            };
            started.map_err(|refusal| Failure::refused(Subject::Start(room.room_id), refusal))?
        }
    };
    about_recording(&recording.recording_id);
    Ok(located(&state, &headers, &uri, StatusCode::CREATED, recording))
}

/// A start before the room's actor is asked.
enum PreparedStart {
    /// The same request was answered before.
    Answered(Recording),
    /// It is to be carried out.
    Anew { room: Room, options: StartOptions, asked: Option<KeyedRequest> },
}

async fn prepare_start(
    state: &HttpState,
    credentials: &Credentials,
    headers: &HeaderMap,
    body: &Value,
) -> Result<PreparedStart, Failure> {
    let caller = authenticate(state, credentials, KEY_MEMBER).await?;
    let ((room, options), key) = with_key(headers, start_request(body))?;
    let asked = key.map(|key| idempotency::start(credentials.name_of(&caller), key, &room, &options));
    // Before the room is looked at, which may have changed since.
    if let Some(recording) = answered_before(state, asked.as_ref(), &Subject::Start(room.clone())).await? {
        return Ok(PreparedStart::Answered(recording));
    }
    let room = recordable_room(state, &room).await?;
    caller.check_in(Right::Record, &room.room_id)?;
    Ok(PreparedStart::Anew { room, options, asked })
}

/// Stops a recording. Under an `Idempotency-Key` it is carried out once.
///
/// # Errors
/// 401, 403, 404, 409, 422, 500, 503.
pub async fn stop(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    let caller = authenticate(&state, &credentials, KEY_MEMBER).await?;
    let (id, key) = with_key(&headers, recording_id(&id, "recordingId"))?;
    about_recording(&id);
    let asked = key.map(|key| idempotency::stop(credentials.name_of(&caller), key, &id));
    let subject = Subject::Stop(id.clone());
    if let Some(recording) = answered_before(&state, asked.as_ref(), &subject).await? {
        return Ok(located(&state, &headers, &uri, StatusCode::ACCEPTED, recording));
    }
    recordable_room(&state, &id.room).await?;
    caller.check_in(Right::Record, &id.room)?;
    let stopped = match asked {
        None => state.orchestrator.stop(&id).await,
        Some(asked) => state.orchestrator.stop_once(asked, &id).await,
    };
    let recording = stopped.map_err(|refusal| Failure::refused(subject, refusal))?;
    Ok(located(&state, &headers, &uri, StatusCode::ACCEPTED, recording))
}

/// What the same request was answered before; none if it has no key, or was not answered.
async fn answered_before(
    state: &HttpState,
    asked: Option<&KeyedRequest>,
    subject: &Subject,
) -> Result<Option<Recording>, Failure> {
    let Some(asked) = asked else { return Ok(None) };
    let before = state.orchestrator.answered_before(asked).await;
    let answer = before.and_then(Option::transpose);
    answer.map_err(|refusal| Failure::refused(subject.clone(), refusal))
}

/// Shows a recording, or the parts of it that `fields` names.
///
/// # Errors
/// 400 for another recording's secret, 401, 403, 404, 422, 503.
pub async fn get(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
    query: QueryText,
) -> Result<Json<Value>, Failure> {
    let (id, secret) = shown_recording(&id, &query)?;
    let fields = Projection::parse(query.get("fields").as_deref())?;
    about_recording(&id);
    authenticate_to_see(&state, &credentials, secret.as_deref(), &id).await?;
    let stored = state.catalog.recording(&id).await?.ok_or(Failure::NoRecording(id))?;
    Ok(Json(fields.apply(shown(&stored.recording))))
}

#[derive(Serialize)]
struct Link {
    url: String,
}

/// The address of a recording's page, with the secret that opens it: for anybody, or with `privateAccess` for
/// users who are logged in.
///
/// # Errors
/// 401, 403, 404, 422, 503.
pub async fn url(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    PathId(id): PathId,
    query: QueryText,
) -> Result<Response, Failure> {
    let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
    let id = recording_id(&id, "params.recordingId")?;
    about_recording(&id);
    caller.check_in(Right::Retrieve, &id.room)?;
    let stored = state.catalog.recording(&id).await?.ok_or_else(|| Failure::NoRecording(id.clone()))?;
    let is_private = query.get("privateAccess").is_some_and(|wanted| wanted.eq_ignore_ascii_case("true"));
    let secret = if is_private { stored.secrets.private } else { stored.secrets.public };
    let base = public_url(&state.settings, &headers, &uri);
    Ok(Json(Link { url: format!("{base}/recording/{id}?secret={secret}") }).into_response())
}

#[derive(Serialize)]
struct Message {
    message: String,
}

/// Deletes a finished recording and its file.
///
/// # Errors
/// 401, 403, 404, 409, 422, 503.
pub async fn delete(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
    let id = recording_id(&id, "recordingId")?;
    about_recording(&id);
    caller.check_in(Right::Delete, &id.room)?;
    match state.orchestrator.delete(&id).await {
        Ok(()) => {
            let message = format!("Recording '{id}' deleted successfully");
            Ok(Json(Message { message }).into_response())
        }
        Err(refusal) => Err(Failure::refused(Subject::Delete(id), refusal)),
    }
}

/// The room, if it exists and allows recording.
async fn recordable_room(state: &HttpState, id: &RoomId) -> Result<Room, Failure> {
    about_room(id);
    match state.catalog.room(id).await? {
        None => Err(Failure::NoRoom(id.clone())),
        Some(room) if !room.config.recording.enabled => Err(Failure::RecordingDisabled(room.room_id)),
        Some(room) => Ok(room),
    }
}

fn located(
    state: &HttpState,
    headers: &HeaderMap,
    uri: &Uri,
    status: StatusCode,
    recording: Recording,
) -> Response {
    let base = public_url(&state.settings, headers, uri);
    let location = location(&recording_url(&base, &recording.recording_id));
    (status, location, Json(recording)).into_response()
}

fn recording_url(base: &str, id: &RecordingId) -> String {
    format!("{base}/api/v1/recordings/{id}")
}
