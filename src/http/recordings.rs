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
use reelkeeper_actors::recording::Recording;
use serde::Serialize;
use serde_json::Value;

use super::HttpState;
use super::access_log::{about_recording, about_room};
use super::auth::{Credentials, KEY_ADMIN_MEMBER, KEY_MEMBER, authenticate};
use super::base_path::public_url;
use super::body::ParsedBody;
use super::error::{Failure, Subject};
use super::limits::within;
use super::projection::Projection;
use super::request::{PathId, QueryText};
use super::rooms::{location, shown};
use super::validation::recording::{recording_id, start as start_request};

/// Starts a recording. Answers when it runs, or says why it does not; may take as long as a start may.
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
    let (room, options) = within(state.settings.request_timeout, async {
        let caller = authenticate(&state, &credentials, KEY_MEMBER).await?;
        let (room, options) = start_request(&body)?;
        let room = recordable_room(&state, &room).await?;
        caller.check_in(Right::Record, &room.room_id)?;
        Ok((room, options))
    })
    .await?;
    let recording = state
        .orchestrator
        .start(&room, options)
        .await
        .map_err(|refusal| Failure::Refused(Subject::Start(room.room_id), refusal))?;
    about_recording(&recording.recording_id);
    Ok(located(&state, &headers, &uri, StatusCode::CREATED, recording))
}

/// Stops a recording.
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
    let id = recording_id(&id, "recordingId")?;
    about_recording(&id);
    recordable_room(&state, &id.room).await?;
    caller.check_in(Right::Record, &id.room)?;
    let stopped = state.orchestrator.stop(&id).await;
    let recording = stopped.map_err(|refusal| Failure::Refused(Subject::Stop(id), refusal))?;
    Ok(located(&state, &headers, &uri, StatusCode::ACCEPTED, recording))
}

/// Shows a recording, or the parts of it that `fields` names.
///
/// # Errors
/// 401, 404, 422, 503.
pub async fn get(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
    query: QueryText,
) -> Result<Json<Value>, Failure> {
    let id = recording_id(&id, "params.recordingId")?;
    let fields = Projection::parse(query.get("fields").as_deref())?;
    let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
    about_recording(&id);
    caller.check_in(Right::Retrieve, &id.room)?;
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
/// 401, 404, 409, 422, 503.
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
        Err(refusal) => Err(Failure::Refused(Subject::Delete(id), refusal)),
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
