//! `/internal-api/v1/rooms/:roomId/token` and `/roles`: who shows a room's secret becomes its member (contract
//! `access.md` 2, `rooms.md` 6).
//!
//! Anybody who has the secret may, unless the global configuration wants them to be logged in too.

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::claims::{
    Attendee, Joining, MemberClaims, MemberMetadata, TokenUse, VideoGrant,
};
use reelkeeper_actors::access::permission::{Permissions, Role};
use reelkeeper_actors::access::user::UserRole;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::orchestrator::JoinRefusal;
use serde::Serialize;

use super::HttpState;
use super::auth::{Credentials, role_with, user};
use super::body::ParsedBody;
use super::error::{AccessFailure, Failure};
use super::request::{ClientAddress, PathId, PathPair};
use super::rooms::existing_room;
use super::settings::stored;
use super::validation::access::{Wanted, member_token};
use super::validation::room::room_id;

#[derive(Serialize)]
struct Issued {
    token: String,
}

#[derive(Serialize)]
struct RoleAndPermissions {
    role: Role,
    permissions: Granted,
}

#[derive(Serialize)]
struct Granted {
    livekit: VideoGrant,
    meet: Permissions,
}

/// Makes a member of whoever shows a secret, and lets them into the meeting if they want.
///
/// # Errors
/// 400 for another secret, 401 if a login is asked for, 403 also for another's identity, 404, 409 for a closed room,
/// 422, 429 after too many wrong secrets, 503.
pub async fn token(
    State(state): State<HttpState>,
    credentials: Credentials,
    address: ClientAddress,
    PathId(id): PathId,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    let id = room_id(&id)?;
    let request = member_token(&body)?;
    let room = existing_room(&state, id).await?;
    let role = role_with(&state, address, &room, &request.secret).await?;
    if stored(&state).await?.asks_for_login(role) {
        user(&state, &credentials, UserRole::User).await?;
    }
    let attendee = match request.wanted {
        Wanted::Requests => None,
        Wanted::Join { name } => {
            let invited = state.orchestrator.invite(&room, &state.settings.meetings, &name).await;
            Some(invited.map_err(|why| refused(&room.room_id, &name, why))?)
        }
        Wanted::JoinAgain(who) => {
            let invited = state.orchestrator.invite_again(&room, role, &who).await;
            invited.map_err(|why| refused(&room.room_id, &who.identity, why))?;
            Some(who)
        }
    };
    Ok(Json(Issued { token: signed(&state, &room, role, attendee)? }).into_response())
}

fn signed(state: &HttpState, room: &Room, role: Role, attendee: Option<Attendee>) -> Result<String, Failure> {
    let metadata = MemberMetadata {
        livekit_url: state.settings.livekit_url.clone(),
        role,
        permissions: Permissions::of(role, room.config.recording.allow_access_to),
    };
    let frame = state.tokens.frame(TokenUse::Member, state.clock.now());
    state.tokens.sign(&MemberClaims::of(&room.room_id, &metadata, attendee, frame))
}

fn refused(room: &RoomId, who: &str, why: JoinRefusal) -> Failure {
    let room = room.clone();
    match why {
        JoinRefusal::Closed => AccessFailure::RoomClosed(room).into(),
        JoinRefusal::NoParticipant => AccessFailure::NotInMeeting(room, who.to_owned()).into(),
        JoinRefusal::OtherRole => AccessFailure::OtherRole(room, who.to_owned()).into(),
        JoinRefusal::NoNameLeft => AccessFailure::NoNameLeft(room).into(),
        JoinRefusal::Port(error) => error.into(),
    }
}

/// Shows what each role may do in a room.
///
/// # Errors
/// 404, 422, 503.
pub async fn roles(State(state): State<HttpState>, PathId(id): PathId) -> Result<Response, Failure> {
    let room = existing_room(&state, room_id(&id)?).await?;
    Ok(Json(Role::ALL.map(|role| shown(&room, role))).into_response())
}

/// Shows the role that a secret opens a room for.
///
/// # Errors
/// 400 for another secret, 404, 422, 429 after too many of them, 503.
pub async fn role(
    State(state): State<HttpState>,
    address: ClientAddress,
    PathPair(id, secret): PathPair,
) -> Result<Response, Failure> {
    let room = existing_room(&state, room_id(&id)?).await?;
    let role = role_with(&state, address, &room, &secret).await?;
    Ok(Json(shown(&room, role)).into_response())
}

fn shown(room: &Room, role: Role) -> RoleAndPermissions {
    let livekit = VideoGrant::of(&room.room_id, Joining::Granted);
    let meet = Permissions::of(role, room.config.recording.allow_access_to);
    RoleAndPermissions { role, permissions: Granted { livekit, meet } }
}
