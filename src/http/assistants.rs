//! `/internal-api/v1/ai/assistants`: who is in a meeting asks for live captions (contract `rooms.md` 6 and 7).
//!
//! The meeting is that of the caller's token, whatever else a request says. One assistant serves all who want
//! captions; it goes when nobody does any more.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::{Caller, Denied, Right};
use reelkeeper_actors::ids::RoomId;
use serde::Serialize;

use super::HttpState;
use super::auth::{Credentials, MEMBER, authenticate};
use super::body::ParsedBody;
use super::error::{Failure, RoomFailure};
use super::rooms::existing_room;
use super::validation::room::{Capability, assistant};

#[derive(Serialize)]
struct Assistant {
    id: String,
    status: &'static str,
}

/// Starts captions for the caller.
///
/// # Errors
/// 401, 403 for a token that does not join and where captions are off, 404, 422, 503.
pub async fn start(
    State(state): State<HttpState>,
    credentials: Credentials,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    let (room, identity) = attendee(&state, &credentials).await?;
    let Capability::LiveCaptions = assistant(&body)?;
    if !state.settings.captions {
        return Err(Failure::Room(RoomFailure::NoCaptions(None)));
    }
    let room = existing_room(&state, room).await?;
    if !room.config.captions.enabled {
        return Err(Failure::Room(RoomFailure::NoCaptions(Some(room.room_id))));
    }
    let agent = state.orchestrator.start_captions(&room, &state.settings.meetings, &identity).await?;
    Ok(Json(Assistant { id: agent.id, status: "active" }).into_response())
}

/// Stops captions for the caller, whichever assistant the path names: there is one in the meeting.
///
/// # Errors
/// 401, 403 for a token that does not join, 503.
pub async fn stop(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    let (room, identity) = attendee(&state, &credentials).await?;
    state.orchestrator.stop_captions(&room, &identity).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The meeting that the caller is in, and who they are there.
async fn attendee(state: &HttpState, credentials: &Credentials) -> Result<(RoomId, String), Failure> {
    let caller = authenticate(state, credentials, MEMBER).await?;
    caller.check(Right::SeeRoom)?;
    match caller {
        Caller::Member(member) => {
            let identity = member.identity.ok_or(Denied::NotPermitted)?;
            Ok((member.room, identity))
        }
        Caller::ApiKey | Caller::Admin | Caller::SecretHolder(_) => Err(Denied::NotPermitted.into()),
    }
}
