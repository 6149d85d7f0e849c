//! `/internal-api/v1/meetings`: what a moderator does in the meeting of their room (contract `rooms.md` 6).

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::Right;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::Room;

use super::HttpState;
use super::auth::{Credentials, MEMBER, authenticate};
use super::body::ParsedBody;
use super::error::{AccessFailure, Failure};
use super::request::{PathId, PathPair};
use super::rooms::existing_room;
use super::users::Message;
use super::validation::room::{role_change, room_id};
use reelkeeper_actors::orchestrator::RoomRefusal;

/// The room, if the caller moderates it.
async fn moderated_room(state: &HttpState, credentials: &Credentials, id: &str) -> Result<Room, Failure> {
    let caller = authenticate(state, credentials, MEMBER).await?;
    let id = room_id(id)?;
    caller.check_in(Right::Moderate, &id)?;
    existing_room(state, id).await
}

/// Ends the meeting; nothing happens if there is none.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn end(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    let room = moderated_room(&state, &credentials, &id).await?;
    state.orchestrator.end_meeting(&room.room_id).await?;
    Ok(Json(Message { message: "Meeting ended successfully" }).into_response())
}

/// Puts somebody out of the meeting.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn kick(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathPair(id, identity): PathPair,
) -> Result<Response, Failure> {
    let room = moderated_room(&state, &credentials, &id).await?;
    let kicked = state.orchestrator.kick(&room.room_id, &identity).await;
    kicked.map_err(|refusal| refused(room.room_id, identity, refusal))?;
    Ok(Json(Message { message: "Participant kicked successfully" }).into_response())
}

/// Gives somebody in the meeting another role.
///
/// # Errors
/// 401, 403, 404, 422, 503.
pub async fn change_role(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathPair(id, identity): PathPair,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    let caller = authenticate(&state, &credentials, MEMBER).await?;
    let id = room_id(&id)?;
    caller.check_in(Right::Moderate, &id)?;
    let role = role_change(&body)?;
    let room = existing_room(&state, id).await?;
    let changed = state.orchestrator.change_role(&room, &identity, role).await;
    changed.map_err(|refusal| refused(room.room_id, identity, refusal))?;
    Ok(Json(Message { message: "Participant role updated successfully" }).into_response())
}

fn refused(room: RoomId, identity: String, refusal: RoomRefusal) -> Failure {
    match refusal {
        RoomRefusal::NoParticipant => AccessFailure::NotInMeeting(room, identity).into(),
        refusal => Failure::of_room(room, refusal),
    }
}
