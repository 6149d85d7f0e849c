//! `/api/v1/rooms` (contract `rooms.md` 4): create, list, get, configure, open and close; deletion is in
//! [`delete`]. No LiveKit room is made here.

pub mod delete;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use reelkeeper_actors::access::{Caller, Right};
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::creation::{self, Drawn};
use reelkeeper_actors::meeting::{MeetingEndAction, Room, RoomStatus};
use reelkeeper_actors::ports::catalog::list::Listing as _;
use reelkeeper_actors::ports::clock::fresh_secret;
use serde::Serialize;
use serde_json::Value;

use super::HttpState;
use super::access_log::about_room;
use super::auth::{Credentials, KEY_ADMIN, KEY_ADMIN_MEMBER, authenticate};
use super::base_path::public_url;
use super::body::ParsedBody;
use super::error::Failure;
use super::projection::Projection;
use super::recordings::list::Pagination;
use super::request::{PathId, QueryText};
use super::validation::list::rooms;
use super::validation::room::{config_change, new_room, room_id, status_change};

/// Makes a room.
///
/// # Errors
/// 401, 403, 422, 503.
pub async fn create(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    let now = state.clock.now();
    let new = new_room(&body, now, state.settings.min_auto_delete)?;
    let entropy = state.entropy.as_ref();
    let drawn = Drawn {
        now,
        random: entropy.draw(),
        moderator_secret: fresh_secret(entropy),
        speaker_secret: fresh_secret(entropy),
    };
    let room = creation::create(new, &drawn);
    about_room(&room.room_id);
    state.catalog.insert_room(&room).await?;

    let base = told_url(&state, &headers, &uri);
    let location = location(&format!("{base}/api/v1/rooms/{}", room.room_id));
    Ok((StatusCode::CREATED, location, Json(room.as_shown(&base))).into_response())
}

/// Shows a room, or the parts of it that `fields` names; to speakers without the URL for moderators.
///
/// # Errors
/// 401, 403, 404, 422, 503.
pub async fn get(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    PathId(id): PathId,
    query: QueryText,
) -> Result<Json<Value>, Failure> {
    let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
    let id = room_id(&id)?;
    let fields = Projection::parse(query.get("fields").as_deref())?;
    let room = visible_room(&state, &caller, id).await?;
    let mut room = shown(&room.as_shown(&public_url(&state.settings, &headers, &uri)));
    if caller.check(Right::Moderate).is_err()
        && let Some(room) = room.as_object_mut()
    {
        room.shift_remove("moderatorUrl");
    }
    Ok(Json(fields.apply(room)))
}

/// Shows what is possible in a room's meetings.
///
/// # Errors
/// 401, 403, 404, 422, 503.
pub async fn config(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
    let room = visible_room(&state, &caller, room_id(&id)?).await?;
    Ok(Json(room.config).into_response())
}

#[derive(Serialize)]
struct RoomsPage {
    rooms: Vec<Value>,
    pagination: Pagination,
}

/// Lists rooms, or the parts of them that `fields` names.
///
/// # Errors
/// 401, 403, 422, 503.
pub async fn list(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    query: QueryText,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    let (query, fields) = rooms(&query)?;
    let page = state.catalog.rooms(&query).await?;
    let pagination = Pagination::of(&page, query.page_size());
    let base = told_url(&state, &headers, &uri);
    let rooms = page.items.into_iter().map(|room| fields.apply(shown(&room.as_shown(&base)))).collect();
    Ok(Json(RoomsPage { rooms, pagination }).into_response())
}

#[derive(Serialize)]
struct Changed {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<Room>,
}

/// Changes what is possible in a room's meetings.
///
/// # Errors
/// 401, 403, 404, 409 during a meeting, 422, 503.
pub async fn configure(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    let (id, patch) = (room_id(&id)?, config_change(&body)?);
    about_room(&id);
    let changed = state.orchestrator.configure_room(&id, patch).await;
    changed.map_err(|refusal| Failure::of_room(id.clone(), refusal))?;
    let message = format!("Configuration of room '{id}' updated successfully");
    Ok(Json(Changed { message, room: None }).into_response())
}

/// Opens a room, or closes it; during a meeting it is closed when that ends.
///
/// # Errors
/// 401, 403, 404, 422, 503.
pub async fn set_status(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    PathId(id): PathId,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    let (id, wanted) = (room_id(&id)?, status_change(&body)?);
    about_room(&id);
    let room = match wanted {
        RoomStatus::Closed => state.orchestrator.close_room(&id).await,
        RoomStatus::Open | RoomStatus::ActiveMeeting => state.orchestrator.open_room(&id).await,
    };
    let room = room.map_err(|refusal| Failure::of_room(id.clone(), refusal))?;
    let waits = room.meeting_end_action == MeetingEndAction::Close;
    let (status, message) = match wanted {
        RoomStatus::Closed if waits => {
            (StatusCode::ACCEPTED, format!("Room '{id}' will be closed when the meeting ends"))
        }
        RoomStatus::Closed => (StatusCode::OK, format!("Room '{id}' closed successfully")),
        RoomStatus::Open | RoomStatus::ActiveMeeting => {
            (StatusCode::OK, format!("Room '{id}' opened successfully"))
        }
    };
    let room = Some(room.as_shown(&told_url(&state, &headers, &uri)));
    Ok((status, Json(Changed { message, room })).into_response())
}

/// The public URL as somebody who manages rooms calls it. They are believed: notices say the same from now on.
fn told_url(state: &HttpState, headers: &HeaderMap, uri: &Uri) -> String {
    let base = public_url(&state.settings, headers, uri);
    if state.settings.base_url.is_none() {
        state.notice_url.learn(&base);
    }
    base
}

async fn visible_room(state: &HttpState, caller: &Caller, id: RoomId) -> Result<Room, Failure> {
    caller.check_in(Right::SeeRoom, &id)?;
    existing_room(state, id).await
}

/// The room, if it exists.
pub(super) async fn existing_room(state: &HttpState, id: RoomId) -> Result<Room, Failure> {
    about_room(&id);
    state.catalog.room(&id).await?.ok_or(Failure::NoRoom(id))
}

/// A resource as JSON. Ours always can be: their maps have texts as keys.
pub(super) fn shown(resource: &impl serde::Serialize) -> Value {
    serde_json::to_value(resource).expect("a resource is plain data")
}

/// The header that says where a new resource is. Left out if its id cannot stand in a header.
pub(super) fn location(url: &str) -> http::HeaderMap {
    let value = HeaderValue::try_from(url).ok();
    value.map(|url| (header::LOCATION, url)).into_iter().collect()
}
